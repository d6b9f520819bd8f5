//! The signals that end a command: the first asks it to finish, the second ends it at once. And the one that has a server
//! read its certificate again.

use std::io::{self, IsTerminal as _, Write as _};

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Cancelled at the first Ctrl-C, SIGTERM or SIGHUP; at the second the process exits with 130.
pub fn on_signal() -> anyhow::Result<CancellationToken> {
    stopped_by(Signals::new(true)?)
}

/// The same, but SIGHUP calls `read_again`, each time. In a terminal it ends the command all the same: that was closed.
pub fn on_signal_but_hangup(read_again: impl Fn() + Clone + Send + 'static) -> anyhow::Result<CancellationToken> {
    if io::stderr().is_terminal() {
        return on_signal();
    }
    on_hangup(read_again)?;
    stopped_by(Signals::new(false)?)
}

/// Says something to who may have gone.
pub fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

fn stopped_by(mut signals: Signals) -> anyhow::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let asked = stop.clone();
    tokio::spawn(async move {
        signals.next().await;
        asked.cancel();
        signals.next().await;
        std::process::exit(130);
    });
    Ok(stop)
}

#[cfg(unix)]
fn on_hangup(act: impl Fn() + Clone + Send + 'static) -> anyhow::Result<()> {
    let mut hangups = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            // It reads files.
            let _ = tokio::task::spawn_blocking(act.clone()).await;
        }
    });
    Ok(())
}

/// There is no SIGHUP.
#[cfg(not(unix))]
fn on_hangup(_: impl Fn() + Clone + Send + 'static) -> anyhow::Result<()> {
    Ok(())
}

#[cfg(unix)]
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Option<Signal>,
}

#[cfg(unix)]
impl Signals {
    fn new(hangup_too: bool) -> anyhow::Result<Self> {
        let hangup = hangup_too.then(|| signal(SignalKind::hangup())).transpose()?;
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())?, hangup })
    }

    async fn next(&mut self) {
        let hung_up = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = hung_up => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new(_: bool) -> anyhow::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}
