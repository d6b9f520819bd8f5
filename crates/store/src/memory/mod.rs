//! The store in memory: the checked model of what a store is, and the backend of tests.
//!
//! [`Model`] holds the meaning of every verb in the plainest form, with its invariants asserted; the
//! other backends are compared with it. [`MemoryStore`] is the model behind a lock.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use graph::{AppId, Attachment, AttachmentId, ChangeId, ChangeType, FolderId, ImmutableId, Item, ItemId, Partition};
use graph::{SubscriptionId, TenantId, Timestamp, TopicId, UserId};
use notify::checkpoint::{LoadedParked, PartitionState};
use notify::log::{Cause, EndReason, LifecycleEvent};
use notify::reauthorization::Standing;
use notify::recount::Books;
use notify::retention::{LogExtent, Mark};
use notify::topic::{CloudEvent, EventCounts};
use notify::{
    Checkpoint, EventSubscription, Incident, LedgerDelta, Position, Record, Stream, Subscription, Topic, TopicEvent,
};
use uuid::Uuid;

use crate::EndedPushing;
use crate::{
    App, Appended, BeginError, CheckpointError, Commit, CommitError, Committed, Consent, Counters, Cut, Delta,
    DeltaError, DeltaQuery, DirectoryError, FolderCounts, Generation, Grant, Ingest, ItemQuery, Items, Lease,
    LedgerQuery, Ledgers, NodeId, Publish, Redeemable, RedeemableHash, Redeemed, Store, StoreError, StoreHealth,
    SubscriptionError, SubscriptionLimits, SubscriptionQuery, Tenant, Upload, UploadError, User, Window,
};
use crate::{
    DeadLetter, EventSubscriptionError, EventSubscriptionKey, Namesake, PublishError, PullError, Put, Received, Settle,
    TokenFailure, TopicCounts, TopicError, TopicQuery,
};

mod delta;
mod directory;
mod mailbox;
mod mailboxes;
mod model;
mod mutation;
mod retention;
mod topic;
mod upload;

pub use model::{AppendedRecords, Model};

/// The model behind a lock. Nothing outlives the process.
pub struct MemoryStore {
    model: Mutex<Model>,
    publish: Publish,
}

impl MemoryStore {
    /// `publish` is called under the store's lock and must not call the store.
    pub fn new(publish: Publish) -> Self {
        Self { model: Mutex::new(Model::default()), publish }
    }

    /// A failed assertion poisons the lock; it has failed the test, the others may go on.
    fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write<T>(&self, verb: impl FnOnce(&mut Model) -> T) -> T {
        let mut model = self.model();
        let answer = verb(&mut model);
        if let Some((partition, records)) = model.take_appended() {
            (self.publish)(partition, records);
        }
        answer
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn add_tenant(&self, tenant: Tenant) -> Result<(), DirectoryError> {
        self.write(|model| model.add_tenant(tenant))
    }

    async fn tenants(&self) -> Result<Vec<Tenant>, StoreError> {
        self.model().tenants()
    }

    async fn add_user(&self, user: User) -> Result<(), DirectoryError> {
        self.write(|model| model.add_user(user))
    }

    async fn replace_user(&self, before: User, after: User) -> Result<(), DirectoryError> {
        self.write(|model| model.replace_user(before, after))
    }

    async fn remove_user(&self, id: UserId) -> Result<User, DirectoryError> {
        self.write(|model| model.remove_user(id))
    }

    async fn users(&self, tenant: TenantId) -> Result<Vec<User>, StoreError> {
        self.model().users(tenant)
    }

    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        self.model().user(id)
    }

    async fn user_by_address(&self, address: &str) -> Result<Option<User>, StoreError> {
        self.model().user_by_address(address)
    }

    async fn add_app(&self, app: App) -> Result<(), DirectoryError> {
        self.write(|model| model.add_app(app))
    }

    async fn replace_app(&self, before: App, after: App) -> Result<(), DirectoryError> {
        self.write(|model| model.replace_app(before, after))
    }

    async fn remove_app(&self, id: AppId) -> Result<App, DirectoryError> {
        self.write(|model| model.remove_app(id))
    }

    async fn apps(&self, tenant: TenantId) -> Result<Vec<App>, StoreError> {
        self.model().apps(tenant)
    }

