//! Distributions over equidistant atoms, and cross-entropies with them.
//!
//! **Paper:** A Distributional Perspective on Reinforcement Learning (2017), 1707.06887.

use burn::tensor::{Bool, Tensor};

use super::{along_last, widened, with_last};
use crate::{Result, check_domain, check_shape, stable::log_sum_exp};

/// `log softmax` along the last dimension, in nats.
///
/// # Shapes
/// `[.., k]`, as is the result, in f64 for f64 and f32 otherwise. A row of −∞ gives NaN.
///
/// # Example
/// ```
/// use accordant_ops::distribution::categorical::log_probs;
/// use burn::tensor::{Device, Tensor};
/// let logits = Tensor::<1>::from_floats([0.0, 3f32.ln()], &Device::flex());
/// let probs = log_probs(logits).exp().try_to_vec_as::<f32>().unwrap();
/// assert!((probs[0] - 0.25).abs() < 1e-6 && (probs[1] - 0.75).abs() < 1e-6);
/// ```
pub fn log_probs<const D: usize>(logits: Tensor<D>) -> Tensor<D> {
    if logits.shape().num_elements() == 0 {
        return widened(logits); // not every backend has a maximum of nothing
    }
    let logits = widened(logits);
    logits.clone() - log_sum_exp(logits, D - 1)
}

/// Cross-entropies between target distributions and those of logits, in nats.
///
/// ```text
/// −Σ_i m_i log softmax(logits)_i
/// ```
///
/// The targets `m` are constants, ≥ 0 with sum 1 ([`Support::two_hot`], [`Support::project`]). The gradient with respect to
/// the logits is `softmax(logits) − m`. Atoms of target probability 0 add nothing, even where the logit is −∞.
///
/// # Shapes
/// `logits` and `targets`: `[.., k]`; the result: `[.., 1]`, in f64 for f64 logits and f32 otherwise.
///
/// # Errors
/// A shape error naming `targets`.
///
/// # Example
/// ```
/// use accordant_ops::distribution::categorical::cross_entropies;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let logits = Tensor::<2>::from_floats([[0.0, 3f32.ln()]], &device); // probabilities 1/4 and 3/4
/// let loss = cross_entropies(logits, Tensor::from_floats([[1.0, 0.0]], &device))?.into_scalar::<f32>();
/// assert!((loss - 4f32.ln()).abs() < 1e-6);
/// # Ok::<(), accordant_ops::Error>(())
/// ```
#[doc(alias = "cross entropy")]
pub fn cross_entropies<const D: usize>(logits: Tensor<D>, targets: Tensor<D>) -> Result<Tensor<D>> {
    check_shape("targets", &logits.dims(), &targets.dims())?;
    let log_probs = log_probs(logits);
    let targets = targets.detach().cast(log_probs.dtype());
    // 0 · −∞ is NaN.
    let log_probs = log_probs.mask_fill(targets.clone().equal_scalar(0.0), 0.0);
    Ok(-(targets * log_probs).sum_dim(D - 1))
}

/// Equidistant atoms `z_i = v_min + i Δ`, with `Δ = (v_max − v_min)/(num_atoms − 1)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Support {
    v_min: f64,
    v_max: f64,
    num_atoms: usize,
}

impl Support {
    /// Atoms from `v_min` to `v_max`.
    ///
    /// # Errors
    /// A domain error naming `v_min` or `v_max`, which are finite and ascend, or `num_atoms`, ≥ 2.
    pub fn new(v_min: f64, v_max: f64, num_atoms: usize) -> Result<Self> {
        check_domain(v_min.is_finite(), "v_min", "finite", v_min)?;
        let width = v_max - v_min;
        check_domain(width.is_finite() && width > 0.0, "v_max", "finite and > v_min", v_max)?;
        check_domain(num_atoms >= 2, "num_atoms", ">= 2", num_atoms as f64)?;
        Ok(Self { v_min, v_max, num_atoms })
    }

    /// How many atoms there are.
    pub fn num_atoms(&self) -> usize {
        self.num_atoms
    }

    /// The atoms, from `v_min` to `v_max`.
    pub fn atoms(&self) -> Vec<f64> {
        (0..self.num_atoms).map(|i| self.v_min + i as f64 * self.spacing()).collect()
    }

    /// Δ.
    pub fn spacing(&self) -> f64 {
        (self.v_max - self.v_min) / (self.num_atoms - 1) as f64
    }

