//! Any sequence of verbs is answered alike by the model and by the embedded store.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use graph::query::Query;
use graph::registry::ResourceKind;
use graph::{
    Attachment, AttachmentId, ChangeType, Folder, FolderId, ImmutableId, Item, Kind, Mutation, NewAttachment,
    Partition, Properties, Scope, UserId, WellKnown,
};
use notify::log::{Cause, EndReason, LifecycleEvent};
use notify::retention::{LogExtent, Mark};
use notify::{
    AbandonReason, Checkpoint, Incident, LedgerDelta, Parked, ParkedRef, Position, Record, Stream, StreamKind,
    Subscription,
};
use proptest::prelude::*;
use serde_json::json;
use tempfile::TempDir;
use tidings_store::memory::Model;
use tidings_store::sqlite::SqliteStore;
use tidings_store::{
    Commit, DeltaPlace, DeltaQuery, Ingest, ItemQuery, LedgerQuery, Makers, NodeId, Revision, Store,
    SubscriptionLimits, SubscriptionQuery, Tenant,
};
use uuid::Uuid;

use self::identity::DirectoryCall;
use self::topics::TopicCall;
use crate::support::*;

const MAILBOXES: [UserId; 4] = [MEGAN, ADELE, NEIGHBOUR, NOBODY];

/// A call by small numbers, so that calls meet: the same few items, folders, subscriptions and nodes.
#[derive(Clone, Debug)]
enum Call {
    Put {
        mailbox: usize,
        item: u128,
        folder: usize,
        received: i64,
        unread: bool,
        stale: bool,
        quiet: bool,
    },
    Remove {
        mailbox: usize,
        item: u128,
        stale: bool,
    },
    PutFolder {
        mailbox: usize,
        folder: usize,
        parent: Option<usize>,
        name: u8,
        expect: Option<usize>,
        stale: bool,
    },
    RemoveFolder {
        mailbox: usize,
        folder: usize,
        with_items: bool,
    },
    Once {
        mailbox: usize,
        item: u128,
        key: u8,
    },
    /// So many changes of a user, or of a group.
    Ingest {
        is_group: bool,
        keys: Vec<u8>,
        now: i64,
    },
    BeginResource {
        number: u128,
        is_group: bool,
        app: u128,
        limits: SubscriptionLimits,
    },
    Begin {
        number: u128,
        mailbox: usize,
        app: u128,
        limits: SubscriptionLimits,
    },
    Patch {
        number: u128,
        expires: i64,
        stale: bool,
    },
    End {
        number: u128,
        if_expires: Option<i64>,
    },
    Lifecycle {
        number: u128,
    },
    Missed {
        number: u128,
        opened: i64,
    },
    /// So many changes.
    Replay {
        number: u128,
        count: u128,
    },
    Ask {
        number: u128,
        /// `None`: because access is lost.
        due: Option<i64>,
        stale: bool,
    },
    Pause {
        number: u128,
        stale: bool,
    },
    Acquire {
        node: u128,
        now: i64,
        max: usize,
    },
    Renew {
        node: u128,
        now: i64,
    },
    Release {
        node: u128,
    },
    Checkpoint {
        mailbox: usize,
        epoch: u64,
        ahead: u64,
        advance: u64,
        number: u128,
        park: bool,
        unpark: bool,
    },
    Mark {
        mailbox: usize,
        at: i64,
        stale: bool,
    },
    Raise {
        mailbox: usize,
        stale: bool,
    },
    Cut {
        mailbox: usize,
        most: u64,
    },
    /// Under another id, with an attachment.
    Move {
        mailbox: usize,
        item: u128,
        to: u128,
        folder: usize,
        attach: bool,
        copy: bool,
        forget_before: i64,
    },
    Delta {
        mailbox: usize,
        folder: Option<usize>,
        since: u64,
        removals_since: u64,
        limit: u64,
    },
    List {
        mailbox: usize,
        folder: Option<usize>,
        skip: u64,
        top: u64,
        asked: usize,
    },
    Subscriptions {
        app: Option<u128>,
        creator: Option<usize>,
        mailbox: Option<usize>,
        after: Option<u128>,
        limit: u64,
    },
    Directory(DirectoryCall),
    Topic(TopicCall),
}

