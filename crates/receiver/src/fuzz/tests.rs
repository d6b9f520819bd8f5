//! Runs the harnesses for a moment.

use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use protocol::envelope::EncryptedContent;
use protocol::validation_token::Version;
use serde_json::{Value, json};

use super::*;
use crate::issuer::{APP, AUTHORITY, Certificate, Issuer, OTHER_TENANT, TENANT, after, hs256, unsigned};
use crate::validation_token::LEEWAY;

const CONTENTS: [&str; 2] = [r#"{"subject":"hello"}"#, r#"{"subject":"something else, and longer"}"#];

static RECEIVER: LazyLock<Receiver> = LazyLock::new(|| {
    let builder = Receiver::builder()
        .client_state("s3cret")
        .app_id(APP)
        .tenant(TENANT)
        .authority("https://other.example")
        .keys(Issuer::first().keys());
    builder.private_key("c", Certificate::first().opening()).build().unwrap()
});

static SEALED: LazyLock<[EncryptedContent; 2]> =
    LazyLock::new(|| [0, 1].map(|nth| Certificate::first().seal(CONTENTS[nth], nth as u8, "c")));

/// A good token, and many that are not: of another tenant, app, key and algorithm.
static TOKENS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let (first, second) = (Issuer::first(), Issuer::second());
    let good = first.token(TENANT, Version::V1);
    let claims =
        format!(r#"{{"aud":"{APP}","iss":"https://sts.windows.net/{TENANT}/","tid":"{TENANT}","exp":9999999999}}"#);
    let [none, shared] = ["none", "HS256"].map(|alg| json!({"typ": "JWT", "alg": alg, "kid": first.kid}));
    vec![
        good.clone(),
        first.token(OTHER_TENANT, Version::V1),
        first.token(TENANT, Version::V2 { origin: AUTHORITY }),
        first.sign(&first.header(), &claims),
        second.token(TENANT, Version::V1),
        second.sign(&first.header(), &claims),
        format!("{}.", unsigned(&none, &claims)),
        hs256(&shared, &claims, first.public()),
        good[..good.len() - 1].to_owned(),
        "e30.e30.".to_owned(),
    ]
});

fn item(sealed: &[EncryptedContent; 3], tenant: &str, state: &str) -> Value {
    let [data, data_key, signature] = sealed;
    json!({
        "subscriptionId": "s", "subscriptionExpirationDateTime": "2026-11-24T10:00:00Z", "changeType": "created",
        "resource": "Users('u')/messages('m')", "clientState": state, "tenantId": tenant,
        "encryptedContent": {
            "data": data.data, "dataKey": data_key.data_key, "dataSignature": signature.data_signature,
            "encryptionCertificateId": "c", "encryptionCertificateThumbprint": ""
        }
    })
}

/// An item whose members may be those of another one.
fn mixed() -> impl Strategy<Value = Value> {
    let sealed = prop::array::uniform3(select(SEALED.to_vec()));
    let tenant = select(vec![TENANT, TENANT, OTHER_TENANT, ""]);
    (sealed, tenant, select(vec!["s3cret", "s3cret", "guess"]))
        .prop_map(|(sealed, tenant, state)| item(&sealed, tenant, state))
}

fn edited(text: String, edits: Vec<(Index, char)>, end: Option<Index>) -> String {
    let mut letters: Vec<char> = text.chars().collect();
    for (at, letter) in edits {
        let at = at.index(letters.len());
        letters[at] = letter;
    }
    letters.truncate(end.map_or(letters.len(), |end| end.index(letters.len())));
    letters.into_iter().collect()
}

fn edits() -> impl Strategy<Value = (Vec<(Index, char)>, Option<Index>)> {
    let edits = prop::collection::vec((any::<Index>(), prop::char::range(' ', '~')), 0..4);
    (edits, prop::option::weighted(0.2, any::<Index>()))
}

proptest! {
    #[test]
    fn mixed_up_notifications_and_tokens_open_as_what_was_sealed_or_not_at_all(
        items in prop::collection::vec(mixed(), 0..4), tokens in prop::collection::vec(select(TOKENS.clone()), 0..3),
    ) {
        let body = json!({"value": items, "validationTokens": tokens}).to_string();
        let opened = posted(&RECEIVER, body.as_bytes(), after(60), &CONTENTS);
        let genuine = RECEIVER.receive(body.as_bytes(), after(60));
        let with_right_word = items.iter().any(|item| item["clientState"] == "s3cret");
        if with_right_word && tokens.iter().any(|token| *token != TOKENS[0]) {
            prop_assert!(genuine.is_err(), "one bad token spoils the request");
        }
        if genuine.is_ok() {
            let whole = |item: &&Value| {
                let parts = ["data", "dataKey", "dataSignature"].map(|name| &item["encryptedContent"][name]);
                let is_one = SEALED.iter().any(|sealed| parts == [&sealed.data, &sealed.data_key, &sealed.data_signature]);
                item["clientState"] == "s3cret" && is_one
            };
            prop_assert_eq!(opened, items.iter().filter(whole).count(), "what is whole opens, and nothing else");
        }
    }

    #[test]
    fn damaged_bodies_are_refused_or_read((edits, end) in edits()) {
        let whole = SEALED.each_ref().map(|sealed| item(&[sealed.clone(), sealed.clone(), sealed.clone()], TENANT, "s3cret"));
        let body = json!({"value": whole, "validationTokens": [TOKENS[0]]}).to_string();
        posted(&RECEIVER, edited(body, edits, end).as_bytes(), after(60), &CONTENTS);
    }

    #[test]
    fn arbitrary_bodies_are_refused_or_read(body in prop::collection::vec(any::<u8>(), 0..256)) {
        posted(&RECEIVER, &body, after(60), &CONTENTS);
    }

    #[test]
    fn damaged_tokens_verify_nothing(which in 0..TOKENS.len(), (edits, end) in edits()) {
        let rules = TokenRules {
            app_ids: vec![APP.into()], tenants: vec![TENANT.into()], authority: "https://other.example".into(), leeway: LEEWAY,
        };
        let damaged = edited(TOKENS[which].clone(), edits, end);
        token(&rules, &Issuer::first().keys(), after(60), &damaged, &TOKENS[..1]);
    }

    #[test]
    fn any_query_is_a_handshake_or_not(text in "\\PC{0,80}|validationToken=\\PC{0,80}|([a-z&=+%]|validationToken){0,20}") {
        query(&text);
    }
}

#[test]
fn what_is_deep_or_huge_is_refused() {
    for body in [r#"{"value":"#.repeat(100_000), "[".repeat(1_000_000), "9".repeat(5 * 1024 * 1024)] {
        posted(&RECEIVER, body.as_bytes(), after(60), &[]);
        assert!(RECEIVER.receive(body.as_bytes(), after(60)).is_err());
    }
}
