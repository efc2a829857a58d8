//! Clip by covariance (Clip-Cov).
//!
//! **Paper:** The Entropy Mechanism of Reinforcement Learning for Reasoning Language Models (2025), 2505.22617.
//! **Use when:** the policy's entropy collapses: it falls by what probable tokens with high advantages gain.
//! **Checked by:** hand-worked values and gradients, laws of surrogates.
//! **Deviations:** beside the tokens that are left out, ratios are clipped as in PPO, as in verl; bounds of 1 and more
//! are as good as none.

use accordant_ops::{check_domain, item_metrics::numbers};
use burn::{
    config::Config,
    tensor::{Bool, Tensor},
};

use super::{
    Clipped, Method, Surrogate, Tokens,
    clip::{Clip, ClipConfig},
    covariance::Covariances,
};
use crate::Result;

/// Configuration of [`ClipCov`].
#[derive(Config, Debug, PartialEq)]
pub struct ClipCovConfig {
    /// The share of the tokens that is left out, in `(0, 1]`. 2e-4: the paper's.
    #[config(default = 2e-4)]
    pub share: f64,
    /// The smallest covariance of a token that may be left out. 1: the paper's.
    #[config(default = 1.0)]
    pub low: f64,
    /// The largest, ≥ `low`. 5: the paper's.
    #[config(default = 5.0)]
    pub high: f64,
    /// ε below 1, in `[0, 1]`. 1, no bound: the paper's.
    #[config(default = 1.0)]
    pub clip_low: f64,
    /// ε above 1, finite and ≥ 0. 1: the authors' scripts'.
    #[config(default = 1.0)]
    pub clip_high: f64,
    /// Which tokens are drawn.
    #[config(default = 0)]
    pub seed: u64,
}

impl ClipCovConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<ClipCov> {
        check_domain(self.share > 0.0 && self.share <= 1.0, "share", "in (0, 1]", self.share)?;
        check_domain(!self.low.is_nan(), "low", "a number", self.low)?;
        check_domain(self.high >= self.low, "high", ">= low", self.high)?;
        let clip = ClipConfig::new().with_clip_low(self.clip_low).with_clip_high(self.clip_high).init()?;
        Ok(ClipCov { config: self.clone(), clip })
    }
}

/// Clipped losses of which some tokens are left out: 0, without a gradient. See [`ClipCov::left_out`].
///
/// ```text
/// f = 0 for the tokens left out, max(−A ρ, −A clip(ρ, 1 − ε_low, 1 + ε_high)) for the others
/// ```
///
/// # Example
/// ```
/// use accordant_objectives::{Options, rollout::surrogate::build};
/// assert!(build("clip_cov", &Options::new().with("share", 0.01).with("seed", 7)).is_ok());
/// assert!(build("clip_cov", &Options::new().with("share", 0)).is_err());
/// ```
#[doc(alias = "2505.22617")]
#[doc(alias = "Clip-Cov")]
#[derive(Debug, Clone, PartialEq)]
pub struct ClipCov {
    config: ClipCovConfig,
    clip: Clip,
}

impl ClipCov {
    /// The tokens that are left out, `[rows, seq]`: true at a random `share` of the scored ones, at least one, among those
    /// whose covariance `(A − mean A)(log π − mean log π)` is within bounds and whose ratio is not clipped.
    ///
    /// Means and share are those of the tokens that are seen: a micro-batch has its own. The same tokens and the same seed
    /// draw the same, and other batches others. No candidate: none is left out. Reads the device.
    pub fn left_out(&self, tokens: &Tokens) -> Tensor<2, Bool> {
        let covariances = Covariances::new(tokens);
        let [log_ratios, advantages] =
            [&tokens.log_ratios, &tokens.advantages].map(|tensor| numbers(tensor.clone().detach().inner().into_data()));
        let may = |place: usize| self.clip.clipped(log_ratios[place], advantages[place]).is_none();
        let ClipCovConfig { share, low, high, seed, .. } = self.config;
        covariances.at(&covariances.draw(covariances.num_of(share), [low, high], seed, may), &tokens.mask)
    }
}

/// `clip_cov` by name.
pub const METHOD: Method = Method {
    name: "clip_cov",
    title: "Clip by Covariance",
    build: |options| Ok(Box::new(options.apply("clip_cov", ClipCovConfig::new())?.init()?)),
};

