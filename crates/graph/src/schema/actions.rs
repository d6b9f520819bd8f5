//! The parameters of actions, and bodies of types that are neither items nor folders.

use serde_json::{Map, Value};

use super::read::{DEPTH_MAX, MEMBERS_MAX, STRING_BYTES_MAX, is_deeper, object, parameters, string};
use super::types::{self, Type};
use crate::{Properties, Refusal};

/// The parameters of `reply`, `replyAll`, `forward` and the forms of them that make drafts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// Plain text to stand above what is answered.
    pub comment: Option<String>,
    /// What differs from the message that the server would write.
    pub message: Map<String, Value>,
}

/// Reads the parameters of an answer to a message. Only `forward` has recipients beside the message.
pub fn answer(body: Value, forward: bool) -> Result<Answer, Refusal> {
    let (comment, message, recipients) = if forward {
        let [comment, message, recipients] = parameters(body, ["comment", "message", "toRecipients"])?;
        (comment, message, recipients)
    } else {
        let [comment, message] = parameters(body, ["comment", "message"])?;
        (comment, message, None)
    };
    let comment = match comment {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text),
        Some(_) => return Err(Refusal::invalid("comment", "a string")),
    };
    let mut message = match message {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(message)) => message,
        Some(_) => return Err(Refusal::invalid("message", "a JSON object")),
    };
    let given = |message: &Map<String, Value>, name: &str| {
        message.iter().any(|(key, value)| key.eq_ignore_ascii_case(name) && !value.is_null())
    };
    if comment.is_some() && given(&message, "body") {
        return Err(Refusal::invalid("comment", "absent where message/body is given"));
    }
    if let Some(recipients) = recipients.filter(|recipients| !recipients.is_null()) {
        if given(&message, "toRecipients") {
            return Err(Refusal::invalid("toRecipients", "absent where message/toRecipients is given"));
        }
        message.retain(|name, _| !name.eq_ignore_ascii_case("toRecipients"));
        message.insert("toRecipients".to_owned(), recipients);
    }
    Ok(Answer { comment, message })
}

/// The parameters of `getSchedule`: addresses, start, end and minutes of a slot.
pub type Schedule = (Vec<String>, Option<Value>, Option<Value>, Option<i32>);

/// Reads the parameters of `getSchedule`.
pub fn schedule(body: Value) -> Result<Schedule, Refusal> {
    let names = ["schedules", "startTime", "endTime", "availabilityViewInterval"];
    let [schedules, start, end, interval] = parameters(body, names)?;
    let wrong = || Refusal::invalid("schedules", "an array of addresses");
    let members = match schedules {
        None | Some(Value::Null) => return Err(Refusal::Missing { property: "schedules" }),
        Some(Value::Array(members)) if members.len() <= MEMBERS_MAX => members,
        Some(_) => return Err(wrong()),
    };
    let address = |member: Value| string(member, STRING_BYTES_MAX).map_err(|_| wrong());
    let addresses = members.into_iter().map(address).collect::<Result<_, _>>()?;
    // Some clients send the number as text, and Graph takes it.
    let number = |value: Value| match &value {
        Value::String(text) => text.trim().parse().ok(),
        value => value.as_i64().and_then(|number| i32::try_from(number).ok()),
    };
    let interval = match interval.filter(|interval| !interval.is_null()) {
        None => None,
        Some(value) => {
            let wrong = || Refusal::invalid("availabilityViewInterval", "a 32-bit integer");
            Some(number(value).ok_or_else(wrong)?)
        }
    };
    Ok((addresses, start, end, interval))
}

/// The parameters of `translateExchangeIds`, as sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Translation {
    pub ids: Vec<String>,
    pub source: String,
    pub target: String,
}

/// How many ids one request translates.
pub const TRANSLATED_IDS_MAX: usize = 1_000;

/// Reads the parameters of `translateExchangeIds`.
pub fn translation(body: Value) -> Result<Translation, Refusal> {
    let [ids, source, target] = parameters(body, ["inputIds", "sourceIdType", "targetIdType"])?;
    let Some(Value::Array(ids)) = ids else {
        return Err(Refusal::invalid("inputIds", "an array of strings"));
    };
    if ids.len() > TRANSLATED_IDS_MAX {
        return Err(Refusal::TooLong {
            property: "inputIds".to_owned(),
            length_max: TRANSLATED_IDS_MAX,
            unit: "members",
        });
    }
    let text = |value: Value| match value {
        Value::String(text) => Ok(text),
        _ => Err(Refusal::invalid("inputIds", "an array of strings")),
    };
    let ids = ids.into_iter().map(text).collect::<Result<_, _>>()?;
    let name = |value: Option<Value>, property: &'static str| match value {
        Some(Value::String(text)) => Ok(text),
        None | Some(Value::Null) => Err(Refusal::Missing { property }),
        Some(_) => Err(Refusal::invalid(property, "a string")),
    };
    Ok(Translation { ids, source: name(source, "sourceIdType")?, target: name(target, "targetIdType")? })
}

/// Reads a body of a type of Graph's metadata that is neither an item nor a folder: names and
/// enumeration members come out in Graph's spelling, annotations and `id` are dropped.
pub fn read_named(type_name: &str, body: Value) -> Result<Properties, Refusal> {
    if is_deeper(&body, DEPTH_MAX) {
        return Err(Refusal::TooDeep { levels_max: DEPTH_MAX });
    }
    let Some(Type::Struct(schema)) = types::all().get(type_name) else {
        return Err(Refusal::Unsupported { property: type_name.to_owned() });
    };
    if !body.is_object() {
        return Err(Refusal::invalid(type_name, "a JSON object"));
    }
    let mut read = object(schema, body)?;
    read.remove("id");
    Ok(read)
}
