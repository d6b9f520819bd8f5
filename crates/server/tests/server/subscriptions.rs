//! An app subscribes, renews and ends; and is refused where Graph would refuse it.

use http::StatusCode;
use notify::Profile;
use protocol::HandshakeError;
use serde_json::{Value, json};
use tidings_server::seed;

use crate::world::{World, ok, settled};

const HOOK: &str = "https://hook.example.net/graph?tenant=7";

/// A create request that is sound, with these changes.
fn asked(world: &World, changes: Value) -> Value {
    let mut body = json!({
        "changeType": "created,Updated",
        "notificationUrl": HOOK,
        "resource": "/me/mailFolders('Inbox')/messages",
        "expirationDateTime": world.state.clock.wall().plus_minutes(60).to_string(),
        "clientState": "s3cret",
    });
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

async fn refusal(world: &World, changes: Value) -> String {
    world.megan().post("/v1.0/subscriptions", asked(world, changes)).await.refusal()
}

#[tokio::test]
async fn a_subscription_lives_from_201_to_404() {
    let world = World::new().await;
    let megan = world.megan();
    let lifecycle = json!({"lifecycleNotificationUrl": HOOK, "@odata.type": "#microsoft.graph.Subscription"});
    let made = ok(megan.post("/v1.0//subscriptions", asked(&world, lifecycle)).await, StatusCode::CREATED);
    insta::assert_json_snapshot!("subscription", settled(&made.json));
    assert_eq!(*world.receivers.asked.lock().unwrap(), [HOOK, HOOK], "both URLs, even when equal");

    let path = format!("/v1.0/subscriptions/{}", made.text("/id"));
    let read = ok(megan.get(&path).await, StatusCode::OK);
    assert_eq!(read.json, made.json);
    let listed = ok(megan.get("/v1.0/subscriptions").await, StatusCode::OK);
    insta::assert_json_snapshot!("subscription_list", settled(&listed.json));

    let later = world.state.clock.wall().plus_minutes(120).to_string();
    let renewed = ok(megan.patch(&path, json!({"expirationDateTime": later})).await, StatusCode::OK);
    assert_eq!(renewed.text("/expirationDateTime"), later);
    assert_eq!(renewed.json.as_object().unwrap().len(), made.json.as_object().unwrap().len());
    assert_eq!(world.receivers.asked.lock().unwrap().len(), 2, "a renewal asks nobody");
    let reauthorized = megan.send("POST", &format!("{path}/reauthorize"), String::new()).await;
    ok(reauthorized, StatusCode::NO_CONTENT);

    ok(megan.delete(&path).await, StatusCode::NO_CONTENT);
    assert_eq!(world.engine.0.lock().unwrap().len(), 1, "the engine applied the end before the answer");
    let gone = "404 ResourceNotFound: The object was not found.";
    assert_eq!(megan.delete(&path).await.refusal(), gone);
    assert_eq!(megan.get(&path).await.refusal(), gone);
    assert_eq!(megan.patch(&path, json!({"expirationDateTime": later})).await.refusal(), gone);
    assert_eq!(megan.get("/v1.0/subscriptions/no-guid").await.refusal(), gone);
}

#[tokio::test]
async fn others_do_not_see_it_but_the_app_itself_does() {
    let world = World::new().await;
    let made = world.megan().post("/v1.0/subscriptions", asked(&world, json!({}))).await;
    let path = format!("/v1.0/subscriptions/{}", made.text("/id"));
    assert_eq!(world.adele().get(&path).await.status, 404);
    assert_eq!(world.adele().get("/v1.0/subscriptions").await.json["value"], json!([]));
    ok(world.app().get(&path).await, StatusCode::OK);
}

#[tokio::test]
async fn a_short_life_is_raised_and_a_long_one_refused_with_the_limit() {
    let world = World::new().await;
    let short = world.state.clock.wall().plus_minutes(5);
    let made = world.megan().post("/v1.0/subscriptions", asked(&world, json!({"expirationDateTime": short}))).await;
    let given: graph::Timestamp = made.text("/expirationDateTime").parse().unwrap();
    assert!(given >= short.plus_minutes(39) && given <= short.plus_minutes(41));
    let long = world.state.clock.wall().plus_minutes(4_320);
    assert_eq!(
        refusal(&world, json!({"expirationDateTime": long})).await,
        "400 ExtensionError: Subscription expiration can only be 4230 minutes in the future."
    );
}

#[tokio::test]
async fn an_expiry_comes_back_with_the_digits_that_were_sent() {
    let world = World::new().await;
    let date = world.state.clock.wall().plus_minutes(90).whole_seconds().to_string();
    let date = date.trim_end_matches('Z');
    let made = world.megan().post("/v1.0/subscriptions", asked(&world, json!({}))).await;
    let path = format!("/v1.0/subscriptions/{}", made.text("/id"));
    for (sent, answered) in
        [("+00:00", "Z"), (".9Z", ".9Z"), (".934Z", ".934Z"), (".2257768+00:00", ".2257768Z"), (".0000000Z", "Z")]
    {
        let renewed = world.megan().patch(&path, json!({"expirationDateTime": format!("{date}{sent}")})).await;
        assert_eq!(ok(renewed, StatusCode::OK).text("/expirationDateTime"), format!("{date}{answered}"));
        assert_eq!(world.megan().get(&path).await.text("/expirationDateTime"), format!("{date}{answered}"));
    }
}

#[tokio::test]
async fn refusals_at_create_have_graphs_words() {
    let world = World::new().await;
    let mut seen = Vec::new();
    for changes in [
        json!({"colour": "red"}),
        json!({"expirationDateTime": "2018-09-5"}),
        json!({"expirationDateTime": null}),
        json!({"changeType": "moved"}),
        json!({"notificationUrl": "http://hook.example.net/"}),
        json!({"lifecycleNotificationUrl": "hook"}),
        json!({"clientState": "x".repeat(129)}),
        json!({"resource": "me/messages?$filter=isRead eq 'no'"}),
        json!({"resource": "me/messages?$filter=contains(body/content,'x')"}),
        json!({"resource": "me/messages?$select=subjekt"}),
        json!({"resource": "me/messages?$select=subject&$top=5"}),
        json!({"includeResourceData": true}),
        json!({"notificationUrl": "EventGrid:?azuresubscriptionid=1"}),
        json!({"notificationUrl": "EventHub:https://x"}),
        json!({"webPushEncryptionSecret": "x"}),
        json!({"resource": "me/drive/root"}),
        json!({"resource": "me/messages/AAMk"}),
        json!({"resource": "me/mailFolders/nowhere/messages"}),
        json!({"resource": "users/nobody@contoso.test/messages"}),
        json!({"resource": "users/adele@contoso.test/messages"}),
    ] {
        let named = changes.to_string().replace(&"x".repeat(129), "xxx…");
        seen.push(format!("{named} -> {}", refusal(&world, changes).await));
    }
    let app = world.app().post("/v1.0/subscriptions", asked(&world, json!({}))).await;
    seen.push(format!("me, by an app -> {}", app.refusal()));
    let json = world.megan().send("POST", "/v1.0/subscriptions", "{".into()).await;
    seen.push(format!("broken JSON -> {}", json.refusal()));
    insta::assert_json_snapshot!("subscription_refusals", seen);
    assert_eq!(world.megan().get("/v1.0/subscriptions").await.json["value"], json!([]), "nothing was half-made");
}

#[tokio::test]
async fn a_receiver_that_does_not_echo_gets_no_subscription() {
    let world = World::new().await;
    let (silent, closed) = ("https://silent.example.net/", "https://closed.example.net/");
    world.receivers.fails(silent, HandshakeError::TimedOut);
    world.receivers.fails(closed, HandshakeError::Status(403));
    assert_eq!(
        refusal(&world, json!({"notificationUrl": silent})).await,
        "400 ValidationError: Subscription validation request timed out."
    );
    assert_eq!(
        refusal(&world, json!({"lifecycleNotificationUrl": closed})).await,
        "400 ValidationError: Subscription validation request failed. Notification endpoint must respond with 200 OK \
         to validation request."
    );
    let made = world.megan().post("/v1.0/subscriptions", asked(&world, json!({}))).await;
    let path = format!("/v1.0/subscriptions/{}", made.text("/id"));
    let moved = world.megan().patch(&path, json!({"notificationUrl": silent})).await;
    assert_eq!(moved.refusal(), "400 ValidationError: Subscription validation request timed out.");
    assert_eq!(world.megan().get(&path).await.text("/notificationUrl"), HOOK);
    let moved = world.megan().patch(&path, json!({"notificationUrl": "https://other.example.net/"})).await;
    assert_eq!(ok(moved, StatusCode::OK).text("/notificationUrl"), "https://other.example.net/");
}

#[tokio::test]
async fn an_equal_subscription_and_one_too_many_are_refused() {
    let world = World::with(Profile { subscriptions_per_mailbox_max: 2, ..Profile::documented() }).await;
    let made = world.megan().post("/v1.0/subscriptions", asked(&world, json!({}))).await;
    assert_eq!(
        refusal(&world, json!({})).await,
        format!("409 Conflict: Subscription Id {} already exists for the requested combination", made.text("/id"))
    );
    // Another creator is another combination, but the mailbox is the same.
    let inbox = format!("users/{}/mailFolders/inbox/messages", seed::users()[0].id);
    let app = world.app().post("/v1.0/subscriptions", asked(&world, json!({"resource": inbox}))).await;
    assert_eq!(ok(app, StatusCode::CREATED).text("/creatorId"), seed::SERVICE_PRINCIPAL.to_string());
    assert_eq!(
        refusal(&world, json!({"resource": "me/events"})).await,
        "403 ExtensionError: Operation: Create; Exception: [Status Code: Forbidden; Reason: Maximum number of \
         subscriptions has been reached: 2 for each mailbox]"
    );
}

#[tokio::test]
async fn a_failed_handshake_is_refused_in_the_words_of_the_profile() {
    let (older, newer) = (World::new().await, World::with(Profile::observed()).await);
    let named = "Subscription validation request failed. HTTP status code is 'NotFound'. Notification endpoint must \
                 respond with 200 OK to validation request.";
    let plain = named.replace(" HTTP status code is 'NotFound'.", "");
    for (world, message) in [(&older, plain.as_str()), (&newer, named)] {
        world.receivers.fails(HOOK, HandshakeError::Status(404));
        let reply = world.megan().post("/v1.0/subscriptions", asked(world, json!({}))).await;
        assert_eq!(reply.refusal(), format!("400 ValidationError: {message}"));
        let detail = json!([{"code": "ValidationError", "message": "the endpoint answered 404 NotFound",
                             "target": "notificationUrl"}]);
        assert_eq!(reply.json["error"]["details"], detail);
        assert_eq!(reply.header("content-type").split(';').next(), Some("application/json"));
        assert_eq!(reply.header("cache-control"), "no-cache");
        assert_eq!(reply.header("request-id"), reply.text("/error/innerError/request-id"));
        assert_eq!(reply.header("client-request-id"), reply.text("/error/innerError/client-request-id"));
        assert!(reply.header("x-ms-ags-diagnostic").starts_with("{\"ServerInfo\":"));
    }
}
