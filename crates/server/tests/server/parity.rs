//! Decisions of `PARITY.md` that only the whole API shows.

use std::sync::Arc;

use graph::{FolderId, Kind, SubscriptionId, WellKnown};
use http::StatusCode;
use notify::subscription::{Target, TlsVersion};
use notify::{Profile, Subscription, rules};
use protocol::HandshakeError;
use serde_json::{Value, json};
use store::{Makers, SubscriptionLimits};
use tidings_server::seed;
use uuid::Uuid;

use crate::world::{CERTIFICATE, World, ok};

const HOOK: &str = "https://hook.example.net/graph";
const SUBSCRIPTIONS: &str = "/v1.0/subscriptions";

/// A create request that is sound, with these changes.
fn asked(world: &World, changes: Value) -> Value {
    let mut body = json!({
        "changeType": "created",
        "notificationUrl": HOOK,
        "resource": "me/messages",
        "expirationDateTime": world.state.clock.wall().plus_minutes(60),
    });
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

async fn refusal(world: &World, changes: Value) -> String {
    world.megan().post(SUBSCRIPTIONS, asked(world, changes)).await.refusal()
}

/// Puts a subscription of Megan's messages into the store that expired an hour ago, and whose end no
/// node has applied yet.
async fn expired(world: &World) -> SubscriptionId {
    let (megan, past) = (seed::users()[0].id, world.state.clock.wall().plus_minutes(-60));
    let subscription = Subscription {
        id: SubscriptionId(Uuid::from_u128(7)),
        tenant: seed::TENANT,
        app: seed::APP,
        creator: megan,
        resource: "me/messages".to_owned(),
        target: Target::Items { mailbox: megan, kind: Kind::Message, folder: None },
        change_types: rules::change_types("created").unwrap(),
        change_type: "created".to_owned(),
        notification_url: HOOK.to_owned(),
        lifecycle_url: None,
        client_state: None,
        tls_version: TlsVersion::V1_2,
        extras: None,
        immutable_ids: false,
        expires: past,
        expires_tenths: 0,
        authorized: past,
        created: past,
    };
    let (id, limits) =
        (subscription.id, SubscriptionLimits { per_scope: 9, refuse_duplicates: true, makers: Makers::default() });
    world.state.store.begin_subscription(Arc::new(subscription), limits).await.unwrap();
    id
}

#[tokio::test]
async fn checks_go_from_the_body_to_the_receiver_to_the_mailbox() {
    let world = World::with(Profile { subscriptions_per_mailbox_max: 1, ..Profile::documented() }).await;
    // Everything is wrong; each refusal names what is found first, and what is mended reveals the next.
    let silent = "https://silent.example/";
    world.receivers.fails(silent, HandshakeError::TimedOut);
    let mut changes = json!({"includeResourceData": true, "resource": "me/drive", "notificationUrl": "http://h.example/",
                             "lifecycleNotificationUrl": "http://h.example/", "changeType": "moved", "colour": "red",
                             "clientState": "x".repeat(129), "latestSupportedTlsVersion": "v1_0",
                             "notificationUrlAppId": "x", "encryptionCertificate": "x", "encryptionCertificateId": "",
                             "expirationDateTime": "2099-01-01T00:00:00Z"});
    for (mended, value, found) in [
        ("", json!(null), "Could not process subscription creation payload."),
        ("colour", json!(null), "NotificationUrl scheme='http' is not supported."),
        ("notificationUrl", json!(silent), "LifecycleNotificationUrl scheme='http' is not supported."),
        ("lifecycleNotificationUrl", json!(silent), "Invalid 'changeType' attribute"),
        ("changeType", json!("created"), "clientState can only be 128 characters long."),
        ("clientState", json!(null), "Invalid 'latestSupportedTlsVersion' attribute"),
        ("latestSupportedTlsVersion", json!("v1_2"), "Certificate validation error"),
        ("encryptionCertificate", json!(null), "encryptionCertificate must be provided"),
        ("encryptionCertificate", json!(CERTIFICATE), "encryptionCertificateId must be provided"),
        ("encryptionCertificateId", json!("one"), "Invalid 'notificationUrlAppId' attribute"),
        ("notificationUrlAppId", json!(null), "1440 minutes"),
        ("includeResourceData", json!(false), "4230 minutes"),
        ("expirationDateTime", json!(world.state.clock.wall().plus_minutes(60)), "Unsupported workload."),
        ("resource", json!("me/messages?$top=5"), "$top, $skip, $orderby"),
        ("includeResourceData", json!(true), "$top, $skip, $orderby"),
        ("resource", json!("me/messages"), "select clause should be present"),
        ("resource", json!("me/messages/AAMk"), "The value of parameter 'Resource' is not supported."),
        ("includeResourceData", json!(null), "The value of parameter 'Resource' is not supported."),
        ("resource", json!("me/mailFolders/nowhere/messages"), "The value of parameter 'Resource' is invalid."),
    ] {
        match (mended, value) {
            ("", _) => {}
            (name, Value::Null) => drop(changes.as_object_mut().unwrap().remove(name)),
            (name, value) => changes[name] = value,
        }
        let refusal = refusal(&world, changes.clone()).await;
        assert!(refusal.contains(found), "{changes}: {refusal}");
    }
    assert!(world.receivers.asked.lock().unwrap().is_empty(), "no receiver was asked");
    let unknown = json!(format!("me/calendars/{}/events", FolderId::new(Kind::Event, Uuid::nil())));
    for (mended, value, found) in [
        ("resource", unknown, "validation request timed out."),
        ("notificationUrl", json!(HOOK), "validation request timed out."),
        ("lifecycleNotificationUrl", json!(null), "The value of parameter 'Resource' is invalid."),
    ] {
        changes[mended] = value;
        let refusal = refusal(&world, changes.clone()).await;
        assert!(refusal.contains(found), "{changes}: {refusal}");
    }
    let asked_receivers = world.receivers.asked.lock().unwrap().clone();
    assert_eq!(asked_receivers, [silent, HOOK, silent, HOOK], "one URL after the other, both before the mailbox");

    // A mailbox with its one subscription: an equal one is a duplicate first, another one too many.
    ok(world.megan().post(SUBSCRIPTIONS, asked(&world, json!({}))).await, StatusCode::CREATED);
    assert!(refusal(&world, json!({"changeType": "Created"})).await.starts_with("409 Conflict: "));
    assert!(refusal(&world, json!({"changeType": "deleted"})).await.starts_with("403 ExtensionError: "));
}

#[tokio::test]
async fn no_receiver_is_called_for_who_may_not_subscribe() {
    let world = World::new().await;
    let megan = &seed::users()[0];
    let forbidden = "403 ExtensionError: Operation: Create; Exception: [Status Code: Forbidden; Reason: Forbidden]";
    let sender = world.granted(megan, "Mail.Send Mail.Read.Shared Calendars.ReadBasic").await;
    for resource in ["me/messages", "me/events", "users/nobody@contoso.test/contacts"] {
        let refused = sender.post(SUBSCRIPTIONS, asked(&world, json!({"resource": resource}))).await;
        assert_eq!(refused.refusal(), forbidden, "{resource}");
    }
    let narrow = world.granted(megan, "Mail.ReadBasic").await;
    let filtered = json!({"resource": "me/messages?$filter=contains(bodyPreview,'x')"});
    let with_content = json!({"resource": "me/messages?$select=bodyPreview", "includeResourceData": true,
                              "encryptionCertificate": CERTIFICATE, "encryptionCertificateId": "one"});
    for hidden in [filtered, with_content] {
        assert_eq!(narrow.post(SUBSCRIPTIONS, asked(&world, hidden)).await.refusal(), forbidden);
    }
    let app = world.app().post(SUBSCRIPTIONS, asked(&world, json!({}))).await;
    assert_eq!(app.refusal(), "400 BadRequest: /me request is only valid with delegated authentication flow.");
    assert!(world.receivers.asked.lock().unwrap().is_empty());
    // What only the mailbox tells comes after the receiver, as apps have seen it.
    let of_adele = json!({"resource": "users/adele@contoso.test/messages"});
    assert_eq!(refusal(&world, of_adele).await, forbidden);
    assert_eq!(world.receivers.asked.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn an_equal_subscription_has_the_same_app_creator_items_and_change_types() {
    let world = World::new().await;
    let first = json!({"changeType": "created,updated"});
    ok(world.megan().post(SUBSCRIPTIONS, asked(&world, first)).await, StatusCode::CREATED);
    // Another spelling, URL, state or expiry makes no other subscription…
    for same in [
        json!({"changeType": "Updated, created,updated", "resource": format!("/Users('{}')/Messages", seed::users()[0].id)}),
        json!({"changeType": "created,updated", "notificationUrl": "https://other.example.net/", "clientState": "x"}),
    ] {
        let refusal = refusal(&world, same.clone()).await;
        assert!(refusal.starts_with("409 "), "{same}: {refusal}");
    }
    // …other change types, another folder, kind, filter or selection do.
    for other in [
        json!({"changeType": "created"}),
        json!({"changeType": "created,updated", "resource": "me/mailFolders/inbox/messages"}),
        json!({"changeType": "created,updated", "resource": "me/contacts"}),
        json!({"changeType": "created,updated", "resource": "me/messages?$filter=isRead eq false"}),
        json!({"changeType": "created,updated", "resource": "me/messages?$select=subject"}),
    ] {
        ok(world.megan().post(SUBSCRIPTIONS, asked(&world, other)).await, StatusCode::CREATED);
    }
    let filtered = json!({"changeType": "created,updated", "resource": "/me/Messages?%24filter=isRead EQ false"});
    assert!(refusal(&world, filtered).await.starts_with("409 "));
    let with_content = json!({"changeType": "created,updated", "resource": "me/messages?$select=subject", "includeResourceData": true,
               "encryptionCertificate": CERTIFICATE, "encryptionCertificateId": "one"});
    assert!(refusal(&world, with_content).await.starts_with("409 "));
}

#[tokio::test]
async fn a_subscription_past_its_expiry_lives_until_its_end_is_recorded() {
    let world = World::new().await;
    let id = expired(&world).await;
    let path = format!("{SUBSCRIPTIONS}/{id}");
    ok(world.megan().get(&path).await, StatusCode::OK);
    assert!(refusal(&world, json!({})).await.starts_with("409 "));
    let later = world.state.clock.wall().plus_minutes(90);
    let renewed = world.megan().patch(&path, json!({"expirationDateTime": later})).await;
    assert_eq!(ok(renewed, StatusCode::OK).text("/expirationDateTime"), later.to_string());
}

#[tokio::test]
async fn a_renewal_into_the_past_is_raised_too() {
    let world = World::new().await;
    let made = world.megan().post(SUBSCRIPTIONS, asked(&world, json!({}))).await.text("/id");
    let before = world.state.clock.wall();
    let past = json!({"expirationDateTime": "2001-01-01T00:00:00Z"});
    let renewed = ok(world.megan().patch(&format!("{SUBSCRIPTIONS}/{made}"), past).await, StatusCode::OK);
    let given: graph::Timestamp = renewed.text("/expirationDateTime").parse().unwrap();
    assert!((45..=46).contains(&(given.since(before) / 60_000_000)), "{given}");
}

#[tokio::test]
async fn the_lifecycle_url_may_lie_on_another_host() {
    let world = World::new().await;
    let body = asked(&world, json!({"lifecycleNotificationUrl": "https://elsewhere.example.org/life"}));
    ok(world.megan().post(SUBSCRIPTIONS, body).await, StatusCode::CREATED);
    assert_eq!(*world.receivers.asked.lock().unwrap(), [HOOK, "https://elsewhere.example.org/life"]);
}

#[tokio::test]
async fn a_calendar_can_be_watched_by_its_id_and_must_exist() {
    let world = World::new().await;
    let calendar = WellKnown::Calendar.id_in(seed::users()[0].id);
    let by_id = json!({"resource": format!("me/calendars/{calendar}/events")});
    ok(world.megan().post(SUBSCRIPTIONS, asked(&world, by_id)).await, StatusCode::CREATED);
    // The default calendar by another name.
    assert!(refusal(&world, json!({"resource": "me/events"})).await.starts_with("409 "));
    let unknown = FolderId::new(Kind::Event, Uuid::from_u128(9));
    for folder in [format!("calendars/{unknown}/events"), "contactFolders/AAMk/contacts".to_owned()] {
        assert_eq!(
            refusal(&world, json!({"resource": format!("me/{folder}")})).await,
            "400 ExtensionError: Operation: Create; Exception: [Status Code: BadRequest; Reason: The value of parameter \
             'Resource' is invalid.]"
        );
    }
}

#[tokio::test]
async fn a_list_of_subscriptions_has_pages_of_a_hundred() {
    let world = World::new().await;
    let folders =
        ["inbox", "drafts", "sentitems", "archive", "junkemail", "outbox", "deleteditems", "conversationhistory"];
    let types = ["created", "updated", "deleted", "created,updated", "created,deleted", "updated,deleted"];
    let mut made = 0;
    for user in seed::users().into_iter().take(3) {
        for (folder, types) in folders.iter().flat_map(|folder| types.iter().map(move |types| (folder, types))) {
            let resource = format!("users/{}/mailFolders/{folder}/messages", user.id);
            let body = asked(&world, json!({"resource": resource, "changeType": types}));
            ok(world.app().post(SUBSCRIPTIONS, body).await, StatusCode::CREATED);
            made += 1;
        }
    }
    let first = ok(world.app().get(SUBSCRIPTIONS).await, StatusCode::OK);
    assert_eq!(first.json["value"].as_array().unwrap().len(), 100);
    let next = first.text("/@odata.nextLink");
    let rest = ok(world.app().get(next.strip_prefix("http://graph.test:8443").unwrap()).await, StatusCode::OK);
    assert_eq!(rest.json["value"].as_array().unwrap().len(), made - 100);
    assert_eq!(rest.json.get("@odata.nextLink"), None);
    let filtered = world.app().get("/v1.0/subscriptions?$filter=x").await.refusal();
    assert_eq!(filtered, "400 BadRequest: The query option '$filter' is not supported by this server.");
}

#[tokio::test]
async fn what_only_the_server_sets_is_ignored_in_items() {
    let world = World::new().await;
    let managed = json!({"id": "x", "changeKey": "x", "webLink": "x", "parentFolderId": "x", "conversationId": "x",
                         "@odata.etag": "x", "createdDateTime": "2001-01-01T00:00:00Z", "isRead": "False"});
    let made = ok(world.megan().post("/v1.0/me/messages", managed.clone()).await, StatusCode::CREATED);
    assert_eq!(made.json["isRead"], false);
    let patched = world.megan().patch(&format!("/v1.0/me/messages/{}", made.text("/id")), managed).await;
    let patched = ok(patched, StatusCode::OK);
    for same in ["id", "webLink", "parentFolderId", "conversationId", "createdDateTime"] {
        assert_eq!(patched.json[same], made.json[same], "{same}");
        assert_ne!(patched.json[same], "x", "{same}");
    }
}

#[tokio::test]
async fn refusals_of_a_mailbox_carry_outlooks_codes() {
    let world = World::new().await;
    let megan = world.megan();
    let to = |address: &str| json!([{"emailAddress": {"address": address}}]);
    let send = async |message: Value| megan.post("/v1.0/me/sendMail", json!({"message": message})).await.refusal();
    let mut seen = vec![
        send(json!({"toRecipients": []})).await,
        send(json!({"toRecipients": to("nobody")})).await,
        send(json!({"toRecipients": to("a@x.test"), "from": to("alex@contoso.test")[0]})).await,
    ];
    let many: Vec<Value> = (0..501).map(|number| to(&format!("{number}@x.test"))[0].clone()).collect();
    seen.push(send(json!({"toRecipients": many})).await);
    let at = |zone: &str| json!({"dateTime": "2026-12-01T10:00:00", "timeZone": zone});
    let event = json!({"start": at("Mars"), "end": at("UTC")});
    seen.push(megan.post("/v1.0/me/events", event).await.refusal());
    seen.push(megan.post("/v1.0/me/messages", json!({"subjekt": "x"})).await.refusal());
    let sent = json!({"message": {"toRecipients": to("megan@contoso.test")}});
    assert_eq!(megan.post("/v1.0/me/sendMail", sent).await.status, 202);
    let kept = megan.get("/v1.0/me/mailFolders/sentitems/messages").await.text("/value/0/id");
    let path = format!("/v1.0/me/messages/{kept}");
    seen.push(megan.patch(&path, json!({"subject": "y"})).await.refusal());
    seen.push(megan.post(&format!("{path}/send"), json!({})).await.refusal());
    insta::assert_snapshot!(seen.join("\n"), @r"
    400 ErrorInvalidRecipients: At least one recipient isn't valid.
    400 ErrorInvalidRecipients: At least one recipient isn't valid.
    403 ErrorSendAsDenied: The user account which was used to submit this request does not have the right to send mail on behalf of the specified sending account.
    400 ErrorMaxRecipientsExceeded: The message has more than 500 recipients.
    400 TimeZoneNotSupportedException: A valid TimeZone value must be specified. The following TimeZone value is not supported: 'Mars'.
    400 RequestBodyRead: The property 'subjekt' does not exist on the type of this resource. Make sure to only use property names that are defined by the type.
    400 ErrorInvalidPropertySet: subject cannot be changed.
    400 ErrorInvalidOperation: Only a draft can be sent.
    ");
}
