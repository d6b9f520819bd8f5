//! Load on a server in a process of its own, over HTTP, as an app makes it; and what of it arrived.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::Receiver;
use super::cpu::cpu_time_of;

/// Requests under way at a time.
const WRITERS: usize = 64;
/// How long the last notification may take to arrive.
const ARRIVE_MAX: Duration = Duration::from_secs(60);
/// `changeType`s that hear of creations; equal subscriptions of one creator are refused.
const HEARING: [&str; 4] = ["created", "created,updated", "created,deleted", "created,updated,deleted"];

type Http = hyper_util::client::legacy::Client<HttpConnector, Full<Bytes>>;

/// `tidings dev` on free ports and a temporary directory.
pub struct Server {
    process: Child,
    ready: Value,
    http: Http,
}

/// What a run at full speed came to.
#[derive(Clone, Copy, Debug)]
pub struct Throughput {
    pub accepted: u64,
    pub delivered: u64,
    /// From the first request to the last answer, and to the last notification.
    pub accepting: Duration,
    pub delivering: Duration,
    /// CPU time of the server's process.
    pub cpu: Option<Duration>,
    /// Rows of the log and of parked deliveries written.
    pub durable_rows: u64,
}

/// From the 201 to the arrival at the receiver.
#[derive(Clone, Copy, Debug)]
pub struct Latency {
    pub samples: usize,
    pub p50: Duration,
    pub p95: Duration,
    pub p99: Duration,
}

impl Server {
    /// Starts this program again as a server. One notification in each POST.
    pub fn start() -> Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(["dev", "--ephemeral", "--json", "--batch-max", "1", "--lmtp-port", "0"])
            .args(["--http", "127.0.0.1:0", "--https", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("the server does not start")?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().context("the server's output")?).read_line(&mut line)?;
        let ready = serde_json::from_str(&line).with_context(|| format!("no ready line: {line:?}"))?;
        let http = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build_http();
        Ok(Self { process, ready, http })
    }

    /// Resident memory of the server's process, in bytes, where the kernel tells.
    pub fn resident_bytes(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
        Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
    }

    fn text(&self, pointer: &str) -> Result<String> {
        let found = self.ready.pointer(pointer).and_then(Value::as_str);
        Ok(found.with_context(|| format!("{pointer} of the ready line"))?.to_owned())
    }

    async fn call(&self, method: Method, url: &str, token: &str, body: Option<&Value>) -> Result<(u16, Value)> {
        call(&self.http, method, url, token, body).await
    }

    /// Makes `count` subscriptions to Megan's messages.
    pub async fn subscribe(&self, receiver: &Receiver, count: usize) -> Result<()> {
        let base = self.text("/http/0")?;
        let (user, app, user_id) = (self.text("/token")?, self.text("/appToken")?, self.text("/users/0/id")?);
        let expires = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(12);
        let folders = ["messages", "mailFolders('drafts')/messages"];
        let all = [&app, &user]
            .into_iter()
            .flat_map(|token| folders.map(|folder| (token, folder)))
            .flat_map(|(token, folder)| HEARING.map(|change_type| (token, folder, change_type)));
        for (n, (token, folder, change_type)) in all.take(count).enumerate() {
            let body = json!({
                "changeType": change_type,
                "notificationUrl": receiver.url(&format!("/{n}")),
                "resource": format!("users/{user_id}/{folder}"),
                "expirationDateTime": expires.to_string(),
                "clientState": "a state of usual length",
            });
            let (status, answer) =
                self.call(Method::POST, &format!("{base}/v1.0/subscriptions"), token, Some(&body)).await?;
            ensure!(status == 201, "the subscription was refused with {status}: {answer}");
        }
        Ok(())
    }

