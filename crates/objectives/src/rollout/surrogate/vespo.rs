//! Smooth weights of whole responses (VESPO).
//!
//! **Paper:** VESPO: Variational Sequence-Level Soft Policy Optimization for Stable Off-Policy LLM Training (2026),
//! 2602.10693.
//! **Use when:** rollouts are stale or come from a sampler that differs from the trainer: the weight is that of the whole
//! response, without a division by its length, and corrects for both.
//! **Checked by:** a golden number, golden numbers (TRL), hand-worked values and gradients, laws of surrogates.
//! **Deviations:** none.

use accordant_ops::{check_domain, check_shape, masked::masked_sum, stable::clamp_exponent};
use burn::{
    config::Config,
    tensor::{Bool, Tensor},
};

use super::{Method, Surrogate, Tokens, check_like, reinforce::reinforce_losses};
use crate::Result;

/// Bounds of the log-ratio of the policy to the old one at each token: TRL's.
const TOKEN_BOUND: f64 = 20.0;
/// The largest log-weight, of a token of the sampler and of the response: TRL's.
const LOG_WEIGHT_MAX: f64 = 20.0;
/// The smallest weight: TRL's.
const WEIGHT_MIN: f64 = 1e-8;

/// Losses weighed by the response, one for each token.
///
/// ```text
/// f     = −sg(φ) A log π,   φ = exp(λ + k log w − λ w)
/// log w = Σ_t log ρ_t + c
/// ```
///
/// with `(k, λ)` of gains where A ≥ 0 and of costs elsewhere, and `c` the response's sum of log-ratios of the old policy
/// to its sampler. φ is 1 at w = 1 and goes to 0 on both sides. Every `log ρ_t` lies within ±20, `log w` between log 1e−8
/// and 20, and φ is at most e^20, which only `λ` near 0 would exceed. All weights are constants: the gradient is `−φ A ∇log π`.
///
/// # Shapes
/// `logps`, `log_ratios` of tokens, `advantages` (the last two constants), `mask` and the result: `[rows, seq]`;
/// `row_mismatch`, c: `[rows]`. Finite for finite input.
///
/// # Errors
/// A shape or dtype error naming the argument.
///
/// # Example
/// ```
/// use accordant_objectives::rollout::surrogate::vespo::{VespoConfig, vespo_losses};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let row = |values: [f32; 2]| Tensor::<2>::from_floats([values], &device);
/// let mask = Tensor::full([1, 2], true, &device);
/// let c = Tensor::zeros([1], &device);
/// // Ratios 2 and 1/2: the response as a whole is as likely as before.
/// let ratios = row([2f32.ln(), -2f32.ln()]);
/// let losses = vespo_losses(row([-1.0, -3.0]), ratios, row([1.0, 1.0]), mask, c, &VespoConfig::new())?;
/// let losses = losses.into_data().try_to_vec::<f32>().unwrap();
/// assert!((losses[0] - 1.0).abs() < 1e-6 && (losses[1] - 3.0).abs() < 1e-6);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2602.10693")]
pub fn vespo_losses(
    logps: Tensor<2>,
    log_ratios: Tensor<2>,
    advantages: Tensor<2>,
    mask: Tensor<2, Bool>,
    row_mismatch: Tensor<1>,
    config: &VespoConfig,
) -> Result<Tensor<2>> {
    check_like("log_ratios", &logps, &log_ratios)?;
    check_like("advantages", &logps, &advantages)?;
    check_shape("row_mismatch", &logps.dims()[..1], &row_mismatch.dims())?;
    let log_ratios = clamp_exponent(log_ratios.detach(), Some(TOKEN_BOUND))?;
    let log_weights = masked_sum(log_ratios, mask)? + row_mismatch.detach();
    let log_weights = log_weights.clamp(WEIGHT_MIN.ln(), LOG_WEIGHT_MAX).unsqueeze_dim::<2>(1);
    let weights = log_weights.clone().exp();
    let phi = |k: f64, lambda: f64| {
        (log_weights.clone() * k - weights.clone() * lambda + lambda).clamp_max(LOG_WEIGHT_MAX).exp()
    };
    // Weights of rows meet the advantages before one of them is chosen: choosing among rows that are expanded is slow.
    let gains = advantages.clone() * phi(config.k_positive, config.lambda_positive);
    let costs = advantages.clone() * phi(config.k_negative, config.lambda_negative);
    reinforce_losses(logps, gains.mask_where(advantages.lower_scalar(0.0), costs), None)
}

