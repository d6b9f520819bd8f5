//! A Graph `message` to an Internet message. Encoding and folding are `mail-builder`'s; here is what
//! becomes which header and part. Boundaries come from a seed that no sender could know before.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mail_builder::MessageBuilder;
use mail_builder::headers::address::Address;
use mail_builder::headers::content_type::ContentType;
use mail_builder::headers::date::Date;
use mail_builder::headers::message_id::MessageId;
use mail_builder::headers::text::Text;
use mail_builder::mime::{BodyPart, MimePart};
use serde_json::Value;
use uuid::Uuid;

use crate::ical::{self, CalendarPart};
use crate::{Attachment, Properties, Timestamp};

/// Headers that are written from properties, or say how the message was packed before.
const OWN_HEADERS: [&str; 22] = [
    "bcc",
    "cc",
    "content-description",
    "content-disposition",
    "content-id",
    "content-language",
    "content-length",
    "content-transfer-encoding",
    "content-type",
    "date",
    "disposition-notification-to",
    "from",
    "importance",
    "message-id",
    "mime-version",
    "reply-to",
    "return-receipt-to",
    "sender",
    "status",
    "subject",
    "thread-index",
    "to",
];

/// Writes a message with its attachments and their content. `seed` is fresh for each version of it.
pub fn write(properties: &Properties, attachments: &[(Attachment, Vec<u8>)], seed: Uuid) -> Vec<u8> {
    let mut message = MessageBuilder::new();
    let headers = properties.get("internetMessageHeaders").and_then(Value::as_array).into_iter().flatten();
    for (name, value) in headers.filter_map(header) {
        message = message.header(name, Text::new(value));
    }
    message = people(message, properties);
    message = message.subject(line(text(properties, "subject")));
    let sent = ["sentDateTime", "createdDateTime"].iter().find_map(|name| text(properties, name).parse().ok());
    message = message.date(Date::new(sent.map_or(0, |sent: Timestamp| sent.as_micros().div_euclid(1_000_000))));
    let id = line(text(properties, "internetMessageId")).replace(['<', '>', ' '], "");
    let id = if id.is_empty() { format!("{seed}@tidings.invalid") } else { id };
    message = message.message_id(MessageId::new(id));
    message = marks(message, properties);
    let body = body(properties, attachments, seed);
    message.body(body).write_to_vec().unwrap_or_default()
}

fn text<'a>(properties: &'a Properties, name: &str) -> &'a str {
    properties.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Text that keeps to one line.
fn line(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect::<String>().trim().to_owned()
}

/// A header of the message's own that nothing else stands for.
fn header(header: &Value) -> Option<(String, String)> {
    let (name, value) = (header.get("name")?.as_str()?, header.get("value")?.as_str()?);
    let plain = super::is_header_name(name) && name.len() <= 100;
    let own = OWN_HEADERS.contains(&name.to_ascii_lowercase().as_str());
    (plain && !own).then(|| (name.to_owned(), line(value)))
}

fn people<'a>(message: MessageBuilder<'a>, properties: &Properties) -> MessageBuilder<'a> {
    let mut message = message;
    let one = |name: &str| properties.get(name).and_then(address);
    let (from, sender) = (one("from"), one("sender"));
    let differs = sender != from;
    if let Some(from) = from {
        message = message.from(from);
    }
    if let Some(sender) = sender.filter(|_| differs) {
        message = message.sender(sender);
    }
    for (list, header) in
        [("toRecipients", "To"), ("ccRecipients", "Cc"), ("bccRecipients", "Bcc"), ("replyTo", "Reply-To")]
    {
        let members = properties.get(list).and_then(Value::as_array).into_iter().flatten();
        let addresses: Vec<Address<'a>> = members.filter_map(address).collect();
        if !addresses.is_empty() {
            message = message.header(header, Address::new_list(addresses));
        }
    }
    message
}

fn address<'a>(recipient: &Value) -> Option<Address<'a>> {
    let email = recipient.get("emailAddress")?;
    let part = |name: &str| email.get(name).and_then(Value::as_str).map(line).unwrap_or_default();
    let (address, name) = (part("address"), part("name"));
    let address: String =
        address.chars().filter(|letter| !letter.is_whitespace() && !"<>,;".contains(*letter)).collect();
    let name = Some(name).filter(|name| !name.is_empty() && *name != address);
    (!address.is_empty()).then(|| Address::new_address(name, address))
}

