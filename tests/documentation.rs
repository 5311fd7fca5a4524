//! What the documentation says about the tests must be so.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// All tests of this binary, as `module::name`.
fn tests() -> BTreeSet<String> {
    let this = std::env::current_exe().expect("this program");
    let output = Command::new(this)
        .args(["--list", "--format", "terse"])
        .output()
        .expect("it runs");
    let list = String::from_utf8(output.stdout).expect("text");
    let names = list.lines().filter_map(|line| line.strip_suffix(": test"));
    names.map(str::to_owned).collect()
}

/// Every `` `module::test` `` and every `` `src/…/tests.rs::test` `` of a text; `` `Type::item` `` and `` `calve::item` `` are
/// none.
fn named_tests(text: &str) -> BTreeSet<&str> {
    let code = text.split('`').skip(1).step_by(2);
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_:/.".contains(c);
    let is_item = |code: &str| code.starts_with(char::is_uppercase) || code.starts_with("calve::");
    code.filter(|code| code.contains("::") && code.chars().all(is_name) && !is_item(code))
        .collect()
}

#[test]
fn every_test_that_a_document_names_is_there() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let tests = tests();
    let mut pages = 0;
    for page in fs::read_dir(root.join("docs")).expect("the pages") {
        let page = page.expect("a page").path();
        if page.extension().is_none_or(|extension| extension != "md") {
            continue;
        }
        pages += 1;
        let text = fs::read_to_string(&page).expect("text");
        let named = named_tests(&text);
        if page.ends_with("exactly-once.md") {
            assert!(named.len() >= 40, "{} tests are named", named.len());
        }
        let missing: Vec<_> = named
            .iter()
            .filter(|name| match name.split_once(".rs::") {
                None => !tests.contains(**name),
                Some((file, test)) => !has_test(&root.join(format!("{file}.rs")), test),
            })
            .collect();
        assert!(
            missing.is_empty(),
            "{}: not there: {missing:#?}",
            page.display()
        );
    }
    assert!(pages >= 8, "{pages} pages");
}

fn has_test(file: &Path, test: &str) -> bool {
    fs::read_to_string(file).is_ok_and(|text| text.contains(&format!("fn {test}(")))
}

#[test]
fn every_crash_point_test_is_in_exactly_once_md() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("docs/exactly-once.md")).expect("the document");
    let named = named_tests(&text);
    let tests = tests();
    let unnamed: Vec<_> = tests
        .iter()
        .filter(|test| test.starts_with("crash_points::") && !named.contains(test.as_str()))
        .collect();
    assert!(unnamed.is_empty(), "not in the document: {unnamed:#?}");
}

#[test]
fn the_two_commands_of_the_readme_are_those_that_ci_runs() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let text = |name: &str| fs::read_to_string(root.join(name)).expect(name);
    let (readme, ci) = (text("README.md"), text(".ci/run"));
    // In a block of code: what is to be typed.
    let blocks = readme.split("```sh\n").skip(1);
    let typed: Vec<&str> = blocks
        .filter_map(|block| block.split("```").next())
        .flat_map(str::lines)
        .collect();
    for (command, step) in [
        (
            "tests/services/setup.sh build && cargo run --release -- demo",
            " -- demo ",
        ),
        ("tests/run", "step tests/run\n"),
    ] {
        assert!(typed.contains(&command), "README: {command}");
        assert!(ci.contains(step), ".ci/run: {step}");
    }
}
