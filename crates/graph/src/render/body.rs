//! Bodies in the form that the caller prefers.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::{BodyType, Member, Preferences};
use crate::html;

/// A stored `body` as it is shown: of the preferred type, without what could harm unless it is asked for.
/// `written`: as that is written, if it was.
pub(super) fn shown<'a>(body: &'a Value, written: Option<&'a str>, prefer: &Preferences) -> Member<'a> {
    match parts(body) {
        Some((false, _)) if prefer.body != Some(BodyType::Html) && is_plain(body) => Member::Stored(body, written),
        Some((is_html, content)) => Member::Made(converted(is_html, content, prefer)),
        None => Member::Stored(body, written),
    }
}

/// Whether a body is stored in the form in which text is shown.
fn is_plain(body: &Value) -> bool {
    body.get("contentType").and_then(Value::as_str) == Some("text")
        && body.as_object().is_some_and(|all| all.len() == 2)
}

/// What is new in a body: without the messages that it quotes.
pub(super) fn unique(body: &Value, prefer: &Preferences) -> Value {
    let Some((is_html, content)) = parts(body) else { return body.clone() };
    if !is_html {
        return converted(false, before_quote(content), prefer);
    }
    // Cutting leaves elements open; making it safe closes them.
    let cut = before_html_quote(content);
    let whole = cut.len() == content.len() || !prefer.unsafe_html;
    let cut = if whole { Cow::Borrowed(cut) } else { Cow::Owned(html::sanitise(cut)) };
    converted(true, &cut, prefer)
}

fn parts(body: &Value) -> Option<(bool, &str)> {
    let is_html = body.get("contentType")?.as_str()?.eq_ignore_ascii_case("html");
    Some((is_html, body.get("content")?.as_str()?))
}

fn converted(is_html: bool, content: &str, prefer: &Preferences) -> Value {
    match (is_html, prefer.body) {
        (true, Some(BodyType::Text)) => json!({ "contentType": "text", "content": html::to_text(content) }),
        (true, _) if prefer.unsafe_html => json!({ "contentType": "html", "content": content }),
        (true, _) => json!({ "contentType": "html", "content": html::sanitise(content) }),
        (false, Some(BodyType::Html)) => json!({ "contentType": "html", "content": html::from_text(content) }),
        (false, _) => json!({ "contentType": "text", "content": content }),
    }
}

/// Text up to the line with which a mail program begins what it quotes.
fn before_quote(text: &str) -> &str {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if begins_quote(line.trim()) {
            return text[..at].trim_end();
        }
        at += line.len();
    }
    text
}

fn begins_quote(line: &str) -> bool {
    line.starts_with('>')
        || (line.starts_with("-----") && line.ends_with("-----") && line.trim_matches('-').trim().len() > 3)
        || (line.len() >= 20 && line.bytes().all(|byte| byte == b'_'))
        || (line.starts_with("On ") && line.ends_with("wrote:"))
}

/// HTML up to the mark with which a mail program begins what it quotes.
fn before_html_quote(html: &str) -> &str {
    const MARKS: [&str; 7] = [
        "id=\"appendonsend\"",
        "id=\"divrplyfwdmsg\"",
        "class=\"gmail_quote",
        "type=\"cite\"",
        "class=\"moz-cite-prefix",
        "<blockquote",
        "-----original message-----",
    ];
    let lower = html.to_ascii_lowercase();
    let first = MARKS.iter().filter_map(|mark| lower.find(mark)).min();
    let Some(at) = first else { return html };
    // The mark lies within a tag; that tag goes too.
    let tag = lower[..at].rfind('<').filter(|open| !lower[*open..at].contains('>'));
    &html[..tag.unwrap_or(at)]
}
