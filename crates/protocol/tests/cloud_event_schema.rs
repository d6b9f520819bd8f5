//! What is written as an event is one by the schema that CloudEvents publishes.

use serde_json::Value;
use tidings_protocol::cloud_event::CloudEvent;

fn validator() -> jsonschema::Validator {
    let schema: Value = serde_json::from_str(include_str!("data/cloudevents.json")).unwrap();
    jsonschema::options().should_validate_formats(true).build(&schema).unwrap()
}

#[test]
fn events_of_each_form_are_valid_by_the_schema_of_cloudevents() {
    let validator = validator();
    for json in [
        r#"{"specversion":"1.0","id":"1","source":"/s","type":"t"}"#,
        r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","subject":"s","time":"2024-05-22T22:24:31.3062901Z",
            "dataschema":"https://h/s","x":1,"y":true,"z":"z","data":{"a":null}}"#,
        r#"{"specversion":"1.0","id":"1","source":"urn:x:y","type":"t","datacontenttype":"text/xml","data":"<a/>"}"#,
        r#"{"specversion":"1.0","id":"1","source":"1-555-123-4567","type":"t","data_base64":"AP8="}"#,
    ] {
        let written = CloudEvent::from_json(json.as_bytes()).unwrap().to_json();
        let written: Value = serde_json::from_slice(&written).unwrap();
        let errors: Vec<String> = validator.iter_errors(&written).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{written}: {errors:?}");
    }
}

#[test]
fn what_the_schema_of_cloudevents_refuses_is_refused() {
    let validator = validator();
    for json in [
        r#"{"specversion":"1.0","source":"/s","type":"t"}"#,
        r#"{"specversion":"1.0","id":"","source":"/s","type":"t"}"#,
        r#"{"specversion":"1.0","id":"1","source":"a b","type":"t"}"#,
        r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","time":"yesterday"}"#,
        r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","dataschema":"relative"}"#,
        r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","subject":1}"#,
        r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","data_base64":1}"#,
    ] {
        assert!(!validator.is_valid(&serde_json::from_str(json).unwrap()), "{json}");
        assert!(CloudEvent::from_json(json.as_bytes()).is_err(), "{json}");
    }
}
