//! What subscriptions see of a mailbox's changes, compared with a slow model that keeps what each of them
//! watches as a plain set of items, and looks at what came, went and changed.

use std::collections::BTreeMap;

use graph::render::{self, View};
use graph::{
    AppId, Change, ChangeId, ChangeType, FolderId, Item, ItemId, Kind, Properties, PropertyBag, SubscriptionId,
    TenantId, Timestamp, UserId,
};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use tidings_notify::subscription::{ChangeTypes, Target, TlsVersion};
use tidings_notify::{Interest, Subscription};
use uuid::Uuid;

const MEGAN: UserId = UserId(Uuid::from_u128(2));
const TENANT: TenantId = TenantId(Uuid::from_u128(3));
const NOW: Timestamp = Timestamp::from_seconds(1_795_255_200); // 2026-11-21T10:00:00Z
const FOLDERS: u8 = 3;

fn folder(kind: Kind, number: u8) -> FolderId {
    FolderId::new(kind, Uuid::from_u128(0xf01d_0000 + u128::from(number)))
}

/// What a filter says of an item as the API shows it.
type Says = Box<dyn Fn(&Value) -> bool>;
/// A filter, and the same in code.
type Asked = (String, Says);

fn asked(text: &str, holds: impl Fn(&Value) -> bool + 'static) -> Asked {
    (text.to_owned(), Box::new(holds))
}

fn any(list: &Value, holds: impl Fn(&Value) -> bool) -> bool {
    list.as_array().is_some_and(|members| members.iter().any(holds))
}

fn same(text: &Value, other: &str) -> bool {
    text.as_str().is_some_and(|text| text.eq_ignore_ascii_case(other))
}

fn of_messages() -> Vec<Asked> {
    let inner = folder(Kind::Message, 0).to_string();
    vec![
        asked("isRead eq false", |it| it["isRead"] == json!(false)),
        asked("hasAttachments eq true AND importance eq 'High'", |it| {
            it["hasAttachments"] == json!(true) && it["importance"] == json!("high")
        }),
        asked("categories/any(c:c eq 'x')", |it| any(&it["categories"], |one| same(one, "x"))),
        asked("not(categories/any()) or isDraft eq true", |it| {
            !any(&it["categories"], |_| true) || it["isDraft"] == json!(true)
        }),
        asked("from/emailAddress/address eq 'B@x.test'", |it| same(&it["from"]["emailAddress"]["address"], "b@x.test")),
        asked("receivedDateTime ge 2026-11-21T13:00:00+02:00", |it| {
            it["receivedDateTime"].as_str().is_some_and(|time| time >= "2026-11-21T11:00:00Z")
        }),
        asked("createdDateTime le 2026-11-21T10:00:02Z", |it| {
            it["createdDateTime"].as_str().is_some_and(|time| time <= "2026-11-21T10:00:02Z")
        }),
        asked("startswith(subject,'RE') or subject eq null", |it| {
            it["subject"].as_str().is_none_or(|subject| subject.to_lowercase().starts_with("re"))
        }),
        asked("flag/flagStatus eq 'flagged'", |it| it["flag"]["flagStatus"] == json!("flagged")),
        asked("singleValueExtendedProperties/any(p:p/id eq 'String 0x1' and p/value eq '1')", |it| {
            any(&it["singleValueExtendedProperties"], |one| one["value"] == json!("1"))
        }),
        asked(&format!("parentFolderId eq '{inner}' and isRead"), move |it| {
            it["parentFolderId"] == json!(inner) && it["isRead"] == json!(true)
        }),
    ]
}

fn of_events() -> Vec<Asked> {
    vec![
        asked("isAllDay eq true or showAs eq 'Busy'", |it| {
            it["isAllDay"] == json!(true) || it["showAs"] == json!("busy")
        }),
        asked("start/dateTime ge '2026-11-21T11:00:00'", |it| {
            it["start"]["dateTime"].as_str().is_some_and(|time| time >= "2026-11-21T11:00:00")
        }),
        asked("attendees/any(a:a/type eq 'optional' and a/emailAddress/address eq 'a@x.test')", |it| {
            any(&it["attendees"], |one| {
                one["type"] == json!("optional") && same(&one["emailAddress"]["address"], "a@x.test")
            })
        }),
        asked("subject in ('plan','x')", |it| same(&it["subject"], "plan") || same(&it["subject"], "x")),
    ]
}

