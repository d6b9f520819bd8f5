//! The life of a subscription in the store.

use std::sync::Arc;

use graph::registry::ResourceKind;
use graph::{AppId, ChangeType, Kind, Partition};
use notify::log::{Cause, EndReason, LifecycleEvent, SubscriptionEvent};
use notify::reauthorization::{Pause, Standing};
use notify::subscription::Target;
use notify::{Position, Record, Subscription};
use tidings_store::{
    App, BeginError, DirectoryError, Makers, SubscriptionError, SubscriptionLimits, SubscriptionQuery, User,
};
use uuid::Uuid;

use crate::World;
use crate::support::*;

async fn begin(world: &World, subscription: Subscription) -> Result<Position, BeginError> {
    let limits = SubscriptionLimits { per_scope: 3, refuse_duplicates: true, makers: Makers::default() };
    world.store.begin_subscription(Arc::new(subscription), limits).await.map(|begun| begun.position)
}

fn of_app(number: u128, app: u128) -> Subscription {
    Subscription { app: AppId(Uuid::from_u128(app)), ..subscription(number, MEGAN) }
}

pub async fn a_life_is_told_in_the_log(world: World) {
    let before = Arc::new(subscription(1, MEGAN));
    let after = Arc::new(Subscription { expires: at(7_200), ..Subscription::clone(&before) });
    let id = before.id;
    assert_eq!(begin(&world, Subscription::clone(&before)).await, Ok(Position(1)));
    world.store.patch_subscription(Arc::clone(&before), Arc::clone(&after)).await.unwrap();
    assert_eq!(world.store.subscription(id).await, Ok(Some(Arc::clone(&after))));
    world.store.append_lifecycle(id, change_id(9), LifecycleEvent::Missed).await.unwrap();
    let ended = world.store.end_subscription(id, EndReason::Deleted, None).await.unwrap();
    assert_eq!(ended.position, Position(4));
    let log = world.heard.of(Partition::of(MEGAN));
    assert_eq!(world.store.read_log(ended.partition, Position(0), 10).await, Ok(log.clone()));
    let told: Vec<Record> = log.into_iter().map(|(_, record)| Record::clone(&record)).collect();
    let event = |event| Record::Subscription { id, event };
    assert_eq!(
        told,
        [
            event(SubscriptionEvent::Began(Box::new(Subscription::clone(&before)))),
            event(SubscriptionEvent::Patched(Box::new(Subscription::clone(&after)))),
            Record::Lifecycle { id: change_id(9), subscription: id, event: LifecycleEvent::Missed, cause: None },
            event(SubscriptionEvent::Ended(EndReason::Deleted)),
        ]
    );
}

pub async fn a_duplicate_is_refused(world: World) {
    begin(&world, subscription(1, MEGAN)).await.unwrap();
    assert_eq!(begin(&world, subscription(2, MEGAN)).await, Err(BeginError::Duplicate(subscription_id(1))));
    begin(&world, of_app(3, 0xb)).await.unwrap();
    let mut inbox_only = subscription(4, MEGAN);
    inbox_only.target = Target::Items { mailbox: MEGAN, kind: Kind::Message, folder: Some(inbox(MEGAN)) };
    begin(&world, inbox_only).await.unwrap();
    let limits = SubscriptionLimits { per_scope: 9, refuse_duplicates: false, makers: Makers::default() };
    world.store.begin_subscription(Arc::new(subscription(2, MEGAN)), limits).await.unwrap();
    let again = world.store.begin_subscription(Arc::new(subscription(2, MEGAN)), limits).await;
    assert_eq!(again, Err(BeginError::Duplicate(subscription_id(2))));
    world.store.end_subscription(subscription_id(1), EndReason::Deleted, None).await.unwrap();
    world.store.end_subscription(subscription_id(2), EndReason::Deleted, None).await.unwrap();
    begin(&world, subscription(5, MEGAN)).await.unwrap();
    let asking =
        |number, resource: &str| Subscription { resource: resource.to_owned(), ..subscription(number, NEIGHBOUR) };
    begin(&world, asking(11, "me/messages")).await.unwrap();
    begin(&world, asking(12, "me/messages?$filter=isRead eq false")).await.unwrap();
    let again = begin(&world, asking(13, "me/messages?$filter=isRead  EQ false")).await;
    assert_eq!(again, Err(BeginError::Duplicate(subscription_id(12))));
}

