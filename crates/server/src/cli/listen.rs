//! `tidings listen`: an app in one command. It starts a receiver on loopback, subscribes through the
//! server's Graph API, answers the handshake, prints what arrives, renews in time, and deletes its
//! subscription at the end.

use std::io::{IsTerminal as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use axum::Router;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use axum::routing::post;
use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
use protocol::notification::{ReceivedCollection, ReceivedNotification};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;
use uuid::Uuid;

use super::client::{Answer, Call, Client};
use super::ready::Ready;
use super::{forward, stop};
use crate::clock::Clock;
use crate::data_dir::default_path;
use crate::http::listener::Listener;
use crate::ids;

/// How long a subscription is asked for.
const LIFE_MINUTES: i64 = 60;
/// How often it is looked at: a server that has been started anew may not have it any more.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Every so many looks it is renewed: after half of its life.
const LOOKS_BEFORE_RENEWAL: u32 = 180;
/// How long an app may take, at the end, for what has not been forwarded yet.
const FORWARD_REST: Duration = Duration::from_secs(30);
/// The path of our receiver, by which the subscription of an earlier `listen` is known.
const RECEIVER_PATH: &str = "/notifications";

/// Subscribe to a mailbox of a running server and print each notification.
///
/// Each notification is one line: the time, what happened, the resource. Ctrl-C deletes the subscription
/// and prints a summary.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tidings listen                                         Megan's messages, from the running `tidings dev`
  tidings listen --user adele@contoso.test --resource events
  tidings listen --resource \"mailFolders('inbox')/messages\" --change-types created
  tidings listen --resource users --change-types updated,deleted
  tidings listen --forward-to http://localhost:3000/hook   let your own app have them, too")]
pub struct Options {
    /// Whose mailbox: UPN or id [default: the first user of the ready file, else the token's]
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// What in it: messages, events, contacts, or a path below the mailbox; or a resource outside of mailboxes, such
    /// as users.
    #[arg(long, value_name = "PATH", default_value = "messages")]
    resource: String,
    /// Which changes.
    #[arg(long, value_name = "LIST", default_value = "created,updated,deleted")]
    change_types: String,
    /// Also post each body to this URL, as it came.
    #[arg(long, value_name = "URL", value_parser = forward::url)]
    forward_to: Option<Url>,
    /// Print the raw body of each request, one on a line.
    #[arg(long)]
    json: bool,
    /// The server's base URL, such as http://127.0.0.1:8080 [default: from the ready file]
    #[arg(long, value_name = "URL", requires = "token")]
    server: Option<String>,
    /// An access token for it [default: from the ready file]
    #[arg(long, value_name = "TOKEN", env = "TIDINGS_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// The data directory of the running server, where its ready file is.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

pub async fn run(options: Options) -> anyhow::Result<()> {
    let stop = stop::on_signal()?;
    let api = Api::find(&options)?;
    let counts = Arc::new(Counts::default());
    let secret = ids::new_secret();
    let (forward, forwarding) = options.forward_to.clone().map(|url| forward::start(api.client.clone(), url)).unzip();
    let receiver = Receiver {
        json: options.json,
        colour: std::io::stdout().is_terminal(),
        forward,
        secret: secret.clone(),
        counts: counts.clone(),
        clock: Clock::new(),
    };
    let listener = Listener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), None).await?;
    let address = listener.address()?;
    let (receiving, connections) = (CancellationToken::new(), TaskTracker::new());
    let serving = tokio::spawn(listener.serve(receiver.router(), receiving.clone(), connections.clone()));

    let subscription = api.subscribe(&options, address, &secret).await?;
    eprintln!("Subscribed to {} until Ctrl-C (subscription {}).", subscription.resource, subscription.id);
    let is_there = keep(&api, &subscription.id, &stop).await;

    if is_there {
        api.unsubscribe(&subscription.id).await;
    }
    receiving.cancel();
    connections.close();
    connections.wait().await;
    serving.await??;
    eprintln!("{}", counts.summary());
    if let Some(task) = forwarding {
        let rest = tokio::time::timeout(FORWARD_REST, task).await;
        let failures = rest.context("the app is too slow: not all was forwarded")??;
        if failures > 0 {
            eprintln!("{} not forwarded.", counted(failures, "request"));
        }
    }
    if !is_there {
        bail!("the server has the subscription no more (was it started anew?); start `tidings listen` again");
    }
    Ok(())
}

