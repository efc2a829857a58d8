//! Length-normalized Direct Preference Optimization (LN-DPO).
//!
//! **Paper:** The Hitchhiker's Guide to Human Alignment with *PO (2024), 2407.15229.
//! **Use when:** DPO's answers grow longer; the reward is the log-ratio per token.
//! **Checked by:** golden numbers (TRL, all divergences), hand-worked values and gradients, DPO at equal lengths.
//! **Deviations:** none. A divergence other than reverse KL scores the **summed** log-ratio, and its score is divided by
//! the length, as in TRL.

use burn::{config::Config, tensor::Tensor};

use super::{
    Length, Method, PairBatch, PairOutput, PairValues, PairwiseObjective, Score, check_beta, check_smoothing,
    dpo::dpo_loss,
    f_dpo::{Divergence, check_exponent_max},
};
use crate::Result;

/// LN-DPO losses, one per pair: DPO's of log-ratios per token.
///
/// ```text
/// h = β (d_w/n_w − d_l/n_l) − margin
/// loss = softplus(−h) + ε h
/// ```
///
/// # Shapes
/// `ratios`: two `[n]` of **summed** log-ratios in nats (or of their scores under a divergence), which are divided by the
/// lengths of the policy's responses here; the result is `[n]`.
///
/// `beta` > 0, `label_smoothing` in `[0, 0.5)`. Policy = reference gives ln 2; an empty response counts 0.
///
/// # Errors
/// A shape error when there is not one log-ratio for each response of `batch`.
///
/// # Example
/// ```
/// use accordant_objectives::pairwise::{PairBatch, PairLogps, PairValues, ln_dpo::ln_dpo_loss};
/// use accordant_ops::SequenceLogps;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let one = |x: f32| Tensor::<1>::from_floats([x], &device);
/// let logps = |x, count| SequenceLogps::new(one(x), one(count));
/// let batch = PairBatch::new(PairLogps::new(logps(-1.0, 2.0)?, logps(-2.0, 3.0)?)?);
/// // A nat for two tokens and three halves for three: half a nat per token each, so h = 0.
/// let loss = ln_dpo_loss(&batch, PairValues { chosen: one(1.0), rejected: one(1.5) }, 5.0, 0.0)?;
/// assert_eq!(loss.into_scalar::<f32>(), 2f32.ln());
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2407.15229")]
#[doc(alias = "The Hitchhikers Guide to Human Alignment with *PO")]
#[doc(alias = "sigmoid_norm")]
pub fn ln_dpo_loss(batch: &PairBatch, ratios: PairValues, beta: f64, label_smoothing: f64) -> Result<Tensor<1>> {
    batch.check_values(&ratios)?;
    dpo_loss(batch, ratios.per_token(batch.policy()), beta, label_smoothing)
}

/// Configuration of [`LnDpo`].
#[derive(Config, Debug, PartialEq)]
pub struct LnDpoConfig {
    /// Scale of the log-ratio per token, finite and > 0. 5: Tulu 3's recipe; 2 to 10 are usual.
    #[config(default = 5.0)]
    pub beta: f64,
    /// Probability ε that a label is wrong, in `[0, 0.5)`. 0: the paper's loss.
    #[config(default = 0.0)]
    pub label_smoothing: f64,
    /// What scores a summed log-ratio before it is divided. Reverse KL, the log-ratio itself: the paper's.
    #[config(default = "Divergence::ReverseKl")]
    pub divergence: Divergence,
    /// Largest exponent of forward KL and α, finite and > 0; by dtype when absent (see [`Divergence::score`]).
    pub exponent_max: Option<f64>,
}

impl LnDpoConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<LnDpo> {
        check_beta(self.beta)?;
        check_smoothing(self.label_smoothing)?;
        self.divergence.check()?;
        check_exponent_max(self.exponent_max)?;
        Ok(LnDpo { config: self.clone() })
    }
}

