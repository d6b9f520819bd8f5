//! Who asks: whoever has a topic's key or a signature made with it, or the bearer of a token.

use std::sync::Arc;

use http::header;
use notify::Topic;
use notify::access::{self, Principal};
use protocol::event_grid::management::TopicPath;
use protocol::event_grid::shared_access::{Credential, InvalidSignature, Presented, Signature, is_key};
use store::TopicQuery;

use super::Call;
use super::refusal::Refusal;
use crate::identity::{self, Api};

/// As many topics of one name are looked at: there can be one in each region.
const OF_ONE_NAME_MAX: u64 = 100;

/// The topic of this name that the caller may use. Who presents nothing that counts does not learn whether there is one.
pub(super) async fn topic_of(call: &Call<'_>, name: &str) -> Result<Arc<Topic>, Refusal> {
    let credential = Credential::of(&Presented {
        authorization: call.header(header::AUTHORIZATION),
        key_header: call.header("aeg-sas-key"),
        key_query: call.option("aeg-sas-key"),
        token_header: call.header("aeg-sas-token"),
    });
    let named = TopicQuery { name: Some(name.to_owned()), limit: OF_ONE_NAME_MAX, ..TopicQuery::default() };
    match credential.ok_or(Refusal::NoCredential)? {
        Credential::Key(key) => {
            let topics = call.state.store.topics(named).await?;
            let has_it = |topic: &&Arc<Topic>| topic.keys.iter().fold(false, |found, own| is_key(&key, &own.0) | found);
            topics.iter().find(has_it).cloned().ok_or(Refusal::Key)
        }
        Credential::Signature(text) => {
            let signature = Signature::parse(&text).map_err(Refusal::Signature)?;
            by_signature(call, &signature, &call.state.store.topics(named).await?)
        }
        Credential::Bearer(token) => {
            let principal = identity::caller(call.state, Api::EventGrid, &token, call.context.world).await?;
            let topics = call.state.store.topics(TopicQuery { tenant: Some(principal.tenant), ..named }).await?;
            let mut own = topics.iter().filter(|topic| access::may_use_topic(&principal, topic));
            match (own.next(), own.next()) {
                (Some(topic), None) => Ok(topic.clone()),
                (Some(_), Some(_)) => Err(Refusal::SeveralTopics),
                (None, _) if topics.is_empty() => Err(Refusal::NoTopic),
                (None, _) => Err(Refusal::Denied),
            }
        }
    }
}

fn by_signature(call: &Call<'_>, signature: &Signature, topics: &[Arc<Topic>]) -> Result<Arc<Topic>, Refusal> {
    let host = call.context.origin.split_once("://").map_or("", |(_, host)| host);
    // What was signed elsewhere is held against the time of the world.
    let now = call.context.world.as_micros().div_euclid(1_000_000);
    // Whose key it was made with can say best what is wrong with it.
    let mut refusal = InvalidSignature::Forged;
    for topic in topics {
        let keys = topic.keys.iter().map(|key| key.0.as_str());
        match signature.opens(host, call.path, keys, now) {
            Ok(()) => return Ok(topic.clone()),
            Err(InvalidSignature::Forged) => {}
            Err(error) => refusal = error,
        }
    }
    Err(Refusal::Signature(refusal))
}

/// The bearer of a token for management.
pub(super) async fn manager(call: &Call<'_>) -> Result<Principal, Refusal> {
    let authorization = call.header(header::AUTHORIZATION);
    match Credential::of(&Presented { authorization, ..Presented::default() }) {
        Some(Credential::Bearer(token)) => {
            Ok(identity::caller(call.state, Api::Management, &token, call.context.world).await?)
        }
        _ => Err(Refusal::Api(identity::TokenError::Empty.into())),
    }
}

/// The topic at a path, if the caller may manage it. One of another tenant is not there.
pub(super) async fn managed(call: &Call<'_>, who: &Principal, path: &TopicPath) -> Result<Arc<Topic>, Refusal> {
    let topic = find(call, who, path).await?.ok_or(Refusal::NoTopic)?;
    if access::may_use_topic(who, &topic) { Ok(topic) } else { Err(Refusal::Denied) }
}

/// The topic at a path in the caller's tenant.
pub(super) async fn find(call: &Call<'_>, who: &Principal, path: &TopicPath) -> Result<Option<Arc<Topic>>, Refusal> {
    let Ok(azure_subscription) = path.group.subscription.parse() else { return Ok(None) };
    let query = TopicQuery {
        tenant: Some(who.tenant),
        azure_subscription: Some(azure_subscription),
        resource_group: Some(path.group.name.clone()),
        name: Some(path.topic.clone()),
        after: None,
        limit: 1,
    };
    Ok(call.state.store.topics(query).await?.pop())
}
