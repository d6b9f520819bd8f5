//! What basic access to mail and calendars leaves out: bodies, and what lies beside an item. Which
//! permission gives no more than that is for others to say.

use odata::parse;
use odata::tree::{Expr, Node, Path};

const HIDDEN: [&str; 7] = [
    "attachments",
    "body",
    "bodyPreview",
    "extensions",
    "multiValueExtendedProperties",
    "singleValueExtendedProperties",
    "uniqueBody",
];

/// Whether basic access hides a property or relation, by its name in any case.
pub fn hides(name: &str) -> bool {
    HIDDEN.iter().any(|hidden| hidden.eq_ignore_ascii_case(name))
}

/// Whether query options look at nothing that is hidden. Names may lack their `$`. Of what cannot be
/// parsed nobody knows, so it does not suffice.
pub fn suffices<'a>(options: impl IntoIterator<Item = (&'a str, &'a str)>) -> bool {
    options.into_iter().all(|(name, value)| match name.trim().trim_start_matches('$').to_ascii_lowercase().as_str() {
        "search" => false,
        "select" => value.split(',').all(|name| !hides(name.split('/').next().unwrap_or_default().trim())),
        // All relations of items are hidden; folders have others.
        "expand" => parse::expand(value).is_ok_and(|asked| asked.iter().all(|one| is_child_folders(&one.path))),
        "orderby" => parse::orderby(value).is_ok_and(|keys| keys.iter().all(|key| is_open(&key.path))),
        "filter" => parse::filter(value).is_ok_and(|filter| tests_open(&filter)),
        _ => true,
    })
}

fn is_child_folders(path: &Path) -> bool {
    path.names.len() == 1 && path.names[0].text.eq_ignore_ascii_case("childFolders")
}

fn is_open(path: &Path) -> bool {
    path.names.first().is_none_or(|name| !hides(&name.text))
}

fn tests_open(expr: &Expr) -> bool {
    match &expr.node {
        Node::Literal(_) => true,
        Node::Path(path) => is_open(path),
        Node::Not(inner) => tests_open(inner),
        Node::And(all) | Node::Or(all) | Node::Call(_, all) => all.iter().all(tests_open),
        Node::Compare(_, left, right) => tests_open(left) && tests_open(right),
        Node::In(one, of) => tests_open(one) && of.iter().all(tests_open),
        Node::Lambda(lambda) => is_open(&lambda.of) && lambda.test.as_ref().is_none_or(|(_, test)| tests_open(test)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_look_at_hidden_properties_need_more_than_basic_access() {
        let suffices = |option: (&str, &str)| suffices([option]);
        for option in [
            ("$select", "subject, from/emailAddress,*"),
            ("$top", "5"),
            ("$expand", "childFolders"),
            ("$orderby", "receivedDateTime desc"),
            (
                "$filter",
                "hasAttachments eq true and contains(subject,'body') and not (categories/any(c:c eq 'attachments'))",
            ),
        ] {
            assert!(suffices(option), "{option:?}");
        }
        for option in [
            ("$select", "subject, BODY"),
            ("select", "body/content"),
            ("$SELECT", "uniqueBody"),
            ("$search", "x"),
            ("$expand", "attachments"),
            ("$expand", "Extensions($filter=id eq 'x')"),
            ("$expand", "microsoft.graph.eventMessage/event"),
            ("$orderby", "subject,bodyPreview"),
            ("$filter", "isRead eq true or contains(tolower(body/content),'x')"),
            ("$filter", "not startswith(bodyPreview,'x')"),
            ("$filter", "'x' in (subject,bodyPreview)"),
            ("$filter", "attachments/any()"),
            ("$filter", "categories/any(c:c eq bodyPreview)"),
            ("$filter", "singleValueExtendedProperties/any(p:p/id eq 'x')"),
            // Together with another condition this could be a filter.
            ("$filter", "true) or (bodyPreview eq 'x'"),
        ] {
            assert!(!suffices(option), "{option:?}");
        }
    }
}
