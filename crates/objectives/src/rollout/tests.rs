//! What all methods on rollouts have in common, and the parts that they share.

use accordant_ops::{TokenLogps, reduce::Aggregation};
use burn::tensor::{Bool, DType, Device, Tensor, TensorData};

use super::{
    Diagnostics, EntropyConfig, KlPlacement, PolicyGradient, PolicyGradientConfig, RatioLevel, RolloutBatch,
    RolloutObjective, RolloutOutput, entropy_threshold,
    grpo::GrpoConfig,
    methods,
    surrogate::{MISMATCH, Surrogate, clip::ClipConfig},
};
use crate::{
    Options, Result,
    advantage::{Advantages, Estimator, RewardBatch, group_normalized::GroupNormalizedConfig},
    value::{ValueBatch, clipped_value::ClippedValueConfig},
};

pub(crate) fn device() -> Device {
    Device::flex().autodiff()
}

/// A matrix in f64 on an autodiff device.
pub(crate) fn matrix<const R: usize, const C: usize>(rows: [[f64; C]; R]) -> Tensor<2> {
    Tensor::from_data(TensorData::from(rows), (&device(), DType::F64))
}

pub(crate) fn mask<const R: usize, const C: usize>(rows: [[bool; C]; R]) -> Tensor<2, Bool> {
    Tensor::from_bool(TensorData::from(rows), &device())
}

pub(crate) fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.detach().try_to_vec_as::<f64>().expect("floats convert to f64")
}

pub(crate) fn close(got: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(got.len(), expected.len(), "{got:?} {expected:?}");
    for (got_one, expected_one) in got.iter().zip(expected) {
        assert!((got_one - expected_one).abs() <= tolerance, "{got:?} is not {expected:?}");
    }
}

/// The loss and its gradient with respect to the policy's log-probabilities.
pub(crate) fn loss_and_grad(
    objective: &dyn RolloutObjective,
    batch: impl Fn(Tensor<2>) -> RolloutBatch,
    policy: Tensor<2>,
) -> (f64, Vec<f64>) {
    let policy = policy.detach().require_grad();
    let loss = objective.forward(&batch(policy.clone())).unwrap().reduced.loss;
    let grads = (loss.clone() + policy.clone().sum() * 0.0).backward();
    (host(loss)[0], host(policy.grad(&grads).unwrap()))
}

/// That an objective is this point of the grid, with the settings of its parts.
pub(crate) fn assert_parts(
    objective: &PolicyGradient,
    config: PolicyGradientConfig,
    estimator: impl Estimator,
    surrogate: impl Surrogate,
) {
    assert_eq!(format!("{:?}", objective.config()), format!("{config:?}"));
    assert_eq!(format!("{:?}", objective.estimator()), format!("{estimator:?}"));
    assert_eq!(format!("{:?}", objective.surrogate()), format!("{surrogate:?}"));
}

/// The loss of two responses of log-ratios (0.5, −0.1) with A = 1 and (−0.3) with A = −2; log π is −1, −2 and −3.
pub(crate) fn two_rows(objective: &dyn RolloutObjective) -> f64 {
    let policy = TokenLogps::new(matrix([[-1.0, -2.0], [-3.0, f64::NAN]]), mask([[true, true], [true, false]]));
    let batch = RolloutBatch::new(policy.unwrap(), matrix([[1.0, 1.0], [-2.0, f64::NAN]])).unwrap();
    let batch = batch.with_old(matrix([[-1.5, -1.9], [-2.7, f64::NAN]])).unwrap();
    host(objective.forward(&batch).unwrap().reduced.loss)[0]
}

/// Two responses of two and one tokens.
fn ragged() -> (Tensor<2>, Tensor<2, Bool>, Tensor<2>) {
    let old = matrix([[-1.0, -2.0], [-3.0, f64::NAN]]);
    let advantages = matrix([[1.0, 1.0], [-2.0, f64::NAN]]);
    (old, mask([[true, true], [true, false]]), advantages)
}

fn batch(policy: Tensor<2>) -> RolloutBatch {
    let (old, mask, advantages) = ragged();
    RolloutBatch::new(TokenLogps::new(policy, mask).unwrap(), advantages).unwrap().with_old(old).unwrap()
}

fn policy_gradient(config: PolicyGradientConfig) -> PolicyGradient {
    config
        .init("test", GroupNormalizedConfig::new().init().unwrap(), ClipConfig::new().init().unwrap())
        .expect("valid in this test")
}

