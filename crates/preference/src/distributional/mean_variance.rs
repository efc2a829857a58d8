//! Mean-variance reward model: distributional preference learning (DPL) with a normal distribution per response.
//!
//! **Paper:** Distributional Preference Learning: Understanding and Accounting for Hidden Context in RLHF (2023), 2312.08358.
//! **Use when:** people who judge differ in what is not in the data, and a spread is to show where they do.
//! **Checked by:** hand-worked values and gradients, published figures of the links, the limit to Thurstone's model, a
//! hidden-context world whose spread jumps.
//! **Deviations:** none. [`SpreadLink::ReleasedLogistic`] is what the released code trains with in place of the paper's `Φ`; it
//! is much steeper.

use accordant_ops::{
    check_domain,
    stable::{log_normal_cdf, log_sigmoid, softplus},
};
use burn::{config::Config, tensor::Tensor};

use super::{GaussianPairs, PairDistributionModel};
use crate::{
    Nll, Result,
    link::{Link, LogProb, Logit, Probit},
    pairwise::Outcomes,
};

/// How a distance in standard deviations becomes a chance. At a distance of 1: 0.84134, 0.92461 and 0.84580.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum SpreadLink {
    /// `Φ(z)`, the paper's.
    Probit,
    /// `σ(√(2π) z)`, the released code's: its slope at 0 is √(2π)/4 = 0.627, not `φ(0)` = 0.399.
    ReleasedLogistic,
    /// `σ(1.702 z)`, the logistic function nearest to `Φ`.
    Logistic1702,
}

impl SpreadLink {
    /// By what the distance is multiplied inside of the logistic function; none under `Φ`.
    fn steepness(self) -> Option<f64> {
        match self {
            Self::Probit => None,
            Self::ReleasedLogistic => Some((2.0 * std::f64::consts::PI).sqrt()),
            Self::Logistic1702 => Some(1.702),
        }
    }

    fn log_prob(self, z: Tensor<1>) -> Tensor<1> {
        match self.steepness() {
            None => log_normal_cdf(z),
            Some(steepness) => log_sigmoid(z * steepness),
        }
    }

    /// The log-probability, in nats, that the first of two responses is preferred, with derivatives by the distance of
    /// their means: the host's face.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::distributional::{mean_variance::SpreadLink, risk::Gaussian};
    /// let (a, b) = (Gaussian { mean: 1.0, spread: 0.6 }, Gaussian { mean: 0.0, spread: 0.8 });
    /// assert!((SpreadLink::Probit.first(a, b).value.exp() - 0.8413447460685429).abs() < 1e-12);
    /// ```
    pub fn first(self, first: super::risk::Gaussian, second: super::risk::Gaussian) -> LogProb {
        let variance = first.spread * first.spread + second.spread * second.spread;
        let scale = self.steepness().unwrap_or(1.0) / variance.max(GaussianPairs::MIN_VARIANCE).sqrt();
        let z = (first.mean - second.mean) * scale;
        let log_prob = match self.steepness() {
            None => Probit.first(z, 0.0),
            Some(_) => Logit.first(z, 0.0),
        };
        LogProb { d: log_prob.d * scale, d_d: log_prob.d_d * scale * scale, ..log_prob }
    }
}

/// How any number becomes a standard deviation.
#[derive(Config, Debug, Copy, PartialEq)]
pub enum Spread {
    /// `log(1 + e^ρ)`: the language models'.
    Softplus,
    /// `e^{ρ − 2}`, at most this much, > 0 (∞ for no limit): the synthetic experiments'.
    Exponential(f64),
}

impl Spread {
    /// Standard deviations of raw outputs.
    ///
    /// # Shapes
    /// `raw` (ρ): `[n]`, as is the result.
    ///
    /// # Errors
    /// A domain error naming `max_spread`.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::distributional::mean_variance::Spread;
    /// use burn::tensor::{Device, Tensor};
    /// let raw = || Tensor::from_floats([2.0, 9.0], &Device::flex());
    /// let spreads = Spread::Exponential(5.0).of(raw())?.try_to_vec_as::<f32>().unwrap();
    /// assert!((spreads[0] - 1.0).abs() < 1e-6 && (spreads[1] - 5.0).abs() < 1e-5);
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn of(self, raw: Tensor<1>) -> Result<Tensor<1>> {
        match self {
            Self::Softplus => Ok(softplus(raw)),
            Self::Exponential(max) => {
                check_domain(max > 0.0, "max_spread", "> 0", max)?;
                let exponents = raw - 2.0;
                Ok(if max.is_finite() { exponents.clamp_max(max.ln()) } else { exponents }.exp())
            }
        }
    }
}

