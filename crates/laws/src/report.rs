//! What came of a check: which laws ran on how many cases, or which one does not hold and where.

use std::fmt;

use crate::batch::Batch;

/// A law that ran.
#[derive(Debug, Clone, PartialEq)]
pub struct Ran {
    /// Its name.
    pub law: String,
    /// How many batches it held on.
    pub cases: u32,
    /// How many more were put aside because they could not decide: too near a kink, or without anything to compare.
    pub put_aside: u32,
}

/// The laws that a loss obeys.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// The loss.
    pub subject: String,
    /// What ran.
    pub laws: Vec<Ran>,
    /// The laws that were left out on request, each with the reason.
    pub exceptions: Vec<(String, String)>,
}

impl Report {
    /// How many batches were tested in all.
    pub fn cases(&self) -> u32 {
        self.laws.iter().map(|ran| ran.cases).sum()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}: {} laws, {} cases", self.subject, self.laws.len(), self.cases())?;
        self.exceptions.iter().try_for_each(|(law, reason)| write!(f, "; not \"{law}\": {reason}"))
    }
}

/// A law that does not hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Violation {
    /// The loss.
    pub subject: String,
    /// The law.
    pub law: String,
    /// The smallest batch found that breaks it; none when no batch decided.
    pub input: Option<Batch>,
    /// What the law demands there.
    pub expected: String,
    /// What came.
    pub got: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        writeln!(f, "`{}` breaks the law \"{}\"", self.subject, self.law)?;
        writeln!(f, "expected: {}", self.expected)?;
        write!(f, "got:      {}", self.got)?;
        self.input.iter().try_for_each(|batch| write!(f, "\non the batch (shrunk)\n{batch}"))
    }
}

impl std::error::Error for Violation {}

/// Two things that should agree and do not.
#[derive(Debug, Clone, PartialEq)]
pub struct Disagreement {
    /// What should have come.
    pub expected: String,
    /// What came.
    pub got: String,
}

impl Disagreement {
    pub(crate) fn new(expected: impl Into<String>, got: impl Into<String>) -> Self {
        Self { expected: expected.into(), got: got.into() }
    }
}
