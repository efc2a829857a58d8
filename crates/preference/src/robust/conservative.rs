//! Conservative Bradley-Terry: targets short of certainty, for labels that are flipped at known rates.
//!
//! **Paper:** A Note on DPO with Noisy Preferences & Relationship to IPO (E. Mitchell, 2023).
//! **Use when:** a known share of the labels is wrong and scores are to stay moderate: the loss has a minimum at a finite
//! lead, and its gradient does not vanish for a badly ranked pair.
//! **Checked by:** reference figure, hand-worked values, gradients, Bradley-Terry with label smoothing.
//! **Deviations:** two rates where the paper has one.

use burn::{config::Config, tensor::Tensor};

use super::{FlipRates, rates::check_temperature};
use crate::{
    Nll, Result,
    pairwise::{PairScores, PairwiseLoss, bradley_terry::binary_cross_entropy},
};

/// Cross-entropies with smoothed targets, one per pair.
///
/// ```text
/// t̃ = (1 − ε₁) t + ε₀ (1 − t)     loss = softplus(z) − t̃ z,   z = lead / τ
/// ```
///
/// A recorded win of the first is least costly at odds of `1 − ε₁ : ε₁`. It is no likelihood of the recorded labels (that is
/// [`super::forward`]) and biased as a loss of the true ones ([`super::backward`] is not).
///
/// # Shapes
/// `[n]`.
///
/// # Errors
/// None that the pairs' constructors have not seen.
pub fn conservative_losses(pairs: &PairScores, rates: FlipRates, temperature: f64) -> Result<Tensor<1>> {
    let smoothed = pairs.targets() * (1.0 - rates.first - rates.second) + rates.second;
    binary_cross_entropy(pairs.leads() * temperature.recip(), smoothed)
}

/// Configuration of [`Conservative`].
#[derive(Config, Debug, PartialEq)]
pub struct ConservativeConfig {
    /// How likely labels are flipped.
    pub rates: FlipRates,
    /// What one unit of log-odds is in units of the scores, finite and > 0. 1: the model's own unit.
    #[config(default = 1.0)]
    pub temperature: f64,
}

impl ConservativeConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming `flip_rates` or `temperature`.
    pub fn init(&self) -> Result<Conservative> {
        self.rates.check()?;
        check_temperature(self.temperature)?;
        Ok(Conservative { config: self.clone() })
    }
}

/// The conservative loss; see [`conservative_losses`].
#[derive(Debug, Clone, PartialEq)]
pub struct Conservative {
    config: ConservativeConfig,
}

impl PairwiseLoss for Conservative {
    fn forward(&self, pairs: &PairScores) -> Result<Nll> {
        pairs.nll(conservative_losses(pairs, self.config.rates, self.config.temperature)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        pairwise::bradley_terry::BradleyTerryConfig,
        trajectory::testing::{check, close, pairs, tensor, values},
    };

    #[test]
    fn the_reference_figure_and_label_smoothing() {
        let model = ConservativeConfig::new(FlipRates::symmetric(0.2)).with_temperature(2.0).init().unwrap();
        let scored = pairs(&[2.6, -1.0, 0.3], &[0.0; 3]).with_targets(tensor(&[1.0, 0.0, 0.4])).unwrap();
        let losses = values(model.forward(&scored).unwrap().losses);
        close(&losses[..1], &[0.50100845], 1e-8);
        let smooth = BradleyTerryConfig::new().with_label_smoothing(0.2).with_temperature(2.0).init().unwrap();
        close(&losses, &values(smooth.forward(&scored).unwrap().losses), 1e-12);
    }

    #[test]
    fn two_rates_by_hand_and_where_the_loss_is_least() {
        let rates = FlipRates { first: 0.2, second: 0.4 };
        let (win, loss) = (-(0.75f64.ln()), -(0.25f64.ln()));
        let scored = pairs(&[3f64.ln(); 2], &[0.0; 2]).with_targets(tensor(&[1.0, 0.0])).unwrap();
        let expected = [0.8 * win + 0.2 * loss, 0.4 * win + 0.6 * loss];
        close(&values(conservative_losses(&scored, rates, 1.0).unwrap()), &expected, 1e-12);
        let gradient = check(&[4f64.ln(), 0.7], |x| {
            conservative_losses(&PairScores::new(x.clone(), x.zeros_like()).unwrap(), rates, 1.0).unwrap()
        });
        close(&gradient[..1], &[0.0], 1e-12);
    }

    #[test]
    fn fields_are_checked_and_have_defaults() {
        let new = ConservativeConfig::new;
        assert!(new(FlipRates::symmetric(0.5)).init().unwrap_err().to_string().starts_with("`flip_rates`"));
        let bad = new(FlipRates::symmetric(0.1)).with_temperature(f64::NAN).init();
        assert!(bad.unwrap_err().to_string().starts_with("`temperature`"));
        assert_eq!(new(FlipRates::symmetric(0.1)).temperature, 1.0);
    }
}
