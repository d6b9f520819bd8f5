//! A day of fifty subscriptions, in a world in which nothing goes wrong: each lifecycle notification comes at its
//! documented time, and no other comes.

use std::sync::Arc;

use graph::{AppId, ChangeId, ChangeType, Kind, SubscriptionId, UserId};
use notify::log::{Cause, EndReason};
use notify::node::NodeConfig;
use notify::subscription::{Target, TlsVersion};
use notify::{AbandonReason, Record, StreamKind, Subscription};
use rand::SeedableRng;
use rand::rngs::StdRng;
use store::{Makers, SubscriptionLimits};
use uuid::Uuid;

use crate::plan::{Faults, Plan};
use crate::storage::{TENANT, date};
use crate::world::{Happening, World};

const MINUTE: u64 = 60_000_000;
const DAY_MINUTES: u64 = 24 * 60;
const MEGAN: UserId = UserId(Uuid::from_u128(0x2e6a));
/// From the log to the receiver, at the most.
const SLACK_MICROS: u64 = 1_000_000;

/// What an app or an administrator does, in minutes after the subscription was made.
#[derive(Clone, Copy)]
enum Act {
    /// A PATCH for so many minutes from then.
    Renew(u64, u64),
    Reauthorize(u64),
    LoseAccess(u64),
    /// The user is disabled.
    Disable(u64),
}

/// How a subscription lives: for how many minutes it is made, and what is done to it.
struct Life {
    minutes: u64,
    acts: &'static [Act],
}

const LIVES: [Life; 10] = [
    // Nobody answers: it is asked on the whole cadence, and expires.
    Life { minutes: 20 * 60, acts: &[] },
    Life { minutes: 45, acts: &[] },
    Life { minutes: 6 * 60, acts: &[] },
    // It is renewed in the middle of the cadence, for longer than the day or for less.
    Life { minutes: 14 * 60, acts: &[Act::Renew(5 * 60, 20 * 60)] },
    Life { minutes: 90, acts: &[Act::Renew(50, 90), Act::Renew(100, 240)] },
    // It is reauthorized and keeps its expiry.
    Life { minutes: 13 * 60, acts: &[Act::Reauthorize(4 * 60), Act::Reauthorize(12 * 60)] },
    // Access is lost and regained in time, or not in time, or never.
    Life { minutes: 20 * 60, acts: &[Act::LoseAccess(60), Act::Reauthorize(70)] },
    Life { minutes: 20 * 60, acts: &[Act::LoseAccess(60), Act::Reauthorize(3 * 60)] },
    Life { minutes: 20 * 60, acts: &[Act::LoseAccess(60), Act::Disable(15 * 60)] },
    Life { minutes: 23 * 60, acts: &[Act::Disable(13 * 60)] },
];

/// The published text in its own terms, and what we add to it: when is asked, in minutes, who was authorized at
/// `from` and has until `until`.
fn documented(from: f64, until: f64) -> Vec<f64> {
    let mut asked = Vec::new();
    let mut now = from;
    loop {
        let t = (until - now) / 4.0;
        now += match t {
            // "Otherwise stop": until t has come down to 180. Then is asked at once.
            t if t > 180.0 => 4.0 * (t - 180.0),
            // "60 < t <= 180: next after t/2". So is who has just been authorized.
            t if t >= 60.0 => t / 2.0,
            // "0 <= t < 60: every 15 minutes".
            _ => 15.0,
        };
        if now >= until {
            return asked;
        }
        asked.push(now);
    }
}

