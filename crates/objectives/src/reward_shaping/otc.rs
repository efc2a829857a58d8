//! Optimal tool calls (OTC-PO): right answers count more the fewer tools they called.
//!
//! **Paper:** OTC: Optimal Tool Calls via Reinforcement Learning (2025), 2504.14870.
//! **Use when:** tools cost time or money and the policy calls more of them than it needs.
//! **Checked by:** golden and hand-worked values, properties under proptest.
//! **Deviations:** none known; the formulas are the published ones, not read in code. Where the paper writes
//! `sin(f π / (2n))` with `f = 2nm/(m + n)`, this is `sin(π m/(m + n))`, the same number.
//!
//! Two rewards for tools: [`ppo_tool_rewards`] for a single response to each prompt, [`group_tool_rewards`] for groups,
//! with the fewest calls that solved the prompt ([`fewest_calls`]) as the optimum. Either is multiplied by correctness,
//! so that a wrong answer gets 0 however few its calls.

use core::f64::consts::PI;

use accordant_ops::groups::Groups;
use burn::config::Config;

use super::values::{check_len, check_non_negative, check_positive, check_verdicts};
use crate::Result;

/// Tool rewards without a known optimum, OTC-PPO.
///
/// ```text
/// r_tool = cos(m π / (2m + c))
/// ```
///
/// `calls` (m): tool calls of each response. `smoothing` (c): finite and > 0; the largest number of turns in the paper.
/// 1 without a call, falling with each, towards 0.
///
/// # Errors
/// A domain error naming `smoothing`.
///
/// # Example
/// ```
/// use accordant_objectives::reward_shaping::otc::ppo_tool_rewards;
/// let rewards = ppo_tool_rewards(&[0, 2], 4.0)?;
/// assert_eq!(rewards[0], 1.0);
/// assert!((rewards[1] - 0.5f64.sqrt()).abs() < 1e-15); // cos(π/4)
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2504.14870")]
#[doc(alias = "OTC: Optimal Tool Calls via Reinforcement Learning")]
#[doc(alias = "OTC-PPO")]
pub fn ppo_tool_rewards(calls: &[usize], smoothing: f64) -> Result<Vec<f64>> {
    check_positive("smoothing", smoothing)?;
    Ok(calls.iter().map(|&calls| ppo_tool_reward(calls as f64, smoothing)).collect())
}

fn ppo_tool_reward(calls: f64, smoothing: f64) -> f64 {
    (PI * (calls / (2.0 * calls + smoothing))).cos()
}

/// Tool rewards about a known optimum, OTC-GRPO.
///
/// ```text
/// r_tool = 1                       m = n = 0
///          cos(m π / (2m + c))     n = 0, m > 0
///          sin(π m / (m + n))      n > 0
/// ```
///
/// `calls` (m): tool calls of each response. `optima` (n): the fewest calls that solve its prompt, of [`fewest_calls`]
/// or remembered from earlier rounds; a response to a prompt that nothing solved has none and gets 0. `smoothing` (c):
/// finite and > 0. 1 at `m = n`, falling on both sides.
///
/// # Errors
/// A shape error naming `optima`; a domain error naming `smoothing`.
///
/// # Example
/// ```
/// use accordant_objectives::reward_shaping::otc::group_tool_rewards;
/// let rewards = group_tool_rewards(&[1, 3, 5], &[Some(1), Some(1), None], 4.0)?;
/// assert!((rewards[1] - 0.5f64.sqrt()).abs() < 1e-15); // sin(3π/4)
/// assert_eq!((rewards[0], rewards[2]), (1.0, 0.0));
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2504.14870")]
#[doc(alias = "OTC-GRPO")]
pub fn group_tool_rewards(calls: &[usize], optima: &[Option<usize>], smoothing: f64) -> Result<Vec<f64>> {
    check_positive("smoothing", smoothing)?;
    check_len("optima", calls.len(), optima.len())?;
    let reward = |(&calls, &optimum): (&usize, &Option<usize>)| match optimum.map(|n| n as f64) {
        None => 0.0,
        Some(0.0) => ppo_tool_reward(calls as f64, smoothing),
        Some(n) => (PI * (calls as f64 / (calls as f64 + n))).sin(),
    };
    Ok(calls.iter().zip(optima).map(reward).collect())
}

