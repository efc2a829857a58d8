//! Rewards of a finite world from judged segments, by partial return or by regret.
//!
//! **Paper:** Models of human preference for learning reward functions (2022), 2206.02231.
//! **Use when:** the world is small and known, or to see which of the two models fits the judges.
//! **Checked by:** derivatives, the likelihood on tensors, hand-worked scores, recovery of behavior in seeded grids.
//! **Deviations:** the paper takes the best of a fixed set of policies ([`super::regret::softmax_values`]); here every
//! evaluation finds the best policy of all, whose successor features are the derivatives of its values (envelope theorem).

use accordant_ops::check_domain;
use burn::config::Config;
use nalgebra::DMatrix;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::mdp::{Mdp, linear_rewards};
use crate::{
    Error, Outcome, Report, Result,
    error::{check_index, check_length, check_record},
    link::{Link, Logit},
    optimize::{Stop, lbfgs},
    random::{Purpose, stream},
};

/// States `s_0, ..., s_T` and the actions `a_0, ..., a_{T−1}` between them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Segment {
    /// The states, one more than actions.
    pub states: Vec<usize>,
    /// The actions.
    pub actions: Vec<usize>,
}

/// Two segments and what was said about them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SegmentPair {
    /// The first segment.
    pub first: Segment,
    /// The second segment.
    pub second: Segment,
    /// Which is better.
    pub outcome: Outcome,
}

/// What a segment is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum JudgedBy {
    /// The rewards within it, `Σ_t r(s_t, a_t)`.
    PartialReturn,
    /// What it collects and where it leads to, by where it started, `Σ_t r_t + V*(s_T) − V*(s_0)`: minus the paper's regret
    /// under deterministic transitions, which discounts nothing within a segment.
    #[default]
    Regret,
    /// How good its decisions are, `Σ_t [Q*(s_t, a_t) − V*(s_t)]`: minus regret whatever the transitions. Shaping by
    /// potentials does not change it. At a discount of nearly 1 and deterministic transitions, nearly the same.
    Advantages,
}

/// Configuration of a fit of rewards `⟨φ(s, a), w⟩`.
///
/// ```text
/// minimize over w:  −Σ_n log P(outcome_n; β [score(σ¹_n) − score(σ²_n)]) + ½ prior ‖w‖²
/// ```
#[derive(Config, Debug, PartialEq)]
pub struct RewardFitConfig {
    /// What segments are judged by. Regret: the paper finds that it explains people better.
    #[config(default = "JudgedBy::Regret")]
    pub judged_by: JudgedBy,
    /// What a unit of the score is worth in log-odds, β, finite and > 0. 1: the paper's.
    #[config(default = 1.0)]
    pub beta: f64,
    /// The precision of a normal prior on each weight, finite and > 0: some directions are never seen (a constant between
    /// segments of one length; shaping by potentials under regret). 1: ours.
    #[config(default = 1.0)]
    pub prior: f64,
    /// From how many points regret's likelihood, which has many maxima, is searched, ≥ 1: the partial return's weights
    /// and then draws from a standard normal distribution. 4: ours. A partial return needs one.
    #[config(default = 4)]
    pub restarts: usize,
    /// Seed of the draws.
    #[config(default = 0)]
    pub seed: u64,
    /// Converged when no derivative of the objective exceeds this much for each pair, finite and > 0. 1e-6: ours. Regret
    /// has kinks where the best policy changes, and a maximum on a kink is reported as not converged.
    #[config(default = 1e-6)]
    pub tolerance: f64,
    /// Steps at most from each start. 500: ours.
    #[config(default = 500)]
    pub max_iterations: usize,
}

/// Fitted rewards.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FittedRewards {
    /// The weights of the features.
    pub weights: Vec<f64>,
    /// The rewards, `[states × actions]`.
    pub rewards: Vec<f64>,
    /// How the best search ended.
    pub report: Report,
    /// The objectives that the searches ended at, in the order of their starts.
    pub objectives: Vec<f64>,
}

