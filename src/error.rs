//! One error type for the whole program: what happened, what was not lost, what to do.
//!
//! Every failure a user can meet ends here. [`Kind`] says whose turn it is and fixes the exit code,
//! so that a supervisor can tell "restart me" from "a person must look".

use std::fmt;

/// Whose turn it is to act; each kind has its own exit code.
///
/// | kind | exit code | a restart helps |
/// |---|---|---|
/// | [`Kind::Config`] | 2 | no: a setting is wrong |
/// | [`Kind::Data`] | 3 | no: a record can't be decoded, or the table does not fit |
/// | [`Kind::External`] | 4 | yes, once the service answers again |
/// | [`Kind::Fenced`] | 5 | no: a newer process runs this pipeline |
/// | [`Kind::Diverged`] | 6 | no: table or topic are not what the marker says |
/// | [`Kind::Unverified`] | 7 | no: a check of `calve verify` failed, or `calve status` found a pipeline not well |
/// | [`Kind::Internal`] | 70 | perhaps: a defect of calve |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A setting is missing, unknown or contradicts another one.
    Config,
    /// Data does not fit: an undecodable record, an incompatible table schema.
    Data,
    /// Kafka, the catalog or the warehouse did not do what was asked.
    External,
    /// Another process has claimed a higher generation of this pipeline.
    Fenced,
    /// The table or the topic were changed under the pipeline (rollback, recreation, lost offsets).
    Diverged,
    /// A check of `calve verify` failed, or `calve status` found a pipeline not well.
    Unverified,
    /// A defect in calve itself.
    Internal,
}

impl Kind {
    /// All of them, by their exit codes.
    pub const ALL: [Kind; 7] = [
        Kind::Config,
        Kind::Data,
        Kind::External,
        Kind::Fenced,
        Kind::Diverged,
        Kind::Unverified,
        Kind::Internal,
    ];

    /// The name of its heading in `docs/troubleshooting.md`.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Config => "setting",
            Kind::Data => "data",
            Kind::External => "service",
            Kind::Fenced => "fenced",
            Kind::Diverged => "diverged",
            Kind::Unverified => "unverified",
            Kind::Internal => "defect",
        }
    }

    /// True if errors of this kind stay what they are until a person acts.
    fn is_permanent(self) -> bool {
        match self {
            Kind::Config | Kind::Data | Kind::Fenced | Kind::Diverged | Kind::Unverified => true,
            Kind::External | Kind::Internal => false,
        }
    }

    /// The process exit code for this kind.
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::Config => 2,
            Kind::Data => 3,
            Kind::External => 4,
            Kind::Fenced => 5,
            Kind::Diverged => 6,
            Kind::Unverified => 7,
            Kind::Internal => 70,
        }
    }
}

/// An error with its remedy.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    message: String,
    advice: Option<String>,
    permanent: bool,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The result of everything that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            advice: None,
            permanent: kind.is_permanent(),
            source: None,
        }
    }

    /// A wrong or missing setting.
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(Kind::Config, message)
    }

    /// Data that does not fit.
    pub fn data(message: impl Into<String>) -> Self {
        Self::new(Kind::Data, message)
    }

    /// A service that failed.
    pub fn external(message: impl Into<String>) -> Self {
        Self::new(Kind::External, message)
    }

    /// This process is a zombie.
    pub fn fenced(message: impl Into<String>) -> Self {
        Self::new(Kind::Fenced, message)
    }

    /// Table or topic are not what the marker says.
    pub fn diverged(message: impl Into<String>) -> Self {
        Self::new(Kind::Diverged, message)
    }

    /// What was to be verified does not hold.
    pub fn unverified(message: impl Into<String>) -> Self {
        Self::new(Kind::Unverified, message)
    }

    /// A defect of calve.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Kind::Internal, message)
    }

    /// Puts in front of the message where the fault stands.
    #[must_use]
    pub fn at(mut self, place: impl fmt::Display) -> Self {
        self.message = format!("{place}: {}", self.message);
        self
    }

    /// Adds what to do about it: a command, a setting, a place to look.
    #[must_use]
    pub fn advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// Adds what to do about it, unless that is said already.
    #[must_use]
    pub fn or_advice(mut self, advice: impl Into<String>) -> Self {
        self.advice.get_or_insert_with(|| advice.into());
        self
    }

    /// Adds the underlying cause.
    #[must_use]
    pub fn caused_by(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What happened, and why, without the advice.
    pub fn says(&self) -> String {
        let mut text = self.message.clone();
        let mut cause = self.source.as_deref().map(|s| s as &dyn std::error::Error);
        while let Some(error) = cause {
            text.push_str(&format!(": {error}"));
            cause = error.source();
        }
        text
    }

    /// What a process that ends with it says last: where all that is known of such errors is written, too.
    pub fn last_words(&self) -> String {
        format!(
            "error: {self}\n  (exit code {}: docs/troubleshooting.md#{})",
            self.kind.exit_code(),
            self.kind.name()
        )
    }

    /// What to do about it, if anybody knows.
    pub fn remedy(&self) -> Option<&str> {
        self.advice.as_deref()
    }

    /// Whose turn it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// True if starting again can't help: a person must act first. By default the kind decides.
    pub fn is_permanent(&self) -> bool {
        self.permanent
    }

    /// Makes a start from within worth a try, whatever the kind says: the next start decides anew
    /// about what was found.
    #[must_use]
    pub fn restartable(mut self) -> Self {
        self.permanent = false;
        self
    }
}

/// `message`, then `: cause` for each cause that adds something, then the advice on its own line.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.says())?;
        if let Some(advice) = &self.advice {
            write!(f, "\n  → {advice}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}
