//! Graph's refusals outside of subscriptions, each where it applies, by code, status and message; and the
//! headers that every answer has. `MailboxNotEnabledForRESTAPI` is not among them: here every user of the
//! directory has a mailbox.

use axum::body::Body;
use graph::{ItemId, Mutation, Timestamp};
use http::{Request, StatusCode};
use notify::Profile;
use notify::throttle::{Rate, ThrottleLimits};
use serde_json::json;
use store::Commit;
use tidings_server::http::listener::Arrival;
use tidings_server::identity::{Grant, ROLES};
use tidings_server::seed;

use crate::world::{CLIENT_REQUEST_ID, Reply, World, ok};

/// Checks the whole of a refusal, its body's inner part and its headers too.
fn assert_refused(reply: &Reply, refusal: &str) {
    assert_eq!(reply.refusal(), refusal);
    let inner = |name: &str| reply.text(&format!("/error/innerError/{name}"));
    assert_eq!(inner("request-id"), reply.header("request-id"), "{refusal}");
    assert_eq!(inner("client-request-id"), CLIENT_REQUEST_ID, "{refusal}");
    assert_eq!(reply.header("client-request-id"), CLIENT_REQUEST_ID, "{refusal}");
    assert_eq!(inner("date").len(), "2026-11-21T10:17:05".len(), "{refusal}");
    assert!(reply.header("content-type").starts_with("application/json;"), "{refusal}");
}

#[tokio::test]
async fn refusals_have_graphs_codes_statuses_and_messages() {
    let world = World::new().await;
    let (megan, adele) = (world.megan(), world.adele());
    let id = seed::users()[0].id;
    let past = world.state.clock.wall().plus_minutes(-120);
    let old = world.state.tokens.issue(&seed::app(), Grant::Application(seed::TENANT, &ROLES), past, 60).unwrap();
    let draft = format!("/v1.0/me/messages/{}", megan.draft("x").await);
    let nobody = uuid::Uuid::from_u128(99);
    let from = json!({"message": {"toRecipients": [{"emailAddress": {"address": "a@x.test"}}],
                                  "from": {"emailAddress": {"address": "alex@contoso.test"}}}});
    let item = "AAMkRgAAAAAAAAAAAAAAAAAAAAAAAAA=";
    megan.post("/v1.0/me/mailFolders", json!({"displayName": "Travel"})).await;
    let table = [
        (world.stranger().get("/v1.0/me").await, "401 InvalidAuthenticationToken: Access token is empty."),
        (
            world.bearer(&format!("Bearer {old}")).get("/v1.0/me").await,
            "401 InvalidAuthenticationToken: Access token has expired or is not yet valid.",
        ),
        (
            adele.get(&format!("/v1.0/users/{id}/messages")).await,
            "403 ErrorAccessDenied: Access is denied. Check credentials and try again.",
        ),
        (
            megan.get("/v1.0/users").await,
            "403 Authorization_RequestDenied: Insufficient privileges to complete the operation.",
        ),
        (
            megan.post("/v1.0/me/sendMail", from).await,
            "403 ErrorSendAsDenied: The user account which was used to submit this request does not have the right to \
             send mail on behalf of the specified sending account.",
        ),
        (
            megan.get(&format!("/v1.0/me/messages/{item}")).await,
            "404 ErrorItemNotFound: The specified object was not found in the store.",
        ),
        (
            world.app().get(&format!("/v1.0/users/{nobody}/messages")).await,
            "404 ErrorInvalidUser: The requested user '00000000-0000-0000-0000-000000000063' is invalid.",
        ),
        (megan.get(&format!("/v1.0/subscriptions/{nobody}")).await, "404 ResourceNotFound: The object was not found."),
        (
            megan.send("PUT", "/v1.0/me/messages", String::new()).await,
            "405 Request_BadRequest: Specified HTTP method is not allowed for the request target.",
        ),
        (
            megan.post("/v1.0/me/mailFolders", json!({"displayName": "Travel"})).await,
            "409 ErrorFolderExists: A folder with the specified name already exists.",
        ),
        (
            world.megan().with("if-match", "W/\"old\"").patch(&draft, json!({"subject": "y"})).await,
            "412 ErrorIrresolvableConflict: The send or update operation could not be performed because the change key \
             passed in the request does not match the current change key for the item.",
        ),
        (
            megan.get("/v1.0/me/mailFolders/inbox/messages/delta?$filter=isRead%20eq%20true").await,
            "400 ErrorInvalidUrlQuery: The '$filter' parameter value is not supported for 'Messages' resource; only a \
             value of 'receivedDateTime ge value' is supported.",
        ),
    ];
    for (reply, refusal) in &table {
        assert_refused(reply, refusal);
    }
    assert_eq!(
        table[0].0.header("www-authenticate"),
        "Bearer realm=\"\", authorization_uri=\"http://graph.test:8443/common/oauth2/v2.0/authorize\", \
         client_id=\"00000003-0000-0000-c000-000000000000\""
    );
}

