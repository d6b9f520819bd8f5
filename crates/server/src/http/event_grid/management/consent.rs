//! Before events are pushed to an URL, its server is asked whether it wants them.

use std::sync::Arc;

use graph::SubscriptionId;
use notify::Topic;
use notify::access::Principal;
use notify::topic::{Audience, Awaited, Destination, Endpoint, EventSubscription, Push};
use protocol::event_grid::handshake::{Ask, CALLBACK_MINUTES, Consent};
use protocol::event_grid::push;

use super::super::Call;
use super::super::callbacks::{Code, Expected, consented};
use super::super::refusal::Refusal;
use super::event_subscriptions::store;
use crate::ids;

/// Who asks for which event subscription.
pub(super) struct Asked<'a> {
    pub call: &'a Call<'a>,
    pub who: &'a Principal,
    pub topic: &'a Topic,
    pub event_subscription: &'a str,
}

/// What an endpoint has said, and may say until this is settled.
pub(super) struct Pending<'a>(Option<Expected<'a>>);

impl<'a> Asked<'a> {
    /// The destination with what its endpoint says of it. One that has consented already, as `before` tells, is not asked
    /// again.
    pub async fn consent(
        &self,
        mut destination: Destination,
        before: Option<&Destination>,
    ) -> Result<(Destination, Pending<'a>), Refusal> {
        let Destination::Push(push) = &mut destination else { return Ok((destination, Pending(None))) };
        let Endpoint::Webhook(webhook) = &mut push.to else { return Ok((destination, Pending(None))) };
        if let Some(audience) = &webhook.audience {
            self.check_audience(audience)?;
        }
        let stood = match before {
            Some(Destination::Push(before)) => Push::webhook(before),
            _ => None,
        };
        if stood.is_some_and(|stood| stood.url == webhook.url && stood.awaits.is_none()) {
            webhook.awaits = None;
            return Ok((destination, Pending(None)));
        }
        let state = self.call.state;
        let code = Code::new(&self.call.context.origin, self.topic.id, self.event_subscription);
        let expected = state.callbacks.expect(code.hash);
        let bearer = webhook.audience.as_ref().map(|audience| self.token(audience)).transpose()?;
        let ask = Ask { origin: &state.push_origin, callback: Some(&code.url), bearer: bearer.as_deref() };
        let consent = state.handshake.consent(&webhook.url, &ask).await;
        let base = webhook.base_url().chars().take(128).collect();
        webhook.awaits = match consent.map_err(|error| Refusal::NoConsent(base, error))? {
            Consent::Given => None,
            Consent::Withheld => {
                let until = state.clock.wall().plus_minutes(CALLBACK_MINUTES);
                Some(Awaited { code_hash: code.hash, until })
            }
        };
        Ok((destination, Pending(Some(expected))))
    }

    /// A token says that this server pushes to an app; so an app can ask for one for itself alone.
    fn check_audience(&self, audience: &Audience) -> Result<(), Refusal> {
        let bare = audience.application.strip_prefix("api://").unwrap_or(&audience.application);
        let app = bare.split('/').next().unwrap_or_default();
        let is_own =
            self.topic.apps.iter().chain([&self.who.app]).any(|own| app.eq_ignore_ascii_case(&own.to_string()));
        let is_here = audience.tenant.eq_ignore_ascii_case(&self.topic.tenant.to_string());
        if is_own && is_here { Ok(()) } else { Err(Refusal::Audience) }
    }

    fn token(&self, audience: &Audience) -> Result<String, Refusal> {
        let now = u64::try_from(self.call.state.clock.world().as_micros() / 1_000_000).unwrap_or_default();
        let uti = ids::new_uuid().to_string();
        let claims = push::Claims::new(&audience.tenant, &audience.application, now, &uti);
        let claims = serde_json::to_value(claims).unwrap_or_default();
        self.call.state.tokens.sign(&claims).map_err(|_| Refusal::Token)
    }
}

impl Pending<'_> {
    /// What stands once this is settled: an endpoint can have its code read before it has answered.
    pub async fn settled(
        self,
        call: &Call<'_>,
        stored: Arc<EventSubscription>,
    ) -> Result<Arc<EventSubscription>, Refusal> {
        if !self.0.as_ref().is_some_and(Expected::is_met) {
            return Ok(stored);
        }
        match consented(&stored, |_| true) {
            Some(consented) => {
                store(call, EventSubscription { id: Some(SubscriptionId(ids::new_uuid())), ..consented }).await
            }
            None => Ok(stored),
        }
    }
}
