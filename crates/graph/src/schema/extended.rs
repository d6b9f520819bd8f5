//! The ids of extended properties: a MAPI type, then a property tag, or a GUID with a name or number.

use uuid::Uuid;

/// The relations that hold extended properties, of items and of folders.
pub const EXTENDED: [&str; 2] = ["multiValueExtendedProperties", "singleValueExtendedProperties"];

/// How many values an extended property has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    Single,
    Multi,
}

impl Values {
    pub(super) fn example(self) -> &'static str {
        match self {
            Values::Single => "such as String {66f5a359-4659-4830-9070-00047ec6ac6e} Name Color or Integer 0x7001",
            Values::Multi => "such as StringArray {66f5a359-4659-4830-9070-00050ec6ac6e} Name Recreation",
        }
    }
}

/// Types of single values; those of multiple values add `Array`.
const TYPES: [&str; 15] = [
    "ApplicationTime",
    "Binary",
    "Boolean",
    "CLSID",
    "Currency",
    "Double",
    "Error",
    "Float",
    "Integer",
    "Long",
    "Null",
    "Object",
    "Short",
    "String",
    "SystemTime",
];

/// The longest name of a named property.
const NAME_CHARS_MAX: usize = 256;

/// An id as it is stored and compared: the type in Graph's spelling, GUIDs and numbers in lower case,
/// one blank between words. `None`: the text is no id of a property with so many values.
pub fn property_id(text: &str, values: Values) -> Option<String> {
    let (type_name, rest) = text.trim().split_once(' ')?;
    let type_name = type_name_of(type_name, values)?;
    let rest = rest.trim_start();
    if !rest.starts_with('{') {
        return number(rest).map(|tag| format!("{type_name} {tag}"));
    }
    let (guid, rest) = rest[1..].split_once('}')?;
    let guid = Uuid::try_parse(guid.trim()).ok()?;
    let (form, rest) = rest.trim_start().split_once(' ')?;
    let rest = rest.trim();
    if form.eq_ignore_ascii_case("name") {
        let named = !rest.is_empty() && rest.chars().count() <= NAME_CHARS_MAX && !rest.contains(char::is_control);
        return named.then(|| format!("{type_name} {{{guid}}} Name {rest}"));
    }
    let id = number(rest).filter(|_| form.eq_ignore_ascii_case("id"))?;
    Some(format!("{type_name} {{{guid}}} Id {id}"))
}

fn type_name_of(text: &str, values: Values) -> Option<String> {
    let single = match (text.len().checked_sub("Array".len()), values) {
        (_, Values::Single) => text,
        (Some(at), Values::Multi) => text.get(..at).filter(|_| text[at..].eq_ignore_ascii_case("array"))?,
        (None, Values::Multi) => return None,
    };
    let known = TYPES.into_iter().find(|known| known.eq_ignore_ascii_case(single))?;
    Some(if values == Values::Multi { format!("{known}Array") } else { known.to_owned() })
}

/// `0x7001`, of at most 32 bits.
fn number(text: &str) -> Option<String> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?;
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = u32::from_str_radix(digits, 16).ok().filter(|_| plain)?;
    Some(format!("0x{number:x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_out_in_one_spelling() {
        let guid = "66F5A359-4659-4830-9070-00047EC6AC6E";
        let lower = guid.to_lowercase();
        for (text, values, read) in [
            (format!("string {{{guid}}} name My Color"), Values::Single, format!("String {{{lower}}} Name My Color")),
            (format!("Integer {{{guid}}} Id 0x8012"), Values::Single, format!("Integer {{{lower}}} Id 0x8012")),
            ("Integer 0x0E1F".to_owned(), Values::Single, "Integer 0xe1f".to_owned()),
            (format!("StringArray {{{guid}}} Name R"), Values::Multi, format!("StringArray {{{lower}}} Name R")),
        ] {
            assert_eq!(property_id(&text, values), Some(read), "{text}");
        }
    }

    #[test]
    fn what_is_no_id_is_refused() {
        let guid = "66f5a359-4659-4830-9070-00047ec6ac6e";
        for (text, values) in [
            ("String".to_owned(), Values::Single),
            ("String 7001".to_owned(), Values::Single),
            ("String 0x+7".to_owned(), Values::Single),
            ("Color 0x7001".to_owned(), Values::Single),
            (format!("String {{{guid}}}"), Values::Single),
            (format!("String {{{guid}}} Name "), Values::Single),
            (format!("String {{{guid}}} Id Color"), Values::Single),
            ("String {x} Name Color".to_owned(), Values::Single),
            (format!("StringArray {{{guid}}} Name Color"), Values::Single),
            (format!("String {{{guid}}} Name Color"), Values::Multi),
            ("\u{e4}rray 0x1".to_owned(), Values::Multi),
        ] {
            assert_eq!(property_id(&text, values), None, "{text}");
        }
    }
}
