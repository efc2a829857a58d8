//! Length balance: statistics of how much longer the chosen side is, and four ways to make less of it.
//!
//! **Papers:** A Long Way to Go: Investigating Length Correlations in RLHF (2023), 2310.03716, for the bias;
//! Length-Controlled AlpacaEval (2024), 2404.04475, for the squashed length difference of [`LengthControlMargin`].
//! **Use when:** chosen sides are systematically longer, so that a model learns to be long.
//! **Deviations:** bins, tolerances and the regression are ours.

use serde::Serialize;
use serde_json::Value;

use super::{
    access::{HasTexts, HasWeight, Preference, plain_text, record_key},
    column::Column,
    numbers::{check_domain, keyed_uniform, mean, quantile_of_sorted, sample_deviation, sorted, win},
    operator::{Curated, Operator, OperatorReport, RecordOperator, Verdict, apply_each, options_of, sift},
};
use crate::{Result, text::Text};

/// Where the lengths of the chosen and the rejected side are found.
pub type Lengths<T> = Column<T, (f64, f64)>;

impl<T: Preference> Column<T, (f64, f64)> {
    /// Lengths as `count` counts them; with a tokenizer's count, in tokens, as they should be.
    ///
    /// # Example
    /// ```
    /// use accordant_data::{Pair, curation::Column};
    /// let words = Column::lengths("words", |text| text.split_whitespace().count());
    /// assert_eq!(words.of(&Pair::new("q", "one two", "three")?), Some((2.0, 1.0)));
    /// # Ok::<(), accordant_data::report::Reason>(())
    /// ```
    pub fn lengths(name: &str, count: impl Fn(&str) -> usize + Send + Sync + 'static) -> Self {
        let len = move |text: &Text| count(&plain_text(text)) as f64;
        Self::new(name, move |record: &T| Some((len(record.chosen()), len(record.rejected()))))
    }

    /// Lengths in Unicode scalar values.
    pub fn characters() -> Self {
        Self::lengths("characters", |text| text.chars().count())
    }
}

/// How lengths and labels go together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LengthStatistics {
    /// Pairs.
    pub pairs: usize,
    /// The share of pairs whose chosen side is longer; equal lengths count ½.
    pub longer_chosen: Option<f64>,
    /// The mean of `ln(length of chosen / length of rejected)`, of the pairs without an empty side.
    pub mean_log_ratio: Option<f64>,
    /// The point-biserial correlation of length difference and label, each pair seen from both of its sides; none where
    /// no lengths differ.
    pub correlation: Option<f64>,
}

/// The statistics of pairs of lengths, chosen and rejected.
///
/// # Example
/// ```
/// use accordant_data::curation::length_balance::length_statistics;
/// let statistics = length_statistics(&[(2.0, 1.0), (3.0, 3.0), (4.0, 2.0), (1.0, 2.0)]);
/// assert_eq!(statistics.longer_chosen, Some(0.625)); // 2½ of 4
/// assert!((statistics.mean_log_ratio.unwrap() - 2f64.ln() / 4.0).abs() < 1e-15); // ln 2 · (1 + 0 + 1 − 1) / 4
/// // differences 1, 0, 2, −1: their mean ½ over the root of their mean square 1½
/// assert!((statistics.correlation.unwrap() - 0.5 / 1.5f64.sqrt()).abs() < 1e-15);
/// ```
pub fn length_statistics(lengths: &[(f64, f64)]) -> LengthStatistics {
    let longer: Vec<f64> = lengths.iter().map(|&(chosen, rejected)| win(chosen, rejected)).collect();
    let ratios: Vec<f64> = lengths.iter().copied().filter_map(log_ratio).collect();
    // Seen from both sides, differences and labels have the means 0 and ½, and labels the deviation ½.
    let differences: Vec<f64> = lengths.iter().map(|(chosen, rejected)| chosen - rejected).collect();
    let squares: Vec<f64> = differences.iter().map(|difference| difference * difference).collect();
    let scale = mean(&squares).map(f64::sqrt).filter(|scale| *scale > 0.0);
    LengthStatistics {
        pairs: lengths.len(),
        longer_chosen: mean(&longer),
        mean_log_ratio: mean(&ratios),
        correlation: mean(&differences).zip(scale).map(|(mean, scale)| mean / scale),
    }
}

