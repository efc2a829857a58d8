//! Scores from the graph of who beat whom: PageRank and the eigenvector.
//!
//! **Paper:** The PageRank Citation Ranking: Bringing Order to the Web (L. Page, S. Brin, R. Motwani, T. Winograd, 1999);
//! An Iteration Technique for Nonnegative Matrices (T. Noda, 1971) for the eigenvector.
//! **Use when:** wins over strong items shall count for more without a model of chances.
//! **Checked by:** published figures of five items, golden numbers (evalica).
//! **Deviations:** PageRank is solved directly. evalica's eigenvector is that of [`WinMatrix::reversed`], where losers score
//! high.

use accordant_ops::check_domain;
use burn::config::Config;
use nalgebra::{DMatrix, DVector};

use super::{chain::stationary, strengths::Dense};
use crate::{Error, Result, WinMatrix, comparisons::Ties, error::check_finite};

/// Configuration of PageRank.
///
/// ```text
/// A_ij = H_ji / Σ_k H_ki, 1/n for all j where i has never lost;  s = s (d A + (1 − d) / n)
/// ```
/// Losers link to winners; `H` holds wins and half of the ties.
#[derive(Config, Debug, PartialEq)]
pub struct PageRankConfig {
    /// How likely a link is followed, in [0, 1). 0.85: the usual one.
    #[config(default = 0.85)]
    pub damping: f64,
    /// What becomes of ties.
    #[config(default = "Ties::Half")]
    pub ties: Ties,
}

impl PageRankConfig {
    /// The share of time spent at each item; they add up to 1. Items need not be connected.
    ///
    /// # Errors
    /// A domain error naming a field; [`Error::Empty`] for a table without items; [`Error::Ties`] when there are ties and
    /// they are refused.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::{Comparisons, ranking::PageRankConfig};
    /// let mut judged = Comparisons::new(2);
    /// judged.push_win(0, 1, 1.0)?;
    /// // From 1 always to 0 or at random, from 0 anywhere: s0 = 0.925 s1 + 0.5 s0.
    /// let shares = PageRankConfig::new().shares(&judged.wins())?;
    /// assert!((shares[0] - 0.925 / 1.425).abs() < 1e-15);
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn shares(&self, matrix: &WinMatrix) -> Result<Vec<f64>> {
        check_domain((0.0..1.0).contains(&self.damping), "damping", "in [0, 1)", self.damping)?;
        let table = Dense::new(matrix, self.ties, "pagerank", false)?;
        let n = table.n;
        if n == 0 {
            return Err(Error::Empty { name: "items", reason: "there is none" });
        }
        let even = 1.0 / n as f64;
        let mut rates = Vec::with_capacity(n * n);
        for i in 0..n {
            let (_, lost) = table.rows(i);
            let total: f64 = lost.iter().sum();
            let link = |lost: &f64| if total > 0.0 { lost / total } else { even };
            rates.extend(lost.iter().map(|lost| self.damping * link(lost) + (1.0 - self.damping) * even));
        }
        Ok(stationary(rates, n).expect("every item is reached from every other"))
    }
}

