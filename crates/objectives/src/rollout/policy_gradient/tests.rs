//! Each step of a policy gradient, in its order.

use accordant_ops::{
    TokenLogps,
    kl::{KlEstimator, KlOptions},
    reduce::Aggregation,
};

use super::*;
use crate::{
    advantage::group_normalized::GroupNormalizedConfig,
    rollout::{
        MismatchLevel, OutOfBounds, Sampling,
        surrogate::{clip::ClipConfig, gmpo::GmpoConfig, importance::ImportanceConfig, vespo::VespoConfig},
        tests::{close, host, loss_and_grad, mask, matrix},
    },
};

fn init(config: PolicyGradientConfig, surrogate: impl Surrogate + 'static) -> Result<PolicyGradient> {
    config.init("test", GroupNormalizedConfig::new().init().unwrap(), surrogate)
}

/// −A ρ at each token, aggregated by a plain sum, so that the gradient is that of each token alone.
fn sum() -> PolicyGradientConfig {
    PolicyGradientConfig::new(RatioLevel::Token, Aggregation::Sum)
}

fn plain(config: PolicyGradientConfig) -> PolicyGradient {
    init(config, ImportanceConfig::new().init().unwrap()).unwrap()
}

/// Two responses, A = 1 and A = −2, of log-ratios (0.1, −0.2) and (0.3), with all that the steps read: log-ratios to the
/// sampler (0.2, −0.4) and (0.5), to the reference (0.5, −0.25) and (1), entropies (1, 3) and (2).
fn batch(policy: Tensor<2>) -> RolloutBatch {
    let none = f64::NAN;
    let same = Sampling::new();
    RolloutBatch::new(
        TokenLogps::new(policy, mask([[true, true], [true, false]])).unwrap(),
        matrix([[1.0, 1.0], [-2.0, none]]),
    )
    .unwrap()
    .with_old(matrix([[-1.1, -1.8], [-3.3, none]]))
    .unwrap()
    .with_behavior(matrix([[-1.3, -1.4], [-3.8, none]]), &same, &same)
    .unwrap()
    .with_reference(matrix([[-1.5, -1.75], [-4.0, none]]))
    .unwrap()
    .with_entropies(matrix([[1.0, 3.0], [2.0, none]]))
    .unwrap()
    .with_column(
        SUCCESS,
        Tensor::from_data([1.0f64, 0.0], (&crate::rollout::tests::device(), burn::tensor::DType::F64)),
    )
    .unwrap()
}

fn policy() -> Tensor<2> {
    matrix([[-1.0, -2.0], [-3.0, f64::NAN]])
}

fn slopes(config: PolicyGradientConfig) -> Vec<f64> {
    loss_and_grad(&plain(config), batch, policy()).1
}

/// −A ρ of the three tokens, and nothing behind the mask.
fn free() -> [f64; 4] {
    [-0.1f64.exp(), -(-0.2f64).exp(), 2.0 * 0.3f64.exp(), 0.0]
}

fn times(slopes: [f64; 4], factors: [f64; 4]) -> [f64; 4] {
    [0, 1, 2, 3].map(|at| slopes[at] * factors[at])
}

#[test]
fn without_options_it_is_the_surrogate_alone() {
    let (loss, grad) = loss_and_grad(&plain(sum()), batch, policy());
    close(&grad, &free(), 1e-15);
    close(&[loss], &[free().iter().sum()], 1e-15);
}

#[test]
fn rows_too_far_from_the_sampler_are_left_out_where_the_advantage_is_negative() {
    // Mean log π_sampler − log π: (−0.3 + 0.6) / 2 = 0.15 with A > 0, and −0.8 with A < 0.
    close(&slopes(sum().with_off_policy_threshold(Some(-0.81))), &times(free(), [1.0, 1.0, 0.0, 0.0]), 1e-15);
    close(&slopes(sum().with_off_policy_threshold(Some(-0.79))), &free(), 1e-15);
}

