//! What a check says: the same on every run, readable when a law does not hold, and strict about exceptions.

use accordant_laws::{Loss, Property, Subject, Tensors, check, check_all, law_names, reduces_to};
use burn::tensor::Device;
use toys::{
    lists::{self, Lists},
    pairs::{Form, Mistake, Pairs},
    rollouts,
    singles::{self, Singles},
};

mod toys;

fn subject(loss: &Pairs) -> Subject<'_> {
    Subject::pairwise("toy", loss).on(Device::flex())
}

#[test]
fn a_violation_shows_the_law_what_was_expected_what_came_and_the_batch() {
    let loss = Pairs::new(Form::Dpo, Mistake::None);
    let violation = check(&subject(&loss).declare(Property::AtReference(1.0))).unwrap_err();
    // ln 2 on the smallest batch there is: one pair of one token each.
    let expected = "`toy` breaks the law \"at the reference\"
expected: with the reference equal to the policy, loss 1 of item 0
got:      0.6931471805599453
on the batch (shrunk)
  item 0
    response 0
      policy             -1
      reference          -1
    response 1
      policy             -1
      reference          -1";
    assert_eq!(violation.to_string(), expected);
}

#[test]
fn two_runs_give_the_same_report_and_the_same_violations() {
    let (right, wrong) = (Pairs::new(Form::Dpo, Mistake::None), Pairs::new(Form::Dpo, Mistake::WeightIgnored));
    assert_eq!(check(&subject(&right)).unwrap(), check(&subject(&right)).unwrap());
    assert_eq!(check_all(&subject(&wrong)), check_all(&subject(&wrong)));
}

#[test]
fn every_law_of_the_subject_is_in_the_report() {
    let loss = Pairs::new(Form::Dpo, Mistake::None);
    let subject = subject(&loss).declare(Property::ShiftInvariant);
    let report = check(&subject).unwrap();
    let ran: Vec<&str> = report.laws.iter().map(|ran| ran.law.as_str()).collect();
    assert_eq!(ran, law_names(&subject));
    assert!(ran.contains(&"shift invariance") && ran.contains(&"shape of `margins`"));
    assert!(report.laws.iter().all(|ran| ran.cases > 0), "{report:?}");
}

#[test]
fn an_exception_is_printed_with_its_reason_and_must_be_one() {
    let loss = Pairs::new(Form::Dpo, Mistake::NaiveSoftplus);
    let lenient = subject(&loss).except("f32", "a toy for f64").except("finite", "and for small margins");
    let lenient = lenient.except("finite differences", "of few digits");
    let report = check(&lenient).unwrap().to_string();
    assert!(report.contains("not \"f32\": a toy for f64"), "{report}");
    let violation = check(&subject(&loss).except("f23", "a typing error")).unwrap_err();
    assert_eq!((violation.law.as_str(), violation.got.as_str()), ("exceptions", "f23"));
    assert_eq!(check_all(&subject(&loss).except("f23", "a typing error")), [violation]);
}

#[test]
fn a_hook_that_is_said_to_be_missing_must_be_refused() {
    let loss = Pairs::new(Form::Dpo, Mistake::None);
    let violation = check(&subject(&loss).declare(Property::NoHook("margins"))).unwrap_err();
    assert_eq!(violation.law, "no `margins`");
    assert!(violation.got.starts_with("losses"), "{violation}");
    let found = check_all(&subject(&loss).declare(Property::NoHook("betas")));
    assert_eq!(found, [], "the toy refuses what it does not know");
}

#[test]
fn a_claim_too_strong_is_a_violation() {
    let loss = Pairs::new(Form::Ipo, Mistake::None);
    for (claim, law) in [
        (Property::DecreasingInChosen, "decreasing in chosen"),
        (Property::ReferenceFree, "reference-free"),
        (Property::ShiftInvariantPerToken, "shift invariance per token"),
        (Property::ShiftSensitive, "shift sensitivity"),
        (Property::UpperBound(100.0), "upper bound"),
        (Property::LowerBound(0.5), "lower bound"),
        (Property::SwapDifference(1.0), "swap difference"),
        (Property::MarginShifts { beta: 1.0 }, "margin shifts"),
    ] {
        let found = check_all(&subject(&loss).declare(claim));
        let names: Vec<&str> = found.iter().map(|violation| violation.law.as_str()).collect();
        assert_eq!(names, [law], "{claim:?}");
    }
    let clipped = Pairs::new(Form::Dpo, Mistake::Clipped);
    assert_eq!(check(&subject(&clipped).declare(Property::ConvexInMargin)).unwrap_err().law, "convex");
}

