//! Small episodic decision processes over tokens, solved exactly.
//!
//! An episode is a sequence of tokens. The state is what was written so far, an action is the next token, and the episode
//! ends after `horizon` tokens or with the end token, if there is one. A reward is paid for the whole sequence and, if
//! wanted, for each step. Nothing is discounted. With a coefficient β of the per-token KL in the reward:
//!
//! ```text
//! Q(s, a) = r(s, a) + V(s')      at the last token r(s, a) + R(sequence)
//! V(s)    = Σ_a π(a|s) (Q(s, a) − β log(π(a|s)/ref(a|s)))
//! A(s, a) = Q(s, a) − β log(π(a|s)/ref(a|s)) − V(s)
//! ∂V(root)/∂logit(s, a) = P(s is visited) π(a|s) A(s, a)
//! V*(s)   = β log Σ_a ref(a|s) exp(Q*(s, a)/β)       π*(a|s) ∝ ref(a|s) exp(Q*(s, a)/β)
//! ```
//!
//! `V(root)` is the expected reward minus `β KL(π ‖ ref)` of whole sequences, and `V*(root)` is β times the log partition
//! function of sequences: token by token or as one big bandit, the problem is the same.

use rand::Rng;

use super::{
    Policy, Tree,
    bandit::{Optimum, log_ratio_term, weighted},
    check, check_beta, check_number, check_size, check_table,
    policy::{expectation, kl, soft_best},
    tree::Next,
};
use crate::{
    Result,
    order::{Purpose, stream},
};

/// Values under a policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Values {
    /// `V(s)` of each state; the first is the value of an episode.
    pub v: Vec<f64>,
    /// `Q(s, a)`, without the KL term of the action itself.
    pub q: Vec<Vec<f64>>,
}

/// One sampled episode.
#[derive(Debug, Clone, PartialEq)]
pub struct Episode {
    /// The tokens written.
    pub tokens: Vec<u32>,
    /// The state in which each was chosen, by number.
    pub states: Vec<usize>,
    /// Log-probability of each under the policy that sampled it, in nats.
    pub logps: Vec<f64>,
    /// Reward of each, that of the sequence with the last; without a KL term.
    pub rewards: Vec<f64>,
    /// The number of the sequence.
    pub sequence: usize,
}

/// A decision process: a tree, rewards, and a reference policy with a row for each state.
///
/// # Example
/// ```
/// use accordant_data::solvable::Mdp;
/// let mdp = Mdp::seeded(0, 3, 2, None)?; // 9 sequences of two tokens
/// let best = mdp.optimum(0.5)?;
/// assert!((mdp.values(&best.policy, 0.5)?.v[0] - best.value).abs() < 1e-14);
/// assert!(mdp.values(mdp.reference(), 0.5)?.v[0] < best.value);
/// # Ok::<(), accordant_data::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Mdp {
    tree: Tree,
    rewards: Vec<f64>,
    step_rewards: Vec<Vec<f64>>,
    reference: Policy,
}

impl Mdp {
    /// A process of these rewards, one for each sequence of `tree`, and no rewards of steps.
    ///
    /// # Errors
    /// A domain error naming `rewards` or `reference`, which must have a row for each state and exclude no token.
    pub fn new(tree: Tree, rewards: Vec<f64>, reference: Policy) -> Result<Self> {
        check(rewards.len() == tree.sequences().len(), "rewards", "one for each sequence", rewards.len() as f64)?;
        rewards.iter().try_for_each(|reward| check_number("rewards", *reward))?;
        reference.check_shape("reference", tree.states().len(), tree.vocab_size())?;
        reference.check_support("reference")?;
        let step_rewards = vec![vec![0.0; tree.vocab_size()]; tree.states().len()];
        Ok(Self { tree, rewards, step_rewards, reference })
    }

    /// Also pays `step_rewards[state][token]`.
    ///
    /// # Errors
    /// A domain error naming `step_rewards`.
    pub fn with_step_rewards(mut self, step_rewards: Vec<Vec<f64>>) -> Result<Self> {
        check_table("step_rewards", &step_rewards)?;
        let (rows, columns) = (step_rewards.len(), step_rewards[0].len());
        check(rows == self.tree.states().len(), "step_rewards", "a row for each state", rows as f64)?;
        check(columns == self.tree.vocab_size(), "step_rewards", "a column for each token", columns as f64)?;
        self.step_rewards = step_rewards;
        Ok(self)
    }

