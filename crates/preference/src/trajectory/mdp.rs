//! Finite worlds with known transitions: values, best policies and successor features, exactly.
//!
//! What regret needs to know of a world ([`super::regret`]), by policy iteration with linear solves on the host: for up to
//! a few hundred states.

use nalgebra::{DMatrix, DVector};

use super::regret::check_horizon;
use crate::{
    Error, Result,
    error::{check_index, check_length, check_record},
};

/// A world of `num_states` states and `num_actions` actions in each.
///
/// # Example
/// ```
/// use accordant_preference::trajectory::mdp::Mdp;
/// // Two states: action 0 stays, action 1 goes to the other, and a step into state 1 pays 1.
/// let stay_or_go = vec![vec![(0, 1.0)], vec![(1, 1.0)], vec![(1, 1.0)], vec![(0, 1.0)]];
/// let world = Mdp::new(2, 2, stay_or_go, 0.5)?;
/// let best = world.solve(&[0.0, 1.0, 1.0, 0.0])?;
/// assert_eq!(best.policy, [1, 0]);
/// assert!((best.values[0] - 2.0).abs() < 1e-12); // 1 + ½ + ¼ + ...
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Mdp {
    num_states: usize,
    num_actions: usize,
    /// Where each action of each state leads, and how likely, `[states × actions]`.
    transitions: Vec<Vec<(usize, f64)>>,
    discount: f64,
}

/// The best that can be done in a world.
#[derive(Debug, Clone, PartialEq)]
pub struct Solution {
    /// V*, `[states]`.
    pub values: Vec<f64>,
    /// Q*, `[states × actions]`, row by row.
    pub action_values: Vec<f64>,
    /// A best action of each state.
    pub policy: Vec<usize>,
    /// Policies that were evaluated.
    pub iterations: usize,
    /// Whether no action is better than the policy's.
    pub converged: bool,
}

impl Mdp {
    /// A world from its transitions, one row for each action of each state: state 0's actions, state 1's, ...
    ///
    /// An absorbing state leads to itself whatever is done; give its steps a reward (or features) of 0.
    ///
    /// # Errors
    /// [`Error::Length`] naming `transitions`, [`Error::Index`] for a state that is not there, [`Error::Record`] for
    /// chances that are negative or do not sum to 1 (within 1e-9), a domain error for a `discount` outside of [0, 1),
    /// [`Error::Empty`] without a state or an action.
    pub fn new(
        num_states: usize,
        num_actions: usize,
        transitions: Vec<Vec<(usize, f64)>>,
        discount: f64,
    ) -> Result<Self> {
        check_horizon(discount)?;
        if num_states == 0 || num_actions == 0 {
            return Err(Error::Empty { name: "transitions", reason: "there is no state or no action" });
        }
        check_length("transitions", num_states * num_actions, transitions.len())?;
        for (row, branches) in transitions.iter().enumerate() {
            for &(next, chance) in branches {
                check_index(row, "next", next, num_states)?;
                check_record(chance >= 0.0, row, "chance", "a number >= 0", chance)?;
            }
            let total: f64 = branches.iter().map(|(_, chance)| chance).sum();
            check_record((total - 1.0).abs() < 1e-9, row, "chance", "chances that sum to 1", total)?;
        }
        Ok(Self { num_states, num_actions, transitions, discount })
    }

    /// A grid whose four actions lead up, right, down and left, and stay where the border is; cells are numbered row by
    /// row. Absorbing cells are never left.
    ///
    /// # Errors
    /// As [`Mdp::new`]; [`Error::Index`] for an absorbing cell that is not there.
    pub fn grid(width: usize, height: usize, absorbing: &[usize], discount: f64) -> Result<Self> {
        let num_states = width * height;
        for (row, &cell) in absorbing.iter().enumerate() {
            check_index(row, "absorbing", cell, num_states)?;
        }
        let mut transitions = Vec::with_capacity(4 * num_states);
        for cell in 0..num_states {
            let (x, y) = (cell % width, cell / width);
            let moves = [
                (x, y.saturating_sub(1)),
                ((x + 1).min(width - 1), y),
                (x, (y + 1).min(height - 1)),
                (x.saturating_sub(1), y),
            ];
            for (x, y) in moves {
                let next = if absorbing.contains(&cell) { cell } else { y * width + x };
                transitions.push(vec![(next, 1.0)]);
            }
        }
        Self::new(num_states, 4, transitions, discount)
    }

    /// How many states there are.
    pub fn num_states(&self) -> usize {
        self.num_states
    }

