//! Maximum mean discrepancy (MMD): samples of several ratings jointly, as a network gives them.
//!
//! **Paper:** Distributional Reinforcement Learning for Multi-Dimensional Reward Functions (2021), 2110.13578.
//! **Use when:** a response has ratings of several attributes, and which of them come together matters.
//! **Checked by:** a hand-worked pair of samples that only differ jointly, finite differences, laws (not negative, 0 of equal
//! samples).
//! **Deviations:** none.

use accordant_ops::{check_dtype, check_shape};
use burn::{
    config::Config,
    tensor::{Tensor, activation::relu},
};

use crate::{Nll, Result, error::check_record};

/// Widths of the Gaussians that a kernel adds up: `k(x, y) = Σ_h exp(−‖x − y‖²/(K h))` in `K` dimensions.
#[derive(Config, Debug, PartialEq)]
pub enum Bandwidths {
    /// 1, 2, ..., 10: the first version's.
    Linear,
    /// `2^i` for `i` from −8 to 8.
    Powers,
    /// These, finite and > 0.
    Given(Vec<f64>),
}

impl Bandwidths {
    /// The widths.
    ///
    /// # Errors
    /// [`crate::Error::Empty`] naming `bandwidths`, [`crate::Error::Record`] for one that is not finite and > 0.
    pub fn widths(&self) -> Result<Vec<f64>> {
        let widths = match self {
            Self::Linear => (1..=10).map(f64::from).collect(),
            Self::Powers => (-8..=8).map(|i| f64::from(i).exp2()).collect(),
            Self::Given(widths) => widths.clone(),
        };
        if widths.is_empty() {
            return Err(crate::Error::Empty { name: "bandwidths", reason: "there is none" });
        }
        for (row, &width) in widths.iter().enumerate() {
            check_record(width.is_finite() && width > 0.0, row, "bandwidths", "finite and > 0", width)?;
        }
        Ok(widths)
    }
}

/// What becomes of the gradient where rounding makes the discrepancy negative, and its value 0.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum NegativeGradient {
    /// It is 0, as the value is.
    Zero,
    /// It is that of the value before.
    Kept,
}

/// Squared discrepancies between predicted and observed samples, one per response.
///
/// ```text
/// mean k(X, X) + mean k(Y, Y) − 2 mean k(X, Y)   (all pairs, each with itself too),   at least 0
/// ```
///
/// 0 exactly when both are the same distribution of points. Observed samples are constants.
///
/// # Shapes
/// `particles` (X): `[n, p, k]`; `samples` (Y): `[n, m, k]`; the result: `[n]`. Memory: `[n, p + m, p + m, k]`.
///
/// # Errors
/// A shape or dtype error naming `samples`; a domain error naming `particles` or `samples` when a response has none; as
/// [`Bandwidths::widths`].
///
/// # Example
/// Two attributes that are high together, or high one at a time; either alone looks the same:
/// ```
/// use accordant_preference::distributional::mmd::{Bandwidths, NegativeGradient, mmd_losses};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let together = Tensor::<3>::from_floats([[[0.0, 0.0], [1.0, 1.0]]], &device);
/// let apart = Tensor::<3>::from_floats([[[0.0, 1.0], [1.0, 0.0]]], &device);
/// let loss = mmd_losses(together, apart, &Bandwidths::Given(vec![1.0]), NegativeGradient::Zero)?;
/// let expected = 1.0 + (-1f32).exp() - 2.0 * (-0.5f32).exp();
/// assert!((loss.into_scalar::<f32>() - expected).abs() < 1e-6);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "2110.13578")]
#[doc(alias = "MD3QN")]
pub fn mmd_losses(
    particles: Tensor<3>,
    samples: Tensor<3>,
    bandwidths: &Bandwidths,
    negative: NegativeGradient,
) -> Result<Tensor<1>> {
    let ([n, p, k], [_, m, _]) = (particles.dims(), samples.dims());
    check_shape("samples", &[n, m, k], &samples.dims())?;
    check_dtype("samples", particles.dtype(), samples.dtype())?;
    let widths = bandwidths.widths()?;
    accordant_ops::check_domain(
        p > 0 && k > 0,
        "particles",
        "at least one, of at least one dimension",
        p.min(k) as f64,
    )?;
    accordant_ops::check_domain(m > 0, "samples", "at least one of each response", m as f64)?;
    let samples = samples.detach();
    if n == 0 {
        return Ok(particles.reshape([0]));
    }
    let mean_kernel = |x: &Tensor<3>, y: &Tensor<3>| {
        let gaps = x.clone().unsqueeze_dim::<4>(2) - y.clone().unsqueeze_dim::<4>(1);
        let squares = gaps.square().mean_dim(3).squeeze_dim::<3>(3);
        let kernel = widths.iter().map(|width| (squares.clone() * -width.recip()).exp());
        let kernel = kernel.reduce(|sum, part| sum + part).expect("there is a width");
        kernel.mean_dim(2).mean_dim(1).squeeze_dim::<2>(2).squeeze_dim::<1>(1)
    };
    let raw =
        mean_kernel(&particles, &particles) + mean_kernel(&samples, &samples) - mean_kernel(&particles, &samples) * 2.0;
    Ok(not_negative(raw, negative))
}

