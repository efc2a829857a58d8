//! Bradley-Terry strengths `p = exp(score)` and the counts that they are fitted to, as the iterations see them.

use super::{Gauge, Ranking};
use crate::{Error, Report, Result, WinMatrix, comparisons::Ties, graph::check_connected};

/// Wins, with ties made into wins, in rows and in columns: iterations run through both.
pub(super) struct Dense {
    pub n: usize,
    /// `wins[i n + j]`: how often `i` beat `j`.
    pub wins: Vec<f64>,
    /// `losses[i n + j]`: how often `j` beat `i`.
    pub losses: Vec<f64>,
    pub halved_ties: f64,
    pub unobserved: Vec<usize>,
}

impl Dense {
    /// The counts of a table that has a maximum of the likelihood, or needs none.
    pub fn new(matrix: &WinMatrix, ties: Ties, model: &'static str, connected: bool) -> Result<Self> {
        if ties == Ties::Refuse {
            matrix.decided(ties, model)?;
        }
        if connected {
            // Half a win each way connects as a tie does.
            match ties {
                Ties::Drop => check_connected(&matrix.decided(ties, model)?)?,
                _ => check_connected(matrix)?,
            }
        }
        let n = matrix.num_items();
        let half = if ties == Ties::Half { 0.5 } else { 0.0 };
        let mut wins = Vec::with_capacity(n * n);
        for i in 0..n {
            wins.extend(matrix.win_row(i).iter().zip(matrix.tie_row(i)).map(|(win, tie)| win + half * tie));
        }
        let mut losses = vec![0.0; n * n];
        for (i, row) in wins.chunks_exact(n.max(1)).enumerate() {
            row.iter().enumerate().for_each(|(j, win)| losses[j * n + i] = *win);
        }
        let unobserved = if connected { Vec::new() } else { matrix.decided(ties, model)?.unobserved() };
        Ok(Self { n, wins, losses, halved_ties: ties.halved(matrix), unobserved })
    }

    pub fn rows(&self, i: usize) -> (&[f64], &[f64]) {
        (&self.wins[i * self.n..][..self.n], &self.losses[i * self.n..][..self.n])
    }

    pub fn total_wins(&self, i: usize) -> f64 {
        self.rows(i).0.iter().sum()
    }

    /// In nats.
    pub fn log_likelihood(&self, strengths: &[f64]) -> f64 {
        let mut total = 0.0;
        for (i, p) in strengths.iter().enumerate() {
            let (wins, losses) = self.rows(i);
            let mut won = 0.0;
            for j in 0..i {
                let met = wins[j] + losses[j];
                if met > 0.0 {
                    total -= met * (p + strengths[j]).ln();
                }
            }
            wins.iter().for_each(|win| won += win);
            total += won * p.ln();
        }
        total
    }

    /// The largest absolute derivative of the log-likelihood by a score.
    pub fn gradient_norm(&self, strengths: &[f64]) -> f64 {
        let derivative = |(i, p): (usize, &f64)| -> f64 {
            let (wins, losses) = self.rows(i);
            let terms = strengths.iter().zip(wins).zip(losses).map(|((q, w), l)| (w * q - l * p) / (p + q));
            terms.sum::<f64>().abs()
        };
        strengths.iter().enumerate().map(derivative).fold(0.0, |largest, x| match x.is_nan() {
            true => f64::INFINITY,
            false => f64::max(largest, x),
        })
    }

    /// The ranking of these strengths; [`Error::Separable`] where their logarithms are beyond the range of numbers.
    pub fn ranking(self, strengths: &[f64], gauge: Gauge, converged: bool, iterations: usize) -> Result<Ranking> {
        let log_likelihood = self.log_likelihood(strengths);
        let gradient_norm = self.gradient_norm(strengths);
        let mut scores: Vec<f64> = strengths.iter().map(|p| p.ln()).collect();
        if !scores.iter().all(|score| score.is_finite()) {
            return Err(Error::Separable { name: "strengths" });
        }
        gauge.fix(&mut scores)?;
        let report = Report { converged, iterations, objective: -log_likelihood, gradient_norm };
        let Self { halved_ties, unobserved, .. } = self;
        Ok(Ranking { scores, ties: None, log_likelihood, report, order_dependent: false, unobserved, halved_ties })
    }
}

/// Repeats `step` on strengths from 1 on, divided by their geometric mean after each, until no logarithm moves by
/// `tolerance`; returns the strengths, whether they stood still, and the number of steps.
pub(super) fn iterate(
    n: usize,
    tolerance: f64,
    max_iterations: usize,
    mut step: impl FnMut(&mut [f64]),
) -> (Vec<f64>, bool, usize) {
    let mut strengths = vec![1.0; n];
    let mut logs = vec![0.0; n];
    for iteration in 1..=max_iterations {
        step(&mut strengths);
        let change = center(&mut strengths, &mut logs);
        // A NaN is no convergence.
        if change < tolerance {
            return (strengths, true, iteration);
        }
    }
    (strengths, false, max_iterations)
}

/// Divides strengths by their geometric mean; writes their logarithms and returns by how much these have changed.
pub(super) fn center(strengths: &mut [f64], logs: &mut [f64]) -> f64 {
    let mean = strengths.iter().map(|p| p.ln()).sum::<f64>() / strengths.len() as f64;
    let scale = (-mean).exp();
    let mut change: f64 = 0.0;
    for (p, log) in strengths.iter_mut().zip(logs) {
        *p *= scale;
        let new = p.ln();
        let moved = (new - *log).abs();
        change = if moved.is_nan() { f64::INFINITY } else { change.max(moved) };
        *log = new;
    }
    change
}
