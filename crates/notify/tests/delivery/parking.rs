//! What of many or long streams lies in memory, and what becomes of it when endpoints are back.

use super::*;

/// What the store holds of parked deliveries, and how often that was read.
#[derive(Default)]
pub(super) struct Shelf(pub(super) BTreeMap<(Stream, Position), Parked>, pub(super) usize);

impl Shelf {
    fn read(&self, stream: Stream, after: Position, deliveries: usize) -> Vec<LoadedParked> {
        let mut before = 0;
        let rows = self.0.range((stream, after.next())..).take_while(|((of, _), _)| *of == stream);
        let rows = rows.map(|(_, row)| row).take_while(|row| {
            let wanted = before < deliveries;
            before += row.refs.len();
            wanted
        });
        let inbox = WellKnown::Inbox.id_in(MEGAN);
        let record = |one: &ParkedRef| match one.change {
            Some(_) => Arc::new(Record::Change(created(one.position.0 - 1, inbox))),
            None => Arc::new(pushing::event(one.position.0, "Users/1", NOW)),
        };
        rows.map(|row| LoadedParked { row: row.clone(), records: row.refs.iter().map(record).collect() }).collect()
    }

    fn record(&mut self, world: &mut World, checkpoint: tidings_notify::Checkpoint) {
        for key in &checkpoint.unpark {
            self.0.remove(key);
        }
        self.0.extend(checkpoint.park.into_iter().map(|row| ((row.stream, row.first()), row)));
        let (partition, epoch, number) = (checkpoint.partition, checkpoint.epoch, checkpoint.number);
        world.handle(Event::Checkpointed { partition, epoch, number, answer: CheckpointAnswer::Recorded });
    }

    /// Answers whatever the node asks for, at one time.
    fn serve(&mut self, world: &mut World, answer: &mut dyn FnMut(&Attempt) -> Outcome) {
        while !world.attempts.is_empty() || !world.others.is_empty() {
            for attempt in world.attempts() {
                let outcome = answer(&attempt);
                world.answer(&attempt, outcome);
            }
            for command in std::mem::take(&mut world.others) {
                match command {
                    Command::Checkpoint(checkpoint) => self.record(world, checkpoint),
                    Command::ReadParked { partition, epoch, stream, after, deliveries } => {
                        let rows = Some(self.read(stream, after, deliveries));
                        self.1 += 1;
                        world.handle(Event::Parked { partition, epoch, stream, rows });
                    }
                    Command::ReadLog { partition, epoch, .. } => {
                        world.handle(Event::Log { partition, epoch, records: Some(Vec::new()) });
                    }
                    _ => {}
                }
            }
        }
    }

    /// Lets time pass in steps of `step` microseconds.
    pub(super) fn pass(
        &mut self,
        world: &mut World,
        (step, micros): (u64, u64),
        answer: &mut dyn FnMut(&Attempt) -> Outcome,
    ) {
        let end = world.micros + micros;
        while world.micros < end {
            self.serve(world, answer);
            world.pass(step);
        }
        self.serve(world, answer);
    }
}

pub(super) const REFUSED: Outcome = Outcome::refused(503);
/// So often a world with many streams is looked at.
pub(super) const STEP: u64 = SECOND / 10;

/// Megan's mailbox is watched by so many subscriptions, each at the URL that is named for it.
pub(super) fn watched_by(count: u128, config: NodeConfig, url: impl Fn(u128) -> String) -> World {
    watched_with(count, config, url, BTreeMap::new())
}

/// The same, where so much is stored of endpoints.
fn watched_with(
    count: u128,
    config: NodeConfig,
    url: impl Fn(u128) -> String,
    health: BTreeMap<EndpointId, StoredHealth>,
) -> World {
    let of = |number| Subscription {
        id: SubscriptionId(Uuid::from_u128(number)),
        notification_url: url(number),
        ..subscription()
    };
    let subscriptions = (1..=count).map(|number| span(of(number), Standing::default())).collect();
    let (cursor, head) = (Position(1), Position(1));
    World::of(config, PartitionState { cursor, head, wall: NOW, subscriptions, health, ..<_>::default() })
}

/// Which messages each subscription was told of, in order.
#[derive(Default)]
struct Told(BTreeMap<u128, Vec<u128>>);

impl Told {
    fn of(&self, number: u128) -> usize {
        self.0.get(&number).map_or(0, Vec::len)
    }

    fn note(&mut self, attempt: &Attempt) {
        for one in &attempt.notifications {
            if let Record::Change(change) = &*one.record {
                self.0.entry(one.subscription.id.0.as_u128()).or_default().push(change.id.0.as_u128());
            }
        }
    }
}

#[test]
fn sick_endpoints_do_not_take_the_memory_that_healthy_ones_need() {
    const SICK: u128 = 60;
    const HEALTHY: u128 = SICK + 1;
    let config = NodeConfig { deliveries_max: 48, ..NodeConfig::default() };
    let mut world = watched_by(HEALTHY, config, |number| format!("https://hook{number}.example.net/n"));
    let (mut shelf, mut told) = (Shelf::default(), Told::default());
    for count in 1..=20 {
        world.messages(1);
        shelf.pass(&mut world, (STEP, 3 * SECOND), &mut |attempt| {
            if !attempt.url.contains(&format!("hook{HEALTHY}.")) {
                return REFUSED;
            }
            told.note(attempt);
            Outcome::Acknowledged
        });
        assert_eq!(told.of(HEALTHY), count, "although {SICK} endpoints refuse");
        let held = world.node.stats().deliveries_in_memory;
        assert!(held <= 48, "{held} deliveries in memory, {count} messages");
    }
    assert_eq!(world.node.stats().streams_spilled, SICK as usize);
    shelf.pass(&mut world, (STEP, 120 * SECOND), &mut |attempt| {
        told.note(attempt);
        Outcome::Acknowledged
    });
    let messages = &told.0[&HEALTHY];
    assert!(
        (1..=HEALTHY).all(|number| told.0.get(&number) == Some(messages)),
        "each is told of all, in order: {:?}",
        told.0
    );
    assert_eq!((shelf.0.len(), world.node.stats().streams_spilled), (0, 0));
}

