//! What the pairwise families have in common.

use accordant_objectives::{
    Result, SequenceLogps,
    pairwise::{PairLogps, PairOutput},
};
use burn::tensor::Tensor;

use crate::golden::Numbers;

/// Sums with their numbers of tokens; without them the sums stand for themselves, like means of one token.
pub fn sequence(sums: &Tensor<1>, lengths: Option<Tensor<1>>) -> Result<SequenceLogps> {
    Ok(SequenceLogps::new(sums.clone(), lengths.unwrap_or_else(|| sums.ones_like()))?)
}

/// Pairs of which only sums are known.
pub fn pairs(chosen: &Tensor<1>, rejected: &Tensor<1>) -> Result<PairLogps> {
    PairLogps::new(sequence(chosen, None)?, sequence(rejected, None)?)
}

/// The loss with its gradients, and what the family logs.
pub fn numbers(output: &PairOutput, leaves: &[(&'static str, Tensor<1>)]) -> Result<Numbers> {
    let mut numbers = Numbers::new(&output.reduce()?.loss, leaves);
    numbers.insert("per_example", &output.losses);
    numbers.insert("rewards_chosen", &output.chosen_rewards);
    numbers.insert("rewards_rejected", &output.rejected_rewards);
    let means = output.means();
    for name in [
        "log_odds_chosen",
        "log_odds_ratio",
        "logps/chosen",
        "logps/rejected",
        "rewards/chosen",
        "rewards/margins",
        "rewards/rejected",
    ] {
        numbers.metrics.extend(means.mean(name).map(|mean| (name, mean)));
    }
    // TRL counts a tie as wrong, we count it as half right.
    let ties = means.mean("rewards/ties").zip(means.mean("rewards/accuracies"));
    numbers.metrics.extend(ties.map(|(ties, all)| ("rewards/accuracies", all - 0.5 * ties)));
    // TRL logs 0 for a term without a weight.
    numbers.metrics.insert("nll_loss", means.mean("nll").unwrap_or(0.0));
    Ok(numbers)
}
