//! Where items, the log and progress are kept.
//!
//! [`Store`] is a set of verbs of the domain, each one transaction. A backend holds no policy: due
//! times, limits and reasons arrive as values and are only kept and compared.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use graph::query::Query;
use graph::registry::Ingested;
use graph::{
    AppId, Attachment, AttachmentId, ChangeId, ChangeType, Folder, FolderId, ImmutableId, Item, ItemId, Kind, Mutation,
    Partition, Properties, Scope, SubscriptionId, TenantId, Timestamp, TopicId, UserId,
};
use notify::checkpoint::{LoadedParked, PartitionState};
use notify::log::{Cause, EndReason, LifecycleEvent, Submission};
use notify::reauthorization::Standing;
use notify::recount::Books;
use notify::retention::{LogExtent, Mark};
use notify::topic::{CloudEvent, EventCounts};
use notify::{
    Checkpoint, EventSubscription, Incident, LedgerDelta, Position, Record, Stream, Subscription, Topic, TopicEvent,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

mod directory;
mod health;
pub mod memory;
pub mod seal;
pub mod sqlite;
mod topic;
mod tree;

pub use directory::{
    App, Challenge, Consent, Credential, CredentialKind, DirectoryError, Grant, Grantee, Redeemable, RedeemableHash,
    RedeemableKind, Redeemed, Tenant, TokenVersion, User,
};
pub use health::StoreHealth;
pub use topic::{
    DeadLetter, EndedPushing, EventSubscriptionError, EventSubscriptionKey, LockedEvent, Namesake, PublishError,
    PullError, Put, Received, Settle, TokenFailure, TopicCounts, TopicError, TopicQuery,
};

/// Each thing that is remembered for a time takes so many old ones away, so that they shrink faster than
/// they grow.
const FORGOTTEN_AT_ONCE: u64 = 4;

/// So many subscriptions that have ended are taken away at once.
const ENDED_AT_ONCE: usize = 100;

/// A read of items ends after the one that makes it longer than this, in bytes of their properties as JSON,
/// whatever number was asked for: what it holds does not grow with what lies in a mailbox.
pub const READ_BYTES_MAX: usize = 16 << 20;

/// Called after each commit with the records that it appended to a partition, in order.
pub type Publish = Arc<dyn Fn(Partition, Vec<(Position, Arc<Record>)>) + Send + Sync>;

/// What one transaction of the writer came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transacted {
    /// So many verbs wrote together, and it took so long from their beginning to the end of the sync.
    Committed { verbs: usize, took: Duration },
    /// The disk did not take it: what was to be written is not, or it is not known.
    Failed,
}

/// Called after each transaction that wrote something or failed, on the writer's thread; it must not wait.
pub type Observe = Arc<dyn Fn(Transacted) + Send + Sync>;

/// Rows written since the store was opened, to show what a change costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counters {
    /// Transactions, each with one sync.
    pub commits: u64,
    pub log_rows: u64,
    /// Taken away again.
    pub log_rows_cut: u64,
    pub item_rows: u64,
    pub parked_rows: u64,
    pub checkpoints: u64,
}

