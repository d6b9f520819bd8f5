//! Meetings with people whose mail lies elsewhere: what they write of them in MIME, and what is written to them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use graph::{ChangeType, Kind};
use http::StatusCode;
use serde_json::{Value, json};
use tidings_server::sources::Delivered;

use crate::post::{Post, attendee, changes, first, mails, newest_mail, plan};
use crate::world::{Caller, ok};

/// A mail with a calendar part, from `sender`@elsewhere.example.
fn mail(sender: &str, method: &str, lines: &str) -> String {
    let head = format!(
        "From: {sender}@elsewhere.example\nTo: adele@contoso.test\nSubject: About it\nMessage-ID: <{}@x>\n\
         MIME-Version: 1.0\nContent-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/plain\n\n\
         See you.\n--b\nContent-Type: text/calendar; charset=utf-8; method={method}; name=invite.ics\n\n",
        lines.len()
    );
    let calendar =
        format!("BEGIN:VCALENDAR\nVERSION:2.0\nMETHOD:{method}\nBEGIN:VEVENT\n{lines}END:VEVENT\nEND:VCALENDAR\n");
    (head + &calendar + "--b--\n").replace('\n', "\r\n")
}

/// Nina's budget meeting with Adele, from `hour` on.
fn budget(sequence: u32, hour: u32, more: &str) -> String {
    format!(
        "UID:budget-1\nSEQUENCE:{sequence}\nSUMMARY:Budget\nLOCATION:Hall\nORGANIZER:mailto:nina@elsewhere.example\n\
         ATTENDEE;RSVP=TRUE:mailto:adele@contoso.test\nDTSTART:20261201T{hour}0000Z\nDTEND:20261201T{hour}3000Z\n{more}"
    )
}

async fn only_event(caller: &Caller<'_>) -> Value {
    let found = ok(caller.get("/v1.0/me/events").await, StatusCode::OK);
    assert!(found.json["value"].as_array().unwrap().len() < 2, "{}", found.json);
    found.json["value"][0].clone()
}

async fn value_of(caller: &Caller<'_>, mail: &Value) -> String {
    let path = format!("/v1.0/me/messages/{}/$value", mail["id"].as_str().unwrap());
    String::from_utf8(ok(caller.get(&path).await, StatusCode::OK).body).unwrap()
}

#[tokio::test]
async fn an_invitation_by_mail_is_a_request_and_a_tentative_event() {
    let post = Post::new().await;
    let invitation = mail("nina", "REQUEST", &budget(0, 10, ""));
    assert_eq!(post.arrives(1, &invitation).await, Delivered::New);
    assert_eq!(post.arrives(1, &invitation).await, Delivered::Duplicate);
    let adele = post.world.adele();
    let mail = newest_mail(&post.world, 1).await;
    assert_eq!(mail["@odata.type"], "#microsoft.graph.eventMessageRequest");
    assert_eq!((&mail["meetingRequestType"], &mail["subject"]), (&json!("newMeetingRequest"), &json!("About it")));
    assert_eq!(mail["body"]["content"].as_str().unwrap().trim(), "See you.");
    assert_eq!((&mail["hasAttachments"], &mail["location"]["displayName"]), (&json!(false), &json!("Hall")));
    let event = only_event(&adele).await;
    assert_eq!((&event["subject"], &event["iCalUId"]), (&json!("Budget"), &json!("budget-1")));
    assert_eq!((&event["isOrganizer"], &event["showAs"]), (&json!(false), &json!("tentative")));
    assert_eq!(event["responseStatus"]["response"], "notResponded");
    assert_eq!(event["organizer"]["emailAddress"]["address"], "nina@elsewhere.example");
    let of_mail = adele.get(&format!("/v1.0/me/messages/{}/event", mail["id"].as_str().unwrap())).await;
    assert_eq!(of_mail.json["id"], event["id"]);
    assert_eq!(changes(&post.world, 1, Kind::Message).await, [ChangeType::Created]);
    assert_eq!(changes(&post.world, 1, Kind::Event).await, [ChangeType::Created]);
    // The answer goes nowhere, for there is no relay; the event shows it.
    let accept = adele.post(&format!("/v1.0/me/events/{}/accept", event["id"].as_str().unwrap()), json!({})).await;
    assert_eq!(accept.status, 202);
}

