//! Optimal Token Baseline (OTB): at each step, the mean reward to go of the group, weighted by how uncertain each response
//! has been so far.
//!
//! **Paper:** The Optimal Token Baseline: Variance Reduction for Long-Horizon LLM-RL (2026), 2602.07078.
//! **Use when:** responses are long, groups small and the variance of the gradient is what stops training. Needs what no
//! other estimator does: the sum of squared probabilities at each token.
//! **Checked by:** hand-worked values, the centered reward at equal weights, laws of estimators.
//! **Deviations:** steps count scored tokens, as verl does in its form for several turns; no 1e-8 in the denominator:
//! where nothing has weight, no gradient has a size, and advantages are 0.

use accordant_ops::{check_shape, groups::Groups};
use burn::{
    config::Config,
    tensor::{Bool, Tensor},
};

use super::{
    Advantages, Estimator, Method, RewardBatch, Scaling, Shift,
    gae::reward_to_go,
    scan::{Reader, Rows},
    token_rewards::TokenRewardConfig,
};
use crate::Result;

/// Returns less the optimal baseline of their step.
///
/// ```text
/// W_{i,t} = Σ_{s ≤ t} (1 − 2 p_{i,s} + Σ_v p_{i,s,v}²)
/// B_t     = Σ_i W_{i,t} G_{i,t} / Σ_i W_{i,t},        A_{i,t} = G_{i,t} − B_t
/// ```
///
/// `p` is the probability of the token that was sampled, the term in brackets the squared length of the gradient with
/// respect to the logits; `t` counts the scored tokens of a row, and `i` runs over the group's responses that reach it. The
/// last ones to go on therefore get 0, and so does a response without siblings.
///
/// # Shapes
/// `returns` (rewards to go), `old_logps` (of the sampled tokens, in nats), `sum_sq_probs` (in `(0, 1]`) and `mask`:
/// `[rows, seq]`; `groups`: `[rows]`. The result is `[rows, seq]`, a constant, in f64 for f64 returns and f32 otherwise; 0
/// where the mask is false, whatever stands there.
///
/// # Errors
/// A shape error naming the argument.
///
/// # Example
/// ```
/// use accordant_objectives::advantage::optimal_token_baseline::optimal_token_advantages;
/// use accordant_ops::groups::Groups;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let returns = Tensor::from_floats([[1.0], [5.0]], &device);
/// let logps = Tensor::from_floats([[0.5f32.ln()], [0.25f32.ln()]], &device);
/// let sum_sq_probs = Tensor::from_floats([[0.5], [0.25]], &device);
/// let mask = Tensor::full([2, 1], true, &device);
/// let advantages = optimal_token_advantages(returns, logps, sum_sq_probs, mask, &Groups::new(&[0, 0]))?;
/// // Weights 1 − 1 + 1/2 and 1 − 1/2 + 1/4: the baseline is (0.5 · 1 + 0.75 · 5) / 1.25 = 3.4.
/// let advantages = advantages.try_to_vec_as::<f32>().unwrap();
/// assert!((advantages[0] + 2.4).abs() < 1e-6 && (advantages[1] - 1.6).abs() < 1e-6);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2602.07078")]
#[doc(alias = "The Optimal Token Baseline: Variance Reduction for Long-Horizon LLM-RL")]
pub fn optimal_token_advantages(
    returns: Tensor<2>,
    old_logps: Tensor<2>,
    sum_sq_probs: Tensor<2>,
    mask: Tensor<2, Bool>,
    groups: &Groups,
) -> Result<Tensor<2>> {
    let rows = Rows::new(&mask, &returns);
    rows.check_tokens("returns", returns.dims())?;
    rows.check_tokens("old_logps", old_logps.dims())?;
    rows.check_tokens("sum_sq_probs", sum_sq_probs.dims())?;
    check_shape("groups", &[rows.batch], &[groups.len()])?;
    let mut columns = Reader::default().floats(&returns).floats(&old_logps).floats(&sum_sq_probs).bools(&mask).read();
    let (returns, logps, sum_sq_probs, mask) = (columns.floats(), columns.floats(), columns.floats(), columns.bools());

    let kept = rows.kept(&mask);
    let mut weights = vec![0.0; returns.len()];
    for row in &kept {
        let mut so_far = 0.0;
        for &at in row {
            // Never negative but by rounding, where a token is certain.
            so_far += (1.0 - 2.0 * logps[at].exp() + sum_sq_probs[at]).max(0.0);
            weights[at] = so_far;
        }
    }
    let mut members = vec![Vec::new(); groups.sizes().len()];
    groups.numbers().iter().zip(&kept).for_each(|(number, row)| members[*number].push(row));
    let mut advantages = vec![0.0; returns.len()];
    for group in members {
        let longest = group.iter().map(|row| row.len()).max().unwrap_or(0);
        for step in 0..longest {
            let tokens: Vec<usize> = group.iter().filter_map(|row| row.get(step)).copied().collect();
            let total: f64 = tokens.iter().map(|at| weights[*at]).sum();
            if total == 0.0 {
                continue;
            }
            // From one of them: equal returns are exactly their own mean.
            let pivot = returns[tokens[0]];
            let mean = tokens.iter().map(|at| weights[*at] * (returns[*at] - pivot)).sum::<f64>() / total;
            tokens.iter().for_each(|at| advantages[*at] = returns[*at] - pivot - mean);
        }
    }
    Ok(rows.write(advantages))
}