/// The verbs. Each is one transaction; a write is durable when its future resolves to `Ok`.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    // --- directory ---

    /// Adds a tenant; its domain is no other's.
    async fn add_tenant(&self, tenant: Tenant) -> Result<(), DirectoryError>;
    async fn tenants(&self) -> Result<Vec<Tenant>, StoreError>;
    /// Adds a user of a tenant, with a new mailbox: its well-known folders. The address is no other's.
    async fn add_user(&self, user: User) -> Result<(), DirectoryError>;
    /// Replaces a user by `after`, of the same id and tenant, if it still equals `before`. What could be
    /// redeemed for the user is gone if it was issued before `after.sessions_valid_from`.
    async fn replace_user(&self, before: User, after: User) -> Result<(), DirectoryError>;
    /// Removes a user with the mailbox, consents and what could be redeemed. From the first moment nobody
    /// finds any of it; a large mailbox is taken away in parts, so that other writes need not wait, and if
    /// that is broken off, the rest goes when the store is opened. Its log stays. Refused while a live
    /// subscription watches the mailbox.
    async fn remove_user(&self, id: UserId) -> Result<User, DirectoryError>;
    /// All users of a tenant, by UPN.
    async fn users(&self, tenant: TenantId) -> Result<Vec<User>, StoreError>;
    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError>;
    /// Finds a user of any tenant by UPN or mail address, in any case.
    async fn user_by_address(&self, address: &str) -> Result<Option<User>, StoreError>;
    /// Adds an app of a tenant.
    async fn add_app(&self, app: App) -> Result<(), DirectoryError>;
    /// Replaces an app by `after`, of the same id and tenant, if it still equals `before`.
    async fn replace_app(&self, before: App, after: App) -> Result<(), DirectoryError>;
    /// Removes an app with its consents and what it could redeem. Refused while a subscription of it lives. Its topics
    /// stay, with all that leads out of them.
    async fn remove_app(&self, id: AppId) -> Result<App, DirectoryError>;
    /// All apps of a tenant, by id.
    async fn apps(&self, tenant: TenantId) -> Result<Vec<App>, StoreError>;
    async fn app(&self, id: AppId) -> Result<Option<App>, StoreError>;

    // --- consents ---

    /// Grants an app permissions, and tells which did not stand before. A user must be of the tenant.
    async fn grant(&self, grant: Grant, at: Timestamp) -> Result<BTreeSet<String>, DirectoryError>;
    /// Revokes permissions, and tells which stood before. That the others do not stand is no error.
    async fn revoke(&self, grant: Grant, at: Timestamp) -> Result<BTreeSet<String>, DirectoryError>;
    /// Everything that an app was ever granted in a tenant, by grantee and name.
    async fn consents(&self, tenant: TenantId, app: AppId) -> Result<Vec<Consent>, StoreError>;
    /// The permissions that stand: of the app itself, or when it acts for a user, those for all users too.
    async fn granted(&self, tenant: TenantId, app: AppId, user: Option<UserId>)
    -> Result<BTreeSet<String>, StoreError>;

    // --- codes and refresh tokens ---

    /// Keeps a code or a refresh token for a user and an app that there are, and forgets some of those that
    /// are over at its `issued`.
    async fn put_redeemable(&self, redeemable: Redeemable) -> Result<(), DirectoryError>;
    /// Redeems what an app holds and is not over at `now`. It is over when it expires; once redeemed, at
    /// `over_at` if that is earlier. Until then it is found again, with when it was redeemed first.
    async fn redeem(
        &self,
        app: AppId,
        hash: RedeemableHash,
        now: Timestamp,
        over_at: Timestamp,
    ) -> Result<Option<Redeemed>, StoreError>;
    /// Takes away everything that goes back to a sign-in.
    async fn end_session(&self, session: Uuid) -> Result<(), StoreError>;

    // --- mailbox ---

    /// Applies a mutation of one mailbox and appends its changes, and the submission if there is one,
    /// to the partition's log. Besides what the mutation expects, an item and a folder need one of their
    /// kind that they lie in (`FolderGone`); a folder that would still hold an item is not removed, two items
    /// do not have one immutable id, no item gets another one, and an attachment needs its item
    /// (`ItemChanged`); a folder that would still hold a folder is not removed, none comes to lie below
    /// itself, and none gets a namesake (`FolderChanged`).
    async fn commit(&self, commit: Commit) -> Result<Committed, CommitError>;
    async fn item(&self, mailbox: UserId, id: ItemId) -> Result<Option<Item>, StoreError>;
    async fn item_by_immutable(&self, mailbox: UserId, id: ImmutableId) -> Result<Option<Item>, StoreError>;
    /// A page of the items that a query finds, in its order. What lies in Recoverable Items is read and
    /// counted only by that folder's name. What it holds in memory does not grow with the mailbox.
    async fn items(&self, query: ItemQuery) -> Result<Items, StoreError>;
    /// How many items a query finds, whatever its page.
    async fn count_items(&self, query: ItemQuery) -> Result<u64, StoreError>;
    /// Events of a calendar that begin before `window.until` and, all their occurrences taken together,
    /// end after `window.from` (see [`Item::last_end`]): by id, after `after`, at most `limit`.
    async fn events_between(
        &self,
        mailbox: UserId,
        calendar: FolderId,
        window: Window,
        after: Option<ItemId>,
        limit: u64,
    ) -> Result<Items, StoreError>;
    /// What has changed in a place since a revision, oldest first.
    async fn delta(&self, query: DeltaQuery) -> Result<Delta, DeltaError>;
    /// The attachments of an item, by [`Item::immutable`], oldest first.
    async fn attachments(&self, mailbox: UserId, item: Uuid) -> Result<Vec<Attachment>, StoreError>;
    /// One attachment with its content.
    async fn attachment(
        &self,
        mailbox: UserId,
        item: Uuid,
        id: AttachmentId,
    ) -> Result<Option<(Attachment, Vec<u8>)>, StoreError>;
    /// All folders of a mailbox, with their counts.
    async fn folders(&self, mailbox: UserId) -> Result<Vec<FolderCounts>, StoreError>;
    async fn folder(&self, mailbox: UserId, id: FolderId) -> Result<Option<FolderCounts>, StoreError>;

    // --- resources outside of mailboxes ---

    /// Appends changes of the resources of one scope to the log, in their order, apart from those whose key is
    /// remembered, of this batch too. Answers for each whether it was appended.
    async fn ingest(&self, ingest: Ingest) -> Result<Vec<bool>, StoreError>;

    // --- uploads ---

    /// Keeps the beginning of an upload, and forgets uploads of the mailbox that expired before `now`.
    async fn begin_upload(&self, upload: Upload, now: Timestamp) -> Result<(), StoreError>;
    /// An upload that has not expired at `now`.
    async fn upload(&self, mailbox: UserId, id: Uuid, now: Timestamp) -> Result<Option<Upload>, StoreError>;
    /// Adds bytes to an upload, whose received length must be `at`, and moves its expiry.
    async fn append_upload(
        &self,
        mailbox: UserId,
        id: Uuid,
        at: u64,
        bytes: Vec<u8>,
        expires: Timestamp,
    ) -> Result<(), UploadError>;
    /// All bytes of an upload, in order.
    async fn upload_content(&self, mailbox: UserId, id: Uuid) -> Result<Vec<u8>, StoreError>;
    async fn end_upload(&self, mailbox: UserId, id: Uuid) -> Result<(), StoreError>;

    // --- subscriptions ---

    /// Adds a subscription and appends `began`. Refused when `limits` are reached or a live duplicate
    /// (same app, creator, target, change types and query options) exists and `limits.refuse_duplicates`
    /// is set. An id that is known, also of one that has ended, is a duplicate, so that a write of unknown
    /// outcome can be repeated.
    /// Refused as well when its user or app is disabled, or is gone that `limits` count on.
    async fn begin_subscription(
        &self,
        subscription: Arc<Subscription>,
        limits: SubscriptionLimits,
    ) -> Result<Appended, BeginError>;
    /// Replaces a live subscription by `after` if it still equals `before`, and appends `patched`; if it is paused
    /// `resumed`, too. Its app has thereby answered what it was asked.
    async fn patch_subscription(
        &self,
        before: Arc<Subscription>,
        after: Arc<Subscription>,
    ) -> Result<Appended, SubscriptionError>;
    /// Ends a live subscription and appends `ended`. With `if_expires`, only while it expires then.
    async fn end_subscription(
        &self,
        id: SubscriptionId,
        reason: EndReason,
        if_expires: Option<Timestamp>,
    ) -> Result<Appended, SubscriptionError>;
    /// Asks the app of a live subscription to reauthorize, if that still equals `before` and was not asked
    /// the same before, and appends the lifecycle record that says so.
    async fn require_reauthorization(
        &self,
        before: Arc<Subscription>,
        record: ChangeId,
        cause: Cause,
    ) -> Result<Appended, SubscriptionError>;
    /// Pauses a live subscription if it still equals `before` and is not paused, and appends `paused`.
    async fn pause_subscription(&self, before: Arc<Subscription>) -> Result<Appended, SubscriptionError>;
    /// Appends a lifecycle record for a live subscription, from which nothing follows.
    async fn append_lifecycle(
        &self,
        id: SubscriptionId,
        record: ChangeId,
        event: LifecycleEvent,
    ) -> Result<Appended, SubscriptionError>;
    /// Appends the `missed` of a live subscription's open incident if that opened no later than `incident`, and
    /// closes it. The record is the open one's ([`Incident::missed`]).
    async fn append_missed(&self, id: SubscriptionId, incident: Incident) -> Result<Appended, SubscriptionError>;
    /// Appends what a live subscription is to be told of again, in this order: changes of the log, each with the change
    /// type that it sees, or events of its topic.
    async fn replay(
        &self,
        subscription: Arc<Subscription>,
        told: Vec<(Option<ChangeType>, Arc<Record>)>,
    ) -> Result<Appended, SubscriptionError>;
    /// A live subscription; one that pushes a topic's events, too.
    async fn subscription(&self, id: SubscriptionId) -> Result<Option<Arc<Subscription>>, StoreError>;
    /// How a live subscription stands: what its app was asked, and whether it is paused.
    async fn standing(&self, id: SubscriptionId) -> Result<Option<Standing>, StoreError>;
    /// Live subscriptions of a tenant (all, or of one app, creator or mailbox), by id, after `after`. Those that push a
    /// topic's events are not among them: they are looked after with their topic.
    async fn subscriptions(&self, query: SubscriptionQuery) -> Result<Vec<Arc<Subscription>>, StoreError>;
    /// What became of a subscription's matches, up to its partition's cursor.
    async fn ledger(&self, id: SubscriptionId) -> Result<LedgerDelta, StoreError>;
    /// The ledgers of all subscriptions, live and ended, of one app or of all: their sums, those that are gone included,
    /// and a page of them. What it
    /// holds in memory does not grow with the subscriptions.
    async fn ledgers(&self, query: LedgerQuery) -> Result<Ledgers, StoreError>;
    /// What the ledgers of a partition say, with its cursor and what is parked, and what they said at its floor, where
    /// its log begins: read at one point.
    async fn books(&self, partition: Partition) -> Result<Books, StoreError>;

    // --- log and progress ---

    /// Records after `after`, in order and without a gap; at most `limit`, or as many as come to [`READ_BYTES_MAX`]. What
    /// lies at or below the partition's floor is gone: they begin after that.
    async fn read_log(
        &self,
        partition: Partition,
        after: Position,
        limit: usize,
    ) -> Result<Vec<(Position, Arc<Record>)>, StoreError>;
    /// Takes the leases of up to `max` partitions that nobody holds at `now`, then of those that `node`
    /// holds itself. A lease is held until `until`, not at it.
    /// A partition that changes hands gets a higher epoch.
    async fn acquire(
        &self,
        node: NodeId,
        now: Timestamp,
        until: Timestamp,
        max: usize,
    ) -> Result<Vec<Lease>, StoreError>;
    /// Extends all leases that `node` still holds at `now`, and returns them.
    async fn renew(&self, node: NodeId, now: Timestamp, until: Timestamp) -> Result<Vec<Lease>, StoreError>;
    /// Gives all leases of `node` back.
    async fn release(&self, node: NodeId) -> Result<(), StoreError>;
    /// What a node needs to take a partition over, read at one point.
    async fn partition_state(&self, partition: Partition) -> Result<PartitionState, StoreError>;
    /// Records a checkpoint, on its two conditions.
    async fn checkpoint(&self, checkpoint: Checkpoint) -> Result<(), CheckpointError>;
    /// Parked rows of a stream with a first position after `after`, in order, with their records, events without data: as
    /// many as it takes to hold so many deliveries. If they hold fewer, there are no more.
    async fn parked(
        &self,
        partition: Partition,
        stream: Stream,
        after: Position,
        deliveries: usize,
    ) -> Result<Vec<LoadedParked>, StoreError>;

    // --- topics ---

    /// Makes a topic, or finds the one that is meant ([`Topic::meets`]) and adds to it what `wanted` brings
    /// ([`Topic::opened_as`]): its app, and until when it is subscribed into. Everything else of `wanted` counts for a new
    /// one alone. What pushes its events is the app's from then on, and the log says so. Refused when an app of `wanted` would have more than `of_app_max` topics in its tenant. Whoever repeats
    /// it gets the same topic.
    async fn open_topic(&self, wanted: Arc<Topic>, of_app_max: u64, now: Timestamp) -> Result<Arc<Topic>, TopicError>;
    async fn topic(&self, id: TopicId) -> Result<Option<Arc<Topic>>, StoreError>;
    /// By id.
    async fn topics(&self, query: TopicQuery) -> Result<Vec<Arc<Topic>>, StoreError>;
    /// Replaces a topic by `after`, of the same id, tenant and place, if it still equals `before`: its activation, profile,
    /// description and keys.
    async fn replace_topic(&self, before: Arc<Topic>, after: Arc<Topic>) -> Result<(), TopicError>;
    /// Removes a topic with its event subscriptions and events, and ends what pushes these, which it answers. Their records
    /// stay in the log until that is cut. What is to be published into it afterwards meets [`PublishError::NoTopic`].
    async fn remove_topic(&self, id: TopicId) -> Result<Vec<EndedPushing>, TopicError>;
    async fn topic_counts(&self, id: TopicId) -> Result<Option<TopicCounts>, StoreError>;
    /// Publishes events into a topic, in this order: appends each to the log, unless one with its source and id is kept
    /// already, of this batch too. Answers where each stands; `None`: it was dropped and counted, since the topic is not
    /// activated.
    async fn publish(
        &self,
        topic: TopicId,
        events: Vec<CloudEvent>,
        now: Timestamp,
    ) -> Result<Vec<Option<Position>>, PublishError>;
    /// Events that a topic keeps after a position, in order: at most `limit`, or as many as come to [`READ_BYTES_MAX`].
    async fn topic_events(
        &self,
        topic: TopicId,
        after: Position,
        limit: usize,
    ) -> Result<Vec<(Position, Arc<TopicEvent>)>, StoreError>;
    /// Takes away some of the events of a topic that were published before a time, the oldest first, at most so many;
    /// what event subscriptions had of them or had not come to is counted there. How many it took.
    async fn forget_events(&self, topic: TopicId, published_before: Timestamp, most: u64) -> Result<u64, StoreError>;

    // --- event subscriptions ---

    /// Adds an event subscription, or replaces the one of its name, if `before` still has that: one that stands keeps its
    /// lock key, when it was created, and what is pending; one that is over is removed first. A new one considers events
    /// that are published from now on. Refused when the topic would have more than `of_topic_max`.
    ///
    /// One whose events are pushed is a subscription for the node ([`Topic::pushed`]): this appends `began`, `patched` if
    /// it is another than before, and `ended` when it is pulled again, under its id as long as it lives. A new life needs
    /// a new id: who comes with one that has ended is refused. What is pending when events come to be pushed is dropped,
    /// and counted; dead letters stay.
    async fn put_event_subscription(
        &self,
        before: Namesake,
        subscription: Arc<EventSubscription>,
        of_topic_max: u64,
    ) -> Result<Put, EventSubscriptionError>;
    async fn event_subscription(
        &self,
        key: EventSubscriptionKey,
    ) -> Result<Option<(Arc<EventSubscription>, EventCounts)>, StoreError>;
    /// All of a topic, by name.
    async fn event_subscriptions(&self, topic: TopicId) -> Result<Vec<Arc<EventSubscription>>, StoreError>;
    /// Removes an event subscription with what is pending, and ends what pushes its events, which it answers. `None`: there
    /// is none.
    async fn remove_event_subscription(
        &self,
        key: EventSubscriptionKey,
    ) -> Result<Option<Option<EndedPushing>>, StoreError>;

    // --- pull ---

    /// Receives at most `most` events: first those that are due again, the one that has waited longest first, then those
    /// that nobody has received, in order. It ends before that when it has considered a thousand, or read
    /// [`READ_BYTES_MAX`].
    async fn receive(&self, key: EventSubscriptionKey, most: usize, now: Timestamp) -> Result<Received, PullError>;
    /// Settles events by the tokens of their locks, one after the other. Answers for each token.
    async fn settle(
        &self,
        key: EventSubscriptionKey,
        settle: Settle,
    ) -> Result<Vec<Result<(), TokenFailure>>, PullError>;
    /// Dead letters after a position, in order: at most `limit`, or as many as come to [`READ_BYTES_MAX`].
    async fn dead_letters(
        &self,
        key: EventSubscriptionKey,
        after: Position,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError>;

    // --- retention ---

    /// How the log of each partition lies.
    async fn log_extents(&self) -> Result<Vec<LogExtent>, StoreError>;
    /// Marks a partition's cursor, as of `at`, and notes what its ledgers say there, if its mark is still `instead_of`.
    /// `false`: it is not, or the floor is there already.
    async fn mark_log(&self, partition: Partition, at: Timestamp, instead_of: Option<Mark>)
    -> Result<bool, StoreError>;
    /// Raises a partition's floor to its mark, which is none any more, if it is still this one and nothing at or below
    /// it is parked or kept by a topic.
    async fn raise_floor(&self, partition: Partition, mark: Mark) -> Result<bool, StoreError>;
    /// Takes some of what the floor has passed away: at most so many records, but never the last of the log; when none
    /// is left, subscriptions that had ended by there and have nothing parked. Their sums go to those of their apps.
    async fn cut_log(&self, partition: Partition, most: u64) -> Result<Cut, StoreError>;

    /// Of another generation are those who have read from this store before it was put back from a backup: what they
    /// read may never have happened.
    fn generation(&self) -> Generation;
    fn counters(&self) -> Counters;
    /// Whether it keeps what it is given, as its last operations showed.
    fn health(&self) -> StoreHealth;
}