#[tokio::test]
async fn a_delta_token_that_is_too_old_is_gone() {
    let world = World::new().await;
    let inbox = "/v1.0/me/mailFolders/inbox/messages/delta";
    let first = ok(world.megan().get(inbox).await, StatusCode::OK).text("/@odata.deltaLink");
    let delta = first.strip_prefix("http://graph.test:8443").unwrap();
    let item: ItemId = world.megan().draft("x").await.parse().unwrap();
    let mutation = Mutation { removes: vec![item], ..Mutation::default() };
    let forgotten = Commit {
        now: world.state.clock.wall(),
        forget_before: Timestamp::from_micros(i64::MAX),
        ..Commit::of(seed::TENANT, seed::users()[0].id, mutation)
    };
    // The first commit of a mailbox is of revision 1, so the token says 0, which is never too old.
    ok(world.megan().post("/v1.0/me/contacts", json!({"givenName": "A"})).await, StatusCode::CREATED);
    let gone = ok(world.megan().get(delta).await, StatusCode::OK).text("/@odata.deltaLink");
    world.state.store.commit(forgotten).await.unwrap();
    let gone = world.megan().get(gone.strip_prefix("http://graph.test:8443").unwrap()).await;
    assert_eq!((gone.status, gone.text("/error/code").as_str()), (410, "SyncStateNotFound"));
    assert!(gone.text("/error/message").starts_with("The sync state generation is not found; generation="));
    assert_eq!(gone.header("location"), format!("http://graph.test:8443{}?$deltatoken=", canonical(delta)));
}

/// The path of a link.
fn canonical(link: &str) -> &str {
    link.split_once('?').unwrap().0
}

#[tokio::test]
async fn an_app_that_asks_too_much_is_told_so() {
    let one = ThrottleLimits { mailbox: Rate { units: 1, seconds: 60 }, ..ThrottleLimits::documented() };
    let none_at_a_time = ThrottleLimits { mailbox_at_a_time: 0, ..ThrottleLimits::documented() };
    let profile = |throttle| Profile { throttle, ..Profile::documented() };
    let world = World::throttled(profile(none_at_a_time)).await;
    let refused = world.megan().get("/v1.0/me/messages").await;
    assert_refused(&refused, "429 ApplicationThrottled: Application is over its MailboxConcurrency limit.");
    let world = World::throttled(profile(one)).await;
    ok(world.megan().get("/v1.0/me/messages").await, StatusCode::OK);
    let refused = world.megan().get("/v1.0/me/messages").await;
    assert_refused(&refused, "429 TooManyRequests: Please retry again later.");
    assert_eq!(refused.header("retry-after"), "60");
}

#[tokio::test]
async fn every_answer_has_graphs_headers() {
    let world = World::new().await;
    let plain = ok(world.megan().get("/v1.0/me").await, StatusCode::OK);
    assert_eq!(plain.header("odata-version"), "4.0");
    let json = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8";
    assert_eq!(plain.header("content-type"), json);
    assert_eq!(plain.header("cache-control"), "no-cache");
    assert_eq!(plain.header("client-request-id"), CLIENT_REQUEST_ID);
    let diagnostic: serde_json::Value = serde_json::from_str(plain.header("x-ms-ags-diagnostic")).unwrap();
    assert!(diagnostic["ServerInfo"]["DataCenter"].is_string(), "{diagnostic}");
    assert_eq!(plain.header("strict-transport-security"), "", "only by TLS");

    let request = || Request::get("/v1.0/me").header("host", "graph.test:8443");
    let by_tls = Arrival { tls: true, local: "127.0.0.1:1".parse().unwrap() };
    let by_tls = world.request(request().extension(by_tls).body(Body::empty()).unwrap()).await;
    assert_eq!(by_tls.header("strict-transport-security"), "max-age=31536000");
    // Who sends no id of its own finds ours.
    assert_eq!(by_tls.header("client-request-id"), by_tls.header("request-id"));
    assert_eq!(by_tls.text("/error/innerError/client-request-id"), by_tls.header("request-id"));
}
