//! `GRPOTrainer`, `RLOOTrainer`, and the experimental trainers for GMPO, A*-PO and PPO of TRL.

use std::collections::BTreeMap;

use accordant_objectives::{
    EmptyRows, Options, Result, TokenLogps,
    advantage::{
        Estimator, RewardBatch,
        gae::{GaeConfig, GaeInput, Lambda, gae},
        gae_estimator::GaeEstimatorConfig,
        group_normalized::{GroupNormalizedConfig, Scale},
        leave_one_out::LeaveOneOutConfig,
        multi_reward::{MultiRewardConfig, Order},
        token_rewards::{ScoreAt, TokenRewardConfig, TokenRewardInput, token_rewards},
    },
    rollout::{
        Correction, EntropyConfig, KlPlacement, MismatchLevel, OutOfBounds, PolicyGradientConfig, RatioLevel,
        RolloutBatch, RolloutObjective, RolloutOutput, Sampling, Totals,
        a2po::{A2poConfig, OPTIMAL_VALUE},
        entropy_threshold,
        nash_md::NashMdConfig,
        surrogate::{self, Clipped, MISMATCH, Surrogate, Tokens, clip::ClipConfig},
    },
    value::{ValueBatch, ValueObjective, clipped_value::ClippedValueConfig},
};
use accordant_ops::{
    groups::{Ddof, Groups},
    kl::{KlEstimator, KlOptions, importance_corrected, kl_per_token},
    masked::{masked_mean, masked_mean_all, masked_sum, masked_var_all},
    reduce::Aggregation,
};
use burn::tensor::{Bool, FloatDType, Tensor};

use crate::golden::{Case, Numbers, VALUES, column};

fn flat(tensor: Tensor<2>) -> Tensor<1> {
    tensor.flatten(0, 1)
}

/// An input of one number for each row or each token, at every token.
fn at_tokens(case: &Case, name: &str, mask: &Tensor<2, Bool>) -> Result<Tensor<2>> {
    let values = case.tensor(name);
    let [rows, seq] = mask.dims();
    match values.dims()[0] {
        n if n == rows => RolloutBatch::per_token(values, mask.clone()),
        _ => Ok(values.reshape([rows, seq])),
    }
}

/// What TRL logs of clipping, from our surrogate's own account of each token or row.
fn clip_metrics(
    numbers: &mut Numbers,
    output: &RolloutOutput,
    surrogate: &dyn Surrogate,
    batch: &RolloutBatch,
    by_row: bool,
) {
    let log_ratios = column(&flat(output.log_ratios().expect("clipped ratios")));
    let advantages = column(&flat(batch.advantages()));
    let mask: Vec<bool> = flat_mask(batch.mask());
    let [rows, seq] = batch.mask().dims();
    let shares = |clip: Option<Clipped>| -> (f64, Vec<f64>) {
        let hit = |at: usize| {
            let got = surrogate.clipped(log_ratios[at], advantages[at]);
            f64::from(u8::from(got.is_some() && clip.is_none_or(|clip| got == Some(clip))))
        };
        let row = |row: usize| -> Vec<f64> {
            let kept = (row * seq..(row + 1) * seq).filter(|at| mask[*at]);
            let kept: Vec<usize> = if by_row { kept.take(1).collect() } else { kept.collect() };
            kept.into_iter().map(hit).collect()
        };
        let all: Vec<Vec<f64>> = (0..rows).map(row).collect();
        let count: usize = if by_row { rows } else { all.iter().map(Vec::len).sum() };
        let total: f64 = all.iter().flatten().sum();
        let per_row = all.iter().filter(|row| !row.is_empty());
        (total / (count.max(1) as f64), per_row.map(|row| row.iter().sum::<f64>() / row.len() as f64).collect())
    };
    let (low, lows) = shares(Some(Clipped::Low));
    let (high, highs) = shares(Some(Clipped::High));
    // The peer has NaN without a row that has a token.
    let extreme = |values: &[f64], pick: fn(f64, f64) -> f64| values.iter().copied().reduce(pick).unwrap_or(0.0);
    numbers.metrics.extend([
        ("clip_ratio/low_mean", low),
        ("clip_ratio/high_mean", high),
        ("clip_ratio/region_mean", shares(None).0),
        ("clip_ratio/low_min", extreme(&lows, f64::min)),
        ("clip_ratio/high_max", extreme(&highs, f64::max)),
    ]);
}

