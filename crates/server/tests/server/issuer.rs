//! What an app gets from the issuer: tokens for itself and for a user, keys, and what is published.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use graph::TenantId;
use http::StatusCode;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};
use store::{App, Credential, CredentialKind, DirectoryError, Grantee, User};
use tidings_server::identity::Key;
use tidings_server::seed;
use url::Url;
use url::form_urlencoded::Serializer;

use crate::world::{Reply, World, ok};

/// Where the codes of these stories go.
pub const REDIRECT: &str = "http://localhost:4711/callback";
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const ORIGIN: &str = "http://graph.test:8443";

pub fn form(pairs: &[(&str, &str)]) -> String {
    Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// The path of an authorization request of the seeded app, with PKCE, and what differs in it.
pub fn authorize(tenant: &str, more: &[(&str, &str)]) -> String {
    let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, VERIFIER.as_bytes()));
    let app = seed::APP.to_string();
    let mut pairs = vec![
        ("client_id", app.as_str()),
        ("response_type", "code"),
        ("redirect_uri", REDIRECT),
        ("state", "s-1"),
        ("nonce", "n-1"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    pairs.retain(|(name, _)| more.iter().all(|(other, _)| name != other));
    pairs.extend(more.iter().filter(|(_, value)| !value.is_empty()));
    format!("/{tenant}/oauth2/v2.0/authorize?{}", form(&pairs))
}

/// A parameter of the URL that an answer leads to.
pub fn led(reply: &Reply, name: &str) -> Option<String> {
    let url = Url::parse(reply.header("location")).ok()?;
    let fragment = url.fragment().unwrap_or_default().as_bytes().to_vec();
    let pairs = url.query_pairs().into_owned().chain(url::form_urlencoded::parse(&fragment).into_owned());
    pairs.into_iter().find(|(known, _)| known == name).map(|(_, value)| value)
}

/// A code for Megan, got without a page.
pub async fn code_of(world: &World, scope: &str) -> String {
    let path = authorize("common", &[("scope", scope), ("prompt", "none"), ("login_hint", "megan@contoso.test")]);
    let reply = world.stranger().get(&path).await;
    led(&reply, "code").unwrap_or_else(|| panic!("{} {}", reply.status, reply.header("location")))
}

pub async fn ask(world: &World, tenant: &str, pairs: &[(&str, &str)]) -> Reply {
    world.stranger().send("POST", &format!("/{tenant}/oauth2/v2.0/token"), form(pairs)).await
}

/// Redeems a code as the public client that the seeded app is.
pub async fn redeem(world: &World, code: &str) -> Reply {
    let app = seed::APP.to_string();
    let pairs = [
        ("grant_type", "authorization_code"),
        ("client_id", app.as_str()),
        ("code", code),
        ("redirect_uri", REDIRECT),
        ("code_verifier", VERIFIER),
    ];
    ask(world, "common", &pairs).await
}

pub async fn refresh(world: &World, token: &str, more: &[(&str, &str)]) -> Reply {
    let app = seed::APP.to_string();
    let mut pairs = vec![("grant_type", "refresh_token"), ("client_id", app.as_str()), ("refresh_token", token)];
    pairs.extend(more);
    ask(world, "common", &pairs).await
}

pub fn claims(token: &str) -> Value {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice(&claims).unwrap()
}

/// `status error: AADSTS…` of a refusal.
pub fn refusal(reply: &Reply) -> String {
    let description = reply.text("/error_description");
    let code = description.split(':').next().unwrap_or_default();
    format!("{} {}: {code}", reply.status, reply.text("/error"))
}

/// Changes the seeded app.
pub async fn change_app(world: &World, change: impl FnOnce(App) -> App) {
    let before = world.state.store.app(seed::APP).await.unwrap().unwrap();
    let after = change(before.clone());
    let changed = world.state.directory.change(|store| async move { store.replace_app(before, after).await }).await;
    changed.map_err(|error: DirectoryError| error.to_string()).unwrap();
}

/// Changes Megan.
pub async fn change_megan(world: &World, change: impl FnOnce(User) -> User) {
    let before = world.state.store.user(seed::users()[0].id).await.unwrap().unwrap();
    let after = change(before.clone());
    let changed = world.state.directory.change(|store| async move { store.replace_user(before, after).await }).await;
    changed.map_err(|error: DirectoryError| error.to_string()).unwrap();
}

/// Revokes a permission of the seeded app.
pub async fn revoke(world: &World, grantee: Grantee, permission: &str) {
    let permissions = [permission.to_owned()].into();
    let grant = store::Grant { tenant: seed::TENANT, app: seed::APP, grantee, permissions };
    let now = world.state.clock.wall();
    let revoked = world.state.directory.change(|store| async move { store.revoke(grant, now).await }).await;
    revoked.map_err(|error: DirectoryError| error.to_string()).unwrap();
}

#[tokio::test]
async fn a_user_signs_in_and_the_app_gets_tokens_that_work() {
    let world = World::new().await;
    let given =
        ok(redeem(&world, &code_of(&world, "Mail.Read openid profile offline_access").await).await, StatusCode::OK);
    assert_eq!(given.header("cache-control"), "no-store, no-cache");
    assert!(given.json["expires_in"].is_i64() && given.json["ext_expires_in"].is_i64());
    assert_eq!(given.text("/scope"), "Mail.Read openid profile");
    let client_info: Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(given.text("/client_info")).unwrap()).unwrap();
    assert_eq!(client_info, json!({"uid": seed::users()[0].id, "utid": seed::TENANT}));
    let id_token = claims(&given.text("/id_token"));
    assert_eq!((&id_token["nonce"], &id_token["aud"]), (&json!("n-1"), &json!(seed::APP)));
    assert_eq!(id_token["iss"], format!("{ORIGIN}/{}/v2.0", seed::TENANT));
    let bearer = world.bearer(&format!("Bearer {}", given.text("/access_token")));
    ok(bearer.get("/v1.0/me/messages").await, StatusCode::OK);
    // What was not asked for is not there, although it was consented to.
    assert_eq!(bearer.get("/v1.0/me/events").await.status, 403);
}

