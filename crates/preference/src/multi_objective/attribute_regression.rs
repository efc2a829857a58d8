//! Multi-attribute regression: one linear head for each rated attribute, such as helpfulness or verbosity.
//!
//! **Paper:** HelpSteer2: Open-source dataset for training top-performing reward models (2024), 2406.08673; ridge heads on
//! frozen features as in Interpretable Preferences via Multi-Objective Reward Modeling and Mixture-of-Experts (2024),
//! 2406.12845.
//! **Use when:** ratings are there and not pairs; before a stage on pairs ([`crate::pairwise::scaled`]), or below a gate
//! ([`super::gating`]).
//! **Checked by:** values and gradients by hand, normal equations, the limits of the penalty.
//! **Deviations:** a batch without a rating loses 0 instead of being an error, as all losses on tensors do.

use accordant_ops::{check_domain, check_dtype, check_shape};
use burn::{
    config::Config,
    tensor::{Bool, Tensor},
};
use nalgebra::{DMatrix, DVector};
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use super::attribute_ranges::AttributeRanges;
use crate::{
    Error, Nll, Result,
    error::{check_length, check_record},
    random::{Purpose, stream},
};

/// What HelpSteer2's authors weigh helpfulness, correctness, coherence, complexity and verbosity with, of the reward model
/// on Llama 3 70B.
pub const HELPSTEER2_LLAMA: [f64; 5] = [0.3, 0.74, 0.46, 0.47, -0.33];

/// The same of the reward model on Nemotron-4 340B.
pub const HELPSTEER2_NEMOTRON: [f64; 5] = [0.65, 0.8, 0.45, 0.55, -0.4];

/// Squared errors of predicted ratings, one for each row and attribute, row by row; its weighted mean is over all ratings
/// that are there.
///
/// ```text
/// Σ_nk present_nk (ŷ_nk − y_nk)² / Σ_nk present_nk
/// ```
///
/// # Shapes
/// `predictions`, `ratings` and `present`: `[n, attributes]`. Missing ratings may be anything, NaN too: they have weight 0
/// and no gradient. Logs `mean_abs_error`.
///
/// # Errors
/// A shape or dtype error naming `ratings` or `present`; a domain error when there is no entry at all.
///
/// # Example
/// ```
/// use accordant_preference::{ItemReduction, multi_objective::attribute_regression::attribute_losses};
/// use burn::tensor::{Device, Tensor, TensorData};
/// let device = Device::flex();
/// let predictions = Tensor::from_floats([[1.0, 5.0], [2.0, 0.0]], &device);
/// let ratings = Tensor::from_floats([[4.0, f32::NAN], [1.0, 2.0]], &device);
/// let present = Tensor::from_data(TensorData::from([[true, false], [true, true]]), &device);
/// let losses = attribute_losses(predictions, ratings, present)?;
/// let loss = losses.reduce(ItemReduction::Mean)?.loss.into_scalar::<f32>();
/// assert!((loss - (9.0 + 1.0 + 4.0) / 3.0).abs() < 1e-6);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn attribute_losses(predictions: Tensor<2>, ratings: Tensor<2>, present: Tensor<2, Bool>) -> Result<Nll> {
    let [n, attributes] = predictions.dims();
    check_shape("ratings", &[n, attributes], &ratings.dims())?;
    check_dtype("ratings", predictions.dtype(), ratings.dtype())?;
    check_shape("present", &[n, attributes], &present.dims())?;
    let len = n * attributes;
    check_domain(len > 0, "predictions", "at least one entry", 0.0)?;
    let missing = present.bool_not();
    let errors = (predictions - ratings.detach()).mask_fill(missing.clone(), 0.0).reshape([len]);
    let weights = errors.ones_like().detach().mask_fill(missing.reshape([len]), 0.0);
    Nll::new(errors.clone().square(), weights)?.with_metric("mean_abs_error", errors.abs())
}