pub async fn a_full_mailbox_refuses_another(world: World) {
    for number in 1..=3 {
        begin(&world, of_app(number, number)).await.unwrap();
    }
    assert_eq!(begin(&world, of_app(4, 4)).await, Err(BeginError::TooMany(3)));
    begin(&world, subscription(5, NEIGHBOUR)).await.unwrap();
    world.store.end_subscription(subscription_id(2), EndReason::Expired, None).await.unwrap();
    begin(&world, of_app(4, 4)).await.unwrap();
    assert_eq!(begin(&world, subscription(6, NOBODY)).await, Err(BeginError::NoMailbox(NOBODY)));
}

pub async fn who_may_not_act_any_more_begins_nothing(world: World) {
    let (store, both) = (&world.store, Makers { user: true, app: true });
    let begin = |subscription: Subscription, makers| {
        world.store.begin_subscription(Arc::new(subscription), SubscriptionLimits { makers, ..ROOMY })
    };
    // As an app of another issuer does, which is not registered, and its service principal.
    let of_apps = subscription_to(1, ResourceKind::User);
    let of_apps = Subscription { creator: NOBODY, ..of_apps };
    begin(of_apps.clone(), Makers::default()).await.unwrap();
    let again = |number| Subscription { id: subscription_id(number), ..of_apps.clone() };
    for makers in [Makers { user: true, app: false }, Makers { user: false, app: true }] {
        assert_eq!(begin(again(2), makers).await, Err(BeginError::NotAllowed), "{makers:?}");
    }
    let app = App::new(AppId(Uuid::from_u128(5)), TENANT, "an app", NOBODY);
    store.add_app(app.clone()).await.unwrap();
    let ours = |number| Subscription { app: app.id, ..subscription_to(number, ResourceKind::User) };
    begin(ours(3), both).await.unwrap();
    let disabled = App { enabled: false, ..app.clone() };
    store.replace_app(app.clone(), disabled.clone()).await.unwrap();
    assert_eq!(begin(ours(4), both).await, Err(BeginError::NotAllowed), "its app is disabled");
    store.replace_app(disabled, app.clone()).await.unwrap();
    let megan = store.user(MEGAN).await.unwrap().unwrap();
    let changes = [User { enabled: false, ..megan.clone() }, User { sessions_valid_from: at(1), ..megan.clone() }];
    let mut before = megan.clone();
    for after in changes {
        store.replace_user(before, after.clone()).await.unwrap();
        assert_eq!(begin(ours(4), Makers::default()).await, Err(BeginError::NotAllowed), "{after:?}");
        before = after;
    }
    begin(Subscription { authorized: at(1), ..ours(4) }, both).await.unwrap();
}

pub async fn a_patch_needs_the_state_it_was_made_from(world: World) {
    let first = Arc::new(subscription(1, MEGAN));
    let second = Arc::new(Subscription { expires: at(7_200), ..Subscription::clone(&first) });
    let patch = |before: &Arc<_>, after: &Arc<_>| world.store.patch_subscription(Arc::clone(before), Arc::clone(after));
    assert_eq!(patch(&first, &second).await, Err(SubscriptionError::NotFound));
    begin(&world, Subscription::clone(&first)).await.unwrap();
    patch(&first, &second).await.unwrap();
    assert_eq!(patch(&first, &second).await, Err(SubscriptionError::Changed));
    world.store.end_subscription(first.id, EndReason::Deleted, None).await.unwrap();
    assert_eq!(patch(&second, &first).await, Err(SubscriptionError::NotFound));
}

