//! Bayesian ratings of players who meet two or more at a time.
//!
//! **Paper:** A Bayesian Approximation Method for Online Ranking (R. C. Weng, C.-J. Lin, 2011); the matches of K-Sort Arena:
//! Efficient and Reliable Benchmarking for Generative Models via K-wise Human Preferences (2024), 2408.14468.
//! **Status:** the update is the first paper's, with all pairs of a match; the second one's constants are not confirmed, and
//! [`WengLinConfig::next_match`] is a library definition.
//! **Use when:** judges rank a few items at a time, and the next items to be ranked are chosen as results come in.
//! **Checked by:** a published match of two new players, values by hand.
//! **Deviations:** none.

use accordant_ops::{check_domain, host::logistic};
use burn::config::Config;
use serde::{Deserialize, Serialize};

use crate::{
    Rankings, Result,
    error::{check_index, check_length},
    link::{Link, Probit},
    rankings::RankedList,
};

/// A player's strength: a normal distribution.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Skill {
    /// Its mean.
    pub mean: f64,
    /// Its standard deviation.
    pub deviation: f64,
}

impl Skill {
    /// A new player's: 25 and 25/3, the paper's.
    pub const NEW: Self = Self { mean: 25.0, deviation: 25.0 / 3.0 };

    /// Three standard deviations below the mean: what a player almost certainly is worth.
    pub fn conservative(&self) -> f64 {
        self.mean - 3.0 * self.deviation
    }
}

/// How the outcome of a pair depends on the difference of strengths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum PairModel {
    /// Bradley and Terry's.
    #[default]
    BradleyTerry,
    /// Thurstone's and Mosteller's; a tie counts as a difference of exactly 0.
    Thurstone,
}

/// Configuration of online ratings.
///
/// ```text
/// c² = ς_i² + ς_j² + 2 β²;  Ω_i = Σ_j ς_i² / c · (S − P),  Δ_i = Σ_j γ (ς_i / c)² P (1 − P),  γ = ς_i / c
/// μ_i ← μ_i + Ω_i,  ς_i² ← ς_i² max(1 − Δ_i, κ)
/// ```
/// with `P = σ((μ_i − μ_j) / c)` and `S` 1, ½ or 0; for Thurstone's model `S − P` is `v` and `P (1 − P)` is `w = v (v + z)`.
#[derive(Config, Debug, PartialEq)]
pub struct WengLinConfig {
    /// How much luck there is in a match, finite and > 0. 25/6: the paper's, half of a new player's deviation.
    #[config(default = "25.0 / 6.0")]
    pub beta: f64,
    /// The smallest factor of a variance, in (0, 1). 1e-4: the paper's.
    #[config(default = 1e-4)]
    pub kappa: f64,
    /// The model of a pair.
    #[config(default = "PairModel::BradleyTerry")]
    pub model: PairModel,
}

