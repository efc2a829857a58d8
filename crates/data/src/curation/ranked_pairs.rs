//! Pairs from a ranked list.
//!
//! **Papers:** Zephyr: Direct Distillation of LM Alignment (2023), 2310.16944 (best against random); several pairs per
//! prompt with strengths as in ranked pairing.
//! **Use when:** each prompt has several ranked or scored responses and the objective wants pairs.
//! **Deviations:** a random opponent of the best is drawn from those that are worse, so that no prompt is lost to a
//! tie.

use rand::Rng;
use serde::Serialize;
use serde_json::Value;

use super::{
    access::{Candidates, HasMeta, HasWeight, Preference, record_key},
    numbers::{check_domain, descending, keyed_stream},
    operator::{Curated, Operator, OperatorReport, RecordOperator, Verdict, apply_each, options_of},
};
use crate::{Error, Pair, Result};

/// Which pairs are made of a list of `K` responses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PairScheme {
    /// The best and the worst: 1 pair.
    BestVsWorst,
    /// The best and each other one: `K − 1`.
    BestVsRest,
    /// The best and one that is worse, drawn: 1, as in the binarized UltraFeedback.
    BestVsRandom,
    /// Each and all of the next level of rank: `K − 1` without ties.
    Adjacent,
    /// Every two: `K (K − 1) / 2`.
    All,
    /// Each of the better half and each of the worse half: `⌊K/2⌋²`.
    TopVsBottomHalf,
    /// Rank `i` and rank `K + 1 − i`: `⌊K/2⌋`.
    Mirror,
    /// Rank `i` and rank `i + ⌈K/2⌉`: `⌊K/2⌋`.
    HalfShift,
}

/// Two responses by their places in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ListPair {
    /// The better one; in a tie, the one that comes first.
    pub chosen: usize,
    /// The other.
    pub rejected: usize,
    /// Whether neither is better.
    pub tied: bool,
}

/// The pairs of a list of scores, higher for better responses, ties included and marked.
///
/// Equal scores keep the order of the list. `random` draws a number below its argument and is asked for
/// [`PairScheme::BestVsRandom`] only. The best has no tie there; under [`PairScheme::Adjacent`] nobody has.
///
/// # Errors
/// [`Error::Item`] naming `scores` for one that is not finite.
///
/// # Example
/// ```
/// use accordant_data::curation::ranked_pairs::{PairScheme, list_pairs};
/// // ranks 1, 2, 2, 4
/// let pairs = |scheme| -> Vec<_> {
///     let pairs = list_pairs(&[-1.0, -2.0, -2.0, -4.0], scheme, |_| 0).unwrap();
///     pairs.iter().filter(|pair| !pair.tied).map(|pair| (pair.chosen, pair.rejected)).collect()
/// };
/// assert_eq!(pairs(PairScheme::All).len(), 5);
/// assert_eq!(pairs(PairScheme::BestVsWorst), [(0, 3)]);
/// assert_eq!(pairs(PairScheme::Adjacent), [(0, 1), (0, 2), (1, 3), (2, 3)]);
/// ```
pub fn list_pairs(scores: &[f64], scheme: PairScheme, mut random: impl FnMut(usize) -> usize) -> Result<Vec<ListPair>> {
    super::numbers::check_all_finite("scores", scores)?;
    let order = descending(scores);
    let len = order.len();
    let Some((&best, rest)) = order.split_first().filter(|(_, rest)| !rest.is_empty()) else { return Ok(Vec::new()) };
    let pair = |chosen: usize, rejected: usize| ListPair { chosen, rejected, tied: scores[chosen] == scores[rejected] };
    let shifted = |shift: usize| (0..len - shift).map(|i| pair(order[i], order[i + shift])).collect();
    Ok(match scheme {
        PairScheme::BestVsWorst => vec![pair(best, order[len - 1])],
        PairScheme::BestVsRest => rest.iter().map(|&other| pair(best, other)).collect(),
        PairScheme::BestVsRandom => {
            let worse: Vec<usize> = rest.iter().copied().filter(|&other| scores[other] < scores[best]).collect();
            match worse.len() {
                0 => vec![pair(best, rest[0])],
                count => vec![pair(best, worse[random(count).min(count - 1)])],
            }
        }
        PairScheme::Adjacent => {
            let levels: Vec<&[usize]> = order.chunk_by(|&a, &b| scores[a] == scores[b]).collect();
            let next = |two: &[&[usize]]| -> Vec<ListPair> {
                two[0].iter().flat_map(|&upper| two[1].iter().map(move |&lower| pair(upper, lower))).collect()
            };
            levels.windows(2).flat_map(next).collect()
        }
        PairScheme::All => {
            (0..len).flat_map(|i| order[i + 1..].iter().map(move |&j| (i, j))).map(|(i, j)| pair(order[i], j)).collect()
        }
        PairScheme::TopVsBottomHalf => {
            let (top, bottom) = (&order[..len / 2], &order[len - len / 2..]);
            top.iter().flat_map(|&upper| bottom.iter().map(move |&lower| pair(upper, lower))).collect()
        }
        PairScheme::Mirror => (0..len / 2).map(|i| pair(order[i], order[len - 1 - i])).collect(),
        PairScheme::HalfShift => shifted(len.div_ceil(2)),
    })
}

