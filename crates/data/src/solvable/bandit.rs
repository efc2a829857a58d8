//! Contextual bandits that are solved exactly.
//!
//! A context is a prompt, an arm a whole response. Contexts are equally likely. With rewards `r(c, a)`, a policy `π` and
//! a reference policy `ref`, and a mean over contexts wherever none is named:
//!
//! ```text
//! J(π) = Σ_a π(a) r(a) − β KL(π ‖ ref)           π*(a) ∝ ref(a) exp(r(a)/β)
//! ∂J/∂logit(c, a) = π(a) (f(a) − Σ_b π(b) f(b)) / C     with f(a) = r(a) − β log(π(a)/ref(a)) in one of C contexts
//! ```

use rand::Rng;

use super::{
    Policy, check_beta, check_size, check_table,
    policy::{expectation, kl, soft_best},
};
use crate::{
    Result,
    order::{Purpose, stream},
};

/// Contexts, arms, the reward of each arm in each context, and a reference policy.
///
/// # Example
/// ```
/// use accordant_data::solvable::{Bandit, Policy};
/// let bandit = Bandit::new(vec![vec![0.0, 2f64.ln()]], Policy::from_logits(&[vec![0.0, 0.0]])?)?;
/// let best = bandit.optimum(1.0)?; // proportional to 1/2 · 1 and 1/2 · 2
/// assert!((best.policy.probs()[0][1] - 2.0 / 3.0).abs() < 1e-15);
/// assert!((best.value - 1.5f64.ln()).abs() < 1e-15);
/// assert!((bandit.objective(&best.policy, 1.0)? - best.value).abs() < 1e-15);
/// # Ok::<(), accordant_data::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Bandit {
    rewards: Vec<Vec<f64>>,
    reference: Policy,
}

/// A policy and what it is worth.
#[derive(Debug, Clone, PartialEq)]
pub struct Optimum {
    /// The policy that maximizes the objective.
    pub policy: Policy,
    /// The objective's value under it, the mean over contexts.
    pub value: f64,
}

impl Bandit {
    /// A bandit of these rewards, `rewards[context][arm]`.
    ///
    /// # Errors
    /// A domain error naming `rewards` (as [`Policy::from_logits`] checks a table) or `reference`, which must have the
    /// same size and exclude no arm.
    pub fn new(rewards: Vec<Vec<f64>>, reference: Policy) -> Result<Self> {
        check_table("rewards", &rewards)?;
        reference.check_shape("reference", rewards.len(), rewards[0].len())?;
        reference.check_support("reference")?;
        Ok(Self { rewards, reference })
    }

    /// Rewards uniform in `[0, 1)` and reference logits uniform in `[-1, 1]`.
    ///
    /// # Errors
    /// A domain error naming `contexts` or `arms`: none, or more than 1e6 of both together.
    pub fn seeded(seed: u64, contexts: usize, arms: usize) -> Result<Self> {
        check_size("contexts", contexts, arms)?;
        check_size("arms", arms, contexts)?;
        let mut rng = stream(seed, Purpose::SolvableWorld, 0);
        let rewards = (0..contexts).map(|_| (0..arms).map(|_| rng.random::<f64>()).collect()).collect();
        Self::new(rewards, Policy::random(contexts, arms, 1.0, &mut rng)?)
    }

    /// Number of contexts.
    pub fn contexts(&self) -> usize {
        self.rewards.len()
    }

    /// Number of arms.
    pub fn arms(&self) -> usize {
        self.rewards[0].len()
    }

    /// `rewards()[context][arm]`.
    pub fn rewards(&self) -> &[Vec<f64>] {
        &self.rewards
    }

    /// The reference policy.
    pub fn reference(&self) -> &Policy {
        &self.reference
    }

    pub(super) fn check_policy(&self, policy: &Policy) -> Result<()> {
        policy.check_shape("policy", self.contexts(), self.arms())
    }

    /// The mean over contexts of `f(π, ref, r)` of their rows.
    fn mean(&self, policy: &Policy, f: impl Fn(&[f64], &[f64], &[f64]) -> f64) -> Result<f64> {
        self.check_policy(policy)?;
        let rows = policy.log_probs().iter().zip(self.reference.log_probs()).zip(&self.rewards);
        Ok(rows.map(|((policy, reference), rewards)| f(policy, reference, rewards)).sum::<f64>()
            / self.contexts() as f64)
    }

    /// `E r`.
    ///
    /// # Errors
    /// A domain error naming `policy` when it has another size.
    pub fn expected_reward(&self, policy: &Policy) -> Result<f64> {
        self.mean(policy, |policy, _, rewards| expectation(policy, |arm| rewards[arm]))
    }

