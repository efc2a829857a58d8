//! Colonel Blotto: a game whose strategies beat each other in circles.
//!
//! **Paper:** La théorie du jeu et les équations intégrales à noyau symétrique (É. Borel, 1921); the castles are those of
//! FiveThirtyEight's The Battle For Riddler Nation (2017).
//! **Use when:** a world is wanted in which preferences are known, follow from features and fit no score.
//! **Checked by:** hand-worked battles; the counts published with the strategies of 1 349 people (in the tests of the crate).
//! **Deviations:** none.

use std::collections::HashSet;

use accordant_ops::check_domain;
use rand::{Rng, seq::SliceRandom};
use rand_distr::{Distribution, StandardNormal};

use super::PreferenceMatrix;
use crate::{
    Outcome, Result,
    error::{check_length, check_record},
    random::{Purpose, stream},
};

/// How many castles there are; castle `k`, counted from 1, is worth `k` points.
pub const NUM_CASTLES: usize = 10;
/// How many soldiers a strategy has.
pub const NUM_SOLDIERS: f64 = 100.0;

/// Who wins a battle: each castle's points go to whoever sent strictly more soldiers, and are split where both sent as many;
/// more points win.
///
/// # Errors
/// [`crate::Error::Length`] for strategies of other than [`NUM_CASTLES`] castles.
///
/// # Example
/// ```
/// use accordant_preference::{Outcome, general::blotto::battle};
/// let mut all_on_ten = [0.0; 10];
/// all_on_ten[9] = 100.0;
/// // Ten points for castle 10 against 45 for the nine others.
/// assert_eq!(battle(&all_on_ten, &[10.0; 10])?, Outcome::Second);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn battle(first: &[f64], second: &[f64]) -> Result<Outcome> {
    check_length("first", NUM_CASTLES, first.len())?;
    check_length("second", NUM_CASTLES, second.len())?;
    // Points above one half, doubled: whole numbers.
    let lead: f64 =
        first.iter().zip(second).enumerate().map(|(castle, (a, b))| (castle + 1) as f64 * sign(a - b)).sum();
    Ok(match sign(lead) {
        1.0 => Outcome::First,
        -1.0 => Outcome::Second,
        _ => Outcome::Tie,
    })
}

/// 0 of 0, unlike [`f64::signum`].
fn sign(x: f64) -> f64 {
    f64::from(i8::from(x > 0.0) - i8::from(x < 0.0))
}

/// Who beats whom, of all pairs: chances 1, 0 and ½.
///
/// # Errors
/// [`crate::Error::Empty`] without a strategy, [`crate::Error::Length`] for one of other than [`NUM_CASTLES`] castles,
/// [`crate::Error::Record`] for soldiers that are not finite and ≥ 0.
pub fn preferences(strategies: &[Vec<f64>]) -> Result<PreferenceMatrix> {
    for (row, strategy) in strategies.iter().enumerate() {
        check_length("strategies", NUM_CASTLES, strategy.len())?;
        let mut soldiers = strategy.iter();
        soldiers.try_for_each(|&x| check_record(x.is_finite() && x >= 0.0, row, "strategies", "finite and >= 0", x))?;
    }
    let margin = |a: &Vec<f64>, b: &Vec<f64>| Ok(battle(a, b)?.share() - 0.5);
    let row = |a: &Vec<f64>| strategies.iter().map(|b| margin(a, b)).collect::<Result<Vec<f64>>>();
    PreferenceMatrix::from_margins(&strategies.iter().map(row).collect::<Result<Vec<_>>>()?)
}

/// Different strategies that people might send in, each of [`NUM_SOLDIERS`] soldiers.
///
/// Each goes for castles drawn at random until they are worth more than half of all points, in proportion to
/// `k^γ exp(0.3 z)` with standard normal `z`, and sends a small share of that to the others. All bet on a majority, so that
/// few are bad, and who wins depends on where two bets overlap.
///
/// # Errors
/// A domain error for more than a million strategies.
///
/// # Example
/// ```
/// use accordant_preference::general::blotto::random_strategies;
/// let strategies = random_strategies(7, 3)?;
/// assert!(strategies.iter().all(|soldiers| soldiers.iter().sum::<f64>() == 100.0));
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn random_strategies(seed: u64, count: usize) -> Result<Vec<Vec<f64>>> {
    check_domain(count <= 1_000_000, "count", "at most a million", count as f64)?;
    let mut rng = stream(seed, Purpose::World, 0);
    let (mut strategies, mut seen) = (Vec::with_capacity(count), HashSet::new());
    while strategies.len() < count {
        let (worth, leak) = (rng.random_range(0.5..1.5), rng.random_range(0.0..0.4));
        let mut castles: Vec<usize> = (1..=NUM_CASTLES).collect();
        castles.shuffle(&mut rng);
        let wanted = wanted(&castles);
        let weights: Vec<f64> = (1..=NUM_CASTLES)
            .map(|castle| {
                weight(castle, worth, StandardNormal.sample(&mut rng), if wanted[castle - 1] { 1.0 } else { leak })
            })
            .collect();
        let soldiers = allot(&weights);
        if seen.insert(soldiers.clone()) {
            strategies.push(soldiers.into_iter().map(f64::from).collect());
        }
    }
    Ok(strategies)
}

/// The first of these castles that are worth more than half of all points together.
fn wanted(castles: &[usize]) -> [bool; NUM_CASTLES] {
    const HALF: usize = NUM_CASTLES * (NUM_CASTLES + 1) / 4;
    let (mut points, mut wanted) = (0, [false; NUM_CASTLES]);
    for castle in castles {
        if points > HALF {
            break;
        }
        points += castle;
        wanted[castle - 1] = true;
    }
    wanted
}

