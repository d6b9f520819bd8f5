//! `sendMail`, and `send` of a draft.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::create::begin_draft;
use super::meeting::Meeting;
use super::message::RECIPIENT_LISTS;
use super::relocate::refile;
use super::{Fresh, Owner, address_of, complete, flag, put_new};
use crate::{Item, Kind, Mutation, Properties, Refusal, WellKnown, schema};

/// How many recipients a message may have, all lists together.
pub const RECIPIENTS_MAX: usize = 500;

/// A message on its way.
#[derive(Clone, Debug, PartialEq)]
pub struct Sent {
    /// What happens in the sender's mailbox; perhaps nothing.
    pub mutation: Mutation,
    /// The message as every recipient gets it.
    pub message: Properties,
    /// What it tells them of a meeting.
    pub meeting: Option<Meeting>,
    /// The addresses it goes to, each once, in lower case.
    pub recipients: Vec<String>,
}

/// Sends a message that was no draft before, and keeps it in Sent Items if `save`.
pub fn send_mail(owner: &Owner, fresh: &Fresh, message: Value, save: bool) -> Result<Sent, Refusal> {
    let mut properties = schema::read(Kind::Message.into(), message)?;
    begin_draft(&mut properties)?;
    send_new(owner, fresh, properties, save)
}

/// Sends a message that stands nowhere yet, and keeps it in Sent Items if `save`.
pub(super) fn send_new(owner: &Owner, fresh: &Fresh, properties: Properties, save: bool) -> Result<Sent, Refusal> {
    let (properties, recipients) = depart(owner, fresh, properties)?;
    let message = as_received(&properties);
    let mutation = match save {
        true => put_new(owner, fresh, WellKnown::SentItems.id_in(owner.id), properties).mutation,
        false => Mutation::default(),
    };
    Ok(Sent { mutation, message, meeting: None, recipients })
}

/// Sends a draft: it moves to Sent Items.
pub fn send_draft(owner: &Owner, fresh: &Fresh, draft: &Item) -> Result<Sent, Refusal> {
    if draft.id.kind != Kind::Message || !flag(&draft.properties, "isDraft") {
        return Err(Refusal::NotADraft);
    }
    let (properties, recipients) = depart(owner, fresh, Properties::clone(&draft.properties))?;
    let message = as_received(&properties);
    let mutation = refile(owner, fresh, draft, WellKnown::SentItems.id_in(owner.id), properties).mutation;
    Ok(Sent { mutation, message, meeting: None, recipients })
}

/// The message as it lies in Sent Items, and where it goes.
fn depart(owner: &Owner, fresh: &Fresh, mut properties: Properties) -> Result<(Properties, Vec<String>), Refusal> {
    properties.retain(|_, value| !value.is_null());
    let recipients = recipients(&properties)?;
    let now = fresh.now.whole_seconds().to_string();
    for (name, value) in [
        ("isDraft", json!(false)),
        ("isRead", json!(true)),
        ("sentDateTime", json!(now)),
        ("receivedDateTime", json!(now)),
    ] {
        properties.insert(name.to_owned(), value);
    }
    let own = json!({ "emailAddress": { "name": owner.name, "address": owner.address } });
    for name in ["from", "sender"] {
        let address = properties.get(name).map(address_of).unwrap_or_default();
        if !address.is_empty() && !address.eq_ignore_ascii_case(&owner.address) {
            return Err(Refusal::SendAsDenied { address: address.chars().take(320).collect() });
        }
        properties.insert(name.to_owned(), own.clone());
    }
    complete(owner, fresh, Kind::Message, &mut properties)?;
    Ok((properties, recipients))
}

fn recipients(properties: &Properties) -> Result<Vec<String>, Refusal> {
    let lists = RECIPIENT_LISTS.iter().filter(|list| **list != "replyTo");
    recipients_of(lists.filter_map(|list| properties.get(*list)?.as_array()).flatten())
}

/// The addresses of recipients, each once, in lower case.
pub(super) fn recipients_of<'a>(members: impl Iterator<Item = &'a Value>) -> Result<Vec<String>, Refusal> {
    let mut found = BTreeSet::new();
    for recipient in members {
        let address = address_of(recipient).trim();
        if !is_address(address) {
            return Err(Refusal::InvalidRecipient { address: address.chars().take(320).collect() });
        }
        found.insert(address.to_lowercase());
        if found.len() > RECIPIENTS_MAX {
            return Err(Refusal::TooManyRecipients { recipients_max: RECIPIENTS_MAX });
        }
    }
    if found.is_empty() { Err(Refusal::NoRecipients) } else { Ok(found.into_iter().collect()) }
}

pub(super) fn is_address(text: &str) -> bool {
    let plain = text.len() <= 320 && !text.contains(|c: char| c.is_whitespace() || c.is_control());
    plain && text.rsplit_once('@').is_some_and(|(user, domain)| !user.is_empty() && !domain.is_empty())
}

/// What is the sender's own stays behind.
fn as_received(properties: &Properties) -> Properties {
    const SENDERS_OWN: [&str; 9] = [
        "bccRecipients",
        "categories",
        "extensions",
        "flag",
        "inferenceClassification",
        "isDraft",
        "isRead",
        "multiValueExtendedProperties",
        "receivedDateTime",
    ];
    let kept = |name: &&String| !SENDERS_OWN.contains(&name.as_str()) && *name != "singleValueExtendedProperties";
    properties.iter().filter(|(name, _)| kept(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}
