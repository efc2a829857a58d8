//! Identity Preference Optimization (IPO).
//!
//! **Paper:** A General Theoretical Paradigm to Understand Learning from Human Preferences (2023), 2310.12036.
//! **Use when:** preferences are near-deterministic and DPO drives the margins to infinity.
//! **Checked by:** golden numbers (TRL), hand-worked values, finite differences, the laws of the family.
//! **Deviations:** log-ratios are averaged over tokens by default, the reading that the authors confirmed and that TRL
//! and HALOs follow; [`Length::Sum`] is the paper's notation and OpenRLHF's form.

use burn::{config::Config, tensor::Tensor};

use super::{Length, MarginLoss, Method, PairBatch, PairOutput, PairValues, PairwiseObjective, check_beta};
use crate::Result;

/// IPO losses, one per pair.
///
/// ```text
/// loss = (h/τ − 1/(2τ))²,   h = τ (d_w/n_w − d_l/n_l) − margin  (or d_w − d_l)        (eq. 17)
/// ```
///
/// A margin is in units of the reward, as everywhere: the log-ratios shall differ by `margin/τ` more.
/// With a probability `q` that the label is wrong, the loss is `(1−q)` times this plus `q` times the same at `−h`.
///
/// # Shapes
/// `ratios`: two `[n]`, already divided by the lengths where the method does; the result is `[n]`.
///
/// `beta` (τ in the paper) > 0. Equal log-ratios give `1/(4τ²)`. Quadratic: a log-ratio of ±1e4 gives about 1e8, finite in
/// f32.
///
/// # Errors
/// A shape error when there is not one log-ratio for each response of `batch`.
///
/// # Example
/// ```
/// use accordant_objectives::pairwise::{PairValues, PairBatch, PairLogps, ipo::ipo_loss};
/// use accordant_ops::SequenceLogps;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let one = |x: f32| Tensor::<1>::from_floats([x], &device);
/// let logps = |x| SequenceLogps::new(one(x), one(1.0));
/// let batch = PairBatch::new(PairLogps::new(logps(-1.0)?, logps(-2.0)?)?);
/// let loss = ipo_loss(&batch, PairValues { chosen: one(2.0), rejected: one(-1.0) }, 0.5)?;
/// assert_eq!(loss.into_scalar::<f32>(), 4.0); // (2 + 1 - 1/(2·0.5))²
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2310.12036")]
#[doc(alias = "A General Theoretical Paradigm to Understand Learning from Human Preferences")]
pub fn ipo_loss(batch: &PairBatch, ratios: PairValues, beta: f64) -> Result<Tensor<1>> {
    batch.check_values(&ratios)?;
    let per_beta = batch.betas(beta).recip();
    let h = batch.times_beta(ratios.difference(), beta);
    Ok(batch.margin_losses(h, |h| ((h - 0.5) * per_beta.clone()).square()))
}

/// The square of a margin's distance from a target: regression.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SquareLoss {
    /// Where the loss is 0, finite.
    pub target: f64,
}

impl MarginLoss for SquareLoss {
    fn loss(&self, h: Tensor<1>) -> Tensor<1> {
        (h - self.target).square()
    }

    fn degree(&self) -> f64 {
        2.0
    }
}

/// Configuration of [`Ipo`].
#[derive(Config, Debug, PartialEq)]
pub struct IpoConfig {
    /// Regularization strength, finite and > 0; τ in the paper. 0.1: TRL's and HALOs' default, equal to DPO's.
    #[config(default = 0.1)]
    pub beta: f64,
    /// Per token or per sequence. `TokenMean`: the authors' confirmed reading.
    #[config(default = "Length::TokenMean")]
    pub length: Length,
}

impl IpoConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<Ipo> {
        check_beta(self.beta)?;
        Ok(Ipo { config: self.clone() })
    }
}

/// The IPO objective; see [`ipo_loss`]. Rewards are `beta` times the summed log-ratio, comparable with DPO's.
#[derive(Debug, Clone, PartialEq)]
pub struct Ipo {
    config: IpoConfig,
}

/// `ipo` by name.
pub const METHOD: Method = Method {
    name: "ipo",
    title: "Identity Preference Optimization",
    build: |options| Ok(Box::new(options.apply("ipo", IpoConfig::new())?.init()?)),
};

