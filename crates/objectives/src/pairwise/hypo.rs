//! Hybrid Preference Optimization (HyPO): DPO on offline pairs, a KL penalty on online samples.
//!
//! **Paper:** The Importance of Online Data: Understanding Preference Fine-tuning via Coverage (2024), 2406.01462.
//! **Use when:** the pairs cover little of what the policy writes by now, and unlabeled samples of it are cheap.
//! **Checked by:** the laws, hand-worked values and gradients, the limit `kl_coef = 0`, policy = reference.
//! **Deviations:** none in the gradient. The loss that is reported has the estimate of the KL divergence as its second
//! term; in the paper's form the value of that term means nothing.

use accordant_ops::{SequenceLogps, check_domain, check_dtype, check_shape};
use burn::{config::Config, tensor::Tensor};

use super::{
    Extra, Method, PairBatch, PairOutput, PairwiseObjective, Regularizer, batch::has_tokens, check_beta, dpo::dpo_loss,
};
use crate::Result;

/// A response that the current policy wrote.
pub const ONLINE_SAMPLE: Extra =
    Extra { name: "online_sample", meaning: "a response to the prompt sampled from the policy", needs_reference: true };

/// Penalties whose value estimates the divergence of the policy from the reference, and whose gradient estimates its
/// gradient, one per sample of the policy.
///
/// ```text
/// value     d(y) = log π(y|x) − log π_ref(y|x)
/// gradient  d(y) ∇ log π(y|x),   y ~ π        (the score function; ∇ KL(π ‖ π_ref) in expectation)
/// ```
///
/// Differentiating `d(y)` itself would do nothing on average: the expectation of `∇ log π(y|x)` is 0. An implementation
/// that writes `sg(d) · L` has this gradient and a loss whose value is no divergence; here the value is `d`.
///
/// # Shapes
/// `log_ratios`: summed log-ratios of the samples, `[n]`; `logps`: of the same samples; the result: `[n]`. An empty
/// response, whose log-ratio is 0, adds nothing; nor does any where policy = reference.
///
/// # Errors
/// A shape or dtype error naming `log_ratios`.
///
/// # Example
/// ```
/// use accordant_objectives::{SequenceLogps, pairwise::hypo::online_kl_penalties};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex().autodiff();
/// let one = |x: f32| Tensor::<1>::from_floats([x], &device);
/// let leaf = one(-2.0).require_grad();
/// let logps = SequenceLogps::new(leaf.clone(), one(1.0))?;
/// let penalty = online_kl_penalties(leaf.clone() - one(-5.0), &logps)?;
/// assert_eq!(penalty.clone().into_scalar::<f32>(), 3.0);
/// let grads = penalty.backward();
/// assert_eq!(leaf.grad(&grads).unwrap().into_scalar::<f32>(), 3.0); // d ∇L, not ∇L
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
pub fn online_kl_penalties(log_ratios: Tensor<1>, logps: &SequenceLogps) -> Result<Tensor<1>> {
    check_shape("log_ratios", &logps.sum.dims(), &log_ratios.dims())?;
    check_dtype("log_ratios", logps.sum.dtype(), log_ratios.dtype())?;
    let weights = log_ratios.detach();
    // L − sg(L) is 0 and has the gradient of L.
    let score = logps.sum.clone() - logps.sum.clone().detach();
    Ok(weights.clone() * score + weights)
}

/// [`online_kl_penalties`] of [`ONLINE_SAMPLE`], to be added to any method.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OnlineKl;

impl Regularizer for OnlineKl {
    fn penalties(&self, batch: &PairBatch) -> Result<Tensor<1>> {
        let log_ratios = batch.extra_log_ratios(ONLINE_SAMPLE, "hypo")?;
        online_kl_penalties(log_ratios, batch.extra(ONLINE_SAMPLE, "hypo")?)
    }

    fn extras(&self) -> Vec<Extra> {
        vec![ONLINE_SAMPLE]
    }
}

/// Configuration of [`HyPo`].
#[derive(Config, Debug, PartialEq)]
pub struct HyPoConfig {
    /// Strength of the KL pull in DPO's term, finite and > 0. 0.1: DPO's.
    #[config(default = 0.1)]
    pub beta: f64,
    /// Weight λ of the divergence on online samples, finite and ≥ 0; with 0 none are read. 1e-4: ours, small as in the
    /// paper.
    #[config(default = 1e-4)]
    pub kl_coef: f64,
}

impl HyPoConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<HyPo> {
        check_beta(self.beta)?;
        check_domain(self.kl_coef.is_finite() && self.kl_coef >= 0.0, "kl_coef", "finite and >= 0", self.kl_coef)?;
        Ok(HyPo { config: self.clone() })
    }
}

