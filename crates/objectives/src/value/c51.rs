//! Categorical distributions of returns (C51).
//!
//! **Paper:** A Distributional Perspective on Reinforcement Learning (2017), 1707.06887.
//! **Use when:** a critic is to predict the whole distribution of a return with known bounds; the return of a single state
//! (a bandit's) is learned from [`C51::two_hot`] targets.
//! **Checked by:** values by hand, preserved means, finite differences.
//! **Deviations:** none. The projection is written as a sum of hat functions, which is the paper's rule without its special
//! case for returns that are atoms themselves.

use accordant_ops::{check_domain, check_shape, stable::log_sum_exp};
use burn::{
    config::Config,
    tensor::{Bool, Tensor, TensorData},
};

use super::{kept_rows, wide, widened};
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
    let targets = kept_rows(targets.detach(), &mask, dtype);
    let log_probs = log_probs(kept_rows(logits, &mask, dtype));
    // 0 · −∞ is NaN.
    let log_probs = log_probs.mask_fill(targets.clone().equal_scalar(0.0), 0.0);
    Ok(-(targets * log_probs).sum_dim(2).squeeze_dim::<2>(2))
}

fn log_probs(logits: Tensor<3>) -> Tensor<3> {
    if logits.shape().num_elements() == 0 {
        return logits; // not every backend has a maximum of nothing
    }
    logits.clone() - log_sum_exp(logits, 2)
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
        check_domain(self.v_min.is_finite(), "v_min", "finite", self.v_min)?;
        let width = self.v_max - self.v_min;
        check_domain(width.is_finite() && width > 0.0, "v_max", "finite and > v_min", self.v_max)?;
        check_domain(self.num_atoms >= 2, "num_atoms", ">= 2", self.num_atoms as f64)?;
        Ok(C51 { config: self.clone() })
    }
}

/// A distribution of returns over equidistant atoms `z_i = v_min + i Δ`, with `Δ = (v_max − v_min)/(num_atoms − 1)`.
#[derive(Debug, Clone, PartialEq)]
pub struct C51 {
    config: C51Config,
}

impl C51 {
    /// The atoms, from `v_min` to `v_max`.
    pub fn atoms(&self) -> Vec<f64> {
        (0..self.config.num_atoms).map(|i| self.config.v_min + i as f64 * self.spacing()).collect()
    }

    fn spacing(&self) -> f64 {
        (self.config.v_max - self.config.v_min) / (self.config.num_atoms - 1) as f64
    }

