//! Which notification a match gives, and what it looks like.

use graph::{Change, ChangeType, Kind, SubscriptionId};
use protocol::notification::{ChangeNotification, CollectionWriter, LifecycleNotification, ResourceData};
use uuid::Uuid;

use crate::node::Notification;
use crate::{LifecycleEvent, Record};

/// Namespace of notification ids; random, fixed for ever.
const NAMESPACE: Uuid = Uuid::from_u128(0x9a1c_52f4_3e0b_4f6d_a7d8_11c2_60e9_b35f);

/// The id of the notification that tells `subscription` of `record`: hashed from what is told, never
/// from where it lies, who sends it, or when.
pub fn id(subscription: SubscriptionId, record: &Record, change: Option<ChangeType>) -> Uuid {
    let (told, what) = match record {
        Record::Change(told) => (told.id.0, 1 + change.unwrap_or(told.change) as u8),
        Record::Lifecycle { id, event: LifecycleEvent::Missed, .. } => (id.0, 0x11),
        Record::Lifecycle { id, event: LifecycleEvent::SubscriptionRemoved, .. } => (id.0, 0x12),
        Record::Lifecycle { id, event: LifecycleEvent::ReauthorizationRequired, .. } => (id.0, 0x13),
        Record::Subscription { id, .. } => (id.0, 0),
        Record::Submit(submission) => (submission.id.0, 0),
    };
    let mut name = [0u8; 33];
    name[..16].copy_from_slice(told.as_bytes());
    name[16..32].copy_from_slice(subscription.0.as_bytes());
    name[32] = what;
    Uuid::new_v5(&NAMESPACE, &name)
}

/// The body of the POST that tells of `notifications`, as a `changeNotificationCollection`.
pub fn body(notifications: &[Notification]) -> Vec<u8> {
    let mut collection = CollectionWriter::with_capacity(notifications.len());
    for notification in notifications {
        match &*notification.record {
            Record::Change(change) => push_change(&mut collection, notification, change),
            Record::Lifecycle { event, .. } => push_lifecycle(&mut collection, notification, *event),
            // The node matches no others.
            Record::Subscription { .. } | Record::Submit(_) => {}
        }
    }
    collection.finish()
}

fn push_change(collection: &mut CollectionWriter, notification: &Notification, change: &Change) {
    let subscription = &*notification.subscription;
    let (segment, odata_type) = match change.item.kind {
        Kind::Message => ("Messages", "#Microsoft.Graph.Message"),
        Kind::Event => ("Events", "#Microsoft.Graph.Event"),
        Kind::Contact => ("Contacts", "#Microsoft.Graph.Contact"),
    };
    let item = subscription.item_key(change).to_string();
    let resource = format!("Users/{}/{segment}/{item}", change.mailbox);
    collection.push_change(&ChangeNotification {
        subscription_id: subscription.id.to_string().into(),
        subscription_expiration_date_time: subscription.expiration().into(),
        change_type: notification.change.unwrap_or(change.change).as_str().into(),
        resource: resource.as_str().into(),
        resource_data: ResourceData {
            odata_type: odata_type.into(),
            odata_id: resource.as_str().into(),
            odata_etag: change.id.etag().into(),
            id: item.as_str().into(),
        },
        client_state: subscription.client_state.as_deref().map(Into::into),
        tenant_id: subscription.tenant.to_string().into(),
        id: Some(notification.id.to_string().into()),
    });
}