/// Configuration of [`Vespo`].
#[derive(Config, Debug, PartialEq)]
pub struct VespoConfig {
    /// How fast gains fade for small weights, finite and ≥ 0. 2: the authors' and TRL's.
    #[config(default = 2.0)]
    pub k_positive: f64,
    /// How fast gains fade for large weights, finite and ≥ 0. 3: the authors' and TRL's.
    #[config(default = 3.0)]
    pub lambda_positive: f64,
    /// How fast costs fade for small weights, finite and ≥ 0. 3: the authors' and TRL's.
    #[config(default = 3.0)]
    pub k_negative: f64,
    /// How fast costs fade for large weights, finite and ≥ 0. 2: the authors' and TRL's.
    #[config(default = 2.0)]
    pub lambda_negative: f64,
}

impl VespoConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<Vespo> {
        for (name, value) in [
            ("k_positive", self.k_positive),
            ("lambda_positive", self.lambda_positive),
            ("k_negative", self.k_negative),
            ("lambda_negative", self.lambda_negative),
        ] {
            check_domain(value.is_finite() && value >= 0.0, name, "finite and >= 0", value)?;
        }
        Ok(Vespo { config: self.clone() })
    }
}

/// The surrogate of smooth weights; see [`vespo_losses`].
///
/// The sampler's part `c` is the column [`super::MISMATCH`] where the batch has it; otherwise the sum over the response's
/// tokens of `log π_old − log π_sampler`, each between log 1e−8 and 20, which is 0 without a sampler's log-probabilities.
#[derive(Debug, Clone, PartialEq)]
pub struct Vespo {
    config: VespoConfig,
}

/// `vespo` by name.
pub const METHOD: Method = Method {
    name: "vespo",
    title: "Smooth Weights of Responses",
    build: |options| Ok(Box::new(options.apply("vespo", VespoConfig::new())?.init()?)),
};