/// Losses of judged pairs of normal distributions, one per pair.
///
/// ```text
/// z = (μ_a − μ_b)/√(ς_a² + ς_b²),   loss = −t log F(z) − (1 − t) log F(−z)  [ + variance_penalty (ς_a² + ς_b²) ]
/// ```
///
/// Scaling all means and spreads alike changes no chance: only a penalty, or spreads that are given, fix the scale.
///
/// # Shapes
/// `[n]` throughout. A sum of variances below [`GaussianPairs::MIN_VARIANCE`] counts as that much, with no gradient.
///
/// # Errors
/// None that the pairs' constructors have not seen.
///
/// # Example
/// ```
/// use accordant_preference::{
///     distributional::{GaussianPairs, mean_variance::{MeanVarianceConfig, mean_variance_losses}},
///     pairwise::PairScores,
/// };
/// use burn::tensor::{Device, Tensor};
/// let one = |value: f32| Tensor::<1>::from_floats([value], &Device::flex());
/// let pairs = GaussianPairs::new(PairScores::new(one(1.0), one(0.0))?, one(0.6), one(0.8))?;
/// let loss = mean_variance_losses(&pairs, &MeanVarianceConfig::new())?.into_scalar::<f32>();
/// assert!((loss + 0.841_344_7f32.ln()).abs() < 1e-6); // Φ(1)
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "2312.08358")]
#[doc(alias = "Distributional Preference Learning")]
#[doc(alias = "hidden context")]
pub fn mean_variance_losses(pairs: &GaussianPairs, config: &MeanVarianceConfig) -> Result<Tensor<1>> {
    let losses = outcomes(pairs, config.link).losses(pairs.means());
    Ok(match config.variance_penalty {
        0.0 => losses,
        penalty => losses + pairs.variances() * penalty,
    })
}

fn outcomes(pairs: &GaussianPairs, link: SpreadLink) -> Outcomes {
    let z = pairs.distances();
    Outcomes { first: link.log_prob(z.clone()), tie: None, second: link.log_prob(-z) }
}

/// How much of what is predicted is between responses, `Var(μ)/(Var(μ) + mean ς²)`: near 1 where one utility explains the
/// judgments, low where something that the data do not show decides. None of nothing, and where neither varies.
///
/// # Errors
/// [`crate::Error::Length`] naming `spreads`.
///
/// # Example
/// ```
/// use accordant_preference::distributional::mean_variance::explained_variance;
/// assert_eq!(explained_variance(&[-1.0, 1.0], &[1.0, 1.0])?, Some(0.5));
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn explained_variance(means: &[f64], spreads: &[f64]) -> Result<Option<f64>> {
    crate::error::check_length("spreads", means.len(), spreads.len())?;
    let n = means.len() as f64;
    let mean = means.iter().sum::<f64>() / n;
    let between = means.iter().map(|m| (m - mean).powi(2)).sum::<f64>() / n;
    let within = spreads.iter().map(|s| s * s).sum::<f64>() / n;
    Ok((between + within > 0.0).then(|| between / (between + within)))
}

/// Configuration of [`MeanVariance`].
#[derive(Config, Debug, PartialEq)]
pub struct MeanVarianceConfig {
    /// How distances become chances. `Φ`: the paper's.
    #[config(default = "SpreadLink::Probit")]
    pub link: SpreadLink,
    /// Weight of the sum of both variances, finite and ≥ 0, in training only. 0: the paper's.
    #[config(default = 0.0)]
    pub variance_penalty: f64,
}

impl MeanVarianceConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<MeanVariance> {
        let penalty = self.variance_penalty;
        check_domain(penalty.is_finite() && penalty >= 0.0, "variance_penalty", "finite and >= 0", penalty)?;
        Ok(MeanVariance { config: self.clone() })
    }
}

/// The mean-variance reward model; see [`mean_variance_losses`].
#[derive(Debug, Clone, PartialEq)]
pub struct MeanVariance {
    config: MeanVarianceConfig,
}

impl PairDistributionModel for MeanVariance {
    type Pairs = GaussianPairs;

