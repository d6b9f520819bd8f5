//! Messages that a client hands over as MIME: drafts, and mail to send.

use base64::Engine as _;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::STANDARD;

use super::create::begin_draft;
use super::meeting::Meeting;
use super::send::{Sent, send_new};
use super::{Fresh, Owner, Written, complete, put_new};
use crate::mime::{self, Origin};
use crate::{FolderId, Kind, Properties, Refusal};

/// Makes a draft of a message in base64.
pub fn create_mime(owner: &Owner, fresh: &Fresh, folder: FolderId, encoded: &[u8]) -> Result<Written, Refusal> {
    let (mut properties, _) = draft(encoded)?;
    complete(owner, fresh, Kind::Message, &mut properties)?;
    Ok(put_new(owner, fresh, folder, properties))
}

/// Sends a message in base64, and keeps it in Sent Items. What it tells of a meeting goes with it.
pub fn send_mime(owner: &Owner, fresh: &Fresh, encoded: &[u8]) -> Result<Sent, Refusal> {
    let (properties, meeting) = draft(encoded)?;
    Ok(Sent { meeting, ..send_new(owner, fresh, properties, true)? })
}

/// The message as a draft, and what it tells of a meeting. Its headers stay, whatever their names: they came
/// with it.
fn draft(encoded: &[u8]) -> Result<(Properties, Option<Meeting>), Refusal> {
    let parsed = mime::parse(&decode(encoded)?, Origin::Delivered).map_err(Refusal::Mime)?;
    let mut properties = parsed.properties;
    let headers = properties.remove("internetMessageHeaders");
    begin_draft(&mut properties)?;
    properties.insert("isRead".to_owned(), true.into());
    if let Some(headers) = headers {
        properties.insert("internetMessageHeaders".to_owned(), headers);
    }
    Ok((properties, parsed.meeting))
}

/// Clients break the lines of base64, and some leave its padding away.
fn decode(encoded: &[u8]) -> Result<Vec<u8>, Refusal> {
    const ENGINE: GeneralPurpose = base64::engine::general_purpose::STANDARD_NO_PAD;
    let text: Vec<u8> = encoded.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let decoded = STANDARD.decode(&text).or_else(|_| ENGINE.decode(&text));
    decoded.ok().filter(|bytes| !bytes.is_empty()).ok_or(Refusal::MimeNotBase64)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{folder, fresh, megan};
    use super::*;
    use crate::WellKnown;

    const MESSAGE: &str = "From: Megan <megan@contoso.test>\r\nTo: adele@contoso.test\r\nSubject: Hi\r\n\
X-Mine: 1\r\nReceived: from a by b; Sat, 21 Nov 2020 10:00:05 +0100\r\nMIME-Version: 1.0\r\n\
Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nHello\r\n--b\r\n\
Content-Type: text/plain; name=a.txt\r\nContent-Disposition: attachment\r\n\r\nfile\r\n--b--\r\n";

    fn encoded(message: &str) -> Vec<u8> {
        let text = STANDARD.encode(message);
        text.as_bytes().chunks(60).collect::<Vec<_>>().join(&b"\r\n"[..])
    }

    #[test]
    fn mime_becomes_a_draft_of_now_with_its_attachments() {
        let made = create_mime(&megan(), &fresh(1), folder(WellKnown::Drafts), &encoded(MESSAGE)).unwrap();
        let properties = &made.item.properties;
        assert_eq!(
            (&properties["subject"], &properties["isDraft"], &properties["isRead"]),
            (&"Hi".into(), &true.into(), &true.into())
        );
        assert_eq!(properties["receivedDateTime"], "2026-11-21T10:01:00Z");
        assert_eq!(properties["hasAttachments"], true);
        assert_eq!(properties["internetMessageHeaders"][3]["name"], "X-Mine");
        assert_eq!(made.mutation.attachment_puts[0].content, b"file");
    }

    #[test]
    fn mime_is_sent_only_in_the_owners_name() {
        let sent = send_mime(&megan(), &fresh(1), &encoded(MESSAGE)).unwrap();
        assert_eq!(sent.recipients, ["adele@contoso.test"]);
        assert_eq!(sent.message["attachments"][0]["contentBytes"], "ZmlsZQ==");
        let forged = encoded(&MESSAGE.replace("<megan@", "<alex@"));
        assert!(matches!(send_mime(&megan(), &fresh(1), &forged), Err(Refusal::SendAsDenied { .. })));
    }

    #[test]
    fn what_is_no_base64_or_no_message_is_refused() {
        let refused = |body: &[u8]| send_mime(&megan(), &fresh(1), body).unwrap_err();
        assert_eq!(refused(b"{}"), Refusal::MimeNotBase64);
        assert_eq!(refused(b""), Refusal::MimeNotBase64);
        assert!(matches!(refused(&encoded("just a sentence")), Refusal::Mime(_)));
    }
}
