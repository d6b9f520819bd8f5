//! Dead letters as objects of one bucket, whose names begin with the container's. Requests are signed URLs, made by a
//! library that does nothing else; they go out as all calls of this server do, to the one host that the operator named.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use bytes::Bytes;
use http::Method;
use protocol::event_grid::dead_letter::RECORD_BYTES_MAX;
use rusty_s3::actions::ListObjectsV2;
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};
use url::Url;

use crate::clock::Clock;
use crate::key_file;
use crate::outbound::{Answer, Asked, Failure, Outbound, OutboundConfig, Policy};

const CREDENTIALS_BYTES_MAX: u64 = 4 << 10;
/// How long a signed URL is good for; a request takes no longer.
const SIGNED_FOR: Duration = Duration::from_secs(60);
const REQUEST_MAX: Duration = Duration::from_secs(30);
const LIST_BYTES_MAX: usize = 1 << 20;
/// As many keys are listed in one request at most; each can be a kilobyte.
const KEYS_MAX: usize = 500;

/// A bucket, and who writes to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Config {
    /// Without the bucket.
    pub endpoint: Url,
    pub bucket: String,
    pub region: String,
    /// `KEY ID:SECRET` on one line.
    pub credentials_file: PathBuf,
    /// Whether the bucket stands in the path of URLs; else it is the first part of the host.
    pub path_style: bool,
    /// PEM files of certificate authorities that it may have beside the system's.
    pub ca_files: Vec<PathBuf>,
}

pub struct S3 {
    bucket: Bucket,
    credentials: Credentials,
    outbound: Outbound,
    clock: Clock,
}

/// The object store did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum S3Error {
    #[error("the object store could not be asked: {0}")]
    Failure(#[from] Failure),
    #[error("the object store answers {status}{}", shown(.code))]
    Refused { status: u16, code: Option<String> },
    #[error("what the object store answers is no list of objects")]
    NoList,
}

fn shown(code: &Option<String>) -> String {
    code.as_ref().map(|code| format!(" ({code})")).unwrap_or_default()
}

impl S3 {
    pub fn new(config: S3Config, clock: Clock) -> anyhow::Result<Self> {
        let style = if config.path_style { UrlStyle::Path } else { UrlStyle::VirtualHost };
        let bucket = Bucket::new(config.endpoint, style, config.bucket, config.region);
        let bucket = bucket.map_err(|error| anyhow::anyhow!("dead_letters.s3 names no bucket: {error}"))?;
        let path = config.credentials_file;
        let credentials = credentials(&path)
            .with_context(|| format!("dead_letters.s3.credentials_file {} cannot be used", path.display()))?;
        let host = bucket.base_url().host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let host = host.parse().context("dead_letters.s3.endpoint has a host that cannot be called")?;
        let outbound = OutboundConfig {
            policy: Policy::of_operator(host),
            ca_files: config.ca_files,
            ..OutboundConfig::default()
        };
        let outbound = Outbound::new(outbound).context("cannot set up calls to the object store")?;
        Ok(Self { bucket, credentials, outbound, clock })
    }

    pub async fn put(&self, key: &str, record: Vec<u8>) -> Result<(), S3Error> {
        let url = self.signed(&self.bucket.put_object(Some(&self.credentials), key));
        accepted(self.ask(Method::PUT, url, record.into()).await?).map(drop)
    }

    pub async fn read(&self, key: &str) -> Result<Option<Vec<u8>>, S3Error> {
        let url = self.signed(&self.bucket.get_object(Some(&self.credentials), key));
        let answer = self.ask(Method::GET, url, Bytes::new()).await?;
        if answer.status == 404 {
            return Ok(None);
        }
        Ok(Some(accepted(answer)?.body.to_vec()))
    }

    pub async fn remove(&self, key: &str) -> Result<(), S3Error> {
        let url = self.signed(&self.bucket.delete_object(Some(&self.credentials), key));
        let answer = self.ask(Method::DELETE, url, Bytes::new()).await?;
        if answer.status == 404 { Ok(()) } else { accepted(answer).map(drop) }
    }

    pub async fn keys(&self, folder: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>, S3Error> {
        let mut list = ListObjectsV2::new(&self.bucket, Some(&self.credentials));
        list.with_prefix(format!("{folder}/"));
        list.with_max_keys(limit.min(KEYS_MAX));
        if let Some(after) = after {
            list.with_start_after(after.to_owned());
        }
        let url = self.signed(&list);
        let answer = accepted(self.ask(Method::GET, url, Bytes::new()).await?)?;
        let listed = std::str::from_utf8(&answer.body).ok().and_then(|text| ListObjectsV2::parse_response(text).ok());
        let keys = listed.ok_or(S3Error::NoList)?.contents.into_iter().map(|object| object.key);
        Ok(keys.filter(|key| key.ends_with(".json")).collect())
    }

    fn signed<'a>(&self, action: &impl S3Action<'a>) -> Url {
        let now = jiff::Timestamp::from_microsecond(self.clock.world().as_micros()).unwrap_or_default();
        action.sign_with_time(SIGNED_FOR, &now)
    }

    async fn ask(&self, method: Method, url: Url, body: Bytes) -> Result<Answer, Failure> {
        let answer_bytes_max = LIST_BYTES_MAX.max(RECORD_BYTES_MAX);
        let content_type = (method == Method::PUT).then_some("application/cloudevents+json; charset=utf-8");
        self.outbound.ask(Asked { method, url, content_type, body, answer_bytes_max }, REQUEST_MAX).await
    }
}

impl fmt::Debug for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3").field("bucket", &self.bucket.name()).finish_non_exhaustive()
    }
}

fn accepted(answer: Answer) -> Result<Answer, S3Error> {
    if (200..300).contains(&answer.status) {
        return Ok(answer);
    }
    Err(S3Error::Refused { status: answer.status, code: code(&answer.body) })
}

/// The word by which the store says what is wrong, as in `<Code>NoSuchBucket</Code>`.
fn code(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let (code, _) = text.split_once("<Code>")?.1.split_once("</Code>")?;
    let is_word = code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_word.then(|| code.to_owned())
}

fn credentials(path: &Path) -> anyhow::Result<Credentials> {
    let text = key_file::read_private("credentials file", path, CREDENTIALS_BYTES_MAX)?;
    let line = text.trim_end_matches(['\r', '\n']);
    let (key, secret) = line.split_once(':').unwrap_or_default();
    // What stands there is repeated nowhere.
    ensure!(
        !key.is_empty() && !secret.is_empty() && !line.contains(char::is_control),
        "it must be one line, KEY_ID:SECRET"
    );
    Ok(Credentials::new(key, secret))
}
