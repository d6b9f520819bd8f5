//! The subjects of NATS under which events are bridged: a template with what differs between events. Whoever writes one is
//! not the operator of the NATS server, so no template and no event reaches subjects that were not meant: the server's
//! own, or those of other tenants.

use std::fmt;

use graph::TenantId;
use protocol::event_grid::{ItemChange, ItemKind, LifecycleKind, item_event_type};
use serde::Deserialize;

use super::{CloudEvent, NatsJetStream};

const TEMPLATE_BYTES_MAX: usize = 200;
/// What stands for a placeholder is cut to this; NATS takes no line of more than 4,096 bytes.
const VALUE_BYTES_MAX: usize = 96;
const STREAM_CHARS_MAX: usize = 64;
/// What stands for a placeholder that an event has nothing for.
const NOTHING: &str = "_";

/// Text with placeholders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubjectTemplate(Vec<Vec<Piece>>);

/// A piece of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Tenant,
    User,
    Kind,
    Change,
}

/// Why a bridge cannot be made as it is written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBridge {
    #[error("subject has {0} bytes; give 1 to {TEMPLATE_BYTES_MAX}")]
    Length(usize),
    #[error("subject has an empty token; write one dot between tokens, and none at the ends")]
    EmptyToken,
    #[error(
        "subject has {0:?}; use letters, digits, '-', '_' and the placeholders {{tenant}}, {{user}}, {{kind}} and {{change}}"
    )]
    Character(char),
    #[error("subject has the placeholder {{{0}}}; there are {{tenant}}, {{user}}, {{kind}} and {{change}}")]
    Placeholder(String),
    #[error("subject begins with a placeholder; begin it with a token that is the same for all events")]
    Beginning,
    #[error("subject must begin with '{0}.', as this server's configuration has it (nats.subject_prefix)")]
    Prefix(String),
    #[error("stream is no name of a stream; give 1 to {STREAM_CHARS_MAX} letters, digits, '-' and '_'")]
    Stream,
}

impl SubjectTemplate {
    pub fn parse(text: &str) -> Result<Self, InvalidBridge> {
        if text.is_empty() || text.len() > TEMPLATE_BYTES_MAX {
            return Err(InvalidBridge::Length(text.len()));
        }
        let tokens: Vec<_> = text.split('.').map(pieces).collect::<Result<_, _>>()?;
        match tokens[0].as_slice() {
            [Piece::Text(_)] => Ok(Self(tokens)),
            _ => Err(InvalidBridge::Beginning),
        }
    }

    /// Whether its subjects are among those below `prefix`, whatever the event.
    fn is_below(&self, prefix: &SubjectTemplate) -> bool {
        self.0.len() > prefix.0.len() && self.0.starts_with(&prefix.0)
    }

    /// The subject of an event of a topic of this tenant: as many tokens as the template, none of which is empty or a
    /// wildcard.
    pub fn expand(&self, event: &CloudEvent, tenant: TenantId) -> String {
        let of = Values::of(event, tenant);
        let token = |pieces: &Vec<Piece>| pieces.iter().map(|piece| of.value(piece)).collect::<String>();
        self.0.iter().map(token).collect::<Vec<_>>().join(".")
    }

    /// What all its subjects for topics of this tenant match, and as few others as NATS can say.
    pub fn wildcard(&self, tenant: TenantId) -> String {
        let token = |pieces: &Vec<Piece>| match pieces.as_slice() {
            [Piece::Text(text)] => text.clone(),
            [Piece::Tenant] => tenant.to_string(),
            _ => "*".to_owned(),
        };
        self.0.iter().map(token).collect::<Vec<_>>().join(".")
    }
}

impl fmt::Display for SubjectTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, token) in self.0.iter().enumerate() {
            f.write_str(if place > 0 { "." } else { "" })?;
            for piece in token {
                match piece {
                    Piece::Text(text) => f.write_str(text)?,
                    Piece::Tenant => f.write_str("{tenant}")?,
                    Piece::User => f.write_str("{user}")?,
                    Piece::Kind => f.write_str("{kind}")?,
                    Piece::Change => f.write_str("{change}")?,
                }
            }
        }
        Ok(())
    }
}

