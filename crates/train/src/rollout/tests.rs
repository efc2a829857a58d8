use std::sync::Mutex;

use accordant_lm::{
    decoder::{Decoder, DecoderConfig},
    value_head::ValueHeadConfig,
};
use accordant_objectives::{
    Options,
    advantage::{Advantages, RewardBatch},
    rollout::{self, RolloutBatch, RolloutOutput},
};
use burn::{
    module::{ModuleVisitor, Param},
    optim::GradientsParams,
    tensor::Tensor,
};

use super::*;

const VOCAB: usize = 8;
const STOP: u32 = 0;

fn device() -> Device {
    Device::flex().autodiff()
}

fn model(seed: u64) -> Decoder {
    DecoderConfig::new(VOCAB).with_hidden_size(16).with_mlp_size(32).with_init_std(0.3).init(seed, &device()).unwrap()
}

fn critic() -> Critic<Decoder> {
    Critic::new(model(9), ValueHeadConfig::new(16).with_init_std(0.3).init(9, &device()).unwrap())
}

fn prompts() -> Vec<Vec<u32>> {
    (1..7).map(|id| (1..=id).collect()).collect()
}

fn config(iterations: usize) -> RolloutConfig {
    let train = TrainConfig::new(iterations, 1e-2).with_batch_size(4).with_micro_batch_size(16).with_seed(3);
    RolloutConfig::new(train, 5).with_group_size(4)
}

/// More for each token that is the prompt's last, with the position, so that groups are seldom constant.
fn graded(rollout: &Rollout<'_>) -> Scored {
    let wanted = rollout.prompt_ids.last();
    let hits = rollout.completion.ids.iter().enumerate().filter(|(_, id)| Some(*id) == wanted);
    Scored::new(hits.map(|(place, _)| 1.0 + place as f64).sum())
}

/// The first token is 5.
fn bandit(rollout: &Rollout<'_>) -> Scored {
    Scored::correct(rollout.completion.ids[0] == 5)
}

#[derive(Default)]
struct Log(Vec<Means>, Vec<f64>);

impl Observer for Log {
    fn step(&mut self, report: &StepReport<'_>) -> Result<()> {
        self.0.push(report.means.clone());
        self.1.push(report.grad_norm);
        Ok(())
    }
}

impl Log {
    fn curve(&self, name: &str) -> Vec<f64> {
        self.0.iter().map(|means| means.mean(name).unwrap_or_else(|| panic!("no {name}"))).collect()
    }
}

struct Setting {
    prompts: Vec<Vec<u32>>,
    device: Device,
    objective: Box<dyn RolloutObjective>,
    reference: Option<Decoder>,
    judge: fn(&Rollout<'_>) -> Scored,
}

impl Setting {
    fn new(objective: &str, options: &[(&str, f64)]) -> Self {
        let options = options.iter().fold(Options::new(), |options, (name, value)| options.with(*name, *value));
        let objective = rollout::build(objective, &options).unwrap();
        Self { prompts: prompts(), device: device(), objective, reference: None, judge: graded }
    }

    fn task(&self) -> RolloutTask<'_, Decoder> {
        RolloutTask {
            prompts: &self.prompts,
            stop_ids: &[STOP],
            judge: &self.judge,
            objective: self.objective.as_ref(),
            reference: self.reference.as_ref(),
            phase: "test",
            device: &self.device,
        }
    }

    fn train(&self, config: &RolloutConfig, log: &mut Log) -> Result<Decoder> {
        train_rollouts(model(1), &self.task(), config, log)
    }

    fn experience(&self, config: &RolloutConfig) -> Experience {
        let mut next = 0;
        let mut take = |count: usize| {
            next += count;
            (next - count..next).map(|prompt| prompt % self.prompts.len()).collect()
        };
        let critic = critic().valid();
        let critic = self.objective.needs_values().then_some(&critic);
        self.task().experience(&model(1).valid(), critic, config, 0, &mut take).unwrap()
    }
}

