//! Bradley-Terry (BT): a reward model's usual loss.
//!
//! **Paper:** Rank Analysis of Incomplete Block Designs: I. The Method of Paired Comparisons (R. A. Bradley and M. E. Terry,
//! 1952); label smoothing as in A Note on DPO with Noisy Preferences & Relationship to IPO (E. Mitchell, 2023).
//! **Use when:** one score per response is to explain who is preferred to whom; the model to try first.
//! **Checked by:** hand-worked values and gradients, laws, the fit of tables ([`crate::ranking`]).
//! **Deviations:** none. Some trainers take the logarithm of `σ(d) + 1e-5`, which caps the loss at 11.5 and has no gradient
//! for badly ranked pairs; ours has neither fault.

use accordant_ops::{
    check_domain,
    stable::{log_sigmoid, softplus},
};
use burn::{config::Config, tensor::Tensor};

use super::{Outcomes, PairScores, PairwiseLoss, PairwiseModel};
use crate::{Nll, Result};

/// Cross-entropies of targets with logits, one per pair: `softplus(z) − t z`.
///
/// Right for every target in [0, 1]; ln 2 at z = 0. The gradient by `z` is `σ(z) − t`.
///
/// # Shapes
/// `logits` and `targets`: `[n]`, as is the result. The targets are constants.
///
/// # Errors
/// A shape error naming `targets`.
///
/// # Example
/// ```
/// use accordant_preference::pairwise::bradley_terry::binary_cross_entropy;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let logits = Tensor::from_floats([0.0, 3f32.ln()], &device);
/// let losses = binary_cross_entropy(logits, Tensor::from_floats([0.3, 1.0], &device))?;
/// let losses = losses.into_data().to_vec::<f32>().unwrap();
/// assert!((losses[0] - 2f32.ln()).abs() < 1e-6 && (losses[1] + 0.75f32.ln()).abs() < 1e-6);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn binary_cross_entropy(logits: Tensor<1>, targets: Tensor<1>) -> Result<Tensor<1>> {
    accordant_ops::check_shape("targets", &logits.dims(), &targets.dims())?;
    let targets = targets.detach();
    // By both logarithms: `softplus(z) − z` has no digit of the loss left from z = 17 on in f32, and from 8 on in f16.
    Ok(softplus(-logits.clone()) * targets.clone() + softplus(logits) * (-targets + 1.0))
}

/// Bradley-Terry losses, one per pair.
///
/// ```text
/// z = (r_first − r_second + offset − margin) / τ,   t̃ = (1 − 2ε) t + ε
/// loss = softplus(z) − t̃ z  [ + centering (r_first + r_second)² + score_l2 (r_first² + r_second²) ]
/// ```
///
/// # Shapes
/// `[n]` throughout. `label_smoothing`, ε in [0, ½), is the chance that a label is flipped; `temperature`, τ > 0, is in
/// units of the scores. A lead of 0 loses ln 2 whatever the target, penalties apart. Finite for every finite
/// input whose square is; the gradient by the
/// first score is `(σ(z) − t̃) / τ`, by the second its negative.
///
/// # Errors
/// None that the pairs' constructors have not seen.
///
/// # Example
/// ```
/// use accordant_preference::pairwise::{PairScores, bradley_terry::{BradleyTerryConfig, bradley_terry_losses}};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let pairs = PairScores::new(Tensor::from_floats([3f32.ln()], &device), Tensor::from_floats([0.0], &device))?;
/// let loss = bradley_terry_losses(&pairs, &BradleyTerryConfig::new())?.into_scalar::<f32>();
/// assert!((loss + 0.75f32.ln()).abs() < 1e-6); // odds of 3 : 1
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "BTL")]
#[doc(alias = "logistic pairwise loss")]
#[doc(alias = "reward modeling loss")]
pub fn bradley_terry_losses(pairs: &PairScores, config: &BradleyTerryConfig) -> Result<Tensor<1>> {
    let smoothed = pairs.targets() * (1.0 - 2.0 * config.label_smoothing) + config.label_smoothing;
    let losses = binary_cross_entropy(pairs.leads() * config.temperature.recip(), smoothed)?;
    let (first, second) = (pairs.first(), pairs.second());
    let losses = match config.centering {
        0.0 => losses,
        centering => losses + (first.clone() + second.clone()).square() * centering,
    };
    Ok(match config.score_l2 {
        0.0 => losses,
        score_l2 => losses + (first.square() + second.square()) * score_l2,
    })
}

/// Configuration of [`BradleyTerry`].
#[derive(Config, Debug, PartialEq)]
pub struct BradleyTerryConfig {
    /// What one unit of log-odds is in units of the scores, finite and > 0. 1: the model's own unit.
    #[config(default = 1.0)]
    pub temperature: f64,
    /// The chance that a label is flipped, in [0, ½). 0: labels are right.
    #[config(default = 0.0)]
    pub label_smoothing: f64,
    /// Weight of the squared sum of the two scores, finite and ≥ 0, which fixes their level. Off; TRL recommends 0.01.
    #[config(default = 0.0)]
    pub centering: f64,
    /// Weight of the squares of the scores, finite and ≥ 0. Off; 0.005 in the code of PAR.
    #[config(default = 0.0)]
    pub score_l2: f64,
}

