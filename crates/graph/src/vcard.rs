//! vCard (2.1, 3.0, 4.0) to Graph `contact`s, and back in `write`. Parsing is `calcard`'s; here are the limits and the mapping.

mod write;

use std::borrow::Cow;

use calcard::vcard::{
    VCard, VCardEntry, VCardKind, VCardParameterName, VCardParameterValue, VCardProperty, VCardType, VCardValue,
};
use calcard::{Entry, Parser};
use mail_parser::decoders::charsets::map::charset_decoder;
use serde_json::{Value, json};

use crate::Properties;
pub use write::write;

/// The largest file of cards that is read.
pub const CARDS_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Cards of one file.
pub const CARDS_MAX: usize = 100_000;

/// Values of one kind in one card: notes, categories, addresses of instant messaging.
const VALUES_MAX: usize = 100;
/// As many e-mail addresses as an Outlook contact has.
const EMAILS_MAX: usize = 3;
/// As many phones of one kind as an Outlook contact has.
const PHONES_MAX: usize = 2;

/// The name of the open extension that keeps what a contact has no place for.
pub const VCARD_EXTENSION: &str = "net.tidings.vcard";

/// What a file of cards holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ParsedCards {
    pub contacts: Vec<Properties>,
    /// Cards that were left out, by their place in the file from 1, and why.
    pub unreadable: Vec<(usize, CardError)>,
    /// Groups, which are no contacts.
    pub skipped: u64,
}

/// Why bytes are not taken as cards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CardsError {
    #[error("the file has {0} bytes, more than {CARDS_BYTES_MAX}")]
    TooLarge(usize),
    #[error("the file has more than {CARDS_MAX} cards")]
    TooManyCards,
    #[error("these are not cards: there is no BEGIN:VCARD")]
    NotCards,
}

/// Why a card is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CardError {
    #[error("the card has no name, company, address or phone")]
    Empty,
}

/// Reads a file of cards.
pub fn parse(bytes: &[u8]) -> Result<ParsedCards, CardsError> {
    if bytes.len() > CARDS_BYTES_MAX {
        return Err(CardsError::TooLarge(bytes.len()));
    }
    let text = decode_text(bytes);
    let mut parser = Parser::new(&text);
    let mut parsed = ParsedCards::default();
    let mut number = 0;
    loop {
        match parser.entry() {
            Entry::VCard(card) => {
                number += 1;
                if number > CARDS_MAX {
                    return Err(CardsError::TooManyCards);
                }
                match contact(&card) {
                    _ if is_group(&card) => parsed.skipped += 1,
                    Some(contact) => parsed.contacts.push(contact),
                    None => parsed.unreadable.push((number, CardError::Empty)),
                }
            }
            Entry::Eof => break,
            _ => {}
        }
    }
    if number == 0 { Err(CardsError::NotCards) } else { Ok(parsed) }
}

/// UTF-8, else what Windows programs write.
pub(crate) fn decode_text(bytes: &[u8]) -> Cow<'_, str> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => match charset_decoder(b"windows-1252") {
            Some(decode) => Cow::Owned(decode(bytes)),
            None => String::from_utf8_lossy(bytes),
        },
    }
}

fn is_group(card: &VCard) -> bool {
    card.entries.iter().any(|entry| match (&entry.name, entry.values.first()) {
        (VCardProperty::Kind, Some(VCardValue::Kind(kind))) => *kind == VCardKind::Group,
        (VCardProperty::Other(name), Some(value)) => {
            name.eq_ignore_ascii_case("X-ADDRESSBOOKSERVER-KIND")
                && value.as_text().is_some_and(|kind| kind.eq_ignore_ascii_case("group"))
        }
        _ => false,
    })
}

fn contact(card: &VCard) -> Option<Properties> {
    let mut contact = Properties::new();
    names(card, &mut contact);
    let emails = emails(card, &mut contact);
    let phones = phones(card, &mut contact);
    let is_empty = contact["displayName"] == json!("") && contact["companyName"].is_null();
    if is_empty && emails == 0 && phones == 0 {
        return None;
    }
    addresses(card, &mut contact);
    let mut put = |name: &str, value: Value| contact.insert(name.to_owned(), value);
    put("jobTitle", json!(text(card, &VCardProperty::Title)));
    put("profession", json!(text(card, &VCardProperty::Role)));
    put("businessHomePage", json!(text(card, &VCardProperty::Url)));
    put("personalNotes", json!(texts(card, &VCardProperty::Note).join("\r\n")));
    put("categories", json!(texts(card, &VCardProperty::Categories)));
    put("imAddresses", json!(texts(card, &VCardProperty::Impp)));
    put("birthday", birthday(card).map_or(Value::Null, Value::String));
    put("spouseName", json!(related(card, &VCardType::Spouse, "SPOUSE").first()));
    put("children", json!(related(card, &VCardType::Child, "CHILD")));
    put("manager", json!(extension(card, "MANAGER")));
    put("assistantName", json!(extension(card, "ASSISTANT")));
    Some(contact)
}

