//! Adaptive step rewards of Tree Preference Optimization (TPO), an option of every listwise method.
//!
//! **Paper:** TPO: Aligning Large Language Models with Multi-branch & Multi-step Preference Trees (2024), 2410.12854.
//! **Status:** the list losses are the paper's; the form of the step weights is our reading of it.
//! **Use when:** candidates are chains of reasoning from one tree: steps in which they differ should count more.
//! **Checked by:** hand-worked values; a strength of 0 gives the plain sums.
//! **Deviations:** the status says it; rank the resulting sums with [`super::lipo`], as the paper does.

use accordant_ops::{SequenceLogps, TokenLogps, check_domain, check_dtype, check_shape};
use burn::tensor::{Bool, Int, Tensor};

use super::check_coefficient;
use crate::Result;

/// How much each step of each response counts, `[rows, steps]`; detached.
///
/// ```text
/// a_k = 1 + κ (1 − cos(e_k, e'_k)),   1 for a step of the prefix that the responses share
/// ```
///
/// `e_k` embeds step `k` and `e'_k` the step of a sibling that it is aligned with. A step without one has an `e'` of
/// zeros, and so a cosine of 0: it differs as much as an unrelated one.
///
/// # Shapes
/// `steps`, `aligned`: `[rows, steps, dim]`; `shared`: `[rows, steps]`. `strength` (κ) is finite and ≥ 0, 1 in our
/// examples; 0 weighs nothing.
///
/// # Errors
/// A shape or dtype error naming the argument; a domain error naming `strength`.
///
/// # Example
/// ```
/// use accordant_objectives::listwise::tree::step_weights;
/// use burn::tensor::{Device, Tensor, TensorData};
/// let device = Device::flex();
/// // A shared step, one that says the same, one that is orthogonal to its counterpart.
/// let steps = Tensor::from_floats([[[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]]], &device);
/// let aligned = Tensor::from_floats([[[0.0, 1.0], [1.0, 0.0], [3.0, 0.0]]], &device);
/// let shared = Tensor::from_bool(TensorData::from([[true, false, false]]), &device);
/// let weights = step_weights(steps, aligned, shared, 1.0)?;
/// assert_eq!(weights.try_to_vec_as::<f32>().unwrap(), [1.0, 1.0, 2.0]);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2410.12854")]
#[doc(alias = "TPO: Aligning Large Language Models with Multi-branch & Multi-step Preference Trees")]
#[doc(alias = "Tree Preference Optimization")]
pub fn step_weights(steps: Tensor<3>, aligned: Tensor<3>, shared: Tensor<2, Bool>, strength: f64) -> Result<Tensor<2>> {
    let [rows, num_steps, _] = steps.dims();
    check_shape("aligned", &steps.dims(), &aligned.dims())?;
    check_dtype("aligned", steps.dtype(), aligned.dtype())?;
    check_shape("shared", &[rows, num_steps], &shared.dims())?;
    check_coefficient("strength", strength)?;
    let unit = |embedding: Tensor<3>| {
        let norm = embedding.clone().square().sum_dim(2).sqrt();
        let none = norm.clone().equal_scalar(0.0);
        embedding.clone() / norm.mask_fill(none, 1.0).repeat_dim(2, embedding.dims()[2])
    };
    let cosine = (unit(steps.detach()) * unit(aligned.detach())).sum_dim(2).squeeze_dim::<2>(2);
    Ok(((-cosine + 1.0) * strength + 1.0).mask_fill(shared, 1.0))
}

