//! A whole method on plain tensors, from rewards to the loss, as property tests and benches want it.

use std::collections::BTreeMap;

use accordant_ops::{
    EmptyRows, TokenLogps, check_domain, check_shape,
    groups::Groups,
    reduce::{Aggregation, reduce_tokens},
};
use burn::tensor::{Bool, Int, Tensor, TensorData};

use super::{RolloutBatch, RolloutObjective, RolloutOutput, Sampling, Totals};
use crate::{
    Error, Result,
    advantage::{Advantages, Estimator, RewardBatch},
    value::ValueBatch,
};

/// What [`evaluate_tokens`] returns.
#[derive(Debug, Clone)]
pub struct RolloutTokens {
    /// The sum of each row's token losses, `[rows]`; carries the gradient.
    pub losses: Tensor<1>,
    /// 1 for a row with a scored token and 0 for one without, `[rows]`.
    pub weights: Tensor<1>,
    /// The loss, `[1]`, and the two sums it was made of; carries the gradient.
    pub loss: Tensor<1>,
    /// Its numerator.
    pub numerator: Tensor<1>,
    /// Its denominator; of a step in parts, 1.
    pub denominator: Tensor<1>,
    /// The advantage of each token, `[rows, seq]`.
    pub advantages: Tensor<2>,
}

/// The losses of an objective on plain tensors: advantages are made of all rows, then the loss is that of the step, taken at
/// once or in parts with the totals of the whole.
///
/// Of `tokens`, `old`, `behavior` and `entropies` are what [`RolloutBatch`] knows by these names, `values` (what the critic
/// said when the rollouts were made) and `sum_sq_probs` what [`RewardBatch`] does, and `critic` is what the critic says now,
/// for objectives that train it. Of `columns`, `rewards` are the rewards and `more_rewards` others beside them, where there
/// are two, NaN where one is missing; the objective's own columns go by their names, and others are left out.
/// `parts`: the rows of each micro-batch, every row in one of them; none takes the step at once.
///
/// # Shapes
/// `policy`, `reference`, `mask` and all of `tokens`: `[rows, seq]`; `groups` and all of `columns`: `[rows]`.
///
/// # Errors
/// A shape or dtype error naming the argument; a domain error for parts that do not name every row once; the objective's own
/// errors.
#[expect(clippy::too_many_arguments, reason = "these are the plain tensors")]
pub fn evaluate_tokens(
    objective: &dyn RolloutObjective,
    policy: Tensor<2>,
    reference: Tensor<2>,
    mask: Tensor<2, Bool>,
    groups: &[u64],
    tokens: &BTreeMap<&'static str, Tensor<2>>,
    columns: &BTreeMap<&'static str, Tensor<1>>,
    parts: &[Vec<usize>],
) -> Result<RolloutTokens> {
    check_shape("mask", &policy.dims(), &mask.dims())?;
    let step = Step { policy, reference, mask, groups, tokens, columns };
    let advantages = objective.advantages(&step.rewards(objective)?)?;
    let policy = TokenLogps::new(step.policy.clone().detach(), step.mask.clone())?;
    let weights = policy.sequence().count.clamp_max(1.0);
    if parts.is_empty() {
        let output = objective.forward(&step.batch(objective, &advantages, None)?)?;
        let losses = output.row_losses();
        let reduced = output.reduced;
        return Ok(RolloutTokens {
            losses,
            weights,
            loss: reduced.loss,
            numerator: reduced.numerator,
            denominator: reduced.denominator,
            advantages: advantages.advantages,
        });
    }
    let order = parts.concat();
    let mut places: Vec<Option<usize>> = vec![None; step.rows()];
    for (place, row) in order.iter().enumerate() {
        let known = places.get(*row) == Some(&None);
        check_domain(known, "parts", "every row in one part", *row as f64)?;
        places[*row] = Some(place);
    }
    let places: Vec<usize> = places.into_iter().flatten().collect();
    check_shape("parts", &[step.rows()], &[places.len()])?;
    let part = |rows: &Vec<usize>| step.batch(objective, &advantages, Some(rows));
    let mut totals = Totals::default();
    for rows in parts {
        totals.merge(&objective.totals(&part(rows)?)?);
    }
    let outputs = parts.iter().map(|rows| objective.forward(&part(rows)?.with_totals(totals.clone())?));
    let outputs: Vec<RolloutOutput> = outputs.collect::<Result<_>>()?;
    let losses = Tensor::cat(outputs.iter().map(RolloutOutput::row_losses).collect(), 0);
    let loss = Tensor::cat(outputs.into_iter().map(|output| output.reduced.loss).collect(), 0).sum();
    Ok(RolloutTokens {
        losses: losses.select(0, indices(&places, &step.policy)),
        weights,
        numerator: loss.clone(),
        denominator: loss.ones_like().detach(),
        loss,
        advantages: advantages.advantages,
    })
}

