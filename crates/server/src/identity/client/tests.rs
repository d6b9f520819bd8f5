//! Proofs that hold, and everything that looks like one.

use std::sync::OnceLock;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PSS_SHA256;
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::identity::keys::Key;
use crate::seed;

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
const ORIGIN: &str = "https://localhost:8443";

fn key() -> &'static Key {
    static KEY: OnceLock<Key> = OnceLock::new();
    KEY.get_or_init(|| Key::generate(NOW).unwrap())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The seeded app with a certificate for [`key`].
fn app() -> App {
    let der = key().certificate().to_vec();
    let sha1 = hex(digest(&SHA1_FOR_LEGACY_USE_ONLY, &der).as_ref());
    let sha256 = hex(digest(&SHA256, &der).as_ref());
    let kind = CredentialKind::Certificate { der, sha1, sha256 };
    let mut app = seed::app();
    app.credentials.push(Credential { id: Uuid::nil(), expires: NOW.plus_minutes(60), kind });
    app
}

fn claims() -> Value {
    let seconds = NOW.as_micros() / 1_000_000;
    json!({
        "iss": seed::APP,
        "sub": seed::APP,
        "aud": format!("{ORIGIN}/common/oauth2/v2.0/token"),
        "jti": "1",
        "nbf": seconds,
        "exp": seconds + 600,
    })
}

fn proves(app: &App, assertion: &str) -> Result<Proof, Refusal> {
    let client = Client { id: app.id.to_string(), sent: Sent::Assertion(assertion.to_owned()) };
    client.prove(app, &Audience { origin: ORIGIN, segment: "common", tenant: seed::TENANT }, NOW.into())
}

fn with(name: &str, value: impl Into<Value>) -> String {
    let mut claims = claims();
    claims[name] = value.into();
    key().sign(&claims).unwrap()
}

#[test]
fn a_registered_certificate_proves_the_app() {
    assert_eq!(proves(&app(), &key().sign(&claims()).unwrap()), Ok(Proof::Certificate));
    let tenant = seed::TENANT;
    for audience in ["common/oauth2/v2.0/token", &format!("{tenant}/oauth2/v2.0/token"), &format!("{tenant}/v2.0")] {
        assert_eq!(proves(&app(), &with("aud", format!("{ORIGIN}/{audience}"))), Ok(Proof::Certificate), "{audience}");
    }
}

#[test]
fn the_times_of_an_assertion_may_have_fractions() {
    let seconds = NOW.as_micros() as f64 / 1e6;
    assert_eq!(proves(&app(), &with("exp", seconds + 600.5)), Ok(Proof::Certificate));
    assert_eq!(proves(&app(), &with("iat", seconds - 0.25)), Ok(Proof::Certificate));
    for (name, time) in [("exp", seconds - 300.5), ("exp", seconds + 3_900.5), ("nbf", seconds + 300.5)] {
        assert_eq!(proves(&app(), &with(name, time)), Err(Refusal::AssertionTime), "{name}");
    }
}

