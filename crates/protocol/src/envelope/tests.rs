use proptest::prelude::*;
use rustls_pki_types::PrivatePkcs8KeyDer;

use super::*;

const KEY: &str = include_str!("../../tests/data/throwaway_key_2048.pem");
pub(super) const CERTIFICATE: &str = include_str!("../../tests/data/throwaway_certificate_2048.pem");
pub(super) const KEY_4096: &str = include_str!("../../tests/data/throwaway_key_4096.pem");
const CERTIFICATE_4096: &str = include_str!("../../tests/data/throwaway_certificate_4096.pem");
const CONTENT: &[u8] = include_bytes!("../../tests/data/content.json");
pub(super) const HELLO: &[u8] = br#"{"subject":"hello","isRead":false}"#;

pub(super) fn counting() -> ContentKey {
    ContentKey::new(std::array::from_fn(|index| index as u8))
}

pub(super) fn sealing() -> SealingKey {
    SealingKey::from_certificate(CERTIFICATE).unwrap()
}

pub(super) fn opening() -> OpeningKey {
    OpeningKey::from_pem(KEY).unwrap()
}

pub(super) fn sealed() -> EncryptedContent {
    seal(HELLO, &counting(), &sealing(), "cert-1").unwrap()
}

/// `bytes` in `dataKey`, right in all but that it need not be 32 bytes of a key.
fn data_key_of(bytes: &[u8]) -> String {
    let to = sealing();
    let mut room = vec![0; to.key.ciphertext_size()];
    BASE64.encode(to.key.encrypt(&OAEP_SHA1_MGF1SHA1, bytes, &mut room, None).unwrap())
}

fn signed(data: &[u8]) -> EncryptedContent {
    let signature = hmac::sign(&counting().hmac(), data);
    EncryptedContent { data: BASE64.encode(data), data_signature: BASE64.encode(signature), ..sealed() }
}

#[test]
fn the_symmetric_half_is_that_of_the_known_answer() {
    let sealed = sealed();
    assert_eq!(sealed.data, "1zpEyrjj8gXj4NNiydWs8hD51JXvl4fIRNX3imryg8c+ecvKH0WS4xjbTUB2uoDr");
    assert_eq!(sealed.data_signature, "OgkMxZl4VlpDr9/w/I8gY+XTJG9Y2gPD2GqIHzZV2Rg=");
    assert_eq!(sealed.encryption_certificate_id, "cert-1");
    assert_eq!(open(&sealed, &opening()).unwrap().as_slice(), HELLO);
}

#[test]
fn what_an_independent_implementation_sealed_opens() {
    let sealed: EncryptedContent =
        serde_json::from_str(include_str!("../../tests/data/sealed_by_python.json")).unwrap();
    assert_eq!(open(&sealed, &opening()).unwrap().as_slice(), CONTENT);
    assert_eq!(sealed.encryption_certificate_thumbprint, sealing().thumbprint());
}

/// `tests/data/vectors.py` has opened it.
#[test]
fn what_an_independent_implementation_opened_still_opens() {
    let sealed: EncryptedContent =
        serde_json::from_str(include_str!("../../tests/data/sealed_by_tidings.json")).unwrap();
    assert_eq!(open(&sealed, &opening()).unwrap().as_slice(), CONTENT);
}

#[test]
fn the_longest_keys_seal_and_open_too() {
    let to = SealingKey::from_certificate(CERTIFICATE_4096).unwrap();
    let sealed = seal(HELLO, &counting(), &to, "").unwrap();
    assert_eq!(BASE64.decode(&sealed.data_key).unwrap().len(), 512);
    assert_eq!(open(&sealed, &OpeningKey::from_pem(KEY_4096).unwrap()).unwrap().as_slice(), HELLO);
}

