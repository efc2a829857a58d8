//! Laws of score models: what likelihoods and losses of preferences must do, whatever gives the scores.
//!
//! A subject is a closure over plain numbers: a model of pairs, of outcomes or of lists, on tensors or on the host. Inputs
//! are drawn from a fixed seed, moderate and extreme, with ties, soft targets and absent candidates; the first one that
//! breaks a law is reported with what was expected and what came.
//!
//! | function | what it tests |
//! |---|---|
//! | [`pair_loss`] | a loss of judged pairs, value and gradient |
//! | [`outcomes`] | chances of first, tie and second |
//! | [`list_loss`] | a loss of ranked lists, value and gradient |
//! | [`lists_of_two`] | that a loss of lists of two is one of judged pairs |
//! | [`rankings`] | that the chances of all orders add up to 1 |

use std::fmt;

use crate::{
    compare::{same, same_column},
    gradient::check_gradient,
    report::Disagreement,
    runner::Random,
};

/// Inputs for each law.
const CASES: u64 = 24;

/// Sums in another order, exponentials and logarithms.
const TOLERANCE: f64 = 1e-11;

/// A law that does not hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Broken {
    /// The law.
    pub law: &'static str,
    /// Where.
    pub input: String,
    /// What should have come and what came.
    pub disagreement: Disagreement,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Disagreement { expected, got } = &self.disagreement;
        write!(f, "breaks the law \"{}\"\nexpected: {expected}\ngot:      {got}\non {}", self.law, self.input)
    }
}

impl std::error::Error for Broken {}

fn at<I: fmt::Debug>(law: &'static str, input: &I, result: Result<(), Disagreement>) -> Result<(), Broken> {
    result.map_err(|disagreement| Broken { law, input: format!("{input:?}"), disagreement })
}

/// Judged pairs, one entry for each.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Pairs {
    /// Scores of the first sides.
    pub first: Vec<f64>,
    /// Scores of the second sides.
    pub second: Vec<f64>,
    /// Shares of the first sides.
    pub targets: Vec<f64>,
    /// Which pairs were called a tie.
    pub ties: Vec<bool>,
    /// Weights.
    pub weights: Vec<f64>,
}

impl Pairs {
    fn draw(random: &mut Random, size: f64) -> Self {
        let n = 1 + random.below(5);
        let mut column = |low: f64, high: f64| (0..n).map(|_| random.uniform(low, high)).collect::<Vec<_>>();
        let (first, second) = (column(-size, size), column(-size, size));
        // Certain either way, undecided and in between.
        let targets = column(-0.5, 1.5).into_iter().map(|t| if t > 1.3 { 0.5 } else { t.clamp(0.0, 1.0) }).collect();
        let weights = column(-0.5, 2.0).into_iter().map(|w: f64| w.max(0.0)).collect();
        let ties = column(0.0, 1.0).into_iter().map(|x| x < 0.25).collect();
        Self { first, second, targets, ties, weights }
    }

    fn select(&self, rows: &[usize]) -> Self {
        fn pick<T: Copy>(column: &[T], rows: &[usize]) -> Vec<T> {
            rows.iter().map(|row| column[*row]).collect()
        }
        Self {
            first: pick(&self.first, rows),
            second: pick(&self.second, rows),
            targets: pick(&self.targets, rows),
            ties: pick(&self.ties, rows),
            weights: pick(&self.weights, rows),
        }
    }

    fn shifted(&self, by: f64) -> Self {
        let add = |column: &[f64]| column.iter().map(|x| x + by).collect();
        Self { first: add(&self.first), second: add(&self.second), ..self.clone() }
    }

    fn swapped(&self) -> Self {
        let targets = self.targets.iter().map(|t| 1.0 - t).collect();
        Self { first: self.second.clone(), second: self.first.clone(), targets, ..self.clone() }
    }
}

/// What a loss of pairs returns.
#[derive(Debug, Clone, PartialEq)]
pub struct PairLosses {
    /// One loss per pair.
    pub losses: Vec<f64>,
    /// Their weighted mean.
    pub mean: f64,
    /// Derivatives of the sum of the losses by the first scores.
    pub by_first: Vec<f64>,
    /// And by the second scores.
    pub by_second: Vec<f64>,
}

