use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use clap::Parser as _;
use protocol::ContentKey;
use protocol::envelope::seal;
use serde_json::json;

use super::*;

const KEY: &str = include_str!("../../../../protocol/tests/data/throwaway_key_2048.pem");
const CERTIFICATE: &str = include_str!("../../../../protocol/tests/data/throwaway_certificate_2048.pem");
const OTHER_CERTIFICATE: &str = include_str!("../../../../protocol/tests/data/throwaway_certificate_4096.pem");
/// OAEP draws its padding anew each time; what is in snapshots does not.
const SEALED: &str = include_str!("../../../../protocol/tests/data/sealed_by_python.json");

fn opener(certificate: Option<&str>, certificate_id: Option<&str>) -> Opener {
    Opener {
        keys: vec![OpeningKey::from_pem(KEY).unwrap()],
        certificate: certificate.map(|text| SealingKey::from_certificate(text).unwrap()),
        certificate_id: certificate_id.map(str::to_owned),
        json: false,
    }
}

/// What is printed and told in all.
struct Outcome {
    content: String,
    told: String,
    counts: Counts,
}

impl Opener {
    fn open_all(&self, input: &[u8]) -> Outcome {
        let told = self.unfit().map(|note| note + "\n").unwrap_or_default();
        let mut outcome = Outcome { content: String::new(), told, counts: Counts::default() };
        for report in self.reports(input) {
            outcome.counts.add(&report);
            outcome.content += &report.content;
            outcome.told += &report.told;
        }
        let _ = writeln!(outcome.told, "{}", outcome.counts);
        outcome
    }
}

fn open_all(input: &[u8]) -> Outcome {
    opener(None, None).open_all(input)
}

fn sealed(content: &str) -> Value {
    let to = SealingKey::from_certificate(CERTIFICATE).unwrap();
    json!(seal(content.as_bytes(), &ContentKey::new([7; 32]), &to, "cert-1").unwrap())
}

fn notification(content: Value) -> Value {
    json!({"subscriptionId": "s-1", "changeType": "updated", "resource": "Users('u')/messages('m')",
           "encryptedContent": content})
}