/// What lists are asked for: filters with orders.
const ASKED: [(&str, &str); 16] = [
    ("", ""),
    ("isRead eq false", ""),
    ("isRead eq true", ""),
    ("from/emailAddress/address eq 'person1@contoso.test'", ""),
    ("startswith(subject,'message 1')", "subject desc"),
    ("subject eq 'message 1'", ""),
    ("internetMessageId eq '<1@contoso.test>'", ""),
    ("conversationId eq 'conversation 0'", ""),
    ("conversationId eq 'conversation 1' and receivedDateTime ge 2027-01-15T08:00:02Z", ""),
    ("receivedDateTime ge 2027-01-15T08:00:01Z", "receivedDateTime"),
    ("importance eq 'high' or contains(subject,'2')", "importance,subject desc"),
    ("", "subject"),
    ("", "from/emailAddress/address desc"),
    ("", "isRead desc"),
    ("", "isRead,receivedDateTime desc"),
    ("", "importance desc,subject"),
];

fn limits() -> impl Strategy<Value = SubscriptionLimits> {
    (1..4u64, any::<[bool; 3]>()).prop_map(|(per_scope, [refuse_duplicates, user, app])| {
        let makers = Makers { user, app };
        SubscriptionLimits { per_scope, refuse_duplicates, makers }
    })
}

fn call() -> impl Strategy<Value = Call> {
    let mailbox = || prop_oneof![30 => 0..3usize, 1 => Just(3usize)];
    let (item, folder, number, rarely) = (0..6u128, 0..4usize, 1..5u128, || proptest::bool::weighted(0.1));
    prop_oneof![
        8 => (mailbox(), item.clone(), folder.clone(), 0..4i64, any::<bool>(), rarely(), rarely()).prop_map(
            |(mailbox, item, folder, received, unread, stale, quiet)| {
                Call::Put { mailbox, item, folder, received, unread, stale, quiet }
            }
        ),
        3 => (mailbox(), item.clone(), rarely()).prop_map(|(mailbox, item, stale)| Call::Remove { mailbox, item, stale }),
        3 => (mailbox(), folder.clone(), proptest::option::of(folder.clone()), 0..4u8, proptest::option::of(folder.clone()), rarely())
            .prop_map(|(mailbox, folder, parent, name, expect, stale)| {
                Call::PutFolder { mailbox, folder, parent, name, expect, stale }
            }),
        1 => (mailbox(), folder.clone(), any::<bool>())
            .prop_map(|(mailbox, folder, with_items)| Call::RemoveFolder { mailbox, folder, with_items }),
        1 => (mailbox(), item.clone(), 0..3u8).prop_map(|(mailbox, item, key)| Call::Once { mailbox, item, key }),
        3 => (number.clone(), mailbox(), 0..2u128, limits())
            .prop_map(|(number, mailbox, app, limits)| Call::Begin { number, mailbox, app, limits }),
        2 => (any::<bool>(), proptest::collection::vec(0..4u8, 0..4), 0..90i64)
            .prop_map(|(is_group, keys, now)| Call::Ingest { is_group, keys, now }),
        2 => (number.clone(), any::<bool>(), 0..2u128, limits())
            .prop_map(|(number, is_group, app, limits)| Call::BeginResource { number, is_group, app, limits }),
        2 => (number.clone(), 0..3i64, rarely()).prop_map(|(number, expires, stale)| Call::Patch { number, expires, stale }),
        1 => (number.clone(), proptest::option::of(0..3i64)).prop_map(|(number, if_expires)| Call::End { number, if_expires }),
        1 => number.clone().prop_map(|number| Call::Lifecycle { number }),
        2 => (number.clone(), 0..5i64).prop_map(|(number, opened)| Call::Missed { number, opened }),
        1 => (number.clone(), 0..3u128).prop_map(|(number, count)| Call::Replay { number, count }),
        1 => (number.clone(), proptest::option::of(0..3i64), rarely())
            .prop_map(|(number, due, stale)| Call::Ask { number, due, stale }),
        1 => (number.clone(), rarely()).prop_map(|(number, stale)| Call::Pause { number, stale }),
        1 => (0..2u128, 0..40i64, 0..300usize).prop_map(|(node, now, max)| Call::Acquire { node, now, max }),
        1 => (0..2u128, 0..40i64).prop_map(|(node, now)| Call::Renew { node, now }),
        1 => (0..2u128).prop_map(|node| Call::Release { node }),
        4 => (mailbox(), 0..2u64, prop_oneof![9 => Just(1u64), 1 => 0..3u64], 0..5u64, number, any::<bool>(), any::<bool>())
            .prop_map(|(mailbox, epoch, ahead, advance, number, park, unpark)| {
                Call::Checkpoint { mailbox, epoch, ahead, advance, number, park, unpark }
            }),
        2 => (mailbox(), 0..9i64, rarely()).prop_map(|(mailbox, at, stale)| Call::Mark { mailbox, at, stale }),
        2 => (mailbox(), rarely()).prop_map(|(mailbox, stale)| Call::Raise { mailbox, stale }),
        3 => (mailbox(), 1..9u64).prop_map(|(mailbox, most)| Call::Cut { mailbox, most }),
        6 => (mailbox(), item.clone(), item.clone(), folder.clone(), any::<bool>(), rarely(), -2..4i64).prop_map(
            |(mailbox, item, to, folder, attach, copy, forget_before)| {
                Call::Move { mailbox, item, to, folder, attach, copy, forget_before }
            }
        ),
        4 => (mailbox(), proptest::option::of(0..5usize), 0..30u64, 0..30u64, 0..6u64).prop_map(
            |(mailbox, folder, since, removals_since, limit)| {
                Call::Delta { mailbox, folder, since, removals_since, limit }
            }
        ),
        4 => (mailbox(), proptest::option::of(folder), 0..4u64, 0..4u64, 0..ASKED.len())
            .prop_map(|(mailbox, folder, skip, top, asked)| Call::List { mailbox, folder, skip, top, asked }),
        1 => {
            let someone = || proptest::option::of(0..3usize);
            (proptest::option::of(0..2u128), someone(), someone(), proptest::option::of(0..5u128), 0..4u64).prop_map(
                |(app, creator, mailbox, after, limit)| Call::Subscriptions { app, creator, mailbox, after, limit },
            )
        },
        8 => identity::call().prop_map(Call::Directory),
        20 => topics::call().prop_map(Call::Topic),
    ]
}

