//! Estimators of the divergence from a reference policy.
//!
//! On tokens sampled from the policy π, with `u = log π - log π_ref`:
//!
//! | estimator | value | expected value | expected gradient as a loss | for |
//! |---|---|---|---|---|
//! | [`K1`](KlEstimator::K1) | `u` | KL(π ‖ π_ref) | **0**: as a loss it does nothing | the reward, detached; metrics |
//! | [`Abs`](KlEstimator::Abs) | abs(u) | not a KL | of Σ abs(π - π_ref), twice the total variation | comparison with verl |
//! | [`K2`](KlEstimator::K2) | `u²/2` | not the KL; equal to second order | of KL(π ‖ π_ref) | the loss |
//! | [`K3`](KlEstimator::K3) | `exp(-u) - 1 + u` | KL(π ‖ π_ref) | of KL(π_ref ‖ π), the other direction | the loss in GRPO; metrics |
//! | [`kl_full`] | `Σ_v π (log π - log π_ref)` | exact | exact | distillation, small vocabularies |
//!
//! A KL in the **reward** (detached, K1) and a KL in the **loss** are two algorithms, and adding both is rarely meant.
//! The loss differentiates the current token's conditional only; a reward with reward-to-go also sees how earlier
//! tokens change the states that follow; neither is wrong. [`KlGradient::K2StraightThrough`] reports any estimator and
//! descends by K2. On tokens sampled from π_old, [`importance_corrected`] K1 or K3 has the value and the gradient of
//! KL(π ‖ π_ref). [`kl_means`] is what to log and to steer [`AdaptiveKl`](crate::adaptive_kl::AdaptiveKl) by.
//!
//! K1 to K3 are named in J. Schulman, "Approximating KL Divergence" (2020). Everything here is in nats, in f32 (f64 for
//! f64 input).

use burn::config::Config;
use burn::tensor::{Bool, Tensor};
use serde::{Deserialize, Serialize};

use crate::masked::masked_sum_all;
use crate::stable::{LOG_RATIO_CLAMP, clamp_exponent, expm1_minus_x, wide};
// Not `Result`: the code that burn's `Config` derives needs the standard one in scope.
use crate::{Means, check_domain, check_shape};

/// What is computed from the log-ratio of a sampled token. The module's table says what each is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum KlEstimator {
    /// `u`: unbiased, of either sign.
    K1,
    /// The absolute value of `u`; gradient 0 at 0.
    Abs,
    /// `u²/2`.
    K2,
    /// `exp(-u) - 1 + u`: unbiased and never negative.
    K3,
}

/// Which gradient an estimated divergence has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum KlGradient {
    /// That of the estimator itself, 0 where a clamp binds.
    #[default]
    Natural,
    /// That of K2 without clamps, which is KL(π ‖ π_ref)'s on average; verl's suffix `+`.
    K2StraightThrough,
}

/// How [`kl_per_token`] estimates a divergence.
#[derive(Config, Debug, Copy, PartialEq)]
pub struct KlOptions {
    /// Has no default: in the reward it is usually K1, in the loss K3.
    pub estimator: KlEstimator,
    /// Bounds the log-ratio of K3 to ±this, in nats, finite and > 0: beyond, its value is constant and its natural
    /// gradient 0. 20 is verl's; TRL has none, and f32 overflows at 88.
    #[config(default = "Some(LOG_RATIO_CLAMP)")]
    pub exponent_clamp: Option<f64>,
    /// Bounds the value of every estimator to ±this, finite and > 0. None is TRL's; verl takes 10 for K3.
    pub value_clamp: Option<f64>,
    /// The estimator's own gradient or K2's. Natural is TRL's.
    #[config(default = "KlGradient::Natural")]
    pub gradient: KlGradient,
}

impl KlOptions {
    /// Checks the domains of the fields.
    ///
    /// # Errors
    /// [`crate::Error::Domain`] naming the clamp that is not finite and > 0.
    pub fn validate(&self) -> crate::Result<()> {
        for (name, clamp) in [("exponent_clamp", self.exponent_clamp), ("value_clamp", self.value_clamp)] {
            if let Some(clamp) = clamp {
                check_domain(clamp.is_finite() && clamp > 0.0, name, "finite and > 0", clamp)?;
            }
        }
        Ok(())
    }
}

