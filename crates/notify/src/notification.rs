//! Which notification a match gives, and what it looks like.

use graph::registry::{Ingested, MEETING_URL, Telling};
use graph::{Change, ChangeType, Kind, SubscriptionId};
use protocol::notification::{ChangeNotification, CollectionWriter, LifecycleNotification, ResourceData};
use uuid::Uuid;

use crate::node::Notification;
use crate::{LifecycleEvent, Record, Subscription};

/// Namespace of notification ids; random, fixed for ever.
const NAMESPACE: Uuid = Uuid::from_u128(0x9a1c_52f4_3e0b_4f6d_a7d8_11c2_60e9_b35f);
/// What a notification needs in a body, before its variable parts.
const NOTIFICATION_BYTES: usize = 640;

/// The id of the notification that tells `subscription` of `record`: hashed from what is told, never
/// from where it lies, who sends it, or when.
pub fn id(subscription: SubscriptionId, record: &Record, change: Option<ChangeType>) -> Uuid {
    let (told, what) = match record {
        Record::Change(told) => (told.id.0, 1 + change.unwrap_or(told.change) as u8),
        Record::Ingested(told) => (told.id.0, 1 + change.unwrap_or(ChangeType::Updated) as u8),
        Record::Lifecycle { id, event: LifecycleEvent::Missed, .. } => (id.0, 0x11),
        Record::Lifecycle { id, event: LifecycleEvent::SubscriptionRemoved, .. } => (id.0, 0x12),
        Record::Lifecycle { id, event: LifecycleEvent::ReauthorizationRequired, .. } => (id.0, 0x13),
        // Of a life only its end is told, once.
        Record::Subscription { id, .. } => (id.0, 0x12),
        Record::Submit(submission) => (submission.id.0, 0),
    };
    let mut name = [0u8; 33];
    name[..16].copy_from_slice(told.as_bytes());
    name[16..32].copy_from_slice(subscription.0.as_bytes());
    name[32] = what;
    Uuid::new_v5(&NAMESPACE, &name)
}

/// About how many bytes of a body the notification of `record` needs.
pub(crate) fn estimated_bytes(subscription: &Subscription, _record: &Record, _content_bytes_max: usize) -> usize {
    NOTIFICATION_BYTES + subscription.client_state.as_ref().map_or(0, String::len)
}

/// The body of the POST that tells of `notifications`, as a `changeNotificationCollection`.
pub fn body(notifications: &[Notification]) -> Vec<u8> {
    let mut collection = CollectionWriter::with_capacity(notifications.len());
    for notification in notifications {
        match &*notification.record {
            Record::Change(change) => push_change(&mut collection, notification, change),
            Record::Ingested(change) => push_ingested(&mut collection, notification, change),
            Record::Lifecycle { event, .. } => push_lifecycle(&mut collection, notification, *event),
            record if record.is_last_word() => {
                push_lifecycle(&mut collection, notification, LifecycleEvent::SubscriptionRemoved);
            }
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
        resource_data: Some(ResourceData {
            odata_type: odata_type.into(),
            odata_id: resource.as_str().into(),
            odata_etag: Some(change.id.etag().into()),
            id: item.as_str().into(),
        }),
        client_state: subscription.client_state.as_deref().map(Into::into),
        tenant_id: subscription.tenant.to_string().into(),
        encrypted_content: None,
        id: Some(notification.id.to_string().into()),
    });
}

