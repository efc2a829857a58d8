//! Categorical distributions of returns (C51).
//!
//! **Paper:** A Distributional Perspective on Reinforcement Learning (2017), 1707.06887.
//! **Use when:** a critic is to predict the whole distribution of a return with known bounds; the return of a single state
//! (a bandit's) is learned from [`C51::two_hot`] targets.
//! **Checked by:** values by hand, preserved means, finite differences.
//! **Deviations:** none. The projection ([`Support`]) is written as a sum of hat functions, which is the paper's rule without
//! its special case for returns that are atoms themselves.

use accordant_ops::{
    check_shape,
    distribution::categorical::{Support, cross_entropies},
};
use burn::{
    config::Config,
    tensor::{Bool, Tensor},
};

use super::{kept_rows, wide};
use crate::Result;

/// Cross-entropies between target distributions and those of a critic's logits, in nats.
///
/// ```text
/// −Σ_i m_i log softmax(logits)_i
/// ```
///
/// The targets `m` are constants, ≥ 0 with sum 1 ([`C51::two_hot`], [`C51::project`]). The gradient with respect to the
/// logits is `softmax(logits) − m`. Atoms of target probability 0 add nothing, even where the logit is −∞.
///
/// # Shapes
/// `logits` and `targets`: `[batch, seq, atoms]`; `mask`: `[batch, seq]`, and so is the result.
///
/// # Errors
/// A shape error naming `targets` or `mask`.
///
/// # Example
/// ```
/// use accordant_objectives::value::c51::categorical_losses;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let logits = Tensor::from_floats([[[0.0, 3f32.ln()]]], &device); // probabilities 1/4 and 3/4
/// let targets = Tensor::from_floats([[[1.0, 0.0]]], &device);
/// let loss = categorical_losses(logits, targets, Tensor::from_bool([[true]], &device))?.into_scalar::<f32>();
/// assert!((loss - 4f32.ln()).abs() < 1e-6);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "1707.06887")]
#[doc(alias = "A Distributional Perspective on Reinforcement Learning")]
#[doc(alias = "cross entropy")]
pub fn categorical_losses(logits: Tensor<3>, targets: Tensor<3>, mask: Tensor<2, Bool>) -> Result<Tensor<2>> {
    let [batch, seq, _] = logits.dims();
    check_shape("targets", &logits.dims(), &targets.dims())?;
    check_shape("mask", &[batch, seq], &mask.dims())?;
    let dtype = wide(logits.dtype());
    let targets = kept_rows(targets, &mask, dtype);
    Ok(cross_entropies(kept_rows(logits, &mask, dtype), targets)?.squeeze_dim(2))
}

/// Configuration of [`C51`].
#[derive(Config, Debug, PartialEq)]
pub struct C51Config {
    /// The smallest return that has an atom, finite, in the unit of the returns; smaller ones count as this one.
    pub v_min: f64,
    /// The largest one, finite and > `v_min`.
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
    pub fn init(&self) -> Result<C51> {
        Ok(C51 { support: Support::new(self.v_min, self.v_max, self.num_atoms)? })
    }
}

/// A distribution of returns over the equidistant atoms of a [`Support`].
#[derive(Debug, Clone, PartialEq)]
pub struct C51 {
    support: Support,
}

impl C51 {
    /// The atoms, from `v_min` to `v_max`.
    pub fn atoms(&self) -> Vec<f64> {
        self.support.atoms()
    }

