//! Receive the change notifications of [Microsoft Graph](https://learn.microsoft.com/graph/change-notifications-overview),
//! or of Tidings, a server of one's own that speaks the same.
//!
//! # What a change notification is
//!
//! You want to know when mail arrives in a mailbox. Instead of asking every minute you **subscribe**: you tell the server
//! a resource (`me/messages`), which changes matter (`created`), a URL of yours (`notificationUrl`), a secret
//! (`clientState`) and until when:
//!
//! ```http
//! POST /v1.0/subscriptions
//! Authorization: Bearer …
//! Content-Type: application/json
//!
//! {
//!   "resource": "me/messages",
//!   "changeType": "created,updated,deleted",
//!   "notificationUrl": "https://app.example/notifications",
//!   "lifecycleNotificationUrl": "https://app.example/notifications",
//!   "clientState": "a secret of your choice",
//!   "expirationDateTime": "2026-12-01T10:00:00Z"
//! }
//! ```
//!
//! From then on the server posts to that URL whenever something happens. A request holds one **notification** or many:
//!
//! ```json
//! {"value": [{
//!   "subscriptionId": "5f7c0a11-2222-4333-8444-555566667777",
//!   "subscriptionExpirationDateTime": "2026-12-01T10:00:00Z",
//!   "changeType": "created",
//!   "resource": "Users/0b1c2d3e-1111-4222-8333-444455556666/Messages/AAMkAGUwAAA=",
//!   "resourceData": {"@odata.type": "#Microsoft.Graph.Message", "id": "AAMkAGUwAAA="},
//!   "clientState": "a secret of your choice",
//!   "tenantId": "84bd8158-6d4d-4958-8b9f-9d6445542f95"
//! }]}
//! ```
//!
//! This crate is the other end of that URL. Its core, [`Receiver`], is a value without I/O, clock or runtime: bytes go in,
//! typed [`Notification`]s or a typed [`Refusal`] come out. The feature **`axum`** puts a route around it
//! (module `webhook`), the feature **`fetch`** reads the server's keys over HTTPS (module `fetch`), which you need for
//! data alone, and **`pull`** pulls from topics (module `pull`). Without features it is as small as its cryptography allows, that of `aws-lc-rs`, which needs a C compiler to
//! build.
//!
//! # 1. The handshake
//!
//! Before a subscription exists, the server makes sure that the URL is yours: it posts there with
//! `?validationToken=…`, and you have ten seconds to answer with that text. [`handshake::answer`] finds it:
//!
//! ```
//! use tidings_receiver::handshake;
//!
//! fn answer(query: &str) -> Option<(u16, &'static str, String)> {
//!     let token = handshake::answer(query)?;
//!     Some((200, handshake::CONTENT_TYPE, token)) // nothing else, and never as HTML
//! }
//! assert_eq!(answer("validationToken=are+you%20there").unwrap().2, "are you there");
//! ```
//!
//! # 2. Genuine, or not
//!
//! Anybody can post to your URL. What makes a notification genuine is `clientState`, which only you and the server know. The
//! receiver compares it in constant time, and leaves out what has another one:
//!
//! ```
//! use std::time::SystemTime;
//! use tidings_receiver::{Notification, Receiver};
//!
//! # let body = br#"{"value":[{"subscriptionId":"s","subscriptionExpirationDateTime":"","changeType":"created",
//! #     "resource":"Users/u/Messages/m","clientState":"a secret of your choice"}]}"#;
//! let receiver = Receiver::builder().client_state("a secret of your choice").build()?;
//!
//! match receiver.receive(body, SystemTime::now()) {
//!     Ok(received) => {
//!         for notification in received.notifications() {
//!             if let Notification::Change(change) = notification {
//!                 println!("{}: {}", change.change_type, change.resource);
//!             }
//!         }
//!         println!("answer {}", received.status());
//!     }
//!     Err(refusal) => println!("answer {}: {refusal}", refusal.status()),
//! }
//! # let forged = br#"{"value":[{"subscriptionId":"s","subscriptionExpirationDateTime":"","clientState":"guess"}]}"#;
//! # assert_eq!(receiver.receive(forged, SystemTime::now())?.status(), 401);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Subscriptions may have one each: [`Builder::client_state_of`]. The server may tell of a change before you have read the
//! answer to your own request to subscribe. For what is of a subscription that you do not know, [`Received::status`] is 503:
//! it comes again, so answer with that.
//!
//! # 3. Answer fast
//!
//! Answer with 202 (any 2xx will do) **within three seconds**, and work afterwards. Whoever is slow is sent less, later, and
//! in the end nothing. What is not acknowledged comes again, for four hours. So: read, check, put it into a queue, answer.
//! The axum route does so, and its queue has an end: when it is full it answers 503, and the server tries later.
//!
//! A 2xx says that the server may forget the notification. If you must not lose any, write it down before you answer.
//!
//! # 4. Read the item
//!
//! A notification names the item; it does not hold it. `GET {server}/v1.0/{resource}` shows it as it is now, which
//! may be later than the change, or gone.
//!
//! # 5. Duplicates and order
//!
//! Delivery is *at least once*. [`Duplicates`] remembers what was there of late; do what you do so that doing it twice does no
//! harm. Tidings tells of one item in order; Graph promises no order, and neither does across items. Compare
//! [`Change::etag`], or read the item.
//!
//! # 6. Lifecycle: what a subscription needs
//!
//! With `lifecycleNotificationUrl` the server also tells what becomes of the subscription itself, as
//! [`Notification::Lifecycle`]. Each [`LifecycleEvent`] says what to do:
//!
//! | event | what it means | what to do |
//! | --- | --- | --- |
//! | [`ReauthorizationRequired`](LifecycleEvent::ReauthorizationRequired) | show that you still have access | `POST …/subscriptions/{id}/reauthorize`, or renew |
//! | [`SubscriptionRemoved`](LifecycleEvent::SubscriptionRemoved) | it is over | subscribe again, look for what you missed |
//! | [`Missed`](LifecycleEvent::Missed) | some notifications are lost | look for what you missed |
//!
//! To look for what you missed, use a delta query, or list what is newer than the last thing you know.
//!
//! # 7. Renewing
//!
//! A subscription ends at `expirationDateTime`: after some days at most, with data after one; the server refuses what is too
//! far away and says what is not. Renew it in time, at half of its life say. This crate makes no requests to the server; the one that renews is short:
//!
//! ```http
//! PATCH /v1.0/subscriptions/{id}
//! Authorization: Bearer …
//! Content-Type: application/json
//!
//! {"expirationDateTime": "2026-12-08T10:00:00Z"}
//! ```
//!
//! Each notification says when its subscription ends ([`Change::subscription_expires`]). A 404 means that it is gone:
//! subscribe again.
//!
//! # 8. Data in the notification
//!
//! A subscription with `includeResourceData`, a `$select` in its resource and a certificate of yours gets the item itself,
//! **sealed**: encrypted with a key that is encrypted for the certificate. So what reads your traffic learns
//! nothing, and you need not read the item. Make a key and a certificate (nobody checks who issued it):
//!
//! ```sh
//! openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out certificate.pem -days 365 -subj /CN=app
//! ```
//!
//! and subscribe. `encryptionCertificateId` is a name of yours for the certificate, `encryptionCertificate` is what
//! `openssl x509 -in certificate.pem -outform DER | base64 -w0` prints:
//!
//! ```http
//! POST /v1.0/subscriptions
//! Authorization: Bearer …
//! Content-Type: application/json
//!
//! {
//!   "resource": "me/messages?$select=subject,from,receivedDateTime",
//!   "changeType": "created,updated,deleted",
//!   "notificationUrl": "https://app.example/notifications",
//!   "lifecycleNotificationUrl": "https://app.example/notifications",
//!   "clientState": "a secret of your choice",
//!   "expirationDateTime": "2026-12-01T10:00:00Z",
//!   "includeResourceData": true,
//!   "encryptionCertificateId": "2026",
//!   "encryptionCertificate": "MIIDBTCCAe2g…"
//! }
//! ```
//!
//! `$select` names what the data has. `body` and a few more cannot be selected (`bodyPreview` can): for these, read the
//! item. With data a subscription ends after a day at most. What comes has other forms of path and type than without data:
//!
//! ```json
//! {"value": [{
//!   "subscriptionId": "5f7c0a11-2222-4333-8444-555566667777",
//!   "subscriptionExpirationDateTime": "2026-12-01T10:00:00Z",
//!   "changeType": "created",
//!   "resource": "Users('0b1c2d3e-1111-4222-8333-444455556666')/messages('AAMkAGUwAAA=')",
//!   "resourceData": {
//!     "@odata.type": "#microsoft.graph.message",
//!     "@odata.id": "Users('0b1c2d3e-1111-4222-8333-444455556666')/messages('AAMkAGUwAAA=')",
//!     "id": "AAMkAGUwAAA="
//!   },
//!   "clientState": "a secret of your choice",
//!   "tenantId": "84bd8158-6d4d-4958-8b9f-9d6445542f95",
//!   "encryptedContent": {
//!     "data": "vCuKccfc4K1p…",
//!     "dataKey": "RauFzpoRx9O+…",
//!     "dataSignature": "SWT5NY6phrRM…",
//!     "encryptionCertificateId": "2026",
//!     "encryptionCertificateThumbprint": "F219E5295B048444306AFE239D075624E6A1CBDB"
//!   }
//! }],
//! "validationTokens": ["eyJhbGciOiJSUzI1NiIs…"]}
//! ```
//!
//! Anybody can seal something for you, since the certificate is public. So **validation tokens** come along, signed by the
//! server; they say that the publisher of change notifications speaks to your app. The receiver verifies all of them
//! before it gives you anything ([`validation_token`] says how), and needs to know your app's id, who issues the tokens,
//! and the keys that they are signed with:
//!
//! ```no_run
//! use std::time::SystemTime;
//! use tidings_receiver::{KeySet, Notification, OpeningKey, Receiver};
//!
//! # let (jwks, body) = (Vec::new(), Vec::new());
//! let receiver = Receiver::builder()
//!     .client_state("a secret of your choice")
//!     .app_id("925bff9f-f6e2-4a69-b858-f71ea2b9b6d0")
//!     .tenant("84bd8158-6d4d-4958-8b9f-9d6445542f95")
//!     .authority("https://localhost:8443") // for Graph itself: leave this out
//!     .keys(KeySet::read(&jwks)?) // what GET {authority}/common/discovery/keys answers
//!     .private_key("2026", /* the encryptionCertificateId */ OpeningKey::from_pem(&std::fs::read_to_string("key.pem")?)?)
//!     .build()?;
//!
//! for notification in receiver.receive(&body, SystemTime::now())?.into_notifications() {
//!     let Notification::Change(change) = notification else { continue };
//!     match receiver.open(&change) {
//!         Ok(content) => println!("{}", content.json::<serde_json::Value>()?["subject"]),
//!         Err(error) => println!("{}: {error}", change.resource), // none came: read the item
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The keys change. With the feature `fetch` they are read when they must be: the module `fetch` shows it for Graph itself
//! and for `tidings dev`.
//!
//! Opened, the data is JSON with what was selected, and the types of some properties beside them:
//!
//! ```json
//! {"from": null, "receivedDateTime@odata.type": "#DateTimeOffset", "receivedDateTime": "2026-11-28T23:22:57Z",
//!  "subject": "Hello"}
//! ```
//!
//! To change the certificate, give the receiver both private keys, each with the name of its own, then tell the server. What is
//! under way is still sealed for the old one.
//!
//! ```http
//! PATCH /v1.0/subscriptions/{id}
//! Authorization: Bearer …
//! Content-Type: application/json
//!
//! {"encryptionCertificateId": "2027", "encryptionCertificate": "MIIDBTCCAe2h…"}
//! ```
//!
//! What is proved: that the data was not changed since it was sealed, and that the publisher spoke to your app in the
//! item's tenant. What is not: that this data belongs to *this* notification, since nothing in either names the other, and
//! that it comes for the first time. HTTPS holds them together on their way, and `clientState` says that it is your
//! subscription: [`validation_token`] has what stands against whom.
//!
//! # All of it, with axum
//!
#![cfg_attr(feature = "axum", doc = "```no_run")]
#![cfg_attr(not(feature = "axum"), doc = "```ignore")]
#![doc = include_str!("../examples/webhook.rs")]
//! ```
//!
//! `examples/rich.rs` opens data as well, `examples/bare.rs` does without a framework.
//!
//! # Topics of Event Grid
//!
//! A subscription can tell a **topic** instead of a URL, in CloudEvents. Then nobody must be able to call you: the feature
//! **`pull`** has a client that receives events, acknowledges them, gives them back or gives them up (module `pull`).
//! Where Event Grid pushes them to a URL of yours, the feature **`axum`** has extractors for the events and for the handshake
//! that precedes them (module `cloud_events`). Either way an [`Event`] comes, and [`Event::notification`] says what it tells of
//! Outlook, in the same types as above.

