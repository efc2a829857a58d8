//! Any objective on rollouts: sample, judge, learn, again.
//!
//! | module | what it holds |
//! |---|---|
//! | this one | [`RolloutTask`], [`RolloutConfig`], [`train_rollouts`], [`train_actor_critic`] |
//! | [`experience`] | [`Experience`]: the rollouts of an iteration with all that an objective reads of them |
//!
//! An iteration samples a group of responses to each of some prompts, lets the caller judge them, and scores them with the
//! same forward pass that training uses: at the sampling temperature, under the policy as it is, under the reference and
//! the critic where there are such. Advantages are made once, of the whole batch. Then come `epochs` passes over it, each
//! in `minibatches` optimizer steps, each of those in as many forward passes as memory asks for. The means of a loss are
//! divided by the totals of their optimizer step, so that micro-batches change nothing but rounding.
//!
//! Before the first update of each iteration every ratio to the sampling policy must be 1: what differs there is a bug
//! in the model or the sampler, and an error.

use std::{collections::BTreeMap, time::Instant};

use accordant_data::order::{Purpose, shuffled};
use accordant_lm::{
    CachedLm,
    generate::Completion,
    value_head::{Critic, ValueModel},
};
use accordant_objectives::rollout::{Diagnostics, RolloutObjective};
use accordant_ops::{Means, check_domain};
use burn::{config::Config, module::Module, optim::ModuleOptimizer, tensor::Device};

use crate::{
    Error, Observer, Result, StepReport, TrainConfig,
    step::{Accumulation, Visits, adamw, check_finite},
};

pub mod experience;
#[cfg(test)]
mod tests;

pub use experience::Experience;

/// How to sample and how to learn, whatever the objective.
#[derive(Config, Debug, PartialEq)]
pub struct RolloutConfig {
    /// Its `steps` are iterations, which also the learning rate counts; its `batch_size` is the number of prompts of an
    /// iteration, its `micro_batch_size` that of responses in a forward pass.
    pub train: TrainConfig,
    /// Most tokens of a response, at least 1.
    pub max_new_tokens: usize,
    /// Responses to each prompt, at least 1. 8: TRL's.
    #[config(default = 8)]
    pub group_size: usize,
    /// Divides the logits in sampling and in scoring, finite and > 0. 1: TRL's, the model's own distribution.
    #[config(default = 1.0)]
    pub temperature: f64,
    /// Responses that are sampled side by side, at least 1. 256: ours.
    #[config(default = 256)]
    pub sample_batch_size: usize,
    /// Passes over the rollouts of an iteration, at least 1. 1: TRL's GRPO; PPO takes 4.
    #[config(default = 1)]
    pub epochs: usize,
    /// Optimizer steps of a pass, at least 1, each of as many rollouts as the others or one more (or groups, where the
    /// objective compares rollouts). 1: on-policy throughout.
    #[config(default = 1)]
    pub minibatches: usize,
    /// Leave out groups whose rewards are all equal, and sample other prompts in their place: at most this many rounds of
    /// sampling in an iteration, at least 1 (DAPO's dynamic sampling). None: such groups stay.
    #[config(default = "None")]
    pub dynamic_sampling: Option<usize>,
    /// Whether responses that were cut off at `max_new_tokens` are left out of the loss (DAPO's overlong filtering).
    #[config(default = false)]
    pub mask_truncated: bool,
    /// End the updates of an iteration before one whose mean divergence from the sampling policy (K3, nats a token) is
    /// above this, > 0. None: never.
    #[config(default = "None")]
    pub max_approx_kl: Option<f64>,
    /// How far from 1 the ratios of fresh rollouts may be, > 0. 1e-3: ours; f32 forward passes of other batch sizes agree
    /// to 1e-5, bf16 needs more.
    #[config(default = 1e-3)]
    pub on_policy_tolerance: f64,
    /// What each reward counts. None: 1 each.
    #[config(default = "None")]
    pub reward_weights: Option<Vec<f64>>,
    /// The critic's peak learning rate, finite and > 0. None: the policy's.
    #[config(default = "None")]
    pub critic_learning_rate: Option<f64>,
}

