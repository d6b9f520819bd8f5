//! Attachments: taken out of the item that brings them, since they lie beside it, and added to an item
//! or removed from it one by one. Each makes a new version of the item, which subscribers hear of.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use uuid::Uuid;

use super::{Fresh, Owner, Written, default, flag, rewrite, text};
use crate::{Attachment, AttachmentId, Item, Kind, NewAttachment, Properties, Refusal, schema};

/// The largest file that one request attaches, in bytes: as observed (msgraph-sdk-java pull request 52);
/// the documentation says less than 3 MB.
pub const DIRECT_BYTES_MAX: usize = 3_145_611;
/// The smallest file that is uploaded in parts, in bytes: as observed there.
pub const UPLOAD_BYTES_MIN: u64 = 2 * 1024 * 1024;
/// The largest file that is uploaded in parts, and the most that all attachments of an item hold together.
pub const UPLOAD_BYTES_MAX: u64 = 150 * 1024 * 1024;
/// The most that a message carries when it is sent: Exchange Online's default.
pub const SENT_BYTES_MAX: u64 = 35 * 1024 * 1024;
/// How many attachments an item has.
pub const ATTACHMENTS_MAX: usize = 250;

pub const FILE: &str = "#microsoft.graph.fileAttachment";
pub const ITEM: &str = "#microsoft.graph.itemAttachment";

/// An attachment as it was added, with its item and what to commit.
#[derive(Clone, Debug, PartialEq)]
pub struct Attached {
    pub attachment: Attachment,
    pub written: Written,
}

/// Adds an attachment that a request body describes to an item that has `present`.
pub fn attach(
    owner: &Owner,
    fresh: &Fresh,
    item: &Item,
    present: &[Attachment],
    body: Value,
) -> Result<Attached, Refusal> {
    let mut properties = schema::attachment(body)?;
    complete_one(owner, fresh, &mut properties)?;
    let content = content_of(&mut properties);
    if content.len() > DIRECT_BYTES_MAX {
        return Err(Refusal::AttachmentTooLarge { bytes_max: DIRECT_BYTES_MAX });
    }
    add(owner, fresh, item, present, (fresh.uuid, properties, content))
}

/// Adds an attachment whose content was uploaded in parts. `id` is the upload's.
pub fn attach_uploaded(
    owner: &Owner,
    fresh: &Fresh,
    item: &Item,
    present: &[Attachment],
    (id, properties, content): (Uuid, Properties, Vec<u8>),
) -> Result<Attached, Refusal> {
    let mut properties = properties;
    properties.insert("size".to_owned(), content.len().into());
    properties.insert("lastModifiedDateTime".to_owned(), fresh.now.whole_seconds().to_string().into());
    add(owner, fresh, item, present, (id, properties, content))
}

fn add(
    owner: &Owner,
    fresh: &Fresh,
    item: &Item,
    present: &[Attachment],
    (uuid, properties, content): (Uuid, Properties, Vec<u8>),
) -> Result<Attached, Refusal> {
    if present.len() >= ATTACHMENTS_MAX {
        return Err(Refusal::TooManyAttachments { attachments_max: ATTACHMENTS_MAX });
    }
    let before: u64 = present.iter().map(size).sum();
    if before.saturating_add(content.len() as u64) > UPLOAD_BYTES_MAX {
        return Err(Refusal::MessageTooLarge { bytes_max: UPLOAD_BYTES_MAX });
    }
    let attachment = Attachment { id: AttachmentId::new(item.id.kind, uuid), properties };
    let all = present.iter().chain([&attachment]);
    let mut written = mark(owner, fresh, item, all);
    let put = NewAttachment { item: item.immutable, attachment: attachment.clone(), content };
    written.mutation.attachment_puts.push(put);
    Ok(Attached { attachment, written })
}

/// Removes one of the attachments of an item; `None` if it is not among them.
pub fn detach(owner: &Owner, fresh: &Fresh, item: &Item, present: &[Attachment], id: AttachmentId) -> Option<Written> {
    present.iter().find(|attachment| attachment.id == id)?;
    let mut written = mark(owner, fresh, item, present.iter().filter(|attachment| attachment.id != id));
    written.mutation.attachment_removes.push((item.immutable, id));
    Some(written)
}