/// One reward of several attributes: `Σ_k weights_k ŷ_k`. A weight counts units of its attribute: where attributes are rated
/// on other scales, [bring them to one](AttributeRanges::to_unit) first.
///
/// # Shapes
/// `attributes`: `[n, K]`, `weights`: `[K]`, to `[n]`.
///
/// # Errors
/// [`Error::Length`] naming `weights`; a domain error naming `weights` for one that is not finite.
///
/// # Example
/// ```
/// use accordant_preference::multi_objective::attribute_regression::{HELPSTEER2_NEMOTRON, weighted_reward};
/// use burn::tensor::{Device, Tensor};
/// let ratings = Tensor::from_floats([[4.0, 4.0, 4.0, 2.0, 1.0]], &Device::flex());
/// let reward = weighted_reward(ratings, &HELPSTEER2_NEMOTRON)?.into_scalar::<f32>();
/// assert!((reward - (4.0 * 1.9 + 1.1 - 0.4)).abs() < 1e-6);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn weighted_reward(attributes: Tensor<2>, weights: &[f64]) -> Result<Tensor<1>> {
    let [n, count] = attributes.dims();
    check_length("weights", count, weights.len())?;
    let bad = weights.iter().copied().find(|weight| !weight.is_finite());
    check_domain(bad.is_none(), "weights", "finite", bad.unwrap_or_default())?;
    let options = (&attributes.device(), attributes.dtype());
    let weights = Tensor::<1>::from_data(weights, options).reshape([1, count]);
    Ok((attributes * weights).sum_dim(1).reshape([n]))
}

/// Configuration of heads that are fitted exactly to frozen features, one for each attribute.
///
/// ```text
/// v_k = (Eᵀ E + λ_k I)⁻¹ Eᵀ y_k     over the training rows where attribute k is rated; no intercept
/// ```
///
/// λ_k is the one of `penalties` with the least mean squared error on the other rows.
#[derive(Config, Debug, PartialEq)]
pub struct RidgeHeadConfig {
    /// What λ is chosen from, each finite and > 0; of equally good ones the first. 1e-4, 1e-3, …, 1e4: the specification's
    /// grid.
    #[config(default = "(-4..=4).map(|power| 10f64.powi(power)).collect()")]
    pub penalties: Vec<f64>,
    /// The share of an attribute's rows that λ is chosen on, in (0, 1): at least one row, and all but one at most. 0.2:
    /// ArmoRM's code.
    #[config(default = 0.2)]
    pub validation: f64,
    /// Decides which rows. 0: arbitrary.
    #[config(default = 0)]
    pub seed: u64,
}