/// The HyPO objective: `−log σ(h) + λ · KL`, with the divergence estimated by [`online_kl_penalties`].
///
/// Logged beside the family's: `loss/preference`, the first term, and `kl_online`, the mean of the samples' log-ratios.
/// Label probabilities and margins concern the pair, `betas` its `beta`; the penalty has none.
#[doc(alias = "2406.01462")]
#[doc(alias = "The Importance of Online Data: Understanding Preference Fine-tuning via Coverage")]
#[derive(Debug, Clone, PartialEq)]
pub struct HyPo {
    config: HyPoConfig,
}

/// `hypo` by name.
pub const METHOD: Method = Method {
    name: "hypo",
    title: "Hybrid Preference Optimization",
    build: |options| Ok(Box::new(options.apply("hypo", HyPoConfig::new())?.init()?)),
};

impl PairwiseObjective for HyPo {
    fn extras(&self) -> Vec<Extra> {
        if self.config.kl_coef > 0.0 { OnlineKl.extras() } else { Vec::new() }
    }

    fn forward(&self, batch: &PairBatch) -> Result<PairOutput> {
        let HyPoConfig { beta, kl_coef } = self.config;
        let preference = dpo_loss(batch, batch.log_ratios("hypo")?, beta, 0.0)?;
        let output = PairOutput::new(preference, batch, beta);
        if kl_coef == 0.0 {
            return Ok(output);
        }
        let penalties = OnlineKl.penalties(batch)?;
        let sampled = has_tokens(batch.extra(ONLINE_SAMPLE, "hypo")?);
        let preference = output.losses.clone();
        output
            .with_added(batch, penalties.clone() * kl_coef)?
            .with_metric("loss/preference", preference)?
            .with_weighted_metric("kl_online", penalties, sampled)
    }
}

#[cfg(test)]
mod tests {
    use accordant_laws::{Property, Subject, Tensors, laws};
    use burn::tensor::Device;

    use super::*;
    use crate::pairwise::tests::{column, evaluated, grad_of_policy, logps, spec_batch, tensor};

    fn hypo(kl_coef: f64) -> HyPo {
        HyPoConfig::new().with_kl_coef(kl_coef).init().unwrap()
    }

    fn with_sample(policy: f64, reference: f64) -> PairBatch {
        let sample = |x| logps(&[x], &[3.0]);
        spec_batch().with_extra(ONLINE_SAMPLE, sample(policy), Some(sample(reference))).unwrap()
    }

    /// The gradient of the loss in the sample's log-probability.
    fn grad_of_sample(policy: f64, reference: f64, objective: &HyPo) -> f64 {
        let leaf = tensor(&[policy]).autodiff().require_grad();
        let sample = SequenceLogps::new(leaf.clone(), tensor(&[3.0]).autodiff()).unwrap();
        let reference = Some(logps(&[reference], &[3.0]));
        let batch = spec_batch().lifted().with_extra(ONLINE_SAMPLE, sample, reference).unwrap();
        let grads = objective.forward(&batch).unwrap().losses.sum().backward();
        column(&leaf.grad(&grads).unwrap())[0]
    }

    #[test]
    fn value_and_gradient_by_hand() {
        // d = −4 + 6.5 = 2.5; DPO loses 0.6209570478.
        let output = hypo(0.2).forward(&with_sample(-4.0, -6.5)).unwrap();
        assert!((column(&output.losses)[0] - (0.6209570478 + 0.2 * 2.5)).abs() < 1e-10);
        assert!((grad_of_sample(-4.0, -6.5, &hypo(0.2)) - 0.2 * 2.5).abs() < 1e-15);
        assert!((grad_of_sample(-8.0, -6.5, &hypo(0.2)) + 0.2 * 1.5).abs() < 1e-15, "the sign is that of d");
        let (chosen, rejected) = grad_of_policy(&with_sample(-4.0, -6.5), &hypo(0.2));
        assert!((chosen[0] + 0.0462570155).abs() < 1e-10 && (rejected[0] - 0.0462570155).abs() < 1e-10);
        let means = output.means();
        assert!((means.mean("loss/preference").unwrap() - 0.6209570478).abs() < 1e-10);
        assert_eq!(means.mean("kl_online"), Some(2.5));
        assert!((column(&output.chosen_rewards)[0] - 0.1).abs() < 1e-15);
    }

    #[test]
    fn where_policy_equals_reference_the_penalty_has_no_gradient() {
        assert_eq!(grad_of_sample(-6.5, -6.5, &hypo(1.0)), 0.0);
    }

