//! What SDKs, samples and apps require of a server before they work with it, learnt by running them: one
//! table of the requirements with the tests that hold them, and the tests that stand nowhere else.

use std::net::SocketAddr;
use std::path::Path;

use axum::body::Body;
use http::{Request, StatusCode};
use serde_json::{Value, json};
use store::StoreError;
use tidings_server::http::answer;
use tidings_server::http::context::Context;
use tidings_server::http::error::ApiError;
use tidings_server::http::listener::Arrival;
use tidings_server::identity::{Grant, SCOPES};
use tidings_server::seed;

use crate::issuer;
use crate::world::{Reply, World, ok};

/// Number, requirement, tests. The numbers are those of our notes on clients; the ones between belong to
/// subscriptions, to delivery and to Event Grid.
const REQUIREMENTS: [(u8, &str, &[&str]); 14] = [
    (
        1,
        "HTTPS with a certificate of the operator's choice and plain HTTP, each on chosen ports; HTTP/2 where the \
         client offers it, HTTP/1.1 otherwise",
        &[
            "server::the_development_certificate_serves_http2_to_who_trusts_its_ca",
            "server::a_request_is_answered_and_then_an_idle_connection_closed",
        ],
    ),
    (
        2,
        "tokens and Graph come from one listener under any host name; URLs in answers have the scheme, host and port \
         of the request",
        &[
            "server::published_urls_are_those_that_the_caller_used",
            "server::lists_page_by_absolute_links_under_the_callers_host",
        ],
    ),
    (
        3,
        "a token is given whatever the tenant's segment of the path says",
        &["server::any_tenant_segment_gives_a_token"],
    ),
    (
        4,
        "doubled slashes count once, names of segments come in any case, keys in every form of OData, users by id, \
         by name and by both with the tenant behind",
        &[
            "server::keys_come_in_every_form_and_names_in_any_case",
            "graph::every_spelling_of_a_user_means_the_same",
            "graph::every_spelling_of_a_collection_means_the_same",
            "graph::item_keys_are_decoded_once",
            "server::repeated_slashes_count_once",
        ],
    ),
    (
        5,
        "query options with an escaped dollar sign or none, blanks in both encodings and after commas, names in any case",
        &["server::query_options_come_in_every_spelling", "server::options_are_read_however_clients_write_them"],
    ),
    (
        6,
        "Content-Type may be absent, have parameters, or stand on a request without a body; Accept may ask for any \
         flavour of OData; a success is always JSON of minimal metadata, never HTML",
        &["server::headers_come_as_each_client_sends_them", "server::no_answer_is_a_page"],
    ),
    (
        7,
        "bodies carry type annotations in any case at any depth, booleans as text, and whole objects sent back",
        &[
            "server::bodies_come_with_annotations_and_text_for_booleans",
            "server::a_client_may_send_back_everything_that_it_read",
            "graph::names_enumerations_and_times_come_out_in_graphs_spelling",
            "graph::what_only_the_server_sets_is_dropped",
        ],
    ),
    (
        8,
        "the token endpoint passes over its query and fields that it does not know; clients prove themselves by a secret \
         in the form or by Basic, or by an assertion for the endpoint as published; client credentials, codes with \
         PKCE, refresh tokens and device codes",
        &[
            "server::an_app_gets_a_token_by_its_secret_in_the_form_or_by_basic",
            "server::an_app_proves_itself_with_a_certificate",
            "server::a_user_signs_in_and_the_app_gets_tokens_that_work",
            "server::a_refresh_token_gives_new_tokens_and_another_refresh_token",
            "server::a_device_gets_its_tokens_when_somebody_has_signed_in_elsewhere",
        ],
    ),
    (
        9,
        "the answer has a number for its life, and with a user scope, client_info, refresh and id token; a refusal has \
         Microsoft's numbers",
        &[
            "server::a_user_signs_in_and_the_app_gets_tokens_that_work",
            "server::the_token_endpoint_refuses_in_microsofts_words",
        ],
    ),
    (
        10,
        "access tokens are JWTs with the claims of Microsoft's, of either version",
        &[
            "server::a_version_1_token_of_an_app_has_the_claims_of_microsofts",
            "server::a_version_2_token_for_a_user_has_the_claims_of_microsofts",
        ],
    ),
    (
        11,
        "discovery of the configuration, of the instance and of keys at each of their places, under the caller's host; \
         an authorization endpoint that leads back with code and state",
        &[
            "server::the_configuration_names_everything_under_the_callers_host",
            "server::instance_discovery_tells_that_this_host_is_the_authority",
            "server::a_token_verifies_with_the_keys_at_every_key_url",
            "server::the_page_lists_the_users_and_one_click_signs_in",
            "server::an_answer_goes_back_in_the_mode_that_was_asked_for",
        ],
    ),
    (
        13,
        "date-times of requests have up to nine digits of a second and any offset; those of answers end in Z and have \
         seven digits at most",
        &["server::dates_come_in_every_precision", "graph::the_forms_that_clients_send_are_read_and_answered_in_z"],
    ),
    (
        15,
        "a refusal is JSON with code, message and the ids of the request; 401 names the token as its reason and has a \
         challenge; whoever should come back later is told when",
        &[
            "server::every_refusal_has_graphs_shape_and_headers",
            "server::a_token_that_does_not_hold_is_told_apart",
            "server::who_should_come_back_later_is_told_when",
            "protocol::an_error_has_graphs_shape",
        ],
    ),
    (
        22,
        "around subscriptions apps read users, folders by their English names, messages of a well-known folder, sorted \
         pages of messages and contacts, calendars and their events, changes of events, and batches",
        &[
            "server::what_apps_do_around_subscriptions_works",
            "server::lists_page_by_absolute_links_under_the_callers_host",
        ],
    ),
];

