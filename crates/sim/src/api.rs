//! People and apps that use the API: they write items, and make, change and end subscriptions.

use std::sync::Arc;

use graph::registry::{self, Happened, Ingested, ResourceKind, ThingError};
use graph::{
    AppId, Change, ChangeId, ChangeType, FolderId, Item, ItemId, Kind, Mutation, Properties, Scope, SubmissionId,
    SubscriptionId, UserId, WellKnown,
};
use notify::log::{Cause, EndReason, LifecycleEvent, Submission};
use notify::subscription::{ChangeTypes, Extras, Target, TlsVersion, Watched};
use notify::{Event, Position, Record, Subscription};
use rand::RngExt;
use rand::seq::IndexedRandom;
use store::{Commit, Ingest, Makers, Once, SubscriptionLimits};

use crate::catalogue::Fault;
use crate::storage::{TENANT, date};
use crate::truth::{FILTERS, LARGE, RESOURCES, UNUSABLE};
use crate::world::{Happening, World};

const SECOND: u64 = 1_000_000;
const LIMITS: SubscriptionLimits =
    SubscriptionLimits { per_scope: 1_000, refuse_duplicates: false, makers: Makers { user: false, app: false } };

/// What the users of the API know of.
#[derive(Default)]
pub struct Api {
    items: Vec<Item>,
    live: Vec<SubscriptionId>,
    acts: usize,
}

impl World {
    /// Does one thing, or a burst of it.
    pub fn act(&mut self) {
        self.api.acts += 1;
        if self.plan.resources && self.rng.random_bool(0.25) {
            return self.publish();
        }
        if self.api.live.len() < self.plan.subscriptions
            && (self.api.acts < self.plan.subscriptions.max(8) || self.rng.random_bool(0.2))
        {
            return self.begin();
        }
        match self.rng.random_range(0..100) {
            0..30 => self.several(Self::create),
            30..60 => self.several(Self::update),
            60..66 => self.delete(),
            66..72 => self.relocate(),
            72..80 => self.patch(),
            80..83 => self.reauthorize(),
            83..86 => self.end(EndReason::Deleted),
            86..88 => self.end(EndReason::UserDisabled),
            88..92 => self.lose_access(),
            92..95 => self.lifecycle(),
            95..97 => self.replay(),
            _ => self.send_mail(),
        }
    }

    fn several(&mut self, act: fn(&mut Self)) {
        let times = if self.rng.random_bool(0.2) { self.rng.random_range(2..=20) } else { 1 };
        for _ in 0..times {
            act(self);
        }
    }

    /// Mostly the first, so that a few subscriptions hear of much.
    fn a_mailbox(&mut self) -> UserId {
        if self.rng.random_bool(0.5) {
            return self.plan.mailboxes[0];
        }
        self.plan.mailboxes.choose(&mut self.rng).copied().unwrap_or(UserId(uuid::Uuid::nil()))
    }

    fn a_kind(&mut self) -> Kind {
        if self.rng.random_bool(0.5) {
            return Kind::Message;
        }
        self.plan.kinds.choose(&mut self.rng).copied().unwrap_or(Kind::Message)
    }

    fn a_folder(&mut self, mailbox: UserId, kind: Kind) -> FolderId {
        let folder = match kind {
            Kind::Message if self.rng.random_bool(0.3) => WellKnown::Archive,
            Kind::Message => WellKnown::Inbox,
            Kind::Event => WellKnown::Calendar,
            Kind::Contact => WellKnown::Contacts,
        };
        folder.id_in(mailbox)
    }

    fn write(&mut self, mailbox: UserId, mutation: Mutation, submit: Option<Submission>) {
        let commit = Commit { submit, ..Commit::of(TENANT, mailbox, mutation) };
        self.storage.model.commit(commit).ok();
        self.appended();
    }

    pub fn create(&mut self) {
        let (mailbox, kind) = (self.a_mailbox(), self.a_kind());
        let uuid = self.uuid();
        let item = Item {
            id: ItemId::new(kind, uuid),
            immutable: uuid,
            mailbox,
            folder: self.a_folder(mailbox, kind),
            created: date(self.at),
            modified: date(self.at),
            version: ChangeId(self.uuid()),
            properties: self.some_properties().into(),
        };
        let change = Change::created(TENANT, &item, date(self.at));
        self.api.items.push(item.clone());
        self.write(mailbox, Mutation { puts: vec![item], changes: vec![change], ..Mutation::default() }, None);
    }

