//! Tree-OPO: responses that go on from prefixes of a tree are compared by what their prefix is worth.
//!
//! **Paper:** Tree-OPO: Off-policy Monte Carlo Tree-Guided Advantage Optimization for Multistep Reasoning (2025),
//! 2509.09284.
//! **Use when:** responses to a prompt go on from prefixes of different depth, as a tree search has left them: a success
//! from a late prefix says less than one from the beginning.
//! **Checked by:** hand-worked values, [`group_normalized`](super::group_normalized) without prefixes, laws of estimators.
//! **Deviations:** the paper's projection onto advantages in the order of the tree is left out; its heuristics are here.

use std::collections::BTreeMap;

use accordant_ops::{check_domain, groups::Ddof};
use burn::{
    config::Config,
    tensor::{Tensor, TensorData},
};
use serde::{Deserialize, Serialize};

use super::{Advantages, Estimator, Method, RewardBatch, Scaling, Shift, group_normalized::standardized, scan::Reader};
use crate::{
    Result,
    side::{Column, Domain},
};

/// The prefix that a response goes on from.
pub const PREFIX: Column =
    Column { name: "prefix", domain: Domain::Id, meaning: "number of the prefix that the response goes on from" };

/// The prefix above it.
pub const PREFIX_PARENT: Column = Column {
    name: "prefix_parent",
    domain: Domain::Id,
    meaning: "number of the longest shorter prefix that a response of the group goes on from; its own without one",
};

/// What a prefix is worth, by the rewards of the responses from it and from all prefixes below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PrefixValue {
    /// Their mean.
    Expectation,
    /// The largest: can one succeed from here?
    Optimistic,
    /// The smallest: do all succeed from here?
    Pessimistic,
}

/// Configuration of [`TreeOpo`].
#[derive(Config, Debug, PartialEq)]
pub struct TreeOpoConfig {
    /// What a prefix is worth. Expectation: the first of the paper's three.
    #[config(default = "PrefixValue::Expectation")]
    pub prefix_value: PrefixValue,
    /// How much of it is subtracted, finite and ≥ 0; α in the paper. 1: ours, so that a prefix from which all rewards are
    /// equal tells nothing; the paper has values from 0.5 to 1.
    #[config(default = 1.0)]
    pub baseline_weight: f64,
    /// Added to the deviation, finite and ≥ 0. 1e-6: ours, as for groups without prefixes.
    #[config(default = 1e-6)]
    pub eps: f64,
}

impl TreeOpoConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<TreeOpo> {
        for (name, value) in [("baseline_weight", self.baseline_weight), ("eps", self.eps)] {
            check_domain(value.is_finite() && value >= 0.0, name, "finite and >= 0", value)?;
        }
        Ok(TreeOpo { config: self.clone() })
    }
}

/// Rewards less the value of their prefix, normalized in their group.
///
/// ```text
/// A'_i = r_i − α V(prefix of i),      A_i = (A'_i − mean) / (std + eps)
/// ```
///
/// with the biased deviation, so that `Σ A² ≤ N`. Prefixes are those of one group: numbers may occur again in another.
/// The prefix of a row is [`PREFIX`], the one above it [`PREFIX_PARENT`]; rows with one prefix name one parent.
///
/// # Example
/// ```
/// use accordant_objectives::advantage::{Estimator, RewardBatch, tree_opo::{PREFIX, PREFIX_PARENT, TreeOpoConfig}};
/// use accordant_ops::groups::Groups;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let rewards = Tensor::from_floats([1.0, 0.0, 1.0, 1.0], &device);
/// // Two responses from the prompt itself, two from a prefix below it.
/// let batch = RewardBatch::new(rewards, Groups::new(&[0; 4]), Tensor::full([4, 1], true, &device))?
///     .with_column(PREFIX, Tensor::from_floats([0.0, 0.0, 1.0, 1.0], &device))?
///     .with_column(PREFIX_PARENT, Tensor::from_floats([0.0, 0.0, 0.0, 0.0], &device))?;
/// let advantages = TreeOpoConfig::new().init()?.estimate(&batch)?.advantages.try_to_vec_as::<f32>().unwrap();
/// // Values 3/4 and 1: 1/4, −3/4, 0, 0. A success from the prompt is worth more than one from the prefix.
/// assert!(advantages[0] > 3.0 * advantages[2] && advantages[2] > 0.0);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2509.09284")]
#[doc(alias = "Staged Advantage Estimation")]
#[doc(alias = "Tree-OPO: Off-policy Monte Carlo Tree-Guided Advantage Optimization for Multistep Reasoning")]
#[derive(Debug, Clone, PartialEq)]
pub struct TreeOpo {
    config: TreeOpoConfig,
}

/// `tree_opo` by name.
pub const METHOD: Method = Method {
    name: "tree_opo",
    title: "Tree-OPO",
    build: |options| Ok(Box::new(options.apply("tree_opo", TreeOpoConfig::new())?.init()?)),
};