#[tokio::test]
async fn replayed_code_is_not_redeemed_and_ends_the_sign_in() {
    let world = World::new().await;
    let code = code_of(&world, "Mail.Read offline_access").await;
    let given = ok(redeem(&world, &code).await, StatusCode::OK);
    assert_eq!(refusal(&redeem(&world, &code).await), "400 invalid_grant: AADSTS54005");
    let refreshed = refresh(&world, &given.text("/refresh_token"), &[]).await;
    assert_eq!(refusal(&refreshed), "400 invalid_grant: AADSTS70008");
    assert_eq!(refusal(&redeem(&world, "unknown").await), "400 invalid_grant: AADSTS70008");
}

#[tokio::test]
async fn a_code_is_worth_nothing_without_its_verifier_or_at_another_redirect() {
    let world = World::new().await;
    let app = seed::APP.to_string();
    for (redirect, verifier, refused) in [
        (REDIRECT, "", "400 invalid_grant: AADSTS501481"),
        (REDIRECT, "another-verifier-another-verifier-another-verifier", "400 invalid_grant: AADSTS501481"),
        ("http://localhost:4712/callback", VERIFIER, "401 invalid_client: AADSTS500112"),
    ] {
        let code = code_of(&world, "Mail.Read").await;
        let pairs = [
            ("grant_type", "authorization_code"),
            ("client_id", app.as_str()),
            ("code", &code),
            ("redirect_uri", redirect),
            ("code_verifier", verifier),
        ];
        assert_eq!(refusal(&ask(&world, "common", &pairs).await), refused, "{redirect} {verifier}");
    }
}

#[tokio::test]
async fn a_refresh_token_gives_new_tokens_and_another_refresh_token() {
    let world = World::new().await;
    let given = ok(redeem(&world, &code_of(&world, "Mail.Read openid offline_access").await).await, StatusCode::OK);
    let first = given.text("/refresh_token");
    let second = ok(refresh(&world, &first, &[]).await, StatusCode::OK);
    assert_ne!(second.text("/refresh_token"), first);
    assert_eq!(second.text("/scope"), "Mail.Read openid");
    // Whatever else was consented to can be asked for.
    let third =
        refresh(&world, &second.text("/refresh_token"), &[("scope", "https://graph.microsoft.com/.default")]).await;
    let third = ok(third, StatusCode::OK);
    assert!(third.text("/scope").contains("https://graph.microsoft.com/Calendars.ReadWrite"), "{}", third.json);
    assert!(third.json.get("id_token").is_none());
    assert_eq!(refusal(&refresh(&world, "unknown", &[]).await), "400 invalid_grant: AADSTS70008");
    // Not at a tenant that the user is no account of.
    let app = seed::APP.to_string();
    let token = third.text("/refresh_token");
    let pairs = [("grant_type", "refresh_token"), ("client_id", app.as_str()), ("refresh_token", token.as_str())];
    assert_eq!(refusal(&ask(&world, "consumers", &pairs).await), "400 invalid_grant: AADSTS9002313");
}

