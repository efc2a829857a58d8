//! A seeded synthetic world: prompts, responses, and annotators whose tastes are known.
//!
//! A person asks about a topic; a response states a fact or two, with or without courtesies and padding. Four attributes
//! can be read off any response, also one that a model has written: is it on topic, polite, concise, correct? A gold
//! reward weighs them, each group of annotators in its own way, and an annotator of a random group labels each pair by a
//! Bradley-Terry model of the group's reward, with some labels flipped. So the truth behind every label is known: which
//! policy is better, what each group wants, and how good any reward model can be.
//!
//! All numbers of this world are ours.

use rand::{Rng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::{
    Error, Message, Pair, Result, Role, Text,
    order::{Purpose, stream},
};

/// Subject, and what is true of it.
const TOPICS: [(&str, &str); 16] = [
    ("cats", "drink milk"),
    ("bees", "make honey"),
    ("cows", "eat grass"),
    ("owls", "hunt at night"),
    ("frogs", "catch flies"),
    ("whales", "sing under water"),
    ("spiders", "spin webs"),
    ("beavers", "build dams"),
    ("camels", "cross deserts"),
    ("pandas", "eat bamboo"),
    ("parrots", "copy speech"),
    ("salmon", "swim upstream"),
    ("squirrels", "hide nuts"),
    ("penguins", "live on ice"),
    ("wolves", "hunt in packs"),
    ("snails", "carry a shell"),
];

const QUESTIONS: [&str; 6] = [
    "Tell me about {}.",
    "What do you know about {}?",
    "I would like to learn something about {}.",
    "My son asks about {}.",
    "Please say a word on {}.",
    "Is there anything to know about {}?",
];

const OPENINGS: [&str; 4] = ["Good question!", "With pleasure.", "Thank you for asking.", "Of course, my friend."];
const CLOSINGS: [&str; 3] = ["I hope this helps.", "Have a lovely day.", "You are welcome to ask more."];
const FILLERS: [&str; 5] = [
    "There is so much that one could say here.",
    "As everybody knows, this is a large subject.",
    "Many books have been written about it.",
    "Let me think about how to put it best.",
    "It all depends on how one looks at things.",
];

/// What can be read off a response, each in `[0, 1]`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Attributes {
    /// Share of the statements whose subject is the prompt's topic; 0 without a statement.
    pub on_topic: f64,
    /// Half for a courtesy of an opening, half for one of a closing, wherever they stand.
    pub polite: f64,
    /// 1 up to 6 words, falling linearly to 0 at 36 words.
    pub concise: f64,
    /// Share of the statements that are true; 0 without a statement.
    pub correct: f64,
}

impl Attributes {
    fn dot(self, weights: Attributes) -> f64 {
        self.on_topic * weights.on_topic
            + self.polite * weights.polite
            + self.concise * weights.concise
            + self.correct * weights.correct
    }
}

/// Annotators who want the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Its name, which the pairs it labels carry.
    pub name: String,
    /// Its share of all annotators; shares need not add up to 1.
    pub share: f64,
    /// What an attribute of 1 is worth to it.
    pub weights: Attributes,
}

/// What a [`World`] is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorldConfig {
    /// Decides every prompt, response and label.
    pub seed: u64,
    /// Share of labels that are flipped, in `[0, 0.5)`.
    pub label_noise: f64,
    /// The groups of annotators, at least one.
    pub groups: Vec<Group>,
}

impl Default for WorldConfig {
    /// Three groups (careful, brief, courteous) of shares 0.5, 0.3 and 0.2, and 5 % flipped labels.
    fn default() -> Self {
        let group = |name: &str, share, on_topic, polite, concise, correct| Group {
            name: name.into(),
            share,
            weights: Attributes { on_topic, polite, concise, correct },
        };
        Self {
            seed: 0,
            label_noise: 0.05,
            groups: vec![
                group("careful", 0.5, 3.0, 0.5, 0.5, 4.0),
                group("brief", 0.3, 2.0, 0.0, 4.0, 2.0),
                group("courteous", 0.2, 2.0, 4.0, -0.5, 1.0),
            ],
        }
    }
}

