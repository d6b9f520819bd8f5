use aws_lc_rs::cipher::{EncryptionContext, PaddedBlockEncryptingKey};
use aws_lc_rs::rsa::{OaepAlgorithm, OaepPublicEncryptingKey, Pkcs1PublicEncryptingKey};

use super::*;
use crate::certificate;
use crate::envelope::tests::{CERTIFICATE, HELLO, KEY_4096, counting, opening, sealed};

/// What somebody gets wrong who seals.
struct Sealer {
    data_key: fn(&[u8]) -> Vec<u8>,
    iv: Option<[u8; 16]>,
    content: Vec<u8>,
    signature: fn(&hmac::Key, &[u8]) -> String,
}

impl Default for Sealer {
    fn default() -> Self {
        Self {
            data_key: |key| oaep(&OAEP_SHA1_MGF1SHA1, key),
            iv: None,
            content: HELLO.to_vec(),
            signature: |key, data| BASE64.encode(hmac::sign(key, data)),
        }
    }
}

impl Sealer {
    fn seal(&self) -> EncryptedContent {
        let key = counting();
        let mut data = self.content.clone();
        let cipher = PaddedBlockEncryptingKey::cbc_pkcs7(key.cipher().unwrap()).unwrap();
        let iv = self.iv.map_or(key.iv(), Into::into);
        cipher.less_safe_encrypt(&mut data, EncryptionContext::Iv128(iv)).unwrap();
        EncryptedContent {
            data: BASE64.encode(&data),
            data_key: BASE64.encode((self.data_key)(&std::array::from_fn::<u8, 32, _>(|index| index as u8))),
            data_signature: (self.signature)(&key.hmac(), &data),
            ..EncryptedContent::default()
        }
    }

    fn content(content: impl Into<Vec<u8>>) -> EncryptedContent {
        Self { content: content.into(), ..Self::default() }.seal()
    }

    fn key(data_key: fn(&[u8]) -> Vec<u8>) -> EncryptedContent {
        Self { data_key, ..Self::default() }.seal()
    }

    fn signature(signature: fn(&hmac::Key, &[u8]) -> String) -> EncryptedContent {
        Self { signature, ..Self::default() }.seal()
    }
}

fn oaep(algorithm: &'static OaepAlgorithm, bytes: &[u8]) -> Vec<u8> {
    let (_, key) = certificate::with_key(CERTIFICATE).unwrap();
    OaepPublicEncryptingKey::new(key).unwrap().encrypt(algorithm, bytes, &mut [0; 256], None).unwrap().to_vec()
}

