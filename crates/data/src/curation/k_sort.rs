//! K-wise arena matches: Gaussian skills from rankings of K models, and who should meet next.
//!
//! **Paper:** K-Sort Arena: Efficient and Reliable Benchmarking for Generative Models via K-wise Human Preferences
//! (2024), 2408.14468; the update of a pair is that of TrueSkill (Herbrich, Minka, Graepel, 2006) without draws.
//! **Use when:** people rank several outputs at a time, and models join as time goes on.
//! **Deviations:** pairs of a match are averaged by `1 / (K − 1)`; a tie is half a win and half a loss; the matchmaking
//! score is ours. Ratings with another update, that of Weng and Lin, are in `accordant_preference::ranking::weng_lin`.

use libm::erfc;
use serde::Serialize;

use super::numbers::{check_domain, check_finite, check_length};
use crate::{Error, Result};

/// A model's skill: a normal distribution.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Skill {
    /// Its mean.
    pub mean: f64,
    /// Its standard deviation, > 0.
    pub deviation: f64,
}

impl Skill {
    /// A new model's: 25 and 25/3, TrueSkill's.
    pub const NEW: Self = Self { mean: 25.0, deviation: 25.0 / 3.0 };
}

/// How skills move.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct KSort {
    /// How much luck there is in a match, finite and > 0. Default: 25/6, TrueSkill's.
    pub beta: f64,
    /// The least factor of a variance, in (0, 1). Default: 1e-4, ours.
    pub kappa: f64,
    /// How much matchmaking explores, finite and ≥ 0. Default: 1, ours.
    pub exploration: f64,
}

impl Default for KSort {
    fn default() -> Self {
        Self { beta: 25.0 / 6.0, kappa: 1e-4, exploration: 1.0 }
    }
}

impl KSort {
    fn check(&self) -> Result<()> {
        check_domain(self.beta.is_finite() && self.beta > 0.0, "beta", "finite and > 0", self.beta)?;
        check_domain(self.kappa > 0.0 && self.kappa < 1.0, "kappa", "in (0, 1)", self.kappa)?;
        let explores = self.exploration.is_finite() && self.exploration >= 0.0;
        check_domain(explores, "exploration", "finite and >= 0", self.exploration)
    }

    /// The skills after a match of all of them, of the ranks in it, 1 for the best; equal ranks are ties.
    ///
    /// ```text
    /// c² = 2β² + σ_i² + σ_j²,  t = (μ_w − μ_l) / c,  v = φ(t) / Φ(t),  w = v (v + t)
    /// μ_w += σ_w² / c · v,  μ_l −= σ_l² / c · v,  σ² *= max(1 − σ² / c² · w, κ)
    /// ```
    /// with the skills before the match throughout, and the changes of the `K − 1` pairs of each averaged.
    ///
    /// # Errors
    /// [`Error::Domain`] naming a setting, `mean` or `deviation`; [`Error::Length`] naming `ranks`; [`Error::NoEntry`]
    /// for fewer than two.
    ///
    /// # Example
    /// ```
    /// use accordant_data::curation::k_sort::{KSort, Skill};
    /// let after = KSort::default().update(&[Skill::NEW; 2], &[1, 2])?;
    /// assert!((after[0].mean - 29.2052208700).abs() < 1e-9 && (after[1].mean - 20.7947791300).abs() < 1e-9);
    /// assert!((after[0].deviation - 7.1944813488).abs() < 1e-9);
    /// # Ok::<(), accordant_data::Error>(())
    /// ```
    #[doc(alias = "2408.14468")]
    #[doc(alias = "TrueSkill")]
    pub fn update(&self, skills: &[Skill], ranks: &[u32]) -> Result<Vec<Skill>> {
        self.check()?;
        check_length("ranks", skills.len(), ranks.len())?;
        if skills.len() < 2 {
            return Err(Error::NoEntry { name: "skills" });
        }
        for skill in skills {
            check_finite("mean", skill.mean)?;
            check_domain(
                skill.deviation.is_finite() && skill.deviation > 0.0,
                "deviation",
                "finite and > 0",
                skill.deviation,
            )?;
        }
        let opponents = (skills.len() - 1) as f64;
        let after = |(i, own): (usize, &Skill)| {
            let variance = own.deviation * own.deviation;
            let (mut moved, mut shrunk) = (0.0, 0.0);
            for (_, (other, rank)) in skills.iter().zip(ranks).enumerate().filter(|(j, _)| *j != i) {
                let c = (2.0 * self.beta * self.beta + variance + other.deviation * other.deviation).sqrt();
                let t = (own.mean - other.mean) / c;
                let won = match ranks[i].cmp(rank) {
                    std::cmp::Ordering::Less => 1.0,
                    std::cmp::Ordering::Equal => 0.5,
                    std::cmp::Ordering::Greater => 0.0,
                };
                for (share, sign) in [(won, 1.0), (1.0 - won, -1.0)] {
                    let v = inverse_mills(sign * t);
                    moved += share * sign * variance / c * v;
                    shrunk += share * variance / (c * c) * v * (v + sign * t);
                }
            }
            let factor = (1.0 - shrunk / opponents).max(self.kappa);
            Skill { mean: own.mean + moved / opponents, deviation: own.deviation * factor.sqrt() }
        };
        Ok(skills.iter().enumerate().map(after).collect())
    }

