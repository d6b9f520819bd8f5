//! The embedded store: one SQLite database in a directory that one process holds.
//!
//! The persons of the play: callers make the stored form of what they write; the *writer*, one thread,
//! gathers what is queued into transactions and syncs once for all of them; *readers* look at snapshots
//! beside it; the *wal* thread moves pages from the write-ahead log into the database.
//!
//! What was answered with `Ok` is on the disk. Nothing that is not known to be on the disk is published.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

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
use rusqlite::Connection;
use uuid::Uuid;

use self::ingest::EncodedIngest;
use self::mailbox::{EncodedCommit, attachment, delta, folder, item, list};
use self::partition::EncodedCheckpoint;
use self::readers::Readers;
use self::subscription::EncodedSubscription;
use self::topic::EncodedEvents;
use self::wal::Source;
use self::writer::{Parts, Tx, Writer};
use crate::EndedPushing;
use crate::health::Watch;
use crate::seal::Keys;
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

mod backup;
mod books;
mod consent;
mod directory;
mod endpoint;
mod error;
mod examine;
mod ingest;
mod ledger;
mod lock;
mod mailbox;
mod once;
mod partition;
mod readers;
mod record;
mod redeemable;
mod removed_mailbox;
mod retention;
mod row;
mod schema;
mod sealing;
mod statements;
mod subscription;
mod topic;
mod upload;
mod user;
mod wal;
mod writer;

pub use backup::{Begun, Copied, CopyError, begin_generation, copy};
pub use error::OpenError;
pub use examine::{Examined, Finding, examine};
pub use schema::{OpenOptions, VERSION as SCHEMA_VERSION};
pub use sealing::keys_in_use;

/// The name of the database in its directory.
const DATABASE: &str = "tidings.db";

/// A store in a directory.
pub struct SqliteStore {
    keys: Keys,
    readers: Arc<Readers>,
    writer: Writer,
    watch: Arc<Watch>,
    generation: Generation,
    /// Held as long as the store lives; dropped last.
    _lock: File,
}

impl SqliteStore {
    /// Opens the store in a directory, and makes both if they do not exist. Secrets in it are sealed with
    /// the first of `keys`; what is sealed with another is sealed anew, which takes a while if it is much.
    /// `publish` is called on the writer's thread, in the order of the commits, and must not wait for the
    /// store.
    pub fn open(directory: impl AsRef<Path>, keys: Keys, publish: Publish) -> Result<Self, OpenError> {
        Self::open_with(directory, keys, publish, OpenOptions::default())
    }

    pub fn open_with(
        directory: impl AsRef<Path>,
        keys: Keys,
        publish: Publish,
        options: OpenOptions<'_>,
    ) -> Result<Self, OpenError> {
        let directory = directory.as_ref();
        let observe = options.observe.clone();
        let Opened { source, connection, lock } = Opened::open(directory, &keys, options)?;
        let failed = |source| OpenError::Database { path: directory.to_owned(), source };
        let generation = schema::generation(&connection).map_err(failed)?;
        let watch = Arc::new(Watch::default());
        let parts = Parts { source: source.clone(), keys: keys.clone(), publish, observe, watch: Arc::clone(&watch) };
        let writer = Writer::start(connection, parts).map_err(failed)?;
        let readers = Arc::new(Readers::new(source, Arc::clone(&watch)));
        Ok(Self { keys, readers, writer, watch, generation, _lock: lock })
    }

    /// Finishes what is queued and moves the write-ahead log into the database. Every later call fails.
    pub async fn close(&self) {
        self.readers.close();
        self.writer.close().await;
    }

    /// Resolves when the store writes nothing any more: it was closed, or its writer has died of a defect.
    pub async fn ended(&self) {
        self.writer.ended().await;
    }
}

/// A database that is ready for use, and its directory's lock.
struct Opened {
    source: Source,
    connection: Connection,
    lock: File,
}

