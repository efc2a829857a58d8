//! Pair preference model (PairPM).
//!
//! **Paper:** RLHF Workflow: From Reward Modeling to Online RLHF (2024), 2405.07863.
//! **Use when:** a network reads both responses at once: the most flexible model, at one evaluation per ordered pair.
//! **Checked by:** hand-worked chances, antisymmetry, finite differences, Bradley-Terry as a limit.
//! **Deviations:** the released model averages the chances of both orders when it judges; ours does so in training, too.

use accordant_ops::{
    check_domain,
    stable::{log_add_exp, log_sigmoid},
};
use burn::{config::Config, tensor::Tensor};
use serde::{Deserialize, Serialize};

use crate::{
    Nll, Result,
    pairwise::{Outcomes, PairScores, PairwiseLoss, PairwiseModel},
};

/// How the answers to the two orders of a pair become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Symmetrization {
    /// The mean of the chances: `P = ½ [σ(h(a, b)) + 1 − σ(h(b, a))]`. The released model's.
    #[default]
    Chance,
    /// The chance of the mean logit: `P = σ(½ [h(a, b) − h(b, a)])`.
    Logit,
}

/// Configuration of [`PairModel`].
#[derive(Config, Debug, PartialEq)]
pub struct PairModelConfig {
    /// What the two orders become. Chances: the released model's.
    #[config(default = "Symmetrization::Chance")]
    pub symmetrization: Symmetrization,
    /// What one unit of log-odds is in units of the logits, finite and > 0. 1: they are log-odds.
    #[config(default = 1.0)]
    pub temperature: f64,
}

impl PairModelConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<PairModel> {
        let temperature = self.temperature;
        check_domain(temperature.is_finite() && temperature > 0.0, "temperature", "finite and > 0", temperature)?;
        Ok(PairModel { config: self.clone() })
    }
}

/// A likelihood of the logits `h` of a network that reads pairs, each asked in both orders.
///
/// The "scores" of its [`PairScores`] are the two answers: `first` is `h(a, b)`, for a when a is shown first, and `second` is
/// `h(b, a)`, for b when b is shown first. Exactly antisymmetric, whatever the network prefers about places. Margins and
/// offsets are added to `h(a, b)` and taken off `h(b, a)`.
///
/// `position_bias` is logged: `|P(a, b) + P(b, a) − 1|`, 0 for a network that does not care about places.
///
/// # Example
/// ```
/// use accordant_preference::{general::pair_model::PairModelConfig, pairwise::{PairScores, PairwiseModel}};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// // 0.75 for a when it is first, and even when b is: 0.625 for a.
/// let pairs = PairScores::new(Tensor::from_floats([3f32.ln()], &device), Tensor::from_floats([0.0], &device))?;
/// let outcomes = PairModelConfig::new().init()?.outcomes(&pairs)?;
/// assert!((outcomes.first.exp().into_scalar::<f32>() - 0.625).abs() < 1e-6);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "2405.07863")]
#[doc(alias = "PairPM")]
#[doc(alias = "PairRM")]
#[derive(Debug, Clone, PartialEq)]
pub struct PairModel {
    config: PairModelConfig,
}

impl PairModel {
    /// Log-odds of a in both orders: shown first, and shown second.
    fn logits(&self, pairs: &PairScores) -> (Tensor<1>, Tensor<1>) {
        let shift = pairs.leads() - pairs.differences();
        let scale = self.config.temperature.recip();
        ((pairs.first() + shift.clone()) * scale, (shift - pairs.second()) * scale)
    }
}

impl PairwiseLoss for PairModel {
    fn forward(&self, pairs: &PairScores) -> Result<Nll> {
        let (shown_first, shown_second) = self.logits(pairs);
        let chance = |logits: Tensor<1>| log_sigmoid(logits.detach()).exp();
        let bias = (chance(shown_first) - chance(shown_second)).abs();
        pairs.nll(self.outcomes(pairs)?.losses(pairs))?.with_metric("position_bias", bias)
    }
}

impl PairwiseModel for PairModel {
    fn outcomes(&self, pairs: &PairScores) -> Result<Outcomes> {
        let (shown_first, shown_second) = self.logits(pairs);
        let of = |shown_first: Tensor<1>, shown_second: Tensor<1>| -> Result<Tensor<1>> {
            Ok(match self.config.symmetrization {
                Symmetrization::Chance => {
                    log_add_exp(log_sigmoid(shown_first), log_sigmoid(shown_second))? - std::f64::consts::LN_2
                }
                Symmetrization::Logit => log_sigmoid((shown_first + shown_second) * 0.5),
            })
        };
        let first = of(shown_first.clone(), shown_second.clone())?;
        Ok(Outcomes { first, tie: None, second: of(-shown_first, -shown_second)? })
    }
}

#[cfg(test)]
mod tests {
    use accordant_laws::gradient::check_gradient;
    use burn::tensor::{DType, Device, TensorData};

    use super::*;
    use crate::pairwise::bradley_terry::BradleyTerryConfig;

    fn tensor(values: &[f64], device: &Device) -> Tensor<1> {
        Tensor::from_data(TensorData::from(values), (device, DType::F64))
    }

    fn values(tensor: Tensor<1>) -> Vec<f64> {
        tensor.try_to_vec_as::<f64>().unwrap()
    }

    fn pairs(first: &[f64], second: &[f64]) -> PairScores {
        let device = Device::flex();
        PairScores::new(tensor(first, &device), tensor(second, &device)).unwrap()
    }

    fn model(symmetrization: Symmetrization) -> PairModel {
        PairModelConfig::new().with_symmetrization(symmetrization).init().unwrap()
    }

