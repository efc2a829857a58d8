//! Squared error of a critic, clipped around its earlier prediction.
//!
//! **Papers:** Proximal Policy Optimization Algorithms (2017), 1707.06347, whose authors' code clips; Implementation
//! Matters in Deep Policy Gradients: A Case Study on PPO and TRPO (2020), 2005.12729, which describes it.
//! **Use when:** the critic of PPO is trained; without a clip it is half the mean squared error.
//! **Checked by:** golden numbers (TRL 1.9), values by hand, finite differences.
//! **Deviations:** none. TRL always clips, OpenRLHF if asked to, verl with a range of 0.5.

use accordant_ops::check_domain;
use burn::config::Config;

use super::{ValueBatch, ValueObjective, ValueOutput};
use crate::{Error, Result};

/// Losses of predictions `V` against returns, where a prediction that has moved far counts as if it had not.
///
/// ```text
/// ½ max((V − ret)², (clip(V, V_old − e, V_old + e) − ret)²)
/// ```
///
/// The loss has no gradient where the clipped square is the larger one: there, the prediction has already moved by `e`
/// towards the return. It is never below half the squared error, and equal to it for a wide range or none. Quadratic: an
/// error of 1e4 gives 5e7. A kept NaN of `V` or the return gives NaN.
///
/// # Shapes
/// `[batch, seq]`. `cliprange` (e) has the unit of the values; none for no clip.
///
/// # Errors
/// [`Error::MissingColumn`] when there is a range and the batch has no old values; a domain error naming `cliprange`.
///
/// # Example
/// ```
/// use accordant_objectives::value::{ValueBatch, clipped_value::clipped_value_losses};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let one = |value: f32| Tensor::<2>::from_floats([[value]], &device);
/// let batch = ValueBatch::new(one(1.0), one(2.0), Tensor::from_bool([[true]], &device))?.with_old_values(one(0.5))?;
/// let output = clipped_value_losses(&batch, Some(0.25))?;
/// assert_eq!(output.losses.into_scalar::<f32>(), 0.78125); // ½ (0.75 − 2)²
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "1707.06347")]
#[doc(alias = "2005.12729")]
#[doc(alias = "critic loss")]
#[doc(alias = "value function loss")]
pub fn clipped_value_losses(batch: &ValueBatch, cliprange: Option<f64>) -> Result<ValueOutput> {
    let (values, returns) = (batch.values(), batch.returns());
    let squares = (values.clone() - returns.clone()).square();
    let Some(range) = cliprange else { return ValueOutput::unclipped(squares * 0.5, batch) };
    check_range(range)?;
    let meaning = "what the critic predicted when the rollouts were made";
    let old =
        batch.old_values().ok_or(Error::MissingColumn { method: "clipped_value", name: "old_values", meaning })?;
    let (low, high) = (old.clone() - range, old + range);
    // By selection: within the range the prediction stays what it is to the last digit, and so does its square.
    let (below, above) = (values.clone().lower(low.clone()), values.clone().greater(high.clone()));
    let moved = values.mask_where(below, low).mask_where(above, high);
    let moved = (moved - returns).square();
    let clipped = moved.clone().greater(squares.clone());
    ValueOutput::new(squares.mask_where(clipped.clone(), moved) * 0.5, clipped, batch)
}

fn check_range(range: f64) -> Result<()> {
    Ok(check_domain(range.is_finite() && range > 0.0, "cliprange", "finite and > 0", range)?)
}

/// Configuration of [`ClippedValue`].
#[derive(Config, Debug, PartialEq)]
pub struct ClippedValueConfig {
    /// How far a prediction may move from the earlier one, finite and > 0; none for no limit. 0.2: TRL's; verl takes
    /// 0.5.
    #[config(default = "Some(0.2)")]
    pub cliprange: Option<f64>,
}

impl ClippedValueConfig {
    /// Checks the field.
    ///
    /// # Errors
    /// A domain error naming it.
    pub fn init(&self) -> Result<ClippedValue> {
        self.cliprange.map_or(Ok(()), check_range)?;
        Ok(ClippedValue { config: self.clone() })
    }
}

/// The clipped squared error; see [`clipped_value_losses`].
#[derive(Debug, Clone, PartialEq)]
pub struct ClippedValue {
    config: ClippedValueConfig,
}

