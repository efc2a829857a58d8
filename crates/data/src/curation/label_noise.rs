//! Label noise by the vote of several reward models.
//!
//! **Paper:** Secrets of RLHF in Large Language Models Part II: Reward Modeling (2024), 2401.06080.
//! **Use when:** some labels of a set are wrong and several reward models of other seeds or shards can be trained on
//! it.
//! **Deviations:** labels of the lowest band are changed only where the mean difference is negative, so that a clean
//! set stays as it is.

use serde::Serialize;
use serde_json::Value;

use super::{
    access::{Preference, flip, soften},
    column::Column,
    numbers::{
        check_all_finite, check_domain, check_finite, check_length, check_share, logistic, mean, quantile_of_sorted,
        sample_deviation, sorted, win,
    },
    operator::{Curated, Operator, Verdict, options_of},
};
use crate::{Error, Result};

/// What several models say about one pair.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Vote {
    /// The mean over the models of `r(chosen) − r(rejected)`: the strength of the preference, μ.
    pub mean: f64,
    /// Its sample standard deviation over the models, σ; none of one model.
    pub deviation: Option<f64>,
    /// The share of the models that agree with the label; a difference of 0 counts ½.
    pub share: f64,
}

/// The votes on each pair, of differences `r(chosen) − r(rejected)`, `[models][pairs]`.
///
/// With `standardize` each model's differences are first divided by their sample standard deviation over the pairs, for
/// models on different scales; those of a model whose differences are all equal, or of a single pair, stay as they are.
///
/// # Errors
/// [`Error::NoEntry`] without a model; [`Error::Length`] for models of unequally many pairs; [`Error::Item`] for a
/// difference that is not finite.
///
/// # Example
/// ```
/// use accordant_data::curation::label_noise::votes;
/// let votes = votes(&[vec![2.0, -1.0], vec![0.0, -3.0]], false)?;
/// assert_eq!((votes[0].mean, votes[0].share), (1.0, 0.75));
/// assert_eq!((votes[1].mean, votes[1].share), (-2.0, 0.0));
/// assert!((votes[1].deviation.unwrap() - 2f64.sqrt()).abs() < 1e-15);
/// # Ok::<(), accordant_data::Error>(())
/// ```
pub fn votes(differences: &[Vec<f64>], standardize: bool) -> Result<Vec<Vote>> {
    let num_pairs = differences.first().ok_or(Error::NoEntry { name: "differences" })?.len();
    let mut scales = Vec::with_capacity(differences.len());
    for model in differences {
        check_length("differences", num_pairs, model.len())?;
        check_all_finite("differences", model)?;
        let scale = sample_deviation(model).filter(|scale| standardize && *scale > 0.0);
        scales.push(scale.unwrap_or(1.0));
    }
    let vote = |pair: usize| {
        let of_pair: Vec<f64> = differences.iter().zip(&scales).map(|(model, scale)| model[pair] / scale).collect();
        let agree: f64 = of_pair.iter().map(|difference| win(*difference, 0.0)).sum();
        let share = agree / of_pair.len() as f64;
        Vote { mean: mean(&of_pair).expect("there is a model"), deviation: sample_deviation(&of_pair), share }
    };
    Ok((0..num_pairs).map(vote).collect())
}

/// The rate of wrong labels ε behind an agreement `A` of two annotators on one item: `A = (1 − ε)² + ε²`, so
/// `ε = (1 − √(2A − 1)) / 2`; none where `A < ½`, or is no share.
///
/// # Example
/// ```
/// use accordant_data::curation::label_noise::noise_from_agreement;
/// assert!((noise_from_agreement(0.82).unwrap() - 0.1).abs() < 1e-15); // 0.9² + 0.1² = 0.82
/// assert_eq!(noise_from_agreement(0.4), None);
/// ```
pub fn noise_from_agreement(agreement: f64) -> Option<f64> {
    (0.5..=1.0).contains(&agreement).then(|| (1.0 - (2.0 * agreement - 1.0).sqrt()) / 2.0)
}

/// The rate of wrong labels that Bradley-Terry models of these mean differences would expect: `1 − mean σ(|μ|)`. A
/// figure for plausibility, no estimate: it says nothing about the labels. None of no vote.
pub fn plausible_noise(votes: &[Vote]) -> Option<f64> {
    let sure: Vec<f64> = votes.iter().map(|vote| logistic(vote.mean.abs())).collect();
    mean(&sure).map(|sure| 1.0 - sure)
}

/// Up to where the bands of μ reach.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub enum Bands {
    /// Shares of the data, in `[0, 1]`, `low ≤ middle`.
    Quantiles {
        /// The lowest band. 0.2: the paper's lowest fifth.
        low: f64,
        /// Lowest and middle band. 0.4.
        middle: f64,
    },
    /// Values of μ, finite, `low ≤ middle`.
    Values {
        /// The lowest band.
        low: f64,
        /// Lowest and middle band.
        middle: f64,
    },
}

