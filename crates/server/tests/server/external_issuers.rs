//! Tokens of other issuers: who gets in with them, and that no attack on them succeeds. The last story has a
//! second server as the issuer.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use async_trait::async_trait;
use graph::{AppId, UserId};
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use protocol::validation_token::PUBLISHER_ID;
use receiver::key_set::KeySet;
use serde_json::{Value, json};
use store::{App, Credential, CredentialKind, Grant, Grantee, TokenVersion, User};
use tidings_server::clock::Clock;
use tidings_server::config::Config;
use tidings_server::directory::sha256_hex;
use tidings_server::http::listener::Arrival;
use tidings_server::identity::external::{PublishError, Publisher, Rules};
use tidings_server::identity::{Key, KeyRing, SCOPES};
use tidings_server::outbound::OutboundConfig;
use tidings_server::server::{Running, start};
use tidings_server::{http as api, seed, tls};
use tower::ServiceExt as _;
use uuid::Uuid;

use crate::attacks::{AUDIENCE, Attacker, EXPIRED, INVALID, shape};
use crate::delivery;
use crate::world::{Caller, Reply, World, ok};

const ISSUER: &str = "https://id.example/realms/contoso";
const KEYCLOAK: &str = r#"
[[identity.issuers]]
issuer = "https://id.example/realms/contoso"
provider = "keycloak"
audiences = ["tidings"]
tenant = "contoso.test"
"#;

/// An identity provider: its keys, and whether it can be reached.
#[derive(Clone)]
struct Provider(Arc<Inside>);

struct Inside {
    ring: Mutex<KeyRing>,
    down: AtomicBool,
    reads: AtomicUsize,
}

#[async_trait]
impl Publisher for Provider {
    async fn keys(&self) -> Result<KeySet, PublishError> {
        self.0.reads.fetch_add(1, Ordering::SeqCst);
        if self.0.down.load(Ordering::SeqCst) {
            return Err(PublishError::Status { url: "https://id.example/".into(), status: 502 });
        }
        let keys = self.0.ring.lock().unwrap().jwks(None, Clock::new().wall());
        Ok(KeySet::read(keys.to_string().as_bytes())?)
    }
}

impl Provider {
    fn new() -> Self {
        static KEYS: OnceLock<KeyRing> = OnceLock::new();
        let ring = KEYS.get_or_init(|| KeyRing::of(Key::generate(Clock::new().wall()).unwrap())).clone();
        Self(Arc::new(Inside { ring: Mutex::new(ring), down: AtomicBool::default(), reads: AtomicUsize::default() }))
    }

    fn ring(&self) -> KeyRing {
        self.0.ring.lock().unwrap().clone()
    }

    fn sign(&self, claims: &Value) -> String {
        self.ring().signing().sign(claims).unwrap()
    }

    /// Begins to sign with another key; with `distrust`, that of before is not published any more.
    fn rotate(&self, distrust: bool) {
        let now = Clock::new().wall();
        let next = self.ring().rotated(Key::generate(now).unwrap(), distrust, now).unwrap();
        *self.0.ring.lock().unwrap() = next;
    }

    fn is_down(&self, down: bool) {
        self.0.down.store(down, Ordering::SeqCst);
    }

    fn reads(&self) -> usize {
        self.0.reads.load(Ordering::SeqCst)
    }
}

/// What the server is told of issuers by a configuration with these lines.
fn configured(lines: &str) -> Vec<(Rules, OutboundConfig)> {
    let plain = "[listen]\nhttps = []\nhttp = [\"127.0.0.1:0\"]\n";
    Config::parse(&format!("{plain}{lines}")).unwrap().identity.issuers().unwrap()
}

async fn world_with(lines: &str, built_in: bool) -> (World, Provider) {
    let provider = Provider::new();
    let with_keys = |(rules, _)| -> (Rules, Box<dyn Publisher>) { (rules, Box::new(provider.clone())) };
    let issuers = configured(lines).into_iter().map(with_keys).collect();
    (World::accepting(issuers, built_in).await, provider)
}

