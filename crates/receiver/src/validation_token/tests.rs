use protocol::validation_token::Version;
use serde_json::{Value, json};

use super::*;
use crate::issuer::{APP, AUTHORITY, ISSUED, Issuer, OTHER_TENANT, TENANT, after, hs256, unsigned};

const V2: Version<'_> = Version::V2 { origin: AUTHORITY };

fn rules() -> TokenRules {
    TokenRules { app_ids: vec![APP.into()], tenants: vec![TENANT.into()], authority: AUTHORITY.into(), leeway: LEEWAY }
}

fn verify(token: &str) -> Result<String, TokenError> {
    rules().verify(token, &Issuer::first().keys(), after(60))
}

/// The claims of a good token, with these instead of its own; `null` leaves one out.
fn claims(version: Version<'_>, changed: Value) -> String {
    let good = protocol::validation_token::Claims::new(TENANT, APP, version, ISSUED, "uti");
    let mut claims = serde_json::to_value(good).unwrap();
    for (name, value) in changed.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    claims.to_string()
}

fn with(changed: Value) -> Result<String, TokenError> {
    let issuer = Issuer::first();
    verify(&issuer.sign(&issuer.header(), &claims(Version::V1, changed)))
}

fn with_header(changed: Value) -> Result<String, TokenError> {
    let mut header = Issuer::first().header();
    for (name, value) in changed.as_object().unwrap() {
        header[name] = value.clone();
    }
    verify(&Issuer::first().sign(&header, &claims(Version::V1, json!({}))))
}

#[test]
fn tokens_of_both_versions_speak_for_their_tenant() {
    for version in [Version::V1, V2] {
        assert_eq!(verify(&Issuer::first().token(TENANT, version)).unwrap(), TENANT);
    }
}

#[test]
fn a_token_of_another_tenant_is_refused() {
    let token = Issuer::first().token(OTHER_TENANT, Version::V1);
    assert_eq!(verify(&token), Err(TokenError::Tenant(OTHER_TENANT.into())));
    let of_any = TokenRules { tenants: Vec::new(), ..rules() };
    assert_eq!(of_any.verify(&token, &Issuer::first().keys(), after(60)).unwrap(), OTHER_TENANT);
}

#[test]
fn a_token_that_names_one_tenant_and_is_issued_by_another_is_refused() {
    for iss in [format!("https://sts.windows.net/{OTHER_TENANT}/"), format!("{AUTHORITY}/{OTHER_TENANT}/v2.0")] {
        assert_eq!(with(json!({"iss": iss})), Err(TokenError::Issuer(iss)));
    }
    for tid in [json!(OTHER_TENANT), json!("")] {
        assert!(matches!(with(json!({"tid": tid})), Err(TokenError::Issuer(_))));
    }
}

#[test]
fn a_token_of_another_issuer_is_refused() {
    for iss in [
        format!("https://sts.windows.net/{TENANT}"),
        format!("https://sts.windows.net.example/{TENANT}/"),
        format!("http://sts.windows.net/{TENANT}/"),
        format!("https://login.microsoftonline.com/{TENANT}/v2.0"),
        format!("{AUTHORITY}/{TENANT}/v2.0/"),
        "https://sts.windows.net/{tenantid}/".to_owned(),
    ] {
        assert_eq!(with(json!({"iss": iss})), Err(TokenError::Issuer(iss)));
    }
}

#[test]
fn a_token_for_another_app_is_refused() {
    let other = "00000003-0000-0000-c000-000000000000";
    assert_eq!(with(json!({"aud": other})), Err(TokenError::Audience(other.into())));
    assert_eq!(with(json!({"aud": APP.to_uppercase()})), Err(TokenError::Audience(APP.to_uppercase())));
    assert_eq!(with(json!({"aud": [APP]})), Err(TokenError::Signature), "a list of audiences is no form of theirs");
}

#[test]
fn a_token_of_another_publisher_is_refused() {
    for changed in [
        json!({"appid": APP}),
        json!({"azp": APP}),
        json!({"appid": null, "azp": null}),
        json!({"appid": "", "azp": null}),
        json!({"appid": PUBLISHER_ID.to_uppercase()}),
    ] {
        assert_eq!(with(changed.clone()), Err(TokenError::Publisher), "{changed}");
    }
    for changed in [json!({"azp": null}), json!({"appid": null})] {
        assert!(with(changed).is_ok(), "one of the two is enough");
    }
}

#[test]
fn a_token_counts_from_its_beginning_to_its_end_and_a_leeway() {
    let (rules, keys) = (rules(), Issuer::first().keys());
    let at = |token: &str, seconds| rules.verify(token, &keys, after(seconds));
    for (version, lifetime) in [(Version::V1, 29_100), (V2, 86_700)] {
        let token = Issuer::first().token(TENANT, version);
        assert!(at(&token, 0).is_ok() && at(&token, lifetime + 299).is_ok());
        assert_eq!(at(&token, lifetime + 300), Err(TokenError::Expired));
        let early = after(0) - Duration::from_secs(300);
        assert!(rules.verify(&token, &keys, early).is_ok());
        let earlier = early - Duration::from_secs(1);
        assert_eq!(rules.verify(&token, &keys, earlier), Err(TokenError::NotYetValid));
    }
}

