//! The server's side of an import: a batch of items into the store.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use graph::{Folder, FolderId, Kind, WellKnown, mailbox};
use serde_json::json;
use store::{Commit, CommitError, Once, Store, StoreError, User};
use tokio::task::JoinSet;

use super::{Answer, BATCH_ITEMS_MAX, Failed, ITEM_BYTES_MAX, ImportItem, Sink, SinkError};
use crate::room::Room;
use crate::sources::delivery::{ATTEMPTS_MAX, FreshSource, Write, owner_of, receive};
use crate::sources::{DeliverError, Delivered};

/// How long an imported item's key is remembered: an import that broke off is run again in this time, or one that somebody
/// has forgotten.
const IMPORT_REMEMBERED_MINUTES: i64 = 30 * 24 * 60;

/// Writes under way at a time; the store groups them.
const WRITES_MAX: usize = 32;

/// Why a batch is not taken. Items before the trouble may have been imported; sent again, those with a
/// key are duplicates.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AcceptError {
    #[error("the batch has more than {ITEM_BYTES_MAX} bytes")]
    TooLarge,
    #[error("the batch has more than {BATCH_ITEMS_MAX} items")]
    TooManyItems,
    #[error("the store does not take the items now: {0}")]
    Store(String),
}

/// Imports a batch: [`ImportItem`]s in JSON, one on each line. An item that cannot be imported is named
/// in the answer, and the others go on. With `quiet` nobody is notified.
pub async fn accept(
    (store, room): (&Arc<dyn Store>, &Arc<Room>),
    fresh: &FreshSource,
    batch: &[u8],
    quiet: bool,
) -> Result<Answer, AcceptError> {
    if batch.len() > ITEM_BYTES_MAX + BATCH_ITEMS_MAX {
        return Err(AcceptError::TooLarge);
    }
    let lines = batch.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    let lines: Vec<&[u8]> = lines.take(BATCH_ITEMS_MAX + 1).collect();
    if lines.len() > BATCH_ITEMS_MAX {
        return Err(AcceptError::TooManyItems);
    }
    let mut places = Places { store, fresh, users: HashMap::new(), folders: HashMap::new() };
    let mut answer = Answer::default();
    let mut writes = JoinSet::new();
    for (index, line) in lines.into_iter().enumerate() {
        match prepare(&mut places, line).await {
            Ok((user, folder, item)) => {
                if !quiet {
                    room.for_writes(user.id).map_err(|error| AcceptError::Store(error.to_string()))?;
                }
                // What is told of a meeting means something only in its order.
                let alone = item.meeting.is_some();
                let others_max = if alone { 0 } else { WRITES_MAX - 1 };
                while writes.len() > others_max {
                    note(&mut answer, writes.join_next().await)?;
                }
                let (store, fresh) = (Arc::clone(store), Arc::clone(fresh));
                writes.spawn(async move { (index, write(&store, &fresh, &user, folder, item, quiet).await) });
                if alone {
                    note(&mut answer, writes.join_next().await)?;
                }
            }
            Err(Trouble::Item(why)) => answer.failed.push(Failed { index, why, no_user: false }),
            Err(Trouble::User(why)) => answer.failed.push(Failed { index, why, no_user: true }),
            Err(Trouble::Store(why)) => return Err(AcceptError::Store(why)),
        }
    }
    while !writes.is_empty() {
        note(&mut answer, writes.join_next().await)?;
    }
    answer.failed.sort_by_key(|failed| failed.index);
    Ok(answer)
}

type Outcome = (usize, Result<Delivered, DeliverError>);

fn note(answer: &mut Answer, joined: Option<Result<Outcome, tokio::task::JoinError>>) -> Result<(), AcceptError> {
    match joined {
        None => {}
        Some(Err(error)) => return Err(AcceptError::Store(error.to_string())),
        Some(Ok((_, Ok(Delivered::New)))) => answer.imported += 1,
        Some(Ok((_, Ok(Delivered::Duplicate)))) => answer.duplicates += 1,
        Some(Ok((_, Err(DeliverError::Temporary(why))))) => return Err(AcceptError::Store(why)),
        Some(Ok((_, Err(DeliverError::NoRoom(why))))) => return Err(AcceptError::Store(why.to_string())),
        Some(Ok((index, Err(error)))) => answer.failed.push(Failed { index, why: error.to_string(), no_user: false }),
    }
    Ok(())
}

/// Why an item has no place to go: its own fault, its user is not there, or the store's.
enum Trouble {
    Item(String),
    User(String),
    Store(String),
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Trouble::Store(error.to_string())
    }
}

