//! The events that tell of notifications: one for each, under the notification's id, in the profile of the topic that
//! they go to.

use graph::{ChangeType, Kind, Timestamp};
use protocol::cloud_event::InvalidEvent;
use protocol::event_grid::{self, ItemChange, ItemEvent, ItemKind, LifecycleKind};

use super::{CloudEvent, Profile};
use crate::log::LifecycleEvent;
use crate::node::Notification;
use crate::{Record, Subscription};

/// The event of a notification; `None`: of what it tells there are no events. The time of a lifecycle event, which its
/// record does not have, is `now`; published again, the first one stands.
pub fn event_of(
    notification: &Notification,
    profile: Profile,
    now: Timestamp,
) -> Option<Result<CloudEvent, InvalidEvent>> {
    let subscription = &*notification.subscription;
    let (id, texts) = (notification.id.to_string(), Texts::new(subscription));
    let of = texts.of(subscription);
    let lifecycle = |kind| Some(event_grid::lifecycle_event(&of, &id, &now.to_string(), kind));
    match notification.record.original() {
        Record::Change(change) => {
            let told = ItemEvent {
                id: &id,
                time: &change.at.to_string(),
                position: notification.position.0,
                kind: kind_of(change.item.kind),
                change: change_of(notification.change.unwrap_or(change.change)),
                user: &change.mailbox.to_string(),
                item: &subscription.item_key(change).to_string(),
                etag: &change.id.etag(),
            };
            Some(event_grid::item_event(profile, &of, &told))
        }
        Record::Lifecycle { event, .. } => lifecycle(lifecycle_of(*event)),
        record if record.is_last_word() => lifecycle(LifecycleKind::SubscriptionRemoved),
        // The rules let nobody subscribe so to resources outside of mailboxes, and the node matches no others.
        Record::Ingested(_)
        | Record::Subscription { .. }
        | Record::Submit(_)
        | Record::Replayed { .. }
        | Record::Event(_) => None,
    }
}

struct Texts {
    id: String,
    tenant: String,
    app: String,
    expiration: String,
}

impl Texts {
    fn new(subscription: &Subscription) -> Self {
        Self {
            id: subscription.id.to_string(),
            tenant: subscription.tenant.to_string(),
            app: subscription.app.to_string(),
            expiration: subscription.expiration(),
        }
    }

    fn of<'a>(&'a self, subscription: &'a Subscription) -> event_grid::Subscription<'a> {
        event_grid::Subscription {
            id: &self.id,
            tenant: &self.tenant,
            app: &self.app,
            expiration: &self.expiration,
            client_state: subscription.client_state.as_deref(),
            public_base: subscription.origin().unwrap_or_default(),
        }
    }
}

fn kind_of(kind: Kind) -> ItemKind {
    match kind {
        Kind::Message => ItemKind::Message,
        Kind::Event => ItemKind::Event,
        Kind::Contact => ItemKind::Contact,
    }
}

fn change_of(change: ChangeType) -> ItemChange {
    match change {
        ChangeType::Created => ItemChange::Created,
        ChangeType::Updated => ItemChange::Updated,
        ChangeType::Deleted => ItemChange::Deleted,
    }
}

fn lifecycle_of(event: LifecycleEvent) -> LifecycleKind {
    match event {
        LifecycleEvent::ReauthorizationRequired => LifecycleKind::ReauthorizationRequired,
        LifecycleEvent::SubscriptionRemoved => LifecycleKind::SubscriptionRemoved,
        LifecycleEvent::Missed => LifecycleKind::Missed,
    }
}
