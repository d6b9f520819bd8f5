//! A server in process, on the store in memory, with the people and receivers that the stories need.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock};

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use graph::{Partition, SubscriptionId, TenantId, Timestamp};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use notify::node::NodeStats;
use notify::subscription::TlsVersion;
use notify::{Monotonic, Position, Profile};
use protocol::HandshakeError;
use protocol::event_grid::handshake::{Ask, Consent, NoConsent};
use protocol::event_grid::push::Origin;
use serde_json::Value;
use store::memory::MemoryStore;
use store::sqlite::SqliteStore;
use store::{App, Grantee, Publish, Store, User};
use tempfile::TempDir;
use tidings_server::app::{AppState, Engine, Handshake, Limits};
use tidings_server::clock::Clock;
use tidings_server::config::Retention;
use tidings_server::dead_letters::DeadLettersConfig;
use tidings_server::directory::Directory;
use tidings_server::engine::Faults;
use tidings_server::http::event_grid::{Arrivals, Callbacks};
use tidings_server::http::graph::Throttling;
use tidings_server::identity::external::{Publisher, Rules};
use tidings_server::identity::{Grant, Issuers, Key, KeyRing, Pending, ROLES, SCOPES, Tokens};
use tidings_server::sinks::{Sinks, SinksConfig};
use tidings_server::telemetry::Telemetry;
use tidings_server::telemetry::traces::Traces;
use tidings_server::{http as api, key_file, seed};
use tower::ServiceExt as _;

pub const CLIENT_REQUEST_ID: &str = "7d6c0c2a-0000-4000-8000-000000000001";

/// What content can be sealed for.
pub const CERTIFICATE: &str = include_str!("../../../protocol/tests/data/throwaway_certificate_2048.pem");

/// Issuers that an operator names, with what publishes their keys.
pub type Named = Vec<(Rules, Box<dyn Publisher>)>;

/// The server and everything around it.
pub struct World {
    pub state: Arc<AppState>,
    pub receivers: Arc<Receivers>,
    pub engine: Arc<Ends>,
    router: Router,
    pub directory: Option<TempDir>,
}

impl World {
    pub async fn new() -> Self {
        Self::with(Profile::documented()).await
    }

    pub async fn with(profile: Profile) -> Self {
        Self::made(in_memory(), profile, false, true).await
    }

    /// A server whose store lets requests come between what another one reads and what it writes.
    pub async fn on_disk() -> Self {
        let directory = TempDir::new().unwrap();
        let (arrivals, publish) = bells();
        let store = Arc::new(SqliteStore::open(directory.path(), key_file::in_memory(), publish).unwrap());
        let world =
            Self::made(Kept { store, arrivals, sinks: Arc::default() }, Profile::documented(), false, true).await;
        Self { directory: Some(directory), ..world }
    }

    /// A server that keeps dead letters in a directory, which goes when the world does.
    pub async fn keeping_dead_letters() -> Self {
        let directory = TempDir::new().unwrap();
        let place = Some(DeadLettersConfig::Directory(directory.path().to_owned()));
        let config = SinksConfig { dead_letters: place, ..SinksConfig::default() };
        let sinks = Arc::new(Sinks::new(config, Clock::new()).unwrap());
        let world = Self::made(Kept { sinks, ..in_memory() }, Profile::documented(), false, true).await;
        Self { directory: Some(directory), ..world }
    }

    /// A server with this store, which lies in a directory that goes when the world does.
    pub async fn on(store: Arc<dyn Store>, directory: TempDir) -> Self {
        let kept = Kept { store, arrivals: Arc::default(), sinks: Arc::default() };
        let world = Self::made(kept, Profile::documented(), false, true).await;
        Self { directory: Some(directory), ..world }
    }

    /// Changes the database below a server on disk, behind its back.
    pub fn tamper(&self, sql: &str) {
        let directory = self.directory.as_ref().expect("it is on disk");
        let database = rusqlite::Connection::open(directory.path().join("tidings.db")).unwrap();
        database.execute_batch(sql).unwrap();
    }

    /// A server that tells apps to wait, within the profile's limits.
    pub async fn throttled(profile: Profile) -> Self {
        Self::made(in_memory(), profile, true, true).await
    }

    /// A server that is no development server: nobody signs in by being chosen.
    pub async fn closed() -> Self {
        Self::made(in_memory(), Profile::documented(), false, false).await
    }

