//! Open extensions: named sets of JSON members that an app keeps on an item. They lie in the item's
//! property bag, so that each write of one is a write of the item.

use serde_json::{Value, json};

use super::{Fresh, Owner, Written, rewrite, text};
use crate::{Item, Properties, Refusal, schema};

/// What stands before an extension's name in its id.
pub const ID_PREFIX: &str = "Microsoft.OutlookServices.OpenTypeExtension.";
pub const OPEN_TYPE: &str = "#microsoft.graph.openTypeExtension";
/// Extensions of one item.
pub const EXTENSIONS_MAX: usize = 30;
/// One extension as JSON.
pub const EXTENSION_BYTES_MAX: usize = 32 * 1024;
const NAME_BYTES_MAX: usize = 128;

/// The extensions of an item.
pub fn all(item: &Item) -> &[Value] {
    item.properties.get("extensions").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The extension of an item that has this name or id, in any case.
pub fn find<'a>(item: &'a Item, key: &str) -> Option<&'a Value> {
    all(item).iter().find(|extension| is_named(extension, key))
}

fn is_named(extension: &Value, key: &str) -> bool {
    let name = key.get(..ID_PREFIX.len()).filter(|prefix| prefix.eq_ignore_ascii_case(ID_PREFIX));
    let name = if name.is_some() { &key[ID_PREFIX.len()..] } else { key };
    extension.get("extensionName").and_then(Value::as_str).is_some_and(|known| known.eq_ignore_ascii_case(name))
}

/// Adds the extension that a request body describes.
pub fn add(owner: &Owner, fresh: &Fresh, item: &Item, body: Value) -> Result<(Value, Written), Refusal> {
    let mut extension = schema::extension(body)?;
    complete_one(&mut extension)?;
    let name = text(&extension, "extensionName").to_owned();
    if find(item, &name).is_some() {
        return Err(Refusal::ExtensionExists { name });
    }
    let extension = Value::Object(extension);
    let list = all(item).iter().cloned().chain([extension.clone()]).collect();
    Ok((extension, replace(owner, fresh, item, list)?))
}

/// Sets members of an extension; those that are `null` go. `None` if the item has no such extension.
pub fn patch(
    owner: &Owner,
    fresh: &Fresh,
    item: &Item,
    key: &str,
    body: Value,
) -> Result<Option<(Value, Written)>, Refusal> {
    let Some(Value::Object(found)) = find(item, key) else { return Ok(None) };
    let mut extension = found.clone();
    for (name, value) in schema::extension_members(body)? {
        match value {
            _ if ["@odata.type", "extensionName", "id"].contains(&name.as_str()) => {}
            Value::Null => drop(extension.remove(&name)),
            value => drop(extension.insert(name, value)),
        }
    }
    complete_one(&mut extension)?;
    let extension = Value::Object(extension);
    let each = |old: &Value| if is_named(old, key) { extension.clone() } else { old.clone() };
    let list = all(item).iter().map(each).collect();
    let written = replace(owner, fresh, item, list)?;
    Ok(Some((extension, written)))
}

/// Removes an extension. `None` if the item has no such extension.
pub fn remove(owner: &Owner, fresh: &Fresh, item: &Item, key: &str) -> Option<Written> {
    find(item, key)?;
    let list = all(item).iter().filter(|extension| !is_named(extension, key)).cloned().collect();
    replace(owner, fresh, item, list).ok()
}

fn replace(owner: &Owner, fresh: &Fresh, item: &Item, list: Vec<Value>) -> Result<Written, Refusal> {
    check_count(list.len())?;
    let mut properties = item.properties.clone();
    properties.insert("extensions".to_owned(), list.into());
    if all(item).len() == 1 && properties["extensions"] == json!([]) {
        properties.remove("extensions");
    }
    Ok(rewrite(owner, fresh, item, properties))
}

fn check_count(count: usize) -> Result<(), Refusal> {
    if count <= EXTENSIONS_MAX {
        return Ok(());
    }
    Err(Refusal::TooLong { property: "extensions".to_owned(), length_max: EXTENSIONS_MAX, unit: "members" })
}

/// Gives the extensions that an item brings their ids.
pub(super) fn complete(properties: &mut Properties) -> Result<(), Refusal> {
    let Some(list) = properties.get_mut("extensions").and_then(Value::as_array_mut) else {
        return Ok(());
    };
    check_count(list.len())?;
    let mut names = Vec::with_capacity(list.len());
    for extension in list.iter_mut().filter_map(Value::as_object_mut) {
        complete_one(extension).map_err(|refusal| refusal.within("extensions"))?;
        let name = text(extension, "extensionName").to_ascii_lowercase();
        if names.contains(&name) {
            return Err(Refusal::ExtensionExists { name });
        }
        names.push(name);
    }
    Ok(())
}

