//! Ranked lists without sorting: which candidates are better than which, and the losses made of that.
//!
//! A sort must put ties and NaN somewhere, and where it puts them is an accident of the input. Here a candidate is better
//! than another exactly when both are there and its score is larger: ties and NaN compare with nothing, and no order of
//! the candidates matters. The price is one truth value for each pair: memory is a few times `n · k · k`.
//!
//! The losses are those that policies and reward models have in common: formulas on scores `[n, k]`, whatever the scores
//! are.

use burn::tensor::{Bool, DType, FloatDType, Tensor};

use crate::{
    Result, check_dtype, check_shape,
    stable::{log_sum_exp, softplus},
};

/// Which candidates of each list are better than which.
#[derive(Debug, Clone)]
pub struct Comparisons {
    present: Tensor<2, Bool>,
    /// True at `[list, i, j]` where `i` is better than `j`.
    better: Tensor<3, Bool>,
}

/// 1 where a mask is true, 0 elsewhere.
pub fn ones<const D: usize>(mask: Tensor<D, Bool>, dtype: DType) -> Tensor<D> {
    mask.cast(FloatDType::from(dtype))
}

/// `x[n, i]` at `[n, i, j]`.
pub fn rows(x: Tensor<2>) -> Tensor<3> {
    let [_, k] = x.dims();
    x.unsqueeze_dim::<3>(2).repeat_dim(2, k)
}

/// `x[n, j]` at `[n, i, j]`.
pub fn columns(x: Tensor<2>) -> Tensor<3> {
    let [_, k] = x.dims();
    x.unsqueeze_dim::<3>(1).repeat_dim(1, k)
}

/// True at `[n, i, j]` where both candidates are there.
fn both(present: Tensor<2, Bool>) -> Tensor<3, Bool> {
    let [_, k] = present.dims();
    let own = present.clone().unsqueeze_dim::<3>(2).repeat_dim(2, k);
    own.bool_and(present.unsqueeze_dim::<3>(1).repeat_dim(1, k))
}

/// True at `[n, i, j]` where both candidates are there and are not the same.
pub fn others(present: Tensor<2, Bool>) -> Tensor<3, Bool> {
    let places = ones(present.clone(), DType::F32).ones_like().cumsum(1);
    both(present).bool_and(rows(places.clone()).not_equal(columns(places)))
}

impl Comparisons {
    /// From scores (larger is better) of the candidates that are there; one whose score is NaN counts as absent.
    ///
    /// # Shapes
    /// `scores` and `present`: `[n, k]`.
    ///
    /// # Errors
    /// A shape error naming `present`.
    ///
    /// # Example
    /// ```
    /// use accordant_ops::lists::Comparisons;
    /// use burn::tensor::{DType, Device, Tensor};
    /// let scores = Tensor::<2>::from_floats([[0.5, 0.9, 0.5, 0.1]], &Device::flex());
    /// let present = scores.clone().greater_scalar(0.2);
    /// let comparisons = Comparisons::new(scores, present)?;
    /// // The best, and two that share the second place; the last is not there.
    /// assert_eq!(comparisons.ranks(DType::F32).try_to_vec_as::<f32>().unwrap(), [2.0, 1.0, 2.0, 1.0]);
    /// assert_eq!(comparisons.count(DType::F32).into_scalar::<f32>(), 2.0);
    /// # Ok::<(), accordant_ops::Error>(())
    /// ```
    pub fn new(scores: Tensor<2>, present: Tensor<2, Bool>) -> Result<Self> {
        check_shape("present", &scores.dims(), &present.dims())?;
        let scores = scores.detach();
        // What compares with nothing would be both the best and the worst.
        let present = present.bool_and(scores.clone().is_nan().bool_not());
        let better = rows(scores.clone()).greater(columns(scores)).bool_and(both(present.clone()));
        Ok(Self { present, better })
    }

    /// The candidates that are there and have a score, `[n, k]`.
    pub fn present(&self) -> Tensor<2, Bool> {
        self.present.clone()
    }

    /// True at `[list, i, j]` where `i` is better than `j`, `[n, k, k]`.
    pub fn better(&self) -> Tensor<3, Bool> {
        self.better.clone()
    }

