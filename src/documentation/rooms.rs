//! The map of the rooms is that of the source, and nothing imports upward.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::markdown::page;
use super::{assert_none, files, root};

/// From the bottom to the top, as in `src/lib.rs`.
const LAYERS: [&[&str]; 9] = [
    &[
        "error",
        "time",
        "offsets",
        "messages",
        "rows",
        "alarm",
        "budget",
        "metrics",
        "notices",
        "control",
        "process",
        "retry",
        "failpoint",
    ],
    &["config", "checkpoint"],
    &["kafka", "format", "iceberg"],
    &["state"],
    &["operators", "audit", "inspect"],
    &["observe", "runtime"],
    &["verify"],
    &["cli"],
    &["prelude"],
];

/// Modules that only tests have.
const OF_TESTS: [&str; 3] = ["counting", "dice", "documentation"];

/// What the map names of others: the crate itself, timely's and Iceberg's items, a variable of the crate `fail`.
const FOREIGN: [&str; 4] = ["calve", "SyncActivator", "Transaction", "FAILPOINTS"];

/// The modules that `src/lib.rs` declares.
fn modules() -> BTreeSet<String> {
    let library = fs::read_to_string(root().join("src/lib.rs")).expect("the library");
    let names = library.lines().filter_map(|line| {
        let line = line.strip_prefix("pub ").unwrap_or(line);
        line.strip_prefix("mod ")?.strip_suffix(';')
    });
    names
        .filter(|name| !OF_TESTS.contains(name))
        .map(str::to_owned)
        .collect()
}

fn rank(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

#[test]
fn every_room_is_on_the_map_and_on_the_map_is_every_room() {
    let map = page("ARCHITECTURE.md");
    let rows = map
        .prose()
        .skip_while(|(_, line)| !line.starts_with("| room |"));
    let rows = rows.skip(2).take_while(|(_, line)| line.starts_with('|'));
    let mut named = BTreeSet::new();
    for (_, row) in rows {
        let rooms = row.split('|').nth(1).unwrap_or_default();
        named.extend(rooms.split('`').skip(1).step_by(2).map(str::to_owned));
    }
    assert!(named.remove("dataflows/"), "the dataflows are a room");
    assert_eq!(named, modules(), "left: ARCHITECTURE.md, right: src/lib.rs");
    let layered: BTreeSet<_> = LAYERS.iter().flat_map(|layer| layer.iter()).collect();
    let layered: BTreeSet<_> = layered.into_iter().map(|&name| name.to_owned()).collect();
    assert_eq!(layered, modules(), "left: the layers, right: src/lib.rs");
}

/// The modules of the crate that a line names.
fn named(line: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, _) in line.match_indices("crate::") {
        let rest = &line[at + "crate::".len()..];
        let group = rest
            .strip_prefix('{')
            .and_then(|rest| rest.split('}').next());
        let parts = group.map_or(vec![rest], |group| group.split(',').collect());
        for part in parts {
            let name = part
                .trim()
                .split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            names.extend(name.take(1).map(str::to_owned));
        }
    }
    names
}

/// Tests may look anywhere.
fn is_test(path: &Path) -> bool {
    path.components().any(|part| {
        let name = part.as_os_str().to_string_lossy();
        let name = name.strip_suffix(".rs").unwrap_or(&name);
        name.ends_with("tests") || ["testing", "simulation", "histories", "model"].contains(&name)
    })
}

#[test]
fn nothing_imports_upward() {
    let source = root().join("src");
    let mut faults = Vec::new();
    let mut beside = BTreeSet::new();
    let mut seen = 0;
    for module in modules() {
        let own = rank(&module).expect("a layer");
        let mut paths = match source.join(&module).is_dir() {
            true => files(&source.join(&module), ".rs"),
            false => Vec::new(),
        };
        paths.extend(Some(source.join(format!("{module}.rs"))).filter(|path| path.exists()));
        for path in paths
            .iter()
            .filter(|path| !is_test(path.strip_prefix(&source).expect("below")))
        {
            let text = fs::read_to_string(path).expect("source");
            for (index, line) in text.lines().enumerate() {
                for name in named(line) {
                    let Some(other) = rank(&name).filter(|_| name != module) else {
                        continue;
                    };
                    seen += 1;
                    let place = || format!("{}:{}", path.display(), index + 1);
                    if other > own {
                        faults.push(format!("{}: {module} is below {name}", place()));
                    }
                    if other == own && beside.contains(&(name.clone(), module.clone())) {
                        faults.push(format!("{}: {module} and {name} need each other", place()));
                    }
                    beside.insert((module.clone(), name));
                }
            }
        }
    }
    assert!(seen > 300, "{seen} imports");
    assert_none(&faults);
}

#[test]
fn an_import_is_recognized() {
    assert_eq!(named("use crate::state::Share;"), ["state"]);
    assert_eq!(named("use crate::{Error, config};"), ["Error", "config"]);
    assert_eq!(
        named("/// See [`a`](crate::runtime::Job), crate::cli"),
        ["runtime", "cli"]
    );
}

/// True if something of this name is defined: an item, a function, or a variant.
fn is_defined(source: &str, name: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = [
        "fn ", "mod ", "struct ", "enum ", "trait ", "const ", "static ", "type ",
    ];
    let is_item = words.iter().any(|word| {
        let definition = format!("{word}{name}");
        let mut found = source.match_indices(&definition);
        found.any(|(at, _)| !source[at + definition.len()..].starts_with(is_word))
    });
    let variants = [",", " {", "("].map(|end| format!("\n    {name}{end}"));
    is_item || variants.iter().any(|variant| source.contains(variant))
}

/// What `ARCHITECTURE.md` calls by its name is there, and called so.
#[test]
fn every_item_that_the_map_names_is_in_the_source() {
    let mut source = String::new();
    for folder in ["src", "tests", "dataflows"] {
        for path in files(&root().join(folder), ".rs") {
            source.push_str(&fs::read_to_string(path).expect("source"));
        }
    }
    let map = page("ARCHITECTURE.md");
    let legal = |c: char| c.is_ascii_alphanumeric() || "_:".contains(c);
    let mut faults = Vec::new();
    let mut seen = 0;
    for (line, code) in map.code() {
        let is_item = code.contains("::") || code.starts_with(|c: char| c.is_ascii_uppercase());
        if !is_item || !code.chars().all(legal) {
            continue;
        }
        seen += 1;
        let mut parts = code.split("::").filter(|part| !part.is_empty());
        if let Some(part) = parts.find(|part| !FOREIGN.contains(part) && !is_defined(&source, part))
        {
            faults.push(format!(
                "{}: `{code}`: nothing is called {part}",
                map.at(line)
            ));
        }
    }
    assert!(seen > 15, "{seen} items");
    assert_none(&faults);
}
