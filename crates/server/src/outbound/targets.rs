//! URLs that have passed the policy and are ready to be called, so that an attempt parses nothing.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use http::Uri;
use url::Url;

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

/// The form in which the client calls `url`, if the policy allows that.
fn call_uri(policy: &Policy, url: &str) -> Result<Uri, Refusal> {
    uri(policy.check_kept_url(url)?)
}

/// A URL that the policy allows, for the client.
pub fn uri(url: Url) -> Result<Uri, Refusal> {
    url.as_str().parse().map_err(|_| Refusal::Url("it holds characters that a request line cannot"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use url::Position;

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
    fn the_query_is_kept() {
        let uri = call_uri(&Policy::default(), "https://h.example/n?k=%2F&a={b}").unwrap();
        assert_eq!(uri.to_string(), "https://h.example/n?k=%2F&a={b}");
    }

    proptest! {
        #[test]
        fn what_is_judged_is_what_is_called(
            scheme in "(https|http|HTTPS|ftp)?:?/{0,3}",
            authority in "[-a-zA-Z0-9.:@%_\\[\\]①ü]{0,30}|[0-9a-fx.]{1,15}|\\[[0-9a-f:.]{2,20}\\]",
            rest in "([/?#]\\PC{0,30})?",
        ) {
            for policy in [Policy::default(), Policy { dev: true, ..Policy::default() }] {
                let text = format!("{scheme}{authority}{rest}");
                let strict = policy.check_url(&text);
                let Ok(url) = policy.check_kept_url(&text) else {
                    prop_assert!(strict.is_err(), "what is taken is called");
                    continue;
                };
                prop_assert_eq!(policy.check_kept_url(url.as_str()), Ok(url.clone()), "judged as it is called");
                prop_assert!(strict.is_err() || strict == Ok(url.clone()), "one reading");
                let Ok(uri) = call_uri(&policy, &text) else { continue };
                prop_assert_eq!(uri.scheme_str(), Some(url.scheme()));
                prop_assert_eq!(uri.host(), url.host_str());
                prop_assert_eq!(uri.port_u16(), url.port());
                let path = uri.path_and_query().map_or("", |path| path.as_str());
                prop_assert_eq!(path, &url[Position::BeforePath..]);
                prop_assert!(!uri.authority().is_some_and(|authority| authority.as_str().contains('@')));
            }
        }
    }
}
