//! Objectives against golden numbers, made by other people's code; see `golden/mod.rs`.
//!
//! Everything is f64. Values and gradients agree to 1e-10 relative or 1e-12 absolute, metrics to 1e-6 relative (some
//! went through f32 in the peer) or 1e-12 absolute; inputs near 1e4 needed no exception. Where the peer rounds a
//! constant to f32 in an f64 run, the mapping's `tolerances` say so. A parameter, output, metric or
//! gradient that is not known here fails.
//!
//! `cargo test --test golden_objectives -- --nocapture` prints what ours is where the peer's number is not finite.

#![cfg(feature = "flex")]

#[path = "../golden/mod.rs"]
mod golden;

mod dpo;
mod online;
mod pairwise;
mod reference_free;
mod reward;
mod rollout;
mod supervised;
mod unpaired;

use golden::{Case, Coverage, Outcome};

const COVERAGE: Coverage = Coverage {
    built: &[
        ("a2po", &["a2po"]),
        ("bco", &["bco"]),
        ("cpo", &["hinge", "ipo", "sigmoid", "simpo"]),
        ("dpo", &["aot", "aot_unpaired", "apo_down", "apo_zero", "bco_pair", "discopop", "exo_pair", "hinge", "ipo"]),
        (
            "dpo",
            &[
                "nca_pair",
                "robust",
                "sft",
                "sigmoid",
                "sigmoid+bco_pair+sft",
                "sigmoid+sft",
                "sigmoid_norm",
                "sppo_hard",
            ],
        ),
        ("dpo_legacy", &["bco_pair", "hinge", "ipo", "sigmoid"]),
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
    not_built: &[],
};

fn run(case: &Case) -> Outcome {
    let result = match case.family {
        "dpo" | "dpo_legacy" => return dpo::run(case),
        "cpo" => reference_free::cpo(case),
        "orpo" => reference_free::orpo(case),
        "tpo" => reference_free::tpo(case),
        "online_dpo" => online::online_dpo(case),
        "xpo" => online::xpo(case),
        "reward" => Ok(reward::bradley_terry(case)),
        "kto" => unpaired::kto(case),
        "bco" => unpaired::bco(case),
        "grpo" | "gmpo" => rollout::grpo(case),
        "grpo_advantages" => rollout::grpo_advantages(case),
        "rloo" => rollout::rloo(case),
        "rloo_advantages" => rollout::rloo_advantages(case),
        "a2po" => rollout::a2po(case),
        "nash_md" => rollout::nash_md(case),
        "ppo" => rollout::ppo(case),
        "ppo_advantages" => rollout::ppo_advantages(case),
        "gkd" => supervised::gkd(case),
        "sft" => supervised::sft(case),
        other => panic!("{}: nothing runs the family `{other}`", case.id),
    };
    Outcome::Ran(result.unwrap_or_else(|error| panic!("{}: {error}", case.id)))
}

#[test]
fn golden_objectives() {
    golden::run_all(&COVERAGE, run);
}
