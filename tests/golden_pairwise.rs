//! Pairwise objectives against golden numbers, made by other people's code; see `golden/mod.rs`.
//!
//! Everything is f64. Values and gradients agree to 1e-10 relative or 1e-12 absolute, metrics to 1e-6 relative (some
//! went through f32 in the peer) or 1e-12 absolute; inputs near 1e4 needed no exception. A parameter, output, metric or
//! gradient that is not known here fails.

#![cfg(feature = "flex")]

mod golden;

use accordant_objectives::{
    Result,
    pairwise::{
        Length, PairBatch, PairLogps, PairOutput, PairValues, PairwiseObjective,
        dpo::DpoConfig,
        f_dpo::{Divergence, FDpoConfig},
        ipo::{IpoConfig, ipo_loss},
        length::desensitize,
        simpo::SimPoConfig,
        wpo::wpo_weights,
    },
};
use accordant_ops::{EmptyRows, SequenceLogps, TokenLogps};
use burn::tensor::Tensor;

use golden::{Case, Coverage, Tolerance};

const VALUES: Tolerance = (1e-10, 1e-12);
const METRICS: Tolerance = (1e-6, 1e-12);

const COVERAGE: Coverage = Coverage {
    built: &[("cpo", &["simpo"]), ("dpo", &["ipo", "sigmoid"]), ("dpo_legacy", &["ipo", "sigmoid"])],
    not_built: &[
        ("a2po", &["a2po"]),
        ("bco", &["bco"]),
        ("cpo", &["hinge", "ipo", "sigmoid"]),
        ("dpo", &["aot", "aot_unpaired", "apo_down", "apo_zero", "bco_pair", "discopop", "exo_pair", "hinge"]),
        ("dpo", &["nca_pair", "robust", "sft", "sigmoid+bco_pair+sft", "sigmoid+sft", "sigmoid_norm", "sppo_hard"]),
        ("dpo_legacy", &["bco_pair", "hinge"]),
        ("gkd", &["generalized_jsd"]),
        ("gmpo", &["gmpo"]),
        ("grpo", &["bnpo", "cispo", "dapo", "dr_grpo", "grpo", "luspo", "sapo", "vespo"]),
        ("grpo_advantages", &["normalize_then_sum", "sum_then_normalize"]),
        ("kto", &["apo_zero_unpaired", "kto"]),
        ("nash_md", &["nash_md"]),
        ("online_dpo", &["ipo", "sigmoid"]),
        ("orpo", &["orpo"]),
        ("ppo", &["ppo"]),
        ("ppo_advantages", &["gae"]),
        ("reward", &["bradley_terry"]),
        ("rloo", &["rloo"]),
        ("rloo_advantages", &["rloo"]),
        ("sft", &["dft", "nll"]),
        ("tpo", &["hinge", "ipo", "sigmoid", "tpo-l"]),
        ("xpo", &["ipo", "sigmoid"]),
    ],
    skipped: &[
        ("with AlphaPO's transform (`alpha` other than 0), which is not built yet", |case| {
            case.family == "cpo" && case.number("alpha").unwrap_or(0.0) != 0.0
        }),
        ("with an NLL term (`cpo_alpha` other than 0), which is not built yet", |case| {
            case.family == "cpo" && case.number("cpo_alpha").unwrap_or(0.0) != 0.0
        }),
    ],
};

/// Parameters that are mapped to ours or (`discopop_tau`) belong to another loss of the same trainer.
const PARAMS: &[&str] = &[
    "alpha",
    "beta",
    "cpo_alpha",
    "discopop_tau",
    "f_alpha_divergence_coef",
    "f_divergence_type",
    "label_smoothing",
    "ld_alpha",
    "loss_type",
    "loss_types",
    "reference_free",
    "simpo_gamma",
    "use_weighting",
];

