//! Bad input, and what the caller is told.

use serde_json::json;

use crate::world::{CLIENT_REQUEST_ID, World, settled};

#[tokio::test]
async fn every_refusal_has_graphs_shape_and_headers() {
    let world = World::new().await;
    let reply = world.megan().get("/v1.0/me/messages/AAMkRgAAAA=").await;
    insta::assert_json_snapshot!("error", settled(&reply.json));
    assert_eq!(reply.header("client-request-id"), CLIENT_REQUEST_ID);
    assert_eq!(reply.header("request-id"), reply.text("/error/innerError/request-id"));
    assert_eq!(reply.header("odata-version"), "4.0");
    assert_eq!(
        reply.header("content-type"),
        "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"
    );
}

#[tokio::test]
async fn a_token_that_does_not_hold_is_told_apart() {
    let world = World::new().await;
    let mut seen = Vec::new();
    for caller in [world.stranger(), world.bearer("Bearer "), world.bearer("Basic eDp5"), world.bearer("Bearer a.b.c")]
    {
        let reply = caller.get("/v1.0/me").await;
        assert_eq!(
            reply.header("www-authenticate"),
            "Bearer realm=\"\", authorization_uri=\"http://graph.test:8443/common/oauth2/v2.0/authorize\", \
             client_id=\"00000003-0000-0000-c000-000000000000\""
        );
        seen.push(reply.refusal());
    }
    insta::assert_json_snapshot!("unauthorized", seen);
}

#[tokio::test]
async fn paths_queries_and_bodies_that_cannot_be_are_refused_by_name() {
    let world = World::new().await;
    let megan = world.megan();
    let id = megan.draft("x").await;
    let mut seen = Vec::new();
    for path in [
        "/v2.0/me",
        "/v1.0/",
        "/v1.0/me/drive",
        "/v1.0/me/messages/not-an-id",
        "/v1.0/me/mailFolders/nowhere/messages",
        "/v1.0/me/messages?$filter=isRead eq false".replace(' ', "%20").as_str(),
        "/v1.0/me/messages?$top=100000",
        "/v1.0/me/messages?$select=colour",
        "/v1.0/me/messages?$orderby=subject",
        "/v1.0/me/messages?tracking=7",
        &format!("/v1.0/me/messages/{id}?$expand=attachments"),
    ] {
        seen.push(format!("GET {} -> {}", path.replace(&id, "{id}"), megan.get(path).await.refusal()));
    }
    let deep = format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
    let nested = format!("{{\"subject\":{}1{}}}", "[".repeat(60), "]".repeat(60));
    for (body, named) in [
        ("{".to_owned(), "{"),
        (String::new(), "nothing"),
        ("[]".to_owned(), "[]"),
        ("{\"subject\":7}".to_owned(), "a number for a text"),
        ("{\"bogus\":7}".to_owned(), "an unknown property"),
        ("{\"isRead\":\"maybe\"}".to_owned(), "a text for a boolean"),
        ("{\"toRecipients\":{}}".to_owned(), "an object for a collection"),
        ("{\"receivedDateTime\":\"yesterday\"}".to_owned(), "a bad date"),
        (deep, "deep nesting"),
        (nested, "less deep nesting"),
        (format!("\"{}\"", "x".repeat(300_000)), "too much"),
    ] {
        seen.push(format!("POST {named} -> {}", megan.send("POST", "/v1.0/me/messages", body).await.refusal()));
    }
    let put = megan.send("PUT", "/v1.0/me/messages", String::new()).await;
    seen.push(format!("PUT -> {}", put.refusal()));
    let patch = megan.send("PATCH", "/v1.0/subscriptions", String::new()).await;
    seen.push(format!("PATCH /subscriptions -> {}", patch.refusal()));
    let move_ = megan.post(&format!("/v1.0/me/messages/{id}/move"), json!({"destinationId": "nowhere"})).await;
    seen.push(format!("move -> {}", move_.refusal()));
    let send = megan.post(&format!("/v1.0/me/messages/{id}/send"), json!({})).await;
    seen.push(format!("send -> {}", send.refusal()));
    insta::assert_json_snapshot!("bad_input", seen);
}
