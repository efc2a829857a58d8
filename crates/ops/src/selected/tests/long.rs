//! f32 over a long row.

use super::*;

#[test]
fn a_hundred_thousand_tokens_stay_within_2e_minus_6_of_f64() {
    let v = 100_000;
    // The rows of logits are the weights and half of them: exact in f32 too.
    let weight: Vec<f64> = noise(71, v).into_iter().map(|x| 3.0 * x).collect();
    let case = Case { hidden: vec![1.0, 0.5], weight, bias: None, ids: vec![17, 99_999], ..Case::new(2, 1, v) };
    let mut case = case.rounded(DType::F32);
    let expected = case.naive();
    let rows: Vec<f64> = [1.0, 0.5].iter().flat_map(|x| case.weight.iter().map(move |w| w * x)).collect();
    case.dtype = DType::F32;
    let direct = selected_log_softmax(tensor(&rows, [2, v], DType::F32), &token_ids(&case.ids), 1.0).unwrap();
    let check = |run: &Run, bound: f64| {
        for name in ["logps", "lse", "entropy", "log_sum_sq_probs"] {
            for (got, expected) in run.get(name).iter().zip(expected.get(name)) {
                assert!((got - expected).abs() < bound, "{name}: {got} {expected}");
            }
        }
    };
    check(&outputs(&direct), 2e-6);
    for memory in [Memory::Auto, Memory::Budget(usize::MAX), Memory::Tiles { rows: 1, columns: 1024 }] {
        check(&case.clone().with_memory(memory).streamed(), 2e-6);
    }
    // The sums of a row are rounded to f32 after every tile: ten thousand times here, which no plan does by itself.
    check(&case.with_memory(Memory::Tiles { rows: 2, columns: 10 }).streamed(), 5e-5);
}
