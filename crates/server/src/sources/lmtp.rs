//! Mail from an MTA over LMTP (RFC 2033).
//!
//! The MTA keeps a message until it has a positive answer, so mail survives our being down. An answer
//! `250` to a message is sent only after its delivery is durable; trouble of ours is answered with 4xx,
//! and a message sent again after a lost answer is recognised and not delivered twice.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Inbound;
use session::Session;

mod session;

/// Bounds on what an MTA may ask of us.
#[derive(Clone, Debug)]
pub struct Limits {
    pub message_bytes_max: usize,
    /// Recipients of one message; RFC 5321 wants 100 at least.
    pub recipients_max: usize,
    pub connections_max: usize,
    /// Commands of one connection, and how many of them may fail.
    pub commands_max: u32,
    pub errors_max: u32,
    /// How long a connection may be silent, or leave our answers unread.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes_max: graph::mime::MESSAGE_BYTES_MAX,
            recipients_max: 100,
            connections_max: 64,
            commands_max: 10_000,
            errors_max: 20,
            idle: Duration::from_secs(300),
        }
    }
}

/// Serves LMTP until `shutdown`; then takes no more commands, finishes the deliveries under way and
/// returns.
pub async fn serve(listener: TcpListener, inbound: Arc<dyn Inbound>, limits: Limits, shutdown: CancellationToken) {
    let connections = TaskTracker::new();
    let slots = Arc::new(Semaphore::new(limits.connections_max));
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, mostly: others must close theirs first.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        match Arc::clone(&slots).try_acquire_owned() {
            Ok(slot) => {
                let session = Session::new(Arc::clone(&inbound), limits.clone(), shutdown.clone());
                connections.spawn(async move {
                    let _slot = slot;
                    run(session, stream, peer).await;
                });
            }
            Err(_) => refuse(stream).await,
        }
    }
    connections.close();
    connections.wait().await;
}

async fn run(session: Session, stream: TcpStream, peer: SocketAddr) {
    if let Err(error) = session.run(stream).await {
        tracing::debug!(%peer, %error, "the connection broke");
    }
}

async fn refuse(mut stream: TcpStream) {
    let answer = stream.write_all(b"421 4.3.2 too many connections, try again later\r\n");
    // A fresh socket takes these few bytes at once, or is not worth waiting for.
    let _ = tokio::time::timeout(Duration::from_millis(100), answer).await;
}

#[cfg(test)]
mod tests;
