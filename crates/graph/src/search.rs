//! `$search` of messages: the part of KQL that Graph documents for them.
//!
//! Words are found whole and in any case, `word*` finds what begins so, a phrase in quotes finds its words in
//! a row. Without a property they are sought in sender, subject and body, by `attachment` in the names of
//! attachments. `AND`, `OR` and `NOT` are in
//! capitals; words that stand beside each other must all be found.

mod parse;

use odata::folded;
use odata::tree::Comparison;
use serde_json::Value;

use crate::mailbox::plain_text;
use crate::{Attachment, Item, Kind};

/// How many messages a search finds at most.
pub const RESULTS_MAX: u64 = 250;
/// How many words and conditions a search may have.
pub const TERMS_MAX: usize = 64;
/// How deep its parentheses may nest.
pub const DEPTH_MAX: usize = 16;

/// What is sought.
#[derive(Clone, Debug, PartialEq)]
pub struct Search(Test);

#[derive(Clone, Debug, PartialEq)]
enum Test {
    All(Vec<Test>),
    Any(Vec<Test>),
    Not(Box<Test>),
    Words(Place, Words),
    HasAttachment(bool),
    Importance(String),
    Kind(String),
    Time(Moment, Range),
    Size(Range),
}

/// Where words are sought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Sender, subject and body.
    Anywhere,
    Subject,
    Body,
    From,
    To,
    Cc,
    Bcc,
    /// All who receive it.
    Recipients,
    /// All who send or receive it.
    Participants,
    /// The names of its attachments.
    Attachment,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    Received,
    Sent,
}

/// Folded words in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Words {
    words: Vec<String>,
    /// Whether more may follow in the last one.
    is_beginning: bool,
}

/// From the first to the last, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    first: i64,
    last: i64,
}

