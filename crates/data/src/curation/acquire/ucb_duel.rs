//! Optimistic duels: the response with the highest upper bound against the likeliest to beat it.
//!
//! **Use when:** labels should also go to good responses, as in online alignment.
//! **Deviations:** none.

use serde::Serialize;

use super::{
    Acquisition, Pick,
    arms::{Arms, argmax},
    best,
};
use crate::{
    Result,
    curation::numbers::{check_domain, logistic},
};

/// The duel of each prompt, scored by the optimistic probability that the second response beats the first.
///
/// ```text
/// i = argmax μ_i + c s_i,   j = argmax over j ≠ i of σ(μ_j − μ_i + c s_ij)
/// ```
/// with the deviations `s_i` of a reward and `s_ij` of a difference.
///
/// # Example
/// ```
/// use accordant_data::curation::acquire::{Acquisition, arms::Arms, ucb_duel::UcbDuel};
/// let pool = [Arms::independent(vec![1.0, 0.0, 0.5], &[0.0, 3.0, 0.0])?];
/// let pick = UcbDuel { c: 1.0 }.acquire(&pool[..], 1, 0)?[0];
/// assert_eq!(pick.duel, Some((1, 0))); // 0 + 3 is the highest bound; 1 − 0 + 3 is above 0.5 − 0 + 3
/// # Ok::<(), accordant_data::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct UcbDuel {
    /// How many deviations a bound lies above the mean, finite and ≥ 0.
    pub c: f64,
}

impl Acquisition for UcbDuel {
    type Pool = [Arms];

    /// # Errors
    /// [`crate::Error::Domain`] naming `c`.
    fn acquire(&self, pool: &[Arms], count: usize, _seed: u64) -> Result<Vec<Pick>> {
        check_domain(self.c.is_finite() && self.c >= 0.0, "c", "finite and >= 0", self.c)?;
        let pick = |(index, arms): (usize, &Arms)| {
            let means = arms.means();
            let bounds: Vec<f64> = (0..means.len()).map(|i| means[i] + self.c * arms.deviation(i)).collect();
            let first = argmax(&bounds);
            let margin = |j: usize| means[j] - means[first] + self.c * arms.difference_deviation(j, first);
            let margins: Vec<f64> =
                (0..means.len()).map(|j| if j == first { f64::NEG_INFINITY } else { margin(j) }).collect();
            let second = argmax(&margins);
            Pick { index, score: logistic(margins[second]), duel: Some((first, second)) }
        };
        Ok(best(pool.iter().enumerate().map(pick).collect(), count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_with_the_most_promising_duel_come_first() {
        let sure = Arms::independent(vec![2.0, 0.0], &[0.0, 0.0]).unwrap();
        let open = Arms::independent(vec![2.0, 1.0], &[0.3, 0.4]).unwrap();
        let picks = UcbDuel { c: 2.0 }.acquire(&[sure, open.clone(), open], 2, 0).unwrap();
        // 1 − 2 + 2 · 0.5 = 0
        assert_eq!(
            picks.iter().map(|pick| (pick.index, pick.duel)).collect::<Vec<_>>(),
            [(1, Some((0, 1))), (2, Some((0, 1)))]
        );
        assert!((picks[0].score - 0.5).abs() < 1e-15);
    }

    #[test]
    fn without_optimism_the_two_best_meet_even_where_the_first_is_best_of_all() {
        let arms = Arms::independent(vec![3.0, 1.0, 2.0], &[1.0, 9.0, 1.0]).unwrap();
        let pick = UcbDuel { c: 0.0 }.acquire(&[arms], 5, 0).unwrap()[0];
        assert_eq!(pick.duel, Some((0, 2)));
        assert!((pick.score - logistic(-1.0)).abs() < 1e-15);
        assert!(UcbDuel { c: f64::NAN }.acquire(&[], 1, 0).unwrap_err().to_string().starts_with("`c`"));
    }
}