#[tokio::test]
async fn tokens_hold_what_is_consented_to_at_that_moment() {
    let world = World::new().await;
    let given = ok(
        redeem(&world, &code_of(&world, "Mail.ReadWrite Calendars.ReadWrite offline_access").await).await,
        StatusCode::OK,
    );
    let bearer = world.bearer(&format!("Bearer {}", given.text("/access_token")));
    ok(bearer.get("/v1.0/me/events").await, StatusCode::OK);
    revoke(&world, Grantee::AllUsers, "Calendars.ReadWrite").await;
    assert_eq!(bearer.get("/v1.0/me/events").await.status, 403, "a token of before the revocation");
    ok(bearer.get("/v1.0/me/messages").await, StatusCode::OK);
    let misspelt = refresh(&world, &given.text("/refresh_token"), &[("scope", "Mail.Raed")]).await;
    assert_eq!(refusal(&misspelt), "401 invalid_client: AADSTS650053");
    assert!(misspelt.text("/error_description").contains("Did you mean Mail.Read,"), "{}", misspelt.json);
    let refreshed = ok(refresh(&world, &given.text("/refresh_token"), &[]).await, StatusCode::OK);
    assert_eq!(refreshed.text("/scope"), "Mail.ReadWrite");
    revoke(&world, Grantee::AllUsers, "Mail.ReadWrite").await;
    let refused = refresh(&world, &refreshed.text("/refresh_token"), &[]).await;
    assert_eq!(refusal(&refused), "400 invalid_grant: AADSTS65001");
}

#[tokio::test]
async fn a_subscription_is_made_and_renewed_only_while_consent_stands() {
    let world = World::new().await;
    let megan = world.megan();
    let expires = |minutes| world.state.clock.wall().plus_minutes(minutes).to_string();
    let asked = |resource: &str| {
        json!({"changeType": "created", "notificationUrl": "https://hook.example.net/", "resource": resource,
               "expirationDateTime": expires(60)})
    };
    let made = ok(megan.post("/v1.0/subscriptions", asked("me/messages")).await, StatusCode::CREATED);
    let path = format!("/v1.0/subscriptions/{}", made.text("/id"));
    let renewal = json!({"expirationDateTime": expires(90)});
    revoke(&world, Grantee::AllUsers, "Mail.ReadWrite").await;
    assert_eq!(megan.patch(&path, renewal.clone()).await.status, 403);
    assert_eq!(megan.post("/v1.0/subscriptions", asked("me/mailFolders/inbox/messages")).await.status, 403);
    let permissions = ["Mail.ReadWrite".to_owned()].into();
    let grant = store::Grant { tenant: seed::TENANT, app: seed::APP, grantee: Grantee::AllUsers, permissions };
    let now = world.state.clock.wall();
    let given = world.state.directory.change(|store| async move { store.grant(grant, now).await }).await;
    given.map_err(|error: DirectoryError| error.to_string()).unwrap();
    ok(megan.patch(&path, renewal).await, StatusCode::OK);
}

#[tokio::test]
async fn who_is_disabled_or_must_sign_in_again_is_refused_at_once() {
    let world = World::new().await;
    let given = ok(redeem(&world, &code_of(&world, "Mail.Read offline_access").await).await, StatusCode::OK);
    let bearer = world.bearer(&format!("Bearer {}", given.text("/access_token")));
    change_megan(&world, |megan| User { enabled: false, ..megan }).await;
    let revoked = "401 InvalidAuthenticationToken: Continuous access evaluation resulted in challenge with result: \
                   InteractionRequired and code: TokenIssuedBeforeRevocationTimestamp";
    assert_eq!(bearer.get("/v1.0/me/messages").await.refusal(), revoked);
    let refused = refresh(&world, &given.text("/refresh_token"), &[]).await;
    assert_eq!(refusal(&refused), "400 invalid_grant: AADSTS50057");

    change_megan(&world, |megan| User { enabled: true, ..megan }).await;
    ok(bearer.get("/v1.0/me/messages").await, StatusCode::OK);
    let now = world.state.clock.wall();
    change_megan(&world, |megan| User { sessions_valid_from: now, ..megan }).await;
    let reply = bearer.get("/v1.0/me/messages").await;
    assert_eq!(reply.refusal(), revoked);
    // Clients take the claims from there and ask for a token of after the revocation.
    let challenge = reply.header("www-authenticate");
    assert!(challenge.contains("error=\"insufficient_claims\", claims=\"eyJ"), "{challenge}");
    let refused = refresh(&world, &given.text("/refresh_token"), &[]).await;
    assert_eq!(refusal(&refused), "400 invalid_grant: AADSTS70008");
    let again = ok(redeem(&world, &code_of(&world, "Mail.Read").await).await, StatusCode::OK);
    ok(world.bearer(&format!("Bearer {}", again.text("/access_token"))).get("/v1.0/me/messages").await, StatusCode::OK);
}

