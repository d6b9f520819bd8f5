//! Ids that stay, and their other forms.

use http::StatusCode;
use notify::Profile;
use serde_json::{Value, json};
use tidings_server::seed;

use crate::world::{Caller, World, ok};

const PREFER: &str = "IdType=\"ImmutableId\"";

fn immutable(world: &World) -> Caller<'_> {
    world.megan().with("prefer", PREFER)
}

#[tokio::test]
async fn an_immutable_id_stays_through_moves_and_sending() {
    let world = World::new().await;
    let (megan, settled) = (world.megan(), immutable(&world));
    let body = json!({"subject": "x", "toRecipients": [{"emailAddress": {"address": "adele@contoso.test"}}]});
    let made = ok(settled.post("/v1.0/me/messages", body).await, StatusCode::CREATED);
    let id = made.text("/id");
    assert!(made.header("location").contains(&id), "{}", made.header("location"));
    assert!(made.text("/webLink").contains(&id.replace('=', "%3D")), "{}", made.json);
    let plain = ok(megan.get(&format!("/v1.0/me/messages/{id}")).await, StatusCode::OK).text("/id");
    assert_ne!(plain, id, "without the header, the default id");
    let moved = ok(
        settled.post(&format!("/v1.0/me/messages/{id}/move"), json!({"destinationId": "archive"})).await,
        StatusCode::CREATED,
    );
    assert_eq!(moved.text("/id"), id);
    assert_eq!(megan.get(&format!("/v1.0/me/messages/{plain}")).await.status, 404);
    let copy = ok(
        settled.post(&format!("/v1.0/me/messages/{id}/copy"), json!({"destinationId": "inbox"})).await,
        StatusCode::CREATED,
    );
    assert_ne!(copy.text("/id"), id);
    ok(settled.post(&format!("/v1.0/me/messages/{id}/send"), json!({})).await, StatusCode::ACCEPTED);
    let sent = ok(settled.get("/v1.0/me/mailFolders/sentitems/messages").await, StatusCode::OK);
    assert_eq!(sent.text("/value/0/id"), id, "a draft's id is that of what was sent");
    let patched = ok(settled.patch(&format!("/v1.0/me/messages/{id}"), json!({"isRead": false})).await, StatusCode::OK);
    assert_eq!(patched.text("/id"), id);
    ok(settled.delete(&format!("/v1.0/me/messages/{id}")).await, StatusCode::NO_CONTENT);
    let binned = ok(settled.get(&format!("/v1.0/me/mailFolders/deleteditems/messages/{id}")).await, StatusCode::OK);
    assert_eq!(binned.text("/id"), id);
}

#[tokio::test]
async fn a_subscription_remembers_which_ids_it_was_made_with() {
    let world = World::new().await;
    let expires = world.state.clock.wall().plus_minutes(60);
    for (resource, caller, expected) in
        [("me/messages", immutable(&world), true), ("me/mailFolders/inbox/messages", world.megan(), false)]
    {
        let body = json!({"changeType": "created,updated,deleted", "resource": resource,
                          "notificationUrl": "https://hook.example.net/n", "expirationDateTime": expires});
        let made = ok(caller.post("/v1.0/subscriptions", body).await, StatusCode::CREATED);
        let id = made.text("/id").parse().unwrap();
        assert_eq!(world.state.store.subscription(id).await.unwrap().unwrap().immutable_ids, expected);
        // The header of a later request does not change it.
        let renewed = json!({"expirationDateTime": expires.plus_minutes(5)});
        ok(immutable(&world).patch(&format!("/v1.0/subscriptions/{id}"), renewed).await, StatusCode::OK);
        assert_eq!(world.state.store.subscription(id).await.unwrap().unwrap().immutable_ids, expected);
    }
    let body = json!({"changeType": "created", "resource": "me/mailFolders/recoverableitemsdeletions/messages",
                      "notificationUrl": "https://hook.example.net/n", "expirationDateTime": expires});
    let silent = world.megan().post("/v1.0/subscriptions", body).await;
    assert!(silent.refusal().contains("The value of parameter 'Resource' is not supported."), "{}", silent.refusal());
}

