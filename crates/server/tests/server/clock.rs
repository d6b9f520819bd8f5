//! The clock of a development server is moved: what takes days happens within seconds, and in its order.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};

use axum::Router;
use axum::extract::{RawQuery, Request, State};
use axum::response::{IntoResponse as _, Response};
use graph::Timestamp;
use http::StatusCode;
use http_body_util::BodyExt as _;
use notify::reauthorization::Cadence;
use notify::throttle::{Rate, ThrottleLimits};
use notify::{HealthLimits, NodeConfig, Profile};
use serde_json::{Value, json};
use tidings_server::clock::Clock;
use tidings_server::data_dir::DataDir;
use tidings_server::identity::{Grant, SCOPES};
use tidings_server::seed;
use tidings_server::server::{Running, Settings, start};

use crate::delivery::{administer, asked_of_admin, call_with, settings};

const MINUTE: i64 = 60_000_000;

/// An app's endpoints: what they were told, and when by the server's clock. They answer 500 while they fail.
#[derive(Clone, Default)]
pub struct App(Arc<Shared>);

#[derive(Default)]
struct Shared {
    clock: OnceLock<Clock>,
    told: Mutex<Vec<Told>>,
    failing: Mutex<BTreeMap<String, bool>>,
}

/// What one request told.
#[derive(Clone, Debug)]
pub struct Told {
    pub at: Timestamp,
    pub path: String,
    pub items: Vec<Value>,
}

impl App {
    /// Returns with the base of its URLs.
    pub async fn new() -> (Self, String) {
        async fn hook(State(app): State<App>, RawQuery(query): RawQuery, request: Request) -> Response {
            let query = query.unwrap_or_default();
            let token = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "validationToken");
            if let Some((_, token)) = token {
                return token.into_owned().into_response();
            }
            let path = request.uri().path().to_owned();
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let body: Value = serde_json::from_slice(&body).unwrap();
            let at = app.0.clock.get().map(Clock::wall).unwrap_or_default();
            let items = body["value"].as_array().unwrap().clone();
            app.0.told.lock().unwrap().push(Told { at, path: path.clone(), items });
            match app.0.failing.lock().unwrap().get(&path) {
                Some(true) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
                _ => StatusCode::ACCEPTED.into_response(),
            }
        }
        let app = Self::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(hook).with_state(app.clone());
        tokio::spawn(axum::serve(listener, router).into_future());
        (app, base)
    }

    pub fn fail(&self, path: &str, fails: bool) {
        self.0.failing.lock().unwrap().insert(path.to_owned(), fails);
    }

    pub fn told(&self, path: &str) -> Vec<Told> {
        let told = self.0.told.lock().unwrap();
        told.iter().filter(|told| told.path == path).cloned().collect()
    }

    /// The events that lifecycle notifications told of, in order.
    pub fn events(&self, path: &str) -> Vec<(Timestamp, String)> {
        let told = self.told(path).into_iter();
        let event = |item: &Value| item["lifecycleEvent"].as_str().unwrap_or_default().to_owned();
        told.flat_map(|told| told.items.iter().map(|item| (told.at, event(item))).collect::<Vec<_>>()).collect()
    }
}

/// A development server, and an app with a token of Megan's.
pub struct World {
    pub server: Running,
    pub app: App,
    pub base: String,
    token: String,
}

impl World {
    pub async fn new() -> Self {
        Self::with(settings()).await
    }

    pub async fn with(settings: Settings) -> Self {
        let (app, base) = App::new().await;
        let server = start(settings).await.unwrap();
        app.0.clock.set(server.state.clock.clone()).unwrap();
        let token = token(&server).await;
        Self { server, app, base, token }
    }

    pub fn now(&self) -> Timestamp {
        self.server.state.clock.wall()
    }

    pub async fn call(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        call_with(&self.token, &self.server, method, path, body).await
    }

    /// Subscribes to Megan's messages for so many minutes, and returns the subscription.
    pub async fn subscribe(&self, minutes: i64) -> Value {
        let asked = json!({"changeType": "created", "resource": "me/messages",
                           "notificationUrl": format!("{}/n", self.base),
                           "lifecycleNotificationUrl": format!("{}/l", self.base),
                           "expirationDateTime": self.now().plus_minutes(minutes)});
        let (status, made) = self.call("POST", "/v1.0/subscriptions", asked).await;
        assert_eq!(status, 201, "{made}");
        made
    }

