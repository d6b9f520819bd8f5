//! Pushing events to webhooks, and the handshake before it.

use protocol::cloud_event::CloudEvent;
use protocol::event_grid::handshake::{Ask, Consent, NoConsent};
use protocol::event_grid::push::{Content, Delivery, Header, Origin};

use super::*;

const ALLOWED: &str = "HTTP/1.1 200 OK\r\nWebHook-Allowed-Origin: eventgrid.azure.net\r\nWebHook-Allowed-Rate: 120\r\nContent-Length: 0\r\n\r\n";

fn shown(request: &str, port: u16) -> String {
    let request = request.replace(&port.to_string(), "PORT").replace("\r\n", "\n");
    request.replace(env!("CARGO_PKG_VERSION"), "VERSION")
}

async fn asked(outbound: &Outbound, url: &str, limit: Duration) -> Result<Consent, NoConsent> {
    let ask =
        Ask { origin: &Origin::default(), callback: Some("https://tidings.example/v/code"), bearer: Some("token") };
    outbound.consent_within(url, &ask, limit).await
}

#[tokio::test]
async fn what_is_pushed_carries_event_grids_headers_and_those_of_the_event_subscription() {
    let receiver = Receiver::start(|_, _| Reply::Send(OK.to_owned())).await;
    let text = br#"{"id":"1","type":"t","source":"/s","specversion":"1.0","data":{"n":1}}"#;
    let event = CloudEvent::from_json(text).unwrap();
    let (origin, headers) = (Origin::default(), [Header::fixed("X-Team", "mail").unwrap()]);
    let delivery = Delivery {
        origin: &origin,
        event_subscription: "worker",
        delivery_count: 2,
        headers: &headers,
        bearer: Some("token"),
    };
    let mut more = http::HeaderMap::new();
    more.insert("traceparent", "00-1-2-03".parse().unwrap());
    let url = receiver.url("/x?code=1");
    let target = (url.as_str(), TlsVersion::V1_3);
    let pushed = dev().push(target, delivery.request(Content::Structured(&event)), more, LONG).await;
    assert_eq!(outcome(&pushed), Outcome::Acknowledged);
    insta::assert_snapshot!(shown(&receiver.requests()[0], receiver.port), @r#"
    POST /x?code=1 HTTP/1.1
    Traceparent: 00-1-2-03
    Aeg-Subscription-Name: WORKER
    Aeg-Delivery-Count: 2
    Aeg-Event-Type: Notification
    Aeg-Metadata-Version: 1.0
    Webhook-Request-Origin: eventgrid.azure.net
    Authorization: Bearer token
    X-Team: mail
    Content-Type: application/cloudevents+json; charset=utf-8
    User-Agent: tidings/VERSION
    Host: 127.0.0.1:PORT
    Content-Length: 70

    {"id":"1","type":"t","source":"/s","specversion":"1.0","data":{"n":1}}
    "#);
}

#[tokio::test]
async fn an_endpoint_is_asked_by_options_and_its_consent_is_read() {
    let receiver = Receiver::start(|_, _| Reply::Send(ALLOWED.to_owned())).await;
    assert_eq!(asked(&dev(), &receiver.url("/x?code=1"), LONG).await, Ok(Consent::Given));
    insta::assert_snapshot!(shown(&receiver.requests()[0], receiver.port), @r#"
    OPTIONS /x?code=1 HTTP/1.1
    Webhook-Request-Origin: eventgrid.azure.net
    Webhook-Request-Rate: 120
    Webhook-Request-Callback: https://tidings.example/v/code
    Authorization: Bearer token
    User-Agent: tidings/VERSION
    Host: 127.0.0.1:PORT
    "#);
}

#[tokio::test]
async fn an_endpoint_that_says_nothing_may_consent_later_and_any_other_is_refused() {
    let receiver = Receiver::start(|_, request| {
        let path = request.split(' ').nth(1).unwrap_or_default();
        Reply::Send(match path {
            "/silent" => OK.to_owned(),
            "/other" => ALLOWED.replace("eventgrid.azure.net", "other.example"),
            "/moved" => "HTTP/1.1 307 Moved\r\nLocation: /silent\r\nContent-Length: 0\r\n\r\n".to_owned(),
            _ => "HTTP/1.1 405 No\r\nWebHook-Allowed-Origin: *\r\nContent-Length: 0\r\n\r\n".to_owned(),
        })
    })
    .await;
    let outbound = dev();
    let other = NoConsent::OtherOrigin { allowed: "other.example".to_owned(), own: Origin::AZURE.to_owned() };
    for (path, expected) in [
        ("/silent", Ok(Consent::Withheld)),
        ("/other", Err(other)),
        ("/moved", Err(NoConsent::Status(307))),
        ("/405", Err(NoConsent::Status(405))),
    ] {
        assert_eq!(asked(&outbound, &receiver.url(path), LONG).await, expected, "{path}");
    }
    let slow = Receiver::start(|_, _| Reply::Stall("HTTP/1.1 200 OK\r\n")).await;
    let timed_out = Err(NoConsent::NotAsked(HandshakeError::TimedOut));
    assert_eq!(asked(&outbound, &slow.url("/"), SHORT).await, timed_out);
}

#[tokio::test]
async fn ssrf_by_an_endpoint_fails_since_the_policy_is_that_of_webhooks() {
    let receiver = Receiver::start(|_, _| Reply::Send(ALLOWED.to_owned())).await;
    let serve = outbound(Policy::default(), Vec::new());
    let refused = |error| Err(NoConsent::NotAsked(error));
    let url = receiver.url("/");
    assert_eq!(asked(&serve, &url, LONG).await, refused(HandshakeError::Scheme("http".to_owned())));
    let secure = url.replace("http://", "https://");
    assert_eq!(asked(&serve, &secure, LONG).await, refused(HandshakeError::LocalAddress));
    let named = secure.replace("127.0.0.1", "hook.example");
    assert_eq!(asked(&serve, &named, LONG).await, refused(HandshakeError::LocalAddress), "by its name as well");
    assert!(receiver.requests().is_empty());
}
