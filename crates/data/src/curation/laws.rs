//! Laws that all operators obey, on records made by proptest.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{
    access::{HasMeta, HasSplit, Preference},
    ches_filter::ChesFilter,
    column::Column,
    curriculum::Curriculum,
    decontaminate::{Benchmark, Decontaminate},
    dedup::Dedup,
    factuality::FactualityFlip,
    keep_quantiles::KeepQuantiles,
    keys::Key,
    label_noise::LabelNoise,
    length_balance::{CapLengthRatio, LengthControlMargin, MatchLengths, ReweightLengths},
    margin_filter::MarginFilter,
    near_duplicates::NearDuplicates,
    operator::{Curated, Operator, RecordOperator},
    pipeline::Pipeline,
    prompt_cap::PromptCap,
    ranked_pairs::{PairScheme, RankedPairs},
    rejection_sampling::RejectionSampling,
    reward_augmented::RewardAugmented,
    split::Split,
    testing::List,
};
use crate::Pair;

/// Pairs of few texts, so that duplicates and contradictions occur.
fn pairs() -> impl Strategy<Value = Vec<Pair>> {
    let texts = ("[ab]( [ab]){0,3}", "[xy]{1,3}", "[zw]{1,9}", any::<bool>());
    let numbers = (
        proptest::option::of((-3i8..4, -3i8..4)),
        proptest::option::of((any::<bool>(), any::<bool>())),
        proptest::option::of(-4i8..5),
    );
    let pair = (texts, numbers).prop_map(|((prompt, one, other, turned), (scores, factual, noise))| {
        let (chosen, rejected) = if turned { (other, one) } else { (one, other) };
        let mut pair = Pair::new(prompt, chosen, rejected).unwrap();
        pair.score_chosen = scores.map(|scores| f64::from(scores.0));
        pair.score_rejected = scores.map(|scores| f64::from(scores.1));
        pair.chosen_factual = factual.map(|factual| factual.0);
        pair.rejected_factual = factual.map(|factual| factual.1);
        if let Some(noise) = noise {
            pair.meta_mut().insert("d".into(), vec![f64::from(noise), f64::from(noise) / 2.0].into());
        }
        pair
    });
    proptest::collection::vec(pair, 0..25)
}

fn lists() -> impl Strategy<Value = Vec<List>> {
    let list = ("[a-c]{1,2}", proptest::collection::vec(-3i8..4, 1..6));
    let list =
        list.prop_map(|(prompt, scores)| List::scored(&prompt, &scores.into_iter().map(f64::from).collect::<Vec<_>>()));
    proptest::collection::vec(list, 0..12)
}

/// Every operator from pairs to pairs.
fn all_operators() -> Vec<Box<dyn Operator<Pair, Out = Pair>>> {
    let characters = Column::<Pair, (f64, f64)>::characters;
    vec![
        Box::new(LabelNoise::new(Column::meta("d"))),
        Box::new(MarginFilter { min_margin: Some(1.0), ..MarginFilter::new(Column::margin()) }),
        Box::new(KeepQuantiles { column: Column::margin(), low: 0.2, high: 0.8 }),
        Box::new(ChesFilter::new(Column::margin())),
        Box::new(Decontaminate::new(Benchmark::new(["a b"], 2).unwrap())),
        Box::new(Dedup { key: Key::Unordered, ..Dedup::default() }),
        Box::new(FactualityFlip::default()),
        Box::new(MatchLengths::new(characters())),
        Box::new(CapLengthRatio { lengths: characters(), max_ratio: 2.0 }),
        Box::new(ReweightLengths::new(characters())),
        Box::new(LengthControlMargin { lengths: characters(), margin: Column::margin() }),
        Box::new(NearDuplicates { shingle_len: 2, ..NearDuplicates::default() }),
        Box::new(PromptCap::new(2)),
        Box::new(RewardAugmented::default()),
        Box::new(Split::test(0.3, Column::by_prompt())),
    ]
}

/// Those that look at each record by itself, and so do not mind shards.
fn record_operators() -> Vec<Box<dyn Operator<Pair, Out = Pair>>> {
    vec![
        Box::new(MarginFilter { min_margin: Some(1.0), ..MarginFilter::new(Column::margin()) }),
        Box::new(Decontaminate::new(Benchmark::new(["a b"], 2).unwrap())),
        Box::new(FactualityFlip { drop_both_false: true }),
        Box::new(CapLengthRatio { lengths: Column::characters(), max_ratio: 2.0 }),
        // Each prompt's side is its own; only the counts need all records.
        Box::new(Split::test(0.3, Column::by_prompt())),
        Box::new(RewardAugmented::default()),
    ]
}

fn sorted<T: serde::Serialize>(records: &[T]) -> Vec<String> {
    let mut lines: Vec<String> = records.iter().map(|record| serde_json::to_string(record).unwrap()).collect();
    lines.sort_unstable();
    lines
}

