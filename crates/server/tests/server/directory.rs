//! Tenants, users, apps and consents, by the admin API.

use graph::{TenantId, UserId, WellKnown};
use http::StatusCode;
use serde_json::{Value, json};
use tidings_server::seed;

use crate::admin::call;
use crate::world::World;

async fn ask(world: &World, method: &str, path: &str, body: Value) -> (StatusCode, Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    call(world, "hush", method, path, &body).await
}

/// The answer of a request that must succeed.
async fn done(world: &World, method: &str, path: &str, body: Value) -> Value {
    let (status, answer) = ask(world, method, path, body).await;
    assert!(status.is_success(), "{method} {path}: {status} {answer}");
    answer
}

async fn refusal(world: &World, method: &str, path: &str, body: Value) -> String {
    let (status, answer) = ask(world, method, path, body).await;
    assert!(status.is_client_error(), "{method} {path}: {status} {answer}");
    format!("{} {}", status.as_u16(), answer["error"].as_str().unwrap_or_else(|| panic!("{answer}")))
}

fn texts<'a>(list: &'a Value, member: &str) -> Vec<&'a str> {
    list["value"].as_array().unwrap().iter().map(|entry| entry[member].as_str().unwrap()).collect()
}

async fn token(world: &World, app: &str, secret: &str) -> u16 {
    let form = format!("grant_type=client_credentials&client_id={app}&client_secret={secret}");
    let form = format!("{form}&scope=https%3A%2F%2Fgraph.microsoft.com%2F.default");
    let request = http::Request::post(format!("/{}/oauth2/v2.0/token", seed::TENANT))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form.into());
    world.request(request.unwrap()).await.status
}

#[tokio::test]
async fn a_new_tenants_user_has_an_empty_mailbox_with_the_default_folders() {
    let world = World::new().await;
    let tenant = done(&world, "POST", "/admin/tenants", json!({"domain": "Fabrikam.test"})).await;
    assert_eq!(tenant["domain"], "fabrikam.test");
    let new = json!({"userPrincipalName": "Ada@Fabrikam.test", "displayName": "Ada Byron"});
    let user = done(&world, "POST", "/admin/users", new).await;
    assert_eq!((&user["tenant"], &user["accountEnabled"]), (&tenant["id"], &json!(true)));

    let id: UserId = user["id"].as_str().unwrap().parse().unwrap();
    let folders = world.state.store.folders(id).await.unwrap();
    assert_eq!(folders.len(), WellKnown::ALL.len());
    assert!(folders.iter().all(|folder| folder.total == 0));
    let found = done(&world, "GET", "/admin/users/ADA%40fabrikam.test", Value::Null).await;
    assert_eq!(found, user);
}

#[tokio::test]
async fn ids_may_be_chosen_so_that_apps_keep_what_they_know() {
    let world = World::new().await;
    let id = "622eaaff-0683-4862-9de4-f2ec83c2bd99";
    let tenant = done(&world, "POST", "/admin/tenants", json!({"domain": "fabrikam.test", "id": id})).await;
    let user = json!({"userPrincipalName": "ada@fabrikam.test", "id": id});
    let user = done(&world, "POST", "/admin/users", user).await;
    let app = json!({"displayName": "an app", "tenant": "fabrikam.test", "appId": id});
    let app = done(&world, "POST", "/admin/apps", app).await;
    assert_eq!([&tenant["id"], &user["id"], &app["appId"]], [id; 3]);
    assert_eq!(user["displayName"], "ada");
}

#[tokio::test]
async fn personal_accounts_are_users_of_the_consumers_tenant() {
    let world = World::new().await;
    let tenants = done(&world, "GET", "/admin/tenants", Value::Null).await;
    let consumers = json!({"id": TenantId::CONSUMERS, "domain": seed::PERSONAL_DOMAIN, "personal": true});
    assert!(tenants["value"].as_array().unwrap().contains(&consumers), "{tenants}");
    let new = json!({"userPrincipalName": format!("ada@{}", seed::PERSONAL_DOMAIN)});
    let user = done(&world, "POST", "/admin/users", new).await;
    assert_eq!(user["tenant"], "9188040d-6c67-4c5b-b112-36a304b66dad");
}

