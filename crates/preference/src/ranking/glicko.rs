//! Glicko ratings: strength with its uncertainty, period by period, and in Glicko-2 with its volatility.
//!
//! **Paper:** Parameter Estimation in Large Dynamic Paired Comparison Experiments (M. E. Glickman, 1999) and Dynamic Paired
//! Comparison Models with Stochastic Variances (M. E. Glickman, 2001).
//! **Use when:** players change over time and some play rarely.
//! **Checked by:** the author's examples of both systems.
//! **Deviations:** the volatility is found by bisection between ends that hold its root; the author takes the Illinois method.

use std::f64::consts::PI;

use accordant_ops::check_domain;
use burn::config::Config;
use serde::{Deserialize, Serialize};

use crate::{Comparisons, Result, error::check_length};

/// A player's rating with its uncertainty.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GlickoRating {
    /// The rating, in points.
    pub rating: f64,
    /// Its standard deviation, in points.
    pub deviation: f64,
    /// How much strength changes from period to period; used by Glicko-2 only.
    pub volatility: f64,
}

impl GlickoRating {
    /// A new player's: 1500, 350 and 0.06, the author's.
    pub const NEW: Self = Self { rating: 1500.0, deviation: 350.0, volatility: 0.06 };
}

/// What a player's games of a period say, on the scale of natural logarithms: the variance of the rating from them alone, and
/// by how much it should move.
struct Evidence {
    precision: f64,
    surprise: f64,
}

/// `1 / √(1 + 3 φ² / π²)`, φ on the scale of natural logarithms: how much less a game says against an uncertain opponent.
fn damping(deviation: f64) -> f64 {
    1.0 / (1.0 + 3.0 * deviation * deviation / (PI * PI)).sqrt()
}

/// Each player's evidence from games; ratings and deviations in points, `scale` points for a factor e of odds.
fn evidence(games: &Comparisons, players: &[GlickoRating], scale: f64) -> Vec<Evidence> {
    let mut all: Vec<Evidence> = players.iter().map(|_| Evidence { precision: 0.0, surprise: 0.0 }).collect();
    for game in games.records() {
        for (own, other, score) in
            [(game.first, game.second, game.outcome.share()), (game.second, game.first, 1.0 - game.outcome.share())]
        {
            let g = damping(players[other].deviation / scale);
            let expected = accordant_ops::host::logistic(g * (players[own].rating - players[other].rating) / scale);
            all[own].precision += game.weight * g * g * expected * (1.0 - expected);
            all[own].surprise += game.weight * g * (score - expected);
        }
    }
    all
}

fn check_players(players: &[GlickoRating], games: &Comparisons) -> Result<()> {
    check_length("players", games.num_items(), players.len())?;
    for player in players {
        check_domain(player.rating.is_finite(), "rating", "finite", player.rating)?;
        let GlickoRating { deviation, volatility, .. } = *player;
        check_domain(deviation.is_finite() && deviation > 0.0, "deviation", "finite and > 0", deviation)?;
        check_domain(volatility.is_finite() && volatility > 0.0, "volatility", "finite and > 0", volatility)?;
    }
    Ok(())
}

/// Configuration of Glicko ratings.
///
/// ```text
/// q = ln 10 / 400,  g(φ) = 1 / √(1 + 3 q² φ² / π²),  E = 1 / (1 + 10^(−g(φ_j) (r − r_j) / 400))
/// d² = 1 / (q² Σ g² E (1 − E)),  r' = r + q / (1/φ² + 1/d²) Σ g (S − E),  φ' = (1/φ² + 1/d²)^(−1/2)
/// ```
#[derive(Config, Debug, PartialEq)]
pub struct GlickoConfig {
    /// How much the deviation grows from period to period, in points, finite and ≥ 0: `φ ← min(√(φ² + growth²), limit)`.
    /// 0: ours; it depends on the length of a period.
    #[config(default = 0.0)]
    pub growth: f64,
    /// The largest deviation, in points, finite and > 0. 350: the author's, a new player's.
    #[config(default = 350.0)]
    pub limit: f64,
}