async fn translate(world: &World, ids: &[String], source: &str, target: &str) -> Vec<Value> {
    let body = json!({"inputIds": ids, "sourceIdType": source, "targetIdType": target});
    let reply = ok(world.megan().post("/v1.0/me/translateExchangeIds", body).await, StatusCode::OK);
    reply.json["value"].as_array().unwrap().clone()
}

#[tokio::test]
async fn ids_are_translated_from_every_form_to_every_other() {
    let world = World::new().await;
    let rest = world.megan().draft("x").await;
    let forms = ["restId", "entryId", "ewsId", "immutableEntryId", "restImmutableEntryId"];
    let mut known = Vec::new();
    for form in forms {
        let entries = translate(&world, std::slice::from_ref(&rest), "restId", form).await;
        assert_eq!(entries[0]["sourceId"], rest);
        known.push((form, entries[0]["targetId"].as_str().unwrap().to_owned()));
    }
    for (source, from) in &known {
        for (target, to) in &known {
            let entries = translate(&world, std::slice::from_ref(from), source, target).await;
            assert_eq!(entries[0]["targetId"], *to, "{source} to {target}");
        }
    }
    let settled = &known[4].1;
    assert_eq!(
        ok(immutable(&world).get(&format!("/v1.0/me/messages/{rest}")).await, StatusCode::OK).text("/id"),
        *settled
    );
    let folder = graph::WellKnown::Inbox.id_in(seed::users()[0].id).to_string();
    let entries = translate(&world, std::slice::from_ref(&folder), "restId", "restImmutableEntryId").await;
    assert_eq!(entries[0]["targetId"], folder, "a folder's id is constant already");
}

#[tokio::test]
async fn ids_of_nothing_come_back_with_an_error_beside_the_others() {
    let world = World::new().await;
    let (megans, adeles) = (world.megan().draft("x").await, world.adele().draft("y").await);
    let ids = [megans, "garbage".to_owned(), adeles];
    let entries = translate(&world, &ids, "restId", "ewsId").await;
    assert!(entries[0]["targetId"].is_string() && entries[0].get("errorDetails").is_none());
    let code = |entry: &Value| entry["errorDetails"]["code"].as_str().unwrap().to_owned();
    assert_eq!([code(&entries[1]), code(&entries[2])], ["ErrorInvalidIdMalformed", "ErrorItemNotFound"]);
    let post = |body: Value| async { world.megan().post("/v1.0/me/translateExchangeIds", body).await.refusal() };
    let many = vec!["x"; 1_001];
    for (body, refusal) in [
        (
            json!({"inputIds": many, "sourceIdType": "restId", "targetIdType": "ewsId"}),
            "inputIds is too long: 1000 members are the most.",
        ),
        (
            json!({"inputIds": ["x"], "sourceIdType": "guid", "targetIdType": "ewsId"}),
            "sourceIdType must be one of entryId, ewsId, immutableEntryId, restId, restImmutableEntryId.",
        ),
        (
            json!({"inputIds": "x", "sourceIdType": "restId", "targetIdType": "ewsId"}),
            "inputIds must be an array of strings.",
        ),
    ] {
        assert_eq!(post(body).await, format!("400 RequestBodyRead: {refusal}"));
    }
}

#[tokio::test]
async fn the_observed_service_updates_an_event_once_it_is_made() {
    let at = |hour: u32| json!({"dateTime": format!("2026-12-01T{hour}:00:00"), "timeZone": "UTC"});
    for (profile, expected) in
        [(Profile::documented(), vec!["created"]), (Profile::observed(), vec!["created", "updated"])]
    {
        let world = World::with(profile).await;
        let made = world.megan().post("/v1.0/me/events", json!({"start": at(10), "end": at(11)})).await;
        let made = ok(made, StatusCode::CREATED);
        let partition = graph::Partition::of(seed::users()[0].id);
        let log = world.state.store.read_log(partition, notify::Position(0), 10).await.unwrap();
        let changes: Vec<_> = log
            .iter()
            .filter_map(|(_, record)| match record.as_ref() {
                notify::Record::Change(change) => Some((change.change.as_str(), change.id.etag())),
                _ => None,
            })
            .collect();
        assert_eq!(changes.iter().map(|(change, _)| *change).collect::<Vec<_>>(), expected);
        assert_eq!(made.text("/@odata.etag"), changes[expected.len() - 1].1, "the answer has the last version");
    }
}
