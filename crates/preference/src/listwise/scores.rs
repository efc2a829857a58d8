//! The scores of lists of candidates, and how the candidates were ranked.

use accordant_ops::{
    check_dtype, check_shape,
    lists::{Comparisons, columns, ones, rows},
};
use burn::tensor::{Bool, Tensor, TensorData};

use crate::{Error, Nll, Result, error::check_index, error::check_length, error::check_record};

/// What becomes of candidates that a ranking does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unlisted {
    /// They were offered, and are below all that are named, in no order among themselves: a ranking of the top few.
    Below,
    /// They were not offered.
    Absent,
}

/// Scores of the candidates of each list, `[n, k]`, and how they were ranked.
///
/// A ranking is a label for each candidate, larger for better: equal labels are ties, and a label of −∞ is that of a
/// candidate below all others that nobody ranked. Everything but the scores is a constant: it is detached.
///
/// # Example
/// ```
/// use accordant_preference::listwise::{ListScores, Unlisted};
/// use burn::tensor::{Device, Tensor};
/// let scores = Tensor::<2>::from_floats([[0.1, 0.5, -1.0]], &Device::flex());
/// // The third is best, then the first; the second was offered and not named.
/// let lists = ListScores::new(scores).with_orders(&[vec![vec![2], vec![0]]], Unlisted::Below)?;
/// assert_eq!(lists.comparisons()?.count(burn::tensor::DType::F32).into_scalar::<f32>(), 3.0);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct ListScores {
    scores: Tensor<2>,
    present: Tensor<2, Bool>,
    labels: Option<Tensor<2>>,
    weights: Option<Tensor<1>>,
}

impl ListScores {
    /// Scores of candidates that are all there.
    pub fn new(scores: Tensor<2>) -> Self {
        let present = Tensor::<2, Bool>::full(scores.dims(), true, &scores.device());
        Self { scores, present, labels: None, weights: None }
    }

    /// Which candidates are there; what the others hold is not read.
    ///
    /// # Errors
    /// A shape error naming `present`.
    pub fn with_present(mut self, present: Tensor<2, Bool>) -> Result<Self> {
        check_shape("present", &self.scores.dims(), &present.dims())?;
        self.present = present;
        Ok(self)
    }

    /// How good the candidates are, larger for better.
    ///
    /// # Errors
    /// A shape or dtype error naming `labels`.
    pub fn with_labels(mut self, labels: Tensor<2>) -> Result<Self> {
        check_shape("labels", &self.scores.dims(), &labels.dims())?;
        check_dtype("labels", self.scores.dtype(), labels.dtype())?;
        self.labels = Some(labels.detach());
        Ok(self)
    }

    /// The rankings of the lists: groups of tied candidates by their places, best group first.
    ///
    /// # Errors
    /// [`Error::Length`] for another number of rankings than of lists; of a ranking, [`Error::Index`] for a candidate that
    /// is not there, [`Error::Repeated`] for one that is there twice and [`Error::Record`] for one that names nobody.
    pub fn with_orders(self, orders: &[Vec<Vec<usize>>], unlisted: Unlisted) -> Result<Self> {
        let [n, k] = self.scores.dims();
        check_length("orders", n, orders.len())?;
        let mut labels = vec![f64::NEG_INFINITY; n * k];
        let mut listed = vec![unlisted == Unlisted::Below; n * k];
        for (row, order) in orders.iter().enumerate() {
            let mut named = 0;
            for (place, item) in
                order.iter().enumerate().flat_map(|(place, group)| group.iter().map(move |i| (place, *i)))
            {
                check_index(row, "orders", item, k)?;
                if labels[row * k + item] > f64::NEG_INFINITY {
                    return Err(Error::Repeated { row, item });
                }
                labels[row * k + item] = -(place as f64);
                listed[row * k + item] = true;
                named += 1;
            }
            check_record(named > 0, row, "orders", "at least one candidate", 0.0)?;
        }
        let device = self.scores.device();
        let labels = Tensor::<2>::from_data(TensorData::new(labels, [n, k]), (&device, self.scores.dtype()));
        let listed = Tensor::<2, Bool>::from_data(TensorData::new(listed, [n, k]), &device);
        let present = self.present.clone().bool_and(listed);
        self.with_present(present)?.with_labels(labels)
    }

    /// How much each list counts in a mean, ≥ 0.
    ///
    /// # Errors
    /// A shape or dtype error naming `weights`.
    pub fn with_weights(mut self, weights: Tensor<1>) -> Result<Self> {
        check_shape("weights", &[self.scores.dims()[0]], &weights.dims())?;
        check_dtype("weights", self.scores.dtype(), weights.dtype())?;
        self.weights = Some(weights.detach());
        Ok(self)
    }

