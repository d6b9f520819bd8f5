use axum::Router;
use axum::body::Body;
use axum::routing::post;
use http_body_util::{BodyExt as _, Limited};
use protocol::cloud_event::{CloudEvent, EVENT_BYTES_MAX, HttpMessage};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;

async fn hook(Events(events): Events) -> String {
    let ids: Vec<String> = events.into_iter().map(|event| format!("{} {}", event.id, event.kind)).collect();
    ids.join(", ")
}

fn app() -> Router {
    let handshake = async |asked: Handshake| asked.allow_if(|origin| origin == "eventgrid.azure.net");
    Router::new().route("/events", post(hook).options(handshake))
}

async fn answer(request: Request) -> (u16, String) {
    let response = app().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), 10_000).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

fn event(id: &str) -> CloudEvent {
    let event = json!({"specversion": "1.0", "id": id, "source": "/s", "type": "T", "data": {"n": 1}});
    CloudEvent::from_json(event.to_string().as_bytes()).unwrap()
}

fn pushed(message: HttpMessage) -> Request {
    let mut request = Request::post("/events");
    for (name, value) in &message.headers {
        request = request.header(name, value);
    }
    request.body(Body::from(message.body)).unwrap()
}

fn posted(content_type: &str, body: impl Into<Body>) -> Request {
    Request::post("/events").header("content-type", content_type).body(body.into()).unwrap()
}

#[tokio::test]
async fn events_come_in_each_of_http_s_modes() {
    assert_eq!(answer(pushed(event("1").to_structured_http())).await, (200, "1 T".to_owned()));
    assert_eq!(answer(pushed(event("1").to_binary_http().unwrap())).await, (200, "1 T".to_owned()));
    let batch = CloudEvent::batch_to_http(&[event("1"), event("2")]);
    assert_eq!(answer(pushed(batch)).await, (200, "1 T, 2 T".to_owned()));
    assert_eq!(answer(posted("application/cloudevents-batch+json", "[]")).await, (200, String::new()));
}

#[tokio::test]
async fn an_event_that_is_longer_in_base64_than_it_was_is_taken() {
    let headers = [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "/s"), ("ce-type", "T")];
    let headers = headers.map(|(name, value)| (name, value.as_bytes()));
    let Ok(Received::One(large)) = Received::from_http(&headers, &vec![0; EVENT_BYTES_MAX - 1_000]) else { panic!() };
    for message in [large.to_structured_http(), CloudEvent::batch_to_http([&large])] {
        assert!(message.body.len() > EVENT_BYTES_MAX);
        assert_eq!(answer(pushed(message)).await, (200, "1 T".to_owned()));
    }
}

#[tokio::test]
async fn what_is_no_event_is_refused_for_good_with_the_reason() {
    let plain = answer(posted("application/json", json!({"n": 1}).to_string())).await;
    assert_eq!((plain.0, plain.1.starts_with("this is no event")), (400, true), "{plain:?}");
    let broken = answer(posted("application/cloudevents+json", "{}")).await;
    assert_eq!(broken, (400, InvalidEvent::Missing("specversion").to_string()));
    assert_eq!(answer(posted("application/cloudevents+avro", "x")).await.0, 400, "it would be no other the next time");
    let one: Value = serde_json::from_slice(&event("1").to_json()).unwrap();
    let batch = answer(posted("application/cloudevents-batch+json", json!([one, {}]).to_string())).await;
    assert_eq!((batch.0, batch.1.contains("event 1 of the batch")), (400, true), "{batch:?}");
    let long = answer(posted("application/cloudevents+json", "x".repeat(LONG_EVENT_BYTES_MAX + 1))).await;
    assert_eq!(long, (413, Refused::TooLong.to_string()));
}

#[tokio::test]
async fn what_broke_on_its_way_is_to_come_again() {
    let reset = Limited::new(Body::from("{}"), 1).map_err(|_| std::io::Error::other("reset"));
    assert_eq!(answer(posted("application/cloudevents+json", Body::new(reset))).await.0, 503);
    assert_eq!(Refused::TimedOut.status(), 408);
}

async fn asked(headers: &[(&str, &str)]) -> Response {
    let mut request = Request::options("/events");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    app().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

#[tokio::test]
async fn who_may_send_is_told_so_and_nobody_else() {
    let allowed = asked(&[("WebHook-Request-Origin", "eventgrid.azure.net"), ("WebHook-Request-Rate", "120")]).await;
    assert_eq!(allowed.status(), 200);
    assert_eq!(allowed.headers()["webhook-allowed-origin"], "eventgrid.azure.net");
    assert_eq!(allowed.headers()["webhook-allowed-rate"], "*");
    assert_eq!(allowed.headers()["allow"], "POST, OPTIONS");
    let stranger = asked(&[("WebHook-Request-Origin", "evil.example")]).await;
    assert_eq!((stranger.status().as_u16(), stranger.headers().get("webhook-allowed-origin")), (403, None));
    assert_eq!(asked(&[]).await.status(), 400);
}

#[test]
fn who_consents_later_answers_without_a_word_on_who_may() {
    use protocol::event_grid::handshake::{Consent, NoConsent, verdict};
    let heard = |answer: Allowed| {
        let answer = answer.into_response();
        let allowed = answer.headers().get(ALLOWED_ORIGIN).and_then(|origin| origin.to_str().ok());
        verdict(&Default::default(), answer.status().as_u16(), allowed)
    };
    assert_eq!(heard(Allowed::not_now()), Ok(Consent::Withheld));
    assert_eq!(heard(Allowed::refuse()), Err(NoConsent::Status(403)));
}

#[tokio::test]
async fn a_handshake_says_the_rate_and_where_to_answer_later() {
    let request = Request::options("/")
        .header("WebHook-Request-Origin", "o")
        .header("WebHook-Request-Rate", " 60 ")
        .header("WebHook-Request-Callback", "https://o/callback?id=1");
    let (mut parts, ()) = request.body(()).unwrap().into_parts();
    let handshake = Handshake::from_request_parts(&mut parts, &()).await.unwrap();
    assert_eq!((handshake.rate, handshake.callback.as_deref()), (Some(60), Some("https://o/callback?id=1")));
    let limited = handshake.allow().at_most(30).into_response();
    assert_eq!(limited.headers()["webhook-allowed-rate"], "30");
    for rate in ["0", "-1", "many", "99999999999"] {
        parts.headers.insert(REQUEST_RATE, HeaderValue::from_static(rate));
        assert_eq!(Handshake::from_request_parts(&mut parts, &()).await.unwrap().rate, None, "{rate}");
    }
}
