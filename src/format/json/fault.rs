//! Why a record can't be decoded, and in which column.

use std::fmt;

/// A reason and the path to the value it is about. Boxed: the good path pays a pointer for it.
pub(super) struct Fault(Box<Inner>);

struct Inner {
    reason: String,
    /// From the inside out, as the call stack unwinds.
    path: Vec<Step>,
}

enum Step {
    Field(String),
    Index(usize),
    Key(String),
}

/// What every function that reads JSON gives back.
pub(super) type Outcome<T = ()> = Result<T, Fault>;

impl Fault {
    #[cold]
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            reason: reason.into(),
            path: Vec::new(),
        }))
    }

    /// The fault is in the field `name`.
    #[cold]
    pub(super) fn in_field(mut self, name: &str) -> Self {
        self.0.path.push(Step::Field(name.to_owned()));
        self
    }

    /// The fault is in a list's element.
    #[cold]
    pub(super) fn at_index(mut self, index: usize) -> Self {
        self.0.path.push(Step::Index(index));
        self
    }

    /// The fault is in a map's value.
    #[cold]
    pub(super) fn at_key(mut self, key: &[u8]) -> Self {
        self.0
            .path
            .push(Step::Key(super::super::reject::excerpt(key, 40)));
        self
    }
}

/// `column "device.tags[3]": expected string, found number 12`
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { reason, path } = &*self.0;
        if !path.is_empty() {
            f.write_str("column \"")?;
            for (index, step) in path.iter().rev().enumerate() {
                match step {
                    Step::Field(name) if index == 0 => f.write_str(name)?,
                    Step::Field(name) => write!(f, ".{name}")?,
                    Step::Index(index) => write!(f, "[{index}]")?,
                    Step::Key(key) => write!(f, "[{key:?}]")?,
                }
            }
            f.write_str("\": ")?;
        }
        f.write_str(reason)
    }
}
