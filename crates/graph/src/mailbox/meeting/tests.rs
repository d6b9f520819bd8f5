use serde_json::json;

use super::*;
use crate::mailbox::{create, patch, patch_occurrence, tests::fresh, tests::megan};
use crate::schema::Response;
use crate::{ChangeType, FolderId, Mutation, Refusal, WellKnown};

fn adele() -> Owner {
    Owner {
        id: "2804bc07-1e1f-4938-9085-ce6d756a32d2".parse().unwrap(),
        address: "adele@contoso.test".to_owned(),
        name: "Adele".to_owned(),
        ..megan()
    }
}

fn calendar(owner: &Owner) -> FolderId {
    WellKnown::Calendar.id_in(owner.id)
}

/// Megan's meeting with Adele, and its invitation.
fn invited() -> (Item, Notice) {
    let body = json!({
        "subject": "Plan",
        "start": { "dateTime": "2026-12-01T10:00:00", "timeZone": "UTC" },
        "end": { "dateTime": "2026-12-01T11:00:00", "timeZone": "UTC" },
        "attendees": [{ "emailAddress": { "address": "adele@contoso.test" } }],
    });
    let event = create(&megan(), &fresh(1), calendar(&megan()), body).unwrap().item;
    let notice = invitation(&megan(), &fresh(2), &event).unwrap().unwrap();
    (event, notice)
}

fn arrives(owner: &Owner, n: u8, notice: &Notice, event: Option<&Item>) -> Mutation {
    receive_meeting(owner, &fresh(n), &notice.mail, &notice.meeting, event.map_or(&[], std::slice::from_ref)).unwrap()
}

fn event_in(mutation: &Mutation) -> &Item {
    mutation.puts.iter().find(|item| item.id.kind == Kind::Event).expect("the event is written")
}

fn has_event(mutation: &Mutation) -> bool {
    mutation.puts.iter().any(|item| item.id.kind == Kind::Event)
}

#[test]
fn both_copies_of_a_meeting_are_found_without_an_index() {
    let (event, notice) = invited();
    assert_eq!(events_of_meeting(&megan(), &notice.meeting), [event.id]);
    let arrived = arrives(&adele(), 3, &notice, None);
    let copy = event_in(&arrived);
    assert_eq!(events_of_meeting(&adele(), &notice.meeting), [copy.id]);
    assert_ne!(copy.id, event.id);
    let message = arrived.puts.iter().find(|item| item.id.kind == Kind::Message).unwrap();
    assert!(events_of_message(&adele(), message).contains(&copy.id));
    assert!(entry_of_message(message, copy).is_some());
}

#[test]
fn the_message_and_the_event_are_one_mutation_with_two_changes() {
    let (_, notice) = invited();
    let arrived = arrives(&adele(), 3, &notice, None);
    let kinds: Vec<_> = arrived.changes.iter().map(|change| (change.change, change.item.kind)).collect();
    assert_eq!(kinds, [(ChangeType::Created, Kind::Message), (ChangeType::Created, Kind::Event)]);
    assert_ne!(arrived.changes[0].id, arrived.changes[1].id);
    assert!(arrived.expect.contains(&(event_in(&arrived).id, None)));
}

#[test]
fn what_is_the_organizers_own_does_not_travel() {
    let (event, _) = invited();
    let body = json!({ "categories": ["Red"], "isReminderOn": false });
    let changed = patch(&megan(), &fresh(3), &event, body).unwrap().item;
    assert_eq!(update(&megan(), &fresh(4), &event, &changed), Ok(None));
    let shared = invitation(&megan(), &fresh(5), &changed).unwrap().unwrap().meeting.event;
    assert!(!shared.contains_key("categories") && !shared.contains_key("isReminderOn"));
}

