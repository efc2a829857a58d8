//! General preference model by least squares.
//!
//! **Paper:** Beyond Bradley-Terry Models: A General Preference Model for Language Model Alignment (2024), 2410.02197: the
//! regression loss of its code.
//! **Use when:** leads should stop growing once they are large enough; no likelihood, so it has no chances.
//! **Checked by:** hand-worked values, finite differences.
//! **Deviations:** the code knows winners only; ours takes shares of votes, as the mean of what both labels lose.

use accordant_ops::check_domain;
use burn::{config::Config, tensor::Tensor};

use crate::{
    Nll, Result,
    pairwise::{PairScores, PairwiseLoss},
};

/// Squared distances of the leads from a target, one per pair:
///
/// ```text
/// z = lead / τ,   loss = t ½ (z − M)² + (1 − t) ½ (−z − M)²
/// ```
///
/// # Shapes
/// `[n]`. `temperature`, τ > 0, is in units of the leads, `target`, M > 0, in units of τ. The gradient by the lead is
/// `(z − (2t − 1) M) / τ`.
///
/// # Example
/// ```
/// use accordant_preference::{general::gpm_regression::gpm_regression_losses, pairwise::PairScores};
/// use burn::tensor::{Device, Tensor};
/// let pairs = PairScores::from_differences(Tensor::from_floats([0.75], &Device::flex()));
/// assert_eq!(gpm_regression_losses(&pairs, 0.125, 10.0).into_scalar::<f32>(), 8.0); // ½ (6 − 10)²
/// ```
#[doc(alias = "2410.02197")]
pub fn gpm_regression_losses(pairs: &PairScores, temperature: f64, target: f64) -> Tensor<1> {
    let leads = pairs.leads() * temperature.recip();
    // The square completed: one label is −1 and the other 1, and between them the loss is linear in the share.
    let label = pairs.targets() * 2.0 - 1.0;
    leads.clone().square() * 0.5 - leads * label * target + 0.5 * target * target
}

/// Configuration of [`GpmRegression`].
#[derive(Config, Debug, PartialEq)]
pub struct GpmRegressionConfig {
    /// What one unit of the target is in units of the leads, finite and > 0. 0.1: the paper's.
    #[config(default = 0.1)]
    pub temperature: f64,
    /// The lead that a winner is to have, finite and > 0. 10: the default of the paper's code.
    #[config(default = 10.0)]
    pub target: f64,
}

impl GpmRegressionConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<GpmRegression> {
        let Self { temperature, target } = *self;
        check_domain(temperature.is_finite() && temperature > 0.0, "temperature", "finite and > 0", temperature)?;
        check_domain(target.is_finite() && target > 0.0, "target", "finite and > 0", target)?;
        Ok(GpmRegression { config: self.clone() })
    }
}

/// The regression loss; see [`gpm_regression_losses`]. [`Gpm::pairs`](super::gpm::Gpm::pairs) gives the pairs.
#[derive(Debug, Clone, PartialEq)]
pub struct GpmRegression {
    config: GpmRegressionConfig,
}

impl PairwiseLoss for GpmRegression {
    fn forward(&self, pairs: &PairScores) -> Result<Nll> {
        pairs.nll(gpm_regression_losses(pairs, self.config.temperature, self.config.target))
    }
}

#[cfg(test)]
mod tests {
    use accordant_laws::gradient::check_gradient;
    use burn::tensor::{DType, Device, TensorData};

    use super::*;

    fn tensor(values: &[f64], device: &Device) -> Tensor<1> {
        Tensor::from_data(TensorData::from(values), (device, DType::F64))
    }

    fn values(tensor: Tensor<1>) -> Vec<f64> {
        tensor.try_to_vec_as::<f64>().unwrap()
    }

    #[test]
    fn winners_losers_and_shared_votes_by_hand() {
        let device = Device::flex();
        let pairs = PairScores::from_differences(tensor(&[3.0, 3.0, 3.0, 20.0], &device));
        let pairs = pairs.with_targets(tensor(&[1.0, 0.0, 0.25, 1.0], &device)).unwrap();
        let model = GpmRegressionConfig::new().with_temperature(2.0).with_target(10.0).init().unwrap();
        // z = 1.5: ½ 8.5² and ½ 11.5²; a quarter of one and three of the other; z = 10 is the target.
        let (won, lost) = (36.125, 66.125);
        let losses = values(model.forward(&pairs).unwrap().losses);
        let expected = [won, lost, 0.25 * won + 0.75 * lost, 0.0];
        assert!(losses.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{losses:?}");
    }

    #[test]
    fn gradients_are_derivatives() {
        let device = Device::flex().autodiff();
        let model = GpmRegressionConfig::new().with_temperature(0.7).with_target(3.0).init().unwrap();
        let run = |x: &[f64]| {
            let leads = tensor(x, &device).require_grad();
            let pairs = PairScores::from_differences(leads.clone());
            let pairs = pairs.with_targets(tensor(&[1.0, 0.3], &device)).unwrap();
            (model.forward(&pairs).unwrap().losses.sum(), leads)
        };
        let at = [0.4, -1.0];
        let (loss, leads) = run(&at);
        let gradient = values(leads.grad(&loss.backward()).unwrap());
        check_gradient(|x| values(run(x).0)[0], &at, &gradient).unwrap();
        // (z − M) / τ of a winner
        assert!((gradient[0] - (0.4 / 0.7 - 3.0) / 0.7).abs() < 1e-12);
    }

    #[test]
    fn every_field_has_a_domain_and_a_default() {
        let defaults = GpmRegressionConfig::new();
        assert_eq!((defaults.temperature, defaults.target), (0.1, 10.0));
        for value in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let text = |config: GpmRegressionConfig| config.init().unwrap_err().to_string();
            assert!(text(GpmRegressionConfig::new().with_temperature(value)).starts_with("`temperature`"));
            assert!(text(GpmRegressionConfig::new().with_target(value)).starts_with("`target`"));
        }
    }
}