    /// A server that accepts tokens of these issuers, and of itself if it is `built_in`.
    pub async fn accepting(issuers: Named, built_in: bool) -> Self {
        Self::made_with(in_memory(), Profile::documented(), (false, true), (built_in, issuers)).await
    }

    async fn made(store: Kept, profile: Profile, throttled: bool, dev: bool) -> Self {
        Self::made_with(store, profile, (throttled, dev), (true, Vec::new())).await
    }

    async fn made_with(
        Kept { store, arrivals, sinks }: Kept,
        profile: Profile,
        (throttled, dev): (bool, bool),
        (built_in_issuer, issuers): (bool, Named),
    ) -> Self {
        let clock = Clock::new();
        let telemetry = Telemetry::new(clock.world()).unwrap();
        seed::plant(store.as_ref(), clock.wall()).await.unwrap();
        let (receivers, engine) = (Arc::new(Receivers::default()), Arc::new(Ends::default()));
        let state = Arc::new(AppState {
            directory: Directory::new(store.clone(), clock.clone()),
            store,
            clock: clock.clone(),
            tokens: Arc::new(Tokens::new(signing_keys(), Box::new(|_| Ok(())))),
            built_in_issuer,
            issuers: Issuers::new(issuers, clock),
            pending: Pending::default(),
            dev,
            throttling: throttled.then(|| Throttling::new(profile.throttle)),
            profile,
            handshake: receivers.clone(),
            engine: engine.clone(),
            arrivals,
            push_origin: Origin::default(),
            callbacks: Callbacks::default(),
            sinks,
            telemetry,
            traces: Traces::default(),
            limits: Limits { body_bytes_max: 256 * 1024, body_seconds_max: 5 },
            retention: Retention::default().limits(),
            attempts: None,
        });
        Self { router: api::router(state.clone()), state, receivers, engine, directory: None }
    }

    pub fn megan(&self) -> Caller<'_> {
        self.user(0)
    }

    pub fn adele(&self) -> Caller<'_> {
        self.user(1)
    }

    pub fn alex(&self) -> Caller<'_> {
        self.user(2)
    }

    /// The seeded app, for itself.
    pub fn app(&self) -> Caller<'_> {
        let now = self.state.clock.wall();
        let token = self.state.tokens.issue(&seed::app(), Grant::Application(seed::TENANT, &ROLES), now, 60).unwrap();
        Caller { world: self, authorization: Some(format!("Bearer {token}")), headers: Vec::new() }
    }

    /// One of the seeded app's users, with these scopes and no others.
    pub async fn granted(&self, user: &User, scopes: &str) -> Caller<'_> {
        self.granted_to(&seed::app(), user, scopes).await
    }

    /// The same by another app.
    pub async fn granted_to(&self, app: &App, user: &User, scopes: &str) -> Caller<'_> {
        self.consent(app, user.tenant, Grantee::AllUsers, scopes.split(' ')).await;
        self.bears(app, Grant::Delegated(user, scopes))
    }

    /// An app for itself, with these roles and no others.
    pub async fn roles(&self, app: &App, roles: &[&str]) -> Caller<'_> {
        self.consent(app, app.tenant, Grantee::App, roles.iter().copied()).await;
        self.bears(app, Grant::Application(app.tenant, roles))
    }

    /// Consents besides what was consented to before: a token may say less.
    async fn consent(&self, app: &App, tenant: TenantId, grantee: Grantee, names: impl Iterator<Item = &str>) {
        let permissions = names.map(str::to_owned).collect();
        let grant = store::Grant { tenant, app: app.id, grantee, permissions };
        let now = self.state.clock.wall();
        self.state.directory.change(|store| async move { store.grant(grant, now).await }).await.unwrap();
    }

    fn bears(&self, app: &App, grant: Grant<'_>) -> Caller<'_> {
        let token = self.state.tokens.issue(app, grant, self.state.clock.wall(), 60).unwrap();
        Caller { world: self, authorization: Some(format!("Bearer {token}")), headers: Vec::new() }
    }

    pub fn stranger(&self) -> Caller<'_> {
        Caller { world: self, authorization: None, headers: Vec::new() }
    }

    pub fn bearer(&self, authorization: &str) -> Caller<'_> {
        Caller { world: self, authorization: Some(authorization.to_owned()), headers: Vec::new() }
    }

    /// A request as it is, without what callers always send.
    pub async fn request(&self, request: Request<Body>) -> Reply {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let json = serde_json::from_slice(&body).unwrap_or(Value::Null);
        Reply { status: parts.status.as_u16(), headers: parts.headers, json, body: body.to_vec() }
    }

    fn user(&self, number: usize) -> Caller<'_> {
        let now = self.state.clock.wall();
        let user: User = seed::users().remove(number);
        let token = self.state.tokens.issue(&seed::app(), Grant::Delegated(&user, SCOPES), now, 60).unwrap();
        Caller { world: self, authorization: Some(format!("Bearer {token}")), headers: Vec::new() }
    }
}