#[test]
fn only_who_organizes_a_meeting_changes_an_attendees_copy() {
    let (_, notice) = invited();
    let arrived = arrives(&adele(), 3, &notice, None);
    let copy = event_in(&arrived);
    for news in [News::Cancelled, News::Request { removed: Vec::new() }, News::Forwarded { to: Vec::new() }] {
        let mut forged = notice.clone();
        forged.meeting.news = news;
        forged.meeting.event.insert("subject".to_owned(), "Forged".into());
        forged.mail.insert("from".to_owned(), json!({ "emailAddress": { "address": "alex@contoso.test" } }));
        assert!(!has_event(&arrives(&adele(), 4, &forged, Some(copy))), "{:?}", forged.meeting.news);
    }
    let mut other = notice.clone();
    other.meeting.event.insert("organizer".to_owned(), json!({ "emailAddress": { "address": "alex@contoso.test" } }));
    other.mail.insert("from".to_owned(), json!({ "emailAddress": { "address": "alex@contoso.test" } }));
    assert!(!has_event(&arrives(&adele(), 5, &other, Some(copy))), "another organizer has no say");
}

#[test]
fn an_organizer_is_not_invited_to_the_own_meeting() {
    let (event, notice) = invited();
    assert!(!has_event(&arrives(&megan(), 3, &notice, Some(&event))));
}

#[test]
fn an_answer_of_somebody_who_was_not_asked_changes_nothing() {
    let (event, notice) = invited();
    let mut stranger = notice.clone();
    stranger.meeting.news = News::Response { answer: Answer::Accepted, proposed: None };
    stranger.mail.insert("from".to_owned(), json!({ "emailAddress": { "address": "alex@contoso.test" } }));
    assert!(!has_event(&arrives(&megan(), 3, &stranger, Some(&event))));
}

#[test]
fn what_an_attendee_shows_otherwise_stays_after_an_answer() {
    let (_, notice) = invited();
    let arrived = arrives(&adele(), 3, &notice, None);
    let copy = event_in(&arrived);
    let response = Response { comment: String::new(), send: false, proposed: None };
    for (shows, answer, then) in [
        ("tentative", Answer::Accepted, "busy"),
        ("busy", Answer::Tentative, "tentative"),
        ("oof", Answer::Accepted, "oof"),
        ("free", Answer::Accepted, "free"),
    ] {
        let mut copy = copy.clone();
        copy.properties.insert("showAs".to_owned(), shows.into());
        let (mutation, notice) = respond(&adele(), &fresh(4), &Entry::of(&copy), answer, &response).unwrap();
        assert_eq!((event_in(&mutation).properties["showAs"].as_str(), notice), (Some(then), None), "{shows}");
    }
}

#[test]
fn a_list_of_attendees_is_bounded_and_its_addresses_are_addresses() {
    let (event, _) = invited();
    let attendees = |count: usize| -> Value {
        (0..count).map(|n| json!({ "emailAddress": { "address": format!("u{n}@contoso.test") } })).collect()
    };
    let with = |attendees: Value| {
        let changed = patch(&megan(), &fresh(3), &event, json!({ "attendees": attendees })).unwrap().item;
        update(&megan(), &fresh(4), &event, &changed).map(|notice| notice.map(|notice| notice.recipients.len()))
    };
    assert_eq!(with(attendees(500)), Ok(Some(501)), "all who are new, and the one who is removed");
    assert_eq!(with(attendees(501)), Err(Refusal::TooManyRecipients { recipients_max: 500 }));
    let wrong = json!([{ "emailAddress": { "address": "nobody" } }]);
    assert_eq!(with(wrong), Err(Refusal::InvalidRecipient { address: "nobody".to_owned() }));
}

/// Megan's meeting of every Tuesday with Adele and Alex.
fn series(body: serde_json::Value) -> Item {
    let mut whole = json!({
        "subject": "Plan",
        "start": { "dateTime": "2026-12-01T10:00:00", "timeZone": "UTC" },
        "end": { "dateTime": "2026-12-01T11:00:00", "timeZone": "UTC" },
        "attendees": [
            { "emailAddress": { "address": "adele@contoso.test" } },
            { "emailAddress": { "address": "alex@contoso.test" } },
        ],
        "recurrence": {
            "pattern": { "type": "weekly", "interval": 1, "daysOfWeek": ["tuesday"] },
            "range": { "type": "noEnd", "startDate": "2026-12-01" },
        },
    });
    whole.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
    create(&megan(), &fresh(1), calendar(&megan()), whole).unwrap().item
}