fn marks<'a>(message: MessageBuilder<'a>, properties: &Properties) -> MessageBuilder<'a> {
    let mut message = message;
    if let importance @ ("low" | "high") = text(properties, "importance") {
        message = message.header("Importance", Text::new(importance.to_owned()));
    }
    for (name, header) in
        [("isReadReceiptRequested", "Disposition-Notification-To"), ("isDeliveryReceiptRequested", "Return-Receipt-To")]
    {
        let asked = properties.get(name).and_then(Value::as_bool).unwrap_or_default();
        if let Some(from) = properties.get("from").and_then(address).filter(|_| asked) {
            message = message.header(header, from);
        }
    }
    let index = text(properties, "conversationIndex");
    if STANDARD.decode(index).is_ok_and(|bytes| bytes.len() >= 22) {
        message = message.header("Thread-Index", Text::new(index.to_owned()));
    }
    message
}

/// The text, with what calendars read beside it; with inline attachments, and the others behind.
fn body<'a>(properties: &'a Properties, attachments: &'a [(Attachment, Vec<u8>)], seed: Uuid) -> MimePart<'a> {
    let body = properties.get("body");
    let part = |name: &str| body.and_then(|body| body.get(name)).and_then(Value::as_str).unwrap_or_default();
    let subtype = if part("contentType").eq_ignore_ascii_case("html") { "text/html" } else { "text/plain" };
    let content = body.and_then(|body| body.get("content")).and_then(Value::as_str).unwrap_or_default();
    let mut whole = MimePart::new(subtype, BodyPart::Text(Cow::Borrowed(content)));
    let multipart = |kind: &'static str, parts: Vec<MimePart<'a>>| {
        let boundary = format!("=_{}", Uuid::new_v5(&seed, kind.as_bytes()).simple());
        MimePart::new(ContentType::new(kind).attribute("boundary", boundary), BodyPart::Multipart(parts))
    };
    if let Some(CalendarPart { method, text }) = ical::write_meeting(properties) {
        let kind = ContentType::new("text/calendar").attribute("charset", "utf-8").attribute("method", method);
        let calendar = MimePart::new(kind, BodyPart::Text(text.into()));
        whole = multipart("multipart/alternative", vec![whole, calendar]);
    }
    let (inline, other): (Vec<_>, Vec<_>) = attachments.iter().partition(|(attachment, _)| is_inline(attachment));
    for (kind, members) in [("multipart/related", inline), ("multipart/mixed", other)] {
        if !members.is_empty() {
            let attached = members.into_iter().map(|member| attached(member, seed));
            whole = multipart(kind, [whole].into_iter().chain(attached).collect());
        }
    }
    whole
}

fn is_inline(attachment: &Attachment) -> bool {
    attachment.properties.get("isInline").and_then(Value::as_bool).unwrap_or_default()
}

fn attached<'a>((attachment, content): &'a (Attachment, Vec<u8>), seed: Uuid) -> MimePart<'a> {
    let properties = &attachment.properties;
    let name = line(text(properties, "name"));
    let item = properties.get("item").and_then(Value::as_object).filter(|_| content.is_empty());
    let content: Cow<'a, [u8]> = match item {
        Some(item) => Cow::Owned(write(item, &[], Uuid::new_v5(&seed, attachment.id.uuid.as_bytes()))),
        None => Cow::Borrowed(content),
    };
    let is_message = item.is_some() || text(properties, "contentType") == "message/rfc822";
    let kind = if item.is_some() { "message/rfc822" } else { media_type(text(properties, "contentType")) };
    let content_type = ContentType::new(kind.to_owned());
    let content_type = if name.is_empty() { content_type } else { content_type.attribute("name", name.clone()) };
    let mut part = MimePart::new(content_type, BodyPart::Binary(content));
    part = if is_inline(attachment) { part.inline() } else { part.attachment(name) };
    let id = line(text(properties, "contentId")).replace(['<', '>', ' '], "");
    if !id.is_empty() {
        part = part.cid(id);
    }
    // A message within a message is not encoded (RFC 2046, section 5.2.1).
    if is_message { part.transfer_encoding("8bit") } else { part }
}