fn pkcs1(bytes: &[u8]) -> Vec<u8> {
    let (_, key) = certificate::with_key(CERTIFICATE).unwrap();
    Pkcs1PublicEncryptingKey::new(key).unwrap().encrypt(bytes, &mut [0; 256]).unwrap().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn diagnosed(content: &EncryptedContent) -> (Step, Option<Cause>) {
    let diagnosis = examine(content, &opening()).unwrap_err();
    (diagnosis.step, diagnosis.cause)
}

#[test]
fn what_is_sealed_as_graph_seals_needs_no_diagnosis() {
    assert_eq!(Sealer::default().seal().data, sealed().data);
    assert_eq!(examine(&Sealer::default().seal(), &opening()).unwrap().as_slice(), HELLO);
}

#[test]
fn another_way_of_encrypting_the_key_is_found_out() {
    let cases = [
        (Sealer::key(|key| oaep(&OAEP_SHA256_MGF1SHA256, key)), Some(Cause::OaepSha256)),
        (Sealer::key(pkcs1), Some(Cause::Pkcs1Padding)),
        (Sealer::key(|key| pkcs1(&key[..16])), None),
        (Sealer::key(|_| vec![1; 256]), None),
        (Sealer::key(|key| oaep(&OAEP_SHA1_MGF1SHA1, BASE64.encode(key).as_bytes())), Some(Cause::KeyAsText)),
        (Sealer::key(|key| oaep(&OAEP_SHA1_MGF1SHA1, hex(key).as_bytes())), Some(Cause::KeyAsText)),
        (Sealer::key(|key| oaep(&OAEP_SHA1_MGF1SHA1, &key[..16])), None),
    ];
    for (content, cause) in cases {
        assert_eq!(diagnosed(&content), (Step::DataKey, cause));
    }
}

#[test]
fn a_private_key_of_another_length_is_told_from_a_cut_one() {
    let other = OpeningKey::from_pem(KEY_4096).unwrap();
    let cause = examine(&sealed(), &other).unwrap_err().cause;
    assert_eq!(cause, Some(Cause::OtherKey { sealed: 2048, this: 4096 }));
    let cut = EncryptedContent { data_key: sealed().data_key[..200].to_owned(), ..sealed() };
    assert_eq!(diagnosed(&cut), (Step::DataKey, None));
}

#[test]
fn another_signature_is_found_out() {
    let cases = [
        (
            Sealer::signature(|key, data| BASE64.encode(hmac::sign(key, BASE64.encode(data).as_bytes()))),
            Cause::SignsBase64,
        ),
        (Sealer::signature(|key, _| BASE64.encode(hmac::sign(key, HELLO))), Cause::SignsContent),
        (Sealer::signature(|key, data| hex(hmac::sign(key, data).as_ref())), Cause::SignatureAsHex),
        (
            Sealer::signature(|key, data| BASE64.encode(&hmac::sign(key, data).as_ref()[..20])),
            Cause::SignatureLength(20),
        ),
        (Sealer::signature(|_, _| BASE64.encode([7; 32])), Cause::OnlySignature),
        (Sealer::signature(|_, _| String::new()), Cause::Missing("dataSignature")),
    ];
    for (content, cause) in cases {
        assert_eq!(diagnosed(&content), (Step::Signature, Some(cause)));
    }
    let damaged = EncryptedContent { data: BASE64.encode([0; 48]), ..sealed() };
    assert_eq!(diagnosed(&damaged), (Step::Signature, None));
}

#[test]
fn another_iv_is_found_out() {
    let with_iv = |iv, content: &[u8]| Sealer { iv: Some(iv), content: content.to_vec(), ..Sealer::default() }.seal();
    let cases = [
        (with_iv([0; 16], HELLO), Step::Content, Cause::ZeroIv),
        (with_iv([0; 16], b"{ }"), Step::Decryption, Cause::ZeroIv),
        (with_iv([9; 16], HELLO), Step::Content, Cause::OtherIv),
        (with_iv([9; 16], r#"{"subject":"Menü"}"#.as_bytes()), Step::Content, Cause::OtherIv),
        // As libraries do that put the IV first: a block of whatever, then what follows from it.
        (Sealer::content([&[0xf0; 16], HELLO].concat()), Step::Content, Cause::IvBefore),
    ];
    for (content, step, cause) in cases {
        assert_eq!(diagnosed(&content), (step, Some(cause)));
    }
    let another_padding = Sealer::signature(|key, _| BASE64.encode(hmac::sign(key, &[0; 32])));
    let content = EncryptedContent { data: BASE64.encode([0; 32]), ..another_padding };
    assert_eq!(diagnosed(&content), (Step::Decryption, None));
}

#[test]
fn content_that_is_not_json_is_told() {
    let text = String::from_utf8_lossy(HELLO);
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let marked: Vec<u8> = "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_be_bytes).collect();
    let cases = [
        (format!("\u{feff}{text}").into_bytes(), Some(Cause::ByteOrderMark)),
        (utf16, Some(Cause::Utf16)),
        (marked, Some(Cause::Utf16)),
        (b"hello".to_vec(), None),
        (b"{\"subject\":\"\xff\"}".to_vec(), None),
        (Vec::new(), None),
    ];
    for (content, cause) in cases {
        assert_eq!(diagnosed(&Sealer::content(content)), (Step::Content, cause));
    }
}

#[test]
fn what_happened_to_the_text_of_a_member_is_told() {
    let url = |text: &str| text.replace('+', "-").replace('/', "_");
    let wrapped = |text: &str| format!("{}\r\n{}", &text[..24], &text[24..]);
    let cut = |text: &str| text.trim_end_matches('=').to_owned();
    let cases = [
        (EncryptedContent { data: url(&sealed().data), ..sealed() }, Step::Data, Some(Cause::Base64Url("data"))),
        (
            EncryptedContent { data: wrapped(&sealed().data), ..sealed() },
            Step::Data,
            Some(Cause::WhiteSpace("data", 24)),
        ),
        (
            EncryptedContent { data_key: cut(&sealed().data_key), ..sealed() },
            Step::DataKey,
            Some(Cause::Unpadded("dataKey")),
        ),
        (
            EncryptedContent { data_signature: cut(&sealed().data_signature), ..sealed() },
            Step::Signature,
            Some(Cause::Unpadded("dataSignature")),
        ),
        (EncryptedContent { data_key: String::new(), ..sealed() }, Step::DataKey, Some(Cause::Missing("dataKey"))),
        (EncryptedContent { data: String::new(), ..sealed() }, Step::Data, Some(Cause::Missing("data"))),
        (EncryptedContent { data: "1zpE".into(), ..sealed() }, Step::Data, None),
        (EncryptedContent { data: "A".repeat((8 << 20) + 4), ..sealed() }, Step::Data, None),
        (
            EncryptedContent { data: sealed().data_key, data_key: sealed().data, ..sealed() },
            Step::DataKey,
            Some(Cause::Exchanged("data", "dataKey")),
        ),
        (
            EncryptedContent { data: sealed().data_signature, data_signature: sealed().data, ..sealed() },
            Step::Signature,
            Some(Cause::Exchanged("data", "dataSignature")),
        ),
    ];
    for (content, step, cause) in cases {
        assert_eq!(diagnosed(&content), (step, cause));
    }
}