    /// What filters look at, and perhaps what is too large to be sent.
    fn some_properties(&mut self) -> Properties {
        let named: Vec<&str> = ["a", "b"].into_iter().filter(|_| self.rng.random_bool(0.5)).collect();
        let mut some = Properties::from_iter([("categories".to_owned(), named.into())]);
        if self.plan.contents && self.rng.random_bool(0.2) {
            some.insert(LARGE.to_owned(), true.into());
        }
        some
    }

    /// The certificate of a subscription with content: one of several, or one that cannot be used.
    fn a_certificate(&mut self) -> Option<String> {
        let unusable = self.rng.random_bool(0.2);
        Some(if unusable { UNUSABLE.to_owned() } else { self.rng.random_range(0..3u32).to_string() })
    }

    /// The same subscription, told of content.
    fn with_content(&mut self, subscription: Subscription) -> Subscription {
        let encryption_certificate = self.a_certificate();
        let extras = Extras { include_resource_data: true, encryption_certificate, ..Extras::default() };
        Subscription { extras: extras.boxed(), ..subscription }
    }

    /// Mostly of the newest items, so that one item changes several times while it is being told of.
    fn an_item(&mut self) -> Option<usize> {
        let count = self.api.items.len();
        let newest = if self.rng.random_bool(0.7) { count.saturating_sub(2) } else { 0 };
        (count > 0).then(|| self.rng.random_range(newest..count))
    }

    fn update(&mut self) {
        let Some(index) = self.an_item() else { return self.create() };
        let version = ChangeId(self.uuid());
        let old = self.api.items[index].clone();
        let properties = if self.rng.random_bool(0.5) { self.some_properties().into() } else { old.properties.clone() };
        let item = Item { version, modified: date(self.at), properties, ..old.clone() };
        let change = Change::updated(TENANT, &old, &item, date(self.at));
        self.api.items[index] = item.clone();
        let expect = vec![(item.id, Some(old.version))];
        let mutation = Mutation { expect, puts: vec![item], changes: vec![change], ..Mutation::default() };
        self.write(old.mailbox, mutation, None);
    }

    fn delete(&mut self) {
        let Some(index) = self.an_item() else { return };
        let item = self.api.items.remove(index);
        let change = Change::deleted(TENANT, &item, ChangeId(self.uuid()), date(self.at));
        let mutation = Mutation { removes: vec![item.id], changes: vec![change], ..Mutation::default() };
        self.write(item.mailbox, mutation, None);
    }

    /// Moves an item: under its new id it is created, under its old one deleted, in one write.
    fn relocate(&mut self) {
        let Some(index) = self.an_item() else { return };
        let old = self.api.items[index].clone();
        let folder = self.a_folder(old.mailbox, old.id.kind);
        let id = ItemId::new(old.id.kind, self.uuid());
        let properties = if self.rng.random_bool(0.3) { self.some_properties().into() } else { old.properties.clone() };
        let item = Item { id, folder, version: ChangeId(self.uuid()), properties, ..old.clone() };
        let changes = Change::moved(TENANT, &old, &item, ChangeId(self.uuid()), date(self.at)).into();
        self.api.items[index] = item.clone();
        self.write(
            old.mailbox,
            Mutation { removes: vec![old.id], puts: vec![item], changes, ..Mutation::default() },
            None,
        );
    }

    fn send_mail(&mut self) {
        let sender = self.a_mailbox();
        let recipients = self.plan.mailboxes.iter().copied().filter(|_| self.rng.random_bool(0.6)).collect();
        let submission = Submission {
            id: SubmissionId(self.uuid()),
            tenant: TENANT,
            app: None,
            sender,
            recipients,
            at: date(self.at),
            message: Properties::new(),
            meeting: None,
        };
        self.write(sender, Mutation::default(), Some(submission));
    }

    fn a_url(&mut self) -> String {
        self.plan.urls.choose(&mut self.rng).cloned().unwrap_or_default()
    }

    fn an_expiry(&mut self) -> graph::Timestamp {
        let soon = self.rng.random_bool(0.3);
        let micros = if soon { self.rng.random_range(5..100) * SECOND } else { 400_000 * SECOND };
        date(self.at + micros)
    }

