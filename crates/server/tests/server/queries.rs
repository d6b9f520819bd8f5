//! Megan asks for some of what her mailbox holds.

use http::StatusCode;
use serde_json::{Value, json};

use crate::world::{Caller, World, ok};

fn encoded(query: &str) -> String {
    query.replace(' ', "%20").replace('"', "%22").replace('\'', "%27")
}

/// The values of a property in a list.
async fn listed(megan: &Caller<'_>, path: &str, property: &str) -> Vec<String> {
    let page = ok(megan.get(&encoded(path)).await, StatusCode::OK);
    let values = page.json["value"].as_array().unwrap().iter();
    values.map(|item| item[property].as_str().unwrap_or_default().to_owned()).collect()
}

async fn refused(megan: &Caller<'_>, path: &str) -> (String, Value) {
    let reply = megan.get(&encoded(path)).await;
    (reply.refusal(), reply.json["error"]["details"].clone())
}

#[tokio::test]
async fn a_filtered_list_keeps_its_filter_from_page_to_page() {
    let world = World::new().await;
    let megan = world.megan();
    for subject in ["b1", "a2", "x", "a1", "b2"] {
        megan.draft(subject).await;
    }
    let mut path = encoded(
        "/v1.0/me/messages?$filter=startswith(subject,'a') or startswith(subject,'b')&$orderby=subject desc&$top=3&own=1 2",
    );
    let mut seen = Vec::new();
    loop {
        let page = ok(megan.get(&path).await, StatusCode::OK);
        let subjects = page.json["value"].as_array().unwrap().iter().map(|item| item["subject"].clone());
        seen.extend(subjects.map(|subject| subject.as_str().unwrap().to_owned()));
        match page.text("/@odata.nextLink").strip_prefix("http://graph.test:8443") {
            Some(rest) => path = rest.to_owned(),
            None => break,
        }
        assert!(path.contains("&own=1%202&"), "{path}");
    }
    assert_eq!(seen, ["b2", "b1", "a2", "a1"]);
}

#[tokio::test]
async fn every_collection_is_filtered_ordered_and_counted() {
    let world = World::new().await;
    let megan = world.megan();
    for hour in [12, 10] {
        let at = |hour: u32| json!({"dateTime": format!("2026-12-01T{hour}:00:00"), "timeZone": "UTC"});
        let event = json!({"subject": format!("at {hour}"), "start": at(hour), "end": at(hour + 1)});
        ok(megan.post("/v1.0/me/events", event).await, StatusCode::CREATED);
        let contact = json!({"givenName": format!("C{hour}"),
            "emailAddresses": [{"name": "C", "address": format!("c{hour}@contoso.test")}]});
        ok(megan.post("/v1.0/me/contacts", contact).await, StatusCode::CREATED);
    }
    assert_eq!(listed(&megan, "/v1.0/me/events?$orderby=start/dateTime", "subject").await, ["at 10", "at 12"]);
    let later = "/v1.0/me/events?$filter=start/dateTime ge '2026-12-01T11:00'&$count=true";
    assert_eq!(listed(&megan, later, "subject").await, ["at 12"]);
    assert_eq!(ok(megan.get(&encoded(later)).await, StatusCode::OK).json["@odata.count"], 1);
    assert_eq!(listed(&megan, "/v1.0/me/contacts?$orderby=displayName", "givenName").await, ["C10", "C12"]);
    let by_address = "/v1.0/me/contacts?$filter=emailAddresses/any(a:a/address eq 'C12@contoso.test')";
    assert_eq!(listed(&megan, by_address, "givenName").await, ["C12"]);
    let folders = "/v1.0/me/mailFolders?$filter=contains(displayName,'item')&$orderby=displayName desc&$top=1";
    assert_eq!(listed(&megan, folders, "displayName").await, ["Sent Items"]);

    for (path, count) in [
        ("/v1.0/me/events/$count", "2"),
        ("/v1.0/me/contacts/$count?$filter=givenName eq 'c10'", "1"),
        ("/v1.0/me/messages/$count", "0"),
        ("/v1.0/me/mailFolders/$count?$filter=displayName eq 'inbox'", "1"),
        ("/v1.0/me/calendars/$count", "1"),
    ] {
        let reply = megan.get(&encoded(path)).await;
        assert_eq!(reply.header("content-type"), "text/plain", "{path}");
        assert_eq!(reply.json, serde_json::from_str::<Value>(count).unwrap(), "{path}");
    }
}

