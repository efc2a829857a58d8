//! Where expected updates come to rest on a bandit.
//!
//! Methods that train on groups of rollouts replace the reward by an advantage and put an estimate of the KL into the
//! loss. With groups so large that group statistics are exact, the update of a context is one of
//!
//! ```text
//! g(a) = π(a) (r(a) − E r)/s − β k(a)      s = 1  or  std_π(r) + ε, not differentiated
//! k(a) = π(a) (log(π(a)/ref(a)) − KL(π ‖ ref))     for k2 in the loss, the gradient of KL(π ‖ ref)
//! k(a) = π(a) − ref(a)                             for k3 in the loss, the gradient of KL(ref ‖ π)
//! ```
//!
//! and where `g = 0` depends on the choice. The first line is the optimum of the bandit, the others are not:
//!
//! | `s` | KL | stationary policy |
//! |---|---|---|
//! | 1 | k2 | `ref(a) exp(r(a)/β) / Z`, [`Bandit::optimum`] |
//! | 1 | k3 | `β ref(a) / (β + E r − r(a))`, with `E r` such that it sums to 1 |
//! | std + ε | k2 | `ref(a) exp(r(a)/(β (std + ε))) / Z`; with ε = 0 there may be none, see below |
//! | std + ε | k3 | the second line with `β (std + ε)` for `β`; with ε = 0 it has `χ²(ref ‖ π) = Σ_a ref(a)²/π(a) − 1 = 1/β²` |
//!
//! **Collapse.** With standardized advantages, k2 and ε = 0 the pull of the reward does not fade as the policy gets
//! certain: `std` goes to 0 as fast as the advantages do. For two arms of equal reference probability there is a
//! stationary policy only for β ≥ 1.5089 (the minimum of `2 cosh(x/2)/x`); below it the policy converges to the best arm,
//! whatever the rewards. Language models are trained with β of 0.001 to 0.1. With ε > 0 there is always one, and where
//! there are several, the least tilted is meant: there the natural gradient ends that starts at the reference policy,
//! `log(π/ref) = θ r` with `dθ/dt = 1/(std + ε) − β θ`, and for two arms the plain gradient as well.

use super::{
    Bandit, Policy,
    bandit::{log_ratio_term, weighted},
    check, check_beta, check_number,
    policy::{below_best, expectation, kl, log_total, normalized, tilted},
};
use crate::Result;

/// What the difference of a reward to the mean of its group is divided by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum AdvantageScale {
    /// Nothing.
    One,
    /// The standard deviation of the group's rewards, plus `epsilon`, finite and ≥ 0.
    Std {
        /// Added to the standard deviation.
        epsilon: f64,
    },
}

/// Which estimate of the KL to the reference policy stands in the loss, by its name in
/// <http://joschu.net/blog/kl-approx.html>. (k1 in the loss has the expected gradient 0.)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KlLoss {
    /// `u²/2` with `u = log(π/ref)`: the gradient of `KL(π ‖ ref)`.
    K2,
    /// `exp(−u) − 1 + u`: the gradient of `KL(ref ‖ π)`.
    K3,
}

/// What an objective does on a bandit, in expectation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Update {
    /// The advantage's denominator.
    pub scale: AdvantageScale,
    /// The KL estimate.
    pub kl: KlLoss,
    /// Its coefficient, in `[0, 1e100]`; > 0 for [`Bandit::stationary`].
    pub beta: f64,
}

/// A policy at which an update is zero.
#[derive(Debug, Clone, PartialEq)]
pub struct Stationary {
    /// The policy.
    pub policy: Policy,
    /// Whether its defining equation holds in every context, to a relative error of 1e-12.
    pub converged: bool,
    /// Steps of all iterations together.
    pub iterations: usize,
    /// Contexts in which no policy that takes every arm is stationary. Their row of `policy` is what the update converges
    /// to: the best arms, in the reference's proportions. With any of them `converged` is false.
    pub collapsed: Vec<usize>,
}

impl Update {
    fn check(&self) -> Result<()> {
        if let AdvantageScale::Std { epsilon } = self.scale {
            check_number("epsilon", epsilon)?;
            check(epsilon >= 0.0, "epsilon", ">= 0", epsilon)?;
        }
        check_beta(self.beta)
    }
}

