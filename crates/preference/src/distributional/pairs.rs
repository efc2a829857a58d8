//! Judged pairs of predicted distributions.

use accordant_ops::{
    check_domain, check_dtype, check_shape, distribution::categorical::log_probs, stable::log_sum_exp,
};
use burn::tensor::{Bool, Tensor, TensorData};

use crate::{
    Nll, Result,
    pairwise::{Outcomes, PairScores},
};

/// A likelihood of judged pairs of predicted distributions.
pub trait PairDistributionModel {
    /// The pairs that it is about.
    type Pairs;

    /// One loss per pair.
    ///
    /// # Errors
    /// What the model needs and the pairs do not have.
    fn forward(&self, pairs: &Self::Pairs) -> Result<Nll>;

    /// Log-probabilities of the outcomes.
    ///
    /// # Errors
    /// As the loss's.
    fn outcomes(&self, pairs: &Self::Pairs) -> Result<Outcomes>;
}

/// A mean and a standard deviation for each side of each pair.
///
/// # Example
/// ```
/// use accordant_preference::{distributional::GaussianPairs, pairwise::PairScores};
/// use burn::tensor::{Device, Tensor};
/// let one = |value: f32| Tensor::<1>::from_floats([value], &Device::flex());
/// let means = PairScores::new(one(1.0), one(0.0))?; // with targets, weights, ... of the pairs
/// let pairs = GaussianPairs::new(means, one(0.6), one(0.8))?;
/// assert_eq!(pairs.distances().into_scalar::<f32>(), 1.0); // (1 − 0)/√(0.36 + 0.64)
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct GaussianPairs {
    means: PairScores,
    first: Tensor<1>,
    second: Tensor<1>,
}

impl GaussianPairs {
    /// The smallest variance of a difference; less counts as this much.
    pub const MIN_VARIANCE: f64 = 1e-12;

    /// Means with what was said about the pairs, and the standard deviations of the first and of the second sides, `[n]`
    /// and ≥ 0.
    ///
    /// # Errors
    /// A shape or dtype error naming `first_spreads` or `second_spreads`.
    pub fn new(means: PairScores, first_spreads: Tensor<1>, second_spreads: Tensor<1>) -> Result<Self> {
        let like = means.first();
        for (name, spreads) in [("first_spreads", &first_spreads), ("second_spreads", &second_spreads)] {
            check_shape(name, &like.dims(), &spreads.dims())?;
            check_dtype(name, like.dtype(), spreads.dtype())?;
        }
        Ok(Self { means, first: first_spreads, second: second_spreads })
    }

    /// Means, targets, weights.
    pub fn means(&self) -> &PairScores {
        &self.means
    }

    /// The sums of both variances, `[n]`.
    pub fn variances(&self) -> Tensor<1> {
        self.first.clone().square() + self.second.clone().square()
    }

    /// By how many standard deviations of their difference the first sides lead: `(μ_a − μ_b)/√(ς_a² + ς_b²)`.
    pub fn distances(&self) -> Tensor<1> {
        self.means.leads() / self.variances().clamp_min(Self::MIN_VARIANCE).sqrt()
    }

    /// The pairs with their sides exchanged.
    pub fn swapped(&self) -> Self {
        Self { means: self.means.swapped(), first: self.second.clone(), second: self.first.clone() }
    }
}

/// A distribution over the same `k` ordered grades for each side of each pair, as logits.
///
/// What is said about the pairs (targets, ties, weights) is said of their expected grades 1, 2, ..., `k`, by which losses
/// log accuracy and margins.
///
/// # Example
/// ```
/// use accordant_preference::distributional::CategoricalPairs;
/// use burn::tensor::{Device, Tensor};
/// let logits = |p: [f32; 3]| Tensor::<2>::from_floats([p.map(f32::ln)], &Device::flex());
/// let pairs = CategoricalPairs::new(logits([0.1, 0.2, 0.7]), logits([0.5, 0.3, 0.2]))?;
/// let scores = pairs.scores(); // 0.1 + 0.4 + 2.1 and 0.5 + 0.6 + 0.6
/// assert!((scores.first().into_scalar::<f32>() - 2.6).abs() < 1e-6);
/// assert!((scores.second().into_scalar::<f32>() - 1.7).abs() < 1e-6);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct CategoricalPairs {
    first: Tensor<2>,
    second: Tensor<2>,
    scores: PairScores,
}

