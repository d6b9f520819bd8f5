//! What is posted to a webhook for events, as its event subscription asks for it.

use protocol::event_grid::EventField;
use protocol::event_grid::push::{Content, Delivery, Header, Origin, Request};

use super::{AttributeValue, CloudEvent, ContentMode, DeliveryAttribute, Webhook};

impl Webhook {
    /// The request for these events, of which there is one unless batches were asked for. `event_subscription` is its
    /// name, `delivery_count` how many attempts were made before, `bearer` the token if there is an audience.
    pub fn request(
        &self,
        (origin, event_subscription): (&Origin, &str),
        events: &[&CloudEvent],
        delivery_count: u32,
        bearer: Option<&str>,
    ) -> Request {
        let content = match (events, self.batch, self.mode) {
            ([event], None, ContentMode::Structured) => Content::Structured(event),
            ([event], None, ContentMode::Binary) => Content::Binary(event),
            (events, ..) => Content::Batch(events),
        };
        let headers: Vec<_> = self.attributes.iter().filter_map(|attribute| attribute.header(events)).collect();
        Delivery { origin, event_subscription, delivery_count, headers: &headers, bearer }.request(content)
    }
}

impl DeliveryAttribute {
    /// As a header of a request with these events; `None`: they have nothing that it could tell.
    fn header(&self, events: &[&CloudEvent]) -> Option<Header> {
        match &self.value {
            AttributeValue::Static { value, .. } => Header::fixed(&self.name, value).ok(),
            AttributeValue::Dynamic { source_field } => {
                Header::of_events(&self.name, &EventField::parse(source_field).ok()?, events)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topic::Batching;

    const EVENT: &[u8] =
        br#"{"id":"1","type":"t","source":"/s","subject":"Messages/1","specversion":"1.0","data":{"changeType":"created"}}"#;

    fn webhook() -> Webhook {
        let fixed = AttributeValue::Static { value: "v".to_owned(), is_secret: true };
        let told = AttributeValue::Dynamic { source_field: "data.changeType".to_owned() };
        let nothing = AttributeValue::Dynamic { source_field: "data.other".to_owned() };
        let attributes = [("X-A", fixed), ("X-B", told), ("X-C", nothing)];
        let attributes =
            attributes.map(|(name, value)| DeliveryAttribute { name: name.to_owned(), value }).into_iter().collect();
        Webhook { attributes, ..Webhook::to("https://h/x".to_owned()) }
    }

    fn headers(webhook: &Webhook, events: &[&CloudEvent]) -> (String, Vec<String>) {
        let request = webhook.request((&Origin::default(), "worker"), events, 3, None);
        (request.content_type, request.headers.into_iter().map(|(name, value)| format!("{name}: {value}")).collect())
    }

    #[test]
    fn a_request_is_as_its_event_subscription_asks_for_it() {
        let event = CloudEvent::from_json(EVENT).unwrap();
        let plain = webhook();
        let (content_type, told) = headers(&plain, &[&event]);
        assert_eq!(content_type, "application/cloudevents+json; charset=utf-8");
        assert!(told.contains(&"x-a: v".to_owned()) && told.contains(&"x-b: created".to_owned()), "{told:?}");
        assert!(
            told.contains(&"aeg-delivery-count: 3".to_owned()) && !told.iter().any(|header| header.starts_with("x-c"))
        );
        let (content_type, told) = headers(&Webhook { mode: ContentMode::Binary, ..webhook() }, &[&event]);
        assert_eq!(content_type, "application/json");
        assert!(told.contains(&"ce-id: 1".to_owned()), "{told:?}");
        let batch = Some(Batching { events_max: 10, preferred_kib: 64 });
        let (content_type, _) = headers(&Webhook { batch, mode: ContentMode::Binary, ..webhook() }, &[&event]);
        assert_eq!(content_type, "application/cloudevents-batch+json; charset=utf-8", "an array, even of one");
        let (content_type, _) = headers(&plain, &[&event, &event]);
        assert_eq!(content_type, "application/cloudevents-batch+json; charset=utf-8", "nothing else holds two");
    }
}
