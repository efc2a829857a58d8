//! Pairs from ratings by attribute.
//!
//! **Use when:** responses were rated one by one, on one scale or several.
//! **Deviations:** none. One generative score per response instead of a mean over aspects is [`Overall::Attribute`].

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::{
    access::{Candidates, HasId, HasPrompt, HasRatings, HasTexts},
    operator::{Curated, Operator, OperatorReport, RecordOperator, Verdict, apply_each, options_of},
    ranked_pairs::RankedPairs,
};
use crate::{Pair, Result, Text, report::Reason};

/// One number for each response.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Overall {
    /// This attribute's rating.
    Attribute(String),
    /// The weighted sum of attributes; a response without one of them has no number.
    Weighted(BTreeMap<String, f64>),
    /// The mean of the ratings that were given.
    Mean,
    /// By the first of these attributes, where that is equal by the next, and so on; a response without one of them has
    /// no number.
    Lexicographic(Vec<String>),
}

impl Overall {
    /// The numbers of responses, larger for better ones; none for a response without them. Only for the lexicographic
    /// order do the other responses matter: there the number is that of the responses that are worse.
    ///
    /// # Example
    /// ```
    /// use accordant_data::curation::rated_pairs::Overall;
    /// let rated = |help: Option<f64>, safe: f64| {
    ///     [("help", help), ("safe", Some(safe))].into_iter().filter_map(|(k, v)| Some((k.to_owned(), v?))).collect()
    /// };
    /// let ratings = [rated(Some(4.0), 1.0), rated(None, 3.0)];
    /// assert_eq!(Overall::Mean.numbers(&ratings), [Some(2.5), Some(3.0)]); // what was not rated does not count
    /// assert_eq!(Overall::Attribute("help".into()).numbers(&ratings), [Some(4.0), None]);
    /// ```
    pub fn numbers(&self, ratings: &[BTreeMap<String, f64>]) -> Vec<Option<f64>> {
        let finite = |number: Option<f64>| number.filter(|number| number.is_finite());
        let number = |rating: &BTreeMap<String, f64>| match self {
            Self::Attribute(name) => rating.get(name).copied(),
            Self::Weighted(weights) => weights.iter().map(|(name, weight)| Some(weight * rating.get(name)?)).sum(),
            Self::Mean => super::numbers::mean(&rating.values().copied().collect::<Vec<_>>()),
            Self::Lexicographic(_) => None,
        };
        if let Self::Lexicographic(names) = self {
            let key = |rating: &BTreeMap<String, f64>| {
                names.iter().map(|name| finite(rating.get(name).copied())).collect::<Option<Vec<f64>>>()
            };
            let keys: Vec<Option<Vec<f64>>> = ratings.iter().map(key).collect();
            let below = |key: &Vec<f64>| keys.iter().flatten().filter(|other| *other < key).count() as f64;
            return keys.iter().map(|key| key.as_ref().map(below)).collect();
        }
        ratings.iter().map(|rating| finite(number(rating))).collect()
    }
}

/// The share of the other numbers that are smaller, equal ones counting ½; ½ for a number alone. Numbers of prompts
/// that are rated severely and mildly become comparable.
///
/// # Example
/// ```
/// use accordant_data::curation::rated_pairs::percentiles;
/// assert_eq!(percentiles(&[7.0, 9.0, 7.0]), [0.25, 1.0, 0.25]);
/// ```
pub fn percentiles(numbers: &[f64]) -> Vec<f64> {
    let others = numbers.len().saturating_sub(1);
    let of = |number: &f64| {
        let below: f64 = numbers.iter().map(|other| super::numbers::win(*number, *other)).sum();
        // The number itself counted ½.
        if others == 0 { 0.5 } else { (below - 0.5) / others as f64 }
    };
    numbers.iter().map(of).collect()
}

/// Which pairs ratings make.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RatedMode {
    /// By the number that the record itself says counts: its `overall` attribute, its `aggregate`, or its rubric.
    Record,
    /// By one number.
    Overall(Overall),
    /// A set of pairs for each attribute, with the attribute under `criteria`.
    PerAttribute,
    /// Only those of which the chosen response is as good on all attributes and better on one. Both must have the same
    /// attributes, and the scheme does not matter.
    Dominance,
}

/// Makes pairs of rated responses.
///
/// Responses without a number make no pair, and are counted under `unrated`. A list of which no pair comes goes under
/// `no_pair`. Further counts are those of [`RankedPairs`].
#[derive(Debug, Clone, Serialize)]
pub struct RatedPairs {
    /// What is compared.
    pub mode: RatedMode,
    /// Whether numbers become [`percentiles`] of their prompt first. Default: false.
    pub percentiles: bool,
    /// Scheme, ties, margins, least gap and least chosen number.
    pub pairs: RankedPairs,
}

impl RatedPairs {
    /// Without percentiles.
    pub fn new(mode: RatedMode, pairs: RankedPairs) -> Self {
        Self { mode, percentiles: false, pairs }
    }