    /// How many actions each state has.
    pub fn num_actions(&self) -> usize {
        self.num_actions
    }

    /// What a reward a step later is worth.
    pub fn discount(&self) -> f64 {
        self.discount
    }

    /// Where an action leads, and how likely.
    ///
    /// # Errors
    /// [`Error::Index`] naming `state` or `action`.
    pub fn next(&self, state: usize, action: usize) -> Result<&[(usize, f64)]> {
        check_index(0, "state", state, self.num_states)?;
        check_index(0, "action", action, self.num_actions)?;
        Ok(&self.transitions[state * self.num_actions + action])
    }

    /// `Σ_s' P(s' | s, a) f(s')` of the row of a state and an action.
    fn expected(&self, row: usize, f: impl Fn(usize) -> f64) -> f64 {
        self.transitions[row].iter().map(|&(next, chance)| chance * f(next)).sum()
    }

    /// Discounted sums along a policy of what each of its steps gives, `[states, columns]`, from `[states × actions,
    /// columns]`.
    fn accumulate(&self, policy: &[usize], steps: &DMatrix<f64>) -> DMatrix<f64> {
        let n = self.num_states;
        let rows: Vec<usize> =
            policy.iter().enumerate().map(|(state, action)| state * self.num_actions + action).collect();
        let mut system = DMatrix::identity(n, n);
        for (state, &row) in rows.iter().enumerate() {
            for &(next, chance) in &self.transitions[row] {
                system[(state, next)] -= self.discount * chance;
            }
        }
        let given = DMatrix::from_fn(n, steps.ncols(), |state, column| steps[(rows[state], column)]);
        // Diagonally dominant, since the discount is below 1.
        system.lu().solve(&given).expect("a discounted sum is finite")
    }

    /// The best values and a best policy for rewards `[states × actions]`, by policy iteration.
    ///
    /// # Errors
    /// [`Error::Length`] naming `rewards`, [`Error::Record`] for one that is not finite.
    pub fn solve(&self, rewards: &[f64]) -> Result<Solution> {
        self.solve_from(rewards, &vec![0; self.num_states])
    }

    /// [`Mdp::solve`] from a policy on, which is quick when it is nearly the best.
    ///
    /// # Errors
    /// As [`Mdp::solve`]; [`Error::Length`] and [`Error::Index`] naming `policy`.
    pub fn solve_from(&self, rewards: &[f64], policy: &[usize]) -> Result<Solution> {
        check_length("rewards", self.transitions.len(), rewards.len())?;
        for (row, &reward) in rewards.iter().enumerate() {
            check_record(reward.is_finite(), row, "reward", "a finite number", reward)?;
        }
        self.check_policy(policy)?;
        /// Far more than policy iteration has ever been seen to take.
        const MOST: usize = 1000;
        let steps = DMatrix::from_column_slice(rewards.len(), 1, rewards);
        let mut policy = policy.to_vec();
        let mut iterations = 0;
        loop {
            iterations += 1;
            let values = self.accumulate(&policy, &steps);
            let action_values: Vec<f64> = (0..rewards.len())
                .map(|row| rewards[row] + self.discount * self.expected(row, |next| values[next]))
                .collect();
            // Better by more than rounding: otherwise equal actions would take turns for ever.
            let slack = 1e-12 * (1.0 + action_values.iter().fold(0.0, |most, q| f64::max(most, q.abs())));
            let mut changed = false;
            for (action, own) in policy.iter_mut().zip(action_values.chunks_exact(self.num_actions)) {
                let best = (0..own.len()).fold(*action, |best, a| if own[a] > own[best] { a } else { best });
                if own[best] > own[*action] + slack {
                    (*action, changed) = (best, true);
                }
            }
            if !changed || iterations == MOST {
                let values = values.as_slice().to_vec();
                return Ok(Solution { values, action_values, policy, iterations, converged: !changed });
            }
        }
    }

    fn check_policy(&self, policy: &[usize]) -> Result<()> {
        check_length("policy", self.num_states, policy.len())?;
        for (state, &action) in policy.iter().enumerate() {
            check_index(state, "policy", action, self.num_actions)?;
        }
        Ok(())
    }