/// Sequence log-probabilities in which the tokens of step `k` count `a_k`: `Σ_k a_k Σ_{t in step k} log π(y_t)`.
///
/// Apply it to the policy's and to the reference's log-probabilities, and `β` times their difference is the paper's
/// reward `β Σ_k a_k d_k`. Counts stay the true lengths, for methods that divide by them; `mean` is this sum over the
/// true count.
///
/// # Shapes
/// `logps`: `[rows, seq]`; `step_of`, the number of each token's step: `[rows, seq]`; `weights`: `[rows, steps]`,
/// detached. What is not scored may have any step; a scored token whose step has no weight counts as part of the nearest.
///
/// # Errors
/// A shape error naming the argument; a domain error naming `steps` when there are none.
///
/// # Example
/// ```
/// use accordant_objectives::listwise::tree::weigh_steps;
/// use accordant_ops::TokenLogps;
/// use burn::tensor::{Device, Tensor, TensorData};
/// let device = Device::flex();
/// let logps = Tensor::from_floats([[-1.0, -2.0, -4.0]], &device);
/// let mask = Tensor::from_bool(TensorData::from([[true, true, true]]), &device);
/// let step_of = Tensor::from_ints([[0, 0, 1]], &device);
/// let weights = Tensor::from_floats([[1.0, 1.5]], &device);
/// let logps = weigh_steps(&TokenLogps::new(logps, mask)?, step_of, weights)?;
/// assert_eq!(logps.sum.into_scalar::<f32>(), -9.0); // 1 · (−3) + 1.5 · (−4)
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
pub fn weigh_steps(logps: &TokenLogps, step_of: Tensor<2, Int>, weights: Tensor<2>) -> Result<SequenceLogps> {
    let [rows, seq] = logps.logps.dims();
    check_shape("step_of", &[rows, seq], &step_of.dims())?;
    let [_, num_steps] = weights.dims();
    check_shape("weights", &[rows, num_steps], &weights.dims())?;
    check_domain(num_steps > 0, "steps", "at least 1", num_steps as f64)?;
    let factors = weights.detach().cast(logps.logps.dtype()).gather(1, step_of.clamp(0, num_steps as i64 - 1));
    Ok(TokenLogps::new(logps.logps.clone() * factors, logps.mask.clone())?.sequence())
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::listwise::tests::{bools, close, matrix, values};

    fn tokens() -> TokenLogps {
        TokenLogps::new(matrix(&[&[f64::NAN, -1.0, -2.0, -4.0]]), bools(&[&[false, true, true, true]])).unwrap()
    }

    #[test]
    fn the_strength_scales_what_differs() {
        let embeddings = |rows: [[f64; 2]; 4]| {
            let data = TensorData::from([rows]);
            Tensor::<3>::from_data(data, (&Device::flex(), burn::tensor::DType::F64))
        };
        // Opposite, at 60 degrees, without a counterpart, and shared.
        let steps = embeddings([[1.0, 0.0], [2.0, 0.0], [1.0, 1.0], [1.0, 0.0]]);
        let aligned = embeddings([[-3.0, 0.0], [0.5, 0.75f64.sqrt()], [0.0, 0.0], [-1.0, 0.0]]);
        let shared = bools(&[&[false, false, false, true]]);
        for (strength, expected) in [(0.0, [1.0; 4]), (1.0, [3.0, 1.5, 2.0, 1.0]), (0.5, [2.0, 1.25, 1.5, 1.0])] {
            let weights = step_weights(steps.clone(), aligned.clone(), shared.clone(), strength).unwrap();
            for (got, expected) in values(&weights).iter().zip(expected) {
                close(*got, expected, 1e-14);
            }
        }
        for strength in [-0.1, f64::NAN, f64::INFINITY] {
            let error = step_weights(steps.clone(), aligned.clone(), shared.clone(), strength).unwrap_err();
            assert_eq!(error.to_string(), format!("`strength`: expected finite and >= 0, got {strength}"));
        }
        let error = step_weights(steps.clone(), aligned.clone().narrow(1, 0, 1), shared.clone(), 1.0).unwrap_err();
        assert_eq!(error.to_string(), "`aligned`: expected shape [1, 4, 2], got [1, 1, 2]");
        let error = step_weights(steps, aligned, shared.narrow(1, 0, 1), 1.0).unwrap_err();
        assert_eq!(error.to_string(), "`shared`: expected shape [1, 4], got [1, 1]");
    }

    #[test]
    fn embeddings_of_another_dtype_are_an_error_and_no_rows_are_none() {
        let embeddings = |rows: usize, dtype| {
            let data = TensorData::new(vec![1.0; 2 * rows], [rows, 1, 2]);
            Tensor::<3>::from_data(data, (&Device::flex(), dtype))
        };
        use burn::tensor::DType::{F32, F64};
        let error = step_weights(embeddings(1, F64), embeddings(1, F32), bools(&[&[false]]), 1.0).unwrap_err();
        assert_eq!(error.to_string(), "`aligned`: expected dtype F64, got F32");
        let shared = Tensor::<2, Bool>::from_bool(TensorData::new(Vec::<bool>::new(), [0, 1]), &Device::flex());
        let weights = step_weights(embeddings(0, F64), embeddings(0, F64), shared, 1.0).unwrap();
        assert_eq!(weights.dims(), [0, 1]);
    }

    #[test]
    fn sums_are_weighted_and_counts_are_not() {
        let steps = |numbers: [i32; 4]| Tensor::<2, Int>::from_ints([numbers], &Device::flex());
        let weighed = weigh_steps(&tokens(), steps([-9, 0, 1, 1]), matrix(&[&[1.0, 2.0]])).unwrap();
        assert_eq!(values(&weighed.sum), [-13.0]);
        assert_eq!(values(&weighed.count), [3.0]);
        assert_eq!(values(&weighed.mean), [-13.0 / 3.0]);
        let outside = weigh_steps(&tokens(), steps([0, -1, 1, 7]), matrix(&[&[1.0, 2.0]])).unwrap();
        assert_eq!(values(&outside.sum), [-13.0], "the nearest step");
        let plain = weigh_steps(&tokens(), steps([0, 0, 1, 1]), matrix(&[&[1.0, 1.0]])).unwrap();
        assert_eq!(values(&plain.sum), values(&tokens().sequence().sum));
        let error = weigh_steps(&tokens(), steps([0; 4]).narrow(1, 0, 1), matrix(&[&[1.0]])).unwrap_err();
        assert_eq!(error.to_string(), "`step_of`: expected shape [1, 4], got [1, 1]");
        let error = weigh_steps(&tokens(), steps([0; 4]), matrix(&[&[1.0], &[1.0]])).unwrap_err();
        assert_eq!(error.to_string(), "`weights`: expected shape [1, 1], got [2, 1]");
        let error = weigh_steps(&tokens(), steps([0; 4]), matrix(&[&[]])).unwrap_err();
        assert_eq!(error.to_string(), "`steps`: expected at least 1, got 0");
    }
}
