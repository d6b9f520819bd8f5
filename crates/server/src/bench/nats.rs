//! A NATS server with JetStream as a process of its own on loopback: what the benchmark bridges into, and tests as well.

use std::ffi::OsString;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use async_nats::jetstream::{self, Context};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::{interval, timeout};

use crate::bridge::NatsConfig;
use crate::config::sinks::Nats;

const START_MAX: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Killed when it is dropped, and its data go.
pub struct NatsServer {
    program: PathBuf,
    options: Vec<OsString>,
    port: u16,
    data: TempDir,
    running: Option<Child>,
}

impl NatsServer {
    /// Whether this program is there. It may be a name that is looked for on the `PATH`.
    pub fn is_there(program: &Path) -> bool {
        let said = Command::new(program).arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).status();
        said.is_ok_and(|status| status.success())
    }

    /// On a free port, with more options of the program.
    pub async fn start(program: &Path, options: &[OsString]) -> Result<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let (program, options) = (program.to_owned(), options.to_vec());
        let mut server = Self { program, options, port, data: TempDir::new()?, running: None };
        server.run().await?;
        Ok(server)
    }

    /// Starts it again, with the port and the data that it had.
    pub async fn run(&mut self) -> Result<()> {
        let child = Command::new(&self.program)
            .args(["--addr", "127.0.0.1", "--port", &self.port.to_string(), "--jetstream", "--store_dir"])
            .arg(self.data.path())
            .args(&self.options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = self.running.insert(child.context("the NATS server does not start")?);
        let mut look = interval(LOOK_EVERY);
        let listens = async {
            while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await.is_err() {
                ensure!(child.try_wait()?.is_none(), "the NATS server has ended");
                look.tick().await;
            }
            Ok(())
        };
        timeout(START_MAX, listens).await.context("the NATS server does not listen")?
    }

    /// By SIGKILL.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.running.take() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// JetStream there, over a connection of its own.
    pub async fn jet_stream(&self) -> Result<Context> {
        Ok(jetstream::new(async_nats::connect(self.url()).await?))
    }

    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// What leads there, with the limits and the prefix of the default configuration.
    pub fn config(&self) -> Result<NatsConfig> {
        let config = Nats { url: Some(self.url()), ..Nats::default() }.bridge()?;
        config.context("an URL makes a bridge")
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.stop();
    }
}
