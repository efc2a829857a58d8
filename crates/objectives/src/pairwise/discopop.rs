//! Discovered Preference Optimization (DiscoPOP), the log-ratio modulated loss.
//!
//! **Paper:** Discovering Preference Optimization Algorithms with and for Large Language Models (2024), 2406.08414.
//! **Use when:** DPO saturates too early: pairs that are ranked right keep an exponential pull.
//! **Checked by:** golden numbers (TRL), hand-worked values and gradients, limits in τ.
//! **Deviations:** the blended exponential is computed with one exponent, where TRL's product is 0 · ∞ for `h ≪ 0`; for
//! `τ` > 1, where it really grows, the exponent is capped by dtype, so that every finite input has a finite loss.

use accordant_ops::{check_domain, stable};
use burn::{config::Config, tensor::Tensor};

use super::{MarginLoss, Method, PairBatch, PairOutput, PairValues, PairwiseObjective, check_beta, sigmoid};
use crate::Result;

/// DiscoPOP losses, one per pair.
///
/// ```text
/// s = σ(h/τ),   h = β (d_w − d_l) − margin
/// loss = −(1 − s) log σ(h) + s e^{−h}
/// ```
///
/// With a probability `q` that the label is wrong, the loss is `(1−q)` times this plus `q` times the same at `−h`. The
/// gradient flows through the blend `s` too; not convex.
///
/// # Shapes
/// `ratios`: two `[n]` of summed log-ratios in nats; the result is `[n]`.
///
/// `beta` > 0, `tau` > 0. Policy = reference gives `(1 + ln 2)/2`. For `h → −∞` the exponential part goes to 0 (`τ` < 1),
/// to 1 (`τ` = 1), or grows like `e^{−h (1 − 1/τ)}` (`τ` > 1) until its exponent reaches
/// [`exponent_max`](stable::exponent_max) of the dtype, from where on it is constant.
///
/// # Errors
/// A shape error when there is not one log-ratio for each response of `batch`.
///
/// # Example
/// ```
/// use accordant_objectives::pairwise::{PairBatch, PairLogps, PairValues, discopop::discopop_loss};
/// use accordant_ops::SequenceLogps;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let one = |x: f32| Tensor::<1>::from_floats([x], &device);
/// let logps = |x| SequenceLogps::new(one(x), one(1.0));
/// let batch = PairBatch::new(PairLogps::new(logps(-1.0)?, logps(-2.0)?)?);
/// // h = ln 3 and τ = 1: s = 3/4, so 1/4 of ln 4/3 and 3/4 of 1/3.
/// let ratios = PairValues { chosen: one(3f32.ln()), rejected: one(0.0) };
/// let loss = discopop_loss(&batch, ratios, 1.0, 1.0)?.into_scalar::<f32>();
/// assert!((loss - ((4f32 / 3.0).ln() / 4.0 + 0.25)).abs() < 1e-6);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2406.08414")]
#[doc(alias = "Discovering Preference Optimization Algorithms with and for Large Language Models")]
#[doc(alias = "log-ratio modulated loss")]
pub fn discopop_loss(batch: &PairBatch, ratios: PairValues, beta: f64, tau: f64) -> Result<Tensor<1>> {
    batch.check_values(&ratios)?;
    Ok(DiscoPopLoss { tau }.losses(batch, batch.times_beta(ratios.difference(), beta)))
}

/// DiscoPOP's blend of a logistic and an exponential loss.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DiscoPopLoss {
    /// Temperature τ of the blend, finite and > 0.
    pub tau: f64,
}

impl MarginLoss for DiscoPopLoss {
    fn loss(&self, h: Tensor<1>) -> Tensor<1> {
        // 1 − s is σ(−h/τ), and s e^{−h} is e^{−h − softplus(−h/τ)}: e^{−h} alone overflows where s is 0.
        let modulation = h.clone() * (-1.0 / self.tau);
        let logistic = sigmoid(modulation.clone()) * stable::softplus(-h.clone());
        let exponent = -h - stable::softplus(modulation);
        let max = stable::exponent_max(exponent.dtype());
        logistic + exponent.clamp_max(max).exp()
    }
}

