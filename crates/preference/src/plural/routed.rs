//! Several Bradley-Terry heads, weighed anew for each pair: what a router, a context or a belief about it gives.
//!
//! **Papers:** Adaptive Mixtures of Local Experts (R. A. Jacobs and others, 1991); for preferences MiCRo: Mixture Modeling and
//! Context-aware Routing for Personalized Preference Learning (2025), 2505.24846, and Improving Context-Aware Preference
//! Modeling for Language Models (2024), 2407.14916.
//! **Use when:** you write a model of your own whose chance is a mean of chances with weights of each pair.
//! **Checked by:** hand-worked chances, one head and equal heads being Bradley-Terry, sides exchanged, finite differences.
//! **Deviations:** none.

use accordant_ops::{
    check_domain, check_dtype, check_shape,
    distribution::categorical::log_probs,
    stable::{log_sigmoid, log_sum_exp},
};
use burn::tensor::Tensor;

use crate::{
    Result,
    pairwise::{Outcomes, PairScores},
};

/// Scores of both sides of each pair under K heads, and the weights of the heads for the pair.
///
/// ```text
/// P(a ≻ b) = Σ_k w_k σ(r_k(a) − r_k(b))
/// ```
///
/// The weights are the pair's, not the response's: two weights for the two sides would be another model, whose chances
/// change when a head's scores are shifted.
///
/// # Example
/// ```
/// use accordant_preference::plural::routed::RoutedHeads;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// // Odds of 3 : 1 under the first head and of 1 : 3 under the second, which weighs a fifth.
/// let first = Tensor::from_floats([[3f32.ln(), 0.0]], &device);
/// let second = Tensor::from_floats([[0.0, 3f32.ln()]], &device);
/// let heads = RoutedHeads::new(first, second, Tensor::from_floats([[4f32.ln(), 0.0]], &device))?;
/// let outcomes = heads.outcomes(&heads.scores()?)?;
/// assert!((outcomes.first.exp().into_scalar::<f32>() - 0.65).abs() < 1e-6); // 0.8 · 0.75 + 0.2 · 0.25
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct RoutedHeads {
    first: Tensor<2>,
    second: Tensor<2>,
    log_weights: Tensor<2>,
}

impl RoutedHeads {
    /// Scores of the first and second sides, `[n, K]`, and logits of the weights, `[n, K]`: a router's output, or
    /// logarithms of weights that are known. In f64 for f64 and f32 otherwise.
    ///
    /// # Errors
    /// A shape or dtype error naming `second` or `logits`; a domain error naming `heads` when there is none.
    pub fn new(first: Tensor<2>, second: Tensor<2>, logits: Tensor<2>) -> Result<Self> {
        for (name, values) in [("second", &second), ("logits", &logits)] {
            check_shape(name, &first.dims(), &values.dims())?;
            check_dtype(name, first.dtype(), values.dtype())?;
        }
        let [_, k] = first.dims();
        check_domain(k >= 1, "heads", ">= 1", k as f64)?;
        let log_weights = log_probs(logits);
        let widened = |values: Tensor<2>| values.cast(log_weights.dtype());
        Ok(Self { first: widened(first), second: widened(second), log_weights })
    }

    /// Logarithms of the weights, `[n, K]`.
    pub fn log_weights(&self) -> Tensor<2> {
        self.log_weights.clone()
    }

    /// One score for each side, `Σ_k w_k r_k`: the score marginal, by which a mean chooser would choose. What was said of the
    /// pairs is added to it.
    ///
    /// # Errors
    /// None that the constructor has not seen.
    pub fn scores(&self) -> Result<PairScores> {
        let weights = self.log_weights.clone().exp();
        let mixed = |scores: &Tensor<2>| (scores.clone() * weights.clone()).sum_dim(1).squeeze_dim(1);
        PairScores::new(mixed(&self.first), mixed(&self.second))
    }

    /// Log-chances of the two sides: the probability marginal. Margins and offsets of `pairs` are those of every head.
    ///
    /// # Errors
    /// A shape or dtype error naming `pairs`.
    pub fn outcomes(&self, pairs: &PairScores) -> Result<Outcomes> {
        // What margins and offsets add to a lead of 0: a difference of leads would lose digits.
        let zeros = pairs.first().zeros_like().detach();
        let shift = pairs.rescored(zeros.clone(), zeros)?.leads();
        let [n, _] = self.first.dims();
        check_shape("pairs", &[n], &shift.dims())?;
        check_dtype("pairs", self.first.dtype(), shift.dtype())?;
        let leads = self.first.clone() - self.second.clone() + shift.unsqueeze_dim(1);
        let marginal = |leads| log_sum_exp(self.log_weights.clone() + log_sigmoid(leads), 1).squeeze_dim(1);
        Ok(Outcomes { first: marginal(leads.clone()), tie: None, second: marginal(-leads) })
    }

