//! Attacks on ids and permissions, by callers whose tokens are sound: each a story of its own, none succeeds.
//! What belongs to others is refused or unknown, and stays as it was.

use std::collections::BTreeSet;

use http::StatusCode;
use notify::Profile;
use serde_json::{Value, json};
use store::{App, Grantee, Tenant, User};
use tidings_server::seed;
use uuid::Uuid;

use crate::world::{CERTIFICATE, Caller, Reply, World, ok};

mod basic;
mod subscriptions;

const DENIED: &str = "403 ErrorAccessDenied: Access is denied. Check credentials and try again.";
const NO_ITEM: &str = "404 ErrorItemNotFound: The specified object was not found in the store.";
const NO_SUBSCRIPTION: &str = "404 ResourceNotFound: The object was not found.";
const SECRET: &str = "the launch is on Friday";

/// A refusal from behind the subscription service.
fn forbidden(operation: &str) -> String {
    format!("403 ExtensionError: Operation: {operation}; Exception: [Status Code: Forbidden; Reason: Forbidden]")
}

fn adele() -> User {
    seed::users().remove(1)
}

/// A message of the caller's with everything that basic access hides; its id.
async fn letter(caller: &Caller<'_>) -> String {
    let body = json!({
        "subject": "Plans",
        "body": {"contentType": "text", "content": SECRET},
        "toRecipients": [{"emailAddress": {"address": "alex@contoso.test"}}],
        "singleValueExtendedProperties": [{"id": "String {00020329-0000-0000-C000-000000000046} Name Plan", "value": SECRET}],
        "attachments": [{"@odata.type": "#microsoft.graph.fileAttachment", "name": "a.txt", "contentBytes": "aGk="}],
    });
    let id = ok(caller.post("/v1.0/me/messages", body).await, StatusCode::CREATED).text("/id");
    let extension =
        json!({"@odata.type": "#microsoft.graph.openTypeExtension", "extensionName": "Com.Plan", "what": SECRET});
    ok(caller.post(&format!("/v1.0/me/messages/{id}/extensions"), extension).await, StatusCode::CREATED);
    id
}

fn wish(world: &World, resource: &str) -> Value {
    json!({"changeType": "created", "resource": resource, "notificationUrl": "https://hook.example.net/n",
           "clientState": "s3cret", "expirationDateTime": world.state.clock.wall().plus_minutes(60)})
}

async fn subscribe(world: &World, caller: &Caller<'_>, resource: &str) -> String {
    let made = caller.post("/v1.0/subscriptions", wish(world, resource)).await;
    format!("/v1.0/subscriptions/{}", ok(made, StatusCode::CREATED).text("/id"))
}

async fn listed(caller: &Caller<'_>) -> usize {
    ok(caller.get("/v1.0/subscriptions").await, StatusCode::OK).json["value"].as_array().unwrap().len()
}

/// Another organisation on the same server: its user, and the app that it made.
async fn fabrikam(world: &World) -> (User, App) {
    let id = |number: u128| Uuid::from_u128(0xfab0_0000 + number);
    let tenant = Tenant { id: graph::TenantId(id(0)), domain: "fabrikam.test".to_owned() };
    let robin = User::new(graph::UserId(id(1)), tenant.id, "robin@fabrikam.test", "Robin Counts");
    let app = App::new(graph::AppId(id(2)), tenant.id, "Fabrikam", graph::UserId(id(3)));
    let store = &world.state.store;
    store.add_tenant(tenant).await.unwrap();
    store.add_user(robin.clone()).await.unwrap();
    store.add_app(app.clone()).await.unwrap();
    (robin, app)
}

/// An app of the same tenant as the seeded one.
async fn rival(world: &World) -> App {
    let app = App::new(graph::AppId(Uuid::from_u128(77)), seed::TENANT, "Rival", graph::UserId(Uuid::from_u128(78)));
    world.state.store.add_app(app.clone()).await.unwrap();
    app
}