    /// The `players` models that should meet next, the pivot first.
    ///
    /// The pivot has played least, earlier models first. Its opponents have the largest `−|μ_i − μ_p| + c √(ln N /
    /// n_ip)`, `N` being all matches and `n_ip` those of the two, where whoever never met the pivot comes first.
    /// `matches` is symmetric: how often each two met.
    ///
    /// # Errors
    /// [`Error::Domain`] naming a setting or `players`, which is between 2 and the number of models; [`Error::Length`]
    /// naming `matches`.
    pub fn next_match(&self, skills: &[Skill], matches: &[Vec<usize>], players: usize) -> Result<Vec<usize>> {
        self.check()?;
        check_length("matches", skills.len(), matches.len())?;
        matches.iter().try_for_each(|row| check_length("matches", skills.len(), row.len()))?;
        let fits = (2..=skills.len()).contains(&players);
        check_domain(fits, "players", "between 2 and the number of models", players as f64)?;
        let games: Vec<usize> = matches.iter().map(|row| row.iter().sum()).collect();
        let pivot = (0..skills.len()).min_by_key(|&model| games[model]).expect("there are two");
        // Each meeting stands in two rows.
        let total = (games.iter().sum::<usize>() / 2).max(1) as f64;
        let score = |model: usize| match matches[pivot][model] {
            0 => (true, -(skills[model].mean - skills[pivot].mean).abs()),
            n => {
                let bonus = self.exploration * (total.ln() / n as f64).sqrt();
                (false, bonus - (skills[model].mean - skills[pivot].mean).abs())
            }
        };
        let mut others: Vec<usize> = (0..skills.len()).filter(|&model| model != pivot).collect();
        others.sort_by(|&a, &b| {
            let (a, b) = (score(a), score(b));
            b.0.cmp(&a.0).then(b.1.total_cmp(&a.1))
        });
        Ok(std::iter::once(pivot).chain(others).take(players).collect())
    }
}

