//! `CPOTrainer` with SimPO and AlphaPO, `ORPOTrainer` and `TPOTrainer`.

use accordant_objectives::{
    EmptyRows, Result, SequenceLogps, TokenLogps,
    pairwise::{
        PairBatch, PairLogps, PairwiseObjective,
        cpo::{CpoConfig, CpoShape},
        orpo::{OrpoConfig, odds_ratio_loss},
        sft::{NllScope, PROMPT_AND_CHOSEN},
        simpo::SimPoConfig,
        tpo::{GOLD, TpoConfig, TpoVariant},
    },
};
use accordant_ops::selected::{TokenIds, ids::IGNORE_ID, selected_log_softmax};
use burn::tensor::Tensor;

use crate::{
    golden::{Case, Numbers, column},
    pairwise::{numbers, pairs},
};

/// Log-probabilities are used as given, and so is the likelihood term, a number of its own.
fn batch(case: &Case) -> Result<(PairBatch, Vec<(&'static str, Tensor<1>)>)> {
    let mut leaves = vec![case.leaf("chosen_logps"), case.leaf("rejected_logps")];
    let mut batch = PairBatch::new(pairs(&leaves[0].1, &leaves[1].1)?).with_empty_rows(EmptyRows::Count);
    if case.input("nll").is_some() {
        let nll = case.leaf("nll");
        let sums = -nll.1.clone().expand([batch.len() as i64]);
        batch = batch.with_extra(PROMPT_AND_CHOSEN, SequenceLogps::new(sums.clone(), sums.ones_like())?, None)?;
        leaves.push(nll);
    }
    Ok((batch, leaves))
}

pub fn cpo(case: &Case) -> Result<Numbers> {
    case.knows_only(&["alpha", "beta", "cpo_alpha", "label_smoothing", "loss_type", "simpo_gamma"]);
    let (batch, leaves) = batch(case)?;
    let weight = case.number("cpo_alpha").unwrap_or(0.0);
    let mut numbers = numbers(&cpo_objective(case, weight)?.forward(&batch)?, &leaves)?;
    // The peer has the preference term alone there.
    numbers.insert("per_example", &cpo_objective(case, 0.0)?.forward(&batch)?.losses);
    Ok(numbers)
}

fn cpo_objective(case: &Case, sft_weight: f64) -> Result<Box<dyn PairwiseObjective>> {
    let (beta, smoothing) = (case.required("beta"), case.number("label_smoothing").unwrap_or(0.0));
    let (alpha, scope) = (case.number("alpha").filter(|alpha| *alpha != 0.0), NllScope::PromptAndCompletion);
    // The peer ignores a label smoothing of the other shapes.
    let (shape, smoothing) = match case.objective {
        "simpo" => {
            let config = SimPoConfig::new().with_beta(beta).with_label_smoothing(smoothing).with_alpha(alpha);
            let config = config.with_gamma_beta_ratio(case.required("simpo_gamma") / beta);
            return Ok(Box::new(config.with_sft_weight(sft_weight).with_nll_scope(scope).init()?));
        }
        "sigmoid" => (CpoShape::Sigmoid, smoothing),
        "hinge" => (CpoShape::Hinge, 0.0),
        "ipo" => (CpoShape::Ipo, 0.0),
        other => panic!("{}: no objective for `{other}`", case.id),
    };
    let config = CpoConfig::new().with_beta(beta).with_shape(shape).with_label_smoothing(smoothing).with_alpha(alpha);
    Ok(Box::new(config.with_sft_weight(sft_weight).with_nll_scope(scope).init()?))
}

pub fn orpo(case: &Case) -> Result<Numbers> {
    case.knows_only(&["beta"]);
    let (batch, leaves) = batch(case)?;
    let beta = case.required("beta");
    let config = OrpoConfig::new().with_beta(beta).with_nll_scope(NllScope::PromptAndCompletion);
    let mut numbers = numbers(&config.init()?.forward(&batch)?, &leaves)?;
    numbers.insert("odds_ratio_term", &(odds_ratio_loss(&batch)? * beta));
    Ok(numbers)
}

/// Rows are [chosen; rejected; gold], and gold is missing where its weight is 0. `logits` at t score label t + 1.
pub fn tpo(case: &Case) -> Result<Numbers> {
    case.knows_only(&["beta", "label_smoothing", "loss_type", "tpo_alpha", "tpo_l_gamma"]);
    let leaf = case.leaf("logits");
    let labels = case.in_rows("labels", &case.tensor("labels"));
    let [rows, seq] = labels.dims();
    let vocab = leaf.1.dims()[0] / (rows * seq);
    let labels = column(&labels.narrow(1, 1, seq - 1).reshape([rows * (seq - 1)]));
    let labels: Vec<i64> = labels.into_iter().map(|id| id as i64).collect();
    let predicting = leaf.1.clone().reshape([rows, seq, vocab]).narrow(1, 0, seq - 1);
    let ids = TokenIds::new(&labels, Some(IGNORE_ID), &leaf.1.device());
    let logps = selected_log_softmax(predicting.reshape([rows * (seq - 1), vocab]), &ids, 1.0)?.logps;
    let mask = case.mask("mask").narrow(1, 1, seq - 1);
    let logps = TokenLogps::new(logps.reshape([rows, seq - 1]), mask)?.sequence();

    let alpha = case.required("tpo_alpha");
    let n = rows / if alpha == 0.0 { 2 } else { 3 };
    let batch = PairBatch::new(PairLogps::new(logps.narrow(0, n)?, logps.narrow(n, n)?)?);
    let mut batch = batch.with_empty_rows(EmptyRows::Count);
    if alpha != 0.0 {
        batch = batch.with_extra(GOLD, logps.narrow(2 * n, n)?, None)?;
    }
    // The peer ignores a label smoothing and a margin of the variants that have none.
    let smoothing = case.number("label_smoothing").unwrap_or(0.0);
    let config = TpoConfig::new().with_beta(case.required("beta"));
    let config = match case.objective {
        "sigmoid" => config.with_variant(TpoVariant::Sigmoid).with_label_smoothing(smoothing),
        "hinge" => config.with_variant(TpoVariant::Hinge),
        "ipo" => config.with_variant(TpoVariant::Ipo),
        "tpo-l" => {
            let config = config.with_variant(TpoVariant::TpoL).with_label_smoothing(smoothing);
            config.with_gamma(case.required("tpo_l_gamma"))
        }
        other => panic!("{}: no objective for `{other}`", case.id),
    };
    let mut numbers = numbers(&config.clone().with_alpha(alpha).init()?.forward(&batch)?, &[leaf])?;
    // The peer has the preference term alone there.
    numbers.insert("per_example", &config.with_alpha(0.0).init()?.forward(&batch)?.losses);
    Ok(numbers)
}
