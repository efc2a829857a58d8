//! Backward-corrected Bradley-Terry: a loss without bias under label flips (rDPO's).
//!
//! **Paper:** Provably Robust DPO: Aligning Language Models with Noisy Feedback (2024), 2403.00409; the correction is of
//! Learning with Noisy Labels (N. Natarajan and others, 2013).
//! **Use when:** a known share of the labels is wrong and the expected loss is to be that of right ones. With few pairs
//! [`super::forward`] is the safer choice: this loss has no lower bound.
//! **Checked by:** reference figure, hand-worked values, gradients, unbiasedness by enumeration, limits.
//! **Deviations:** leads are clipped (`max_lead`), since the loss falls without a bound where a label may be wrong; how many
//! were is logged as `clipped_fraction`.

use accordant_ops::{check_domain, stable::log_sigmoid};
use burn::{config::Config, tensor::Tensor};

use super::{FlipRates, rates::check_temperature};
use crate::{
    Nll, Result,
    pairwise::{Outcomes, PairScores, PairwiseLoss},
};

/// Losses whose expectation under flips is Bradley-Terry's loss of the true labels, one per pair.
///
/// ```text
/// ℓ(first is recorded)  = [(1 − ε₀) ℓ(z, 1) − ε₁ ℓ(z, 0)] / (1 − ε₁ − ε₀)
/// ℓ(second is recorded) = [(1 − ε₁) ℓ(z, 0) − ε₀ ℓ(z, 1)] / (1 − ε₁ − ε₀)
/// ```
///
/// with `ℓ(z, t) = softplus(z) − t z` and `z = lead / τ`, clipped to ±`max_lead`, where the gradient is 0. Negative for a
/// well ranked pair.
///
/// # Shapes
/// `[n]`.
///
/// # Errors
/// None that the pairs' constructors have not seen.
#[doc(alias = "2403.00409")]
#[doc(alias = "rDPO")]
#[doc(alias = "Provably Robust DPO: Aligning Language Models with Noisy Feedback")]
pub fn backward_losses(pairs: &PairScores, config: &BackwardConfig) -> Result<Tensor<1>> {
    let FlipRates { first: of_first, second: of_second } = config.rates;
    let z = (pairs.leads() * config.temperature.recip()).clamp(-config.max_lead, config.max_lead);
    let (first, second) = (log_sigmoid(z.clone()), log_sigmoid(-z));
    let scale = (1.0 - of_first - of_second).recip();
    let corrected = Outcomes {
        first: (first.clone() * (1.0 - of_second) - second.clone() * of_first) * scale,
        tie: None,
        second: (second * (1.0 - of_first) - first * of_second) * scale,
    };
    Ok(corrected.losses(pairs))
}

/// Configuration of [`Backward`].
#[derive(Config, Debug, PartialEq)]
pub struct BackwardConfig {
    /// How likely labels are flipped.
    pub rates: FlipRates,
    /// What one unit of log-odds is in units of the scores, finite and > 0. 1: the model's own unit.
    #[config(default = 1.0)]
    pub temperature: f64,
    /// Where leads are clipped, in log-odds, finite and > 0. 20: ours; chances there are within 2e-9 of certainty.
    #[config(default = 20.0)]
    pub max_lead: f64,
}

impl BackwardConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming `flip_rates`, `temperature` or `max_lead`.
    pub fn init(&self) -> Result<Backward> {
        self.rates.check()?;
        check_temperature(self.temperature)?;
        let lead = self.max_lead;
        check_domain(lead.is_finite() && lead > 0.0, "max_lead", "finite and > 0", lead)?;
        Ok(Backward { config: self.clone() })
    }
}

/// The backward-corrected loss; see [`backward_losses`].
///
/// # Example
/// ```
/// use accordant_preference::{pairwise::{PairScores, PairwiseLoss}, robust::{FlipRates, backward::BackwardConfig}};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let loss = BackwardConfig::new(FlipRates::symmetric(0.2)).init()?;
/// let pairs = PairScores::new(Tensor::from_floats([0.0, 30.0], &device), Tensor::from_floats([0.0, 0.0], &device))?;
/// let nll = loss.forward(&pairs)?;
/// // Where nothing is known a label says nothing either way: ln 2. And one lead was clipped.
/// assert!((nll.losses.clone().into_data().to_vec::<f32>().unwrap()[0] - 2f32.ln()).abs() < 1e-6);
/// assert_eq!(nll.means().mean("clipped_fraction"), Some(0.5));
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Backward {
    config: BackwardConfig,
}