/// The fewest calls among the correct responses of each item's group, one entry for each item; none where no response
/// is correct. A missing verdict (NaN) is not a correct one.
///
/// # Errors
/// A shape error naming `calls` or `verdicts`; a domain error naming `verdicts` unless each is 0, 1 or NaN.
///
/// # Example
/// ```
/// use accordant_objectives::reward_shaping::otc::fewest_calls;
/// use accordant_ops::groups::Groups;
/// let groups = Groups::new(&[0, 0, 0, 1]);
/// let optima = fewest_calls(&groups, &[1, 4, 2, 3], &[0.0, 1.0, 1.0, 0.0])?;
/// assert_eq!(optima, [Some(2), Some(2), Some(2), None]);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2504.14870")]
pub fn fewest_calls(groups: &Groups, calls: &[usize], verdicts: &[f64]) -> Result<Vec<Option<usize>>> {
    check_len("calls", groups.len(), calls.len())?;
    check_len("verdicts", groups.len(), verdicts.len())?;
    check_verdicts("verdicts", verdicts)?;
    let mut fewest: Vec<Option<usize>> = vec![None; groups.sizes().len()];
    for ((&number, &calls), &verdict) in groups.numbers().iter().zip(calls).zip(verdicts) {
        if verdict == 1.0 {
            fewest[number] = Some(fewest[number].map_or(calls, |least| least.min(calls)));
        }
    }
    Ok(groups.numbers().iter().map(|&number| fewest[number]).collect())
}

/// Configuration of [`Otc`].
#[derive(Config, Debug, PartialEq)]
pub struct OtcConfig {
    /// How slowly the reward falls, finite and > 0; c in the paper, the largest number of turns there.
    pub smoothing: f64,
    /// The factor of the product, finite and ≥ 0; α in the paper. 1: the paper's.
    #[config(default = 1.0)]
    pub coef: f64,
}

impl OtcConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<Otc> {
        check_positive("smoothing", self.smoothing)?;
        check_non_negative("coef", self.coef)?;
        Ok(Otc { config: self.clone() })
    }
}

/// Tool-integrated rewards, `α · r_tool · r_correct`.
///
/// # Example
/// ```
/// use accordant_objectives::reward_shaping::otc::OtcConfig;
/// use accordant_ops::groups::Groups;
/// let otc = OtcConfig::new(4.0).init()?;
/// // The second response is right with twice the calls of the first, sin(2π/3); the third is wrong.
/// let rewards = otc.group_rewards(&Groups::new(&[0, 0, 0]), &[1, 2, 1], &[1.0, 1.0, 0.0])?;
/// assert_eq!((rewards[0], rewards[2]), (1.0, 0.0));
/// assert!((rewards[1] - 0.75f64.sqrt()).abs() < 1e-15);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2504.14870")]
#[derive(Debug, Clone, PartialEq)]
pub struct Otc {
    config: OtcConfig,
}

impl Otc {
    /// Rewards of single responses; see [`ppo_tool_rewards`]. A missing verdict makes the reward missing.
    ///
    /// # Errors
    /// A shape error naming `verdicts`; a domain error naming it unless each is 0, 1 or NaN.
    pub fn ppo_rewards(&self, calls: &[usize], verdicts: &[f64]) -> Result<Vec<f64>> {
        check_len("verdicts", calls.len(), verdicts.len())?;
        check_verdicts("verdicts", verdicts)?;
        Ok(self.product(verdicts, &ppo_tool_rewards(calls, self.config.smoothing)?))
    }

    /// Rewards of the responses of groups; see [`group_tool_rewards`] and [`fewest_calls`]. A missing verdict makes the
    /// reward missing.
    ///
    /// # Errors
    /// A shape error naming `calls` or `verdicts`; a domain error naming `verdicts` unless each is 0, 1 or NaN.
    pub fn group_rewards(&self, groups: &Groups, calls: &[usize], verdicts: &[f64]) -> Result<Vec<f64>> {
        let optima = fewest_calls(groups, calls, verdicts)?;
        Ok(self.product(verdicts, &group_tool_rewards(calls, &optima, self.config.smoothing)?))
    }