/// One write to one mailbox.
#[derive(Clone, Debug)]
pub struct Commit {
    pub tenant: TenantId,
    pub mailbox: UserId,
    pub mutation: Mutation,
    pub submit: Option<Submission>,
    /// Makes the write happen once.
    pub once: Option<Once>,
    /// Whether subscribers hear of it. A quiet write (an import) appends nothing to the log.
    pub quiet: bool,
    /// When it happens.
    pub now: Timestamp,
    /// Removals that happened before this time may be forgotten: delta tokens from before them are too
    /// old from then on.
    pub forget_before: Timestamp,
}

impl Commit {
    /// A commit of nothing but a mutation, at the time of its last change, that forgets nothing.
    pub fn of(tenant: TenantId, mailbox: UserId, mutation: Mutation) -> Self {
        let forget_before = Timestamp::from_micros(i64::MIN);
        let now = mutation.changes.iter().map(|change| change.at).max().unwrap_or(forget_before);
        Self { tenant, mailbox, mutation, submit: None, once: None, quiet: false, now, forget_before }
    }
}

/// Changes of resources of one kind in one tenant.
#[derive(Clone, Debug)]
pub struct Ingest {
    /// In which all of them lie.
    pub scope: Scope,
    /// Each with the key that makes it happen once.
    pub changes: Vec<(Once, Ingested)>,
}

