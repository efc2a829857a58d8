//! −∞, +∞ and NaN in rows, with the values that the module documents.

use super::degenerate::{DTYPES, NONE, ROWS, in_every_form, rows_of};
use super::*;

#[test]
fn logits_at_the_ends_of_f32_stay_finite() {
    // Their difference is −∞ in f32, which is a probability of 0.
    for form in ROWS {
        let run = rows_of(form, &[f64::from(f32::MAX), f64::from(f32::MIN)].repeat(2), 2, &[0, 1], DType::F32);
        assert_eq!(run.get("logps"), [0.0, NONE]);
        assert_eq!(run.get("entropy"), [0.0; 2]);
        assert!(run.get("logits").iter().all(|grad| grad.is_finite()));
    }
}

#[test]
fn a_token_of_logit_minus_infinity_has_no_probability() {
    let three = rows_of(selected_log_softmax, &[0.5, -1.0, 2.0], 3, &[2], DType::F64);
    for form in ROWS {
        for dtype in DTYPES {
            let run = rows_of(form, &[NONE, 0.5, NONE, -1.0, 2.0], 5, &[4], dtype);
            for name in ["logps", "lse", "entropy", "log_sum_sq_probs", "is_top1"] {
                assert_near(run.get(name), three.get(name), 1e-6, name);
            }
            assert_eq!(run.get("mean_logits"), [NONE]);
            let [a, b, c] = [0, 1, 2].map(|i| three.get("logits")[i]);
            assert_near(run.get("logits"), &[0.0, a, 0.0, b, c], 1e-6, "gradient");
            assert_eq!([run.get("logits")[0], run.get("logits")[2]], [0.0; 2]);
        }
    }
}

#[test]
fn logits_masked_with_the_lowest_number_have_no_probability() {
    // A block and a half of them: their gap times their count is −∞, and weighs nothing.
    let (rest, masked) = ([0.5, -1.0, 2.0], 1500);
    for (dtype, lowest) in [(DType::F64, f64::MIN), (DType::F32, f64::from(f32::MIN))] {
        let values = [vec![lowest; masked], rest.to_vec()].concat();
        for form in ROWS {
            let alone = rows_of(form, &rest, 3, &[2], dtype);
            let run = rows_of(form, &values, masked + 3, &[masked as i64 + 2], dtype);
            for name in ["logps", "lse", "entropy", "log_sum_sq_probs", "is_top1"] {
                assert_near(run.get(name), alone.get(name), 1e-6, name);
            }
            assert!(run.get("logits")[..masked].iter().all(|grad| *grad == 0.0));
            assert_near(&run.get("logits")[masked..], alone.get("logits"), 1e-6, "gradient");
        }
        // The same as a bias that fills whole tiles.
        let v = values.len();
        let entropy = |bias: &[f64], memory| {
            let options = SelectedOptions::new().with_memory(memory);
            let (hidden, weight) =
                (tensor(&[0.0], [1, 1], dtype), tensor(&vec![0.0; bias.len()], [bias.len(), 1], dtype));
            let leaf = tensor(bias, [bias.len()], dtype).require_grad();
            let ids = token_ids(&[bias.len() as i64 - 1]);
            let selected = selected_logps(hidden, weight, Some(leaf.clone()), &ids, &options).unwrap();
            let grad = host(&leaf.grad(&selected.logps.sum().backward()).unwrap());
            assert!(grad.iter().all(|grad| grad.is_finite()));
            host(&selected.entropy)
        };
        let tiled = entropy(&values, Memory::Tiles { rows: 1, columns: v / 3 });
        assert_near(&tiled, &entropy(&rest, Memory::Auto), 1e-6, "entropy in tiles");
    }
}

#[test]
fn selecting_a_token_without_probability_gives_minus_infinity_and_a_finite_gradient() {
    // d log p_0 = [j = 0] - p_j with p = [0, 1/2, 1/2].
    for form in ROWS {
        for dtype in DTYPES {
            let logits = tensor(&[NONE, 1.0, 1.0], [1, 3], dtype).require_grad();
            let selected = form(logits.clone(), &token_ids(&[0]), 1.0).unwrap();
            assert_eq!(host(&selected.logps), [NONE]);
            assert_near(&host(&selected.entropy), &[2f64.ln()], 1e-7, "entropy");
            assert_eq!(selected.is_top1.clone().try_to_vec_as::<bool>().unwrap(), [false]);
            assert_near(&host(&logits.grad(&selected.logps.backward()).unwrap()), &[1.0, -0.5, -0.5], 1e-6, "gradient");
        }
    }
}

