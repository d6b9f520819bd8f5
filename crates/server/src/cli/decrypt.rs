//! `tidings decrypt`: opens the resource data of captured notifications, and says of what does not open which
//! step fails and why. What is tried is in `protocol::envelope::diagnosis`; here are files and words.

use std::fmt::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use protocol::envelope::OpenError;
use protocol::envelope::diagnosis::{Cause, Diagnosis, Failure, Step, examine};
use protocol::{EncryptedContent, OpeningKey, SealingKey};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use self::captured::{Captured, captured};
use super::listen::{is_unfit, printable};

mod captured;
mod files;

/// Open captured notifications with a private key
///
/// Prints the resource data of each notification as JSON, and on the standard error what it is of. If one does
/// not open, it says which step fails and what is wrong: so it tells a receiver of yours that fails, in any language, from
/// notifications that nobody could open. The others are opened all the same. The exit code is 1 if something does not open
/// or does not belong together, or if there was nothing to open.
///
/// The input is a body as it was posted, with all its notifications; or several bodies, one after the other; or one
/// notification; or the encryptedContent of one; or lines of `tidings listen --rich --json`, which are bodies.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tidings decrypt --key key.pem notification.json
  tidings decrypt --key key.pem --certificate certificate.pem notification.json
                                    also look whether the three belong together
  tidings decrypt --key new.pem --key old.pem --json notification.json
                                    each is opened by the key that fits, and printed with its notification
  tidings listen --rich --key key.pem --json > bodies; tidings decrypt --key key.pem bodies
  jq '.value[0].encryptedContent' notification.json | tidings decrypt --key key.pem -")]
pub struct Options {
    /// The file; - is the standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// The RSA private key whose certificate the subscription has: PEM or DER, as PKCS #8 or PKCS #1, without a passphrase.
    /// Several may be given, each with --key
    #[arg(long = "key", value_name = "FILE", required = true)]
    keys: Vec<PathBuf>,

    /// The certificate that the subscription has: PEM or DER, or as it was sent
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,

    /// The encryptionCertificateId that the subscription has
    #[arg(long, value_name = "ID")]
    certificate_id: Option<String>,

    /// Print one line for each notification that opens, with itself and its content
    #[arg(long)]
    json: bool,
}

