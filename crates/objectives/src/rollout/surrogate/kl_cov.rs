//! Penalty by covariance (KL-Cov).
//!
//! **Paper:** The Entropy Mechanism of Reinforcement Learning for Reasoning Language Models (2025), 2505.22617.
//! **Use when:** the policy's entropy collapses, and leaving tokens out ([`super::clip_cov`]) is too coarse.
//! **Checked by:** hand-worked values and gradients, laws of surrogates.
//! **Deviations:** none.

use accordant_ops::check_domain;
use burn::{
    config::Config,
    tensor::{Bool, Tensor},
};

use super::{Method, Surrogate, Tokens, covariance::Covariances, importance::importance_losses};
use crate::Result;

/// Configuration of [`KlCov`].
#[derive(Config, Debug, PartialEq)]
pub struct KlCovConfig {
    /// The share of the tokens that is held back, in `(0, 1]`. 2e-4: verl's.
    #[config(default = 2e-4)]
    pub share: f64,
    /// Weight of their distance from the old policy, finite and ≥ 0. 1: the paper's; verl's default is 0.1.
    #[config(default = 1.0)]
    pub kl_coef: f64,
}

impl KlCovConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<KlCov> {
        check_domain(self.share > 0.0 && self.share <= 1.0, "share", "in (0, 1]", self.share)?;
        check_domain(self.kl_coef.is_finite() && self.kl_coef >= 0.0, "kl_coef", "finite and >= 0", self.kl_coef)?;
        Ok(KlCov { config: self.clone() })
    }
}

/// Importance-weighted losses, with a penalty on the tokens that are held back; see [`KlCov::held_back`].
///
/// ```text
/// f = −A ρ + c |log ρ| for the tokens held back, −A ρ for the others
/// ```
///
/// At ρ = 1 the penalty has gradient 0.
///
/// # Example
/// ```
/// use accordant_objectives::{Options, rollout::surrogate::build};
/// assert!(build("kl_cov", &Options::new().with("share", 0.01)).is_ok());
/// assert!(build("kl_cov", &Options::new().with("kl_coef", -1)).is_err());
/// ```
#[doc(alias = "2505.22617")]
#[doc(alias = "KL-Cov")]
#[derive(Debug, Clone, PartialEq)]
pub struct KlCov {
    config: KlCovConfig,
}

impl KlCov {
    /// The tokens that are held back, `[rows, seq]`: true at the `share` of the scored ones, at least one, with the
    /// largest covariances `(A − mean A)(log π − mean log π)`; of equal ones the earlier.
    ///
    /// Means and share are those of the tokens that are seen: a micro-batch has its own. Reads the device.
    pub fn held_back(&self, tokens: &Tokens) -> Tensor<2, Bool> {
        let covariances = Covariances::new(tokens);
        covariances.at(&covariances.largest(covariances.num_of(self.config.share)), &tokens.mask)
    }
}

/// `kl_cov` by name.
pub const METHOD: Method = Method {
    name: "kl_cov",
    title: "Penalty by Covariance",
    build: |options| Ok(Box::new(options.apply("kl_cov", KlCovConfig::new())?.init()?)),
};

impl Surrogate for KlCov {
    fn name(&self) -> &'static str {
        "kl_cov"
    }

    fn losses(&self, tokens: &Tokens) -> Result<Tensor<2>> {
        let free = self.held_back(tokens).bool_not();
        let penalties = tokens.log_ratios.clone().abs().mask_fill(free, 0.0) * self.config.kl_coef;
        Ok(importance_losses(tokens.log_ratios.clone(), tokens.advantages.clone(), 0.0)? + penalties)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::{
        surrogate::tests::{close, losses_and_slopes},
        tests::{mask, matrix},
    };

    #[test]
    fn the_tokens_of_the_largest_covariances_pay_for_leaving_the_old_policy() {
        // Means −2 and 1/2; covariances of the four scored: (2.5)(1), (−1.5)(1), (−0.5)(−1), (−0.5)(−1).
        let policy = matrix([[-1.0, -1.0, -9.0], [-3.0, -3.0, -9.0]]);
        let old = matrix([[-1.5, -1.0, 5.0], [-3.0, -2.75, 5.0]]);
        let advantages = matrix([[3.0, -1.0, 80.0], [0.0, 0.0, 80.0]]);
        let scored = mask([[true, true, false], [true, true, false]]);
        let run = |share: f64| {
            let surrogate = KlCovConfig::new().with_share(share).with_kl_coef(0.5).init().unwrap();
            losses_and_slopes(&surrogate, policy.clone(), old.clone(), scored.clone(), advantages.clone())
        };
        let ratio = 0.5f64.exp();
        let (losses, slopes) = run(1e-3);
        close(&losses, &[-3.0 * ratio + 0.25, 1.0, 0.0, 0.0, 0.0, 0.0], 1e-14);
        close(&slopes, &[-3.0 * ratio + 0.5, 1.0, 0.0, 0.0, 0.0, 0.0], 1e-14);
        // Two: the earlier one of the two that are equal, whose ratio is 1.
        close(&run(0.5).0, &losses, 1e-14);
        let (losses, slopes) = run(0.75);
        close(&losses, &[-3.0 * ratio + 0.25, 1.0, 0.0, 0.0, 0.125, 0.0], 1e-14);
        close(&slopes, &[-3.0 * ratio + 0.5, 1.0, 0.0, 0.0, -0.5, 0.0], 1e-14);
        let none = mask([[false, false, false], [false, false, false]]);
        let surrogate = KlCovConfig::new().init().unwrap();
        assert_eq!(losses_and_slopes(&surrogate, policy, old, none, advantages).0, [0.0; 6]);
    }

    #[test]
    fn defaults_and_refused_values() {
        assert_eq!(KlCovConfig::new(), KlCovConfig { share: 2e-4, kl_coef: 1.0 });
        for share in [0.0, 1.1, f64::NAN] {
            let error = KlCovConfig::new().with_share(share).init().unwrap_err().to_string();
            assert_eq!(error, format!("`share`: expected in (0, 1], got {share}"));
        }
        for kl_coef in [-1.0, f64::NAN, f64::INFINITY] {
            let error = KlCovConfig::new().with_kl_coef(kl_coef).init().unwrap_err().to_string();
            assert_eq!(error, format!("`kl_coef`: expected finite and >= 0, got {kl_coef}"));
        }
    }
}