#[test]
fn without_a_sampler_the_old_policy_stands_in_for_it() {
    // Mean log π_old − log π of the row with A < 0 is −0.3.
    let config = |threshold| plain(sum().with_off_policy_threshold(Some(threshold)));
    let bare = |policy: Tensor<2>| {
        RolloutBatch::new(
            TokenLogps::new(policy, mask([[true, true], [true, false]])).unwrap(),
            matrix([[1.0, 1.0], [-2.0, f64::NAN]]),
        )
        .unwrap()
        .with_old(matrix([[-1.1, -1.8], [-3.3, f64::NAN]]))
        .unwrap()
    };
    close(&loss_and_grad(&config(-0.29), bare, policy()).1, &free(), 1e-15);
    close(&loss_and_grad(&config(-0.31), bare, policy()).1, &times(free(), [1.0, 1.0, 0.0, 0.0]), 1e-15);
}

#[test]
fn certain_tokens_are_left_out_and_those_at_the_threshold_are_not() {
    let entropy = |min| EntropyConfig::new().with_min_entropy(Some(min));
    close(&slopes(sum().with_entropy(entropy(2.0))), &times(free(), [0.0, 1.0, 1.0, 0.0]), 1e-15);
    close(&slopes(sum().with_entropy(entropy(2.01))), &times(free(), [0.0, 1.0, 0.0, 0.0]), 1e-15);
    // They still count in the denominator.
    let mean = PolicyGradientConfig::new(RatioLevel::Token, Aggregation::TokenMean).with_entropy(entropy(2.01));
    close(&slopes(mean), &times(free(), [0.0, 1.0 / 3.0, 0.0, 0.0]), 1e-15);
}

#[test]
fn a_loss_of_rows_has_used_the_mask_of_certain_tokens_itself() {
    let config = PolicyGradientConfig::new(RatioLevel::Token, Aggregation::SequenceMean)
        .with_entropy(EntropyConfig::new().with_min_entropy(Some(1.5)));
    let gmpo = init(config, GmpoConfig::new().init().unwrap()).unwrap();
    let (loss, grad) = loss_and_grad(&gmpo, batch, policy());
    // The first row's ratio is that of its second token alone, and weighs the whole row.
    close(&[loss], &[(-(-0.2f64).exp() + 2.0 * 0.3f64.exp()) / 2.0], 1e-15);
    close(&grad, &[0.0, -(-0.2f64).exp() / 2.0, 0.3f64.exp(), 0.0], 1e-15);
}

#[test]
fn weights_for_the_sampler_multiply_the_surrogate() {
    use MismatchLevel::*;
    let weights = |level| sum().with_correction(Some(Correction::new(level, OutOfBounds::Truncate).with_max(1.5)));
    let (token, row, mean) = ([0.2f64.exp(), (-0.4f64).exp()], (-0.2f64).exp(), (-0.1f64).exp());
    close(&slopes(weights(Token)), &times(free(), [token[0], token[1], 1.5, 0.0]), 1e-14);
    close(&slopes(weights(Sequence)), &times(free(), [row, row, 1.5, 0.0]), 1e-14);
    close(&slopes(weights(Geometric)), &times(free(), [mean, mean, 1.5, 0.0]), 1e-14);
}

#[test]
fn masks_and_weights_do_not_touch_the_divergence() {
    let options = KlOptions::new(KlEstimator::K2);
    let kl = KlPlacement::Loss { kl_coef: 0.1, options, corrected: false };
    // K2's gradient is the log-ratio to the reference.
    let of_kl = [0.05, -0.025, 0.1, 0.0];
    let config = sum()
        .with_kl(kl)
        .with_off_policy_threshold(Some(-0.81))
        .with_entropy(EntropyConfig::new().with_min_entropy(Some(2.0)))
        .with_correction(Some(Correction::new(MismatchLevel::Token, OutOfBounds::Drop).with_max(1.1)));
    let kept = times(free(), [0.0, (-0.4f64).exp(), 0.0, 0.0]);
    close(&slopes(config), &[0, 1, 2, 3].map(|at| kept[at] + of_kl[at]), 1e-15);
}

