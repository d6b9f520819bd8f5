//! Which permissions let a caller use each route that is served, by column of Graph's permission tables.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use graph::{TenantId, UserId, path};
use http::StatusCode;
use notify::access::{self, Actor, Need, Permissions, Principal, Why};
use serde_json::json;
use store::{App, Store};
use tidings_server::http::openapi::{self, Route};
use tidings_server::seed;

use crate::world::{Caller, World, ok};

/// Every permission that means something here, and some that do not.
const PERMISSIONS: &[&str] = &[
    "Calendars.Read",
    "Calendars.Read.Shared",
    "Calendars.ReadBasic",
    "Calendars.ReadBasic.All",
    "Calendars.ReadWrite",
    "Calendars.ReadWrite.Shared",
    "Contacts.Read",
    "Contacts.Read.Shared",
    "Contacts.ReadWrite",
    "Contacts.ReadWrite.Shared",
    "Directory.AccessAsUser.All",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
    "Files.ReadWrite.All",
    "Mail.Read",
    "Mail.Read.Shared",
    "Mail.ReadBasic",
    "Mail.ReadBasic.All",
    "Mail.ReadBasic.Shared",
    "Mail.ReadWrite",
    "Mail.ReadWrite.Shared",
    "Mail.Send",
    "Mail.Send.Shared",
    "MailboxSettings.Read",
    "MailboxSettings.ReadWrite",
    "Subscription.Read.All",
    "User.Read",
    "User.Read.All",
    "User.ReadBasic.All",
    "User.ReadWrite",
    "User.ReadWrite.All",
    "offline_access",
    "openid",
];

fn megan() -> UserId {
    seed::users()[0].id
}

fn adele() -> UserId {
    seed::users()[1].id
}

fn needs(route: &Route) -> Vec<Need> {
    access::needs(route.method == "GET", &path::parse(&openapi::sample_path(route)).unwrap(), true)
}

/// One caller of each column: with a work account, with a personal one, and an app.
fn callers(held: &[&str]) -> [Principal; 3] {
    let of = |tenant, actor| {
        let held = Permissions::of(held.iter().copied());
        Principal { tenant, app: seed::APP, actor, held, admin: true, expires: None }
    };
    let user = Actor::User(megan());
    [of(seed::TENANT, user), of(TenantId::CONSUMERS, user), of(seed::TENANT, Actor::App(seed::SERVICE_PRINCIPAL))]
}

/// The permissions by which a caller of each column may use a route: in the mailbox of a user who calls, and
/// in anybody's for an app.
fn sufficient(route: &Route) -> [Vec<&'static str>; 3] {
    let mailbox = route.in_mailbox.then(megan);
    [0, 1, 2].map(|column| {
        let suffices = |held: &&&str| access::check(&callers(&[held])[column], &needs(route), mailbox, None).is_ok();
        PERMISSIONS.iter().filter(suffices).copied().collect()
    })
}

#[test]
fn each_route_opens_to_the_permissions_of_graphs_tables_and_to_no_others() {
    let mut groups: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for route in openapi::routes() {
        let [work, personal, application] = sufficient(route).map(|names| match names.len() {
            0 => "none".to_owned(),
            all if all == PERMISSIONS.len() => "any".to_owned(),
            _ => names.join(", "),
        });
        let group = format!("work: {work}\npersonal: {personal}\napplication: {application}");
        let owner = if route.in_mailbox { "/me" } else { "" };
        groups.entry(group).or_default().insert(format!("    {} {owner}{}", route.method, route.path));
    }
    let told = groups.iter().map(|(group, routes)| {
        format!("{group}\n{}\n", routes.iter().map(String::as_str).collect::<Vec<_>>().join("\n"))
    });
    insta::assert_snapshot!("permissions", told.collect::<Vec<_>>().join("\n"));
}

#[test]
fn a_route_that_writes_needs_more_than_a_token() {
    let open: Vec<String> = openapi::routes()
        .iter()
        .filter(|route| route.method != "GET" && needs(route).contains(&Need::Token))
        .map(|route| format!("{} {}", route.method, route.path))
        .collect();
    // Each request of a batch is checked by itself, and of subscriptions what they watch decides.
    assert_eq!(
        open,
        [
            "POST /$batch",
            "POST /subscriptions",
            "PATCH /subscriptions/{subscription-id}",
            "DELETE /subscriptions/{subscription-id}",
            "POST /subscriptions/{subscription-id}/reauthorize",
        ]
    );
}

