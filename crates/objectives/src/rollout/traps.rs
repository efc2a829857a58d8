//! What users of objectives on rollouts trip over elsewhere, one test each, named after the symptom.

use accordant_ops::{
    TokenLogps,
    groups::Groups,
    kl::{KlEstimator, KlOptions, kl_per_token},
    masked::masked_mean_all,
    reduce::Aggregation,
};
use burn::tensor::{Bool, Tensor, TensorData};

use super::{
    Correction, KlPlacement, MismatchLevel, OutOfBounds, PolicyGradient, PolicyGradientConfig, RatioLevel,
    RolloutBatch, RolloutObjective, Sampling,
    bnpo::BnpoConfig,
    canon::CanonConfig,
    cispo::CispoConfig,
    dapo::DapoConfig,
    dr_grpo::DrGrpoConfig,
    gmpo::GmpoConfig,
    gpg::GpgConfig,
    grpo::GrpoConfig,
    gspo::GspoConfig,
    gspo_token::GspoTokenConfig,
    lite_ppo::LitePpoConfig,
    luspo::LuspoConfig,
    opo::OpoConfig,
    p3o::{P3oClip, P3oConfig},
    pairwise_rl::PairwiseRlConfig,
    ppo::PpoConfig,
    pvpo::PvpoConfig,
    reinforce::ReinforceConfig,
    reinforce_pp::ReinforcePpConfig,
    remax::ReMaxConfig,
    rloo::RlooConfig,
    sapo::SapoConfig,
    surrogate::clip::{ClipConfig, clip_losses},
    tests::{close, device, host, loss_and_grad, mask, matrix},
    tree_opo::TreeOpoConfig,
    trust_region::TrustRegionConfig,
    vapo::VapoConfig,
    vespo::VespoConfig,
};
use crate::advantage::{
    Estimator, RewardBatch,
    gae::{GaeConfig, GaeInput, gae},
    group_normalized::{GroupNormalizedConfig, Scale, Singleton},
    reinforce_pp::Form,
    token_rewards::{TokenRewardConfig, TokenRewardInput, token_rewards},
};

fn grid(config: PolicyGradientConfig) -> PolicyGradient {
    let estimator = GroupNormalizedConfig::new().init().unwrap();
    config.init("test", estimator, ClipConfig::new().init().unwrap()).expect("valid in this test")
}

fn aggregated(aggregation: Aggregation) -> PolicyGradient {
    grid(PolicyGradientConfig::new(RatioLevel::Token, aggregation))
}

fn vector<const N: usize>(values: [f64; N]) -> Tensor<1> {
    Tensor::from_data(TensorData::from(values), (&device(), burn::tensor::DType::F64))
}

fn rewards<const N: usize>(values: [f64; N], ids: [u32; N]) -> RewardBatch {
    let mask = Tensor::full([N, 1], true, &device());
    RewardBatch::new(vector(values), Groups::new(&ids), mask).unwrap()
}

fn advantages(config: GroupNormalizedConfig, batch: &RewardBatch) -> Vec<f64> {
    host(config.init().unwrap().estimate(batch).unwrap().advantages)
}

fn rollouts(policy: Tensor<2>, mask: Tensor<2, Bool>, advantages: Tensor<2>) -> RolloutBatch {
    RolloutBatch::new(TokenLogps::new(policy, mask).unwrap(), advantages).unwrap()
}

