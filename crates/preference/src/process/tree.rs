//! Tree-based preferences of steps (Tree-PLV): siblings of a best-first tree, compared.
//!
//! **Paper:** Advancing Process Verification for Large Language Models via Tree-Based Preference Learning (2024), 2407.00390.
//! **Status:** the abstract's algorithm; the margin's default is ours.
//! **Use when:** rollouts are affordable and labels of single steps are noisy: steps that share a prefix are compared, and
//! only where they differ clearly.
//! **Checked by:** hand-worked trees, the losses of the pairs.
//! **Deviations:** none known.

use accordant_ops::check_domain;
use burn::{
    config::Config,
    tensor::{Int, Tensor, TensorData},
};
use serde::{Deserialize, Serialize};

use crate::{
    Error, Result,
    error::{check_index, check_record},
    pairwise::PairScores,
};

/// A step in a tree.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// The step before; none of the root.
    pub parent: Option<usize>,
    /// The share of rollouts from here on that end well, in [0, 1].
    pub reward: f64,
}

/// Two steps behind the same prefix.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StepPair {
    /// The node of the better step.
    pub better: usize,
    /// The node of the other.
    pub worse: usize,
    /// 1 over the number of pairs behind this prefix, so that every prefix counts the same.
    pub weight: f64,
}

/// A tree of steps; node 0 is the root, the question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepTree {
    nodes: Vec<Node>,
}

impl StepTree {
    /// A root with nothing behind it.
    ///
    /// # Errors
    /// [`Error::Record`] for a reward outside of [0, 1].
    pub fn new(reward: f64) -> Result<Self> {
        check_reward(0, reward)?;
        Ok(Self { nodes: vec![Node { parent: None, reward }] })
    }

    /// Adds a step and returns its number.
    ///
    /// # Errors
    /// [`Error::Index`] for a parent that is not there, [`Error::Record`] for a reward outside of [0, 1].
    pub fn push(&mut self, parent: usize, reward: f64) -> Result<usize> {
        let row = self.nodes.len();
        check_index(row, "parent", parent, row)?;
        check_reward(row, reward)?;
        self.nodes.push(Node { parent: Some(parent), reward });
        Ok(row)
    }

    /// The steps.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Grows the tree best first: up to `expansions` times, `expand` gets the number of the node of highest reward that was
    /// not expanded (the first of equals) and gives the rewards of its children; none for the end of a solution.
    ///
    /// # Errors
    /// What `expand` says, or [`Error::Record`] for a reward outside of [0, 1].
    ///
    /// # Example
    /// ```
    /// use accordant_preference::process::tree::{StepTree, TreePairsConfig};
    /// let mut tree = StepTree::new(0.5)?;
    /// // The root's second child is better and is expanded next.
    /// let mut order = Vec::new();
    /// tree.grow(2, |node| {
    ///     order.push(node);
    ///     Ok(if node == 0 { vec![0.25, 0.75] } else { vec![1.0, 0.0] })
    /// })?;
    /// assert_eq!(order, [0, 2]);
    /// let pairs = TreePairsConfig::new().pairs(&tree)?;
    /// assert_eq!(pairs.iter().map(|pair| (pair.better, pair.worse)).collect::<Vec<_>>(), [(2, 1), (3, 4)]);
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn grow(&mut self, expansions: usize, mut expand: impl FnMut(usize) -> Result<Vec<f64>>) -> Result<()> {
        let mut open: Vec<bool> = self.nodes.iter().map(|_| true).collect();
        self.nodes.iter().filter_map(|node| node.parent).for_each(|parent| open[parent] = false);
        for _ in 0..expansions {
            let candidates = (0..self.nodes.len()).filter(|&node| open[node]);
            let better =
                |best: usize, node: usize| if self.nodes[node].reward > self.nodes[best].reward { node } else { best };
            let Some(best) = candidates.reduce(better) else { return Ok(()) };
            open[best] = false;
            for reward in expand(best)? {
                self.push(best, reward)?;
                open.push(true);
            }
        }
        Ok(())
    }
}

