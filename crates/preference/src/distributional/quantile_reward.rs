//! Quantile reward model (QRM): the distribution of a rating as numbers of fixed probability.
//!
//! **Papers:** Quantile Regression for Distributional Reward Models in RLHF (2024), 2409.10164; with Huber's loss,
//! Distributional Reinforcement Learning with Quantile Regression (2017), 1710.10044; sorted quantiles, Quantile and
//! Probability Curves Without Crossing (V. Chernozhukov, I. Fernández-Val and A. Galichon, 2010).
//! **Use when:** ratings of one response differ, and how much they do depends on the response.
//! **Checked by:** hand-worked values, closed forms of constants, the continuous ranked probability score, finite
//! differences, laws (quantiles never cross), calibration on a seeded world (the example `quantile_reward`).
//! **Deviations:** none. For the quantile critic's convention take [`Levels::Midpoints`] and κ = 1.

use accordant_ops::{
    check_domain, check_shape,
    distribution::quantile::{check_kappa, midpoints, quantile_huber},
    stable::softplus,
};
use burn::{
    config::Config,
    tensor::{Tensor, TensorData},
};

use super::{RatingModel, Ratings};
use crate::{
    Error, Nll, Result,
    error::{check_length, check_record},
};

/// The probabilities τ that the quantiles stand for.
#[derive(Config, Debug, PartialEq)]
pub enum Levels {
    /// `q/(Q + 1)` for `q` = 1, ..., `Q`: 0.05, 0.10, ..., 0.95 of 19. The paper's.
    Interior(usize),
    /// `(q − ½)/Q`: each quantile stands for the mass 1/Q around it. Quantile critics'.
    Midpoints(usize),
    /// These, ascending in (0, 1).
    Given(Vec<f64>),
}

impl Levels {
    /// The probabilities.
    ///
    /// # Errors
    /// [`Error::Empty`] naming `levels` when there is none, [`Error::Record`] for one outside of (0, 1) or not above the one
    /// before.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::distributional::quantile_reward::Levels;
    /// assert_eq!(Levels::Interior(3).probs()?, [0.25, 0.5, 0.75]);
    /// assert_eq!(Levels::Midpoints(2).probs()?, [0.25, 0.75]);
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn probs(&self) -> Result<Vec<f64>> {
        let probs = match self {
            Self::Interior(num) => (1..=*num).map(|q| q as f64 / (num + 1) as f64).collect(),
            Self::Midpoints(num) => midpoints(*num),
            Self::Given(probs) => probs.clone(),
        };
        if probs.is_empty() {
            return Err(Error::Empty { name: "levels", reason: "there is none" });
        }
        let mut last = 0.0;
        for (row, &prob) in probs.iter().enumerate() {
            check_record(prob > last && prob < 1.0, row, "levels", "ascending in (0, 1)", prob)?;
            last = prob;
        }
        Ok(probs)
    }
}

/// How the losses of the quantiles of one rating become one.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum QuantileReduction {
    /// Their sum.
    Sum,
    /// Their mean.
    Mean,
}

/// Losses of predicted quantiles against ratings, the mean over the ratings of each response.
///
/// ```text
/// Σ_q mean_j |τ_q − 1[u < 0]| Huber_κ(u)/κ,   u = y_j − ŷ_q
/// ```
///
/// κ = 0 is the pinball loss `u (τ − 1[u < 0])`, least at the quantiles of the ratings.
///
/// # Shapes
/// `quantiles`: `[n, q]`; `ratings`: `[n, m]`, constants; the result: `[n]`, in f64 for f64 and f32 otherwise. `levels`: `q`
/// probabilities in (0, 1). `kappa` (κ) is finite and ≥ 0, in units of the ratings.
///
/// # Errors
/// A shape error naming `ratings`; [`Error::Length`] naming `levels`; a domain error naming `kappa`, or `ratings` when a
/// response has none.
///
/// # Example
/// ```
/// use accordant_preference::distributional::quantile_reward::{QuantileReduction, quantile_reward_losses};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let (quantiles, rating) = (Tensor::from_floats([[1.0, 3.0]], &device), Tensor::from_floats([[2.0]], &device));
/// let loss = quantile_reward_losses(quantiles, rating, &[0.25, 0.75], 0.0, QuantileReduction::Sum)?;
/// assert_eq!(loss.into_scalar::<f32>(), 0.5); // 0.25 · 1 + (0.75 − 1) · −1
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "2409.10164")]
#[doc(alias = "Quantile Regression for Distributional Reward Models in RLHF")]
#[doc(alias = "pinball loss")]
#[doc(alias = "QR-DQN")]
pub fn quantile_reward_losses(
    quantiles: Tensor<2>,
    ratings: Tensor<2>,
    levels: &[f64],
    kappa: f64,
    reduction: QuantileReduction,
) -> Result<Tensor<1>> {
    let ([n, num], [_, m]) = (quantiles.dims(), ratings.dims());
    check_shape("ratings", &[n, m], &ratings.dims())?;
    check_length("levels", num, levels.len())?;
    check_domain(m > 0, "ratings", "at least one of each response", m as f64)?;
    let errors = ratings.detach().unsqueeze_dim::<3>(1) - quantiles.unsqueeze_dim::<3>(2);
    let levels = TensorData::new(levels.to_vec(), [1, num, 1]);
    let levels = Tensor::<3>::from_data(levels, (&errors.device(), errors.dtype()));
    let losses = quantile_huber(errors, levels, kappa)?.mean_dim(2).squeeze_dim::<2>(2);
    let losses = match reduction {
        QuantileReduction::Sum => losses.sum_dim(1),
        QuantileReduction::Mean => losses.mean_dim(1),
    };
    Ok(losses.squeeze_dim(1))
}

