//! `calve verify`.

use std::fmt::Write as _;

use super::args::VerifyArgs;
use super::table::{self, Paint, Shade, wrapped};
use crate::error::{Error, Result};
use crate::verify::{self, Item, Options, Report, Verdict};

/// Evidence and advice are wrapped, so that a line has about so many letters.
const WIDTH: usize = 110;

pub(super) fn run(args: &VerifyArgs) -> Result<()> {
    let (settings, runtime) = table::prepare(&args.settings)?;
    let options = Options {
        probe: !args.no_probe,
        key: args.key.clone(),
    };
    let facts = runtime.block_on(verify::observe(&settings, &options))?;
    let report = verify::judge(&facts);
    if args.json {
        table::print_json(&report)?;
    } else {
        table::print(&text(&report, Paint::for_stdout()))?;
    }
    let limit = match args.strict {
        true => Verdict::Warn,
        false => Verdict::Fail,
    };
    match report.verdict < limit {
        true => Ok(()),
        false => Err(Error::unverified(match report.count(Verdict::Fail) {
            0 => format!(
                "{} (--strict)",
                items(report.count(Verdict::Warn), "warns", "warn")
            ),
            failed => items(failed, "fails", "fail"),
        })),
    }
}

fn items(number: usize, one: &str, more: &str) -> String {
    match number {
        1 => format!("1 item {one}"),
        number => format!("{number} items {more}"),
    }
}

/// For people: each check under its verdict, an item a line, and below it what to do.
fn text(report: &Report, paint: Paint) -> String {
    let mut text = format!("Pipeline {}, table {}\n", report.pipeline, report.table);
    for section in &report.checks {
        let titles = section.items.iter().map(|item| item.title.len());
        let width = titles.max().unwrap_or(0);
        let title = paint.apply(Shade::Strong, section.check.title());
        let _ = writeln!(text, "\n{}  {title}", verdict(section.verdict, paint));
        for item in &section.items {
            line(&mut text, item, width, paint);
        }
    }
    let count = |verdict| report.count(verdict);
    let _ = writeln!(
        text,
        "\n{}: {} passed, {} warned, {} failed, {} could not be looked at",
        verdict(report.verdict, paint).trim_end(),
        count(Verdict::Pass),
        count(Verdict::Warn),
        count(Verdict::Fail),
        count(Verdict::Unchecked),
    );
    text
}

fn line(text: &mut String, item: &Item, width: usize, paint: Paint) {
    // Two for the margin, four for the verdict, two on each side of the title.
    let margin = 2 + 4 + 2 + width + 2;
    let indent = " ".repeat(margin);
    let room = WIDTH.saturating_sub(margin).max(40);
    let evidence = wrapped(&item.evidence, room, &indent);
    let title = item.title;
    let _ = writeln!(
        text,
        "  {}  {title:width$}  {evidence}",
        verdict(item.verdict, paint)
    );
    for detail in &item.details {
        let detail = wrapped(detail, room, &format!("{indent}  "));
        let _ = writeln!(text, "{indent}{}", paint.apply(Shade::Faint, &detail));
    }
    if let Some(advice) = &item.advice {
        let advice = wrapped(advice, room - 2, &format!("{indent}  "));
        let _ = writeln!(text, "{indent}→ {advice}");
    }
}

fn verdict(verdict: Verdict, paint: Paint) -> String {
    let shade = match verdict {
        Verdict::Pass => Shade::Good,
        Verdict::Warn => Shade::Doubtful,
        Verdict::Fail => Shade::Bad,
        Verdict::Unchecked => Shade::Faint,
    };
    paint.apply(shade, &format!("{verdict:4}"))
}