impl RewardFitConfig {
    /// Fits the weights of `features`, φ, `[states × actions, features]`.
    ///
    /// # Errors
    /// A domain error naming a field; [`Error::Length`] naming `features` or the `states` of a segment; [`Error::Index`]
    /// for a state or an action that is not there, [`Error::Record`] for a step that the world does not allow and for a
    /// share outside of [0, 1], both with the number of the pair; [`Error::Empty`] without a pair.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::{Outcome, trajectory::{mdp::Mdp, reward_fit::{JudgedBy, RewardFitConfig, Segment, SegmentPair}}};
    /// let world = Mdp::grid(3, 1, &[], 0.9)?;
    /// let segment = |states: [usize; 2], action| Segment { states: states.into(), actions: vec![action] };
    /// // From the middle, right is better than left.
    /// let pair = SegmentPair { first: segment([1, 2], 1), second: segment([1, 0], 3), outcome: Outcome::First };
    /// let config = RewardFitConfig::new().with_judged_by(JudgedBy::PartialReturn);
    /// let fitted = config.fit(&world, &world.next_state_features(&[])?, &[pair])?;
    /// assert!(fitted.report.converged && fitted.weights[2] > 0.2 && fitted.weights[0] < -0.2);
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn fit(&self, world: &Mdp, features: &DMatrix<f64>, pairs: &[SegmentPair]) -> Result<FittedRewards> {
        let Self { beta, prior, restarts, tolerance, .. } = *self;
        check_domain(beta.is_finite() && beta > 0.0, "beta", "finite and > 0", beta)?;
        check_domain(prior.is_finite() && prior > 0.0, "prior", "finite and > 0", prior)?;
        check_domain(restarts > 0, "restarts", ">= 1", restarts as f64)?;
        check_domain(tolerance.is_finite() && tolerance > 0.0, "tolerance", "finite and > 0", tolerance)?;
        check_length("features", world.num_states() * world.num_actions(), features.nrows())?;
        let pairs = pairs.iter().enumerate().map(|(row, pair)| Flat::new(world, features, row, pair));
        let pairs: Vec<Flat> = pairs.collect::<Result<_>>()?;
        if pairs.is_empty() {
            return Err(Error::Empty { name: "pairs", reason: "there is none" });
        }
        let problem = Problem { world, features, pairs: &pairs, config: self };
        let stop = Stop { gradient: tolerance * pairs.len() as f64, max_iterations: self.max_iterations };
        let search = |judged_by, start| {
            let mut policy = vec![0; world.num_states()];
            lbfgs(|at, gradient| problem.evaluate(judged_by, at, gradient, &mut policy), start, stop)
        };
        let returns = search(JudgedBy::PartialReturn, vec![0.0; features.ncols()]);
        let found = match self.judged_by {
            JudgedBy::PartialReturn => vec![returns],
            judged_by => (0..restarts)
                .into_par_iter()
                .map(|at| {
                    let mut rng = stream(self.seed, Purpose::Start, at as u32);
                    let start = match at {
                        0 => returns.0.clone(),
                        _ => StandardNormal.sample_iter(&mut rng).take(features.ncols()).collect(),
                    };
                    search(judged_by, start)
                })
                .collect(),
        };
        let objectives = found.iter().map(|(_, report)| report.objective).collect();
        let best = found.into_iter().min_by(|a, b| a.1.objective.total_cmp(&b.1.objective));
        let (weights, report) = best.expect("at least one search");
        Ok(FittedRewards { rewards: linear_rewards(features, &weights), weights, report, objectives })
    }
}

