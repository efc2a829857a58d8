//! Chances of the outcomes of a pair as functions of the difference of its scores, in `f64` with derivatives.
//!
//! What fits on the host maximize; the likelihoods on tensors in [`crate::pairwise`] are tied to these by tests.

use accordant_ops::host::{log_sigmoid, logistic};
use libm::erfc;

use crate::Outcome;

/// A log-probability and its derivatives by the difference `d` of the scores and by the parameter `rho` of ties.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct LogProb {
    /// The log-probability in nats; −∞ for an outcome that cannot be.
    pub value: f64,
    /// First derivative by `d`.
    pub d: f64,
    /// First derivative by `rho`.
    pub rho: f64,
    /// Second derivative by `d`.
    pub d_d: f64,
    /// Mixed derivative.
    pub d_rho: f64,
    /// Second derivative by `rho`.
    pub rho_rho: f64,
}

impl LogProb {
    fn plus(self, weight: f64, other: Self, other_weight: f64) -> Self {
        let mix = |a: f64, b: f64| match (weight == 0.0, other_weight == 0.0) {
            // What has no weight may be infinite.
            (false, false) => weight * a + other_weight * b,
            (true, false) => other_weight * b,
            (false, true) => weight * a,
            (true, true) => 0.0,
        };
        Self {
            value: mix(self.value, other.value),
            d: mix(self.d, other.d),
            rho: mix(self.rho, other.rho),
            d_d: mix(self.d_d, other.d_d),
            d_rho: mix(self.d_rho, other.d_rho),
            rho_rho: mix(self.rho_rho, other.rho_rho),
        }
    }
}

/// The chances of the outcomes of a pair.
pub trait Link {
    /// The name of the model, for messages.
    fn name(&self) -> &'static str;

    /// Whether ties have a probability; if so, `rho` says how likely they are.
    fn has_ties(&self) -> bool {
        false
    }

    /// The log-probability that the first of two items wins whose scores differ by `d`.
    fn first(&self, d: f64, rho: f64) -> LogProb;

    /// The log-probability of a tie.
    fn tie(&self, _d: f64, _rho: f64) -> LogProb {
        LogProb { value: f64::NEG_INFINITY, ..LogProb::default() }
    }

    /// The log-probability that the second wins: that the first does, of the exchanged pair.
    fn second(&self, d: f64, rho: f64) -> LogProb {
        let exchanged = self.first(-d, rho);
        LogProb { d: -exchanged.d, d_rho: -exchanged.d_rho, ..exchanged }
    }

    /// The log-probability of an outcome; of a [`Outcome::Share`] the mean of the two that it is made of, which is the
    /// negative cross-entropy.
    fn log_prob(&self, outcome: Outcome, d: f64, rho: f64) -> LogProb {
        match outcome {
            Outcome::First => self.first(d, rho),
            Outcome::Second => self.second(d, rho),
            Outcome::Tie => self.tie(d, rho),
            Outcome::Share(share) => self.first(d, rho).plus(share, self.second(d, rho), 1.0 - share),
        }
    }
}

/// Bradley and Terry's: `P(first) = σ(d)`.
///
/// # Example
/// ```
/// use accordant_preference::link::{Link, Logit};
/// assert!((Logit.first(3f64.ln(), 0.0).value.exp() - 0.75).abs() < 1e-15);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Logit;

impl Link for Logit {
    fn name(&self) -> &'static str {
        "bradley_terry"
    }

    fn first(&self, d: f64, _rho: f64) -> LogProb {
        let other = logistic(-d);
        LogProb { value: log_sigmoid(d), d: other, d_d: -other * (1.0 - other), ..LogProb::default() }
    }
}

/// Thurstone's case V: `P(first) = Φ(d)`, scores in units of the standard deviation of the difference of two impressions.
///
/// # Example
/// ```
/// use accordant_preference::link::{Link, Probit};
/// assert!((Probit.first(1.0, 0.0).value.exp() - 0.8413447460685429).abs() < 1e-15);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Probit;

