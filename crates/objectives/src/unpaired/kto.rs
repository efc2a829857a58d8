//! Kahneman-Tversky Optimization (KTO).
//!
//! **Paper:** KTO: Model Alignment as Prospect Theoretic Optimization (2024), 2402.01306.
//! **Use when:** responses are labeled good or bad one by one; the method to try first on such data.
//! **Checked by:** golden numbers (TRL 1.16), values and gradients by hand, finite differences, the laws;
//! APO-zero at a baseline of 0.
//! **Deviations:** the KL baseline is a mean over mismatched completions that are not empty, as in HALOs;
//! [`EmptyRows::Count`] is TRL's mean over all of them.

use std::ops::RangeInclusive;

use accordant_ops::{EmptyRows, check_domain, check_dtype, check_shape, stable::log_sigmoid};
use burn::{config::Config, tensor::Tensor};

use super::{Method, SingleBatch, SingleOutput, UnpairedObjective};
use crate::{Result, pairwise::check_beta};

/// Where the authors advise [`lambda_ratio`] to lie.
pub const LAMBDA_RATIO_RANGE: RangeInclusive<f64> = 1.0..=4.0 / 3.0;

/// How much desirable responses weigh beside undesirable ones, `λ_D n_D / (λ_U n_U)`; none when the latter weigh nothing.
/// Outside [`LAMBDA_RATIO_RANGE`] a trainer should warn: the weights do not make up for the imbalance of the labels.
///
/// # Example
/// ```
/// use accordant_objectives::unpaired::kto::{LAMBDA_RATIO_RANGE, lambda_ratio};
/// let ratio = lambda_ratio(1.0, 1.0, 1000, 4000).unwrap();
/// assert!(ratio == 0.25 && !LAMBDA_RATIO_RANGE.contains(&ratio));
/// assert_eq!(lambda_ratio(4.0, 1.0, 1000, 4000), Some(1.0));
/// ```
pub fn lambda_ratio(
    desirable_weight: f64,
    undesirable_weight: f64,
    num_desirable: usize,
    num_undesirable: usize,
) -> Option<f64> {
    let undesirable = undesirable_weight * num_undesirable as f64;
    (undesirable > 0.0).then(|| desirable_weight * num_desirable as f64 / undesirable)
}

/// KTO losses, one per response.
///
/// ```text
/// desirable:    λ_D (1 − σ(β (d − z₀))) = λ_D σ(−β (d − z₀))
/// undesirable:  λ_U (1 − σ(β (z₀ − d))) = λ_U σ(β (d − z₀))
/// z₀ = max(0, mean over the global batch of log π(y′|x)/π_ref(y′|x)),   y′ a completion of another prompt
/// ```
///
/// With a probability `p` that the label is right, the loss is `p` times its loss plus `1 − p` times the other's.
///
/// # Shapes
/// `log_ratios`, summed: `[n]`; `z0`, a constant, already at least 0: `[1]`; the result: `[n]`.
///
/// `beta` > 0, weights ≥ 0. Bounded by 0 and the class's weight, of which it is half at `d = z₀`, where the gradient is
/// steepest; flat in both tails. Finite for every finite input.
///
/// # Errors
/// A shape or dtype error naming `log_ratios` or `z0`.
///
/// # Example
/// ```
/// use accordant_objectives::SequenceLogps;
/// use accordant_objectives::unpaired::{SingleBatch, kto::kto_loss};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let two = |values: [f32; 2]| Tensor::<1>::from_floats(values, &device);
/// let policy = SequenceLogps::new(two([-1.0, -2.0]), two([1.0, 1.0]))?;
/// let batch = SingleBatch::new(policy, Tensor::from_bool([true, false], &device))?;
/// // Both lie ln 3 above z₀: σ(−ln 3) = 1/4 for the desirable one, σ(ln 3) = 3/4 for the other.
/// let log_ratio = 3f32.ln() + 0.5;
/// let z0 = Tensor::from_floats([0.5], &device);
/// let losses = kto_loss(&batch, two([log_ratio, log_ratio]), z0, 1.0, 1.0, 2.0)?.try_to_vec_as::<f32>().unwrap();
/// assert!((losses[0] - 0.25).abs() < 1e-6 && (losses[1] - 1.5).abs() < 1e-6);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2402.01306")]
#[doc(alias = "KTO: Model Alignment as Prospect Theoretic Optimization")]
#[doc(alias = "Kahneman-Tversky Optimization")]
pub fn kto_loss(
    batch: &SingleBatch,
    log_ratios: Tensor<1>,
    z0: Tensor<1>,
    beta: f64,
    desirable_weight: f64,
    undesirable_weight: f64,
) -> Result<Tensor<1>> {
    batch.check_values("log_ratios", &log_ratios)?;
    check_shape("z0", &[1], &z0.dims())?;
    check_dtype("z0", log_ratios.dtype(), z0.dtype())?;
    let gain = (log_ratios - z0.detach()) * beta;
    let sigmoid = |x: Tensor<1>| log_sigmoid(x).exp();
    Ok(batch.label_losses(sigmoid(-gain.clone()) * desirable_weight, sigmoid(gain) * undesirable_weight))
}

