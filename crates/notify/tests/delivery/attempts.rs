//! Which notifications a request carries, how long it may take, and what a failure leads to.

use super::*;

#[test]
fn a_request_carries_a_hundred_notifications_at_most() {
    let mut world = World::new(subscription());
    world.messages(250);
    let counts: Vec<usize> = world.attempts().iter().map(|attempt| attempt.notifications.len()).collect();
    assert_eq!(counts, [100, 100, 50]);
    assert_eq!(NodeConfig::default().batch_bytes_max, 1 << 20);
}

#[test]
fn a_request_is_for_subscriptions_of_one_version_of_tls() {
    let newer = SubscriptionId(Uuid::from_u128(2));
    let newer = Subscription { id: newer, tls_version: TlsVersion::V1_3, ..subscription() };
    let mut world = World::with([subscription(), newer]);
    world.messages(2);
    let mut offered = Vec::new();
    for attempt in world.attempts() {
        offered.push((attempt.tls, attempt.notifications.len()));
        assert!(attempt.notifications.iter().all(|one| one.subscription.tls_version == attempt.tls));
    }
    assert_eq!(offered, [(TlsVersion::V1_2, 2), (TlsVersion::V1_3, 2)], "although URL and app are the same");
}

#[test]
fn what_a_mailbox_sends_is_delivered_in_the_order_in_which_it_was_sent() {
    let mut world = World::new(subscription());
    let submit = |number: u128, sender: UserId| {
        Record::Submit(Submission {
            id: SubmissionId(Uuid::from_u128(number)),
            tenant: TenantId(Uuid::from_u128(3)),
            app: None,
            sender,
            recipients: vec![UserId(Uuid::from_u128(9))],
            at: NOW,
            message: Properties::new(),
            meeting: None,
        })
    };
    let submitted = |world: &mut World| -> Vec<Position> {
        let commands = std::mem::take(&mut world.others).into_iter();
        let positions = commands.filter_map(|command| match command {
            Command::Submit { position, .. } => Some(position),
            _ => None,
        });
        positions.collect()
    };
    let done = |world: &mut World, position, done| {
        let (partition, epoch) = (Partition::of(MEGAN), EPOCH);
        world.handle(Event::Submitted { partition, epoch, position, done });
    };
    world.append([submit(1, MEGAN), submit(2, MEGAN), submit(3, UserId(Uuid::from_u128(8)))]);
    assert_eq!(submitted(&mut world), [Position(2), Position(4)], "another sender does not wait");
    done(&mut world, Position(2), false);
    assert_eq!(submitted(&mut world), []);
    world.pass(2 * SECOND);
    assert_eq!(submitted(&mut world), [Position(2)], "what failed is tried again before what follows");
    done(&mut world, Position(2), true);
    assert_eq!(submitted(&mut world), [Position(3)]);
    done(&mut world, Position(2), true);
    assert_eq!(submitted(&mut world), [], "an answer that comes twice starts nothing twice");
}

#[test]
fn the_item_is_named_by_the_users_id_and_an_unset_state_is_null() {
    let mut world = World::new(subscription());
    world.messages(1);
    let body = body(&world.attempt());
    assert!(body.contains(&format!("\"resource\":\"Users/{MEGAN}/Messages/AAMk")), "{body}");
    assert!(body.contains("\"clientState\":null"), "{body}");
}

#[test]
fn the_first_attempt_gets_three_seconds_and_the_next_ten() {
    let mut world = World::new(subscription());
    world.messages(1);
    let first = world.attempt();
    assert_eq!((first.timeout_micros, &*first.url), (3 * SECOND, "https://hook.example.net/n"));
    world.answer(&first, Outcome::TimedOut);
    world.pass(10 * SECOND);
    let second = world.attempt();
    assert_eq!(second.timeout_micros, 10 * SECOND);
    assert_eq!(second.notifications[0].id, first.notifications[0].id, "the same id in every attempt");
}

#[test]
fn whatever_is_not_acknowledged_is_tried_again_and_no_status_ends_a_subscription() {
    let refused = [301, 400, 404, 410, 413, 429, 500, 503].map(Outcome::refused);
    for outcome in refused.into_iter().chain([Outcome::TimedOut, Outcome::Unreachable, Outcome::Forbidden]) {
        let mut world = World::new(subscription());
        world.messages(1);
        let first = world.attempt();
        world.answer(&first, outcome);
        world.pass(5 * SECOND - 1);
        assert!(world.attempts().is_empty(), "{outcome:?}: tried again too early");
        world.pass(SECOND * 5 / 4 + 2);
        let second = world.attempt();
        world.answer(&second, Outcome::Acknowledged);
        world.messages(1);
        assert_eq!(world.attempt().notifications.len(), 1, "{outcome:?}: it hears of the next change");
    }
}