    pub async fn message(&self, subject: &str) -> Value {
        let (status, made) = self.call("POST", "/v1.0/me/messages", json!({"subject": subject})).await;
        assert_eq!(status, 201, "{made}");
        made
    }

    pub async fn advance(&self, by: &str) {
        let mut ask = json!({"by": by});
        loop {
            let (status, moved) = asked_of_admin(&self.server, "POST", "/admin/clock/advance", ask).await;
            assert_eq!(status, 200, "{moved}");
            if moved["arrived"] == true {
                return;
            }
            ask = json!({"to": moved["to"]});
        }
    }

    pub async fn ledger(&self, subscription: &Value) -> Value {
        let path = format!("/admin/subscriptions/{}/ledger", subscription["id"].as_str().unwrap());
        asked_of_admin(&self.server, "GET", &path, Value::Null).await.1
    }
}

/// A token of Megan's, as she stands in the directory.
async fn token(server: &Running) -> String {
    let state = &server.state;
    let megan = state.store.user(seed::users()[0].id).await.unwrap().unwrap();
    state.tokens.issue(&seed::app(), Grant::Delegated(&megan, SCOPES), state.clock.times(), 3_600).unwrap()
}

#[tokio::test]
async fn three_days_pass_in_their_order() {
    let world = World::new().await;
    let began = world.now();
    let made = world.subscribe(2 * 24 * 60).await;
    let end: Timestamp = made["expirationDateTime"].as_str().unwrap().parse().unwrap();
    world.advance("P3D").await;

    let due: Vec<_> = Cadence::published().times(began, end).collect();
    let asked = world.app.events("/l");
    assert_eq!(asked.len(), due.len(), "each question of the cadence is put once: {asked:?}");
    for ((at, event), due) in asked.iter().zip(due) {
        assert_eq!(event, "reauthorizationRequired");
        assert!((-MINUTE..MINUTE).contains(&at.since(due)) && *at < end, "{at} for {due}");
    }
    let path = format!("/v1.0/subscriptions/{}", made["id"].as_str().unwrap());
    assert_eq!(world.call("GET", &path, Value::Null).await.0, 404, "it has expired");
    assert!((0..MINUTE).contains(&world.now().since(began.plus_minutes(3 * 24 * 60))));
    world.server.drain().await;
}

#[tokio::test]
async fn what_fails_is_tried_again_on_the_way_with_its_back_off_and_given_up_at_the_horizon() {
    let world = World::new().await;
    let made = world.subscribe(24 * 60).await;
    world.app.fail("/n", true);
    world.message("Unheard").await;
    world.advance("PT10M").await;
    let times: Vec<Timestamp> = world.app.told("/n").iter().map(|told| told.at).collect();
    let waits: Vec<i64> = times.windows(2).map(|pair| pair[1].since(pair[0]) / 1_000_000).collect();
    for (wait, least) in waits.iter().zip([5, 10, 20, 40, 80, 160]) {
        assert!((least..=least * 5 / 4 + 2).contains(wait), "{waits:?}");
    }
    assert!(waits.len() >= 6, "{waits:?}");

    // It is given up at the first time that it is due beyond the horizon.
    world.advance("PT4H30M").await;
    let ledger = world.ledger(&made).await;
    assert_eq!((&ledger["matched"], &ledger["parked"]), (&json!(1), &json!(0)), "{ledger}");
    let last = world.app.told("/n").last().unwrap().at;
    assert!(last.since(times[0]) > 3 * 60 * MINUTE, "it was tried until the end");
    world.server.drain().await;
}

#[tokio::test]
async fn an_endpoint_that_answers_again_gets_what_waits_as_soon_as_it_is_due() {
    let world = World::new().await;
    let made = world.subscribe(24 * 60).await;
    world.app.fail("/n", true);
    let message = world.message("Late").await;
    world.advance("PT0S").await;
    assert_eq!(world.app.told("/n").len(), 1, "nothing moves before what was asked is done");
    world.app.fail("/n", false);
    world.advance("7s").await;
    let told = world.app.told("/n");
    let told: Vec<&Value> = told.iter().map(|told| &told.items[0]).collect();
    assert_eq!((told.len(), &told[0]["id"]), (2, &told[1]["id"]));
    assert_eq!(told[1]["resourceData"]["id"], message["id"]);
    let ledger = world.ledger(&made).await;
    assert_eq!((&ledger["delivered"], &ledger["parked"]), (&json!(1), &json!(0)), "{ledger}");
    world.server.drain().await;
}

