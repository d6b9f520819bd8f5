//! `reply`, `replyAll` and `forward`, as drafts or sent at once.

use serde_json::{Value, json};

use super::conversation::{child_index, conversation_id};
use super::create::begin_draft;
use super::quote::quoted;
use super::send::{Sent, send_new};
use super::{Fresh, Owner, Written, address_of, complete, default, flag, put_new, text};
use crate::schema::{self, Answer};
use crate::{Item, Kind, Properties, Refusal, WellKnown};

/// In which way a message is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answering {
    Reply,
    ReplyAll,
    Forward,
}

/// How many ancestors a message names; the first is always among them.
const REFERENCES_MAX: usize = 50;

/// Makes a draft that answers a message. As in Graph, `comment` does not enter its body.
pub fn answer_draft(
    owner: &Owner,
    fresh: &Fresh,
    original: &Item,
    how: Answering,
    asked: Answer,
) -> Result<Written, Refusal> {
    let properties = compose(owner, fresh, original, how, Answer { comment: None, ..asked })?;
    let mut written = put_new(owner, fresh, WellKnown::Drafts.id_in(owner.id), properties);
    written.mutation.expect.push((original.id, Some(original.version)));
    if how == Answering::Forward {
        written.mutation.attachment_copies.push((original.immutable, written.item.immutable));
    }
    Ok(written)
}

/// Answers a message at once, and keeps the answer in Sent Items.
pub fn send_answer(
    owner: &Owner,
    fresh: &Fresh,
    original: &Item,
    how: Answering,
    asked: Answer,
) -> Result<Sent, Refusal> {
    let properties = compose(owner, fresh, original, how, asked)?;
    let mut sent = send_new(owner, fresh, properties, true)?;
    sent.mutation.expect.push((original.id, Some(original.version)));
    if how == Answering::Forward {
        sent.mutation.attachment_copies.push((original.immutable, fresh.uuid));
    }
    Ok(sent)
}

fn compose(
    owner: &Owner,
    fresh: &Fresh,
    original: &Item,
    how: Answering,
    asked: Answer,
) -> Result<Properties, Refusal> {
    let old = &original.properties;
    let mut properties = schema::read(Kind::Message.into(), Value::Object(asked.message))?;
    begin_draft(&mut properties)?;
    properties.retain(|_, value| !value.is_null());
    default(&mut properties, "subject", || subject(how, text(old, "subject")).into());
    let (to, cc) = recipients(owner, old, how);
    default(&mut properties, "toRecipients", || to.into());
    default(&mut properties, "ccRecipients", || cc.into());
    default(&mut properties, "body", || quoted(old, asked.comment.as_deref().unwrap_or_default()));
    continue_thread(fresh, old, &mut properties);
    if how == Answering::Forward && flag(old, "hasAttachments") {
        properties.insert("hasAttachments".to_owned(), true.into());
    }
    complete(owner, fresh, Kind::Message, &mut properties)?;
    Ok(properties)
}

/// The topic behind one prefix, whatever prefixes stood before it.
fn subject(how: Answering, old: &str) -> String {
    const PREFIXES: [&str; 3] = ["re:", "fw:", "fwd:"];
    let mut topic = old.trim_start();
    while let Some(prefix) =
        PREFIXES.iter().find(|prefix| topic.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix)))
    {
        topic = topic[prefix.len()..].trim_start();
    }
    format!("{} {topic}", if how == Answering::Forward { "FW:" } else { "RE:" })
}

/// Whom the answer goes to: `toRecipients` and `ccRecipients`.
fn recipients(owner: &Owner, old: &Properties, how: Answering) -> (Vec<Value>, Vec<Value>) {
    let list = |name: &str| old.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let author =
        || ["from", "sender"].into_iter().filter_map(|name| old.get(name)).find(|one| !address_of(one).is_empty());
    let asked_for = Some(list("replyTo")).filter(|list| !list.is_empty());
    let back = asked_for.unwrap_or_else(|| author().cloned().into_iter().collect());
    match how {
        Answering::Forward => (Vec::new(), Vec::new()),
        Answering::Reply => (back, Vec::new()),
        Answering::ReplyAll => {
            let mut seen = vec![owner.address.to_lowercase()];
            let mut others = |list: Vec<Value>| -> Vec<Value> {
                let mut is_new = |one: &Value| {
                    let address = address_of(one).to_lowercase();
                    let new = !address.is_empty() && !seen.contains(&address);
                    seen.push(address);
                    new
                };
                list.into_iter().filter(|one| is_new(one)).collect()
            };
            let to = others(back.iter().cloned().chain(list("toRecipients")).collect());
            let cc = others(list("ccRecipients"));
            // A message that one wrote to oneself.
            if to.is_empty() && cc.is_empty() { (back, cc) } else { (to, cc) }
        }
    }
}

/// The answer belongs to the conversation of what it answers, and says so to other mail systems.
pub(super) fn continue_thread(fresh: &Fresh, old: &Properties, properties: &mut Properties) {
    let own = text(old, "internetMessageId");
    let id = Some(text(old, "conversationId")).filter(|id| !id.is_empty()).map(str::to_owned);
    properties.insert("conversationId".to_owned(), id.unwrap_or_else(|| conversation_id(own)).into());
    let index = child_index(text(old, "conversationIndex"), own, fresh.now, fresh.uuid.as_bytes()[15]);
    properties.insert("conversationIndex".to_owned(), index.into());
    if own.is_empty() {
        return;
    }
    let header = |name: &str| {
        let headers = old.get("internetMessageHeaders").and_then(Value::as_array).into_iter().flatten();
        let mut named = headers.filter(|header| {
            header.get("name").and_then(Value::as_str).is_some_and(|found| found.eq_ignore_ascii_case(name))
        });
        named.next().and_then(|header| header.get("value")).and_then(Value::as_str).unwrap_or_default()
    };
    let mut ancestors: Vec<&str> = match header("References") {
        "" => header("In-Reply-To").split_whitespace().take(1).collect(),
        known => known.split_whitespace().collect(),
    };
    if ancestors.len() >= REFERENCES_MAX {
        ancestors.drain(1..ancestors.len() + 2 - REFERENCES_MAX);
    }
    ancestors.push(own);
    let references = ancestors.join(" ");
    let headers = properties.entry("internetMessageHeaders").or_insert_with(|| json!([]));
    if let Some(headers) = headers.as_array_mut() {
        headers.push(json!({ "name": "In-Reply-To", "value": own }));
        headers.push(json!({ "name": "References", "value": references }));
    }
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
