//! Megan's app keeps a copy of her mailbox.

use graph::{ItemId, Mutation, NewAttachment, Timestamp};
use http::StatusCode;
use serde_json::{Value, json};
use store::Commit;
use tidings_server::seed;

use crate::world::{Reply, World, ok, settled};

const INBOX: &str = "/v1.0/me/mailFolders/inbox/messages";

/// A link as the path of a request.
fn link(reply: &Reply, name: &str) -> Option<String> {
    let link = reply.json[name].as_str()?;
    Some(link.strip_prefix("http://graph.test:8443").unwrap().to_owned())
}

/// Follows a round to its end: what it told, and where the next one begins.
async fn round(world: &World, mut path: String) -> (Vec<Value>, String) {
    let mut told = Vec::new();
    loop {
        let page = ok(world.megan().get(&path).await, StatusCode::OK);
        told.extend(page.json["value"].as_array().unwrap().iter().cloned());
        if let Some(delta) = link(&page, "@odata.deltaLink") {
            assert_eq!(link(&page, "@odata.nextLink"), None);
            return (told, delta);
        }
        path = link(&page, "@odata.nextLink").unwrap();
    }
}

/// What was told, in a word each: the name of what is there, `-` for a removal.
fn names(told: &[Value]) -> Vec<&str> {
    let mut names: Vec<&str> = told
        .iter()
        .map(|one| match one.get("@removed") {
            Some(_) => "-",
            None => ["subject", "displayName", "givenName"].iter().find_map(|name| one[*name].as_str()).unwrap(),
        })
        .collect();
    names.sort_unstable();
    names
}

async fn message(world: &World, subject: &str) -> String {
    let made = world.megan().post(INBOX, json!({"subject": subject})).await;
    ok(made, StatusCode::CREATED).text("/id")
}

