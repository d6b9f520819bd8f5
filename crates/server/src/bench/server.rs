//! This program as a server in a process of its own, for development or as in production, and requests to it as an app makes them.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderValue, Method, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::fill::Filled;
use super::process::{Activity, activity, resident_bytes};

/// `changeType`s that hear of creations; equal subscriptions of one creator are refused.
const HEARING: [&str; 4] = ["created", "created,updated", "created,deleted", "created,updated,deleted"];
/// A server that has come to rest uses less of a core than this for so many looks, since it waits a second with what it
/// records of a log that nobody hears of; and is given so long for it.
const AT_REST_CPU: f64 = 0.02;
const AT_REST_LOOKS: u32 = 6;
const REST_MAX: Duration = Duration::from_secs(600);
const LOOK_EVERY: Duration = Duration::from_millis(500);

type Http = hyper_util::client::legacy::Client<HttpConnector, Full<Bytes>>;

/// `tidings dev` or `tidings serve` on free ports; killed when it is dropped.
pub struct Server {
    process: Child,
    ready: Value,
    http: Http,
    /// When the process was started.
    pub started: Instant,
}

/// Posts one message again and again to one mailbox of a server, each time on whatever connection is free. It shares the
/// machine with the server, so what it sends is made once, and of an answer it reads the id alone.
#[derive(Clone)]
pub struct Writer {
    http: Http,
    url: Uri,
    authorization: HeaderValue,
    message: Bytes,
}

/// A writer with a connection of its own, which waits for each answer and looks at nothing of it but the status, so that little of
/// the machine goes to it.
pub struct Line {
    connection: SendRequest<Full<Bytes>>,
    writer: Writer,
    host: HeaderValue,
    path: Uri,
}

#[derive(serde::Deserialize)]
struct Made {
    id: String,
}

impl Server {
    /// On a directory that goes away, with one notification in each POST.
    pub fn start() -> Result<Self> {
        Self::launch(["--ephemeral", "--batch-max", "1"].map(OsString::from).to_vec())
    }

    /// On a directory that was filled, with batches as they are by default.
    pub fn start_on(filled: &Filled) -> Result<Self> {
        let (data, key_file) = (filled.data().into(), filled.key_file().into());
        Self::launch(vec!["--data-dir".into(), data, "--key-file".into(), key_file])
    }

    fn launch(data: Vec<OsString>) -> Result<Self> {
        let mut dev: Vec<OsString> = ["dev", "--json", "--lmtp-port", "0"].map(OsString::from).to_vec();
        dev.extend(["--http", "127.0.0.1:0", "--https", "127.0.0.1:0", "--admin", "127.0.0.1:0"].map(OsString::from));
        dev.extend(data);
        let mut server = Self::spawn(&dev, Stdio::inherit())?;
        let mut line = String::new();
        BufReader::new(server.process.stdout.take().context("the server's output")?).read_line(&mut line)?;
        server.ready = serde_json::from_str(&line).with_context(|| format!("no ready line: {line:?}"))?;
        Ok(server)
    }

    /// On a directory that was filled, as in production: it tells of no tokens, and calls no receiver on loopback.
    pub fn serve(filled: &Filled) -> Result<Self> {
        let mut server = Self::spawn(&["serve".into(), "--config".into(), filled.config()?.into()], Stdio::piped())?;
        let mut said = BufReader::new(server.process.stderr.take().context("the server's messages")?).lines();
        let serves = |line: &io::Result<String>| line.as_ref().is_ok_and(|line| line.contains("serves its admin API"));
        ensure!(said.any(|line| serves(&line)), "the server did not start");
        // Nobody reads what it says from now on, and it must not wait for that.
        std::thread::spawn(move || said.map_while(Result::ok).for_each(drop));
        Ok(server)
    }