/// What is claimed of a loss beyond the laws that hold for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// The same constant on all scores of a pair or of a list changes nothing.
    ShiftInvariant,
    /// Results turned round change nothing: the sides exchanged, with targets `1 − t`; of a list, the signs of all scores and
    /// labels changed.
    Antisymmetric,
    /// The loss of a target between 0 and 1 is the mean of those of 1 and 0.
    LinearInTargets,
    /// Never negative.
    NotNegative,
    /// No loss overflows at scores of ±1e4.
    FiniteAtExtremes,
    /// The order of the candidates does not matter.
    PermutationInvariant,
}

use Claim::{Antisymmetric, FiniteAtExtremes, LinearInTargets, NotNegative, PermutationInvariant, ShiftInvariant};

/// Checks a loss of pairs: gradients are derivatives, pairs say nothing about each other, the mean is weighted, and what is
/// claimed.
///
/// # Errors
/// The first law that does not hold.
///
/// # Example
/// ```
/// use accordant_laws::models::{Claim, PairLosses, Pairs, pair_loss};
/// // A squared lead: with the gradient of half of it.
/// let wrong = |pairs: &Pairs| {
///     let d: Vec<f64> = pairs.first.iter().zip(&pairs.second).map(|(a, b)| a - b - 1.0).collect();
///     let losses: Vec<f64> = d.iter().map(|d| d * d).collect();
///     let weighted: f64 = losses.iter().zip(&pairs.weights).map(|(loss, weight)| loss * weight).sum();
///     let total: f64 = pairs.weights.iter().sum();
///     let mean = if total > 0.0 { weighted / total } else { 0.0 };
///     PairLosses { losses, mean, by_second: d.iter().map(|d| -d).collect(), by_first: d }
/// };
/// assert_eq!(pair_loss(&[Claim::ShiftInvariant], wrong).unwrap_err().law, "gradients are derivatives");
/// ```
pub fn pair_loss(claims: &[Claim], loss: impl Fn(&Pairs) -> PairLosses) -> Result<(), Broken> {
    for seed in 0..CASES {
        let mut random = Random::new(seed);
        let pairs = Pairs::draw(&mut random, 3.0);
        let n = pairs.first.len();
        let all = loss(&pairs);
        let scores = [pairs.first.clone(), pairs.second.clone()].concat();
        let of = |scores: &[f64]| {
            let (first, second) = (scores[..n].to_vec(), scores[n..].to_vec());
            loss(&Pairs { first, second, ..pairs.clone() }).losses.iter().sum::<f64>()
        };
        let gradient = [all.by_first.clone(), all.by_second.clone()].concat();
        at("gradients are derivatives", &pairs, check_gradient(of, &scores, &gradient))?;
        for row in 0..n {
            let apart = loss(&pairs.select(&[row]));
            at("pairs are apart", &pairs, same("loss", apart.losses[0], all.losses[row], TOLERANCE))?;
        }
        let weighted = all.losses.iter().zip(&pairs.weights).map(|(loss, weight)| loss * weight).sum::<f64>();
        let total: f64 = pairs.weights.iter().sum();
        let mean = if total > 0.0 { weighted / total } else { 0.0 };
        at("the mean is weighted", &pairs, same("mean", mean, all.mean, TOLERANCE))?;
        for claim in claims {
            pair_claim(*claim, &pairs, &all, &loss, &mut random)?;
        }
    }
    Ok(())
}

