//! Statistics of groups.

use accordant_ops::groups::{Ddof, GroupStats, Groups};
use burn::tensor::{Device, Tensor};

use super::{Numbers, mask, noise, vector};

const ITEMS: usize = 40;

/// Sums and what is made of them; their gradients are unique.
fn smooth(stats: &GroupStats, weights: &Tensor<1>) -> super::Outputs {
    vec![
        ("mean", stats.mean()),
        ("weighted mean", stats.weighted_mean(weights.clone()).unwrap()),
        ("std", stats.std(Ddof::One)),
        ("biased std", stats.std(Ddof::Zero)),
        ("centered", stats.centered()),
        ("mean of others", stats.mean_of_others()),
        ("centered on others", stats.centered_on_others()),
    ]
}

fn extremes(stats: &GroupStats) -> super::Outputs {
    vec![("min", stats.min()), ("max", stats.max())]
}

fn add_constants(numbers: &mut Numbers, name: &str, stats: &GroupStats) {
    numbers.add(format!("{name}, count"), &stats.count());
    numbers.add(format!("{name}, max of others"), &stats.max_of_others());
    numbers.add_bools(format!("{name}, is constant"), &stats.is_constant());
    numbers.add(format!("{name}, number of groups"), &stats.num_groups());
    numbers.add(format!("{name}, number of constant groups"), &stats.num_constant_groups());
}

/// Five groups of 7, one of 4 equal members and one of a single one. Under the mask, every fifth item and the whole of
/// group 2 are left out, and are NaN.
pub fn add(numbers: &mut Numbers, device: &Device) {
    let group = |i: usize| match i {
        0..35 => i * 3 % 5,
        35..39 => 5,
        _ => 6,
    };
    let groups = Groups::new(&(0..ITEMS).map(group).collect::<Vec<_>>());
    let mut values = noise(41, ITEMS, -3.0, 5.0);
    values[35..39].fill(1234.567);
    let mut weights = noise(42, ITEMS, 0.0, 2.0);
    (weights[4], weights[36]) = (0.0, 0.0);
    let weights = vector(&weights, device);
    let keep = |i: usize| !i.is_multiple_of(5) && group(i) != 2;
    let hidden = |i: usize| if keep(i) { values[i] } else { f32::NAN };
    let with_nan: Vec<f32> = (0..ITEMS).map(hidden).collect();

    let all = |leaves: &[Tensor<1>]| groups.stats(leaves[0].clone()).unwrap();
    let some = |leaves: &[Tensor<1>]| groups.masked_stats(leaves[0].clone(), mask(device, [ITEMS], keep)).unwrap();
    type Stats<'a> = &'a dyn Fn(&[Tensor<1>]) -> GroupStats;
    let cases: [(&str, &Vec<f32>, Stats); 2] = [("groups", &values, &all), ("masked groups", &with_nan, &some)];
    for (name, values, stats) in cases {
        let inputs = std::slice::from_ref(values);
        numbers.add_outputs(name, device, inputs, |leaves| smooth(&stats(leaves), &weights));
        numbers.add_gradients_apart(name, device, inputs, |leaves| smooth(&stats(leaves), &weights));
        let stats = stats(&numbers.leaves(inputs, device));
        for (part, extreme) in extremes(&stats) {
            numbers.add(format!("{name}, {part}"), &extreme);
        }
        add_constants(numbers, name, &stats);
    }
    // Which of equal members gets the gradient of an extreme is not said: without the constant group.
    let distinct = Groups::new(&(0..35).map(group).collect::<Vec<_>>());
    numbers.add_gradients_apart("groups", device, &[values[..35].to_vec()], |leaves| {
        extremes(&distinct.stats(leaves[0].clone()).unwrap())
    });
    // Far from 0, where a variance by squares has no digit left.
    let far: Vec<f32> = noise(43, 35, 0.0, 1.0).iter().map(|x| 1000.0 + x).collect();
    numbers.add_with_gradients("groups far from 0, std", device, &[far], |leaves| {
        distinct.stats(leaves[0].clone()).unwrap().std(Ddof::One)
    });
}