#[test]
fn who_asks_to_be_left_alone_is_and_only_what_it_was_told_waits() {
    let other = Subscription { id: SubscriptionId(Uuid::from_u128(0x07e4)), ..subscription() };
    let mut world = World::with([subscription(), other]);
    world.messages(1);
    let first = world.attempt();
    assert_eq!(first.notifications.len(), 2, "both go to one URL");
    let retry_after = Some(RetryAfter::from_seconds(120));
    world.answer(&first, Outcome::Refused { status: 503, retry_after });
    world.messages(1);
    world.pass(120 * SECOND - 1);
    assert!(world.attempts().is_empty(), "what comes later of a subscription waits as well");
    world.pass(30 * SECOND + 1);
    let again = world.attempt();
    world.answer(&again, Outcome::Acknowledged);
    assert_eq!(world.attempt().notifications.len(), 2);
}

#[test]
fn another_subscription_of_an_endpoint_that_asks_to_be_left_alone_is_told() {
    let archive = WellKnown::Archive.id_in(MEGAN);
    let (id, target) = (SubscriptionId(Uuid::from_u128(0x07e4)), messages_in(Some(archive)));
    let inbox = messages_in(Some(WellKnown::Inbox.id_in(MEGAN)));
    let of_inbox = Subscription { target: inbox, ..subscription() };
    let mut world = World::with([of_inbox, Subscription { id, target, ..subscription() }]);
    world.messages(1);
    let first = world.attempt();
    world.answer(&first, Outcome::Refused { status: 429, retry_after: Some(RetryAfter::from_seconds(120)) });
    world.append([Record::Change(created(77, archive))]);
    assert_eq!(world.attempt().notifications[0].subscription.id, id);
}

#[test]
fn an_endpoint_that_hung_gets_one_attempt_and_another_one_with_each_answer() {
    let config = NodeConfig { batch_max: 1, ..NodeConfig::default() };
    let subscriptions = vec![span(subscription(), Standing::default())];
    let (cursor, head) = (Position(1), Position(1));
    let mut world = World::of(config, PartitionState { cursor, head, wall: NOW, subscriptions, ..<_>::default() });
    world.messages(8);
    let mut under_way = world.attempts();
    assert_eq!(under_way.len(), 8);
    under_way.iter().for_each(|attempt| world.answer(attempt, Outcome::TimedOut));
    world.pass(7 * SECOND);
    let mut sizes = Vec::new();
    loop {
        under_way = world.attempts();
        if under_way.is_empty() {
            break;
        }
        sizes.push(under_way.len());
        under_way.iter().for_each(|attempt| world.answer(attempt, Outcome::Acknowledged));
    }
    assert_eq!(sizes, [1, 2, 4, 1]);
}

#[test]
fn a_batch_that_was_too_large_is_halved() {
    let mut world = World::new(subscription());
    world.messages(8);
    let mut sizes = Vec::new();
    for _ in 0..4 {
        let attempts = world.attempts();
        sizes.push(attempts[0].notifications.len());
        for attempt in &attempts {
            world.answer(attempt, Outcome::refused(413));
        }
        world.pass(60 * SECOND);
    }
    assert_eq!(sizes, [8, 4, 2, 1]);
}

#[test]
fn what_comes_after_a_failure_waits_for_it() {
    let mut world = World::new(subscription());
    world.messages(1);
    let first = world.attempt();
    world.answer(&first, Outcome::refused(500));
    world.messages(3);
    assert!(world.attempts().is_empty());
    world.pass(7 * SECOND);
    let again = world.attempt();
    assert_eq!(again.notifications.len(), 1);
    world.answer(&again, Outcome::Acknowledged);
    assert_eq!(world.attempt().notifications.len(), 3);
}

#[test]
fn after_four_hours_a_delivery_is_given_up() {
    let mut world = World::new(subscription());
    world.messages(1);
    let (mut tries, mut abandoned_at) = (0, None);
    while world.micros < 5 * HOUR {
        for attempt in world.attempts() {
            tries += 1;
            assert!(world.micros < 4 * HOUR, "tried after four hours");
            world.answer(&attempt, Outcome::Unreachable);
        }
        world.pass(20 * SECOND);
        let abandoned = world.recorded().into_iter().any(|delta| delta.abandoned.contains_key(&AbandonReason::Horizon));
        abandoned_at = abandoned_at.or(abandoned.then_some(world.micros));
    }
    assert!(tries > 20, "{tries} attempts");
    let abandoned_at = abandoned_at.expect("it is recorded as abandoned");
    assert!((4 * HOUR..4 * HOUR + 15 * 60 * SECOND).contains(&abandoned_at), "after {} s", abandoned_at / SECOND);
}