/// [`evaluate_tokens`] of an estimator alone, as the loss `Σ −A log π`.
///
/// # Errors
/// As there.
#[expect(clippy::too_many_arguments, reason = "these are the plain tensors")]
pub fn evaluate_estimator(
    estimator: &dyn Estimator,
    policy: Tensor<2>,
    reference: Tensor<2>,
    mask: Tensor<2, Bool>,
    groups: &[u64],
    tokens: &BTreeMap<&'static str, Tensor<2>>,
    columns: &BTreeMap<&'static str, Tensor<1>>,
    parts: &[Vec<usize>],
) -> Result<RolloutTokens> {
    evaluate_tokens(&Score(estimator), policy, reference, mask, groups, tokens, columns, parts)
}

/// The sum over all tokens of `−A log π`.
#[derive(Debug)]
struct Score<'a>(&'a dyn Estimator);

impl RolloutObjective for Score<'_> {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn reward_columns(&self) -> Vec<crate::Column> {
        self.0.columns()
    }

    fn advantages(&self, batch: &RewardBatch) -> Result<Advantages> {
        self.0.estimate(batch)
    }

    fn forward(&self, batch: &RolloutBatch) -> Result<RolloutOutput> {
        let losses = -batch.advantages() * batch.policy();
        let reduced = reduce_tokens(losses.clone(), batch.mask(), Aggregation::Sum, EmptyRows::Skip)?;
        RolloutOutput::new(batch, losses, vec![("policy", 1.0, reduced)])
    }
}

/// All rows of a step as they came.
struct Step<'a> {
    policy: Tensor<2>,
    reference: Tensor<2>,
    mask: Tensor<2, Bool>,
    groups: &'a [u64],
    tokens: &'a BTreeMap<&'static str, Tensor<2>>,
    columns: &'a BTreeMap<&'static str, Tensor<1>>,
}