impl RidgeHeadConfig {
    /// Fits a head for each attribute; `ratings` has a row for each row of `features`, with what was not rated left out.
    /// Attributes may be rated on any scales: [`RidgeHead::ranges`] says whether they are.
    ///
    /// # Errors
    /// A domain error naming a field; [`Error::Length`] naming `ratings`, `features` or `attributes`; [`Error::Record`] for
    /// a number that is not finite; [`Error::Empty`] without an attribute, and when one has fewer than two ratings.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::multi_objective::attribute_regression::RidgeHeadConfig;
    /// let features: Vec<Vec<f64>> = (0..20).map(|i| vec![f64::from(i), 1.0]).collect();
    /// let ratings: Vec<Vec<Option<f64>>> = (0..20).map(|i| vec![(i != 7).then_some(0.5 * f64::from(i) + 3.0)]).collect();
    /// let head = RidgeHeadConfig::new().fit(&features, &ratings)?;
    /// assert!((head.predict(&[7.0, 1.0])?[0] - 6.5).abs() < 1e-3);
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn fit(&self, features: &[Vec<f64>], ratings: &[Vec<Option<f64>>]) -> Result<RidgeHead> {
        let Self { penalties, validation, seed } = self;
        check_domain(!penalties.is_empty(), "penalties", "at least one", 0.0)?;
        for &penalty in penalties {
            check_domain(penalty.is_finite() && penalty > 0.0, "penalties", "finite and > 0", penalty)?;
        }
        check_domain(*validation > 0.0 && *validation < 1.0, "validation", "in (0, 1)", *validation)?;
        check_length("ratings", features.len(), ratings.len())?;
        let (Some(first), Some(rated)) = (features.first(), ratings.first()) else {
            return Err(Error::Empty { name: "features", reason: "there is no row" });
        };
        let (dim, attributes) = (first.len(), rated.len());
        for (row, (features, ratings)) in features.iter().zip(ratings).enumerate() {
            check_length("features", dim, features.len())?;
            check_length("attributes", attributes, ratings.len())?;
            for &value in features {
                check_record(value.is_finite(), row, "feature", "finite", value)?;
            }
            for value in ratings.iter().flatten() {
                check_record(value.is_finite(), row, "rating", "finite", *value)?;
            }
        }
        let ranges = AttributeRanges::of(ratings)?;
        let mut head = RidgeHead { coefficients: Vec::new(), penalties: Vec::new(), errors: Vec::new(), ranges };
        for attribute in 0..attributes {
            let mut rows: Vec<(&[f64], f64)> = features
                .iter()
                .zip(ratings)
                .filter_map(|(features, ratings)| ratings[attribute].map(|rating| (&features[..], rating)))
                .collect();
            if rows.len() < 2 {
                return Err(Error::Empty { name: "ratings", reason: "an attribute has fewer than two" });
            }
            rows.shuffle(&mut stream(*seed, Purpose::Split, attribute as u32));
            let held_out = ((validation * rows.len() as f64).round() as usize).clamp(1, rows.len() - 1);
            let (test, train) = rows.split_at(held_out);
            let mut best: Option<(f64, f64, Vec<f64>)> = None;
            for &penalty in penalties {
                let coefficients = ridge(train, dim, penalty)?;
                let squares = test.iter().map(|(features, rating)| (dot(features, &coefficients) - rating).powi(2));
                let error = squares.sum::<f64>() / held_out as f64;
                if best.as_ref().is_none_or(|(least, ..)| error < *least) {
                    best = Some((error, penalty, coefficients));
                }
            }
            let (error, penalty, coefficients) = best.expect("there is a penalty");
            head.errors.push(error);
            head.penalties.push(penalty);
            head.coefficients.push(coefficients);
        }
        Ok(head)
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn ridge(rows: &[(&[f64], f64)], dim: usize, penalty: f64) -> Result<Vec<f64>> {
    let features = DMatrix::from_fn(rows.len(), dim, |row, column| rows[row].0[column]);
    let ratings = DVector::from_iterator(rows.len(), rows.iter().map(|row| row.1));
    let mut square = features.tr_mul(&features);
    (0..dim).for_each(|i| square[(i, i)] += penalty);
    let factor = square.cholesky();
    let factor = factor.ok_or(Error::Combination { what: "features", reason: "too large for the smallest penalty" })?;
    Ok(factor.solve(&features.tr_mul(&ratings)).as_slice().to_vec())
}

/// Fitted heads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RidgeHead {
    /// `[attributes, dim]`.
    pub coefficients: Vec<Vec<f64>>,
    /// The λ of each attribute.
    pub penalties: Vec<f64>,
    /// Its mean squared error on the rows that it was chosen on.
    pub errors: Vec<f64>,
    /// How far the ratings of each attribute reach: predictions of uneven ones are [brought to one
    /// scale](AttributeRanges::to_unit) before they are weighed.
    pub ranges: AttributeRanges,
}

impl RidgeHead {
    /// Predicted ratings, `[attributes]`, of features `[dim]`.
    ///
    /// # Errors
    /// [`Error::Length`] naming `features`.
    pub fn predict(&self, features: &[f64]) -> Result<Vec<f64>> {
        let of = |coefficients: &Vec<f64>| {
            check_length("features", coefficients.len(), features.len())?;
            Ok(dot(features, coefficients))
        };
        self.coefficients.iter().map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use accordant_laws::gradient::check_gradient;
    use burn::tensor::{DType, Device, TensorData};

    use super::*;
    use crate::{ItemReduction, pairwise::testing::values};

    fn matrix(values: &[f64], rows: usize, device: &Device) -> Tensor<2> {
        Tensor::from_data(TensorData::new(values.to_vec(), [rows, values.len() / rows]), (device, DType::F64))
    }

    fn mask(values: &[bool], rows: usize) -> Tensor<2, Bool> {
        Tensor::from_data(TensorData::new(values.to_vec(), [rows, values.len() / rows]), &Device::flex())
    }

    #[test]
    fn missing_ratings_count_nothing_whatever_they_are() {
        let device = Device::flex();
        let predictions = matrix(&[1.0, 2.0, 3.0, 4.0], 2, &device);
        let ratings = matrix(&[0.0, f64::NAN, 1.0, 1.5], 2, &device);
        let nll = attribute_losses(predictions.clone(), ratings, mask(&[true, false, true, true], 2)).unwrap();
        assert_eq!(values(nll.losses.clone()), [1.0, 0.0, 4.0, 6.25]);
        // 11.25 / 3 and 5.5 / 3
        assert!((values(nll.reduce(ItemReduction::Mean).unwrap().loss)[0] - 3.75).abs() < 1e-12);
        assert!((nll.means().mean("mean_abs_error").unwrap() - 5.5 / 3.0).abs() < 1e-12);
        let none = attribute_losses(predictions.clone(), predictions, mask(&[false; 4], 2)).unwrap();
        assert_eq!(values(none.reduce(ItemReduction::Mean).unwrap().loss), [0.0]);
    }

    #[test]
    fn gradients_are_derivatives_and_none_at_missing_ratings() {
        let device = Device::flex().autodiff();
        let run = |x: &[f64]| {
            let predictions = matrix(x, 2, &device).require_grad();
            let ratings = matrix(&[0.5, f64::NAN, -1.0, 2.0], 2, &device);
            let present = mask(&[true, false, true, true], 2).to_device(&device);
            let nll = attribute_losses(predictions.clone(), ratings, present).unwrap();
            (nll.reduce(ItemReduction::Mean).unwrap().loss, predictions)
        };
        let at = [0.3, 0.7, -0.4, 1.1];
        let (loss, predictions) = run(&at);
        let gradient = values(predictions.grad(&loss.backward()).unwrap());
        assert_eq!(gradient[1], 0.0);
        check_gradient(|x| values(run(x).0)[0], &at, &gradient).unwrap();
    }

    #[test]
    fn the_best_constant_is_the_mean_of_the_ratings_that_are_there() {
        let features = vec![vec![1.0]; 6];
        let ratings: Vec<Vec<Option<f64>>> =
            [Some(1.0), None, Some(2.0), Some(6.0), Some(3.0), None].into_iter().map(|rating| vec![rating]).collect();
        let config = RidgeHeadConfig::new().with_penalties(vec![1e-9]).with_validation(0.25);
        let head = config.fit(&features, &ratings).unwrap();
        // One of four is held out: the mean of the three others, 12 less that one, and its squared error.
        let left = 12.0 - 3.0 * head.coefficients[0][0];
        assert!([1.0, 2.0, 3.0, 6.0].iter().any(|rating| (rating - left).abs() < 1e-6), "{left}");
        assert!((head.errors[0] - (left - head.coefficients[0][0]).powi(2)).abs() < 1e-6);
        assert_eq!(head.penalties, [1e-9]);
    }

    #[test]
    fn a_head_solves_the_normal_equations_of_its_penalty() {
        // Eight equal rows x = (1, 2) rated 6, a quarter held out: (6 x xᵀ + λ I) v = 36 x, so v = 36 x / (30 + λ).
        let (features, ratings) = (vec![vec![1.0, 2.0]; 8], vec![vec![Some(6.0), Some(0.0)]; 8]);
        let config = RidgeHeadConfig::new().with_penalties(vec![6.0]).with_validation(0.25);
        let head = config.fit(&features, &ratings).unwrap();
        assert!((head.coefficients[0][0] - 1.0).abs() < 1e-12 && (head.coefficients[0][1] - 2.0).abs() < 1e-12);
        assert!((head.errors[0] - 1.0).abs() < 1e-12 && head.errors[1] == 0.0);
        assert_eq!(head.coefficients[1], [0.0, 0.0]);
        let predicted = head.predict(&[2.0, 1.0]).unwrap();
        assert!((predicted[0] - 4.0).abs() < 1e-12 && predicted[1] == 0.0);
    }

    #[test]
    fn the_penalty_is_the_one_that_predicts_best_and_of_equals_the_first() {
        // Without noise the smallest is best; ratings of 0 are predicted by any.
        let features: Vec<Vec<f64>> = (0..30).map(|i| vec![f64::from(i).sin(), f64::from(i * i).cos()]).collect();
        let ratings: Vec<Vec<Option<f64>>> =
            features.iter().map(|row| vec![Some(2.0 * row[0] - row[1]), Some(0.0)]).collect();
        let head = RidgeHeadConfig::new().fit(&features, &ratings).unwrap();
        assert_eq!(head.penalties, [1e-4, 1e-4]);
        assert!((head.coefficients[0][0] - 2.0).abs() < 1e-3 && (head.coefficients[0][1] + 1.0).abs() < 1e-3);
        let other = RidgeHeadConfig::new().with_penalties(vec![1e4, 1e-4]).fit(&features, &ratings).unwrap();
        assert_eq!(other.penalties, [1e-4, 1e4]);
        // A feature of noise, and as many rows as features: a large penalty is best.
        let noisy: Vec<Vec<Option<f64>>> = (0..30).map(|i| vec![Some(f64::from(i * 7 % 5) - 2.0)]).collect();
        let wide: Vec<Vec<f64>> =
            (0..30).map(|i| (0..24).map(|j| f64::from((i * 31 + j * 17) * (i + j) % 23) - 11.0).collect()).collect();
        assert!(RidgeHeadConfig::new().fit(&wide, &noisy).unwrap().penalties[0] > 1.0);
    }

    #[test]
    fn splits_go_by_the_seed() {
        let features: Vec<Vec<f64>> = (0..12).map(|i| vec![1.0, f64::from(i)]).collect();
        let ratings: Vec<Vec<Option<f64>>> = (0..12).map(|i| vec![Some(f64::from(i * i))]).collect();
        let fit = |seed| RidgeHeadConfig::new().with_seed(seed).fit(&features, &ratings).unwrap();
        assert_eq!(fit(1), fit(1));
        assert_ne!(fit(1), fit(2));
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let (features, ratings) = (vec![vec![1.0]; 3], vec![vec![Some(1.0)]; 3]);
        let text = |config: RidgeHeadConfig| config.fit(&features, &ratings).unwrap_err().to_string();
        assert!(text(RidgeHeadConfig::new().with_penalties(vec![])).starts_with("`penalties`: expected at least one"));
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(
                text(RidgeHeadConfig::new().with_penalties(vec![1.0, bad])).starts_with("`penalties`: expected finite")
            );
        }
        for bad in [0.0, 1.0, f64::NAN] {
            assert!(text(RidgeHeadConfig::new().with_validation(bad)).starts_with("`validation`: expected in (0, 1)"));
        }
        let config = RidgeHeadConfig::new();
        let text = |features: &[Vec<f64>], ratings: &[Vec<Option<f64>>]| {
            config.fit(features, ratings).unwrap_err().to_string()
        };
        assert_eq!(text(&features, &ratings[..2]), "`ratings`: expected 3 entries, got 2");
        assert!(text(&[], &[]).starts_with("`features`: nothing to learn from"));
        assert_eq!(text(&[vec![1.0], vec![]], &ratings[..2]), "`features`: expected 1 entries, got 0");
        let uneven = [vec![Some(1.0)], vec![]];
        assert_eq!(text(&features[..2], &uneven), "`attributes`: expected 1 entries, got 0");
        assert!(text(&[vec![1.0], vec![f64::NAN]], &ratings[..2]).starts_with("record 1: `feature`"));
        assert!(text(&features[..1], &[vec![Some(f64::NAN)]]).starts_with("record 0: `rating`"));
        let lonely = [vec![Some(1.0)], vec![None], vec![None]];
        assert!(text(&features, &lonely).starts_with("`ratings`: nothing to learn from"));
        let head = config.fit(&features, &ratings).unwrap();
        assert!(matches!(head.predict(&[1.0, 2.0]), Err(Error::Length { name: "features", .. })));
        assert_eq!(config.penalties, [1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0, 1e3, 1e4]);
        assert_eq!((config.validation, config.seed), (0.2, 0));
        let device = Device::flex();
        let (a, wide) = (matrix(&[0.0; 4], 2, &device), matrix(&[0.0; 6], 2, &device));
        let text = |error: Error| error.to_string();
        let all = mask(&[true; 4], 2);
        assert!(text(attribute_losses(a.clone(), wide.clone(), all.clone()).unwrap_err()).starts_with("`ratings`"));
        let error = attribute_losses(a.clone(), a.clone(), mask(&[true; 6], 2)).unwrap_err();
        assert!(text(error).starts_with("`present`"));
        assert!(
            text(attribute_losses(a.clone(), a.clone().cast(DType::F32), all).unwrap_err()).starts_with("`ratings`")
        );
        assert!(text(weighted_reward(a.clone(), &[1.0]).unwrap_err()).starts_with("`weights`: expected 2 entries"));
        assert!(text(weighted_reward(a, &[1.0, f64::NAN]).unwrap_err()).starts_with("`weights`: expected finite"));
        assert_eq!(
            values(weighted_reward(matrix(&[1.0, 2.0, 3.0, 4.0], 2, &device), &[10.0, -1.0]).unwrap()),
            [8.0, 26.0]
        );
    }

