//! Contacts to vCard 3.0, for whoever reads an attached contact as a file. `calcard` folds and escapes.

use calcard::common::PartialDateTime;
use calcard::vcard::{VCard, VCardEntry, VCardParameter, VCardProperty, VCardType, VCardValue, VCardVersion};
use serde_json::Value;

use crate::Properties;

/// A contact as a card.
pub fn write(contact: &Properties) -> String {
    let mut card = VCard::default();
    names(contact, &mut card);
    let mut put = |property: VCardProperty, name: &str| {
        if let Some(text) = text(contact, name) {
            card.entries.push(VCardEntry::new(property).with_value(text));
        }
    };
    put(VCardProperty::Title, "jobTitle");
    put(VCardProperty::Role, "profession");
    put(VCardProperty::Url, "businessHomePage");
    put(VCardProperty::Note, "personalNotes");
    for (property, name) in
        [("X-MS-SPOUSE", "spouseName"), ("X-MS-MANAGER", "manager"), ("X-MS-ASSISTANT", "assistantName")]
    {
        put(VCardProperty::Other(property.to_owned()), name);
    }
    ways(contact, &mut card);
    addresses(contact, &mut card);
    let categories: Vec<VCardValue> = texts(contact, "categories").map(VCardValue::Text).collect();
    if !categories.is_empty() {
        card.entries.push(VCardEntry::new(VCardProperty::Categories).with_values(categories));
    }
    for child in texts(contact, "children") {
        card.entries.push(VCardEntry::new(VCardProperty::Other("X-MS-CHILD".to_owned())).with_value(child));
    }
    if let Some(day) = birthday(contact) {
        card.entries.push(VCardEntry::new(VCardProperty::Bday).with_values(vec![VCardValue::PartialDateTime(day)]));
    }
    let mut written = String::new();
    // Writing to a text does not fail.
    card.write_to(&mut written, VCardVersion::V3_0).ok();
    written
}

fn names(contact: &Properties, card: &mut VCard) {
    let parts = |names: &[&str]| -> Vec<VCardValue> {
        names.iter().map(|name| VCardValue::Text(text(contact, name).unwrap_or_default())).collect()
    };
    let full = ["displayName", "fileAs", "companyName"].iter().find_map(|name| text(contact, name));
    let full = full.or_else(|| emails(contact).next()).unwrap_or_default();
    let structured = parts(&["surname", "givenName", "middleName", "title", "generation"]);
    card.entries.push(VCardEntry::new(VCardProperty::N).with_values(structured));
    card.entries.push(VCardEntry::new(VCardProperty::Fn).with_value(full));
    if let Some(nick) = text(contact, "nickName") {
        card.entries.push(VCardEntry::new(VCardProperty::Nickname).with_value(nick));
    }
    if text(contact, "companyName").is_some() || text(contact, "department").is_some() {
        card.entries.push(VCardEntry::new(VCardProperty::Org).with_values(parts(&["companyName", "department"])));
    }
}

/// How to reach the contact.
fn ways(contact: &Properties, card: &mut VCard) {
    for address in emails(contact) {
        card.entries.push(VCardEntry::new(VCardProperty::Email).with_value(address));
    }
    let mut phone = |number: String, kind: VCardType| {
        card.entries.push(typed(VCardProperty::Tel, kind).with_value(number));
    };
    text(contact, "mobilePhone").into_iter().for_each(|number| phone(number, VCardType::Cell));
    texts(contact, "homePhones").for_each(|number| phone(number, VCardType::Home));
    texts(contact, "businessPhones").for_each(|number| phone(number, VCardType::Work));
    for address in texts(contact, "imAddresses") {
        card.entries.push(VCardEntry::new(VCardProperty::Impp).with_value(address));
    }
}

fn addresses(contact: &Properties, card: &mut VCard) {
    for (name, kind) in
        [("homeAddress", Some(VCardType::Home)), ("businessAddress", Some(VCardType::Work)), ("otherAddress", None)]
    {
        let Some(Value::Object(address)) =
            contact.get(name).filter(|address| **address != Value::Object(Default::default()))
        else {
            continue;
        };
        let entry = match kind {
            Some(kind) => typed(VCardProperty::Adr, kind),
            None => VCardEntry::new(VCardProperty::Adr),
        };
        // Before the street stand a post office box and an "extended address", which Graph has not.
        let parts = ["", "", "street", "city", "state", "postalCode", "countryOrRegion"];
        let parts = parts.map(|part| VCardValue::Text(text(address, part).unwrap_or_default()));
        card.entries.push(entry.with_values(parts.to_vec()));
    }
}