impl WengLinConfig {
    /// The skills after a match that ended in this order; those of a place share it, and those below the list tie for the last
    /// place. Everybody moves at once.
    ///
    /// # Errors
    /// A domain error naming a field of the settings or of a skill; [`crate::Error::Index`] for a player beyond.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::{Rankings, ranking::weng_lin::{Skill, WengLinConfig}, rankings::Unlisted};
    /// let mut matches = Rankings::new(2);
    /// matches.push(&[1, 0], Unlisted::Absent)?;
    /// let skills = WengLinConfig::new().update(&[Skill::NEW; 2], &matches.lists()[0])?;
    /// assert!((skills[1].mean - 27.63523).abs() < 1e-5 && (skills[0].mean - 22.36477).abs() < 1e-5);
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    #[doc(alias = "TrueSkill")]
    pub fn update(&self, skills: &[Skill], result: &RankedList) -> Result<Vec<Skill>> {
        self.check(skills)?;
        let below = Some(result.below().to_vec()).filter(|below| !below.is_empty());
        let places: Vec<(usize, usize)> = result
            .groups()
            .iter()
            .chain(&below)
            .enumerate()
            .flat_map(|(place, group)| group.iter().map(move |&player| (player, place)))
            .collect();
        for &(player, _) in &places {
            check_index(0, "player", player, skills.len())?;
        }
        let mut after = skills.to_vec();
        for &(i, own) in &places {
            let (mut gain, mut shrink) = (0.0, 0.0);
            for &(j, other) in places.iter().filter(|(j, _)| *j != i) {
                let variance = skills[i].deviation.powi(2);
                let c = (variance + skills[j].deviation.powi(2) + 2.0 * self.beta * self.beta).sqrt();
                let z = (skills[i].mean - skills[j].mean) / c;
                let (surprise, curve) = self.model.step(z, own.cmp(&other));
                gain += result.weight() * variance / c * surprise;
                shrink += result.weight() * (skills[i].deviation / c).powi(3) * curve;
            }
            let factor = (1.0 - shrink).max(self.kappa);
            after[i] = Skill { mean: skills[i].mean + gain, deviation: skills[i].deviation * factor.sqrt() };
        }
        Ok(after)
    }

    /// The skills of new players after all matches, in their order.
    ///
    /// # Errors
    /// As [`WengLinConfig::update`].
    pub fn rate(&self, matches: &Rankings) -> Result<Vec<Skill>> {
        let mut skills = vec![Skill::NEW; matches.num_items()];
        self.check(&skills)?;
        for result in matches.lists() {
            skills = self.update(&skills, result)?;
        }
        Ok(skills)
    }

    /// Who should meet next: whoever has played least, and the `players − 1` whose upper bounds
    /// `μ + explore √(ln Σ games / games)` are nearest to theirs. Earlier players first where it is even.
    ///
    /// # Errors
    /// [`crate::Error::Length`] naming `games`; a domain error for `players` not between 2 and all of them, or `explore` not finite
    /// and ≥ 0.
    pub fn next_match(&self, skills: &[Skill], games: &[usize], players: usize, explore: f64) -> Result<Vec<usize>> {
        check_length("games", skills.len(), games.len())?;
        let fits = (2..=skills.len()).contains(&players);
        check_domain(fits, "players", "between 2 and all of them", players as f64)?;
        check_domain(explore.is_finite() && explore >= 0.0, "explore", "finite and >= 0", explore)?;
        let total: usize = games.iter().sum();
        // Whoever has never played counts as one game, so that the bound is finite.
        let bound = |player: usize| {
            let share = (total.max(1) as f64).ln() / games[player].max(1) as f64;
            skills[player].mean + explore * share.sqrt()
        };
        let pivot = (0..skills.len()).min_by_key(|&player| games[player]).expect("there are two");
        let mut others: Vec<usize> = (0..skills.len()).filter(|&player| player != pivot).collect();
        let apart = |player: usize| (bound(player) - bound(pivot)).abs();
        others.sort_by(|&a, &b| apart(a).total_cmp(&apart(b)));
        Ok(std::iter::once(pivot).chain(others).take(players).collect())
    }

    fn check(&self, skills: &[Skill]) -> Result<()> {
        check_domain(self.beta.is_finite() && self.beta > 0.0, "beta", "finite and > 0", self.beta)?;
        check_domain(self.kappa > 0.0 && self.kappa < 1.0, "kappa", "in (0, 1)", self.kappa)?;
        for Skill { mean, deviation } in skills {
            check_domain(mean.is_finite(), "mean", "finite", *mean)?;
            check_domain(deviation.is_finite() && *deviation > 0.0, "deviation", "finite and > 0", *deviation)?;
        }
        Ok(())
    }
}