#[test]
fn tool_output_in_a_response_changes_no_statistic() {
    // The same three tokens, and with what a tool said between them.
    let plain = rollouts(matrix([[-1.0, -2.0, -0.5]]), mask([[true; 3]]), matrix([[2.0; 3]]));
    let plain = plain.with_old(matrix([[-1.2, -1.9, -0.7]])).unwrap().with_reference(matrix([[-1.5; 3]])).unwrap();
    let nan = f64::NAN;
    let kept = mask([[true, false, true, false, false, true]]);
    let tool = rollouts(matrix([[-1.0, nan, -2.0, -9.0, nan, -0.5]]), kept, matrix([[2.0; 6]]));
    let tool = tool.with_old(matrix([[-1.2, nan, -1.9, 0.0, -50.0, -0.7]])).unwrap();
    let tool = tool.with_reference(matrix([[-1.5, nan, -1.5, -80.0, 0.0, -1.5]])).unwrap();
    for aggregation in [Aggregation::TokenMean, Aggregation::SequenceMean, Aggregation::SequenceSum] {
        for ratio in [RatioLevel::Token, RatioLevel::Sequence, RatioLevel::SequenceSum] {
            let config = PolicyGradientConfig::new(ratio, aggregation).with_kl(KlPlacement::in_loss(0.3));
            let [a, b] = [&plain, &tool].map(|batch| grid(config.clone()).forward(batch).unwrap());
            close(&host(a.reduced.loss.clone()), &host(b.reduced.loss.clone()), 1e-15);
            assert_eq!(a.diagnostics(), b.diagnostics());
        }
    }
}

#[test]
fn short_successes_and_long_failures_are_favored_by_the_mean_over_each_response() {
    let grads = |aggregation| {
        let batch = |policy| {
            let kept = mask([[true, false, false, false], [true; 4]]);
            rollouts(policy, kept, matrix([[1.0; 4], [1.0; 4]]))
        };
        let (_, grad) = loss_and_grad(&aggregated(aggregation), batch, matrix([[-1.0; 4], [-1.0; 4]]));
        (grad[0], grad[4])
    };
    // A token of the short response counts four times as much as one of the long response, or the same.
    assert_eq!(grads(Aggregation::SequenceMean), (-0.5, -0.125));
    assert_eq!(grads(Aggregation::ConstantLength(8)), (-0.0625, -0.0625));
    assert_eq!(grads(Aggregation::TokenMean), (-0.2, -0.2));
}

#[test]
fn the_update_changes_with_the_micro_batch_size_unless_its_parts_know_the_totals() {
    let whole =
        || (matrix([[-1.0, -1.0], [-1.0, -1.0]]), mask([[true, true], [true, false]]), matrix([[1.0; 2], [-3.0; 2]]));
    let part = |row: usize| {
        let (policy, kept, advantages) = whole();
        let pick = |tensor: Tensor<2>| tensor.slice(row..row + 1);
        rollouts(pick(policy), kept.slice(row..row + 1), pick(advantages))
    };
    let objective = aggregated(Aggregation::TokenMean);
    let loss = |batch: &RolloutBatch| host(objective.forward(batch).unwrap().reduced.loss)[0];
    let (policy, kept, advantages) = whole();
    let all = loss(&rollouts(policy, kept, advantages));
    close(&[all], &[(-1.0 - 1.0 + 3.0) / 3.0], 1e-15);
    // Means of micro-batches, averaged: another number.
    close(&[(loss(&part(0)) + loss(&part(1))) / 2.0], &[1.0], 1e-15);
    // With the totals they are added, and divided by nothing more: no loss knows about accumulation.
    let mut totals = objective.totals(&part(0)).unwrap();
    totals.merge(&objective.totals(&part(1)).unwrap());
    assert_eq!(totals.get("policy"), Some(3.0));
    let sum: f64 = (0..2).map(|row| loss(&part(row).with_totals(totals.clone()).unwrap())).sum();
    close(&[sum], &[all], 1e-15);
}

#[test]
fn the_loss_of_grpo_is_0_on_policy_while_it_learns() {
    let grpo = GrpoConfig::new().init().unwrap();
    let scored = grpo.advantages(&rewards([1.0, 0.0, 0.0, 1.0], [3; 4])).unwrap().advantages;
    let batch = |policy| rollouts(policy, mask([[true]; 4]), scored.clone());
    let (loss, grad) = loss_and_grad(&grpo, batch, matrix([[-1.0], [-2.0], [-0.1], [-3.0]]));
    assert!(loss.abs() < 1e-15, "{loss}");
    let expected = 0.5 / (1f64 / 3.0).sqrt() / 4.0;
    close(&grad, &[-expected, expected, expected, -expected], 1e-5);
}