impl GlickoConfig {
    /// The ratings after a period of games; players who did not play only become less certain.
    ///
    /// # Errors
    /// A domain error naming a field of the settings or of a player; [`crate::Error::Length`] naming `players`.
    ///
    /// # Example
    /// The author's: 1464 with deviation 151.4.
    /// ```
    /// use accordant_preference::{Comparisons, Outcome, ranking::glicko::{GlickoConfig, GlickoRating}};
    /// let player = |rating, deviation| GlickoRating { rating, deviation, ..GlickoRating::NEW };
    /// let players = [player(1500.0, 200.0), player(1400.0, 30.0), player(1550.0, 100.0), player(1700.0, 300.0)];
    /// let mut games = Comparisons::new(4);
    /// games.push(0, 1, Outcome::First)?;
    /// games.push(0, 2, Outcome::Second)?;
    /// games.push(0, 3, Outcome::Second)?;
    /// let after = GlickoConfig::new().update(&players, &games)?;
    /// assert!((after[0].rating - 1464.1).abs() < 0.05 && (after[0].deviation - 151.4).abs() < 0.05);
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn update(&self, players: &[GlickoRating], games: &Comparisons) -> Result<Vec<GlickoRating>> {
        check_domain(self.growth.is_finite() && self.growth >= 0.0, "growth", "finite and >= 0", self.growth)?;
        check_domain(self.limit.is_finite() && self.limit > 0.0, "limit", "finite and > 0", self.limit)?;
        check_players(players, games)?;
        let scale = 400.0 / std::f64::consts::LN_10;
        let grown = |player: &GlickoRating| GlickoRating {
            deviation: player.deviation.hypot(self.growth).min(self.limit),
            ..*player
        };
        let players: Vec<GlickoRating> = players.iter().map(grown).collect();
        let after = players.iter().zip(evidence(games, &players, scale)).map(|(player, evidence)| {
            let deviation = player.deviation / scale;
            let variance = 1.0 / (1.0 / (deviation * deviation) + evidence.precision);
            GlickoRating {
                rating: player.rating + scale * variance * evidence.surprise,
                deviation: scale * variance.sqrt(),
                ..*player
            }
        });
        Ok(after.collect())
    }
}

/// Configuration of Glicko-2 ratings.
#[derive(Config, Debug, PartialEq)]
pub struct Glicko2Config {
    /// How much volatility may change, τ, finite and > 0; the author: 0.3 to 1.2. 0.5: his example's.
    #[config(default = 0.5)]
    pub tau: f64,
    /// How exactly the volatility is found, finite and > 0. 1e-6: the author's.
    #[config(default = 1e-6)]
    pub tolerance: f64,
}

impl Glicko2Config {
    /// The ratings after a period of games; players who did not play only become less certain.
    ///
    /// # Errors
    /// A domain error naming a field of the settings or of a player; [`crate::Error::Length`] naming `players`.
    ///
    /// # Example
    /// The author's: 1464.06 with deviation 151.52 and volatility 0.05999.
    /// ```
    /// use accordant_preference::{Comparisons, Outcome, ranking::glicko::{Glicko2Config, GlickoRating}};
    /// let player = |rating, deviation| GlickoRating { rating, deviation, ..GlickoRating::NEW };
    /// let players = [player(1500.0, 200.0), player(1400.0, 30.0), player(1550.0, 100.0), player(1700.0, 300.0)];
    /// let mut games = Comparisons::new(4);
    /// games.push(0, 1, Outcome::First)?;
    /// games.push(0, 2, Outcome::Second)?;
    /// games.push(0, 3, Outcome::Second)?;
    /// let after = Glicko2Config::new().update(&players, &games)?[0];
    /// assert!((after.rating - 1464.06).abs() < 0.01 && (after.deviation - 151.52).abs() < 0.01);
    /// assert!((after.volatility - 0.05999).abs() < 1e-5);
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn update(&self, players: &[GlickoRating], games: &Comparisons) -> Result<Vec<GlickoRating>> {
        check_domain(self.tau.is_finite() && self.tau > 0.0, "tau", "finite and > 0", self.tau)?;
        let tolerance = self.tolerance;
        check_domain(tolerance.is_finite() && tolerance > 0.0, "tolerance", "finite and > 0", tolerance)?;
        check_players(players, games)?;
        let after = players.iter().zip(evidence(games, players, GLICKO2_SCALE)).map(|(player, evidence)| {
            let deviation = player.deviation / GLICKO2_SCALE;
            if evidence.precision == 0.0 {
                return GlickoRating { deviation: GLICKO2_SCALE * deviation.hypot(player.volatility), ..*player };
            }
            let volatility = self.volatility(player.volatility, deviation, &evidence);
            let variance = 1.0 / (1.0 / (deviation * deviation + volatility * volatility) + evidence.precision);
            GlickoRating {
                rating: player.rating + GLICKO2_SCALE * variance * evidence.surprise,
                deviation: GLICKO2_SCALE * variance.sqrt(),
                volatility,
            }
        });
        Ok(after.collect())
    }

