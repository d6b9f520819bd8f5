//! Before events are pushed to an URL, its server is asked whether it wants them.

use std::sync::Arc;

use notify::Topic;
use notify::topic::{Audience, Awaited, Destination, Endpoint, EventSubscription, Push, Webhook};
use protocol::event_grid::handshake::{Ask, CALLBACK_MINUTES, Consent};
use protocol::event_grid::push;

use super::callbacks::{Code, Expected};
use super::refusal::Refusal;
use super::standing;
use crate::app::AppState;
use crate::ids;

/// Asks for one event subscription, and remembers what was said: who decides again does not ask again.
pub struct Asked<'a> {
    state: &'a AppState,
    /// Where this server is reached.
    origin: &'a str,
    topic: &'a Topic,
    event_subscription: &'a str,
    said: Option<Said<'a>>,
}

/// What an endpoint has said, and may say until this is settled.
struct Said<'a> {
    url: String,
    awaits: Option<Awaited>,
    expected: Expected<'a>,
}

impl<'a> Asked<'a> {
    pub fn new(state: &'a AppState, origin: &'a str, topic: &'a Topic, event_subscription: &'a str) -> Self {
        Self { state, origin, topic, event_subscription, said: None }
    }

    /// The destination with what its endpoint says of it. One that has consented already, as `before` tells, is not asked
    /// again.
    pub async fn consent(
        &mut self,
        mut destination: Destination,
        before: Option<&Destination>,
    ) -> Result<Destination, Refusal> {
        let Destination::Push(push) = &mut destination else { return Ok(destination) };
        let Endpoint::Webhook(webhook) = &mut push.to else { return Ok(destination) };
        let stood = match before {
            Some(Destination::Push(before)) => Push::webhook(before),
            _ => None,
        };
        webhook.awaits = match stood {
            Some(stood) if stood.url == webhook.url && stood.awaits.is_none() => None,
            _ => self.said_by(webhook).await?,
        };
        Ok(destination)
    }

    async fn said_by(&mut self, webhook: &Webhook) -> Result<Option<Awaited>, Refusal> {
        if let Some(said) = self.said.as_ref().filter(|said| said.url == webhook.url) {
            return Ok(said.awaits.clone());
        }
        let state = self.state;
        let code = Code::new(self.origin, self.topic.id, self.event_subscription);
        let expected = state.callbacks.expect(code.hash);
        let bearer = webhook.audience.as_ref().map(|audience| self.token(audience)).transpose()?;
        let ask = Ask { origin: &state.push_origin, callback: Some(&code.url), bearer: bearer.as_deref() };
        let consent = state.handshake.consent(&webhook.url, &ask).await;
        let base = webhook.base_url().chars().take(128).collect();
        let awaits = match consent.map_err(|error| Refusal::NoConsent(base, error))? {
            Consent::Given => None,
            Consent::Withheld => {
                let until = state.clock.wall().plus_minutes(CALLBACK_MINUTES);
                Some(Awaited { code_hash: code.hash, until })
            }
        };
        self.said = Some(Said { url: webhook.url.clone(), awaits: awaits.clone(), expected });
        Ok(awaits)
    }

    fn token(&self, audience: &Audience) -> Result<String, Refusal> {
        let now = u64::try_from(self.state.clock.world().as_micros() / 1_000_000).unwrap_or_default();
        let uti = ids::new_uuid().to_string();
        let claims = push::Claims::new(&audience.tenant, &audience.application, now, &uti);
        let claims = serde_json::to_value(claims).unwrap_or_default();
        self.state.tokens.sign(&claims).map_err(|_| Refusal::Token)
    }

    /// What stands once this is settled: an endpoint can have its code read before it has answered.
    pub async fn settled(self, stored: Arc<EventSubscription>) -> Result<Arc<EventSubscription>, Refusal> {
        let Some(code_hash) = self.said.and_then(|said| said.expected.met()) else { return Ok(stored) };
        let is_it = |awaited: &Awaited| awaited.code_hash == code_hash;
        let consented = standing::consent(self.state, (self.topic.id, self.event_subscription), is_it).await?;
        Ok(consented.unwrap_or(stored))
    }
}