fn flat_mask(mask: Tensor<2, Bool>) -> Vec<bool> {
    column(&flat(float(mask))).into_iter().map(|kept| kept > 0.5).collect()
}

fn surrogate(case: &Case) -> Result<Box<dyn Surrogate>> {
    let mut options = Options::new();
    let mut set = |name: &str, value: f64| options = std::mem::take(&mut options).with(name, value);
    let low = case.required("epsilon");
    let high = case.number("epsilon_high").unwrap_or(low);
    let kind = match (case.family, case.objective) {
        ("gmpo", _) => {
            set("clip_low", low);
            set("clip_high", high);
            "gmpo"
        }
        (_, "cispo") => {
            set("high", high);
            "cispo"
        }
        (_, "sapo") => {
            // The peer holds the temperatures in f32.
            set("tau_positive", f64::from(case.required("sapo_temperature_pos") as f32));
            set("tau_negative", f64::from(case.required("sapo_temperature_neg") as f32));
            "sapo"
        }
        (_, "vespo") => {
            for (ours, theirs) in [
                ("k_positive", "vespo_k_pos"),
                ("lambda_positive", "vespo_lambda_pos"),
                ("k_negative", "vespo_k_neg"),
                ("lambda_negative", "vespo_lambda_neg"),
            ] {
                set(ours, case.required(theirs));
            }
            "vespo"
        }
        _ => {
            set("clip_low", low);
            set("clip_high", high);
            if let Some(delta) = case.number("delta") {
                set("ratio_max", delta);
            }
            "clip"
        }
    };
    surrogate::build(kind, &options)
}

/// The entropy that a share of the tokens reaches. The peer rounds entropies and the quantile's place to f32: which side
/// a token falls on that lies at the threshold to seven digits is taken from the peer.
fn threshold(case: &Case, mask: &Tensor<2, Bool>, share: f64) -> Result<f64> {
    const NEAR: f64 = 1e-6;
    let kept: Vec<bool> = flat_mask(mask.clone());
    let entropies = column(&case.tensor("entropies"));
    let scored: Vec<f64> = entropies.iter().zip(&kept).filter(|(_, kept)| **kept).map(|(h, _)| *h).collect();
    let ours = entropy_threshold(&scored, share)?;
    let near = |at: &usize| kept[*at] && (entropies[*at] - ours).abs() < NEAR;
    let Some(at) = (0..entropies.len()).find(near) else { return Ok(ours) };
    let is_in = match case.output("entropy_mask") {
        Some(mask) => mask[at] != 0.0,
        // Only the gradient tells.
        None => case.output("grads.policy_token_logps").is_some_and(|grads| grads[at] != 0.0),
    };
    Ok(if is_in { ours - NEAR } else { ours + NEAR })
}

fn config(case: &Case, mask: &Tensor<2, Bool>) -> Result<PolicyGradientConfig> {
    let by_row = case.param("importance_sampling_level").is_some_and(|level| level == "sequence");
    let ratio = if by_row { RatioLevel::Sequence } else { RatioLevel::Token };
    let aggregation = match case.objective {
        "bnpo" | "dapo" | "cispo" | "vespo" => Aggregation::TokenMean,
        "dr_grpo" => Aggregation::ConstantLength(case.required("max_completion_length") as usize),
        "luspo" => Aggregation::SequenceSum,
        _ => Aggregation::SequenceMean,
    };
    let kl = match case.required("beta") {
        0.0 => KlPlacement::None,
        kl_coef => KlPlacement::Loss {
            kl_coef,
            options: KlOptions::new(KlEstimator::K3).with_exponent_clamp(None),
            corrected: case.flag("use_bias_correction_kl"),
        },
    };
    let min_entropy = match case.required("top_entropy_quantile") {
        1.0 => None,
        share => Some(threshold(case, mask, share)?),
    };
    let corrects = case.flag("use_vllm_is") && case.objective != "vespo";
    let by_row_weight = case.input("importance_sampling_ratio").is_some_and(|ratio| ratio.dims()[0] == mask.dims()[0]);
    let level = if by_row_weight { MismatchLevel::Sequence } else { MismatchLevel::Token };
    let correction = Correction::new(level, OutOfBounds::Truncate).with_max(f64::INFINITY);
    let entropy = EntropyConfig::new().with_entropy_coef(case.required("entropy_coef"));
    Ok(PolicyGradientConfig::new(ratio, aggregation)
        .with_kl(kl)
        .with_log_ratio_clamp(NO_OVERFLOW)
        .with_empty_rows(EmptyRows::Count)
        .with_entropy(entropy.with_min_entropy(min_entropy))
        .with_correction(corrects.then_some(correction))
        .with_off_policy_threshold(case.number("off_policy_mask_threshold")))
}

