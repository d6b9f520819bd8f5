//! `tidings import`: files into a mailbox, of a running server or of a stopped one's data directory.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;
use store::Store;

use crate::sources::delivery::FreshSource;
use crate::sources::import::accept::StoreSink;
use crate::sources::import::client::AdminClient;
use crate::sources::import::{self, Report, Sink, SinkError, Target};

/// Import mail, calendars and contacts from files
///
/// Reads mbox, .eml, .ics and .vcf files; the format is told by the extension, else by the content. What
/// cannot be read is reported and the rest is imported; the exit code is then 1. To import a file again
/// within a day adds only what is not there yet.
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

    /// The admin URL of a running server (http://127.0.0.1:8081)
    #[arg(long, value_name = "URL", requires = "token", conflicts_with = "data_dir")]
    pub server: Option<String>,

    /// The admin token of that server
    #[arg(long, value_name = "TOKEN", env = "TIDINGS_ADMIN_TOKEN", hide_env_values = true)]
    pub token: Option<String>,

    /// The data directory of a server, running or stopped
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,

    /// The key file of a stopped server [default: $XDG_CONFIG_HOME/tidings/key or ~/.config/tidings/key]
    #[arg(long, value_name = "FILE", conflicts_with = "server")]
    pub key_file: Option<PathBuf>,
}

/// Where the store of a data directory is at hand.
pub enum Opened {
    /// No server runs on it: this process has the store.
    Store(Arc<dyn Store>),
    /// Another process has it.
    InUse,
}

/// What of a running server's ready file an import needs.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ready {
    admin: String,
    admin_token: String,
}

/// Runs the command. `default_dir` is the data directory if none is named; `open` opens the store of one
/// with its key file.
pub async fn run(
    args: ImportArgs,
    default_dir: &Path,
    open: impl FnOnce(&Path, Option<PathBuf>) -> anyhow::Result<Opened>,
    fresh: FreshSource,
) -> anyhow::Result<ExitCode> {
    let mut sink: Box<dyn Sink> = match (&args.server, &args.token) {
        (Some(server), Some(token)) => Box::new(AdminClient::new(server, token, args.quiet)),
        (Some(_), None) => bail!("--server needs --token"),
        (None, _) => {
            let open = |dir: &Path| open(dir, args.key_file);
            sink_of(args.data_dir.as_deref().unwrap_or(default_dir), open, fresh, args.quiet)?
        }
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

fn sink_of(
    dir: &Path,
    open: impl FnOnce(&Path) -> anyhow::Result<Opened>,
    fresh: FreshSource,
    quiet: bool,
) -> anyhow::Result<Box<dyn Sink>> {
    if !dir.is_dir() {
        bail!("there is no data directory {}; start a server, or name one with --server or --data-dir", dir.display());
    }
    match open(dir)? {
        Opened::Store(store) => Ok(Box::new(StoreSink { store, fresh, quiet })),
        Opened::InUse => {
            let file = dir.join("ready.json");
            let content = std::fs::read(&file);
            let content = content.with_context(|| {
                format!(
                    "a server uses {}, but its {} cannot be read; name it with --server",
                    dir.display(),
                    file.display()
                )
            })?;
            let ready: Ready = serde_json::from_slice(&content)
                .with_context(|| format!("{} is not what a server writes", file.display()))?;
            Ok(Box::new(AdminClient::new(&ready.admin, &ready.admin_token, quiet)))
        }
    }
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
    fn arguments_are_read_and_a_server_needs_a_token() {
        let read = |line: &str| Program::try_parse_from(line.split(' ')).map(|program| program.import);
        let args = read("import --user megan@contoso.test --folder archive a.mbox b.ics").unwrap();
        assert_eq!((args.files.len(), args.folder.as_deref(), args.quiet), (2, Some("archive"), false));
        assert!(read("import --user megan@contoso.test").is_err());
        assert!(read("import --user m --server http://x --data-dir d a").is_err());
        assert!(read("import --user m --server http://x --token t a").is_ok());
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

    #[tokio::test]
    async fn a_data_directory_that_is_not_there_is_not_made() {
        let args = Program::try_parse_from(["import", "--user", "m", "--data-dir", "/nonexistent/tidings", "a.eml"]);
        let fresh: FreshSource = Arc::new(|| unreachable!("nothing is written"));
        let open = |_: &Path, _: Option<PathBuf>| -> anyhow::Result<Opened> { unreachable!("nothing is opened") };
        let error = run(args.unwrap().import, Path::new("/nowhere"), open, fresh).await.unwrap_err();
        assert!(error.to_string().starts_with("there is no data directory /nonexistent/tidings"), "{error}");
    }
}
