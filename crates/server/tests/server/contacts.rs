//! Megan keeps her contacts.

use http::StatusCode;
use serde_json::{Value, json};

use crate::world::{Caller, World, ok};

async fn names(megan: &Caller<'_>, path: &str) -> Vec<String> {
    let listed = ok(megan.get(path).await, StatusCode::OK);
    let mut names: Vec<String> = listed.json["value"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["displayName"].as_str().unwrap_or_default().to_owned())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn contacts_without_a_folder_are_those_of_the_default_one() {
    let world = World::new().await;
    let megan = world.megan();
    let ada = ok(megan.post("/v1.0/me/contacts", json!({"givenName": "Ada"})).await, StatusCode::CREATED);
    let friends = json!({"displayName": "Friends"});
    let friends = ok(megan.post("/v1.0/me/contactFolders", friends).await, StatusCode::CREATED).text("/id");
    let below = format!("/v1.0/me/contactFolders/{friends}/contacts");
    ok(megan.post(&below, json!({"givenName": "Grace"})).await, StatusCode::CREATED);
    assert_eq!(names(&megan, "/v1.0/me/contacts").await, ["Ada"]);
    assert_eq!(names(&megan, &below).await, ["Grace"]);
    let default = ok(megan.get("/v1.0/me/contacts?$top=1&$select=parentFolderId").await, StatusCode::OK);
    let default = default.text("/value/0/parentFolderId");
    assert_eq!(names(&megan, &format!("/v1.0/me/contactFolders('{default}')/contacts")).await, ["Ada"]);

    let path = format!("/v1.0/me/contacts/{}/move", ada.text("/id"));
    let moved = ok(megan.post(&path, json!({"destinationId": friends})).await, StatusCode::CREATED);
    assert_eq!(moved.text("/parentFolderId"), friends);
    assert_eq!(names(&megan, "/v1.0/me/contacts").await, Vec::<String>::new());
    assert_eq!(names(&megan, &below).await, ["Ada", "Grace"]);
    // By its id alone it is found in any folder.
    ok(megan.get(&format!("/v1.0/me/contacts/{}", moved.text("/id"))).await, StatusCode::OK);
}

#[tokio::test]
async fn contact_folders_are_made_nested_renamed_and_deleted() {
    let world = World::new().await;
    let megan = world.megan();
    let make = |path: String, name: &str| {
        let body = json!({"displayName": name});
        let megan = &megan;
        async move { ok(megan.post(&path, body).await, StatusCode::CREATED) }
    };
    let friends = make("/v1.0/me/contactFolders".to_owned(), "Friends").await;
    let path = format!("/v1.0/me/contactFolders/{}", friends.text("/id"));
    let near = make(format!("{path}/childFolders"), "Near").await;
    assert_eq!(near.text("/parentFolderId"), friends.text("/id"));
    assert_eq!(names(&megan, "/v1.0/me/contactFolders").await, ["Friends"], "the default folder is not listed");
    assert_eq!(names(&megan, &format!("{path}/childFolders")).await, ["Near"]);
    let nested = format!("{path}/childFolders/{}/contacts", near.text("/id"));
    ok(megan.post(&nested, json!({"givenName": "Ada"})).await, StatusCode::CREATED);
    assert_eq!(names(&megan, &nested).await, ["Ada"]);
    let renamed = ok(megan.patch(&path, json!({"displayName": "Old friends"})).await, StatusCode::OK);
    assert_eq!(renamed.text("/displayName"), "Old friends");
    ok(megan.delete(&path).await, StatusCode::NO_CONTENT);
    assert_eq!(megan.get(&nested).await.status, 404);
    assert_eq!(names(&megan, "/v1.0/me/contactFolders").await, Vec::<String>::new());
    let default = megan.delete("/v1.0/me/contactFolders/contacts").await;
    assert_eq!(default.refusal(), "400 ErrorDeleteDistinguishedFolder: Distinguished folders cannot be deleted.");
}

/// The beginning of a picture, as much of it as is read.
fn png() -> Vec<u8> {
    b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x00\xf0\0\0\x00\xf0\x08\x02\0\0\0".to_vec()
}

#[tokio::test]
async fn a_contact_has_a_photo() {
    let world = World::new().await;
    let megan = world.megan();
    let ada = ok(megan.post("/v1.0/me/contacts", json!({"givenName": "Ada"})).await, StatusCode::CREATED);
    let contact = format!("/v1.0/me/contacts/{}", ada.text("/id"));
    let (photo, value) = (format!("{contact}/photo"), format!("{contact}/photo/$value"));
    for path in [&photo, &value] {
        assert!(megan.get(path).await.refusal().starts_with("404 ErrorItemNotFound"));
    }
    let not_a_picture = megan.send_bytes("PUT", &value, b"GIF89a".to_vec()).await;
    assert_eq!(not_a_picture.refusal(), "400 RequestBodyRead: The photo must be a JPEG or PNG file.");
    ok(megan.send_bytes("PUT", &value, png()).await, StatusCode::OK);
    let read = ok(megan.get(&value).await, StatusCode::OK);
    assert_eq!((read.header("content-type"), &read.body), ("image/png", &png()));
    let about = ok(megan.get(&photo).await, StatusCode::OK).json;
    assert_eq!((&about["id"], &about["height"], &about["width"]), (&json!("240X240"), &json!(240), &json!(240)));
    assert_eq!(about["@odata.mediaContentType"], "image/png");
    let after = ok(megan.get(&contact).await, StatusCode::OK);
    assert_ne!(after.text("/changeKey"), ada.text("/changeKey"));
    assert_eq!(after.json.get("photo"), None::<&Value>);
    ok(megan.delete(&photo).await, StatusCode::NO_CONTENT);
    assert_eq!(megan.get(&value).await.status, 404);
    assert_eq!(megan.delete(&value).await.status, 404);
}

#[tokio::test]
async fn a_photo_moves_and_goes_with_its_contact() {
    let world = World::new().await;
    let megan = world.megan();
    let ada = ok(megan.post("/v1.0/me/contacts", json!({"givenName": "Ada"})).await, StatusCode::CREATED);
    let value = format!("/v1.0/me/contacts/{}/photo/$value", ada.text("/id"));
    ok(megan.send_bytes("PATCH", &value, png()).await, StatusCode::OK);
    let friends = json!({"displayName": "Friends"});
    let friends = ok(megan.post("/v1.0/me/contactFolders", friends).await, StatusCode::CREATED).text("/id");
    let path = format!("/v1.0/me/contacts/{}/move", ada.text("/id"));
    let moved = ok(megan.post(&path, json!({"destinationId": friends})).await, StatusCode::CREATED).text("/id");
    let read = ok(megan.get(&format!("/v1.0/me/contacts/{moved}/photo/$value")).await, StatusCode::OK);
    assert_eq!(read.body, png());
    ok(megan.delete(&format!("/v1.0/me/contacts/{moved}")).await, StatusCode::NO_CONTENT);
    assert_eq!(megan.get(&format!("/v1.0/me/contacts/{moved}/photo/$value")).await.status, 404);
}
