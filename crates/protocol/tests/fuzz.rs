//! Runs the fuzz harnesses for a moment: arbitrary bytes, and requests with bytes of them changed.

use proptest::prelude::*;
use tidings_protocol::fuzz;

const REQUEST: &str = r#"{"changeType":"created, Updated","notificationUrl":"https://h/n?k=1","resource":"me/messages",
    "expirationDateTime":"2026-11-24T10:00:00.0000000Z","includeResourceData":"true","clientState":"s"}"#;

const COLLECTION: &str = r#"{"value":[{"subscriptionId":"5f7c","subscriptionExpirationDateTime":"2026-11-24T10:00:00Z",
    "changeType":"created","resource":"Users/a/Messages/b","resourceData":{"@odata.type":"x","id":"b"}}]}"#;

fn mutated(text: &'static str) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec((0..text.len(), any::<u8>()), 0..6).prop_map(move |edits| {
        let mut bytes = text.as_bytes().to_vec();
        for (at, byte) in edits {
            bytes[at] = byte;
        }
        bytes
    })
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(input in prop::collection::vec(any::<u8>(), 0..256)) {
        fuzz::subscription_request(&input);
        fuzz::received(&input);
    }

    #[test]
    fn damaged_requests_never_panic(input in mutated(REQUEST)) {
        fuzz::subscription_request(&input);
    }

    #[test]
    fn damaged_collections_never_panic(input in mutated(COLLECTION)) {
        fuzz::received(&input);
    }

    #[test]
    fn whatever_is_given_as_a_certificate_gets_a_verdict(
        text in "\\PC{0,60}|(M[A-Za-z0-9+/]{3})([A-Za-z0-9+/]{4}){0,60}|-----BEGIN CERTIFICATE-----\\PC{0,60}",
    ) {
        fuzz::certificate(&text);
    }

    #[test]
    fn the_token_survives_any_url(url in "\\PC{0,60}", body in prop::collection::vec(any::<u8>(), 0..64)) {
        fuzz::handshake(&url, &body);
    }
}
