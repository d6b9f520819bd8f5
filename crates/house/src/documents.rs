//! Reads the project's documents: tables, code spans, marked blocks of commands.

/// The rows of the table whose header has exactly these cells.
pub fn table<'a>(text: &'a str, header: &[&str]) -> Option<Vec<Vec<&'a str>>> {
    let mut lines = text.lines().skip_while(|line| cells(line) != header);
    lines.next()?;
    let rows = lines.skip(1).take_while(|line| line.starts_with('|')).map(cells);
    Some(rows.collect())
}

fn cells(line: &str) -> Vec<&str> {
    let inner = line.trim().strip_prefix('|').and_then(|line| line.strip_suffix('|'));
    inner.map(|inner| inner.split('|').map(str::trim).collect()).unwrap_or_default()
}

/// What stands between single backticks, outside fenced blocks.
pub fn code_spans(text: &str) -> Vec<&str> {
    let mut fenced = false;
    let mut spans = Vec::new();
    for line in text.lines() {
        if line.starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            spans.extend(line.split('`').skip(1).step_by(2));
        }
    }
    spans
}

/// The targets of links that stay in the repository.
pub fn local_links(text: &str) -> Vec<&str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains("://") && !target.starts_with('#')).collect()
}

/// The lines of the fenced block that follows the line `<!-- marker -->`.
pub fn marked_block<'a>(text: &'a str, marker: &str) -> Option<Vec<&'a str>> {
    let wanted = format!("<!-- {marker} -->");
    let mut lines = text.lines().skip_while(|line| *line != wanted);
    lines.next()?;
    let mut lines = lines.skip_while(|line| line.is_empty());
    lines.next().filter(|line| line.starts_with("```"))?;
    Some(lines.take_while(|line| !line.starts_with("```")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "# T\n\n| a | b |\n| --- | --- |\n| 1 | `x::y` |\n| 2 | `z` |\n\n<!-- run -->\n\n```sh\nmake `all`\n```\n";

    #[test]
    fn a_table_is_found_by_its_header() {
        assert_eq!(table(TEXT, &["a", "b"]).unwrap(), [["1", "`x::y`"], ["2", "`z`"]]);
        assert_eq!(table(TEXT, &["b", "a"]), None);
    }

    #[test]
    fn code_spans_are_found_outside_blocks_only() {
        assert_eq!(code_spans(TEXT), ["x::y", "z"]);
    }

    #[test]
    fn links_that_leave_are_not_local() {
        assert_eq!(local_links("[a](A.md) [b](https://b.example/c) [c](#d)"), ["A.md"]);
    }

    #[test]
    fn a_block_is_found_by_its_marker() {
        assert_eq!(marked_block(TEXT, "run").unwrap(), ["make `all`"]);
        assert_eq!(marked_block(TEXT, "walk"), None);
    }
}
