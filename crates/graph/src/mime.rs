//! An Internet message (RFC 5322, MIME) to a Graph `message`. Parsing is `mail-parser`'s; here are the
//! limits that hold before and after it, and the mapping. Knows no clock: what a message does not say
//! (its time of arrival) is left to the caller.

mod write;

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mail_parser::decoders::base64::base64_decode;
use mail_parser::decoders::charsets::map::charset_decoder;
use mail_parser::decoders::quoted_printable::quoted_printable_decode;
use mail_parser::{
    Addr, Address, DateTime, GetHeader, HeaderName, HeaderValue, Message, MessageParser, MessagePart, MimeHeaders,
    PartType,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::archive::Marks;
use crate::mailbox::meeting::Meeting;
use crate::mailbox::{conversation_id, conversation_index, preview};
use crate::{Properties, Timestamp, ical};
pub use write::{media_type, write};

/// The type under which a message as MIME is handed out.
pub const CONTENT_TYPE: &str = "text/plain";

/// The largest message that is read.
pub const MESSAGE_BYTES_MAX: usize = 25 * 1024 * 1024;
/// MIME parts of one message, those of messages within it apart.
pub const PARTS_MAX: usize = 1_000;
pub const HEADERS_MAX: usize = 1_000;
/// Addresses in all recipient headers together.
pub const RECIPIENTS_MAX: usize = 10_000;
/// Lines of a message. The parser's memory grows with lines more than with bytes.
const LINES_MAX: usize = 1_000_000;

/// Where the bytes come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Just delivered: headers that keep a mail program's marks are only the sender's words.
    Delivered,
    /// A mail program's archive: its marks (read, flagged, labels, folder) hold.
    Archive,
}

/// A message and where its archive says that it lay.
#[derive(Clone, Debug, PartialEq)]
pub struct ParsedMessage {
    pub properties: Properties,
    /// A well-known name, or the display name of a folder below the root.
    pub folder: Option<String>,
    /// What its calendar part says of a meeting.
    pub meeting: Option<Meeting>,
}

/// Why bytes are not taken as a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MimeError {
    #[error("the message has {0} bytes, more than {MESSAGE_BYTES_MAX}")]
    TooLarge(usize),
    #[error("the message has more than {LINES_MAX} lines")]
    TooManyLines,
    #[error("the message has {0} parts, more than {PARTS_MAX}")]
    TooManyParts(usize),
    #[error("the message has {0} headers, more than {HEADERS_MAX}")]
    TooManyHeaders(usize),
    #[error("the message has {0} recipients, more than {RECIPIENTS_MAX}")]
    TooManyRecipients(usize),
    #[error("this is not a message: it has no header")]
    NotAMessage,
}

/// Reads one message.
pub fn parse(bytes: &[u8], origin: Origin) -> Result<ParsedMessage, MimeError> {
    if bytes.len() > MESSAGE_BYTES_MAX {
        return Err(MimeError::TooLarge(bytes.len()));
    }
    if bytes.iter().filter(|byte| **byte == b'\n').count() > LINES_MAX {
        return Err(MimeError::TooManyLines);
    }
    let message = parser().parse(bytes).ok_or(MimeError::NotAMessage)?;
    let parsed = map(&message, bytes, origin, Depth::Outer);
    dismantle(message);
    parsed
}

/// `Content-Transfer-Encoding` is read as something that the parser does not act on: it would decode a
/// message within the message and descend into it, as deep as the sender likes. Leaves are decoded here.
fn parser() -> MessageParser {
    MessageParser::new()
        .with_mime_headers()
        .with_date_headers()
        .with_address_headers()
        .with_message_ids()
        .header_text(HeaderName::Subject)
        .header_received(HeaderName::Received)
        .header_content_type(HeaderName::ContentTransferEncoding)
}

/// Drops a message without recursion, however deep messages lie in one another.
fn dismantle(message: Message<'_>) {
    let mut open = vec![message.parts];
    while let Some(parts) = open.pop() {
        for part in parts {
            if let PartType::Message(inner) = part.body {
                open.push(inner.parts);
            }
        }
    }
}

