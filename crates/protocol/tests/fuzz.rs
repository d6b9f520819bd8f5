//! Runs the fuzz harnesses for a moment: arbitrary bytes, and requests with bytes of them changed.

use std::sync::LazyLock;

use proptest::prelude::*;
use tidings_protocol::envelope::{ContentKey, EncryptedContent, OpeningKey, SealingKey, seal};
use tidings_protocol::fuzz;

const REQUEST: &str = r#"{"changeType":"created, Updated","notificationUrl":"https://h/n?k=1","resource":"me/messages",
    "expirationDateTime":"2026-11-24T10:00:00.0000000Z","includeResourceData":"true","clientState":"s"}"#;

const COLLECTION: &str = r#"{"value":[{"subscriptionId":"5f7c","subscriptionExpirationDateTime":"2026-11-24T10:00:00Z",
    "changeType":"created","resource":"Users/a/Messages/b","resourceData":{"@odata.type":"x","id":"b"}}]}"#;

const EVENT_SUBSCRIPTION: &str = r#"{"properties":{"deliveryConfiguration":{"deliveryMode":"Queue","queue":{"receiveLockDurationInSeconds":60,"eventTimeToLive":"P1DT1H"}},"filter":{"includedEventTypes":["a"],"advancedFilters":[{"operatorType":"StringIn","key":"subject","values":["x"]}]},"labels":["a"],"expirationTimeUtc":"2026-01-01T00:00:00Z","location":"westus2"}}"#;
const WEBHOOK: &str = r#"{"properties":{"destination":{"endpointType":"WebHook","properties":{"endpointUrl":"https://h/x","maxEventsPerBatch":10,"preferredBatchSizeInKilobytes":64,"azureActiveDirectoryTenantId":"t","azureActiveDirectoryApplicationIdOrUri":"a","deliveryAttributeMappings":[{"name":"X","type":"Static","properties":{"value":"v","isSecret":true}},{"name":"Y","type":"Dynamic","properties":{"sourceField":"data.a"}}]}},"retryPolicy":{"maxDeliveryAttempts":5},"deadLetterDestination":{"endpointType":"StorageBlob","properties":{"blobContainerName":"dl"}}}}"#;
const EVENT: &str = r#"{"id":"1","type":"t","source":"/s","subject":"a b","time":"2024-05-22T22:24:31.3Z","specversion":"1.0",
    "datacontenttype":"application/json","x":-1,"y":"\u20ac","z":true,"data":{"a":[1.0,null,"b"]}}"#;

const EVENTS: &str = r#"[{"id":"1","type":"t","source":"/s","specversion":"1.0","data_base64":"AP8="},
    {"id":"1","type":"t","source":"/s","specversion":"1.0","datacontenttype":"text/xml","data":"<a/>"}]"#;

/// A header of an event: one of those that there are, or nearly.
fn event_header() -> impl Strategy<Value = (String, Vec<u8>)> {
    let name = "ce-(subject|time|x|y1|data|datacontenttype|id)|CE-X|content-type|ce-[ -~]{0,4}";
    let content_type = "application/(json|cloudevents([+]json|-batch[+]json|)|x)( ?; ?charset=[a-z]{0,3})?";
    let value = prop_oneof![
        "[ -~]{0,12}".prop_map(String::into_bytes),
        "(%[0-9a-fA-F]{2}|\"|\\\\|[a-c ]){0,8}".prop_map(String::into_bytes),
        content_type.prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..8),
    ];
    (name, value)
}

fn mutated(text: &'static str) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec((0..text.len(), any::<u8>()), 0..6).prop_map(move |edits| {
        let mut bytes = text.as_bytes().to_vec();
        for (at, byte) in edits {
            bytes[at] = byte;
        }
        bytes
    })
}

