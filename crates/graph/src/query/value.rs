//! Items as a query looks into them: the typed fields beside the property bag.

use std::borrow::Cow;

use odata::Scalar;
use serde_json::Value;

use crate::{Item, Kind, Timestamp};

/// An item, or something that it holds.
#[derive(Clone)]
pub enum Held<'a> {
    Item(&'a Item),
    Json(&'a Value),
    Text(String),
    Time(Timestamp),
}

impl<'a> odata::Value<'a> for Held<'a> {
    fn member(&self, name: &str) -> Option<Self> {
        match self {
            Held::Item(item) => of_item(item, name),
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
            Held::Item(_) => Scalar::Compound,
            Held::Text(text) => Scalar::Text(Cow::Owned(text.clone())),
            Held::Time(time) => Scalar::Instant(time.as_micros()),
            Held::Json(value) => json(value),
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

fn json(value: &Value) -> Scalar<'_> {
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