    #[test]
    fn three_rows_of_two_attributes_are_six_losses_and_none_are_refused() {
        let device = Device::flex();
        let (predictions, ratings) =
            (matrix(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 3, &device), matrix(&[0.0, 2.0, 5.0, 1.0, 5.0, 9.0], 3, &device));
        let all = attribute_losses(predictions, ratings, mask(&[true; 6], 3)).unwrap();
        assert_eq!(values(all.losses), [1.0, 0.0, 4.0, 9.0, 0.0, 9.0]);
        let none = || Tensor::<2>::zeros([0, 2], &device);
        let error = attribute_losses(none(), none(), none().equal_scalar(0.0)).unwrap_err();
        assert!(error.to_string().starts_with("`predictions`: expected at least one entry"), "{error}");
    }

    #[test]
    fn one_row_is_left_to_train_on_and_one_to_choose_by() {
        let features: Vec<Vec<f64>> = (1..4).map(|i| vec![f64::from(i)]).collect();
        let ratings: Vec<Vec<Option<f64>>> = (1..4).map(|i| vec![Some(2.0 * f64::from(i))]).collect();
        let fit = |rows: usize, validation: f64| {
            let config = RidgeHeadConfig::new().with_penalties(vec![1e-9]).with_validation(validation);
            config.fit(&features[..rows], &ratings[..rows]).unwrap()
        };
        for (rows, validation) in [(2, 0.5), (3, 0.99), (3, 0.01)] {
            let head = fit(rows, validation);
            assert!((head.coefficients[0][0] - 2.0).abs() < 1e-6, "{rows} rows, {validation}: {head:?}");
            assert!(head.errors[0] < 1e-12);
        }
    }
}
