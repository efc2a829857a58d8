//! Variational preference learning (VPL): a latent vector for each user, inferred from pairs that they judged.
//!
//! **Paper:** Personalizing Reinforcement Learning from Human Feedback with Variational Preference Learning (2024), 2408.10075.
//! **Use when:** users differ in ways that nobody wrote down, there are too many of them for parameters of their own, and new
//! ones are to be served after a few pairs, with a statement of how sure that is.
//! **Checked by:** a seeded world of two conflicting types, closed forms of the divergence, a latent of no influence being
//! Bradley-Terry, permuted and empty contexts, finite differences.
//! **Deviations:** the divergence is the true one, with its factor ½; the released control code lacks it, so that its weight
//! of β is one of 2β here. The prior is a Gaussian, fixed or learned; the released code's radial flows are not there.

use accordant_ops::{
    check_domain, check_dtype, check_shape,
    groups::Groups,
    stable::{self, expm1_minus_x, log_sum_exp},
};
use burn::{
    config::Config,
    module::{Module, Param},
    tensor::{Device, Tensor},
};

use super::mixture::by_user;
use crate::{
    Nll, Result,
    pairwise::{
        PairScores,
        bradley_terry::{BradleyTerryConfig, bradley_terry_losses},
    },
};

mod networks;

pub use networks::{VplDecoder, VplDecoderConfig, VplEncoder, VplEncoderConfig};

/// Gaussians with independent coordinates, one per user: `N(μ, diag σ²)`.
///
/// # Example
/// ```
/// use accordant_preference::plural::vpl::LatentGaussian;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let posterior = LatentGaussian::new(Tensor::from_floats([[2.0]], &device), Tensor::zeros([1, 1], &device))?;
/// let prior = LatentGaussian::standard(1, 1, &device);
/// assert_eq!(posterior.kl(&prior)?.into_scalar::<f32>(), 2.0); // ½ · 2²
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct LatentGaussian {
    /// μ, `[users, d]`.
    pub mean: Tensor<2>,
    /// log σ², `[users, d]`.
    pub log_var: Tensor<2>,
}

impl LatentGaussian {
    /// Means and log-variances.
    ///
    /// # Errors
    /// A shape or dtype error naming `log_var`.
    pub fn new(mean: Tensor<2>, log_var: Tensor<2>) -> Result<Self> {
        check_shape("log_var", &mean.dims(), &log_var.dims())?;
        check_dtype("log_var", mean.dtype(), log_var.dtype())?;
        Ok(Self { mean, log_var })
    }

    /// `N(0, 1)` in each coordinate.
    pub fn standard(num_users: usize, dim: usize, device: &Device) -> Self {
        let zeros = Tensor::zeros([num_users, dim], device);
        Self { mean: zeros.clone(), log_var: zeros }
    }

    /// `KL(q ‖ p)` in each coordinate, in nats, `[users, d]`; ≥ 0, and 0 where both are the same.
    ///
    /// ```text
    /// ½ (σ_q²/σ_p² − 1 − log(σ_q²/σ_p²) + (μ_q − μ_p)²/σ_p²)
    /// ```
    ///
    /// # Errors
    /// A shape or dtype error naming `prior`.
    pub fn kl_by_dimension(&self, prior: &Self) -> Result<Tensor<2>> {
        check_shape("prior", &self.mean.dims(), &prior.mean.dims())?;
        check_dtype("prior", self.mean.dtype(), prior.mean.dtype())?;
        let widths = expm1_minus_x(self.log_var.clone() - prior.log_var.clone());
        let shifts = (self.mean.clone() - prior.mean.clone()).square() * prior.log_var.clone().neg().exp();
        Ok((widths + shifts) * 0.5)
    }

    /// `KL(q ‖ p)` of each user, `[users]`.
    ///
    /// # Errors
    /// As [`LatentGaussian::kl_by_dimension`].
    pub fn kl(&self, prior: &Self) -> Result<Tensor<1>> {
        Ok(self.kl_by_dimension(prior)?.sum_dim(1).squeeze_dim(1))
    }