    /// Logs what every loss of pairs does, by the means, and `mean_variance`, half the sum of both variances.
    fn forward(&self, pairs: &GaussianPairs) -> Result<Nll> {
        let nll = pairs.means().nll(mean_variance_losses(pairs, &self.config)?)?;
        nll.with_metric("mean_variance", pairs.variances().detach() * 0.5)
    }

    fn outcomes(&self, pairs: &GaussianPairs) -> Result<Outcomes> {
        Ok(outcomes(pairs, self.config.link))
    }
}

#[cfg(test)]
mod tests {
    use accordant_laws::gradient::check_gradient;

    use super::*;
    use crate::{
        distributional::{
            risk::Gaussian,
            testing::{check_gradients, host, leaf, like, near, starts, vector},
        },
        optimize::{Stop, lbfgs},
        pairwise::PairScores,
        ranking::NewtonConfig,
    };

    const LINKS: [SpreadLink; 3] = [SpreadLink::Probit, SpreadLink::ReleasedLogistic, SpreadLink::Logistic1702];

    fn pairs(means: [&[f64]; 2], spreads: [&[f64]; 2]) -> GaussianPairs {
        let scores = PairScores::new(vector(means[0]), vector(means[1])).unwrap();
        GaussianPairs::new(scores, vector(spreads[0]), vector(spreads[1])).unwrap()
    }

    fn model(link: SpreadLink) -> MeanVariance {
        MeanVarianceConfig::new().with_link(link).init().unwrap()
    }

    #[test]
    fn the_reference_figures_of_the_links() {
        let one = pairs([&[1.0], &[0.0]], [&[0.6], &[0.8]]);
        let chances = LINKS.map(|link| host(&model(link).outcomes(&one).unwrap().first.exp())[0]);
        near(&chances, &[0.84134475, 0.92460518, 0.84579577], 5e-9);
    }

    #[test]
    fn both_faces_agree_and_chances_add_up() {
        let (a, b) = ([0.3, -2.0, 8.0, 1.0], [1.0, 1.5, -9.0, 1.0]);
        let (first, second) = ([0.5, 2.0, 0.1, 0.0], [1.5, 0.3, 0.2, 0.7]);
        let pairs = pairs([&a, &b], [&first, &second]);
        for link in LINKS {
            let outcomes = model(link).outcomes(&pairs).unwrap();
            let of = |i: usize| (Gaussian { mean: a[i], spread: first[i] }, Gaussian { mean: b[i], spread: second[i] });
            let expected: Vec<f64> = (0..4).map(|i| link.first(of(i).0, of(i).1).value).collect();
            near(&host(&outcomes.first), &expected, 1e-12);
            let expected: Vec<f64> = (0..4).map(|i| link.first(of(i).1, of(i).0).value).collect();
            near(&host(&outcomes.second), &expected, 1e-9);
            near(&host(&(outcomes.first.exp() + outcomes.second.exp())), &[1.0; 4], 1e-14);
            // The derivatives of the host's face.
            let at = |x: &[f64]| link.first(Gaussian { mean: x[0], spread: 0.5 }, Gaussian { mean: 0.2, spread: 0.4 });
            check_gradient(|x| at(x).value, &[0.9], &[at(&[0.9]).d]).unwrap();
            check_gradient(|x| at(x).d, &[0.9], &[at(&[0.9]).d_d]).unwrap();
        }
    }

    #[test]
    fn losses_by_hand_with_votes_and_a_penalty() {
        let scores = PairScores::new(vector(&[1.0]), vector(&[0.0])).unwrap().with_targets(vector(&[0.75])).unwrap();
        let pairs = GaussianPairs::new(scores, vector(&[0.6]), vector(&[0.8])).unwrap();
        let p: f64 = 0.8413447460685429;
        let plain = -0.75 * p.ln() - 0.25 * (1.0 - p).ln();
        near(&host(&mean_variance_losses(&pairs, &MeanVarianceConfig::new()).unwrap()), &[plain], 1e-12);
        let config = MeanVarianceConfig::new().with_variance_penalty(0.3);
        let nll = config.init().unwrap().forward(&pairs).unwrap();
        near(&host(&nll.losses), &[plain + 0.3], 1e-12);
        assert!((nll.means().mean("mean_variance").unwrap() - 0.5).abs() < 1e-12);
        assert_eq!(nll.means().mean("accuracy"), Some(1.0));
    }