impl BradleyTerryConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<BradleyTerry> {
        let Self { temperature, label_smoothing, centering, score_l2 } = *self;
        check_domain(temperature.is_finite() && temperature > 0.0, "temperature", "finite and > 0", temperature)?;
        check_domain((0.0..0.5).contains(&label_smoothing), "label_smoothing", "in [0, 0.5)", label_smoothing)?;
        check_domain(centering.is_finite() && centering >= 0.0, "centering", "finite and >= 0", centering)?;
        check_domain(score_l2.is_finite() && score_l2 >= 0.0, "score_l2", "finite and >= 0", score_l2)?;
        Ok(BradleyTerry { config: self.clone() })
    }
}

/// The Bradley-Terry model; see [`bradley_terry_losses`].
#[derive(Debug, Clone, PartialEq)]
pub struct BradleyTerry {
    config: BradleyTerryConfig,
}

impl PairwiseLoss for BradleyTerry {
    fn forward(&self, pairs: &PairScores) -> Result<Nll> {
        let logits = pairs.differences().detach() * self.config.temperature.recip();
        let saturated = logits.zeros_like().mask_fill(logits.abs().greater_scalar(15.0), 1.0);
        pairs.nll(bradley_terry_losses(pairs, &self.config)?)?.with_metric("saturated_fraction", saturated)
    }
}

impl PairwiseModel for BradleyTerry {
    /// Of the true labels, before any flip: without label smoothing.
    fn outcomes(&self, pairs: &PairScores) -> Result<Outcomes> {
        let logits = pairs.leads() * self.config.temperature.recip();
        Ok(Outcomes { first: log_sigmoid(logits.clone()), tie: None, second: log_sigmoid(-logits) })
    }
}

#[cfg(test)]
mod tests {
    use accordant_laws::gradient::check_gradient;
    use burn::tensor::{DType, Device, TensorData};

    use super::*;
    use crate::link::{Link, Logit};

    fn tensor(values: &[f64], device: &Device) -> Tensor<1> {
        Tensor::from_data(TensorData::from(values), (device, DType::F64))
    }

    fn values(tensor: Tensor<1>) -> Vec<f64> {
        tensor.try_to_vec_as::<f64>().unwrap()
    }

    fn pairs(first: &[f64], second: &[f64], targets: &[f64]) -> PairScores {
        let device = Device::flex();
        let pairs = PairScores::new(tensor(first, &device), tensor(second, &device)).unwrap();
        pairs.with_targets(tensor(targets, &device)).unwrap()
    }

    fn losses(config: BradleyTerryConfig, pairs: &PairScores) -> Vec<f64> {
        values(config.init().unwrap().forward(pairs).unwrap().losses)
    }