impl ValueObjective for ClippedValue {
    fn forward(&self, batch: &ValueBatch) -> Result<ValueOutput> {
        clipped_value_losses(batch, self.config.cliprange)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        advantage::scan::tests::{grid, keep, near},
        value::tests::{batch, check_objective, flat, values_and_gradients},
    };

    fn clipped(range: Option<f64>) -> ClippedValue {
        ClippedValueConfig::new().with_cliprange(range).init().unwrap()
    }

    fn with_old(values: &[f64], old: &[f64], returns: &[f64]) -> ValueBatch {
        let old = grid(&old.iter().map(|old| [*old]).collect::<Vec<_>>());
        batch(values, returns).with_old_values(old).unwrap()
    }

    #[test]
    fn values_by_hand_on_every_side() {
        // The specification's; its mirror image; moved away from the return; within the range; beyond, but better off.
        let values = [1.0, -1.0, 0.0, 0.6, 3.0];
        let old = [0.5, -0.5, 0.5, 0.5, 0.5];
        let returns = [2.0, -2.0, 2.0, 2.0, 0.5];
        let output = clipped(Some(0.2)).forward(&with_old(&values, &old, &returns)).unwrap();
        near(&flat(&output.losses), &[0.845, 0.845, 2.0, 0.98, 3.125], 1e-15);
        let marks: Vec<bool> = output.clipped.to_data().iter::<bool>().collect();
        assert_eq!(marks, [true, true, false, false, false]);
        assert_eq!(output.metrics().value_clip_frac(), 0.4);
        let half: Vec<f64> = values.iter().zip(returns).map(|(v, r)| 0.5 * (v - r) * (v - r)).collect();
        for range in [None, Some(1e3)] {
            let output = clipped(range).forward(&with_old(&values, &old, &returns)).unwrap();
            assert_eq!(flat(&output.losses), half);
            assert_eq!(output.metrics().value_clip_frac(), 0.0);
        }
    }

    #[test]
    fn the_gradient_is_the_error_or_nothing() {
        let (values, old, returns) = ([1.0, 0.0, 0.6, -1.0], [0.5, 0.5, 0.5, -0.5], [2.0; 4]);
        let loss = |values: &[f64]| {
            let tracked = with_old(values, &old, &returns);
            values_and_gradients(tracked, &clipped(Some(0.2)))
        };
        near(&loss(&values).1, &[0.0, -2.0, -1.4, -3.0], 1e-15);
    }

    #[test]
    fn it_keeps_the_contract_of_value_objectives() {
        check_objective(&clipped(Some(0.2)));
        check_objective(&clipped(None));
    }

    #[test]
    fn within_the_range_nothing_is_rounded() {
        // 0.1 + (0.3 − 0.1) is not 0.3.
        let output = clipped(Some(0.5)).forward(&with_old(&[0.3, 0.3], &[0.1, 0.1], &[5.0, -5.0])).unwrap();
        assert_eq!(output.metrics().value_clip_frac(), 0.0);
    }

    #[test]
    fn senseless_input_is_refused_by_name() {
        assert_eq!(ClippedValueConfig::new().cliprange, Some(0.2));
        for range in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let error = ClippedValueConfig::new().with_cliprange(Some(range)).init().unwrap_err();
            assert!(error.to_string().starts_with("`cliprange`"));
            assert!(clipped_value_losses(&with_old(&[1.0], &[0.0], &[1.0]), Some(range)).is_err());
        }
        let error = clipped(Some(0.2)).forward(&batch(&[1.0], &[2.0])).unwrap_err();
        assert!(matches!(error, Error::MissingColumn { method: "clipped_value", name: "old_values", .. }));
        let error = ValueBatch::new(grid(&[[0.0]; 2]), grid(&[[0.0]]), keep(&[[1]; 2])).unwrap_err().to_string();
        assert_eq!(error, "`returns`: expected shape [2, 1], got [1, 1]");
        let error = ValueBatch::new(grid(&[[0.0]; 2]), grid(&[[0.0]; 2]), keep(&[[1]])).unwrap_err().to_string();
        assert_eq!(error, "`mask`: expected shape [2, 1], got [1, 1]");
        let error = batch(&[1.0, 2.0], &[1.0, 2.0]).with_old_values(grid(&[[0.0]])).unwrap_err().to_string();
        assert_eq!(error, "`old_values`: expected shape [2, 1], got [1, 1]");
    }
}
