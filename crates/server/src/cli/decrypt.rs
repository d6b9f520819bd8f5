//! `tidings decrypt`: opens the resource data of captured notifications, and says of what does not open which
//! step fails and why. What is tried is in `protocol::envelope::diagnosis`; here are files and words.

use std::fmt::{self, Write as _};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use protocol::envelope::diagnosis::{Diagnosis, Step, examine};
use protocol::{ContentKey, EncryptedContent, OpeningKey, SealingKey};
use serde_json::Value;

use self::captured::{Captured, captured};
use super::listen::printable;

mod captured;

const INPUT_BYTES_MAX: u64 = 64 << 20;
const KEY_BYTES_MAX: u64 = 64 << 10;

/// Open captured notifications with a private key
///
/// Prints the resource data of each notification as JSON, and on the standard error what it is of. If one does
/// not open, it says which step fails and what is wrong: so it tells a receiver of yours that fails, in any language, from
/// notifications that nobody could open. The others are opened all the same; the exit code is then 1.
///
/// The input is a body as it was posted, with all its notifications; or several bodies, one after the other; or one
/// notification; or the encryptedContent of one; or lines of `tidings listen --rich --json`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tidings decrypt --key key.pem notification.json
  tidings decrypt --key key.pem --certificate certificate.pem notification.json
                                    also look whether the three belong together
  tidings listen --rich --key key.pem --json > told; tidings decrypt --key key.pem told
  jq .value[0].encryptedContent notification.json | tidings decrypt --key key.pem -")]
pub struct Options {
    /// The file; - is the standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// The RSA private key whose certificate the subscription has: PEM or DER, as PKCS #8 or PKCS #1, without a passphrase
    #[arg(long, value_name = "FILE")]
    key: PathBuf,

    /// The certificate that the subscription has: PEM or DER, or as it was sent
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,

    /// The encryptionCertificateId that the subscription has
    #[arg(long, value_name = "ID")]
    certificate_id: Option<String>,
}

