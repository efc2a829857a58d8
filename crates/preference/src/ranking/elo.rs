//! Elo ratings.
//!
//! **Paper:** The Rating of Chessplayers, Past and Present (A. E. Elo, 1978).
//! **Use when:** ratings have to follow players who change, game by game. For a table that is complete, a fit of
//! Bradley-Terry scores says more: this is not its maximum of the likelihood, and depends on the order of the games.
//! **Checked by:** published ratings of five players, golden numbers (evalica).
//! **Deviations:** a weight multiplies the whole step, result minus expectation, so that the sum of ratings never changes.

use accordant_ops::check_domain;
use burn::config::Config;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use crate::{
    Comparison, Comparisons, Error, Result,
    random::{Purpose, stream},
};

/// Ratings of an online method.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ratings {
    /// The rating of each item, in points.
    pub ratings: Vec<f64>,
    /// How many games each has played.
    pub games: Vec<usize>,
    /// Whether another order of the same games would have given other ratings: always, for an online method, and less
    /// so for a median over orders.
    pub order_dependent: bool,
}

/// Configuration of Elo ratings.
///
/// ```text
/// E_a = 1 / (1 + base^((R_b − R_a) / scale));   R_a += k w (S_a − E_a),   R_b −= k w (S_a − E_a)
/// ```
/// with `S_a` 1 for a win, ½ for a tie, 0 for a loss.
#[derive(Config, Debug, PartialEq)]
pub struct EloConfig {
    /// The largest step, finite and > 0. 4: the arenas'; chess has 10 to 40.
    #[config(default = 4.0)]
    pub k: f64,
    /// The rating of a new player, finite.
    #[config(default = 1000.0)]
    pub init: f64,
    /// How many points make odds of `base : 1`, finite and > 0.
    #[config(default = 400.0)]
    pub scale: f64,
    /// The odds that are worth `scale` points, finite and > 1.
    #[config(default = 10.0)]
    pub base: f64,
}

impl EloConfig {
    /// Ratings after all games, played in the order of the records.
    ///
    /// # Errors
    /// A domain error naming a field.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::{Comparisons, Outcome, ranking::EloConfig};
    /// let mut games = Comparisons::new(2);
    /// games.push(0, 1, Outcome::First)?;
    /// assert_eq!(EloConfig::new().rate(&games)?.ratings, [1002.0, 998.0]); // 4 (1 - 1/2)
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn rate(&self, games: &Comparisons) -> Result<Ratings> {
        self.check()?;
        Ok(Ratings { ratings: self.play(games, games.records()), games: played(games), order_dependent: true })
    }

    /// The median over `orders` random orders of the games; the arenas take 100.
    ///
    /// # Errors
    /// A domain error naming a field; [`Error::Empty`] without an order.
    pub fn rate_in_orders(&self, games: &Comparisons, orders: u32, seed: u64) -> Result<Ratings> {
        self.check()?;
        if orders == 0 {
            return Err(Error::Empty { name: "orders", reason: "there is none" });
        }
        let mut records = games.records().to_vec();
        let runs: Vec<Vec<f64>> = (0..orders)
            .map(|order| {
                records.copy_from_slice(games.records());
                records.shuffle(&mut stream(seed, Purpose::Order, order));
                self.play(games, &records)
            })
            .collect();
        let median = |item: usize| {
            let mut all: Vec<f64> = runs.iter().map(|run| run[item]).collect();
            all.sort_by(f64::total_cmp);
            let middle = all.len() / 2;
            if all.len() % 2 == 1 { all[middle] } else { (all[middle - 1] + all[middle]) / 2.0 }
        };
        let ratings = (0..games.num_items()).map(median).collect();
        Ok(Ratings { ratings, games: played(games), order_dependent: true })
    }

    fn check(&self) -> Result<()> {
        for (name, value) in [("k", self.k), ("scale", self.scale)] {
            check_domain(value.is_finite() && value > 0.0, name, "finite and > 0", value)?;
        }
        check_domain(self.init.is_finite(), "init", "finite", self.init)?;
        Ok(check_domain(self.base.is_finite() && self.base > 1.0, "base", "finite and > 1", self.base)?)
    }

    fn play(&self, games: &Comparisons, records: &[Comparison]) -> Vec<f64> {
        let mut ratings = vec![self.init; games.num_items()];
        for &Comparison { first, second, outcome, weight } in records {
            let odds = self.base.powf((ratings[second] - ratings[first]) / self.scale);
            let step = self.k * weight * (outcome.share() - 1.0 / (1.0 + odds));
            ratings[first] += step;
            ratings[second] -= step;
        }
        ratings
    }
}