fn not_negative(raw: Tensor<1>, negative: NegativeGradient) -> Tensor<1> {
    match negative {
        NegativeGradient::Zero => relu(raw),
        // Adds what is missing to 0, a constant.
        NegativeGradient::Kept => raw.clone() + relu(-raw.detach()),
    }
}

/// Configuration of [`Mmd`].
#[derive(Config, Debug, PartialEq)]
pub struct MmdConfig {
    /// The widths of the kernel, in squared units of the ratings. 1 to 10: the paper's first version.
    #[config(default = "Bandwidths::Linear")]
    pub bandwidths: Bandwidths,
    /// The gradient where rounding makes the discrepancy negative. None: ours.
    #[config(default = "NegativeGradient::Zero")]
    pub negative: NegativeGradient,
}

impl MmdConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// As [`Bandwidths::widths`].
    pub fn init(&self) -> Result<Mmd> {
        self.bandwidths.widths()?;
        Ok(Mmd { config: self.clone() })
    }
}

/// A model of joint ratings by samples; see [`mmd_losses`].
#[derive(Debug, Clone, PartialEq)]
pub struct Mmd {
    config: MmdConfig,
}

impl Mmd {
    /// The discrepancies, all of weight 1.
    ///
    /// # Errors
    /// As [`mmd_losses`].
    pub fn forward(&self, particles: Tensor<3>, samples: Tensor<3>) -> Result<Nll> {
        let losses = mmd_losses(particles, samples, &self.config.bandwidths, self.config.negative)?;
        let weights = losses.ones_like();
        Nll::new(losses, weights)
    }

    /// Means of the summed attributes, `[n]`: the scores.
    ///
    /// # Shapes
    /// `particles`: `[n, p, k]`, with `p` > 0.
    pub fn expectations(particles: Tensor<3>) -> Tensor<1> {
        particles.sum_dim(2).mean_dim(1).squeeze_dim::<2>(2).squeeze_dim(1)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device};

    use super::*;
    use crate::distributional::testing::{check_gradients, gradient, host, like, matrix, near, starts, vector};

    fn cube(values: &[f64], shape: [usize; 3]) -> Tensor<3> {
        vector(values).reshape(shape)
    }

    fn one(width: f64) -> Bandwidths {
        Bandwidths::Given(vec![width])
    }

    #[test]
    fn what_comes_together_shows_jointly_and_in_no_attribute_alone() {
        let (together, apart) = ([0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 1.0, 0.0]);
        let run = |x: &[f64], y: &[f64], k: usize, width| {
            let (x, y) = (cube(x, [1, 2, k]), cube(y, [1, 2, k]));
            host(&mmd_losses(x, y, &one(width), NegativeGradient::Zero).unwrap())[0]
        };
        // exp(−‖·‖²/2), whatever the number of dimensions.
        assert!((run(&together, &apart, 2, 1.0) - 0.15481812).abs() < 1e-8);
        assert_eq!(run(&[0.0, 1.0], &[0.0, 1.0], 1, 2.0), 0.0);
        assert_eq!(run(&[0.0, 1.0], &[1.0, 0.0], 1, 2.0), 0.0);
        assert_eq!(host(&Mmd::expectations(cube(&together, [1, 2, 2]))), [1.0]);
    }