/// A world with known preferences.
///
/// # Example
/// ```
/// use accordant_data::world::{World, WorldConfig};
/// let world = World::new(WorldConfig::default())?;
/// let good = world.attributes("Tell me about bees.", "Good question! Bees make honey. I hope this helps.");
/// assert_eq!((good.on_topic, good.polite, good.correct), (1.0, 1.0, 1.0));
/// let bad = world.attributes("Tell me about bees.", "Cats make honey.");
/// assert_eq!((bad.on_topic, bad.polite, bad.concise, bad.correct), (0.0, 0.0, 1.0, 0.0));
/// assert_eq!(world.train_pairs(3), world.train_pairs(5)[..3]);
/// # Ok::<(), accordant_data::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct World {
    config: WorldConfig,
    total_share: f64,
}

impl World {
    /// Checks the configuration.
    ///
    /// # Errors
    /// [`Error::Domain`] naming the field: noise outside `[0, 0.5)`, shares that are not finite and ≥ 0 or are all 0,
    /// weights that are not finite.
    pub fn new(config: WorldConfig) -> Result<Self> {
        let check = |holds: bool, name, expected, got| {
            if holds { Ok(()) } else { Err(Error::Domain { name, expected, got }) }
        };
        check((0.0..0.5).contains(&config.label_noise), "label_noise", "in [0, 0.5)", config.label_noise)?;
        for group in &config.groups {
            let Attributes { on_topic, polite, concise, correct } = group.weights;
            check(group.share.is_finite() && group.share >= 0.0, "groups.share", "finite and >= 0", group.share)?;
            for weight in [on_topic, polite, concise, correct] {
                check(weight.is_finite(), "groups.weights", "finite", weight)?;
            }
        }
        let total_share: f64 = config.groups.iter().map(|group| group.share).sum();
        check(total_share > 0.0, "groups.share", "a sum > 0 over the groups", total_share)?;
        Ok(Self { config, total_share })
    }

    /// The configuration.
    pub fn config(&self) -> &WorldConfig {
        &self.config
    }

    /// Preference pairs for training. More of them begin with the same ones.
    pub fn train_pairs(&self, count: usize) -> Vec<Pair> {
        self.pairs(count, Purpose::TrainRecords)
    }

    /// Preference pairs for evaluation, independent of those for training.
    pub fn test_pairs(&self, count: usize) -> Vec<Pair> {
        self.pairs(count, Purpose::TestRecords)
    }

    /// Prompts to sample responses to.
    pub fn prompts(&self, count: usize) -> Vec<String> {
        let mut rng = stream(self.config.seed, Purpose::Prompts, 0);
        (0..count).map(|_| ask(&mut rng).1).collect()
    }

    fn pairs(&self, count: usize, purpose: Purpose) -> Vec<Pair> {
        let mut rng = stream(self.config.seed, purpose, 0);
        (0..count).map(|number| self.pair(number, &mut rng)).collect()
    }

    fn pair(&self, number: usize, rng: &mut ChaCha8Rng) -> Pair {
        let (topic, prompt) = ask(rng);
        let first = respond(topic, rng);
        let second = loop {
            let other = respond(topic, rng);
            if other != first {
                break other;
            }
        };
        let group = self.draw_group(rng);
        let reward = |response: &str| self.attributes(&prompt, response).dot(group.weights);
        let p_first = 1.0 / (1.0 + (reward(&second) - reward(&first)).exp());
        let first_wins = rng.random_bool(p_first) != rng.random_bool(self.config.label_noise);
        let (chosen, rejected) = if first_wins { (first, second) } else { (second, first) };
        let say = |role, text: String| Text::Messages(vec![Message::new(role, text)]);
        let mut pair = Pair::new(say(Role::User, prompt), say(Role::Assistant, chosen), say(Role::Assistant, rejected))
            .expect("two different responses that are not empty");
        pair.envelope.id = format!("world:{number}");
        pair.envelope.group = Some(group.name.clone());
        pair
    }

    fn draw_group(&self, rng: &mut ChaCha8Rng) -> &Group {
        let mut left = rng.random::<f64>() * self.total_share;
        let groups = &self.config.groups;
        let drawn = groups.iter().find(|group| {
            left -= group.share;
            left < 0.0
        });
        drawn.unwrap_or_else(|| groups.last().expect("the shares have a positive sum"))
    }