/// A world in which an endpoint is slow or dropping after a single response, and lets so many through.
async fn judging_at_once(probes: u64) -> World {
    let health = HealthLimits { responses_min: 1, probes, ..HealthLimits::documented() };
    let world = World::with(Settings { delivery: NodeConfig { health, ..NodeConfig::default() }, ..settings() }).await;
    world.subscribe(24 * 60).await;
    world
}

async fn time_out(world: &World, times: u64) {
    let fault = json!({"action": "fail", "with": "timeout", "times": times});
    administer(&world.server, "POST", "/admin/faults", fault).await;
}

#[tokio::test]
async fn what_is_held_for_ten_minutes_comes_when_they_have_passed() {
    let world = judging_at_once(0).await;
    time_out(&world, 1).await;
    world.message("Not answered in time").await;
    world.advance("30s").await;
    assert_eq!(world.app.told("/n").len(), 1, "it was tried again, and the endpoint is slow");

    let held_at = world.now();
    world.message("Held").await;
    world.advance("9m").await;
    assert_eq!(world.app.told("/n").len(), 1);
    world.advance("2m").await;
    let told = world.app.told("/n");
    assert_eq!(told.len(), 2);
    let held = told[1].at.since(held_at);
    assert!((10 * MINUTE..10 * MINUTE + MINUTE / 20).contains(&held), "{held}");
    world.message("At once").await;
    world.advance("0s").await;
    assert_eq!(world.app.told("/n").len(), 3, "the window in which all was in time is over");
    world.server.drain().await;
}

#[tokio::test]
async fn a_hold_is_over_however_far_the_clock_is_moved() {
    let world = judging_at_once(0).await;
    time_out(&world, 1).await;
    world.message("Not answered in time").await;
    world.advance("30s").await;
    let held_at = world.now();
    world.message("Held").await;
    world.message("Held, too").await;
    world.advance("P1D").await;
    let told = world.app.told("/n");
    let held: Vec<i64> = told[1..].iter().map(|told| told.at.since(held_at)).collect();
    let in_time = |held: &i64| (10 * MINUTE..10 * MINUTE + MINUTE / 20).contains(held);
    assert!(!held.is_empty() && held.iter().all(in_time), "{held:?}");
    assert_eq!(told.iter().map(|told| told.items.len()).sum::<usize>(), 3);
    world.server.drain().await;
}

#[tokio::test]
async fn an_endpoint_is_dropping_for_ten_minutes_and_its_app_told_when_it_is_back() {
    let world = judging_at_once(1).await;
    time_out(&world, 2).await;
    world.message("Not answered in time").await;
    world.advance("8s").await;
    world.message("Dropped").await;
    world.advance("9m").await;
    world.message("Dropped, too").await;
    world.advance("2m").await;
    assert_eq!(world.app.events("/l"), []);
    world.message("At once").await;
    world.advance("5s").await;
    let subjects = world.app.told("/n").iter().map(|told| told.items.len()).sum::<usize>();
    let events = world.app.events("/l");
    assert_eq!((subjects, events.len()), (2, 1), "what was tried before it dropped, and what came after: {events:?}");
    assert_eq!(events[0].1, "missed");
    world.server.drain().await;
}

#[tokio::test]
async fn who_asked_too_much_may_ask_again() {
    let throttle = ThrottleLimits { mailbox: Rate { units: 2, seconds: 600 }, ..ThrottleLimits::documented() };
    let profile = Profile { throttle, ..Profile::documented() };
    let world = World::with(Settings { throttle: true, profile, ..settings() }).await;
    let ask = async || world.call("GET", "/v1.0/me/messages", Value::Null).await.0;
    assert_eq!([ask().await, ask().await, ask().await], [200, 200, 429]);
    world.advance("PT10M").await;
    assert_eq!(ask().await, 200);
    world.server.drain().await;
}