    /// The new volatility: step 5 of the author's description, by bisection.
    fn volatility(&self, old: f64, deviation: f64, evidence: &Evidence) -> f64 {
        let v = 1.0 / evidence.precision;
        let squared_step = (v * evidence.surprise).powi(2);
        let (squared, log_old) = (deviation * deviation, (old * old).ln());
        let f = |x: f64| {
            let e = x.exp();
            let all = squared + v + e;
            e * (squared_step - all) / (2.0 * all * all) - (x - log_old) / (self.tau * self.tau)
        };
        let (mut low, mut high) = self.bracket(log_old, [squared_step, squared, v]);
        while high - low > self.tolerance {
            let middle = (low + high) / 2.0;
            *(if f(middle) > 0.0 { &mut low } else { &mut high }) = middle;
        }
        ((low + high) / 4.0).exp()
    }

    /// Where the root lies, given the logarithm of the old variance, the squared step and the two variances that it was
    /// expected to have.
    ///
    /// The first term of the equation is never below −½, so that the line is above it at `log_old − τ²/2`; and it is not
    /// positive from the excess on, nor is the line from the old variance on.
    fn bracket(&self, log_old: f64, [squared_step, squared, v]: [f64; 3]) -> (f64, f64) {
        let excess = squared_step - squared - v;
        let high = if excess > 0.0 { log_old.max(excess.ln()) } else { log_old };
        (log_old - self.tau * self.tau / 2.0, high)
    }
}

