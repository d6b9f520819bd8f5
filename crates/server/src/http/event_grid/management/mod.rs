//! The management of topics: which operation a path and a method name. Everything is done when it is answered, apart
//! from the consent of an endpoint that did not say; who polls for that reads the event subscription.

mod event_subscriptions;
mod partner_configuration;
mod topics;

use axum::body::Body;
use protocol::event_grid::management::{InvalidBody, Resource};

use super::refusal::Refusal;
use super::who::manager;
use super::{Call, Done, shown};

/// The version that Azure's client of today sends. Those of others are taken as well: what is served is in all of them.
const API_VERSION: &str = "2025-02-15";

pub(super) async fn answer(call: &Call<'_>, resource: &Resource, body: Body) -> Result<Done, Refusal> {
    let who = &manager(call).await?;
    match call.option("api-version") {
        None => return Err(Refusal::NoApiVersion),
        Some(version) if is_version(version) => {}
        Some(version) => return Err(Refusal::ApiVersion(shown(version), API_VERSION)),
    }
    let body = &call.read(body).await?;
    match (call.method.as_str(), resource) {
        ("GET", Resource::Topics { subscription, group }) => {
            topics::list(call, who, subscription, group.as_deref()).await
        }
        ("GET", Resource::Topic(path)) => topics::get(call, who, path).await,
        ("PUT", Resource::Topic(path)) => topics::put(call, who, path, body).await,
        ("PATCH", Resource::Topic(path)) => topics::patch(call, who, path, body).await,
        ("DELETE", Resource::Topic(path)) => topics::delete(call, who, path).await,
        ("POST", Resource::Activate(path)) => topics::activate(call, who, path, true).await,
        ("POST", Resource::Deactivate(path)) => topics::activate(call, who, path, false).await,
        ("POST", Resource::Keys(path)) => topics::keys(call, who, path).await,
        ("POST", Resource::RegenerateKey(path)) => topics::regenerate_key(call, who, path, body).await,
        ("GET", Resource::EventSubscriptions(path)) => event_subscriptions::list(call, who, path).await,
        ("GET", Resource::EventSubscription(path, name)) => event_subscriptions::get(call, who, path, name).await,
        ("PUT", Resource::EventSubscription(path, name)) => event_subscriptions::put(call, who, path, name, body).await,
        ("PATCH", Resource::EventSubscription(path, name)) => {
            event_subscriptions::patch(call, who, path, name, body).await
        }
        ("DELETE", Resource::EventSubscription(path, name)) => event_subscriptions::delete(call, who, path, name).await,
        ("POST", Resource::FullUrl(path, name)) => event_subscriptions::full_url(call, who, path, name).await,
        ("POST", Resource::DeliveryAttributes(path, name)) => {
            event_subscriptions::delivery_attributes(call, who, path, name).await
        }
        ("GET", Resource::PartnerConfiguration(group)) => Ok(partner_configuration::get(group)),
        ("PUT", Resource::PartnerConfiguration(group)) => partner_configuration::put(group, body),
        // To authorize it no more is refused as any other partner is.
        ("POST", Resource::UnauthorizePartner(_)) => Err(Refusal::Body(InvalidBody::OtherPartner)),
        ("POST", Resource::AuthorizePartner(group)) => partner_configuration::authorize(group, body),
        _ => Err(call.other_method()),
    }
}

/// `2025-02-15` or `2024-06-01-preview`.
fn is_version(text: &str) -> bool {
    let date = text.strip_suffix("-preview").unwrap_or(text);
    let is_part = |part: &str, digits: usize| part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
    matches!(date.split('-').collect::<Vec<_>>().as_slice(), [year, month, day] if is_part(year, 4) && is_part(month, 2) && is_part(day, 2))
}