/// Configuration of [`Kto`].
#[derive(Config, Debug, PartialEq)]
pub struct KtoConfig {
    /// How fast the value of a response saturates, finite and > 0. 0.1: the paper's and TRL's.
    #[config(default = 0.1)]
    pub beta: f64,
    /// λ_D, finite and ≥ 0. 1: TRL's; see [`lambda_ratio`].
    #[config(default = 1.0)]
    pub desirable_weight: f64,
    /// λ_U, finite and ≥ 0. 1: TRL's; see [`lambda_ratio`].
    #[config(default = 1.0)]
    pub undesirable_weight: f64,
    /// Whether empty mismatched completions count in the KL baseline. `Skip`: HALOs', as everywhere in this crate.
    #[config(default = "EmptyRows::Skip")]
    pub kl_rows: EmptyRows,
}

/// The domain of the weights of both kinds.
pub(super) fn check_class_weights(desirable_weight: f64, undesirable_weight: f64) -> Result<()> {
    for (name, weight) in [("desirable_weight", desirable_weight), ("undesirable_weight", undesirable_weight)] {
        check_domain(weight.is_finite() && weight >= 0.0, name, "finite and >= 0", weight)?;
    }
    Ok(())
}

impl KtoConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<Kto> {
        check_beta(self.beta)?;
        check_class_weights(self.desirable_weight, self.undesirable_weight)?;
        Ok(Kto { config: self.clone() })
    }
}

/// The KTO objective; see [`kto_loss`]. Rewards are `beta` times the log-ratio. Logs `kl`, the baseline z₀, and `kl_raw`,
/// the same before it is cut at 0: a `kl` of 0 is expected once the policy has moved away from mismatched completions.
#[derive(Debug, Clone, PartialEq)]
pub struct Kto {
    config: KtoConfig,
}

/// `kto` by name.
pub const METHOD: Method = Method {
    name: "kto",
    title: "Kahneman-Tversky Optimization",
    build: |options| Ok(Box::new(options.apply("kto", KtoConfig::new())?.init()?)),
};

impl UnpairedObjective for Kto {
    fn needs_kl_baseline(&self) -> bool {
        true
    }

    /// By way of the mismatched completions; with a baseline of the global batch, no response depends on another.
    fn uses_batch_statistics(&self) -> bool {
        true
    }

