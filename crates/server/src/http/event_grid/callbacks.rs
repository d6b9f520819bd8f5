//! The URLs that endpoints are told in a handshake, and that consent for them when somebody reads them: whoever does has
//! the code, which nobody can guess, and which counts once.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use graph::TopicId;
use http::Method;
use notify::topic::{Awaited, is_event_subscription_name};
use serde_json::json;

use super::refusal::Refusal;
use super::{Call, Done, standing};
use crate::ids;

/// Where the URLs lie.
const BELOW: &str = "/event-grid/validate/";
/// Longer codes are none.
const CODE_BYTES_MAX: usize = 128;

/// The event subscription that a URL is for.
pub struct Callback<'a> {
    topic: TopicId,
    event_subscription: &'a str,
}

impl<'a> Callback<'a> {
    pub fn parse(path: &'a str) -> Option<Self> {
        let (topic, event_subscription) = path.strip_prefix(BELOW)?.split_once('/')?;
        let topic = TopicId(topic.parse().ok()?);
        is_event_subscription_name(event_subscription).then_some(Self { topic, event_subscription })
    }
}

/// What an endpoint is told, and what is known of it here.
pub struct Code {
    pub hash: [u8; 32],
    pub url: String,
}

impl Code {
    /// `origin` is where this server is reached.
    pub fn new(origin: &str, topic: TopicId, event_subscription: &str) -> Self {
        let code = ids::new_secret();
        Self { hash: hash(&code), url: format!("{origin}{BELOW}{topic}/{event_subscription}?code={code}") }
    }
}

/// The codes of handshakes that are under way here: an endpoint may use its code before it has answered.
#[derive(Default)]
pub struct Callbacks(Mutex<HashMap<[u8; 32], bool>>);

/// One of them, for as long as it is under way.
pub struct Expected<'a> {
    callbacks: &'a Callbacks,
    hash: [u8; 32],
}

impl Callbacks {
    pub fn expect(&self, hash: [u8; 32]) -> Expected<'_> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(hash, false);
        Expected { callbacks: self, hash }
    }

    /// Whether the code is expected; it has been used then.
    fn meet(&self, hash: &[u8; 32]) -> bool {
        let mut expected = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        expected.get_mut(hash).map(|met| *met = true).is_some()
    }
}

impl Expected<'_> {
    /// The hash of the code if it has been used; it is not expected any more.
    pub fn met(self) -> Option<[u8; 32]> {
        let mut expected = self.callbacks.0.lock().unwrap_or_else(PoisonError::into_inner);
        expected.remove(&self.hash).unwrap_or_default().then_some(self.hash)
    }
}

impl Drop for Expected<'_> {
    fn drop(&mut self) {
        self.callbacks.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.hash);
    }
}

/// A GET or POST of such a URL. Whatever is wrong with it, the answer is the same.
pub(super) async fn answer(call: &Call<'_>, of: &Callback<'_>) -> Result<Done, Refusal> {
    if call.method != Method::GET && call.method != Method::POST {
        return Err(call.other_method());
    }
    let code = call.option("code").filter(|code| code.len() <= CODE_BYTES_MAX).ok_or(Refusal::Code)?;
    let hash = hash(code);
    let done = Done::ok(&json!({ "message": "The endpoint is validated; events are pushed to it from now on." }));
    if call.state.callbacks.meet(&hash) {
        return Ok(done);
    }
    let now = call.state.clock.wall();
    let is_it = |awaited: &Awaited| verify_slices_are_equal(&awaited.code_hash, &hash).is_ok() && now < awaited.until;
    let consented = standing::consent(call.state, (of.topic, of.event_subscription), is_it).await?;
    consented.map(|_| done).ok_or(Refusal::Code)
}

fn hash(code: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, code.as_bytes()).as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_expected_while_its_handshake_is_under_way() {
        let callbacks = Callbacks::default();
        let expected = callbacks.expect([1; 32]);
        assert!(!callbacks.meet(&[2; 32]) && callbacks.meet(&[1; 32]));
        assert_eq!(expected.met(), Some([1; 32]));
        assert!(!callbacks.meet(&[1; 32]));
        assert_eq!(callbacks.expect([1; 32]).met(), None);
        drop(callbacks.expect([1; 32]));
        assert!(!callbacks.meet(&[1; 32]));
    }

    #[test]
    fn a_url_names_its_event_subscription_and_holds_a_code_of_its_own() {
        let topic = TopicId(uuid::Uuid::from_u128(7));
        let (one, other) = (Code::new("https://h", topic, "worker"), Code::new("https://h", topic, "worker"));
        assert_ne!(one.hash, other.hash);
        let (path, code) = one.url.strip_prefix("https://h").unwrap().split_once("?code=").unwrap();
        let callback = Callback::parse(path).unwrap();
        assert_eq!((callback.topic, callback.event_subscription), (topic, "worker"));
        assert_eq!(hash(code), one.hash);
        for other in ["/event-grid/validate/x/worker", "/event-grid/validate", "/event-grid/validate/7/a b"] {
            assert!(Callback::parse(other).is_none(), "{other}");
        }
    }
}