#[tokio::test]
async fn a_disabled_app_gets_no_token_and_its_tokens_are_worth_nothing() {
    let world = World::new().await;
    let app = world.app();
    ok(app.get("/v1.0/users").await, StatusCode::OK);
    change_app(&world, |app| App { enabled: false, ..app }).await;
    assert_eq!(app.get("/v1.0/users").await.status, 401);
    let id = seed::APP.to_string();
    let pairs = [
        ("grant_type", "client_credentials"),
        ("client_id", id.as_str()),
        ("client_secret", "secret"),
        ("scope", "https://graph.microsoft.com/.default"),
    ];
    assert_eq!(refusal(&ask(&world, "common", &pairs).await), "400 unauthorized_client: AADSTS7000112");
}

#[tokio::test]
async fn an_app_proves_itself_with_a_certificate() {
    let world = World::new().await;
    let now = world.state.clock.wall();
    let key = Key::generate(now).unwrap();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let der = key.certificate().to_vec();
    let sha1 = hex(digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, &der).as_ref());
    let sha256 = hex(digest(&SHA256, &der).as_ref());
    let kind = CredentialKind::Certificate { der, sha1, sha256 };
    let credential = Credential { id: uuid::Uuid::from_u128(7), expires: now.plus_minutes(60), kind };
    change_app(&world, |mut app| {
        app.credentials = vec![credential];
        app
    })
    .await;
    let seconds = now.as_micros() / 1_000_000;
    let tenant = seed::TENANT.to_string();
    let audience = world.stranger().get(&format!("/{tenant}/v2.0/.well-known/openid-configuration")).await;
    let audience = audience.text("/token_endpoint");
    let assertion = json!({"iss": seed::APP, "sub": seed::APP, "aud": audience, "exp": seconds + 600, "jti": "1"});
    let assertion = key.sign(&assertion).unwrap();
    let app = seed::APP.to_string();
    let pairs = [
        ("grant_type", "client_credentials"),
        ("client_id", app.as_str()),
        ("client_assertion", assertion.as_str()),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("scope", "https://graph.microsoft.com/.default"),
    ];
    let given = ok(ask(&world, &tenant, &pairs).await, StatusCode::OK);
    let claims = claims(&given.text("/access_token"));
    assert_eq!((&claims["appidacr"], &claims["idtyp"]), (&json!("2"), &json!("app")));
    ok(world.bearer(&format!("Bearer {}", given.text("/access_token"))).get("/v1.0/users").await, StatusCode::OK);
    let at_another = ask(&world, "organizations", &pairs).await;
    ok(at_another, StatusCode::OK);
    assert_eq!(refusal(&ask(&world, "consumers", &pairs).await), "401 invalid_client: AADSTS700023");
}

