//! Filters by margin, strength and quality scores.
//!
//! **Use when:** pairs that are too close, too easy or too bad are to go. The recipe of AIR (2025, 2504.03612), a
//! moderate margin and a high score, is [`MarginFilter::air`].

use serde::Serialize;
use serde_json::Value;

use super::{
    access::Preference,
    column::Column,
    numbers::check_domain,
    operator::{Curated, Operator, OperatorReport, RecordOperator, Verdict, apply_each, options_of},
};
use crate::Result;

/// Keeps the pairs within all limits that are set, each limit included.
///
/// The reasons, checked in this order: `no_margin`, `equal`, `small_margin`, `large_margin`, `no_strength`, `weak`,
/// `no_score`, `low_chosen`, `high_rejected`. A pair without a number goes only where a limit asks for the number.
#[derive(Debug, Clone, Serialize)]
#[serde(bound = "")]
pub struct MarginFilter<T> {
    /// By how much the chosen side is better; [`Column::margin`] takes the record's margin or else the scores.
    pub margin: Column<T>,
    /// Least margin. Default: none.
    pub min_margin: Option<f64>,
    /// Largest margin. Default: none.
    pub max_margin: Option<f64>,
    /// Whether a margin of exactly 0 goes; a pair without a margin stays. Default: false.
    pub drop_equal: bool,
    /// Least strength, on the record's levels. Default: none.
    pub min_strength: Option<u32>,
    /// Least score of the chosen side. Default: none.
    pub min_score_chosen: Option<f64>,
    /// Largest score of the rejected side. Default: none.
    pub max_score_rejected: Option<f64>,
}

impl<T> MarginFilter<T> {
    /// Keeps everything until a limit is set.
    pub fn new(margin: Column<T>) -> Self {
        Self {
            margin,
            min_margin: None,
            max_margin: None,
            drop_equal: false,
            min_strength: None,
            min_score_chosen: None,
            max_score_rejected: None,
        }
    }

    /// The response pairs of the AIR recipe on a scale of 1 to 10: margins from 2 to 3, a chosen score of 8 at least.
    /// The thresholds are ours; the paper says moderate and high.
    #[doc(alias = "2504.03612")]
    pub fn air(margin: Column<T>) -> Self {
        let (min_margin, max_margin, min_score_chosen) = (Some(2.0), Some(3.0), Some(8.0));
        Self { min_margin, max_margin, min_score_chosen, ..Self::new(margin) }
    }
}

impl<T: Preference> MarginFilter<T> {
    fn reason(&self, record: &T) -> Option<&'static str> {
        let margin = self.margin.number(record);
        if self.drop_equal && margin == Some(0.0) {
            return Some("equal");
        }
        if self.min_margin.is_some() || self.max_margin.is_some() {
            let Some(margin) = margin else { return Some("no_margin") };
            if self.min_margin.is_some_and(|min| margin < min) {
                return Some("small_margin");
            }
            if self.max_margin.is_some_and(|max| margin > max) {
                return Some("large_margin");
            }
        }
        if let Some(min) = self.min_strength {
            let Some(strength) = record.strength() else { return Some("no_strength") };
            if strength < min {
                return Some("weak");
            }
        }
        if self.min_score_chosen.is_some() || self.max_score_rejected.is_some() {
            let Some((chosen, rejected)) = record.scores() else { return Some("no_score") };
            if self.min_score_chosen.is_some_and(|min| chosen < min) {
                return Some("low_chosen");
            }
            if self.max_score_rejected.is_some_and(|max| rejected > max) {
                return Some("high_rejected");
            }
        }
        None
    }
}

impl<T: Preference> Operator<T> for MarginFilter<T> {
    type Out = T;

    fn name(&self) -> &'static str {
        "margin_filter"
    }

    fn options(&self) -> Value {
        options_of(self)
    }

    fn check(&self) -> Result<()> {
        for (name, limit) in [
            ("min_margin", self.min_margin),
            ("max_margin", self.max_margin),
            ("min_score_chosen", self.min_score_chosen),
            ("max_score_rejected", self.max_score_rejected),
        ] {
            check_domain(limit.is_none_or(|limit| !limit.is_nan()), name, "a number", f64::NAN)?;
        }
        let crossed = matches!((self.min_margin, self.max_margin), (Some(min), Some(max)) if min > max);
        check_domain(!crossed, "max_margin", "at least `min_margin`", self.max_margin.unwrap_or(0.0))
    }

    fn apply(&self, records: Vec<T>, seed: u64) -> Result<Curated<T>> {
        apply_each(self, records, seed)
    }
}