impl Surrogate for Vespo {
    fn name(&self) -> &'static str {
        "vespo"
    }

    fn losses(&self, tokens: &Tokens) -> Result<Tensor<2>> {
        let mismatch = match (&tokens.row_mismatch, &tokens.mismatch) {
            (Some(sum), _) => sum.clone(),
            (None, Some(each)) => masked_sum(each.clone().clamp(WEIGHT_MIN.ln(), LOG_WEIGHT_MAX), tokens.mask.clone())?,
            (None, None) => {
                let advantages = &tokens.advantages;
                Tensor::zeros([advantages.dims()[0]], (&advantages.device(), advantages.dtype()))
            }
        };
        vespo_losses(
            tokens.logps.clone(),
            tokens.logps.clone() - tokens.old.clone(),
            tokens.advantages.clone(),
            tokens.mask.clone(),
            mismatch,
            &self.config,
        )
    }

    fn corrects_mismatch(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::{
        surrogate::tests::{close, row, token},
        tests::{host, mask, matrix},
    };

    fn vespo() -> Vespo {
        VespoConfig::new().init().unwrap()
    }

    #[test]
    fn the_golden_value() {
        let (loss, slope) = token(&vespo(), -2.0, 1.5f64.ln(), 1.0);
        close(&[slope, loss], &[-0.5020428603, 2.0 * 0.5020428603], 1e-9);
    }

    #[test]
    fn gains_and_costs_fade_on_their_own() {
        for w in [0.3f64, 1.0, 2.5] {
            let gain = (3.0 + 2.0 * w.ln() - 3.0 * w).exp();
            let cost = (2.0 + 3.0 * w.ln() - 2.0 * w).exp();
            close(&[token(&vespo(), -2.0, w.ln(), 0.5).1], &[-0.5 * gain], 1e-14);
            close(&[token(&vespo(), -2.0, w.ln(), -0.5).1], &[0.5 * cost], 1e-14);
        }
        // The weight is one of the whole response, by the sum: 0.3 + 0.2 − 0.1.
        let phi = (3.0 + 2.0 * 0.4 - 3.0 * 0.4f64.exp()).exp();
        close(&row(&vespo(), [0.3, 0.2, -0.1], 1.0).1, &[-phi; 3], 1e-14);
        // No advantage is a gain without any.
        assert_eq!(token(&vespo(), -2.0, 0.0, 0.0), (0.0, 0.0));
    }

    /// λ = 0 and k = 10: the weight would be e^200, and its product with no advantage NaN in f32.
    #[test]
    fn a_weight_that_does_not_fade_is_finite_in_single_precision() {
        let unfaded = VespoConfig::new().with_k_positive(10.0).with_lambda_positive(0.0);
        let single = |value: f64| matrix([[value]]).cast(burn::tensor::FloatDType::F32);
        for (advantage, expected) in [(1.0, 20f64.exp()), (0.0, 0.0)] {
            let mismatch = single(20.0).reshape([1]);
            let loss = vespo_losses(single(-1.0), single(0.0), single(advantage), mask([[true]]), mismatch, &unfaded);
            let loss = host(loss.unwrap())[0];
            assert!((loss - expected).abs() <= 1e-5 * expected, "{loss}");
        }
    }

    #[test]
    fn weights_have_bounds() {
        let (logps, one, all) = (matrix([[-1.0]]), matrix([[-1.0]]), mask([[true]]));
        let costs = |ratio: f64, c: f64| {
            let row = Tensor::from_data([c], (&logps.device(), logps.dtype()));
            let slow = VespoConfig::new().with_k_negative(0.25).with_lambda_negative(0.0);
            host(vespo_losses(logps.clone(), matrix([[ratio]]), one.clone(), all.clone(), row, &slow).unwrap())[0]
        };
        // λ = 0 and A log π = 1: the loss is −w^(1/4).
        close(&[costs(19.0, 0.0), costs(0.0, 19.0)], &[-4.75f64.exp(); 2], 1e-11);
        close(
            &[costs(30.0, 0.0), costs(0.0, 30.0), costs(30.0, -1.0)],
            &[-5f64.exp(), -5f64.exp(), -4.75f64.exp()],
            1e-11,
        );
        close(&[costs(-18.0, 0.0)], &[-(-4.5f64).exp()], 1e-14);
        close(&[costs(-19.0, 0.0), costs(0.0, -19.0)], &[-0.01; 2], 1e-14);
        close(&[costs(-30.0, 4.0)], &[-(-4f64).exp()], 1e-14);
    }

    #[test]
    fn the_sampler_enters_by_tokens_or_by_a_sum_of_its_own() {
        let tokens = |row_mismatch: Option<f64>| {
            let row = |values| matrix([values]);
            Tokens {
                logps: row([-1.0, -1.0, 0.0]),
                log_ratios: row([9.0; 3]),
                old: row([-1.0, -1.0, 0.0]),
                mismatch: Some(row([0.25, -30.0, 7.0])),
                row_mismatch: row_mismatch
                    .map(|c| Tensor::from_data([c], (&row([0.0; 3]).device(), row([0.0; 3]).dtype()))),
                advantages: row([1.0; 3]),
                mask: mask([[true, true, false]]),
                learned: mask([[true, true, false]]),
            }
        };
        let phi = |c: f64| (3.0 + 2.0 * c - 3.0 * c.exp()).exp();
        let slow = VespoConfig::new().with_k_positive(0.1).init().unwrap();
        let expected = (3.0 + 0.1 * (0.25 + 1e-8f64.ln()).max(1e-8f64.ln()) - 3.0 * (0.25 + 1e-8f64.ln()).exp()).exp();
        close(&host(slow.losses(&tokens(None)).unwrap())[..2], &[expected; 2], 1e-12);
        close(&host(vespo().losses(&tokens(Some(0.5))).unwrap())[..2], &[phi(0.5); 2], 1e-14);
        assert!(vespo().corrects_mismatch());
    }

    #[test]
    fn defaults_and_refused_values() {
        let config = VespoConfig::new();
        assert_eq!((config.k_positive, config.lambda_positive), (2.0, 3.0));
        assert_eq!((config.k_negative, config.lambda_negative), (3.0, 2.0));
        for bad in [-1.0, f64::NAN, f64::INFINITY] {
            for (config, name) in [
                (config.clone().with_k_positive(bad), "k_positive"),
                (config.clone().with_lambda_positive(bad), "lambda_positive"),
                (config.clone().with_k_negative(bad), "k_negative"),
                (config.clone().with_lambda_negative(bad), "lambda_negative"),
            ] {
                let error = config.init().unwrap_err().to_string();
                assert_eq!(error, format!("`{name}`: expected finite and >= 0, got {bad}"));
            }
        }
        let (row, all) = (matrix([[0.0, 0.0]]), mask([[true, true]]));
        let c = row.clone().slice([0..1, 0..2]).reshape([2]);
        let error = vespo_losses(row.clone(), row.clone(), row, all, c, &config).unwrap_err().to_string();
        assert_eq!(error, "`row_mismatch`: expected shape [1], got [2]");
    }
}