fn pair_claim(
    claim: Claim,
    pairs: &Pairs,
    all: &PairLosses,
    loss: &impl Fn(&Pairs) -> PairLosses,
    random: &mut Random,
) -> Result<(), Broken> {
    match claim {
        ShiftInvariant => {
            let moved = loss(&pairs.shifted(random.uniform(-20.0, 20.0)));
            at("shift invariance", pairs, same_column("losses", &all.losses, &moved.losses, TOLERANCE))?;
            let sum: Vec<f64> = all.by_first.iter().zip(&all.by_second).map(|(a, b)| a + b).collect();
            at("gradients of a pair add up to 0", pairs, same_column("sums", &vec![0.0; sum.len()], &sum, TOLERANCE))
        }
        Antisymmetric => {
            let swapped = loss(&pairs.swapped());
            at("antisymmetry", pairs, same_column("losses", &all.losses, &swapped.losses, TOLERANCE))?;
            at("antisymmetry", pairs, same_column("gradients", &all.by_first, &swapped.by_second, TOLERANCE))
        }
        LinearInTargets => {
            let n = pairs.targets.len();
            let judged = |targets: Vec<f64>| Pairs { targets, ties: vec![false; n], ..pairs.clone() };
            let [won, lost] = [1.0, 0.0].map(|t| loss(&judged(vec![t; n])).losses);
            let between = loss(&judged(pairs.targets.clone())).losses;
            let mean: Vec<f64> = pairs
                .targets
                .iter()
                .zip(won.iter().zip(&lost))
                .map(|(t, (won, lost))| t * won + (1.0 - t) * lost)
                .collect();
            at("soft targets are linear", pairs, same_column("losses", &mean, &between, TOLERANCE))
        }
        NotNegative => at("not negative", pairs, not_negative(&all.losses)),
        FiniteAtExtremes => {
            let n = pairs.targets.len();
            let sign = |x: &f64| 1e4 * x.signum();
            let (first, second) = (pairs.first.iter().map(sign).collect(), pairs.second.iter().map(sign).collect());
            let extreme = Pairs { first, second, weights: vec![1.0; n], ..pairs.clone() };
            let got = loss(&extreme);
            let numbers = [got.losses, got.by_first, got.by_second].concat();
            at("finite at extremes", &extreme, finite(&numbers))
        }
        // Of pairs, that is to be apart.
        PermutationInvariant => Ok(()),
    }
}

fn not_negative(numbers: &[f64]) -> Result<(), Disagreement> {
    match numbers.iter().all(|x| *x >= 0.0) {
        true => Ok(()),
        false => Err(Disagreement::new("numbers >= 0", format!("{numbers:?}"))),
    }
}

fn finite(numbers: &[f64]) -> Result<(), Disagreement> {
    match numbers.iter().all(|x| x.is_finite()) {
        true => Ok(()),
        false => Err(Disagreement::new("finite numbers", format!("{numbers:?}"))),
    }
}

/// Checks a model of outcomes, given as log-probabilities that the first of two scores wins, of a tie (−∞ without ties) and
/// that the second wins: they add up to 1, exchanging the scores exchanges them, only differences count, and the chance of
/// winning does not fall with the own score.
///
/// # Errors
/// The first law that does not hold.
///
/// # Example
/// ```
/// use accordant_laws::models::outcomes;
/// let logistic = |a: f64, b: f64| [-(b - a).exp().ln_1p(), f64::NEG_INFINITY, -(a - b).exp().ln_1p()];
/// outcomes(logistic)?;
/// let shifted = |a: f64, b: f64| logistic(a + 0.1, b);
/// assert_eq!(outcomes(shifted).unwrap_err().law, "exchanging the scores exchanges the chances");
/// # Ok::<(), accordant_laws::models::Broken>(())
/// ```
pub fn outcomes(model: impl Fn(f64, f64) -> [f64; 3]) -> Result<(), Broken> {
    for seed in 0..4 * CASES {
        let mut random = Random::new(seed);
        let (a, b, up) = (random.uniform(-3.0, 3.0), random.uniform(-3.0, 3.0), random.uniform(0.0, 1.0));
        let input = (a, b, up);
        let logs = model(a, b);
        let total = logs.iter().fold(0.0, |total, log| total + log.exp());
        at("chances add up to 1", &input, same("sum", 1.0, total, 1e-12))?;
        let swapped = model(b, a);
        let back = [swapped[2], swapped[1], swapped[0]];
        at("exchanging the scores exchanges the chances", &input, same_column("logs", &logs, &back, TOLERANCE))?;
        at("only differences count", &input, same_column("logs", &logs, &model(a + 2.5, b + 2.5), TOLERANCE))?;
        let better = model(a + up, b);
        let order = better[0] >= logs[0] - TOLERANCE && better[2] <= logs[2] + TOLERANCE;
        let fallen = || Disagreement::new("no smaller chance of a better first", format!("{logs:?} then {better:?}"));
        at("monotone in the score", &input, order.then_some(()).ok_or_else(fallen))?;
    }
    Ok(())
}