async fn prepare(places: &mut Places<'_>, line: &[u8]) -> Result<(User, FolderId, ImportItem), Trouble> {
    let item: ImportItem =
        serde_json::from_slice(line).map_err(|error| Trouble::Item(format!("not an item: {error}")))?;
    let user = places.user(&item.user).await?;
    let folder = places.folder(&user, item.kind, item.folder.as_deref()).await?;
    Ok((user, folder, item))
}

async fn write(
    store: &Arc<dyn Store>,
    fresh: &FreshSource,
    user: &User,
    folder: FolderId,
    item: ImportItem,
    quiet: bool,
) -> Result<Delivered, DeliverError> {
    let now = fresh().now;
    let once = item.once_key.map(|key| Once { key, now, until: now.plus_minutes(IMPORT_REMEMBERED_MINUTES) });
    let (properties, meeting) = (item.properties, item.meeting.as_deref());
    receive(store.as_ref(), fresh, Write { user, folder, properties, meeting, once, quiet }).await
}

/// Users and folders by the names that the items of one batch give them.
struct Places<'a> {
    store: &'a Arc<dyn Store>,
    fresh: &'a FreshSource,
    users: HashMap<String, User>,
    folders: HashMap<(graph::UserId, Kind, String), FolderId>,
}

impl Places<'_> {
    async fn user(&mut self, name: &str) -> Result<User, Trouble> {
        if let Some(user) = self.users.get(name) {
            return Ok(user.clone());
        }
        let found = match name.parse() {
            Ok(id) => self.store.user(id).await?,
            Err(_) => self.store.user_by_address(name).await?,
        };
        let user = found.ok_or_else(|| Trouble::User(format!("there is no user {name:?}")))?;
        self.users.insert(name.to_owned(), user.clone());
        Ok(user)
    }

    async fn folder(&mut self, user: &User, kind: Kind, name: Option<&str>) -> Result<FolderId, Trouble> {
        let fallback = match kind {
            Kind::Message => WellKnown::Inbox,
            Kind::Event => WellKnown::Calendar,
            Kind::Contact => WellKnown::Contacts,
        };
        let Some(name) = name.map(str::trim).filter(|name| !name.is_empty()) else {
            return Ok(fallback.id_in(user.id));
        };
        match name.parse::<WellKnown>() {
            Ok(folder) if folder.kind() == kind => return Ok(folder.id_in(user.id)),
            Ok(_) => return Err(Trouble::Item(format!("the folder {name} holds no {}", kind.collection()))),
            Err(_) => {}
        }
        let key = (user.id, kind, name.to_lowercase());
        if let Some(folder) = self.folders.get(&key) {
            return Ok(*folder);
        }
        let folder = self.find_or_make(user, kind, name).await?;
        self.folders.insert(key, folder);
        Ok(folder)
    }

    async fn find_or_make(&self, user: &User, kind: Kind, name: &str) -> Result<FolderId, Trouble> {
        let wanted = name.to_lowercase();
        let owner = owner_of(user);
        // Two imports at a time make one folder: the one that comes second finds it at its next look.
        for _ in 0..ATTEMPTS_MAX {
            let folders: Vec<Folder> =
                self.store.folders(user.id).await?.into_iter().map(|counts| counts.folder).collect();
            let is_wanted = |folder: &&Folder| folder.id.kind == kind && folder.display_name.to_lowercase() == wanted;
            if let Some(folder) = folders.iter().find(is_wanted) {
                return Ok(folder.id);
            }
            let fresh = (self.fresh)();
            let body = json!({ if kind == Kind::Event { "name" } else { "displayName" }: name });
            let made = mailbox::create_folder(&owner, &fresh, kind, None, &folders, body);
            let made =
                made.map_err(|refusal| Trouble::Item(format!("the folder {name:?} cannot be made: {refusal}")))?;
            let commit = Commit { quiet: true, ..Commit::of(owner.tenant, owner.id, made.mutation) };
            match self.store.commit(commit).await {
                Ok(_) => return Ok(made.folder.id),
                Err(CommitError::FolderChanged(_)) => {}
                Err(error) => return Err(Trouble::Store(error.to_string())),
            }
        }
        Err(Trouble::Store(format!("the folder {name:?} comes and goes")))
    }
}

/// The sink that writes to a store which this process has open itself.
pub struct StoreSink {
    pub store: Arc<dyn Store>,
    pub fresh: FreshSource,
    pub quiet: bool,
}

#[async_trait]
impl Sink for StoreSink {
    async fn import(&mut self, batch: Vec<u8>) -> Result<Answer, SinkError> {
        // Nobody looks after the log of a store that is open here.
        let answer = accept((&self.store, &Arc::default()), &self.fresh, &batch, self.quiet).await;
        answer.map_err(|error| SinkError::Store(error.to_string()))
    }
}
