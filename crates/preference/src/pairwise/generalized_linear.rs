//! Generalized linear links: the chance of winning as any symmetric function of the difference.
//!
//! **Paper:** links as in Is RLHF More Difficult than Standard RL? (2023), 2306.14111.
//! **Use when:** the logistic function is in doubt: probit for normal noise, Cauchit for labels with blunders, uniform for a
//! bounded margin.
//! **Checked by:** hand-worked values, laws, [`crate::link`], the symmetry of every link.
//! **Deviations:** none.

use accordant_ops::{
    check_domain,
    stable::{log_normal_cdf, log_sigmoid, log1p},
};
use burn::{config::Config, tensor::Tensor};

use super::{Outcomes, PairScores, PairwiseLoss, PairwiseModel};
use crate::{Error, Nll, Result};

/// The chance that the first of two wins whose scores differ by z: increasing, and `F(z) + F(−z) = 1`.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum LinkFunction {
    /// `σ(z)`: Bradley-Terry.
    Logit,
    /// `Φ(z)`: Thurstone's case V.
    Probit,
    /// `½ + atan(z)/π`: tails so heavy that a blunder costs little.
    Cauchit,
    /// `(1 + z)/2`, from 0 at −1 to 1 at 1.
    Uniform,
}

impl LinkFunction {
    /// `log F(z)`.
    ///
    /// −∞ for [`LinkFunction::Uniform`] at z ≤ −1, with gradient 0; finite for every other finite z.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::pairwise::generalized_linear::LinkFunction;
    /// use burn::tensor::{Device, Tensor};
    /// let one = || Tensor::<1>::from_floats([1.0], &Device::flex());
    /// let chance = |link: LinkFunction| link.log(one()).exp().into_scalar::<f32>();
    /// assert!((chance(LinkFunction::Cauchit) - 0.75).abs() < 1e-6);
    /// assert_eq!(chance(LinkFunction::Uniform), 1.0);
    /// ```
    pub fn log(self, z: Tensor<1>) -> Tensor<1> {
        match self {
            Self::Logit => log_sigmoid(z),
            Self::Probit => log_normal_cdf(z),
            Self::Cauchit => log_cauchy_cdf(z),
            Self::Uniform => {
                let chance = (z + 1.0).mul_scalar(0.5).clamp(0.0, 1.0);
                let none = chance.clone().equal_scalar(0.0);
                chance.mask_fill(none.clone(), 1.0).log().mask_fill(none, f32::NEG_INFINITY)
            }
        }
    }
}

/// `log(½ + atan(z)/π)`: below 0 by the angle from the other axis, `atan(−1/z)/π`, which is small and exact.
fn log_cauchy_cdf(z: Tensor<1>) -> Tensor<1> {
    let low = z.clone().lower_scalar(-1.0);
    let tail =
        (z.clone().mask_fill(low.clone().bool_not(), -1.0).neg().recip().atan() * std::f64::consts::FRAC_1_PI).log();
    // Above −1 the smaller chance is that of losing.
    let high = z.clone().greater_scalar(1.0);
    let lost = z.clone().mask_fill(high.clone().bool_not(), 1.0).recip().atan() * -std::f64::consts::FRAC_1_PI;
    let middle = z.mask_fill(low.clone().bool_or(high.clone()), 0.0).atan() * std::f64::consts::FRAC_1_PI;
    (middle + 0.5).log().mask_where(high, log1p(lost)).mask_where(low, tail)
}

/// Configuration of [`GeneralizedLinear`].
#[derive(Config, Debug, PartialEq)]
pub struct GeneralizedLinearConfig {
    /// The chance of winning.
    pub link: LinkFunction,
    /// What differences are divided by, finite and > 0. 1: the link's own unit.
    #[config(default = 1.0)]
    pub temperature: f64,
}

impl GeneralizedLinearConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<GeneralizedLinear> {
        let temperature = self.temperature;
        check_domain(temperature.is_finite() && temperature > 0.0, "temperature", "finite and > 0", temperature)?;
        Ok(GeneralizedLinear { config: self.clone() })
    }
}