#[tokio::test]
async fn a_first_round_tells_everything_by_pages_and_the_next_one_what_has_changed() {
    let world = World::new().await;
    for number in 0..5 {
        message(&world, &format!("m{number}")).await;
    }
    message(&world, "changed").await;
    let gone = message(&world, "gone").await;
    let left = message(&world, "left").await;
    world.megan().draft("elsewhere").await;
    let first = ok(
        world.megan().with("prefer", "odata.maxpagesize=3").get(&format!("{INBOX}/delta?$select=subject")).await,
        StatusCode::OK,
    );
    assert_eq!(first.json["value"].as_array().unwrap().len(), 3);
    assert_eq!(first.header("preference-applied"), "odata.maxpagesize=3");
    assert_eq!(first.text("/@odata.context"), "http://graph.test:8443/v1.0/$metadata#Collection(message)");
    let next = link(&first, "@odata.nextLink").unwrap();
    assert!(next.starts_with("/v1.0/me/mailFolders('AQMk") && next.contains("')/messages/delta?$skiptoken="), "{next}");

    // While the first round is under way, one of what was told goes, and another comes.
    let seen = first.json["value"][0]["id"].as_str().unwrap();
    ok(world.megan().delete(&format!("/v1.0/me/messages/{seen}")).await, StatusCode::NO_CONTENT);
    let (rest, delta) = round(&world, next).await;
    assert_eq!(names(&rest), ["-", "changed", "gone", "left", "m3", "m4"]);
    assert_eq!(rest.iter().find(|one| one.get("@removed").is_some()).unwrap()["id"], seen);
    insta::assert_json_snapshot!(settled(rest.iter().find(|one| one["subject"] == "changed").unwrap()), @r##"
    {
      "@odata.etag": "[@odata.etag]",
      "@odata.type": "#microsoft.graph.message",
      "id": "[id]",
      "subject": "changed"
    }
    "##);
    assert!(delta.contains("/delta?$deltatoken="), "{delta}");

    let (nothing, same) = round(&world, delta.clone()).await;
    assert_eq!(nothing, Vec::<Value>::new());
    let changed = rest.iter().find(|one| one["subject"] == "changed").unwrap()["id"].as_str().unwrap();
    let path = format!("/v1.0/me/messages/{changed}");
    ok(world.megan().patch(&path, json!({"subject": "anew"})).await, StatusCode::OK);
    ok(world.megan().delete(&format!("/v1.0/me/messages/{gone}")).await, StatusCode::NO_CONTENT);
    let to = json!({"destinationId": "archive"});
    ok(world.megan().post(&format!("/v1.0/me/messages/{left}/move"), to).await, StatusCode::CREATED);
    message(&world, "came").await;
    for start in [&delta, &same] {
        let (told, _) = round(&world, start.clone()).await;
        assert_eq!(names(&told), ["-", "-", "anew", "came"], "an old token may be used again");
    }
    let (told, _) = round(&world, same).await;
    let removed = told.iter().find(|one| one["id"] == gone.as_str()).unwrap();
    assert_eq!(
        *removed,
        json!({"@odata.type": "#microsoft.graph.message", "id": gone, "@removed": {"reason": "deleted"}})
    );
}

#[tokio::test]
async fn a_token_holds_on_every_spelling_of_its_path_and_for_no_other_collection() {
    let world = World::new().await;
    message(&world, "one").await;
    let (_, delta) = round(&world, format!("{INBOX}/microsoft.graph.delta()")).await;
    let token = delta.split_once("$deltatoken=").unwrap().1;
    message(&world, "two").await;
    let megan = seed::users()[0].id;
    for path in [
        "/v1.0/me/mailFolders('inbox')/messages/delta".to_owned(),
        "/v1.0/me/mailFolders/Inbox/messages/delta()".to_owned(),
        "/beta/me/MailFolders/inbox/Messages/microsoft.graph.delta".to_owned(),
        format!("/v1.0/users/{megan}/mailFolders/inbox/messages/delta"),
        "/v1.0/users('megan@contoso.test')/mailFolders/inbox/messages/microsoft.graph.delta()".to_owned(),
    ] {
        for option in ["$deltatoken", "%24deltaToken", "$skiptoken"] {
            let (told, _) = round(&world, format!("{path}?{option}={token}")).await;
            assert_eq!(names(&told), ["two"], "{path} {option}");
        }
    }
    let mut cut = token.to_owned();
    cut.pop();
    for (path, token) in [
        ("/v1.0/me/mailFolders/drafts/messages/delta", token),
        ("/v1.0/me/mailFolders/delta", token),
        ("/v1.0/me/mailFolders/inbox/messages/delta", cut.as_str()),
        ("/v1.0/me/mailFolders/inbox/messages/delta", "latest"),
        ("/v1.0/me/mailFolders/inbox/messages/delta", &"A".repeat(7_000)),
    ] {
        let refused = world.megan().get(&format!("{path}?$deltatoken={token}")).await;
        assert_eq!(refused.refusal(), "400 BadRequest: Badly formed token.", "{path}");
    }
    // A token grants nothing: Adele's app may not look into Megan's mailbox with it.
    let theirs = format!("/v1.0/users/{megan}/mailFolders/inbox/messages/delta?$deltatoken={token}");
    assert_eq!(world.adele().get(&theirs).await.status, 403);
}

#[tokio::test]
async fn a_token_that_is_too_old_or_from_another_store_begins_anew() {
    let world = World::new().await;
    let id = message(&world, "one").await;
    let (_, delta) = round(&world, format!("{INBOX}/delta?$select=subject")).await;
    ok(world.megan().delete(&format!("/v1.0/me/messages/{id}")).await, StatusCode::NO_CONTENT);
    forget_removals(&world).await;
    let late = world.megan().get(&delta).await;
    assert!(late.refusal().starts_with("410 SyncStateNotFound: The sync state generation is not found; generation="));
    let anew = late.header("location");
    assert!(anew.ends_with("/messages/delta?$select=subject&$deltatoken="), "{anew}");
    let anew = anew.strip_prefix("http://graph.test:8443").unwrap().to_owned();
    let (told, _) = round(&world, anew).await;
    assert_eq!(told, Vec::<Value>::new());
    // The other server has seen less than the token says.
    let other = World::new().await.megan().get(&delta).await;
    assert_eq!((other.status, other.text("/error/code").as_str()), (410, "SyncStateNotFound"));
}

/// As if all removals so far had happened long ago.
async fn forget_removals(world: &World) {
    let item: ItemId = world.megan().draft("one more").await.parse().unwrap();
    let mutation = Mutation { removes: vec![item], ..Mutation::default() };
    let commit = Commit {
        now: world.state.clock.wall(),
        forget_before: Timestamp::from_micros(i64::MAX),
        ..Commit::of(seed::TENANT, seed::users()[0].id, mutation)
    };
    world.state.store.commit(commit).await.unwrap();
}

/// A message in the Inbox that came at that time.
async fn received(world: &World, subject: &str, time: &str) {
    let (megan, id) = (seed::users()[0].id, message(world, subject).await.parse().unwrap());
    let mut item = world.state.store.item(megan, id).await.unwrap().unwrap();
    item.properties.insert("receivedDateTime".to_owned(), time.into());
    let mutation = Mutation { puts: vec![item], ..Mutation::default() };
    world.state.store.commit(Commit::of(seed::TENANT, megan, mutation)).await.unwrap();
}

#[tokio::test]
async fn options_of_the_first_request_hold_for_all_that_follow() {
    let world = World::new().await;
    let at = |day: u32| format!("2026-11-{day:02}T08:00:00Z");
    for day in 1..=6 {
        received(&world, &format!("d{day}"), &at(day)).await;
    }
    let asked = format!(
        "{INBOX}/delta?$top=2&$select=subject&$orderby=receivedDateTime%20desc&$filter=receivedDateTime+ge+{}",
        at(3)
    );
    let page = ok(world.megan().get(&asked).await, StatusCode::OK);
    let subjects: Vec<&str> =
        page.json["value"].as_array().unwrap().iter().map(|one| one["subject"].as_str().unwrap()).collect();
    assert_eq!(subjects, ["d4", "d3"], "the newest of the page first");
    assert!(page.json["value"][0].get("bodyPreview").is_none());
    let (rest, delta) = round(&world, link(&page, "@odata.nextLink").unwrap()).await;
    assert_eq!(names(&rest), ["d5", "d6"]);
    received(&world, "d2", &at(2)).await;
    received(&world, "d7", &at(7)).await;
    let (told, _) = round(&world, format!("{delta}&$select=body")).await;
    assert_eq!(names(&told), ["d7"], "options beside a token are passed over");
    assert!(told[0].get("body").is_none());
}

#[tokio::test]
async fn a_round_tells_of_one_type_of_change_if_that_is_asked_for() {
    let world = World::new().await;
    let megan = world.megan();
    let (kept, gone) = (message(&world, "kept").await, message(&world, "gone").await);
    let archived = ok(megan.post(INBOX, json!({"subject": "back"})).await, StatusCode::CREATED);
    let moved = async |id: &str, to: &str| {
        let moved = megan.post(&format!("/v1.0/me/messages/{id}/move"), json!({"destinationId": to})).await;
        ok(moved, StatusCode::CREATED).text("/id")
    };
    let archived = moved(&archived.text("/id"), "archive").await;
    let begin = async |change: &str| round(&world, format!("{INBOX}/delta?$select=subject&changeType={change}")).await;
    let (created, updated, deleted) = (begin("created").await, begin("Updated").await, begin("deleted").await);
    assert_eq!(names(&created.0), ["gone", "kept"], "at first everything is new");
    assert_eq!((updated.0, deleted.0), (Vec::new(), Vec::new()));

    ok(megan.patch(&format!("/v1.0/me/messages/{kept}"), json!({"subject": "changed"})).await, StatusCode::OK);
    ok(megan.delete(&format!("/v1.0/me/messages/{gone}")).await, StatusCode::NO_CONTENT);
    let came = message(&world, "came").await;
    ok(megan.patch(&format!("/v1.0/me/messages/{came}"), json!({"isRead": true})).await, StatusCode::OK);
    moved(&archived, "inbox").await;
    // A page at a time: what is new in a round is so on each of its pages.
    let megan = world.megan().with("prefer", "odata.maxpagesize=1");
    let mut told = Vec::new();
    let mut path = created.1;
    let next = loop {
        let page = ok(megan.get(&path).await, StatusCode::OK);
        told.extend(page.json["value"].as_array().unwrap().iter().cloned());
        match link(&page, "@odata.nextLink") {
            Some(next) => path = next,
            None => break link(&page, "@odata.deltaLink").unwrap(),
        }
    };
    assert_eq!(names(&told), ["back", "came"]);
    assert_eq!(names(&round(&world, updated.1).await.0), ["changed"]);
    assert_eq!(names(&round(&world, deleted.1).await.0), ["-"]);
    ok(world.megan().patch(&format!("/v1.0/me/messages/{came}"), json!({"isRead": false})).await, StatusCode::OK);
    assert_eq!(round(&world, next).await.0, Vec::<Value>::new(), "what is known is not new any more");
}

#[tokio::test]
async fn relations_are_told_in_every_round_if_the_first_asked_for_them() {
    let world = World::new().await;
    let megan = world.megan();
    let id = "String {66f5a359-4659-4830-9070-00047ec6ac6e} Name Color";
    let expand = format!("attachments($select=name),singleValueExtendedProperties($filter=id eq '{id}')");
    let expand = expand.replace(' ', "%20").replace('\'', "%27");
    let (_, delta) = round(&world, format!("{INBOX}/delta?$select=subject&$expand={expand}")).await;
    let color = json!([{"id": id, "value": "Green"}]);
    let body = json!({"subject": "x", "singleValueExtendedProperties": color});
    let made = ok(megan.post(INBOX, body).await, StatusCode::CREATED).text("/id");
    let file = json!({"@odata.type": "#microsoft.graph.fileAttachment", "name": "a.txt", "contentBytes": "aGk="});
    ok(megan.post(&format!("/v1.0/me/messages/{made}/attachments"), file).await, StatusCode::CREATED);
    let (told, _) = round(&world, delta).await;
    assert_eq!((names(&told), &told[0]["attachments"][0]["name"]), (vec!["x"], &json!("a.txt")));
    assert_eq!(told[0]["singleValueExtendedProperties"], color);
}

#[tokio::test]
async fn a_page_with_large_attachments_ends_early_and_the_next_goes_on() {
    let world = World::new().await;
    let megan = world.megan();
    for subject in ["one", "two"] {
        let id: ItemId = message(&world, subject).await.parse().unwrap();
        let file = json!({"@odata.type": "#microsoft.graph.fileAttachment", "name": "a", "contentBytes": ""});
        ok(megan.post(&format!("/v1.0/me/messages/{id}/attachments"), file).await, StatusCode::CREATED);
        grow_attachment(&world, id).await;
    }
    let first = ok(megan.get(&format!("{INBOX}/delta?$select=subject&$expand=attachments")).await, StatusCode::OK);
    assert_eq!(names(first.json["value"].as_array().unwrap()), ["one"]);
    let (rest, _) = round(&world, link(&first, "@odata.nextLink").unwrap()).await;
    assert_eq!(names(&rest), ["two"]);
}

/// Says of the attachment of a message that it is larger than a page may be.
async fn grow_attachment(world: &World, id: ItemId) {
    let megan = seed::users()[0].id;
    let item = world.state.store.item(megan, id).await.unwrap().unwrap();
    let mut attachment = world.state.store.attachments(megan, item.immutable).await.unwrap().remove(0);
    attachment.properties.insert("size".to_owned(), (17 << 20).into());
    let large = NewAttachment { item: item.immutable, attachment, content: vec![0] };
    let mutation = Mutation { attachment_puts: vec![large], ..Mutation::default() };
    world.state.store.commit(Commit::of(seed::TENANT, megan, mutation)).await.unwrap();
}

#[tokio::test]
async fn what_a_delta_query_cannot_do_is_refused_in_graphs_words() {
    let world = World::new().await;
    let mut seen = Vec::new();
    for path in [
        "messages/delta",
        "mailFolders/inbox/messages/delta?$filter=isRead eq false",
        "mailFolders/inbox/messages/delta?$orderby=subject",
        "mailFolders/inbox/messages/delta?$search=x",
        "mailFolders/inbox/messages/delta?$expand=colour",
        "mailFolders/inbox/messages/delta?changeType=moved",
        "mailFolders/inbox/messages/delta?$select=colour",
        "mailFolders/inbox/messages/delta?$top=0",
        "mailFolders/inbox/messages/delta?$deltatoken=x&$skiptoken=y",
        "mailFolders/nowhere/messages/delta",
        "mailFolders/delta?$filter=x",
        "contacts/delta?$orderby=x",
        "contactFolders/delta?$top=7",
        "events/delta?$filter=x",
        "calendarView/delta",
        "calendarView/delta?startDateTime=2026-11-01&endDateTime=yesterday",
        "calendarView/delta?startDateTime=2026-11-02T00:00:00Z&endDateTime=2026-11-01T00:00:00Z",
        "calendarView/delta?startDateTime=2026-11-01T00:00:00Z&endDateTime=2036-11-02T00:00:00Z",
        "calendarView/delta?startDateTime=2026-11-01T00:00:00Z&endDateTime=2026-11-02T00:00:00Z&$select=subject",
        "calendars/delta",
    ] {
        let reply = world.megan().get(&format!("/v1.0/me/{}", path.replace(' ', "%20"))).await;
        seen.push(format!("{path} -> {}", reply.refusal()));
    }
    insta::assert_json_snapshot!(seen, @r#"
    [
      "messages/delta -> 400 BadRequest: Unsupported request: Change tracking is not supported against 'microsoft.graph.message'.",
      "mailFolders/inbox/messages/delta?$filter=isRead eq false -> 400 ErrorInvalidUrlQuery: The '$filter' parameter value is not supported for 'Messages' resource; only a value of 'receivedDateTime ge value' is supported.",
      "mailFolders/inbox/messages/delta?$orderby=subject -> 400 ErrorInvalidUrlQuery: The '$orderby' parameter value is not supported for 'Messages' resource; only a value of 'receivedDateTime desc' is supported.",
      "mailFolders/inbox/messages/delta?$search=x -> 400 ErrorInvalidUrlQuery: The following parameters are not supported with change tracking over the 'Messages' resource: '$search'.",
      "mailFolders/inbox/messages/delta?$expand=colour -> 400 RequestBroker--ParseUri: Could not find a property named 'colour' on type 'microsoft.graph.message'.",
      "mailFolders/inbox/messages/delta?changeType=moved -> 400 ErrorInvalidUrlQuery: The 'changeType' parameter value is not supported for 'Messages' resource; only a value of 'created, updated or deleted' is supported.",
      "mailFolders/inbox/messages/delta?$select=colour -> 400 RequestBroker--ParseUri: Could not find a property named 'colour' on type 'microsoft.graph.message'.",
      "mailFolders/inbox/messages/delta?$top=0 -> 400 BadRequest: Invalid value '0' for $top query option found. The $top query option requires a value from 1 to 1000.",
      "mailFolders/inbox/messages/delta?$deltatoken=x&$skiptoken=y -> 400 BadRequest: Badly formed token.",
      "mailFolders/nowhere/messages/delta -> 400 ErrorInvalidIdMalformed: Id is malformed.",
      "mailFolders/delta?$filter=x -> 400 ErrorInvalidUrlQuery: The following parameters are not supported with change tracking over the 'MailFolders' resource: '$orderby, $filter, $expand, $search, $top'.",
      "contacts/delta?$orderby=x -> 400 ErrorInvalidUrlQuery: The following parameters are not supported with change tracking over the 'Contacts' resource: '$orderby, $filter, $expand, $search, $top'.",
      "contactFolders/delta?$top=7 -> 400 ErrorInvalidUrlQuery: The following parameters are not supported with change tracking over the 'ContactFolders' resource: '$orderby, $filter, $expand, $search, $top'.",
      "events/delta?$filter=x -> 400 ErrorInvalidUrlQuery: The following parameters are not supported with change tracking over the 'Events' resource: '$orderby, $filter, $expand, $search, $top'.",
      "calendarView/delta -> 400 ErrorInvalidParameter: This request requires a time window specified by the query string parameters StartDateTime and EndDateTime.",
      "calendarView/delta?startDateTime=2026-11-01&endDateTime=yesterday -> 400 ErrorInvalidParameter: The value 'yesterday' of the parameter 'endDateTime' is not a valid date-time.",
      "calendarView/delta?startDateTime=2026-11-02T00:00:00Z&endDateTime=2026-11-01T00:00:00Z -> 400 ErrorCalendarEndDateIsEarlierThanStartDate: The end of the time window is earlier than its start.",
      "calendarView/delta?startDateTime=2026-11-01T00:00:00Z&endDateTime=2036-11-02T00:00:00Z -> 400 ErrorInvalidRequest: Your request can't be completed. The range between the start and end dates is greater than the allowed range. Maximum number of days: 1825",
      "calendarView/delta?startDateTime=2026-11-01T00:00:00Z&endDateTime=2026-11-02T00:00:00Z&$select=subject -> 400 ErrorInvalidUrlQuery: The following parameters are not supported with change tracking over the 'CalendarView' resource: '$orderby, $filter, $select, $expand, $search, $top'.",
      "calendars/delta -> 400 BadRequest: Resource not found for the segment 'delta'."
    ]
    "#);
    assert_eq!(world.megan().send("POST", "/v1.0/me/mailFolders/delta", "{}".to_owned()).await.status, 405);
}

#[tokio::test]
async fn folders_of_all_levels_are_followed() {
    let world = World::new().await;
    let megan = world.megan();
    let make = async |path: &str, name: &str| {
        let made = megan.post(&format!("/v1.0/me/{path}"), json!({"displayName": name})).await;
        ok(made, StatusCode::CREATED).text("/id")
    };
    let travel = make("mailFolders", "Travel").await;
    make(&format!("mailFolders/{travel}/childFolders"), "Rome").await;
    let (told, delta) = round(&world, "/v1.0/me/mailFolders/delta?$select=displayName".to_owned()).await;
    let all = names(&told);
    for name in ["Inbox", "Travel", "Rome"] {
        assert!(all.contains(&name), "{name}: {all:?}");
    }
    assert!(!all.contains(&"Top of Information Store") && !all.contains(&"Deletions"), "{all:?}");
    assert_eq!(told[0]["@odata.type"], "#microsoft.graph.mailFolder");

    message(&world, "counted").await;
    ok(megan.patch(&format!("/v1.0/me/mailFolders/{travel}"), json!({"displayName": "Trips"})).await, StatusCode::OK);
    let (told, delta) = round(&world, delta).await;
    assert_eq!(names(&told), ["Inbox", "Trips"], "a folder changes with its counts");
    for _ in 0..2 {
        ok(megan.delete(&format!("/v1.0/me/mailFolders/{travel}")).await, StatusCode::NO_CONTENT);
    }
    let (told, _) = round(&world, delta).await;
    let gone = json!({"@odata.type": "#microsoft.graph.mailFolder", "id": travel, "@removed": {"reason": "deleted"}});
    assert!(told.contains(&gone), "{told:?}");

    let (_, delta) = round(&world, "/v1.0/me/contactFolders/delta".to_owned()).await;
    let friends = make("contactFolders", "Friends").await;
    let (told, _) = round(&world, delta).await;
    assert_eq!((names(&told), told[0]["id"].as_str()), (vec!["Friends"], Some(friends.as_str())));
}

#[tokio::test]
async fn contacts_and_events_are_followed() {
    let world = World::new().await;
    let megan = world.megan();
    let friends = megan.post("/v1.0/me/contactFolders", json!({"displayName": "Friends"})).await.text("/id");
    let at = |day: u32| json!({"dateTime": format!("2026-12-{day:02}T10:00:00"), "timeZone": "UTC"});
    let friends = format!("contactFolders/{friends}/contacts");
    for (collection, body, type_name) in [
        ("contacts", json!({"givenName": "Ada"}), "contact"),
        (friends.as_str(), json!({"givenName": "Ada"}), "contact"),
        ("events", json!({"subject": "Ada", "start": at(1), "end": at(2)}), "event"),
        ("calendar/events", json!({"subject": "Ada", "start": at(1), "end": at(2)}), "event"),
    ] {
        let path = format!("/v1.0/me/{collection}");
        let (_, delta) = round(&world, format!("{path}/delta")).await;
        let id = ok(megan.post(&path, body).await, StatusCode::CREATED).text("/id");
        let (told, delta) = round(&world, delta).await;
        assert_eq!(names(&told), ["Ada"], "{collection}");
        assert_eq!(told[0]["@odata.type"], format!("#microsoft.graph.{type_name}"));
        ok(megan.delete(&format!("{path}/{id}")).await, StatusCode::NO_CONTENT);
        let (told, _) = round(&world, delta).await;
        assert_eq!(names(&told), ["-"], "{collection}");
    }
}

#[tokio::test]
async fn a_calendar_view_is_followed_within_its_window() {
    let world = World::new().await;
    let megan = world.megan();
    let event = |name: &str, day: u32| {
        let at = |hour: u32| json!({"dateTime": format!("2026-12-{day:02}T{hour}:00:00"), "timeZone": "UTC"});
        json!({"subject": name, "start": at(10), "end": at(11)})
    };
    let mut ids = Vec::new();
    for (name, day) in [("before", 1), ("within", 10), ("after", 20)] {
        ids.push(ok(megan.post("/v1.0/me/events", event(name, day)).await, StatusCode::CREATED).text("/id"));
    }
    let window = "startDateTime=2026-12-05T01:00:00+01:00&endDateTime=2026-12-15";
    let (told, delta) = round(&world, format!("/v1.0/me/calendarView/delta?{window}")).await;
    assert_eq!(names(&told), ["within"]);
    // One moves out of the window, another one moves in.
    ok(megan.patch(&format!("/v1.0/me/events/{}", ids[1]), event("within", 16)).await, StatusCode::OK);
    ok(megan.patch(&format!("/v1.0/me/events/{}", ids[0]), event("before", 6)).await, StatusCode::OK);
    let (told, delta) = round(&world, delta).await;
    assert_eq!(names(&told), ["-", "before"]);
    ok(megan.delete(&format!("/v1.0/me/events/{}", ids[0])).await, StatusCode::NO_CONTENT);
    let (told, _) = round(&world, delta).await;
    assert_eq!(names(&told), ["-"]);

    let other = megan.post("/v1.0/me/calendars", json!({"name": "Team"})).await.text("/id");
    ok(megan.post(&format!("/v1.0/me/calendars/{other}/events"), event("team", 8)).await, StatusCode::CREATED);
    let (told, delta) = round(&world, format!("/v1.0/me/calendars/{other}/calendarView/delta?{window}")).await;
    assert_eq!(names(&told), ["team"]);
    assert!(delta.starts_with(&format!("/v1.0/me/calendars('{other}')/calendarView/delta?")), "{delta}");
}

#[tokio::test]
async fn an_item_that_keeps_its_id_is_not_gone_when_it_comes_back() {
    let world = World::new().await;
    let id = message(&world, "traveller").await;
    let immutable = || world.megan().with("prefer", "IdType=\"ImmutableId\"");
    let first = ok(immutable().get(&format!("{INBOX}/delta")).await, StatusCode::OK);
    let stays = first.text("/value/0/id");
    let delta = link(&first, "@odata.deltaLink").unwrap();
    let there = json!({"destinationId": "archive"});
    let moved = ok(world.megan().post(&format!("/v1.0/me/messages/{id}/move"), there).await, StatusCode::CREATED);
    let away = ok(immutable().get(&delta).await, StatusCode::OK);
    assert_eq!(
        away.json["value"][0],
        json!({"@odata.type": "#microsoft.graph.message", "id": stays,
                                             "@removed": {"reason": "deleted"}})
    );
    let back = json!({"destinationId": "inbox"});
    let path = format!("/v1.0/me/messages/{}/move", moved.text("/id"));
    ok(world.megan().post(&path, back).await, StatusCode::CREATED);
    let home = ok(immutable().get(&delta).await, StatusCode::OK);
    let told = home.json["value"].as_array().unwrap();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((told[0]["id"].as_str(), told[0].get("@removed")), (Some(stays.as_str()), None));
}

#[tokio::test]
async fn a_series_is_told_with_its_occurrences_in_the_window() {
    let world = World::new().await;
    let megan = world.megan();
    let at = |hour: u32| json!({"dateTime": format!("2026-12-01T{hour}:00:00"), "timeZone": "UTC"});
    let weekly = |day: &str| {
        json!({"pattern": {"type": "weekly", "interval": 1, "daysOfWeek": [day]},
               "range": {"type": "noEnd", "startDate": "2026-12-01"}})
    };
    let standup = json!({"subject": "Standup", "start": at(10), "end": at(11), "recurrence": weekly("tuesday")});
    let id = ok(megan.post("/v1.0/me/events", standup).await, StatusCode::CREATED).text("/id");
    let window = "startDateTime=2026-12-05T00:00:00Z&endDateTime=2026-12-20T00:00:00Z";
    let (told, delta) = round(&world, format!("/v1.0/me/calendarView/delta?{window}")).await;
    let starts = |told: &[Value]| {
        let there = told.iter().filter(|one| one["type"] == "occurrence");
        there.map(|one| one["start"]["dateTime"].as_str().unwrap()[..10].to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(starts(&told), ["2026-12-08", "2026-12-15"]);
    assert_eq!((told[0]["type"].as_str(), told[0]["subject"].as_str()), (Some("seriesMaster"), Some("Standup")));
    assert_eq!((told[1]["seriesMasterId"].as_str(), told[1].get("subject")), (Some(id.as_str()), None));
    let tuesdays: Vec<Value> = told[1..].iter().map(|one| one["id"].clone()).collect();

    // What the series has no more is told by the ids that the client knows.
    let path = format!("/v1.0/me/events/{id}");
    ok(megan.patch(&path, json!({"recurrence": weekly("friday")})).await, StatusCode::OK);
    let (told, delta) = round(&world, delta).await;
    assert_eq!(starts(&told), ["2026-12-11", "2026-12-18"]);
    let fridays: Vec<Value> =
        told.iter().filter(|one| one["type"] == "occurrence").map(|one| one["id"].clone()).collect();
    let gone = |told: &[Value]| {
        let gone = told.iter().filter(|one| one.get("@removed").is_some());
        gone.map(|one| one["id"].clone()).collect::<Vec<_>>()
    };
    let removed = gone(&told);
    assert!(tuesdays.iter().all(|id| removed.contains(id)) && !fridays.iter().any(|id| removed.contains(id)));

    ok(megan.delete(&path).await, StatusCode::NO_CONTENT);
    let (told, delta) = round(&world, delta).await;
    let removed = gone(&told);
    assert!(removed.contains(&json!(id)) && fridays.iter().all(|id| removed.contains(id)), "{removed:?}");
    assert_eq!(round(&world, delta).await.0, Vec::<Value>::new());
}

#[tokio::test]
async fn the_occurrences_of_one_series_are_followed() {
    let world = World::new().await;
    let megan = world.megan();
    let event = |subject: &str, hour: u32| {
        let at = |hour: u32| json!({"dateTime": format!("2026-12-01T{hour}:00:00"), "timeZone": "UTC"});
        json!({"subject": subject, "start": at(hour), "end": at(hour + 1),
               "recurrence": {"pattern": {"type": "daily", "interval": 1}, "range": {"type": "noEnd", "startDate": "2026-12-01"}}})
    };
    let series = ok(megan.post("/v1.0/me/events", event("Standup", 10)).await, StatusCode::CREATED).text("/id");
    ok(megan.post("/v1.0/me/events", event("other", 12)).await, StatusCode::CREATED);
    let window = "startDateTime=2026-12-02T00:00:00Z&endDateTime=2026-12-04T00:00:00Z";
    let path = format!("/v1.0/me/events/{series}/instances/delta?{window}");
    let (told, delta) = round(&world, path.clone()).await;
    let types = |told: &[Value]| told.iter().map(|one| one["type"].clone()).collect::<Vec<_>>();
    assert_eq!(types(&told), ["seriesMaster", "occurrence", "occurrence"]);
    assert!(delta.starts_with(&format!("/v1.0/me/events('{series}')/instances/delta?$deltatoken=")), "{delta}");
    let second = told[2]["id"].as_str().unwrap().to_owned();

    ok(megan.post("/v1.0/me/events", event("third", 14)).await, StatusCode::CREATED);
    assert_eq!(round(&world, delta.clone()).await.0, Vec::<Value>::new(), "other events are not told of");
    ok(megan.delete(&format!("/v1.0/me/events/{second}")).await, StatusCode::NO_CONTENT);
    let (told, delta) = round(&world, delta).await;
    let gone = told.iter().filter(|one| one.get("@removed").is_some()).any(|one| one["id"] == second.as_str());
    assert!(gone && types(&told)[..2] == ["seriesMaster", "occurrence"], "{told:?}");

    ok(megan.delete(&format!("/v1.0/me/events/{series}")).await, StatusCode::NO_CONTENT);
    let (told, _) = round(&world, delta.clone()).await;
    assert!(told.iter().any(|one| one["id"] == series.as_str() && one.get("@removed").is_some()), "{told:?}");
    assert_eq!(megan.get(&path).await.status, 404, "there is nothing to begin with");
    let token = delta.split_once('?').unwrap().1;
    let elsewhere = megan.get(&format!("/v1.0/me/calendarView/delta?{token}")).await;
    assert_eq!(elsewhere.refusal(), "400 BadRequest: Badly formed token.");
}