fn log_ratio((chosen, rejected): (f64, f64)) -> Option<f64> {
    Some((chosen / rejected).ln()).filter(|ratio| ratio.is_finite())
}

fn valid((chosen, rejected): (f64, f64)) -> bool {
    chosen.is_finite() && rejected.is_finite() && chosen >= 0.0 && rejected >= 0.0
}

fn note<T>(report: &mut OperatorReport, when: &str, records: &[T], lengths: &Lengths<T>) {
    let known: Vec<_> = records.iter().filter_map(|record| lengths.of(record)).filter(|two| valid(*two)).collect();
    let statistics = length_statistics(&known);
    report.set_figure(format!("longer_chosen_{when}"), statistics.longer_chosen);
    report.set_figure(format!("mean_log_ratio_{when}"), statistics.mean_log_ratio);
    report.set_figure(format!("correlation_{when}"), statistics.correlation);
}

/// The bin of each pair by the size of its log length ratio, bins holding about equally many pairs; none without
/// lengths, or with an empty side.
fn bins_of<T>(records: &[T], lengths: &Lengths<T>, num_bins: usize) -> Vec<Option<(usize, f64)>> {
    let ratio = |record: &T| lengths.of(record).filter(|two| valid(*two)).and_then(log_ratio);
    let ratios: Vec<Option<f64>> = records.iter().map(ratio).collect();
    let sizes = sorted(&ratios.iter().flatten().map(|ratio| ratio.abs()).collect::<Vec<_>>());
    let edge = |bin: usize| quantile_of_sorted(&sizes, bin as f64 / num_bins as f64);
    let edges: Vec<f64> = (1..num_bins).filter_map(edge).collect();
    let bin = |ratio: f64| edges.iter().take_while(|edge| **edge < ratio.abs()).count();
    ratios.into_iter().map(|ratio| ratio.map(|ratio| (bin(ratio), ratio))).collect()
}

/// Pairs of a bin whose chosen side is longer, and those whose chosen side is shorter.
fn classes(bins: &[Option<(usize, f64)>], bin: usize) -> (Vec<usize>, Vec<usize>) {
    let of = |sign: f64| {
        let wanted = |(place, entry): (usize, &Option<(usize, f64)>)| {
            entry.filter(|(own, ratio)| *own == bin && ratio * sign > 0.0).map(|_| place)
        };
        bins.iter().enumerate().filter_map(wanted).collect()
    };
    (of(1.0), of(-1.0))
}

/// Drops pairs of the more frequent class until, within each bin of `|log length ratio|`, the chosen side is longer in
/// half of the pairs, up to a tolerance.
///
/// Which pairs go is drawn from the seed and the pair's content. Reasons: `length_balance`, and `no_length` for a
/// record without lengths or with an empty side. Pairs of equal lengths stay. Figures: the statistics before and after.
#[derive(Debug, Clone, Serialize)]
#[serde(bound = "")]
pub struct MatchLengths<T> {
    /// The lengths.
    pub lengths: Lengths<T>,
    /// Bins with about equally many pairs, at least 1. Default: 10.
    pub num_bins: usize,
    /// How far from ½ the share may stay, in `[0, 0.5]`. Default: 0.02.
    pub tolerance: f64,
}

impl<T> MatchLengths<T> {
    /// With the defaults.
    pub fn new(lengths: Lengths<T>) -> Self {
        Self { lengths, num_bins: 10, tolerance: 0.02 }
    }
}

impl<T: Preference> Operator<T> for MatchLengths<T> {
    type Out = T;