    async fn app(&self, id: AppId) -> Result<Option<App>, StoreError> {
        self.model().app(id)
    }

    async fn grant(&self, grant: Grant, at: Timestamp) -> Result<BTreeSet<String>, DirectoryError> {
        self.write(|model| model.grant(grant, at))
    }

    async fn revoke(&self, grant: Grant, at: Timestamp) -> Result<BTreeSet<String>, DirectoryError> {
        self.write(|model| model.revoke(grant, at))
    }

    async fn consents(&self, tenant: TenantId, app: AppId) -> Result<Vec<Consent>, StoreError> {
        self.model().consents(tenant, app)
    }

    async fn granted(
        &self,
        tenant: TenantId,
        app: AppId,
        user: Option<UserId>,
    ) -> Result<BTreeSet<String>, StoreError> {
        self.model().granted(tenant, app, user)
    }

    async fn put_redeemable(&self, redeemable: Redeemable) -> Result<(), DirectoryError> {
        self.write(|model| model.put_redeemable(redeemable))
    }

    async fn redeem(
        &self,
        app: AppId,
        hash: RedeemableHash,
        now: Timestamp,
        over_at: Timestamp,
    ) -> Result<Option<Redeemed>, StoreError> {
        self.write(|model| model.redeem(app, hash, now, over_at))
    }

    async fn end_session(&self, session: Uuid) -> Result<(), StoreError> {
        self.write(|model| model.end_session(session))
    }

    async fn ingest(&self, ingest: Ingest) -> Result<Vec<bool>, StoreError> {
        self.write(|model| model.ingest(ingest))
    }

    async fn commit(&self, commit: Commit) -> Result<Committed, CommitError> {
        self.write(|model| model.commit(commit))
    }

    async fn item(&self, mailbox: UserId, id: ItemId) -> Result<Option<Item>, StoreError> {
        self.model().item(mailbox, id)
    }

    async fn items(&self, query: ItemQuery) -> Result<Items, StoreError> {
        self.model().items(query)
    }

    async fn count_items(&self, query: ItemQuery) -> Result<u64, StoreError> {
        self.model().count_items(query)
    }

    async fn item_by_immutable(&self, mailbox: UserId, id: ImmutableId) -> Result<Option<Item>, StoreError> {
        self.model().item_by_immutable(mailbox, id)
    }

    async fn events_between(
        &self,
        mailbox: UserId,
        calendar: FolderId,
        window: Window,
        after: Option<ItemId>,
        limit: u64,
    ) -> Result<Items, StoreError> {
        self.model().events_between(mailbox, calendar, window, after, limit)
    }

    async fn delta(&self, query: DeltaQuery) -> Result<Delta, DeltaError> {
        self.model().delta(query)
    }

    async fn attachments(&self, mailbox: UserId, item: Uuid) -> Result<Vec<Attachment>, StoreError> {
        self.model().attachments(mailbox, item)
    }

    async fn attachment(
        &self,
        mailbox: UserId,
        item: Uuid,
        id: AttachmentId,
    ) -> Result<Option<(Attachment, Vec<u8>)>, StoreError> {
        self.model().attachment(mailbox, item, id)
    }

    async fn begin_upload(&self, upload: Upload, now: Timestamp) -> Result<(), StoreError> {
        self.write(|model| model.begin_upload(upload, now))
    }

    async fn upload(&self, mailbox: UserId, id: Uuid, now: Timestamp) -> Result<Option<Upload>, StoreError> {
        self.model().upload(mailbox, id, now)
    }

    async fn append_upload(
        &self,
        mailbox: UserId,
        id: Uuid,
        at: u64,
        bytes: Vec<u8>,
        expires: Timestamp,
    ) -> Result<(), UploadError> {
        self.write(|model| model.append_upload(mailbox, id, at, bytes, expires))
    }

    async fn upload_content(&self, mailbox: UserId, id: Uuid) -> Result<Vec<u8>, StoreError> {
        self.model().upload_content(mailbox, id)
    }

    async fn end_upload(&self, mailbox: UserId, id: Uuid) -> Result<(), StoreError> {
        self.write(|model| model.end_upload(mailbox, id))
    }

    async fn folders(&self, mailbox: UserId) -> Result<Vec<FolderCounts>, StoreError> {
        self.model().folders(mailbox)
    }

