//! Megan meets Adele and Alex every Tuesday; what is told of one Tuesday concerns that one only.

use graph::{ChangeType, Kind};
use http::StatusCode;
use serde_json::{Value, json};

use crate::post::{Post, attendee, changes, first, mails, newest_mail, person, plan};
use crate::world::{Caller, ok};

fn at(time: &str) -> Value {
    json!({ "dateTime": time, "timeZone": "UTC" })
}

/// Five Tuesdays from 1 December 2026, at ten.
fn tuesdays(attendees: &[Value]) -> Value {
    let mut body = plan(attendees);
    body["recurrence"] = json!({
        "pattern": { "type": "weekly", "interval": 1, "daysOfWeek": ["tuesday"] },
        "range": { "type": "numbered", "startDate": "2026-12-01", "numberOfOccurrences": 5 },
    });
    body
}

/// Megan's series with Adele and Alex, delivered.
async fn series(post: &mut Post) {
    let attendees = [attendee("adele@contoso.test", "required"), attendee("alex@contoso.test", "required")];
    ok(post.world.megan().post("/v1.0/me/events", tuesdays(&attendees)).await, StatusCode::CREATED);
    post.deliver().await;
}

/// The caller's only series.
async fn master(caller: &Caller<'_>) -> Value {
    first(caller, "/v1.0/me/events").await
}

/// What is in the caller's calendar on a day of December.
async fn day(caller: &Caller<'_>, day: u8) -> Value {
    let window = format!("startDateTime=2026-12-{day:02}&endDateTime=2026-12-{:02}", day + 1);
    let found = ok(caller.get(&format!("/v1.0/me/calendarView?{window}")).await, StatusCode::OK);
    assert!(found.json["value"].as_array().unwrap().len() < 2, "{}", found.json);
    found.json["value"][0].clone()
}

fn path(event: &Value) -> String {
    format!("/v1.0/me/events/{}", event["id"].as_str().unwrap())
}

async fn act(caller: &Caller<'_>, event: &Value, action: &str, body: Value) {
    ok(caller.post(&format!("{}/{action}", path(event)), body).await, StatusCode::ACCEPTED);
}

fn answer_of(event: &Value, attendee: usize) -> &str {
    event["attendees"][attendee]["status"]["response"].as_str().unwrap()
}

fn shown(event: &Value) -> (&str, &str, &str) {
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    (text("/type"), text("/responseStatus/response"), text("/showAs"))
}

#[tokio::test]
async fn an_answer_to_one_occurrence_is_that_of_an_exception_in_both_calendars() {
    for (action, response, shows, subject) in [
        ("accept", "accepted", "busy", "Accepted: Plan"),
        ("tentativelyAccept", "tentativelyAccepted", "tentative", "Tentative: Plan"),
    ] {
        let mut post = Post::new().await;
        series(&mut post).await;
        let adele = post.world.adele();
        act(&adele, &day(&adele, 8).await, action, json!({ "comment": "Fine." })).await;
        assert_eq!(shown(&day(&adele, 8).await), ("exception", response, shows));
        assert_eq!(shown(&day(&adele, 15).await), ("occurrence", "notResponded", "tentative"));
        assert_eq!(shown(&master(&adele).await), ("seriesMaster", "notResponded", "tentative"));
        drop(adele);
        post.deliver().await;

        let megan = post.world.megan();
        let mail = newest_mail(&post.world, 0).await;
        assert_eq!(mail["@odata.type"], "#microsoft.graph.eventMessageResponse");
        assert_eq!((&mail["subject"], &mail["body"]["content"]), (&json!(subject), &json!("Fine.")));
        assert_eq!((&mail["type"], &mail["responseType"]), (&json!("exception"), &json!(response)));
        assert_eq!(mail["startDateTime"]["dateTime"], "2026-12-08T10:00:00.0000000");
        let own = day(&megan, 8).await;
        assert_eq!(
            (own["type"].as_str(), answer_of(&own, 0), answer_of(&own, 1)),
            (Some("exception"), response, "none")
        );
        assert_eq!(answer_of(&day(&megan, 15).await, 0), "none");
        assert_eq!(answer_of(&master(&megan).await, 0), "none");
        let of_mail = megan.get(&format!("/v1.0/me/messages/{}/event", mail["id"].as_str().unwrap())).await;
        assert_eq!((&of_mail.json["id"], &of_mail.json["type"]), (&own["id"], &json!("exception")));
        assert!(mail.get("occurrenceOf").is_none() && own.get("occurrenceOf").is_none());
        assert_eq!(changes(&post.world, 1, Kind::Event).await, [ChangeType::Created, ChangeType::Updated]);
        assert_eq!(changes(&post.world, 0, Kind::Event).await, [ChangeType::Created, ChangeType::Updated]);
        assert_eq!(changes(&post.world, 0, Kind::Message).await, [ChangeType::Created]);
    }
}