    /// Rewards of sequences uniform in `[0, 1)`, none of steps, reference logits uniform in `[-1, 1]`.
    ///
    /// # Errors
    /// As [`Tree::new`], and when states and tokens together are more than 1e6.
    pub fn seeded(seed: u64, vocab_size: usize, horizon: usize, end: Option<u32>) -> Result<Self> {
        let tree = Tree::new(vocab_size, horizon, end)?;
        check_size("vocab_size", vocab_size, tree.states().len())?;
        let mut rng = stream(seed, Purpose::SolvableWorld, 1);
        let rewards = tree.sequences().iter().map(|_| rng.random::<f64>()).collect();
        let reference = Policy::random(tree.states().len(), vocab_size, 1.0, &mut rng)?;
        Self::new(tree, rewards, reference)
    }

    /// States and sequences.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The reference policy.
    pub fn reference(&self) -> &Policy {
        &self.reference
    }

    /// The reward of each sequence, those of its steps included.
    pub fn returns(&self) -> Vec<f64> {
        self.per_sequence(&self.step_rewards).iter().zip(&self.rewards).map(|(steps, reward)| steps + reward).collect()
    }

    /// The sum of a table's entries along each sequence.
    fn per_sequence(&self, table: &[Vec<f64>]) -> Vec<f64> {
        let (mut sums, mut out) = (vec![0.0; self.tree.states().len()], vec![0.0; self.tree.sequences().len()]);
        // A state comes before those that it leads to.
        for (state, row) in self.tree.next().iter().enumerate() {
            for (next, entry) in row.iter().zip(&table[state]) {
                match *next {
                    Next::State(next) => sums[next] = sums[state] + entry,
                    Next::End(sequence) => out[sequence] = sums[state] + entry,
                }
            }
        }
        out
    }

    fn check_policy(&self, policy: &Policy) -> Result<()> {
        policy.check_shape("policy", self.tree.states().len(), self.tree.vocab_size())
    }

    /// The log-probability of each sequence, in nats.
    ///
    /// # Errors
    /// A domain error naming `policy` when it has another size.
    ///
    /// # Example
    /// ```
    /// use accordant_data::solvable::Mdp;
    /// let mdp = Mdp::seeded(0, 3, 4, Some(2))?;
    /// let total: f64 = mdp.sequence_logps(mdp.reference())?.iter().map(|logp| logp.exp()).sum();
    /// assert!((total - 1.0).abs() < 1e-14);
    /// # Ok::<(), accordant_data::Error>(())
    /// ```
    pub fn sequence_logps(&self, policy: &Policy) -> Result<Vec<f64>> {
        self.check_policy(policy)?;
        Ok(self.per_sequence(policy.log_probs()))
    }

    /// The probability that an episode passes each state.
    ///
    /// # Errors
    /// As [`Mdp::sequence_logps`].
    pub fn visits(&self, policy: &Policy) -> Result<Vec<f64>> {
        self.check_policy(policy)?;
        let mut visits = vec![0.0; self.tree.states().len()];
        visits[0] = 1.0;
        for (state, row) in self.tree.next().iter().enumerate() {
            for (next, logp) in row.iter().zip(&policy.log_probs()[state]) {
                if let Next::State(next) = *next {
                    visits[next] = visits[state] * logp.exp();
                }
            }
        }
        Ok(visits)
    }

    /// `E R` of whole episodes, without a KL term.
    ///
    /// # Errors
    /// As [`Mdp::sequence_logps`].
    pub fn expected_reward(&self, policy: &Policy) -> Result<f64> {
        Ok(self.values(policy, 0.0)?.v[0])
    }

    /// `KL(π ‖ ref)` of whole sequences, in nats.
    ///
    /// # Errors
    /// As [`Mdp::sequence_logps`].
    pub fn kl(&self, policy: &Policy) -> Result<f64> {
        let visits = self.visits(policy)?;
        let rows = policy.log_probs().iter().zip(self.reference.log_probs());
        Ok(visits.iter().zip(rows).map(|(visit, (row, reference))| visit * kl(row, reference)).sum())
    }

    /// `Q` of a state, from the values of those after it.
    fn q_row(&self, state: usize, v: &[f64]) -> Vec<f64> {
        let after = |next: &Next| match *next {
            Next::State(next) => v[next],
            Next::End(sequence) => self.rewards[sequence],
        };
        self.tree.next()[state]
            .iter()
            .zip(&self.step_rewards[state])
            .map(|(next, reward)| reward + after(next))
            .collect()
    }

