//! How long subscriptions live, how many there may be, and when their receivers are asked.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes, HttpBody};
use graph::Timestamp;
use http::{Request, StatusCode};
use hyper::body::Frame;
use notify::profile::TokenExpiry;
use notify::{EndReason, Profile};
use protocol::HandshakeError;
use serde_json::{Value, json};
use store::Grantee;
use tidings_server::identity::Grant;
use tidings_server::seed;

use crate::world::{Caller, Reply, World, ok};

const SUBSCRIPTIONS: &str = "/v1.0/subscriptions";
const HOOK: &str = "https://hook.example.net/graph";
const LIFECYCLE: &str = "https://hook.example.net/lifecycle";
const UNKNOWN: &str = "404 ResourceNotFound: The object was not found.";

fn in_minutes(world: &World, minutes: i64) -> Timestamp {
    world.state.clock.wall().plus_minutes(minutes)
}

/// A create request that is sound, with these changes.
fn asked(world: &World, changes: Value) -> Value {
    let mut body = json!({"changeType": "created", "notificationUrl": HOOK, "resource": "me/messages",
                          "expirationDateTime": in_minutes(world, 60)});
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

async fn subscribe(world: &World, changes: Value) -> Reply {
    world.megan().post(SUBSCRIPTIONS, asked(world, changes)).await
}

/// The path of a new subscription.
async fn made(world: &World, changes: Value) -> String {
    format!("{SUBSCRIPTIONS}/{}", ok(subscribe(world, changes).await, StatusCode::CREATED).text("/id"))
}

fn asked_of_receivers(world: &World) -> Vec<String> {
    world.receivers.asked.lock().unwrap().clone()
}

/// What each operation on one subscription answers.
async fn every_operation(world: &World, megan: &Caller<'_>, path: &str) -> [Reply; 4] {
    let later = json!({"expirationDateTime": in_minutes(world, 90)});
    [
        megan.get(path).await,
        megan.patch(path, later).await,
        megan.send("POST", &format!("{path}/reauthorize"), String::new()).await,
        megan.delete(path).await,
    ]
}

#[tokio::test]
async fn a_subscription_that_has_expired_is_unknown_and_can_only_be_made_anew() {
    let world = World::new().await;
    let path = made(&world, json!({})).await;
    let id = path.rsplit('/').next().unwrap();
    world.state.store.end_subscription(id.parse().unwrap(), EndReason::Expired, None).await.unwrap();
    for reply in every_operation(&world, &world.megan(), &path).await {
        assert_eq!(reply.refusal(), UNKNOWN);
        let inner = reply.json["error"]["innerError"].as_object().unwrap();
        assert_eq!(inner.keys().collect::<Vec<_>>(), ["client-request-id", "date", "request-id"]);
    }
    assert_eq!(world.megan().get(SUBSCRIPTIONS).await.json["value"], json!([]));
    assert_ne!(made(&world, json!({})).await, path, "and it stands in nobody's way");
}

#[tokio::test]
async fn an_unknown_id_is_unknown_to_every_operation() {
    let world = World::new().await;
    for id in ["00000000-0000-0000-0000-000000000063", "no-guid"] {
        for reply in every_operation(&world, &world.megan(), &format!("{SUBSCRIPTIONS}/{id}")).await {
            assert_eq!(reply.refusal(), UNKNOWN, "{id}");
        }
    }
}

#[tokio::test]
async fn the_longest_life_is_the_profiles_and_counts_from_now() {
    for (profile, minutes) in [(Profile::documented(), 4_230), (Profile::observed(), 10_070)] {
        let world = World::with(profile).await;
        let path = made(&world, json!({})).await;
        let too_long = json!({"expirationDateTime": in_minutes(&world, minutes + 1)});
        let refused =
            format!("400 ExtensionError: Subscription expiration can only be {minutes} minutes in the future.");
        assert_eq!(subscribe(&world, too_long.clone()).await.refusal(), refused);
        // A renewal gets as long a life as a new subscription, whatever was left of the old one.
        for _ in 0..2 {
            let longest = in_minutes(&world, minutes);
            let renewed = world.megan().patch(&path, json!({"expirationDateTime": longest})).await;
            assert_eq!(ok(renewed, StatusCode::OK).text("/expirationDateTime"), longest.to_string());
            assert_eq!(world.megan().patch(&path, too_long.clone()).await.refusal(), refused);
        }
    }
}

#[tokio::test]
async fn equal_subscriptions_are_taken_where_they_are_allowed() {
    let world = World::with(Profile { refuse_duplicates: false, ..Profile::documented() }).await;
    let (first, second) = (made(&world, json!({})).await, made(&world, json!({})).await);
    assert_ne!(first, second);
    let listed = world.megan().get(SUBSCRIPTIONS).await;
    assert_eq!(listed.json["value"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn what_has_ended_makes_room_for_an_equal_one_and_for_another() {
    let world = World::with(Profile { subscriptions_per_mailbox_max: 1, ..Profile::documented() }).await;
    let path = made(&world, json!({})).await;
    assert_eq!(subscribe(&world, json!({})).await.status, 409);
    assert_eq!(subscribe(&world, json!({"changeType": "deleted"})).await.status, 403);
    let adele = world.adele().post(SUBSCRIPTIONS, asked(&world, json!({}))).await;
    ok(adele, StatusCode::CREATED);
    ok(world.megan().delete(&path).await, StatusCode::NO_CONTENT);
    let path = made(&world, json!({})).await;
    ok(world.megan().delete(&path).await, StatusCode::NO_CONTENT);
    made(&world, json!({"changeType": "deleted"})).await;
}

#[tokio::test]
async fn a_token_that_does_not_hold_is_told_before_anything_of_the_body() {
    let world = World::new().await;
    for body in [asked(&world, json!({"colour": "red"})), asked(&world, json!({})), json!(7)] {
        let refused = world.stranger().post(SUBSCRIPTIONS, body).await;
        assert_eq!(refused.refusal(), "401 InvalidAuthenticationToken: Access token is empty.");
    }
    assert_eq!(asked_of_receivers(&world), [""; 0]);
}

#[tokio::test]
async fn a_request_that_cannot_be_read_asks_no_receiver() {
    let world = World::new().await;
    for changes in [
        json!({"expirationDateTime": "2018-09-5"}),
        json!({"changeType": "moved"}),
        json!({"resource": "me/drive/root"}),
        json!({"lifecycleNotificationUrl": "http://hook.example.net/"}),
    ] {
        assert_eq!(subscribe(&world, changes.clone()).await.status, 400, "{changes}");
    }
    assert_eq!(asked_of_receivers(&world), [""; 0]);
}

#[tokio::test]
async fn the_lifecycle_url_is_asked_after_the_other_and_not_if_that_fails() {
    let world = World::new().await;
    let both = json!({"lifecycleNotificationUrl": LIFECYCLE});
    let path = made(&world, both.clone()).await;
    assert_eq!(asked_of_receivers(&world), [HOOK, LIFECYCLE]);
    ok(world.megan().delete(&path).await, StatusCode::NO_CONTENT);
    world.receivers.fails(HOOK, HandshakeError::Body);
    assert_eq!(
        subscribe(&world, both).await.refusal(),
        "400 ValidationError: Subscription validation request failed. Response must exactly match validationToken \
         query parameter."
    );
    assert_eq!(asked_of_receivers(&world), [HOOK, LIFECYCLE, HOOK]);
}

#[tokio::test]
async fn a_receiver_is_asked_for_each_subscription_and_for_a_new_url_only() {
    let world = World::new().await;
    let path = made(&world, json!({})).await;
    made(&world, json!({"changeType": "deleted"})).await;
    assert_eq!(asked_of_receivers(&world), [HOOK, HOOK], "that it was asked before counts for nothing");
    let same = json!({"notificationUrl": HOOK, "expirationDateTime": in_minutes(&world, 90)});
    ok(world.megan().patch(&path, same).await, StatusCode::OK);
    ok(world.megan().patch(&path, json!({"expirationDateTime": in_minutes(&world, 95)})).await, StatusCode::OK);
    assert_eq!(asked_of_receivers(&world).len(), 2, "a renewal asks nobody");
    ok(world.megan().patch(&path, json!({"notificationUrl": LIFECYCLE})).await, StatusCode::OK);
    assert_eq!(asked_of_receivers(&world), [HOOK, HOOK, LIFECYCLE]);
}

#[tokio::test]
async fn a_renewal_and_a_reauthorization_may_follow_each_other_at_once() {
    let world = World::new().await;
    let path = made(&world, json!({})).await;
    for minutes in [90, 95] {
        let renewal = json!({"expirationDateTime": in_minutes(&world, minutes)});
        ok(world.megan().patch(&path, renewal).await, StatusCode::OK);
        let reauthorized = world.megan().send("POST", &format!("{path}/reauthorize"), String::new()).await;
        ok(reauthorized, StatusCode::NO_CONTENT);
    }
}

#[tokio::test]
async fn an_apps_own_token_makes_subscriptions_in_any_mailbox_of_its_tenant_for_itself() {
    let world = World::new().await;
    for user in &seed::users()[..2] {
        for resource in [format!("users/{}/messages", user.id), format!("users/{}/events", user.upn)] {
            let reply = world.app().post(SUBSCRIPTIONS, asked(&world, json!({"resource": resource}))).await;
            assert_eq!(ok(reply, StatusCode::CREATED).text("/creatorId"), seed::SERVICE_PRINCIPAL.to_string());
        }
    }
}

#[tokio::test]
async fn every_path_of_the_page_can_be_watched() {
    let world = World::new().await;
    let (megan, id) = (world.megan(), seed::users()[0].id);
    let mail = ok(megan.post("/v1.0/me/mailFolders", json!({"displayName": "Travel"})).await, StatusCode::CREATED);
    let people = ok(megan.post("/v1.0/me/contactFolders", json!({"displayName": "Club"})).await, StatusCode::CREATED);
    let (mail, people) = (mail.text("/id"), people.text("/id"));
    for resource in [
        "/me/contacts".to_owned(),
        format!("/users/{id}/contactFolders/{people}/contacts"),
        "/me/events".to_owned(),
        "/me/messages".to_owned(),
        format!("/users/{id}/mailFolders/{mail}/messages"),
        "me/mailFolders('inbox')/messages".to_owned(),
    ] {
        let made = ok(subscribe(&world, json!({"resource": resource})).await, StatusCode::CREATED);
        assert_eq!(made.text("/resource"), resource);
    }
    // By the user's id they are the same again.
    for kind in ["contacts", "events", "messages"] {
        assert_eq!(subscribe(&world, json!({"resource": format!("/users/{id}/{kind}")})).await.status, 409, "{kind}");
    }
}

#[tokio::test]
async fn subscriptions_of_each_kind_may_have_a_lifecycle_url() {
    let world = World::new().await;
    for resource in ["me/messages", "me/events", "me/contacts"] {
        let asked = json!({"resource": resource, "lifecycleNotificationUrl": LIFECYCLE});
        let made = ok(subscribe(&world, asked).await, StatusCode::CREATED);
        assert_eq!(made.text("/lifecycleNotificationUrl"), LIFECYCLE, "{resource}");
    }
}

/// A body that is there once something else was done.
struct Late(Option<Pin<Box<dyn Future<Output = Bytes> + Send>>>);

impl HttpBody for Late {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(rest) = &mut self.0 else { return Poll::Ready(None) };
        let bytes = ready!(rest.as_mut().poll(context));
        self.0 = None;
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }
}

#[tokio::test]
async fn a_renewal_that_was_begun_before_access_was_lost_is_refused() {
    let world = World::new().await;
    let path = made(&world, json!({})).await;
    let (now, megan) = (world.state.clock.wall(), seed::users().remove(0));
    let token = world.state.tokens.issue(&seed::app(), Grant::Delegated(&megan, "Mail.Read"), now, 60).unwrap();
    let renewal = json!({"expirationDateTime": in_minutes(&world, 90)}).to_string();
    for (method, path, body) in
        [("PATCH", path.clone(), renewal), ("POST", format!("{path}/reauthorize"), String::new())]
    {
        world.granted(&megan, "Mail.Read").await;
        let state = Arc::clone(&world.state);
        let late = Late(Some(Box::pin(async move {
            let (tenant, app, permissions) = (seed::TENANT, seed::APP, ["Mail.Read".to_owned()].into());
            let grant = store::Grant { tenant, app, grantee: Grantee::AllUsers, permissions };
            state.directory.change(|store| async move { store.revoke(grant, now).await }).await.unwrap();
            Bytes::from(body)
        })));
        let request = Request::builder().method(method).uri(&path).header("authorization", format!("Bearer {token}"));
        let request = request.header("content-type", "application/json").body(Body::new(late)).unwrap();
        let reply = world.request(request).await;
        assert_eq!(reply.status, 503, "{method}: what the token may has changed: {}", reply.json);
    }
}

#[tokio::test]
async fn a_subscription_lapses_with_its_apps_token_only_where_that_counts() {
    for (token_expiry, lapses) in [(TokenExpiry::Ignored, false), (TokenExpiry::Enforced, true)] {
        let world = World::with(Profile { token_expiry, ..Profile::documented() }).await;
        let before = world.state.clock.wall();
        let path = made(&world, json!({})).await;
        let id = path.rsplit('/').next().unwrap().parse().unwrap();
        let renewal = json!({"expirationDateTime": in_minutes(&world, 90)});
        let megan = world.megan();
        for _ in 0..3 {
            let found = world.state.store.subscription(id).await.unwrap().unwrap();
            let (from, until) = found.authorization();
            assert!(from >= before);
            assert_eq!(until < found.expires, lapses);
            ok(megan.patch(&path, renewal.clone()).await, StatusCode::OK);
        }
        ok(megan.send("POST", &format!("{path}/reauthorize"), String::new()).await, StatusCode::NO_CONTENT);
        let found = world.state.store.subscription(id).await.unwrap().unwrap();
        assert_eq!(found.lapses().is_some(), lapses);
    }
}
