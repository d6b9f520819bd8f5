//! Prints what a subscription tells of: changes, and what it needs. The README says how to subscribe.
//!
//! `cargo run --features axum --example webhook -- 127.0.0.1:3000`

use std::future::IntoFuture;

use tidings_receiver::webhook::Webhook;
use tidings_receiver::{LifecycleEvent, Notification, Receiver};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:3000".into());
    let state = std::env::var("CLIENT_STATE").unwrap_or("s3cret".into());
    let receiver = Receiver::builder().client_state(&state).build()?;
    let webhook = Webhook::new(receiver).on_refused(|error| eprintln!("refused: {error}"));
    let (route, mut waiting) = webhook.route(32);
    let listener = tokio::net::TcpListener::bind(&address).await;
    let listener = listener.map_err(|error| format!("ADDRESS {address}: {error}"))?;
    println!("listening at http://{}/notifications", listener.local_addr()?);
    tokio::spawn(axum::serve(listener, axum::Router::new().route("/notifications", route)).into_future());

    while let Some(notifications) = waiting.recv().await {
        for notification in notifications {
            match notification {
                Notification::Change(change) => println!("{} {}", change.change_type, change.resource),
                Notification::Lifecycle(lifecycle) => match lifecycle.event {
                    LifecycleEvent::ReauthorizationRequired => println!("renew {}", lifecycle.subscription_id),
                    event => println!("{event} {}", lifecycle.subscription_id),
                },
                _ => {}
            }
        }
    }
    Ok(())
}
