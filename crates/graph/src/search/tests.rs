use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::mailbox::{Fresh, Owner, create};
use crate::{ChangeId, WellKnown};

fn message() -> Item {
    let owner = Owner {
        tenant: "84bd8158-6d4d-4958-8b9f-9d6445542f95".parse().unwrap(),
        id: "622eaaff-0683-4862-9de4-f2ec83c2bd98".parse().unwrap(),
        address: "megan@contoso.test".to_owned(),
        name: "Megan Bowen".to_owned(),
    };
    let fresh = Fresh {
        now: "2026-11-21T10:00:00Z".parse().unwrap(),
        uuid: Uuid::from_u128(1),
        change: ChangeId(Uuid::from_u128(2)),
        removal: ChangeId(Uuid::from_u128(3)),
    };
    let person = |name: &str, address: &str| json!({ "emailAddress": { "name": name, "address": address } });
    let body = json!({
        "subject": "Quarterly Report: Zürich",
        "importance": "high",
        "body": { "contentType": "html", "content": "<div>See you at <b>noon</b></div>" },
        "toRecipients": [person("Adele Vance", "adele@contoso.test")],
        "ccRecipients": [person("Lee", "lee@fabrikam.test")],
    });
    let mut item = create(&owner, &fresh, WellKnown::Drafts.id_in(owner.id), body).unwrap().item;
    item.properties.insert("from".to_owned(), person("Megan Bowen", "megan@contoso.test"));
    item.properties.insert("receivedDateTime".to_owned(), "2026-11-21T10:00:00Z".into());
    item
}

#[test]
fn searches_find_what_kql_says() {
    let item = message();
    let attachments = ["Plan 2027.PDF", "photo.jpeg"].map(|name| Attachment {
        id: crate::AttachmentId::new(Kind::Message, Uuid::from_u128(name.len() as u128)),
        properties: [("name".to_owned(), name.into())].into_iter().collect(),
    });
    for (search, found) in [
        ("\"report\"", true),
        ("report", true),
        ("\"rep\"", false),
        ("\"rep*\"", true),
        ("\"ZÜRICH noon\"", true),
        ("\"report quarterly\"", true),
        ("\"\\\"report quarterly\\\"\"", false),
        ("\"\\\"quarterly report\\\"\"", true),
        ("div", false),
        ("megan@contoso.test", true),
        ("adele", false),
        ("\"to:adele\"", true),
        ("to:\"Adele Vance\"", true),
        ("from:adele", false),
        ("recipients:fabrikam", true),
        ("participants:bowen AND cc:lee@fabrikam.test", true),
        ("subject:report AND NOT body:noon", false),
        ("subject:(report)", false),
        ("from:lee OR (noon -lunch)", true),
        ("nothing OR subject:rep*", true),
        ("hasAttachment:false importance:HIGH kind:email", true),
        ("hasattachments=true", false),
        ("received:2026-11-21", true),
        ("received>2026-11-21", false),
        ("received>=11/21/2026 received<2026-11-22", true),
        ("received:>=2026-11-20", true),
        ("received:2026-11-01..2026-11-20", false),
        ("received<>2026-11-21", false),
        ("size<1mb AND size>10", true),
        ("\"attachment:plan\"", true),
        ("attachment:pho* NOT attachment:pdf", false),
        ("attachment:\"2027 pdf\"", true),
        ("attachment:noon OR attachment:png", false),
        ("jpeg", false),
    ] {
        match Search::read(search) {
            Ok(read) => assert_eq!(read.matches(&item, &attachments), found, "{search}"),
            Err(_) if search == "subject:(report)" => {}
            Err(refusal) => panic!("{search}: {refusal}"),
        }
    }
}

#[test]
fn a_search_says_whether_it_needs_the_names_of_attachments() {
    for (search, needed) in [("report", false), ("a OR -(b attachment:x)", true), ("hasAttachment:true", false)] {
        assert_eq!(Search::read(search).unwrap().seeks_attachments(), needed, "{search}");
    }
}

#[test]
fn a_search_that_cannot_be_made_says_why() {
    for (search, message) in [
        ("", "syntax error at position 0: a word expected"),
        ("\"a AND\"", "syntax error at position 5: a word expected"),
        ("(a", "syntax error at position 2: ')' expected"),
        ("a)", "syntax error at position 1: a word expected"),
        ("\"open", "syntax error at position 0: a closing quote expected"),
        ("re:x", "the property 're' at position 0 cannot be searched"),
        ("received:soon", "'soon' at position 9 is no value of this property: write a date: 2026-01-31"),
        ("importance:urgent", "'urgent' at position 11 is no value of this property: write low, normal or high"),
    ] {
        assert_eq!(Search::read(search).unwrap_err().to_string(), message, "{search}");
    }
    let large = "a ".repeat(TERMS_MAX + 1);
    assert_eq!(Search::read(&large), Err(SearchRefusal::TooLarge));
    assert_eq!(Search::read(&"(".repeat(1000)), Err(SearchRefusal::TooLarge));
}