pub async fn a_moved_expiry_prevents_the_end(world: World) {
    let first = Arc::new(subscription(1, MEGAN));
    let renewed = Arc::new(Subscription { expires: at(7_200), ..Subscription::clone(&first) });
    begin(&world, Subscription::clone(&first)).await.unwrap();
    world.store.patch_subscription(Arc::clone(&first), Arc::clone(&renewed)).await.unwrap();
    let end = |expires| world.store.end_subscription(first.id, EndReason::Expired, Some(expires));
    assert_eq!(end(first.expires).await, Err(SubscriptionError::Changed));
    end(renewed.expires).await.unwrap();
    assert_eq!(end(renewed.expires).await, Err(SubscriptionError::NotFound));
}

pub async fn an_app_is_asked_the_same_once(world: World) {
    let first = Arc::new(subscription(1, MEGAN));
    begin(&world, Subscription::clone(&first)).await.unwrap();
    let ask = |record, cause| world.store.require_reauthorization(Arc::clone(&first), change_id(record), cause);
    let (due, lost) = (|seconds| Cause::RunsOut { due: at(seconds) }, Cause::AccessLost { at: at(5) });
    let asked = ask(1, due(60)).await.unwrap();
    assert_eq!(ask(2, due(60)).await, Err(SubscriptionError::Changed));
    assert_eq!(ask(3, due(59)).await, Err(SubscriptionError::Changed));
    ask(4, due(61)).await.unwrap();
    ask(5, lost).await.unwrap();
    assert_eq!(ask(6, lost).await, Err(SubscriptionError::Changed));
    let told = world.store.read_log(asked.partition, Position(1), 9).await.unwrap();
    let told: Vec<Record> = told.into_iter().map(|(_, record)| Record::clone(&record)).collect();
    let event = LifecycleEvent::ReauthorizationRequired;
    let record = |id, cause| Record::Lifecycle { id: change_id(id), subscription: first.id, event, cause: Some(cause) };
    assert_eq!(told, [record(1, due(60)), record(4, due(61)), record(5, lost)]);
    let standing = standing(&world).await;
    assert_eq!(standing, Standing { asked: Some(at(61)), lost: Some(at(5)), pauses: Vec::new() });
}

pub async fn what_an_app_answered_before_it_lost_access_gives_nothing_back(world: World) {
    let first = Arc::new(subscription(1, MEGAN));
    let answered = |seconds| Arc::new(Subscription { authorized: at(seconds), ..Subscription::clone(&first) });
    let patch = |before: &Arc<_>, after: &Arc<_>| world.store.patch_subscription(Arc::clone(before), Arc::clone(after));
    begin(&world, Subscription::clone(&first)).await.unwrap();
    let cause = Cause::AccessLost { at: at(5) };
    world.store.require_reauthorization(Arc::clone(&first), change_id(1), cause).await.unwrap();
    let (early, later) = (answered(4), answered(6));
    patch(&first, &early).await.unwrap();
    assert_eq!(standing(&world).await.lost, Some(at(5)));
    world.store.pause_subscription(Arc::clone(&early)).await.unwrap();
    let late = Arc::new(Subscription { expires: at(7_200), ..Subscription::clone(&early) });
    patch(&early, &late).await.unwrap();
    assert!(standing(&world).await.is_paused());
    patch(&late, &later).await.unwrap();
    let standing = standing(&world).await;
    assert_eq!((standing.lost, standing.is_paused()), (None, false));
}

pub async fn whatever_an_app_did_before_wins_over_a_question_and_a_pause(world: World) {
    let first = Arc::new(subscription(1, MEGAN));
    let renewed = Arc::new(Subscription { authorized: at(9), ..Subscription::clone(&first) });
    begin(&world, Subscription::clone(&first)).await.unwrap();
    world.store.patch_subscription(Arc::clone(&first), Arc::clone(&renewed)).await.unwrap();
    let cause = Cause::RunsOut { due: at(60) };
    let asked = world.store.require_reauthorization(Arc::clone(&first), change_id(1), cause).await;
    assert_eq!(asked, Err(SubscriptionError::Changed));
    assert_eq!(world.store.pause_subscription(Arc::clone(&first)).await, Err(SubscriptionError::Changed));
    world.store.end_subscription(first.id, EndReason::UserDisabled, None).await.unwrap();
    let asked = world.store.require_reauthorization(Arc::clone(&renewed), change_id(1), cause).await;
    assert_eq!(asked, Err(SubscriptionError::NotFound));
    assert_eq!(world.store.pause_subscription(renewed).await, Err(SubscriptionError::NotFound));
}