#[tokio::test]
async fn users_are_listed_by_address_a_tenant_at_a_time() {
    let world = World::new().await;
    let all = done(&world, "GET", "/admin/users?tenant=contoso.test", Value::Null).await;
    let local = |upn: &&str| upn.split('@').next().unwrap().to_owned();
    let names: Vec<String> = texts(&all, "userPrincipalName").iter().map(local).collect();
    assert_eq!(names, ["adele", "alex", "diego", "megan", "nestor"]);
    let after = format!("/admin/users?tenant={}&after=Diego%40contoso.test", seed::TENANT);
    let rest = done(&world, "GET", &after, Value::Null).await;
    assert_eq!(texts(&rest, "userPrincipalName"), ["megan@contoso.test", "nestor@contoso.test"]);
}

#[tokio::test]
async fn the_only_organisation_need_not_be_named() {
    let world = World::new().await;
    for list in ["/admin/users", "/admin/apps"] {
        let named = done(&world, "GET", &format!("{list}?tenant=contoso.test"), Value::Null).await;
        assert_eq!(done(&world, "GET", list, Value::Null).await, named, "{list}");
    }
    done(&world, "POST", "/admin/tenants", json!({"domain": "fabrikam.test"})).await;
    for list in ["/admin/users", "/admin/apps"] {
        let refused = refusal(&world, "GET", list, Value::Null).await;
        assert!(refused.starts_with("400 there is more than one tenant; name one"), "{refused}");
    }
}

#[tokio::test]
async fn a_users_life_is_changed_and_ends() {
    let world = World::new().await;
    let path = "/admin/users/megan@contoso.test";
    let disabled = done(&world, "PATCH", path, json!({"accountEnabled": false, "displayName": "Megan B"})).await;
    assert_eq!((&disabled["accountEnabled"], &disabled["displayName"]), (&json!(false), &json!("Megan B")));
    let enabled = done(&world, "PATCH", path, json!({"accountEnabled": true})).await;
    assert_eq!((&enabled["accountEnabled"], &enabled["displayName"]), (&json!(true), &json!("Megan B")));

    let valid_from = "signInSessionsValidFromDateTime";
    let before = world.state.clock.wall();
    let reset = done(&world, "POST", &format!("{path}/reset-password"), Value::Null).await;
    let (earlier, later) = (enabled[valid_from].as_str().unwrap(), reset[valid_from].as_str().unwrap());
    assert_eq!(earlier, "1970-01-01T00:00:00Z");
    assert!(later.parse::<graph::Timestamp>().unwrap() >= before);

    assert_eq!(ask(&world, "DELETE", path, Value::Null).await.0, 204);
    assert_eq!(
        refusal(&world, "DELETE", path, Value::Null).await,
        "404 there is no user 'megan@contoso.test'; give an id or an address"
    );
    let me = world.adele().get("/v1.0/me").await;
    assert_eq!(me.status, 200, "others are as before");
    let megan = world.app().get("/v1.0/users/megan@contoso.test").await;
    assert_eq!(megan.status, 404, "requests see it at once");
}

#[tokio::test]
async fn a_disabled_user_takes_mail_all_the_same() {
    let world = World::new().await;
    done(&world, "PATCH", "/admin/users/megan@contoso.test", json!({"accountEnabled": false})).await;
    assert_eq!(world.megan().get("/v1.0/me/messages").await.status, 401, "no app acts for her");
    let mail = json!({"user": "megan@contoso.test", "kind": "message", "properties": {"subject": "hello"}});
    let answer = done(&world, "POST", "/admin/import", mail).await;
    assert_eq!(answer["imported"], 1, "{answer}");
    done(&world, "PATCH", "/admin/users/megan@contoso.test", json!({"accountEnabled": true})).await;
    let messages = world.megan().get("/v1.0/me/messages").await;
    assert_eq!(messages.json["value"][0]["subject"], "hello");
}