/// The item's next version, marked by the attachments that it has then: inline ones do not count.
fn mark<'a>(owner: &Owner, fresh: &Fresh, item: &Item, all: impl Iterator<Item = &'a Attachment>) -> Written {
    let mut properties = item.properties.clone();
    let mut all = all;
    let attached = all.any(|attachment| !flag(&attachment.properties, "isInline"));
    properties.insert("hasAttachments".to_owned(), attached.into());
    rewrite(owner, fresh, item, properties)
}

/// Bytes that an attachment counts with.
pub fn size(attachment: &Attachment) -> u64 {
    attachment.properties.get("size").and_then(Value::as_u64).unwrap_or_default()
}

/// Reads the body of `createUploadSession`: what the attachment will be, and its length in bytes.
pub fn upload(body: Value) -> Result<(Properties, u64), Refusal> {
    let (mut properties, size) = schema::attachment_item(body)?;
    if size < UPLOAD_BYTES_MIN {
        return Err(Refusal::UploadTooSmall { bytes_min: UPLOAD_BYTES_MIN });
    }
    if size > UPLOAD_BYTES_MAX {
        return Err(Refusal::UploadTooLarge { bytes_max: UPLOAD_BYTES_MAX });
    }
    default(&mut properties, "contentType", || "application/octet-stream".into());
    default(&mut properties, "isInline", || false.into());
    properties.insert("@odata.type".to_owned(), FILE.into());
    Ok((properties, size))
}

/// Attachments as a message on its way carries them: in itself.
pub fn inline(attachments: Vec<(Attachment, Vec<u8>)>) -> Value {
    let member = |(attachment, content): (Attachment, Vec<u8>)| {
        let mut members = attachment.properties;
        if !content.is_empty() || text(&members, "@odata.type") == FILE {
            members.insert("contentBytes".to_owned(), STANDARD.encode(content).into());
        }
        Value::Object(members)
    };
    attachments.into_iter().map(member).collect()
}

/// Refuses attachments that are too much for one message to carry.
pub fn check_sendable(attachments: &[Attachment]) -> Result<(), Refusal> {
    match attachments.iter().map(size).sum::<u64>() {
        0..=SENT_BYTES_MAX => Ok(()),
        _ => Err(Refusal::MessageTooLarge { bytes_max: SENT_BYTES_MAX }),
    }
}

/// Gives the attachments that an item brings what they must have, and the item its mark.
pub(super) fn complete(owner: &Owner, fresh: &Fresh, properties: &mut Properties) -> Result<(), Refusal> {
    let mut attached = false;
    for attachment in super::members_mut(properties, "attachments").filter_map(Value::as_object_mut) {
        complete_one(owner, fresh, attachment).map_err(|refusal| refusal.within("attachments"))?;
        attached |= !flag(attachment, "isInline");
    }
    default(properties, "hasAttachments", || attached.into());
    Ok(())
}

fn complete_one(owner: &Owner, fresh: &Fresh, attachment: &mut Properties) -> Result<(), Refusal> {
    attachment.retain(|_, value| !value.is_null());
    default(attachment, "@odata.type", || FILE.into());
    if text(attachment, "name").is_empty() {
        return Err(Refusal::Missing { property: "name" });
    }
    let mut size = 0;
    if let Some(item) = attachment.get_mut("item").and_then(Value::as_object_mut) {
        complete_item(owner, fresh, item)?;
        size = serde_json::to_string(item).map_or(0, |json| json.len());
    } else if text(attachment, "@odata.type") == ITEM && !attachment.contains_key("contentBytes") {
        return Err(Refusal::Missing { property: "item" });
    }
    if let Some(encoded) = attachment.get("contentBytes") {
        let decoded = STANDARD.decode(encoded.as_str().unwrap_or_default());
        size = decoded.map_err(|_| Refusal::invalid("contentBytes", "base64"))?.len();
    }
    default(attachment, "size", || size.into());
    default(attachment, "isInline", || false.into());
    default(attachment, "lastModifiedDateTime", || fresh.now.whole_seconds().to_string().into());
    if text(attachment, "@odata.type") == FILE {
        default(attachment, "contentType", || "application/octet-stream".into());
    }
    Ok(())
}