impl PairwiseLoss for Backward {
    fn forward(&self, pairs: &PairScores) -> Result<Nll> {
        let leads = pairs.leads().detach() * self.config.temperature.recip();
        let clipped = leads.zeros_like().mask_fill(leads.abs().greater_scalar(self.config.max_lead), 1.0);
        pairs.nll(backward_losses(pairs, &self.config)?)?.with_metric("clipped_fraction", clipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        pairwise::bradley_terry::BradleyTerryConfig,
        trajectory::testing::{check, close, pairs, tensor, values},
    };

    fn losses(rates: FlipRates, d: &[f64], targets: &[f64]) -> Vec<f64> {
        let pairs = pairs(d, &vec![0.0; d.len()]).with_targets(tensor(targets)).unwrap();
        values(BackwardConfig::new(rates).init().unwrap().forward(&pairs).unwrap().losses)
    }

    fn clean(d: &[f64], targets: &[f64]) -> Vec<f64> {
        let pairs = pairs(d, &vec![0.0; d.len()]).with_targets(tensor(targets)).unwrap();
        values(BradleyTerryConfig::new().init().unwrap().forward(&pairs).unwrap().losses)
    }

    #[test]
    fn the_reference_figure() {
        // The lead is 1.3 and the flip rate 0.2.
        close(&losses(FlipRates::symmetric(0.2), &[1.3], &[1.0]), &[-0.19232488], 1e-8);
    }

    #[test]
    fn the_expectation_over_flips_is_the_loss_of_the_true_labels() {
        for rates in [FlipRates::symmetric(0.2), FlipRates { first: 0.3, second: 0.05 }] {
            let d = [-3.0, -0.4, 0.0, 1.3, 7.0];
            let (recorded_first, recorded_second) = (losses(rates, &d, &[1.0; 5]), losses(rates, &d, &[0.0; 5]));
            for (at, (first, second)) in recorded_first.iter().zip(&recorded_second).enumerate() {
                let if_first = (1.0 - rates.first) * first + rates.first * second;
                let if_second = (1.0 - rates.second) * second + rates.second * first;
                close(&[if_first, if_second], &[clean(&d, &[1.0; 5])[at], clean(&d, &[0.0; 5])[at]], 1e-12);
            }
        }
    }

    #[test]
    fn without_flips_it_is_bradley_and_terrys_and_soft_labels_are_mixtures() {
        let (d, t) = ([-3.0, 0.0, 1.3, 19.0], [1.0, 0.3, 0.0, 0.5]);
        close(&losses(FlipRates::symmetric(0.0), &d, &t), &clean(&d, &t), 1e-12);
        let rates = FlipRates { first: 0.1, second: 0.2 };
        let [both, first, second] = [0.25, 1.0, 0.0].map(|t| losses(rates, &[0.7], &[t])[0]);
        close(&[both], &[0.25 * first + 0.75 * second], 1e-12);
    }

    #[test]
    fn a_loss_without_a_lower_bound_is_clipped_and_says_so() {
        let config = BackwardConfig::new(FlipRates::symmetric(0.2)).with_temperature(2.0).with_max_lead(5.0);
        let model = config.init().unwrap();
        let pairs = pairs(&[10.0, 1e4, -1e4, 9.9], &[0.0; 4]);
        let nll = model.forward(&pairs).unwrap();
        let losses = values(nll.losses.clone());
        assert_eq!(losses[0], losses[1]);
        // (0.8 softplus(∓5) − 0.2 softplus(±5)) / 0.6
        let softplus = |z: f64| z.exp().ln_1p();
        let at = |z: f64| (0.8 * softplus(-z) - 0.2 * softplus(z)) / 0.6;
        close(&losses, &[at(5.0), at(5.0), at(-5.0), at(4.95)], 1e-12);
        assert_eq!(nll.means().mean("clipped_fraction"), Some(0.5));
    }

    #[test]
    fn gradients_are_derivatives_and_0_beyond_the_clip() {
        let config = BackwardConfig::new(FlipRates { first: 0.1, second: 0.3 }).with_temperature(0.5);
        let gradient = check(&[0.4, -1.0, 3.0, 11.0, -11.0], |x| {
            let pairs = PairScores::new(x.clone(), x.zeros_like()).unwrap();
            backward_losses(&pairs.with_targets(tensor(&[1.0, 1.0, 0.3, 1.0, 1.0])).unwrap(), &config).unwrap()
        });
        assert_eq!(gradient[3..], [0.0, 0.0]);
    }

    #[test]
    fn fields_are_checked_and_have_defaults() {
        let new = || BackwardConfig::new(FlipRates::symmetric(0.1));
        let text = |config: BackwardConfig| config.init().unwrap_err().to_string();
        assert!(text(BackwardConfig::new(FlipRates::symmetric(0.5))).starts_with("`flip_rates`"));
        assert!(text(new().with_temperature(-1.0)).starts_with("`temperature`"));
        for bad in [0.0, f64::NAN, f64::INFINITY] {
            assert!(text(new().with_max_lead(bad)).starts_with("`max_lead`"));
        }
        assert_eq!((new().temperature, new().max_lead), (1.0, 20.0));
    }
}