/// The peer has no bound, and its ratios overflow; `e^700` is still a number.
const NO_OVERFLOW: Option<f64> = Some(700.0);

const GRPO_PARAMETERS: &[&str] = &[
    "beta",
    "delta",
    "entropy_coef",
    "epsilon",
    "epsilon_high",
    "gradient_accumulation_steps",
    "importance_sampling_level",
    "loss_type",
    "max_completion_length",
    "off_policy_mask_threshold",
    "sapo_temperature_neg",
    "sapo_temperature_pos",
    "steps_per_generation",
    "top_entropy_quantile",
    "use_bias_correction_kl",
    "use_vllm_is",
    "vespo_k_neg",
    "vespo_k_pos",
    "vespo_lambda_neg",
    "vespo_lambda_pos",
];

/// The peer's weights of the sampler as log-probabilities of a sampler.
fn with_sampler(case: &Case, batch: RolloutBatch) -> Result<RolloutBatch> {
    let Some(weights) = case.input("importance_sampling_ratio") else { return Ok(batch) };
    let (log_weights, [rows, seq]) = (weights.log(), batch.mask().dims());
    let by_row = log_weights.dims()[0] == rows;
    if case.objective == "vespo" {
        // The peer sums over masked tokens, too.
        let tokens = log_weights.reshape([rows, seq]).clamp((1e-8f64).ln(), 20.0);
        return batch.with_column(MISMATCH, tokens.sum_dim(1).squeeze_dim(1));
    }
    let log_weights = match by_row {
        // A part of it at each token, so that the sum is the row's.
        true => {
            let counts = float(batch.mask()).sum_dim(1).squeeze_dim::<1>(1).clamp_min(1.0);
            RolloutBatch::per_token(log_weights / counts, batch.mask())?
        }
        false => log_weights.reshape([rows, seq]),
    };
    let behavior = batch.old() - log_weights;
    batch.with_behavior(behavior, &Sampling::new(), &Sampling::new())
}

/// The losses of `GRPOTrainer`, and of the trainer for GMPO, which inherits from it.
pub fn grpo(case: &Case) -> Result<Numbers> {
    case.knows_only(GRPO_PARAMETERS);
    let mut mask = case.mask("mask");
    if case.input("tool_mask").is_some() {
        mask = mask.bool_and(case.mask("tool_mask"));
    }
    let leaf = case.leaf("policy_token_logps");
    let policy = leaf.1.clone().reshape(mask.dims());
    let mut batch = RolloutBatch::new(TokenLogps::new(policy, mask.clone())?, at_tokens(case, "advantages", &mask)?)?;
    let mut leaves = vec![leaf];
    if case.input("old_token_logps").is_some() {
        batch = batch.with_old(at_tokens(case, "old_token_logps", &mask)?)?;
    }
    if case.input("ref_token_logps").is_some() {
        batch = batch.with_reference(at_tokens(case, "ref_token_logps", &mask)?)?;
    }
    if case.input("entropies").is_some() {
        let leaf = case.leaf("entropies");
        batch = batch.with_entropies(leaf.1.clone().reshape(mask.dims()))?;
        leaves.push(leaf);
    }
    batch = with_sampler(case, batch)?;
    let config = config(case, &mask)?;
    let surrogate_of_metrics = surrogate(case)?;
    let objective = config.init_boxed("golden", Box::new(GroupNormalizedConfig::new().init()?), surrogate(case)?)?;
    let accumulation = case.number("gradient_accumulation_steps").unwrap_or(1.0);
    let mut divisor = accumulation;
    if matches!(case.objective, "dapo" | "cispo" | "vespo") {
        let mut totals = Totals::default();
        let local = objective.totals(&batch)?;
        totals.add("policy", local.get("policy").unwrap_or(0.0) * accumulation / case.required("steps_per_generation"));
        // The entropy bonus is divided by the number of micro-batches whatever the loss is.
        totals.add("entropy", local.get("entropy").unwrap_or(0.0) * accumulation);
        batch = batch.with_totals(totals)?;
        divisor = 1.0;
    }
    let output = objective.forward(&batch)?;
    let mut numbers = Numbers::new(&(output.reduced.loss.clone() * (1.0 / divisor)), &leaves);
    numbers.insert("per_token_loss", &flat(output.losses.clone()));
    let ratios = output.log_ratios().expect("made of ratios").exp().mask_fill(mask.clone().bool_not(), 0.0);
    let by_row = config.ratio == RatioLevel::Sequence;
    numbers.insert("ratio", &if by_row { row_ratios(&output, &mask)? } else { flat(ratios) });
    finish(case, &mut numbers, &output, surrogate_of_metrics.as_ref(), &batch, &config)?;
    if case.family == "gmpo" {
        with_empty_rows(case, &mut numbers, masked_mean(output.losses.clone(), mask)?, &batch);
        let ratios = surrogate_of_metrics.losses(&unit_tokens(case, &batch, config.entropy.min_entropy)?)?;
        numbers.insert("ratio", &ratios.abs().narrow(1, 0, 1).squeeze_dim::<1>(1));
    }
    Ok(numbers)
}