impl Step<'_> {
    fn rows(&self) -> usize {
        self.policy.dims()[0]
    }

    fn tokens(&self, name: &str) -> Option<Tensor<2>> {
        self.tokens.get(name).cloned()
    }

    /// What advantages are made of.
    fn rewards(&self, objective: &dyn RolloutObjective) -> Result<RewardBatch> {
        let meaning = "the reward of each response";
        let rewards = self.columns.get("rewards").cloned();
        let rewards = rewards.ok_or(Error::MissingColumn { method: objective.name(), name: "rewards", meaning })?;
        check_shape("rewards", &[self.rows()], &rewards.dims())?;
        let old = self.tokens("old").unwrap_or_else(|| self.policy.clone());
        let mut rewards = vec![rewards];
        if let Some(more) = self.columns.get("more_rewards") {
            check_shape("more_rewards", &[self.rows()], &more.dims())?;
            rewards.push(more.clone());
        }
        let weights = vec![1.0; rewards.len()];
        let (rewards, groups) = (Tensor::stack(rewards, 1), Groups::new(self.groups));
        let mut batch = RewardBatch::with_rewards(rewards, weights, groups, self.mask.clone())?;
        batch = batch.with_logps(old, self.reference.clone())?;
        if let Some(values) = self.tokens("values") {
            batch = batch.with_values(values)?;
        }
        if let Some(sum_sq_probs) = self.tokens("sum_sq_probs") {
            batch = batch.with_sum_sq_probs(sum_sq_probs)?;
        }
        for column in objective.reward_columns() {
            if let Some(values) = self.columns.get(column.name) {
                batch = batch.with_column(column, values.clone())?;
            }
        }
        Ok(batch)
    }

    /// What the loss is made of: these rows, or all.
    fn batch(
        &self,
        objective: &dyn RolloutObjective,
        advantages: &Advantages,
        rows: Option<&Vec<usize>>,
    ) -> Result<RolloutBatch> {
        let at = rows.map(|rows| indices(rows, &self.policy));
        let matrix = |tensor: Tensor<2>| match &at {
            Some(at) => tensor.select(0, at.clone()),
            None => tensor,
        };
        let marks = |mask: Tensor<2, Bool>| match &at {
            // What burn-flex selects of booleans is of a dtype that it refuses to negate.
            Some(at) => mask.float().select(0, at.clone()).greater_scalar(0.5),
            None => mask,
        };
        let logps = TokenLogps::new(matrix(self.policy.clone()), marks(self.mask.clone()))?;
        let mut batch = RolloutBatch::new(logps, matrix(advantages.advantages.clone()))?;
        batch = batch.with_reference(matrix(self.reference.clone()))?;
        if let Some(old) = self.tokens("old") {
            batch = batch.with_old(matrix(old))?;
        }
        if let Some(behavior) = self.tokens("behavior") {
            batch = batch.with_behavior(matrix(behavior), &Sampling::new(), &Sampling::new())?;
        }
        if let Some(entropies) = self.tokens("entropies") {
            batch = batch.with_entropies(matrix(entropies))?;
        }
        if let (Some(critic), Some(old), Some(returns)) =
            (self.tokens("critic"), self.tokens("values"), &advantages.returns)
        {
            let values = ValueBatch::new(matrix(critic), matrix(returns.returns.clone()), marks(returns.mask.clone()))?;
            batch = batch.with_critic(values.with_old_values(matrix(old))?)?;
        }
        let ids = match rows {
            Some(rows) => rows.iter().map(|row| self.groups[*row]).collect(),
            None => self.groups.to_vec(),
        };
        batch = batch.with_groups(Groups::new(&ids))?;
        for column in objective.columns() {
            if let Some(values) = self.columns.get(column.name) {
                let values = match &at {
                    Some(at) => values.clone().select(0, at.clone()),
                    None => values.clone(),
                };
                batch = batch.with_column(column, values)?;
            }
        }
        Ok(batch)
    }
}

