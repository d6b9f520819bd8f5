use serde_json::{Value, json};

use super::*;
use crate::Refusal;

fn refused(entity: Entity, body: Value) -> String {
    read(entity, body).unwrap_err().to_string()
}

#[test]
fn names_enumerations_and_times_come_out_in_graphs_spelling() {
    let body = json!({
        "@odata.type": "#microsoft.graph.Message",
        "Subject": "Hi",
        "importance": "High",
        "BODY": { "@odata.type": "#microsoft.graph.ItemBody", "ContentType": "HTML", "content": "<p>x</p>" },
        "toRecipients@odata.context": "…",
        "@Microsoft.Graph.tips": "…",
        "toRecipients": [{ "emailaddress": { "Address": "a@contoso.test" } }],
        "isRead": "False",
        "receivedDateTime": "2026-11-21T10:00:00.5+02:00",
    });
    insta::assert_json_snapshot!(read(Entity::Message, body).unwrap(), @r#"
    {
      "body": {
        "content": "<p>x</p>",
        "contentType": "html"
      },
      "importance": "high",
      "isRead": false,
      "receivedDateTime": "2026-11-21T08:00:00Z",
      "subject": "Hi",
      "toRecipients": [
        {
          "emailAddress": {
            "address": "a@contoso.test"
          }
        }
      ]
    }
    "#);
}

#[test]
fn what_only_the_server_sets_is_dropped() {
    for entity in Entity::ALL {
        let body = json!({ "id": 1, "@odata.etag": "x" });
        assert_eq!(read(entity, body), Ok(serde_json::Map::new()), "{entity:?}");
    }
    let body = json!({ "changeKey": "x", "webLink": "x", "conversationId": "x", "parentFolderId": "x" });
    assert_eq!(read(Entity::Message, body), Ok(serde_json::Map::new()));
}

#[test]
fn a_refusal_names_the_property_and_what_it_should_be() {
    for (entity, body, text) in [
        (Entity::Message, json!([]), "message must be a JSON object"),
        (Entity::Message, json!({ "subjekt": "x" }), "the type has no property subjekt"),
        (Entity::Message, json!({ "subject": 1 }), "subject must be a string"),
        (Entity::Message, json!({ "subject": "a", "Subject": "b" }), "subject is given twice"),
        (Entity::Message, json!({ "isRead": "yes" }), "isRead must be a boolean"),
        (Entity::Message, json!({ "importance": "urgent" }), "importance must be one of low, normal, high"),
        (Entity::Message, json!({ "toRecipients": {} }), "toRecipients must be an array"),
        (
            Entity::Message,
            json!({ "toRecipients": [{ "emailAddress": { "address": 5 } }] }),
            "toRecipients/emailAddress/address must be a string",
        ),
        (
            Entity::Message,
            json!({ "from": { "emailAddress": { "mail": "x" } } }),
            "the type has no property from/emailAddress/mail",
        ),
        (
            Entity::Message,
            json!({ "attachments": [{ "name": "x" }] }),
            "attachments/@odata.type must be #microsoft.graph.fileAttachment",
        ),
        (
            Entity::Message,
            json!({ "extensions": [{ "extensionName": "x" }] }),
            "extensions/@odata.type must be #microsoft.graph.openTypeExtension",
        ),
        (
            Entity::Message,
            json!({ "attachments": [{ "@odata.type": "#microsoft.graph.itemAttachment", "item": { "subject": "x" } }] }),
            "attachments/item/@odata.type must be #microsoft.graph.message, event or contact",
        ),
        (
            Entity::Contact,
            json!({ "multiValueExtendedProperties": [{ "id": "String 0x7001", "value": [] }] }),
            "multiValueExtendedProperties/id must be such as StringArray {66f5a359-4659-4830-9070-00050ec6ac6e} Name \
             Recreation",
        ),
        (
            Entity::Message,
            json!({ "sentDateTime": "2026-11-21T10:00:00" }),
            "sentDateTime must be a date-time with a time zone offset",
        ),
        (Entity::Event, json!({ "start": null, "calendar": {} }), "calendar is not supported"),
        (
            Entity::Event,
            json!({ "reminderMinutesBeforeStart": 1.5 }),
            "reminderMinutesBeforeStart must be a 32-bit integer",
        ),
        (
            Entity::Event,
            json!({ "recurrence": { "range": { "startDate": "tomorrow" } } }),
            "recurrence/range/startDate must be a date",
        ),
        (Entity::Contact, json!({ "businessPhones": ["1", 2] }), "businessPhones must be a string"),
        (Entity::MailFolder, json!({ "name": "x" }), "the type has no property name"),
        (Entity::MailFolder, json!({ "a@b": "x" }), "the type has no property a@b"),
    ] {
        assert_eq!(refused(entity, body.clone()), text, "{body}");
    }
}

#[test]
fn bounds_hold() {
    let long = "x".repeat(STRING_BYTES_MAX + 1);
    assert_eq!(refused(Entity::Message, json!({ "subject": long })), "subject is too long: 65536 bytes are the most");
    assert!(read(Entity::Message, json!({ "body": { "content": long } })).is_ok());
    let many = vec!["x"; MEMBERS_MAX + 1];
    assert_eq!(
        refused(Entity::Message, json!({ "categories": many })),
        "categories is too long: 1000 members are the most"
    );
    let deep = (0..40).fold(json!("x"), |inner, _| json!([inner]));
    assert_eq!(refused(Entity::Message, json!({ "id": deep })), "the body is nested more than 16 levels deep");
}

#[test]
fn parameters_of_actions_are_found_in_any_case() {
    let (message, save) = send_mail(json!({ "Message": { "subject": "x" }, "saveToSentItems": "false" })).unwrap();
    assert_eq!((message, save), (json!({ "subject": "x" }), false));
    assert!(send_mail(json!({ "message": {} })).unwrap().1);
    assert_eq!(send_mail(json!({})), Err(Refusal::Missing { property: "message" }));
    let inbox = destination(Kind::Message, json!({ "DestinationId": "Inbox" })).unwrap();
    assert_eq!(inbox, crate::path::FolderKey::WellKnown(crate::WellKnown::Inbox));
    assert_eq!(
        destination(Kind::Message, json!({ "comment": "x", "destinationId": "y" })).unwrap_err().to_string(),
        "the type has no property comment"
    );
}