    fn product(&self, verdicts: &[f64], tool_rewards: &[f64]) -> Vec<f64> {
        verdicts.iter().zip(tool_rewards).map(|(verdict, tool)| self.config.coef * tool * verdict).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::reward_shaping::values::tests::{assert_close, message};

    #[test]
    fn golden() {
        let golden = "0.7071067812 0.8660254038".split(' ').map(|value| value.parse().unwrap()).collect::<Vec<f64>>();
        assert_close(&ppo_tool_rewards(&[2], 4.0).unwrap(), &golden[..1], 1e-10);
        assert_close(&group_tool_rewards(&[2], &[Some(1)], 4.0).unwrap(), &golden[1..], 1e-10);
    }

    #[test]
    fn values_by_hand() {
        // cos(π/3), cos(π/4): m = 1 of 2 + 1, 2 of 4 + 4.
        assert_close(&ppo_tool_rewards(&[1, 0], 1.0).unwrap(), &[0.5, 1.0], 1e-15);
        // sin(π/3) on either side of the optimum; cos(π/3) where no call is needed.
        let optima = [Some(2), Some(1), Some(3), Some(0), Some(0), None];
        let expected = [0.75f64.sqrt(), 0.75f64.sqrt(), 1.0, 0.5, 1.0, 0.0];
        assert_close(&group_tool_rewards(&[1, 2, 3, 1, 0, 7], &optima, 1.0).unwrap(), &expected, 1e-15);
        assert_eq!(group_tool_rewards(&[0], &[Some(2)], 1.0).unwrap(), [0.0]);
    }

    #[test]
    fn only_correct_responses_are_rewarded_and_count_for_the_optimum() {
        let nan = f64::NAN;
        let groups = Groups::new(&['a', 'b', 'a', 'a', 'b', 'a']);
        let (calls, verdicts) = ([2, 5, 1, 0, 5, 4], [1.0, 0.0, 1.0, 0.0, 0.0, nan]);
        let optima = fewest_calls(&groups, &calls, &verdicts).unwrap();
        assert_eq!(optima, [Some(1), None, Some(1), Some(1), None, Some(1)]);
        let otc = OtcConfig::new(4.0).with_coef(2.0).init().unwrap();
        let expected = [2.0 * 0.75f64.sqrt(), 0.0, 2.0, 0.0, 0.0, nan];
        assert_close(&otc.group_rewards(&groups, &calls, &verdicts).unwrap(), &expected, 1e-15);
        // cos(π/4) for 2 calls; wrong ones get 0 without a call.
        let expected = [2.0 * 0.5f64.sqrt(), 0.0, nan];
        assert_close(&otc.ppo_rewards(&[2, 0, 0], &[1.0, 0.0, nan]).unwrap(), &expected, 1e-15);
    }

    #[test]
    fn what_does_not_fit_is_refused_by_name() {
        assert_eq!(OtcConfig::new(4.0).coef, 1.0);
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(message(OtcConfig::new(bad).init()).starts_with("`smoothing`"));
            assert!(message(ppo_tool_rewards(&[1], bad)).starts_with("`smoothing`"));
            assert!(message(group_tool_rewards(&[1], &[None], bad)).starts_with("`smoothing`"));
        }
        for bad in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(message(OtcConfig::new(1.0).with_coef(bad).init()).starts_with("`coef`"));
        }
        assert_eq!(message(group_tool_rewards(&[1], &[], 1.0)), "`optima`: expected shape [1], got [0]");
        let groups = Groups::new(&[0, 0]);
        assert_eq!(message(fewest_calls(&groups, &[1], &[1.0; 2])), "`calls`: expected shape [2], got [1]");
        assert_eq!(message(fewest_calls(&groups, &[1; 2], &[1.0])), "`verdicts`: expected shape [2], got [1]");
        assert!(message(fewest_calls(&groups, &[1; 2], &[1.0, 0.5])).starts_with("`verdicts`"));
        let otc = OtcConfig::new(1.0).init().unwrap();
        assert_eq!(message(otc.ppo_rewards(&[1], &[])), "`verdicts`: expected shape [1], got [0]");
        assert!(message(otc.ppo_rewards(&[1], &[2.0])).starts_with("`verdicts`"));
        assert_eq!(message(otc.group_rewards(&groups, &[1], &[1.0; 2])), "`calls`: expected shape [2], got [1]");
    }

    proptest! {
        #[test]
        fn the_optimum_gives_one_and_more_calls_less(n in 0_usize..50, more in 1_usize..50, c in 0.5..50.0) {
            let at = |calls: usize| group_tool_rewards(&[calls], &[Some(n)], c).unwrap()[0];
            prop_assert_eq!(at(n), 1.0);
            prop_assert!(at(n + more) < at(n + more - 1) && at(n + more) > 0.0);
            let ppo = |calls: usize| ppo_tool_rewards(&[calls], c).unwrap()[0];
            prop_assert_eq!(ppo(0), 1.0);
            prop_assert!(ppo(more) < ppo(more - 1));
            prop_assert!(ppo(1_000_000_000_000).abs() < 1e-9);
        }
    }
}