/// Configuration of [`DiscoPop`].
#[derive(Config, Debug, PartialEq)]
pub struct DiscoPopConfig {
    /// Strength of the KL pull, finite and > 0. 0.1: TRL's default; the paper trains with 0.05.
    #[config(default = 0.1)]
    pub beta: f64,
    /// Temperature τ of the blend, finite and > 0. 0.05: the paper's and TRL's.
    #[config(default = 0.05)]
    pub tau: f64,
}

impl DiscoPopConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<DiscoPop> {
        check_beta(self.beta)?;
        check_domain(self.tau.is_finite() && self.tau > 0.0, "tau", "finite and > 0", self.tau)?;
        Ok(DiscoPop { config: self.clone() })
    }
}

/// The DiscoPOP objective; see [`discopop_loss`].
#[derive(Debug, Clone, PartialEq)]
pub struct DiscoPop {
    config: DiscoPopConfig,
}

/// `discopop` by name.
pub const METHOD: Method = Method {
    name: "discopop",
    title: "Discovered Preference Optimization",
    build: |options| Ok(Box::new(options.apply("discopop", DiscoPopConfig::new())?.init()?)),
};

impl PairwiseObjective for DiscoPop {
    fn forward(&self, batch: &PairBatch) -> Result<PairOutput> {
        let DiscoPopConfig { beta, tau } = self.config;
        Ok(PairOutput::new(discopop_loss(batch, batch.log_ratios("discopop")?, beta, tau)?, batch, beta))
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device};

    use super::*;
    use crate::pairwise::tests::{column, spec_batch, tensor};

    fn loss(batch: &PairBatch) -> f64 {
        column(&DiscoPopConfig::new().init().unwrap().forward(batch).unwrap().losses)[0]
    }

    /// Value and derivative at one margin.
    fn at(h: f64, tau: f64) -> (f64, f64) {
        let h = Tensor::<1>::from_data([h], (&Device::flex().autodiff(), DType::F64)).require_grad();
        let loss = DiscoPopLoss { tau }.loss(h.clone());
        (column(&loss)[0], column(&h.grad(&loss.backward()).unwrap())[0])
    }

    /// The equation as it is written, for margins where nothing overflows.
    fn plain(h: f64, tau: f64) -> f64 {
        let s = 1.0 / (1.0 + (-h / tau).exp());
        (1.0 - s) * (-h).exp().ln_1p() + s * (-h).exp()
    }

    #[test]
    fn value_by_hand() {
        // h = 0.15, h/τ = 3: s = 0.952574, so 0.047426 · 0.6209570 + 0.952574 · 0.8607080 = 0.8493376.
        let output = DiscoPopConfig::new().init().unwrap().forward(&spec_batch()).unwrap();
        assert!((column(&output.losses)[0] - 0.8493375793).abs() < 1e-9);
        assert!((column(&output.chosen_rewards)[0] - 0.1).abs() < 1e-15);
        assert_eq!(at(0.0, 0.05).0, 0.5 * std::f64::consts::LN_2 + 0.5);
    }

    #[test]
    fn values_and_gradients_are_the_equations_at_moderate_margins() {
        for tau in [0.05, 0.5, 1.0, 3.0] {
            for h in [-2.0, -0.3, 0.0, 0.01, 0.4, 5.0] {
                let (value, gradient) = at(h, tau);
                assert!((value - plain(h, tau)).abs() < 1e-12 * value.max(1.0), "{h}, {tau}");
                let numeric = (plain(h + 1e-6, tau) - plain(h - 1e-6, tau)) / 2e-6;
                assert!((gradient - numeric).abs() < 1e-7 * gradient.abs().max(1.0), "{h}, {tau}: {gradient}");
            }
        }
    }