fn check_reward(row: usize, reward: f64) -> Result<()> {
    check_record((0.0..=1.0).contains(&reward), row, "reward", "a share in [0, 1]", reward)
}

/// Configuration of the pairs of a tree.
#[derive(Config, Debug, PartialEq)]
pub struct TreePairsConfig {
    /// By how much rewards of siblings differ at least, in (0, 1]. 0.375: ours, 3 rollouts of 8.
    #[config(default = 0.375)]
    pub margin: f64,
}

impl TreePairsConfig {
    /// All pairs of siblings that differ by the margin, parent by parent.
    ///
    /// # Errors
    /// A domain error naming `margin`.
    #[doc(alias = "2407.00390")]
    #[doc(alias = "Tree-PLV")]
    pub fn pairs(&self, tree: &StepTree) -> Result<Vec<StepPair>> {
        let margin = self.margin;
        check_domain(margin > 0.0 && margin <= 1.0, "margin", "in (0, 1]", margin)?;
        let mut children = vec![Vec::new(); tree.nodes.len()];
        for (at, node) in tree.nodes.iter().enumerate() {
            if let Some(parent) = node.parent {
                children[parent].push(at);
            }
        }
        let mut pairs = Vec::new();
        for siblings in children {
            let of = |a: usize, b: usize| tree.nodes[a].reward - tree.nodes[b].reward;
            // Shares of rollouts are rounded: 0.5 − 0.125 may fall short of 0.375 by a rounding.
            let ordered = siblings.iter().flat_map(|&a| siblings.iter().map(move |&b| (a, b)));
            let here: Vec<_> = ordered.filter(|&(a, b)| of(a, b) >= margin - 1e-12).collect();
            let weight = (here.len() as f64).recip();
            pairs.extend(here.into_iter().map(|(better, worse)| StepPair { better, worse, weight }));
        }
        Ok(pairs)
    }
}