impl CategoricalPairs {
    /// Logits of the first and of the second sides, `[n, k]`; the first won.
    ///
    /// # Errors
    /// A shape or dtype error naming `second`, a domain error naming `first` when there are fewer than two grades.
    pub fn new(first: Tensor<2>, second: Tensor<2>) -> Result<Self> {
        check_shape("second", &first.dims(), &second.dims())?;
        check_dtype("second", first.dtype(), second.dtype())?;
        let [_, grades] = first.dims();
        check_domain(grades >= 2, "first", "at least 2 grades", grades as f64)?;
        let (first, second) = (log_probs(first), log_probs(second));
        let scores = PairScores::new(expected_grades(first.clone()), expected_grades(second.clone()))?;
        Ok(Self { first, second, scores })
    }

    /// The chance, or the share of votes, in [0, 1] that the first side is better.
    ///
    /// # Errors
    /// A shape or dtype error naming `targets`.
    pub fn with_targets(self, targets: Tensor<1>) -> Result<Self> {
        Ok(Self { scores: self.scores.with_targets(targets)?, ..self })
    }

    /// Which pairs were called a tie.
    ///
    /// # Errors
    /// A shape error naming `ties`.
    pub fn with_ties(self, ties: Tensor<1, Bool>) -> Result<Self> {
        Ok(Self { scores: self.scores.with_ties(ties)?, ..self })
    }

    /// How much each pair counts in a mean, ≥ 0.
    ///
    /// # Errors
    /// A shape or dtype error naming `weights`.
    pub fn with_weights(self, weights: Tensor<1>) -> Result<Self> {
        Ok(Self { scores: self.scores.with_weights(weights)?, ..self })
    }

