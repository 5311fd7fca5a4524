//! What is reported: five checks, each of several items with a verdict, evidence, and what to do about it.

use std::fmt;

use serde::Serialize;

/// How an item, or a check, ended; the worst one last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It could not be looked at, because of something else that is reported.
    Unchecked,
    /// It is as it should be.
    Pass,
    /// It works, but somebody should know.
    Warn,
    /// It does not hold.
    Fail,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Unchecked => "-",
            Self::Pass => "PASS",
            Self::Warn => "WARN",
            Self::Fail => "FAIL",
        })
    }
}

/// The five checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// When checkpoints are made, and what they keep.
    Checkpoint,
    /// How Kafka is read.
    Kafka,
    /// What is written to, and whether its swap can be trusted.
    Iceberg,
    /// What the table itself proves.
    ExactlyOnce,
    /// How source, checkpoint and sink fit together.
    Summary,
}

impl Check {
    /// Its name.
    pub fn title(self) -> &'static str {
        match self {
            Self::Checkpoint => "Checkpoint Configuration",
            Self::Kafka => "Kafka Source Configuration",
            Self::Iceberg => "Iceberg Sink Configuration",
            Self::ExactlyOnce => "Exactly-Once Guarantee",
            Self::Summary => "Configuration Summary",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Item {
    /// What it is about.
    pub title: &'static str,
    /// How it ended.
    pub verdict: Verdict,
    /// What was seen.
    pub evidence: String,
    /// Places, and whatever else is worth a line of its own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<String>,
    /// What to do about it; every warning and every failure has some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

impl Item {
    fn new(
        title: &'static str,
        verdict: Verdict,
        evidence: String,
        advice: Option<String>,
    ) -> Self {
        Self {
            title,
            verdict,
            evidence,
            details: Vec::new(),
            advice,
        }
    }

    /// It is as it should be.
    pub fn pass(title: &'static str, evidence: impl Into<String>) -> Self {
        Self::new(title, Verdict::Pass, evidence.into(), None)
    }

    /// It works, but this should be known, and this can be done.
    pub fn warn(
        title: &'static str,
        evidence: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self::new(title, Verdict::Warn, evidence.into(), Some(advice.into()))
    }

    /// It does not hold; this is to be done.
    pub fn fail(
        title: &'static str,
        evidence: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self::new(title, Verdict::Fail, evidence.into(), Some(advice.into()))
    }

    /// It can't be told, for this reason.
    pub fn unchecked(title: &'static str, why: impl Into<String>) -> Self {
        Self::new(title, Verdict::Unchecked, why.into(), None)
    }

    /// With these lines below it.
    #[must_use]
    pub fn details(mut self, details: Vec<String>) -> Self {
        self.details = details;
        self
    }
}

/// One of the five checks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Section {
    /// Which.
    pub check: Check,
    /// The worst verdict of its items.
    pub verdict: Verdict,
    /// What was looked at.
    pub items: Vec<Item>,
}

impl Section {
    /// Of these items.
    pub fn new(check: Check, items: Vec<Item>) -> Self {
        let worst = items.iter().map(|item| item.verdict).max();
        Self {
            check,
            verdict: worst.unwrap_or(Verdict::Unchecked),
            items,
        }
    }
}

/// All five.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    /// The pipeline.
    pub pipeline: String,
    /// The table.
    pub table: String,
    /// The worst verdict of the checks.
    pub verdict: Verdict,
    /// The checks.
    pub checks: Vec<Section>,
}

impl Report {
    /// How many items ended so.
    pub fn count(&self, verdict: Verdict) -> usize {
        let items = self.checks.iter().flat_map(|section| &section.items);
        items.filter(|item| item.verdict == verdict).count()
    }
}