/// Configuration of [`OptimalTokenBaseline`], which has nothing to configure.
#[derive(Config, Debug, PartialEq)]
pub struct OptimalTokenBaselineConfig {}

impl OptimalTokenBaselineConfig {
    /// The estimator.
    ///
    /// # Errors
    /// None.
    pub fn init(&self) -> Result<OptimalTokenBaseline> {
        Ok(OptimalTokenBaseline {})
    }
}

/// Rewards from each token on, less the optimal baseline of the step; see [`optimal_token_advantages`].
#[derive(Debug, Clone, PartialEq)]
pub struct OptimalTokenBaseline {}

/// `optimal_token_baseline` by name.
pub const METHOD: Method = Method {
    name: "optimal_token_baseline",
    title: "Optimal Token Baseline",
    build: |options| Ok(Box::new(options.apply("optimal_token_baseline", OptimalTokenBaselineConfig::new())?.init()?)),
};

impl Estimator for OptimalTokenBaseline {
    fn name(&self) -> &'static str {
        "optimal_token_baseline"
    }

    fn needs_sum_sq_probs(&self) -> bool {
        true
    }

    fn shift(&self) -> Shift {
        Shift::IgnoredByGroup
    }

    fn scaling(&self) -> Scaling {
        Scaling::Kept
    }

    fn estimate(&self, batch: &RewardBatch) -> Result<Advantages> {
        let rewards = batch.token_rewards(&TokenRewardConfig::new(), self.name())?;
        let returns = reward_to_go(rewards.rewards, rewards.mask.clone(), 1.0)?;
        let (logps, sum_sq_probs) = (batch.old_logps(self.name())?, batch.sum_sq_probs(self.name())?);
        let advantages = optimal_token_advantages(returns, logps, sum_sq_probs, rewards.mask, batch.groups())?;
        Advantages::of_tokens(batch, advantages)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advantage::{
        scan::tests::{grid, keep, near},
        tests::{advantages, batch, flat},
    };

    const JUNK: f64 = f64::NAN;

    /// The logarithm of each probability, kept NaN.
    fn logs<const N: usize>(probs: [[f64; N]; 3]) -> Tensor<2> {
        grid(&probs.map(|row| row.map(f64::ln)))
    }

    #[test]
    fn weights_add_up_along_a_row_and_steps_count_scored_tokens() {
        // Weights 0.5, 1.25; 0.25, 0.75 and one more step; another group.
        let logps = logs([[0.5, JUNK, 0.25, JUNK], [JUNK, 0.75, 0.5, 0.5], [0.5, JUNK, JUNK, JUNK]]);
        let squares = grid(&[[0.5, JUNK, 0.25, JUNK], [JUNK, 0.75, 0.5, 0.5], [0.5, JUNK, JUNK, JUNK]]);
        let returns = grid(&[[4.0, JUNK, 8.0, JUNK], [JUNK, 1.0, -2.0, 5.0], [3.0, JUNK, JUNK, JUNK]]);
        let mask = keep(&[[1, 0, 1, 0], [0, 1, 1, 1], [1, 0, 0, 0]]);
        let got = optimal_token_advantages(returns, logps, squares, mask, &Groups::new(&[1, 1, 2])).unwrap();
        let first = (0.5 * 4.0 + 0.25 * 1.0) / 0.75;
        let second = (1.25 * 8.0 - 0.75 * 2.0) / 2.0;
        let expected = [4.0 - first, 0.0, 8.0 - second, 0.0, 0.0, 1.0 - first, -2.0 - second, 0.0, 0.0, 0.0, 0.0, 0.0];
        near(&flat(&got), &expected, 1e-14);
    }

    #[test]
    fn where_every_response_is_certain_nothing_is_learned() {
        let sure = || grid(&[[1.0], [1.0]]);
        let got = optimal_token_advantages(
            grid(&[[1.0], [5.0]]),
            grid(&[[0.0], [0.0]]),
            sure(),
            keep(&[[1], [1]]),
            &Groups::new(&[1, 1]),
        );
        assert_eq!(flat(&got.unwrap()), [0.0, 0.0]);
        // A sum of squares that was rounded down makes no negative weight: only the other response has one.
        let got = optimal_token_advantages(
            grid(&[[1.0], [5.0]]),
            grid(&[[0.0], [0.5f64.ln()]]),
            grid(&[[1.0 - 1e-7], [0.5]]),
            keep(&[[1], [1]]),
            &Groups::new(&[1, 1]),
        );
        assert_eq!(flat(&got.unwrap()), [-4.0, 0.0]);
    }

    #[test]
    fn equal_weights_give_the_centered_reward() {
        let rows = batch(&[3.0, -1.0, 1.0, f64::NAN], &[1; 4], &[[1, 1]; 4]);
        let rows = rows.with_old_logps(grid(&[[0.5f64.ln(); 2]; 4])).unwrap();
        let error = OptimalTokenBaseline {}.estimate(&rows).unwrap_err().to_string();
        assert!(error.starts_with("`optimal_token_baseline` needs `sum_sq_probs`"), "{error}");
        let rows = rows.with_sum_sq_probs(grid(&[[0.5; 2]; 4])).unwrap();
        let got = advantages(&OptimalTokenBaselineConfig::new().init().unwrap(), &rows);
        near(&got, &[2.0, 2.0, -2.0, -2.0, 0.0, 0.0, 0.0, 0.0], 1e-15);
        let bare = batch(&[3.0], &[1], &[[1]]);
        let error = OptimalTokenBaseline {}.estimate(&bare).unwrap_err().to_string();
        assert!(error.starts_with("`optimal_token_baseline` needs `old_logps`"), "{error}");
    }

    #[test]
    fn wrong_shapes_are_errors() {
        let good = || grid(&[[0.0; 2]; 2]);
        let bad = || grid(&[[0.0; 2]]);
        let mask = || keep(&[[1, 1], [1, 1]]);
        let groups = Groups::new(&[1, 1]);
        for (result, name) in [
            (optimal_token_advantages(bad(), good(), good(), mask(), &groups), "`returns`"),
            (optimal_token_advantages(good(), bad(), good(), mask(), &groups), "`old_logps`"),
            (optimal_token_advantages(good(), good(), bad(), mask(), &groups), "`sum_sq_probs`"),
            (optimal_token_advantages(good(), good(), good(), mask(), &Groups::new(&[1])), "`groups`"),
        ] {
            let error = result.unwrap_err().to_string();
            assert!(error.starts_with(name), "{error}");
        }
    }
}