    /// The distributions of sure values: all mass at the two atoms around each, in the proportion that keeps the mean.
    ///
    /// ```text
    /// m_i = max(0, 1 − |clip(x, v_min, v_max) − z_i|/Δ)
    /// ```
    ///
    /// A value that is an atom has all its mass there. A NaN gives NaN.
    ///
    /// # Shapes
    /// `values`: `[.., 1]`; the result: `[.., atoms]`, in f64 for f64 and f32 otherwise, detached.
    ///
    /// # Errors
    /// A shape error naming `values`.
    ///
    /// # Example
    /// ```
    /// use accordant_ops::distribution::categorical::Support;
    /// use burn::tensor::{Device, Tensor};
    /// let support = Support::new(0.0, 2.0, 3)?;
    /// let targets = support.two_hot(Tensor::<1>::from_floats([0.25], &Device::flex()))?;
    /// assert_eq!(targets.try_to_vec_as::<f32>().unwrap(), [0.75, 0.25, 0.0]);
    /// # Ok::<(), accordant_ops::Error>(())
    /// ```
    #[doc(alias = "two-hot")]
    pub fn two_hot<const D: usize>(&self, values: Tensor<D>) -> Result<Tensor<D>> {
        check_shape("values", &with_last(&values, 1), &values.dims())?;
        let values = widened(values.detach());
        let numbers = along_last((0..self.num_atoms).map(|i| i as f64).collect(), &values);
        // In units of Δ, bounded once more after rounding.
        let places = (values.clamp(self.v_min, self.v_max) - self.v_min) * self.spacing().recip();
        let places = places.clamp(0.0, (self.num_atoms - 1) as f64);
        Ok((-(places - numbers).abs() + 1.0).clamp_min(0.0))
    }

    /// The distributions of `reward + discount · next`, projected onto the atoms; those of the reward alone where `done`.
    ///
    /// The mean is preserved unless the bounds cut something off. Next distributions of what is done may hold anything.
    ///
    /// # Shapes
    /// `rewards` and `done`: `[.., 1]`; `next_probs`: `[.., atoms]`, ≥ 0 with sum 1. The result: the same, in f64 for f64
    /// rewards and f32 otherwise, detached. `discount` lies in `[0, 1]`. Memory: a few times the result.
    ///
    /// # Errors
    /// A shape error naming `values` (the rewards), `next_probs` or `done`; a domain error naming `discount`.
    pub fn project<const D: usize>(
        &self,
        rewards: Tensor<D>,
        next_probs: Tensor<D>,
        done: Tensor<D, Bool>,
        discount: f64,
    ) -> Result<Tensor<D>> {
        let shape = with_last(&rewards, self.num_atoms);
        check_shape("next_probs", &shape, &next_probs.dims())?;
        check_shape("done", &rewards.dims(), &done.dims())?;
        check_domain((0.0..=1.0).contains(&discount), "discount", "in [0, 1]", discount)?;
        let last = self.two_hot(rewards.clone())?;
        if last.shape().num_elements() == 0 {
            return Ok(last); // burn expands nothing to a length of 0
        }
        let rewards = widened(rewards.detach());
        let done = done.expand(shape);
        let next_probs = next_probs.detach().cast(rewards.dtype()).mask_fill(done.clone(), 0.0);
        let mut onward = last.zeros_like();
        for (j, atom) in self.atoms().into_iter().enumerate() {
            onward = onward + self.two_hot(rewards.clone() + discount * atom)? * next_probs.clone().narrow(D - 1, j, 1);
        }
        Ok(onward.mask_where(done, last))
    }

    /// Means of the distributions of logits. With a gradient.
    ///
    /// # Shapes
    /// `logits`: `[.., atoms]`; the result: `[.., 1]`, in f64 for f64 and f32 otherwise.
    ///
    /// # Errors
    /// A shape error naming `logits`.
    pub fn mean<const D: usize>(&self, logits: Tensor<D>) -> Result<Tensor<D>> {
        check_shape("logits", &with_last(&logits, self.num_atoms), &logits.dims())?;
        let probs = log_probs(logits).exp();
        let atoms = along_last(self.atoms(), &probs);
        Ok((probs * atoms).sum_dim(D - 1))
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device, TensorData};

    use super::*;
    use crate::stable::testing::{assert_close, assert_gradient, host, value_and_grad};