impl Surrogate for ClipCov {
    fn name(&self) -> &'static str {
        "clip_cov"
    }

    fn losses(&self, tokens: &Tokens) -> Result<Tensor<2>> {
        Ok(self.clip.losses(tokens)?.mask_fill(self.left_out(tokens), 0.0))
    }

    fn clipped(&self, log_ratio: f64, advantage: f64) -> Option<Clipped> {
        self.clip.clipped(log_ratio, advantage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::{
        surrogate::tests::{close, losses_and_slopes},
        tests::{host, mask, matrix},
    };

    #[test]
    fn only_unclipped_tokens_of_the_right_covariance_are_left_out() {
        // Scored: log π = −1, −1, −3, −3 and A = 2, 2, −2, −2, so that every covariance is 1 · 2; ratios 1, 3, 1, 1/3.
        let old = matrix([[-1.0, -1.0 - 3f64.ln(), 5.0], [-3.0, -3.0 + 3f64.ln(), 5.0]]);
        let policy = matrix([[-1.0, -1.0, -9.0], [-3.0, -3.0, -9.0]]);
        let advantages = matrix([[2.0, 2.0, 80.0], [-2.0, -2.0, 80.0]]);
        let scored = mask([[true, true, false], [true, true, false]]);
        let run = |config: ClipCovConfig| {
            let surrogate = config.with_clip_low(0.5).init().unwrap();
            losses_and_slopes(&surrogate, policy.clone(), old.clone(), scored.clone(), advantages.clone())
        };
        let all = ClipCovConfig::new().with_share(1.0);
        let (losses, slopes) = run(all.clone());
        close(&losses, &[0.0, -4.0, 0.0, 0.0, 1.0, 0.0], 1e-14);
        assert_eq!(slopes, [0.0; 6]);
        // One of the two, and with another seed the other one.
        let one = |seed| run(all.clone().with_share(0.3).with_seed(seed)).1;
        let counts = (0..64).fold([0, 0], |[a, b], seed| {
            let slopes = one(seed);
            assert_eq!((slopes[0] == 0.0) as u8 + (slopes[3] == 0.0) as u8, 1, "{slopes:?}");
            [a + (slopes[0] == 0.0) as u32, b + (slopes[3] == 0.0) as u32]
        });
        // Both at least once but for 1 of 2^63 sets of seeds.
        assert!(counts[0] > 0 && counts[1] > 0);
        assert_eq!(one(3), one(3));
        // Out of bounds, all are learned from.
        for config in [all.clone().with_low(2.1), all.with_low(-3.0).with_high(1.9)] {
            close(&run(config).1, &[-2.0, 0.0, 0.0, 2.0, 0.0, 0.0], 1e-14);
        }
        let none = mask([[false, false, false], [false, false, false]]);
        let surrogate = ClipCovConfig::new().init().unwrap();
        let (losses, _) = losses_and_slopes(&surrogate, policy.clone(), old.clone(), none, advantages.clone());
        assert_eq!(losses, [0.0; 6]);
        assert_eq!(host(advantages).len(), 6);
    }

    #[test]
    fn ratios_are_clipped_as_in_ppo() {
        let clip = ClipCovConfig::new().with_clip_low(0.5).with_clip_high(0.25).init().unwrap();
        assert_eq!(clip.clipped(1.3f64.ln(), 1.0), Some(Clipped::High));
        assert_eq!(clip.clipped(0.4f64.ln(), -1.0), Some(Clipped::Low));
        assert_eq!((clip.clipped(1.2f64.ln(), 1.0), clip.clipped(0.6f64.ln(), -1.0)), (None, None));
    }

    #[test]
    fn defaults_and_refused_values() {
        let config = ClipCovConfig::new();
        assert_eq!((config.share, config.low, config.high), (2e-4, 1.0, 5.0));
        assert_eq!((config.clip_low, config.clip_high, config.seed), (1.0, 1.0, 0));
        for share in [0.0, 1.1, f64::NAN] {
            let error = config.clone().with_share(share).init().unwrap_err().to_string();
            assert_eq!(error, format!("`share`: expected in (0, 1], got {share}"));
        }
        assert_eq!(config.clone().with_low(6.0).init().unwrap_err().to_string(), "`high`: expected >= low, got 5");
        assert!(config.clone().with_low(5.0).init().is_ok());
        assert!(config.clone().with_low(f64::NAN).init().unwrap_err().to_string().starts_with("`low`"));
        assert!(config.clone().with_clip_low(1.5).init().unwrap_err().to_string().starts_with("`clip_low`"));
    }
}
