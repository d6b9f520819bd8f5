//! The attempt log, as operators read it.

use std::fs;
use std::future::IntoFuture as _;

use axum::Router;
use axum::extract::RawQuery;
use axum::routing::post;
use http::StatusCode;
use serde_json::{Value, json};
use store::App;
use tidings_server::identity::Grant;
use tidings_server::seed;
use tidings_server::server::Running;
use uuid::Uuid;

use crate::admin;
use crate::delivery::{asked_of_admin, call, call_with, server};
use crate::world::World;

const CANARY: &str = "canary-of-the-client-state";

/// A receiver that takes no notification, and answers with what it was sent.
pub async fn refusing() -> String {
    let hook = async |RawQuery(query): RawQuery, body: String| {
        let query = query.unwrap_or_default();
        let token = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "validationToken");
        match token {
            Some((_, token)) => (StatusCode::OK, token.into_owned()),
            None => (StatusCode::SERVICE_UNAVAILABLE, body),
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, Router::new().route("/hook", post(hook))).into_future());
    url
}

/// A server with an attempt that was refused, and the id of its subscription.
async fn after_a_refusal() -> (Running, String) {
    let (server, url) = (server().await, refusing().await);
    let subscription = json!({
        "changeType": "created", "notificationUrl": format!("{url}?code={CANARY}"), "resource": "me/messages",
        "expirationDateTime": server.state.clock.wall().plus_minutes(60), "clientState": CANARY,
    });
    let (status, made) = call(&server, "POST", "/v1.0/subscriptions", subscription).await;
    assert_eq!(status, 201, "{made}");
    call(&server, "POST", "/v1.0/me/messages", json!({ "subject": "canary-of-the-subject" })).await;
    server.state.engine.settled().await;
    (server, made["id"].as_str().unwrap().to_owned())
}

async fn attempts(server: &Running, query: &str) -> (u16, Value) {
    asked_of_admin(server, "GET", &format!("/admin/attempts{query}"), json!({})).await
}

#[tokio::test]
async fn an_operator_sees_why_a_notification_does_not_arrive() {
    let (server, id) = after_a_refusal().await;
    let (status, told) = attempts(&server, &format!("?subscription={id}&outcome=refused&$top=1")).await;
    assert_eq!(status, 200, "{told}");
    let entry = &told["value"][0];
    assert_eq!(
        (&entry["outcome"], &entry["status"], &entry["notifications"]),
        (&json!("refused"), &json!(503), &json!(1))
    );
    assert_eq!((&entry["app"], &entry["subscriptions"]), (&json!(seed::APP), &json!([id])));
    assert!(entry["url"].as_str().unwrap().ends_with("/hook"), "{entry}");
    assert!(entry["nextRetryAt"].as_str() > entry["at"].as_str(), "{entry}");
    assert_eq!(attempts(&server, "?outcome=acknowledged").await.1["value"], json!([]));
    server.drain().await;
}

#[tokio::test]
async fn secrets_in_the_attempt_log_are_told_to_who_asks_for_one_owners_excerpts_and_not_stored_in_clear() {
    let (server, id) = after_a_refusal().await;
    let (_, told) = attempts(&server, "").await;
    assert_eq!(told["value"].as_array().unwrap().len(), 1, "{told}");
    assert!(!told.to_string().contains("canary") && !told.to_string().contains("excerpt"), "{told}");
    let (status, refusal) = attempts(&server, "?excerpts=true").await;
    assert!(status == 400 && refusal["error"].as_str().unwrap().contains("name an app or a subscription"), "{refusal}");
    let (_, told) = attempts(&server, &format!("?excerpts=true&subscription={id}")).await;
    assert!(told["value"][0]["excerpt"].as_str().unwrap().contains("value"), "{told}");
    let files: Vec<_> =
        fs::read_dir(server.data().join("attempts")).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(files.len(), 1);
    let content = fs::read_to_string(&files[0]).unwrap();
    assert!(!content.is_empty() && !content.contains("canary") && !content.contains("hook"), "{content}");
    server.drain().await;
}