/// What is done where μ is low and negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum LowAction {
    /// The label is turned around.
    Flip,
    /// The pair goes, under `noisy`.
    Drop,
    /// Nothing.
    Keep,
}

/// What is done where μ is near 0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub enum MiddleAction {
    /// The label gets the probability `σ(μ)`.
    Soften,
    /// The label gets the probability `1 − ε`, ε in `[0, 0.5]`.
    Smooth(f64),
    /// Nothing.
    Keep,
}

/// Flips, softens or keeps labels by what several reward models say. Needs all records, for the quantiles.
///
/// Bands are inclusive. A record without differences goes under `unscored`. Figures: `mean_mu`, `mean_sigma`,
/// `share_negative`, `plausible_noise` and the quantiles of μ; counts: `flipped`, `softened`, `smoothed`, `margin_set`,
/// and a histogram of μ with ten bins of equal width.
#[derive(Debug, Clone, Serialize)]
#[serde(bound = "")]
#[doc(alias = "2401.06080")]
pub struct LabelNoise<T> {
    /// `r(chosen) − r(rejected)` of each model, as many for each record.
    pub differences: Column<T, Vec<f64>>,
    /// Whether each model's differences are divided by their deviation. Default: true.
    pub standardize: bool,
    /// Where the bands end. Default: quantiles 0.2 and 0.4.
    pub bands: Bands,
    /// The lowest band, where μ < 0. Default: [`LowAction::Flip`].
    pub low: LowAction,
    /// The middle band, and what of the lowest has μ ≥ 0. Default: [`MiddleAction::Soften`].
    pub middle: MiddleAction,
    /// Whether μ becomes the margin of the others. Default: true.
    pub adaptive_margin: bool,
}

impl<T> LabelNoise<T> {
    /// With the defaults.
    pub fn new(differences: Column<T, Vec<f64>>) -> Self {
        let bands = Bands::Quantiles { low: 0.2, middle: 0.4 };
        let (low, middle) = (LowAction::Flip, MiddleAction::Soften);
        Self { differences, standardize: true, bands, low, middle, adaptive_margin: true }
    }
}

impl<T: Preference> Operator<T> for LabelNoise<T> {
    type Out = T;

    fn name(&self) -> &'static str {
        "label_noise"
    }

    fn options(&self) -> Value {
        options_of(self)
    }

    fn check(&self) -> Result<()> {
        let (low, middle) = match self.bands {
            Bands::Quantiles { low, middle } => {
                check_share("low", low)?;
                check_share("middle", middle)?;
                (low, middle)
            }
            Bands::Values { low, middle } => {
                check_finite("low", low)?;
                check_finite("middle", middle)?;
                (low, middle)
            }
        };
        check_domain(low <= middle, "middle", "at least `low`", middle)?;
        match self.middle {
            MiddleAction::Smooth(share) => {
                check_domain((0.0..=0.5).contains(&share), "smooth", "a number in [0, 0.5]", share)
            }
            _ => Ok(()),
        }
    }

    /// # Errors
    /// Those of [`Self::check`] and [`votes`].
    fn apply(&self, records: Vec<T>, seed: u64) -> Result<Curated<T>> {
        self.check()?;
        let differences: Vec<Option<Vec<f64>>> = records.iter().map(|record| self.differences.of(record)).collect();
        let known: Vec<&Vec<f64>> = differences.iter().flatten().collect();
        let num_models = known.first().map_or(0, |first| first.len());
        for pair in &known {
            check_length("differences", num_models, pair.len())?;
        }
        let by_model: Vec<Vec<f64>> = (0..num_models).map(|m| known.iter().map(|pair| pair[m]).collect()).collect();
        let votes = if known.is_empty() { Vec::new() } else { votes(&by_model, self.standardize)? };
        let means = sorted(&votes.iter().map(|vote| vote.mean).collect::<Vec<_>>());
        let limit = |share| quantile_of_sorted(&means, share).unwrap_or(0.0);
        let (low, middle) = match self.bands {
            Bands::Quantiles { low, middle } => (limit(low), limit(middle)),
            Bands::Values { low, middle } => (low, middle),
        };
        let mut curated = Curated::new(self, seed);
        self.note(&mut curated, &votes, &means);
        let mut votes = votes.into_iter();
        for (record, differences) in records.into_iter().zip(differences) {
            let Some(vote) = differences.and_then(|_| votes.next()) else {
                curated.push(Verdict::Drop(record, "unscored"));
                continue;
            };
            let verdict = self.decide(record, vote.mean, low, middle, &mut curated);
            curated.push(verdict);
        }
        Ok(curated)
    }
}