#[tokio::test]
async fn an_update_by_mail_counts_unless_it_is_older_or_somebody_elses() {
    let post = Post::new().await;
    post.arrives(1, &mail("nina", "REQUEST", &budget(1, 10, ""))).await;
    post.arrives(1, &mail("nina", "REQUEST", &budget(2, 14, ""))).await;
    let told = newest_mail(&post.world, 1).await;
    assert_eq!(told["meetingRequestType"], "fullUpdate");
    assert_eq!(told["previousStartDateTime"]["dateTime"], "2026-12-01T10:00:00.0000000");
    let event = only_event(&post.world.adele()).await;
    assert_eq!(event["start"]["dateTime"], "2026-12-01T14:00:00.0000000");

    for (sender, method, sequence, kind) in [
        ("nina", "REQUEST", 1, "outdated"),
        ("oscar", "REQUEST", 3, "none"),
        ("oscar", "CANCEL", 3, ""),
        ("nina", "CANCEL", 1, ""),
    ] {
        post.arrives(1, &mail(sender, method, &budget(sequence, 16, "STATUS:CONFIRMED\n"))).await;
        let told = newest_mail(&post.world, 1).await;
        assert_eq!(told["meetingRequestType"].as_str().unwrap_or_default(), kind);
        assert_eq!(told["isOutOfDate"], json!(sequence == 1), "{sender} {method}");
        assert_eq!(only_event(&post.world.adele()).await, event, "{sender} {method}");
    }

    post.arrives(1, &mail("nina", "CANCEL", &budget(3, 14, ""))).await;
    let off = only_event(&post.world.adele()).await;
    assert_eq!((&off["subject"], &off["isCancelled"]), (&json!("Canceled: Budget"), &json!(true)));
    assert_eq!(newest_mail(&post.world, 1).await["meetingMessageType"], "meetingCancelled");
    post.arrives(1, &mail("nina", "REQUEST", &budget(2, 14, "CLASS:PUBLIC\n"))).await;
    assert_eq!(only_event(&post.world.adele()).await["isCancelled"], true, "it was off before");
}

#[tokio::test]
async fn forged_invitation_in_somebody_elses_name_is_only_a_message() {
    let post = Post::new().await;
    post.arrives(1, &mail("oscar", "REQUEST", &budget(0, 10, ""))).await;
    assert_eq!(newest_mail(&post.world, 1).await["meetingRequestType"], "none");
    assert_eq!(only_event(&post.world.adele()).await, Value::Null);
}

async fn starts_in_december(caller: &Caller<'_>) -> Vec<String> {
    let window = "startDateTime=2026-12-01&endDateTime=2026-12-31";
    let view = ok(caller.get(&format!("/v1.0/me/calendarView?{window}")).await, StatusCode::OK);
    let events = view.json["value"].as_array().unwrap().iter();
    events.map(|event| event["start"]["dateTime"].as_str().unwrap()[5..16].to_owned()).collect()
}

#[tokio::test]
async fn single_occurrences_are_changed_and_cancelled_by_mail() {
    let post = Post::new().await;
    let weekly = "RRULE:FREQ=WEEKLY;COUNT=4\n";
    post.arrives(1, &mail("nina", "REQUEST", &budget(0, 10, weekly))).await;
    let moved = budget(0, 10, "").replace("DTSTART:20261201T10", "RECURRENCE-ID:20261208T100000Z\nDTSTART:20261209T09");
    post.arrives(1, &mail("nina", "REQUEST", &moved.replace("DTEND:20261201", "DTEND:20261209"))).await;
    assert_eq!(newest_mail(&post.world, 1).await["meetingRequestType"], "fullUpdate");
    let off = budget(1, 10, "RECURRENCE-ID:20261215T100000Z\n");
    post.arrives(1, &mail("nina", "CANCEL", &off)).await;
    let adele = post.world.adele();
    assert_eq!(starts_in_december(&adele).await, ["12-01T10:00", "12-09T09:00", "12-22T10:00"]);
    let updated = [ChangeType::Created, ChangeType::Updated, ChangeType::Updated];
    assert_eq!(changes(&post.world, 1, Kind::Event).await, updated);
    // Of the series alone, at its old time.
    post.arrives(1, &mail("nina", "REQUEST", &budget(1, 10, weekly).replace("Hall", "Room"))).await;
    assert_eq!(newest_mail(&post.world, 1).await["meetingRequestType"], "informationalUpdate");
    assert_eq!(starts_in_december(&adele).await, ["12-01T10:00", "12-09T09:00", "12-22T10:00"]);
    post.arrives(1, &mail("nina", "REQUEST", &budget(2, 12, weekly))).await;
    assert_eq!(starts_in_december(&adele).await, ["12-01T12:00", "12-08T12:00", "12-15T12:00", "12-22T12:00"]);
}

