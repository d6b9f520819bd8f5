//! Mailboxes of the model.

use graph::{Attachment, AttachmentId, FolderId, ImmutableId, Item, ItemId, Partition, UserId};
use notify::Record;
use uuid::Uuid;

use super::Model;
use super::mailbox::Mailbox;
use super::mutation::Moment;
use crate::{
    Commit, CommitError, Committed, Delta, DeltaError, DeltaQuery, FolderCounts, Ingest, ItemQuery, Items, StoreError,
    Window,
};

impl Model {
    pub fn commit(&mut self, commit: Commit) -> Result<Committed, CommitError> {
        let Commit { tenant, mailbox, mutation, submit, once, quiet, now, forget_before } = commit;
        let held = self.mailboxes.get(&mailbox).ok_or(CommitError::NoMailbox(mailbox))?;
        debug_assert_eq!(self.users[&mailbox].tenant, tenant, "a mailbox is of its user's tenant");
        debug_assert!(mutation.puts.iter().all(|item| item.mailbox == mailbox), "one commit writes one mailbox");
        held.check(&mutation, once.as_ref())?;
        let partition = Partition::of(mailbox);
        let moment = Moment { revision: self.next_revision(partition), now, forget_before };
        if let Some(held) = self.mailboxes.get_mut(&mailbox) {
            held.apply(&mutation, moment);
            once.into_iter().for_each(|once| held.remember(once));
        }
        self.counters.item_rows += mutation.puts.len() as u64;
        let changes = mutation.changes.into_iter().map(Record::Change);
        let records = if quiet { Vec::new() } else { changes.chain(submit.map(Record::Submit)).collect() };
        Ok(self.append(partition, records))
    }

    pub fn ingest(&mut self, ingest: Ingest) -> Result<Vec<bool>, StoreError> {
        let Ingest { scope, changes } = ingest;
        debug_assert!(changes.iter().all(|(_, change)| change.scope() == scope), "a batch lies in one scope");
        let mut answers = Vec::with_capacity(changes.len());
        let mut records = Vec::new();
        for (once, change) in changes {
            let is_new = self.ingested.get(&(scope, once.key.clone())).is_none_or(|until| *until <= once.now);
            if is_new {
                self.ingested.insert((scope, once.key), once.until);
                records.push(Record::Ingested(Box::new(change)));
            }
            answers.push(is_new);
        }
        if !records.is_empty() {
            self.append(Partition::of(scope), records);
        }
        Ok(answers)
    }

    /// What a mailbox answers; one that does not exist answers with nothing.
    fn ask<T: Default>(&self, mailbox: UserId, question: impl FnOnce(&Mailbox) -> T) -> T {
        self.mailboxes.get(&mailbox).map(question).unwrap_or_default()
    }

    pub fn item(&self, mailbox: UserId, id: ItemId) -> Result<Option<Item>, StoreError> {
        Ok(self.ask(mailbox, |held| held.item(id).cloned()))
    }

    pub fn item_by_immutable(&self, mailbox: UserId, id: ImmutableId) -> Result<Option<Item>, StoreError> {
        Ok(self.ask(mailbox, |held| held.item_by_immutable(id).cloned()))
    }

    pub fn items(&self, query: ItemQuery) -> Result<Items, StoreError> {
        Ok(self.ask(query.mailbox, |held| held.items(&query)))
    }

    pub fn count_items(&self, query: ItemQuery) -> Result<u64, StoreError> {
        Ok(self.ask(query.mailbox, |held| held.count(&query)))
    }

    pub fn events_between(
        &self,
        mailbox: UserId,
        calendar: FolderId,
        window: Window,
        after: Option<ItemId>,
        limit: u64,
    ) -> Result<Items, StoreError> {
        Ok(self.ask(mailbox, |held| held.events_between(calendar, window, after, limit)))
    }

    pub fn delta(&self, query: DeltaQuery) -> Result<Delta, DeltaError> {
        self.mailboxes.get(&query.mailbox).unwrap_or(&Mailbox::default()).delta(&query)
    }

    pub fn attachments(&self, mailbox: UserId, item: Uuid) -> Result<Vec<Attachment>, StoreError> {
        Ok(self.ask(mailbox, |held| held.attachments(item).iter().map(|(attachment, _)| attachment.clone()).collect()))
    }

    pub fn attachment(
        &self,
        mailbox: UserId,
        item: Uuid,
        id: AttachmentId,
    ) -> Result<Option<(Attachment, Vec<u8>)>, StoreError> {
        Ok(self.ask(mailbox, |held| held.attachment(item, id).cloned()))
    }

    pub fn folders(&self, mailbox: UserId) -> Result<Vec<FolderCounts>, StoreError> {
        Ok(self.ask(mailbox, Mailbox::folders))
    }

    pub fn folder(&self, mailbox: UserId, id: FolderId) -> Result<Option<FolderCounts>, StoreError> {
        Ok(self.ask(mailbox, |held| held.folder(id)))
    }
}