fn typed(property: VCardProperty, kind: VCardType) -> VCardEntry {
    VCardEntry::new(property).with_param(VCardParameter::typ(kind))
}

/// The day, whatever the time.
fn birthday(contact: &Properties) -> Option<PartialDateTime> {
    let day: jiff::civil::Date = text(contact, "birthday")?.get(..10)?.parse().ok()?;
    Some(PartialDateTime {
        year: u16::try_from(day.year()).ok(),
        month: Some(day.month().unsigned_abs()),
        day: Some(day.day().unsigned_abs()),
        ..PartialDateTime::default()
    })
}

fn emails(contact: &Properties) -> impl Iterator<Item = String> {
    let list = contact.get("emailAddresses").and_then(Value::as_array).into_iter().flatten();
    list.filter_map(|email| Some(plain(email.get("address")?.as_str()?))).filter(|address| !address.is_empty())
}

fn texts(contact: &Properties, name: &str) -> impl Iterator<Item = String> {
    let list = contact.get(name).and_then(Value::as_array).into_iter().flatten();
    list.filter_map(|text| text.as_str().map(plain)).filter(|text| !text.is_empty())
}

fn text(contact: &Properties, name: &str) -> Option<String> {
    contact.get(name).and_then(Value::as_str).map(plain).filter(|text| !text.is_empty())
}

/// Without control characters other than the ends of lines, which are escaped.
fn plain(text: &str) -> String {
    text.replace("\r\n", "\n").chars().filter(|c| !c.is_control() || *c == '\n').collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::vcard::parse;

    #[test]
    fn a_contact_is_written_as_a_card_that_reads_the_same() {
        let contact = json!({
            "displayName": "Dr. Adele Vance", "fileAs": "Vance, Adele", "givenName": "Adele", "middleName": "Maria",
            "surname": "Van;ce", "title": "Dr.", "generation": "Jr.", "nickName": "Addy", "companyName": "Contoso, Ltd.",
            "department": "Sales", "jobTitle": "Manager", "profession": "Negotiator",
            "emailAddresses": [{ "name": "A", "address": "adele@contoso.test" }, { "address": "adele@home.test" }],
            "mobilePhone": "+49 170 1", "businessPhones": ["+49 221 2"], "homePhones": ["+49 221 3", "+49 221 4"],
            "businessAddress": { "street": "Hauptstr. 1\r\nHof", "city": "K\u{f6}ln", "postalCode": "50667" },
            "homeAddress": {}, "otherAddress": { "city": "Bonn" }, "birthday": "1980-02-29T11:59:00Z",
            "personalNotes": "met in Lisbon\r\nand Rome", "categories": ["Friends", "A,B"],
            "businessHomePage": "https://contoso.test", "imAddresses": ["xmpp:adele@contoso.test"],
            "spouseName": "Bob", "manager": "Carol", "assistantName": "Dan", "children": ["Kim"],
        });
        let written = write(contact.as_object().unwrap());
        assert!(
            written.starts_with("BEGIN:VCARD\r\nVERSION:3.0\r\n") && written.ends_with("END:VCARD\r\n"),
            "{written}"
        );
        let again = parse(written.as_bytes()).unwrap().contacts.remove(0);
        for same in [
            "displayName",
            "givenName",
            "middleName",
            "surname",
            "title",
            "generation",
            "nickName",
            "companyName",
            "department",
            "jobTitle",
            "profession",
            "mobilePhone",
            "businessPhones",
            "homePhones",
            "homeAddress",
            "otherAddress",
            "birthday",
            "categories",
            "businessHomePage",
            "imAddresses",
            "spouseName",
            "manager",
            "assistantName",
            "children",
        ] {
            assert_eq!(again[same], contact[same], "{same}: {written}");
        }
        assert_eq!(again["businessAddress"]["city"], "K\u{f6}ln");
        assert_eq!(again["emailAddresses"][1]["address"], "adele@home.test");
        assert_eq!(again["personalNotes"], "met in Lisbon\nand Rome");
    }

    #[test]
    fn what_could_end_a_line_of_a_card_does_not() {
        let contact = json!({ "givenName": "a\r\nX-EVIL:1", "emailAddresses": [{ "address": "a@b.test\rX-EVIL:2" }] });
        let written = write(contact.as_object().unwrap());
        assert!(
            !written.split("\r\n").any(|line| line.starts_with("X-EVIL") || line.contains(['\r', '\n'])),
            "{written}"
        );
        assert!(write(&Properties::new()).contains("\r\nFN:\r\n"));
    }
}
