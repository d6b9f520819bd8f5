//! What an advanced filter looks at: an attribute of the event, by CloudEvents' name or by Event Grid's older one, or a
//! member of its data.

use super::{Problem, TEXT_CHARS_MAX};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Id,
    Source,
    Type,
    Subject,
    Time,
    SpecVersion,
    DataContentType,
    DataSchema,
    Extension(String),
    /// The names of members from the data on; none: the data itself.
    Data(Vec<String>),
}

impl Key {
    /// Attributes are named in any case, members of data exactly. A dot in a member's name is written `\.`, and a
    /// backslash `\\`: Event Grid has no way to write the first.
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        if text.chars().count() > TEXT_CHARS_MAX {
            return Err(Problem::KeyTooLong);
        }
        let mut names = segments(text)?;
        let first = names.remove(0).to_ascii_lowercase();
        if first == "data" {
            return Ok(Self::Data(names));
        }
        if !names.is_empty() {
            return Err(Problem::Key);
        }
        Ok(match first.as_str() {
            "id" | "eventid" => Self::Id,
            "source" => Self::Source,
            "type" | "eventtype" => Self::Type,
            "subject" => Self::Subject,
            "time" | "eventtime" => Self::Time,
            "specversion" => Self::SpecVersion,
            "datacontenttype" => Self::DataContentType,
            "dataschema" | "eventtypeversion" => Self::DataSchema,
            name if name.len() <= 20 && name.bytes().all(|byte| byte.is_ascii_alphanumeric()) => Self::Extension(first),
            _ => return Err(Problem::Key),
        })
    }
}

/// At least one, and none of them empty.
fn segments(text: &str) -> Result<Vec<String>, Problem> {
    let mut segments = vec![String::new()];
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        let plain = match letter {
            '.' => {
                segments.push(String::new());
                continue;
            }
            '\\' => letters.next().filter(|escaped| matches!(escaped, '.' | '\\')).ok_or(Problem::Escape)?,
            other => other,
        };
        if let Some(last) = segments.last_mut() {
            last.push(plain);
        }
    }
    if segments.iter().any(String::is_empty) { Err(Problem::Key) } else { Ok(segments) }
}