#[tokio::test]
async fn what_cannot_be_asked_of_the_attempt_log_is_refused_with_what_to_change() {
    let world = World::closed().await;
    for (query, words) in [
        ("", "section [attempt_log]"),
        ("?$top=0", "give 1 to 1000"),
        ("?outcome=lost", "they are acknowledged, refused,"),
        ("?since=yesterday", "since"),
        ("?user=megan", "unknown field"),
    ] {
        let (status, answer) = admin::call(&world, "hush", "GET", &format!("/admin/attempts{query}"), "").await;
        assert_eq!(status, if query.is_empty() { 404 } else { 400 }, "{query}: {answer}");
        assert!(answer["error"].as_str().unwrap().contains(words), "{query}: {answer}");
    }
}

/// What an app is answered that asks for its own attempts, with a token of its own.
pub async fn own_attempts(server: &Running, app: &App, query: &str) -> (u16, Value) {
    let grant = Grant::Application(app.tenant, &[]);
    let token = server.state.tokens.issue(app, grant, server.state.clock.wall(), 60).unwrap();
    call_with(&token, server, "GET", &format!("/tidings/attempts{query}"), json!({})).await
}

#[tokio::test]
async fn an_app_sees_what_came_of_the_requests_to_its_receivers_and_what_these_answered() {
    let (server, id) = after_a_refusal().await;
    let (status, told) =
        own_attempts(&server, &seed::app(), &format!("?subscription={id}&outcome=refused&$top=10")).await;
    assert_eq!((status, &told["more"]), (200, &json!(false)), "{told}");
    let entry = &told["value"][0];
    assert_eq!((&entry["status"], &entry["subscriptions"]), (&json!(503), &json!([id])));
    assert!(entry["excerpt"].as_str().unwrap().contains("value"), "it is the app's own receiver: {entry}");
    assert!(!entry["url"].as_str().unwrap().contains(CANARY), "{entry}");
    let (status, told) = own_attempts(&server, &seed::app(), "?outcome=acknowledged").await;
    assert_eq!((status, &told["value"]), (200, &json!([])));
    for (query, words) in
        [("?$top=0", "give 1 to 1000"), ("?outcome=lost", "they are acknowledged"), ("?app=x", "unknown field")]
    {
        let (status, told) = own_attempts(&server, &seed::app(), query).await;
        let message = told["error"]["message"].as_str().unwrap();
        assert!(status == 400 && message.contains(words), "{query}: {message}");
    }
    server.drain().await;
}

#[tokio::test]
async fn leak_of_what_receivers_answered_to_other_apps_or_users_does_not_happen() {
    let (server, id) = after_a_refusal().await;
    let store = &server.state.store;
    let rival = App::new(graph::AppId(Uuid::from_u128(77)), seed::TENANT, "Rival", graph::UserId(Uuid::from_u128(78)));
    store.add_app(rival.clone()).await.unwrap();
    for query in [String::new(), format!("?subscription={id}")] {
        let (status, told) = own_attempts(&server, &rival, &query).await;
        assert_eq!((status, &told["value"]), (200, &json!([])), "{query}");
    }
    let (status, told) = call(&server, "GET", "/tidings/attempts", json!({})).await;
    assert_eq!(
        (status, &told["error"]["code"]),
        (403, &json!("ErrorAccessDenied")),
        "a user consented to other things"
    );
    let (status, _) = call_with("none", &server, "GET", "/tidings/attempts", json!({})).await;
    assert_eq!(status, 401);
    let grant = Grant::Application(seed::TENANT, &[]);
    let token = server.state.tokens.issue(&seed::app(), grant, server.state.clock.wall(), 60).unwrap();
    let (status, _) = call_with(&token, &server, "POST", "/tidings/attempts", json!({})).await;
    assert_eq!(status, 405);
    server.drain().await;
}

#[tokio::test]
async fn a_server_without_an_attempt_log_says_so_to_apps() {
    let world = World::new().await;
    assert_eq!(
        world.app().get("/tidings/attempts").await.refusal(),
        "404 ResourceNotFound: This server keeps no log of single attempts."
    );
}
