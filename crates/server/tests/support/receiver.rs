//! A webhook receiver that answers the handshake, refuses on demand and remembers what it acknowledged.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::Value;

#[derive(Default)]
struct State {
    acknowledged: Vec<Value>,
    events: Vec<Value>,
    bodies: Vec<Value>,
    /// By path: refuse one POST in so many.
    refuse: BTreeMap<String, usize>,
    posts: BTreeMap<String, usize>,
    refused: usize,
}

/// Listens on a free port of loopback until dropped.
pub struct Receiver {
    base: String,
    state: Arc<Mutex<State>>,
    serving: tokio::task::JoinHandle<()>,
}

impl Receiver {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                tokio::spawn(async move {
                    let service = service_fn(move |request| answer(Arc::clone(&state), request));
                    // A connection that the killed server left behind ends with an error.
                    let _ =
                        auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { base, state, serving }
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.base)
    }

    /// From now on one POST in `one_in` to `path` is answered with 500 and its own body; 0: none.
    pub fn refuse(&self, path: &str, one_in: usize) {
        self.state.lock().unwrap().refuse.insert(format!("/{path}"), one_in);
    }

    /// How many POSTs with notifications have come to `path`.
    pub fn posts(&self, path: &str) -> usize {
        self.state.lock().unwrap().posts.get(&format!("/{path}")).copied().unwrap_or(0)
    }

    pub fn acknowledged_count(&self) -> usize {
        self.state.lock().unwrap().acknowledged.len()
    }

    /// Every event that was pushed and answered with 202, in the order of arrival.
    pub fn events(&self) -> Vec<Value> {
        self.state.lock().unwrap().events.clone()
    }

    /// Requests that were answered with 500.
    pub fn refused_count(&self) -> usize {
        self.state.lock().unwrap().refused
    }

    /// The body of every request, whatever it was answered.
    pub fn bodies(&self) -> Vec<Value> {
        self.state.lock().unwrap().bodies.clone()
    }

    /// Every notification that was answered with 202, in the order of arrival.
    pub fn acknowledged(&self) -> Vec<Value> {
        self.state.lock().unwrap().acknowledged.clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer(state: Arc<Mutex<State>>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let token = url::Url::parse(&format!("http://receiver{}", request.uri())).ok().and_then(|url| {
        url.query_pairs().find(|(name, _)| name == "validationToken").map(|(_, token)| token.into_owned())
    });
    if let Some(token) = token {
        let response = Response::builder().header("content-type", "text/plain").body(Full::from(token)).unwrap();
        return Ok(response);
    }
    let Ok(body) = request.into_body().collect().await else { return Ok(status(400)) };
    let body = body.to_bytes();
    let collection: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mut state = state.lock().unwrap();
    let posts = state.posts.entry(path.clone()).or_default();
    *posts += 1;
    let number = *posts;
    state.bodies.push(collection.clone());
    if state.refuse.get(&path).is_some_and(|one_in| *one_in > 0 && number.is_multiple_of(*one_in)) {
        state.refused += 1;
        return Ok(Response::builder().status(500).body(Full::from(body)).unwrap());
    }
    if collection["specversion"].is_string() {
        state.events.push(collection);
        return Ok(status(202));
    }
    state.acknowledged.extend(collection["value"].as_array().into_iter().flatten().cloned());
    Ok(status(202))
}

fn status(code: u16) -> Response<Full<Bytes>> {
    Response::builder().status(code).body(Full::default()).unwrap()
}