/// Quantiles that cannot cross, from any numbers.
///
/// ```text
/// q_1 = a_1,   q_{j+1} = q_j + softplus(a_{j+1})
/// ```
///
/// The last layer of a network gives `a`; where its bias starts decides how wide the quantiles are at first
/// ([`QuantileHeadConfig::start`](super::quantile_head::QuantileHeadConfig::start)). In half precision equal neighbors may come
/// out, crossed ones never.
///
/// # Shapes
/// `raw` (a): `[n, q]`, as is the result.
///
/// # Example
/// ```
/// use accordant_preference::distributional::quantile_reward::monotone;
/// use burn::tensor::{Device, Tensor};
/// let quantiles = monotone(Tensor::from_floats([[5.0, 0.0, -200.0]], &Device::flex()));
/// let quantiles = quantiles.try_to_vec_as::<f32>().unwrap();
/// assert!((quantiles[1] - 5.0 - 2f32.ln()).abs() < 1e-6 && quantiles[2] >= quantiles[1]);
/// ```
#[doc(alias = "non-crossing quantiles")]
pub fn monotone(raw: Tensor<2>) -> Tensor<2> {
    let [n, num] = raw.dims();
    if n == 0 || num < 2 {
        return raw;
    }
    let first = raw.clone().narrow(1, 0, 1);
    let steps = softplus(raw.narrow(1, 1, num - 1)).cumsum(1);
    Tensor::cat(vec![first.clone(), steps + first], 1)
}

/// Rows in ascending order: at inference, crossed quantiles become ones that do not, and the pinball loss does not grow.
///
/// # Shapes
/// `quantiles`: `[n, q]`, as is the result.
pub fn rearranged(quantiles: Tensor<2>) -> Tensor<2> {
    if quantiles.shape().num_elements() == 0 { quantiles } else { quantiles.sort(1) }
}

/// The share of neighbors in each row that are in the wrong order; 0 of fewer than two.
///
/// # Shapes
/// `quantiles`: `[n, q]`; the result: `[n]`, a constant.
pub fn crossings(quantiles: Tensor<2>) -> Tensor<1> {
    let [_, num] = quantiles.dims();
    let quantiles = quantiles.detach();
    if num < 2 {
        return quantiles.sum_dim(1).squeeze_dim::<1>(1).zeros_like();
    }
    let (low, high) = (quantiles.clone().narrow(1, 0, num - 1), quantiles.narrow(1, 1, num - 1));
    let crossed = low.zeros_like().mask_fill(high.lower(low), 1.0);
    crossed.mean_dim(1).squeeze_dim(1)
}

/// Means of the predicted distributions: of the quantiles, which stand for equal masses.
///
/// # Shapes
/// `quantiles`: `[n, q]`; the result: `[n]`, with a gradient.
pub fn expectations(quantiles: Tensor<2>) -> Tensor<1> {
    quantiles.mean_dim(1).squeeze_dim(1)
}

