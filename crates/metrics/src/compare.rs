//! Two scores per item, compared: the counts below [`crate::accuracy`] and [`crate::win_rate`].

use std::cmp::Ordering;

use crate::error::{Result, check_len, check_values};

/// How often the first score is the higher, the same or the lower one.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Counts {
    pub(crate) wins: usize,
    pub(crate) ties: usize,
    pub(crate) losses: usize,
}

impl Counts {
    pub(crate) fn add(&mut self, outcome: Ordering) {
        match outcome {
            Ordering::Greater => self.wins += 1,
            Ordering::Equal => self.ties += 1,
            Ordering::Less => self.losses += 1,
        }
    }

    pub(crate) fn total(&self) -> usize {
        self.wins + self.ties + self.losses
    }
}

impl FromIterator<Ordering> for Counts {
    fn from_iter<I: IntoIterator<Item = Ordering>>(outcomes: I) -> Self {
        let mut counts = Self::default();
        outcomes.into_iter().for_each(|outcome| counts.add(outcome));
        counts
    }
}

/// The outcome of each item, once both slices are known to be as long as each other, not empty and finite.
pub(crate) fn compare<'a>(
    (first_name, first): (&'static str, &'a [f64]),
    (second_name, second): (&'static str, &'a [f64]),
) -> Result<impl Iterator<Item = Ordering> + 'a> {
    check_len(second_name, second.len(), first_name, first.len())?;
    check_values(first_name, first)?;
    check_values(second_name, second)?;
    // Not `total_cmp`, which puts -0 below 0.
    Ok(first.iter().zip(second).map(|(a, b)| a.partial_cmp(b).expect("both scores were checked to be finite")))
}
