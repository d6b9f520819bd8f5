use super::*;

type Headers<'a> = &'a [(&'a str, &'a [u8])];

fn attributes() -> Attributes {
    Attributes {
        id: "00d8a100-2e92-4bfa-86e1-0056dacd0fce".to_owned(),
        source: "/tenants/t/applications/a".to_owned(),
        event_type: "Microsoft.Graph.MessageCreated".to_owned(),
        ..Attributes::default()
    }
}

fn full() -> CloudEvent {
    let extensions = [
        ("attempts", Extension::Integer(-3)),
        ("final", Extension::Boolean(true)),
        ("reason", Extension::Text("Euro € \"😀\" 100%".to_owned())),
    ];
    let attributes = Attributes {
        subject: Some("Messages/AAMk=".to_owned()),
        time: Some("2024-05-22T22:24:31.3062901Z".to_owned()),
        data_content_type: Some("application/json".to_owned()),
        data_schema: Some("https://h/schema".to_owned()),
        extensions: extensions.map(|(name, value)| (name.to_owned(), value)).into(),
        ..attributes()
    };
    let data = Json::parse(br#"{"z":1.10,"a":[12345678901234567890]}"#).unwrap();
    CloudEvent::new(attributes, Some(Data::Json(data))).unwrap()
}

fn read(json: &str) -> Result<CloudEvent, InvalidEvent> {
    CloudEvent::from_json(json.as_bytes())
}

/// What becomes of an event in which `members` stand beside those that each must have.
fn with(members: &str) -> Result<CloudEvent, InvalidEvent> {
    read(&format!(r#"{{"specversion":"1.0","id":"1","source":"/s","type":"t"{members}}}"#))
}

fn binary(more: Headers<'_>, body: &[u8]) -> Result<CloudEvent, InvalidEvent> {
    let needed: Headers<'_> = &[("ce-specversion", b"1.0"), ("ce-id", b"1"), ("ce-source", b"/s"), ("ce-type", b"t")];
    match Received::from_http(&[needed, more].concat(), body)? {
        Received::One(event) => Ok(event),
        Received::Batch(_) => panic!("no batch was sent"),
    }
}

fn headers(message: &HttpMessage) -> Vec<(&str, &[u8])> {
    message.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect()
}

#[test]
fn one_event_is_written_in_the_order_of_event_grids_samples_and_its_data_to_the_letter() {
    let message = full().to_structured_http();
    insta::assert_debug_snapshot!(message.headers, @r#"
    [
        (
            "content-type",
            "application/cloudevents+json; charset=utf-8",
        ),
    ]
    "#);
    insta::assert_snapshot!(String::from_utf8(message.body).unwrap(), @r#"{"id":"00d8a100-2e92-4bfa-86e1-0056dacd0fce","type":"Microsoft.Graph.MessageCreated","source":"/tenants/t/applications/a","subject":"Messages/AAMk=","time":"2024-05-22T22:24:31.3062901Z","datacontenttype":"application/json","dataschema":"https://h/schema","specversion":"1.0","attempts":-3,"final":true,"reason":"Euro € \"😀\" 100%","data":{"z":1.10,"a":[12345678901234567890]}}"#);
}

#[test]
fn in_binary_mode_attributes_are_headers_and_the_body_is_the_data() {
    let message = full().to_binary_http().unwrap();
    let lines: Vec<String> = message.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    ce-id: 00d8a100-2e92-4bfa-86e1-0056dacd0fce
    ce-type: Microsoft.Graph.MessageCreated
    ce-source: /tenants/t/applications/a
    ce-subject: Messages/AAMk=
    ce-time: 2024-05-22T22:24:31.3062901Z
    ce-dataschema: https://h/schema
    ce-specversion: 1.0
    ce-attempts: -3
    ce-final: true
    ce-reason: Euro%20%E2%82%AC%20%22%F0%9F%98%80%22%20100%25
    content-type: application/json
    ");
    assert_eq!(message.body, br#"{"z":1.10,"a":[12345678901234567890]}"#);
}

#[test]
fn a_batch_is_an_array_and_may_be_empty() {
    let event = CloudEvent::new(attributes(), None).unwrap();
    let message = CloudEvent::batch_to_http([&event, &event]);
    let one = r#"{"id":"00d8a100-2e92-4bfa-86e1-0056dacd0fce","type":"Microsoft.Graph.MessageCreated","source":"/tenants/t/applications/a","specversion":"1.0"}"#;
    assert_eq!(String::from_utf8(message.body).unwrap(), format!("[{one},{one}]"));
    assert_eq!(message.headers, [("content-type".to_owned(), EVENTS_CONTENT_TYPE.to_owned())]);
    assert_eq!(CloudEvent::batch_to_http([]).body, b"[]");
}

#[test]
fn what_was_written_is_read_again_in_each_mode() {
    let event = full();
    assert_eq!(CloudEvent::from_json(&event.to_json()).unwrap(), event);
    let structured = event.to_structured_http();
    let received = Received::from_http(&headers(&structured), &structured.body);
    assert_eq!(received, Ok(Received::One(event.clone())));
    let batched = CloudEvent::batch_to_http([&event, &event]);
    let received = Received::from_http(&headers(&batched), &batched.body);
    assert_eq!(received, Ok(Received::Batch(vec![event.clone(), event.clone()])));
    // Headers know texts alone.
    let mut as_texts = event.clone();
    for value in as_texts.attributes.extensions.values_mut() {
        *value = Extension::Text(value.to_string());
    }
    let binary = event.to_binary_http().unwrap();
    assert_eq!(Received::from_http(&headers(&binary), &binary.body), Ok(Received::One(as_texts.clone())));
    let nats = event.to_nats();
    let headers: Vec<_> = nats.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    assert_eq!(CloudEvent::from_nats(&headers, &nats.payload), Ok(as_texts));
}

#[test]
fn the_content_type_says_which_mode_it_is_and_a_batch_is_asked_for_first() {
    for (content_type, expected) in [
        (None, Mode::Binary),
        (Some("application/json"), Mode::Binary),
        (Some("application/cloudevents+json; charset=utf-8"), Mode::Structured),
        (Some("Application/CloudEvents+JSON"), Mode::Structured),
        (Some("application/cloudevents+avro"), Mode::Structured),
        (Some("application/cloudevents-batch+json"), Mode::Batched),
        (Some("APPLICATION/CLOUDEVENTS-BATCH+JSON;charset=UTF-8"), Mode::Batched),
        (Some("application/cloudevent"), Mode::Binary),
        (Some("é"), Mode::Binary),
    ] {
        assert_eq!(mode(content_type), expected, "{content_type:?}");
    }
}

#[test]
fn nats_has_the_data_content_type_as_a_header_too_and_a_marker_for_structured_mode() {
    let event = with(r#","data":{"a":1}"#).unwrap();
    let nats = event.to_nats();
    let names: Vec<&str> = nats.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["ce-id", "ce-type", "ce-source", "ce-specversion", "ce-datacontenttype"]);
    assert_eq!(nats.headers[4].1, "application/json", "inferred, as nobody else can");
    let structured = CloudEvent::from_nats(&[("Content-Type", b"application/cloudevents+json")], &event.to_json());
    assert_eq!(structured, Ok(event));
    let batch = CloudEvent::from_nats(&[("Content-Type", b"application/cloudevents-batch+json")], b"[]");
    assert_eq!(batch, Err(InvalidEvent::Format("application/cloudevents-batch+json".to_owned())));
}

#[test]
fn header_values_are_encoded_as_the_specification_shows() {
    let with = |value: &[u8]| Ok(binary(&[("ce-subject", value)], b"")?.attributes.subject.unwrap());
    let event = CloudEvent::new(Attributes { subject: Some("Euro € 😀".to_owned()), ..attributes() }, None).unwrap();
    let message = event.to_binary_http().unwrap();
    assert!(message.headers.contains(&("ce-subject".to_owned(), "Euro%20%E2%82%AC%20%F0%9F%98%80".to_owned())));
    for (value, expected) in [
        (&b"Euro%20%E2%82%AC%20%F0%9F%98%80"[..], "Euro € 😀"),
        (b"%e2%82%ac", "€"),
        (b"%41%7e", "A~"),
        (b"  a b  ", "a b"),
        (b"\"a b\"", "a b"),
        (b"\"a\\\"b\\\\c\"", "a\"b\\c"),
        (b"\"a\"b", "ab"),
        (b"a\\b", "a\\b"),
        (b"%2541", "%41"),
    ] {
        assert_eq!(with(value), Ok::<_, InvalidEvent>(expected.to_owned()));
    }
    let refused = |value: &[u8]| with(value).unwrap_err();
    let header = || "ce-subject".to_owned();
    assert_eq!(refused(b"%C0%A0"), InvalidEvent::NotUtf8(header()), "overlong");
    assert_eq!(refused(b"%ED%A0%80"), InvalidEvent::NotUtf8(header()), "a surrogate");
    assert_eq!(refused(b"%FF"), InvalidEvent::NotUtf8(header()));
    for stray in [&b"100%"[..], b"%4", b"%zz", b"%+1"] {
        assert_eq!(refused(stray), InvalidEvent::PercentEncoding(header()));
    }
    for open in [&b"\"a"[..], b"a\"", b"\"a\\"] {
        assert_eq!(refused(open), InvalidEvent::Quote(header()));
    }
    assert_eq!(refused("é".as_bytes()), InvalidEvent::HeaderNotAscii(header()));
    assert_eq!(refused(b"a\tb"), InvalidEvent::HeaderNotAscii(header()));
}

#[test]
fn no_attribute_can_inject_a_header() {
    for text in ["a\r\nX-Other: 1", "a\nb", "a\0b", "a\u{7f}b", "a\u{85}b", "a\u{ffff}b", "a\u{fdd0}b"] {
        let refused = |attributes| CloudEvent::new(attributes, None).unwrap_err();
        let subject = Attributes { subject: Some(text.to_owned()), ..attributes() };
        assert_eq!(refused(subject), InvalidEvent::Character("subject".to_owned()), "{text:?}");
        let extension = ("x".to_owned(), Extension::Text(text.to_owned()));
        let extension = Attributes { extensions: [extension].into(), ..attributes() };
        assert_eq!(refused(extension), InvalidEvent::Character("x".to_owned()), "{text:?}");
        let content_type = Attributes { data_content_type: Some(format!("text/plain{text}")), ..attributes() };
        assert_eq!(refused(content_type), InvalidEvent::Character("datacontenttype".to_owned()), "{text:?}");
        let json = serde_json::to_string(text).unwrap();
        assert_eq!(with(&format!(r#","x":{json}"#)), Err(InvalidEvent::Character("x".to_owned())), "{text:?}");
    }
    for value in [&b"a%0D%0AX-Other:%201"[..], b"a%00", b"%C2%85"] {
        assert_eq!(binary(&[("ce-x", value)], b""), Err(InvalidEvent::Character("x".to_owned())));
    }
    assert_eq!(binary(&[("ce-x", b"a\r\nb")], b""), Err(InvalidEvent::HeaderNotAscii("ce-x".to_owned())));
}

#[test]
fn names_of_attributes_are_short_and_plain() {
    let name = |name: &str| with(&format!(r#",{}:"v""#, serde_json::to_string(name).unwrap()));
    assert!(name("abcdefghij0123456789").is_ok());
    for bad in ["", "abcdefghij01234567890", "comExample", "com-example", "com_example", "é", "a b", "a\r\nb"] {
        assert!(matches!(name(bad), Err(InvalidEvent::Name(_))), "{bad:?}");
    }
    assert!(binary(&[("CE-Traceparent", b"v")], b"").is_ok(), "names of headers have no case");
    for bad in ["ce-", "ce-a-b", "ce-a_b", "ce-data", "ce-data_base64"] {
        assert!(matches!(binary(&[(bad, b"v")], b""), Err(InvalidEvent::Name(_))), "{bad}");
    }
    let named = Attributes { extensions: [("id".to_owned(), Extension::Integer(1))].into(), ..attributes() };
    assert_eq!(CloudEvent::new(named, None), Err(InvalidEvent::Name("id".to_owned())));
}

#[test]
fn an_event_has_its_four_attributes_once_each_with_a_value() {
    for (json, expected) in [
        (r#"{"id":"1","source":"/s","type":"t"}"#, InvalidEvent::Missing("specversion")),
        (r#"{"specversion":"1.0","source":"/s","type":"t"}"#, InvalidEvent::Missing("id")),
        (r#"{"specversion":"1.0","id":"1","type":"t"}"#, InvalidEvent::Missing("source")),
        (r#"{"specversion":"1.0","id":"1","source":"/s","type":null}"#, InvalidEvent::Missing("type")),
        (r#"{"specversion":"1.0","id":"","source":"/s","type":"t"}"#, InvalidEvent::Empty("id")),
        (r#"{"specversion":"1.0","id":7,"source":"/s","type":"t"}"#, InvalidEvent::NotText("id")),
        (r#"{"specversion":"0.3","id":"1","source":"/s","type":"t"}"#, InvalidEvent::SpecVersion("0.3".to_owned())),
    ] {
        assert_eq!(read(json), Err(expected), "{json}");
    }
    for (members, expected) in [
        (r#","id":"2""#, InvalidEvent::Repeated("id".to_owned())),
        (r#","x":"1","x":"2""#, InvalidEvent::Repeated("x".to_owned())),
        (r#","subject":"""#, InvalidEvent::Empty("subject")),
        (r#","time":"yesterday""#, InvalidEvent::Time),
        (r#","dataschema":"schema""#, InvalidEvent::DataSchema),
        (r#","datacontenttype":"json""#, InvalidEvent::DataContentType),
        (r#","x":1.5"#, InvalidEvent::ExtensionType("x".to_owned())),
        (r#","x":1e3"#, InvalidEvent::ExtensionType("x".to_owned())),
        (r#","x":2147483648"#, InvalidEvent::ExtensionType("x".to_owned())),
        (r#","x":{}"#, InvalidEvent::ExtensionType("x".to_owned())),
        (r#","x":["a"]"#, InvalidEvent::ExtensionType("x".to_owned())),
    ] {
        assert_eq!(with(members), Err(expected), "{members}");
    }
    assert_eq!(
        read(r#"{"specversion":"1.0","id":"1","source":"/tenants/<id>","type":"t"}"#),
        Err(InvalidEvent::Source)
    );
    assert_eq!(binary(&[("CE-ID", b"2")], b""), Err(InvalidEvent::Repeated("id".to_owned())));
    let without_source = Received::from_http(&[("ce-id", b"1"), ("ce-specversion", b"1.0")], b"");
    assert_eq!(without_source, Err(InvalidEvent::Missing("source")));
}

#[test]
fn null_is_the_same_as_nothing_except_as_data() {
    let event = with(r#","subject":null,"time":null,"x":null,"data_base64":null"#).unwrap();
    assert_eq!(event, with("").unwrap());
    assert_eq!(with(r#","data":null"#).unwrap().data(), Some(&Data::Json(Json::parse(b"null").unwrap())));
}

#[test]
fn data_is_json_text_or_bytes_by_its_content_type() {
    let data = |members: &str| with(members).map(|event| event.data().cloned());
    let json = |text: &str| Ok(Some(Data::Json(Json::parse(text.as_bytes()).unwrap())));
    assert_eq!(data(r#","data":"text""#), json(r#""text""#), "without a content type it is JSON");
    assert_eq!(data(r#","datacontenttype":"application/vnd.x+JSON;v=1","data":[1]"#), json("[1]"));
    assert_eq!(data(r#","datacontenttype":"text/xml","data":"<a/>\n""#), Ok(Some(Data::Text("<a/>\n".to_owned()))));
    assert_eq!(data(r#","data_base64":"AP8=""#), Ok(Some(Data::Binary(vec![0, 0xff]))));
    assert_eq!(data(r#","datacontenttype":"text/xml","data":{}"#), Err(InvalidEvent::DataNotText));
    assert_eq!(data(r#","data":1,"data_base64":"AA==""#), Err(InvalidEvent::DataTwice));
    assert_eq!(data(r#","data":null,"data_base64":"AA==""#), Err(InvalidEvent::DataTwice));
    for bad in ["A", "AA", "AP8", "_-8=", "A P8="] {
        assert_eq!(data(&format!(r#","data_base64":"{bad}""#)), Err(InvalidEvent::Base64), "{bad}");
    }
    let text = Some(Data::Text("a".to_owned()));
    assert_eq!(CloudEvent::new(attributes(), text), Err(InvalidEvent::DataNotJson));
}

#[test]
fn a_body_in_binary_mode_is_json_if_it_says_so_and_is_else_kept_as_bytes() {
    let data =
        |content_type: &[u8], body: &[u8]| binary(&[("Content-Type", content_type)], body).unwrap().data().cloned();
    let json = Json::parse(br#"{"a":1}"#).unwrap();
    assert_eq!(data(b"application/json; charset=utf-8", br#" {"a":1} "#), Some(Data::Json(json)));
    assert_eq!(data(b"application/json", b"{"), Some(Data::Binary(b"{".to_vec())));
    assert_eq!(data(b"text/plain", b"{}"), Some(Data::Binary(b"{}".to_vec())));
    assert_eq!(data(b"application/json", b""), None);
    assert_eq!(binary(&[], b"{}").unwrap().data(), Some(&Data::Binary(b"{}".to_vec())));
}

#[test]
fn data_that_is_itself_an_event_has_no_binary_form_in_http() {
    let event = with(r#","datacontenttype":"application/cloudevents+json; charset=utf-8","data":{}"#).unwrap();
    assert_eq!(event.to_binary_http(), Err(NotBinary::DataIsEvent));
    assert!(NotBinary::DataIsEvent.to_string().ends_with("send it in structured mode"));
    assert_eq!(event.to_nats().headers[3].1, "application/cloudevents+json;%20charset=utf-8");
}

#[test]
fn what_is_no_event_is_told_what_one_looks_like() {
    let refused = |headers: Headers<'_>, body: &[u8]| Received::from_http(headers, body).unwrap_err();
    assert_eq!(refused(&[("Content-Type", b"application/json")], &full().to_json()), InvalidEvent::NoEvent);
    let avro = refused(&[("Content-Type", b"application/cloudevents+avro")], b"");
    assert_eq!(avro, InvalidEvent::Format("application/cloudevents+avro".to_owned()));
    let other = refused(&[("Content-Type", b"application/cloudevents-batch+xml")], b"");
    assert_eq!(other, InvalidEvent::Format("application/cloudevents-batch+xml".to_owned()));
    let twice = [("Content-Type", &b"text/plain"[..]), ("content-type", b"application/cloudevents+json")];
    assert_eq!(refused(&twice, b""), InvalidEvent::Repeated("content-type".to_owned()));
    assert_eq!(binary(&[("ce-datacontenttype", b"text/plain")], b"x"), Err(InvalidEvent::DataContentTypeHeader));
    let structured: Headers<'_> = &[("Content-Type", b"application/cloudevents+json")];
    for (body, begins) in [
        (&b"[]"[..], "this is not the JSON of an event: invalid type: sequence, expected an object"),
        (b"", "this is not the JSON of an event: EOF"),
        (b"{\"id\":", "this is not the JSON of an event: EOF"),
        (b"\xff", "this is not the JSON of an event:"),
    ] {
        let error = refused(structured, body).to_string();
        assert!(error.starts_with(begins), "{error}");
    }
}

#[test]
fn an_event_that_was_taken_is_read_again_in_its_longest_spelling() {
    let value = "\\".repeat(ATTRIBUTE_BYTES_MAX);
    let names: Vec<String> = (0..EXTENSIONS_MAX).map(|nth| format!("ce-x{nth:02}")).collect();
    let longest: Vec<(&str, &[u8])> = names.iter().map(|name| (&**name, value.as_bytes())).collect();
    for extensions in [&longest[..], &[]] {
        let Err(InvalidEvent::TooLarge(bytes)) = binary(extensions, &vec![0; EVENT_BYTES_MAX]) else { panic!() };
        let taken = binary(extensions, &vec![0; 2 * EVENT_BYTES_MAX - bytes]).unwrap();
        assert!(CloudEvent::from_json(&taken.to_json()).is_err(), "it has grown");
        assert_eq!(serde_json::from_slice(&taken.to_json()).ok(), Some(taken.clone()));
        let read = |message: HttpMessage| Received::from_pushed_http(&headers(&message), &message.body);
        assert_eq!(read(taken.to_structured_http()), Ok(Received::One(taken.clone())));
        assert_eq!(read(taken.to_binary_http().unwrap()), Ok(Received::One(taken.clone())));
        assert_eq!(read(CloudEvent::batch_to_http([&taken])), Ok(Received::Batch(vec![taken])));
    }
    let endless = vec![b' '; LONG_EVENT_BYTES_MAX + 1];
    assert_eq!(CloudEvent::from_long_json(&endless), Err(InvalidEvent::TooLarge(endless.len())));
}

#[test]
fn everything_has_a_limit() {
    let padded = |bytes: usize| {
        let frame = with(r#","data":"""#).unwrap().to_json().len();
        with(&format!(r#","data":"{}""#, "a".repeat(bytes - frame)))
    };
    assert!(padded(EVENT_BYTES_MAX).is_ok());
    assert_eq!(padded(EVENT_BYTES_MAX + 1), Err(InvalidEvent::TooLarge(EVENT_BYTES_MAX + 1)));
    let body = vec![b'a'; EVENT_BYTES_MAX];
    assert!(matches!(binary(&[], &body), Err(InvalidEvent::TooLarge(_))));
    let batch = |count: usize| CloudEvent::batch_from_json(format!("[{}]", vec!["1"; count].join(",")).as_bytes());
    assert_eq!(batch(BATCH_EVENTS_MAX + 1), Err(InvalidEvent::BatchTooLong));
    assert!(matches!(batch(BATCH_EVENTS_MAX), Err(InvalidEvent::InBatch { place: 0, .. })));
    let spaces = vec![b' '; EVENT_BYTES_MAX + 1];
    assert_eq!(CloudEvent::batch_from_json(&spaces), Err(InvalidEvent::BatchTooLarge(EVENT_BYTES_MAX + 1)));
    let text = |bytes: usize| with(&format!(r#","x":"{}""#, "a".repeat(bytes)));
    assert!(text(ATTRIBUTE_BYTES_MAX).is_ok());
    assert_eq!(text(ATTRIBUTE_BYTES_MAX + 1), Err(InvalidEvent::TooLong("x".to_owned())));
    let long = "a".repeat(ATTRIBUTE_BYTES_MAX + 1);
    assert_eq!(binary(&[("ce-x", long.as_bytes())], b""), Err(InvalidEvent::TooLong("x".to_owned())));
    let extensions = |count: usize| {
        let members: Vec<String> = (0..count).map(|nth| format!(r#","x{nth}":1"#)).collect();
        with(&members.concat())
    };
    assert!(extensions(EXTENSIONS_MAX).is_ok());
    assert_eq!(extensions(EXTENSIONS_MAX + 1), Err(InvalidEvent::TooManyExtensions));
    assert_eq!(extensions(10 * EXTENSIONS_MAX), Err(InvalidEvent::TooManyExtensions));
    let nested = |depth: usize| with(&format!(r#","data":{}{}"#, "[".repeat(depth), "]".repeat(depth)));
    assert!(nested(json::DEPTH_MAX).is_ok());
    assert_eq!(nested(json::DEPTH_MAX + 1), Err(InvalidEvent::Depth));
    assert!(with(&format!(r#","data":"{}\"[""#, "[".repeat(1_000))).is_ok(), "brackets in texts nest nothing");
}

#[test]
fn a_batch_is_read_whole_or_not_at_all() {
    let one = String::from_utf8(full().to_json()).unwrap();
    assert_eq!(CloudEvent::batch_from_json(format!("[{one},{one}]").as_bytes()).unwrap().len(), 2);
    assert_eq!(CloudEvent::batch_from_json(b"[]"), Ok(Vec::new()));
    let error = CloudEvent::batch_from_json(format!(r#"[{one},{{"id":"1"}}]"#).as_bytes()).unwrap_err();
    insta::assert_snapshot!(error, @"event 1 of the batch, counted from 0: the attribute 'specversion' is missing; every event needs id, source, specversion and type");
}

#[test]
fn refusals_say_what_to_change() {
    let name = || "x".to_owned();
    let errors = [
        InvalidEvent::TooLarge(1_048_577),
        InvalidEvent::BatchTooLarge(1_048_577),
        InvalidEvent::BatchTooLong,
        InvalidEvent::Json("expected value at line 1 column 1".to_owned()),
        InvalidEvent::Depth,
        InvalidEvent::NoEvent,
        InvalidEvent::Format("application/cloudevents+avro".to_owned()),
        InvalidEvent::Missing("id"),
        InvalidEvent::Empty("subject"),
        InvalidEvent::SpecVersion("0.3".to_owned()),
        InvalidEvent::Name("comExample".to_owned()),
        InvalidEvent::Repeated(name()),
        InvalidEvent::NotText("id"),
        InvalidEvent::ExtensionType(name()),
        InvalidEvent::TooLong(name()),
        InvalidEvent::Character(name()),
        InvalidEvent::TooManyExtensions,
        InvalidEvent::Source,
        InvalidEvent::DataSchema,
        InvalidEvent::Time,
        InvalidEvent::DataContentType,
        InvalidEvent::DataTwice,
        InvalidEvent::Base64,
        InvalidEvent::DataNotText,
        InvalidEvent::DataNotJson,
        InvalidEvent::HeaderNotAscii("ce-x".to_owned()),
        InvalidEvent::PercentEncoding("ce-x".to_owned()),
        InvalidEvent::NotUtf8("ce-x".to_owned()),
        InvalidEvent::Quote("ce-x".to_owned()),
        InvalidEvent::DataContentTypeHeader,
    ];
    let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(texts.join("\n"), @r#"
    the event has 1048577 bytes; send 1048576 at most
    the batch has 1048577 bytes; send 1048576 at most, in several requests if need be
    the batch has more events than 1000; send the others in another request
    this is not the JSON of an event: expected value at line 1 column 1
    the data is nested too deeply; nest 64 levels at most
    this is no event: neither does Content-Type begin with application/cloudevents nor is there a header ce-id; send one of the two forms
    the event format "application/cloudevents+avro" is not read here; send application/cloudevents+json
    the attribute 'id' is missing; every event needs id, source, specversion and type
    the attribute 'subject' is empty; give it a value or leave it out
    specversion is "0.3"; only "1.0" is known
    "comExample" cannot be the name of an extension attribute; use 1 to 20 of a to z and 0 to 9, and no name that CloudEvents defines
    the attribute 'x' is given twice; give it once
    the attribute 'id' is not text; write it as a JSON string
    the attribute 'x' is neither text, a boolean nor an integer of 32 bits; write it as one of these
    the attribute 'x' is longer than 4096 bytes; shorten it or move it into the data
    the attribute 'x' has a control character or a code point that is none; remove it
    more than 64 extension attributes; move some into the data
    source is not a URI reference; percent-encode what a URI may not have
    dataschema is not an absolute URI; begin it with a scheme, and percent-encode what a URI may not have
    time is not a date-time of RFC 3339; write it as 2026-11-24T10:00:00.1234567Z
    datacontenttype is not a media type; write it as type/subtype
    data and data_base64 are both given; leave one out
    data_base64 is not base64; encode it with the alphabet of RFC 4648 section 4, padded
    the data is not text although datacontenttype is not JSON's; write it as a string, or as data_base64
    the data is not JSON although datacontenttype says so or is missing; name its media type
    the header 'ce-x' has characters outside of printable ASCII; percent-encode them as UTF-8
    the header 'ce-x' has a % that begins no encoded byte; write % itself as %25
    the header 'ce-x' encodes bytes that are not UTF-8; percent-encode the bytes of UTF-8
    the header 'ce-x' has a quotation mark that is not closed; write " as %22
    the header 'ce-datacontenttype' does not go with HTTP; say it as Content-Type
    "#);
}
