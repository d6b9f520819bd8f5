//! Arbitrary requests to every route: none ends in a 5xx or a panic, and one that is refused leaves the
//! mailbox and its log as they were.

use axum::body::Body;
use graph::{Kind, Partition, UserId};
use http::Request;
use notify::Position;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};
use store::ItemQuery;
use tidings_server::http::openapi;
use tidings_server::identity::{Grant, SCOPES};
use tidings_server::seed;

use crate::world::World;

const METHODS: [&str; 8] = ["GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS", "TRACE"];

const KEYS: [&str; 14] = [
    "inbox",
    "drafts",
    "contacts",
    "calendar",
    "AAMkRgAAAA=",
    "not-an-id",
    "%00",
    "%F0%9F%98%80",
    "a%2Fb",
    "('x')",
    "'",
    "$count",
    "delta",
    "622eaaff-0683-4862-9de4-f2ec83c2bd98",
];

const OPTIONS: [&str; 14] = [
    "$select",
    "$top",
    "$skip",
    "$count",
    "$orderby",
    "$filter",
    "$search",
    "$expand",
    "$skiptoken",
    "$deltatoken",
    "startDateTime",
    "endDateTime",
    "includeHiddenFolders",
    "%24select",
];

const VALUES: [&str; 20] = [
    "",
    "x",
    "0",
    "1",
    "1000",
    "99999999999999999999",
    "-1",
    "true",
    "*",
    "id,subject",
    "subject%20desc",
    "isRead%20eq%20false",
    "receivedDateTime%20ge%202026-01-01T00:00:00Z",
    "emailAddresses/any(a:a/address%20eq%20%27x%27)",
    "(((((((((",
    "attachments",
    "singleValueExtendedProperties($filter=id%20eq%20%27String%20x%27)",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "%22from:x%22",
];

const HEADERS: [(&str, &[&str]); 6] = [
    ("if-match", &["*", "W/\"x\"", "\"", "\u{80}"]),
    (
        "prefer",
        &[
            "IdType=\"ImmutableId\"",
            "outlook.timezone=\"Pacific Standard Time\"",
            "outlook.timezone=\"Nowhere\"",
            "outlook.body-content-type=\"text\", odata.maxpagesize=0",
            "odata.maxpagesize=99999999999999999999",
            "=,=\"",
        ],
    ),
    ("content-type", &["text/plain", "application/json", "image/jpeg", "multipart/mixed", ""]),
    ("accept", &["text/html", "*/*", ""]),
    ("client-request-id", &["x", "\u{80}\u{81}", ""]),
    ("content-range", &["bytes 0-0/1", "bytes 9-0/18446744073709551616", "x"]),
];

const NAMES: [&str; 36] = [
    "subject",
    "body",
    "content",
    "contentType",
    "start",
    "end",
    "dateTime",
    "timeZone",
    "isAllDay",
    "location",
    "locations",
    "displayName",
    "name",
    "toRecipients",
    "attendees",
    "emailAddress",
    "emailAddresses",
    "address",
    "flag",
    "flagStatus",
    "attachments",
    "@odata.type",
    "contentBytes",
    "recurrence",
    "pattern",
    "range",
    "type",
    "message",
    "comment",
    "destinationId",
    "requests",
    "id",
    "method",
    "url",
    "singleValueExtendedProperties",
    "extensionName",
];

const TEXTS: [&str; 16] = [
    "",
    "x",
    "HTML",
    "<p>a&#x110000;</p",
    "2026-11-25T10:00:00",
    "9999-12-31T23:59:59",
    "0001-01-01T00:00:00",
    "flagged",
    "Pacific Standard Time",
    "UTC",
    "#microsoft.graph.fileAttachment",
    "#microsoft.graph.itemAttachment",
    "adele@contoso.test",
    "inbox",
    "GET",
    "/me/messages",
];

/// One arbitrary request.
#[derive(Clone, Debug)]
struct Asked {
    method: &'static str,
    route: Index,
    /// For the keys of the route in turn: of what is there, or of [`KEYS`].
    keys: Vec<(bool, Index)>,
    query: Vec<(&'static str, &'static str)>,
    headers: Vec<(&'static str, &'static str)>,
    body: Vec<u8>,
}

fn json_body() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        4 => select(&TEXTS[..]).prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        1 => Just(Value::Null),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            3 => prop::collection::vec((select(&NAMES[..]), inner), 0..6)
                .prop_map(|members| members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
        ]
    })
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        1 => Just(Vec::new()),
        1 => prop::collection::vec(any::<u8>(), 0..64),
        6 => json_body().prop_map(|body| body.to_string().into_bytes()),
        1 => json_body().prop_map(|value| {
            let requests = json!({"requests": [{"id": "1", "method": "POST", "url": "/me/messages", "body": value}]});
            requests.to_string().into_bytes()
        }),
    ]
}