impl Link for Probit {
    fn name(&self) -> &'static str {
        "thurstone"
    }

    fn first(&self, d: f64, _rho: f64) -> LogProb {
        let value = log_normal_cdf(d);
        // φ(d) / Φ(d), by logarithms: both underflow.
        let ratio = (-0.5 * d * d - HALF_LN_2_PI - value).exp();
        LogProb { value, d: ratio, d_d: -ratio * (ratio + d), ..LogProb::default() }
    }
}

const HALF_LN_2_PI: f64 = 0.918_938_533_204_672_8;

/// `log Φ(z)`, accurate in both tails; NaN of NaN.
///
/// # Example
/// ```
/// use accordant_preference::link::log_normal_cdf;
/// assert_eq!(log_normal_cdf(0.0), 0.5f64.ln());
/// assert!((log_normal_cdf(-40.0) + 804.6084420137539).abs() < 1e-9); // Φ itself is 0 in f64
/// ```
pub fn log_normal_cdf(z: f64) -> f64 {
    if z > 5.0 {
        return (-0.5 * erfc(z / std::f64::consts::SQRT_2)).ln_1p();
    }
    if z > -37.0 || z.is_nan() {
        return (0.5 * erfc(-z / std::f64::consts::SQRT_2)).ln();
    }
    // Beyond that `erfc` underflows. The first term left out is 945 / z^10, below 1e-13 here.
    let u = 1.0 / (z * z);
    let series = u * (-1.0 + u * (3.0 + u * (-15.0 + u * 105.0)));
    -0.5 * z * z - (-z).ln() - HALF_LN_2_PI + series.ln_1p()
}

/// Davidson's: `P(first) : P(tie) : P(second) = e^{d/2} : ν : e^{−d/2}`, `rho = ln ν`.
///
/// **Paper:** On Extending the Bradley-Terry Model to Accommodate Ties in Paired Comparison Experiments (R. R. Davidson,
/// 1970).
///
/// # Example
/// ```
/// use accordant_preference::link::{Davidson, Link};
/// assert!((Davidson.tie(0.0, 2f64.ln()).value.exp() - 0.5).abs() < 1e-15); // ν / (2 + ν)
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Davidson;

impl Davidson {
    /// The log of the sum of the three weights with its derivatives, negated.
    fn normalizer(d: f64, rho: f64) -> LogProb {
        let max = (d.abs() / 2.0).max(rho);
        let [first, tie, second] = [d / 2.0, rho, -d / 2.0].map(|logit| (logit - max).exp());
        let total = first + tie + second;
        let (first, tie, second) = (first / total, tie / total, second / total);
        let lead = first - second;
        LogProb {
            value: -(max + total.ln()),
            d: -lead / 2.0,
            rho: -tie,
            d_d: -(first + second - lead * lead) / 4.0,
            d_rho: tie * lead / 2.0,
            rho_rho: -tie * (1.0 - tie),
        }
    }
}

impl Link for Davidson {
    fn name(&self) -> &'static str {
        "davidson"
    }

    fn has_ties(&self) -> bool {
        true
    }

    fn first(&self, d: f64, rho: f64) -> LogProb {
        let rest = Self::normalizer(d, rho);
        LogProb { value: d / 2.0 + rest.value, d: 0.5 + rest.d, ..rest }
    }

    fn tie(&self, d: f64, rho: f64) -> LogProb {
        let rest = Self::normalizer(d, rho);
        LogProb { value: rho + rest.value, rho: 1.0 + rest.rho, ..rest }
    }
}

