//! Megan invites Adele and Alex; what is told of a meeting travels between their mailboxes.

use std::collections::BTreeSet;

use graph::{ChangeType, Kind};
use http::StatusCode;
use serde_json::{Value, json};

use crate::post::{Post, attendee, changes, first, mails, meeting, newest_mail, person, plan};
use crate::world::{World, ok, settled};

#[tokio::test]
async fn an_invitation_arrives_as_a_message_and_a_tentative_event() {
    let mut post = Post::new().await;
    let attendees = [
        attendee("Adele@contoso.test", "required"),
        attendee("adele@contoso.test", "required"),
        attendee("megan@contoso.test", "required"),
        attendee("x@elsewhere.example", "optional"),
    ];
    let made = ok(post.world.megan().post("/v1.0/me/events", plan(&attendees)).await, StatusCode::CREATED);
    assert_eq!(
        (made.json["isOrganizer"].clone(), made.text("/responseStatus/response")),
        (json!(true), "organizer".to_owned())
    );
    post.deliver().await;

    let adele = post.world.adele();
    let mail = newest_mail(&post.world, 1).await;
    insta::assert_json_snapshot!("invitation", settled(&mail));
    let copy = first(&adele, "/v1.0/me/calendar/events").await;
    insta::assert_json_snapshot!("invited_event", settled(&copy));
    assert_eq!(copy["iCalUId"], made.json["iCalUId"]);
    let path = format!("/v1.0/me/messages/{}", mail["id"].as_str().unwrap());
    for form in ["event", "microsoft.graph.eventMessage/event"] {
        let event = ok(adele.get(&format!("{path}/{form}")).await, StatusCode::OK);
        assert_eq!(event.json["id"], copy["id"]);
    }
    assert_eq!(changes(&post.world, 1, Kind::Message).await, [ChangeType::Created]);
    assert_eq!(changes(&post.world, 1, Kind::Event).await, [ChangeType::Created]);
    assert_eq!(changes(&post.world, 0, Kind::Event).await, [ChangeType::Created]);
    assert!(mails(&post.world.megan()).await.is_empty(), "nobody invites themselves");
}

#[tokio::test]
async fn a_meeting_message_is_read_with_its_event() {
    let mut post = Post::new().await;
    let (_, copy) = meeting(&mut post).await;
    let adele = post.world.adele();
    let mail = format!("/v1.0/me/messages/{}", newest_mail(&post.world, 1).await["id"].as_str().unwrap());
    adele.draft("plain").await;
    let expand = "$expand=microsoft.graph.eventMessage/event($select=subject,start)";
    let list = ok(adele.get(&format!("/v1.0/me/messages?$top=5&{expand}")).await, StatusCode::OK);
    let one = ok(adele.get(&format!("{mail}?$select=subject&{expand}")).await, StatusCode::OK);
    let shown = list.json["value"].as_array().unwrap().iter();
    let events: Vec<&Value> = shown.filter_map(|message| message.get("event")).collect();
    assert_eq!(events, [&one.json["event"]], "only a message that speaks of a meeting has one");
    assert_eq!(one.text("/event/start/dateTime"), "2026-12-01T10:00:00.0000000");
    assert_eq!(one.json["event"].get("body"), None);
    let whole = "$expand=attachments,microsoft.graph.eventMessageRequest/event";
    let whole = ok(adele.get(&format!("{mail}?{whole}")).await, StatusCode::OK);
    assert_eq!(whole.json["event"]["id"], ok(adele.get(&copy).await, StatusCode::OK).json["id"]);

    ok(adele.delete(&copy).await, StatusCode::NO_CONTENT);
    let gone = ok(adele.get(&format!("{mail}?{expand}")).await, StatusCode::OK);
    assert_eq!(gone.json["event"], Value::Null);
    let refused = adele.get("/v1.0/me/messages?$expand=event").await;
    let unknown =
        "400 RequestBroker--ParseUri: Could not find a property named 'event' on type 'microsoft.graph.message'.";
    assert_eq!(refused.refusal(), unknown);
}

