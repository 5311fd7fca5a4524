//! Every setting that a page names exists, values that it shows can be set, and snippets of configuration load.

use std::collections::BTreeMap;
use std::io::Write as _;

use super::assert_none;
use super::markdown::pages;
use crate::config::{self, Layers};

/// Settings of others begin so: Iceberg's table properties, Kafka's brokers and clients, Flink's, a database's.
const FOREIGN: [&str; 22] = [
    "client.",
    "commit.",
    "enable.",
    "execution.",
    "fetch.",
    "format-version",
    "fs.",
    "gc.",
    "isolation.",
    "log.retention.",
    "max.",
    "message.",
    "pipeline.jars",
    "queued.",
    "retention.",
    "scan.",
    "table.exec.",
    "transaction.",
    "transactional.",
    "unclean.",
    "write.",
    "auto.offset.reset",
];

/// Files that look like settings.
const FILES: [&str; 11] = [
    ".rs", ".md", ".toml", ".yaml", ".yml", ".json", ".sh", ".py", ".service", ".local", ".conf",
];

fn is_key(text: &str) -> bool {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-".contains(c);
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.ends_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && text.contains(['.', '-'])
        && text.chars().all(legal)
        && !FILES.iter().any(|ending| text.ends_with(ending))
}

fn is_foreign(key: &str) -> bool {
    FOREIGN.iter().any(|begin| key.starts_with(begin))
}

/// What is wrong with a piece of code, if it is a setting.
fn fault(code: &str) -> Option<String> {
    let (key, value) = match code.split_once('=') {
        Some((key, value)) => (key.trim(), Some(value.trim())),
        None => (code, None),
    };
    if !is_key(key) {
        return None;
    }
    let Some(value) = value else {
        // A word with dots may be anything; one that begins as our settings do is one of them.
        let begins = key.split('.').next().unwrap_or_default();
        let ours = key.contains('.') && config::begins_a_key(begins) && !is_foreign(key);
        return match ours && !config::is_key(key) {
            true => Some("there is no such setting".to_owned()),
            false => None,
        };
    };
    if is_foreign(key) {
        return None;
    }
    if !config::is_key(key) {
        return Some("there is no such setting".to_owned());
    }
    // Where a page leaves the value open there is nothing to check.
    if value.contains(['…', '<'])
        || value.chars().any(|c| c.is_ascii_uppercase())
        || value.is_empty()
    {
        return None;
    }
    let layers = Layers {
        flags: vec![(key.to_owned(), value.to_owned())],
        ..Layers::default()
    };
    let error = config::load(&layers).err()?;
    Some(error.to_string())
}

#[test]
fn every_setting_that_a_page_names_exists() {
    // Each once: reading a setting means reading all layers.
    let mut places = BTreeMap::new();
    for page in pages() {
        // What has been is told there under the names that it had.
        if page.path.ends_with("CHANGELOG.md") {
            continue;
        }
        for (line, code) in page.code() {
            places.insert(code.to_owned(), page.at(line));
        }
    }
    let is_setting = |code: &&String| config::is_key(code.split('=').next().unwrap_or_default());
    let seen = places.keys().filter(is_setting).count();
    assert!(seen > 80, "{seen} settings");
    let wrong = |(code, place): (&String, &String)| {
        fault(code).map(|fault| format!("{place}: `{code}`: {fault}"))
    };
    assert_none(&places.iter().filter_map(wrong).collect::<Vec<_>>());
}

#[test]
fn a_setting_that_does_not_exist_is_seen() {
    for good in [
        "checkpoint.interval",
        "checkpoint.interval=10s",
        "on-gap=earliest",
        "write.distribution-mode=hash",
        "docs.rs",
        "kafka.sasl.username",
        "dedup.key=…",
    ] {
        assert_eq!(fault(good), None);
    }
    for bad in [
        "checkpoint.intervall",
        "checkpoint.interval=soon",
        "on-gap=perhaps",
        "on-gaps=earliest",
        "rest.prot",
    ] {
        assert!(fault(bad).is_some(), "{bad}");
    }
}

#[test]
fn every_snippet_of_configuration_loads() {
    let mut faults = Vec::new();
    let mut seen = 0;
    for page in pages() {
        for block in page
            .blocks()
            .iter()
            .filter(|block| block.language == "toml")
        {
            // Cargo's files are configuration of another program.
            if block.text.contains("[dependencies]") || block.text.contains("[package]") {
                continue;
            }
            seen += 1;
            let mut file = tempfile::NamedTempFile::new().expect("a file");
            file.write_all(block.text.as_bytes()).expect("written");
            let layers = Layers {
                file: Some(file.path().to_owned()),
                ..Layers::default()
            };
            if let Err(error) = config::load(&layers) {
                faults.push(format!("{}: {error}", page.at(block.line)));
            }
        }
    }
    assert!(seen > 0, "no snippet");
    assert_none(&faults);
}
