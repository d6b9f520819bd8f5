//! The app's end of `tidings listen`: it answers the handshake, prints, counts, and hands on what is to be
//! forwarded. [`super::rich`] opens what is sealed.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ::receiver::{ClientState, handshake};
use axum::Router;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use axum::routing::post;
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use protocol::notification::{ReceivedCollection, ReceivedNotification};
use serde::de::IgnoredAny;
use tokio::sync::mpsc;

use super::rich::{Opened, Opener};
use crate::clock::Clock;

/// The path of our receiver, by which the subscription of an earlier `listen` is known.
pub const RECEIVER_PATH: &str = "/notifications";
pub const LIFECYCLE_PATH: &str = "/lifecycle";

/// Of one text that is printed.
const LETTERS_MAX: usize = 512;
/// Content stands below what happened.
const CONTENT_INDENT: usize = 9;

/// What arrived.
#[derive(Default)]
pub struct Counts {
    notifications: AtomicU64,
    requests: AtomicU64,
    strangers: AtomicU64,
    opened: AtomicU64,
    /// Sealed, and not opened.
    closed: AtomicU64,
}

impl Counts {
    pub fn summary(&self) -> String {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (notifications, requests) = (count(&self.notifications), count(&self.requests));
        let mut text = format!("{} in {}.", counted(notifications, "notification"), counted(requests, "request"));
        if count(&self.strangers) > 0 {
            text.push_str(&format!(" {} had another clientState.", count(&self.strangers)));
        }
        if count(&self.opened) > 0 {
            text.push_str(&format!(" {} opened.", count(&self.opened)));
        }
        if count(&self.closed) > 0 {
            text.push_str(&format!(" {} not opened.", count(&self.closed)));
        }
        text
    }
}

pub fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// The app's end: answers the handshake, prints, forwards.
#[derive(Clone)]
pub struct Hook {
    pub json: bool,
    pub colour: bool,
    /// With `--rich`.
    pub opener: Option<Arc<Opener>>,
    pub forward: Option<mpsc::Sender<Bytes>>,
    pub state: ClientState,
    pub counts: Arc<Counts>,
    pub clock: Clock,
}

impl Hook {
    pub fn router(self) -> Router {
        Router::new()
            .route(RECEIVER_PATH, post(receive))
            .route(LIFECYCLE_PATH, post(receive))
            .with_state(Arc::new(self))
    }

    /// Prints what a request's body tells, with what is sealed in it `opened`: in the order of its items. As JSON it
    /// is the body alone, so that each line can be posted to another receiver.
    fn print(&self, body: &Bytes, items: Option<&[ReceivedNotification]>, opened: &[Opened]) {
        let mut out = std::io::stdout().lock();
        if !self.json {
            // A reader that went away ends the output, not the command.
            let _ = match items {
                Some(items) => self.print_lines(&mut out, items, opened),
                None => writeln!(out, "a body that is no notification: {} bytes", body.len()),
            };
            return;
        }
        for opened in opened.iter().filter(|opened| matches!(opened, Opened::Trouble(_))) {
            opened.lines().iter().for_each(|line| eprintln!("tidings: {line}"));
        }
        match on_one_line(body) {
            Some(line) => drop(writeln!(out, "{line}")),
            None => eprintln!("tidings: a body that is not JSON: {} bytes", body.len()),
        }
    }

    fn print_lines(&self, out: &mut impl Write, items: &[ReceivedNotification], opened: &[Opened]) -> io::Result<()> {
        for (index, item) in items.iter().enumerate() {
            writeln!(out, "{}", self.line(item))?;
            for line in opened.get(index).map(Opened::lines).unwrap_or_default() {
                writeln!(out, "{:CONTENT_INDENT$}{line}", "")?;
            }
        }
        Ok(())
    }