#[test]
fn a_corrected_divergence_has_the_ratio_of_the_surrogate() {
    let options = KlOptions::new(KlEstimator::K2);
    let kl = |corrected| KlPlacement::Loss { kl_coef: 0.1, options, corrected };
    let u = [0.5, -0.25, 1.0];
    // d(k ρ) = (u + u²/2) ρ for tokens.
    let token = [(0.1, u[0]), (-0.2, u[1]), (0.3, u[2])].map(|(x, u): (f64, f64)| 0.1 * (u + u * u / 2.0) * x.exp());
    let got = slopes(sum().with_kl(kl(true)));
    close(&got, &[free()[0] + token[0], free()[1] + token[1], free()[2] + token[2], 0.0], 1e-14);
    // With one ratio s for the row, each token's divergence has that, and moves it by half.
    let sequence = PolicyGradientConfig::new(RatioLevel::Sequence, Aggregation::Sum);
    let without = slopes(sequence.clone());
    let with = slopes(sequence.with_kl(kl(true)));
    let (s, sum_k) = ((-0.05f64).exp(), (u[0] * u[0] + u[1] * u[1]) / 2.0);
    let expected = [0, 1].map(|at| 0.1 * s * (u[at] + sum_k / 2.0));
    close(&[with[0] - without[0], with[1] - without[1]], &expected, 1e-14);
    close(&[with[2] - without[2]], &[token[2]], 1e-14);
}

#[test]
fn the_entropy_bonus_is_a_mean_over_the_tokens_that_are_learned_from() {
    let run = |config: PolicyGradientConfig| {
        let entropies = matrix([[1.0, 3.0], [2.0, f64::NAN]]).require_grad();
        let of_batch = batch(policy()).with_entropies(entropies.clone()).unwrap();
        let loss = plain(config).forward(&of_batch).unwrap().reduced.loss;
        let grads = loss.clone().backward();
        (host(loss)[0], host(entropies.grad(&grads).unwrap()))
    };
    let bonus = EntropyConfig::new().with_entropy_coef(0.3);
    let base = host(plain(sum()).forward(&batch(policy())).unwrap().reduced.loss)[0];
    let (loss, grad) = run(sum().with_entropy(bonus));
    close(&[loss], &[base - 0.3 * 2.0], 1e-15);
    close(&grad, &[-0.1, -0.1, -0.1, 0.0], 1e-15);
    let (_, grad) = run(sum().with_entropy(bonus.with_min_entropy(Some(2.0))));
    close(&grad, &[0.0, -0.15, -0.15, 0.0], 1e-15);
}

#[test]
fn successful_responses_are_imitated() {
    let (loss, grad) = loss_and_grad(&plain(sum().with_sft_weight(0.4)), batch, policy());
    close(&[loss], &[free().iter().sum::<f64>() + 0.4 * 1.5], 1e-15);
    close(&grad, &[free()[0] - 0.2, free()[1] - 0.2, free()[2], 0.0], 1e-15);
    // No success: nothing is imitated.
    let none = |policy: Tensor<2>| {
        let zeros = Tensor::from_data([0.0f64, 0.0], (&policy.device(), burn::tensor::DType::F64));
        batch(policy).with_column(SUCCESS, zeros).unwrap()
    };
    close(&loss_and_grad(&plain(sum().with_sft_weight(0.4)), none, policy()).1, &free(), 1e-15);
}

#[test]
fn what_an_option_reads_is_asked_for() {
    let bare = |policy: Tensor<2>| {
        RolloutBatch::new(TokenLogps::new(policy, mask([[true]])).unwrap(), matrix([[1.0]])).unwrap()
    };
    let error = |config| plain(config).forward(&bare(matrix([[-1.0]]))).unwrap_err().to_string();
    let correction = Correction::new(MismatchLevel::Token, OutOfBounds::Drop);
    for (config, start) in [
        (sum().with_kl(KlPlacement::in_loss(0.1)), "`test` needs the reference"),
        (sum().with_entropy(EntropyConfig::new().with_entropy_coef(0.1)), "`test` needs `entropies`"),
        (sum().with_entropy(EntropyConfig::new().with_min_entropy(Some(0.1))), "`test` needs `entropies`"),
        (sum().with_correction(Some(correction)), "`correction` needs `behavior`"),
        (sum().with_sft_weight(0.1), "`test` needs `success`"),
    ] {
        let error = error(config);
        assert!(error.starts_with(start), "{error}");
    }
    assert!(!plain(sum()).needs_entropies() && plain(sum()).columns().is_empty());
    assert!(plain(sum().with_entropy(EntropyConfig::new().with_entropy_coef(0.1))).needs_entropies());
    assert_eq!(plain(sum().with_sft_weight(0.1)).columns(), [SUCCESS]);
    let group = PolicyGradientConfig::new(RatioLevel::Group, Aggregation::Sum);
    assert!(plain(group).needs_groups() && !plain(sum()).needs_groups());
}