fn complete_one(extension: &mut Properties) -> Result<(), Refusal> {
    let name = text(extension, "extensionName").to_owned();
    if name.is_empty() {
        return Err(Refusal::Missing { property: "extensionName" });
    }
    let plain = name.bytes().all(|byte| byte.is_ascii_graphic() && !b"/\\'\"()?#%".contains(&byte));
    if name.len() > NAME_BYTES_MAX || !plain {
        let expected = format!("at most {NAME_BYTES_MAX} letters, digits and dots");
        return Err(Refusal::invalid("extensionName", expected));
    }
    extension.retain(|_, value| !value.is_null());
    extension.insert("@odata.type".to_owned(), OPEN_TYPE.into());
    extension.insert("id".to_owned(), format!("{ID_PREFIX}{name}").into());
    let bytes = serde_json::to_string(extension).map_or(usize::MAX, |json| json.len());
    if bytes > EXTENSION_BYTES_MAX {
        return Err(Refusal::TooLong { property: name, length_max: EXTENSION_BYTES_MAX, unit: "bytes" });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{draft, fresh, megan};
    use super::*;

    const NAME: &str = "com.contoso.referral";

    fn referral() -> Value {
        json!({
            "@odata.type": "microsoft.graph.openTypeExtension", "extensionName": NAME, "id": "x",
            "companyName": "Wingtip", "deal": { "value": 10000, "tags": [1, "a"] },
        })
    }

    #[test]
    fn an_extension_is_added_changed_and_removed_with_the_item() {
        let item = draft(json!({ "subject": "x" }));
        let (made, with) = add(&megan(), &fresh(2), &item, referral()).unwrap();
        insta::assert_json_snapshot!(made, @r##"
        {
          "@odata.type": "#microsoft.graph.openTypeExtension",
          "companyName": "Wingtip",
          "deal": {
            "tags": [
              1,
              "a"
            ],
            "value": 10000
          },
          "extensionName": "com.contoso.referral",
          "id": "Microsoft.OutlookServices.OpenTypeExtension.com.contoso.referral"
        }
        "##);
        assert_ne!(with.item.version, item.version);
        assert!(!with.mutation.changes[0].after.contains_key("extensions"));
        let id = "microsoft.outlookservices.opentypeextension.COM.contoso.referral";
        let change = json!({ "companyName": null, "note": "n", "extensionName": "other" });
        let (patched, with) = patch(&megan(), &fresh(3), &with.item, id, change).unwrap().unwrap();
        assert_eq!(
            (&patched["note"], patched.get("companyName"), &patched["extensionName"]),
            (&json!("n"), None, &json!(NAME))
        );
        assert_eq!(find(&with.item, NAME), Some(&patched));
        let without = remove(&megan(), &fresh(4), &with.item, NAME).unwrap().item;
        assert_eq!(without.properties.get("extensions"), None);
        assert_eq!(remove(&megan(), &fresh(5), &without, NAME), None);
    }

    #[test]
    fn an_item_may_bring_extensions_and_none_twice() {
        let item = draft(json!({ "extensions": [referral()] }));
        assert_eq!(find(&item, NAME).unwrap()["deal"]["value"], 10000);
        let again = add(&megan(), &fresh(2), &item, referral()).unwrap_err();
        assert_eq!(again, Refusal::ExtensionExists { name: NAME.to_owned() });
    }

    #[test]
    fn bounds_hold() {
        let item = draft(json!({ "subject": "x" }));
        let named = |name: String| json!({ "@odata.type": OPEN_TYPE, "extensionName": name });
        let refused = |body: Value| add(&megan(), &fresh(2), &item, body).unwrap_err().to_string();
        assert_eq!(refused(json!({ "@odata.type": OPEN_TYPE })), "extensionName is required");
        assert_eq!(refused(named("a/b".to_owned())), "extensionName must be at most 128 letters, digits and dots");
        let mut large = named("a".to_owned());
        large["b"] = "x".repeat(EXTENSION_BYTES_MAX).into();
        assert_eq!(refused(large), "a is too long: 32768 bytes are the most");
        let many = (0..EXTENSIONS_MAX).map(|n| named(format!("n{n}"))).collect::<Vec<_>>();
        let full = draft(json!({ "extensions": many }));
        let one_more = add(&megan(), &fresh(2), &full, named("m".to_owned())).unwrap_err();
        assert_eq!(one_more.to_string(), "extensions is too long: 30 members are the most");
    }
}