/// The item in an item attachment is of a kind, but in no folder.
fn complete_item(owner: &Owner, fresh: &Fresh, item: &mut Properties) -> Result<(), Refusal> {
    let odata_type = text(item, "@odata.type").to_owned();
    let found = Kind::ALL.into_iter().find(|kind| odata_type.ends_with(kind.type_name()));
    let kind = found.ok_or_else(|| Refusal::invalid("item/@odata.type", "#microsoft.graph.message"))?;
    super::complete(owner, fresh, kind, item).map_err(|refusal| refusal.within("item"))
}

/// Takes the attachments out of the properties of a new item, whose uuid is `fresh.uuid`.
pub(super) fn take(fresh: &Fresh, kind: Kind, properties: &mut Properties) -> Vec<NewAttachment> {
    let Some(Value::Array(members)) = properties.remove("attachments") else {
        return Vec::new();
    };
    let objects = members.into_iter().filter_map(|member| match member {
        Value::Object(members) => Some(members),
        _ => None,
    });
    let new = |(index, mut properties): (usize, Properties)| {
        properties.remove("id");
        let content = content_of(&mut properties);
        let uuid = Uuid::new_v5(&fresh.change.0, &index.to_be_bytes());
        let attachment = Attachment { id: AttachmentId::new(kind, uuid), properties };
        NewAttachment { item: fresh.uuid, attachment, content }
    };
    objects.enumerate().map(new).collect()
}