async fn world() -> (World, Provider) {
    world_with(KEYCLOAK, true).await
}

/// What Keycloak's tokens say of a user who has signed in to an app.
fn of_user(user: &User, scopes: &str) -> Value {
    let now = Clock::new().wall().as_micros() / 1_000_000;
    json!({
        "iss": ISSUER, "aud": ["account", "tidings"], "typ": "Bearer", "azp": "mail-archive", "sub": user.id,
        "iat": now, "exp": now + 300, "scope": scopes, "realm_access": {"roles": ["Mail.ReadWrite"]},
        "name": user.display_name, "preferred_username": user.upn,
    })
}

/// What they say of an app for itself.
fn of_app(roles: &[&str]) -> Value {
    let mut claims = of_user(&seed::users()[0], "email profile");
    claims["client_id"] = "mail-archive".into();
    claims["sub"] = SERVICE_ACCOUNT.to_string().into();
    claims["realm_access"] = json!({ "roles": roles });
    claims
}

const SERVICE_ACCOUNT: Uuid = Uuid::from_u128(0x5f0d9c1e_0000_4000_8000_000000000007);

/// The id that the app `mail-archive` of the issuer has here.
fn archive() -> AppId {
    AppId(Uuid::new_v5(&Uuid::new_v5(&Uuid::NAMESPACE_URL, ISSUER.as_bytes()), b"mail-archive"))
}

fn bearer<'a>(world: &'a World, token: &str) -> Caller<'a> {
    world.bearer(&format!("Bearer {token}"))
}

async fn refusal(world: &World, token: &str) -> String {
    bearer(world, token).get("/v1.0/me").await.refusal()
}

fn unauthorized(message: &str) -> String {
    format!("401 InvalidAuthenticationToken: {message}")
}

#[tokio::test]
async fn a_user_of_another_issuer_has_what_its_token_says_in_the_own_mailbox() {
    let (world, provider) = world().await;
    let megan = seed::users().remove(0);
    let token = provider.sign(&of_user(&megan, "email Mail.Read User.Read"));
    let caller = bearer(&world, &token);
    let me = ok(caller.get("/v1.0/me").await, StatusCode::OK);
    assert_eq!(me.text("/id"), megan.id.to_string());
    ok(caller.get("/v1.0/me/messages").await, StatusCode::OK);
    assert_eq!(caller.post("/v1.0/me/messages", json!({})).await.status, 403, "roles are the app's own");
    assert_eq!(caller.get("/v1.0/users/adele@contoso.test/messages").await.status, 403);
    assert_eq!(provider.reads(), 1);
}

#[tokio::test]
async fn an_app_of_another_issuer_needs_no_entry_in_the_directory() {
    let (world, provider) = world().await;
    let token = provider.sign(&of_app(&["Mail.Read", "offline_access"]));
    let (caller, megan) = (bearer(&world, &token), seed::users().remove(0));
    ok(caller.get(&format!("/v1.0/users/{}/messages", megan.id)).await, StatusCode::OK);
    assert_eq!(caller.get("/v1.0/users").await.status, 403);
    let subscription = json!({"changeType": "created", "notificationUrl": "https://app.example/hook",
                              "resource": format!("users/{}/messages", megan.id),
                              "expirationDateTime": Clock::new().wall().plus_minutes(60)});
    let made = ok(caller.post("/v1.0/subscriptions", subscription).await, StatusCode::CREATED);
    assert_eq!(made.text("/applicationId"), archive().to_string());
    assert_eq!(made.text("/creatorId"), SERVICE_ACCOUNT.to_string());
    let own = ok(caller.get("/v1.0/subscriptions").await, StatusCode::OK);
    assert_eq!(own.json["value"].as_array().map(Vec::len), Some(1));
    let others = ok(world.app().get("/v1.0/subscriptions").await, StatusCode::OK);
    assert_eq!(others.json["value"], json!([]), "other apps do not see it");
}

