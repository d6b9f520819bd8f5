//! Puts what a source brings into a mailbox of the store: one transaction for each item.

use std::sync::Arc;

use async_trait::async_trait;
use graph::mailbox::meeting::{self, Meeting};
use graph::mailbox::{self, Fresh, Owner, Settings};
use graph::{FolderId, Mutation, Properties, Refusal, WellKnown};
use serde_json::json;
use store::{Commit, CommitError, Committed, Once, Store, StoreError, User};

use super::{DeliverError, Delivered, Inbound, Mail};
use crate::room::Room;

/// Gives the time and ids that were used nowhere before.
pub type FreshSource = Arc<dyn Fn() -> Fresh + Send + Sync>;

/// How long a delivery is remembered: longer than MTAs keep trying.
const DELIVERY_REMEMBERED_MINUTES: i64 = 7 * 24 * 60;

/// How often a write is tried again that another one overtook.
pub(crate) const ATTEMPTS_MAX: u32 = 5;

/// The mailboxes of a store, as the place where mail is delivered.
pub struct Mailboxes {
    pub(super) store: Arc<dyn Store>,
    fresh: FreshSource,
    room: Option<Arc<Room>>,
}

impl Mailboxes {
    pub fn new(store: Arc<dyn Store>, fresh: FreshSource) -> Self {
        Self { store, fresh, room: None }
    }

    /// The same, for who can wait: nothing is taken while the log has no room for it.
    pub fn within(self, room: Arc<Room>) -> Self {
        Self { room: Some(room), ..self }
    }

    /// Sorts a message as its sender's override says.
    async fn classify(&self, user: &User, message: &mut Properties) -> Result<(), DeliverError> {
        let root = self.store.folder(user.id, WellKnown::MsgFolderRoot.id_in(user.id)).await;
        if let Some(root) = root.map_err(|error| DeliverError::Temporary(error.to_string()))? {
            Settings::of(&root.folder).classify(message);
        }
        Ok(())
    }
}

#[async_trait]
impl Inbound for Mailboxes {
    async fn recipient(&self, address: &str) -> Result<Option<User>, StoreError> {
        self.store.user_by_address(address).await
    }

    /// The message is received now, whatever the servers on its way wrote, and sorted as its sender's
    /// override says.
    async fn deliver(&self, user: &User, mail: Mail, once_key: String) -> Result<Delivered, DeliverError> {
        if let Some(room) = &self.room {
            room.for_writes(user.id).map_err(DeliverError::NoRoom)?;
        }
        let Mail { mut properties, meeting } = mail;
        let now = (self.fresh)().now;
        properties.insert("receivedDateTime".to_owned(), json!(now.whole_seconds()));
        self.classify(user, &mut properties).await?;
        let write = Write {
            user,
            folder: WellKnown::Inbox.id_in(user.id),
            properties,
            meeting: meeting.as_deref(),
            once: Some(Once { key: once_key, now, until: now.plus_minutes(DELIVERY_REMEMBERED_MINUTES) }),
            quiet: false,
        };
        receive(self.store.as_ref(), &self.fresh, write).await
    }
}

/// One item for one folder.
pub(crate) struct Write<'a> {
    pub user: &'a User,
    pub folder: FolderId,
    pub properties: Properties,
    /// What a message for the Inbox tells of a meeting; what is for another folder tells nothing any more.
    pub meeting: Option<&'a Meeting>,
    pub once: Option<Once>,
    /// Subscribers do not hear of it.
    pub quiet: bool,
}

/// Writes an item in a transaction of its own. It is durable when this resolves to `Ok`.
pub(crate) async fn receive(
    store: &dyn Store,
    fresh: &FreshSource,
    write: Write<'_>,
) -> Result<Delivered, DeliverError> {
    let owner = owner_of(write.user);
    for _ in 0..ATTEMPTS_MAX {
        let mutation = received(store, &owner, fresh, &write).await?;
        let commit =
            Commit { once: write.once.clone(), quiet: write.quiet, ..Commit::of(owner.tenant, owner.id, mutation) };
        if let Some(delivered) = written(store.commit(commit).await)? {
            return Ok(delivered);
        }
    }
    Err(DeliverError::Temporary("the mailbox changes too often".to_owned()))
}

/// What an item writes, with the event that it is about.
async fn received(
    store: &dyn Store,
    owner: &Owner,
    fresh: &FreshSource,
    write: &Write<'_>,
) -> Result<Mutation, DeliverError> {
    let refused = |refusal: Refusal| DeliverError::Refused(refusal.to_string());
    let Some(meeting) = write.meeting.filter(|_| write.folder == WellKnown::Inbox.id_in(owner.id)) else {
        let received = mailbox::receive(owner, &fresh(), write.folder, write.properties.clone());
        return Ok(received.map_err(refused)?.mutation);
    };
    let mut events = Vec::new();
    for id in meeting::events_of_meeting(owner, meeting) {
        let found = store.item(owner.id, id).await;
        events.extend(found.map_err(|error| DeliverError::Temporary(error.to_string()))?);
    }
    meeting::receive_meeting(owner, &fresh(), &write.properties, meeting, &events).map_err(refused)
}

/// What a commit came to; `None`: others were faster, and it must be tried again.
fn written(committed: Result<Committed, CommitError>) -> Result<Option<Delivered>, DeliverError> {
    match committed {
        Ok(_) => Ok(Some(Delivered::New)),
        Err(CommitError::AlreadyDone) => Ok(Some(Delivered::Duplicate)),
        Err(CommitError::ItemChanged(_) | CommitError::FolderChanged(_)) => Ok(None),
        Err(CommitError::NoMailbox(_)) => Err(DeliverError::NoMailbox),
        Err(error @ CommitError::FolderGone(_)) => Err(DeliverError::Refused(error.to_string())),
        Err(CommitError::Store(error)) => Err(DeliverError::Temporary(error.to_string())),
    }
}

pub(crate) fn owner_of(user: &User) -> Owner {
    Owner { tenant: user.tenant, id: user.id, address: user.upn.clone(), name: user.display_name.clone() }
}