#[tokio::test]
async fn an_answer_reaches_the_organizers_inbox_and_event() {
    for (action, response, kind, subject) in [
        ("accept", "accepted", "meetingAccepted", "Accepted: Plan"),
        ("tentativelyAccept", "tentativelyAccepted", "meetingTenativelyAccepted", "Tentative: Plan"),
        ("decline", "declined", "meetingDeclined", "Declined: Plan"),
    ] {
        let mut post = Post::new().await;
        let (event, copy) = meeting(&mut post).await;
        let (megan, adele) = (post.world.megan(), post.world.adele());
        let answered = adele.post(&format!("{copy}/{action}"), json!({ "Comment": "Fine." })).await;
        assert_eq!((answered.status, answered.body.len()), (202, 0), "{}", answered.json);
        let after = adele.get(&copy).await;
        match action {
            "decline" => assert_eq!(after.status, 404),
            _ => assert_eq!(after.text("/responseStatus/response"), response),
        }
        assert_eq!(
            after.text("/showAs"),
            match action {
                "accept" => "busy",
                "decline" => "",
                _ => "tentative",
            }
        );
        drop((megan, adele));
        post.deliver().await;

        let megan = post.world.megan();
        let mail = newest_mail(&post.world, 0).await;
        assert_eq!(mail["@odata.type"], "#microsoft.graph.eventMessageResponse");
        assert_eq!((&mail["meetingMessageType"], &mail["responseType"]), (&json!(kind), &json!(response)));
        assert_eq!((&mail["subject"], &mail["body"]["content"]), (&json!(subject), &json!("Fine.")));
        let own = ok(megan.get(&event).await, StatusCode::OK);
        assert_eq!(own.text("/attendees/0/status/response"), response);
        let of_mail = megan.get(&format!("/v1.0/me/messages/{}/event", mail["id"].as_str().unwrap())).await;
        assert_eq!(of_mail.text("/id"), own.text("/id"));
        assert_eq!(changes(&post.world, 0, Kind::Event).await, [ChangeType::Created, ChangeType::Updated]);
        let last = if action == "decline" { ChangeType::Deleted } else { ChangeType::Updated };
        assert_eq!(changes(&post.world, 1, Kind::Event).await, [ChangeType::Created, last]);
    }
}

#[tokio::test]
async fn an_attendee_who_sends_no_response_answers_only_to_the_own_calendar() {
    let mut post = Post::new().await;
    let (event, copy) = meeting(&mut post).await;
    let accepted = post.world.adele().post(&format!("{copy}/accept"), json!({ "sendResponse": "false" })).await;
    assert_eq!(accepted.status, 202);
    post.deliver().await;
    assert!(mails(&post.world.megan()).await.is_empty());
    assert_eq!(post.world.megan().get(&event).await.text("/attendees/0/status/response"), "none");
    assert_eq!(post.world.adele().get(&copy).await.text("/responseStatus/response"), "accepted");
}

#[tokio::test]
async fn another_time_can_be_proposed() {
    let mut post = Post::new().await;
    let (event, copy) = meeting(&mut post).await;
    let at = |hour: u32| json!({ "dateTime": format!("2026-12-02T{hour}:00:00"), "timeZone": "Pacific Standard Time" });
    let slot = json!({ "start": at(10), "end": at(11) });
    let body = json!({ "proposedNewTime": slot, "sendResponse": true });
    ok(post.world.adele().post(&format!("{copy}/tentativelyAccept"), body).await, StatusCode::ACCEPTED);
    post.deliver().await;
    let mail = newest_mail(&post.world, 0).await;
    assert_eq!(mail["subject"], "New Time Proposed: Plan");
    assert_eq!(
        mail["proposedNewTime"]["start"],
        json!({ "dateTime": "2026-12-02T18:00:00.0000000", "timeZone": "UTC" })
    );
    let own = post.world.megan().get(&event).await;
    assert_eq!(own.json["attendees"][0]["proposedNewTime"], mail["proposedNewTime"]);
}