    #[track_caller]
    fn close(got: &[f64], expected: &[f64]) {
        assert!(got.len() == expected.len() && got.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{got:?}");
    }

    const BOTH: [Symmetrization; 2] = [Symmetrization::Chance, Symmetrization::Logit];

    #[test]
    fn two_orders_by_hand() {
        // Odds of 9 : 1 for a when it is first, and of 3 : 1 for b when b is: chances 0.9 and 0.25 for a.
        let pairs = pairs(&[9f64.ln()], &[3f64.ln()]);
        let first = |model: PairModel| values(model.outcomes(&pairs).unwrap().first.exp())[0];
        close(&[first(model(Symmetrization::Chance))], &[0.575]);
        // ½ (ln 9 − ln 3) = ½ ln 3: odds of √3.
        let odds = 3f64.sqrt();
        close(&[first(model(Symmetrization::Logit))], &[odds / (1.0 + odds)]);
        let nll = model(Symmetrization::Chance).forward(&pairs).unwrap();
        close(&values(nll.losses.clone()), &[-(0.575f64.ln())]);
        close(&values(nll.metric("position_bias").unwrap().0.clone()), &[0.65]);
        let half = PairModelConfig::new().with_temperature(0.5).init().unwrap();
        close(&[first(half)], &[(81.0 / 82.0 + 1.0 / 10.0) / 2.0]);
    }

    #[test]
    fn chances_add_up_to_one_and_the_exchanged_pair_has_the_opposite() {
        let (a, b) = ([0.3, -40.0, 700.0, 2.0], [1.2, 3.0, -700.0, 2.0]);
        for symmetrization in BOTH {
            let of = |pairs: PairScores| {
                let outcomes = model(symmetrization).outcomes(&pairs).unwrap();
                (values(outcomes.first), values(outcomes.second))
            };
            let (forward, backward) = (of(pairs(&a, &b)), of(pairs(&b, &a)));
            assert_eq!((forward.0.clone(), forward.1.clone()), (backward.1, backward.0));
            let totals: Vec<f64> = forward.0.iter().zip(&forward.1).map(|(a, b)| a.exp() + b.exp()).collect();
            close(&totals, &[1.0; 4]);
            assert!(forward.0.iter().chain(&forward.1).all(|log| log.is_finite()));
        }
    }

    #[test]
    fn a_network_without_position_bias_is_bradley_terry() {
        let d = [0.7, -1.3, 0.0];
        let pairs = pairs(&d, &d.map(|d| -d));
        let expected = BradleyTerryConfig::new().init().unwrap();
        let expected = expected.forward(&PairScores::from_differences(tensor(&d, &Device::flex()))).unwrap().losses;
        for symmetrization in BOTH {
            let nll = model(symmetrization).forward(&pairs).unwrap();
            close(&values(nll.losses.clone()), &values(expected.clone()));
            close(&values(nll.metric("position_bias").unwrap().0.clone()), &[0.0; 3]);
        }
    }

    #[test]
    fn labels_that_are_all_on_one_side_teach_no_preference_for_a_place() {
        let device = Device::flex().autodiff();
        for symmetrization in BOTH {
            for bias in [-1.5, 0.0, 4.0] {
                // A network that knows nothing but which response is shown first.
                let bias = tensor(&[bias], &device).require_grad();
                let shown_first = bias.clone().repeat_dim(0, 20);
                let pairs = PairScores::new(shown_first.clone(), shown_first).unwrap();
                let nll = model(symmetrization).forward(&pairs).unwrap();
                close(&values(nll.losses.clone()), &[std::f64::consts::LN_2; 20]);
                let gradients = nll.losses.sum().backward();
                close(&values(bias.grad(&gradients).unwrap()), &[0.0]);
            }
        }
    }

    #[test]
    fn margins_are_taken_off_in_both_orders() {
        let pairs = pairs(&[1.0], &[-1.0]).with_margins(tensor(&[0.4], &Device::flex())).unwrap();
        for symmetrization in BOTH {
            let first = values(model(symmetrization).outcomes(&pairs).unwrap().first);
            close(&first, &[accordant_ops::host::log_sigmoid(0.6)]);
        }
    }

    #[test]
    fn gradients_are_derivatives() {
        let device = Device::flex().autodiff();
        for symmetrization in BOTH {
            let model =
                PairModelConfig::new().with_symmetrization(symmetrization).with_temperature(0.6).init().unwrap();
            let run = |x: &[f64]| {
                let (first, second) =
                    (tensor(&x[..2], &device).require_grad(), tensor(&x[2..], &device).require_grad());
                let pairs = PairScores::new(first.clone(), second.clone()).unwrap();
                let pairs = pairs.with_targets(tensor(&[1.0, 0.3], &device)).unwrap();
                (model.forward(&pairs).unwrap().losses.sum(), [first, second])
            };
            let at = [0.4, -1.0, 0.9, 0.3];
            let (loss, leaves) = run(&at);
            let gradients = loss.backward();
            let gradient = leaves.map(|leaf| values(leaf.grad(&gradients).unwrap())).concat();
            check_gradient(|x| values(run(x).0)[0], &at, &gradient).unwrap();
        }
    }

    #[test]
    fn every_field_has_a_domain_and_a_default() {
        let defaults = PairModelConfig::new();
        assert_eq!((defaults.symmetrization, defaults.temperature), (Symmetrization::Chance, 1.0));
        for value in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let error = PairModelConfig::new().with_temperature(value).init().unwrap_err();
            assert!(error.to_string().starts_with("`temperature`"));
        }
    }
}