fn push_lifecycle(collection: &mut CollectionWriter, notification: &Notification, event: LifecycleEvent) {
    let subscription = &*notification.subscription;
    collection.push_lifecycle(&LifecycleNotification {
        lifecycle_event: event.as_str().into(),
        subscription_id: subscription.id.to_string().into(),
        subscription_expiration_date_time: subscription.expiration().into(),
        client_state: subscription.client_state.as_deref().map(Into::into),
        tenant_id: subscription.tenant.to_string().into(),
        id: Some(notification.id.to_string().into()),
    });
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use graph::{ChangeId, FolderId, ItemId, Properties, TenantId, Timestamp, UserId};

    use super::*;
    use crate::Subscription;
    use crate::subscription::{Target, TlsVersion};

    fn uuid(n: u128) -> Uuid {
        Uuid::from_u128(n)
    }

    fn subscription() -> Arc<Subscription> {
        let mailbox = UserId(uuid(2));
        Arc::new(Subscription {
            id: SubscriptionId(uuid(1)),
            tenant: TenantId(uuid(3)),
            app: graph::AppId(uuid(4)),
            creator: mailbox,
            resource: "me/messages".to_owned(),
            target: Target { mailbox, kind: Kind::Message, folder: None },
            change_types: [ChangeType::Created].into_iter().collect(),
            change_type: "created".to_owned(),
            notification_url: "https://hook.example.net/n".to_owned(),
            lifecycle_url: None,
            client_state: Some("s3cret".to_owned()),
            tls_version: TlsVersion::V1_2,
            extras: None,
            immutable_ids: false,
            expires: Timestamp::from_seconds(1_790_000_000),
            expires_tenths: 0,
            created: Timestamp::from_seconds(1_780_000_000),
        })
    }

    fn change(id: u128) -> Record {
        Record::Change(Change {
            id: ChangeId(uuid(id)),
            tenant: TenantId(uuid(3)),
            mailbox: UserId(uuid(2)),
            item: ItemId::new(Kind::Message, uuid(9)),
            immutable: None,
            moved: None,
            folder: FolderId::new(Kind::Message, uuid(8)),
            change: ChangeType::Created,
            at: Timestamp::from_seconds(1_789_000_000),
            created: Timestamp::from_seconds(1_789_000_000),
            after: Properties::new(),
            before: Properties::new(),
        })
    }

    fn told(record: Record, seen: Option<ChangeType>) -> Notification {
        let subscription = subscription();
        Notification { id: id(subscription.id, &record, seen), subscription, record: Arc::new(record), change: seen }
    }

    #[test]
    fn a_change_is_told_in_graphs_form() {
        let body = body(&[told(change(7), Some(ChangeType::Created))]);
        insta::assert_snapshot!(String::from_utf8(body).unwrap(), @r##"{"value":[{"subscriptionId":"00000000-0000-0000-0000-000000000001","subscriptionExpirationDateTime":"2026-09-21T14:13:20Z","changeType":"created","resource":"Users/00000000-0000-0000-0000-000000000002/Messages/AAMkRgAAAAAAAAAAAAAAAAAAAAkAAAA=","resourceData":{"@odata.type":"#Microsoft.Graph.Message","@odata.id":"Users/00000000-0000-0000-0000-000000000002/Messages/AAMkRgAAAAAAAAAAAAAAAAAAAAkAAAA=","@odata.etag":"W/\"CQAAABYAAAAAAAAAAAAAAAAAAAAAAAAHAAAAAAAA\"","id":"AAMkRgAAAAAAAAAAAAAAAAAAAAkAAAA="},"clientState":"s3cret","tenantId":"00000000-0000-0000-0000-000000000003","id":"48b9a526-778a-5d69-8822-3dfc3a61fa95"}]}"##);
    }

    #[test]
    fn events_and_contacts_are_told_of_under_their_own_names() {
        for (kind, collection, type_name) in [(Kind::Event, "Events", "Event"), (Kind::Contact, "Contacts", "Contact")]
        {
            let Record::Change(message) = change(7) else { panic!("a change") };
            let item = ItemId::new(kind, uuid(9));
            let record = Record::Change(Change { item, ..message });
            let text = String::from_utf8(body(&[told(record, Some(ChangeType::Updated))])).unwrap();
            let resource = format!("Users/{}/{collection}/{item}", UserId(uuid(2)));
            assert!(text.contains(&format!("\"resource\":\"{resource}\"")), "{text}");
            assert!(text.contains(&format!("\"@odata.type\":\"#Microsoft.Graph.{type_name}\"")), "{text}");
        }
    }

    #[test]
    fn a_lifecycle_event_tells_of_no_item() {
        let record = Record::Lifecycle {
            id: ChangeId(uuid(7)),
            subscription: SubscriptionId(uuid(1)),
            event: LifecycleEvent::Missed,
        };
        let body = body(&[told(record, None)]);
        insta::assert_snapshot!(String::from_utf8(body).unwrap(), @r##"{"value":[{"lifecycleEvent":"missed","subscriptionId":"00000000-0000-0000-0000-000000000001","subscriptionExpirationDateTime":"2026-09-21T14:13:20Z","clientState":"s3cret","tenantId":"00000000-0000-0000-0000-000000000003","id":"5bc2637c-f27c-540d-9f36-de9cadf9778d"}]}"##);
    }

    #[test]
    fn lifecycle_events_have_graphs_names() {
        for (event, name) in [
            (LifecycleEvent::Missed, "missed"),
            (LifecycleEvent::SubscriptionRemoved, "subscriptionRemoved"),
            (LifecycleEvent::ReauthorizationRequired, "reauthorizationRequired"),
        ] {
            let record = Record::Lifecycle { id: ChangeId(uuid(7)), subscription: SubscriptionId(uuid(1)), event };
            let text = String::from_utf8(body(&[told(record, None)])).unwrap();
            assert!(text.contains(&format!("{{\"lifecycleEvent\":\"{name}\",")), "{text}");
        }
    }

    #[test]
    fn the_id_follows_from_what_is_told_and_to_whom() {
        let subscription = SubscriptionId(uuid(1));
        let told = id(subscription, &change(7), Some(ChangeType::Created));
        assert_eq!(told, id(subscription, &change(7), Some(ChangeType::Created)));
        assert_ne!(told, id(SubscriptionId(uuid(5)), &change(7), Some(ChangeType::Created)));
        assert_ne!(told, id(subscription, &change(8), Some(ChangeType::Created)));
        assert_ne!(told, id(subscription, &change(7), Some(ChangeType::Deleted)));
    }
}
