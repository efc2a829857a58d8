//! Gradients against central differences, in f64.

use super::*;
use crate::stable::testing::assert_gradient;

/// The differentiable outputs under random weights, one number.
fn weighted(selected: &SelectedLogps) -> Tensor<1> {
    loss(selected, &[21, 22, 23, 24].map(|seed| Some(noise(seed, selected.logps.dims()[0]))))
}

/// One output at a time, then all of them: a mistake in one coefficient must not hide behind another.
fn each_alone_and_all(selected: &SelectedLogps) -> Tensor<1> {
    let n = selected.logps.dims()[0];
    let alone = |i: usize| std::array::from_fn(|j| (i == j).then(|| noise(25 + i as u64, n)));
    Tensor::cat((0..4).map(|i| loss(selected, &alone(i))).chain([weighted(selected)]).collect(), 0)
}

#[test]
fn the_streamed_gradient_is_the_slope() {
    let [n, h, v] = [3, 2, 5];
    let case = Case::new(n, h, v);
    let at = [case.hidden, case.weight, case.bias.unwrap()].concat();
    let ids = token_ids(&[4, ids::IGNORE_ID, 0]);
    for softcap in [None, Some(2.0)] {
        for memory in [Memory::Auto, Memory::Tiles { rows: 1, columns: 2 }] {
            let options = SelectedOptions { temperature: 0.8, softcap, memory };
            assert_gradient(&at, |x| {
                let part = |from: usize, len: usize| x.clone().narrow(0, from, len);
                let (hidden, weight) = (part(0, n * h).reshape([n, h]), part(n * h, v * h).reshape([v, h]));
                let bias = part((n + v) * h, v);
                weighted(&selected_logps(hidden, weight, Some(bias), &ids, &options).unwrap())
            });
        }
    }
}

#[test]
fn the_streamed_gradient_beside_absent_tokens_is_the_slope() {
    // Tokens 1 and 4 have a bias of −∞.
    let [n, h, v] = [2, 2, 6];
    let bias = [0.3, f64::NEG_INFINITY, -0.2, 0.5, f64::NEG_INFINITY, 0.1];
    let case = Case::new(n, h, v);
    for memory in [Memory::Auto, Memory::Tiles { rows: 1, columns: 2 }, Memory::Tiles { rows: 2, columns: 1 }] {
        let options = SelectedOptions::new().with_memory(memory);
        assert_gradient(&[&case.hidden[..], &case.weight].concat(), |x| {
            let hidden = x.clone().narrow(0, 0, n * h).reshape([n, h]);
            let weight = x.narrow(0, n * h, v * h).reshape([v, h]);
            let bias = Some(tensor(&bias, [v], DType::F64));
            each_alone_and_all(&selected_logps(hidden, weight, bias, &token_ids(&[0, 3]), &options).unwrap())
        });
    }
}

type Rows = fn(Tensor<2>, &TokenIds, f64) -> Result<SelectedLogps>;

#[test]
fn the_gradient_of_logits_is_the_slope() {
    for form in [selected_log_softmax as Rows, naive::selected_log_softmax] {
        assert_gradient(&noise(31, 15), |x| {
            each_alone_and_all(&form(x.reshape([3, 5]), &token_ids(&[2, 0, 4]), 1.3).unwrap())
        });
    }
}

#[test]
fn the_gradient_of_logits_beside_absent_tokens_is_the_slope() {
    // Columns −∞, x0, −∞, x1, x2: entropy and log Σ p² over three tokens.
    for form in [selected_log_softmax as Rows, naive::selected_log_softmax] {
        assert_gradient(&noise(32, 6), |x| {
            let x = x.reshape([2, 3]);
            let absent = tensor(&[f64::NEG_INFINITY; 2], [2, 1], DType::F64);
            let columns = vec![absent.clone(), x.clone().narrow(1, 0, 1), absent, x.narrow(1, 1, 2)];
            each_alone_and_all(&form(Tensor::cat(columns, 1), &token_ids(&[1, 4]), 0.7).unwrap())
        });
    }
}

type Divergence = fn(Tensor<2>, Tensor<2>, f64, KlDirection) -> Result<Tensor<1>>;

#[test]
fn the_gradient_of_a_divergence_is_the_slope() {
    let weights = noise(35, 3);
    for form in [kl_logits as Divergence, naive::kl_logits] {
        for direction in [KlDirection::Reverse, KlDirection::Forward] {
            assert_gradient(&noise(33, 15), |x| {
                let reference = tensor(&noise(34, 15), [3, 5], DType::F64);
                let kl = form(x.reshape([3, 5]), reference, 0.9, direction).unwrap();
                kl * tensor(&weights, [3], DType::F64)
            });
        }
    }
}

#[test]
fn the_gradient_of_a_divergence_beside_absent_tokens_is_the_slope() {
    // Token 1 is absent from both; where it is absent from one only, it is the one that is averaged over.
    let absent = || tensor(&[f64::NEG_INFINITY; 2], [2, 1], DType::F64);
    let reference = || tensor(&noise(36, 8), [2, 4], DType::F64);
    for form in [kl_logits as Divergence, naive::kl_logits] {
        for direction in [KlDirection::Reverse, KlDirection::Forward] {
            assert_gradient(&noise(37, 6), |x| {
                let x = x.reshape([2, 3]);
                let policy = Tensor::cat(vec![x.clone().narrow(1, 0, 1), absent(), x.narrow(1, 1, 2)], 1);
                let reference = reference().slice_assign([0..2, 1..2], absent());
                form(policy, reference, 1.1, direction).unwrap()
            });
        }
        assert_gradient(&noise(38, 6), |x| {
            let policy = Tensor::cat(vec![x.reshape([2, 3]), absent()], 1);
            form(policy, reference(), 1.1, KlDirection::Reverse).unwrap()
        });
        assert_gradient(&noise(39, 8), |x| {
            let reference = reference().slice_assign([0..2, 2..3], absent());
            form(x.reshape([2, 4]), reference, 1.1, KlDirection::Forward).unwrap()
        });
    }
}
