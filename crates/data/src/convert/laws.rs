//! Laws of all conversions: no input is lost, and what comes out holds together.

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::record::{Pair, Record, arbitrary};

fn check<T: Into<Record> + Clone>(
    records: &[T],
    report: &ConversionReport,
    inputs: usize,
) -> Result<(), TestCaseError> {
    prop_assert!(report.is_conserved(), "{}", report);
    prop_assert_eq!((report.inputs, report.outputs), (inputs, records.len()));
    for record in records {
        let record: Record = record.clone().into();
        prop_assert_eq!(record.validate(), Ok(()));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_comparison_is_lost(comparisons in vec(arbitrary::comparison(), 0..5)) {
        let n = comparisons.len();
        for tie_policy in [TiePolicy::Drop, TiePolicy::Half, TiePolicy::Soft, TiePolicy::Reject] {
            let options = OrientOptions { tie_policy, ..OrientOptions::default() };
            let (made, report) = orient(comparisons.clone(), &options);
            check(&made, &report, n)?;
            // Exchanging the sides of every comparison changes no winner.
            let swapped: Vec<_> = comparisons.iter().cloned().map(crate::Comparison::swapped).collect();
            let (mirrored, _) = orient(swapped, &options);
            if tie_policy == TiePolicy::Drop {
                let sides = |pairs: &[Pair]| pairs.iter().map(|p| (p.chosen.clone(), p.strength)).collect::<Vec<_>>();
                prop_assert_eq!(sides(&made), sides(&mirrored));
            }
        }
        let (made, report) = both_orders(comparisons);
        check(&made, &report, n)?;
    }

    #[test]
    fn no_pair_is_lost_and_a_comparison_of_it_gives_it_back(
        pairs in vec(arbitrary::pair(), 0..5), seed in 0..9_u64, least in -1.0..1.0,
    ) {
        let n = pairs.len();
        let (made, report) = pair_to_comparison(pairs.clone(), SideRule::Random(seed));
        check(&made, &report, n)?;
        let (back, _) = orient(made, &OrientOptions::default());
        let plain: Vec<_> = pairs.iter().filter(|pair| pair.prompt_rejected.is_none()).collect();
        prop_assert_eq!(plain.len(), back.len());
        for (pair, back) in plain.into_iter().zip(back) {
            prop_assert_eq!((&pair.prompt, &pair.chosen, &pair.rejected), (&back.prompt, &back.chosen, &back.rejected));
            prop_assert_eq!((pair.strength, &pair.chosen_source), (back.strength, &back.chosen_source));
        }
        let (made, report) = pair_to_sft(pairs.clone());
        check(&made, &report, n)?;
        let options = UnpairOptions { min_score_chosen: Some(least), max_score_rejected: Some(least) };
        for options in [options, UnpairOptions::default()] {
            let (made, report) = pair_to_unpaired(pairs.clone(), &options);
            check(&made, &report, n)?;
            let left_out: usize = report.left_out.values().sum();
            prop_assert_eq!(made.len() + left_out, 2 * report.converted);
        }
    }

    #[test]
    fn no_step_edit_or_label_is_lost(
        answers in vec(arbitrary::stepwise(), 0..4),
        steps in vec(arbitrary::step_pair(), 0..4),
        edits in vec(arbitrary::edit(), 0..4),
        labels in vec(arbitrary::unpaired(), 0..6),
        cap in proptest::option::of(0..4_usize),
    ) {
        for rule in [StepRule::All, StepRule::Last, StepRule::Any, StepRule::Fraction(0.5)] {
            let (made, report) = stepwise_to_unpaired(answers.clone(), rule);
            check(&made, &report, answers.len())?;
        }
        let (made, report) = stepwise_to_sft(answers.clone());
        check(&made, &report, answers.len())?;
        let (made, report) = step_pair_to_pair(steps.clone());
        check(&made, &report, steps.len())?;
        prop_assert_eq!(made.len(), steps.len());
        let (pairs, accepted, report) = edit_to_pair(edits.clone());
        prop_assert!(report.is_conserved());
        prop_assert_eq!((report.converted, report.outputs), (edits.len(), pairs.len() + accepted.len()));
        let labels: Vec<_> = labels.into_iter().map(|mut one| { one.prompt = "q".into(); one }).collect();
        let labels: Vec<_> = labels.into_iter().filter(|one| one.completion.as_plain().is_some()).collect();
        let (made, report) = unpaired_to_pairs(labels.clone(), cap, 3);
        check(&made, &report, labels.len())?;
        prop_assert!(cap.is_none_or(|cap| made.len() <= cap));
    }
}