/// Ranked lists of up to `k` candidates.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Lists {
    /// Scores, one row of `k` for each list.
    pub scores: Vec<Vec<f64>>,
    /// Labels, larger is better; equal ones are ties.
    pub labels: Vec<Vec<f64>>,
    /// Which candidates are there; at least one of each list.
    pub present: Vec<Vec<bool>>,
    /// Weights.
    pub weights: Vec<f64>,
}

impl Lists {
    fn draw(random: &mut Random, size: f64, num_labels: usize) -> Self {
        let (n, k) = (1 + random.below(3), 2 + random.below(4));
        let mut lists = Self::default();
        for _ in 0..n {
            lists.scores.push((0..k).map(|_| random.uniform(-size, size)).collect());
            lists.labels.push((0..k).map(|_| random.below(num_labels) as f64).collect());
            let mut present: Vec<bool> = (0..k).map(|_| random.below(4) > 0).collect();
            present[random.below(k)] = true;
            lists.present.push(present);
            lists.weights.push(random.below(3) as f64);
        }
        lists
    }

    /// The lists, their candidates in another order.
    fn permuted(&self, order: &[usize]) -> Self {
        fn reorder<T: Copy>(rows: &[Vec<T>], order: &[usize]) -> Vec<Vec<T>> {
            rows.iter().map(|row| order.iter().map(|at| row[*at]).collect()).collect()
        }
        Self {
            scores: reorder(&self.scores, order),
            labels: reorder(&self.labels, order),
            present: reorder(&self.present, order),
            weights: self.weights.clone(),
        }
    }

    fn row(&self, row: usize) -> Self {
        Self {
            scores: vec![self.scores[row].clone()],
            labels: vec![self.labels[row].clone()],
            present: vec![self.present[row].clone()],
            weights: vec![self.weights[row]],
        }
    }

    /// Who was last is first.
    fn reversed(&self) -> Self {
        let negated = |rows: &[Vec<f64>]| rows.iter().map(|row| row.iter().map(|x| -x).collect()).collect();
        Self { scores: negated(&self.scores), labels: negated(&self.labels), ..self.clone() }
    }

    fn with_weights(&self, weight: impl Fn(f64) -> f64) -> Self {
        Self { weights: self.weights.iter().map(|own| weight(*own)).collect(), ..self.clone() }
    }

    /// These lists, and others below them.
    fn stacked(self, others: Self) -> Self {
        Self {
            scores: [self.scores, others.scores].concat(),
            labels: [self.labels, others.labels].concat(),
            present: [self.present, others.present].concat(),
            weights: [self.weights, others.weights].concat(),
        }
    }
}

/// What a loss of lists returns.
#[derive(Debug, Clone, PartialEq)]
pub struct ListLosses {
    /// One loss per list.
    pub losses: Vec<f64>,
    /// Their weighted mean; over the lists that say anything, where the loss knows some that do not.
    pub mean: f64,
    /// Derivatives of the sum of the losses by the scores, one row for each list.
    pub gradient: Vec<Vec<f64>>,
}

/// Checks a loss of lists: gradients are derivatives, lists say nothing about each other, an absent candidate says nothing,
/// weights are counts, and what is claimed. `num_labels`: how many different labels are drawn, fewer than candidates to have ties.
///
/// # Errors
/// The first law that does not hold.
pub fn list_loss(num_labels: usize, claims: &[Claim], loss: impl Fn(&Lists) -> ListLosses) -> Result<(), Broken> {
    for seed in 0..CASES {
        let mut random = Random::new(seed);
        let lists = Lists::draw(&mut random, 3.0, num_labels);
        let k = lists.scores[0].len();
        let all = loss(&lists);
        let flat = lists.scores.concat();
        let of = |scores: &[f64]| {
            let scores = scores.chunks(k).map(<[f64]>::to_vec).collect();
            loss(&Lists { scores, ..lists.clone() }).losses.iter().sum::<f64>()
        };
        at("gradients are derivatives", &lists, check_gradient(of, &flat, &all.gradient.concat()))?;
        for row in 0..lists.scores.len() {
            let apart = loss(&lists.row(row));
            at("lists are apart", &lists, same("loss", apart.losses[0], all.losses[row], TOLERANCE))?;
        }
        let mut other = lists.clone();
        for (row, present) in lists.present.iter().enumerate() {
            for (place, _) in present.iter().enumerate().filter(|(_, present)| !**present) {
                (other.scores[row][place], other.labels[row][place]) = (f64::NAN, random.uniform(-9.0, 9.0));
            }
        }
        let got = loss(&other);
        at("absent candidates say nothing", &lists, same_column("losses", &all.losses, &got.losses, TOLERANCE))?;
        let (before, after) = (all.gradient.concat(), got.gradient.concat());
        at("absent candidates say nothing", &lists, same_column("gradient", &before, &after, TOLERANCE))?;
        let mut halves = lists.clone();
        for row in (0..lists.scores.len()).step_by(2) {
            halves.weights[row] *= 0.25;
            halves = halves.stacked(lists.row(row).with_weights(|own| 0.75 * own));
        }
        at("weights are counts", &lists, same("mean", all.mean, loss(&halves).mean, TOLERANCE))?;
        let padded = lists.clone().stacked(lists.reversed().with_weights(|_| 0.0));
        at("what weighs nothing says nothing", &lists, same("mean", all.mean, loss(&padded).mean, TOLERANCE))?;
        for claim in claims {
            list_claim(*claim, &lists, &all, &loss, &mut random)?;
        }
    }
    Ok(())
}