/// A key by which a write happens once in its scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Once {
    pub key: String,
    /// When the write happens. Keys that are to be remembered until then or less count no more.
    pub now: Timestamp,
    /// A commit with the same key before this time writes nothing.
    pub until: Timestamp,
}

/// Where a commit's records stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    pub partition: Partition,
    /// The last record's position; the partition's head if nothing was appended.
    pub position: Position,
}

/// Where an appended record stands.
pub type Appended = Committed;

/// Which items to read.
#[derive(Clone, Debug)]
pub struct ItemQuery {
    pub mailbox: UserId,
    /// The folders to look in; `None`: all of the mailbox apart from Recoverable Items.
    pub folders: Option<Vec<FolderId>>,
    pub query: Query,
    pub skip: u64,
    pub top: u64,
}

impl ItemQuery {
    /// The first `top` items of a kind in a folder, or in the mailbox, newest first.
    pub fn newest(mailbox: UserId, kind: Kind, folder: Option<FolderId>, top: u64) -> Self {
        Self { mailbox, folders: folder.map(|folder| vec![folder]), query: Query::all(kind), skip: 0, top }
    }
}

/// The first of the items that were asked for: as many as that, or as come to [`READ_BYTES_MAX`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Items {
    pub items: Vec<Item>,
    /// Whether another one follows.
    pub more: bool,
}

