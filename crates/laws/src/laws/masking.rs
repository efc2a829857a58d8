//! What is not scored, and who does not count, changes nothing.

use crate::{
    batch::{Batch, Item},
    compare::{ROUNDING, same, same_column, same_gradient},
    loss::{Gradient, Target},
    property::Property,
    report::Disagreement,
    runner::{Case, Law, Need, Outcome, Verdict},
    strategy::{Hooks, Inputs},
    subject::{Family, Subject},
    tensors::{Align, Ghost, Layout},
};

/// That a layout gives what the plain one gives.
pub(super) fn same_in(subject: &Subject, case: &Case, layout: &Layout) -> Result<Gradient, Disagreement> {
    let plain = subject.gradient(&case.batch, &Layout::default(), Target::Loss)?;
    let other = subject.gradient(&case.batch, layout, Target::Loss)?;
    same_gradient(&plain, &other)?;
    Ok(other)
}

/// Padding on either side, any amount, changes nothing.
pub(super) fn padding<'a>() -> Law<'a> {
    Law::new("padding", Inputs::default(), |subject, case| {
        let mut random = case.random();
        let align = if random.below(2) == 0 { Align::Left } else { Align::Right };
        let (before, after) = (random.below(4), 1 + random.below(3));
        let layout = Layout { before, after, align, policy_filler: -7.0, reference_filler: -2.5, ..Layout::default() };
        same_in(subject, case, &layout)?;
        Ok(Verdict::Holds)
    })
}

/// Positions in the middle of a response that are not scored change nothing.
pub(super) fn masked_columns<'a>() -> Law<'a> {
    Law::new("masked columns", Inputs::default(), |subject, case| {
        let gap = 1 + case.random().below(2);
        same_in(subject, case, &Layout { gap, policy_filler: -3.0, reference_filler: -0.5, ..Layout::default() })?;
        Ok(Verdict::Holds)
    })
}

/// A NaN, an infinity or a huge number behind the mask changes nothing and gets gradient 0.
pub(super) fn behind_the_mask<'a>() -> Law<'a> {
    Law::new("behind the mask", Inputs::default(), |subject, case| {
        let fillers = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300];
        let mut random = case.random();
        let (policy_filler, reference_filler) = (fillers[random.below(4)], fillers[random.below(4)]);
        // Of rollouts between the tokens, too: there may be what a tool has said.
        let gap = usize::from(subject.family == Family::Rollouts && random.below(2) == 0);
        let layout = Layout { before: 1, after: 1, gap, policy_filler, reference_filler, ..Layout::default() };
        let what = format!("the policy has {policy_filler:?}, the reference {reference_filler:?} behind the mask");
        let found = same_in(subject, case, &layout).map_err(|found| note(found, &what))?;
        match found.behind_the_mask.iter().all(|gradient| *gradient == 0.0) {
            true => Ok(Verdict::Holds),
            false => {
                let got = format!("{:?}", found.behind_the_mask);
                Err(note(Disagreement::new("gradient 0 behind the mask", got), &what))
            }
        }
    })
}

fn note(found: Disagreement, what: &str) -> Disagreement {
    Disagreement { expected: format!("{} ({what})", found.expected), ..found }
}

/// An item that does not count gets gradient exactly 0 and changes nothing for the others, whatever finite value it
/// holds. Whether a list with an empty candidate counts is a matter of the method: without weights all of its items do.
pub(super) fn weight_zero<'a>(subject: &Subject) -> Option<Law<'a>> {
    let by_weight_alone = matches!(subject.family, Family::Lists | Family::Rollouts);
    if by_weight_alone && !subject.honors("weights") {
        return None;
    }
    let inputs = Inputs { items: 2..=4, hooks: Hooks::Only(&["weights"]), ..Inputs::default() };
    let law = Law::new("weight zero", inputs, weight_zero_holds);
    Some(law.needs(Need::One, "an item that can be left out: with a weight, or with an empty response"))
}

fn weight_zero_holds(subject: &Subject, case: &Case) -> Outcome {
    let mut random = case.random();
    let silent = random.below(case.batch.items.len());
    let empty = subject.family != Family::Lists && (random.below(2) == 0 || !subject.honors("weights"));
    let huge = [-1e4, -1e-6, 0.0, -300.0];
    let mut silence = |item: &mut Item| {
        let responses = item.responses.iter_mut();
        for (policy, reference) in
            responses.flat_map(|response| response.policy.iter_mut().zip(&mut response.reference))
        {
            (*policy, *reference) = (huge[random.below(4)], huge[random.below(4)]);
        }
        if empty {
            let response = &mut item.responses[random.below(subject.family.num_responses())];
            response.clear();
        } else {
            item.columns.insert("weights", 0.0);
        }
    };
    let mut batch: Batch = case.batch.clone();
    silence(&mut batch.items[silent]);
    let found = subject.gradient(&batch, &Layout::default(), Target::Loss)?;
    let touched: Vec<f64> = found.scored[silent].iter().flatten().copied().collect();
    if touched.iter().any(|gradient| *gradient != 0.0) {
        let expected = format!("gradient 0 for item {silent}, which has weight 0 or an empty response");
        let made = Batch { items: vec![batch.items[silent].clone()] };
        return Err(Disagreement::new(expected, format!("{touched:?}, with that item made\n{made}")));
    }
    if !subject.declares(Property::BatchStatistics) {
        let others: Vec<usize> = (0..batch.items.len()).filter(|index| *index != silent).collect();
        let alone = subject.gradient(&batch.select(&others), &Layout::default(), Target::Loss)?;
        let without = format!("without item {silent}, which has weight 0 or an empty response, the loss");
        same(&without, alone.values.loss, found.values.loss, ROUNDING)?;
        let rest: Vec<f64> = others.iter().flat_map(|&index| found.scored[index].concat()).collect();
        same_column(&format!("without item {silent} the gradient"), &alone.flat(), &rest, ROUNDING)?;
    }
    Ok(Verdict::Holds)
}

/// A candidate that an item does not have changes nothing, whatever stands in its row.
pub(super) fn absent_candidates<'a>() -> Law<'a> {
    Law::new("absent candidates", Inputs::default(), |subject, case| {
        let mut random = case.random();
        let ghost = Ghost::Filled([-3.0, -0.25, f64::NAN, -1e4][random.below(4)]);
        let layout = Layout { extra_candidates: random.below(2), ghost, ..Layout::default() };
        same_in(subject, case, &layout).map_err(|found| note(found, &format!("absent candidates: {ghost:?}")))?;
        Ok(Verdict::Holds)
    })
}