impl<T: Preference> LabelNoise<T> {
    fn decide(&self, mut record: T, mean: f64, low: f64, middle: f64, curated: &mut Curated<T>) -> Verdict<T> {
        let report = &mut curated.report;
        if mean <= low && mean < 0.0 {
            match self.low {
                LowAction::Drop => return Verdict::Drop(record, "noisy"),
                LowAction::Keep => {}
                LowAction::Flip => {
                    flip(&mut record, self.name());
                    report.add("flipped");
                    if self.adaptive_margin {
                        record.set_margin(Some(-mean));
                        report.add("margin_set");
                    }
                }
            }
        } else if mean <= middle {
            match self.middle {
                MiddleAction::Soften => {
                    soften(&mut record, self.name(), logistic(mean));
                    report.add("softened");
                }
                MiddleAction::Smooth(share) => {
                    soften(&mut record, self.name(), 1.0 - share);
                    report.add("smoothed");
                }
                MiddleAction::Keep => {}
            }
        } else if self.adaptive_margin {
            record.set_margin(Some(mean));
            report.add("margin_set");
        }
        Verdict::Keep(record)
    }

    fn note(&self, curated: &mut Curated<T>, votes: &[Vote], means: &[f64]) {
        let report = &mut curated.report;
        let deviations: Vec<f64> = votes.iter().filter_map(|vote| vote.deviation).collect();
        let negative: Vec<f64> = means.iter().map(|mean| f64::from(u8::from(*mean < 0.0))).collect();
        report.set_figure("mean_mu", mean(means));
        report.set_figure("mean_sigma", mean(&deviations));
        report.set_figure("share_negative", mean(&negative));
        report.set_figure("plausible_noise", plausible_noise(votes));
        for share in [0.05, 0.25, 0.5, 0.75, 0.95] {
            report.set_figure(format!("mu_q{share}"), quantile_of_sorted(means, share));
        }
        let (Some(&least), Some(&most)) = (means.first(), means.last()) else { return };
        let width = (most - least) / BINS as f64;
        for mean in means {
            let bin = if width > 0.0 { (((mean - least) / width) as usize).min(BINS - 1) } else { 0 };
            report.add(&format!("mu_bin{bin} from {:.4}", least + bin as f64 * width));
        }
    }
}