#[test]
fn the_first_step_that_fails_is_told() {
    let cut = |text: &str, chars: usize| text[..text.len() - chars].to_owned();
    let key = data_key_of(&[7; 32]);
    let cases = [
        (EncryptedContent { data: "A".repeat(DATA_CHARS_MAX + 1), ..sealed() }, OpenError::TooLarge),
        (EncryptedContent { data_key: "a-b_".into(), ..sealed() }, OpenError::DataKeyNotBase64),
        (EncryptedContent { data_key: cut(&key, 1), ..sealed() }, OpenError::DataKeyNotBase64),
        (
            EncryptedContent { data_key: cut(&key, 4), ..sealed() },
            OpenError::DataKeyLength { found: 255, expected: 256 },
        ),
        (
            EncryptedContent { data_key: String::new(), ..sealed() },
            OpenError::DataKeyLength { found: 0, expected: 256 },
        ),
        (
            EncryptedContent { data_key: "A".repeat(8 << 10), ..sealed() },
            OpenError::DataKeyLength { found: 6 << 10, expected: 256 },
        ),
        (EncryptedContent { data_key: BASE64.encode([1; 256]), ..sealed() }, OpenError::DataKeyNotDecrypted),
        (EncryptedContent { data_key: data_key_of(&[7; 16]), ..sealed() }, OpenError::ContentKeyLength(16)),
        (EncryptedContent { data: "1zpE!".into(), ..sealed() }, OpenError::DataNotBase64),
        (EncryptedContent { data: "1zpE".into(), ..sealed() }, OpenError::DataLength(3)),
        (EncryptedContent { data: String::new(), ..sealed() }, OpenError::DataLength(0)),
        (EncryptedContent { data_signature: "?".into(), ..sealed() }, OpenError::SignatureNotBase64),
        (EncryptedContent { data_signature: String::new(), ..sealed() }, OpenError::SignatureDiffers),
        (EncryptedContent { data_signature: "A".repeat(8 << 10), ..sealed() }, OpenError::SignatureDiffers),
        (EncryptedContent { data_key: key, ..sealed() }, OpenError::SignatureDiffers),
        (signed(&[0; 32]), OpenError::Padding),
    ];
    for (content, error) in cases {
        assert_eq!(open(&content, &opening()).err(), Some(error), "{content:?}");
    }
}

#[test]
fn nothing_is_decrypted_whose_signature_differs() {
    let damaged = EncryptedContent { data: BASE64.encode([0; 32]), ..sealed() };
    assert_eq!(open(&signed(&[0; 32]), &opening()).err(), Some(OpenError::Padding), "signed, it gets to the padding");
    assert_eq!(open(&damaged, &opening()).err(), Some(OpenError::SignatureDiffers));
}

#[test]
fn content_for_another_key_is_not_opened() {
    let other = OpeningKey::from_pem(KEY_4096).unwrap();
    assert_eq!(open(&sealed(), &other).err(), Some(OpenError::DataKeyLength { found: 256, expected: 512 }));
    // As many bytes, but of a key that nobody has.
    let forged = EncryptedContent { data_key: BASE64.encode([1; 512]), ..sealed() };
    assert_eq!(open(&forged, &other).err(), Some(OpenError::DataKeyNotDecrypted));
}

#[test]
fn a_key_knows_its_own_certificate_from_others() {
    let longer = SealingKey::from_certificate(CERTIFICATE_4096).unwrap();
    assert!(opening().is_of(&sealing()) && !opening().is_of(&longer));
    let another = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
    assert!(!OpeningKey::from_pem(&another.serialize_pem()).unwrap().is_of(&sealing()), "of the same length");
}

#[test]
fn nothing_is_sealed_that_would_not_be_opened() {
    let largest = (DATA_CHARS_MAX / 4 * 3) / BLOCK_BYTES * BLOCK_BYTES - 1;
    assert!(data_chars(largest) <= DATA_CHARS_MAX && data_chars(largest + 1) > DATA_CHARS_MAX);
    assert_eq!(seal(&vec![b' '; largest + 1], &counting(), &sealing(), "").err(), Some(SealError::TooLarge));
    assert_eq!(data_chars(usize::MAX), usize::MAX);
}