/// With one member of the encrypted content as `change` makes it.
fn changed(name: &str, change: impl Fn(&str) -> String) -> Value {
    let mut content = sealed(r#"{"subject":"Hello"}"#);
    content[name] = change(content[name].as_str().unwrap()).into();
    notification(content)
}

#[test]
fn each_item_is_printed_and_what_it_is_of_is_told() {
    let hard_deleted =
        json!({"subscriptionId": "s-1", "changeType": "deleted", "resource": "Users('u')/messages('n')"});
    let body = json!({"value": [
        notification(sealed(r#"{"subject":"Hello","isRead":false}"#)),
        hard_deleted,
        notification(sealed(r#"{"subject":"World"}"#)),
    ]});
    let outcome = open_all(body.to_string().as_bytes());
    insta::assert_snapshot!(outcome.content, @r#"
    {
      "isRead": false,
      "subject": "Hello"
    }
    {
      "subject": "World"
    }
    "#);
    insta::assert_snapshot!(outcome.told, @r"
    1: updated Users('u')/messages('m') (subscription s-1)
    2: deleted Users('u')/messages('n') (subscription s-1)
       no encryptedContent: the item is gone, or was too large, or its subscription has no resource data
    3: updated Users('u')/messages('m') (subscription s-1)
    2 opened, 0 failed, 1 without resource data
    ");
    assert_eq!(outcome.counts, Counts { opened: 2, without: 1, ..Counts::default() });
}

#[test]
fn what_fails_is_explained_and_the_others_are_opened() {
    let body = json!({"value": [
        changed("dataSignature", |_| BASE64.encode([0; 32])),
        changed("dataKey", |_| BASE64.encode([1; 256])),
        changed("data", |text| format!("{} {}", &text[..8], &text[8..])),
        notification(sealed("hello")),
        notification(json!({"data": 1})),
        notification(sealed("{}")),
    ]});
    let outcome = open_all(body.to_string().as_bytes());
    assert_eq!(outcome.content, "{}\n");
    insta::assert_snapshot!(outcome.told, @r#"
    1: updated Users('u')/messages('m') (subscription s-1)
       step 3 (checking dataSignature) fails: dataSignature is not that of data
       the cause: data decrypts all the same: dataSignature is damaged, of another notification, or made in another way
    2: updated Users('u')/messages('m') (subscription s-1)
       step 1 (decrypting dataKey with the private key) fails: dataKey was not encrypted for this private key, or is damaged
       perhaps it was sealed for another certificate, it is damaged, or it was encrypted in another way than with OAEP and SHA-1 (as the hash and in MGF1, with an empty label)
       with --certificate it can be told which: give the one that the subscription has
       it names the certificate 5C37D7461A449C2815B95C9CA61EA4C581C99F4C with the id "cert-1"
    3: updated Users('u')/messages('m') (subscription s-1)
       step 2 (decoding data) fails: data is not base64
       the cause: data has white space in it, after 8 characters; take it out
    4: updated Users('u')/messages('m') (subscription s-1)
       step 5 (reading the content) fails: what was decrypted is not JSON
       perhaps it was sealed as something else, or encrypted in another way than with AES-256 in CBC mode
    5: updated Users('u')/messages('m') (subscription s-1)
       encryptedContent is not as it must be: invalid type: integer `1`, expected a string
    6: updated Users('u')/messages('m') (subscription s-1)
    1 opened, 5 failed, 0 without resource data
    "#);
}

#[test]
fn an_item_is_read_in_each_form_in_which_it_is_kept() {
    let content: Value = serde_json::from_str(SEALED).unwrap();
    let body = json!({"value": [notification(content.clone())]});
    for (input, items) in [
        (SEALED.to_owned(), 1),
        (notification(content.clone()).to_string(), 1),
        (json!([notification(content.clone()), content]).to_string(), 2),
        (body.to_string(), 1),
        (format!("{body}\n{body}\n"), 2),
        (format!("\u{feff}{body:#}"), 1),
    ] {
        let outcome = open_all(input.as_bytes());
        assert_eq!(outcome.counts, Counts { opened: items, ..Counts::default() }, "{input}: {}", outcome.told);
    }
}

#[test]
fn what_is_no_notification_is_told_after_those_before_it() {
    let body = json!({"value": [notification(sealed("{}"))]}).to_string();
    for (after, why) in [
        (r#"{"value":["#, "the input is cut off: EOF"),
        ("}", "the input is not JSON"),
        ("1", "something in the input is no notification"),
        (r#"{"a":1}"#, "something in the input is no notification"),
    ] {
        let outcome = open_all(format!("{body}\n{after}").as_bytes());
        assert_eq!(outcome.counts, Counts { opened: 1, failed: 1, ..Counts::default() });
        assert!(!outcome.counts.all_is_well());
        assert!(outcome.told.contains(why), "{}", outcome.told);
    }
}

#[test]
fn where_nothing_opens_nothing_is_well() {
    let basic = json!({"subscriptionId": "s-1", "changeType": "created", "resource": "Users/u/Messages/m"}).to_string();
    for (input, told) in [
        ("", "there is no notification\n"),
        (r#"{"value":[]}"#, "there is no notification\n"),
        (&basic, "(was the subscription made with includeResourceData?)\n"),
    ] {
        let outcome = open_all(input.as_bytes());
        assert!(outcome.told.ends_with(told) && !outcome.counts.all_is_well(), "{}", outcome.told);
    }
    assert!(open_all(SEALED.as_bytes()).counts.all_is_well());
}

/// Other tests have what can be told without the certificate.
#[test]
fn with_the_certificate_it_is_told_whether_the_key_is_another_one() {
    let body = changed("dataKey", |_| BASE64.encode([1; 256])).to_string();
    let renewed = {
        let key = rcgen::KeyPair::from_pem_and_sign_algo(KEY, &rcgen::PKCS_RSA_SHA256).unwrap();
        rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap().pem()
    };
    let cause = |certificate: &str| {
        let told = opener(Some(certificate), None).open_all(body.as_bytes()).told;
        told.lines().find(|line| line.starts_with("   the cause") || line.starts_with("   perhaps")).unwrap().to_owned()
    };
    assert!(cause(CERTIFICATE).starts_with("   the cause is not the private key"), "{}", cause(CERTIFICATE));
    assert!(cause(&renewed).starts_with("   the cause: it was sealed for another certificate"), "{}", cause(&renewed));
    assert!(cause(OTHER_CERTIFICATE).starts_with("   perhaps"), "it proves nothing");
    let of_another_key = Opener { keys: vec![other_key()], ..opener(Some(CERTIFICATE), None) };
    let told = of_another_key.open_all(changed("data", str::to_owned).to_string().as_bytes()).told;
    assert!(told.contains("the cause: it was sealed for the given certificate"), "{told}");
    let reissued = opener(Some(&renewed), None).open_all(SEALED.as_bytes());
    assert!(reissued.told.contains("(both are of one private key"), "{}", reissued.told);
    assert!(reissued.counts.all_is_well());
}

fn other_key() -> OpeningKey {
    let pair = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
    OpeningKey::from_pem(&pair.serialize_pem()).unwrap()
}

#[test]
fn each_of_several_keys_is_tried() {
    let mut opener = opener(None, None);
    opener.keys.insert(0, other_key());
    assert!(opener.open_all(SEALED.as_bytes()).counts.all_is_well());
    let told = opener.open_all(changed("dataSignature", |_| String::new()).to_string().as_bytes()).told;
    assert!(told.contains("step 3"), "the key that gets furthest is told of: {told}");
}

#[test]
fn a_line_has_a_notification_and_its_content_and_is_read_again() {
    let opener = Opener { json: true, ..opener(None, None) };
    let content = notification(sealed(r#"{"subject":"Hello"}"#));
    let printed = opener.open_all(content.to_string().as_bytes()).content;
    let line: Value = serde_json::from_str(printed.strip_suffix('\n').unwrap()).unwrap();
    assert_eq!(line, json!({"notification": content, "content": {"subject": "Hello"}}));
    assert_eq!(opener.open_all(printed.as_bytes()).content, printed);
}

#[test]
fn where_nothing_is_encrypted_that_is_told() {
    let basic = json!({"subscriptionId": "s-1", "changeType": "created", "resource": "Users/u/Messages/m"});
    let outcome = open_all(json!({"value": [basic, basic]}).to_string().as_bytes());
    assert!(outcome.told.ends_with(
        "nothing is encrypted: none of 2 has resource data (was the subscription made with includeResourceData?)\n"
    ));
    assert_eq!(outcome.counts, Counts { without: 2, ..Counts::default() });
}

#[test]
fn another_certificate_than_the_named_one_is_told() {
    assert!(!opener(None, Some("cert-2")).open_all(SEALED.as_bytes()).counts.all_is_well());
    let told = |certificate, id| opener(certificate, id).open_all(SEALED.as_bytes()).told;
    assert_eq!(
        told(Some(CERTIFICATE), Some("throwaway")),
        "1: encrypted content alone\n1 opened, 0 failed, 0 without resource data\n"
    );
    insta::assert_snapshot!(told(Some(OTHER_CERTIFICATE), Some("cert-2")), @r#"
    the certificate 51ED1D42A84E167D91A23918E46F63800B75D55C is not that of the private key
    1: encrypted content alone
       it was sealed for the certificate 5C37D7461A449C2815B95C9CA61EA4C581C99F4C; the one given is 51ED1D42A84E167D91A23918E46F63800B75D55C
       its encryptionCertificateId is "throwaway", not "cert-2"
    1 opened, 0 failed, 0 without resource data
    "#);
}

#[test]
fn a_validation_token_is_read_but_not_verified() {
    let claims = r#"{"aud":"app-1","iss":"https://sts.windows.net/t/","exp":1795029100}"#;
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims);
    let body = json!({"value": [], "validationTokens": [format!("e30.{payload}.c2ln"), "no token", 7]});
    insta::assert_snapshot!(open_all(body.to_string().as_bytes()).told, @r"
    body 1: a validation token for the app app-1, of https://sts.windows.net/t/, until 2026-11-18T19:11:40Z (not verified)
    body 1: a validation token that cannot be read
    body 1: a validation token that cannot be read
    there is no notification
    ");
}

#[test]
fn nothing_that_moves_the_cursor_is_repeated() {
    let mut content = sealed("{}");
    content["dataKey"] = "".into();
    content["encryptionCertificateId"] = "\u{1b}[2J".into();
    content["encryptionCertificateThumbprint"] = "\u{1b}[2J".into();
    let item = json!({"changeType": "\u{1b}[2J", "resource": "\u{9b}2J", "encryptedContent": content});
    let told = opener(Some(CERTIFICATE), Some("x")).open_all(item.to_string().as_bytes()).told;
    assert!(told.contains("?[2J") && !told.contains(['\u{1b}', '\u{9b}']), "{told:?}");
    let subject = json!({"subject": "\u{202e}a\u{9b}\n\u{e9}"});
    let content = open_all(notification(sealed(&subject.to_string())).to_string().as_bytes()).content;
    assert!(content.contains(r#""\u202ea\u009b\né""#), "{content:?}");
    assert_eq!(serde_json::from_str::<Value>(&content).unwrap(), subject);
}

#[test]
fn files_are_read_as_they_are_kept_and_refusals_name_them() {
    #[derive(clap::Parser)]
    struct Program {
        #[command(flatten)]
        options: Options,
    }
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let der = protocol::certificate::read(CERTIFICATE).unwrap();
    let (key, input) = (file("key.pem", KEY.as_bytes()), file("input", SEALED.as_bytes()));
    let (pem, der, empty) = (file("pem", CERTIFICATE.as_bytes()), file("der", &der), file("empty", b" \n"));
    let pkcs12 = file("pkcs12", &[0x30, 0x82, 0x0a, 0xff, 2, 1, 3, 0x30]);
    let locked = file("locked", b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n");
    let run = |arguments: &[&str]| run(Program::parse_from([&["decrypt"], arguments].concat()).options);
    for certificate in [&pem, &der] {
        assert_eq!(run(&["--key", &key, "--certificate", certificate, &input]).unwrap(), ExitCode::SUCCESS);
    }
    assert_eq!(run(&["--key", &key, "--certificate-id", "x", &key]).unwrap(), ExitCode::FAILURE);
    for (arguments, refusal) in [
        (["--key", &pem, &input], "pem holds no key that opens anything: it is a certificate"),
        (["--key", &der, &input], "der holds no key that opens anything: it is a certificate"),
        (["--key", &pkcs12, &input], "pkcs12 -nocerts -nodes -out key.pem`"),
        (["--key", &locked, &input], "locked -out plain.pem`"),
        (["--key", "/nowhere/key.pem", &input], "cannot read /nowhere/key.pem"),
        (["--key", &key, "/nowhere/input"], "cannot read /nowhere/input"),
    ] {
        let error = format!("{:#}", run(&arguments).unwrap_err());
        assert!(error.contains(refusal), "{error}");
    }
    for (certificate, refusal) in
        [(&empty, "empty is empty"), (&input, "no certificate"), (&key, "holds a private key")]
    {
        let error = format!("{:#}", run(&["--key", &key, "--certificate", certificate, &input]).unwrap_err());
        assert!(error.contains(refusal), "{error}");
    }
}