#[test]
fn on_policy_the_gradient_is_that_of_the_advantages_times_logps() {
    let (old, _, _) = ragged();
    let (loss, grad) = loss_and_grad(&GrpoConfig::new().init().unwrap(), batch, old);
    // Rows count one half each, the first one's tokens one half of that.
    close(&[loss], &[(-1.0 + 2.0) / 2.0], 1e-15);
    close(&grad, &[-0.25, -0.25, 1.0, 0.0], 1e-15);
}

#[test]
fn far_enough_in_the_direction_of_the_advantage_there_is_no_gradient() {
    // Ratios e^0.3 with A = 1 and e^−0.3 with A = −2 are clipped, e^−0.3 with A = 1 is not.
    let policy = matrix([[-0.7, -2.3], [-3.3, f64::NAN]]);
    let (loss, grad) = loss_and_grad(&GrpoConfig::new().init().unwrap(), batch, policy.clone());
    let ratio = (-0.3f64).exp();
    close(&[loss], &[(-(1.2 + ratio) / 2.0 + 2.0 * 0.8) / 2.0], 1e-15);
    close(&grad, &[0.0, -ratio / 4.0, 0.0, 0.0], 1e-15);
    let diagnostics = GrpoConfig::new().init().unwrap().forward(&batch(policy)).unwrap().diagnostics();
    let mean = |name| diagnostics.means.mean(name).unwrap();
    close(
        &[mean("policy/clip_low"), mean("policy/clip_high"), mean("policy/clip_dual")],
        &[1.0 / 3.0, 1.0 / 3.0, 0.0],
        1e-15,
    );
    close(&[mean("policy/ratio")], &[(0.3f64.exp() + 2.0 * ratio) / 3.0], 1e-15);
    close(&[mean("policy/approx_kl"), mean("policy/advantage"), mean("tokens")], &[0.1, 0.0, 1.5], 1e-15);
    close(&[diagnostics.ratio_max, diagnostics.ratio_min], &[0.3f64.exp(), ratio], 1e-15);
    assert!(diagnostics.check_on_policy(0.1).unwrap_err().to_string().starts_with("ratios of fresh rollouts lie in"));
    assert!(diagnostics.check_on_policy(0.36).is_ok());
}

#[test]
fn parts_with_the_totals_of_the_step_add_up_to_it() {
    let row = |policy: Tensor<2>, row: usize| {
        let (old, mask, advantages) = ragged();
        let pick = |tensor: Tensor<2>| tensor.slice(row..row + 1);
        let mask = mask.slice(row..row + 1);
        RolloutBatch::new(TokenLogps::new(pick(policy), mask).unwrap(), pick(advantages))
            .unwrap()
            .with_old(pick(old))
            .unwrap()
            .with_entropies(matrix([[0.5, 1.0]]) * (row + 1) as f64)
            .unwrap()
    };
    let whole = |policy: Tensor<2>| batch(policy).with_entropies(matrix([[0.5, 1.0], [1.0, 2.0]])).unwrap();
    let policy = matrix([[-0.9, -2.1], [-3.1, f64::NAN]]);
    // A sum and a mean over the tokens of the step have one denominator for all parts.
    for aggregation in [
        Aggregation::TokenMean,
        Aggregation::SequenceMean,
        Aggregation::SequenceSum,
        Aggregation::ConstantLength(4),
        Aggregation::GlobalTokens(3.0),
        Aggregation::Sum,
    ] {
        let objective = policy_gradient(
            PolicyGradientConfig::new(RatioLevel::Token, aggregation)
                .with_entropy(EntropyConfig::new().with_entropy_coef(0.1)),
        );
        let (loss, grad) = loss_and_grad(&objective, whole, policy.clone());
        let mut totals = objective.totals(&row(policy.clone(), 0)).unwrap();
        totals.merge(&objective.totals(&row(policy.clone(), 1)).unwrap());
        let parts: Vec<_> = (0..2)
            .map(|at| {
                let part = |policy| row(policy, at).with_totals(totals.clone()).unwrap();
                loss_and_grad(&objective, part, policy.clone())
            })
            .collect();
        close(&[parts[0].0 + parts[1].0], &[loss], 1e-15);
        let sum: Vec<f64> = parts[0].1.iter().zip(&parts[1].1).map(|(a, b)| a + b).collect();
        close(&sum, &grad, 1e-15);
    }
}

