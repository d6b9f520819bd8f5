//! What rules of faults do to requests, and what the node makes of it.

use tidings_notify::fault_rules::{Action, FaultRules, Frequency, RULES_MAX, Rule, Selector};
use tidings_notify::push_policy::{GivenUp, Undelivered};

use super::*;

const URL: &str = "https://hook.example.net/n";
const REFUSED: Action = Action::Fail(Outcome::refused(500));

fn rule(action: Action, frequency: Frequency) -> Rule {
    Rule { selector: Selector::default(), frequency, action }
}

fn rules(all: impl IntoIterator<Item = Rule>) -> FaultRules {
    let mut rules = FaultRules::default();
    for rule in all {
        rules.add(rule).unwrap();
    }
    rules
}

/// A request of so many notifications.
fn request(count: u64) -> Vec<tidings_notify::node::Notification> {
    let mut world = World::new(subscription());
    world.messages(count);
    world.attempt().notifications
}

fn struck(rules: &FaultRules) -> Vec<(u64, u64)> {
    rules.all().iter().map(|kept| (kept.seen, kept.struck)).collect()
}

#[test]
fn a_rule_strikes_as_often_as_it_says_and_counts_it() {
    let times = |times| Frequency { times: Some(times), ..Frequency::default() };
    let every = |every| Frequency { every: Some(every), ..Frequency::default() };
    let until = Frequency { until: Some(NOW.plus_minutes(2)), ..Frequency::default() };
    for (frequency, strikes) in [
        (Frequency::default(), [true, true, true, true]),
        (times(2), [true, true, false, false]),
        (every(2), [false, true, false, true]),
        (Frequency { times: Some(1), ..every(3) }, [false, false, true, false]),
        (until, [true, true, false, false]),
    ] {
        let (mut rules, request) = (rules([rule(REFUSED, frequency.clone())]), request(1));
        let struck = [0, 1, 2, 3].map(|minute| rules.plan(URL, &request, NOW.plus_minutes(minute)).instead.is_some());
        assert_eq!(struck, strikes, "{frequency:?}");
        assert_eq!(rules.all()[0].struck, strikes.iter().filter(|strikes| **strikes).count() as u64);
    }
}

#[test]
fn chance_follows_from_the_seed() {
    let strikes = |seed| {
        let frequency = Frequency { percent: Some(30), seed, ..Frequency::default() };
        let (mut rules, request) = (rules([rule(REFUSED, frequency)]), request(1));
        (0..200).map(|_| rules.plan(URL, &request, NOW).instead.is_some()).collect::<Vec<_>>()
    };
    assert_eq!(strikes(7), strikes(7));
    assert_ne!(strikes(7), strikes(8));
    let count = strikes(7).into_iter().filter(|strikes| *strikes).count();
    assert!((40..=80).contains(&count), "{count} of 200");
}

#[test]
fn a_rule_is_about_what_it_selects() {
    let request = request(1);
    let of = |selector| {
        let mut rules = rules([Rule { selector, ..rule(REFUSED, Frequency::default()) }]);
        rules.plan(URL, &request, NOW).instead.is_some()
    };
    let none = Selector::default;
    assert!(of(Selector { subscription: Some(subscription().id), ..none() }));
    assert!(!of(Selector { subscription: Some(SubscriptionId(Uuid::nil())), ..none() }));
    assert!(of(Selector { app: Some(subscription().app), ..none() }));
    assert!(of(Selector { url: Some("https://hook.example.net/".to_owned()), ..none() }));
    assert!(!of(Selector { url: Some("https://hook.example.net/other".to_owned()), ..none() }));
    assert!(of(Selector { url: Some("HTTPS://hook".to_owned()), ..none() }), "a scheme is the same in any case");
    assert!(!of(Selector { url: Some("https://HOOK".to_owned()), ..none() }));
    assert!(!of(Selector { kind: Some(StreamKind::Lifecycle), ..none() }));
    assert!(of(Selector { change: Some(ChangeType::Created), kind: Some(StreamKind::Changes), ..none() }));
    assert!(!of(Selector { change: Some(ChangeType::Deleted), ..none() }));
    assert!(of(Selector { resource: Some("/ME/Mess".to_owned()), ..none() }));
    assert!(!of(Selector { resource: Some("me/events".to_owned()), ..none() }));
}