#[tokio::test]
async fn answers_that_make_no_sense_are_refused() {
    let mut post = Post::new().await;
    let (event, copy) = meeting(&mut post).await;
    let world = &post.world;
    let at = |hour: u32| json!({ "dateTime": format!("2026-12-02T{hour}:00:00"), "timeZone": "UTC" });
    let slot = json!({ "start": at(10), "end": at(11) });
    let refused = [
        world.megan().post(&format!("{event}/accept"), json!({})).await,
        world.adele().post(&format!("{copy}/cancel"), json!({})).await,
        world.adele().post(&format!("{copy}/decline"), json!({ "proposedNewTime": slot, "sendResponse": false })).await,
        world.adele().post(&format!("{copy}/accept"), json!({ "proposedNewTime": slot })).await,
        world
            .adele()
            .post(&format!("{copy}/decline"), json!({ "proposedNewTime": { "start": at(11), "end": at(10) } }))
            .await,
        world.adele().post(&format!("{copy}/forward"), json!({ "toRecipients": [] })).await,
        world.megan().post("/v1.0/me/events", plan(&[attendee("nobody", "required")])).await,
        world.megan().patch(&event, json!({ "attendees": [attendee("a b@c", "required")] })).await,
        world.adele().get("/v1.0/me/messages/AAMkAAAA/event").await,
    ];
    let refused: Vec<String> = refused.iter().map(|reply| reply.refusal()).collect();
    insta::assert_json_snapshot!("refused_answers", refused);
    ok(world.megan().patch(&event, json!({ "allowNewTimeProposals": false })).await, StatusCode::OK);
    post.deliver().await;
    let proposal = post.world.adele().post(&format!("{copy}/decline"), json!({ "proposedNewTime": slot })).await;
    assert_eq!(
        proposal.refusal(),
        "400 ErrorInvalidRequest: The organizer does not allow new time proposals for this event."
    );
}

#[tokio::test]
async fn a_meeting_that_moves_voids_the_answers_and_one_that_changes_otherwise_keeps_them() {
    let mut post = Post::new().await;
    let (event, copy) = meeting(&mut post).await;
    ok(post.world.adele().post(&format!("{copy}/accept"), json!({})).await, StatusCode::ACCEPTED);
    post.deliver().await;

    ok(post.world.megan().patch(&event, json!({ "location": { "displayName": "Room 1" } })).await, StatusCode::OK);
    post.deliver().await;
    let adele = post.world.adele();
    let informed = newest_mail(&post.world, 1).await;
    assert_eq!(informed["meetingRequestType"], "informationalUpdate");
    assert_eq!(informed["previousLocation"]["displayName"], "Hall");
    let kept = adele.get(&copy).await;
    assert_eq!(
        (kept.text("/location/displayName"), kept.text("/responseStatus/response")),
        ("Room 1".to_owned(), "accepted".to_owned())
    );
    drop(adele);

    let later = json!({ "start": { "dateTime": "2026-12-01T14:00:00", "timeZone": "UTC" },
                        "end": { "dateTime": "2026-12-01T15:00:00", "timeZone": "UTC" } });
    let moved = ok(post.world.megan().patch(&event, later).await, StatusCode::OK);
    assert_eq!(moved.text("/attendees/0/status/response"), "none");
    // An answer to what the meeting was, still on its way.
    ok(post.world.adele().post(&format!("{copy}/tentativelyAccept"), json!({})).await, StatusCode::ACCEPTED);
    post.deliver().await;
    let request = newest_mail(&post.world, 1).await;
    assert_eq!(request["meetingRequestType"], "fullUpdate");
    assert_eq!(request["previousStartDateTime"]["dateTime"], "2026-12-01T10:00:00.0000000");
    assert_eq!(request["startDateTime"]["dateTime"], "2026-12-01T14:00:00.0000000");
    let copy = post.world.adele().get(&copy).await;
    assert_eq!(
        (copy.text("/responseStatus/response"), copy.text("/showAs")),
        ("notResponded".to_owned(), "tentative".to_owned())
    );
    let late = newest_mail(&post.world, 0).await;
    assert_eq!((&late["subject"], &late["isOutOfDate"]), (&json!("Tentative: Plan"), &json!(true)));
    assert_eq!(post.world.megan().get(&event).await.text("/attendees/0/status/response"), "none");

    // What is the organizer's own concerns nobody.
    ok(post.world.megan().patch(&event, json!({ "categories": ["Red"], "showAs": "oof" })).await, StatusCode::OK);
    let before = mails(&post.world.adele()).await;
    post.deliver().await;
    assert_eq!(mails(&post.world.adele()).await, before);
}

