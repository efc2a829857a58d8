//! Laws of models that predict distributions, and of measures of their risk.
//!
//! Each takes the model as a closure over plain numbers and tests it on distributions made by chance, the same on every run:
//! spread out and concentrated, with and without impossible values. What breaks a law comes back with the distributions that
//! show it.

use crate::{report::Disagreement, runner::Random};

/// How many draws each law is tested on.
const CASES: u64 = 60;

/// A distribution over `k` ordered values; some have probability 0, and some are sure.
fn distribution(random: &mut Random, k: usize) -> Vec<f64> {
    if random.below(6) == 0 {
        let sure = random.below(k);
        return (0..k).map(|i| f64::from(i == sure)).collect();
    }
    let weights: Vec<f64> =
        (0..k).map(|_| if random.below(4) == 0 { 0.0 } else { random.uniform(0.0, 1.0).powi(3) }).collect();
    let total: f64 = weights.iter().sum();
    if total == 0.0 { vec![1.0 / k as f64; k] } else { weights.iter().map(|weight| weight / total).collect() }
}

fn cases(mut test: impl FnMut(&mut Random) -> Result<(), Disagreement>) -> Result<(), Disagreement> {
    (0..CASES).try_for_each(|seed| test(&mut Random::new(seed)))
}

fn equal(what: &str, got: f64, expected: f64, tolerance: f64, at: impl std::fmt::Debug) -> Result<(), Disagreement> {
    // Written so that NaN fails.
    match (got - expected).abs() <= tolerance || got == expected {
        true => Ok(()),
        false => Err(Disagreement::new(format!("{what}: {expected}"), format!("{got} at {at:?}"))),
    }
}

fn holds(what: &str, holds: bool, at: impl std::fmt::Debug) -> Result<(), Disagreement> {
    if holds { Ok(()) } else { Err(Disagreement::new(what, format!("not at {at:?}"))) }
}

/// Chances that the first of two draws is above, equal to and below the second: they add up to 1, exchanging the two
/// exchanges them, sure values compare as they are, and a distribution that dominates another wins at least as often as it
/// loses.
///
/// `half`: whether equal values are half a win each way, so that the chance of equality is 0.
///
/// # Errors
/// The law that does not hold, and where.
pub fn check_orderings(chances: impl Fn(&[f64], &[f64]) -> [f64; 3], half: bool) -> Result<(), Disagreement> {
    const NEAR: f64 = 1e-9;
    cases(|random| {
        let k = 2 + random.below(6);
        let (p, q) = (distribution(random, k), distribution(random, k));
        let at = (&p, &q);
        let [above, equally, below] = chances(&p, &q);
        equal("a sum of all chances", above + equally + below, 1.0, NEAR, at)?;
        let [back_above, back_equally, back_below] = chances(&q, &p);
        equal("the exchanged chance", back_below, above, NEAR, at)?;
        equal("the exchanged chance", back_above, below, NEAR, at)?;
        equal("the chance of equality", back_equally, equally, NEAR, at)?;
        // Moving mass upwards makes a distribution that dominates.
        let mut better = p.clone();
        let from = random.below(k);
        let to = from + random.below(k - from);
        let moved = better[from] * random.uniform(0.0, 1.0);
        better[from] -= moved;
        better[to] += moved;
        let [wins, _, losses] = chances(&better, &p);
        holds("a dominating distribution wins as often as it loses", wins >= losses - NEAR, (&better, &p))?;
        holds("mass that moves up does not lower the chance", chances(&better, &q)[0] >= above - NEAR, (&better, &q))?;
        let (i, j) = (random.below(k), random.below(k));
        let sure = |value: usize| -> Vec<f64> { (0..k).map(|i| f64::from(i == value)).collect() };
        let tie = f64::from(i == j);
        let expected = match half {
            true => [f64::from(i > j) + tie / 2.0, 0.0, f64::from(i < j) + tie / 2.0],
            false => [f64::from(i > j), tie, f64::from(i < j)],
        };
        for (got, expected) in chances(&sure(i), &sure(j)).into_iter().zip(expected) {
            equal("the chance between sure values", got, expected, NEAR, (i, j, k))?;
        }
        Ok(())
    })
}

