//! Where margins, soft targets and weights of pairs come from: grades, votes, ensembles, verdicts, directions of states.
//!
//! **Paper:** each function names its own.
//! **Use when:** pairs are not equally clear. What comes out goes to [`PairScores`](super::PairScores): margins, targets. Where
//! one pair is clearer than another, and that is all that is known, their differences are scores of a pair of pairs, and
//! Bradley-Terry is the loss (multi-level aware preference learning).
//! **Checked by:** hand-worked values, the invariances of each.
//! **Deviations:** bases and scales that papers leave open are arguments, or said to be ours.

use accordant_ops::{check_domain, host::logistic};

use crate::{
    Error, Result,
    error::{check_length, check_record},
};

/// A pair's grade from `−max` to `max` as its winner and the margin `|grade|`; none of 0, which says nothing about a winner.
///
/// HelpSteer2-Preference: Complementing Ratings with Preferences (2024), 2410.01257: `max` 3.
///
/// # Errors
/// A domain error naming `grade` beyond `max`.
///
/// # Example
/// ```
/// use accordant_preference::pairwise::strength::{Graded, graded};
/// assert_eq!(graded(-2, 3)?, Some(Graded { first: false, margin: 2.0 }));
/// assert_eq!(graded(0, 3)?, None);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn graded(grade: i32, max: u32) -> Result<Option<Graded>> {
    let margin = f64::from(grade.unsigned_abs());
    check_domain(grade.unsigned_abs() <= max, "grade", "from -max to max", f64::from(grade))?;
    Ok((grade != 0).then_some(Graded { first: grade > 0, margin }))
}

/// Which side of a graded pair won, and by how much.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Graded {
    /// Whether the first side is better: a positive grade.
    pub first: bool,
    /// How much better, ≥ 1: a margin, or a weight ([`super::scaled`]).
    pub margin: f64,
}

/// The margin of a pair by votes, `scale · (2 share − 1)`; 0 or less where no majority preferred the chosen side, which a
/// model may then score as it likes.
///
/// Beyond the Binary: Capturing Diverse Preferences With Reward Regularization (2024), in a form of our own; its `scale` is 1.
///
/// # Errors
/// A domain error naming `share` outside of [0, 1], or `scale` unless finite and > 0.
///
/// # Example
/// ```
/// use accordant_preference::pairwise::strength::vote_margin;
/// assert_eq!([vote_margin(1.0, 1.0)?, vote_margin(0.5, 1.0)?, vote_margin(0.25, 2.0)?], [1.0, 0.0, -1.0]);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn vote_margin(share: f64, scale: f64) -> Result<f64> {
    check_domain((0.0..=1.0).contains(&share), "share", "in [0, 1]", share)?;
    check_domain(scale.is_finite() && scale > 0.0, "scale", "finite and > 0", scale)?;
    Ok(scale * (2.0 * share - 1.0))
}

/// The margin of a pair by counts of votes, `log₁₀(chosen) − log₁₀(rejected)`, at least 0.
///
/// Axiomatic Preference Modeling for Longform Question Answering (2023); the base is ours.
///
/// # Errors
/// A domain error naming `chosen` or `rejected` unless finite and > 0.
///
/// # Example
/// ```
/// use accordant_preference::pairwise::strength::vote_count_margin;
/// assert!((vote_count_margin(200.0, 2.0)? - 2.0).abs() < 1e-12);
/// assert_eq!(vote_count_margin(2.0, 200.0)?, 0.0);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn vote_count_margin(chosen: f64, rejected: f64) -> Result<f64> {
    for (name, votes) in [("chosen", chosen), ("rejected", rejected)] {
        check_domain(votes.is_finite() && votes > 0.0, name, "finite and > 0", votes)?;
    }
    Ok((chosen.log10() - rejected.log10()).max(0.0))
}