#[tokio::test]
async fn who_is_added_is_invited_and_who_is_removed_is_told() {
    let mut post = Post::new().await;
    let (event, copy) = meeting(&mut post).await;
    let others = json!({ "attendees": [attendee("alex@contoso.test", "optional")] });
    ok(post.world.megan().patch(&event, others).await, StatusCode::OK);
    post.deliver().await;
    let adele = post.world.adele();
    assert_eq!(mails(&adele).await, ["Canceled: Plan", "Plan"]);
    let off = newest_mail(&post.world, 1).await;
    assert_eq!(
        (&off["@odata.type"], &off["meetingMessageType"]),
        (&json!("#microsoft.graph.eventMessage"), &json!("meetingCancelled"))
    );
    let copy = adele.get(&copy).await;
    assert_eq!(
        (copy.text("/subject"), copy.text("/showAs"), copy.json["isCancelled"].clone()),
        ("Canceled: Plan".to_owned(), "free".to_owned(), json!(true))
    );
    assert_eq!(adele.post(&format!("/v1.0/me/events/{}/accept", copy.text("/id")), json!({})).await.status, 400);
    let alex = post.world.alex();
    assert_eq!(first(&alex, "/v1.0/me/events").await["responseStatus"]["response"], "notResponded");
    assert_eq!(newest_mail(&post.world, 2).await["ccRecipients"][0]["emailAddress"]["address"], "alex@contoso.test");
    drop((adele, alex));

    // Invited again, it is as new.
    let both =
        json!({ "attendees": [attendee("alex@contoso.test", "optional"), attendee("adele@contoso.test", "required")] });
    ok(post.world.megan().patch(&event, both).await, StatusCode::OK);
    post.deliver().await;
    let back = first(&post.world.adele(), "/v1.0/me/events").await;
    assert_eq!(
        (&back["subject"], &back["isCancelled"], &back["showAs"]),
        (&json!("Plan"), &json!(false), &json!("tentative"))
    );
    assert_eq!(mails(&post.world.alex()).await, ["Plan"], "a change of attendees is told only to those");
}

#[tokio::test]
async fn a_meeting_that_is_given_up_is_cancelled_for_its_attendees() {
    for by_action in [true, false] {
        let mut post = Post::new().await;
        let (event, copy) = meeting(&mut post).await;
        if by_action {
            ok(
                post.world.megan().post(&format!("{event}/cancel"), json!({ "Comment": "Ill." })).await,
                StatusCode::ACCEPTED,
            );
        } else {
            ok(post.world.megan().delete(&event).await, StatusCode::NO_CONTENT);
        }
        assert_eq!(post.world.megan().get(&event).await.status, 404);
        post.deliver().await;
        let adele = post.world.adele();
        let mail = newest_mail(&post.world, 1).await;
        assert_eq!(
            (&mail["subject"], &mail["meetingMessageType"]),
            (&json!("Canceled: Plan"), &json!("meetingCancelled"))
        );
        assert_eq!(mail["body"]["content"], if by_action { "Ill." } else { "" });
        assert_eq!(adele.get(&copy).await.json["isCancelled"], true);
        assert_eq!(changes(&post.world, 1, Kind::Event).await, [ChangeType::Created, ChangeType::Updated]);
        assert_eq!(changes(&post.world, 0, Kind::Event).await, [ChangeType::Created, ChangeType::Deleted]);
        // The attendee's own deletion is nobody's business.
        ok(adele.delete(&copy).await, StatusCode::NO_CONTENT);
        let gone = adele.get(&format!("/v1.0/me/messages/{}/event", mail["id"].as_str().unwrap())).await;
        assert!(gone.refusal().starts_with("404 ErrorItemNotFound"), "{}", gone.refusal());
        drop(adele);
        post.deliver().await;
        assert!(mails(&post.world.megan()).await.is_empty());
    }
}