    /// How much less reward than from the best arms: `E (max_b r(b) − r(a))`, exact where it is small.
    ///
    /// # Errors
    /// As [`Bandit::expected_reward`].
    pub fn regret(&self, policy: &Policy) -> Result<f64> {
        self.mean(policy, |policy, _, rewards| {
            let (below, _) = super::policy::below_best(rewards);
            expectation(policy, |arm| below[arm])
        })
    }

    /// `KL(π ‖ ref)` in nats.
    ///
    /// # Errors
    /// As [`Bandit::expected_reward`].
    pub fn kl(&self, policy: &Policy) -> Result<f64> {
        self.mean(policy, |policy, reference, _| kl(policy, reference))
    }

    /// `E r − β KL(π ‖ ref)`.
    ///
    /// # Errors
    /// As [`Bandit::expected_reward`], and a domain error for a `beta` outside `[0, 1e100]`.
    pub fn objective(&self, policy: &Policy, beta: f64) -> Result<f64> {
        check_beta(beta)?;
        Ok(self.expected_reward(policy)? - beta * self.kl(policy)?)
    }

    /// The gradient of [`Bandit::objective`] with respect to logits of `policy`; `beta` 0 gives the policy gradient. It
    /// depends on the policy only, not on which of its logits are meant.
    ///
    /// # Errors
    /// As [`Bandit::objective`].
    ///
    /// # Example
    /// ```
    /// use accordant_data::solvable::{Bandit, Policy};
    /// let even = Policy::from_logits(&[vec![0.0, 0.0]])?;
    /// let bandit = Bandit::new(vec![vec![0.0, 1.0]], even.clone())?;
    /// assert_eq!(bandit.gradient(&even, 0.0)?, [[-0.25, 0.25]]); // 1/2 · (0 - 1/2) and 1/2 · (1 - 1/2)
    /// # Ok::<(), accordant_data::Error>(())
    /// ```
    pub fn gradient(&self, policy: &Policy, beta: f64) -> Result<Vec<Vec<f64>>> {
        check_beta(beta)?;
        self.check_policy(policy)?;
        let share = 1.0 / self.contexts() as f64;
        let rows = policy.log_probs().iter().zip(self.reference.log_probs()).zip(&self.rewards);
        let row = |((policy, reference), rewards): ((&Vec<f64>, &Vec<f64>), &Vec<f64>)| {
            let f = |arm: usize| rewards[arm] - log_ratio_term(beta, policy[arm], reference[arm]);
            let mean = expectation(policy, f);
            (0..self.arms()).map(|arm| share * weighted(policy[arm], || f(arm) - mean)).collect()
        };
        Ok(rows.map(row).collect())
    }

    /// The policy of largest [`Bandit::objective`]: `π*(a) ∝ ref(a) exp(r(a)/β)`, of value `β log Σ_a ref(a) exp(r(a)/β)`.
    /// `beta` 0 gives the limit: the best arms, in the reference's proportions, and the largest reward.
    ///
    /// # Errors
    /// A domain error for a `beta` outside `[0, 1e100]`.
    pub fn optimum(&self, beta: f64) -> Result<Optimum> {
        check_beta(beta)?;
        let rows = self.reference.log_probs().iter().zip(&self.rewards);
        let (policy, values): (Vec<_>, Vec<_>) = rows.map(|(row, rewards)| soft_best(row, rewards, beta)).unzip();
        let value = values.iter().sum::<f64>() / self.contexts() as f64;
        Ok(Optimum { policy: Policy::of_log_probs(policy), value })
    }
}

/// `π(a) f(a)`, 0 for an action that is never taken, whatever its `f`.
pub(super) fn weighted(logp: f64, f: impl Fn() -> f64) -> f64 {
    match logp.exp() {
        0.0 => 0.0,
        prob => prob * f(),
    }
}

/// `β log(π/ref)`, 0 without a KL term even where the log-ratio is −∞.
pub(super) fn log_ratio_term(beta: f64, logp: f64, reference: f64) -> f64 {
    if beta == 0.0 { 0.0 } else { beta * (logp - reference) }
}

#[cfg(test)]
mod tests {
    use accordant_laws::gradient::check_gradient;

    use super::*;