    /// How many candidates each one is better than, `[n, k]`.
    pub fn num_worse(&self, dtype: DType) -> Tensor<2> {
        ones(self.better.clone(), dtype).sum_dim(2).squeeze_dim(2)
    }

    /// How many candidates are better than each one, `[n, k]`.
    pub fn num_better(&self, dtype: DType) -> Tensor<2> {
        ones(self.better.clone(), dtype).sum_dim(1).squeeze_dim(1)
    }

    /// The place of each candidate, `[n, k]`: 1 and the number of better ones, so that ties share a place.
    pub fn ranks(&self, dtype: DType) -> Tensor<2> {
        self.num_better(dtype) + 1.0
    }

    /// How many different scores are better than each candidate's, `[n, k]`: neighbors are one apart, however many
    /// share a score.
    pub fn tie_blocks_above(&self, dtype: DType) -> Tensor<2> {
        let [_, k] = self.present.dims();
        // Members of a block have the same number of better and of worse ones; each counts 1 / its block's size.
        let (above, below) = (self.num_better(dtype), self.num_worse(dtype));
        let size = -(above + below) + ones(self.present.clone(), dtype).sum_dim(1).repeat_dim(1, k);
        let share = rows(size.clamp_min(1.0).recip()).mask_fill(self.better.clone().bool_not(), 0.0);
        share.sum_dim(1).squeeze_dim::<2>(1).round()
    }

    /// The number of comparisons of each list, `[n]`.
    pub fn count(&self, dtype: DType) -> Tensor<1> {
        self.num_worse(dtype).sum_dim(1).squeeze_dim(1)
    }

    /// Lists in which some candidate is better than another, `[n]`.
    pub fn exist(&self) -> Tensor<1, Bool> {
        self.count(DType::F32).greater_scalar(0.5)
    }

    /// The best candidates, each with its share of 1, `[n, k]`; 0 for a list without a candidate.
    pub fn best(&self, dtype: DType) -> Tensor<2> {
        self.shares(self.num_better(dtype))
    }

    /// The worst candidates, each with its share of 1, `[n, k]`; 0 for a list without a candidate.
    pub fn worst(&self, dtype: DType) -> Tensor<2> {
        self.shares(self.num_worse(dtype))
    }

    /// Equal shares for the candidates that have no `rival`.
    fn shares(&self, rivals: Tensor<2>) -> Tensor<2> {
        let [_, k] = self.present.dims();
        let winners = ones(rivals.clone().equal_scalar(0.0).bool_and(self.present.clone()), rivals.dtype());
        let num_winners = winners.clone().sum_dim(1).clamp_min(1.0).repeat_dim(1, k);
        winners / num_winners
    }
}

/// `−log(e^own / (e^own + Σ_j e^others_j))` over the `j` that each candidate is chosen `among`; 0 where there is none.
///
/// Written `softplus(log Σ e^others − own)`: next to a probability of 1, the logarithm of a sum over all would leave nothing
/// but its rounding. The gradient is the softmax less the choice.
///
/// # Shapes
/// `own`: `[n, k]`; `others` and `among`: `[n, k, k]`, the candidate first; the result is `[n, k]`.
///
/// # Errors
/// A shape error naming `others` or `among`.
///
/// # Example
/// ```
/// use accordant_ops::lists::{choice_losses, columns};
/// use burn::tensor::{Device, Tensor};
/// let own = Tensor::<2>::from_floats([[3f32.ln(), 0.0]], &Device::flex());
/// let others = columns(own.clone());
/// let among = others.clone().equal_scalar(0.0); // both against the second alone
/// let losses = choice_losses(own, others, among)?.try_to_vec_as::<f32>().unwrap();
/// assert!((losses[0] - (4f32 / 3.0).ln()).abs() < 1e-6 && losses[1] == 2f32.ln());
/// # Ok::<(), accordant_ops::Error>(())
/// ```
pub fn choice_losses(own: Tensor<2>, others: Tensor<3>, among: Tensor<3, Bool>) -> Result<Tensor<2>> {
    let [lists, k] = own.dims();
    check_shape("others", &[lists, k, k], &others.dims())?;
    check_shape("among", &[lists, k, k], &among.dims())?;
    let rest = log_sum_exp(others.mask_fill(among.bool_not(), f32::NEG_INFINITY), 2).squeeze_dim::<2>(2);
    let unrivaled = rest.clone().equal_scalar(f32::NEG_INFINITY);
    // Selected before and after: at a gap of −∞ the loss is 0, but its gradient need not be.
    let gap = (rest - own).mask_fill(unrivaled.clone(), 0.0);
    Ok(softplus(gap).mask_fill(unrivaled, 0.0))
}

