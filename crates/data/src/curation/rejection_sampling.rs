//! Statistical rejection sampling: candidates of a policy, kept as if drawn from the optimal policy of their rewards.
//!
//! **Paper:** Statistical Rejection Sampling Improves Preference Optimization (2023), 2309.06657.
//! **Use when:** pairs are to come from near the policy that is looked for, and only samples of another are at hand.
//! **Deviations:** none. The acceptance rate refers to the best candidate, not to the best response there is: with few
//! candidates too much is accepted, as in the paper's code.

use rand::{Rng, seq::SliceRandom};
use serde::Serialize;
use serde_json::Value;

use super::{
    access::{Candidates, Preference, record_key},
    numbers::{check_domain, descending, keyed_stream},
    operator::{Curated, Operator, OperatorReport, RecordOperator, Verdict, apply_each, options_of},
};
use crate::{Pair, Result};

/// What rejection sampling kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Accepted {
    /// The places of the candidates, in the order in which they were accepted.
    pub places: Vec<usize>,
    /// Rounds over the remaining candidates.
    pub rounds: usize,
    /// Candidates whose reward is no number, which are never accepted.
    pub excluded: usize,
}

/// Accepts candidates until there are `count`, or none is left.
///
/// Each round visits what remains in order and accepts a candidate with probability `exp((r − r_max) / β)`, `r_max`
/// being the largest reward at the beginning of the round; so each round accepts one at least. For β → 0 the best
/// `count` are accepted, for β → ∞ the first. `uniform` draws from `[0, 1)`. Infinite rewards are no numbers either.
///
/// # Errors
/// [`crate::Error::Domain`] unless `beta` is finite and > 0.
///
/// # Example
/// ```
/// use accordant_data::curation::rejection_sampling::rejection_sample;
/// let mut draws = [0.9, 0.3].into_iter();
/// let accepted = rejection_sample(&[1.0, 0.5, 0.0], 0.5, 2, || draws.next().unwrap())?;
/// assert_eq!(accepted.places, [0, 1]); // 0.9 < 1, 0.3 < 1/e
/// # Ok::<(), accordant_data::Error>(())
/// ```
#[doc(alias = "RSO")]
#[doc(alias = "2309.06657")]
pub fn rejection_sample(
    rewards: &[f64],
    beta: f64,
    count: usize,
    mut uniform: impl FnMut() -> f64,
) -> Result<Accepted> {
    check_domain(beta.is_finite() && beta > 0.0, "beta", "finite and > 0", beta)?;
    let mut left: Vec<usize> = (0..rewards.len()).filter(|&place| rewards[place].is_finite()).collect();
    let mut accepted = Accepted { places: Vec::new(), rounds: 0, excluded: rewards.len() - left.len() };
    while !left.is_empty() && accepted.places.len() < count {
        accepted.rounds += 1;
        let best = left.iter().map(|&place| rewards[place]).fold(f64::NEG_INFINITY, f64::max);
        let mut refused = Vec::new();
        for place in left {
            // Beyond the count nothing is drawn: the loop ends with this round.
            let full = accepted.places.len() == count;
            if !full && uniform() < ((rewards[place] - best) / beta).exp() {
                accepted.places.push(place);
            } else {
                refused.push(place);
            }
        }
        left = refused;
    }
    Ok(accepted)
}

/// How accepted candidates become pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tournament {
    /// Neighbors in a random order: `⌊n/2⌋` pairs.
    #[default]
    FirstRound,
    /// Winners meet again until one is left: `n − 1` pairs. Who meets nobody goes on.
    Knockout,
}

/// Pairs `(better, worse)` of candidates in this order; those of equal rewards make none and are counted, and the first
/// of them goes on. Places beyond the rewards are passed over.
///
/// # Example
/// ```
/// use accordant_data::curation::rejection_sampling::{Tournament, tournament_pairs};
/// let rewards = [1.0, 4.0, 3.0, 2.0];
/// assert_eq!(tournament_pairs(&rewards, &[0, 1, 2, 3], Tournament::FirstRound).0, [(1, 0), (2, 3)]);
/// assert_eq!(tournament_pairs(&rewards, &[0, 1, 2, 3], Tournament::Knockout).0, [(1, 0), (2, 3), (1, 2)]);
/// ```
pub fn tournament_pairs(rewards: &[f64], order: &[usize], tournament: Tournament) -> (Vec<(usize, usize)>, usize) {
    let there = order.iter().copied().filter(|place| *place < rewards.len());
    let (mut pairs, mut tied, mut round) = (Vec::new(), 0, there.collect::<Vec<_>>());
    while round.len() > 1 {
        let mut winners = Vec::new();
        for two in round.chunks(2) {
            let &[a, b] = two else {
                winners.extend(two);
                continue;
            };
            let (better, worse) = if rewards[b] > rewards[a] { (b, a) } else { (a, b) };
            if rewards[a] == rewards[b] {
                tied += 1;
            } else {
                pairs.push((better, worse));
            }
            winners.push(better);
        }
        if tournament == Tournament::FirstRound {
            break;
        }
        round = winners;
    }
    (pairs, tied)
}