#[tokio::test]
async fn a_declined_occurrence_is_gone_from_the_attendees_series_and_the_others_stay() {
    let mut post = Post::new().await;
    series(&mut post).await;
    let adele = post.world.adele();
    let slot = json!({ "start": at("2026-12-09T10:00:00"), "end": at("2026-12-09T11:00:00") });
    act(&adele, &day(&adele, 8).await, "decline", json!({ "proposedNewTime": slot })).await;
    assert_eq!(day(&adele, 8).await, Value::Null);
    assert_eq!(shown(&day(&adele, 15).await).0, "occurrence");
    drop(adele);
    post.deliver().await;
    let mail = newest_mail(&post.world, 0).await;
    assert_eq!(
        (&mail["subject"], &mail["meetingMessageType"]),
        (&json!("New Time Proposed: Plan"), &json!("meetingDeclined"))
    );
    let own = day(&post.world.megan(), 8).await;
    assert_eq!(answer_of(&own, 0), "declined");
    assert_eq!(own["attendees"][0]["proposedNewTime"], mail["proposedNewTime"]);
    assert_eq!(changes(&post.world, 1, Kind::Event).await, [ChangeType::Created, ChangeType::Updated]);
}

#[tokio::test]
async fn an_answer_to_the_series_is_one_to_every_occurrence() {
    let mut post = Post::new().await;
    series(&mut post).await;
    for (caller, action) in [(post.world.adele(), "tentativelyAccept"), (post.world.alex(), "decline")] {
        act(&caller, &day(&caller, 8).await, action, json!({})).await;
    }
    post.deliver().await;
    let adele = post.world.adele();
    act(&adele, &master(&adele).await, "accept", json!({})).await;
    assert_eq!(shown(&day(&adele, 8).await), ("occurrence", "accepted", "busy"));
    drop(adele);
    post.deliver().await;
    let own = day(&post.world.megan(), 8).await;
    assert_eq!((answer_of(&own, 0), answer_of(&own, 1)), ("accepted", "declined"));
    assert_eq!(answer_of(&day(&post.world.megan(), 15).await, 1), "none");
}

#[tokio::test]
async fn who_is_invited_to_a_series_later_is_invited_to_its_exceptions_too() {
    let mut post = Post::new().await;
    let world = &post.world;
    let only_adele = [attendee("adele@contoso.test", "required")];
    ok(world.megan().post("/v1.0/me/events", tuesdays(&only_adele)).await, StatusCode::CREATED);
    post.deliver().await;
    let adele = post.world.adele();
    act(&adele, &day(&adele, 8).await, "accept", json!({})).await;
    drop(adele);
    post.deliver().await;
    let both = json!({ "attendees": [only_adele[0], attendee("alex@contoso.test", "required")] });
    let megan = post.world.megan();
    ok(megan.patch(&path(&master(&megan).await), both).await, StatusCode::OK);
    drop(megan);
    post.deliver().await;
    let alex = post.world.alex();
    act(&alex, &day(&alex, 8).await, "accept", json!({})).await;
    drop(alex);
    post.deliver().await;
    let own = day(&post.world.megan(), 8).await;
    assert_eq!((answer_of(&own, 0), answer_of(&own, 1)), ("accepted", "accepted"));
}