    /// The weights' entropy for each pair, `−Σ_k w_k log w_k` in nats, `[n]`: ln K when all count the same.
    pub fn entropies(&self) -> Tensor<1> {
        // No product of 0 and −∞.
        let weights = self.log_weights.clone().exp();
        let logs = self.log_weights.clone().mask_fill(weights.clone().equal_scalar(0.0), 0.0);
        -(logs * weights).sum_dim(1).squeeze_dim(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        distributional::testing::{check_gradients, host, like, matrix, near, starts, vector},
        pairwise::{PairwiseModel, bradley_terry::BradleyTerryConfig},
    };

    const FIRST: [f64; 6] = [0.3, -1.0, 2.0, 0.5, 30.0, -2.0];
    const SECOND: [f64; 6] = [1.3, 0.2, -0.4, 0.5, -800.0, 3.0];
    const LOGITS: [f64; 6] = [0.1, 1.2, -0.6, 900.0, 0.0, 0.4];

    fn heads(first: &[f64], second: &[f64], logits: &[f64], k: usize) -> RoutedHeads {
        RoutedHeads::new(matrix(first, k), matrix(second, k), matrix(logits, k)).unwrap()
    }

    fn chances(heads: &RoutedHeads) -> [Vec<f64>; 2] {
        let outcomes = heads.outcomes(&heads.scores().unwrap()).unwrap();
        [host(&outcomes.first.exp()), host(&outcomes.second.exp())]
    }

    #[test]
    fn one_head_or_equal_heads_are_bradley_terry_whatever_the_weights() {
        let pairs = PairScores::new(vector(&FIRST), vector(&SECOND)).unwrap();
        let expected = BradleyTerryConfig::new().init().unwrap().outcomes(&pairs).unwrap();
        let one = heads(&FIRST, &SECOND, &LOGITS, 1);
        near(&host(&one.outcomes(&one.scores().unwrap()).unwrap().first), &host(&expected.first), 1e-12);
        near(&host(&one.scores().unwrap().first()), &FIRST, 1e-12);
        near(&host(&one.entropies()), &[0.0; 6], 0.0);
        let twice = |values: &[f64]| values.iter().flat_map(|&value| [value; 2]).collect::<Vec<_>>();
        let logits: Vec<f64> = LOGITS.iter().flat_map(|&logit| [logit, 0.3]).collect();
        let equal = heads(&twice(&FIRST), &twice(&SECOND), &logits, 2);
        let outcomes = equal.outcomes(&equal.scores().unwrap()).unwrap();
        near(&host(&outcomes.first), &host(&expected.first), 1e-12);
        near(&host(&outcomes.second), &host(&expected.second), 1e-12);
    }

    #[test]
    fn chances_lie_between_the_heads_and_add_up_to_one() {
        let [first, second] = chances(&heads(&FIRST, &SECOND, &LOGITS, 3));
        let [exchanged, _] = chances(&heads(&SECOND, &FIRST, &LOGITS, 3));
        for row in 0..2 {
            assert!((first[row] + second[row] - 1.0).abs() < 1e-12);
            assert!((exchanged[row] - second[row]).abs() < 1e-12);
            let of_heads = (0..3).map(|k| accordant_ops::host::logistic(FIRST[3 * row + k] - SECOND[3 * row + k]));
            let (least, most) = of_heads.fold((1.0f64, 0.0f64), |(a, b), p| (a.min(p), b.max(p)));
            assert!(least <= first[row] && first[row] <= most);
        }
    }

    #[test]
    fn scores_and_entropies_by_hand() {
        // Weights ¾ and ¼.
        let heads = heads(&[2.0, -2.0], &[0.0, 4.0], &[3f64.ln(), 0.0], 2);
        let scores = heads.scores().unwrap();
        near(&[host(&scores.first())[0], host(&scores.second())[0]], &[1.0, 1.0], 1e-12);
        near(&host(&heads.entropies()), &[0.75 * (4.0f64 / 3.0).ln() + 0.25 * 4f64.ln()], 1e-12);
        near(&host(&heads.log_weights().exp()), &[0.75, 0.25], 1e-12);
        // An offset of 1 is one of every head: leads 3 and −5.
        let offset = scores.with_offsets(vector(&[1.0])).unwrap();
        let got = host(&heads.outcomes(&offset).unwrap().first.exp());
        let chance = accordant_ops::host::logistic;
        near(&got, &[0.75 * chance(3.0) + 0.25 * chance(-5.0)], 1e-12);
    }

    #[test]
    fn a_weight_of_nothing_keeps_values_and_gradients_finite() {
        let logits = [0.0, -2000.0];
        near(&host(&heads(&[0.0; 2], &[0.0; 2], &logits, 2).entropies()), &[0.0], 0.0);
        let gradient = crate::distributional::testing::gradient(&logits, |x| {
            let scores = like(&x, &[1.0, 0.0]).reshape([1, 2]);
            let heads = RoutedHeads::new(scores.clone(), scores.zeros_like(), x.reshape([1, 2])).unwrap();
            heads.entropies() + heads.outcomes(&heads.scores().unwrap()).unwrap().first
        });
        assert_eq!(gradient, [0.0, 0.0]);
    }

    #[test]
    fn gradients_are_derivatives() {
        let at = [0.3, -1.0, 0.5, 0.8, 1.3, 0.2, -0.4, 0.1, 0.1, 1.2, -0.6, 0.4];
        check_gradients(&at, |x| {
            let [first, second, logits] = [0, 4, 8].map(|from| x.clone().narrow(0, from, 4).reshape([2, 2]));
            let heads = RoutedHeads::new(first, second, logits).unwrap();
            let scores = heads.scores().unwrap();
            let outcomes = heads.outcomes(&scores).unwrap();
            outcomes.first * 0.7 + outcomes.second * 0.3 + heads.entropies() * 0.2 + scores.first() * 0.1
        });
    }

    #[test]
    fn other_shapes_are_errors_by_name() {
        let new = |sizes: [usize; 3]| {
            let [first, second, logits] = sizes.map(|k| matrix(&vec![0.0; 2 * k], k));
            RoutedHeads::new(first, second, logits)
        };
        starts(new([2, 1, 2]), "`second`");
        starts(new([2, 2, 1]), "`logits`");
        let none = || Tensor::zeros([3, 0], &burn::tensor::Device::flex());
        starts(RoutedHeads::new(none(), none(), none()), "`heads`: expected >= 1");
        let other = PairScores::new(vector(&[0.0]), vector(&[0.0])).unwrap();
        starts(new([2, 2, 2]).unwrap().outcomes(&other), "`pairs`");
    }
}