fn of_contacts() -> Vec<Asked> {
    vec![
        asked("companyName eq 'contoso'", |it| same(&it["companyName"], "contoso")),
        asked("emailAddresses/any(e:e/address eq 'a@x.test')", |it| {
            any(&it["emailAddresses"], |one| same(&one["address"], "a@x.test"))
        }),
        asked("categories/all(c:c ne 'y')", |it| !any(&it["categories"], |one| same(one, "y"))),
    ]
}

fn filters(kind: Kind) -> Vec<Asked> {
    match kind {
        Kind::Message => of_messages(),
        Kind::Event => of_events(),
        Kind::Contact => of_contacts(),
    }
}

/// A few values, of which each property takes one.
#[derive(Clone, Copy, Debug)]
struct Values {
    flags: u8,
    word: u8,
    number: u8,
}

fn properties(kind: Kind, Values { flags, word, number }: Values) -> Properties {
    let flag = |bit: u8| flags & bit != 0;
    let words = [json!([]), json!(["x"]), json!(["X", "y"]), json!(["y"])];
    let subjects = [json!("Re: plan"), json!("Plan"), Value::Null, json!("x")];
    let addresses = [json!("a@x.test"), json!("b@x.test"), json!("A@X.test"), json!("c@x.test")];
    let (words, subject) = (&words[usize::from(word)], &subjects[usize::from(word)]);
    let address = json!({ "name": "N", "address": addresses[usize::from(number)] });
    let hour = format!("2026-11-21T{}:00:00", 10 + number);
    let value = match kind {
        Kind::Message => json!({
            "isRead": flag(1), "hasAttachments": flag(2), "isDraft": flag(4), "importance": if flag(8) { "high" } else { "low" },
            "categories": words, "subject": subject, "from": { "emailAddress": address },
            "receivedDateTime": format!("{hour}Z"),
            "flag": { "flagStatus": if number == 1 { "flagged" } else { "notFlagged" } },
            "singleValueExtendedProperties": [{ "id": "String 0x1", "value": number.to_string() }],
        }),
        Kind::Event => json!({
            "isAllDay": flag(1), "showAs": if flag(2) { "busy" } else { "free" }, "subject": subject,
            "start": { "dateTime": format!("{hour}.0000000"), "timeZone": "UTC" },
            "attendees": [{ "type": if flag(4) { "optional" } else { "required" }, "emailAddress": address }],
        }),
        Kind::Contact => json!({
            "companyName": if flag(1) { json!("Contoso") } else { Value::Null }, "categories": words,
            "emailAddresses": if flag(2) { json!([address]) } else { json!([]) },
        }),
    };
    let Value::Object(mut properties) = value else { unreachable!() };
    properties.retain(|_, value| !value.is_null());
    properties
}

#[derive(Clone, Debug)]
enum Act {
    Create(Kind, u8, Values),
    Update(u8, Values),
    /// A write that alters nothing.
    Touch(u8),
    Move(u8, u8, Option<Values>),
    Delete(u8),
    /// To where nobody is told of anything, and back.
    Bury(u8),
    Restore(u8, u8),
}

#[derive(Default)]
struct Mailbox {
    items: Vec<Item>,
    buried: Vec<Item>,
    numbers: u128,
}

fn pick(list: &[Item], which: u8) -> Option<usize> {
    (!list.is_empty()).then(|| usize::from(which) % list.len())
}

impl Mailbox {
    fn uuid(&mut self) -> Uuid {
        self.numbers += 1;
        Uuid::from_u128(self.numbers)
    }

