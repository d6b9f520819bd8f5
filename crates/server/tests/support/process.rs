//! `tidings dev` as a process of its own.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// A running `tidings dev`; killed when dropped.
pub struct Process {
    child: Child,
    data_dir: PathBuf,
    ready: Value,
}

impl Process {
    /// Starts on free ports and waits until it is ready. Data and key file are below `home`.
    pub fn start(home: &Path) -> Self {
        Self::start_with(home, &[])
    }

    /// The same with more options.
    pub fn start_with(home: &Path, options: &[&str]) -> Self {
        Self::launch(command(home).args(options), home, None)
    }

    /// Starts with everything logged, to this file.
    pub fn start_logging(home: &Path, log: File) -> Self {
        Self::launch(&mut command(home), home, Some(log))
    }

    /// What it says when it does not start.
    pub fn refusal(home: &Path) -> String {
        let output = command(home).output().expect("the program runs");
        assert_eq!(output.status.code(), Some(1), "it does not start");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    fn launch(command: &mut Command, home: &Path, log: Option<File>) -> Self {
        let level = if log.is_some() { "trace" } else { "error" };
        let mut child = command
            .env("TIDINGS_LOG", level)
            .stdout(Stdio::piped())
            .stderr(log.map_or_else(Stdio::inherit, Stdio::from))
            .spawn()
            .expect("the program starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("its output is read");
        BufReader::new(stdout).read_line(&mut line).expect("it prints its ready line");
        let ready = serde_json::from_str(&line).unwrap_or_else(|error| panic!("no ready line: {error}: {line:?}"));
        Self { child, data_dir: data_dir(home), ready }
    }

    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    pub fn ready(&self) -> &Value {
        &self.ready
    }

    /// The base URL of plain HTTP.
    pub fn http(&self) -> &str {
        self.ready["http"][0].as_str().expect("a plain HTTP listener")
    }

    pub fn app_token(&self) -> &str {
        self.ready["appToken"].as_str().expect("a token for the app")
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().expect("the process is killed");
        self.child.wait().expect("the process is gone");
    }

    /// SIGINT, and the exit that must follow.
    pub fn stop(mut self) {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-INT", &pid]).status().expect("kill runs");
        let status = self.child.wait().expect("the process ends");
        assert_eq!(status.code(), Some(0), "Ctrl-C drains and exits 0");
    }
}

/// Counts the ledgers again from the log, whether a process runs or not.
pub fn verify_ledger(home: &Path) {
    let mut verify = Command::new(env!("CARGO_BIN_EXE_tidings"));
    verify.args(["ledger", "verify", "--data-dir"]).arg(data_dir(home)).arg("--key-file").arg(key_file(home));
    let output = verify.stdin(Stdio::null()).output().expect("the program runs");
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!(output.status.code(), Some(0), "{}{}", said(&output.stdout), said(&output.stderr));
}

pub fn data_dir(home: &Path) -> PathBuf {
    home.join("data")
}

pub fn key_file(home: &Path) -> PathBuf {
    home.join("key")
}

fn command(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
    command
        .args(["dev", "--json", "--http", "127.0.0.1:0", "--https", "127.0.0.1:0", "--lmtp-port", "0"])
        .args(["--admin", "127.0.0.1:0", "--data-dir"])
        .arg(data_dir(home))
        .arg("--key-file")
        .arg(key_file(home))
        .stdin(Stdio::null());
    command
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