#[test]
fn a_certificate_that_nothing_can_be_sealed_for_is_refused() {
    assert_eq!(SealingKey::from_certificate("").err(), Some(CertificateError::Unreadable));
    assert_eq!(SealingKey::from_certificate(KEY).err(), Some(CertificateError::PrivateKey));
}

#[test]
fn a_private_key_is_read_in_each_form() {
    use rustls_pki_types::pem::PemObject as _;
    let pkcs8 = PrivatePkcs8KeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
    // What stands before the key of this length in PKCS #8.
    let pkcs1 = &pkcs8.secret_pkcs8_der()[26..];
    let text = format!("-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----\n", BASE64.encode(pkcs1));
    for key in [
        OpeningKey::from_der(pkcs8.secret_pkcs8_der()),
        OpeningKey::from_der(pkcs1),
        OpeningKey::from_pem(&text),
        OpeningKey::from_pem(&format!("{CERTIFICATE}{KEY}")),
    ] {
        assert_eq!(open(&sealed(), &key.unwrap()).unwrap().as_slice(), HELLO);
    }
}

#[test]
fn what_is_no_key_that_opens_is_told_apart() {
    let elliptic = rcgen::KeyPair::generate().unwrap();
    let sec1 = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY-----\n";
    let locked = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIFHDBO\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let locked_pkcs1 = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nMIIF\n\
                        -----END RSA PRIVATE KEY-----\n";
    let cases = [
        ("", OpeningKeyError::Unreadable),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", OpeningKeyError::Unreadable),
        (&KEY[..KEY.len() / 2], OpeningKeyError::Unreadable),
        (&" ".repeat(open::OPENING_KEY_BYTES_MAX + 1), OpeningKeyError::Unreadable),
        (CERTIFICATE, OpeningKeyError::Certificate),
        (&elliptic.public_key_pem(), OpeningKeyError::PublicKey),
        (locked, OpeningKeyError::Passphrase),
        (locked_pkcs1, OpeningKeyError::Passphrase),
        (&elliptic.serialize_pem(), OpeningKeyError::NotRsa),
        (sec1, OpeningKeyError::NotRsa),
    ];
    for (text, error) in cases {
        assert_eq!(OpeningKey::from_pem(text).err(), Some(error), "{text}");
    }
    assert_eq!(OpeningKey::from_der(&elliptic.serialize_der()).err(), Some(OpeningKeyError::NotRsa));
    assert_eq!(OpeningKey::from_der(b"").err(), Some(OpeningKeyError::Unreadable));
    assert_eq!(OpeningKey::from_der(&[0x30, 0x82, 0x0a, 0xff, 2, 1, 3, 0x30]).err(), Some(OpeningKeyError::Pkcs12));
    let certificate = crate::certificate::read(CERTIFICATE).unwrap();
    assert_eq!(OpeningKey::from_der(&certificate).err(), Some(OpeningKeyError::Certificate));
}

#[test]
fn no_key_and_no_content_is_shown_when_debugging() {
    let shown = format!("{:?} {:?} {:?} {:?}", counting(), opening(), sealing(), sealed());
    insta::assert_snapshot!(shown, @r#"ContentKey(…) OpeningKey { bytes: 256, .. } SealingKey { thumbprint: "5C37D7461A449C2815B95C9CA61EA4C581C99F4C", .. } EncryptedContent { data_chars: 64, encryption_certificate_id: "cert-1", encryption_certificate_thumbprint: "5C37D7461A449C2815B95C9CA61EA4C581C99F4C", .. }"#);
}

proptest! {
    #[test]
    fn whatever_is_sealed_opens_as_it_was(content in prop::collection::vec(any::<u8>(), 0..200), key in any::<[u8; 32]>()) {
        let sealed = seal(&content, &ContentKey::new(key), &sealing(), "c").unwrap();
        prop_assert_eq!(sealed.data.len(), data_chars(content.len()));
        let opened = open(&sealed, &opening()).unwrap();
        prop_assert_eq!(opened.as_slice(), content);
    }
}