#[test]
fn scaling_by_the_batch_does_not_silently_scale_by_the_group() {
    let batch = rewards([0.0, 2.0, 10.0, 11.0, 5.0, 5.0], [0, 0, 1, 1, 2, 2]);
    let with = |scale| advantages(GroupNormalizedConfig::new().with_eps(0.0).with_scale(scale), &batch);
    let half = 0.5f64.sqrt();
    close(&with(Scale::Group), &[-half, half, -half, half, 0.0, 0.0], 1e-15);
    // Mean 5.5; (5.5² + 3.5² + 4.5² + 5.5² + 0.5² + 0.5²) / 5 = 18.7, of rewards that are not centered.
    let std = 18.7f64.sqrt();
    let by_batch = [-1.0 / std, 1.0 / std, -0.5 / std, 0.5 / std, 0.0, 0.0];
    close(&with(Scale::Batch), &by_batch, 1e-15);
    close(&with(Scale::None), &[-1.0, 1.0, -0.5, 0.5, 0.0, 0.0], 1e-15);
    // However advantages are scaled, a group is constant by its own rewards.
    for scale in [Scale::Group, Scale::Batch, Scale::None] {
        let config = GroupNormalizedConfig::new().with_scale(scale).init().unwrap();
        let means = config.estimate(&batch).unwrap().means();
        close(&[means.mean("frac_zero_std_groups").unwrap()], &[1.0 / 3.0], 1e-15);
    }
}

#[test]
fn equal_rewards_are_exactly_0_whatever_their_size() {
    for reward in [0.1, 1e8 + 0.3, -1234.567] {
        let batch = rewards([reward; 3], [0; 3]);
        for scale in [Scale::Group, Scale::Batch, Scale::None] {
            let config = GroupNormalizedConfig::new().with_eps(0.0).with_scale(scale);
            assert_eq!(advantages(config, &batch), [0.0; 3], "{reward} {scale:?}");
        }
    }
}

#[test]
fn groups_that_teach_nothing_pay_for_their_divergence_until_they_are_dropped() {
    let objective = GrpoConfig::new().with_kl_coef(0.5).init().unwrap();
    let made = objective.advantages(&rewards([1.0, 1.0, 0.0, 1.0], [0, 0, 1, 1])).unwrap();
    let batch = rollouts(matrix([[-1.0], [-1.0], [-1.0], [-1.0]]), mask([[true]; 4]), made.advantages.clone());
    let batch = batch.with_reference(matrix([[-2.0], [-1.0], [-1.0], [-1.0]])).unwrap();
    let k3 = (-1f64).exp() - 1.0 + 1.0;
    close(&host(objective.forward(&batch).unwrap().reduced.loss), &[0.5 * k3 / 4.0], 1e-15);
    let dropped = batch.keep_rows(made.is_constant.bool_not()).unwrap();
    close(&host(objective.forward(&dropped).unwrap().reduced.loss), &[0.0], 1e-15);
    assert_eq!(objective.totals(&dropped).unwrap().get("policy"), Some(2.0));
}

#[test]
fn what_a_prompt_is_worth_disappears_when_groups_are_scaled() {
    let worth = 5.0;
    let plain = rewards([1.0, 0.0, 1.0, 0.0], [0, 0, 1, 1]);
    let weighed = rewards([1.0, 0.0, worth, 0.0], [0, 0, 1, 1]);
    let with = |scale, batch| advantages(GroupNormalizedConfig::new().with_eps(0.0).with_scale(scale), batch);
    close(&with(Scale::Group, &weighed), &with(Scale::Group, &plain), 1e-15);
    close(&with(Scale::None, &weighed), &[0.5, -0.5, 2.5, -2.5], 1e-15);
    // Whoever asks is told, of every preset.
    let lost = |preset: crate::Result<PolicyGradient>| preset.unwrap().check_prompt_weights(&device()).is_err();
    let scaled = [
        BnpoConfig::new().init(),
        CispoConfig::new().init(),
        DapoConfig::new().init(),
        GmpoConfig::new().init(),
        GrpoConfig::new().init(),
        GspoConfig::new().init(),
        GspoTokenConfig::new().init(),
        LuspoConfig::new().init(),
        PvpoConfig::new().with_scale_by_std(true).init(),
        SapoConfig::new().init(),
        TreeOpoConfig::new().init(),
        TrustRegionConfig::new().init(),
        VespoConfig::new().init(),
    ];
    assert_eq!(scaled.map(lost), [true; 13]);
    let kept = [
        CanonConfig::new(8).init(),
        DrGrpoConfig::new(8).init(),
        GpgConfig::new().init(),
        LitePpoConfig::new().init(),
        OpoConfig::new().init(),
        P3oConfig::new().init(),
        PairwiseRlConfig::new().init(),
        PpoConfig::new().init(),
        PvpoConfig::new().init(),
        ReMaxConfig::new().init(),
        ReinforceConfig::new().init(),
        ReinforcePpConfig::new().init(),
        ReinforcePpConfig::new().with_form(Form::Baseline).init(),
        RlooConfig::new().init(),
        VapoConfig::new().init(),
    ];
    assert_eq!(kept.map(lost), [false; 15]);
    let error = GrpoConfig::new().init().unwrap().check_prompt_weights(&device()).unwrap_err().to_string();
    assert!(error.starts_with("rewards weighed by prompt: the estimator divides by the deviation of each group, and"));
}

