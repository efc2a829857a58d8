//! What a pairwise objective returns.

use std::borrow::Cow;

use accordant_ops::{
    ItemMetrics, ItemReduction, Means, Reduced, check_dtype, check_shape, item_metrics::counted, reduce::reduce_items,
};
use burn::tensor::Tensor;

use super::{PairBatch, PairValues};
use crate::Result;

/// What a pairwise objective returns, one entry per pair, all `[n]`; everything but `losses` is detached.
#[derive(Debug, Clone)]
pub struct PairOutput {
    /// The loss of each pair; carries the gradient.
    pub losses: Tensor<1>,
    /// The weight of each pair in the mean.
    pub weights: Tensor<1>,
    /// Implicit rewards of the chosen responses: `beta` times the log-ratio, or times the log-probability that a
    /// reference-free method uses.
    pub chosen_rewards: Tensor<1>,
    /// Implicit rewards of the rejected responses.
    pub rejected_rewards: Tensor<1>,
    /// Summed log-probabilities of the chosen responses under the policy.
    pub chosen_logps: Tensor<1>,
    /// Summed log-probabilities of the rejected responses under the policy.
    pub rejected_logps: Tensor<1>,
    reference_chosen_logps: Option<Tensor<1>>,
    metrics: ItemMetrics,
}

impl PairOutput {
    /// Losses with the rewards `beta · d` of a batch, or `beta · L` where it has no reference.
    pub fn new(losses: Tensor<1>, batch: &PairBatch, beta: f64) -> Self {
        // Constants, of which nothing is recorded for a backward pass.
        let sums = batch.policy().sums().map(Tensor::detach);
        let values = batch.less_reference(sums.clone()).unwrap_or(sums);
        Self::with_rewards(losses, batch, values.map(|value| batch.times_beta(value, beta)))
    }

    /// Losses with rewards of the method's own. Losses are multiplied by the batch's scales here.
    pub fn with_rewards(losses: Tensor<1>, batch: &PairBatch, rewards: PairValues) -> Self {
        let policy = batch.policy();
        Self {
            losses: scaled(losses, batch),
            weights: batch.weights(),
            chosen_rewards: rewards.chosen.detach(),
            rejected_rewards: rewards.rejected.detach(),
            chosen_logps: policy.chosen.sum.clone().detach(),
            rejected_logps: policy.rejected.sum.clone().detach(),
            reference_chosen_logps: batch.reference().map(|reference| reference.chosen.sum.clone()),
            metrics: ItemMetrics::default(),
        }
    }

    /// Adds a term to the losses, `[n]`. It is multiplied by the batch's scales, as the losses have been.
    ///
    /// # Errors
    /// A shape or dtype error naming `term`.
    pub fn with_added(mut self, batch: &PairBatch, term: Tensor<1>) -> Result<Self> {
        check_shape("term", &self.losses.dims(), &term.dims())?;
        check_dtype("term", self.losses.dtype(), term.dtype())?;
        self.losses = self.losses + scaled(term, batch);
        Ok(self)
    }

    /// Adds a number that this method logs, `values` averaged over pairs of weight > 0. Both are detached.
    ///
    /// # Errors
    /// A shape error naming the metric.
    pub fn with_metric(self, name: &'static str, values: Tensor<1>) -> Result<Self> {
        let weights = counted(&self.weights);
        self.with_weighted_metric(name, values, weights)
    }

    /// Adds a number that this method logs, `Σ weights · values / Σ weights` over pairs of weight > 0: a mean over
    /// tokens, say. Both are detached.
    ///
    /// # Errors
    /// A shape error naming the metric.
    pub fn with_weighted_metric(mut self, name: &'static str, values: Tensor<1>, weights: Tensor<1>) -> Result<Self> {
        self.metrics.add(name, values, weights, &self.losses)?;
        Ok(self)
    }

    /// Outputs on one batch as one: the sum of `weight · losses`, with the rewards of the first. What a part logs keeps
    /// its name, behind the part's label where another part logs under the same; `loss/label` is the part's own loss.
    /// None without a part.
    pub(super) fn sum(parts: Vec<(&str, f64, Self)>) -> Option<Self> {
        let part = |(label, _, part): &(&str, f64, Self)| {
            let mut about = ItemMetrics::default();
            about.push(format!("loss/{label}"), part.losses.clone(), part.weights.clone());
            (label.to_string(), about, part.metrics.clone())
        };
        let metrics = ItemMetrics::joined(parts.iter().map(part).collect());
        let sum = parts.into_iter().map(|(_, weight, part)| Self { losses: part.losses.clone() * weight, ..part });
        let sum = sum.reduce(|sum, part| Self { losses: sum.losses + part.losses, ..sum })?;
        Some(Self { metrics, ..sum })
    }

    /// What [`PairOutput::with_metric`] added, by name: values and weights, `[n]`.
    pub fn metric(&self, name: &str) -> Option<(&Tensor<1>, &Tensor<1>)> {
        self.metrics.get(name)
    }