    /// What a policy collects of each feature, discounted, from each state on, `[states, features]`: the value of a state
    /// under rewards `⟨φ(s, a), w⟩` is `⟨Ψ(s), w⟩`.
    ///
    /// `features`: φ, `[states × actions, features]`.
    ///
    /// # Errors
    /// [`Error::Length`] and [`Error::Index`] naming `policy`, [`Error::Length`] naming `features`.
    pub fn successor_features(&self, policy: &[usize], features: &DMatrix<f64>) -> Result<DMatrix<f64>> {
        self.check_policy(policy)?;
        check_length("features", self.transitions.len(), features.nrows())?;
        Ok(self.accumulate(policy, features))
    }

    /// Features that say which state an action leads to, `[states × actions, states]`, 0 in the states of `without`
    /// (absorbing ones, say).
    ///
    /// # Errors
    /// [`Error::Index`] for a state of `without` that is not there.
    pub fn next_state_features(&self, without: &[usize]) -> Result<DMatrix<f64>> {
        let mut features = DMatrix::zeros(self.transitions.len(), self.num_states);
        for (row, branches) in self.transitions.iter().enumerate() {
            branches.iter().for_each(|&(next, chance)| features[(row, next)] += chance);
        }
        for (row, &state) in without.iter().enumerate() {
            check_index(row, "without", state, self.num_states)?;
            features.rows_mut(state * self.num_actions, self.num_actions).fill(0.0);
        }
        Ok(features)
    }
}

impl Solution {
    /// `A*(s, a) = Q*(s, a) − V*(s)`, `[states × actions]`, ≤ 0 up to rounding.
    pub fn advantages(&self) -> Vec<f64> {
        let num_actions = self.action_values.len() / self.values.len();
        self.action_values.iter().enumerate().map(|(row, q)| q - self.values[row / num_actions]).collect()
    }

    /// Whether each state's action of `policy` is a best one, up to `tolerance` in value.
    ///
    /// # Errors
    /// [`Error::Length`] or [`Error::Index`] naming `policy`.
    pub fn is_best(&self, policy: &[usize], tolerance: f64) -> Result<Vec<bool>> {
        let num_actions = self.action_values.len() / self.values.len();
        check_length("policy", self.values.len(), policy.len())?;
        let advantages = self.advantages();
        let best = |(state, &action): (usize, &usize)| {
            check_index(state, "policy", action, num_actions)?;
            Ok(advantages[state * num_actions + action] >= -tolerance)
        };
        policy.iter().enumerate().map(best).collect()
    }
}

