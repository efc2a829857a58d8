//! `DPOTrainer`, now and in its version 0.24 (`dpo_legacy`).

use accordant_objectives::{
    EmptyRows, Result, State, TokenLogps,
    pairwise::{
        Composed, Length, MarginLoss, PairBatch, PairLogps, PairOutput, PairwiseObjective, Score,
        aot::AotConfig,
        aot_unpaired::AotUnpaired,
        apo_down::ApoDownConfig,
        apo_zero::ApoZeroConfig,
        bco_pair::{BcoDelta, BcoPairConfig},
        discopop::{DiscoPopConfig, DiscoPopLoss},
        dpo::DpoConfig,
        exo::{ExoConfig, ExoLoss},
        f_dpo::{Divergence, FDpoConfig},
        hinge::{HingeConfig, HingeLoss},
        ipo::{IpoConfig, SquareLoss},
        length::desensitize,
        ln_dpo::LnDpoConfig,
        multi_loss::MultiLoss,
        nca_pair::NcaPairConfig,
        robust::{RobustConfig, RobustLoss},
        sft::SftConfig,
        sppo::{SppoConfig, SppoScale, SppoTargets},
        wpo::wpo_weights,
    },
};
use burn::tensor::Tensor;

use crate::{
    golden::{Case, Numbers, Outcome, VALUES, column},
    pairwise::{numbers, sequence},
};

/// Parameters that are mapped to ours or (`discopop_tau`) belong to another loss of the same trainer.
const PARAMS: &[&str] = &[
    "alpha",
    "beta",
    "discopop_tau",
    "f_alpha_divergence_coef",
    "f_divergence_type",
    "label_smoothing",
    "ld_alpha",
    "loss_type",
    "loss_types",
    "loss_weights",
    "reference_free",
    "use_weighting",
];

pub fn run(case: &Case) -> Outcome {
    case.knows_only(PARAMS);
    // The peer's loss is infinite there.
    if case.objective == "exo_pair" && smoothing(case) == 0.0 {
        let error = ExoConfig::new().with_label_smoothing(0.0).init().expect_err("outside of the domain").to_string();
        assert!(error.starts_with("`label_smoothing`"), "{error}");
        return Outcome::Refused;
    }
    Outcome::Ran(evaluate(case).unwrap_or_else(|error| panic!("{}: {error}", case.id)))
}

/// What a case is evaluated on: its batch, the weights of WPO, and the inputs that have a gradient.
struct Evaluation {
    batch: PairBatch,
    scales: Option<Tensor<1>>,
    leaves: Vec<(&'static str, Tensor<1>)>,
}

impl Evaluation {
    fn of_sequences(case: &Case) -> Result<Self> {
        let pairs = |chosen: &Tensor<1>, rejected: &Tensor<1>| {
            let [chosen_lengths, rejected_lengths] =
                ["chosen_lengths", "rejected_lengths"].map(|name| case.input(name));
            PairLogps::new(sequence(chosen, chosen_lengths)?, sequence(rejected, rejected_lengths)?)
        };
        let leaves = vec![case.leaf("chosen_logps"), case.leaf("rejected_logps")];
        let reference = pairs(&case.tensor("ref_chosen_logps"), &case.tensor("ref_rejected_logps"))?;
        let batch = PairBatch::new(pairs(&leaves[0].1, &leaves[1].1)?).with_reference(reference)?;
        Ok(Self { batch, scales: None, leaves })
    }

