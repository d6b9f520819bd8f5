//! Which endpoint a URL of an app is: what has a health, and shares the slots of its origin.

use graph::AppId;
use url::Url;
use uuid::Uuid;

use crate::event_grid_url::EventGridUrl;

/// Namespace of endpoints; random, fixed for ever.
const NAMESPACE: Uuid = Uuid::from_u128(0x3c2f_cd5a_a7f5_4544_9e98_d8ef_acbd_4d62);

/// An app's URL without query and fragment, hashed: the same on every node, at all times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointId(pub Uuid);

impl EndpointId {
    pub fn of(app: AppId, url: &str) -> Self {
        Self::with_origin(app, url).0
    }

    /// The endpoint, and its origin: scheme, host and port. What is no URL has none. If the URL names a partner topic,
    /// that is both.
    pub(crate) fn with_origin(app: AppId, url: &str) -> (Self, String) {
        let (url, origin) = match (EventGridUrl::parse(url), Url::parse(url)) {
            (Ok(topic), _) => {
                let name = format!("EventGrid:{}/{}", topic.location, topic.partner_topic.to_ascii_lowercase());
                (name.clone(), name)
            }
            (Err(_), Ok(mut parsed)) => {
                parsed.set_query(None);
                parsed.set_fragment(None);
                // What is no URL of a host has a way of its own.
                let origin = match parsed.cannot_be_a_base() {
                    true => format!("{}:", parsed.scheme()),
                    false => parsed.origin().ascii_serialization(),
                };
                (String::from(parsed), origin)
            }
            (Err(_), Err(_)) => (url.to_owned(), String::new()),
        };
        let name = [app.0.as_bytes(), url.as_bytes()].concat();
        (Self(Uuid::new_v5(&NAMESPACE, &name)), origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const APP: AppId = AppId(Uuid::from_u128(4));

    #[test]
    fn an_endpoint_is_an_apps_url_without_its_query() {
        let of = |url| EndpointId::of(APP, url);
        let endpoint = of("https://hook.example.net/n?secret=1");
        assert_eq!(endpoint, of("https://HOOK.example.net:443/n#part"));
        assert_ne!(endpoint, of("https://hook.example.net/m?secret=1"));
        assert_ne!(endpoint, EndpointId::of(AppId(Uuid::from_u128(5)), "https://hook.example.net/n"));
    }

    /// It is part of the stored form.
    #[test]
    fn an_endpoint_is_named_the_same_by_every_release() {
        let named = EndpointId::of(APP, "https://hook.example.net/n").0.to_string();
        assert_eq!(named, "3b6c71ea-2fde-5e50-a885-d658cd7cb11f");
    }
}