    /// Over all outcomes of a policy, weighted by their probabilities, the penalties' gradients add up to that of the
    /// divergence.
    #[test]
    fn the_expected_gradient_is_that_of_the_divergence() {
        let (p, q) = ([0.5f64, 0.3, 0.2], [0.2f64, 0.2, 0.6]);
        // In logits z of the policy, ∇_z log p_i = e_i − p; by hand, ∇ KL = p_j (log p_j/q_j − KL).
        let kl: f64 = p.iter().zip(q).map(|(p, q)| p * (p / q).ln()).sum();
        let logs = |probs: [f64; 3]| tensor(&probs.map(f64::ln));
        let logits = logs(p).autodiff().require_grad();
        let logp = logits.clone() - accordant_ops::stable::log_sum_exp(logits.clone(), 0);
        let samples = SequenceLogps::new(logp.clone(), tensor(&[1.0; 3]).autodiff()).unwrap();
        let penalties = online_kl_penalties(logp - logs(q).autodiff(), &samples).unwrap();
        let expected = (penalties * tensor(&p).autodiff()).sum();
        assert!((column(&expected)[0] - kl).abs() < 1e-14);
        let grads = expected.backward();
        for ((got, p), q) in column(&logits.grad(&grads).unwrap()).iter().zip(p).zip(q) {
            assert!((got - p * ((p / q).ln() - kl)).abs() < 1e-14, "{got}");
        }
    }

    #[test]
    fn kl_coef_0_is_dpo_and_reads_no_sample() {
        let loss = column(&hypo(0.0).forward(&spec_batch()).unwrap().losses)[0];
        assert!((loss - 0.6209570478).abs() < 1e-10);
        assert_eq!((hypo(0.0).extras(), hypo(1e-9).extras()), (vec![], vec![ONLINE_SAMPLE]));
        let error = hypo(1.0).forward(&spec_batch()).unwrap_err().to_string();
        assert!(error.starts_with("`hypo` needs `online_sample` (a response"), "{error}");
        let unreferenced = spec_batch().with_extra(ONLINE_SAMPLE, logps(&[-1.0], &[1.0]), None).unwrap();
        let error = hypo(1.0).forward(&unreferenced).unwrap_err().to_string();
        assert!(error.starts_with("`hypo` needs the reference's"), "{error}");
    }

    #[test]
    fn an_empty_sample_adds_nothing_and_is_in_no_mean() {
        let empty = logps(&[0.0], &[0.0]);
        let batch = spec_batch().with_extra(ONLINE_SAMPLE, empty.clone(), Some(empty)).unwrap();
        let output = hypo(1.0).forward(&batch).unwrap();
        assert!((column(&output.losses)[0] - 0.6209570478).abs() < 1e-10);
        assert_eq!(output.means().mean("kl_online"), None);
    }

    #[test]
    fn one_log_ratio_for_two_samples_is_an_error() {
        let error = online_kl_penalties(tensor(&[1.0]), &logps(&[-1.0, -2.0], &[1.0, 1.0])).unwrap_err().to_string();
        assert_eq!(error, "`log_ratios`: expected shape [2], got [1]");
    }

    #[test]
    fn defaults_and_senseless_settings() {
        assert_eq!((HyPoConfig::new().beta, HyPoConfig::new().kl_coef), (0.1, 1e-4));
        assert!(HyPoConfig::new().with_beta(0.0).init().unwrap_err().to_string().starts_with("`beta`"));
        for kl_coef in [-0.1, f64::NAN, f64::INFINITY] {
            let error = HyPoConfig::new().with_kl_coef(kl_coef).init().unwrap_err().to_string();
            assert_eq!(error, format!("`kl_coef`: expected finite and >= 0, got {kl_coef}"));
        }
    }

    laws!(
        laws_hold,
        Subject::pairwise("hypo", &|t: &Tensors| evaluated(&hypo(0.1), t, &[0]))
            .on(Device::flex())
            .except(
                "finite differences",
                "the gradient of a sample is a score function, not the derivative of the value"
            )
            .except("finite differences, token by token", "the gradient of a sample is a score function")
            .declare(Property::ShiftSensitive)
            .declare(Property::ConvexInMargin)
            .declare(Property::AtReference(std::f64::consts::LN_2))
    );

    laws!(
        laws_hold_without_samples,
        Subject::pairwise("hypo without samples", &|t: &Tensors| evaluated(&hypo(0.0), t, &[]))
            .on(Device::flex())
            .declare(Property::LabelProbMixes)
            .declare(Property::MarginShifts { beta: 0.1 })
            .declare(Property::ShiftInvariant)
            .declare(Property::SwapDifference(0.1))
            .declare(Property::AtReference(std::f64::consts::LN_2))
            .declare(Property::LowerBound(0.0))
    );
}