fn check_conserved<T, Out>(curated: &Curated<T, Out>, inputs: usize) {
    let report = &curated.report;
    assert!(report.is_conserved(), "{report}");
    assert_eq!((report.inputs, report.outputs), (inputs, curated.records.len()), "{report}");
    let mut dropped: BTreeMap<&str, usize> = BTreeMap::new();
    curated.dropped.iter().for_each(|one| *dropped.entry(one.reason).or_default() += 1);
    assert_eq!(dropped, report.dropped, "{report}");
    assert!(curated.dropped.windows(2).all(|two| two[0].index < two[1].index));
    assert!(report.options.is_object() || report.options.is_null(), "{report}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn d42_no_operator_loses_a_record_and_each_says_which_it_dropped(records in pairs(), seed: u64) {
        for operator in all_operators() {
            let curated = operator.apply(records.clone(), seed).unwrap();
            check_conserved(&curated, records.len());
            for dropped in &curated.dropped {
                prop_assert_eq!(&dropped.record, &records[dropped.index], "{}", operator.name());
            }
        }
    }

    #[test]
    fn d27_the_same_seed_gives_the_same_result(records in pairs(), seed: u64) {
        for operator in all_operators() {
            let once = operator.apply(records.clone(), seed).unwrap();
            prop_assert_eq!(once, operator.apply(records.clone(), seed).unwrap(), "{}", operator.name());
        }
    }

    #[test]
    fn d27_permuting_or_sharding_changes_nothing_but_the_order(records in pairs(), seed: u64, at in 0usize..25) {
        for operator in record_operators() {
            let whole = operator.apply(records.clone(), seed).unwrap();
            let mut reversed = records.clone();
            reversed.reverse();
            let reversed = operator.apply(reversed, seed).unwrap();
            prop_assert_eq!(sorted(&whole.records), sorted(&reversed.records), "{}", operator.name());
            prop_assert_eq!(&whole.report.dropped, &reversed.report.dropped);
            let (left, right) = records.split_at(at.min(records.len()));
            let parts = [left, right].map(|part| operator.apply(part.to_vec(), seed).unwrap().records);
            prop_assert_eq!(&parts.concat(), &whole.records, "{}", operator.name());
        }
    }

    #[test]
    fn no_label_changes_without_a_note(records in pairs(), seed: u64) {
        for operator in all_operators() {
            let curated = operator.apply(records.clone(), seed).unwrap();
            let labels: Vec<_> = records.iter().map(|pair| (pair.chosen(), pair.rejected(), pair.p_chosen())).collect();
            for pair in &curated.records {
                let as_it_was = labels.contains(&(pair.chosen(), pair.rejected(), pair.p_chosen()));
                // The other way round may stand in the input too; a note is never wrong.
                prop_assert!(as_it_was || pair.meta().contains_key("relabelled"), "{}", operator.name());
            }
        }
    }

    #[test]
    fn pairs_of_lists_are_conserved_and_depend_on_the_list_alone(lists in lists(), seed: u64, at in 0usize..12) {
        let schemes = [
            PairScheme::BestVsWorst,
            PairScheme::BestVsRest,
            PairScheme::BestVsRandom,
            PairScheme::Adjacent,
            PairScheme::All,
            PairScheme::TopVsBottomHalf,
            PairScheme::Mirror,
            PairScheme::HalfShift,
        ];
        let mut operators: Vec<Box<dyn Operator<List, Out = Pair>>> = vec![Box::new(RejectionSampling::default())];
        for scheme in schemes {
            operators.push(Box::new(RankedPairs::new(scheme)));
        }
        for operator in &operators {
            let whole = operator.apply(lists.clone(), seed).unwrap();
            check_conserved(&whole, lists.len());
            let (left, right) = lists.split_at(at.min(lists.len()));
            let parts = [left, right].map(|part| operator.apply(part.to_vec(), seed).unwrap().records);
            prop_assert_eq!(&parts.concat(), &whole.records, "{}", operator.name());
        }
        check_conserved(&Curriculum::default().apply(lists.clone(), seed).unwrap(), lists.len());
    }

    #[test]
    fn deduplicated_records_have_no_duplicate_and_a_second_pass_drops_nothing(records in pairs(), seed: u64) {
        let once = Dedup::default().apply(records, seed).unwrap().records;
        prop_assert_eq!(&Dedup::default().apply(once.clone(), seed).unwrap().records, &once);
    }

    #[test]
    fn d27_a_stream_and_all_cores_give_what_the_operator_gives(records in pairs(), seed: u64) {
        let filter = MarginFilter { min_margin: Some(1.0), ..MarginFilter::new(Column::margin()) };
        let mut stream = filter.stream(records.clone(), seed).unwrap();
        let streamed: Vec<Pair> = stream.by_ref().collect();
        prop_assert_eq!(&filter.apply_parallel(records.clone(), seed).unwrap().records, &streamed);
        let curated = filter.apply(records, seed).unwrap();
        prop_assert_eq!(&streamed, &curated.records);
        prop_assert_eq!(stream.report(), &curated.report);
    }
}

#[test]
fn d42_a_pipeline_says_how_many_records_survived_and_why() {
    let pair = |prompt: &str, score: f64| {
        let mut pair = super::testing::scored(prompt, score, 1.0);
        pair.set_margin(Some(score - 1.0));
        pair
    };
    let records = vec![pair("a", 3.0), pair("a", 3.0), pair("b", 1.0), pair("c", 4.0), pair("d", 2.0)];
    let (records, report) = Pipeline::new(records, 1)
        .then(&Dedup::default())
        .unwrap()
        .then(&MarginFilter { min_margin: Some(1.5), drop_equal: true, ..MarginFilter::new(Column::margin()) })
        .unwrap()
        .then(&Split::test(0.0, Column::by_prompt()))
        .unwrap()
        .finish();
    assert!(report.is_conserved());
    assert!(records.iter().all(|record| record.split() == Some("train")));
    let table = "\
operator       in  out  dropped
dedup           5    4  duplicate 1
margin_filter   4    2  equal 1, small_margin 1
split           2    2";
    assert_eq!(report.to_string(), table);
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["steps"][1]["options"]["min_margin"], 1.5);
}