    fn begin(&mut self) {
        let (mailbox, kind) = (self.a_mailbox(), self.a_kind());
        let folder = self.rng.random_bool(0.3).then(|| self.a_folder(mailbox, kind));
        let filter = if self.rng.random_bool(0.4) { FILTERS.choose(&mut self.rng) } else { None };
        let filter = filter.map(|(text, _)| format!("?$filter={text}")).unwrap_or_default();
        let mut types: Vec<ChangeType> = ChangeType::ALL.into_iter().filter(|_| self.rng.random_bool(0.8)).collect();
        if types.is_empty() {
            types.push(ChangeType::Updated);
        }
        let id = self.uuid();
        let subscription = Subscription {
            id: SubscriptionId(id),
            tenant: TENANT,
            app: AppId(uuid::Uuid::from_u128(0xa99)),
            creator: mailbox,
            resource: format!("me/{}{filter}", kind.collection()),
            target: Target::Items { mailbox, kind, folder },
            change_types: types.iter().copied().collect::<ChangeTypes>(),
            change_type: types.iter().map(|one| one.as_str()).collect::<Vec<_>>().join(","),
            notification_url: self.a_url(),
            lifecycle_url: self.rng.random_bool(0.6).then(|| self.a_url()),
            client_state: None,
            tls_version: if id.as_u128().is_multiple_of(4) { TlsVersion::V1_3 } else { TlsVersion::V1_2 },
            extras: None,
            immutable_ids: self.rng.random_bool(0.4),
            expires: self.an_expiry(),
            expires_tenths: 0,
            authorized: date(self.at),
            created: date(self.at),
        };
        let subscription = match self.plan.resources && self.rng.random_bool(0.5) {
            true => self.watching_a_resource(subscription),
            false if self.plan.contents && self.rng.random_bool(0.6) => self.with_content(subscription),
            false => subscription,
        };
        self.api.live.push(subscription.id);
        self.storage.model.begin_subscription(Arc::new(subscription), LIMITS).ok();
        self.appended();
    }

    /// The same subscription, to a resource outside of mailboxes.
    fn watching_a_resource(&mut self, subscription: Subscription) -> Subscription {
        let number = self.rng.random_range(0..RESOURCES.len());
        let (resource, query_options, _) = RESOURCES[number];
        let Ok(place) = registry::place(resource) else { return subscription };
        let places = vec![resource.replace("Print", "print")];
        let watched = Watched { resource: place.kind, owner: None, places };
        let extras = Extras { notification_query_options: query_options.map(str::to_owned), ..Extras::default() };
        Subscription {
            resource: resource.to_owned(),
            target: Target::Resource(Box::new(watched)),
            extras: extras.boxed(),
            ..subscription
        }
    }

    /// Somebody tells of changes of users, or of print jobs; perhaps again of one that was told of before.
    fn publish(&mut self) {
        let users = self.rng.random_bool(0.5);
        let kind = if users { ResourceKind::User } else { ResourceKind::PrintJob };
        let scope = Scope::of_resources(TENANT, kind);
        let mut changes = Vec::new();
        for _ in 0..self.rng.random_range(1..=4) {
            let change = self.a_change_of_a_resource(users);
            let key = self.rng.random_range(0..50u32).to_string();
            changes.push((Once { key, now: date(self.at), until: date(self.at + 60 * SECOND) }, change));
        }
        self.storage.model.ingest(Ingest { scope, changes }).ok();
        self.appended();
    }

    fn a_change_of_a_resource(&mut self, of_user: bool) -> Ingested {
        let number = self.rng.random_range(1..=3u128);
        let path = if of_user {
            format!("users/{}", uuid::Uuid::from_u128(number))
        } else {
            format!("print/printers/p/jobs/{number}")
        };
        let mut state = || {
            let is_fetchable = self.rng.random_bool(0.5);
            self.rng.random_bool(0.8).then(|| Properties::from_iter([("isFetchable".to_owned(), is_fetchable.into())]))
        };
        let (before, after) = (state(), state());
        let happened = [Happened::Created, Happened::Updated, Happened::SoftDeleted, Happened::Deleted];
        Ingested {
            id: ChangeId(self.uuid()),
            tenant: TENANT,
            thing: registry::thing(&path, |_| Err::<UserId, _>(ThingError::Me)).expect("a thing of the table"),
            happened: happened[self.rng.random_range(0..4)],
            at: date(self.at),
            before,
            after,
        }
    }