    fn name(&self) -> &'static str {
        "match_lengths"
    }

    fn options(&self) -> Value {
        options_of(self)
    }

    fn check(&self) -> Result<()> {
        check_domain(self.num_bins > 0, "num_bins", "at least 1", self.num_bins as f64)?;
        check_domain((0.0..=0.5).contains(&self.tolerance), "tolerance", "a number in [0, 0.5]", self.tolerance)
    }

    fn apply(&self, records: Vec<T>, seed: u64) -> Result<Curated<T>> {
        self.check()?;
        let mut before = OperatorReport::new(self.name(), Value::Null, seed);
        note(&mut before, "before", &records, &self.lengths);
        let bins = bins_of(&records, &self.lengths, self.num_bins);
        let mut reasons: Vec<_> = bins.iter().map(|bin| bin.is_none().then_some("no_length")).collect();
        for bin in 0..self.num_bins {
            let (longer, shorter) = classes(&bins, bin);
            let (mut more, fewer) = if longer.len() > shorter.len() { (longer, shorter) } else { (shorter, longer) };
            // The most of them, so that their share is at most ½ + tolerance.
            let odds = (0.5 + self.tolerance) / (0.5 - self.tolerance);
            let kept = (fewer.len() as f64 * odds + 1e-9) as usize;
            if more.len() > kept && odds.is_finite() {
                let draw = |place: &usize| keyed_uniform(seed, "match_lengths", &record_key(&records[*place]));
                more.sort_by(|a, b| draw(a).total_cmp(&draw(b)).then(a.cmp(b)));
                more[kept..].iter().for_each(|&place| reasons[place] = Some("length_balance"));
            }
        }
        let mut curated = sift(self, records, seed, reasons);
        curated.report.figures = before.figures;
        note(&mut curated.report, "after", &curated.records, &self.lengths);
        Ok(curated)
    }
}

/// Drops pairs one of whose sides is more than `max_ratio` times as long as the other, under `length_ratio`; those
/// without lengths, or with an empty side, under `no_length`.
#[derive(Debug, Clone, Serialize)]
#[serde(bound = "")]
pub struct CapLengthRatio<T> {
    /// The lengths.
    pub lengths: Lengths<T>,
    /// The largest ratio, at least 1.
    pub max_ratio: f64,
}

impl<T: HasTexts> Operator<T> for CapLengthRatio<T> {
    type Out = T;

    fn name(&self) -> &'static str {
        "cap_length_ratio"
    }

    fn options(&self) -> Value {
        options_of(self)
    }

    fn check(&self) -> Result<()> {
        check_domain(self.max_ratio >= 1.0, "max_ratio", "at least 1", self.max_ratio)
    }

    fn apply(&self, records: Vec<T>, seed: u64) -> Result<Curated<T>> {
        apply_each(self, records, seed)
    }
}

impl<T: HasTexts> RecordOperator<T> for CapLengthRatio<T> {
    fn judge(&self, record: T, _seed: u64, _report: &mut OperatorReport) -> Verdict<T> {
        match self.lengths.of(&record).filter(|two| valid(*two) && log_ratio(*two).is_some()) {
            None => Verdict::Drop(record, "no_length"),
            Some((a, b)) if a.max(b) > self.max_ratio * a.min(b) => Verdict::Drop(record, "length_ratio"),
            Some(_) => Verdict::Keep(record),
        }
    }
}

/// Weighs pairs so that, within each bin of `|log length ratio|`, those whose chosen side is longer weigh as much as
/// those whose chosen side is shorter.
///
/// Each weight is multiplied by `1 / (2 share)`, with the share of the pair's class in its bin. Where a bin has one
/// class only, that halves its weight. Pairs of equal lengths, without lengths or with an empty side keep theirs.
/// Counts: `reweighted`; figures: the statistics `before`.
#[derive(Debug, Clone, Serialize)]
#[serde(bound = "")]
pub struct ReweightLengths<T> {
    /// The lengths.
    pub lengths: Lengths<T>,
    /// Bins with about equally many pairs, at least 1. Default of [`ReweightLengths::new`]: 10.
    pub num_bins: usize,
}

impl<T> ReweightLengths<T> {
    /// With the defaults.
    pub fn new(lengths: Lengths<T>) -> Self {
        Self { lengths, num_bins: 10 }
    }
}

