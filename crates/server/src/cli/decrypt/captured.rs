//! What somebody may have kept of notifications: bodies, single ones, or what is encrypted of one.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use graph::Timestamp;
use protocol::EncryptedContent;
use serde_json::{Deserializer, Map, Value};

use crate::cli::listen::printable;

/// An object without any of these is no notification.
const MEMBERS: [&str; 4] = ["subscriptionId", "changeType", "lifecycleEvent", "encryptedContent"];

pub enum Captured {
    /// A notification with its number in the input, from 1.
    Item(usize, Item),
    /// What a validation token says.
    Token(String),
    Unreadable(String),
}

pub struct Item(Map<String, Value>);

impl Item {
    /// What it tells of.
    pub fn of(&self) -> String {
        let member = |name| self.0.get(name).and_then(Value::as_str).map(printable);
        let mut words: Vec<String> =
            ["changeType", "lifecycleEvent", "resource"].into_iter().filter_map(member).collect();
        words.extend(member("subscriptionId").map(|id| format!("(subscription {id})")));
        if words.is_empty() { "encrypted content alone".into() } else { words.join(" ") }
    }

    pub fn notification(&self) -> &Map<String, Value> {
        &self.0
    }

    pub fn content(&self) -> Result<Option<EncryptedContent>, serde_json::Error> {
        self.0.get("encryptedContent").map_or(Ok(None), |content| serde_json::from_value(content.clone()))
    }
}

/// How many of each were met.
#[derive(Default)]
struct Numbers {
    bodies: usize,
    items: usize,
}

/// What is in the input, in its order. After what is not JSON nothing more is read.
pub fn captured(input: &[u8]) -> Vec<Captured> {
    let (mut found, mut numbers) = (Vec::new(), Numbers::default());
    let input = input.strip_prefix(b"\xef\xbb\xbf").unwrap_or(input);
    for document in Deserializer::from_slice(input).into_iter::<Value>() {
        match document {
            Ok(document) => add(document, &mut numbers, &mut found),
            Err(error) if error.is_eof() => found.push(Captured::Unreadable(format!("the input is cut off: {error}"))),
            Err(error) => found.push(Captured::Unreadable(format!("the input is not JSON: {error}"))),
        }
    }
    found
}

fn add(document: Value, numbers: &mut Numbers, found: &mut Vec<Captured>) {
    let strange = || Captured::Unreadable("something in the input is no notification".into());
    match document {
        Value::Array(documents) => documents.into_iter().for_each(|document| add(document, numbers, found)),
        // As `--json` prints it.
        Value::Object(mut object) if object.get("notification").is_some_and(Value::is_object) => {
            add(object.remove("notification").unwrap_or_default(), numbers, found);
        }
        Value::Object(mut object) => match object.remove("value") {
            Some(value @ Value::Array(_)) => {
                numbers.bodies += 1;
                let of = numbers.bodies;
                add(value, numbers, found);
                let tokens = object.get("validationTokens").and_then(Value::as_array);
                let lines = tokens.into_iter().flatten().map(token_line);
                found.extend(lines.map(|line| Captured::Token(format!("body {of}: {line}"))));
            }
            _ => {
                let is_content = object.contains_key("dataKey") || object.contains_key("dataSignature");
                if !is_content && !MEMBERS.iter().any(|name| object.contains_key(*name)) {
                    found.push(strange());
                    return;
                }
                numbers.items += 1;
                let item = match is_content {
                    true => Map::from_iter([("encryptedContent".to_owned(), Value::Object(object))]),
                    false => object,
                };
                found.push(Captured::Item(numbers.items, Item(item)));
            }
        },
        _ => found.push(strange()),
    }
}

fn token_line(token: &Value) -> String {
    let Some(claims) = token.as_str().and_then(claims) else {
        return "a validation token that cannot be read".into();
    };
    let text = |name| claims[name].as_str().map_or_else(|| "?".into(), printable);
    let until = claims["exp"].as_i64().map_or_else(|| "?".into(), |exp| Timestamp::from_seconds(exp).to_string());
    format!("a validation token for the app {}, of {}, until {until} (not verified)", text("aud"), text("iss"))
}

fn claims(token: &str) -> Option<Value> {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&payload).ok()
}
