//! What all surrogates have in common, and the parts that their tests share.

use accordant_ops::{TokenLogps, reduce::Aggregation, stable::LOG_RATIO_CLAMP};
use burn::tensor::{Bool, DType, Tensor};

use super::{Surrogate, Tokens, build, clip::ClipConfig, methods};
pub(crate) use crate::rollout::tests::close;
use crate::{
    Options,
    rollout::{
        RatioLevel, RolloutBatch,
        tests::{device, host, mask, matrix},
    },
};

/// Losses of the tokens and the gradient of their sum, with ratios of tokens; both 0 behind the mask.
pub(crate) fn losses_and_slopes(
    surrogate: &dyn Surrogate,
    policy: Tensor<2>,
    old: Tensor<2>,
    mask: Tensor<2, Bool>,
    advantages: Tensor<2>,
) -> (Vec<f64>, Vec<f64>) {
    let policy = policy.detach().require_grad();
    let batch = RolloutBatch::new(TokenLogps::new(policy.clone(), mask.clone()).unwrap(), advantages).unwrap();
    let batch = batch.with_old(old).unwrap();
    let log_ratios = RatioLevel::Token.log_ratios(&batch, Some(LOG_RATIO_CLAMP), "test").unwrap();
    let tokens = Tokens::new(&batch, log_ratios, mask.clone());
    let losses = surrogate.losses(&tokens).unwrap().mask_fill(mask.bool_not(), 0.0);
    let grads = (losses.clone().sum() + policy.clone().sum() * 0.0).backward();
    (host(losses), host(policy.grad(&grads).unwrap()))
}

/// Loss and slope of a token with this log-probability and this log-ratio.
pub(crate) fn token(surrogate: &dyn Surrogate, logp: f64, log_ratio: f64, advantage: f64) -> (f64, f64) {
    let one = |value: f64| matrix([[value]]);
    let (losses, slopes) =
        losses_and_slopes(surrogate, one(logp), one(logp - log_ratio), mask([[true]]), one(advantage));
    (losses[0], slopes[0])
}

/// Losses and slopes of the three tokens of a response with these log-ratios.
pub(crate) fn row(surrogate: &dyn Surrogate, log_ratios: [f64; 3], advantage: f64) -> (Vec<f64>, Vec<f64>) {
    let policy = [-1.0, -2.0, -0.5];
    let old = [0, 1, 2].map(|at| policy[at] - log_ratios[at]);
    losses_and_slopes(surrogate, matrix([policy]), matrix([old]), mask([[true; 3]]), matrix([[advantage; 3]]))
}

fn all() -> impl Iterator<Item = Box<dyn Surrogate>> {
    methods().iter().map(|method| build(method.name, &Options::new()).expect(method.name))
}

#[test]
fn on_policy_the_gradient_is_that_of_the_advantages_times_logps() {
    for surrogate in all() {
        for advantage in [1.5, -0.5, 0.0] {
            let (_, slopes) = row(surrogate.as_ref(), [0.0; 3], advantage);
            close(&slopes, &[-advantage; 3], 1e-15);
        }
    }
}

#[test]
fn on_policy_the_value_is_the_ones_stated() {
    for (names, value) in [
        (&["clip", "clip_cov", "gmpo", "importance", "kl_cov"][..], [-1.5; 3]),
        (&["cispo", "reinforce", "vespo"], [1.5, 3.0, 0.75]),
        (&["sapo"], [-3.0; 3]),
        (&["joint"], [0.0; 3]),
    ] {
        for name in names {
            let surrogate = build(name, &Options::new()).unwrap();
            close(&row(surrogate.as_ref(), [0.0; 3], 1.5).0, &value, 1e-15);
        }
    }
}

#[test]
fn extreme_ratios_stay_finite() {
    for surrogate in all() {
        for extreme in [1e4, -1e4] {
            for advantage in [2.0, -2.0] {
                let (losses, slopes) = row(surrogate.as_ref(), [extreme, 0.1, -extreme], advantage);
                assert!(losses.iter().chain(&slopes).all(|value| value.is_finite()), "{surrogate:?} {losses:?}");
            }
        }
    }
}