fn users() -> Scope {
    Scope::of_resources(TENANT, ResourceKind::User)
}

fn groups() -> Scope {
    Scope::of_resources(TENANT, ResourceKind::Group)
}

/// Two folders that every mailbox has, one that may be made, and one for another kind.
fn folder_of(mailbox: UserId, number: usize) -> FolderId {
    match number {
        0 => inbox(mailbox),
        1 => WellKnown::Archive.id_in(mailbox),
        2 => FolderId::new(Kind::Message, Uuid::from_u128(mailbox.0.as_u128() << 8)),
        _ => WellKnown::Calendar.id_in(mailbox),
    }
}

fn new_attachment(item: Uuid, number: u128) -> NewAttachment {
    let attachment =
        Attachment { id: AttachmentId::new(Kind::Message, Uuid::from_u128(number)), properties: Properties::new() };
    NewAttachment { item, attachment, content: vec![number as u8; 3] }
}

/// Both stores, the model first.
struct Pair {
    model: Model,
    store: SqliteStore,
    heard: Heard,
    versions: u128,
    /// In seconds, for the directory.
    now: i64,
    /// Of locks that were given.
    tokens: Vec<String>,
    _directory: TempDir,
}

fn same<T: Debug>(model: T, store: T) -> Result<(), TestCaseError> {
    prop_assert_eq!(format!("{model:?}"), format!("{store:?}"));
    Ok(())
}

/// Makes the same call to both.
macro_rules! both {
    ($pair:expr, $verb:ident($($argument:expr),*)) => {{
        let model = $pair.model.$verb($($argument.clone()),*);
        let store = $pair.store.$verb($($argument.clone()),*).await;
        same(&model, &store)?;
        model
    }};
}

mod identity;
mod topics;