/// No answer holds what was to stay hidden.
fn assert_hidden(reply: &Reply, attack: &str) {
    let body = String::from_utf8_lossy(&reply.body);
    for hidden in [SECRET, "aGk=", "a.txt", "Com.Plan"] {
        assert!(!body.contains(hidden), "{attack}: {body}");
    }
}

/// Tries each path, none of which may answer with anything but the refusal.
async fn assert_denied(caller: &Caller<'_>, paths: &[String]) {
    for path in paths {
        let reply = caller.get(path).await;
        assert_hidden(&reply, path);
        assert_eq!(reply.refusal(), DENIED, "{path}");
    }
}

#[tokio::test]
async fn reading_anothers_mailbox_fails_by_every_name_that_it_has() {
    let world = World::new().await;
    letter(&world.adele()).await;
    let id = adele().id;
    let tenant = seed::TENANT;
    let names = [
        format!("/v1.0/users/{id}/messages"),
        format!("/v1.0/users/{}/messages", id.to_string().to_uppercase()),
        format!("/v1.0/users/{id}@{tenant}/messages"),
        "/v1.0/users/adele@contoso.test/messages".to_owned(),
        "/v1.0/users/ADELE@Contoso.TEST/messages".to_owned(),
        "/v1.0/users/AAD-UPN:adele@contoso.test/messages".to_owned(),
        "/v1.0/users/aad-upn:Adele@contoso.test/messages".to_owned(),
        "/v1.0/users/adele%40contoso.test/messages".to_owned(),
        "/v1.0/users/%61dele@contoso%2Etest/messages".to_owned(),
        format!("/v1.0/users('{id}')/messages"),
        format!("/v1.0/users(%27{id}%27)/messages"),
        format!("/v1.0//users//{id}///messages/"),
        format!("/V1.0/USERS/{id}/Messages"),
        format!("/beta/users/{id}/messages"),
        format!("/v1.0/users/{id}/mailFolders/inbox/messages"),
        format!("/v1.0/users/{id}/mailFolders('Inbox')/messages/$count"),
        format!("/v1.0/users/{id}/calendarView?startDateTime=2026-01-01&endDateTime=2026-01-02"),
        format!("/v1.0/users/{id}/contacts/delta"),
        format!("/v1.0/users/{id}/outlook/masterCategories"),
    ];
    assert_denied(&world.megan(), &names).await;
}

#[tokio::test]
async fn reading_anothers_mailbox_by_a_path_that_climbs_fails() {
    let world = World::new().await;
    letter(&world.adele()).await;
    let id = adele().id;
    for path in [
        format!("/v1.0/me/../users/{id}/messages"),
        format!("/v1.0/me/%2e%2e/users/{id}/messages"),
        format!("/v1.0/me%2f..%2fusers%2f{id}%2fmessages"),
        format!("/v1.0/users/{}/../{id}/messages", seed::users()[0].id),
        format!("/v1.0/users/me/messages?user={id}"),
        format!("/v1.0/users/{}%00/messages", adele().upn),
        "/v1.0/users/adele%2540contoso.test/messages".to_owned(),
        format!("/v1.0/me/messages/;users/{id}/messages"),
    ] {
        let reply = world.megan().get(&path).await;
        assert_hidden(&reply, &path);
        assert!((400..=405).contains(&reply.status), "{path}: {}", reply.json);
    }
}

#[tokio::test]
async fn a_batch_opens_no_mailbox_that_a_request_of_its_own_would_not() {
    let world = World::new().await;
    letter(&world.adele()).await;
    let id = adele().id;
    let urls = [
        (format!("/users/{id}/messages"), 403),
        ("users/adele@contoso.test/messages".to_owned(), 403),
        (format!("/v1.0/users/{id}/messages"), 403),
        (format!("/beta//users/{id}/messages"), 403),
        (format!("http://graph.test:8443/v1.0/users/{id}/messages"), 403),
        (format!("https://graph.microsoft.com/v1.0/users/{id}/messages"), 400),
        (format!("http://graph.test:8443.evil.test/v1.0/users/{id}/messages"), 400),
        (format!("//evil.test/v1.0/users/{id}/messages"), 400),
    ];
    let requests: Vec<Value> = urls.iter().map(|(url, _)| json!({"id": url, "method": "GET", "url": url})).collect();
    let reply = ok(world.megan().post("/v1.0/$batch", json!({"requests": requests})).await, StatusCode::OK);
    assert_hidden(&reply, "batch");
    for (answer, (url, status)) in reply.json["responses"].as_array().unwrap().iter().zip(urls) {
        assert_eq!(answer["status"], status, "{url}: {answer}");
    }
}