/// How long the properties of an item are as JSON, in bytes.
pub fn bytes_of(properties: &Properties) -> usize {
    // Maps of strings always have a JSON form.
    serde_json::to_vec(properties).map_or(0, |json| json.len())
}

/// A span of time: from `from`, until before `until`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub from: Timestamp,
    pub until: Timestamp,
}

/// The number of a commit in its partition: of two commits the later one has the greater revision. Every
/// item and folder carries that of its last write. 0 stands before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub u64);

/// Which of its lives a store is in: 0 until it is put back from a backup, then a random number below 2^63, so that
/// no two lives have one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generation(pub u64);

/// Which changes to read.
#[derive(Clone, Copy, Debug)]
pub struct DeltaQuery {
    pub mailbox: UserId,
    pub place: DeltaPlace,
    /// 0 reads everything as it is now, and no removals.
    pub since: Revision,
    /// Removals count only after this: while a client reads everything for the first time, in parts, what
    /// was removed before it began is nothing to it. It is [`Delta::now`] of the first part.
    pub removals_since: Revision,
    /// How many entries are enough; so many that their items come to [`READ_BYTES_MAX`] are enough as well.
    /// Those of one revision are never parted, so there may be more.
    pub limit: u64,
}

/// Where changes are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeltaPlace {
    /// Items that lie in one folder, or in any of the mailbox that holds the kind.
    Items(Kind, Option<FolderId>),
    /// Folders that hold a kind. A folder changes with its own properties and with its counts.
    Folders(Kind),
}

