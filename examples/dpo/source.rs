//! Where the pairs come from.

use std::path::PathBuf;

use accordant::data::{
    LoadOptions, LoadReport, Message, OnReject, Pair, Role, Text, read_hh_rlhf,
    tokenize::Tokenizer,
    tokens::TokenPair,
    world::{World, WorldConfig},
};
use anyhow::Result;

/// Pairs for training and evaluation, and the world behind them if it is known.
pub struct Source {
    pub train: Vec<Pair>,
    pub test: Vec<Pair>,
    pub world: Option<World>,
    /// Prompts of the world to sample responses to; none where the held-out pairs' own are used.
    pub prompts: Vec<String>,
}

impl Source {
    /// Prompts to sample responses to, as tokens: the world's, or those of some held-out pairs as they were truncated.
    pub fn prompts(&self, tokenizer: &Tokenizer, test: &[TokenPair]) -> Result<Vec<Vec<u32>>> {
        if self.world.is_none() {
            return Ok(test.iter().step_by(test.len().div_ceil(48)).map(|pair| pair.prompt.clone()).collect());
        }
        let ask = |prompt: &String| tokenizer.prompt(&Text::Messages(vec![Message::new(Role::User, prompt)]));
        Ok(self.prompts.iter().map(ask).collect::<Result<_, _>>()?)
    }

    /// Every text of the training pairs, for the tokenizer.
    pub fn texts(&self) -> Vec<&str> {
        let parts = self.train.iter().flat_map(|pair| [&pair.prompt, &pair.chosen, &pair.rejected]);
        let mut texts = Vec::new();
        for part in parts {
            match part {
                Text::Plain(text) => texts.push(text.as_str()),
                Text::Messages(messages) => texts.extend(messages.iter().map(|message| message.content.as_str())),
            }
        }
        texts
    }
}

pub fn world(seed: u64, short: bool) -> Result<Source> {
    let world = World::new(WorldConfig { seed, ..WorldConfig::default() })?;
    let (train, test, prompts) = if short { (64, 32, 8) } else { (4000, 600, 400) };
    println!("synthetic world, seed {seed}: {train} training pairs, {test} held out, {prompts} prompts");
    Ok(Source {
        train: world.train_pairs(train),
        test: world.test_pairs(test),
        prompts: world.prompts(prompts),
        world: Some(world),
    })
}

/// No dialogue comes near this; a longer line is not one.
const MAX_LINE_BYTES: usize = 16 << 20;

pub fn hh_rlhf(train: &[PathBuf], test: &[PathBuf], on_reject: OnReject) -> Result<Source> {
    let options = LoadOptions { on_reject, max_line_bytes: MAX_LINE_BYTES, ..LoadOptions::default() };
    let read = |name: &str, paths: &[PathBuf]| -> Result<Vec<Pair>> {
        let (mut pairs, mut total) = (Vec::new(), LoadReport::default());
        for path in paths {
            let (more, report) = read_hh_rlhf(path, &options)?;
            println!("{name} file {}:\n{report}", path.display());
            pairs.extend(more);
            total.merge(report);
        }
        let rows = total.lines - total.blank;
        println!("{name}: {rows} rows, {} accepted, {} rejected\n", total.used, total.total_rejected());
        Ok(pairs)
    };
    let (train, test) = (read("training", train)?, read("held-out", test)?);
    Ok(Source { train, test, world: None, prompts: Vec::new() })
}