/// Whether events can be bridged there by a server whose subjects are all below `prefix`.
pub fn check_bridge(to: &NatsJetStream, prefix: &SubjectTemplate) -> Result<SubjectTemplate, InvalidBridge> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if !(1..=STREAM_CHARS_MAX).contains(&to.stream.len()) || !to.stream.bytes().all(is_plain) {
        return Err(InvalidBridge::Stream);
    }
    let template = SubjectTemplate::parse(&to.subject)?;
    if template.is_below(prefix) { Ok(template) } else { Err(InvalidBridge::Prefix(prefix.to_string())) }
}

fn pieces(token: &str) -> Result<Vec<Piece>, InvalidBridge> {
    let (mut pieces, mut rest) = (Vec::new(), token);
    while !rest.is_empty() {
        if let Some(named) = rest.strip_prefix('{') {
            let (name, behind) = named.split_once('}').ok_or(InvalidBridge::Character('{'))?;
            pieces.push(match name {
                "tenant" => Piece::Tenant,
                "user" => Piece::User,
                "kind" => Piece::Kind,
                "change" => Piece::Change,
                other => return Err(InvalidBridge::Placeholder(other.chars().take(20).collect())),
            });
            rest = behind;
            continue;
        }
        let (text, behind) = rest.split_at(rest.find('{').unwrap_or(rest.len()));
        let odd = |letter: &char| !(letter.is_ascii_alphanumeric() || *letter == '-' || *letter == '_');
        if let Some(letter) = text.chars().find(odd) {
            return Err(InvalidBridge::Character(letter));
        }
        pieces.push(Piece::Text(text.to_owned()));
        rest = behind;
    }
    // NATS keeps what begins so for itself and for answers to requests.
    if matches!(pieces.first(), Some(Piece::Text(text)) if text.starts_with("_INBOX")) {
        return Err(InvalidBridge::Beginning);
    }
    if pieces.is_empty() { Err(InvalidBridge::EmptyToken) } else { Ok(pieces) }
}

/// What an event has for each placeholder.
struct Values {
    tenant: String,
    user: String,
    kind: String,
    change: String,
}

impl Values {
    fn of(event: &CloudEvent, tenant: TenantId) -> Self {
        let (kind, change) = kind_and_change(&event.attributes().event_type);
        Self { tenant: tenant.to_string(), user: escaped(&user_of(event)), kind, change: change.to_owned() }
    }

    fn value<'a>(&'a self, piece: &'a Piece) -> &'a str {
        match piece {
            Piece::Text(text) => text,
            Piece::Tenant => &self.tenant,
            Piece::User => &self.user,
            Piece::Kind => &self.kind,
            Piece::Change => &self.change,
        }
    }
}

/// As Graph's paths name them; of an event that is none of ours its whole type.
fn kind_and_change(event_type: &str) -> (String, &'static str) {
    let item = ItemKind::ALL.into_iter().flat_map(|kind| ItemChange::ALL.map(|change| (kind, change)));
    for (kind, change) in item {
        if item_event_type(kind, change) == event_type {
            let kind = match kind {
                ItemKind::Event => "events",
                ItemKind::Contact => "contacts",
                ItemKind::Message => "messages",
            };
            let change = match change {
                ItemChange::Created => "created",
                ItemChange::Updated => "updated",
                ItemChange::Deleted => "deleted",
            };
            return (kind.to_owned(), change);
        }
    }
    let lifecycle = LifecycleKind::ALL.into_iter().find(|kind| kind.event_type() == event_type);
    let change = lifecycle.map(|kind| match kind {
        LifecycleKind::ReauthorizationRequired => "reauthorizationRequired",
        LifecycleKind::SubscriptionRemoved => "removed",
        LifecycleKind::Missed => "missed",
    });
    change.map_or_else(|| (escaped(event_type), NOTHING), |change| ("subscriptions".to_owned(), change))
}

