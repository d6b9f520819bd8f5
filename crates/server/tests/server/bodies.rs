//! Bodies in the form that a caller prefers.

use http::StatusCode;
use serde_json::json;

use crate::world::{World, ok};

const HTML: &str = "<p onclick=\"x()\">One &amp; two</p><script>x()</script><blockquote type=\"cite\">old</blockquote>";

#[tokio::test]
async fn bodies_come_as_text_or_html_and_the_answer_says_so() {
    let world = World::new().await;
    let at = json!({"dateTime": "2026-12-01T10:00:00", "timeZone": "UTC"});
    for (collection, mut item) in [("messages", json!({})), ("events", json!({"start": at, "end": at}))] {
        item["body"] = json!({"contentType": "HTML", "content": HTML});
        let made = ok(world.megan().post(&format!("/v1.0/me/{collection}"), item).await, StatusCode::CREATED);
        let path = format!("/v1.0/me/{collection}/{}?$select=body", made.text("/id"));
        let preferring = |preference: &str| world.megan().with("prefer", preference);

        let safe = world.megan().get(&path).await;
        let quoted = "<blockquote type=\"cite\">old</blockquote>";
        assert_eq!(safe.text("/body/content"), format!("<p>One &amp; two</p>{quoted}"), "{collection}");
        assert_eq!(safe.header("preference-applied"), "");
        let text = preferring("outlook.body-content-type=\"text\"").get(&path).await;
        assert_eq!(text.json["body"], json!({"contentType": "text", "content": "One & two\nold"}));
        assert_eq!(text.header("preference-applied"), "outlook.body-content-type=\"text\"");
        let raw = preferring("outlook.allow-unsafe-html, IdType=\"ImmutableId\"").get(&path).await;
        assert_eq!(raw.text("/body/content"), HTML);
        assert_eq!(raw.header("preference-applied"), "outlook.allow-unsafe-html, IdType=\"ImmutableId\"");
    }
    let plain = json!({"body": {"contentType": "text", "content": "a < b\nc"}});
    let made = ok(world.megan().post("/v1.0/me/messages", plain).await, StatusCode::CREATED);
    let preferring = world.megan().with("prefer", "outlook.body-content-type=html");
    let list = preferring.get("/v1.0/me/messages?$top=1").await;
    assert_eq!(list.text("/value/0/id"), made.text("/id"));
    assert_eq!(list.text("/value/0/body/contentType"), "html");
    assert!(list.text("/value/0/body/content").contains("a &lt; b<br>"), "{}", list.json);
}

#[tokio::test]
async fn what_is_new_in_a_body_is_shown_when_selected() {
    let world = World::new().await;
    let body = json!({"body": {"contentType": "html", "content": HTML}});
    let made = ok(world.megan().post("/v1.0/me/messages", body).await, StatusCode::CREATED);
    assert_eq!(made.json.get("uniqueBody"), None);
    let read = world.megan().get(&format!("/v1.0/me/messages/{}?$select=uniqueBody", made.text("/id"))).await;
    assert_eq!(read.json["uniqueBody"], json!({"contentType": "html", "content": "<p>One &amp; two</p>"}));
}
