//! What losses of critics return, and what is logged of them.

use accordant_ops::{Aggregation, EmptyRows, Means, Reduced, check_shape, reduce::reduce_tokens};
use burn::tensor::{Bool, Tensor};

use super::ValueBatch;
use crate::{Moments, Result, advantage::scan::Reader};

/// Losses of a critic's predictions, `[batch, seq]`.
#[derive(Debug, Clone)]
pub struct ValueOutput {
    /// 0 behind the mask.
    pub losses: Tensor<2>,
    /// True where a clip decided the loss, so that it has no gradient.
    pub clipped: Tensor<2, Bool>,
    pub(super) values: Tensor<2>,
    pub(super) returns: Tensor<2>,
    mask: Tensor<2, Bool>,
}

impl ValueOutput {
    /// The output for `losses` of which `clipped` have no gradient.
    ///
    /// # Errors
    /// A shape error naming `losses` or `clipped`.
    pub fn new(losses: Tensor<2>, clipped: Tensor<2, Bool>, batch: &ValueBatch) -> Result<Self> {
        check_shape("losses", &batch.mask.dims(), &losses.dims())?;
        check_shape("clipped", &batch.mask.dims(), &clipped.dims())?;
        let (values, returns) = (batch.values().detach(), batch.returns());
        Ok(Self { losses, clipped, values, returns, mask: batch.mask.clone() })
    }

    /// The output for `losses` that no clip decides.
    ///
    /// # Errors
    /// A shape error naming `losses`.
    pub fn unclipped(losses: Tensor<2>, batch: &ValueBatch) -> Result<Self> {
        let none = batch.mask.clone().bool_xor(batch.mask.clone());
        Self::new(losses, none, batch)
    }

    /// The losses as one number; rows without a kept prediction are left out of means over rows.
    ///
    /// # Errors
    /// A domain error of the aggregation's constant.
    pub fn reduce(&self, aggregation: Aggregation) -> Result<Reduced> {
        Ok(reduce_tokens(self.losses.clone(), self.mask.clone(), aggregation, EmptyRows::Skip)?)
    }

    /// What is logged of this batch alone; see [`ValueMetrics::add`].
    pub fn metrics(&self) -> ValueMetrics {
        let mut metrics = ValueMetrics::default();
        metrics.add(self);
        metrics
    }
}

/// What is logged of a critic, over all kept predictions of the batches that were added; every one counts the same.
///
/// # Example
/// ```
/// use accordant_objectives::value::{ValueBatch, ValueObjective, clipped_value::ClippedValueConfig};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let values = Tensor::from_floats([[1.0, 1.0]], &device);
/// let returns = Tensor::from_floats([[0.0, 2.0]], &device);
/// let batch = ValueBatch::new(values, returns, Tensor::from_bool([[true, true]], &device))?;
/// let metrics = ClippedValueConfig::new().with_cliprange(None).init()?.forward(&batch)?.metrics();
/// // A constant explains nothing, but is not wrong on average.
/// assert_eq!((metrics.value_loss(), metrics.explained_variance()), (0.5, 0.0));
/// assert_eq!((metrics.value_mean(), metrics.return_mean()), (1.0, 1.0));
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ValueMetrics {
    losses: Moments,
    clipped: Moments,
    values: Moments,
    /// Less `origin`: equal returns differ from it by exactly the same, so that their variance is exactly 0.
    returns: Moments,
    errors: Moments,
    /// The first return.
    origin: f64,
}

impl ValueMetrics {
    /// Takes in a batch; reads the device once.
    pub fn add(&mut self, output: &ValueOutput) {
        let reader = Reader::default().bools(&output.mask).bools(&output.clipped).floats(&output.losses);
        let mut columns = reader.floats(&output.values).floats(&output.returns).read();
        let (mask, clipped) = (columns.bools(), columns.bools());
        let (losses, values, returns) = (columns.floats(), columns.floats(), columns.floats());
        let kept: Vec<usize> = (0..mask.len()).filter(|at| mask[*at]).collect();
        if let (0.0, Some(&first)) = (self.num_tokens(), kept.first()) {
            self.origin = returns[first];
        }
        let add = |moments: &mut Moments, number: &dyn Fn(usize) -> f64| {
            moments.add(&kept.iter().map(|at| number(*at)).collect::<Vec<_>>());
        };
        add(&mut self.losses, &|at| losses[at]);
        add(&mut self.clipped, &|at| f64::from(u8::from(clipped[at])));
        add(&mut self.values, &|at| values[at]);
        let origin = self.origin;
        add(&mut self.returns, &|at| returns[at] - origin);
        add(&mut self.errors, &|at| returns[at] - values[at]);
    }

    /// The number of predictions; all else is 0 when there is none.
    pub fn num_tokens(&self) -> f64 {
        self.losses.count
    }

    /// Mean loss of a prediction.
    pub fn value_loss(&self) -> f64 {
        self.losses.mean
    }

    /// Share of predictions whose loss a clip decided.
    pub fn value_clip_frac(&self) -> f64 {
        self.clipped.mean
    }

    /// `1 − Var(returns − values) / Var(returns)`: 1 for a critic that is right up to a constant, 0 for a constant, and
    /// negative for one that is worse. 0 where the returns are all the same.
    pub fn explained_variance(&self) -> f64 {
        if self.returns.variance == 0.0 { 0.0 } else { 1.0 - self.errors.variance / self.returns.variance }
    }

    /// Mean prediction.
    pub fn value_mean(&self) -> f64 {
        self.values.mean
    }

