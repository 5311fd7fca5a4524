//! Whoever meets an error finds it in `docs/troubleshooting.md`: each kind has its heading and its exit code, and what
//! the page quotes is what the program says.

use std::fs;

use super::markdown::{Page, page};
use super::{assert_none, files, root};
use crate::error::Kind;

const PAGE: &str = "docs/troubleshooting.md";
/// The heading over the kinds.
const KINDS: &str = "By exit code";
/// Exit codes that no error has: an orderly end, and signals.
const OTHERS: [u8; 4] = [0, 130, 137, 143];

/// The headings of the kinds.
fn described(page: &Page) -> Vec<&str> {
    let headings = page.headings();
    let after = headings
        .iter()
        .skip_while(|(_, title)| *title != KINDS)
        .skip(1);
    let under = after.take_while(|(depth, _)| *depth > 2);
    under
        .filter(|(depth, _)| *depth == 3)
        .map(|(_, title)| *title)
        .collect()
}

#[test]
fn every_kind_of_error_has_its_heading_and_every_heading_its_kind() {
    let page = page(PAGE);
    let kinds: Vec<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
    assert_eq!(described(&page), kinds);
}

#[test]
fn every_exit_code_has_its_line_and_every_line_its_exit_code() {
    for path in [PAGE, "README.md"] {
        let page = page(path);
        let header = page
            .prose()
            .position(|(_, line)| line.starts_with("| exit code |"));
        let table = page
            .prose()
            .skip(header.unwrap_or_else(|| panic!("{path} has no table")));
        let rows = table.skip(2).take_while(|(_, line)| line.starts_with('|'));
        let mut listed = Vec::new();
        for (line, row) in rows {
            let codes = row.split('|').nth(1).unwrap_or_default();
            for code in codes.split(',') {
                let code = code.trim().parse::<u8>();
                listed.push(code.unwrap_or_else(|_| panic!("{}: {row}", page.at(line))));
            }
        }
        let mut known: Vec<_> = Kind::ALL.iter().map(|kind| kind.exit_code()).collect();
        known.extend(OTHERS);
        known.sort();
        listed.sort();
        assert_eq!(listed, known, "{path}");
    }
}

/// All of the program's text, each literal in one piece.
fn source() -> String {
    let mut text = String::new();
    for folder in ["src", "dataflows"] {
        for file in files(&root().join(folder), ".rs") {
            if file
                .components()
                .any(|part| part.as_os_str() == "documentation")
            {
                continue;
            }
            let code = fs::read_to_string(file).expect("source");
            let mut broken = code.split("\\\n");
            text.push_str(broken.next().unwrap_or_default());
            broken.for_each(|rest| text.push_str(rest.trim_start()));
        }
    }
    text
}

/// Tables whose first column is headed so quote the program; `…` stands for what differs.
#[test]
fn what_the_page_quotes_is_what_the_program_says() {
    let page = page(PAGE);
    let source = source();
    let mut faults = Vec::new();
    let (mut in_table, mut seen) = (false, 0);
    for (line, text) in page.prose() {
        in_table = text.starts_with("| it says |") || (in_table && text.starts_with('|'));
        if !in_table {
            continue;
        }
        let says = text.split('|').nth(1).unwrap_or_default();
        for quoted in says.split('`').skip(1).step_by(2) {
            seen += 1;
            for part in quoted
                .split('…')
                .map(str::trim)
                .filter(|part| !part.is_empty())
            {
                if !source.contains(part) {
                    faults.push(format!("{}: nothing says {part:?}", page.at(line)));
                }
            }
        }
    }
    assert!(seen > 30, "{seen} quotations");
    assert_none(&faults);
}
