//! Value-Incentivized Preference Optimization (VPO).
//!
//! **Paper:** Value-Incentivized Preference Optimization: A Unified Approach to Online and Offline RLHF (2024),
//! 2405.19320.
//! **Use when:** online, to explore (optimism); offline, to stay with what the data cover (pessimism).
//! **Checked by:** the laws, hand-worked values and gradients, the limit `alpha = 0`, RPO with `eta = alpha · beta`.
//! **Deviations:** none. The term's value contains the reference's log-probability, a constant.

use accordant_ops::check_domain;
use burn::{config::Config, tensor::Tensor};

use super::{Extra, Method, PairBatch, PairOutput, PairwiseObjective, batch::has_tokens, check_beta, dpo::dpo_loss};
use crate::Result;

/// A response of the calibration distribution, usually a sample of the reference.
pub const CALIBRATION: Extra = Extra {
    name: "calibration",
    meaning: "a response to the prompt from the calibration distribution, usually the reference",
    needs_reference: true,
};

/// In which direction the policy leans where the data leave it open.
#[derive(Config, Debug, Copy, PartialEq)]
pub enum Setting {
    /// Optimism, `s = +1`: the calibration responses are made less likely, so that others are explored.
    Online,
    /// Pessimism, `s = −1`: they are made more likely, so that the policy stays with them.
    Offline,
}

/// Where the responses come from that the value is measured against.
#[derive(Config, Debug, Copy, PartialEq)]
pub enum Calibration {
    /// The chosen responses of the pairs, as usual offline.
    Chosen,
    /// [`CALIBRATION`], as usual online.
    Sample,
}

/// VPO losses, one per pair: DPO's, and the log-ratio of a calibration response.
///
/// ```text
/// loss = −log σ(h) + s α β d(y_cal),   h = β (d_w − d_l) − margin
/// ```
///
/// With the chosen responses and pessimism, this is RPO's `−log σ(h) − αβ L_w` up to a constant.
///
/// # Shapes
/// `calibration`: summed log-ratios of the calibration responses, `[n]`; the result: `[n]`. `beta` > 0, `alpha` ≥ 0.
/// Policy = reference gives ln 2; an empty calibration response, whose log-ratio is 0, adds nothing.
///
/// # Errors
/// [`crate::Error::MissingReference`] naming `vpo`; a shape or dtype error naming `calibration`.
///
/// # Example
/// ```
/// use accordant_objectives::SequenceLogps;
/// use accordant_objectives::pairwise::{PairBatch, PairLogps, vpo::{Setting, vpo_loss}};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let one = |x: f32| Tensor::<1>::from_floats([x], &device);
/// let logps = |x| SequenceLogps::new(one(x), one(1.0));
/// let pair = PairLogps::new(logps(-1.0)?, logps(-2.0)?)?;
/// let batch = PairBatch::new(pair.clone()).with_reference(pair)?;
/// let loss = vpo_loss(&batch, one(2.0), Setting::Offline, 0.5, 0.1)?.into_scalar::<f32>();
/// assert!((loss - (2f32.ln() - 0.1)).abs() < 1e-6); // h = 0, and 0.1 · 0.5 · 2
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2405.19320")]
#[doc(alias = "Value-Incentivized Preference Optimization: A Unified Approach to Online and Offline RLHF")]
pub fn vpo_loss(
    batch: &PairBatch,
    calibration: Tensor<1>,
    setting: Setting,
    beta: f64,
    alpha: f64,
) -> Result<Tensor<1>> {
    batch.check_numbers("calibration", &calibration)?;
    let preference = dpo_loss(batch, batch.log_ratios("vpo")?, beta, 0.0)?;
    let sign = match setting {
        Setting::Online => 1.0,
        Setting::Offline => -1.0,
    };
    Ok(preference + batch.times_beta(calibration, beta) * (sign * alpha))
}

