//! The sections `nats` and `dead_letters`: where events go besides webhooks.

use std::path::PathBuf;

use anyhow::{Context, bail, ensure};
use notify::topic::SubjectTemplate;
use serde::Deserialize;
use url::Url;

use crate::bridge::{NatsConfig, NatsCredentials, StreamLimits};
use crate::dead_letters::{DeadLettersConfig, S3Config};

/// The least limit of a stream; below it hardly anything would be kept.
const STREAM_BYTES_LEAST: i64 = 1 << 20;

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Nats {
    /// Absent: events are bridged nowhere.
    pub url: Option<String>,
    pub credentials_file: Option<PathBuf>,
    pub user_file: Option<PathBuf>,
    pub ca_files: Vec<PathBuf>,
    pub subject_prefix: String,
    pub stream_bytes_max: i64,
    pub stream_days: u32,
    pub stream_replicas: u8,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeadLetters {
    /// Absent, as `s3`: no dead letter is kept.
    pub directory: Option<PathBuf>,
    pub s3: Option<S3>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S3 {
    pub endpoint: String,
    pub bucket: String,
    pub region: String,
    pub credentials_file: PathBuf,
    #[serde(default = "yes")]
    pub path_style: bool,
    #[serde(default)]
    pub ca_files: Vec<PathBuf>,
}

fn yes() -> bool {
    true
}

impl Default for Nats {
    fn default() -> Self {
        Self {
            url: None,
            credentials_file: None,
            user_file: None,
            ca_files: Vec::new(),
            subject_prefix: "graph.{tenant}".to_owned(),
            stream_bytes_max: 1 << 30,
            stream_days: 7,
            stream_replicas: 1,
        }
    }
}

impl Nats {
    /// `None`: events are bridged nowhere.
    pub fn bridge(&self) -> anyhow::Result<Option<NatsConfig>> {
        let subject_prefix = SubjectTemplate::parse(&self.subject_prefix);
        let subject_prefix = subject_prefix.map_err(|error| anyhow::anyhow!("nats.subject_prefix: {error}"))?;
        let (bytes, days, replicas) = (self.stream_bytes_max, self.stream_days, self.stream_replicas);
        ensure!(bytes >= STREAM_BYTES_LEAST, "nats.stream_bytes_max must be at least {STREAM_BYTES_LEAST}");
        ensure!(
            (1..=3_650).contains(&days),
            "nats.stream_days is {days}: give 1 to 3650; what is published again within a day must be known"
        );
        ensure!((1..=5).contains(&replicas), "nats.stream_replicas is {replicas}: give 1 to 5");
        let credentials = match (&self.credentials_file, &self.user_file) {
            (None, None) => NatsCredentials::None,
            (Some(file), None) => NatsCredentials::File(file.clone()),
            (None, Some(file)) => NatsCredentials::User(file.clone()),
            (Some(_), Some(_)) => {
                bail!("nats.credentials_file and nats.user_file are two ways to say who connects: set one")
            }
        };
        let Some(url) = &self.url else {
            ensure!(
                credentials == NatsCredentials::None && self.ca_files.is_empty(),
                "nats.credentials_file, nats.user_file and nats.ca_files are of use only with nats.url"
            );
            return Ok(None);
        };
        Ok(Some(NatsConfig {
            url: nats_url(url)?,
            credentials,
            ca_files: self.ca_files.clone(),
            subject_prefix,
            stream: StreamLimits { bytes_max: bytes, days, replicas: replicas.into() },
        }))
    }
}

/// What the text says is not repeated: it may have a password in it.
fn nats_url(text: &str) -> anyhow::Result<String> {
    let hint = "give nats://HOST:PORT, or tls://HOST:PORT if only TLS will do";
    let url = Url::parse(text).ok().with_context(|| format!("nats.url is no URL: {hint}"))?;
    ensure!(matches!(url.scheme(), "nats" | "tls"), "nats.url is not of the scheme nats or tls: {hint}");
    ensure!(
        url.username().is_empty() && url.password().is_none(),
        "nats.url has a user name: keep that in a file, and name the file as nats.user_file"
    );
    ensure!(url.host_str().is_some_and(|host| !host.is_empty()), "nats.url has no host: {hint}");
    ensure!(
        matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none(),
        "nats.url has more than a host and a port: {hint}"
    );
    Ok(text.trim_end_matches('/').to_owned())
}

impl DeadLetters {
    /// `None`: no dead letter is kept.
    pub fn kept(&self) -> anyhow::Result<Option<DeadLettersConfig>> {
        match (&self.directory, &self.s3) {
            (None, None) => Ok(None),
            (Some(directory), None) => Ok(Some(DeadLettersConfig::Directory(directory.clone()))),
            (None, Some(s3)) => Ok(Some(DeadLettersConfig::S3(Box::new(s3.config()?)))),
            (Some(_), Some(_)) => bail!("dead_letters.directory and dead_letters.s3 are two places: set one"),
        }
    }
}

impl S3 {
    fn config(&self) -> anyhow::Result<S3Config> {
        let hint = "give the base URL of the object store, such as https://s3.eu-central-1.amazonaws.com";
        let endpoint =
            Url::parse(&self.endpoint).ok().with_context(|| format!("dead_letters.s3.endpoint is no URL: {hint}"))?;
        ensure!(
            matches!(endpoint.scheme(), "http" | "https") && endpoint.host_str().is_some_and(|host| !host.is_empty()),
            "dead_letters.s3.endpoint is no URL of HTTP or HTTPS: {hint}"
        );
        ensure!(
            endpoint.username().is_empty()
                && endpoint.password().is_none()
                && endpoint.query().is_none()
                && endpoint.fragment().is_none(),
            "dead_letters.s3.endpoint has a user name, a query or a fragment: keep the key in a file, and name that file as \
             dead_letters.s3.credentials_file"
        );
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
        ensure!(
            (3..=63).contains(&self.bucket.len()) && self.bucket.bytes().all(is_name) && !self.bucket.contains(".."),
            "dead_letters.s3.bucket is no name of a bucket: give 3 to 63 lower-case letters, digits, hyphens and dots"
        );
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        ensure!(
            (1..=64).contains(&self.region.len()) && self.region.bytes().all(is_word),
            "dead_letters.s3.region is no name of a region: give the store's, or us-east-1 where it has none"
        );
        Ok(S3Config {
            endpoint,
            bucket: self.bucket.clone(),
            region: self.region.clone(),
            credentials_file: self.credentials_file.clone(),
            path_style: self.path_style,
            ca_files: self.ca_files.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nats(text: &str) -> anyhow::Result<Option<NatsConfig>> {
        toml::from_str::<Nats>(text)?.bridge()
    }

    fn dead_letters(text: &str) -> anyhow::Result<Option<DeadLettersConfig>> {
        toml::from_str::<DeadLetters>(text)?.kept()
    }

    #[test]
    fn nothing_is_bridged_and_no_dead_letter_kept_unless_a_place_is_named() {
        assert!(nats("").unwrap().is_none() && dead_letters("").unwrap().is_none());
        let named = nats("url = \"nats://127.0.0.1:4222/\"\nuser_file = \"/etc/tidings/nats-user\"").unwrap().unwrap();
        assert_eq!(named.url, "nats://127.0.0.1:4222");
        assert_eq!(named.credentials, NatsCredentials::User("/etc/tidings/nats-user".into()));
        let kept = dead_letters("directory = \"/var/lib/x\"").unwrap();
        assert_eq!(kept, Some(DeadLettersConfig::Directory("/var/lib/x".into())));
    }

    #[test]
    fn what_of_nats_cannot_work_is_refused_with_what_to_change() {
        let refusals = [
            "url = \"127.0.0.1:4222\"",
            "url = \"http://nats.example\"",
            "url = \"nats://\"",
            "url = \"nats://user:canary@nats.example\"",
            "url = \"nats://nats.example/?token=canary\"",
            "ca_files = [\"/etc/tidings/ca.pem\"]",
            "url = \"nats://h\"\ncredentials_file = \"/a\"\nuser_file = \"/b\"",
            "subject_prefix = \"graph.>\"",
            "subject_prefix = \"{tenant}\"",
            "stream_bytes_max = 1000",
            "stream_days = 0",
            "stream_replicas = 6",
        ]
        .map(|text| format!("{:#}", nats(text).expect_err(text)));
        assert!(!refusals.join("\n").contains("canary"));
        insta::assert_snapshot!(refusals.join("\n"));
    }

    #[test]
    fn what_of_dead_letters_cannot_work_is_refused_with_what_to_change() {
        let s3 = |endpoint: &str, bucket: &str, region: &str| {
            format!(
                "[s3]\nendpoint = \"{endpoint}\"\nbucket = \"{bucket}\"\nregion = \"{region}\"\ncredentials_file = \"/c\"\n"
            )
        };
        let good = s3("https://s3.example", "letters", "us-east-1");
        assert!(matches!(dead_letters(&good), Ok(Some(DeadLettersConfig::S3(_)))));
        let refusals = [
            format!("directory = \"/var/lib/x\"\n{good}"),
            s3("s3.example", "letters", "us-east-1"),
            s3("ftp://s3.example", "letters", "us-east-1"),
            s3("https://key:canary@s3.example", "letters", "us-east-1"),
            s3("https://s3.example", "Letters", "us-east-1"),
            s3("https://s3.example", "a/../b", "us-east-1"),
            s3("https://s3.example", "letters", ""),
        ]
        .map(|text| format!("{:#}", dead_letters(&text).expect_err(&text)));
        assert!(!refusals.join("\n").contains("canary"));
        insta::assert_snapshot!(refusals.join("\n"));
    }
}