/// Bins of the histogram.
const BINS: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Pair, curation::testing::pair};

    fn with(differences: &[f64]) -> Pair {
        let mut record = pair("q");
        record.envelope.meta.insert("d".into(), differences.to_vec().into());
        record
    }

    fn plain() -> LabelNoise<Pair> {
        LabelNoise { standardize: false, ..LabelNoise::new(Column::meta("d")) }
    }

    #[test]
    fn models_on_larger_scales_do_not_outvote_the_others() {
        // deviations of (1, −1) and (100, 300) are √2 and √2 · 100
        let votes = votes(&[vec![1.0, -1.0], vec![100.0, 300.0]], true).unwrap();
        let root = 2f64.sqrt();
        assert!((votes[0].mean - (1.0 / root + 1.0 / root) / 2.0).abs() < 1e-12);
        assert!((votes[1].mean - (-1.0 / root + 3.0 / root) / 2.0).abs() < 1e-12);
        assert_eq!(votes[1].share, 0.5);
        // One pair, or equal differences, have no scale.
        assert_eq!(super::votes(&[vec![3.0], vec![1.0]], true).unwrap()[0].mean, 2.0);
        assert_eq!(super::votes(&[vec![3.0, 3.0]], true).unwrap()[0].mean, 3.0);
    }

    #[test]
    fn one_model_has_no_deviation() {
        assert_eq!(votes(&[vec![2.0]], false).unwrap(), [Vote { mean: 2.0, deviation: None, share: 1.0 }]);
        assert_eq!(votes(&[], false).unwrap_err().to_string(), "`differences`: expected at least one entry, got none");
        assert!(votes(&[vec![1.0], vec![]], false).is_err() && votes(&[vec![f64::NAN]], false).is_err());
    }

    #[test]
    fn agreement_tells_the_rate_of_wrong_labels() {
        assert!((noise_from_agreement(0.82).unwrap() - 0.1).abs() < 1e-15);
        assert_eq!((noise_from_agreement(1.0), noise_from_agreement(0.5)), (Some(0.0), Some(0.5)));
        assert_eq!([0.49, 1.01, f64::NAN].map(noise_from_agreement), [None; 3]);
        let votes = votes(&[vec![3f64.ln(), -(3f64.ln())]], false).unwrap();
        assert!((plausible_noise(&votes).unwrap() - 0.25).abs() < 1e-15, "σ(ln 3) = 0.75 whatever the sign");
        assert_eq!(plausible_noise(&[]), None);
    }

    #[test]
    fn low_labels_are_flipped_middle_ones_softened_and_high_ones_get_margins() {
        // quantiles 0.2 and 0.4 of −2, −1, 0, 1, 2 are −1.2 and −0.4
        let records = [-2.0, 2.0, -1.0, 1.0, 0.0].map(|d| with(&[d]));
        let curated = plain().apply(records.to_vec(), 0).unwrap();
        let [flipped, top, soft, one, zero] = &curated.records[..] else { panic!("five records") };
        assert_eq!((flipped.chosen.as_plain(), flipped.margin), (Some("bad"), Some(2.0)));
        assert_eq!(flipped.envelope.meta["relabelled"]["operator"], "label_noise");
        assert_eq!((top.margin, one.margin, zero.margin), (Some(2.0), Some(1.0), Some(0.0)));
        assert_eq!((soft.p_chosen, soft.margin), (Some(logistic(-1.0)), None));
        let report = &curated.report;
        assert_eq!((report.count("flipped"), report.count("softened"), report.count("margin_set")), (1, 1, 4));
        assert_eq!((report.figure("share_negative"), report.figure("mean_sigma")), (Some(0.4), None));
        assert_eq!((report.figure("mean_mu"), report.figure("mu_q0.25")), (Some(0.0), Some(-1.0)));
        // bins of width 0.4 from −2: 0, 2.5, 5, 7.5 and the last
        assert_eq!((report.count("mu_bin0 from -2.0000"), report.count("mu_bin2 from -1.2000")), (1, 1));
        assert_eq!((report.count("mu_bin5 from 0.0000"), report.count("mu_bin9 from 1.6000")), (1, 1));
    }

    #[test]
    fn a_clean_set_stays_as_it_is_below() {
        let records: Vec<_> = (1..=5).map(|d| with(&[f64::from(d), f64::from(d)])).collect();
        let noise = LabelNoise { middle: MiddleAction::Keep, adaptive_margin: false, ..plain() };
        let curated = noise.apply(records.clone(), 0).unwrap();
        assert_eq!(curated.records, records);
        assert_eq!(curated.report.figure("mean_sigma"), Some(0.0));
    }

    #[test]
    fn bands_by_value_actions_and_records_without_scores() {
        let records = vec![with(&[-0.5]), pair("none"), with(&[-0.6]), with(&[0.1]), with(&[0.2])];
        let bands = Bands::Values { low: -0.55, middle: 0.1 };
        let noise = LabelNoise { bands, low: LowAction::Drop, middle: MiddleAction::Smooth(0.1), ..plain() };
        let curated = noise.apply(records.clone(), 0).unwrap();
        let dropped: Vec<_> = curated.dropped.iter().map(|dropped| (dropped.index, dropped.reason)).collect();
        assert_eq!(dropped, [(1, "unscored"), (2, "noisy")]);
        assert_eq!(curated.records.iter().map(|r| r.p_chosen).collect::<Vec<_>>(), [Some(0.9), Some(0.9), None]);
        assert_eq!((curated.report.count("smoothed"), curated.report.count("margin_set")), (2, 1));
        let keep = LabelNoise { bands, low: LowAction::Keep, adaptive_margin: false, ..plain() };
        assert_eq!(keep.apply(vec![with(&[-0.6])], 0).unwrap().records, [with(&[-0.6])]);
        let nothing = plain().apply(vec![pair("none")], 0).unwrap();
        assert_eq!((nothing.records.len(), nothing.report.dropped["unscored"]), (0, 1));
    }

    #[test]
    fn options_out_of_their_domain_are_errors() {
        let with = |bands| LabelNoise { bands, ..plain() };
        let error = |noise: LabelNoise<Pair>| noise.apply(Vec::new(), 0).unwrap_err().to_string();
        let quantiles = |low, middle| error(with(Bands::Quantiles { low, middle }));
        assert_eq!(quantiles(-0.1, 0.4), "`low`: expected a number in [0, 1], got -0.1");
        assert_eq!(quantiles(0.1, 1.1), "`middle`: expected a number in [0, 1], got 1.1");
        assert_eq!(quantiles(0.5, 0.4), "`middle`: expected at least `low`, got 0.4");
        assert!(error(with(Bands::Values { low: f64::NAN, middle: 0.0 })).starts_with("`low`"));
        assert!(error(with(Bands::Values { low: 0.0, middle: f64::INFINITY })).starts_with("`middle`"));
        let smooth = LabelNoise { middle: MiddleAction::Smooth(0.6), ..plain() };
        assert_eq!(error(smooth), "`smooth`: expected a number in [0, 0.5], got 0.6");
        assert!(plain().apply(vec![super::tests::with(&[1.0]), super::tests::with(&[1.0, 2.0])], 0).is_err());
    }
}
