//! Direct Preference Optimization (DPO), with conservative label smoothing (cDPO).
//!
//! **Paper:** Direct Preference Optimization: Your Language Model is Secretly a Reward Model (2023), 2305.18290.
//! **Use when:** there are pairs and a reference policy; the method to try first.
//! **Checked by:** golden numbers (TRL), hand-worked values, finite differences, the laws of the family.
//! **Deviations:** label smoothing is applied, as in the authors' note on cDPO and in OpenRLHF; TRL 1.16 ignores it.

use accordant_ops::stable::softplus;
use burn::{config::Config, tensor::Tensor};

use super::{
    MarginLoss, Method, PairBatch, PairOutput, PairValues, PairwiseObjective, check_beta, check_smoothing,
    logistic_loss,
};
use crate::Result;

/// DPO losses, one per pair.
///
/// ```text
/// h = β (log π(y_w|x)/π_ref(y_w|x) − log π(y_l|x)/π_ref(y_l|x)) − margin        (eq. 7, before −log σ)
/// loss = −(1−ε) log σ(h) − ε log σ(−h) = softplus(−h) + ε h
/// ```
///
/// `ε` is the pair's probability of a wrong label: `label_smoothing`, or what the batch's label probabilities leave.
///
/// # Shapes
/// `ratios`: two `[n]` of summed log-ratios in nats; the result is `[n]`, in their dtype.
///
/// `beta` > 0 in nats⁻¹ and `label_smoothing` in `[0, 0.5)` are checked by [`DpoConfig::init`]. Equal log-ratios (policy
/// = reference, or identical responses) give ln 2; an empty response has log-ratio 0. Finite for every finite `h`.
///
/// # Errors
/// A shape error when there is not one log-ratio for each response of `batch`, of which the margins and label
/// probabilities are read.
///
/// # Example
/// ```
/// use accordant_objectives::pairwise::{PairValues, PairBatch, PairLogps, dpo::dpo_loss};
/// use accordant_ops::SequenceLogps;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let one = |x: f32| Tensor::<1>::from_floats([x], &device);
/// let logps = |x| SequenceLogps::new(one(x), one(1.0));
/// let batch = PairBatch::new(PairLogps::new(logps(-1.0)?, logps(-2.0)?)?);
/// let ratios = PairValues { chosen: one(3f32.ln()), rejected: one(0.0) };
/// // h = ln 3, so σ(h) = 3/4 and the loss is ln 4/3.
/// let loss = dpo_loss(&batch, ratios, 1.0, 0.0)?.into_scalar::<f32>();
/// assert!((loss - (4f32 / 3.0).ln()).abs() < 1e-6);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2305.18290")]
#[doc(alias = "Direct Preference Optimization: Your Language Model is Secretly a Reward Model")]
#[doc(alias = "cDPO")]
pub fn dpo_loss(batch: &PairBatch, ratios: PairValues, beta: f64, label_smoothing: f64) -> Result<Tensor<1>> {
    batch.check_values(&ratios)?;
    Ok(logistic_loss(batch, batch.times_beta(ratios.difference(), beta), label_smoothing))
}

/// Configuration of [`Dpo`].
#[derive(Config, Debug, PartialEq)]
pub struct DpoConfig {
    /// Strength of the KL pull, finite and > 0. 0.1: the paper's experiments and TRL.
    #[config(default = 0.1)]
    pub beta: f64,
    /// Probability ε that a label is wrong, in `[0, 0.5)`. 0: the paper's DPO; 0.1 is typical for cDPO.
    #[config(default = 0.0)]
    pub label_smoothing: f64,
    /// Measure against a uniform policy instead of the reference: its log-probabilities count as 0 in the loss. Off: the
    /// paper's DPO.
    #[config(default = false)]
    pub reference_free: bool,
}

impl DpoConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<Dpo> {
        check_beta(self.beta)?;
        check_smoothing(self.label_smoothing)?;
        Ok(Dpo { config: self.clone() })
    }
}