    /// The distributions of sure returns: [`Support::two_hot`].
    ///
    /// # Shapes
    /// `returns`: `[batch, seq]`; the result: `[batch, seq, atoms]`, in f64 for f64 and f32 otherwise, detached. A NaN
    /// gives NaN.
    ///
    /// # Example
    /// ```
    /// use accordant_objectives::value::c51::C51Config;
    /// use burn::tensor::{Device, Tensor};
    /// let c51 = C51Config::new(0.0, 2.0).with_num_atoms(3).init()?;
    /// let targets = c51.two_hot(Tensor::from_floats([[0.25]], &Device::flex()));
    /// assert_eq!(targets.try_to_vec_as::<f32>().unwrap(), [0.75, 0.25, 0.0]);
    /// # Ok::<(), accordant_objectives::Error>(())
    /// ```
    #[doc(alias = "two-hot")]
    pub fn two_hot(&self, returns: Tensor<2>) -> Tensor<3> {
        self.support.two_hot(returns.unsqueeze_dim::<3>(2)).expect("the last dimension has length 1")
    }

    /// The distributions of `reward + discount · next`, projected onto the atoms; those of the reward alone where `done`.
    /// See [`Support::project`].
    ///
    /// # Shapes
    /// `rewards` and `done`: `[batch, seq]`; `next_probs`: `[batch, seq, atoms]`, ≥ 0 with sum 1. The result: the same, in
    /// f64 for f64 rewards and f32 otherwise, detached. `discount` lies in `[0, 1]`. Memory: a few times the result.
    ///
    /// # Errors
    /// A shape error naming `next_probs` or `done`; a domain error naming `discount`.
    pub fn project(
        &self,
        rewards: Tensor<2>,
        next_probs: Tensor<3>,
        done: Tensor<2, Bool>,
        discount: f64,
    ) -> Result<Tensor<3>> {
        check_shape("done", &rewards.dims(), &done.dims())?;
        let (rewards, done) = (rewards.unsqueeze_dim::<3>(2), done.unsqueeze_dim::<3>(2));
        Ok(self.support.project(rewards, next_probs, done, discount)?)
    }

    /// Means of the distributions of a critic's logits: the values. With a gradient.
    ///
    /// # Shapes
    /// `logits`: `[batch, seq, atoms]`; the result: `[batch, seq]`, in f64 for f64 and f32 otherwise.
    ///
    /// # Errors
    /// A shape error naming `logits`.
    pub fn mean(&self, logits: Tensor<3>) -> Result<Tensor<2>> {
        Ok(self.support.mean(logits)?.squeeze_dim(2))
    }

    /// Losses of a critic's logits against sure returns: [`categorical_losses`] with [`C51::two_hot`] targets.
    ///
    /// # Shapes
    /// `logits`: `[batch, seq, atoms]`; `returns` and `mask`: `[batch, seq]`, and so is the result.
    ///
    /// # Errors
    /// A shape error naming `returns`, `logits` or `mask`.
    pub fn losses(&self, logits: Tensor<3>, returns: Tensor<2>, mask: Tensor<2, Bool>) -> Result<Tensor<2>> {
        let [batch, seq, _] = logits.dims();
        check_shape("logits", &[batch, seq, self.support.num_atoms()], &logits.dims())?;
        check_shape("returns", &[batch, seq], &returns.dims())?;
        categorical_losses(logits, self.two_hot(returns), mask)
    }
}

#[cfg(test)]
mod tests {
    use accordant_laws::gradient::central;
    use burn::tensor::{DType, Device};

    use super::*;
    use crate::{
        advantage::scan::tests::{grid, keep, near},
        value::tests::flat,
    };

    const JUNK: f64 = f64::NAN;

    /// Atoms −1, 0, 1, 2, 3.
    fn c51() -> C51 {
        C51Config::new(-1.0, 3.0).with_num_atoms(5).init().unwrap()
    }

    /// One row.
    fn rows<const N: usize>(rows: &[[f64; N]]) -> Tensor<3> {
        grid(rows).unsqueeze_dim(0)
    }