/// Quantiles of several attributes, mixed.
#[derive(Debug, Clone)]
pub struct Combined {
    /// Mixed quantiles, `[n, q]`, of the distribution in which all attributes are high or low together.
    pub quantiles: Tensor<2>,
    /// Their means `Σ_k c_k E[r_k]`, `[n]`: the scores that a gate trains on with a likelihood of pairs. They are those of
    /// the mixture whatever the signs.
    pub scores: Tensor<1>,
    /// Whether every coefficient is ≥ 0: then the rows are quantiles, and ascend where those of all attributes do. With a
    /// negative one (a penalty on verbosity) they are but linear combinations of quantiles.
    pub comonotone: bool,
}

/// Mixes the quantiles of attributes by a gate: `q_τ = Σ_k c_k (r_k)_τ` with `c = gᵀ T`.
///
/// # Shapes
/// `quantiles` (r): `[n, k, q]`; `gates` (g): `[n, k]`; `transform` (T), a constant: `[k, k]`, the identity if there is none;
/// it makes `T r` of the attributes before they are mixed. Gradients go to quantiles and gates. Reads the signs of the
/// coefficients from the device.
///
/// # Errors
/// A shape error naming `gates` or `transform`.
///
/// # Example
/// ```
/// use accordant_preference::distributional::quantile_reward::combine;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let quantiles = Tensor::from_floats([[[0.0, 2.0], [4.0, 8.0]]], &device); // two attributes
/// let combined = combine(quantiles, Tensor::from_floats([[0.75, 0.25]], &device), None)?;
/// assert_eq!(combined.quantiles.try_to_vec_as::<f32>().unwrap(), [1.0, 3.5]);
/// assert_eq!((combined.scores.into_scalar::<f32>(), combined.comonotone), (2.25, true)); // ¾ · 1 + ¼ · 6
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn combine(quantiles: Tensor<3>, gates: Tensor<2>, transform: Option<Tensor<2>>) -> Result<Combined> {
    let [n, k, num] = quantiles.dims();
    check_shape("gates", &[n, k], &gates.dims())?;
    let coefficients = match transform {
        None => gates,
        Some(transform) => {
            check_shape("transform", &[k, k], &transform.dims())?;
            // Σ_k g_k T_kl without a product of one column, which some kernels get wrong.
            (gates.unsqueeze_dim::<3>(2) * transform.detach().unsqueeze_dim::<3>(0)).sum_dim(1).squeeze_dim::<2>(1)
        }
    };
    let comonotone = coefficients.clone().detach().try_to_vec_as::<f64>().is_ok_and(|c| c.iter().all(|c| *c >= 0.0));
    let mixed = quantiles * coefficients.unsqueeze_dim::<3>(2);
    let quantiles = mixed.sum_dim(1).squeeze_dim::<2>(1);
    let scores = if num == 0 { quantiles.clone().sum_dim(1).squeeze_dim(1) } else { expectations(quantiles.clone()) };
    Ok(Combined { quantiles, scores, comonotone })
}

/// Configuration of [`QuantileReward`].
#[derive(Config, Debug, PartialEq)]
pub struct QuantileRewardConfig {
    /// The probabilities of the quantiles. 19 interior ones: the paper's.
    #[config(default = "Levels::Interior(19)")]
    pub levels: Levels,
    /// Up to which error the loss is quadratic, finite and ≥ 0, in units of the ratings. 0, the pinball loss: the paper's.
    #[config(default = 0.0)]
    pub kappa: f64,
    /// How the losses of the quantiles become one. Their sum: the paper's.
    #[config(default = "QuantileReduction::Sum")]
    pub reduction: QuantileReduction,
}

impl QuantileRewardConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// As [`Levels::probs`], a domain error naming `kappa`.
    pub fn init(&self) -> Result<QuantileReward> {
        check_kappa(self.kappa)?;
        Ok(QuantileReward { probs: self.levels.probs()?, config: self.clone() })
    }
}

/// The quantile reward model; see [`quantile_reward_losses`].
#[derive(Debug, Clone, PartialEq)]
pub struct QuantileReward {
    config: QuantileRewardConfig,
    probs: Vec<f64>,
}

impl QuantileReward {
    /// The probabilities of the quantiles.
    pub fn levels(&self) -> &[f64] {
        &self.probs
    }