fn list_claim(
    claim: Claim,
    lists: &Lists,
    all: &ListLosses,
    loss: &impl Fn(&Lists) -> ListLosses,
    random: &mut Random,
) -> Result<(), Broken> {
    match claim {
        ShiftInvariant => {
            let by = random.uniform(-20.0, 20.0);
            let scores = lists.scores.iter().map(|row| row.iter().map(|score| score + by).collect()).collect();
            let moved = loss(&Lists { scores, ..lists.clone() });
            at("shift invariance", lists, same_column("losses", &all.losses, &moved.losses, TOLERANCE))?;
            let sums: Vec<f64> = all.gradient.iter().map(|row| row.iter().sum()).collect();
            at("gradients of a list add up to 0", lists, same_column("sums", &vec![0.0; sums.len()], &sums, TOLERANCE))
        }
        PermutationInvariant => {
            let order = random.permutation(lists.scores[0].len());
            let permuted = loss(&lists.permuted(&order));
            at("permutation", lists, same_column("losses", &all.losses, &permuted.losses, TOLERANCE))
        }
        NotNegative => at("not negative", lists, not_negative(&all.losses)),
        FiniteAtExtremes => {
            let sign = |x: &f64| 1e4 * x.signum();
            let scores = lists.scores.iter().map(|row| row.iter().map(sign).collect()).collect();
            let extreme = Lists { scores, ..lists.clone() };
            let got = loss(&extreme);
            at("finite at extremes", &extreme, finite(&[got.losses, got.gradient.concat()].concat()))
        }
        Antisymmetric => {
            let reversed = loss(&lists.reversed());
            at("antisymmetry", lists, same_column("losses", &all.losses, &reversed.losses, TOLERANCE))?;
            let negated: Vec<f64> = reversed.gradient.concat().iter().map(|slope| -slope).collect();
            at("antisymmetry", lists, same_column("gradients", &all.gradient.concat(), &negated, TOLERANCE))
        }
        // A law of pairs.
        LinearInTargets => Ok(()),
    }
}

/// Checks that a loss of lists of two candidates is a loss of judged pairs, in its values, its mean and its gradient.
/// `target` says what share of the first side a difference of labels stands for.
///
/// # Errors
/// The first lists on which they differ.
pub fn lists_of_two(
    target: impl Fn(f64) -> f64,
    lists: impl Fn(&Lists) -> ListLosses,
    pairs: impl Fn(&Pairs) -> PairLosses,
) -> Result<(), Broken> {
    for seed in 0..CASES {
        let mut random = Random::new(seed);
        let drawn = Pairs::draw(&mut random, 3.0);
        let n = drawn.first.len();
        let labels: Vec<Vec<f64>> = (0..n).map(|_| (0..2).map(|_| random.uniform(-2.0, 2.0)).collect()).collect();
        let targets = labels.iter().map(|labels| target(labels[0] - labels[1])).collect();
        let judged = Pairs { targets, ties: vec![false; n], ..drawn };
        let scores = judged.first.iter().zip(&judged.second).map(|(first, second)| vec![*first, *second]).collect();
        let ranked = Lists { scores, labels, present: vec![vec![true; 2]; n], weights: judged.weights.clone() };
        let (expected, got) = (pairs(&judged), lists(&ranked));
        let law = "lists of two are judged pairs";
        at(law, &ranked, same_column("losses", &expected.losses, &got.losses, TOLERANCE))?;
        at(law, &ranked, same("mean", expected.mean, got.mean, TOLERANCE))?;
        let slopes: Vec<f64> = expected.by_first.iter().zip(&expected.by_second).flat_map(|(a, b)| [*a, *b]).collect();
        at(law, &ranked, same_column("gradient", &slopes, &got.gradient.concat(), TOLERANCE))?;
    }
    Ok(())
}