    /// Latents from standard normal noise, `μ + σ ε`, `[users, d]`, with a gradient. At evaluation take the mean instead.
    ///
    /// # Errors
    /// A shape or dtype error naming `noise`.
    pub fn sample(&self, noise: Tensor<2>) -> Result<Tensor<2>> {
        check_shape("noise", &self.mean.dims(), &noise.dims())?;
        check_dtype("noise", self.mean.dtype(), noise.dtype())?;
        Ok(self.mean.clone() + (self.log_var.clone() * 0.5).exp() * noise)
    }
}

/// Latents scaled to length √d, as of a standard normal vector: what the released language code does to samples. A latent of
/// zeros stays.
///
/// # Example
/// ```
/// use accordant_preference::plural::vpl::normalized;
/// use burn::tensor::{Device, Tensor};
/// let latents = Tensor::<2>::from_floats([[3.0, 4.0], [0.0, 0.0]], &Device::flex());
/// let lengths = normalized(latents).square().sum_dim(1).try_to_vec_as::<f32>().unwrap();
/// assert!((lengths[0] - 2.0).abs() < 1e-6 && lengths[1] == 0.0);
/// ```
pub fn normalized(latents: Tensor<2>) -> Tensor<2> {
    let [_, d] = latents.dims();
    let squares = latents.clone().square().sum_dim(1);
    let none = squares.clone().equal_scalar(0.0);
    latents * squares.mask_fill(none, 1.0).sqrt().recip() * (d as f64).sqrt()
}

/// How many coordinates say anything: those whose divergence from the prior exceeds `threshold` nats in the mean over users
/// (0.01 by custom). `[1]`.
///
/// # Example
/// ```
/// use accordant_preference::plural::vpl::active_dimensions;
/// use burn::tensor::{Device, Tensor};
/// let by_dimension = Tensor::<2>::from_floats([[0.5, 0.0], [0.0, 0.002]], &Device::flex());
/// assert_eq!(active_dimensions(by_dimension, 0.01).into_scalar::<f32>(), 1.0);
/// ```
#[doc(alias = "active units")]
pub fn active_dimensions(kl_by_dimension: Tensor<2>, threshold: f64) -> Tensor<1> {
    let means = kl_by_dimension.detach().mean_dim(0);
    means.zeros_like().mask_fill(means.greater_scalar(threshold), 1.0).sum()
}

/// The weight of the divergence in a step of training: from a tenth of `beta` up to `beta` along half a cosine, again and
/// again every `period` steps.
///
/// ```text
/// β (0.1 + 0.9 · ½ (1 − cos π (step mod period)/period))
/// ```
///
/// `beta` is finite and ≥ 0; `period` ≥ 1 (10 000 in the released language code).
///
/// # Errors
/// A domain error naming `beta` or `period`.
///
/// # Example
/// ```
/// use accordant_preference::plural::vpl::annealed;
/// assert!((annealed(2.0, 0, 100)? - 0.2).abs() < 1e-15);
/// assert!((annealed(2.0, 50, 100)? - 1.1).abs() < 1e-15);
/// assert!((annealed(2.0, 100, 100)? - 0.2).abs() < 1e-15);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn annealed(beta: f64, step: usize, period: usize) -> Result<f64> {
    check_domain(beta.is_finite() && beta >= 0.0, "beta", "finite and >= 0", beta)?;
    check_domain(period >= 1, "period", ">= 1", period as f64)?;
    let done = (step % period) as f64 / period as f64;
    Ok(beta * (0.1 + 0.45 * (1.0 - (std::f64::consts::PI * done).cos())))
}

/// How the pairs of a user add up.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum UserPairSum {
    /// Each user's pairs are averaged by their weights: the released language code.
    Mean,
    /// Each user's pairs are summed, so that users with many move the divergence's weight: the evidence lower bound, and the
    /// released control code.
    Sum,
}

