//! What a likelihood or loss of this crate returns.

use accordant_ops::{ItemMetrics, ItemReduction, Means, Reduced, check_shape, reduce::reduce_items};
use burn::tensor::Tensor;

use crate::Result;

/// One negative log-likelihood (or loss) per observation, with its weight and what is logged.
///
/// # Example
/// ```
/// use accordant_preference::{ItemReduction, Nll};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let nll = Nll::new(Tensor::from_floats([1.0, 5.0], &device), Tensor::from_floats([3.0, 1.0], &device))?;
/// assert_eq!(nll.reduce(ItemReduction::Mean)?.loss.into_scalar::<f32>(), 2.0); // (3·1 + 1·5) / 4
/// assert_eq!(nll.means().mean("nll"), Some(2.0));
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Nll {
    /// The loss of each observation, `[n]`, in nats where it is a likelihood; carries the gradient.
    pub losses: Tensor<1>,
    /// The weight of each observation, `[n]`, a constant; one of weight 0 is left out.
    pub weights: Tensor<1>,
    metrics: ItemMetrics,
}

impl Nll {
    /// Losses and their weights, and nothing logged yet.
    ///
    /// # Errors
    /// A shape error naming `weights`.
    pub fn new(losses: Tensor<1>, weights: Tensor<1>) -> Result<Self> {
        check_shape("weights", &losses.dims(), &weights.dims())?;
        Ok(Self { losses, weights: weights.detach(), metrics: ItemMetrics::default() })
    }

    /// Adds a number to log, averaged as the losses are. It is detached.
    ///
    /// # Errors
    /// A shape error naming the metric.
    pub fn with_metric(mut self, name: &'static str, values: Tensor<1>) -> Result<Self> {
        self.metrics.add(name, values, self.weights.clone(), &self.losses)?;
        Ok(self)
    }

    /// Adds a number to log that only some observations have: averaged by these weights, times the observations' own. Both
    /// are detached.
    ///
    /// # Errors
    /// A shape error naming the metric.
    pub fn with_weighted_metric(mut self, name: &'static str, values: Tensor<1>, weights: Tensor<1>) -> Result<Self> {
        check_shape(name, &self.weights.dims(), &weights.dims())?;
        self.metrics.add(name, values, weights * self.weights.clone(), &self.losses)?;
        Ok(self)
    }

    /// Values and weights of the metric called `name`.
    pub fn metric(&self, name: &str) -> Option<(&Tensor<1>, &Tensor<1>)> {
        self.metrics.get(name)
    }

    /// One number with its two sums: the weighted mean (the usual reduction), or the weighted sum. Without any weight
    /// both are 0, and so are their gradients.
    ///
    /// # Errors
    /// None that a caller could cause: shapes were checked.
    pub fn reduce(&self, reduction: ItemReduction) -> Result<Reduced> {
        Ok(reduce_items(self.losses.clone(), self.weights.clone(), reduction)?)
    }

    /// Weighted means of `nll` and all metrics; reads the device once.
    ///
    /// Two more tell how the weights are spread: `effective_weight`, `(Σw)²/Σw²` of this batch, and `num_items`, the
    /// number of observations of weight > 0.
    pub fn means(&self) -> Means {
        let mut means = Means::default();
        let (mut total, mut sum, mut squares, mut items) = (0.0, 0.0, 0.0, 0.0);
        self.metrics.read([&self.losses, &self.weights], &mut means, |&[loss, weight]| {
            if weight <= 0.0 {
                return false;
            }
            total += loss * weight;
            sum += weight;
            squares += weight * weight;
            items += 1.0;
            true
        });
        means.add("nll", total, sum);
        means.add("num_items", items, 1.0);
        if squares > 0.0 {
            means.add("effective_weight", sum * sum / squares, 1.0);
        }
        means
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn tensor(values: &[f32]) -> Tensor<1> {
        Tensor::from_floats(values, &Device::flex())
    }

    #[test]
    fn an_observation_without_weight_is_left_out_whatever_it_holds() {
        let nll = Nll::new(tensor(&[1.0, f32::NAN, 3.0]), tensor(&[1.0, 0.0, 3.0])).unwrap();
        let nll = nll.with_metric("margin", tensor(&[2.0, f32::NAN, 6.0])).unwrap();
        assert_eq!(nll.reduce(ItemReduction::Mean).unwrap().loss.into_scalar::<f32>(), 2.5);
        assert_eq!(nll.reduce(ItemReduction::Sum).unwrap().loss.into_scalar::<f32>(), 10.0);
        let means = nll.means();
        assert_eq!(means.mean("nll"), Some(2.5));
        assert_eq!(means.mean("margin"), Some(5.0));
        assert_eq!(means.mean("num_items"), Some(2.0));
        assert_eq!(means.mean("effective_weight"), Some(1.6)); // 16 / 10
    }

    #[test]
    fn a_metric_may_have_weights_of_its_own() {
        let nll = Nll::new(tensor(&[0.0; 3]), tensor(&[1.0, 2.0, 3.0])).unwrap();
        let nll = nll.with_weighted_metric("share", tensor(&[1.0, 4.0, 9.0]), tensor(&[1.0, 1.0, 0.0])).unwrap();
        assert_eq!(nll.means().mean("share"), Some(3.0)); // (1 + 2 · 4) / 3
        let (values, weights) = nll.metric("share").unwrap();
        assert_eq!(values.clone().try_to_vec_as::<f32>().unwrap(), [1.0, 4.0, 9.0]);
        assert_eq!(weights.clone().try_to_vec_as::<f32>().unwrap(), [1.0, 2.0, 0.0]);
        assert!(nll.metric("other").is_none());
        assert!(nll.with_weighted_metric("short", tensor(&[1.0; 3]), tensor(&[1.0])).is_err());
    }

    #[test]
    fn nothing_weighs_nothing() {
        let nll = Nll::new(tensor(&[1.0]), tensor(&[0.0])).unwrap();
        assert_eq!(nll.reduce(ItemReduction::Mean).unwrap().loss.into_scalar::<f32>(), 0.0);
        assert_eq!(nll.means().mean("nll"), None);
        assert_eq!(nll.means().mean("effective_weight"), None);
    }

    #[test]
    fn weights_and_metrics_of_another_length_are_errors() {
        assert!(Nll::new(tensor(&[1.0, 2.0]), tensor(&[1.0])).is_err());
        let nll = Nll::new(tensor(&[1.0, 2.0]), tensor(&[1.0, 1.0])).unwrap();
        assert!(nll.with_metric("margin", tensor(&[1.0])).is_err());
    }
}