#[test]
fn a_reward_that_is_missing_is_not_a_reward_of_0() {
    let batch = rewards([1.0, f64::NAN, 3.0, f64::NAN], [0, 0, 0, 1]);
    let config = GroupNormalizedConfig::new().with_scale(Scale::None);
    assert_eq!(advantages(config, &batch), [-1.0, 0.0, 1.0, 0.0]);
    // Of two rewards, the one that is there counts.
    let two = Tensor::<2>::from_data([[1.0, f64::NAN], [2.0, 4.0]], (&device(), burn::tensor::DType::F64));
    let groups = Groups::new(&[0, 0]);
    let batch = RewardBatch::with_rewards(two, vec![1.0, 0.5], groups, mask([[true]; 2])).unwrap();
    assert_eq!(host(batch.raw_rewards()), [1.0, 4.0]);
}

#[test]
fn a_divergence_that_is_asked_for_is_applied_once_with_its_coefficient() {
    let batch = rollouts(matrix([[-1.0, -2.0]]), mask([[true; 2]]), matrix([[0.0; 2]]));
    let batch = batch.with_reference(matrix([[-1.5, -1.0]])).unwrap();
    let k3 = |u: f64| (-u).exp() - 1.0 + u;
    for kl_coef in [0.1, 3.0] {
        let loss = GrpoConfig::new().with_kl_coef(kl_coef).init().unwrap().forward(&batch).unwrap().reduced.loss;
        close(&host(loss), &[kl_coef * (k3(0.5) + k3(-1.0)) / 2.0], 1e-14);
        // In the reward: nothing of it in the loss, all of it in the advantages.
        let kl = KlPlacement::in_reward(kl_coef);
        let objective = grid(PolicyGradientConfig::new(RatioLevel::Token, Aggregation::TokenMean).with_kl(kl));
        assert_eq!(host(objective.forward(&batch).unwrap().reduced.loss), [0.0]);
    }
}

#[test]
fn k1_in_the_loss_teaches_nothing() {
    // Three tokens with probabilities p under the policy and q under the reference: Σ p ∇ log p = 0.
    let logits = Tensor::<1>::from_data([0.3, -1.0, 0.9], (&device(), burn::tensor::DType::F64)).require_grad();
    let reference = vector([0.2f64.ln(), 0.5f64.ln(), 0.3f64.ln()]);
    let expected = |estimator| {
        let logps = burn::tensor::activation::log_softmax(logits.clone(), 0);
        let kl = kl_per_token(logps.clone(), reference.clone(), &KlOptions::new(estimator)).unwrap();
        let grads = (logps.detach().exp() * kl).sum().backward();
        host(logits.grad(&grads).unwrap())
    };
    close(&expected(KlEstimator::K1), &[0.0; 3], 1e-15);
    assert!(expected(KlEstimator::K2).iter().all(|grad| grad.abs() > 1e-2));
}

