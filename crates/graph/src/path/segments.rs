//! Cuts a path into segments and names from keys. Knows no resource.

use percent_encoding::percent_decode_str;

use super::PathError;

/// The longest path that is read, in bytes.
pub const PATH_BYTES_MAX: usize = 4096;
/// The most segments that a path may have.
pub const SEGMENTS_MAX: usize = 32;

/// The segments still to be read, each percent-decoded once.
#[derive(Clone)]
pub(crate) struct Segments(std::vec::IntoIter<String>);

/// A segment read as a name: `messages`, or `messages('…')` with its key.
pub(crate) struct Name {
    /// In lower case, without the `microsoft.graph.` that bound functions may carry.
    pub text: String,
    pub key: Option<String>,
}

impl Segments {
    pub fn cut(path: &str) -> Result<Self, PathError> {
        if path.len() > PATH_BYTES_MAX {
            return Err(PathError::TooLong);
        }
        let mut segments = Vec::new();
        let mut rest = path;
        while !rest.is_empty() {
            let (segment, after) = first_segment(rest);
            rest = after;
            if segment.is_empty() {
                continue;
            }
            if segments.len() == SEGMENTS_MAX {
                return Err(PathError::TooLong);
            }
            let decoded = percent_decode_str(segment).decode_utf8().map_err(|_| PathError::BadEncoding)?;
            segments.push(decoded.into_owned());
        }
        Ok(Self(segments.into_iter()))
    }

    /// The next segment as a name, or `None` at the path's end.
    pub fn name(&mut self) -> Result<Option<Name>, PathError> {
        self.0.next().map(|segment| read_name(&segment)).transpose()
    }

    /// The next segment, whole, as a key.
    pub fn key(&mut self) -> Option<String> {
        self.0.next()
    }

    /// Whether the path ends here.
    pub fn end(&mut self) -> Result<(), PathError> {
        match self.0.next() {
            None => Ok(()),
            Some(rest) => Err(PathError::UnknownSegment(shown(&rest))),
        }
    }
}

/// Cuts at the first `/` that does not lie in a quoted key.
fn first_segment(path: &str) -> (&str, &str) {
    let slash = path.find('/').unwrap_or(path.len());
    let end = match path.find("('") {
        Some(open) if open < slash => path[open..].find("')").map_or(slash, |length| {
            let close = open + length + 2;
            path[close..].find('/').map_or(path.len(), |slash| close + slash)
        }),
        _ => slash,
    };
    (&path[..end], path.get(end + 1..).unwrap_or_default())
}

fn read_name(segment: &str) -> Result<Name, PathError> {
    let (name, key) = match segment.split_once('(') {
        None => (segment, None),
        Some((name, rest)) => (name, Some(rest.strip_suffix(')').ok_or_else(|| bad_key(segment))?)),
    };
    let mut text = name.to_ascii_lowercase();
    if let Some(bound) = text.strip_prefix("microsoft.graph.") {
        text = bound.to_owned();
    }
    let key = match key.map(str::trim) {
        None | Some("") => None,
        Some(key) => Some(unquote(key).ok_or_else(|| bad_key(segment))?),
    };
    Ok(Name { text, key })
}

/// `'o''brien'` is `o'brien`; a key without quotes stands for itself.
fn unquote(key: &str) -> Option<String> {
    let Some(quoted) = key.strip_prefix('\'') else {
        return Some(key.to_owned());
    };
    let text = quoted.strip_suffix('\'')?.replace("''", "'");
    (!text.is_empty()).then_some(text)
}

fn bad_key(segment: &str) -> PathError {
    PathError::BadKey(shown(segment))
}

/// As much of a segment as an error message repeats.
pub(crate) fn shown(segment: &str) -> String {
    segment.chars().take(128).collect()
}