    /// The quantiles of a sample, which minimize the loss (with κ = 0) of a model that predicts the same for all: for each
    /// level the smallest value at or below which at least that share of the weights lies.
    ///
    /// # Errors
    /// As [`Atoms::new`](super::risk::Atoms::new).
    ///
    /// # Example
    /// ```
    /// use accordant_preference::distributional::quantile_reward::QuantileRewardConfig;
    /// let model = QuantileRewardConfig::new().init()?;
    /// let ratings: Vec<f64> = (0..=100).map(f64::from).collect();
    /// assert_eq!(model.fit_constants(&ratings, None)?[..3], [5.0, 10.0, 15.0]);
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn fit_constants(&self, ratings: &[f64], weights: Option<&[f64]>) -> Result<Vec<f64>> {
        let atoms = match weights {
            Some(weights) => super::risk::Atoms::new(ratings, weights)?,
            None => super::risk::Atoms::equal(ratings)?,
        };
        self.probs.iter().map(|level| atoms.value_at_risk(*level)).collect()
    }
}

impl RatingModel for QuantileReward {
    /// Predictions are quantiles `[n, q]`, targets ratings `[n, m]`. Logs `crossing_rate`.
    fn forward(&self, ratings: &Ratings) -> Result<Nll> {
        let quantiles = ratings.predictions();
        check_shape("predictions", &[ratings.len(), self.probs.len()], &quantiles.dims())?;
        let QuantileRewardConfig { kappa, reduction, .. } = self.config;
        let losses = quantile_reward_losses(quantiles.clone(), ratings.targets(), &self.probs, kappa, reduction)?;
        ratings.nll(losses)?.with_metric("crossing_rate", crossings(quantiles))
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device};

    use super::*;
    use crate::distributional::testing::{check_gradients, gradient, host, like, matrix, near, starts, vector};

    fn loss(quantiles: &[f64], ratings: &[f64], levels: &[f64], kappa: f64) -> f64 {
        let (q, y) = (matrix(quantiles, quantiles.len()), matrix(ratings, ratings.len()));
        host(&quantile_reward_losses(q, y, levels, kappa, QuantileReduction::Sum).unwrap())[0]
    }

    #[test]
    fn losses_by_hand() {
        assert_eq!(loss(&[1.0, 0.0], &[0.0], &[0.25, 0.75], 0.0), 0.75);
        assert_eq!(loss(&[0.0], &[3.0, -1.0], &[0.5], 0.0), 1.0); // half the mean absolute error
        // κ = 2: (2 (3 − 1))/2 and ½/2, halved, over two.
        assert_eq!(loss(&[0.0], &[3.0, -1.0], &[0.5], 2.0), 0.5 * (2.0 + 0.25) / 2.0);
        let mean = |reduction| {
            let (q, y) = (matrix(&[1.0, 3.0], 2), matrix(&[2.0], 1));
            host(&quantile_reward_losses(q, y, &[0.25, 0.75], 0.0, reduction).unwrap())[0]
        };
        assert_eq!([mean(QuantileReduction::Sum), mean(QuantileReduction::Mean)], [0.5, 0.25]);
    }

    #[test]
    fn the_reference_losses_of_five_values() {
        let values = [-2.0, 0.0, 1.0, 3.0, 8.0];
        let levels = Levels::Midpoints(5).probs().unwrap();
        let losses: Vec<f64> = values.iter().zip(&levels).map(|(q, tau)| loss(&[*q], &values, &[*tau], 0.0)).collect();
        near(&losses, &[0.4, 1.0, 1.3, 1.3, 0.6], 1e-12);
        assert!((loss(&values, &values, &levels, 0.0) / 5.0 - 0.92).abs() < 1e-12);
    }

    #[test]
    fn constants_are_the_quantiles_of_the_sample() {
        let ratings: Vec<f64> = (0..=100).rev().map(f64::from).collect();
        let model = QuantileRewardConfig::new().init().unwrap();
        let fitted = model.fit_constants(&ratings, None).unwrap();
        let expected: Vec<f64> = (1..=19).map(|q| f64::from(5 * q)).collect();
        assert_eq!(fitted, expected);
        // No other constant is better, and the share of ratings below is within 1/N of the level.
        let best = loss(&fitted, &ratings, model.levels(), 0.0);
        for at in 0..19 {
            for step in [-1.0, 1.0] {
                let mut moved = fitted.clone();
                moved[at] += step;
                assert!(loss(&moved, &ratings, model.levels(), 0.0) >= best - 1e-12);
            }
            let below = ratings.iter().filter(|y| **y < fitted[at]).count() as f64 / 101.0;
            assert!((below - model.levels()[at]).abs() <= 1.0 / 101.0);
        }
        // A weight of 2 is two of them.
        let median = QuantileRewardConfig::new().with_levels(Levels::Given(vec![0.5])).init().unwrap();
        let weighed = median.fit_constants(&[1.0, 5.0, 3.0], Some(&[1.0, 2.0, 1.0])).unwrap();
        assert_eq!(weighed, median.fit_constants(&[1.0, 5.0, 5.0, 3.0], None).unwrap());
        starts(median.fit_constants(&[], None), "`values`");
    }

