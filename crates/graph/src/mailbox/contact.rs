//! What every contact has, and what of it follows from the rest.

use serde_json::{Value, json};

use super::{default, name_email_address, text};
use crate::Properties;

const LISTS: [&str; 5] = ["businessPhones", "categories", "children", "homePhones", "imAddresses"];
const ADDRESSES: [&str; 3] = ["businessAddress", "homeAddress", "otherAddress"];
/// A contact has three places for mail addresses; `emailAddresses` are those that are taken, in order.
const PLACES: [&str; 3] = ["primaryEmailAddress", "secondaryEmailAddress", "tertiaryEmailAddress"];
/// What names are made of.
const NAMES: [&str; 4] = ["givenName", "middleName", "surname", "generation"];
const OTHER_NAMES: [&str; 5] =
    ["companyName", "emailAddresses", "primaryEmailAddress", "secondaryEmailAddress", "tertiaryEmailAddress"];

pub(super) fn complete(properties: &mut Properties) {
    for name in LISTS {
        default(properties, name, || json!([]));
    }
    for name in ADDRESSES {
        default(properties, name, || json!({}));
        if let Some(address) = properties.get_mut(name).and_then(Value::as_object_mut) {
            address.retain(|_, value| !value.is_null());
        }
    }
    complete_email_addresses(properties);
    for (name, derived) in [("displayName", display_name(properties)), ("fileAs", file_as(properties))] {
        if text(properties, name).is_empty() && !derived.is_empty() {
            properties.insert(name.to_owned(), derived.into());
        }
    }
}

/// Brings the three places and the list of addresses into agreement. Where both are given and differ,
/// the list fills the places that are not given. Addresses beyond the third are dropped.
fn complete_email_addresses(properties: &mut Properties) {
    let listed = match properties.remove("emailAddresses") {
        Some(Value::Array(listed)) => listed.into_iter().filter_map(email_address).take(PLACES.len()).collect(),
        _ => Vec::new(),
    };
    let mut places = PLACES.map(|place| properties.remove(place).and_then(email_address));
    if places.iter().flatten().ne(&listed) {
        for (place, listed) in places.iter_mut().zip(listed) {
            place.get_or_insert(listed);
        }
    }
    let listed = places.iter().flatten().cloned().collect();
    properties.insert("emailAddresses".to_owned(), Value::Array(listed));
    for (name, place) in PLACES.into_iter().zip(places) {
        if let Some(place) = place {
            properties.insert(name.to_owned(), place);
        }
    }
}

/// A mail address with its name; `None` if it has neither.
fn email_address(mut value: Value) -> Option<Value> {
    let members = value.as_object_mut()?;
    members.retain(|_, value| value.as_str().is_some_and(|text| !text.is_empty()));
    if members.is_empty() {
        return None;
    }
    name_email_address(&mut value);
    Some(value)
}

/// Removes what followed from properties that have changed, so that it is made anew: the other form of
/// the mail addresses; `displayName` when a part of the name changes; what was not set apart.
pub(super) fn forget_derived(before: &Properties, changed: &[String], properties: &mut Properties) {
    let has = |name: &&str| changed.iter().any(|changed| changed == name);
    if has(&"emailAddresses") {
        PLACES.iter().filter(|place| !has(place)).for_each(|place| drop(properties.remove(*place)));
    } else if PLACES.iter().any(has) {
        properties.remove("emailAddresses");
    }
    let named = NAMES.iter().any(has);
    if !named && !OTHER_NAMES.iter().any(has) {
        return;
    }
    if !has(&"displayName") && (named || text(before, "displayName") == display_name(before)) {
        properties.remove("displayName");
    }
    if !has(&"fileAs") && text(before, "fileAs") == file_as(before) {
        properties.remove("fileAs");
    }
}

/// `Given Middle Surname`, else the company, else the first mail address.
fn display_name(properties: &Properties) -> String {
    or_other_names(properties, joined(&NAMES.map(|name| text(properties, name)), " "))
}

/// `Surname, Given Middle`, else as [`display_name`].
fn file_as(properties: &Properties) -> String {
    let first = joined(&[text(properties, "givenName"), text(properties, "middleName")], " ");
    or_other_names(properties, joined(&[text(properties, "surname"), &first], ", "))
}

fn joined(parts: &[&str], separator: &str) -> String {
    let parts: Vec<_> = parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty()).collect();
    parts.join(separator)
}

fn or_other_names(properties: &Properties, name: String) -> String {
    let first_address = || properties.get("emailAddresses")?.get(0)?.get("address").and_then(Value::as_str);
    if !name.is_empty() {
        return name;
    }
    match text(properties, "companyName") {
        "" => first_address().unwrap_or_default().to_owned(),
        company => company.to_owned(),
    }
}
