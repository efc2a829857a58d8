//! Log-probabilities of given token ids, from hidden states and an output head or from logits.
//!
//! This is the one place in the workspace where hidden states become log-probabilities, so that the memory-hungry step
//! exists once. [`selected_logps`] materializes the logits of the rows it is given: hand it only the rows that are
//! scored (see `accordant-train`'s `score`), not the whole padded batch.

use burn::tensor::{DType, FloatDType, Int, Tensor, activation::log_softmax};

use crate::{Result, check_domain, check_shape};

/// The log-probability of each given id, `[n]`, and the log-sum-exp of its row of logits, `[n]`.
#[derive(Debug, Clone)]
pub struct SelectedLogps {
    /// `log softmax(logits)[id]`, natural logarithm.
    pub logps: Tensor<1>,
    /// `log Σ_v exp(logits[v])`.
    pub lse: Tensor<1>,
}

/// Log-probabilities of `ids` under the logits `hidden · weightᵀ / temperature`, in f32 (f64 for f64 input).
///
/// # Shapes
/// `hidden`: `[n, h]`, `weight`: `[v, h]`, `ids`: `[n]`, each in `0..v` (not checked here: a check would synchronize
/// the device; the batches of `accordant-data` are checked when they are made).
///
/// # Errors
/// [`crate::Error::ShapeMismatch`] when the shapes do not fit; [`crate::Error::Domain`] when `temperature` is not
/// finite and > 0.
///
/// # Example
/// ```
/// use accordant_ops::selected::selected_logps;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let hidden = Tensor::from_floats([[0.0, 0.0]], &device);
/// let weight = Tensor::ones([4, 2], &device);
/// let selected = selected_logps(hidden, weight, Tensor::from_ints([3], &device), 1.0)?;
/// // Four equal logits: each id has probability 1/4.
/// assert!((selected.logps.into_scalar::<f32>() + 4f32.ln()).abs() < 1e-6);
/// # Ok::<(), accordant_ops::Error>(())
/// ```
pub fn selected_logps(
    hidden: Tensor<2>,
    weight: Tensor<2>,
    ids: Tensor<1, Int>,
    temperature: f64,
) -> Result<SelectedLogps> {
    let [n, h] = hidden.dims();
    check_shape("weight", &[weight.dims()[0], h], &weight.dims())?;
    check_shape("ids", &[n], &ids.dims())?;
    check_domain(temperature.is_finite() && temperature > 0.0, "temperature", "finite and > 0", temperature)?;
    let logits = hidden.matmul(weight.transpose());
    // Log-probabilities of bf16 logits are off by 0.03 nat a token: go to f32 first.
    let logits = if logits.dtype() == DType::F64 { logits } else { logits.cast(FloatDType::F32) };
    // Not `/ temperature`: burn 0.22.1 takes the gradient of a division by a scalar through f32.
    let logits = if temperature == 1.0 { logits } else { logits * temperature.recip() };
    let index = ids.unsqueeze_dim::<2>(1);
    let logps: Tensor<1> = log_softmax(logits.clone(), 1).gather(1, index.clone()).squeeze_dim(1);
    let lse = logits.gather(1, index).squeeze_dim::<1>(1).detach() - logps.clone().detach();
    Ok(SelectedLogps { logps, lse })
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::Error;

    #[test]
    fn a_temperature_divides_the_logits() {
        let device = Device::flex();
        // Logits [2, 0] at temperature 2 are [1, 0]: log p(0) = 1 - ln(e + 1), lse = ln(e + 1).
        let hidden = Tensor::from_floats([[2.0]], &device);
        let weight = Tensor::from_floats([[1.0], [0.0]], &device);
        let selected = selected_logps(hidden, weight, Tensor::from_ints([0], &device), 2.0).unwrap();
        let lse = (1f32.exp() + 1.0).ln();
        assert!((selected.lse.into_scalar::<f32>() - lse).abs() < 1e-6);
        assert!((selected.logps.into_scalar::<f32>() - (1.0 - lse)).abs() < 1e-6);
    }

    #[test]
    fn the_gradient_under_a_temperature_is_right_to_the_last_digits() {
        // One hidden unit x, logits [x, 0]/τ: d log p(0)/dx = σ(−x/τ)/τ. A division by τ would lose half the digits.
        let device = Device::flex().autodiff();
        let f64s = |values: Vec<f64>, shape: [usize; 2]| {
            Tensor::<2>::from_data(burn::tensor::TensorData::new(values, shape), (&device, DType::F64))
        };
        let hidden = f64s(vec![0.3], [1, 1]).require_grad();
        let ids = Tensor::from_ints([0], &device);
        let selected = selected_logps(hidden.clone(), f64s(vec![1.0, 0.0], [2, 1]), ids, 0.7).unwrap();
        let grad = hidden.grad(&selected.logps.backward()).unwrap().into_scalar::<f64>();
        let expected = 1.0 / (1.0 + (0.3f64 / 0.7).exp()) / 0.7;
        assert!((grad / expected - 1.0).abs() < 1e-14, "{grad}");
    }

    #[test]
    fn probabilities_sum_to_one_and_extreme_logits_stay_finite() {
        let device = Device::flex();
        let hidden = Tensor::<2>::from_floats([[1e4, -1e4]], &device);
        let weight = Tensor::<2>::from_floats([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]], &device);
        let rows = Tensor::cat(vec![hidden.clone(), hidden.clone(), hidden], 0);
        let selected = selected_logps(rows, weight, Tensor::from_ints([0, 1, 2], &device), 1.0).unwrap();
        let logps = selected.logps.try_to_vec_as::<f32>().unwrap();
        assert_eq!(logps, [0.0, -2e4, -1e4]);
    }

    #[test]
    fn ids_of_another_length_are_an_error() {
        let device = Device::flex();
        let result = selected_logps(
            Tensor::zeros([2, 3], &device),
            Tensor::zeros([5, 3], &device),
            Tensor::from_ints([0], &device),
            1.0,
        );
        assert!(matches!(result, Err(Error::ShapeMismatch { name: "ids", .. })));
    }

    #[test]
    fn a_temperature_of_zero_is_an_error() {
        let device = Device::flex();
        for temperature in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let result = selected_logps(
                Tensor::zeros([1, 3], &device),
                Tensor::zeros([5, 3], &device),
                Tensor::from_ints([0], &device),
                temperature,
            );
            assert!(matches!(result, Err(Error::Domain { name: "temperature", .. })));
        }
    }
}
