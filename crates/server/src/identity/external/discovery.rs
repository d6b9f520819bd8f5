//! Reads an issuer's keys: its OpenID configuration, then what that names as `jwks_uri`. It decides nothing
//! about when.

use std::time::Duration;

use async_trait::async_trait;
use receiver::key_set::{KeySet, NoKeySet};
use serde::Deserialize;

use super::rules::IssuerName;
use crate::outbound::{Failure, Outbound};

/// How long both answers may take together.
const READ_MAX: Duration = Duration::from_secs(10);
/// The longest answer. Microsoft's key sets, with a certificate for each key, have some 20 KiB.
const BYTES_MAX: usize = 512 << 10;

/// Who publishes keys.
#[async_trait]
pub trait Publisher: Send + Sync + 'static {
    /// The keys as they are now.
    async fn keys(&self) -> Result<KeySet, PublishError>;
}

/// Why an issuer's keys could not be read.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    #[error("{url} was not read: {failure}")]
    Call { url: String, failure: Failure },
    #[error("{url} was answered with status {status}")]
    Status { url: String, status: u16 },
    #[error("the answer of {0} is too long")]
    TooLong(String),
    #[error("{0} holds no OpenID configuration: a JSON object with `issuer` and `jwks_uri`")]
    Configuration(String),
    #[error("{url} is the OpenID configuration of {named:?}; `issuer` in the configuration must be the same text")]
    OtherIssuer { url: String, named: String },
    #[error(transparent)]
    Keys(#[from] NoKeySet),
}

/// An issuer that is found by OpenID Connect Discovery.
pub struct Discovery {
    outbound: Outbound,
    name: IssuerName,
}

#[derive(Deserialize)]
struct Configuration {
    issuer: String,
    jwks_uri: String,
}

impl Discovery {
    /// `outbound` calls for this issuer alone.
    pub fn new(outbound: Outbound, name: IssuerName) -> Self {
        Self { outbound, name }
    }

    async fn read(&self, url: &str) -> Result<bytes::Bytes, PublishError> {
        let url = || url.to_owned();
        let answer = self.outbound.get(&url(), BYTES_MAX, READ_MAX).await;
        let answer = answer.map_err(|failure| PublishError::Call { url: url(), failure })?;
        match answer.status {
            200 if answer.body.len() < BYTES_MAX => Ok(answer.body),
            200 => Err(PublishError::TooLong(url())),
            status => Err(PublishError::Status { url: url(), status }),
        }
    }

    async fn key_set(&self) -> Result<KeySet, PublishError> {
        let url = self.name.configuration_url();
        let text = self.read(&url).await?;
        let configuration: Configuration =
            serde_json::from_slice(&text).map_err(|_| PublishError::Configuration(url.clone()))?;
        if configuration.issuer != self.name.as_str() {
            let named = super::reason::clipped(&configuration.issuer);
            return Err(PublishError::OtherIssuer { url, named });
        }
        Ok(KeySet::read(&self.read(&configuration.jwks_uri).await?)?)
    }
}

#[async_trait]
impl Publisher for Discovery {
    async fn keys(&self) -> Result<KeySet, PublishError> {
        let late = |_| PublishError::Call { url: self.name.configuration_url(), failure: Failure::TimedOut };
        tokio::time::timeout(READ_MAX, self.key_set()).await.map_err(late)?
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::response::Redirect;
    use axum::routing::get;
    use graph::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::identity::{Key, KeyRing};
    use crate::outbound::{OutboundConfig, Policy};

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    /// An issuer on loopback whose configuration is `configuration` of its own URL. It has keys at `/keys`.
    async fn issuer(configuration: impl Fn(&str) -> String) -> Discovery {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let name = format!("http://{}", listener.local_addr().unwrap());
        let (configuration, elsewhere) = (configuration(&name), Redirect::temporary("/keys"));
        let keys = KeyRing::of(Key::generate(NOW).unwrap()).jwks(None, NOW).to_string();
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(move || async { configuration }))
            .route("/keys", get(move || async { keys }))
            .route("/moved", get(move || async { elsewhere }))
            .route("/endless", get(move || async { "x".repeat(BYTES_MAX + 1) }));
        tokio::spawn(axum::serve(listener, router).into_future());
        let policy = Policy { dev: true, ..Policy::default() };
        let outbound = Outbound::new(OutboundConfig { policy, ..OutboundConfig::default() }).unwrap();
        Discovery::new(outbound, IssuerName::new(&name).unwrap())
    }

    async fn refusal(configuration: impl Fn(&str) -> String) -> String {
        let issuer = issuer(configuration).await;
        let error = issuer.keys().await.unwrap_err().to_string();
        error.replace(issuer.name.as_str(), "ISSUER")
    }

    fn with_keys_at(jwks_uri: &str) -> impl Fn(&str) -> String {
        move |name| json!({"issuer": name, "jwks_uri": jwks_uri.replace("ISSUER", name)}).to_string()
    }

    #[tokio::test]
    async fn keys_are_read_where_the_configuration_says() {
        let issuer = issuer(with_keys_at("ISSUER/keys")).await;
        assert_eq!(issuer.keys().await.unwrap().count(), 1);
    }

    #[tokio::test]
    async fn what_is_not_the_issuers_configuration_or_keys_is_refused_with_what_is_wrong() {
        let refusals = [
            refusal(|name| json!({"issuer": format!("{name}/"), "jwks_uri": format!("{name}/keys")}).to_string()).await,
            refusal(|_| "<html>".to_owned()).await,
            refusal(|name| json!({"issuer": name}).to_string()).await,
            refusal(with_keys_at("ISSUER/.well-known/openid-configuration")).await,
            refusal(with_keys_at("ISSUER/nothing")).await,
            refusal(with_keys_at("ISSUER/moved")).await,
            refusal(with_keys_at("ISSUER/endless")).await,
            refusal(with_keys_at("https://169.254.169.254/keys")).await,
            refusal(with_keys_at("file:///etc/passwd")).await,
        ];
        insta::assert_snapshot!(refusals.join("\n"));
    }
}