pub async fn a_patch_ends_a_pause(world: World) {
    let first = Arc::new(subscription(1, MEGAN));
    let again = Arc::new(Subscription { authorized: at(9), ..Subscription::clone(&first) });
    begin(&world, Subscription::clone(&first)).await.unwrap();
    let lost = Cause::AccessLost { at: at(5) };
    world.store.require_reauthorization(Arc::clone(&first), change_id(1), lost).await.unwrap();
    assert_eq!(world.store.pause_subscription(Arc::clone(&first)).await.unwrap().position, Position(3));
    assert_eq!(world.store.pause_subscription(Arc::clone(&first)).await, Err(SubscriptionError::Changed));
    let pauses = vec![Pause { from: Position(3), to: None }];
    assert_eq!(standing(&world).await, Standing { lost: Some(at(5)), pauses, asked: None });
    let patched = world.store.patch_subscription(Arc::clone(&first), Arc::clone(&again)).await.unwrap();
    assert_eq!(patched.position, Position(5));
    let pauses = vec![Pause { from: Position(3), to: Some(Position(5)) }];
    assert_eq!(standing(&world).await, Standing { pauses, ..Standing::default() });
    let event = |event| Record::Subscription { id: first.id, event };
    let told = world.store.read_log(patched.partition, Position(2), 9).await.unwrap();
    let told: Vec<Record> = told.into_iter().map(|(_, record)| Record::clone(&record)).collect();
    let patched = SubscriptionEvent::Patched(Box::new(Subscription::clone(&again)));
    assert_eq!(told, [event(SubscriptionEvent::Paused), event(patched), event(SubscriptionEvent::Resumed)]);
}

/// How the only subscription of Megan's partition stands.
async fn standing(world: &World) -> Standing {
    let state = world.store.partition_state(Partition::of(MEGAN)).await.unwrap();
    state.subscriptions[0].standing.clone()
}

pub async fn an_ended_subscription_is_remembered_for_the_node(world: World) {
    begin(&world, subscription(1, MEGAN)).await.unwrap();
    begin(&world, subscription(2, NEIGHBOUR)).await.unwrap();
    begin(&world, subscription(3, ADELE)).await.unwrap();
    world.store.end_subscription(subscription_id(1), EndReason::Deleted, None).await.unwrap();
    assert_eq!(world.store.subscription(subscription_id(1)).await, Ok(None));
    let missed = world.store.append_lifecycle(subscription_id(1), change_id(9), LifecycleEvent::Missed).await;
    assert_eq!(missed, Err(SubscriptionError::NotFound));
    let state = world.store.partition_state(Partition::of(MEGAN)).await.unwrap();
    let spans: Vec<_> = state.subscriptions.iter().map(|span| (span.subscription.id, span.began, span.ended)).collect();
    let expected = [(subscription_id(1), Position(1), Some(Position(3))), (subscription_id(2), Position(2), None)];
    assert_eq!(spans, expected);
    assert_eq!(state.head, Position(3));
}

pub async fn who_is_subscribed_is_not_removed(world: World) {
    let app = App::new(AppId(Uuid::from_u128(0xb)), TENANT, "Subscriber", ADELE);
    world.store.add_app(app.clone()).await.unwrap();
    begin(&world, of_app(1, 0xb)).await.unwrap();
    assert_eq!(world.store.remove_user(MEGAN).await, Err(DirectoryError::Watched(MEGAN)));
    assert_eq!(world.store.remove_app(app.id).await, Err(DirectoryError::Subscribed(app.id)));
    world.store.end_subscription(subscription_id(1), EndReason::AppRemoved, None).await.unwrap();
    world.store.remove_app(app.id).await.unwrap();
    world.store.remove_user(MEGAN).await.unwrap();
}

