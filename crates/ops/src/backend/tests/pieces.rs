//! Products into given memory, and what a pass keeps and makes.

use super::super::streamed::{Linear, backward, forward};
use super::*;

/// Every way of lying in memory that a matrix `[rows, columns]` has.
fn layouts(seed: u64, [rows, columns]: [usize; 2], dtype: DType) -> Vec<FloatTensor<Flex>> {
    let of = |shape: [usize; 2]| floats(&noise(seed, shape[0] * shape[1]), shape, dtype);
    let slice = |from: usize, len: usize| burn::tensor::Slice::from(from..from + len);
    vec![
        of([rows, columns]),
        Flex::float_swap_dims(of([columns, rows]), 0, 1),
        Flex::float_slice(of([rows + 2, columns + 3]), &[slice(1, rows), slice(2, columns)]),
        Flex::float_flip(of([rows, columns]), &[0]),
        Flex::float_flip(of([rows, columns]), &[1]),
        Flex::float_expand(of([1, columns]), [rows, columns].into()),
        Flex::float_expand(of([rows, 1]), [rows, columns].into()),
    ]
}

#[test]
fn products_of_matrices_that_lie_anyhow_are_those_of_burn() {
    // f32 sums of 150 numbers below 1, in another order.
    for (dtype, bound) in [(DType::F64, 1e-13), (DType::F32, 2e-5)] {
        let assert_near = |got: &_, expected: &_, context| assert_within(bound, got, expected, context);
        for [m, k, n] in [[1, 1, 1], [3, 5, 2], [17, 9, 33], [130, 140, 150]] {
            for lhs in layouts(5, [m, k], dtype) {
                for rhs in layouts(6, [k, n], dtype) {
                    let expected = Flex::float_matmul(lhs.clone(), rhs.clone());
                    let got = Flex::product(lhs.clone(), rhs.clone(), None, false);
                    assert_near(&got, &expected, "a new one");
                    // Memory of the right size, whose NaN must not count; of another size; and shared with a reader.
                    let stale = floats(&vec![f64::NAN; m * n], [m, n], dtype);
                    let held = stale.clone();
                    let again = Flex::product(lhs.clone(), rhs.clone(), Some(stale), false);
                    assert_near(&again, &expected, "shared memory");
                    assert!(host(&held).iter().all(|x| x.is_nan()));
                    for shape in [[m, n], [n, m + 1]] {
                        let stale = floats(&vec![f64::NAN; shape[0] * shape[1]], shape, dtype);
                        let again = Flex::product(lhs.clone(), rhs.clone(), Some(stale), false);
                        assert_near(&again, &expected, "memory used again");
                    }
                    let sum = Flex::product(lhs.clone(), rhs.clone(), Some(got.clone()), true);
                    assert_near(&sum, &Flex::float_add(got.clone(), expected.clone()), "a sum");
                    assert_near(&got, &expected, "what was summed to");
                }
            }
        }
    }
}

fn small(columns: usize, keeps_logits: bool) -> (Linear<Flex>, Spec) {
    let spec = Spec { inverse_temperature: 1.0, softcap: None, rows: 2, columns, has_bias: true, keeps_logits };
    let [hidden, weight] =
        [(7, [3, 2]), (8, [5, 2])].map(|(seed, shape)| floats(&noise(seed, 10)[..shape[0] * 2], shape, DType::F32));
    (Linear::new(hidden, weight, floats(&noise(9, 5), [1, 5], DType::F32), ints(&[0, 4, 2]), &spec), spec)
}

#[test]
fn logits_are_kept_for_a_backward_pass_and_by_a_plan_that_has_room() {
    for (plan, tracked) in [(false, false), (false, true), (true, false), (true, true)] {
        let (linear, spec) = small(3, plan);
        let (_, kept) = forward(&linear, &spec, tracked);
        assert_eq!(kept.map(|logits| logits.shape()), (plan && tracked).then(|| [3, 5].into()));
    }
}

#[test]
fn no_gradient_is_made_that_is_not_wanted() {
    for keep in [false, true] {
        let (linear, spec) = small(3, keep);
        let grads = floats(&noise(10, streamed::OUTPUT * 3), [streamed::OUTPUT, 3], DType::F32);
        let run = |wanted| {
            let (output, kept) = forward(&linear, &spec, true);
            backward(&linear, &spec, kept, output, grads.clone(), wanted)
        };
        let all = run([true; 3]).map(|grad| host(&grad.unwrap()));
        for which in 0..8 {
            let wanted = [0, 1, 2].map(|i| which >> i & 1 == 1);
            for ((found, all), wanted) in run(wanted).into_iter().zip(&all).zip(wanted) {
                assert_eq!(found.map(|grad| host(&grad)), wanted.then(|| all.clone()));
            }
        }
    }
}
