//! A small transformer with a reward head, trained from scratch on words.

use std::collections::BTreeMap;

use accordant::{
    data::{collate::Sequence, tokens::TokenPair},
    lm::{
        decoder::DecoderConfig,
        reward_head::{RewardHeadConfig, RewardNet},
    },
    preference::{
        multi_objective::{Differences, bag_of_words::words},
        pairwise::bradley_terry::BradleyTerryConfig,
    },
    train::{Recorder, RewardTask, TrainConfig, reward::rewards, train_rewards},
};
use anyhow::Result;
use burn::{module::Module, tensor::Device};

use crate::source::{GROUPS, Judged};

/// Words of the prompt (its last) and of a response (its first) that are read.
const PROMPT: usize = 32;
const RESPONSE: usize = 61;
const VOCABULARY: usize = 3000;
/// Ids below: an unknown word, the response's beginning, its end, no group; groups follow, then words.
const UNKNOWN: u32 = 0;
const BEGIN: u32 = 1;
const END: u32 = 2;
const NO_GROUP: u32 = 3;
const WORDS: u32 = 4 + GROUPS.len() as u32;

/// The most frequent words of the training pairs.
pub struct Vocabulary {
    ids: BTreeMap<String, u32>,
}

impl Vocabulary {
    pub fn new(train: &[Judged]) -> Self {
        let mut counts = BTreeMap::<String, usize>::new();
        for text in train.iter().flat_map(|pair| [&pair.prompt, &pair.chosen, &pair.rejected]) {
            words(text).for_each(|word| *counts.entry(word).or_default() += 1);
        }
        let mut by_count: Vec<(String, usize)> = counts.into_iter().collect();
        by_count.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let known = by_count.into_iter().take(VOCABULARY).zip(WORDS..);
        Self { ids: known.map(|((word, _), id)| (word, id)).collect() }
    }

    fn tokens(&self, pairs: &[Judged], told: bool) -> Vec<TokenPair> {
        let read = |text: &str| -> Vec<u32> {
            words(text).map(|word| self.ids.get(&word).copied().unwrap_or(UNKNOWN)).collect()
        };
        let response = |text: &str| -> Vec<u32> { read(text).into_iter().take(RESPONSE).chain([END]).collect() };
        let pair = |(at, pair): (usize, &Judged)| {
            let said = read(&pair.prompt);
            let group = if told { NO_GROUP + 1 + pair.group as u32 } else { NO_GROUP };
            let mut prompt = vec![group];
            prompt.extend(&said[said.len().saturating_sub(PROMPT)..]);
            prompt.push(BEGIN);
            TokenPair::new(at.to_string(), prompt, response(&pair.chosen), response(&pair.rejected))
        };
        pairs.iter().enumerate().map(pair).collect()
    }
}

/// Trains for `steps` and says of each test pair whether it is ranked as it was judged. `told`: whether the first token says
/// which group judged.
pub fn transformer(
    vocabulary: &Vocabulary,
    [train, test]: [&[Judged]; 2],
    told: bool,
    steps: usize,
    seed: u64,
) -> Result<Vec<f64>> {
    let device = Device::flex().autodiff();
    let size = WORDS as usize + vocabulary.ids.len();
    let trunk = DecoderConfig::new(size).with_num_kv_heads(4).init(seed, &device)?;
    let model = RewardNet::new(trunk, RewardHeadConfig::new(64).init(seed, &device)?);
    let (pairs, loss) = (vocabulary.tokens(train, told), BradleyTerryConfig::new().with_centering(0.01).init()?);
    let phase = if told { "told" } else { "not told" };
    let task = RewardTask { pairs: &pairs, loss: &loss, phase, device: &device };
    let config = TrainConfig::new(steps, 5e-4).with_batch_size(64).with_micro_batch_size(32);
    let config = config.with_weight_decay(0.1).with_seed(seed);
    let mut recorder = Recorder::new(None)?;
    let model = train_rewards(model, &task, &config, &mut recorder)?.valid();
    recorder.finish()?;
    let held_out = vocabulary.tokens(test, told);
    let of = |response: fn(&TokenPair) -> &[u32]| -> Result<Vec<f64>> {
        let all: Vec<Sequence<'_>> =
            held_out.iter().map(|pair| Sequence { prompt: &pair.prompt, completion: response(pair) }).collect();
        Ok(rewards(&model, &all, 64, &Device::flex())?)
    };
    let (chosen, rejected) = (of(|pair| &pair.chosen)?, of(|pair| &pair.rejected)?);
    let leads: Vec<f64> = chosen.iter().zip(rejected).map(|(chosen, rejected)| chosen - rejected).collect();
    let mut judged = Differences::new(0);
    leads.iter().try_for_each(|_| judged.push(&[], 1.0, 1.0))?;
    Ok(judged.hits(&leads)?)
}