/// Changes in the order of their revisions.
#[derive(Clone, Debug, PartialEq)]
pub struct Delta {
    pub entries: Vec<(Revision, DeltaEntry)>,
    /// How long the properties of their items are as JSON, in bytes.
    pub bytes: usize,
    /// Everything up to here is in `entries`; ask again from here.
    pub until: Revision,
    /// The mailbox's last revision.
    pub now: Revision,
    /// Whether more is there now.
    pub more: bool,
}

/// One thing that changed, as it is now.
#[derive(Clone, Debug, PartialEq)]
pub enum DeltaEntry {
    Item {
        item: Box<Item>,
        /// The write that brought it to its folder; 0 if that was before it was kept.
        arrived: Revision,
    },
    /// It is gone from the place: deleted, or moved elsewhere.
    ItemGone {
        id: ItemId,
        immutable: Uuid,
    },
    Folder(Box<FolderCounts>),
    FolderGone(FolderId),
}

/// Why there is no delta.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeltaError {
    /// Removals since then have been forgotten.
    #[error("the changes since then are not known any more")]
    TooOld,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A large attachment on its way in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Upload {
    pub id: Uuid,
    pub mailbox: UserId,
    /// [`Item::immutable`] of the item that it is for.
    pub item: ImmutableId,
    /// What the attachment will be, in Graph's JSON form.
    pub properties: Properties,
    /// Its length in bytes when it is whole.
    pub size: u64,
    pub received: u64,
    pub expires: Timestamp,
}

