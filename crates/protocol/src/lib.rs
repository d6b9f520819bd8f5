//! What two parties agree on when they speak Graph's change notifications: the forms on the wire and
//! the texts of refusals. It knows no domain types, no HTTP library and no clock; both the server and
//! a receiver can link it.

#[cfg(feature = "certificate")]
pub mod certificate;
pub mod cloud_event;
pub mod envelope;
pub mod error;
pub mod event_grid;
#[doc(hidden)]
pub mod fuzz;
pub mod handshake;
pub mod notification;
pub mod status;
pub mod subscription;
pub mod validation_token;

#[cfg(feature = "certificate")]
pub use certificate::CertificateError;
pub use envelope::{ContentKey, EncryptedContent, OpenError, OpeningKey, OpeningKeyError, SealError, SealingKey};
pub use error::{ErrorBody, ErrorObject, InnerError};
pub use handshake::HandshakeError;
pub use notification::{ChangeNotification, CollectionWriter, LifecycleNotification, ReceivedCollection, ResourceData};
pub use status::status_name;
pub use subscription::{PayloadError, SubscriptionList, SubscriptionRequest, SubscriptionResource};
