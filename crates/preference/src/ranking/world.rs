//! A seeded crowd that judges pairs, with the chances that it judges by.
//!
//! **Status:** library definition.
//! **Use when:** you ask whether a model finds what is there: scores, how judges differ, or nothing but the time of a fit.
//! **Checked by:** shares of outcomes, spreads of the judges, the fit that finds the scores.
//! **Deviations:** none.

use accordant_ops::check_domain;
use burn::config::Config;
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::{
    Comparisons, Outcome, Result,
    error::check_index,
    link::{Davidson, Link},
    random::{Purpose, stream},
};

/// Configuration of a crowd, which judges by Davidson's model.
///
/// ```text
/// d = σ_u (s_a − s_b),   rho = ties + τ_u,   s ~ N(0, spread²),   ln σ ~ N(0, sharpness_spread²) or σ = 0 (careless),
/// τ ~ N(0, tie_spread²)
/// ```
#[derive(Config, Debug, PartialEq)]
pub struct CrowdConfig {
    /// How many items there are, ≥ 2.
    pub num_items: usize,
    /// How many pairs are judged, each of different items drawn uniformly.
    pub num_pairs: usize,
    /// How many judges, drawn uniformly, judge each pair, ≥ 1.
    #[config(default = 1)]
    pub judges_per_pair: usize,
    /// How many judges there are, ≥ 1. The defaults of this and of what follows are the plainest crowd.
    #[config(default = 1)]
    pub num_judges: usize,
    /// How far apart items are, finite and ≥ 0.
    #[config(default = 1.0)]
    pub spread: f64,
    /// `ln ν`, finite; nobody calls a tie without it.
    #[config(default = "None")]
    pub ties: Option<f64>,
    /// How much judges differ in how readily they call a tie, finite and ≥ 0.
    #[config(default = 0.0)]
    pub tie_spread: f64,
    /// How much judges differ in how sharply they tell items apart, finite and ≥ 0.
    #[config(default = 0.0)]
    pub sharpness_spread: f64,
    /// The chance that a judge tells nothing apart, in [0, 1].
    #[config(default = 0.0)]
    pub careless: f64,
    /// The seed of everything.
    #[config(default = 0)]
    pub seed: u64,
}

/// A crowd, and what it said.
#[derive(Debug, Clone, PartialEq)]
pub struct Crowd {
    /// The score of each item.
    pub scores: Vec<f64>,
    /// How sharply each judge tells items apart, σ; 0 of the careless.
    pub sharpness: Vec<f64>,
    /// The parameter of ties of each judge, `ln ν`; −∞ where nobody calls a tie.
    pub ties: Vec<f64>,
    /// What was said, with who said it; judgements of one pair follow each other.
    pub judged: Comparisons,
}

impl CrowdConfig {
    /// Draws the crowd and its judgements.
    ///
    /// # Errors
    /// A domain error naming a field.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::ranking::{NewtonConfig, world::CrowdConfig};
    /// let crowd = CrowdConfig::new(3, 20_000).draw()?;
    /// let found = NewtonConfig::new().fit(&crowd.judged)?.scores;
    /// assert!((found[0] - found[1] - (crowd.scores[0] - crowd.scores[1])).abs() < 0.1);
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn draw(&self) -> Result<Crowd> {
        self.check()?;
        let mut rng = stream(self.seed, Purpose::World, 0);
        let mut normal = |scale: f64| -> f64 {
            let draw: f64 = StandardNormal.sample(&mut rng);
            scale * draw
        };
        let scores: Vec<f64> = (0..self.num_items).map(|_| normal(self.spread)).collect();
        let mut sharpness: Vec<f64> = (0..self.num_judges).map(|_| normal(self.sharpness_spread).exp()).collect();
        let ties: Vec<f64> = match self.ties {
            Some(ties) => (0..self.num_judges).map(|_| ties + normal(self.tie_spread)).collect(),
            None => vec![f64::NEG_INFINITY; self.num_judges],
        };
        for sharpness in &mut sharpness {
            if rng.random::<f64>() < self.careless {
                *sharpness = 0.0;
            }
        }
        let mut crowd = Crowd { judged: Comparisons::new(self.num_items), scores, sharpness, ties };
        let (mut judged, mut judges) = (Comparisons::new(self.num_items), Vec::new());
        for _ in 0..self.num_pairs {
            let first = rng.random_range(0..self.num_items);
            let second = (first + rng.random_range(1..self.num_items)) % self.num_items;
            for _ in 0..self.judges_per_pair {
                let judge = rng.random_range(0..self.num_judges);
                let draw = rng.random::<f64>();
                let [wins, ties] =
                    [Outcome::First, Outcome::Tie].map(|outcome| crowd.chance(first, second, outcome, judge));
                let outcome = match draw {
                    draw if draw < wins => Outcome::First,
                    draw if draw < wins + ties => Outcome::Tie,
                    _ => Outcome::Second,
                };
                judged.push(first, second, outcome)?;
                judges.push(judge);
            }
        }
        crowd.judged = judged.with_judges(judges)?;
        Ok(crowd)
    }