    async fn folder(&self, mailbox: UserId, id: FolderId) -> Result<Option<FolderCounts>, StoreError> {
        self.model().folder(mailbox, id)
    }

    async fn begin_subscription(
        &self,
        subscription: Arc<Subscription>,
        limits: SubscriptionLimits,
    ) -> Result<Appended, BeginError> {
        self.write(|model| model.begin_subscription(subscription, limits))
    }

    async fn patch_subscription(
        &self,
        before: Arc<Subscription>,
        after: Arc<Subscription>,
    ) -> Result<Appended, SubscriptionError> {
        self.write(|model| model.patch_subscription(before, after))
    }

    async fn end_subscription(
        &self,
        id: SubscriptionId,
        reason: EndReason,
        if_expires: Option<Timestamp>,
    ) -> Result<Appended, SubscriptionError> {
        self.write(|model| model.end_subscription(id, reason, if_expires))
    }

    async fn require_reauthorization(
        &self,
        before: Arc<Subscription>,
        record: ChangeId,
        cause: Cause,
    ) -> Result<Appended, SubscriptionError> {
        self.write(|model| model.require_reauthorization(before, record, cause))
    }

    async fn pause_subscription(&self, before: Arc<Subscription>) -> Result<Appended, SubscriptionError> {
        self.write(|model| model.pause_subscription(before))
    }

    async fn append_lifecycle(
        &self,
        id: SubscriptionId,
        record: ChangeId,
        event: LifecycleEvent,
    ) -> Result<Appended, SubscriptionError> {
        self.write(|model| model.append_lifecycle(id, record, event))
    }

    async fn append_missed(&self, id: SubscriptionId, incident: Incident) -> Result<Appended, SubscriptionError> {
        self.write(|model| model.append_missed(id, incident))
    }

    async fn replay(
        &self,
        subscription: Arc<Subscription>,
        told: Vec<(Option<ChangeType>, Arc<Record>)>,
    ) -> Result<Appended, SubscriptionError> {
        self.write(|model| model.replay(subscription, told))
    }

    async fn subscription(&self, id: SubscriptionId) -> Result<Option<Arc<Subscription>>, StoreError> {
        self.model().subscription(id)
    }

    async fn standing(&self, id: SubscriptionId) -> Result<Option<Standing>, StoreError> {
        self.model().standing(id)
    }

    async fn subscriptions(&self, query: SubscriptionQuery) -> Result<Vec<Arc<Subscription>>, StoreError> {
        self.model().subscriptions(query)
    }

    async fn ledger(&self, id: SubscriptionId) -> Result<LedgerDelta, StoreError> {
        self.model().ledger(id)
    }

    async fn ledgers(&self, query: LedgerQuery) -> Result<Ledgers, StoreError> {
        self.model().ledgers(query)
    }

    async fn books(&self, partition: Partition) -> Result<Books, StoreError> {
        self.model().books(partition)
    }

    async fn read_log(
        &self,
        partition: Partition,
        after: Position,
        limit: usize,
    ) -> Result<Vec<(Position, Arc<Record>)>, StoreError> {
        self.model().read_log(partition, after, limit)
    }

    async fn acquire(
        &self,
        node: NodeId,
        now: Timestamp,
        until: Timestamp,
        max: usize,
    ) -> Result<Vec<Lease>, StoreError> {
        self.write(|model| model.acquire(node, now, until, max))
    }

    async fn renew(&self, node: NodeId, now: Timestamp, until: Timestamp) -> Result<Vec<Lease>, StoreError> {
        self.write(|model| model.renew(node, now, until))
    }

    async fn release(&self, node: NodeId) -> Result<(), StoreError> {
        self.write(|model| model.release(node))
    }

    async fn partition_state(&self, partition: Partition) -> Result<PartitionState, StoreError> {
        self.model().partition_state(partition)
    }

    async fn checkpoint(&self, checkpoint: Checkpoint) -> Result<(), CheckpointError> {
        self.write(|model| model.checkpoint(checkpoint))
    }

    async fn parked(
        &self,
        partition: Partition,
        stream: Stream,
        after: Position,
        deliveries: usize,
    ) -> Result<Vec<LoadedParked>, StoreError> {
        self.model().parked(partition, stream, after, deliveries)
    }