/// The target of a pair from a judge's log-probabilities of the verdicts "the first" and "the second", asked in both orders:
/// the mean over orders of `σ((log p(first) − log p(second)) / τ)`.
///
/// `orders`: for each order of presentation, the log-probabilities that the first and the second **response** is better,
/// whichever was shown first. A judge who names whatever stands first gets ½.
///
/// Self-reference AI feedback, in a form of our own; τ = 1 is the judge's own odds.
///
/// # Errors
/// A domain error naming `temperature` unless finite and > 0, or `orders` for a NaN or two times −∞.
///
/// # Example
/// ```
/// use accordant_preference::pairwise::strength::verdict_target;
/// let (likely, unlikely) = (0.75f64.ln(), 0.25f64.ln());
/// assert!((verdict_target([[likely, unlikely], [likely, unlikely]], 1.0)? - 0.75).abs() < 1e-12);
/// assert!((verdict_target([[likely, unlikely], [unlikely, likely]], 1.0)? - 0.5).abs() < 1e-12);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn verdict_target(orders: [[f64; 2]; 2], temperature: f64) -> Result<f64> {
    check_domain(temperature.is_finite() && temperature > 0.0, "temperature", "finite and > 0", temperature)?;
    let mut sum = 0.0;
    for [first, second] in orders {
        let gap = first - second;
        check_domain(!gap.is_nan(), "orders", "two log-probabilities, not both 0", gap)?;
        sum += 0.5 * logistic(gap / temperature);
    }
    Ok(sum)
}

/// How strongly an ensemble of reward models prefers the chosen side of a pair.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Strength {
    /// The mean of the members' differences: an adaptive margin.
    pub mean: f64,
    /// Their standard deviation, of the population.
    pub deviation: f64,
}

impl Strength {
    /// `σ(mean)`: a soft target for pairs of little strength.
    pub fn target(self) -> f64 {
        logistic(self.mean)
    }
}

/// The strength of each pair from `differences` `[members, pairs]`: what each member of an ensemble gives the chosen side more.
///
/// Secrets of RLHF in Large Language Models Part II: Reward Modeling (2024), 2401.06080: ten members.
///
/// # Errors
/// [`Error::Empty`] without a member; [`Error::Length`] naming `differences`; [`Error::Record`] for one that is not finite.
///
/// # Example
/// ```
/// use accordant_preference::pairwise::strength::{Strength, strengths, weakest};
/// let found = strengths(&[vec![1.0, -2.0], vec![3.0, 0.0]])?;
/// assert_eq!(found, [Strength { mean: 2.0, deviation: 1.0 }, Strength { mean: -1.0, deviation: 1.0 }]);
/// assert_eq!(weakest(&found, 0.5)?, [1]); // its label may be wrong
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "2401.06080")]
pub fn strengths(differences: &[Vec<f64>]) -> Result<Vec<Strength>> {
    let Some(first) = differences.first() else {
        return Err(Error::Empty { name: "differences", reason: "the ensemble has no member" });
    };
    for member in differences {
        check_length("differences", first.len(), member.len())?;
        for (row, &difference) in member.iter().enumerate() {
            check_record(difference.is_finite(), row, "difference", "finite", difference)?;
        }
    }
    let mean = |of: &dyn Fn(&Vec<f64>) -> f64| differences.iter().map(of).sum::<f64>() / differences.len() as f64;
    let strength = |pair: usize| {
        let center = mean(&|member| member[pair]);
        Strength { mean: center, deviation: mean(&|member| (member[pair] - center).powi(2)).sqrt() }
    };
    Ok((0..first.len()).map(strength).collect())
}

/// The pairs with the least mean strength, `share` of all rounded down, weakest first: the paper flips or drops their labels,
/// about a tenth of all.
///
/// # Errors
/// A domain error naming `share` outside of [0, 1].
pub fn weakest(strengths: &[Strength], share: f64) -> Result<Vec<usize>> {
    check_domain((0.0..=1.0).contains(&share), "share", "in [0, 1]", share)?;
    let mut order: Vec<usize> = (0..strengths.len()).collect();
    order.sort_by(|&a, &b| strengths[a].mean.total_cmp(&strengths[b].mean));
    order.truncate((share * strengths.len() as f64) as usize);
    Ok(order)
}