#[test]
fn a_claim_about_other_data_is_said_to_be_one() {
    let (pairs, singles) =
        (Pairs::new(Form::Dpo, Mistake::None), Singles { form: singles::Form::Zero, mistake: singles::Mistake::None });
    let lists = Lists { mistake: lists::Mistake::None };
    let (pairs, singles) = (subject(&pairs), Subject::unpaired("singles", &singles).on(Device::flex()));
    let lists = Subject::listwise("lists", &lists).on(Device::flex());
    let rollouts = Subject::rollouts("rollouts", &rollouts::GRPO).on(Device::flex());
    for (subject, claim) in [
        (&pairs, Property::DecreasingInDesirable),
        (&pairs, Property::IncreasingInUndesirable),
        (&pairs, Property::TiesSayNothing),
        (&pairs, Property::PermutationOfCandidates),
        (&singles, Property::DecreasingInChosen),
        (&singles, Property::IncreasingInRejected),
        (&singles, Property::SwapDifference(1.0)),
        (&singles, Property::MarginShifts { beta: 1.0 }),
        (&lists, Property::SwapDifferencePerToken(1.0)),
        (&lists, Property::LabelProbMixes),
        (&lists, Property::IncreasingInUndesirable),
        (&lists, Property::ZeroSumGroups),
        (&pairs, Property::Learns("values")),
        (&pairs, Property::WholeGroups),
        (&rollouts, Property::ShiftInvariant),
        (&rollouts, Property::BatchStatistics),
        (&rollouts, Property::TiesSayNothing),
    ] {
        let subject = subject.clone().declare(claim);
        let violation = check(&subject).unwrap_err();
        assert_eq!(violation.law, "properties", "{claim:?}");
        assert!(violation.got.starts_with(&format!("{claim:?}")), "{violation}");
        assert_eq!(check_all(&subject), [violation]);
    }
}

#[test]
fn a_claim_about_a_hook_that_is_not_there_is_not_taken_for_granted() {
    let loss = Pairs::new(Form::Dpo, Mistake::None);
    let hookless = |t: &Tensors| match ["margins", "label_probs"].iter().find(|name| t.columns.contains_key(*name)) {
        Some(name) => Err(format!("`{name}` is no column of this loss")),
        None => loss.evaluate(t),
    };
    for (claim, hook) in [
        (Property::MarginShifts { beta: 3.0 }, "margins"),
        (Property::MarginShiftsPerToken { beta: 3.0 }, "margins"),
        (Property::LabelProbMixes, "label_probs"),
    ] {
        let subject = Subject::pairwise("toy", &hookless).on(Device::flex());
        let subject = subject.declare(Property::NoHook("margins")).declare(Property::NoHook("label_probs"));
        let violation = check(&subject.declare(claim)).unwrap_err();
        assert_eq!(violation.law, "properties", "{violation}");
        assert_eq!(violation.expected, format!("the hook `{hook}`, which the property is about"));
    }
}

#[test]
fn a_loss_that_refuses_weights_can_obey_the_laws() {
    fn unweighted(loss: &dyn Loss) -> impl Fn(&Tensors) -> Result<accordant_laws::Evaluated, String> {
        move |t| match t.columns.contains_key("weights") {
            true => Err("`weights` is no column of this loss".to_owned()),
            false => loss.evaluate(t),
        }
    }
    let (singles, lists) = (
        Singles { form: singles::Form::Zero, mistake: singles::Mistake::None },
        Lists { mistake: lists::Mistake::None },
    );
    let (singles, lists) = (unweighted(&singles), unweighted(&lists));
    let lists = Subject::listwise("lists", &lists).declare(Property::TiesSayNothing);
    for subject in [Subject::unpaired("singles", &singles), lists] {
        let subject = subject.on(Device::flex()).declare(Property::NoHook("weights"));
        check(&subject).unwrap_or_else(|violation| panic!("{violation}"));
    }
}

#[test]
fn no_cases_at_all_are_no_proof() {
    // In a process of its own, where the variable disturbs no other test.
    match std::env::var("PROPTEST_CASES").as_deref() {
        Ok("0") => {
            let (one, other) = (Pairs::new(Form::Ipo, Mistake::None), Pairs::new(Form::Dpo, Mistake::None));
            reduces_to(&subject(&one), &subject(&other), 1e-9).unwrap_err();
        }
        _ => {
            let this = std::env::current_exe().expect("the test knows where it is");
            let mut child = std::process::Command::new(this);
            let child = child.args(["--exact", "no_cases_at_all_are_no_proof"]).env("PROPTEST_CASES", "0");
            assert!(child.output().expect("a test can run").status.success());
        }
    }
}