/// Rewards from one prefix and from all below it.
#[derive(Debug, Clone, Copy)]
struct Subtree {
    count: f64,
    /// The first one, from which the mean is measured: equal rewards are exactly their own mean.
    pivot: f64,
    excess: f64,
    min: f64,
    max: f64,
}

impl Subtree {
    fn with(before: Option<Self>, reward: f64) -> Self {
        let Self { count, pivot, excess, min, max } =
            before.unwrap_or(Self { count: 0.0, pivot: reward, excess: 0.0, min: reward, max: reward });
        let excess = excess + (reward - pivot);
        Self { count: count + 1.0, pivot, excess, min: min.min(reward), max: max.max(reward) }
    }

    fn value(self, kind: PrefixValue) -> f64 {
        match kind {
            PrefixValue::Expectation => self.pivot + self.excess / self.count,
            PrefixValue::Optimistic => self.max,
            PrefixValue::Pessimistic => self.min,
        }
    }
}

/// A prefix: the number of its group, and its own.
type Node = (usize, i64);

/// What each row's prefix is worth; 0 where no response below it has a reward.
fn prefix_values(nodes: &[Node], parents: &[Node], rewards: &[f64], kind: PrefixValue) -> Result<Vec<f64>> {
    let expected = "one parent for each prefix, and no prefix above itself";
    let mut parent_of = BTreeMap::new();
    for (node, parent) in nodes.iter().zip(parents) {
        let known = *parent_of.entry(*node).or_insert(*parent);
        check_domain(known == *parent, "prefix_parent", expected, parent.1 as f64)?;
    }
    let mut subtrees = BTreeMap::new();
    for (node, reward) in nodes.iter().zip(rewards).filter(|(_, reward)| !reward.is_nan()) {
        let mut at = *node;
        for depth in 0.. {
            check_domain(depth < parent_of.len().max(1), "prefix_parent", expected, at.1 as f64)?;
            let before = subtrees.get(&at).copied();
            subtrees.insert(at, Subtree::with(before, *reward));
            match parent_of.get(&at) {
                Some(parent) if *parent != at && parent_of.contains_key(parent) => at = *parent,
                _ => break,
            }
        }
    }
    Ok(nodes.iter().map(|node| subtrees.get(node).map_or(0.0, |subtree: &Subtree| subtree.value(kind))).collect())
}