/// The type if it is one, without parameters.
pub fn media_type(text: &str) -> &str {
    let kind = text.split(';').next().unwrap_or_default().trim();
    let token = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    let whole = kind.split_once('/').is_some_and(|(kind, subtype)| token(kind) && token(subtype));
    let leaf = !kind.to_ascii_lowercase().starts_with("multipart/");
    if whole && leaf { kind } else { "application/octet-stream" }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::mime::{Origin, parse};
    use crate::{AttachmentId, Kind};

    fn properties(json: Value) -> Properties {
        match json {
            Value::Object(members) => members,
            _ => Properties::new(),
        }
    }

    fn attachment(number: u128, json: Value, content: &[u8]) -> (Attachment, Vec<u8>) {
        let id = AttachmentId::new(Kind::Message, Uuid::from_u128(number));
        (Attachment { id, properties: properties(json) }, content.to_vec())
    }

    fn person(name: &str, address: &str) -> Value {
        json!({ "emailAddress": { "name": name, "address": address } })
    }

    #[test]
    fn a_message_that_is_written_reads_back_the_same() {
        let message = properties(json!({
            "subject": "Gr\u{fc}\u{df}e aus K\u{f6}ln",
            "body": { "contentType": "html", "content": "<p>Sch\u{f6}ne Gr\u{fc}\u{df}e</p>\r\n<img src=\"cid:logo@x\">" },
            "from": person("J\u{f6}rg", "joerg@example.org"),
            "sender": person("J\u{f6}rg", "joerg@example.org"),
            "toRecipients": [person("Megan, B.", "megan@contoso.test"), person("adele@contoso.test", "adele@contoso.test")],
            "ccRecipients": [], "bccRecipients": [person("Alex", "alex@contoso.test")],
            "replyTo": [person("Desk", "desk@example.org")],
            "importance": "high", "isReadReceiptRequested": true, "isDeliveryReceiptRequested": false,
            "internetMessageId": "<three@example.org>", "sentDateTime": "2026-11-21T08:59:58Z",
            "internetMessageHeaders": [
                { "name": "x-mine", "value": "one two" }, { "name": "References", "value": "<one@example.org>" },
                { "name": "Content-Type", "value": "text/evil" }, { "name": "bad name", "value": "x" },
            ],
        }));
        let file = json!({ "name": "Angebot K\u{f6}ln.pdf", "contentType": "application/pdf", "isInline": false });
        let logo = json!({ "name": "logo.png", "contentType": "image/png", "isInline": true, "contentId": "logo@x" });
        let attachments = [attachment(1, file, b"%PDF-1.4\0"), attachment(2, logo, b"PNG")];
        let bytes = write(&message, &attachments, Uuid::from_u128(7));
        let read = parse(&bytes, Origin::Delivered).unwrap().properties;
        for name in [
            "subject",
            "body",
            "from",
            "sender",
            "toRecipients",
            "ccRecipients",
            "bccRecipients",
            "replyTo",
            "importance",
            "isReadReceiptRequested",
            "isDeliveryReceiptRequested",
            "internetMessageId",
            "sentDateTime",
        ] {
            assert_eq!(read[name], message[name], "{name}");
        }
        assert_eq!(read["internetMessageHeaders"][0], json!({ "name": "x-mine", "value": "one two" }));
        let files = read["attachments"].as_array().unwrap();
        let seen: Vec<_> = files.iter().map(|file| (&file["name"], &file["contentBytes"], &file["isInline"])).collect();
        assert_eq!(seen[0], (&json!("logo.png"), &json!("UE5H"), &json!(true)));
        assert_eq!(seen[1], (&json!("Angebot K\u{f6}ln.pdf"), &json!("JVBERi0xLjQA"), &json!(false)));
        assert_eq!(write(&message, &attachments, Uuid::from_u128(7)), bytes, "the same seed gives the same bytes");
    }

    #[test]
    fn a_message_within_a_message_is_written_whole() {
        let item = json!({
            "@odata.type": "#microsoft.graph.itemAttachment", "name": "inner", "isInline": false,
            "item": { "subject": "inner", "body": { "contentType": "text", "content": "deep" } },
        });
        let bytes = write(&properties(json!({ "subject": "outer" })), &[attachment(1, item, b"")], Uuid::from_u128(7));
        let read = parse(&bytes, Origin::Delivered).unwrap().properties;
        assert_eq!(read["attachments"][0]["item"]["subject"], "inner");
        assert_eq!(read["attachments"][0]["item"]["body"]["content"], "deep");
    }

    #[test]
    fn no_property_can_add_a_header_or_a_part() {
        let evil = "x\r\nX-Evil: 1\r\n\r\n--b";
        let message = properties(json!({
            "subject": evil, "internetMessageId": evil, "from": person(evil, evil), "conversationIndex": evil,
            "importance": evil, "internetMessageHeaders": [{ "name": "x-a", "value": evil }],
        }));
        let file = json!({ "name": evil, "contentType": evil, "isInline": true, "contentId": evil });
        let bytes = write(&message, &[attachment(1, file, b"x")], Uuid::from_u128(7));
        let text = String::from_utf8(bytes).unwrap();
        assert!(!text.lines().any(|line| line.starts_with("X-Evil") || line.starts_with("--b")), "{text}");
    }
}