    /// Does it, and returns the changes that the log would have.
    fn act(&mut self, act: &Act) -> Vec<Change> {
        let (version, id) = (ChangeId(self.uuid()), self.uuid());
        let at = NOW.plus_micros(self.numbers as i64 * 300_000);
        match *act {
            Act::Create(kind, number, values) => {
                let item = Item {
                    id: ItemId::new(kind, id),
                    immutable: id,
                    mailbox: MEGAN,
                    folder: folder(kind, number),
                    created: at,
                    modified: at,
                    version,
                    properties: properties(kind, values).into(),
                };
                self.items.push(item.clone());
                vec![Change::created(TENANT, &item, at)]
            }
            Act::Update(which, values) => {
                let Some(index) = pick(&self.items, which) else { return Vec::new() };
                let properties = properties(self.items[index].id.kind, values);
                self.rewrite(index, version, at, properties.into())
            }
            Act::Touch(which) => {
                let Some(index) = pick(&self.items, which) else { return Vec::new() };
                self.rewrite(index, version, at, self.items[index].properties.clone())
            }
            Act::Move(which, to, values) => {
                let Some(index) = pick(&self.items, which) else { return Vec::new() };
                let old = self.items[index].clone();
                let properties = values.map_or(old.properties.clone(), |values| properties(old.id.kind, values).into());
                let folder = folder(old.id.kind, to);
                let new = Item { id: ItemId::new(old.id.kind, id), folder, version, properties, ..old.clone() };
                self.items[index] = new.clone();
                let gone = ChangeId(self.uuid());
                Change::moved(TENANT, &old, &new, gone, at).into()
            }
            Act::Delete(which) | Act::Bury(which) => {
                let Some(index) = pick(&self.items, which) else { return Vec::new() };
                let item = self.items.remove(index);
                let change = Change::deleted(TENANT, &item, version, at);
                if matches!(act, Act::Bury(_)) {
                    self.buried.push(item);
                }
                vec![change]
            }
            Act::Restore(which, to) => {
                let Some(index) = pick(&self.buried, which) else { return Vec::new() };
                let old = self.buried.remove(index);
                let kind = old.id.kind;
                let item = Item { id: ItemId::new(kind, id), folder: folder(kind, to), version, ..old };
                self.items.push(item.clone());
                vec![Change::created(TENANT, &item, at)]
            }
        }
    }

    fn rewrite(&mut self, index: usize, version: ChangeId, at: Timestamp, properties: PropertyBag) -> Vec<Change> {
        let old = self.items[index].clone();
        let item = Item { version, modified: at, properties, ..old.clone() };
        self.items[index] = item.clone();
        vec![Change::updated(TENANT, &old, &item, at)]
    }

    /// What a subscription watches: by the id under which it knows an item, the item's version.
    fn watched(&self, of: &Watching) -> BTreeMap<String, ChangeId> {
        let Target::Items { kind, folder, .. } = of.subscription.target else { panic!("items are watched") };
        let here = self.items.iter().filter(|item| item.id.kind == kind);
        let here = here.filter(|item| folder.is_none_or(|folder| folder == item.folder));
        let here = here.filter(|item| of.holds.as_ref().is_none_or(|holds| holds(&shown(item))));
        let key = |item: &Item| match of.subscription.immutable_ids {
            true => item.immutable_id().to_string(),
            false => item.id.to_string(),
        };
        here.map(|item| (key(item), item.version)).collect()
    }
}

fn shown(item: &Item) -> Value {
    let mut shown = render::item(item, View::default());
    if let Some(extended) = item.properties.get("singleValueExtendedProperties") {
        shown["singleValueExtendedProperties"] = extended.clone();
    }
    // In whole seconds, however finely the server keeps it.
    shown["createdDateTime"] = item.created.whole_seconds().to_string().into();
    shown
}

struct Watching {
    subscription: Subscription,
    interest: Interest,
    holds: Option<Says>,
}

/// Kind, folder, filter, change types and whether the ids are immutable.
type Plan = (Kind, Option<u8>, Option<usize>, u8, bool);

