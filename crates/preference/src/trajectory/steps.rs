//! One number for each step of a batch of segments.

use accordant_ops::{check_domain, check_shape, masked::masked_sum};
use burn::tensor::{Bool, Tensor};

use crate::Result;

/// Rewards, advantages or log-probabilities of the steps of each segment, `[n, time]`, and which steps there are.
///
/// # Example
/// ```
/// use accordant_preference::trajectory::Steps;
/// use burn::tensor::{Device, Tensor, TensorData};
/// let device = Device::flex();
/// let rewards = Tensor::from_floats([[4.0, 2.0, 1.0], [3.0, f32::NAN, f32::NAN]], &device);
/// let mask = Tensor::from_bool(TensorData::from([[true, true, true], [true, false, false]]), &device);
/// let sums = Steps::new(rewards, mask)?.sums(0.5)?;
/// assert_eq!(sums.into_data().to_vec::<f32>().unwrap(), [5.25, 3.0]); // 4 + 2/2 + 1/4
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Steps {
    values: Tensor<2>,
    mask: Tensor<2, Bool>,
}

impl Steps {
    /// Numbers and which of them count; a masked step may hold anything.
    ///
    /// # Errors
    /// A shape error naming `mask`.
    pub fn new(values: Tensor<2>, mask: Tensor<2, Bool>) -> Result<Self> {
        check_shape("mask", &values.dims(), &mask.dims())?;
        Ok(Self { values, mask })
    }

    /// Segments of one length: every step counts.
    pub fn full(values: Tensor<2>) -> Self {
        let mask = values.zeros_like().detach().equal_scalar(0.0);
        Self { values, mask }
    }

    /// The numbers, `[n, time]`.
    pub fn values(&self) -> Tensor<2> {
        self.values.clone()
    }

    /// True where a step counts, `[n, time]`.
    pub fn mask(&self) -> Tensor<2, Bool> {
        self.mask.clone()
    }

    /// How many steps each segment has, `[n]`.
    pub fn lengths(&self) -> Tensor<1> {
        self.values.ones_like().detach().mask_fill(self.mask.clone().bool_not(), 0.0).sum_dim(1).squeeze_dim(1)
    }

    /// `Σ_t γ^t value_t` of each segment, `[n]`, where `t` counts the steps that there are, from 0: padding in front
    /// discounts nothing. 0 for a segment without a step. In f32, f64 for f64 values.
    ///
    /// # Errors
    /// A domain error for a `discount` γ outside of (0, 1].
    pub fn sums(&self, discount: f64) -> Result<Tensor<1>> {
        check_discount(discount)?;
        let values = match discount == 1.0 || self.values.dims().contains(&0) {
            true => self.values.clone(),
            false => self.values.clone() * (self.places() * discount.ln()).exp(),
        };
        Ok(masked_sum(values, self.mask.clone())?)
    }

    /// How many steps of the segment come before each, `[n, time]`.
    fn places(&self) -> Tensor<2> {
        let ones = self.values.ones_like().detach().mask_fill(self.mask.clone().bool_not(), 0.0);
        ones.cumsum(1) - 1.0
    }

    /// Whether both have the same shape.
    pub(crate) fn like(&self, name: &'static str, values: &Tensor<2>) -> Result<()> {
        Ok(check_shape(name, &self.values.dims(), &values.dims())?)
    }
}

/// The domain of a discount, shared by the family.
pub(crate) fn check_discount(discount: f64) -> Result<()> {
    Ok(check_domain(discount > 0.0 && discount <= 1.0, "discount", "in (0, 1]", discount)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trajectory::testing::{check, close, mask, rows, values};

    fn steps() -> Steps {
        let values = rows([[4.0, 2.0, 1.0], [f64::NAN, 3.0, 6.0], [f64::NAN; 3], [5.0, f64::INFINITY, 2.0]]);
        Steps::new(values, mask([[1, 1, 1], [0, 1, 1], [0, 0, 0], [1, 0, 1]])).unwrap()
    }

    #[test]
    fn a_masked_step_is_no_step_wherever_it_stands() {
        close(&values(steps().sums(1.0).unwrap()), &[7.0, 9.0, 0.0, 7.0], 0.0);
        close(&values(steps().sums(0.5).unwrap()), &[5.25, 6.0, 0.0, 6.0], 1e-12);
        close(&values(steps().lengths()), &[3.0, 2.0, 0.0, 2.0], 0.0);
        let full = Steps::full(rows([[4.0, 2.0], [f64::NAN, 1.0]]));
        close(&values(full.sums(0.5).unwrap())[..1], &[5.0], 1e-12);
        assert!(values(full.sums(1.0).unwrap())[1].is_nan(), "a step that counts is not left out");
    }

    #[test]
    fn the_gradient_of_a_step_is_its_discount() {
        let sums = |x: Tensor<1>| {
            let steps = Steps::new(x.reshape([2, 3]), mask([[1, 1, 1], [0, 1, 1]])).unwrap();
            steps.sums(0.9).unwrap()
        };
        close(&check(&[1.0, 2.0, 3.0, -1.0, 0.5, 2.0], sums), &[1.0, 0.9, 0.81, 0.0, 1.0, 0.9], 1e-12);
    }

    #[test]
    fn a_batch_without_steps_sums_to_nothing() {
        let none = Steps::full(Tensor::zeros([2, 0], &burn::tensor::Device::flex()));
        assert_eq!(values(none.sums(0.5).unwrap()), [0.0, 0.0]);
    }

    #[test]
    fn discounts_and_shapes_are_checked() {
        for discount in [0.0, -0.5, 1.5, f64::NAN] {
            let error = steps().sums(discount).unwrap_err().to_string();
            assert!(error.starts_with("`discount`: expected in (0, 1]"), "{error}");
        }
        assert!(Steps::new(rows([[1.0, 2.0]]), mask([[1]])).unwrap_err().to_string().starts_with("`mask`"));
        assert!(steps().like("other", &rows([[1.0]])).unwrap_err().to_string().starts_with("`other`"));
    }
}