#[tokio::test]
async fn a_secret_is_told_once_and_gets_tokens_until_it_is_removed() {
    let world = World::new().await;
    let new = json!({"displayName": "Mail archive", "tenant": "contoso.test", "secret": {}});
    let app = done(&world, "POST", "/admin/apps", new).await;
    let (id, first) = (app["appId"].as_str().unwrap(), app["secret"].as_str().unwrap());
    let path = format!("/admin/apps/{id}");
    let second = done(&world, "POST", &format!("{path}/secrets"), json!({"days": 30})).await;
    let text = second["secret"].as_str().unwrap();
    assert_eq!(second["hint"], text[..3]);

    let shown = done(&world, "GET", &path, Value::Null).await;
    assert!(!shown.to_string().contains(first) && !shown.to_string().contains(text));
    assert_eq!(shown["credentials"].as_array().unwrap().len(), 2);
    assert_eq!([token(&world, id, first).await, token(&world, id, text).await], [200, 200]);
    assert_eq!(token(&world, id, "guess").await, 401);

    let credential = format!("{path}/credentials/{}", second["id"].as_str().unwrap());
    assert_eq!(ask(&world, "DELETE", &credential, Value::Null).await.0, 204);
    assert_eq!([token(&world, id, first).await, token(&world, id, text).await], [200, 401]);
    assert!(
        refusal(&world, "DELETE", &credential, Value::Null).await.starts_with("404 the app has no such credential")
    );
    assert_eq!(ask(&world, "DELETE", &path, Value::Null).await.0, 204);
    assert_ne!(token(&world, id, first).await, 200);
}

#[tokio::test]
async fn an_apps_settings_are_changed_one_by_one() {
    let world = World::new().await;
    let path = format!("/admin/apps/{}", seed::APP);
    let before = done(&world, "GET", &path, Value::Null).await;
    assert_eq!((&before["mailboxes"], &before["accessTokenVersion"]), (&json!("all"), &json!(1)));
    let patch =
        json!({"mailboxes": ["megan@contoso.test"], "accessTokenVersion": 2, "redirectUris": ["https://a.example/"]});
    let after = done(&world, "PATCH", &path, patch).await;
    assert_eq!(after["mailboxes"], json!([seed::users()[0].id]));
    assert_eq!((&after["accessTokenVersion"], &after["redirectUris"]), (&json!(2), &json!(["https://a.example/"])));
    assert_eq!((&after["publicClient"], &after["credentials"]), (&before["publicClient"], &before["credentials"]));
    let all = done(&world, "PATCH", &path, json!({"mailboxes": "all", "enabled": false})).await;
    assert_eq!(
        (&all["mailboxes"], &all["enabled"], &all["accessTokenVersion"]),
        (&json!("all"), &json!(false), &json!(2))
    );
    assert_ne!(token(&world, &seed::APP.to_string(), "secret").await, 200, "a disabled app gets no token");
}

