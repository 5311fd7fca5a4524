//! What the program can do without a line about it.

use std::process::{Command, Output};

fn own_operator(args: &[&str]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_own-operator"));
    // Settings come from the environment, too.
    program.env_clear().args(args).output().expect("it runs")
}

fn said(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8(text).expect("text")
}

#[test]
fn it_has_the_command_line_of_calve_and_names_its_own_dataflow() {
    let help = said(&own_operator(&["run", "--help"]));
    for text in [
        "Usage: own-operator run",
        "--bounded",
        "sessions: Number the sessions of each user",
        "own.session-gap",
    ] {
        assert!(help.contains(text), "{text} is not in\n{help}");
    }
    let script = said(&own_operator(&["completions", "bash"]));
    assert!(script.contains("default own-operator\n"), "{script}");
}

#[test]
fn a_setting_of_its_own_that_nobody_reads_is_refused_with_the_nearest_name() {
    let needed =
        "kafka.brokers=k:1 kafka.topic=t catalog.uri=sqlite:///c warehouse=/w table.name=t";
    let mut args = vec!["run", "--set", "own.session-gab=1h"];
    for setting in needed.split(' ') {
        args.extend(["--set", setting]);
    }
    let refused = own_operator(&args);
    assert_eq!(refused.status.code(), Some(2));
    let said = said(&refused);
    assert!(said.contains("did you mean `own.session-gap`?"), "{said}");
}