    /// The distributions of sure returns: all mass at the two atoms around each, in the proportion that keeps the mean.
    ///
    /// ```text
    /// m_i = max(0, 1 − |clip(x, v_min, v_max) − z_i|/Δ)
    /// ```
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
        let C51Config { v_min, v_max, num_atoms } = self.config;
        let returns = widened(returns.detach());
        let like = (&returns.device(), returns.dtype());
        let numbers = (0..num_atoms).map(|i| i as f64).collect::<Vec<_>>();
        let numbers = Tensor::<3>::from_data(TensorData::new(numbers, [1, 1, num_atoms]), like);
        // In units of Δ, bounded once more after rounding.
        let places = (returns.clamp(v_min, v_max) - v_min) * self.spacing().recip();
        let places = places.clamp(0.0, (num_atoms - 1) as f64).unsqueeze_dim::<3>(2);
        (-(places - numbers).abs() + 1.0).clamp_min(0.0)
    }

    /// The distributions of `reward + discount · next`, projected onto the atoms; those of the reward alone where `done`.
    ///
    /// The mean is preserved unless the bounds cut something off. Next distributions of what is done may hold anything.
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
        let [batch, seq] = rewards.dims();
        let shape = [batch, seq, self.config.num_atoms];
        check_shape("next_probs", &shape, &next_probs.dims())?;
        check_shape("done", &[batch, seq], &done.dims())?;
        check_domain((0.0..=1.0).contains(&discount), "discount", "in [0, 1]", discount)?;
        let last = self.two_hot(rewards.clone());
        if batch * seq == 0 {
            return Ok(last);
        }
        let rewards = widened(rewards.detach());
        let next_probs = kept_rows(next_probs.detach(), &done.clone().bool_not(), wide(rewards.dtype()));
        let onward = self.atoms().into_iter().enumerate().fold(last.zeros_like(), |sum, (j, atom)| {
            sum + self.two_hot(rewards.clone() + discount * atom) * next_probs.clone().narrow(2, j, 1)
        });
        Ok(onward.mask_where(done.unsqueeze_dim::<3>(2).expand(shape), last))
    }

    /// Means of the distributions of a critic's logits: the values. With a gradient.
    ///
    /// # Shapes
    /// `logits`: `[batch, seq, atoms]`; the result: `[batch, seq]`, in f64 for f64 and f32 otherwise.
    ///
    /// # Errors
    /// A shape error naming `logits`.
    pub fn mean(&self, logits: Tensor<3>) -> Result<Tensor<2>> {
        let [batch, seq, _] = logits.dims();
        let num_atoms = self.config.num_atoms;
        check_shape("logits", &[batch, seq, num_atoms], &logits.dims())?;
        let logits = widened(logits);
        let atoms = TensorData::new(self.atoms(), [1, 1, num_atoms]);
        let atoms = Tensor::<3>::from_data(atoms, (&logits.device(), logits.dtype()));
        Ok((log_probs(logits).exp() * atoms).sum_dim(2).squeeze_dim(2))
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
        check_shape("logits", &[batch, seq, self.config.num_atoms], &logits.dims())?;
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
    fn two_hot_targets_by_hand() {
        let got = c51().two_hot(grid(&[[0.25, 2.0, -7.0, 9.0, 2.9]]));
        let expected = [
            [0.0, 0.75, 0.25, 0.0, 0.0],
            [0.0, 0.0, 0.0, 1.0, 0.0],
            [1.0, 0.0, 0.0, 0.0, 0.0],
            [0.0, 0.0, 0.0, 0.0, 1.0],
            [0.0, 0.0, 0.0, 0.1, 0.9],
        ];
        near(&flat(&got), expected.as_flattened(), 1e-15);
        assert_eq!(c51().atoms(), [-1.0, 0.0, 1.0, 2.0, 3.0]);
        let fine = C51Config::new(0.5, 1.5).with_num_atoms(3).init().unwrap();
        assert_eq!(fine.atoms(), [0.5, 1.0, 1.5]);
        near(&flat(&fine.two_hot(grid(&[[0.625, 1.25]]))), &[0.75, 0.25, 0.0, 0.0, 0.5, 0.5], 1e-15);
        // 0.7 · (1 / (0.7 / 3)) is more than 3.
        let odd = C51Config::new(0.0, 0.7).with_num_atoms(4).init().unwrap();
        assert_eq!(flat(&odd.two_hot(grid(&[[0.7, 5.0]]))), [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
        assert!(flat(&c51().two_hot(grid(&[[JUNK]])))[0].is_nan());
    }

    #[test]
    fn projections_by_hand_keep_mass_and_mean() {
        let next = [[0.1, 0.2, 0.4, 0.3, 0.0], [0.0, 0.5, 0.5, 0.0, 0.0], [JUNK; 5], [0.0, 0.0, 0.0, 0.0, 1.0]];
        let rewards = grid(&[[0.25, 0.5, 1.25, 2.0]]);
        let done = keep(&[[0, 0, 1, 0]]);
        let got = c51().project(rewards.clone(), rows(&next), done.clone(), 0.5).unwrap();
        let expected = [
            // Atoms go to −0.25, 0.25, 0.75, 1.25, 1.75.
            [0.025, 0.075 + 0.15 + 0.1, 0.05 + 0.3 + 0.225, 0.075, 0.0],
            // 0 goes to 0.5 and 1 to 1, an atom.
            [0.0, 0.25, 0.25 + 0.5, 0.0, 0.0],
            [0.0, 0.0, 0.75, 0.25, 0.0],
            // 3 goes to 3.5 and is cut off.
            [0.0, 0.0, 0.0, 0.0, 1.0],
        ];
        near(&flat(&got), expected.as_flattened(), 1e-15);
        let mean: f64 = expected[0].iter().zip(c51().atoms()).map(|(p, z)| p * z).sum();
        assert!((mean - (0.25 + 0.5 * (-0.1 + 0.4 + 0.6))).abs() < 1e-15);
        let myopic = c51().project(rewards.clone(), rows(&[next[0]; 4]), keep(&[[0; 4]]), 0.0).unwrap();
        near(&flat(&myopic), &flat(&c51().two_hot(rewards)), 1e-15);
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