    #[test]
    fn twice_the_mean_loss_over_many_levels_is_the_continuous_ranked_probability_score() {
        // Of atoms −1 and 2 against y = 0: E|X − y| − ½ E|X − X'| = 1.5 − ¾.
        let levels = Levels::Midpoints(4000).probs().unwrap();
        let quantiles: Vec<f64> = levels.iter().map(|tau| if *tau < 0.5 { -1.0 } else { 2.0 }).collect();
        let score = 2.0 * loss(&quantiles, &[0.0], &levels, 0.0) / 4000.0;
        assert!((score - 0.75).abs() < 1e-6, "{score}");
    }

    #[test]
    fn gradients_are_derivatives_and_ratings_are_constants() {
        for kappa in [0.0, 0.7] {
            check_gradients(&[0.3, 1.4, 0.9, 2.2], |x| {
                let ratings = like(&x, &[0.5, -1.0, 2.0, 4.0]).reshape([2, 2]);
                quantile_reward_losses(x.reshape([2, 2]), ratings, &[0.2, 0.7], kappa, QuantileReduction::Mean).unwrap()
            });
        }
        let ratings = crate::distributional::testing::leaf(&[1.0]);
        let quantiles = crate::distributional::testing::leaf(&[0.5]);
        let model = QuantileRewardConfig::new().with_levels(Levels::Midpoints(1)).init().unwrap();
        let batch = Ratings::new(quantiles.unsqueeze_dim(0), ratings.clone().unsqueeze_dim(0)).unwrap();
        let gradients = model.forward(&batch).unwrap().losses.sum().backward();
        assert!(ratings.grad(&gradients).is_none());
    }

    #[test]
    fn crossed_quantiles_are_counted_sorted_and_cannot_be_made_by_the_monotone_head() {
        let crossed = matrix(&[0.0, 2.0, 1.0, 3.0, 3.0, 4.0], 3);
        assert_eq!(host(&crossings(crossed.clone())), [0.5, 0.0]);
        assert_eq!(host(&crossings(matrix(&[1.0, 2.0], 1))), [0.0, 0.0]);
        let sorted = rearranged(crossed.clone());
        assert_eq!(host(&sorted), [0.0, 1.0, 2.0, 3.0, 3.0, 4.0]);
        // Sorting does not raise the loss, whatever the rating.
        for rating in [-1.0, 0.5, 1.5, 2.5] {
            let levels = [0.25, 0.5, 0.75];
            assert!(loss(&[0.0, 1.0, 2.0], &[rating], &levels, 0.0) <= loss(&[0.0, 2.0, 1.0], &[rating], &levels, 0.0));
        }
        let raw = [1.0, 0.0, -500.0, 800.0, -3.0, -3.0, -3.0, 0.5];
        let quantiles = host(&monotone(matrix(&raw, 4)));
        near(&quantiles[..4], &[1.0, 1.0 + 2f64.ln(), 1.0 + 2f64.ln(), 801.0 + 2f64.ln()], 1e-12);
        assert!(quantiles.chunks(4).all(|row| row.windows(2).all(|pair| pair[0] <= pair[1])));
        for dtype in [DType::F32, DType::F16] {
            let narrow = monotone(matrix(&raw, 4).cast(dtype));
            assert_eq!(host(&crossings(narrow)), [0.0, 0.0]);
        }
        check_gradients(&[0.3, -1.0, 2.0, 0.4], |x| {
            let weights = like(&x, &[1.0, -2.0, 3.0, 0.5]).unsqueeze_dim::<2>(0);
            monotone(x.unsqueeze_dim::<2>(0)) * weights
        });
        assert_eq!(host(&monotone(matrix(&[7.0], 1))), [7.0]);
        let none = Tensor::<2>::zeros([0, 3], &Device::flex());
        assert_eq!(monotone(none.clone()).dims(), [0, 3]);
        assert_eq!(rearranged(none.clone()).dims(), [0, 3]);
        assert_eq!(crossings(none).dims(), [0]);
    }