#[test]
fn parts_that_make_no_sense_together_are_refused() {
    let correction = Some(Correction::new(MismatchLevel::Token, OutOfBounds::Drop));
    let vespo = || VespoConfig::new().init().unwrap();
    let error = init(sum().with_correction(correction), vespo()).unwrap_err().to_string();
    assert_eq!(error, "a correction: the surrogate corrects for the sampler itself");
    assert!(init(sum(), vespo()).is_ok());
    let sequence = PolicyGradientConfig::new(RatioLevel::Sequence, Aggregation::SequenceMean);
    let error = init(sequence, GmpoConfig::new().init().unwrap()).unwrap_err().to_string();
    assert!(error.starts_with("a geometric mean of ratios of responses: "), "{error}");
}

#[test]
fn settings_out_of_their_domain_are_refused_by_name() {
    for (config, name) in [
        (sum().with_log_ratio_clamp(Some(0.0)), "log_ratio_clamp"),
        (sum().with_log_ratio_clamp(Some(f64::INFINITY)), "log_ratio_clamp"),
        (sum().with_entropy(EntropyConfig::new().with_entropy_coef(f64::NAN)), "entropy_coef"),
        (sum().with_entropy(EntropyConfig::new().with_min_entropy(Some(f64::NAN))), "min_entropy"),
        (sum().with_off_policy_threshold(Some(f64::NAN)), "off_policy_threshold"),
        (sum().with_sft_weight(-0.1), "sft_weight"),
        (sum().with_sft_weight(f64::INFINITY), "sft_weight"),
        (sum().with_kl(KlPlacement::in_loss(f64::NAN)), "kl_coef"),
        (sum().with_kl(KlPlacement::in_reward(f64::INFINITY)), "kl_coef"),
        (sum().with_correction(Some(Correction::new(MismatchLevel::Token, OutOfBounds::Drop).with_max(0.0))), "max"),
    ] {
        let error = init(config, ClipConfig::new().init().unwrap()).unwrap_err().to_string();
        assert!(error.starts_with(&format!("`{name}`: ")), "{error}");
    }
    let config = sum();
    assert_eq!(
        (config.kl, config.log_ratio_clamp, config.empty_rows),
        (KlPlacement::None, Some(20.0), EmptyRows::Skip)
    );
    assert_eq!((config.entropy.entropy_coef, config.entropy.min_entropy), (0.0, None));
    assert_eq!((config.correction, config.off_policy_threshold, config.sft_weight), (None, None, 0.0));
}

#[test]
fn a_weight_of_responses_by_their_length_is_warned_about_and_not_refused() {
    let warnings = |ratio, aggregation| {
        let objective = init(PolicyGradientConfig::new(ratio, aggregation), ClipConfig::new().init().unwrap());
        objective.unwrap().warnings().len()
    };
    for aggregation in [Aggregation::TokenMean, Aggregation::ConstantLength(8), Aggregation::SequenceSum] {
        assert_eq!(warnings(RatioLevel::Sequence, aggregation), 1);
        assert_eq!(warnings(RatioLevel::SequenceSum, aggregation), 1);
        assert_eq!(warnings(RatioLevel::Token, aggregation), 0);
        assert_eq!(warnings(RatioLevel::SequenceToken, aggregation), 0);
    }
    assert_eq!(warnings(RatioLevel::Sequence, Aggregation::SequenceMean), 0);
    let gmpo = |aggregation| {
        let config = PolicyGradientConfig::new(RatioLevel::Token, aggregation);
        init(config, GmpoConfig::new().init().unwrap()).unwrap().warnings()
    };
    assert!(gmpo(Aggregation::SequenceMean).is_empty());
    assert_eq!(
        gmpo(Aggregation::TokenMean),
        ["a loss of whole responses, aggregated by tokens, weighs responses by their length"]
    );
}