/// A distance between distributions over the same values: not negative, 0 of a distribution and itself, symmetric, and
/// never longer than a detour.
///
/// # Errors
/// The law that does not hold, and where.
pub fn check_metric(distance: impl Fn(&[f64], &[f64]) -> f64) -> Result<(), Disagreement> {
    const NEAR: f64 = 1e-9;
    cases(|random| {
        let k = 2 + random.below(6);
        let [p, q, r] = [(); 3].map(|()| distribution(random, k));
        let at = (&p, &q, &r);
        let direct = distance(&p, &q);
        equal("the distance to itself", distance(&p, &p), 0.0, NEAR, at)?;
        equal("the distance back", distance(&q, &p), direct, NEAR, at)?;
        holds("no detour is shorter", direct <= distance(&p, &r) + distance(&r, &q) + NEAR, at)?;
        let differ = p.iter().zip(&q).map(|(p, q)| (p - q).abs()).fold(0.0, f64::max);
        holds("a distance > 0 of different distributions", differ < 1e-3 || direct > 1e-9, at)
    })
}

/// A discrepancy between two samples of points: not negative, symmetric, 0 of the same points in another order, and
/// positive of points that are far apart.
///
/// # Errors
/// The law that does not hold, and where.
pub fn check_discrepancy(discrepancy: impl Fn(&[Vec<f64>], &[Vec<f64>]) -> f64) -> Result<(), Disagreement> {
    cases(|random| {
        let (n, dimensions) = (1 + random.below(5), 1 + random.below(3));
        let mut sample = |shift: f64| -> Vec<Vec<f64>> {
            (0..n).map(|_| (0..dimensions).map(|_| random.uniform(-2.0, 2.0) + shift).collect()).collect()
        };
        let (x, y, far) = (sample(0.0), sample(0.0), sample(9.0));
        let there = discrepancy(&x, &y);
        holds("a discrepancy >= 0", there >= 0.0, (&x, &y))?;
        equal("the discrepancy back", discrepancy(&y, &x), there, 1e-9, (&x, &y))?;
        let shuffled: Vec<Vec<f64>> = random.permutation(n).into_iter().map(|i| x[i].clone()).collect();
        equal("the discrepancy of the same points", discrepancy(&x, &shuffled), 0.0, 1e-9, &x)?;
        holds("a discrepancy > 0 of distant points", discrepancy(&x, &far) > 1e-3, (&x, &far))
    })
}

/// What a measure of risk claims beyond what all do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RiskClaims {
    /// Adding a constant to all values adds it to the measure.
    pub shifts: bool,
    /// Scaling all values by a positive factor scales the measure.
    pub scales: bool,
    /// Making a value larger does not make the measure smaller.
    pub is_monotone: bool,
    /// The measure is at most the mean.
    pub is_averse: bool,
}