/// The share of the list that lies between two responses: the difference of their ranks over `K − 1`. Tied responses
/// have the rank of the first of them.
///
/// Negative where the rejected one is better; 0 for a place beyond the list.
pub fn rank_distance(scores: &[f64], chosen: usize, rejected: usize) -> f64 {
    let (Some(chosen), Some(rejected)) = (scores.get(chosen), scores.get(rejected)) else { return 0.0 };
    let rank = |own: &f64| scores.iter().filter(|score| *score > own).count() as f64;
    (rank(rejected) - rank(chosen)) / (scores.len().max(2) - 1) as f64
}

/// What becomes of two responses of which neither is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ListTies {
    /// They make no pair, and are counted under `tied`.
    #[default]
    Drop,
    /// They make two, one each way, each of half the weight and with `p_chosen` ½.
    Half,
    /// They make one with `p_chosen` ½.
    Soft,
}

/// What becomes the margin of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ListMargin {
    /// [`rank_distance`].
    RankDistance,
    /// The difference of the scores; lists without scores give no margin.
    ScoreGap,
}

/// Makes pairs of ranked lists.
///
/// A list of which no pair comes goes under `no_pair`; one without ranks or scores under `unranked`. Counts: pairs that
/// are not made, under `tied`, `small_gap`, `low_chosen` and `invalid` (two responses that are the same, for example).
/// Of a list with both ranks and scores the ranks decide.
#[derive(Debug, Clone, Serialize)]
pub struct RankedPairs {
    /// Which pairs.
    pub scheme: PairScheme,
    /// What becomes of ties. Default: dropped.
    pub ties: ListTies,
    /// What becomes the margin. Default: none, and the distance of ranks for [`PairScheme::HalfShift`].
    pub margin: Option<ListMargin>,
    /// Least difference of scores. Lists without scores have none to check. Default: none.
    pub min_gap: Option<f64>,
    /// Least score of the chosen response, for lists with scores. Default: none.
    pub min_chosen: Option<f64>,
    /// Whether the pairs of a list carry its key under `meta.batch_group`, so that a batch can hold all of them: the
    /// same response in many batches is repetition. Default: for [`PairScheme::All`].
    pub group_by_prompt: bool,
}

impl RankedPairs {
    /// With the defaults of the scheme.
    pub fn new(scheme: PairScheme) -> Self {
        Self {
            scheme,
            ties: ListTies::Drop,
            margin: (scheme == PairScheme::HalfShift).then_some(ListMargin::RankDistance),
            min_gap: None,
            min_chosen: None,
            group_by_prompt: scheme == PairScheme::All,
        }
    }