/// Why bytes were not added to an upload.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UploadError {
    #[error("there is no such upload")]
    NotFound,
    #[error("{received} bytes have been received")]
    OutOfTurn { received: u64 },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A folder and what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderCounts {
    pub folder: Folder,
    pub total: u64,
    pub unread: u64,
    pub children: u64,
}

/// Bounds that a new subscription must respect.
#[derive(Clone, Copy, Debug)]
pub struct SubscriptionLimits {
    /// Live subscriptions to what lies in one scope, over all apps.
    pub per_scope: u64,
    pub refuse_duplicates: bool,
    pub makers: Makers,
}

/// Who of those that make a subscription was in the directory when they were allowed to, and must be there still.
#[derive(Clone, Copy, Debug, Default)]
pub struct Makers {
    /// Its creator is a user, not an app's service principal.
    pub user: bool,
    /// Its app is registered.
    pub app: bool,
}

impl Makers {
    /// Whether they may make `subscription`, of whom this is known now.
    pub(crate) fn may_make(self, subscription: &Subscription, user: Option<&User>, app: Option<&App>) -> bool {
        let signed_in = |user: &User| user.enabled && user.sessions_valid_from <= subscription.authorized;
        user.map_or(!self.user, signed_in) && app.map_or(!self.app, |app| app.enabled)
    }
}

/// What was taken away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    pub records: u64,
    pub subscriptions: u64,
    /// Whether more may be left.
    pub more: bool,
}

/// Which subscriptions to read.
#[derive(Clone, Copy, Debug)]
pub struct SubscriptionQuery {
    pub tenant: TenantId,
    /// `None`: of any app.
    pub app: Option<AppId>,
    /// `None`: of any creator.
    pub creator: Option<UserId>,
    /// `None`: to any mailbox.
    pub mailbox: Option<UserId>,
    pub after: Option<SubscriptionId>,
    pub limit: u64,
}