impl Opened {
    fn open(directory: &Path, keys: &Keys, options: OpenOptions<'_>) -> Result<Self, OpenError> {
        let lock = lock::take(directory)?;
        let source = Source { file: directory.join(DATABASE), vfs: options.vfs.map(str::to_owned) };
        let failed = |source| OpenError::Database { path: directory.to_owned(), source };
        let mut connection = source.connect(writer::CACHE_KIB).map_err(failed)?;
        schema::prepare(&mut connection, directory)?;
        removed_mailbox::take_away_the_rest(&connection).map_err(failed)?;
        sealing::settle(&connection, keys, directory)?;
        Ok(Self { source, connection, lock })
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn add_tenant(&self, tenant: Tenant) -> Result<(), DirectoryError> {
        self.writer.write(move |tx| directory::add_tenant(tx, &tenant)).await
    }

    async fn tenants(&self) -> Result<Vec<Tenant>, StoreError> {
        self.readers.scan(directory::tenants).await
    }

    async fn add_user(&self, user: User) -> Result<(), DirectoryError> {
        self.writer.write(move |tx| user::add(tx, &user)).await
    }

    async fn replace_user(&self, before: User, after: User) -> Result<(), DirectoryError> {
        self.writer.write(move |tx| user::replace(tx, &before, &after)).await
    }

    async fn remove_user(&self, id: UserId) -> Result<User, DirectoryError> {
        let removed = self.writer.write(move |tx| user::remove(tx, id)).await?;
        let some = move |tx: &mut Tx<'_>| {
            tx.known.forget();
            Ok::<_, DirectoryError>(removed_mailbox::take_away_some(tx.connection, id)?)
        };
        while self.writer.write(some).await? {}
        Ok(removed)
    }

