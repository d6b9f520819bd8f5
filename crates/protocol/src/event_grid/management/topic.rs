//! Partner topics as they are asked for and answered.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Answered, DESCRIPTION_CHARS_MAX, InvalidBody, TAG_NAME_CHARS_MAX, TAG_VALUE_CHARS_MAX, TAGS_MAX, TopicPath,
    is_given, read, shown,
};
use crate::event_grid::{ItemChange, ItemKind, LifecycleKind, item_event_type};

/// What a topic's owner notes of it: values by their names.
pub type Tags = BTreeMap<String, String>;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TopicProperties<'a> {
    /// `/tenants/{tenant}/applications/{app}`; none if no app has subscribed into it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    pub partner_registration_immutable_id: &'static str,
    pub event_type_info: EventTypes,
    pub provisioning_state: &'static str,
    pub activation_state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expiration_time_if_not_activated_utc: Option<String>,
    pub partner_topic_friendly_description: &'a str,
}

/// `eventTypeInfo`: what a topic of Outlook's carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventTypes;

impl Serialize for EventTypes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Property {
            description: &'static str,
        }
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Info {
            kind: &'static str,
            inline_event_types: BTreeMap<String, Property>,
        }
        let items =
            ItemKind::ALL.into_iter().flat_map(|kind| ItemChange::ALL.map(|change| item_event_type(kind, change)));
        let lives = LifecycleKind::ALL.into_iter().map(|kind| kind.event_type().to_owned());
        let described = |name, description| (name, Property { description });
        let inline_event_types = items
            .map(|name| described(name, "a change of an item in a mailbox"))
            .chain(lives.map(|name| described(name, "a step in the life of a subscription")))
            .collect();
        Info { kind: "Inline", inline_event_types }.serialize(serializer)
    }
}

/// A partner topic as its bodies have it.
pub fn topic<'a>(
    path: &TopicPath,
    location: &'a str,
    tags: &'a Tags,
    properties: TopicProperties<'a>,
) -> Answered<'a, TopicProperties<'a>> {
    Answered {
        id: path.to_string(),
        name: path.topic.clone().into(),
        resource_type: "Microsoft.EventGrid/partnerTopics",
        location: Some(location.into()),
        tags: Some(tags).filter(|tags| !tags.is_empty()),
        properties,
    }
}

/// What somebody wants a partner topic to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedTopic {
    pub location: String,
    pub tags: Tags,
    /// Empty: none.
    pub description: String,
    /// `None`: as it is, or never activated.
    pub is_activated: Option<bool>,
}

impl WantedTopic {
    pub fn parse(body: &[u8]) -> Result<Self, InvalidBody> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Body {
            location: Option<String>,
            tags: Option<Tags>,
            identity: Option<Value>,
            properties: Option<Properties>,
        }
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Properties {
            activation_state: Option<String>,
            partner_topic_friendly_description: Option<String>,
        }
        let body: Body = read("a partner topic", body)?;
        if is_given(body.identity.as_ref()) {
            return Err(InvalidBody::NotServed("identity"));
        }
        let tags = checked(body.tags.unwrap_or_default())?;
        let location = body.location.filter(|location| !location.is_empty()).ok_or(InvalidBody::NoLocation)?;
        let properties = body.properties.unwrap_or_default();
        let description = properties.partner_topic_friendly_description.unwrap_or_default();
        if description.chars().count() > DESCRIPTION_CHARS_MAX {
            return Err(InvalidBody::Description);
        }
        let is_activated = match properties.activation_state.as_deref() {
            None | Some("NeverActivated") => None,
            Some("Activated") => Some(true),
            Some("Deactivated") => Some(false),
            Some(other) => return Err(InvalidBody::ActivationState(shown(other))),
        };
        Ok(Self { location, tags, description, is_activated })
    }
}

/// What changes of a partner topic by a PATCH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicUpdate {
    /// All that it has from then on; `None`: those that it has.
    pub tags: Option<Tags>,
}

impl TopicUpdate {
    pub fn parse(body: &[u8]) -> Result<Self, InvalidBody> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Body {
            tags: Option<Tags>,
            identity: Option<Value>,
        }
        let body: Body = read("an update of a partner topic", body)?;
        if is_given(body.identity.as_ref()) {
            return Err(InvalidBody::NotServed("identity"));
        }
        Ok(Self { tags: body.tags.map(checked).transpose()? })
    }
}

fn checked(tags: Tags) -> Result<Tags, InvalidBody> {
    let is_name = |name: &str| {
        (1..=TAG_NAME_CHARS_MAX).contains(&name.chars().count())
            && !name.contains(|letter: char| "<>%&\\?/".contains(letter) || letter.is_control())
    };
    let is_tag = |(name, value): (&String, &String)| is_name(name) && value.chars().count() <= TAG_VALUE_CHARS_MAX;
    let names: HashSet<String> = tags.keys().map(|name| name.to_lowercase()).collect();
    let are_tags = tags.len() <= TAGS_MAX && names.len() == tags.len() && tags.iter().all(is_tag);
    are_tags.then_some(tags).ok_or(InvalidBody::Tags)
}