/// The estimated divergence of each token from the log-probabilities that policy and reference give it.
///
/// The reference is a constant. Equal log-probabilities give exactly 0. The function is element by element and knows no
/// mask: fill masked positions of **both** inputs first (`mask_fill(dropped, 0.0)`), since masking the result would
/// keep a NaN out of the loss but not out of the gradient. An infinite log-ratio gives an infinite or NaN gradient.
///
/// # Shapes
/// `policy`, `reference` and the result: the same `[..]`, mostly `[batch, seq]`. The result is f32, or f64 when
/// `policy` is.
///
/// # Errors
/// [`crate::Error::ShapeMismatch`] when the shapes differ; [`crate::Error::Domain`] from [`KlOptions::validate`].
///
/// # Example
/// ```
/// use accordant_ops::kl::{KlEstimator, KlOptions, kl_per_token};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let policy = Tensor::<1>::from_floats([-1.0, -1.0], &device);
/// let reference = Tensor::<1>::from_floats([-1.0, -3.0], &device);
/// let kl = kl_per_token(policy, reference, &KlOptions::new(KlEstimator::K3))?;
/// let kl = kl.into_data().try_to_vec::<f32>().unwrap();
/// assert_eq!(kl[0], 0.0);
/// assert!((kl[1] - 1.135_335).abs() < 1e-6); // u = 2: exp(-2) - 1 + 2
/// # Ok::<(), accordant_ops::Error>(())
/// ```
pub fn kl_per_token<const D: usize>(
    policy: Tensor<D>,
    reference: Tensor<D>,
    options: &KlOptions,
) -> crate::Result<Tensor<D>> {
    check_shape("reference", &policy.dims(), &reference.dims())?;
    options.validate()?;
    let dtype = wide(policy.dtype());
    let u = policy.cast(dtype) - reference.detach().cast(dtype);
    let value = match options.estimator {
        KlEstimator::K1 => u.clone(),
        KlEstimator::Abs => u.clone().abs(),
        KlEstimator::K2 => half_square(u.clone()),
        KlEstimator::K3 => expm1_minus_x(clamp_exponent(u.clone().neg(), options.exponent_clamp)?),
    };
    let value = match options.value_clamp {
        Some(clamp) => value.clamp(-clamp, clamp),
        None => value,
    };
    Ok(match options.gradient {
        KlGradient::Natural => value,
        KlGradient::K2StraightThrough => {
            let k2 = half_square(u);
            (k2.clone() - k2.detach()) + value.detach()
        }
    })
}

fn half_square<const D: usize>(u: Tensor<D>) -> Tensor<D> {
    u.square() * 0.5
}

/// An estimated divergence on tokens sampled from π_old, corrected to π: `kl · exp(log_ratio)`, gradient through both.
///
/// For K1 and K3 with their natural gradients, value and gradient are those of KL(π ‖ π_ref) on average; uncorrected,
/// neither is. With a ratio of the whole row, `log_ratio` is the row's, repeated.
///
/// # Shapes
/// `kl`, `log_ratio` (`log π - log π_old`, π_old detached) and the result: the same `[..]`. `log_ratio_clamp` bounds
/// `log_ratio` to ±itself, in nats ([`LOG_RATIO_CLAMP`] is usual); beyond, the ratio is constant.
///
/// # Errors
/// [`crate::Error::ShapeMismatch`] naming `log_ratio`; [`crate::Error::Domain`] when the clamp is not finite and > 0.
///
/// # Example
/// ```
/// use accordant_ops::kl::importance_corrected;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let kl = Tensor::<1>::from_floats([0.5], &device);
/// let log_ratio = Tensor::<1>::from_floats([2f32.ln()], &device); // twice as likely as when it was sampled
/// assert_eq!(importance_corrected(kl, log_ratio, Some(20.0))?.into_scalar::<f32>(), 1.0);
/// # Ok::<(), accordant_ops::Error>(())
/// ```
pub fn importance_corrected<const D: usize>(
    kl: Tensor<D>,
    log_ratio: Tensor<D>,
    log_ratio_clamp: Option<f64>,
) -> crate::Result<Tensor<D>> {
    check_shape("log_ratio", &kl.dims(), &log_ratio.dims())?;
    if let Some(clamp) = log_ratio_clamp {
        check_domain(clamp.is_finite() && clamp > 0.0, "log_ratio_clamp", "finite and > 0", clamp)?;
    }
    let dtype = wide(kl.dtype());
    Ok(kl.cast(dtype) * clamp_exponent(log_ratio.cast(dtype), log_ratio_clamp)?.exp())
}

