//! URLs that have passed the policy and are ready to be called, so that an attempt parses nothing.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use http::Uri;

use super::policy::{Policy, Refusal};

/// Emptied when full: the ones in use are back at once.
const TARGETS_MAX: usize = 8192;

#[derive(Default)]
pub struct Targets {
    known: RwLock<HashMap<Box<str>, Uri>>,
}

impl Targets {
    pub fn get(&self, policy: &Policy, url: &str) -> Result<Uri, Refusal> {
        if let Some(uri) = self.known.read().unwrap_or_else(PoisonError::into_inner).get(url) {
            return Ok(uri.clone());
        }
        let uri = call_uri(policy, url)?;
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= TARGETS_MAX {
            known.clear();
        }
        known.insert(url.into(), uri.clone());
        Ok(uri)
    }
}

/// The form in which the client calls `url`, if the policy allows its text.
pub fn call_uri(policy: &Policy, url: &str) -> Result<Uri, Refusal> {
    let mut url = policy.check_url(url)?;
    url.set_fragment(None);
    url.as_str().parse().map_err(|_| Refusal::Url("it holds characters that a request line cannot"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_cache_starts_again() {
        let (targets, policy) = (Targets::default(), Policy::default());
        for n in 0..=TARGETS_MAX {
            targets.get(&policy, &format!("https://h/{n}")).unwrap();
        }
        assert_eq!(targets.known.read().unwrap().len(), 1);
    }

    #[test]
    fn the_query_is_kept_and_the_fragment_is_not() {
        let uri = call_uri(&Policy::default(), "https://h.example/n?k=%2F&a={b}#top").unwrap();
        assert_eq!(uri.to_string(), "https://h.example/n?k=%2F&a={b}");
    }
}