    fn a_subscription(&mut self) -> Option<Arc<Subscription>> {
        let id = self.api.live.choose(&mut self.rng).copied()?;
        let found = self.storage.model.subscription(id).ok().flatten();
        if found.is_none() {
            self.api.live.retain(|live| *live != id);
        }
        found
    }

    fn patch(&mut self) {
        let Some(before) = self.a_subscription() else { return };
        let mut after = Subscription { authorized: date(self.at), ..Subscription::clone(&before) };
        if self.rng.random_bool(0.6) {
            after.expires = self.an_expiry();
        }
        if self.rng.random_bool(0.6) {
            after.notification_url = self.a_url();
        }
        if after.lifecycle_url.is_some() && self.rng.random_bool(0.3) {
            after.lifecycle_url = Some(self.a_url());
        }
        if after.is_rich() && self.rng.random_bool(0.6) {
            after = self.with_content(after);
        }
        let moves =
            (&before.notification_url, &before.lifecycle_url) != (&after.notification_url, &after.lifecycle_url);
        let is_rich = after.extras != before.extras;
        if self.storage.model.patch_subscription(before, Arc::new(after)).is_ok() {
            if moves {
                self.strike(Fault::UrlPatched);
            }
            if is_rich {
                self.strike(Fault::CertificatePatched);
            }
        }
        self.appended();
    }

    fn reauthorize(&mut self) {
        let Some(before) = self.a_subscription() else { return };
        let after = Subscription { authorized: date(self.at), ..Subscription::clone(&before) };
        self.storage.model.patch_subscription(before, Arc::new(after)).ok();
        self.appended();
    }

    /// What the app was granted is taken back.
    fn lose_access(&mut self) {
        let Some(before) = self.a_subscription() else { return };
        let (record, cause) = (ChangeId(self.uuid()), Cause::AccessLost { at: date(self.at) });
        if self.storage.model.require_reauthorization(before, record, cause).is_ok() {
            self.strike(Fault::AccessLost);
        }
        self.appended();
    }

    /// Ends a subscription; the node in whose process the request came in is told.
    fn end(&mut self, reason: EndReason) {
        let Some(subscription) = self.a_subscription() else { return };
        let ended = self.storage.model.end_subscription(subscription.id, reason, None);
        self.appended();
        let Ok(ended) = ended else { return };
        self.strike(if reason == EndReason::Deleted { Fault::Deleted } else { Fault::UserDisabled });
        self.api.live.retain(|live| *live != subscription.id);
        let partition = subscription.partition();
        let event = Event::EndCommitted { partition, subscription: subscription.id, position: ended.position };
        let life = self.processes[self.rng.random_range(0..2)].life;
        let soon = self.at + self.rng.random_range(50..3_000);
        self.agenda.add(soon, Happening::Deliver(life, Box::new(event.into())));
    }

    fn lifecycle(&mut self) {
        let Some(subscription) = self.a_subscription() else { return };
        let reauthorize = self.rng.random_bool(0.5);
        let event = if reauthorize { LifecycleEvent::ReauthorizationRequired } else { LifecycleEvent::Missed };
        let id = ChangeId(self.uuid());
        self.storage.model.append_lifecycle(subscription.id, id, event).ok();
        self.appended();
    }

    /// Tells a subscription again of some of what it was to hear of last.
    fn replay(&mut self) {
        let Some(subscription) = self.a_subscription() else { return };
        let Some(span) = self.watch.truth.span(subscription.id) else { return };
        let log: Vec<_> = self.watch.truth.log_after(span.partition, Position(0)).collect();
        let first = span.matches.iter().rev().filter(|(_, told)| told.change.is_some() && told.replays.is_none());
        let mut changes: Vec<(ChangeType, Arc<Record>)> = first
            .filter_map(|(position, told)| Some((told.change?, Arc::clone(log.get(position.0 as usize - 1).copied()?))))
            .take(8)
            .collect();
        changes.reverse();
        changes.retain(|_| self.rng.random_bool(0.5));
        if !changes.is_empty() {
            self.strike(Fault::Replayed);
        }
        let told = changes.into_iter().map(|(change, record)| (Some(change), record));
        self.storage.model.replay(subscription, told.collect()).ok();
        self.appended();
    }
}
