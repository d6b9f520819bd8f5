//! What operators and load balancers are told: metrics, and whether the server is alive and ready.

use std::time::Duration;

use axum::body::Body;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::json;
use tidings_server::admin::open_router;
use tidings_server::server::{Settings, start};
use tower::ServiceExt as _;

use crate::admin::call;
use crate::delivery::{self, receiver, settings};
use crate::world::World;

/// What the listener that is open to everybody answers.
async fn open(world: &World, path: &str) -> (StatusCode, String) {
    let request = Request::builder().uri(path).body(Body::empty()).unwrap();
    let response = open_router(world.state.clone()).oneshot(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn who_asks_whether_the_server_lives_and_is_ready_needs_no_token() {
    let world = World::closed().await;
    for path in ["/healthz", "/readyz"] {
        assert_eq!(world.stranger().get(path).await.status, 200, "{path}");
        assert_eq!(call(&world, "", "GET", path, "").await.0, 200, "{path} of the admin address");
        assert_eq!(open(&world, path).await.0, 200, "{path} beside the metrics");
    }
}

#[tokio::test]
async fn a_server_that_is_not_ready_says_why_and_lives_on() {
    let world = World::closed().await;
    world.state.telemetry.readiness.drain();
    let reply = world.stranger().get("/readyz").await;
    assert_eq!((reply.status, reply.text("/failing/0/check")), (503, "draining".to_owned()), "{}", reply.json);
    assert!(reply.text("/failing/0/detail").contains("send requests to another one"), "{}", reply.json);
    assert_eq!(world.stranger().get("/healthz").await.status, 200);
    assert_eq!(open(&world, "/readyz").await.0, 503);
}

#[tokio::test]
async fn metrics_need_the_admin_token_unless_they_have_an_address_of_their_own() {
    let world = World::new().await;
    assert_eq!(call(&world, "guess", "GET", "/metrics", "").await.0, 401);
    assert_eq!(call(&world, "hush", "GET", "/metrics", "").await.0, 200);
    let (status, told) = open(&world, "/metrics").await;
    assert_eq!(status, 200);
    assert!(told.contains("tidings_partitions_held 256"), "{told}");
    assert_eq!(open(&world, "/admin/status").await.0, 404, "nothing else is open there");
    assert_eq!(world.megan().get("/metrics").await.status, 400, "apps are not told");
}

#[tokio::test]
async fn requests_are_counted_by_what_they_ask_for_and_not_by_what_they_say() {
    let world = World::new().await;
    let id = world.megan().draft("canary-of-the-subject").await;
    world.megan().get(&format!("/v1.0/me/messages/{id}?$select=subject")).await;
    world.megan().get(&format!("/beta/users('megan@contoso.test')/messages('{id}')")).await;
    world.stranger().get("/v1.0/me/mailFolders/inbox/messages").await;
    world.megan().get("/v1.0/canary-of-the-path").await;
    world.megan().post("/v1.0/$batch", json!({"requests": [{"id": "1", "method": "GET", "url": "/me"}]})).await;
    world.stranger().get("/contoso.test/v2.0/.well-known/openid-configuration").await;
    let (_, told) = open(&world, "/metrics").await;
    let counted = |method: &str, route: &str, status: &str, count: u32| {
        let labels = format!(r#"{{method="{method}",route="{route}",status="{status}"}}"#);
        let line = format!("tidings_http_request_duration_seconds_count{labels} {count}");
        assert!(told.contains(&line), "no line {line} in\n{told}");
    };
    counted("POST", "/messages", "2xx", 1);
    counted("GET", "/messages/{message-id}", "2xx", 2);
    counted("GET", "/messages", "4xx", 1);
    counted("GET", "other", "4xx", 1);
    counted("POST", "/$batch", "2xx", 1);
    counted("GET", "/{tenant}/v2.0/.well-known/openid-configuration", "2xx", 1);
    assert!(!told.contains("canary") && !told.contains(&id) && !told.contains("megan"), "{told}");
}

#[tokio::test]
async fn what_was_delivered_is_counted_once_it_is_recorded() {
    let (url, mut notifications) = receiver().await;
    let server = start(settings()).await.unwrap();
    let expires = server.state.clock.wall().plus_minutes(60);
    let subscription = json!({"changeType": "created", "notificationUrl": url, "resource": "me/messages",
                              "expirationDateTime": expires});
    assert_eq!(delivery::call(&server, "POST", "/v1.0/subscriptions", subscription).await.0, 201);
    delivery::call(&server, "POST", "/v1.0/me/messages", json!({"subject": "Hello"})).await;
    notifications.recv().await.unwrap();
    let state = server.state.clone();
    server.drain().await;
    let told = state.telemetry.render(None, state.store.counters());
    let lines = [
        r#"tidings_handshakes_total{result="valid"} 1"#,
        r#"tidings_log_records_total{kind="change"} 1"#,
        r#"tidings_attempt_duration_seconds_count{outcome="acknowledged"} 1"#,
        "tidings_attempt_notifications_sum 1",
        "tidings_delivery_latency_seconds_count 1",
        "tidings_matches_total 1",
        "tidings_deliveries_total 1",
    ];
    for line in lines {
        assert!(told.lines().any(|told| told == line), "no line {line} in\n{told}");
    }
}

/// The status that a running server gives a load balancer, on a new connection.
async fn readiness(address: std::net::SocketAddr) -> u16 {
    delivery::status(&format!("http://{address}/readyz")).await
}

#[tokio::test]
async fn a_server_that_stops_says_so_before_it_accepts_no_more() {
    let server = start(Settings { drain_notice: Duration::from_secs(60), ..settings() }).await.unwrap();
    let addresses = [server.listen.http[0], server.listen.admin, server.listen.metrics.unwrap()];
    for address in addresses {
        while readiness(address).await != 200 {}
    }
    tokio::spawn(server.drain());
    for address in addresses {
        while readiness(address).await != 503 {}
    }
}