#[tokio::test]
async fn a_request_of_a_batch_cannot_come_as_somebody_else_without_a_token() {
    let world = World::new().await;
    letter(&world.adele()).await;
    let request = |headers: Value| json!({"id": "1", "method": "GET", "url": "/me/messages", "headers": headers});
    for headers in [
        json!({"Authorization": "Bearer x"}),
        json!({"authorization": ""}),
        json!({"x-ms-client-principal-id": adele().id, "X-AnchorMailbox": adele().upn}),
    ] {
        let reply = world.megan().post("/v1.0/$batch", json!({"requests": [request(headers.clone())]})).await;
        assert_hidden(&reply, &headers.to_string());
    }
}

#[tokio::test]
async fn an_item_of_another_mailbox_is_unknown_in_ones_own() {
    let world = World::new().await;
    let id = letter(&world.adele()).await;
    let settled =
        world.adele().with("prefer", "IdType=\"ImmutableId\"").get("/v1.0/me/messages").await.text("/value/0/id");
    let megan = world.megan();
    for id in [&id, &settled] {
        let item = format!("/v1.0/me/messages/{id}");
        for path in ["", "/$value", "/attachments", "/attachments/$count", "/extensions/Com.Plan", "/event"] {
            let reply = megan.get(&format!("{item}{path}")).await;
            assert_eq!(reply.refusal(), NO_ITEM, "{path}");
        }
        assert_eq!(megan.patch(&item, json!({"subject": "mine"})).await.refusal(), NO_ITEM);
        assert_eq!(megan.delete(&item).await.refusal(), NO_ITEM);
        for action in ["move", "copy"] {
            let reply = megan.post(&format!("{item}/{action}"), json!({"destinationId": "inbox"})).await;
            assert_eq!(reply.refusal(), NO_ITEM, "{action}");
        }
        for action in ["send", "reply", "createReply", "permanentDelete"] {
            assert_eq!(megan.post(&format!("{item}/{action}"), json!({})).await.refusal(), NO_ITEM, "{action}");
        }
        let translated = json!({"inputIds": [id], "sourceIdType": "restId", "targetIdType": "entryId"});
        let reply = megan.post("/v1.0/me/translateExchangeIds", translated).await;
        assert_eq!(reply.json["value"][0].get("targetId"), None, "{}", reply.json);
    }
    assert_eq!(world.adele().get(&format!("/v1.0/me/messages/{id}")).await.json["subject"], "Plans");
}

#[tokio::test]
async fn nothing_is_put_into_another_mailboxs_folder() {
    let world = World::new().await;
    let inbox = world.adele().get("/v1.0/me/mailFolders/inbox").await.text("/id");
    let megan = world.megan();
    let draft = format!("/v1.0/me/messages/{}", megan.draft("x").await);
    let body = json!({"destinationId": inbox});
    for action in ["move", "copy"] {
        assert_eq!(megan.post(&format!("{draft}/{action}"), body.clone()).await.refusal(), NO_ITEM, "{action}");
    }
    let folder = format!("/v1.0/me/mailFolders/{inbox}");
    assert_eq!(megan.post(&format!("{folder}/messages"), json!({"subject": "x"})).await.refusal(), NO_ITEM);
    assert_eq!(megan.post(&format!("{folder}/childFolders"), json!({"displayName": "x"})).await.refusal(), NO_ITEM);
    assert_eq!(megan.get(&format!("{folder}/messages")).await.refusal(), NO_ITEM);
    assert_eq!(megan.get(&format!("{folder}/messages/delta")).await.refusal(), NO_ITEM);
    assert_eq!(megan.delete(&folder).await.refusal(), NO_ITEM);
    assert_eq!(world.adele().get("/v1.0/me/messages").await.json["value"], json!([]));
}

