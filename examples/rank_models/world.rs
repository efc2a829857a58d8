//! A seeded crowd in the place of the real one.

use accordant_preference::{
    Result,
    ranking::world::{Crowd, CrowdConfig},
};

use crate::protocol::Judgements;

const ANNOTATORS_PER_PAIR: usize = 4;

/// 4000 judgements of 20 models by 40 annotators, who differ in how readily they call a tie and how sharply they tell
/// models apart; about one in four tells nothing apart. Prompts have no effect.
pub fn crowd() -> Result<(Judgements, Crowd)> {
    let config = CrowdConfig::new(20, 1000)
        .with_judges_per_pair(ANNOTATORS_PER_PAIR)
        .with_num_judges(40)
        .with_spread(1.5)
        .with_ties(Some(0.0))
        .with_tie_spread(1.0)
        .with_sharpness_spread(0.5)
        .with_careless(0.25);
    let crowd = config.draw()?;
    let pairs: Vec<usize> = (0..crowd.judged.len()).map(|row| row / ANNOTATORS_PER_PAIR).collect();
    let prompts = pairs.iter().map(|pair| pair % 13).collect();
    let items = (1..=20).map(|model| format!("model {model:02}")).collect::<Vec<_>>().iter().collect();
    Ok((Judgements { items, all: crowd.judged.clone(), pairs, prompts }, crowd))
}