#[tokio::test]
async fn a_series_that_is_cancelled_is_off_on_each_day_also_where_it_differs() {
    let mut post = Post::new().await;
    series(&mut post).await;
    let megan = post.world.megan();
    let changed = json!({ "subject": "Special", "showAs": "oof" });
    ok(megan.patch(&path(&day(&megan, 8).await), changed).await, StatusCode::OK);
    act(&megan, &master(&megan).await, "cancel", json!({})).await;
    drop(megan);
    post.deliver().await;
    let adele = post.world.adele();
    for (date, subject) in [(1, "Canceled: Plan"), (8, "Canceled: Special"), (15, "Canceled: Plan")] {
        let event = day(&adele, date).await;
        let off = (&event["subject"], &event["isCancelled"], &event["showAs"]);
        assert_eq!(off, (&json!(subject), &json!(true), &json!("free")), "{date}");
    }
}

#[tokio::test]
async fn an_occurrence_that_the_organizer_cancels_is_gone_from_every_calendar() {
    let mut post = Post::new().await;
    series(&mut post).await;
    let megan = post.world.megan();
    act(&megan, &day(&megan, 8).await, "cancel", json!({ "comment": "Ill." })).await;
    assert_eq!(day(&megan, 8).await, Value::Null);
    drop(megan);
    post.deliver().await;
    let adele = post.world.adele();
    let mail = newest_mail(&post.world, 1).await;
    assert_eq!(
        (&mail["@odata.type"], &mail["meetingMessageType"], &mail["subject"], &mail["body"]["content"]),
        (&json!("#microsoft.graph.eventMessage"), &json!("meetingCancelled"), &json!("Canceled: Plan"), &json!("Ill."))
    );
    assert_eq!(mail["startDateTime"]["dateTime"], "2026-12-08T10:00:00.0000000");
    assert_eq!(day(&adele, 8).await, Value::Null);
    assert_eq!(day(&adele, 15).await["subject"], "Plan");
    assert_eq!(adele.get(&format!("/v1.0/me/messages/{}/event", mail["id"].as_str().unwrap())).await.status, 404);
    assert_eq!(changes(&post.world, 1, Kind::Event).await, [ChangeType::Created, ChangeType::Updated]);
    assert_eq!(changes(&post.world, 0, Kind::Event).await, [ChangeType::Created, ChangeType::Updated]);
}

#[tokio::test]
async fn who_gets_one_occurrence_forwarded_is_invited_to_that_one_and_answers_it() {
    let mut post = Post::new().await;
    let only_adele = [attendee("adele@contoso.test", "required")];
    ok(post.world.megan().post("/v1.0/me/events", tuesdays(&only_adele)).await, StatusCode::CREATED);
    post.deliver().await;
    let adele = post.world.adele();
    let to_alex = json!({ "toRecipients": [person("alex@contoso.test")], "comment": "Come too." });
    act(&adele, &day(&adele, 8).await, "forward", to_alex).await;
    drop(adele);
    post.deliver().await;
    let alex = post.world.alex();
    let alone = master(&alex).await;
    assert_eq!(shown(&alone), ("singleInstance", "notResponded", "tentative"));
    assert_eq!(alone["start"], day(&alex, 8).await["start"]);
    assert_eq!(mails(&post.world.megan()).await, ["Meeting Forward Notification: Plan"]);
    act(&alex, &alone, "accept", json!({})).await;
    drop(alex);
    post.deliver().await;
    let megan = post.world.megan();
    let own = day(&megan, 8).await;
    assert_eq!((answer_of(&own, 0), answer_of(&own, 1)), ("none", "accepted"));
    assert_eq!(master(&megan).await["attendees"].as_array().unwrap().len(), 1);
    act(&megan, &own, "cancel", json!({})).await;
    drop(megan);
    post.deliver().await;
    let gone = master(&post.world.alex()).await;
    assert_eq!((&gone["subject"], &gone["isCancelled"]), (&json!("Canceled: Plan"), &json!(true)));
    assert_eq!(changes(&post.world, 1, Kind::Event).await, [ChangeType::Created, ChangeType::Updated]);
}

