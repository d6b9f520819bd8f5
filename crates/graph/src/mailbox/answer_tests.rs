use super::super::tests::*;
use super::*;
use crate::mailbox::{PREVIEW_CHARS_MAX, receive};
use crate::{Item, Mutation};

fn person(name: &str) -> Value {
    json!({ "emailAddress": { "name": name, "address": format!("{}@contoso.test", name.to_lowercase()) } })
}

/// A message from Adele to Megan and Diego, with Lee in copy.
fn received(more: Value) -> Item {
    let mut properties = json!({
        "subject": "Lunch", "from": person("Adele"), "sender": person("Adele"),
        "toRecipients": [person("Megan"), person("Diego")], "ccRecipients": [person("Lee")],
        "internetMessageId": "<b@contoso.test>",
        "internetMessageHeaders": [{ "name": "References", "value": "<a@contoso.test>" }],
        "body": { "contentType": "text", "content": "At noon?" }, "sentDateTime": "2026-11-20T03:15:05Z",
    });
    properties.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let properties = properties.as_object().unwrap().clone();
    receive(&megan(), &fresh(1), folder(WellKnown::Inbox), properties).unwrap().item
}

fn asked(comment: Option<&str>, message: Value) -> Answer {
    Answer { comment: comment.map(str::to_owned), message: message.as_object().unwrap().clone() }
}

fn drafted(original: &Item, how: Answering) -> Item {
    answer_draft(&megan(), &fresh(2), original, how, asked(None, json!({}))).unwrap().item
}

fn addresses(item: &Item, list: &str) -> Vec<String> {
    let members = item.properties[list].as_array().unwrap();
    members.iter().map(|one| address_of(one).split('@').next().unwrap().to_owned()).collect()
}

fn header(item: &Item, name: &str) -> String {
    let headers = item.properties["internetMessageHeaders"].as_array().unwrap();
    let found = headers.iter().find(|header| header["name"] == name).unwrap();
    found["value"].as_str().unwrap().to_owned()
}