#[test]
fn with_all_permissions_another_users_mailbox_stays_closed() {
    let [work, personal, app] = callers(PERMISSIONS);
    for route in openapi::routes().iter().filter(|route| route.in_mailbox && !route.path.is_empty()) {
        let name = format!("{} {}", route.method, route.path);
        for user in [&work, &personal] {
            let denied = access::check(user, &needs(route), Some(adele()), None).unwrap_err();
            let closed = [Why::OtherMailbox, Why::Permission].contains(&denied.why);
            assert!(closed, "{name}: {denied:?}");
        }
        assert_eq!(access::check(&app, &needs(route), Some(adele()), None), Ok(()), "{name}");
        let denied = access::check(&app, &needs(route), Some(adele()), Some(&BTreeSet::from([megan()]))).unwrap_err();
        assert_eq!(denied.why, Why::Policy, "{name}");
    }
}

/// What a route answers to a caller that holds nothing of it, and to one that holds the least.
#[tokio::test]
async fn the_server_asks_for_the_permission_that_the_table_names() {
    let world = World::new().await;
    let nobody = world.granted(&seed::users()[0], "openid").await;
    let mut held: BTreeMap<String, Caller<'_>> = BTreeMap::new();
    let mut wrong = Vec::new();
    for route in openapi::routes() {
        let path = format!("/v1.0/{}", openapi::sample_path(route));
        let needs = needs(route);
        let refused = nobody.send(route.method, &path, String::new()).await;
        if (refused.status == 403) == (needs == [Need::Token]) {
            wrong.push(format!("{} {path} with nothing: {}", route.method, refused.status));
        }
        let least: Vec<&str> =
            needs.iter().filter_map(|need| need.row(route.in_mailbox).work.first().copied()).collect();
        let least = format!("openid {}", least.join(" "));
        if !held.contains_key(&least) {
            held.insert(least.clone(), world.granted(&seed::users()[0], &least).await);
        }
        let answered = held[&least].send(route.method, &path, String::new()).await;
        if answered.status == 403 {
            wrong.push(format!("{} {path} with {least}: {}", route.method, answered.refusal()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn a_refusal_tells_what_was_needed_and_what_the_token_holds() {
    let world = World::new().await;
    let refused = world.megan().get("/v1.0/users").await;
    assert_eq!(
        refused.refusal(),
        "403 Authorization_RequestDenied: Insufficient privileges to complete the operation."
    );
    let told = |number: usize| refused.text(&format!("/error/details/{number}/message"));
    assert!(
        told(0).contains("delegated permissions is needed, least privileged first: User.ReadBasic.All, "),
        "{}",
        told(0)
    );
    assert!(told(1).starts_with("the token holds") && told(1).contains("Mail.ReadWrite"), "{}", told(1));
    let adele = format!("/v1.0/users/{}/messages", adele());
    let refused = world.megan().get(&adele).await;
    assert_eq!(refused.refusal(), "403 ErrorAccessDenied: Access is denied. Check credentials and try again.");
    assert!(refused.text("/error/details/0/message").contains("the signed-in user only"), "{}", refused.json);
}

#[tokio::test]
async fn a_policy_narrows_an_app_to_the_mailboxes_that_it_names() {
    let world = World::new().await;
    let narrowed = App { mailboxes: Some(BTreeSet::from([megan()])), ..seed::app() };
    let change = |store: Arc<dyn Store>| async move { store.replace_app(seed::app(), narrowed).await };
    world.state.directory.change(change).await.unwrap();
    let app = world.app();
    ok(app.get(&format!("/v1.0/users/{}/messages", megan())).await, StatusCode::OK);
    ok(app.get(&format!("/v1.0/users/{}", adele())).await, StatusCode::OK);
    let refused = app.get(&format!("/v1.0/users/{}/messages", adele())).await;
    assert_eq!(refused.refusal(), "403 ErrorAccessDenied: Access to OData is disabled.");
    assert!(refused.text("/error/details/0/message").contains("a policy"), "{}", refused.json);
    let asked = json!({"changeType": "created", "resource": format!("users/{}/events", adele()),
                       "notificationUrl": "https://hook.example.net/n",
                       "expirationDateTime": world.state.clock.wall().plus_minutes(60)});
    assert_eq!(
        app.post("/v1.0/subscriptions", asked).await.refusal(),
        "403 ExtensionError: Operation: Create; Exception: [Status Code: Forbidden; Reason: Access to OData is disabled.]"
    );
    ok(world.adele().get("/v1.0/me/messages").await, StatusCode::OK);
}
