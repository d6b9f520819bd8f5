//! Keys that make a delivery or an import happen once.

use std::fmt::Write as _;

use aws_lc_rs::digest::{Context, SHA256};

/// Headers that a server adds on the way, so that they differ when it sends the same message again.
const TRACE_HEADERS: [&[u8]; 3] = [b"received", b"return-path", b"delivered-to"];

/// The same for the same message to the same recipient, whatever the trace headers above it say.
pub(crate) fn delivery_key(recipient: &str, message: &[u8]) -> String {
    key(&[b"lmtp", recipient.to_ascii_lowercase().as_bytes(), without_trace(message)])
}

/// The same for the same content, imported the `nth` time in one run.
pub(crate) fn import_key(content: &[u8], nth: u32) -> String {
    key(&[b"import", &nth.to_be_bytes(), without_trace(content)])
}

/// SHA-256 of the parts, each with its length, in hexadecimal.
fn key(parts: &[&[u8]]) -> String {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut text = String::with_capacity(64);
    for byte in context.finish().as_ref() {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// The message from its first header that is no trace header.
fn without_trace(message: &[u8]) -> &[u8] {
    let mut rest = message;
    loop {
        let name = rest.split(|byte| *byte == b':').next().unwrap_or_default();
        if !TRACE_HEADERS.iter().any(|trace| name.trim_ascii_end().eq_ignore_ascii_case(trace)) {
            return rest;
        }
        rest = after_header(rest);
    }
}

/// What follows the header at the start, with its folded lines.
fn after_header(message: &[u8]) -> &[u8] {
    let mut rest = message;
    loop {
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else { return b"" };
        rest = &rest[end + 1..];
        if !matches!(rest.first(), Some(b' ' | b'\t')) {
            return rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &[u8] = b"Subject: hi\r\nReceived: kept, for it is not above\r\n\r\nbody\r\n";

    #[test]
    fn the_same_message_sent_again_has_the_same_key() {
        let with = |trace: &str| [trace.as_bytes(), MESSAGE].concat();
        let first =
            delivery_key("megan@contoso.test", &with("Return-Path: <a@b>\r\nReceived: from x\r\n\tby y; now\r\n"));
        let second = delivery_key(
            "Megan@Contoso.test",
            &with("Received: from x by y; later\r\nDelivered-To: megan@contoso.test\r\n"),
        );
        assert_eq!(first, second);
        assert_eq!(first.len(), 64);
    }

    #[test]
    fn another_recipient_body_or_time_has_another_key() {
        let key = delivery_key("megan@contoso.test", MESSAGE);
        assert_ne!(key, delivery_key("adele@contoso.test", MESSAGE));
        assert_ne!(key, delivery_key("megan@contoso.test", b"Subject: hi\r\n\r\nbody\r\n"));
        assert_ne!(import_key(MESSAGE, 0), import_key(MESSAGE, 1));
    }

    #[test]
    fn a_message_of_nothing_but_trace_headers_has_a_key() {
        for message in [b"".as_slice(), b"Received: x", b"Received: x\r\n", b"Received: x\r\n \r\n"] {
            assert_eq!(without_trace(message), b"", "{message:?}");
        }
    }
}