    /// Rows are [chosen; rejected], already shifted.
    fn of_tokens(case: &Case) -> Result<Self> {
        let table = |values: &Tensor<1>| case.in_rows("mask", values);
        let leaf = case.leaf("policy_token_logps");
        let policy = TokenLogps::new(table(&leaf.1), case.mask("mask"))?;
        let reference = TokenLogps::new(table(&case.tensor("ref_token_logps")), case.mask("mask"))?;
        let pairs = |logps: &TokenLogps| match case.number("ld_alpha") {
            Some(alpha) => desensitize(logps, alpha),
            None => PairLogps::from_stacked_tokens(logps),
        };
        let scales = match case.flag("use_weighting") {
            true => Some(wpo_weights(&policy, table(&case.tensor("log_sum_sq_probs")))?),
            false => None,
        };
        let batch = PairBatch::new(pairs(&policy)?).with_reference(pairs(&reference)?)?;
        Ok(Self { batch, scales, leaves: vec![leaf] })
    }
}

fn evaluate(case: &Case) -> Result<Numbers> {
    let of = if case.input("mask").is_some() { Evaluation::of_tokens } else { Evaluation::of_sequences };
    let Evaluation { batch, scales, leaves } = of(case)?;
    let batch = batch.with_empty_rows(EmptyRows::Count);
    let scaled = match scales {
        Some(scales) => batch.clone().with_scales(scales)?,
        None => batch.clone(),
    };
    let (objective, beta) = (objective(case)?, case.required("beta"));
    let mut state = State::default();
    objective.observe(&mut state, &scaled)?;
    let mut output = objective.forward(&scaled.with_state(state))?;
    // Rewards are β d in the peer; ours are log-probabilities for the likelihood alone, and those of a β of 1 below.
    if case.objective == "sft" || case.objective == "ipo" && divergence(case).is_some() {
        output = PairOutput::new(output.losses, &batch, beta);
    }

    let mut numbers = numbers(&output, &leaves)?;
    numbers.insert("sum_chosen_logps", &output.chosen_logps);
    numbers.insert("sum_rejected_logps", &output.rejected_logps);
    let reference = batch.reference().expect("every case has one");
    numbers.insert("sum_ref_chosen_logps", &reference.chosen.sum);
    numbers.insert("sum_ref_rejected_logps", &reference.rejected.sum);
    match case.objective {
        // The peer's losses come in the order of what it sorts.
        "aot" => sort(&mut numbers, &batch.policy().sums().difference()),
        "aot_unpaired" => sort(&mut numbers, &batch.log_ratios("aot_unpaired")?.chosen),
        // The peer repeats the mean over all tokens.
        "sft" => {
            let mean = numbers.outputs["loss"].repeat(batch.len());
            numbers.outputs.insert("per_example", mean);
        }
        // The peer has ε and its logarithms in f32.
        "exo_pair" => numbers.tolerances = [(VALUES.0, 2e-7), (VALUES.0, 1e-8)],
        // The peer's running mean is in f32.
        "bco_pair" if case.family == "dpo_legacy" => numbers.tolerances = [(1e-6, VALUES.1); 2],
        _ => {}
    }
    Ok(numbers)
}

/// Sorts the losses of a case by `keys`.
fn sort(numbers: &mut Numbers, keys: &Tensor<1>) {
    let losses = numbers.outputs.get_mut("per_example").expect("it was inserted");
    let mut pairs: Vec<_> = column(keys).into_iter().zip(losses.iter().copied()).collect();
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    *losses = pairs.into_iter().map(|(_, loss)| loss).collect();
}

fn smoothing(case: &Case) -> f64 {
    case.number("label_smoothing").unwrap_or(0.0)
}

/// The objective that reproduces a case: one, or a sum like `sigmoid+sft`.
fn objective(case: &Case) -> Result<Box<dyn PairwiseObjective>> {
    let weights = case.numbers("loss_weights");
    if weights.is_none() && !case.objective.contains('+') {
        return member(case, case.objective);
    }
    let names: Vec<_> = case.objective.split('+').collect();
    let weights = weights.unwrap_or_else(|| vec![1.0; names.len()]);
    assert_eq!(names.len(), weights.len(), "{}: a weight for each loss", case.id);
    let mut members = names.into_iter().zip(weights);
    let (first, weight) = members.next().expect("a loss has a name");
    let first = MultiLoss::new(first, weight, member(case, first)?)?;
    Ok(Box::new(members.try_fold(first, |sum, (name, weight)| sum.with(name, weight, member(case, name)?))?))
}

/// The objective that the peer calls `name`, with the parameters of a case.
fn member(case: &Case, name: &str) -> Result<Box<dyn PairwiseObjective>> {
    let (beta, legacy) = (case.required("beta"), case.family == "dpo_legacy");
    if let Some((divergence, exponent_max)) = divergence(case) {
        return of_divergence(case, name, divergence, exponent_max);
    }
    let smoothing = smoothing(case);
    Ok(match name {
        "sigmoid" => {
            // TRL 1.16 takes a label smoothing and ignores it.
            let config = DpoConfig::new().with_beta(beta).with_label_smoothing(if legacy { smoothing } else { 0.0 });
            Box::new(config.with_reference_free(case.flag("reference_free")).init()?)
        }
        other => {
            assert!(!case.flag("reference_free"), "{}: no `{other}` without a reference", case.id);
            match other {
                "hinge" => Box::new(HingeConfig::new().with_beta(beta).init()?),
                "ipo" => {
                    let length = if legacy { Length::Sum } else { Length::TokenMean };
                    Box::new(IpoConfig::new().with_beta(beta).with_length(length).init()?)
                }
                "robust" => Box::new(RobustConfig::new().with_beta(beta).with_label_smoothing(smoothing).init()?),
                "exo_pair" => Box::new(ExoConfig::new().with_beta(beta).with_label_smoothing(smoothing).init()?),
                "nca_pair" => Box::new(NcaPairConfig::new().with_beta(beta).init()?),
                "bco_pair" => {
                    let delta = if legacy { BcoDelta::RunningMean } else { BcoPairConfig::new().delta };
                    Box::new(BcoPairConfig::new().with_beta(beta).with_delta(delta).init()?)
                }
                "sppo_hard" => {
                    let config = SppoConfig::new().with_beta(beta).with_targets(SppoTargets::Hard);
                    Box::new(config.with_scale(SppoScale::One).init()?)
                }
                "aot" => Box::new(AotConfig::new().with_beta(beta).with_label_smoothing(smoothing).init()?),
                "aot_unpaired" => {
                    Box::new(AotUnpaired::new(AotConfig::new().with_beta(beta).with_label_smoothing(smoothing))?)
                }
                "apo_zero" => Box::new(ApoZeroConfig::new().with_beta(beta).init()?),
                "apo_down" => Box::new(ApoDownConfig::new().with_beta(beta).init()?),
                "discopop" => {
                    let config = DiscoPopConfig::new().with_beta(beta);
                    Box::new(config.with_tau(case.required("discopop_tau")).init()?)
                }
                // TRL ignores a label smoothing here, too.
                "sigmoid_norm" => Box::new(LnDpoConfig::new().with_beta(beta).init()?),
                "sft" => Box::new(SftConfig::new().init()?),
                other => panic!("{}: no objective for `{other}`", case.id),
            }
        }
    })
}

/// A case's divergence, if it names one, and the largest exponent of its score.
fn divergence(case: &Case) -> Option<(Divergence, Option<f64>)> {
    Some(match case.param("f_divergence_type")?.as_str().expect("a name") {
        "reverse_kl" => return None,
        "js_divergence" => (Divergence::JensenShannon, None),
        // The peer has no bound.
        "forward_kl" => (Divergence::ForwardKl, None),
        "alpha_divergence" if case.family == "dpo_legacy" => {
            (Divergence::Alpha(case.required("alpha")), Some(709.7827))
        }
        "alpha_divergence" => (Divergence::from_trl_coef(case.required("f_alpha_divergence_coef")), Some(80.0)),
        other => panic!("{}: unknown divergence `{other}`", case.id),
    })
}

/// [`member`] with a divergence.
fn of_divergence(
    case: &Case,
    name: &str,
    divergence: Divergence,
    bound: Option<f64>,
) -> Result<Box<dyn PairwiseObjective>> {
    let (beta, legacy, label_smoothing) = (case.required("beta"), case.family == "dpo_legacy", smoothing(case));
    assert!(!case.flag("reference_free"), "{}: a divergence from no reference", case.id);
    let sum = Score::Divergence { divergence, length: Length::Sum };
    match name {
        "sigmoid" => {
            let config = FDpoConfig::new().with_beta(beta).with_divergence(divergence).with_exponent_max(bound);
            Ok(Box::new(config.with_label_smoothing(if legacy { label_smoothing } else { 0.0 }).init()?))
        }
        "hinge" => composed(sum, beta, bound, HingeLoss),
        "robust" => composed(sum, beta, bound, RobustLoss { label_smoothing }),
        "discopop" => composed(sum, beta, bound, DiscoPopLoss { tau: case.required("discopop_tau") }),
        "sigmoid_norm" => {
            let config = LnDpoConfig::new().with_beta(beta).with_divergence(divergence).with_exponent_max(bound);
            Ok(Box::new(config.init()?))
        }
        "exo_pair" => composed(sum, beta, bound, ExoLoss { label_smoothing }),
        "ipo" => {
            let length = if legacy { Length::Sum } else { Length::TokenMean };
            composed(Score::Divergence { divergence, length }, 1.0, bound, SquareLoss { target: 0.5 / beta })
        }
        other => panic!("{}: no objective for `{other}` with a divergence", case.id),
    }
}

fn composed(
    score: Score,
    beta: f64,
    bound: Option<f64>,
    loss: impl MarginLoss + 'static,
) -> Result<Box<dyn PairwiseObjective>> {
    let objective = Composed::new(score, beta, loss)?;
    Ok(Box::new(match bound {
        Some(bound) => objective.with_exponent_max(bound)?,
        None => objective,
    }))
}
