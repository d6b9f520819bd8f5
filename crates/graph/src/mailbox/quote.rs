//! A message as it is quoted in an answer: below a line, with the header block that Outlook writes.

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::{address_of, text};
use crate::{Properties, Timestamp};

/// How much of a body is quoted.
const QUOTED_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The body of an answer to `old`, in the form of its body, with `comment`, which is plain text, above.
pub(super) fn quoted(old: &Properties, comment: &str) -> Value {
    let body = old.get("body").and_then(Value::as_object).cloned().unwrap_or_default();
    let content = text(&body, "content");
    let content = &content[..content.floor_char_boundary(QUOTED_BYTES_MAX)];
    let lines = header_block(old);
    if text(&body, "contentType").eq_ignore_ascii_case("html") {
        json!({ "contentType": "html", "content": in_html(&lines, content, comment) })
    } else {
        json!({ "contentType": "text", "content": in_text(&lines, content, comment) })
    }
}

fn header_block(old: &Properties) -> Vec<(&'static str, String)> {
    let author = ["from", "sender"].into_iter().find_map(|name| old.get(name)).map(named).unwrap_or_default();
    let mut lines = vec![("From", author), ("Sent", sent(text(old, "sentDateTime")))];
    for (title, list) in [("To", "toRecipients"), ("Cc", "ccRecipients")] {
        let members = old.get(list).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        if !members.is_empty() {
            lines.push((title, members.iter().map(named).collect::<Vec<_>>().join("; ")));
        }
    }
    lines.push(("Subject", text(old, "subject").to_owned()));
    lines
}

/// `Megan Bowen <megan@contoso.test>`
fn named(recipient: &Value) -> String {
    let address = address_of(recipient);
    match recipient.pointer("/emailAddress/name").and_then(Value::as_str) {
        Some(name) if !name.is_empty() && name != address => format!("{name} <{address}>"),
        _ => address.to_owned(),
    }
}

/// `Friday, November 20, 2026 3:15 AM`, in UTC.
fn sent(text: &str) -> String {
    let time = text.parse::<Timestamp>().ok().and_then(|at| jiff::Timestamp::from_microsecond(at.as_micros()).ok());
    let shown = |at| TimeZone::UTC.to_datetime(at).strftime("%A, %B %-d, %Y %-I:%M %p").to_string();
    time.map(shown).unwrap_or_default()
}

fn in_text(lines: &[(&str, String)], content: &str, comment: &str) -> String {
    let mut written = String::with_capacity(content.len() + comment.len() + 512);
    written.push_str(comment);
    written.push_str("\r\n\r\n________________________________\r\n");
    for (title, value) in lines {
        written.push_str(&format!("{title}: {value}\r\n"));
    }
    written.push_str("\r\n");
    written.push_str(content);
    written
}

fn in_html(lines: &[(&str, String)], content: &str, comment: &str) -> String {
    let mut block = String::with_capacity(comment.len() + 512);
    for line in comment.lines() {
        block.push_str(&format!("{}<br>\r\n", escaped(line)));
    }
    block.push_str("<hr tabindex=\"-1\" style=\"display:inline-block; width:98%\">\r\n");
    block.push_str("<div id=\"divRplyFwdMsg\" dir=\"ltr\">");
    let shown: Vec<String> = lines.iter().map(|(title, value)| format!("<b>{title}:</b> {}", escaped(value))).collect();
    block.push_str(&shown.join("<br>\r\n"));
    block.push_str("<div>&nbsp;</div></div>\r\n");
    match behind_body_tag(content) {
        Some(at) => format!("{}{block}{}", &content[..at], &content[at..]),
        None => format!("<html><head></head><body>{block}{content}</body></html>"),
    }
}

/// The place just behind `<body …>`.
fn behind_body_tag(html: &str) -> Option<usize> {
    let begins = |window: &[u8]| window[..5].eq_ignore_ascii_case(b"<body") && !window[5].is_ascii_alphanumeric();
    let at = html.as_bytes().windows(6).position(begins)?;
    html[at..].find('>').map(|end| at + end + 1)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