/// Configuration of [`Vpo`].
#[derive(Config, Debug, PartialEq)]
pub struct VpoConfig {
    /// Strength of the KL pull, finite and > 0. 0.1: DPO's.
    #[config(default = 0.1)]
    pub beta: f64,
    /// Weight α of the value, finite and ≥ 0; the paper uses 0.01 to 1. 0.1: ours. With 0 the loss is DPO's and no
    /// calibration response is read.
    #[config(default = 0.1)]
    pub alpha: f64,
    /// Optimism or pessimism. `Offline`: the pairs of a data set.
    #[config(default = "Setting::Offline")]
    pub setting: Setting,
    /// The calibration distribution. `Chosen`: the paper's offline experiments.
    #[config(default = "Calibration::Chosen")]
    pub calibration: Calibration,
}

impl VpoConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<Vpo> {
        check_beta(self.beta)?;
        check_domain(self.alpha.is_finite() && self.alpha >= 0.0, "alpha", "finite and >= 0", self.alpha)?;
        Ok(Vpo { config: self.clone() })
    }
}

/// The VPO objective; see [`vpo_loss`]. Rewards are `beta` times the log-ratio; `log_ratios/calibration` is logged. Label
/// probabilities and margins concern the pair alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Vpo {
    config: VpoConfig,
}

/// `vpo` by name.
pub const METHOD: Method = Method {
    name: "vpo",
    title: "Value-Incentivized Preference Optimization",
    build: |options| Ok(Box::new(options.apply("vpo", VpoConfig::new())?.init()?)),
};

impl PairwiseObjective for Vpo {
    fn extras(&self) -> Vec<Extra> {
        let sampled = self.config.calibration == Calibration::Sample && self.config.alpha > 0.0;
        sampled.then_some(CALIBRATION).into_iter().collect()
    }

    fn forward(&self, batch: &PairBatch) -> Result<PairOutput> {
        let VpoConfig { beta, alpha, setting, calibration } = self.config;
        let (ratios, logps) = match calibration {
            Calibration::Sample if alpha > 0.0 => {
                (batch.extra_log_ratios(CALIBRATION, "vpo")?, batch.extra(CALIBRATION, "vpo")?)
            }
            _ => (batch.log_ratios("vpo")?.chosen, &batch.policy().chosen),
        };
        let losses = vpo_loss(batch, ratios.clone(), setting, beta, alpha)?;
        let output = PairOutput::new(losses, batch, beta);
        output.with_weighted_metric("log_ratios/calibration", ratios, has_tokens(logps))
    }
}

#[cfg(test)]
mod tests {
    use accordant_laws::{Property, Subject, Tensors, laws};
    use burn::tensor::Device;

    use super::*;
    use crate::pairwise::tests::{column, evaluated, grad_of_policy, logps, spec_batch, tensor};

    const DPO: f64 = 0.6209570478;

    fn vpo(config: VpoConfig) -> Vpo {
        config.init().unwrap()
    }

    fn online() -> VpoConfig {
        VpoConfig::new().with_setting(Setting::Online).with_calibration(Calibration::Sample)
    }

    fn sampled() -> PairBatch {
        // d = 3 over 5 tokens.
        let sample = |x| logps(&[x], &[5.0]);
        spec_batch().with_extra(CALIBRATION, sample(-7.0), Some(sample(-10.0))).unwrap()
    }

    fn loss(config: VpoConfig, batch: &PairBatch) -> f64 {
        column(&vpo(config).forward(batch).unwrap().losses)[0]
    }

    #[test]
    fn values_by_hand() {
        // d_w = 1 and d = 3; αβ = 0.01.
        assert!((loss(VpoConfig::new(), &spec_batch()) - (DPO - 0.01)).abs() < 1e-10);
        assert!((loss(online(), &sampled()) - (DPO + 0.03)).abs() < 1e-10);
        assert!((loss(online().with_setting(Setting::Offline), &sampled()) - (DPO - 0.03)).abs() < 1e-10);
        assert!((loss(VpoConfig::new().with_setting(Setting::Online), &spec_batch()) - (DPO + 0.01)).abs() < 1e-10);
        assert!((loss(VpoConfig::new().with_alpha(0.5), &spec_batch()) - (DPO - 0.05)).abs() < 1e-10);
    }