/// Checks that the chances of all orders of up to four items add up to 1, and that a shift of the scores changes none.
/// `log_prob` gets the scores and the order, best first.
///
/// # Errors
/// The first law that does not hold.
///
/// # Example
/// ```
/// use accordant_laws::models::rankings;
/// let uniform = |scores: &[f64], _: &[usize]| -(1..=scores.len()).map(|n| (n as f64).ln()).sum::<f64>();
/// rankings(uniform)?;
/// assert_eq!(rankings(|_, _| -1.0).unwrap_err().law, "chances of all orders add up to 1");
/// # Ok::<(), accordant_laws::models::Broken>(())
/// ```
pub fn rankings(log_prob: impl Fn(&[f64], &[usize]) -> f64) -> Result<(), Broken> {
    for seed in 0..CASES {
        let mut random = Random::new(seed);
        let len = 1 + random.below(4);
        let scores: Vec<f64> = (0..len).map(|_| random.uniform(-3.0, 3.0)).collect();
        let moved: Vec<f64> = scores.iter().map(|score| score - 7.5).collect();
        let mut total = 0.0;
        for order in orders(len) {
            let log = log_prob(&scores, &order);
            at("shift invariance", &(&scores, &order), same("log", log, log_prob(&moved, &order), TOLERANCE))?;
            total += log.exp();
        }
        at("chances of all orders add up to 1", &scores, same("sum", 1.0, total, 1e-12))?;
    }
    Ok(())
}