fn played(games: &Comparisons) -> Vec<usize> {
    let mut played = vec![0; games.num_items()];
    for game in games.records() {
        played[game.first] += 1;
        played[game.second] += 1;
    }
    played
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Outcome;
    use crate::ranking::fixtures::{close, five, random};

    #[test]
    fn five_players_as_published() {
        let mut games = Comparisons::new(5);
        for (a, b, outcome) in
            [(3, 0, Outcome::First), (2, 1, Outcome::Tie), (1, 2, Outcome::Second), (0, 3, Outcome::First)]
        {
            games.push(a, b, outcome).unwrap();
        }
        let rated = EloConfig::new().with_init(1500.0).with_k(30.0).rate(&games).unwrap();
        close(&rated.ratings, &[1501.29199476, 1485.0, 1515.0, 1498.70800524, 1500.0], 1e-8);
        assert_eq!(rated.games, [2, 2, 2, 2, 0]);
        assert!(rated.order_dependent);
        let expected = [992.10308234, 999.97717060, 999.97730723, 1003.88619744, 1004.05624239];
        close(&EloConfig::new().rate(&five()).unwrap().ratings, &expected, 1e-8);
    }

    #[test]
    fn the_sum_of_ratings_never_changes_whatever_the_weights() {
        let rated = EloConfig::new().with_k(50.0).rate(&random(7, 3)).unwrap();
        assert!((rated.ratings.iter().sum::<f64>() - 7000.0).abs() < 1e-9);
    }

    #[test]
    fn another_order_of_the_same_games_gives_other_ratings_and_the_result_says_so() {
        let rated = |first: (usize, usize), second: (usize, usize)| {
            let mut games = Comparisons::new(2);
            games.push_win(first.0, first.1, 1.0).unwrap();
            games.push_win(second.0, second.1, 1.0).unwrap();
            EloConfig::new().with_k(400.0).rate(&games).unwrap()
        };
        let (won_first, won_last) = (rated((0, 1), (1, 0)), rated((1, 0), (0, 1)));
        // 200 up at even odds, then down by 400 · 10/11 at odds of 10 : 1.
        assert!((won_first.ratings[0] - (1200.0 - 4000.0 / 11.0)).abs() < 1e-9);
        assert!((won_last.ratings[0] - (800.0 + 4000.0 / 11.0)).abs() < 1e-9);
        assert!(won_first.order_dependent && won_last.order_dependent);
        // More orders depend on it less, and still do.
        assert!(EloConfig::new().rate_in_orders(&five(), 3, 0).unwrap().order_dependent);
    }

    #[test]
    fn the_median_over_orders_depends_on_the_order_less() {
        let games = five();
        let turned: Vec<usize> = (0..games.len()).rev().collect();
        let turned = games.select(turned).unwrap();
        let apart =
            |a: &Ratings, b: &Ratings| -> f64 { a.ratings.iter().zip(&b.ratings).map(|(a, b)| (a - b).abs()).sum() };
        let config = EloConfig::new().with_k(30.0);
        let single = apart(&config.rate(&games).unwrap(), &config.rate(&turned).unwrap());
        let median = |games| config.rate_in_orders(games, 301, 1).unwrap();
        assert!(apart(&median(&games), &median(&turned)) < 0.3 * single);
        assert_eq!(median(&games), median(&games), "by seed");
        assert_ne!(median(&games), config.rate_in_orders(&games, 301, 2).unwrap());
        // The median of two is their mean.
        let one = |order| config.rate_in_orders(&games, order, 1).unwrap().ratings[0];
        let mut records = games.records().to_vec();
        records.shuffle(&mut stream(1, Purpose::Order, 1));
        assert!((one(2) - (one(1) + config.play(&games, &records)[0]) / 2.0).abs() < 1e-9);
    }

    #[test]
    fn a_weight_multiplies_the_step_and_a_share_is_a_result() {
        let rate = |outcome, weight| {
            let mut games = Comparisons::new(2);
            games.push_weighted(0, 1, outcome, weight).unwrap();
            EloConfig::new().rate(&games).unwrap().ratings
        };
        assert_eq!(rate(Outcome::First, 0.5), [1001.0, 999.0]);
        assert_eq!(rate(Outcome::Share(0.75), 1.0), [1001.0, 999.0]);
        assert_eq!(rate(Outcome::Tie, 9.0), [1000.0, 1000.0]);
    }

    #[test]
    fn settings_out_of_their_domains_are_refused_by_name() {
        let refused = |config: EloConfig, name: &str| {
            for result in [config.rate(&five()), config.rate_in_orders(&five(), 3, 0)] {
                let error = result.unwrap_err().to_string();
                assert!(error.starts_with(&format!("`{name}`")), "{error}");
            }
        };
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            refused(EloConfig::new().with_k(bad), "k");
            refused(EloConfig::new().with_scale(bad), "scale");
            refused(EloConfig::new().with_base(bad), "base");
        }
        refused(EloConfig::new().with_base(1.0), "base");
        refused(EloConfig::new().with_init(f64::NAN), "init");
        assert!(matches!(EloConfig::new().rate_in_orders(&five(), 0, 0), Err(Error::Empty { name: "orders", .. })));
        let EloConfig { k, init, scale, base } = EloConfig::new();
        assert_eq!([k, init, scale, base], [4.0, 1000.0, 400.0, 10.0]);
    }
}