impl Pair {
    async fn new() -> Result<Self, TestCaseError> {
        let (directory, heard) = (TempDir::new().unwrap(), Heard::default());
        let store = SqliteStore::open(directory.path(), keys(&[1]), heard.publish()).unwrap();
        let mut pair = Self {
            model: Model::default(),
            store,
            heard,
            versions: 0,
            now: 0,
            tokens: Vec::new(),
            _directory: directory,
        };
        both!(pair, add_tenant(Tenant { id: TENANT, domain: "contoso.test".to_owned() })).unwrap();
        for mailbox in &MAILBOXES[..3] {
            both!(pair, add_user(user(*mailbox, &format!("{mailbox}@contoso.test")))).unwrap();
        }
        Ok(pair)
    }

    async fn call(&mut self, call: Call) -> Result<(), TestCaseError> {
        match call {
            Call::Put { .. }
            | Call::Remove { .. }
            | Call::PutFolder { .. }
            | Call::RemoveFolder { .. }
            | Call::Move { .. }
            | Call::Once { .. } => {
                let commit = self.commit_of(call);
                both!(self, commit(commit)).ok();
            }
            Call::Begin { number, mailbox, app, limits } => {
                let mut new = subscription(number, MAILBOXES[mailbox]);
                new.app.0 = Uuid::from_u128(app);
                new.authorized = at(self.now);
                let new = Arc::new(new);
                both!(self, begin_subscription(new, limits)).ok();
            }
            Call::Ingest { is_group, keys, now } => {
                let (scope, path) = if is_group { (groups(), "groups/1") } else { (users(), "users/1") };
                let changes = keys.iter().map(|key| {
                    self.versions += 1;
                    (once(&key.to_string(), now, now + 60), ingested(self.versions, path))
                });
                let ingest = Ingest { scope, changes: changes.collect() };
                both!(self, ingest(ingest)).unwrap();
            }
            Call::BeginResource { number, is_group, app, limits } => {
                let kind = if is_group { ResourceKind::Group } else { ResourceKind::User };
                let mut new = subscription_to(number, kind);
                new.app.0 = Uuid::from_u128(app);
                let new = Arc::new(new);
                both!(self, begin_subscription(new, limits)).ok();
            }
            Call::Patch { number, expires, stale } => {
                let before = self.found(number, false);
                let times = (at(expires), at(expires));
                let after = Subscription { expires: times.0, authorized: times.1, ..Subscription::clone(&before) };
                let (before, after) = (self.found(number, stale), Arc::new(after));
                both!(self, patch_subscription(before, after)).ok();
            }
            Call::End { number, if_expires } => {
                both!(self, end_subscription(subscription_id(number), EndReason::Expired, if_expires.map(at))).ok();
            }
            Call::Lifecycle { number } => {
                both!(self, append_lifecycle(subscription_id(number), change_id(number), LifecycleEvent::Missed)).ok();
            }
            Call::Missed { number, opened } => {
                both!(self, append_missed(subscription_id(number), Incident { opened: at(opened) })).ok();
            }
            Call::Replay { number, count } => {
                let of = self.found(number, false);
                let change = |number| Record::Ingested(Box::new(ingested(number, "users/1")));
                let changes =
                    (0..count).map(|number| (Some(ChangeType::Updated), Arc::new(change(number)))).collect::<Vec<_>>();
                both!(self, replay(of.clone(), changes.clone())).ok();
            }
            Call::Ask { number, due, stale } => {
                let before = self.found(number, stale);
                let cause = match due {
                    Some(due) => Cause::RunsOut { due: at(due) },
                    None => Cause::AccessLost { at: at(1) },
                };
                both!(self, require_reauthorization(before, change_id(number), cause)).ok();
            }
            Call::Pause { number, stale } => {
                let before = self.found(number, stale);
                both!(self, pause_subscription(before)).ok();
            }
            Call::Acquire { node, now, max } => {
                both!(self, acquire(NodeId(Uuid::from_u128(node)), at(now), at(now + 10), max)).unwrap();
            }
            Call::Renew { node, now } => {
                both!(self, renew(NodeId(Uuid::from_u128(node)), at(now), at(now + 10))).unwrap();
            }
            Call::Release { node } => both!(self, release(NodeId(Uuid::from_u128(node)))).unwrap(),
            Call::Checkpoint { .. } => {
                let checkpoint = self.checkpoint_of(call);
                both!(self, checkpoint(checkpoint)).ok();
            }
            Call::Mark { mailbox, at: second, stale } => {
                let partition = Partition::of(MAILBOXES[mailbox]);
                let instead_of = self.extent(partition).mark.filter(|_| !stale);
                both!(self, mark_log(partition, at(second), instead_of)).unwrap();
            }
            Call::Raise { mailbox, stale } => {
                let partition = Partition::of(MAILBOXES[mailbox]);
                let none = Mark { position: Position(1), at: at(0) };
                let mark = self.extent(partition).mark.filter(|_| !stale).unwrap_or(none);
                both!(self, raise_floor(partition, mark)).unwrap();
            }
            Call::Cut { mailbox, most } => {
                let partition = Partition::of(MAILBOXES[mailbox]);
                both!(self, cut_log(partition, most)).unwrap();
            }
            Call::Delta { mailbox, folder, since, removals_since, limit } => {
                let mailbox = MAILBOXES[mailbox];
                let (since, removals_since) = (Revision(since), Revision(removals_since));
                let place = match folder {
                    Some(4) => DeltaPlace::Folders(Kind::Message),
                    folder => DeltaPlace::Items(Kind::Message, folder.map(|folder| folder_of(mailbox, folder))),
                };
                both!(self, delta(DeltaQuery { mailbox, place, since, removals_since, limit })).ok();
            }
            Call::List { mailbox, folder, skip, top, asked } => {
                let (mailbox, kind) = (MAILBOXES[mailbox], Kind::Message);
                let folder = folder.map(|folder| folder_of(mailbox, folder));
                let (filter, order) = ASKED[asked];
                let given = |text: &'static str| Some(text).filter(|text| !text.is_empty());
                let query = Query::read(kind, given(filter), given(order)).unwrap();
                let query = ItemQuery { skip, query, ..ItemQuery::newest(mailbox, kind, folder, top) };
                both!(self, items(query.clone())).unwrap();
                both!(self, count_items(query.clone())).unwrap();
            }
            Call::Subscriptions { app, creator, mailbox, after, limit } => {
                let app = app.map(|app| graph::AppId(Uuid::from_u128(app)));
                let [creator, mailbox] = [creator, mailbox].map(|number| number.map(|number| MAILBOXES[number]));
                let after = after.map(subscription_id);
                let tenant = TENANT;
                both!(self, subscriptions(SubscriptionQuery { tenant, app, creator, mailbox, after, limit })).unwrap();
            }
            Call::Directory(call) => self.call_directory(call).await?,
            Call::Topic(call) => self.call_topic(call).await?,
        }
        Ok(())
    }