pub async fn lists_are_of_one_app_and_creator(world: World) {
    let mut of_adele = subscription(2, MEGAN);
    of_adele.creator = ADELE;
    for subscription in [subscription(3, MEGAN), of_adele, of_app(1, 0xb), subscription(4, ADELE)] {
        begin(&world, subscription).await.unwrap();
    }
    let app = subscription(0, MEGAN).app;
    let query =
        SubscriptionQuery { tenant: TENANT, app: Some(app), creator: None, mailbox: None, after: None, limit: 10 };
    assert_eq!(list(&world, query).await, [2, 3, 4]);
    assert_eq!(list(&world, SubscriptionQuery { creator: Some(ADELE), ..query }).await, [2, 4]);
    assert_eq!(list(&world, SubscriptionQuery { mailbox: Some(MEGAN), ..query }).await, [2, 3]);
    let of_mailbox = SubscriptionQuery { mailbox: Some(MEGAN), app: None, ..query };
    assert_eq!(list(&world, of_mailbox).await, [1, 2, 3]);
    assert_eq!(list(&world, SubscriptionQuery { after: Some(subscription_id(1)), ..of_mailbox }).await, [2, 3]);
    let all = SubscriptionQuery { app: None, ..query };
    assert_eq!(list(&world, all).await, [1, 2, 3, 4]);
    assert_eq!(list(&world, SubscriptionQuery { creator: Some(ADELE), ..all }).await, [2, 4]);
    assert_eq!(list(&world, SubscriptionQuery { after: Some(subscription_id(1)), limit: 2, ..all }).await, [2, 3]);
    assert_eq!(list(&world, SubscriptionQuery { after: Some(subscription_id(2)), limit: 1, ..query }).await, [3]);
    world.store.end_subscription(subscription_id(3), EndReason::Deleted, None).await.unwrap();
    assert_eq!(list(&world, query).await, [2, 4]);
}

async fn list(world: &World, query: SubscriptionQuery) -> Vec<u128> {
    let found = world.store.subscriptions(query).await.unwrap();
    found.into_iter().map(|subscription| subscription.id.0.as_u128()).collect()
}

pub async fn what_is_replayed_is_in_the_log_for_one_subscription(world: World) {
    begin(&world, subscription(1, MEGAN)).await.unwrap();
    for number in 1..=2 {
        world.store.commit(create(&message(MEGAN, number, 1))).await.unwrap();
    }
    let (partition, of) = (Partition::of(MEGAN), Arc::new(subscription(1, MEGAN)));
    let log = world.store.read_log(partition, Position(1), 2).await.unwrap();
    let changes: Vec<_> = log.iter().rev().map(|(_, record)| (Some(ChangeType::Created), Arc::clone(record))).collect();
    let appended = world.store.replay(Arc::clone(&of), changes.clone()).await.unwrap();
    assert_eq!(appended.position, Position(5));
    let told = world.store.read_log(partition, Position(3), 9).await.unwrap();
    let replayed = |(change, record)| Record::Replayed { subscription: of.id, change, record };
    let expected: Vec<Record> = changes.clone().into_iter().map(replayed).collect();
    assert_eq!(told.iter().map(|(_, record)| Record::clone(record)).collect::<Vec<_>>(), expected);
    assert_eq!(world.heard.of(partition)[3..], told);
    world.store.end_subscription(of.id, EndReason::Deleted, None).await.unwrap();
    assert_eq!(world.store.replay(of, changes).await, Err(SubscriptionError::NotFound));
    let unknown = Arc::new(subscription(9, MEGAN));
    assert_eq!(world.store.replay(unknown, Vec::new()).await, Err(SubscriptionError::NotFound));
}