/// Which ledgers to read.
#[derive(Clone, Copy, Debug)]
pub struct LedgerQuery {
    /// `None`: of any app.
    pub app: Option<AppId>,
    /// The page begins after this one.
    pub after: Option<SubscriptionId>,
    /// How many the page has at most.
    pub limit: u64,
}

/// The ledgers of subscriptions, and their sums.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ledgers {
    /// How many subscriptions there are, whatever the page.
    pub subscriptions: u64,
    /// How many more there were, which ended long ago and are gone.
    pub gone: u64,
    /// Of all of them.
    pub sums: LedgerDelta,
    /// By id.
    pub page: Vec<SubscriptionLedger>,
    /// Whether another one follows on the page.
    pub more: bool,
}

/// The ledger of one subscription.
#[derive(Clone, Debug, PartialEq)]
pub struct SubscriptionLedger {
    pub id: SubscriptionId,
    pub live: bool,
    pub sums: LedgerDelta,
}

impl Ledgers {
    /// Counts the next one by id.
    fn add(&mut self, one: SubscriptionLedger, query: LedgerQuery) {
        self.subscriptions += 1;
        self.sums.add(&one.sums);
        if query.after.is_none_or(|after| one.id > after) {
            let has_room = (self.page.len() as u64) < query.limit;
            self.more |= !has_room;
            self.page.extend(has_room.then_some(one));
        }
    }
}

/// One running worker process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(pub uuid::Uuid);

/// A fenced right to work on a partition. The epoch grows each time the partition changes hands.
pub type Lease = (Partition, u64);

/// Where a value could not be read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorruptRow {
    pub table: &'static str,
    pub column: &'static str,
    pub row: String,
    pub cause: String,
}

impl fmt::Display for CorruptRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {} of row {} in table {} is corrupt: {}", self.column, self.row, self.table, self.cause)
    }
}

/// A verb failed for a reason that is the store's own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Nothing was written; the same call may succeed later.
    #[error("the store cannot do this now: {0}")]
    Unavailable(String),
    /// Nothing was written: the disk, or the limit set for the data, is full.
    #[error("the disk is full: {0}")]
    Full(String),
    /// Nothing was written: whoever looks after the log lets nothing more into this partition for now.
    #[error("the log is longer than it may be, and cannot be cut")]
    LogTooLong,
    /// Nothing was written: the files may not be written.
    #[error("the data cannot be written: {0}")]
    ReadOnly(String),
    /// Nothing was written: the database itself is damaged where it would have been, or was to be read.
    #[error("the database is damaged: {0}")]
    Damaged(String),
    /// It may or may not have been written.
    #[error("the outcome of the write is unknown: {0}")]
    Unknown(String),
    #[error("{0}")]
    Corrupt(CorruptRow),
}

/// Why a mutation was not applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// An expectation about this item does not hold.
    #[error("the item was changed meanwhile: {0}")]
    ItemChanged(ItemId),
    #[error("the folder does not exist: {0}")]
    FolderGone(FolderId),
    /// An expectation about this folder, or about its place among others, does not hold.
    #[error("the folder was changed meanwhile: {0}")]
    FolderChanged(FolderId),
    #[error("the mailbox does not exist: {0}")]
    NoMailbox(UserId),
    /// The once-key was used before; the first write stands.
    #[error("this was committed before")]
    AlreadyDone,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a subscription did not begin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BeginError {
    #[error("an equal subscription exists: {0}")]
    Duplicate(SubscriptionId),
    #[error("the mailbox has {0} subscriptions, which is the limit")]
    TooMany(u64),
    #[error("the mailbox does not exist: {0}")]
    NoMailbox(UserId),
    /// Its user or app is gone or disabled, or its user must sign in again.
    #[error("who makes it may not act any more")]
    NotAllowed,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a subscription was not patched or ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubscriptionError {
    /// It never was, or has ended.
    #[error("no such subscription")]
    NotFound,
    /// It is not as the caller expected.
    #[error("the subscription was changed meanwhile")]
    Changed,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a checkpoint was not recorded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Another node holds the partition.
    #[error("the lease of partition {0} is lost")]
    Fenced(Partition),
    /// The last recorded checkpoint is not the one before this.
    #[error("the last checkpoint is {last}")]
    OutOfTurn { last: u64 },
    #[error(transparent)]
    Store(#[from] StoreError),
}
