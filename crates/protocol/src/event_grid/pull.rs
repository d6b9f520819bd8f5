//! Pull delivery as Event Grid's data plane has it (api-version 2024-06-01): what is asked for, and the bodies of its
//! answers.

use serde::{Deserialize, Serialize};

use super::management::is_object;
use crate::cloud_event::CloudEvent;

/// The most lock tokens of one request; ours, ten times what one receive gives.
pub const LOCK_TOKENS_MAX: usize = 1_000;
/// How long an event that is released may be kept back, in seconds: one of these.
pub const RELEASE_DELAYS_SECONDS: [u32; 5] = [0, 10, 60, 600, 3_600];

/// The versions of the API that are spoken, which are alike.
pub const API_VERSIONS: [&str; 2] = ["2024-06-01", "2023-11-01"];

/// An operation, and on what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route<'a> {
    Publish { topic: &'a str },
    Receive { topic: &'a str, event_subscription: &'a str },
    Settle { topic: &'a str, event_subscription: &'a str, how: Settling },
}

/// What is done by lock tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settling {
    Acknowledge,
    Release,
    Reject,
    RenewLock,
}

impl<'a> Route<'a> {
    /// From a path; `None`: it is none of the data plane. Its fixed parts are read in any case.
    pub fn parse(path: &'a str) -> Option<Self> {
        let mut parts = path.trim_start_matches('/').split('/');
        let (topics, named) = (parts.next()?, parts.next()?);
        if !topics.eq_ignore_ascii_case("topics") {
            return None;
        }
        let Some(subscriptions) = parts.next() else {
            let (topic, operation) = named.split_once(':')?;
            let is_publish = operation.eq_ignore_ascii_case("publish") && !topic.is_empty();
            return is_publish.then_some(Self::Publish { topic });
        };
        let (event_subscription, operation) = parts.next()?.split_once(':')?;
        let is_whole = parts.next().is_none() && !named.is_empty() && !event_subscription.is_empty();
        if !is_whole || !subscriptions.eq_ignore_ascii_case("eventsubscriptions") {
            return None;
        }
        let settle = |how| Some(Self::Settle { topic: named, event_subscription, how });
        match operation.to_ascii_lowercase().as_str() {
            "receive" => Some(Self::Receive { topic: named, event_subscription }),
            "acknowledge" => settle(Settling::Acknowledge),
            "release" => settle(Settling::Release),
            "reject" => settle(Settling::Reject),
            "renewlock" => settle(Settling::RenewLock),
            _ => None,
        }
    }

    pub fn topic(&self) -> &'a str {
        match self {
            Self::Publish { topic } | Self::Receive { topic, .. } | Self::Settle { topic, .. } => topic,
        }
    }
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPull {
    #[error("maxEvents must be a number from 1 to 100")]
    Events,
    #[error("maxWaitTime must be a number of seconds from 10 to 120")]
    WaitTime,
    #[error("releaseDelayInSeconds must be 0, 10, 60, 600 or 3600")]
    ReleaseDelay,
    #[error("the body must be {{\"lockTokens\":[\"…\"]}}: {0}")]
    Body(String),
    #[error("lockTokens is empty; name at least one")]
    NoTokens,
    #[error("more than {LOCK_TOKENS_MAX} lockTokens; send the others in another request")]
    TooManyTokens,
}

/// What a receive asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receive {
    pub events_max: u32,
    /// How long it waits for the first event.
    pub wait_seconds: u32,
}

impl Receive {
    /// From the values of `maxEvents` and `maxWaitTime` in the query.
    pub fn parse(max_events: Option<&str>, max_wait_time: Option<&str>) -> Result<Self, InvalidPull> {
        let within = |text: Option<&str>, default: u32, least: u32, most: u32| match text {
            None => Some(default),
            Some(text) => text.parse().ok().filter(|number| (least..=most).contains(number)),
        };
        Ok(Self {
            events_max: within(max_events, 1, 1, 100).ok_or(InvalidPull::Events)?,
            wait_seconds: within(max_wait_time, 60, 10, 120).ok_or(InvalidPull::WaitTime)?,
        })
    }
}

