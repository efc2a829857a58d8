//! Centered hidden embedding similarity (CHES): which pairs push the chosen response down.
//!
//! **Paper:** Unintentional Unalignment: Likelihood Displacement in Direct Preference Optimization (2024), 2410.08847.
//! **Use when:** `frac_chosen_logp_down` rises in training: filter out the pairs with the highest scores.
//! **Checked by:** hand-worked scores, its laws (equal responses, scaling, padding).
//! **Deviations:** batched, with masks; the authors' helper takes single sequences without padding.

use accordant_ops::{check_domain, check_dtype, check_shape};
use burn::tensor::{Bool, DType, FloatDType, Tensor};

use super::Length;
use crate::Result;

/// CHES scores, one per pair: the larger, the more the pair lowers its chosen response. No gradient passes.
///
/// ```text
/// CHES = ⟨S_w, S_l⟩ − |S_w|²,   S = Σ_t e_t over the states that predict the response's tokens        (def. 2)
/// ```
///
/// These are the states from the last token of the prompt to the last but one of the sequence. `Length::TokenMean`
/// divides each sum by its number of states, for comparing pairs of different lengths.
///
/// # Shapes
/// `chosen_states` and `rejected_states`: `[n, seq, hidden]`, of the last layer, before the head, aligned with the tokens;
/// the two `seq` may differ. The masks, true at the **response's** tokens: `[n, seq]`; padding may hold anything. The
/// result: `[n]`, in f32 (f64 for f64). Equal responses give 0; an empty response has `S = 0`, so does one whose only
/// token is the first of the sequence, which no state predicts. States `c` times as large give `c²` times the score.
///
/// # Errors
/// A shape error naming the argument; a dtype error naming `rejected_states`.
///
/// # Example
/// ```
/// use accordant_objectives::pairwise::{Length, ches::ches_scores};
/// use burn::tensor::{Device, Tensor, TensorData};
/// let device = Device::flex();
/// // A prompt of one token and a response of one: the prompt's state predicts it. Hidden size 1.
/// let states = |prompt: f32| Tensor::<3>::from_floats([[[prompt], [9.0]]], &device);
/// let mask = || Tensor::from_bool(TensorData::from([[false, true]]), &device);
/// let score = ches_scores(states(2.0), mask(), states(5.0), mask(), Length::Sum)?;
/// assert_eq!(score.into_scalar::<f32>(), 6.0); // 2 · 5 − 2²
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2410.08847")]
#[doc(alias = "Unintentional Unalignment: Likelihood Displacement in Direct Preference Optimization")]
#[doc(alias = "likelihood displacement")]
pub fn ches_scores(
    chosen_states: Tensor<3>,
    chosen_mask: Tensor<2, Bool>,
    rejected_states: Tensor<3>,
    rejected_mask: Tensor<2, Bool>,
    length: Length,
) -> Result<Tensor<1>> {
    let ([pairs, chosen_seq, hidden], [_, rejected_seq, _]) = (chosen_states.dims(), rejected_states.dims());
    check_shape("rejected_states", &[pairs, rejected_seq, hidden], &rejected_states.dims())?;
    check_dtype("rejected_states", chosen_states.dtype(), rejected_states.dtype())?;
    check_shape("chosen_mask", &[pairs, chosen_seq], &chosen_mask.dims())?;
    check_shape("rejected_mask", &[pairs, rejected_seq], &rejected_mask.dims())?;
    let chosen = predicting_states(chosen_states, chosen_mask, length);
    let rejected = predicting_states(rejected_states, rejected_mask, length);
    // Not the difference of two products, which cancel where the responses are alike.
    Ok((chosen.clone() * (rejected - chosen)).sum_dim(1).squeeze_dim(1))
}

/// The sum or the mean of the states that predict a response's tokens, `[n, hidden]`.
fn predicting_states(states: Tensor<3>, mask: Tensor<2, Bool>, length: Length) -> Tensor<2> {
    let [rows, seq, hidden] = states.dims();
    let (device, dtype) = (states.device(), states.dtype());
    let wide = if dtype == DType::F64 { FloatDType::F64 } else { FloatDType::F32 };
    if rows == 0 || seq < 2 || hidden == 0 {
        return Tensor::<2>::zeros([rows, hidden], (&device, dtype)).cast(wide);
    }
    // The state at t predicts token t + 1.
    let predicts = mask.narrow(1, 1, seq - 1);
    let dropped = predicts.clone().bool_not().unsqueeze_dim::<3>(2).expand([rows, seq - 1, hidden]);
    let kept = states.detach().narrow(1, 0, seq - 1).cast(wide).mask_fill(dropped, 0.0);
    let sum = kept.sum_dim(1).squeeze_dim::<2>(1);
    match length {
        Length::Sum => sum,
        Length::TokenMean => sum / predicts.cast(wide).sum_dim(1).clamp_min(1.0),
    }
}

