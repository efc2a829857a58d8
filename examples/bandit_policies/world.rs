//! Prompts whose every response is known, and a policy over them that is a table, as tensors.

use accordant::{
    data::{
        order::{Purpose, stream},
        solvable::{Bandit, Mdp, Policy, Tree},
    },
    objectives::{
        Column, TokenLogps,
        advantage::{Advantages, RewardBatch},
        rollout::{RolloutBatch, RolloutObjective, RolloutOutput},
        value::ValueBatch,
    },
    ops::groups::Groups,
};
use anyhow::{Result, bail};
use burn::tensor::{Bool, DType, Device, Int, Tensor, TensorData, activation::log_softmax};

/// Prompts with as many actions in each state; their states are numbered one prompt after the other.
pub struct World {
    pub prompts: Vec<Mdp>,
}

/// One response.
#[derive(Clone, Debug)]
pub struct Response {
    pub prompt: usize,
    /// The states in which its tokens are chosen, by their number in the world.
    pub states: Vec<usize>,
    pub tokens: Vec<u32>,
    pub reward: f64,
}

impl World {
    /// Each context is a prompt, each arm a response of one token.
    pub fn of_bandit(bandit: &Bandit) -> Result<Self> {
        let rows = bandit.rewards().iter().zip(bandit.reference().log_probs());
        let prompt = |(rewards, reference): (&Vec<f64>, &Vec<f64>)| {
            let reference = Policy::from_logits(std::slice::from_ref(reference))?;
            Ok(Mdp::new(Tree::new(bandit.arms(), 1, None)?, rewards.clone(), reference)?)
        };
        Ok(Self { prompts: rows.map(prompt).collect::<Result<_>>()? })
    }

    /// The same with what a reward is above the reference's mean, for each token, in its place.
    pub fn per_token(&self) -> Result<Self> {
        let prompt = |mdp: &Mdp| {
            let mean = mdp.expected_reward(mdp.reference())?;
            let rewards = mdp.returns().into_iter().zip(mdp.tree().sequences());
            let rewards = rewards.map(|(reward, tokens)| (reward - mean) / tokens.len() as f64).collect();
            Ok(Mdp::new(mdp.tree().clone(), rewards, mdp.reference().clone())?)
        };
        Ok(Self { prompts: self.prompts.iter().map(prompt).collect::<Result<_>>()? })
    }

    /// One policy for each prompt, of a table with a row for each state.
    pub fn policies(&self, logits: &[f64]) -> Result<Vec<Policy>> {
        let rows: Vec<Vec<f64>> = logits.chunks(self.actions()).map(<[f64]>::to_vec).collect();
        let states = |prompt: usize| self.first(prompt)..self.first(prompt + 1);
        (0..self.prompts.len()).map(|prompt| Ok(Policy::from_logits(&rows[states(prompt)])?)).collect()
    }

    /// The table of policies.
    pub fn table(policies: &[Policy]) -> Vec<f64> {
        policies.iter().flat_map(|policy| policy.log_probs().concat()).collect()
    }

    pub fn references(&self) -> Vec<Policy> {
        self.prompts.iter().map(|prompt| prompt.reference().clone()).collect()
    }

    pub fn actions(&self) -> usize {
        self.prompts[0].tree().vocab_size()
    }

    pub fn states(&self) -> usize {
        self.first(self.prompts.len())
    }

    /// The number of a prompt's first state.
    fn first(&self, prompt: usize) -> usize {
        self.prompts[..prompt].iter().map(|prompt| prompt.tree().states().len()).sum()
    }

    /// The response of these tokens.
    pub fn response(&self, prompt: usize, tokens: &[u32]) -> Response {
        let (states, sequence) = self.prompts[prompt].tree().path(tokens).expect("a sequence of its tree");
        let states = states.iter().map(|state| self.first(prompt) + state).collect();
        Response { prompt, states, tokens: tokens.to_vec(), reward: self.prompts[prompt].returns()[sequence] }
    }