    #[test]
    fn equal_spreads_are_thurstones_model_and_scale_is_not_identified() {
        let half = 0.5f64.sqrt();
        let case_v = pairs([&[0.7, -1.0], &[0.2, 0.4]], [&[half; 2], &[half; 2]]);
        let expected = [0.5, -1.4].map(|d| Probit.first(d, 0.0).value);
        near(&host(&model(SpreadLink::Probit).outcomes(&case_v).unwrap().first), &expected, 1e-12);
        let doubled = pairs([&[1.4, -2.0], &[0.4, 0.8]], [&[2.0 * half; 2], &[2.0 * half; 2]]);
        near(&host(&model(SpreadLink::Probit).outcomes(&doubled).unwrap().first), &expected, 1e-12);
    }

    #[test]
    fn gradients_are_derivatives() {
        for link in LINKS {
            let config = MeanVarianceConfig::new().with_link(link).with_variance_penalty(0.1);
            check_gradients(&[0.4, -1.0, 0.2, 2.0, 0.7, 1.1, 0.3, 0.9], |x| {
                let part = |i: usize| x.clone().narrow(0, 2 * i, 2);
                let scores = PairScores::new(part(0), part(1)).unwrap();
                let scores = scores.with_targets(like(&x, &[1.0, 0.3])).unwrap();
                let spreads = |i| Spread::Softplus.of(part(i)).unwrap();
                mean_variance_losses(&GaussianPairs::new(scores, spreads(2), spreads(3)).unwrap(), &config).unwrap()
            });
        }
        check_gradients(&[0.5, 1.0, 9.0], |x| Spread::Exponential(2.0).of(x).unwrap());
        let capped = host(&Spread::Exponential(2.0).of(vector(&[2.0, 90.0, -700.0])).unwrap());
        near(&capped, &[1.0, 2.0, 0.0], 1e-12);
        near(&host(&Spread::Exponential(f64::INFINITY).of(vector(&[4.0])).unwrap()), &[2f64.exp()], 1e-12);
        near(&host(&Spread::Softplus.of(vector(&[0.0])).unwrap()), &[2f64.ln()], 1e-15);
        for max in [0.0, -1.0, f64::NAN] {
            starts(Spread::Exponential(max).of(vector(&[1.0])), "`max_spread`");
        }
    }

    #[test]
    fn extremes_are_finite_and_a_vanished_spread_is_no_nan() {
        for link in LINKS {
            let (x, spreads) = (leaf(&[1e4, -1e4, 0.0]), leaf(&[0.0, 1e-8, 0.0]));
            let other = like(&x, &[0.0; 3]);
            let pairs = GaussianPairs::new(PairScores::new(x.clone(), other.clone()).unwrap(), spreads.clone(), other);
            let losses = model(link).forward(&pairs.unwrap()).unwrap().losses;
            let values = host(&losses);
            let gradients = losses.sum().backward();
            let slopes = [x, spreads].map(|x| host(&x.grad(&gradients).unwrap())).concat();
            assert!(values.iter().chain(&slopes).all(|v| v.is_finite()), "{link:?}: {values:?} {slopes:?}");
        }
    }

    /// A state `s` in [0, 1] is worth `s` below 0.8, and 2s or 0 above, as something that is not seen decides.
    fn utilities(s: f64) -> Vec<f64> {
        if s < 0.8 { vec![s] } else { vec![2.0 * s, 0.0] }
    }

    fn win_rate(a: f64, b: f64) -> f64 {
        let (a, b) = (utilities(a), utilities(b));
        let wins = a.iter().flat_map(|x| b.iter().map(move |y| if x > y { 1.0 } else { f64::from(x == y) / 2.0 }));
        wins.sum::<f64>() / (a.len() * b.len()) as f64
    }