/// Whether a crate has a function of that name.
fn exists(folder: &Path, name: &str) -> bool {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).any(|path| {
        if path.is_dir() {
            return exists(&path, name);
        }
        let is_rust = path.extension().is_some_and(|extension| extension == "rs");
        is_rust && std::fs::read_to_string(&path).unwrap().contains(&format!("fn {name}("))
    })
}

#[test]
fn every_requirement_of_clients_names_tests_that_exist() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut numbers = Vec::new();
    for (number, requirement, tests) in REQUIREMENTS {
        numbers.push(number);
        assert!(!tests.is_empty(), "{number} has no test: {requirement}");
        for test in tests {
            let (folder, name) = test.split_once("::").unwrap();
            assert!(exists(&crates.join(folder), name), "{number} names {test}, which is nowhere");
        }
    }
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 22]);
}

/// A request of Megan's with these headers and no others.
async fn bare(world: &World, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
    let now = world.state.clock.wall();
    let grant = Grant::Delegated(&seed::users()[0], SCOPES);
    let token = world.state.tokens.issue(&seed::app(), grant, now, 60).unwrap();
    let mut request = Request::builder().method(method).uri(path).header("authorization", format!("bearer {token}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    world.request(request.body(Body::from(body.to_owned())).unwrap()).await
}

#[tokio::test]
async fn published_urls_are_those_that_the_caller_used() {
    let world = World::new().await;
    for subject in ["one", "two"] {
        world.megan().draft(subject).await;
    }
    for (tls, host, origin) in [
        (true, "graph.microsoft.com", "https://graph.microsoft.com"),
        (true, "localhost:8443", "https://localhost:8443"),
        (false, "[::1]:8080", "http://[::1]:8080"),
    ] {
        let now = world.state.clock.wall();
        let grant = Grant::Delegated(&seed::users()[0], SCOPES);
        let token = world.state.tokens.issue(&seed::app(), grant, now, 60).unwrap();
        let mut request = Request::get("/beta/me/messages?$top=1")
            .header("host", host)
            .header("authorization", format!("Bearer {token}"))
            .body(Body::empty())
            .unwrap();
        request.extensions_mut().insert(Arrival { tls, local: SocketAddr::from(([127, 0, 0, 1], 443)) });
        let listed = ok(world.request(request).await, StatusCode::OK);
        let next = listed.text("/@odata.nextLink");
        assert!(next.starts_with(&format!("{origin}/beta/me/messages?")), "{next}");
        assert!(listed.text("/@odata.context").starts_with(&format!("{origin}/beta/$metadata#")));
        let form = client_credentials();
        let token = Request::post("/common/oauth2/v2.0/token").header("host", host).body(Body::from(form)).unwrap();
        ok(world.request(token).await, StatusCode::OK);
    }
}

fn client_credentials() -> String {
    let (app, secret) = (seed::APP, seed::APP_SECRET);
    let scope = "https%3A%2F%2Fgraph.microsoft.com%2F.default";
    format!("grant_type=client_credentials&client_id={app}&client_secret={secret}&scope={scope}")
}

#[tokio::test]
async fn any_tenant_segment_gives_a_token() {
    let world = World::new().await;
    let tenant = seed::TENANT.to_string();
    for segment in [tenant.as_str(), "common", "organizations", "contoso.test"] {
        let form = client_credentials();
        let path = format!("/{segment}/oauth2/v2.0/token");
        let granted = ok(world.stranger().send("POST", &path, form).await, StatusCode::OK);
        assert!(!granted.text("/access_token").is_empty(), "{segment}");
    }
    // An app has no business of its own in personal mailboxes, but acts for their users.
    let lynne = seed::personal_user().upn;
    let asked = [("scope", "Mail.Read"), ("prompt", "none"), ("login_hint", lynne.as_str())];
    let done = world.stranger().get(&issuer::authorize("consumers", &asked)).await;
    ok(issuer::redeem(&world, &issuer::led(&done, "code").unwrap()).await, StatusCode::OK);
}

#[tokio::test]
async fn keys_come_in_every_form_and_names_in_any_case() {
    let world = World::new().await;
    let megan = world.megan();
    let id = megan.draft("One").await;
    let escaped = id.replace('=', "%3D");
    let (user, tenant) = (seed::users()[0].id, seed::TENANT);
    for path in [
        format!("/v1.0/me/messages/{id}"),
        format!("/v1.0/me/messages/{escaped}"),
        format!("/v1.0//me//messages//{id}/"),
        format!("/V1.0/Me/Messages('{id}')"),
        format!("/v1.0/me/messages('{escaped}')"),
        format!("/v1.0/Users('{user}')/Messages('{id}')"),
        format!("/v1.0/Users('{user}@{tenant}')/Messages/{id}"),
        format!("/v1.0/USERS/{user}/MESSAGES/{id}"),
        format!("/v1.0/users/Megan@Contoso.test/messages/{id}"),
        format!("/v1.0/users/megan%40contoso.test/mailfolders('drafts')/messages/{id}"),
        format!("/v1.0/me/mailFolders/Drafts/messages/{id}"),
    ] {
        let read = ok(megan.get(&path).await, StatusCode::OK);
        assert_eq!((read.text("/subject"), read.text("/id")), ("One".to_owned(), id.clone()), "{path}");
    }
}

#[tokio::test]
async fn query_options_come_in_every_spelling() {
    let world = World::new().await;
    let megan = world.megan();
    megan.draft("One").await;
    for query in [
        "$select=subject,isRead&$top=1",
        "%24select=subject,isRead&%24top=1",
        "$select=subject,%20isRead&$top=1",
        "$select=Subject,+ISREAD&$TOP=1",
        "select=subject,isRead&top=1",
        "$select=subject%2CisRead&$orderby=receivedDateTime+desc&$top=1&",
        "$select=subject,isRead&$orderBy=receivedDateTime%20DESC&$top=1",
    ] {
        let listed = ok(megan.get(&format!("/v1.0/me/messages?{query}")).await, StatusCode::OK);
        let one = listed.json["value"][0].as_object().unwrap();
        let names: Vec<&str> = one.keys().map(String::as_str).collect();
        assert_eq!(names, ["@odata.etag", "id", "isRead", "subject"], "{query}");
    }
}

const JSON: &str = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8";

#[tokio::test]
async fn headers_come_as_each_client_sends_them() {
    let world = World::new().await;
    let body = r#"{"subject":"One"}"#;
    for content_type in [
        None,
        Some("application/json"),
        Some("application/json; charset=utf-8"),
        Some("application/json;odata.metadata=minimal;IEEE754Compatible=true"),
        Some("application/octet-stream"),
    ] {
        let headers: Vec<_> = content_type.map(|value| ("content-type", value)).into_iter().collect();
        let made = ok(bare(&world, "POST", "/v1.0/me/messages", &headers, body).await, StatusCode::CREATED);
        // On requests that have no body, too.
        let path = format!("/v1.0/me/messages/{}", made.text("/id"));
        ok(bare(&world, "GET", &path, &headers, "").await, StatusCode::OK);
        ok(bare(&world, "DELETE", &path, &headers, "").await, StatusCode::NO_CONTENT);
    }
    for accept in [
        "*/*",
        "application/json",
        "application/json;odata.metadata=none",
        "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=true",
        "application/json;odata.metadata=full",
        "application/json, text/plain, */*",
        "text/html,application/xhtml+xml",
    ] {
        let listed = ok(bare(&world, "GET", "/v1.0/me/messages", &[("accept", accept)], "").await, StatusCode::OK);
        assert_eq!(listed.header("content-type"), JSON, "{accept}");
        assert!(listed.json["@odata.context"].is_string(), "{accept}");
    }
}

#[tokio::test]
async fn no_answer_is_a_page() {
    let world = World::new().await;
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/index.html"),
        ("GET", "/v1.0/me"),
        ("GET", "/v1.0/nowhere"),
        ("OPTIONS", "/v1.0/me/messages"),
        ("TRACE", "/v1.0/me/messages"),
        ("POST", "/v1.0/me/sendMail"),
        ("GET", "/common/oauth2/v2.0/token"),
    ] {
        let reply = bare(&world, method, path, &[("accept", "text/html")], "").await;
        let content_type = reply.header("content-type");
        assert!(content_type.is_empty() || content_type.starts_with("application/json"), "{path}: {content_type}");
    }
}

#[tokio::test]
async fn bodies_come_with_annotations_and_text_for_booleans() {
    let world = World::new().await;
    let megan = world.megan();
    let body = json!({
        "@odata.type": "#microsoft.graph.Message",
        "@ODATA.ETAG": "W/\"x\"",
        "subject": "One",
        "isRead": "False",
        "importance": "High",
        "body": {"@odata.type": "#microsoft.graph.ItemBody", "contentType": "Text", "content": "x"},
        "toRecipients@odata.type": "#Collection(Microsoft.Graph.Recipient)",
        "toRecipients": [{
            "@odata.type": "#Microsoft.Graph.Recipient",
            "emailAddress": {"@Odata.Type": "#microsoft.graph.emailAddress", "address": "adele@contoso.test"},
        }],
    });
    let made = ok(megan.post("/v1.0/me/messages", body.clone()).await, StatusCode::CREATED);
    assert_eq!((&made.json["isRead"], &made.json["importance"]), (&json!(false), &json!("high")));
    let path = format!("/v1.0/me/messages/{}", made.text("/id"));
    ok(megan.patch(&path, body).await, StatusCode::OK);

    let event = json!({
        "@odata.type": "#microsoft.graph.Event",
        "subject": "One",
        "isOnlineMeeting": "false",
        "start": {"@odata.type": "#microsoft.graph.DateTimeTimeZone", "dateTime": "2026-12-01T10:00:00", "timeZone": "UTC"},
        "end": {"dateTime": "2026-12-01T11:00:00", "timeZone": "UTC"},
    });
    let made = ok(megan.post("/v1.0/me/events", event).await, StatusCode::CREATED);
    assert_eq!(made.json["isOnlineMeeting"], false);
}

#[tokio::test]
async fn dates_come_in_every_precision() {
    let world = World::new().await;
    let megan = world.megan();
    let later = world.state.clock.wall().plus_minutes(60).whole_seconds().to_string();
    let second = later.trim_end_matches('Z');
    for (n, fraction) in
        [".861596+00:00", ".3269710Z", ".724Z", "Z", ".123456789+00:00", "-00:00"].into_iter().enumerate()
    {
        let body = json!({
            "changeType": "created",
            "notificationUrl": "https://hook.example.net/graph",
            "resource": format!("me/mailFolders('{}')/messages", ["inbox", "drafts", "sentitems", "archive", "outbox", "junkemail"][n]),
            "expirationDateTime": format!("{second}{fraction}"),
        });
        let made = ok(megan.post("/v1.0/subscriptions", body).await, StatusCode::CREATED);
        let shown = made.text("/expirationDateTime");
        let digits = shown.trim_end_matches('Z').split_once('.').map_or(0, |(_, digits)| digits.len());
        assert!(shown.starts_with(second) && shown.ends_with('Z') && digits <= 7, "{fraction}: {shown}");
    }
}

#[test]
fn who_should_come_back_later_is_told_when() {
    let (parts, ()) = Request::get("/v1.0/me").body(()).unwrap().into_parts();
    let context = Context::new(&parts, graph::Timestamp::from_seconds(1_795_000_000).into(), true);
    for error in [ApiError::Contended, StoreError::Full("x".into()).into(), StoreError::Unavailable("x".into()).into()]
    {
        let response = answer::response(&context, Err(error));
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        let seconds = response.headers()["retry-after"].to_str().unwrap();
        assert!(seconds.parse::<u32>().is_ok_and(|seconds| seconds > 0), "{seconds}");
        assert_eq!(response.headers()["content-type"], JSON);
    }
}

fn values<'a>(reply: &'a Reply, name: &str) -> Vec<&'a str> {
    reply.json["value"].as_array().unwrap().iter().map(|one| one[name].as_str().unwrap_or_default()).collect()
}