#[tokio::test]
async fn an_event_that_the_attendee_deleted_comes_back_with_an_update_and_not_with_a_cancellation() {
    let mut post = Post::new().await;
    let (event, copy) = meeting(&mut post).await;
    ok(post.world.adele().delete(&copy).await, StatusCode::NO_CONTENT);
    ok(post.world.megan().patch(&event, json!({ "subject": "Plan B" })).await, StatusCode::OK);
    post.deliver().await;
    assert_eq!(newest_mail(&post.world, 1).await["meetingRequestType"], "newMeetingRequest");
    let copy = first(&post.world.adele(), "/v1.0/me/events").await;
    assert_eq!(copy["subject"], "Plan B");
    ok(
        post.world.adele().delete(&format!("/v1.0/me/events/{}", copy["id"].as_str().unwrap())).await,
        StatusCode::NO_CONTENT,
    );
    ok(post.world.megan().delete(&event).await, StatusCode::NO_CONTENT);
    post.deliver().await;
    assert_eq!(mails(&post.world.adele()).await, ["Canceled: Plan B", "Plan", "Plan B"]);
    assert_eq!(post.world.adele().get("/v1.0/me/events").await.json["value"], json!([]));
}

#[tokio::test]
async fn an_attendee_who_forwards_invites_others_and_the_organizer_hears_of_it() {
    let mut post = Post::new().await;
    let (event, copy) = meeting(&mut post).await;
    let body =
        json!({ "ToRecipients": [person("alex@contoso.test"), person("x@elsewhere.example")], "Comment": "Come too." });
    ok(post.world.adele().post(&format!("{copy}/forward"), body).await, StatusCode::ACCEPTED);
    post.deliver().await;
    let alex = post.world.alex();
    let mail = newest_mail(&post.world, 2).await;
    assert_eq!(mail["@odata.type"], "#microsoft.graph.eventMessageRequest");
    assert_eq!(
        (&mail["from"]["emailAddress"]["address"], &mail["body"]["content"]),
        (&json!("adele@contoso.test"), &json!("Come too."))
    );
    let invited = first(&alex, "/v1.0/me/events").await;
    assert_eq!(invited["organizer"]["emailAddress"]["address"], "megan@contoso.test");
    assert_eq!(mails(&post.world.megan()).await, ["Meeting Forward Notification: Plan"]);
    let own = post.world.megan().get(&event).await;
    let names: Vec<&Value> =
        own.json["attendees"].as_array().unwrap().iter().map(|it| &it["emailAddress"]["address"]).collect();
    assert_eq!(names, ["adele@contoso.test", "alex@contoso.test", "x@elsewhere.example"]);
    assert_eq!(changes(&post.world, 1, Kind::Event).await, [ChangeType::Created]);

    // The one who was forwarded to is an attendee as any other.
    ok(
        alex.post(&format!("/v1.0/me/events/{}/accept", invited["id"].as_str().unwrap()), json!({})).await,
        StatusCode::ACCEPTED,
    );
    drop(alex);
    post.deliver().await;
    assert_eq!(post.world.megan().get(&event).await.text("/attendees/1/status/response"), "accepted");
}