/// The value of `releaseDelayInSeconds`.
pub fn release_delay_seconds(text: Option<&str>) -> Result<u32, InvalidPull> {
    let seconds = text.map_or(Ok(0), str::parse).map_err(|_| InvalidPull::ReleaseDelay)?;
    Some(seconds).filter(|seconds| RELEASE_DELAYS_SECONDS.contains(seconds)).ok_or(InvalidPull::ReleaseDelay)
}

/// The answer to a receive; without events when none came in time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Events<'a> {
    pub value: Vec<LockedEvent<'a>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LockedEvent<'a> {
    pub broker_properties: BrokerProperties,
    pub event: &'a CloudEvent,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BrokerProperties {
    pub lock_token: String,
    /// From 1.
    pub delivery_count: u32,
}

/// Reads the body of acknowledge, release, reject and renewLock. Tokens may be doubled and may be anything.
pub fn lock_tokens(body: &[u8]) -> Result<Vec<String>, InvalidPull> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Body {
        lock_tokens: Vec<String>,
    }
    // An array would be taken for the members in their order.
    if !is_object(body) {
        return Err(InvalidPull::Body("it is no object".to_owned()));
    }
    let Body { lock_tokens } = serde_json::from_slice(body).map_err(|error| InvalidPull::Body(error.to_string()))?;
    match lock_tokens.len() {
        0 => Err(InvalidPull::NoTokens),
        1..=LOCK_TOKENS_MAX => Ok(lock_tokens),
        _ => Err(InvalidPull::TooManyTokens),
    }
}

/// The answer to acknowledge, release, reject and renewLock, with 200 even if some or all tokens failed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Settled {
    pub failed_lock_tokens: Vec<FailedLockToken>,
    pub succeeded_lock_tokens: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedLockToken {
    pub lock_token: String,
    pub error: LockTokenError,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LockTokenError {
    pub code: &'static str,
    pub message: &'static str,
}

/// Why a token does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockTokenFailure {
    /// It is none of this event subscription.
    Bad,
    /// Its time has passed, or it has been used.
    Lost,
}

