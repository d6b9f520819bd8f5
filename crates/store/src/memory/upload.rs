//! Uploads of the model.

use graph::{Timestamp, UserId};
use uuid::Uuid;

use super::Model;
use crate::{StoreError, Upload, UploadError};

impl Model {
    pub fn begin_upload(&mut self, upload: Upload, now: Timestamp) -> Result<(), StoreError> {
        self.uploads.retain(|_, (other, _)| other.mailbox != upload.mailbox || other.expires > now);
        self.uploads.insert((upload.mailbox, upload.id), (upload, Vec::new()));
        self.counters.commits += 1;
        Ok(())
    }

    pub fn upload(&self, mailbox: UserId, id: Uuid, now: Timestamp) -> Result<Option<Upload>, StoreError> {
        let found = self.uploads.get(&(mailbox, id)).map(|(upload, _)| upload);
        Ok(found.filter(|upload| upload.expires > now).cloned())
    }

    pub fn append_upload(
        &mut self,
        mailbox: UserId,
        id: Uuid,
        at: u64,
        bytes: Vec<u8>,
        expires: Timestamp,
    ) -> Result<(), UploadError> {
        let (upload, content) = self.uploads.get_mut(&(mailbox, id)).ok_or(UploadError::NotFound)?;
        if upload.received != at {
            return Err(UploadError::OutOfTurn { received: upload.received });
        }
        upload.received += bytes.len() as u64;
        upload.expires = expires;
        content.extend(bytes);
        self.counters.commits += 1;
        Ok(())
    }

    pub fn upload_content(&self, mailbox: UserId, id: Uuid) -> Result<Vec<u8>, StoreError> {
        Ok(self.uploads.get(&(mailbox, id)).map(|(_, content)| content.clone()).unwrap_or_default())
    }

    pub fn end_upload(&mut self, mailbox: UserId, id: Uuid) -> Result<(), StoreError> {
        self.counters.commits += u64::from(self.uploads.remove(&(mailbox, id)).is_some());
        Ok(())
    }
}