#[test]
fn a_folder_is_watched_without_its_children_and_a_mailbox_with_all() {
    let (inbox, archive) = (WellKnown::Inbox.id_in(MEGAN), WellKnown::Archive.id_in(MEGAN));
    let of = |folder| Subscription { target: messages_in(folder), ..subscription() };
    let child = FolderId::new(Kind::Message, Uuid::from_u128(77));
    for (folder, heard) in [(None, [true, true, true]), (Some(inbox), [true, false, false])] {
        let sees =
            [inbox, child, archive].map(|place| Interest::of(&of(folder)).unwrap().sees(&created(1, place)).is_some());
        assert_eq!(sees, heard, "{folder:?}");
    }
    let calendar = WellKnown::Calendar.id_in(MEGAN);
    assert_eq!(Interest::of(&of(None)).unwrap().sees(&created(1, calendar)), None, "messages are no events");
}

/// The two halves of a move.
fn moved(from: FolderId, to: FolderId) -> [Change; 2] {
    let mut gone = created(1, from);
    gone.change = ChangeType::Deleted;
    gone.moved = Some(to);
    let mut here = created(2, to);
    here.immutable = Some(gone.item.uuid);
    here.moved = Some(from);
    [gone, here]
}

#[test]
fn a_move_is_one_update_to_who_watches_both_ends_by_immutable_ids() {
    let (inbox, archive) = (WellKnown::Inbox.id_in(MEGAN), WellKnown::Archive.id_in(MEGAN));
    let of = |folder, immutable_ids| Subscription {
        target: messages_in(folder),
        change_types: ChangeType::ALL.into_iter().collect(),
        immutable_ids,
        ..subscription()
    };
    let halves = moved(inbox, archive);
    let sees = |of: Subscription| [0, 1].map(|half| Interest::of(&of).unwrap().sees(&halves[half]));
    let (deleted, created) = (Some(ChangeType::Deleted), Some(ChangeType::Created));
    assert_eq!(sees(of(None, false)), [deleted, created]);
    assert_eq!(sees(of(None, true)), [None, Some(ChangeType::Updated)]);
    for immutable_ids in [false, true] {
        assert_eq!(sees(of(Some(inbox), immutable_ids)), [deleted, None]);
        assert_eq!(sees(of(Some(archive), immutable_ids)), [None, created]);
    }
    let keys = |of: Subscription| [of.item_key(&halves[0]), of.item_key(&halves[1])];
    let [before, after] = keys(of(None, true));
    assert_eq!(before, after, "the immutable id stays");
    let [before, after] = keys(of(None, false));
    assert_ne!(before, after);
}

#[test]
fn an_item_that_comes_back_is_told_of_in_order_by_its_immutable_id() {
    let (inbox, archive) = (WellKnown::Inbox.id_in(MEGAN), WellKnown::Archive.id_in(MEGAN));
    let target = messages_in(Some(inbox));
    let change_types = ChangeType::ALL.into_iter().collect();
    let mut world = World::new(Subscription { target, change_types, immutable_ids: true, ..subscription() });
    let [gone, _] = moved(inbox, archive);
    let [_, mut back] = moved(archive, inbox);
    back.immutable = Some(gone.item.uuid);
    world.append([Record::Change(gone), Record::Change(back)]);
    world.pass(SECOND);
    let sizes: Vec<usize> = world.attempts().iter().map(|attempt| attempt.notifications.len()).collect();
    assert_eq!(sizes, [1], "the return waits until the departure was acknowledged");
}

#[test]
fn what_is_loaded_from_parked_rows_takes_no_room_from_new_matches() {
    let world = taken_over(subscription(), Standing::default(), NOW.plus_minutes(5));
    let stats = world.node.stats();
    assert_eq!((stats.deliveries_in_memory, stats.deliveries_unparked), (1, 0));
}

#[test]
fn a_backlog_that_is_told_in_batches_is_read_on_once_half_of_it_is_told() {
    let mut world = World::new(subscription());
    world.messages(3_000);
    world.others.clear();
    let batches = world.attempts();
    let half = batches.len() / 2 + 1;
    batches[..half].iter().for_each(|batch| world.answer(batch, Outcome::Acknowledged));
    let reads = world.others.iter().any(|command| matches!(command, Command::ReadLog { .. }));
    assert!(reads, "no time has passed, and {half} of {} batches were acknowledged", batches.len());
}