    /// What can be read off a response to a prompt. Any text will do: what is no sentence of this world is not a
    /// statement, true or otherwise.
    pub fn attributes(&self, prompt: &str, response: &str) -> Attributes {
        let asked = TOPICS.iter().find(|(subject, _)| contains_words(prompt, subject)).map(|(subject, _)| *subject);
        let (mut statements, mut on_topic, mut correct) = (0.0f64, 0.0, 0.0);
        for sentence in response.split_inclusive(['.', '!', '?']) {
            let sentence = sentence.trim().to_lowercase();
            let Some((subject, _)) = TOPICS.iter().find(|(subject, _)| sentence.starts_with(subject)) else { continue };
            let Some(said) = sentence[subject.len()..].strip_suffix('.') else { continue };
            statements += 1.0;
            on_topic += f64::from(u8::from(asked == Some(subject)));
            correct += f64::from(u8::from(TOPICS.contains(&(subject, said.trim()))));
        }
        let has = |phrases: &[&str]| f64::from(u8::from(phrases.iter().any(|phrase| response.contains(phrase))));
        let words = response.split_whitespace().count() as f64;
        Attributes {
            on_topic: on_topic / statements.max(1.0),
            polite: 0.5 * (has(&OPENINGS) + has(&CLOSINGS)),
            concise: ((36.0 - words) / 30.0).clamp(0.0, 1.0),
            correct: correct / statements.max(1.0),
        }
    }

    /// The gold reward of a response: the mean over annotators of what it is worth to their group.
    pub fn reward(&self, prompt: &str, response: &str) -> f64 {
        let attributes = self.attributes(prompt, response);
        let total: f64 = self.config.groups.iter().map(|group| group.share * attributes.dot(group.weights)).sum();
        total / self.total_share
    }

    /// What a response is worth to one group; none when no group has this name.
    pub fn group_reward(&self, group: &str, prompt: &str, response: &str) -> Option<f64> {
        let group = self.config.groups.iter().find(|candidate| candidate.name == group)?;
        Some(self.attributes(prompt, response).dot(group.weights))
    }
}

fn contains_words(text: &str, words: &str) -> bool {
    text.to_lowercase().split(|c: char| !c.is_alphanumeric()).any(|word| word == words)
}

type Topic = &'static (&'static str, &'static str);

fn pick<T: Copy>(from: &[T], rng: &mut ChaCha8Rng) -> T {
    *from.choose(rng).expect("the lists of this module are not empty")
}

fn ask(rng: &mut ChaCha8Rng) -> (Topic, String) {
    let topic = TOPICS.choose(rng).expect("there are topics");
    (topic, pick(&QUESTIONS, rng).replace("{}", topic.0))
}

