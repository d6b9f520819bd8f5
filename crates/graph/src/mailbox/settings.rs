//! What a mailbox keeps besides items and folders: its colour categories and the senders whose mail it
//! sorts itself. It lies in the properties of the root folder, under a name that Graph has not.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{address_of, text};
use crate::{Folder, Mutation, Properties, Refusal, UserId, schema};

/// The property of the root folder that holds it all.
const PROPERTY: &str = "@tidings.settings";
/// How many categories, and how many overrides, a mailbox may have.
pub const SETTINGS_MAX: usize = 1_000;
/// The longest name of a category, in characters.
pub const CATEGORY_NAME_CHARS_MAX: usize = 255;

/// The settings of one mailbox. Their members are in Graph's JSON form, each with its `id`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// `outlookCategory`
    pub categories: Vec<Properties>,
    /// `inferenceClassificationOverride`
    pub overrides: Vec<Properties>,
    /// What was set of `mailboxSettings`.
    #[serde(default)]
    pub mailbox: Properties,
}

impl Settings {
    /// Reads the settings of the mailbox with this root folder; a new mailbox has Outlook's categories.
    pub fn of(root: &Folder) -> Self {
        let stored = root.properties.get(PROPERTY).and_then(|value| serde_json::from_value(value.clone()).ok());
        stored.unwrap_or_else(|| Self {
            categories: first_categories(root.mailbox),
            overrides: Vec::new(),
            mailbox: Properties::new(),
        })
    }

    /// Keeps these settings in the root folder that they were read from.
    pub fn kept_in(self, root: &Folder) -> Mutation {
        let mut after = root.clone();
        // Maps of strings always have a JSON form.
        after.properties.insert(PROPERTY.to_owned(), serde_json::to_value(self).unwrap_or_default());
        Mutation { expect_folders: vec![root.clone()], folder_puts: vec![after], ..Mutation::default() }
    }

    pub fn add_category(&mut self, id: Uuid, body: Value) -> Result<Properties, Refusal> {
        let mut category = schema::read_named("outlookCategory", body)?;
        let name = text(&category, "displayName").trim().to_owned();
        if name.is_empty() {
            return Err(Refusal::Missing { property: "displayName" });
        }
        if name.chars().count() > CATEGORY_NAME_CHARS_MAX {
            let property = "displayName".to_owned();
            return Err(Refusal::TooLong { property, length_max: CATEGORY_NAME_CHARS_MAX, unit: "characters" });
        }
        let same = |known: &Properties| text(known, "displayName").to_lowercase() == name.to_lowercase();
        if self.categories.iter().any(same) {
            return Err(Refusal::CategoryExists { name });
        }
        if category.get("color").is_none_or(Value::is_null) {
            category.insert("color".to_owned(), "none".into());
        }
        category.insert("displayName".to_owned(), name.into());
        add(&mut self.categories, id, category, "masterCategories")
    }

    /// Gives a category another colour; its name is fixed. `None`: there is no such category.
    pub fn patch_category(&mut self, id: &str, body: Value) -> Result<Option<Properties>, Refusal> {
        let sent = schema::read_named("outlookCategory", body)?;
        let Some(category) = find(&mut self.categories, id) else { return Ok(None) };
        for (name, value) in sent {
            match name.as_str() {
                _ if category.get(&name) == Some(&value) => {}
                "color" if !value.is_null() => drop(category.insert(name, value)),
                _ => return Err(Refusal::NotUpdatable { property: name }),
            }
        }
        Ok(Some(category.clone()))
    }

    pub fn remove_category(&mut self, id: &str) -> Option<()> {
        remove(&mut self.categories, id)
    }

    /// Adds an override, or changes the one for the same sender.
    pub fn add_override(&mut self, id: Uuid, body: Value) -> Result<Properties, Refusal> {
        let mut added = schema::read_named("inferenceClassificationOverride", body)?;
        let sender = sender(&added).trim().to_lowercase();
        if sender.is_empty() {
            return Err(Refusal::Missing { property: "senderEmailAddress" });
        }
        if added.get("classifyAs").is_none_or(Value::is_null) {
            return Err(Refusal::Missing { property: "classifyAs" });
        }
        if let Some(known) = self.overrides.iter_mut().find(|known| self::sender(known).to_lowercase() == sender) {
            added.insert("id".to_owned(), known.get("id").cloned().unwrap_or_default());
            *known = added;
            return Ok(known.clone());
        }
        add(&mut self.overrides, id, added, "overrides")
    }

    /// Changes how a sender's mail is sorted; the sender's address is fixed. `None`: there is no such one.
    pub fn patch_override(&mut self, id: &str, body: Value) -> Result<Option<Properties>, Refusal> {
        let sent = schema::read_named("inferenceClassificationOverride", body)?;
        let Some(known) = find(&mut self.overrides, id) else { return Ok(None) };
        for (name, value) in sent {
            let same_sender = || {
                let new = value.get("address").and_then(Value::as_str).unwrap_or_default();
                new.is_empty() || new.eq_ignore_ascii_case(sender(known))
            };
            match name.as_str() {
                "classifyAs" if !value.is_null() => drop(known.insert(name, value)),
                "senderEmailAddress" if same_sender() => {}
                _ => return Err(Refusal::NotUpdatable { property: name }),
            }
        }
        Ok(Some(known.clone()))
    }

    pub fn remove_override(&mut self, id: &str) -> Option<()> {
        remove(&mut self.overrides, id)
    }

    /// Sorts a message that arrives, if its sender has an override.
    pub fn classify(&self, message: &mut Properties) {
        let from = message.get("from").map(address_of).unwrap_or_default().to_lowercase();
        let found = self.overrides.iter().find(|known| !from.is_empty() && sender(known).to_lowercase() == from);
        if let Some(class) = found.and_then(|found| found.get("classifyAs")) {
            message.insert("inferenceClassification".to_owned(), class.clone());
        }
    }
}

fn sender(known: &Properties) -> &str {
    let address = known.get("senderEmailAddress").and_then(|sender| sender.get("address"));
    address.and_then(Value::as_str).unwrap_or_default()
}

fn add(to: &mut Vec<Properties>, id: Uuid, mut new: Properties, collection: &str) -> Result<Properties, Refusal> {
    if to.len() >= SETTINGS_MAX {
        let property = collection.to_owned();
        return Err(Refusal::TooLong { property, length_max: SETTINGS_MAX, unit: "members" });
    }
    new.insert("id".to_owned(), id.to_string().into());
    to.push(new.clone());
    Ok(new)
}

fn find<'a>(among: &'a mut [Properties], id: &str) -> Option<&'a mut Properties> {
    among.iter_mut().find(|known| text(known, "id").eq_ignore_ascii_case(id))
}

fn remove(from: &mut Vec<Properties>, id: &str) -> Option<()> {
    let at = from.iter().position(|known| text(known, "id").eq_ignore_ascii_case(id))?;
    from.remove(at);
    Some(())
}

/// The categories that Outlook gives a new mailbox.
fn first_categories(mailbox: UserId) -> Vec<Properties> {
    let named = [("Red", 0), ("Orange", 1), ("Yellow", 3), ("Green", 4), ("Blue", 7), ("Purple", 8)];
    let category = |(name, preset): (&str, u8)| {
        let name = format!("{name} category");
        let id = Uuid::new_v5(&mailbox.0, name.as_bytes());
        json!({ "id": id.to_string(), "displayName": name, "color": format!("preset{preset}") })
    };
    named.into_iter().filter_map(|named| category(named).as_object().cloned()).collect()
}
