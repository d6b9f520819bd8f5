//! Which server a command is for: a running one, or a data directory whose server runs or not.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use store::Store;
use store::sqlite::SqliteStore;

use crate::clock::Clock;
use crate::data_dir::{ADMIN_TOKEN_FILE, ADMIN_URL_FILE, DataDir, default_path};
use crate::key_file::{keys_for, place_for};

/// What to do where only a running server will do.
pub const NAME_RUNNING: &str =
    "start it, or name the running one with --data-dir DIR, or with --server URL and --token TOKEN";

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Which server")]
pub struct Place {
    /// The admin URL of a running server (http://127.0.0.1:8081)
    #[arg(long, value_name = "URL", requires = "token", conflicts_with = "data_dir")]
    server: Option<String>,

    /// The admin token of that server
    #[arg(long, value_name = "TOKEN", env = "TIDINGS_ADMIN_TOKEN", hide_env_values = true)]
    token: Option<String>,

    /// The data directory of a server, running or stopped [default: $XDG_DATA_HOME/tidings or
    /// ~/.local/share/tidings]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// The key file of a stopped server [default: the one that it used last]
    #[arg(long, value_name = "FILE", conflicts_with = "server")]
    key_file: Option<PathBuf>,
}

/// What was found there.
pub enum Found {
    /// A running server's admin API.
    Server { admin: String, token: String },
    /// No server runs on the data: this process has the store, and the clock that it goes by.
    Store(Arc<dyn Store>, Clock),
}

impl Place {
    /// The place in words.
    pub fn named(&self) -> anyhow::Result<String> {
        Ok(match (&self.server, &self.data_dir) {
            (Some(server), _) => format!("the server at {server}"),
            (None, Some(dir)) => dir.display().to_string(),
            (None, None) => default_path()?.display().to_string(),
        })
    }

    pub fn find(&self) -> anyhow::Result<Found> {
        match (&self.server, &self.token) {
            (Some(server), Some(token)) => Ok(Found::Server { admin: server.clone(), token: token.clone() }),
            (Some(_), None) => bail!("--server needs --token TOKEN"),
            (None, _) => match &self.data_dir {
                Some(dir) => look(dir, self.key_file.as_deref()),
                None => look(&default_path()?, self.key_file.as_deref()),
            },
        }
    }
}

fn look(dir: &Path, key_file: Option<&Path>) -> anyhow::Result<Found> {
    if !dir.is_dir() {
        bail!(
            "there is no data directory {}; start a server, or name one with --data-dir DIR, or with --server URL and \
             --token TOKEN",
            dir.display()
        );
    }
    let Some(data) = DataDir::try_open(dir)? else {
        let read = |name: &str| {
            let file = dir.join(name);
            let content = std::fs::read_to_string(&file);
            content.with_context(|| {
                let (dir, file) = (dir.display(), file.display());
                format!(
                    "a server uses {dir}, but its {file} cannot be read; name it with --server URL and --token TOKEN"
                )
            })
        };
        return Ok(Found::Server { admin: read(ADMIN_URL_FILE)?, token: read(ADMIN_TOKEN_FILE)? });
    };
    let keys = keys_for(&data, &place_for(dir, key_file)?)?;
    let nobody_listens: store::Publish = Arc::new(|_, _| {});
    data.ensure_store_is_not_lost()?;
    let store = SqliteStore::open(data.store(), keys, nobody_listens);
    let store = store.with_context(|| format!("cannot open the store in {}", dir.display()))?;
    // From here on the store's own lock keeps others out.
    Ok(Found::Store(Arc::new(store), Clock::ahead_by(data.clock_ahead()?)))
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
        let Ok(Found::Server { admin, token }) = place.find() else { panic!("a server has it") };
        assert_eq!((admin.as_str(), token.as_str()), ("http://127.0.0.1:1", "hush"));
        let (stopped, keys) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let line = format!("p --data-dir {}", stopped.path().display());
        let place = |line: &str| super::tests::place(line).unwrap();
        assert!(refusal(&place(&line)).contains("name it with --key-file"));
        let named = format!("{line} --key-file {}", keys.path().join("key").display());
        assert!(matches!(place(&named).find(), Ok(Found::Store(..))));
        assert!(matches!(place(&line).find(), Ok(Found::Store(..))), "the key file is remembered");
    }
}