#[tokio::test]
async fn an_answer_by_mail_to_one_occurrence_is_that_of_an_exception() {
    let post = Post::new().await;
    let megan = post.world.megan();
    let mut weekly = plan(&[attendee("nina@elsewhere.example", "required")]);
    weekly["recurrence"] = json!({
        "pattern": { "type": "weekly", "interval": 1, "daysOfWeek": ["tuesday"] },
        "range": { "type": "numbered", "startDate": "2026-12-01", "numberOfOccurrences": 5 },
    });
    let made = ok(megan.post("/v1.0/me/events", weekly).await, StatusCode::CREATED);
    let reply = format!(
        "UID:{}\nRECURRENCE-ID:20261208T100000Z\nORGANIZER:mailto:megan@contoso.test\n\
         ATTENDEE;PARTSTAT=DECLINED:mailto:nina@elsewhere.example\n",
        made.text("/iCalUId")
    );
    post.arrives(0, &mail("nina", "REPLY", &reply)).await;
    let exceptions = format!("/v1.0/me/events/{}/exceptionOccurrences", made.text("/id"));
    let exceptions = ok(megan.get(&exceptions).await, StatusCode::OK).json;
    assert_eq!(exceptions["value"].as_array().unwrap().len(), 1);
    let exception = &exceptions["value"][0];
    assert_eq!(exception["start"]["dateTime"], "2026-12-08T10:00:00.0000000");
    assert_eq!(exception["attendees"][0]["status"]["response"], "declined");
    let told = newest_mail(&post.world, 0).await;
    let of_mail = megan.get(&format!("/v1.0/me/messages/{}/event", told["id"].as_str().unwrap())).await;
    assert_eq!(of_mail.json["id"], exception["id"]);
}

#[tokio::test]
async fn an_answer_by_mail_is_that_of_who_sends_it() {
    let post = Post::new().await;
    let megan = post.world.megan();
    let asked = [attendee("nina@elsewhere.example", "required"), attendee("oscar@elsewhere.example", "required")];
    let made = ok(megan.post("/v1.0/me/events", plan(&asked)).await, StatusCode::CREATED);
    let reply = |who: &str, answer: &str| {
        format!(
            "UID:{}\nORGANIZER:mailto:megan@contoso.test\nATTENDEE;PARTSTAT={answer}:mailto:{who}@elsewhere.example\n",
            made.text("/iCalUId")
        )
    };
    post.arrives(0, &mail("nina", "REPLY", &reply("nina", "TENTATIVE"))).await;
    let told = newest_mail(&post.world, 0).await;
    assert_eq!(told["@odata.type"], "#microsoft.graph.eventMessageResponse");
    assert_eq!((&told["responseType"], &told["subject"]), (&json!("tentativelyAccepted"), &json!("About it")));
    let own = only_event(&megan).await;
    assert_eq!(own["attendees"][0]["status"]["response"], "tentativelyAccepted");

    post.arrives(0, &mail("nina", "REPLY", &reply("oscar", "DECLINED"))).await;
    assert!(newest_mail(&post.world, 0).await.get("@odata.type").is_none(), "nobody answers for somebody else");
    post.arrives(0, &mail("paul", "REPLY", &reply("paul", "DECLINED"))).await;
    assert_eq!(only_event(&megan).await, own, "who was not asked has no answer");
    // What was said before it was moved counts no more.
    let later = json!({ "start": { "dateTime": "2026-12-01T14:00:00", "timeZone": "UTC" },
                        "end": { "dateTime": "2026-12-01T15:00:00", "timeZone": "UTC" } });
    ok(megan.patch(&format!("/v1.0/me/events/{}", made.text("/id")), later).await, StatusCode::OK);
    post.arrives(0, &mail("oscar", "REPLY", &reply("oscar", "ACCEPTED"))).await;
    assert_eq!(newest_mail(&post.world, 0).await["isOutOfDate"], true);
    let told = ["UID:", "SEQUENCE:1\nUID:"];
    post.arrives(0, &mail("oscar", "REPLY", &reply("oscar", "ACCEPTED").replace(told[0], told[1]))).await;
    assert_eq!(only_event(&megan).await["attendees"][1]["status"]["response"], "accepted");
}

