//! The steps that time brings to a subscription: its expiry, the questions to its app, pauses, and its last word.

use super::*;

#[test]
fn a_subscription_that_expires_ends_in_silence() {
    let mut world = World::new(Subscription { expires: NOW.plus_minutes(45), ..subscription() });
    let ends = |world: &World| {
        world.others.iter().filter(|command| matches!(command, Command::Step { step: Step::End, .. })).count()
    };
    for minutes in [15, 30] {
        world.pass(15 * 60 * SECOND);
        world.append([asks(minutes)]);
        let attempt = world.attempt();
        world.answer(&attempt, Outcome::Acknowledged);
    }
    world.pass(15 * 60 * SECOND - 1);
    assert_eq!(ends(&world), 0);
    world.pass(1);
    assert_eq!(ends(&world), 1);
    let id = subscription().id;
    world.append([Record::Subscription { id, event: SubscriptionEvent::Ended(EndReason::Expired) }]);
    world.messages(1);
    world.pass(60 * SECOND);
    assert!(world.attempts().is_empty(), "neither a change nor a lifecycle notification is sent");
}

fn asks(due_minutes: i64) -> Record {
    let (subscription, due) = (subscription().id, NOW.plus_minutes(due_minutes));
    let (id, event) = (reauthorization::question_id(subscription, due), LifecycleEvent::ReauthorizationRequired);
    Record::Lifecycle { id, subscription, event, cause: Some(Cause::RunsOut { due }) }
}

#[test]
fn an_app_is_asked_to_reauthorize_before_its_subscription_runs_out() {
    let mut world = World::new(Subscription { expires: NOW.plus_minutes(45), ..subscription() });
    world.pass(15 * 60 * SECOND - 1);
    assert_eq!(asked(&world), [] as [i64; 0]);
    world.pass(1);
    assert_eq!(asked(&world), [15 * 60]);
    world.append([asks(15)]);
    let attempt = world.attempt();
    assert_eq!(&*attempt.url, "https://hook.example.net/l");
    assert!(body(&attempt).contains("reauthorizationRequired"));
    world.answer(&attempt, Outcome::Acknowledged);
    world.pass(15 * 60 * SECOND);
    assert_eq!(asked(&world), [15 * 60, 30 * 60]);
}

#[test]
fn who_has_no_lifecycle_url_is_not_asked() {
    let expires = NOW.plus_minutes(45);
    let mut world = World::new(Subscription { expires, lifecycle_url: None, ..subscription() });
    world.pass(44 * 60 * SECOND);
    assert_eq!(asked(&world), [] as [i64; 0]);
}

#[test]
fn a_renewal_puts_the_next_question_off() {
    let first = Subscription { expires: NOW.plus_minutes(45), ..subscription() };
    let mut world = World::new(first.clone());
    world.pass(10 * 60 * SECOND);
    let renewed = Subscription { authorized: NOW.plus_minutes(10), expires: NOW.plus_minutes(55), ..first };
    let event = SubscriptionEvent::Patched(Box::new(renewed));
    world.append([Record::Subscription { id: subscription().id, event }]);
    world.pass(14 * 60 * SECOND);
    assert_eq!(asked(&world), [] as [i64; 0]);
    world.pass(60 * SECOND);
    assert_eq!(asked(&world), [25 * 60]);
}

#[test]
fn what_could_not_be_asked_is_asked_again_for_the_same_time() {
    let mut world = World::new(Subscription { expires: NOW.plus_minutes(45), ..subscription() });
    world.pass(15 * 60 * SECOND);
    let (partition, subscription) = (Partition::of(MEGAN), subscription().id);
    world.handle(Event::Stepped { partition, subscription, step: Step::Pause, done: false });
    world.pass(2 * SECOND);
    assert_eq!(asked(&world), [15 * 60, 15 * 60]);
}

/// How often the node pauses.
fn pauses(world: &World) -> usize {
    let is_pause = |command: &&Command| matches!(command, Command::Step { step: Step::Pause, .. });
    world.others.iter().filter(is_pause).count()
}

#[test]
fn lost_access_that_is_not_regained_pauses_after_a_quarter_of_an_hour() {
    let mut world = World::new(subscription());
    world.append([loses_access()]);
    world.pass(15 * 60 * SECOND - 1);
    assert_eq!(pauses(&world), 0);
    world.pass(1);
    assert_eq!(pauses(&world), 1);
    let mut world = World::new(subscription());
    world.append([loses_access()]);
    let again = Subscription { authorized: NOW.plus_minutes(1), ..subscription() };
    let event = SubscriptionEvent::Patched(Box::new(again));
    world.append([Record::Subscription { id: subscription().id, event }]);
    world.pass(HOUR);
    assert_eq!(pauses(&world), 0, "the app has shown that it may be told");
}