pub fn run(options: Options) -> anyhow::Result<ExitCode> {
    let opener = Opener {
        keys: options.keys.iter().map(|file| files::private_key(file)).collect::<Result<_, _>>()?,
        certificate: options.certificate.as_deref().map(files::certificate).transpose()?,
        certificate_id: options.certificate_id,
        json: options.json,
    };
    let input = match options.file.to_str() {
        Some("-") => files::input(std::io::stdin().lock()).context("cannot read the standard input")?,
        _ => files::input_file(&options.file)?,
    };
    let mut counts = Counts { mismatches: usize::from(opener.unfit().is_some()), ..Counts::default() };
    if let Some(note) = opener.unfit() {
        eprintln!("{note}");
    }
    for report in opener.reports(&input) {
        counts.add(&report);
        eprint!("{}", report.told);
        print!("{}", report.content);
    }
    eprintln!("{counts}");
    Ok(if counts.all_is_well() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

struct Opener {
    keys: Vec<OpeningKey>,
    certificate: Option<SealingKey>,
    certificate_id: Option<String>,
    json: bool,
}

/// What became of one thing in the input.
struct Report {
    /// Lines for the standard error.
    told: String,
    /// For the standard output.
    content: String,
    end: End,
    /// It names another id than the one given.
    is_mismatch: bool,
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
    fn fits(&self, certificate: &SealingKey) -> bool {
        self.keys.iter().any(|key| key.is_of(certificate))
    }

    /// What is wrong with the given certificate.
    fn unfit(&self) -> Option<String> {
        let certificate = self.certificate.as_ref().filter(|certificate| !self.fits(certificate))?;
        Some(format!("the certificate {} is not that of the private key", certificate.thumbprint()))
    }

    fn reports(&self, input: &[u8]) -> impl Iterator<Item = Report> {
        captured(input).into_iter().map(|found| match found {
            Captured::Item(number, item) => self.open_one(number, &item),
            Captured::Token(line) => Report::of_line(line, End::Beside),
            Captured::Unreadable(why) => Report::of_line(why, End::Failed),
        })
    }

    fn open_one(&self, number: usize, item: &captured::Item) -> Report {
        let mut report = Report::of_line(format!("{number}: {}", item.of()), End::Failed);
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
        match self.examine(&content).map(|json| serde_json::from_slice::<Value>(&json)) {
            Ok(Ok(json)) => {
                report.end = End::Opened;
                report.content = match self.json {
                    true => format!("{}\n", json!({"notification": item.notification(), "content": json})),
                    false => format!("{json:#}\n"),
                };
                report.content = escaped(&report.content);
            }
            Ok(Err(error)) => report.tell(format_args!("   its content cannot be shown: {error}")),
            Err(diagnosis) => {
                report.tell(format_args!("   {} fails: {}", diagnosis.step, diagnosis.failure));
                report.tell(self.reason(&diagnosis, &content));
                if diagnosis.step == Step::DataKey {
                    report.tell(named(&content));
                }
            }
        }
        self.compare(&content, &mut report);
        report
    }

    /// With the key that fits; otherwise what the one says that gets furthest.
    fn examine(&self, content: &EncryptedContent) -> Result<Zeroizing<Vec<u8>>, Diagnosis> {
        let mut furthest: Option<Diagnosis> = None;
        for key in &self.keys {
            let diagnosis = match examine(content, key) {
                Ok(opened) => return Ok(opened),
                Err(diagnosis) => diagnosis,
            };
            let rank = |diagnosis: &Diagnosis| {
                let is_other = matches!(diagnosis.cause, Some(Cause::OtherKey { .. }));
                (diagnosis.step, !is_other, diagnosis.cause.is_some())
            };
            if furthest.as_ref().is_none_or(|known| rank(&diagnosis) > rank(known)) {
                furthest = Some(diagnosis);
            }
        }
        Err(furthest.unwrap_or(Diagnosis {
            step: Step::DataKey,
            failure: Failure::Open(OpenError::DataKeyNotDecrypted),
            cause: None,
        }))
    }

    fn reason(&self, diagnosis: &Diagnosis, content: &EncryptedContent) -> String {
        if let Some(cause) = diagnosis.cause {
            return format!("   the cause: {cause}");
        }
        let guess = format!("   perhaps {}", diagnosis.guess());
        if diagnosis.failure != Failure::Open(OpenError::DataKeyNotDecrypted) {
            return guess;
        }
        let Some(certificate) = &self.certificate else {
            return guess + "\n   with --certificate it can be told which: give the one that the subscription has";
        };
        let is_named = names(content, certificate);
        match (self.fits(certificate), is_named) {
            (true, true) => "   the cause is not the private key, which is that of the certificate it names: dataKey is \
                             damaged, or was encrypted in another way than with OAEP and SHA-1 (as the hash and in MGF1, \
                             with an empty label)"
                .into(),
            (true, false) => "   the cause: it was sealed for another certificate than that of this private key; find the \
                              key of the one that it names"
                .into(),
            (false, true) => "   the cause: it was sealed for the given certificate, and the private key is that of another \
                              one; find the key of this certificate"
                .into(),
            (false, false) => guess,
        }
    }

    /// Tells where another certificate is named than the given one.
    fn compare(&self, content: &EncryptedContent, report: &mut Report) {
        if let Some(given) = self.certificate.as_ref().filter(|given| !names(content, given)) {
            let theirs = printable(&content.encryption_certificate_thumbprint);
            let given_one = given.thumbprint();
            report.tell(format_args!("   it was sealed for the certificate {theirs}; the one given is {given_one}"));
            if matches!(report.end, End::Opened) && self.fits(given) {
                report.tell("   (both are of one private key, so that it opens all the same)");
            }
        }
        let id = &content.encryption_certificate_id;
        if let Some(given) = self.certificate_id.as_ref().filter(|given| *given != id) {
            let theirs = printable(id);
            report.tell(format_args!("   its encryptionCertificateId is {theirs:?}, not {given:?}"));
            report.is_mismatch = true;
        }
    }
}

impl Report {
    fn of_line(line: String, end: End) -> Self {
        Self { told: line + "\n", content: String::new(), end, is_mismatch: false }
    }

    fn tell(&mut self, line: impl fmt::Display) {
        let _ = writeln!(self.told, "{line}");
    }
}

/// The same JSON, fit for a terminal.
fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for letter in json.chars() {
        match letter {
            letter if letter != '\n' && is_unfit(letter) => {
                let _ = write!(text, "\\u{:04x}", u32::from(letter));
            }
            letter => text.push(letter),
        }
    }
    text
}

fn names(content: &EncryptedContent, certificate: &SealingKey) -> bool {
    certificate.thumbprint().eq_ignore_ascii_case(&content.encryption_certificate_thumbprint)
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
    /// Of what was given with what is there, whether it opened or not.
    mismatches: usize,
}

impl Counts {
    fn add(&mut self, report: &Report) {
        self.mismatches += usize::from(report.is_mismatch);
        match report.end {
            End::Opened => self.opened += 1,
            End::Failed => self.failed += 1,
            End::Without => self.without += 1,
            End::Beside => {}
        }
    }

    fn all_is_well(&self) -> bool {
        self.opened > 0 && self.failed == 0 && self.mismatches == 0
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { opened, failed, without, .. } = self;
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
