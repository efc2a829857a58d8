//! The laws of a family: what holds for every loss, claimed or not.

use crate::{
    declared,
    runner::Law,
    subject::{Family, Subject},
};

mod constants;
mod differences;
mod finite;
mod hooks;
mod masking;
mod parts;
mod precision;
mod rollouts;
mod shapes;

pub(crate) use hooks::refused;
pub(crate) use precision::near_f64;

/// All laws of a subject: those of its family, then those that it declares.
pub(crate) fn of<'a>(subject: &Subject) -> Vec<Law<'a>> {
    let mut laws = vec![
        parts::permutation(),
        masking::padding(),
        masking::masked_columns(),
        masking::behind_the_mask(),
        parts::nothing_counts(),
        parts::no_items(),
        constants::policy_learns(),
        constants::constants(),
        constants::detached_outputs(),
        finite::finite(),
        differences::by_direction(),
        differences::by_coordinate(),
        precision::precision(),
    ];
    laws.extend(masking::weight_zero(subject));
    laws.extend(parts::independent_items(subject));
    laws.extend(shapes::shapes(subject));
    laws.extend(hooks::hooks(subject));
    if subject.family == Family::Lists {
        laws.push(masking::absent_candidates());
    }
    match subject.family {
        Family::Rollouts => laws.extend(rollouts::laws(subject)),
        _ => laws.insert(0, parts::reduction()),
    }
    laws.extend(declared::laws(subject));
    laws
}