    #[test]
    fn kernels_add_up_over_their_widths_and_sizes_may_differ() {
        let (x, y) = (|| cube(&[0.5], [1, 1, 1]), || cube(&[1.5, 2.5], [1, 2, 1]));
        // Squares 1 and 4, and 1 between the samples.
        let by_hand = |h: f64| 1.0 + (1.0 + (-1.0 / h).exp()) / 2.0 - ((-1.0 / h).exp() + (-4.0 / h).exp());
        let of = |bandwidths| host(&mmd_losses(x(), y(), &bandwidths, NegativeGradient::Zero).unwrap())[0];
        near(&[of(one(2.0))], &[by_hand(2.0)], 1e-14);
        near(&[of(Bandwidths::Linear)], &[(1..=10).map(|h| by_hand(f64::from(h))).sum()], 1e-13);
        near(&[of(Bandwidths::Powers)], &[(-8..=8).map(|i| by_hand(f64::from(i).exp2())).sum()], 1e-13);
        assert_eq!(Bandwidths::Powers.widths().unwrap().len(), 17);
    }

    #[test]
    fn a_discrepancy_that_rounding_makes_negative_is_0() {
        for (negative, slope) in [(NegativeGradient::Zero, 0.0), (NegativeGradient::Kept, 1.0)] {
            assert_eq!(host(&not_negative(vector(&[-1e-16, 0.5]), negative)), [0.0, 0.5]);
            assert_eq!(gradient(&[-1e-16, 0.5], |raw| not_negative(raw, negative)), [slope, 1.0]);
            let (x, y) = (cube(&[0.1, 0.7, -0.3], [1, 3, 1]), cube(&[0.7, -0.3, 0.1], [1, 3, 1]));
            let equal = host(&mmd_losses(x, y, &Bandwidths::Linear, negative).unwrap())[0];
            assert!((0.0..1e-14).contains(&equal), "{equal}");
        }
        // Both have the same gradient where it is positive.
        let far = |negative| {
            gradient(&[2.0], |x| {
                let y = like(&x, &[0.0]).reshape([1, 1, 1]);
                mmd_losses(x.reshape([1, 1, 1]), y, &one(1.0), negative).unwrap()
            })
        };
        // 2 − 2 exp(−x²): 4 x exp(−x²).
        near(&far(NegativeGradient::Zero), &[8.0 * (-4f64).exp()], 1e-14);
        near(&far(NegativeGradient::Kept), &far(NegativeGradient::Zero), 0.0);
    }

    #[test]
    fn gradients_are_derivatives_and_samples_are_constants() {
        check_gradients(&[0.3, -1.0, 0.4, 2.0, 0.1, 0.9], |x| {
            let y = like(&x, &[0.5, 0.5, -1.0, 0.0]).reshape([1, 2, 2]);
            mmd_losses(x.reshape([1, 3, 2]), y, &Bandwidths::Linear, NegativeGradient::Zero).unwrap()
        });
        let leaf = |values: &[f64]| crate::distributional::testing::leaf(values);
        let (x, y) = (leaf(&[0.3]), leaf(&[1.0]));
        let model = MmdConfig::new().init().unwrap();
        let nll = model.forward(x.reshape([1, 1, 1]), y.clone().reshape([1, 1, 1])).unwrap();
        assert_eq!(host(&nll.weights), [1.0]);
        assert!(y.grad(&nll.losses.sum().backward()).is_none());
    }

    #[test]
    fn settings_and_shapes_are_checked() {
        let config = MmdConfig::new();
        assert_eq!((config.bandwidths, config.negative), (Bandwidths::Linear, NegativeGradient::Zero));
        starts(MmdConfig::new().with_bandwidths(Bandwidths::Given(vec![])).init(), "`bandwidths`");
        for width in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            starts(
                MmdConfig::new().with_bandwidths(Bandwidths::Given(vec![1.0, width])).init(),
                "record 1: `bandwidths`",
            );
        }
        let run = |x: [usize; 3], y: [usize; 3]| {
            let zeros = |shape: [usize; 3]| Tensor::<3>::zeros(shape, (&Device::flex(), DType::F64));
            mmd_losses(zeros(x), zeros(y), &one(1.0), NegativeGradient::Zero)
        };
        starts(run([1, 2, 2], [2, 2, 2]), "`samples`");
        starts(run([1, 2, 2], [1, 2, 3]), "`samples`");
        starts(run([1, 0, 2], [1, 2, 2]), "`particles`");
        starts(run([1, 2, 0], [1, 2, 0]), "`particles`");
        starts(run([1, 2, 2], [1, 0, 2]), "`samples`");
        let narrow = matrix(&[1.0], 1).unsqueeze_dim::<3>(0).cast(burn::tensor::FloatDType::F32);
        starts(
            mmd_losses(cube(&[1.0], [1, 1, 1]), narrow, &one(1.0), NegativeGradient::Zero),
            "`samples`: expected dtype",
        );
    }
}
