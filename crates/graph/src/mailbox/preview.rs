//! The first characters of a body as plain text.

use std::borrow::Cow;

use mail_parser::decoders::html::html_to_text;

use crate::Item;

/// The length of a preview, in characters.
pub const PREVIEW_CHARS_MAX: usize = 255;

/// How much of a body is looked at; what precedes the text of a longer page is style.
const LOOKED_AT_BYTES_MAX: usize = 256 * 1024;

/// The `bodyPreview` of a body of type `text` or `html`: without markup, runs of white space as one blank.
pub fn preview(content_type: &str, content: &str) -> String {
    let content = &content[..content.floor_char_boundary(LOOKED_AT_BYTES_MAX)];
    let is_html = content_type.eq_ignore_ascii_case("html");
    let stripped = is_html.then(|| html_to_text(content));
    let mut shown = String::with_capacity(PREVIEW_CHARS_MAX);
    let mut left = PREVIEW_CHARS_MAX;
    for word in stripped.as_deref().unwrap_or(content).split_whitespace() {
        if left > 0 && !shown.is_empty() {
            shown.push(' ');
            left -= 1;
        }
        if left == 0 {
            break;
        }
        let fits = word.len() <= left;
        let end = if fits { None } else { word.char_indices().nth(left) };
        let cut = end.map_or(word, |(end, _)| &word[..end]);
        shown.push_str(cut);
        left -= cut.chars().count();
    }
    shown
}

/// The body of an item without markup; `None` if it has none.
pub fn plain_text(item: &Item) -> Option<Cow<'_, str>> {
    let body = item.properties.get("body")?;
    let content = body.get("content")?.as_str()?;
    let is_html = body.get("contentType")?.as_str()?.eq_ignore_ascii_case("html");
    Some(if is_html { Cow::Owned(html_to_text(content)) } else { Cow::Borrowed(content) })
}