impl PairwiseObjective for Ipo {
    fn forward(&self, batch: &PairBatch) -> Result<PairOutput> {
        let mut ratios = batch.log_ratios("ipo")?;
        if self.config.length == Length::TokenMean {
            ratios = ratios.per_token(batch.policy());
        }
        Ok(PairOutput::new(ipo_loss(batch, ratios, self.config.beta)?, batch, self.config.beta))
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::DType;

    use super::*;
    use crate::pairwise::{
        Composed, PairLogps, Score,
        f_dpo::Divergence,
        tests::{column, extreme_batch, finite_at_extremes, grad_of_policy, logps, spec_batch, tensor},
    };

    fn ipo(length: Length) -> Ipo {
        IpoConfig::new().with_length(length).init().expect("valid in this test")
    }

    #[test]
    fn values_by_hand() {
        // d_w/n_w − d_l/n_l = 1/10 + 0.5/12 = 0.141667; (0.141667 − 5)² = 23.60340278.
        let mean = column(&ipo(Length::TokenMean).forward(&spec_batch()).unwrap().losses);
        assert!((mean[0] - 23.60340278).abs() < 1e-8, "{mean:?}");
        // D = 1.5; (1.5 − 5)² = 12.25.
        let sum = column(&ipo(Length::Sum).forward(&spec_batch()).unwrap().losses);
        assert!((sum[0] - 12.25).abs() < 1e-12, "{sum:?}");
    }

    #[test]
    fn a_square_loss_is_0_at_its_target() {
        let h = Tensor::<1>::from_data([2.0, 5.0], (&burn::tensor::Device::flex(), DType::F64));
        assert_eq!(column(&SquareLoss { target: 2.0 }.loss(h)), [0.0, 9.0]);
    }

    #[test]
    fn a_policy_equal_to_its_reference_loses_the_squared_target() {
        let policy = spec_batch().policy().clone();
        let batch = PairBatch::new(policy.clone()).with_reference(policy).unwrap();
        // 1/(4τ²) at τ = 0.1
        assert!((column(&ipo(Length::Sum).forward(&batch).unwrap().losses)[0] - 25.0).abs() < 1e-12);
    }

    #[test]
    fn the_gradient_changes_sign_at_the_target() {
        // Sum form: dL/dd_w = 2 (h − 5) = −7 at h = 1.5.
        let (chosen, rejected) = grad_of_policy(&spec_batch(), &ipo(Length::Sum));
        assert!((chosen[0] + 7.0).abs() < 1e-12 && (rejected[0] - 7.0).abs() < 1e-12);
        let beyond = IpoConfig::new().with_beta(1.0).with_length(Length::Sum).init().unwrap();
        let (chosen, _) = grad_of_policy(&spec_batch(), &beyond);
        assert!((chosen[0] - 2.0).abs() < 1e-12, "past the target 1/2 the margin is pulled back");
    }

    #[test]
    fn a_doubtful_label_mixes_both_orders() {
        let batch = spec_batch().with_label_probs(tensor(&[0.75])).unwrap();
        let loss = column(&ipo(Length::Sum).forward(&batch).unwrap().losses);
        // 0.75 (1.5 − 5)² + 0.25 (−1.5 − 5)²
        assert!((loss[0] - (0.75 * 12.25 + 0.25 * 42.25)).abs() < 1e-12);
    }

    #[test]
    fn a_margin_is_in_units_of_the_reward() {
        // τ D − margin = 0.15 − 0.05 = 0.1: the loss at D = 1.
        let batch = spec_batch().with_margins(tensor(&[0.05])).unwrap();
        assert!((column(&ipo(Length::Sum).forward(&batch).unwrap().losses)[0] - 16.0).abs() < 1e-12);
        // With a beta of the pair's own, 0.2 · 1.5 − 0.1 = 0.2 · 1, and a target of 2.5.
        let batch = spec_batch().with_margins(tensor(&[0.1])).unwrap().with_betas(tensor(&[0.2])).unwrap();
        assert!((column(&ipo(Length::Sum).forward(&batch).unwrap().losses)[0] - 2.25).abs() < 1e-12);
    }

    #[test]
    fn a_common_shift_of_sums_shows_per_token_only() {
        let loss = |length: Length, shift: f64| {
            let policy = PairLogps::new(logps(&[-12.0 + shift], &[10.0]), logps(&[-15.0 + shift], &[12.0])).unwrap();
            let batch = PairBatch::new(policy).with_reference(spec_batch().reference().unwrap().clone()).unwrap();
            column(&ipo(length).forward(&batch).unwrap().losses)[0]
        };
        assert!((loss(Length::Sum, 2.0) - loss(Length::Sum, 0.0)).abs() < 1e-12);
        assert!((loss(Length::TokenMean, 2.0) - loss(Length::TokenMean, 0.0)).abs() > 0.1, "10 tokens and 12");
    }

    #[test]
    fn the_square_of_an_exponential_score_is_a_number() {
        for divergence in [Divergence::ForwardKl, Divergence::Alpha(0.5), Divergence::Alpha(-1.0)] {
            let score = Score::Divergence { divergence, length: Length::Sum };
            let squared = Composed::new(score, 1.0, SquareLoss { target: 5.0 }).unwrap();
            finite_at_extremes(&squared);
            // What is set is taken as it is: e^{2·700} is no number.
            let bold = Composed::new(score, 1.0, SquareLoss { target: 5.0 }).unwrap();
            let far = extreme_batch(-1e4, 1e4, DType::F64);
            let far = bold.with_exponent_max(700.0).unwrap().forward(&far).unwrap();
            assert_eq!(column(&far.losses)[0], f64::INFINITY, "{divergence:?}");
        }
    }

    #[test]
    fn senseless_settings_are_refused_by_name() {
        for beta in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(IpoConfig::new().with_beta(beta).init().unwrap_err().to_string().starts_with("`beta`"));
        }
    }

    accordant_laws::pairwise_laws!(
        per_token_it_obeys_the_laws,
        "ipo",
        ipo(Length::TokenMean),
        [],
        [
            ShiftInvariantPerToken,
            ConvexInMargin,
            // 4 · 1/(2β) · mean log-ratios
            SwapDifferencePerToken(20.0),
            AtReference(25.0),
            LowerBound(0.0),
            LabelProbMixes,
            MarginShiftsPerToken { beta: 0.1 },
        ],
    );

    accordant_laws::pairwise_laws!(
        summed_it_obeys_the_laws,
        "ipo",
        ipo(Length::Sum),
        [],
        [
            ShiftInvariant,
            ConvexInMargin,
            SwapDifference(20.0),
            AtReference(25.0),
            LowerBound(0.0),
            LabelProbMixes,
            MarginShifts { beta: 0.1 },
        ],
    );
}