struct Collect<'a>(Option<&'a GradientsParams>, Vec<f32>);

impl ModuleVisitor for Collect<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = match self.0 {
            Some(gradients) => gradients.get::<D>(param.id),
            None => Some(param.val()),
        };
        self.1.extend(tensor.into_iter().flat_map(|tensor| tensor.try_into_vec_as::<f32>().unwrap()));
    }
}

fn weights<M: Module>(model: &M) -> Vec<f32> {
    let mut collect = Collect(None, Vec::new());
    model.visit(&mut collect);
    collect.1
}

fn gradient<M: Module>(model: &M, sum: Accumulation<M>) -> Vec<f32> {
    let mean = sum.finish(model, f64::INFINITY);
    let mut collect = Collect(Some(&mean.gradients), Vec::new());
    model.visit(&mut collect);
    collect.1
}

fn actor_critic() -> Setting {
    Setting::new("ppo", &[("kl_coef", 0.0)])
}

/// Gradients of policy and critic over the rows of an iteration, `size` at a time.
fn split(setting: &Setting, experience: &Experience, size: usize) -> Vec<f32> {
    // Neither model is the one that sampled, so that ratios differ from 1 and values from the old ones.
    let (policy, critic) = (model(2), critic());
    let task = setting.task();
    let micro_batches: Vec<Vec<usize>> =
        (0..experience.len()).rev().collect::<Vec<_>>().chunks(size).map(<[usize]>::to_vec).collect();
    let totals = task.totals(experience, &micro_batches).unwrap();
    let (mut sum, mut of_critic) = (Accumulation::default(), Accumulation::default());
    for rows in &micro_batches {
        let (output, tokens) = task.forward(&policy, Some(&critic), experience, rows, Some(&totals)).unwrap();
        assert!(tokens > rows.len());
        sum.add_both(&policy, &mut of_critic, &critic, &output.reduced);
    }
    [gradient(&policy, sum), gradient(&critic, of_critic)].concat()
}