impl Settled {
    pub fn fail(&mut self, lock_token: String, failure: LockTokenFailure) {
        let (code, message) = match failure {
            LockTokenFailure::Bad => ("BadToken", "the lock token is not one of this event subscription"),
            LockTokenFailure::Lost => ("TokenLost", "the lock has expired or was given up; receive the event again"),
        };
        self.failed_lock_tokens.push(FailedLockToken { lock_token, error: LockTokenError { code, message } });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_named_behind_a_colon() {
        assert_eq!(Route::parse("/topics/mail:publish"), Some(Route::Publish { topic: "mail" }));
        let receive = Route::Receive { topic: "mail", event_subscription: "worker" };
        assert_eq!(Route::parse("/topics/mail/eventsubscriptions/worker:receive"), Some(receive));
        assert_eq!(Route::parse("/Topics/mail/eventSubscriptions/worker:Receive"), Some(receive));
        for (name, how) in [
            ("acknowledge", Settling::Acknowledge),
            ("release", Settling::Release),
            ("reject", Settling::Reject),
            ("renewLock", Settling::RenewLock),
        ] {
            let path = format!("/topics/mail/eventsubscriptions/worker:{name}");
            let settle = Route::Settle { topic: "mail", event_subscription: "worker", how };
            assert_eq!(Route::parse(&path), Some(settle));
            assert_eq!(settle.topic(), "mail");
        }
        for other in [
            "/",
            "/topics",
            "/topics/mail",
            "/topics/:publish",
            "/topics/mail:receive",
            "/topics/mail/eventsubscriptions/worker",
            "/topics/mail/eventsubscriptions/:receive",
            "/topics//eventsubscriptions/worker:receive",
            "/topics/mail/eventsubscriptions/worker:renewLocks",
            "/topics/mail/eventsubscriptions/worker:receive/more",
            "/topics/mail/subscriptions/worker:receive",
            "/v1.0/topics/mail:publish",
        ] {
            assert_eq!(Route::parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_receive_gets_one_event_and_waits_a_minute_unless_it_asks_for_more() {
        assert_eq!(Receive::parse(None, None), Ok(Receive { events_max: 1, wait_seconds: 60 }));
        assert_eq!(Receive::parse(Some("100"), Some("120")), Ok(Receive { events_max: 100, wait_seconds: 120 }));
        assert_eq!(Receive::parse(Some("1"), Some("10")), Ok(Receive { events_max: 1, wait_seconds: 10 }));
        for bad in ["0", "101", "-1", "ten", "", "1.5", "99999999999"] {
            assert_eq!(Receive::parse(Some(bad), None), Err(InvalidPull::Events), "{bad}");
        }
        for bad in ["9", "121", ""] {
            assert_eq!(Receive::parse(None, Some(bad)), Err(InvalidPull::WaitTime), "{bad}");
        }
    }

    #[test]
    fn a_release_is_delayed_by_one_of_five_times() {
        assert_eq!(release_delay_seconds(None), Ok(0));
        for seconds in RELEASE_DELAYS_SECONDS {
            assert_eq!(release_delay_seconds(Some(&seconds.to_string())), Ok(seconds));
        }
        for bad in ["5", "3601", "-10", "", "ten"] {
            assert_eq!(release_delay_seconds(Some(bad)), Err(InvalidPull::ReleaseDelay), "{bad}");
        }
    }

    #[test]
    fn received_events_stand_beside_their_locks() {
        let event =
            CloudEvent::from_json(br#"{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{}}"#).unwrap();
        let broker_properties = BrokerProperties { lock_token: "CiYKJD".to_owned(), delivery_count: 1 };
        let events = Events { value: vec![LockedEvent { broker_properties, event: &event }] };
        insta::assert_snapshot!(serde_json::to_string(&events).unwrap(), @r#"{"value":[{"brokerProperties":{"lockToken":"CiYKJD","deliveryCount":1},"event":{"id":"1","type":"t","source":"/s","specversion":"1.0","data":{}}}]}"#);
        assert_eq!(serde_json::to_string(&Events::default()).unwrap(), r#"{"value":[]}"#);
    }

    #[test]
    fn each_lock_token_has_a_result_of_its_own() {
        let mut settled = Settled { succeeded_lock_tokens: vec!["a".to_owned()], ..Settled::default() };
        settled.fail("b".to_owned(), LockTokenFailure::Lost);
        settled.fail("c".to_owned(), LockTokenFailure::Bad);
        insta::assert_snapshot!(serde_json::to_string(&settled).unwrap(), @r#"{"failedLockTokens":[{"lockToken":"b","error":{"code":"TokenLost","message":"the lock has expired or was given up; receive the event again"}},{"lockToken":"c","error":{"code":"BadToken","message":"the lock token is not one of this event subscription"}}],"succeededLockTokens":["a"]}"#);
    }

    #[test]
    fn lock_tokens_are_read_and_bounded() {
        assert_eq!(lock_tokens(br#"{"lockTokens":["a","a"]}"#), Ok(vec!["a".to_owned(), "a".to_owned()]));
        assert_eq!(lock_tokens(br#"{"lockTokens":[]}"#), Err(InvalidPull::NoTokens));
        let many = |count: usize| serde_json::json!({ "lockTokens": vec!["a"; count] }).to_string();
        assert_eq!(lock_tokens(many(LOCK_TOKENS_MAX).as_bytes()).map(|tokens| tokens.len()), Ok(LOCK_TOKENS_MAX));
        assert_eq!(lock_tokens(many(LOCK_TOKENS_MAX + 1).as_bytes()), Err(InvalidPull::TooManyTokens));
        for bad in [&b""[..], b"[]", br#"[["a"]]"#, b"{}", br#"{"lockTokens":"a"}"#, br#"{"lockTokens":[1]}"#, b"\xff"]
        {
            let error = lock_tokens(bad).unwrap_err();
            assert!(error.to_string().starts_with("the body must be {\"lockTokens\":[\"…\"]}: "), "{error}");
        }
    }
}