#[tokio::test]
async fn an_organizer_who_forwards_has_one_more_attendee() {
    let mut post = Post::new().await;
    let (event, _) = meeting(&mut post).await;
    let body = json!({ "toRecipients": [person("alex@contoso.test")], "comment": "" });
    ok(post.world.megan().post(&format!("{event}/forward"), body).await, StatusCode::ACCEPTED);
    post.deliver().await;
    assert_eq!(post.world.megan().get(&event).await.json["attendees"].as_array().unwrap().len(), 2);
    assert_eq!(newest_mail(&post.world, 2).await["meetingRequestType"], "newMeetingRequest");
    assert_eq!(mails(&post.world.adele()).await, ["Plan"]);
}

#[tokio::test]
async fn attendees_of_a_meeting_that_hides_them_see_only_themselves() {
    let mut post = Post::new().await;
    let mut body = plan(&[attendee("adele@contoso.test", "required"), attendee("alex@contoso.test", "required")]);
    body["hideAttendees"] = json!(true);
    ok(post.world.megan().post("/v1.0/me/events", body).await, StatusCode::CREATED);
    post.deliver().await;
    let mail = newest_mail(&post.world, 2).await;
    let event = first(&post.world.alex(), "/v1.0/me/events").await;
    for list in [&mail["toRecipients"], &event["attendees"]] {
        let list = list.as_array().unwrap();
        assert_eq!(list.len(), 1);
        assert_eq!(list[0]["emailAddress"]["address"], "alex@contoso.test");
    }
}

#[tokio::test]
async fn a_response_that_was_not_requested_is_not_sent() {
    let mut post = Post::new().await;
    let mut body = plan(&[attendee("adele@contoso.test", "required")]);
    body["responseRequested"] = json!(false);
    ok(post.world.megan().post("/v1.0/me/events", body).await, StatusCode::CREATED);
    post.deliver().await;
    let copy = first(&post.world.adele(), "/v1.0/me/events").await;
    ok(
        post.world.adele().post(&format!("/v1.0/me/events/{}/accept", copy["id"].as_str().unwrap()), json!({})).await,
        StatusCode::ACCEPTED,
    );
    post.deliver().await;
    assert!(mails(&post.world.megan()).await.is_empty());
}

#[tokio::test]
async fn a_transaction_makes_one_event_and_a_new_one_after_its_deletion() {
    let mut post = Post::new().await;
    let mut body = plan(&[attendee("adele@contoso.test", "required")]);
    body["transactionId"] = json!("t-1");
    let mut ids = BTreeSet::new();
    for _ in 0..3 {
        let megan = post.world.megan();
        let made = ok(megan.post("/v1.0/me/events", body.clone()).await, StatusCode::CREATED).text("/id");
        let again = ok(megan.post("/v1.0/me/events", body.clone()).await, StatusCode::CREATED);
        assert_eq!(again.text("/id"), made);
        assert!(ids.insert(made.clone()), "the id of a deleted event is not used again");
        ok(megan.delete(&format!("/v1.0/me/events/{made}")).await, StatusCode::NO_CONTENT);
    }
    post.deliver().await;
    assert_eq!(mails(&post.world.adele()).await.len(), 6, "each event was one invitation and one cancellation");
}

#[tokio::test]
async fn of_many_who_use_a_transaction_at_a_time_one_makes_the_event() {
    let world = World::new().await;
    let megan = world.megan();
    let mut body = plan(&[]);
    body["transactionId"] = json!("t-1");
    let make = || megan.post("/v1.0/me/events", body.clone());
    let (one, two, three) = tokio::join!(make(), make(), make());
    let ids: BTreeSet<String> =
        [one, two, three].into_iter().map(|reply| ok(reply, StatusCode::CREATED).text("/id")).collect();
    assert_eq!(ids.len(), 1);
}