#[tokio::test]
async fn the_mime_of_a_meeting_message_does_elsewhere_what_the_message_does_here() {
    let mut post = Post::new().await;
    let everybody = [attendee("adele@contoso.test", "required"), attendee("x@elsewhere.example", "optional")];
    let made = ok(post.world.megan().post("/v1.0/me/events", plan(&everybody)).await, StatusCode::CREATED);
    post.deliver().await;
    let adele = post.world.adele();
    let invitation = value_of(&adele, &newest_mail(&post.world, 1).await).await;
    assert!(invitation.contains("text/calendar") && invitation.contains("method=\"REQUEST\""), "{invitation}");
    // Alex, say, has his calendar elsewhere.
    post.arrives(2, &invitation).await;
    let copy = only_event(&post.world.alex()).await;
    let here = only_event(&adele).await;
    for same in ["subject", "iCalUId", "start", "end", "organizer", "attendees", "body", "showAs", "responseStatus"] {
        let (copy, here) = (&copy[same], &here[same]);
        match same {
            "body" => assert_eq!(copy["content"].as_str().unwrap().trim(), here["content"].as_str().unwrap()),
            _ => assert_eq!(copy, here, "{same}"),
        }
    }
    ok(
        adele.post(&format!("/v1.0/me/events/{}/accept", here["id"].as_str().unwrap()), json!({})).await,
        StatusCode::ACCEPTED,
    );
    drop(adele);
    post.deliver().await;
    let answer = value_of(&post.world.megan(), &newest_mail(&post.world, 0).await).await;
    assert!(answer.contains("method=\"REPLY\"") && answer.contains("PARTSTAT=ACCEPTED"), "{answer}");
    ok(post.world.megan().delete(&format!("/v1.0/me/events/{}", made.text("/id"))).await, StatusCode::NO_CONTENT);
    post.deliver().await;
    let off = value_of(&post.world.adele(), &newest_mail(&post.world, 1).await).await;
    post.arrives(2, &off).await;
    assert_eq!(only_event(&post.world.alex()).await["isCancelled"], true);
    assert_eq!(mails(&post.world.alex()).await, ["Canceled: Plan", "Plan"]);
}

#[tokio::test]
async fn mime_that_is_sent_to_a_colleague_is_followed_as_what_comes_by_lmtp() {
    let mut post = Post::new().await;
    let made = ok(
        post.world.megan().post("/v1.0/me/events", plan(&[attendee("adele@contoso.test", "required")])).await,
        StatusCode::CREATED,
    );
    let reply = format!(
        "UID:{}\nORGANIZER:mailto:megan@contoso.test\nATTENDEE;PARTSTAT=DECLINED:mailto:adele@contoso.test\n",
        made.text("/iCalUId")
    );
    let reply = mail("adele", "REPLY", &reply).replace("adele@elsewhere.example", "adele@contoso.test");
    let reply = reply.replace("To: adele", "To: megan");
    let sender = post.world.adele().with("content-type", "text/plain");
    ok(sender.send("POST", "/v1.0/me/sendMail", STANDARD.encode(&reply)).await, StatusCode::ACCEPTED);
    drop(sender);
    post.deliver().await;
    let megan = post.world.megan();
    assert_eq!(newest_mail(&post.world, 0).await["meetingMessageType"], "meetingDeclined");
    let own = first(&megan, "/v1.0/me/events").await;
    assert_eq!(own["attendees"][0]["status"]["response"], "declined");
    assert_eq!(changes(&post.world, 0, Kind::Event).await, [ChangeType::Created, ChangeType::Updated]);
}