/// Log-probabilities of a softmax over the candidates of each list that are there, `[n, k]`; 0 where there is none.
///
/// # Errors
/// A shape error naming `present`.
///
/// # Example
/// ```
/// use accordant_ops::lists::choice_logps;
/// use burn::tensor::{Device, Tensor};
/// let logits = Tensor::<2>::from_floats([[3f32.ln(), 0.0, 9.0]], &Device::flex());
/// let logps = choice_logps(logits.clone(), logits.lower_scalar(5.0))?.try_to_vec_as::<f32>().unwrap();
/// assert!((logps[0] - 0.75f32.ln()).abs() < 1e-6 && (logps[1] - 0.25f32.ln()).abs() < 1e-6 && logps[2] == 0.0);
/// # Ok::<(), accordant_ops::Error>(())
/// ```
pub fn choice_logps(logits: Tensor<2>, present: Tensor<2, Bool>) -> Result<Tensor<2>> {
    check_shape("present", &logits.dims(), &present.dims())?;
    Ok(-choice_losses(logits.clone(), columns(logits), others(present))?)
}

/// Cross-entropies of a target distribution and the softmax of the candidates that are there, one per list.
///
/// ```text
/// loss = −Σ_k q_k log softmax(a)_k
/// ```
///
/// # Shapes
/// `logits` (a), `targets` (q) and `present`: `[n, k]`; the targets of a list add up to 1 over the candidates that are
/// there, and are detached. The result is `[n]`.
///
/// # Errors
/// A shape or dtype error naming `targets` or `present`.
///
/// # Example
/// ```
/// use accordant_ops::lists::choice_cross_entropy;
/// use burn::tensor::{Device, Tensor};
/// let row = |values: [f32; 2]| Tensor::<2>::from_floats([values], &Device::flex());
/// let all = row([1.0; 2]).greater_scalar(0.0);
/// let loss = choice_cross_entropy(row([3f32.ln(), 0.0]), row([1.0, 0.0]), all)?.into_scalar::<f32>();
/// assert!((loss - (4f32 / 3.0).ln()).abs() < 1e-6);
/// # Ok::<(), accordant_ops::Error>(())
/// ```
pub fn choice_cross_entropy(logits: Tensor<2>, targets: Tensor<2>, present: Tensor<2, Bool>) -> Result<Tensor<1>> {
    check_shape("targets", &logits.dims(), &targets.dims())?;
    check_dtype("targets", logits.dtype(), targets.dtype())?;
    let targets = targets.detach().mask_fill(present.clone().bool_not(), 0.0);
    Ok(-(choice_logps(logits, present)? * targets).sum_dim(1).squeeze_dim::<1>(1))
}

/// Logistic losses of the pairs of each list, weighted and summed.
///
/// ```text
/// loss = Σ_{i,j} w_ij softplus(−(s_i − s_j))
/// ```
///
/// # Shapes
/// `rewards` (s): `[n, k]`; `weights`: `[n, k, k]`, the better candidate first, detached; the result is `[n]`.
///
/// A pair of weight 0 is left out, whatever its rewards. Finite for every finite input.
///
/// # Errors
/// A shape or dtype error naming `weights`.
pub fn weighted_pairs_loss(rewards: Tensor<2>, weights: Tensor<3>) -> Result<Tensor<1>> {
    let [lists, k] = rewards.dims();
    check_shape("weights", &[lists, k, k], &weights.dims())?;
    check_dtype("weights", rewards.dtype(), weights.dtype())?;
    let weights = weights.detach();
    let unused = weights.clone().equal_scalar(0.0);
    let h = (rows(rewards.clone()) - columns(rewards)).mask_fill(unused, 0.0);
    Ok((softplus(-h) * weights).sum_dim(2).squeeze_dim::<2>(2).sum_dim(1).squeeze_dim(1))
}

