//! Objectives on rollouts in worlds that are solved exactly: expected gradients, by enumeration, are those of the world;
//! training ends at the optimum or at the stationary policy of the method; what a method ignores changes no update.
//!
//! Everything is in f64. Tolerances: an expectation over all groups is a sum of some hundred numbers of size 1, equal to
//! the world's gradient within 1e-12; what else is allowed stands beside it.

#![cfg(feature = "flex")]

#[path = "../examples/bandit_policies/world.rs"]
#[allow(dead_code, reason = "the example has use for the rest")]
mod world;

use accordant::{
    data::solvable::{
        Bandit, Mdp, Policy,
        stationary::{AdvantageScale, KlLoss, Update},
    },
    objectives::{
        Options,
        advantage::{
            Estimator,
            gae::{Lambda, Whiten},
            gae_estimator::GaeEstimatorConfig,
            group_normalized::{GroupNormalizedConfig, Scale},
            leave_one_out::LeaveOneOutConfig,
            reward_to_go::RewardToGoConfig,
        },
        rollout::{
            self, KlPlacement, PolicyGradient, PolicyGradientConfig, RatioLevel, RolloutObjective,
            surrogate::{self, reinforce::ReinforceConfig},
        },
    },
    ops::{
        kl::{KlEstimator, KlOptions},
        reduce::Aggregation,
    },
};
use burn::tensor::{DType, Device, Tensor, TensorData};
use world::{Response, Step, World, table};

/// Rollouts that are seen together, and how likely that is.
type Seen = (f64, Vec<Response>);

/// `−A log π` with the advantages of `estimator`: the plain policy gradient.
fn plain(estimator: impl Estimator + 'static, kl: KlPlacement, aggregation: Aggregation) -> PolicyGradient {
    let surrogate = ReinforceConfig::new().init();
    PolicyGradientConfig::new(RatioLevel::Token, aggregation).with_kl(kl).init("test", estimator, surrogate).unwrap()
}

fn leave_one_out() -> impl Estimator + 'static {
    LeaveOneOutConfig::new().init().unwrap()
}

/// Rewards less the mean of the group.
fn centered() -> impl Estimator + 'static {
    GroupNormalizedConfig::new().with_scale(Scale::None).init().unwrap()
}

fn gae(lambda: f64) -> impl Estimator + 'static {
    GaeEstimatorConfig::new().with_gae_lambda(Lambda::Constant(lambda)).with_whiten(Whiten::None).init().unwrap()
}

fn in_loss(kl_coef: f64, estimator: KlEstimator) -> KlPlacement {
    KlPlacement::Loss { kl_coef, options: KlOptions::new(estimator), corrected: false }
}

fn with_kl(name: &str, kl_coef: f64) -> Box<dyn RolloutObjective> {
    rollout::build(name, &Options::new().with("kl_coef", kl_coef)).unwrap()
}

fn clip() -> Box<dyn surrogate::Surrogate> {
    surrogate::build("clip", &Options::new()).unwrap()
}

/// Policies that are neither even nor the reference: logits of `[-1, 1]` by a formula.
fn policies(world: &World) -> Vec<Policy> {
    let logits: Vec<f64> = (0..world.states() * world.actions()).map(|n| (2.3 * n as f64 + 1.0).sin()).collect();
    world.policies(&logits).unwrap()
}

/// All groups of `size` independent responses to a prompt.
fn groups(world: &World, policies: &[Policy], prompt: usize, size: u32) -> Vec<Seen> {
    let mdp = &world.prompts[prompt];
    let logps = mdp.sequence_logps(&policies[prompt]).unwrap();
    let responses: Vec<Response> = mdp.tree().sequences().iter().map(|ids| world.response(prompt, ids)).collect();
    let group = |number: usize| {
        let digits = (0..size).map(|place| number / responses.len().pow(place) % responses.len());
        let (logps, rows): (Vec<f64>, _) = digits.map(|which| (logps[which], responses[which].clone())).unzip();
        (logps.iter().sum::<f64>().exp(), rows)
    };
    (0..responses.len().pow(size)).map(group).collect()
}

fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.detach().try_to_vec_as::<f64>().unwrap()
}

