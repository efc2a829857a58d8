//! Streamed, kept and naive give the same values and gradients.

use super::*;

/// Of the largest number of each output and gradient.
const F64_BOUND: f64 = 1e-12;

/// The rounding of f32 is 6e-8; sums of 1531 products, and of tiles, add some.
const F32_BOUND: f64 = 4e-6;

fn variants(case: &Case) -> Vec<(String, Case)> {
    let mut variants = Vec::new();
    for temperature in [1.0, 0.7] {
        for softcap in [None, Some(1.5)] {
            for bias in [true, false] {
                let mut case = case.clone();
                (case.options.temperature, case.options.softcap) = (temperature, softcap);
                case.bias = case.bias.filter(|_| bias);
                variants.push((format!("temperature {temperature}, cap {softcap:?}, bias {bias}"), case));
            }
        }
    }
    variants
}

#[test]
fn tiles_of_every_size_give_the_naive_numbers() {
    let (n, v) = (4, 6);
    for (name, case) in variants(&Case::new(n, 3, v)) {
        let expected = case.naive();
        for rows in 1..=n {
            for columns in 1..=v {
                let memory = Memory::Tiles { rows, columns };
                let got = case.clone().with_memory(memory).streamed();
                got.assert_near(&expected, F64_BOUND, &format!("{name}, {memory:?}"));
            }
        }
    }
}

/// Budgets that keep all logits, cut them into tiles that do not divide the matrix, and allow for one logit.
fn memories([n, _, v]: [usize; 3]) -> [Memory; 4] {
    [
        Memory::Budget(8 * n * v),
        Memory::Tiles { rows: 16, columns: 100 },
        Memory::Tiles { rows: n, columns: 1024 },
        Memory::Tiles { rows: 5, columns: v },
    ]
}

#[test]
fn an_odd_matrix_gives_the_naive_numbers_in_f64() {
    for (name, case) in variants(&Case::new(37, 19, 1531)) {
        let expected = case.naive();
        for memory in memories(case.dims) {
            let got = case.clone().with_memory(memory).streamed();
            got.assert_near(&expected, F64_BOUND, &format!("{name}, {memory:?}"));
        }
    }
}

#[test]
fn f32_stays_near_f64_in_every_form() {
    for (name, mut case) in variants(&Case::new(37, 19, 1531).rounded(DType::F32)) {
        let expected = case.naive();
        case.dtype = DType::F32;
        case.naive().assert_near(&expected, F32_BOUND, &format!("{name}, naive"));
        for memory in memories(case.dims) {
            let got = case.clone().with_memory(memory).streamed();
            got.assert_near(&expected, F32_BOUND, &format!("{name}, {memory:?}"));
        }
    }
}

#[test]
fn each_output_alone_has_its_own_gradient() {
    let case = Case::new(5, 3, 11);
    for (only, name) in OUTPUTS.into_iter().enumerate().take(4) {
        let mut case = case.clone();
        for (i, weights) in case.upstream.iter_mut().enumerate() {
            *weights = weights.take().filter(|_| i == only);
        }
        let expected = case.naive();
        for memory in [Memory::Auto, Memory::Tiles { rows: 2, columns: 4 }] {
            let got = case.clone().with_memory(memory).streamed();
            got.assert_near(&expected, F64_BOUND, &format!("{name} {memory:?}"));
        }
    }
}

#[test]
fn ignored_rows_are_zero_and_the_others_are_what_they_are_alone() {
    let mut case = Case::new(5, 3, 7).with_memory(Memory::Tiles { rows: 2, columns: 3 });
    for row in [0, 3] {
        case.ids[row] = ids::IGNORE_ID;
    }
    let (got, expected) = (case.streamed(), case.naive());
    got.assert_near(&expected, F64_BOUND, "ignored rows");
    let kept = [1, 2, 4];
    let pick = |values: &[f64], width: usize| -> Vec<f64> {
        kept.iter().flat_map(|row| values[row * width..][..width].to_vec()).collect()
    };
    let mut alone = case.clone();
    alone.dims[0] = kept.len();
    alone.hidden = pick(&case.hidden, 3);
    alone.ids = kept.map(|row| case.ids[row]).to_vec();
    alone.upstream = case.upstream.map(|weights| weights.map(|weights| pick(&weights, 1)));
    let alone = alone.streamed();
    for name in OUTPUTS {
        assert_eq!(pick(got.get(name), 1), alone.get(name), "{name}");
        assert_eq!([got.get(name)[0], got.get(name)[3]], [0.0; 2], "{name}");
    }
    assert_eq!(pick(got.get("hidden"), 3), alone.get("hidden"));
    assert_eq!(got.get("hidden")[..3], [0.0; 3]);
    assert_eq!(got.get("hidden")[9..12], [0.0; 3]);
    for name in ["weight", "bias"] {
        assert_eq!(got.get(name), alone.get(name), "{name}");
    }
}

#[test]
fn rows_of_logits_give_the_naive_numbers() {
    for (n, v) in [(1, 1), (3, 2), (4, 15), (4, 16), (5, 17), (3, 1024), (2, 1025), (7, 3001)] {
        for temperature in [1.0, 0.6] {
            let upstream = [4, 5, 6, 8].map(|seed| Some(noise(seed, n)));
            let values: Vec<f64> = noise(9, n * v).into_iter().map(|x| 3.0 * x).collect();
            let run = |form: fn(Tensor<2>, &TokenIds, f64) -> Result<SelectedLogps>, dtype| {
                // The rounded numbers in either dtype.
                let values = host(&tensor(&values, [n, v], DType::F32));
                let logits = tensor(&values, [n, v], dtype).require_grad();
                let selected = form(logits.clone(), &token_ids(&some_ids(n, v)), temperature).unwrap();
                let mut run = outputs(&selected);
                run.0.push(("logits", host(&logits.grad(&loss(&selected, &upstream).backward()).unwrap())));
                run
            };
            let expected = run(naive::selected_log_softmax, DType::F64);
            let context = format!("{n} {v} {temperature}");
            run(selected_log_softmax, DType::F64).assert_near(&expected, F64_BOUND, &context);
            run(selected_log_softmax, DType::F32).assert_near(&expected, F32_BOUND, &context);
        }
    }
}