#[tokio::test]
async fn an_app_that_is_registered_may_what_was_consented_to_and_where() {
    let (world, provider) = world().await;
    let [megan, adele, ..] = &seed::users()[..] else { panic!("the tenant has users") };
    let mut app = App::new(archive(), seed::TENANT, "Mail archive", UserId(SERVICE_ACCOUNT));
    app.mailboxes = Some(BTreeSet::from([megan.id]));
    let grant = |grantee, name: &str| {
        let permissions = BTreeSet::from([name.to_owned()]);
        Grant { tenant: seed::TENANT, app: app.id, grantee, permissions }
    };
    let now = world.state.clock.wall();
    world.state.store.add_app(app.clone()).await.unwrap();
    world.state.store.grant(grant(Grantee::App, "Mail.Read"), now).await.unwrap();
    world.state.store.grant(grant(Grantee::AllUsers, "User.Read"), now).await.unwrap();

    let own = provider.sign(&of_app(&["Mail.Read", "Contacts.Read"]));
    let own = bearer(&world, &own);
    let mut statuses = Vec::new();
    for (user, items) in [(megan, "messages"), (megan, "contacts"), (adele, "messages")] {
        statuses.push(own.get(&format!("/v1.0/users/{}/{items}", user.id)).await.status);
    }
    assert_eq!(statuses, [200, 403, 403]);
    let delegated = provider.sign(&of_user(megan, "Mail.Read User.Read"));
    let delegated = bearer(&world, &delegated);
    assert_eq!((delegated.get("/v1.0/me").await.status, delegated.get("/v1.0/me/messages").await.status), (200, 403));

    let disabled = App { enabled: false, ..app.clone() };
    world.state.directory.change(|store| async move { store.replace_app(app, disabled).await }).await.unwrap();
    let refused = own.get(&format!("/v1.0/users/{}/messages", megan.id)).await;
    assert!(refused.status == 401 && refused.header("www-authenticate").contains("claims="));
}

#[tokio::test]
async fn an_app_that_is_removed_may_what_its_token_says() {
    let (world, provider) = world().await;
    let (directory, megan) = (&world.state.directory, seed::users().remove(0));
    let app = App::new(archive(), seed::TENANT, "Mail archive", UserId(SERVICE_ACCOUNT));
    let token = provider.sign(&of_app(&["Mail.Read"]));
    let (caller, messages) = (bearer(&world, &token), format!("/v1.0/users/{}/messages", megan.id));
    directory.change(|store| async move { store.add_app(app).await }).await.unwrap();
    assert_eq!(caller.get(&messages).await.status, 403, "nothing was consented to");
    directory.change(|store| async move { store.remove_app(archive()).await }).await.unwrap();
    assert_eq!(caller.get(&messages).await.status, 200);
}

#[tokio::test]
async fn a_user_must_be_in_the_directory_and_stand_there() {
    let (world, provider) = world().await;
    let megan = seed::users().remove(0);
    let token = provider.sign(&of_user(&megan, "User.Read"));
    ok(bearer(&world, &token).get("/v1.0/me").await, StatusCode::OK);
    let nobody = User { id: UserId(SERVICE_ACCOUNT), ..megan.clone() };
    assert_eq!(refusal(&world, &provider.sign(&of_user(&nobody, "User.Read"))).await, unauthorized(INVALID));
    let elsewhere = seed::personal_user();
    assert_eq!(refusal(&world, &provider.sign(&of_user(&elsewhere, "User.Read"))).await, unauthorized(INVALID));

    let disabled = User { enabled: false, ..megan.clone() };
    world.state.directory.change(|store| async move { store.replace_user(megan, disabled).await }).await.unwrap();
    let refused = bearer(&world, &token).get("/v1.0/me").await;
    assert_eq!(refused.status, 401);
    assert!(refused.text("/error/message").contains("InteractionRequired"), "{}", refused.json);
    assert!(refused.header("www-authenticate").contains("insufficient_claims"));
}