/// Rows as indices beside `like`.
fn indices(rows: &[usize], like: &Tensor<2>) -> Tensor<1, Int> {
    let rows: Vec<i64> = rows.iter().map(|row| *row as i64).collect();
    Tensor::from_data(TensorData::from(rows.as_slice()), &like.device())
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::{
        advantage::group_normalized::{GroupNormalizedConfig, Scale},
        rollout::{
            grpo::GrpoConfig,
            tests::{close, host, mask, matrix},
        },
    };

    /// Two prompts, whose responses take turns, and one without a token.
    fn evaluate(
        objective: &dyn RolloutObjective,
        rewards: [f64; 5],
        groups: &[u64],
        parts: &[Vec<usize>],
    ) -> Result<RolloutTokens> {
        let policy = matrix([[-1.0, -2.0], [-1.5, 0.0], [-0.5, -0.5], [-3.0, 0.0], [0.0, 0.0]]);
        let kept = mask([[true, true], [true, false], [true, true], [true, false], [false, false]]);
        let old = policy.clone() - 0.125;
        let columns = BTreeMap::from([("rewards", Tensor::from_data(rewards, (&policy.device(), policy.dtype())))]);
        let tokens = BTreeMap::from([("old", old)]);
        evaluate_tokens(objective, policy.clone(), policy, kept, groups, &tokens, &columns, parts)
    }

    #[test]
    fn rewards_become_advantages_and_a_loss_by_hand() {
        let grpo = GrpoConfig::new().init().unwrap();
        let output = evaluate(&grpo, [1.0, 0.0, 0.0, 0.0, f64::NAN], &[7, 3, 7, 3, 3], &[]).unwrap();
        // Of two rewards, the one is 1/√2 deviations above the mean; of equal ones, none is.
        let a = 0.5 / (0.5f64.sqrt() + 1e-6);
        close(&host(output.advantages), &[a, a, 0.0, 0.0, -a, -a, 0.0, 0.0, 0.0, 0.0], 1e-15);
        let ratio = 0.125f64.exp();
        close(&host(output.losses), &[-2.0 * a * ratio, 0.0, 2.0 * a * ratio, 0.0, 0.0], 1e-15);
        assert_eq!(host(output.weights), [1.0, 1.0, 1.0, 1.0, 0.0]);
        close(&[host(output.loss)[0], host(output.denominator)[0]], &[0.0, 4.0], 1e-15);
    }

    #[test]
    fn an_estimator_alone_is_a_policy_gradient() {
        let centered = GroupNormalizedConfig::new().with_scale(Scale::None).init().unwrap();
        let policy = matrix([[-1.0, -2.0], [-1.5, 0.0]]);
        let kept = mask([[true, true], [true, false]]);
        let rewards = Tensor::from_data([3.0, 1.0], (&policy.device(), policy.dtype()));
        let columns = BTreeMap::from([("rewards", rewards)]);
        let output =
            evaluate_estimator(&centered, policy.clone(), policy, kept, &[0, 0], &BTreeMap::new(), &columns, &[])
                .unwrap();
        close(&host(output.losses), &[3.0, -1.5], 1e-15);
        close(&host(output.loss), &[1.5], 1e-15);
    }

    #[test]
    fn parts_name_every_row_once() {
        let grpo = GrpoConfig::new().init().unwrap();
        let run = |parts: &[Vec<usize>]| evaluate(&grpo, [1.0, 0.0, 0.0, 0.5, 1.0], &[7, 3, 7, 3, 3], parts);
        let (whole, split) = (run(&[]).unwrap(), run(&[vec![4, 0], vec![2], vec![3, 1]]).unwrap());
        close(&host(split.losses), &host(whole.losses), 1e-15);
        close(&host(split.loss), &host(whole.loss), 1e-15);
        for wrong in [vec![vec![0, 1, 2, 3]], vec![vec![0, 1, 2, 3, 4], vec![4]], vec![vec![0, 1, 2, 3, 5]]] {
            assert!(run(&wrong).unwrap_err().to_string().contains("`parts`"), "{wrong:?}");
        }
    }

    #[test]
    fn what_is_missing_or_of_another_shape_is_named() {
        let grpo = GrpoConfig::new().init().unwrap();
        let error = evaluate(&grpo, [0.0; 5], &[0, 0], &[]).unwrap_err().to_string();
        assert_eq!(error, "`groups`: expected shape [5], got [2]");
        let one = || Tensor::<2>::zeros([1, 1], &Device::flex());
        let run = |columns: &BTreeMap<&'static str, Tensor<1>>| {
            let mask = Tensor::full([1, 1], true, &Device::flex());
            evaluate_tokens(&grpo, one(), one(), mask, &[0], &BTreeMap::new(), columns, &[]).unwrap_err().to_string()
        };
        assert_eq!(
            run(&BTreeMap::new()),
            "`grpo` needs `rewards` (the reward of each response), and the batch has none"
        );
        let zeros = |len: usize| Tensor::zeros([len], &Device::flex());
        assert_eq!(run(&BTreeMap::from([("rewards", zeros(2))])), "`rewards`: expected shape [1], got [2]");
        let more = BTreeMap::from([("rewards", zeros(1)), ("more_rewards", zeros(2))]);
        assert_eq!(run(&more), "`more_rewards`: expected shape [1], got [2]");
    }
}