impl Estimator for TreeOpo {
    fn name(&self) -> &'static str {
        "tree_opo"
    }

    fn shift(&self) -> Shift {
        Shift::IgnoredByGroup
    }

    fn scaling(&self) -> Scaling {
        Scaling::Ignored
    }

    fn columns(&self) -> Vec<Column> {
        vec![PREFIX, PREFIX_PARENT]
    }

    /// # Errors
    /// A domain error naming `prefix_parent` for rows of one prefix with different parents, or a prefix above itself.
    fn estimate(&self, batch: &RewardBatch) -> Result<Advantages> {
        let rewards = batch.rewards()?;
        let (prefixes, parents) = (batch.column(PREFIX, self.name())?, batch.column(PREFIX_PARENT, self.name())?);
        let mut read = Reader::default().floats(&prefixes).floats(&parents).floats(&rewards).read();
        let numbers = batch.groups().numbers();
        let mut nodes = || -> Vec<Node> {
            read.floats().into_iter().zip(numbers).map(|(prefix, number)| (*number, prefix.round() as i64)).collect()
        };
        let (nodes, parents) = (nodes(), nodes());
        let values = prefix_values(&nodes, &parents, &read.floats(), self.config.prefix_value)?;
        let values = TensorData::new(values, [batch.len()]);
        let values = Tensor::<1>::from_data(values, (&rewards.device(), rewards.dtype()));
        let stats = batch.stats(rewards - values * self.config.baseline_weight)?;
        Advantages::of_rows(batch, standardized(&stats, Ddof::Zero, self.config.eps))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advantage::{
        group_normalized::GroupNormalizedConfig,
        scan::tests::near,
        tests::{advantages, responses, vector},
    };

    fn tree(rewards: &[f64], ids: &[u64], prefixes: &[f64], parents: &[f64]) -> RewardBatch {
        let rows = responses(rewards, ids).with_column(PREFIX, vector(prefixes)).unwrap();
        rows.with_column(PREFIX_PARENT, vector(parents)).unwrap()
    }

    /// A chain 0 above 1 above 2, and 3 beside 1; one row has no reward; another group has the same numbers.
    fn rows() -> RewardBatch {
        tree(
            &[0.0, 1.0, 4.0, 2.0, f64::NAN, 5.0, 7.0],
            &[1, 1, 1, 1, 1, 2, 2],
            &[0.0, 1.0, 2.0, 3.0, 1.0, 0.0, 1.0],
            &[0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0],
        )
    }

    /// `A'` normalized in its group by the biased deviation.
    fn normalized(raw: &[f64]) -> Vec<f64> {
        let n = raw.len() as f64;
        let mean = raw.iter().sum::<f64>() / n;
        let std = (raw.iter().map(|a| (a - mean) * (a - mean)).sum::<f64>() / n).sqrt();
        raw.iter().map(|a| (a - mean) / std).collect()
    }

    #[test]
    fn a_prefix_is_worth_what_comes_of_it_and_of_all_below_it() {
        for (kind, values) in [
            (PrefixValue::Expectation, [1.75, 2.5, 4.0, 2.0, 6.0, 7.0]),
            (PrefixValue::Optimistic, [4.0, 4.0, 4.0, 2.0, 7.0, 7.0]),
            (PrefixValue::Pessimistic, [0.0, 1.0, 4.0, 2.0, 5.0, 7.0]),
        ] {
            for weight in [1.0, 0.5] {
                let config = TreeOpoConfig::new().with_prefix_value(kind).with_baseline_weight(weight).with_eps(0.0);
                let rewards = [0.0, 1.0, 4.0, 2.0, 5.0, 7.0];
                let raw: Vec<f64> = rewards.iter().zip(values).map(|(r, v)| r - weight * v).collect();
                let got = advantages(&config.init().unwrap(), &rows());
                let second = if raw[4] == raw[5] { vec![0.0; 2] } else { normalized(&raw[4..]) };
                if raw[..4].iter().all(|a| *a == raw[0]) {
                    near(&got[..4], &[0.0; 4], 0.0);
                } else {
                    near(&got[..4], &normalized(&raw[..4]), 1e-14);
                }
                near(&got[4..], &[0.0, second[0], second[1]], 1e-14);
            }
        }
    }

    #[test]
    fn the_eps_is_added_to_the_deviation() {
        let flat = tree(&[1.0, 0.0], &[1, 1], &[0.0, 0.0], &[0.0, 0.0]);
        let got = advantages(&TreeOpoConfig::new().with_eps(0.5).init().unwrap(), &flat);
        near(&got, &[0.5, -0.5], 1e-15);
    }

    #[test]
    fn without_prefixes_it_is_the_group_normalized_reward() {
        let rewards = [0.3, -1.7, 2.9, 4.0, 0.5];
        let rows = tree(&rewards, &[1, 1, 1, 2, 2], &[4.0; 5], &[4.0; 5]);
        let expected = GroupNormalizedConfig::new().with_unbiased(false).init().unwrap();
        for kind in [PrefixValue::Expectation, PrefixValue::Optimistic, PrefixValue::Pessimistic] {
            let got = advantages(&TreeOpoConfig::new().with_prefix_value(kind).init().unwrap(), &rows);
            near(&got, &advantages(&expected, &rows), 1e-14);
        }
    }

    #[test]
    fn a_parent_that_no_row_goes_on_from_ends_the_chain() {
        // Prefix 5 names 9 as its parent, from which nothing goes on: 5 is as good as a root.
        let rows = tree(&[1.0, 0.0, 3.0], &[1; 3], &[5.0, 5.0, 6.0], &[9.0, 9.0, 5.0]);
        // Values 4/3, 4/3 and 3.
        let expected = normalized(&[1.0 - 4.0 / 3.0, -4.0 / 3.0, 0.0]);
        near(&advantages(&TreeOpoConfig::new().with_eps(0.0).init().unwrap(), &rows), &expected, 1e-14);
    }

    #[test]
    fn what_is_no_tree_is_refused() {
        let opo = TreeOpoConfig::new().init().unwrap();
        for (prefixes, parents) in [([0.0, 1.0], [1.0, 0.0]), ([1.0, 1.0], [0.0, 1.0])] {
            let error = opo.estimate(&tree(&[1.0, 2.0], &[1, 1], &prefixes, &parents)).unwrap_err().to_string();
            assert!(error.starts_with("`prefix_parent`: expected one parent"), "{error}");
        }
        // In another group it is another prefix.
        opo.estimate(&tree(&[1.0, 2.0], &[1, 2], &[1.0, 1.0], &[0.0, 1.0])).unwrap();
        let error = opo.estimate(&responses(&[1.0], &[1])).unwrap_err().to_string();
        assert!(error.starts_with("`tree_opo` needs `prefix`"), "{error}");
    }

    #[test]
    fn defaults_and_refused_values() {
        let config = TreeOpoConfig::new();
        let expected = TreeOpoConfig { prefix_value: PrefixValue::Expectation, baseline_weight: 1.0, eps: 1e-6 };
        assert_eq!(config, expected);
        for (config, start) in [
            (config.clone().with_baseline_weight(-0.5), "`baseline_weight`"),
            (config.clone().with_baseline_weight(f64::INFINITY), "`baseline_weight`"),
            (config.clone().with_eps(-1.0), "`eps`"),
            (config.with_eps(f64::NAN), "`eps`"),
        ] {
            let error = config.init().unwrap_err().to_string();
            assert!(error.starts_with(start), "{error}");
        }
    }
}