/// The scores of a segment for given rewards: what [`RewardFitConfig`] compares.
///
/// # Errors
/// As [`RewardFitConfig::fit`] about segments; as [`Mdp::solve`] about `rewards`.
pub fn segment_score(world: &Mdp, rewards: &[f64], segment: &Segment, judged_by: JudgedBy) -> Result<f64> {
    let best = world.solve(rewards)?;
    let rows = rows(world, 0, segment)?;
    let values =
        |places: Vec<(usize, f64)>| places.into_iter().map(|(state, sign)| sign * best.values[state]).sum::<f64>();
    let sum = |steps: &[f64]| rows.iter().map(|&row| steps[row]).sum::<f64>();
    Ok(match judged_by {
        JudgedBy::PartialReturn => sum(rewards),
        JudgedBy::Regret => sum(rewards) + values(ends(segment)),
        JudgedBy::Advantages => sum(&best.advantages()),
    })
}

/// The last state and minus the first; nothing of a segment that goes nowhere.
fn ends(segment: &Segment) -> Vec<(usize, f64)> {
    match segment.states.as_slice() {
        [first, .., last] => vec![(*last, 1.0), (*first, -1.0)],
        _ => Vec::new(),
    }
}

/// The rows of states and actions that a segment goes through.
fn rows(world: &Mdp, pair: usize, segment: &Segment) -> Result<Vec<usize>> {
    check_length("states", segment.actions.len() + 1, segment.states.len())?;
    let steps = segment.states.windows(2).zip(&segment.actions);
    for &state in &segment.states {
        check_index(pair, "state", state, world.num_states())?;
    }
    let row = |(states, &action): (&[usize], &usize)| {
        check_index(pair, "action", action, world.num_actions())?;
        let can = world.next(states[0], action)?.iter().any(|&(next, chance)| next == states[1] && chance > 0.0);
        check_record(can, pair, "state", "one that the action can lead to", states[1] as f64)?;
        Ok(states[0] * world.num_actions() + action)
    };
    steps.map(row).collect()
}

/// A pair as the likelihood sees it: what the first side goes through, and what the second does with a minus.
struct Flat {
    /// Rows of states and actions.
    rows: Vec<(usize, f64)>,
    /// The states at the ends.
    ends: Vec<(usize, f64)>,
    /// Sums of the features of the rows.
    features: Vec<f64>,
    outcome: Outcome,
}

impl Flat {
    fn new(world: &Mdp, features: &DMatrix<f64>, at: usize, pair: &SegmentPair) -> Result<Self> {
        let share = pair.outcome.share();
        check_record((0.0..=1.0).contains(&share), at, "share", "a share in [0, 1]", share)?;
        let first = rows(world, at, &pair.first)?.into_iter().map(|row| (row, 1.0));
        let second = rows(world, at, &pair.second)?.into_iter().map(|row| (row, -1.0));
        let rows: Vec<_> = first.chain(second).collect();
        let minus = |(state, sign): (usize, f64)| (state, -sign);
        let ends = ends(&pair.first).into_iter().chain(ends(&pair.second).into_iter().map(minus)).collect();
        let column = |column| rows.iter().map(|&(row, sign)| sign * features[(row, column)]).sum();
        let features = (0..features.ncols()).map(column).collect();
        // No model here has a chance of ties: half a win each way.
        Ok(Self { rows, ends, features, outcome: Outcome::Share(share) })
    }
}

struct Problem<'a> {
    world: &'a Mdp,
    features: &'a DMatrix<f64>,
    pairs: &'a [Flat],
    config: &'a RewardFitConfig,
}

/// The best values for some weights and their derivatives: `[features, states]` of values, `[features, rows]` of advantages.
struct Best {
    values: Vec<f64>,
    psi: DMatrix<f64>,
    advantages: Vec<f64>,
    slopes: DMatrix<f64>,
}

