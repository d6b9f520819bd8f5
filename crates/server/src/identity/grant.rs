//! What a token request asks for, and whether it gets it. Everything that was found out arrives as a value,
//! the time too; whoever calls this looks things up, signs and keeps.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use graph::Timestamp;
use store::{App, Challenge, RedeemableHash, RedeemableKind, Redeemed, User};
use subtle::ConstantTimeEq as _;

use super::form::Form;
use super::refusal::Refusal;
use super::scope::Scopes;

/// How long a code may be redeemed, in minutes.
pub const CODE_MINUTES: i64 = 10;
/// How long a refresh token may be redeemed, in minutes.
pub const REFRESH_MINUTES: i64 = 90 * 24 * 60;
/// How long the refresh token of a public client, once used, may be used again, in microseconds: its answer
/// may have been lost. After that whoever uses it has stolen it, or has lost it to a thief.
const REUSE_MICROS: i64 = 60_000_000;
/// How long its reuse is noticed, in minutes.
const REUSE_NOTICED_MINUTES: i64 = 24 * 60;

/// What is asked for.
#[derive(Clone, PartialEq, Eq)]
pub enum Asked {
    ClientCredentials(Scopes),
    Code { code: String, redirect_uri: String, verifier: Option<String>, scopes: Option<Scopes> },
    Refresh { token: String, scopes: Option<Scopes> },
    Device { code: String },
}

impl Asked {
    /// Reads the form of a token request. `segment` is the tenant's in its path.
    pub fn read(form: &Form, origin: &str, segment: &str) -> Result<Self, Refusal> {
        let scopes = || match (form.get("scope"), form.get("resource")) {
            (Some(scope), _) => Scopes::asked(scope, origin, segment).map(Some),
            // What version 1 of the endpoint asks for.
            (None, Some(resource)) => Scopes::asked(&format!("{resource}/.default"), origin, segment).map(Some),
            (None, None) => Ok(None),
        };
        match form.need("grant_type")? {
            "client_credentials" => {
                let scopes = scopes()?.ok_or(Refusal::ScopeMissing)?;
                if !scopes.is_default() {
                    return Err(Refusal::NotDefault(form.get("scope").unwrap_or_default().to_owned()));
                }
                Ok(Asked::ClientCredentials(scopes))
            }
            "authorization_code" => Ok(Asked::Code {
                code: form.need("code")?.to_owned(),
                redirect_uri: form.need("redirect_uri")?.to_owned(),
                verifier: form.get("code_verifier").map(str::to_owned),
                scopes: scopes()?,
            }),
            "refresh_token" => Ok(Asked::Refresh { token: form.need("refresh_token")?.to_owned(), scopes: scopes()? }),
            "device_code" | "urn:ietf:params:oauth:grant-type:device_code" => {
                let code = form.get("device_code").or_else(|| form.get("code"));
                Ok(Asked::Device { code: code.ok_or(Refusal::Missing("device_code"))?.to_owned() })
            }
            other => Err(Refusal::GrantType(other.to_owned())),
        }
    }
}

/// All that is kept of a code or refresh token.
pub fn hash(text: &str) -> RedeemableHash {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    RedeemableHash(hash)
}

/// When a refresh token that an app redeems at `now` is over. A confidential client may use its own until
/// it expires: without the app's credential it is worth nothing.
pub fn refresh_over_at(app: &App, now: Timestamp) -> Timestamp {
    now.plus_minutes(if app.public_client { REUSE_NOTICED_MINUTES } else { REFRESH_MINUTES })
}

/// Why something that was redeemed gives nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Void {
    pub refusal: Refusal,
    /// Whether the sign-in must end: it is in two hands.
    pub stolen: bool,
}

/// Whether a code of the app that sends it holds.
pub fn code_holds(found: &Redeemed, redirect_uri: &str, verifier: Option<&str>) -> Result<(), Void> {
    let void = |refusal| Err(Void { refusal, stolen: false });
    let RedeemableKind::Code { redirect_uri: agreed, challenge, .. } = &found.redeemable.kind else {
        return void(Refusal::CodeInvalid);
    };
    if found.before.is_some() {
        return Err(Void { refusal: Refusal::CodeRedeemed, stolen: true });
    }
    if agreed != redirect_uri {
        return void(Refusal::RedirectChanged { sent: redirect_uri.to_owned() });
    }
    // A verifier without a challenge would hide that somebody took the challenge away.
    match (challenge, verifier) {
        (None, None) => Ok(()),
        (Some(challenge), Some(verifier)) if verifies(challenge, verifier) => Ok(()),
        _ => void(Refusal::Verifier),
    }
}

/// Whether a refresh token of the app that sends it holds.
pub fn refresh_holds(found: &Redeemed, app: &App, now: Timestamp) -> Result<(), Void> {
    let void = |refusal, stolen| Err(Void { refusal, stolen });
    if found.redeemable.kind != RedeemableKind::RefreshToken {
        return void(Refusal::RefreshTokenInvalid, false);
    }
    match found.before {
        Some(before) if app.public_client && now.since(before) > REUSE_MICROS => void(Refusal::Revoked, true),
        _ => Ok(()),
    }
}

/// Whether tokens are given for this user, as far as the directory tells.
pub fn user_holds(user: Option<&User>, issued: Timestamp) -> Result<&User, Refusal> {
    let user = user.ok_or(Refusal::Revoked)?;
    if !user.enabled {
        return Err(Refusal::UserDisabled);
    }
    if issued < user.sessions_valid_from {
        return Err(Refusal::Revoked);
    }
    Ok(user)
}