    /// The scores, 0 where no candidate is.
    pub fn scores(&self) -> Tensor<2> {
        self.scores.clone().mask_fill(self.present.clone().bool_not(), 0.0)
    }

    /// Which candidates are there.
    pub fn present(&self) -> Tensor<2, Bool> {
        self.present.clone()
    }

    /// The labels, 0 where no candidate is.
    ///
    /// # Errors
    /// [`Error::Empty`] naming `labels` when there are none.
    pub fn labels(&self) -> Result<Tensor<2>> {
        let labels = self.labels.clone().ok_or(Error::Empty { name: "labels", reason: "the lists are not ranked" })?;
        Ok(labels.mask_fill(self.present.clone().bool_not(), 0.0))
    }

    /// The weights; ones by default.
    pub fn weights(&self) -> Tensor<1> {
        let [n, _] = self.scores.dims();
        let ones = || self.scores.clone().detach().ones_like().narrow(1, 0, 1).reshape([n]);
        self.weights.clone().unwrap_or_else(ones)
    }

    /// Which candidates were ranked better than which.
    ///
    /// # Errors
    /// As [`ListScores::labels`].
    pub fn comparisons(&self) -> Result<Comparisons> {
        Ok(Comparisons::new(self.labels()?, self.present())?)
    }

    /// Losses of the lists for which `counts` is true (the others say nothing and get weight 0, as does what a list of one
    /// candidate has to say), with what every loss of lists logs, over the comparisons of each list: `accuracy` (equal
    /// scores count one half), `kendall` (Kendall's τ-b) and `top1` (the share of the best-scored candidates that are among
    /// the best).
    ///
    /// # Errors
    /// A shape error naming `losses` or `counts`; as [`ListScores::labels`].
    pub fn nll(&self, losses: Tensor<1>, counts: Tensor<1, Bool>) -> Result<Nll> {
        let [n, _] = self.scores.dims();
        check_shape("losses", &[n], &losses.dims())?;
        check_shape("counts", &[n], &counts.dims())?;
        let silent = counts.bool_not();
        let nll = Nll::new(losses.mask_fill(silent.clone(), 0.0), self.weights().mask_fill(silent, 0.0))?;
        let scores = self.scores().detach();
        let dtype = scores.dtype();
        let (by_label, by_score) = (self.comparisons()?, Comparisons::new(scores.clone(), self.present())?);
        let leads = (rows(scores.clone()) - columns(scores)).sign();
        let signs = leads.mask_fill(by_label.better().bool_not(), 0.0).sum_dim(2).squeeze_dim::<2>(2).sum_dim(1);
        let signs = signs.squeeze_dim::<1>(1);
        let judged = by_label.count(dtype);
        let agreement = signs.clone() / judged.clone().clamp_min(1.0);
        let pairs = (judged * by_score.count(dtype)).clamp_min(1.0).sqrt();
        let is_best = ones(by_label.best(dtype).greater_scalar(0.0), dtype);
        let top = (by_score.best(dtype) * is_best).sum_dim(1).squeeze_dim::<1>(1);
        nll.with_metric("accuracy", agreement * 0.5 + 0.5)?
            .with_metric("kendall", signs / pairs)?
            .with_metric("top1", top)
    }
}