/// The positive eigenvector of wins and half-ties, with sum of squares 1: an item's score is in proportion to the sum of the
/// scores of the items that it beat, as often as it beat them.
///
/// # Errors
/// [`Error::NotIdentifiable`] when the comparisons do not connect all items; [`Error::NotFinite`] when counts are so small or
/// so unlike that the eigenvector is lost.
///
/// # Example
/// ```
/// use accordant_preference::{Comparisons, ranking::centrality::eigenvector};
/// let mut judged = Comparisons::new(2);
/// judged.push_win(0, 1, 4.0)?;
/// judged.push_win(1, 0, 1.0)?;
/// // [[0, 4], [1, 0]] has eigenvalue 2 and eigenvector (2, 1).
/// let scores = eigenvector(&judged.wins())?;
/// assert!((scores[0] - 2.0 / 5f64.sqrt()).abs() < 1e-15);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn eigenvector(matrix: &WinMatrix) -> Result<Vec<f64>> {
    let table = Dense::new(matrix, Ties::Half, "eigenvector", true)?;
    let n = table.n;
    let wins = DMatrix::from_row_slice(n, n, &table.wins);
    let mut scores = DVector::from_element(n, 1.0);
    // Noda's iteration: positive throughout and quadratic, where powers of the matrix may go round in a circle.
    let mut spread = f64::INFINITY;
    for _ in 0..100 {
        let image = &wins * &scores;
        let ratios = image.component_div(&scores);
        let (high, gap) = (ratios.max(), ratios.max() - ratios.min());
        // At rounding it no longer gets better.
        if gap >= spread {
            break;
        }
        spread = gap;
        let Some(next) = (DMatrix::identity(n, n) * high - &wins).lu().solve(&scores) else { break };
        if !next.iter().all(|score| *score > 0.0 && score.is_finite()) {
            break;
        }
        scores = next.normalize();
    }
    let scores = scores.normalize();
    check_finite("eigenvector", &scores)?;
    Ok(scores.as_slice().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ranking::fixtures::{close, five, four, random, unconnected};

    #[test]
    fn five_items_as_published() {
        let matrix = five().wins();
        let expected = [0.6955953826, 0.4177536241, 0.4195816295, 0.2806190747, 0.2946746756];
        close(&eigenvector(&matrix.reversed()).unwrap(), &expected, 1e-9);
        let expected = [0.1328004100, 0.1540508971, 0.1624027767, 0.2779483968, 0.2727975195];
        close(&PageRankConfig::new().shares(&matrix).unwrap(), &expected, 1e-9);
    }

    #[test]
    fn the_eigenvector_is_one() {
        for seed in 0..4 {
            let matrix = random(12, seed).wins();
            let table = Dense::new(&matrix, Ties::Half, "", true).unwrap();
            let scores = eigenvector(&matrix).unwrap();
            let image = |i: usize| -> f64 { table.rows(i).0.iter().zip(&scores).map(|(w, s)| w * s).sum() };
            let value = image(0) / scores[0];
            (0..12).for_each(|i| assert!((image(i) - value * scores[i]).abs() < 1e-12 * value));
            assert!((scores.iter().map(|s| s * s).sum::<f64>() - 1.0).abs() < 1e-14);
        }
    }

    #[test]
    fn items_that_meet_in_two_camps_only_do_not_go_round_in_a_circle() {
        // Powers of this matrix have period two.
        let mut judged = crate::Comparisons::new(4);
        for (i, j, times) in [(0, 2, 4.0), (2, 0, 1.0), (1, 3, 2.0), (3, 1, 2.0), (0, 3, 3.0), (3, 0, 1.0)] {
            judged.push_win(i, j, times).unwrap();
        }
        let scores = eigenvector(&judged.wins()).unwrap();
        let value = (4.0 * scores[2] + 3.0 * scores[3]) / scores[0];
        assert!((2.0 * scores[3] - value * scores[1]).abs() < 1e-13);
        assert!((scores[0] - value * scores[2]).abs() < 1e-13);
    }

    #[test]
    fn what_is_not_connected_has_shares_and_no_eigenvector() {
        let matrix = unconnected().wins();
        assert!(matches!(eigenvector(&matrix), Err(Error::NotIdentifiable { .. })));
        let shares = PageRankConfig::new().shares(&matrix).unwrap();
        assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-15 && shares.iter().all(|s| *s > 0.0));
        let even = PageRankConfig::new().with_damping(0.0).shares(&four().wins()).unwrap();
        close(&even, &[0.25; 4], 1e-15);
    }

    #[test]
    fn settings_out_of_their_domains_are_refused_by_name() {
        for damping in [-0.1, 1.0, f64::NAN] {
            let error = PageRankConfig::new().with_damping(damping).shares(&four().wins()).unwrap_err();
            assert!(error.to_string().starts_with("`damping`: expected in [0, 1)"), "{error}");
        }
        let refused = PageRankConfig::new().with_ties(Ties::Refuse).shares(&five().wins());
        assert!(matches!(refused, Err(Error::Ties { model: "pagerank", .. })));
        assert!(matches!(PageRankConfig::new().shares(&WinMatrix::new(0)), Err(Error::Empty { .. })));
        assert_eq!((PageRankConfig::new().damping, PageRankConfig::new().ties), (0.85, Ties::Half));
    }
}