/// Rao and Kupper's: `P(first) = σ(d − ln κ)`, `P(second) = σ(−d − ln κ)`, the rest ties; `κ = 1 + e^rho`.
///
/// **Paper:** Ties in Paired-Comparison Experiments: A Generalization of the Bradley-Terry Model (P. V. Rao and
/// L. L. Kupper, 1967).
///
/// # Example
/// ```
/// use accordant_preference::link::{Link, RaoKupper};
/// let kappa = 5.0f64;
/// assert!((RaoKupper.tie(0.0, (kappa - 1.0).ln()).value.exp() - 2.0 / 3.0).abs() < 1e-15); // (κ − 1) / (κ + 1)
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RaoKupper;

impl RaoKupper {
    /// `ln κ` and its first two derivatives by `rho`.
    fn threshold(rho: f64) -> [f64; 3] {
        let slope = logistic(rho);
        [-log_sigmoid(-rho), slope, slope * (1.0 - slope)]
    }
}

impl Link for RaoKupper {
    fn name(&self) -> &'static str {
        "rao_kupper"
    }

    fn has_ties(&self) -> bool {
        true
    }

    fn first(&self, d: f64, rho: f64) -> LogProb {
        let [threshold, slope, curve] = Self::threshold(rho);
        let missed = logistic(threshold - d);
        let spread = missed * (1.0 - missed);
        LogProb {
            value: log_sigmoid(d - threshold),
            d: missed,
            rho: -missed * slope,
            d_d: -spread,
            d_rho: spread * slope,
            rho_rho: -spread * slope * slope - missed * curve,
        }
    }

    fn tie(&self, d: f64, rho: f64) -> LogProb {
        // log(κ² − 1) = rho + log(2 + e^rho)
        let odds = logistic(rho - std::f64::consts::LN_2);
        let both = self.first(d, rho).plus(1.0, self.second(d, rho), 1.0);
        let more = std::f64::consts::LN_2 - log_sigmoid(std::f64::consts::LN_2 - rho);
        LogProb {
            value: rho + more + both.value,
            rho: 1.0 + odds + both.rho,
            rho_rho: odds * (1.0 - odds) + both.rho_rho,
            ..both
        }
    }
}

#[cfg(test)]
mod tests {
    use accordant_laws::gradient::check_gradient;

    use super::*;

    const LINKS: [&dyn Link; 4] = [&Logit, &Probit, &Davidson, &RaoKupper];
    const OUTCOMES: [Outcome; 4] = [Outcome::First, Outcome::Second, Outcome::Tie, Outcome::Share(0.3)];

    #[test]
    fn chances_add_up_to_one_and_exchanging_the_pair_exchanges_them() {
        for link in LINKS {
            for d in [-6.0, -0.7, 0.0, 0.3, 5.0] {
                for rho in [-3.0, 0.0, 2.5] {
                    let chance = |outcome, d| link.log_prob(outcome, d, rho).value.exp();
                    let total: f64 = [Outcome::First, Outcome::Tie, Outcome::Second].map(|o| chance(o, d)).iter().sum();
                    assert!((total - 1.0).abs() < 1e-14, "{} at {d}, {rho}: {total}", link.name());
                    for outcome in OUTCOMES {
                        let (there, back) = (link.log_prob(outcome, d, rho), link.log_prob(outcome.swapped(), -d, rho));
                        assert!((there.value - back.value).abs() < 1e-14 || there.value == back.value);
                        assert!((there.d + back.d).abs() < 1e-14 && (there.d_d - back.d_d).abs() < 1e-14);
                    }
                }
            }
        }
    }

    #[test]
    fn derivatives_are_those_of_the_values() {
        for link in LINKS {
            for outcome in OUTCOMES.into_iter().filter(|outcome| *outcome != Outcome::Tie || link.has_ties()) {
                for at in [[0.4, -0.5], [-2.0, 1.5], [3.0, 0.2], [0.0, -2.0]] {
                    let here = link.log_prob(outcome, at[0], at[1]);
                    let of = |part: fn(LogProb) -> f64| move |x: &[f64]| part(link.log_prob(outcome, x[0], x[1]));
                    let what = format!("{} {outcome:?} at {at:?}", link.name());
                    check_gradient(of(|p| p.value), &at, &[here.d, here.rho]).expect(&what);
                    check_gradient(of(|p| p.d), &at, &[here.d_d, here.d_rho]).expect(&what);
                    check_gradient(of(|p| p.rho), &at, &[here.d_rho, here.rho_rho]).expect(&what);
                }
            }
        }
    }