/// The pairs that remain when the given share of highest scores is dropped, in their order.
///
/// `share · n` is rounded to the nearest whole number; among equal scores the later ones are dropped first. The paper's
/// strong setting drops 0.95.
///
/// # Errors
/// A domain error unless `share` lies in `[0, 1]`, and naming `scores` for a NaN.
///
/// # Example
/// ```
/// use accordant_objectives::pairwise::ches::without_highest;
/// assert_eq!(without_highest(&[-1.0, 7.0, -3.0, 0.0], 0.5)?, [0, 2]);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
pub fn without_highest(scores: &[f64], share: f64) -> Result<Vec<usize>> {
    check_domain((0.0..=1.0).contains(&share), "share", "in [0, 1]", share)?;
    for &score in scores {
        check_domain(!score.is_nan(), "scores", "numbers", score)?;
    }
    let mut places: Vec<usize> = (0..scores.len()).collect();
    places.sort_by(|a, b| scores[*a].total_cmp(&scores[*b]));
    let dropped = (share * scores.len() as f64).round() as usize;
    places.truncate(scores.len().saturating_sub(dropped));
    places.sort_unstable();
    Ok(places)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::pairwise::tests::column;

    fn states<const T: usize>(rows: &[[[f64; 2]; T]]) -> Tensor<3> {
        let flat: Vec<f64> = rows.iter().flatten().flatten().copied().collect();
        Tensor::from_data(TensorData::new(flat, [rows.len(), T, 2]), (&Device::flex(), DType::F64))
    }

    fn mask<const T: usize>(rows: &[[u8; T]]) -> Tensor<2, Bool> {
        let flat: Vec<bool> = rows.iter().flatten().map(|kept| *kept == 1).collect();
        Tensor::from_bool(TensorData::new(flat, [rows.len(), T]), &Device::flex())
    }

    const NAN: [f64; 2] = [f64::NAN; 2];

    /// A prompt of two tokens; responses of two and of one. What is not summed is NaN.
    fn chosen() -> (Tensor<3>, Tensor<2, Bool>) {
        (states(&[[NAN, [1.0, 2.0], [3.0, 0.0], NAN]]), mask(&[[0, 0, 1, 1]]))
    }

    fn rejected() -> (Tensor<3>, Tensor<2, Bool>) {
        (states(&[[NAN, [1.0, -1.0], NAN]]), mask(&[[0, 0, 1]]))
    }

    fn score(
        (w, w_mask): (Tensor<3>, Tensor<2, Bool>),
        (l, l_mask): (Tensor<3>, Tensor<2, Bool>),
        by: Length,
    ) -> Vec<f64> {
        column(&ches_scores(w, w_mask, l, l_mask, by).unwrap())
    }

    #[test]
    fn scores_by_hand() {
        // S_w = (4, 2) of two states and S_l = (1, −1) of one: 4 − 2 − 20.
        assert_eq!(score(chosen(), rejected(), Length::Sum), [-18.0]);
        // (2, 1) and (1, −1): 2 − 1 − 5.
        assert_eq!(score(chosen(), rejected(), Length::TokenMean), [-4.0]);
        // The other way round: 2 against 2.
        assert_eq!(score(rejected(), chosen(), Length::Sum), [0.0]);
    }

    #[test]
    fn equal_responses_score_exactly_0() {
        let third = || (states(&[[[0.1, 0.2], [0.3, 1e6], [0.0, 0.0]]]), mask(&[[0, 1, 1]]));
        for by in [Length::Sum, Length::TokenMean] {
            assert_eq!(score(third(), third(), by), [0.0]);
        }
    }

    #[test]
    fn scores_grow_with_the_square_of_the_states() {
        let thrice = |(states, mask): (Tensor<3>, Tensor<2, Bool>)| (states * 3.0, mask);
        assert_eq!(score(thrice(chosen()), thrice(rejected()), Length::Sum), [-162.0]);
    }

    #[test]
    fn padding_on_either_side_changes_nothing() {
        let left = (states(&[[NAN, NAN, NAN, [1.0, 2.0], [3.0, 0.0], NAN]]), mask(&[[0, 0, 0, 0, 1, 1]]));
        let right = (states(&[[NAN, [1.0, -1.0], NAN, NAN]]), mask(&[[0, 0, 1, 0]]));
        assert_eq!(score(left, right, Length::Sum), [-18.0]);
    }

    #[test]
    fn a_response_that_no_state_predicts_has_the_sum_0() {
        let empty = || (states(&[[NAN, NAN]]), mask(&[[0, 0]]));
        let first = || (states(&[[NAN, NAN]]), mask(&[[1, 0]]));
        let short = || (states(&[[NAN]]), mask(&[[1]]));
        for by in [Length::Sum, Length::TokenMean] {
            assert_eq!(score(empty(), rejected(), by), [0.0]);
            assert_eq!(score(first(), rejected(), by), [0.0]);
            assert_eq!(score(short(), rejected(), by), [0.0]);
        }
        assert_eq!(score(chosen(), empty(), Length::Sum), [-20.0]);
        let none = || (Tensor::zeros([0, 3, 2], &Device::flex()), Tensor::empty([0, 3], &Device::flex()));
        assert!(score(none(), none(), Length::Sum).is_empty());
    }

    #[test]
    fn half_precision_is_summed_in_f32_and_no_gradient_passes() {
        let device = Device::flex();
        let ones = Tensor::<3>::ones([1, 301, 1], (&device, DType::BF16));
        let mask = Tensor::<2, Bool>::full([1, 301], true, &device);
        let twos = ones.clone() * 2.0;
        let scores = ches_scores(ones, mask.clone(), twos, mask, Length::Sum).unwrap();
        assert_eq!((scores.dtype(), column(&scores)), (DType::F32, vec![300.0 * 600.0 - 300.0 * 300.0]));

        let (states, mask) = chosen();
        let leaf = states.autodiff().require_grad();
        let (rejected, rejected_mask) = rejected();
        let scores = ches_scores(leaf, mask, rejected.autodiff(), rejected_mask, Length::Sum).unwrap();
        assert!(!scores.is_require_grad());
    }

    #[test]
    fn what_does_not_fit_is_an_error_that_names_it() {
        let fail = |w: [usize; 3], w_mask: [usize; 2], l: [usize; 3], l_mask: [usize; 2]| {
            let device = Device::flex();
            let mask = |dims| Tensor::<2, Bool>::full(dims, true, &device);
            let (w, l) = (Tensor::zeros(w, &device), Tensor::zeros(l, &device));
            ches_scores(w, mask(w_mask), l, mask(l_mask), Length::Sum).unwrap_err().to_string()
        };
        let at = |name, error: String| assert!(error.starts_with(name), "{error}");
        at("`rejected_states`: expected shape [2, 4, 5], got [1, 4, 5]", fail([2, 3, 5], [2, 3], [1, 4, 5], [1, 4]));
        at("`rejected_states`: expected shape [2, 4, 5], got [2, 4, 6]", fail([2, 3, 5], [2, 3], [2, 4, 6], [2, 4]));
        at("`chosen_mask`: expected shape [2, 3], got [2, 4]", fail([2, 3, 5], [2, 4], [2, 4, 5], [2, 4]));
        at("`rejected_mask`: expected shape [2, 4], got [1, 4]", fail([2, 3, 5], [2, 3], [2, 4, 5], [1, 4]));
        let ((w, w_mask), (l, l_mask)) = (chosen(), rejected());
        let error = ches_scores(w, w_mask, l.cast(FloatDType::F32), l_mask, Length::Sum).unwrap_err().to_string();
        assert_eq!(error, "`rejected_states`: expected dtype F64, got F32");
    }

    #[test]
    fn the_filter_drops_the_highest_and_keeps_the_order() {
        let scores = [3.0, -1.0, 2.0, 2.0, f64::INFINITY, -5.0];
        assert_eq!(without_highest(&scores, 0.5).unwrap(), [1, 2, 5], "of equal scores the earlier one stays");
        assert_eq!(without_highest(&scores, 0.0).unwrap(), [0, 1, 2, 3, 4, 5]);
        assert!(without_highest(&scores, 1.0).unwrap().is_empty());
        assert_eq!(without_highest(&scores, 0.2).unwrap(), [0, 1, 2, 3, 5], "1.2 are rounded to 1");
        assert_eq!(without_highest(&[0.0; 20], 0.95).unwrap(), [0], "the authors' 5 %");
        assert!(without_highest(&[], 0.5).unwrap().is_empty());
        for share in [-0.1, 1.1, f64::NAN] {
            let error = without_highest(&scores, share).unwrap_err().to_string();
            assert_eq!(error, format!("`share`: expected in [0, 1], got {share}"));
        }
        let error = without_highest(&[f64::NAN], 0.5).unwrap_err().to_string();
        assert_eq!(error, "`scores`: expected numbers, got NaN");
    }

    #[test]
    fn one_state_and_the_token_that_it_predicts_are_enough() {
        let chosen = (states(&[[[1.0, 0.0], [9.0, 9.0]]]), mask(&[[0, 1]]));
        let rejected = (states(&[[[3.0, 5.0], [9.0, 9.0]]]), mask(&[[0, 1]]));
        // 1 · 3 − 1 · 1
        let scores = ches_scores(chosen.0, chosen.1, rejected.0, rejected.1, Length::Sum).unwrap();
        assert_eq!(column(&scores), [2.0]);
    }
}