#[test]
fn what_is_behind_the_mask_reaches_nothing() {
    for surrogate in all() {
        let run = |behind: f64| {
            losses_and_slopes(
                surrogate.as_ref(),
                matrix([[-1.0, -2.0, behind], [behind, behind, behind]]),
                matrix([[-1.1, -2.3, behind], [behind, behind, behind]]),
                mask([[true, true, false], [false, false, false]]),
                matrix([[1.0, 1.0, behind], [behind, behind, behind]]),
            )
        };
        let (losses, slopes) = run(f64::NAN);
        assert_eq!((losses.clone(), slopes.clone()), run(3.0), "{surrogate:?}");
        assert!(losses.iter().chain(&slopes).all(|value| value.is_finite()), "{surrogate:?}");
        assert_eq!(losses[2..], [0.0; 4]);
        assert_eq!(slopes[2..], [0.0; 4]);
    }
}

#[test]
fn only_the_policy_gets_a_gradient() {
    for surrogate in all() {
        let tracked = || matrix([[0.3, -0.2]]).require_grad();
        let (logps, advantages, mismatch) = (tracked(), tracked(), tracked());
        let mask = mask([[true, true]]);
        let tokens = Tokens {
            log_ratios: logps.clone() * 0.5,
            old: logps.clone().detach() * 0.5,
            logps: logps.clone(),
            mismatch: Some(mismatch.clone()),
            row_mismatch: None,
            advantages: advantages.clone(),
            mask: mask.clone(),
            learned: mask,
        };
        let grads = surrogate.losses(&tokens).unwrap().sum().backward();
        assert!(logps.grad(&grads).is_some(), "{surrogate:?}");
        assert!(advantages.grad(&grads).is_none() && mismatch.grad(&grads).is_none(), "{surrogate:?}");
    }
}

#[test]
fn the_golden_values_of_the_clip() {
    let clip = ClipConfig::new().init().unwrap();
    close(&[token(&clip, -1.0, 0.3, 1.0).0], &[-1.2], 1e-15);
    close(&[token(&clip, -1.0, 0.3, -1.0).0], &[1.349858808], 1e-9);
    let dual = ClipConfig::new().with_dual_clip(Some(3.0)).init().unwrap();
    let (loss, slope) = token(&dual, -1.0, 2.0, -1.0);
    assert_eq!((loss, slope), (3.0, 0.0));
    // Gains and small ratios are as without it.
    assert_eq!(token(&dual, -1.0, 2.0, 1.0), token(&clip, -1.0, 2.0, 1.0));
    assert_eq!(token(&dual, -1.0, 1.0, -1.0), token(&clip, -1.0, 1.0, -1.0));
    assert_eq!(token(&dual, -1.0, -1.0, -1.0), token(&clip, -1.0, -1.0, -1.0));
}

#[test]
fn the_unclipped_ratio_alone_has_the_upper_bound_of_two_sided_clipping() {
    let clip = ClipConfig::new().with_ratio_max(Some(1.5)).init().unwrap();
    let slopes_at = |ratio: f64, advantage: f64| token(&clip, -1.0, ratio.ln(), advantage);
    close(&[slopes_at(4.0, -2.0).0, slopes_at(4.0, -2.0).1], &[3.0, 0.0], 1e-14);
    close(&[slopes_at(1.4, -2.0).0, slopes_at(1.4, -2.0).1], &[2.8, 2.8], 1e-14);
    close(&[slopes_at(4.0, 2.0).0, slopes_at(4.0, 2.0).1], &[-2.4, 0.0], 1e-14);
}

