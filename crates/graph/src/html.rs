//! HTML of mail: made safe, made text, made of text. Cutting it into tags is `html5gum`'s, in time linear
//! in the length whatever a sender writes; here is what may stay. Only tags and attributes that are named
//! below come out, each text escaped anew and each element closed, so that the result means the same to
//! every reader.

use std::collections::HashMap;

use html5gum::emitters::default::DefaultEmitter;
use html5gum::{HtmlString, StartTag, Token, Tokenizer};
use mail_parser::decoders::html::html_to_text;

/// Elements that stay.
const ELEMENTS: [&str; 79] = [
    "a",
    "abbr",
    "acronym",
    "address",
    "area",
    "article",
    "aside",
    "b",
    "bdi",
    "bdo",
    "big",
    "blockquote",
    "body",
    "br",
    "caption",
    "center",
    "cite",
    "code",
    "col",
    "colgroup",
    "dd",
    "del",
    "dfn",
    "dir",
    "div",
    "dl",
    "dt",
    "em",
    "figcaption",
    "figure",
    "font",
    "footer",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "head",
    "header",
    "hr",
    "html",
    "i",
    "img",
    "ins",
    "kbd",
    "label",
    "li",
    "main",
    "map",
    "mark",
    "menu",
    "nav",
    "ol",
    "p",
    "pre",
    "q",
    "s",
    "samp",
    "section",
    "small",
    "span",
    "strike",
    "strong",
    "sub",
    "sup",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "time",
    "tr",
    "tt",
    "u",
    "ul",
    "var",
    "wbr",
];
/// Elements that have no content, and no end.
const VOID: [&str; 7] = ["area", "br", "col", "hr", "img", "meta", "wbr"];
/// Elements that go with all that is in them.
const DROPPED: [&str; 20] = [
    "applet",
    "audio",
    "canvas",
    "frameset",
    "iframe",
    "math",
    "noembed",
    "noframes",
    "noscript",
    "object",
    "plaintext",
    "script",
    "select",
    "style",
    "svg",
    "template",
    "textarea",
    "title",
    "video",
    "xmp",
];
/// Attributes that stay on any element.
const ATTRIBUTES: [&str; 40] = [
    "abbr",
    "align",
    "alt",
    "axis",
    "bgcolor",
    "border",
    "cellpadding",
    "cellspacing",
    "char",
    "charoff",
    "cite",
    "class",
    "clear",
    "color",
    "colspan",
    "compact",
    "coords",
    "datetime",
    "dir",
    "face",
    "frame",
    "headers",
    "height",
    "href",
    "hspace",
    "id",
    "lang",
    "name",
    "nowrap",
    "rel",
    "rowspan",
    "rules",
    "scope",
    "shape",
    "size",
    "src",
    "start",
    "summary",
    "title",
    "width",
];
/// More of them, which matter for layout.
const LAYOUT: [&str; 8] = ["background", "style", "target", "type", "usemap", "valign", "value", "vspace"];
const LINKS: [&str; 4] = ["background", "cite", "href", "src"];
const SCHEMES: [&str; 10] = ["cid", "data", "ftp", "http", "https", "mailto", "sip", "sms", "tel", "webcal"];

/// The HTML without what could run in the reader's name, load a page of its own or pass for another one.
pub fn sanitise(html: &str) -> String {
    let mut emitter = DefaultEmitter::default();
    emitter.naively_switch_states(true);
    let mut output = Output { html: String::with_capacity(html.len()), ..Output::default() };
    let mut dropping: Option<Dropping> = None;
    for Ok(token) in Tokenizer::new_with_emitter(html, emitter) {
        match (&mut dropping, token) {
            (Some(element), token) => {
                if element.ends_with(&token, &mut output) {
                    dropping = None;
                }
            }
            (None, Token::StartTag(tag)) => match tag_name(&tag.name) {
                "svg" | "math" if tag.self_closing => {}
                name if DROPPED.contains(&name) => dropping = Some(Dropping::new(name)),
                "meta" => output.meta(&tag),
                name if ELEMENTS.contains(&name) => output.open(name, &tag),
                _ => {}
            },
            (None, Token::EndTag(tag)) => output.close(tag_name(&tag.name)),
            (None, Token::String(text)) => escape(&text_of(&text), &mut output.html),
            (None, _) => {}
        }
    }
    output.finish()
}