    async fn open_topic(&self, wanted: Arc<Topic>, of_app_max: u64, now: Timestamp) -> Result<Arc<Topic>, TopicError> {
        self.write(|model| model.open_topic(wanted, of_app_max, now))
    }

    async fn topic(&self, id: TopicId) -> Result<Option<Arc<Topic>>, StoreError> {
        self.model().topic(id)
    }

    async fn topics(&self, query: TopicQuery) -> Result<Vec<Arc<Topic>>, StoreError> {
        self.model().topics(query)
    }

    async fn replace_topic(&self, before: Arc<Topic>, after: Arc<Topic>) -> Result<(), TopicError> {
        self.write(|model| model.replace_topic(before, after))
    }

    async fn remove_topic(&self, id: TopicId) -> Result<Vec<EndedPushing>, TopicError> {
        self.write(|model| model.remove_topic(id))
    }

    async fn topic_counts(&self, id: TopicId) -> Result<Option<TopicCounts>, StoreError> {
        self.model().topic_counts(id)
    }

    async fn publish(
        &self,
        topic: TopicId,
        events: Vec<CloudEvent>,
        now: Timestamp,
    ) -> Result<Vec<Option<Position>>, PublishError> {
        self.write(|model| model.publish(topic, events, now))
    }

    async fn topic_events(
        &self,
        topic: TopicId,
        after: Position,
        limit: usize,
    ) -> Result<Vec<(Position, Arc<TopicEvent>)>, StoreError> {
        self.model().topic_events(topic, after, limit)
    }

    async fn forget_events(&self, topic: TopicId, published_before: Timestamp, most: u64) -> Result<u64, StoreError> {
        self.write(|model| model.forget_events(topic, published_before, most))
    }

    async fn put_event_subscription(
        &self,
        before: Namesake,
        subscription: Arc<EventSubscription>,
        of_topic_max: u64,
    ) -> Result<Put, EventSubscriptionError> {
        self.write(|model| model.put_event_subscription(before, subscription, of_topic_max))
    }

    async fn event_subscription(
        &self,
        key: EventSubscriptionKey,
    ) -> Result<Option<(Arc<EventSubscription>, EventCounts)>, StoreError> {
        self.model().event_subscription(key)
    }

    async fn event_subscriptions(&self, topic: TopicId) -> Result<Vec<Arc<EventSubscription>>, StoreError> {
        self.model().event_subscriptions(topic)
    }

    async fn remove_event_subscription(
        &self,
        key: EventSubscriptionKey,
    ) -> Result<Option<Option<EndedPushing>>, StoreError> {
        self.write(|model| model.remove_event_subscription(key))
    }

    async fn receive(&self, key: EventSubscriptionKey, most: usize, now: Timestamp) -> Result<Received, PullError> {
        self.write(|model| model.receive(key, most, now))
    }

    async fn settle(
        &self,
        key: EventSubscriptionKey,
        settle: Settle,
    ) -> Result<Vec<Result<(), TokenFailure>>, PullError> {
        self.write(|model| model.settle(key, settle))
    }

    async fn dead_letters(
        &self,
        key: EventSubscriptionKey,
        after: Position,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        self.model().dead_letters(key, after, limit)
    }

    /// It is never put back.
    fn generation(&self) -> Generation {
        Generation(0)
    }

    /// It has no disk that could fail.
    fn health(&self) -> StoreHealth {
        StoreHealth::Writable
    }

    async fn log_extents(&self) -> Result<Vec<LogExtent>, StoreError> {
        self.model().log_extents()
    }

    async fn mark_log(
        &self,
        partition: Partition,
        at: Timestamp,
        instead_of: Option<Mark>,
    ) -> Result<bool, StoreError> {
        self.write(|model| model.mark_log(partition, at, instead_of))
    }

    async fn raise_floor(&self, partition: Partition, mark: Mark) -> Result<bool, StoreError> {
        self.write(|model| model.raise_floor(partition, mark))
    }

    async fn cut_log(&self, partition: Partition, most: u64) -> Result<Cut, StoreError> {
        self.write(|model| model.cut_log(partition, most))
    }

    fn counters(&self) -> Counters {
        self.model().counters()
    }
}