    #[test]
    fn gradients_by_hand() {
        // DPO's ∓0.0462570155, and −αβ for the chosen response offline.
        let (chosen, rejected) = grad_of_policy(&spec_batch(), &vpo(VpoConfig::new()));
        assert!((chosen[0] + 0.0462570155 + 0.01).abs() < 1e-10 && (rejected[0] - 0.0462570155).abs() < 1e-10);
        let leaf = tensor(&[-7.0]).autodiff().require_grad();
        let sample = crate::SequenceLogps::new(leaf.clone(), tensor(&[5.0]).autodiff()).unwrap();
        let reference = Some(logps(&[-10.0], &[5.0]));
        let batch = spec_batch().lifted().with_extra(CALIBRATION, sample, reference).unwrap();
        let grads = vpo(online()).forward(&batch).unwrap().losses.sum().backward();
        assert!((column(&leaf.grad(&grads).unwrap())[0] - 0.01).abs() < 1e-15, "online, it becomes less likely");
    }

    #[test]
    fn alpha_0_is_dpo_and_reads_no_sample() {
        let config = online().with_alpha(0.0);
        assert!((loss(config.clone(), &spec_batch()) - DPO).abs() < 1e-10);
        assert_eq!(vpo(config).extras(), []);
        assert_eq!((vpo(online()).extras(), vpo(VpoConfig::new()).extras()), (vec![CALIBRATION], vec![]));
        let error = vpo(online()).forward(&spec_batch()).unwrap_err().to_string();
        assert!(error.starts_with("`vpo` needs `calibration` (a response"), "{error}");
    }

    #[test]
    fn a_beta_of_its_own_scales_both_terms() {
        let batch = sampled().with_betas(tensor(&[0.2])).unwrap();
        // h = 0.3: ln(1 + e^−0.3) = 0.5543552445, and 0.1 · 0.2 · 3.
        assert!((loss(online(), &batch) - (0.5543552445 + 0.06)).abs() < 1e-10);
    }

    #[test]
    fn an_empty_sample_adds_nothing_and_is_in_no_mean() {
        let empty = logps(&[0.0], &[0.0]);
        let batch = spec_batch().with_extra(CALIBRATION, empty.clone(), Some(empty)).unwrap();
        let output = vpo(online()).forward(&batch).unwrap();
        assert!((column(&output.losses)[0] - DPO).abs() < 1e-10);
        assert_eq!(output.means().mean("log_ratios/calibration"), None);
        assert_eq!(vpo(online()).forward(&sampled()).unwrap().means().mean("log_ratios/calibration"), Some(3.0));
        let chosen = vpo(VpoConfig::new()).forward(&sampled()).unwrap();
        assert_eq!(chosen.means().mean("log_ratios/calibration"), Some(1.0));
    }

    #[test]
    fn what_does_not_fit_is_an_error_that_names_it() {
        let error = vpo_loss(&spec_batch(), tensor(&[1.0, 2.0]), Setting::Online, 0.1, 0.1).unwrap_err().to_string();
        assert_eq!(error, "`calibration`: expected shape [1], got [2]");
        assert_eq!((VpoConfig::new().beta, VpoConfig::new().alpha), (0.1, 0.1));
        assert!(VpoConfig::new().with_beta(0.0).init().unwrap_err().to_string().starts_with("`beta`"));
        for alpha in [-0.1, f64::NAN, f64::INFINITY] {
            let error = VpoConfig::new().with_alpha(alpha).init().unwrap_err().to_string();
            assert_eq!(error, format!("`alpha`: expected finite and >= 0, got {alpha}"));
        }
    }

    laws!(
        laws_hold,
        Subject::pairwise("vpo", &|t: &Tensors| evaluated(&vpo(VpoConfig::new()), t, &[]))
            .on(Device::flex())
            .declare(Property::ShiftSensitive)
            .declare(Property::DecreasingInChosen)
            .declare(Property::IncreasingInRejected)
            .declare(Property::ConvexInMargin)
            .declare(Property::AtReference(std::f64::consts::LN_2))
    );

    laws!(
        laws_hold_online,
        Subject::pairwise("vpo online", &|t: &Tensors| evaluated(&vpo(online()), t, &[1]))
            .on(Device::flex())
            .declare(Property::ShiftSensitive)
            .declare(Property::DecreasingInChosen)
            .declare(Property::IncreasingInRejected)
            .declare(Property::ConvexInMargin)
            .declare(Property::AtReference(std::f64::consts::LN_2))
    );
}
