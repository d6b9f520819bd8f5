//! `$batch`: several requests in one, some of which wait for others. It reads the batch and says what may
//! start when; what a request asks for is for others to say.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};

use crate::UserId;

/// How many requests a batch may hold.
pub const REQUESTS_MAX: usize = 20;
/// How many requests of a batch go to one mailbox at a time.
pub const PER_MAILBOX_MAX: usize = 4;
/// The longest id of a request, and the longest method.
const WORD_BYTES_MAX: usize = 256;
/// How many headers one request may have.
const HEADERS_MAX: usize = 64;

/// One request of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchRequest {
    pub id: String,
    pub method: String,
    /// As sent: it has to be relative.
    pub url: String,
    pub headers: Vec<(String, String)>,
    /// The body's bytes, out of the batch's JSON or base64.
    pub body: Option<Vec<u8>>,
    /// The requests that must have succeeded before, by their places in the batch.
    pub after: Vec<usize>,
}

/// Why a batch is refused as a whole. Ids are shortened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    #[error("the body must be an object with an array of requests, each with id, method and url")]
    Malformed,
    #[error("a batch holds at most {REQUESTS_MAX} requests")]
    TooMany,
    #[error("the id {id} is used twice")]
    DuplicateId { id: String },
    /// Graph wants a dependency to stand earlier in the array; so there are no circles.
    #[error("request {id} depends on one that does not stand before it")]
    Dependency { id: String },
    #[error("request {id} has a body and no Content-Type")]
    ContentType { id: String },
    #[error("the body of request {id} is neither JSON nor base64")]
    Body { id: String },
}

/// Reads the body of a `$batch`, and checks what its requests say of each other.
pub fn read(body: Value) -> Result<Vec<BatchRequest>, BatchError> {
    let Value::Object(mut body) = body else { return Err(BatchError::Malformed) };
    let Some(Value::Array(members)) = body.remove("requests") else { return Err(BatchError::Malformed) };
    if members.is_empty() {
        return Err(BatchError::Malformed);
    }
    if members.len() > REQUESTS_MAX {
        return Err(BatchError::TooMany);
    }
    let mut requests: Vec<BatchRequest> = Vec::with_capacity(members.len());
    for member in members {
        let Value::Object(member) = member else { return Err(BatchError::Malformed) };
        let request = request(member, &requests)?;
        requests.push(request);
    }
    Ok(requests)
}

fn request(mut member: Map<String, Value>, before: &[BatchRequest]) -> Result<BatchRequest, BatchError> {
    let id = word(&mut member, "id")?;
    let method = word(&mut member, "method")?.to_ascii_uppercase();
    let Some(Value::String(url)) = member.remove("url") else { return Err(BatchError::Malformed) };
    if before.iter().any(|other| same(&other.id, &id)) {
        return Err(BatchError::DuplicateId { id });
    }
    let after = dependencies(member.remove("dependsOn"), &id, before)?;
    let headers = headers(member.remove("headers"))?;
    let body = match member.remove("body") {
        None | Some(Value::Null) => None,
        Some(body) => Some(bytes(body, &headers, &id)?),
    };
    Ok(BatchRequest { id, method, url, headers, body, after })
}

fn word(member: &mut Map<String, Value>, name: &str) -> Result<String, BatchError> {
    match member.remove(name) {
        Some(Value::String(text)) if !text.is_empty() && text.len() <= WORD_BYTES_MAX => Ok(text),
        _ => Err(BatchError::Malformed),
    }
}

fn same(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

fn dependencies(value: Option<Value>, id: &str, before: &[BatchRequest]) -> Result<Vec<usize>, BatchError> {
    let members = match value {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(members)) if members.len() <= REQUESTS_MAX => members,
        Some(_) => return Err(BatchError::Malformed),
    };
    let place = |member: &Value| {
        let on = member.as_str().ok_or(BatchError::Malformed)?;
        let found = before.iter().position(|other| same(&other.id, on));
        found.ok_or_else(|| BatchError::Dependency { id: id.to_owned() })
    };
    members.iter().map(place).collect()
}