/// Whether a message is read for itself or for the message that it is attached to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    Outer,
    Inner,
}

fn map(message: &Message<'_>, bytes: &[u8], origin: Origin, depth: Depth) -> Result<ParsedMessage, MimeError> {
    let headers = message.headers();
    if !headers.iter().any(|header| is_header_name(header.name())) {
        return Err(MimeError::NotAMessage);
    }
    if headers.len() > HEADERS_MAX {
        return Err(MimeError::TooManyHeaders(headers.len()));
    }
    if message.parts.len() > PARTS_MAX {
        return Err(MimeError::TooManyParts(message.parts.len()));
    }
    let marks = match origin {
        Origin::Delivered => Marks::default(),
        Origin::Archive => Marks::read(|name| header_text(message, name)),
    };
    let mut properties = Properties::new();
    let mut put = |name: &str, value: Value| properties.insert(name.to_owned(), value);
    put("subject", json!(message.subject().unwrap_or_default()));
    put("importance", json!(importance(message)));
    put("isRead", json!(marks.is_read));
    put("isDraft", json!(marks.is_draft));
    put("flag", json!({ "flagStatus": if marks.is_flagged { "flagged" } else { "notFlagged" } }));
    put("categories", json!(marks.categories));
    put("inferenceClassification", json!("focused"));
    put("isReadReceiptRequested", json!(header_text(message, "Disposition-Notification-To").is_some()));
    put("isDeliveryReceiptRequested", json!(header_text(message, "Return-Receipt-To").is_some()));
    put("internetMessageHeaders", internet_headers(message));
    people(message, &mut properties)?;
    times(message, &mut properties);
    identity(message, bytes, &mut properties);
    if depth == Depth::Inner {
        body(message, None, &mut properties);
        return Ok(ParsedMessage { properties, folder: marks.folder, meeting: None });
    }
    let (calendar, meeting) = meeting(message, &properties).unzip();
    body(message, calendar, &mut properties);
    attachments(message, calendar, &mut properties);
    Ok(ParsedMessage { properties, folder: marks.folder, meeting })
}

/// The place of the part that tells of a meeting, and what it tells.
fn meeting(message: &Message<'_>, properties: &Properties) -> Option<(u32, Meeting)> {
    let sender = properties.get("from")?.pointer("/emailAddress/address")?.as_str()?;
    message.parts.iter().find_map(|part| {
        let kind = part.content_type()?;
        let is_calendar = kind.ctype().eq_ignore_ascii_case("text")
            && kind.subtype().is_some_and(|subtype| subtype.eq_ignore_ascii_case("calendar"));
        let method = kind.attribute("method").filter(|_| is_calendar)?;
        Some((part.offset_body, ical::read_meeting(&part_text(message, part), method, sender)?))
    })
}

fn is_header_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':')
}

/// The last header of this name as text, unfolded.
fn header_text(message: &Message<'_>, name: &str) -> Option<String> {
    let header = message.headers().iter().rev().find(|header| header.name().eq_ignore_ascii_case(name))?;
    Some(raw_value(message, header.offset_start, header.offset_end))
}

fn raw_value(message: &Message<'_>, start: u32, end: u32) -> String {
    let raw = message.raw_message.get(start as usize..end as usize).unwrap_or_default();
    let text = String::from_utf8_lossy(raw);
    text.trim().replace("\r\n", "").replace('\n', "")
}

fn internet_headers(message: &Message<'_>) -> Value {
    let entry = |header: &mail_parser::Header<'_>| {
        let value = raw_value(message, header.offset_start, header.offset_end);
        json!({ "name": header.name(), "value": value })
    };
    message.headers().iter().filter(|header| is_header_name(header.name())).map(entry).collect()
}

fn importance(message: &Message<'_>) -> &'static str {
    let names = ["Importance", "X-Priority", "X-MSMail-Priority", "Priority"];
    let stated = names.iter().find_map(|name| header_text(message, name)).unwrap_or_default();
    let word = stated.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).next().unwrap_or_default();
    match word.to_ascii_lowercase().as_str() {
        "high" | "urgent" | "1" | "2" => "high",
        "low" | "non-urgent" | "4" | "5" => "low",
        _ => "normal",
    }
}

