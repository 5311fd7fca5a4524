//! Every command line of calve that a page shows can be typed, and every variable that it sets is one of calve's.

use clap::error::ErrorKind;

use super::markdown::pages;
use super::{assert_none, files, root};
use crate::cli;
use crate::config::{self, Layers};

/// Variables that belong to others, in the commands of the pages.
const FOREIGN: [&str; 4] = ["CALVE_VERSION", "RUST_LOG", "AWS_REGION", "AWS_PROFILE"];

/// The simple commands of a line of shell, each as its words: no quotes, no comment, no redirection.
fn commands(line: &str) -> Vec<Vec<String>> {
    let mut all = vec![Vec::new()];
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        let is_end = |next: Option<&char>| next.is_none_or(|c| c.is_whitespace());
        match (quote, letter) {
            (Some(open), _) if open == letter => quote = None,
            (None, '"' | '\'') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, ' ' | '\t') => {
                let words = all.last_mut().expect("one");
                words.extend(word.take());
            }
            (None, '|' | '&' | ';') => {
                let words = all.last_mut().expect("one");
                words.extend(word.take());
                all.push(Vec::new());
            }
            // What is redirected is no word of the command; the rest of the line is where to.
            (None, '<' | '>') if word.is_none() => break,
            (None, '\\') if is_end(letters.peek()) => {}
            _ => word.get_or_insert_default().push(letter),
        }
    }
    let words = all.last_mut().expect("one");
    words.extend(word);
    all.retain(|words| !words.is_empty());
    all
}

/// The words behind `calve`, if a command is calve's, and the variables that it sets.
fn of_calve(words: &[String]) -> (Vec<&str>, Option<&[String]>) {
    let is_variable = |name: &str| {
        let legal = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        !name.is_empty() && name.chars().all(legal)
    };
    let mut variables = Vec::new();
    let mut rest = words;
    while let Some((first, behind)) = rest.split_first() {
        match first.split_once('=') {
            _ if first == "export" => {}
            Some((name, _)) if is_variable(name) => variables.push(name),
            _ => break,
        }
        rest = behind;
    }
    // As another user, or in a container.
    if let [sudo, flag, _, ..] = rest
        && (sudo.as_str(), flag.as_str()) == ("sudo", "-u")
    {
        rest = &rest[3..];
    }
    if let Some(first) = rest.first()
        && ["kubectl", "docker"].contains(&first.as_str())
        && let Some(at) = rest.iter().position(|word| word == "--")
    {
        rest = &rest[at + 1..];
    }
    if let Some((first, arguments)) = rest.split_first()
        && ["calve", "/usr/local/bin/calve"].contains(&first.as_str())
    {
        return (variables, Some(arguments));
    }
    if rest.starts_with(&["cargo".to_owned(), "run".to_owned()])
        && let Some(at) = rest.iter().position(|word| word == "--")
    {
        return (variables, Some(&rest[at + 1..]));
    }
    (variables, None)
}

/// The names of the files in all folders `dataflows`: the program's own, and those of examples.
fn dataflows() -> Vec<String> {
    let sources = files(&root(), ".rs").into_iter();
    let in_folder =
        sources.filter(|path| path.parent().is_some_and(|at| at.ends_with("dataflows")));
    let names = in_folder.filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()));
    names.collect()
}

/// What is wrong with the words behind `calve`. A `fragment` may leave out what is required.
fn fault(words: &[String], fragment: bool) -> Option<String> {
    if let Err(error) = cli::parse(words) {
        let incomplete = [
            ErrorKind::MissingRequiredArgument,
            ErrorKind::MissingSubcommand,
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
        ];
        let is_help = [ErrorKind::DisplayHelp, ErrorKind::DisplayVersion].contains(&error.kind());
        // Prose names a flag without its value.
        let is_named = words.last().is_some_and(|word| word.starts_with("--"))
            && error.to_string().contains("a value is required");
        if !is_help && !(fragment && (is_named || incomplete.contains(&error.kind()))) {
            return Some(error.to_string());
        }
    }
    if let [run, dataflow, ..] = words
        && run == "run"
        && !dataflow.starts_with('-')
        && !(fragment && dataflow == "NAME")
        && !dataflows().contains(dataflow)
    {
        return Some(format!("there is no dataflow {dataflow}"));
    }
    let flags = words.windows(2).filter(|pair| pair[0] == "--set");
    let flags = flags.filter(|pair| !pair[1].contains('…') && pair[1] != "KEY=VALUE");
    let flags = flags.map(|pair| Layers::parse_flag(&pair[1]));
    let flags = match flags.collect::<crate::Result<Vec<_>>>() {
        Ok(flags) => flags,
        Err(error) => return Some(error.to_string()),
    };
    let layers = Layers {
        flags,
        ..Layers::default()
    };
    config::load(&layers).err().map(|error| error.to_string())
}

#[test]
fn every_command_line_can_be_typed() {
    let mut faults = Vec::new();
    let mut seen = 0;
    for page in pages() {
        for block in page.blocks() {
            let is_shell = ["sh", "bash"].contains(&block.language.as_str());
            // Within lines that belong together, as the shell sees them.
            let text = block.text.replace("\\\n", "  ");
            for line in text.lines() {
                let typed = line.trim_start().strip_prefix("$ ");
                let line = match (typed, is_shell) {
                    (Some(typed), _) => typed,
                    (None, true) => line,
                    (None, false) => continue,
                };
                for words in commands(line) {
                    let (variables, arguments) = of_calve(&words);
                    let exported = words[0] == "export";
                    for name in variables {
                        let counts = arguments.is_some() || exported;
                        if counts && !FOREIGN.contains(&name) && !config::is_variable(name) {
                            faults.push(format!(
                                "{}: {line}: {name} is no variable of calve's",
                                page.at(block.line)
                            ));
                        }
                    }
                    if let Some(arguments) = arguments {
                        seen += 1;
                        if let Some(fault) = fault(arguments, false) {
                            faults.push(format!("{}: {line}: {fault}", page.at(block.line)));
                        }
                    }
                }
            }
        }
        for (line, code) in page.code() {
            if code.starts_with("calve ") {
                for words in commands(code) {
                    seen += 1;
                    if let (_, Some(arguments)) = of_calve(&words)
                        && let Some(fault) = fault(arguments, true)
                    {
                        faults.push(format!("{}: `{code}`: {fault}", page.at(line)));
                    }
                }
            }
        }
    }
    assert!(seen > 60, "{seen} command lines");
    assert_none(&faults);
}

#[test]
fn a_command_that_can_not_be_typed_is_seen() {
    let words = |line: &str| commands(line).remove(0);
    let wrong = |line: &str| {
        let words = words(line);
        let (_, arguments) = of_calve(&words);
        fault(arguments.expect("one of calve's"), false)
    };
    for good in [
        "calve run -w 6 --bounded  # to the ends",
        "sudo -u calve calve verify --key 'a,b' > report.txt",
        "KAFKA_TOPIC=t calve run dedup --set dedup.key=sample_id",
        "cargo run --release -- demo --crash",
    ] {
        assert_eq!(wrong(good), None, "{good}");
    }
    for bad in [
        "calve run --workers 6",
        "calve run twice",
        "calve run --set batch.sise=1",
        "calve run --set on-gap=maybe",
        "calve migrate flink",
    ] {
        assert!(wrong(bad).is_some(), "{bad}");
    }
    assert_eq!(
        commands("a 'b c' && d \"e\" | f # g"),
        [vec!["a", "b c"], vec!["d", "e"], vec!["f"]]
    );
}
