//! The app's end of `tidings listen`: it answers the handshake, prints, counts, and hands on what is to be
//! forwarded.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use axum::routing::post;
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use protocol::notification::{ReceivedCollection, ReceivedNotification};
use serde_json::Value;
use tokio::sync::mpsc;

use crate::clock::Clock;

/// The path of our receiver, by which the subscription of an earlier `listen` is known.
pub const RECEIVER_PATH: &str = "/notifications";
pub const LIFECYCLE_PATH: &str = "/lifecycle";

/// What arrived.
#[derive(Default)]
pub struct Counts {
    notifications: AtomicU64,
    requests: AtomicU64,
    strangers: AtomicU64,
}

impl Counts {
    pub fn summary(&self) -> String {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (notifications, requests) = (count(&self.notifications), count(&self.requests));
        let mut text = format!("{} in {}.", counted(notifications, "notification"), counted(requests, "request"));
        if count(&self.strangers) > 0 {
            text.push_str(&format!(" {} had another clientState.", count(&self.strangers)));
        }
        text
    }
}

pub fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// The app's end: answers the handshake, prints, forwards.
#[derive(Clone)]
pub struct Receiver {
    pub json: bool,
    pub colour: bool,
    pub forward: Option<mpsc::Sender<Bytes>>,
    pub secret: String,
    pub counts: Arc<Counts>,
    pub clock: Clock,
}

impl Receiver {
    pub fn router(self) -> Router {
        Router::new()
            .route(RECEIVER_PATH, post(receive))
            .route(LIFECYCLE_PATH, post(receive))
            .with_state(Arc::new(self))
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
pub fn printable(text: &str) -> String {
    text.chars().take(512).map(|letter| if letter.is_control() { '?' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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

    fn item_json(state: &str) -> Value {
        json!({"subscriptionId": "s", "subscriptionExpirationDateTime": "2026-11-24T10:00:00Z", "clientState": state})
    }
}