/// What the app of a life that began at `began` is told, in minutes of the day, in order.
fn expected(life: &Life, began: u64) -> Vec<(f64, &'static str)> {
    let mut told = Vec::new();
    let (mut from, mut until) = (began as f64, (began + life.minutes) as f64);
    let asked = |from: f64, until: f64, before: f64| {
        let times = documented(from, until).into_iter().filter(move |at| *at < before);
        times.map(|at| (at, "reauthorizationRequired")).collect::<Vec<_>>()
    };
    for act in life.acts {
        match *act {
            Act::Renew(at, minutes) => {
                told.extend(asked(from, until, (began + at) as f64));
                (from, until) = ((began + at) as f64, (began + at + minutes) as f64);
            }
            Act::Reauthorize(at) => {
                told.extend(asked(from, until, (began + at) as f64));
                from = (began + at) as f64;
            }
            Act::LoseAccess(at) => told.push(((began + at) as f64, "reauthorizationRequired")),
            Act::Disable(at) => {
                let end = (began + at) as f64;
                told.extend(asked(from, until, end));
                told.push((end, "subscriptionRemoved"));
                (from, until) = (end, end);
            }
        }
    }
    told.extend(asked(from, until, f64::INFINITY));
    told.sort_by(|one, other| one.0.total_cmp(&other.0));
    told.retain(|(at, _)| *at < DAY_MINUTES as f64);
    told
}

fn id(number: usize) -> SubscriptionId {
    SubscriptionId(Uuid::from_u128(0x5b5c_0000 + number as u128))
}

fn plan() -> Plan {
    let seconds = |seconds: u64| seconds * 1_000_000;
    let config = NodeConfig {
        lease_micros: seconds(600),
        renew_micros: seconds(120),
        acquire_micros: seconds(300),
        poll_micros: seconds(300),
        ..NodeConfig::default()
    };
    Plan {
        resources: false,
        contents: false,
        config,
        mailboxes: vec![MEGAN],
        kinds: vec![Kind::Message],
        urls: vec!["https://r0.test/hook".to_owned(), "https://r1.test/life".to_owned()],
        topic: None,
        subscriptions: 0,
        actions: 0,
        quiet_micros: DAY_MINUTES * MINUTE,
        faults: Faults::default(),
    }
}

impl World {
    fn make(&mut self, number: usize, life: &Life) {
        let subscription = Subscription {
            id: id(number),
            tenant: TENANT,
            app: AppId(Uuid::from_u128(0xa99)),
            creator: MEGAN,
            resource: "me/messages".to_owned(),
            target: Target::Items { mailbox: MEGAN, kind: Kind::Message, folder: None },
            change_types: [ChangeType::Created].into_iter().collect(),
            change_type: "created".to_owned(),
            notification_url: self.plan.urls[0].clone(),
            // The last ones do without.
            lifecycle_url: (number < 40).then(|| self.plan.urls[1].clone()),
            client_state: None,
            tls_version: TlsVersion::V1_2,
            extras: None,
            immutable_ids: false,
            authorized: date(self.at),
            expires: date(self.at + life.minutes * MINUTE),
            expires_tenths: 0,
            created: date(self.at),
        };
        let limits = SubscriptionLimits { per_scope: 100, refuse_duplicates: false, makers: Makers::default() };
        self.storage.model.begin_subscription(Arc::new(subscription), limits).unwrap();
        self.appended();
    }

    fn do_to(&mut self, number: usize, act: Act) {
        let now = date(self.at);
        let before = self.storage.model.subscription(id(number)).unwrap().expect("it lives");
        let answered = Subscription { authorized: now, ..Subscription::clone(&before) };
        let model = &mut self.storage.model;
        match act {
            Act::Renew(_, minutes) => {
                let expires = date(self.at + minutes * MINUTE);
                model.patch_subscription(before, Arc::new(Subscription { expires, ..answered })).unwrap();
            }
            Act::Reauthorize(_) => drop(model.patch_subscription(before, Arc::new(answered)).unwrap()),
            Act::LoseAccess(_) => {
                let (record, cause) = (ChangeId(Uuid::from_u128(0xacce_0000 + number as u128)), now);
                model.require_reauthorization(before, record, Cause::AccessLost { at: cause }).unwrap();
            }
            Act::Disable(_) => drop(model.end_subscription(id(number), EndReason::UserDisabled, None).unwrap()),
        }
        self.appended();
    }