/// What is reported beside the loss.
fn finish(
    case: &Case,
    numbers: &mut Numbers,
    output: &RolloutOutput,
    surrogate: &dyn Surrogate,
    batch: &RolloutBatch,
    config: &PolicyGradientConfig,
) -> Result<()> {
    let mask = batch.mask();
    let by_row = config.ratio == RatioLevel::Sequence;
    let diagnostics = output.diagnostics();
    if let Some(entropy) = diagnostics.means.mean("policy/entropy") {
        numbers.metrics.insert("entropy", entropy);
    } else {
        // No token: the peer logs 0.
        numbers.metrics.insert("entropy", 0.0);
    }
    if let Some(entropy) = config.entropy.min_entropy {
        let learned = case.in_rows("entropies", &case.tensor("entropies")).greater_equal_scalar(entropy);
        numbers.insert("entropy_mask", &flat(float(learned.bool_and(mask.clone()))));
    }
    if let KlPlacement::Loss { options, corrected, .. } = config.kl {
        let mut kl = kl_per_token(batch.policy(), batch.reference("golden")?, &options)?;
        if corrected {
            kl = importance_corrected(kl, output.log_ratios().expect("made of ratios"), None)?;
        }
        numbers.insert("per_token_kl", &flat(kl.clone().detach()));
        numbers.metrics.insert("kl", column(&masked_mean_all(kl.detach(), mask.clone())?)[0]);
    }
    if let Some(threshold) = config.off_policy_threshold {
        let far = masked_mean(batch.behavior() - batch.policy().detach(), mask.clone())?.greater_scalar(threshold);
        let costs = case.tensor("advantages").lower_scalar(0.0);
        numbers.insert("off_policy_mask", &far.bool_and(costs).bool_not().float().cast(FloatDType::F64));
    }
    match case.objective {
        "cispo" => {
            clip_metrics(numbers, output, surrogate, batch, by_row);
            let high = numbers.metrics["clip_ratio/high_mean"];
            numbers.metrics.insert("cispo_clip_ratio", high);
        }
        "sapo" => {}
        "vespo" => {
            // The loss is −φ A log π.
            let loss = surrogate.losses(&unit_tokens(case, batch, None)?)?.narrow(1, 0, 1).squeeze_dim::<1>(1);
            numbers.insert("phi", &loss);
            numbers.metrics.insert("vespo/phi_seq_mean", column(&loss.mean())[0]);
        }
        _ => clip_metrics(numbers, output, surrogate, batch, by_row),
    }
    if config.entropy.entropy_coef != 0.0 {
        numbers.metrics.insert("policy_loss", diagnostics.means.mean("loss/policy").unwrap_or(0.0));
        numbers.metrics.insert("entropy_coef", config.entropy.entropy_coef);
    }
    Ok(())
}

fn float<const D: usize>(mask: Tensor<D, Bool>) -> Tensor<D> {
    mask.float().cast(FloatDType::F64)
}