    /// A subscription as it is, or is not.
    fn found(&self, number: u128, stale: bool) -> Arc<Subscription> {
        let live = self.model.subscription(subscription_id(number)).unwrap();
        let found = live.unwrap_or_else(|| Arc::new(subscription(number, MEGAN)));
        match stale {
            true => Arc::new(Subscription { created: at(9), ..Subscription::clone(&found) }),
            false => found,
        }
    }

    fn commit_of(&mut self, call: Call) -> Commit {
        self.versions += 1;
        match call {
            Call::Put { mailbox, item, folder, received, unread, stale, quiet } => {
                let mailbox = MAILBOXES[mailbox];
                let mut new = edited(&message(mailbox, item, received), "isRead", json!(!unread));
                new.version = change_id(self.versions);
                let (number, subject) = (item as i64 + received, item % 3);
                let address = format!("Person{}@contoso.test", number % 2);
                let more = [
                    ("subject", json!(format!("Message {subject}"))),
                    ("from", json!({ "emailAddress": { "address": address } })),
                    ("internetMessageId", json!(format!("<{subject}@contoso.test>"))),
                    ("conversationId", json!(format!("conversation {}", item % 2))),
                    ("importance", json!(["low", "normal", "high"][number as usize % 3])),
                ];
                new.properties.extend(more.map(|(name, value)| (name.to_owned(), value)));
                new.folder = folder_of(mailbox, folder);
                let old = self.model.item(mailbox, new.id).unwrap();
                let mut commit = old.as_ref().map_or_else(|| create(&new), |old| update(old, &new));
                if stale {
                    commit.mutation.expect = vec![(new.id, Some(change_id(0)))];
                }
                Commit { quiet, ..commit }
            }
            Call::Remove { mailbox, item, stale } => {
                let old = self.model.item(MAILBOXES[mailbox], item_id(item)).unwrap();
                let mut commit = delete(&old.unwrap_or_else(|| message(MAILBOXES[mailbox], item, 0)));
                if stale {
                    commit.mutation.expect.clear();
                }
                commit
            }
            Call::PutFolder { mailbox, folder, parent, name, expect, stale } => {
                let mailbox = MAILBOXES[mailbox];
                let expected = expect.map(|number| self.model.folder(mailbox, folder_of(mailbox, number)).unwrap());
                let mut expected: Vec<Folder> = expected.flatten().map(|found| found.folder).into_iter().collect();
                if let Some(expected) = expected.first_mut().filter(|_| stale) {
                    expected.display_name.push('x');
                }
                let folder = Folder {
                    id: folder_of(mailbox, folder),
                    mailbox,
                    parent: parent.map(|parent| folder_of(mailbox, parent)),
                    display_name: ["a", "A", "b", "c"][usize::from(name)].to_owned(),
                    well_known: None,
                    properties: Properties::new(),
                };
                let (expect_folders, folder_puts) = (expected, vec![folder]);
                commit_of(mailbox, Mutation { expect_folders, folder_puts, ..Mutation::default() })
            }
            Call::RemoveFolder { mailbox, folder, with_items } => {
                let mailbox = MAILBOXES[mailbox];
                let folder = folder_of(mailbox, folder);
                let query = ItemQuery::newest(mailbox, Kind::Message, Some(folder), 100);
                let items: Vec<Item> = if with_items { self.model.items(query).unwrap().items } else { Vec::new() };
                let removes = items.iter().map(|item| item.id).collect();
                let mutation = Mutation { removes, folder_removes: vec![folder], ..Mutation::default() };
                commit_of(mailbox, mutation)
            }
            Call::Move { mailbox, item, to, folder, attach, copy, forget_before } => {
                let mailbox = MAILBOXES[mailbox];
                let old = self.model.item(mailbox, item_id(item)).unwrap();
                let old = old.unwrap_or_else(|| message(mailbox, item, 0));
                let new = Item {
                    id: item_id(to),
                    folder: folder_of(mailbox, folder),
                    version: change_id(self.versions),
                    ..old.clone()
                };
                let attachment = new_attachment(new.immutable, self.versions % 3);
                let removed = (new.immutable, new_attachment(new.immutable, self.versions % 5).attachment.id);
                let mutation = Mutation {
                    puts: vec![new.clone()],
                    removes: Some(old.id).filter(|id| *id != new.id).into_iter().collect(),
                    attachment_puts: Some(attachment).filter(|_| attach).into_iter().collect(),
                    attachment_removes: vec![removed],
                    attachment_copies: Some((new.immutable, item_id(0).uuid)).filter(|_| copy).into_iter().collect(),
                    ..Mutation::default()
                };
                Commit { now: at(item as i64), forget_before: at(forget_before), ..commit_of(mailbox, mutation) }
            }
            Call::Once { mailbox, item, key } => {
                let mut commit = create(&message(MAILBOXES[mailbox], item, 0));
                commit.once = Some(once(&key.to_string(), 0, 60));
                commit
            }
            other => unreachable!("{other:?} writes no mailbox"),
        }
    }