    #[test]
    fn far_below_zero_the_temperature_decides() {
        // τ < 1: the logistic loss alone, −h with slope −1.
        assert_eq!(at(-1e4, 0.05), (1e4, -1.0));
        // τ = 1: 1 more, without a slope.
        assert_eq!(at(-1e4, 1.0), (1e4 + 1.0, -1.0));
        // τ = 2: e^{50} more, with slope −e^{50}/2, at h = −100.
        let (value, gradient) = at(-100.0, 2.0);
        assert!((value / (100.0 + 50f64.exp()) - 1.0).abs() < 1e-13, "{value}");
        assert!((gradient / (-1.0 - 0.5 * 50f64.exp()) - 1.0).abs() < 1e-13, "{gradient}");
        // τ = 2 at h = −1e4: the exponent stops at 700 and has no slope.
        let (value, gradient) = at(-1e4, 2.0);
        assert!((value / 700f64.exp() - 1.0).abs() < 1e-12, "{value}");
        assert_eq!(gradient, -1.0);
    }

    #[test]
    fn far_above_zero_the_loss_vanishes() {
        for tau in [0.05, 1.0, 2.0] {
            assert_eq!(at(1e4, tau), (0.0, 0.0));
        }
        // At h = 30 the exponential is what is left: e^{−30}, with slope −e^{−30}.
        let (value, gradient) = at(30.0, 0.05);
        assert!((value / (-30f64).exp() - 1.0).abs() < 1e-12 && (gradient / (-30f64).exp() + 1.0).abs() < 1e-12);
    }

    #[test]
    fn f32_is_finite_at_the_extremes() {
        for tau in [0.05, 1.0, 2.0] {
            for h in [-1e4, 1e4] {
                let loss = DiscoPopLoss { tau }.loss(Tensor::<1>::from_data([h], (&Device::flex(), DType::F32)));
                assert!(column(&loss)[0].is_finite(), "{h}, {tau}");
            }
        }
    }

    #[test]
    fn the_hooks_reach_the_loss() {
        let batch = spec_batch().with_margins(tensor(&[0.1])).unwrap();
        assert!((loss(&batch) - plain(0.05, 0.05)).abs() < 1e-12);
        let batch = spec_batch().with_label_probs(tensor(&[0.75])).unwrap();
        assert!((loss(&batch) - (0.75 * plain(0.15, 0.05) + 0.25 * plain(-0.15, 0.05))).abs() < 1e-12);
        let batch = spec_batch().with_betas(tensor(&[0.2])).unwrap();
        assert!((loss(&batch) - plain(0.3, 0.05)).abs() < 1e-12);
    }

    #[test]
    fn senseless_settings_and_inputs_are_refused_by_name() {
        assert_eq!((DiscoPopConfig::new().beta, DiscoPopConfig::new().tau), (0.1, 0.05));
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(DiscoPopConfig::new().with_beta(bad).init().unwrap_err().to_string().starts_with("`beta`"));
            let error = DiscoPopConfig::new().with_tau(bad).init().unwrap_err().to_string();
            assert_eq!(error, format!("`tau`: expected finite and > 0, got {bad}"));
        }
        let ratios = PairValues { chosen: tensor(&[1.0, 2.0]), rejected: tensor(&[0.0]) };
        assert!(discopop_loss(&spec_batch(), ratios, 1.0, 1.0).is_err());
    }

    accordant_laws::pairwise_laws!(
        discopop_obeys_the_laws,
        "discopop",
        DiscoPopConfig::new().init().unwrap(),
        [],
        [
            ShiftInvariant,
            AtReference(0.5 + 0.5 * 2f64.ln()),
            LowerBound(0.0),
            LabelProbMixes,
            MarginShifts { beta: 0.1 }
        ]
    );
}
