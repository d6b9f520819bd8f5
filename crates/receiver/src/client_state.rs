//! `clientState`: the secret that an app gives with its subscription, and that every notification of it repeats.
//!
//! Your URL is public, so anybody can post to it. It is how you know that a notification is of a
//! subscription of yours: choose it at random, at most 128 characters, and show it to nobody.

use std::fmt;

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use subtle::ConstantTimeEq;

use crate::receiver::Refused;
use crate::validation_token::clipped;

/// A `clientState` to compare with. The text itself is not kept, only its SHA-256.
#[derive(Clone)]
pub struct ClientState([u8; SHA256_OUTPUT_LEN]);

impl ClientState {
    /// What the subscription was made with.
    pub fn new(text: &str) -> Self {
        Self(sha256(text))
    }

    /// Whether `given` is the same. Takes no longer for a good guess than for a bad one, and the length
    /// has no part in it: digests of one length are compared, all of each.
    pub fn is(&self, given: &str) -> bool {
        self.0.ct_eq(&sha256(given)).into()
    }
}

fn sha256(text: &str) -> [u8; SHA256_OUTPUT_LEN] {
    let mut bytes = [0; SHA256_OUTPUT_LEN];
    bytes.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    bytes
}

impl fmt::Debug for ClientState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientState(…)")
    }
}

type Lookup = dyn Fn(&str) -> Option<ClientState> + Send + Sync;

/// Those of all subscriptions.
#[derive(Default)]
pub(crate) struct ClientStates {
    /// Any of these is good for a subscription without one of its own.
    pub(crate) shared: Vec<ClientState>,
    /// That of one subscription, by its id.
    pub(crate) lookup: Option<Box<Lookup>>,
}

impl ClientStates {
    pub(crate) fn is_empty(&self) -> bool {
        self.shared.is_empty() && self.lookup.is_none()
    }

    pub(crate) fn check(&self, subscription_id: &str, given: Option<&str>) -> Result<(), Refused> {
        let own = self.lookup.as_ref().and_then(|lookup| lookup(subscription_id));
        let candidates = own.as_ref().map_or(self.shared.as_slice(), std::slice::from_ref);
        if candidates.is_empty() {
            return Err(Refused::UnknownSubscription(clipped(subscription_id)));
        }
        let given = given.ok_or_else(|| Refused::NoClientState(clipped(subscription_id)))?;
        let given = sha256(given);
        // All are looked at, so that the time does not tell which one it was.
        let good = candidates.iter().fold(subtle::Choice::from(0), |good, state| good | state.0.ct_eq(&given));
        if good.into() { Ok(()) } else { Err(Refused::WrongClientState(clipped(subscription_id))) }
    }
}

impl fmt::Debug for ClientStates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientStates")
            .field("shared", &self.shared.len())
            .field("lookup", &self.lookup.is_some())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(texts: &[&str]) -> ClientStates {
        ClientStates { shared: texts.iter().map(|text| ClientState::new(text)).collect(), lookup: None }
    }

    #[test]
    fn only_the_whole_text_is_the_same() {
        let state = ClientState::new("s3cret");
        assert!(state.is("s3cret"));
        for guess in ["", "s", "s3cre", "s3cret ", "S3cret", "s3crets"] {
            assert!(!state.is(guess), "{guess}");
        }
    }

    #[test]
    fn a_client_state_and_the_one_before_are_good_while_it_changes() {
        let states = shared(&["new", "old"]);
        assert_eq!(states.check("s", Some("new")), Ok(()));
        assert_eq!(states.check("s", Some("old")), Ok(()));
        assert_eq!(states.check("s", Some("older")), Err(Refused::WrongClientState("s".into())));
        assert_eq!(states.check("s", None), Err(Refused::NoClientState("s".into())));
    }

    #[test]
    fn a_subscription_with_a_client_state_of_its_own_takes_no_other() {
        let lookup = |id: &str| (id == "a").then(|| ClientState::new("of a"));
        let mut states = ClientStates { lookup: Some(Box::new(lookup)), ..shared(&[]) };
        assert_eq!(states.check("a", Some("of a")), Ok(()));
        for given in [Some("of a"), None] {
            assert_eq!(states.check("b", given), Err(Refused::UnknownSubscription("b".into())));
        }
        states.shared = shared(&["of all"]).shared;
        assert_eq!(states.check("b", Some("of all")), Ok(()));
        assert_eq!(states.check("a", Some("of all")), Err(Refused::WrongClientState("a".into())));
    }

    #[test]
    fn a_client_state_is_not_shown() {
        let states = shared(&["s3cret"]);
        assert_eq!(
            format!("{:?} {states:?}", states.shared[0]),
            "ClientState(…) ClientStates { shared: 1, lookup: false }"
        );
    }
}