/// Losses of users: what their pairs lose under latents drawn for them, and how far those are from the prior.
///
/// ```text
/// ℓ_u = Σ or mean_{n ∈ u} softplus(−(r_first − r_second)/c) + β KL(q_u ‖ p)
/// ```
///
/// # Shapes
/// `pairs`: `[n]`, scores under the latent of the pair's user; `users` says whose each pair is. `kl`: `[users]`, in the order
/// in which users appear. The result: `[users]`. `scale` (c) is finite and > 0, `beta` finite and ≥ 0.
///
/// # Errors
/// A shape error naming `users` or `kl`.
///
/// # Example
/// ```
/// use accordant_ops::groups::Groups;
/// use accordant_preference::{pairwise::PairScores, plural::vpl::{UserPairSum, vpl_losses}};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let pairs = PairScores::from_differences(Tensor::zeros([3], &device));
/// let kl = Tensor::from_floats([1.0, 0.0], &device);
/// let losses = vpl_losses(&pairs, &Groups::new(&["u", "v", "u"]), kl, 1.0, 0.5, UserPairSum::Sum)?;
/// let losses = losses.try_to_vec_as::<f32>().unwrap();
/// assert!((losses[0] - 2.0 * 2f32.ln() - 0.5).abs() < 1e-6 && (losses[1] - 2f32.ln()).abs() < 1e-6);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "2408.10075")]
#[doc(alias = "VPL")]
pub fn vpl_losses(
    pairs: &PairScores,
    users: &Groups,
    kl: Tensor<1>,
    scale: f64,
    beta: f64,
    sum: UserPairSum,
) -> Result<Tensor<1>> {
    Ok(reconstruction(pairs, users, scale, sum, &kl)? + kl * beta)
}

fn reconstruction(
    pairs: &PairScores,
    users: &Groups,
    scale: f64,
    sum: UserPairSum,
    kl: &Tensor<1>,
) -> Result<Tensor<1>> {
    let [n] = pairs.first().dims();
    check_shape("users", &[n], &[users.len()])?;
    check_shape("kl", &[users.sizes().len()], &kl.dims())?;
    check_dtype("kl", pairs.first().dtype(), kl.dtype())?;
    let losses = bradley_terry_losses(pairs, &BradleyTerryConfig::new().with_temperature(scale))?;
    let weights = pairs.weights();
    // A pair without weight is left out, whatever it holds.
    let losses = losses.mask_fill(weights.clone().equal_scalar(0.0), 0.0) * weights.clone();
    let sums = by_user(Tensor::stack::<2>(vec![losses, weights], 1), users)?;
    let [losses, weights] = [0, 1].map(|column| sums.clone().narrow(1, column, 1).squeeze_dim::<1>(1));
    Ok(match sum {
        UserPairSum::Sum => losses,
        UserPairSum::Mean => losses / weights.clone().mask_fill(weights.equal_scalar(0.0), 1.0),
    })
}

/// Configuration of [`Vpl`].
#[derive(Config, Debug, PartialEq)]
pub struct VplConfig {
    /// The weight of the divergence, β, finite and ≥ 0. 3e-6: the released language code's for four kinds of users, with
    /// means over pairs; 1 with sums is the evidence lower bound.
    #[config(default = 3e-6)]
    pub beta: f64,
    /// What scores are divided by, c, finite and > 0. 1: ours; the likelihood fixes differences of scores only up to what
    /// the latent does to their scale, see [`win_rates`].
    #[config(default = 1.0)]
    pub scale: f64,
    /// How a user's pairs add up. Means: the released language code's.
    #[config(default = "UserPairSum::Mean")]
    pub sum: UserPairSum,
}

impl VplConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<Vpl> {
        let Self { beta, scale, .. } = *self;
        check_domain(beta.is_finite() && beta >= 0.0, "beta", "finite and >= 0", beta)?;
        check_domain(scale.is_finite() && scale > 0.0, "scale", "finite and > 0", scale)?;
        Ok(Vpl { config: self.clone() })
    }
}

/// The loss of a variational model; see [`vpl_losses`].
#[derive(Debug, Clone, PartialEq)]
pub struct Vpl {
    config: VplConfig,
}

impl Vpl {
    /// One loss per user, of weight 1 each; logs `reconstruction` and `kl`.
    ///
    /// # Errors
    /// As [`vpl_losses`].
    pub fn forward(&self, pairs: &PairScores, users: &Groups, kl: Tensor<1>) -> Result<Nll> {
        let VplConfig { beta, scale, sum } = self.config;
        let reconstruction = reconstruction(pairs, users, scale, sum, &kl)?;
        let losses = reconstruction.clone() + kl.clone() * beta;
        let weights = losses.ones_like();
        Nll::new(losses, weights)?.with_metric("reconstruction", reconstruction)?.with_metric("kl", kl)
    }
}