    fn by_numbers<T: HasRatings>(
        &self,
        list: &T,
        numbers: &[Option<f64>],
        seed: u64,
        report: &mut OperatorReport,
    ) -> Vec<Pair> {
        let (places, mut scores): (Vec<usize>, Vec<f64>) =
            numbers.iter().enumerate().filter_map(|(place, number)| Some((place, (*number)?))).unzip();
        report.add_many("unrated", numbers.len() - places.len());
        if self.percentiles {
            scores = percentiles(&scores);
        }
        let part = Part { list, places, scores };
        self.pairs.pairs_of(&part, seed, report).unwrap_or_default()
    }

    fn dominant<T: HasRatings>(
        &self,
        list: &T,
        ratings: &[BTreeMap<String, f64>],
        report: &mut OperatorReport,
    ) -> Vec<Pair> {
        let dominates = |a: &BTreeMap<String, f64>, b: &BTreeMap<String, f64>| {
            let same = a.len() == b.len() && a.keys().eq(b.keys());
            same && a.values().zip(b.values()).all(|(a, b)| a >= b) && a.values().zip(b.values()).any(|(a, b)| a > b)
        };
        let mut pairs = Vec::new();
        for (chosen, better) in ratings.iter().enumerate() {
            for (rejected, _) in ratings.iter().enumerate().filter(|(_, worse)| dominates(better, worse)) {
                match list.pair(chosen, rejected) {
                    Ok(pair) => pairs.push(pair),
                    Err(_) => report.add("invalid"),
                }
            }
        }
        pairs
    }
}

/// The responses of a list that have a number.
struct Part<'a, T> {
    list: &'a T,
    places: Vec<usize>,
    scores: Vec<f64>,
}

impl<T: HasRatings> HasId for Part<'_, T> {
    fn id(&self) -> &str {
        self.list.id()
    }
}

impl<T: HasRatings> HasPrompt for Part<'_, T> {
    fn prompt(&self) -> &Text {
        self.list.prompt()
    }
}

impl<T: HasRatings> HasTexts for Part<'_, T> {
    fn responses(&self) -> Vec<&Text> {
        let all = self.list.responses();
        self.places.iter().filter_map(|place| all.get(*place).copied()).collect()
    }
}

impl<T: HasRatings> Candidates for Part<'_, T> {
    fn ranks(&self) -> Option<Vec<u32>> {
        None
    }

    fn scores(&self) -> Option<Vec<f64>> {
        Some(self.scores.clone())
    }

    fn pair(&self, chosen: usize, rejected: usize) -> Result<Pair, Reason> {
        self.list.pair(self.places[chosen], self.places[rejected])
    }
}

impl<T: HasRatings> Operator<T> for RatedPairs {
    type Out = Pair;

    fn name(&self) -> &'static str {
        "rated_pairs"
    }

    fn options(&self) -> Value {
        options_of(self)
    }

    fn check(&self) -> Result<()> {
        Operator::<T>::check(&self.pairs)
    }

    fn apply(&self, records: Vec<T>, seed: u64) -> Result<Curated<T, Pair>> {
        apply_each(self, records, seed)
    }
}