#[tokio::test]
async fn an_organizer_who_forwards_one_occurrence_has_one_more_attendee_of_that() {
    let mut post = Post::new().await;
    let only_adele = [attendee("adele@contoso.test", "required")];
    ok(post.world.megan().post("/v1.0/me/events", tuesdays(&only_adele)).await, StatusCode::CREATED);
    let megan = post.world.megan();
    let to_alex = json!({ "toRecipients": [person("alex@contoso.test")] });
    act(&megan, &day(&megan, 8).await, "forward", to_alex).await;
    assert_eq!(day(&megan, 8).await["attendees"].as_array().unwrap().len(), 2);
    assert_eq!(day(&megan, 15).await["attendees"].as_array().unwrap().len(), 1);
    drop(megan);
    post.deliver().await;
    let mail = newest_mail(&post.world, 2).await;
    assert_eq!((&mail["meetingRequestType"], &mail["type"]), (&json!("newMeetingRequest"), &json!("exception")));
    assert_eq!(day(&post.world.alex(), 8).await["subject"], "Plan");
    assert_eq!(mails(&post.world.adele()).await, ["Plan"]);
}

#[tokio::test]
async fn what_makes_no_sense_to_a_series_makes_none_to_an_occurrence() {
    let mut post = Post::new().await;
    series(&mut post).await;
    let (megan, adele) = (post.world.megan(), post.world.adele());
    let (own, copy) = (path(&day(&megan, 8).await), path(&day(&adele, 8).await));
    let refused = [
        megan.post(&format!("{own}/accept"), json!({})).await,
        adele.post(&format!("{copy}/cancel"), json!({})).await,
        adele.post(&format!("{copy}/forward"), json!({ "toRecipients": [] })).await,
        adele.post(&format!("{own}/accept"), json!({})).await,
    ];
    let refused: Vec<String> = refused.iter().map(|reply| reply.refusal()).collect();
    insta::assert_json_snapshot!(refused, @r#"
    [
      "400 ErrorInvalidRequest: Your request can't be completed. You can't respond to this meeting because you're the meeting organizer.",
      "400 ErrorInvalidRequest: Your request can't be completed. You need to be an organizer to cancel a meeting.",
      "400 ErrorInvalidRecipients: At least one recipient isn't valid.",
      "404 ErrorItemNotFound: The specified object was not found in the store."
    ]
    "#);
    ok(adele.post(&format!("{copy}/decline"), json!({ "sendResponse": false })).await, StatusCode::ACCEPTED);
    assert_eq!(adele.post(&format!("{copy}/accept"), json!({})).await.status, 404);
    drop((megan, adele));
    post.deliver().await;
    assert!(mails(&post.world.megan()).await.is_empty(), "nobody asked to send it");
}

#[tokio::test]
async fn an_occurrence_that_moves_voids_its_answers_and_those_of_no_other() {
    let mut post = Post::new().await;
    series(&mut post).await;
    for (caller, date) in [(post.world.adele(), 8), (post.world.adele(), 15)] {
        act(&caller, &day(&caller, date).await, "accept", json!({})).await;
    }
    post.deliver().await;
    let megan = post.world.megan();
    let later = json!({ "start": at("2026-12-09T14:00:00"), "end": at("2026-12-09T15:00:00") });
    let moved = ok(megan.patch(&path(&day(&megan, 8).await), later).await, StatusCode::OK);
    assert_eq!(answer_of(&moved.json, 0), "none");
    // An answer to what it was, still on its way.
    let adele = post.world.adele();
    act(&adele, &day(&adele, 8).await, "tentativelyAccept", json!({})).await;
    drop((megan, adele));
    post.deliver().await;

    let adele = post.world.adele();
    let mail = newest_mail(&post.world, 1).await;
    assert_eq!(mail["@odata.type"], "#microsoft.graph.eventMessageRequest");
    assert_eq!((&mail["meetingRequestType"], &mail["type"]), (&json!("fullUpdate"), &json!("exception")));
    assert_eq!(mail["previousStartDateTime"]["dateTime"], "2026-12-08T10:00:00.0000000");
    assert_eq!(mail["startDateTime"]["dateTime"], "2026-12-09T14:00:00.0000000");
    assert_eq!(day(&adele, 8).await, Value::Null);
    assert_eq!(shown(&day(&adele, 9).await), ("exception", "notResponded", "tentative"));
    assert_eq!(shown(&day(&adele, 15).await), ("exception", "accepted", "busy"));
    assert_eq!(shown(&day(&post.world.alex(), 9).await), ("exception", "notResponded", "tentative"));
    let late = newest_mail(&post.world, 0).await;
    assert_eq!((&late["subject"], &late["isOutOfDate"]), (&json!("Tentative: Plan"), &json!(true)));
    assert_eq!(answer_of(&day(&post.world.megan(), 9).await, 0), "none");
    assert_eq!(answer_of(&day(&post.world.megan(), 15).await, 0), "accepted");
    let of_alex = changes(&post.world, 2, Kind::Event).await;
    assert_eq!(of_alex, [ChangeType::Created, ChangeType::Updated], "a series is one item");
}

#[tokio::test]
async fn an_occurrence_that_changes_otherwise_keeps_its_answers() {
    let mut post = Post::new().await;
    series(&mut post).await;
    let adele = post.world.adele();
    act(&adele, &day(&adele, 8).await, "accept", json!({})).await;
    drop(adele);
    post.deliver().await;
    let megan = post.world.megan();
    let room = json!({ "location": { "displayName": "Room 1" } });
    ok(megan.patch(&path(&day(&megan, 8).await), room).await, StatusCode::OK);
    // What is the organizer's own concerns nobody.
    ok(megan.patch(&path(&day(&megan, 15).await), json!({ "showAs": "oof" })).await, StatusCode::OK);
    drop(megan);
    post.deliver().await;
    let adele = post.world.adele();
    let mail = newest_mail(&post.world, 1).await;
    assert_eq!(
        (&mail["meetingRequestType"], &mail["previousLocation"]["displayName"]),
        (&json!("informationalUpdate"), &json!("Hall"))
    );
    let copy = day(&adele, 8).await;
    assert_eq!((&copy["location"]["displayName"], shown(&copy).1), (&json!("Room 1"), "accepted"));
    assert_eq!(mails(&adele).await, ["Plan", "Plan"]);
    assert_eq!(answer_of(&day(&post.world.megan(), 8).await, 0), "accepted");
}

#[tokio::test]
async fn who_is_added_to_or_removed_from_one_occurrence_hears_of_that_one() {
    let mut post = Post::new().await;
    let only_adele = [attendee("adele@contoso.test", "required")];
    ok(post.world.megan().post("/v1.0/me/events", tuesdays(&only_adele)).await, StatusCode::CREATED);
    post.deliver().await;
    let megan = post.world.megan();
    let only_alex = json!({ "attendees": [attendee("alex@contoso.test", "required")] });
    ok(megan.patch(&path(&day(&megan, 8).await), only_alex).await, StatusCode::OK);
    drop(megan);
    post.deliver().await;
    let adele = post.world.adele();
    assert_eq!(newest_mail(&post.world, 1).await["meetingMessageType"], "meetingCancelled");
    assert_eq!((day(&adele, 8).await, &day(&adele, 15).await["subject"]), (Value::Null, &json!("Plan")));
    assert_eq!(newest_mail(&post.world, 2).await["meetingRequestType"], "newMeetingRequest");
    assert_eq!(day(&post.world.alex(), 8).await["type"], "singleInstance");
}

#[tokio::test]
async fn an_occurrence_that_the_organizer_deletes_is_gone_from_every_calendar() {
    for permanently in [false, true] {
        let mut post = Post::new().await;
        series(&mut post).await;
        let megan = post.world.megan();
        let occurrence = path(&day(&megan, 8).await);
        if permanently {
            ok(megan.post(&format!("{occurrence}/permanentDelete"), json!({})).await, StatusCode::NO_CONTENT);
        } else {
            ok(megan.delete(&occurrence).await, StatusCode::NO_CONTENT);
        }
        drop(megan);
        // The attendee's own deletion is nobody's business.
        let adele = post.world.adele();
        ok(adele.delete(&path(&day(&adele, 15).await)).await, StatusCode::NO_CONTENT);
        drop(adele);
        post.deliver().await;
        assert_eq!(newest_mail(&post.world, 1).await["subject"], "Canceled: Plan");
        assert_eq!(day(&post.world.adele(), 8).await, Value::Null);
        assert_eq!(day(&post.world.alex(), 15).await["subject"], "Plan");
        assert!(mails(&post.world.megan()).await.is_empty());
    }
}

#[tokio::test]
async fn an_occurrence_that_the_attendee_declined_comes_back_with_an_update_and_not_with_a_cancellation() {
    let mut post = Post::new().await;
    series(&mut post).await;
    let adele = post.world.adele();
    for date in [8, 15] {
        act(&adele, &day(&adele, date).await, "decline", json!({})).await;
    }
    drop(adele);
    post.deliver().await;
    let megan = post.world.megan();
    ok(megan.patch(&path(&day(&megan, 8).await), json!({ "subject": "Plan B" })).await, StatusCode::OK);
    ok(megan.delete(&path(&day(&megan, 15).await)).await, StatusCode::NO_CONTENT);
    drop(megan);
    post.deliver().await;
    let adele = post.world.adele();
    let back = day(&adele, 8).await;
    assert_eq!((&back["subject"], shown(&back)), (&json!("Plan B"), ("exception", "notResponded", "tentative")));
    assert_eq!(day(&adele, 15).await, Value::Null);
    assert_eq!(mails(&adele).await, ["Canceled: Plan", "Plan", "Plan B"]);
    let told = ok(adele.get("/v1.0/me/messages?$filter=subject%20eq%20'Plan%20B'").await, StatusCode::OK);
    assert_eq!(told.json["value"][0]["meetingRequestType"], "newMeetingRequest");
}

#[tokio::test]
async fn an_update_of_the_series_leaves_what_is_said_of_single_occurrences() {
    let mut post = Post::new().await;
    series(&mut post).await;
    let adele = post.world.adele();
    act(&adele, &day(&adele, 8).await, "accept", json!({})).await;
    act(&adele, &day(&adele, 15).await, "decline", json!({})).await;
    drop(adele);
    post.deliver().await;
    let megan = post.world.megan();
    ok(megan.patch(&path(&day(&megan, 22).await), json!({ "subject": "Feast" })).await, StatusCode::OK);
    let series = path(&master(&megan).await);
    ok(megan.patch(&series, json!({ "subject": "Plan B" })).await, StatusCode::OK);
    drop(megan);
    post.deliver().await;
    let adele = post.world.adele();
    assert_eq!((&day(&adele, 8).await["subject"], shown(&day(&adele, 8).await).1), (&json!("Plan B"), "accepted"));
    assert_eq!((day(&adele, 15).await, &day(&adele, 22).await["subject"]), (Value::Null, &json!("Feast")));
    drop(adele);

    // Moved, it is as new, with what the organizer has made of single occurrences.
    let megan = post.world.megan();
    let until = json!({ "recurrence": {
        "pattern": { "type": "weekly", "interval": 1, "daysOfWeek": ["tuesday"] },
        "range": { "type": "numbered", "startDate": "2026-12-01", "numberOfOccurrences": 4 },
    } });
    ok(megan.patch(&series, until).await, StatusCode::OK);
    drop(megan);
    post.deliver().await;
    let adele = post.world.adele();
    assert_eq!(shown(&day(&adele, 8).await), ("occurrence", "notResponded", "tentative"));
    assert_eq!(
        (&day(&adele, 15).await["subject"], &day(&adele, 22).await["subject"]),
        (&json!("Plan B"), &json!("Feast"))
    );
    assert_eq!(answer_of(&day(&post.world.megan(), 8).await, 0), "none");
}

#[tokio::test]
async fn who_joins_a_series_later_gets_it_as_it_is() {
    let mut post = Post::new().await;
    let only_adele = [attendee("adele@contoso.test", "required")];
    ok(post.world.megan().post("/v1.0/me/events", tuesdays(&only_adele)).await, StatusCode::CREATED);
    post.deliver().await;
    let megan = post.world.megan();
    ok(megan.patch(&path(&day(&megan, 8).await), json!({ "subject": "Feast", "showAs": "oof" })).await, StatusCode::OK);
    ok(megan.delete(&path(&day(&megan, 15).await)).await, StatusCode::NO_CONTENT);
    let both = json!({ "attendees": [only_adele[0], attendee("alex@contoso.test", "required")] });
    ok(megan.patch(&path(&master(&megan).await), both).await, StatusCode::OK);
    drop(megan);
    post.deliver().await;
    let alex = post.world.alex();
    let feast = day(&alex, 8).await;
    assert_eq!((&feast["subject"], shown(&feast).2), (&json!("Feast"), "tentative"));
    assert_eq!(day(&alex, 15).await, Value::Null);
}
