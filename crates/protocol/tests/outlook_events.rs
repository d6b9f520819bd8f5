//! The nine samples that Microsoft publishes of Outlook's events, and what this server says in their place.

use serde_json::Value;
use serde_json::value::RawValue;
use tidings_protocol::event_grid::{
    ItemChange, ItemEvent, ItemKind, LifecycleKind, Profile, Subscription, item_event, item_event_type, lifecycle_event,
};

const TENANT: &str = "84bd8158-6d4d-4958-8b9f-9d6445542f95";
const APP: &str = "925bff9f-f6e2-4a69-b858-f71ea2b9b6d0";
const USER: &str = "622eaaff-0683-4862-9de4-f2ec83c2bd98";
const ITEM: &str = "AAMkAGUwAAA=";

/// All that may differ: what is published, and what stands there instead.
const DEVIATIONS: [(&str, &str); 16] = [
    // Places to fill in.
    ("<tenant-id>", TENANT),
    ("<application-id>", APP),
    ("<event-id>", ITEM),
    ("<event id>", ITEM),
    ("<contact-id>", ITEM),
    ("<contact id>", ITEM),
    ("<message-id>", ITEM),
    ("<messaeg-id>", ITEM),
    ("<message id>", ITEM),
    ("<tag id>", "W/\\\"CQAAAA==\\\""),
    ("<client state>", "s3cret"),
    ("userId@tenantId", "622eaaff-0683-4862-9de4-f2ec83c2bd98@84bd8158-6d4d-4958-8b9f-9d6445542f95"),
    // The items are on this server.
    ("https://outlook.office365.com/api", "https://tidings.example/api"),
    // The base64 of a GUID, which no app has ever been told. Its own is needed to renew.
    ("MTE1MTVlYTktMjVkZS00MjY3LWI1YzYtMjg0NzliZmRhYWQ2", "5f7c0a11-2222-4333-8444-555566667777"),
    // In one sample of nine.
    ("\"Message/", "\"Messages/"),
    // It stands for properties that there may be, and is none itself.
    (",\"OtherResourceData\":\"<some other resource data>\"", ""),
];

const OF: Subscription<'static> = Subscription {
    id: "5f7c0a11-2222-4333-8444-555566667777",
    tenant: TENANT,
    app: APP,
    expiration: "2024-06-22T23:56:30.1307708Z",
    client_state: Some("s3cret"),
    public_base: "https://tidings.example",
};

fn told(kind: ItemKind, change: ItemChange) -> ItemEvent<'static> {
    ItemEvent {
        id: "00d8a100-2e92-4bfa-86e1-0056dacd0fce",
        time: "2024-05-22T22:24:31.3062901Z",
        position: 7,
        kind,
        change,
        user: USER,
        item: ITEM,
        etag: "W/\"CQAAAA==\"",
    }
}

/// All nine, in the order of the page.
fn nine() -> impl Iterator<Item = ItemEvent<'static>> {
    ItemKind::ALL.into_iter().flat_map(|kind| ItemChange::ALL.map(|change| told(kind, change)))
}

fn samples() -> Vec<Box<RawValue>> {
    serde_json::from_str(include_str!("data/outlook_events.json")).unwrap()
}

/// JSON without the blanks between its tokens, otherwise to the letter.
fn without_blanks(json: &str) -> String {
    let mut in_text = false;
    let is_kept = |letter: &char| {
        in_text ^= *letter == '"';
        in_text || !letter.is_whitespace()
    };
    json.chars().filter(is_kept).collect()
}

#[test]
fn the_nine_published_samples_are_what_is_told_but_for_the_listed_deviations() {
    let samples = samples();
    assert_eq!(samples.len(), 9);
    let mut used = [false; DEVIATIONS.len()];
    for (sample, told) in samples.iter().zip(nine()) {
        let mut expected = without_blanks(sample.get());
        for ((published, ours), used) in DEVIATIONS.into_iter().zip(&mut used) {
            *used |= expected.contains(published);
            expected = expected.replace(published, ours);
        }
        let event = item_event(Profile::Documented, &OF, &told).unwrap();
        assert_eq!(String::from_utf8(event.to_json()).unwrap(), expected);
    }
    let idle: Vec<_> = DEVIATIONS.into_iter().zip(used).filter(|(_, used)| !used).collect();
    assert!(idle.is_empty(), "no sample has these: {idle:?}");
}

#[test]
fn the_nine_types_are_those_of_the_page() {
    let published = samples().into_iter().map(|sample| {
        let sample: Value = serde_json::from_str(sample.get()).unwrap();
        sample["type"].as_str().unwrap().to_owned()
    });
    let ours = nine().map(|told| item_event_type(told.kind, told.change));
    assert!(published.eq(ours));
}

/// The Python suite holds the record against the schema that CloudEvents publishes.
#[test]
fn each_event_in_each_profile_is_written_as_recorded() {
    let items = Profile::ALL.into_iter().flat_map(|profile| nine().map(move |told| item_event(profile, &OF, &told)));
    let lives = LifecycleKind::ALL.map(|kind| lifecycle_event(&OF, "1", "2024-05-22T22:24:31.3062901Z", kind));
    let events = items.chain(lives).map(|event| String::from_utf8(event.unwrap().to_json()).unwrap());
    insta::assert_snapshot!(events.collect::<Vec<_>>().join("\n"));
}