    /// Everything that is logged, by name, `[n]` each.
    pub(super) fn logged(&self) -> Vec<(Cow<'static, str>, Tensor<1>)> {
        let family = [
            ("rewards/chosen", &self.chosen_rewards),
            ("rewards/rejected", &self.rejected_rewards),
            ("logps/chosen", &self.chosen_logps),
            ("logps/rejected", &self.rejected_logps),
        ];
        let family = family.map(|(name, values)| (Cow::Borrowed(name), values));
        family.into_iter().chain(self.metrics.named()).map(|(name, values)| (name, values.clone())).collect()
    }

    /// The weighted mean of the losses, with its numerator and denominator.
    ///
    /// # Errors
    /// None for an output made by a method of this crate; a shape error for one put together by hand.
    pub fn reduce(&self) -> Result<Reduced> {
        Ok(reduce_items(self.losses.clone(), self.weights.clone(), ItemReduction::Mean)?)
    }

    /// What is logged, over pairs of weight > 0: `loss`, `rewards/chosen`, `rewards/rejected`, `rewards/margins`,
    /// `rewards/accuracies` (a tie counts one half, and `rewards/ties` says how many there are), `logps/chosen`,
    /// `logps/rejected`, and `frac_chosen_logp_down`, the share of pairs whose chosen response has become less likely
    /// than under the reference. Only the loss is weighted. `frac_skipped` is the share of all pairs that has weight 0:
    /// an empty side, or none given. Reads the device once; sums run in f64.
    pub fn means(&self) -> Means {
        let family = [
            // Without a reference nothing is displaced.
            self.reference_chosen_logps.as_ref().unwrap_or(&self.chosen_logps),
            &self.losses,
            &self.weights,
            &self.chosen_rewards,
            &self.rejected_rewards,
            &self.chosen_logps,
            &self.rejected_logps,
        ];
        let mut means = Means::default();
        let (mut pairs, mut kept, mut sums) = (0.0, 0.0, [0.0; 9]);
        self.metrics.read(
            family,
            &mut means,
            |&[reference_logp, loss, weight, chosen, rejected, chosen_logp, rejected_logp]| {
                pairs += 1.0;
                if weight <= 0.0 {
                    return false;
                }
                kept += 1.0;
                let tie = f64::from(chosen == rejected);
                let accuracy = f64::from(chosen > rejected) + 0.5 * tie;
                let down = f64::from(chosen_logp < reference_logp);
                let items = [loss * weight, weight, chosen, rejected, accuracy, tie, chosen_logp, rejected_logp, down];
                sums.iter_mut().zip(items).for_each(|(sum, item)| *sum += item);
                true
            },
        );
        let [loss, weight, chosen, rejected, accuracy, ties, chosen_logp, rejected_logp, down] = sums;
        means.add("frac_skipped", pairs - kept, pairs);
        means.add("loss", loss, weight);
        means.add("rewards/chosen", chosen, kept);
        means.add("rewards/rejected", rejected, kept);
        means.add("rewards/margins", chosen - rejected, kept);
        means.add("rewards/accuracies", accuracy, kept);
        means.add("rewards/ties", ties, kept);
        means.add("logps/chosen", chosen_logp, kept);
        means.add("logps/rejected", rejected_logp, kept);
        if self.reference_chosen_logps.is_some() {
            means.add("frac_chosen_logp_down", down, kept);
        }
        means
    }
}

/// Losses times the batch's scales.
fn scaled(losses: Tensor<1>, batch: &PairBatch) -> Tensor<1> {
    match batch.scales() {
        Some(scales) => losses * scales.clone(),
        None => losses,
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::FloatDType;

    use super::*;
    use crate::pairwise::tests::tensor;

    #[test]
    fn a_pair_of_weight_0_is_logged_nowhere_whatever_the_dtype() {
        for dtype in [FloatDType::F64, FloatDType::F32, FloatDType::BF16, FloatDType::F16] {
            let column = |values: [f64; 3]| tensor(&values).autodiff().cast(dtype);
            let output = PairOutput {
                losses: column([1.0, f64::NAN, 4.0]),
                weights: column([1.0, 0.0, 2.0]),
                chosen_rewards: column([1.0, 9.0, 0.0]),
                rejected_rewards: column([0.0, 0.0, 0.0]),
                chosen_logps: column([-2.0, -9.0, -1.0]),
                rejected_logps: column([-1.0, f64::NEG_INFINITY, -3.0]),
                reference_chosen_logps: Some(column([-1.0, -8.0, -1.0])),
                metrics: ItemMetrics::default(),
            };
            let tokens = column([1.0, 5.0, 3.0]);
            let means = output.with_weighted_metric("own", column([1.0, f64::NAN, 4.0]), tokens).unwrap().means();
            for (name, expected) in [
                ("frac_skipped", 1.0 / 3.0),
                ("loss", 3.0), // (1·1 + 2·4) / 3
                ("rewards/chosen", 0.5),
                ("rewards/accuracies", 0.75), // one right, one tie
                ("logps/chosen", -1.5),
                ("logps/rejected", -2.0),
                ("frac_chosen_logp_down", 0.5),
                ("own", 3.25), // (1·1 + 3·4) / 4
            ] {
                assert_eq!(means.mean(name), Some(expected), "{name}, {dtype:?}");
            }
        }
    }
}
