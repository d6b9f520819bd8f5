//! What becomes of subscriptions when their user, their app or its permissions go: what the log tells of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use graph::{AppId, Partition, SubscriptionId, Timestamp, UserId};
use http::StatusCode;
use notify::log::{Cause, EndReason, SubscriptionEvent};
use notify::{Position, Record, Subscription};
use serde_json::{Value, json};
use store::{App, Grantee, User};
use tidings_server::directory::subscribed;
use tidings_server::seed;
use uuid::Uuid;

use crate::admin;
use crate::world::{Caller, World, ok};

const MEGAN: &str = "/admin/users/megan@contoso.test";

/// An app of the seeded tenant that was granted nothing yet.
async fn an_app(world: &World, number: u128) -> App {
    let (id, service_principal) = (Uuid::from_u128(number), Uuid::from_u128(number + 1));
    let app = App::new(AppId(id), seed::TENANT, "Listener", UserId(service_principal));
    world.state.store.add_app(app.clone()).await.unwrap();
    app
}

async fn subscribe(world: &World, caller: &Caller<'_>, resource: &str) -> String {
    let asked = json!({"changeType": "created", "resource": resource, "notificationUrl": "https://hook.example.net/n",
                       "lifecycleNotificationUrl": "https://hook.example.net/l",
                       "expirationDateTime": world.state.clock.wall().plus_minutes(60)});
    ok(caller.post("/v1.0/subscriptions", asked).await, StatusCode::CREATED).text("/id")
}

async fn administer(world: &World, method: &str, path: &str, body: Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let (status, answer) = admin::call(world, "hush", method, path, &body).await;
    assert!(status.is_success(), "{method} {path}: {status} {answer}");
}

async fn revoke(world: &World, app: &App, permission: &str) {
    let body = json!({"appId": app.id, "grantee": "allUsers", "permissions": [permission]});
    administer(world, "POST", "/admin/consents/revoke", body).await;
}

/// What the log of Megan's mailbox tells of questions and ends, in order.
async fn told(world: &World) -> Vec<(String, &'static str)> {
    let partition = Partition::of(seed::users()[0].id);
    let log = world.state.store.read_log(partition, Position(0), 1_000).await.unwrap();
    let what = log.iter().filter_map(|(_, record)| match &**record {
        Record::Lifecycle { subscription, cause: Some(Cause::AccessLost { .. }), .. } => {
            Some((subscription.to_string(), "access lost"))
        }
        Record::Subscription { id, event: SubscriptionEvent::Ended(reason) } => {
            let reason = match reason {
                EndReason::Deleted => "deleted",
                EndReason::Expired => "expired",
                EndReason::UserDisabled => "user disabled",
                EndReason::SessionsEnded => "sessions ended",
                EndReason::UserRemoved => "user removed",
                EndReason::AppRemoved => "app removed",
            };
            Some((id.to_string(), reason))
        }
        _ => None,
    });
    what.collect()
}

#[tokio::test]
async fn an_app_is_asked_to_reauthorize_what_a_lost_permission_carried() {
    let world = World::new().await;
    let (app, user) = (an_app(&world, 77).await, seed::users().remove(0));
    let megan = world.granted_to(&app, &user, "Mail.Read Calendars.Read").await;
    let mail = subscribe(&world, &megan, "me/messages").await;
    let events = subscribe(&world, &megan, "me/events").await;
    let others = subscribe(&world, &world.megan(), "me/messages").await;
    revoke(&world, &app, "Mail.Read").await;
    assert_eq!(told(&world).await, [(mail.clone(), "access lost")]);
    revoke(&world, &app, "Mail.Read").await;
    assert_eq!(told(&world).await.len(), 1, "it is asked once");

    let path = format!("/v1.0/subscriptions/{mail}/reauthorize");
    assert_eq!(megan.send("POST", &path, String::new()).await.status, 403);
    let megan = world.granted_to(&app, &user, "Mail.Read Calendars.Read").await;
    assert_eq!(megan.send("POST", &path, String::new()).await.status, 204);
    revoke(&world, &app, "Mail.Read").await;
    assert_eq!(told(&world).await, [(mail.clone(), "access lost"), (mail.clone(), "access lost")]);
    for (id, status) in [(&mail, 403), (&events, 200)] {
        assert_eq!(megan.get(&format!("/v1.0/subscriptions/{id}")).await.status, status, "it has not ended");
    }
    assert_eq!(world.megan().get(&format!("/v1.0/subscriptions/{others}")).await.status, 200);
}