    pub(super) fn pairs_of<T: Candidates>(
        &self,
        list: &T,
        seed: u64,
        report: &mut OperatorReport,
    ) -> Result<Vec<Pair>> {
        let scores = list.scores();
        let ranks = list.ranks().map(|ranks| ranks.into_iter().map(|rank| -f64::from(rank)).collect());
        let order: Vec<f64> = ranks.or_else(|| scores.clone()).unwrap_or_default();
        let key = record_key(list);
        let mut rng = keyed_stream(seed, "ranked_pairs", &key);
        let mut pairs = Vec::new();
        for two in list_pairs(&order, self.scheme, |below| rng.random_range(0..below))? {
            let values =
                scores.as_ref().and_then(|scores| Some((*scores.get(two.chosen)?, *scores.get(two.rejected)?)));
            let reason = match values {
                _ if two.tied && self.ties == ListTies::Drop => Some("tied"),
                Some((chosen, rejected)) if self.min_gap.is_some_and(|min| chosen - rejected < min) => {
                    Some("small_gap")
                }
                Some((chosen, _)) if self.min_chosen.is_some_and(|min| chosen < min) => Some("low_chosen"),
                _ => None,
            };
            if let Some(reason) = reason {
                report.add(reason);
                continue;
            }
            let ways = if two.tied && self.ties == ListTies::Half { 2 } else { 1 };
            for way in 0..ways {
                let (chosen, rejected) = if way == 0 { (two.chosen, two.rejected) } else { (two.rejected, two.chosen) };
                let Ok(mut pair) = list.pair(chosen, rejected) else {
                    report.add("invalid");
                    continue;
                };
                if two.tied {
                    pair.set_p_chosen(Some(0.5));
                    pair.set_weight(pair.weight() / f64::from(ways));
                } else {
                    pair.set_margin(match self.margin {
                        None => None,
                        Some(ListMargin::RankDistance) => Some(rank_distance(&order, chosen, rejected)),
                        Some(ListMargin::ScoreGap) => values.map(|(chosen, rejected)| chosen - rejected),
                    });
                }
                if self.group_by_prompt {
                    let group = if list.id().is_empty() { &key } else { list.id() };
                    pair.meta_mut().insert("batch_group".to_owned(), group.to_owned().into());
                }
                pairs.push(pair);
            }
        }
        Ok(pairs)
    }
}

impl<T: Candidates> Operator<T> for RankedPairs {
    type Out = Pair;

    fn name(&self) -> &'static str {
        "ranked_pairs"
    }

    fn options(&self) -> Value {
        options_of(self)
    }

    fn check(&self) -> Result<()> {
        for (name, limit) in [("min_gap", self.min_gap), ("min_chosen", self.min_chosen)] {
            check_domain(limit.is_none_or(f64::is_finite), name, "finite", limit.unwrap_or(0.0))?;
        }
        Ok(())
    }

    fn apply(&self, records: Vec<T>, seed: u64) -> Result<Curated<T, Pair>> {
        apply_each(self, records, seed)
    }
}