#[test]
fn a_temperature_that_scoring_forgets_is_found_before_the_first_update() {
    // Sampled at temperature 2, scored at 1.
    let logits = [2.0f64, 0.0, -1.0];
    let scored = |temperature: f64| {
        let total: f64 = logits.iter().map(|logit| (logit / temperature).exp()).sum();
        matrix([logits.map(|logit| logit / temperature - total.ln())])
    };
    let batch = |policy| rollouts(policy, mask([[true; 3]]), matrix([[1.0; 3]])).with_old(scored(2.0)).unwrap();
    let check = |policy| {
        let output = GrpoConfig::new().init().unwrap().forward(&batch(policy)).unwrap();
        output.diagnostics().check_on_policy(1e-6)
    };
    assert!(check(scored(2.0)).is_ok());
    let error = check(scored(1.0)).unwrap_err().to_string();
    assert!(error.contains("is the sampling temperature applied when scoring"), "{error}");
}

#[test]
fn log_probabilities_of_a_sampler_that_cuts_the_distribution_are_refused() {
    let batch = || rollouts(matrix([[-1.0]]), mask([[true]]), matrix([[1.0]]));
    let behavior = || matrix([[-1.0]]);
    let plain = Sampling::new();
    assert!(batch().with_behavior(behavior(), &plain, &plain).is_ok());
    for sampled in [plain.with_temperature(0.7), plain.with_top_p(Some(0.9)), plain.with_top_k(Some(50))] {
        let error = batch().with_behavior(behavior(), &sampled, &plain).unwrap_err().to_string();
        assert!(error.contains("their ratio is no importance weight"), "{error}");
    }
}

#[test]
fn the_weight_of_a_whole_response_explodes_with_its_length_and_that_of_a_token_does_not() {
    const LENGTH: usize = 100;
    let batch = rollouts(matrix([[-1.0; LENGTH]]), mask([[true; LENGTH]]), matrix([[1.0; LENGTH]]));
    let batch = batch.with_old(matrix([[-1.0; LENGTH]])).unwrap();
    let batch = batch.with_behavior(matrix([[-1.1; LENGTH]]), &Sampling::new(), &Sampling::new()).unwrap();
    let weight = |level| {
        let correction = Correction::new(level, OutOfBounds::Truncate).with_max(f64::INFINITY);
        host(correction.weights(&batch).unwrap())[0]
    };
    close(&[weight(MismatchLevel::Token), weight(MismatchLevel::Geometric)], &[0.1f64.exp(); 2], 1e-12);
    close(&[weight(MismatchLevel::Sequence)], &[10f64.exp()], 1e-6);
}

#[test]
fn a_bad_token_that_has_become_likely_costs_without_bound_unless_it_is_clipped_twice() {
    let loss = |config: ClipConfig| host(clip_losses(matrix([[5.0]]), matrix([[-1.0]]), &config).unwrap())[0];
    close(&[loss(ClipConfig::new())], &[5f64.exp()], 1e-12);
    close(&[loss(ClipConfig::new().with_dual_clip(Some(3.0)))], &[3.0], 1e-15);
    close(&[loss(ClipConfig::new().with_ratio_max(Some(4.0)))], &[4.0], 1e-15);
}

#[test]
fn a_bad_token_that_is_too_likely_to_be_unlearned_is_counted() {
    // Log-ratios 25, 0.1 and −30, all of them costs: nothing clips the first, and its gradient is gone.
    let batch = |policy| {
        let old = matrix([[-26.0, -1.1], [-1.0, f64::NAN]]);
        rollouts(policy, mask([[true, true], [true, false]]), matrix([[-1.0; 2], [-1.0; 2]])).with_old(old).unwrap()
    };
    let policy = || matrix([[-1.0, -1.0], [-31.0, f64::NAN]]);
    let clamped = |ratio, clamp| {
        let objective = grid(PolicyGradientConfig::new(ratio, Aggregation::TokenMean).with_log_ratio_clamp(clamp));
        let (_, grad) = loss_and_grad(&objective, batch, policy());
        let means = objective.forward(&batch(policy())).unwrap().diagnostics().means;
        (means.mean("policy/clamped").unwrap(), grad[0] != 0.0)
    };
    assert_eq!(clamped(RatioLevel::Token, Some(20.0)), (2.0 / 3.0, false));
    assert_eq!(clamped(RatioLevel::Token, Some(26.0)), (1.0 / 3.0, true));
    assert_eq!(clamped(RatioLevel::Token, None), (0.0, true));
    // The mean of the first row is 12.55: too much for the form of tokens, whose bound above is 10.
    assert_eq!(clamped(RatioLevel::Sequence, Some(20.0)), (1.0 / 3.0, true));
    assert_eq!(clamped(RatioLevel::SequenceToken, Some(20.0)), (1.0, false));
    assert_eq!(clamped(RatioLevel::SequenceToken, None), (2.0 / 3.0, false));
}