impl Bandit {
    /// The direction in which `update` moves the logits of `policy`, divided by the number of contexts; the equations are
    /// this module's. A context whose rewards have no spread under the policy has advantages of 0.
    ///
    /// # Errors
    /// A domain error naming `policy`, `epsilon` or `beta`.
    ///
    /// # Example
    /// ```
    /// use accordant_data::solvable::{Bandit, stationary::{AdvantageScale, KlLoss, Update}};
    /// let bandit = Bandit::seeded(0, 2, 4)?;
    /// let plain = Update { scale: AdvantageScale::One, kl: KlLoss::K2, beta: 0.1 };
    /// let (policy, gradient) = (bandit.reference(), bandit.gradient(bandit.reference(), 0.1)?);
    /// assert!((bandit.expected_update(policy, &plain)?[1][3] - gradient[1][3]).abs() < 1e-15);
    /// # Ok::<(), accordant_data::Error>(())
    /// ```
    pub fn expected_update(&self, policy: &Policy, update: &Update) -> Result<Vec<Vec<f64>>> {
        update.check()?;
        self.check_policy(policy)?;
        let share = 1.0 / self.contexts() as f64;
        let rows = policy.log_probs().iter().zip(self.reference().log_probs()).zip(self.rewards());
        let row = |((policy, reference), rewards): ((&Vec<f64>, &Vec<f64>), &Vec<f64>)| {
            let (below, range) = below_in_range(rewards);
            let mean = expectation(policy, |arm| below[arm]);
            let scale = match update.scale {
                AdvantageScale::One => 1.0 / range,
                AdvantageScale::Std { epsilon } => std(policy, &below) + epsilon / range,
            };
            let divergence = kl(policy, reference);
            let entry = |arm: usize| {
                // A policy may be so certain that there is a mean, but no spread.
                let advantage = if mean == below[arm] || scale == 0.0 { 0.0 } else { (mean - below[arm]) / scale };
                let reward = weighted(policy[arm], || advantage);
                let pull = match update.kl {
                    KlLoss::K2 => weighted(policy[arm], || {
                        log_ratio_term(update.beta, policy[arm], reference[arm]) - update.beta * divergence
                    }),
                    KlLoss::K3 => update.beta * (policy[arm].exp() - reference[arm].exp()),
                };
                share * (reward - pull)
            };
            (0..self.arms()).map(entry).collect()
        };
        Ok(rows.map(row).collect())
    }

    /// The policy at which [`Bandit::expected_update`] is zero, by the table of this module.
    ///
    /// # Errors
    /// A domain error naming `epsilon` or `beta`, which must be > 0 here.
    ///
    /// # Example
    /// ```
    /// use accordant_data::solvable::{Bandit, Policy, stationary::{AdvantageScale, KlLoss, Update}};
    /// let bandit = Bandit::new(vec![vec![0.0, 1.0]], Policy::from_logits(&[vec![0.0, 0.0]])?)?;
    /// // χ²(ref ‖ π) = 1/(4 p (1 - p)) - 1 = 1/β² = 1/3 at p = 3/4.
    /// let update = Update { scale: AdvantageScale::Std { epsilon: 0.0 }, kl: KlLoss::K3, beta: 3f64.sqrt() };
    /// let rest = bandit.stationary(&update)?;
    /// assert!(rest.converged && (rest.policy.probs()[0][1] - 0.75).abs() < 1e-12);
    /// # Ok::<(), accordant_data::Error>(())
    /// ```
    pub fn stationary(&self, update: &Update) -> Result<Stationary> {
        update.check()?;
        check(update.beta > 0.0, "beta", "> 0, since nothing else keeps a policy from certainty", update.beta)?;
        let mut out =
            Stationary { policy: self.reference().clone(), converged: true, iterations: 0, collapsed: Vec::new() };
        let mut table = Vec::with_capacity(self.contexts());
        for (context, (reference, rewards)) in self.reference().log_probs().iter().zip(self.rewards()).enumerate() {
            let rest = rest(reference, rewards, update);
            out.converged &= rest.state == State::Found;
            out.iterations += rest.iterations;
            if rest.state == State::Collapsed {
                out.collapsed.push(context);
            }
            table.push(rest.policy);
        }
        out.policy = Policy::of_log_probs(table);
        Ok(out)
    }
}

