//! The service describes itself.

use http::StatusCode;

use crate::world::{World, ok};

#[tokio::test]
async fn everybody_may_read_the_service_description() {
    let world = World::new().await;
    for path in ["/v1.0/$metadata", "/beta/$metadata", "/V1.0//$METADATA"] {
        let reply = ok(world.stranger().get(path).await, StatusCode::OK);
        assert_eq!(reply.header("content-type"), "application/xml");
        let text = String::from_utf8(reply.body).unwrap();
        let document = roxmltree::Document::parse(&text).unwrap();
        let named = |name: &str| document.descendants().any(|node| node.attribute("Name") == Some(name));
        for name in ["message", "event", "contact", "mailFolder", "subscription", "GraphService", "sendMail"] {
            assert!(named(name), "{path} {name}");
        }
    }
    assert_eq!(world.megan().send("POST", "/v1.0/$metadata", String::new()).await.status, 405);
}

#[tokio::test]
async fn answers_name_their_part_of_the_description() {
    let world = World::new().await;
    let megan = world.megan();
    let id = megan.draft("x").await;
    let user = format!("users('{}')", tidings_server::seed::users()[0].id);
    let inbox = megan.get("/v1.0/me/mailFolders/inbox").await.text("/id");
    for (path, context) in [
        (format!("messages/{id}"), format!("{user}/messages/$entity")),
        (format!("messages/{id}?$select=subject,body"), format!("{user}/messages(body,subject)/$entity")),
        ("messages?$select=sender,subject".to_owned(), format!("{user}/messages(sender,subject)")),
        ("mailFolders/inbox".to_owned(), format!("{user}/mailFolders/$entity")),
        ("mailFolders/inbox/childFolders".to_owned(), format!("{user}/mailFolders('{inbox}')/childFolders")),
        ("calendars".to_owned(), "me/calendars".to_owned()),
        ("mailFolders/inbox/messages/delta".to_owned(), "Collection(message)".to_owned()),
        ("events/delta".to_owned(), "Collection(event)".to_owned()),
    ] {
        let reply = ok(megan.get(&format!("/v1.0/me/{path}")).await, StatusCode::OK);
        assert_eq!(reply.text("/@odata.context"), format!("http://graph.test:8443/v1.0/$metadata#{context}"), "{path}");
    }
    let to = serde_json::json!({"destinationId": "archive"});
    let moved = ok(megan.post(&format!("/v1.0/me/messages/{id}/move"), to).await, StatusCode::CREATED);
    assert_eq!(moved.text("/@odata.context"), "http://graph.test:8443/v1.0/$metadata#message");
    let listed = ok(megan.get("/beta/subscriptions").await, StatusCode::OK);
    assert_eq!(listed.text("/@odata.context"), "http://graph.test:8443/beta/$metadata#subscriptions");
}