/// A model of pairs by a [`LinkFunction`]: `P(first) = F(d / τ)`.
///
/// Losses are cross-entropies. Under [`LinkFunction::Uniform`] what was said may have probability 0: then
/// [`PairwiseLoss::forward`], which reads the device to see it, is an error.
///
/// # Example
/// ```
/// use accordant_preference::pairwise::{PairScores, PairwiseLoss, generalized_linear::{GeneralizedLinearConfig, LinkFunction}};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let pairs = PairScores::new(Tensor::from_floats([0.0], &device), Tensor::from_floats([2.0], &device))?;
/// let probit = GeneralizedLinearConfig::new(LinkFunction::Probit).init()?;
/// let loss = probit.forward(&pairs)?.losses.into_scalar::<f32>();
/// assert!((loss - 3.783_184).abs() < 1e-5); // −log Φ(−2)
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "2306.14111")]
#[doc(alias = "probit")]
#[doc(alias = "cauchit")]
#[derive(Debug, Clone, PartialEq)]
pub struct GeneralizedLinear {
    config: GeneralizedLinearConfig,
}

impl PairwiseLoss for GeneralizedLinear {
    /// # Errors
    /// [`Error::Record`] naming a pair of weight > 0 whose label has probability 0.
    fn forward(&self, pairs: &PairScores) -> Result<Nll> {
        let losses = self.outcomes(pairs)?.losses(pairs);
        if self.config.link == LinkFunction::Uniform {
            let read =
                |tensor: Tensor<1>| tensor.try_to_vec_as::<f64>().expect("the device returns what it has computed");
            let (lost, weights) = (read(losses.clone()), read(pairs.weights()));
            if let Some(row) = (0..lost.len()).find(|row| lost[*row] == f64::INFINITY && weights[*row] > 0.0) {
                let got = read(pairs.leads())[row] / self.config.temperature;
                return Err(Error::Record { row, name: "scores", expected: "a label of probability > 0", got });
            }
        }
        pairs.nll(losses)
    }
}