/// What is logged of per-token divergences: `kl_token`, their mean over the kept tokens, and `kl_seq`, the mean over
/// rows of their sum. The two differ by the mean length.
///
/// Rows without a kept token do not count. Reads the device once.
///
/// # Shapes
/// `kl` (of [`kl_per_token`]) and `mask`: `[batch, seq]`.
///
/// # Errors
/// [`crate::Error::ShapeMismatch`] naming `mask`.
///
/// # Example
/// ```
/// use accordant_ops::kl::kl_means;
/// use burn::tensor::{Device, Tensor, TensorData};
/// let device = Device::flex();
/// let kl = Tensor::from_floats([[1.0, 2.0, 3.0], [6.0, f32::NAN, f32::NAN]], &device);
/// let mask = TensorData::from([[true, true, true], [true, false, false]]);
/// let means = kl_means(kl, Tensor::from_bool(mask, &device))?;
/// assert_eq!((means.mean("kl_token"), means.mean("kl_seq")), (Some(3.0), Some(6.0))); // 12 / 4 and 12 / 2
/// # Ok::<(), accordant_ops::Error>(())
/// ```
#[doc(alias = "approx_kl")]
pub fn kl_means(kl: Tensor<2>, mask: Tensor<2, Bool>) -> crate::Result<Means> {
    let sum = masked_sum_all(kl.detach(), mask.clone())?;
    let counts = mask.cast(wide(sum.dtype())).sum_dim(1);
    let sums = Tensor::cat(vec![sum, counts.clone().sum(), counts.clamp_max(1.0).sum()], 0);
    let sums = sums.into_data().convert::<f64>();
    let mut means = Means::default();
    if let &[sum, tokens, rows] = sums.as_slice::<f64>().expect("converted to f64") {
        means.add("kl_token", sum, tokens);
        means.add("kl_seq", sum, rows);
    }
    Ok(means)
}

/// The exact divergence KL(policy ‖ reference) = Σ_v p_v (log p_v - log q_v) of whole distributions.
///
/// `policy_log_probs` and `reference_log_probs` must be normalized (log-softmaxes); the reference is a constant. Tokens
/// whose probability under the policy is 0 in this dtype add nothing, to value or gradient (0 log 0 = 0). A reference
/// of -∞ where the policy has mass gives +∞, with an infinite gradient. The result can be negative by rounding, to
/// about 1e-7 in f32. An empty vocabulary gives 0.
///
/// # Shapes
/// Both: `[.., v]`, of rank `D`; the result `[..]`, of rank `R` = `D` - 1 (anything else does not compile). Memory: a
/// few times `[.., v]`. The result is f32, or f64 when `policy_log_probs` is.
///
/// # Errors
/// [`crate::Error::ShapeMismatch`] when the shapes differ.
///
/// # Example
/// ```
/// use accordant_ops::kl::kl_full;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let policy = Tensor::<2>::from_floats([[1.0, 0.0], [0.5, 0.5]], &device).log();
/// let reference = Tensor::<2>::from_floats([[0.5, 0.5], [0.5, 0.5]], &device).log();
/// let kl: Tensor<1> = kl_full(policy, reference)?;
/// assert_eq!(kl.into_data().try_to_vec::<f32>().unwrap(), [2f32.ln(), 0.0]);
/// # Ok::<(), accordant_ops::Error>(())
/// ```
pub fn kl_full<const D: usize, const R: usize>(
    policy_log_probs: Tensor<D>,
    reference_log_probs: Tensor<D>,
) -> crate::Result<Tensor<R>> {
    const { assert!(R + 1 == D, "the result of kl_full has one axis less than its arguments") }
    check_shape("reference_log_probs", &policy_log_probs.dims(), &reference_log_probs.dims())?;
    let dtype = wide(policy_log_probs.dtype());
    let (policy_log_probs, reference) = (policy_log_probs.cast(dtype), reference_log_probs.detach().cast(dtype));
    let absent = policy_log_probs.clone().exp().equal_scalar(0.0);
    let policy = policy_log_probs.mask_fill(absent.clone(), 0.0);
    let log_ratio = policy.clone() - reference.mask_fill(absent.clone(), 0.0);
    Ok((policy.exp() * log_ratio).mask_fill(absent, 0.0).sum_dim(D - 1).squeeze_dim(D - 1))
}

#[cfg(test)]
mod tests;
