//! Who may manage a partner topic, publish into it and pull from it without one of its keys: the app that made it or
//! subscribed into it first, for itself, and the administrators of its tenant. A user's consent to an app's reading mail is
//! none to its reading everybody's events.

use super::{Actor, Principal};
use crate::Topic;

pub fn may_use_topic(principal: &Principal, topic: &Topic) -> bool {
    let is_its_app = matches!(principal.actor, Actor::App(_)) && topic.apps.contains(&principal.app);
    principal.tenant == topic.tenant && (is_its_app || principal.admin)
}

/// Whether the caller may make topics at all.
pub fn may_make_topics(principal: &Principal) -> bool {
    matches!(principal.actor, Actor::App(_)) || principal.admin
}