#[test]
fn a_clip_ends_the_gradient_on_the_advantages_side_alone() {
    let clip = ClipConfig::new().with_clip_low(0.3).with_clip_high(0.5).init().unwrap();
    for (ratio, advantage, is_clipped) in [
        (1.51f64, 1.0, true),
        (1.49, 1.0, false),
        (0.1, 1.0, false),
        (0.69, -1.0, true),
        (0.71, -1.0, false),
        (9.0, -1.0, false),
    ] {
        let (loss, slope) = token(&clip, -1.0, ratio.ln(), advantage);
        assert_eq!(slope == 0.0, is_clipped, "{ratio} {advantage}");
        assert_eq!(clip.clipped(ratio.ln(), advantage).is_some(), is_clipped, "{ratio} {advantage}");
        assert!(loss >= -advantage * ratio - 1e-15, "the bound is pessimistic");
    }
    assert_eq!((clip.clipped(9.0, 0.0), clip.clipped(-9.0, 0.0)), (None, None));
    let dual = ClipConfig::new().with_dual_clip(Some(3.0)).init().unwrap();
    assert_eq!(dual.clipped(3.1f64.ln(), -1.0), Some(super::Clipped::Dual));
    assert_eq!(dual.clipped(2.9f64.ln(), -1.0), None);
    assert_eq!(dual.clipped(3.1f64.ln(), 1.0), Some(super::Clipped::High));
    assert_eq!(dual.clipped(3.1f64.ln(), 0.0), None);
}

#[test]
fn settings_of_the_clip_are_checked() {
    let config = ClipConfig::new();
    assert_eq!((config.clip_low, config.clip_high, config.ratio_max, config.dual_clip), (0.2, 0.2, None, None));
    for (config, expected) in [
        (config.clone().with_clip_low(1.1), "`clip_low`: expected in [0, 1], got 1.1"),
        (config.clone().with_clip_low(f64::NAN), "`clip_low`: expected in [0, 1], got NaN"),
        (config.clone().with_clip_high(-0.1), "`clip_high`: expected finite and >= 0, got -0.1"),
        (config.clone().with_clip_high(f64::INFINITY), "`clip_high`: expected finite and >= 0, got inf"),
        (config.clone().with_ratio_max(Some(1.2)), "`ratio_max`: expected finite and > 1 + clip_high, got 1.2"),
        (
            config.clone().with_ratio_max(Some(f64::INFINITY)),
            "`ratio_max`: expected finite and > 1 + clip_high, got inf",
        ),
        (config.clone().with_dual_clip(Some(1.0)), "`dual_clip`: expected finite and > 1, got 1"),
        (config.clone().with_dual_clip(Some(f64::NAN)), "`dual_clip`: expected finite and > 1, got NaN"),
    ] {
        assert_eq!(config.init().unwrap_err().to_string(), expected);
    }
    assert!(config.clone().with_clip_low(1.0).with_clip_high(0.0).with_ratio_max(Some(1.1)).init().is_ok());
}

#[test]
fn mismatched_shapes_and_dtypes_are_errors() {
    let clip = ClipConfig::new();
    let error = super::clip::clip_losses(matrix([[0.0, 0.0]]), matrix([[0.0]]), &clip).unwrap_err().to_string();
    assert_eq!(error, "`advantages`: expected shape [1, 2], got [1, 1]");
    let narrow = matrix([[0.0, 0.0]]).cast(burn::tensor::FloatDType::F32);
    let error = super::clip::clip_losses(matrix([[0.0, 0.0]]), narrow, &clip).unwrap_err().to_string();
    assert!(error.starts_with("`advantages`"), "{error}");
}

#[test]
fn every_surrogate_has_the_name_of_its_file_and_takes_its_level() {
    for (surrogate, method) in all().zip(methods()) {
        assert_eq!(surrogate.name(), method.name);
        let level = if method.name == "joint" { RatioLevel::Group } else { RatioLevel::Token };
        assert!(surrogate.check(level, Aggregation::SequenceMean).is_ok());
        assert_eq!(surrogate.is_of_rows(), method.name == "gmpo");
        assert_eq!(surrogate.corrects_mismatch(), method.name == "vespo");
    }
}

#[test]
fn no_rows_and_no_columns_are_no_losses() {
    for shape in [[2, 0], [0, 2]] {
        let empty = Tensor::<2>::zeros(shape, (&device(), DType::F64));
        for surrogate in all() {
            let mask = empty.clone().equal_scalar(1.0);
            let [policy, old, advantages] = [(); 3].map(|()| empty.clone());
            assert_eq!(losses_and_slopes(surrogate.as_ref(), policy, old, mask, advantages), (vec![], vec![]));
        }
    }
}
