//! The paths of the management API, below `/subscriptions`. Their fixed parts are read in any case.

use std::borrow::Cow;
use std::fmt;

/// A resource group of an Azure subscription. Here it is a name and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub subscription: String,
    pub name: String,
}

/// Where a partner topic stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicPath {
    pub group: Group,
    pub topic: String,
}

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Those of a subscription, or of one resource group in it.
    Topics {
        subscription: String,
        group: Option<String>,
    },
    Topic(TopicPath),
    Activate(TopicPath),
    Deactivate(TopicPath),
    EventSubscriptions(TopicPath),
    EventSubscription(TopicPath, String),
    FullUrl(TopicPath, String),
    DeliveryAttributes(TopicPath, String),
    /// Ours: the keys of a topic, as namespaces have them.
    Keys(TopicPath),
    RegenerateKey(TopicPath),
    PartnerConfiguration(Group),
    AuthorizePartner(Group),
    UnauthorizePartner(Group),
}

/// What a path names; `None`: nothing that is served.
pub fn resource(path: &str) -> Option<Resource> {
    let parts: Vec<Cow<'_, str>> = path.trim_matches('/').split('/').map(decoded).collect::<Option<_>>()?;
    let parts: Vec<&str> = parts.iter().map(|part| &**part).collect();
    let rest = match parts.as_slice() {
        [first, _, rest @ ..] if is(first, "subscriptions") => rest,
        _ => return None,
    };
    let subscription = parts[1].to_owned();
    let (group, rest) = match rest {
        [groups, group, rest @ ..] if is(groups, "resourceGroups") => (Some((*group).to_owned()), rest),
        rest => (None, rest),
    };
    let rest = match rest {
        [providers, provider, rest @ ..] if is(providers, "providers") && is(provider, "Microsoft.EventGrid") => rest,
        _ => return None,
    };
    match rest {
        [topics] if is(topics, "partnerTopics") => Some(Resource::Topics { subscription, group }),
        [topics, topic, rest @ ..] if is(topics, "partnerTopics") => {
            let group = Group { subscription, name: group? };
            of_topic(TopicPath { group, topic: (*topic).to_owned() }, rest)
        }
        [configurations, default, rest @ ..]
            if is(configurations, "partnerConfigurations") && is(default, "default") =>
        {
            of_configuration(Group { subscription, name: group? }, rest)
        }
        _ => None,
    }
}

fn of_topic(topic: TopicPath, rest: &[&str]) -> Option<Resource> {
    match rest {
        [] => Some(Resource::Topic(topic)),
        [action] if is(action, "activate") => Some(Resource::Activate(topic)),
        [action] if is(action, "deactivate") => Some(Resource::Deactivate(topic)),
        [action] if is(action, "listKeys") => Some(Resource::Keys(topic)),
        [action] if is(action, "regenerateKey") => Some(Resource::RegenerateKey(topic)),
        [subscriptions] if is(subscriptions, "eventSubscriptions") => Some(Resource::EventSubscriptions(topic)),
        [subscriptions, name, rest @ ..] if is(subscriptions, "eventSubscriptions") => {
            let name = (*name).to_owned();
            match rest {
                [] => Some(Resource::EventSubscription(topic, name)),
                [action] if is(action, "getFullUrl") => Some(Resource::FullUrl(topic, name)),
                [action] if is(action, "getDeliveryAttributes") => Some(Resource::DeliveryAttributes(topic, name)),
                _ => None,
            }
        }
        _ => None,
    }
}

fn of_configuration(group: Group, rest: &[&str]) -> Option<Resource> {
    match rest {
        [] => Some(Resource::PartnerConfiguration(group)),
        [action] if is(action, "authorizePartner") => Some(Resource::AuthorizePartner(group)),
        [action] if is(action, "unauthorizePartner") => Some(Resource::UnauthorizePartner(group)),
        _ => None,
    }
}

fn is(part: &str, name: &str) -> bool {
    part.eq_ignore_ascii_case(name)
}

/// A segment without its percent-encoding; `None`: it is empty, or no text.
fn decoded(part: &str) -> Option<Cow<'_, str>> {
    let text = percent_encoding::percent_decode_str(part).decode_utf8().ok()?;
    (!text.is_empty() && !text.contains('/')).then_some(text)
}

impl fmt::Display for TopicPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/providers/Microsoft.EventGrid/partnerTopics/{}", self.group, self.topic)
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/subscriptions/{}/resourceGroups/{}", self.subscription, self.name)
    }
}