/// The direction from one kind of response to another in a model's states: the mean over prompts of their difference.
///
/// Legend: Leveraging Representation Engineering to Annotate Safety Margin for Preference Datasets (2024): from harmful to
/// safe replies, the last token's state of the last layer.
///
/// # Errors
/// [`Error::Empty`] without a row; [`Error::Length`] naming `from` or `states`; [`Error::Record`] for a state that is not finite.
pub fn direction(from: &[Vec<f64>], to: &[Vec<f64>]) -> Result<Vec<f64>> {
    let Some(first) = to.first() else { return Err(Error::Empty { name: "to", reason: "there is no row" }) };
    check_length("from", to.len(), from.len())?;
    let mut sum = vec![0.0; first.len()];
    for (row, (from, to)) in from.iter().zip(to).enumerate() {
        add_difference(row, &mut sum, to, from)?;
    }
    sum.iter_mut().for_each(|x| *x /= to.len() as f64);
    Ok(sum)
}

fn add_difference(row: usize, sum: &mut [f64], first: &[f64], second: &[f64]) -> Result<()> {
    check_length("states", sum.len(), first.len())?;
    check_length("states", sum.len(), second.len())?;
    for (sum, (a, b)) in sum.iter_mut().zip(first.iter().zip(second)) {
        check_record((a - b).is_finite(), row, "state", "finite", a - b)?;
        *sum += a - b;
    }
    Ok(())
}

/// The margin of each pair along a direction of states, `(h_chosen − h_rejected) · v / ‖v‖`: signed, in units of the states.
///
/// # Errors
/// [`Error::Length`] naming `rejected` or `states`; [`Error::Record`] for a state that is not finite; a domain error naming
/// `direction` of length 0.
///
/// # Example
/// ```
/// use accordant_preference::pairwise::strength::{direction, projection_margins, unit_margins};
/// let v = direction(&[vec![0.0, 0.0]], &[vec![3.0, 4.0]])?;
/// let margins = projection_margins(&[vec![5.0, 0.0], vec![0.0, 0.0]], &[vec![0.0, 0.0], vec![0.0, 10.0]], &v)?;
/// assert_eq!(margins, [3.0, -8.0]);
/// assert_eq!(unit_margins(&margins), [1.0, 0.0]);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn projection_margins(chosen: &[Vec<f64>], rejected: &[Vec<f64>], direction: &[f64]) -> Result<Vec<f64>> {
    check_length("rejected", chosen.len(), rejected.len())?;
    let length = direction.iter().map(|x| x * x).sum::<f64>().sqrt();
    check_domain(length.is_finite() && length > 0.0, "direction", "of a finite length > 0", length)?;
    let margin = |(row, (chosen, rejected)): (usize, (&Vec<f64>, &Vec<f64>))| {
        let mut difference = vec![0.0; direction.len()];
        add_difference(row, &mut difference, chosen, rejected)?;
        Ok(difference.iter().zip(direction).map(|(x, v)| x * v).sum::<f64>() / length)
    };
    chosen.iter().zip(rejected).enumerate().map(margin).collect()
}

/// Margins moved and scaled to [0, 1]; zeros where all are equal.
pub fn unit_margins(margins: &[f64]) -> Vec<f64> {
    let low = margins.iter().copied().fold(f64::INFINITY, f64::min);
    let range = margins.iter().copied().fold(f64::NEG_INFINITY, f64::max) - low;
    margins.iter().map(|margin| if range > 0.0 { (margin - low) / range } else { 0.0 }).collect()
}