/// Tokens of log-probability −1 whose advantage has the case's sign and size 1, so that a weight is the loss.
fn unit_tokens(case: &Case, batch: &RolloutBatch, min_entropy: Option<f64>) -> Result<Tokens> {
    let [rows, seq] = batch.mask().dims();
    let ones = Tensor::<2>::ones([rows, seq], (&batch.policy().device(), batch.policy().dtype()));
    let signs = case.tensor("advantages").lower_scalar(0.0).float().cast(FloatDType::F64) * -2.0 + 1.0;
    let signs = signs.unsqueeze_dim::<2>(1).expand([rows, seq]);
    let (logps, log_ratios) = (-ones * signs.clone(), batch.policy() - batch.old());
    Ok(Tokens {
        old: logps.clone() - log_ratios.clone(),
        logps,
        log_ratios,
        mismatch: None,
        row_mismatch: batch.known_column(MISMATCH),
        advantages: signs,
        mask: batch.mask(),
        learned: match min_entropy {
            Some(min) => batch.mask().bool_and(batch.entropies("golden")?.greater_equal_scalar(min)),
            None => batch.mask(),
        },
    })
}

/// A row without a token has ratio 1 in the peer: its loss is −A, without a gradient.
fn with_empty_rows(case: &Case, numbers: &mut Numbers, rows: Tensor<1>, batch: &RolloutBatch) {
    let empty = float(batch.mask()).sum_dim(1).squeeze_dim::<1>(1).equal_scalar(0.0);
    let costs = -case.tensor("advantages").detach();
    let losses = rows.detach().mask_where(empty, costs);
    numbers.insert("loss", &losses.clone().mean());
    numbers.insert("per_example", &losses);
}

/// The ratio of each row, which stands at each of its tokens; 1 for a row without any.
fn row_ratios(output: &RolloutOutput, mask: &Tensor<2, Bool>) -> Result<Tensor<1>> {
    Ok(masked_mean(output.log_ratios().expect("made of ratios"), mask.clone())?.exp())
}

/// `RLOOTrainer`: one ratio for each row, of which the old log-probability is a sum.
pub fn rloo(case: &Case) -> Result<Numbers> {
    case.knows_only(&["epsilon", "epsilon_high"]);
    let mask = case.mask("mask");
    let leaf = case.leaf("policy_token_logps");
    let policy = leaf.1.clone().reshape(mask.dims());
    let counts = float(mask.clone()).sum_dim(1).squeeze_dim::<1>(1).clamp_min(1.0);
    let old = RolloutBatch::per_token(case.tensor("old_logps") / counts, mask.clone())?;
    let batch = RolloutBatch::new(TokenLogps::new(policy, mask.clone())?, at_tokens(case, "advantages", &mask)?)?
        .with_old(old)?;
    let config = PolicyGradientConfig::new(RatioLevel::SequenceSum, Aggregation::SequenceMean)
        .with_log_ratio_clamp(NO_OVERFLOW)
        .with_empty_rows(EmptyRows::Count);
    let objective = config.init_boxed("golden", Box::new(GroupNormalizedConfig::new().init()?), surrogate(case)?)?;
    let output = objective.forward(&batch)?;
    let mut numbers = Numbers::new(&output.reduced.loss, &[leaf]);
    clip_metrics(&mut numbers, &output, surrogate(case)?.as_ref(), &batch, true);
    with_empty_rows(case, &mut numbers, masked_mean(output.losses.clone(), mask.clone())?, &batch);
    numbers.insert("ratio", &row_ratios(&output, &mask)?);
    Ok(numbers)
}

