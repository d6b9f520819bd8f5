//! The same as `webhook.rs` without a framework, one connection after the other: the receiver needs a query and a body,
//! and gives a status. The README says how to subscribe.
//!
//! `cargo run --example bare -- 127.0.0.1:3000`

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, SystemTime};

use tidings_receiver::{Notification, Receiver, handshake};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:3000".into());
    let receiver = Receiver::builder().client_state("s3cret").build()?;
    let listener = TcpListener::bind(&address).map_err(|error| format!("ADDRESS {address}: {error}"))?;
    println!("listening at http://{}/notifications", listener.local_addr()?);
    for stream in listener.incoming() {
        if let Err(error) = answer(stream?, &receiver) {
            eprintln!("{error}");
        }
    }
    Ok(())
}

fn answer(mut stream: TcpStream, receiver: &Receiver) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    // A head of 64 KiB at most, and of it the query and how long the body is.
    let head = reader.by_ref().take(64 * 1024).lines().take_while(|line| !matches!(line.as_deref(), Ok("")));
    let head: Vec<String> = head.collect::<Result<_, _>>()?;
    let query = head.first().and_then(|line| line.split(' ').nth(1)?.split_once('?')).map_or("", |(_, query)| query);
    let length = head
        .iter()
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length: u64 = length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
    if let Some(token) = handshake::answer(query) {
        let (kind, length) = (handshake::CONTENT_TYPE, token.len());
        return write!(stream, "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{token}");
    }
    let mut body = Vec::new();
    reader.take(length.min(receiver.body_bytes_max() as u64 + 1)).read_to_end(&mut body)?;
    let received = receiver.receive(&body, SystemTime::now());
    let status = received.as_ref().map_or_else(|refusal| refusal.status(), |received| received.status());
    write!(stream, "HTTP/1.1 {status} .\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")?;
    for notification in received.into_iter().flat_map(|received| received.into_notifications()) {
        if let Notification::Change(change) = notification {
            println!("{} {}", change.change_type, change.resource);
        }
    }
    Ok(())
}