#[tokio::test]
async fn tokens_keep_the_worlds_time_and_sessions_end_by_the_servers() {
    let world = World::new().await;
    world.advance("P5D").await;
    let made = world.subscribe(60).await;
    let before = world.token.clone();
    let me = async |token: &str| call_with(token, &world.server, "GET", "/v1.0/me", Value::Null).await.0;
    let after_advance = token(&world.server).await;
    assert_eq!((me(&before).await, me(&after_advance).await), (200, 200));

    administer(&world.server, "POST", "/admin/users/megan@contoso.test/reset-password", json!({})).await;
    let newer = token(&world.server).await;
    world.advance("P1D").await;
    assert_eq!([me(&before).await, me(&after_advance).await, me(&newer).await], [401, 401, 200]);
    let path = format!("/v1.0/subscriptions/{}", made["id"].as_str().unwrap());
    assert_eq!(call_with(&newer, &world.server, "GET", &path, Value::Null).await.0, 404, "it was of an old session");
    world.server.drain().await;
}

#[tokio::test]
async fn who_asks_for_an_end_by_the_worlds_time_gets_the_shortest_life() {
    let world = World::new().await;
    world.advance("P2D").await;
    let made = world.subscribe(-24 * 60).await;
    let end: Timestamp = made["expirationDateTime"].as_str().unwrap().parse().unwrap();
    assert!((44 * MINUTE..=45 * MINUTE).contains(&end.since(world.now())));
    world.server.drain().await;
}

#[tokio::test]
async fn a_clock_goes_on_where_it_was_left_and_no_other_server_takes_it() {
    let dir = tempfile::tempdir().unwrap();
    let again = || Settings { data: DataDir::open(dir.path()).unwrap(), ..settings() };
    let keys = settings().keys;
    let world = World::with(Settings { keys: keys.clone(), ..again() }).await;
    let made = world.subscribe(4_230).await;
    world.advance("P2D").await;
    let left = world.now();
    world.server.drain().await;

    let refusal = start(Settings { keys: keys.clone(), dev: false, ..again() }).await.err().unwrap().to_string();
    assert!(refusal.contains("only `tidings dev` serves it"), "{refusal}");
    let world = World::with(Settings { keys, ..again() }).await;
    assert!((0..MINUTE).contains(&world.now().since(left)));
    let path = format!("/v1.0/subscriptions/{}", made["id"].as_str().unwrap());
    assert_eq!(world.call("GET", &path, Value::Null).await.0, 200);
    world.advance("P2D").await;
    assert_eq!(world.call("GET", &path, Value::Null).await.0, 404);
    world.server.drain().await;
}

#[tokio::test]
async fn the_clock_of_a_server_for_production_is_not_moved() {
    let server = start(Settings { dev: false, ..settings() }).await.unwrap();
    for (method, path) in [("GET", "/admin/clock"), ("POST", "/admin/clock/advance")] {
        let (status, refusal) = asked_of_admin(&server, method, path, json!({"by": "PT1H"})).await;
        assert_eq!(status, 403);
        assert_eq!(refusal["error"], "only `tidings dev` has a clock that can be moved");
    }
    assert_eq!(server.state.clock.ahead(), 0);
    server.drain().await;
}

#[tokio::test]
async fn a_clock_is_shown_and_a_move_that_is_none_is_refused() {
    let world = World::new().await;
    world.advance("PT36H").await;
    let (status, shown) = asked_of_admin(&world.server, "GET", "/admin/clock", Value::Null).await;
    let time = |member: &str| shown[member].as_str().unwrap().parse::<Timestamp>().unwrap();
    let ahead = time("now").since(time("world"));
    assert!(status == 200 && (35 * 60 * MINUTE..=36 * 60 * MINUTE).contains(&ahead), "{shown}");
    assert!(shown["ahead"].as_str().unwrap().starts_with("PT3"), "{shown}");
    for ask in [json!({}), json!({"by": "-1h"}), json!({"by": "31d"}), json!({"to": "2020-01-01T00:00:00Z"})] {
        let (status, refusal) = asked_of_admin(&world.server, "POST", "/admin/clock/advance", ask).await;
        assert_eq!(status, 400, "{refusal}");
    }
    world.server.drain().await;
}