fn watching((kind, number, filter, types, immutable_ids): Plan) -> Watching {
    let mut asked = filters(kind);
    let asked = filter.map(|filter| asked.swap_remove(filter % asked.len()));
    let query = asked.as_ref().map(|(text, _)| format!("?$filter={}", text.replace('+', "%2B"))).unwrap_or_default();
    let change_types: ChangeTypes =
        ChangeType::ALL.into_iter().filter(|change| types & (1 << *change as u8) != 0).collect();
    let subscription = Subscription {
        id: SubscriptionId(Uuid::from_u128(1)),
        tenant: TENANT,
        app: AppId(Uuid::from_u128(4)),
        creator: MEGAN,
        resource: format!("me/{}{query}", kind.collection()),
        target: Target::Items { mailbox: MEGAN, kind, folder: number.map(|number| folder(kind, number)) },
        change_types,
        change_type: "created".to_owned(),
        notification_url: "https://hook.example.net/n".to_owned(),
        lifecycle_url: None,
        client_state: None,
        tls_version: TlsVersion::V1_2,
        extras: None,
        immutable_ids,
        authorized: NOW,
        expires: NOW.plus_minutes(60),
        expires_tenths: 0,
        created: NOW,
    };
    let interest = Interest::of(&subscription).unwrap();
    Watching { subscription, interest, holds: asked.map(|(_, holds)| holds) }
}

/// What came, went and changed between two states of a set, as far as the subscription wants to hear of it.
fn difference(
    before: &BTreeMap<String, ChangeId>,
    after: &BTreeMap<String, ChangeId>,
    types: ChangeTypes,
) -> BTreeMap<String, ChangeType> {
    let mut found = BTreeMap::new();
    for (key, version) in after {
        match before.get(key) {
            None => drop(found.insert(key.clone(), ChangeType::Created)),
            Some(old) if old != version => drop(found.insert(key.clone(), ChangeType::Updated)),
            Some(_) => {}
        }
    }
    let gone = before.keys().filter(|key| !after.contains_key(*key));
    found.extend(gone.map(|key| (key.clone(), ChangeType::Deleted)));
    found.retain(|_, change| types.contains(*change));
    found
}

fn values() -> impl Strategy<Value = Values> {
    (0u8..16, 0u8..4, 0u8..4).prop_map(|(flags, word, number)| Values { flags, word, number })
}

fn act() -> impl Strategy<Value = Act> {
    let kind = || select(Kind::ALL.to_vec());
    prop_oneof![
        3 => (kind(), 0..FOLDERS, values()).prop_map(|(kind, to, values)| Act::Create(kind, to, values)),
        4 => (0u8..8, values()).prop_map(|(which, values)| Act::Update(which, values)),
        1 => (0u8..8).prop_map(Act::Touch),
        3 => (0u8..8, 0..FOLDERS, proptest::option::of(values())).prop_map(|(which, to, values)| Act::Move(which, to, values)),
        1 => (0u8..8).prop_map(Act::Delete),
        1 => (0u8..8).prop_map(Act::Bury),
        1 => (0u8..8, 0..FOLDERS).prop_map(|(which, to)| Act::Restore(which, to)),
    ]
}

fn plan() -> impl Strategy<Value = Plan> {
    let folder = proptest::option::of(0..FOLDERS);
    let filter = proptest::option::weighted(0.9, 0usize..64);
    (select(Kind::ALL.to_vec()), folder, filter, 1u8..8, proptest::bool::ANY)
}

proptest! {
    /// The set is the item states themselves; what is heard of it follows from two of them and nothing else.
    #[test]
    fn what_is_heard_is_the_difference_of_what_is_watched(
        acts in proptest::collection::vec(act(), 1..16),
        plans in proptest::collection::vec(plan(), 1..4),
    ) {
        let all: Vec<Watching> = plans.into_iter().map(watching).collect();
        let mut mailbox = Mailbox::default();
        for act in &acts {
            let before: Vec<_> = all.iter().map(|one| mailbox.watched(one)).collect();
            let changes = mailbox.act(act);
            for (watching, before) in all.iter().zip(before) {
                let Watching { subscription, interest, .. } = watching;
                let expected = difference(&before, &mailbox.watched(watching), subscription.change_types);
                let mut heard = BTreeMap::new();
                for change in &changes {
                    if let Some(seen) = interest.sees(change) {
                        let twice = heard.insert(subscription.item_key(change).to_string(), seen);
                        prop_assert_eq!(twice, None, "{:?} is told twice", act);
                    }
                }
                prop_assert_eq!(heard, expected, "{:?} to {:?}", act, subscription);
            }
        }
    }
}

