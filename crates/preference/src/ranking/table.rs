//! What a fit of a table returns.

use accordant_ops::check_domain;
use serde::{Deserialize, Serialize};

use crate::{
    Outcome, Report, Result,
    error::{check_finite, check_index},
    link::Link,
};

/// What fixes the level of scores, of which comparisons only see differences.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub enum Gauge {
    /// Their sum is 0.
    #[default]
    SumZero,
    /// Their mean is this number.
    Mean(f64),
    /// This item has this score.
    Item(usize, f64),
}

impl Gauge {
    /// Moves the scores to this level.
    ///
    /// # Errors
    /// [`crate::Error::Index`] for an item that is not in the table, a domain error for a level that is not finite;
    /// [`crate::Error::NotFinite`] for scores that are lost.
    pub fn fix(self, scores: &mut [f64]) -> Result<()> {
        let mean = |scores: &[f64]| scores.iter().sum::<f64>() / scores.len().max(1) as f64;
        let (level, from) = match self {
            Self::SumZero => (0.0, mean(scores)),
            Self::Mean(level) => (level, mean(scores)),
            Self::Item(item, level) => {
                check_index(0, "gauge", item, scores.len())?;
                (level, scores[item])
            }
        };
        check_domain(level.is_finite(), "gauge", "a finite level", level)?;
        scores.iter_mut().for_each(|score| *score += level - from);
        check_finite("scores", &*scores)
    }
}

/// How scores become ratings that people are used to: `init + scale · score / ln(base)`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Scale {
    /// The rating of score 0.
    pub init: f64,
    /// How many points make odds of `base : 1`.
    pub scale: f64,
    /// The odds that are worth `scale` points, > 1.
    pub base: f64,
}

impl Default for Scale {
    /// The arenas': 1000, and 400 points for odds of 10 : 1.
    fn default() -> Self {
        Self { init: 1000.0, scale: 400.0, base: 10.0 }
    }
}

impl Scale {
    /// The rating of a score.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::ranking::Scale;
    /// assert_eq!(Scale::default().rating(10f64.ln()), 1400.0);
    /// ```
    pub fn rating(&self, score: f64) -> f64 {
        self.init + self.scale * (score / self.base.ln())
    }
}

/// Scores of the items of a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ranking {
    /// The score of each item.
    pub scores: Vec<f64>,
    /// The parameter of ties, where the model has one: `ln ν` (Davidson), `ln(κ − 1)` (Rao and Kupper); −∞ without a tie
    /// in the data.
    pub ties: Option<f64>,
    /// The log-likelihood of the data, in nats, without any prior's term.
    pub log_likelihood: f64,
    /// How the fit ended.
    pub report: Report,
    /// Whether another order of the same comparisons would have given other scores.
    pub order_dependent: bool,
    /// Items that met nobody: their scores are the prior's mean.
    pub unobserved: Vec<usize>,
    /// How many ties were counted as half a win each way, because the model has none.
    pub halved_ties: f64,
}

impl Ranking {
    /// The items, best first; equal scores in the order of their indices.
    pub fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.scores.len()).collect();
        order.sort_by(|&a, &b| self.scores[b].total_cmp(&self.scores[a]));
        order
    }

    /// The chances that the first of two items wins, that they tie, and that the second wins, under the link that was
    /// fitted.
    ///
    /// # Errors
    /// [`crate::Error::Index`] for an item that is not in the table.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::{Comparisons, link::Logit, ranking::NewtonConfig};
    /// let mut judged = Comparisons::new(2);
    /// judged.push_win(0, 1, 3.0)?;
    /// judged.push_win(1, 0, 1.0)?;
    /// let [win, tie, loss] = NewtonConfig::new().fit(&judged)?.chances(&Logit, 0, 1)?;
    /// assert!((win - 0.75).abs() < 1e-9 && tie == 0.0 && (loss - 0.25).abs() < 1e-9);
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn chances(&self, link: &dyn Link, first: usize, second: usize) -> Result<[f64; 3]> {
        check_index(0, "first", first, self.scores.len())?;
        check_index(0, "second", second, self.scores.len())?;
        let (d, rho) = (self.scores[first] - self.scores[second], self.ties.unwrap_or(0.0));
        Ok([Outcome::First, Outcome::Tie, Outcome::Second].map(|outcome| link.log_prob(outcome, d, rho).value.exp()))
    }

    /// Ratings on a familiar scale.
    pub fn ratings(&self, scale: Scale) -> Vec<f64> {
        self.scores.iter().map(|&score| scale.rating(score)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gauges_move_all_scores_alike() {
        let fixed = |gauge: Gauge| {
            let mut scores = vec![1.0, 2.0, 6.0];
            gauge.fix(&mut scores).map(|()| scores)
        };
        assert_eq!(fixed(Gauge::SumZero).unwrap(), [-2.0, -1.0, 3.0]);
        assert_eq!(fixed(Gauge::Mean(1.0)).unwrap(), [-1.0, 0.0, 4.0]);
        assert_eq!(fixed(Gauge::Item(1, 0.5)).unwrap(), [-0.5, 0.5, 4.5]);
        assert!(fixed(Gauge::Item(3, 0.0)).unwrap_err().to_string().contains("`gauge` 3 is not in 0..3"));
        assert!(fixed(Gauge::Mean(f64::NAN)).is_err());
    }

    #[test]
    fn ratings_are_scores_in_units_of_the_base() {
        let scale = Scale { init: 100.0, scale: 50.0, base: 4.0 };
        assert!((scale.rating(2f64.ln()) - 125.0).abs() < 1e-12 && scale.rating(0.0) == 100.0);
    }

    #[test]
    fn chances_are_the_links() {
        let report = Report { converged: true, iterations: 0, objective: 0.0, gradient_norm: 0.0 };
        let ranking = Ranking {
            scores: vec![0.0, 4f64.ln()],
            ties: Some(2f64.ln()),
            log_likelihood: 0.0,
            report,
            order_dependent: false,
            unobserved: vec![],
            halved_ties: 0.0,
        };
        // 1/2 : 2 : 2
        let chances = ranking.chances(&crate::link::Davidson, 0, 1).unwrap();
        chances.iter().zip([1.0 / 9.0, 4.0 / 9.0, 4.0 / 9.0]).for_each(|(p, q)| assert!((p - q).abs() < 1e-15));
        assert!(ranking.chances(&crate::link::Davidson, 0, 2).unwrap_err().to_string().contains("`second` 2"));
        assert!(ranking.chances(&crate::link::Davidson, 2, 0).unwrap_err().to_string().contains("`first` 2"));
    }

    #[test]
    fn equal_scores_keep_their_order() {
        let report = Report { converged: true, iterations: 0, objective: 0.0, gradient_norm: 0.0 };
        let scores = vec![0.5, 1.0, 0.5, 1.0];
        let ranking = Ranking {
            scores,
            ties: None,
            log_likelihood: 0.0,
            report,
            order_dependent: false,
            unobserved: vec![],
            halved_ties: 0.0,
        };
        assert_eq!(ranking.order(), [1, 3, 0, 2]);
        assert_eq!(ranking.ratings(Scale { init: 0.0, scale: 1.0, base: 1f64.exp() }), ranking.scores);
    }
}