    #[test]
    fn positions_of_a_batch_are_projected_one_by_one() {
        let got = c51().two_hot(grid(&[[0.25, -7.0], [2.9, 2.0]]));
        let expected = [
            [0.0, 0.75, 0.25, 0.0, 0.0],
            [1.0, 0.0, 0.0, 0.0, 0.0],
            [0.0, 0.0, 0.0, 0.1, 0.9],
            [0.0, 0.0, 0.0, 1.0, 0.0],
        ];
        near(&flat(&got), expected.as_flattened(), 1e-15);
        assert_eq!((got.dims(), c51().atoms()), ([2, 2, 5], vec![-1.0, 0.0, 1.0, 2.0, 3.0]));
        // Atoms go to −0.25, 0.25, 0.75, 1.25, 1.75; what is done may hold anything.
        let next = rows(&[[0.1, 0.2, 0.4, 0.3, 0.0], [JUNK; 5]]);
        let got = c51().project(grid(&[[0.25, 1.25]]), next, keep(&[[0, 1]]), 0.5).unwrap();
        let expected = [[0.025, 0.325, 0.575, 0.075, 0.0], [0.0, 0.0, 0.75, 0.25, 0.0]];
        near(&flat(&got), expected.as_flattened(), 1e-15);
    }

    #[test]
    fn losses_and_means_by_hand() {
        let logits = rows(&[[0.0, 2f64.ln(), 0.0, f64::NEG_INFINITY, 0.0], [JUNK; 5]]);
        let mask = keep(&[[1, 0]]);
        // Probabilities 1/5, 2/5, 1/5, 0, 1/5; three quarters at 0, one at 1.
        let losses = c51().losses(logits.clone(), grid(&[[0.25, JUNK]]), mask).unwrap();
        near(&flat(&losses), &[0.75 * 2.5f64.ln() + 0.25 * 5f64.ln(), 0.0], 1e-15);
        let means = flat(&c51().mean(logits).unwrap());
        assert!((means[0] - 0.6).abs() < 1e-15 && means[1].is_nan());
    }

    #[test]
    fn gradients_are_probabilities_less_targets_and_nothing_leaks() {
        let device = Device::flex().autodiff();
        let logits = [[[0.3, -1.2, 0.8, 0.0, 2.0], [JUNK; 5], [1e4, -1e4, 0.0, 0.0, 0.0]]];
        let leaf = |rows: [[[f64; 5]; 3]; 1]| Tensor::<3>::from_data(rows, (&device, DType::F64)).require_grad();
        let (x, returns) = (leaf(logits), Tensor::<2>::from_data([[0.6, JUNK, 0.5]], (&device, DType::F64)));
        let returns = returns.require_grad();
        let mask = Tensor::from_bool([[true, false, true]], &device);
        let losses = c51().losses(x.clone(), returns.clone(), mask).unwrap();
        assert!(flat(&losses).iter().all(|loss| loss.is_finite()));
        let grads = losses.sum().backward();
        assert!(returns.grad(&grads).is_none());
        let grad = flat(&x.grad(&grads).unwrap());
        let total: f64 = logits[0][0].iter().map(|x: &f64| x.exp()).sum();
        let target = [0.0, 0.4, 0.6, 0.0, 0.0];
        let expected: Vec<f64> = logits[0][0].iter().zip(target).map(|(x, m)| x.exp() / total - m).collect();
        near(&grad[..5], &expected, 1e-15);
        near(&grad[5..10], &[0.0; 5], 0.0);
        near(&grad[10..], &[1.0, -0.5, -0.5, 0.0, 0.0], 1e-15);
        // The mean's gradient, by finite differences.
        let x = leaf([[logits[0][0]; 3]]);
        let grad = flat(&x.grad(&c51().mean(x.clone()).unwrap().sum().backward()).unwrap());
        for (at, grad) in grad[..5].iter().enumerate() {
            let mean = |value: f64| {
                let mut moved = logits[0][0];
                moved[at] = value;
                flat(&c51().mean(rows(&[moved])).unwrap())[0]
            };
            assert!((grad - central(mean, logits[0][0][at], 1e-5)).abs() < 1e-9);
        }
    }