fn numbers_of(outputs: &[(&'static str, Tensor<1>)]) -> Numbers {
    Numbers {
        outputs: outputs.iter().map(|(name, values)| (*name, column(values))).collect(),
        grads: BTreeMap::new(),
        metrics: BTreeMap::new(),
        tolerances: [VALUES; 2],
    }
}

/// The rewards of each function, and the groups of consecutive rows.
fn reward_batch(case: &Case, mask: Option<Tensor<2, Bool>>) -> Result<RewardBatch> {
    let weights = column(&case.tensor("reward_weights"));
    let rewards = case.in_rows("rewards_per_func", &case.tensor("rewards_per_func"));
    let [rows, _] = rewards.dims();
    let size = case.required("num_generations") as usize;
    let ids: Vec<usize> = (0..rows).map(|row| row / size).collect();
    let mask = mask.unwrap_or_else(|| Tensor::full([rows, 1], true, &rewards.device()));
    RewardBatch::with_rewards(rewards, weights, Groups::new(&ids), mask)
}

/// The peer's Bessel factor is rounded to f32.
fn with_f32_factor(outputs: &[(&'static str, Tensor<1>)]) -> Numbers {
    Numbers { tolerances: [(5e-8, 1e-12); 2], ..numbers_of(outputs) }
}

/// A missing reward is NaN on both sides, and no number to compare.
fn known(rewards: Tensor<1>) -> Tensor<1> {
    let missing = rewards.clone().is_nan();
    rewards.mask_fill(missing, 0.0)
}

fn of_rows(tokens: Tensor<2>) -> Tensor<1> {
    tokens.narrow(1, 0, 1).squeeze_dim(1)
}

pub fn grpo_advantages(case: &Case) -> Result<Numbers> {
    case.knows_only(&["multi_objective_aggregation", "num_generations", "scale_rewards"]);
    let scale = match case.param("scale_rewards").and_then(|scale| scale.as_str()) {
        Some("group") => Scale::Group,
        Some("batch") => Scale::Batch,
        Some("none") => Scale::None,
        other => panic!("{}: no scale `{other:?}`", case.id),
    };
    let batch = reward_batch(case, None)?;
    let over_batch = |rewards: &Tensor<1>| -> Result<Tensor<1>> {
        let var = masked_var_all(rewards.clone(), batch.is_scored())?;
        Ok(var.sqrt().expand([batch.len()]))
    };
    let (rewards, order) = match case.objective {
        "sum_then_normalize" => (batch.raw_rewards(), Order::SumThenNormalize(scale)),
        // The peer reports the weighted sums of normalized rewards.
        _ => (sums_of_normalized(&batch)?, Order::NormalizeThenSum),
    };
    let std = match order {
        Order::SumThenNormalize(Scale::Group | Scale::None) => batch.stats(rewards.clone())?.std(Ddof::One),
        _ => over_batch(&rewards)?,
    };
    let made = MultiRewardConfig::new().with_order(order).with_eps(1e-4).init()?.estimate(&batch)?;
    Ok(with_f32_factor(&[("advantages", of_rows(made.advantages)), ("rewards", known(rewards)), ("std", std)]))
}

/// Each reward normalized in its groups, then their weighted sum; NaN for a row without any.
fn sums_of_normalized(batch: &RewardBatch) -> Result<Tensor<1>> {
    let mut sum = batch.raw_rewards() * 0.0;
    for (at, weight) in batch.weights().iter().enumerate() {
        let one = batch.all_rewards().slice([0..batch.len(), at..at + 1]).squeeze_dim::<1>(1);
        let one = RewardBatch::new(one, batch.groups().clone(), batch.mask())?;
        let normalized = GroupNormalizedConfig::new().with_eps(1e-4).init()?.estimate(&one)?;
        sum = sum + of_rows(normalized.advantages) * *weight;
    }
    Ok(sum)
}

pub fn rloo_advantages(case: &Case) -> Result<Numbers> {
    case.knows_only(&["beta", "normalize_advantages", "num_generations", "reward_clip_range"]);
    let mask = case.input("mask").map(|_| case.mask("mask"));
    let mut batch = reward_batch(case, mask.clone())?;
    let clip = case.numbers("reward_clip_range").map(|range| (range[0], range[1]));
    let mut rewards = batch.raw_rewards();
    if let Some((low, high)) = clip {
        let missing = rewards.clone().is_nan();
        rewards = rewards.clamp(low, high).mask_fill(missing, f32::NAN);
    }
    let mut outputs = Vec::new();
    if let Some(mask) = mask {
        let [old, reference] =
            ["old_token_logps", "ref_token_logps"].map(|name| case.in_rows(name, &case.tensor(name)));
        let kl = masked_sum(old.clone() - reference.clone(), mask)?;
        rewards = rewards - kl.clone() * case.required("beta");
        outputs.push(("kl", kl));
        batch = batch.with_logps(old, reference)?;
    }
    let config = LeaveOneOutConfig::new().with_reward_clip(clip).with_eps(1e-4);
    let kl = KlPlacement::in_reward(case.required("beta"));
    let objective = PolicyGradientConfig::new(RatioLevel::SequenceSum, Aggregation::SequenceMean).with_kl(kl).init(
        "golden",
        config.with_normalize(case.flag("normalize_advantages")).init()?,
        ClipConfig::new().init()?,
    )?;
    let made = objective.advantages(&batch)?;
    outputs.extend([("advantages", of_rows(made.advantages)), ("rewards", known(rewards))]);
    Ok(if case.flag("normalize_advantages") { with_f32_factor(&outputs) } else { numbers_of(&outputs) })
}

pub fn a2po(case: &Case) -> Result<Numbers> {
    case.knows_only(&["beta2"]);
    let leaf = case.leaf("policy_logps");
    let rows = leaf.1.dims()[0];
    let one = |tensor: Tensor<1>| tensor.reshape([rows, 1]);
    let mask = Tensor::full([rows, 1], true, &leaf.1.device());
    let ids: Vec<usize> = (0..rows).collect();
    let beta = case.required("beta2");
    let objective = A2poConfig::new().with_beta(beta).init()?;
    let rewards = RewardBatch::new(case.tensor("rewards"), Groups::new(&ids), mask.clone())?
        .with_column(OPTIMAL_VALUE, case.tensor("v_star"))?;
    let advantages = objective.advantages(&rewards)?.advantages;
    let reference = case.tensor("ref_logps");
    let batch = RolloutBatch::new(TokenLogps::new(one(leaf.1.clone()), mask)?, advantages.clone())?
        .with_reference(one(reference.clone()))?;
    let implicit = ((leaf.1.clone().detach() - reference) * beta).mean();
    let mut numbers = Numbers::new(&objective.forward(&batch)?.reduced.loss, &[leaf]);
    numbers.metrics.insert("implicit_reward", column(&implicit)[0]);
    numbers.metrics.insert("advantage", column(&of_rows(advantages).mean())[0]);
    Ok(numbers)
}

/// Tokens that do not count are 0 already.
pub fn nash_md(case: &Case) -> Result<Numbers> {
    case.knows_only(&["beta"]);
    let [name, reference] = ["model_logprobs_model_data", "ref_logprobs_model_data"];
    let leaf = case.leaf(name);
    let policy = case.in_rows(name, &leaf.1);
    let reference = case.in_rows(reference, &case.tensor(reference));
    let mask = Tensor::full(policy.dims(), true, &policy.device());
    let ids: Vec<usize> = (0..policy.dims()[0]).collect();
    let rewards = RewardBatch::new(case.tensor("probability"), Groups::new(&ids), mask.clone())?;
    let objective = NashMdConfig::new().with_beta(case.required("beta")).init()?;
    let advantages = objective.advantages(&rewards)?.advantages;
    let batch = RolloutBatch::new(TokenLogps::new(policy, mask.clone())?, advantages)?;
    let batch = batch.with_reference(reference.clone())?;
    let mut numbers = Numbers::new(&objective.forward(&batch)?.reduced.loss, &[leaf]);
    // The loss without a pull, up to its sign.
    let free = NashMdConfig::new().with_beta(0.0).init()?.forward(&batch)?;
    numbers.insert("score", &-free.row_losses());
    numbers.insert("kl_div", &masked_sum(batch.policy().detach() - reference, mask)?);
    Ok(numbers)
}

pub fn ppo_advantages(case: &Case) -> Result<Numbers> {
    case.knows_only(&["gamma", "kl_coef", "kl_estimator", "lam", "whiten_rewards"]);
    let [old, reference, values] =
        ["old_token_logps", "ref_token_logps", "values"].map(|name| case.in_rows(name, &case.tensor(name)));
    let [rows, seq] = old.dims();
    // The peer's lengths are the indices of the last tokens.
    let last = case.tensor("sequence_lengths").unsqueeze_dim::<2>(1).expand([rows, seq]);
    let positions: Vec<f64> = (0..seq).map(|at| at as f64).collect();
    let positions = Tensor::<1>::from_data(positions.as_slice(), (&old.device(), old.dtype()));
    let mask = positions.unsqueeze_dim::<2>(0).expand([rows, seq]).lower_equal(last);
    let estimator = match case.param("kl_estimator").and_then(|name| name.as_str()) {
        Some("k1") => KlEstimator::K1,
        Some("k3") => KlEstimator::K3,
        other => panic!("{}: no estimator `{other:?}`", case.id),
    };
    let input = TokenRewardInput::new(case.tensor("scores"), mask.clone())?.with_logps(old, reference)?;
    let config = TokenRewardConfig::new()
        .with_kl_coef(case.required("kl_coef"))
        .with_kl(KlOptions::new(estimator).with_exponent_clamp(None))
        .with_score_at(ScoreAt::OnePast)
        .with_whiten_rewards(case.flag("whiten_rewards"));
    let rewards = token_rewards(&input, &config)?;
    let gae_config =
        GaeConfig::new().with_discount(case.required("gamma")).with_gae_lambda(Lambda::Constant(case.required("lam")));
    let gae_input = GaeInput::new(rewards.rewards.clone(), values.clone(), rewards.mask.clone())?;
    let output = gae(&gae_input.with_actions(mask.clone())?, &gae_config)?;
    let values = values.mask_fill(rewards.mask.clone().bool_not(), 0.0);
    let mut numbers = numbers_of(&[
        ("rewards", flat(rewards.rewards)),
        ("kl", flat(rewards.kl)),
        ("advantages", flat(output.advantages)),
        ("returns", flat(output.returns)),
        ("values_masked", flat(values)),
        ("padding_mask", flat(float(mask.bool_not()))),
        ("padding_mask_p1", flat(float(rewards.mask.bool_not()))),
    ]);
    // The peer's Bessel factor is rounded to f32: 1e-7 of the largest entry.
    let largest = numbers.outputs["advantages"].iter().fold(0f64, |largest, value| largest.max(value.abs()));
    numbers.tolerances[0] = (1e-10, 1e-7 * largest);
    Ok(numbers)
}

pub fn ppo(case: &Case) -> Result<Numbers> {
    case.knows_only(&["cliprange", "cliprange_value", "vf_coef"]);
    let [mask, value_mask] = ["padding_mask", "padding_mask_p1"].map(|name| case.mask(name).bool_not());
    let leaves = [case.leaf("new_token_logps"), case.leaf("vpred")];
    let rows = |tensor: &Tensor<1>| tensor.clone().reshape(mask.dims());
    let input = |name: &str| rows(&case.tensor(name));
    let clip = case.required("cliprange");
    let value = ClippedValueConfig::new().with_cliprange(Some(case.required("cliprange_value"))).init()?;
    let objective = PolicyGradientConfig::new(RatioLevel::Token, Aggregation::TokenMean)
        .with_log_ratio_clamp(NO_OVERFLOW)
        .init(
            "golden",
            GaeEstimatorConfig::new().init()?,
            ClipConfig::new().with_clip_low(clip).with_clip_high(clip).init()?,
        )?
        .with_critic(case.required("vf_coef"), value.clone())?;
    let critic = ValueBatch::new(rows(&leaves[1].1), input("returns"), value_mask)?.with_old_values(input("values"))?;
    let batch = RolloutBatch::new(TokenLogps::new(rows(&leaves[0].1), mask.clone())?, input("advantages"))?
        .with_old(input("old_token_logps"))?
        .with_critic(critic.clone())?;
    let output = objective.forward(&batch)?;
    let mut numbers = Numbers::new(&output.reduced.loss, &leaves);
    let means = output.diagnostics().means;
    let mean = |name| vec![means.mean(name).unwrap_or(0.0)];
    numbers.outputs.extend([("pg_loss", mean("loss/policy")), ("vf_loss", mean("loss/value"))]);
    let clipped = mean("policy/clip_low")[0] + mean("policy/clip_high")[0];
    // In f32, and written with as few digits.
    let clipped = (clipped as f32).to_string().parse().expect("a number");
    numbers.outputs.insert("pg_clipfrac", vec![clipped]);
    numbers.outputs.insert("vf_clipfrac", vec![value.forward(&critic)?.metrics().value_clip_frac()]);
    let drift = batch.policy().detach() - batch.old();
    numbers.insert("ratio", &flat(drift.clone().exp()));
    // Over all positions, padding included.
    numbers.insert("approxkl", &(drift.square().mean() * 0.5));
    Ok(numbers)
}
