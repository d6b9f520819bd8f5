//! The `missed` that an app is owed for what it was not told of.

use tidings_notify::Incident;

use super::*;

/// The incidents that the node tells of, in order.
fn told(world: &mut World) -> Vec<Incident> {
    let steps = std::mem::take(&mut world.others).into_iter();
    let told = steps.filter_map(|command| match command {
        Command::Step { step: Step::Missed { incident }, .. } => Some(incident),
        _ => None,
    });
    told.collect()
}

/// What the store says to a node that tells of an incident.
fn say(world: &mut World, incident: Incident, done: bool) {
    let (partition, subscription, step) = (Partition::of(MEGAN), subscription().id, Step::Missed { incident });
    world.handle(Event::Stepped { partition, subscription, step, done });
}

/// A world in which one delivery was abandoned at the horizon, and that is recorded.
fn with_one_given_up() -> World {
    let mut world = World::new(subscription());
    world.messages(1);
    while world.micros < 4 * HOUR + 15 * 60 * SECOND {
        for attempt in world.attempts() {
            world.answer(&attempt, Outcome::Unreachable);
        }
        world.pass(20 * SECOND);
        world.recorded();
    }
    world
}

#[test]
fn what_was_given_up_is_told_by_one_missed_once_the_endpoint_answers_again() {
    let mut world = with_one_given_up();
    assert_eq!(told(&mut world), [], "nothing has answered");
    world.messages(1);
    let next = world.attempt();
    world.answer(&next, Outcome::refused(503));
    world.pass(10 * SECOND);
    assert_eq!(told(&mut world), [], "no 2xx");
    let next = world.attempt();
    world.answer(&next, Outcome::Acknowledged);
    let incidents = told(&mut world);
    assert_eq!(incidents.len(), 1);
    say(&mut world, incidents[0], true);
    world.messages(1);
    let next = world.attempt();
    world.answer(&next, Outcome::Acknowledged);
    settle(&mut world);
    world.pass(5 * HOUR);
    assert_eq!(told(&mut world), [], "once");
}

#[test]
fn an_endpoint_that_stays_silent_is_told_at_the_horizon_after_the_incident_opened() {
    let mut world = with_one_given_up();
    world.pass(4 * HOUR - 20 * 60 * SECOND);
    assert_eq!(told(&mut world), []);
    world.pass(21 * 60 * SECOND);
    assert_eq!(told(&mut world).len(), 1);
}

#[test]
fn what_was_too_large_is_told_as_soon_as_that_is_recorded() {
    let mut world = World::new(subscription());
    world.messages(1);
    let first = world.attempt();
    world.answer_lacking(&first, Outcome::Acknowledged, &[(0, Lack::TooLarge)]);
    assert_eq!(told(&mut world), [], "no checkpoint has recorded it");
    settle(&mut world);
    assert_eq!(told(&mut world).len(), 1);
}

#[test]
fn what_could_not_be_sealed_is_told_with_the_next_answer() {
    let mut world = World::new(subscription());
    world.messages(1);
    let first = world.attempt();
    world.answer_lacking(&first, Outcome::NotSent, &[(0, Lack::CertificateUnusable)]);
    settle(&mut world);
    assert_eq!(told(&mut world), [], "nothing was sent");
    world.messages(1);
    let next = world.attempt();
    world.answer(&next, Outcome::Acknowledged);
    assert_eq!(told(&mut world).len(), 1);
}

#[test]
fn what_is_given_up_before_the_app_has_heard_joins_and_what_is_later_opens_another_incident() {
    let mut world = World::new(subscription());
    let too_large = |world: &mut World| {
        world.messages(1);
        let attempt = world.attempt();
        world.answer_lacking(&attempt, Outcome::Acknowledged, &[(0, Lack::TooLarge)]);
        settle(world);
        told(world)
    };
    let first = too_large(&mut world);
    assert_eq!(too_large(&mut world), [], "one is told at a time");
    say(&mut world, first[0], true);
    let second = told(&mut world);
    assert_eq!(second.len(), 1, "the store knows whether it joined");
    assert!(second[0].opened > first[0].opened);
    say(&mut world, second[0], true);
    assert_eq!(too_large(&mut world).len(), 1);
}

#[test]
fn a_missed_whose_fate_is_not_known_is_told_again() {
    let mut world = with_one_given_up();
    world.messages(1);
    let next = world.attempt();
    world.answer(&next, Outcome::Acknowledged);
    let first = told(&mut world);
    say(&mut world, first[0], false);
    assert_eq!(told(&mut world), []);
    world.pass(2 * SECOND);
    assert_eq!(told(&mut world), first, "the same incident");
}

#[test]
fn who_takes_over_tells_of_what_was_open() {
    let incident = Incident { opened: NOW.plus_minutes(-10) };
    let open = SubscriptionSpan { incident: Some(incident), ..span(subscription(), Standing::default()) };
    let (cursor, head) = (Position(1), Position(1));
    let state = PartitionState { cursor, head, wall: NOW, subscriptions: vec![open], ..<_>::default() };
    let mut world = World::from(state.clone());
    world.messages(1);
    let next = world.attempt();
    world.answer(&next, Outcome::Acknowledged);
    assert_eq!(told(&mut world), [incident]);
    let mut world = World::from(state);
    world.pass(4 * HOUR - 11 * 60 * SECOND);
    assert_eq!(told(&mut world), []);
    world.pass(2 * 60 * SECOND);
    assert_eq!(told(&mut world), [incident], "its horizon counts from its opening");
}

#[test]
fn what_was_not_told_of_a_subscriptions_life_owes_nothing() {
    let mut world = World::new(subscription());
    world.append([loses_access()]);
    let mut incidents = 0;
    while world.micros < 5 * HOUR {
        for attempt in world.attempts() {
            world.answer(&attempt, Outcome::Unreachable);
        }
        world.pass(20 * SECOND);
        let is_open = |command: &Command| matches!(command, Command::Checkpoint(one) if !one.incidents.is_empty());
        incidents += world.others.iter().filter(|command| is_open(command)).count();
        world.recorded();
    }
    assert_eq!((incidents, told(&mut world)), (0, Vec::new()));
}

#[test]
fn the_end_of_a_subscription_drops_its_incident() {
    let mut world = with_one_given_up();
    let id = subscription().id;
    world.append([Record::Subscription { id, event: SubscriptionEvent::Ended(EndReason::Deleted) }]);
    world.pass(5 * HOUR);
    assert_eq!(told(&mut world), []);
}