#[tokio::test]
async fn a_user_may_be_found_by_the_address() {
    let by_address = format!("{KEYCLOAK}user_claims = [\"preferred_username\"]\nuser_by = \"address\"\n");
    let (world, provider) = world_with(&by_address, true).await;
    let megan = seed::users().remove(0);
    let mut claims = of_user(&megan, "User.Read");
    claims["sub"] = "f:ldap:megan".into();
    claims["preferred_username"] = "MEGAN@contoso.test".into();
    let me = ok(bearer(&world, &provider.sign(&claims)).get("/v1.0/me").await, StatusCode::OK);
    assert_eq!(me.text("/id"), megan.id.to_string());
    claims["preferred_username"] = "lynne@personal.test".into();
    assert_eq!(refusal(&world, &provider.sign(&claims)).await, unauthorized(INVALID), "a user of another tenant");
}

#[tokio::test]
async fn issuer_beyond_its_tenants_is_for_those_that_are_in_the_directory() {
    let entra = "[[identity.issuers]]\nissuer = \"https://login.example/{tenantid}/v2.0\"\nprovider = \"entra\"\n\
                 audiences = [\"api://tidings\"]\n";
    let (world, provider) = world_with(entra, true).await;
    let claims = |tenant: &str, user: &User| {
        let now = Clock::new().wall().as_micros() / 1_000_000;
        json!({"iss": format!("https://login.example/{tenant}/v2.0"), "tid": tenant, "aud": "api://tidings",
               "azp": seed::SERVICE_PRINCIPAL, "oid": user.id, "sub": "x", "scp": "User.Read", "ver": "2.0",
               "iat": now, "nbf": now, "exp": now + 300})
    };
    let (megan, lynne) = (seed::users().remove(0), seed::personal_user());
    let known = [(seed::TENANT.to_string(), &megan), ("9188040d-6c67-4c5b-b112-36a304b66dad".to_owned(), &lynne)];
    for (tenant, user) in known {
        ok(bearer(&world, &provider.sign(&claims(&tenant, user))).get("/v1.0/me").await, StatusCode::OK);
    }
    let unknown = "00000000-0000-4000-8000-00000000000a";
    assert_eq!(refusal(&world, &provider.sign(&claims(unknown, &megan))).await, unauthorized(INVALID));
    let mut two = claims(&seed::TENANT.to_string(), &megan);
    two["iss"] = format!("https://login.example/{unknown}/v2.0").into();
    assert_eq!(refusal(&world, &provider.sign(&two)).await, unauthorized(INVALID));
}

#[tokio::test]
async fn withdrawn_key_verifies_nothing_and_a_new_one_is_found_at_once() {
    let (world, provider) = world().await;
    let megan = seed::users().remove(0);
    let before = provider.sign(&of_user(&megan, "User.Read"));
    ok(bearer(&world, &before).get("/v1.0/me").await, StatusCode::OK);
    provider.rotate(true);
    ok(bearer(&world, &before).get("/v1.0/me").await, StatusCode::OK);
    let after = provider.sign(&of_user(&megan, "User.Read"));
    ok(bearer(&world, &after).get("/v1.0/me").await, StatusCode::OK);
    assert_eq!(refusal(&world, &before).await, unauthorized(INVALID));
    assert_eq!(provider.reads(), 2);
}

#[tokio::test]
async fn tokens_hold_while_their_issuer_is_down_and_without_its_keys_nobody_knows() {
    let (world, provider) = world().await;
    let megan = seed::users().remove(0);
    provider.is_down(true);
    let token = provider.sign(&of_user(&megan, "User.Read"));
    let refused = bearer(&world, &token).get("/v1.0/me").await;
    assert_eq!((refused.status, refused.text("/error/code")), (503, "ServiceUnavailable".to_owned()));
    assert_eq!((refused.header("retry-after"), refused.header("www-authenticate")), ("10", ""));
    ok(world.megan().get("/v1.0/me").await, StatusCode::OK);

    let (world, provider) = self::world().await;
    ok(bearer(&world, &token).get("/v1.0/me").await, StatusCode::OK);
    provider.is_down(true);
    let another = provider.sign(&of_user(&megan, "User.Read Mail.Read"));
    ok(bearer(&world, &another).get("/v1.0/me").await, StatusCode::OK);
    provider.rotate(false);
    let with_new_key = provider.sign(&of_user(&megan, "User.Read"));
    assert_eq!(refusal(&world, &with_new_key).await, unauthorized(INVALID));
    ok(bearer(&world, &another).get("/v1.0/me").await, StatusCode::OK);
}

