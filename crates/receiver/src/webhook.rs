//! A route for axum that is your `notificationUrl` and `lifecycleNotificationUrl`: it answers the handshake, verifies
//! what is posted, hands it over, and answers before your work begins.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRef, FromRequest, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, post};
use tokio::sync::mpsc;

use crate::duplicates::Duplicates;
use crate::fetch::Keys;
use crate::handshake;
use crate::notification::{Notification, ReadError};
use crate::receiver::{Received, Receiver, Refusal};

/// How long the body of a request may take to arrive.
const BODY_READ_MAX: Duration = Duration::from_secs(30);

type Tell = dyn Fn(&Refusal) + Send + Sync;

/// A receiver with what it needs in axum. Cloning it is cheap.
#[derive(Clone)]
pub struct Webhook(Arc<Shared>);

struct Shared {
    receiver: Arc<Receiver>,
    /// `None`: those that the receiver was built with.
    keys: Option<Keys>,
    refused: Option<Box<Tell>>,
}

/// The genuine notifications of a request, for a handler of your own. Duplicates are still among them: only you know
/// when you are done with one.
///
/// A handshake, and what is not genuine, is answered before the handler is called. When the handler answers with 202, the
/// server is done with these notifications; with a status that is no success it sends all of them again. Answer within
/// three seconds.
///
/// ```
/// use axum::{Router, http::StatusCode, routing::post};
/// use tidings_receiver::webhook::{Notifications, Webhook};
///
/// async fn hook(Notifications(received): Notifications) -> StatusCode {
///     println!("{} notifications", received.notifications.len()); // keep them somewhere safe
///     StatusCode::ACCEPTED
/// }
///
/// let receiver = tidings_receiver::Receiver::builder().client_state("s3cret").build()?;
/// let app: Router = Router::new().route("/notifications", post(hook)).with_state(Webhook::new(receiver));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Notifications(pub Received);

impl Webhook {
    /// Verifies tokens with the keys that the receiver was built with.
    pub fn new(receiver: impl Into<Arc<Receiver>>) -> Self {
        Self(Arc::new(Shared { receiver: receiver.into(), keys: None, refused: None }))
    }

    /// Verifies tokens with the keys that the server publishes.
    pub fn with_keys(receiver: impl Into<Arc<Receiver>>, keys: Keys) -> Self {
        Self(Arc::new(Shared { receiver: receiver.into(), keys: Some(keys), refused: None }))
    }

    /// Tells what is refused, for your log. Whoever sent it learns nothing but the status. Say this before the webhook is
    /// cloned.
    pub fn on_refused(mut self, tell: impl Fn(&Refusal) + Send + Sync + 'static) -> Self {
        if let Some(shared) = Arc::get_mut(&mut self.0) {
            shared.refused = Some(Box::new(tell));
        }
        self
    }

    /// The receiver.
    pub fn receiver(&self) -> &Receiver {
        &self.0.receiver
    }

    /// The genuine notifications of a body.
    pub async fn receive(&self, body: &[u8]) -> Result<Received, Refusal> {
        match &self.0.keys {
            Some(keys) => keys.receive(&self.0.receiver, body).await,
            None => self.0.receiver.receive(body, SystemTime::now()),
        }
    }

    /// A route, and where what comes there is to be taken from: the genuine notifications of each request that
    /// are no duplicates. It is answered with 202 as soon as they wait there. While `waiting_max` requests wait, more
    /// are answered with 503, and the server sends them again later.
    ///
    /// What waits is lost if your process ends. If that matters, write your own handler with [`Notifications`], which
    /// keeps what it got before it answers; or look for what you missed when you start, with a delta query say.
    pub fn route<S: Clone + Send + Sync + 'static>(
        self,
        waiting_max: usize,
    ) -> (MethodRouter<S>, mpsc::Receiver<Vec<Notification>>) {
        let (sender, receiver) = mpsc::channel(waiting_max.max(1));
        let desk = Arc::new(Desk { webhook: self, sender, duplicates: Mutex::default(), started: Instant::now() });
        let handler = move |request: Request| {
            let desk = Arc::clone(&desk);
            async move { desk.answer(request).await }
        };
        (post(handler), receiver)
    }

    /// What a request holds, or the answer to it if that is known already.
    async fn open(&self, request: Request) -> Result<Received, Response> {
        if let Some(token) = handshake::answer(request.uri().query().unwrap_or_default()) {
            return Err(handshake_answer(token));
        }
        let body = self.read(request.into_body()).await?;
        self.receive(&body).await.map_err(|refusal| self.refuse(&refusal))
    }

    async fn read(&self, body: Body) -> Result<Bytes, Response> {
        let bytes_max = self.0.receiver.body_bytes_max();
        match tokio::time::timeout(BODY_READ_MAX, to_bytes(body, bytes_max)).await {
            Ok(Ok(body)) => Ok(body),
            // It is too long, or the connection broke; then nobody reads the answer.
            Ok(Err(_)) => Err(self.refuse(&Refusal::Read(ReadError::TooLong { bytes_max }))),
            Err(_) => Err(StatusCode::REQUEST_TIMEOUT.into_response()),
        }
    }

    fn refuse(&self, refusal: &Refusal) -> Response {
        if let Some(tell) = &self.0.refused {
            tell(refusal);
        }
        StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::BAD_REQUEST).into_response()
    }
}

fn handshake_answer(token: String) -> Response {
    let mut response = Response::new(Body::from(token));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(handshake::CONTENT_TYPE));
    // No browser shall take it for a page, whatever stands in it.
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Where requests are handed over.
struct Desk {
    webhook: Webhook,
    sender: mpsc::Sender<Vec<Notification>>,
    duplicates: Mutex<Duplicates>,
    started: Instant,
}

impl Desk {
    async fn answer(&self, request: Request) -> Response {
        let received = match self.webhook.open(request).await {
            Ok(received) => received,
            Err(answer) => return answer,
        };
        // First the room, then the mark that it was seen: what found no room comes again.
        let Ok(room) = self.sender.try_reserve() else { return StatusCode::SERVICE_UNAVAILABLE.into_response() };
        let mut notifications = received.notifications;
        let now = self.started.elapsed();
        let mut duplicates = self.duplicates.lock().unwrap_or_else(PoisonError::into_inner);
        notifications.retain(|notification| duplicates.is_new(notification, now));
        drop(duplicates);
        if !notifications.is_empty() {
            room.send(notifications);
        }
        StatusCode::ACCEPTED.into_response()
    }
}

impl<S: Send + Sync> FromRequest<S> for Notifications
where
    Webhook: FromRef<S>,
{
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        Webhook::from_ref(state).open(request).await.map(Self)
    }
}

#[cfg(test)]
mod tests;
