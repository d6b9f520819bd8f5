//! The `Prefer` headers that shape answers.

use graph::render::{BodyType, Preferences};
use http::HeaderMap;

/// The longest name of a time zone that is read.
const TIME_ZONE_BYTES_MAX: usize = 128;

/// Reads what is understood; preferences may be passed over, so nothing is refused.
pub fn read(headers: &HeaderMap) -> Preferences {
    let mut read = Preferences::default();
    let values = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    for preference in values.flat_map(|value| value.split(',')) {
        let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
        let value = value.trim().trim_matches('"');
        match name.trim().to_ascii_lowercase().as_str() {
            "idtype" => read.immutable_ids = value.eq_ignore_ascii_case("ImmutableId"),
            "outlook.body-content-type" if value.eq_ignore_ascii_case("text") => read.body = Some(BodyType::Text),
            "outlook.body-content-type" if value.eq_ignore_ascii_case("html") => read.body = Some(BodyType::Html),
            "outlook.timezone" if !value.is_empty() && value.len() <= TIME_ZONE_BYTES_MAX => {
                read.time_zone = Some(value.to_owned());
            }
            "outlook.allow-unsafe-html" => read.unsafe_html = true,
            _ => {}
        }
    }
    read
}

/// `odata.maxpagesize`: how many things a page should hold at most.
pub fn page_size(headers: &HeaderMap) -> Option<u16> {
    let values = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    let found = values.flat_map(|value| value.split(',')).find_map(|preference| {
        let (name, value) = preference.split_once('=')?;
        let known = ["odata.maxpagesize", "maxpagesize"].iter().any(|known| name.trim().eq_ignore_ascii_case(known));
        known.then(|| value.trim().trim_matches('"').parse::<u64>().ok()).flatten()
    });
    found.filter(|size| *size > 0).map(|size| u16::try_from(size).unwrap_or(u16::MAX))
}

/// `Preference-Applied`: what was understood, if anything.
pub fn applied(prefer: &Preferences) -> Option<String> {
    let mut applied = Vec::new();
    match prefer.body {
        Some(BodyType::Text) => applied.push("outlook.body-content-type=\"text\"".to_owned()),
        Some(BodyType::Html) => applied.push("outlook.body-content-type=\"html\"".to_owned()),
        None => {}
    }
    if let Some(zone) = &prefer.time_zone {
        applied.push(format!("outlook.timezone=\"{zone}\""));
    }
    if prefer.unsafe_html {
        applied.push("outlook.allow-unsafe-html".to_owned());
    }
    if prefer.immutable_ids {
        applied.push("IdType=\"ImmutableId\"".to_owned());
    }
    (!applied.is_empty()).then(|| applied.join(", "))
}
