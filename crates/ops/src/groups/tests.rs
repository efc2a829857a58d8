use std::hash::Hash;

use burn::tensor::{Bool, DType, Device, Tensor, TensorData};

use super::{Ddof, GroupStats, Groups};
use crate::Error;
use crate::stable::testing::*;

/// Interleaved groups of 3, 2 and 1.
const IDS: [u64; 6] = [5, 9, 5, 2, 9, 5];
const REWARDS: [f64; 6] = [1.0, 4.0, 3.0, 7.0, 4.0, 8.0];

type Statistic = fn(&GroupStats) -> Tensor<1>;
const ALL: [Statistic; 11] = [
    GroupStats::count,
    GroupStats::mean,
    |stats| stats.weighted_mean(stats.mean().ones_like()).unwrap(),
    |stats| stats.std(Ddof::One),
    |stats| stats.std(Ddof::Zero),
    GroupStats::min,
    GroupStats::max,
    GroupStats::centered,
    GroupStats::mean_of_others,
    GroupStats::max_of_others,
    GroupStats::centered_on_others,
];

fn of<I: Eq + Hash>(ids: &[I], values: &[f64], f: Statistic) -> Vec<f64> {
    host(f(&Groups::new(ids).stats(tracked(values)).unwrap()))
}

fn keep(mask: &[bool]) -> Tensor<1, Bool> {
    Tensor::from_bool(TensorData::new(mask.to_vec(), [mask.len()]), &Device::flex().autodiff())
}

fn bools(mask: Tensor<1, Bool>) -> Vec<bool> {
    mask.into_data().convert::<bool>().try_to_vec().unwrap()
}

#[test]
fn statistics_by_hand() {
    let at = |f| of(&IDS, &REWARDS, f);
    assert_eq!(at(GroupStats::count), [3.0, 2.0, 3.0, 1.0, 2.0, 3.0]);
    assert_eq!(at(GroupStats::mean), [4.0, 4.0, 4.0, 7.0, 4.0, 4.0]);
    assert_eq!(at(GroupStats::min), [1.0, 4.0, 1.0, 7.0, 4.0, 1.0]);
    assert_eq!(at(GroupStats::max), [8.0, 4.0, 8.0, 7.0, 4.0, 8.0]);
    assert_eq!(at(GroupStats::centered), [-3.0, 0.0, -1.0, 0.0, 0.0, 4.0]);
    // Deviations -3, -1 and 4: 26 over 2 or 3. Equal values have 0, a lone one 1.
    let (one, zero) = (13f64.sqrt(), (26f64 / 3.0).sqrt());
    assert_close(&at(|stats| stats.std(Ddof::One)), &[one, 0.0, one, 1.0, 0.0, one], 1e-15);
    assert_close(&at(|stats| stats.std(Ddof::Zero)), &[zero, 0.0, zero, 1.0, 0.0, zero], 1e-15);
    assert_eq!(at(GroupStats::mean_of_others), [5.5, 4.0, 4.5, 0.0, 4.0, 2.0]);
    assert_eq!(at(GroupStats::centered_on_others), [-4.5, 0.0, -1.5, 0.0, 0.0, 6.0]);
    assert_eq!(at(GroupStats::max_of_others), [8.0, 4.0, 8.0, 0.0, 4.0, 3.0]);
    let stats = Groups::new(&IDS).stats(tracked(&REWARDS)).unwrap();
    // Lengths 1, 1, 2, 1, 3, 5: (1 + 6 + 40) / 8.
    let mean = host(stats.weighted_mean(tracked(&[1.0, 1.0, 2.0, 1.0, 3.0, 5.0])).unwrap());
    assert_eq!(mean, [5.875, 4.0, 5.875, 7.0, 4.0, 5.875]);
    assert_eq!(bools(stats.is_constant()), [false, true, false, true, true, false]);
    assert_eq!((host(stats.num_groups()), host(stats.num_constant_groups())), (vec![3.0], vec![2.0]));
}

#[test]
fn permuted_items_have_permuted_statistics_and_labels_mean_nothing() {
    let order = [3, 5, 0, 4, 2, 1];
    let (ids, values) = (order.map(|i| IDS[i]), order.map(|i| REWARDS[i]));
    let names = IDS.map(|id| format!("prompt {}", 100 - id));
    for f in ALL {
        let expected = of(&IDS, &REWARDS, f);
        assert_close(&of(&ids, &values, f), &order.map(|i| expected[i]), 1e-15);
        assert_eq!(of(&names, &REWARDS, f), expected);
    }
}

