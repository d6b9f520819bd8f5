//! Values as JSON text, for rows and for answers.

use serde::Serialize;
use serde_json::Value;

/// Room for the JSON of most items, records and answers, so that it is not moved while it grows.
const JSON_BYTES: usize = 2 << 10;
/// How many bytes of a text are looked at together.
const CHUNK_BYTES: usize = 32;

/// The JSON of a value.
pub fn to_json(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut json = Vec::with_capacity(JSON_BYTES);
    serde_json::to_writer(&mut json, value)?;
    Ok(json)
}

/// An object that is written member by member.
pub(crate) struct ObjectText(Vec<u8>);

impl ObjectText {
    pub fn new() -> Self {
        let mut json = Vec::with_capacity(JSON_BYTES);
        json.push(b'{');
        Self(json)
    }

    /// Writes `"name":value`, as it was `written` before if it was. Where it ends.
    pub fn push(&mut self, (name, value, written): (&str, &Value, Option<&str>)) -> usize {
        let Self(json) = self;
        if json.len() > 1 {
            json.push(b',');
        }
        match written {
            Some(written) => json.extend_from_slice(written.as_bytes()),
            None => write_member(json, name, value),
        }
        json.len()
    }

    pub fn finish(mut self) -> String {
        self.0.push(b'}');
        String::from_utf8(self.0).expect("JSON is UTF-8")
    }
}

fn write_member(json: &mut Vec<u8>, name: &str, value: &Value) {
    write_text(json, name);
    json.push(b':');
    write_value(json, value);
}

fn write_value(json: &mut Vec<u8>, value: &Value) {
    match value {
        Value::String(text) => write_text(json, text),
        Value::Array(members) => {
            json.push(b'[');
            for (index, member) in members.iter().enumerate() {
                if index > 0 {
                    json.push(b',');
                }
                write_value(json, member);
            }
            json.push(b']');
        }
        Value::Object(members) => {
            json.push(b'{');
            for (index, (name, member)) in members.iter().enumerate() {
                if index > 0 {
                    json.push(b',');
                }
                write_member(json, name, member);
            }
            json.push(b'}');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            serde_json::to_writer(json, value).expect("a JSON value can be written");
        }
    }
}

/// Most texts hold nothing that JSON escapes. To find that out for many bytes at once, and to copy them, is a small part of
/// what writing them one by one takes: 17,000 instructions for an accepted message.
fn write_text(json: &mut Vec<u8>, text: &str) {
    let is_escaped = |byte: u8| (byte < b' ') | (byte == b'"') | (byte == b'\\');
    let is_plain = |chunk: &[u8]| !chunk.iter().fold(false, |any, byte| any | is_escaped(*byte));
    if text.as_bytes().chunks(CHUNK_BYTES).all(is_plain) {
        json.push(b'"');
        json.extend_from_slice(text.as_bytes());
        json.push(b'"');
    } else {
        serde_json::to_writer(json, text).expect("a text can be written");
    }
}