impl<T: HasWeight> Operator<T> for ReweightLengths<T> {
    type Out = T;

    fn name(&self) -> &'static str {
        "reweight_lengths"
    }

    fn options(&self) -> Value {
        options_of(self)
    }

    fn check(&self) -> Result<()> {
        check_domain(self.num_bins > 0, "num_bins", "at least 1", self.num_bins as f64)
    }

    fn apply(&self, mut records: Vec<T>, seed: u64) -> Result<Curated<T>> {
        self.check()?;
        let bins = bins_of(&records, &self.lengths, self.num_bins);
        let mut curated = Curated::new(self, seed);
        note(&mut curated.report, "before", &records, &self.lengths);
        for bin in 0..self.num_bins {
            let (longer, shorter) = classes(&bins, bin);
            let both = (longer.len() + shorter.len()) as f64;
            for class in [longer, shorter] {
                let share = class.len() as f64 / both;
                curated.report.add_many("reweighted", class.len());
                for place in class {
                    let weight = records[place].weight() / (2.0 * share);
                    records[place].set_weight(weight);
                }
            }
        }
        records.into_iter().for_each(|record| curated.push(Verdict::Keep(record)));
        Ok(curated)
    }
}

/// Takes out of margins what the length difference explains.
///
/// ```text
/// t = tanh((length of chosen − length of rejected) / deviation),   margin ≈ a + b t,   margin ← margin − b t
/// ```
/// by least squares over all pairs. Pairs of equal lengths keep their margins. The margin as it was goes to
/// `meta.margin_before_length_control`. Records without margin or lengths go under `no_margin` and `no_length`.
/// Figures: `slope`, and the statistics `before`.
#[derive(Debug, Clone, Serialize)]
#[serde(bound = "")]
#[doc(alias = "2404.04475")]
pub struct LengthControlMargin<T> {
    /// The lengths.
    pub lengths: Lengths<T>,
    /// The margin; [`Column::margin`] takes the record's margin or else the scores.
    pub margin: Column<T>,
}

impl<T: Preference> Operator<T> for LengthControlMargin<T> {
    type Out = T;

    fn name(&self) -> &'static str {
        "length_control_margin"
    }

    fn options(&self) -> Value {
        options_of(self)
    }

    fn apply(&self, records: Vec<T>, seed: u64) -> Result<Curated<T>> {
        let mut curated = Curated::new(self, seed);
        note(&mut curated.report, "before", &records, &self.lengths);
        let known = |record: &T| {
            let (chosen, rejected) = self.lengths.of(record).filter(|two| valid(*two)).ok_or("no_length")?;
            Ok((self.margin.number(record).ok_or("no_margin")?, chosen - rejected))
        };
        let known: Vec<Result<(f64, f64), &'static str>> = records.iter().map(known).collect();
        let (margins, differences): (Vec<f64>, Vec<f64>) = known.iter().flatten().copied().unzip();
        let scale = sample_deviation(&differences).filter(|scale| *scale > 0.0);
        let squashed: Vec<f64> = differences.iter().map(|d| scale.map_or(0.0, |scale| (d / scale).tanh())).collect();
        let slope = slope(&squashed, &margins).unwrap_or(0.0);
        curated.report.set_figure("slope", Some(slope));
        let mut squashed = squashed.into_iter();
        for (mut record, known) in records.into_iter().zip(known) {
            curated.push(match (known, &mut squashed) {
                (Err(reason), _) => Verdict::Drop(record, reason),
                (Ok((margin, _)), squashed) => {
                    let explained = slope * squashed.next().expect("one for each known record");
                    record.meta_mut().insert("margin_before_length_control".to_owned(), margin.into());
                    record.set_margin(Some(margin - explained));
                    Verdict::Keep(record)
                }
            });
        }
        Ok(curated)
    }
}

