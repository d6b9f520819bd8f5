//! How an app proves that it is the one: by a secret in the form or by HTTP Basic, or by a client assertion
//! signed with a certificate that was registered for it (RFC 7523). Everything arrives as a value; secrets
//! and thumbprints are compared in constant time.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use graph::{TenantId, Timestamp};
use http::{HeaderMap, header};
use jsonwebtoken::{Algorithm, DecodingKey, Header};
use receiver::jwt;
use serde::Deserialize;
use store::{App, Credential, CredentialKind};
use subtle::ConstantTimeEq as _;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::claims::Proof;
use super::form::Form;
use super::refusal::Refusal;
use crate::clock::Times;
use crate::directory::sha256_hex;

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// How long an assertion may live, in seconds. Until it expires it may be used again: Microsoft's libraries
/// make one and keep it for some minutes.
const ASSERTION_SECONDS_MAX: f64 = 3_600.0;
/// How far the clock of a client may differ from ours, in seconds.
const SKEW_SECONDS: f64 = 300.0;

/// Who says to be the client, and with what.
#[derive(Clone, PartialEq, Eq)]
pub struct Client {
    /// As it was sent.
    pub id: String,
    pub sent: Sent,
}

#[derive(Clone, PartialEq, Eq)]
pub enum Sent {
    Nothing,
    Secret(String),
    Assertion(String),
}

/// Where the client was to send its assertion.
pub struct Audience<'a> {
    /// The caller's name of this server.
    pub origin: &'a str,
    /// The tenant's segment in the request's path.
    pub segment: &'a str,
    pub tenant: TenantId,
}

impl Client {
    /// Reads it from the head of a request and its form.
    pub fn read(headers: &HeaderMap, form: &Form) -> Result<Self, Refusal> {
        if let Some((id, secret)) = basic(headers) {
            return Ok(Self { id, sent: Sent::Secret(secret) });
        }
        let assertion = form.get("client_assertion");
        if assertion.is_some() && form.get("client_assertion_type") != Some(ASSERTION_TYPE) {
            return Err(Refusal::Missing("client_assertion_type"));
        }
        let id = form.need("client_id")?.to_owned();
        let sent = match (assertion, form.get("client_secret")) {
            (Some(assertion), None) => Sent::Assertion(assertion.to_owned()),
            (None, Some(secret)) => Sent::Secret(secret.to_owned()),
            (None, None) => Sent::Nothing,
            (Some(_), Some(_)) => return Err(Refusal::Invalid("client_assertion")),
        };
        Ok(Self { id, sent })
    }

    /// Whether it is the app that it says to be, and how it showed that.
    pub fn prove(&self, app: &App, audience: &Audience<'_>, times: Times) -> Result<Proof, Refusal> {
        match &self.sent {
            Sent::Nothing if app.public_client => Ok(Proof::None),
            Sent::Nothing => Err(Refusal::NoCredential),
            Sent::Secret(secret) => prove_secret(app, secret, times.here).map(|()| Proof::Secret),
            // The app signs with the time that its own machine has.
            Sent::Assertion(assertion) => {
                prove_assertion(app, assertion, audience, times.world).map(|()| Proof::Certificate)
            }
        }
    }
}

fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let header = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    let plain = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    Some((plain(id), plain(secret)))
}

fn prove_secret(app: &App, secret: &str, now: Timestamp) -> Result<(), Refusal> {
    let given = sha256_hex(secret);
    let mut found: Option<&Credential> = None;
    for credential in &app.credentials {
        if let CredentialKind::Secret { sha256, .. } = &credential.kind
            && bool::from(given.as_bytes().ct_eq(sha256.as_bytes()))
        {
            found = Some(credential);
        }
    }
    match found {
        None => Err(Refusal::WrongSecret(app.id.to_string())),
        Some(credential) if credential.expires <= now => Err(Refusal::SecretExpired(app.id.to_string())),
        Some(_) => Ok(()),
    }
}

/// What is read of an assertion. A claim that stands in it twice is an error. Times are in seconds, and may
/// have a fraction (RFC 7519, NumericDate): MSAL for Python writes such.
#[derive(Clone, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: String,
    exp: f64,
    #[serde(default)]
    nbf: f64,
    #[serde(default)]
    iat: f64,
}

fn prove_assertion(app: &App, assertion: &str, audience: &Audience<'_>, now: Timestamp) -> Result<(), Refusal> {
    let header = jwt::header(assertion).ok_or(Refusal::AssertionMalformed)?;
    let algorithms = [Algorithm::RS256, Algorithm::PS256];
    if !algorithms.contains(&header.alg) {
        return Err(Refusal::AssertionMalformed);
    }
    let unknown = || {
        let thumbprint = header.x5t_s256.clone().or_else(|| header.x5t.clone()).unwrap_or_default();
        Refusal::AssertionSignature { app: app.id.to_string(), thumbprint }
    };
    let (credential, der) = certificate(app, &header).ok_or_else(unknown)?;
    let (_, certificate) = X509Certificate::from_der(der).map_err(|_| unknown())?;
    let key = DecodingKey::from_rsa_der(certificate.public_key().raw);
    let claims: Claims = jwt::open(assertion, &key, &algorithms).ok_or_else(unknown)?;
    if credential.expires <= now {
        return Err(Refusal::CertificateExpired);
    }
    if [&claims.iss, &claims.sub].iter().any(|name| name.parse() != Ok(app.id)) {
        return Err(Refusal::AssertionIssuer);
    }
    if !audience.is(&claims.aud) {
        return Err(Refusal::AssertionAudience);
    }
    let seconds = now.as_micros() as f64 / 1e6;
    let begun = claims.nbf.max(claims.iat) <= seconds + SKEW_SECONDS;
    let lives = claims.exp + SKEW_SECONDS > seconds;
    let short = claims.exp <= seconds + ASSERTION_SECONDS_MAX + SKEW_SECONDS;
    if begun && lives && short { Ok(()) } else { Err(Refusal::AssertionTime) }
}

/// The certificate that the header names by one thumbprint, or by both alike.
fn certificate<'a>(app: &'a App, header: &Header) -> Option<(&'a Credential, &'a [u8])> {
    if header.x5t.is_none() && header.x5t_s256.is_none() {
        return None;
    }
    let named = |thumbprint: &Option<String>, known: &str| {
        thumbprint.as_ref().is_none_or(|sent| {
            let sent = URL_SAFE_NO_PAD.decode(sent.trim_end_matches('=')).unwrap_or_default();
            let sent: String = sent.iter().map(|byte| format!("{byte:02x}")).collect();
            bool::from(sent.as_bytes().ct_eq(known.as_bytes()))
        })
    };
    app.credentials.iter().find_map(|credential| match &credential.kind {
        CredentialKind::Certificate { der, sha1, sha256 }
            if named(&header.x5t, sha1) && named(&header.x5t_s256, sha256) =>
        {
            Some((credential, der.as_slice()))
        }
        _ => None,
    })
}

impl Audience<'_> {
    /// Whether this is the token endpoint as it is published, or the issuer, under one of the tenant's names.
    fn is(&self, audience: &str) -> bool {
        let Some(path) = audience.strip_prefix(self.origin) else { return false };
        let tenant = self.tenant.to_string();
        [self.segment, tenant.as_str()].iter().any(|name| {
            let below = ["oauth2/v2.0/token", "oauth2/token", "v2.0"];
            below.iter().any(|below| path.eq_ignore_ascii_case(&format!("/{name}/{below}")))
        })
    }
}

#[cfg(test)]
mod tests;