fn tag_name(name: &HtmlString) -> &str {
    std::str::from_utf8(&name.0).unwrap_or_default()
}

fn text_of(text: &HtmlString) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(&text.0)
}

/// What has come out, and which elements are open in it.
#[derive(Default)]
struct Output {
    html: String,
    open: Vec<&'static str>,
    counts: HashMap<&'static str, usize>,
}

impl Output {
    fn open(&mut self, name: &str, tag: &StartTag<()>) {
        let Some(name) = ELEMENTS.into_iter().find(|known| *known == name) else { return };
        self.html.push('<');
        self.html.push_str(name);
        for (attribute, value) in &tag.attributes {
            let (attribute, value) = (tag_name(attribute), text_of(value));
            let known = ATTRIBUTES.contains(&attribute) || LAYOUT.contains(&attribute);
            let harmless = !LINKS.contains(&attribute) || is_link(name, &value);
            if known && harmless && !(attribute == "style" && is_active_style(&value)) {
                self.html.push(' ');
                self.html.push_str(attribute);
                self.html.push_str("=\"");
                escape(&value, &mut self.html);
                self.html.push('"');
            }
        }
        self.html.push('>');
        if !VOID.contains(&name) {
            self.open.push(name);
            *self.counts.entry(name).or_default() += 1;
        }
    }

    /// Of the head only the character set stays: a refresh would lead elsewhere.
    fn meta(&mut self, tag: &StartTag<()>) {
        let is_type = |(name, value): (&HtmlString, &HtmlString)| {
            tag_name(name) == "http-equiv" && value.0.eq_ignore_ascii_case(b"content-type")
        };
        if tag.attributes.iter().any(|(name, value)| is_type((name, &value.value))) {
            self.html.push_str("<meta http-equiv=\"Content-Type\" content=\"text/html; charset=utf-8\">");
        }
    }

    /// Closes the innermost element of this name with all in it; an end without a beginning goes.
    fn close(&mut self, name: &str) {
        if self.counts.get(name).is_none_or(|count| *count == 0) {
            return;
        }
        while let Some(innermost) = self.open.pop() {
            self.end(innermost);
            if innermost == name {
                return;
            }
        }
    }

    fn end(&mut self, name: &'static str) {
        if let Some(count) = self.counts.get_mut(name) {
            *count -= 1;
        }
        self.html.push_str("</");
        self.html.push_str(name);
        self.html.push('>');
    }

    fn finish(mut self) -> String {
        while let Some(innermost) = self.open.pop() {
            self.end(innermost);
        }
        self.html
    }
}

/// An element that goes with its content, until its end.
struct Dropping {
    name: String,
    depth: usize,
    /// The rules of a style sheet, which stay if they can do no harm.
    style: Option<String>,
}

impl Dropping {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), depth: 1, style: (name == "style").then(String::new) }
    }

    fn ends_with(&mut self, token: &Token, output: &mut Output) -> bool {
        match token {
            Token::StartTag(tag) if tag.name.0 == self.name.as_bytes() && !tag.self_closing => self.depth += 1,
            Token::EndTag(tag) if tag.name.0 == self.name.as_bytes() => self.depth -= 1,
            Token::String(text) => {
                if let Some(style) = &mut self.style {
                    style.push_str(&text_of(text));
                }
            }
            _ => {}
        }
        let ended = self.depth == 0;
        if ended && let Some(style) = self.style.take().filter(|style| !is_active_style(style)) {
            // Outlook wraps its rules in comments, for readers that know no style sheets.
            let rules = style.replace("<!--", "").replace("-->", "");
            if !rules.contains('<') {
                output.html.push_str("<style>");
                output.html.push_str(&rules);
                output.html.push_str("</style>");
            }
        }
        ended
    }
}

/// Whether a style could run something or load rules from elsewhere.
fn is_active_style(style: &str) -> bool {
    let plain: String =
        style.chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect::<String>().to_ascii_lowercase();
    ["javascript:", "vbscript:", "expression(", "@import", "-moz-binding", "behavior:", "\\"]
        .iter()
        .any(|active| plain.contains(active))
}

