//! Mail on its way within the tenant: each recipient gets it through the door that LMTP uses, and what it
//! tells of a meeting in the same transaction.

use async_trait::async_trait;
use graph::UserId;
use notify::Submission;
use store::StoreError;

use super::delivery::Mailboxes;
use super::{DeliverError, Inbound, Mail};
use crate::engine::Deliver;

#[async_trait]
impl Deliver for Mailboxes {
    async fn deliver(&self, submission: &Submission, recipient: UserId) -> bool {
        let user = match self.store.user(recipient).await {
            Ok(Some(user)) => user,
            Ok(None) => return true,
            // To try again would not mend it, and nothing after it in the log could be passed.
            Err(error @ StoreError::Corrupt(_)) => {
                tracing::error!(submission = %submission.id, %recipient, %error, "a submitted message was given up");
                return true;
            }
            Err(_) => return false,
        };
        let once = format!("submission:{}", submission.id);
        let mail = Mail { properties: submission.message.clone(), meeting: submission.meeting.clone() };
        match Inbound::deliver(self, &user, mail, once).await {
            Ok(_) | Err(DeliverError::NoMailbox) => true,
            Err(DeliverError::Refused(why)) => {
                tracing::warn!(submission = %submission.id, %recipient, why, "a submitted message was refused");
                true
            }
            Err(DeliverError::Temporary(_) | DeliverError::NoRoom(_)) => false,
        }
    }
}