/// Where the objective moves logits in expectation over `seen`, each a batch of its own, if values are those of `values`.
fn expected(objective: &dyn RolloutObjective, world: &World, seen: &[Seen], values: &[f64]) -> Vec<f64> {
    let policies = policies(world);
    let device = Device::flex().autodiff();
    let logits = table(&World::table(&policies), world.actions(), &device).require_grad();
    let critic = table(values, 1, &device);
    let part = |(prob, rows): &Seen| {
        let step = Step::new(objective, world, rows, &vec![0; rows.len()], &policies, values, 0.0).unwrap();
        step.output(logits.clone(), critic.clone()).unwrap().reduced.loss * *prob
    };
    let total = seen.iter().map(part).reduce(|a, b| a + b).unwrap();
    host(-logits.grad(&total.backward()).unwrap())
}

fn zeros(world: &World) -> Vec<f64> {
    vec![0.0; world.states()]
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

#[track_caller]
fn close(got: &[f64], expected: &[f64], factor: f64, tolerance: f64, what: &str) {
    let expected: Vec<f64> = expected.iter().map(|value| factor * value).collect();
    let off = distance(got, &expected);
    assert!(off <= tolerance, "{what}: off by {off:e}\n{got:?}\n{expected:?}");
    assert!(expected.iter().any(|value| value.abs() > 0.01), "{what}: a gradient of nothing shows nothing");
}

/// One prompt with three arms.
fn arms() -> (Bandit, World) {
    let bandit = Bandit::seeded(7, 1, 3).unwrap();
    let world = World::of_bandit(&bandit).unwrap();
    (bandit, world)
}

/// One prompt with seven responses of one token or two.
fn tokens() -> World {
    World { prompts: vec![Mdp::seeded(5, 3, 2, Some(2)).unwrap()] }
}

#[test]
fn groups_on_a_bandit_give_the_policy_gradient() {
    let (bandit, world) = arms();
    for size in [2, 3] {
        let seen = groups(&world, &policies(&world), 0, size);
        assert!((seen.iter().map(|(prob, _)| prob).sum::<f64>() - 1.0).abs() < 1e-14);
        let share = 1.0 - 1.0 / f64::from(size);
        for beta in [0.0, 0.3] {
            let exact = bandit.gradient(&policies(&world)[0], beta).unwrap().concat();
            let kl = KlPlacement::in_reward(beta);
            let got = |estimator: &dyn Fn(KlPlacement) -> PolicyGradient| {
                expected(&estimator(kl), &world, &seen, &zeros(&world))
            };
            let mean = Aggregation::SequenceMean;
            close(&got(&|kl| plain(leave_one_out(), kl, mean)), &exact, 1.0, 1e-12, "leave one out");
            close(&got(&|kl| plain(centered(), kl, mean)), &exact, share, 1e-12, "the group's mean");
            let to_go = |kl| plain(RewardToGoConfig::new().init().unwrap(), kl, mean);
            close(&got(&to_go), &exact, 1.0, 1e-12, "no baseline");
        }
    }
}

#[test]
fn on_policy_every_surrogate_has_the_policy_gradient() {
    let (bandit, world) = arms();
    let exact = bandit.gradient(&policies(&world)[0], 0.0).unwrap().concat();
    let seen = groups(&world, &policies(&world), 0, 2);
    for name in ["cispo", "clip", "gmpo", "importance", "reinforce", "sapo", "vespo"] {
        let surrogate = surrogate::build(name, &Options::new()).unwrap();
        let objective = PolicyGradientConfig::new(RatioLevel::Token, Aggregation::SequenceMean)
            .init_boxed("test", Box::new(leave_one_out()), surrogate)
            .unwrap();
        close(&expected(&objective, &world, &seen, &zeros(&world)), &exact, 1.0, 1e-12, name);
    }
    // A preset, by name: the mean of the group without its deviation, over a constant length of one token.
    let dr_grpo = rollout::build("dr_grpo", &Options::new().with("max_len", 1)).unwrap();
    close(&expected(dr_grpo.as_ref(), &world, &seen, &zeros(&world)), &exact, 0.5, 1e-12, "dr_grpo");
}

#[test]
fn exact_values_give_the_policy_gradient_of_tokens_with_any_lambda() {
    let world = tokens();
    let (mdp, policy) = (&world.prompts[0], &policies(&world)[0]);
    let seen = groups(&world, &policies(&world), 0, 1);
    for beta in [0.0, 0.3] {
        let exact = mdp.gradient(policy, beta).unwrap().concat();
        let values = mdp.values(policy, beta).unwrap().v;
        let got = |lambda, values: &[f64]| {
            let objective = plain(gae(lambda), KlPlacement::in_reward(beta), Aggregation::Sum);
            expected(&objective, &world, &seen, values)
        };
        for lambda in [0.0, 0.5, 1.0] {
            close(&got(lambda, &values), &exact, 1.0, 1e-12, &format!("lambda {lambda}, beta {beta}"));
        }
        // Wrong values are a baseline at λ = 1; below it they are a bias.
        let wrong: Vec<f64> = values.iter().enumerate().map(|(state, v)| v + 0.2 * state as f64).collect();
        close(&got(1.0, &wrong), &exact, 1.0, 1e-12, "wrong values");
        assert!(distance(&got(0.0, &wrong), &exact) > 0.01);
        let to_go = plain(RewardToGoConfig::new().init().unwrap(), KlPlacement::in_reward(beta), Aggregation::Sum);
        close(&expected(&to_go, &world, &seen, &zeros(&world)), &exact, 1.0, 1e-12, "rewards to go");
    }
}

#[test]
fn at_the_first_token_exact_advantages_are_q_less_v() {
    let world = tokens();
    let (mdp, policies) = (&world.prompts[0], policies(&world));
    let (values, advantages) = (mdp.values(&policies[0], 0.3).unwrap(), mdp.advantages(&policies[0], 0.3).unwrap());
    let objective = plain(gae(0.0), KlPlacement::in_reward(0.3), Aggregation::Sum);
    for (_, rows) in groups(&world, &policies, 0, 1) {
        let step = Step::new(&objective, &world, &rows, &[0], &policies, &values.v, 0.0).unwrap();
        let path = rows[0].states.iter().zip(&rows[0].tokens);
        let exact: Vec<f64> = path.map(|(state, token)| advantages[*state][*token as usize]).collect();
        assert!(distance(&host(step.advantages.advantages), &exact) < 1e-14);
    }
}

#[test]
fn a_mean_over_each_response_is_no_policy_gradient_and_a_sum_is() {
    let world = tokens();
    let (mdp, policy) = (&world.prompts[0], &policies(&world)[0]);
    let seen = groups(&world, &policies(&world), 0, 2);
    for beta in [0.0, 0.3] {
        let exact = mdp.gradient(policy, beta).unwrap().concat();
        let got = |aggregation| {
            let objective = plain(leave_one_out(), KlPlacement::in_reward(beta), aggregation);
            expected(&objective, &world, &seen, &zeros(&world))
        };
        close(&got(Aggregation::SequenceSum), &exact, 1.0, 1e-12, "the sum over tokens");
        close(&got(Aggregation::ConstantLength(2)), &exact, 0.5, 1e-12, "a constant length");
        // Tokens of the short response and of the long ones weigh 1 and 1/2: no factor makes that up.
        let mean = got(Aggregation::SequenceMean);
        let factor =
            mean.iter().zip(&exact).map(|(a, b)| a * b).sum::<f64>() / exact.iter().map(|b| b * b).sum::<f64>();
        let scaled: Vec<f64> = exact.iter().map(|value| factor * value).collect();
        assert!(distance(&mean, &scaled) > 0.005, "{mean:?} {scaled:?}");
    }
}

#[test]
fn presets_with_an_unbiased_baseline_have_the_regularized_gradient() {
    let world = tokens();
    let exact = world.prompts[0].gradient(&policies(&world)[0], 0.3).unwrap().concat();
    let seen = groups(&world, &policies(&world), 0, 2);
    for name in ["p3o", "reinforce", "remax", "rloo"] {
        let objective = with_kl(name, 0.3);
        close(&expected(objective.as_ref(), &world, &seen, &zeros(&world)), &exact, 1.0, 1e-12, name);
    }
}

/// Gradient ascent on the expected update over what `seen` says of the policies, by the token losses of rows, from the
/// reference.
fn ascend(
    objective: &dyn RolloutObjective,
    world: &World,
    seen: &dyn Fn(&[Policy]) -> Vec<Seen>,
    beta: f64,
    rate: f64,
    steps: usize,
) -> Vec<Policy> {
    let device = Device::flex().autodiff();
    let mut policies = world.references();
    for _ in 0..steps {
        let values = world.prompts[0].values(&policies[0], beta).unwrap().v;
        // Every group in one batch, with an id of its own, and in the loss by how likely it is.
        let (mut rows, mut ids, mut weights) = (Vec::new(), Vec::new(), Vec::new());
        for (id, (prob, group)) in seen(&policies).into_iter().enumerate() {
            ids.extend(vec![id as u64; group.len()]);
            weights.extend(vec![prob / group.len() as f64; group.len()]);
            rows.extend(group);
        }
        let step = Step::new(objective, world, &rows, &ids, &policies, &values, beta).unwrap();
        let logits = table(&World::table(&policies), world.actions(), &device).require_grad();
        let losses = step.output(logits.clone(), table(&values, 1, &device)).unwrap().row_losses();
        let weights = Tensor::<1>::from_data(TensorData::from(&weights[..]), (&device, DType::F64));
        let slope = logits.grad(&(losses * weights).sum().backward()).unwrap();
        policies = world.policies(&host(logits.inner() - slope * rate)).unwrap();
    }
    policies
}

#[test]
fn a_divergence_in_the_reward_ends_at_the_tilted_reference() {
    let beta = 0.5;
    let exact_values: Box<dyn RolloutObjective> =
        Box::new(plain(gae(0.0), KlPlacement::in_reward(beta), Aggregation::Sum));
    // Exact values and λ = 0; the responses of a prompt in pairs. What is left shrinks by a factor in each step.
    for (name, world, objective, size) in
        [("PPO", tokens(), exact_values, 1), ("P3O", arms().1, with_kl("p3o", beta), 2)]
    {
        let claimed = world.optimum(beta).unwrap();
        let start = world.divergence(&world.references(), &claimed).unwrap();
        let last = ascend(objective.as_ref(), &world, &|policies| groups(&world, policies, 0, size), beta, 6.0, 600);
        let left = world.divergence(&last, &claimed).unwrap();
        assert!(left < 1e-9 && start > 0.05, "{name}: from {start:e} to {left:e}");
    }
}

#[test]
fn a_divergence_in_the_loss_ends_at_the_stationary_policy_of_its_estimator() {
    let (bandit, world) = arms();
    let beta = 0.5;
    // In groups of three, advantages without a deviation are 2/3 of those of a group without end.
    for (estimator, kl) in [(KlEstimator::K2, KlLoss::K2), (KlEstimator::K3, KlLoss::K3)] {
        let objective = plain(centered(), in_loss(beta, estimator), Aggregation::SequenceMean);
        let rest = |beta| {
            let rest = bandit.stationary(&Update { scale: AdvantageScale::One, kl, beta }).unwrap();
            assert!(rest.converged);
            [rest.policy]
        };
        let last = ascend(&objective, &world, &|policies| groups(&world, policies, 0, 3), 0.0, 3.0, 400);
        let left = world.divergence(&last, &rest(1.5 * beta)).unwrap();
        let elsewhere = world.divergence(&last, &rest(beta)).unwrap();
        assert!(left < 1e-12 && elsewhere > 1e-3, "{kl:?}: {left:e}, {elsewhere:e}");
        // K2 has the optimum of the objective that it estimates, K3 has not.
        let optimum = world.divergence(&last, &world.optimum(1.5 * beta).unwrap()).unwrap();
        assert_eq!(optimum < 1e-12, kl == KlLoss::K2, "{kl:?}: {optimum:e}");
    }
}

#[test]
fn grpo_with_a_divergence_ends_where_large_groups_say() {
    let (bandit, world) = arms();
    // One group in which each arm is as often as it is likely, rounded: probabilities are off by 1/4000 at most, and the KL
    // by some 1e-7.
    let group = |policies: &[Policy]| {
        let shares = policies[0].probs()[0].clone();
        let arm =
            |(arm, share): (usize, &f64)| vec![world.response(0, &[arm as u32]); (2000.0 * share).round() as usize];
        vec![(1.0, shares.iter().enumerate().flat_map(arm).collect())]
    };
    let scale = AdvantageScale::Std { epsilon: 1e-6 };
    let k3 = with_kl("grpo", 1.0);
    let k2 =
        PolicyGradientConfig::new(RatioLevel::Token, Aggregation::SequenceMean).with_kl(in_loss(3.0, KlEstimator::K2));
    let k2 = k2.init_boxed("grpo", Box::new(GroupNormalizedConfig::new().init().unwrap()), clip()).unwrap();
    for (objective, kl, beta) in [(k3, KlLoss::K3, 1.0), (Box::new(k2) as Box<dyn RolloutObjective>, KlLoss::K2, 3.0)] {
        let rest = bandit.stationary(&Update { scale, kl, beta }).unwrap();
        assert!(rest.converged);
        let last = ascend(objective.as_ref(), &world, &group, 0.0, 0.5, 200);
        let left = world.divergence(&last, &[rest.policy]).unwrap();
        let optimum = world.divergence(&last, &world.optimum(beta).unwrap()).unwrap();
        assert!(left < 1e-6 && optimum > 0.01, "{kl:?}: {left:e}, {optimum:e}");
    }
}

/// A number of a prompt, such as its reward or the value of a state, as it is or changed.
type Change = dyn Fn(usize, f64) -> f64;

/// Where one update moves the logits: two responses to each of two prompts, with rewards and values changed.
fn update(objective: &dyn RolloutObjective, values: &Change, rewards: &Change) -> Vec<f64> {
    let world = World { prompts: [5, 6].map(|seed| Mdp::seeded(seed, 3, 2, Some(2)).unwrap()).to_vec() };
    let policies = policies(&world);
    // Rewards in eighths, so that sums of them and of shifts are exact.
    let sampled = [(0, [0, 1], 0.75), (0, [1, 2], 0.125), (1, [1, 1], 0.5), (1, [0, 0], 0.875)];
    let row = |(prompt, tokens, reward): (usize, [u32; 2], f64)| Response {
        reward: rewards(prompt, reward),
        ..world.response(prompt, &tokens)
    };
    let rows: Vec<Response> = sampled.map(row).to_vec();
    let device = Device::flex().autodiff();
    let per_prompt = world.prompts[0].tree().states().len();
    let values: Vec<f64> = (0..world.states()).map(|s| values(s / per_prompt, 0.5 + 0.125 * s as f64)).collect();
    let step = Step::new(objective, &world, &rows, &[0, 0, 1, 1], &policies, &values, 0.0).unwrap();
    let logits = table(&World::table(&policies), world.actions(), &device).require_grad();
    let loss = step.output(logits.clone(), table(&values, 1, &device)).unwrap().reduced.loss;
    host(-logits.grad(&loss.backward()).unwrap())
}

fn same(_: usize, value: f64) -> f64 {
    value
}

/// A number for each prompt that says nothing of its responses.
fn shifted(prompt: usize, value: f64) -> f64 {
    value + [4.0, -2.0][prompt]
}

#[test]
fn p3o_is_blind_to_what_a_prompt_is_worth_and_ppo_is_not() {
    let (pairs, pulled) = (with_kl("p3o", 0.0), with_kl("p3o", 0.25));
    let moved = update(pairs.as_ref(), &same, &same);
    assert!(moved.iter().any(|slope| slope.abs() > 0.01));
    assert_eq!(moved, update(pairs.as_ref(), &same, &shifted), "sums of eighths are exact");
    let off = distance(&update(pulled.as_ref(), &same, &same), &update(pulled.as_ref(), &same, &shifted));
    assert!(off < 1e-14, "{off:e}");

    let ppo = rollout::build("ppo", &Options::new()).unwrap();
    let moved = update(ppo.as_ref(), &same, &same);
    assert!(distance(&moved, &update(ppo.as_ref(), &same, &shifted)) > 0.05, "its critic does not know of the shift");
    // Once the critic has learned it, PPO has forgotten.
    let off = distance(&moved, &update(ppo.as_ref(), &shifted, &shifted));
    assert!(off < 1e-12, "{off:e}");
}

#[test]
fn a_deviation_forgets_what_a_prompt_is_worth_and_dr_grpo_does_not() {
    let scaled = |prompt: usize, value: f64| value * [1.0, 8.0][prompt];
    let off = |name: &str| {
        let objective = rollout::build(name, &Options::new()).unwrap();
        let moved = update(objective.as_ref(), &same, &same);
        let scale = moved.iter().fold(0.0, |most: f64, slope| most.max(slope.abs()));
        distance(&moved, &update(objective.as_ref(), &same, &scaled)) / scale
    };
    for name in ["bnpo", "cispo", "dapo", "gmpo", "grpo", "gspo", "sapo", "trust_region", "vespo"] {
        // The `eps` of 1e-6 beside deviations of an eighth over √2, and more.
        assert!(off(name) < 2e-5, "{name}: {:e}", off(name));
    }
    for name in ["dr_grpo", "lite_ppo"] {
        assert!(off(name) > 0.1, "{name}: {:e}", off(name));
    }
}
