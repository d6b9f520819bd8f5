//! Values as JSON text, for rows and for answers.

use serde::Serialize;
use serde_json::Value;

/// Room for the JSON of most items, records and answers, so that it is not moved while it grows.
const JSON_BYTES: usize = 2 << 10;

/// The JSON of a value. Values of ours always have one.
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
            None => {
                serde_json::to_writer(&mut *json, name).expect("a name can be written");
                json.push(b':');
                serde_json::to_writer(&mut *json, value).expect("a JSON value can be written");
            }
        }
        json.len()
    }

    pub fn finish(mut self) -> String {
        self.0.push(b'}');
        String::from_utf8(self.0).expect("JSON is UTF-8")
    }
}
