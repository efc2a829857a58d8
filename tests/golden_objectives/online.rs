//! `OnlineDPOTrainer`, and `XPOTrainer` of TRL 1.13.

use accordant_objectives::{
    EmptyRows, Result, TokenLogps,
    pairwise::{
        PairBatch, PairwiseObjective,
        online_dpo::{OnlineDpoConfig, OnlineLoss, RankedRows, rank_by_judgment, rank_by_score, ranked_pairs},
        xpo::{REFERENCE_WON, XpoConfig, reference_won},
    },
};
use burn::tensor::{Tensor, TensorData};

use crate::{
    golden::{Case, Numbers, column},
    pairwise::{numbers, pairs},
};

fn loss(case: &Case) -> OnlineLoss {
    match case.objective {
        "sigmoid" => OnlineLoss::Sigmoid,
        "ipo" => OnlineLoss::Ipo,
        other => panic!("{}: no objective for `{other}`", case.id),
    }
}

/// Rows i and i + n answer one prompt.
pub fn online_dpo(case: &Case) -> Result<Numbers> {
    case.knows_only(&["beta", "loss_type"]);
    let leaf = case.leaf("policy_token_logps");
    let sequences = |logps: &Tensor<1>| -> Result<_> {
        let table = case.in_rows("completion_mask", logps);
        Ok(TokenLogps::new(table, case.mask("completion_mask"))?.sequence())
    };
    let scores = column(&case.tensor("rewards"));
    let ranked = rank_by_score(&scores, &vec![true; scores.len()], None)?;
    let batch = PairBatch::new(ranked_pairs(&sequences(&leaf.1)?, &ranked)?)
        .with_reference(ranked_pairs(&sequences(&case.tensor("ref_token_logps"))?, &ranked)?)?
        .with_empty_rows(EmptyRows::Count);
    let config = OnlineDpoConfig::new().with_beta(case.required("beta")).with_loss(loss(case));
    let mut numbers = numbers(&config.init()?.forward(&batch)?, &[leaf])?;
    let rows = |row: fn(&RankedRows) -> usize| ranked.iter().map(|pair| row(pair) as f64).collect();
    numbers.outputs.insert("chosen_indices", rows(|pair| pair.chosen));
    numbers.outputs.insert("rejected_indices", rows(|pair| pair.rejected));
    Ok(numbers)
}

/// `chosen_mask` is 1 where the policy's own sample won; tokens that do not count are 0 already.
pub fn xpo(case: &Case) -> Result<Numbers> {
    case.knows_only(&["alpha", "beta", "loss_type"]);
    let own_won = column(&case.tensor("chosen_mask"));
    let ranked = rank_by_judgment(&own_won.iter().map(|won| i64::from(*won == 0.0)).collect::<Vec<_>>())?;
    let leaves = [case.leaf("model_logprobs_model_data"), case.leaf("model_logprobs_ref_data")];
    let sums = |name: &str, logps: &Tensor<1>| case.in_rows(name, logps).sum_dim(1).squeeze_dim::<1>(1);
    // Rows of the policy's samples, then of the reference's.
    let ranked_of = |own: Tensor<1>, others: Tensor<1>| {
        let both = Tensor::cat(vec![own, others], 0);
        ranked_pairs(&pairs(&both, &both)?.chosen, &ranked)
    };
    let policy = leaves.each_ref().map(|(name, logps)| sums(name, logps));
    let reference = ["ref_logprobs_model_data", "ref_logprobs_ref_data"].map(|name| sums(name, &case.tensor(name)));
    let ([own, others], [own_reference, others_reference]) = (policy, reference);
    let won = reference_won(&ranked, own_won.len());
    let won = Tensor::<1>::from_data(TensorData::from(won.as_slice()), &own.device());
    let batch = PairBatch::new(ranked_of(own, others)?)
        .with_reference(ranked_of(own_reference, others_reference)?)?
        .with_column(REFERENCE_WON, won)?
        .with_empty_rows(EmptyRows::Count);

    let alpha = case.required("alpha");
    let config = XpoConfig::new().with_beta(case.required("beta")).with_alpha(alpha).with_loss(loss(case));
    let output = config.init()?.forward(&batch)?;
    let mut numbers = numbers(&output, &leaves)?;
    let logged = |name: &str| output.metric(name).map(|(values, _)| values.clone());
    numbers.insert("dpo_losses", &logged("loss/preference").unwrap_or_else(|| output.losses.clone()));
    let explored = logged("logps/explored").unwrap_or_else(|| output.losses.zeros_like());
    numbers.insert("xpo_losses", &(explored * alpha));
    Ok(numbers)
}