impl Problem<'_> {
    fn best(&self, at: &[f64], policy: &mut Vec<usize>) -> Best {
        let rewards = linear_rewards(self.features, at);
        let best = self.world.solve_from(&rewards, policy).expect("checked and finite");
        let psi = self.world.successor_features(&best.policy, self.features).expect("checked").transpose();
        let num_actions = self.world.num_actions();
        let slopes = DMatrix::from_fn(at.len(), rewards.len(), |feature, row| {
            let (state, action) = (row / num_actions, row % num_actions);
            let next = self.world.next(state, action).expect("in range");
            let later: f64 = next.iter().map(|&(next, chance)| chance * psi[(feature, next)]).sum();
            self.features[(row, feature)] + self.world.discount() * later - psi[(feature, state)]
        });
        let advantages = best.advantages();
        *policy = best.policy;
        Best { values: best.values, psi, advantages, slopes }
    }

    /// The objective and its gradient; `policy` is the best one of the point before, and of this one in the end.
    fn evaluate(&self, judged_by: JudgedBy, at: &[f64], gradient: &mut [f64], policy: &mut Vec<usize>) -> f64 {
        if at.iter().any(|weight| !weight.is_finite()) {
            return f64::INFINITY;
        }
        let best = (judged_by != JudgedBy::PartialReturn).then(|| self.best(at, policy));
        let (beta, prior) = (self.config.beta, self.config.prior);
        let mut value = 0.5 * prior * at.iter().map(|w| w * w).sum::<f64>();
        gradient.iter_mut().zip(at).for_each(|(g, w)| *g = prior * w);
        for pair in self.pairs {
            let along = |places: &[(usize, f64)], numbers: &[f64]| -> f64 {
                places.iter().map(|&(place, sign)| sign * numbers[place]).sum()
            };
            let returns = || pair.features.iter().zip(at).map(|(x, w)| x * w).sum::<f64>();
            let lead = match (&best, judged_by) {
                (Some(best), JudgedBy::Advantages) => along(&pair.rows, &best.advantages),
                (Some(best), _) => returns() + along(&pair.ends, &best.values),
                (None, _) => returns(),
            };
            let log_prob = Logit.log_prob(pair.outcome, beta * lead, 0.0);
            value -= log_prob.value;
            let slope = -beta * log_prob.d;
            let mut add = |places: &[(usize, f64)], slopes: &DMatrix<f64>| {
                for &(place, sign) in places {
                    gradient.iter_mut().zip(slopes.column(place).iter()).for_each(|(g, d)| *g += slope * sign * d);
                }
            };
            match (&best, judged_by) {
                (Some(best), JudgedBy::Advantages) => add(&pair.rows, &best.slopes),
                (best, _) => {
                    if let Some(best) = best {
                        add(&pair.ends, &best.psi);
                    }
                    gradient.iter_mut().zip(&pair.features).for_each(|(g, x)| *g += slope * x);
                }
            }
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use accordant_laws::gradient::check_gradient;
    use rand::Rng;

    use super::*;
    use crate::{
        pairwise::{PairScores, PairwiseLoss, bradley_terry::BradleyTerryConfig},
        trajectory::{
            Steps,
            partial_return::partial_returns,
            regret::{Regret, advantage_scores},
            testing::{close, tensor, values},
        },
    };

    /// A grid of 5 × 5 with the goal in a corner.
    const GOAL: usize = 24;

    fn world() -> Mdp {
        Mdp::grid(5, 5, &[GOAL], 0.9).unwrap()
    }

    /// Segments of three random steps, judged by regret with β.
    fn judged(world: &Mdp, rewards: &[f64], beta: f64, pairs: usize, seed: u64) -> Vec<SegmentPair> {
        let mut rng = stream(seed, Purpose::World, 0);
        let values = world.solve(rewards).unwrap().values;
        let segment = |rng: &mut rand_chacha::ChaCha8Rng| {
            let mut states = vec![rng.random_range(0..25)];
            let actions: Vec<usize> = (0..3).map(|_| rng.random_range(0..4)).collect();
            let mut score = -values[states[0]];
            for &action in &actions {
                let state = *states.last().unwrap();
                score += rewards[state * 4 + action];
                states.push(world.next(state, action).unwrap()[0].0);
            }
            score += values[states[3]];
            (Segment { states, actions }, score)
        };
        let pair = |_| {
            let ((first, a), (second, b)) = (segment(&mut rng), segment(&mut rng));
            let chance = Logit.first(beta * (a - b), 0.0).value.exp();
            let outcome = if rng.random::<f64>() < chance { Outcome::First } else { Outcome::Second };
            SegmentPair { first, second, outcome }
        };
        (0..pairs).map(pair).collect()
    }

    fn with_costs() -> Vec<f64> {
        let features = world().next_state_features(&[GOAL]).unwrap();
        let mut weights = vec![-1.0; 25];
        weights[GOAL] = 10.0;
        [6, 8, 12, 16, 18].into_iter().for_each(|cell| weights[cell] = -5.0);
        linear_rewards(&features, &weights)
    }

    fn sparse() -> Vec<f64> {
        let mut weights = vec![0.0; 25];
        weights[GOAL] = 1.0;
        linear_rewards(&world().next_state_features(&[GOAL]).unwrap(), &weights)
    }

    /// The share of states but the goal in which the best action of fitted rewards `r(s, a)` is a best one.
    fn share_best(rewards: &[f64], beta: f64, judged_by: JudgedBy, seed: u64) -> f64 {
        let world = world();
        // One weight for each action of each state; the steps of the absorbing goal give 0.
        let features = DMatrix::from_fn(100, 96, |row, column| f64::from(u8::from(row == column)));
        let pairs = judged(&world, rewards, beta, 1000, seed);
        let config = RewardFitConfig::new().with_judged_by(judged_by).with_beta(beta).with_seed(seed);
        let fitted = config.with_restarts(2).with_max_iterations(150).fit(&world, &features, &pairs).unwrap();
        let policy = world.solve(&fitted.rewards).unwrap().policy;
        let best = world.solve(rewards).unwrap().is_best(&policy, 1e-9).unwrap();
        best[..GOAL].iter().filter(|best| **best).count() as f64 / GOAL as f64
    }

    #[test]
    fn noisy_judges_of_regret_are_understood_by_regret_and_not_by_partial_return() {
        for (rewards, beta, name) in [(sparse(), 10.0, "sparse goal"), (with_costs(), 1.0, "grid of costs")] {
            let shares = |by| (0..5).map(|seed| share_best(&rewards, beta, by, seed)).collect::<Vec<_>>();
            let (regret, returns) = (shares(JudgedBy::Regret), shares(JudgedBy::PartialReturn));
            println!("{name}: regret {regret:.3?}, partial return {returns:.3?}");
            let mean = |shares: &[f64]| shares.iter().sum::<f64>() / shares.len() as f64;
            assert!(mean(&regret) >= 0.97 && regret.iter().all(|share| *share >= 0.90), "{name}: {regret:?}");
            assert!(mean(&returns) <= mean(&regret) - 0.10, "{name}: {returns:?}");
        }
    }

    #[test]
    fn the_objective_has_the_derivatives_that_the_search_uses() {
        let world = world();
        let features = world.next_state_features(&[GOAL]).unwrap();
        let pairs = judged(&world, &with_costs(), 1.0, 40, 7);
        let config = RewardFitConfig::new().with_beta(0.7).with_prior(0.3);
        let flat: Vec<Flat> = pairs.iter().map(|pair| Flat::new(&world, &features, 0, pair).unwrap()).collect();
        let problem = Problem { world: &world, features: &features, pairs: &flat, config: &config };
        let mut rng = stream(3, Purpose::Start, 0);
        let at: Vec<f64> = StandardNormal.sample_iter(&mut rng).take(25).collect();
        for judged_by in [JudgedBy::PartialReturn, JudgedBy::Regret, JudgedBy::Advantages] {
            let evaluate = |at: &[f64]| {
                let mut gradient = vec![0.0; 25];
                (problem.evaluate(judged_by, at, &mut gradient, &mut vec![0; 25]), gradient)
            };
            check_gradient(|x| evaluate(x).0, &at, &evaluate(&at).1).unwrap();
        }
    }

    #[test]
    fn the_objective_is_the_likelihood_on_tensors() {
        let world = world();
        let features = world.next_state_features(&[GOAL]).unwrap();
        let mut pairs = judged(&world, &with_costs(), 1.0, 20, 8);
        pairs[3].outcome = Outcome::Tie;
        pairs[4].outcome = Outcome::Share(0.25);
        let config = RewardFitConfig::new().with_beta(2.0);
        let flat: Vec<Flat> = pairs.iter().map(|pair| Flat::new(&world, &features, 0, pair).unwrap()).collect();
        let problem = Problem { world: &world, features: &features, pairs: &flat, config: &config };
        let weights: Vec<f64> = (0..25).map(|i| (f64::from(i) * 0.7).sin()).collect();
        let rewards = linear_rewards(&features, &weights);
        let advantages = world.solve(&rewards).unwrap().advantages();
        let values_of = world.solve(&rewards).unwrap().values;
        for (judged_by, per_row) in
            [(JudgedBy::PartialReturn, &rewards), (JudgedBy::Regret, &rewards), (JudgedBy::Advantages, &advantages)]
        {
            let scores = |side: fn(&SegmentPair) -> &Segment| {
                let of = |pair| rows(&world, 0, side(pair)).unwrap().into_iter().map(|row| per_row[row]);
                let numbers: Vec<f64> = pairs.iter().flat_map(of).collect();
                let steps = Steps::full(tensor(&numbers).reshape([20, 3]));
                let value = |at: usize| pairs.iter().map(|p| values_of[side(p).states[at]]).collect::<Vec<_>>();
                match judged_by {
                    JudgedBy::PartialReturn => partial_returns(&steps, 1.0).unwrap(),
                    JudgedBy::Advantages => advantage_scores(&steps).unwrap(),
                    JudgedBy::Regret => {
                        Regret::new(&steps, tensor(&value(0)), tensor(&value(3)), 1.0).unwrap().scores()
                    }
                }
            };
            let targets: Vec<f64> = pairs.iter().map(|pair| pair.outcome.share()).collect();
            let scored = PairScores::new(scores(|p| &p.first), scores(|p| &p.second)).unwrap();
            let scored = scored.with_targets(tensor(&targets)).unwrap();
            let model = BradleyTerryConfig::new().with_temperature(0.5).init().unwrap();
            let loss: f64 = values(model.forward(&scored).unwrap().losses).iter().sum();
            let penalty = 0.5 * weights.iter().map(|w| w * w).sum::<f64>();
            let host = problem.evaluate(judged_by, &weights, &mut [0.0; 25], &mut vec![0; 25]);
            assert!((host - loss - penalty).abs() < 1e-10, "{judged_by:?}: {host} and {loss}");
        }
    }

    #[test]
    fn scores_of_a_segment_by_hand() {
        // Three cells, a step costs 1, the way into the last pays 10: V = 4, 10, 0.
        let world = Mdp::grid(3, 1, &[2], 0.5).unwrap();
        let rewards = linear_rewards(&world.next_state_features(&[2]).unwrap(), &[-1.0, -1.0, 10.0]);
        let detour = Segment { states: vec![0, 0, 1, 2], actions: vec![3, 1, 1] };
        let score = |by| segment_score(&world, &rewards, &detour, by).unwrap();
        // −1 − 1 + 10, then with V*(s_T) − V*(s_0) = −4; and the one wrong decision.
        let scores = [JudgedBy::PartialReturn, JudgedBy::Regret, JudgedBy::Advantages].map(score);
        close(&scores, &[8.0, 4.0, -3.0], 1e-12);
        let best = Segment { states: vec![0, 1, 2], actions: vec![1, 1] };
        close(&[segment_score(&world, &rewards, &best, JudgedBy::Advantages).unwrap()], &[0.0], 1e-12);
        assert_eq!(
            segment_score(&world, &rewards, &Segment { states: vec![1], actions: vec![] }, JudgedBy::Regret).unwrap(),
            0.0
        );
    }

    #[test]
    fn of_a_partial_return_one_pair_has_a_closed_form() {
        // A lead of x·w = 2w under β = 1 and prior 4: w maximizes log σ(2w) − 2w².
        let world = Mdp::new(1, 2, vec![vec![(0, 1.0)]; 2], 0.0).unwrap();
        let segment = |action| Segment { states: vec![0, 0], actions: vec![action] };
        let pair = SegmentPair { first: segment(0), second: segment(1), outcome: Outcome::First };
        let features = DMatrix::from_column_slice(2, 1, &[1.0, -1.0]);
        let config = RewardFitConfig::new().with_judged_by(JudgedBy::PartialReturn).with_prior(4.0);
        let fitted = config.with_tolerance(1e-10).fit(&world, &features, &[pair]).unwrap();
        let w = fitted.weights[0];
        assert!(fitted.report.converged && (2.0 / (1.0 + (2.0 * w).exp()) - 4.0 * w).abs() < 1e-9, "{w}");
        close(&fitted.rewards, &[w, -w], 0.0);
        assert_eq!(fitted.objectives, [fitted.report.objective]);
    }

    #[test]
    fn every_start_is_tried_and_the_best_is_kept() {
        let world = world();
        let features = world.next_state_features(&[GOAL]).unwrap();
        let pairs = judged(&world, &with_costs(), 1.0, 60, 9);
        let fitted = RewardFitConfig::new().with_restarts(3).fit(&world, &features, &pairs).unwrap();
        let least = fitted.objectives.iter().copied().fold(f64::INFINITY, f64::min);
        assert_eq!((fitted.objectives.len(), fitted.report.objective), (3, least));
        let again = RewardFitConfig::new().with_restarts(3).fit(&world, &features, &pairs).unwrap();
        assert_eq!(again, fitted, "seeded");
    }

    #[test]
    fn fields_and_records_are_checked() {
        let world = Mdp::grid(2, 1, &[], 0.5).unwrap();
        let features = world.next_state_features(&[]).unwrap();
        let segment = |states: &[usize], actions: &[usize]| Segment { states: states.into(), actions: actions.into() };
        let good = segment(&[0, 1], &[1]);
        let pair = |second: Segment, outcome| SegmentPair { first: good.clone(), second, outcome };
        let fine = pair(good.clone(), Outcome::First);
        let text = |config: RewardFitConfig, pairs: &[SegmentPair]| {
            config.fit(&world, &features, pairs).unwrap_err().to_string()
        };
        let new = RewardFitConfig::new;
        for bad in [0.0, f64::NAN, f64::INFINITY] {
            assert!(text(new().with_beta(bad), &[]).starts_with("`beta`"));
            assert!(text(new().with_prior(bad), &[]).starts_with("`prior`"));
            assert!(text(new().with_tolerance(bad), &[]).starts_with("`tolerance`"));
        }
        assert!(text(new().with_restarts(0), &[]).starts_with("`restarts`"));
        assert!(text(new(), &[]).starts_with("`pairs`: nothing to learn from"));
        let bad = |second, outcome| text(new(), &[fine.clone(), pair(second, outcome)]);
        assert!(bad(segment(&[0, 1, 0], &[1]), Outcome::First).starts_with("`states`: expected 2"));
        assert!(bad(segment(&[2, 1], &[1]), Outcome::First).starts_with("record 1: `state` 2"));
        assert!(bad(segment(&[0, 1], &[4]), Outcome::First).starts_with("record 1: `action` 4"));
        assert!(
            bad(segment(&[0, 0], &[1]), Outcome::First).contains("record 1: `state`: expected one that the action")
        );
        assert!(bad(good.clone(), Outcome::Share(1.5)).contains("record 1: `share`"));
        assert!(new().fit(&world, &DMatrix::zeros(1, 1), &[fine]).unwrap_err().to_string().starts_with("`features`"));
        let defaults = new();
        assert_eq!((defaults.judged_by, defaults.beta, defaults.prior), (JudgedBy::Regret, 1.0, 1.0));
        assert_eq!((defaults.restarts, defaults.seed, defaults.tolerance, defaults.max_iterations), (4, 0, 1e-6, 500));
    }
}