fn push_ingested(collection: &mut CollectionWriter, notification: &Notification, change: &Ingested) {
    let subscription = &*notification.subscription;
    let thing = &change.thing;
    let (resource, named) = match thing.row.telling {
        Telling::Thing { resource, odata_id } => (thing.shown(resource), Some((thing.shown(odata_id), thing.id()))),
        Telling::Place => {
            let path = subscription.resource.split('?').next().unwrap_or_default();
            (path.trim_matches('/').to_owned(), None)
        }
        Telling::Meeting => {
            let url = change.meeting_url().unwrap_or_default().replace('\'', "''");
            let query = format!("communications/onlineMeetings?$filter={MEETING_URL}+eq+'{url}'");
            (query.clone(), Some((query.clone(), query)))
        }
    };
    collection.push_change(&ChangeNotification {
        subscription_id: subscription.id.to_string().into(),
        subscription_expiration_date_time: subscription.expiration().into(),
        change_type: notification.change.unwrap_or(ChangeType::Updated).as_str().into(),
        resource: resource.into(),
        resource_data: named.map(|(odata_id, id)| ResourceData {
            odata_type: thing.kind.entry().odata_type.into(),
            odata_id: odata_id.into(),
            odata_etag: change.etag().map(Into::into),
            id: id.into(),
        }),
        client_state: subscription.client_state.as_deref().map(Into::into),
        tenant_id: subscription.tenant.to_string().into(),
        encrypted_content: None,
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

    use graph::registry;
    use graph::{ChangeId, FolderId, ItemId, Properties, TenantId, Timestamp, UserId};

    use super::*;
    use crate::subscription::{Target, TlsVersion};
    use crate::{EndReason, Subscription};

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
            target: Target::Items { mailbox, kind: Kind::Message, folder: None },
            change_types: [ChangeType::Created].into_iter().collect(),
            change_type: "created".to_owned(),
            notification_url: "https://hook.example.net/n".to_owned(),
            lifecycle_url: None,
            client_state: Some("s3cret".to_owned()),
            tls_version: TlsVersion::V1_2,
            extras: None,
            immutable_ids: false,
            authorized: Timestamp::from_seconds(1_780_000_000),
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

    /// What is told of a resource that was subscribed to as `resource`, without what is the same for all.
    fn told_of(resource: &str, path: &str, after: serde_json::Value) -> String {
        let thing = registry::thing(path, |_| Err::<UserId, _>(registry::ThingError::Me)).unwrap();
        let record = Record::Ingested(Box::new(Ingested {
            id: ChangeId(uuid(7)),
            tenant: TenantId(uuid(3)),
            thing,
            happened: registry::Happened::Updated,
            at: Timestamp::from_seconds(1_789_000_000),
            before: None,
            after: after.as_object().cloned(),
        }));
        let mut notification = told(record, Some(ChangeType::Updated));
        notification.subscription =
            Arc::new(Subscription { resource: resource.to_owned(), ..Subscription::clone(&notification.subscription) });
        let body: serde_json::Value = serde_json::from_slice(&body(&[notification])).unwrap();
        let told = &body["value"][0];
        assert_eq!(told["changeType"], "updated");
        format!("{}\n  {}", told["resource"].as_str().unwrap(), told["resourceData"])
    }

    #[test]
    fn resources_are_told_of_as_the_documentation_shows_them() {
        let none = || serde_json::json!({});
        let chat = "19:a_b@unq.gbl.spaces";
        let meeting = serde_json::json!({ "joinWebUrl": "https://teams.example/l/o'brien" });
        let told = [
            told_of("/me/drive/root", &format!("users/{}/drive/root", uuid(2)), none()),
            told_of("sites/s/lists/l", "sites/s/lists/l", none()),
            told_of("users", &format!("users/{}", uuid(7)), none()),
            told_of("groups/7", "groups/7/members", serde_json::json!({ "@odata.etag": "W/\"1\"" })),
            told_of("chats/getAllMessages", &format!("chats/{chat}/messages/16"), none()),
            told_of("teams/getAllMessages", "teams/t/channels/c/messages/1/replies/2", none()),
            told_of("me/todo/lists/l/tasks", &format!("users/{}/todo/lists/l/tasks/t", uuid(2)), none()),
            told_of("me/tasks/lists/l/tasks", &format!("users/{}/tasks/lists/l/tasks/t", uuid(2)), none()),
            told_of("communications/callRecords", "communications/callRecords/c", none()),
            told_of("communications/presences/p", "communications/presences/p", none()),
            told_of("print/taskDefinitions/d/tasks", "print/taskDefinitions/d/tasks/t", none()),
            told_of("print/printers/p/jobs", "print/printers/p/jobs/1", none()),
            told_of("security/alerts?$filter=a", "security/alerts/a", none()),
            told_of("communications/onlineMeetings", "communications/onlineMeetings/m", meeting),
        ];
        insta::assert_snapshot!(told.join("\n"), @r##"
        me/drive/root
          null
        sites/s/lists/l
          null
        Users/00000000-0000-0000-0000-000000000007
          {"@odata.id":"Users/00000000-0000-0000-0000-000000000007","@odata.type":"#Microsoft.Graph.User","id":"00000000-0000-0000-0000-000000000007"}
        Groups/7
          {"@odata.etag":"W/\"1\"","@odata.id":"Groups/7","@odata.type":"#Microsoft.Graph.Group","id":"7"}
        chats('19:a_b@unq.gbl.spaces')/messages('16')
          {"@odata.id":"chats('19:a_b@unq.gbl.spaces')/messages('16')","@odata.type":"#Microsoft.Graph.chatMessage","id":"16"}
        teams('t')/channels('c')/messages('1')/replies('2')
          {"@odata.id":"teams('t')/channels('c')/messages('1')/replies('2')","@odata.type":"#Microsoft.Graph.chatMessage","id":"2"}
        Users/00000000-0000-0000-0000-000000000002/todo/lists('l')/tasks('t')
          {"@odata.id":"Users/00000000-0000-0000-0000-000000000002/todo/lists('l')/tasks('t')","@odata.type":"#Microsoft.Graph.todoTask","id":"t"}
        Users/00000000-0000-0000-0000-000000000002/tasks/lists('l')/tasks('t')
          {"@odata.id":"Users/00000000-0000-0000-0000-000000000002/tasks/lists('l')/tasks('t')","@odata.type":"#Microsoft.Graph.baseTask","id":"t"}
        communications/callRecords/c
          {"@odata.id":"communications/callRecords/c","@odata.type":"#Microsoft.Graph.callRecord","id":"c"}
        communications/presences/p
          {"@odata.id":"users/p/presence","@odata.type":"#microsoft.graph.presence","id":"p"}
        print/taskDefinitions('d')/tasks('t')
          {"@odata.id":"print/taskDefinitions('d')/tasks('t')","@odata.type":"#Microsoft.Graph.printTask","id":"t"}
        print/printers('p')/jobs('1')
          {"@odata.id":"print/printers('p')/jobs('1')","@odata.type":"#Microsoft.Graph.printJob","id":"1"}
        security/alerts/a
          {"@odata.id":"security/alerts/a","@odata.type":"#Microsoft.Graph.alert","id":"a"}
        communications/onlineMeetings?$filter=joinWebUrl+eq+'https://teams.example/l/o''brien'
          {"@odata.id":"communications/onlineMeetings?$filter=joinWebUrl+eq+'https://teams.example/l/o''brien'","@odata.type":"#microsoft.graph.onlineMeeting","id":"communications/onlineMeetings?$filter=joinWebUrl+eq+'https://teams.example/l/o''brien'"}
        "##);
    }

    #[test]
    fn a_lifecycle_event_tells_of_no_item() {
        let record = Record::Lifecycle {
            id: ChangeId(uuid(7)),
            subscription: SubscriptionId(uuid(1)),
            event: LifecycleEvent::Missed,
            cause: None,
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
            let (id, subscription) = (ChangeId(uuid(7)), SubscriptionId(uuid(1)));
            let record = Record::Lifecycle { id, subscription, event, cause: None };
            let text = String::from_utf8(body(&[told(record, None)])).unwrap();
            assert!(text.contains(&format!("{{\"lifecycleEvent\":\"{name}\",")), "{text}");
        }
    }

    #[test]
    fn an_end_that_the_app_did_not_bring_about_is_told_as_removal() {
        let ended = |reason| Record::Subscription {
            id: SubscriptionId(uuid(1)),
            event: crate::SubscriptionEvent::Ended(reason),
        };
        for (reason, is_told) in [
            (EndReason::Deleted, false),
            (EndReason::Expired, false),
            (EndReason::UserDisabled, true),
            (EndReason::SessionsEnded, true),
            (EndReason::UserRemoved, true),
            (EndReason::AppRemoved, true),
        ] {
            let text = String::from_utf8(body(&[told(ended(reason), None)])).unwrap();
            assert_eq!(text.contains(r#""lifecycleEvent":"subscriptionRemoved""#), is_told, "{text}");
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
