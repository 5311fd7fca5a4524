//! `calve config`.

use std::fmt::Write as _;

use serde::Serialize;

use super::args::ConfigArgs;
use super::table::{Paint, Shade, print, print_json};
use crate::config::{self, Effective, Explanation, Place, Settings, Unused};
use crate::error::Result;
use crate::runtime::table;

pub(super) fn run(args: &ConfigArgs) -> Result<()> {
    let layers = args.settings.layers(Vec::new())?;
    if let Some(name) = &args.explain {
        let explanation = config::explain(name, &layers)?;
        match args.json {
            true => print_json(&explanation)?,
            false => print(&explained(&explanation, Paint::for_stdout()))?,
        }
        return explanation.faults;
    }
    let settings = config::load(&layers)?;
    table::declared(&settings)?;
    match args.json {
        true => print_json(&Listing {
            settings: settings.effective(),
            unused: settings.unused(),
        }),
        false => print(&listed(&settings, Paint::for_stdout())),
    }
}

/// `calve config --json`.
#[derive(Serialize)]
struct Listing<'a> {
    settings: Vec<Effective>,
    /// Of Flink's file.
    unused: &'a [Unused],
}

/// What somebody has set stands out from what nobody has.
fn listed(settings: &Settings, paint: Paint) -> String {
    let effective = settings.effective();
    let width = effective.iter().map(|e| e.key.len()).max().unwrap_or(0);
    let mut text = String::new();
    for setting in &effective {
        let (key, layer) = (&setting.key, &setting.layer);
        let line = match &setting.value {
            Some(value) => format!("{key:width$}  {value}  ({layer})"),
            None => format!("{key:width$}  -  (not set)"),
        };
        let line = match layer {
            Place::Default => paint.apply(Shade::Faint, &line),
            _ => line,
        };
        text.push_str(&line);
        text.push('\n');
    }
    let remarks = remarks(settings.unused());
    if !remarks.is_empty() {
        text.push_str("\nOf Flink's file, what is not used:\n");
    }
    for (because, keys) in remarks {
        let keys = keys.iter().map(|unused| {
            let (key, place) = (&unused.key, &unused.place);
            format!("      {key}  ({place})\n")
        });
        let _ = write!(text, "  {because}\n{}", keys.collect::<String>());
    }
    text
}

/// Keys of one Flink file by the reason why they are not used, the reasons in the order of their first keys.
fn remarks(unused: &[Unused]) -> Vec<(&str, Vec<&Unused>)> {
    let mut remarks: Vec<(&str, Vec<&Unused>)> = Vec::new();
    for one in unused {
        match remarks
            .iter_mut()
            .find(|(because, _)| *because == one.because)
        {
            Some((_, keys)) => keys.push(one),
            None => remarks.push((&one.because, vec![one])),
        }
    }
    remarks
}

/// Says in the log, once, what a Flink file asks for and nobody does.
pub(super) fn tell_unused(settings: &Settings) {
    for (because, keys) in remarks(settings.unused()) {
        let known = keys.iter().all(|unused| unused.known);
        let names: Vec<String> = keys.iter().map(|unused| unused.key.clone()).collect();
        let (keys, place) = (names.join(", "), &keys[0].place);
        match known {
            true => tracing::info!(keys, from = %place, "not needed of Flink's file: {because}"),
            false => tracing::warn!(keys, from = %place, "not used of Flink's file: {because}"),
        }
    }
}

/// For people: the value, the meaning, the names, and below them who said what.
fn explained(explanation: &Explanation, paint: Paint) -> String {
    let key = explanation.key.clone();
    let (said, remark) = match (&explanation.value, &explanation.layer) {
        (Some(value), Some(layer)) => (format!("{key} = {value}"), format!("({layer})")),
        _ if explanation.is_setting => (key, "(not set)".to_owned()),
        _ => (key, "(a setting of Flink's, none of calve's)".to_owned()),
    };
    let (said, remark) = (
        paint.apply(Shade::Strong, &said),
        paint.apply(Shade::Faint, &remark),
    );
    let mut text = format!("{said}  {remark}\n\n");
    for line in &explanation.meaning {
        let _ = writeln!(text, "  {line}");
    }
    text.push('\n');
    let mut line = |name: &str, value: &str| {
        let name = paint.apply(Shade::Faint, &format!("{name:12}"));
        let _ = writeln!(text, "  {name}  {value}");
    };
    if let Some(expects) = &explanation.expects {
        line("value", expects);
    }
    if let Some(default) = &explanation.default {
        line("default", default);
    }
    if let Some(example) = &explanation.example {
        line("example", example);
    }
    let mut several = |name: &str, values: &[String]| {
        for (index, value) in values.iter().enumerate() {
            line(if index == 0 { name } else { "" }, value);
        }
    };
    several("environment", &explanation.variables);
    several("Flink", &explanation.flink);
    several("unlike Flink", &explanation.differs);
    let width = explanation
        .layers
        .iter()
        .map(|said| said.value.chars().count());
    let width = width.max().unwrap_or(0);
    for (index, said) in explanation.layers.iter().enumerate() {
        let name = if index == 0 { "said by" } else { "" };
        let (value, layer) = (&said.value, &said.layer);
        let verdict = match said.in_force {
            true => format!("  {}", paint.apply(Shade::Strong, "← in force")),
            false => String::new(),
        };
        line(name, &format!("{value:width$}  {layer}{verdict}"));
    }
    text
}