#[tokio::test]
async fn edits_that_meet_are_both_made() {
    let world = World::new().await;
    let path = format!("/admin/apps/{}/secrets", seed::APP);
    let add = || done(&world, "POST", &path, json!({}));
    tokio::join!(add(), add(), add(), add());
    let app = done(&world, "GET", &format!("/admin/apps/{}", seed::APP), Value::Null).await;
    assert_eq!(app["credentials"].as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn a_certificate_is_added_once_and_shown_by_its_thumbprint() {
    let world = World::new().await;
    let key = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
    let pem = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap().pem();
    let path = format!("/admin/apps/{}/certificates", seed::APP);
    let added = done(&world, "POST", &path, json!({"certificate": pem})).await;
    assert_eq!((&added["kind"], added["thumbprint"].as_str().unwrap().len()), (&json!("certificate"), 40));
    let again = refusal(&world, "POST", &path, json!({"certificate": pem})).await;
    assert!(again.starts_with("409 the app has this certificate already"), "{again}");
    let both = format!("{pem}{}", key.serialize_pem());
    let key = refusal(&world, "POST", &path, json!({"certificate": both})).await;
    assert!(key.starts_with("400 this holds a private key"), "{key}");
}

#[tokio::test]
async fn a_consent_is_granted_revoked_and_remembered() {
    let world = World::new().await;
    let ask = |grantee: Value, permissions: &[&str]| json!({"appId": seed::APP, "grantee": grantee, "permissions": permissions});
    let megan = json!({"user": "megan@contoso.test"});
    let granted = done(&world, "POST", "/admin/consents/grant", ask(megan.clone(), &["Mail.Read", "Files.Read"])).await;
    assert_eq!(granted["permissions"], json!(["Files.Read", "Mail.Read"]));
    let again = done(&world, "POST", "/admin/consents/grant", ask(megan.clone(), &["Mail.Read"])).await;
    assert_eq!(again["permissions"], json!([]));
    let revoked = done(&world, "POST", "/admin/consents/revoke", ask(megan, &["Mail.Read", "Mail.Send"])).await;
    assert_eq!(revoked["permissions"], json!(["Mail.Read"]));

    let list = done(&world, "GET", &format!("/admin/consents?appId={}", seed::APP), Value::Null).await;
    let megans = list["value"].as_array().unwrap().iter().filter(|consent| consent["grantee"]["user"].is_string());
    let megans: Vec<_> =
        megans.map(|one| (one["permission"].as_str().unwrap(), one["revokedDateTime"].is_string())).collect();
    assert_eq!(megans, [("Files.Read", false), ("Mail.Read", true)]);
    let own = world.state.directory.granted(seed::TENANT, seed::APP, None).await.unwrap();
    let role = own.first().unwrap().clone();
    done(&world, "POST", "/admin/consents/revoke", ask(json!("app"), &[&role])).await;
    let own = world.state.directory.granted(seed::TENANT, seed::APP, None).await.unwrap();
    assert!(!own.contains(&role), "requests see it at once");
}

#[tokio::test]
async fn refusals_say_what_to_change() {
    let world = World::new().await;
    done(&world, "POST", "/admin/tenants", json!({"domain": "fabrikam.test"})).await;
    let app = format!("/admin/apps/{}", seed::APP);
    let consent =
        |grantee: Value, permission: &str| json!({"appId": seed::APP, "grantee": grantee, "permissions": [permission]});
    let mut said = String::new();
    for (method, path, body) in [
        ("POST", "/admin/tenants", json!({"domain": "contoso.test"})),
        ("POST", "/admin/tenants", json!({"domain": "not a domain"})),
        ("POST", "/admin/tenants", json!({"domain": "a.test", "personal": true, "id": seed::TENANT})),
        ("POST", "/admin/tenants", json!({"domian": "a.test"})),
        ("POST", "/admin/users", json!({"userPrincipalName": "ada"})),
        ("POST", "/admin/users", json!({"userPrincipalName": "ada@nowhere.test"})),
        ("POST", "/admin/users", json!({"userPrincipalName": "MEGAN@contoso.test"})),
        ("POST", "/admin/users", json!({"userPrincipalName": "ada@contoso.test", "displayName": " "})),
        ("POST", "/admin/users", json!({"userPrincipalName": "ada@contoso.test", "id": "7"})),
        ("GET", "/admin/users", Value::Null),
        ("POST", "/admin/apps", json!({"displayName": "an app"})),
        ("POST", "/admin/apps", json!({"displayName": "an app", "tenant": "contoso.test", "secret": {"days": 0}})),
        ("GET", "/admin/apps/sample", Value::Null),
        ("PATCH", &app, json!({"accessTokenVersion": 3})),
        ("PATCH", &app, json!({"redirectUris": ["http://app.example/"]})),
        ("PATCH", &app, json!({"mailboxes": ["nobody@contoso.test"]})),
        ("PATCH", &app, json!({"mailboxes": "none"})),
        ("POST", &format!("{app}/certificates"), json!({"certificate": "garbage"})),
        ("POST", "/admin/consents/grant", consent(json!("app"), "Mail")),
        ("POST", "/admin/consents/grant", consent(json!("app"), "Mail.Raed")),
        ("POST", "/admin/consents/grant", consent(json!("everybody"), "Mail.Read")),
        ("POST", "/admin/consents/grant", consent(json!({"user": "lynne@personal.test"}), "Mail.Read")),
    ] {
        said.push_str(&refusal(&world, method, path, body.clone()).await);
        said.push('\n');
    }
    insta::assert_snapshot!(said);
}