/// Whether a link leads to where a reader may go: a known scheme, or none. Images may bring their data.
fn is_link(element: &str, link: &str) -> bool {
    let plain: String = link.chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect();
    let Some((scheme, rest)) = plain.split_once(':') else { return true };
    let scheme = scheme.to_ascii_lowercase();
    if scheme.contains(['/', '?', '#']) {
        return true;
    }
    match scheme.as_str() {
        "data" => element == "img" && rest.to_ascii_lowercase().starts_with("image/") && !is_vector(rest),
        scheme => SCHEMES.contains(&scheme),
    }
}

/// Whether an image is of the kind that can hold a script.
fn is_vector(data: &str) -> bool {
    data.get(..9).is_some_and(|start| start.eq_ignore_ascii_case("image/svg"))
}

fn escape(text: &str, into: &mut String) {
    for letter in text.chars() {
        match letter {
            '&' => into.push_str("&amp;"),
            '<' => into.push_str("&lt;"),
            '>' => into.push_str("&gt;"),
            '"' => into.push_str("&quot;"),
            '\u{a0}' => into.push_str("&nbsp;"),
            '\0' | '\r' => {}
            letter => into.push(letter),
        }
    }
}

/// The text of HTML.
pub fn to_text(html: &str) -> String {
    html_to_text(html).trim().to_owned()
}

/// HTML that shows a text.
pub fn from_text(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    escape(text, &mut escaped);
    let lines = escaped.replace("\r\n", "\n").replace('\n', "<br>\r\n");
    format!(
        "<html><head><meta http-equiv=\"Content-Type\" content=\"text/html; charset=utf-8\"></head>\
         <body>{lines}</body></html>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn script_in_mail_goes_and_what_is_seen_stays() {
        for (html, safe) in [
            ("<p>Hi <b>you</b></p>", "<p>Hi <b>you</b></p>"),
            ("a<script>alert(1)</script>b", "ab"),
            ("<img src=x onerror=alert(1)>", "<img src=\"x\">"),
            ("<img src='cid:logo@x' width=3>", "<img src=\"cid:logo@x\" width=\"3\">"),
            ("<a href=' java\tscript:alert(1)'>x</a>", "<a>x</a>"),
            ("<a href='https://x.example/?a=1&amp;b=2'>x</a>", "<a href=\"https://x.example/?a=1&amp;b=2\">x</a>"),
            ("<a href='data:text/html,x'>x</a>", "<a>x</a>"),
            ("<img src='data:image/png;base64,AA=='>", "<img src=\"data:image/png;base64,AA==\">"),
            ("<img src='data:image/svg+xml,x'>", "<img>"),
            ("<iframe src=//x></iframe><form action=x><input>y</form>", "y"),
            ("<svg><style><img onerror=x></style></svg>z", "z"),
            ("<p style='color:red'>x</p><p style='width:expression(1)'>y</p>", "<p style=\"color:red\">x</p><p>y</p>"),
            ("<style><!-- p {color:red} --></style>", "<style> p {color:red} </style>"),
            ("<style>@import url(x)</style>x", "x"),
            ("<!--[if mso]><p><![endif]-->x", "x"),
            ("<meta http-equiv=refresh content='0;url=//x'>x", "x"),
            ("1 < 2 &amp;&nbsp;&lt;b&gt;", "1 &lt; 2 &amp;&nbsp;&lt;b&gt;"),
            ("</div><div><p>x</div>", "<div><p>x</p></div>"),
        ] {
            assert_eq!(sanitise(html), safe, "{html}");
            assert_eq!(sanitise(safe), safe, "twice: {html}");
        }
    }

    #[test]
    fn stalling_mail_takes_no_more_time_than_other() {
        for part in ["<div>", "<a b=\">\" c>", "</b><b>", "<a x1 y2 z3 ", "<svg><svg/>", "<table><td></div>"] {
            let html = part.repeat(200_000);
            assert!(sanitise(&html).len() <= 4 * html.len(), "{part}");
        }
        let attributes: String = (0..200_000).map(|n| format!(" a{n}")).collect();
        assert_eq!(sanitise(&format!("<p{attributes}>x")), "<p>x</p>");
    }

    #[test]
    fn text_and_html_become_each_other() {
        assert_eq!(
            to_text("<html><head><style>p{}</style></head><body><p>One</p><p>Two &amp; 3</p></body></html>"),
            "One\nTwo & 3"
        );
        let html = from_text("a <b>\r\n& c");
        assert!(html.ends_with("<body>a &lt;b&gt;<br>\r\n&amp; c</body></html>"), "{html}");
    }
}