#[tokio::test]
async fn links_of_another_mailbox_lead_nowhere() {
    let world = World::new().await;
    let name = adele().upn;
    for _ in 0..3 {
        letter(&world.adele()).await;
    }
    let path = |link: String| link.strip_prefix("http://graph.test:8443").unwrap().to_owned();
    let page = world.adele().get(&format!("/v1.0/users/{name}/messages?$top=1")).await;
    let megan = world.megan();
    assert_denied(&megan, &[path(page.text("/@odata.nextLink"))]).await;
    let first = format!("/v1.0/users/{name}/mailFolders/drafts/messages/delta?$top=1");
    let page = world.adele().get(&first).await;
    let next = path(page.text("/@odata.nextLink"));
    assert_denied(&megan, &[first, next.clone()]).await;
    // Her token in one's own path is a token of nothing.
    let token = next.split_once("$skiptoken=").unwrap().1;
    let own = megan.get(&format!("/v1.0/me/mailFolders/drafts/messages/delta?$skiptoken={token}")).await;
    assert_eq!(own.refusal(), "400 BadRequest: Badly formed token.");
    assert_hidden(&own, "delta");
}

#[tokio::test]
async fn an_upload_goes_to_no_other_mailbox_than_it_was_made_for() {
    let world = World::new().await;
    let draft = format!("/v1.0/me/messages/{}", world.adele().draft("x").await);
    let item = json!({"AttachmentItem": {"attachmentType": "file", "name": "b", "size": 3_000_000}});
    let made = world.adele().post(&format!("{draft}/attachments/createUploadSession"), item).await;
    let url = ok(made, StatusCode::CREATED).text("/uploadUrl");
    let url = url.strip_prefix("http://graph.test:8443").unwrap();
    let secret = url.split_once("authtoken=").unwrap().1;
    let (hers, own) = (adele().id, seed::users()[0].id);
    for guess in [
        format!("/uploads/{own}?authtoken={secret}"),
        format!("/uploads/{hers}?authtoken="),
        format!("/uploads/{hers}"),
        format!("/uploads/{hers}?authtoken={}", &secret[1..]),
        format!("/uploads/{hers}?authtoken={}", secret.to_uppercase().replace('-', "_")),
        format!("/uploads/{hers}?authtoken=x&authtoken={secret}"),
    ] {
        for method in ["GET", "PUT", "DELETE"] {
            let reply = world.megan().send(method, &guess, String::new()).await;
            assert_eq!(reply.status, 404, "{method} {guess}: {}", reply.json);
        }
    }
    ok(world.stranger().get(url).await, StatusCode::OK);
}

#[tokio::test]
async fn permissions_for_shared_folders_open_nothing() {
    let world = World::new().await;
    letter(&world.adele()).await;
    letter(&world.megan()).await;
    let shared = "Mail.Read.Shared Mail.ReadWrite.Shared Calendars.Read.Shared Contacts.Read.Shared User.Read";
    let megan = world.granted(&seed::users()[0], shared).await;
    let paths =
        ["/v1.0/me/messages", "/v1.0/me/events", "/v1.0/me/contacts", "/v1.0/users/adele@contoso.test/messages"];
    assert_denied(&megan, &paths.map(str::to_owned)).await;
}