/// Lambda weights of the comparisons of each list, `[n, k, k]`, detached; 0 where nothing is compared.
///
/// ```text
/// w_ij = |2^{v_i} − 2^{v_j}| · |1/log2(1 + τ_i) − 1/log2(1 + τ_j)|
/// ```
///
/// `v` are the scores, best in `[0, 1]`, and `τ` the places (from 1) by the current rewards. Among equal rewards the
/// candidate with the lower score has the better place; those with equal scores, too, share it. Scores are exponents:
/// beyond 127 in f32 the weights are infinite.
///
/// # Shapes
/// `scores`, `rewards` and `present`: `[n, k]`.
///
/// # Errors
/// A shape or dtype error naming `rewards` or `present`.
///
/// # Example
/// ```
/// use accordant_ops::lists::lambda_weights;
/// use burn::tensor::{Device, Tensor};
/// let row = |values: [f32; 2]| Tensor::<2>::from_floats([values], &Device::flex());
/// let all = row([1.0; 2]).greater_scalar(0.0);
/// let weights = lambda_weights(row([1.0, 0.0]), row([0.5, 0.2]), all)?;
/// // (2 − 1) · (1/log2 2 − 1/log2 3), for the one pair that is compared.
/// let weight = weights.try_to_vec_as::<f32>().unwrap()[1];
/// assert!((weight - (1.0 - 1.0 / 3f32.log2())).abs() < 1e-6);
/// # Ok::<(), accordant_ops::Error>(())
/// ```
pub fn lambda_weights(scores: Tensor<2>, rewards: Tensor<2>, present: Tensor<2, Bool>) -> Result<Tensor<3>> {
    check_shape("rewards", &scores.dims(), &rewards.dims())?;
    check_dtype("rewards", scores.dtype(), rewards.dtype())?;
    let (scores, rewards) = (scores.detach(), rewards.detach());
    let by_score = Comparisons::new(scores.clone(), present.clone())?;
    let by_reward = Comparisons::new(rewards.clone(), present)?;
    // Ahead of `j` in the current list: `i` with a larger reward, or with the same and a lower score.
    let equal = rows(rewards.clone()).equal(columns(rewards.clone()));
    let ahead = by_reward.better().bool_or(equal.bool_and(by_score.better().swap_dims(1, 2)));
    let places = ones(ahead, rewards.dtype()).sum_dim(1).squeeze_dim::<2>(1) + 1.0;
    let difference = |values: Tensor<2>| (rows(values.clone()) - columns(values)).abs();
    let gain = difference((scores * std::f64::consts::LN_2).exp());
    let discount = difference((places + 1.0).log().recip() * std::f64::consts::LN_2);
    Ok((gain * discount).mask_fill(by_score.better().bool_not(), 0.0))
}