#[test]
fn whole_groups_apart_are_as_all_at_once() {
    for f in ALL {
        let whole = of(&IDS, &REWARDS, f);
        for id in [5, 9, 2] {
            let members: Vec<usize> = (0..6).filter(|&i| IDS[i] == id).collect();
            let values: Vec<f64> = members.iter().map(|&i| REWARDS[i]).collect();
            let expected: Vec<f64> = members.iter().map(|&i| whole[i]).collect();
            assert_eq!(of(&vec![id; members.len()], &values, f), expected);
        }
    }
}

#[test]
fn equal_f32_rewards_have_exactly_no_variance() {
    // Their sum rounds, and so would their mean.
    for (count, reward) in [(49, 1234.567), (1000, 10.1), (7, 0.1), (3, -12_345.678)] {
        let groups = Groups::new(&vec![0; count]);
        let stats = groups.stats(Tensor::full([count], reward, &Device::flex())).unwrap();
        assert_eq!(host(stats.std(Ddof::One)), vec![0.0; count]);
        assert_eq!(host(stats.centered()), vec![0.0; count]);
        assert_eq!(host(stats.mean())[0], f64::from(reward as f32));
        assert!(bools(stats.is_constant()).iter().all(|constant| *constant));
    }
    // Rounding of f64 sums is not a difference: 0.1 + 0.2 is 5e-17 above 0.3.
    let stats = Groups::new(&[1, 1]).stats(tracked(&[0.1 + 0.2, 0.3])).unwrap();
    assert_eq!(bools(stats.is_constant()), [true, true]);
}

#[test]
fn f32_rewards_that_were_summed_in_another_order_are_equal() {
    let sums = [[0.3f32, 1.0, 1.0], [0.6, 0.8, 0.9]].map(|[a, b, c]| a + b + c);
    assert!(sums[0] != sums[1], "{sums:?} are no example");
    let constant = |values: &[f32]| {
        let stats = Groups::new(&vec![0; values.len()]).stats(Tensor::from_floats(values, &Device::flex())).unwrap();
        bools(stats.is_constant())[0]
    };
    assert!(constant(&sums));
    // Four units in the last place of 1, and of the mean where that is larger.
    assert!(constant(&[1.0, 1.0 + 3.0 * f32::EPSILON]) && !constant(&[1.0, 1.0 + 5.0 * f32::EPSILON]));
    assert!(constant(&[-1024.0, -1024.0 - 3.0 / 8192.0]) && !constant(&[-1024.0, -1024.0 - 5.0 / 8192.0]));
    assert!(constant(&[1e-8, 4e-7]) && !constant(&[1e-8, 6e-7]));
}

#[test]
fn nothing_leaks_from_behind_the_mask() {
    let (nan, inf) = (f64::NAN, f64::INFINITY);
    let values = [1.0, nan, 3.0, inf, -inf, nan];
    let mask = [true, false, true, false, false, false];
    let groups = Groups::new(&IDS);
    for f in ALL {
        let (_, gradient) = value_and_grad(&values, |x| {
            let statistic = f(&groups.masked_stats(x.clone(), keep(&mask)).unwrap());
            // Counts and the largest of the others have no gradient of their own.
            statistic + x.mask_fill(keep(&mask).bool_not(), 0.0)
        });
        for i in 0..6 {
            assert!(gradient[i].is_finite() && (mask[i] || gradient[i] == 0.0), "{gradient:?}");
        }
    }
    let stats = groups.masked_stats(tracked(&values), keep(&mask)).unwrap();
    // The sixth item is not kept and hears of the kept ones; nothing is kept of the groups 9 and 2.
    assert_eq!(host(stats.count()), [2.0, 0.0, 2.0, 0.0, 0.0, 2.0]);
    assert_eq!(host(stats.mean()), [2.0, 0.0, 2.0, 0.0, 0.0, 2.0]);
    assert_eq!(host(stats.min()), [1.0, 0.0, 1.0, 0.0, 0.0, 1.0]);
    assert_eq!(host(stats.max()), [3.0, 0.0, 3.0, 0.0, 0.0, 3.0]);
    assert_eq!(host(stats.std(Ddof::Zero)), [1.0; 6]);
    assert_eq!(host(stats.centered()), [-1.0, 0.0, 1.0, 0.0, 0.0, 0.0]);
    assert_eq!(host(stats.mean_of_others()), [3.0, 0.0, 1.0, 0.0, 0.0, 2.0]);
    assert_eq!(host(stats.centered_on_others()), [-2.0, 0.0, 2.0, 0.0, 0.0, 0.0]);
    assert_eq!(host(stats.max_of_others()), [3.0, 0.0, 1.0, 0.0, 0.0, 3.0]);
    assert_eq!((host(stats.num_groups()), host(stats.num_constant_groups())), (vec![1.0], vec![0.0]));
}