    fn extent(&self, partition: Partition) -> LogExtent {
        self.model.log_extents().unwrap()[usize::from(partition.0)]
    }

    /// A checkpoint that a node could make, but for its two conditions.
    fn checkpoint_of(&self, call: Call) -> Checkpoint {
        let Call::Checkpoint { mailbox, epoch, ahead, advance, number, park, unpark } = call else {
            unreachable!("{call:?} is no checkpoint")
        };
        let partition = Partition::of(MAILBOXES[mailbox]);
        let state = self.model.partition_state(partition).unwrap();
        let stream = Stream { subscription: subscription_id(number), kind: StreamKind::Changes };
        let cursor = Position((state.cursor.0 + advance).min(state.head.0));
        let new = (state.cursor.0 + 1..=cursor.0).map(Position);
        let refs: Vec<_> = new.map(|position| ParkedRef { position, change: Some(ChangeType::Created) }).collect();
        let parked = self.model.parked(partition, stream, Position(0), 1).unwrap();
        let left = parked.first().filter(|_| unpark).map(|one| one.row.refs.len()).unwrap_or_default();
        let came = if park { refs.len() } else { 0 };
        let delta = LedgerDelta {
            matched: refs.len() as u64,
            delivered: 1,
            parked: came as i64 - left as i64,
            abandoned: BTreeMap::from([(AbandonReason::SubscriptionEnded, left as u64)]),
        };
        let opened = (!unpark).then_some((stream.subscription, Incident { opened: at(advance as i64) }));
        let row =
            Parked { stream, refs, attempts: 1, due: at(1), since: at(0), batch_max: 10, pushed: None, bytes: 700 };
        Checkpoint {
            partition,
            epoch,
            number: state.number + ahead,
            cursor,
            wall: at(advance as i64),
            unpark: parked.iter().filter(|_| unpark).map(|one| (stream, one.row.first())).collect(),
            park: Some(row).filter(|row| park && !row.refs.is_empty()).into_iter().collect(),
            ledger: BTreeMap::from([(stream.subscription, delta)]),
            incidents: opened.into_iter().collect(),
            health: BTreeMap::from([(endpoint(number), (!unpark).then(|| slow_until(advance as i64)))]),
        }
    }

