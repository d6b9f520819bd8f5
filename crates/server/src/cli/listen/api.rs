//! The server's Graph API as `tidings listen` uses it: it subscribes, renews, looks whether the subscription is
//! still there, and deletes it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use url::Url;
use uuid::Uuid;

use super::Options;
use super::hook::{LIFECYCLE_PATH, RECEIVER_PATH, printable};
use super::rich::{self, Pair};
use crate::cli::client::{Answer, Call, Client};
use crate::cli::ready::Ready;
use crate::clock::Clock;
use crate::data_dir::default_path;

/// How long a subscription is asked for.
pub const LIFE_MINUTES: i64 = 60;

/// The server's Graph API, as this command uses it.
pub struct Api {
    pub client: Client,
    pub base: String,
    /// The file of the development CA.
    pub ca: Option<PathBuf>,
    token: String,
    /// The mailbox's path: `users/…` or `me`.
    mailbox: String,
}

/// What the subscription shall be.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    pub resource: &'a str,
    pub change_types: &'a str,
    /// Where our end of it listens.
    pub receiver: SocketAddr,
    /// Its `clientState`.
    pub secret: &'a str,
}

pub struct Subscribed {
    pub id: String,
    /// The app's id, if the server tells it.
    pub app: Option<String>,
}

impl Api {
    pub fn find(options: &Options) -> anyhow::Result<Self> {
        let named = |user: &Option<String>| user.as_ref().map_or("me".to_owned(), |user| format!("users/{user}"));
        if let (Some(server), Some(token)) = (&options.server, &options.token) {
            let base = server.trim_end_matches('/').trim_end_matches("/v1.0").to_owned();
            let mailbox = named(&options.user);
            return Ok(Self { client: Client::new(None)?, base, ca: None, token: token.clone(), mailbox });
        }
        let dir = options.data_dir.clone().map_or_else(default_path, Ok)?;
        let ready = Ready::read(&dir)?;
        let base = ready.http.first().or(ready.https.first()).context("the server listens nowhere")?.clone();
        let user = options.user.clone().or_else(|| ready.users.first().map(|user| user.upn.clone()));
        let token = options.token.clone().unwrap_or(ready.app_token);
        Ok(Self { client: Client::new(ready.ca.as_deref())?, base, ca: ready.ca, token, mailbox: named(&user) })
    }

    /// What the options name, as a subscription does.
    pub fn resource(&self, options: &Options) -> anyhow::Result<String> {
        let path = options.resource.trim_start_matches('/');
        let is_whole = path.starts_with("me/") || path.starts_with("users/");
        // A resource outside of mailboxes, which no path below one is spelt like.
        let resource = match is_whole || graph::registry::place(path).is_ok() {
            true => path.to_owned(),
            false => format!("{}/{path}", self.mailbox),
        };
        if options.rich { rich::selecting(&resource, options.select.as_deref()) } else { Ok(resource) }
    }