/// A measure of the risk of weighted values: between the smallest and the largest when it is monotone, the value of a sure
/// one, blind to the order of the values and to whether one is listed in two parts, and what else is claimed.
///
/// # Errors
/// The law that does not hold, and where.
pub fn check_risk(measure: impl Fn(&[f64], &[f64]) -> f64, claims: RiskClaims) -> Result<(), Disagreement> {
    cases(|random| {
        let k = 1 + random.below(6);
        let values: Vec<f64> = (0..k).map(|_| random.uniform(-3.0, 3.0)).collect();
        let weights: Vec<f64> = (0..k).map(|_| random.uniform(0.05, 1.0)).collect();
        let at = (&values, &weights);
        let risk = measure(&values, &weights);
        let near = 1e-9;
        let sure = random.uniform(-3.0, 3.0);
        equal("the measure of a sure value", measure(&[sure], &[0.7]), sure, near, sure)?;
        let order = random.permutation(k);
        let picked = |from: &[f64]| -> Vec<f64> { order.iter().map(|&i| from[i]).collect() };
        equal("the measure in another order", measure(&picked(&values), &picked(&weights)), risk, near, at)?;
        let (mut halves, mut masses) = (values.clone(), weights.clone());
        let split = random.below(k);
        masses[split] *= 0.5;
        halves.push(values[split]);
        masses.push(masses[split]);
        equal("the measure of a value in two parts", measure(&halves, &masses), risk, near, at)?;
        if claims.shifts {
            let by = random.uniform(-5.0, 5.0);
            let moved: Vec<f64> = values.iter().map(|value| value + by).collect();
            equal("the measure of shifted values", measure(&moved, &weights), risk + by, near, (at, by))?;
        }
        if claims.scales {
            let by = random.uniform(0.1, 4.0);
            let scaled: Vec<f64> = values.iter().map(|value| value * by).collect();
            equal("the measure of scaled values", measure(&scaled, &weights), risk * by, near, (at, by))?;
        }
        if claims.is_monotone {
            let mut better = values.clone();
            better[split] += random.uniform(0.0, 2.0);
            holds("larger values do not lower it", measure(&better, &weights) >= risk - near, (at, split))?;
            let (low, high) = values.iter().fold((f64::MAX, f64::MIN), |(low, high), v| (low.min(*v), high.max(*v)));
            holds("it lies between the extremes", risk >= low - near && risk <= high + near, at)?;
        }
        if claims.is_averse {
            let total: f64 = weights.iter().sum();
            let mean = values.iter().zip(&weights).map(|(v, w)| v * w).sum::<f64>() / total;
            holds("at most the mean", risk <= mean + near, at)?;
        }
        Ok(())
    })
}

/// A family of measures that grows with its parameter.
///
/// # Errors
/// The values on which it does not.
pub fn check_risk_grows(measure: impl Fn(f64, &[f64], &[f64]) -> f64, parameters: &[f64]) -> Result<(), Disagreement> {
    cases(|random| {
        let k = 1 + random.below(6);
        let values: Vec<f64> = (0..k).map(|_| random.uniform(-3.0, 3.0)).collect();
        let weights: Vec<f64> = (0..k).map(|_| random.uniform(0.05, 1.0)).collect();
        let measures: Vec<f64> = parameters.iter().map(|&parameter| measure(parameter, &values, &weights)).collect();
        let grows = measures.windows(2).all(|pair| pair[1] >= pair[0] - 1e-9);
        holds("a larger parameter gives no smaller measure", grows, (&values, &weights, &measures))
    })
}

