//! Validation tokens: what proves to a receiver that content, or an event, came from this server. They are signed as access
//! tokens are, with the keys that are published, and remembered, since signing costs more than sealing.
//!
//! Receivers hold them against their own clocks: whoever makes one takes the wall time of the real world, even if
//! everything else runs on another.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use graph::{TenantId, Timestamp};
use protocol::event_grid::push;
use protocol::validation_token::{Claims, Version};

use super::keys::{Key, KeyError};
use super::tokens::Tokens;
use crate::ids;

/// How many are remembered. For one more, another is forgotten.
const REMEMBERED_MAX: usize = 10_000;

/// For whom a token is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Addressee {
    pub tenant: TenantId,
    /// The id of the app that is told.
    pub audience: String,
    /// Under what the receiver knows this server, for tokens of version 2; `None`: version 1.
    pub issuer_v2: Option<String>,
}

/// What a token vouches for: none passes for one of the other kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Vouches {
    Content,
    PushedEvents,
}

/// Makes validation tokens, each once for as long as it has half of its life left.
pub struct ValidationTokens {
    tokens: Arc<Tokens>,
    vouches: Vouches,
    made: Mutex<HashMap<Addressee, Arc<Mutex<Option<Made>>>>>,
}

struct Made {
    token: String,
    kid: String,
    at: Timestamp,
    renewed: Timestamp,
}

impl ValidationTokens {
    pub fn new(tokens: Arc<Tokens>) -> Self {
        Self { tokens, vouches: Vouches::Content, made: Mutex::default() }
    }

    /// Those that go with events which are pushed, as bearer tokens of Event Grid.
    pub fn of_pushed_events(tokens: Arc<Tokens>) -> Self {
        Self { tokens, vouches: Vouches::PushedEvents, made: Mutex::default() }
    }

    /// A token of the key that signs now. Of those who want the same one at a time signs, and the others wait for
    /// it: it blocks for the milliseconds of a signature.
    pub fn get(&self, to: &Addressee, now: Timestamp) -> Result<String, KeyError> {
        let slot = self.slot(to);
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        let ring = self.tokens.ring();
        let key = ring.signing();
        if let Some(made) = slot.as_ref().filter(|made| made.is_fresh(key, now)) {
            return Ok(made.token.clone());
        }
        let (token, life_seconds) = signed((to, self.vouches), key, now)?;
        let renewed = now.plus_micros(life_seconds * 1_000_000 / 2);
        *slot = Some(Made { token: token.clone(), kid: key.kid().to_owned(), at: now, renewed });
        Ok(token)
    }

    /// Whether `get` answers at once. It need not any more if the key that signs changes in between.
    pub fn has(&self, to: &Addressee, now: Timestamp) -> bool {
        let slot = self.made.lock().unwrap_or_else(PoisonError::into_inner).get(to).map(Arc::clone);
        let Some(slot) = slot else { return false };
        // Who holds it for longer signs.
        let Ok(slot) = slot.try_lock() else { return false };
        slot.as_ref().is_some_and(|made| made.is_fresh(self.tokens.ring().signing(), now))
    }

    fn slot(&self, to: &Addressee) -> Arc<Mutex<Option<Made>>> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if made.len() >= REMEMBERED_MAX
            && !made.contains_key(to)
            && let Some(other) = made.keys().next().cloned()
        {
            made.remove(&other);
        }
        Arc::clone(made.entry(to.clone()).or_default())
    }
}

impl Made {
    fn is_fresh(&self, signing: &Key, now: Timestamp) -> bool {
        self.kid == signing.kid() && (self.at..self.renewed).contains(&now)
    }
}

