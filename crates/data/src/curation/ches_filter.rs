//! CHES filtering: pairs whose sides look alike to the model go.
//!
//! **Paper:** Unintentional Unalignment: Likelihood Displacement in Direct Preference Optimization (2024), 2410.08847.
//! **Use when:** the log-probability of chosen responses falls during training and what rises instead is worse.
//! **Deviations:** none; the score, `⟨S⁺, S⁻⟩ − ‖S⁺‖²` of summed hidden states, comes from the model. For filtering
//! take the length-normalized one.

use serde::Serialize;
use serde_json::Value;

use super::{
    column::Column,
    numbers::{check_share, descending, quantile},
    operator::{Curated, Operator, options_of, sift},
};
use crate::Result;

/// How many pairs stay.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub enum ChesKeep {
    /// All but this share of the scored ones, rounded, in `[0, 1]`; the paper drops 5 to 15 %.
    AllBut(f64),
    /// So many.
    Count(usize),
}

/// Keeps the pairs with the lowest scores; of equal ones the first.
///
/// Reasons: `high_ches`, and `unscored` for a score that is missing or not finite. Figures: quantiles of the scores.
#[derive(Debug, Clone, Serialize)]
#[serde(bound = "")]
#[doc(alias = "2410.08847")]
pub struct ChesFilter<T> {
    /// The score.
    pub score: Column<T>,
    /// How many stay. Default: all but a tenth.
    pub keep: ChesKeep,
}

impl<T> ChesFilter<T> {
    /// With the defaults.
    pub fn new(score: Column<T>) -> Self {
        Self { score, keep: ChesKeep::AllBut(0.1) }
    }
}

impl<T> Operator<T> for ChesFilter<T> {
    type Out = T;

    fn name(&self) -> &'static str {
        "ches_filter"
    }

    fn options(&self) -> Value {
        options_of(self)
    }

    fn check(&self) -> Result<()> {
        match self.keep {
            ChesKeep::AllBut(share) => check_share("keep", share),
            ChesKeep::Count(_) => Ok(()),
        }
    }

    fn apply(&self, records: Vec<T>, seed: u64) -> Result<Curated<T>> {
        self.check()?;
        let scores: Vec<Option<f64>> = records.iter().map(|record| self.score.number(record)).collect();
        let (places, known): (Vec<usize>, Vec<f64>) =
            scores.iter().enumerate().filter_map(|(place, score)| Some((place, (*score)?))).unzip();
        let kept = match self.keep {
            ChesKeep::AllBut(share) => known.len() - (known.len() as f64 * share).round() as usize,
            ChesKeep::Count(count) => count,
        };
        let mut reasons: Vec<_> = scores.iter().map(|score| score.is_none().then_some("unscored")).collect();
        let lowest_first = descending(&known.iter().map(|score| -score).collect::<Vec<_>>());
        lowest_first.into_iter().skip(kept).for_each(|at| reasons[places[at]] = Some("high_ches"));
        let mut curated = sift(self, records, seed, reasons);
        for share in [0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0] {
            curated.report.set_figure(format!("ches_q{share}"), quantile(&known, share));
        }
        Ok(curated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(keep: ChesKeep) -> ChesFilter<f64> {
        ChesFilter { keep, ..ChesFilter::new(Column::new("ches", |score: &f64| Some(*score))) }
    }

    #[test]
    fn d37_pairs_of_the_highest_scores_go() {
        let curated = filter(ChesKeep::AllBut(0.4)).apply(vec![3.0, -1.0, f64::NAN, 2.0, 0.0, 2.0], 0).unwrap();
        assert_eq!(curated.records, [-1.0, 2.0, 0.0], "two of five go, and of equal ones the first stays");
        let reasons: Vec<_> = curated.dropped.iter().map(|dropped| (dropped.index, dropped.reason)).collect();
        assert_eq!(reasons, [(0, "high_ches"), (2, "unscored"), (5, "high_ches")]);
        let figures = ["ches_q0", "ches_q0.5", "ches_q1"].map(|name| curated.report.figure(name));
        assert_eq!(figures, [Some(-1.0), Some(2.0), Some(3.0)]);
        assert_eq!(filter(ChesKeep::Count(2)).apply(vec![3.0, 1.0, 2.0], 0).unwrap().records, [1.0, 2.0]);
        assert_eq!(filter(ChesKeep::Count(9)).apply(vec![3.0], 0).unwrap().records, [3.0]);
    }

    #[test]
    fn a_tenth_goes_by_default_and_shares_are_checked() {
        let all: Vec<f64> = (0..20).map(f64::from).collect();
        let default = ChesFilter::new(Column::new("ches", |score: &f64| Some(*score)));
        assert_eq!(default.apply(all, 0).unwrap().report.dropped["high_ches"], 2);
        assert!(filter(ChesKeep::AllBut(1.2)).apply(vec![], 0).is_err());
    }
}