/// The places of the `count` largest rewards, best first, equal ones by place; rewards that are no numbers are left
/// out.
pub fn best_of_n(rewards: &[f64], count: usize) -> Vec<usize> {
    let order = descending(rewards);
    order.into_iter().filter(|&place| rewards[place].is_finite()).take(count).collect()
}

/// Makes pairs of scored candidates by rejection sampling and a tournament.
///
/// What is drawn depends on the seed and the record's texts. A record without scores goes under `unscored`, one of
/// which no pair comes under `no_pair`. Counts: `accepted`, `excluded`, `rounds`, `tied`, `invalid`. The margin is the
/// difference of the rewards.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RejectionSampling {
    /// Temperature of the optimal policy, finite and > 0. 0.5, the paper's.
    pub beta: f64,
    /// How many candidates are accepted, at least 2. 8, the paper's, of 64.
    pub num_samples: usize,
    /// How they become pairs. The first round, the paper's choice.
    pub tournament: Tournament,
}

impl Default for RejectionSampling {
    fn default() -> Self {
        Self { beta: 0.5, num_samples: 8, tournament: Tournament::FirstRound }
    }
}

impl<T: Candidates> Operator<T> for RejectionSampling {
    type Out = Pair;

    fn name(&self) -> &'static str {
        "rejection_sampling"
    }

    fn options(&self) -> Value {
        options_of(self)
    }

    fn check(&self) -> Result<()> {
        check_domain(self.beta.is_finite() && self.beta > 0.0, "beta", "finite and > 0", self.beta)?;
        check_domain(self.num_samples > 1, "num_samples", "at least 2", self.num_samples as f64)
    }

    fn apply(&self, records: Vec<T>, seed: u64) -> Result<Curated<T, Pair>> {
        apply_each(self, records, seed)
    }
}

impl<T: Candidates> RecordOperator<T> for RejectionSampling {
    fn judge(&self, record: T, seed: u64, report: &mut OperatorReport) -> Verdict<T, Pair> {
        let Some(rewards) = record.scores() else { return Verdict::Drop(record, "unscored") };
        let mut rng = keyed_stream(seed, "rejection_sampling", &record_key(&record));
        let Ok(mut accepted) = rejection_sample(&rewards, self.beta, self.num_samples, || rng.random()) else {
            return Verdict::Drop(record, "no_pair");
        };
        report.add_many("accepted", accepted.places.len());
        report.add_many("excluded", accepted.excluded);
        report.add_many("rounds", accepted.rounds);
        accepted.places.shuffle(&mut rng);
        let (places, tied) = tournament_pairs(&rewards, &accepted.places, self.tournament);
        report.add_many("tied", tied);
        let mut pairs = Vec::new();
        for (better, worse) in places {
            match record.pair(better, worse) {
                Err(_) => report.add("invalid"),
                Ok(mut pair) => {
                    pair.set_margin(Some(rewards[better] - rewards[worse]));
                    pairs.push(pair);
                }
            }
        }
        Verdict::many_or(pairs, record, "no_pair")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::curation::testing::List;

    fn sample(rewards: &[f64], beta: f64, count: usize, draws: &[f64]) -> (Vec<usize>, usize, usize) {
        let mut draws = draws.iter();
        let accepted = rejection_sample(rewards, beta, count, || *draws.next().expect("no draw too many")).unwrap();
        assert_eq!(draws.next(), None, "no draw too few");
        (accepted.places, accepted.rounds, accepted.excluded)
    }

    #[test]
    fn accepts_as_the_specification_works_out() {
        let rewards = [1.0, 0.5, 0.0];
        assert_eq!(sample(&rewards, 0.5, 2, &[0.9, 0.3]), (vec![0, 1], 1, 0));
        // 0.5 ≥ 1/e and 0.2 ≥ 1/e²; then the maximum is 0.5
        assert_eq!(sample(&rewards, 0.5, 2, &[0.9, 0.5, 0.2, 0.4]), (vec![0, 1], 2, 0));
    }

    #[test]
    fn cold_is_best_first_hot_is_first_come() {
        assert_eq!(sample(&[0.0, 2.0, 1.0], 1e-9, 2, &[0.5; 5]), (vec![1, 2], 2, 0));
        assert_eq!(sample(&[0.0, 2.0, 1.0], 1e9, 2, &[0.99; 2]), (vec![0, 1], 1, 0));
    }

    #[test]
    fn rewards_that_are_no_numbers_are_excluded_and_too_few_candidates_are_all_taken() {
        assert_eq!(sample(&[f64::NAN, 1.0, f64::INFINITY], 1.0, 5, &[0.5]), (vec![1], 1, 2));
        assert_eq!(sample(&[], 1.0, 5, &[]), (vec![], 0, 0));
        assert_eq!(sample(&[1.0], 1.0, 0, &[]), (vec![], 0, 0));
        for beta in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let error = rejection_sample(&[1.0], beta, 1, || 0.0).unwrap_err().to_string();
            assert!(error.starts_with("`beta`: expected finite and > 0"), "{error}");
        }
    }