fn people(message: &Message<'_>, properties: &mut Properties) -> Result<(), MimeError> {
    let from = message.from().and_then(first_recipient);
    let sender = message.sender().and_then(first_recipient);
    let mut put = |name: &str, value: Value| properties.insert(name.to_owned(), value);
    put("from", from.clone().or_else(|| sender.clone()).unwrap_or_default());
    put("sender", sender.or(from).unwrap_or_default());
    let lists = [
        ("toRecipients", HeaderName::To),
        ("ccRecipients", HeaderName::Cc),
        ("bccRecipients", HeaderName::Bcc),
        ("replyTo", HeaderName::ReplyTo),
    ];
    let mut count = 0;
    for (name, header) in lists {
        let lists = message.header_values(header).filter_map(HeaderValue::as_address);
        let list: Vec<Value> = lists.flat_map(Address::iter).filter_map(recipient).take(RECIPIENTS_MAX + 1).collect();
        count += list.len();
        put(name, Value::Array(list));
    }
    if count > RECIPIENTS_MAX { Err(MimeError::TooManyRecipients(count)) } else { Ok(()) }
}

fn first_recipient(address: &Address<'_>) -> Option<Value> {
    address.iter().find_map(recipient)
}

fn recipient(addr: &Addr<'_>) -> Option<Value> {
    let address = addr.address().map(str::trim).filter(|address| !address.is_empty())?;
    let name = addr.name().map(str::trim).filter(|name| !name.is_empty()).unwrap_or(address);
    Some(json!({ "emailAddress": { "name": name, "address": address } }))
}

/// The uppermost `Received` header is the newest: each server writes its own above the others.
fn times(message: &Message<'_>, properties: &mut Properties) {
    let sent = message.header_values(HeaderName::Date).find_map(HeaderValue::as_datetime).and_then(timestamp);
    let hops = message.header_values(HeaderName::Received).filter_map(HeaderValue::as_received);
    let received = hops.filter_map(|hop| hop.date.as_ref()).find_map(timestamp);
    for (name, time) in [("receivedDateTime", received.or(sent)), ("sentDateTime", sent.or(received))] {
        if let Some(time) = time {
            properties.insert(name.to_owned(), json!(time));
        }
    }
}

fn timestamp(date: &DateTime) -> Option<Timestamp> {
    let in_range = date.is_valid() && (1601..=9998).contains(&date.year);
    in_range.then(|| Timestamp::from_seconds(date.to_timestamp()))
}

/// Namespace of the message ids that are derived; random, fixed for ever.
const MESSAGE_ID_NAMESPACE: Uuid = Uuid::from_u128(0x3c1e_9a70_52d4_4f0b_9b7e_61f0_27ad_8c55);

fn identity(message: &Message<'_>, bytes: &[u8], properties: &mut Properties) {
    let own = message.header_values(HeaderName::MessageId).find_map(first_id);
    let own = own.unwrap_or_else(|| format!("<{}@tidings.invalid>", Uuid::new_v5(&MESSAGE_ID_NAMESPACE, bytes)));
    let ancestors = [HeaderName::References, HeaderName::InReplyTo];
    let root = ancestors.into_iter().find_map(|name| message.header_values(name).find_map(first_id));
    let root = root.as_deref().unwrap_or(&own);
    let index = thread_index(message).or_else(|| {
        let received = properties.get("receivedDateTime").and_then(Value::as_str)?;
        Some(conversation_index(root, received.parse().ok()?))
    });
    if let Some(index) = index {
        properties.insert("conversationIndex".to_owned(), json!(index));
    }
    properties.insert("conversationId".to_owned(), json!(conversation_id(root)));
    properties.insert("internetMessageId".to_owned(), json!(own));
}

