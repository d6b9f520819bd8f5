//! The admin API.

use std::sync::Arc;

use axum::body::Body;
use graph::ChangeId;
use graph::mailbox::Fresh;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tidings_server::admin::{Admin, router};
use tidings_server::ids;
use tidings_server::outbound::{Outbound, OutboundConfig};
use tower::ServiceExt as _;

use crate::world::World;

pub async fn call(world: &World, token: &str, method: &str, path: &str, body: &str) -> (StatusCode, Value) {
    let clock = world.state.clock.clone();
    let fresh = move || Fresh {
        now: clock.wall(),
        uuid: ids::new_uuid(),
        change: ChangeId(ids::new_uuid()),
        removal: ChangeId(ids::new_uuid()),
    };
    let outbound = Arc::new(Outbound::new(OutboundConfig::default()).unwrap());
    let (state, origin) = (world.state.clone(), "http://graph.test:8443".to_owned());
    let admin = Admin { state, token: "hush".into(), origin, fresh: Arc::new(fresh), outbound, dev: true };
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json")
        .body(Body::from(body.to_owned()))
        .unwrap();
    let response = router(admin).oneshot(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

#[tokio::test]
async fn administration_by_a_neighbour_needs_the_token_but_the_description_is_for_everybody() {
    let world = World::new().await;
    let (status, body) = call(&world, "guess", "GET", "/admin/status", "").await;
    assert_eq!(status, 401);
    assert!(body["error"].as_str().unwrap().contains("admin-token"));
    assert_eq!(call(&world, "hush", "GET", "/admin/status", "").await.1["partitions"], 256);
    let (status, mut description) = call(&world, "", "GET", "/admin/openapi.json", "").await;
    assert_eq!(status, 200);
    description["info"]["version"] = "[version]".into();
    insta::assert_json_snapshot!("openapi", description);
}

#[tokio::test]
async fn a_lifecycle_event_needs_somebody_who_hears_it() {
    let world = World::new().await;
    let expires = world.state.clock.wall().plus_minutes(60);
    let mut body = json!({"changeType": "created", "notificationUrl": "https://h.example/", "resource": "me/messages",
                          "expirationDateTime": expires});
    let deaf = world.megan().post("/v1.0/subscriptions", body.clone()).await.text("/id");
    body["lifecycleNotificationUrl"] = "https://h.example/l".into();
    body["resource"] = "me/events".into();
    let hearing = world.megan().post("/v1.0/subscriptions", body).await.text("/id");
    let provoke = async |id: &str, event: &str| {
        let path = format!("/admin/subscriptions/{id}/lifecycle");
        call(&world, "hush", "POST", &path, &json!({"event": event}).to_string()).await.0
    };
    assert_eq!(provoke(&hearing, "missed").await, 202);
    assert_eq!(provoke(&hearing, "explode").await, 422);
    assert_eq!(provoke(&deaf, "missed").await, 409);
    assert_eq!(provoke("nobody", "missed").await, 404);

    let (status, ledger) = call(&world, "hush", "GET", &format!("/admin/subscriptions/{hearing}/ledger"), "").await;
    assert_eq!((status, ledger), (StatusCode::OK, json!({"matched": 0, "delivered": 0, "parked": 0, "abandoned": {}})));
    let (_, list) = call(&world, "hush", "GET", "/admin/subscriptions", "").await;
    assert_eq!(list["subscriptions"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_batch_is_imported_item_by_item() {
    let world = World::new().await;
    let line = json!({"user": "megan@contoso.test", "kind": "message", "properties": {"subject": "old"}});
    let batch = format!("{line}\n{{\"user\":\"nobody@contoso.test\",\"kind\":\"message\",\"properties\":{{}}}}\n");
    let (status, answer) = call(&world, "hush", "POST", "/admin/import?quiet=true", &batch).await;
    assert_eq!((status, &answer["imported"]), (StatusCode::OK, &json!(1)), "{answer}");
    assert_eq!(answer["failed"][0]["index"], 1);
}

#[tokio::test]
async fn an_operator_lets_a_user_sign_in_once() {
    let world = World::closed().await;
    let (status, made) = call(&world, "hush", "POST", "/admin/users/megan@contoso.test/sign-in-codes", "{}").await;
    assert_eq!(status, 201, "{made}");
    let code = made["code"].as_str().unwrap();
    let signed_in = |code: &str| world.state.pending.sign_in(code, world.state.clock.wall());
    assert_eq!((signed_in(code), signed_in(code)), (Some(tidings_server::seed::users()[0].id), None));
    let nobody = call(&world, "hush", "POST", "/admin/users/nobody@contoso.test/sign-in-codes", "{}").await;
    assert_eq!(nobody.0, 404, "{}", nobody.1);
    assert_eq!(call(&world, "guess", "POST", "/admin/users/megan@contoso.test/sign-in-codes", "{}").await.0, 401);
}

#[tokio::test]
async fn an_operator_changes_the_signing_key() {
    let world = World::new().await;
    let megan = world.megan();
    let (status, rotated) = call(&world, "hush", "POST", "/admin/keys/rotate", "{}").await;
    assert_eq!((status.as_u16(), &rotated["kid"]), (200, &json!(world.state.tokens.ring().signing().kid())));
    assert_eq!(megan.get("/v1.0/me").await.status, 200);
    assert_eq!(call(&world, "hush", "POST", "/admin/keys/rotate", r#"{"distrust":true}"#).await.0, 200);
    assert_eq!(megan.get("/v1.0/me").await.status, 401);
}

#[tokio::test]
async fn an_operator_is_told_whether_a_url_may_be_called_and_what_would_open_it() {
    let world = World::new().await;
    let asked = async |url: &str, handshake: bool| {
        let body = json!({"url": url, "handshake": handshake}).to_string();
        let (status, answer) = call(&world, "hush", "POST", "/admin/outbound/check", &body).await;
        assert_eq!(status, 200, "{answer}");
        answer
    };
    insta::assert_json_snapshot!(asked("https://10.0.0.7/n?code=1", true).await, @r#"
    {
      "addresses": [],
      "allowed": false,
      "handshake": null,
      "opens": "outbound.allow_private = true, or outbound.allow = [\"10.0.0.7\"]",
      "reason": "10.0.0.7 is a private address; it is called only if it is allowed by name"
    }
    "#);
    let allowed = asked("https://8.8.8.8/", false).await;
    assert_eq!((&allowed["allowed"], &allowed["handshake"]), (&json!(true), &json!(null)));
}