fn header() -> impl Strategy<Value = (&'static str, &'static str)> {
    (select(&HEADERS[..]), any::<Index>()).prop_map(|((name, values), which)| (name, *which.get(values)))
}

fn asked() -> impl Strategy<Value = Asked> {
    let key = (any::<bool>(), any::<Index>());
    (
        prop_oneof![2 => select(&METHODS[..]), 3 => Just("POST"), 2 => Just("PATCH")],
        any::<Index>(),
        prop::collection::vec(key, 4),
        prop::collection::vec((select(&OPTIONS[..]), select(&VALUES[..])), 0..3),
        prop::collection::vec(header(), 0..3),
        body(),
    )
        .prop_map(|(method, route, keys, query, headers, body)| Asked {
            method,
            route,
            keys,
            query,
            headers,
            body,
        })
}

/// What is in a mailbox, as far as a request could have altered it by halves.
async fn contents(world: &World, mailbox: UserId) -> Vec<String> {
    let store = &world.state.store;
    let mut contents = Vec::new();
    for found in store.folders(mailbox).await.unwrap() {
        contents.push(format!("{found:?}"));
    }
    for kind in Kind::ALL {
        for item in store.items(ItemQuery::newest(mailbox, kind, None, 1_000)).await.unwrap().items {
            contents.push(format!("{:?} {:?}", item.id, item.version));
        }
    }
    let log = store.read_log(Partition::of(mailbox), Position(0), 10_000).await.unwrap();
    contents.push(format!("{} records", log.len()));
    contents
}

fn path(asked: &Asked, there: &[String]) -> String {
    let routes = openapi::routes();
    let route = asked.route.get(routes);
    let mut keys = asked.keys.iter();
    let segment = |segment: &str| match (segment.starts_with('{'), keys.next()) {
        (true, Some((true, which))) => which.get(there).clone(),
        (true, Some((false, which))) => (*which.get(&KEYS)).to_owned(),
        _ => segment.to_owned(),
    };
    let segments: Vec<String> = route.path.split('/').map(segment).collect();
    let owner = if route.in_mailbox { "/me" } else { "" };
    let query: Vec<String> = asked.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!("/v1.0{owner}{}?{}", segments.join("/").replace(['{', '}'], ""), query.join("&"))
}

/// Sends the requests in turn to a mailbox that has one of each thing.
async fn story(requests: Vec<Asked>) {
    let world = World::new().await;
    let megan = world.megan();
    let mut there = Vec::new();
    for (collection, body) in [
        ("messages", json!({"subject": "One"})),
        ("contacts", json!({"givenName": "Ada"})),
        ("mailFolders", json!({"displayName": "F"})),
        ("contactFolders", json!({"displayName": "F"})),
        (
            "events",
            json!({"start": {"dateTime": "2026-12-01T10:00:00", "timeZone": "UTC"},
                   "end": {"dateTime": "2026-12-01T11:00:00", "timeZone": "UTC"}}),
        ),
    ] {
        there.push(megan.post(&format!("/v1.0/me/{collection}"), body).await.text("/id"));
    }
    let mailbox = seed::users()[0].id;
    let now = world.state.clock.wall();
    let token = world.state.tokens.issue(&seed::app(), Grant::Delegated(&seed::users()[0], SCOPES), now, 60).unwrap();
    for asked in requests {
        let before = contents(&world, mailbox).await;
        let path = path(&asked, &there);
        let mut request = Request::builder().method(asked.method).uri(&path);
        request = request.header("authorization", format!("Bearer {token}"));
        for (name, value) in &asked.headers {
            request = request.header(*name, value.as_bytes());
        }
        // What is no URI or header never reaches a server.
        let Ok(request) = request.body(Body::from(asked.body.clone())) else { continue };
        let reply = world.request(request).await;
        assert!(reply.status < 500, "{} {path}: {} {}", asked.method, reply.status, reply.json);
        if reply.status >= 400 {
            assert_eq!(contents(&world, mailbox).await, before, "{} {path} was refused and wrote", asked.method);
            let told = reply.json["error"]["code"].is_string();
            assert!(told || asked.method == "HEAD", "{} {path}: {}", asked.method, reply.status);
        }
    }
}

proptest! {
    #[test]
    fn crash_by_a_request_is_not_found_and_refusals_write_nothing(requests in prop::collection::vec(asked(), 1..8)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(story(requests));
    }
}
