//! Mail by LMTP, counted by what became of it for each recipient.

use std::sync::Arc;

use async_trait::async_trait;
use store::{StoreError, User};

use super::{DeliverError, Delivered, Inbound, Mail};
use crate::telemetry::Telemetry;

pub struct Counted<I> {
    pub inbound: Arc<I>,
    pub telemetry: Arc<Telemetry>,
}

#[async_trait]
impl<I: Inbound> Inbound for Counted<I> {
    async fn recipient(&self, address: &str) -> Result<Option<User>, StoreError> {
        let found = self.inbound.recipient(address).await;
        match &found {
            Ok(Some(_)) => {}
            Ok(None) => self.telemetry.mail_answered("refused"),
            Err(_) => self.telemetry.mail_answered("later"),
        }
        found
    }

    async fn deliver(&self, user: &User, mail: Mail, once_key: String) -> Result<Delivered, DeliverError> {
        let delivered = self.inbound.deliver(user, mail, once_key).await;
        self.telemetry.mail_answered(match &delivered {
            Ok(Delivered::New) => "stored",
            Ok(Delivered::Duplicate) => "duplicate",
            Err(DeliverError::NoMailbox | DeliverError::Refused(_)) => "refused",
            Err(DeliverError::Temporary(_) | DeliverError::NoRoom(_)) => "later",
        });
        delivered
    }
}