    /// Atoms −1, 0, 1, 2, 3.
    fn support() -> Support {
        Support::new(-1.0, 3.0, 5).unwrap()
    }

    fn matrix(numbers: &[f64], columns: usize) -> Tensor<2> {
        let shape = [numbers.len() / columns, columns];
        Tensor::from_data(TensorData::new(numbers.to_vec(), shape), (&Device::flex(), DType::F64))
    }

    #[track_caller]
    fn near(got: Tensor<2>, expected: &[f64], tolerance: f64) {
        let got = host(got);
        assert_eq!(got.len(), expected.len());
        assert!(got.iter().zip(expected).all(|(got, expected)| (got - expected).abs() <= tolerance), "{got:?}");
    }

    #[test]
    fn two_hot_targets_by_hand() {
        let got = support().two_hot(matrix(&[0.25, 2.0, -7.0, 9.0, 2.9], 1)).unwrap();
        let expected = [
            [0.0, 0.75, 0.25, 0.0, 0.0],
            [0.0, 0.0, 0.0, 1.0, 0.0],
            [1.0, 0.0, 0.0, 0.0, 0.0],
            [0.0, 0.0, 0.0, 0.0, 1.0],
            [0.0, 0.0, 0.0, 0.1, 0.9],
        ];
        near(got, expected.as_flattened(), 1e-15);
        assert_eq!((support().atoms(), support().num_atoms()), (vec![-1.0, 0.0, 1.0, 2.0, 3.0], 5));
        let fine = Support::new(0.5, 1.5, 3).unwrap();
        assert_eq!((fine.atoms(), fine.spacing()), (vec![0.5, 1.0, 1.5], 0.5));
        near(fine.two_hot(matrix(&[0.625, 1.25], 1)).unwrap(), &[0.75, 0.25, 0.0, 0.0, 0.5, 0.5], 1e-15);
        // 0.7 · (1 / (0.7 / 3)) is more than 3.
        let odd = Support::new(0.0, 0.7, 4).unwrap();
        let got = host(odd.two_hot(matrix(&[0.7, 5.0], 1)).unwrap());
        assert_eq!(got, [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
        assert!(host(support().two_hot(matrix(&[f64::NAN], 1)).unwrap())[0].is_nan());
    }

    #[test]
    fn projections_by_hand_keep_mass_and_mean() {
        let next = [[0.1, 0.2, 0.4, 0.3, 0.0], [0.0, 0.5, 0.5, 0.0, 0.0], [f64::NAN; 5], [0.0, 0.0, 0.0, 0.0, 1.0]];
        let rewards = || matrix(&[0.25, 0.5, 1.25, 2.0], 1);
        let done = || Tensor::from_bool([[false], [false], [true], [false]], &Device::flex());
        let got = support().project(rewards(), matrix(next.as_flattened(), 5), done(), 0.5).unwrap();
        let expected = [
            // Atoms go to −0.25, 0.25, 0.75, 1.25, 1.75.
            [0.025, 0.075 + 0.15 + 0.1, 0.05 + 0.3 + 0.225, 0.075, 0.0],
            // 0 goes to 0.5 and 1 to 1, an atom.
            [0.0, 0.25, 0.25 + 0.5, 0.0, 0.0],
            [0.0, 0.0, 0.75, 0.25, 0.0],
            // 3 goes to 3.5 and is cut off.
            [0.0, 0.0, 0.0, 0.0, 1.0],
        ];
        near(got, expected.as_flattened(), 1e-15);
        let mean: f64 = expected[0].iter().zip(support().atoms()).map(|(p, z)| p * z).sum();
        assert!((mean - (0.25 + 0.5 * (-0.1 + 0.4 + 0.6))).abs() < 1e-15);
        let going = Tensor::from_bool([[false]; 4], &Device::flex());
        let myopic = support().project(rewards(), matrix([next[0]; 4].as_flattened(), 5), going, 0.0).unwrap();
        near(myopic, &host(support().two_hot(rewards()).unwrap()), 1e-15);
    }

    #[test]
    fn cross_entropies_and_means_by_hand() {
        // Probabilities 1/5, 2/5, 1/5, 0, 1/5; three quarters at 0, one at 1.
        let logits = matrix(&[0.0, 2f64.ln(), 0.0, f64::NEG_INFINITY, 0.0], 5);
        let targets = support().two_hot(matrix(&[0.25], 1)).unwrap();
        let loss = host(cross_entropies(logits.clone(), targets).unwrap());
        assert_close(&loss, &[0.75 * 2.5f64.ln() + 0.25 * 5f64.ln()], 1e-15);
        assert_close(&host(support().mean(logits).unwrap()), &[0.6], 1e-15);
    }

    #[test]
    fn gradients_are_probabilities_less_targets_and_those_of_the_mean() {
        let at = [0.3, -1.2, 0.8, 0.0, 2.0];
        let targets = || Tensor::<1>::from_data([0.0, 0.4, 0.6, 0.0, 0.0], (&Device::flex().autodiff(), DType::F64));
        let (_, grad) = value_and_grad(&at, |x| cross_entropies(x, targets()).unwrap());
        let total: f64 = at.iter().map(|x: &f64| x.exp()).sum();
        let expected: Vec<f64> = at.iter().zip(host(targets())).map(|(x, m)| x.exp() / total - m).collect();
        assert_close(&grad, &expected, 1e-14);
        assert_gradient(&at, |x| cross_entropies(x, targets()).unwrap());
        assert_gradient(&at, |x| support().mean(x).unwrap());
        let targets = targets().require_grad();
        let logits = targets.clone().detach().require_grad();
        let grads = cross_entropies(logits, targets.clone()).unwrap().backward();
        assert!(targets.grad(&grads).is_none(), "targets are constants");
    }

    #[test]
    fn half_precision_is_computed_in_f32_and_nothing_gives_nothing() {
        let half = |tensor: Tensor<2>| tensor.cast(DType::F16);
        let targets = support().two_hot(half(matrix(&[0.5], 1))).unwrap();
        assert_eq!((targets.dtype(), host(targets.clone())), (DType::F32, vec![0.0, 0.5, 0.5, 0.0, 0.0]));
        let loss = cross_entropies(half(matrix(&[0.0; 5], 5)), targets).unwrap();
        assert_eq!(loss.dtype(), DType::F32);
        near(loss, &[5f64.ln()], 1e-6);
        assert_eq!(support().mean(half(matrix(&[0.0; 5], 5))).unwrap().dtype(), DType::F32);
        let none = |columns| Tensor::<2>::zeros([0, columns], (&Device::flex(), DType::F64));
        assert_eq!(support().two_hot(none(1)).unwrap().dims(), [0, 5]);
        assert_eq!(support().mean(none(5)).unwrap().dims(), [0, 1]);
        assert_eq!(cross_entropies(none(5), none(5)).unwrap().dims(), [0, 1]);
        let done = none(1).equal_scalar(0.0);
        assert_eq!(support().project(none(1), none(5), done, 1.0).unwrap().dims(), [0, 5]);
        let no_atoms = || Tensor::<2>::zeros([2, 0], (&Device::flex(), DType::F64));
        assert_eq!(host(cross_entropies(no_atoms(), no_atoms()).unwrap()), [0.0; 2]);
    }

    #[test]
    fn senseless_input_is_refused_by_name() {
        let starts = |error: crate::Error, name| assert!(error.to_string().starts_with(name), "{error}");
        for (support, name) in [
            (Support::new(f64::NAN, 1.0, 2), "`v_min`"),
            (Support::new(f64::NEG_INFINITY, 1.0, 2), "`v_min`"),
            (Support::new(1.0, 1.0, 2), "`v_max`"),
            (Support::new(1.0, f64::NAN, 2), "`v_max`"),
            (Support::new(1.0, f64::INFINITY, 2), "`v_max`"),
            (Support::new(0.0, 1.0, 1), "`num_atoms`"),
        ] {
            starts(support.unwrap_err(), name);
        }
        Support::new(0.0, 1.0, 2).unwrap();
        let row = |columns| Tensor::<2>::zeros([1, columns], (&Device::flex(), DType::F64));
        let flag = |columns| row(columns).equal_scalar(0.0);
        starts(cross_entropies(row(5), row(4)).unwrap_err(), "`targets`");
        starts(support().two_hot(row(2)).unwrap_err(), "`values`");
        starts(support().mean(row(4)).unwrap_err(), "`logits`");
        starts(support().project(row(1), row(4), flag(1), 1.0).unwrap_err(), "`next_probs`");
        starts(support().project(row(1), row(5), flag(2), 1.0).unwrap_err(), "`done`");
        for discount in [-0.1, 1.1, f64::NAN] {
            starts(support().project(row(1), row(5), flag(1), discount).unwrap_err(), "`discount`");
        }
    }
}
