//! Half precision: logits and sums in f32, whatever the inputs.

use burn::tensor::activation::log_softmax;

use super::*;

fn mean_error(got: &[f64], expected: &[f64]) -> f64 {
    got.iter().zip(expected).map(|(a, b)| (a - b).abs()).sum::<f64>() / got.len() as f64
}

/// A head of a realistic size whose logits have a deviation of 3.
fn realistic(dtype: DType) -> Case {
    let [n, h, v] = [64, 256, 5000];
    let mut case = Case::new(n, h, v);
    case.weight.iter_mut().for_each(|x| *x *= 1.5);
    case.bias = None;
    case.rounded(dtype)
}

#[test]
fn bf16_hidden_states_give_log_probabilities_to_1e_minus_4_nat() {
    for (dtype, naive_error, rounding) in [(DType::BF16, 1e-3, 2f64.powi(-8)), (DType::F16, 1e-4, 2f64.powi(-11))] {
        let mut case = realistic(dtype);
        let expected = case.naive();
        case.dtype = dtype;
        for memory in [Memory::Auto, Memory::Tiles { rows: 24, columns: 700 }] {
            let got = case.clone().with_memory(memory).streamed();
            let error = mean_error(got.get("logps"), expected.get("logps"));
            println!("mean error of log-probabilities from {dtype:?}: {error:e} nat");
            assert!(error < 5e-6);
            for name in ["logps", "lse", "entropy", "log_sum_sq_probs", "mean_logits"] {
                // The logits themselves are f32 sums of 256 products.
                assert_near(got.get(name), expected.get(name), 5e-6, name);
            }
            // A gradient is rounded once, from sums in f32: to 2⁻⁸ of itself in bf16, 2⁻¹¹ in f16.
            for name in ["hidden", "weight"] {
                assert_near(got.get(name), expected.get(name), rounding, name);
            }
        }
        // The line: what burn's operations give on logits of this dtype.
        let (hidden, weight, _) = case.inputs();
        let index = token_ids(&case.ids).counted().unsqueeze_dim::<2>(1);
        let logps = log_softmax(hidden.matmul(weight.transpose()), 1).gather(1, index).squeeze_dim::<1>(1);
        let error = mean_error(&host(&logps), expected.get("logps"));
        println!("mean error of {dtype:?} log-probabilities: {error:e} nat");
        assert!(error > naive_error, "{dtype:?}: {error:e}");
    }
}

#[test]
fn gradients_have_the_dtype_of_what_they_belong_to_and_outputs_are_f32() {
    for dtype in [DType::BF16, DType::F16] {
        for memory in [Memory::Auto, Memory::Tiles { rows: 2, columns: 3 }] {
            let case = Case { dtype, ..Case::new(3, 2, 7) };
            let (hidden, weight, bias) = case.inputs();
            let (ids, bias) = (token_ids(&case.ids), bias.unwrap());
            let options = SelectedOptions::new().with_memory(memory);
            let selected = selected_logps(hidden.clone(), weight.clone(), Some(bias.clone()), &ids, &options).unwrap();
            for output in [&selected.logps, &selected.lse, &selected.entropy, &selected.log_sum_sq_probs] {
                assert_eq!(output.dtype(), DType::F32);
            }
            assert_eq!(selected.mean_logits.dtype(), DType::F32);
            let grads = loss(&selected, &case.upstream).backward();
            assert_eq!(hidden.grad(&grads).unwrap().dtype(), dtype);
            assert_eq!(weight.grad(&grads).unwrap().dtype(), dtype);
            assert_eq!(bias.grad(&grads).unwrap().dtype(), dtype);
        }
    }
}

#[test]
fn logits_of_half_precision_are_summed_in_f32() {
    let (n, v) = (8, 5000);
    for (dtype, rounding) in [(DType::BF16, 2f64.powi(-8)), (DType::F16, 2f64.powi(-11))] {
        let values: Vec<f64> = noise(61, n * v).into_iter().map(|x| 3.0 * x).collect();
        let values = host(&tensor(&values, [n, v], dtype));
        let upstream = [4, 5, 6, 8].map(|seed| Some(noise(seed, n)));
        let run = |form: fn(Tensor<2>, &TokenIds, f64) -> Result<SelectedLogps>, dtype| {
            let logits = tensor(&values, [n, v], dtype).require_grad();
            let selected = form(logits.clone(), &token_ids(&some_ids(n, v)), 0.9).unwrap();
            let grad = logits.grad(&loss(&selected, &upstream).backward()).unwrap();
            assert_eq!(grad.dtype(), dtype);
            assert_eq!(selected.logps.dtype(), if dtype == DType::F64 { DType::F64 } else { DType::F32 });
            (outputs(&selected), host(&grad))
        };
        let (expected, grad) = run(naive::selected_log_softmax, DType::F64);
        for form in [selected_log_softmax, naive::selected_log_softmax] {
            let (got, got_grad) = run(form, dtype);
            got.assert_near(&expected, 1e-6, "outputs");
            assert_near(&got_grad, &grad, rounding, "gradient");
        }
    }
}

#[test]
fn the_gradient_of_a_confident_token_is_rounded_once() {
    // 1 - p of a logit of 8 beside 0 is 3.4e-4; p itself is 1 in bf16.
    let expected = 1.0 / (1.0 + 8f64.exp());
    for (dtype, rounding) in [(DType::BF16, 2f64.powi(-8)), (DType::F16, 2f64.powi(-11))] {
        for form in [selected_log_softmax, naive::selected_log_softmax] {
            let logits = tensor(&[8.0, 0.0], [1, 2], dtype).require_grad();
            let grads = form(logits.clone(), &token_ids(&[0]), 1.0).unwrap().logps.backward();
            // 1 - p is itself taken in f32.
            let bound = rounding + 1e-3;
            assert_near(&host(&logits.grad(&grads).unwrap()), &[expected, -expected], bound, &format!("{dtype:?}"));
        }
    }
}
