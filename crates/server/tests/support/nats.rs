//! The program `nats-server`, installed if it is missing, and what is in a stream of JetStream.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::Stream;
use protocol::cloud_event::CloudEvent;
use tidings_server::bench::nats::NatsServer;

pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let places = ["nats-server", "/usr/sbin/nats-server", "/usr/local/bin/nats-server"];
        let find = || places.iter().map(PathBuf::from).find(|place| NatsServer::is_there(place));
        find().unwrap_or_else(|| {
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
            let script = ". tests/install.sh && install nats-server";
            Command::new("bash").args(["-c", script]).current_dir(root).stdin(Stdio::null()).status().unwrap();
            find().expect("nats-server is installed")
        })
    })
}

/// The event that a message is.
pub fn event(message: &StreamMessage) -> CloudEvent {
    let headers: Vec<(String, &[u8])> = message
        .headers
        .iter()
        .filter(|(name, _)| name.to_string().starts_with("ce-"))
        .map(|(name, values)| (name.to_string(), values[0].as_str().as_bytes()))
        .collect();
    let headers: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    CloudEvent::from_nats(&headers, &message.payload).unwrap()
}

/// Every message of a stream, from the first to the last.
pub async fn events(stream: &Stream) -> Vec<CloudEvent> {
    let state = stream.get_info().await.unwrap().state;
    let mut events = Vec::new();
    for number in state.first_sequence..=state.last_sequence {
        events.push(event(&stream.get_raw_message(number).await.unwrap()));
    }
    events
}
