//! Which server a command is for: a running one, or a data directory whose server runs or not.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use store::Store;
use store::sqlite::SqliteStore;

use crate::clock::Clock;
use crate::data_dir::{ADMIN_TOKEN_FILE, ADMIN_URL_FILE, DataDir, default_path, store_in};
use crate::key_file::{keys_for, place_for};

/// What to do where only a running server will do.
pub const NAME_RUNNING: &str =
    "start it, or name the running one with --data-dir DIR, or with --server URL and --token TOKEN";

/// A server that may run or not.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Which server")]
pub struct Place {
    #[command(flatten)]
    at: Named,

    /// The data directory of a server, running or stopped [default: $XDG_DATA_HOME/tidings or
    /// ~/.local/share/tidings]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// The key file of a stopped server [default: the one that it used last]
    #[arg(long, value_name = "FILE", conflicts_with = "server")]
    key_file: Option<PathBuf>,
}

/// A server that must run.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Which server")]
pub struct Running {
    #[command(flatten)]
    at: Named,

    /// The data directory of a running server [default: $XDG_DATA_HOME/tidings or
    /// ~/.local/share/tidings]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// A running server by its address.
#[derive(Debug, clap::Args)]
struct Named {
    /// The admin URL of a running server (http://127.0.0.1:8081)
    #[arg(long, value_name = "URL", requires = "token", conflicts_with = "data_dir")]
    server: Option<String>,

    /// The admin token of that server
    #[arg(long, value_name = "TOKEN", env = "TIDINGS_ADMIN_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

/// What was found there.
pub enum Found {
    Server(Server),
    /// No server runs on the data: this process has the store, and the clock that it goes by.
    Store(Arc<dyn Store>, Clock),
}

/// A running server's admin API.
pub struct Server {
    pub admin: String,
    pub token: String,
}

impl Place {
    /// The place in words.
    pub fn named(&self) -> anyhow::Result<String> {
        self.at.named(self.data_dir.as_deref())
    }

    pub fn find(&self) -> anyhow::Result<Found> {
        let dir = match self.at.looked_in(self.data_dir.as_deref())? {
            Looked::At(server) => return Ok(Found::Server(server)),
            Looked::In(dir) => dir,
        };
        let key_file = || place_for(&dir, self.key_file.as_deref());
        ensure_is_there(&dir)?;
        if !store_in(&dir).is_dir() && DataDir::try_look(&dir)?.is_some() {
            // What is refused leaves nothing behind.
            key_file()?;
        }
        let Some(data) = DataDir::try_open(&dir)? else { return Ok(Found::Server(server_on(&dir)?)) };
        let keys = keys_for(&data, &key_file()?)?;
        let nobody_listens: store::Publish = Arc::new(|_, _| {});
        data.ensure_store_is_not_lost()?;
        let store = SqliteStore::open(data.store(), keys, nobody_listens);
        let store = store.with_context(|| format!("cannot open the store in {}", dir.display()))?;
        // From here on the store's own lock keeps others out.
        Ok(Found::Store(Arc::new(store), Clock::ahead_by(data.clock_ahead()?)))
    }
}

impl Running {
    /// The place in words.
    pub fn named(&self) -> anyhow::Result<String> {
        self.at.named(self.data_dir.as_deref())
    }

    /// The server; `what` only a running one does, if none runs.
    pub fn find(&self, what: &str) -> anyhow::Result<Server> {
        match self.at.looked_in(self.data_dir.as_deref())? {
            Looked::At(server) => Ok(server),
            Looked::In(dir) => {
                ensure_is_there(&dir)?;
                ensure!(DataDir::try_look(&dir)?.is_none(), "{what}: {NAME_RUNNING}");
                server_on(&dir)
            }
        }
    }
}

/// Where somebody said to look.
enum Looked {
    At(Server),
    In(PathBuf),
}

impl Named {
    /// What is named, in words: this, or a data directory.
    fn named(&self, data_dir: Option<&Path>) -> anyhow::Result<String> {
        Ok(match (&self.server, data_dir) {
            (Some(server), _) => format!("the server at {server}"),
            (None, Some(dir)) => dir.display().to_string(),
            (None, None) => default_path()?.display().to_string(),
        })
    }

