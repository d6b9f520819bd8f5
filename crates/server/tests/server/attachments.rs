//! Megan attaches things.

use http::StatusCode;
use serde_json::{Value, json};
use tidings_server::seed;

use crate::world::{Reply, World, ok, settled};

fn file(name: &str, content: &str) -> Value {
    json!({"@odata.type": "#microsoft.graph.fileAttachment", "name": name, "contentType": "text/plain",
           "contentBytes": content})
}

#[tokio::test]
async fn a_file_is_attached_listed_read_and_taken_away() {
    let world = World::new().await;
    let megan = world.megan();
    let path = format!("/v1.0/me/messages/{}", megan.draft("with a file").await);
    let before = megan.get(&path).await.text("/changeKey");
    let made = ok(megan.post(&format!("{path}/attachments"), file("a.txt", "aGk=")).await, StatusCode::CREATED);
    let context = made.text("/@odata.context");
    assert!(context.contains("$metadata#users('") && context.ends_with("')/attachments/$entity"), "{context}");
    let mut shown = settled(&made.json);
    shown.as_object_mut().unwrap().remove("@odata.context");
    insta::assert_json_snapshot!(shown, @r##"
    {
      "@odata.type": "#microsoft.graph.fileAttachment",
      "contentBytes": "aGk=",
      "contentId": null,
      "contentLocation": null,
      "contentType": "text/plain",
      "id": "[id]",
      "isInline": false,
      "lastModifiedDateTime": "[lastModifiedDateTime]",
      "name": "a.txt",
      "size": 2
    }
    "##);
    let id = made.text("/id");
    assert!(made.header("location").ends_with(&format!("/attachments('{id}')")));

    let message = megan.get(&path).await;
    assert_eq!(message.json["hasAttachments"], true);
    assert_ne!(message.text("/changeKey"), before);
    assert_eq!(message.json.get("attachments"), None);

    let listed = ok(megan.get(&format!("{path}/attachments?$count=true")).await, StatusCode::OK);
    assert_eq!((&listed.json["@odata.count"], listed.text("/value/0/contentBytes")), (&json!(1), "aGk=".to_owned()));
    let names = ok(megan.get(&format!("{path}/attachments?$select=name")).await, StatusCode::OK);
    assert_eq!(names.json["value"][0].get("contentBytes"), None);
    let read = ok(megan.get(&format!("{path}/attachments/{id}")).await, StatusCode::OK);
    assert_eq!(read.json, made.json);
    let value = ok(megan.get(&format!("{path}/attachments('{id}')/$value")).await, StatusCode::OK);
    assert_eq!((value.body.as_slice(), value.header("content-type")), (&b"hi"[..], "text/plain"));
    let count = ok(megan.get(&format!("{path}/attachments/$count")).await, StatusCode::OK);
    assert_eq!(count.body, b"1");

    ok(megan.delete(&format!("{path}/attachments/{id}")).await, StatusCode::NO_CONTENT);
    assert_eq!(megan.get(&path).await.json["hasAttachments"], false);
    let gone = megan.get(&format!("{path}/attachments/{id}")).await;
    assert_eq!(gone.refusal(), "404 ErrorItemNotFound: The specified object was not found in the store.");
}

#[tokio::test]
async fn what_a_new_item_brings_stays_with_it_when_it_is_copied_and_moved() {
    let world = World::new().await;
    let megan = world.megan();
    let body = json!({"subject": "x", "attachments": [file("a.txt", "aGk=")]});
    let made = ok(megan.post("/v1.0/me/messages", body).await, StatusCode::CREATED);
    assert_eq!(made.json["hasAttachments"], true);
    let path = format!("/v1.0/me/messages/{}", made.text("/id"));
    let to = json!({"destinationId": "archive"});
    let copied = ok(megan.post(&format!("{path}/copy"), to.clone()).await, StatusCode::CREATED).text("/id");
    let moved = ok(megan.post(&format!("{path}/move"), to).await, StatusCode::CREATED).text("/id");
    for id in [copied, moved] {
        let listed = ok(megan.get(&format!("/v1.0/me/messages/{id}/attachments")).await, StatusCode::OK);
        assert_eq!(listed.text("/value/0/contentBytes"), "aGk=");
    }
    let at = json!({"dateTime": "2026-12-01T10:00:00", "timeZone": "UTC"});
    let event = json!({"subject": "y", "start": at, "end": at, "attachments": [file("b.txt", "aGk=")]});
    let event = ok(megan.post("/v1.0/me/events", event).await, StatusCode::CREATED);
    let listed = ok(megan.get(&format!("/v1.0/me/events/{}/attachments", event.text("/id"))).await, StatusCode::OK);
    assert_eq!(listed.text("/value/0/name"), "b.txt");
}

#[tokio::test]
async fn an_attached_item_is_shown_only_when_expanded_and_read_as_mime() {
    let world = World::new().await;
    let megan = world.megan();
    let path = format!("/v1.0/me/messages/{}/attachments", megan.draft("outer").await);
    let item = json!({"@odata.type": "microsoft.graph.message", "subject": "inner", "body": {"content": "deep"}});
    let body = json!({"@odata.type": "#microsoft.graph.itemAttachment", "name": "inner", "item": item});
    let made = ok(megan.post(&path, body).await, StatusCode::CREATED);
    let id = made.text("/id");
    assert_eq!((made.json.get("item"), made.json.get("contentBytes")), (None, None));
    let expand = "$expand=microsoft.graph.itemattachment/item";
    let read = ok(megan.get(&format!("{path}/{id}?{expand}")).await, StatusCode::OK);
    assert_eq!((read.text("/item/subject"), read.text("/item/body/content")), ("inner".to_owned(), "deep".to_owned()));
    let listed = ok(megan.get(&format!("{path}?{expand}")).await, StatusCode::OK);
    assert_eq!(listed.text("/value/0/item/subject"), "inner");
    let value = ok(megan.get(&format!("{path}/{id}/$value")).await, StatusCode::OK);
    assert!(String::from_utf8(value.body).unwrap().contains("Subject: inner\r\n"));

    let link = json!({"@odata.type": "#microsoft.graph.referenceAttachment", "name": "on a drive"});
    let link = ok(megan.post(&path, link).await, StatusCode::CREATED).text("/id");
    assert_eq!(megan.get(&format!("{path}/{link}/$value")).await.status, 405);
}

#[tokio::test]
async fn an_attached_event_is_read_as_a_calendar_and_a_contact_as_a_card() {
    let world = World::new().await;
    let megan = world.megan();
    let path = format!("/v1.0/me/messages/{}/attachments", megan.draft("outer").await);
    let at = |hour: u32| json!({"dateTime": format!("2026-12-01T{hour}:00:00"), "timeZone": "W. Europe Standard Time"});
    let event = json!({"@odata.type": "microsoft.graph.event", "subject": "Plan", "start": at(10), "end": at(11)});
    let contact = json!({"@odata.type": "microsoft.graph.contact", "givenName": "Adele",
        "emailAddresses": [{"address": "adele@contoso.test"}]});
    for (item, media, line) in [
        (event, "text/calendar; charset=utf-8", "DTSTART:20261201T090000Z"),
        (contact, "text/vcard; charset=utf-8", "EMAIL:adele@contoso.test"),
    ] {
        let body = json!({"@odata.type": "#microsoft.graph.itemAttachment", "name": "inner", "item": item});
        let made = ok(megan.post(&path, body).await, StatusCode::CREATED).text("/id");
        let value = ok(megan.get(&format!("{path}/{made}/$value")).await, StatusCode::OK);
        assert_eq!(value.header("content-type"), media);
        let text = String::from_utf8(value.body).unwrap();
        assert!(text.split("\r\n").any(|written| written == line), "{text}");
    }
}

#[tokio::test]
async fn attachments_that_cannot_be_are_refused_by_name() {
    let world = World::new().await;
    let megan = world.megan();
    let path = format!("/v1.0/me/messages/{}/attachments", megan.draft("x").await);
    let mut seen = Vec::new();
    for body in [
        json!({"name": "no type"}),
        json!({"@odata.type": "#microsoft.graph.fileAttachment", "contentBytes": "aGk="}),
        json!({"@odata.type": "#microsoft.graph.fileAttachment", "name": "x", "contentBytes": "???"}),
        json!({"@odata.type": "#microsoft.graph.itemAttachment", "name": "x"}),
        json!({"@odata.type": "#microsoft.graph.driveItem", "name": "x"}),
    ] {
        seen.push(megan.post(&path, body).await.refusal());
    }
    for query in ["$select=contentBytes", "$expand=item", "$filter=isInline"] {
        seen.push(megan.get(&format!("{path}?{query}")).await.refusal());
    }
    for (method, path) in [("GET", format!("{path}/x")), ("PATCH", format!("{path}/x")), ("PUT", path.clone())] {
        seen.push(megan.send(method, &path, "{}".to_owned()).await.refusal());
    }
    insta::assert_json_snapshot!(seen, @r#"
    [
      "400 RequestBodyRead: @odata.type must be #microsoft.graph.fileAttachment.",
      "400 ErrorInvalidRequest: name is required.",
      "400 RequestBodyRead: contentBytes must be base64.",
      "400 ErrorInvalidRequest: item is required.",
      "400 ErrorInvalidRequest: #microsoft.graph.driveItem is not supported.",
      "400 RequestBroker--ParseUri: Could not find a property named 'contentBytes' on type 'microsoft.graph.attachment'.",
      "400 BadRequest: The query option '$expand' is not supported by this server.",
      "400 BadRequest: The query option '$filter' is not supported by this server.",
      "400 ErrorInvalidIdMalformed: Id is malformed.",
      "405 Request_BadRequest: Specified HTTP method is not allowed for the request target.",
      "405 Request_BadRequest: Specified HTTP method is not allowed for the request target."
    ]
    "#);
}

#[tokio::test]
async fn what_is_attached_to_a_draft_is_on_its_way_when_the_draft_is_sent() {
    let world = World::new().await;
    let megan = world.megan();
    let to = json!([{"emailAddress": {"address": "adele@contoso.test"}}]);
    let made = ok(megan.post("/v1.0/me/messages", json!({"toRecipients": to})).await, StatusCode::CREATED);
    let path = format!("/v1.0/me/messages/{}", made.text("/id"));
    ok(megan.post(&format!("{path}/attachments"), file("a.txt", "aGk=")).await, StatusCode::CREATED);
    ok(megan.post(&format!("{path}/send"), json!({})).await, StatusCode::ACCEPTED);

    let sent = megan.get("/v1.0/me/mailFolders/sentitems/messages?$select=hasAttachments").await;
    let kept = format!("/v1.0/me/messages/{}/attachments", sent.text("/value/0/id"));
    assert_eq!(megan.get(&kept).await.text("/value/0/name"), "a.txt");
    let partition = graph::Partition::of(seed::users()[0].id);
    let log = world.state.store.read_log(partition, notify::Position(0), 50).await.unwrap();
    let attached = log.iter().find_map(|(_, record)| match record.as_ref() {
        notify::Record::Submit(submission) => Some(submission.message["attachments"][0]["contentBytes"].clone()),
        _ => None,
    });
    assert_eq!(attached, Some(json!("aGk=")));
}

const SIZE: usize = 2 * 1024 * 1024 + 5;
const PART: usize = 256 * 1024;

async fn session(world: &World) -> (String, String) {
    let megan = world.megan();
    let path = format!("/v1.0/me/messages/{}", megan.draft("large").await);
    let item = json!({"attachmentType": "file", "name": "big.bin", "size": SIZE, "contentType": "application/x-big"});
    let reply = megan.post(&format!("{path}/attachments/createUploadSession"), json!({"AttachmentItem": item})).await;
    let reply = ok(reply, StatusCode::CREATED);
    assert_eq!(reply.json["nextExpectedRanges"], json!(["0-"]));
    let url = reply.text("/uploadUrl");
    (path, url.strip_prefix("http://graph.test:8443").unwrap().to_owned())
}

async fn put(world: &World, url: &str, at: usize) -> Reply {
    let length = PART.min(SIZE - at);
    let range = format!("bytes {at}-{}/{SIZE}", at + length - 1);
    let part: String = (at..at + length).map(|place| char::from(b'a' + (place / 1000 % 26) as u8)).collect();
    let caller = world.stranger().with("content-range", range).with("content-type", "application/octet-stream");
    caller.send("PUT", url, part).await
}

#[tokio::test]
async fn a_large_file_comes_in_parts_to_a_url_that_needs_no_token() {
    let world = World::new().await;
    let (path, url) = session(&world).await;
    let mut at = 0;
    let last = loop {
        let reply = put(&world, &url, at).await;
        at += PART;
        if at >= SIZE {
            break ok(reply, StatusCode::CREATED);
        }
        let reply = ok(reply, StatusCode::OK);
        assert_eq!(reply.json["nextExpectedRanges"], json!([format!("{at}-")]));
        assert_eq!(world.stranger().get(&url).await.json, reply.json);
    };
    let location = last.header("location").strip_prefix("http://graph.test:8443").unwrap();
    let megan = world.megan();
    let read = ok(megan.get(&format!("{location}?$select=name,size,contentType,isInline")).await, StatusCode::OK);
    assert_eq!((&read.json["name"], &read.json["size"]), (&json!("big.bin"), &json!(SIZE)));
    let value = megan.get(&format!("{location}/$value")).await;
    assert_eq!((value.body.len(), value.header("content-type")), (SIZE, "application/x-big"));
    assert_eq!(value.body[PART], b'a' + (PART / 1000 % 26) as u8);
    assert_eq!(megan.get(&path).await.json["hasAttachments"], true);
    assert_eq!(world.stranger().get(&url).await.status, 404, "the upload is over");
}

#[tokio::test]
async fn guessed_upload_url_is_refused_and_so_are_parts_out_of_turn() {
    let world = World::new().await;
    let (_, url) = session(&world).await;
    let mut seen = vec![put(&world, &url, PART).await.refusal()];
    ok(put(&world, &url, 0).await, StatusCode::OK);
    seen.push(put(&world, &url, 0).await.refusal());
    for range in ["", "bytes 262144-262146/7", "bytes 262144-262146/2097157"] {
        let caller = world.stranger().with("content-range", range);
        seen.push(caller.send("PUT", &url, "four".to_owned()).await.refusal());
    }
    seen.push(world.stranger().send("POST", &url, String::new()).await.refusal());
    let guessed = format!("{}=guessed", url.split('=').next().unwrap());
    seen.push(world.megan().get(&guessed).await.refusal());
    ok(world.stranger().delete(&url).await, StatusCode::NO_CONTENT);
    seen.push(world.stranger().get(&url).await.refusal());
    let small = json!({"AttachmentItem": {"attachmentType": "file", "name": "s", "size": 5}});
    let path = format!("/v1.0/me/messages/{}/attachments/createUploadSession", world.megan().draft("y").await);
    seen.push(world.megan().post(&path, small).await.refusal());
    insta::assert_json_snapshot!(seen, @r#"
    [
      "416 ErrorInvalidRange: The range is not the one that is expected next; a GET of the upload URL tells which is.",
      "416 ErrorInvalidRange: The range is not the one that is expected next; a GET of the upload URL tells which is.",
      "400 ErrorInvalidRange: Content-Range must be 'bytes {first}-{last}/{size}' and fit the body and the size of the attachment.",
      "400 ErrorInvalidRange: Content-Range must be 'bytes {first}-{last}/{size}' and fit the body and the size of the attachment.",
      "400 ErrorInvalidRange: Content-Range must be 'bytes {first}-{last}/{size}' and fit the body and the size of the attachment.",
      "405 Request_BadRequest: Specified HTTP method is not allowed for the request target.",
      "404 ErrorItemNotFound: The upload session was not found or has expired.",
      "404 ErrorItemNotFound: The upload session was not found or has expired.",
      "400 ErrorAttachmentSizeShouldNotBeLessThanMinimumSize: The attachment to upload is smaller than 2097152 bytes: attach it by one request."
    ]
    "#);
}