impl RolloutConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn validate(&self) -> Result<()> {
        self.train.validate()?;
        for (name, value) in [
            ("max_new_tokens", self.max_new_tokens),
            ("group_size", self.group_size),
            ("sample_batch_size", self.sample_batch_size),
            ("epochs", self.epochs),
            ("minibatches", self.minibatches),
            ("dynamic_sampling", self.dynamic_sampling.unwrap_or(1)),
        ] {
            check_domain(value > 0, name, "at least 1", value as f64)?;
        }
        let positive = |name, value: f64| check_domain(value.is_finite() && value > 0.0, name, "finite and > 0", value);
        positive("temperature", self.temperature)?;
        positive("critic_learning_rate", self.critic_learning_rate.unwrap_or(1.0))?;
        for (name, value) in
            [("max_approx_kl", self.max_approx_kl.unwrap_or(1.0)), ("on_policy_tolerance", self.on_policy_tolerance)]
        {
            check_domain(value > 0.0, name, "> 0", value)?;
        }
        for weight in self.reward_weights.iter().flatten() {
            check_domain(weight.is_finite(), "reward_weights", "finite", *weight)?;
        }
        Ok(())
    }

    fn critic_rate(&self, iteration: usize) -> f64 {
        self.train.rate(iteration) * self.critic_learning_rate.map_or(1.0, |rate| rate / self.train.learning_rate)
    }
}

/// A response to be judged.
#[derive(Debug, Clone, Copy)]
pub struct Rollout<'a> {
    /// The number of the prompt in [`RolloutTask::prompts`].
    pub prompt: usize,
    /// The prompt.
    pub prompt_ids: &'a [u32],
    /// The response; its last id is a stop id unless it was cut off.
    pub completion: &'a Completion,
}

/// What a response is worth.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scored {
    /// Rewards, as many for each response; NaN: missing.
    pub rewards: Vec<f64>,
    /// Whether it is correct, where that can be said: counted, and the column `success` of objectives.
    pub success: Option<bool>,
    /// Other side information that the objective or its advantages read, by name. The loop itself knows, where nothing
    /// is said here: `ended` (not cut off), `metric` (the mean entropy of the tokens), `next_value` (the critic's of the
    /// state after the last token) and `greedy_reward` (it asks for a judgment of the greedy response, too).
    pub columns: BTreeMap<&'static str, f64>,
}

impl Scored {
    /// One reward.
    pub fn new(reward: f64) -> Self {
        Self { rewards: vec![reward], ..Self::default() }
    }

    /// 1 for a correct response, 0 for a wrong one.
    pub fn correct(correct: bool) -> Self {
        Self { success: Some(correct), ..Self::new(f64::from(u8::from(correct))) }
    }
}

/// Prompts to respond to, and what to learn from the responses.
pub struct RolloutTask<'a, M> {
    /// The prompts, none of them empty.
    pub prompts: &'a [Vec<u32>],
    /// Ids that end a response.
    pub stop_ids: &'a [u32],
    /// Judges a response. It must be deterministic for a run to be.
    pub judge: &'a dyn Fn(&Rollout<'_>) -> Scored,
    /// The loss.
    pub objective: &'a dyn RolloutObjective,
    /// The frozen model that the policy is compared with. An objective that needs none leaves it out of the loss, and the
    /// divergence from it is reported.
    pub reference: Option<&'a M>,
    /// What the reports call this run: the objective's name, say.
    pub phase: &'a str,
    /// An autodiff device, where the model lives.
    pub device: &'a Device,
}

