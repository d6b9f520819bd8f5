//! Prints the data that comes with notifications: tokens are verified with the server's keys, then it is opened. The README
//! says how to subscribe.
//!
//! `cargo run --features axum,fetch --example rich -- 127.0.0.1:3000 https://localhost:8443 CA.pem APP-ID KEY.pem`

use std::future::IntoFuture;

use tidings_receiver::fetch::FetchingReceiver;
use tidings_receiver::webhook::Webhook;
use tidings_receiver::{Notification, OpeningKey, Receiver};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, server, ca, app, key] = arguments.as_slice() else {
        return Err("five arguments: see the source".into());
    };
    let key = OpeningKey::from_pem(&std::fs::read_to_string(key)?)?;
    let builder = Receiver::builder().client_state("s3cret").app_id(app).authority(server);
    let receiver = FetchingReceiver::new(builder.private_key("example", key), Some(&std::fs::read_to_string(ca)?))?;
    receiver.refresh().await?;
    let webhook = Webhook::fetching(receiver.clone()).on_refused(|error| eprintln!("refused: {error}"));
    let (route, mut waiting) = webhook.route(32);
    let listener = tokio::net::TcpListener::bind(address).await?;
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
