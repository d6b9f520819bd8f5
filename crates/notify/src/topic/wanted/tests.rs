use graph::Timestamp;
use protocol::event_grid::management::{Group, TopicPath, WantedEventSubscription};
use serde_json::{Value, json};

use super::*;
use crate::topic::Awaited;

fn asked(body: Value, before: Option<&Destination>) -> Result<Destination, InvalidDestination> {
    let group = Group { subscription: "8d4f".to_owned(), name: "rg1".to_owned() };
    let path = TopicPath { group, topic: "mail".to_owned() };
    let wanted = WantedEventSubscription::parse_patch(body.to_string().as_bytes(), &path).unwrap();
    let (to, retry, dead_letters) = (wanted.to.as_ref(), wanted.retry.as_ref(), wanted.dead_letters.as_ref());
    Destination::wanted(&Wanted { to, retry, dead_letters }, before)
}

fn to(properties: Value) -> Value {
    json!({"destination": {"endpointType": "WebHook", "properties": properties}})
}

/// A webhook at `https://h/x?code=1` with these properties besides.
fn hook(properties: Value) -> Result<Webhook, InvalidDestination> {
    let mut all = json!({"endpointUrl": "https://h/x?code=1"});
    all.as_object_mut().unwrap().extend(properties.as_object().unwrap().clone());
    asked(to(all), None).map(|destination| webhook_of(&destination).clone())
}

fn webhook_of(destination: &Destination) -> &Webhook {
    match destination {
        Destination::Push(push) => push.webhook().expect("a webhook"),
        Destination::Queue(_) => panic!("it is pulled"),
    }
}

fn header(name: &str, properties: Value) -> Value {
    let kind = if properties.get("sourceField").is_some() { "Dynamic" } else { "Static" };
    json!({"name": name, "type": kind, "properties": properties})
}

fn headers(headers: Value) -> Result<Webhook, InvalidDestination> {
    hook(json!({ "deliveryAttributeMappings": headers }))
}

#[test]
fn what_azures_client_writes_where_nothing_was_asked_for_is_no_batch() {
    assert_eq!(hook(json!({})).unwrap().batch, None);
    let batch = |max: Value, kib: Value| {
        let wanted = json!({"maxEventsPerBatch": max, "preferredBatchSizeInKilobytes": kib});
        hook(wanted).unwrap().batch.map(|batch| (batch.events_max, batch.preferred_kib))
    };
    assert_eq!(batch(json!(1), json!(64)), None);
    assert_eq!(batch(json!(10), Value::Null), Some((10, 64)));
    assert_eq!(batch(Value::Null, json!(128)), Some((5_000, 128)));
    assert_eq!(batch(json!(5_000), json!(1_024)), Some((5_000, 1_024)));
}

#[test]
fn an_update_keeps_what_it_does_not_name() {
    let secret = header("X-S", json!({"value": "s3cret", "isSecret": true}));
    let first = to(json!({"endpointUrl": "https://h/x?code=1", "maxEventsPerBatch": 10,
        "azureActiveDirectoryTenantId": "t", "azureActiveDirectoryApplicationIdOrUri": "api://a",
        "deliveryAttributeMappings": [secret, header("X-A", json!({"value": "v"}))]}));
    let before = asked(first, None).unwrap();
    assert_eq!(asked(json!({}), Some(&before)), Ok(before.clone()));
    assert_eq!(asked(to(json!({})), Some(&before)), Ok(before.clone()));
    let kept = json!({"deliveryAttributeMappings": [header("x-s", json!({"isSecret": true}))]});
    let after = asked(to(kept), Some(&before)).unwrap();
    let value = AttributeValue::Static { value: "s3cret".to_owned(), is_secret: true };
    assert_eq!(webhook_of(&after).attributes, [DeliveryAttribute { name: "x-s".to_owned(), value }]);
    let policy = json!({"retryPolicy": {"maxDeliveryAttempts": 3}});
    let Destination::Push(after) = asked(policy, Some(&before)).unwrap() else { panic!("it is pushed") };
    assert_eq!((after.policy.attempts_max(), after.policy.time_to_live_minutes()), (3, 1_440));
    let none = json!({"azureActiveDirectoryTenantId": "", "azureActiveDirectoryApplicationIdOrUri": ""});
    assert_eq!(webhook_of(&asked(to(none), Some(&before)).unwrap()).audience, None);
}