/// A token, and how long it counts.
fn signed((to, vouches): (&Addressee, Vouches), key: &Key, now: Timestamp) -> Result<(String, i64), KeyError> {
    let version = match &to.issuer_v2 {
        Some(origin) => Version::V2 { origin },
        None => Version::V1,
    };
    let at = u64::try_from(now.as_micros() / 1_000_000).unwrap_or_default();
    let (tenant, uti) = (to.tenant.to_string(), ids::new_uuid().simple().to_string());
    let (claims, seconds) = match vouches {
        Vouches::Content => {
            let claims = Claims::new(&tenant, &to.audience, version, at, &uti);
            (serde_json::to_value(claims), version.lifetime_seconds())
        }
        Vouches::PushedEvents => {
            (serde_json::to_value(push::Claims::new(&tenant, &to.audience, at, &uti)), push::TOKEN_SECONDS)
        }
    };
    let life_seconds = i64::try_from(seconds).map_err(|_| KeyError::Unusable)?;
    Ok((key.sign(&claims.map_err(|_| KeyError::Unusable)?)?, life_seconds))
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::Algorithm;
    use receiver::jwt;
    use serde_json::{Value, json};

    use super::*;
    use crate::identity::{TokenError, scope};
    use crate::seed;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn tokens() -> (Arc<Tokens>, ValidationTokens) {
        let tokens = Arc::new(Tokens::of(Key::generate(NOW).unwrap()));
        (Arc::clone(&tokens), ValidationTokens::new(tokens))
    }

    fn addressee() -> Addressee {
        Addressee { tenant: seed::TENANT, audience: seed::APP.to_string(), issuer_v2: None }
    }

    fn claims(tokens: &Tokens, token: &str) -> Value {
        jwt::open(token, &tokens.ring().signing().decoding(), &[Algorithm::RS256]).unwrap()
    }

    #[test]
    fn a_token_is_for_one_app_in_one_tenant_in_the_form_that_the_app_takes() {
        let (tokens, validation) = tokens();
        let v1 = claims(&tokens, &validation.get(&addressee(), NOW).unwrap());
        let issuer = format!("https://sts.windows.net/{}/", seed::TENANT);
        assert_eq!((&v1["aud"], &v1["iss"], &v1["ver"]), (&json!(seed::APP), &json!(issuer), &json!("1.0")));
        assert_eq!((&v1["iat"], &v1["exp"]), (&json!(1_800_000_000), &json!(1_800_029_100)));
        let issuer_v2 = Some("https://tidings.test:8443".to_owned());
        let v2 = claims(&tokens, &validation.get(&Addressee { issuer_v2, ..addressee() }, NOW).unwrap());
        let issuer = format!("https://tidings.test:8443/{}/v2.0", seed::TENANT);
        assert_eq!((&v2["iss"], &v2["ver"], &v2["exp"]), (&json!(issuer), &json!("2.0"), &json!(1_800_086_700)));
    }

    #[test]
    fn a_token_is_made_anew_when_half_of_its_life_is_over_or_another_key_signs() {
        let (tokens, validation) = tokens();
        let get = |now| validation.get(&addressee(), now).unwrap();
        let first = get(NOW);
        let half = 29_100 / 2;
        assert_eq!(get(NOW.plus_micros(half * 1_000_000 - 1)), first);
        let has = |seconds| validation.has(&addressee(), NOW.plus_micros(seconds * 1_000_000));
        assert_eq!([has(-1), has(0), has(half - 1), has(half)], [false, true, true, false]);
        let second = get(NOW.plus_micros(half * 1_000_000));
        assert_ne!(second, first);
        assert_ne!(get(NOW), second, "it would not count yet, the clock having been set back");
        let before = get(NOW);
        tokens.rotate(true, NOW).unwrap();
        let after = get(NOW);
        assert_ne!(after, before, "the key that signed it is not trusted any more");
        assert_eq!(claims(&tokens, &after)["aud"], json!(seed::APP));
    }

    #[test]
    fn of_many_who_want_the_same_token_one_signs() {
        let (_, validation) = tokens();
        let got: Vec<String> = std::thread::scope(|scope| {
            let getting: Vec<_> = (0..8).map(|_| scope.spawn(|| validation.get(&addressee(), NOW).unwrap())).collect();
            getting.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert!(got.iter().all(|token| *token == got[0]), "each that is signed has an id of its own");
    }

    #[test]
    fn for_one_token_more_one_other_is_forgotten() {
        let (_, validation) = tokens();
        let made = |n: usize| validation.slot(&Addressee { audience: n.to_string(), ..addressee() });
        (0..REMEMBERED_MAX + 5).for_each(|n| drop(made(n)));
        assert_eq!(validation.made.lock().unwrap().len(), REMEMBERED_MAX);
    }

    #[test]
    fn confused_token_for_a_receiver_is_no_access_token_even_if_it_is_made_for_graph() {
        let (tokens, validation) = tokens();
        let pushed = ValidationTokens::of_pushed_events(Arc::clone(&tokens));
        let apis = [scope::Api::EventGrid, scope::Api::Management].map(|api| api.url().to_owned());
        let audiences = [seed::APP.to_string(), scope::GRAPH_ID.to_owned(), scope::GRAPH_URL.to_owned()];
        for audience in audiences.into_iter().chain(apis) {
            for issuer_v2 in [None, Some("https://localhost:8443".to_owned())] {
                let to = Addressee { audience: audience.clone(), issuer_v2, ..addressee() };
                for made in [&validation, &pushed] {
                    let refused = tokens.check(&made.get(&to, NOW).unwrap(), NOW).unwrap_err();
                    assert!(matches!(refused, TokenError::Audience | TokenError::Invalid), "{to:?}: {refused:?}");
                }
            }
        }
    }
}
