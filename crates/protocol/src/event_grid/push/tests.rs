use super::*;
use crate::event_grid::EventField;

const EVENT: &str = r#"{"id":"e1","type":"Microsoft.Graph.MessageCreated","source":"/tenants/t/applications/a","subject":"Messages/1 ü","time":"2026-11-24T10:00:00.0000000Z","datacontenttype":"application/json","specversion":"1.0","data":{"changeType":"created","n":1,"evil":"a\r\nX-Other: 1\u0000é%"}}"#;
const OTHER: &str = r#"{"id":"e2","type":"Microsoft.Graph.MessageDeleted","source":"/tenants/t/applications/a","specversion":"1.0","data":{"changeType":"deleted","n":1}}"#;

fn event(text: &str) -> CloudEvent {
    CloudEvent::from_json(text.as_bytes()).unwrap()
}

fn pushed(content: Content<'_>, headers: &[Header], bearer: Option<&str>) -> String {
    let origin = Origin::default();
    let delivery = Delivery { origin: &origin, event_subscription: "worker-1", delivery_count: 0, headers, bearer };
    let Request { content_type, headers, body } = delivery.request(content);
    let headers = headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect::<String>();
    format!("content-type: {content_type}\n{headers}\n{}", String::from_utf8(body).unwrap())
}

fn fixed(name: &str, value: &str) -> Header {
    Header::fixed(name, value).unwrap()
}