#[test]
fn where_the_end_of_a_token_counts_its_app_is_asked_before_and_paused_then() {
    let quarter = 15 * 60 * SECOND;
    let mut world = World::new(subscription().authorized_at(NOW, Some(NOW.plus_minutes(45))));
    for due in [15, 30] {
        world.pass(quarter);
        world.append([asks(due)]);
    }
    world.pass(quarter - 1);
    assert_eq!((asked(&world).as_slice(), pauses(&world)), (&[15 * 60, 30 * 60][..], 0));
    world.pass(1);
    assert_eq!(pauses(&world), 1);
}

#[test]
fn a_fresh_token_puts_the_pause_off() {
    let untold = Subscription { lifecycle_url: None, ..subscription() };
    let of_token = |minutes| untold.clone().authorized_at(NOW, Some(NOW.plus_minutes(minutes)));
    let mut world = World::new(of_token(45));
    world.pass(10 * 60 * SECOND);
    let event = SubscriptionEvent::Patched(Box::new(of_token(120)));
    world.append([Record::Subscription { id: subscription().id, event }]);
    world.pass(2 * HOUR - 10 * 60 * SECOND - 1);
    assert_eq!(pauses(&world), 0);
    world.pass(1);
    assert_eq!(pauses(&world), 1);
}

#[test]
fn what_falls_into_a_pause_is_not_told_but_what_came_before_is() {
    let mut world = World::new(subscription());
    let id = subscription().id;
    world.messages(1);
    let first = world.attempt();
    world.answer(&first, Outcome::TimedOut);
    world.append([Record::Subscription { id, event: SubscriptionEvent::Paused }]);
    world.messages(3);
    world.pass(60 * SECOND);
    let again = world.attempt();
    assert_eq!(again.notifications.len(), 1, "what came before the pause");
    world.answer(&again, Outcome::Acknowledged);
    let resumed = Subscription { authorized: NOW.plus_minutes(1), ..subscription() };
    let patched = SubscriptionEvent::Patched(Box::new(resumed));
    let events = [patched, SubscriptionEvent::Resumed].map(|event| Record::Subscription { id, event });
    world.append(events);
    world.messages(1);
    assert_eq!(world.attempt().notifications.len(), 1, "what came after the pause");
    let mut paused = 0;
    for _ in 0..4 {
        world.pass(SECOND);
        let deltas = world.recorded();
        paused += deltas.iter().filter_map(|delta| delta.abandoned.get(&AbandonReason::Paused)).sum::<u64>();
    }
    assert_eq!(paused, 3);
}

#[test]
fn an_end_that_the_app_did_not_bring_about_is_told_until_it_is_heard() {
    let mut world = World::new(subscription());
    let id = subscription().id;
    world.messages(1);
    let change = world.attempt();
    world.append([Record::Subscription { id, event: SubscriptionEvent::Ended(EndReason::SessionsEnded) }]);
    let told = world.attempt();
    assert_eq!(&*told.url, "https://hook.example.net/l");
    assert!(body(&told).contains("subscriptionRemoved"));
    world.answer(&change, Outcome::TimedOut);
    world.answer(&told, Outcome::TimedOut);
    world.messages(1);
    world.pass(60 * SECOND);
    let again = world.attempt();
    assert_eq!((again.url, again.notifications[0].id), (told.url, told.notifications[0].id));
}

#[test]
fn a_node_is_at_rest_until_time_brings_something() {
    let mut world = World::new(Subscription { lifecycle_url: None, ..subscription() });
    assert!(world.node.is_at_rest());
    assert_eq!(world.node.due_at(), Some(Monotonic(24 * HOUR)), "leases and polls do not count");
    world.messages(1);
    assert!(!world.node.is_at_rest(), "an attempt is under way");
    let attempt = world.attempt();
    world.answer(&attempt, Outcome::TimedOut);
    assert!(!world.node.is_at_rest(), "what came of it is not recorded");
    world.pass(SECOND);
    assert!(!world.node.is_at_rest(), "a checkpoint is under way");
    world.recorded();
    assert!(world.node.is_at_rest());
    let due = world.node.due_at().unwrap().0;
    assert!((5 * SECOND..=7 * SECOND).contains(&due), "it is tried again: {due}");
    world.pass(7 * SECOND);
    let again = world.attempt();
    world.answer(&again, Outcome::Acknowledged);
    world.pass(SECOND);
    world.recorded();
    assert!(world.node.is_at_rest());
    world.pass(24 * HOUR);
    assert!(!world.node.is_at_rest(), "its end is on its way into the log");
}

#[test]
fn in_an_idle_hour_a_node_records_nothing_and_asks_for_little() {
    let mut world = World::of(
        NodeConfig::default().alone(),
        PartitionState { cursor: Position(1), head: Position(1), wall: NOW, ..<_>::default() },
    );
    let (mut renewals, mut reads) = (0, 0);
    world.others.clear();
    while world.micros < HOUR {
        world.pass(SECOND);
        for command in std::mem::take(&mut world.others) {
            match command {
                Command::Renew { .. } => renewals += 1,
                Command::ReadLog { partition, epoch, .. } => {
                    reads += 1;
                    world.handle(Event::Log { partition, epoch, records: Some(Vec::new()) });
                }
                // Of all partitions it has one here, and asks for the others.
                Command::Acquire { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!((renewals, reads), (360, 60));
}
