//! Categorical rating model (C51): the distribution of a rating over equidistant atoms.
//!
//! **Paper:** A Distributional Perspective on Reinforcement Learning (2017), 1707.06887.
//! **Use when:** ratings have known bounds, and the whole distribution of a response's is wanted; any shape of it.
//! **Checked by:** the published projection, hand-worked losses, finite differences; projection and cross-entropy in
//! [`accordant_ops::distribution::categorical`].
//! **Deviations:** ratings take the place of returns, so nothing is discounted.

use accordant_ops::{
    check_shape,
    distribution::categorical::{Support, cross_entropies},
};
use burn::{config::Config, tensor::Tensor};

use super::{RatingModel, Ratings};
use crate::{Nll, Result};

/// Configuration of [`C51`].
#[derive(Config, Debug, PartialEq)]
pub struct C51Config {
    /// The smallest atom, finite, in units of the ratings; lower ratings count as this one. −10: the paper's.
    #[config(default = -10.0)]
    pub v_min: f64,
    /// The largest one, finite and > `v_min`. 10: the paper's.
    #[config(default = 10.0)]
    pub v_max: f64,
    /// The number of atoms, ≥ 2. 51: the paper's.
    #[config(default = 51)]
    pub num_atoms: usize,
}

impl C51Config {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::distributional::c51::C51Config;
    /// use burn::tensor::{Device, Tensor};
    /// let model = C51Config::new().with_v_min(0.0).with_v_max(4.0).with_num_atoms(5).init()?;
    /// // One rating of 1 and one of 3.5: half of the mass at 1, a quarter each at 3 and 4.
    /// let targets = model.targets(Tensor::from_floats([[1.0, 3.5]], &Device::flex()))?;
    /// assert_eq!(targets.try_to_vec_as::<f32>().unwrap(), [0.0, 0.5, 0.0, 0.25, 0.25]);
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn init(&self) -> Result<C51> {
        Ok(C51 { support: Support::new(self.v_min, self.v_max, self.num_atoms)? })
    }
}

/// A categorical model of ratings.
#[derive(Debug, Clone, PartialEq)]
pub struct C51 {
    support: Support,
}

impl C51 {
    /// The atoms.
    pub fn atoms(&self) -> Vec<f64> {
        self.support.atoms()
    }

    /// The distribution of each response's ratings over the atoms: the mean of their projections, which keeps their mean
    /// unless a bound cuts something off.
    ///
    /// # Shapes
    /// `ratings`: `[n, m]`; the result: `[n, atoms]`, a constant.
    ///
    /// # Errors
    /// A domain error naming `targets` when a response has no rating.
    pub fn targets(&self, ratings: Tensor<2>) -> Result<Tensor<2>> {
        let [_, m] = ratings.dims();
        accordant_ops::check_domain(m > 0, "targets", "at least one of each response", m as f64)?;
        Ok(self.support.two_hot(ratings.unsqueeze_dim::<3>(2))?.mean_dim(1).squeeze_dim(1))
    }

    /// Means of the predicted distributions.
    ///
    /// # Shapes
    /// `logits`: `[n, atoms]`; the result: `[n]`, with a gradient.
    ///
    /// # Errors
    /// A shape error naming `logits`.
    pub fn expectations(&self, logits: Tensor<2>) -> Result<Tensor<1>> {
        Ok(self.support.mean(logits)?.squeeze_dim(1))
    }
}

impl RatingModel for C51 {
    /// Predictions are logits `[n, atoms]`, targets ratings `[n, m]`; the loss is the cross-entropy in nats.
    fn forward(&self, ratings: &Ratings) -> Result<Nll> {
        let logits = ratings.predictions();
        check_shape("predictions", &[ratings.len(), self.support.num_atoms()], &logits.dims())?;
        let losses = cross_entropies(logits, self.targets(ratings.targets())?)?;
        ratings.nll(losses.squeeze_dim(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distributional::testing::{check_gradients, host, like, matrix, near, starts};

    fn model() -> C51 {
        C51Config::new().with_v_min(0.0).with_v_max(4.0).with_num_atoms(5).init().unwrap()
    }

    #[test]
    fn the_published_projection() {
        let targets = host(&model().targets(matrix(&[0.5, 1.0, 3.25, 6.0], 4)).unwrap());
        near(&targets, &[0.125, 0.375, 0.0, 0.1875, 0.3125], 1e-15);
        let mean: f64 = targets.iter().zip(model().atoms()).map(|(p, z)| p * z).sum();
        assert!((mean - 2.1875).abs() < 1e-15); // 6 was cut off at 4
    }

    #[test]
    fn losses_by_hand() {
        // Probabilities 1/8, 1/8, 1/2, 1/8, 1/8.
        let logits = matrix(&[0.0, 0.0, 4f64.ln(), 0.0, 0.0], 5);
        let batch = Ratings::new(logits.clone(), matrix(&[1.5, 2.0], 2)).unwrap();
        let nll = model().forward(&batch).unwrap();
        near(&host(&nll.losses), &[0.25 * 8f64.ln() + 0.75 * 2f64.ln()], 1e-14);
        near(&host(&model().expectations(logits).unwrap()), &[2.0], 1e-14);
        check_gradients(&[0.3, -1.0, 0.4, 2.0, 0.1], |x| {
            let ratings = like(&x, &[0.7, 9.0]).unsqueeze_dim::<2>(0);
            model().forward(&Ratings::new(x.unsqueeze_dim(0), ratings).unwrap()).unwrap().losses
        });
    }

    #[test]
    fn settings_and_shapes_are_checked() {
        let defaults = C51Config::new();
        assert_eq!((defaults.v_min, defaults.v_max, defaults.num_atoms), (-10.0, 10.0, 51));
        starts(C51Config::new().with_v_min(f64::NAN).init(), "`v_min`");
        starts(C51Config::new().with_v_max(-10.0).init(), "`v_max`");
        starts(C51Config::new().with_num_atoms(1).init(), "`num_atoms`");
        let narrow = Ratings::new(matrix(&[0.0; 4], 4), matrix(&[1.0], 1)).unwrap();
        starts(model().forward(&narrow).map(|_| ()), "`predictions`: expected shape [1, 5]");
        starts(model().expectations(matrix(&[0.0; 4], 4)), "`logits`");
        let none = Tensor::zeros([1, 0], (&burn::tensor::Device::flex(), burn::tensor::DType::F64));
        starts(model().targets(none), "`targets`");
    }
}
