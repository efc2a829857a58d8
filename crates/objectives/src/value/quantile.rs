//! Quantile regression: distributions of returns as numbers of fixed probability (QR).
//!
//! **Paper:** Distributional Reinforcement Learning with Quantile Regression (2017), 1710.10044.
//! **Use when:** a critic is to predict a distribution without known bounds, or its lower tail ([`cvar`]).
//! **Checked by:** values by hand, minimizers, κ → 0 against the pinball loss, finite differences.
//! **Deviations:** Huber's loss is divided by κ, as in implicit quantile networks (2018, 1806.06923), so that κ → 0 is the
//! pinball loss.

use accordant_ops::{
    check_domain, check_shape,
    distribution::quantile::{check_kappa, quantile_huber},
};
use burn::{
    config::Config,
    tensor::{Bool, Tensor, TensorData},
};

use super::{kept_rows, wide};
use crate::Result;

pub use accordant_ops::distribution::quantile::midpoints as taus;

/// Losses of predicted quantiles `q` against samples `T` of what they are quantiles of.
///
/// ```text
/// Σ_i mean_j |τ_i − 1[u_ij < 0]| Huber_κ(u_ij)/κ,   u_ij = T_j − q_i,   τ of taus
/// κ = 0: Σ_i mean_j u_ij (τ_i − 1[u_ij < 0]), the pinball loss       (eqs. 8, 10)
/// ```
///
/// The minimizer of the pinball loss is the `τ_i`-quantile of the samples; N quantiles of a sure return all become it.
/// Samples are constants: a single return, several of one state, or `reward + discount · next quantiles`. Linear beyond κ:
/// errors of 1e4 are harmless.
///
/// # Shapes
/// `quantiles`: `[batch, seq, n]`; `targets`: `[batch, seq, m]`; `mask`: `[batch, seq]`, and so is the result. Memory: a
/// few times `[batch, seq, n, m]`. `kappa` (κ) ≥ 0, in the unit of the returns.
///
/// # Errors
/// A shape error naming `targets` or `mask`; a domain error naming `kappa`, or `quantiles` or `targets` when there is none
/// for a token.
///
/// # Example
/// ```
/// use accordant_objectives::value::quantile::quantile_losses;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let quantiles = Tensor::from_floats([[[1.0, 3.0]]], &device);
/// let targets = Tensor::from_floats([[[2.0]]], &device);
/// let losses = quantile_losses(quantiles, targets, Tensor::from_bool([[true]], &device), 0.0)?;
/// assert_eq!(losses.into_scalar::<f32>(), 0.5); // 0.25 · 1 + (0.75 − 1) · −1
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "1710.10044")]
#[doc(alias = "Distributional Reinforcement Learning with Quantile Regression")]
#[doc(alias = "QR-DQN")]
#[doc(alias = "pinball loss")]
pub fn quantile_losses(
    quantiles: Tensor<3>,
    targets: Tensor<3>,
    mask: Tensor<2, Bool>,
    kappa: f64,
) -> Result<Tensor<2>> {
    let ([batch, seq, n], [_, _, m]) = (quantiles.dims(), targets.dims());
    check_shape("targets", &[batch, seq, m], &targets.dims())?;
    check_shape("mask", &[batch, seq], &mask.dims())?;
    for (name, num) in [("quantiles", n), ("targets", m)] {
        check_domain(num > 0, name, "at least one for each token", num as f64)?;
    }
    let dtype = wide(quantiles.dtype());
    let (quantiles, targets) = (kept_rows(quantiles, &mask, dtype), kept_rows(targets.detach(), &mask, dtype));
    let errors = targets.unsqueeze_dim::<4>(2) - quantiles.unsqueeze_dim::<4>(3);
    let taus = Tensor::<4>::from_data(TensorData::new(taus(n), [1, 1, n, 1]), (&errors.device(), errors.dtype()));
    let losses = quantile_huber(errors, taus, kappa)?;
    Ok(losses.mean_dim(3).sum_dim(2).squeeze_dim::<3>(3).squeeze_dim(2))
}

/// Conditional value at risk: the mean of the worst share `alpha` of the distribution, with a gradient.
///
/// That of [`accordant_ops::distribution::quantile::cvar`], which says how it is computed.
///
/// # Shapes
/// `quantiles`: `[batch, seq, n]`; the result: `[batch, seq]`, in f64 for f64 and f32 otherwise. `alpha` lies in `(0, 1]`.
///
/// # Errors
/// A domain error naming `alpha`, or `quantiles` when there is none for a token.
///
/// # Example
/// ```
/// use accordant_objectives::value::quantile::cvar;
/// use burn::tensor::{Device, Tensor};
/// let quantiles = Tensor::from_floats([[[-4.0, 0.0, 2.0, 6.0]]], &Device::flex());
/// assert_eq!(cvar(quantiles.clone(), 0.5)?.into_scalar::<f32>(), -2.0);
/// assert_eq!(cvar(quantiles, 1.0)?.into_scalar::<f32>(), 1.0);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "expected shortfall")]
pub fn cvar(quantiles: Tensor<3>, alpha: f64) -> Result<Tensor<2>> {
    let [_, _, n] = quantiles.dims();
    check_domain(n > 0, "quantiles", "at least one for each token", n as f64)?;
    Ok(accordant_ops::distribution::quantile::cvar(quantiles, alpha)?.squeeze_dim(2))
}

