//! Prints the data that comes with notifications: tokens are verified with the server's keys, then it is opened. The README
//! says how to subscribe.
//!
//! `cargo run --features axum,fetch --example rich -- 127.0.0.1:3000 https://localhost:8443 CA.pem APP-ID ID=KEY.pem`

use std::future::IntoFuture;

use tidings_receiver::fetch::FetchingReceiver;
use tidings_receiver::webhook::Webhook;
use tidings_receiver::{Notification, OpeningKey, Receiver};

const USAGE: &str = "the arguments are ADDRESS SERVER CA.pem APP-ID ID=KEY.pem: a private key for each ID that you subscribe \
                     with as encryptionCertificateId";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, server, ca, app, _, ..] = arguments.as_slice() else { return Err(USAGE.into()) };
    let mut builder = Receiver::builder().client_state("s3cret").app_id(app).authority(server);
    for argument in &arguments[4..] {
        let (id, file) = argument.split_once('=').ok_or(USAGE)?;
        let key = OpeningKey::from_pem(&read("KEY.pem", file)?).map_err(|error| format!("KEY.pem {file}: {error}"))?;
        builder = builder.private_key(id, key);
    }
    let receiver = FetchingReceiver::new(builder, Some(&read("CA.pem", ca)?))
        .map_err(|error| format!("SERVER {server} or CA.pem {ca}: {error}"))?;
    receiver.refresh().await?;
    let webhook = Webhook::fetching(receiver.clone()).on_refused(|error| eprintln!("refused: {error}"));
    let (route, mut waiting) = webhook.route(32);
    let listener = tokio::net::TcpListener::bind(address).await;
    let listener = listener.map_err(|error| format!("ADDRESS {address}: {error}"))?;
    println!("listening at http://{}/notifications", listener.local_addr()?);
    tokio::spawn(axum::serve(listener, axum::Router::new().route("/notifications", route)).into_future());

    while let Some(notifications) = waiting.recv().await {
        for notification in notifications {
            let Notification::Change(change) = notification else { continue };
            match receiver.receiver().open(&change).and_then(|content| content.json::<serde_json::Value>()) {
                Ok(item) => println!("{} {item}", change.change_type),
                Err(error) => println!("{} {} ({error})", change.change_type, change.resource),
            }
        }
    }
    Ok(())
}

fn read(argument: &str, file: &str) -> Result<String, String> {
    std::fs::read_to_string(file).map_err(|error| format!("{argument} {file}: {error}"))
}
