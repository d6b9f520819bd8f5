//! What is told of resources outside of mailboxes.

use super::*;

const TENANT: TenantId = TenantId(Uuid::from_u128(3));

fn watching(resource: &str) -> Subscription {
    let place = registry::place(resource).unwrap();
    let asked = registry::Asked::read(&place, Some(MEGAN)).unwrap();
    let watched = Watched { resource: place.kind, owner: place.user.map(|_| MEGAN), places: asked.places };
    let id = SubscriptionId(Uuid::new_v5(&Uuid::nil(), resource.as_bytes()));
    Subscription { id, resource: resource.to_owned(), target: Target::Resource(Box::new(watched)), ..subscription() }
}

/// A change of what lies at a path, with its state after.
fn ingested(number: u64, path: &str, after: serde_json::Value) -> Record {
    let thing = registry::thing(path, |_| Ok::<_, registry::ThingError>(MEGAN)).unwrap();
    Record::Ingested(Box::new(Ingested {
        id: ChangeId(Uuid::from_u128(number.into())),
        tenant: TENANT,
        thing,
        happened: Happened::Updated,
        at: NOW,
        before: None,
        after: after.as_object().cloned(),
    }))
}

/// The resources that the attempts so far tell of, by the resource that was subscribed to.
fn told(world: &mut World) -> BTreeMap<String, Vec<String>> {
    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for notification in world.attempts().into_iter().flat_map(|attempt| attempt.notifications) {
        let Record::Ingested(change) = &*notification.record else { panic!("a change of a resource") };
        told.entry(notification.subscription.resource.clone()).or_default().push(change.thing.text());
    }
    told
}

#[test]
fn a_change_of_a_resource_is_heard_where_the_table_says_and_nowhere_else() {
    let chats = ["chats/a/messages", "chats/b/messages", "chats/getAllMessages", "teams/getAllMessages", "users"];
    let mut world = World::with(chats.map(watching));
    let nothing = || serde_json::json!({});
    world.append([
        ingested(1, "chats/a/messages/1", nothing()),
        ingested(2, "chats/c/messages/2", nothing()),
        ingested(3, "users/7", nothing()),
        ingested(4, "groups/7", nothing()),
    ]);
    world.pass(SECOND);
    let told = told(&mut world);
    assert_eq!(told["chats/a/messages"], ["chats/a/messages/1"]);
    assert_eq!(told["chats/getAllMessages"], ["chats/a/messages/1", "chats/c/messages/2"]);
    assert_eq!(told["users"], [format!("users/{MEGAN}")]);
    assert_eq!(told.len(), 3, "{told:?}");
}

#[test]
fn the_resources_of_another_tenant_are_not_heard() {
    let other = Subscription { tenant: TenantId(Uuid::from_u128(9)), ..watching("users") };
    let mut world = World::new(other);
    world.append([ingested(1, "users/7", serde_json::json!({}))]);
    world.pass(SECOND);
    assert!(world.attempts().is_empty());
}

#[test]
fn changes_of_one_resource_go_one_after_the_other() {
    let mut world = World::new(watching("groups"));
    world.append(["groups/1", "groups/1/members", "groups/2"].map(|path| ingested(1, path, serde_json::json!({}))));
    world.pass(SECOND);
    let attempt = world.attempt();
    let paths = |attempt: &Attempt| -> Vec<String> {
        let texts = attempt.notifications.iter().map(|notification| match &*notification.record {
            Record::Ingested(change) => change.thing.text(),
            _ => String::new(),
        });
        texts.collect()
    };
    assert_eq!(paths(&attempt), ["groups/1", "groups/2"], "the members of a group are the group's");
    world.answer(&attempt, Outcome::Acknowledged);
    world.pass(SECOND);
    assert_eq!(paths(&world.attempt()), ["groups/1/members"]);
}

#[test]
fn an_ended_subscription_to_resources_hears_nothing() {
    let mut world = World::new(watching("users"));
    let id = watching("users").id;
    world.append([Record::Subscription { id, event: SubscriptionEvent::Ended(EndReason::Deleted) }]);
    world.append([ingested(1, "users/7", serde_json::json!({}))]);
    world.pass(60 * SECOND);
    assert!(world.attempts().is_empty());
    world.recorded();
    world.append([ingested(2, "users/7", serde_json::json!({}))]);
    world.pass(60 * SECOND);
    assert!(world.attempts().is_empty(), "nor once it is forgotten");
}

#[test]
fn apps_hear_of_the_lives_of_subscriptions_to_every_resource() {
    let of_users = Subscription { expires: NOW.plus_minutes(45), ..watching("users") };
    let id = of_users.id;
    let mut world = World::new(of_users);
    world.pass(15 * 60 * SECOND);
    assert_eq!(asked(&world), [15 * 60]);
    world.append([Record::Subscription { id, event: SubscriptionEvent::Ended(EndReason::AppRemoved) }]);
    let told = world.attempt();
    assert!(body(&told).contains("subscriptionRemoved"));
}