/// A response of the behavior policy: careless about everything that annotators care about.
fn respond(topic: Topic, rng: &mut ChaCha8Rng) -> String {
    let mut sentences = Vec::new();
    if rng.random_bool(0.4) {
        sentences.push(pick(&OPENINGS, rng).to_owned());
    }
    for _ in 0..rng.random_range(0..=2) {
        sentences.push(pick(&FILLERS, rng).to_owned());
    }
    for _ in 0..rng.random_range(1..=2) {
        let (subject, _) = if rng.random_bool(0.7) { *topic } else { pick(&TOPICS, rng) };
        let truth = TOPICS.iter().find(|(name, _)| *name == subject).expect("a subject is a topic").1;
        let said = if rng.random_bool(0.6) { truth } else { pick(&TOPICS, rng).1 };
        let mut statement = format!("{subject} {said}.");
        statement[..1].make_ascii_uppercase();
        sentences.push(statement);
    }
    if rng.random_bool(0.3) {
        sentences.push(pick(&CLOSINGS, rng).to_owned());
    }
    sentences.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world() -> World {
        World::new(WorldConfig::default()).unwrap()
    }

    #[test]
    fn attributes_by_hand() {
        let response =
            "Thank you for asking. Many books have been written about it. Bees make honey. Cats hunt at night.";
        let attributes = world().attributes("What do you know about bees?", response);
        // One of two statements is about bees, one is true; a courtesy in front only; 18 words: (36 - 18)/30.
        assert_eq!(attributes, Attributes { on_topic: 0.5, polite: 0.5, concise: 0.6, correct: 0.5 });
        // careful 0.5·(1.5 + 0.25 + 0.3 + 2) + brief 0.3·(1 + 0 + 2.4 + 1) + courteous 0.2·(1 + 2 - 0.3 + 0.5)
        let reward = world().reward("What do you know about bees?", response);
        assert!((reward - (0.5 * 4.05 + 0.3 * 4.4 + 0.2 * 3.2)).abs() < 1e-12, "{reward}");
    }

    #[test]
    fn any_text_has_attributes() {
        for text in ["", "...", "!?", "bees", "BEES MAKE HONEY", "🦀 crabs. Bees", "bees make\u{2028}honey."] {
            let Attributes { on_topic, polite, concise, correct } = world().attributes(text, text);
            assert!([on_topic, polite, concise, correct].iter().all(|value| (0.0..=1.0).contains(value)), "{text:?}");
        }
        assert_eq!(world().attributes("Tell me about bees.", "").correct, 0.0, "silence is not correct");
    }

    #[test]
    fn seeds_and_splits_give_different_records() {
        let other = World::new(WorldConfig { seed: 1, ..WorldConfig::default() }).unwrap();
        assert_ne!(world().train_pairs(20), other.train_pairs(20));
        assert_ne!(world().train_pairs(20), world().test_pairs(20));
        assert_eq!(world().prompts(9)[..4], world().prompts(4));
    }

    #[test]
    fn labels_follow_the_annotators_reward() {
        // Without noise the share of labels that agree with a group's own reward is the mean probability of the better
        // side. 2000 labels: a difference of four standard errors (0.04) has probability 6e-5, and the seed is fixed.
        let world = World::new(WorldConfig { label_noise: 0.0, ..WorldConfig::default() }).unwrap();
        let (mut expected, mut agreed, mut ties) = (0.0, 0.0, 0.0);
        for pair in world.train_pairs(2000) {
            let text = |text: &Text| text.as_messages().expect("a conversation")[0].content.clone();
            let reward = |response: &Text| {
                world
                    .group_reward(pair.envelope.group.as_deref().unwrap(), &text(&pair.prompt), &text(response))
                    .unwrap()
            };
            let difference = reward(&pair.chosen) - reward(&pair.rejected);
            expected += 1.0 / (1.0 + (-difference.abs()).exp());
            agreed += f64::from(u8::from(difference > 0.0));
            ties += f64::from(u8::from(difference == 0.0));
        }
        let share = (agreed + 0.5 * ties) / 2000.0;
        assert!((share - expected / 2000.0).abs() < 0.04, "{share} agree, {} expected", expected / 2000.0);
        assert!(share > 0.6, "labels carry information: {share}");
    }

    #[test]
    fn noise_makes_labels_less_certain() {
        let agreement = |label_noise| {
            let world = World::new(WorldConfig { label_noise, ..WorldConfig::default() }).unwrap();
            let clean = World::new(WorldConfig { label_noise: 0.0, ..WorldConfig::default() }).unwrap();
            let same = world
                .train_pairs(1000)
                .iter()
                .zip(clean.train_pairs(1000))
                .filter(|(a, b)| a.chosen == b.chosen)
                .count();
            same as f64 / 1000.0
        };
        // Labels flip independently: 4 standard errors of 0.3 at 1000 labels are 0.058.
        assert!((agreement(0.3) - 0.7).abs() < 0.058);
        assert_eq!(agreement(0.0), 1.0);
    }

    #[test]
    fn senseless_worlds_are_refused_by_field() {
        let refuse = |change: fn(&mut WorldConfig)| {
            let mut config = WorldConfig::default();
            change(&mut config);
            World::new(config).unwrap_err().to_string()
        };
        assert_eq!(refuse(|config| config.label_noise = 0.5), "`label_noise`: expected in [0, 0.5), got 0.5");
        assert!(refuse(|config| config.groups.clear()).starts_with("`groups.share`"));
        assert!(refuse(|config| config.groups[0].share = f64::NAN).starts_with("`groups.share`"));
        assert!(refuse(|config| config.groups[0].weights.polite = f64::INFINITY).starts_with("`groups.weights`"));
    }
}