fn names(card: &VCard, contact: &mut Properties) {
    let structured = card.property(&VCardProperty::N);
    let part = |index: usize| structured.map(|entry| component(entry, index)).filter(|text| !text.is_empty());
    let (surname, given, middle) = (part(0), part(1), part(2));
    let organization = card.property(&VCardProperty::Org);
    let unit = |index: usize| organization.map(|entry| component(entry, index)).filter(|text| !text.is_empty());
    let company = unit(0);
    let composed = [&given, &middle, &surname].into_iter().flatten().cloned().collect::<Vec<_>>().join(" ");
    let display = text(card, &VCardProperty::Fn).unwrap_or(composed);
    let display = if display.is_empty() { company.clone().unwrap_or_default() } else { display };
    let file_as = match (&surname, &given) {
        (Some(surname), Some(given)) => format!("{surname}, {given}"),
        _ => display.clone(),
    };
    let mut put = |name: &str, value: Value| contact.insert(name.to_owned(), value);
    put("displayName", json!(display));
    put("fileAs", json!(file_as));
    put("givenName", json!(given));
    put("middleName", json!(middle));
    put("surname", json!(surname));
    put("title", json!(part(3)));
    put("generation", json!(part(4)));
    put("nickName", json!(text(card, &VCardProperty::Nickname)));
    put("companyName", json!(company));
    put("department", json!(unit(1)));
}

fn emails(card: &VCard, contact: &mut Properties) -> usize {
    let all = texts(card, &VCardProperty::Email);
    let display = contact["displayName"].as_str().unwrap_or_default();
    let entry =
        |address: &String| json!({ "name": if display.is_empty() { address } else { display }, "address": address });
    let kept: Vec<Value> = all.iter().take(EMAILS_MAX).map(entry).collect();
    if all.len() > EMAILS_MAX {
        let more = json!([{
            "@odata.type": "#microsoft.graph.openTypeExtension",
            "id": VCARD_EXTENSION,
            "extensionName": VCARD_EXTENSION,
            "emailAddresses": all[EMAILS_MAX..],
        }]);
        contact.insert("extensions".to_owned(), more);
    }
    contact.insert("emailAddresses".to_owned(), Value::Array(kept));
    all.len()
}

fn phones(card: &VCard, contact: &mut Properties) -> usize {
    let (mut mobile, mut home, mut business) = (None, Vec::new(), Vec::new());
    let mut count = 0;
    for entry in entries(card, &VCardProperty::Tel).take(VALUES_MAX) {
        let is = |kind: VCardType| has_type(entry, &kind);
        let Some(number) = entry.values.first().and_then(value_text) else { continue };
        let number = number.strip_prefix("tel:").unwrap_or(number.as_ref()).trim().to_owned();
        if number.is_empty() || is(VCardType::Fax) || is(VCardType::Pager) {
            continue;
        }
        count += 1;
        if is(VCardType::Cell) {
            mobile.get_or_insert(number);
            continue;
        }
        let list = if is(VCardType::Home) { &mut home } else { &mut business };
        if list.len() < PHONES_MAX {
            list.push(number);
        }
    }
    contact.insert("mobilePhone".to_owned(), json!(mobile));
    contact.insert("homePhones".to_owned(), json!(home));
    contact.insert("businessPhones".to_owned(), json!(business));
    count
}

fn addresses(card: &VCard, contact: &mut Properties) {
    for name in ["homeAddress", "businessAddress", "otherAddress"] {
        contact.insert(name.to_owned(), json!({}));
    }
    for entry in entries(card, &VCardProperty::Adr).take(VALUES_MAX) {
        let name = match () {
            () if has_type(entry, &VCardType::Work) => "businessAddress",
            () if has_type(entry, &VCardType::Home) => "homeAddress",
            () => "otherAddress",
        };
        if contact[name] != json!({}) {
            continue;
        }
        // Post office box and "extended address" have no place of their own.
        let street = [2, 1, 0].map(|index| component(entry, index));
        let street = street.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\r\n");
        let parts = [
            ("street", street),
            ("city", component(entry, 3)),
            ("state", component(entry, 4)),
            ("postalCode", component(entry, 5)),
            ("countryOrRegion", component(entry, 6)),
        ];
        let address = parts.into_iter().filter(|(_, part)| !part.is_empty());
        contact.insert(name.to_owned(), address.map(|(name, part)| (name.to_owned(), json!(part))).collect());
    }
}