/// What a case is evaluated on: its batch, the weights of WPO, and the inputs that have a gradient.
struct Evaluation {
    batch: PairBatch,
    scale: Option<Tensor<1>>,
    leaves: Vec<(&'static str, Tensor<1>)>,
}

impl Evaluation {
    /// Sums are given; a family without lengths takes them as they are, like means of one token.
    fn of_sequences(case: &Case) -> Result<Self> {
        let side = |sums: &Tensor<1>, lengths: &str| {
            SequenceLogps::new(sums.clone(), case.input(lengths).unwrap_or_else(|| sums.ones_like()))
        };
        let pairs = |chosen: &Tensor<1>, rejected: &Tensor<1>| {
            PairLogps::new(side(chosen, "chosen_lengths")?, side(rejected, "rejected_lengths")?)
        };
        let leaf = |name| case.input(name).expect(name).require_grad();
        let (chosen, rejected) = (leaf("chosen_logps"), leaf("rejected_logps"));
        let mut batch = PairBatch::new(pairs(&chosen, &rejected)?);
        if let (Some(chosen), Some(rejected)) = (case.input("ref_chosen_logps"), case.input("ref_rejected_logps")) {
            batch = batch.with_reference(pairs(&chosen, &rejected)?)?;
        }
        Ok(Self { batch, scale: None, leaves: vec![("chosen_logps", chosen), ("rejected_logps", rejected)] })
    }

    /// Rows are [chosen; rejected], already shifted.
    fn of_tokens(case: &Case) -> Result<Self> {
        let input = |name| case.input(name).expect(name);
        let table = |values: Tensor<1>| values.reshape::<2, _>([case.rows("mask") as i64, -1]);
        let mask = table(input("mask")).not_equal_scalar(0.0);
        let leaf = input("policy_token_logps").require_grad();
        let policy = TokenLogps::new(table(leaf.clone()), mask.clone())?;
        let reference = TokenLogps::new(table(input("ref_token_logps")), mask)?;
        let pairs = |logps: &TokenLogps| match case.number("ld_alpha") {
            Some(alpha) => desensitize(logps, alpha),
            None => PairLogps::from_stacked_tokens(logps),
        };
        let scale = match case.flag("use_weighting") {
            true => Some(wpo_weights(&policy, table(input("log_sum_sq_probs")))?),
            false => None,
        };
        let batch = PairBatch::new(pairs(&policy)?).with_reference(pairs(&reference)?)?;
        Ok(Self { batch, scale, leaves: vec![("policy_token_logps", leaf)] })
    }