#[test]
fn events_can_be_pulled_that_were_pushed_and_pushed_that_were_pulled() {
    let pushed = asked(to(json!({"endpointUrl": "https://h/x"})), None).unwrap();
    let pull = json!({"deliveryConfiguration": {"deliveryMode": "Queue", "queue": {"maxDeliveryCount": 3}}});
    let pulled = asked(pull, Some(&pushed)).unwrap();
    assert_eq!(pulled, Destination::Queue(Queue { delivery_count_max: 3, ..Queue::default() }));
    assert_eq!(asked(to(json!({"endpointUrl": "https://h/x"})), Some(&pulled)), Ok(pushed));
    assert_eq!(asked(to(json!({})), Some(&pulled)), Err(InvalidDestination::NoUrl));
    let policy = json!({"retryPolicy": {"maxDeliveryAttempts": 3}});
    assert_eq!(asked(policy, Some(&pulled)), Err(InvalidDestination::Pulled("retryPolicy")));
}

#[test]
fn an_endpoint_at_the_same_url_is_waited_for_still() {
    let mut before = asked(to(json!({"endpointUrl": "https://h/x"})), None).unwrap();
    let awaited = Some(Awaited { code_hash: [1; 32], until: Timestamp::from_seconds(600) });
    if let Destination::Push(push) = &mut before
        && let Endpoint::Webhook(webhook) = &mut push.to
    {
        webhook.awaits = awaited.clone();
    }
    let awaits = |wanted| webhook_of(&asked(wanted, Some(&before)).unwrap()).awaits.clone();
    assert_eq!(awaits(json!({"retryPolicy": {"maxDeliveryAttempts": 3}})), awaited);
    assert_eq!(awaits(to(json!({"maxEventsPerBatch": 10}))), awaited);
    assert_eq!(awaits(to(json!({"endpointUrl": "https://h/y"}))), None);
}