/// How many soldiers a castle gets beside the others: by its points, by chance, and less if it is not wanted.
fn weight(castle: usize, worth: f64, z: f64, share: f64) -> f64 {
    (castle as f64).powf(worth) * (0.3 * z).exp() * share
}

/// All soldiers in proportion to the weights, the largest remainders rounded up.
fn allot(weights: &[f64]) -> Vec<u32> {
    let total: f64 = weights.iter().sum();
    let exact: Vec<f64> = weights.iter().map(|weight| NUM_SOLDIERS * weight / total).collect();
    let mut soldiers: Vec<u32> = exact.iter().map(|x| x.floor() as u32).collect();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by(|&a, &b| exact[b].fract().total_cmp(&exact[a].fract()));
    let left = NUM_SOLDIERS as usize - soldiers.iter().sum::<u32>() as usize;
    order.into_iter().cycle().take(left).for_each(|castle| soldiers[castle] += 1);
    soldiers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::general::{
        transitivity::{consistence, num_cyclic_triples},
        winners::condorcet_winner,
    };

    fn on(castles: &[usize]) -> Vec<f64> {
        (1..=10).map(|castle| if castles.contains(&castle) { 1.0 } else { 0.0 }).collect()
    }

    #[test]
    fn battles_by_hand() {
        // 1 + 10 against 5 + 7.
        assert_eq!(battle(&on(&[1, 10]), &on(&[5, 7])).unwrap(), Outcome::Second);
        // Ten is shared: 1 against 5.
        assert_eq!(battle(&on(&[1, 10]), &on(&[5, 10])).unwrap(), Outcome::Second);
        assert_eq!(battle(&on(&[3, 10]), &on(&[1, 2, 9])).unwrap(), Outcome::First);
        assert_eq!(battle(&on(&[1, 2]), &on(&[3])).unwrap(), Outcome::Tie);
        assert_eq!(battle(&on(&[4]), &on(&[4])).unwrap(), Outcome::Tie);
        assert!(battle(&[1.0], &on(&[1])).unwrap_err().to_string().starts_with("`first`"));
        assert!(battle(&on(&[1]), &[1.0]).unwrap_err().to_string().starts_with("`second`"));
    }

    #[test]
    fn three_strategies_in_a_circle() {
        let [a, b, c] = [[2.0, 1.0, 0.0], [0.0, 2.0, 1.0], [1.0, 0.0, 2.0]].map(|soldiers| {
            let mut all = vec![0.0; 10];
            // Of castles 8, 9 and 10 any two beat the third.
            all[7..].copy_from_slice(&soldiers);
            all
        });
        let matrix = preferences(&[a, b, c]).unwrap();
        assert_eq!(
            (num_cyclic_triples(&matrix), condorcet_winner(&matrix), consistence(&matrix)),
            (1, None, Some(0.0))
        );
    }

    #[test]
    fn soldiers_are_allotted_by_largest_remainder() {
        // 100 / 7: 14.28…, 42.85…, 42.85… → 14, 43, 43.
        assert_eq!(allot(&[1.0, 3.0, 3.0]), [14, 43, 43]);
        assert_eq!(allot(&[1.0, 1.0, 1.0]), [34, 33, 33]);
    }

    #[test]
    fn castles_are_wanted_until_they_are_a_majority() {
        let of = |castles: &[usize]| {
            let wanted = wanted(castles);
            (1..=NUM_CASTLES).filter(|castle| wanted[castle - 1]).collect::<Vec<_>>()
        };
        // 27 of 55 points are no majority; 28 are.
        assert_eq!(of(&[10, 9, 8, 1, 7, 2, 3, 4, 5, 6]), [1, 8, 9, 10]);
        assert_eq!(of(&[1, 10, 8, 9, 7, 2, 3, 4, 5, 6]), [1, 8, 9, 10]);
        assert_eq!(of(&[10, 9, 5, 4, 1, 2, 3, 6, 7, 8]), [4, 5, 9, 10]);
    }

    #[test]
    fn weights_by_hand() {
        assert_eq!(weight(4, 0.5, 0.0, 1.0), 2.0);
        // 3² e^{0.6} / 4
        assert!((weight(3, 2.0, 2.0, 0.25) - 2.25 * 0.6f64.exp()).abs() < 1e-14);
    }

    #[test]
    fn random_strategies_are_different_and_go_in_circles() {
        let strategies = random_strategies(0, 200).unwrap();
        let distinct: HashSet<Vec<u64>> =
            strategies.iter().map(|strategy| strategy.iter().map(|x| x.to_bits()).collect()).collect();
        assert_eq!(distinct.len(), 200);
        assert!(strategies.iter().all(|strategy| strategy.iter().sum::<f64>() == NUM_SOLDIERS));
        let circles = num_cyclic_triples(&preferences(&strategies).unwrap()) as f64;
        // 200 · 199 · 198 / 6 triples; a coin for each pair would make a quarter of them circles.
        let share = circles / 1_313_400.0;
        assert!((0.12..0.25).contains(&share), "{share}");
        assert_eq!(random_strategies(0, 200).unwrap(), strategies);
        assert_ne!(random_strategies(1, 200).unwrap(), strategies);
        assert!(random_strategies(0, 1_000_001).is_err());
    }

    #[test]
    fn what_is_no_strategy_is_an_error() {
        assert!(preferences(&[]).is_err());
        assert!(preferences(&[vec![1.0]]).unwrap_err().to_string().starts_with("`strategies`: expected 10"));
        for soldiers in [-1.0, f64::NAN] {
            let error = preferences(&[on(&[1]), vec![soldiers; 10]]).unwrap_err();
            assert!(error.to_string().starts_with("record 1: `strategies`"), "{error}");
        }
    }
}
