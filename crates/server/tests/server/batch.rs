//! Megan sends several requests in one.

use http::StatusCode;
use notify::Profile;
use notify::throttle::{Rate, ThrottleLimits};
use serde_json::{Value, json};

use crate::world::{Reply, World, ok};

const JSON: &str = "application/json";

async fn batch(world: &World, requests: Value) -> Reply {
    world.megan().post("/v1.0/$batch", json!({"requests": requests})).await
}

/// The answers as `id status code`.
fn outline(reply: &Reply) -> Vec<String> {
    let text = |answer: &Value, pointer: &str| match answer.pointer(pointer) {
        Some(Value::String(text)) => format!(" {text}"),
        _ => String::new(),
    };
    let answers = reply.json["responses"].as_array().unwrap().iter();
    answers
        .map(|answer| {
            format!("{} {}{}", answer["id"].as_str().unwrap(), answer["status"], text(answer, "/body/error/code"))
        })
        .collect()
}

#[tokio::test]
async fn requests_of_a_batch_are_answered_as_if_they_came_alone() {
    let world = World::new().await;
    let reply = batch(
        &world,
        json!([
            {"id": "a", "method": "GET", "url": "/me?$select=displayName"},
            {"id": "b", "method": "GET", "url": "me/mailFolders/inbox?$select=displayName"},
            {"id": "c", "method": "get", "url": "/beta//me/messages", "headers": {"client-request-id": "mine"}},
            {"id": "d", "method": "POST", "url": "/v1.0/me/messages", "headers": {"content-type": JSON},
             "body": {"subject": "By batch"}},
            {"id": "e", "method": "DELETE", "url": "/me/messages/x"},
            {"id": "f", "method": "GET", "url": "/me/messages?$top=0"},
        ]),
    )
    .await;
    let reply = ok(reply, StatusCode::OK);
    let seen = outline(&reply);
    assert_eq!(seen, ["a 200", "b 200", "c 200", "d 201", "e 400 ErrorInvalidIdMalformed", "f 400 BadRequest"]);
    let answers = &reply.json["responses"];
    assert_eq!(answers[0]["body"]["displayName"], "Megan Bowen");
    assert_eq!(answers[1]["body"]["displayName"], "Inbox");
    let context = answers[2]["body"]["@odata.context"].as_str().unwrap();
    assert!(context.starts_with("http://graph.test:8443/beta/$metadata#"), "{context}");
    assert_eq!(answers[2]["headers"]["client-request-id"], "mine");
    let headers = &answers[3]["headers"];
    assert_eq!(
        headers["Content-Type"],
        "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"
    );
    assert_eq!(headers["OData-Version"], "4.0");
    assert!(headers["Location"].as_str().unwrap().contains("/messages('"), "{headers}");
    let inner = &answers[4]["body"]["error"]["innerError"];
    assert_eq!(inner["request-id"], answers[4]["headers"]["request-id"]);
}

#[tokio::test]
async fn a_subscription_can_be_made_and_ended_in_a_batch() {
    let world = World::new().await;
    let body = json!({"changeType": "created", "resource": "me/messages",
                      "notificationUrl": "https://hook.example.net/n",
                      "expirationDateTime": world.state.clock.wall().plus_minutes(60)});
    let headers = json!({"Content-Type": JSON});
    let post = json!({"id": "a", "method": "POST", "url": "/subscriptions", "headers": headers, "body": body});
    let made = ok(batch(&world, json!([post])).await, StatusCode::OK);
    assert_eq!(outline(&made), ["a 201"]);
    let url = format!("/subscriptions/{}", made.text("/responses/0/body/id"));
    let ended = ok(batch(&world, json!([{"id": "a", "method": "DELETE", "url": url}])).await, StatusCode::OK);
    assert_eq!(outline(&ended), ["a 204"]);
}

#[tokio::test]
async fn what_depends_on_a_failure_fails_and_what_depends_on_a_success_comes_after_it() {
    let world = World::new().await;
    let make = |id: &str, after: Value, subject: Value| {
        json!({"id": id, "method": "POST", "url": "/me/messages", "dependsOn": after,
               "headers": {"Content-Type": JSON}, "body": {"subject": subject}})
    };
    let reply = batch(
        &world,
        json!([
            make("1", json!([]), json!("one")),
            make("2", json!(["1"]), json!(["no text"])),
            make("3", json!(["2"]), json!("three")),
            make("4", json!(["3"]), json!("four")),
            make("5", json!(["1"]), json!("five")),
            {"id": "6", "method": "GET", "url": "/me/messages?$count=true", "dependsOn": ["1", "5"]},
        ]),
    )
    .await;
    let reply = ok(reply, StatusCode::OK);
    assert_eq!(
        outline(&reply),
        ["1 201", "2 400 RequestBodyRead", "3 424 FailedDependency", "4 424 FailedDependency", "5 201", "6 200"]
    );
    assert_eq!(reply.json["responses"][5]["body"]["@odata.count"], 2);
}