/// The slope of the least-squares line; none where `x` does not vary.
fn slope(x: &[f64], y: &[f64]) -> Option<f64> {
    let (mean_x, mean_y) = (mean(x)?, mean(y)?);
    let squares: f64 = x.iter().map(|x| (x - mean_x).powi(2)).sum();
    let products: f64 = x.iter().zip(y).map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    (squares > 0.0).then(|| products / squares)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Pair;

    fn pair(prompt: usize, chosen: usize, rejected: usize) -> Pair {
        Pair::new(format!("q{prompt}"), "a".repeat(chosen), "b".repeat(rejected)).unwrap()
    }

    #[test]
    fn statistics_of_nothing_and_of_equal_lengths_are_undefined() {
        let nothing = LengthStatistics { pairs: 0, longer_chosen: None, mean_log_ratio: None, correlation: None };
        assert_eq!(length_statistics(&[]), nothing);
        let equal = length_statistics(&[(2.0, 2.0)]);
        assert_eq!((equal.longer_chosen, equal.mean_log_ratio, equal.correlation), (Some(0.5), Some(0.0), None));
        let empty = length_statistics(&[(2.0, 0.0)]);
        assert_eq!((empty.mean_log_ratio, empty.correlation, empty.longer_chosen), (None, Some(1.0), Some(1.0)));
    }

    #[test]
    fn d35_pairs_whose_chosen_side_is_longer_are_thinned_out_bin_by_bin() {
        // Ratios of 2 in six pairs up and two down, ratios of 8 in three up and one down, one pair of equal lengths.
        let mut records: Vec<_> = (0..6).map(|i| pair(i, 2, 1)).chain((6..8).map(|i| pair(i, 1, 2))).collect();
        records.extend((8..11).map(|i| pair(i, 8, 1)).chain([pair(11, 1, 8), pair(12, 3, 3)]));
        let balance = MatchLengths { num_bins: 2, tolerance: 0.0, ..MatchLengths::new(Column::characters()) };
        let curated = balance.apply(records.clone(), 5).unwrap();
        let lengths: Vec<_> = curated.records.iter().map(|pair| Column::characters().of(pair).unwrap()).collect();
        let count = |wanted| lengths.iter().filter(|two| **two == wanted).count();
        assert_eq!([count((2.0, 1.0)), count((1.0, 2.0)), count((8.0, 1.0)), count((1.0, 8.0))], [2, 2, 1, 1]);
        assert_eq!(curated.report.dropped["length_balance"], 6);
        assert_eq!(curated.report.figure("longer_chosen_before"), Some(9.5 / 13.0));
        assert_eq!(curated.report.figure("longer_chosen_after"), Some(0.5));
        // Who stays depends on the content, not on the place.
        let mut reversed = records.clone();
        reversed.reverse();
        let mut again = balance.apply(reversed, 5).unwrap().records;
        again.reverse();
        assert_eq!(again, curated.records);
        // A share of 0.6 is three to two.
        let loose = MatchLengths { tolerance: 0.1, ..balance.clone() };
        assert_eq!(loose.apply(records.clone(), 5).unwrap().report.dropped["length_balance"], 5);
        let all = MatchLengths { tolerance: 0.5, ..balance };
        assert_eq!(all.apply(records, 5).unwrap().report.total_dropped(), 0);
    }

    #[test]
    fn pairs_without_lengths_are_named() {
        let lengths = Column::new("none", |_: &Pair| None);
        let report = MatchLengths::new(lengths.clone()).apply(vec![pair(0, 1, 2)], 0).unwrap().report;
        assert_eq!(report.dropped["no_length"], 1);
        let report =
            CapLengthRatio { lengths: lengths.clone(), max_ratio: 2.0 }.apply(vec![pair(0, 1, 2)], 0).unwrap().report;
        assert_eq!(report.dropped["no_length"], 1);
        let control = LengthControlMargin { lengths, margin: Column::margin() };
        assert_eq!(control.apply(vec![pair(0, 1, 2)], 0).unwrap().report.dropped["no_length"], 1);
        for bad in [(f64::NAN, 1.0), (1.0, -1.0), (f64::INFINITY, 1.0), (1.0, 0.0)] {
            let lengths = Column::new("bad", move |_: &Pair| Some(bad));
            let report = CapLengthRatio { lengths, max_ratio: 2.0 }.apply(vec![pair(0, 1, 2)], 0).unwrap().report;
            assert_eq!(report.dropped["no_length"], 1, "{bad:?}");
        }
    }

    #[test]
    fn ratios_are_capped_whichever_side_is_longer() {
        let cap = CapLengthRatio { lengths: Column::characters(), max_ratio: 2.0 };
        let curated = cap.apply(vec![pair(0, 2, 1), pair(1, 3, 1), pair(2, 1, 3), pair(3, 1, 2)], 0).unwrap();
        assert_eq!(curated.dropped.iter().map(|dropped| dropped.index).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(curated.dropped[0].reason, "length_ratio");
        let low = CapLengthRatio::<Pair> { lengths: Column::characters(), max_ratio: 0.5 };
        assert_eq!(low.check().unwrap_err().to_string(), "`max_ratio`: expected at least 1, got 0.5");
    }

    #[test]
    fn weights_make_both_classes_of_a_bin_weigh_the_same() {
        // Three up, one down: 1 / (2 · ¾) = ⅔ and 1 / (2 · ¼) = 2.
        let mut records: Vec<_> = (0..3).map(|i| pair(i, 2, 1)).chain([pair(3, 1, 2), pair(4, 2, 2)]).collect();
        records[0].set_weight(3.0);
        let reweight = ReweightLengths { num_bins: 1, ..ReweightLengths::new(Column::characters()) };
        let curated = reweight.apply(records, 0).unwrap();
        let weights: Vec<f64> = curated.records.iter().map(HasWeight::weight).collect();
        for (weight, expected) in weights.iter().zip([2.0, 2.0 / 3.0, 2.0 / 3.0, 2.0, 1.0]) {
            assert!((weight - expected).abs() < 1e-15, "{weights:?}");
        }
        assert_eq!(curated.report.count("reweighted"), 4);
        assert_eq!(curated.report.figure("longer_chosen_before"), Some(0.7));
        let error = ReweightLengths::<Pair> { num_bins: 0, ..ReweightLengths::new(Column::characters()) }.check();
        assert_eq!(error.unwrap_err().to_string(), "`num_bins`: expected at least 1, got 0");
    }

    #[test]
    fn margins_that_length_explains_become_equal() {
        // Differences 2, −2 and 0 have the deviation 2, so t is tanh 1, −tanh 1 and 0; margins 1 + 3 t.
        let t = 1f64.tanh();
        let records = [(3, 1, 1.0 + 3.0 * t), (1, 3, 1.0 - 3.0 * t), (2, 2, 1.0)];
        let records = records.map(|(chosen, rejected, margin)| {
            let mut pair = pair(chosen, chosen, rejected);
            pair.set_margin(Some(margin));
            pair
        });
        let control = LengthControlMargin { lengths: Column::characters(), margin: Column::margin() };
        let curated = control.apply(records.to_vec(), 0).unwrap();
        assert!((curated.report.figure("slope").unwrap() - 3.0).abs() < 1e-12);
        for record in &curated.records {
            assert!((record.margin().unwrap() - 1.0).abs() < 1e-12);
        }
        use crate::curation::HasMeta;
        assert_eq!(curated.records[2].meta()["margin_before_length_control"], 1.0);
        let report = control.apply(vec![pair(0, 1, 2)], 0).unwrap().report;
        assert_eq!((report.dropped["no_margin"], report.figure("slope")), (1, Some(0.0)));
    }

    #[test]
    fn options_out_of_their_domain_are_errors() {
        let new = || MatchLengths::<Pair>::new(Column::characters());
        assert!(MatchLengths { num_bins: 0, ..new() }.check().unwrap_err().to_string().starts_with("`num_bins`"));
        assert!(MatchLengths { tolerance: 0.6, ..new() }.check().unwrap_err().to_string().starts_with("`tolerance`"));
        assert!(new().check().is_ok());
    }
}
