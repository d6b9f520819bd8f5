//! What subscriptions are told that asked for content: in which requests, sealed for what, and what of it is withheld.

use super::*;

/// Messages with so long a subject, to a subscription that asked for content.
fn with_content(chars: usize, count: u64) -> World {
    let mut world = World::new(rich());
    let after = Properties::from_iter([("subject".to_owned(), "x".repeat(chars).into())]);
    let after = graph::Carried::from(after);
    let change = |number| Change { after: after.clone(), ..created(number, WellKnown::Inbox.id_in(MEGAN)) };
    world.append((0..count).map(|number| Record::Change(change(number))));
    world
}

#[test]
fn requests_with_content_are_bounded_by_their_bytes() {
    let sizes = |world: &mut World| -> Vec<usize> {
        world.attempts().iter().map(|attempt| attempt.notifications.len()).collect()
    };
    let mut world = with_content(50_000, 40);
    assert_eq!(sizes(&mut world), [6, 6, 6, 6, 6, 6, 4], "6 of 150 kB each, as estimated, are about a mebibyte");
    assert_eq!(sizes(&mut with_content(2_000_000, 3)), [1, 1, 1], "what exceeds the limit by itself goes alone");
    let mut world = with_content(50_000, 40);
    for attempt in world.attempts() {
        world.answer(&attempt, Outcome::Unreachable);
    }
    world.micros += 10 * SECOND;
    world.renew();
    assert_eq!(sizes(&mut world), [6, 6, 6, 6, 6, 6, 4], "so are those that are tried again, which are all due by now");
}

#[test]
fn a_request_with_content_is_for_who_knows_the_server_by_one_name() {
    let known_as = |number, origin: Option<&str>| {
        let extras =
            Extras { include_resource_data: origin.is_some(), origin: origin.map(str::to_owned), ..Extras::default() };
        Subscription { id: SubscriptionId(Uuid::from_u128(number)), extras: extras.boxed(), ..subscription() }
    };
    let (one, other) = (Some("https://one.test"), Some("https://other.test"));
    let subscriptions = [known_as(1, None), known_as(2, one), known_as(3, other), known_as(4, one)];
    let mut world = World::with(subscriptions);
    world.messages(1);
    let mut all = Vec::new();
    for attempt in world.attempts() {
        let origins: BTreeSet<_> = attempt.notifications.iter().filter_map(|told| told.subscription.origin()).collect();
        assert_eq!(origins.len(), 1, "their tokens have one issuer for each app");
        all.push(attempt.notifications.len());
    }
    all.sort_unstable();
    assert_eq!(all, [1, 3], "who is told of no content goes with either");
}

#[test]
fn what_is_tried_again_is_sealed_for_the_certificate_that_counts_by_then() {
    let certified = |certificate: &str| {
        let extras = Extras {
            include_resource_data: true,
            encryption_certificate: Some(certificate.to_owned()),
            ..Extras::default()
        };
        Subscription { extras: extras.boxed(), ..subscription() }
    };
    let certificate = |attempt: &Attempt| {
        let extras = attempt.notifications[0].subscription.extras.clone();
        extras.and_then(|extras| extras.encryption_certificate).unwrap()
    };
    let mut world = World::new(certified("old"));
    world.messages(1);
    let first = world.attempt();
    world.answer(&first, Outcome::refused(503));
    world.pass(2 * SECOND);
    assert!(
        world.others.iter().any(|one| matches!(one, Command::Checkpoint(checkpoint) if !checkpoint.park.is_empty()))
    );
    let id = subscription().id;
    world.append([Record::Subscription { id, event: SubscriptionEvent::Patched(Box::new(certified("new"))) }]);
    world.pass(10 * SECOND);
    let second = world.attempt();
    assert_eq!((certificate(&first), certificate(&second)), ("old".to_owned(), "new".to_owned()));
    assert_eq!(second.notifications[0].id, first.notifications[0].id);
}

#[test]
fn what_could_not_be_sealed_is_abandoned_whatever_the_request_comes_to() {
    for outcome in [Outcome::Acknowledged, Outcome::TimedOut, Outcome::NotSent] {
        let mut world = World::new(subscription());
        world.messages(3);
        let first = world.attempt();
        let lacks = [0, 2].map(|place| (place, Lack::CertificateUnusable));
        world.answer_lacking(&first, outcome, &lacks);
        let mut sum = ledger(&mut world);
        if outcome != Outcome::Acknowledged {
            world.pass(10 * SECOND);
            let again = world.attempt();
            assert_eq!(again.notifications.len(), 1, "{outcome:?}: only what was sent, or should have been");
            assert_eq!(again.notifications[0].id, first.notifications[1].id);
            world.answer(&again, Outcome::Acknowledged);
            sum.add(&ledger(&mut world));
        }
        assert_eq!(sum.abandoned, BTreeMap::from([(AbandonReason::CertificateUnusable, 2)]), "{outcome:?}");
        assert_eq!((sum.matched, sum.delivered, sum.parked), (3, 1, 0), "{outcome:?}");
        world.pass(60 * SECOND);
        assert!(world.attempts().is_empty(), "{outcome:?}: nothing is tried again");
    }
}

