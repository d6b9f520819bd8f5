//! Messages as MIME, in and out.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use serde_json::json;

use crate::world::{World, ok};

const MESSAGE: &str = "From: megan@contoso.test\r\nTo: Adele <adele@contoso.test>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\
X-Mine: yes\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\
Content-Type: text/html\r\n\r\n<p>Hello</p>\r\n--b\r\nContent-Type: application/pdf; name=a.pdf\r\n\
Content-Disposition: attachment\r\n\r\nPDF\r\n--b--\r\n";

#[tokio::test]
async fn a_message_goes_out_as_mime_and_comes_in_the_same() {
    let world = World::new().await;
    let megan = world.megan();
    let made = ok(
        megan
            .post(
                "/v1.0/me/messages",
                json!({"subject": "Angebot für Köln", "body": {"contentType": "html", "content": "<p>Hi</p>"},
                       "toRecipients": [{"emailAddress": {"name": "Adele", "address": "adele@contoso.test"}}],
                       "internetMessageHeaders": [{"name": "x-mine", "value": "1"}],
                       "attachments": [{"@odata.type": "#microsoft.graph.fileAttachment", "name": "a.txt",
                                        "contentBytes": "aGk="}]}),
            )
            .await,
        StatusCode::CREATED,
    );
    let value = ok(megan.get(&format!("/v1.0/me/messages/{}/$value", made.text("/id"))).await, StatusCode::OK);
    assert_eq!(value.header("content-type"), "text/plain");
    let encoded = STANDARD.encode(&value.body);
    let mime = world.megan().with("content-type", "text/plain; charset=utf-8");
    let again = ok(mime.send("POST", "/v1.0/me/messages", encoded).await, StatusCode::CREATED);
    for name in ["subject", "body", "toRecipients", "internetMessageId", "hasAttachments", "isDraft"] {
        assert_eq!(again.json[name], made.json[name], "{name}");
    }
    let path = format!("/v1.0/me/messages/{}", again.text("/id"));
    let headers = megan.get(&format!("{path}?$select=internetMessageHeaders")).await;
    assert_eq!(headers.json["internetMessageHeaders"][0], json!({"name": "x-mine", "value": "1"}));
    assert_eq!(megan.get(&format!("{path}/attachments")).await.text("/value/0/contentBytes"), "aGk=");
}

#[tokio::test]
async fn mime_is_sent_and_kept_or_refused_by_name() {
    let world = World::new().await;
    let send = |body: String| {
        let world = &world;
        async move { world.megan().with("content-type", "text/plain").send("POST", "/v1.0/me/sendMail", body).await }
    };
    let sent = send(STANDARD.encode(MESSAGE)).await;
    assert_eq!((sent.status, sent.body.len()), (202, 0));
    let kept = world.megan().get("/v1.0/me/mailFolders/sentitems/messages").await;
    assert_eq!(kept.text("/value/0/subject"), "Grüße");
    assert_eq!(kept.json["value"][0]["hasAttachments"], true);
    let drafts = "/v1.0/me/mailFolders/drafts/messages";
    let caller = world.megan().with("content-type", "text/plain");
    ok(caller.send("POST", drafts, STANDARD.encode(MESSAGE)).await, StatusCode::CREATED);

    let mut seen = Vec::new();
    for body in [
        "%%%".to_owned(),
        STANDARD.encode("no message"),
        STANDARD.encode(MESSAGE.replace("megan@", "alex@")),
        STANDARD.encode("Subject: to nobody\r\n\r\nx"),
    ] {
        seen.push(send(body).await.refusal());
    }
    insta::assert_json_snapshot!(seen, @r#"
    [
      "400 ErrorMimeContentInvalidBase64String: Invalid base64 string for MIME content",
      "400 ErrorMimeContentInvalid: This is not a message: it has no header.",
      "403 ErrorSendAsDenied: The user account which was used to submit this request does not have the right to send mail on behalf of the specified sending account.",
      "400 ErrorInvalidRecipients: At least one recipient isn't valid."
    ]
    "#);
}

#[tokio::test]
async fn own_headers_are_shown_when_selected_and_only_begin_with_x() {
    let world = World::new().await;
    let megan = world.megan();
    let with = |name: &str| json!({"subject": "x", "internetMessageHeaders": [{"name": name, "value": "1"}]});
    let made = ok(megan.post("/v1.0/me/messages", with("x-custom")).await, StatusCode::CREATED);
    assert_eq!(made.json.get("internetMessageHeaders"), None);
    let path = format!("/v1.0/me/messages/{}", made.text("/id"));
    let shown = megan.get(&format!("{path}?$select=internetMessageHeaders")).await;
    assert_eq!(shown.json["internetMessageHeaders"][0]["name"], "x-custom");
    let refused = megan.post("/v1.0/me/messages", with("Received")).await;
    assert_eq!(
        refused.refusal(),
        "400 RequestBodyRead: internetMessageHeaders/name must be a name that begins with x-."
    );
}
