//! Subscriptions to resources outside of mailboxes, and changes of them.

use std::collections::BTreeMap;

use bytes::Bytes;
use graph::Partition;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use notify::{Position, Record};
use serde_json::{Value, json};
use store::{Grantee, User};
use tidings_server::identity::Grant;
use tidings_server::seed;
use tidings_server::server::Running;

use crate::admin;
use crate::delivery::{receiver, server};
use crate::world::{Caller, Reply, World, ok};

const MEGAN: &str = "622eaaff-0683-4862-9de4-f2ec83c2bd98";
const FORBIDDEN: &str = "403 ExtensionError: Operation: Create; Exception: [Status Code: Forbidden; Reason: Forbidden]";
const MEETING: &str = "https://teams.example/l/1";

/// Roles that suffice for everything that apps may watch for themselves.
const ROLES: [&str; 10] = [
    "Sites.Read.All",
    "User.Read.All",
    "Group.Read.All",
    "Chat.Read.All",
    "Tasks.ReadWrite.All",
    "CallRecords.Read.All",
    "PrintTaskDefinition.ReadWrite.All",
    "Printer.Read.All",
    "SecurityEvents.ReadWrite.All",
    "OnlineMeetings.Read.All",
];
const SCOPES: &str = "Files.Read Files.Read.All Tasks.ReadWrite Presence.Read.All User.Read.All Chat.Read";

fn megan() -> User {
    seed::users().remove(0)
}

fn wish(world: &World, resource: &str, types: &str) -> Value {
    json!({"changeType": types, "resource": resource, "notificationUrl": "https://hook.example.net/n",
           "expirationDateTime": world.state.clock.wall().plus_minutes(60), "clientState": "s3cret"})
}

async fn subscribe(world: &World, caller: &Caller<'_>, resource: &str, types: &str) -> Reply {
    caller.post("/v1.0/subscriptions", wish(world, resource, types)).await
}

/// Publishes changes; what is answered.
async fn ingest(world: &World, changes: Value) -> (StatusCode, Value) {
    let body = json!({ "changes": changes }).to_string();
    admin::call(world, "hush", "POST", "/admin/ingest/changes", &body).await
}

fn change(key: &str, resource: &str) -> Value {
    json!({"key": key, "tenant": "contoso.test", "resource": resource, "changeType": "updated"})
}

/// A token of the seeded app, with consent to what it says.
async fn token(server: &Running, grant: Grant<'_>, grantee: Grantee, names: &[&str]) -> String {
    let (state, app) = (&server.state, seed::app());
    let permissions = names.iter().map(|name| (*name).to_owned()).collect();
    let consent = store::Grant { tenant: seed::TENANT, app: app.id, grantee, permissions };
    let now = state.clock.wall();
    state.directory.change(|store| async move { store.grant(consent, now).await }).await.unwrap();
    state.tokens.issue(&app, grant, now, 60).unwrap()
}