/// Rows of numbers of any size are made into quantiles that do not cross.
///
/// # Errors
/// The row whose quantiles do.
pub fn check_quantiles_never_cross(head: impl Fn(&[f64]) -> Vec<f64>) -> Result<(), Disagreement> {
    cases(|random| {
        let k = 1 + random.below(30);
        let size = [1.0, 30.0, 1e4][random.below(3)];
        let raw: Vec<f64> = (0..k).map(|_| random.uniform(-size, size)).collect();
        let quantiles = head(&raw);
        holds("as many quantiles as numbers", quantiles.len() == k, &raw)?;
        let ascend = quantiles.windows(2).all(|pair| pair[0] <= pair[1]) && quantiles.iter().all(|q| q.is_finite());
        holds("finite quantiles that ascend", ascend, (&raw, &quantiles))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn orderings(p: &[f64], q: &[f64]) -> [f64; 3] {
        let mass = |allowed: fn(usize, usize) -> bool| -> f64 {
            let cells = (0..p.len()).flat_map(|i| (0..q.len()).map(move |j| (i, j)));
            cells.filter(|&(i, j)| allowed(i, j)).map(|(i, j)| p[i] * q[j]).sum()
        };
        [mass(|i, j| i > j), mass(|i, j| i == j), mass(|i, j| i < j)]
    }

    fn halved(p: &[f64], q: &[f64]) -> [f64; 3] {
        let [above, equally, below] = orderings(p, q);
        [above + equally / 2.0, 0.0, below + equally / 2.0]
    }

    #[track_caller]
    fn breaks(result: Result<(), Disagreement>, law: &str) {
        let found = result.unwrap_err().expected;
        assert!(found.starts_with(law), "{found}");
    }

    #[test]
    fn orderings_and_their_mistakes() {
        check_orderings(orderings, false).unwrap();
        check_orderings(halved, true).unwrap();
        // A tie counted twice, or for the first alone.
        breaks(
            check_orderings(
                |p, q| {
                    let [a, t, b] = orderings(p, q);
                    [a + t, t, b]
                },
                false,
            ),
            "a sum",
        );
        breaks(
            check_orderings(
                |p, q| {
                    let [a, t, b] = orderings(p, q);
                    [a + t, 0.0, b]
                },
                true,
            ),
            "the exchanged chance",
        );
        // Grades read from the wrong end, everywhere or where nothing is sure.
        let wrong = |p: &[f64], q: &[f64]| {
            let [above, equally, below] = orderings(p, q);
            [below, equally, above]
        };
        breaks(check_orderings(wrong, false), "the chance between sure values");
        let is_sure = |p: &[f64]| p.contains(&1.0);
        let unsure = |p: &[f64], q: &[f64]| if is_sure(p) || is_sure(q) { orderings(p, q) } else { wrong(p, q) };
        breaks(check_orderings(unsure, false), "a dominating");
        breaks(check_orderings(orderings, true), "the chance between sure values");
        breaks(check_orderings(halved, false), "the chance between sure values");
        // By the mean alone it cannot see how often, but it is antisymmetric.
        let soft = |p: &[f64], q: &[f64]| {
            let mean = |p: &[f64]| p.iter().enumerate().map(|(i, p)| i as f64 * p).sum::<f64>();
            let chance = 1.0 / (1.0 + (mean(q) - mean(p)).exp());
            [chance, 0.0, 1.0 - chance]
        };
        breaks(check_orderings(soft, true), "the chance between sure values");
    }

    #[test]
    fn metrics_and_their_mistakes() {
        let transport = |p: &[f64], q: &[f64]| {
            let mut ahead = 0.0;
            p.iter()
                .zip(q)
                .map(|(p, q)| {
                    ahead += p - q;
                    f64::abs(ahead)
                })
                .sum::<f64>()
        };
        check_metric(transport).unwrap();
        breaks(check_metric(|p, q| transport(p, q).powi(2)), "no detour");
        breaks(check_metric(|p, q| transport(p, q) + 0.1), "the distance to itself");
        let one_sided = |p: &[f64], q: &[f64]| {
            let mut ahead = 0.0;
            p.iter()
                .zip(q)
                .map(|(p, q)| {
                    ahead += p - q;
                    f64::max(ahead, 0.0)
                })
                .sum::<f64>()
        };
        breaks(check_metric(one_sided), "the distance back");
        breaks(check_metric(|_, _| 0.0), "a distance > 0");
        breaks(check_metric(|_, _| f64::NAN), "the distance to itself");
    }

    #[test]
    fn discrepancies_and_their_mistakes() {
        let kernel = |x: &[f64], y: &[f64]| (-x.iter().zip(y).map(|(x, y)| (x - y).powi(2)).sum::<f64>()).exp();
        let mean = move |x: &[Vec<f64>], y: &[Vec<f64>]| {
            let all = x.iter().flat_map(|x| y.iter().map(move |y| kernel(x, y)));
            all.sum::<f64>() / (x.len() * y.len()) as f64
        };
        let mmd = move |x: &[Vec<f64>], y: &[Vec<f64>]| mean(x, x) + mean(y, y) - 2.0 * mean(x, y);
        check_discrepancy(|x, y| mmd(x, y).max(0.0)).unwrap();
        breaks(check_discrepancy(|x, y| mmd(x, y) - 10.0), "a discrepancy >= 0");
        breaks(check_discrepancy(|x, y| mmd(x, y).max(1e-6)), "the discrepancy of the same points");
        breaks(check_discrepancy(|x, y| (mean(x, x) - mean(x, y)).max(0.0)), "the discrepancy back");
        // Pairs of places, which another order breaks.
        let paired = |x: &[Vec<f64>], y: &[Vec<f64>]| x.iter().zip(y).map(|(x, y)| 1.0 - kernel(x, y)).sum::<f64>();
        breaks(check_discrepancy(paired), "the discrepancy of the same points");
        breaks(check_discrepancy(|_, _| 0.0), "a discrepancy > 0");
    }

    const ALL: RiskClaims = RiskClaims { shifts: true, scales: true, is_monotone: true, is_averse: true };

    fn mean(values: &[f64], weights: &[f64]) -> f64 {
        values.iter().zip(weights).map(|(v, w)| v * w).sum::<f64>() / weights.iter().sum::<f64>()
    }

    #[test]
    fn risk_measures_and_their_mistakes() {
        check_risk(mean, ALL).unwrap();
        let worst = |values: &[f64], _: &[f64]| values.iter().copied().fold(f64::MAX, f64::min);
        check_risk(worst, ALL).unwrap();
        let best = |values: &[f64], _: &[f64]| values.iter().copied().fold(f64::MIN, f64::max);
        breaks(check_risk(best, ALL), "at most the mean");
        check_risk(best, RiskClaims { is_averse: false, ..ALL }).unwrap();
        let unweighted = |values: &[f64], _: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        breaks(check_risk(unweighted, ALL), "the measure of a value in two parts");
        breaks(check_risk(|v, w| v.iter().zip(w).map(|(v, w)| v * w).sum(), ALL), "the measure of a sure value");
        breaks(check_risk(|v, _| v[0], RiskClaims { is_averse: false, ..ALL }), "the measure in another order");
        breaks(
            check_risk(|v, w| mean(v, w) * 0.9 + 0.1 * mean(v, w).tanh() * mean(v, w).abs().max(1.0), ALL),
            "the measure of a sure",
        );
        let entropic = |v: &[f64], w: &[f64]| {
            let exponentials: Vec<f64> = v.iter().map(|v| (-v).exp()).collect();
            -mean(&exponentials, w).ln()
        };
        breaks(check_risk(entropic, ALL), "the measure of scaled values");
        check_risk(entropic, RiskClaims { scales: false, ..ALL }).unwrap();
        let squares = |v: &[f64], w: &[f64]| {
            let squares: Vec<f64> = v.iter().map(|v| v.powi(3)).collect();
            mean(&squares, w).cbrt()
        };
        breaks(check_risk(squares, ALL), "the measure of shifted values");
        let spread = |v: &[f64], w: &[f64]| {
            let m = mean(v, w);
            let squares: Vec<f64> = v.iter().map(|v| (v - m).powi(2)).collect();
            m - 2.0 * mean(&squares, w).sqrt()
        };
        breaks(check_risk(spread, ALL), "larger values do not lower it");
        check_risk(spread, RiskClaims { is_monotone: false, ..ALL }).unwrap();
    }

    #[test]
    fn families_grow_and_heads_do_not_cross() {
        check_risk_grows(|by, v, w| mean(v, w) + by, &[0.0, 0.5, 0.5]).unwrap();
        breaks(check_risk_grows(|by, v, w| mean(v, w) - by, &[0.0, 0.5]), "a larger parameter");
        let sorted = |raw: &[f64]| {
            let mut sorted = raw.to_vec();
            sorted.sort_by(f64::total_cmp);
            sorted
        };
        check_quantiles_never_cross(sorted).unwrap();
        breaks(check_quantiles_never_cross(|raw| raw.to_vec()), "finite quantiles that ascend");
        breaks(check_quantiles_never_cross(|raw| sorted(&raw[1..])), "as many");
        breaks(check_quantiles_never_cross(|raw| vec![f64::INFINITY; raw.len()]), "finite");
    }
}