#[tokio::test]
async fn a_batch_that_cannot_be_is_refused_whole_and_nothing_is_done() {
    let world = World::new().await;
    let get = |id: &str, after: &[&str]| json!({"id": id, "method": "GET", "url": "/me", "dependsOn": after});
    let post = json!({"id": "w", "method": "POST", "url": "/me/messages", "headers": {"Content-Type": JSON},
                      "body": {"subject": "x"}});
    let many: Vec<Value> = (0..21).map(|number| get(&number.to_string(), &[])).collect();
    let mut seen = Vec::new();
    for requests in [
        json!(many),
        json!([]),
        json!([post, get("W", &[])]),
        json!([post, get("1", &["2"]), get("2", &["1"])]),
        json!([post, get("1", &["nobody"])]),
        json!([post, {"id": "1", "method": "POST", "url": "/me/messages", "body": {"subject": "x"}}]),
        json!([post, {"id": "1", "method": "G T", "url": "/me"}]),
        json!([post, {"id": "1", "method": "GET", "url": "/me", "headers": {"a b": "c"}}]),
        json!([post, {"id": 1, "method": "GET", "url": "/me"}]),
    ] {
        seen.push(batch(&world, requests).await.refusal());
    }
    insta::assert_json_snapshot!(seen, @r#"
    [
      "400 MaximumValueExceeded: Number of batch request steps exceeds the maximum value of 20.",
      "400 BadRequest: Invalid batch payload format.",
      "400 BadRequest: Duplicate request id : W.",
      "400 BadRequest: Invalid dependency for request id : 1.",
      "400 BadRequest: Invalid dependency for request id : 1.",
      "400 BadRequest: Write request id : 1 does not contain Content-Type header or body.",
      "400 BadRequest: Invalid batch payload format.",
      "400 BadRequest: Invalid batch payload format.",
      "400 BadRequest: Invalid batch payload format."
    ]
    "#);
    assert_eq!(world.megan().send("POST", "/v1.0/$batch", "{".to_owned()).await.status, 400);
    assert_eq!(world.stranger().post("/v1.0/$batch", json!({"requests": [post]})).await.status, 401);
    assert_eq!(world.megan().get("/v1.0/$batch").await.status, 405);
    let left = ok(world.megan().get("/v1.0/me/messages?$count=true").await, StatusCode::OK);
    assert_eq!(left.json["@odata.count"], 0);
}

#[tokio::test]
async fn a_request_that_cannot_be_in_a_batch_is_refused_alone() {
    let world = World::new().await;
    let nested = json!({"requests": [{"id": "1", "method": "GET", "url": "/me"}]});
    let reply = batch(
        &world,
        json!([
            {"id": "nested", "method": "POST", "url": "/$batch", "headers": {"Content-Type": JSON}, "body": nested},
            {"id": "absolute", "method": "GET", "url": "https://graph.microsoft.com/v1.0/me"},
            {"id": "own", "method": "GET", "url": "http://graph.test:8443/v1.0/me"},
            {"id": "token", "method": "GET", "url": "/me", "headers": {"Authorization": "Bearer a.b.c"}},
            {"id": "fine", "method": "GET", "url": "/me"},
        ]),
    )
    .await;
    let seen = outline(&ok(reply, StatusCode::OK));
    assert_eq!(
        seen,
        [
            "nested 400 BadRequest",
            "absolute 400 BadRequest",
            "own 200",
            "token 401 InvalidAuthenticationToken",
            "fine 200"
        ]
    );
}

#[tokio::test]
async fn a_batch_never_asks_too_much_of_a_mailbox_at_a_time_but_each_request_counts() {
    let twelve = ThrottleLimits { mailbox: Rate { units: 12, seconds: 600 }, ..ThrottleLimits::documented() };
    let world = World::throttled(Profile { throttle: twelve, ..Profile::documented() }).await;
    let requests: Vec<Value> =
        (0..20).map(|number| json!({"id": number.to_string(), "method": "GET", "url": "/me/messages"})).collect();
    let reply = ok(batch(&world, json!(requests)).await, StatusCode::OK);
    let answers = reply.json["responses"].as_array().unwrap();
    let count = |status: u16| answers.iter().filter(|answer| answer["status"] == status).count();
    assert_eq!((count(200), count(429)), (12, 8));
    let refused = answers.iter().find(|answer| answer["status"] == 429).unwrap();
    assert_eq!(refused["headers"]["Retry-After"], "600");
}

#[tokio::test]
async fn what_is_no_json_is_base64_in_a_batch() {
    let world = World::new().await;
    let reply = ok(batch(&world, json!([{"id": "1", "method": "GET", "url": "/$metadata"}])).await, StatusCode::OK);
    let answer = &reply.json["responses"][0];
    assert_eq!(answer["headers"]["Content-Type"], "application/xml");
    assert!(answer["body"].as_str().unwrap().starts_with("PD94bWw"), "<?xml");
}
