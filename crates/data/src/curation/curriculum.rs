//! Curriculum: pairs with the best response, from wide gaps to narrow ones.
//!
//! **Paper:** Curry-DPO: Enhancing Alignment using Curriculum Learning & Ranked Preferences (2024), 2403.07230.
//! **Use when:** each prompt has several scored responses and training goes in stages, each from the model of the last.
//! **Deviations:** none. The objective is plain DPO; stages by size over the whole set are with it.

use serde::Serialize;
use serde_json::Value;

use super::{
    access::{Candidates, HasMeta, Preference},
    column::Column,
    numbers::check_all_finite,
    operator::{Curated, Operator, Verdict, options_of},
    ranked_pairs::{PairScheme, list_pairs, rank_distance},
};
use crate::{Pair, Result};

/// A pair with the best of a list.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CurriculumPair {
    /// The best response's place.
    pub chosen: usize,
    /// The other's.
    pub rejected: usize,
    /// The difference of the measure, > 0.
    pub gap: f64,
}

/// The best of a list with each that is worse, widest gap first; of equal gaps the larger distance of `ranks` first,
/// then the place in the list.
///
/// # Errors
/// [`crate::Error::Item`] naming `measure` for what is not finite.
///
/// # Example
/// ```
/// use accordant_data::curation::curriculum::curriculum_pairs;
/// let pairs = curriculum_pairs(&[6.0, 9.0, 2.0], None)?;
/// let gaps: Vec<_> = pairs.iter().map(|pair| (pair.chosen, pair.rejected, pair.gap)).collect();
/// assert_eq!(gaps, [(1, 2, 7.0), (1, 0, 3.0)]);
/// # Ok::<(), accordant_data::Error>(())
/// ```
pub fn curriculum_pairs(measure: &[f64], ranks: Option<&[u32]>) -> Result<Vec<CurriculumPair>> {
    check_all_finite("measure", measure)?;
    let pairs = list_pairs(measure, PairScheme::BestVsRest, |_| 0)?;
    let order: Vec<f64> = ranks.unwrap_or_default().iter().map(|rank| -f64::from(*rank)).collect();
    let distance = |pair: &CurriculumPair| match order.len() == measure.len() {
        true => rank_distance(&order, pair.chosen, pair.rejected),
        false => rank_distance(measure, pair.chosen, pair.rejected),
    };
    let gap = |chosen: usize, rejected: usize| measure[chosen] - measure[rejected];
    let with_gap = pairs.into_iter().filter(|pair| !pair.tied).map(|pair| CurriculumPair {
        chosen: pair.chosen,
        rejected: pair.rejected,
        gap: gap(pair.chosen, pair.rejected),
    });
    let mut pairs: Vec<CurriculumPair> = with_gap.collect();
    let by_distance = |a: &CurriculumPair, b: &CurriculumPair| distance(b).total_cmp(&distance(a));
    pairs.sort_by(|a, b| b.gap.total_cmp(&a.gap).then_with(|| by_distance(a, b)).then(a.rejected.cmp(&b.rejected)));
    Ok(pairs)
}

/// In which order the pairs of all prompts come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// The first pair of every prompt, then the second of every prompt, and so on.
    #[default]
    Staged,
    /// By difficulty over the whole set.
    Linear,
    /// Prompt by prompt, each from easy to hard.
    Interleaved,
}

/// Makes pairs with the best of each list and orders them from easy to hard.
///
/// Writes `meta.stage`, the pair's position among those of its prompt from 1, and `meta.difficulty`, minus the gap. A
/// record without the measure, or whose measure fits its responses in number or value not, goes under `unscored`; one
/// of which no pair comes under `no_pair`. Counts: `invalid`, and pairs per stage.
#[derive(Debug, Clone, Serialize)]
#[serde(bound = "")]
#[doc(alias = "Curry-DPO")]
#[doc(alias = "2403.07230")]
pub struct Curriculum<T> {
    /// What the gap is of, one number a response: ratings, log-probabilities under the reference, rewards of a model.
    /// Default: the record's scores.
    pub measure: Column<T, Vec<f64>>,
    /// The order. Default: staged.
    pub schedule: Schedule,
}

impl<T: Candidates> Default for Curriculum<T> {
    fn default() -> Self {
        Self { measure: Column::new("scores", |record: &T| record.scores()), schedule: Schedule::Staged }
    }
}

impl<T: Candidates> Operator<T> for Curriculum<T> {
    type Out = Pair;