    #[test]
    fn dtypes_are_wide_and_nothing_gives_nothing() {
        let half = |tensor: Tensor<3>| tensor.cast(DType::F16);
        let returns = grid(&[[0.5]]);
        let loss = c51().losses(half(rows(&[[0.0; 5]])), returns.clone(), keep(&[[1]])).unwrap();
        assert_eq!(loss.dtype(), DType::F32);
        near(&flat(&loss), &[5f64.ln()], 1e-6);
        assert_eq!(c51().mean(half(rows(&[[0.0; 5]]))).unwrap().dtype(), DType::F32);
        let next = half(rows(&[[0.0, 0.0, 1.0, 0.0, 0.0]]));
        let projected = c51().project(returns.clone().cast(DType::F16), next, keep(&[[0]]), 1.0).unwrap();
        assert_eq!((projected.dtype(), flat(&projected)), (DType::F32, vec![0.0, 0.0, 0.5, 0.5, 0.0]));
        for [batch, seq] in [[0, 2], [2, 0]] {
            let none = || Tensor::<2>::zeros([batch, seq], (&Device::flex(), DType::F64));
            let logits = || Tensor::<3>::zeros([batch, seq, 5], (&Device::flex(), DType::F64));
            let mask = || none().equal_scalar(1.0);
            assert_eq!(c51().two_hot(none()).dims(), [batch, seq, 5]);
            assert_eq!(c51().project(none(), logits(), mask(), 1.0).unwrap().dims(), [batch, seq, 5]);
            assert_eq!(c51().losses(logits(), none(), mask()).unwrap().dims(), [batch, seq]);
            assert_eq!(c51().mean(logits()).unwrap().dims(), [batch, seq]);
        }
        let empty = Tensor::<3>::zeros([1, 2, 0], (&Device::flex(), DType::F64));
        assert_eq!(flat(&categorical_losses(empty.clone(), empty, keep(&[[1, 1]])).unwrap()), [0.0; 2]);
    }

    #[test]
    fn senseless_input_is_refused_by_name() {
        assert_eq!(C51Config::new(0.0, 1.0).num_atoms, 51);
        for (config, name) in [
            (C51Config::new(JUNK, 1.0), "`v_min`"),
            (C51Config::new(f64::NEG_INFINITY, 1.0), "`v_min`"),
            (C51Config::new(1.0, 1.0), "`v_max`"),
            (C51Config::new(1.0, JUNK), "`v_max`"),
            (C51Config::new(1.0, f64::INFINITY), "`v_max`"),
            (C51Config::new(0.0, 1.0).with_num_atoms(1), "`num_atoms`"),
        ] {
            assert!(config.init().unwrap_err().to_string().starts_with(name));
        }
        C51Config::new(0.0, 1.0).with_num_atoms(2).init().unwrap();
        let (one, logits, mask) = (|| grid(&[[0.0]]), || rows(&[[0.0; 5]]), || keep(&[[1]]));
        let starts = |error: crate::Error, name| assert!(error.to_string().starts_with(name), "{error}");
        starts(categorical_losses(logits(), rows(&[[0.0; 4]]), mask()).unwrap_err(), "`targets`");
        starts(categorical_losses(logits(), logits(), keep(&[[1, 1]])).unwrap_err(), "`mask`");
        starts(c51().losses(rows(&[[0.0; 4]]), one(), mask()).unwrap_err(), "`logits`");
        starts(c51().losses(logits(), grid(&[[0.0; 2]]), mask()).unwrap_err(), "`returns`");
        starts(c51().mean(rows(&[[0.0; 4]])).unwrap_err(), "`logits`");
        starts(c51().project(one(), rows(&[[0.0; 4]]), mask(), 1.0).unwrap_err(), "`next_probs`");
        starts(c51().project(one(), logits(), keep(&[[1, 1]]), 1.0).unwrap_err(), "`done`");
        for discount in [-0.1, 1.1, JUNK] {
            starts(c51().project(one(), logits(), mask(), discount).unwrap_err(), "`discount`");
        }
    }
}
