//! Surrogate losses: functions of the winner's lead that are no likelihoods.
//!
//! **Paper:** exponential: An Efficient Boosting Algorithm for Combining Preferences (Y. Freund et al., 2003); smoothed hinge
//! as in the code of PAL: Pluralistic Alignment Framework for Learning from Heterogeneous Preferences (2024), 2406.08469;
//! squared: A General Theoretical Paradigm to Understand Learning from Human Preferences (2023), 2310.12036.
//! **Use when:** a margin is to be reached and no more (hinge), or a difference is known in units of the score (the others).
//! **Checked by:** hand-worked values on both sides of every kink, laws.
//! **Deviations:** the exponent is capped, so that the exponential is finite; some code halves the squared loss.

use accordant_ops::{
    check_domain,
    stable::{cap_exponent, exponent_max, huber, softplus},
};
use burn::{
    config::Config,
    tensor::{Tensor, activation::relu},
};

use super::{PairScores, PairwiseLoss};
use crate::{Nll, Result};

/// A loss φ of the winner's lead d, in units of the scores.
#[derive(Config, Debug, Copy, PartialEq)]
pub enum Surrogate {
    /// `exp(−d)`: RankBoost. The exponent is capped at what the dtype can take.
    Exponential,
    /// `max(0, m − d)`. PAL's default is m = 1.
    Hinge {
        /// The lead from which on nothing is lost, finite and > 0.
        margin: f64,
    },
    /// 0 from δ on, `(δ − d)²/(2γ)` down to δ − γ, then linear with slope −1. PAL's code: δ = 1, γ = 5.
    SmoothedHinge {
        /// The lead from which on nothing is lost, finite; δ.
        margin: f64,
        /// The width of the quadratic part, finite and > 0; γ.
        width: f64,
    },
    /// `(d − target)²`: IPO's, at target 1/(2β).
    Squared {
        /// The lead to be reached and not exceeded, finite.
        target: f64,
    },
    /// `log cosh(d − target)`.
    LogCosh {
        /// The lead to be reached and not exceeded, finite.
        target: f64,
    },
    /// Huber's loss of `d − target`.
    Huber {
        /// The lead to be reached and not exceeded, finite.
        target: f64,
        /// The width of the quadratic part, finite and > 0.
        width: f64,
    },
}

/// Surrogate losses of leads, one per lead.
///
/// # Shapes
/// `leads` (d): `[n]`, as is the result.
///
/// # Errors
/// None with a surrogate that [`SurrogateConfig::init`] has checked.
///
/// # Example
/// ```
/// use accordant_preference::pairwise::surrogate::{Surrogate, surrogate_losses};
/// use burn::tensor::{Device, Tensor};
/// let leads = Tensor::from_floats([0.25, 2.0], &Device::flex());
/// let losses = surrogate_losses(leads, Surrogate::Hinge { margin: 1.0 })?;
/// assert_eq!(losses.try_to_vec_as::<f32>().unwrap(), [0.75, 0.0]);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "RankBoost")]
#[doc(alias = "hinge")]
pub fn surrogate_losses(leads: Tensor<1>, surrogate: Surrogate) -> Result<Tensor<1>> {
    Ok(match surrogate {
        Surrogate::Exponential => {
            let max = exponent_max(leads.dtype());
            cap_exponent(-leads, Some(max))?.exp()
        }
        Surrogate::Hinge { margin } => relu(-leads + margin),
        // Huber's loss of what is missing: its square is halved and its slope is the width.
        Surrogate::SmoothedHinge { margin, width } => huber(relu(-leads + margin), width)? * width.recip(),
        Surrogate::Squared { target } => (leads - target).square(),
        Surrogate::LogCosh { target } => {
            let size = (leads - target).abs();
            softplus(size.clone() * -2.0) + size - std::f64::consts::LN_2
        }
        Surrogate::Huber { target, width } => huber(leads - target, width)?,
    })
}

/// Configuration of [`SurrogateLoss`].
#[derive(Config, Debug, PartialEq)]
pub struct SurrogateConfig {
    /// The loss of the winner's lead.
    pub surrogate: Surrogate,
    /// What differences are divided by, finite and > 0. 1: the scores' own unit.
    #[config(default = 1.0)]
    pub temperature: f64,
}

impl SurrogateConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<SurrogateLoss> {
        let positive = |name, value: f64| check_domain(value.is_finite() && value > 0.0, name, "finite and > 0", value);
        let finite = |name, value: f64| check_domain(value.is_finite(), name, "finite", value);
        positive("temperature", self.temperature)?;
        match self.surrogate {
            Surrogate::Exponential => {}
            Surrogate::Hinge { margin } => positive("margin", margin)?,
            Surrogate::SmoothedHinge { margin, width } => {
                finite("margin", margin)?;
                positive("width", width)?;
            }
            Surrogate::Squared { target } | Surrogate::LogCosh { target } => finite("target", target)?,
            Surrogate::Huber { target, width } => {
                finite("target", target)?;
                positive("width", width)?;
            }
        }
        Ok(SurrogateLoss { config: self.clone() })
    }
}

