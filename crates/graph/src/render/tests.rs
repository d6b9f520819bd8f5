use uuid::Uuid;

use super::*;
use crate::mailbox::tests::megan;
use crate::mailbox::{Fresh, create};
use crate::{ChangeId, Timestamp};

fn made(well_known: WellKnown, body: Value) -> Item {
    let fresh = Fresh {
        now: "2026-11-21T10:00:00.25Z".parse::<Timestamp>().unwrap(),
        uuid: Uuid::from_u128(1),
        change: ChangeId(Uuid::from_u128(2)),
        removal: ChangeId(Uuid::from_u128(3)),
    };
    create(&megan(), &fresh, well_known.id_in(megan().id), body).unwrap().item
}

fn draft() -> Item {
    made(WellKnown::Drafts, json!({ "subject": "Hi", "body": { "contentType": "html", "content": "<p>x</p>" } }))
}

#[test]
fn a_message() {
    let context = context("https://localhost/v1.0", megan().id, "messages", None, true);
    let view = View { context: Some(&context), ..View::default() };
    insta::assert_json_snapshot!(item(&draft(), view), @r#"
    {
      "@odata.context": "https://localhost/v1.0/$metadata#users('622eaaff-0683-4862-9de4-f2ec83c2bd98')/messages/$entity",
      "@odata.etag": "W/\"CQAAABYAAAAAAAAAAAAAAAAAAAAAAAACAAAAAAAA\"",
      "bccRecipients": [],
      "body": {
        "content": "<p>x</p>",
        "contentType": "html"
      },
      "bodyPreview": "x",
      "categories": [],
      "ccRecipients": [],
      "changeKey": "CQAAABYAAAAAAAAAAAAAAAAAAAAAAAACAAAAAAAA",
      "conversationId": "AAQkABTqqwXdCVlRp617Uusvw1I=",
      "conversationIndex": "AQHdeZ8SFOqrBd0JWVGnrXtS6y/DUg==",
      "createdDateTime": "2026-11-21T10:00:00Z",
      "flag": {
        "flagStatus": "notFlagged"
      },
      "hasAttachments": false,
      "id": "AAMkRgAAAAAAAAAAAAAAAAAAAAEAAAA=",
      "importance": "normal",
      "inferenceClassification": "focused",
      "internetMessageId": "<00000000-0000-0000-0000-000000000001@contoso.test>",
      "isDeliveryReceiptRequested": false,
      "isDraft": true,
      "isRead": true,
      "isReadReceiptRequested": false,
      "lastModifiedDateTime": "2026-11-21T10:00:00Z",
      "parentFolderId": "AQMkRj-XE0MH8FSGgqLBWHaDV-0AAAA=",
      "receivedDateTime": "2026-11-21T10:00:00Z",
      "replyTo": [],
      "sentDateTime": "2026-11-21T10:00:00Z",
      "subject": "Hi",
      "toRecipients": [],
      "webLink": "https://outlook.example/owa/?ItemID=AAMkRgAAAAAAAAAAAAAAAAAAAAEAAAA%3D&exvsurl=1&viewmodel=ReadMessageItem"
    }
    "#);
}

#[test]
fn an_event() {
    let event = made(
        WellKnown::Calendar,
        json!({
            "subject": "Plan",
            "start": { "dateTime": "2026-11-25T10:00:00", "timeZone": "Europe/Berlin" },
            "end": { "dateTime": "2026-11-25T11:00:00", "timeZone": "Europe/Berlin" },
        }),
    );
    insta::assert_json_snapshot!(item(&event, View::default()), @r#"
    {
      "@odata.etag": "W/\"CQAAABYAAAAAAAAAAAAAAAAAAAAAAAACAAAAAAAA\"",
      "allowNewTimeProposals": true,
      "attendees": [],
      "body": {
        "content": "",
        "contentType": "text"
      },
      "bodyPreview": "",
      "categories": [],
      "changeKey": "CQAAABYAAAAAAAAAAAAAAAAAAAAAAAACAAAAAAAA",
      "createdDateTime": "2026-11-21T10:00:00Z",
      "end": {
        "dateTime": "2026-11-25T10:00:00.0000000",
        "timeZone": "UTC"
      },
      "hasAttachments": false,
      "hideAttendees": false,
      "iCalUId": "040000008200E00074C5B7101A82E00800000000A0352A129F79DD0100000000000000001000000000000000000000000000000000000001",
      "id": "AAMkDQAAAAAAAAAAAAAAAAAAAAEAAAA=",
      "importance": "normal",
      "isAllDay": false,
      "isCancelled": false,
      "isDraft": false,
      "isOnlineMeeting": false,
      "isOrganizer": true,
      "isReminderOn": true,
      "lastModifiedDateTime": "2026-11-21T10:00:00Z",
      "location": {
        "address": {},
        "coordinates": {},
        "displayName": "",
        "locationType": "default",
        "uniqueIdType": "unknown"
      },
      "locations": [],
      "onlineMeeting": null,
      "onlineMeetingProvider": "unknown",
      "onlineMeetingUrl": null,
      "organizer": {
        "emailAddress": {
          "address": "megan@contoso.test",
          "name": "Megan"
        }
      },
      "originalEndTimeZone": "Europe/Berlin",
      "originalStartTimeZone": "Europe/Berlin",
      "recurrence": null,
      "reminderMinutesBeforeStart": 15,
      "responseRequested": true,
      "responseStatus": {
        "response": "organizer",
        "time": "0001-01-01T00:00:00Z"
      },
      "sensitivity": "normal",
      "seriesMasterId": null,
      "showAs": "busy",
      "start": {
        "dateTime": "2026-11-25T09:00:00.0000000",
        "timeZone": "UTC"
      },
      "subject": "Plan",
      "type": "singleInstance",
      "webLink": "https://outlook.example/owa/?itemid=AAMkDQAAAAAAAAAAAAAAAAAAAAEAAAA%3D&exvsurl=1&path=/calendar/item"
    }
    "#);
}

#[test]
fn a_contact() {
    let contact = made(
        WellKnown::Contacts,
        json!({
            "givenName": "Adele",
            "emailAddresses": [{ "address": "adele@contoso.test" }],
            "homeAddress": { "city": "Lyon" },
        }),
    );
    insta::assert_json_snapshot!(item(&contact, View::default()), @r#"
    {
      "@odata.etag": "W/\"CQAAABYAAAAAAAAAAAAAAAAAAAAAAAACAAAAAAAA\"",
      "assistantName": null,
      "birthday": null,
      "businessAddress": {},
      "businessHomePage": null,
      "businessPhones": [],
      "categories": [],
      "changeKey": "CQAAABYAAAAAAAAAAAAAAAAAAAAAAAACAAAAAAAA",
      "children": [],
      "companyName": null,
      "createdDateTime": "2026-11-21T10:00:00Z",
      "department": null,
      "displayName": "Adele",
      "emailAddresses": [
        {
          "address": "adele@contoso.test",
          "name": "adele@contoso.test"
        }
      ],
      "fileAs": "Adele",
      "generation": null,
      "givenName": "Adele",
      "homeAddress": {
        "city": "Lyon"
      },
      "homePhones": [],
      "id": "AAMkDgAAAAAAAAAAAAAAAAAAAAEAAAA=",
      "imAddresses": [],
      "initials": null,
      "jobTitle": null,
      "lastModifiedDateTime": "2026-11-21T10:00:00Z",
      "manager": null,
      "middleName": null,
      "mobilePhone": null,
      "nickName": null,
      "officeLocation": null,
      "otherAddress": {},
      "parentFolderId": "AQMkDte_2bRZi1JolXD3EZTJ9oQAAAA=",
      "personalNotes": null,
      "primaryEmailAddress": {
        "address": "adele@contoso.test",
        "name": "adele@contoso.test"
      },
      "profession": null,
      "secondaryEmailAddress": null,
      "spouseName": null,
      "surname": null,
      "tertiaryEmailAddress": null,
      "title": null,
      "yomiCompanyName": null,
      "yomiGivenName": null,
      "yomiSurname": null
    }
    "#);
}

#[test]
fn folders_of_each_kind() {
    let folder = |well_known: WellKnown| well_known.folder_in(megan().id);
    let counts = Counts { total: 60, unread: 59, children: 2 };
    insta::assert_json_snapshot!(mail_folder(&folder(WellKnown::Inbox), counts, View::default()), @r#"
    {
      "childFolderCount": 2,
      "displayName": "Inbox",
      "id": "AQMkRi4cpFXNFFluj4u_q0t5lysAAAA=",
      "isHidden": false,
      "parentFolderId": "AQMkRlXsWvWQtl9Ov98YBEUOzCIAAAA=",
      "totalItemCount": 60,
      "unreadItemCount": 59
    }
    "#);
    insta::assert_json_snapshot!(calendar(&folder(WellKnown::Calendar), &megan(), View::default()), @r#"
    {
      "allowedOnlineMeetingProviders": [],
      "canEdit": true,
      "canShare": true,
      "canViewPrivateItems": true,
      "changeKey": "CQAAABYAAAASOnqmLBdfq5wgPWROGNDYAAAAAAAA",
      "color": "auto",
      "defaultOnlineMeetingProvider": "unknown",
      "hexColor": "",
      "id": "AQMkDSVvUF7KgVlJpAehvBZ498sAAAA=",
      "isDefaultCalendar": true,
      "isRemovable": false,
      "isTallyingResponses": true,
      "name": "Calendar",
      "owner": {
        "address": "megan@contoso.test",
        "name": "Megan"
      }
    }
    "#);
    insta::assert_json_snapshot!(contact_folder(&folder(WellKnown::Contacts), View::default()), @r#"
    {
      "displayName": "Contacts",
      "id": "AQMkDte_2bRZi1JolXD3EZTJ9oQAAAA=",
      "parentFolderId": null
    }
    "#);
}

#[test]
fn a_selection_shows_what_it_names_and_always_the_id() {
    let select = Select::read(Entity::Message, "Subject, BODY,from/emailAddress,uniqueBody").unwrap();
    let select = select.as_ref();
    let context = context("https://localhost/v1.0", megan().id, "messages", select, false);
    insta::assert_json_snapshot!(item(&draft(), View { context: Some(&context), select, ..View::default() }), @r#"
    {
      "@odata.context": "https://localhost/v1.0/$metadata#users('622eaaff-0683-4862-9de4-f2ec83c2bd98')/messages(body,from,subject,uniqueBody)",
      "@odata.etag": "W/\"CQAAABYAAAAAAAAAAAAAAAAAAAAAAAACAAAAAAAA\"",
      "body": {
        "content": "<p>x</p>",
        "contentType": "html"
      },
      "from": null,
      "id": "AAMkRgAAAAAAAAAAAAAAAAAAAAEAAAA=",
      "subject": "Hi",
      "uniqueBody": {
        "content": "<p>x</p>",
        "contentType": "html"
      }
    }
    "#);
    assert_eq!(Select::read(Entity::Message, "*, subject"), Ok(None));
    assert_eq!(Select::read(Entity::Message, " , "), Ok(None));
    let unknown = Refusal::UnknownProperty { property: "subjekt".to_owned() };
    assert_eq!(Select::read(Entity::Message, "subjekt"), Err(unknown));
    let name = Select::read(Entity::Calendar, "name").unwrap();
    let calendar = calendar(
        &WellKnown::Calendar.folder_in(megan().id),
        &megan(),
        View { select: name.as_ref(), ..View::default() },
    );
    assert_eq!(calendar.as_object().unwrap().keys().collect::<Vec<_>>(), ["id", "name"]);
}

#[test]
fn extensions_and_headers_are_not_shown_unasked() {
    let message = made(
        WellKnown::Drafts,
        json!({
            "internetMessageHeaders": [{ "name": "x-a", "value": "b" }],
            "singleValueExtendedProperties": [{ "id": "String 0x7001", "value": "z" }],
            "extensions": [{ "@odata.type": "microsoft.graph.openTypeExtension", "extensionName": "com.contoso.x" }],
        }),
    );
    let shown = item(&message, View::default());
    for name in ["internetMessageHeaders", "singleValueExtendedProperties", "extensions"] {
        assert!(message.properties.contains_key(name) && shown.get(name).is_none(), "{name}");
    }
    let select = Select::read(Entity::Message, "internetMessageHeaders").unwrap();
    let shown = item(&message, View { select: select.as_ref(), ..View::default() });
    assert_eq!(shown["internetMessageHeaders"][0]["name"], "x-a");
}

#[test]
fn bodies_are_shown_in_the_form_that_is_preferred() {
    let message = made(
        WellKnown::Drafts,
        json!({ "body": { "contentType": "html", "content": "<p onclick=x>One</p><blockquote>Two</blockquote>" } }),
    );
    let select = Select::read(Entity::Message, "body,uniqueBody").unwrap();
    let shown = |prefer: &Preferences| {
        let shown = item(&message, View { context: None, select: select.as_ref(), prefer });
        (shown["body"]["content"].clone(), shown["uniqueBody"]["content"].clone())
    };
    let safe = Preferences::default();
    assert_eq!(shown(&safe), (json!("<p>One</p><blockquote>Two</blockquote>"), json!("<p>One</p>")));
    let text = Preferences { body: Some(BodyType::Text), ..Preferences::default() };
    assert_eq!(shown(&text), (json!("One\nTwo"), json!("One")));
    let raw = Preferences { unsafe_html: true, ..Preferences::default() };
    assert_eq!(shown(&raw).0, message.properties["body"]["content"]);
}

#[test]
fn basic_access_shows_no_bodies() {
    let body = json!({ "subject": "s", "body": { "contentType": "text", "content": "secret" } });
    let select = Select::read(Entity::Message, "subject,body,bodyPreview,uniqueBody").unwrap();
    let basic = Preferences { basic: vec![Kind::Message], ..Preferences::default() };
    for select in [None, select.as_ref()] {
        let shown = item(&made(WellKnown::Drafts, body.clone()), View { context: None, select, prefer: &basic });
        assert_eq!(shown["subject"], "s");
        for name in ["body", "bodyPreview", "uniqueBody"] {
            assert!(shown.get(name).is_none(), "{name}");
        }
        let events = Preferences { basic: vec![Kind::Event], ..Preferences::default() };
        let shown = item(&made(WellKnown::Drafts, body.clone()), View { context: None, select: None, prefer: &events });
        assert_eq!(shown["body"]["content"], "secret");
    }
}

#[test]
fn what_a_text_quotes_is_not_its_own() {
    for (text, own) in [
        ("Yes.\r\n\r\n-----Original Message-----\r\nFrom: x", "Yes."),
        ("Yes.\n\n________________________________\nFrom: x", "Yes."),
        ("Yes.\nOn Monday Alex wrote:\n> No.", "Yes."),
        ("Yes.\n-- \nMegan", "Yes.\n-- \nMegan"),
    ] {
        let message = made(WellKnown::Drafts, json!({ "body": { "contentType": "text", "content": text } }));
        let select = Select::read(Entity::Message, "uniqueBody").unwrap();
        let shown = item(&message, View { select: select.as_ref(), ..View::default() });
        assert_eq!(shown["uniqueBody"]["content"], own);
    }
}