#[tokio::test]
async fn the_token_endpoint_refuses_in_microsofts_words() {
    let world = World::new().await;
    let app = seed::APP.to_string();
    let nobody = uuid::Uuid::nil().to_string();
    let default = ("scope", "https://graph.microsoft.com/.default");
    let (own, secret) = (("client_id", app.as_str()), ("client_secret", "secret"));
    let cc = ("grant_type", "client_credentials");
    for (tenant, pairs, refused) in [
        ("common", vec![own, secret, default], "400 invalid_request: AADSTS900144"),
        ("common", vec![cc, secret, default], "400 invalid_request: AADSTS900144"),
        ("common", vec![cc, own, secret], "400 invalid_request: AADSTS900144"),
        ("common", vec![cc, own, default], "401 invalid_client: AADSTS7000218"),
        ("common", vec![cc, own, ("client_secret", "nope"), default], "401 invalid_client: AADSTS7000215"),
        ("common", vec![cc, ("client_id", nobody.as_str()), secret, default], "400 unauthorized_client: AADSTS700016"),
        ("common", vec![cc, ("client_id", "me"), secret, default], "400 unauthorized_client: AADSTS700016"),
        ("common", vec![cc, own, secret, ("scope", "Mail.Read")], "400 invalid_scope: AADSTS1002012"),
        ("common", vec![cc, own, secret, ("scope", "api://x/.default")], "400 invalid_resource: AADSTS500011"),
        ("common", vec![cc, cc, own, secret, default], "400 invalid_request: AADSTS900144"),
        ("common", vec![("grant_type", "password"), own], "400 unsupported_grant_type: AADSTS70003"),
        (nobody.as_str(), vec![cc, own, secret, default], "400 invalid_request: AADSTS90002"),
        ("fabrikam.test", vec![cc, own, secret, default], "400 invalid_request: AADSTS90002"),
        ("nowhere", vec![cc, own, secret, default], "400 invalid_request: AADSTS900023"),
        ("consumers", vec![cc, own, secret, default], "400 unauthorized_client: AADSTS700016"),
    ] {
        assert_eq!(refusal(&ask(&world, tenant, &pairs).await), refused, "{tenant} {pairs:?}");
    }
    let read = world.stranger().get("/common/oauth2/v2.0/token").await;
    assert_eq!(refusal(&read), "405 invalid_request: AADSTS900561");
    let refused = ask(&world, "common", &[cc, own, ("client_secret", "nope"), default]).await;
    assert_eq!(refused.json["error_codes"], json!([7000215]));
    for name in ["timestamp", "trace_id", "correlation_id"] {
        assert!(refused.json[name].is_string(), "{name}");
    }
    assert_eq!(refused.text("/correlation_id"), crate::world::CLIENT_REQUEST_ID);
}

#[tokio::test]
async fn the_configuration_names_everything_under_the_callers_host() {
    let world = World::new().await;
    let tenant = seed::TENANT.to_string();
    let published = world.stranger().get(&format!("/{tenant}/v2.0/.well-known/openid-configuration")).await;
    insta::assert_json_snapshot!("openid_configuration", ok(published, StatusCode::OK).json);
    let issuer = async |path: &str| {
        let read = ok(world.stranger().get(path).await, StatusCode::OK);
        assert_eq!(read.header("content-type"), "application/json; charset=utf-8");
        read.text("/issuer")
    };
    assert_eq!(issuer("/common/v2.0/.well-known/openid-configuration").await, format!("{ORIGIN}/{{tenantid}}/v2.0"));
    assert_eq!(
        issuer("/organizations/v2.0/.well-known/openid-configuration").await,
        format!("{ORIGIN}/{{tenantid}}/v2.0")
    );
    assert_eq!(issuer("/contoso.test/v2.0/.well-known/openid-configuration").await, format!("{ORIGIN}/{tenant}/v2.0"));
    let consumers = TenantId::CONSUMERS;
    assert_eq!(issuer("/consumers/v2.0/.well-known/openid-configuration").await, format!("{ORIGIN}/{consumers}/v2.0"));
    assert_eq!(issuer("/common/.well-known/openid-configuration").await, "https://sts.windows.net/{tenantid}/");
    let unknown = world.stranger().get("/fabrikam.test/v2.0/.well-known/openid-configuration").await;
    assert_eq!(refusal(&unknown), "400 invalid_request: AADSTS90002");
}