    #[test]
    fn many_draws_accept_in_proportion_to_the_optimal_policy() {
        // Of two candidates with rewards 0 and ln ½, β = 1, the first draw accepts the second in half of the cases.
        let mut rng = keyed_stream(1, "test", "");
        let second =
            (0..2000).filter(|_| rejection_sample(&[0.0, 0.5f64.ln()], 1.0, 2, || rng.random()).unwrap().rounds == 1);
        // 1000 ± 22.4; 150 are 6.7 standard deviations.
        assert!(second.count().abs_diff(1000) < 150);
    }

    #[test]
    fn tournaments_pass_over_ties_and_the_odd_one_goes_on() {
        let rewards = [1.0, 1.0, 3.0, 2.0, 5.0];
        let all = [0, 1, 2, 3, 4];
        assert_eq!(tournament_pairs(&rewards, &all, Tournament::FirstRound), (vec![(2, 3)], 1));
        assert_eq!(tournament_pairs(&rewards, &all, Tournament::Knockout), (vec![(2, 3), (2, 0), (4, 2)], 1));
        assert_eq!(tournament_pairs(&rewards, &[3], Tournament::Knockout), (vec![], 0));
        assert_eq!(tournament_pairs(&rewards, &[9, 3, 2], Tournament::FirstRound), (vec![(2, 3)], 0));
        assert_eq!(best_of_n(&[1.0, f64::NAN, 3.0, 1.0], 2), [2, 0]);
        assert!(best_of_n(&[f64::INFINITY], 2).is_empty());
    }

    #[test]
    fn lists_become_pairs_whose_draws_depend_on_seed_and_texts() {
        let lists: Vec<_> = (0..10).map(|i| List::scored(&format!("q{i}"), &[0.0, 1.0, 2.0, 3.0, 3.0])).collect();
        let sampling = RejectionSampling { num_samples: 4, ..RejectionSampling::default() };
        let all = sampling.apply(lists.clone(), 1).unwrap();
        assert!(all.report.is_conserved());
        assert_eq!(all.report.count("accepted"), 40);
        assert_eq!(all.report.outputs + all.report.count("tied"), 20, "two pairs of four");
        assert!(all.records.iter().all(|pair| pair.margin.unwrap() > 0.0));
        assert_eq!(
            sampling.apply(lists[3..].to_vec(), 1).unwrap().records[..],
            all.records[all.records.len() - sampling.apply(lists[3..].to_vec(), 1).unwrap().records.len()..]
        );
        assert_ne!(sampling.apply(lists, 2).unwrap().records, all.records);
        let unscored = List { scores: None, ..List::scored("q", &[1.0, 2.0]) };
        let report = sampling.apply(vec![unscored, List::scored("q", &[1.0, 1.0])], 0).unwrap().report;
        assert_eq!((report.dropped["unscored"], report.dropped["no_pair"]), (1, 1));
        let wrong = RejectionSampling { num_samples: 1, ..sampling.clone() };
        assert!(Operator::<List>::check(&wrong).unwrap_err().to_string().starts_with("`num_samples`"));
        let wrong = RejectionSampling { beta: 0.0, ..sampling };
        assert!(Operator::<List>::check(&wrong).is_err());
    }
}