#[test]
fn dead_letters_are_struck_by_rules_alone_that_name_them() {
    let given_up = Undelivered { reason: GivenUp::NotRetried, at: NOW, attempts: 1, last: None };
    let mut request = request(1);
    request[0].given_up = Some(given_up);
    let of = |selector| {
        let mut rules = rules([Rule { selector, ..rule(REFUSED, Frequency::default()) }]);
        rules.plan("dead-letters:dead", &request, NOW).instead.is_some()
    };
    let none = Selector::default;
    assert!(!of(none()) && !of(Selector { app: Some(subscription().app), ..none() }));
    assert!(of(Selector { url: Some("dead-letters:".to_owned()), ..none() }));
    assert!(of(Selector { kind: Some(StreamKind::DeadLetters), ..none() }));
}

#[test]
fn notifications_are_dropped_one_by_one_and_requests_struck_whole() {
    let every_second = Frequency { every: Some(2), ..Frequency::default() };
    let mut rules = rules([
        rule(Action::Drop, every_second.clone()),
        rule(Action::Duplicate, Frequency::default()),
        rule(Action::Reverse, every_second),
        rule(REFUSED, Frequency::default()),
        rule(Action::Delay { micros: 5 }, Frequency::default()),
    ]);
    let plan = rules.plan(URL, &request(5), NOW);
    assert_eq!((plan.dropped, plan.is_doubled, plan.is_reversed), (vec![1, 3], true, false));
    assert_eq!(plan.instead, Some(Outcome::refused(500)), "the first of two counts");
    assert_eq!(struck(&rules), [(5, 2), (1, 1), (1, 0), (1, 1), (0, 0)]);
}

#[test]
fn what_was_delayed_goes_when_it_comes_again() {
    let mut rules = rules([rule(Action::Delay { micros: 5 }, Frequency::default())]);
    let mut plan = |request: &[_]| rules.plan(URL, request, NOW).instead;
    let request = request(3);
    assert_eq!(plan(&request[..2]), Some(Outcome::Delayed { micros: 5 }));
    assert_eq!(plan(&request[2..]), Some(Outcome::Delayed { micros: 5 }));
    assert_eq!((plan(&request[..2]), plan(&request[2..])), (None, None));
}

#[test]
fn rules_are_numbered_and_bounded() {
    let mut rules = rules([rule(REFUSED, Frequency::default()), rule(Action::Drop, Frequency::default())]);
    assert!(rules.remove(1) && !rules.remove(1));
    let third = rules.add(rule(Action::Duplicate, Frequency::default())).unwrap().number;
    assert_eq!(third, 3);
    while rules.all().len() < RULES_MAX {
        rules.add(rule(Action::Drop, Frequency::default())).unwrap();
    }
    assert!(rules.add(rule(Action::Drop, Frequency::default())).is_err());
    rules.clear();
    assert!(rules.all().is_empty());
}

#[test]
fn what_is_dropped_on_purpose_is_abandoned_and_the_rest_told() {
    let mut world = World::new(subscription());
    world.messages(3);
    let attempt = world.attempt();
    world.answer_lacking(&attempt, Outcome::Acknowledged, &[(1, Lack::Injected)]);
    let ledger = ledger(&mut world);
    assert_eq!((ledger.delivered, ledger.abandoned), (2, [(AbandonReason::Injected, 1)].into()));
    assert!(world.attempts().is_empty());
    world.messages(1);
    let attempt = world.attempt();
    world.answer_lacking(&attempt, Outcome::NotSent, &[(0, Lack::Injected)]);
    world.pass(HOUR);
    assert!(world.attempts().iter().all(|attempt| attempt.url != "https://hook.example.net/n".into()));
}

#[test]
fn what_is_delayed_on_purpose_is_tried_after_that_time() {
    let mut world = World::new(subscription());
    world.messages(1);
    let first = world.attempt();
    world.answer(&first, Outcome::Delayed { micros: 90 * SECOND });
    world.pass(89 * SECOND);
    assert!(world.attempts().is_empty());
    world.pass(2 * SECOND);
    let second = world.attempt();
    assert_eq!(second.notifications[0].id, first.notifications[0].id);
    world.answer(&second, Outcome::Acknowledged);
    assert_eq!(ledger(&mut world).delivered, 1);
}