/// Configuration of [`Quantile`].
#[derive(Config, Debug, PartialEq)]
pub struct QuantileConfig {
    /// Up to which error the loss is quadratic, finite and ≥ 0, in the unit of the returns; 0 for the pinball loss. 1: the
    /// paper's.
    #[config(default = 1.0)]
    pub kappa: f64,
}

impl QuantileConfig {
    /// Checks the field.
    ///
    /// # Errors
    /// A domain error naming it.
    pub fn init(&self) -> Result<Quantile> {
        check_kappa(self.kappa)?;
        Ok(Quantile { config: self.clone() })
    }
}

/// Quantile regression; see [`quantile_losses`].
#[derive(Debug, Clone, PartialEq)]
pub struct Quantile {
    config: QuantileConfig,
}

impl Quantile {
    /// [`quantile_losses`] with the configured κ.
    ///
    /// # Errors
    /// A shape error naming `targets` or `mask`; a domain error naming `quantiles` or `targets`.
    pub fn forward(&self, quantiles: Tensor<3>, targets: Tensor<3>, mask: Tensor<2, Bool>) -> Result<Tensor<2>> {
        quantile_losses(quantiles, targets, mask, self.config.kappa)
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

    /// One row.
    fn rows<const N: usize>(rows: &[[f64; N]]) -> Tensor<3> {
        grid(rows).unsqueeze_dim(0)
    }

    fn loss<const N: usize, const M: usize>(quantiles: [f64; N], targets: [f64; M], kappa: f64) -> f64 {
        flat(&quantile_losses(rows(&[quantiles]), rows(&[targets]), keep(&[[1]]), kappa).unwrap())[0]
    }

    #[test]
    fn values_by_hand() {
        assert_eq!(taus(4), [0.125, 0.375, 0.625, 0.875]);
        // u = −1 at τ = 1/4, and 0 at 3/4.
        assert_eq!(loss([1.0, 0.0], [0.0], 0.0), 0.75);
        // u = 3 and −1 at the median: half of each.
        assert_eq!(loss([0.0], [3.0, -1.0], 0.0), 1.0);
        // κ = 2: (2 (3 − 1) + ½)/2 over two.
        assert_eq!(loss([0.0], [3.0, -1.0], 2.0), 0.5 * (4.0 + 0.5) / 2.0 / 2.0);
        // τ = 1/4, 3/4; T = 2, 0; q = 1, 3: u = 1, −1; −1, −3; κ = 1: ½, ½; ½, 2.5.
        let expected = (0.25 * 0.5 + 0.75 * 0.5) / 2.0 + (0.25 * 0.5 + 0.25 * 2.5) / 2.0;
        assert!((loss([1.0, 3.0], [2.0, 0.0], 1.0) - expected).abs() < 1e-15);
        assert!((loss([1.0, 3.0], [2.0, 0.5], 1e-9) - loss([1.0, 3.0], [2.0, 0.5], 0.0)).abs() < 1e-8);
        let quantile = QuantileConfig::new().init().unwrap();
        let forward = quantile.forward(rows(&[[1.0, 3.0]]), rows(&[[2.0, 0.0]]), keep(&[[1]])).unwrap();
        assert_eq!(flat(&forward), [loss([1.0, 3.0], [2.0, 0.0], 1.0)]);
    }

    #[test]
    fn minimizers_are_quantiles() {
        let samples = [5.0, 1.0, 4.0, 2.0, 3.0];
        let at = |first: f64, second: f64| loss([first, second], samples, 0.0);
        // A quarter and three quarters of five samples: the second and the fourth.
        for step in [-0.5, -1e-3, 1e-3, 0.5] {
            assert!(at(2.0 + step, 4.0) > at(2.0, 4.0) && at(2.0, 4.0 + step) > at(2.0, 4.0));
        }
        // Five quantiles of five samples are the samples in order.
        let exact = [1.0, 2.0, 3.0, 4.0, 5.0];
        let mut swapped = exact;
        swapped.swap(1, 2);
        assert!(loss(exact, samples, 0.0) < loss(swapped, samples, 0.0));
        assert_eq!(loss([7.0; 3], [7.0], 1.0), 0.0, "a sure return");
    }

    #[test]
    fn gradients_equal_finite_differences_and_nothing_leaks() {
        let device = Device::flex().autodiff();
        let (q, t) = ([[0.3, -1.2, 0.8], [JUNK; 3], [1e4, 0.0, -1e4]], [[0.5, 2.4], [JUNK; 2], [1e4, -1e4]]);
        for kappa in [0.0, 0.6, 1.0] {
            let x = Tensor::<3>::from_data([q], (&device, DType::F64)).require_grad();
            let targets = Tensor::<3>::from_data([t], (&device, DType::F64)).require_grad();
            let mask = Tensor::from_bool([[true, false, true]], &device);
            let losses = quantile_losses(x.clone(), targets.clone(), mask, kappa).unwrap();
            let values = flat(&losses);
            assert!(values[0] > 0.0 && values[1] == 0.0 && values[2].is_finite());
            let grads = losses.sum().backward();
            assert!(targets.grad(&grads).is_none());
            let grad = flat(&x.grad(&grads).unwrap());
            for (at, grad) in grad[..3].iter().enumerate() {
                let one = |value: f64| {
                    let mut moved = q[0];
                    moved[at] = value;
                    loss(moved, t[0], kappa)
                };
                assert!((grad - central(one, q[0][at], 1e-6)).abs() < 1e-8, "{kappa} {at}");
            }
            assert_eq!(grad[3..6], [0.0; 3]);
            assert!(grad.iter().all(|grad| grad.is_finite()));
        }
    }

    #[test]
    fn the_lower_tail_by_hand() {
        let quantiles = || rows(&[[-4.0, 0.0, 2.0, 6.0], [1.0, 1.0, 1.0, 1.0]]);
        for (alpha, expected) in
            [(0.25, -4.0), (0.1, -4.0), (0.5, -2.0), (0.3, -4.0 * 0.25 / 0.3), (0.75, -2.0 / 3.0), (1.0, 1.0)]
        {
            near(&flat(&cvar(quantiles(), alpha).unwrap()), &[expected, 1.0], 1e-14);
        }
        let leaf = rows(&[[-4.0, 0.0, 2.0, 6.0]]).autodiff().require_grad();
        let grads = cvar(leaf.clone(), 0.375).unwrap().sum().backward();
        near(&flat(&leaf.grad(&grads).unwrap()), &[2.0 / 3.0, 1.0 / 3.0, 0.0, 0.0], 1e-15);
    }

    #[test]
    fn dtypes_are_wide_and_nothing_gives_nothing() {
        let half = rows(&[[1.0, 3.0]]).cast(DType::BF16);
        let losses = quantile_losses(half.clone(), rows(&[[2.0]]), keep(&[[1]]), 0.0).unwrap();
        assert_eq!((losses.dtype(), flat(&losses)), (DType::F32, vec![0.5]));
        let tail = cvar(half, 0.5).unwrap();
        assert_eq!((tail.dtype(), flat(&tail)), (DType::F32, vec![1.0]));
        for [batch, seq] in [[0, 2], [2, 0]] {
            let none = |n| Tensor::<3>::zeros([batch, seq, n], (&Device::flex(), DType::F64));
            let mask = Tensor::<2>::zeros([batch, seq], &Device::flex()).equal_scalar(1.0);
            assert_eq!(quantile_losses(none(3), none(2), mask, 1.0).unwrap().dims(), [batch, seq]);
            assert_eq!(cvar(none(3), 0.5).unwrap().dims(), [batch, seq]);
        }
    }

    #[test]
    fn senseless_input_is_refused_by_name() {
        assert_eq!(QuantileConfig::new().kappa, 1.0);
        let (q, t, mask) = (|| rows(&[[0.0; 3]]), || rows(&[[0.0; 2]]), || keep(&[[1]]));
        let starts = |error: crate::Error, name| assert!(error.to_string().starts_with(name), "{error}");
        for kappa in [-1.0, JUNK, f64::INFINITY] {
            starts(QuantileConfig::new().with_kappa(kappa).init().unwrap_err(), "`kappa`");
            starts(quantile_losses(q(), t(), mask(), kappa).unwrap_err(), "`kappa`");
        }
        QuantileConfig::new().with_kappa(0.0).init().unwrap();
        starts(
            quantile_losses(q(), rows(&[[0.0]; 2]), mask(), 1.0).unwrap_err(),
            "`targets`: expected shape [1, 1, 1]",
        );
        starts(quantile_losses(q(), t(), keep(&[[1, 1]]), 1.0).unwrap_err(), "`mask`");
        let none = || Tensor::<3>::zeros([1, 1, 0], (&Device::flex(), DType::F64));
        starts(quantile_losses(none(), t(), mask(), 1.0).unwrap_err(), "`quantiles`");
        starts(quantile_losses(q(), none(), mask(), 1.0).unwrap_err(), "`targets`");
        starts(cvar(none(), 0.5).unwrap_err(), "`quantiles`");
        for alpha in [0.0, -0.5, 1.1, JUNK] {
            starts(cvar(q(), alpha).unwrap_err(), "`alpha`");
        }
    }
}