#[test]
fn a_divergence_is_applied_in_one_place_and_not_as_k1_in_the_loss() {
    use accordant_ops::kl::{KlEstimator, KlOptions};
    let with = |kl| {
        PolicyGradientConfig::new(RatioLevel::Token, Aggregation::TokenMean)
            .with_kl(kl)
            .init("test", GroupNormalizedConfig::new().init().unwrap(), ClipConfig::new().init().unwrap())
            .map(|objective| objective.needs_reference())
    };
    assert!(!with(KlPlacement::in_loss(0.0)).unwrap());
    assert!(with(KlPlacement::in_loss(0.1)).unwrap());
    assert!(with(KlPlacement::in_reward(0.1)).unwrap());
    let k1 = KlPlacement::Loss { kl_coef: 0.1, options: KlOptions::new(KlEstimator::K1), corrected: false };
    let error = with(k1).unwrap_err().to_string();
    assert!(error.starts_with("K1 in the loss: its expected gradient is 0"), "{error}");
    assert!(with(KlPlacement::in_loss(-1.0)).is_err());
    let nothing = KlPlacement::Loss { kl_coef: 0.0, options: KlOptions::new(KlEstimator::K3), corrected: false };
    assert!(with(nothing).is_err(), "no divergence is `None`");
}

#[test]
fn a_quantile_of_entropies_is_interpolated() {
    let entropies = [8.0, 1.0, 4.0, 2.0];
    // The place 0.8 · 3 = 2.4 lies between 4 and 8.
    close(&[entropy_threshold(&entropies, 0.2).unwrap()], &[4.0 + 0.4 * 4.0], 1e-14);
    assert_eq!(entropy_threshold(&entropies, 1.0).unwrap(), 1.0);
    assert!(entropy_threshold(&[], 0.5).unwrap().is_nan());
    assert!(entropy_threshold(&entropies, 0.0).is_err());
    assert!(entropy_threshold(&entropies, f64::NAN).is_err());
}

#[test]
fn a_batch_without_rows_or_without_columns_is_one() {
    for shape in [[0, 2], [2, 0]] {
        let empty = Tensor::<2>::zeros(shape, (&device(), DType::F64));
        let mask = empty.clone().equal_scalar(1.0);
        let logps = TokenLogps::new(empty.clone(), mask.clone()).unwrap();
        let keep = Tensor::<1>::zeros([shape[0]], (&device(), DType::F64));
        let batch = RolloutBatch::new(logps, empty).unwrap().keep_rows(keep.clone().equal_scalar(0.0)).unwrap();
        assert_eq!((batch.len(), batch.mask().dims()), (shape[0], shape));
        assert_eq!(RolloutBatch::per_token(keep, mask).unwrap().dims(), shape);
    }
}

#[test]
fn every_method_is_built_by_name() {
    for method in methods() {
        let objective = (method.build)(&Options::new()).expect(method.name);
        assert_eq!(objective.name(), method.name);
    }
}

/// Makes returns of nothing.
#[derive(Debug)]
struct Returning;

impl Estimator for Returning {
    fn name(&self) -> &'static str {
        "returning"
    }

    fn makes_returns(&self) -> bool {
        true
    }

    fn estimate(&self, batch: &RewardBatch) -> crate::Result<Advantages> {
        Advantages::of_rows(batch, batch.rewards()?)
    }
}

#[test]
fn a_critic_is_trained_by_the_same_sum() {
    let config = PolicyGradientConfig::new(RatioLevel::Token, Aggregation::TokenMean);
    let clip = || ClipConfig::new().init().unwrap();
    let value = || ClippedValueConfig::new().with_cliprange(None).init().unwrap();
    let objective = config.init("test", Returning, clip()).unwrap().with_critic(0.5, value()).unwrap();
    assert!(objective.needs_values());
    let (old, kept, _) = ragged();
    let values = matrix([[1.0, 2.0], [3.0, f64::NAN]]).require_grad();
    let critic = |mask| ValueBatch::new(values.clone(), matrix([[0.0, 4.0], [3.0, 9.0]]), mask).unwrap();
    let full = batch(old.clone()).with_critic(critic(kept.clone())).unwrap();
    let loss = objective.forward(&full).unwrap().reduced.loss;
    // Policy: −(1 + 1 − 2) / 3; values: (½ + 2 + 0) / 3.
    close(&host(loss.clone()), &[0.5 * 2.5 / 3.0], 1e-15);
    let grads = loss.backward();
    close(&host(values.grad(&grads).unwrap()), &[0.5 / 3.0, -1.0 / 3.0, 0.0, 0.0], 1e-15);
    // Rows that are dropped take their values along.
    let dropped = full.clone().keep_rows(Tensor::from_bool(TensorData::from([false, true]), &device())).unwrap();
    close(&host(objective.forward(&dropped).unwrap().reduced.loss), &[2.0], 1e-15);
    let means = objective.forward(&full).unwrap().diagnostics().means;
    close(&[means.mean("loss/policy").unwrap(), means.mean("loss/value").unwrap()], &[0.0, 2.5 / 3.0], 1e-15);

    let error = objective.forward(&batch(old)).unwrap_err().to_string();
    assert_eq!(error, "`test` needs `critic` (what the critic predicts, and the returns), and the batch has none");
    let error = policy_gradient(config.clone()).with_critic(0.5, value()).unwrap_err().to_string();
    assert_eq!(error, "a critic: the estimator makes no returns to train it on");
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(config.init("test", Returning, clip()).unwrap().with_critic(bad, value()).is_err(), "{bad}");
    }
}