    /// Mean return.
    pub fn return_mean(&self) -> f64 {
        self.origin + self.returns.mean
    }

    /// All of them under their names, weighted by the number of predictions. Merging means of parts is exact for all but
    /// `explained_variance`, which [`ValueMetrics::add`] takes over the whole.
    pub fn means(&self) -> Means {
        let (mut means, count) = (Means::default(), self.num_tokens());
        for (name, mean) in [
            ("value_loss", self.value_loss()),
            ("value_clip_frac", self.value_clip_frac()),
            ("explained_variance", self.explained_variance()),
            ("value_mean", self.value_mean()),
            ("return_mean", self.return_mean()),
        ] {
            means.add(name, mean * count, count);
        }
        means
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        advantage::scan::tests::{grid, keep, near},
        pairwise::tests::column,
    };

    fn output(losses: &[[f64; 3]], clipped: &[[u8; 3]], values: &[[f64; 3]], returns: &[[f64; 3]]) -> ValueOutput {
        let mask = vec![[1, 1, 0]; losses.len()];
        let batch = ValueBatch::new(grid(values), grid(returns), keep(&mask)).unwrap();
        ValueOutput::new(grid(losses), keep(clipped), &batch).unwrap()
    }

    const JUNK: f64 = f64::NAN;

    fn first() -> ValueOutput {
        output(&[[1.0, 2.0, JUNK]], &[[0, 1, 1]], &[[0.5, 1.5, JUNK]], &[[1.0, 3.0, JUNK]])
    }

    fn second() -> ValueOutput {
        output(&[[6.0, 3.0, 9.0]], &[[0, 0, 1]], &[[2.0, 2.0, 9.0]], &[[4.0, 0.0, 9.0]])
    }

    fn numbers(metrics: &ValueMetrics) -> [f64; 5] {
        let loss = [metrics.value_loss(), metrics.value_clip_frac(), metrics.explained_variance()];
        [loss[0], loss[1], loss[2], metrics.value_mean(), metrics.return_mean()]
    }

    #[test]
    fn metrics_by_hand_over_one_batch_and_over_two() {
        // Returns 1, 3: variance 1; errors 0.5, 1.5: variance 1/4.
        near(&numbers(&first().metrics()), &[1.5, 0.5, 0.75, 1.0, 2.0], 1e-15);
        let mut metrics = first().metrics();
        metrics.add(&second());
        assert_eq!(metrics.num_tokens(), 4.0);
        // Returns 1, 3, 4, 0: variance 2.5. Errors 0.5, 1.5, 2, −2: mean 0.5, variance (0 + 1 + 2.25 + 6.25)/4.
        near(&numbers(&metrics), &[3.0, 0.25, 1.0 - 2.375 / 2.5, 1.5, 2.0], 1e-15);
        let mut whole = second().metrics();
        whole.add(&first());
        near(&numbers(&whole), &numbers(&metrics), 1e-14);
        let means = metrics.means();
        assert_eq!((means.mean("value_loss"), means.mean("value_clip_frac")), (Some(3.0), Some(0.25)));
        assert_eq!((means.mean("value_mean"), means.mean("return_mean")), (Some(1.5), Some(2.0)));
        assert!((means.mean("explained_variance").unwrap() - 0.05).abs() < 1e-14);
        assert_eq!(means.iter().count(), 5);
    }

    #[test]
    fn equal_returns_explain_nothing_and_no_prediction_is_nothing() {
        // The mean of three 0.1 is not 0.1, and a variance of 1e-34 would explain anything.
        let losses = [[0.0; 3]; 3];
        let same = output(&losses, &[[0; 3]; 3], &[[0.1, 0.2, 0.0]; 3], &[[0.1; 3]; 3]);
        assert_eq!(same.metrics().explained_variance(), 0.0);
        assert!((same.metrics().return_mean() - 0.1).abs() < 1e-16);
        let mut later = first().metrics();
        later.add(&same);
        let mut sooner = same.metrics();
        sooner.add(&first());
        near(&numbers(&later), &numbers(&sooner), 1e-14);
        let none = output(&[], &[], &[], &[]);
        assert_eq!(numbers(&none.metrics()), [0.0; 5]);
        assert_eq!(none.metrics().means().iter().count(), 0);
        let mut metrics = first().metrics();
        metrics.add(&none);
        assert_eq!(metrics, first().metrics());
    }

    #[test]
    fn losses_are_reduced_over_the_mask() {
        let losses = second().reduce(Aggregation::TokenMean).unwrap();
        assert_eq!(column(&losses.loss), [4.5]);
        assert_eq!(column(&second().reduce(Aggregation::GlobalTokens(18.0)).unwrap().loss), [0.5]);
        assert!(second().reduce(Aggregation::ConstantLength(0)).is_err());
        let batch = ValueBatch::new(grid(&[[0.0; 2]]), grid(&[[0.0; 2]]), keep(&[[1, 1]])).unwrap();
        let error = ValueOutput::unclipped(grid(&[[0.0; 1]]), &batch).unwrap_err().to_string();
        assert_eq!(error, "`losses`: expected shape [1, 2], got [1, 1]");
        let error = ValueOutput::new(grid(&[[0.0; 2]]), keep(&[[1]]), &batch).unwrap_err().to_string();
        assert_eq!(error, "`clipped`: expected shape [1, 2], got [1, 1]");
        let unclipped = ValueOutput::unclipped(grid(&[[4.0, 2.0]]), &batch).unwrap().metrics();
        assert_eq!((unclipped.value_loss(), unclipped.value_clip_frac()), (3.0, 0.0));
    }
}