#[tokio::test]
async fn flood_of_unknown_keys_makes_the_issuer_be_asked_once() {
    let (world, provider) = world().await;
    ok(bearer(&world, &provider.sign(&of_user(&seed::users()[0], "User.Read"))).get("/v1.0/me").await, StatusCode::OK);
    let (key, claims) = (provider.ring().signing().clone(), of_user(&seed::users()[0], "User.Read").to_string());
    for number in 0..50 {
        let mut header = key.header();
        header["kid"] = format!("unknown {number}").into();
        let token = key.sign_parts(&header, &claims).unwrap();
        assert_eq!(refusal(&world, &token).await, unauthorized(INVALID));
    }
    assert_eq!(provider.reads(), 2);
}

#[tokio::test]
async fn without_the_built_in_issuer_no_token_is_given_and_none_of_it_holds() {
    let (world, provider) = world_with(KEYCLOAK, false).await;
    ok(bearer(&world, &provider.sign(&of_user(&seed::users()[0], "User.Read"))).get("/v1.0/me").await, StatusCode::OK);
    let refused = world.megan().get("/v1.0/me").await;
    assert_eq!(refused.refusal(), unauthorized(INVALID));
    assert!(!refused.header("www-authenticate").contains("authorization_uri"));
    let form = format!("grant_type=client_credentials&client_id={}&client_secret={}", seed::APP, seed::APP_SECRET);
    for (method, path) in [("POST", "/common/oauth2/v2.0/token"), ("GET", "/common/oauth2/v2.0/authorize")] {
        let refused = world.stranger().send(method, path, form.clone()).await;
        assert_eq!(refused.refusal(), "400 BadRequest: Invalid version: common", "{path}");
    }
    assert_eq!(world.stranger().get("/v1.0/me").await.refusal(), unauthorized("Access token is empty."));
    let places = ok(world.stranger().get("/").await, StatusCode::OK).json;
    assert!(places["graph"].is_string() && places.get("signIn").is_none(), "{places}");
}

