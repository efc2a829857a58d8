//! What objectives on rollouts and estimators of advantages claim.

use super::plain;
use crate::{
    batch::{Batch, Item, Response},
    property::Property,
    report::Disagreement,
    runner::{Law, Random},
    strategy::{Hooks, Inputs},
    subject::Subject,
    tensors::Layout,
};

mod divergence;
mod rewards;
mod surrogate;
mod time;
mod weights;

/// Whether a property is a claim about rollouts and nothing else.
pub(super) fn is_about(property: Property) -> bool {
    property == Property::WholeGroups || !laws(property).is_empty()
}

/// The laws of a claim about rollouts; none for other claims, and for one that takes laws away.
pub(super) fn laws<'a>(property: Property) -> Vec<Law<'a>> {
    match property {
        Property::Ignores(name) => vec![surrogate::ignores(name)],
        Property::Averages(mean) => vec![surrogate::averages(mean)],
        Property::OnPolicy { factor, value } => vec![surrogate::on_policy(factor, value)],
        Property::Clips { low, high, ratio } => surrogate::clips(low, high, ratio).into(),
        Property::IndependentOfOtherLengths => vec![surrogate::other_lengths()],
        Property::EntropyBonus(coef) => vec![surrogate::entropy_bonus(coef)],
        Property::Learns(name) => vec![surrogate::learns(name)],
        Property::KlInLoss { kl_coef, estimator } => vec![divergence::in_loss(kl_coef, estimator)],
        Property::KlInReward { kl_coef } => divergence::in_reward(kl_coef).into(),
        Property::ZeroSumGroups => vec![rewards::zero_sum_groups()],
        Property::Whitened => vec![rewards::whitened()],
        Property::GroupsApart => vec![rewards::groups_apart()],
        Property::RewardShiftInvariant => vec![rewards::shift_invariant(true)],
        Property::RewardShiftInvariantGlobally => vec![rewards::shift_invariant(false)],
        Property::RewardShiftSensitive => vec![rewards::shift_sensitive()],
        Property::RewardScaleInvariant(tolerance) => vec![rewards::scale_invariant(tolerance)],
        Property::RewardScaleEquivariant => vec![rewards::scale_equivariant()],
        Property::IncreasingInReward => vec![rewards::increasing()],
        Property::TemporalDifferences { discount, gae_lambda } => {
            vec![time::temporal_differences(discount, gae_lambda)]
        }
        Property::Telescopes => vec![time::telescopes()],
        Property::ScoresPastTheEnd { discount, gae_lambda } => vec![time::past_the_end(discount, gae_lambda)],
        Property::SumsRewards => vec![rewards::sums()],
        Property::Corrects { ratio, min, max, drops } => vec![weights::corrects(ratio, min, max, drops)],
        Property::DropsRows { threshold } => vec![weights::drops_rows(threshold)],
        Property::DropsTokens { min_entropy } => vec![weights::drops_tokens(min_entropy)],
        _ => Vec::new(),
    }
}

/// Batches in which every response has a token, so that every advantage can be seen.
fn scored() -> Inputs {
    Inputs { empty_responses: false, hooks: Hooks::None, ..Inputs::default() }
}

/// Every response of every item changed.
fn each(batch: &Batch, mut change: impl FnMut(usize, &mut Response)) -> Batch {
    batch.map(|index, item: &mut Item| item.responses.iter_mut().for_each(|response| change(index, response)))
}

/// A batch with rewards changed; `change` gets the index of the item.
fn rewarded(batch: &Batch, change: impl Fn(usize, f64) -> f64) -> Batch {
    each(batch, |index, response| {
        response.columns.entry("rewards").and_modify(|reward| *reward = change(index, *reward));
    })
}

/// Advantages by item, response and token.
fn advantages(subject: &Subject, batch: &Batch) -> Result<Vec<Vec<Vec<f64>>>, Disagreement> {
    Ok(subject.values(batch, &Layout::default())?.advantages)
}

/// An amount of eighths that is not 0: adding it to rewards rounds nothing.
fn eighths(random: &mut Random) -> f64 {
    (1 + random.below(24)) as f64 / 8.0 * if random.below(2) == 0 { 1.0 } else { -1.0 }
}
