//! JSON schemas of Event Grid's bodies, named as Azure's descriptions name them. What is written and what is answered
//! differ in topics and event subscriptions; what only answers have may be sent back, and is passed over.

use notify::event_filter::{FILTERS_MAX, OPERATORS, TEXT_CHARS_MAX, TYPES_MAX, VALUES_MAX};
use notify::push_policy::{ATTEMPTS_MAX, TIME_TO_LIVE_MINUTES_MAX};
use notify::topic::{BATCHED_EVENTS_MAX, BATCHED_KIB_MAX, DELIVERY_ATTRIBUTES_MAX};
use protocol::cloud_event::{ATTRIBUTE_BYTES_MAX, BATCH_EVENTS_MAX, SPEC_VERSION};
use protocol::event_grid::management::{
    DESCRIPTION_CHARS_MAX, LABEL_CHARS_MAX, LABELS_MAX, TAG_NAME_CHARS_MAX, TAG_VALUE_CHARS_MAX, TAGS_MAX,
};
use protocol::event_grid::pull::LOCK_TOKENS_MAX;
use serde_json::{Map, Value, json};

/// A schema by its name.
pub fn named(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// Every schema, by its name in the description's components.
pub fn all() -> Map<String, Value> {
    let mut all = Map::new();
    let groups = [general(), events(), topics(), event_subscriptions(), destinations(), filters(), partners()];
    for group in groups {
        let Value::Object(group) = group else { continue };
        all.extend(group);
    }
    all
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn or_null(mut schema: Value) -> Value {
    if let Some(Value::String(one)) = schema.get("type") {
        schema["type"] = json!([one, "null"]);
        return schema;
    }
    json!({ "anyOf": [schema, { "type": "null" }] })
}

fn number(least: u64, most: u64) -> Value {
    or_null(json!({ "type": "integer", "minimum": least, "maximum": most }))
}

/// An object with these members and no others.
fn closed(properties: Value, required: &[&str]) -> Value {
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

/// An object that may have other members, which are passed over.
fn open(properties: Value, required: &[&str]) -> Value {
    json!({ "type": "object", "properties": properties, "required": required })
}

fn list(items: Value) -> Value {
    closed(json!({ "value": { "type": "array", "items": items } }), &["value"])
}

/// What clients write who were not told of it, and that is taken as nothing.
fn nothing() -> Value {
    json!({ "type": ["object", "null"], "maxProperties": 0 })
}

/// A resource as Azure's Resource Manager shows it.
fn resource(properties: Value, others: &[(&str, Value)]) -> Value {
    let mut members = json!({ "id": text(), "name": text(), "type": text(), "properties": properties });
    for (name, schema) in others {
        members[*name] = schema.clone();
    }
    closed(members, &["id", "name", "type", "properties"])
}

fn general() -> Value {
    let detail = open(json!({ "code": text(), "message": text() }), &["code", "message"]);
    let error = json!({ "code": text(), "message": text(), "details": { "type": "array", "items": detail } });
    json!({
        "Error": closed(json!({ "error": closed(error, &["code", "message"]) }), &["error"]),
        "Consent": closed(json!({ "message": text() }), &["message"]),
    })
}

fn events() -> Value {
    let attribute = json!({ "type": "string", "minLength": 1, "maxLength": ATTRIBUTE_BYTES_MAX });
    let event = json!({
        "type": "object",
        "properties": {
            "specversion": { "const": SPEC_VERSION },
            "id": attribute,
            "source": attribute,
            "type": attribute,
            "subject": or_null(attribute.clone()),
            "time": { "type": ["string", "null"], "format": "date-time" },
            "datacontenttype": or_null(attribute.clone()),
            "dataschema": or_null(attribute.clone()),
            "data": {},
            "data_base64": { "type": ["string", "null"], "contentEncoding": "base64" },
        },
        "patternProperties": { "^[a-z0-9]{1,20}$": {} },
        "required": ["specversion", "id", "source", "type"],
    });
    let broker = closed(
        json!({ "lockToken": text(), "deliveryCount": { "type": "integer", "minimum": 1 } }),
        &["lockToken", "deliveryCount"],
    );
    let received =
        closed(json!({ "brokerProperties": broker, "event": named("CloudEvent") }), &["brokerProperties", "event"]);
    let tokens = json!({ "type": "array", "items": text(), "minItems": 1, "maxItems": LOCK_TOKENS_MAX });
    let error = closed(json!({ "code": text(), "message": text() }), &["code", "message"]);
    let failed = closed(json!({ "lockToken": text(), "error": error }), &["lockToken", "error"]);
    let result = json!({
        "failedLockTokens": { "type": "array", "items": failed },
        "succeededLockTokens": { "type": "array", "items": text() },
    });
    json!({
        "CloudEvent": event,
        "CloudEvents": { "type": "array", "items": named("CloudEvent"), "maxItems": BATCH_EVENTS_MAX },
        "PublishResult": closed(json!({}), &[]),
        "ReceiveResult": list(received),
        "LockTokens": open(json!({ "lockTokens": tokens }), &["lockTokens"]),
        "LockTokensResult": closed(result, &["failedLockTokens", "succeededLockTokens"]),
    })
}

fn topics() -> Value {
    let activation = json!({ "type": "string", "enum": ["NeverActivated", "Activated", "Deactivated"] });
    let described = json!({ "type": "string", "maxLength": DESCRIPTION_CHARS_MAX });
    let types = json!({ "type": "object", "additionalProperties": open(json!({ "description": text() }), &[]) });
    let properties = json!({
        "source": text(),
        "partnerRegistrationImmutableId": text(),
        "eventTypeInfo": closed(json!({ "kind": text(), "inlineEventTypes": types }), &["kind", "inlineEventTypes"]),
        "provisioningState": text(),
        "activationState": activation,
        "expirationTimeIfNotActivatedUtc": { "type": "string", "format": "date-time" },
        "partnerTopicFriendlyDescription": text(),
    });
    let required = ["partnerRegistrationImmutableId", "eventTypeInfo", "provisioningState", "activationState"];
    let written = open(
        json!({ "activationState": or_null_of(activation), "partnerTopicFriendlyDescription": or_null(described) }),
        &[],
    );
    let tags = json!({
        "type": "object",
        "maxProperties": TAGS_MAX,
        "propertyNames": { "minLength": 1, "maxLength": TAG_NAME_CHARS_MAX, "pattern": "^[^<>%&\\\\?/]+$" },
        "additionalProperties": { "type": "string", "maxLength": TAG_VALUE_CHARS_MAX },
    });
    let location = json!({ "type": "string", "minLength": 1 });
    let put = json!({
        "location": location,
        "tags": or_null(tags.clone()),
        "identity": nothing(),
        "properties": or_null(written),
    });
    let keys = closed(json!({ "key1": text(), "key2": text() }), &["key1", "key2"]);
    let others = [("location", text()), ("tags", named("Tags"))];
    json!({
        "Tags": tags,
        "PartnerTopic": resource(closed(properties, &required), &others),
        "PartnerTopic.written": open(put, &["location"]),
        "PartnerTopicUpdateParameters": closed(json!({ "tags": or_null(tags.clone()), "identity": nothing() }), &[]),
        "PartnerTopicsListResult": list(named("PartnerTopic")),
        "TopicSharedAccessKeys": keys,
        "TopicRegenerateKeyRequest": open(json!({ "keyName": { "type": "string", "enum": ["key1", "key2"] } }), &["keyName"]),
    })
}

/// Of one of a few texts: `null` must be among them.
fn or_null_of(mut schema: Value) -> Value {
    if let Some(values) = schema["enum"].as_array_mut() {
        values.push(Value::Null);
    }
    or_null(schema)
}

fn event_subscriptions() -> Value {
    let label = json!({ "type": "string", "maxLength": LABEL_CHARS_MAX });
    let queue = json!({
        "receiveLockDurationInSeconds": number(60, 300),
        "maxDeliveryCount": number(1, 10),
        "eventTimeToLive": or_null(text()),
        "deadLetterDestinationWithResourceIdentity": nothing(),
    });
    let delivery = json!({
        "deliveryMode": { "type": "string", "enum": ["Queue"] },
        "queue": or_null(closed(queue, &[])),
        "push": nothing(),
    });
    let retry = json!({
        "maxDeliveryAttempts": number(1, ATTEMPTS_MAX.into()),
        "eventTimeToLiveInMinutes": number(1, TIME_TO_LIVE_MINUTES_MAX.into()),
    });
    let both = json!({
        "destination": or_null(named("EventSubscriptionDestination")),
        "deliveryConfiguration": or_null(closed(delivery, &["deliveryMode"])),
        "filter": or_null(named("EventSubscriptionFilter")),
        "labels": { "type": ["array", "null"], "items": label, "maxItems": LABELS_MAX },
        "expirationTimeUtc": { "type": ["string", "null"], "format": "date-time" },
        "eventDeliverySchema": { "type": ["string", "null"], "enum": ["CloudEventSchemaV1_0", null] },
        "retryPolicy": or_null(closed(retry, &[])),
        "deadLetterDestination": or_null(named("DeadLetterDestination")),
    });
    let (mut written, mut answered) = (both.clone(), both);
    // Of these, requests may say what they like.
    written["topic"] = json!({});
    written["provisioningState"] = json!({});
    written["deliveryWithResourceIdentity"] = nothing();
    written["deadLetterWithResourceIdentity"] = nothing();
    answered["topic"] = text();
    answered["provisioningState"] =
        json!({ "type": "string", "enum": ["Succeeded", "AwaitingManualAction", "Failed"] });
    let required = ["topic", "provisioningState", "destination", "filter", "labels", "eventDeliverySchema"];
    let written = closed(written, &[]);
    json!({
        "EventSubscription": resource(closed(answered, &required), &[]),
        "EventSubscription.written": open(json!({ "properties": written }), &["properties"]),
        "EventSubscriptionUpdateParameters": written,
        "EventSubscriptionsListResult": list(named("EventSubscription")),
        "EventSubscriptionFullUrl": closed(json!({ "endpointUrl": text() }), &["endpointUrl"]),
        "DeliveryAttributeListResult": list(named("DeliveryAttributeMapping")),
    })
}

/// One of several forms that its member `tag` tells apart.
fn one_of(tag: &str, forms: &[(&str, Value)], others: &Value) -> Value {
    let form = |(name, properties): &(&str, Value)| {
        let mut members = others.clone();
        members[tag] = json!({ "const": name });
        members["properties"] = properties.clone();
        json!({ "type": "object", "properties": members, "required": [tag, "properties"] })
    };
    json!({ "oneOf": forms.iter().map(form).collect::<Vec<_>>() })
}

fn destinations() -> Value {
    let webhook = json!({
        "endpointUrl": or_null(text()),
        "endpointBaseUrl": or_null(text()),
        "maxEventsPerBatch": number(1, BATCHED_EVENTS_MAX.into()),
        "preferredBatchSizeInKilobytes": number(1, BATCHED_KIB_MAX.into()),
        "azureActiveDirectoryTenantId": or_null(text()),
        "azureActiveDirectoryApplicationIdOrUri": or_null(text()),
        "minimumTlsVersionAllowed": { "type": ["string", "null"], "enum": ["1.0", "1.1", "1.2", null] },
        "deliveryAttributeMappings": {
            "type": ["array", "null"],
            "items": named("DeliveryAttributeMapping"),
            "maxItems": DELIVERY_ATTRIBUTES_MAX,
        },
        "contentMode": { "type": ["string", "null"], "enum": ["Structured", "Binary", null] },
    });
    let forms = [
        ("NamespaceTopic", closed(json!({ "resourceId": text() }), &["resourceId"])),
        ("WebHook", closed(webhook, &[])),
        ("NatsJetStream", closed(json!({ "stream": or_null(text()), "subject": or_null(text()) }), &[])),
    ];
    let kept = closed(json!({ "resourceId": or_null(text()), "blobContainerName": or_null(text()) }), &[]);
    let fixed = closed(json!({ "value": or_null(text()), "isSecret": { "type": "boolean" } }), &[]);
    let mapped = [("Static", fixed), ("Dynamic", closed(json!({ "sourceField": or_null(text()) }), &[]))];
    let mut mapping = one_of("type", &mapped, &json!({ "name": text() }));
    mapping["required"] = json!(["name"]);
    json!({
        "EventSubscriptionDestination": one_of("endpointType", &forms, &json!({})),
        "DeadLetterDestination": one_of("endpointType", &[("StorageBlob", kept)], &json!({})),
        "DeliveryAttributeMapping": mapping,
    })
}

fn filters() -> Value {
    let short = json!({ "type": "string", "maxLength": TEXT_CHARS_MAX });
    let advanced = json!({
        "operatorType": { "type": "string", "enum": OPERATORS },
        "key": short,
        "value": {},
        "values": { "type": ["array", "null"], "maxItems": VALUES_MAX },
    });
    let boolean = || json!({ "type": ["boolean", "null"] });
    let filter = json!({
        "subjectBeginsWith": or_null(short.clone()),
        "subjectEndsWith": or_null(short.clone()),
        "includedEventTypes": { "type": ["array", "null"], "items": short, "maxItems": TYPES_MAX },
        "isSubjectCaseSensitive": boolean(),
        "enableAdvancedFilteringOnArrays": boolean(),
        "advancedFilters": {
            "type": ["array", "null"],
            "items": closed(advanced, &["operatorType"]),
            "maxItems": FILTERS_MAX,
        },
    });
    json!({ "EventSubscriptionFilter": closed(filter, &[]) })
}

fn partners() -> Value {
    let partner = json!({ "partnerRegistrationImmutableId": or_null(text()), "partnerName": or_null(text()) });
    let authorized = json!({ "type": ["array", "null"], "items": named("Partner") });
    let authorization = or_null(open(json!({ "authorizedPartnersList": authorized }), &[]));
    let properties = open(json!({ "partnerAuthorization": authorization, "provisioningState": {} }), &[]);
    json!({
        "Partner": open(partner, &[]),
        "PartnerConfiguration": resource(properties.clone(), &[("location", text())]),
        "PartnerConfiguration.written": open(json!({ "properties": or_null(properties) }), &[]),
    })
}

#[cfg(test)]
mod tests {
    use notify::event_filter::{EventFilter, InvalidFilter, Problem};
    use protocol::event_grid::{AdvancedFilter, EventSubscriptionFilter};

    use super::*;

    #[test]
    fn each_operator_of_the_description_is_one_of_filters() {
        let filter = &filters()["EventSubscriptionFilter"]["properties"]["advancedFilters"]["items"]["properties"];
        for operator in filter["operatorType"]["enum"].as_array().unwrap() {
            let advanced = AdvancedFilter {
                operator_type: operator.as_str().unwrap().to_owned(),
                key: "subject".to_owned(),
                ..AdvancedFilter::default()
            };
            let filter = EventSubscriptionFilter {
                advanced_filters: Some(vec![advanced]),
                ..EventSubscriptionFilter::default()
            };
            let refused = EventFilter::check(&filter).err();
            let is_unknown =
                |error: &InvalidFilter| matches!(error, InvalidFilter::Filter { problem: Problem::Operator(_), .. });
            assert!(!refused.as_ref().is_some_and(is_unknown), "{operator}");
        }
    }
}
