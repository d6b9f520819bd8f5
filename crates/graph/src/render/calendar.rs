//! Calendars and groups of calendars as Graph's JSON.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{View, folder_json};
use crate::mailbox::Owner;
use crate::mailbox::calendar_group::default_group;
use crate::{ChangeId, Folder, WellKnown};

/// What the default group says of its class; others have one of their own.
const DEFAULT_CLASS: &str = "0006f0b7-0000-0000-c000-000000000046";

/// Namespace of the versions of calendars; random, fixed for ever.
const VERSIONS: Uuid = Uuid::from_u128(0x7f2a_d94e_13c8_4b05_8e67_a0d3_5b91_f62c);

/// A calendar.
pub fn calendar(folder: &Folder, owner: &Owner, view: View<'_>) -> Value {
    let is_default = folder.well_known == Some(WellKnown::Calendar);
    let kept = |name: &str, otherwise: &str| {
        folder.properties.get(name).and_then(Value::as_str).unwrap_or(otherwise).to_owned()
    };
    let color = kept("color", "auto");
    let shown = json!({
        "name": folder.display_name,
        "hexColor": hex_color(&color),
        "color": color,
        "changeKey": change_key(folder),
        "isDefaultCalendar": is_default,
        "canShare": true,
        "canViewPrivateItems": true,
        "canEdit": true,
        "allowedOnlineMeetingProviders": [],
        "defaultOnlineMeetingProvider": kept("defaultOnlineMeetingProvider", "unknown"),
        "isTallyingResponses": is_default,
        "isRemovable": !is_default,
        "owner": { "name": owner.name, "address": owner.address },
    });
    folder_json(folder, shown, view)
}

/// A group of calendars.
pub fn calendar_group(group: &Folder, view: View<'_>) -> Value {
    let class = match group.id == default_group(group.mailbox) {
        true => DEFAULT_CLASS.to_owned(),
        false => group.id.uuid.to_string(),
    };
    let shown = json!({ "name": group.display_name, "classId": class, "changeKey": change_key(group) });
    folder_json(group, shown, view)
}

/// Follows from what can change of a folder of calendars.
fn change_key(folder: &Folder) -> String {
    let version = json!([folder.id, folder.parent, folder.display_name, folder.properties]).to_string();
    ChangeId(Uuid::new_v5(&VERSIONS, version.as_bytes())).change_key()
}

/// The colours of Outlook on the web. An automatic colour has none.
fn hex_color(color: &str) -> &'static str {
    match color {
        "lightBlue" => "#A6D1F5",
        "lightGreen" => "#87D28E",
        "lightOrange" => "#FCAB73",
        "lightGray" => "#C0C0C0",
        "lightYellow" => "#F4D07A",
        "lightTeal" => "#4ADACC",
        "lightPink" => "#F08CC0",
        "lightBrown" => "#CBA287",
        "lightRed" => "#F88C9B",
        _ => "",
    }
}