#![warn(missing_docs)]

#[cfg(any(feature = "fetch", feature = "pull"))]
mod call;
mod client_state;
#[cfg(feature = "axum")]
pub mod cloud_events;
mod content;
mod duplicates;
mod event;
#[cfg(feature = "fetch")]
pub mod fetch;
#[doc(hidden)]
#[allow(missing_docs)]
pub mod fuzz;
pub mod handshake;
#[doc(hidden)]
pub mod jwt;
#[doc(hidden)]
pub mod key_cache;
#[doc(hidden)]
pub mod key_set;
mod notification;
#[cfg(feature = "pull")]
pub mod pull;
mod receiver;
pub mod validation_token;
#[cfg(feature = "axum")]
pub mod webhook;

pub use client_state::ClientState;
pub use content::{Content, ContentError};
pub use duplicates::Duplicates;
pub use event::{Data, DataError, Event, Extension, InvalidEvent, NotOutlook};
pub use key_set::{KeySet, NoKeySet};
pub use notification::{
    BODY_BYTES_MAX, Change, ChangeType, Fingerprint, Lifecycle, LifecycleEvent, NOTIFICATIONS_MAX, Notification,
    ReadError,
};
pub use protocol::envelope::{EncryptedContent, OpenError, OpeningKey, OpeningKeyError};
pub use receiver::{BuildError, Builder, Received, Receiver, Refusal, Refused};

#[cfg(test)]
mod issuer;

#[cfg(all(doctest, feature = "axum"))]
#[doc = include_str!("../README.md")]
struct Readme;
