//! Pairs of texts with the group that judged them: HH-RLHF, or a seeded world.

use std::path::{Path, PathBuf};

use accordant::{
    data::{LoadOptions, OnReject, Pair, Text, read_hh_rlhf},
    preference::multi_objective::text_world::TextWorldConfig,
};
use anyhow::{Context, Result};

pub const GROUPS: [&str; 2] = ["helpful", "harmless"];

/// One judged pair of responses.
pub struct Judged {
    pub prompt: String,
    pub chosen: String,
    pub rejected: String,
    pub group: usize,
}

/// Training and test pairs.
pub struct Source {
    pub train: Vec<Judged>,
    pub test: Vec<Judged>,
    /// Whether people judged them.
    pub real: bool,
}

impl Source {
    pub fn read(seed: u64) -> Result<Self> {
        let shared = std::env::var_os("ACCORDANT_SHARED").map_or_else(|| PathBuf::from("../shared"), PathBuf::from);
        let folder = shared.join("data/hh_rlhf");
        if folder.is_dir() {
            let [train, test] = ["train", "test"].map(|split| files(&folder, split));
            return Ok(Self { train: train?, test: test?, real: true });
        }
        println!("SKIPPED: {} is not there; a seeded world of two groups instead", folder.display());
        let world = TextWorldConfig::new(seed);
        let [train, test] = [(1200, 0), (400, 1)].map(|(of_each, part)| -> Result<Vec<Judged>> {
            let judged = world.pairs(of_each, part)?.into_iter().map(|pair| Judged {
                prompt: String::new(),
                chosen: pair.chosen,
                rejected: pair.rejected,
                group: pair.group,
            });
            Ok(judged.collect())
        });
        Ok(Self { train: train?, test: test?, real: false })
    }
}

fn files(folder: &Path, split: &str) -> Result<Vec<Judged>> {
    let mut all = Vec::new();
    for (group, name) in GROUPS.iter().enumerate() {
        let path = folder.join(format!("{name}-base.{split}.jsonl.gz"));
        // Rows that are no pairs of answers to one conversation are left out, and counted.
        let options = LoadOptions { on_reject: OnReject::Skip, ..LoadOptions::default() };
        let (pairs, report) = read_hh_rlhf(&path, &options).with_context(|| path.display().to_string())?;
        println!("{name}, {split}: {} pairs, {} rows left out", pairs.len(), report.total_rejected());
        all.extend(pairs.iter().map(|pair| judged(pair, group)));
    }
    Ok(all)
}

fn judged(pair: &Pair, group: usize) -> Judged {
    let text = |text: &Text| match text {
        Text::Plain(text) => text.clone(),
        Text::Messages(messages) => {
            messages.iter().map(|message| message.content.as_str()).collect::<Vec<_>>().join("\n")
        }
    };
    Judged { prompt: text(&pair.prompt), chosen: text(&pair.chosen), rejected: text(&pair.rejected), group }
}
