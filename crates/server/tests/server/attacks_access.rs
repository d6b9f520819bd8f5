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
async fn another_users_mailbox_stays_closed_by_every_name_that_it_has() {
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
async fn a_path_that_climbs_leads_to_no_other_mailbox() {
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

/// Tries all that can be done with a subscription; what it says stays unknown and it stays as it was.
async fn assert_unknown(world: &World, attacker: &Caller<'_>, owner: &Caller<'_>, path: &str) {
    let before = ok(owner.get(path).await, StatusCode::OK).json;
    let later = json!({"expirationDateTime": world.state.clock.wall().plus_minutes(90),
                       "notificationUrl": "https://evil.example.net/"});
    for reply in [
        attacker.get(path).await,
        attacker.patch(path, later).await,
        attacker.delete(path).await,
        attacker.send("POST", &format!("{path}/reauthorize"), String::new()).await,
    ] {
        assert_eq!(reply.refusal(), NO_SUBSCRIPTION);
    }
    assert_eq!(owner.get(path).await.json, before);
}

async fn listed(caller: &Caller<'_>) -> usize {
    ok(caller.get("/v1.0/subscriptions").await, StatusCode::OK).json["value"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_subscription_of_another_user_is_unknown() {
    let world = World::new().await;
    let path = subscribe(&world, &world.adele(), "me/messages").await;
    assert_unknown(&world, &world.megan(), &world.adele(), &path).await;
    assert_eq!(listed(&world.megan()).await, 0);
}

#[tokio::test]
async fn a_subscription_of_another_app_is_unknown_to_the_same_user() {
    let world = World::new().await;
    let path = subscribe(&world, &world.megan(), "me/messages").await;
    let rival = rival(&world).await;
    let same = world.granted_to(&rival, &seed::users()[0], "Mail.ReadWrite Subscription.Read.All").await;
    assert_unknown(&world, &same, &world.megan(), &path).await;
    assert_eq!(listed(&same).await, 1, "Subscription.Read.All shows it in the list, and nothing else");
    assert_eq!(same.get("/v1.0/subscriptions").await.json["value"][0]["clientState"], Value::Null);
    let plain = world.granted_to(&rival, &seed::users()[0], "Mail.ReadWrite").await;
    assert_eq!(listed(&plain).await, 0);
}

#[tokio::test]
async fn another_apps_subscription_is_told_apart_where_the_profile_says_so() {
    let world = World::with(Profile::observed()).await;
    let path = subscribe(&world, &world.megan(), "me/messages").await;
    let told = |operation: &str| {
        format!(
            "401 ExtensionError: Operation: {operation}; Exception: [Status Code: Unauthorized; Reason: Unauthorized; \
             Message : Subscription does not belong to application.]"
        )
    };
    let rival = rival(&world).await;
    let same = world.granted_to(&rival, &seed::users()[0], "Mail.ReadWrite").await;
    assert_eq!(same.get(&path).await.refusal(), told("Read"));
    assert_eq!(same.patch(&path, json!({"notificationUrl": "https://evil.example/"})).await.refusal(), told("Update"));
    assert_eq!(same.delete(&path).await.refusal(), told("Delete"));
    // Neither another user of the app nor another tenant learns anything.
    assert_eq!(world.adele().get(&path).await.status, 404);
    let (robin, app) = fabrikam(&world).await;
    let robin = world.granted_to(&app, &robin, "Mail.ReadWrite").await;
    assert_eq!(robin.get(&path).await.status, 404);
    ok(world.megan().get(&path).await, StatusCode::OK);
}

#[tokio::test]
async fn a_subscription_of_another_tenant_is_unknown() {
    let world = World::new().await;
    let path = subscribe(&world, &world.megan(), "me/messages").await;
    let (robin, app) = fabrikam(&world).await;
    let robin = world.granted_to(&app, &robin, "Mail.ReadWrite Subscription.Read.All").await;
    assert_unknown(&world, &robin, &world.megan(), &path).await;
    let roles = world.roles(&app, &["Mail.ReadWrite", "User.Read.All"]).await;
    assert_unknown(&world, &roles, &world.megan(), &path).await;
    assert_eq!((listed(&robin).await, listed(&roles).await), (0, 0));
}

#[tokio::test]
async fn nobody_subscribes_to_another_users_mailbox() {
    let world = World::new().await;
    let shared = "Mail.ReadWrite Mail.Read.Shared Calendars.Read Calendars.Read.Shared Contacts.Read.Shared";
    let megan = world.granted(&seed::users()[0], shared).await;
    for resource in [
        "users/adele@contoso.test/messages",
        "users/ADELE@contoso.test/mailFolders('inbox')/messages",
        "/users('adele@contoso.test')/events",
        "users/AAD-UPN:adele@contoso.test/messages",
    ] {
        assert_eq!(
            megan.post("/v1.0/subscriptions", wish(&world, resource)).await.refusal(),
            forbidden("Create"),
            "{resource}"
        );
    }
    assert_eq!(listed(&world.app()).await, 0);
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
async fn basic_access_shows_messages_without_what_it_hides() {
    let world = World::new().await;
    let (megan, item) = basic(&world).await;
    let html =
        world.granted(&seed::users()[0], "Mail.ReadBasic").await.with("prefer", "outlook.body-content-type=\"html\"");
    let lists =
        ["/v1.0/me/messages", "/v1.0/me/mailFolders/drafts/messages", "/v1.0/me/mailFolders/drafts/messages/delta"];
    for path in lists.iter().copied().chain([item.as_str()]) {
        for caller in [&megan, &html] {
            let reply = ok(caller.get(path).await, StatusCode::OK);
            assert_hidden(&reply, path);
            let shown = reply.json["value"].get(0).unwrap_or(&reply.json);
            assert_eq!((&shown["subject"], &shown["hasAttachments"]), (&json!("Plans"), &json!(true)), "{path}");
        }
    }
}

#[tokio::test]
async fn basic_access_is_not_widened_by_a_selection() {
    let world = World::new().await;
    let (megan, item) = basic(&world).await;
    let lists = ["/v1.0/me/messages", "/v1.0/me/mailFolders/drafts/messages/delta", item.as_str()];
    for path in lists {
        for select in [
            "$select=body",
            "$select=subject,bodyPreview",
            "$select=UniqueBody",
            "select=body/content",
            "%24select=body",
            "$SELECT=%62ody",
            "$select=subject,%20body%20",
        ] {
            assert_denied(&megan, &[format!("{path}?{select}")]).await;
        }
        let all = ok(megan.get(&format!("{path}?$select=*")).await, StatusCode::OK);
        assert_hidden(&all, path);
    }
}

#[tokio::test]
async fn basic_access_is_not_widened_by_an_expansion() {
    let world = World::new().await;
    let (megan, item) = basic(&world).await;
    for expand in [
        "attachments",
        "Attachments($select=name)",
        "extensions",
        "singleValueExtendedProperties",
        "singleValueExtendedProperties($filter=id%20eq%20'x')",
        "microsoft.graph.eventMessage/event",
    ] {
        let paths = [
            format!("{item}?$expand={expand}"),
            format!("/v1.0/me/messages?$expand={expand}"),
            format!("/v1.0/me/mailFolders/drafts/messages/delta?expand={expand}"),
        ];
        assert_denied(&megan, &paths).await;
    }
}

#[tokio::test]
async fn basic_access_is_not_widened_by_a_filter_an_order_or_a_search() {
    let world = World::new().await;
    let (megan, _) = basic(&world).await;
    let options = [
        "$filter=contains(body/content,'launch')",
        "$filter=startswith(bodyPreview,'t')",
        "$filter=not(bodyPreview%20eq%20'x')",
        "$filter=isRead%20eq%20true%20or%20contains(tolower(bodyPreview),'launch')",
        "$filter=singleValueExtendedProperties/any(p:p/id%20eq%20'x'%20and%20p/value%20eq%20'y')",
        "$filter=attachments/any(a:a/name%20eq%20'a.txt')",
        "filter=bodyPreview%20ne%20''",
        "$orderby=bodyPreview",
        "$search=launch",
        "$search=%22subject:Plans%22",
        "search=launch",
    ];
    for option in options {
        let paths = [format!("/v1.0/me/messages?{option}"), format!("/v1.0/me/messages/$count?{option}")];
        assert_denied(&megan, &paths).await;
    }
}

#[tokio::test]
async fn basic_access_is_not_widened_by_another_way_to_the_content() {
    let world = World::new().await;
    let (megan, item) = basic(&world).await;
    let whole = world.megan().get(&format!("{item}/attachments")).await.text("/value/0/id");
    let ways = ["$value", "attachments", "attachments/$count", "extensions", "extensions/Com.Plan"];
    let mut paths: Vec<String> = ways.iter().map(|way| format!("{item}/{way}")).collect();
    paths.push(format!("{item}/attachments/{whole}"));
    paths.push(format!("{item}/attachments/{whole}/$value"));
    assert_denied(&megan, &paths).await;
    let requests: Vec<Value> = paths
        .iter()
        .enumerate()
        .map(|(id, path)| json!({"id": id.to_string(), "method": "GET", "url": path}))
        .collect();
    let batch = ok(megan.post("/v1.0/$batch", json!({"requests": requests})).await, StatusCode::OK);
    assert_hidden(&batch, "batch");
    assert!(batch.json["responses"].as_array().unwrap().iter().all(|answer| answer["status"] == 403), "{}", batch.json);
}

#[tokio::test]
async fn a_delta_token_of_who_may_read_shows_nothing_more_with_basic_access() {
    let world = World::new().await;
    let (megan, _) = basic(&world).await;
    letter(&world.megan()).await;
    let first = "/v1.0/me/mailFolders/drafts/messages/delta?$top=1&$select=subject,body&$expand=attachments";
    let link = ok(world.megan().get(first).await, StatusCode::OK).text("/@odata.nextLink");
    let reply = ok(megan.get(link.strip_prefix("http://graph.test:8443").unwrap()).await, StatusCode::OK);
    assert_eq!(reply.json["value"][0]["subject"], "Plans");
    assert_hidden(&reply, "delta");
}

#[tokio::test]
async fn basic_access_hears_nothing_of_what_it_hides() {
    let world = World::new().await;
    let (megan, _) = basic(&world).await;
    for resource in [
        "me/messages?$filter=contains(bodyPreview,'launch')",
        "me/messages?$select=subject,bodyPreview",
        "me/messages?$expand=singleValueExtendedProperties($filter=id eq 'String {00020329-0000-0000-C000-000000000046} Name Plan')",
        "me/events",
    ] {
        let reply = megan.post("/v1.0/subscriptions", wish(&world, resource)).await;
        assert!(reply.refusal() == forbidden("Create") || reply.status == 400, "{resource}: {}", reply.json);
        assert_ne!(reply.status, 201, "{resource}");
    }
    subscribe(&world, &megan, "me/messages").await;
}

#[tokio::test]
async fn basic_access_gets_no_content_that_it_hides_and_keeps_none() {
    let world = World::new().await;
    let (megan, _) = basic(&world).await;
    let rich = |resource: &str| {
        let mut wish = wish(&world, resource);
        for (name, value) in [("encryptionCertificate", CERTIFICATE), ("encryptionCertificateId", "one")] {
            wish[name] = value.into();
        }
        wish["includeResourceData"] = true.into();
        wish
    };
    let hidden = "me/messages?$select=subject,bodyPreview";
    let expanded = "me/messages?$select=subject&$expand=singleValueExtendedProperties";
    for resource in [hidden, expanded] {
        let refused = megan.post("/v1.0/subscriptions", rich(resource)).await;
        assert_eq!(refused.refusal(), forbidden("Create"), "{resource}");
    }
    ok(megan.post("/v1.0/subscriptions", rich("me/messages?$select=subject")).await, StatusCode::CREATED);
    // What was made with more than basic access is not renewed with it.
    let made = ok(world.megan().post("/v1.0/subscriptions", rich(hidden)).await, StatusCode::CREATED);
    let path = format!("/v1.0/subscriptions/{}", made.text("/id"));
    let later = json!({"expirationDateTime": world.state.clock.wall().plus_minutes(90)});
    assert_eq!(megan.patch(&path, later).await.refusal(), forbidden("Update"));
    let reauthorized = megan.send("POST", &format!("{path}/reauthorize"), String::new()).await;
    assert_eq!(reauthorized.refusal(), forbidden("Update"));
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
async fn basic_access_shows_events_without_what_it_hides() {
    let world = World::new().await;
    let time = |hour: u32| json!({"dateTime": format!("2026-12-01T{hour:02}:00:00"), "timeZone": "UTC"});
    let body = json!({"subject": "Plans", "start": time(9), "end": time(10), "body": {"contentType": "text", "content": SECRET},
                      "recurrence": {"pattern": {"type": "daily", "interval": 1},
                                     "range": {"type": "numbered", "startDate": "2026-12-01", "numberOfOccurrences": 2}}});
    let id = ok(world.megan().post("/v1.0/me/events", body).await, StatusCode::CREATED).text("/id");
    let (megan, _) = basic(&world).await;
    let window = "startDateTime=2026-12-01&endDateTime=2026-12-03";
    let view = format!("/v1.0/me/calendarView?{window}");
    let occurrence = ok(megan.get(&view).await, StatusCode::OK).text("/value/0/id");
    for path in [
        "/v1.0/me/events".to_owned(),
        format!("/v1.0/me/events/{id}"),
        view.clone(),
        format!("/v1.0/me/calendarView/delta?{window}"),
        format!("/v1.0/me/events/{id}/instances?{window}"),
        format!("/v1.0/me/events/{occurrence}"),
        "/v1.0/me/events/delta".to_owned(),
        "/v1.0/me/calendar/events".to_owned(),
    ] {
        let reply = megan.get(&path).await;
        assert_hidden(&reply, &path);
        assert!(reply.status == 200 && reply.json.to_string().contains("Plans"), "{path}: {}", reply.json);
    }
    let closed = [
        format!("{view}&$select=body"),
        format!("/v1.0/me/events/{id}/attachments"),
        format!("/v1.0/me/events/{id}/extensions"),
        format!("/v1.0/me/events/{occurrence}?$select=bodyPreview"),
        "/v1.0/me/events?$filter=contains(bodyPreview,'launch')".to_owned(),
    ];
    assert_denied(&megan, &closed).await;
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
async fn a_permission_for_one_kind_opens_no_other() {
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
async fn another_tenant_is_as_if_it_were_not() {
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
async fn a_consent_that_was_taken_back_closes_at_once_until_it_is_given_again() {
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

#[tokio::test]
async fn a_subscription_needs_its_permission_for_everything_that_is_done_with_it() {
    let world = World::new().await;
    let user = seed::users().remove(0);
    let resources =
        [("me/messages", "Mail.ReadBasic"), ("me/events", "Calendars.Read"), ("me/contacts", "Contacts.Read")];
    let mut paths = Vec::new();
    for (resource, scope) in resources {
        let caller = world.granted(&user, scope).await;
        paths.push((subscribe(&world, &caller, resource).await, scope));
    }
    for (_, held) in resources {
        let caller = world.granted(&user, held).await;
        assert_eq!(listed(&caller).await, 1, "{held}");
        for (path, scope) in &paths {
            let expected = if held == *scope { 200 } else { 403 };
            assert_eq!(caller.get(path).await.status, expected, "{held}: {path}");
            let later = json!({"expirationDateTime": world.state.clock.wall().plus_minutes(90)});
            assert_eq!(caller.patch(path, later).await.status, expected, "{held}: {path}");
            let reauthorized = caller.send("POST", &format!("{path}/reauthorize"), String::new()).await;
            assert_eq!(reauthorized.status == 204, held == *scope, "{held}: {path}");
            if held != *scope {
                assert_eq!(caller.delete(path).await.refusal(), forbidden("Delete"), "{held}: {path}");
            }
        }
    }
    let basic = world.granted(&user, "Calendars.ReadBasic").await;
    assert_eq!((listed(&basic).await, basic.get(&paths[1].0).await.status), (0, 403));
}

#[tokio::test]
async fn an_administrator_lists_what_the_whole_tenant_has_and_touches_nothing_of_it() {
    let world = World::new().await;
    let rival = rival(&world).await;
    let (robin, foreign) = fabrikam(&world).await;
    let of_adele = subscribe(&world, &world.granted_to(&rival, &adele(), "Mail.Read").await, "me/messages").await;
    subscribe(&world, &world.megan(), "me/messages").await;
    subscribe(&world, &world.granted_to(&foreign, &robin, "Mail.Read").await, "me/messages").await;
    let megan = world.granted(&seed::users()[0], "Subscription.Read.All").await;
    assert_eq!(listed(&megan).await, 1);
    let admin = megan.saying("wids", json!(["62e90394-69f5-4237-9190-012177145e10"]));
    assert_eq!(listed(&admin).await, 2);
    assert_eq!(admin.get(&of_adele).await.refusal(), NO_SUBSCRIPTION);
    assert_eq!(admin.delete(&of_adele).await.refusal(), NO_SUBSCRIPTION);
    let other = megan.saying("wids", json!(["fe930be7-5e62-47db-91af-98c3a49a38b1"]));
    assert_eq!(listed(&other).await, 1, "another role");
}