#[test]
fn any_split_into_micro_batches_gives_the_same_gradient() {
    let mut with_kl = Setting::new("grpo", &[("kl_coef", 0.1)]);
    with_kl.reference = Some(model(4).valid());
    for (name, setting) in [("plain", Setting::new("grpo", &[])), ("kl", with_kl), ("critic", actor_critic())] {
        for config in [config(1), config(1).with_mask_truncated(true), config(1).with_temperature(1.7)] {
            let experience = setting.experience(&config);
            let whole = split(&setting, &experience, 16);
            let scale = whole.iter().map(|x| x * x).sum::<f32>().sqrt();
            assert!(scale > 1e-3, "{name}: something is learned");
            for size in [1, 3, 7] {
                let parts = split(&setting, &experience, size);
                assert_eq!(parts.len(), whole.len());
                let off = parts.iter().zip(&whole).map(|(a, b)| (a - b) * (a - b)).sum::<f32>().sqrt();
                assert!(off < 1e-5 * scale, "{name}, {size} at a time: {off} of {scale}");
            }
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_run_bit_for_bit() {
    let setting = Setting::new("grpo", &[]);
    let run = |config: &RolloutConfig| {
        let mut log = Log::default();
        (weights(&setting.train(config, &mut log).unwrap()), log.0)
    };
    let config = config(3).with_epochs(2).with_minibatches(2).with_dynamic_sampling(Some(3));
    let (first, log) = run(&config);
    assert_eq!((first.clone(), log), run(&config));
    assert_ne!(first, weights(&model(1)));
    let other = RolloutConfig { train: config.train.clone().with_seed(4), ..config };
    assert_ne!(first, run(&other).0);
}

#[test]
fn a_bandit_is_solved_within_a_few_iterations() {
    for epochs in [1, 2] {
        let setting = Setting { judge: bandit, ..Setting::new("grpo", &[]) };
        let mut log = Log::default();
        let config = RolloutConfig { group_size: 16, ..config(25) }.with_epochs(epochs);
        setting.train(&config, &mut log).unwrap();
        let success = log.curve("success");
        assert!(success[0] < 0.4, "chance is 1 in 8: {success:?}");
        assert!(success[20..].iter().all(|share| *share > 0.9), "{epochs} epochs: {success:?}");
        assert_eq!(success, log.curve("reward"));
        assert!(log.curve("response_len").iter().all(|len| (1.0..=5.0).contains(len)));
        assert!(log.curve("entropy")[24] < log.curve("entropy")[0]);
        let ratio_max = log.curve("policy/ratio_max");
        assert_eq!(ratio_max.iter().all(|ratio| (ratio - 1.0).abs() < 1e-4), epochs == 1, "{ratio_max:?}");
    }
}

#[test]
fn a_critic_learns_what_responses_are_worth() {
    let setting = Setting { judge: bandit, ..actor_critic() };
    let mut log = Log::default();
    let config = RolloutConfig { group_size: 16, ..config(30) }.with_critic_learning_rate(Some(3e-2));
    // The same parameters to begin with, as many begin: the two still learn apart.
    let head = ValueHeadConfig::new(16).init(9, &device()).unwrap();
    let (policy, start) = (model(1), Critic::new(model(1), head));
    let before = weights(&start);
    let (policy, critic) = train_actor_critic(policy, start, &setting.task(), &config, &mut log).unwrap();
    assert_ne!(weights(&critic), before);
    assert_ne!(weights(&critic)[..64], weights(&policy)[..64]);
    let (success, errors) = (log.curve("success"), log.curve("loss/value"));
    assert!(success[20..].iter().sum::<f64>() > 9.0, "{success:?}");
    assert!(errors[29] < 0.3 * errors[0], "{errors:?}");
}

#[test]
fn constant_groups_are_dropped_and_counted() {
    fn by_prompt(rollout: &Rollout<'_>) -> Scored {
        // Four responses that are equally likely would be the same one.
        Scored::new(if rollout.prompt.is_multiple_of(2) { 1.0 } else { rollout.completion.logps.iter().sum() })
    }
    let setting = Setting { judge: by_prompt, ..Setting::new("grpo", &[]) };
    let everything = setting.experience(&config(1));
    assert_eq!((everything.len(), everything.groups().len()), (16, 4));
    let dynamic = setting.experience(&config(1).with_dynamic_sampling(Some(4)));
    let mean = |name| dynamic.means().mean(name).unwrap();
    // Prompts 0 to 3, then as many as are missing: 4 and 5, 0, 1. The even ones are constant.
    let kept: Vec<usize> = dynamic.groups().iter().map(|rows| dynamic.prompt(rows[0])).collect();
    assert_eq!(kept, [1, 3, 5, 1]);
    assert_eq!((mean("sampling_rounds"), mean("groups/dropped")), (4.0, 4.0));
    let constant = |experience: &Experience| experience.means().mean("frac_zero_std_groups").unwrap();
    assert_eq!((constant(&dynamic), constant(&everything)), (0.0, 0.5));
    // What was dropped is reported all the same: half of eight groups have reward 1, the others one below 0.
    let learned = (0..16).map(|row| dynamic.rollout(row).1.rewards[0]).sum::<f64>();
    assert!((mean("reward") - (learned + 16.0) / 32.0).abs() < 1e-9);

    // With nothing to learn from at all, nothing is learned and nothing fails.
    let setting = Setting { judge: |_| Scored::new(1.0), ..setting };
    let mut log = Log::default();
    let policy = setting.train(&config(2).with_dynamic_sampling(Some(2)), &mut log).unwrap();
    assert_eq!(weights(&policy), weights(&model(1)));
    assert_eq!((log.curve("groups/dropped"), log.1), (vec![8.0, 8.0], vec![0.0, 0.0]));
}

#[test]
fn truncated_responses_are_left_out_if_asked() {
    let setting = Setting::new("grpo", &[]);
    let (all, some) = (setting.experience(&config(1)), setting.experience(&config(1).with_mask_truncated(true)));
    let truncated: Vec<usize> = (0..16).filter(|row| !all.rollout(*row).0.stopped).collect();
    assert!(!truncated.is_empty() && truncated.len() < 16, "{truncated:?}");
    let share = all.means().mean("truncated").unwrap();
    assert_eq!(share, truncated.len() as f64 / 16.0);
    let rows = vec![truncated[0]];
    let weight = |experience: &Experience| {
        let totals = setting.task().totals(experience, std::slice::from_ref(&rows)).unwrap();
        totals.get("policy").unwrap()
    };
    assert_eq!((weight(&all), weight(&some)), (1.0, 0.0));
}

#[test]
fn updates_end_before_the_policy_has_moved_too_far() {
    let setting = Setting::new("grpo", &[]);
    let mut log = Log::default();
    let fast = config(2).with_epochs(8);
    setting.train(&fast, &mut log).unwrap();
    let free = log.curve("policy/approx_kl_k3");
    assert_eq!(log.curve("early_stop"), [0.0, 0.0]);
    let mut log = Log::default();
    setting.train(&fast.with_max_approx_kl(Some(free[0] / 4.0)), &mut log).unwrap();
    assert_eq!(log.curve("early_stop")[0], 1.0);
    assert!(log.curve("policy/approx_kl_k3")[0] < free[0] / 4.0);
}

#[test]
fn a_sampler_that_is_not_the_policy_is_found_out() {
    let setting = Setting::new("grpo", &[]);
    let experience = setting.experience(&config(1));
    let rows: Vec<usize> = (0..16).collect();
    let ratio = |policy: &Decoder, experience: &Experience| {
        let (output, _) = setting.task().forward(policy, None::<&NoCritic>, experience, &rows, None).unwrap();
        output.diagnostics()
    };
    ratio(&model(1), &experience).check_on_policy(1e-4).unwrap();
    assert!(ratio(&model(2), &experience).check_on_policy(1e-3).is_err());
    let mut warm = experience.clone();
    warm.sampling.temperature = 1.2;
    assert!(ratio(&model(1), &warm).check_on_policy(1e-3).is_err(), "another temperature is another policy");
    assert!(experience.means().mean("sampler_gap").unwrap() < 1e-5);
}

#[test]
fn rewards_are_weighted_and_may_be_missing() {
    fn two(rollout: &Rollout<'_>) -> Scored {
        let hits = graded(rollout).rewards[0];
        Scored { rewards: vec![hits, if rollout.prompt == 0 { f64::NAN } else { 1.0 }], ..Scored::default() }
    }
    let setting = Setting { judge: two, ..Setting::new("grpo", &[]) };
    let experience = setting.experience(&config(1).with_reward_weights(Some(vec![2.0, 10.0])));
    let mean = |name| experience.means().mean(name).unwrap();
    assert_eq!(mean("reward/1"), 1.0);
    // 3 of 4 groups have the second reward.
    assert!((mean("reward") - (2.0 * mean("reward/0") + 7.5)).abs() < 1e-9);
}

#[test]
fn what_is_wrong_with_a_run_is_said_before_it_starts() {
    let refused = |setting: &Setting, config: &RolloutConfig| {
        setting.train(config, &mut Log::default()).expect_err("refused").to_string()
    };
    let good = || Setting::new("grpo", &[]);
    assert_eq!(
        refused(&Setting { prompts: vec![], ..good() }, &config(1)),
        "`prompts`: expected at least one record, got none"
    );
    let empty = Setting { prompts: vec![vec![1], vec![]], ..good() };
    assert_eq!(refused(&empty, &config(1)), "row 1: expected a prompt of at least one token, got none");
    let unknown = Setting { prompts: vec![vec![1], vec![8]], ..good() };
    assert_eq!(refused(&unknown, &config(1)), "row 1: token id 8 is not below the vocabulary size 8");
    assert!(refused(&Setting::new("grpo", &[("kl_coef", 0.1)]), &config(1)).contains("reference"));
    assert_eq!(refused(&actor_critic(), &config(1)), "`ppo` needs a critic: train with `train_actor_critic`");
    let two = Setting {
        judge: |rollout| Scored { rewards: vec![1.0; 1 + rollout.prompt % 2], ..Scored::default() },
        ..good()
    };
    assert!(refused(&two, &config(1)).contains("rewards, got"));
    let none = Setting { judge: |_| Scored::default(), ..good() };
    assert!(refused(&none, &config(1)).ends_with("expected 1 rewards, got 0"));
    let infinite = Setting { judge: |_| Scored::new(f64::INFINITY), ..good() };
    assert!(refused(&infinite, &config(1)).starts_with("`rewards`"));
    for (config, name) in [
        (config(1).with_group_size(0), "`group_size`"),
        (config(1).with_epochs(0), "`epochs`"),
        (config(1).with_minibatches(0), "`minibatches`"),
        (config(1).with_sample_batch_size(0), "`sample_batch_size`"),
        (config(1).with_dynamic_sampling(Some(0)), "`dynamic_sampling`"),
        (config(1).with_temperature(f64::NAN), "`temperature`"),
        (config(1).with_max_approx_kl(Some(0.0)), "`max_approx_kl`"),
        (config(1).with_on_policy_tolerance(f64::NAN), "`on_policy_tolerance`"),
        (config(1).with_critic_learning_rate(Some(-1.0)), "`critic_learning_rate`"),
        (config(1).with_reward_weights(Some(vec![f64::NAN])), "`reward_weights`"),
        (RolloutConfig { max_new_tokens: 0, ..config(1) }, "`max_new_tokens`"),
        (config(0), "`steps`"),
    ] {
        assert!(refused(&good(), &config).starts_with(name), "{name}");
    }
    let plain = train_rollouts(model(1).valid(), &good().task(), &config(1), &mut ()).unwrap_err();
    assert!(matches!(plain, Error::NotAutodiff));
}

#[test]
fn a_column_that_the_judge_does_not_fill_is_named() {
    #[derive(Debug)]
    struct Reads(Box<dyn RolloutObjective>);
    impl RolloutObjective for Reads {
        fn name(&self) -> &'static str {
            "reads"
        }
        fn columns(&self) -> Vec<accordant_objectives::Column> {
            vec![rollout::policy_gradient::SUCCESS]
        }
        fn advantages(&self, batch: &RewardBatch) -> accordant_objectives::Result<Advantages> {
            self.0.advantages(batch)
        }
        fn forward(&self, batch: &RolloutBatch) -> accordant_objectives::Result<RolloutOutput> {
            batch.column(rollout::policy_gradient::SUCCESS, "reads")?;
            self.0.forward(batch)
        }
    }
    let objective = || Box::new(Reads(rollout::build("grpo", &Options::new()).unwrap()));
    let setting = Setting { objective: objective(), ..Setting::new("grpo", &[]) };
    let error = setting.train(&config(1), &mut Log::default()).unwrap_err();
    assert!(matches!(error, Error::NoSide { name: "success", .. }), "{error}");
    let setting = Setting { objective: objective(), judge: bandit, ..setting };
    setting.train(&config(1), &mut Log::default()).unwrap();
}

/// Keeps what advantages are made of.
#[derive(Debug)]
struct Keeps {
    reads: Vec<accordant_objectives::Column>,
    seen: Mutex<Option<RewardBatch>>,
    base: Box<dyn RolloutObjective>,
}

impl RolloutObjective for Keeps {
    fn name(&self) -> &'static str {
        "keeps"
    }
    fn needs_values(&self) -> bool {
        self.base.needs_values()
    }
    fn needs_sum_sq_probs(&self) -> bool {
        true
    }
    fn reward_columns(&self) -> Vec<accordant_objectives::Column> {
        self.reads.clone()
    }
    fn advantages(&self, batch: &RewardBatch) -> accordant_objectives::Result<Advantages> {
        *self.seen.lock().unwrap() = Some(batch.clone());
        self.base.advantages(batch)
    }
    fn forward(&self, batch: &RolloutBatch) -> accordant_objectives::Result<RolloutOutput> {
        self.base.forward(batch)
    }
}

#[test]
fn advantages_are_made_of_what_the_loop_knows_where_the_judge_says_nothing() {
    use accordant_objectives::advantage::{canon::METRIC, gae_estimator::NEXT_VALUE, token_rewards::ENDED};
    fn flat<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
        tensor.try_into_vec_as::<f64>().unwrap()
    }
    let base = rollout::build("ppo", &Options::new().with("kl_coef", 0.0)).unwrap();
    let keeps = Keeps { reads: vec![METRIC, NEXT_VALUE, ENDED], seen: Mutex::default(), base };
    let setting = Setting::new("grpo", &[]);
    let task = RolloutTask { objective: &keeps, ..setting.task() };
    let config = config(1).with_temperature(1.5);
    let mut take = |count: usize| (0..count).collect();
    let experience = task.experience(&model(1).valid(), Some(&critic().valid()), &config, 0, &mut take).unwrap();
    let batch = keeps.seen.lock().unwrap().take().unwrap();
    let [ended, metric, next] = [ENDED, METRIC, NEXT_VALUE].map(|name| flat(batch.column(name, "test").unwrap()));
    let (old, squares) = (batch.old_logps("test").unwrap(), batch.sum_sq_probs("test").unwrap());
    let [_, width] = old.dims();
    let [old, squares, values] = [old, squares, batch.values("test").unwrap()].map(flat);
    let (mut entropy, mut tokens) = (0.0, 0.0);
    for row in 0..experience.len() {
        let (completion, _) = experience.rollout(row);
        let len = completion.ids.len();
        assert_eq!(ended[row] == 1.0, completion.stopped);
        assert_eq!(next[row], values[row * width + len], "the state after the last token");
        for (at, sampled) in completion.logps.iter().enumerate() {
            let (old, square) = (old[row * width + at], squares[row * width + at]);
            assert!((old - sampled).abs() < 1e-5, "{old} {sampled}");
            // At least the square of the one that was sampled, and what eight equal ones have.
            assert!(square >= (2.0 * old).exp() - 1e-6 && (0.125..=1.0).contains(&square), "{square}");
        }
        (entropy, tokens) = (entropy + len as f64 * metric[row], tokens + len as f64);
    }
    assert!((entropy / tokens - experience.means().mean("entropy").unwrap()).abs() < 1e-6);
    assert!(metric.iter().any(|other| (other - metric[0]).abs() > 1e-3), "{metric:?}");
}