    /// What was sent of a subscription's life, in microseconds of the day, in order.
    fn told(&self, number: usize) -> Vec<(u64, &'static str)> {
        let span = self.watch.truth.span(id(number)).unwrap();
        let lifecycle = span.matches.iter().filter(|(_, told)| told.kind == StreamKind::Lifecycle);
        let told = lifecycle.filter_map(|(_, told)| {
            assert!(told.acknowledged, "each is acknowledged");
            let what = if told.last_word { "subscriptionRemoved" } else { "reauthorizationRequired" };
            Some((told.sent?.1, what))
        });
        told.filter(|(at, _)| *at < DAY_MINUTES * MINUTE).collect()
    }
}

/// What is done in a minute of the day.
type Deed = (u64, Box<dyn Fn(&mut World)>);

/// Everything that is done in the day.
fn script() -> Vec<Deed> {
    let mut script: Vec<Deed> = Vec::new();
    for number in 0..50 {
        let (life, began) = (&LIVES[number % LIVES.len()], 1 + number as u64);
        script.push((began, Box::new(move |world| world.make(number, life))));
        for act in life.acts {
            let (Act::Renew(at, _) | Act::Reauthorize(at) | Act::LoseAccess(at) | Act::Disable(at)) = *act;
            script.push((began + at, Box::new(move |world| world.do_to(number, *act))));
        }
    }
    for minute in (60..DAY_MINUTES).step_by(20) {
        script.push((minute, Box::new(World::create)));
    }
    script.sort_by_key(|(minute, _)| *minute);
    script
}

fn lived() -> World {
    let mut world = World::of(plan(), StdRng::seed_from_u64(7), None, false);
    let mut script = script().into_iter().peekable();
    // Something happens at each minute, so that what is done then is done then.
    for minute in 1..DAY_MINUTES {
        let idle = Happening::Wake(world.processes[0].life, u64::MAX);
        world.agenda.add(minute * MINUTE, idle);
    }
    while let Some((at, what)) = world.agenda.next() {
        while let Some((minute, act)) = script.next_if(|(minute, _)| minute * MINUTE <= at) {
            world.at = minute * MINUTE;
            act(&mut world);
        }
        world.at = at;
        if world.happen(what).expect("promises are kept") {
            break;
        }
    }
    world
}

#[test]
fn a_days_lives_are_told_of_at_their_documented_times() {
    let world = lived();
    let mut removed = 0;
    for number in 0..50 {
        let life = &LIVES[number % LIVES.len()];
        let expected = if number < 40 { expected(life, 1 + number as u64) } else { Vec::new() };
        let told = world.told(number);
        assert_eq!(told.len(), expected.len(), "subscription {number} is told {told:?}, not {expected:?}");
        for ((at, what), (due, expected)) in told.iter().zip(&expected) {
            assert_eq!(what, expected, "subscription {number}");
            let due = (due * MINUTE as f64) as u64;
            assert!((due..due + SLACK_MICROS).contains(at), "subscription {number}: {what} at {at}, due {due}");
        }
        removed += told.iter().filter(|(_, what)| *what == "subscriptionRemoved").count();
    }
    assert_eq!(removed, 8);
}

#[test]
fn a_days_lives_end_pause_and_go_on_as_they_were_led() {
    let world = lived();
    let log = world.storage.model.read_log(graph::Partition::of(MEGAN), notify::Position(0), 10_000).unwrap();
    let ends = |reason: EndReason| {
        let is_end = |record: &Record| {
            let Record::Subscription { event, .. } = record else { return false };
            *event == notify::SubscriptionEvent::Ended(reason)
        };
        log.iter().filter(|(_, record)| is_end(record)).count()
    };
    // Of each ten lives two are ended by the user's, and one outlives the day.
    assert_eq!((ends(EndReason::UserDisabled), ends(EndReason::Expired)), (10, 35));
    for number in 0..50 {
        let ledger = world.storage.ledger(id(number));
        let paused = ledger.abandoned.get(&AbandonReason::Paused).copied().unwrap_or_default();
        // A message comes every 20 minutes; a pause begins 15 minutes after access was lost.
        let expected = match number % 10 {
            7 => 5..=6,
            8 => 41..=42,
            _ => 0..=0,
        };
        assert!(expected.contains(&paused), "subscription {number}: {paused} fell into a pause");
    }
}