/// The decoded content, which leaves the properties. It was found to be base64 before.
fn content_of(properties: &mut Properties) -> Vec<u8> {
    let encoded = properties.remove("contentBytes");
    encoded.and_then(|encoded| STANDARD.decode(encoded.as_str()?).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{draft, folder, fresh, megan};
    use super::super::{create, receive, send_mail};
    use super::*;
    use crate::{ChangeType, WellKnown};

    fn file(inline: bool) -> Value {
        json!({
            "@odata.type": "#Microsoft.Graph.FileAttachment", "name": "a.txt", "contentBytes": "SGVsbG8=",
            "isInline": inline,
        })
    }

    fn added(item: &Item, present: &[Attachment], body: Value) -> Result<Attached, String> {
        attach(&megan(), &fresh(3), item, present, body).map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn attachments_of_a_new_item_lie_beside_it_and_mark_it() {
        let make = |inline| {
            let body = json!({ "attachments": [file(inline), file(true)] });
            create(&megan(), &fresh(1), folder(WellKnown::Drafts), body).unwrap()
        };
        let with = make(false);
        assert_eq!(with.item.properties.get("attachments"), None);
        assert_eq!(with.item.properties["hasAttachments"], true);
        let puts = &with.mutation.attachment_puts;
        assert_eq!((puts.len(), puts[0].item, puts[0].content.as_slice()), (2, with.item.immutable, &b"Hello"[..]));
        assert_ne!(puts[0].attachment.id, puts[1].attachment.id);
        insta::assert_json_snapshot!(puts[0].attachment.properties, @r##"
        {
          "@odata.type": "#microsoft.graph.fileAttachment",
          "contentType": "application/octet-stream",
          "isInline": false,
          "lastModifiedDateTime": "2026-11-21T10:01:00Z",
          "name": "a.txt",
          "size": 5
        }
        "##);
        assert_eq!(make(true).item.properties["hasAttachments"], false);
    }

    #[test]
    fn what_is_attached_is_sent_and_arrives_beside_the_message_again() {
        let to = json!([{ "emailAddress": { "address": "adele@contoso.test" } }]);
        let message = json!({ "toRecipients": to, "attachments": [file(false)] });
        let sent = send_mail(&megan(), &fresh(1), message, true).unwrap();
        assert_eq!(sent.mutation.attachment_puts[0].content, b"Hello");
        let inbox = folder(WellKnown::Inbox);
        let received = receive(&megan(), &fresh(2), inbox, sent.message).unwrap();
        assert_eq!(received.item.properties["hasAttachments"], true);
        let put = &received.mutation.attachment_puts[0];
        assert_eq!((put.item, put.content.as_slice()), (received.item.immutable, &b"Hello"[..]));
        assert_eq!(inline(vec![(put.attachment.clone(), put.content.clone())])[0]["contentBytes"], "SGVsbG8=");
    }

    #[test]
    fn adding_and_removing_one_is_an_update_of_the_item() {
        let item = draft(json!({ "subject": "x" }));
        let Attached { attachment, written } = added(&item, &[], file(false)).unwrap();
        assert_eq!(written.item.properties["hasAttachments"], true);
        assert_ne!(written.item.version, item.version);
        let change = &written.mutation.changes[0];
        assert_eq!((change.change, &change.before["hasAttachments"]), (ChangeType::Updated, &json!(false)));
        assert_eq!(written.mutation.expect, [(item.id, Some(item.version))]);
        let present = [attachment.clone()];
        let removed = detach(&megan(), &fresh(4), &written.item, &present, attachment.id).unwrap();
        assert_eq!(removed.item.properties["hasAttachments"], false);
        assert_eq!(removed.mutation.attachment_removes, [(item.immutable, attachment.id)]);
        assert_eq!(detach(&megan(), &fresh(5), &removed.item, &[], attachment.id), None);
    }

    #[test]
    fn an_item_is_attached_with_what_its_kind_has() {
        let item = draft(json!({ "subject": "x" }));
        let body = |item: Value| json!({ "@odata.type": "#microsoft.graph.itemAttachment", "name": "i", "item": item });
        let inner = json!({ "@odata.type": "microsoft.graph.message", "subject": "inner" });
        let attached = added(&item, &[], body(inner)).unwrap().attachment;
        assert_eq!(attached.properties["item"]["subject"], "inner");
        assert_eq!(attached.properties["item"]["importance"], "normal");
        assert!(size(&attached) > 100);
        let half = json!({ "@odata.type": "#microsoft.graph.event", "subject": "no times" });
        assert_eq!(added(&item, &[], body(half)), Err("start is required".to_owned()));
        let nothing = json!({ "@odata.type": "#microsoft.graph.itemAttachment", "name": "i" });
        assert_eq!(added(&item, &[], nothing), Err("item is required".to_owned()));
    }

    #[test]
    fn bounds_hold() {
        let item = draft(json!({ "subject": "x" }));
        let mut large = file(false);
        large["contentBytes"] = STANDARD.encode(vec![0; DIRECT_BYTES_MAX + 1]).into();
        assert_eq!(
            added(&item, &[], large),
            Err(format!("the attachment is larger than {DIRECT_BYTES_MAX} bytes: upload it in parts"))
        );
        let one = added(&item, &[], file(false)).unwrap().attachment;
        let many = vec![one.clone(); ATTACHMENTS_MAX];
        assert_eq!(added(&item, &many, file(false)), Err("the item has 250 attachments, which is the most".to_owned()));
        let mut huge = one;
        huge.properties.insert("size".to_owned(), UPLOAD_BYTES_MAX.into());
        assert!(added(&item, std::slice::from_ref(&huge), file(false)).unwrap_err().contains("larger than"));
        assert!(check_sendable(&[huge]).is_err());
        let session = |size: u64| {
            upload(json!({ "AttachmentItem": { "attachmentType": "file", "name": "big.bin", "Size": size } }))
        };
        assert!(matches!(session(UPLOAD_BYTES_MIN - 1), Err(Refusal::UploadTooSmall { .. })));
        assert!(matches!(session(UPLOAD_BYTES_MAX + 1), Err(Refusal::UploadTooLarge { .. })));
        assert_eq!(session(UPLOAD_BYTES_MIN).unwrap().0["isInline"], false);
    }
}
