//! Pulls what a topic tells one event subscription, prints it and acknowledges it. The README says how to make both.
//!
//! `TOPIC_KEY=… cargo run --features pull --example pull -- https://localhost:8443 CA.pem mail-events worker`

use std::time::Duration;

use tidings_receiver::Notification;
use tidings_receiver::pull::{Credential, Delay, PullClient};

const USAGE: &str =
    "the arguments are SERVER CA.pem TOPIC EVENT-SUBSCRIPTION, and TOPIC_KEY is one of the topic's keys";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [server, ca, topic, subscription] = arguments.as_slice() else { return Err(USAGE.into()) };
    let key = Credential::key(std::env::var("TOPIC_KEY").map_err(|_| USAGE)?);
    let ca = std::fs::read_to_string(ca).map_err(|error| format!("CA.pem {ca}: {error}"))?;
    let worker = PullClient::new(server, topic, key, Some(&ca))?.worker(subscription)?;
    println!("pulling from {topic}");
    loop {
        let received = match worker.receive(10, Duration::from_secs(60)).await {
            Ok(received) => received,
            Err(error) if error.is_temporary() => {
                eprintln!("again in a while: {error}");
                tokio::time::sleep(Duration::from_secs(5)).await;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        worker.reject(received.unreadable.iter().map(|one| &one.lock_token)).await?;
        let (mut done, mut later) = (Vec::new(), Vec::new());
        for locked in &received.events {
            match locked.event.notification() {
                Ok(Notification::Change(change)) => println!("{} {}", change.change_type, change.resource),
                Ok(Notification::Lifecycle(lifecycle)) => println!("{} {}", lifecycle.event, lifecycle.subscription_id),
                Ok(_) => {}
                // Somebody else may know what to do with it.
                Err(error) => {
                    eprintln!("{error}");
                    later.push(&locked.lock_token);
                    continue;
                }
            }
            done.push(&locked.lock_token);
        }
        worker.release(later, Delay::TenSeconds).await?;
        let settled = worker.acknowledge(done).await?;
        println!("acknowledged {}", settled.succeeded.len());
        for failed in settled.failed {
            eprintln!("comes again: {}", failed.error);
        }
    }
}