#[tokio::test]
async fn who_may_only_send_reads_nothing_and_hears_nothing() {
    let world = World::new().await;
    let id = letter(&world.megan()).await;
    let sender = world.granted(&seed::users()[0], "Mail.Send User.Read").await;
    let item = format!("/v1.0/me/messages/{id}");
    let paths = [
        item.clone(),
        "/v1.0/me/messages".to_owned(),
        "/v1.0/me/mailFolders".to_owned(),
        "/v1.0/me/messages/$count".to_owned(),
        format!("{item}/$value"),
        format!("{item}/attachments"),
    ];
    assert_denied(&sender, &paths).await;
    for action in ["createReply", "createForward", "copy", "move"] {
        let reply = sender.post(&format!("{item}/{action}"), json!({"destinationId": "inbox"})).await;
        assert_eq!(reply.refusal(), DENIED, "{action}");
    }
    assert_eq!(sender.post("/v1.0/subscriptions", wish(&world, "me/messages")).await.refusal(), forbidden("Create"));
    let to = json!([{"emailAddress": {"address": "alex@contoso.test"}}]);
    let sent = sender.post(&format!("{item}/forward"), json!({"toRecipients": to})).await;
    assert_eq!((sent.status, sent.body.len()), (202, 0));
}

#[tokio::test]
async fn mail_leaves_only_from_ones_own_mailbox() {
    let world = World::new().await;
    let message =
        json!({"message": {"subject": "x", "toRecipients": [{"emailAddress": {"address": "alex@contoso.test"}}]}});
    let reply = world.megan().post("/v1.0/users/adele@contoso.test/sendMail", message.clone()).await;
    assert_eq!(reply.refusal(), DENIED);
    let mut forged = message.clone();
    forged["message"]["from"] = json!({"emailAddress": {"address": "adele@contoso.test"}});
    assert!(
        world.megan().post("/v1.0/me/sendMail", forged.clone()).await.refusal().starts_with("403 ErrorSendAsDenied")
    );
    forged["message"]["sender"] = forged["message"]["from"].take();
    let sent = world.megan().post("/v1.0/me/sendMail", forged).await;
    assert!([202, 403].contains(&sent.status), "{}", sent.json);
    let kept = world.megan().get("/v1.0/me/mailFolders/sentitems/messages?$select=sender,from").await;
    assert!(!kept.json.to_string().contains("adele@"), "{}", kept.json);
}

/// Megan with basic access, and the path of her letter.
async fn basic(world: &World) -> (Caller<'_>, String) {
    let id = letter(&world.megan()).await;
    let caller = world.granted(&seed::users()[0], "Mail.ReadBasic Calendars.ReadBasic").await;
    (caller, format!("/v1.0/me/messages/{id}"))
}

#[tokio::test]
async fn a_filter_does_not_reach_out_of_a_search_folder() {
    let world = World::new().await;
    let megan = world.megan();
    letter(&megan).await;
    let folder = json!({"@odata.type": "microsoft.graph.mailSearchFolder", "displayName": "None", "includeNestedFolders": true,
                        "sourceFolderIds": ["drafts"], "filterQuery": "subject eq 'nothing'"});
    let made = megan.post("/v1.0/me/mailFolders/searchfolders/childFolders", folder).await;
    let messages = format!("/v1.0/me/mailFolders/{}/messages", ok(made, StatusCode::CREATED).text("/id"));
    let reply = megan.get(&format!("{messages}?$filter=true)%20or%20(isRead%20eq%20true")).await;
    assert_eq!(reply.status, 400, "{}", reply.json);
    let (basic, _) = basic(&world).await;
    let reply = basic.get(&format!("{messages}?$filter=true)%20or%20(contains(bodyPreview,'launch')")).await;
    assert_eq!(reply.refusal(), DENIED);
}