#[test]
fn times_at_the_edge_of_numbers_are_times() {
    for (exp, outcome) in [(i64::MAX, Ok(())), (i64::MIN, Err(TokenError::Expired)), (0, Err(TokenError::Expired))] {
        assert_eq!(with(json!({"exp": exp})).map(drop), outcome);
    }
    assert_eq!(with(json!({"nbf": i64::MAX})), Err(TokenError::NotYetValid));
    assert_eq!(with(json!({"exp": null})), Err(TokenError::Signature), "a token without an end is none");
    assert_eq!(with(json!({"exp": "never"})), Err(TokenError::Signature));
}

#[test]
fn a_token_without_a_signature_is_refused() {
    let claims = claims(Version::V1, json!({}));
    for alg in ["none", "None", "NONE", ""] {
        let mut header = Issuer::first().header();
        header["alg"] = alg.into();
        let unsigned = unsigned(&header, &claims);
        for token in [format!("{unsigned}."), unsigned] {
            assert_eq!(verify(&token), Err(TokenError::Unreadable), "{alg}");
        }
    }
    let signed = Issuer::first().token(TENANT, Version::V1);
    let without = signed.rsplit_once('.').unwrap().0;
    assert_eq!(verify(&format!("{without}.")), Err(TokenError::Signature));
}

#[test]
fn a_token_signed_with_the_public_key_as_a_secret_is_refused() {
    let mut header = Issuer::first().header();
    header["alg"] = "HS256".into();
    let claims = claims(Version::V1, json!({}));
    for secret in [Issuer::first().public(), Issuer::first().jwk().to_string().as_bytes(), b""] {
        let token = hs256(&header, &claims, secret);
        assert_eq!(verify(&token), Err(TokenError::Algorithm("HS256".into())));
        let lying = hs256(&Issuer::first().header(), &claims, secret);
        assert_eq!(verify(&lying), Err(TokenError::Signature));
    }
}

#[test]
fn no_other_algorithm_is_taken_even_if_the_key_could() {
    for alg in ["RS384", "PS256", "ES256"] {
        assert_eq!(with_header(json!({"alg": alg})), Err(TokenError::Algorithm(alg.into())));
    }
}

#[test]
fn a_token_signed_with_another_key_is_refused() {
    let (first, second) = (Issuer::first(), Issuer::second());
    let claims = claims(Version::V1, json!({}));
    assert_eq!(verify(&second.sign(&second.header(), &claims)), Err(TokenError::UnknownKey("second".into())));
    assert_eq!(verify(&second.sign(&first.header(), &claims)), Err(TokenError::Signature), "key confusion");
}

#[test]
fn what_a_token_brings_along_or_points_to_is_no_key() {
    let jwk = Issuer::second().jwk();
    for changed in
        [json!({"jwk": jwk}), json!({"jku": "https://evil.example/keys"}), json!({"x5u": "https://evil.example"})]
    {
        let mut header = Issuer::first().header();
        for (name, value) in changed.as_object().unwrap() {
            header[name] = value.clone();
        }
        let token = Issuer::second().sign(&header, &claims(Version::V1, json!({})));
        assert!(matches!(verify(&token), Err(TokenError::Signature | TokenError::Unreadable)), "{changed}");
    }
    assert_eq!(with_header(json!({"kid": null})), Err(TokenError::NoKey));
    assert_eq!(with_header(json!({"crit": ["exp"], "exp": 1})), Err(TokenError::Unreadable));
}

#[test]
fn a_changed_token_is_refused() {
    let token = Issuer::first().token(TENANT, Version::V1);
    let parts: Vec<&str> = token.split('.').collect();
    let other = Issuer::first().token(OTHER_TENANT, Version::V1);
    let others: Vec<&str> = other.split('.').collect();
    assert_eq!(verify(&format!("{}.{}.{}", parts[0], others[1], parts[2])), Err(TokenError::Signature));
    for broken in ["", ".", "..", "a.b.c", &token[1..], &token.replace('.', ""), &format!("{token}.x")] {
        assert!(verify(broken).is_err(), "{broken}");
    }
    assert_eq!(verify(&"e".repeat(jwt::TOKEN_BYTES_MAX + 1)), Err(TokenError::Unreadable));
}

#[test]
fn a_claim_that_stands_twice_is_refused() {
    let twice = claims(Version::V1, json!({})).replacen('{', &format!("{{\"aud\":\"{APP}\","), 1);
    let issuer = Issuer::first();
    assert_eq!(verify(&issuer.sign(&issuer.header(), &twice)), Err(TokenError::Signature));
}

#[test]
fn a_key_of_version_2_signs_both_versions_and_for_no_other_issuer() {
    let mut jwk = Issuer::first().jwk();
    for (issuer, good) in [
        (format!("{AUTHORITY}/{{tenantid}}/v2.0"), true),
        (format!("{AUTHORITY}/{TENANT}/v2.0"), true),
        (format!("{AUTHORITY}/{OTHER_TENANT}/v2.0"), false),
        ("https://other.example/{tenantid}/v2.0".to_owned(), false),
    ] {
        jwk["issuer"] = issuer.clone().into();
        let keys = KeySet::read(json!({"keys": [jwk]}).to_string().as_bytes()).unwrap();
        for version in [Version::V1, V2] {
            let outcome = rules().verify(&Issuer::first().token(TENANT, version), &keys, after(60)).map(drop);
            assert_eq!(outcome, if good { Ok(()) } else { Err(TokenError::KeyIssuer) }, "{issuer}");
        }
    }
}