fn first_id(value: &HeaderValue<'_>) -> Option<String> {
    let id = match value {
        HeaderValue::Text(id) => id.as_ref(),
        HeaderValue::TextList(ids) => ids.first()?.as_ref(),
        _ => return None,
    };
    let id = id.trim();
    (!id.is_empty()).then(|| format!("<{id}>"))
}

/// Outlook's own index of the thread, if it sent one.
fn thread_index(message: &Message<'_>) -> Option<String> {
    header_text(message, "Thread-Index").filter(|index| STANDARD.decode(index).is_ok_and(|bytes| bytes.len() >= 22))
}

/// The text; the part at `calendar` is none.
fn body(message: &Message<'_>, calendar: Option<u32>, properties: &mut Properties) {
    let html = message.html_bodies().find(|part| part.is_text_html()).map(|part| part_text(message, part));
    let plain: Vec<String> = message
        .text_bodies()
        .filter(|part| matches!(part.body, PartType::Text(_)) && Some(part.offset_body) != calendar)
        .map(|p| part_text(message, p))
        .collect();
    let shown = match &html {
        Some(html) if plain.is_empty() => preview("html", html),
        _ => preview("text", &plain.join("\n")),
    };
    if calendar.is_some() && html.is_none() && plain.is_empty() {
        return;
    }
    let (kind, content) = match html {
        Some(html) => ("html", html),
        None => ("text", plain.join("\r\n")),
    };
    properties.insert("bodyPreview".to_owned(), json!(shown));
    properties.insert("body".to_owned(), json!({ "contentType": kind, "content": content }));
}

fn part_text(message: &Message<'_>, part: &MessagePart<'_>) -> String {
    let bytes = part_bytes(message, part);
    let charset = part.content_type().and_then(|kind| kind.attribute("charset"));
    match charset.and_then(|name| charset_decoder(name.as_bytes())) {
        Some(decode) => decode(&bytes),
        None => match std::str::from_utf8(&bytes) {
            Ok(text) => text.to_owned(),
            // No charset, or one that nobody knows: mail of this kind is mostly Western European.
            Err(_) => charset_decoder(b"windows-1252").map(|decode| decode(&bytes)).unwrap_or_default(),
        },
    }
}

/// The part's content without its transfer encoding; as it is, if it does not keep to that.
fn part_bytes<'a>(message: &'a Message<'_>, part: &MessagePart<'_>) -> Cow<'a, [u8]> {
    let raw = message.raw_message.get(part.offset_body as usize..part.offset_end as usize).unwrap_or_default();
    let encoding =
        part.headers.header_value(&HeaderName::ContentTransferEncoding).and_then(HeaderValue::as_content_type);
    let decoded = match encoding.map(|encoding| encoding.ctype().to_ascii_lowercase()).as_deref() {
        Some("base64") => base64_decode(raw),
        Some("quoted-printable") => quoted_printable_decode(raw),
        _ => None,
    };
    decoded.map_or(Cow::Borrowed(raw), Cow::Owned)
}

/// Whether the item in an item attachment is a message.
pub fn is_message(item: &Properties) -> bool {
    item.get("@odata.type").and_then(Value::as_str) == Some("#microsoft.graph.message")
}

fn attachments(message: &Message<'_>, calendar: Option<u32>, properties: &mut Properties) {
    let parts = message.attachments().filter(|part| Some(part.offset_body) != calendar);
    let list: Vec<Value> = parts.enumerate().filter_map(|(index, part)| attachment(message, part, index)).collect();
    let any = list.iter().any(|attachment| attachment["isInline"] == json!(false));
    properties.insert("hasAttachments".to_owned(), json!(any));
    properties.insert("attachments".to_owned(), Value::Array(list));
}