#[test]
fn a_ratio_of_responses_under_a_sum_over_tokens_is_warned_about() {
    let warned = |ratio, aggregation| !grid(PolicyGradientConfig::new(ratio, aggregation)).warnings().is_empty();
    for aggregation in [Aggregation::TokenMean, Aggregation::SequenceSum, Aggregation::ConstantLength(8)] {
        assert!(warned(RatioLevel::Sequence, aggregation), "{aggregation:?}");
        assert!(!warned(RatioLevel::Token, aggregation), "{aggregation:?}");
    }
    assert!(!warned(RatioLevel::Sequence, Aggregation::SequenceMean));
    // Of the presets, one is meant to weigh responses by their length; a joint clip weighs groups.
    let presets = [
        LuspoConfig::new().init(),
        P3oConfig::new().init(),
        P3oConfig::new().with_clip(P3oClip::SeparateTokens).init(),
        P3oConfig::new().with_clip(P3oClip::Joint).init(),
    ];
    assert_eq!(presets.map(|preset| preset.unwrap().warnings().len()), [1, 0, 0, 0]);
}

#[test]
fn the_score_is_the_reward_of_the_last_token_even_where_padding_looks_like_one() {
    // Padded on either side, with a gap; ids are not asked.
    let kept = mask([[true, true, false, false], [false, true, false, true]]);
    let input = TokenRewardInput::new(vector([5.0, 7.0]), kept).unwrap();
    let rewards = token_rewards(&input, &TokenRewardConfig::new().with_kl_coef(0.0)).unwrap().rewards;
    assert_eq!(host(rewards), [0.0, 5.0, 0.0, 0.0, 0.0, 0.0, 0.0, 7.0]);
}

#[test]
fn returns_are_made_before_advantages_are_whitened() {
    let rewards = matrix([[0.0, 1.0], [0.0, -3.0]]);
    let input = GaeInput::new(rewards, matrix([[0.5, 0.25], [0.5, 0.25]]), mask([[true; 2]; 2])).unwrap();
    let output = gae(&input, &GaeConfig::new()).unwrap();
    let values = [0.5, 0.25, 0.5, 0.25];
    let differences: Vec<f64> = host(output.returns).iter().zip(values).map(|(ret, value)| ret - value).collect();
    // δ: −0.25, 0.75 and −0.25, −3.25; A_0 = δ_0 + 0.95 δ_1.
    close(&differences, &[0.4625, 0.75, -3.3375, -3.25], 1e-12);
    let whitened = output.advantages;
    let mean = host(masked_mean_all(whitened, mask([[true; 2]; 2])).unwrap());
    close(&mean, &[0.0], 1e-12);
}

#[test]
fn a_single_token_is_not_divided_by_the_deviation_of_nothing() {
    let input = GaeInput::new(matrix([[2.0, f64::NAN]]), matrix([[0.5, f64::NAN]]), mask([[true, false]])).unwrap();
    let output = gae(&input, &GaeConfig::new()).unwrap();
    assert_eq!(host(output.advantages), [0.0, 0.0]);
    assert_eq!(host(output.returns), [2.0, 0.0]);
}

#[test]
fn a_response_without_siblings_gets_0_or_its_reward_as_asked() {
    let batch = rewards([3.0, 1.0, 2.0], [0, 1, 1]);
    let with = |singleton| {
        let config = GroupNormalizedConfig::new().with_scale(Scale::None).with_singleton(singleton);
        advantages(config, &batch)
    };
    assert_eq!(with(Singleton::Zero), [0.0, -0.5, 0.5]);
    assert_eq!(with(Singleton::Raw), [3.0, -0.5, 0.5]);
}