fn headers(value: Option<Value>) -> Result<Vec<(String, String)>, BatchError> {
    match value {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Object(members)) if members.len() <= HEADERS_MAX => {
            let header = |(name, value): (String, Value)| match value {
                Value::String(value) => Ok((name, value)),
                _ => Err(BatchError::Malformed),
            };
            members.into_iter().map(header).collect()
        }
        Some(_) => Err(BatchError::Malformed),
    }
}

/// JSON stands in the batch as it is, everything else as base64, in either alphabet, padded or not.
fn bytes(body: Value, headers: &[(String, String)], id: &str) -> Result<Vec<u8>, BatchError> {
    const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    const ENGINE: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
    let content_type = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    let Some((_, content_type)) = content_type else {
        return Err(BatchError::ContentType { id: id.to_owned() });
    };
    if is_json(content_type) {
        return Ok(body.to_string().into_bytes());
    }
    let text = body.as_str().map(|text| text.replace('-', "+").replace('_', "/"));
    let decoded = text.and_then(|text| ENGINE.decode(text).ok());
    decoded.ok_or_else(|| BatchError::Body { id: id.to_owned() })
}

/// Whether a body of this `Content-Type` is JSON.
pub fn is_json(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media_type == "application/json" || media_type.ends_with("+json")
}

/// What may start when. A request waits for those that it depends on, and for a place among those that
/// go to the same mailbox.
pub struct Schedule<'a> {
    requests: &'a [BatchRequest],
    /// The mailbox that each request goes to.
    mailboxes: Vec<Option<UserId>>,
    states: Vec<State>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Running,
    Succeeded,
    Failed,
}

/// What is to be done with a request, by its place in the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    Run(usize),
    /// A request that it depends on has failed; so it counts as failed itself.
    Fail(usize),
}

impl<'a> Schedule<'a> {
    pub fn new(requests: &'a [BatchRequest], mailboxes: Vec<Option<UserId>>) -> Self {
        Self { requests, mailboxes, states: vec![State::Waiting; requests.len()] }
    }

    /// The next request that may start. `None`: none before one that runs has ended.
    pub fn next_turn(&mut self) -> Option<Turn> {
        let (place, turn) = (0..self.requests.len()).find_map(|place| Some((place, self.turn(place)?)))?;
        self.states[place] = match turn {
            Turn::Run(_) => State::Running,
            Turn::Fail(_) => State::Failed,
        };
        Some(turn)
    }

    fn turn(&self, place: usize) -> Option<Turn> {
        if self.states[place] != State::Waiting {
            return None;
        }
        let after = || self.requests[place].after.iter().map(|on| self.states[*on]);
        if after().any(|state| state == State::Failed) {
            return Some(Turn::Fail(place));
        }
        let ready = after().all(|state| state == State::Succeeded) && self.has_room(place);
        ready.then_some(Turn::Run(place))
    }

    fn has_room(&self, place: usize) -> bool {
        let Some(mailbox) = self.mailboxes.get(place).copied().flatten() else { return true };
        let running = self.mailboxes.iter().zip(&self.states);
        let running = running.filter(|(other, state)| **other == Some(mailbox) && **state == State::Running);
        running.count() < PER_MAILBOX_MAX
    }