    /// Compares all that can be read.
    async fn compare(&mut self) -> Result<(), TestCaseError> {
        self.compare_directory().await?;
        self.compare_topics().await?;
        for mailbox in MAILBOXES {
            both!(self, folders(mailbox)).unwrap();
            let query = ItemQuery::newest(mailbox, Kind::Message, None, 100);
            both!(self, items(query)).unwrap();
            for place in [DeltaPlace::Items(Kind::Message, None), DeltaPlace::Folders(Kind::Message)] {
                let since = Revision(0);
                both!(self, delta(DeltaQuery { mailbox, place, since, removals_since: since, limit: 100 })).unwrap();
            }
            for number in 0..6 {
                let immutable = item_id(number).uuid;
                both!(self, item_by_immutable(mailbox, ImmutableId::new(Kind::Message, immutable))).unwrap();
                for attachment in both!(self, attachments(mailbox, immutable)).unwrap() {
                    both!(self, attachment(mailbox, immutable, attachment.id)).unwrap();
                }
            }
        }
        let lies = |mut extents: Vec<LogExtent>| {
            // The model stores no bytes.
            extents.iter_mut().for_each(|extent| extent.bytes = 0);
            extents
        };
        let extents = self.model.log_extents().map(lies);
        same(&extents, &self.store.log_extents().await.map(lies))?;
        let partitions = [users(), groups()].map(Partition::of).into_iter().chain([MEGAN, ADELE].map(Partition::of));
        for partition in partitions {
            let log = both!(self, read_log(partition, Position(0), usize::MAX)).unwrap();
            let floor = self.extent(partition).floor;
            let heard = self.heard.of(partition).into_iter().filter(|(position, _)| *position > floor);
            prop_assert_eq!(heard.collect::<Vec<_>>(), log);
            both!(self, partition_state(partition)).unwrap();
            both!(self, books(partition)).unwrap();
        }
        for partition in [MEGAN, ADELE].map(Partition::of) {
            both!(self, books(partition)).unwrap();
        }
        for app in [None, Some(1), Some(2), Some(9)] {
            let app = app.map(|app| graph::AppId(Uuid::from_u128(app)));
            both!(self, ledgers(LedgerQuery { app, after: Some(subscription_id(1)), limit: 2 })).unwrap();
        }
        for number in 1..5 {
            let subscription = subscription_id(number);
            both!(self, subscription(subscription)).unwrap();
            both!(self, ledger(subscription)).unwrap();
            for partition in [MEGAN, ADELE].map(Partition::of) {
                let stream = Stream { subscription, kind: StreamKind::Changes };
                both!(self, parked(partition, stream, Position(0), 100)).unwrap();
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_embedded_store_answers_as_the_model_does(calls in proptest::collection::vec(call(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut pair = Pair::new().await?;
            for call in calls {
                pair.call(call).await?;
            }
            pair.compare().await
        })?;
    }
}