#[tokio::test]
async fn another_permission_that_suffices_keeps_access() {
    let world = World::new().await;
    let (app, user) = (an_app(&world, 77).await, seed::users().remove(0));
    let megan = world.granted_to(&app, &user, "Mail.Read Mail.ReadWrite").await;
    subscribe(&world, &megan, "me/messages").await;
    revoke(&world, &app, "Mail.Read").await;
    assert_eq!(told(&world).await, []);
}

#[tokio::test]
async fn an_app_that_is_narrowed_to_other_mailboxes_is_asked_to_reauthorize() {
    let world = World::new().await;
    let app = an_app(&world, 77).await;
    let own = world.roles(&app, &["Mail.Read"]).await;
    let id = subscribe(&world, &own, "users/megan@contoso.test/messages").await;
    let narrowed = json!({"mailboxes": ["megan@contoso.test"]});
    administer(&world, "PATCH", &format!("/admin/apps/{}", app.id), narrowed).await;
    assert_eq!(told(&world).await, []);
    let narrowed = json!({"mailboxes": ["adele@contoso.test"]});
    administer(&world, "PATCH", &format!("/admin/apps/{}", app.id), narrowed).await;
    assert_eq!(told(&world).await, [(id, "access lost")]);
}

#[tokio::test]
async fn a_disabled_user_and_a_new_password_end_what_was_made_for_the_user() {
    let world = World::new().await;
    let app = an_app(&world, 77).await;
    let own = world.roles(&app, &["Mail.Read"]).await;
    subscribe(&world, &own, "users/megan@contoso.test/messages").await;
    let first = subscribe(&world, &world.megan(), "me/messages").await;
    subscribe(&world, &world.adele(), "me/messages").await;
    administer(&world, "PATCH", MEGAN, json!({"accountEnabled": false})).await;
    assert_eq!(told(&world).await, [(first.clone(), "user disabled")]);

    administer(&world, "PATCH", MEGAN, json!({"accountEnabled": true})).await;
    let second = subscribe(&world, &world.megan(), "me/messages").await;
    administer(&world, "POST", &format!("{MEGAN}/reset-password"), Value::Null).await;
    assert_eq!(told(&world).await, [(first, "user disabled"), (second, "sessions ended")]);
    administer(&world, "PATCH", MEGAN, json!({"displayName": "Megan B"})).await;
    assert_eq!(told(&world).await.len(), 2, "what an app made for itself goes on");
    assert_eq!(world.adele().get("/v1.0/subscriptions").await.json["value"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_does_not_say_when_it_was_authorized_outlives_a_new_password_until_it_is_renewed() {
    let world = World::new().await;
    let id = subscribe(&world, &world.megan(), "me/messages").await;
    let store = world.state.store.clone();
    let made = store.subscription(id.parse().unwrap()).await.unwrap().unwrap();
    store.end_subscription(made.id, EndReason::Deleted, None).await.unwrap();
    let kept =
        Subscription { id: SubscriptionId(Uuid::from_u128(5)), authorized: Timestamp::default(), ..(*made).clone() };
    let (kept, limits) = (
        Arc::new(kept),
        store::SubscriptionLimits { per_scope: 9, refuse_duplicates: true, makers: store::Makers::default() },
    );
    store.begin_subscription(kept.clone(), limits).await.unwrap();
    let reset = || administer(&world, "POST", "/admin/users/megan@contoso.test/reset-password", Value::Null);
    reset().await;
    subscribed::settle_all(&*store, world.state.clock.wall()).await.unwrap();
    assert_eq!(told(&world).await, [(id.clone(), "deleted")]);

    let renewed = Arc::new(Subscription { authorized: world.state.clock.wall(), ..(*kept).clone() });
    store.patch_subscription(kept.clone(), renewed).await.unwrap();
    reset().await;
    assert_eq!(told(&world).await, [(id, "deleted"), (kept.id.to_string(), "sessions ended")]);
}

#[tokio::test]
async fn a_removed_user_takes_every_subscription_to_the_mailbox_along() {
    let world = World::new().await;
    let app = an_app(&world, 77).await;
    let own = world.roles(&app, &["Mail.Read"]).await;
    let of_app = subscribe(&world, &own, "users/megan@contoso.test/messages").await;
    let of_user = subscribe(&world, &world.megan(), "me/messages").await;
    administer(&world, "DELETE", MEGAN, Value::Null).await;
    let told: BTreeSet<_> = told(&world).await.into_iter().collect();
    assert_eq!(told, BTreeSet::from([(of_app, "user removed"), (of_user, "user removed")]));
}

#[tokio::test]
async fn a_removed_or_disabled_app_takes_its_subscriptions_along() {
    let world = World::new().await;
    let (removed, disabled) = (an_app(&world, 77).await, an_app(&world, 79).await);
    let user = seed::users().remove(0);
    let first = subscribe(&world, &world.granted_to(&removed, &user, "Mail.Read").await, "me/messages").await;
    let second = subscribe(&world, &world.granted_to(&disabled, &user, "Mail.Read").await, "me/messages").await;
    let third = subscribe(&world, &world.megan(), "me/messages").await;
    administer(&world, "DELETE", &format!("/admin/apps/{}", removed.id), Value::Null).await;
    administer(&world, "PATCH", &format!("/admin/apps/{}", disabled.id), json!({"enabled": false})).await;
    assert_eq!(told(&world).await, [(first, "app removed"), (second, "app removed")]);
    assert_eq!(world.megan().get(&format!("/v1.0/subscriptions/{third}")).await.status, 200);
}

#[tokio::test]
async fn what_a_crash_left_undone_is_done_at_the_next_start() {
    let world = World::new().await;
    let (store, now) = (world.state.store.clone(), world.state.clock.wall());
    let (app, megan) = (an_app(&world, 77).await, seed::users().remove(0));
    let asked = subscribe(&world, &world.granted_to(&app, &megan, "Mail.Read").await, "me/messages").await;
    let permissions = BTreeSet::from(["Mail.Read".to_owned()]);
    let grant = store::Grant { tenant: seed::TENANT, app: app.id, grantee: Grantee::AllUsers, permissions };
    store.revoke(grant, now).await.unwrap();
    subscribed::settle_all(&*store, now).await.unwrap();
    assert_eq!(told(&world).await, [(asked.clone(), "access lost")]);

    store.replace_user(megan.clone(), User { enabled: false, ..megan }).await.unwrap();
    subscribed::settle_all(&*store, now).await.unwrap();
    subscribed::settle_all(&*store, now).await.unwrap();
    assert_eq!(told(&world).await, [(asked.clone(), "access lost"), (asked, "user disabled")]);
}

#[tokio::test]
async fn who_may_not_act_any_more_when_the_receiver_has_answered_gets_no_subscription() {
    let world = World::new().await;
    let (app, megan) = (an_app(&world, 77).await, seed::users().remove(0));
    let caller = world.granted_to(&app, &megan, "Mail.Read").await;
    let id = subscribe(&world, &caller, "me/messages").await;
    let (directory, now) = (world.state.directory.clone(), world.state.clock.wall());
    let permissions = BTreeSet::from(["Mail.Read".to_owned()]);
    let grant = store::Grant { tenant: seed::TENANT, app: app.id, grantee: Grantee::AllUsers, permissions };
    world.receivers.meanwhile(async move {
        directory.change(async move |store| store.revoke(grant, now).await).await.unwrap();
    });
    let elsewhere = json!({"notificationUrl": "https://hook.example.net/elsewhere"});
    let path = format!("/v1.0/subscriptions/{id}");
    assert_eq!(caller.patch(&path, elsewhere.clone()).await.status, 503, "it may try again");
    assert_eq!(caller.patch(&path, elsewhere).await.status, 403);

    let directory = world.state.directory.clone();
    world.receivers.meanwhile(async move {
        let disabled = User { enabled: false, ..megan.clone() };
        directory.change(async move |store| store.replace_user(megan, disabled).await).await.unwrap();
    });
    let asked = json!({"changeType": "created", "resource": "me/events", "expirationDateTime": now.plus_minutes(60),
                       "notificationUrl": "https://hook.example.net/n"});
    assert_eq!(world.megan().post("/v1.0/subscriptions", asked).await.status, 401);
}

#[tokio::test]
async fn who_is_disabled_or_removed_just_before_the_beginning_gets_no_subscription() {
    let world = World::new().await;
    let (app, megan) = (an_app(&world, 77).await, seed::users().remove(0));
    let caller = world.granted_to(&app, &megan, "User.Read.All").await;
    let asked = json!({"changeType": "updated", "resource": "users", "notificationUrl": "https://hook.example.net/n",
                       "expirationDateTime": world.state.clock.wall().plus_minutes(60)});
    // The store knows before the server has learned of it.
    let (store, id) = (world.state.store.clone(), app.id);
    world.receivers.meanwhile(async move { drop(store.remove_app(id).await.unwrap()) });
    assert_eq!(caller.post("/v1.0/subscriptions", asked.clone()).await.status, 503, "it may try again");
    world.state.store.add_app(app).await.unwrap();
    let store = world.state.store.clone();
    world.receivers.meanwhile(async move {
        let disabled = User { enabled: false, ..megan.clone() };
        store.replace_user(megan, disabled).await.unwrap();
    });
    assert_eq!(caller.post("/v1.0/subscriptions", asked).await.status, 503);
    assert_eq!(world.state.store.counters().log_rows, 0, "nothing has begun");
}