/// The transitions of the published page, one by one.
#[test]
fn a_filtered_subscription_hears_what_comes_into_its_view_and_what_leaves_it() {
    let unread = watching((Kind::Message, Some(0), Some(0), 7, false));
    let mut mailbox = Mailbox::default();
    let (new, read) = (Values { flags: 0, word: 0, number: 0 }, Values { flags: 1, word: 0, number: 0 });
    let flagged = |values| Values { number: 1, ..values };
    let mut heard = |act: Act| {
        let changes = mailbox.act(&act);
        let seen = changes.iter().filter_map(|change| unread.interest.sees(change));
        seen.collect::<Vec<_>>()
    };
    use ChangeType::{Created, Deleted, Updated};
    assert_eq!(heard(Act::Create(Kind::Message, 0, new)), [Created], "it arrives unread");
    assert_eq!(heard(Act::Update(0, flagged(new))), [Updated], "another property changes");
    assert_eq!(heard(Act::Update(0, flagged(read))), [Deleted], "it is read");
    assert_eq!(heard(Act::Update(0, read)), [], "outside, it changes unheard");
    assert_eq!(heard(Act::Update(0, new)), [Created], "it is marked unread");
    assert_eq!(heard(Act::Move(0, 1, None)), [Deleted], "it is moved out");
    assert_eq!(heard(Act::Move(0, 0, Some(read))), [], "it comes back, read");
    assert_eq!(heard(Act::Update(0, new)), [Created]);
    assert_eq!(heard(Act::Delete(0)), [Deleted], "it is deleted");
    assert_eq!(heard(Act::Create(Kind::Message, 0, read)), [], "it arrives read");
    assert_eq!(heard(Act::Delete(0)), [], "what was outside is deleted unheard");
}

#[test]
fn only_the_transitions_that_were_asked_for_are_heard() {
    let leaves = watching((Kind::Message, None, Some(0), 4, false));
    let mut mailbox = Mailbox::default();
    let of = |flags| Values { flags, word: 0, number: 0 };
    let mut heard = |act: Act| {
        let changes = mailbox.act(&act);
        changes.iter().filter_map(|change| leaves.interest.sees(change)).collect::<Vec<_>>()
    };
    assert_eq!(heard(Act::Create(Kind::Message, 0, of(0))), []);
    assert_eq!(heard(Act::Update(0, of(2))), []);
    assert_eq!(heard(Act::Update(0, of(1))), [ChangeType::Deleted]);
}

/// Its item can be watched alone, by either kind of id.
#[test]
fn a_filter_names_an_item_by_the_id_that_the_subscription_is_told() {
    let mut mailbox = Mailbox::default();
    let values = Values { flags: 0, word: 0, number: 0 };
    mailbox.act(&Act::Create(Kind::Message, 0, values));
    let item = mailbox.items[0].clone();
    for immutable_ids in [false, true] {
        let id = if immutable_ids { item.immutable_id().to_string() } else { item.id.to_string() };
        let mut subscription = watching((Kind::Message, None, None, 7, immutable_ids)).subscription;
        subscription.resource = format!("me/messages?$filter=id eq '{id}'");
        let interest = Interest::of(&subscription).unwrap();
        let moved = Item { id: ItemId::new(Kind::Message, Uuid::from_u128(77)), ..item.clone() };
        let halves = Change::moved(TENANT, &item, &moved, ChangeId(Uuid::from_u128(78)), NOW);
        let seen: Vec<_> = halves.iter().filter_map(|change| interest.sees(change)).collect();
        let expected = if immutable_ids { ChangeType::Updated } else { ChangeType::Deleted };
        assert_eq!(seen, [expected]);
    }
}

/// What was accepted once and cannot be read any more says nothing rather than everything.
#[test]
fn an_unreadable_filter_lets_nothing_in() {
    let mut subscription = watching((Kind::Message, None, None, 7, false)).subscription;
    subscription.resource = "me/messages?$filter=colour eq 'red'".to_owned();
    let changes = Mailbox::default().act(&Act::Create(Kind::Message, 0, Values { flags: 0, word: 0, number: 0 }));
    assert_eq!(Interest::of(&subscription).unwrap().sees(&changes[0]), None);
}
