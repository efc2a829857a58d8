//! Rows and batches at the edge, with the values that the module documents.

use super::*;

pub const NONE: f64 = f64::NEG_INFINITY;
pub const DTYPES: [DType; 2] = [DType::F64, DType::F32];

pub type Rows = fn(Tensor<2>, &TokenIds, f64) -> Result<SelectedLogps>;
pub const ROWS: [Rows; 2] = [selected_log_softmax, naive::selected_log_softmax];

/// Outputs of rows of logits, and the gradient of the logits under random weights.
pub fn rows_of(form: Rows, logits: &[f64], v: usize, ids: &[i64], dtype: DType) -> Run {
    let n = ids.len();
    let logits = tensor(logits, [n, v], dtype).require_grad();
    let selected = form(logits.clone(), &token_ids(ids), 1.0).unwrap();
    let loss = loss(&selected, &[4, 5, 6, 8].map(|seed| Some(noise(seed, n))));
    let mut run = outputs(&selected);
    run.0.push(("logits", host(&logits.grad(&loss.backward()).unwrap())));
    run
}

const SMALL: [Memory; 2] = [Memory::Tiles { rows: 1, columns: 1 }, Memory::Tiles { rows: 2, columns: 3 }];

/// A case in every form: naive, all logits kept, and streamed in two sizes of tiles.
pub fn in_every_form(case: &Case) -> Vec<Run> {
    let streamed = SMALL.map(|memory| case.clone().with_memory(memory).streamed());
    [case.naive(), case.streamed()].into_iter().chain(streamed).collect()
}

#[test]
fn a_batch_without_a_row_that_counts_is_zero_and_has_zero_gradients() {
    let mut case = Case::new(3, 2, 5);
    case.ids = vec![ids::IGNORE_ID; 3];
    // What stands in ignored rows does not matter.
    case.hidden[1] = f64::NAN;
    for run in in_every_form(&case) {
        for name in OUTPUTS {
            assert_eq!(run.get(name), [0.0; 3], "{name}");
        }
        for (name, len) in GRADS.into_iter().zip([6, 10, 5]) {
            assert_eq!(run.get(name), vec![0.0; len], "{name}");
        }
    }
    for form in ROWS {
        let run = rows_of(form, &[f64::NAN, 1.0, 2.0, NONE], 2, &[ids::IGNORE_ID; 2], DType::F32);
        assert_eq!(run.get("logps"), [0.0; 2]);
        assert_eq!(run.get("logits"), [0.0; 4]);
    }
}

#[test]
fn an_empty_batch_is_empty_and_has_zero_gradients() {
    let case = Case::new(0, 2, 5);
    for run in in_every_form(&case) {
        for name in OUTPUTS.into_iter().chain(["hidden"]) {
            assert!(run.get(name).is_empty(), "{name}");
        }
        assert_eq!(run.get("weight"), [0.0; 10]);
        assert_eq!(run.get("bias"), [0.0; 5]);
    }
    for form in ROWS {
        let run = rows_of(form, &[], 4, &[], DType::F64);
        assert!(run.get("logps").is_empty() && run.get("logits").is_empty());
    }
}

#[test]
fn hidden_states_of_no_width_leave_the_bias() {
    // Without a bias, all logits are 0.
    let mut case = Case { hidden: vec![], weight: vec![], ..Case::new(2, 0, 4) };
    let rows = rows_of(selected_log_softmax, &case.bias.clone().unwrap().repeat(2), 4, &case.ids, DType::F64);
    for run in in_every_form(&case) {
        for name in OUTPUTS {
            assert_near(run.get(name), rows.get(name), 1e-15, name);
        }
        let bias: Vec<f64> = rows
            .get("logits")
            .chunks(4)
            .fold(vec![0.0; 4], |sum, row| sum.iter().zip(row).map(|(a, b)| a + b).collect());
        assert_near(run.get("bias"), &bias, 1e-14, "bias");
    }
    (case.bias, case.trained) = (None, [true; 3]);
    for run in in_every_form(&case) {
        assert_near(run.get("logps"), &[-(4f64.ln()); 2], 1e-15, "logps");
        assert!(run.get("hidden").is_empty() && run.get("weight").is_empty());
    }
}

#[test]
fn a_vocabulary_of_one_token_is_certain() {
    let mut case = Case::new(3, 2, 1);
    for run in in_every_form(&case) {
        for name in ["logps", "entropy", "log_sum_sq_probs"] {
            assert_eq!(run.get(name), [0.0; 3], "{name}");
        }
        assert_eq!(run.get("is_top1"), [1.0; 3]);
        assert_eq!(run.get("lse"), run.get("mean_logits"));
        // Only the log-sum-exp moves, as its one logit does.
        let expected: f64 = case.upstream[1].as_ref().unwrap().iter().sum();
        assert_near(run.get("bias"), &[expected], 1e-14, "bias");
    }
    case.upstream[1] = None;
    for run in in_every_form(&case) {
        assert!(run.get("hidden").iter().all(|grad| grad.abs() < 1e-15));
    }
}

#[test]
fn extreme_logits_stay_finite() {
    let logits = [1e4, -1e4, 0.0];
    for dtype in DTYPES {
        for form in ROWS {
            let run = rows_of(form, &logits.repeat(3), 3, &[0, 1, 2], dtype);
            assert_eq!(run.get("logps"), [0.0, -2e4, -1e4]);
            assert_eq!(run.get("lse"), [1e4; 3]);
            assert_eq!(run.get("entropy"), [0.0; 3]);
            assert_eq!(run.get("log_sum_sq_probs"), [0.0; 3]);
            assert!(run.get("logits").iter().all(|grad| grad.is_finite()));
        }
        let mut case = Case::new(3, 2, 3);
        (case.hidden, case.weight) = ([1e4, -1e4].repeat(3), vec![1.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
        (case.bias, case.dtype, case.ids) = (None, dtype, vec![0, 1, 2]);
        for run in in_every_form(&case) {
            assert_eq!(run.get("logps"), [0.0, -2e4, -1e4]);
            assert!(run.get("hidden").iter().chain(run.get("weight")).all(|grad| grad.is_finite()));
        }
    }
}
