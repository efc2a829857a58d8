//! Tabular policies: a distribution over actions for each context or state.

use rand::Rng;

use super::{check, check_number, check_table};
use crate::Result;

/// Log-probabilities of actions, in nats, one row per context or state.
///
/// # Example
/// ```
/// use accordant_data::solvable::Policy;
/// let policy = Policy::from_logits(&[vec![0.0, 3f64.ln()]])?;
/// assert!((policy.probs()[0][1] - 0.75).abs() < 1e-15);
/// # Ok::<(), accordant_data::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    log_probs: Vec<Vec<f64>>,
}

impl Policy {
    /// `π(a) = exp(logit_a) / Σ_b exp(logit_b)` in each row.
    ///
    /// # Errors
    /// A domain error naming `logits`: no row, no action, rows of different lengths, or a number beyond ±1e100.
    pub fn from_logits(logits: &[Vec<f64>]) -> Result<Self> {
        check_table("logits", logits)?;
        Ok(Self { log_probs: logits.iter().map(|row| normalized(row.clone())).collect() })
    }

    /// The policy of these probabilities, which are ≥ 0 and sum to 1 in each row to within 1e-9; they are divided by
    /// their sum. An action of probability 0 has the log-probability −∞.
    ///
    /// # Errors
    /// A domain error naming `probs`.
    pub fn from_probs(probs: &[Vec<f64>]) -> Result<Self> {
        check_table("probs", probs)?;
        for row in probs {
            for &prob in row {
                check(prob >= 0.0, "probs", ">= 0", prob)?;
            }
            let total: f64 = row.iter().sum();
            check((total - 1.0).abs() <= 1e-9, "probs", "a sum of 1 in each row", total)?;
        }
        let log_row = |row: &Vec<f64>| normalized(row.iter().map(|prob| prob.ln()).collect());
        Ok(Self { log_probs: probs.iter().map(log_row).collect() })
    }

    /// Logits drawn uniformly from `[-scale, scale]`, a policy to compare with or to start from.
    ///
    /// # Errors
    /// Domain errors naming `rows`, `actions` or `scale`.
    pub fn random(rows: usize, actions: usize, scale: f64, rng: &mut impl Rng) -> Result<Self> {
        super::check_size("rows", rows, actions)?;
        super::check_size("actions", actions, rows)?;
        check_number("scale", scale)?;
        let mut row = || (0..actions).map(|_| scale * (2.0 * rng.random::<f64>() - 1.0)).collect();
        Self::from_logits(&(0..rows).map(|_| row()).collect::<Vec<_>>())
    }

    pub(super) fn of_log_probs(log_probs: Vec<Vec<f64>>) -> Self {
        Self { log_probs }
    }

    /// Number of contexts or states.
    pub fn rows(&self) -> usize {
        self.log_probs.len()
    }

    /// Number of actions.
    pub fn actions(&self) -> usize {
        self.log_probs[0].len()
    }

    /// `log π`, which serves as logits as well.
    pub fn log_probs(&self) -> &[Vec<f64>] {
        &self.log_probs
    }

    /// `π`.
    pub fn probs(&self) -> Vec<Vec<f64>> {
        self.log_probs.iter().map(|row| row.iter().map(|logp| logp.exp()).collect()).collect()
    }

    /// Draws an action of a row; never one of probability 0.
    ///
    /// # Errors
    /// A domain error when there is no such row.
    ///
    /// # Example
    /// ```
    /// use accordant_data::{order::{Purpose, stream}, solvable::Policy};
    /// let policy = Policy::from_probs(&[vec![0.0, 1.0]])?;
    /// assert_eq!(policy.sample(0, &mut stream(7, Purpose::Actions, 0))?, 1);
    /// # Ok::<(), accordant_data::Error>(())
    /// ```
    pub fn sample(&self, row: usize, rng: &mut impl Rng) -> Result<usize> {
        check(row < self.rows(), "row", "below the number of rows", row as f64)?;
        let mut left = rng.random::<f64>();
        let row = &self.log_probs[row];
        let drawn = row.iter().position(|logp| {
            left -= logp.exp();
            left < 0.0
        });
        // Rounding can leave a crumb after the last action: take the likeliest instead of one of probability 0.
        let likeliest = || (0..row.len()).max_by(|a, b| row[*a].total_cmp(&row[*b]));
        Ok(drawn.or_else(likeliest).expect("a row has an action"))
    }

    pub(super) fn check_shape(&self, name: &'static str, rows: usize, actions: usize) -> Result<()> {
        check(self.rows() == rows, name, "a row for each context or state", self.rows() as f64)?;
        check(self.actions() == actions, name, "as many actions as there are", self.actions() as f64)
    }

    /// Checks that no action is excluded: a KL to this policy is then finite.
    pub(super) fn check_support(&self, name: &'static str) -> Result<()> {
        let lowest = self.log_probs.iter().flatten().copied().fold(f64::INFINITY, f64::min);
        check(lowest.is_finite(), name, "a probability > 0 of each action", 0.0)
    }
}

/// `log Σ exp(x)`. `accordant_ops` has it on tensors; this module works without them.
pub(super) fn log_total(values: &[f64]) -> f64 {
    let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if max.is_infinite() {
        return max;
    }
    let total = values.iter().fold(0.0, |total, value| total + (value - max).exp());
    max + total.ln()
}

/// Log-probabilities from unnormalized ones.
pub(super) fn normalized(mut row: Vec<f64>) -> Vec<f64> {
    // Twice, because the largest logit may be so large that it swallows the logarithm of the total.
    for _ in 0..2 {
        let total = log_total(&row);
        row.iter_mut().for_each(|value| *value -= total);
    }
    row
}

