//! What an unpaired objective returns.

use std::borrow::Cow;

use accordant_ops::{ItemMetrics, ItemReduction, Means, Reduced, item_metrics::counted, reduce::reduce_items};
use burn::tensor::{Bool, Tensor};

use super::SingleBatch;
use crate::Result;

/// What an unpaired objective returns, one entry per response, all `[n]`; everything but `losses` is detached.
#[derive(Debug, Clone)]
pub struct SingleOutput {
    /// The loss of each response; carries the gradient.
    pub losses: Tensor<1>,
    /// The weight of each response in the mean.
    pub weights: Tensor<1>,
    /// Implicit rewards: `beta` times the log-ratio, or times the log-probability where there is no reference.
    pub rewards: Tensor<1>,
    /// Summed log-probabilities under the policy.
    pub logps: Tensor<1>,
    /// The label of each response.
    pub desirable: Tensor<1, Bool>,
    log_ratios: Option<Tensor<1>>,
    metrics: ItemMetrics,
}

impl SingleOutput {
    /// Losses with the rewards `beta · d` of a batch, or `beta · L` where it has no reference. Losses are multiplied by
    /// the batch's scales here.
    pub fn new(losses: Tensor<1>, batch: &SingleBatch, beta: f64) -> Self {
        let log_ratios = batch.known_log_ratios().map(Tensor::detach);
        let logps = batch.policy().sum.clone().detach();
        Self {
            losses: match batch.scales() {
                Some(scales) => losses * scales.clone(),
                None => losses,
            },
            weights: batch.weights(),
            rewards: log_ratios.clone().unwrap_or_else(|| logps.clone()) * beta,
            logps,
            desirable: batch.desirable().clone(),
            log_ratios,
            metrics: ItemMetrics::default(),
        }
    }

    /// Adds a number that this method logs, `values` averaged over responses of weight > 0. Both are detached.
    ///
    /// # Errors
    /// A shape error naming the metric.
    pub fn with_metric(self, name: &'static str, values: Tensor<1>) -> Result<Self> {
        let weights = counted(&self.weights);
        self.with_weighted_metric(name, values, weights)
    }

    /// Adds a number that this method logs, `Σ weights · values / Σ weights` over responses of weight > 0: a mean over
    /// tokens, say. Both are detached.
    ///
    /// # Errors
    /// A shape error naming the metric.
    pub fn with_weighted_metric(mut self, name: &'static str, values: Tensor<1>, weights: Tensor<1>) -> Result<Self> {
        self.metrics.add(name, values, weights, &self.losses)?;
        Ok(self)
    }

    /// Adds a number of the whole batch, `[1]`, which this method logs; it counts as many times as there are responses of
    /// weight > 0.
    pub(super) fn with_batch_metric(self, name: &'static str, value: Tensor<1>) -> Result<Self> {
        let values = self.losses.zeros_like().detach() + value.detach();
        self.with_metric(name, values)
    }

    /// What [`SingleOutput::with_metric`] added, by name: values and weights, `[n]`.
    pub fn metric(&self, name: &str) -> Option<(&Tensor<1>, &Tensor<1>)> {
        self.metrics.get(name)
    }

    /// Everything that is logged, by name, `[n]` each.
    pub(super) fn logged(&self) -> Vec<(Cow<'static, str>, Tensor<1>)> {
        let family = [("rewards", &self.rewards), ("logps", &self.logps)];
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

    /// What is logged, over responses of weight > 0: `loss`, `rewards/chosen` and `logps/chosen` over desirable ones,
    /// `rewards/rejected` and `logps/rejected` over undesirable ones, `rewards/margins`, the difference of the two mean
    /// rewards, from a batch that has both kinds, `frac_desirable`, and `frac_chosen_logp_down`, the share of desirable
    /// responses that have become less likely than under the reference. Only the loss is weighted. `frac_skipped` is the
    /// share of all responses that has weight 0. Reads the device once; sums run in f64.
    pub fn means(&self) -> Means {
        // A method without a reference has no log-ratio; a zero is no displacement.
        let log_ratios = self.log_ratios.clone().unwrap_or_else(|| self.rewards.zeros_like());
        let desirable = self.rewards.zeros_like().mask_fill(self.desirable.clone(), 1.0);
        let family = [&log_ratios, &self.losses, &self.weights, &self.rewards, &self.logps, &desirable];
        let mut means = Means::default();
        let (mut responses, mut kept, mut down, mut loss, mut total) = (0.0, 0.0, 0.0, 0.0, 0.0);
        // Undesirable and desirable ones: number, rewards, log-probabilities.
        let mut classes = [[0.0; 3]; 2];
        self.metrics.read(family, &mut means, |&[log_ratio, item_loss, weight, reward, logp, desirable]| {
            responses += 1.0;
            if weight <= 0.0 {
                return false;
            }
            kept += 1.0;
            loss += item_loss * weight;
            total += weight;
            let class = &mut classes[usize::from(desirable > 0.0)];
            class.iter_mut().zip([1.0, reward, logp]).for_each(|(sum, item)| *sum += item);
            down += f64::from(desirable > 0.0 && log_ratio < 0.0);
            true
        });
        let [[rejected, rejected_reward, rejected_logp], [chosen, chosen_reward, chosen_logp]] = classes;
        means.add("frac_skipped", responses - kept, responses);
        means.add("frac_desirable", chosen, kept);
        means.add("loss", loss, total);
        means.add("rewards/chosen", chosen_reward, chosen);
        means.add("rewards/rejected", rejected_reward, rejected);
        if chosen > 0.0 && rejected > 0.0 {
            means.add("rewards/margins", chosen_reward / chosen - rejected_reward / rejected, 1.0);
        }
        means.add("logps/chosen", chosen_logp, chosen);
        means.add("logps/rejected", rejected_logp, rejected);
        if self.log_ratios.is_some() {
            means.add("frac_chosen_logp_down", down, chosen);
        }
        means
    }
}