impl<T: HasRatings> RecordOperator<T> for RatedPairs {
    fn judge(&self, record: T, seed: u64, report: &mut OperatorReport) -> Verdict<T, Pair> {
        let ratings = record.ratings();
        let pairs = match &self.mode {
            RatedMode::Record => self.by_numbers(&record, &record.overall(), seed, report),
            RatedMode::Overall(overall) => self.by_numbers(&record, &overall.numbers(&ratings), seed, report),
            RatedMode::Dominance => self.dominant(&record, &ratings, report),
            RatedMode::PerAttribute => {
                let names: BTreeSet<&String> = ratings.iter().flat_map(BTreeMap::keys).collect();
                let mut all = Vec::new();
                for name in names {
                    let numbers = Overall::Attribute(name.clone()).numbers(&ratings);
                    let pairs = self.by_numbers(&record, &numbers, seed, report);
                    all.extend(pairs.into_iter().map(|pair| Pair { criteria: vec![name.clone()], ..pair }));
                }
                all
            }
        };
        Verdict::many_or(pairs, record, "no_pair")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::curation::{
        ranked_pairs::{ListMargin, PairScheme},
        testing::List,
    };

    fn rated(rows: &[&[(&str, f64)]]) -> List {
        let row = |row: &&[(&str, f64)]| row.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        let list = List::scored("q", &vec![0.0; rows.len()]);
        List { scores: None, ratings: rows.iter().map(row).collect(), ..list }
    }

    fn sides(curated: &Curated<List, Pair>) -> Vec<(String, String, Option<f64>)> {
        let word = |text: &Text| text.as_plain().unwrap().replace("answer ", "");
        curated.records.iter().map(|pair| (word(&pair.chosen), word(&pair.rejected), pair.margin)).collect()
    }

    fn best(mode: RatedMode) -> RatedPairs {
        let pairs = RankedPairs { margin: Some(ListMargin::ScoreGap), ..RankedPairs::new(PairScheme::BestVsWorst) };
        RatedPairs::new(mode, pairs)
    }

    fn row(chosen: usize, rejected: usize, margin: Option<f64>) -> (String, String, Option<f64>) {
        (chosen.to_string(), rejected.to_string(), margin)
    }

    #[test]
    fn one_number_is_an_attribute_a_weighted_sum_a_mean_or_an_order() {
        let list = rated(&[&[("help", 4.0), ("short", 1.0)], &[("help", 3.0), ("short", 5.0)], &[("short", 9.0)]]);
        let weights = [("help".to_owned(), 2.0), ("short".to_owned(), 0.5)].into();
        let numbers = |overall: Overall| overall.numbers(&list.ratings);
        assert_eq!(numbers(Overall::Attribute("help".into())), [Some(4.0), Some(3.0), None]);
        assert_eq!(numbers(Overall::Weighted(weights)), [Some(8.5), Some(8.5), None]);
        assert_eq!(numbers(Overall::Mean), [Some(2.5), Some(4.0), Some(9.0)]);
        let order =
            |names: &[&str]| numbers(Overall::Lexicographic(names.iter().map(|name| (*name).to_owned()).collect()));
        assert_eq!(order(&["help", "short"]), [Some(1.0), Some(0.0), None]);
        assert_eq!(order(&["short"]), [Some(0.0), Some(1.0), Some(2.0)]);
        let tied = rated(&[&[("a", 1.0), ("b", 1.0)], &[("a", 1.0), ("b", 2.0)], &[("a", f64::NAN), ("b", 2.0)]]);
        let names = Overall::Lexicographic(vec!["a".into(), "b".into()]);
        assert_eq!(names.numbers(&tied.ratings), [Some(0.0), Some(1.0), None]);
        assert_eq!(Overall::Mean.numbers(&[BTreeMap::new()]), [None], "nothing was rated");
    }

    #[test]
    fn responses_without_a_number_make_no_pair() {
        let list = rated(&[&[("help", 1.0)], &[("other", 9.0)], &[("help", 4.0)]]);
        let curated = best(RatedMode::Overall(Overall::Attribute("help".into()))).apply(vec![list.clone()], 0).unwrap();
        assert_eq!(sides(&curated), [row(2, 0, Some(3.0))]);
        assert_eq!(curated.report.count("unrated"), 1);
        let own = List { scores: Some(vec![1.0, 5.0, 2.0]), ..list.clone() };
        assert_eq!(sides(&best(RatedMode::Record).apply(vec![own], 0).unwrap()), [row(1, 0, Some(4.0))]);
        let mut strict = best(RatedMode::Overall(Overall::Attribute("help".into())));
        strict.pairs.min_chosen = Some(4.5);
        let report = strict.apply(vec![list], 0).unwrap().report;
        assert_eq!((report.dropped["no_pair"], report.count("low_chosen")), (1, 1));
    }

    #[test]
    fn percentiles_compare_within_the_prompt() {
        assert_eq!(percentiles(&[3.0, 1.0, 2.0]), [1.0, 0.0, 0.5]);
        assert_eq!((percentiles(&[3.0]), percentiles(&[])), (vec![0.5], vec![]));
        let list = rated(&[&[("help", 4.0)], &[("help", 4.9)], &[("help", 5.0)]]);
        let mode = RatedMode::Overall(Overall::Mean);
        let curated = RatedPairs { percentiles: true, ..best(mode) }.apply(vec![list], 0).unwrap();
        assert_eq!(sides(&curated), [row(2, 0, Some(1.0))]);
    }

    #[test]
    fn each_attribute_has_its_pairs_and_dominance_wants_all_of_them() {
        let list =
            rated(&[&[("help", 4.0), ("safe", 1.0)], &[("help", 3.0), ("safe", 5.0)], &[("help", 3.0), ("safe", 1.0)]]);
        let curated = best(RatedMode::PerAttribute).apply(vec![list.clone()], 0).unwrap();
        assert_eq!(sides(&curated), [row(0, 2, Some(1.0)), row(1, 2, Some(4.0))]);
        let criteria: Vec<_> = curated.records.iter().map(|pair| pair.criteria.join(",")).collect();
        assert_eq!(criteria, ["help", "safe"]);
        let curated = best(RatedMode::Dominance).apply(vec![list], 0).unwrap();
        assert_eq!(sides(&curated), [row(0, 2, None), row(1, 2, None)]);
        let unequal = rated(&[&[("help", 4.0)], &[("safe", 1.0)], &[("help", 4.0)], &[]]);
        let report = best(RatedMode::Dominance).apply(vec![unequal], 0).unwrap().report;
        assert_eq!(report.dropped["no_pair"], 1, "equal, or rated on other attributes");
        let mut odd = best(RatedMode::Dominance);
        odd.pairs.min_gap = Some(f64::INFINITY);
        assert!(Operator::<List>::check(&odd).is_err());
    }
}
