//! The laws for lists are themselves tested: each mistake is caught by the law that is about it.

use accordant_laws::{Batch, Property, Subject, reduces_to_after};
use burn::tensor::Device;
use toys::{
    Wrong, expect_findings,
    lists::{Lists, Mistake},
    pairs::{Form, Mistake as PairMistake, Pairs},
};

mod toys;

fn subject(loss: &Lists) -> Subject<'_> {
    Subject::listwise("toy list", loss)
        .on(Device::flex())
        .declare(Property::ShiftInvariant)
        .declare(Property::DecreasingInChosen)
        .declare(Property::IncreasingInRejected)
        .declare(Property::PermutationOfCandidates)
        .declare(Property::TiesSayNothing)
        .declare(Property::LowerBound(0.0))
}

#[test]
fn mistakes_in_a_list() {
    let rows: &[(&str, Mistake, &str, &[&str])] = &[
        (
            "absent candidates counted",
            Mistake::AbsentCandidatesCounted,
            "absent candidates",
            &[
                "weight zero",
                "batch size",
                "micro-batches",
                "shift invariance",
                "increasing in rejected",
                "decreasing in chosen",
                "ties say nothing",
            ],
        ),
        (
            "absent candidates' scores read",
            Mistake::AbsentScoresRead,
            "absent candidates",
            &[
                "weight zero",
                "batch size",
                "micro-batches",
                "shift invariance",
                "increasing in rejected",
                "decreasing in chosen",
                "ties say nothing",
            ],
        ),
        ("ties compared", Mistake::TiesCompared, "ties say nothing", &["permutation of candidates"]),
        (
            "candidates' order for their scores",
            Mistake::OrderOfCandidates,
            "permutation of candidates",
            &["`scores` is read", "decreasing in chosen", "increasing in rejected", "ties say nothing"],
        ),
        ("only neighbors compared", Mistake::OnlyNeighbors, "permutation of candidates", &[]),
        ("pairs of the whole batch", Mistake::PairsOfTheBatch, "batch size", &["weight zero", "micro-batches"]),
        ("scores not detached", Mistake::ScoresNotDetached, "constants", &["absent candidates"]),
        ("low scores preferred", Mistake::LowScoresPreferred, "decreasing in chosen", &["increasing in rejected"]),
        ("lists weighted by pairs", Mistake::WeightOfPairs, "reduction", &[]),
        (
            "divided by the longest list",
            Mistake::CandidatesPerList,
            "absent candidates",
            &["weight zero", "batch size", "micro-batches"],
        ),
    ];
    let toys: Vec<Lists> = rows.iter().map(|(_, mistake, ..)| Lists { mistake: *mistake }).collect();
    let wrong = toys.iter().zip(rows).map(|(toy, &(mistake, _, law, others))| Wrong {
        mistake,
        subject: subject(toy),
        law,
        others,
    });
    let wrong: Vec<_> = wrong.collect();
    expect_findings(&subject(&Lists { mistake: Mistake::None }), &wrong);
}

#[test]
fn a_list_of_two_is_a_pair() {
    let (list, pair) = (Lists { mistake: Mistake::None }, Pairs::new(Form::Dpo, PairMistake::None));
    // The better one first, and nothing but the first two; equal scores would be no pair.
    let two = |batch: &Batch| {
        batch.map(|_, item| {
            item.responses.truncate(2);
            item.responses[0].columns.insert("scores", 1.0);
            item.responses[1].columns.insert("scores", 0.0);
        })
    };
    let (list, pair) = (subject(&list), Subject::pairwise("toy dpo", &pair).on(Device::flex()));
    reduces_to_after(&list, two, &pair, two, 1e-12).unwrap_or_else(|violation| panic!("{violation}"));
}
