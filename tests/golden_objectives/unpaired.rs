//! `KTOTrainer`, and `BCOTrainer` of TRL 1.13.

use accordant_objectives::{
    EmptyRows, Moments, Result, State,
    unpaired::{
        SingleBatch, SingleOutput, UnpairedObjective,
        apo_zero_unpaired::ApoZeroConfig,
        bco::{BcoConfig, DESIRABLE_PROMPT_PROBS},
        kto::KtoConfig,
    },
};
use burn::tensor::Tensor;

use crate::{
    golden::{Case, Numbers},
    pairwise::sequence,
};

fn batch(case: &Case) -> Result<(SingleBatch, [(&'static str, Tensor<1>); 1])> {
    let leaf = case.leaf("policy_logps");
    let batch = SingleBatch::new(sequence(&leaf.1, None)?, case.tensor("label").not_equal_scalar(0.0))?
        .with_reference(sequence(&case.tensor("ref_logps"), None)?)?
        .with_empty_rows(EmptyRows::Count);
    Ok((batch, [leaf]))
}

fn numbers(output: &SingleOutput, leaves: &[(&'static str, Tensor<1>)]) -> Result<Numbers> {
    let mut numbers = Numbers::new(&output.reduce()?.loss, leaves);
    numbers.insert("per_example", &output.losses);
    numbers.insert("rewards", &output.rewards);
    let means = output.means();
    for name in ["logps/chosen", "logps/rejected", "rewards/chosen", "rewards/margins", "rewards/rejected"] {
        numbers.metrics.extend(means.mean(name).map(|mean| (name, mean)));
    }
    // The peer logs 0 for a loss without a baseline.
    let kl = means.mean("kl").unwrap_or(0.0);
    numbers.metrics.insert("kl", kl);
    numbers.outputs.insert("kl", vec![kl]);
    Ok(numbers)
}

pub fn kto(case: &Case) -> Result<Numbers> {
    case.knows_only(&["beta", "desirable_weight", "loss_type", "undesirable_weight"]);
    let (mut batch, leaves) = batch(case)?;
    let beta = case.required("beta");
    let [desirable, undesirable] = ["desirable_weight", "undesirable_weight"].map(|name| case.required(name));
    let objective: Box<dyn UnpairedObjective> = match case.objective {
        "kto" => {
            let [policy, reference] = ["kl_policy_logps", "kl_ref_logps"].map(|name| case.tensor(name));
            batch = batch.with_mismatched(sequence(&policy, None)?, sequence(&reference, None)?)?;
            let config = KtoConfig::new().with_beta(beta).with_kl_rows(EmptyRows::Count);
            Box::new(config.with_desirable_weight(desirable).with_undesirable_weight(undesirable).init()?)
        }
        "apo_zero_unpaired" => {
            let config = ApoZeroConfig::new().with_beta(beta).with_desirable_weight(desirable);
            Box::new(config.with_undesirable_weight(undesirable).init()?)
        }
        other => panic!("{}: no objective for `{other}`", case.id),
    };
    numbers(&objective.forward(&batch)?, &leaves)
}

pub fn bco(case: &Case) -> Result<Numbers> {
    case.knows_only(&["beta", "max_density_ratio", "min_density_ratio", "running_count", "running_mean"]);
    let (mut batch, leaves) = batch(case)?;
    let mut config = BcoConfig::new().with_beta(case.required("beta"));
    if let Some(probs) = case.input("chosen_prob") {
        batch = batch.with_column(DESIRABLE_PROMPT_PROBS, probs)?;
        config = config.with_match_prompts(true).with_min_density_ratio(case.required("min_density_ratio"));
        config = config.with_max_density_ratio(case.required("max_density_ratio"));
    }
    let objective = config.init()?;
    let mut state = State::default();
    // The peer's variance starts at 1.
    if let Some(count) = case.number("running_count") {
        Moments { count, mean: case.required("running_mean"), variance: 1.0 }.store(&mut state);
    }
    objective.observe(&mut state, &batch)?;
    let moments = Moments::of(&state);
    let mut numbers = numbers(&objective.forward(&batch.with_state(state))?, &leaves)?;
    numbers.outputs.insert("delta", vec![moments.mean]);
    numbers.outputs.insert("running_count_after", vec![moments.count]);
    numbers.outputs.insert("running_std_after", vec![moments.std()]);
    // The peer's running mean is in f32.
    numbers.tolerances = [(1e-6, 1e-12); 2];
    Ok(numbers)
}
