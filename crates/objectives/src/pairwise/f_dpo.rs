//! f-DPO: DPO under another divergence from the reference.
//!
//! **Paper:** Beyond Reverse KL: Generalizing Direct Preference Optimization with Diverse Divergence Constraints (2023),
//! 2309.16240.
//! **Use when:** reverse KL is too mode-seeking (forward KL, α) or a bounded score is wanted (Jensen-Shannon).
//! **Checked by:** golden numbers (TRL), hand-worked values, finite differences, the laws of the family.
//! **Deviations:** the exponents of forward KL and α are clamped (`exponent_max`), so that every finite input has a
//! finite loss; TRL clamps α at 80 and forward KL not at all.

use accordant_ops::{check_domain, stable};
use burn::{config::Config, tensor::Tensor};

use super::{
    Length, Method, PairBatch, PairOutput, PairValues, PairwiseObjective, Score, check_beta, check_smoothing,
    dpo::dpo_loss,
};
use crate::Result;

/// The divergence whose derivative scores a log-ratio. All scores are strictly increasing and 0 at 0.
#[derive(Config, Debug, Copy, PartialEq)]
pub enum Divergence {
    /// `g(d) = d`: DPO.
    ReverseKl,
    /// `g(d) = 1 − e^{−d}`: punishes `d ≪ 0` hard.
    ForwardKl,
    /// `g(d) = ln 2 + log σ(d)`: saturates at ln 2.
    JensenShannon,
    /// `g(d) = (1 − e^{−αd})/α` in the authors' convention, α finite and not 0; α = 1 is forward KL, α → 0 reverse KL.
    /// TRL's `f_alpha_divergence_coef` is `1 − α`: see [`Divergence::from_trl_coef`].
    Alpha(f64),
}

impl Divergence {
    /// The α divergence for TRL's coefficient `a = 1 − α`; reverse KL within 1e-6 of its limit `a = 1`, as there.
    ///
    /// # Example
    /// ```
    /// use accordant_objectives::pairwise::f_dpo::Divergence;
    /// assert_eq!(Divergence::from_trl_coef(0.25), Divergence::Alpha(0.75));
    /// assert_eq!(Divergence::from_trl_coef(1.0), Divergence::ReverseKl);
    /// ```
    pub fn from_trl_coef(a: f64) -> Self {
        if (a - 1.0).abs() < 1e-6 { Self::ReverseKl } else { Self::Alpha(1.0 - a) }
    }

    /// Its own domain.
    pub(super) fn check(&self) -> Result<()> {
        match *self {
            Self::Alpha(alpha) => check_alpha("divergence.Alpha", alpha),
            _ => Ok(()),
        }
    }

    /// The score `g(d)` of summed log-ratios, elementwise; exponents above `exponent_max` are clamped and carry no
    /// gradient. `None` takes [`stable::exponent_max`] of the dtype.
    ///
    /// # Errors
    /// A domain error when `exponent_max` is not finite and > 0.
    pub fn score(self, log_ratios: Tensor<1>, exponent_max: Option<f64>) -> Result<Tensor<1>> {
        let max = checked_exponent_max(&log_ratios, exponent_max)?;
        Ok(match (self, self.exponents(&log_ratios)) {
            // Not `/ alpha`: burn 0.22.1 takes the gradient of a division by a scalar through f32.
            (_, Some((alpha, exponents))) => {
                stable::expm1(stable::cap_exponent(exponents, Some(max))?) * (-1.0 / alpha)
            }
            (Self::JensenShannon, None) => stable::log_sigmoid(log_ratios) + std::f64::consts::LN_2,
            (_, None) => log_ratios,
        })
    }

    /// 1 where [`Divergence::score`] clamps an exponent and 0 elsewhere, `[n]`; `None` for a score without exponents.
    ///
    /// # Errors
    /// A domain error when `exponent_max` is not finite and > 0.
    pub fn clamped(self, log_ratios: &Tensor<1>, exponent_max: Option<f64>) -> Result<Option<Tensor<1>>> {
        let max = checked_exponent_max(log_ratios, exponent_max)?;
        let over = |exponents: Tensor<1>| exponents.detach().greater_scalar(max);
        let exponents = self.exponents(log_ratios);
        Ok(exponents.map(|(_, exponents)| log_ratios.zeros_like().detach().mask_fill(over(exponents), 1.0)))
    }

    /// α and `−αd`, of the scores `(1 − e^{−αd})/α`.
    fn exponents(self, log_ratios: &Tensor<1>) -> Option<(f64, Tensor<1>)> {
        match self {
            Self::ForwardKl => Some((1.0, -log_ratios.clone())),
            Self::Alpha(alpha) => Some((alpha, log_ratios.clone() * -alpha)),
            Self::ReverseKl | Self::JensenShannon => None,
        }
    }
}