#[test]
fn where_events_cannot_go_is_refused_with_what_to_change() {
    let eleven: Vec<_> = (0..11).map(|n| header(&format!("X-{n}"), json!({"value": "v"}))).collect();
    let value = json!({"value": "v"});
    let audience = json!({"azureActiveDirectoryTenantId": "t", "azureActiveDirectoryApplicationIdOrUri": "a",
        "deliveryAttributeMappings": [header("authorization", value.clone())]});
    let bridge = |stream: &str, subject: &str| {
        let properties = json!({"stream": stream, "subject": subject});
        asked(json!({"destination": {"endpointType": "NatsJetStream", "properties": properties}}), None)
    };
    let blob = |container: &str| {
        let mut wanted = to(json!({"endpointUrl": "https://h/x"}));
        let properties = json!({"resourceId": "r", "blobContainerName": container});
        wanted["deadLetterDestination"] = json!({"endpointType": "StorageBlob", "properties": properties});
        asked(wanted, None)
    };
    let mut policy = to(json!({"endpointUrl": "https://h/x"}));
    policy["retryPolicy"] = json!({"maxDeliveryAttempts": 31});
    let refused = [
        asked(to(json!({})), None).unwrap_err(),
        asked(policy, None).unwrap_err(),
        hook(json!({"contentMode": "binary"})).unwrap_err(),
        hook(json!({"contentMode": "Binary", "maxEventsPerBatch": 2})).unwrap_err(),
        hook(json!({"maxEventsPerBatch": 0})).unwrap_err(),
        hook(json!({"maxEventsPerBatch": 70_000})).unwrap_err(),
        hook(json!({"preferredBatchSizeInKilobytes": 1_025})).unwrap_err(),
        hook(json!({"minimumTlsVersionAllowed": "1.3"})).unwrap_err(),
        hook(json!({"azureActiveDirectoryTenantId": "t"})).unwrap_err(),
        hook(audience).unwrap_err(),
        headers(json!(eleven)).unwrap_err(),
        headers(json!([header("X-A", value.clone()), header("x-a", value.clone())])).unwrap_err(),
        headers(json!([header("X-A", json!({"isSecret": true}))])).unwrap_err(),
        headers(json!([header("X-A", json!({"sourceField": "$.data"}))])).unwrap_err(),
        headers(json!([header("X-A", json!({"value": "a\r\nX-B: 1"}))])).unwrap_err(),
        headers(json!([header("aeg-event-type", value)])).unwrap_err(),
        bridge("a.b", "graph").unwrap_err(),
        bridge("GRAPH", "graph.>").unwrap_err(),
        blob("Dead").unwrap_err(),
    ];
    let texts: Vec<_> = refused.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(texts.join("\n"), @r#"
    endpointUrl is missing; give the https URL that events are posted to
    maxDeliveryAttempts must be from 1 to 30
    contentMode is 'binary'; write Structured or Binary
    contentMode Binary goes with one event in each request; set maxEventsPerBatch to 1
    maxEventsPerBatch must be from 1 to 5000
    maxEventsPerBatch must be from 1 to 5000
    preferredBatchSizeInKilobytes must be from 1 to 1024
    minimumTlsVersionAllowed is '1.3'; write 1.0, 1.1 or 1.2: older than 1.2 is never spoken
    azureActiveDirectoryTenantId and azureActiveDirectoryApplicationIdOrUri go together; give both, of at most 256 printable characters of ASCII, or neither
    deliveryAttributeMappings has Authorization, and azureActiveDirectoryApplicationIdOrUri asks for a token there; leave one out
    deliveryAttributeMappings has more than 10 headers; leave some out
    deliveryAttributeMappings names the header 'x-a' twice; give it once
    deliveryAttributeMappings: the header 'X-A' has no value; give one
    deliveryAttributeMappings: the sourceField of the header 'X-A' names neither an attribute nor data; write subject, eventtype, an extension's name or data.a.b
    deliveryAttributeMappings: the header 'X-A' has a value with other characters than the printable ones of ASCII; encode it
    deliveryAttributeMappings: the header 'aeg-event-type' is set by the server or by what carries the request; name another
    stream must name a stream of NATS JetStream: 1 to 256 characters of ASCII without blanks, dots, slashes, * and >
    subject must be one that NATS publishes to, of 256 characters at most: names with dots between them, without blanks, * and >; {tenant}, {user}, {kind} and {change} stand for what differs
    blobContainerName must be 3 to 63 lower-case letters, digits and single hyphens, with none at an end
    "#);
    for subject in ["graph.{tenant}.users.{user}.{kind}.{change}", "graph"] {
        assert!(bridge("GRAPH", subject).is_ok(), "{subject}");
    }
    for subject in ["", "a..b", ".a", "a b", "a.{id}", "$JS.API", "a.*", "a\r\nb"] {
        assert_eq!(bridge("GRAPH", subject), Err(InvalidDestination::Subject), "{subject}");
    }
}

#[test]
fn what_is_answered_hides_the_query_and_secret_values() {
    let webhook = headers(json!([
        header("X-S", json!({"value": "s3cret", "isSecret": true})),
        header("X-A", json!({"value": "v"})),
        header("X-D", json!({"sourceField": "subject"})),
    ]))
    .unwrap();
    assert_eq!(webhook.base_url(), "https://h/x");
    let shown = serde_json::to_value(webhook.mappings()).unwrap();
    assert_eq!(
        shown,
        json!([
            {"name": "X-S", "type": "Static", "properties": {"value": null, "isSecret": true}},
            {"name": "X-A", "type": "Static", "properties": {"value": "v", "isSecret": false}},
            {"name": "X-D", "type": "Dynamic", "properties": {"sourceField": "subject"}},
        ])
    );
}
