//! Expectile regression, the value loss of implicit Q-learning (IQL).
//!
//! **Paper:** Offline Reinforcement Learning with Implicit Q-Learning (2021), 2110.06169.
//! **Use when:** a critic is to estimate what good continuations of the data return, not the average one.
//! **Checked by:** values by hand, τ = 1/2 against the squared error, finite differences, the minimizer.
//! **Deviations:** none.

use accordant_ops::check_domain;
use burn::config::Config;

use super::{ValueBatch, ValueObjective, ValueOutput};
use crate::Result;

/// Losses of predictions `V` against returns, that weigh errors by their sign.
///
/// ```text
/// |τ − 1[u < 0]| u²,   u = ret − V
/// ```
///
/// The minimizer is the `τ`-expectile of the returns: their mean at 1/2 (where this is half the squared error), towards
/// their maximum as τ goes to 1. Quadratic: an error of 1e4 gives up to 1e8.
///
/// # Shapes
/// `[batch, seq]`; `tau` lies in `(0, 1)`.
///
/// # Errors
/// A domain error naming `tau`.
///
/// # Example
/// ```
/// use accordant_objectives::value::{ValueBatch, expectile::expectile_losses};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let (values, returns) = (Tensor::from_floats([[0.0, 0.0]], &device), Tensor::from_floats([[2.0, -2.0]], &device));
/// let batch = ValueBatch::new(values, returns, Tensor::from_bool([[true, true]], &device))?;
/// let losses = expectile_losses(&batch, 0.75)?.losses;
/// assert_eq!(losses.try_to_vec_as::<f32>().unwrap(), [3.0, 1.0]); // too low costs three times as much
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2110.06169")]
#[doc(alias = "Offline Reinforcement Learning with Implicit Q-Learning")]
#[doc(alias = "IQL")]
pub fn expectile_losses(batch: &ValueBatch, tau: f64) -> Result<ValueOutput> {
    check_tau(tau)?;
    let errors = batch.returns() - batch.values();
    let squares = errors.clone().square();
    let losses = (squares.clone() * tau).mask_where(errors.lower_scalar(0.0), squares * (1.0 - tau));
    ValueOutput::unclipped(losses, batch)
}

fn check_tau(tau: f64) -> Result<()> {
    Ok(check_domain(tau > 0.0 && tau < 1.0, "tau", "in (0, 1)", tau)?)
}

/// Configuration of [`Expectile`].
#[derive(Config, Debug, PartialEq)]
pub struct ExpectileConfig {
    /// Which expectile, in `(0, 1)`. 0.7: the paper's for locomotion; it takes 0.9 for mazes.
    #[config(default = 0.7)]
    pub tau: f64,
}

impl ExpectileConfig {
    /// Checks the field.
    ///
    /// # Errors
    /// A domain error naming it.
    pub fn init(&self) -> Result<Expectile> {
        check_tau(self.tau)?;
        Ok(Expectile { config: self.clone() })
    }
}

/// Expectile regression; see [`expectile_losses`].
#[derive(Debug, Clone, PartialEq)]
pub struct Expectile {
    config: ExpectileConfig,
}

impl ValueObjective for Expectile {
    fn forward(&self, batch: &ValueBatch) -> Result<ValueOutput> {
        expectile_losses(batch, self.config.tau)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        advantage::scan::tests::near,
        value::{
            clipped_value::clipped_value_losses,
            tests::{batch, check_objective, flat, values_and_gradients},
        },
    };

    fn expectile(tau: f64) -> Expectile {
        ExpectileConfig::new().with_tau(tau).init().unwrap()
    }

    #[test]
    fn values_and_gradients_by_hand() {
        // u = 3, −2, 0.
        let (losses, grads) = values_and_gradients(batch(&[1.0, 4.0, 5.0], &[4.0, 2.0, 5.0]), &expectile(0.9));
        near(&losses, &[8.1, 0.4, 0.0], 1e-14);
        near(&grads, &[-5.4, 0.4, 0.0], 1e-14);
        let even = |batch: &ValueBatch| flat(&expectile(0.5).forward(batch).unwrap().losses);
        let batch = batch(&[1.0, 4.0], &[4.0, -2.5]);
        assert_eq!(even(&batch), flat(&clipped_value_losses(&batch, None).unwrap().losses));
    }

    #[test]
    fn the_minimizer_is_the_expectile() {
        // Returns 0 and 1: 0.8 (1 − V) = 0.2 V at V = 0.8.
        let (_, grads) = values_and_gradients(batch(&[0.8, 0.8], &[0.0, 1.0]), &expectile(0.8));
        assert!((grads[0] + grads[1]).abs() < 1e-15 && grads[0] > 0.0);
    }

    #[test]
    fn it_keeps_the_contract_of_value_objectives() {
        check_objective(&expectile(0.7));
    }

    #[test]
    fn a_tau_outside_of_the_open_interval_is_refused() {
        assert_eq!(ExpectileConfig::new().tau, 0.7);
        for tau in [0.0, 1.0, -0.5, 1.5, f64::NAN] {
            let error = ExpectileConfig::new().with_tau(tau).init().unwrap_err().to_string();
            assert!(error.starts_with("`tau`"), "{error}");
            assert!(expectile_losses(&batch(&[1.0], &[1.0]), tau).is_err());
        }
    }
}