#[test]
fn what_is_too_large_counts_as_abandoned_once_the_rest_of_it_is_acknowledged() {
    let mut world = World::new(subscription());
    world.messages(2);
    let first = world.attempt();
    world.answer_lacking(&first, Outcome::refused(503), &[(1, Lack::TooLarge)]);
    world.pass(10 * SECOND);
    let again = world.attempt();
    assert_eq!(again.notifications.len(), 2, "what is too large is told all the same, and tried again like any other");
    world.answer_lacking(&again, Outcome::Acknowledged, &[(1, Lack::TooLarge)]);
    let sum = ledger(&mut world);
    assert_eq!(sum.abandoned, BTreeMap::from([(AbandonReason::TooLarge, 1)]));
    assert_eq!((sum.matched, sum.delivered, sum.parked), (2, 1, 0));
}

fn rich() -> Subscription {
    let extras = Extras { include_resource_data: true, ..Extras::default() };
    Subscription { extras: extras.boxed(), ..subscription() }
}

/// Its app has shown that it may be told, a minute after it lost access.
fn regains_access() -> Record {
    let again = Subscription { authorized: NOW.plus_minutes(1), ..rich() };
    Record::Subscription { id: again.id, event: SubscriptionEvent::Patched(Box::new(again)) }
}

/// Of each notification, whether it goes without content because access is lost; nothing is sealed for those.
fn withheld(attempt: &Attempt) -> Vec<bool> {
    let withheld: Vec<_> = attempt.notifications.iter().map(|one| one.access_lost).collect();
    if withheld.iter().all(|withheld| *withheld) {
        let body = body(attempt);
        assert!(body.contains("#microsoft.graph.message") && !body.contains("encryptedContent"), "{body}");
    }
    withheld
}

#[test]
fn who_has_lost_access_is_told_of_no_content_until_it_has_it_again() {
    let mut world = World::new(Subscription { lifecycle_url: None, ..rich() });
    world.messages(1);
    let before = world.attempt();
    assert_eq!(withheld(&before), [false]);
    world.answer(&before, Outcome::refused(503));
    world.append([loses_access()]);
    world.pass(10 * SECOND);
    let again = world.attempt();
    assert_eq!((again.notifications[0].id, withheld(&again)), (before.notifications[0].id, vec![true]));
    world.answer_lacking(&again, Outcome::Acknowledged, &[(0, Lack::AccessLost)]);
    world.messages(1);
    let new = world.attempt();
    assert_eq!(withheld(&new), [true]);
    world.answer_lacking(&new, Outcome::refused(503), &[(0, Lack::AccessLost)]);
    world.append([regains_access()]);
    world.messages(1);
    world.pass(10 * SECOND);
    let again = world.attempt();
    assert_eq!((again.notifications[0].id, withheld(&again)), (new.notifications[0].id, vec![false]));
    world.answer(&again, Outcome::Acknowledged);
    let last = world.attempt();
    assert_eq!(withheld(&last), [false]);
    world.answer(&last, Outcome::Acknowledged);
    let sum = ledger(&mut world);
    assert_eq!(sum.abandoned, BTreeMap::from([(AbandonReason::AccessLost, 1)]));
    assert_eq!((sum.matched, sum.delivered, sum.parked), (3, 2, 0));
}

#[test]
fn who_takes_over_knows_who_has_lost_access() {
    let lost = Standing { lost: Some(NOW), ..Standing::default() };
    let parked = taken_over(rich(), lost.clone(), NOW).attempt();
    assert_eq!(withheld(&parked), [true], "what waited in the store");
    let mut world = taken_over(rich(), lost, NOW);
    let first = world.attempt();
    world.answer_lacking(&first, Outcome::TimedOut, &[(0, Lack::AccessLost)]);
    world.append([regains_access()]);
    world.pass(HOUR);
    assert_eq!(withheld(&world.attempt()), [false]);
    assert_eq!(withheld(&taken_over(rich(), Standing::default(), NOW).attempt()), [false]);
}
