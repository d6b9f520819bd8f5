//! What every contact has.

use serde_json::{Value, json};

use super::{default, members_mut, name_email_address, text};
use crate::Properties;

pub(super) fn complete(properties: &mut Properties) {
    for name in ["businessPhones", "categories", "children", "emailAddresses", "homePhones", "imAddresses"] {
        default(properties, name, || json!([]));
    }
    for name in ["businessAddress", "homeAddress", "otherAddress"] {
        default(properties, name, || json!({}));
    }
    members_mut(properties, "emailAddresses").for_each(name_email_address);
    for (name, derived) in [("displayName", display_name(properties)), ("fileAs", file_as(properties))] {
        if text(properties, name).is_empty() && !derived.is_empty() {
            properties.insert(name.to_owned(), derived.into());
        }
    }
}

/// `Given Middle Surname`, else the company, else the first mail address.
pub(super) fn display_name(properties: &Properties) -> String {
    let parts = ["givenName", "middleName", "surname", "generation"].map(|name| text(properties, name));
    or_other_names(properties, joined(&parts, " "))
}

/// `Surname, Given Middle`, else as [`display_name`].
pub(super) fn file_as(properties: &Properties) -> String {
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
