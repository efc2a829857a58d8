//! The policy against the supervised model it started from.

use std::{collections::BTreeMap, fmt};

use accordant::{
    data::{
        collate::{Padding, Sequence, TokenBatch},
        tokenize::{END_ID, Tokenizer},
        tokens::TokenPair,
    },
    lm::{
        CausalLm,
        generate::{Completion, SampleConfig, sample},
    },
    metrics::{
        self, Estimate, PairAccuracy, TiePolicy, WinRate, group_accuracy, kl_from_samples, pair_accuracy, win_rate,
    },
    train::{PairLogpsCache, pair_logps, score::score},
};
use anyhow::Result;
use burn::tensor::Device;

use crate::{Model, source::Source};

/// Tokens that a sampled response may have.
const MAX_NEW_TOKENS: usize = 64;

/// What evaluation needs of a finished run.
pub struct Run<'a> {
    pub sft: &'a Model,
    pub policy: &'a Model,
    pub tokenizer: &'a Tokenizer,
    pub source: &'a Source,
    /// What responses are sampled to.
    pub prompts: &'a [Vec<u32>],
    pub device: &'a Device,
    pub batch_size: usize,
    pub seed: u64,
    pub objective: &'a str,
}

/// Accuracies of the policy on one split.
struct Split {
    name: &'static str,
    /// Share of pairs whose chosen response is likelier, under the supervised model and under the policy.
    ranking: [PairAccuracy; 2],
    /// Share of pairs whose chosen response gained more over the supervised model.
    implicit: PairAccuracy,
    /// Mean of how much more it gained, in nats.
    margin: Estimate,
    groups: BTreeMap<String, PairAccuracy>,
}

/// Responses sampled from the two models to the same prompts.
struct Samples {
    lengths: [Estimate; 2],
    kl: Estimate,
    gold: Option<([Estimate; 2], WinRate)>,
}

/// What the run prints.
pub struct Outcome {
    objective: String,
    splits: Vec<Split>,
    samples: Samples,
}

impl Outcome {
    pub fn held_out_accuracy(&self) -> f64 {
        self.splits.last().map_or(f64::NAN, |split| split.implicit.accuracy.value)
    }

    pub fn win_rate(&self) -> Option<Estimate> {
        self.samples.gold.as_ref().map(|(_, wins)| wins.rate)
    }
}

pub fn compare(run: &Run, train: &[TokenPair], on_train: &PairLogpsCache, test: &[TokenPair]) -> Result<Outcome> {
    let logps = |model, pairs| pair_logps(model, pairs, run.batch_size, run.device);
    let splits = vec![
        split("training", train, on_train, &logps(run.policy, train)?)?,
        split("held out", test, &logps(run.sft, test)?, &logps(run.policy, test)?)?,
    ];
    Ok(Outcome { objective: run.objective.to_owned(), splits, samples: samples(run)? })
}

fn split(name: &'static str, pairs: &[TokenPair], sft: &PairLogpsCache, policy: &PairLogpsCache) -> Result<Split> {
    let gains = |policy: &[f64], sft: &[f64]| policy.iter().zip(sft).map(|(p, s)| p - s).collect::<Vec<f64>>();
    let (chosen, rejected) = (gains(&policy.chosen, &sft.chosen), gains(&policy.rejected, &sft.rejected));
    let margins: Vec<f64> = chosen.iter().zip(&rejected).map(|(c, r)| c - r).collect();
    let groups: Vec<&str> = pairs.iter().map(|pair| pair.group.as_deref().unwrap_or("all")).collect();
    Ok(Split {
        name,
        ranking: [
            pair_accuracy(&sft.chosen, &sft.rejected, TiePolicy::Half)?,
            pair_accuracy(&policy.chosen, &policy.rejected, TiePolicy::Half)?,
        ],
        implicit: pair_accuracy(&chosen, &rejected, TiePolicy::Half)?,
        margin: metrics::mean(&margins)?,
        groups: group_accuracy(&chosen, &rejected, &groups, TiePolicy::Half)?,
    })
}