    /// Values from the last states to the first; `solve` gives a state's value from its number and its `Q`.
    fn backward(&self, mut solve: impl FnMut(usize, &[f64]) -> f64) -> Values {
        let count = self.tree.states().len();
        let (mut v, mut q) = (vec![0.0; count], vec![Vec::new(); count]);
        for state in (0..count).rev() {
            q[state] = self.q_row(state, &v);
            v[state] = solve(state, &q[state]);
        }
        Values { v, q }
    }

    /// `V` and `Q` under a policy, with the per-token KL in the reward.
    ///
    /// # Errors
    /// As [`Mdp::sequence_logps`], and a domain error for a `beta` outside `[0, 1e100]`.
    pub fn values(&self, policy: &Policy, beta: f64) -> Result<Values> {
        check_beta(beta)?;
        self.check_policy(policy)?;
        Ok(self.backward(|state, q| {
            let (row, reference) = (&policy.log_probs()[state], &self.reference.log_probs()[state]);
            expectation(row, |token| q[token]) - beta * kl(row, reference)
        }))
    }

    /// `A(s, a)`, the KL term of the action included, of mean 0 in each state. With `beta` > 0 it is infinite for a token
    /// that the policy excludes.
    ///
    /// # Errors
    /// As [`Mdp::values`].
    pub fn advantages(&self, policy: &Policy, beta: f64) -> Result<Vec<Vec<f64>>> {
        let Values { v, q } = self.values(policy, beta)?;
        let row = |state: usize| {
            let (row, reference) = (&policy.log_probs()[state], &self.reference.log_probs()[state]);
            let entry = |token: usize| q[state][token] - log_ratio_term(beta, row[token], reference[token]) - v[state];
            (0..self.tree.vocab_size()).map(entry).collect()
        };
        Ok((0..v.len()).map(row).collect())
    }

    /// The gradient of `V(root)` with respect to the logits of the policy in each state.
    ///
    /// # Errors
    /// As [`Mdp::values`].
    pub fn gradient(&self, policy: &Policy, beta: f64) -> Result<Vec<Vec<f64>>> {
        let (advantages, visits) = (self.advantages(policy, beta)?, self.visits(policy)?);
        let row = |state: usize| {
            let entry = |(logp, advantage): (&f64, &f64)| visits[state] * weighted(*logp, || *advantage);
            policy.log_probs()[state].iter().zip(&advantages[state]).map(entry).collect()
        };
        Ok((0..visits.len()).map(row).collect())
    }

    /// The policy of largest `V` in every state, and `V*(root)`, by backward induction. `beta` 0 gives the best reward; of
    /// several best tokens the reference's proportions.
    ///
    /// # Errors
    /// A domain error for a `beta` outside `[0, 1e100]`.
    pub fn optimum(&self, beta: f64) -> Result<Optimum> {
        check_beta(beta)?;
        let mut table = vec![Vec::new(); self.tree.states().len()];
        let values = self.backward(|state, q| {
            let (row, value) = soft_best(&self.reference.log_probs()[state], q, beta);
            table[state] = row;
            value
        });
        Ok(Optimum { policy: Policy::of_log_probs(table), value: values.v[0] })
    }