impl PairModel {
    /// The derivative of the log-probability of the result by `z`, and minus the second one; smaller places are better.
    fn step(self, z: f64, places: std::cmp::Ordering) -> (f64, f64) {
        use std::cmp::Ordering::{Equal, Greater, Less};
        match (self, places) {
            (Self::BradleyTerry, places) => {
                let score = match places {
                    Less => 1.0,
                    Equal => 0.5,
                    Greater => 0.0,
                };
                let p = logistic(z);
                (score - p, p * (1.0 - p))
            }
            (Self::Thurstone, Equal) => (-z, 1.0),
            (Self::Thurstone, places) => {
                let p = if places == Less { Probit.first(z, 0.0) } else { Probit.second(z, 0.0) };
                (p.d, -p.d_d)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Error, rankings::Unlisted};

    fn result(num_items: usize, groups: &[Vec<usize>], unlisted: Unlisted, weight: f64) -> Rankings {
        let mut lists = Rankings::new(num_items);
        lists.push_groups(groups, unlisted, weight).unwrap();
        lists
    }

    #[test]
    fn two_new_players_as_published() {
        let won = result(2, &[vec![0], vec![1]], Unlisted::Absent, 1.0);
        let skills = WengLinConfig::new().rate(&won).unwrap();
        assert!((skills[0].mean - 27.63523138).abs() < 1e-8 && (skills[1].mean - 22.36476862).abs() < 1e-8);
        skills.iter().for_each(|skill| assert!((skill.deviation - 8.06550632).abs() < 1e-8));
        assert!((skills[0].conservative() - (27.63523138 - 3.0 * 8.06550632)).abs() < 1e-7);
        let tied = result(2, &[vec![0, 1]], Unlisted::Absent, 1.0);
        let skills = WengLinConfig::new().rate(&tied).unwrap();
        assert_eq!((skills[0].mean, skills[1].mean), (25.0, 25.0));
    }

    #[test]
    fn thurstones_model_by_hand() {
        let config = WengLinConfig::new().with_model(PairModel::Thurstone);
        let won = result(2, &[vec![0], vec![1]], Unlisted::Absent, 1.0);
        let skills = config.rate(&won).unwrap();
        // z = 0: v = φ(0) / Φ(0) = √(2/π), w = v². ς²/c with c² = 2 (25/3)² + 2 (25/6)².
        let (s, v) = (25.0 / 3.0, (2.0 / std::f64::consts::PI).sqrt());
        let c = (2.0 * s * s + 2.0 * (25f64 / 6.0).powi(2)).sqrt();
        assert!((skills[0].mean - 25.0 - s * s / c * v).abs() < 1e-12);
        assert!((skills[1].mean - 25.0 + s * s / c * v).abs() < 1e-12);
        assert!((skills[1].deviation - s * (1.0 - (s / c).powi(3) * v * v).sqrt()).abs() < 1e-12);
        // A tie pulls unequal players together.
        let unequal = [Skill { mean: 30.0, ..Skill::NEW }, Skill::NEW];
        let tied = result(2, &[vec![0, 1]], Unlisted::Absent, 1.0);
        let after = config.update(&unequal, &tied.lists()[0]).unwrap();
        assert!((after[0].mean - (30.0 - s * s / c * 5.0 / c)).abs() < 1e-12);
        assert!((after[1].mean - (25.0 + s * s / c * 5.0 / c)).abs() < 1e-12);
        assert!((after[0].deviation - s * (1.0 - (s / c).powi(3)).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn a_match_of_three_is_the_sum_of_its_pairs() {
        let config = WengLinConfig::new();
        let skills =
            [Skill { mean: 27.0, deviation: 4.0 }, Skill { mean: 24.0, deviation: 7.0 }, Skill::NEW, Skill::NEW];
        let three = result(4, &[vec![2], vec![0], vec![1]], Unlisted::Absent, 1.0);
        let after = config.update(&skills, &three.lists()[0]).unwrap();
        let moved = |groups: &[Vec<usize>], player: usize| {
            let pair = result(4, groups, Unlisted::Absent, 1.0);
            config.update(&skills, &pair.lists()[0]).unwrap()[player].mean - skills[player].mean
        };
        let expected = moved(&[vec![2], vec![0]], 0) + moved(&[vec![0], vec![1]], 0);
        assert!((after[0].mean - 27.0 - expected).abs() < 1e-12);
        assert_eq!(after[3], Skill::NEW, "who did not play stays");
        // Below the list: tied for the last place.
        let best = result(4, &[vec![2]], Unlisted::Below, 1.0);
        let after = config.update(&skills, &best.lists()[0]).unwrap();
        let last = result(4, &[vec![2], vec![0, 1, 3]], Unlisted::Absent, 1.0);
        assert_eq!(after, config.update(&skills, &last.lists()[0]).unwrap());
        // A weight multiplies the step, and no variance goes below its floor.
        let heavy = result(4, &[vec![2], vec![0], vec![1]], Unlisted::Absent, 1e4);
        let after_heavy = config.update(&skills, &heavy.lists()[0]).unwrap();
        assert!((after_heavy[0].mean - 27.0 - 1e4 * expected).abs() < 1e-7);
        assert!((after_heavy[2].deviation - 0.01 * 25.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn the_next_match_is_of_who_played_least_and_their_likes() {
        let skills = [10.0, 30.0, 24.0, 21.0, 26.0].map(|mean| Skill { mean, deviation: 1.0 });
        let config = WengLinConfig::new();
        assert_eq!(config.next_match(&skills, &[5, 5, 1, 5, 5], 3, 0.0).unwrap(), [2, 4, 3]);
        assert_eq!(config.next_match(&skills, &[0; 5], 2, 1.0).unwrap(), [0, 3], "the first of equals");
        // Explored less, 3 is bounded by more: ln 22 / 2 and / 5, square roots 1.243 and 0.786, times 10; 2: 1.758.
        assert_eq!(config.next_match(&skills, &[5, 5, 1, 2, 9], 2, 10.0).unwrap(), [2, 1]);
        for players in [1, 6] {
            assert!(config.next_match(&skills, &[0; 5], players, 0.0).unwrap_err().to_string().contains("`players`"));
        }
        for explore in [-1.0, f64::NAN] {
            assert!(config.next_match(&skills, &[0; 5], 2, explore).unwrap_err().to_string().contains("`explore`"));
        }
        assert!(matches!(config.next_match(&skills, &[0; 4], 2, 0.0), Err(Error::Length { name: "games", .. })));
    }

    #[test]
    fn what_makes_no_sense_is_an_error() {
        let won = result(2, &[vec![0], vec![1]], Unlisted::Absent, 1.0);
        let starts = |error: Error, text: &str| assert!(error.to_string().starts_with(text), "{error}");
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            starts(WengLinConfig::new().with_beta(bad).rate(&won).unwrap_err(), "`beta`");
            starts(WengLinConfig::new().with_kappa(bad).rate(&won).unwrap_err(), "`kappa`");
            let skills = [Skill { mean: 0.0, deviation: bad }, Skill::NEW];
            starts(WengLinConfig::new().update(&skills, &won.lists()[0]).unwrap_err(), "`deviation`");
        }
        starts(WengLinConfig::new().with_kappa(1.0).rate(&won).unwrap_err(), "`kappa`");
        let skills = [Skill { mean: f64::NAN, ..Skill::NEW }, Skill::NEW];
        starts(WengLinConfig::new().update(&skills, &won.lists()[0]).unwrap_err(), "`mean`");
        let error = WengLinConfig::new().update(&[Skill::NEW], &won.lists()[0]).unwrap_err();
        assert!(matches!(error, Error::Index { name: "player", index: 1, .. }));
        let WengLinConfig { beta, kappa, model } = WengLinConfig::new();
        assert_eq!((beta, kappa, model), (25.0 / 6.0, 1e-4, PairModel::BradleyTerry));
    }
}
