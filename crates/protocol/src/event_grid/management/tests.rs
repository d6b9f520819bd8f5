//! Bodies and paths, as the management client of Python writes them.

use super::*;
use crate::event_grid::EventSubscriptionFilter;

fn path() -> TopicPath {
    let group = Group { subscription: "8d4f".to_owned(), name: "rg1".to_owned() };
    TopicPath { group, topic: "mail-events".to_owned() }
}

const TOPIC: &str = "/subscriptions/8d4f/resourceGroups/rg1/providers/Microsoft.EventGrid/partnerTopics/mail-events";

fn put(properties: &str) -> Result<WantedEventSubscription, InvalidBody> {
    WantedEventSubscription::parse_put(format!(r#"{{"properties":{properties}}}"#).as_bytes(), &path())
}

#[test]
fn a_partner_topic_is_answered_as_azures_client_reads_it() {
    let properties = TopicProperties {
        source: Some("/tenants/t/applications/a".to_owned()),
        partner_registration_immutable_id: PARTNER_REGISTRATION,
        event_type_info: EventTypes,
        provisioning_state: "Succeeded",
        activation_state: "NeverActivated",
        expiration_time_if_not_activated_utc: Some("2026-12-06T10:00:00Z".to_owned()),
        partner_topic_friendly_description: "",
    };
    let (path, tags) = (path(), [("team".to_owned(), "mail".to_owned())].into());
    insta::assert_json_snapshot!(topic(&path, "westeurope", &tags, properties));
}

#[test]
fn an_event_subscription_is_answered_in_both_forms_and_taken_again_as_it_was_answered() {
    let filter = EventSubscriptionFilter {
        included_event_types: Some(vec!["Microsoft.Graph.MessageCreated".to_owned()]),
        ..EventSubscriptionFilter::default()
    };
    let queue =
        Queue { receive_lock_seconds: Some(60), delivery_count_max: Some(10), time_to_live_seconds: Some(604_800) };
    let (path, labels) = (path(), ["mail".to_owned()]);
    let expiration = Some("2027-01-01T00:00:00Z".to_owned());
    let body = EventSubscription {
        topic: &path,
        name: "worker",
        state: ProvisioningState::Succeeded,
        filter: &filter,
        delivery: Delivery::Queue(queue),
        labels: &labels,
        expiration: expiration.clone(),
    }
    .body();
    insta::assert_json_snapshot!(body, @r#"
    {
      "id": "/subscriptions/8d4f/resourceGroups/rg1/providers/Microsoft.EventGrid/partnerTopics/mail-events/eventSubscriptions/worker",
      "name": "worker",
      "type": "Microsoft.EventGrid/partnerTopics/eventSubscriptions",
      "properties": {
        "topic": "/subscriptions/8d4f/resourceGroups/rg1/providers/Microsoft.EventGrid/partnerTopics/mail-events",
        "provisioningState": "Succeeded",
        "destination": {
          "endpointType": "NamespaceTopic",
          "properties": {
            "resourceId": "/subscriptions/8d4f/resourceGroups/rg1/providers/Microsoft.EventGrid/partnerTopics/mail-events"
          }
        },
        "deliveryConfiguration": {
          "deliveryMode": "Queue",
          "queue": {
            "receiveLockDurationInSeconds": 60,
            "maxDeliveryCount": 10,
            "eventTimeToLive": "P7D"
          }
        },
        "filter": {
          "includedEventTypes": [
            "Microsoft.Graph.MessageCreated"
          ]
        },
        "labels": [
          "mail"
        ],
        "expirationTimeUtc": "2027-01-01T00:00:00Z",
        "eventDeliverySchema": "CloudEventSchemaV1_0"
      }
    }
    "#);
    let again = WantedEventSubscription::parse_put(&serde_json::to_vec(&body).unwrap(), &path);
    let (to, labels) = (Some(WantedDestination::Queue(queue)), Some(labels.to_vec()));
    let wanted =
        WantedEventSubscription { filter: Some(filter), to, labels, expiration, ..WantedEventSubscription::default() };
    assert_eq!(again, Ok(wanted));
}

#[test]
fn pull_is_asked_for_in_two_forms() {
    let own =
        format!(r#"{{"destination":{{"endpointType":"NamespaceTopic","properties":{{"resourceId":"{TOPIC}"}}}}}}"#);
    let to = put(&own).map(|wanted| wanted.to);
    assert_eq!(to, Ok(Some(WantedDestination::Queue(Queue::default()))));
    let wanted = put(
        r#"{"deliveryConfiguration":{"deliveryMode":"Queue","queue":{"receiveLockDurationInSeconds":120,"maxDeliveryCount":3,"eventTimeToLive":"PT1H"}},"labels":[],"expirationTimeUtc":null}"#,
    );
    let queue =
        Queue { receive_lock_seconds: Some(120), delivery_count_max: Some(3), time_to_live_seconds: Some(3_600) };
    let to = Some(WantedDestination::Queue(queue));
    assert_eq!(wanted, Ok(WantedEventSubscription { to, labels: Some(vec![]), ..Default::default() }));
}

#[test]
fn an_update_names_what_changes_alone() {
    let wanted =
        WantedEventSubscription::parse_patch(br#"{"labels":["a"],"filter":{"subjectBeginsWith":"Events/"}}"#, &path());
    let filter = EventSubscriptionFilter {
        subject_begins_with: Some("Events/".to_owned()),
        ..EventSubscriptionFilter::default()
    };
    let expected =
        WantedEventSubscription { filter: Some(filter), labels: Some(vec!["a".to_owned()]), ..Default::default() };
    assert_eq!(wanted, Ok(expected));
    assert_eq!(WantedEventSubscription::parse_patch(b"{}", &path()), Ok(WantedEventSubscription::default()));
}

#[test]
fn what_is_not_served_is_refused_with_words() {
    let many =
        format!(r#"{{"deliveryConfiguration":{{"deliveryMode":"Queue"}},"labels":{:?}}}"#, vec!["a"; LABELS_MAX + 1]);
    let cases = [
        r#"{"destination":{"endpointType":"WebHook","properties":{"endpointUri":"https://h/x"}}}"#,
        r#"{"destination":{"endpointType":"WebHook","properties":{"deliveryAttributeMappings":[{"name":"X","type":"Fixed","properties":{}}]}}}"#,
        r#"{"destination":{"endpointType":"WebHook","properties":{}},"deliveryConfiguration":{"deliveryMode":"Queue"}}"#,
        r#"{"destination":{"endpointType":"WebHook","propertys":{}}}"#,
        r#"{"deliveryWithResourceIdentity":{"destination":{"endpointType":"WebHook"}}}"#,
        r#"{"deliveryConfiguration":{"deliveryMode":"Queue"},"deadLetterWithResourceIdentity":{"identity":{}}}"#,
        r#"{"deliveryConfiguration":{"deliveryMode":"Queue"},"deadLetterDestination":{"endpointType":"StorageQueue"}}"#,
        r#"{"deliveryConfiguration":{"deliveryMode":"Queue"},"retryPolicy":{"maxDeliveryAttempt":5}}"#,
        r#"{"deliveryConfiguration":{"deliveryMode":"Queue"},"filter":{"subjectBeginWith":"Messages/"}}"#,
        r#"{"destination":{"endpointType":"StorageQueue","properties":{"resourceId":"r","queueName":"q"}}}"#,
        r#"{"destination":{"endpointType":"NamespaceTopic","properties":{"resourceId":"/subscriptions/other"}}}"#,
        r#"{"destination":{"endpointType":"NamespaceTopic"}}"#,
        "{}",
        r#"{"deliveryConfiguration":{"deliveryMode":"Push"}}"#,
        r#"{"deliveryConfiguration":{"deliveryMode":"Pigeon"}}"#,
        r#"{"deliveryConfiguration":{"deliveryMode":"Queue","queue":{"eventTimeToLive":"P1M"}}}"#,
        r#"{"deliveryConfiguration":{"deliveryMode":"Queue"},"eventDeliverySchema":"EventGridSchema"}"#,
        r#"{"deliveryConfiguration":{"deliveryMode":"Queue"},"expirationTimeUtc":"tomorrow"}"#,
        &many,
        r#"{"deliveryConfiguration":{"deliveryMode":"Queue"},"filters":{}}"#,
    ];
    let texts: Vec<String> = cases.iter().map(|case| put(case).unwrap_err().to_string()).collect();
    insta::assert_snapshot!(texts.join("\n"));
}

#[test]
fn a_partner_topic_is_asked_for_with_its_region() {
    let parse = |body: &str| WantedTopic::parse(body.as_bytes());
    let sent = r#"{"location":"westeurope","tags":{"team":"mail"},"properties":{"source":"x","activationState":"Activated","partnerTopicFriendlyDescription":"mail"}}"#;
    let wanted = WantedTopic {
        location: "westeurope".to_owned(),
        tags: [("team".to_owned(), "mail".to_owned())].into(),
        description: "mail".to_owned(),
        is_activated: Some(true),
    };
    assert_eq!(parse(sent), Ok(wanted));
    assert_eq!(parse("{}"), Err(InvalidBody::NoLocation));
    assert!(matches!(
        parse(r#"{"location":"w","properties":{"activationState":"On"}}"#),
        Err(InvalidBody::ActivationState(_))
    ));
    assert!(matches!(parse("[]"), Err(InvalidBody::Json { .. })));
}

#[test]
fn tags_are_read_and_bounded_and_an_update_names_all_of_them() {
    let update =
        |tags: &serde_json::Value| TopicUpdate::parse(serde_json::json!({ "tags": tags }).to_string().as_bytes());
    let many = |count: usize| (0..count).map(|number| (number.to_string(), "x".into())).collect();
    let named = |name: &str, value: &str| serde_json::json!({ name: value });
    for taken in [
        serde_json::json!({}),
        serde_json::Value::Object(many(TAGS_MAX)),
        named(&"ä".repeat(TAG_NAME_CHARS_MAX), &"ä".repeat(TAG_VALUE_CHARS_MAX)),
        named("cost centre", ""),
    ] {
        let tags = serde_json::from_value(taken.clone()).unwrap();
        assert_eq!(update(&taken), Ok(TopicUpdate { tags: Some(tags) }), "{taken}");
    }
    for refused in [
        serde_json::Value::Object(many(TAGS_MAX + 1)),
        named(&"n".repeat(TAG_NAME_CHARS_MAX + 1), "x"),
        named("n", &"x".repeat(TAG_VALUE_CHARS_MAX + 1)),
        named("", "x"),
        named("a/b", "x"),
        named("a\\b", "x"),
        named("a\nb", "x"),
        serde_json::json!({ "Team": "a", "team": "b" }),
    ] {
        assert_eq!(update(&refused), Err(InvalidBody::Tags), "{refused}");
    }
    assert_eq!(TopicUpdate::parse(b"{}"), Ok(TopicUpdate { tags: None }));
    let identity = TopicUpdate::parse(br#"{"identity":{"type":"SystemAssigned"}}"#);
    assert_eq!(identity, Err(InvalidBody::NotServed("identity")));
    for other in [&br#"{"properties":{}}"#[..], br#"{"tags":{"a":1}}"#, b"[null,null]", b"null"] {
        assert!(matches!(TopicUpdate::parse(other), Err(InvalidBody::Json { .. })));
    }
}

#[test]
fn the_one_partner_is_always_authorized_and_no_other() {
    insta::assert_json_snapshot!(partner_configuration(&path().group), @r#"
    {
      "id": "/subscriptions/8d4f/resourceGroups/rg1/providers/Microsoft.EventGrid/partnerConfigurations/default",
      "name": "default",
      "type": "Microsoft.EventGrid/partnerConfigurations",
      "location": "global",
      "properties": {
        "partnerAuthorization": {
          "authorizedPartnersList": [
            {
              "partnerName": "MicrosoftGraphAPI",
              "partnerRegistrationImmutableId": "c02e0126-707c-436d-b6a1-175d2748fb58"
            }
          ]
        },
        "provisioningState": "Succeeded"
      }
    }
    "#);
    assert_eq!(check_partner(br#"{"partnerName":"MicrosoftGraphAPI"}"#), Ok(()));
    assert_eq!(check_partner(br#"{"partnerName":"Contoso"}"#), Err(InvalidBody::OtherPartner));
    assert_eq!(check_partner(b"{}"), Err(InvalidBody::OtherPartner));
    let configuration = |partners: &str| {
        let body = format!(
            r#"{{"location":"global","properties":{{"partnerAuthorization":{{"authorizedPartnersList":[{partners}]}}}}}}"#
        );
        check_partner_configuration(body.as_bytes())
    };
    assert_eq!(configuration(r#"{"partnerRegistrationImmutableId":"C02E0126-707C-436D-B6A1-175D2748FB58"}"#), Ok(()));
    assert_eq!(configuration(r#"{"partnerName":"Contoso"}"#), Err(InvalidBody::OtherPartner));
    assert_eq!(check_partner_configuration(b"{}"), Ok(()));
}

#[test]
fn paths_are_read_in_any_case_and_nothing_else_is_named() {
    let base = "/subscriptions/8d4f/resourceGroups/rg1/providers/Microsoft.EventGrid";
    let at = |rest: &str| resource(&format!("{base}/{rest}"));
    assert_eq!(resource(TOPIC), Some(Resource::Topic(path())));
    assert_eq!(resource(TOPIC).map(|_| path().to_string()).as_deref(), Some(TOPIC));
    assert_eq!(
        resource("/SUBSCRIPTIONS/8d4f/resourcegroups/rg1/Providers/microsoft.eventgrid/PARTNERTOPICS/mail-events"),
        Some(Resource::Topic(path()))
    );
    let of = |name: &str| (path(), name.to_owned());
    let named = |(topic, name)| Some(Resource::EventSubscription(topic, name));
    assert_eq!(at("partnerTopics/mail-events/eventSubscriptions/worker"), named(of("worker")));
    assert_eq!(at("partnerTopics/mail-events/activate"), Some(Resource::Activate(path())));
    assert_eq!(at("partnerTopics/mail-events/listKeys"), Some(Resource::Keys(path())));
    assert_eq!(at("partnerConfigurations/default"), Some(Resource::PartnerConfiguration(path().group)));
    let all = Resource::Topics { subscription: "8d4f".to_owned(), group: None };
    assert_eq!(resource("/subscriptions/8d4f/providers/Microsoft.EventGrid/partnerTopics"), Some(all));
    for other in [
        "",
        "/",
        "/subscriptions",
        "/subscriptions/8d4f",
        "/v1.0/subscriptions/8d4f",
        "/subscriptions/8d4f/providers/Microsoft.EventGrid/partnerTopics/t",
        "/subscriptions/8d4f/resourceGroups/rg1/providers/Microsoft.Storage/partnerTopics",
        "/subscriptions/%ff/providers/Microsoft.EventGrid/partnerTopics",
        "/subscriptions/a%2Fb/providers/Microsoft.EventGrid/partnerTopics",
    ] {
        assert_eq!(resource(other), None, "{other}");
    }
    for other in ["topics/t", "partnerTopics/t/explode", "partnerTopics//activate", "partnerConfigurations/other"] {
        assert_eq!(at(other), None, "{other}");
    }
}

const WEBHOOK: &str = r#"{"destination":{"endpointType":"WebHook","properties":{"endpointUrl":"https://h/x?code=s3cret","maxEventsPerBatch":10,"preferredBatchSizeInKilobytes":64,"azureActiveDirectoryTenantId":"t","azureActiveDirectoryApplicationIdOrUri":"api://a","minimumTlsVersionAllowed":"1.2","deliveryAttributeMappings":[{"name":"X-A","type":"Static","properties":{"value":"v","isSecret":true}},{"name":"X-B","type":"Dynamic","properties":{"sourceField":"data.changeType"}}],"contentMode":"Structured"}},"retryPolicy":{"maxDeliveryAttempts":5,"eventTimeToLiveInMinutes":60},"deadLetterDestination":{"endpointType":"StorageBlob","properties":{"resourceId":"r","blobContainerName":"dl"}},"eventDeliverySchema":"CloudEventSchemaV1_0","labels":[],"expirationTimeUtc":null}"#;

#[test]
fn a_webhook_is_read_as_azures_sdk_writes_it() {
    let wanted = put(WEBHOOK).unwrap();
    let Some(WantedDestination::WebHook(webhook)) = wanted.to else { panic!("{:?}", wanted.to) };
    assert_eq!(webhook.endpoint_url.as_deref(), Some("https://h/x?code=s3cret"));
    assert_eq!((webhook.max_events_per_batch, webhook.preferred_batch_size_in_kilobytes), (Some(10), Some(64)));
    let value = StaticValue { value: Some("v".to_owned()), is_secret: true };
    let told = DynamicValue { source_field: Some("data.changeType".to_owned()) };
    let mappings = [("X-A", MappedValue::Static(value)), ("X-B", MappedValue::Dynamic(told))];
    let mappings = mappings.map(|(name, value)| DeliveryAttributeMapping { name: name.to_owned(), value });
    assert_eq!(webhook.delivery_attribute_mappings.as_deref(), Some(&mappings[..]));
    let retry = RetryPolicy { max_delivery_attempts: Some(5), event_time_to_live_in_minutes: Some(60) };
    assert_eq!(wanted.retry, Some(retry));
    let dead_letters = StorageBlob { resource_id: Some("r".to_owned()), blob_container_name: Some("dl".to_owned()) };
    assert_eq!(wanted.dead_letters, Some(dead_letters));
    let bridge =
        r#"{"destination":{"endpointType":"NatsJetStream","properties":{"stream":"GRAPH","subject":"graph.{kind}"}}}"#;
    let (stream, subject) = (Some("GRAPH".to_owned()), Some("graph.{kind}".to_owned()));
    assert_eq!(put(bridge).unwrap().to, Some(WantedDestination::NatsJetStream(NatsJetStream { stream, subject })));
}

#[test]
fn a_webhook_is_answered_without_what_is_not_there() {
    let webhook = WebHook {
        endpoint_base_url: Some("https://h/x".to_owned()),
        delivery_attribute_mappings: Some(vec![DeliveryAttributeMapping {
            name: "X-A".to_owned(),
            value: MappedValue::Static(StaticValue { value: None, is_secret: true }),
        }]),
        ..WebHook::default()
    };
    let (path, filter) = (path(), EventSubscriptionFilter::default());
    let body = EventSubscription {
        topic: &path,
        name: "hook",
        state: ProvisioningState::AwaitingManualAction,
        filter: &filter,
        delivery: Delivery::Push {
            to: Destination::WebHook(Box::new(webhook)),
            retry: RetryPolicy { max_delivery_attempts: Some(30), event_time_to_live_in_minutes: Some(1_440) },
            dead_letters: None,
        },
        labels: &[],
        expiration: None,
    }
    .body();
    insta::assert_json_snapshot!(body.properties, @r#"
    {
      "topic": "/subscriptions/8d4f/resourceGroups/rg1/providers/Microsoft.EventGrid/partnerTopics/mail-events",
      "provisioningState": "AwaitingManualAction",
      "destination": {
        "endpointType": "WebHook",
        "properties": {
          "endpointBaseUrl": "https://h/x",
          "deliveryAttributeMappings": [
            {
              "name": "X-A",
              "type": "Static",
              "properties": {
                "value": null,
                "isSecret": true
              }
            }
          ]
        }
      },
      "filter": {},
      "labels": [],
      "expirationTimeUtc": null,
      "eventDeliverySchema": "CloudEventSchemaV1_0",
      "retryPolicy": {
        "maxDeliveryAttempts": 30,
        "eventTimeToLiveInMinutes": 1440
      }
    }
    "#);
}