pub fn run(options: Options) -> anyhow::Result<ExitCode> {
    let opener = Opener {
        key: private_key(&options.key)?,
        certificate: options.certificate.as_deref().map(certificate).transpose()?,
        certificate_id: options.certificate_id,
    };
    let input = match options.file.to_str() {
        Some("-") => bounded(std::io::stdin().lock(), INPUT_BYTES_MAX).context("cannot read the standard input")?,
        _ => read(&options.file, INPUT_BYTES_MAX)?,
    };
    let mut counts = Counts::default();
    if let Some(note) = opener.unfit() {
        eprintln!("{note}");
    }
    for report in opener.reports(&input) {
        counts.add(&report.end);
        eprint!("{}", report.told);
        print!("{}", report.content);
    }
    eprintln!("{counts}");
    Ok(if counts.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn bounded(from: impl Read, most: u64) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if from.take(most + 1).read_to_end(&mut bytes)? as u64 > most {
        bail!("it has more than {most} bytes");
    }
    Ok(bytes)
}

fn read(file: &Path, most: u64) -> anyhow::Result<Vec<u8>> {
    let opened = std::fs::File::open(file).map_err(anyhow::Error::new);
    opened.and_then(|file| bounded(file, most)).with_context(|| format!("cannot read {}", file.display()))
}

fn private_key(file: &Path) -> anyhow::Result<OpeningKey> {
    let bytes = read(file, KEY_BYTES_MAX)?;
    let key = match std::str::from_utf8(&bytes) {
        Ok(text) => OpeningKey::from_pem(text),
        Err(_) => OpeningKey::from_der(&bytes),
    };
    key.with_context(|| format!("{} holds no key that opens anything", file.display()))
}

fn certificate(file: &Path) -> anyhow::Result<SealingKey> {
    let bytes = read(file, KEY_BYTES_MAX)?;
    let text = String::from_utf8(bytes).unwrap_or_else(|binary| BASE64.encode(binary.as_bytes()));
    SealingKey::from_certificate(&text)
        .with_context(|| format!("{} is no certificate that anything is sealed for", file.display()))
}

struct Opener {
    key: OpeningKey,
    certificate: Option<SealingKey>,
    certificate_id: Option<String>,
}

/// What became of one thing in the input.
struct Report {
    /// Lines for the standard error.
    told: String,
    /// For the standard output.
    content: String,
    end: End,
}

enum End {
    Opened,
    Failed,
    /// A notification without resource data.
    Without,
    /// No notification at all.
    Beside,
}

impl Opener {
    /// What is wrong with the given certificate.
    fn unfit(&self) -> Option<String> {
        let certificate = self.certificate.as_ref()?;
        let probe = protocol::envelope::seal(b"", &ContentKey::new([0; 32]), certificate, "");
        let fits = probe.is_ok_and(|sealed| protocol::envelope::open(&sealed, &self.key).is_ok());
        (!fits).then(|| format!("the certificate {} is not that of the private key", certificate.thumbprint()))
    }

    fn reports(&self, input: &[u8]) -> impl Iterator<Item = Report> {
        captured(input).into_iter().map(|found| match found {
            Captured::Item(number, item) => self.open_one(number, &item),
            Captured::Token(line) => Report { told: line + "\n", content: String::new(), end: End::Beside },
            Captured::Unreadable(why) => Report { told: why + "\n", content: String::new(), end: End::Failed },
        })
    }

    fn open_one(&self, number: usize, item: &captured::Item) -> Report {
        let mut report = Report { told: String::new(), content: String::new(), end: End::Failed };
        report.tell(format_args!("{number}: {}", item.of()));
        let content = match item.content() {
            Ok(Some(content)) => content,
            Ok(None) => {
                report.tell("   no encryptedContent: the item is gone, or was too large, or its subscription has no resource data");
                report.end = End::Without;
                return report;
            }
            Err(error) => {
                report.tell(format_args!("   encryptedContent is not as it must be: {error}"));
                return report;
            }
        };
        match examine(&content, &self.key).map(|json| serde_json::from_slice::<Value>(&json)) {
            Ok(Ok(json)) => {
                report.end = End::Opened;
                report.content = format!("{json:#}\n");
            }
            Ok(Err(error)) => report.tell(format_args!("   its content cannot be shown: {error}")),
            Err(diagnosis) => {
                report.tell(format_args!("   {} fails: {}", diagnosis.step, diagnosis.failure));
                report.tell(reason(&diagnosis));
                if diagnosis.step == Step::DataKey {
                    report.tell(named(&content));
                }
            }
        }
        self.compare(&content, &mut report);
        report
    }

    /// Tells where another certificate is named than the given one.
    fn compare(&self, content: &EncryptedContent, report: &mut Report) {
        let (thumbprint, id) = (&content.encryption_certificate_thumbprint, &content.encryption_certificate_id);
        let given = self.certificate.as_ref().map(SealingKey::thumbprint);
        if let Some(given) = given.filter(|given| !given.eq_ignore_ascii_case(thumbprint)) {
            let theirs = printable(thumbprint);
            report.tell(format_args!("   it was sealed for the certificate {theirs}; the one given is {given}"));
        }
        if let Some(given) = self.certificate_id.as_ref().filter(|given| *given != id) {
            let theirs = printable(id);
            report.tell(format_args!("   its encryptionCertificateId is {theirs:?}, not {given:?}"));
        }
    }
}

impl Report {
    fn tell(&mut self, line: impl fmt::Display) {
        let _ = writeln!(self.told, "{line}");
    }
}

fn reason(diagnosis: &Diagnosis) -> String {
    match diagnosis.cause {
        Some(cause) => format!("   the cause: {cause}"),
        None => format!("   perhaps {}", diagnosis.guess()),
    }
}

fn named(content: &EncryptedContent) -> String {
    let (thumbprint, id) = (&content.encryption_certificate_thumbprint, &content.encryption_certificate_id);
    format!("   it names the certificate {} with the id {:?}", printable(thumbprint), printable(id))
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    opened: usize,
    failed: usize,
    without: usize,
}

impl Counts {
    fn add(&mut self, end: &End) {
        match end {
            End::Opened => self.opened += 1,
            End::Failed => self.failed += 1,
            End::Without => self.without += 1,
            End::Beside => {}
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { opened, failed, without } = self;
        match (opened + failed, without) {
            (0, 0) => write!(f, "there is no notification"),
            (0, without) => write!(
                f,
                "nothing is encrypted: none of {without} has resource data (was the subscription made with \
                 includeResourceData?)"
            ),
            _ => write!(f, "{opened} opened, {failed} failed, {without} without resource data"),
        }
    }
}

#[cfg(test)]
mod tests;