#[test]
fn the_greedy_response_is_sampled_and_judged_where_it_is_the_baseline() {
    use accordant_objectives::advantage::remax::GREEDY_REWARD;
    let judged = |judge: fn(&Rollout<'_>) -> Scored| {
        let setting = Setting { judge, ..Setting::new("remax", &[("kl_coef", 0.0)]) };
        let experience = setting.experience(&config(1));
        let rows: Vec<usize> = (0..16).collect();
        let (output, _) = setting.task().forward(&model(1), None::<&NoCritic>, &experience, &rows, None).unwrap();
        (output.diagnostics().means.mean("policy/advantage").unwrap(), experience)
    };
    let mean = |experience: &Experience, baseline: &dyn Fn(usize) -> f64| {
        let lens: Vec<f64> = (0..16).map(|row| experience.rollout(row).0.ids.len() as f64).collect();
        let of_row = |row: usize| experience.rollout(row).1.rewards[0] - baseline(experience.prompt(row));
        lens.iter().enumerate().map(|(row, len)| len * of_row(row)).sum::<f64>() / lens.iter().sum::<f64>()
    };
    let (advantage, experience) = judged(graded);
    let policy = model(1).valid();
    let greedy = accordant_lm::generate::greedy(&policy, &prompts(), &[STOP], 5, &device().without_autodiff()).unwrap();
    let worth = |prompt: usize| {
        graded(&Rollout { prompt, prompt_ids: &prompts()[prompt], completion: &greedy[prompt] }).rewards[0]
    };
    assert!((0..4).any(|prompt| worth(prompt) != 0.0), "a greedy response that is worth something");
    assert!((advantage - mean(&experience, &worth)).abs() < 1e-5, "{advantage}");
    // What the judge says goes before, and a greedy response without a reward is no baseline.
    let (advantage, experience) =
        judged(|rollout| Scored { columns: BTreeMap::from([(GREEDY_REWARD.name, 0.25)]), ..graded(rollout) });
    assert!((advantage - mean(&experience, &|_| 0.25)).abs() < 1e-5, "{advantage}");
    assert_eq!(judged(|_| Scored::new(f64::NAN)).0, 0.0);
}