/// Why a search cannot be made. Positions count bytes of the text within its outer quotes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SearchRefusal {
    #[error("syntax error at position {position}: {expected} expected")]
    Syntax { position: usize, expected: &'static str },
    #[error("the property '{name}' at position {position} cannot be searched")]
    Property { position: usize, name: String },
    #[error("'{value}' at position {position} is no value of this property: write {expected}")]
    Value { position: usize, value: String, expected: &'static str },
    #[error("a search has at most {TERMS_MAX} terms, in parentheses at most {DEPTH_MAX} levels deep")]
    TooLarge,
}

impl Search {
    /// Reads the value of `$search`, with or without the double quotes around it.
    pub fn read(text: &str) -> Result<Self, SearchRefusal> {
        parse::search(text).map(Self)
    }

    /// Whether it looks at the names of attachments, which no item has in itself.
    pub fn seeks_attachments(&self) -> bool {
        self.0.seeks_attachments()
    }

    pub fn matches(&self, item: &Item, attachments: &[Attachment]) -> bool {
        item.id.kind == Kind::Message && self.0.holds(item, attachments)
    }
}

impl Test {
    fn seeks_attachments(&self) -> bool {
        match self {
            Test::All(tests) | Test::Any(tests) => tests.iter().any(Test::seeks_attachments),
            Test::Not(test) => test.seeks_attachments(),
            test => matches!(test, Test::Words(Place::Attachment, _)),
        }
    }

    fn holds(&self, item: &Item, attachments: &[Attachment]) -> bool {
        let text = |name: &str| item.properties.get(name).and_then(Value::as_str);
        match self {
            Test::All(tests) => tests.iter().all(|test| test.holds(item, attachments)),
            Test::Any(tests) => tests.iter().any(|test| test.holds(item, attachments)),
            Test::Not(test) => !test.holds(item, attachments),
            Test::Words(Place::Attachment, words) => attachments.iter().any(|attachment| words.name(attachment)),
            Test::Words(place, words) => place.has(item, words),
            Test::HasAttachment(wanted) => {
                item.properties.get("hasAttachments").and_then(Value::as_bool).unwrap_or(false) == *wanted
            }
            Test::Importance(wanted) => text("importance").unwrap_or("normal") == wanted,
            Test::Kind(wanted) => {
                let odata_type = text("@odata.type").unwrap_or_default();
                let kind = if odata_type.contains("eventMessage") { "meetings" } else { "email" };
                kind == wanted
            }
            Test::Time(moment, range) => {
                let name = if *moment == Moment::Received { "receivedDateTime" } else { "sentDateTime" };
                let at = text(name).and_then(odata::instant::read).map(odata::instant::Read::in_utc);
                at.is_some_and(|at| range.has(at))
            }
            Test::Size(range) => range.has(size(item)),
        }
    }
}

/// The bytes of a message apart from its attachments.
fn size(item: &Item) -> i64 {
    let json = serde_json::to_vec(&item.properties).map_or(0, |json| json.len());
    i64::try_from(json).unwrap_or(i64::MAX)
}

impl Place {
    fn has(self, item: &Item, words: &Words) -> bool {
        let named = |name: &str| item.properties.get(name).is_some_and(|value| is_person(value, words));
        let any = |name: &str| {
            let people = item.properties.get(name).and_then(Value::as_array);
            people.into_iter().flatten().any(|person| is_person(person, words))
        };
        let subject = || item.properties.get("subject").and_then(Value::as_str).is_some_and(|text| words.are_in(text));
        let body = || plain_text(item).is_some_and(|text| words.are_in(&text));
        match self {
            Place::Anywhere => subject() || named("from") || body(),
            Place::Subject => subject(),
            Place::Body => body(),
            Place::From => named("from"),
            Place::To => any("toRecipients"),
            Place::Cc => any("ccRecipients"),
            Place::Bcc => any("bccRecipients"),
            Place::Recipients => ["toRecipients", "ccRecipients", "bccRecipients"].into_iter().any(any),
            Place::Participants => named("from") || Place::Recipients.has(item, words),
            // Not a part of the item.
            Place::Attachment => false,
        }
    }
}

fn is_person(recipient: &Value, words: &Words) -> bool {
    let address = recipient.get("emailAddress");
    let texts = ["name", "address"].into_iter().filter_map(|name| address?.get(name)?.as_str());
    texts.into_iter().any(|text| words.are_in(text))
}

impl Words {
    /// `None` if the text has no words.
    fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        let folded = folded(text);
        let words: Vec<String> = split(&folded).map(str::to_owned).collect();
        (!words.is_empty()).then(|| Self { words, is_beginning: text.ends_with('*') })
    }

    fn name(&self, attachment: &Attachment) -> bool {
        let name = attachment.properties.get("name").and_then(Value::as_str);
        name.is_some_and(|name| self.are_in(name))
    }

    fn are_in(&self, text: &str) -> bool {
        let folded = folded(text);
        let found: Vec<&str> = split(&folded).collect();
        found.windows(self.words.len()).any(|window| {
            let last = window.len() - 1;
            window.iter().zip(&self.words).enumerate().all(|(at, (found, wanted))| {
                found == wanted || (at == last && self.is_beginning && found.starts_with(wanted.as_str()))
            })
        })
    }
}

fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

impl Range {
    fn has(self, value: i64) -> bool {
        (self.first..=self.last).contains(&value)
    }

    /// What compares so with a span: after it, within it, before it.
    fn of(operator: Comparison, span: Range) -> Option<Self> {
        let range = |first, last| Some(Range { first, last });
        match operator {
            Comparison::Eq => Some(span),
            Comparison::Gt => range(span.last.saturating_add(1), i64::MAX),
            Comparison::Ge => range(span.first, i64::MAX),
            Comparison::Lt => range(i64::MIN, span.first.saturating_sub(1)),
            Comparison::Le => range(i64::MIN, span.last),
            Comparison::Ne => None,
        }
    }
}

#[cfg(test)]
mod tests;