impl<T: Candidates> RecordOperator<T> for RankedPairs {
    fn judge(&self, record: T, seed: u64, report: &mut OperatorReport) -> Verdict<T, Pair> {
        if record.ranks().is_none() && record.scores().is_none() {
            return Verdict::Drop(record, "unranked");
        }
        match self.pairs_of(&record, seed, report) {
            Ok(pairs) => Verdict::many_or(pairs, record, "no_pair"),
            Err(Error::Item { .. }) => Verdict::Drop(record, "nonfinite"),
            Err(_) => Verdict::Drop(record, "unranked"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::curation::testing::List;

    fn pairs(scores: &[f64], scheme: PairScheme) -> Vec<(usize, usize)> {
        let pairs = list_pairs(scores, scheme, |_| 0).unwrap();
        pairs.iter().map(|pair| (pair.chosen, pair.rejected)).collect()
    }

    #[test]
    fn ranks_1_2_2_4_give_the_pairs_of_the_specification() {
        let ranked = [-1.0, -2.0, -2.0, -4.0];
        let tied = |scheme| list_pairs(&ranked, scheme, |_| 0).unwrap().iter().filter(|pair| pair.tied).count();
        assert_eq!(pairs(&ranked, PairScheme::All).len(), 6);
        assert_eq!(tied(PairScheme::All), 1);
        assert_eq!(pairs(&ranked, PairScheme::BestVsWorst), [(0, 3)]);
        assert_eq!(pairs(&ranked, PairScheme::Adjacent), [(0, 1), (0, 2), (1, 3), (2, 3)]);
        assert_eq!(tied(PairScheme::Adjacent), 0);
    }

    #[test]
    fn each_scheme_makes_its_pairs_of_five() {
        // from best to worst: 3, 1, 0, 4, 2
        let scores = [3.0, 4.0, 1.0, 5.0, 2.0];
        assert_eq!(pairs(&scores, PairScheme::BestVsWorst), [(3, 2)]);
        assert_eq!(pairs(&scores, PairScheme::BestVsRest), [(3, 1), (3, 0), (3, 4), (3, 2)]);
        assert_eq!(pairs(&scores, PairScheme::Adjacent), [(3, 1), (1, 0), (0, 4), (4, 2)]);
        assert_eq!(pairs(&scores, PairScheme::All).len(), 10);
        assert_eq!(pairs(&scores, PairScheme::All)[4..6], [(1, 0), (1, 4)]);
        assert_eq!(pairs(&scores, PairScheme::TopVsBottomHalf), [(3, 4), (3, 2), (1, 4), (1, 2)]);
        assert_eq!(pairs(&scores, PairScheme::Mirror), [(3, 2), (1, 4)]);
        assert_eq!(pairs(&scores, PairScheme::HalfShift), [(3, 4), (1, 2)]);
        assert_eq!(pairs(&scores[..4], PairScheme::HalfShift), [(3, 0), (1, 2)]);
        assert_eq!(pairs(&scores[..4], PairScheme::TopVsBottomHalf).len(), 4);
    }

    #[test]
    fn the_random_opponent_of_the_best_is_a_worse_one() {
        let draw = |at| {
            list_pairs(&[2.0, 3.0, 3.0, 1.0], PairScheme::BestVsRandom, |below| {
                assert_eq!(below, 2, "one of the two others ties with the best");
                at
            })
        };
        assert_eq!(draw(0).unwrap(), [ListPair { chosen: 1, rejected: 0, tied: false }]);
        assert_eq!(draw(1).unwrap(), [ListPair { chosen: 1, rejected: 3, tied: false }]);
        let tied = list_pairs(&[1.0, 1.0], PairScheme::BestVsRandom, |_| unreachable!()).unwrap();
        assert_eq!(tied, [ListPair { chosen: 0, rejected: 1, tied: true }]);
    }

    #[test]
    fn short_lists_make_no_pairs_and_nan_is_an_error() {
        assert_eq!((pairs(&[], PairScheme::All), pairs(&[1.0], PairScheme::Mirror)), (vec![], vec![]));
        assert!(matches!(list_pairs(&[1.0, f64::NAN], PairScheme::All, |_| 0), Err(Error::Item { index: 1, .. })));
        assert_eq!(rank_distance(&[4.0, 3.0, 3.0, 1.0], 0, 3), 1.0);
        assert_eq!(rank_distance(&[4.0, 3.0, 3.0, 1.0], 2, 3), 2.0 / 3.0);
        assert_eq!((rank_distance(&[1.0], 0, 0), rank_distance(&[2.0, 1.0], 0, 2)), (0.0, 0.0));
        assert_eq!(rank_distance(&[2.0, 1.0, 0.0], 2, 1), -0.5);
    }

    #[test]
    fn lists_become_pairs_with_margins_groups_and_counts() {
        let list = List::scored("q", &[4.0, 3.0, 3.0, 1.0]);
        let all =
            RankedPairs { margin: Some(ListMargin::ScoreGap), min_gap: Some(2.0), ..RankedPairs::new(PairScheme::All) };
        let curated = all.apply(vec![list.clone()], 0).unwrap();
        let made: Vec<_> = curated.records.iter().map(|pair| (pair.chosen.as_plain().unwrap(), pair.margin)).collect();
        assert_eq!(made, [("answer 0", Some(3.0)), ("answer 1", Some(2.0)), ("answer 2", Some(2.0))]);
        assert_eq!((curated.report.count("tied"), curated.report.count("small_gap")), (1, 2));
        assert_eq!(curated.records[0].meta()["batch_group"], "q");
        assert_eq!((curated.report.inputs, curated.report.converted, curated.report.outputs), (1, 1, 3));
        let good = RankedPairs { min_chosen: Some(3.5), ..RankedPairs::new(PairScheme::Adjacent) };
        let curated = good.apply(vec![list.clone()], 0).unwrap();
        assert_eq!((curated.records.len(), curated.report.count("low_chosen")), (2, 2));
        assert_eq!((curated.records[0].margin, curated.records[0].meta().get("batch_group")), (None, None));
        let shifted = RankedPairs::new(PairScheme::HalfShift).apply(vec![list], 0).unwrap();
        let margins: Vec<_> = shifted.records.iter().map(|pair| pair.margin).collect();
        assert_eq!(margins, [Some(1.0 / 3.0), Some(2.0 / 3.0)], "ranks 1, 2, 2, 4 by (0, 2) and (1, 3)");
    }

    #[test]
    fn ties_make_no_pair_or_two_halves_or_a_soft_one() {
        let apply = |ties| {
            let pairs =
                RankedPairs { ties, margin: Some(ListMargin::ScoreGap), ..RankedPairs::new(PairScheme::BestVsWorst) };
            pairs.apply(vec![List::scored("q", &[1.0, 1.0])], 0).unwrap()
        };
        let dropped = apply(ListTies::Drop);
        assert_eq!((dropped.report.dropped["no_pair"], dropped.report.count("tied")), (1, 1));
        let half = apply(ListTies::Half).records;
        let sides: Vec<_> =
            half.iter().map(|p| (p.chosen.as_plain().unwrap(), p.p_chosen, p.weight(), p.margin)).collect();
        assert_eq!(sides, [("answer 0", Some(0.5), 0.5, None), ("answer 1", Some(0.5), 0.5, None)]);
        let soft = apply(ListTies::Soft).records;
        assert_eq!((soft.len(), soft[0].p_chosen, soft[0].weight()), (1, Some(0.5), 1.0));
    }

    #[test]
    fn ranks_decide_and_lists_without_them_or_with_equal_texts_are_named() {
        let ranked = List { ranks: Some(vec![2, 1]), ..List::scored("q", &[5.0, 1.0]) };
        let best = RankedPairs::new(PairScheme::BestVsWorst);
        assert_eq!(best.apply(vec![ranked], 0).unwrap().records[0].chosen.as_plain(), Some("answer 1"));
        let unranked = List { scores: None, ..List::scored("q", &[1.0, 2.0]) };
        let odd = List::scored("q", &[f64::NAN, 2.0]);
        let mut same = List::scored("q", &[1.0, 2.0]);
        same.completions[1] = same.completions[0].clone();
        let report = best.apply(vec![unranked, odd, same], 0).unwrap().report;
        assert_eq!((report.dropped["unranked"], report.dropped["nonfinite"], report.dropped["no_pair"]), (1, 1, 1));
        assert_eq!(report.count("invalid"), 1);
        let nan = RankedPairs { min_gap: Some(f64::NAN), ..best };
        assert!(Operator::<List>::check(&nan).unwrap_err().to_string().starts_with("`min_gap`"));
    }

    #[test]
    fn the_random_opponent_depends_on_the_seed_and_the_list_alone() {
        let lists: Vec<_> = (0..40).map(|i| List::scored(&format!("q{i}"), &[9.0, 1.0, 2.0, 3.0])).collect();
        let random = RankedPairs::new(PairScheme::BestVsRandom);
        let made = |lists: Vec<List>, seed| random.apply(lists, seed).unwrap().records;
        let all = made(lists.clone(), 1);
        assert_eq!(made(lists[20..].to_vec(), 1), all[20..]);
        assert_ne!(made(lists, 2), all);
        let opponents: std::collections::BTreeSet<_> = all.iter().map(|pair| pair.rejected.as_plain()).collect();
        assert_eq!(opponents.len(), 3, "each of three worse ones in 40 draws");
    }
}
