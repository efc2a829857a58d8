//! Who is tested: a loss, what it reads, and what is claimed of it.

use burn::tensor::Device;

use crate::{loss::Loss, property::Property};

/// The kind of data that a loss learns from; it decides which batches are made and which laws there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Two responses an item, the chosen one first.
    Pairs,
    /// One response an item, and the item's column `desirable`: 1 or 0.
    Singles,
    /// Two to four responses an item, not the same number in each, and the responses' column `scores`, with ties.
    Lists,
    /// One to four sampled responses to a prompt, not the same number in each item, with the responses' column `rewards`, in
    /// which ties are common. Rows are responses, and losses are those of rows.
    Rollouts,
}

impl Family {
    /// How many responses an item has at least.
    pub(crate) fn num_responses(self) -> usize {
        match self {
            Family::Singles | Family::Rollouts => 1,
            Family::Pairs | Family::Lists => 2,
        }
    }
}

/// The numbers that a column may hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Range {
    /// Between two bounds.
    Real(f64, f64),
    /// Between 0 and 1.
    Unit,
    /// Between 0 and a bound, 0 now and then.
    NonNegative(f64),
    /// 0 or 1.
    Binary,
    /// A whole number below this one.
    Id(u32),
    /// One of five numbers between two bounds: ties are common.
    Coarse(f64, f64),
    /// One number for each token, between two bounds.
    Tokens(f64, f64),
    /// One log-probability for each token, mostly near the policy's.
    Logps,
}

impl Range {
    /// The least and the largest number.
    pub(crate) fn ends(self) -> (f64, f64) {
        match self {
            Range::Real(low, high) | Range::Coarse(low, high) | Range::Tokens(low, high) => (low, high),
            Range::Logps => (-4.0, 0.0),
            Range::Unit | Range::Binary => (0.0, 1.0),
            Range::NonNegative(high) => (0.0, high),
            Range::Id(count) => (0.0, f64::from(count.saturating_sub(1))),
        }
    }
}

/// A named column and its range.
pub type Column = (&'static str, Range);

/// A loss under test.
#[derive(Clone)]
pub struct Subject<'a> {
    pub(crate) name: String,
    pub(crate) family: Family,
    pub(crate) loss: &'a dyn Loss,
    pub(crate) device: Option<Device>,
    pub(crate) columns: Vec<Column>,
    pub(crate) response_columns: Vec<Column>,
    pub(crate) token_columns: Vec<Column>,
    pub(crate) hooks: Vec<Column>,
    pub(crate) properties: Vec<Property>,
    pub(crate) exceptions: Vec<(&'static str, &'static str)>,
}

impl<'a> Subject<'a> {
    fn new(name: impl Into<String>, family: Family, loss: &'a dyn Loss) -> Self {
        Self {
            name: name.into(),
            family,
            loss,
            device: None,
            columns: Vec::new(),
            response_columns: Vec::new(),
            token_columns: Vec::new(),
            hooks: vec![("weights", Range::NonNegative(2.0))],
            properties: Vec::new(),
            exceptions: Vec::new(),
        }
    }

    /// A loss on pairs that honors the hooks `weights`, `label_probs` and `margins`.
    pub fn pairwise(name: impl Into<String>, loss: &'a dyn Loss) -> Self {
        let mut subject = Self::new(name, Family::Pairs, loss);
        subject.hooks.push(("label_probs", Range::Unit));
        subject.hooks.push(("margins", Range::Real(-1.0, 1.0)));
        subject
    }

    /// A loss on single responses, each of them desirable or not, that honors the hook `weights`.
    pub fn unpaired(name: impl Into<String>, loss: &'a dyn Loss) -> Self {
        Self::new(name, Family::Singles, loss).column("desirable", Range::Binary)
    }

    /// A loss on lists of candidates with scores that honors the hook `weights`.
    pub fn listwise(name: impl Into<String>, loss: &'a dyn Loss) -> Self {
        Self::new(name, Family::Lists, loss).response_column("scores", Range::Unit)
    }

    /// A loss on rollouts, in the sense of [`Family::Rollouts`], that reads the rewards of responses and, under the name
    /// `old`, the log-probabilities of their tokens when they were sampled.
    pub fn rollouts(name: impl Into<String>, loss: &'a dyn Loss) -> Self {
        let mut subject = Self::new(name, Family::Rollouts, loss);
        subject.hooks.clear();
        subject.response_column("rewards", Range::Coarse(-1.0, 1.0)).response_column("old", Range::Logps)
    }

    /// An estimator of advantages, as the loss `Σ −A log π` of rollouts: whatever holds of that, holds of the advantages.
    /// Reads the rewards of responses.
    pub fn advantages(name: impl Into<String>, loss: &'a dyn Loss) -> Self {
        let mut subject = Self::rollouts(name, loss);
        subject.token_columns.clear();
        subject
    }

    /// Runs on this device, which must know f64; on burn's default device without it.
    pub fn on(mut self, device: Device) -> Self {
        self.device = Some(device);
        self
    }

    /// The loss reads one more number of each item. A hook of this name is none any more: every batch has it.
    pub fn column(mut self, name: &'static str, range: Range) -> Self {
        self.hooks.retain(|(known, _)| *known != name);
        self.columns.retain(|(known, _)| *known != name);
        self.columns.push((name, range));
        self
    }

    /// The loss reads one more number of each response, or of each of its tokens where the range says so.
    pub fn response_column(mut self, name: &'static str, range: Range) -> Self {
        self.response_columns.retain(|(known, _)| *known != name);
        self.token_columns.retain(|(known, _)| *known != name);
        match range {
            Range::Tokens(..) | Range::Logps => self.token_columns.push((name, range)),
            _ => self.response_columns.push((name, range)),
        }
        self
    }

    /// The loss honors one more hook: a column of each item that a batch may have or not, `betas` for instance.
    pub fn hook(mut self, name: &'static str, range: Range) -> Self {
        self.hooks.retain(|(known, _)| *known != name);
        self.hooks.push((name, range));
        self
    }

    /// Claims a property, which becomes a law. [`Property::NoHook`] also takes the hook away.
    pub fn declare(mut self, property: Property) -> Self {
        if let Property::NoHook(name) = property {
            self.hooks.retain(|(known, _)| *known != name);
        }
        self.properties.push(property);
        self
    }

    /// Leaves out a law, for a reason that every report prints.
    pub fn except(mut self, law: &'static str, reason: &'static str) -> Self {
        self.exceptions.push((law, reason));
        self
    }

    pub(crate) fn declares(&self, property: Property) -> bool {
        self.properties.contains(&property)
    }

    /// Whether a column of tokens carries a gradient.
    pub(crate) fn learns(&self, column: &str) -> bool {
        let says = |property: &Property| match property {
            Property::EntropyBonus(_) => column == "entropies",
            Property::Learns(name) => column == *name,
            _ => false,
        };
        self.properties.iter().any(says)
    }

    /// Whether nothing that an item's loss is made of belongs to another item.
    pub(crate) fn has_independent_items(&self) -> bool {
        self.family != Family::Rollouts && !self.declares(Property::BatchStatistics)
    }

    pub(crate) fn honors(&self, hook: &str) -> bool {
        self.hooks.iter().any(|(name, _)| *name == hook)
    }

    pub(crate) fn device(&self) -> Device {
        self.device.clone().unwrap_or_default().without_autodiff()
    }
}

impl std::fmt::Debug for Subject<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.debug_struct("Subject").field("name", &self.name).field("family", &self.family).finish_non_exhaustive()
    }
}