    #[test]
    fn hidden_context_makes_one_score_a_borda_count() {
        // Fine bins: the share of all others that a state beats is the published one.
        let bins = 1000;
        let center = |i: usize| (i as f64 + 0.5) / bins as f64;
        let borda = |s: f64| (0..bins).map(|j| win_rate(s, center(j))).sum::<f64>() / bins as f64;
        for (s, expected) in [(0.1, 0.2), (0.5, 0.6), (0.7999, 0.9), (0.8001, 0.475), (0.9999, 0.525)] {
            assert!((borda(s) - expected).abs() < 2e-3, "{s}: {}", borda(s));
        }
        // Scores of infinitely many judgments: states above 0.8, whose expected worth is larger, fall below.
        let bins = 40;
        let mut judged = crate::Comparisons::new(bins);
        for i in 0..bins {
            for j in 0..i {
                let share = win_rate((i as f64 + 0.5) / 40.0, (j as f64 + 0.5) / 40.0);
                judged.push(i, j, crate::Outcome::Share(share)).unwrap();
            }
        }
        let ranking = NewtonConfig::new().with_prior(1e-3).fit(&judged).unwrap();
        assert!(ranking.report.converged);
        let scores = ranking.scores;
        assert!(scores[..32].windows(2).all(|pair| pair[0] < pair[1]) && scores[32..].windows(2).all(|p| p[0] < p[1]));
        assert!(scores[31] > scores[39] && scores[32] < scores[20], "{scores:?}");
    }

    #[test]
    fn hidden_context_shows_as_a_jump_of_the_spread() {
        let bins = 20;
        let pairs: Vec<(usize, usize)> = (0..bins).flat_map(|i| (0..i).map(move |j| (i, j))).collect();
        let center = |i: usize| (i as f64 + 0.5) / bins as f64;
        let targets: Vec<f64> = pairs.iter().map(|&(i, j)| win_rate(center(i), center(j))).collect();
        let indices = |side: fn(&(usize, usize)) -> usize| pairs.iter().map(|p| side(p) as i64).collect::<Vec<_>>();
        let (left, right) = (indices(|p| p.0), indices(|p| p.1));
        let loss = |x: Tensor<1>| {
            let device = x.device();
            let pick = |from: usize, at: &[i64]| {
                let at = Tensor::<1, burn::tensor::Int>::from_ints(at, &device);
                x.clone().narrow(0, from, bins).select(0, at)
            };
            let spread = |at| Spread::Exponential(1.0).of(pick(bins, at)).unwrap();
            let means = PairScores::new(pick(0, &left), pick(0, &right)).unwrap();
            let means = means.with_targets(like(&x, &targets)).unwrap();
            let pairs = GaussianPairs::new(means, spread(&left), spread(&right)).unwrap();
            mean_variance_losses(&pairs, &MeanVarianceConfig::new()).unwrap().mean()
        };
        let f = |x: &[f64], gradient: &mut [f64]| {
            let x = leaf(x);
            let loss = loss(x.clone());
            gradient.copy_from_slice(&host(&x.grad(&loss.backward()).unwrap()));
            host(&loss)[0]
        };
        let start: Vec<f64> = (0..2 * bins).map(|i| if i < bins { center(i) } else { 0.0 }).collect();
        let (fitted, _) = lbfgs(f, start, Stop { gradient: 1e-6, max_iterations: 150 });
        let spreads = host(&Spread::Exponential(1.0).of(vector(&fitted[bins..])).unwrap());
        // Sixteen sure states, four whose worth is a toss of a coin.
        let (sure, unsure) = (&spreads[..16], &spreads[16..]);
        let largest = sure.iter().copied().fold(0.0, f64::max);
        assert!(unsure.iter().all(|s| *s > 3.0 * largest), "{sure:?} {unsure:?}");
        let explained = |range: std::ops::Range<usize>| {
            explained_variance(&fitted[range.clone()], &spreads[range]).unwrap().unwrap()
        };
        // Where one utility explains everything, most of what is predicted is between states; where none does, nothing is.
        assert!(explained(0..16) > 0.5 && explained(16..20) < 0.1, "{spreads:?}");
    }

    #[test]
    fn settings_and_lengths_are_checked() {
        let config = MeanVarianceConfig::new();
        assert_eq!((config.link, config.variance_penalty), (SpreadLink::Probit, 0.0));
        for penalty in [-0.1, f64::NAN, f64::INFINITY] {
            starts(MeanVarianceConfig::new().with_variance_penalty(penalty).init(), "`variance_penalty`");
        }
        starts(explained_variance(&[1.0], &[]), "`spreads`");
        assert_eq!(explained_variance(&[], &[]).unwrap(), None);
        assert_eq!(explained_variance(&[1.0, 1.0], &[0.0, 0.0]).unwrap(), None);
        assert_eq!(explained_variance(&[0.0, 2.0], &[0.0, 2.0]).unwrap(), Some(1.0 / 3.0));
    }
}
