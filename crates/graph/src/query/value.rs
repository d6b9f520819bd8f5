//! Items as a query looks into them: the typed fields beside the property bag; and as change records have
//! them, before and after.

use std::borrow::Cow;

use odata::Scalar;
use serde_json::Value;

use crate::{Change, ChangeType, Item, ItemKey, Kind, Timestamp};

/// An item, or something that it holds.
#[derive(Clone)]
pub enum Held<'a> {
    Item(&'a Item),
    State(State<'a>),
    Json(&'a Value),
    Text(String),
    Time(Timestamp),
}

impl<'a> odata::Value<'a> for Held<'a> {
    fn member(&self, name: &str) -> Option<Self> {
        match self {
            Held::Item(item) => of_item(item, name),
            Held::State(state) => state.member(name),
            Held::Json(value) => value.get(name).map(Held::Json),
            Held::Text(_) | Held::Time(_) => None,
        }
    }

    fn elements(&self) -> impl Iterator<Item = Self> {
        let members = match self {
            Held::Json(Value::Array(members)) => members.as_slice(),
            _ => &[],
        };
        members.iter().map(Held::Json)
    }

    fn scalar(&self) -> Scalar<'a> {
        match self {
            Held::Item(_) | Held::State(_) => Scalar::Compound,
            Held::Text(text) => Scalar::Text(Cow::Owned(text.clone())),
            Held::Time(time) => Scalar::Instant(time.as_micros()),
            Held::Json(value) => json(value),
        }
    }
}

/// The item of a change as it was before it, or is after it. What changes do not carry it does not have.
#[derive(Clone, Copy, Debug)]
pub struct State<'a> {
    pub change: &'a Change,
    pub is_after: bool,
    /// What `id` is: that under which the change is told of.
    pub key: ItemKey,
}

impl<'a> State<'a> {
    fn member(&self, name: &str) -> Option<Held<'a>> {
        let change = self.change;
        match name {
            "id" => Some(Held::Text(self.key.to_string())),
            "createdDateTime" => Some(Held::Time(change.created.whole_seconds())),
            "parentFolderId" if change.item.kind != Kind::Event => {
                let before = change.moved.filter(|_| change.change == ChangeType::Created && !self.is_after);
                Some(Held::Text(before.unwrap_or(change.folder).to_string()))
            }
            _ => {
                let old = change.before.get(name).filter(|_| !self.is_after);
                old.or_else(|| change.after.get(name)).map(Held::Json)
            }
        }
    }
}

fn of_item<'a>(item: &'a Item, name: &str) -> Option<Held<'a>> {
    match name {
        "id" => Some(Held::Text(item.id.to_string())),
        "changeKey" => Some(Held::Text(item.version.change_key().to_string())),
        "createdDateTime" => Some(Held::Time(item.created.whole_seconds())),
        "lastModifiedDateTime" => Some(Held::Time(item.modified)),
        "parentFolderId" if item.id.kind != Kind::Event => Some(Held::Text(item.folder.to_string())),
        _ => item.properties.get(name).map(Held::Json),
    }
}

pub(crate) fn json(value: &Value) -> Scalar<'_> {
    match value {
        Value::Null => Scalar::Null,
        Value::Bool(value) => Scalar::Boolean(*value),
        Value::String(text) => Scalar::Text(Cow::Borrowed(text)),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => Scalar::Integer(integer),
            (None, Some(double)) => Scalar::Double(double),
            (None, None) => Scalar::Null,
        },
        Value::Array(_) | Value::Object(_) => Scalar::Compound,
    }
}