/// A loss of lists of scores that were ranked.
pub trait ListwiseLoss {
    /// One loss per list.
    ///
    /// # Errors
    /// What the method needs and the lists do not have.
    fn forward(&self, lists: &ListScores) -> Result<Nll>;
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device};

    use super::*;
    use crate::listwise::testing::{bools, matrix};
    use crate::pairwise::testing::{close, tensor, values};

    fn lists(scores: &[&[f64]]) -> ListScores {
        ListScores::new(matrix(scores, &Device::flex()))
    }

    #[test]
    fn orders_become_labels_and_what_is_not_named_is_below_or_absent() {
        let orders = [vec![vec![2], vec![0, 3]]];
        let below = lists(&[&[0.0; 4]]).with_orders(&orders, Unlisted::Below).unwrap();
        assert_eq!(values(below.labels().unwrap()), [-1.0, f64::NEG_INFINITY, 0.0, -1.0]);
        assert_eq!(values(below.comparisons().unwrap().count(DType::F64)), [5.0]);
        let absent = lists(&[&[0.0; 4]]).with_orders(&orders, Unlisted::Absent).unwrap();
        assert_eq!(absent.present().try_to_vec_as::<bool>().unwrap(), [true, false, true, true]);
        assert_eq!(values(absent.comparisons().unwrap().count(DType::F64)), [2.0]);
        let rows = lists(&[&[0.0; 2], &[0.0; 2], &[0.0; 2]]);
        let rows = rows.with_orders(&[vec![vec![0]], vec![vec![1]], vec![vec![1], vec![0]]], Unlisted::Absent).unwrap();
        assert_eq!(rows.present().try_to_vec_as::<bool>().unwrap(), [true, false, false, true, true, true]);
    }

    #[test]
    fn an_item_listed_twice_or_an_empty_ranking_is_an_error_that_names_the_record() {
        let text = |orders: &[Vec<Vec<usize>>]| {
            lists(&[&[0.0; 2], &[0.0; 2]]).with_orders(orders, Unlisted::Below).unwrap_err().to_string()
        };
        let good = vec![vec![0], vec![1]];
        assert_eq!(text(&[good.clone(), vec![vec![1], vec![1]]]), "record 1: item 1 twice");
        assert_eq!(text(&[vec![vec![1, 1]], good.clone()]), "record 0: item 1 twice");
        assert_eq!(text(&[good.clone(), vec![vec![2]]]), "record 1: `orders` 2 is not in 0..2");
        assert_eq!(text(&[good.clone(), vec![]]), "record 1: `orders`: expected at least one candidate, got 0");
        assert_eq!(text(&[good.clone(), vec![vec![]]]), "record 1: `orders`: expected at least one candidate, got 0");
        assert_eq!(text(&[vec![vec![1], vec![0]], vec![vec![0, 0]]]), "record 1: item 0 twice");
        assert_eq!(text(&[good]), "`orders`: expected 2 entries, got 1");
    }

    #[test]
    fn every_loss_logs_how_well_scores_agree_with_the_order() {
        // Pairs 3>2, 3>1 and 2>1 of labels; scores rank (b, a, c) and (tie, c).
        let lists = lists(&[&[1.0, 2.0, 0.0], &[1.0, 1.0, 0.0]])
            .with_labels(matrix(&[&[3.0, 2.0, 1.0], &[3.0, 2.0, 1.0]], &Device::flex()));
        let nll = lists.unwrap().nll(tensor(&[1.0, 2.0], &Device::flex()), bools(&[true, true])).unwrap();
        let metric = |name| values(nll.metric(name).unwrap().0.clone());
        close(&metric("accuracy"), &[2.0 / 3.0, 2.5 / 3.0], 1e-15);
        close(&metric("kendall"), &[1.0 / 3.0, 2.0 / 6f64.sqrt()], 1e-15);
        close(&metric("top1"), &[0.0, 0.5], 1e-15);
    }

    #[test]
    fn a_list_that_says_nothing_is_skipped_in_means() {
        let lists =
            lists(&[&[1.0, 2.0], &[5.0, 0.0]]).with_labels(matrix(&[&[1.0, 0.0], &[1.0, 0.0]], &Device::flex()));
        let lists = lists.unwrap().with_weights(tensor(&[3.0, 4.0], &Device::flex())).unwrap();
        let nll = lists.nll(tensor(&[1.0, f64::NAN], &Device::flex()), bools(&[true, false])).unwrap();
        assert_eq!((values(nll.losses.clone()), values(nll.weights.clone())), (vec![1.0, 0.0], vec![3.0, 0.0]));
        assert_eq!(nll.means().mean("nll"), Some(1.0));
    }

    #[test]
    fn other_shapes_and_missing_labels_are_errors_that_name_the_column() {
        let device = Device::flex();
        let one = || lists(&[&[0.0, 1.0]]);
        let text = |result: Result<ListScores>| result.unwrap_err().to_string();
        assert!(text(one().with_present(Tensor::full([1, 3], true, &device))).starts_with("`present`"));
        assert!(text(one().with_labels(matrix(&[&[0.0]], &device))).starts_with("`labels`"));
        assert!(text(one().with_labels(Tensor::zeros([1, 2], &device))).starts_with("`labels`: expected dtype F64"));
        assert!(text(one().with_weights(tensor(&[1.0, 1.0], &device))).starts_with("`weights`"));
        assert!(text(one().with_weights(Tensor::zeros([1], &device))).starts_with("`weights`: expected dtype"));
        assert_eq!(
            one().labels().unwrap_err().to_string(),
            "`labels`: nothing to learn from: the lists are not ranked"
        );
        let labelled = one().with_labels(matrix(&[&[0.0, 1.0]], &device)).unwrap();
        assert!(
            labelled.nll(tensor(&[0.0; 2], &device), bools(&[true])).unwrap_err().to_string().starts_with("`losses`")
        );
        assert!(labelled.nll(tensor(&[0.0], &device), bools(&[])).unwrap_err().to_string().starts_with("`counts`"));
        assert_eq!(values(one().weights()), [1.0]);
    }
}