    /// Posts messages as fast as they are accepted, for `span`, and waits for `fan_out` notifications of each.
    pub async fn throughput(&self, receiver: &Receiver, span: Duration, fan_out: u64) -> Result<Throughput> {
        let (posts, rows) = (receiver.posts(), self.durable_rows().await?);
        let cpu = cpu_time_of(self.process.id());
        let started = Instant::now();
        let accepted = Arc::new(AtomicU64::new(0));
        let mut writers = JoinSet::new();
        for _ in 0..WRITERS {
            let (http, accepted) = (self.http.clone(), Arc::clone(&accepted));
            let (url, token) = (self.messages()?, self.text("/appToken")?);
            writers.spawn(async move {
                while started.elapsed() < span {
                    let (status, answer) = call(&http, Method::POST, &url, &token, Some(&message())).await?;
                    ensure!(status == 201, "a message was refused with {status}: {answer}");
                    accepted.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            });
        }
        while let Some(written) = writers.join_next().await {
            written.map_err(|error| anyhow!("a writer died: {error}"))??;
        }
        let (accepting, accepted) = (started.elapsed(), accepted.load(Ordering::Relaxed));
        arrived(receiver, posts + accepted * fan_out).await?;
        let delivering = started.elapsed();
        let cpu = cpu_time_of(self.process.id()).zip(cpu).map(|(after, before)| after.saturating_sub(before));
        let durable_rows = self.durable_rows().await? - rows;
        Ok(Throughput { accepted, delivered: accepted * fan_out, accepting, delivering, cpu, durable_rows })
    }

    /// Posts `rate` messages a second for `span`. `arrivals` is filled by the receiver.
    pub async fn latency(&self, rate: u32, span: Duration, arrivals: &Arrivals) -> Result<Latency> {
        let mut pace = tokio::time::interval(Duration::from_secs(1) / rate);
        let mut calls = JoinSet::new();
        let count = (span.as_secs_f64() * f64::from(rate)) as usize;
        for _ in 0..count {
            pace.tick().await;
            let (http, url, token) = (self.http.clone(), self.messages()?, self.text("/appToken")?);
            calls.spawn(async move {
                let (status, answer) = call(&http, Method::POST, &url, &token, Some(&message())).await?;
                ensure!(status == 201, "a message was refused with {status}: {answer}");
                Ok((answer["id"].as_str().unwrap_or_default().to_owned(), Instant::now()))
            });
        }
        let mut accepted = HashMap::new();
        while let Some(call) = calls.join_next().await {
            let (id, at) = call.map_err(|error| anyhow!("a writer died: {error}"))??;
            accepted.insert(id, at);
        }
        let mut taken = arrivals.await_all(&accepted).await?;
        taken.sort_unstable();
        let quantile = |share: f64| taken[((taken.len() - 1) as f64 * share) as usize];
        Ok(Latency { samples: taken.len(), p50: quantile(0.5), p95: quantile(0.95), p99: quantile(0.99) })
    }

    fn messages(&self) -> Result<String> {
        Ok(format!("{}/v1.0/users/{}/messages", self.text("/http/0")?, self.text("/users/0/id")?))
    }

    async fn durable_rows(&self) -> Result<u64> {
        let url = format!("{}/admin/status", self.text("/admin")?);
        let (status, answer) = self.call(Method::GET, &url, &self.text("/adminToken")?, None).await?;
        ensure!(status == 200, "the admin API answered {status}: {answer}");
        let count = |name: &str| answer.pointer(&format!("/store/{name}")).and_then(Value::as_u64);
        count("logRows").zip(count("parkedRows")).map(|(log, parked)| log + parked).context("the store's counters")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// When each item was first heard of.
#[derive(Clone, Debug, Default)]
pub struct Arrivals(Arc<Mutex<HashMap<String, Instant>>>);

impl Arrivals {
    /// Takes a body that has arrived.
    pub fn note(&self, body: &[u8]) {
        let at = Instant::now();
        let collection: Value = serde_json::from_slice(body).unwrap_or_default();
        let mut arrivals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for id in collection["value"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|told| told.pointer("/resourceData/id").and_then(Value::as_str))
        {
            arrivals.entry(id.to_owned()).or_insert(at);
        }
    }

    async fn await_all(&self, accepted: &HashMap<String, Instant>) -> Result<Vec<Duration>> {
        let deadline = Instant::now() + ARRIVE_MAX;
        let mut look = tokio::time::interval(Duration::from_millis(5));
        loop {
            let taken: Option<Vec<Duration>> = {
                let arrivals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                accepted.iter().map(|(id, at)| Some(arrivals.get(id)?.saturating_duration_since(*at))).collect()
            };
            match taken {
                Some(taken) => return Ok(taken),
                None if Instant::now() > deadline => bail!("some notifications did not arrive within {ARRIVE_MAX:?}"),
                None => look.tick().await,
            };
        }
    }
}

/// Waits until the receiver has acknowledged so many POSTs.
pub(super) async fn arrived(receiver: &Receiver, posts: u64) -> Result<()> {
    let deadline = Instant::now() + ARRIVE_MAX;
    let mut look = tokio::time::interval(Duration::from_millis(1));
    while receiver.posts() < posts {
        if Instant::now() > deadline {
            bail!("only {} of {posts} notifications arrived within {ARRIVE_MAX:?}", receiver.posts());
        }
        look.tick().await;
    }
    Ok(())
}

fn message() -> Value {
    json!({
        "subject": "a message of the benchmark",
        "body": {"contentType": "text", "content": "It says nothing, at some length. ".repeat(8)},
        "toRecipients": [{"emailAddress": {"address": "adele@contoso.test"}}],
    })
}

async fn call(http: &Http, method: Method, url: &str, token: &str, body: Option<&Value>) -> Result<(u16, Value)> {
    let mut request = Request::builder().method(method).uri(url).header("authorization", format!("Bearer {token}"));
    if body.is_some() {
        request = request.header("content-type", "application/json");
    }
    let bytes = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
    let response = http.request(request.body(Full::new(bytes))?).await?;
    let status = response.status().as_u16();
    let bytes = response.into_body().collect().await?.to_bytes();
    Ok((status, serde_json::from_slice(&bytes).unwrap_or_default()))
}