    /// Samples an episode.
    ///
    /// # Errors
    /// As [`Mdp::sequence_logps`].
    ///
    /// # Example
    /// ```
    /// use accordant_data::{order::{Purpose, stream}, solvable::Mdp};
    /// let mdp = Mdp::seeded(0, 3, 4, Some(2))?;
    /// let mut rng = stream(0, Purpose::Actions, 0);
    /// let episode = mdp.sample(mdp.reference(), &mut rng)?;
    /// assert_eq!(mdp.tree().sequences()[episode.sequence], episode.tokens);
    /// # Ok::<(), accordant_data::Error>(())
    /// ```
    pub fn sample(&self, policy: &Policy, rng: &mut impl Rng) -> Result<Episode> {
        self.check_policy(policy)?;
        let mut episode = Episode { tokens: vec![], states: vec![], logps: vec![], rewards: vec![], sequence: 0 };
        let mut state = 0;
        loop {
            let token = policy.sample(state, rng)?;
            episode.tokens.push(token as u32);
            episode.states.push(state);
            episode.logps.push(policy.log_probs()[state][token]);
            let reward = self.step_rewards[state][token];
            match self.tree.next()[state][token] {
                Next::State(next) => {
                    episode.rewards.push(reward);
                    state = next;
                }
                Next::End(sequence) => {
                    episode.rewards.push(reward + self.rewards[sequence]);
                    episode.sequence = sequence;
                    return Ok(episode);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use accordant_laws::gradient::check_gradient;

    use super::*;
    use crate::solvable::policy::log_total;

    fn rng() -> rand_chacha::ChaCha8Rng {
        stream(11, Purpose::Actions, 0)
    }

    /// Three tokens, of which the last ends, up to four of them, with rewards of steps.
    fn process() -> Mdp {
        let mdp = Mdp::seeded(4, 3, 4, Some(2)).unwrap();
        let steps = Policy::random(mdp.tree.states().len(), 3, 0.2, &mut rng()).unwrap();
        mdp.with_step_rewards(steps.log_probs().to_vec()).unwrap()
    }

    #[test]
    fn values_by_hand() {
        // Tokens 0 and 1, two of each; R = 0, 2, 4, 8 for 00, 01, 10, 11; 1 at the root pays 1 at once.
        let reference = Policy::from_logits(&vec![vec![0.0, 0.0]; 3]).unwrap();
        let mdp = Mdp::new(Tree::new(2, 2, None).unwrap(), vec![0.0, 2.0, 4.0, 8.0], reference).unwrap();
        let mdp = mdp.with_step_rewards(vec![vec![0.0, 1.0], vec![0.0; 2], vec![0.0; 2]]).unwrap();
        assert_eq!(mdp.returns(), [0.0, 2.0, 5.0, 9.0]);
        let values = mdp.values(mdp.reference(), 3.0).unwrap();
        assert_eq!((values.v, values.q), (vec![4.0, 1.0, 6.0], vec![vec![1.0, 7.0], vec![0.0, 2.0], vec![4.0, 8.0]]));
        assert_eq!(mdp.advantages(mdp.reference(), 3.0).unwrap()[0], [-3.0, 3.0]);
        // 1 · 1/2 · ±3, then 1/2 · 1/2 · ±1 and ±2.
        let gradient = mdp.gradient(mdp.reference(), 0.0).unwrap();
        assert_eq!(gradient, [[-1.5, 1.5], [-0.25, 0.25], [-0.5, 0.5]]);
        let best = mdp.optimum(0.0).unwrap();
        assert_eq!((best.value, best.policy.probs()[0].clone()), (9.0, vec![0.0, 1.0]));
        // A policy that always writes 1 is 2 ln 2 from the reference.
        let always = Policy::from_probs(&vec![vec![0.0, 1.0]; 3]).unwrap();
        assert!((mdp.kl(&always).unwrap() - 2.0 * 2f64.ln()).abs() < 1e-15);
        assert!((mdp.values(&always, 1.0).unwrap().v[0] - (9.0 - 2.0 * 2f64.ln())).abs() < 1e-15);
    }

    #[test]
    fn gradients_are_those_of_the_value() {
        let mdp = process();
        let states = mdp.tree.states().len();
        let policy = Policy::random(states, 3, 2.0, &mut rng()).unwrap();
        let table =
            |flat: &[f64]| Policy::from_logits(&flat.chunks(3).map(<[f64]>::to_vec).collect::<Vec<_>>()).unwrap();
        for beta in [0.0, 0.4] {
            let gradient = mdp.gradient(&policy, beta).unwrap().concat();
            let value = |flat: &[f64]| mdp.values(&table(flat), beta).unwrap().v[0];
            check_gradient(value, &policy.log_probs().concat(), &gradient).unwrap();
        }
    }

    #[test]
    fn values_are_means_over_sequences() {
        let mdp = process();
        let policy = Policy::random(mdp.tree.states().len(), 3, 1.5, &mut rng()).unwrap();
        let (logps, reference) = (mdp.sequence_logps(&policy).unwrap(), mdp.sequence_logps(mdp.reference()).unwrap());
        assert!((logps.iter().map(|logp| logp.exp()).sum::<f64>() - 1.0).abs() < 1e-14);
        let reward: f64 = logps.iter().zip(mdp.returns()).map(|(logp, reward)| logp.exp() * reward).sum();
        let kl: f64 = logps.iter().zip(&reference).map(|(logp, base)| logp.exp() * (logp - base)).sum();
        assert!((mdp.expected_reward(&policy).unwrap() - reward).abs() < 1e-14);
        assert!((mdp.kl(&policy).unwrap() - kl).abs() < 1e-14);
        assert!((mdp.values(&policy, 0.7).unwrap().v[0] - (reward - 0.7 * kl)).abs() < 1e-14);
        // Advantages have mean 0 where they are taken from.
        let advantages = mdp.advantages(&policy, 0.7).unwrap();
        for (row, advantages) in policy.log_probs().iter().zip(advantages) {
            assert!(row.iter().zip(advantages).map(|(logp, a)| logp.exp() * a).sum::<f64>().abs() < 1e-14);
        }
    }

    #[test]
    fn the_optimum_is_that_of_whole_sequences() {
        let mdp = process();
        let reference = mdp.sequence_logps(mdp.reference()).unwrap();
        for beta in [0.05, 0.5, 5.0] {
            let tilted: Vec<f64> =
                reference.iter().zip(mdp.returns()).map(|(logp, reward)| logp + reward / beta).collect();
            let log_z = log_total(&tilted);
            let best = mdp.optimum(beta).unwrap();
            assert!((best.value - beta * log_z).abs() < 1e-13, "{beta}");
            let logps = mdp.sequence_logps(&best.policy).unwrap();
            assert!(logps.iter().zip(&tilted).all(|(logp, tilted)| (logp - (tilted - log_z)).abs() < 1e-11));
            // Bellman: V* = Σ π* (Q − β log(π*/ref)), so that nothing is left to gain.
            assert!((mdp.values(&best.policy, beta).unwrap().v[0] - best.value).abs() < 1e-13);
            assert!(mdp.advantages(&best.policy, beta).unwrap().concat().iter().all(|a| a.abs() < 1e-12));
        }
        let most = mdp.returns().into_iter().fold(f64::NEG_INFINITY, f64::max);
        assert!((mdp.optimum(0.0).unwrap().value - most).abs() < 1e-15);
    }

    #[test]
    fn the_optimum_beats_other_policies() {
        let mdp = process();
        let mut rng = rng();
        for beta in [0.0, 0.3] {
            let best = mdp.optimum(beta).unwrap().value;
            for scale in [0.1, 1.0, 10.0] {
                let other = Policy::random(mdp.tree.states().len(), 3, scale, &mut rng).unwrap();
                assert!(mdp.values(&other, beta).unwrap().v[0] < best);
            }
        }
    }

    #[test]
    fn episodes_are_sampled_with_their_probabilities() {
        let mdp = process();
        let logps = mdp.sequence_logps(mdp.reference()).unwrap();
        let (mut counts, mut rng) = (vec![0.0; logps.len()], rng());
        for _ in 0..20_000 {
            let episode = mdp.sample(mdp.reference(), &mut rng).unwrap();
            assert!((episode.logps.iter().sum::<f64>() - logps[episode.sequence]).abs() < 1e-14);
            assert!((episode.rewards.iter().sum::<f64>() - mdp.returns()[episode.sequence]).abs() < 1e-14);
            assert_eq!(mdp.tree.path(&episode.tokens), Some((episode.states, episode.sequence)));
            counts[episode.sequence] += 1.0;
        }
        // Pearson's statistic of 31 sequences: mean 30, standard deviation 7.7; above 75 with probability 1e-5.
        let expected = |logp: &f64| 20_000.0 * logp.exp();
        let terms = logps.iter().zip(&counts).map(|(logp, count)| (count - expected(logp)).powi(2) / expected(logp));
        let statistic: f64 = terms.sum();
        assert!(logps.len() == 31 && statistic < 75.0, "{statistic} of {}", logps.len());
    }

    #[test]
    fn mistakes_are_errors_by_name() {
        let mdp = process();
        let other = Policy::from_logits(&[vec![0.0; 3]]).unwrap();
        assert!(mdp.values(&other, 0.1).unwrap_err().to_string().starts_with("`policy`"));
        assert!(mdp.values(mdp.reference(), -1.0).unwrap_err().to_string().starts_with("`beta`"));
        assert!(
            mdp.clone().with_step_rewards(vec![vec![0.0; 3]]).unwrap_err().to_string().starts_with("`step_rewards`")
        );
        let error = Mdp::new(mdp.tree.clone(), vec![0.0], mdp.reference.clone()).unwrap_err().to_string();
        assert_eq!(error, "`rewards`: expected one for each sequence, got 1");
    }
}