#[test]
fn one_event_is_the_body_with_event_grids_headers_beside_it() {
    let headers = [fixed("X-Team", "mail & more")];
    insta::assert_snapshot!(pushed(Content::Structured(&event(EVENT)), &headers, None), @r#"
    content-type: application/cloudevents+json; charset=utf-8
    aeg-subscription-name: WORKER-1
    aeg-delivery-count: 0
    aeg-event-type: Notification
    aeg-metadata-version: 1.0
    webhook-request-origin: eventgrid.azure.net
    x-team: mail & more

    {"id":"e1","type":"Microsoft.Graph.MessageCreated","source":"/tenants/t/applications/a","subject":"Messages/1 ü","time":"2026-11-24T10:00:00.0000000Z","datacontenttype":"application/json","specversion":"1.0","data":{"changeType":"created","n":1,"evil":"a\r\nX-Other: 1\u0000é%"}}
    "#);
}

#[test]
fn in_binary_mode_the_data_is_the_body_and_attributes_are_headers() {
    insta::assert_snapshot!(pushed(Content::Binary(&event(OTHER)), &[], Some("to.k.en")), @r#"
    content-type: application/json
    aeg-subscription-name: WORKER-1
    aeg-delivery-count: 0
    aeg-event-type: Notification
    aeg-metadata-version: 1.0
    webhook-request-origin: eventgrid.azure.net
    authorization: Bearer to.k.en
    ce-id: e2
    ce-type: Microsoft.Graph.MessageDeleted
    ce-source: /tenants/t/applications/a
    ce-specversion: 1.0

    {"changeType":"deleted","n":1}
    "#);
}

#[test]
fn a_batch_is_an_array_under_its_own_content_type() {
    let (first, second) = (event(OTHER), event(OTHER));
    insta::assert_snapshot!(pushed(Content::Batch(&[&first, &second]), &[], None), @r#"
    content-type: application/cloudevents-batch+json; charset=utf-8
    aeg-subscription-name: WORKER-1
    aeg-delivery-count: 0
    aeg-event-type: Notification
    aeg-metadata-version: 1.0
    webhook-request-origin: eventgrid.azure.net

    [{"id":"e2","type":"Microsoft.Graph.MessageDeleted","source":"/tenants/t/applications/a","specversion":"1.0","data":{"changeType":"deleted","n":1}},{"id":"e2","type":"Microsoft.Graph.MessageDeleted","source":"/tenants/t/applications/a","specversion":"1.0","data":{"changeType":"deleted","n":1}}]
    "#);
}

#[test]
fn what_has_no_binary_form_that_a_webhook_could_read_is_sent_structured() {
    for data in ["", r#","data_base64":"AP8=""#, r#","datacontenttype":"application/cloudevents+json","data":{}"#] {
        let event = event(&format!(r#"{{"id":"1","type":"t","source":"/s","specversion":"1.0"{data}}}"#));
        let sent = pushed(Content::Binary(&event), &[], None);
        assert!(sent.starts_with("content-type: application/cloudevents+json; charset=utf-8\n"), "{sent}");
        assert!(!sent.contains("ce-id"), "{sent}");
    }
}

#[test]
fn a_token_takes_the_place_of_an_authorization_of_the_event_subscriptions() {
    let headers = [fixed("Authorization", "Basic YTpi")];
    let sent = |bearer| pushed(Content::Structured(&event(OTHER)), &headers, bearer);
    assert!(sent(None).contains("authorization: Basic YTpi\n"));
    let with_token = sent(Some("t"));
    assert!(with_token.contains("authorization: Bearer t\n") && !with_token.contains("Basic"));
}

#[test]
fn header_by_an_event_is_encoded_and_begins_no_other() {
    let (event, field) = (event(EVENT), |text| EventField::parse(text).unwrap());
    let value = |text| Header::of_events("X-A", &field(text), &[&event]).map(|header| header.value().to_owned());
    assert_eq!(value("data.evil").as_deref(), Some("a%0D%0AX-Other: 1%00%C3%A9%25"));
    assert_eq!(value("subject").as_deref(), Some("Messages/1 %C3%BC"));
    assert_eq!(value("data.n").as_deref(), Some("1"));
    assert_eq!(value("data"), None, "an object");
    assert_eq!(value("data.missing"), None);
}

#[test]
fn a_value_of_events_keeps_its_bounds() {
    let of = |text: &str| {
        let data = serde_json::to_string(text).unwrap();
        let event = event(&format!(r#"{{"id":"1","type":"t","source":"/s","specversion":"1.0","data":{data}}}"#));
        let header = Header::of_events("X-A", &EventField::Data(Vec::new()), &[&event]);
        header.map(|header| header.value().to_owned())
    };
    assert_eq!(of("  a b  ").as_deref(), Some("%20%20a b%20%20"));
    assert_eq!(of(" ").as_deref(), Some("%20"));
    assert_eq!(of("").as_deref(), Some(""));
    assert_eq!(of(&"x".repeat(HEADER_VALUE_BYTES_MAX)).map(|value| value.len()), Some(HEADER_VALUE_BYTES_MAX));
    assert_eq!(of(&"x".repeat(HEADER_VALUE_BYTES_MAX + 1)), None);
    assert_eq!(of(&"é".repeat(HEADER_VALUE_BYTES_MAX / 2)), None, "too long once it is encoded");
}

#[test]
fn a_batch_has_a_header_of_what_its_events_have_in_common() {
    let (first, second) = (event(EVENT), event(OTHER));
    let common = |text| Header::of_events("X-A", &EventField::parse(text).unwrap(), &[&first, &second]);
    assert_eq!(common("data.n").as_ref().map(Header::value), Some("1"));
    assert_eq!(common("data.changeType"), None);
    assert_eq!(common("subject"), None, "the second has none");
    assert_eq!(Header::of_events("X-A", &EventField::Id, &[]), None);
}

#[test]
fn names_and_values_that_no_event_subscription_may_set_are_refused_with_words() {
    let long = "x".repeat(HEADER_VALUE_BYTES_MAX + 1);
    let cases = [
        ("", "v"),
        ("X A", "v"),
        ("X-A\r\nHost", "v"),
        ("X:A", "v"),
        ("X-\u{e9}", "v"),
        ("aeg-Event-Type", "v"),
        ("WebHook-Request-Origin", "v"),
        ("CE-id", "v"),
        ("Proxy-Authorization", "v"),
        ("Host", "v"),
        ("Content-Length", "v"),
        ("TRANSFER-ENCODING", "v"),
        ("Connection", "v"),
        ("X-A", "a\r\nX-B: 1"),
        ("X-A", "a\0"),
        ("X-A", "\u{e9}"),
        ("X-A", " a"),
        ("X-A", "a\t"),
        ("X-A", &long),
    ];
    let texts = cases.iter().map(|(name, value)| Header::fixed(name, value).unwrap_err().to_string());
    insta::assert_snapshot!(texts.collect::<Vec<_>>().join("\n"), @r#"
    the name "" is none of a header; use 1 to 128 letters, digits and !#$%&'*+-.^_`|~ of ASCII
    the name "X A" is none of a header; use 1 to 128 letters, digits and !#$%&'*+-.^_`|~ of ASCII
    the name "X-A\r\nHost" is none of a header; use 1 to 128 letters, digits and !#$%&'*+-.^_`|~ of ASCII
    the name "X:A" is none of a header; use 1 to 128 letters, digits and !#$%&'*+-.^_`|~ of ASCII
    the name "X-é" is none of a header; use 1 to 128 letters, digits and !#$%&'*+-.^_`|~ of ASCII
    the header 'aeg-Event-Type' is set by the server or by what carries the request; name another
    the header 'WebHook-Request-Origin' is set by the server or by what carries the request; name another
    the header 'CE-id' is set by the server or by what carries the request; name another
    the header 'Proxy-Authorization' is set by the server or by what carries the request; name another
    the header 'Host' is set by the server or by what carries the request; name another
    the header 'Content-Length' is set by the server or by what carries the request; name another
    the header 'TRANSFER-ENCODING' is set by the server or by what carries the request; name another
    the header 'Connection' is set by the server or by what carries the request; name another
    the header 'X-A' has a value with other characters than the printable ones of ASCII; encode it
    the header 'X-A' has a value with other characters than the printable ones of ASCII; encode it
    the header 'X-A' has a value with other characters than the printable ones of ASCII; encode it
    the header 'X-A' has a value that begins or ends with a blank, which HTTP drops; encode or remove it
    the header 'X-A' has a value with other characters than the printable ones of ASCII; encode it
    the header 'X-A' has a value of more than 4096 bytes; shorten it
    "#);
    assert_eq!(fixed("X-Ok", "a b\"c").value(), "a b\"c");
}

#[test]
fn an_origin_is_a_hosts_name() {
    assert_eq!(Origin::parse("eventgrid.azure.net"), Some(Origin::default()));
    for bad in ["", "a b", "https://h", "h:1", "h\r\nX: 1", "h\u{e9}", &"a".repeat(254)] {
        assert_eq!(Origin::parse(bad), None, "{bad:?}");
    }
}
