//! What `tidings listen --forward-to` sends on: one body at a time, in the order in which they came, and
//! apart from the answers to the server, which would send again what a slow app has not answered yet.

use bytes::Bytes;
use http::Method;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use url::Url;

use super::client::{Call, Client};

/// Bodies that wait for the app.
const WAITING_MAX: usize = 64;

/// Starts to forward. The task ends once the sender is dropped and what waited has been sent; it counts
/// the bodies that did not get through.
pub fn start(client: Client, url: Url) -> (mpsc::Sender<Bytes>, JoinHandle<u64>) {
    let (sender, mut waiting) = mpsc::channel(WAITING_MAX);
    let task = tokio::spawn(async move {
        let mut failures = 0;
        while let Some(body) = waiting.recv().await {
            if let Err(trouble) = send(&client, &url, body).await {
                failures += 1;
                eprintln!("tidings: not forwarded: {trouble}");
            }
        }
        failures
    });
    (sender, task)
}

async fn send(client: &Client, url: &Url, body: Bytes) -> Result<(), String> {
    let body = Some(("application/json; charset=utf-8", body));
    match client.send(Call { method: Method::POST, url: url.as_str(), token: None, body }).await {
        Ok(answer) if answer.status.is_success() => Ok(()),
        Ok(answer) => Err(format!("{url} answered {}", answer.status)),
        Err(error) => Err(format!("{error:#}")),
    }
}

/// Reads the option's value.
pub fn url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("not an absolute URL: {error}"))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        other => Err(format!("the scheme {other} is not http or https")),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use axum::Router;
    use axum::extract::State;
    use axum::routing::post;
    use http::StatusCode;

    use super::*;

    #[tokio::test]
    async fn bodies_arrive_in_order_and_failures_are_counted() {
        type Seen = Arc<Mutex<Vec<String>>>;
        let seen = Seen::default();
        let app = async |State(seen): State<Seen>, body: String| {
            let status = if body == "2" { StatusCode::BAD_REQUEST } else { StatusCode::OK };
            seen.lock().unwrap().push(body);
            status
        };
        let router = Router::new().route("/hook", post(app)).with_state(seen.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = url(&format!("http://{}/hook", listener.local_addr().unwrap())).unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        let (sender, task) = start(Client::new(None).unwrap(), url);
        for body in ["1", "2", "3"] {
            sender.send(Bytes::from(body)).await.unwrap();
        }
        drop(sender);
        assert_eq!(task.await.unwrap(), 1);
        assert_eq!(*seen.lock().unwrap(), ["1", "2", "3"]);
    }

    #[test]
    fn only_the_url_of_a_web_server_is_taken() {
        assert!(url("https://localhost:3000/hook").is_ok());
        for wrong in ["hook", "localhost:3000/hook", "ftp://h/x"] {
            assert!(url(wrong).is_err(), "{wrong}");
        }
    }
}
