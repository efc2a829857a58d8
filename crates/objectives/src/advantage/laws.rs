//! Every estimator that can be chosen by name, under the laws for rollouts, with what it says of itself.

use accordant_laws::{Property, Range, Subject, advantage_loss, announce::assert_laws};
use burn::tensor::Device;

use super::{Scaling, Shift, tests::built};
use crate::Domain;

fn range(domain: Domain) -> Range {
    match domain {
        Domain::Real => Range::Real(-2.0, 2.0),
        Domain::Unit => Range::Unit,
        Domain::Binary => Range::Binary,
        Domain::Id => Range::Id(3),
    }
}

#[test]
fn every_estimator_obeys_the_laws() {
    // Columns by chance are no tree of prefixes; Tree-OPO refuses them.
    for estimator in built().into_iter().filter(|estimator| estimator.name() != "tree_opo") {
        let in_order = estimator.name() == "canon";
        let name = format!("{estimator:?}");
        let mut columns: Vec<_> =
            estimator.columns().into_iter().map(|column| (column.name, range(column.domain))).collect();
        if estimator.needs_values() {
            columns.push(("values", Range::Tokens(-1.0, 1.0)));
        }
        if estimator.needs_sum_sq_probs() {
            columns.extend([("old", Range::Logps), ("sum_sq_probs", Range::Tokens(0.05, 1.0))]);
        }
        let mut claims = vec![Property::ReferenceFree];
        claims.extend(match estimator.shift() {
            Shift::IgnoredByGroup => vec![Property::RewardShiftInvariant],
            Shift::Ignored => vec![Property::RewardShiftInvariantGlobally, Property::RewardShiftSensitive],
            Shift::Counts => vec![Property::RewardShiftSensitive],
        });
        claims.extend(match estimator.scaling() {
            // A deviation is at least 0.04 here, and what is added to it at most 1e-6.
            Scaling::Ignored => Some(Property::RewardScaleInvariant(1e-4)),
            Scaling::Kept => Some(Property::RewardScaleEquivariant),
            Scaling::Other => None,
        });
        let loss = advantage_loss!(boxed estimator);
        let subject = Subject::advantages(name, &loss).on(Device::flex());
        let subject = columns.into_iter().fold(subject, |subject, (name, range)| subject.response_column(name, range));
        let subject = claims.into_iter().fold(subject, Subject::declare);
        assert_laws(&match in_order {
            true => subject.except("row permutation", "of equal metrics the earlier row is the lower one"),
            false => subject,
        });
    }
}
