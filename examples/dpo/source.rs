//! Where the pairs come from.

use accordant::data::{
    Message, Pair, Role, Text,
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

/// How much of a world is looked at.
#[derive(Clone, Copy)]
pub struct Size {
    pub train: usize,
    pub test: usize,
    pub prompts: usize,
}

pub fn world(config: WorldConfig, size: Size) -> Result<Source> {
    let (seed, world) = (config.seed, World::new(config)?);
    let Size { train, test, prompts } = size;
    println!("synthetic world, seed {seed}: {train} training pairs, {test} held out, {prompts} prompts");
    Ok(Source {
        train: annotated(&world, world.train_pairs(train)),
        test: world.test_pairs(test),
        prompts: world.prompts(prompts),
        world: Some(world),
    })
}

/// What this world knows of its pairs, for the objectives that read more than a label: a reward model that is never
/// wrong about the average annotator, the probability that an annotator of the pair's group prefers the chosen response,
/// and what is false.
fn annotated(world: &World, mut pairs: Vec<Pair>) -> Vec<Pair> {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    for pair in &mut pairs {
        let (prompt, chosen, rejected) = (text(&pair.prompt), text(&pair.chosen), text(&pair.rejected));
        let gap = world.reward(&prompt, &chosen) - world.reward(&prompt, &rejected);
        let group = |response: &str| {
            let named = pair.envelope.group.as_deref().and_then(|group| world.group_reward(group, &prompt, response));
            named.unwrap_or_else(|| world.reward(&prompt, response))
        };
        let preferred = sigmoid(group(&chosen) - group(&rejected));
        let is_false = |response: &str| f64::from(world.attributes(&prompt, response).correct < 1.0);
        let groups = &world.config().groups;
        let annotator =
            groups.iter().position(|group| pair.envelope.group.as_deref() == Some(&group.name)).unwrap_or_default();
        let columns = [
            ("annotators", annotator as f64),
            ("chosen_win_prob", preferred),
            ("desirable_prompt_probs", 0.5),
            ("hallucinated_chosen", is_false(&chosen)),
            ("hallucinated_rejected", is_false(&rejected)),
            ("label_probs", preferred),
            ("prior_gaps", (2.0 * sigmoid(gap) - 1.0).max(0.0)),
            ("reference_won", 0.0),
            ("rejected_win_prob", 1.0 - preferred),
            ("reward_gaps", gap),
            ("score_gap", gap),
        ];
        pair.envelope.meta.extend(columns.map(|(name, value)| (name.to_owned(), value.into())));
    }
    pairs
}

fn text(text: &Text) -> String {
    match text {
        Text::Plain(text) => text.clone(),
        Text::Messages(messages) => messages.iter().map(|message| message.content.as_str()).collect(),
    }
}