/// Renews until `stop`. Returns early, with `false`, if the server does not have the subscription any more.
async fn keep(api: &Api, id: &str, stop: &CancellationToken) -> bool {
    let (mut looks, mut answers) = (0, true);
    loop {
        tokio::select! {
            () = stop.cancelled() => return true,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        looks += 1;
        let is_due = looks >= LOOKS_BEFORE_RENEWAL;
        let outcome = if is_due { api.renew(id).await } else { api.look(id).await };
        match outcome {
            Ok(false) => return false,
            Ok(true) if is_due => looks = 0,
            Ok(true) => {}
            Err(ref error) if answers => eprintln!("tidings: waiting for the server: {error:#}"),
            Err(_) => {}
        }
        if outcome.is_ok() && !answers {
            eprintln!("The server answers again.");
        }
        answers = outcome.is_ok();
    }
}

/// The server's Graph API, as this command uses it.
struct Api {
    client: Client,
    base: String,
    token: String,
    /// The mailbox's path: `users/…` or `me`.
    mailbox: String,
}

struct Subscribed {
    id: String,
    resource: String,
}

impl Api {
    fn find(options: &Options) -> anyhow::Result<Self> {
        let named = |user: &Option<String>| user.as_ref().map_or("me".to_owned(), |user| format!("users/{user}"));
        if let (Some(server), Some(token)) = (&options.server, &options.token) {
            let base = server.trim_end_matches('/').trim_end_matches("/v1.0").to_owned();
            let mailbox = named(&options.user);
            return Ok(Self { client: Client::new(None)?, base, token: token.clone(), mailbox });
        }
        let dir = options.data_dir.clone().map_or_else(default_path, Ok)?;
        let ready = Ready::read(&dir)?;
        let base = ready.http.first().or(ready.https.first()).context("the server listens nowhere")?.clone();
        let user = options.user.clone().or_else(|| ready.users.first().map(|user| user.upn.clone()));
        let token = options.token.clone().unwrap_or(ready.app_token);
        Ok(Self { client: Client::new(ready.ca.as_deref())?, base, token, mailbox: named(&user) })
    }

    async fn subscribe(&self, options: &Options, receiver: SocketAddr, secret: &str) -> anyhow::Result<Subscribed> {
        let resource = match options.resource.trim_start_matches('/') {
            path if path.starts_with("me/") || path.starts_with("users/") => path.to_owned(),
            // A resource outside of mailboxes, which no path below one is spelt like.
            path if graph::registry::place(path).is_ok() => path.to_owned(),
            path => format!("{}/{path}", self.mailbox),
        };
        let body = json!({
            "changeType": options.change_types,
            "notificationUrl": format!("http://{receiver}{RECEIVER_PATH}"),
            "lifecycleNotificationUrl": format!("http://{receiver}/lifecycle"),
            "resource": resource,
            "expirationDateTime": expiry(),
            "clientState": secret,
        });
        let mut answer = self.call(Method::POST, "subscriptions", Some(body.clone())).await?;
        if answer.status == StatusCode::CONFLICT {
            if !self.clear(&answer).await? {
                bail!(
                    "another `tidings listen` or app watches the same; stop it, or ask for another --resource or \
                     --change-types: {}",
                    error_text(&answer)
                );
            }
            answer = self.call(Method::POST, "subscriptions", Some(body)).await?;
        }
        let answer = accepted(answer, StatusCode::CREATED).context("the server refused the subscription")?;
        let id = answer.get("id").and_then(Value::as_str).context("the server answered without an id")?;
        Ok(Subscribed { id: id.to_owned(), resource })
    }

    /// Deletes the subscription that stands in the way if it is of an earlier `listen` that was killed, or
    /// ended while the server was away: nobody listens at its receiver any more.
    async fn clear(&self, conflict: &Answer) -> anyhow::Result<bool> {
        let text = error_text(conflict);
        let Some(id) = text.split(' ').find(|word| word.parse::<Uuid>().is_ok()) else { return Ok(false) };
        let answer = self.call(Method::GET, &format!("subscriptions/{id}"), None).await?;
        let Ok(found) = accepted(answer, StatusCode::OK) else { return Ok(false) };
        let url = found.get("notificationUrl").and_then(Value::as_str).and_then(|url| Url::parse(url).ok());
        let Some(url) = url.filter(|url| url.path() == RECEIVER_PATH && url.host_str() == Some("127.0.0.1")) else {
            return Ok(false);
        };
        let address = (Ipv4Addr::LOCALHOST, url.port_or_known_default().unwrap_or_default());
        if TcpStream::connect(address).await.is_ok() {
            return Ok(false);
        }
        eprintln!("Deleting the subscription {id} of an earlier `tidings listen`.");
        self.unsubscribe(id).await;
        Ok(true)
    }

    /// `false` if the server does not have the subscription.
    async fn renew(&self, id: &str) -> anyhow::Result<bool> {
        let body = json!({"expirationDateTime": expiry()});
        is_there(self.call(Method::PATCH, &format!("subscriptions/{id}"), Some(body)).await?)
    }

    async fn look(&self, id: &str) -> anyhow::Result<bool> {
        is_there(self.call(Method::GET, &format!("subscriptions/{id}"), None).await?)
    }

    async fn unsubscribe(&self, id: &str) {
        match self.call(Method::DELETE, &format!("subscriptions/{id}"), None).await {
            Ok(answer) if answer.status == StatusCode::NO_CONTENT => {}
            Ok(answer) => eprintln!("tidings: the subscription was not deleted: {}", answer.status),
            Err(error) => eprintln!("tidings: the subscription was not deleted: {error:#}"),
        }
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> anyhow::Result<Answer> {
        let url = format!("{}/v1.0/{path}", self.base);
        let body = body.map(|body| ("application/json", Bytes::from(body.to_string())));
        self.client.send(Call { method, url: &url, token: Some(&self.token), body }).await
    }
}

fn expiry() -> String {
    Clock::new().wall().plus_minutes(LIFE_MINUTES).to_string()
}

/// A server that was started anew knows neither the subscription nor, with another key, the token.
fn is_there(answer: Answer) -> anyhow::Result<bool> {
    match answer.status {
        StatusCode::NOT_FOUND | StatusCode::UNAUTHORIZED => Ok(false),
        _ => accepted(answer, StatusCode::OK).map(|_| true),
    }
}

fn accepted(answer: Answer, expected: StatusCode) -> anyhow::Result<Value> {
    if answer.status == expected {
        return Ok(serde_json::from_slice(&answer.body).unwrap_or_default());
    }
    bail!("{}", error_text(&answer))
}

/// A refusal in one line: status, code, message, and what to change if the server says it.
fn error_text(answer: &Answer) -> String {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let text = |pointer| body.pointer(pointer).and_then(Value::as_str).map(printable);
    let (code, message) = (text("/error/code").unwrap_or_default(), text("/error/message").unwrap_or_default());
    let detail = text("/error/details/0/message").map(|detail| format!(" ({detail})")).unwrap_or_default();
    format!("{} {code}: {message}{detail}", answer.status.as_u16())
}

/// What arrived.
#[derive(Default)]
struct Counts {
    notifications: AtomicU64,
    requests: AtomicU64,
    strangers: AtomicU64,
}

impl Counts {
    fn summary(&self) -> String {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (notifications, requests) = (count(&self.notifications), count(&self.requests));
        let mut text = format!("{} in {}.", counted(notifications, "notification"), counted(requests, "request"));
        if count(&self.strangers) > 0 {
            text.push_str(&format!(" {} had another clientState.", count(&self.strangers)));
        }
        text
    }
}

fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// The app's end: answers the handshake, prints, forwards.
#[derive(Clone)]
struct Receiver {
    json: bool,
    colour: bool,
    forward: Option<mpsc::Sender<Bytes>>,
    secret: String,
    counts: Arc<Counts>,
    clock: Clock,
}

impl Receiver {
    fn router(self) -> Router {
        Router::new().route(RECEIVER_PATH, post(receive)).route("/lifecycle", post(receive)).with_state(Arc::new(self))
    }

    fn print(&self, body: &Bytes) {
        let mut out = std::io::stdout().lock();
        // A reader that went away ends the output, not the command.
        if self.json {
            let line: Value = serde_json::from_slice(body).unwrap_or_default();
            let _ = writeln!(out, "{line}");
            return;
        }
        let Ok(collection) = serde_json::from_slice::<ReceivedCollection>(body) else {
            let _ = writeln!(out, "a body that is no notification: {} bytes", body.len());
            return;
        };
        for item in &collection.value {
            let _ = writeln!(out, "{}", self.line(item));
        }
    }

    fn count(&self, body: &Bytes) {
        self.counts.requests.fetch_add(1, Ordering::Relaxed);
        let Ok(collection) = serde_json::from_slice::<ReceivedCollection>(body) else { return };
        self.counts.notifications.fetch_add(collection.value.len() as u64, Ordering::Relaxed);
        let strange = collection.value.iter().filter(|item| item.client_state.as_deref() != Some(&self.secret));
        self.counts.strangers.fetch_add(strange.count() as u64, Ordering::Relaxed);
    }

    /// The time, what happened, and where to read it.
    fn line(&self, item: &ReceivedNotification) -> String {
        let now = self.clock.wall().whole_seconds().to_string();
        let what = item.lifecycle_event.as_deref().or(item.change_type.as_deref()).unwrap_or("?");
        let resource = item.resource.as_deref().unwrap_or("");
        let colour = match what {
            "created" => "32",
            "updated" => "33",
            "deleted" => "31",
            _ => "35",
        };
        let what = printable(what);
        let what = if self.colour { format!("\x1b[{colour}m{what:<8}\x1b[0m") } else { format!("{what:<8}") };
        let line = format!("{} {what} {}", now.get(11..19).unwrap_or(&now), printable(resource));
        line.trim_end().to_owned()
    }
}

async fn receive(State(receiver): State<Arc<Receiver>>, RawQuery(query): RawQuery, body: Bytes) -> Response {
    let query = query.unwrap_or_default();
    let token = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "validationToken");
    let mut response = Response::new(Body::empty());
    if let Some((_, token)) = token {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        *response.body_mut() = Body::from(token.into_owned());
        return response;
    }
    // When the app is far behind, the server shall keep the rest and come again.
    let Ok(room) = receiver.forward.as_ref().map(mpsc::Sender::try_reserve).transpose() else {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        return response;
    };
    receiver.count(&body);
    receiver.print(&body);
    if let Some(room) = room {
        room.send(body);
    }
    *response.status_mut() = StatusCode::ACCEPTED;
    response
}

/// Text from the network, without what would move a terminal's cursor.
fn printable(text: &str) -> String {
    text.chars().take(512).map(|letter| if letter.is_control() { '?' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use axum::Json;
    use axum::routing::get;
    use clap::Parser as _;
    use tokio::net::TcpListener;

    use super::*;

    fn receiver() -> Receiver {
        Receiver {
            json: false,
            colour: false,
            forward: None,
            secret: "s3cret".into(),
            counts: Arc::default(),
            clock: Clock::new(),
        }
    }

    fn item(change: Value) -> ReceivedNotification {
        let mut item = json!({"subscriptionId": "s", "subscriptionExpirationDateTime": "2026-11-24T10:00:00Z"});
        for (name, value) in change.as_object().unwrap() {
            item[name] = value.clone();
        }
        serde_json::from_value(item).unwrap()
    }

    #[test]
    fn a_notification_is_one_line_without_control_characters() {
        let line = |change| receiver().line(&item(change)).split_once(' ').unwrap().1.to_owned();
        assert_eq!(
            line(json!({"changeType": "created", "resource": "Users/u/Messages/m"})),
            "created  Users/u/Messages/m"
        );
        assert_eq!(line(json!({"lifecycleEvent": "missed"})), "missed");
        assert_eq!(line(json!({"changeType": "deleted", "resource": "a\u{1b}[2J\nb"})), "deleted  a?[2J?b");
    }

    #[test]
    fn the_summary_counts_notifications_and_strangers() {
        let receiver = receiver();
        let body = json!({"value": [item_json("s3cret"), item_json("s3cret"), item_json("guess")]});
        receiver.count(&Bytes::from(body.to_string()));
        assert_eq!(receiver.counts.summary(), "3 notifications in 1 request. 1 had another clientState.");
    }

    /// An API that has a subscription already, of a `listen` whose receiver is at `port`.
    async fn occupied(port: u16) -> Api {
        const MESSAGE: &str = "Subscription Id 592c8845-c877-4597-92e1-88945153eea8 already exists";
        let freed = Arc::new(AtomicBool::new(false));
        let create = async |State(freed): State<Arc<AtomicBool>>| match freed.load(Ordering::Relaxed) {
            true => (StatusCode::CREATED, Json(json!({"id": "new"}))),
            false => (StatusCode::CONFLICT, Json(json!({"error": {"code": "Conflict", "message": MESSAGE}}))),
        };
        let look = async move || Json(json!({"notificationUrl": format!("http://127.0.0.1:{port}/notifications")}));
        let free = async |State(freed): State<Arc<AtomicBool>>| {
            freed.store(true, Ordering::Relaxed);
            StatusCode::NO_CONTENT
        };
        let router = Router::new()
            .route("/v1.0/subscriptions", post(create))
            .route("/v1.0/subscriptions/592c8845-c877-4597-92e1-88945153eea8", get(look).delete(free))
            .with_state(freed);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Api { client: Client::new(None).unwrap(), base, token: "t".into(), mailbox: "me".into() }
    }

    #[tokio::test]
    async fn a_killed_listen_does_not_stand_in_the_way_and_a_running_one_does() {
        let options = Program::try_parse_from(["listen"]).unwrap().options;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
        let receiver = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = receiver.local_addr().unwrap().port();
        let error = occupied(port).await.subscribe(&options, address, "s").await.err().unwrap().to_string();
        assert!(error.contains("another `tidings listen`") && error.contains("409 Conflict: Sub"), "{error}");
        drop(receiver);
        assert_eq!(occupied(port).await.subscribe(&options, address, "s").await.unwrap().id, "new");
    }

    #[test]
    fn a_server_started_anew_does_not_have_the_subscription() {
        let there = |status| is_there(Answer { status, body: Bytes::from_static(b"{}") });
        assert!(there(StatusCode::OK).unwrap());
        assert!(!there(StatusCode::NOT_FOUND).unwrap());
        assert!(!there(StatusCode::UNAUTHORIZED).unwrap());
        assert!(there(StatusCode::SERVICE_UNAVAILABLE).is_err());
    }

    #[derive(clap::Parser)]
    struct Program {
        #[command(flatten)]
        options: Options,
    }

    fn item_json(state: &str) -> Value {
        json!({"subscriptionId": "s", "subscriptionExpirationDateTime": "2026-11-24T10:00:00Z", "clientState": state})
    }
}