/// Trains a policy on its own responses by any objective without a critic.
///
/// Reports, once an iteration, the means of [`Diagnostics`] over its updates and, of its rollouts, `reward` (and
/// `reward/0`, … where there are several), `success`, `response_len`, `truncated`, `entropy`, `frac_zero_std_groups`,
/// `groups/dropped` (a number), `sampling_rounds`, `early_stop` (whether updates were left out), `policy/ratio_max` and
/// `loss`, which is no measure of progress.
///
/// # Errors
/// [`Error::NoRecords`], [`Error::NoReference`], [`Error::NoCritic`], [`Error::NoSide`], [`Error::Rewards`],
/// [`Error::NotAutodiff`], domain errors of `config` and of what the judge returns, errors of the model,
/// [`accordant_objectives::Error::OffPolicy`], and [`Error::NotFinite`] before a step that would spoil the parameters.
pub fn train_rollouts<M: Module + CachedLm>(
    model: M,
    task: &RolloutTask<'_, M>,
    config: &RolloutConfig,
    observer: &mut dyn Observer,
) -> Result<M> {
    if task.objective.needs_values() {
        return Err(Error::NoCritic { method: task.objective.name() });
    }
    Ok(train(model, None::<NoCritic>, task, config, observer)?.0)
}

/// Trains a policy and its critic by any objective: each with an optimizer and a gradient norm of its own, by one loss.
///
/// Reports what [`train_rollouts`] does.
///
/// # Errors
/// As [`train_rollouts`].
pub fn train_actor_critic<M: Module + CachedLm, C: Module + ValueModel>(
    model: M,
    critic: C,
    task: &RolloutTask<'_, M>,
    config: &RolloutConfig,
    observer: &mut dyn Observer,
) -> Result<(M, C)> {
    let (model, critic) = train(model, Some(critic), task, config, observer)?;
    Ok((model, critic.expect("a critic that goes in comes out")))
}

/// The critic where there is none.
type NoCritic = Critic<accordant_lm::decoder::Decoder>;

fn train<M: Module + CachedLm, C: Module + ValueModel>(
    model: M,
    critic: Option<C>,
    task: &RolloutTask<'_, M>,
    config: &RolloutConfig,
    observer: &mut dyn Observer,
) -> Result<(M, Option<C>)> {
    config.validate()?;
    task.check(&model)?;
    let devices = model.devices().into_iter().chain(critic.iter().flat_map(Module::devices));
    if !devices.into_iter().all(|device| device.is_autodiff()) {
        return Err(Error::NotAutodiff);
    }
    // A critic that began as a clone of the policy shares its leaves in the graph: give it leaves of its own.
    let critic = critic.map(|critic| critic.fork(task.device));
    let mut learner = Learner { model, critic, optimizers: [adamw(&config.train), adamw(&config.train)] };
    let mut visits = Visits::new(task.prompts.len(), config.train.seed);
    let mut visited = 0;
    for iteration in 0..config.train.steps {
        let since = Instant::now();
        let mut take = |count: usize| {
            visited += count;
            visits.next(count)
        };
        let (policy, critic) = (learner.model.valid(), learner.critic.as_ref().map(C::valid));
        let experience = task.experience(&policy, critic.as_ref(), config, iteration, &mut take)?;
        drop((policy, critic));
        let outcome;
        (learner, outcome) = learner.update(task, config, &experience, iteration)?;
        let mut means = experience.means().clone();
        means.merge(&outcome.means());
        observer.step(&StepReport {
            phase: task.phase,
            step: iteration,
            steps: config.train.steps,
            epoch: visited as f64 / task.prompts.len() as f64,
            learning_rate: config.train.rate(iteration),
            grad_norm: outcome.norms / (outcome.steps as f64).max(1.0),
            tokens: outcome.tokens,
            seconds: since.elapsed().as_secs_f64(),
            means: &means,
        })?;
    }
    Ok((learner.model, learner.critic))
}

/// What the updates of an iteration have come to.
#[derive(Default)]
struct Outcome {
    diagnostics: Diagnostics,
    losses: f64,
    norms: f64,
    steps: usize,
    tokens: usize,
    stopped_early: bool,
}

impl Outcome {
    fn means(&self) -> Means {
        let mut means = self.diagnostics.means.clone();
        means.add("loss", self.losses, self.steps as f64);
        means.add("early_stop", f64::from(u8::from(self.stopped_early)), 1.0);
        if self.diagnostics.ratio_max > 0.0 {
            means.add("policy/ratio_max", self.diagnostics.ratio_max, 1.0);
        }
        means
    }
}

