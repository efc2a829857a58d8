//! What a listwise objective returns.

use std::borrow::Cow;

use accordant_ops::{
    ItemMetrics, ItemReduction, Means, Reduced, check_shape,
    item_metrics::counted,
    lists::{columns, ones, rows},
    reduce::reduce_items,
};
use burn::tensor::{Bool, Tensor};

use super::{Comparisons, ListBatch};
use crate::Result;

/// What a listwise objective returns; everything but `losses` is detached.
#[derive(Debug, Clone)]
pub struct ListOutput {
    /// The loss of each list, `[n]`; carries the gradient. 0, with gradient 0, for a list that does not count.
    pub losses: Tensor<1>,
    /// The weight of each list in the mean, `[n]`: the given one, and 0 for a list that does not count.
    pub weights: Tensor<1>,
    /// Implicit rewards of the candidates, `[n, k]`; 0 where there is none.
    pub rewards: Tensor<2>,
    logps: Tensor<2>,
    log_ratios: Option<Tensor<2>>,
    comparisons: Option<Comparisons>,
    metrics: ItemMetrics,
}

impl ListOutput {
    /// Losses with the rewards of the candidates. `counts` says of which lists the method learns anything: of those with
    /// two candidates ([`ListBatch::plural`]), say, or with two that compare ([`Comparisons::exist`]).
    ///
    /// # Shapes
    /// `losses`, `counts`: `[n]`; `rewards`: `[n, k]`.
    ///
    /// # Errors
    /// A shape error naming the argument.
    pub fn new(losses: Tensor<1>, batch: &ListBatch, rewards: Tensor<2>, counts: Tensor<1, Bool>) -> Result<Self> {
        check_shape("losses", &[batch.len()], &losses.dims())?;
        check_shape("counts", &[batch.len()], &counts.dims())?;
        batch.check_values("rewards", &rewards)?;
        let silent = counts.bool_not();
        Ok(Self {
            losses: losses.mask_fill(silent.clone(), 0.0),
            weights: batch.weights().mask_fill(silent, 0.0),
            rewards: batch.select(rewards).detach(),
            logps: batch.policy().sum.detach(),
            log_ratios: batch.known_log_ratios().map(Tensor::detach),
            comparisons: batch.known_scores().map(|scores| Comparisons::new(scores, batch.present())).transpose()?,
            metrics: ItemMetrics::default(),
        })
    }

    /// Adds a number that this method logs, `values` averaged over lists of weight > 0. Both are detached.
    ///
    /// # Errors
    /// A shape error naming the metric.
    pub fn with_metric(self, name: &'static str, values: Tensor<1>) -> Result<Self> {
        let weights = counted(&self.weights);
        self.with_weighted_metric(name, values, weights)
    }

    /// Adds a number that this method logs, `Σ weights · values / Σ weights`. Both are detached.
    ///
    /// # Errors
    /// A shape error naming the metric.
    pub fn with_weighted_metric(mut self, name: &'static str, values: Tensor<1>, weights: Tensor<1>) -> Result<Self> {
        self.metrics.add(name, values, weights, &self.losses)?;
        Ok(self)
    }

    /// What [`ListOutput::with_metric`] added, by name: values and weights, `[n]`.
    pub fn metric(&self, name: &str) -> Option<(&Tensor<1>, &Tensor<1>)> {
        self.metrics.get(name)
    }

    /// Everything that is logged beside the loss.
    fn all_metrics(&self) -> ItemMetrics {
        let mut all = self.metrics.clone();
        if let Some(comparisons) = &self.comparisons {
            let dtype = self.rewards.dtype();
            let sum = |values: Tensor<2>| values.sum_dim(1).squeeze_dim::<1>(1);
            let (best, worst) = (comparisons.best(dtype), comparisons.worst(dtype));
            let (chosen, rejected) =
                (sum(self.rewards.clone() * best.clone()), sum(self.rewards.clone() * worst.clone()));
            let compared = counted(&self.weights).mask_fill(comparisons.exist().bool_not(), 0.0);
            let mut add = |name, values: Tensor<1>| all.push(name, values, compared.clone());
            add("rewards/margins", chosen.clone() - rejected.clone());
            add("rewards/chosen", chosen);
            add("rewards/rejected", rejected);
            // Over the comparisons of each list, then over lists.
            let (own, other) = (rows(self.rewards.clone()), columns(self.rewards.clone()));
            let unequal = comparisons.better().bool_not();
            let share = |which: Tensor<3, Bool>| {
                let agreed = ones(which, dtype).mask_fill(unequal.clone(), 0.0).sum_dim(2).squeeze_dim::<2>(2);
                sum(agreed) / comparisons.count(dtype).clamp_min(1.0)
            };
            let ties = share(own.clone().equal(other.clone()));
            add("rewards/accuracies", share(own.greater(other)) + ties.clone() * 0.5);
            add("rewards/ties", ties);
            // Of the candidates with the largest reward, the share that has the largest score.
            let by_reward = Comparisons::new(self.rewards.clone(), comparisons.present());
            let by_reward = by_reward.expect("rewards of the candidates").best(dtype);
            let is_best = ones(best.clone().greater_scalar(0.0), dtype);
            add("rewards/top1", sum(by_reward * is_best));
            add("logps/chosen", sum(self.logps.clone() * best.clone()));
            add("logps/rejected", sum(self.logps.clone() * worst));
            if let Some(log_ratios) = &self.log_ratios {
                let down = ones(log_ratios.clone().lower_scalar(0.0), dtype);
                add("frac_chosen_logp_down", sum(down * best));
            }
        }
        all
    }

    /// Everything that is logged, by name, `[n]` each.
    pub(super) fn logged(&self) -> Vec<(Cow<'static, str>, Tensor<1>)> {
        self.all_metrics().named().map(|(name, values)| (name, values.clone())).collect()
    }

    /// The weighted mean of the losses, with its numerator and denominator.
    ///
    /// # Errors
    /// None for an output made by a method of this crate; a shape error for one put together by hand.
    pub fn reduce(&self) -> Result<Reduced> {
        Ok(reduce_items(self.losses.clone(), self.weights.clone(), ItemReduction::Mean)?)
    }

    /// What is logged. Where the batch has scores, over lists of weight > 0 in which some candidates compare, each list
    /// counting the same: `rewards/chosen` and `rewards/rejected`, of the candidates with the best and the worst score
    /// (a mean over ties), `rewards/margins`; `rewards/accuracies`, the share of comparisons that the rewards decide in
    /// the same way (equal rewards count one half, and `rewards/ties` says how many there are); `rewards/top1`, the
    /// share of lists whose largest reward has the best score; `logps/chosen`, `logps/rejected`, and with a reference
    /// `frac_chosen_logp_down`, the share of best candidates that have become less likely than under it.
    /// Always `loss`, which alone is weighted, and `frac_skipped`, the share of all lists that has weight 0. Reads the
    /// device once; sums run in f64.
    pub fn means(&self) -> Means {
        let mut means = Means::default();
        let (mut lists, mut kept, mut total, mut weights) = (0.0, 0.0, 0.0, 0.0);
        self.all_metrics().read([&self.losses, &self.weights], &mut means, |&[loss, weight]| {
            lists += 1.0;
            if weight <= 0.0 {
                return false;
            }
            kept += 1.0;
            total += loss * weight;
            weights += weight;
            true
        });
        means.add("frac_skipped", lists - kept, lists);
        means.add("loss", total, weights);
        means
    }
}
