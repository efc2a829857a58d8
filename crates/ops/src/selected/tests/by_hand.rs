//! Numbers that can be redone on paper.

use burn::tensor::{Device, Tensor};

use super::*;

#[test]
fn three_tokens_by_hand() {
    // Logits ln [2, 1, 1] have probabilities [1/2, 1/4, 1/4]: lse = ln 4, entropy = 1/2 ln 2 + 1/2 ln 4 = 3/2 ln 2,
    // Σ p² = 3/8, mean logit = ln 2 / 3.
    let ln_2 = 2f64.ln();
    let row = [ln_2, 0.0, 0.0];
    let expected = |logp: f64, top: f64| [logp, 2.0 * ln_2, 1.5 * ln_2, 0.375f64.ln(), top, ln_2 / 3.0];
    let logits = tensor(&row.repeat(2), [2, 3], DType::F64);
    let ids = token_ids(&[0, 2]);
    let from_logits = selected_log_softmax(logits, &ids, 1.0).unwrap();
    // One hidden unit of 1, whose weights are the logits.
    let (ones, weight) = (tensor(&[1.0; 2], [2, 1], DType::F64), tensor(&row, [3, 1], DType::F64));
    let from_hidden = selected_logps(ones, weight, None, &ids, &SelectedOptions::new()).unwrap();
    for run in [outputs(&from_logits), outputs(&from_hidden)] {
        for (i, name) in OUTPUTS.into_iter().enumerate() {
            let expected = [expected(-ln_2, 1.0)[i], expected(-2.0 * ln_2, 0.0)[i]];
            assert_near(run.get(name), &expected, 1e-15, name);
        }
    }
}

#[test]
fn a_temperature_divides_the_logits() {
    let device = Device::flex();
    // Logits [2, 0] at temperature 2 are [1, 0]: log p(0) = 1 - ln(e + 1), lse = ln(e + 1).
    let hidden = Tensor::from_floats([[2.0]], &device);
    let weight = Tensor::from_floats([[1.0], [0.0]], &device);
    let ids = TokenIds::new(&[0], None, &device);
    let options = SelectedOptions::new().with_temperature(2.0);
    let selected = selected_logps(hidden, weight, None, &ids, &options).unwrap();
    let lse = (1f32.exp() + 1.0).ln();
    assert!((selected.lse.into_scalar::<f32>() - lse).abs() < 1e-6);
    assert!((selected.logps.into_scalar::<f32>() - (1.0 - lse)).abs() < 1e-6);
}

#[test]
fn the_gradient_under_a_temperature_is_right_to_the_last_digits() {
    // One hidden unit x, logits [x, 0]/τ: d log p(0)/dx = σ(−x/τ)/τ. A division by τ would lose half the digits.
    let hidden = tensor(&[0.3], [1, 1], DType::F64).require_grad();
    let weight = tensor(&[1.0, 0.0], [2, 1], DType::F64);
    let options = SelectedOptions::new().with_temperature(0.7);
    for form in [selected_logps as Linear, naive::selected_logps] {
        let selected = form(hidden.clone(), weight.clone(), None, &token_ids(&[0]), &options).unwrap();
        let grad = hidden.grad(&selected.logps.backward()).unwrap().into_scalar::<f64>();
        let expected = 1.0 / (1.0 + (0.3f64 / 0.7).exp()) / 0.7;
        assert!((grad / expected - 1.0).abs() < 1e-14, "{grad}");
    }
}

#[test]
fn a_cap_bounds_the_logits_before_the_temperature() {
    // Logits [1, -1] under a cap of 2 and a temperature of 0.5 are ±4 tanh(1/2); a cap after it would give ±2 tanh(1).
    let (hidden, weight) = (tensor(&[1.0], [1, 1], DType::F64), tensor(&[1.0, -1.0], [2, 1], DType::F64));
    let options = SelectedOptions::new().with_temperature(0.5).with_softcap(Some(2.0));
    for form in [selected_logps as Linear, naive::selected_logps] {
        let selected = form(hidden.clone(), weight.clone(), None, &token_ids(&[0]), &options).unwrap();
        let x = 4.0 * 0.5f64.tanh();
        let expected = -(-2.0 * x).exp().ln_1p();
        assert!((selected.logps.into_scalar::<f64>() - expected).abs() < 1e-15);
        assert!((selected.lse.into_scalar::<f64>() - (x - expected)).abs() < 1e-14);
    }
}

#[test]
fn log_probabilities_of_all_ids_sum_to_one() {
    let v = 37;
    let row = noise(11, v);
    let logits = tensor(&row.repeat(v), [v, v], DType::F64);
    let selected = selected_log_softmax(logits, &token_ids(&(0..v as i64).collect::<Vec<_>>()), 0.8).unwrap();
    let logps = host(&selected.logps);
    let expectation = |f: fn(f64) -> f64| logps.iter().map(|x| x.exp() * f(*x)).sum::<f64>();
    assert!((expectation(|_| 1.0) - 1.0).abs() < 1e-14);
    assert!((expectation(|x| -x) - host(&selected.entropy)[0]).abs() < 1e-13);
    assert!((expectation(f64::exp).ln() - host(&selected.log_sum_sq_probs)[0]).abs() < 1e-13);
    let best = logps.iter().fold(f64::MIN, |a, x| a.max(*x));
    let top = selected.is_top1.try_to_vec_as::<bool>().unwrap();
    assert_eq!(top, logps.iter().map(|x| *x == best).collect::<Vec<_>>());
}

#[test]
fn the_first_of_equal_logits_is_the_top_one() {
    // The tie is within a tile, across tiles, and between the last column and the first.
    let logits = [[1.0, 3.0, 3.0, 0.0], [5.0, 1.0, 2.0, 5.0], [0.0, 0.0, 0.0, 0.0]].concat();
    let identity: Vec<f64> = (0..16).map(|i| f64::from(i % 5 == 0)).collect();
    for (ids, expected) in [([1, 0, 0], true), ([2, 3, 3], false)] {
        let ids = token_ids(&ids);
        let direct = selected_log_softmax(tensor(&logits, [3, 4], DType::F32), &ids, 1.0).unwrap();
        assert_eq!(direct.is_top1.try_to_vec_as::<bool>().unwrap(), [expected; 3]);
        for columns in 1..=4 {
            let options = SelectedOptions::new().with_memory(Memory::Tiles { rows: 2, columns });
            let (hidden, weight) = (tensor(&logits, [3, 4], DType::F32), tensor(&identity, [4, 4], DType::F32));
            let streamed = selected_logps(hidden, weight, None, &ids, &options).unwrap();
            assert_eq!(streamed.is_top1.try_to_vec_as::<bool>().unwrap(), [expected; 3], "{columns}");
        }
    }
}