/// The DPO objective; see [`dpo_loss`].
#[derive(Debug, Clone, PartialEq)]
pub struct Dpo {
    config: DpoConfig,
}

/// The logistic loss of a margin, `−(1−ε) log σ(h) − ε log σ(−h)`: a Bernoulli likelihood.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogisticLoss {
    /// Probability ε that a label is wrong, in `[0, 0.5)`.
    pub label_smoothing: f64,
}

impl MarginLoss for LogisticLoss {
    fn loss(&self, h: Tensor<1>) -> Tensor<1> {
        softplus(-h.clone()) + h * self.label_smoothing
    }

    fn losses(&self, batch: &PairBatch, h: Tensor<1>) -> Tensor<1> {
        logistic_loss(batch, h, self.label_smoothing)
    }
}

/// `dpo` by name.
pub const METHOD: Method = Method {
    name: "dpo",
    title: "Direct Preference Optimization",
    build: |options| Ok(Box::new(options.apply("dpo", DpoConfig::new())?.init()?)),
};

impl PairwiseObjective for Dpo {
    fn needs_reference(&self) -> bool {
        !self.config.reference_free
    }

    fn forward(&self, batch: &PairBatch) -> Result<PairOutput> {
        let DpoConfig { beta, label_smoothing, reference_free } = self.config;
        let ratios = match reference_free {
            true => batch.policy().sums(),
            false => batch.log_ratios("dpo")?,
        };
        Ok(PairOutput::new(dpo_loss(batch, ratios, beta, label_smoothing)?, batch, beta))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pairwise::tests::{column, grad_of_policy, spec_batch, tensor};

    fn dpo(config: DpoConfig) -> Dpo {
        config.init().expect("valid in this test")
    }

    #[test]
    fn values_by_hand() {
        let batch = spec_batch();
        // d_w = 1, d_l = -0.5, β = 0.1: h = 0.15; ln(1 + e^-0.15) = 0.6209570478, and ε h = 0.015 more for cDPO.
        let plain = column(&dpo(DpoConfig::new()).forward(&batch).unwrap().losses);
        assert!((plain[0] - 0.6209570478).abs() < 1e-10, "{plain:?}");
        let smoothed = column(&dpo(DpoConfig::new().with_label_smoothing(0.1)).forward(&batch).unwrap().losses);
        assert!((smoothed[0] - 0.6359570478).abs() < 1e-10, "{smoothed:?}");
    }

    #[test]
    fn the_gradient_is_beta_times_the_error_probability() {
        // dL/dd_w = −β σ(−h), dL/dd_l = +β σ(−h), here with h = 0.15.
        let expected = 0.1 / (1.0 + 0.15f64.exp());
        let (chosen, rejected) = grad_of_policy(&spec_batch(), &dpo(DpoConfig::new()));
        assert!((chosen[0] + expected).abs() < 1e-12, "{chosen:?}");
        assert!((rejected[0] - expected).abs() < 1e-12, "{rejected:?}");
    }

    #[test]
    fn a_margin_is_subtracted_inside_and_a_soft_label_is_its_own_smoothing() {
        let batch = spec_batch().with_margins(tensor(&[0.15])).unwrap();
        let loss = column(&dpo(DpoConfig::new()).forward(&batch).unwrap().losses);
        assert!((loss[0] - 2f64.ln()).abs() < 1e-12, "h - margin = 0: {loss:?}");

        let soft = spec_batch().with_label_probs(tensor(&[0.9])).unwrap();
        let loss = column(&dpo(DpoConfig::new()).forward(&soft).unwrap().losses);
        assert!((loss[0] - 0.6359570478).abs() < 1e-10, "p = 0.9 is ε = 0.1: {loss:?}");
        // p = 0.9 with ε = 0.25: the label is wrong with probability 0.1·0.75 + 0.9·0.25 = 0.3.
        let both = column(&dpo(DpoConfig::new().with_label_smoothing(0.25)).forward(&soft).unwrap().losses);
        assert!((both[0] - (0.6209570478 + 0.3 * 0.15)).abs() < 1e-10, "{both:?}");
    }

    #[test]
    fn the_smoothed_loss_is_least_at_its_log_odds() {
        let eps = 0.2f64;
        let best = ((1.0 - eps) / eps).ln();
        let loss = |h: f64| {
            let batch = spec_batch();
            let ratios = PairValues { chosen: tensor(&[h]), rejected: tensor(&[0.0]) };
            column(&dpo_loss(&batch, ratios, 1.0, eps).unwrap())[0]
        };
        // The minimum is the binary entropy of ε.
        let entropy = -eps * eps.ln() - (1.0 - eps) * (1.0 - eps).ln();
        assert!((loss(best) - entropy).abs() < 1e-12);
        assert!(loss(best - 0.01) > loss(best) && loss(best + 0.01) > loss(best));
    }

    #[test]
    fn one_log_ratio_for_many_pairs_is_an_error_not_a_broadcast() {
        let ratios = PairValues { chosen: tensor(&[1.0, 2.0]), rejected: tensor(&[0.0]) };
        let error = dpo_loss(&spec_batch(), ratios, 1.0, 0.0).unwrap_err().to_string();
        assert_eq!(error, "`values.chosen`: expected shape [1], got [2]");
    }

    #[test]
    fn a_policy_equal_to_its_reference_loses_ln_2() {
        let policy = spec_batch().policy().clone();
        let batch = PairBatch::new(policy.clone()).with_reference(policy).unwrap();
        let loss = column(&dpo(DpoConfig::new().with_label_smoothing(0.3)).forward(&batch).unwrap().losses);
        assert_eq!(loss, [std::f64::consts::LN_2]);
    }

    #[test]
    fn swapping_the_pair_adds_h() {
        for h in [-30.0, -1.0, 0.0, 0.3, 50.0] {
            let loss = |chosen, rejected| {
                let ratios = PairValues { chosen: tensor(&[chosen]), rejected: tensor(&[rejected]) };
                column(&dpo_loss(&spec_batch(), ratios, 1.0, 0.0).unwrap())[0]
            };
            let difference: f64 = loss(h, 0.0) - loss(0.0, h);
            assert!((difference + h).abs() < 1e-12, "loss(h) - loss(-h) = -h at {h}");
        }
    }

    #[test]
    fn senseless_settings_are_refused_by_name() {
        for beta in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let error = DpoConfig::new().with_beta(beta).init().unwrap_err().to_string();
            assert_eq!(error, format!("`beta`: expected finite and > 0, got {beta}"));
        }
        for eps in [-0.1, 0.5, 1.0, f64::NAN] {
            let error = DpoConfig::new().with_label_smoothing(eps).init().unwrap_err().to_string();
            assert_eq!(error, format!("`label_smoothing`: expected in [0, 0.5), got {eps}"));
        }
    }

    #[test]
    fn without_a_reference_the_error_says_so() {
        let batch = PairBatch::new(spec_batch().policy().clone());
        let error = dpo(DpoConfig::new()).forward(&batch).unwrap_err().to_string();
        assert_eq!(error, "`dpo` needs the reference's log-probabilities, and the batch has none");
        let free = dpo(DpoConfig::new().with_reference_free(true));
        assert!(!free.needs_reference());
        free.forward(&batch).expect("a reference-free method takes a batch without one");
    }

    accordant_laws::pairwise_laws!(
        obeys_the_laws,
        "dpo",
        dpo(DpoConfig::new()),
        [],
        [
            ShiftInvariant,
            DecreasingInChosen,
            IncreasingInRejected,
            ConvexInMargin,
            SwapDifference(0.1),
            AtReference(2f64.ln()),
            LowerBound(0.0),
            LabelProbMixes,
            MarginShifts { beta: 0.1 },
        ],
    );

    accordant_laws::pairwise_laws!(
        without_a_reference_it_obeys_the_laws,
        "dpo",
        dpo(DpoConfig::new().with_reference_free(true)),
        [],
        [ReferenceFree, ShiftInvariant, DecreasingInChosen, IncreasingInRejected, SwapDifference(0.1)],
    );
}