#[tokio::test]
async fn without_the_built_in_issuer_validation_tokens_can_be_verified_all_the_same() {
    let (world, _) = world_with(KEYCLOAK, false).await;
    let path = "/common/v2.0/.well-known/openid-configuration";
    let configuration = ok(world.stranger().get(path).await, StatusCode::OK).json;
    insta::assert_json_snapshot!(configuration, @r#"
    {
      "id_token_signing_alg_values_supported": [
        "RS256"
      ],
      "issuer": "http://graph.test:8443/{tenantid}/v2.0",
      "jwks_uri": "http://graph.test:8443/common/discovery/v2.0/keys",
      "subject_types_supported": [
        "public"
      ]
    }
    "#);
    let keys = ok(world.stranger().get("/common/discovery/v2.0/keys").await, StatusCode::OK).json;
    assert_eq!(keys["keys"][0]["kid"], world.state.tokens.ring().signing().kid());
}

fn claims_that_do_not_hold(attacker: &Attacker<'_>) -> Vec<(&'static str, String, &'static str)> {
    let (says, now) = (|name, value: Value| attacker.says(name, value), attacker.claims["iat"].as_i64().unwrap());
    let built_in = format!("https://sts.windows.net/{}/", seed::TENANT);
    vec![
        ("for another audience", says("aud", json!("account")), AUDIENCE),
        ("for an audience that begins alike", says("aud", json!(["tidings.evil.example"])), AUDIENCE),
        ("for Graph", says("aud", json!("https://graph.microsoft.com")), AUDIENCE),
        ("for nobody", attacker.without("aud"), INVALID),
        ("from another issuer", says("iss", json!("https://evil.example/")), INVALID),
        ("from an issuer that begins alike", says("iss", json!(format!("{ISSUER}/"))), INVALID),
        ("from the built-in issuer", says("iss", json!(built_in)), INVALID),
        ("from the second issuer, whose key this is not", says("iss", json!("https://second.example")), INVALID),
        ("from nobody", attacker.without("iss"), INVALID),
        ("of no app", attacker.without("azp"), INVALID),
        ("of nobody", attacker.without("sub"), INVALID),
        ("of an unknown user", says("sub", json!(SERVICE_ACCOUNT)), INVALID),
        ("of a user by the address", says("sub", json!("megan@contoso.test")), INVALID),
        ("of a user and of an app at once", says("idtyp", json!("app")), INVALID),
        ("an id token", says("typ", json!("ID")), INVALID),
        ("a refresh token", says("typ", json!("Refresh")), INVALID),
        ("a validation token", says("appid", json!(PUBLISHER_ID)), INVALID),
        ("bound to another's key", says("cnf", json!({"jkt": "x"})), INVALID),
        ("expired", says("exp", json!(now - 301)), EXPIRED),
        ("expired long ago", says("exp", json!(i64::MIN)), EXPIRED),
        ("not yet valid", says("nbf", json!(now + 3_600)), EXPIRED),
        ("made in the future", says("iat", json!(now + 3_600)), EXPIRED),
        ("without an end", attacker.without("exp"), INVALID),
        ("with an end that is text", says("exp", json!("9999999999")), INVALID),
        ("with an end beyond numbers", says("exp", json!(1e300)), INVALID),
        ("with the user twice", attacker.twice("sub", "\"2804bc07-1e1f-4938-9085-ce6d756a32d2\""), INVALID),
        ("with the end twice", attacker.twice("exp", "9999999999"), INVALID),
        ("with a claim twice that nobody reads", attacker.twice("name", "\"Megan\""), INVALID),
    ]
}

#[tokio::test]
async fn forged_token_of_another_issuer_gets_nobody_in() {
    let second = KEYCLOAK.replace(ISSUER, "https://second.example");
    let (first, other) = (Provider::new(), Provider::new());
    other.rotate(true);
    let publishers: [Box<dyn Publisher>; 2] = [Box::new(first.clone()), Box::new(other.clone())];
    let rules = configured(&format!("{KEYCLOAK}{second}")).into_iter().map(|(rules, _)| rules);
    let world = World::accepting(rules.zip(publishers).collect(), true).await;

    let claims = of_user(&seed::users()[0], SCOPES);
    let (ring, honest) = (first.ring(), first.sign(&claims));
    let own = Key::generate(Clock::new().wall()).unwrap();
    let attacker = Attacker { server: ring.signing(), own, claims, honest };
    ok(bearer(&world, &attacker.honest).get("/v1.0/me").await, StatusCode::OK);

    let forgeries = attacker.forgeries().into_iter().map(|(name, token)| (name, token, INVALID));
    let with_others_key = ("with the key of the second issuer", other.sign(&attacker.claims), INVALID);
    let attacks: Vec<_> = forgeries.chain(claims_that_do_not_hold(&attacker)).chain([with_others_key]).collect();
    let mut shapes = BTreeSet::new();
    for (name, token, message) in &attacks {
        let reply: Reply = bearer(&world, token).get("/v1.0/me").await;
        assert_eq!(reply.refusal(), unauthorized(message), "{name}");
        let challenge = reply.header("www-authenticate");
        assert!(challenge.starts_with("Bearer ") && !challenge.contains("claims="), "{name}: {challenge}");
        shapes.insert(shape(&reply.json));
    }
    assert_eq!(shapes.len(), 1, "{shapes:?}");
    assert!(attacks.len() >= 50, "{}", attacks.len());
    assert_eq!(first.reads(), 2, "unknown keys made the issuer be asked once");
    ok(bearer(&world, &attacker.honest).get("/v1.0/me").await, StatusCode::OK);
}

/// A token for itself that an app gets from a server at its HTTPS address, as version 2.
async fn issued(issuer: &Running, app: &App) -> String {
    let local = issuer.listen.https[0];
    let form = format!(
        "grant_type=client_credentials&client_id={}&client_secret=top&scope=https%3A%2F%2Fgraph.microsoft.com%2F.default",
        app.id
    );
    let request = Request::post(format!("/{}/oauth2/v2.0/token", seed::TENANT))
        .header("host", format!("localhost:{}", local.port()))
        .extension(Arrival { tls: true, local })
        .body(axum::body::Body::from(form))
        .unwrap();
    let response = api::router(issuer.state.clone()).oneshot(request).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let given: Value = serde_json::from_slice(&body).unwrap();
    given["access_token"].as_str().unwrap_or_else(|| panic!("{given}")).to_owned()
}

#[tokio::test]
async fn a_second_server_serves_whom_the_first_has_given_a_token() {
    let issuer = start(delivery::settings()).await.unwrap();
    let secret = CredentialKind::Secret { hint: "top".to_owned(), sha256: sha256_hex("top") };
    let secret = Credential { id: Uuid::from_u128(1), expires: Clock::new().wall().plus_minutes(60), kind: secret };
    let app = App {
        access_token_version: TokenVersion::V2,
        credentials: vec![secret],
        ..App::new(archive(), seed::TENANT, "Mail archive", UserId(SERVICE_ACCOUNT))
    };
    let permissions = BTreeSet::from(["Mail.ReadWrite".to_owned()]);
    let grant = Grant { tenant: seed::TENANT, app: app.id, grantee: Grantee::App, permissions };
    issuer.state.store.add_app(app.clone()).await.unwrap();
    issuer.state.store.grant(grant, issuer.state.clock.wall()).await.unwrap();

    let lines = format!(
        "[[identity.issuers]]\nissuer = \"https://localhost:{}/{{tenantid}}/v2.0\"\nprovider = \"entra\"\n\
         audiences = [\"00000003-0000-0000-c000-000000000000\"]\nca_files = [{:?}]\n",
        issuer.listen.https[0].port(),
        issuer.data().join(tls::CA_FILE),
    );
    let settings = delivery::settings();
    let server =
        start(tidings_server::server::Settings { built_in_issuer: false, issuers: configured(&lines), ..settings });
    let server = server.await.unwrap();
    let (url, mut notifications) = delivery::receiver().await;
    let token = issued(&issuer, &app).await;
    let mailbox = format!("users/{}/messages", seed::users()[0].id);
    let (status, read) = delivery::call_with(&token, &server, "GET", &format!("/v1.0/{mailbox}"), json!({})).await;
    assert_eq!((status, &read["value"]), (200, &json!([])), "{read}");
    let subscription = json!({"changeType": "created", "notificationUrl": url, "resource": mailbox,
                              "expirationDateTime": server.state.clock.wall().plus_minutes(60)});
    let (status, made) = delivery::call_with(&token, &server, "POST", "/v1.0/subscriptions", subscription).await;
    assert_eq!((status, &made["applicationId"]), (201, &json!(app.id)), "{made}");
    let message = json!({"subject": "Hello"});
    let (_, message) = delivery::call_with(&token, &server, "POST", &format!("/v1.0/{mailbox}"), message).await;
    let heard = notifications.recv().await.unwrap();
    assert_eq!(heard["value"][0]["resourceData"]["id"], message["id"]);

    issuer.state.tokens.rotate(true, issuer.state.clock.wall()).unwrap();
    let after = issued(&issuer, &app).await;
    let path = format!("/v1.0/{mailbox}");
    assert_eq!(delivery::call_with(&after, &server, "GET", &path, json!({})).await.0, 200);
    assert_eq!(delivery::call_with(&token, &server, "GET", &path, json!({})).await.0, 401);
    server.drain().await;
    issuer.drain().await;
}
