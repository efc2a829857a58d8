//! The laws that a subject declares, one for each [`Property`].

use crate::{
    compare::close,
    laws::refused,
    loss::Values,
    property::Property,
    report::Disagreement,
    runner::{Case, Law, Outcome},
    strategy::{Hooks, Inputs},
    subject::{Family, Subject},
};

mod bounds;
mod mixing;
mod monotone;
mod order;
mod rollouts;
mod shifts;

/// The laws of all declared properties.
pub(crate) fn laws<'a>(subject: &Subject) -> Vec<Law<'a>> {
    let laws = |property: &Property| law(subject, *property).into_iter().chain(rollouts::laws(*property));
    subject.properties.iter().flat_map(laws).collect()
}

fn law<'a>(subject: &Subject, property: Property) -> Option<Law<'a>> {
    Some(match property {
        Property::ShiftInvariant => shifts::shift_invariant(subject),
        Property::ShiftInvariantPerToken => shifts::shift_invariant_per_token(subject),
        Property::ShiftSensitive => shifts::shift_sensitive(),
        Property::DecreasingInChosen => monotone::decreasing_in_chosen(),
        Property::IncreasingInRejected => monotone::increasing_in_rejected(),
        Property::DecreasingInDesirable => monotone::decreasing_in_desirable(),
        Property::IncreasingInUndesirable => monotone::increasing_in_undesirable(),
        Property::ConvexInMargin => monotone::convex(),
        Property::SwapDifference(slope) => mixing::swap_difference(slope, false),
        Property::SwapDifferencePerToken(slope) => mixing::swap_difference(slope, true),
        Property::AtReference(value) => bounds::at_reference(value),
        Property::ReferenceFree => bounds::reference_free(),
        Property::LowerBound(bound) => bounds::lower_bound(bound),
        Property::UpperBound(bound) => bounds::upper_bound(bound),
        // It takes laws away.
        Property::BatchStatistics => return None,
        Property::OwnGradient => bounds::own_gradient(),
        Property::LabelProbMixes => mixing::label_prob_mixes(),
        Property::MarginShifts { beta } => mixing::margin_shifts(beta, false),
        Property::MarginShiftsPerToken { beta } => mixing::margin_shifts(beta, true),
        Property::NoHook(name) => refused(name),
        Property::PermutationOfCandidates => order::permutation_of_candidates(),
        Property::TiesSayNothing => order::ties_say_nothing(),
        // Claims about rollouts; see there.
        _ => return None,
    })
}

/// A claim that cannot be tested on this subject's batches, and so would fail for no reason or hold for none.
pub(crate) fn contradiction(subject: &Subject) -> Option<Disagreement> {
    for property in &subject.properties {
        let families: &[Family] = match property {
            Property::DecreasingInChosen | Property::IncreasingInRejected => &[Family::Pairs, Family::Lists],
            Property::DecreasingInDesirable | Property::IncreasingInUndesirable => &[Family::Singles],
            Property::SwapDifference(_)
            | Property::SwapDifferencePerToken(_)
            | Property::LabelProbMixes
            | Property::MarginShifts { .. }
            | Property::MarginShiftsPerToken { .. } => &[Family::Pairs],
            Property::PermutationOfCandidates | Property::TiesSayNothing => &[Family::Lists],
            Property::ReferenceFree => &[Family::Pairs, Family::Singles, Family::Lists, Family::Rollouts],
            property if rollouts::is_about(*property) => &[Family::Rollouts],
            _ => &[Family::Pairs, Family::Singles, Family::Lists],
        };
        if !families.contains(&subject.family) {
            let expected = format!("a property of {:?}", subject.family);
            return Some(Disagreement::new(expected, format!("{property:?}, which is one of {families:?}")));
        }
        let hook = match property {
            Property::LabelProbMixes => "label_probs",
            Property::MarginShifts { .. } | Property::MarginShiftsPerToken { .. } => "margins",
            _ => continue,
        };
        if !subject.honors(hook) {
            let expected = format!("the hook `{hook}`, which the property is about");
            return Some(Disagreement::new(expected, format!("{property:?} of a loss without it")));
        }
    }
    None
}

/// A law about batches without hooks.
fn plain<'a>(name: &str, test: impl Fn(&Subject, &Case) -> Outcome + 'a) -> Law<'a> {
    Law::new(name, Inputs { hooks: Hooks::None, ..Inputs::default() }, test)
}

/// What losses of the same items, changed or not, may differ by.
const ROUNDING: f64 = 1e-10;

/// That items have equal losses; `what` was done to the batch.
fn same_losses(what: &str, before: &Values, after: &Values) -> Result<(), Disagreement> {
    for (index, (before, after)) in before.losses.iter().zip(&after.losses).enumerate() {
        if !close(*before, *after, ROUNDING) {
            return Err(Disagreement::new(
                format!("loss {before} of item {index}, as before {what}"),
                format!("{after}"),
            ));
        }
    }
    Ok(())
}