#[tokio::test]
async fn a_search_finds_words_newest_sent_first() {
    let world = World::new().await;
    let megan = world.megan();
    for subject in ["Lunch on Friday", "Launch on Friday", "Lunch menu"] {
        megan.draft(subject).await;
    }
    assert_eq!(listed(&megan, "/v1.0/me/messages?$search=\"launch friday\"", "subject").await, ["Launch on Friday"]);
    assert_eq!(
        listed(&megan, "/v1.0/me/messages?$search=\"subject:lunch\"&$top=1&$count=true", "subject").await.len(),
        1
    );
    assert_eq!(
        refused(&megan, "/v1.0/me/messages?$search=\"a\"&$filter=isRead eq true").await.0,
        "400 SearchWithFilter: The query parameter '$filter' is not supported with '$search'."
    );
    assert_eq!(
        refused(&megan, "/v1.0/me/events?$search=\"a\"").await.0,
        "400 BadRequest: The query option '$search' is not supported by this server."
    );
}

#[tokio::test]
async fn a_search_finds_250_messages_at_most() {
    let world = World::new().await;
    let megan = world.megan();
    for number in 0..251 {
        megan.draft(&format!("note {number}")).await;
    }
    let found = listed(&megan, "/v1.0/me/messages?$search=\"note\"&$top=1000", "subject").await;
    assert_eq!(found.len(), 250);
}

#[tokio::test]
async fn extended_properties_are_shown_when_they_are_asked_for() {
    let world = World::new().await;
    let megan = world.megan();
    let id = "String {66f5a359-4659-4830-9070-00047ec6ac6e} Name Color";
    let draft = json!({"subject": "x", "singleValueExtendedProperties": [{"id": id, "value": "Green"}]});
    let made = ok(megan.post("/v1.0/me/messages", draft).await, StatusCode::CREATED);
    assert_eq!(made.json.get("singleValueExtendedProperties"), None);
    let expand = format!("$expand=singleValueExtendedProperties($filter=id eq '{id}')");
    for path in [
        format!("/v1.0/me/messages/{}?$select=subject&{expand}", made.text("/id")),
        format!("/v1.0/me/messages?{expand}"),
    ] {
        let reply = ok(megan.get(&encoded(&path)).await, StatusCode::OK);
        let item = reply.json.pointer("/value/0").unwrap_or(&reply.json);
        assert_eq!(item["singleValueExtendedProperties"], json!([{"id": id, "value": "Green"}]));
    }
    let by_value = format!(
        "/v1.0/me/messages?$filter=singleValueExtendedProperties/any(ep:ep/id eq '{id}' and ep/value eq 'green')"
    );
    assert_eq!(listed(&megan, &by_value, "subject").await, ["x"]);
}

#[tokio::test]
async fn a_query_that_cannot_be_says_where_it_is_wrong() {
    let world = World::new().await;
    let megan = world.megan();
    let mut seen = Vec::new();
    for path in [
        "/v1.0/me/messages?$filter=isRead = true and subject eq",
        "/v1.0/me/messages?$filter=subjekt eq 'x'",
        "/v1.0/me/messages?$filter=receivedDateTime ge '2026-01-01T00:00:00Z'",
        "/v1.0/me/messages?$filter=isRead eq true&$orderby=receivedDateTime",
        "/v1.0/me/messages?$orderby=nothing",
        "/v1.0/me/messages?$expand=body",
        "/v1.0/me/messages?$search=re:x",
        "/v1.0/me/messages/$count?$top=1",
        "/v1.0/me/mailFolders?$filter=displayName gt 1",
    ] {
        let (refusal, details) = refused(&megan, path).await;
        seen.push(json!({"asked": path, "refusal": refusal, "details": details}));
    }
    insta::assert_json_snapshot!("queries", seen);
}