impl PairwiseModel for GeneralizedLinear {
    fn outcomes(&self, pairs: &PairScores) -> Result<Outcomes> {
        let z = pairs.leads() * self.config.temperature.recip();
        Ok(Outcomes { first: self.config.link.log(z.clone()), tie: None, second: self.config.link.log(-z) })
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::{
        link::{self, Link},
        pairwise::{
            bradley_terry::BradleyTerryConfig,
            testing::{close, leads, losses, tensor, values},
        },
    };

    const ALL: [LinkFunction; 4] =
        [LinkFunction::Logit, LinkFunction::Probit, LinkFunction::Cauchit, LinkFunction::Uniform];

    fn model(link: LinkFunction) -> GeneralizedLinear {
        GeneralizedLinearConfig::new(link).init().unwrap()
    }

    fn chances(link: LinkFunction, z: &[f64]) -> Vec<f64> {
        values(link.log(tensor(z, &Device::flex())).exp())
    }

    #[test]
    fn chances_by_hand() {
        close(&chances(LinkFunction::Logit, &[3f64.ln()]), &[0.75], 1e-15);
        close(&chances(LinkFunction::Probit, &[1.0, -1.0]), &[0.8413447460685429, 0.15865525393145707], 1e-15);
        let root = 3f64.sqrt(); // an angle of π/3
        let expected = [0.75, 0.25, 5.0 / 6.0, 1.0 / 6.0, 0.5];
        close(&chances(LinkFunction::Cauchit, &[1.0, -1.0, root, -root, 0.0]), &expected, 1e-15);
        close(&chances(LinkFunction::Uniform, &[0.5, -0.5, 1.0, 7.0, -1.0]), &[0.75, 0.25, 1.0, 1.0, 0.0], 1e-15);
    }

    #[test]
    fn published_links_of_one() {
        // Those of distributional preference learning: Φ(1), Φ by √(2π) and by 1.702 in a logistic function.
        close(&chances(LinkFunction::Probit, &[1.0]), &[0.84134475], 1e-8);
        let scaled = |factor: f64| chances(LinkFunction::Logit, &[factor])[0];
        close(&[scaled((2.0 * std::f64::consts::PI).sqrt()), scaled(1.702)], &[0.92460518, 0.84579577], 1e-8);
    }

    #[test]
    fn every_link_is_symmetric() {
        let z = [-30.0, -1.5, -1.0, -0.3, 0.0, 0.9, 1.0, 4.0];
        for link in ALL {
            let total: Vec<f64> =
                chances(link, &z).iter().zip(chances(link, &z.map(|z| -z))).map(|(there, back)| there + back).collect();
            close(&total, &[1.0; 8], 1e-14);
        }
    }

    #[test]
    fn cauchit_tails_keep_their_digits() {
        // P ≈ 1/(π |z|) far below; log P ≈ −1/(π z) far above.
        let logs = values(LinkFunction::Cauchit.log(tensor(&[-1e8, 1e8], &Device::flex())));
        let tail = 1.0 / (1e8 * std::f64::consts::PI);
        assert!((logs[0] / tail.ln() - 1.0).abs() < 1e-15 && (logs[1] / -tail - 1.0).abs() < 1e-8, "{logs:?}");
    }

    #[test]
    fn the_tensor_face_is_the_link_of_the_tables() {
        let d = [-40.0, -3.0, 0.0, 0.7, 8.0];
        let pairs = leads(&d, &[1.0; 5]);
        for (ours, host) in [(LinkFunction::Logit, &link::Logit as &dyn Link), (LinkFunction::Probit, &link::Probit)] {
            close(&losses(&model(ours), &pairs), &d.map(|d| -host.first(d, 0.0).value), 1e-11);
        }
    }

    #[test]
    fn a_temperature_divides_differences() {
        for link in ALL {
            let half = GeneralizedLinearConfig::new(link).with_temperature(4.0).init().unwrap();
            let (soft, plain) = (losses(&half, &leads(&[2.0], &[0.6])), losses(&model(link), &leads(&[0.5], &[0.6])));
            close(&soft, &plain, 1e-15);
        }
        let pairs = leads(&[0.8, -3.0], &[1.0, 0.2]);
        let plain = losses(&BradleyTerryConfig::new().init().unwrap(), &pairs);
        close(&losses(&model(LinkFunction::Logit), &pairs), &plain, 1e-14);
    }

    #[test]
    fn a_label_of_probability_0_is_an_error_that_names_the_pair() {
        let uniform = model(LinkFunction::Uniform);
        let error = uniform.forward(&leads(&[0.5, -1.5], &[1.0, 1.0])).unwrap_err().to_string();
        assert_eq!(error, "record 1: `scores`: expected a label of probability > 0, got -1.5");
        close(&losses(&uniform, &leads(&[-1.5, 0.5], &[0.0, 1.0])), &[0.0, -(0.75f64.ln())], 1e-15);
        let wide = GeneralizedLinearConfig::new(LinkFunction::Uniform).with_temperature(2.0).init().unwrap();
        let error = wide.forward(&leads(&[-3.0], &[1.0])).unwrap_err().to_string();
        assert_eq!(error, "record 0: `scores`: expected a label of probability > 0, got -1.5");
        let unweighted = leads(&[-1.5], &[1.0]).with_weights(tensor(&[0.0], &Device::flex())).unwrap();
        uniform.forward(&unweighted).unwrap();
    }

    #[test]
    fn every_field_has_a_domain_and_a_default() {
        assert_eq!(GeneralizedLinearConfig::new(LinkFunction::Probit).temperature, 1.0);
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let error = GeneralizedLinearConfig::new(LinkFunction::Logit).with_temperature(bad).init().unwrap_err();
            assert_eq!(error.to_string(), format!("`temperature`: expected finite and > 0, got {bad}"));
        }
    }
}