    /// With resource data if there is a `pair` to seal it for.
    pub async fn subscribe(&self, asked: Asked<'_>, pair: Option<&Pair>) -> anyhow::Result<Subscribed> {
        let Asked { resource, change_types, receiver, secret } = asked;
        let mut body = json!({
            "changeType": change_types,
            "notificationUrl": format!("http://{receiver}{RECEIVER_PATH}"),
            "lifecycleNotificationUrl": format!("http://{receiver}{LIFECYCLE_PATH}"),
            "resource": resource,
            "expirationDateTime": expiry(),
            "clientState": secret,
        });
        if let Some(pair) = pair {
            pair.ask(&mut body);
        }
        let mut answer = self.call(Method::POST, "subscriptions", Some(body.clone())).await?;
        if answer.status == StatusCode::CONFLICT {
            if !self.clear(&answer).await? {
                bail!(
                    "another `tidings listen` or app watches the same; stop it, or ask for another --resource, \
                     --change-types{}: {}",
                    if pair.is_some() { " or --select" } else { "" },
                    error_text(&answer)
                );
            }
            answer = self.call(Method::POST, "subscriptions", Some(body)).await?;
        }
        let is_denied = answer.status == StatusCode::FORBIDDEN && pair.is_some();
        let what = match is_denied {
            false => "the server refused the subscription".to_owned(),
            true => format!(
                "the server refused the subscription to {resource}: the token must permit each selected property (a \
                 permission for basics permits neither bodyPreview nor body); name others with --select"
            ),
        };
        let answer = accepted(answer, StatusCode::CREATED).context(what)?;
        let text = |name| answer.get(name).and_then(Value::as_str).map(str::to_owned);
        let id = text("id").context("the server answered without an id")?;
        Ok(Subscribed { id, app: text("applicationId") })
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
    pub async fn renew(&self, id: &str) -> anyhow::Result<bool> {
        let body = json!({"expirationDateTime": expiry()});
        is_there(self.call(Method::PATCH, &format!("subscriptions/{id}"), Some(body)).await?)
    }

    pub async fn look(&self, id: &str) -> anyhow::Result<bool> {
        is_there(self.call(Method::GET, &format!("subscriptions/{id}"), None).await?)
    }

    pub async fn unsubscribe(&self, id: &str) {
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
    let details = body.pointer("/error/details").and_then(Value::as_array).into_iter().flatten();
    let details: Vec<_> = details.filter_map(|detail| detail["message"].as_str().map(printable)).collect();
    let details = if details.is_empty() { String::new() } else { format!(" ({})", details.join("; ")) };
    format!("{} {code}: {message}{details}", answer.status.as_u16())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use axum::extract::State;
    use axum::routing::{get, post};
    use axum::{Json, Router};
    use clap::Parser as _;
    use tokio::net::TcpListener;

    use super::*;

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
        Api { client: Client::new(None).unwrap(), base, ca: None, token: "t".into(), mailbox: "me".into() }
    }

    #[tokio::test]
    async fn a_killed_listen_does_not_stand_in_the_way_and_a_running_one_does() {
        let receiver = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
        let asked = Asked { resource: "me/messages", change_types: "created", receiver, secret: "s" };
        let receiver = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = receiver.local_addr().unwrap().port();
        let error = occupied(port).await.subscribe(asked, None).await.err().unwrap().to_string();
        assert!(error.contains("another `tidings listen`") && error.contains("409 Conflict: Sub"), "{error}");
        drop(receiver);
        assert_eq!(occupied(port).await.subscribe(asked, None).await.unwrap().id, "new");
    }

    #[test]
    fn a_server_started_anew_does_not_have_the_subscription() {
        let there = |status| is_there(Answer { status, body: Bytes::from_static(b"{}") });
        assert!(there(StatusCode::OK).unwrap());
        assert!(!there(StatusCode::NOT_FOUND).unwrap());
        assert!(!there(StatusCode::UNAUTHORIZED).unwrap());
        assert!(there(StatusCode::SERVICE_UNAVAILABLE).is_err());
    }

    #[test]
    fn a_refusal_is_told_with_all_that_the_server_says_of_it() {
        let body = json!({"error": {"code": "Forbidden", "message": "Denied.",
                                    "details": [{"message": "needed: a"}, {"message": "held:\u{1b} b"}]}});
        let answer = Answer { status: StatusCode::FORBIDDEN, body: Bytes::from(body.to_string()) };
        assert_eq!(error_text(&answer), "403 Forbidden: Denied. (needed: a; held:? b)");
    }

    #[tokio::test]
    async fn what_is_asked_for_is_known_before_a_key_is_made() {
        let api = occupied(9).await;
        let resource = |arguments: &str| {
            let program = Program::try_parse_from(arguments.split(' ')).map_err(|error| error.to_string())?;
            api.resource(&program.options).map_err(|error| error.to_string())
        };
        assert_eq!(resource("listen").unwrap(), "me/messages");
        assert_eq!(resource("listen --resource /users").unwrap(), "users");
        assert_eq!(
            resource("listen --resource users/u/events --rich --select subject,").unwrap_err().lines().next(),
            Some(
                "error: invalid value 'subject,' for '--select <LIST>': name each property, with commas between them: subject,from"
            )
        );
        for place in ["users", "users/622eaaff-0683-4862-9de4-f2ec83c2bd98"] {
            let refused = resource(&format!("listen --rich --resource {place}")).unwrap_err();
            assert!(refused.starts_with("only messages, events and contacts have resource data"), "{refused}");
        }
    }

    #[derive(clap::Parser)]
    struct Program {
        #[command(flatten)]
        options: Options,
    }
}
