//! `tidings import`: files into a mailbox, of a running server or of a stopped one's data directory.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};

use super::place::{Found, Place, Server};
use crate::server::fresh_source;
use crate::sources::import::accept::StoreSink;
use crate::sources::import::client::AdminClient;
use crate::sources::import::{self, Report, Sink, SinkError, Target};

/// Import mail, calendars and contacts from files
///
/// Reads mbox, .eml, .ics and .vcf files; the format is told by the extension, else by the content. What
/// cannot be read is reported and the rest is imported; the exit code is then 1. To import a file again
/// within 30 days adds only what was not imported; after that it adds everything once more.
#[derive(Debug, clap::Args)]
pub struct ImportArgs {
    /// The files to import
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Whose mailbox: the user's address
    #[arg(long, value_name = "USER")]
    pub user: String,

    /// The folder for everything: a well-known name (archive) or a display name; made if it is not there.
    /// Without it: the folder that the file names (X-Folder, X-Gmail-Labels), else Inbox, Calendar or Contacts
    #[arg(long, value_name = "FOLDER")]
    pub folder: Option<String>,

    /// Raise no notifications
    #[arg(long)]
    pub quiet: bool,

    #[command(flatten)]
    place: Place,
}

/// Runs the command.
pub async fn run(args: ImportArgs) -> anyhow::Result<ExitCode> {
    let mut sink: Box<dyn Sink> = match args.place.find()? {
        Found::Server(Server { admin, token }) => Box::new(AdminClient::new(&admin, &token, args.quiet)),
        Found::Store(store, clock) => Box::new(StoreSink { store, fresh: fresh_source(clock), quiet: args.quiet }),
    };
    let bar = progress_bar(&args.files);
    let target = Target { user: args.user, folder: args.folder };
    let mut progress = |bytes: u64, report: &Report| {
        bar.inc(bytes);
        bar.set_message(format!("{} items", report.read));
    };
    let outcome = import::run(args.files, target, sink.as_mut(), &mut progress).await;
    bar.finish_and_clear();
    let report = match outcome {
        Err(error @ SinkError::NoUser(_)) => bail!("{error}; name another with --user"),
        outcome => outcome.context("the import stopped; run it again, what is in already will be recognised")?,
    };
    print!("{}", summary(&report));
    Ok(if report.unreadable_count == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Bytes of all files; nothing is drawn where nobody watches.
fn progress_bar(files: &[PathBuf]) -> ProgressBar {
    let bytes = files.iter().filter_map(|file| std::fs::metadata(file).ok()).map(|metadata| metadata.len()).sum();
    let bar = ProgressBar::new(bytes);
    let template = "{wide_bar} {bytes}/{total_bytes} {msg} {eta}";
    bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// What is printed at the end.
fn summary(report: &Report) -> String {
    let Report { read, imported, duplicates, skipped, unreadable_count, .. } = report;
    let mut text = format!(
        "read {read}, imported {imported}, already there {duplicates}, of no kind that is imported {skipped}, \
         unreadable {unreadable_count}\n"
    );
    for unreadable in &report.unreadable {
        let place = if unreadable.place.is_empty() { String::new() } else { format!(", {}", unreadable.place) };
        text.push_str(&format!(
            "  {}{}: {}\n",
            unreadable.file.display(),
            printable(&place),
            printable(&unreadable.why)
        ));
    }
    let beyond = report.unreadable_count.saturating_sub(report.unreadable.len() as u64);
    if beyond > 0 {
        text.push_str(&format!("  and {beyond} more\n"));
    }
    text
}

/// Text from a file, without what would move a terminal's cursor.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::sources::import::Unreadable;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        import: ImportArgs,
    }

    #[test]
    fn arguments_are_read() {
        let read = |line: &str| Program::try_parse_from(line.split(' ')).map(|program| program.import);
        let args = read("import --user megan@contoso.test --folder archive a.mbox b.ics").unwrap();
        assert_eq!((args.files.len(), args.folder.as_deref(), args.quiet), (2, Some("archive"), false));
        assert!(read("import --user megan@contoso.test").is_err());
    }

    #[test]
    fn the_summary_lists_what_could_not_be_read() {
        let unreadable = Unreadable { file: "a.mbox".into(), place: "byte 7".into(), why: "no\x1b[2Jheader".into() };
        let whole = Unreadable { file: "b.ics".into(), place: String::new(), why: "no calendar".into() };
        let report = Report {
            read: 5,
            imported: 2,
            duplicates: 1,
            skipped: 0,
            unreadable: vec![unreadable, whole],
            unreadable_count: 3,
        };
        let expected = "read 5, imported 2, already there 1, of no kind that is imported 0, unreadable 3\n  \
            a.mbox, byte 7: no?[2Jheader\n  b.ics: no calendar\n  and 1 more\n";
        assert_eq!(summary(&report), expected);
    }
}