    fn forward(&self, case: &Case) -> Result<PairOutput> {
        let batch = self.batch.clone().with_empty_rows(EmptyRows::Count);
        match &self.scale {
            Some(scale) => objective(case, &batch.with_scales(scale.clone())?),
            None => objective(case, &batch),
        }
    }
}

/// The objective that reproduces a case.
fn objective(case: &Case, batch: &PairBatch) -> Result<PairOutput> {
    let beta = case.number("beta").expect("beta");
    // TRL 1.16 takes a label smoothing for these losses and ignores it.
    let eps = if case.family == "dpo" { 0.0 } else { case.number("label_smoothing").unwrap_or(0.0) };
    let (divergence, exponent_max) = divergence(case);
    match case.objective {
        "simpo" => {
            let ratio = case.number("simpo_gamma").expect("simpo_gamma") / beta;
            let config = SimPoConfig::new().with_beta(beta).with_gamma_beta_ratio(ratio).with_label_smoothing(eps);
            config.init()?.forward(batch)
        }
        "sigmoid" if divergence == Divergence::ReverseKl => {
            let config = DpoConfig::new().with_beta(beta).with_label_smoothing(eps);
            config.with_reference_free(case.flag("reference_free")).init()?.forward(batch)
        }
        "sigmoid" => {
            let config = FDpoConfig::new().with_beta(beta).with_label_smoothing(eps).with_divergence(divergence);
            config.with_exponent_max(exponent_max).init()?.forward(batch)
        }
        "ipo" if divergence == Divergence::ReverseKl => {
            let length = if case.family == "dpo_legacy" { Length::Sum } else { Length::TokenMean };
            IpoConfig::new().with_beta(beta).with_length(length).init()?.forward(batch)
        }
        "ipo" => {
            let PairValues { chosen, rejected } = batch.log_ratios("ipo")?;
            let score = |ratio| divergence.score(ratio, exponent_max);
            let scores = PairValues { chosen: score(chosen)?, rejected: score(rejected)? };
            let losses = ipo_loss(batch, scores.per_token(batch.policy()), beta)?;
            Ok(PairOutput::new(losses, batch, beta))
        }
        other => panic!("{}: no objective for `{other}`", case.id),
    }
}

/// A case's divergence and the largest exponent of its score.
fn divergence(case: &Case) -> (Divergence, Option<f64>) {
    match case.param("f_divergence_type").map_or("reverse_kl", |name| name.as_str().expect("a name")) {
        "reverse_kl" => (Divergence::ReverseKl, None),
        "js_divergence" => (Divergence::JensenShannon, None),
        // The peer has no bound and is infinite from 710 on, or from 355 where IPO squares the score: stay below.
        "forward_kl" => (Divergence::ForwardKl, Some(if case.objective == "ipo" { 350.0 } else { 700.0 })),
        "alpha_divergence" if case.family == "dpo_legacy" => {
            (Divergence::Alpha(case.number("alpha").expect("alpha")), Some(709.7827))
        }
        "alpha_divergence" => {
            let coef = case.number("f_alpha_divergence_coef").expect("f_alpha_divergence_coef");
            (Divergence::from_trl_coef(coef), Some(80.0))
        }
        other => panic!("{}: unknown divergence `{other}`", case.id),
    }
}

/// Runs one case and describes every number that is wrong.
fn run(case: &Case) -> Vec<String> {
    let unknown: Vec<_> = case.names("params").into_iter().filter(|name| !PARAMS.contains(name)).collect();
    assert!(unknown.is_empty(), "{}: no mapping for the parameters {unknown:?}", case.id);
    let of = if case.input("mask").is_some() { Evaluation::of_tokens } else { Evaluation::of_sequences };
    let evaluation = of(case).unwrap_or_else(|error| panic!("{}: {error}", case.id));
    let output = evaluation.forward(case).unwrap_or_else(|error| panic!("{}: {error}", case.id));
    let (loss, means) = (output.reduce().expect("an output of this crate").loss, output.means());
    let grads = loss.backward();
    let reference = || evaluation.batch.reference().expect("its sums are in the file");

    let mut wrong = Vec::new();
    for name in case.names("outputs") {
        let value = match name {
            "loss" => &loss,
            "per_example" => &output.losses,
            "rewards_chosen" => &output.chosen_rewards,
            "rewards_rejected" => &output.rejected_rewards,
            "sum_chosen_logps" => &output.chosen_logps,
            "sum_rejected_logps" => &output.rejected_logps,
            "sum_ref_chosen_logps" => &reference().chosen.sum,
            "sum_ref_rejected_logps" => &reference().rejected.sum,
            "metrics" => {
                for metric in case.names(name) {
                    let got = match metric {
                        // TRL counts a tie as wrong, we count it as half right.
                        "rewards/accuracies" => {
                            means.mean(metric).zip(means.mean("rewards/ties")).map(|(all, ties)| all - 0.5 * ties)
                        }
                        // No case that runs has an NLL term.
                        "nll_loss" => Some(0.0),
                        _ => means.mean(metric),
                    };
                    let got = got.unwrap_or_else(|| panic!("{}: unknown metric `{metric}`", case.id));
                    wrong.extend(case.differences(&[name, metric], &[got], METRICS));
                }
                continue;
            }
            "grads" => {
                for input in case.names(name) {
                    let leaf = evaluation.leaves.iter().find(|(name, _)| *name == input);
                    let (_, leaf) = leaf.unwrap_or_else(|| panic!("{}: unknown gradient `{input}`", case.id));
                    let grad = leaf.grad(&grads).expect("every leaf is used");
                    wrong.extend(case.differences(&[name, input], &column(&grad), VALUES));
                }
                continue;
            }
            other => panic!("{}: unknown output `{other}`", case.id),
        };
        wrong.extend(case.differences(&[name], &column(value), VALUES));
    }
    wrong
}

fn column(tensor: &Tensor<1>) -> Vec<f64> {
    tensor.try_to_vec_as::<f64>().expect("an f64 tensor")
}

#[test]
fn golden_pairwise_objectives() {
    golden::run_all(&COVERAGE, run);
}
