//! Forward-corrected Bradley-Terry: the likelihood of labels that are flipped at known rates.
//!
//! **Paper:** Making Deep Neural Networks Robust to Label Noise: A Loss Correction Approach (2016), 1609.03683.
//! **Use when:** a known share of the labels is wrong, whatever the pair: the model's certainty is bounded, so that a pair
//! that it is sure about does not pull it over to a wrong label.
//! **Checked by:** reference figure, hand-worked values, gradients, laws, limits.
//! **Deviations:** none.

use accordant_ops::stable::{log_add_exp, log_sigmoid};
use burn::{config::Config, tensor::Tensor};

use super::{FlipRates, rates::check_temperature};
use crate::{
    Nll, Result,
    pairwise::{Outcomes, PairScores, PairwiseLoss, PairwiseModel},
};

/// Negative log-likelihoods of recorded labels, one per pair.
///
/// ```text
/// P(first is recorded) = (1 − ε₁) σ(z) + ε₀ σ(−z),   z = lead / τ
/// loss = −t log P(first is recorded) − (1 − t) log P(second is recorded)
/// ```
///
/// At least `−log(1 − ε)` and at most `−log ε` for symmetric rates; the gradient falls to 0 on both sides. With rates of 0
/// Bradley-Terry's loss.
///
/// # Shapes
/// `[n]`.
///
/// # Errors
/// None that the pairs' constructors have not seen.
///
/// # Example
/// ```
/// use accordant_preference::{pairwise::PairScores, robust::{FlipRates, forward::forward_losses}};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let pairs = PairScores::new(Tensor::from_floats([3f32.ln()], &device), Tensor::from_floats([0.0], &device))?;
/// let loss = forward_losses(&pairs, FlipRates::symmetric(0.1), 1.0)?.into_scalar::<f32>();
/// assert!((loss + 0.7f32.ln()).abs() < 1e-6); // 0.9 · 3/4 + 0.1 · 1/4
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "1609.03683")]
#[doc(alias = "label noise")]
pub fn forward_losses(pairs: &PairScores, rates: FlipRates, temperature: f64) -> Result<Tensor<1>> {
    let z = pairs.leads() * temperature.recip();
    let (first, second) = (log_sigmoid(z.clone()), log_sigmoid(-z));
    // log(a e^x + b e^y), where either weight may be 0.
    let mix = |a: f64, x: &Tensor<1>, b: f64, y: &Tensor<1>| match (a > 0.0, b > 0.0) {
        (true, true) => Ok(log_add_exp(x.clone() + a.ln(), y.clone() + b.ln())?),
        (true, false) => Ok::<_, crate::Error>(x.clone() + a.ln()),
        (false, _) => Ok(y.clone() + b.ln()),
    };
    let recorded = Outcomes {
        first: mix(1.0 - rates.first, &first, rates.second, &second)?,
        tie: None,
        second: mix(1.0 - rates.second, &second, rates.first, &first)?,
    };
    Ok(recorded.losses(pairs))
}

/// Configuration of [`Forward`].
#[derive(Config, Debug, PartialEq)]
pub struct ForwardConfig {
    /// How likely labels are flipped.
    pub rates: FlipRates,
    /// What one unit of log-odds is in units of the scores, finite and > 0. 1: the model's own unit.
    #[config(default = 1.0)]
    pub temperature: f64,
}

impl ForwardConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming `flip_rates` or `temperature`.
    pub fn init(&self) -> Result<Forward> {
        self.rates.check()?;
        check_temperature(self.temperature)?;
        Ok(Forward { config: self.clone() })
    }
}

/// The forward-corrected model; see [`forward_losses`].
#[derive(Debug, Clone, PartialEq)]
pub struct Forward {
    config: ForwardConfig,
}

impl PairwiseLoss for Forward {
    fn forward(&self, pairs: &PairScores) -> Result<Nll> {
        pairs.nll(forward_losses(pairs, self.config.rates, self.config.temperature)?)
    }
}