/// Rewards `⟨φ, w⟩` of every row of features.
pub(crate) fn linear_rewards(features: &DMatrix<f64>, weights: &[f64]) -> Vec<f64> {
    (features * DVector::from_column_slice(weights)).as_slice().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trajectory::testing::close;

    /// Three cells in a row, the last absorbing; a step costs 1 and the way into the last pays 10.
    fn corridor() -> (Mdp, Vec<f64>) {
        let world = Mdp::grid(3, 1, &[2], 0.5).unwrap();
        let mut rewards = vec![-1.0; 12];
        rewards[5] = 10.0; // right, from the middle
        rewards[8..].fill(0.0);
        (world, rewards)
    }

    #[test]
    fn a_corridor_by_hand() {
        let (world, rewards) = corridor();
        let best = world.solve(&rewards).unwrap();
        assert!(best.converged && best.iterations <= 4);
        close(&best.values, &[4.0, 10.0, 0.0], 1e-12);
        assert_eq!(best.policy[..2], [1, 1]);
        // up: −1 + 4/2, right: −1 + 10/2, down, left.
        close(&best.action_values[..4], &[1.0, 4.0, 1.0, 1.0], 1e-12);
        close(&best.advantages()[..8], &[-3.0, 0.0, -3.0, -3.0, -6.0, 0.0, -6.0, -9.0], 1e-12);
        assert_eq!(best.is_best(&[1, 0, 3], 1e-9).unwrap(), [true, false, true]);
        let again = world.solve_from(&rewards, &best.policy).unwrap();
        assert_eq!((again.iterations, again.policy), (1, best.policy));
    }

    #[test]
    fn a_grid_leads_where_it_says_and_stays_at_the_border() {
        let world = Mdp::grid(3, 2, &[5], 0.9).unwrap();
        let to = |state, action| world.next(state, action).unwrap()[0].0;
        assert_eq!([to(4, 0), to(4, 1), to(4, 2), to(4, 3)], [1, 5, 4, 3]);
        assert_eq!([to(0, 0), to(0, 1), to(0, 2), to(0, 3)], [0, 1, 3, 0]);
        assert_eq!([to(2, 1), to(5, 0), to(5, 3)], [2, 5, 5]);
        assert_eq!((world.num_states(), world.num_actions(), world.discount()), (6, 4, 0.9));
    }

    #[test]
    fn successor_features_price_what_a_policy_does() {
        let (world, _) = corridor();
        let features = world.next_state_features(&[2]).unwrap();
        let psi = world.successor_features(&[1, 1, 0], &features).unwrap();
        // From the first: the middle now, the last a step later. From the last: nothing.
        close(psi.transpose().as_slice(), &[0.0, 1.0, 0.5, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0], 1e-12);
        let weights = [-1.0, -1.0, 10.0];
        let best = world.solve(&linear_rewards(&features, &weights)).unwrap();
        let values = world.successor_features(&best.policy, &features).unwrap() * DVector::from_column_slice(&weights);
        close(&best.values, values.as_slice(), 1e-12);
    }

    #[test]
    fn chance_transitions_are_averaged() {
        // From 0: half back, half to 1, which is absorbing; reward 1 each time 0 acts.
        let world = Mdp::new(2, 1, vec![vec![(0, 0.5), (1, 0.5)], vec![(1, 1.0)]], 0.5).unwrap();
        let best = world.solve(&[1.0, 0.0]).unwrap();
        close(&best.values, &[4.0 / 3.0, 0.0], 1e-12); // V = 1 + V/4
        close(world.next_state_features(&[1]).unwrap().transpose().as_slice(), &[0.5, 0.5, 0.0, 0.0], 0.0);
    }

    #[test]
    fn shaping_by_potentials_moves_values_and_leaves_regret() {
        let (world, rewards) = corridor();
        let potentials = [2.0, -1.0, 0.5];
        let shaped: Vec<f64> = (0..12)
            .map(|row| rewards[row] + 0.5 * potentials[world.transitions[row][0].0] - potentials[row / 4])
            .collect();
        let (plain, shaped) = (world.solve(&rewards).unwrap(), world.solve(&shaped).unwrap());
        close(&shaped.values, &[2.0, 11.0, -0.5], 1e-12);
        close(&shaped.advantages(), &plain.advantages(), 1e-12);
    }

    #[test]
    fn equal_actions_end_the_search() {
        let world = Mdp::grid(2, 2, &[], 0.999).unwrap();
        let best = world.solve(&[0.1; 16]).unwrap();
        assert!(best.converged && best.iterations == 1);
        close(&best.values, &[100.0; 4], 1e-9);
    }

    #[test]
    fn what_makes_no_sense_is_an_error_by_name() {
        let text = |result: Result<Mdp>| result.unwrap_err().to_string();
        assert!(text(Mdp::new(1, 1, vec![], 0.5)).starts_with("`transitions`: expected 1"));
        assert!(text(Mdp::new(0, 1, vec![], 0.5)).contains("no state"));
        assert!(text(Mdp::new(1, 0, vec![], 0.5)).contains("no action"));
        assert!(text(Mdp::new(1, 1, vec![vec![(1, 1.0)]], 0.5)).contains("`next` 1 is not in 0..1"));
        assert!(text(Mdp::new(1, 1, vec![vec![(0, 0.9)]], 0.5)).contains("sum to 1, got 0.9"));
        assert!(text(Mdp::new(1, 1, vec![vec![(0, -1.0), (0, 2.0)]], 0.5)).contains("number >= 0"));
        assert!(text(Mdp::new(1, 1, vec![vec![(0, f64::NAN)]], 0.5)).contains("`chance`"));
        assert!(text(Mdp::new(1, 1, vec![vec![(0, 1.0)]], 1.0)).starts_with("`discount`"));
        assert!(text(Mdp::grid(2, 2, &[4], 0.5)).contains("`absorbing` 4"));
        let (world, rewards) = corridor();
        let text = |result: Result<Solution>| result.unwrap_err().to_string();
        assert!(text(world.solve(&[1.0])).starts_with("`rewards`"));
        assert!(text(world.solve(&[f64::NAN; 12])).contains("`reward`"));
        assert!(text(world.solve_from(&rewards, &[0])).starts_with("`policy`"));
        assert!(text(world.solve_from(&rewards, &[0, 4, 0])).contains("`policy` 4 is not in 0..4"));
        assert!(world.next(3, 0).is_err() && world.next(0, 4).is_err() && world.next_state_features(&[3]).is_err());
        assert!(
            world.successor_features(&[0; 3], &DMatrix::zeros(2, 2)).unwrap_err().to_string().contains("`features`")
        );
        assert!(world.solve(&rewards).unwrap().is_best(&[9, 0, 0], 0.0).is_err());
    }
}