    fn forward(&self, batch: &SingleBatch) -> Result<SingleOutput> {
        let KtoConfig { beta, desirable_weight, undesirable_weight, kl_rows } = self.config;
        let log_ratios = batch.log_ratios("kto")?;
        let kl_raw = batch.kl_baseline(kl_rows, "kto")?;
        let z0 = kl_raw.clone().clamp_min(0.0);
        let losses = kto_loss(batch, log_ratios, z0.clone(), beta, desirable_weight, undesirable_weight)?;
        SingleOutput::new(losses, batch, beta).with_batch_metric("kl", z0)?.with_batch_metric("kl_raw", kl_raw)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unpaired::tests::{column, grad_of_policy, labels, logps, spec_batch, tensor};

    accordant_laws::unpaired_laws!(
        kto_obeys_the_laws,
        "kto",
        KtoConfig::new().init().unwrap(),
        ["kl" => Real(-2.0, 2.0)],
        [
            BatchStatistics,
            OwnGradient,
            ShiftSensitive,
            DecreasingInDesirable,
            IncreasingInUndesirable,
            LowerBound(0.0),
            UpperBound(1.0),
        ],
    );
    accordant_laws::unpaired_laws!(
        kto_with_doubtful_labels_obeys_the_laws,
        "kto with doubtful labels",
        KtoConfig::new().with_beta(0.5).with_undesirable_weight(2.0).init().unwrap(),
        ["kl" => Real(-2.0, 2.0), "label_probs" => Unit],
        [BatchStatistics, OwnGradient, LowerBound(0.0), UpperBound(2.0)],
    );

    fn kto(config: KtoConfig) -> Kto {
        config.init().expect("valid in this test")
    }

    fn losses(config: KtoConfig, batch: &SingleBatch) -> Vec<f64> {
        column(&kto(config).forward(batch).unwrap().losses)
    }

    #[test]
    fn values_by_hand() {
        // d = 1 and −0.5, z₀ = 0.3, β = 0.1: σ(−0.07) and σ(−0.08).
        let batch = spec_batch().with_kl_baseline(0.3).unwrap();
        let found = losses(KtoConfig::new(), &batch);
        assert!((found[0] - 0.4825071423).abs() < 1e-10 && (found[1] - 0.4800106598).abs() < 1e-10, "{found:?}");
        let weighted = losses(KtoConfig::new().with_desirable_weight(1.5).with_undesirable_weight(0.5), &batch);
        assert!((weighted[0] - 1.5 * found[0]).abs() < 1e-15 && (weighted[1] - 0.5 * found[1]).abs() < 1e-15);
        let steep = losses(KtoConfig::new().with_beta(1.0), &batch);
        assert!((steep[0] - 1.0 / (1.0 + 0.7f64.exp())).abs() < 1e-15, "{steep:?}");
    }

    #[test]
    fn the_gradient_is_that_of_a_sigmoid_and_its_weight_scales_one_class() {
        let batch = spec_batch().with_kl_baseline(0.3).unwrap();
        let grad = grad_of_policy(&batch, &kto(KtoConfig::new().with_desirable_weight(2.0)));
        // −λ β σ (1 − σ) for the desirable one, + for the other.
        let slope = |p: f64| 0.1 * p * (1.0 - p);
        assert!((grad[0] + 2.0 * slope(0.4825071423)).abs() < 1e-10, "{grad:?}");
        assert!((grad[1] - slope(0.4800106598)).abs() < 1e-10, "{grad:?}");
    }

    #[test]
    fn the_gradient_is_steepest_at_the_baseline_and_vanishes_in_both_tails() {
        let slopes = |d: f64| {
            let batch = spec_batch().with_reference(logps(&[-12.0 - d, -15.0 - d], &[10.0, 12.0])).unwrap();
            grad_of_policy(&batch.with_kl_baseline(2.0).unwrap(), &kto(KtoConfig::new().with_beta(0.5)))
        };
        // −β/4 for the desirable response, +β/4 for the other.
        assert_eq!(slopes(2.0), [-0.125, 0.125]);
        for d in [-3.0, 1.0, 3.0, 7.0] {
            let slopes = slopes(d);
            assert!(-0.12 < slopes[0] && slopes[0] < 0.0 && 0.0 < slopes[1] && slopes[1] < 0.12, "{d}: {slopes:?}");
        }
        for d in [-1e4, 1e4] {
            assert_eq!(slopes(d), [0.0, 0.0], "{d}");
        }
    }

    #[test]
    fn no_gradient_reaches_the_baseline() {
        let leaf = |values: &[f64]| tensor(values).autodiff().require_grad();
        let (ratios, z0) = (leaf(&[1.0, -0.5]), leaf(&[0.3]));
        let sums = leaf(&[-12.0, -15.0]);
        let policy = accordant_ops::SequenceLogps::new(sums, tensor(&[10.0, 12.0]).autodiff()).unwrap();
        let batch = SingleBatch::new(policy, labels(&[true, false]).autodiff()).unwrap();
        let grads = kto_loss(&batch, ratios.clone(), z0.clone(), 0.1, 1.0, 1.0).unwrap().sum().backward();
        assert!(ratios.grad(&grads).is_some() && z0.grad(&grads).is_none());
    }

    #[test]
    fn half_of_the_weight_is_lost_at_the_baseline() {
        let policy = logps(&[-3.0, -4.0], &[2.0, 2.0]);
        let batch = SingleBatch::new(policy, labels(&[true, false])).unwrap();
        let batch = batch.with_reference(logps(&[-4.0, -5.0], &[2.0, 2.0])).unwrap().with_kl_baseline(1.0).unwrap();
        assert_eq!(losses(KtoConfig::new().with_undesirable_weight(3.0), &batch), [0.5, 1.5]);
    }

    #[test]
    fn the_baseline_is_cut_at_zero_and_logged_before_and_after() {
        let batch = spec_batch().with_kl_baseline(-2.0).unwrap();
        let output = kto(KtoConfig::new()).forward(&batch).unwrap();
        let at_zero = losses(KtoConfig::new(), &spec_batch().with_kl_baseline(0.0).unwrap());
        assert_eq!(column(&output.losses), at_zero);
        let means = output.means();
        assert_eq!((means.mean("kl"), means.mean("kl_raw")), (Some(0.0), Some(-2.0)));
    }

    #[test]
    fn mismatched_completions_are_averaged_as_asked() {
        // Log-ratios 2, 4 and an empty row.
        let policy = logps(&[-1.0, -2.0, 0.0], &[3.0, 3.0, 0.0]);
        let reference = logps(&[-3.0, -6.0, 0.0], &[3.0, 3.0, 0.0]);
        let batch = spec_batch().with_mismatched(policy, reference).unwrap();
        for (rows, expected) in [(EmptyRows::Skip, 3.0), (EmptyRows::Count, 2.0)] {
            let output = kto(KtoConfig::new().with_kl_rows(rows)).forward(&batch).unwrap();
            assert_eq!(output.means().mean("kl"), Some(expected));
            let given = spec_batch().with_kl_baseline(expected).unwrap();
            assert_eq!(column(&output.losses), losses(KtoConfig::new(), &given));
        }
        let none = spec_batch().with_mismatched(logps(&[], &[]), logps(&[], &[])).unwrap();
        assert_eq!(kto(KtoConfig::new()).forward(&none).unwrap().means().mean("kl_raw"), Some(0.0));
    }

    #[test]
    fn without_a_baseline_the_error_says_what_to_give() {
        let error = kto(KtoConfig::new()).forward(&spec_batch()).unwrap_err().to_string();
        let expected = "`kto` needs `kl_baseline` (log-probabilities of mismatched completions, or their mean \
                        log-ratio), and the batch has none";
        assert_eq!(error, expected);
    }

    #[test]
    fn one_number_for_many_responses_is_an_error_not_a_broadcast() {
        let (batch, one) = (spec_batch(), tensor(&[1.0]));
        let error = kto_loss(&batch, one.clone(), one.clone(), 0.1, 1.0, 1.0).unwrap_err().to_string();
        assert_eq!(error, "`log_ratios`: expected shape [2], got [1]");
        let two = tensor(&[1.0, 2.0]);
        assert!(kto_loss(&batch, two.clone(), two, 0.1, 1.0, 1.0).unwrap_err().to_string().starts_with("`z0`"));
    }

    #[test]
    fn the_ratio_of_both_classes_weights() {
        assert_eq!(lambda_ratio(2.0, 3.0, 6, 3), Some(4.0 / 3.0));
        assert!(LAMBDA_RATIO_RANGE.contains(&(4.0 / 3.0)) && !LAMBDA_RATIO_RANGE.contains(&1.34));
        assert_eq!(lambda_ratio(1.0, 1.0, 5, 0), None);
        assert_eq!(lambda_ratio(1.0, 0.0, 5, 5), None);
    }

    #[test]
    fn defaults_and_senseless_settings() {
        let KtoConfig { beta, desirable_weight, undesirable_weight, kl_rows } = KtoConfig::new();
        assert_eq!((beta, desirable_weight, undesirable_weight, kl_rows), (0.1, 1.0, 1.0, EmptyRows::Skip));
        assert!(KtoConfig::new().with_beta(0.0).init().unwrap_err().to_string().starts_with("`beta`"));
        for bad in [-0.1, f64::NAN, f64::INFINITY] {
            let error = KtoConfig::new().with_desirable_weight(bad).init().unwrap_err().to_string();
            assert!(error.starts_with("`desirable_weight`: expected finite and >= 0"), "{error}");
            let error = KtoConfig::new().with_undesirable_weight(bad).init().unwrap_err().to_string();
            assert!(error.starts_with("`undesirable_weight`"), "{error}");
        }
        kto(KtoConfig::new().with_undesirable_weight(0.0));
    }
}
