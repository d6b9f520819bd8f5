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