#[test]
fn a_reply_goes_back_and_continues_the_conversation() {
    let original = received(json!({}));
    let reply = drafted(&original, Answering::Reply);
    assert_eq!(reply.folder, folder(WellKnown::Drafts));
    assert_eq!(reply.properties["subject"], "RE: Lunch");
    assert_eq!((addresses(&reply, "toRecipients"), addresses(&reply, "ccRecipients")), (vec!["adele".into()], vec![]));
    assert_eq!(reply.properties["conversationId"], original.properties["conversationId"]);
    let index = |item: &Item| item.properties["conversationIndex"].as_str().unwrap().to_owned();
    assert!(index(&reply).len() > index(&original).len() && index(&reply).starts_with(&index(&original)[..28]));
    assert_eq!(header(&reply, "In-Reply-To"), "<b@contoso.test>");
    assert_eq!(header(&reply, "References"), "<a@contoso.test> <b@contoso.test>");
    insta::assert_snapshot!(reply.properties["body"]["content"].as_str().unwrap().replace('\r', ""), @r"
    ________________________________
    From: Adele <adele@contoso.test>
    Sent: Friday, November 20, 2026 3:15 AM
    To: Megan <megan@contoso.test>; Diego <diego@contoso.test>
    Cc: Lee <lee@contoso.test>
    Subject: Lunch

    At noon?
    ");
}

#[test]
fn everybody_else_gets_a_reply_to_all() {
    let all = drafted(&received(json!({})), Answering::ReplyAll);
    assert_eq!(addresses(&all, "toRecipients"), ["adele", "diego"]);
    assert_eq!(addresses(&all, "ccRecipients"), ["lee"]);
    let elsewhere = received(json!({ "replyTo": [person("Lee")] }));
    assert_eq!(addresses(&drafted(&elsewhere, Answering::Reply), "toRecipients"), ["lee"]);
    let all = drafted(&elsewhere, Answering::ReplyAll);
    assert_eq!(addresses(&all, "toRecipients"), ["lee", "diego"]);
    assert_eq!(addresses(&all, "ccRecipients"), [""; 0], "nobody gets it twice");
    let own = received(json!({ "from": person("Megan"), "toRecipients": [person("Megan")], "ccRecipients": [] }));
    assert_eq!(addresses(&drafted(&own, Answering::ReplyAll), "toRecipients"), ["megan"]);
}

#[test]
fn a_prefix_is_never_doubled() {
    for (subject, how, expected) in [
        ("Lunch", Answering::Forward, "FW: Lunch"),
        ("RE: Lunch", Answering::Reply, "RE: Lunch"),
        ("re:Fwd: FW: Lunch", Answering::ReplyAll, "RE: Lunch"),
        ("RE: Lunch", Answering::Forward, "FW: Lunch"),
        ("Résumé", Answering::Reply, "RE: Résumé"),
        ("", Answering::Reply, "RE: "),
    ] {
        let answer = drafted(&received(json!({ "subject": subject })), how);
        assert_eq!(answer.properties["subject"], expected, "{subject}");
    }
}

#[test]
fn a_forward_has_the_attachments_and_nobody_to_go_to() {
    let original = received(json!({ "hasAttachments": true }));
    let written = answer_draft(&megan(), &fresh(2), &original, Answering::Forward, asked(None, json!({}))).unwrap();
    assert_eq!(written.mutation.attachment_copies, [(original.immutable, written.item.immutable)]);
    assert_eq!(written.item.properties["hasAttachments"], true);
    assert_eq!(addresses(&written.item, "toRecipients"), [""; 0]);
    let refused = send_answer(&megan(), &fresh(2), &original, Answering::Forward, asked(Some("FYI"), json!({})));
    assert_eq!(refused.unwrap_err(), Refusal::NoRecipients);
    let reply = drafted(&original, Answering::Reply);
    assert_eq!(reply.properties["hasAttachments"], false);
}

#[test]
fn a_comment_stands_in_what_is_sent_and_not_in_a_draft() {
    let html = json!({ "contentType": "html", "content": "<html><BODY lang='x'><p>At noon?</p></body></html>" });
    let original = received(json!({ "body": html }));
    let comment = asked(Some("Yes & <no>\nSee you"), json!({}));
    let sent = send_answer(&megan(), &fresh(2), &original, Answering::Reply, comment.clone()).unwrap();
    let content = sent.message["body"]["content"].as_str().unwrap();
    assert!(content.starts_with("<html><BODY lang='x'>Yes &amp; &lt;no&gt;<br>\r\nSee you<br>\r\n<hr"), "{content}");
    assert!(content.contains("<b>From:</b> Adele &lt;adele@contoso.test&gt;<br>") && content.contains("At noon?"));
    assert!(sent.message["bodyPreview"].as_str().unwrap().len() <= PREVIEW_CHARS_MAX);
    let kept = &sent.mutation.puts[0];
    assert_eq!((kept.folder, &kept.properties["isDraft"]), (folder(WellKnown::SentItems), &json!(false)));
    let draft = answer_draft(&megan(), &fresh(2), &original, Answering::Reply, comment).unwrap().item;
    assert!(!draft.properties["body"]["content"].as_str().unwrap().contains("See you"));
}

#[test]
fn what_the_message_says_goes_before_what_would_be_computed() {
    let message = json!({
        "toRecipients": [person("Lee")], "body": { "contentType": "Text", "content": "Mine" },
        "importance": "High", "internetMessageHeaders": [{ "name": "x-own", "value": "1" }],
    });
    let written = answer_draft(&megan(), &fresh(2), &received(json!({})), Answering::Reply, asked(None, message));
    let item = written.unwrap().item;
    assert_eq!(addresses(&item, "toRecipients"), ["lee"]);
    assert_eq!((&item.properties["body"]["content"], &item.properties["importance"]), (&json!("Mine"), &json!("high")));
    assert_eq!((header(&item, "x-own"), header(&item, "In-Reply-To")), ("1".into(), "<b@contoso.test>".into()));
}

#[test]
fn a_long_thread_keeps_its_root_and_bounds() {
    let known: Vec<String> = (0..200).map(|n| format!("<{n}@contoso.test>")).collect();
    let headers = json!([{ "name": "references", "value": known.join(" ") }]);
    let mut item = received(json!({ "internetMessageHeaders": headers }));
    let reply = drafted(&item, Answering::Reply);
    let references = header(&reply, "References");
    let ids: Vec<&str> = references.split(' ').collect();
    assert_eq!((ids.len(), ids[0], ids[REFERENCES_MAX - 1]), (REFERENCES_MAX, "<0@contoso.test>", "<b@contoso.test>"));
    for _ in 0..300 {
        item = drafted(&item, Answering::Reply);
    }
    assert!(item.properties["conversationIndex"].as_str().unwrap().len() < 1_400);
    let content = item.properties["body"]["content"].as_str().unwrap();
    assert!(content.len() < 5 * 1024 * 1024);
}

#[test]
fn an_answer_holds_only_while_the_original_is_there() {
    let original = received(json!({}));
    let expects = |mutation: &Mutation| mutation.expect.contains(&(original.id, Some(original.version)));
    let nothing = || asked(None, json!({}));
    assert!(expects(&answer_draft(&megan(), &fresh(2), &original, Answering::Reply, nothing()).unwrap().mutation));
    assert!(expects(&send_answer(&megan(), &fresh(2), &original, Answering::Reply, nothing()).unwrap().mutation));
}