    /// `group_size` responses to each prompt, by the stream of this seed and step.
    pub fn sample(&self, policies: &[Policy], group_size: usize, seed: u64, step: usize) -> Result<Vec<Response>> {
        let mut rng = stream(seed, Purpose::Actions, step as u32);
        let mut rows = Vec::with_capacity(policies.len() * group_size);
        for (prompt, policy) in policies.iter().enumerate() {
            for _ in 0..group_size {
                rows.push(self.response(prompt, &self.prompts[prompt].sample(policy, &mut rng)?.tokens));
            }
        }
        Ok(rows)
    }

    /// How much less reward than from the best responses, a mean over prompts.
    pub fn regret(&self, policies: &[Policy]) -> Result<f64> {
        self.mean(policies, |mdp, policy| Ok(mdp.optimum(0.0)?.value - mdp.expected_reward(policy)?))
    }

    /// `KL(policy ‖ other)` of whole responses, a mean over prompts.
    pub fn divergence(&self, policies: &[Policy], others: &[Policy]) -> Result<f64> {
        let mut others = others.iter();
        self.mean(policies, |mdp, policy| {
            let other = others.next().expect("one for each prompt").clone();
            Ok(Mdp::new(mdp.tree().clone(), mdp.returns(), other)?.kl(policy)?)
        })
    }

    fn mean(&self, policies: &[Policy], mut of: impl FnMut(&Mdp, &Policy) -> Result<f64>) -> Result<f64> {
        let values = self.prompts.iter().zip(policies).map(|(mdp, policy)| of(mdp, policy));
        Ok(values.sum::<Result<f64>>()? / self.prompts.len() as f64)
    }

    /// The optimal policies with a KL of this strength in the reward.
    pub fn optimum(&self, beta: f64) -> Result<Vec<Policy>> {
        self.prompts.iter().map(|prompt| Ok(prompt.optimum(beta)?.policy)).collect()
    }
}

/// A step's rollouts, with everything that an objective may ask for.
pub struct Step<'a> {
    objective: &'a dyn RolloutObjective,
    groups: Vec<u64>,
    columns: Vec<(Column, Tensor<1>)>,
    mask: Tensor<2, Bool>,
    /// Of each token: its state, and its place in a table of states and actions; 0 behind the mask.
    states: Tensor<1, Int>,
    places: Tensor<1, Int>,
    old: Tensor<2>,
    values: Tensor<2>,
    reference: Tensor<2>,
    pub advantages: Advantages,
}

/// A table `[states, actions]`, or `[states, 1]`, as a tensor.
pub fn table(values: &[f64], width: usize, device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len() / width, width]), (device, DType::F64))
}

/// `table[place]`, for each token.
fn at(table: Tensor<2>, places: &Tensor<1, Int>, shape: [usize; 2]) -> Tensor<2> {
    table.flatten::<1>(0, 1).select(0, places.clone()).reshape(shape)
}