#[tokio::test]
async fn who_may_only_read_changes_nothing() {
    let world = World::new().await;
    let id = letter(&world.megan()).await;
    let item = format!("/v1.0/me/messages/{id}");
    let before = world.megan().get(&item).await.json;
    let reader = world.granted(&seed::users()[0], "Mail.Read MailboxSettings.Read User.Read").await;
    let body = json!({"destinationId": "inbox", "subject": "x", "displayName": "x"});
    for (method, path) in [
        ("PATCH", item.clone()),
        ("DELETE", item.clone()),
        ("POST", format!("{item}/move")),
        ("POST", format!("{item}/copy")),
        ("POST", format!("{item}/permanentDelete")),
        ("POST", format!("{item}/createReply")),
        ("POST", format!("{item}/createForward")),
        ("POST", format!("{item}/send")),
        ("POST", format!("{item}/reply")),
        ("POST", format!("{item}/attachments")),
        ("POST", format!("{item}/attachments/createUploadSession")),
        ("POST", format!("{item}/extensions")),
        ("PATCH", format!("{item}/extensions/Com.Plan")),
        ("DELETE", format!("{item}/extensions/Com.Plan")),
        ("POST", "/v1.0/me/messages".to_owned()),
        ("POST", "/v1.0/me/sendMail".to_owned()),
        ("POST", "/v1.0/me/mailFolders".to_owned()),
        ("DELETE", "/v1.0/me/mailFolders/inbox".to_owned()),
        ("POST", "/v1.0/me/mailFolders/inbox/move".to_owned()),
        ("POST", "/v1.0/me/outlook/masterCategories".to_owned()),
        ("POST", "/v1.0/me/inferenceClassification/overrides".to_owned()),
    ] {
        assert_eq!(reader.send(method, &path, body.to_string()).await.refusal(), DENIED, "{method} {path}");
    }
    assert_eq!(world.megan().get(&item).await.json, before);
    assert_eq!(world.megan().get("/v1.0/me/messages?$count=true").await.json["@odata.count"], 1);
}

#[tokio::test]
async fn exceeding_permissions_for_one_kind_opens_no_other() {
    let world = World::new().await;
    letter(&world.megan()).await;
    let calendar = world.granted(&seed::users()[0], "Calendars.ReadWrite Contacts.ReadWrite").await;
    let paths = ["/v1.0/me/messages", "/v1.0/me/mailFolders", "/v1.0/me/outlook/masterCategories"];
    assert_denied(&calendar, &paths.map(str::to_owned)).await;
    let mail = world.granted(&seed::users()[0], "Mail.ReadWrite").await;
    let paths = ["/v1.0/me/events", "/v1.0/me/contacts", "/v1.0/me/calendars", "/v1.0/me/contactFolders"];
    assert_denied(&mail, &paths.map(str::to_owned)).await;
    // A collection of the wrong kind holds no item of another.
    let id = world.megan().get("/v1.0/me/messages").await.text("/value/0/id");
    assert_eq!(calendar.get(&format!("/v1.0/me/events/{id}")).await.refusal(), NO_ITEM);
    assert_eq!(calendar.get(&format!("/v1.0/me/contacts/{id}")).await.refusal(), NO_ITEM);
}

#[tokio::test]
async fn users_of_the_directory_are_for_those_who_may_read_them() {
    let world = World::new().await;
    let denied = "403 Authorization_RequestDenied: Insufficient privileges to complete the operation.";
    let mail = world.granted(&seed::users()[0], "Mail.ReadWrite").await;
    for path in ["/v1.0/me", "/v1.0/users", "/v1.0/users/adele@contoso.test", "/v1.0/users/nobody@contoso.test"] {
        assert_eq!(mail.get(path).await.refusal(), denied, "{path}");
    }
    let own = world.granted(&seed::users()[0], "User.Read").await;
    ok(own.get("/v1.0/me").await, StatusCode::OK);
    ok(own.get("/v1.0/users/MEGAN@contoso.test").await, StatusCode::OK);
    for path in ["/v1.0/users", "/v1.0/users/adele@contoso.test", "/v1.0/users/nobody@contoso.test"] {
        assert_eq!(own.get(path).await.refusal(), denied, "{path}");
    }
}