    #[test]
    fn rewards_regret_and_kl_by_hand() {
        let reference = Policy::from_probs(&[vec![0.5, 0.5], vec![0.5, 0.5]]).unwrap();
        let bandit = Bandit::new(vec![vec![1.0, 3.0], vec![0.0, -4.0]], reference).unwrap();
        let policy = Policy::from_probs(&[vec![0.25, 0.75], vec![1.0, 0.0]]).unwrap();
        // Contexts: 0.25 + 2.25 = 2.5 of 3, and 0 of 0.
        assert!((bandit.expected_reward(&policy).unwrap() - 1.25).abs() < 1e-15);
        assert!((bandit.regret(&policy).unwrap() - 0.25).abs() < 1e-15);
        // (0.25 ln 0.5 + 0.75 ln 1.5 + ln 2)/2
        let kl = (0.25 * 0.5f64.ln() + 0.75 * 1.5f64.ln() + 2f64.ln()) / 2.0;
        assert!((bandit.kl(&policy).unwrap() - kl).abs() < 1e-15);
        assert!((bandit.objective(&policy, 2.0).unwrap() - (1.25 - 2.0 * kl)).abs() < 1e-15);
        let greedy = bandit.optimum(0.0).unwrap();
        assert_eq!((greedy.policy.probs(), greedy.value), (vec![vec![0.0, 1.0], vec![1.0, 0.0]], 1.5));
        assert_eq!(bandit.regret(&greedy.policy).unwrap(), 0.0);
    }

    #[test]
    fn gradients_are_those_of_the_objective() {
        let bandit = Bandit::seeded(5, 3, 4).unwrap();
        let table =
            |flat: &[f64]| Policy::from_logits(&flat.chunks(4).map(<[f64]>::to_vec).collect::<Vec<_>>()).unwrap();
        let logits: Vec<f64> = (0..12).map(|n| f64::from(n * 7 % 5) / 2.0 - 1.0).collect();
        for beta in [0.0, 0.3] {
            let gradient = bandit.gradient(&table(&logits), beta).unwrap().concat();
            check_gradient(|flat| bandit.objective(&table(flat), beta).unwrap(), &logits, &gradient).unwrap();
        }
    }

    #[test]
    fn the_optimum_has_no_gradient_and_no_better() {
        let bandit = Bandit::seeded(1, 4, 5).unwrap();
        let mut rng = stream(2, Purpose::Actions, 0);
        for beta in [0.05, 0.5, 5.0] {
            let best = bandit.optimum(beta).unwrap();
            assert!((bandit.objective(&best.policy, beta).unwrap() - best.value).abs() < 1e-13);
            assert!(bandit.gradient(&best.policy, beta).unwrap().concat().iter().all(|slope| slope.abs() < 1e-14));
            for scale in [0.1, 1.0, 10.0] {
                let other = Policy::random(4, 5, scale, &mut rng).unwrap();
                assert!(bandit.objective(&other, beta).unwrap() < best.value);
            }
        }
        // A weaker pull, more reward, up to all there is.
        let reward = |beta| bandit.expected_reward(&bandit.optimum(beta).unwrap().policy).unwrap();
        assert!(
            reward(5.0) < reward(0.5)
                && reward(0.5) < reward(0.05)
                && reward(0.05) < bandit.optimum(0.0).unwrap().value
        );
    }

    #[test]
    fn extremes_are_finite() {
        let reference = Policy::from_logits(&[vec![0.0, -1e100]]).unwrap();
        let bandit = Bandit::new(vec![vec![-1e100, 1e100]], reference).unwrap();
        for beta in [0.0, 1e-300, 1.0, 1e100] {
            let best = bandit.optimum(beta).unwrap();
            assert!(best.value.is_finite() && bandit.objective(&best.policy, beta).unwrap().is_finite(), "{beta}");
            assert!(bandit.gradient(&best.policy, beta).unwrap().concat().iter().all(|slope| slope.is_finite()));
        }
    }

    #[test]
    fn mistakes_are_errors_by_name() {
        let bandit = Bandit::seeded(0, 2, 3).unwrap();
        let other = Policy::from_logits(&[vec![0.0; 3]]).unwrap();
        assert!(bandit.kl(&other).unwrap_err().to_string().starts_with("`policy`: expected a row for each"));
        assert!(bandit.gradient(&other, 0.1).unwrap_err().to_string().starts_with("`policy`"));
        assert!(bandit.optimum(f64::NAN).unwrap_err().to_string().starts_with("`beta`"));
        assert!(bandit.objective(bandit.reference(), -0.1).unwrap_err().to_string().starts_with("`beta`"));
        let excluded = Policy::from_probs(&[vec![1.0, 0.0]]).unwrap();
        let error = Bandit::new(vec![vec![0.0, 1.0]], excluded).unwrap_err().to_string();
        assert_eq!(error, "`reference`: expected a probability > 0 of each action, got 0");
        assert!(Bandit::seeded(0, 0, 3).is_err() && Bandit::seeded(0, usize::MAX, 3).is_err());
        assert_ne!(Bandit::seeded(0, 2, 3).unwrap(), Bandit::seeded(1, 2, 3).unwrap());
    }
}