    fn spawn(arguments: &[OsString], stderr: Stdio) -> Result<Self> {
        let (started, mut program) = (Instant::now(), Command::new(std::env::current_exe()?));
        let process = program.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr).spawn();
        let process = process.context("the server does not start")?;
        let http = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build_http();
        Ok(Self { process, ready: Value::Null, http, started })
    }

    pub fn process(&self) -> u32 {
        self.process.id()
    }

    /// Waits until the server does nearly nothing, and tells the resident memory that it has then.
    pub async fn at_rest(&self) -> Result<u64> {
        let (mut before, mut looks) = (self.activity()?, 0);
        while self.started.elapsed() < REST_MAX {
            tokio::time::sleep(LOOK_EVERY).await;
            let now = self.activity()?;
            let used = now.since(&before);
            let is_quiet = used.cpu.as_secs_f64() < AT_REST_CPU * LOOK_EVERY.as_secs_f64();
            looks = if is_quiet { looks + 1 } else { 0 };
            if looks == AT_REST_LOOKS {
                return resident_bytes(self.process())
                    .context("the kernel does not tell how much memory a process has");
            }
            before = now;
        }
        bail!("the server was still at work after {REST_MAX:?}")
    }

    /// What its process has done so far.
    pub fn activity(&self) -> Result<Activity> {
        activity(self.process()).context("the kernel does not tell what a process does")
    }

    fn text(&self, pointer: &str) -> Result<String> {
        let found = self.ready.pointer(pointer).and_then(Value::as_str);
        Ok(found.with_context(|| format!("{pointer} of the ready line"))?.to_owned())
    }

    /// Makes a subscription to Megan's messages for each URL.
    pub async fn subscribe(&self, urls: &[String]) -> Result<()> {
        let subscriptions = format!("{}/v1.0/subscriptions", self.text("/http/0")?);
        let (user, app, user_id) = (self.text("/token")?, self.text("/appToken")?, self.text("/users/0/id")?);
        let expires = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(12);
        let folders = ["messages", "mailFolders('drafts')/messages"];
        let all = [&app, &user]
            .into_iter()
            .flat_map(|token| folders.map(|folder| (token, folder)))
            .flat_map(|(token, folder)| HEARING.map(|change_type| (token, folder, change_type)));
        for ((token, folder, change_type), url) in all.zip(urls) {
            let body = json!({
                "changeType": change_type,
                "notificationUrl": url,
                "resource": format!("users/{user_id}/{folder}"),
                "expirationDateTime": expires.to_string(),
                "clientState": "a state of usual length",
            });
            let (status, answer) = call(&self.http, Method::POST, &subscriptions, token, Some(&body)).await?;
            ensure!(status == 201, "the subscription was refused with {status}: {answer}");
        }
        Ok(())
    }

    /// Writes messages to Megan's mailbox.
    pub fn writer(&self) -> Result<Writer> {
        let url = format!("{}/v1.0/users/{}/messages", self.text("/http/0")?, self.text("/users/0/id")?).parse()?;
        let authorization = format!("Bearer {}", self.text("/appToken")?).try_into()?;
        let message = json!({
            "subject": "a message of the benchmark",
            "body": {"contentType": "text", "content": "It says nothing, at some length. ".repeat(8)},
            "toRecipients": [{"emailAddress": {"address": "adele@contoso.test"}}],
        });
        Ok(Writer { http: self.http.clone(), url, authorization, message: message.to_string().into() })
    }

    /// Rows of the log and of parked deliveries written since it was started.
    pub async fn durable_rows(&self) -> Result<u64> {
        let url = format!("{}/admin/status", self.text("/admin")?);
        let (status, answer) = call(&self.http, Method::GET, &url, &self.text("/adminToken")?, None).await?;
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

impl Writer {
    /// Posts one message, and tells its id.
    pub async fn post(&self) -> Result<String> {
        let response = self.http.request(self.request(self.url.clone())?).await?;
        let answer = created(response).await?.collect().await?.to_bytes();
        Ok(serde_json::from_slice::<Made>(&answer)?.id)
    }

    /// Takes a connection for itself.
    pub async fn connect(self) -> Result<Line> {
        let authority = self.url.authority().context("the server's address")?.as_str();
        let socket = TcpStream::connect(authority).await?;
        socket.set_nodelay(true)?;
        let (connection, driven) = http1::handshake(TokioIo::new(socket)).await?;
        // That it has ended is told to who posts next.
        tokio::spawn(async { drop(driven.await) });
        Ok(Line { connection, host: authority.try_into()?, path: self.url.path().parse()?, writer: self })
    }

    fn request(&self, uri: Uri) -> Result<Request<Full<Bytes>>> {
        let request = Request::post(uri)
            .header(AUTHORIZATION, self.authorization.clone())
            .header(CONTENT_TYPE, "application/json");
        Ok(request.body(Full::new(self.message.clone()))?)
    }
}

impl Line {
    /// Posts one message, and waits until it is accepted.
    pub async fn post(&mut self) -> Result<()> {
        let mut request = self.writer.request(self.path.clone())?;
        request.headers_mut().insert(HOST, self.host.clone());
        self.connection.ready().await?;
        let mut answer = created(self.connection.send_request(request).await?).await?;
        while let Some(part) = answer.frame().await {
            part?;
        }
        Ok(())
    }
}

/// What follows the head of an answer that says that a message was made.
async fn created(response: Response<Incoming>) -> Result<Incoming> {
    let (head, body) = response.into_parts();
    if head.status == 201 {
        return Ok(body);
    }
    let answer = body.collect().await?.to_bytes();
    bail!("a message was refused with {}: {}", head.status, String::from_utf8_lossy(&answer))
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