    /// How many pairs there are.
    pub fn len(&self) -> usize {
        self.first.dims()[0]
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many grades there are.
    pub fn num_grades(&self) -> usize {
        self.first.dims()[1]
    }

    /// Log-probabilities of the first sides' grades, `[n, k]`, in f64 for f64 and f32 otherwise.
    pub fn first_log_probs(&self) -> Tensor<2> {
        self.first.clone()
    }

    /// Those of the second sides'.
    pub fn second_log_probs(&self) -> Tensor<2> {
        self.second.clone()
    }

    /// Expected grades, with what was said about the pairs.
    pub fn scores(&self) -> &PairScores {
        &self.scores
    }

    /// Variances of the first and of the second sides' grades, `[n]` each.
    pub fn variances(&self) -> (Tensor<1>, Tensor<1>) {
        let variance = |log_probs: &Tensor<2>, means: Tensor<1>| {
            let gaps = grades(log_probs) - means.unsqueeze_dim::<2>(1);
            (log_probs.clone().exp() * gaps.square()).sum_dim(1).squeeze_dim::<1>(1)
        };
        (variance(&self.first, self.scores.first()), variance(&self.second, self.scores.second()))
    }

    /// The pairs with their sides exchanged.
    pub fn swapped(&self) -> Self {
        Self { first: self.second.clone(), second: self.first.clone(), scores: self.scores.swapped() }
    }

    /// `log Σ p_i q_j` over the cells (first side has grade `i`, second has `j`) that are allowed, `[n]`; −∞ with no gradient
    /// where all of them are impossible.
    pub(crate) fn log_mass(&self, allowed: Tensor<3, Bool>) -> Tensor<1> {
        let [n, k] = self.first.dims();
        if n == 0 {
            return self.scores.first(); // burn reshapes nothing
        }
        let cells = self.first.clone().unsqueeze_dim::<3>(2) + self.second.clone().unsqueeze_dim::<3>(1);
        let cells = cells.mask_fill(allowed.expand([n, k, k]).bool_not(), f32::NEG_INFINITY);
        log_sum_exp(cells.reshape([n, k * k]), 1).squeeze_dim(1)
    }

    /// Log-probabilities that the first grade is above, equal to and below the second.
    pub(crate) fn orderings(&self) -> Outcomes {
        let mass = |allowed: &dyn Fn(usize, usize) -> bool| self.log_mass(self.cells(allowed));
        Outcomes { first: mass(&|i, j| i > j), tie: Some(mass(&|i, j| i == j)), second: mass(&|i, j| i < j) }
    }

    /// A mask of cells, `[1, k, k]`.
    pub(crate) fn cells(&self, allowed: &dyn Fn(usize, usize) -> bool) -> Tensor<3, Bool> {
        let k = self.num_grades();
        let cells: Vec<bool> = (0..k * k).map(|cell| allowed(cell / k, cell % k)).collect();
        Tensor::from_bool(TensorData::new(cells, [1, k, k]), &self.first.device())
    }

    /// The loss of what was said, and `floored_fraction`, the share of pairs whose outcome was given less than
    /// [`FLOOR`](Self::FLOOR).
    ///
    /// In log space nothing is clamped: a badly ranked pair keeps its gradient. Only an outcome without any probability,
    /// which takes logits of −∞, counts as one of [`FLOOR`](Self::FLOOR).
    pub(crate) fn nll(&self, outcomes: Outcomes) -> Result<Nll> {
        let floor = Self::FLOOR.ln();
        let possible = |log_prob: Tensor<1>| {
            let never = log_prob.clone().equal_scalar(f32::NEG_INFINITY);
            log_prob.mask_fill(never, floor)
        };
        let Outcomes { first, tie, second } = outcomes;
        let outcomes = Outcomes { first: possible(first), tie: tie.map(possible), second: possible(second) };
        let losses = outcomes.losses(&self.scores);
        let floored = losses.zeros_like().detach().mask_fill(losses.clone().greater_equal_scalar(-floor), 1.0);
        self.scores.nll(losses)?.with_metric("floored_fraction", floored)
    }

    /// The probability below which an outcome counts as one that was thought impossible: the clamp of published code.
    pub const FLOOR: f64 = 1e-12;
}

/// 1, 2, ..., k along the columns.
fn grades(log_probs: &Tensor<2>) -> Tensor<2> {
    let k = log_probs.dims()[1];
    let grades = (1..=k).map(|grade| grade as f64).collect::<Vec<_>>();
    Tensor::from_data(TensorData::new(grades, [1, k]), (&log_probs.device(), log_probs.dtype()))
}

/// Expected grades of log-probabilities.
fn expected_grades(log_probs: Tensor<2>) -> Tensor<1> {
    let grades = grades(&log_probs);
    (log_probs.exp() * grades).sum_dim(1).squeeze_dim(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distributional::testing::{check_gradients, host, like, matrix, near, starts, vector};

    #[test]
    fn pairs_of_grades_are_counted() {
        let pairs =
            |n: usize| CategoricalPairs::new(matrix(&vec![0.0; 3 * n], 3), matrix(&vec![0.0; 3 * n], 3)).unwrap();
        assert_eq!((pairs(2).len(), pairs(2).is_empty(), pairs(2).num_grades()), (2, false, 3));
    }

    #[test]
    fn distances_by_hand_and_exchanged() {
        let means = PairScores::new(vector(&[1.0, 0.0, 2.0]), vector(&[0.0, 3.0, 1.0])).unwrap();
        let pairs = GaussianPairs::new(means, vector(&[0.6, 0.0, 0.0]), vector(&[0.8, 1.5, 0.0])).unwrap();
        near(&host(&pairs.distances()), &[1.0, -2.0, 1e6], 1e-9); // the last without any spread
        near(&host(&pairs.swapped().distances()), &[-1.0, 2.0, -1e6], 1e-9);
        near(&host(&pairs.variances()), &[1.0, 2.25, 0.0], 1e-15);
        assert_eq!(host(&pairs.means().first()), [1.0, 0.0, 2.0]);
        let means = || PairScores::new(vector(&[1.0]), vector(&[1.0])).unwrap();
        starts(GaussianPairs::new(means(), vector(&[1.0; 2]), vector(&[1.0])), "`first_spreads`");
        starts(GaussianPairs::new(means(), vector(&[1.0]), vector(&[1.0; 2])), "`second_spreads`");
        let narrow = vector(&[1.0]).cast(burn::tensor::FloatDType::F32);
        starts(GaussianPairs::new(means(), vector(&[1.0]), narrow), "`second_spreads`");
    }

    fn pairs() -> CategoricalPairs {
        let p = matrix(&[0.1, 0.2, 0.7].map(f64::ln), 3);
        let q = matrix(&[0.5, 0.3, 0.2].map(f64::ln), 3);
        CategoricalPairs::new(p, q).unwrap()
    }

    #[test]
    fn grades_have_means_variances_and_orderings() {
        let pairs = pairs();
        near(&host(&pairs.scores().first()), &[2.6], 1e-14);
        near(&host(&pairs.scores().second()), &[1.7], 1e-14);
        let (first, second) = pairs.variances();
        // 0.1·1.6² + 0.2·0.6² + 0.7·0.4² and 0.5·0.7² + 0.3·0.3² + 0.2·1.3²
        near(&host(&first), &[0.44], 1e-14);
        near(&host(&second), &[0.61], 1e-14);
        let Outcomes { first, tie, second } = pairs.orderings();
        near(&host(&first.exp()), &[0.66], 1e-14);
        near(&host(&tie.unwrap().exp()), &[0.25], 1e-14);
        near(&host(&second.exp()), &[0.09], 1e-14);
        let back = pairs.swapped().orderings();
        near(&host(&back.first.exp()), &[0.09], 1e-14);
        assert_eq!(pairs.num_grades(), 3);
    }

    #[test]
    fn a_pair_that_was_thought_impossible_has_a_finite_loss_and_is_counted() {
        let never = f64::NEG_INFINITY;
        let p = matrix(&[0.0, never, never, -40.0, 0.0, never], 3);
        let q = matrix(&[never, 0.0, never, never, 0.0, -40.0], 3);
        let pairs = CategoricalPairs::new(p, q).unwrap();
        let nll = pairs.nll(pairs.orderings()).unwrap();
        let losses = host(&nll.losses);
        near(&losses, &[-(1e-12f64.ln()), -(1e-12f64.ln())], 1e-9);
        assert_eq!(host(nll.metric("floored_fraction").unwrap().0), [1.0, 1.0]);
        let fine = self::pairs();
        let nll = fine.nll(fine.orderings()).unwrap();
        assert_eq!(host(nll.metric("floored_fraction").unwrap().0), [0.0]);
        near(&host(&nll.losses), &[-(0.66f64.ln())], 1e-14);
    }

    #[test]
    fn a_badly_ranked_pair_keeps_its_gradient_below_the_floor_of_published_code() {
        let run = |x: Tensor<1>| {
            let q = like(&x, &[0.0, 60.0]).unsqueeze_dim::<2>(0);
            let pairs = CategoricalPairs::new(x.unsqueeze_dim::<2>(0), q).unwrap();
            pairs.nll(pairs.orderings()).unwrap().losses
        };
        // p_2 q_1: −60 − 60 and the like; by the logits, −1 and 1.
        near(&host(&run(vector(&[60.0, 0.0]))), &[120.0], 1e-9);
        near(&crate::distributional::testing::gradient(&[60.0, 0.0], run), &[1.0, -1.0], 1e-9);
        check_gradients(&[0.4, -0.3], run);
    }

    #[test]
    fn labels_and_shapes_are_checked_by_name() {
        starts(CategoricalPairs::new(matrix(&[0.0; 3], 3), matrix(&[0.0; 2], 2)), "`second`: expected shape");
        let narrow = matrix(&[0.0; 3], 3).cast(burn::tensor::FloatDType::F32);
        starts(CategoricalPairs::new(matrix(&[0.0; 3], 3), narrow), "`second`: expected dtype");
        starts(CategoricalPairs::new(matrix(&[0.0], 1), matrix(&[0.0], 1)), "`first`: expected at least 2 grades");
        starts(pairs().with_targets(vector(&[1.0; 2])), "`targets`");
        starts(pairs().with_weights(vector(&[1.0; 2])), "`weights`");
        let ties = Tensor::from_bool([true, false], &burn::tensor::Device::flex());
        starts(pairs().with_ties(ties), "`ties`");
        let half = pairs().with_targets(vector(&[0.25])).unwrap().with_weights(vector(&[3.0])).unwrap();
        let nll = half.nll(half.orderings()).unwrap();
        near(&host(&nll.losses), &[-0.25 * 0.66f64.ln() - 0.75 * 0.09f64.ln()], 1e-14);
        assert_eq!(host(&nll.weights), [3.0]);
        let tied = pairs().with_ties(Tensor::from_bool([true], &burn::tensor::Device::flex())).unwrap();
        near(&host(&tied.nll(tied.orderings()).unwrap().losses), &[-(0.25f64.ln())], 1e-14);
    }
}