/// The score of a picture by a text whose part along `common`, the mean direction of all texts, counts `weight` only:
/// `⟨image, text − text_∥⟩ + weight ⟨image, text_∥⟩`.
///
/// Improving Long-Text Alignment for Text-to-Image Diffusion Models (2024); 0.3 is ours, 1 the plain product.
///
/// # Errors
/// [`Error::Length`] naming `image` or `common`; a domain error naming `weight` outside of [0, 1], or `common` of length 0.
///
/// # Example
/// ```
/// use accordant_preference::pairwise::strength::decomposed_score;
/// let score = |weight| decomposed_score(&[1.0, 2.0], &[3.0, 4.0], &[2.0, 0.0], weight);
/// assert_eq!([score(1.0)?, score(0.0)?], [11.0, 8.0]);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn decomposed_score(image: &[f64], text: &[f64], common: &[f64], weight: f64) -> Result<f64> {
    check_length("image", text.len(), image.len())?;
    check_length("common", text.len(), common.len())?;
    check_domain((0.0..=1.0).contains(&weight), "weight", "in [0, 1]", weight)?;
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let square = dot(common, common);
    check_domain(square.is_finite() && square > 0.0, "common", "of a finite length > 0", square)?;
    let along = dot(text, common) * dot(image, common) / square;
    Ok(dot(image, text) - (1.0 - weight) * along)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text<T: std::fmt::Debug>(result: Result<T>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn grades_are_winners_and_margins() {
        let by = |grade| graded(grade, 3).unwrap();
        assert_eq!(by(3), Some(Graded { first: true, margin: 3.0 }));
        assert_eq!(by(-1), Some(Graded { first: false, margin: 1.0 }));
        assert_eq!(by(0), None);
        for bad in [4, -4, i32::MIN] {
            assert!(text(graded(bad, 3)).starts_with("`grade`: expected from -max to max"));
        }
    }

    #[test]
    fn votes_become_margins() {
        assert!((vote_margin(0.75, 3.0).unwrap() - 1.5).abs() < 1e-15);
        for bad in [-0.1, 1.1, f64::NAN] {
            assert!(text(vote_margin(bad, 1.0)).starts_with("`share`: expected in [0, 1]"));
            assert!(text(weakest(&[], bad)).starts_with("`share`: expected in [0, 1]"));
        }
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(text(vote_margin(1.0, bad)).starts_with("`scale`: expected finite and > 0"));
            assert!(text(vote_count_margin(bad, 1.0)).starts_with("`chosen`: expected finite and > 0"));
            assert!(text(vote_count_margin(1.0, bad)).starts_with("`rejected`: expected finite and > 0"));
            assert!(text(verdict_target([[0.0; 2]; 2], bad)).starts_with("`temperature`: expected finite and > 0"));
        }
        assert!((vote_count_margin(50.0, 5.0).unwrap() - 1.0).abs() < 1e-15);
    }

    #[test]
    fn verdicts_of_both_orders_are_averaged() {
        let odds = |p: f64| [p.ln(), (1.0 - p).ln()];
        assert!((verdict_target([odds(0.9), odds(0.5)], 1.0).unwrap() - 0.7).abs() < 1e-12);
        // Odds of 9 : 1 at a temperature of 2 are 3 : 1.
        assert!((verdict_target([odds(0.9), odds(0.9)], 2.0).unwrap() - 0.75).abs() < 1e-12);
        assert_eq!(verdict_target([[0.0, f64::NEG_INFINITY], [f64::NEG_INFINITY, 0.0]], 1.0).unwrap(), 0.5);
        assert!(text(verdict_target([[0.0; 2], [f64::NEG_INFINITY; 2]], 1.0)).starts_with("`orders`"));
    }

    #[test]
    fn an_ensemble_has_a_mean_a_deviation_and_a_weakest_pair() {
        let found = strengths(&[vec![3.0, 0.0, -1.0], vec![1.0, 0.0, -3.0], vec![2.0, 0.3, 4.0]]).unwrap();
        assert!((found[0].mean - 2.0).abs() < 1e-15 && (found[0].deviation - (2f64 / 3.0).sqrt()).abs() < 1e-15);
        assert!((found[1].target() - logistic(0.1)).abs() < 1e-15);
        assert_eq!(weakest(&found, 0.67).unwrap(), [2, 1]);
        assert_eq!(weakest(&found, 0.33).unwrap(), [0usize; 0]);
        assert_eq!(weakest(&found, 1.0).unwrap(), [2, 1, 0]);
        assert!(text(strengths(&[])).starts_with("`differences`: nothing to learn from"));
        assert!(text(strengths(&[vec![1.0], vec![]])).starts_with("`differences`: expected 1 entries"));
        assert!(text(strengths(&[vec![1.0, f64::NAN]])).starts_with("record 1: `difference`"));
    }

    #[test]
    fn a_projection_knows_the_direction_alone() {
        let (chosen, rejected) = (vec![vec![1.0, 2.0], vec![-1.0, 0.5]], vec![vec![0.5, -1.0], vec![2.0, 2.0]]);
        let v = [0.6, -0.8];
        let margins = projection_margins(&chosen, &rejected, &v).unwrap();
        assert!((margins[0] - (0.3 - 2.4)).abs() < 1e-12 && (margins[1] - (-1.8 + 1.2)).abs() < 1e-12);
        let longer = projection_margins(&chosen, &rejected, &v.map(|x| 7.0 * x)).unwrap();
        let back = projection_margins(&rejected, &chosen, &v).unwrap();
        for ((a, b), c) in margins.iter().zip(&longer).zip(&back) {
            assert!((a - b).abs() < 1e-12 && (a + c).abs() < 1e-12);
        }
        let mean = direction(&rejected, &chosen).unwrap();
        assert_eq!(mean, [(0.5 - 3.0) / 2.0, (3.0 - 1.5) / 2.0]);
        assert_eq!(unit_margins(&[1.0, 3.0, 2.0]), [0.0, 1.0, 0.5]);
        assert_eq!(unit_margins(&[2.0, 2.0]), [0.0, 0.0]);
        assert!(unit_margins(&[]).is_empty());
    }

    #[test]
    fn a_common_part_counts_by_its_weight() {
        let score = |weight| decomposed_score(&[1.0, 2.0, -1.0], &[0.5, 1.0, 3.0], &[0.0, 3.0, 4.0], weight).unwrap();
        // ⟨image, text⟩ = −0.5; along the direction (0, 0.6, 0.8): 3 and 0.4.
        assert!(
            (score(1.0) + 0.5).abs() < 1e-12 && (score(0.0) + 1.7).abs() < 1e-12 && (score(0.25) + 1.4).abs() < 1e-12
        );
        assert!(text(decomposed_score(&[1.0], &[1.0, 2.0], &[1.0, 2.0], 0.5)).starts_with("`image`"));
        assert!(text(decomposed_score(&[1.0], &[1.0], &[], 0.5)).starts_with("`common`: expected 1 entries"));
        assert!(
            text(decomposed_score(&[1.0], &[1.0], &[0.0], 0.5)).starts_with("`common`: expected of a finite length")
        );
        for bad in [-0.1, 1.1, f64::NAN] {
            assert!(text(decomposed_score(&[1.0], &[1.0], &[1.0], bad)).starts_with("`weight`: expected in [0, 1]"));
        }
    }

    #[test]
    fn states_that_do_not_fit_are_named() {
        let one = [vec![1.0]];
        assert!(text(direction(&[], &[])).starts_with("`to`: nothing to learn from"));
        assert!(text(direction(&[], &one)).starts_with("`from`: expected 1 entries"));
        assert!(text(direction(&[vec![]], &one)).starts_with("`states`: expected 1 entries"));
        assert!(text(direction(&[vec![f64::NAN]], &one)).starts_with("record 0: `state`"));
        assert!(text(projection_margins(&one, &[], &[1.0])).starts_with("`rejected`: expected 1 entries"));
        assert!(text(projection_margins(&one, &one, &[1.0, 1.0])).starts_with("`states`: expected 2 entries"));
        for bad in [0.0, f64::NAN, f64::INFINITY] {
            assert!(
                text(projection_margins(&one, &one, &[bad])).starts_with("`direction`: expected of a finite length")
            );
        }
    }
}
