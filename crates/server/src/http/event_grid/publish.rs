//! `POST /topics/{topic}:publish`: one event or a batch, or one in binary mode. 200 with `{}` once all of them are
//! durable, or dropped and counted since the topic is not activated; 400 for what is no event; 413 for more than 1 MiB.

use notify::Topic;
use protocol::cloud_event::Received;
use serde_json::json;

use super::refusal::Refusal;
use super::{Call, Done};

pub(super) async fn publish(call: &Call<'_>, topic: &Topic, body: &[u8]) -> Result<Done, Refusal> {
    let headers: Vec<(&str, &[u8])> =
        call.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let events = match Received::from_http(&headers, body)? {
        Received::One(event) => vec![event],
        Received::Batch(events) => events,
    };
    if !events.is_empty() {
        call.state.directory.room().for_events(topic.id)?;
        call.state.store.publish(topic.id, events, call.state.clock.wall()).await?;
    }
    Ok(Done::ok(&json!({})))
}