/// A store, and who is told of the events that are published into it.
struct Kept {
    store: Arc<dyn Store>,
    arrivals: Arc<Arrivals>,
    sinks: Arc<Sinks>,
}

fn in_memory() -> Kept {
    let (arrivals, publish) = bells();
    Kept { store: Arc::new(MemoryStore::new(publish)), arrivals, sinks: Arc::default() }
}

fn bells() -> (Arc<Arrivals>, Publish) {
    let arrivals = Arc::new(Arrivals::default());
    let rung = arrivals.clone();
    (arrivals, Arc::new(move |_, records| rung.ring_for(&records)))
}

/// The same keys for all worlds: making one takes longer than most stories.
fn signing_keys() -> KeyRing {
    static KEYS: OnceLock<KeyRing> = OnceLock::new();
    KEYS.get_or_init(|| KeyRing::of(Key::generate(Clock::new().wall()).unwrap())).clone()
}

/// Somebody who calls the API.
pub struct Caller<'a> {
    world: &'a World,
    authorization: Option<String>,
    headers: Vec<(&'static str, String)>,
}

impl Caller<'_> {
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The same caller, as if its token said something else too.
    pub fn saying(&self, claim: &str, value: Value) -> Self {
        use base64::Engine as _;
        let token = self.authorization.as_deref().unwrap().split('.').nth(1).unwrap();
        let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(token).unwrap();
        let mut claims: Value = serde_json::from_slice(&claims).unwrap();
        claims[claim] = value;
        let token = self.world.state.tokens.sign(&claims).unwrap();
        Caller { world: self.world, authorization: Some(format!("Bearer {token}")), headers: self.headers.clone() }
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, String::new()).await
    }

    pub async fn delete(&self, path: &str) -> Reply {
        self.send("DELETE", path, String::new()).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Reply {
        self.send("POST", path, body.to_string()).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Reply {
        self.send("PATCH", path, body.to_string()).await
    }

    /// Makes a message and returns its id.
    pub async fn draft(&self, subject: &str) -> String {
        let reply = self.post("/v1.0/me/messages", serde_json::json!({"subject": subject})).await;
        assert_eq!(reply.status, 201, "{}", reply.json);
        reply.text("/id")
    }

    pub async fn send(&self, method: &str, path: &str, body: String) -> Reply {
        self.send_bytes(method, path, body.into_bytes()).await
    }

    pub async fn send_bytes(&self, method: &str, path: &str, body: Vec<u8>) -> Reply {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "graph.test:8443")
            .header("client-request-id", CLIENT_REQUEST_ID);
        if self.headers.iter().all(|(name, _)| *name != "content-type") {
            request = request.header("content-type", "application/json");
        }
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        self.world.request(request.body(Body::from(body)).unwrap()).await
    }
}

