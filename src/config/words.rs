//! What `default.toml` says in words: the documentation of every key, read from the file itself.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::DEFAULTS;

/// One paragraph of `default.toml`.
#[derive(Debug)]
pub(super) struct Words {
    /// The comment, line by line.
    pub lines: Vec<&'static str>,
    /// The value as TOML: the default, or an example.
    pub value: &'static str,
    /// Whether the value is a default.
    pub default: bool,
}

impl Words {
    /// The first sentence, or what stands of it on the first line.
    pub(super) fn summary(&self) -> &'static str {
        self.lines.first().copied().unwrap_or_default()
    }
}

/// The paragraph of each key.
pub(super) fn words() -> &'static BTreeMap<&'static str, Words> {
    static WORDS: LazyLock<BTreeMap<&str, Words>> = LazyLock::new(|| read(DEFAULTS));
    &WORDS
}

/// A paragraph is comment lines (`# text`) followed by `key = value` or `#key = value`.
fn read(file: &'static str) -> BTreeMap<&'static str, Words> {
    let mut words = BTreeMap::new();
    let mut lines = Vec::new();
    for line in file.lines() {
        let setting = match line.strip_prefix('#') {
            Some(text) if text.is_empty() || text.starts_with(' ') => {
                lines.push(text.trim_start());
                continue;
            }
            Some(example) => example,
            None => line,
        };
        let comment = std::mem::take(&mut lines);
        if let Some((key, value)) = setting.split_once(" = ") {
            let default = !line.starts_with('#');
            let paragraph = Words {
                lines: comment,
                value,
                default,
            };
            words.insert(key, paragraph);
        }
    }
    words
}
