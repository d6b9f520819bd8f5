//! The parameters of what can be done with a meeting. An absent body is an empty one.

use serde_json::{Value, json};

use super::read::{MEMBERS_MAX, STRING_BYTES_MAX, boolean, named, parameters, string};
use crate::Refusal;

/// How an attendee responds.
#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    pub comment: String,
    /// Whether the organizer is to hear of it.
    pub send: bool,
    /// A `timeSlot`, as it was sent.
    pub proposed: Option<Value>,
}

/// Reads the parameters of `accept`, and those of `decline` and `tentativelyAccept`, which can propose
/// another time.
pub fn response(body: Value, can_propose: bool) -> Result<Response, Refusal> {
    let (comment, send, proposed) = if can_propose {
        let [comment, send, proposed] = parameters(body, ["comment", "sendResponse", "proposedNewTime"])?;
        (comment, send, proposed)
    } else {
        let [comment, send] = parameters(body, ["comment", "sendResponse"])?;
        (comment, send, None)
    };
    let send = match send {
        None | Some(Value::Null) => true,
        Some(value) => boolean(&value).ok_or_else(|| Refusal::invalid("sendResponse", "a boolean"))?,
    };
    let proposed = proposed.filter(|slot| !slot.is_null());
    let proposed = proposed.map(|slot| named("timeSlot", slot)).transpose();
    Ok(Response {
        comment: read_comment(comment)?,
        send,
        proposed: proposed.map_err(|refusal| refusal.within("proposedNewTime"))?,
    })
}

/// Reads the parameter of `cancel`.
pub fn comment(body: Value) -> Result<String, Refusal> {
    let [comment] = parameters(body, ["comment"])?;
    read_comment(comment)
}

/// Reads the parameters of an event's `forward`: to whom, and with which words.
pub fn event_forward(body: Value) -> Result<(Vec<Value>, String), Refusal> {
    let [to, comment] = parameters(body, ["toRecipients", "comment"])?;
    let members = match to {
        None | Some(Value::Null) => return Err(Refusal::Missing { property: "toRecipients" }),
        Some(Value::Array(members)) if members.len() <= MEMBERS_MAX => members,
        Some(Value::Array(_)) => {
            let property = "toRecipients".to_owned();
            return Err(Refusal::TooLong { property, length_max: MEMBERS_MAX, unit: "members" });
        }
        Some(_) => return Err(Refusal::invalid("toRecipients", "an array")),
    };
    let to = members.into_iter().map(|member| named("recipient", member)).collect::<Result<Vec<_>, _>>();
    Ok((to.map_err(|refusal| refusal.within("toRecipients"))?, read_comment(comment)?))
}

fn read_comment(comment: Option<Value>) -> Result<String, Refusal> {
    let comment = comment.filter(|comment| !comment.is_null()).unwrap_or_else(|| json!(""));
    string(comment, STRING_BYTES_MAX).map_err(|refusal| refusal.within("comment"))
}