/// The weight of each pair's distance in positions, `[n, k, k]`, the better candidate first; 0 where nothing is compared.
///
/// `skips` are the weights of the distances 1, 2, …; those beyond are 0. Tied candidates share a position.
///
/// # Example
/// ```
/// use accordant_ops::lists::{Comparisons, skip_weights};
/// use burn::tensor::{DType, Device, Tensor};
/// let scores = Tensor::<2>::from_floats([[3.0, 1.0, 2.0]], &Device::flex());
/// let comparisons = Comparisons::new(scores.clone(), scores.greater_scalar(0.0))?;
/// let weights = skip_weights(&comparisons, &[1.0, 0.5], DType::F32).try_to_vec_as::<f32>().unwrap();
/// // The first is one place ahead of the third, two ahead of the second.
/// assert_eq!(weights, [0.0, 0.5, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
/// # Ok::<(), accordant_ops::Error>(())
/// ```
pub fn skip_weights(comparisons: &Comparisons, skips: &[f64], dtype: DType) -> Tensor<3> {
    let positions = comparisons.tie_blocks_above(dtype);
    let [_, k] = positions.dims();
    let distances = (columns(positions.clone()) - rows(positions)).mask_fill(comparisons.better().bool_not(), 0.0);
    let mut weights = distances.zeros_like();
    for (below, weight) in skips.iter().enumerate().take(k) {
        let here = distances.clone().sub_scalar(below as f64 + 1.0).abs().lower_scalar(0.5);
        weights = weights.mask_fill(here, *weight);
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};

    fn matrix<const N: usize>(rows: &[&[f64; N]]) -> Tensor<2> {
        let numbers = rows.iter().flat_map(|row| row.iter().copied()).collect::<Vec<_>>();
        Tensor::from_data(TensorData::new(numbers, [rows.len(), N]), (&Device::flex(), DType::F64))
    }

    fn bools<const N: usize>(rows: &[&[bool; N]]) -> Tensor<2, Bool> {
        let values = rows.iter().flat_map(|row| row.iter().copied()).collect::<Vec<_>>();
        Tensor::from_data(TensorData::new(values, [rows.len(), N]), &Device::flex())
    }

    fn values<const D: usize>(tensor: &Tensor<D>) -> Vec<f64> {
        tensor.try_to_vec_as::<f64>().unwrap()
    }

    /// Scores 2, NaN (absent), 5, 2, 1 and a list of two ties.
    fn comparisons() -> Comparisons {
        let scores = matrix(&[&[2.0, f64::NAN, 5.0, 2.0, 1.0], &[7.0, 7.0, 9.0, 0.0, 0.0]]);
        let present = bools(&[&[true, false, true, true, true], &[true, true, false, false, false]]);
        Comparisons::new(scores, present).unwrap()
    }

    #[test]
    fn counts_ranks_and_blocks_by_hand() {
        let c = comparisons();
        let dtype = DType::F64;
        assert_eq!(values(&c.num_worse(dtype)), [1.0, 0.0, 3.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(values(&c.num_better(dtype)), [1.0, 0.0, 0.0, 1.0, 3.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(values(&c.ranks(dtype))[..5], [2.0, 1.0, 1.0, 2.0, 4.0]);
        assert_eq!(values(&c.tie_blocks_above(dtype))[..5], [1.0, 0.0, 0.0, 1.0, 2.0]);
        assert_eq!(values(&c.count(dtype)), [5.0, 0.0]);
        assert_eq!(c.exist().try_to_vec_as::<bool>().unwrap(), [true, false]);
        assert_eq!(values(&c.best(dtype)), [0.0, 0.0, 1.0, 0.0, 0.0, 0.5, 0.5, 0.0, 0.0, 0.0]);
        assert_eq!(values(&c.worst(dtype)), [0.0, 0.0, 0.0, 0.0, 1.0, 0.5, 0.5, 0.0, 0.0, 0.0]);
        let better = c.better().try_to_vec_as::<bool>().unwrap();
        let row = |i: usize| better[5 * i..5 * i + 5].to_vec();
        assert_eq!(row(2), [true, false, false, true, true], "the best of the first list");
        assert_eq!(row(3), [false, false, false, false, true], "a tie is not better");
    }

    #[test]
    fn a_nan_score_compares_with_nothing() {
        let scores = matrix(&[&[1.0, f64::NAN, 0.0]]);
        let c = Comparisons::new(scores, bools(&[&[true, true, true]])).unwrap();
        assert_eq!(values(&c.count(DType::F64)), [1.0]);
        assert_eq!(values(&c.best(DType::F64)), [1.0, 0.0, 0.0], "nor is it among the best");
        assert_eq!(values(&c.worst(DType::F64)), [0.0, 0.0, 1.0]);
        assert_eq!(values(&c.tie_blocks_above(DType::F64))[2], 1.0, "nor a position of its own");
    }

    #[test]
    fn shapes_are_checked() {
        let error = Comparisons::new(matrix(&[&[1.0, 2.0]]), bools(&[&[true]])).unwrap_err().to_string();
        assert_eq!(error, "`present`: expected shape [1, 2], got [1, 1]");
    }
}