    #[test]
    fn gates_mix_quantiles_and_train_on_the_expectation() {
        let quantiles = || matrix(&[0.0, 2.0, 4.0, 8.0], 2).unsqueeze_dim::<3>(0);
        let combined = combine(quantiles(), matrix(&[0.5, 0.5], 2), None).unwrap();
        near(&host(&combined.quantiles), &[2.0, 5.0], 1e-15);
        near(&host(&combined.scores), &[3.5], 1e-15);
        // Verbosity (the second) is taken off the first: coefficients 1 and −½.
        let transform = matrix(&[1.0, -0.5, 0.0, 1.0], 2);
        let combined = combine(quantiles(), matrix(&[1.0, 0.0], 2), Some(transform)).unwrap();
        near(&host(&combined.quantiles), &[-2.0, -2.0], 1e-15);
        assert!(!combined.comonotone && host(&combined.scores) == [-2.0]);
        // One head with all the weight is that head; equal heads are one.
        let alone = combine(quantiles(), matrix(&[0.0, 1.0], 2), None).unwrap();
        assert_eq!((host(&alone.quantiles), alone.comonotone), (vec![4.0, 8.0], true));
        let gates = gradient(&[0.3, 0.7], |g| {
            let quantiles = like(&g, &[0.0, 2.0, 4.0, 8.0]).reshape([1, 2, 2]);
            combine(quantiles, g.unsqueeze_dim::<2>(0), None).unwrap().scores
        });
        near(&gates, &[1.0, 6.0], 1e-15);
        starts(combine(quantiles(), matrix(&[1.0], 1), None), "`gates`");
        starts(combine(quantiles(), matrix(&[1.0, 0.0], 2), Some(matrix(&[1.0], 1))), "`transform`");
    }

    #[test]
    fn the_model_logs_crossings_and_weighs_ratings() {
        let model = QuantileRewardConfig::new().with_levels(Levels::Midpoints(2)).init().unwrap();
        let batch = Ratings::new(matrix(&[1.0, 3.0, 3.0, 1.0], 2), matrix(&[2.0, 2.0], 1)).unwrap();
        let nll = model.forward(&batch.with_weights(vector(&[1.0, 3.0])).unwrap()).unwrap();
        assert_eq!(host(&nll.losses), [0.5, 1.5]);
        assert_eq!((nll.means().mean("nll"), nll.means().mean("crossing_rate")), (Some(1.25), Some(0.75)));
        let wide = Ratings::new(matrix(&[1.0; 3], 3), matrix(&[2.0], 1)).unwrap();
        starts(model.forward(&wide).map(|_| ()), "`predictions`: expected shape [1, 2], got [1, 3]");
        near(&host(&expectations(matrix(&[1.0, 3.0, 0.0, 1.0], 2))), &[2.0, 0.5], 1e-15);
    }

    #[test]
    fn levels_and_settings_are_checked() {
        assert_eq!(Levels::Interior(19).probs().unwrap()[18], 0.95);
        let config = QuantileRewardConfig::new();
        assert_eq!(config.levels, Levels::Interior(19));
        assert_eq!((config.kappa, config.reduction), (0.0, QuantileReduction::Sum));
        for kappa in [-1.0, f64::NAN, f64::INFINITY] {
            starts(QuantileRewardConfig::new().with_kappa(kappa).init(), "`kappa`");
            let none =
                quantile_reward_losses(matrix(&[1.0], 1), matrix(&[1.0], 1), &[0.5], kappa, QuantileReduction::Sum);
            starts(none, "`kappa`");
        }
        starts(Levels::Interior(0).probs(), "`levels`");
        starts(Levels::Midpoints(0).probs(), "`levels`");
        for (levels, row) in
            [(vec![0.0], 0), (vec![1.0], 0), (vec![0.5, 0.5], 1), (vec![0.5, 0.4], 1), (vec![f64::NAN], 0)]
        {
            starts(Levels::Given(levels).probs(), &format!("record {row}: `levels`"));
        }
        let run = |q: Tensor<2>, y: Tensor<2>, levels: &[f64]| {
            quantile_reward_losses(q, y, levels, 0.0, QuantileReduction::Sum)
        };
        starts(run(matrix(&[1.0], 1), matrix(&[1.0, 2.0], 1), &[0.5]), "`ratings`");
        starts(run(matrix(&[1.0], 1), matrix(&[1.0], 1), &[0.2, 0.5]), "`levels`");
        let none = Tensor::zeros([1, 0], (&Device::flex(), DType::F64));
        starts(run(matrix(&[1.0], 1), none, &[0.5]), "`ratings`");
    }
}