impl<'a> Step<'a> {
    /// Advantages of `rows`, sampled from `policies`, of whose states a critic says `values`. `beta`: the strength of the KL
    /// in what an optimal value is asked of. `groups`: an id for each row.
    pub fn new(
        objective: &'a dyn RolloutObjective,
        world: &World,
        rows: &[Response],
        groups: &[u64],
        policies: &[Policy],
        values: &[f64],
        beta: f64,
    ) -> Result<Self> {
        let device = &Device::flex();
        let seq = rows.iter().map(|row| row.tokens.len()).max().unwrap_or(0);
        let shape = [rows.len(), seq];
        let padded = |of: &dyn Fn(&Response, usize) -> i64| -> Vec<i64> {
            let row = |row: &Response| (0..seq).map(|at| if at < row.tokens.len() { of(row, at) } else { 0 }).collect();
            rows.iter().flat_map(|r| -> Vec<i64> { row(r) }).collect()
        };
        let ids = |numbers: Vec<i64>| Tensor::<1, Int>::from_data(TensorData::from(&numbers[..]), device);
        let states = ids(padded(&|row, at| row.states[at] as i64));
        let actions = world.actions();
        let places = ids(padded(&|row, at| (row.states[at] * actions) as i64 + i64::from(row.tokens[at])));
        let mask: Vec<bool> = padded(&|_, _| 1).iter().map(|kept| *kept == 1).collect();
        let mask = Tensor::from_bool(TensorData::new::<bool, _>(mask, shape), device);
        let logps = |policies: &[Policy]| at(table(&World::table(policies), actions, device), &places, shape);
        let (old, reference) = (logps(policies), logps(&world.references()));
        let values = at(table(values, 1, device), &states, shape);

        let column = |values: Vec<f64>| Tensor::from_data(TensorData::from(&values[..]), (device, DType::F64));
        let named = |column_of: Column| -> Result<(Column, Tensor<1>)> {
            let numbers: Result<Vec<f64>> =
                rows.iter().map(|row| side_information(column_of, world, row, policies, beta)).collect();
            Ok((column_of, column(numbers?)))
        };
        let rewards = column(rows.iter().map(|row| row.reward).collect());
        let mut batch = RewardBatch::new(rewards, Groups::new(groups), mask.clone())?
            .with_logps(old.clone(), reference.clone())?
            .with_values(values.clone())?;
        if objective.needs_sum_sq_probs() {
            let probs = table(&World::table(policies), actions, device).exp();
            batch = batch.with_sum_sq_probs(at(probs.square().sum_dim(1), &states, shape))?;
        }
        for declared in objective.reward_columns() {
            let (declared, values) = named(declared)?;
            batch = batch.with_column(declared, values)?;
        }
        let columns = objective.columns().into_iter().map(named).collect::<Result<_>>()?;
        let advantages = objective.advantages(&batch)?;
        Ok(Self {
            objective,
            groups: groups.to_vec(),
            columns,
            mask,
            states,
            places,
            old,
            values,
            reference,
            advantages,
        })
    }

    /// What the objective says of a table of logits `[states, actions]` and a critic's table `[states, 1]`.
    pub fn output(&self, logits: Tensor<2>, values: Tensor<2>) -> Result<RolloutOutput> {
        let shape = self.mask.dims();
        let log_probs = log_softmax(logits, 1);
        let policy = TokenLogps::new(at(log_probs.clone(), &self.places, shape), self.mask.clone())?;
        let mut batch = RolloutBatch::new(policy, self.advantages.advantages.clone())?
            .with_old(self.old.clone())?
            .with_groups(Groups::new(&self.groups))?;
        if self.objective.needs_reference() {
            batch = batch.with_reference(self.reference.clone())?;
        }
        if self.objective.needs_entropies() {
            let entropies = -(log_probs.clone().exp() * log_probs).sum_dim(1);
            batch = batch.with_entropies(at(entropies, &self.states, shape))?;
        }
        if let Some(returns) = &self.advantages.returns {
            let values = at(values, &self.states, shape);
            let critic = ValueBatch::new(values, returns.returns.clone(), returns.mask.clone())?;
            batch = batch.with_critic(critic.with_old_values(self.values.clone())?)?;
        }
        for (column, values) in &self.columns {
            batch = batch.with_column(*column, values.clone())?;
        }
        Ok(self.objective.forward(&batch)?)
    }
}

/// What a column says of a response.
fn side_information(column: Column, world: &World, row: &Response, policies: &[Policy], beta: f64) -> Result<f64> {
    let mdp = &world.prompts[row.prompt];
    let best = mdp.optimum(0.0)?.value;
    Ok(match column.name {
        "success" => f64::from(u8::from(row.reward > best - 1e-9)),
        "ended" => 1.0,
        "optimal_value" => mdp.optimum(beta)?.value,
        "reference_value" => mdp.expected_reward(mdp.reference())?,
        "greedy_reward" => mdp.expected_reward(&greedy(&policies[row.prompt])?)?,
        "metric" => row.tokens.len() as f64,
        // Every response goes on from the prompt itself.
        "prefix" | "prefix_parent" => 0.0,
        name => bail!("no response of this world has a column `{name}` ({})", column.meaning),
    })
}

/// The likeliest action of each state.
fn greedy(policy: &Policy) -> Result<Policy> {
    let row = |row: &Vec<f64>| {
        let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let first = row.iter().position(|logp| *logp == most);
        (0..row.len()).map(|action| f64::from(u8::from(Some(action) == first))).collect()
    };
    Ok(Policy::from_probs(&policy.log_probs().iter().map(row).collect::<Vec<Vec<f64>>>())?)
}
