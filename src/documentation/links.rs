//! Links and paths lead somewhere. What lies outside of the repository is held to its shape only: no test may depend
//! on other people's servers.

use std::path::{Component, Path, PathBuf};

use super::markdown::{Page, page, pages};
use super::{assert_none, root};

/// What is wrong with a link.
fn fault(page: &Page, target: &str) -> Option<String> {
    if let Some((scheme, rest)) = target.split_once("://") {
        let host = rest.split(['/', '#', '?']).next().unwrap_or_default();
        let legal = |c: char| c.is_ascii_alphanumeric() || "-._~:/?#[]@!$&'*+,;=%".contains(c);
        let is_host = host.contains('.') && !host.starts_with('.') && !host.ends_with('.');
        return match scheme == "https" && is_host && target.chars().all(legal) {
            true => None,
            false => Some("no address of a page".to_owned()),
        };
    }
    let (path, anchor) = match target.split_once('#') {
        Some((path, anchor)) => (path, Some(anchor)),
        None => (target, None),
    };
    let path = match path {
        "" => page.path.clone(),
        path => within(&page.path, path)?,
    };
    if !root().join(&path).exists() {
        return Some(format!("there is no {}", path.display()));
    }
    let anchor = anchor?;
    if path.extension().is_none_or(|extension| extension != "md") {
        return Some("only pages have anchors".to_owned());
    }
    let anchors = super::markdown::page(&path.to_string_lossy()).anchors();
    match anchors.iter().any(|known| known == anchor) {
        true => None,
        false => Some(format!(
            "{} has no heading #{anchor}; it has: {}",
            path.display(),
            anchors.join(", ")
        )),
    }
}

/// A path as a page means it, counted from the root.
fn within(page: &Path, target: &str) -> Option<PathBuf> {
    let mut path = page.parent().map(Path::to_owned).unwrap_or_default();
    for part in Path::new(target).components() {
        match part {
            Component::ParentDir => {
                path.pop();
            }
            Component::Normal(part) => path.push(part),
            _ => {}
        }
    }
    Some(path)
}

#[test]
fn every_link_leads_somewhere() {
    let mut faults = Vec::new();
    let mut links = 0;
    for page in pages() {
        for (line, target) in page.links() {
            links += 1;
            if let Some(fault) = fault(&page, &target) {
                faults.push(format!("{}: {target}: {fault}", page.at(line)));
            }
        }
    }
    assert!(links > 30, "{links} links");
    assert_none(&faults);
}

#[test]
fn a_link_that_leads_nowhere_is_seen() {
    let readme = page("README.md");
    for good in [
        "docs/exactly-once.md",
        "docs/exactly-once.md#crash-points",
        "#try-it",
        "https://rustup.rs",
    ] {
        assert_eq!(fault(&readme, good), None);
    }
    for bad in [
        "docs/exactly-twice.md",
        "docs/exactly-once.md#no-points",
        "#no-heading",
        "https://rustup rs",
        "https:///rs",
        "src/lib.rs#L1",
    ] {
        assert!(fault(&readme, bad).is_some(), "{bad}");
    }
}

#[test]
fn every_path_that_a_page_names_is_there() {
    const FOLDERS: [&str; 7] = [
        ".ci/",
        "benches/",
        "dataflows/",
        "deploy/",
        "docs/",
        "src/",
        "tests/",
    ];
    let legal = |c: char| c.is_ascii_alphanumeric() || "_-./@".contains(c);
    let mut faults = Vec::new();
    let mut paths = 0;
    for page in pages() {
        for (line, code) in page.code() {
            // A command of the repository has its arguments behind it, a test its name.
            let path = code.split([' ', ':']).next().unwrap_or_default();
            if !FOLDERS.iter().any(|folder| path.starts_with(folder)) || !path.chars().all(legal) {
                continue;
            }
            paths += 1;
            if !root().join(path).exists() {
                faults.push(format!("{}: there is no {path}", page.at(line)));
            }
        }
    }
    assert!(paths > 50, "{paths} paths");
    assert_none(&faults);
}
