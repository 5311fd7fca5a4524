//! Tests of what the documentation says: links lead somewhere, commands can be typed, settings exist, snippets load,
//! errors have their remedies, and the map of the rooms is that of the source.
//!
//! Each test reads all Markdown of the repository, so a new page is checked without being entered anywhere.
//! `tests/documentation.rs` does what needs the whole program: tests that are named, and the files in `deploy/`.

mod commands;
mod errors;
mod links;
mod markdown;
mod rooms;
mod settings;

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below a folder whose name ends so, but nothing hidden and nothing that was built.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder of the repository");
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    let mut found = Vec::new();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') || name == "target" {
            continue;
        }
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if name.ends_with(ending) {
            found.push(path);
        }
    }
    found
}

/// All that is wrong, at once.
#[track_caller]
fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}
