//! A filter by quantiles of the margin, and the order in which pairs are annotated by it.
//!
//! **Paper of the order:** Not All Preference Pairs Are Created Equal: A Recipe for Annotation-Efficient Iterative
//! Preference Learning (2024), 2406.17312, which annotates the smallest margins first.

use rand::seq::SliceRandom;
use serde::Serialize;
use serde_json::Value;

use super::{
    column::Column,
    numbers::{check_all_finite, check_domain, check_share, descending, quantile_of_sorted, sorted},
    operator::{Curated, Operator, options_of, sift},
};
use crate::{
    Result,
    order::{Purpose, stream},
};

/// Keeps the records whose number lies between two quantiles of all of them, both included.
///
/// Quantiles interpolate linearly (type 7). Reasons: `unscored`, `below`, `above`. Figures: the limits, `low` and
/// `high`.
#[derive(Debug, Clone, Serialize)]
#[serde(bound = "")]
pub struct KeepQuantiles<T> {
    /// The number, most often [`Column::margin`].
    pub column: Column<T>,
    /// Lower quantile, in `[0, 1]`.
    pub low: f64,
    /// Upper quantile, in `[0, 1]`, at least `low`.
    pub high: f64,
}

impl<T> Operator<T> for KeepQuantiles<T> {
    type Out = T;

    fn name(&self) -> &'static str {
        "keep_quantiles"
    }

    fn options(&self) -> Value {
        options_of(self)
    }

    fn check(&self) -> Result<()> {
        check_share("low", self.low)?;
        check_share("high", self.high)?;
        check_domain(self.low <= self.high, "high", "at least `low`", self.high)
    }

    fn apply(&self, records: Vec<T>, seed: u64) -> Result<Curated<T>> {
        self.check()?;
        let numbers: Vec<Option<f64>> = records.iter().map(|record| self.column.number(record)).collect();
        let known = sorted(&numbers.iter().flatten().copied().collect::<Vec<_>>());
        let limits = quantile_of_sorted(&known, self.low).zip(quantile_of_sorted(&known, self.high));
        let reason = |number: Option<f64>| match (number, limits) {
            (Some(number), Some((low, _))) if number < low => Some("below"),
            (Some(number), Some((_, high))) if number > high => Some("above"),
            (Some(_), Some(_)) => None,
            _ => Some("unscored"),
        };
        let mut curated = sift(self, records, seed, numbers.into_iter().map(reason).collect());
        curated.report.set_figure("low", limits.map(|limits| limits.0));
        curated.report.set_figure("high", limits.map(|limits| limits.1));
        Ok(curated)
    }
}

/// Which pairs are annotated first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub enum MarginOrder {
    /// Those that the model is least sure about: the smallest margins in size.
    #[default]
    Smallest,
    /// The largest margins in size.
    Largest,
    /// Any.
    Random,
}

/// The implicit-reward margin of a pair, `β [(log π(y_w) − log π_ref(y_w)) − (log π(y_l) − log π_ref(y_l))]`, of
/// log-probabilities in nats: `policy` and `reference` of the chosen and the rejected side.
///
/// # Example
/// ```
/// use accordant_data::curation::keep_quantiles::implicit_margin;
/// // The policy has raised the chosen side by 1 and lowered the rejected one by 2.
/// assert_eq!(implicit_margin((-4.0, -8.0), (-5.0, -6.0), 0.5), 1.5);
/// ```
pub fn implicit_margin(policy: (f64, f64), reference: (f64, f64), beta: f64) -> f64 {
    beta * ((policy.0 - reference.0) - (policy.1 - reference.1))
}

/// The places of margins in the order in which they are to be annotated; equal ones by place.
///
/// # Errors
/// [`crate::Error::Item`] for a margin that is not finite.
///
/// # Example
/// ```
/// use accordant_data::curation::keep_quantiles::{MarginOrder, annotation_order};
/// assert_eq!(annotation_order(&[2.0, -0.5, 1.0, 0.5], MarginOrder::Smallest, 0)?, [1, 3, 2, 0]);
/// assert_eq!(annotation_order(&[2.0, -0.5, 1.0, 0.5], MarginOrder::Largest, 0)?, [0, 2, 1, 3]);
/// # Ok::<(), accordant_data::Error>(())
/// ```
#[doc(alias = "2406.17312")]
pub fn annotation_order(margins: &[f64], order: MarginOrder, seed: u64) -> Result<Vec<usize>> {
    check_all_finite("margins", margins)?;
    let by = |sign: f64| descending(&margins.iter().map(|margin| sign * margin.abs()).collect::<Vec<_>>());
    Ok(match order {
        MarginOrder::Smallest => by(-1.0),
        MarginOrder::Largest => by(1.0),
        MarginOrder::Random => {
            let mut places: Vec<usize> = (0..margins.len()).collect();
            places.shuffle(&mut stream(seed, Purpose::Curation, 0));
            places
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Pair;

    fn quantiles(low: f64, high: f64) -> KeepQuantiles<f64> {
        KeepQuantiles { column: Column::new("number", |x: &f64| Some(*x)), low, high }
    }

    #[test]
    fn records_between_two_quantiles_stay() {
        // of 0, 1, 2, 3, 4 the quantiles 0.25 and 0.75 are 1 and 3; NaN is no number
        let curated = quantiles(0.25, 0.75).apply(vec![4.0, 1.0, f64::NAN, 3.0, 0.0, 2.0], 0).unwrap();
        assert_eq!(curated.records, [1.0, 3.0, 2.0]);
        let reasons: Vec<_> = curated.dropped.iter().map(|dropped| (dropped.index, dropped.reason)).collect();
        assert_eq!(reasons, [(0, "above"), (2, "unscored"), (4, "below")]);
        assert_eq!((curated.report.figure("low"), curated.report.figure("high")), (Some(1.0), Some(3.0)));
        let nothing = quantiles(0.0, 1.0).apply(vec![], 0).unwrap();
        assert_eq!((nothing.records.len(), nothing.report.figure("low")), (0, None));
    }

    #[test]
    fn quantiles_out_of_order_are_errors() {
        assert!(quantiles(0.6, 0.5).check().unwrap_err().to_string().starts_with("`high`: expected at least `low`"));
        assert!(quantiles(-0.1, 0.5).check().unwrap_err().to_string().starts_with("`low`"));
        assert!(quantiles(0.1, 1.5).check().unwrap_err().to_string().starts_with("`high`"));
        assert!(quantiles(0.5, 0.5).check().is_ok());
        let column = Column::<Pair>::margin();
        assert_eq!(KeepQuantiles { column, low: 0.0, high: 1.0 }.options()["column"], "margin");
    }

    #[test]
    fn a_random_order_is_one_of_the_seed_and_leaves_nobody_out() {
        let margins = [0.0; 20];
        let order = annotation_order(&margins, MarginOrder::Random, 1).unwrap();
        assert_eq!(order, annotation_order(&margins, MarginOrder::Random, 1).unwrap());
        assert_ne!(order, annotation_order(&margins, MarginOrder::Random, 2).unwrap());
        let mut all = order;
        all.sort_unstable();
        assert_eq!(all, (0..20).collect::<Vec<_>>());
        assert_eq!(annotation_order(&[1.0, -1.0], MarginOrder::Smallest, 0).unwrap(), [0, 1], "equal ones by place");
        assert!(annotation_order(&[f64::NAN], MarginOrder::Smallest, 0).is_err());
    }
}