#[derive(Debug, PartialEq)]
enum State {
    Found,
    Collapsed,
    Lost,
}

/// The stationary policy of one context.
struct Rest {
    policy: Vec<f64>,
    state: State,
    iterations: usize,
}

const TOLERANCE: f64 = 1e-12;

fn found_if(holds: bool) -> State {
    if holds { State::Found } else { State::Lost }
}

/// How far each reward is below the best in units of the range, and the range: no square of a tiny reward underflows.
fn below_in_range(rewards: &[f64]) -> (Vec<f64>, f64) {
    let (below, _) = below_best(rewards);
    let range = below.iter().copied().fold(0.0, f64::max);
    let unit = |value: f64| if value == 0.0 { 0.0 } else { value / range };
    (below.into_iter().map(unit).collect(), range)
}

fn rest(reference: &[f64], rewards: &[f64], update: &Update) -> Rest {
    let (below, range) = below_in_range(rewards);
    if range == 0.0 {
        return Rest { policy: reference.to_vec(), state: State::Found, iterations: 0 };
    }
    let beta = update.beta;
    match (update.scale, update.kl) {
        (AdvantageScale::One, KlLoss::K2) => {
            let (policy, _) = tilted(reference, &below, range / beta);
            Rest { policy, state: State::Found, iterations: 0 }
        }
        (AdvantageScale::One, KlLoss::K3) => forward(reference, &below, beta.ln() - range.ln()),
        (AdvantageScale::Std { epsilon }, KlLoss::K2) => standardized(reference, &below, beta, epsilon / range),
        (AdvantageScale::Std { epsilon }, KlLoss::K3) => both(reference, &below, beta, epsilon / range),
    }
}

/// The standard deviation of the rewards under a policy. From how far each reward is below the best, so that it keeps its
/// digits where the policy is almost certain of the best.
fn std(policy: &[f64], below: &[f64]) -> f64 {
    let mean = expectation(policy, |arm| below[arm]);
    expectation(policy, |arm| (below[arm] - mean).powi(2)).sqrt()
}

/// `log(exp(a) + exp(b))`.
fn log_add(a: f64, b: f64) -> f64 {
    log_total(&[a, b])
}