/// The models in training.
struct Learner<M, C> {
    model: M,
    critic: Option<C>,
    optimizers: [ModuleOptimizer; 2],
}

impl<M: Module + CachedLm, C: Module + ValueModel> Learner<M, C> {
    /// All updates of an iteration.
    fn update(
        mut self,
        task: &RolloutTask<'_, M>,
        config: &RolloutConfig,
        experience: &Experience,
        iteration: usize,
    ) -> Result<(Self, Outcome)> {
        let mut outcome = Outcome::default();
        for pass in 0..config.epochs {
            for minibatch in minibatches(task, config, experience, iteration * config.epochs + pass) {
                let mut policy = Accumulation::default();
                let mut values = Accumulation::default();
                let mut diagnostics = Diagnostics::default();
                let totals = task.totals(experience, &minibatch)?;
                for rows in &minibatch {
                    let (output, tokens) =
                        task.forward(&self.model, self.critic.as_ref(), experience, rows, Some(&totals))?;
                    match &self.critic {
                        Some(critic) => policy.add_both(&self.model, &mut values, critic, &output.reduced),
                        None => policy.add(&self.model, &output.reduced),
                    }
                    diagnostics.merge(&output.diagnostics());
                    outcome.tokens += tokens;
                }
                if outcome.steps == 0 {
                    diagnostics.check_on_policy(config.on_policy_tolerance)?;
                }
                let drift = diagnostics.means.mean("policy/approx_kl_k3").unwrap_or(0.0);
                if config.max_approx_kl.is_some_and(|max| drift > max) {
                    outcome.stopped_early = true;
                    return Ok((self, outcome));
                }
                outcome.diagnostics.merge(&diagnostics);
                let records = || minibatch.iter().flatten().map(|row| experience.name(*row)).collect();
                let gradient = policy.finish(&self.model, config.train.max_grad_norm);
                check_finite(iteration, &gradient, records)?;
                outcome.losses += gradient.loss;
                outcome.norms += gradient.norm;
                outcome.steps += 1;
                let [first, second] = &mut self.optimizers;
                self.model = first.step(config.train.rate(iteration), self.model, gradient.gradients);
                if let Some(critic) = self.critic {
                    let gradient = values.finish(&critic, config.train.max_grad_norm);
                    check_finite(iteration, &gradient, records)?;
                    self.critic = Some(second.step(config.critic_rate(iteration), critic, gradient.gradients));
                }
            }
        }
        Ok((self, outcome))
    }
}

/// The micro-batches of each optimizer step of a pass over the rollouts, in an order of its own. Rows of a group stay
/// together where the objective compares them.
fn minibatches<M>(
    task: &RolloutTask<'_, M>,
    config: &RolloutConfig,
    experience: &Experience,
    pass: usize,
) -> Vec<Vec<Vec<usize>>> {
    let units = if task.objective.needs_groups() {
        experience.groups()
    } else {
        (0..experience.len()).map(|row| vec![row]).collect()
    };
    if units.is_empty() {
        return Vec::new();
    }
    let order = shuffled(units.len(), config.train.seed, Purpose::Minibatches, pass as u32);
    let step = |units_of_step: &[usize]| {
        // Rows of like length waste little padding, and the order within a step does not matter.
        let mut of_step: Vec<&Vec<usize>> = units_of_step.iter().map(|unit| &units[*unit]).collect();
        of_step.sort_by_key(|unit| unit.iter().map(|row| experience.row_len(task.prompts, *row)).max());
        let mut micro_batches: Vec<Vec<usize>> = Vec::new();
        for unit in of_step {
            match micro_batches.last_mut() {
                Some(last) if last.len() + unit.len() <= config.train.micro_batch_size => last.extend(unit),
                _ => micro_batches.push(unit.clone()),
            }
        }
        micro_batches
    };
    // Not chunks of a size: ten rollouts in four steps would be 3, 3, 3 and 1, and that one would count three times.
    let steps = config.minibatches.min(units.len());
    let start = |number: usize| number * units.len() / steps;
    (0..steps).map(|number| step(&order[start(number)..start(number + 1)])).collect()
}