/// `φ(t) / Φ(t)` of the normal distribution.
fn inverse_mills(t: f64) -> f64 {
    // Both underflow below −38; three terms of the tail's expansion are exact to 1e-8 at −30.
    if t < -30.0 {
        let square = 1.0 / (t * t);
        return -t / (1.0 - square + 3.0 * square * square);
    }
    let density = (-0.5 * t * t).exp() / (2.0 * std::f64::consts::PI).sqrt();
    density / (0.5 * erfc(-t * std::f64::consts::FRAC_1_SQRT_2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_new_models_move_as_the_specification_says() {
        let after = KSort::default().update(&[Skill::NEW; 2], &[2, 1]).unwrap();
        assert!((after[1].mean - 29.205_220_870_0).abs() < 1e-9);
        assert!((after[0].mean - 20.794_779_130_0).abs() < 1e-9);
        assert!(after.iter().all(|skill| (skill.deviation - 7.194_481_348_8).abs() < 1e-9));
    }

    #[test]
    fn a_tie_of_equals_moves_nobody_and_teaches_something() {
        let after = KSort::default().update(&[Skill::NEW; 2], &[1, 1]).unwrap();
        assert!(after.iter().all(|skill| skill.mean == 25.0 && (skill.deviation - 7.194_481_348_8).abs() < 1e-9));
        // An underdog gains by a tie.
        let weak = Skill { mean: 20.0, ..Skill::NEW };
        let after = KSort::default().update(&[weak, Skill::NEW], &[1, 1]).unwrap();
        assert!(after[0].mean > 20.0 && after[1].mean < 25.0);
    }

    #[test]
    fn three_of_one_kind_move_by_the_mean_of_their_pairs() {
        let after = KSort::default().update(&[Skill::NEW; 3], &[1, 2, 3]).unwrap();
        // First: two wins; second: a win and a loss; third: two losses. Each is the mean of pairs of equals.
        for (skill, mean) in after.iter().zip([29.205_220_870_0, 25.0, 20.794_779_130_0]) {
            assert!((skill.mean - mean).abs() < 1e-9 && (skill.deviation - 7.194_481_348_8).abs() < 1e-9);
        }
        let permuted = KSort::default().update(&[Skill::NEW; 3], &[3, 1, 2]).unwrap();
        assert_eq!([permuted[1], permuted[2], permuted[0]], [after[0], after[1], after[2]]);
    }

    #[test]
    fn the_tail_goes_on_where_its_terms_underflow() {
        assert!((inverse_mills(0.0) - (2.0 / std::f64::consts::PI).sqrt()).abs() < 1e-15);
        // On both sides of −30 the ratio is near −t − 1/t.
        for t in [-29.999f64, -30.001, -50.0, -1e6] {
            assert!((inverse_mills(t) / (-t - 1.0 / t) - 1.0).abs() < 3e-6, "{t}");
        }
        assert!((inverse_mills(-29.999_999) - inverse_mills(-30.000_001)).abs() < 1e-5);
        let far = [Skill { mean: 0.0, deviation: 1.0 }, Skill { mean: 1e6, deviation: 1.0 }];
        let after = KSort::default().update(&far, &[1, 2]).unwrap();
        assert!(after.iter().all(|skill| skill.mean.is_finite() && skill.deviation > 0.0));
    }

    #[test]
    fn a_variance_keeps_the_least_factor() {
        let sort = KSort { beta: 1e-9, kappa: 0.9, exploration: 0.0 };
        let after = sort.update(&[Skill { mean: 0.0, deviation: 1.0 }; 2], &[1, 2]).unwrap();
        // w at t = 0 is 2/π, and σ²/c² is ½: 1 − 1/π = 0.68 would be less.
        assert_eq!(after[0].deviation, 0.9f64.sqrt());
    }

    #[test]
    fn who_played_least_meets_strangers_first_and_then_equals() {
        let skills = [25.0, 30.0, 26.0, 40.0].map(|mean| Skill { mean, deviation: 1.0 });
        let matches = [[0, 2, 9, 0], [2, 0, 5, 5], [9, 5, 0, 5], [0, 5, 5, 0]].map(|row| row.to_vec()).to_vec();
        // Games: 11, 12, 19, 10. Model 3 never met 0; of the others 1 is at −10 + √(ln 26 / 5), 2 at −14 + the same.
        let next = |exploration| KSort { exploration, ..KSort::default() }.next_match(&skills, &matches, 4).unwrap();
        assert_eq!(next(1.0), [3, 0, 1, 2]);
        // Pivot 0 after one more game of 3: 3 first, then 2 at −1 + c √(ln 26 / 9) or 1 at −5 + c √(ln 26 / 2).
        let mut more = matches.clone();
        more[3][1] += 2;
        more[1][3] += 2;
        let next = |exploration| KSort { exploration, ..KSort::default() }.next_match(&skills, &more, 3).unwrap();
        assert_eq!((next(1.0), next(10.0)), (vec![0, 3, 2], vec![0, 3, 1]));
        let first = KSort::default().next_match(&skills, &vec![vec![0; 4]; 4], 2).unwrap();
        assert_eq!(first, [0, 2], "the nearest");
    }

    #[test]
    fn what_makes_no_match_is_an_error() {
        let sort = KSort::default();
        let two = [Skill::NEW; 2];
        assert!(sort.update(&two, &[1]).is_err() && sort.update(&two[..1], &[1]).is_err());
        let message = |sort: KSort| sort.update(&two, &[1, 2]).unwrap_err().to_string();
        assert!(message(KSort { beta: 0.0, ..sort }).starts_with("`beta`"));
        assert!(message(KSort { kappa: 1.0, ..sort }).starts_with("`kappa`"));
        assert!(message(KSort { exploration: -1.0, ..sort }).starts_with("`exploration`"));
        let odd =
            |mean, deviation| sort.update(&[Skill { mean, deviation }, Skill::NEW], &[1, 2]).unwrap_err().to_string();
        assert!(odd(f64::NAN, 1.0).starts_with("`mean`") && odd(0.0, 0.0).starts_with("`deviation`"));
        assert!(
            sort.next_match(&two, &[vec![0, 0]], 2).is_err() && sort.next_match(&two, &vec![vec![0]; 2], 2).is_err()
        );
        assert!(sort.next_match(&two, &vec![vec![0; 2]; 2], 3).is_err());
    }
}