    async fn users(&self, tenant: TenantId) -> Result<Vec<User>, StoreError> {
        self.readers.scan(move |connection| user::users(connection, tenant)).await
    }

    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        self.readers.point(move |connection| user::user(connection, id)).await
    }

    async fn user_by_address(&self, address: &str) -> Result<Option<User>, StoreError> {
        self.readers.point(move |connection| user::user_by_address(connection, address)).await
    }

    async fn add_app(&self, app: App) -> Result<(), DirectoryError> {
        self.writer.write(move |tx| directory::add_app(tx, &app)).await
    }

    async fn replace_app(&self, before: App, after: App) -> Result<(), DirectoryError> {
        self.writer.write(move |tx| directory::replace_app(tx, &before, &after)).await
    }

    async fn remove_app(&self, id: AppId) -> Result<App, DirectoryError> {
        self.writer.write(move |tx| directory::remove_app(tx, id)).await
    }

    async fn apps(&self, tenant: TenantId) -> Result<Vec<App>, StoreError> {
        self.readers.scan(move |connection| directory::apps(connection, tenant)).await
    }

    async fn app(&self, id: AppId) -> Result<Option<App>, StoreError> {
        self.readers.point(move |connection| directory::app(connection, id)).await
    }

    async fn grant(&self, grant: Grant, at: Timestamp) -> Result<BTreeSet<String>, DirectoryError> {
        self.writer.write(move |tx| consent::grant(tx.connection, &grant, at)).await
    }

    async fn revoke(&self, grant: Grant, at: Timestamp) -> Result<BTreeSet<String>, DirectoryError> {
        self.writer.write(move |tx| consent::revoke(tx.connection, &grant, at)).await
    }

    async fn consents(&self, tenant: TenantId, app: AppId) -> Result<Vec<Consent>, StoreError> {
        self.readers.scan(move |connection| consent::consents(connection, tenant, app)).await
    }

    async fn granted(
        &self,
        tenant: TenantId,
        app: AppId,
        user: Option<UserId>,
    ) -> Result<BTreeSet<String>, StoreError> {
        self.readers.point(move |connection| consent::granted(connection, (tenant, app), user)).await
    }

    async fn put_redeemable(&self, redeemable: Redeemable) -> Result<(), DirectoryError> {
        self.writer.write(move |tx| redeemable::put(tx.connection, &redeemable)).await
    }

    async fn redeem(
        &self,
        app: AppId,
        hash: RedeemableHash,
        now: Timestamp,
        over_at: Timestamp,
    ) -> Result<Option<Redeemed>, StoreError> {
        self.writer.write(move |tx| redeemable::redeem(tx.connection, (app, hash), now, over_at)).await
    }

    async fn end_session(&self, session: Uuid) -> Result<(), StoreError> {
        self.writer.write(move |tx| redeemable::end_session(tx.connection, session)).await
    }

    async fn ingest(&self, ingest: Ingest) -> Result<Vec<bool>, StoreError> {
        let ingest = EncodedIngest::new(ingest, &self.keys)?;
        self.writer.write(move |tx| ingest::ingest(tx, &ingest)).await
    }

    async fn commit(&self, commit: Commit) -> Result<Committed, CommitError> {
        let commit = EncodedCommit::new(commit, &self.keys)?;
        self.writer.write(move |tx| mailbox::commit(tx, &commit)).await
    }

    async fn item(&self, mailbox: UserId, id: ItemId) -> Result<Option<Item>, StoreError> {
        self.readers.point(move |connection| item::item(connection, mailbox, id)).await
    }

    async fn items(&self, query: ItemQuery) -> Result<Items, StoreError> {
        let whole = query.query.is_unfiltered();
        let read = move |connection: &Connection| list::items(connection, &query);
        if whole { self.readers.scan(read).await } else { self.readers.search(read).await }
    }

    async fn count_items(&self, query: ItemQuery) -> Result<u64, StoreError> {
        match query.query.is_unfiltered() {
            true => self.readers.point(|connection| list::count_items(connection, &query)).await,
            false => self.readers.search(move |connection| list::count_items(connection, &query)).await,
        }
    }

    async fn events_between(
        &self,
        mailbox: UserId,
        calendar: FolderId,
        window: Window,
        after: Option<ItemId>,
        limit: u64,
    ) -> Result<Items, StoreError> {
        let place = (mailbox, calendar);
        self.readers.search(move |connection| list::events_between(connection, place, window, after, limit)).await
    }

    async fn delta(&self, query: DeltaQuery) -> Result<Delta, DeltaError> {
        self.readers.scan(move |connection| delta::delta(connection, query)).await
    }

    async fn attachments(&self, mailbox: UserId, item: Uuid) -> Result<Vec<Attachment>, StoreError> {
        self.readers.point(move |connection| attachment::attachments(connection, mailbox, item)).await
    }

    async fn attachment(
        &self,
        mailbox: UserId,
        item: Uuid,
        id: AttachmentId,
    ) -> Result<Option<(Attachment, Vec<u8>)>, StoreError> {
        self.readers.scan(move |connection| attachment::attachment(connection, mailbox, item, id)).await
    }

    async fn item_by_immutable(&self, mailbox: UserId, id: ImmutableId) -> Result<Option<Item>, StoreError> {
        self.readers.point(move |connection| item::item_by_immutable(connection, mailbox, id)).await
    }

    async fn begin_upload(&self, upload: Upload, now: Timestamp) -> Result<(), StoreError> {
        self.writer.write(move |tx| upload::begin(tx, &upload, now)).await
    }

    async fn upload(&self, mailbox: UserId, id: Uuid, now: Timestamp) -> Result<Option<Upload>, StoreError> {
        self.readers.point(move |connection| upload::upload(connection, mailbox, id, now)).await
    }

    async fn append_upload(
        &self,
        mailbox: UserId,
        id: Uuid,
        at: u64,
        bytes: Vec<u8>,
        expires: Timestamp,
    ) -> Result<(), UploadError> {
        self.writer.write(move |tx| upload::append(tx, (mailbox, id), at, &bytes, expires)).await
    }

    async fn upload_content(&self, mailbox: UserId, id: Uuid) -> Result<Vec<u8>, StoreError> {
        self.readers.scan(move |connection| upload::content(connection, mailbox, id)).await
    }

    async fn end_upload(&self, mailbox: UserId, id: Uuid) -> Result<(), StoreError> {
        self.writer.write(move |tx| upload::end(tx, mailbox, id)).await
    }

    async fn folders(&self, mailbox: UserId) -> Result<Vec<FolderCounts>, StoreError> {
        self.readers.scan(move |connection| folder::folders(connection, mailbox)).await
    }

    async fn folder(&self, mailbox: UserId, id: FolderId) -> Result<Option<FolderCounts>, StoreError> {
        self.readers.point(move |connection| folder::folder(connection, mailbox, id)).await
    }

    async fn begin_subscription(
        &self,
        subscription: Arc<Subscription>,
        limits: SubscriptionLimits,
    ) -> Result<Appended, BeginError> {
        let encoded = EncodedSubscription::began(&self.keys, subscription)?;
        self.writer.write(move |tx| subscription::begin(tx, &encoded, limits)).await
    }

    async fn patch_subscription(
        &self,
        before: Arc<Subscription>,
        after: Arc<Subscription>,
    ) -> Result<Appended, SubscriptionError> {
        let after = EncodedSubscription::patched(&self.keys, after)?;
        self.writer.write(move |tx| subscription::patch(tx, &before, &after)).await
    }

    async fn end_subscription(
        &self,
        id: SubscriptionId,
        reason: EndReason,
        if_expires: Option<Timestamp>,
    ) -> Result<Appended, SubscriptionError> {
        self.writer.write(move |tx| subscription::end(tx, id, reason, if_expires)).await
    }

    async fn require_reauthorization(
        &self,
        before: Arc<Subscription>,
        record: ChangeId,
        cause: Cause,
    ) -> Result<Appended, SubscriptionError> {
        self.writer.write(move |tx| subscription::require_reauthorization(tx, &before, record, cause)).await
    }

    async fn pause_subscription(&self, before: Arc<Subscription>) -> Result<Appended, SubscriptionError> {
        self.writer.write(move |tx| subscription::pause(tx, &before)).await
    }

    async fn append_lifecycle(
        &self,
        id: SubscriptionId,
        record: ChangeId,
        event: LifecycleEvent,
    ) -> Result<Appended, SubscriptionError> {
        self.writer.write(move |tx| subscription::append_lifecycle(tx, id, record, event)).await
    }

    async fn append_missed(&self, id: SubscriptionId, incident: Incident) -> Result<Appended, SubscriptionError> {
        self.writer.write(move |tx| subscription::append_missed(tx, id, incident)).await
    }

    async fn replay(
        &self,
        subscription: Arc<Subscription>,
        told: Vec<(Option<ChangeType>, Arc<Record>)>,
    ) -> Result<Appended, SubscriptionError> {
        let replays = subscription::encoded_replays(&self.keys, &subscription, told)?;
        self.writer.write(move |tx| subscription::replay(tx, &subscription, &replays)).await
    }

    async fn subscription(&self, id: SubscriptionId) -> Result<Option<Arc<Subscription>>, StoreError> {
        self.readers.point(|connection| subscription::subscription(connection, &self.keys, id)).await
    }

    async fn standing(&self, id: SubscriptionId) -> Result<Option<Standing>, StoreError> {
        self.readers.point(move |connection| subscription::standing(connection, id)).await
    }

    async fn subscriptions(&self, query: SubscriptionQuery) -> Result<Vec<Arc<Subscription>>, StoreError> {
        let keys = self.keys.clone();
        self.readers.scan(move |connection| subscription::subscriptions(connection, &keys, query)).await
    }

    async fn ledger(&self, id: SubscriptionId) -> Result<LedgerDelta, StoreError> {
        self.readers.point(move |connection| books::ledger(connection, id)).await
    }

    async fn ledgers(&self, query: LedgerQuery) -> Result<Ledgers, StoreError> {
        self.readers.search(move |connection| books::ledgers(connection, query)).await
    }

    async fn books(&self, partition: Partition) -> Result<Books, StoreError> {
        let keys = self.keys.clone();
        self.readers.search(move |connection| books::books(connection, &keys, partition)).await
    }

    async fn read_log(
        &self,
        partition: Partition,
        after: Position,
        limit: usize,
    ) -> Result<Vec<(Position, Arc<Record>)>, StoreError> {
        let keys = self.keys.clone();
        self.readers.scan(move |connection| partition::read_log(connection, &keys, partition, after, limit)).await
    }

    async fn acquire(
        &self,
        node: NodeId,
        now: Timestamp,
        until: Timestamp,
        max: usize,
    ) -> Result<Vec<Lease>, StoreError> {
        self.writer.write(move |tx| partition::acquire(tx, node, now, until, max)).await
    }

    async fn renew(&self, node: NodeId, now: Timestamp, until: Timestamp) -> Result<Vec<Lease>, StoreError> {
        self.writer.write(move |tx| partition::renew(tx, node, now, until)).await
    }

    async fn release(&self, node: NodeId) -> Result<(), StoreError> {
        self.writer.write(move |tx| partition::release(tx, node)).await
    }

    async fn partition_state(&self, partition: Partition) -> Result<PartitionState, StoreError> {
        let keys = self.keys.clone();
        self.readers.scan(move |connection| partition::partition_state(connection, &keys, partition)).await
    }

    async fn checkpoint(&self, checkpoint: Checkpoint) -> Result<(), CheckpointError> {
        let encoded = EncodedCheckpoint::new(checkpoint)?;
        self.writer.write(move |tx| partition::checkpoint(tx, &encoded)).await
    }

    async fn parked(
        &self,
        partition: Partition,
        stream: Stream,
        after: Position,
        deliveries: usize,
    ) -> Result<Vec<LoadedParked>, StoreError> {
        let (keys, of) = (self.keys.clone(), (partition, stream));
        self.readers.scan(move |connection| partition::parked(connection, &keys, of, after, deliveries)).await
    }

    async fn open_topic(&self, wanted: Arc<Topic>, of_app_max: u64, now: Timestamp) -> Result<Arc<Topic>, TopicError> {
        self.writer.write(move |tx| topic::open(tx, &wanted, of_app_max, now)).await
    }

    async fn topic(&self, id: TopicId) -> Result<Option<Arc<Topic>>, StoreError> {
        let keys = self.keys.clone();
        self.readers.point(move |connection| topic::topic(connection, &keys, id)).await
    }

    async fn topics(&self, query: TopicQuery) -> Result<Vec<Arc<Topic>>, StoreError> {
        let keys = self.keys.clone();
        self.readers.scan(move |connection| topic::topics(connection, &keys, &query)).await
    }

    async fn replace_topic(&self, before: Arc<Topic>, after: Arc<Topic>) -> Result<(), TopicError> {
        self.writer.write(move |tx| topic::replace(tx, &before, &after)).await
    }

    async fn remove_topic(&self, id: TopicId) -> Result<Vec<EndedPushing>, TopicError> {
        self.writer.write(move |tx| topic::remove(tx, id)).await
    }

    async fn topic_counts(&self, id: TopicId) -> Result<Option<TopicCounts>, StoreError> {
        self.readers.scan(move |connection| topic::counts(connection, id)).await
    }

    async fn publish(
        &self,
        topic: TopicId,
        events: Vec<CloudEvent>,
        now: Timestamp,
    ) -> Result<Vec<Option<Position>>, PublishError> {
        let events = EncodedEvents::new(&self.keys, topic, events, now)?;
        self.writer.write(move |tx| topic::publish(tx, &events)).await
    }

    async fn topic_events(
        &self,
        topic: TopicId,
        after: Position,
        limit: usize,
    ) -> Result<Vec<(Position, Arc<TopicEvent>)>, StoreError> {
        let keys = self.keys.clone();
        self.readers.scan(move |connection| topic::events(connection, &keys, topic, after, limit)).await
    }

    async fn forget_events(&self, topic: TopicId, published_before: Timestamp, most: u64) -> Result<u64, StoreError> {
        self.writer.write(move |tx| topic::forget(tx, topic, published_before, most)).await
    }

    async fn put_event_subscription(
        &self,
        before: Namesake,
        subscription: Arc<EventSubscription>,
        of_topic_max: u64,
    ) -> Result<Put, EventSubscriptionError> {
        self.writer.write(move |tx| topic::put(tx, &before, &subscription, of_topic_max)).await
    }

    async fn event_subscription(
        &self,
        key: EventSubscriptionKey,
    ) -> Result<Option<(Arc<EventSubscription>, EventCounts)>, StoreError> {
        let keys = self.keys.clone();
        self.readers.point(move |connection| topic::by_key(connection, &keys, &key)).await
    }

    async fn event_subscriptions(&self, topic: TopicId) -> Result<Vec<Arc<EventSubscription>>, StoreError> {
        let keys = self.keys.clone();
        self.readers.scan(move |connection| topic::of_topic(connection, &keys, topic)).await
    }

    async fn remove_event_subscription(
        &self,
        key: EventSubscriptionKey,
    ) -> Result<Option<Option<EndedPushing>>, StoreError> {
        self.writer.write(move |tx| topic::remove_event_subscription(tx, &key)).await
    }

    async fn receive(&self, key: EventSubscriptionKey, most: usize, now: Timestamp) -> Result<Received, PullError> {
        let generation = self.generation;
        self.writer.write(move |tx| topic::receive(tx, &key, generation, most, now)).await
    }

    async fn settle(
        &self,
        key: EventSubscriptionKey,
        settle: Settle,
    ) -> Result<Vec<Result<(), TokenFailure>>, PullError> {
        let generation = self.generation;
        self.writer.write(move |tx| topic::settle(tx, &key, generation, &settle)).await
    }

    async fn dead_letters(
        &self,
        key: EventSubscriptionKey,
        after: Position,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        let keys = self.keys.clone();
        self.readers.scan(move |connection| topic::dead_letters(connection, &keys, &key, after, limit)).await
    }

    async fn log_extents(&self) -> Result<Vec<LogExtent>, StoreError> {
        self.readers.scan(retention::extents).await
    }

    async fn mark_log(
        &self,
        partition: Partition,
        at: Timestamp,
        instead_of: Option<Mark>,
    ) -> Result<bool, StoreError> {
        self.writer.write(move |tx| retention::mark(tx, partition, at, instead_of)).await
    }

    async fn raise_floor(&self, partition: Partition, mark: Mark) -> Result<bool, StoreError> {
        self.writer.write(move |tx| retention::raise_floor(tx, partition, mark)).await
    }

    async fn cut_log(&self, partition: Partition, most: u64) -> Result<Cut, StoreError> {
        self.writer.write(move |tx| retention::cut(tx, partition, most)).await
    }

    fn counters(&self) -> Counters {
        self.writer.counters()
    }

    fn generation(&self) -> Generation {
        self.generation
    }

    fn health(&self) -> StoreHealth {
        self.watch.health()
    }
}