/// Outlook keeps a birthday as 11:59 UTC of its day, and one without a year in 1604.
fn birthday(card: &VCard) -> Option<String> {
    let value = card.property(&VCardProperty::Bday)?.values.first()?;
    let (year, month, day) = match value {
        VCardValue::PartialDateTime(date) => (date.year, date.month?, date.day?),
        other => {
            let text = other.as_text()?;
            let date: jiff::civil::Date = text.get(..10)?.parse().ok()?;
            (date.year().try_into().ok(), date.month().unsigned_abs(), date.day().unsigned_abs())
        }
    };
    let year = i16::try_from(year.unwrap_or(1604)).ok()?;
    let date = jiff::civil::Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
    Some(format!("{date}T11:59:00Z"))
}

/// Names of related persons: `RELATED` with a type (not links to other cards), or an extension.
fn related(card: &VCard, kind: &VCardType, extension_name: &str) -> Vec<String> {
    let stated = entries(card, &VCardProperty::Related).filter(|entry| has_type(entry, kind));
    let stated = stated.filter_map(|entry| value_text(entry.values.first()?)).filter(|text| !text.contains(':'));
    let mut names: Vec<String> = stated.map(Cow::into_owned).take(VALUES_MAX).collect();
    if names.is_empty() {
        names.extend(extension(card, extension_name));
    }
    names
}

/// The value of `X-NAME`, `X-MS-NAME` or `X-EVOLUTION-NAME`.
fn extension(card: &VCard, name: &str) -> Option<String> {
    let is_it = |entry: &&VCardEntry| match &entry.name {
        VCardProperty::Other(found) => {
            let found = found.to_ascii_uppercase();
            let prefixes = ["X-MS-", "X-EVOLUTION-", "X-"];
            prefixes.iter().any(|prefix| found.strip_prefix(prefix) == Some(name))
        }
        _ => false,
    };
    let values = card.entries.iter().filter(is_it).filter_map(|entry| value_text(entry.values.first()?));
    values.map(Cow::into_owned).find(|text| !text.is_empty())
}

fn entries<'a>(card: &'a VCard, property: &'a VCardProperty) -> impl Iterator<Item = &'a VCardEntry> {
    card.entries.iter().filter(move |entry| &entry.name == property)
}

fn texts(card: &VCard, property: &VCardProperty) -> Vec<String> {
    let values = entries(card, property).flat_map(|entry| &entry.values).filter_map(value_text);
    values.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()).take(VALUES_MAX).collect()
}

fn text(card: &VCard, property: &VCardProperty) -> Option<String> {
    texts(card, property).into_iter().next()
}

/// A part of a structured value; several values of one part are joined.
fn component(entry: &VCardEntry, index: usize) -> String {
    match entry.values.get(index) {
        Some(VCardValue::Component(parts)) => parts.join(" ").trim().to_owned(),
        Some(value) => value_text(value).unwrap_or_default().trim().to_owned(),
        None => String::new(),
    }
}

fn value_text(value: &VCardValue) -> Option<Cow<'_, str>> {
    match value {
        VCardValue::Integer(number) => Some(Cow::Owned(number.to_string())),
        VCardValue::Component(parts) => Some(Cow::Owned(parts.join(" "))),
        other => other.as_text().map(Cow::Borrowed),
    }
}