/// All orders of `0..len`.
pub fn orders(len: usize) -> Vec<Vec<usize>> {
    let mut all = vec![Vec::new()];
    for item in 0..len {
        let longer = |order: &Vec<usize>| {
            (0..=order.len()).map(|place| [&order[..place], &[item], &order[place..]].concat()).collect::<Vec<_>>()
        };
        all = all.iter().flat_map(longer).collect();
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn softplus(x: f64) -> f64 {
        x.max(0.0) + (-x.abs()).exp().ln_1p()
    }

    fn sigmoid(x: f64) -> f64 {
        1.0 / (1.0 + (-x).exp())
    }

    /// A mistake that a law must report.
    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Mistake {
        None,
        Gradient,
        Neighbor,
        Unweighted,
        Level,
        Side,
        Rounded,
        Negative,
        Overflow,
        Absent,
        Order,
    }

    fn logistic(mistake: Mistake) -> impl Fn(&Pairs) -> PairLosses {
        move |pairs| {
            let (mut losses, mut by_first, mut by_second) = (vec![], vec![], vec![]);
            for row in 0..pairs.first.len() {
                let (a, b) = (pairs.first[row], pairs.second[row]);
                let t = if pairs.ties[row] { 0.5 } else { pairs.targets[row] };
                let t = if mistake == Mistake::Rounded { t.round() } else { t };
                let d = a - b;
                let slope = sigmoid(d) - t;
                let (mut loss, mut da, mut db) = (softplus(d) - t * d, slope, -slope);
                match mistake {
                    Mistake::Gradient => da *= 1.0 + 1e-6,
                    Mistake::Neighbor => loss += 1e-3 * row as f64,
                    Mistake::Level => {
                        loss += 1e-3 * (a + b).powi(2);
                        (da, db) = (da + 2e-3 * (a + b), db + 2e-3 * (a + b));
                    }
                    Mistake::Side => {
                        loss += 1e-3 * d;
                        (da, db) = (da + 1e-3, db - 1e-3);
                    }
                    Mistake::Negative => loss -= 2.0,
                    Mistake::Overflow => loss = (d.exp() + 1.0).ln() - t * d,
                    _ => {}
                }
                losses.push(loss);
                by_first.push(da);
                by_second.push(db);
            }
            let weight = |row: usize| if mistake == Mistake::Unweighted { 1.0 } else { pairs.weights[row] };
            let total: f64 = (0..losses.len()).map(weight).sum();
            let sum: f64 = losses.iter().enumerate().map(|(row, loss)| loss * weight(row)).sum();
            PairLosses { losses, mean: if total > 0.0 { sum / total } else { 0.0 }, by_first, by_second }
        }
    }

    const PAIR_CLAIMS: [Claim; 5] = [ShiftInvariant, Antisymmetric, LinearInTargets, NotNegative, FiniteAtExtremes];

    #[test]
    fn planted_mistakes_in_a_loss_of_pairs_are_reported() {
        pair_loss(&PAIR_CLAIMS, logistic(Mistake::None)).unwrap();
        for (mistake, claims, law) in [
            (Mistake::Gradient, &PAIR_CLAIMS[..], "gradients are derivatives"),
            (Mistake::Neighbor, &PAIR_CLAIMS, "pairs are apart"),
            (Mistake::Unweighted, &PAIR_CLAIMS, "the mean is weighted"),
            (Mistake::Level, &[ShiftInvariant], "shift invariance"),
            (Mistake::Side, &[Antisymmetric], "antisymmetry"),
            (Mistake::Rounded, &[LinearInTargets], "soft targets are linear"),
            (Mistake::Negative, &[NotNegative], "not negative"),
            (Mistake::Overflow, &[FiniteAtExtremes], "finite at extremes"),
        ] {
            assert_eq!(pair_loss(claims, logistic(mistake)).unwrap_err().law, law, "{mistake:?}");
        }
    }

    /// Choices of the best labels among all that are there: listwise softmax.
    fn best_choice(mistake: Mistake) -> impl Fn(&Lists) -> ListLosses {
        move |lists| {
            let (mut losses, mut gradient) = (vec![], vec![]);
            for row in 0..lists.scores.len() {
                let there: Vec<usize> = (0..lists.scores[row].len())
                    .filter(|at| lists.present[row][*at] || mistake == Mistake::Absent)
                    .collect();
                let score = |at: &usize| lists.scores[row][*at];
                let best = there.iter().map(|at| lists.labels[row][*at]).fold(f64::MIN, f64::max);
                let chosen: Vec<usize> = there.iter().copied().filter(|at| lists.labels[row][*at] == best).collect();
                let chosen = if mistake == Mistake::Order { &chosen[..1] } else { &chosen[..] };
                let max = there.iter().map(score).fold(f64::MIN, f64::max);
                let max = if mistake == Mistake::Overflow { 0.0 } else { max };
                let total: f64 = there.iter().map(|at| (score(at) - max).exp()).sum();
                let share = 1.0 / chosen.len() as f64;
                let loss = max + total.ln() - chosen.iter().map(score).sum::<f64>() * share;
                let level = if mistake == Mistake::Level { 0.1 } else { 0.0 };
                losses.push(
                    loss + level * there.iter().map(score).sum::<f64>()
                        + if mistake == Mistake::Neighbor { 1e-3 * row as f64 } else { 0.0 }
                        - if mistake == Mistake::Negative { 1.0 } else { 0.0 },
                );
                let mut slopes = vec![0.0; lists.scores[row].len()];
                for at in &there {
                    slopes[*at] = (score(at) - max).exp() / total + level;
                }
                chosen.iter().for_each(|at| slopes[*at] -= share);
                slopes[there[0]] += if mistake == Mistake::Gradient { 1e-6 } else { 0.0 };
                gradient.push(slopes);
            }
            let weight = |row: usize| if mistake == Mistake::Unweighted { 1.0 } else { lists.weights[row] };
            let total: f64 = (0..losses.len()).map(weight).sum();
            let sum: f64 = losses.iter().enumerate().map(|(row, loss)| loss * weight(row)).sum();
            ListLosses { losses, mean: if total > 0.0 { sum / total } else { 0.0 }, gradient }
        }
    }

    #[test]
    fn planted_mistakes_in_a_loss_of_lists_are_reported() {
        let claims = [ShiftInvariant, PermutationInvariant, NotNegative, FiniteAtExtremes];
        list_loss(3, &claims, best_choice(Mistake::None)).unwrap();
        for (mistake, claims, law) in [
            (Mistake::Gradient, &claims[..], "gradients are derivatives"),
            (Mistake::Neighbor, &claims, "lists are apart"),
            (Mistake::Absent, &claims, "absent candidates say nothing"),
            (Mistake::Level, &[ShiftInvariant], "shift invariance"),
            (Mistake::Unweighted, &claims, "weights are counts"),
            (Mistake::Order, &[PermutationInvariant], "permutation"),
            (Mistake::Negative, &[NotNegative], "not negative"),
            (Mistake::Overflow, &[FiniteAtExtremes], "finite at extremes"),
            // A choice of the best is no choice of the worst.
            (Mistake::None, &[Antisymmetric], "antisymmetry"),
        ] {
            assert_eq!(list_loss(3, claims, best_choice(mistake)).unwrap_err().law, law, "{mistake:?}");
        }
    }

    #[test]
    fn lists_that_are_counted_by_their_number_are_reported() {
        let best = best_choice(Mistake::None);
        // By weights, over the number of lists.
        let by_number = |lists: &Lists| {
            let own = best(lists);
            let mean = own.losses.iter().zip(&lists.weights).map(|(loss, weight)| loss * weight).sum::<f64>();
            ListLosses { mean: mean / own.losses.len() as f64, ..own }
        };
        assert_eq!(list_loss(3, &[], by_number).unwrap_err().law, "weights are counts");
        // Halves of lists do not show that those which weigh nothing are looked at.
        let silent = |lists: &Lists| {
            let own = best(lists);
            let none = lists.weights.iter().filter(|weight| **weight == 0.0).count();
            let mean = if 2 * none >= lists.weights.len() { 0.5 } else { own.mean };
            ListLosses { mean, ..own }
        };
        assert_eq!(list_loss(3, &[], silent).unwrap_err().law, "what weighs nothing says nothing");
    }

    #[test]
    fn planted_mistakes_in_lists_of_two_are_reported() {
        let won = |lead: f64| if lead > 0.0 { 1.0 } else { 0.0 };
        lists_of_two(won, best_choice(Mistake::None), logistic(Mistake::None)).unwrap();
        for mistake in [Mistake::Gradient, Mistake::Neighbor, Mistake::Unweighted, Mistake::Level] {
            let error = lists_of_two(won, best_choice(mistake), logistic(Mistake::None)).unwrap_err();
            assert_eq!(error.law, "lists of two are judged pairs", "{mistake:?}");
        }
        // The worst is chosen.
        lists_of_two(|lead| 1.0 - won(lead), best_choice(Mistake::None), logistic(Mistake::None)).unwrap_err();
    }

    #[test]
    fn planted_mistakes_in_chances_are_reported() {
        let rao_kupper = |a: f64, b: f64| {
            let (first, second): (f64, f64) = (-softplus(b - a + 1.0), -softplus(a - b + 1.0));
            [first, (1.0 - first.exp() - second.exp()).ln(), second]
        };
        outcomes(rao_kupper).unwrap();
        let law = |model: &dyn Fn(f64, f64) -> [f64; 3]| outcomes(model).unwrap_err().law;
        assert_eq!(law(&|a, b| rao_kupper(a, b).map(|log| log + 1e-9)), "chances add up to 1");
        assert_eq!(law(&|a, b| rao_kupper(a + 1e-6, b)), "exchanging the scores exchanges the chances");
        assert_eq!(law(&|a, b| rao_kupper(2.0 * a.tanh(), 2.0 * b.tanh())), "only differences count");
        assert_eq!(law(&|a, b| rao_kupper(b, a)), "monotone in the score");
    }

    #[test]
    fn a_report_says_everything() {
        let broken = rankings(|_, _| 0.0f64.ln()).unwrap_err();
        let text = broken.to_string();
        assert!(text.starts_with("breaks the law \"chances of all orders add up to 1\"\nexpected: sum 1\ngot:      0"));
        let level = rankings(|scores, order| order.iter().map(|at| scores[*at]).sum()).unwrap_err();
        assert_eq!(level.law, "shift invariance");
        assert_eq!(orders(3).len(), 6);
        assert_eq!(orders(2), [[1, 0], [0, 1]]);
    }
}
