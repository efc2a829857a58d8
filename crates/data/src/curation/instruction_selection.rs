//! Instruction selection: clusters and ranking (CaR), and quality by criteria that judges vote on (CritiQ).
//!
//! **Papers:** Clustering and Ranking: Diversity-preserved Instruction Selection through Expert-aligned Quality
//! Estimation (2024), 2402.18191; CritiQ: Mining Data Quality Criteria from Human Preferences (2025), 2502.19279.
//! **Use when:** a small good set of instructions is wanted from a large one.
//! **Deviations:** none; embeddings, quality scores and judges' votes are given. Ratings of documents from pairs are
//! fitted by the models of `accordant_preference::ranking`.

use serde::Serialize;
use serde_json::Value;

use super::{
    annotators::Choice,
    column::Column,
    k_means::{k_means, usual_clusters},
    numbers::{check_domain, check_length, check_share, descending},
    operator::{Curated, Operator, options_of, sift},
};
use crate::Result;

/// Keeps the best records overall, and the best of each cluster besides.
///
/// Reasons: `not_selected`; `no_quality` and `no_embedding` for what has none, or not a finite one. Figures:
/// `clusters`, `inertia`, `converged` (1 or 0); counts: `top_overall`, `top_of_cluster`. Equal qualities go by place.
#[derive(Debug, Clone, Serialize)]
#[serde(bound = "")]
#[doc(alias = "CaR")]
#[doc(alias = "2402.18191")]
pub struct ClusterAndRank<T> {
    /// The quality, larger for better ones.
    pub quality: Column<T>,
    /// The embedding, as long for each record.
    pub embedding: Column<T, Vec<f64>>,
    /// How many of the best overall.
    pub top_overall: usize,
    /// How many of the best of each cluster, of those not kept already.
    pub top_per_cluster: usize,
    /// How many clusters. Default: `⌈√(n / 2)⌉`.
    pub clusters: Option<usize>,
}

impl<T> Operator<T> for ClusterAndRank<T> {
    type Out = T;

    fn name(&self) -> &'static str {
        "cluster_and_rank"
    }

    fn options(&self) -> Value {
        options_of(self)
    }

    fn check(&self) -> Result<()> {
        check_domain(self.clusters != Some(0), "clusters", "at least 1", 0.0)
    }

    fn apply(&self, records: Vec<T>, seed: u64) -> Result<Curated<T>> {
        self.check()?;
        let mut reasons = vec![Some("not_selected"); records.len()];
        let (mut places, mut qualities, mut points) = (Vec::new(), Vec::new(), Vec::new());
        for (place, record) in records.iter().enumerate() {
            let embedding = self.embedding.of(record).filter(|point| point.iter().all(|x| x.is_finite()));
            match (self.quality.number(record), embedding) {
                (None, _) => reasons[place] = Some("no_quality"),
                (_, None) => reasons[place] = Some("no_embedding"),
                (Some(quality), Some(point)) => {
                    places.push(place);
                    qualities.push(quality);
                    points.push(point);
                }
            }
        }
        let k = self.clusters.unwrap_or_else(|| usual_clusters(points.len())).max(1);
        let found = k_means(&points, k, seed)?;
        let order = descending(&qualities);
        let mut taken = vec![0usize; found.centers.len()];
        let (mut overall, mut of_cluster) = (0, 0);
        for (rank, at) in order.into_iter().enumerate() {
            let taken = &mut taken[found.clusters[at]];
            if rank < self.top_overall {
                overall += 1;
            } else if *taken < self.top_per_cluster {
                *taken += 1;
                of_cluster += 1;
            } else {
                continue;
            }
            reasons[places[at]] = None;
        }
        let mut curated = sift(self, records, seed, reasons);
        curated.report.add_many("top_overall", overall);
        curated.report.add_many("top_of_cluster", of_cluster);
        curated.report.set_figure("clusters", Some(found.centers.len() as f64));
        curated.report.set_figure("inertia", Some(found.inertia));
        curated.report.set_figure("converged", Some(f64::from(u8::from(found.converged))));
        Ok(curated)
    }
}

/// A criterion and how often its judge is right.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Criterion {
    /// Its place in the list of criteria.
    pub place: usize,
    /// The share of labeled pairs on which its vote, if it is no tie, is the label.
    pub accuracy: f64,
    /// How many pairs that is of.
    pub decided: usize,
}

/// The criteria whose accuracy on labeled pairs is at least `min_accuracy`; those that never decide are left out.
///
/// `votes` `[criteria][pairs]` and the pairs' labels; pairs labeled a tie are passed over.
///
/// # Errors
/// [`crate::Error::Domain`] naming `min_accuracy`, a share; [`crate::Error::Length`] naming `votes`.
///
/// # Example
/// ```
/// use accordant_data::curation::{annotators::Choice::{First, Second, Tie}, instruction_selection::select_criteria};
/// let labels = [First, Second, First];
/// let kept = select_criteria(&[vec![First, Second, Tie], vec![Second, First, First]], &labels, 0.6)?;
/// assert_eq!((kept.len(), kept[0].place, kept[0].accuracy, kept[0].decided), (1, 0, 1.0, 2));
/// # Ok::<(), accordant_data::Error>(())
/// ```
#[doc(alias = "CritiQ")]
#[doc(alias = "2502.19279")]
pub fn select_criteria(votes: &[Vec<Choice>], labels: &[Choice], min_accuracy: f64) -> Result<Vec<Criterion>> {
    check_share("min_accuracy", min_accuracy)?;
    let mut kept = Vec::new();
    for (place, votes) in votes.iter().enumerate() {
        check_length("votes", labels.len(), votes.len())?;
        let counted = votes.iter().zip(labels).filter(|(vote, label)| **vote != Choice::Tie && **label != Choice::Tie);
        let (hits, decided) =
            counted.fold((0usize, 0usize), |(hits, all), (vote, label)| (hits + usize::from(vote == label), all + 1));
        let accuracy = hits as f64 / decided.max(1) as f64;
        if decided > 0 && accuracy >= min_accuracy {
            kept.push(Criterion { place, accuracy, decided });
        }
    }
    Ok(kept)
}

