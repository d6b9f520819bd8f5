//! A world whose mail is delivered when a story says so, and what stories of meetings look at.

use std::collections::BTreeSet;

use graph::mime::{self, Origin, ParsedMessage};
use graph::{ChangeType, Kind, Partition, UserId};
use http::StatusCode;
use notify::{Position, Record};
use serde_json::{Value, json};
use tidings_server::clock::Clock;
use tidings_server::engine::Deliver;
use tidings_server::seed;
use tidings_server::server::fresh_source;
use tidings_server::sources::delivery::Mailboxes;
use tidings_server::sources::{Delivered, Inbound, Mail};

use crate::world::{Caller, World, ok};

/// A world whose submissions are delivered when a story says so.
pub struct Post {
    pub world: World,
    mailboxes: Mailboxes,
    delivered: BTreeSet<Position>,
}

impl Post {
    pub async fn new() -> Self {
        let world = World::new().await;
        let mailboxes = Mailboxes::new(world.state.store.clone(), fresh_source(Clock::new()));
        Self { world, mailboxes, delivered: BTreeSet::new() }
    }

    /// Mail that comes by LMTP for one of the seeded users.
    pub async fn arrives(&self, user: usize, mime: &str) -> Delivered {
        let ParsedMessage { properties, meeting, .. } = mime::parse(mime.as_bytes(), Origin::Delivered).unwrap();
        let mail = Mail { properties, meeting: meeting.map(Box::new) };
        let key = format!("{user} {mime}");
        Inbound::deliver(&self.mailboxes, &seed::users()[user], mail, key).await.unwrap()
    }

    /// Delivers what was submitted since the last time, and what comes of that.
    pub async fn deliver(&mut self) {
        for user in seed::users() {
            for (position, record) in log(&self.world, user.id).await {
                // Five users' partitions could share a number; their logs are read whole each time.
                let Record::Submit(submission) = &record else { continue };
                if submission.sender != user.id || !self.delivered.insert(key(user.id, position)) {
                    continue;
                }
                for recipient in &submission.recipients {
                    // Twice, as after a crash.
                    assert!(Deliver::deliver(&self.mailboxes, submission, *recipient).await);
                    assert!(Deliver::deliver(&self.mailboxes, submission, *recipient).await);
                }
            }
        }
    }
}

fn key(user: UserId, position: Position) -> Position {
    Position(u64::from(Partition::of(user).0) << 32 | position.0)
}

async fn log(world: &World, user: UserId) -> Vec<(Position, Record)> {
    let records = world.state.store.read_log(Partition::of(user), Position(0), 1000).await.unwrap();
    records.into_iter().map(|(position, record)| (position, (*record).clone())).collect()
}

/// What a user's subscribers can hear of, by kind.
pub async fn changes(world: &World, user: usize, kind: Kind) -> Vec<ChangeType> {
    let user = seed::users()[user].id;
    let changes = log(world, user).await.into_iter().filter_map(|(_, record)| match record {
        Record::Change(change) if change.mailbox == user && change.item.kind == kind => Some(change.change),
        _ => None,
    });
    changes.collect()
}

pub fn person(address: &str) -> Value {
    json!({ "emailAddress": { "address": address } })
}

pub fn attendee(address: &str, kind: &str) -> Value {
    json!({ "emailAddress": { "address": address }, "type": kind })
}

pub fn plan(attendees: &[Value]) -> Value {
    json!({
        "subject": "Plan",
        "body": { "contentType": "text", "content": "The year to come." },
        "start": { "dateTime": "2026-12-01T10:00:00", "timeZone": "UTC" },
        "end": { "dateTime": "2026-12-01T11:00:00", "timeZone": "UTC" },
        "location": { "displayName": "Hall" },
        "attendees": attendees,
    })
}

pub async fn first(caller: &Caller<'_>, path: &str) -> Value {
    let found = ok(caller.get(path).await, StatusCode::OK);
    found.json["value"][0].clone()
}

/// The message that came last, by the log: some come within a second.
pub async fn newest_mail(world: &World, user: usize) -> Value {
    let id = seed::users()[user].id;
    let mut changes = log(world, id).await.into_iter().filter_map(|(_, record)| match record {
        Record::Change(change) if change.mailbox == id && change.item.kind == Kind::Message => Some(change.item),
        _ => None,
    });
    let caller = [world.megan(), world.adele(), world.alex()].into_iter().nth(user).unwrap();
    ok(caller.get(&format!("/v1.0/me/messages/{}", changes.next_back().unwrap())).await, StatusCode::OK).json
}

pub async fn mails(caller: &Caller<'_>) -> Vec<String> {
    let found = ok(caller.get("/v1.0/me/mailFolders/inbox/messages?$top=50").await, StatusCode::OK);
    let subjects = found.json["value"].as_array().unwrap().iter();
    let mut subjects: Vec<String> = subjects.map(|mail| mail["subject"].as_str().unwrap().to_owned()).collect();
    subjects.sort();
    subjects
}

/// Megan's meeting with Adele, and the paths of both copies.
pub async fn meeting(post: &mut Post) -> (String, String) {
    let attendees = [attendee("adele@contoso.test", "required")];
    let made = ok(post.world.megan().post("/v1.0/me/events", plan(&attendees)).await, StatusCode::CREATED);
    post.deliver().await;
    let copy = first(&post.world.adele(), "/v1.0/me/events").await;
    (format!("/v1.0/me/events/{}", made.text("/id")), format!("/v1.0/me/events/{}", copy["id"].as_str().unwrap()))
}