/// The id of the user whose mailbox it tells of: in the event's subject, or where the profile `documented` has it.
fn user_of(event: &CloudEvent) -> String {
    #[derive(Default, Deserialize)]
    struct Documented {
        #[serde(default)]
        resource: String,
    }
    let subject = event.attributes().subject.as_deref().unwrap_or_default();
    if let Some((user, _)) = subject.strip_prefix("Users/").and_then(|rest| rest.split_once('/')) {
        return user.to_owned();
    }
    let data = event.data().map(|data| data.bytes()).unwrap_or_default();
    let data: Documented = serde_json::from_slice(data).unwrap_or_default();
    let user = data.resource.split_once("/Users('").and_then(|(_, rest)| rest.split_once('\''));
    let user = user.map(|(user, _)| user.split_once('@').map_or(user, |(id, _)| id));
    user.unwrap_or_default().to_owned()
}

/// As a part of a token: all but letters, digits, hyphens and underscores percent-encoded.
fn escaped(text: &str) -> String {
    let mut value = String::new();
    for byte in text.bytes() {
        if value.len() + 3 > VALUE_BYTES_MAX {
            break;
        }
        match byte {
            b'-' | b'_' => value.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => value.push(char::from(byte)),
            byte => value.push_str(&format!("%{byte:02X}")),
        }
    }
    if value.is_empty() { NOTHING.to_owned() } else { value }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use protocol::cloud_event::{Attributes, Data, Json};
    use protocol::event_grid::{ItemEvent, Profile, Subscription, item_event};
    use uuid::Uuid;

    use super::*;

    const TENANT: TenantId = TenantId(Uuid::from_u128(0x84bd8158_6d4d_4958_8b9f_9d6445542f95));
    const USER: &str = "622eaaff-0683-4862-9de4-f2ec83c2bd98";
    const TEMPLATE: &str = "graph.{tenant}.users.{user}.{kind}.{change}";

    fn event(event_type: &str, subject: &str, data: &str) -> CloudEvent {
        let attributes = Attributes {
            id: "1".to_owned(),
            source: "/s".to_owned(),
            event_type: event_type.to_owned(),
            subject: Some(subject.to_owned()).filter(|subject| !subject.is_empty()),
            ..Attributes::default()
        };
        CloudEvent::new(attributes, Json::parse(data.as_bytes()).ok().map(Data::Json)).unwrap()
    }

    fn subject(of: &CloudEvent) -> String {
        SubjectTemplate::parse(TEMPLATE).unwrap().expand(of, TENANT)
    }

    #[test]
    fn events_of_every_profile_have_one_subject() {
        let of = Subscription {
            id: "5f7c0a11-2222-4333-8444-555566667777",
            tenant: "t",
            app: "a",
            expiration: "2026-12-01T10:00:00Z",
            client_state: None,
            public_base: "https://tidings.example",
        };
        let told = ItemEvent {
            id: "00d8a100-2e92-4bfa-86e1-0056dacd0fce",
            time: "2026-11-24T10:00:00Z",
            position: 1,
            kind: ItemKind::Message,
            change: ItemChange::Created,
            user: USER,
            item: "AAMkAGUwAAA=",
            etag: "W/\"CQ\"",
        };
        for profile in Profile::ALL {
            let event = item_event(profile, &of, &told).unwrap();
            let expected = format!("graph.84bd8158-6d4d-4958-8b9f-9d6445542f95.users.{USER}.messages.created");
            assert_eq!(subject(&event), expected, "{profile:?}");
        }
    }

    #[test]
    fn lives_of_subscriptions_and_events_of_others_have_subjects_too() {
        let of = |event_type, subject_| subject(&event(event_type, subject_, "null"));
        let tenant = "graph.84bd8158-6d4d-4958-8b9f-9d6445542f95";
        let removed = of("Microsoft.Graph.SubscriptionRemoved", "Subscriptions/1");
        assert_eq!(removed, format!("{tenant}.users._.subscriptions.removed"));
        assert_eq!(of("Microsoft.Graph.Missed", ""), format!("{tenant}.users._.subscriptions.missed"));
        assert_eq!(of("com.example.*", "Users/a b/x"), format!("{tenant}.users.a%20b.com%2Eexample%2E%2A._"));
    }

    #[test]
    fn the_stream_takes_what_differs_as_wildcards() {
        let tenant = TenantId::CONSUMERS;
        let wildcard = |text: &str| SubjectTemplate::parse(text).unwrap().wildcard(tenant);
        assert_eq!(wildcard(TEMPLATE), format!("graph.{tenant}.users.*.*.*"));
        assert_eq!(wildcard("graph.mail-{kind}.all"), "graph.*.all");
        assert_eq!(SubjectTemplate::parse(TEMPLATE).unwrap().to_string(), TEMPLATE);
    }

    #[test]
    fn templates_that_reach_elsewhere_are_refused_with_what_to_change() {
        let refusal = |text: &str| SubjectTemplate::parse(text).unwrap_err().to_string();
        let refused = [
            "",
            "a..b",
            "a.",
            "$JS.API.STREAM.DELETE.x",
            "a.>",
            "a.*",
            "a b",
            "{tenant}.a",
            "_INBOX.a",
            "a.{id}",
            "a.{x",
        ]
        .map(refusal);
        insta::assert_snapshot!(refused.join("\n"));
        assert!(refusal(&"a".repeat(201)).contains("201 bytes"));
    }

    #[test]
    fn subject_of_another_tenant_or_program_cannot_be_named() {
        let prefix = SubjectTemplate::parse("graph.{tenant}").unwrap();
        let check = |stream: &str, subject: &str| {
            let to = NatsJetStream { stream: stream.to_owned(), subject: subject.to_owned() };
            check_bridge(&to, &prefix).map(|template| template.to_string())
        };
        assert_eq!(check("graph", TEMPLATE), Ok(TEMPLATE.to_owned()));
        for outside in ["graph.{tenant}", "graph.other-tenant.a", "graphs.{tenant}.a", "graph.{tenant}x.a"] {
            assert_eq!(check("graph", outside), Err(InvalidBridge::Prefix("graph.{tenant}".to_owned())), "{outside}");
        }
        for stream in ["", "a.b", "a b", "*", "a/b", &"a".repeat(65)] {
            assert_eq!(check(stream, TEMPLATE), Err(InvalidBridge::Stream), "{stream}");
        }
    }

    proptest! {
        #[test]
        fn no_event_breaks_out_of_its_token(
            event_type in "\\PC{1,400}", subject_ in "Users/[^/\\p{C}]{0,400}/.|\\PC{0,9}", user in "\\PC{0,400}"
        ) {
            let subject_ = if subject_.chars().any(char::is_control) { "x" } else { &subject_ };
            let data = serde_json::json!({ "resource": format!("https://h/api/Users('{user}')/x") }).to_string();
            let expanded = subject(&event(&event_type, subject_, &data));
            let tokens: Vec<&str> = expanded.split('.').collect();
            prop_assert_eq!(tokens.len(), 6, "{}", expanded);
            prop_assert_eq!((tokens[0], tokens[2]), ("graph", "users"));
            for token in tokens {
                let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_%".contains(&byte);
                prop_assert!(!token.is_empty() && token.len() <= 96 && token.bytes().all(is_plain), "{}", expanded);
            }
        }

        #[test]
        fn the_longest_subject_fits_a_line_of_nats(placeholders in 1usize..30) {
            let text = format!("a.{}", "{user}".repeat(placeholders));
            let template = SubjectTemplate::parse(&text);
            prop_assume!(template.is_ok());
            let long = event("t", &format!("Users/{}/x", "*".repeat(4_000)), "null");
            prop_assert!(template.unwrap().expand(&long, TENANT).len() < 3_500);
        }
    }
}
