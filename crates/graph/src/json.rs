//! Values as JSON text, for rows and for answers.

use serde::Serialize;

/// Room for the JSON of most items, records and answers, so that it is not moved while it grows.
const JSON_BYTES: usize = 2 << 10;

/// The JSON of a value. Values of ours always have one.
pub fn to_json(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut json = Vec::with_capacity(JSON_BYTES);
    serde_json::to_writer(&mut json, value)?;
    Ok(json)
}