/// The domain of an α, in the field `name`.
pub(super) fn check_alpha(name: &'static str, alpha: f64) -> Result<()> {
    Ok(check_domain(alpha.is_finite() && alpha != 0.0, name, "finite and not 0", alpha)?)
}

/// The largest exponent, by dtype when absent.
fn checked_exponent_max(log_ratios: &Tensor<1>, exponent_max: Option<f64>) -> Result<f64> {
    let max = exponent_max.unwrap_or_else(|| stable::exponent_max(log_ratios.dtype()));
    check_domain(max.is_finite() && max > 0.0, "exponent_max", "finite and > 0", max)?;
    Ok(max)
}

/// The largest exponent of a score whose loss grows like its `degree`-th power: the configured one, or a part of the
/// dtype's, so that the loss does not overflow where the score does not.
pub(super) fn exponent_max(batch: &PairBatch, configured: Option<f64>, degree: f64) -> f64 {
    configured.unwrap_or_else(|| stable::exponent_max(batch.policy().chosen.sum.dtype()) / degree)
}

/// The domain of a configured largest exponent.
pub(super) fn check_exponent_max(exponent_max: Option<f64>) -> Result<()> {
    let holds = exponent_max.is_none_or(|limit| limit.is_finite() && limit > 0.0);
    Ok(check_domain(holds, "exponent_max", "finite and > 0", exponent_max.unwrap_or_default())?)
}

/// f-DPO losses, one per pair: DPO's loss of scored log-ratios.
///
/// ```text
/// loss = dpo(β, g(d_w), g(d_l)),   g(d) = f'(e^d) up to a constant        (eq. 9)
/// ```
///
/// # Shapes
/// `ratios`: two `[n]` of **summed** log-ratios; the result is `[n]`. Policy = reference gives ln 2.
///
/// # Errors
/// As [`Divergence::score`] and [`dpo_loss`].
///
/// # Example
/// ```
/// use accordant_objectives::pairwise::{PairValues, PairBatch, PairLogps, f_dpo::{Divergence, f_dpo_loss}};
/// use accordant_ops::SequenceLogps;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let one = |x: f32| Tensor::<1>::from_floats([x], &device);
/// let logps = |x| SequenceLogps::new(one(x), one(1.0));
/// let batch = PairBatch::new(PairLogps::new(logps(-1.0)?, logps(-2.0)?)?);
/// // Forward KL: g(ln 2) = 1/2 and g(0) = 0, so h = 1/2.
/// let ratios = PairValues { chosen: one(2f32.ln()), rejected: one(0.0) };
/// let loss = f_dpo_loss(&batch, ratios, Divergence::ForwardKl, 1.0, 0.0, None)?.into_scalar::<f32>();
/// assert!((loss - (1.0 + (-0.5f32).exp()).ln()).abs() < 1e-6);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2309.16240")]
#[doc(alias = "Beyond Reverse KL: Generalizing Direct Preference Optimization with Diverse Divergence Constraints")]
pub fn f_dpo_loss(
    batch: &PairBatch,
    ratios: PairValues,
    divergence: Divergence,
    beta: f64,
    label_smoothing: f64,
    exponent_max: Option<f64>,
) -> Result<Tensor<1>> {
    let score = |d| divergence.score(d, exponent_max);
    let scores = PairValues { chosen: score(ratios.chosen)?, rejected: score(ratios.rejected)? };
    dpo_loss(batch, scores, beta, label_smoothing)
}

/// Configuration of [`FDpo`].
#[derive(Config, Debug, PartialEq)]
pub struct FDpoConfig {
    /// Strength of the pull towards the reference, finite and > 0. 0.1: DPO's.
    #[config(default = 0.1)]
    pub beta: f64,
    /// The divergence. Jensen-Shannon: the paper's best compromise of reward and diversity.
    #[config(default = "Divergence::JensenShannon")]
    pub divergence: Divergence,
    /// Probability ε that a label is wrong, in `[0, 0.5)`. 0: the paper's loss.
    #[config(default = 0.0)]
    pub label_smoothing: f64,
    /// Largest exponent of forward KL and α, finite and > 0; by dtype when absent (see [`Divergence::score`]).
    pub exponent_max: Option<f64>,
}

impl FDpoConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<FDpo> {
        check_beta(self.beta)?;
        check_smoothing(self.label_smoothing)?;
        self.divergence.check()?;
        check_exponent_max(self.exponent_max)?;
        Ok(FDpo { config: self.clone() })
    }
}