/// A prior that is trained: one Gaussian for all users.
#[derive(Module, Debug)]
pub struct LearnedPrior {
    mean: Param<Tensor<1>>,
    log_var: Param<Tensor<1>>,
}

impl LearnedPrior {
    /// Starts as the standard normal in `dim` ≥ 1 coordinates.
    ///
    /// # Errors
    /// A domain error naming `dim`.
    pub fn new(dim: usize, device: &Device) -> Result<Self> {
        check_domain(dim >= 1, "dim", ">= 1", dim as f64)?;
        let zeros = || Param::from_tensor(Tensor::zeros([dim], device));
        Ok(Self { mean: zeros(), log_var: zeros() })
    }

    /// The prior of that many users.
    pub fn forward(&self, num_users: usize) -> LatentGaussian {
        let [dim] = self.mean.dims();
        let rows = |values: Tensor<1>| values.unsqueeze_dim::<2>(0).expand([num_users, dim]);
        LatentGaussian { mean: rows(self.mean.val()), log_var: rows(self.log_var.val()) }
    }
}

/// The log-chance of each pair for somebody of whom nothing is known: the mean of the chances under latents drawn from the
/// prior (at least 64 of them), not the chance of a mean score.
///
/// # Shapes
/// `log_chances`: `[samples, n]`; the result: `[n]`.
///
/// # Errors
/// A domain error naming `log_chances` without a sample.
///
/// # Example
/// ```
/// use accordant_preference::plural::vpl::marginal_log_chances;
/// use burn::tensor::{Device, Tensor};
/// let chances = Tensor::<2>::from_floats([[0.9], [0.1]], &Device::flex());
/// let marginal = marginal_log_chances(chances.log())?.exp().into_scalar::<f32>();
/// assert!((marginal - 0.5).abs() < 1e-6);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn marginal_log_chances(log_chances: Tensor<2>) -> Result<Tensor<1>> {
    let [samples, _] = log_chances.dims();
    check_domain(samples >= 1, "log_chances", "at least one sample", samples as f64)?;
    Ok(log_sum_exp(log_chances, 0).squeeze_dim::<1>(0) - (samples as f64).ln())
}

/// Scores on one scale for all latents: the expected share of a comparison set that a response beats (VPL-SPO).
///
/// ```text
/// r̄(y, z) = mean_{y'} σ(r(y, z) − r(y', z))
/// ```
///
/// What a pairwise likelihood leaves open, the scale of each latent's scores, does not move it out of [0, 1]; mix or compare
/// users' scores after it.
///
/// # Shapes
/// `scores`: `[n]`; `comparison`: `[n, m]`, the scores of the set under the same latent; the result: `[n]`.
///
/// # Errors
/// A shape or dtype error naming `comparison`, a domain error naming it when it is empty.
///
/// # Example
/// ```
/// use accordant_preference::plural::vpl::win_rates;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let comparison = Tensor::from_floats([[1.0 - 3f32.ln(), 1.0]], &device);
/// let rate = win_rates(Tensor::from_floats([1.0], &device), comparison)?.into_scalar::<f32>();
/// assert!((rate - 0.625).abs() < 1e-6); // odds of 3 : 1 and of 1 : 1
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "VPL-SPO")]
#[doc(alias = "SPO scaling")]
pub fn win_rates(scores: Tensor<1>, comparison: Tensor<2>) -> Result<Tensor<1>> {
    let ([n], [_, m]) = (scores.dims(), comparison.dims());
    check_shape("comparison", &[n, m], &comparison.dims())?;
    check_dtype("comparison", scores.dtype(), comparison.dtype())?;
    check_domain(m >= 1, "comparison", "at least one response", m as f64)?;
    Ok(stable::logistic(scores.unsqueeze_dim::<2>(1) - comparison).mean_dim(1).squeeze_dim(1))
}

#[cfg(test)]
mod tests;