/// Points for a factor e of odds, as the author rounds it.
const GLICKO2_SCALE: f64 = 173.7178;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Error, Outcome};

    fn example() -> ([GlickoRating; 4], Comparisons) {
        let player = |rating, deviation| GlickoRating { rating, deviation, ..GlickoRating::NEW };
        let players = [player(1500.0, 200.0), player(1400.0, 30.0), player(1550.0, 100.0), player(1700.0, 300.0)];
        let mut games = Comparisons::new(4);
        for (other, outcome) in [(1, Outcome::First), (2, Outcome::Second), (3, Outcome::Second)] {
            games.push(0, other, outcome).unwrap();
        }
        (players, games)
    }

    #[test]
    fn volatilities_are_roots_of_the_authors_equation() {
        let config = Glicko2Config::new();
        for (surprise, precision) in [(0.1, 0.5), (-3.0, 2.0), (4.0, 0.7), (8.0, 1.0), (0.0, 1.5)] {
            for (old, deviation) in [(0.06f64, 1.1513), (0.3, 0.4), (0.06, 2.0)] {
                let new = config.volatility(old, deviation, &Evidence { precision, surprise });
                let v = 1.0 / precision;
                let step = (v * surprise) * (v * surprise);
                let f = |x: f64| {
                    let all = deviation * deviation + v + x.exp();
                    x.exp() * (step - all) / (2.0 * all * all) - (x - 2.0 * old.ln()) / (config.tau * config.tau)
                };
                let root = 2.0 * new.ln();
                assert!(f(root - 1e-5) > 0.0 && f(root + 1e-5) < 0.0, "{surprise} {precision} {old}: {new}");
            }
        }
    }

    #[test]
    fn the_root_is_bracketed_and_nearly_at_both_ends() {
        let config = Glicko2Config::new().with_tau(0.6);
        let close = |got: (f64, f64), expected: (f64, f64)| {
            assert!((got.0 - expected.0).abs() < 1e-12 && (got.1 - expected.1).abs() < 1e-12, "{got:?}");
        };
        // τ²/2 = 0.18. An excess that is none, one below the old variance e⁻², and one above it.
        close(config.bracket(-2.0, [2.0, 1.5, 1.5]), (-2.18, -2.0));
        close(config.bracket(-2.0, [2.0, 1.5, 0.5]), (-2.18, -2.0));
        close(config.bracket(-2.0, [2.01, 1.5, 0.5]), (-2.18, -2.0));
        close(config.bracket(-2.0, [2.0 + 1f64.exp(), 1.5, 0.5]), (-2.18, 1.0));
        // No surprise at a volatility that is all there is: the lower end. The excess itself, where it is certain (τ → ∞).
        let new = config.volatility(100.0, 1e-3, &Evidence { precision: 1e3, surprise: 0.0 });
        assert!((2.0 * (new / 100.0).ln() + 0.18).abs() < 1e-4, "{new}");
        let new = Glicko2Config::new().with_tau(1e4).volatility(0.06, 0.5, &Evidence { precision: 4.0, surprise: 8.0 });
        assert!((new * new - (4.0 - 0.25 - 0.25)).abs() < 1e-4, "{new}");
    }

    #[test]
    fn the_authors_examples() {
        let (players, games) = example();
        let after = GlickoConfig::new().update(&players, &games).unwrap();
        assert!((after[0].rating - 1464.10646276).abs() < 1e-8 && (after[0].deviation - 151.39890245).abs() < 1e-8);
        assert_eq!(after[0].volatility, 0.06);
        let after = Glicko2Config::new().update(&players, &games).unwrap();
        // Rating and deviation as printed; the volatility 0.05999 with more digits from the equation itself.
        assert!((after[0].rating - 1464.0507).abs() < 1e-3 && (after[0].deviation - 151.5165).abs() < 1e-3);
        assert!((after[0].volatility - 0.059996).abs() < 1e-6);
    }

    #[test]
    fn a_game_moves_both_and_the_less_certain_one_more() {
        let (players, games) = example();
        for after in [
            GlickoConfig::new().update(&players, &games).unwrap(),
            Glicko2Config::new().update(&players, &games).unwrap(),
        ] {
            assert!(after[1].rating < 1400.0 && after[2].rating > 1550.0 && after[3].rating > 1700.0);
            assert!(after[3].rating - 1700.0 > after[2].rating - 1550.0);
        }
        let glicko = GlickoConfig::new().update(&players, &games).unwrap();
        assert!(glicko.iter().zip(&players).all(|(after, before)| after.deviation < before.deviation));
        // A tie of equals moves nobody.
        let mut tie = Comparisons::new(2);
        tie.push(0, 1, Outcome::Tie).unwrap();
        let equals = GlickoConfig::new().update(&[GlickoRating::NEW; 2], &tie).unwrap();
        assert_eq!((equals[0].rating, equals[1].rating), (1500.0, 1500.0));
        // A weight is a number of games.
        let mut twice = Comparisons::new(2);
        twice.push_win(0, 1, 2.0).unwrap();
        let mut both = Comparisons::new(2);
        (0..2).for_each(|_| both.push_win(0, 1, 1.0).unwrap());
        let of = |games: &Comparisons| GlickoConfig::new().update(&[GlickoRating::NEW; 2], games).unwrap();
        assert!((of(&twice)[0].rating - of(&both)[0].rating).abs() < 1e-9);
    }

    #[test]
    fn without_a_game_only_the_uncertainty_grows() {
        let (players, _) = example();
        let none = Comparisons::new(4);
        let after = GlickoConfig::new().with_growth(150.0).update(&players, &none).unwrap();
        assert!((after[0].rating - 1500.0).abs() < 1e-12 && (after[0].deviation - 250.0).abs() < 1e-9);
        assert!((after[3].deviation - (300f64 * 300.0 + 150.0 * 150.0).sqrt()).abs() < 1e-9);
        let after = GlickoConfig::new().with_growth(200.0).update(&players, &none).unwrap();
        assert!((after[3].deviation - 350.0).abs() < 1e-9, "350 at most");
        assert!(
            (GlickoConfig::new().with_limit(100.0).update(&players, &none).unwrap()[0].deviation - 100.0).abs() < 1e-9
        );
        let after = Glicko2Config::new().update(&players, &none).unwrap();
        let expected = (200f64.powi(2) + (0.06 * 173.7178f64).powi(2)).sqrt();
        assert!((after[0].deviation - expected).abs() < 1e-9);
        assert_eq!((after[0].rating, after[0].volatility), (1500.0, 0.06));
    }

    #[test]
    fn surprises_raise_the_volatility() {
        // A strong, certain player loses five times to a weak, certain one.
        let player = |rating| GlickoRating { rating, deviation: 50.0, volatility: 0.06 };
        let mut games = Comparisons::new(2);
        games.push_win(1, 0, 5.0).unwrap();
        let after = Glicko2Config::new().update(&[player(2200.0), player(1200.0)], &games).unwrap();
        assert!(after[0].volatility > 0.0601 && after[1].volatility > 0.0601);
        // The equation of the volatility holds.
        let evidence = evidence(&games, &[player(2200.0), player(1200.0)], GLICKO2_SCALE);
        let (v, phi) = (1.0 / evidence[0].precision, 50.0 / GLICKO2_SCALE);
        let delta = v * evidence[0].surprise;
        let e = after[0].volatility.powi(2);
        let all = phi * phi + v + e;
        let left = e * (delta * delta - all) / (2.0 * all * all) - (e.ln() - 0.0036f64.ln()) / 0.25;
        assert!(left.abs() < 1e-4, "{left}");
    }

    #[test]
    fn what_makes_no_sense_is_an_error() {
        let (players, games) = example();
        let starts = |error: Error, text: &str| assert!(error.to_string().starts_with(text), "{error}");
        for bad in [-1.0, f64::NAN, f64::INFINITY] {
            starts(GlickoConfig::new().with_growth(bad).update(&players, &games).unwrap_err(), "`growth`");
            starts(GlickoConfig::new().with_limit(bad).update(&players, &games).unwrap_err(), "`limit`");
            starts(Glicko2Config::new().with_tau(bad).update(&players, &games).unwrap_err(), "`tau`");
            starts(Glicko2Config::new().with_tolerance(bad).update(&players, &games).unwrap_err(), "`tolerance`");
            let with = |player: GlickoRating| [player, players[1], players[2], players[3]];
            let error = |player| GlickoConfig::new().update(&with(player), &games).unwrap_err();
            starts(error(GlickoRating { deviation: bad, ..players[0] }), "`deviation`");
            starts(error(GlickoRating { volatility: bad, ..players[0] }), "`volatility`");
        }
        for zero in [
            GlickoConfig::new().with_limit(0.0).update(&players, &games),
            Glicko2Config::new().with_tau(0.0).update(&players, &games),
            Glicko2Config::new().with_tolerance(0.0).update(&players, &games),
        ] {
            assert!(zero.is_err());
        }
        let with = |player: GlickoRating| [player, players[1], players[2], players[3]];
        let error = |player| GlickoConfig::new().update(&with(player), &games).unwrap_err();
        starts(error(GlickoRating { deviation: 0.0, ..players[0] }), "`deviation`");
        starts(error(GlickoRating { volatility: 0.0, ..players[0] }), "`volatility`");
        let lost = [GlickoRating { rating: f64::NAN, ..players[0] }, players[1], players[2], players[3]];
        starts(Glicko2Config::new().update(&lost, &games).unwrap_err(), "`rating`");
        assert!(matches!(
            GlickoConfig::new().update(&players[..3], &games),
            Err(Error::Length { name: "players", .. })
        ));
        assert_eq!((GlickoConfig::new().growth, GlickoConfig::new().limit), (0.0, 350.0));
        assert_eq!((Glicko2Config::new().tau, Glicko2Config::new().tolerance), (0.5, 1e-6));
    }
}