    #[track_caller]
    fn close(got: &[f64], expected: &[f64]) {
        assert!(got.len() == expected.len() && got.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{got:?}");
    }

    #[test]
    fn small_losses_survive_half_precision() {
        // softplus(9) − 9 is 0 in f16, and off by 0.3 % in f32.
        let pairs = |dtype: DType| {
            let side = |x: f64| Tensor::<1>::from_data(TensorData::from([x]), (&Device::flex(), dtype));
            PairScores::new(side(9.0), side(0.0)).unwrap()
        };
        let exact = losses(BradleyTerryConfig::new(), &pairs(DType::F64))[0];
        for dtype in [DType::F32, DType::F16] {
            let got = losses(BradleyTerryConfig::new(), &pairs(dtype))[0];
            assert!((got / exact - 1.0).abs() < 1e-3, "{got} is not {exact}");
        }
    }

    #[test]
    fn odds_of_three_to_one_by_hand() {
        let pairs = pairs(&[3f64.ln(); 3], &[0.0; 3], &[1.0, 0.0, 0.5]);
        let (win, loss) = (-(0.75f64.ln()), -(0.25f64.ln()));
        close(&losses(BradleyTerryConfig::new(), &pairs), &[win, loss, (win + loss) / 2.0]);
        // A fifth of the labels flipped: 0.8 of one and 0.2 of the other.
        let smooth = BradleyTerryConfig::new().with_label_smoothing(0.2);
        close(&losses(smooth, &pairs)[..2], &[0.8 * win + 0.2 * loss, 0.8 * loss + 0.2 * win]);
        let half = BradleyTerryConfig::new().with_temperature(0.5);
        close(&losses(half, &pairs)[..1], &[-(0.9f64.ln())]); // odds of 9 : 1
    }

    #[test]
    fn regularizers_see_the_level_of_the_scores() {
        let pairs = pairs(&[2.0], &[1.0], &[0.5]);
        let plain = losses(BradleyTerryConfig::new(), &pairs)[0];
        close(&losses(BradleyTerryConfig::new().with_centering(0.01), &pairs), &[plain + 0.09]);
        close(&losses(BradleyTerryConfig::new().with_score_l2(0.1), &pairs), &[plain + 0.5]);
    }

    #[test]
    fn smoothing_and_outcomes_reproduce_the_reference_figure() {
        // d = 1.3, ε = 0.2
        let pairs = pairs(&[1.3], &[0.0], &[1.0]);
        let loss = losses(BradleyTerryConfig::new().with_label_smoothing(0.2), &pairs)[0];
        assert!((loss - 0.50100845).abs() < 1e-8);
    }

    #[test]
    fn the_tensor_face_is_the_link_of_the_tables() {
        let d = [-30.0, -1.2, 0.0, 0.7, 25.0];
        let pairs = pairs(&d, &[0.0; 5], &[1.0, 0.0, 0.3, 0.5, 1.0]);
        let outcomes = BradleyTerryConfig::new().init().unwrap().outcomes(&pairs).unwrap();
        close(&values(outcomes.first.clone()), &d.map(|d| Logit.first(d, 0.0).value));
        close(&values(outcomes.second.clone()), &d.map(|d| Logit.second(d, 0.0).value));
        close(&values(outcomes.losses(&pairs)), &losses(BradleyTerryConfig::new(), &pairs));
    }

    #[test]
    fn a_margin_is_where_a_certain_label_loses_ln_2() {
        let pairs = pairs(&[1.5], &[1.0], &[1.0]).with_margins(tensor(&[0.5], &Device::flex())).unwrap();
        close(&losses(BradleyTerryConfig::new(), &pairs), &[2f64.ln()]);
    }

    #[test]
    fn gradients_are_derivatives() {
        let device = Device::flex().autodiff();
        let config = BradleyTerryConfig::new().with_temperature(0.7).with_label_smoothing(0.1).with_centering(0.02);
        let model = config.with_score_l2(0.03).init().unwrap();
        let run = |x: &[f64]| {
            let (first, second) = (tensor(&x[..2], &device).require_grad(), tensor(&x[2..], &device).require_grad());
            let pairs = PairScores::new(first.clone(), second.clone()).unwrap();
            let pairs = pairs.with_targets(tensor(&[1.0, 0.3], &device)).unwrap();
            let pairs = pairs.with_margins(tensor(&[0.2, 0.4], &device)).unwrap();
            let loss = model.forward(&pairs).unwrap().losses.sum();
            (loss, first, second)
        };
        let at = [0.4, -1.0, 0.1, 0.3];
        let (loss, first, second) = run(&at);
        let gradients = loss.backward();
        let gradient = [first, second].map(|x| values(x.grad(&gradients).unwrap())).concat();
        check_gradient(|x| values(run(x).0)[0], &at, &gradient).unwrap();
    }

    #[test]
    fn saturated_pairs_are_counted() {
        let pairs = pairs(&[15.5, 0.0, -20.0, 14.9], &[0.0; 4], &[1.0; 4]);
        let nll = BradleyTerryConfig::new().init().unwrap().forward(&pairs).unwrap();
        assert_eq!(nll.means().mean("saturated_fraction"), Some(0.5));
        // By log-odds: half of the temperature doubles them.
        let sharp = BradleyTerryConfig::new().with_temperature(0.5).init().unwrap();
        let pairs = self::pairs(&[7.4, 7.6, -8.0, 0.0], &[0.0; 4], &[1.0; 4]);
        assert_eq!(sharp.forward(&pairs).unwrap().means().mean("saturated_fraction"), Some(0.5));
        close(&values(sharp.outcomes(&pairs).unwrap().first)[3..], &[0.5f64.ln()]);
        close(&values(sharp.outcomes(&pairs).unwrap().first)[1..2], &[-(-15.2f64).exp().ln_1p()]);
    }

    #[test]
    fn every_field_has_a_domain_and_a_default() {
        let text = |config: BradleyTerryConfig| config.init().unwrap_err().to_string();
        for value in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(text(BradleyTerryConfig::new().with_temperature(value)).starts_with("`temperature`"));
        }
        for value in [-0.1, 0.5, f64::NAN] {
            assert!(text(BradleyTerryConfig::new().with_label_smoothing(value)).starts_with("`label_smoothing`"));
        }
        for value in [-0.1, f64::NAN, f64::INFINITY] {
            assert!(text(BradleyTerryConfig::new().with_centering(value)).starts_with("`centering`"));
            assert!(text(BradleyTerryConfig::new().with_score_l2(value)).starts_with("`score_l2`"));
        }
        let defaults = BradleyTerryConfig::new();
        assert_eq!(
            [defaults.temperature, defaults.label_smoothing, defaults.centering, defaults.score_l2],
            [1.0, 0.0, 0.0, 0.0]
        );
    }
}