/// A method that says nothing about itself needs nothing.
#[test]
fn a_method_of_ones_own_needs_what_it_says() {
    #[derive(Debug)]
    struct Bare;
    impl RolloutObjective for Bare {
        fn name(&self) -> &'static str {
            "bare"
        }
        fn advantages(&self, batch: &RewardBatch) -> Result<Advantages> {
            GroupNormalizedConfig::new().init()?.estimate(batch)
        }
        fn forward(&self, batch: &RolloutBatch) -> Result<RolloutOutput> {
            GrpoConfig::new().init()?.forward(batch)
        }
    }
    let needs = [
        Bare.needs_reference(),
        Bare.needs_values(),
        Bare.needs_sum_sq_probs(),
        Bare.needs_entropies(),
        Bare.needs_groups(),
    ];
    assert_eq!(needs, [false; 5]);
    assert!(Bare.columns().is_empty() && Bare.reward_columns().is_empty());
}

#[test]
fn a_column_is_there_when_it_was_given() {
    let logps = TokenLogps::new(matrix([[-1.0]]), mask([[true]])).unwrap();
    let batch = RolloutBatch::new(logps, matrix([[1.0]])).unwrap();
    assert!(batch.known_column(MISMATCH).is_none());
    let given = Tensor::from_data(TensorData::from([0.5]), (&device(), DType::F64));
    let batch = batch.with_column(MISMATCH, given).unwrap();
    assert_eq!(host(batch.known_column(MISMATCH).unwrap()), [0.5]);
}

#[test]
fn ratios_of_micro_batches_merge_to_the_smallest_and_the_largest() {
    let of = |ratio_min, ratio_max| Diagnostics { ratio_min, ratio_max, ..Diagnostics::default() };
    let merged = |mut one: Diagnostics, other: Diagnostics| {
        one.merge(&other);
        (one.ratio_min, one.ratio_max)
    };
    assert_eq!(merged(of(0.5, 2.0), of(0.25, 1.5)), (0.25, 2.0));
    assert_eq!(merged(of(0.5, 2.0), of(0.75, 3.0)), (0.5, 3.0));
    // A part without a token has none, and says 0.
    assert_eq!(merged(of(0.5, 2.0), of(0.0, 0.0)), (0.5, 2.0));
    assert_eq!(merged(of(0.0, 0.0), of(0.5, 2.0)), (0.5, 2.0));
}

#[test]
fn what_is_logged_of_the_policy_by_hand() {
    // Log-ratios 0.5 and -0.1 at entropies 1.5 and 0.25, and one token with 0.2 and 0.75.
    let batch = batch(matrix([[-0.5, -2.1], [-2.8, f64::NAN]]));
    let batch = batch.with_entropies(matrix([[1.5, 0.25], [0.75, f64::NAN]])).unwrap();
    let means = GrpoConfig::new().init().unwrap().forward(&batch).unwrap().diagnostics().means;
    let mean = |name| means.mean(name).unwrap();
    let log_ratios = [0.5, -0.1, 0.2];
    let average = |f: fn(f64) -> f64| log_ratios.map(f).iter().sum::<f64>() / 3.0;
    close(&[mean("policy/entropy"), mean("policy/ratio")], &[2.5 / 3.0, average(f64::exp)], 1e-14);
    close(&[mean("policy/approx_kl")], &[average(|x| -x)], 1e-14);
    close(&[mean("policy/approx_kl_k3")], &[average(|x| x.exp() - 1.0 - x)], 1e-14);
    close(&[mean("policy/advantage"), mean("policy/advantage_square")], &[0.0, 2.0], 1e-14);
    assert_eq!((mean("tokens"), mean("frac_empty_rows")), (1.5, 0.0));
}