/// What a caller gets.
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub json: Value,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn text(&self, pointer: &str) -> String {
        self.json.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// `status code: message` of a refusal.
    pub fn refusal(&self) -> String {
        format!("{} {}: {}", self.status, self.text("/error/code"), self.text("/error/message"))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// All receivers of the world: they echo the token, unless a story says otherwise.
#[derive(Default)]
pub struct Receivers {
    pub asked: Mutex<Vec<String>>,
    /// What each of them was offered.
    pub offered: Mutex<Vec<TlsVersion>>,
    /// The URLs by which endpoints that were asked for their consent can give it.
    pub callbacks: Mutex<Vec<String>>,
    /// The tokens that they were asked with.
    pub bearers: Mutex<Vec<Option<String>>>,
    answers: Mutex<HashMap<String, HandshakeError>>,
    consents: Mutex<HashMap<String, Result<Consent, NoConsent>>>,
    meanwhile: Mutex<Option<Meanwhile>>,
}

type Meanwhile = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Receivers {
    /// Does something while the next receiver is asked.
    pub fn meanwhile(&self, act: impl Future<Output = ()> + Send + 'static) {
        *self.meanwhile.lock().unwrap() = Some(Box::pin(act));
    }

    /// What an endpoint says when it is asked for its consent. Others give it.
    pub fn says(&self, url: &str, consent: Result<Consent, NoConsent>) {
        self.consents.lock().unwrap().insert(url.to_owned(), consent);
    }

    pub fn fails(&self, url: &str, error: HandshakeError) {
        self.answers.lock().unwrap().insert(url.to_owned(), error);
    }
}

#[async_trait]
impl Handshake for Receivers {
    fn check(&self, url: &str) -> Result<(), HandshakeError> {
        match url.split_once("://") {
            Some(("https", _)) => Ok(()),
            Some((scheme, _)) => Err(HandshakeError::Scheme(scheme.to_owned())),
            None => Err(HandshakeError::url(url, "it is not an absolute URL")),
        }
    }

    async fn validate(&self, url: &str, tls: TlsVersion, _: &str) -> Result<(), HandshakeError> {
        self.offered.lock().unwrap().push(tls);
        self.asked.lock().unwrap().push(url.to_owned());
        let meanwhile = self.meanwhile.lock().unwrap().take();
        if let Some(act) = meanwhile {
            act.await;
        }
        self.answers.lock().unwrap().get(url).cloned().map_or(Ok(()), Err)
    }

    async fn consent(&self, url: &str, ask: &Ask<'_>) -> Result<Consent, NoConsent> {
        self.asked.lock().unwrap().push(url.to_owned());
        self.callbacks.lock().unwrap().push(ask.callback.unwrap_or_default().to_owned());
        self.bearers.lock().unwrap().push(ask.bearer.map(str::to_owned));
        let meanwhile = self.meanwhile.lock().unwrap().take();
        if let Some(act) = meanwhile {
            act.await;
        }
        self.consents.lock().unwrap().get(url).cloned().unwrap_or(Ok(Consent::Given))
    }
}

/// The ends that the API waited for, and what it had the log followed to.
#[derive(Default)]
pub struct Ends(pub Mutex<Vec<SubscriptionId>>, pub Mutex<Vec<Position>>, Faults);

#[async_trait]
impl Engine for Ends {
    async fn end_committed(&self, _: Partition, subscription: SubscriptionId, _: Position) {
        self.0.lock().unwrap().push(subscription);
    }

    async fn followed(&self, _: Partition, position: Position) {
        self.1.lock().unwrap().push(position);
    }

    /// There is no node that anything could come from.
    async fn settled(&self) -> Option<Monotonic> {
        None
    }

    async fn stats(&self) -> Option<NodeStats> {
        Some(NodeStats { partitions: 256, ..NodeStats::default() })
    }

    async fn on_probation(&self, _: Partition) -> Option<Vec<(SubscriptionId, Timestamp)>> {
        None
    }

    async fn leased_until(&self) -> Option<Option<Monotonic>> {
        Some(Some(Monotonic(u64::MAX)))
    }

    fn give_up(&self, _: Partition, _: Position) {}

    fn faults(&self) -> &Faults {
        &self.2
    }
}

/// The JSON with what differs from run to run replaced by its name.
pub fn settled(json: &Value) -> Value {
    match json {
        Value::Object(members) => Value::Object(
            members
                .iter()
                .map(|(name, value)| {
                    let varies = ["request-id", "date", "id", "changeKey", "@odata.etag", "webLink", "conversationId"];
                    let varies = varies.contains(&name.as_str())
                        || name.ends_with("DateTime")
                        || ["conversationIndex", "internetMessageId", "parentFolderId", "iCalUId"]
                            .contains(&name.as_str());
                    let value = if varies && value.is_string() { format!("[{name}]").into() } else { settled(value) };
                    (name.clone(), value)
                })
                .collect(),
        ),
        Value::Array(values) => values.iter().map(settled).collect(),
        other => other.clone(),
    }
}

pub fn ok(reply: Reply, status: StatusCode) -> Reply {
    assert_eq!(reply.status, status.as_u16(), "{}", reply.json);
    reply
}