/// A surrogate loss of pairs: `t φ(d / τ) + (1 − t) φ(−d / τ)` of a share t; see [`surrogate_losses`].
#[derive(Debug, Clone, PartialEq)]
pub struct SurrogateLoss {
    config: SurrogateConfig,
}

impl PairwiseLoss for SurrogateLoss {
    fn forward(&self, pairs: &PairScores) -> Result<Nll> {
        let (leads, targets) = (pairs.leads() * self.config.temperature.recip(), pairs.targets());
        let side = |leads, share: Tensor<1>| -> Result<Tensor<1>> {
            // A share of 0 is left out: what it multiplies may be infinite.
            let none = share.clone().equal_scalar(0.0);
            Ok(surrogate_losses(leads, self.config.surrogate)?.mask_fill(none, 0.0) * share)
        };
        pairs.nll(side(leads.clone(), targets.clone())? + side(-leads, -targets + 1.0)?)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::pairwise::testing::{close, leads, losses, tensor, values};

    const SMOOTHED: Surrogate = Surrogate::SmoothedHinge { margin: 1.0, width: 5.0 };

    fn at(surrogate: Surrogate, d: &[f64]) -> Vec<f64> {
        values(surrogate_losses(tensor(d, &Device::flex()), surrogate).unwrap())
    }

    #[test]
    fn losses_by_hand() {
        close(&at(Surrogate::Exponential, &[-(2f64.ln()), 0.0]), &[2.0, 1.0], 1e-14);
        close(&at(Surrogate::Hinge { margin: 1.5 }, &[-1.0, 1.0, 2.0]), &[2.5, 0.5, 0.0], 1e-15);
        // Beyond δ − γ = −4: δ − γ/2 − d.
        close(&at(SMOOTHED, &[2.0, 0.0, -4.0, -6.0]), &[0.0, 0.1, 2.5, 4.5], 1e-15);
        close(&at(Surrogate::Squared { target: 0.5 }, &[2.0, -1.0]), &[2.25, 2.25], 1e-15);
        close(&at(Surrogate::LogCosh { target: 1.0 }, &[1.0, 3.0]), &[0.0, 2f64.cosh().ln()], 1e-15);
        close(&at(Surrogate::LogCosh { target: 0.0 }, &[-1e4]), &[1e4 - 2f64.ln()], 1e-11);
        close(&at(Surrogate::Huber { target: 1.0, width: 2.0 }, &[2.0, 4.0, -4.0]), &[0.5, 4.0, 8.0], 1e-15);
    }

    #[test]
    fn a_share_mixes_the_losses_of_both_outcomes() {
        let hinge = SurrogateConfig::new(Surrogate::Hinge { margin: 1.0 }).with_temperature(2.0).init().unwrap();
        // d/τ = 0.5: 0.5 for the first, 1.5 for the second.
        close(&losses(&hinge, &leads(&[1.0; 3], &[1.0, 0.0, 0.25])), &[0.5, 1.5, 1.25], 1e-15);
        // In f32 the exponential of the loser's side is infinite at 1e4, and has share 0 here.
        let exponential = SurrogateConfig::new(Surrogate::Exponential).init().unwrap();
        close(&losses(&exponential, &leads(&[1e4, -1e4], &[1.0, 0.0])), &[0.0, 0.0], 0.0);
    }

    #[test]
    fn every_field_has_a_domain_and_a_default() {
        assert_eq!(SurrogateConfig::new(Surrogate::Exponential).temperature, 1.0);
        let text = |surrogate| SurrogateConfig::new(surrogate).init().unwrap_err().to_string();
        for bad in [f64::NAN, f64::INFINITY] {
            assert!(text(Surrogate::Squared { target: bad }).starts_with("`target`: expected finite, got"));
            assert!(text(Surrogate::LogCosh { target: bad }).starts_with("`target`"));
            assert!(text(Surrogate::Huber { target: bad, width: 1.0 }).starts_with("`target`"));
            assert!(text(Surrogate::SmoothedHinge { margin: bad, width: 1.0 }).starts_with("`margin`"));
        }
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(text(Surrogate::Hinge { margin: bad }).starts_with("`margin`: expected finite and > 0"));
            assert!(text(Surrogate::SmoothedHinge { margin: 1.0, width: bad }).starts_with("`width`"));
            assert!(text(Surrogate::Huber { target: 1.0, width: bad }).starts_with("`width`"));
            let error = SurrogateConfig::new(Surrogate::Exponential).with_temperature(bad).init().unwrap_err();
            assert!(error.to_string().starts_with("`temperature`"));
        }
    }
}