#[test]
fn a_kept_nan_spoils_its_own_group_only() {
    let values = [1.0, f64::NAN, 3.0, 7.0, 4.0, 8.0];
    for f in [ALL[1], ALL[3], ALL[7], ALL[10]] {
        let nan: Vec<bool> = of(&IDS, &values, f).iter().map(|x| x.is_nan()).collect();
        assert_eq!(nan, [false, true, false, false, true, false]);
    }
    let stats = Groups::new(&IDS).stats(tracked(&values)).unwrap();
    let weights = tracked(&[1.0, 0.0, 1.0, 0.0, 1.0, 0.0]);
    assert_eq!(host(stats.weighted_mean(weights).unwrap()), [2.0, 4.0, 2.0, 0.0, 4.0, 2.0]);
}

#[test]
fn gradients_are_those_of_finite_differences() {
    let groups = Groups::new(&IDS);
    let (mask, weights) = (keep(&[true, true, true, true, true, false]), [0.5, -1.0, 2.0, 1.0, 3.0, -0.7]);
    let at = [0.3, -1.0, 2.0, 0.7, 1.1, -0.4];
    for f in [ALL[1], ALL[2], ALL[3], ALL[4], ALL[5], ALL[6], ALL[7], ALL[8], ALL[10]] {
        assert_gradient(&at, |x| f(&groups.stats(x).unwrap()) * tracked(&weights).detach());
        assert_gradient(&at, |x| f(&groups.masked_stats(x, mask.clone()).unwrap()) * tracked(&weights).detach());
    }
    let (_, gradient) = value_and_grad(&[2.0, 2.0], |x| Groups::new(&[1, 1]).stats(x).unwrap().std(Ddof::One));
    assert_eq!(gradient, [0.0, 0.0]);
}

#[test]
fn half_precision_is_counted_and_summed_in_f32() {
    for dtype in [DType::F16, DType::BF16] {
        let ones = Tensor::<1>::from_data(TensorData::from([1.0; 3001]), (&Device::flex(), dtype));
        let stats = Groups::new(&[0; 3001]).stats(ones).unwrap();
        assert_eq!(stats.mean().dtype(), DType::F32);
        assert_eq!((host(stats.count())[7], host(stats.mean())[7]), (3001.0, 1.0));
        let weights = Tensor::<1>::from_data(TensorData::from([2.0; 3001]), (&Device::flex(), dtype));
        assert_eq!(host(stats.weighted_mean(weights).unwrap())[0], 1.0);
    }
}

#[test]
fn an_empty_batch_has_empty_statistics() {
    let groups = Groups::new::<u64>(&[]);
    for f in ALL {
        let stats = groups.stats(tracked(&[])).unwrap();
        assert_eq!(value_and_grad(&[], |x| f(&groups.stats(x.clone()).unwrap()) + x), (vec![], vec![]));
        assert_eq!(stats.is_constant().dims(), [0]);
        assert_eq!((host(stats.num_groups()), host(stats.num_constant_groups())), (vec![0.0], vec![0.0]));
    }
    assert!(groups.is_empty() && groups.sizes().is_empty());
}

#[test]
fn a_value_that_would_broadcast_is_an_error() {
    let groups = Groups::new(&IDS);
    let error = |name| Error::ShapeMismatch { name, expected: vec![6], got: vec![1] };
    assert_eq!(groups.stats(tracked(&[1.0])).unwrap_err(), error("values"));
    assert_eq!(groups.masked_stats(tracked(&REWARDS), keep(&[true])).unwrap_err(), error("mask"));
    let stats = groups.stats(tracked(&REWARDS)).unwrap();
    assert_eq!(stats.weighted_mean(tracked(&[1.0])).unwrap_err(), error("weights"));
}