fn on_the_8th(series: &Item, body: serde_json::Value) -> (Item, Notice) {
    let written = patch_occurrence(&megan(), &fresh(3), series, "2026-12-08".parse().unwrap(), body).unwrap();
    let notice = update(&megan(), &fresh(4), &written.before.item, &written.occurrence.item).unwrap().unwrap();
    (written.mutation.puts[0].clone(), notice)
}

#[test]
fn only_who_organizes_a_series_changes_an_occurrence_of_an_attendees_copy() {
    let series = series(json!({}));
    let invited = arrives(&adele(), 2, &invitation(&megan(), &fresh(2), &series).unwrap().unwrap(), None);
    let copy = event_in(&invited);
    let declined = Entry::of_occurrence(copy, "2026-12-08".parse().unwrap()).unwrap();
    let declined = declined.remove(&adele(), &fresh(3)).unwrap();
    let (_, notice) = on_the_8th(&series, json!({ "subject": "Feast" }));
    for copy in [copy, event_in(&declined)] {
        assert!(has_event(&arrives(&adele(), 5, &notice, Some(copy))), "the organizer may");
        for news in [News::Cancelled, News::Request { removed: Vec::new() }, News::Forwarded { to: Vec::new() }] {
            let mut forged = notice.clone();
            forged.meeting.news = news;
            forged.mail.insert("from".to_owned(), json!({ "emailAddress": { "address": "alex@contoso.test" } }));
            assert!(!has_event(&arrives(&adele(), 6, &forged, Some(copy))), "{:?}", forged.meeting.news);
        }
    }
}

#[test]
fn attendees_of_an_occurrence_are_hidden_as_those_of_its_series() {
    let series = series(json!({ "hideAttendees": true }));
    let body = json!({ "attendees": [
        { "emailAddress": { "address": "adele@contoso.test" } }, { "emailAddress": { "address": "diego@contoso.test" } },
    ] });
    let (series, notice) = on_the_8th(&series, body);
    let whole = invitation(&megan(), &fresh(5), &series).unwrap().unwrap();
    for notice in [notice, whole] {
        let arrived = arrives(&adele(), 6, &notice, None);
        let seen = serde_json::to_string(&event_in(&arrived).properties).unwrap();
        assert!(seen.contains("adele@") && !seen.contains("diego@") && !seen.contains("alex@"), "{seen}");
    }
}

#[test]
fn an_occurrence_of_nobodys_series_is_an_event_of_its_own_and_is_found_again() {
    let (_, notice) = on_the_8th(&series(json!({})), json!({ "subject": "Feast" }));
    let arrived = arrives(&adele(), 5, &notice, None);
    let alone = event_in(&arrived);
    assert_eq!(events_of_meeting(&adele(), &notice.meeting).last(), Some(&alone.id));
    let message = arrived.puts.iter().find(|item| item.id.kind == Kind::Message).unwrap();
    assert!(entry_of_message(message, alone).is_some_and(|entry| entry.occurrence().is_none()));
    let response = Response { comment: String::new(), send: true, proposed: None };
    let (_, answer) = respond(&adele(), &fresh(6), &Entry::of(alone), Answer::Accepted, &response).unwrap();
    let answer = answer.unwrap().meeting;
    assert_eq!(occurrence_of(&answer.event), occurrence_of(&notice.meeting.event));
}

#[test]
fn what_makes_no_event_is_only_a_message() {
    let (_, mut notice) = invited();
    let early = json!({ "dateTime": "2026-12-01T09:00:00.0000000", "timeZone": "UTC" });
    notice.meeting.event.insert("end".to_owned(), early);
    let arrived = arrives(&adele(), 3, &notice, None);
    assert!(!has_event(&arrived));
    assert_eq!(arrived.changes.len(), 1);
}

#[test]
fn an_own_event_is_found_by_a_uid_that_was_made_here_only() {
    let (event, notice) = invited();
    let mut meeting = notice.meeting;
    assert_eq!(events_of_meeting(&megan(), &meeting), [event.id]);
    meeting.event.insert("iCalUId".to_owned(), "imported@elsewhere.example".into());
    assert_eq!(events_of_meeting(&megan(), &meeting), []);
}