impl PairwiseModel for Forward {
    /// Of the true labels, before any flip.
    fn outcomes(&self, pairs: &PairScores) -> Result<Outcomes> {
        let z = pairs.leads() * self.config.temperature.recip();
        Ok(Outcomes { first: log_sigmoid(z.clone()), tie: None, second: log_sigmoid(-z) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        pairwise::bradley_terry::BradleyTerryConfig,
        trajectory::testing::{check, close, pairs, tensor, values},
    };

    fn losses(rates: FlipRates, pairs: &PairScores) -> Vec<f64> {
        values(ForwardConfig::new(rates).init().unwrap().forward(pairs).unwrap().losses)
    }

    #[test]
    fn the_reference_figure() {
        close(&losses(FlipRates::symmetric(0.2), &pairs(&[1.3], &[0.0])), &[0.39823979], 1e-8);
    }

    #[test]
    fn asymmetric_rates_by_hand() {
        // Odds of 3 : 1, of which 0.2 and 0.4 are flipped: 0.8 · ¾ + 0.4 · ¼ = 0.7.
        let rates = FlipRates { first: 0.2, second: 0.4 };
        let pairs = pairs(&[3f64.ln(); 3], &[0.0; 3]).with_targets(tensor(&[1.0, 0.0, 0.5])).unwrap();
        let (first, second) = (-(0.7f64.ln()), -(0.3f64.ln()));
        close(&losses(rates, &pairs), &[first, second, (first + second) / 2.0], 1e-12);
        let half = ForwardConfig::new(rates).with_temperature(0.5).init().unwrap();
        // Odds of 9 : 1: 0.8 · 0.9 + 0.4 · 0.1.
        close(&values(half.forward(&pairs).unwrap().losses)[..1], &[-(0.76f64.ln())], 1e-12);
    }

    #[test]
    fn without_flips_it_is_bradley_and_terrys() {
        let d = [-30.0, -1.2, 0.0, 0.7, 1e4];
        let pairs = pairs(&d, &[0.0; 5]).with_targets(tensor(&[1.0, 0.0, 0.3, 0.5, 0.0])).unwrap();
        let plain = BradleyTerryConfig::new().with_temperature(0.7).init().unwrap();
        let model = ForwardConfig::new(FlipRates::symmetric(0.0)).with_temperature(0.7).init().unwrap();
        let expected = values(plain.forward(&pairs).unwrap().losses);
        close(&values(model.forward(&pairs).unwrap().losses), &expected, 1e-11);
        let (ours, theirs) = (model.outcomes(&pairs).unwrap(), plain.outcomes(&pairs).unwrap());
        close(&values(ours.first), &values(theirs.first), 1e-12);
        close(&values(ours.second), &values(theirs.second), 1e-12);
    }

    #[test]
    fn one_sided_flips_leave_the_other_side_as_it_is() {
        let pairs = pairs(&[3f64.ln(); 2], &[0.0; 2]).with_targets(tensor(&[1.0, 0.0])).unwrap();
        let first = losses(FlipRates { first: 0.2, second: 0.0 }, &pairs);
        close(&first, &[-(0.6f64.ln()), -(0.4f64.ln())], 1e-12);
        let second = losses(FlipRates { first: 0.0, second: 0.2 }, &pairs);
        close(&second, &[-(0.8f64.ln()), -(0.2f64.ln())], 1e-12);
    }

    #[test]
    fn the_loss_is_bounded_and_a_badly_ranked_pair_does_not_pull() {
        let extremes = pairs(&[1e4, -1e4], &[0.0; 2]);
        close(&losses(FlipRates::symmetric(0.2), &extremes), &[-(0.8f64.ln()), -(0.2f64.ln())], 1e-12);
        let rates = FlipRates { first: 0.1, second: 0.3 };
        let gradient = check(&[-1e3, -3.0, 0.4, 2.0], |x| {
            let pairs = PairScores::new(x.clone(), x.zeros_like()).unwrap();
            forward_losses(&pairs.with_targets(tensor(&[1.0, 1.0, 0.3, 0.0])).unwrap(), rates, 0.8).unwrap()
        });
        assert_eq!(gradient[0], 0.0);
    }

    #[test]
    fn fields_are_checked_and_have_defaults() {
        let new = ForwardConfig::new;
        assert!(new(FlipRates::symmetric(0.5)).init().unwrap_err().to_string().starts_with("`flip_rates`"));
        let bad = new(FlipRates::symmetric(0.1)).with_temperature(0.0).init();
        assert!(bad.unwrap_err().to_string().starts_with("`temperature`"));
        assert_eq!(new(FlipRates::symmetric(0.1)).temperature, 1.0);
    }
}