#[tokio::test]
async fn crossing_tenants_finds_the_other_as_if_it_were_not() {
    let world = World::new().await;
    let id = letter(&world.adele()).await;
    let (robin, app) = fabrikam(&world).await;
    let scopes = "Mail.ReadWrite Mail.Send User.Read.All Calendars.ReadWrite";
    let roles = world.roles(&app, &["Mail.ReadWrite", "Mail.Send", "User.Read.All"]).await;
    let user = world.granted_to(&app, &robin, scopes).await;
    for caller in [&roles, &user] {
        for name in [adele().upn, adele().id.to_string(), format!("AAD-UPN:{}", adele().upn)] {
            let reply = caller.get(&format!("/v1.0/users/{name}/messages/{id}")).await;
            assert!(reply.refusal().starts_with("404 ErrorInvalidUser"), "{name}: {}", reply.json);
            let reply = caller.get(&format!("/v1.0/users/{name}")).await;
            assert!(reply.refusal().starts_with("404 Request_ResourceNotFound"), "{name}: {}", reply.json);
        }
        let users = ok(caller.get("/v1.0/users").await, StatusCode::OK);
        assert_eq!(users.json["value"].as_array().unwrap().len(), 1, "{}", users.json);
        let reply = caller.post("/v1.0/subscriptions", wish(&world, "users/adele@contoso.test/messages")).await;
        assert_eq!(
            reply.refusal(),
            "404 ExtensionError: Operation: Create; Exception: [Status Code: NotFound; Reason: Not Found]"
        );
    }
    let own = user.get(&format!("/v1.0/me/messages/{id}")).await;
    assert_eq!(own.refusal(), NO_ITEM);
    let contoso = world.app().get(&format!("/v1.0/users/{}/messages", robin.upn)).await;
    assert!(contoso.refusal().starts_with("404 ErrorInvalidUser"), "{}", contoso.json);
}

#[tokio::test]
async fn a_personal_account_reaches_no_organisation_and_is_reached_by_none() {
    let world = World::new().await;
    letter(&world.adele()).await;
    let lynne = seed::personal_user();
    let caller = world.granted(&lynne, "Mail.ReadWrite User.Read User.Read.All Directory.Read.All").await;
    ok(caller.get("/v1.0/me/messages").await, StatusCode::OK);
    let denied = "403 Authorization_RequestDenied: Insufficient privileges to complete the operation.";
    assert_eq!(caller.get("/v1.0/users").await.refusal(), denied);
    let reply = caller.get("/v1.0/users/adele@contoso.test/messages").await;
    assert!(reply.refusal().starts_with("404 ErrorInvalidUser"), "{}", reply.json);
    let reply = world.app().get(&format!("/v1.0/users/{}/messages", lynne.upn)).await;
    assert!(reply.refusal().starts_with("404 ErrorInvalidUser"), "{}", reply.json);
}

#[tokio::test]
async fn outliving_consent_ends_at_once_until_it_is_given_again() {
    let world = World::new().await;
    let (app, user) = (rival(&world).await, seed::users().remove(0));
    let megan = world.granted_to(&app, &user, "Mail.Read").await;
    let path = subscribe(&world, &megan, "me/messages").await;
    let permissions = BTreeSet::from(["Mail.Read".to_owned()]);
    let grant = store::Grant { tenant: seed::TENANT, app: app.id, grantee: Grantee::AllUsers, permissions };
    let now = world.state.clock.wall();
    world.state.directory.change(|store| async move { store.revoke(grant, now).await }).await.unwrap();

    let later = json!({"expirationDateTime": now.plus_minutes(90)});
    assert_denied(&megan, &["/v1.0/me/messages".to_owned()]).await;
    assert_eq!(megan.get(&path).await.refusal(), forbidden("Read"));
    assert_eq!(megan.patch(&path, later.clone()).await.refusal(), forbidden("Update"));
    assert_eq!(megan.delete(&path).await.refusal(), forbidden("Delete"));
    let reauthorized = megan.send("POST", &format!("{path}/reauthorize"), String::new()).await;
    assert_eq!(reauthorized.refusal(), forbidden("Update"));
    let again = megan.post("/v1.0/subscriptions", wish(&world, "me/mailFolders('inbox')/messages")).await;
    assert_eq!(again.refusal(), forbidden("Create"));
    assert_eq!(listed(&megan).await, 0);

    let megan = world.granted_to(&app, &user, "Mail.Read").await;
    ok(megan.patch(&path, later).await, StatusCode::OK);
    assert_eq!(listed(&megan).await, 1, "it was never gone");
}