#[test]
fn optimizer_steps_of_a_pass_are_of_one_size() {
    let setting = Setting::new("grpo", &[]);
    let experience = setting.experience(&config(1).with_group_size(3).with_mask_truncated(true));
    let sizes = |count: usize| -> Vec<usize> {
        let config = config(1).with_minibatches(count);
        let steps = minibatches(&setting.task(), &config, &experience, 0);
        let mut rows: Vec<usize> = steps.iter().flatten().flatten().copied().collect();
        rows.sort_unstable();
        assert_eq!(rows, (0..12).collect::<Vec<_>>());
        steps.iter().map(|step| step.iter().map(Vec::len).sum()).collect()
    };
    assert_eq!(sizes(1), [12]);
    assert_eq!(sizes(4), [3; 4]);
    assert_eq!(sizes(5), [2, 2, 3, 2, 3]);
    assert_eq!(sizes(8), [1, 2, 1, 2, 1, 2, 1, 2]);
    assert_eq!(sizes(99), [1; 12]);
}

#[test]
fn rows_of_a_group_stay_together_where_they_are_compared() {
    #[derive(Debug)]
    struct Compares(Box<dyn RolloutObjective>);
    impl RolloutObjective for Compares {
        fn name(&self) -> &'static str {
            "compares"
        }
        fn needs_groups(&self) -> bool {
            true
        }
        fn advantages(&self, batch: &RewardBatch) -> accordant_objectives::Result<Advantages> {
            self.0.advantages(batch)
        }
        fn forward(&self, batch: &RolloutBatch) -> accordant_objectives::Result<RolloutOutput> {
            self.0.forward(batch)
        }
    }
    let objective = Box::new(Compares(rollout::build("grpo", &Options::new()).unwrap()));
    let (setting, apart) = (Setting { objective, ..Setting::new("grpo", &[]) }, Setting::new("grpo", &[]));
    let train = TrainConfig { micro_batch_size: 6, ..config(1).train };
    let config = RolloutConfig { train, ..config(1) }.with_minibatches(2);
    let experience = setting.experience(&config);
    let steps = |setting: &Setting, pass| minibatches(&setting.task(), &config, &experience, pass);
    let mut seen = Vec::new();
    for micro_batches in steps(&setting, 0) {
        assert_eq!(micro_batches.len(), 2, "two groups of four do not fit into six rows");
        for mut rows in micro_batches {
            rows.sort_unstable();
            assert!(experience.groups().contains(&rows), "{rows:?}");
            seen.extend(rows);
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..16).collect::<Vec<_>>());
    let sizes: Vec<Vec<usize>> = steps(&apart, 0).iter().map(|step| step.iter().map(Vec::len).collect()).collect();
    assert_eq!(sizes, [[6, 2], [6, 2]]);
    assert_ne!(steps(&apart, 0), steps(&apart, 1));
}
