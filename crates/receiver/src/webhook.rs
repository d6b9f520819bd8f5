//! A route for axum that is your `notificationUrl` and `lifecycleNotificationUrl`: it answers the handshake, verifies
//! what is posted, hands it over, and answers before your work begins.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRef, FromRequest, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, post};
use http_body_util::LengthLimitError;
use tokio::sync::mpsc;

use crate::duplicates::Duplicates;
#[cfg(feature = "fetch")]
use crate::fetch::FetchingReceiver;
use crate::handshake;
use crate::notification::{Notification, ReadError};
use crate::receiver::{Received, Receiver, Refusal};

/// How long the body of a request may take to arrive.
const BODY_READ_MAX: Duration = Duration::from_secs(30);

type Tell = dyn Fn(&(dyn Error + 'static)) + Send + Sync;

/// A receiver with what it needs in axum. Cloning it is cheap.
#[derive(Clone)]
pub struct Webhook {
    receiver: Arc<Receiver>,
    /// Where its keys come from, unless it was built with them.
    #[cfg(feature = "fetch")]
    fetching: Option<FetchingReceiver>,
    refused: Option<Arc<Tell>>,
}

/// Why a request's body was not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// The connection broke.
    #[error("the connection broke before the whole body had come: {0}")]
    Broken(String),
    /// It came too slowly.
    #[error("the body did not come within {BODY_READ_MAX:?}")]
    TimedOut,
}

/// What a request holds, for a handler of your own. Duplicates are still in it: only you know when you are done with a
/// notification.
///
/// A handshake, and a request without anything genuine, is answered before the handler is called. When the handler answers
/// with 202, the server is done with these notifications; with a status that is no success it sends all of them again.
/// [`answer`](Self::answer) is the one to give when you have them. Answer within three seconds.
///
/// ```
/// use axum::{Router, http::StatusCode, routing::post};
/// use tidings_receiver::webhook::{Notifications, Webhook};
///
/// async fn hook(notifications: Notifications) -> StatusCode {
///     for notification in notifications.0.notifications() {
///         println!("of {}", notification.subscription_id()); // keep it somewhere safe
///     }
///     notifications.answer()
/// }
///
/// let receiver = tidings_receiver::Receiver::builder().client_state("s3cret").build()?;
/// let app: Router = Router::new().route("/notifications", post(hook)).with_state(Webhook::new(receiver));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Notifications(pub Received);

impl Notifications {
    /// [`Received::status`].
    pub fn answer(&self) -> StatusCode {
        status(self.0.status())
    }
}

impl Webhook {
    /// Verifies tokens with the keys that the receiver was built with.
    pub fn new(receiver: impl Into<Arc<Receiver>>) -> Self {
        Self {
            receiver: receiver.into(),
            #[cfg(feature = "fetch")]
            fetching: None,
            refused: None,
        }
    }

    /// Verifies tokens with the keys that the server publishes.
    #[cfg(feature = "fetch")]
    pub fn fetching(receiver: FetchingReceiver) -> Self {
        Self { receiver: receiver.receiver().clone(), fetching: Some(receiver), refused: None }
    }

    /// Tells what is refused, for your log: whole requests ([`Refusal`], [`BodyError`]) and single notifications
    /// ([`Refused`](crate::Refused)). Whoever sent it learns nothing but the status.
    pub fn on_refused(mut self, tell: impl Fn(&(dyn Error + 'static)) + Send + Sync + 'static) -> Self {
        self.refused = Some(Arc::new(tell));
        self
    }

    /// The receiver.
    pub fn receiver(&self) -> &Receiver {
        &self.receiver
    }

    /// The genuine notifications of a body.
    pub async fn receive(&self, body: &[u8]) -> Result<Received, Refusal> {
        #[cfg(feature = "fetch")]
        if let Some(fetching) = &self.fetching {
            return fetching.receive(body).await;
        }
        self.receiver.receive(body, SystemTime::now())
    }

    /// A route, and where what comes there is to be taken from: the genuine notifications of each request that
    /// are no duplicates. It is answered as soon as they wait there, with [`Received::status`]. While `waiting_max` requests wait, more
    /// are answered with 503, and the server sends them again later.
    ///
    /// `waiting_max` counts requests, and each may be [`body_bytes_max`](crate::Builder::body_bytes_max) long: 32 of 4 MiB are
    /// 128 MiB, should your server fill them. What strangers send does not wait; but how many requests are read at
    /// the same time is a limit that your server or the proxy before it must set.
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
        let received = self.receive(&body).await.map_err(|refusal| self.refuse(&refusal, refusal.status()))?;
        received.refused().for_each(|refused| self.tell(refused));
        match received.0.is_empty() || received.notifications().next().is_some() {
            true => Ok(received),
            false => Err(status(received.status()).into_response()),
        }
    }

    async fn read(&self, body: Body) -> Result<Bytes, Response> {
        let bytes_max = self.receiver.body_bytes_max();
        match tokio::time::timeout(BODY_READ_MAX, to_bytes(body, bytes_max)).await {
            Ok(Ok(body)) => Ok(body),
            Ok(Err(error)) if error.source().is_some_and(|source| source.is::<LengthLimitError>()) => {
                let refusal = Refusal::Read(ReadError::TooLong { bytes_max });
                Err(self.refuse(&refusal, refusal.status()))
            }
            Ok(Err(error)) => Err(self.refuse(&BodyError::Broken(error.to_string()), 400)),
            Err(_) => Err(self.refuse(&BodyError::TimedOut, 408)),
        }
    }

    fn refuse(&self, error: &(dyn Error + 'static), answer: u16) -> Response {
        self.tell(error);
        status(answer).into_response()
    }

    fn tell(&self, error: &(dyn Error + 'static)) {
        if let Some(tell) = &self.refused {
            tell(error);
        }
    }
}

fn status(answer: u16) -> StatusCode {
    StatusCode::from_u16(answer).unwrap_or(StatusCode::BAD_REQUEST)
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
        let answer = status(received.status());
        let mut notifications: Vec<Notification> = received.into_notifications().collect();
        let now = self.started.elapsed();
        let mut duplicates = self.duplicates.lock().unwrap_or_else(PoisonError::into_inner);
        notifications.retain(|notification| duplicates.is_new(notification, now));
        drop(duplicates);
        if !notifications.is_empty() {
            room.send(notifications);
        }
        answer.into_response()
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