fn has_type(entry: &VCardEntry, kind: &VCardType) -> bool {
    entry.parameters(&VCardParameterName::Type).any(|value| match value {
        VCardParameterValue::Type(found) => found == kind,
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(text: &str) -> Value {
        let parsed = parse(text.replace('\n', "\r\n").as_bytes()).unwrap();
        Value::Object(parsed.contacts.into_iter().next().unwrap())
    }

    #[test]
    fn a_version_3_card_is_mapped_field_by_field() {
        let contact = card(
            "BEGIN:VCARD\nVERSION:3.0\nN:Vance;Adele;Maria;Dr.;Jr.\nFN:Dr. Adele Vance\nNICKNAME:Addy\nORG:Contoso;Sales\n\
TITLE:Manager\nROLE:Negotiator\nEMAIL;TYPE=INTERNET,WORK:adele@contoso.test\nEMAIL;TYPE=HOME:adele@home.test\n\
TEL;TYPE=CELL:+49 170 1\nTEL;TYPE=WORK,VOICE:+49 221 2\nTEL;TYPE=WORK,FAX:+49 221 9\nTEL;TYPE=HOME:+49 221 3\n\
ADR;TYPE=WORK:PO 7;;Hauptstr. 1;K\u{f6}ln;NRW;50667;Germany\nADR;TYPE=HOME:;;Gasse 2;Bonn;;53111;\n\
BDAY:1980-02-29\nNOTE:met in Lisbon\nCATEGORIES:Friends,Sales\nURL:https://contoso.test\nIMPP:xmpp:adele@contoso.test\n\
X-EVOLUTION-SPOUSE:Bob\nX-MS-MANAGER:Carol\nEND:VCARD\n",
        );
        assert_eq!(contact["displayName"], "Dr. Adele Vance");
        assert_eq!(contact["fileAs"], "Vance, Adele");
        let names =
            ["givenName", "middleName", "surname", "title", "generation", "nickName"].map(|name| &contact[name]);
        assert_eq!(json!(names), json!(["Adele", "Maria", "Vance", "Dr.", "Jr.", "Addy"]));
        let work = ["companyName", "department", "jobTitle", "profession"].map(|name| &contact[name]);
        assert_eq!(json!(work), json!(["Contoso", "Sales", "Manager", "Negotiator"]));
        assert_eq!(contact["emailAddresses"][1], json!({ "name": "Dr. Adele Vance", "address": "adele@home.test" }));
        assert_eq!(contact["mobilePhone"], "+49 170 1");
        assert_eq!(contact["businessPhones"], json!(["+49 221 2"]));
        assert_eq!(contact["homePhones"], json!(["+49 221 3"]));
        let address = json!({ "street": "Hauptstr. 1\r\nPO 7", "city": "K\u{f6}ln", "state": "NRW", "postalCode": "50667",
            "countryOrRegion": "Germany" });
        assert_eq!(contact["businessAddress"], address);
        assert_eq!(contact["homeAddress"], json!({ "street": "Gasse 2", "city": "Bonn", "postalCode": "53111" }));
        assert_eq!(contact["otherAddress"], json!({}));
        assert_eq!(contact["birthday"], "1980-02-29T11:59:00Z");
        assert_eq!(contact["personalNotes"], "met in Lisbon");
        assert_eq!(contact["categories"], json!(["Friends", "Sales"]));
        assert_eq!(contact["imAddresses"], json!(["xmpp:adele@contoso.test"]));
        assert_eq!((&contact["spouseName"], &contact["manager"]), (&json!("Bob"), &json!("Carol")));
    }

    #[test]
    fn a_version_4_card_has_uris_and_a_birthday_without_a_year() {
        let contact = card(
            "BEGIN:VCARD\nVERSION:4.0\nFN:Alex Wilber\nN:Wilber;Alex;;;\nTEL;VALUE=uri;TYPE=\"cell,voice\":tel:+1-555-0100\n\
BDAY:--0412\nEMAIL:a1@x.test\nEMAIL:a2@x.test\nEMAIL:a3@x.test\nEMAIL:a4@x.test\nRELATED;TYPE=child;VALUE=text:Kim\n\
RELATED;TYPE=spouse:urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6\nEND:VCARD\n",
        );
        assert_eq!(contact["mobilePhone"], "+1-555-0100");
        assert_eq!(contact["birthday"], "1604-04-12T11:59:00Z");
        assert_eq!(contact["emailAddresses"].as_array().unwrap().len(), 3);
        assert_eq!(contact["extensions"][0]["emailAddresses"], json!(["a4@x.test"]));
        assert_eq!((&contact["children"], &contact["spouseName"]), (&json!(["Kim"]), &Value::Null));
    }

    #[test]
    fn an_old_card_in_quoted_printable_and_a_windows_charset_are_read() {
        let contact = card(
            "BEGIN:VCARD\nVERSION:2.1\nN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:M=C3=BCller;J=C3=B6rg\nTEL;CELL:123\nEND:VCARD\n",
        );
        assert_eq!((&contact["surname"], &contact["mobilePhone"]), (&json!("M\u{fc}ller"), &json!("123")));
        let parsed = parse(b"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:J\xf6rg\r\nEND:VCARD\r\n").unwrap();
        assert_eq!(parsed.contacts[0]["displayName"], "J\u{f6}rg");
    }

    #[test]
    fn groups_are_skipped_and_empty_cards_are_reported() {
        let text = "BEGIN:VCARD\nVERSION:4.0\nKIND:group\nFN:Team\nEND:VCARD\nBEGIN:VCARD\nVERSION:3.0\nNOTE:nobody\nEND:VCARD\n\
BEGIN:VCARD\nVERSION:3.0\nORG:Contoso\nEND:VCARD\n";
        let parsed = parse(text.as_bytes()).unwrap();
        assert_eq!(parsed.skipped, 1);
        assert_eq!(parsed.unreadable, [(2, CardError::Empty)]);
        assert_eq!(parsed.contacts[0]["displayName"], "Contoso");
        assert_eq!(parse(b"hello"), Err(CardsError::NotCards));
    }
}