#[test]
fn ten_thousand_parked_notifications_go_within_seconds_once_their_endpoint_is_back() {
    const SUBSCRIPTIONS: u128 = 10;
    let mut world = watched_by(SUBSCRIPTIONS, NodeConfig::default(), |_| "https://hook.example.net/n".to_owned());
    let (mut shelf, mut told) = (Shelf::default(), Told::default());
    for _ in 0..100 {
        world.messages(10);
        shelf.pass(&mut world, (STEP, SECOND), &mut |_| REFUSED);
    }
    let parked: usize = shelf.0.values().map(|row| row.refs.len()).sum();
    assert_eq!(parked, 10_000);
    shelf.pass(&mut world, (5 * SECOND, HOUR), &mut |_| REFUSED);
    let (mut posts, mut first, mut last) = (0, None, 0);
    let mut clock = world.micros;
    while clock < 2 * HOUR {
        shelf.pass(&mut world, (STEP, SECOND), &mut |attempt| {
            told.note(attempt);
            posts += 1;
            first.get_or_insert(clock);
            last = clock;
            Outcome::Acknowledged
        });
        clock = world.micros;
        if shelf.0.is_empty() {
            break;
        }
    }
    assert!((1..=SUBSCRIPTIONS).all(|number| told.of(number) == 1_000));
    let seconds = (last - first.unwrap()) / SECOND;
    assert!(seconds <= 10, "{seconds} s from the first acknowledgement to the last");
    assert!(posts <= 500, "{posts} requests");
}

#[test]
fn what_is_refused_by_an_endpoint_that_takes_the_rest_keeps_its_back_off() {
    let mut world = watched_by(2, NodeConfig::default(), |_| "https://hook.example.net/n".to_owned());
    let (mut shelf, mut refused) = (Shelf::default(), 0);
    for _ in 0..360 {
        world.messages(1);
        shelf.pass(&mut world, (SECOND, 10 * SECOND), &mut |attempt| {
            let is_refused = attempt.notifications.iter().any(|one| one.subscription.id.0.as_u128() == 1);
            refused += usize::from(is_refused);
            if is_refused { REFUSED } else { Outcome::Acknowledged }
        });
    }
    assert!((8..=24).contains(&refused), "{refused} attempts in an hour");
}

#[test]
fn what_was_let_go_is_given_up_with_its_subscription() {
    let config = NodeConfig { deliveries_max: 8, ..NodeConfig::default() };
    let mut world = watched_by(8, config, |number| format!("https://hook{number}.example.net/n"));
    let mut shelf = Shelf::default();
    world.messages(1);
    shelf.pass(&mut world, (STEP, 3 * SECOND), &mut |_| REFUSED);
    assert!(world.node.stats().streams_spilled > 0, "memory is short");
    let ends = (1..=8).map(|number| Record::Subscription {
        id: SubscriptionId(Uuid::from_u128(number)),
        event: SubscriptionEvent::Ended(EndReason::Deleted),
    });
    world.append(ends);
    shelf.pass(&mut world, (STEP, 3 * SECOND), &mut |_| REFUSED);
    assert_eq!((shelf.0.len(), world.node.stats().streams_spilled), (0, 0));
}

/// What is held for a slow endpoint would fill the memory; what another one refused goes when it is due all the same.
#[test]
fn what_is_held_for_a_slow_endpoint_leaves_room_for_what_is_due_elsewhere() {
    const SLOW: u128 = 30;
    const REFUSING: u128 = SLOW + 1;
    let config = NodeConfig { deliveries_max: 48, batch_max: 1, ..NodeConfig::default() };
    let url = |host| format!("https://{host}.example.net/n");
    let slow = StoredHealth { health: Health::Slow, is_closed: false, ends: NOW.plus_minutes(10) };
    let health = BTreeMap::from([(EndpointId::of(subscription().app, &url("slow")), slow)]);
    let of = |number| url(if number == REFUSING { "refuses" } else { "slow" });
    let mut world = watched_with(REFUSING, config, of, health);
    let (mut shelf, mut tried) = (Shelf::default(), Vec::new());
    for _ in 0..110 {
        world.messages(1);
        for _ in 0..50 {
            let now = world.micros;
            shelf.pass(&mut world, (STEP, STEP), &mut |attempt| {
                let refuses = attempt.url.contains("refuses");
                tried.extend(refuses.then_some(now));
                if refuses { REFUSED } else { Outcome::Acknowledged }
            });
        }
        assert!(world.node.stats().deliveries_in_memory <= 48);
    }
    assert_eq!((world.node.stats().endpoints_slow, world.node.stats().streams_spilled), (1, REFUSING as usize));
    assert!(tried.len() >= 7, "{tried:?}");
    for (failed, pair) in tried.windows(2).enumerate() {
        let least = (5 << failed) * SECOND;
        let waited = pair[1] - pair[0];
        assert!((least..=least + least / 4 + 2 * SECOND).contains(&waited), "after {failed} more failures: {tried:?}");
    }
}