    fn check(&self) -> Result<()> {
        let at_least = |least: usize, name, got: usize| {
            check_domain(got >= least, name, if least == 1 { ">= 1" } else { ">= 2" }, got as f64)
        };
        at_least(2, "num_items", self.num_items)?;
        at_least(1, "judges_per_pair", self.judges_per_pair)?;
        at_least(1, "num_judges", self.num_judges)?;
        for (name, spread) in
            [("spread", self.spread), ("tie_spread", self.tie_spread), ("sharpness_spread", self.sharpness_spread)]
        {
            check_domain(spread.is_finite() && spread >= 0.0, name, "finite and >= 0", spread)?;
        }
        let ties = self.ties.unwrap_or(0.0);
        check_domain(ties.is_finite(), "ties", "finite", ties)?;
        check_domain((0.0..=1.0).contains(&self.careless), "careless", "in [0, 1]", self.careless)?;
        Ok(())
    }
}

impl Crowd {
    fn chance(&self, first: usize, second: usize, outcome: Outcome, judge: usize) -> f64 {
        let d = self.sharpness[judge] * (self.scores[first] - self.scores[second]);
        Davidson.log_prob(outcome, d, self.ties[judge]).value.exp()
    }

    /// The log-probability that a judge says this of two items: what no model can foretell better.
    ///
    /// # Errors
    /// [`crate::Error::Index`] for an item or a judge that is not there.
    pub fn log_prob(&self, first: usize, second: usize, outcome: Outcome, judge: usize) -> Result<f64> {
        check_index(0, "first", first, self.scores.len())?;
        check_index(0, "second", second, self.scores.len())?;
        check_index(0, "judge", judge, self.sharpness.len())?;
        Ok(self.chance(first, second, outcome, judge).ln())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Error, ranking::NewtonConfig};

    fn full() -> CrowdConfig {
        CrowdConfig::new(4, 10_000)
            .with_judges_per_pair(2)
            .with_num_judges(500)
            .with_spread(0.5)
            .with_ties(Some(0.3))
            .with_tie_spread(1.5)
            .with_sharpness_spread(0.7)
            .with_careless(0.2)
            .with_seed(3)
    }

    #[test]
    fn judges_differ_as_asked() {
        let crowd = full().draw().unwrap();
        let careless = crowd.sharpness.iter().filter(|sharpness| **sharpness == 0.0).count();
        assert!((64..137).contains(&careless), "within four standard deviations of 100: {careless}");
        let spread = |values: &[f64]| {
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
            (mean, (squares / values.len() as f64).sqrt())
        };
        let sharp: Vec<f64> = crowd.sharpness.iter().filter(|x| **x > 0.0).map(|x| x.ln()).collect();
        // Standard errors of 400 and 500 draws: 0.035 and 0.025 of 0.7, 0.067 and 0.047 of 1.5.
        let (mean, deviation) = spread(&sharp);
        assert!(mean.abs() < 0.14 && (deviation - 0.7).abs() < 0.1, "{mean} {deviation}");
        let (mean, deviation) = spread(&crowd.ties);
        assert!((mean - 0.3).abs() < 0.27 && (deviation - 1.5).abs() < 0.19, "{mean} {deviation}");
        assert_eq!((crowd.judged.len(), crowd.scores.len()), (20_000, 4));
        let records = crowd.judged.records();
        assert!(records.chunks(2).all(|two| (two[0].first, two[0].second) == (two[1].first, two[1].second)));
        assert!(records.chunks(2).any(|two| two[0].outcome != two[1].outcome));
    }