#[tokio::test]
async fn instance_discovery_tells_that_this_host_is_the_authority() {
    let world = World::new().await;
    let path = |version: &str, endpoint: &str| {
        format!(
            "/common/discovery/instance?{}",
            form(&[("api-version", version), ("authorization_endpoint", endpoint)])
        )
    };
    let endpoint = format!("{ORIGIN}/contoso.test/oauth2/v2.0/authorize");
    let read = ok(world.stranger().get(&path("1.1", &endpoint)).await, StatusCode::OK);
    insta::assert_json_snapshot!(read.json, @r#"
    {
      "api-version": "1.1",
      "metadata": [
        {
          "aliases": [
            "graph.test:8443"
          ],
          "preferred_cache": "graph.test:8443",
          "preferred_network": "graph.test:8443"
        }
      ],
      "tenant_discovery_endpoint": "http://graph.test:8443/contoso.test/v2.0/.well-known/openid-configuration"
    }
    "#);
    let old = format!("{ORIGIN}/contoso.test/oauth2/authorize");
    let read = ok(world.stranger().get(&path("1.0", &old)).await, StatusCode::OK);
    assert_eq!(
        read.json,
        json!({"tenant_discovery_endpoint": format!("{ORIGIN}/contoso.test/.well-known/openid-configuration")})
    );
    let refused = world.stranger().get(&path("1.1", "nonsense")).await;
    assert_eq!(refusal(&refused), "400 invalid_instance: AADSTS50049");
    assert_eq!(refusal(&world.stranger().get("/common/discovery/instance").await), "400 invalid_request: AADSTS900144");
}

#[tokio::test]
async fn a_token_verifies_with_the_keys_at_every_key_url() {
    let world = World::new().await;
    let id_token = ok(redeem(&world, &code_of(&world, "openid").await).await, StatusCode::OK).text("/id_token");
    let tenant = seed::TENANT.to_string();
    let configuration = world.stranger().get("/common/.well-known/openid-configuration").await;
    let named = configuration.text("/jwks_uri");
    let named = named.strip_prefix(ORIGIN).unwrap();
    let paths =
        ["/common/discovery/keys", "/common/discovery/v2.0/keys", &format!("/{tenant}/discovery/v2.0/keys"), named];
    for path in paths {
        let keys = ok(world.stranger().get(path).await, StatusCode::OK);
        let set: jsonwebtoken::jwk::JwkSet = serde_json::from_value(keys.json.clone()).unwrap();
        let kid = jsonwebtoken::decode_header(&id_token).unwrap().kid.unwrap();
        let key = DecodingKey::from_jwk(set.find(&kid).unwrap()).unwrap();
        let mut validation = Validation::new(Algorithm::RS256);
        validation.set_audience(&[seed::APP.to_string()]);
        jsonwebtoken::decode::<Value>(&id_token, &key, &validation).unwrap();
        // A verifier of Microsoft's compares it with the issuer of the second generation, if it is there.
        let issuer = keys.json.pointer("/keys/0/issuer").and_then(Value::as_str);
        let expected = path.contains("v2.0").then(|| format!("{ORIGIN}/{{tenantid}}/v2.0"));
        assert_eq!(issuer, expected.as_deref(), "{path}");
    }
}

#[tokio::test]
async fn tokens_verify_after_a_rotation_and_both_keys_are_published() {
    let world = World::new().await;
    let old = world.megan();
    world.state.tokens.rotate(false, world.state.clock.wall()).unwrap();
    ok(old.get("/v1.0/me").await, StatusCode::OK);
    ok(world.megan().get("/v1.0/me").await, StatusCode::OK);
    let keys = ok(world.stranger().get("/common/discovery/v2.0/keys").await, StatusCode::OK);
    assert_eq!(keys.json["keys"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_device_gets_its_tokens_when_somebody_has_signed_in_elsewhere() {
    let world = World::new().await;
    let app = seed::APP.to_string();
    let begin = form(&[("client_id", app.as_str()), ("scope", "Mail.Read openid offline_access")]);
    let begun = world.stranger().send("POST", "/organizations/oauth2/v2.0/devicecode", begin).await;
    let begun = ok(begun, StatusCode::OK);
    assert_eq!(begun.text("/verification_uri"), format!("{ORIGIN}/organizations/oauth2/deviceauth"));
    let code = begun.text("/device_code");
    let poll = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("client_id", app.as_str()),
        ("device_code", code.as_str()),
    ];
    assert_eq!(refusal(&ask(&world, "organizations", &poll).await), "400 authorization_pending: AADSTS70016");
    assert_eq!(refusal(&ask(&world, "organizations", &poll).await), "400 slow_down: AADSTS1002016");
    let page = format!("/organizations/oauth2/deviceauth?otc={}", begun.text("/user_code"));
    let shown = world.stranger().get(&page).await;
    let (cookie, csrf) = crate::sign_in::csrf(&shown);
    let megan = seed::users()[0].id.to_string();
    let chosen = form(&[("csrf", &csrf), ("user", &megan)]);
    let done = world.stranger().with("cookie", cookie).send("POST", &page, chosen).await;
    assert!(done.status == 200 && String::from_utf8_lossy(&done.body).contains("You are signed in"));
    let given = ok(ask(&world, "organizations", &poll).await, StatusCode::OK);
    assert!(!given.text("/refresh_token").is_empty() && !given.text("/id_token").is_empty());
    assert_eq!(refusal(&ask(&world, "organizations", &poll).await), "400 bad_verification_code: AADSTS70018");
}
