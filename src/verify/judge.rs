//! Facts → report. Nothing here asks anybody.

mod checkpoint;
mod exactly_once;
mod iceberg;
mod kafka;
mod summary;

use super::facts::{Facts, Trouble, Work};
use super::report::{Check, Item, Report, Section};

/// Judges. What each item passes by, and when it warns or fails, stands at the check's own function.
pub fn judge(facts: &Facts) -> Report {
    let checks = vec![
        Section::new(Check::Checkpoint, checkpoint::items(facts)),
        Section::new(Check::Kafka, kafka::items(facts)),
        Section::new(Check::Iceberg, iceberg::items(facts)),
        Section::new(Check::ExactlyOnce, exactly_once::items(facts)),
        Section::new(Check::Summary, summary::items(facts)),
    ];
    let worst = checks.iter().map(|section| section.verdict).max();
    Report {
        pipeline: facts.settings.pipeline.name.clone(),
        table: facts.table_name.clone(),
        verdict: worst.unwrap_or(super::Verdict::Unchecked),
        checks,
    }
}

/// A failure, in the words of the error.
fn failed(title: &'static str, trouble: &Trouble, otherwise: &str) -> Item {
    let advice = trouble.remedy.clone().unwrap_or(otherwise.to_owned());
    Item::fail(title, trouble.says.clone(), advice)
}

/// What can't be told without `work`, which is reported elsewhere.
fn without<T>(title: &'static str, work: &Work<T>, what: &str) -> Item {
    match work {
        Work::Omitted(why) => Item::unchecked(title, *why),
        Work::Failed(_) | Work::Done(_) => {
            Item::unchecked(title, format!("needs {what}, see there"))
        }
    }
}