fn attachment(message: &Message<'_>, part: &MessagePart<'_>, index: usize) -> Option<Value> {
    let disposition = part.content_disposition();
    let attached = disposition.is_some_and(|disposition| disposition.is_attachment());
    // A further text of the message itself (a list's footer, an invitation's calendar) is no attachment.
    if part.is_text() && !attached && part.attachment_name().is_none() {
        return None;
    }
    let content_id = part.content_id().map(str::trim).filter(|id| !id.is_empty());
    let content_type = match part.content_type() {
        Some(kind) => format!("{}/{}", kind.ctype(), kind.subtype().unwrap_or("octet-stream")),
        None if part.is_message() => "message/rfc822".to_owned(),
        None => "application/octet-stream".to_owned(),
    };
    let inner_subject = part.message().and_then(Message::subject);
    let name = part.attachment_name().or(inner_subject).map(str::trim).filter(|name| !name.is_empty());
    let content = part_bytes(message, part);
    let item = part.is_message().then(|| inner(&content)).flatten();
    let mut read = json!({
        "@odata.type": if item.is_some() { "#microsoft.graph.itemAttachment" } else { "#microsoft.graph.fileAttachment" },
        "name": name.map_or_else(|| format!("attachment-{}", index + 1), str::to_owned),
        "contentType": content_type,
        "contentBytes": STANDARD.encode(&content),
        "isInline": content_id.is_some() && !attached,
        "contentId": content_id,
    });
    if let Some(item) = item {
        read["item"] = Value::Object(item);
    }
    Some(read)
}