const KEY: &str = include_str!("data/throwaway_key_2048.pem");
const CONTENTS: [&[u8]; 2] = [br#"{"subject":"hello"}"#, br#"{"subject":"something else, and longer"}"#];

static OPENING_KEY: LazyLock<OpeningKey> = LazyLock::new(|| OpeningKey::from_pem(KEY).unwrap());

static SEALED: LazyLock<[[String; 3]; 2]> = LazyLock::new(|| {
    let to = SealingKey::from_certificate(include_str!("data/throwaway_certificate_2048.pem")).unwrap();
    [0, 1].map(|nth| {
        let sealed = seal(CONTENTS[nth], &ContentKey::new([nth as u8 + 1; 32]), &to, "c").unwrap();
        [sealed.data, sealed.data_key, sealed.data_signature]
    })
});

/// What may happen to a member on its way: another stands in its place, characters are changed, it ends early.
fn member(own: usize) -> impl Strategy<Value = String> {
    let kept = (0..2usize, Just(own));
    let any_other = (0..2usize, 0..3usize);
    let edits = prop::collection::vec((any::<prop::sample::Index>(), "[A-Za-z0-9+/=\\PC]"), 0..3);
    let cut = prop_oneof![3 => Just(None), 1 => any::<prop::sample::Index>().prop_map(Some)];
    (prop_oneof![4 => kept, 1 => any_other], prop_oneof![2 => Just(Vec::new()), 1 => edits], cut).prop_map(
        |((envelope, member), edits, cut)| {
            let mut letters: Vec<char> = SEALED[envelope][member].chars().collect();
            for (at, letter) in edits {
                let at = at.index(letters.len());
                letters[at] = letter.chars().next().unwrap_or('A');
            }
            letters.truncate(cut.map_or(letters.len(), |end| end.index(letters.len())));
            letters.into_iter().collect()
        },
    )
}

proptest! {
    #[test]
    fn what_was_damaged_or_mixed_up_opens_as_what_was_sealed_or_not_at_all(
        data in member(0), data_key in member(1), data_signature in member(2),
    ) {
        let content = EncryptedContent { data, data_key, data_signature, ..EncryptedContent::default() };
        fuzz::envelope(&content, &OPENING_KEY, &CONTENTS);
    }

    #[test]
    fn damaged_private_keys_never_panic(input in mutated(KEY)) {
        fuzz::opening_key(&input);
    }

    #[test]
    fn arbitrary_bytes_never_panic(input in prop::collection::vec(any::<u8>(), 0..256)) {
        fuzz::subscription_request(&input);
        fuzz::received(&input);
        fuzz::opening_key(&input);
    }

    #[test]
    fn damaged_requests_never_panic(input in mutated(REQUEST)) {
        fuzz::subscription_request(&input);
    }

    #[test]
    fn damaged_lists_of_lock_tokens_are_refused_or_read(input in mutated(r#"{"lockTokens":["CiYKJD","b"]}"#)) {
        fuzz::pull(&input);
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
    fn damaged_events_are_refused_or_read_as_they_are_written(
        one in mutated(EVENT), batch in mutated(EVENTS), bytes in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        for body in [&one, &batch, &bytes] {
            fuzz::cloud_event(&[("content-type", b"application/cloudevents+json")], body);
            fuzz::cloud_event(&[("content-type", b"application/cloudevents-batch+json")], body);
        }
    }

    #[test]
    fn whatever_headers_come_the_event_is_refused_or_read_as_it_is_written(
        headers in prop::collection::vec(event_header(), 0..4), body in "[ -~]{0,12}|[{]\"a\":[0-9]{1,3}[}] ?",
    ) {
        let needed: [(&str, &[u8]); 4] =
            [("ce-id", b"1"), ("ce-specversion", b"1.0"), ("ce-source", b"/s"), ("ce-type", b"t")];
        let more = headers.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
        let all: Vec<(&str, &[u8])> = needed.into_iter().chain(more).collect();
        fuzz::cloud_event(&all, body.as_bytes());
    }

    #[test]
    fn the_token_survives_any_url(url in "\\PC{0,60}", body in prop::collection::vec(any::<u8>(), 0..64)) {
        fuzz::handshake(&url, &body);
    }

    #[test]
    fn whatever_is_added_as_a_header_is_one_or_none(
        name in "[xX]-[a-z]{0,3}|\\PC{0,8}|aeg-[a-z]{1,2}", text in "subject|x|y|data(\\.a){0,2}|[ -~\r\n]{0,12}|\\PC{0,12}",
        event in mutated(EVENT),
    ) {
        fuzz::pushed_header(&name, &text, &event);
    }

    #[test]
    fn whatever_is_presented_as_a_signature_gets_a_verdict(
        text in "(r=\\PC{0,20}&)?(e=(2026-06-15T18%3A20%3A15|\\PC{0,20})&)?(s=([A-Za-z0-9%]{4}){0,11}=?|\\PC{0,20})?",
    ) {
        fuzz::shared_access(&text);
    }

    #[test]
    fn whatever_is_asked_of_topics_gets_a_verdict(
        path in "(/topics/\\PC{0,8}(:publish)?(/eventsubscriptions/\\PC{0,4}:(receive|reject|\\PC{0,4}))?)|\\PC{0,30}",
        body in mutated(EVENT_SUBSCRIPTION), webhook in mutated(WEBHOOK),
    ) {
        fuzz::topic_management(&path, &body);
        let group = "/subscriptions/8d4f/resourceGroups/rg1/providers/Microsoft.EventGrid";
        for body in [&body, &webhook] {
            fuzz::topic_management(&format!("{group}/partnerTopics/mail/eventSubscriptions/worker"), body);
        }
        fuzz::topic_management(&format!("{group}{path}"), &body);
    }
}