fn samples(run: &Run) -> Result<Samples> {
    let prompts = run.prompts;
    // Both models draw from streams of their own, so that their responses are independent.
    let draw = |model, number: u64| -> Result<Vec<Completion>> {
        let config = SampleConfig::new(MAX_NEW_TOKENS).with_seed(run.seed.wrapping_mul(2).wrapping_add(number));
        let mut all = Vec::new();
        for batch in prompts.chunks(64) {
            all.extend(sample(model, batch, &[END_ID], &config, all.len() as u64, run.device)?);
        }
        Ok(all)
    };
    let (from_sft, from_policy) = (draw(run.sft, 0)?, draw(run.policy, 1)?);
    let length = |from: &[Completion]| metrics::mean(&from.iter().map(|c| c.ids.len() as f64).collect::<Vec<_>>());
    let under_policy = sums(run, run.policy, prompts, &from_policy)?;
    let under_sft = sums(run, run.sft, prompts, &from_policy)?;
    let log_ratios: Vec<f64> = under_policy.iter().zip(&under_sft).map(|(p, s)| p - s).collect();
    let gold = match &run.source.world {
        None => None,
        Some(world) => {
            let rewards =
                |from: &[Completion]| -> Result<Vec<f64>> {
                    let texts =
                        run.source.prompts.iter().zip(from).map(|(prompt, completion)| {
                            Ok(world.reward(prompt, &run.tokenizer.decode(&completion.ids)?))
                        });
                    texts.collect()
                };
            let (sft, policy) = (rewards(&from_sft)?, rewards(&from_policy)?);
            let wins = win_rate(&policy, &sft)?;
            Some(([metrics::mean(&sft)?, metrics::mean(&policy)?], wins))
        }
    };
    Ok(Samples { lengths: [length(&from_sft)?, length(&from_policy)?], kl: kl_from_samples(&log_ratios)?, gold })
}

/// Summed log-probability of each completion under a model.
fn sums(run: &Run, model: &Model, prompts: &[Vec<u32>], completions: &[Completion]) -> Result<Vec<f64>> {
    let rows: Vec<Sequence> = prompts
        .iter()
        .zip(completions)
        .map(|(prompt, completion)| Sequence { prompt, completion: &completion.ids })
        .collect();
    let mut all = Vec::new();
    for rows in rows.chunks(64) {
        let batch = TokenBatch::new(rows, model.head().dims()[0], Padding::default(), run.device)?;
        all.extend(score(model, &batch)?.sequence().sum.try_into_vec_as::<f64>()?);
    }
    Ok(all)
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = |name: &str, sft: String, policy: String| {
            writeln!(f, "{}", format!("{name:<34} {sft:>24} {policy:>24}").trim_end())
        };
        let none = || "-".to_owned();
        row("95 % intervals in brackets", "SFT".into(), self.objective.to_uppercase())?;
        for Split { name, ranking, implicit, margin, groups } in &self.splits {
            row(
                &format!("{name}: chosen is likelier"),
                ranking[0].accuracy.to_string(),
                ranking[1].accuracy.to_string(),
            )?;
            row(&format!("{name}: pair accuracy"), none(), implicit.accuracy.to_string())?;
            if groups.len() > 1 {
                for (group, accuracy) in groups {
                    row(&format!("  {group}"), none(), accuracy.accuracy.to_string())?;
                }
            }
            row(&format!("{name}: margin, nats"), "0".into(), margin.to_string())?;
        }
        let Samples { lengths, kl, gold } = &self.samples;
        if let Some(([sft, policy], wins)) = gold {
            row("gold reward of samples", sft.to_string(), policy.to_string())?;
            row("win rate against SFT", none(), wins.rate.to_string())?;
            row("  wins / ties / losses", none(), format!("{} / {} / {}", wins.wins, wins.ties, wins.losses))?;
        }
        row(&format!("samples, at most {MAX_NEW_TOKENS} tokens:"), String::new(), String::new())?;
        row("  KL to SFT, nats a response", "0".into(), kl.to_string())?;
        row("  mean length, tokens", format!("{:.1}", lengths[0]), format!("{:.1}", lengths[1]))
    }
}
