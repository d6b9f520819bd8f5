//! The events that the Python suite (`tests/sdk/python/test_event_schema.py`) holds against the schema that CloudEvents
//! publishes: here they are written and refused.

use tidings_protocol::cloud_event::CloudEvent;

#[test]
fn events_of_each_form_are_written_as_recorded() {
    let written = [
        r#"{"specversion":"1.0","id":"1","source":"/s","type":"t"}"#,
        r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","subject":"s","time":"2024-05-22T22:24:31.3062901Z",
            "dataschema":"https://h/s","x":1,"y":true,"z":"z","data":{"a":null}}"#,
        r#"{"specversion":"1.0","id":"1","source":"urn:x:y","type":"t","datacontenttype":"text/xml","data":"<a/>"}"#,
        r#"{"specversion":"1.0","id":"1","source":"1-555-123-4567","type":"t","data_base64":"AP8="}"#,
    ]
    .map(|json| String::from_utf8(CloudEvent::from_json(json.as_bytes()).unwrap().to_json()).unwrap());
    insta::assert_snapshot!(written.join("\n"));
}

#[test]
fn what_the_schema_of_cloudevents_refuses_is_refused() {
    let refused = include_str!("data/refused_events.jsonl");
    assert_eq!(refused.lines().count(), 7);
    for json in refused.lines() {
        assert!(CloudEvent::from_json(json.as_bytes()).is_err(), "{json}");
    }
}