impl<T: Preference> RecordOperator<T> for MarginFilter<T> {
    fn judge(&self, record: T, _seed: u64, _report: &mut OperatorReport) -> Verdict<T> {
        match self.reason(&record) {
            Some(reason) => Verdict::Drop(record, reason),
            None => Verdict::Keep(record),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Pair,
        curation::testing::{pair, scored},
        record::comparison::Strength,
    };

    fn none() -> MarginFilter<Pair> {
        MarginFilter::new(Column::margin())
    }

    fn reasons(filter: &MarginFilter<Pair>, records: Vec<Pair>) -> Vec<(usize, &'static str)> {
        let curated = filter.apply(records, 0).unwrap();
        assert!(curated.report.is_conserved());
        curated.dropped.into_iter().map(|dropped| (dropped.index, dropped.reason)).collect()
    }

    #[test]
    fn each_limit_includes_its_value_and_names_its_reason() {
        let records = || vec![scored("q", 5.0, 4.0), scored("q", 5.0, 3.0), scored("q", 5.0, 2.0), pair("q")];
        let filter = MarginFilter { min_margin: Some(2.0), ..none() };
        assert_eq!(reasons(&filter, records()), [(0, "small_margin"), (3, "no_margin")]);
        let filter = MarginFilter { max_margin: Some(2.0), ..none() };
        assert_eq!(reasons(&filter, records()), [(2, "large_margin"), (3, "no_margin")]);
        let filter = MarginFilter { max_score_rejected: Some(3.0), ..none() };
        assert_eq!(reasons(&filter, records()), [(0, "high_rejected"), (3, "no_score")]);
        let filter = MarginFilter { min_score_chosen: Some(5.0), ..none() };
        assert_eq!(reasons(&filter, records()), [(3, "no_score")]);
        let filter = MarginFilter { min_score_chosen: Some(5.1), ..none() };
        assert_eq!(reasons(&filter, records())[0], (0, "low_chosen"));
        assert_eq!(reasons(&none(), records()), []);
    }

    #[test]
    fn strengths_and_equal_scores() {
        let strong = |value| Pair { strength: Some(Strength { value, levels: 3 }), ..pair("q") };
        let filter = MarginFilter { min_strength: Some(2), ..none() };
        assert_eq!(reasons(&filter, vec![strong(1), strong(2), pair("q")]), [(0, "weak"), (2, "no_strength")]);
        let filter = MarginFilter { drop_equal: true, ..none() };
        assert_eq!(reasons(&filter, vec![scored("q", 1.0, 1.0), pair("q"), scored("q", 1.0, 2.0)]), [(0, "equal")]);
    }

    #[test]
    fn d30_equal_score_pairs_of_binarized_sets_are_dropped_and_counted() {
        let records: Vec<_> = [(5.0, 5.0), (5.0, 4.0), (3.0, 3.0)].map(|(a, b)| scored("q", a, b)).to_vec();
        let report = MarginFilter { drop_equal: true, ..none() }.apply(records, 0).unwrap().report;
        assert_eq!((report.inputs, report.outputs, report.dropped["equal"]), (3, 1, 2));
        assert_eq!(report.options["drop_equal"], true);
    }

    #[test]
    fn d17_unpaired_records_come_of_pairs_whose_sides_are_good_and_bad_in_themselves() {
        // Before pairs are taken apart: the best of two bad answers is no good one.
        let filter = MarginFilter { min_score_chosen: Some(7.0), max_score_rejected: Some(4.0), ..none() };
        let records = vec![scored("both bad", 3.0, 1.0), scored("clear", 8.0, 2.0), scored("both good", 9.0, 8.0)];
        assert_eq!(reasons(&filter, records), [(0, "low_chosen"), (2, "high_rejected")]);
    }

    #[test]
    fn the_air_recipe_wants_moderate_margins_and_good_answers() {
        let filter = MarginFilter::air(Column::margin());
        let records = vec![
            scored("q", 8.0, 6.0),
            scored("q", 10.0, 7.0),
            scored("q", 8.0, 6.1),
            scored("q", 9.5, 6.0),
            scored("q", 7.9, 5.4),
        ];
        assert_eq!(reasons(&filter, records), [(2, "small_margin"), (3, "large_margin"), (4, "low_chosen")]);
    }

    #[test]
    fn limits_that_make_no_sense_are_errors() {
        let filter = MarginFilter { min_margin: Some(f64::NAN), ..none() };
        assert_eq!(filter.check().unwrap_err().to_string(), "`min_margin`: expected a number, got NaN");
        let filter = MarginFilter { min_margin: Some(2.0), max_margin: Some(1.0), ..none() };
        assert_eq!(filter.check().unwrap_err().to_string(), "`max_margin`: expected at least `min_margin`, got 1");
        assert!(MarginFilter { min_margin: Some(2.0), max_margin: Some(2.0), ..none() }.check().is_ok());
    }
}
