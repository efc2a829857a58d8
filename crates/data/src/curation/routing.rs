//! Routing: which items are labeled by people and which by a model, under a budget.
//!
//! **Paper:** Hybrid Preferences: Learning to Route Instances for Human vs. AI Feedback (2024), 2410.19133.
//! **Use when:** human labels are better on some items and a waste on others, and a few mixtures have been tried.
//! **Deviations:** the performance model is linear or quadratic without cross terms, fitted by ridge regression; the
//! mean of the routed items' features stands for a mixture.

use rand::seq::SliceRandom;
use serde::Serialize;

use super::{
    linear::{dot, ridge},
    numbers::{check_all_finite, check_length, descending},
};
use crate::{
    Result,
    order::{Purpose, stream},
};

/// The form of a performance model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// An intercept and a coefficient for each feature.
    Linear,
    /// And one for the square of each.
    Quadratic,
}

/// The expected score of a reward model trained on a mixture: what it gains by routing items of these features to
/// people.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PerformanceModel {
    form: Form,
    num_features: usize,
    coefficients: Vec<f64>,
}

impl PerformanceModel {
    /// Fits observed scores of mixtures, by ridge regression with the intercept penalized as the rest. A mixture is the
    /// sum of the features of the items that people labeled, over the number of all items.
    ///
    /// # Errors
    /// [`crate::Error::NoEntry`] without an observation; [`crate::Error::Length`] and [`crate::Error::Item`] naming
    /// `mixtures` or `scores`; [`crate::Error::Domain`] unless `penalty` is finite and > 0.
    pub fn fit(mixtures: &[Vec<f64>], scores: &[f64], form: Form, penalty: f64) -> Result<Self> {
        let num_features = mixtures.first().map_or(0, Vec::len);
        mixtures.iter().try_for_each(|mixture| check_length("mixtures", num_features, mixture.len()))?;
        let rows: Vec<Vec<f64>> = mixtures.iter().map(|mixture| terms(mixture, form)).collect();
        Ok(Self { form, num_features, coefficients: ridge(&rows, scores, penalty)? })
    }

    /// The expected score of a mixture.
    ///
    /// # Errors
    /// [`crate::Error::Length`] naming `mixture`.
    pub fn predict(&self, mixture: &[f64]) -> Result<f64> {
        check_length("mixture", self.num_features, mixture.len())?;
        Ok(dot(&self.coefficients, &terms(mixture, self.form)))
    }
}

/// 1, the features and, of a quadratic form, their squares.
fn terms(mixture: &[f64], form: Form) -> Vec<f64> {
    let squares = mixture.iter().map(|x| x * x).take(if form == Form::Quadratic { mixture.len() } else { 0 });
    std::iter::once(1.0).chain(mixture.iter().copied()).chain(squares).collect()
}

/// Who labels an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Route {
    /// A person.
    Human,
    /// A model.
    Model,
}

/// How items are chosen for people.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub enum Router<'a> {
    /// One after the other, the item by which the performance model gains most; the gain may be negative.
    Greedy(&'a PerformanceModel),
    /// The largest of these numbers, one an item: entropies of predicted preferences, or disagreement of model judges.
    Largest(&'a [f64]),
    /// Any.
    Random,
}

/// Where each item goes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Routing {
    /// One an item.
    pub routes: Vec<Route>,
    /// The items for people, in the order in which they were chosen.
    pub humans: Vec<usize>,
    /// What each of these added to the predicted score, or its number; nothing at random.
    pub gains: Vec<f64>,
}

/// Routes `budget` items to people, all where there are no more; of equal items the first.
///
/// `features`: one row an item, such as prompt length, difficulty, the model's margin, the similarity of the responses.
///
/// # Errors
/// [`crate::Error::Length`] and [`crate::Error::Item`] naming `features` or `numbers`.
///
/// # Example
/// ```
/// use accordant_data::curation::routing::{Form, PerformanceModel, Route, Router, route};
/// // More of the first feature has helped, more of the second has hurt.
/// let seen = [vec![0.0, 0.0], vec![1.0, 0.0], vec![0.0, 1.0]];
/// let model = PerformanceModel::fit(&seen, &[0.0, 1.0, -1.0], Form::Linear, 1e-6)?;
/// let routing = route(&[vec![0.0, 1.0], vec![1.0, 0.0], vec![1.0, 1.0]], 1, Router::Greedy(&model), 0)?;
/// assert_eq!(routing.routes, [Route::Model, Route::Human, Route::Model]);
/// # Ok::<(), accordant_data::Error>(())
/// ```
#[doc(alias = "2410.19133")]
pub fn route(features: &[Vec<f64>], budget: usize, router: Router<'_>, seed: u64) -> Result<Routing> {
    let width = features.first().map_or(0, Vec::len);
    for row in features {
        check_length("features", width, row.len())?;
        check_all_finite("features", row)?;
    }
    let budget = budget.min(features.len());
    let (humans, gains) = match router {
        Router::Greedy(model) => greedy(features, budget, model)?,
        Router::Largest(numbers) => {
            check_length("numbers", features.len(), numbers.len())?;
            check_all_finite("numbers", numbers)?;
            let mut order = descending(numbers);
            order.truncate(budget);
            let gains = order.iter().map(|&place| numbers[place]).collect();
            (order, gains)
        }
        Router::Random => {
            let mut order: Vec<usize> = (0..features.len()).collect();
            order.shuffle(&mut stream(seed, Purpose::Curation, 2));
            order.truncate(budget);
            (order, Vec::new())
        }
    };
    let mut routes = vec![Route::Model; features.len()];
    humans.iter().for_each(|&place| routes[place] = Route::Human);
    Ok(Routing { routes, humans, gains })
}