/// The LN-DPO objective; see [`ln_dpo_loss`]. Rewards are `beta` times the summed log-ratio, as TRL logs them. The
/// metric `n_score_clamped` is [`super::f_dpo::FDpo`]'s.
#[derive(Debug, Clone, PartialEq)]
pub struct LnDpo {
    config: LnDpoConfig,
}

/// `ln_dpo` by name.
pub const METHOD: Method = Method {
    name: "ln_dpo",
    title: "Length-normalized Direct Preference Optimization",
    build: |options| Ok(Box::new(options.apply("ln_dpo", LnDpoConfig::new())?.init()?)),
};

impl PairwiseObjective for LnDpo {
    fn forward(&self, batch: &PairBatch) -> Result<PairOutput> {
        let LnDpoConfig { beta, label_smoothing, divergence, exponent_max } = self.config;
        let score = Score::Divergence { divergence, length: Length::Sum };
        let losses = ln_dpo_loss(batch, score.of(batch, exponent_max, "ln_dpo")?, beta, label_smoothing)?;
        score.log_clamped(PairOutput::new(losses, batch, beta), batch, exponent_max, "ln_dpo")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pairwise::{
        dpo::DpoConfig,
        tests::{column, grad_of_policy, spec_batch, tensor},
    };

    fn loss(config: LnDpoConfig, batch: &PairBatch) -> f64 {
        column(&config.init().unwrap().forward(batch).unwrap().losses)[0]
    }

    fn s(x: f64) -> f64 {
        1.0 / (1.0 + (-x).exp())
    }

    /// h = 5 (1/10 + 0.5/12)
    const H: f64 = 5.0 * (0.1 + 0.5 / 12.0);

    #[test]
    fn value_and_gradient_by_hand() {
        assert!((loss(LnDpoConfig::new(), &spec_batch()) - 0.4004286381).abs() < 1e-10);
        let (chosen, rejected) = grad_of_policy(&spec_batch(), &LnDpoConfig::new().init().unwrap());
        assert!((chosen[0] + 5.0 / 10.0 * s(-H)).abs() < 1e-12, "{chosen:?}");
        assert!((rejected[0] - 5.0 / 12.0 * s(-H)).abs() < 1e-12, "{rejected:?}");
        let output = LnDpoConfig::new().init().unwrap().forward(&spec_batch()).unwrap();
        assert_eq!(column(&output.chosen_rewards), [5.0], "the summed log-ratio is reported");
        assert_eq!(column(&output.rejected_rewards), [-2.5]);
    }

    #[test]
    fn a_common_shift_of_sums_shows_where_lengths_differ() {
        let at = |shift: f64| {
            let ratios = PairValues { chosen: tensor(&[1.0 + shift]), rejected: tensor(&[-0.5 + shift]) };
            column(&ln_dpo_loss(&spec_batch(), ratios, 5.0, 0.0).unwrap())[0]
        };
        // h rises by 5 · 6 (1/10 − 1/12) = 0.5.
        assert!((at(6.0) - (1.0 + (-H - 0.5).exp()).ln()).abs() < 1e-12);
    }

    #[test]
    fn exponents_that_are_clamped_are_counted() {
        // d_w = 1 and d_l = −0.5: of the exponents −1 and 0.5 one is above 0.4.
        let config = LnDpoConfig::new().with_divergence(Divergence::ForwardKl).with_exponent_max(Some(0.4));
        let clamped = |config: LnDpoConfig| {
            config.init().unwrap().forward(&spec_batch()).unwrap().means().mean("n_score_clamped")
        };
        assert_eq!((clamped(config), clamped(LnDpoConfig::new())), (Some(1.0), None));
    }

    #[test]
    fn at_equal_lengths_it_is_dpo_with_beta_over_the_length() {
        let side = |sum: f64| accordant_ops::SequenceLogps::new(tensor(&[sum]), tensor(&[8.0])).unwrap();
        let pairs = |w, l| crate::pairwise::PairLogps::new(side(w), side(l)).unwrap();
        let batch = PairBatch::new(pairs(-12.0, -15.0)).with_reference(pairs(-13.0, -14.5)).unwrap();
        let dpo = DpoConfig::new().with_beta(5.0 / 8.0).init().unwrap();
        let expected = column(&dpo.forward(&batch).unwrap().losses)[0];
        assert!((loss(LnDpoConfig::new(), &batch) - expected).abs() < 1e-14);
    }

    #[test]
    fn a_divergence_scores_the_sum_which_is_then_divided() {
        // Forward KL: g(1)/10 − g(−0.5)/12 with g(d) = 1 − e^−d.
        let h = 5.0 * ((1.0 - (-1f64).exp()) / 10.0 - (1.0 - 0.5f64.exp()) / 12.0);
        let config = LnDpoConfig::new().with_divergence(Divergence::ForwardKl);
        assert!((loss(config.clone(), &spec_batch()) - (-h).exp().ln_1p()).abs() < 1e-12);
        // Capped at 0.25: g(−0.5) is 1 − e^0.25.
        let h = 5.0 * ((1.0 - (-1f64).exp()) / 10.0 - (1.0 - 0.25f64.exp()) / 12.0);
        assert!((loss(config.with_exponent_max(Some(0.25)), &spec_batch()) - (-h).exp().ln_1p()).abs() < 1e-12);
    }

    #[test]
    fn the_hooks_reach_the_loss() {
        let plain = |h: f64, q: f64| (-h).exp().ln_1p() + q * h;
        let batch = spec_batch().with_margins(tensor(&[0.2])).unwrap();
        assert!((loss(LnDpoConfig::new(), &batch) - plain(H - 0.2, 0.0)).abs() < 1e-12);
        let batch = spec_batch().with_label_probs(tensor(&[0.75])).unwrap();
        assert!((loss(LnDpoConfig::new(), &batch) - plain(H, 0.25)).abs() < 1e-12);
        assert!((loss(LnDpoConfig::new().with_label_smoothing(0.1), &spec_batch()) - plain(H, 0.1)).abs() < 1e-12);
        let batch = spec_batch().with_betas(tensor(&[10.0])).unwrap();
        assert!((loss(LnDpoConfig::new(), &batch) - plain(2.0 * H, 0.0)).abs() < 1e-12);
    }

    #[test]
    fn senseless_settings_and_inputs_are_refused_by_name() {
        let config = LnDpoConfig::new();
        assert_eq!((config.beta, config.label_smoothing, config.divergence), (5.0, 0.0, Divergence::ReverseKl));
        assert_eq!(config.exponent_max, None);
        let refused = |config: LnDpoConfig, field: &str| {
            let error = config.init().unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{field}`")), "{error}");
        };
        refused(LnDpoConfig::new().with_beta(0.0), "beta");
        refused(LnDpoConfig::new().with_label_smoothing(0.5), "label_smoothing");
        refused(LnDpoConfig::new().with_divergence(Divergence::Alpha(0.0)), "divergence.Alpha");
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            refused(LnDpoConfig::new().with_exponent_max(Some(bad)), "exponent_max");
        }
        let ratios = PairValues { chosen: tensor(&[1.0, 2.0]), rejected: tensor(&[0.0]) };
        assert!(ln_dpo_loss(&spec_batch(), ratios, 1.0, 0.0).is_err());
        let error = config.init().unwrap().forward(&PairBatch::new(spec_batch().policy().clone())).unwrap_err();
        assert!(error.to_string().starts_with("`ln_dpo` needs the reference"), "{error}");
    }

    accordant_laws::pairwise_laws!(
        ln_dpo_obeys_the_laws,
        "ln_dpo",
        LnDpoConfig::new().init().unwrap(),
        [],
        [
            ShiftInvariantPerToken,
            AtReference(2f64.ln()),
            LowerBound(0.0),
            DecreasingInChosen,
            IncreasingInRejected,
            ConvexInMargin,
            SwapDifferencePerToken(5.0),
            LabelProbMixes,
            MarginShiftsPerToken { beta: 5.0 }
        ]
    );
}