async fn post(url: String, token: &str, body: Value) -> (u16, Value) {
    let request = Request::post(url)
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body.to_string())))
        .unwrap();
    let response = Client::builder(TokioExecutor::new()).build_http().request(request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

/// What is watched as which change types, and the change that is published of it with its state after.
fn watched_by_apps() -> [(&'static str, &'static str, &'static str, &'static str, Value); 10] {
    let none = || Value::Null;
    [
        ("sites/s/lists/l", "updated", "sites/s/lists/l", "updated", none()),
        ("users", "updated", "users/megan@contoso.test", "created", none()),
        ("groups/g", "deleted", "groups/g", "deleted", none()),
        ("chats/getAllMessages", "created", "chats/c/messages/m", "created", none()),
        (
            "users/megan@contoso.test/todo/lists/l/tasks",
            "deleted",
            "users/megan@contoso.test/todo/lists/l/tasks/t",
            "softDeleted",
            none(),
        ),
        ("communications/callRecords", "created", "communications/callRecords/r", "created", none()),
        ("print/taskDefinitions/d/tasks", "created", "print/taskDefinitions/d/tasks/t", "created", none()),
        ("print/printers/p/jobs", "updated", "print/printers/p/jobs/j", "updated", json!({"isFetchable": true})),
        (
            "security/alerts?$filter=status eq 'newAlert'",
            "updated",
            "security/alerts/a",
            "updated",
            json!({"status": "newAlert"}),
        ),
        (
            "communications/onlineMeetings/?$filter=JoinWebUrl eq 'https://teams.example/l/1'",
            "updated",
            "communications/onlineMeetings/m",
            "updated",
            json!({"joinWebUrl": MEETING}),
        ),
    ]
}

fn watched_for_users() -> [(&'static str, &'static str, &'static str, &'static str, Value); 3] {
    let presences = "communications/presences?$filter=id in ('622eaaff-0683-4862-9de4-f2ec83c2bd98')";
    let presence = "communications/presences/622eaaff-0683-4862-9de4-f2ec83c2bd98";
    [
        ("me/drive/root", "updated", "users/megan@contoso.test/drive/root", "deleted", Value::Null),
        ("me/tasks/lists/l/tasks", "created", "users/megan@contoso.test/tasks/lists/l/tasks/t", "created", Value::Null),
        (presences, "updated", presence, "updated", Value::Null),
    ]
}

#[tokio::test]
async fn each_resource_is_subscribed_to_published_and_told() {
    let (url, mut notifications) = receiver().await;
    let server = server().await;
    let base = format!("http://{}/v1.0/subscriptions", server.listen.http[0]);
    let app = token(&server, Grant::Application(seed::TENANT, &ROLES), Grantee::App, &ROLES).await;
    let scopes: Vec<&str> = SCOPES.split(' ').collect();
    let user = token(&server, Grant::Delegated(&megan(), SCOPES), Grantee::AllUsers, &scopes).await;
    let mut changes = Vec::new();
    let mut asked = BTreeMap::new();
    let by_apps = watched_by_apps().map(|row| (app.as_str(), row));
    let by_users = watched_for_users().map(|row| (user.as_str(), row));
    for (token, (resource, types, path, happened, after)) in by_apps.into_iter().chain(by_users) {
        let mut body = json!({"changeType": types, "notificationUrl": url, "resource": resource,
                              "expirationDateTime": server.state.clock.wall().plus_minutes(60)});
        if resource.starts_with("print/printers") {
            body["notificationQueryOptions"] = "$filter = isFetchable eq true".into();
        }
        let (status, made) = post(base.clone(), token, body).await;
        assert_eq!(status, 201, "{resource}: {made}");
        asked.insert(made["id"].as_str().unwrap().to_owned(), resource);
        changes.push(
            json!({"key": path, "tenant": "contoso.test", "resource": path, "changeType": happened, "after": after}),
        );
    }
    let admin = format!("http://{}/admin/ingest/changes", server.listen.admin);
    let (status, answer) = post(admin, &server.admin_token, json!({ "changes": changes })).await;
    assert_eq!((status, answer), (200, json!({"accepted": 13, "duplicates": 0, "refused": []})));

    let mut told = BTreeMap::new();
    while told.len() < asked.len() {
        let heard = notifications.recv().await.unwrap();
        for item in heard["value"].as_array().unwrap() {
            let resource = asked[item["subscriptionId"].as_str().unwrap()];
            let said = format!("{} {}", item["changeType"].as_str().unwrap(), item["resource"].as_str().unwrap());
            assert!(told.insert(resource, said).is_none(), "{resource} is told once");
        }
    }
    insta::assert_json_snapshot!("told_of_each_resource", told);
    server.drain().await;
}

#[tokio::test]
async fn a_batch_says_of_each_change_what_became_of_it() {
    let world = World::new().await;
    let deep = (0..40).fold(json!(1), |inner, _| json!([inner]));
    let changes = json!([
        change("1", "users/megan@contoso.test"),
        change("1", "users/adele@contoso.test"),
        change("", "groups/1"),
        change("2", "me/drive/root"),
        change("3", "mailboxes/1"),
        change("4", "users/nobody@contoso.test/drive/root"),
        {"key": "5", "tenant": "nowhere.test", "resource": "groups/1", "changeType": "updated"},
        {"key": "6", "tenant": "contoso.test", "resource": "groups/1", "changeType": "exploded", "after": {"pin": "1234"}},
        {"key": "7", "tenant": "contoso.test", "resource": "groups/1", "changeType": "updated", "pin": "1234"},
        {"key": "8", "tenant": "contoso.test", "resource": "groups/1", "changeType": "updated", "after": ["pin", "1234"]},
        {"key": "9", "tenant": "contoso.test", "resource": "groups/1", "changeType": "updated", "before": {"deep": deep}},
        {"key": "10", "tenant": "contoso.test", "resource": "groups/1", "changeType": "updated",
         "after": {"long": "x".repeat(256 << 10)}},
        change("11", "groups/1"),
    ]);
    let (status, answer) = ingest(&world, changes).await;
    assert_eq!(status, 200);
    assert!(!answer.to_string().contains("1234"), "no state is repeated: {answer}");
    insta::assert_json_snapshot!("what_became_of_a_batch", answer);
}

#[tokio::test]
async fn a_change_that_is_published_again_is_known_and_its_states_are_kept_once() {
    let world = World::new().await;
    let mut one = change("k", "groups/1");
    one["before"] = json!({"displayName": "A"});
    one["after"] = json!({"displayName": "B"});
    assert_eq!(ingest(&world, json!([one])).await.1, json!({"accepted": 1, "duplicates": 0, "refused": []}));
    assert_eq!(ingest(&world, json!([one])).await.1, json!({"accepted": 0, "duplicates": 1, "refused": []}));
    let scope = graph::Scope::of_resources(seed::TENANT, graph::registry::ResourceKind::Group);
    let log = world.state.store.read_log(Partition::of(scope), Position(0), 10).await.unwrap();
    let [(_, record)] = log.as_slice() else { panic!("one record") };
    let Record::Ingested(change) = &**record else { panic!("a change of a resource") };
    assert_eq!(change.after.as_ref().unwrap()["displayName"], "B");
}

#[tokio::test]
async fn a_batch_that_is_too_large_or_none_is_refused_whole() {
    let world = World::new().await;
    let many = vec![change("k", "groups/1"); 1_001];
    assert_eq!(ingest(&world, json!(many)).await.0, 413);
    assert_eq!(ingest(&world, json!([])).await.0, 413);
    assert_eq!(ingest(&world, json!({})).await.0, 422);
    let long = json!([{"key": "x".repeat(9 << 20)}]);
    assert_eq!(ingest(&world, long).await.0, 413);
    let body = json!({"changes": [change("k", "groups/1")]}).to_string();
    assert_eq!(admin::call(&world, "guess", "POST", "/admin/ingest/changes", &body).await.0, 401);
}

#[tokio::test]
async fn who_lacks_the_permission_watches_nothing() {
    let world = World::new().await;
    let app = seed::app();
    let nothing = world.roles(&app, &["Mail.Read"]).await;
    for (resource, types, ..) in watched_by_apps() {
        assert_eq!(subscribe(&world, &nothing, resource, types).await.refusal(), FORBIDDEN, "{resource}");
    }
    let mail = world.granted(&megan(), "Mail.Read").await;
    for (resource, types, ..) in watched_for_users() {
        assert_eq!(subscribe(&world, &mail, resource, types).await.refusal(), FORBIDDEN, "{resource}");
    }
    let application_only =
        world.granted(&megan(), "CallRecords.Read.All Printer.Read.All OnlineMeetings.Read.All").await;
    for resource in ["communications/callRecords", "print/printers/p/jobs"] {
        assert_eq!(subscribe(&world, &application_only, resource, "updated").await.refusal(), FORBIDDEN, "{resource}");
    }
    let delegated_only = world.roles(&app, &["Presence.Read.All"]).await;
    let presence = format!("communications/presences/{MEGAN}");
    assert_eq!(subscribe(&world, &delegated_only, &presence, "updated").await.refusal(), FORBIDDEN);
}

#[tokio::test]
async fn a_user_watches_the_own_drive_and_tasks_and_no_others() {
    let world = World::new().await;
    let megan = world.granted(&megan(), SCOPES).await;
    ok(subscribe(&world, &megan, &format!("users/{MEGAN}/drive/root"), "updated").await, StatusCode::CREATED);
    for resource in ["users/adele@contoso.test/drive/root", "users/adele@contoso.test/todo/lists/l/tasks"] {
        assert_eq!(subscribe(&world, &megan, resource, "updated").await.refusal(), FORBIDDEN, "{resource}");
    }
    ok(subscribe(&world, &megan, "users/adele@contoso.test", "updated").await, StatusCode::CREATED);
    ok(subscribe(&world, &megan, "users", "updated,deleted").await, StatusCode::CREATED);
    let nobody = subscribe(&world, &megan, "users/nobody@contoso.test/drive/root", "updated").await;
    assert_eq!(nobody.status, 404, "{}", nobody.json);
}

#[tokio::test]
async fn a_personal_account_does_not_watch_users() {
    let world = World::new().await;
    let personal = seed::personal_user();
    let caller = world.granted(&personal, SCOPES).await;
    assert_eq!(subscribe(&world, &caller, "users", "updated").await.refusal(), FORBIDDEN);
    ok(subscribe(&world, &caller, "me/drive/root", "updated").await, StatusCode::CREATED);
}

#[tokio::test]
async fn such_a_subscription_is_seen_renewed_and_ended_like_any_other() {
    let world = World::new().await;
    let app = world.roles(&seed::app(), &["User.Read.All", "Printer.Read.All"]).await;
    let made = ok(subscribe(&world, &app, "/users", "updated,deleted").await, StatusCode::CREATED);
    assert_eq!((made.text("/resource"), made.text("/changeType")), ("/users".to_owned(), "updated,deleted".to_owned()));
    let path = format!("/v1.0/subscriptions/{}", made.text("/id"));
    assert_eq!(app.get(&path).await.text("/clientState"), "s3cret");
    let listed = app.get("/v1.0/subscriptions").await;
    assert_eq!(listed.json["value"].as_array().unwrap().len(), 1);
    let again = subscribe(&world, &app, "users", "deleted,updated").await;
    assert_eq!(again.status, 409, "the same places are a duplicate, however they are spelt: {}", again.json);
    let later = json!({"expirationDateTime": world.state.clock.wall().plus_minutes(40_000)});
    ok(app.patch(&path, later).await, StatusCode::OK);
    let too_late = json!({"expirationDateTime": world.state.clock.wall().plus_minutes(41_761)});
    assert_eq!(
        app.patch(&path, too_late).await.text("/error/message"),
        "Subscription expiration can only be 41760 minutes in the future."
    );
    let other = world.roles(&seed::app(), &["Mail.Read"]).await;
    assert_eq!(other.get(&path).await.status, 403, "the permission is needed to see it, too");
    assert_eq!(other.get("/v1.0/subscriptions").await.json["value"], json!([]));
    assert_eq!(world.megan().get(&path).await.status, 404);
    ok(app.delete(&path).await, StatusCode::NO_CONTENT);
    assert_eq!(app.get(&path).await.status, 404);

    let mut jobs = wish(&world, "print/printers/p/jobs", "updated");
    jobs["notificationQueryOptions"] = "$filter = isFetchable eq true".into();
    let made = ok(app.post("/v1.0/subscriptions", jobs).await, StatusCode::CREATED);
    assert_eq!(made.text("/notificationQueryOptions"), "$filter = isFetchable eq true");
    let later = world.state.clock.wall().plus_minutes(60);
    let changed = json!({"expirationDateTime": later, "notificationQueryOptions": "$filter = isFetchable eq false"});
    let refused = app.patch(&format!("/v1.0/subscriptions/{}", made.text("/id")), changed).await;
    assert!(
        refused.refusal().starts_with("400 InvalidRequest: The property 'notificationQueryOptions'"),
        "{}",
        refused.refusal()
    );
}

#[tokio::test]
async fn a_tenant_has_so_many_subscriptions_to_a_resource() {
    let world = World::new().await;
    let app = world.roles(&seed::app(), &["CallRecords.Read.All"]).await;
    let mut url = wish(&world, "communications/callRecords", "created");
    let path = "/v1.0/subscriptions";
    let first = ok(app.post(path, url.clone()).await, StatusCode::CREATED).text("/id");
    let one = world.state.store.subscription(first.parse().unwrap()).await.unwrap().unwrap();
    let makers = store::Makers::default();
    let limits = store::SubscriptionLimits { per_scope: 100, refuse_duplicates: false, makers };
    for number in 2..=100 {
        let more = notify::Subscription { id: graph::SubscriptionId(uuid::Uuid::from_u128(number)), ..(*one).clone() };
        world.state.store.begin_subscription(more.into(), limits).await.unwrap();
    }
    url["changeType"] = "updated".into();
    let refused = app.post(path, url).await;
    insta::assert_snapshot!(refused.refusal(), @"403 ExtensionError: Operation: Create; Exception: [Status Code: Forbidden; Reason: Maximum number of subscriptions has been reached: 100 to callRecord in each tenant]");
    // Those to other resources are counted apart.
    ok(world.megan().post(path, wish(&world, "me/messages", "created")).await, StatusCode::CREATED);
}

#[tokio::test]
async fn a_subscription_to_resources_has_a_lifecycle_like_any_other() {
    let world = World::new().await;
    let app = world.roles(&seed::app(), &["Chat.Read.All"]).await;
    let mut chats = wish(&world, "chats/getAllMessages", "created");
    chats["expirationDateTime"] = json!(world.state.clock.wall().plus_minutes(120));
    let refused = app.post("/v1.0/subscriptions", chats.clone()).await;
    insta::assert_snapshot!(refused.refusal(), @"400 InvalidRequest: lifecycleNotificationUrl is a required property for subscription creation on this resource when the expirationDateTime value is set to greater than 1 hour.");
    chats["lifecycleNotificationUrl"] = "https://hook.example.net/l".into();
    let id = ok(app.post("/v1.0/subscriptions", chats).await, StatusCode::CREATED).text("/id");
    let provoke = json!({"event": "missed"}).to_string();
    let path = format!("/admin/subscriptions/{id}/lifecycle");
    assert_eq!(admin::call(&world, "hush", "POST", &path, &provoke).await.0, 202);
    ok(app.post(&format!("/v1.0/subscriptions/{id}/reauthorize"), json!({})).await, StatusCode::NO_CONTENT);

    let revoked = json!({"appId": seed::APP, "grantee": "app", "permissions": ["Chat.Read.All"]});
    let answer = admin::call(&world, "hush", "POST", "/admin/consents/revoke", &revoked.to_string()).await;
    assert_eq!(answer.0, 200, "{}", answer.1);
    let scope = graph::Scope::of_resources(seed::TENANT, graph::registry::ResourceKind::ChatMessage);
    let log = world.state.store.read_log(Partition::of(scope), Position(0), 10).await.unwrap();
    let asked = log.iter().filter(|(_, record)| {
        matches!(&**record, Record::Lifecycle { event: notify::LifecycleEvent::ReauthorizationRequired, .. })
    });
    assert_eq!(asked.count(), 1, "whose consent was taken back is asked to reauthorize");
}

/// The store reads only so many bytes at a time, so that a page of long records is short.
#[tokio::test]
async fn a_replay_goes_on_after_a_page_that_is_short_because_its_records_are_long() {
    const CHANGES: usize = 72;
    let world = World::on_disk().await;
    let app = world.app().saying("roles", json!(["User.Read.All"]));
    let made = subscribe(&world, &app, "users", "updated").await;
    let id = ok(made, StatusCode::CREATED).text("/id");
    for batch in 0..3 {
        let long = |number| {
            let mut one = change(&format!("{batch} {number}"), &format!("users/{MEGAN}"));
            one["after"] = json!({ "long": "x".repeat(255 << 10) });
            one
        };
        let batch: Vec<Value> = (0..CHANGES / 3).map(long).collect();
        assert_eq!(ingest(&world, json!(batch)).await.1["accepted"], CHANGES / 3);
    }
    let asked = json!({ "from": graph::Timestamp::from_seconds(0) }).to_string();
    let replayed = admin::call(&world, "hush", "POST", &format!("/admin/subscriptions/{id}/replay"), &asked).await.1;
    assert_eq!((&replayed["replayed"], &replayed["more"]), (&json!(CHANGES), &json!(false)), "{replayed}");
}