    fn count(&self, items: &[ReceivedNotification], opened: &[Opened]) {
        for opened in opened {
            match opened {
                Opened::Content(_) => self.counts.opened.fetch_add(1, Ordering::Relaxed),
                Opened::Trouble(_) => self.counts.closed.fetch_add(1, Ordering::Relaxed),
                Opened::Without | Opened::Gone | Opened::Withheld => 0,
            };
        }
        self.counts.requests.fetch_add(1, Ordering::Relaxed);
        self.counts.notifications.fetch_add(items.len() as u64, Ordering::Relaxed);
        let is_known =
            |item: &&ReceivedNotification| item.client_state.as_deref().is_some_and(|text| self.state.is(text));
        let strange = items.iter().filter(|item| !is_known(item));
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

async fn receive(State(hook): State<Arc<Hook>>, RawQuery(query): RawQuery, body: Bytes) -> Response {
    let mut response = Response::new(Body::empty());
    if let Some(token) = handshake::answer(&query.unwrap_or_default()) {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(handshake::CONTENT_TYPE));
        *response.body_mut() = Body::from(token);
        return response;
    }
    // When the app is far behind, the server shall keep the rest and come again.
    let Ok(room) = hook.forward.as_ref().map(mpsc::Sender::try_reserve).transpose() else {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        return response;
    };
    let collection = serde_json::from_slice::<ReceivedCollection>(&body).ok();
    let items = collection.as_ref().map(|collection| collection.value.as_slice());
    let opened = match &hook.opener {
        Some(opener) => opener.open(&body, items.unwrap_or_default()).await,
        None => Ok(Vec::new()),
    };
    let Ok(opened) = opened else {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        return response;
    };
    hook.count(items.unwrap_or_default(), &opened);
    hook.print(&body, items, &opened);
    if let Some(room) = room {
        room.send(body);
    }
    *response.status_mut() = StatusCode::ACCEPTED;
    response
}

/// A body as it came, if it is JSON. A line break in it is white space between its parts: there it says nothing.
fn on_one_line(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    serde_json::from_str::<IgnoredAny>(text).ok()?;
    Some(text.replace(['\r', '\n'], " "))
}

/// Whether a letter moves a terminal's cursor or turns the direction of writing.
pub fn is_unfit(letter: char) -> bool {
    let turns =
        matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || letter.is_control()
}

/// Text from the network, without what is unfit for a terminal. What is too long for it ends in `…`.
pub fn printable(text: &str) -> String {
    let mut letters = text.chars();
    let mut shown: String =
        letters.by_ref().take(LETTERS_MAX).map(|letter| if is_unfit(letter) { '?' } else { letter }).collect();
    if letters.next().is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn hook() -> Hook {
        Hook {
            json: false,
            colour: false,
            opener: None,
            forward: None,
            state: ClientState::new("s3cret"),
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
        let line = |change| hook().line(&item(change)).split_once(' ').unwrap().1.to_owned();
        assert_eq!(
            line(json!({"changeType": "created", "resource": "Users/u/Messages/m"})),
            "created  Users/u/Messages/m"
        );
        assert_eq!(line(json!({"lifecycleEvent": "missed"})), "missed");
        assert_eq!(line(json!({"changeType": "deleted", "resource": "a\u{1b}[2J\nb"})), "deleted  a?[2J?b");
        assert_eq!(line(json!({"changeType": "updated", "resource": "\u{202e}gpj.exe"})), "updated  ?gpj.exe");
    }

    #[test]
    fn a_body_is_kept_as_it_came_on_one_line() {
        let body = b"{ \"value\":[],\r\n\"b\": 1.0,\"a\":\"\\n\"}";
        assert_eq!(on_one_line(body).unwrap(), r#"{ "value":[],  "b": 1.0,"a":"\n"}"#);
        for odd in [&b"{"[..], b"", b"\"\xff\"", b"\"\n\""] {
            assert_eq!(on_one_line(odd), None);
        }
    }

    #[test]
    fn what_is_cut_says_so() {
        assert_eq!(printable(&"ä".repeat(LETTERS_MAX)), "ä".repeat(LETTERS_MAX));
        assert_eq!(printable(&"ä".repeat(LETTERS_MAX + 1)), "ä".repeat(LETTERS_MAX) + "…");
    }

    #[test]
    fn the_summary_counts_notifications_and_strangers() {
        let hook = hook();
        let of = |state: &str| item(json!({"clientState": state}));
        hook.count(&[of("s3cret"), of("s3cret"), of("guess")], &[]);
        assert_eq!(hook.counts.summary(), "3 notifications in 1 request. 1 had another clientState.");
    }
}
