//! `GKDTrainer`, and the losses of `SFTTrainer`.

use accordant_objectives::{
    Result, TokenLogps,
    supervised::{
        Aggregation,
        dft::dft_loss,
        gkd::{GkdConfig, GkdReduction},
        nll::nll_loss,
    },
};
use burn::tensor::Tensor;

use crate::golden::{Case, Numbers};

/// Labels are aligned with the logits; −100 is left out.
pub fn gkd(case: &Case) -> Result<Numbers> {
    case.knows_only(&["beta", "reduction", "temperature"]);
    let leaf = case.leaf("student_logits");
    let labels = case.tensor("labels");
    let rows = |logits: &Tensor<1>| logits.clone().reshape([labels.dims()[0] as i64, -1]);
    let reduction = match case.param("reduction").and_then(|name| name.as_str()) {
        Some("batchmean") => GkdReduction::TokenMean,
        Some("mean") => GkdReduction::TokenAndVocabularyMean,
        Some("sum") => GkdReduction::Sum,
        other => panic!("{}: unknown reduction {other:?}", case.id),
    };
    let config = GkdConfig::new().with_beta(case.required("beta")).with_temperature(case.required("temperature"));
    let gkd = config.with_reduction(reduction).init()?;
    let mask = labels.clone().not_equal_scalar(-100.0);
    let reduced = gkd.forward(rows(&leaf.1), rows(&case.tensor("teacher_logits")), mask)?;
    Ok(Numbers::new(&reduced.loss, &[leaf]))
}

pub fn sft(case: &Case) -> Result<Numbers> {
    case.knows_only(&["loss_type"]);
    let leaf = case.leaf("token_logps");
    let logps = TokenLogps::new(case.in_rows("mask", &leaf.1), case.mask("mask"))?;
    let loss = match case.objective {
        "nll" => nll_loss,
        "dft" => dft_loss,
        other => panic!("{}: no objective for `{other}`", case.id),
    };
    Ok(Numbers::new(&loss(&logps, Aggregation::TokenMean)?.loss, &[leaf]))
}
