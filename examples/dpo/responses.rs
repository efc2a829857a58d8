//! Third responses for the objectives that read one: what the synthetic world and the supervised model can say.

use accordant::{
    data::{
        Message, Role, Text,
        tokenize::{END_ID, Tokenizer},
        tokens::TokenPair,
    },
    lm::{
        CachedLm,
        generate::{SampleConfig, sample},
    },
    objectives::pairwise::Extra,
};
use anyhow::{Result, bail};
use burn::tensor::Device;

/// Adds the responses that an objective reads to every pair.
///
/// Samples are drawn once, from the supervised model: they stand for the reference and, at the start, for the policy.
/// In this world no response has a trace, so the pair without a trace is the pair; and the prompts of a pair are equal,
/// so their log-probabilities cancel and are left out.
pub fn add<M: CachedLm>(
    pairs: &mut [TokenPair],
    extras: &[Extra],
    model: &M,
    tokenizer: &Tokenizer,
    seed: u64,
    device: &Device,
) -> Result<()> {
    for extra in extras {
        let samples = match extra.name {
            "online_sample" | "calibration" => draw(pairs, model, seed, device)?,
            _ => Vec::new(),
        };
        let because = Text::Messages(vec![Message::new(Role::Assistant, "It is true, kind and short.")]);
        for (place, pair) in pairs.iter_mut().enumerate() {
            let response = match extra.name {
                "online_sample" | "calibration" => samples[place].clone(),
                // The best that is at hand.
                "gold" | "sft_target" | "direct_chosen" => pair.chosen.clone(),
                "direct_rejected" => pair.rejected.clone(),
                "chosen_prompt" | "rejected_prompt" => Vec::new(),
                "rationale" => tokenizer.completion(&because)?,
                other => bail!("this world has no `{other}` ({})", extra.meaning),
            };
            pair.extras.insert(extra.name.to_owned(), response);
        }
    }
    Ok(())
}

fn draw<M: CachedLm>(pairs: &[TokenPair], model: &M, seed: u64, device: &Device) -> Result<Vec<Vec<u32>>> {
    let prompts: Vec<Vec<u32>> = pairs.iter().map(|pair| pair.prompt.clone()).collect();
    let config = SampleConfig::new(64).with_seed(seed.wrapping_add(1 << 32));
    let mut all = Vec::with_capacity(prompts.len());
    for batch in prompts.chunks(256) {
        let completions = sample(model, batch, &[END_ID], &config, all.len() as u64, device)?;
        all.extend(completions.into_iter().map(|completion| completion.ids));
    }
    Ok(all)
}