/// `Σ_a π(a) f(a)`, where an action that is never taken counts nothing, whatever its `f`.
pub(super) fn expectation(log_probs: &[f64], f: impl Fn(usize) -> f64) -> f64 {
    let term = |(action, logp): (usize, &f64)| match logp.exp() {
        0.0 => 0.0,
        prob => prob * f(action),
    };
    log_probs.iter().enumerate().map(term).sum()
}

/// `KL(π ‖ ref)` of one row, in nats.
pub(super) fn kl(log_probs: &[f64], reference: &[f64]) -> f64 {
    expectation(log_probs, |action| log_probs[action] - reference[action])
}

/// How far each value is below the largest, and the largest.
pub(super) fn below_best(values: &[f64]) -> (Vec<f64>, f64) {
    let best = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (values.iter().map(|value| best - value).collect(), best)
}

/// The reference tilted away from bad actions: `log π(a) = log ref(a) − slope·below(a) − log Z`, and `log Z ≤ 0`. The
/// slope may be infinite: the reference's shares of the best actions.
pub(super) fn tilted(reference: &[f64], below: &[f64], slope: f64) -> (Vec<f64>, f64) {
    let fall = |below: f64| if below == 0.0 { 0.0 } else { below * slope };
    let row: Vec<f64> = reference.iter().zip(below).map(|(logp, below)| logp - fall(*below)).collect();
    // The exact loss of mass where it is small: with a slope of 1e-20, `log_total` of the row is rounding only.
    let change = expectation(reference, |action| (-fall(below[action])).exp_m1());
    let total = if change > -0.5 { change.ln_1p() } else { log_total(&row) };
    (normalized(row), total)
}

/// `π*(a) ∝ ref(a) exp(value(a)/β)` in logs, and `β log Σ ref(a) exp(value(a)/β)`; `beta` 0 gives their limits.
pub(super) fn soft_best(reference: &[f64], values: &[f64], beta: f64) -> (Vec<f64>, f64) {
    let (below, best) = below_best(values);
    let (row, total) = tilted(reference, &below, 1.0 / beta);
    (row, best + beta * total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::{Purpose, stream};

    #[test]
    fn extreme_logits_are_probabilities() {
        let policy = Policy::from_logits(&[vec![1e100, 1e100, -1e100], vec![0.0, -800.0, -1e4]]).unwrap();
        assert_eq!(policy.probs(), [[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]]);
        assert_eq!(policy.log_probs()[1], [0.0, -800.0, -1e4]);
    }

    #[test]
    fn tables_that_are_none_are_errors_by_name() {
        let message = |table: &[Vec<f64>]| Policy::from_logits(table).unwrap_err().to_string();
        assert_eq!(message(&[]), "`logits`: expected at least one row, got 0");
        assert_eq!(message(&[vec![]]), "`logits`: expected at least one action, got 0");
        assert_eq!(message(&[vec![0.0], vec![0.0, 1.0]]), "`logits`: expected rows of one length, got 2");
        assert!(message(&[vec![f64::NAN]]).starts_with("`logits`: expected finite"));
        let probs = |row: &[f64]| Policy::from_probs(&[row.to_vec()]).unwrap_err().to_string();
        assert_eq!(probs(&[0.5, 0.25]), "`probs`: expected a sum of 1 in each row, got 0.75");
        assert_eq!(probs(&[1.5, -0.5]), "`probs`: expected >= 0, got -0.5");
        let random = |rows, actions| {
            Policy::random(rows, actions, 1.0, &mut stream(0, Purpose::Actions, 0)).unwrap_err().to_string()
        };
        assert_eq!(random(0, 2), "`rows`: expected at least 1, got 0");
        assert!(random(2, usize::MAX).contains("1e6"));
    }

    #[test]
    fn samples_have_their_probabilities() {
        let policy = Policy::from_probs(&[vec![0.2, 0.0, 0.8]]).unwrap();
        let mut rng = stream(3, Purpose::Actions, 0);
        let mut counts = [0; 3];
        for _ in 0..10_000 {
            counts[policy.sample(0, &mut rng).unwrap()] += 1;
        }
        // Four standard errors of a share of 0.2 among 10 000 are 160: false alarm 6e-5, and the seed is fixed.
        assert!((counts[0] - 2000i32).abs() < 160 && counts[1] == 0, "{counts:?}");
        assert!(policy.sample(1, &mut rng).unwrap_err().to_string().starts_with("`row`"));
    }

    #[test]
    fn the_soft_best_by_hand() {
        // ref = (1/3, 2/3), values (0, ln 2), β = 1: weights 1/3 and 4/3, so π* = (1/5, 4/5) and the value is ln(5/3).
        let (row, value) = soft_best(&[-(3f64.ln()), (2.0 / 3.0f64).ln()], &[0.0, 2f64.ln()], 1.0);
        assert!((row[0].exp() - 0.2).abs() < 1e-15 && (value - (5.0 / 3.0f64).ln()).abs() < 1e-15);
        // Without a KL term: the better one. With nothing else: the reference.
        let (row, value) = soft_best(&[0.5f64.ln(); 2], &[-1e100, 1e100], 0.0);
        assert_eq!((row, value), (vec![f64::NEG_INFINITY, 0.0], 1e100));
        let (row, value) = soft_best(&[0.5f64.ln(); 2], &[3.0, 1.0], 1e100);
        assert!((row[0] - 0.5f64.ln()).abs() < 1e-15 && value == 2.0, "{value}");
    }
}