#[test]
fn a_row_without_any_probability_leaves_the_others_alone() {
    let live = [0.3, -0.4, 1.2, 0.1, 2.0, -3.0];
    let logits = [&live[..3], &[NONE; 3], &live[3..]].concat();
    for form in ROWS {
        for dtype in DTYPES {
            let run = rows_of(form, &logits, 3, &[1, 0, 2], dtype);
            for (name, dead) in OUTPUTS.into_iter().zip([NONE, NONE, 0.0, NONE, 0.0, NONE]) {
                assert_eq!(run.get(name)[1], dead, "{name}");
            }
            assert_eq!(run.get("logits")[3..6], [0.0; 3]);
            let whole = rows_of(form, &[&live[..3], &[0.0; 3], &live[3..]].concat(), 3, &[1, 0, 2], dtype);
            for row in [0, 2] {
                for name in OUTPUTS {
                    assert_eq!(run.get(name)[row], whole.get(name)[row], "{name}");
                }
                assert_eq!(run.get("logits")[3 * row..][..3], whole.get("logits")[3 * row..][..3]);
            }
        }
    }
    let case = Case { bias: Some(vec![NONE; 4]), ..Case::new(2, 3, 4) };
    for run in in_every_form(&case) {
        for (name, dead) in OUTPUTS.into_iter().zip([NONE, NONE, 0.0, NONE, 0.0, NONE]) {
            assert_eq!(run.get(name), [dead; 2], "{name}");
        }
        assert!(GRADS.into_iter().all(|name| run.get(name).iter().all(|grad| *grad == 0.0)), "{run:?}");
    }
}

#[test]
fn nan_and_infinity_in_a_row_of_logits_stay_in_it() {
    let live = [0.3, -0.4, 1.2, 0.1, 2.0, -3.0];
    for form in ROWS {
        for bad in [f64::NAN, f64::INFINITY] {
            for dtype in DTYPES {
                let with =
                    |x: f64| rows_of(form, &[&live[..3], &[0.5, x, 0.0], &live[3..]].concat(), 3, &[1, 0, 2], dtype);
                let (run, whole) = (with(bad), with(0.0));
                for name in &OUTPUTS[..4] {
                    assert!(run.get(name)[1].is_nan(), "{name} with {bad}: {:?}", run.get(name));
                }
                assert!(run.get("logits")[3..6].iter().all(|grad| grad.is_nan()), "{run:?}");
                for row in [0, 2] {
                    for name in OUTPUTS {
                        assert_eq!(run.get(name)[row], whole.get(name)[row], "{name} with {bad}");
                    }
                    assert_eq!(run.get("logits")[3 * row..][..3], whole.get("logits")[3 * row..][..3]);
                }
            }
        }
    }
}

#[test]
fn nan_in_a_hidden_state_stays_in_its_row_but_for_the_gradient_of_the_head() {
    let whole = Case::new(5, 3, 7);
    let mut case = whole.clone();
    case.hidden[4] = f64::NAN;
    for (run, whole) in in_every_form(&case).into_iter().zip(in_every_form(&whole)) {
        for (name, width) in OUTPUTS.into_iter().map(|name| (name, 1)).chain([("hidden", 3)]) {
            for (row, got) in run.get(name).chunks(width).enumerate() {
                if row == 1 && name != "is_top1" {
                    assert!(got.iter().all(|x| x.is_nan()), "{name}: {got:?}");
                } else if row != 1 {
                    assert_near(got, &whole.get(name)[row * width..][..width], 1e-14, name);
                }
            }
        }
        // Every row has a part in it.
        assert!(run.get("weight").iter().chain(run.get("bias")).all(|x| x.is_nan()));
    }
    case.ids[1] = ids::IGNORE_ID;
    for run in in_every_form(&case) {
        assert!(run.0.iter().all(|(_, numbers)| numbers.iter().all(|x| x.is_finite())), "{run:?}");
    }
}