    /// A request that ran has ended.
    pub fn ended(&mut self, place: usize, succeeded: bool) {
        if let Some(state) = self.states.get_mut(place) {
            *state = if succeeded { State::Succeeded } else { State::Failed };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use uuid::Uuid;

    fn get(id: &str, after: &[&str]) -> Value {
        json!({"id": id, "method": "get", "url": "/me", "dependsOn": after})
    }

    fn batch(requests: Value) -> Result<Vec<BatchRequest>, BatchError> {
        read(json!({"requests": requests}))
    }

    #[test]
    fn a_batch_that_cannot_be_is_refused_whole() {
        let write = |headers: Value, body: Value| json!({"id": "1", "method": "POST", "url": "/me", "headers": headers, "body": body});
        let many: Vec<Value> = (0..21).map(|number| get(&number.to_string(), &[])).collect();
        let id = |id: &str| id.to_owned();
        for (requests, error) in [
            (json!(many), BatchError::TooMany),
            (json!([]), BatchError::Malformed),
            (json!([7]), BatchError::Malformed),
            (json!([{"id": "1", "method": "GET"}]), BatchError::Malformed),
            (json!([get("a", &[]), get("A", &[])]), BatchError::DuplicateId { id: id("A") }),
            (json!([get("1", &["2"]), get("2", &[])]), BatchError::Dependency { id: id("1") }),
            (json!([get("1", &["1"])]), BatchError::Dependency { id: id("1") }),
            (json!([write(json!({}), json!({"a": 1}))]), BatchError::ContentType { id: id("1") }),
            (json!([write(json!({"Content-Type": "image/png"}), json!("%"))]), BatchError::Body { id: id("1") }),
            (json!([write(json!({"Content-Type": 7}), json!("%"))]), BatchError::Malformed),
        ] {
            assert_eq!(batch(requests.clone()), Err(error), "{requests}");
        }
        assert_eq!(read(json!([])), Err(BatchError::Malformed));
    }

    #[test]
    fn bodies_are_json_or_base64_of_either_alphabet() {
        let body = |content_type: &str, body: Value| {
            let headers = json!({"content-TYPE": content_type});
            let read = batch(json!([{"id": "1", "method": "PUT", "url": "/x", "headers": headers, "body": body}]));
            read.unwrap().remove(0).body.unwrap()
        };
        assert_eq!(body("application/json; charset=utf-8", json!({"a": [1]})), b"{\"a\":[1]}");
        for text in ["+/8=", "+/8", "-_8", "-_8="] {
            assert_eq!(body("application/octet-stream", json!(text)), [0xfb, 0xff], "{text}");
        }
    }

    #[test]
    fn a_request_waits_for_what_it_depends_on_and_fails_with_it() {
        let requests = batch(json!([get("a", &[]), get("b", &["A"]), get("c", &["b"]), get("d", &[])])).unwrap();
        let mut schedule = Schedule::new(&requests, vec![None; 4]);
        assert_eq!(schedule.next_turn(), Some(Turn::Run(0)));
        assert_eq!(schedule.next_turn(), Some(Turn::Run(3)));
        assert_eq!(schedule.next_turn(), None);
        schedule.ended(3, false);
        assert_eq!(schedule.next_turn(), None);
        schedule.ended(0, true);
        assert_eq!(schedule.next_turn(), Some(Turn::Run(1)));
        schedule.ended(1, false);
        assert_eq!(schedule.next_turn(), Some(Turn::Fail(2)));
        assert_eq!(schedule.next_turn(), None);
    }

    #[test]
    fn four_at_a_time_go_to_one_mailbox() {
        let requests: Vec<Value> = (0..8).map(|number| get(&number.to_string(), &[])).collect();
        let requests = batch(json!(requests)).unwrap();
        let mailbox = |number: usize| UserId(Uuid::from_u128(u128::from(number > 5)));
        let mut schedule = Schedule::new(&requests, (0..8).map(|number| Some(mailbox(number))).collect());
        let mut started = Vec::new();
        while let Some(turn) = schedule.next_turn() {
            started.push(turn);
        }
        assert_eq!(started, [0, 1, 2, 3, 6, 7].map(Turn::Run));
        schedule.ended(2, true);
        assert_eq!(schedule.next_turn(), Some(Turn::Run(4)));
        assert_eq!(schedule.next_turn(), None);
    }
}