fn verifies(challenge: &Challenge, verifier: &str) -> bool {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-._~".contains(letter);
    if !(43..=128).contains(&verifier.len()) || !verifier.chars().all(plain) {
        return false;
    }
    match challenge {
        Challenge::Plain(challenge) => bool::from(verifier.as_bytes().ct_eq(challenge.as_bytes())),
        Challenge::S256(challenge) => {
            let hashed = URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
            bool::from(hashed.as_bytes().ct_eq(challenge.as_bytes()))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use store::Redeemable;
    use uuid::Uuid;

    use super::*;
    use crate::seed;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
    /// The pair of RFC 7636, appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    fn found(kind: RedeemableKind, before: Option<Timestamp>) -> Redeemed {
        let redeemable = Redeemable {
            hash: hash("x"),
            kind,
            session: Uuid::nil(),
            tenant: seed::TENANT,
            app: seed::APP,
            user: seed::users()[0].id,
            scopes: BTreeSet::new(),
            issued: NOW,
            expires: NOW.plus_minutes(10),
        };
        Redeemed { redeemable, before }
    }

    fn code(challenge: Option<Challenge>) -> RedeemableKind {
        RedeemableKind::Code { redirect_uri: "http://localhost/".into(), challenge, nonce: None }
    }

    fn refusal(outcome: Result<(), Void>) -> Option<Refusal> {
        outcome.err().map(|void| void.refusal)
    }

    #[test]
    fn a_code_holds_for_its_redirect_and_its_verifier() {
        let s256 = || code(Some(Challenge::S256(CHALLENGE.into())));
        let holds = |kind, verifier| code_holds(&found(kind, None), "http://localhost/", verifier);
        assert_eq!(holds(s256(), Some(VERIFIER)), Ok(()));
        assert_eq!(holds(code(Some(Challenge::Plain(VERIFIER.into()))), Some(VERIFIER)), Ok(()));
        assert_eq!(holds(code(None), None), Ok(()));
        for (kind, verifier) in [
            (s256(), None),
            (s256(), Some(CHALLENGE)),
            (s256(), Some("short")),
            (code(None), Some(VERIFIER)),
            (code(Some(Challenge::Plain(CHALLENGE.into()))), Some(VERIFIER)),
        ] {
            assert_eq!(refusal(holds(kind, verifier)), Some(Refusal::Verifier));
        }
        let outcome = code_holds(&found(code(None), None), "http://localhost", None);
        assert!(matches!(refusal(outcome), Some(Refusal::RedirectChanged { .. })));
        let outcome = code_holds(&found(RedeemableKind::RefreshToken, None), "http://localhost/", None);
        assert_eq!(refusal(outcome), Some(Refusal::CodeInvalid));
        let again = code_holds(&found(code(None), Some(NOW)), "http://localhost/", None);
        assert_eq!(again, Err(Void { refusal: Refusal::CodeRedeemed, stolen: true }));
    }

    #[test]
    fn replayed_refresh_token_of_a_public_client_ends_the_sign_in() {
        let public = App { public_client: true, ..seed::app() };
        let confidential = App { public_client: false, ..seed::app() };
        let used = found(RedeemableKind::RefreshToken, Some(NOW));
        let minute = NOW.plus_minutes(1);
        assert_eq!(refresh_holds(&used, &public, minute), Ok(()));
        let late = refresh_holds(&used, &public, minute.plus_micros(1));
        assert_eq!(late, Err(Void { refusal: Refusal::Revoked, stolen: true }));
        assert_eq!(refresh_holds(&used, &confidential, NOW.plus_minutes(9_999)), Ok(()));
        assert!(refresh_holds(&found(code(None), None), &public, NOW).is_err());
    }

    #[test]
    fn nothing_is_given_for_who_is_gone_disabled_or_must_sign_in_again() {
        let megan = seed::users().remove(0);
        assert_eq!(user_holds(Some(&megan), NOW), Ok(&megan));
        assert_eq!(user_holds(None, NOW), Err(Refusal::Revoked));
        let disabled = User { enabled: false, ..megan.clone() };
        assert_eq!(user_holds(Some(&disabled), NOW), Err(Refusal::UserDisabled));
        let reset = User { sessions_valid_from: NOW.plus_micros(1), ..megan };
        assert_eq!(user_holds(Some(&reset), NOW), Err(Refusal::Revoked));
    }

    #[test]
    fn a_request_says_what_it_wants() {
        let read = |form: &str| {
            let form = Form::read(form.as_bytes()).unwrap();
            Asked::read(&form, "https://localhost:8443", "common").err()
        };
        let default = "https%3A%2F%2Fgraph.microsoft.com%2F.default";
        assert_eq!(read(&format!("grant_type=client_credentials&scope={default}")), None);
        assert_eq!(read("grant_type=client_credentials&resource=https://graph.microsoft.com"), None);
        assert_eq!(read("grant_type=client_credentials"), Some(Refusal::ScopeMissing));
        let by_name = read("grant_type=client_credentials&scope=Mail.Read");
        assert_eq!(by_name, Some(Refusal::NotDefault("Mail.Read".into())));
        assert_eq!(read("scope=x"), Some(Refusal::Missing("grant_type")));
        assert_eq!(read("grant_type=password"), Some(Refusal::GrantType("password".into())));
        assert_eq!(read("grant_type=authorization_code&code=x"), Some(Refusal::Missing("redirect_uri")));
        assert_eq!(read("grant_type=refresh_token"), Some(Refusal::Missing("refresh_token")));
        assert_eq!(read("grant_type=device_code"), Some(Refusal::Missing("device_code")));
    }
}