fn greedy(features: &[Vec<f64>], budget: usize, model: &PerformanceModel) -> Result<(Vec<usize>, Vec<f64>)> {
    let count = features.len() as f64;
    let mut mixture = vec![0.0; model.num_features];
    let mut left: Vec<usize> = (0..features.len()).collect();
    let (mut humans, mut gains) = (Vec::new(), Vec::new());
    let mut score = model.predict(&mixture)?;
    while humans.len() < budget {
        let mut best: Option<(usize, f64)> = None;
        for (at, &place) in left.iter().enumerate() {
            check_length("features", model.num_features, features[place].len())?;
            let with: Vec<f64> = mixture.iter().zip(&features[place]).map(|(sum, x)| sum + x / count).collect();
            let predicted = model.predict(&with)?;
            if best.is_none_or(|(_, highest)| predicted > highest) {
                best = Some((at, predicted));
            }
        }
        let Some((at, predicted)) = best else { break };
        let place = left.remove(at);
        mixture.iter_mut().zip(&features[place]).for_each(|(sum, x)| *sum += x / count);
        gains.push(predicted - score);
        humans.push(place);
        score = predicted;
    }
    Ok((humans, gains))
}

/// How often pairs of judges disagree on each item: the chance that two of its votes, drawn without replacement,
/// differ. A number for [`Router::Largest`]; 0 for fewer than two votes.
///
/// # Example
/// ```
/// use accordant_data::curation::{annotators::Choice, routing::disagreement};
/// // Of three votes two agree: of three pairs of votes one does.
/// assert_eq!(disagreement(&[Choice::First, Choice::Second, Choice::First]), 2.0 / 3.0);
/// ```
pub fn disagreement(votes: &[super::annotators::Choice]) -> f64 {
    let count = votes.len();
    if count < 2 {
        return 0.0;
    }
    let differ = |(i, a): (usize, &_)| votes[i + 1..].iter().filter(|b| a != *b).count();
    let pairs: usize = votes.iter().enumerate().map(differ).sum();
    pairs as f64 / (count * (count - 1) / 2) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quadratic_model_knows_when_it_is_enough() {
        // score = 4x − 4x²: best at ½
        let seen: Vec<Vec<f64>> = [0.0, 0.25, 0.5, 0.75, 1.0].map(|x| vec![x]).to_vec();
        let scores: Vec<f64> = seen.iter().map(|x| 4.0 * x[0] - 4.0 * x[0] * x[0]).collect();
        let model = PerformanceModel::fit(&seen, &scores, Form::Quadratic, 1e-9).unwrap();
        assert!((model.predict(&[0.5]).unwrap() - 1.0).abs() < 1e-6);
        assert!((model.predict(&[0.1]).unwrap() - 0.36).abs() < 1e-6);
        // Two items: 1 and 0.25 of two make mixtures of 0.5 and 0.125; the first is best alone, the second then hurts.
        let routing = route(&[vec![0.25], vec![1.0]], 2, Router::Greedy(&model), 0).unwrap();
        assert_eq!(routing.humans, [1, 0]);
        assert!((routing.gains[0] - 1.0).abs() < 1e-6 && (routing.gains[1] + 0.0625).abs() < 1e-6);
        let linear = PerformanceModel::fit(&seen, &scores, Form::Linear, 1e-9).unwrap();
        assert!((linear.predict(&[0.3]).unwrap() - 0.5).abs() < 1e-6, "no slope: the mean");
    }

    #[test]
    fn baselines_take_the_largest_numbers_or_any() {
        let items = vec![vec![]; 4];
        let routing = route(&items, 2, Router::Largest(&[0.1, 0.7, 0.7, 0.9]), 0).unwrap();
        assert_eq!((routing.humans, routing.gains), (vec![3, 1], vec![0.9, 0.7]));
        assert_eq!(routing.routes, [Route::Model, Route::Human, Route::Model, Route::Human]);
        let random = |seed| route(&vec![vec![]; 30], 10, Router::Random, seed).unwrap();
        assert_eq!(random(1), random(1));
        assert_ne!(random(1).humans, random(2).humans);
        assert_eq!(random(1).routes.iter().filter(|route| **route == Route::Human).count(), 10);
        assert_eq!(route(&items, 9, Router::Random, 0).unwrap().humans.len(), 4);
    }

    #[test]
    fn odd_input_is_named() {
        let model = PerformanceModel::fit(&[vec![1.0]], &[1.0], Form::Linear, 1.0).unwrap();
        assert!(model.predict(&[]).is_err());
        assert!(route(&[vec![1.0, 2.0]], 1, Router::Greedy(&model), 0).is_err());
        assert!(route(&[vec![1.0], vec![]], 1, Router::Random, 0).is_err());
        assert!(route(&[vec![f64::NAN]], 1, Router::Random, 0).is_err());
        assert!(route(&[vec![1.0]], 1, Router::Largest(&[]), 0).is_err());
        assert!(route(&[vec![1.0]], 1, Router::Largest(&[f64::NAN]), 0).is_err());
        assert!(PerformanceModel::fit(&[], &[], Form::Linear, 1.0).is_err());
        assert!(PerformanceModel::fit(&[vec![1.0], vec![]], &[1.0, 2.0], Form::Linear, 1.0).is_err());
        assert_eq!((disagreement(&[]), disagreement(&[super::super::annotators::Choice::Tie])), (0.0, 0.0));
    }
}