/// The f-DPO objective; see [`f_dpo_loss`]. Rewards are `beta` times the plain log-ratio, as TRL logs them. The metric
/// `n_score_clamped` is the number of a pair's two scores whose exponent was clamped, on average.
#[derive(Debug, Clone, PartialEq)]
pub struct FDpo {
    config: FDpoConfig,
}

/// `f_dpo` by name.
pub const METHOD: Method = Method {
    name: "f_dpo",
    title: "Direct Preference Optimization under an f-divergence",
    build: |options| Ok(Box::new(options.apply("f_dpo", FDpoConfig::new())?.init()?)),
};

impl PairwiseObjective for FDpo {
    fn forward(&self, batch: &PairBatch) -> Result<PairOutput> {
        let FDpoConfig { beta, divergence, label_smoothing, exponent_max } = self.config;
        let ratios = batch.log_ratios("f_dpo")?;
        let losses = f_dpo_loss(batch, ratios, divergence, beta, label_smoothing, exponent_max)?;
        let score = Score::Divergence { divergence, length: Length::Sum };
        score.log_clamped(PairOutput::new(losses, batch, beta), batch, exponent_max, "f_dpo")
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::DType;

    use super::*;
    use crate::pairwise::{
        Composed,
        hinge::HingeLoss,
        tests::{column, spec_batch, tensor},
    };

    fn value(divergence: Divergence) -> f64 {
        let objective = FDpoConfig::new().with_divergence(divergence).init().unwrap();
        column(&objective.forward(&spec_batch()).unwrap().losses)[0]
    }

    #[test]
    fn values_by_hand() {
        // Forward KL: g(1) − g(−0.5) = (1 − e^−1) − (1 − e^0.5) = 1.280842; h = 0.1280842.
        assert!((value(Divergence::ForwardKl) - 0.6311543836).abs() < 1e-10);
        assert!((value(Divergence::JensenShannon) - 0.6606521625).abs() < 1e-10);
        assert!((value(Divergence::Alpha(0.5)) - 0.6276909471).abs() < 1e-10);
    }

    #[test]
    fn the_limits_are_dpo_and_forward_kl() {
        assert!((value(Divergence::ReverseKl) - 0.6209570478).abs() < 1e-10);
        assert!((value(Divergence::Alpha(1e-6)) - 0.6209570478).abs() < 1e-6, "α → 0 is DPO to O(α)");
        assert!((value(Divergence::Alpha(1.0)) - value(Divergence::ForwardKl)).abs() < 1e-15);
    }

    #[test]
    fn extreme_log_ratios_are_finite_and_a_clamped_one_has_no_gradient() {
        let device = burn::tensor::Device::flex().autodiff();
        for divergence in [Divergence::ForwardKl, Divergence::JensenShannon, Divergence::Alpha(0.5)] {
            for d in [-1e4, -800.0, 800.0, 1e4] {
                let d = Tensor::<1>::from_data([d], (&device, DType::F64)).require_grad();
                let score = divergence.score(d.clone(), None).unwrap();
                assert!(column(&score)[0].is_finite(), "{divergence:?}");
                let grad = column(&d.grad(&score.backward()).unwrap())[0];
                assert!(grad.is_finite() && grad >= 0.0, "{divergence:?}: {grad}");
            }
        }
        let d = Tensor::<1>::from_data([-90.0], (&device, DType::F64)).require_grad();
        let score = Divergence::ForwardKl.score(d.clone(), Some(80.0)).unwrap();
        assert_eq!(column(&d.grad(&score.backward()).unwrap())[0], 0.0);
    }

    #[test]
    fn the_gradient_of_alpha_is_right_to_the_last_digits() {
        // g'(d) = e^{−αd}. A division by α would lose half the digits on the way back.
        let device = burn::tensor::Device::flex().autodiff();
        let d = Tensor::<1>::from_data([-1.0], (&device, DType::F64)).require_grad();
        let score = Divergence::Alpha(0.9).score(d.clone(), None).unwrap();
        let grad = column(&d.grad(&score.backward()).unwrap())[0];
        assert!((grad / 0.9f64.exp() - 1.0).abs() < 1e-14, "{grad}");
    }

    #[test]
    fn scores_increase_and_vanish_at_zero() {
        for divergence in [Divergence::ForwardKl, Divergence::JensenShannon, Divergence::Alpha(-0.5)] {
            let scores = column(&divergence.score(tensor(&[-3.0, -1e-9, 0.0, 1e-9, 3.0]), None).unwrap());
            assert!(scores.windows(2).all(|pair| pair[0] < pair[1]), "{divergence:?}: {scores:?}");
            assert!(scores[2].abs() < 1e-15, "{divergence:?}");
        }
    }

    #[test]
    fn clamped_scores_are_counted() {
        // −d = 13, 12 and −20 for forward KL; α = −1 turns the sign.
        let d = tensor(&[-13.0, -12.0, 20.0]);
        let clamped = |divergence: Divergence| divergence.clamped(&d, Some(12.0)).unwrap().map(|c| column(&c));
        assert_eq!(clamped(Divergence::ForwardKl), Some(vec![1.0, 0.0, 0.0]));
        assert_eq!(clamped(Divergence::Alpha(-1.0)), Some(vec![0.0, 0.0, 1.0]));
        assert_eq!((clamped(Divergence::ReverseKl), clamped(Divergence::JensenShannon)), (None, None));
        assert!(Divergence::ForwardKl.clamped(&d, Some(f64::NAN)).is_err());
        assert!(Divergence::ForwardKl.score(d.clone(), Some(-1.0)).is_err());

        // d_w = 1 and d_l = −0.5: of the exponents −1 and 0.5 one is above 0.4.
        let config = FDpoConfig::new().with_divergence(Divergence::ForwardKl);
        let counted =
            |config: FDpoConfig| config.init().unwrap().forward(&spec_batch()).unwrap().means().mean("n_score_clamped");
        assert_eq!(counted(config.clone().with_exponent_max(Some(0.4))), Some(1.0));
        assert_eq!(counted(config), Some(0.0));
        assert_eq!(counted(FDpoConfig::new()), None, "a score without exponents has no such metric");

        let score = Score::Divergence { divergence: Divergence::ForwardKl, length: Length::Sum };
        let composed = Composed::new(score, 0.1, HingeLoss).unwrap().with_exponent_max(0.4).unwrap();
        assert_eq!(composed.forward(&spec_batch()).unwrap().means().mean("n_score_clamped"), Some(1.0));
    }

    #[test]
    fn senseless_settings_are_refused_by_name() {
        for alpha in [0.0, f64::NAN, f64::INFINITY] {
            assert!(FDpoConfig::new().with_divergence(Divergence::Alpha(alpha)).init().is_err());
        }
        let error = FDpoConfig::new().with_exponent_max(Some(0.0)).init().unwrap_err().to_string();
        assert!(error.starts_with("`exponent_max`"), "{error}");
        assert!(FDpoConfig::new().with_beta(f64::NAN).init().is_err());
        assert!(FDpoConfig::new().with_label_smoothing(0.5).init().is_err());
    }

    accordant_laws::pairwise_laws!(
        reverse_kl_obeys_the_laws,
        "f_dpo",
        FDpoConfig::new().with_divergence(Divergence::ReverseKl).init().unwrap(),
        [],
        [
            ShiftInvariant,
            DecreasingInChosen,
            IncreasingInRejected,
            AtReference(2f64.ln()),
            LowerBound(0.0),
            LabelProbMixes
        ],
    );

    accordant_laws::pairwise_laws!(
        jensen_shannon_obeys_the_laws,
        "f_dpo",
        FDpoConfig::new().with_divergence(Divergence::JensenShannon).init().unwrap(),
        [],
        [
            ShiftSensitive,
            DecreasingInChosen,
            IncreasingInRejected,
            AtReference(2f64.ln()),
            LowerBound(0.0),
            LabelProbMixes
        ],
    );

    accordant_laws::pairwise_laws!(
        forward_kl_obeys_the_laws,
        "f_dpo",
        FDpoConfig::new().with_divergence(Divergence::ForwardKl).init().unwrap(),
        [],
        [
            ShiftSensitive,
            DecreasingInChosen,
            IncreasingInRejected,
            AtReference(2f64.ln()),
            LowerBound(0.0),
            LabelProbMixes
        ],
    );

    accordant_laws::pairwise_laws!(
        an_alpha_divergence_obeys_the_laws,
        "f_dpo",
        FDpoConfig::new().with_divergence(Divergence::Alpha(0.5)).init().unwrap(),
        [],
        [
            ShiftSensitive,
            DecreasingInChosen,
            IncreasingInRejected,
            AtReference(2f64.ln()),
            LowerBound(0.0),
            LabelProbMixes
        ],
    );

    #[test]
    fn trls_coefficient_is_one_minus_ours_and_reverse_kl_near_one() {
        assert_eq!(Divergence::from_trl_coef(0.25), Divergence::Alpha(0.75));
        assert_eq!(Divergence::from_trl_coef(1.0 + 5e-7), Divergence::ReverseKl);
        assert_eq!(Divergence::from_trl_coef(-0.5), Divergence::Alpha(1.5));
    }

    #[test]
    fn a_bound_of_zero_is_refused() {
        let error = Divergence::ForwardKl.score(tensor(&[1.0]), Some(0.0)).unwrap_err().to_string();
        assert_eq!(error, "`exponent_max`: expected finite and > 0, got 0");
    }
}