    #[test]
    fn a_share_of_all_is_a_win_and_one_of_nothing_a_loss() {
        for link in LINKS {
            for (share, outcome) in [(1.0, Outcome::First), (0.0, Outcome::Second)] {
                for d in [0.4, -2.0] {
                    let [all, one] = [Outcome::Share(share), outcome].map(|outcome| link.log_prob(outcome, d, 0.3));
                    assert_eq!(all, one, "{} {share} {d}", link.name());
                }
            }
        }
    }

    #[test]
    fn links_say_who_they_are_and_whether_they_know_ties() {
        assert_eq!(LINKS.map(|link| link.name()), ["bradley_terry", "thurstone", "davidson", "rao_kupper"]);
        assert_eq!(LINKS.map(|link| link.has_ties()), [false, false, true, true]);
    }

    #[test]
    fn without_ties_both_models_of_ties_are_bradley_and_terrys() {
        for d in [-2.0, 0.0, 1.3] {
            for link in [&Davidson as &dyn Link, &RaoKupper] {
                assert!((link.first(d, -800.0).value - Logit.first(d, 0.0).value).abs() < 1e-14);
                assert!(link.tie(d, -800.0).value < -790.0);
            }
        }
        assert_eq!(Logit.tie(0.0, 0.0).value, f64::NEG_INFINITY);
    }

    #[test]
    fn published_identities_of_the_models_of_ties() {
        // κ = 5 at equal scores: 1/6, 2/3, 1/6.
        let rho = 4f64.ln();
        assert!((RaoKupper.first(0.0, rho).value.exp() - 1.0 / 6.0).abs() < 1e-15);
        // P(tie)² / (P(first) P(second)) = ν² for every d.
        for d in [-3.0, 0.0, 1.7] {
            let [first, tie, second] =
                [Davidson.first(d, 0.7), Davidson.tie(d, 0.7), Davidson.second(d, 0.7)].map(|p| p.value);
            assert!((2.0 * tie - first - second - 1.4).abs() < 1e-14);
        }
    }

    #[test]
    fn the_logarithm_of_the_normal_distribution_is_right_in_both_tails() {
        // Values of scipy 1.17's `log_ndtr`.
        let known = [
            (-100.0, -5005.524208694205),
            (-37.5, -707.6689893175072),
            (-20.0, -203.9171553710973),
            (-5.0, -15.064998393988727),
            (-1.0, -1.8410216450092636),
            (0.5, -0.3689464152886566),
            (6.0, -9.86587645524372e-10),
        ];
        for (z, expected) in known {
            assert!((log_normal_cdf(z) / expected - 1.0).abs() < 1e-12, "{z}: {}", log_normal_cdf(z));
        }
        // Where the series begins, by a continued fraction with 60 digits: all its terms count.
        assert!((log_normal_cdf(-37.5) + 707.668_989_317_507_2).abs() < 2e-12);
        assert!(log_normal_cdf(f64::NAN).is_nan());
        assert_eq!(log_normal_cdf(40.0), 0.0, "below 1e-300");
    }

    #[test]
    fn everything_is_finite_far_out() {
        for link in LINKS {
            for d in [-1e4, 1e4] {
                for outcome in [Outcome::First, Outcome::Second] {
                    let LogProb { value, d, rho, d_d, d_rho, rho_rho } = link.log_prob(outcome, d, 0.0);
                    for number in [value, d, rho, d_d, d_rho, rho_rho] {
                        assert!(number.is_finite(), "{}: {number}", link.name());
                    }
                }
            }
        }
    }
}