    #[test]
    fn outcomes_come_as_often_as_their_chances_say() {
        let crowd = full().draw().unwrap();
        let judges = crowd.judged.judges().unwrap();
        for outcome in [Outcome::First, Outcome::Tie, Outcome::Second] {
            let (mut expected, mut variance, mut came) = (0.0, 0.0, 0.0);
            for (record, &judge) in crowd.judged.records().iter().zip(judges) {
                let chance = crowd.log_prob(record.first, record.second, outcome, judge).unwrap().exp();
                expected += chance;
                variance += chance * (1.0 - chance);
                came += f64::from(u8::from(record.outcome == outcome));
            }
            let off: f64 = (came - expected) / f64::sqrt(variance);
            assert!(off.abs() < 4.0, "{outcome:?}: {off} standard deviations");
            assert!(came > 4000.0);
        }
        // A careless judge wins, ties and loses with 1 : ν : 1, whoever it is.
        let careless = crowd.sharpness.iter().position(|sharpness| *sharpness == 0.0).unwrap();
        let nu = crowd.ties[careless].exp();
        let tie = crowd.log_prob(0, 1, Outcome::Tie, careless).unwrap().exp();
        assert!((tie - nu / (2.0 + nu)).abs() < 1e-12);
    }

    #[test]
    fn the_plainest_crowd_is_one_judge_without_a_tie() {
        let crowd = CrowdConfig::new(5, 50_000).draw().unwrap();
        assert_eq!((crowd.sharpness.clone(), crowd.ties.clone()), (vec![1.0], vec![f64::NEG_INFINITY]));
        assert_eq!(crowd.judged.wins().num_ties(), 0.0);
        let found = NewtonConfig::new().fit(&crowd.judged).unwrap().scores;
        let mean = crowd.scores.iter().sum::<f64>() / 5.0;
        // Standard errors are about 0.02.
        assert!(found.iter().zip(&crowd.scores).all(|(found, score)| (found - score + mean).abs() < 0.09));
        let config = CrowdConfig::new(5, 10);
        assert_eq!(config.draw().unwrap(), config.draw().unwrap());
        assert_ne!(config.draw().unwrap(), config.clone().with_seed(1).draw().unwrap());
        let wide = config.clone().with_spread(2.0).draw().unwrap();
        assert!((wide.scores[0] - 2.0 * config.draw().unwrap().scores[0]).abs() < 1e-12);
    }

    #[test]
    fn settings_out_of_their_domains_are_refused_by_name() {
        let plain = || CrowdConfig::new(2, 1);
        for (config, name) in [
            (CrowdConfig::new(1, 1), "num_items"),
            (plain().with_judges_per_pair(0), "judges_per_pair"),
            (plain().with_num_judges(0), "num_judges"),
            (plain().with_spread(-1.0), "spread"),
            (plain().with_ties(Some(f64::INFINITY)), "ties"),
            (plain().with_tie_spread(f64::NAN), "tie_spread"),
            (plain().with_sharpness_spread(f64::INFINITY), "sharpness_spread"),
            (plain().with_careless(1.1), "careless"),
        ] {
            let error = config.draw().unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{name}`: expected")), "{error}");
        }
        let crowd = plain().draw().unwrap();
        assert_eq!(crowd.judged.len(), 1);
        for (first, second, judge, name) in [(2, 0, 0, "first"), (0, 2, 0, "second"), (0, 1, 1, "judge")] {
            let error = crowd.log_prob(first, second, Outcome::First, judge).unwrap_err();
            assert!(matches!(error, Error::Index { name: found, .. } if found == name), "{error}");
        }
    }
}