/// What criteria say of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CriteriaVote {
    /// One vote each.
    #[default]
    Majority,
    /// Weighted by accuracy.
    Weighted,
}

/// The decision on a pair, of the votes `[criteria]` of all criteria, kept or not.
///
/// # Errors
/// [`crate::Error::Domain`] naming `criteria` where one of them has no vote.
pub fn decide(votes: &[Choice], criteria: &[Criterion], by: CriteriaVote) -> Result<Choice> {
    let mut balance = 0.0;
    for criterion in criteria {
        let missing = criterion.place as f64;
        let Some(vote) = votes.get(criterion.place) else {
            return check_domain(false, "criteria", "places with a vote", missing).map(|()| Choice::Tie);
        };
        let weight = if by == CriteriaVote::Weighted { criterion.accuracy } else { 1.0 };
        balance += match vote {
            Choice::First => weight,
            Choice::Second => -weight,
            Choice::Tie => 0.0,
        };
    }
    // Weights that cancel do so up to rounding.
    Ok(if balance.abs() < 1e-12 {
        Choice::Tie
    } else if balance > 0.0 {
        Choice::First
    } else {
        Choice::Second
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use Choice::{First, Second, Tie};

    type Item = (f64, f64);

    fn select(top_overall: usize, top_per_cluster: usize) -> ClusterAndRank<Item> {
        ClusterAndRank {
            quality: Column::new("quality", |item: &Item| Some(item.0)),
            embedding: Column::new("embedding", |item: &Item| Some(vec![item.1]).filter(|_| item.1 >= 0.0)),
            top_overall,
            top_per_cluster,
            clusters: Some(2),
        }
    }

    #[test]
    fn the_best_overall_and_of_each_cluster_stay() {
        // Two groups, at 0 and at 100; the second is worse throughout.
        let items = vec![(9.0, 0.0), (8.0, 1.0), (7.0, 0.0), (3.0, 100.0), (2.0, 101.0), (1.0, 100.0)];
        let curated = select(1, 1).apply(items.clone(), 4).unwrap();
        assert_eq!(curated.records, [(9.0, 0.0), (8.0, 1.0), (3.0, 100.0)]);
        assert_eq!((curated.report.count("top_overall"), curated.report.count("top_of_cluster")), (1, 2));
        assert_eq!((curated.report.figure("clusters"), curated.report.figure("converged")), (Some(2.0), Some(1.0)));
        assert!(curated.report.figure("inertia").unwrap() < 2.0);
        assert_eq!(select(2, 0).apply(items.clone(), 4).unwrap().records, items[..2]);
        let usual = ClusterAndRank { clusters: None, ..select(0, 1) };
        assert_eq!(usual.apply(items, 4).unwrap().report.figure("clusters"), Some(2.0), "⌈√3⌉");
    }

    #[test]
    fn records_without_quality_or_embedding_are_named() {
        let curated =
            select(1, 0).apply(vec![(f64::NAN, 0.0), (1.0, -1.0), (1.0, f64::INFINITY), (0.0, 1.0)], 0).unwrap();
        let reasons: Vec<_> = curated.dropped.iter().map(|dropped| dropped.reason).collect();
        assert_eq!(reasons, ["no_quality", "no_embedding", "no_embedding"]);
        assert!(select(1, 1).apply(vec![], 0).unwrap().records.is_empty());
        let none = ClusterAndRank { clusters: Some(0), ..select(1, 1) };
        assert_eq!(none.apply(vec![], 0).unwrap_err().to_string(), "`clusters`: expected at least 1, got 0");
    }

    #[test]
    fn criteria_that_are_right_often_enough_stay() {
        let labels = [First, Second, First, Tie, Second];
        let votes = [
            vec![First, Second, Second, First, Second], // 3 of 4
            vec![Tie, Tie, First, First, Tie],          // 1 of 1
            vec![Tie, Tie, Tie, Second, Tie],           // never
            vec![Second, Second, Second, First, First], // 1 of 4
        ];
        let kept = select_criteria(&votes, &labels, 0.75).unwrap();
        let summary: Vec<_> = kept.iter().map(|c| (c.place, c.accuracy, c.decided)).collect();
        assert_eq!(summary, [(0, 0.75, 4), (1, 1.0, 1)]);
        assert_eq!(select_criteria(&votes, &labels, 0.76).unwrap().len(), 1);
        assert!(select_criteria(&votes, &labels[..2], 0.5).is_err() && select_criteria(&votes, &labels, 1.5).is_err());
        let say = |votes: &[Choice], by| decide(votes, &kept, by).unwrap();
        assert_eq!(
            (say(&[First, Second], CriteriaVote::Majority), say(&[First, Second], CriteriaVote::Weighted)),
            (Tie, Second)
        );
        assert_eq!(
            (say(&[First, Tie], CriteriaVote::Majority), say(&[Tie, Tie], CriteriaVote::Weighted)),
            (First, Tie)
        );
        assert!(decide(&[First], &kept, CriteriaVote::Majority).unwrap_err().to_string().starts_with("`criteria`"));
    }
}