/// Scores of nodes `[nodes]` put together as pairs with their weights, for any
/// [`PairwiseLoss`](crate::pairwise::PairwiseLoss): Bradley-Terry's is the paper's.
///
/// # Errors
/// [`Error::Index`] for a pair of a node without a score, [`Error::Empty`] without a pair.
pub fn sibling_scores(scores: &Tensor<1>, pairs: &[StepPair]) -> Result<PairScores> {
    if pairs.is_empty() {
        return Err(Error::Empty { name: "pairs", reason: "no siblings differ by the margin" });
    }
    let [nodes] = scores.dims();
    for (row, pair) in pairs.iter().enumerate() {
        check_index(row, "better", pair.better, nodes)?;
        check_index(row, "worse", pair.worse, nodes)?;
    }
    let device = scores.device();
    let side = |of: fn(&StepPair) -> usize| {
        let places: Vec<i64> = pairs.iter().map(|pair| of(pair) as i64).collect();
        scores.clone().select(0, Tensor::<1, Int>::from_data(TensorData::from(places.as_slice()), &device))
    };
    let weights: Vec<f64> = pairs.iter().map(|pair| pair.weight).collect();
    let weights = Tensor::from_data(TensorData::from(weights.as_slice()), (&device, scores.dtype()));
    PairScores::new(side(|pair| pair.better), side(|pair| pair.worse))?.with_weights(weights)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ItemReduction,
        pairwise::{PairwiseLoss, bradley_terry::BradleyTerryConfig},
        trajectory::testing::{check, close, tensor, values},
    };

    /// A root with three children, the last of which has two.
    fn tree() -> StepTree {
        let mut tree = StepTree::new(0.5).unwrap();
        for (parent, reward) in [(0, 0.125), (0, 0.5), (0, 1.0), (3, 0.75), (3, 1.0)] {
            tree.push(parent, reward).unwrap();
        }
        tree
    }

    fn pair(better: usize, worse: usize, weight: f64) -> StepPair {
        StepPair { better, worse, weight }
    }

    #[test]
    fn siblings_that_differ_by_the_margin_are_paired_and_every_prefix_counts_the_same() {
        let third = 1.0 / 3.0;
        let expected = [pair(2, 1, third), pair(3, 1, third), pair(3, 2, third)];
        assert_eq!(TreePairsConfig::new().pairs(&tree()).unwrap(), expected, "0.375 itself counts");
        let fine = TreePairsConfig::new().with_margin(0.25).pairs(&tree()).unwrap();
        assert_eq!(fine[3..], [pair(5, 4, 1.0)]);
        assert!(TreePairsConfig::new().with_margin(0.9).pairs(&tree()).unwrap().is_empty());
    }

    #[test]
    fn the_best_open_step_is_expanded_next_and_the_first_of_equals() {
        let mut tree = tree();
        let mut order = Vec::new();
        // Open: 1 (0.125), 2 (0.5), 4 (0.75), 5 (1).
        tree.grow(5, |node| {
            order.push(node);
            Ok(if node == 5 { vec![0.75, 0.1] } else { vec![] })
        })
        .unwrap();
        assert_eq!(order, [5, 4, 6, 2, 1]);
        assert_eq!(tree.nodes()[6], Node { parent: Some(5), reward: 0.75 });
        // One is left; there is nothing to expand after it.
        order.clear();
        tree.grow(9, |node| {
            order.push(node);
            Ok(vec![])
        })
        .unwrap();
        assert_eq!(order[0], 4, "what ended before is open again to a new search");
        assert!(tree.grow(1, |_| Ok(vec![2.0])).is_err());
    }

    #[test]
    fn losses_of_siblings_by_hand() {
        let pairs = TreePairsConfig::new().with_margin(0.25).pairs(&tree()).unwrap();
        let scores = tensor(&[9.0, 0.0, 0.0, 3f64.ln(), 3f64.ln(), 3f64.ln()]);
        let model = BradleyTerryConfig::new().init().unwrap();
        let nll = model.forward(&sibling_scores(&scores, &pairs).unwrap()).unwrap();
        let win = -(0.75f64.ln());
        close(&values(nll.losses.clone()), &[2f64.ln(), win, win, 2f64.ln()], 1e-12);
        // The mean of the two prefixes' means.
        let mean = ((2f64.ln() + 2.0 * win) / 3.0 + 2f64.ln()) / 2.0;
        close(&values(nll.reduce(ItemReduction::Mean).unwrap().loss), &[mean], 1e-12);
        check(&[9.0, 0.1, -0.3, 0.7, 0.2, 0.4], |x| {
            model.forward(&sibling_scores(&x, &pairs).unwrap()).unwrap().losses
        });
    }

    #[test]
    fn what_makes_no_sense_is_an_error_by_name() {
        for bad in [-0.1, 1.1, f64::NAN] {
            assert!(StepTree::new(bad).unwrap_err().to_string().starts_with("record 0: `reward`"));
            assert!(tree().push(0, bad).unwrap_err().to_string().starts_with("record 6: `reward`"));
        }
        assert!(tree().push(6, 0.5).unwrap_err().to_string().starts_with("record 6: `parent` 6"));
        for bad in [0.0, 1.1, f64::NAN] {
            let error = TreePairsConfig::new().with_margin(bad).pairs(&tree()).unwrap_err();
            assert!(error.to_string().starts_with("`margin`"));
        }
        let text = |pairs: &[StepPair]| sibling_scores(&tensor(&[1.0]), pairs).unwrap_err().to_string();
        assert!(text(&[]).starts_with("`pairs`: nothing to learn from"));
        assert!(text(&[pair(1, 0, 1.0)]).contains("`better` 1") && text(&[pair(0, 1, 1.0)]).contains("`worse` 1"));
        assert_eq!(TreePairsConfig::new().margin, 0.375);
    }
}