#[tokio::test]
async fn what_apps_do_around_subscriptions_works() {
    let world = World::new().await;
    let megan = world.megan();
    assert_eq!(ok(megan.get("/v1.0/me").await, StatusCode::OK).text("/mail"), "megan@contoso.test");
    let adele = seed::users()[1].id;
    assert_eq!(values(&ok(world.app().get("/v1.0/users").await, StatusCode::OK), "id").len(), seed::users().len());
    ok(world.app().get(&format!("/v1.0/users/{adele}")).await, StatusCode::OK);

    let folders = ok(megan.get("/v1.0/me/mailFolders?$top=50").await, StatusCode::OK);
    for name in ["Inbox", "Sent Items", "Drafts", "Deleted Items", "Archive", "Junk Email", "Outbox"] {
        assert!(values(&folders, "displayName").contains(&name), "{name}");
    }
    let inbox = "/v1.0/me/mailFolders/Inbox/messages";
    for subject in ["one", "two", "three"] {
        ok(megan.post(inbox, json!({"subject": subject})).await, StatusCode::CREATED);
    }
    let page = ok(megan.get(&format!("{inbox}?$top=2&$orderby=receivedDateTime%20desc")).await, StatusCode::OK);
    assert_eq!(page.json["value"].as_array().unwrap().len(), 2);
    let next = page.text("/@odata.nextLink");
    let rest = ok(megan.get(next.strip_prefix("http://graph.test:8443").unwrap()).await, StatusCode::OK);
    assert_eq!((rest.json["value"].as_array().unwrap().len(), rest.json.get("@odata.nextLink")), (1, None::<&Value>));

    ok(megan.post("/v1.0/me/contacts", json!({"givenName": "Ada"})).await, StatusCode::CREATED);
    let contacts = ok(megan.get("/v1.0/me/contacts?$top=5&$orderby=displayName").await, StatusCode::OK);
    assert_eq!(values(&contacts, "displayName"), ["Ada"]);

    let calendars = ok(megan.get("/v1.0/me/calendars").await, StatusCode::OK);
    let calendar = ok(megan.get("/v1.0/me/calendar").await, StatusCode::OK).text("/id");
    assert!(values(&calendars, "id").contains(&calendar.as_str()));
    let at = |hour: u32| json!({"dateTime": format!("2026-12-01T{hour}:00:00"), "timeZone": "UTC"});
    let event = json!({"subject": "Standup", "start": at(10), "end": at(11)});
    ok(megan.post(&format!("/v1.0/me/calendars/{calendar}/events"), event).await, StatusCode::CREATED);
    let events = ok(megan.get(&format!("/v1.0/me/calendars/{calendar}/events")).await, StatusCode::OK);
    assert_eq!(values(&events, "subject"), ["Standup"]);
    let changed = ok(megan.get("/beta/me/events/delta").await, StatusCode::OK);
    assert_eq!(values(&changed, "subject"), ["Standup"]);

    let batch = json!({"requests": [
        {"id": "1", "method": "GET", "url": "/me/messages?$top=1"},
        {"id": "2", "method": "GET", "url": "/v1.0/me"},
    ]});
    let answered = ok(megan.post("/v1.0/$batch", batch).await, StatusCode::OK);
    let statuses: Vec<&Value> =
        answered.json["responses"].as_array().unwrap().iter().map(|one| &one["status"]).collect();
    assert_eq!(statuses, [&json!(200), &json!(200)]);
}