    fn looked_in(&self, data_dir: Option<&Path>) -> anyhow::Result<Looked> {
        match (&self.server, &self.token) {
            (Some(server), Some(token)) => Ok(Looked::At(Server { admin: server.to_owned(), token: token.to_owned() })),
            (Some(_), None) => bail!("--server needs --token TOKEN"),
            (None, _) => Ok(Looked::In(data_dir.map_or_else(default_path, |dir| Ok(dir.to_owned()))?)),
        }
    }
}

fn ensure_is_there(dir: &Path) -> anyhow::Result<()> {
    ensure!(
        dir.is_dir(),
        "there is no data directory {}; start a server, or name one with --data-dir DIR, or with --server URL and \
         --token TOKEN",
        dir.display()
    );
    Ok(())
}

/// The server that has the lock of a data directory.
fn server_on(dir: &Path) -> anyhow::Result<Server> {
    let read = |name: &str| {
        let file = dir.join(name);
        let content = std::fs::read_to_string(&file);
        content.with_context(|| {
            let (dir, file) = (dir.display(), file.display());
            format!("a server uses {dir}, but its {file} cannot be read; name it with --server URL and --token TOKEN")
        })
    };
    Ok(Server { admin: read(ADMIN_URL_FILE)?, token: read(ADMIN_TOKEN_FILE)? })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        place: Place,
    }

    #[derive(Parser)]
    struct OfRunning {
        #[command(flatten)]
        running: Running,
    }

    fn place(line: &str) -> Result<Place, clap::Error> {
        Program::try_parse_from(line.split(' ')).map(|program| program.place)
    }

    fn refusal(place: &Place) -> String {
        place.find().err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_server_needs_a_token_and_is_no_directory() {
        assert!(place("p --server http://x --token t").is_ok());
        assert!(place("p --server http://x --token t --data-dir d").is_err());
    }

    #[test]
    fn a_data_directory_that_is_not_there_is_not_made() {
        let refusal = refusal(&place("p --data-dir /nonexistent/tidings").unwrap());
        assert!(refusal.starts_with("there is no data directory /nonexistent/tidings"), "{refusal}");
    }

    #[test]
    fn a_directory_is_opened_or_leads_to_the_server_that_uses_it() {
        let dir = DataDir::temporary().unwrap();
        let place = place(&format!("p --data-dir {}", dir.path().display())).unwrap();
        assert!(refusal(&place).contains("name it with --server URL"));
        dir.write_private(ADMIN_URL_FILE, b"http://127.0.0.1:1").unwrap();
        dir.write_private(ADMIN_TOKEN_FILE, b"hush").unwrap();
        let Ok(Found::Server(Server { admin, token })) = place.find() else { panic!("a server has it") };
        assert_eq!((admin.as_str(), token.as_str()), ("http://127.0.0.1:1", "hush"));
        let (stopped, keys) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let line = format!("p --data-dir {}", stopped.path().display());
        let place = |line: &str| super::tests::place(line).unwrap();
        let refused = refusal(&place(&line));
        assert!(refused.starts_with("there is no store in") && refused.contains("--key-file"), "{refused}");
        let named = format!("{line} --key-file {}", keys.path().join("key").display());
        assert!(matches!(place(&named).find(), Ok(Found::Store(..))));
        assert!(matches!(place(&line).find(), Ok(Found::Store(..))), "the key file is remembered");
    }

    #[test]
    fn what_takes_a_running_server_names_it_and_opens_no_stopped_ones_data() {
        let dir = tempfile::tempdir().unwrap();
        let line = format!("p --data-dir {}", dir.path().display());
        let running = OfRunning::try_parse_from(line.split(' ')).unwrap().running;
        let refusal = running.find("keys are rotated by a running server").err().map(|error| error.to_string());
        assert_eq!(refusal, Some(format!("keys are rotated by a running server: {NAME_RUNNING}")));
        assert!(!dir.path().join("store").exists(), "nothing is made there");
    }
}
