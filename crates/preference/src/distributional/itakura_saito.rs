//! Itakura-Saito loss (IS): scores that are certainty equivalents of exponential utility.
//!
//! **Paper:** Risk-Averse Reinforcement Learning with Itakura-Saito Loss (2025), 2505.16925.
//! **Use when:** one score per response is to be averse to risk, or to seek it, and ratings of the same response differ.
//! **Checked by:** the minimizer against [`risk`](super::risk), finite differences, extremes; the loss itself in
//! [`accordant_ops::distribution::risk`].
//! **Deviations:** the exponential goes on as its tangent beyond 20, where the paper's loss overflows.

use accordant_ops::{check_domain, check_shape, distribution::risk::itakura_saito};
use burn::{config::Config, tensor::Tensor};

use super::{RatingModel, Ratings};
use crate::{Nll, Result};

/// Losses of scores `v` against ratings `y`, the mean over the ratings of each response.
///
/// ```text
/// e^{β(y − v)} − β (y − v) − 1
/// ```
///
/// Least at `v = (1/β) log E[e^{βy}]`: averse to risk for β < 0, seeking it for β > 0. It depends on `y − v` alone. The
/// gradient by `v` is `β (1 − e^{β(y − v)})`.
///
/// # Shapes
/// `scores`: `[n]`; `ratings`: `[n, m]`, constants; the result: `[n]`. `beta` (β) is not 0 and finite, in units of
/// 1/rating.
///
/// # Errors
/// A shape error naming `ratings`, a domain error naming `beta`, or `ratings` when a response has none.
///
/// # Example
/// ```
/// use accordant_preference::distributional::itakura_saito::itakura_saito_losses;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let (score, rating) = (Tensor::from_floats([0.5], &device), Tensor::from_floats([[0.0]], &device));
/// let loss = itakura_saito_losses(score, rating, 1.0)?.into_scalar::<f32>();
/// assert!((loss - 0.106_530_66).abs() < 1e-7); // e^{−½} − ½
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "2505.16925")]
#[doc(alias = "Risk-Averse Reinforcement Learning with Itakura-Saito Loss")]
pub fn itakura_saito_losses(scores: Tensor<1>, ratings: Tensor<2>, beta: f64) -> Result<Tensor<1>> {
    let ([n], [_, m]) = (scores.dims(), ratings.dims());
    check_shape("ratings", &[n, m], &ratings.dims())?;
    check_domain(m > 0, "ratings", "at least one of each response", m as f64)?;
    check_beta(beta)?;
    let z = (ratings.detach() - scores.unsqueeze_dim::<2>(1)) * beta;
    Ok(itakura_saito(z).mean_dim(1).squeeze_dim(1))
}

fn check_beta(beta: f64) -> Result<()> {
    Ok(check_domain(beta.is_finite() && beta != 0.0, "beta", "finite and not 0", beta)?)
}

/// Configuration of [`ItakuraSaito`].
#[derive(Config, Debug, PartialEq)]
pub struct ItakuraSaitoConfig {
    /// Attitude to risk in units of 1/rating, finite and not 0: averse below 0. No default: it means nothing without the
    /// unit of the ratings.
    pub beta: f64,
}

impl ItakuraSaitoConfig {
    /// Checks the field.
    ///
    /// # Errors
    /// A domain error naming it.
    pub fn init(&self) -> Result<ItakuraSaito> {
        check_beta(self.beta)?;
        Ok(ItakuraSaito { config: self.clone() })
    }
}

/// The Itakura-Saito loss; see [`itakura_saito_losses`]. Predictions are scores, `[n, 1]`; give `[n]` by the function.
#[derive(Debug, Clone, PartialEq)]
pub struct ItakuraSaito {
    config: ItakuraSaitoConfig,
}

impl RatingModel for ItakuraSaito {
    fn forward(&self, ratings: &Ratings) -> Result<Nll> {
        check_shape("predictions", &[ratings.len(), 1], &ratings.predictions().dims())?;
        let scores = ratings.predictions().squeeze_dim::<1>(1);
        ratings.nll(itakura_saito_losses(scores, ratings.targets(), self.config.beta)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distributional::{
        risk::Atoms,
        testing::{check_gradients, gradient, host, like, matrix, near, starts, vector},
    };

    const FIVE: [f64; 5] = [-2.0, 0.0, 1.0, 3.0, 8.0];

    fn loss(score: f64, beta: f64) -> f64 {
        host(&itakura_saito_losses(vector(&[score]), matrix(&FIVE, 5), beta).unwrap())[0]
    }

    #[test]
    fn the_minimizer_is_the_entropic_risk() {
        for beta in [0.5, -1.0, -0.2, 1.3] {
            let best = Atoms::equal(&FIVE).unwrap().entropic(beta).unwrap();
            let slope = |score: f64| {
                gradient(&[score], |v| {
                    let ratings = like(&v, &FIVE).unsqueeze_dim::<2>(0);
                    itakura_saito_losses(v, ratings, beta).unwrap()
                })[0]
            };
            assert!(slope(best).abs() < 1e-10, "{beta}: {}", slope(best));
            assert!(slope(best - 1e-3) < 0.0 && slope(best + 1e-3) > 0.0);
        }
        // The reference figure.
        let (low, high) = (loss(5.03850149 - 1e-4, 0.5), loss(5.03850149 + 1e-4, 0.5));
        assert!((low - high).abs() < 1e-10 && loss(5.03850149, 0.5) < low);
    }

    #[test]
    fn losses_by_hand_depend_on_the_difference() {
        let values = host(&itakura_saito_losses(vector(&[1.0, 7.0]), matrix(&[2.0, 8.0], 1), 1.0).unwrap());
        near(&values, &[1f64.exp() - 2.0; 2], 1e-14);
        near(
            &[loss(2.0, 0.5)],
            &[FIVE.iter().map(|y| (0.5 * (y - 2.0)).exp() - 0.5 * (y - 2.0) - 1.0).sum::<f64>() / 5.0],
            1e-14,
        );
        check_gradients(&[0.3, -2.0], |v| {
            let ratings = Tensor::stack(vec![like(&v, &[0.5, 2.0, -1.0]), like(&v, &[0.0, 1.0, -7.0])], 0);
            itakura_saito_losses(v, ratings, -0.7).unwrap()
        });
        let model = ItakuraSaitoConfig::new(1.0).init().unwrap();
        let ratings = Ratings::new(matrix(&[1.0], 1), matrix(&[2.0], 1)).unwrap();
        near(&host(&model.forward(&ratings).unwrap().losses), &[1f64.exp() - 2.0], 1e-14);
        assert!(loss(1e4, -1.0).is_finite(), "linear far out");
    }

    #[test]
    fn senseless_input_is_refused_by_name() {
        for beta in [0.0, f64::NAN, f64::INFINITY] {
            starts(ItakuraSaitoConfig::new(beta).init(), "`beta`");
            starts(itakura_saito_losses(vector(&[1.0]), matrix(&[1.0], 1), beta), "`beta`");
        }
        starts(itakura_saito_losses(vector(&[1.0]), matrix(&[1.0; 2], 1), 1.0), "`ratings`");
        let none = Tensor::zeros([1, 0], (&burn::tensor::Device::flex(), burn::tensor::DType::F64));
        starts(itakura_saito_losses(vector(&[1.0]), none, 1.0), "`ratings`");
        let wide = Ratings::new(matrix(&[1.0; 2], 2), matrix(&[1.0], 1)).unwrap();
        starts(ItakuraSaitoConfig::new(1.0).init().unwrap().forward(&wide).map(|_| ()), "`predictions`");
    }
}