/// Halves `[low, high]` until no number is between; `rising(x)` tells whether the root is above `x`.
fn bisect(mut low: f64, mut high: f64, iterations: &mut usize, mut root_above: impl FnMut(f64) -> bool) -> f64 {
    loop {
        let middle = low + 0.5 * (high - low);
        if middle <= low || middle >= high {
            return middle;
        }
        *iterations += 1;
        if root_above(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
}

/// Unscaled advantages and the forward KL: `π(a) = ref(a) / (μ + below(a)/β)`, where `μ = (β + E r − max r)/β` makes it sum
/// to 1. The sum falls in `μ`; it is at most 1 at `μ = 1` and at least 1 where `μ` is the reference's share of the best
/// arms. In logs, because that share may underflow, and so may β in units of the rewards.
fn forward(reference: &[f64], below: &[f64], log_beta: f64) -> Rest {
    let best: Vec<f64> = reference.iter().zip(below).filter(|(_, b)| **b == 0.0).map(|(logp, _)| *logp).collect();
    let row = |log_mu: f64| -> Vec<f64> {
        // `ln 0 = −∞` adds nothing.
        let denominator = |below: f64| log_add(log_mu, below.ln() - log_beta);
        reference.iter().zip(below).map(|(logp, below)| logp - denominator(*below)).collect()
    };
    let mut iterations = 0;
    let log_mu = bisect(log_total(&best), 0.0, &mut iterations, |log_mu| log_total(&row(log_mu)) > 0.0);
    let policy = row(log_mu);
    let state = found_if(log_total(&policy).abs() <= TOLERANCE);
    Rest { policy: normalized(policy), state, iterations }
}

/// Standardized advantages and the forward KL: [`forward`] with `b = β (std + ε)`.
///
/// There is one solution. With `w = ref/π = μ + below/b` and `t = 1/b`, stationarity says `std/b = χ(ref ‖ π)`, so that the
/// equation is `χ = 1/β − ε t`; its right side does not rise in `t`, and `χ² = E_ref w − 1` rises: `Σ ref/w = 1` gives
/// `dμ/dt = −E_q below` for `q ∝ ref/w²`, which prefers arms with less `below`, so `dχ²/dt = E_ref below − E_q below > 0`.
fn both(reference: &[f64], below: &[f64], beta: f64, epsilon: f64) -> Rest {
    // A standard deviation is at most half of the range.
    let high = (beta * (0.5 + epsilon)).ln();
    let mut iterations = 0;
    let at = |log_b: f64, iterations: &mut usize| {
        let rest = forward(reference, below, log_b);
        *iterations += rest.iterations;
        let wanted = (beta * (std(&rest.policy, below) + epsilon)).ln();
        (rest.policy, wanted)
    };
    if high == f64::INFINITY {
        return Rest { policy: reference.to_vec(), state: State::Found, iterations };
    }
    let mut reach = 1.0;
    while at(high - reach, &mut iterations).1 < high - reach {
        reach *= 2.0;
        // The largest exponent of an `f64`: nothing to be found below.
        if high - reach < -740.0 {
            return Rest { policy: reference.to_vec(), state: State::Lost, iterations };
        }
    }
    let mut inner = 0;
    let log_b = bisect(high - reach, high, &mut iterations, |log_b| at(log_b, &mut inner).1 > log_b);
    let (policy, wanted) = at(log_b, &mut inner);
    Rest { policy, state: found_if((wanted - log_b).abs() <= TOLERANCE), iterations: iterations + inner }
}

/// Standardized advantages and the reverse KL: the reference tilted by the smallest slope `θ` at which
/// `β θ (σ(θ) + ε) = 1`, where `σ(θ)` is the standard deviation under the tilted policy.
///
/// The left side may rise and fall, so bisection could find a larger root. Instead `θ` climbs in steps that provably do
/// not pass a root: `d log σ/dθ = μ₃/(2σ²) ≤ D(θ)/2`, where `D = E below` falls in `θ` (no reward exceeds the mean by
/// more), hence `σ(θ + δ) ≤ σ(θ) exp(D δ/2)`, and no root is nearer than where that bound meets `1/(β (θ + δ)) − ε`.
fn standardized(reference: &[f64], below: &[f64], beta: f64, epsilon: f64) -> Rest {
    const MOST_STEPS: usize = 100_000;
    let mut theta = 0.0f64;
    for iterations in 0..MOST_STEPS {
        let (policy, _) = tilted(reference, below, theta);
        let (sigma, mean) = (std(&policy, below), expectation(&policy, |arm| below[arm]));
        let target = 1.0 / (beta * (sigma + epsilon));
        if sigma == 0.0 {
            // Certain of the best arms; only ε can hold the policy back now, and at no other slope.
            let held = target.is_finite();
            let (policy, _) = tilted(reference, below, target);
            return Rest { policy, state: if held { State::Found } else { State::Collapsed }, iterations };
        }
        // log(β (θ + δ) (σ exp(D δ/2) + ε)), an upper bound of the left side's logarithm; the step is its root.
        let bound = |step: f64| {
            let spread = if epsilon == 0.0 {
                sigma.ln() + 0.5 * mean * step
            } else {
                log_add(sigma.ln() + 0.5 * mean * step, epsilon.ln())
            };
            beta.ln() + (theta + step).ln() + spread
        };
        // It is not below `D δ/2` plus its value without growth of θ, nor below its value without growth of σ.
        let mut furthest = target - theta;
        if theta > 0.0 {
            furthest = furthest.min(-2.0 * (beta.ln() + theta.ln() + sigma.ln()) / mean);
        }
        let furthest = furthest.min(f64::MAX);
        let mut halvings = 0;
        let step = bisect(0.0, furthest, &mut halvings, |step| bound(step) < 0.0);
        if theta + step <= theta {
            let state = found_if((target / theta).ln().abs() <= TOLERANCE);
            return Rest { policy, state, iterations };
        }
        theta += step;
    }
    let (policy, _) = tilted(reference, below, theta);
    Rest { policy, state: State::Lost, iterations: MOST_STEPS }
}

#[cfg(test)]
mod tests {
    use accordant_laws::gradient::check_gradient;
    use proptest::prelude::*;

    use super::*;

    const STANDARDIZED: AdvantageScale = AdvantageScale::Std { epsilon: 0.0 };

    fn updates(beta: f64, epsilon: f64) -> [Update; 4] {
        let std = AdvantageScale::Std { epsilon };
        [(AdvantageScale::One, KlLoss::K2), (AdvantageScale::One, KlLoss::K3), (std, KlLoss::K2), (std, KlLoss::K3)]
            .map(|(scale, kl)| Update { scale, kl, beta })
    }

    fn even(arms: usize) -> Policy {
        Policy::from_logits(&[vec![0.0; arms]]).unwrap()
    }

    fn largest(update: &[Vec<f64>]) -> f64 {
        update.iter().flatten().fold(0.0, |largest, entry| largest.max(entry.abs()))
    }

    /// What a method maximizes on rollouts of `frozen`, one context: the policy gradient's surrogate and the KL estimate as
    /// it stands in the loss, with nothing differentiated but the policy.
    fn surrogate(bandit: &Bandit, frozen: &Policy, logits: &[f64], update: &Update) -> f64 {
        let policy = Policy::from_logits(&[logits.to_vec()]).unwrap();
        let (old, reference) = (&frozen.probs()[0], &bandit.reference().log_probs()[0]);
        let rewards = &bandit.rewards()[0];
        let mean: f64 = old.iter().zip(rewards).map(|(p, r)| p * r).sum();
        let variance: f64 = old.iter().zip(rewards).map(|(p, r)| p * (r - mean) * (r - mean)).sum();
        let scale = match update.scale {
            AdvantageScale::One => 1.0,
            AdvantageScale::Std { epsilon } => variance.sqrt() + epsilon,
        };
        let term = |arm: usize| {
            let logp = policy.log_probs()[0][arm];
            let ratio = (logp - frozen.log_probs()[0][arm]).exp();
            let u = logp - reference[arm];
            let kl = match update.kl {
                KlLoss::K2 => 0.5 * u * u,
                KlLoss::K3 => (-u).exp() - 1.0 + u,
            };
            old[arm] * (ratio * (rewards[arm] - mean) / scale - update.beta * kl)
        };
        (0..rewards.len()).map(term).sum()
    }

    #[test]
    fn updates_are_the_gradients_of_what_methods_maximize() {
        let bandit = Bandit::seeded(3, 1, 4).unwrap();
        let logits = [0.5, -1.0, 0.25, 1.5];
        let frozen = Policy::from_logits(&[logits.to_vec()]).unwrap();
        for update in updates(0.3, 0.05) {
            let claimed = bandit.expected_update(&frozen, &update).unwrap().concat();
            check_gradient(|logits| surrogate(&bandit, &frozen, logits, &update), &logits, &claimed).unwrap();
        }
    }

    proptest! {
        #[test]
        fn stationary_policies_do_not_move(
            seed in 0..1000u64, arms in 2..6usize, log_beta in -4.0..2.0f64, log_epsilon in -6.0..0.0f64,
        ) {
            let bandit = Bandit::seeded(seed, 2, arms).unwrap();
            for update in updates(log_beta.exp(), log_epsilon.exp()) {
                let rest = bandit.stationary(&update).unwrap();
                prop_assert!(rest.converged && rest.collapsed.is_empty(), "{update:?}");
                // Advantages over a spread of e^-6 or more: rounding times 400, and 1e-12 of the equation itself.
                let moved = largest(&bandit.expected_update(&rest.policy, &update).unwrap());
                prop_assert!(moved < 1e-11, "{update:?}: {moved}");
            }
        }

        #[test]
        fn any_input_has_an_answer(
            rewards in prop::collection::vec(-1e100..1e100f64, 3), tiny in prop::bool::ANY,
            log_beta in -700.0..230.0f64, epsilon in prop::sample::select(vec![0.0, 1e-300, 1e-4, 1.0, 1e100]),
            logits in prop::collection::vec(-1e3..1e3f64, 3),
        ) {
            let rewards = rewards.iter().map(|reward| if tiny { reward * 1e-300 } else { *reward }).collect();
            let bandit = Bandit::new(vec![rewards], Policy::from_logits(&[logits]).unwrap()).unwrap();
            for update in updates(log_beta.exp(), epsilon) {
                let rest = bandit.stationary(&update).unwrap();
                let total: f64 = rest.policy.probs()[0].iter().sum();
                prop_assert!((total - 1.0).abs() < 1e-12, "{update:?}: {total}");
                prop_assert!(bandit.expected_update(&rest.policy, &update).unwrap().concat().iter().all(|x| x.is_finite()));
            }
        }
    }

    #[test]
    fn a_policy_too_certain_for_a_spread_has_no_advantages() {
        // e^-805 is 0; the first of these was found by chance.
        for (rewards, logits, beta) in [
            ([0.0, -6.831083671362647e98, 9.14061963490573e99], [805.1183111038859, 62.22398684362197, 0.0], -300.5f64),
            ([0.0, 1.0, 2.0], [900.0, 0.0, 1.0], 0.0),
        ] {
            let policy = Policy::from_logits(&[logits.to_vec()]).unwrap();
            let bandit = Bandit::new(vec![rewards.to_vec()], policy.clone()).unwrap();
            for update in updates(beta.exp(), 0.0) {
                for at in [&policy, &bandit.stationary(&update).unwrap().policy] {
                    let update = bandit.expected_update(at, &update).unwrap().concat();
                    assert!(update.iter().all(|x| x.is_finite()), "{update:?}");
                }
            }
        }
    }

    #[test]
    fn unscaled_k2_is_the_optimum_and_the_others_are_not() {
        let bandit = Bandit::seeded(8, 3, 4).unwrap();
        let best = bandit.optimum(0.5).unwrap();
        let distance = |update: &Update| {
            let policy = bandit.stationary(update).unwrap().policy;
            largest(
                &policy
                    .probs()
                    .iter()
                    .zip(best.policy.probs())
                    .map(|(a, b)| a.iter().zip(b).map(|(a, b)| a - b).collect())
                    .collect::<Vec<Vec<f64>>>(),
            )
        };
        let [plain, others @ ..] = updates(0.5, 0.1);
        assert!(distance(&plain) < 1e-14);
        assert!(others.iter().all(|update| distance(update) > 0.01), "{:?}", others.map(|update| distance(&update)));
    }

    #[test]
    fn unscaled_k3_by_hand() {
        // β = 1, ref = (1/2, 1/2), r = (0, 1/3): p = 1/2 / (1 + E r) and 1/2 / (2/3 + E r) with E r = p₂/3: p₂ = q solves
        // q (2/3 + q/3) = 1/2, so q² + 2q - 3/2 = 0 and q = -1 + √(5/2).
        let bandit = Bandit::new(vec![vec![0.0, 1.0 / 3.0]], even(2)).unwrap();
        let rest = bandit.stationary(&updates(1.0, 0.0)[1]).unwrap();
        assert!(rest.converged && (rest.policy.probs()[0][1] - (2.5f64.sqrt() - 1.0)).abs() < 1e-14);
    }

    #[test]
    fn standardized_k3_keeps_a_fixed_chi_squared() {
        let bandit = Bandit::seeded(2, 1, 5).unwrap();
        let reference = &bandit.reference().probs()[0];
        for beta in [1e-3, 0.04, 1.0, 30.0] {
            let rest = bandit.stationary(&Update { scale: STANDARDIZED, kl: KlLoss::K3, beta }).unwrap();
            assert!(rest.converged);
            let chi: f64 = reference.iter().zip(&rest.policy.probs()[0]).map(|(r, p)| (r - p) * (r - p) / p).sum();
            assert!((chi * beta * beta - 1.0).abs() < 1e-10, "{beta}: {chi}");
        }
    }

    #[test]
    fn standardized_k2_collapses_below_its_critical_beta() {
        // x tanh(x) = 1 at x = 1.19967864 gives the minimum of cosh(x)/x, 1.50887956.
        for rewards in [vec![0.0, 1.0], vec![-3.0, -3.001]] {
            let bandit = Bandit::new(vec![rewards.clone()], even(2)).unwrap();
            let rest = |beta| bandit.stationary(&Update { scale: STANDARDIZED, kl: KlLoss::K2, beta }).unwrap();
            let (above, below) = (rest(1.5089), rest(1.5088));
            assert!(above.converged && above.collapsed.is_empty());
            assert!(!below.converged && below.collapsed == [0]);
            let best = usize::from(rewards[1] > rewards[0]);
            assert_eq!(below.policy.probs()[0][best], 1.0);
        }
    }

    #[test]
    fn training_from_the_reference_ends_at_the_stationary_policy() {
        // β = 2 has two stationary policies: x = cosh(x/2) at 1.179 and at 4.42. The update reaches the first.
        let bandit = Bandit::new(vec![vec![0.0, 1.0]], even(2)).unwrap();
        let update = Update { scale: STANDARDIZED, kl: KlLoss::K2, beta: 2.0 };
        let rest = bandit.stationary(&update).unwrap();
        let tilt = |policy: &Policy| policy.log_probs()[0][1] - policy.log_probs()[0][0];
        let x = tilt(&rest.policy);
        assert!((x - (x / 2.0).cosh()).abs() < 1e-12 && (1.17..1.19).contains(&x), "{x}");
        let mut logits = vec![0.0, 0.0];
        for _ in 0..2000 {
            let policy = Policy::from_logits(&[logits.clone()]).unwrap();
            let step = bandit.expected_update(&policy, &update).unwrap();
            logits.iter_mut().zip(&step[0]).for_each(|(logit, step)| *logit += step);
        }
        assert!((logits[1] - logits[0] - x).abs() < 1e-10, "{logits:?}");
    }

    #[test]
    fn of_several_stationary_policies_the_least_tilted_is_meant() {
        // Five arms, two clusters far apart: the standard deviation rises and falls with the tilt. A fine scan finds the
        // first slope at which θ β (σ + ε) = 1.
        let rewards = vec![0.0, 0.01, 0.9, 0.97, 1.0];
        let reference = Policy::from_logits(&[vec![9.0, 9.0, 0.0, 0.0, -4.0]]).unwrap();
        let bandit = Bandit::new(vec![rewards.clone()], reference.clone()).unwrap();
        let (below, _) = below_best(&rewards);
        let mut most = 0;
        for beta in [0.5, 1.0, 2.0, 5.0] {
            for epsilon in [1e-2, 1e-1] {
                let left = |theta: f64| {
                    let (policy, _) = tilted(&reference.log_probs()[0], &below, theta);
                    theta * beta * (std(&policy, &below) + epsilon)
                };
                // Beyond 1/(β ε) there is none.
                let scan: Vec<f64> =
                    (0..).map(|n| 2e-3 * f64::from(n)).take_while(|t| t * beta * epsilon < 1.01).collect();
                let reached: Vec<bool> = scan.iter().map(|theta| left(*theta) >= 1.0).collect();
                most = most.max(reached.windows(2).filter(|pair| pair[0] != pair[1]).count());
                let first = scan[reached.iter().position(|reached| *reached).unwrap()];
                let update = Update { scale: AdvantageScale::Std { epsilon }, kl: KlLoss::K2, beta };
                let rest = bandit.stationary(&update).unwrap();
                let (row, base) = (&rest.policy.log_probs()[0], &reference.log_probs()[0]);
                let theta = (row[4] - row[0]) - (base[4] - base[0]);
                assert!(rest.converged && theta <= first + 1e-9 && theta >= first - 2e-3 - 1e-9, "{theta} {first}");
            }
        }
        assert!(most >= 3, "a case with three of them is among these: {most}");
    }

    #[test]
    fn rewards_without_spread_leave_the_reference() {
        let bandit = Bandit::new(vec![vec![2.0; 3]], Policy::from_logits(&[vec![0.0, 1.0, 2.0]]).unwrap()).unwrap();
        for update in updates(0.1, 0.0) {
            let rest = bandit.stationary(&update).unwrap();
            assert!(rest.converged && rest.policy == *bandit.reference());
            assert!(largest(&bandit.expected_update(&rest.policy, &update).unwrap()) < 1e-16);
        }
    }

    #[test]
    fn mistakes_are_errors_by_name() {
        let bandit = Bandit::seeded(0, 1, 2).unwrap();
        let error = |update: Update| bandit.stationary(&update).unwrap_err().to_string();
        assert!(error(updates(0.0, 0.0)[0]).starts_with("`beta`: expected > 0"));
        assert!(error(updates(f64::NAN, 0.0)[1]).starts_with("`beta`"));
        assert!(error(updates(1.0, -1.0)[2]).starts_with("`epsilon`: expected >= 0"));
    }
}
