use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use http_body_util::{BodyExt as _, Limited};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;
use crate::client_state::ClientState;
use crate::issuer::{APP, Issuer};
use crate::receiver::Refused;

fn webhook() -> Webhook {
    let receiver = Receiver::builder().client_state("s3cret").body_bytes_max(1_000).build().unwrap();
    Webhook::new(receiver)
}

fn item(id: &str, state: &str) -> Value {
    json!({
        "subscriptionId": "s", "subscriptionExpirationDateTime": "", "changeType": "created", "resource": "r",
        "clientState": state, "id": id
    })
}

async fn post_to(app: &Router, uri: &str, body: String) -> (StatusCode, Response) {
    let response = app.clone().oneshot(Request::post(uri).body(Body::from(body)).unwrap()).await.unwrap();
    (response.status(), response)
}

async fn status(app: &Router, items: &[Value]) -> u16 {
    post_to(app, "/hook", json!({"value": items}).to_string()).await.0.as_u16()
}

#[tokio::test]
async fn the_handshake_is_answered_as_plain_text_whatever_is_in_it() {
    let (route, _waiting) = webhook().route(1);
    let app = Router::new().route("/hook", route);
    let (status, response) = post_to(&app, "/hook?validationToken=%3Cscript%3Ea+b", String::new()).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/plain; charset=utf-8");
    assert_eq!(response.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    assert_eq!(to_bytes(response.into_body(), 100).await.unwrap(), "<script>a b");
}

#[tokio::test]
async fn what_is_genuine_and_new_is_handed_over_and_acknowledged() {
    let (route, mut waiting) = webhook().route(5);
    let app = Router::new().route("/hook", route);
    assert_eq!(status(&app, &[item("1", "s3cret"), item("2", "guess"), item("3", "s3cret")]).await, 202);
    assert_eq!(waiting.recv().await.unwrap().len(), 2);
    assert_eq!(status(&app, &[item("3", "s3cret"), item("4", "s3cret")]).await, 202);
    assert_eq!(waiting.recv().await.unwrap().len(), 1, "3 was there before");
    assert_eq!(status(&app, &[item("4", "s3cret")]).await, 202);
    assert!(waiting.try_recv().is_err(), "nothing is new");
}

#[tokio::test]
async fn what_found_no_room_is_taken_when_it_comes_again() {
    let (route, mut waiting) = webhook().route(1);
    let app = Router::new().route("/hook", route);
    assert_eq!(status(&app, &[item("1", "s3cret")]).await, 202);
    assert_eq!(status(&app, &[item("2", "s3cret")]).await, 503);
    assert!(waiting.recv().await.is_some());
    assert_eq!(status(&app, &[item("2", "s3cret")]).await, 202);
    assert_eq!(waiting.recv().await.unwrap().len(), 1);
    drop(waiting);
    assert_eq!(status(&app, &[item("3", "s3cret")]).await, 503, "nobody takes them any more");
}

#[tokio::test]
async fn what_is_of_a_subscription_not_known_yet_comes_again_and_takes_nothing_from_the_others() {
    let known = Arc::new(AtomicBool::new(false));
    let answered = known.clone();
    let lookup = move |id: &str| (id == "s" || answered.load(Ordering::SeqCst)).then(|| ClientState::new("s3cret"));
    let told = Arc::new(Mutex::new(Vec::new()));
    let log = told.clone();
    let webhook = Webhook::new(Receiver::builder().client_state_of(lookup).build().unwrap());
    let (route, mut waiting) =
        webhook.clone().on_refused(move |error| log.lock().unwrap().push(error.to_string())).route(5);
    let app = Router::new().route("/hook", route);
    let mut of_new = item("2", "s3cret");
    of_new["subscriptionId"] = "new".into();
    let both = [item("1", "s3cret"), of_new.clone()];
    assert_eq!(status(&app, &both).await, 503);
    assert_eq!(waiting.recv().await.unwrap().len(), 1);
    assert_eq!(*told.lock().unwrap(), [Refused::UnknownSubscription("new".into()).to_string()]);
    assert_eq!(status(&app, &[of_new]).await, 503, "alone, too");
    known.store(true, Ordering::SeqCst);
    assert_eq!(status(&app, &both).await, 202);
    assert_eq!(waiting.recv().await.unwrap()[0].subscription_id(), "new");
    assert!(waiting.try_recv().is_err(), "the other was there before");
}

#[tokio::test]
async fn a_connection_that_breaks_is_told_as_what_it_is() {
    let told = Arc::new(Mutex::new(None));
    let log = told.clone();
    let webhook = webhook();
    let kept = webhook.clone();
    let webhook = webhook.on_refused(move |error| *log.lock().unwrap() = error.downcast_ref::<BodyError>().cloned());
    let app = Router::new().route("/hook", webhook.route(1).0);
    let broken = Body::new(Limited::new(Body::from("{}"), 1).map_err(|_| std::io::Error::other("reset")));
    app.oneshot(Request::post("/hook").body(broken).unwrap()).await.unwrap();
    assert_eq!(*told.lock().unwrap(), Some(BodyError::Broken("reset".into())));
    drop(kept); // a clone takes nothing from it
}

#[tokio::test]
async fn what_is_not_genuine_is_refused_and_told_to_the_log_alone() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let log = told.clone();
    let webhook = webhook().on_refused(move |error| log.lock().unwrap().push(error.to_string()));
    let app = Router::new().route("/hook", webhook.route(1).0);
    assert_eq!(status(&app, &[item("1", "guess")]).await, 401);
    assert_eq!(post_to(&app, "/hook", "<html>".into()).await.0, 400);
    let (status, response) = post_to(&app, "/hook", "x".repeat(1_001)).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(to_bytes(response.into_body(), 100).await.unwrap().is_empty());
    assert_eq!(
        *told.lock().unwrap(),
        [
            "a notification of \"s\" has another clientState than the subscription",
            "the body is no collection of notifications: see line 1, column 1",
            "the body is longer than 1000 bytes",
        ]
    );
    let get = app.oneshot(Request::get("/hook?validationToken=t").body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(get.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn a_handler_of_ones_own_sees_only_what_is_genuine() {
    async fn hook(Notifications(received): Notifications) -> String {
        received.into_notifications().count().to_string()
    }
    let app = Router::new().route("/hook", post(hook)).with_state(webhook());
    let (status, response) = post_to(&app, "/hook", json!({"value": [item("1", "s3cret")]}).to_string()).await;
    assert_eq!((status, to_bytes(response.into_body(), 9).await.unwrap().as_ref()), (StatusCode::OK, &b"1"[..]));
    assert_eq!(post_to(&app, "/hook", json!({"value": [item("1", "guess")]}).to_string()).await.0, 401);
    let (status, response) = post_to(&app, "/hook?validationToken=t", String::new()).await;
    assert_eq!((status, to_bytes(response.into_body(), 9).await.unwrap().as_ref()), (StatusCode::OK, &b"t"[..]));
}

#[tokio::test]
async fn tokens_are_verified_with_the_keys_that_the_receiver_was_built_with() {
    let receiver = Receiver::builder().client_state("s3cret").app_id(APP).keys(Issuer::first().keys()).build().unwrap();
    let webhook = Webhook::new(receiver);
    let forged = json!({"value": [item("1", "s3cret")], "validationTokens": ["e30.e30."]}).to_string();
    assert_eq!(webhook.receive(forged.as_bytes()).await.unwrap_err().status(), 401);
}