/// An assertion signed with PSS.
fn pss(header: &Value) -> String {
    let pair = KeyPair::from_pkcs8(key().pkcs8()).unwrap();
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(&claims()));
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(&RSA_PSS_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[test]
fn newer_libraries_sign_with_pss_and_name_the_certificate_by_sha_256() {
    let sha256 = URL_SAFE_NO_PAD.encode(digest(&SHA256, key().certificate()));
    let mut header = json!({"typ": "JWT", "alg": "PS256", "x5t#S256": sha256});
    assert_eq!(proves(&app(), &pss(&header)), Ok(Proof::Certificate));
    // Both thumbprints, of which one is another certificate's.
    header["x5t"] = URL_SAFE_NO_PAD.encode([7; 20]).into();
    assert!(matches!(proves(&app(), &pss(&header)), Err(Refusal::AssertionSignature { .. })));
}

#[test]
fn an_assertion_that_does_not_hold_proves_nothing() {
    let seconds = NOW.as_micros() / 1_000_000;
    for (name, value, refusal) in [
        ("iss", json!(Uuid::nil()), Refusal::AssertionIssuer),
        ("sub", json!(Uuid::nil()), Refusal::AssertionIssuer),
        ("aud", json!("https://login.microsoftonline.com/common/oauth2/v2.0/token"), Refusal::AssertionAudience),
        ("aud", json!(format!("{ORIGIN}.evil.test/common/oauth2/v2.0/token")), Refusal::AssertionAudience),
        ("aud", json!(format!("{ORIGIN}/fabrikam.test/oauth2/v2.0/token")), Refusal::AssertionAudience),
        ("exp", json!(seconds - 300), Refusal::AssertionTime),
        ("exp", json!(seconds + 4_000), Refusal::AssertionTime),
        ("exp", json!(i64::MAX), Refusal::AssertionTime),
        ("nbf", json!(seconds + 301), Refusal::AssertionTime),
    ] {
        assert_eq!(proves(&app(), &with(name, value.clone())), Err(refusal), "{name} {value}");
    }
    for malformed in ["", "x", "a.b.c", &"x".repeat(20_000)] {
        assert_eq!(proves(&app(), malformed), Err(Refusal::AssertionMalformed));
    }
    let other = Key::generate(NOW).unwrap().sign(&claims()).unwrap();
    assert!(matches!(proves(&app(), &other), Err(Refusal::AssertionSignature { .. })));
    assert!(matches!(proves(&seed::app(), &key().sign(&claims()).unwrap()), Err(Refusal::AssertionSignature { .. })));
    let twice = claims().to_string().replacen('{', &format!("{{\"iss\":\"{}\",", Uuid::nil()), 1);
    assert!(proves(&app(), &key().sign_parts(&key().header(), &twice).unwrap()).is_err());
}

#[test]
fn a_certificate_that_has_run_out_proves_nothing() {
    let mut app = app();
    for credential in &mut app.credentials {
        credential.expires = NOW;
    }
    assert_eq!(proves(&app, &key().sign(&claims()).unwrap()), Err(Refusal::CertificateExpired));
    let secret = Client { id: String::new(), sent: Sent::Secret(seed::APP_SECRET.into()) };
    let audience = Audience { origin: ORIGIN, segment: "common", tenant: seed::TENANT };
    assert_eq!(secret.prove(&app, &audience, NOW.into()), Err(Refusal::SecretExpired(seed::APP.to_string())));
}

#[test]
fn a_client_is_named_in_the_form_or_by_basic() {
    let read = |headers: &[(&'static str, String)], form: &str| {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        Client::read(&headers, &Form::read(form.as_bytes()).unwrap())
    };
    let basic = |text: &str| vec![("authorization", format!("Basic {}", STANDARD.encode(text)))];
    let sent = |client: Result<Client, Refusal>| client.map(|client| (client.id, client.sent));
    assert!(sent(read(&basic("id:a%2Fb"), "")) == Ok(("id".into(), Sent::Secret("a/b".into()))));
    assert!(sent(read(&[], "client_id=id&client_secret=a%2Fb")) == Ok(("id".into(), Sent::Secret("a/b".into()))));
    assert!(sent(read(&[], "client_id=id")) == Ok(("id".into(), Sent::Nothing)));
    assert!(sent(read(&[], "client_secret=x")) == Err(Refusal::Missing("client_id")));
    let typed = "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";
    assert!(
        sent(read(&[], &format!("client_id=id&client_assertion=x&{typed}")))
            == Ok(("id".into(), Sent::Assertion("x".into())))
    );
    assert!(sent(read(&[], "client_id=id&client_assertion=x")) == Err(Refusal::Missing("client_assertion_type")));
    let both = format!("client_id=id&client_assertion=x&client_secret=y&{typed}");
    assert!(sent(read(&[], &both)) == Err(Refusal::Invalid("client_assertion")));
}