/// The message within a message. What is attached to that one is in its bytes only.
fn inner(bytes: &[u8]) -> Option<Properties> {
    let message = parser().parse(bytes)?;
    let parsed = map(&message, bytes, Origin::Delivered, Depth::Inner);
    dismantle(message);
    let mut properties = parsed.ok()?.properties;
    properties.insert("@odata.type".to_owned(), json!("#microsoft.graph.message"));
    Some(properties)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MULTIPART: &[u8] = b"Received: from mx2.example.org by mbox.example.org; Sat, 21 Nov 2026 10:00:05 +0100\r\n\
Received: from laptop by mx2.example.org; Sat, 21 Nov 2026 10:00:01 +0100\r\n\
From: =?utf-8?q?J=C3=B6rg_M=C3=BCller?= <joerg@example.org>\r\n\
To: Megan <megan@contoso.test>, Friends: adele@contoso.test, alex@contoso.test;\r\n\
Cc: undisclosed-recipients:;\r\n\
Reply-To: desk@example.org\r\n\
Subject: =?iso-8859-1?q?Gr=FC=DFe?= =?utf-8?b?IGF1cyBLw7Zsbg==?=\r\n\
Date: Sat, 21 Nov 2026 09:59:58 +0100\r\n\
Message-ID: <three@example.org>\r\n\
In-Reply-To: <two@example.org>\r\n\
References: <one@example.org>\r\n <two@example.org>\r\n\
Importance: High\r\n\
Disposition-Notification-To: joerg@example.org\r\n\
MIME-Version: 1.0\r\n\
Content-Type: multipart/mixed; boundary=\"out\"\r\n\
\r\n\
--out\r\n\
Content-Type: multipart/related; boundary=rel\r\n\
\r\n\
--rel\r\n\
Content-Type: multipart/alternative; boundary=alt\r\n\
\r\n\
--alt\r\n\
Content-Type: text/plain; charset=utf-8\r\n\
Content-Transfer-Encoding: quoted-printable\r\n\
\r\n\
Sch=C3=B6ne   Gr=C3=BC=C3=9Fe=\r\n\
!\r\n\
--alt\r\n\
Content-Type: text/html; charset=utf-8\r\n\
Content-Transfer-Encoding: base64\r\n\
\r\n\
PHA+U2Now7ZuZSA8Yj5HcsO8w59lPC9iPiE8L3A+\r\n\
--alt--\r\n\
--rel\r\n\
Content-Type: image/png; name=logo.png\r\n\
Content-ID: <logo@example.org>\r\n\
Content-Transfer-Encoding: base64\r\n\
\r\n\
iVBORw0KGgo=\r\n\
--rel--\r\n\
--out\r\n\
Content-Type: application/pdf\r\n\
Content-Disposition: attachment; filename*=utf-8''Angebot%20K%C3%B6ln.pdf\r\n\
Content-Transfer-Encoding: base64\r\n\
\r\n\
JVBERi0xLjQ=\r\n\
--out--\r\n";

    fn properties(bytes: &[u8]) -> Properties {
        parse(bytes, Origin::Delivered).unwrap().properties
    }

    #[test]
    fn a_multipart_message_is_mapped_field_by_field() {
        let message = Value::Object(properties(MULTIPART));
        assert_eq!(message["subject"], "Gr\u{fc}\u{df}e aus K\u{f6}ln");
        assert_eq!(
            message["from"]["emailAddress"],
            json!({ "name": "J\u{f6}rg M\u{fc}ller", "address": "joerg@example.org" })
        );
        assert_eq!(message["sender"], message["from"]);
        assert_eq!(message["toRecipients"].as_array().unwrap().len(), 3);
        assert_eq!(message["toRecipients"][2]["emailAddress"]["name"], "alex@contoso.test");
        assert_eq!(message["ccRecipients"], json!([]));
        assert_eq!(message["replyTo"][0]["emailAddress"]["address"], "desk@example.org");
        assert_eq!(message["receivedDateTime"], "2026-11-21T09:00:05Z");
        assert_eq!(message["sentDateTime"], "2026-11-21T08:59:58Z");
        assert_eq!(message["internetMessageId"], "<three@example.org>");
        assert_eq!(message["importance"], "high");
        assert_eq!(message["isReadReceiptRequested"], true);
        assert_eq!(message["isDeliveryReceiptRequested"], false);
        assert_eq!(message["isRead"], false);
        assert_eq!(message["flag"], json!({ "flagStatus": "notFlagged" }));
        assert_eq!(message["inferenceClassification"], "focused");
        assert_eq!(
            message["body"],
            json!({ "contentType": "html", "content": "<p>Sch\u{f6}ne <b>Gr\u{fc}\u{df}e</b>!</p>" })
        );
        assert_eq!(message["bodyPreview"], "Sch\u{f6}ne Gr\u{fc}\u{df}e!");
        assert_eq!(
            message["internetMessageHeaders"][10],
            json!({ "name": "References", "value": "<one@example.org> <two@example.org>" })
        );
    }

    #[test]
    fn attachments_are_listed_and_inline_ones_do_not_count() {
        let message = properties(MULTIPART);
        assert_eq!(message["hasAttachments"], true);
        let expected = json!([
            { "@odata.type": "#microsoft.graph.fileAttachment", "name": "logo.png", "contentType": "image/png",
              "contentBytes": "iVBORw0KGgo=", "isInline": true, "contentId": "logo@example.org" },
            { "@odata.type": "#microsoft.graph.fileAttachment", "name": "Angebot K\u{f6}ln.pdf",
              "contentType": "application/pdf", "contentBytes": "JVBERi0xLjQ=", "isInline": false, "contentId": null },
        ]);
        assert_eq!(message["attachments"], expected);
        let inline_only = String::from_utf8(MULTIPART.to_vec())
            .unwrap()
            .replace("Content-Disposition: attachment", "Content-ID: <pdf@x>\r\nContent-Disposition: inline");
        assert_eq!(properties(inline_only.as_bytes())["hasAttachments"], false);
    }

    #[test]
    fn replies_share_the_conversation_of_their_first_message() {
        let conversation =
            |headers: &str| properties(format!("{headers}\r\n\r\nhello").as_bytes())["conversationId"].clone();
        let first = conversation("Message-ID: <one@example.org>");
        assert_eq!(conversation("Message-ID: <two@example.org>\r\nIn-Reply-To: <one@example.org>"), first);
        assert_eq!(properties(MULTIPART)["conversationId"], first);
        assert_ne!(conversation("Message-ID: <other@example.org>"), first);
        assert!(first.as_str().unwrap().starts_with("AAQk"));
    }

    #[test]
    fn a_message_without_an_id_gets_the_same_one_each_time() {
        let bytes = b"Subject: no id\n\nbody\n";
        let id = properties(bytes)["internetMessageId"].clone();
        assert!(id.as_str().unwrap().ends_with("@tidings.invalid>"), "{id}");
        assert_eq!(properties(bytes)["internetMessageId"], id);
        assert_ne!(properties(b"Subject: no id\n\nother\n")["internetMessageId"], id);
    }

    #[test]
    fn a_broken_charset_is_still_read() {
        let latin = properties(b"Subject: caf\xe9\nContent-Type: text/plain; charset=no-such-thing\n\nna\xefve \x80\n");
        assert_eq!(latin["body"]["content"], "na\u{ef}ve \u{20ac}\n");
        let wrong = properties(b"Subject: s\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\n%%%not base64%%%\n");
        assert!(wrong["body"]["content"].as_str().unwrap().contains("not base64"));
    }

    #[test]
    fn marks_of_an_archive_hold_and_those_of_a_sender_do_not() {
        let bytes = b"Subject: s\nStatus: RO\nX-Status: F\nX-Folder: Projects\n\nbody\n";
        let archived = parse(bytes, Origin::Archive).unwrap();
        assert_eq!(archived.folder.as_deref(), Some("Projects"));
        assert_eq!(archived.properties["isRead"], true);
        assert_eq!(archived.properties["flag"]["flagStatus"], "flagged");
        let delivered = parse(bytes, Origin::Delivered).unwrap();
        assert_eq!((delivered.folder, &delivered.properties["isRead"]), (None, &json!(false)));
    }

    #[test]
    fn a_message_within_a_message_is_an_item_attachment() {
        let bytes = b"Subject: fwd\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\nsee below\n--b\n\
Content-Type: message/rfc822\n\nSubject: inner\nMessage-ID: <inner@x>\n\ninner body\n--b--\n";
        let message = properties(bytes);
        assert_eq!(message["attachments"][0]["@odata.type"], "#microsoft.graph.itemAttachment");
        assert_eq!(message["attachments"][0]["name"], "inner");
        assert_eq!(message["attachments"][0]["item"]["subject"], "inner");
        let raw = message["attachments"][0]["contentBytes"].as_str().unwrap();
        assert!(STANDARD.decode(raw).unwrap().starts_with(b"Subject: inner\nMessage-ID: <inner@x>\n\ninner body"));
        assert_eq!(message["body"]["content"], "see below");
    }

    #[test]
    fn messages_nested_very_deep_do_no_harm() {
        let mut bytes = b"Subject: deep\n".to_vec();
        for _ in 0..200_000 {
            bytes.extend_from_slice(b"Content-Type:message/rfc822\n\n");
        }
        assert_eq!(properties(&bytes)["subject"], "deep");
        let encoded = base64::engine::general_purpose::STANDARD.encode(&bytes);
        let outer =
            format!("Subject: outer\nContent-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n{encoded}\n");
        assert_eq!(properties(outer.as_bytes())["subject"], "outer");
    }

    #[test]
    fn what_is_no_message_or_too_much_is_refused() {
        for bytes in [b"".as_slice(), b"\n\n\n", b"just a sentence", b"\x00\x01\x02"] {
            assert_eq!(parse(bytes, Origin::Archive), Err(MimeError::NotAMessage), "{bytes:?}");
        }
        assert!(matches!(parse(&vec![b'a'; MESSAGE_BYTES_MAX + 1], Origin::Archive), Err(MimeError::TooLarge(_))));
        let many = format!("{}\n\nbody", "X: y\n".repeat(HEADERS_MAX + 1));
        assert!(matches!(parse(many.as_bytes(), Origin::Archive), Err(MimeError::TooManyHeaders(_))));
        let parts = format!("Content-Type: multipart/mixed; boundary=b\n\n{}", "--b\n\nx\n".repeat(PARTS_MAX + 1));
        assert!(matches!(parse(parts.as_bytes(), Origin::Archive), Err(MimeError::TooManyParts(_))));
        let all = format!("To: {}\n\nbody", "a@b.c, ".repeat(RECIPIENTS_MAX + 1));
        assert!(matches!(parse(all.as_bytes(), Origin::Archive), Err(MimeError::TooManyRecipients(_))));
    }
}