    fn name(&self) -> &'static str {
        "curriculum"
    }

    fn options(&self) -> Value {
        options_of(self)
    }

    fn apply(&self, records: Vec<T>, seed: u64) -> Result<Curated<T, Pair>> {
        let mut curated: Curated<T, Pair> = Curated::new(self, seed);
        let mut keys: Vec<(usize, f64)> = Vec::new();
        for record in records {
            let measure = self.measure.of(&record).filter(|measure| measure.len() == record.responses().len());
            let planned = measure.and_then(|measure| curriculum_pairs(&measure, record.ranks().as_deref()).ok());
            let Some(planned) = planned else {
                curated.push(Verdict::Drop(record, "unscored"));
                continue;
            };
            let mut pairs = Vec::new();
            for two in planned {
                let Ok(mut pair) = record.pair(two.chosen, two.rejected) else {
                    curated.report.add("invalid");
                    continue;
                };
                let stage = pairs.len() + 1;
                pair.set_margin(Some(two.gap));
                pair.meta_mut().insert("stage".to_owned(), stage.into());
                pair.meta_mut().insert("difficulty".to_owned(), (-two.gap).into());
                curated.report.add(&format!("stage_{stage}"));
                keys.push((stage, two.gap));
                pairs.push(pair);
            }
            curated.push(Verdict::many_or(pairs, record, "no_pair"));
        }
        let mut keyed: Vec<((usize, f64), Pair)> = keys.into_iter().zip(std::mem::take(&mut curated.records)).collect();
        match self.schedule {
            Schedule::Staged => keyed.sort_by_key(|((stage, _), _)| *stage),
            Schedule::Linear => keyed.sort_by(|a, b| b.0.1.total_cmp(&a.0.1)),
            Schedule::Interleaved => {}
        }
        curated.records = keyed.into_iter().map(|(_, pair)| pair).collect();
        Ok(curated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::curation::testing::List;

    #[test]
    fn the_widest_gap_is_first_and_of_equal_gaps_the_larger_distance() {
        let pairs = curriculum_pairs(&[9.0, 4.0, 5.0, 4.0, 9.0], None).unwrap();
        let places: Vec<_> = pairs.iter().map(|pair| (pair.chosen, pair.rejected, pair.gap)).collect();
        assert_eq!(places, [(0, 1, 5.0), (0, 3, 5.0), (0, 2, 4.0)], "the tie with the best makes no pair");
        let pairs = curriculum_pairs(&[9.0, 4.0, 5.0, 4.0], Some(&[1, 3, 2, 4])).unwrap();
        assert_eq!(pairs.iter().map(|pair| pair.rejected).collect::<Vec<_>>(), [3, 1, 2]);
        assert!(curriculum_pairs(&[1.0, f64::NAN], None).is_err());
        assert!(curriculum_pairs(&[], None).unwrap().is_empty());
    }

    fn made(schedule: Schedule) -> Vec<(String, u64, f64)> {
        let lists = vec![List::scored("p", &[5.0, 4.0, 1.0]), List::scored("q", &[1.0, 9.0, 6.0])];
        let curated = Curriculum { schedule, ..Curriculum::default() }.apply(lists, 0).unwrap();
        assert_eq!(
            (curated.report.count("stage_1"), curated.report.count("stage_2"), curated.report.outputs),
            (2, 2, 4)
        );
        let row = |pair: &Pair| {
            let meta = pair.meta();
            assert_eq!(meta["difficulty"].as_f64().map(|d| -d), pair.margin);
            (pair.prompt.as_plain().unwrap().to_owned(), meta["stage"].as_u64().unwrap(), pair.margin.unwrap())
        };
        curated.records.iter().map(row).collect()
    }

    #[test]
    fn schedules_order_the_pairs_of_all_prompts() {
        let rows =
            |expected: [(&str, u64, f64); 4]| expected.map(|(prompt, stage, gap)| (prompt.to_owned(), stage, gap));
        let (p1, p2, q1, q2) = (("p", 1, 4.0), ("p", 2, 1.0), ("q", 1, 8.0), ("q", 2, 3.0));
        assert_eq!(made(Schedule::Staged), rows([p1, q1, p2, q2]));
        assert_eq!(made(Schedule::Linear), rows([q1, p1, q2, p2]));
        assert_eq!(made(Schedule::Interleaved), rows([p1, p2, q1, q2]));
    }

    #[test]
    fn lists_without_a_measure_of_their_own_length_or_with_ties_only_are_named() {
        let lists = vec![
            List { scores: None, ..List::scored("a", &[1.0, 2.0]) },
            List { scores: Some(vec![1.0]), ..List::scored("b", &[1.0, 2.0]) },
            List::scored("c", &[f64::NAN, 2.0]),
            List::scored("d", &[2.0, 2.0]),
        ];
        let report = Curriculum::default().apply(lists, 0).unwrap().report;
        assert_eq!((report.dropped["unscored"], report.dropped["no_pair"]), (3, 1));
    }
}
