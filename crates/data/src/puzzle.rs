//! Seeded puzzles whose answers a program can check, for reinforcement learning from verifiable rewards.
//!
//! Two kinds: sums (`27+58=`, answer `85`) and lists to sort (`sort 3 1 2:`, answer `1 2 3`). How hard they are is
//! configured. A share of all prompts is held out: a prompt belongs to one side whatever is drawn, and so do `27+58=` and
//! `58+27=`, or two orders of one list, because they have one answer. Demonstrations can be wrong at a given rate: a model
//! that imitates them perfectly is wrong as often, which is what reinforcement learning can improve.
//!
//! All numbers of these puzzles are ours.

use std::collections::BTreeSet;

use rand::{Rng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::{
    Error, Result,
    chars::CharTokenizer,
    order::{Purpose, stream},
    tokens::TokenPair,
};

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PuzzleKind {
    /// Sums of two numbers below 10 to the power of `digits`, 1 to 9.
    Add {
        /// Most digits of a number.
        digits: u32,
    },
    /// Lists to sort, not all numbers equal.
    Sort {
        /// Numbers in a list, 2 to 32.
        len: usize,
        /// They are below this, 2 to 1000.
        below: u32,
    },
}

/// What [`Puzzles`] are made of.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PuzzleConfig {
    /// Decides every prompt, its side and every error.
    pub seed: u64,
    /// What is asked.
    pub kind: PuzzleKind,
    /// Share of prompts that are held out, in `(0, 1)`.
    pub held_out_share: f64,
    /// Share of demonstrations that are wrong, in `[0, 1]`.
    pub error_rate: f64,
    /// What a wrong answer with everything in place would be worth, in `[0, 1)`: one with half in place is worth half of it.
    pub partial_credit: f64,
}

impl Default for PuzzleConfig {
    /// Lists of five digits, a tenth of them held out, six in ten demonstrations wrong, no partial credit.
    ///
    /// Chosen by a trial, so that imitation leaves much to learn: a decoder of 205 thousand parameters (width 96, two
    /// layers) after 300, 600 and 900 steps of fine-tuning (32 demonstrations each, learning rate 3e-3) answered 8, 25 and
    /// 36 % of 200 held-out prompts when sampled, and 40, 78 and 78 % by its likeliest tokens. Without errors it was at
    /// 65 % after 400 steps. Sums of two digits take longer: with 537 thousand parameters (width 128, three
    /// layers, 2e-3, no errors) 3, 11 and 52 % when sampled after 400, 800 and 1200 steps.
    fn default() -> Self {
        let kind = PuzzleKind::Sort { len: 5, below: 10 };
        Self { seed: 0, kind, held_out_share: 0.1, error_rate: 0.6, partial_credit: 0.0 }
    }
}

/// A prompt and its answer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Puzzle {
    /// What is asked.
    pub prompt: String,
    /// The only right answer.
    pub answer: String,
}

/// An answer to imitate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Demonstration {
    /// What is asked.
    pub prompt: String,
    /// What is shown as its answer.
    pub answer: String,
    /// The right answer where `answer` is wrong, else a wrong one: the other side of a preference pair.
    pub other: String,
    /// Whether `answer` is right.
    pub correct: bool,
}

/// What a response is, once white space around it is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// The answer, character by character.
    Correct,
    /// An answer of the right form, but not the right one.
    Wrong,
    /// Not of the form of an answer: other characters, leading zeros, more than one space between numbers.
    Malformed,
    /// Nothing.
    Empty,
    /// The prompt is no puzzle of this kind, so nothing can be said of the response.
    UnknownPrompt,
}

/// The judgment of a response.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// What it is.
    pub outcome: Outcome,
    /// 1 for [`Outcome::Correct`], partial credit below 1 for [`Outcome::Wrong`], else 0.
    pub reward: f64,
}

/// Puzzles with known answers.
///
/// # Example
/// ```
/// use accordant_data::puzzle::{Outcome, PuzzleConfig, PuzzleKind, Puzzles};
/// let kind = PuzzleKind::Add { digits: 2 };
/// let puzzles = Puzzles::new(PuzzleConfig { kind, partial_credit: 0.5, ..PuzzleConfig::default() })?;
/// assert_eq!(puzzles.verify("27+58=", " 85\n").reward, 1.0);
/// assert_eq!(puzzles.verify("27+58=", "75").reward, 0.25); // one of two digits in place
/// assert_eq!(puzzles.verify("27+58=", "eighty-five").outcome, Outcome::Malformed);
/// assert_eq!(puzzles.train(3), puzzles.train(5)[..3]);
/// # Ok::<(), accordant_data::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Puzzles {
    config: PuzzleConfig,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Side {
    Train,
    HeldOut,
}

impl Puzzles {
    /// Checks the configuration.
    ///
    /// # Errors
    /// [`Error::Domain`] naming the field; `held_out_share` also when there are so few prompts that one side is empty.
    pub fn new(config: PuzzleConfig) -> Result<Self> {
        let check = |holds: bool, name, expected, got| {
            if holds { Ok(()) } else { Err(Error::Domain { name, expected, got }) }
        };
        match config.kind {
            PuzzleKind::Add { digits } => {
                check((1..=9).contains(&digits), "digits", "from 1 to 9", f64::from(digits))?;
            }
            PuzzleKind::Sort { len, below } => {
                check((2..=32).contains(&len), "len", "from 2 to 32", len as f64)?;
                check((2..=1000).contains(&below), "below", "from 2 to 1000", f64::from(below))?;
            }
        }
        let PuzzleConfig { held_out_share: share, error_rate, partial_credit, .. } = config;
        check(share > 0.0 && share < 1.0, "held_out_share", "in (0, 1)", share)?;
        check((0.0..=1.0).contains(&error_rate), "error_rate", "in [0, 1]", error_rate)?;
        check((0.0..1.0).contains(&partial_credit), "partial_credit", "in [0, 1)", partial_credit)?;
        let puzzles = Self { config };
        let mut rng = stream(config.seed, Purpose::Split, 0);
        for side in [Side::Train, Side::HeldOut] {
            // A side that 10 000 prompts do not meet is too small to draw from.
            let met = (0..10_000).any(|_| puzzles.side(&puzzles.numbers(&mut rng)) == side);
            check(met, "held_out_share", "prompts on both sides", share)?;
        }
        Ok(puzzles)
    }

    /// The configuration.
    pub fn config(&self) -> &PuzzleConfig {
        &self.config
    }

    /// All characters of prompts and answers.
    pub fn alphabet(&self) -> &'static str {
        match self.config.kind {
            PuzzleKind::Add { .. } => "0123456789+=",
            PuzzleKind::Sort { .. } => "0123456789 :orst",
        }
    }

    /// A tokenizer of [`Puzzles::alphabet`].
    pub fn tokenizer(&self) -> CharTokenizer {
        CharTokenizer::new(self.alphabet()).expect("no character of an alphabet repeats")
    }

    /// The most characters that an answer has; a sampler needs one token more, for the end.
    pub fn longest_answer(&self) -> usize {
        match self.config.kind {
            PuzzleKind::Add { digits } => digits as usize + 1,
            PuzzleKind::Sort { len, below } => len * ((below - 1).to_string().len() + 1) - 1,
        }
    }

    /// Puzzles to train on, which may repeat. More of them begin with the same ones.
    pub fn train(&self, count: usize) -> Vec<Puzzle> {
        let mut rng = stream(self.config.seed, Purpose::Prompts, 1);
        (0..count).map(|_| self.puzzle(&self.draw(Side::Train, &mut rng))).collect()
    }

    /// Different puzzles to evaluate on, whose prompts are never among those to train on.
    ///
    /// # Errors
    /// [`Error::Domain`] naming `count` when there are not that many.
    pub fn held_out(&self, count: usize) -> Result<Vec<Puzzle>> {
        let mut rng = stream(self.config.seed, Purpose::TestRecords, 1);
        let (mut seen, mut puzzles) = (BTreeSet::new(), Vec::new());
        let mut draws = 0;
        while puzzles.len() < count {
            // Of n equally likely prompts, n (ln n + 10) draws miss one with probability e^-10.
            if draws >= 10_000 && draws > 30 * puzzles.len() {
                let expected = "at most the number of held-out prompts";
                return Err(Error::Domain { name: "count", expected, got: count as f64 });
            }
            draws += 1;
            let puzzle = self.puzzle(&self.draw(Side::HeldOut, &mut rng));
            if seen.insert(puzzle.clone()) {
                puzzles.push(puzzle);
            }
        }
        Ok(puzzles)
    }

    /// Answers to imitate, to prompts of the training side; `error_rate` of them are wrong. Which prompts are drawn does
    /// not depend on that rate.
    pub fn demonstrations(&self, count: usize) -> Vec<Demonstration> {
        let mut prompts = stream(self.config.seed, Purpose::TrainRecords, 1);
        let mut errors = stream(self.config.seed, Purpose::TrainRecords, 2);
        let mut demonstration = || {
            let Puzzle { prompt, answer: right } = self.puzzle(&self.draw(Side::Train, &mut prompts));
            let wrong = self.wrong_answer(&right, &mut errors);
            let correct = !errors.random_bool(self.config.error_rate);
            let (answer, other) = if correct { (right, wrong) } else { (wrong, right) };
            Demonstration { prompt, answer, other, correct }
        };
        (0..count).map(|_| demonstration()).collect()
    }

    /// Demonstrations as token ids, for supervised fine-tuning on `chosen` or, with the other answer as `rejected`, for
    /// preference optimization under labels that are wrong at `error_rate`.
    ///
    /// # Example
    /// ```
    /// use accordant_data::{chars::EOS_ID, puzzle::{PuzzleConfig, Puzzles}};
    /// let puzzles = Puzzles::new(PuzzleConfig::default())?;
    /// let (shown, pairs) = (puzzles.demonstrations(2), puzzles.token_pairs(2));
    /// assert_eq!(puzzles.tokenizer().decode(&pairs[1].chosen), shown[1].answer);
    /// assert_eq!(pairs[1].chosen.last(), Some(&EOS_ID));
    /// # Ok::<(), accordant_data::Error>(())
    /// ```
    pub fn token_pairs(&self, count: usize) -> Vec<TokenPair> {
        let tokenizer = self.tokenizer();
        let pair = |(number, shown): (usize, Demonstration)| {
            tokenizer.pair(format!("puzzle:{number}"), &shown.prompt, &shown.answer, &shown.other)
        };
        self.demonstrations(count).into_iter().enumerate().map(pair).collect()
    }

    /// The answer to a prompt of this kind, whatever its size; none for any other text.
    pub fn solve(&self, prompt: &str) -> Option<String> {
        self.parse(prompt.trim()).map(|numbers| self.answer(&numbers))
    }

    /// Judges a response: white space around prompt and response does not count, everything else does.
    pub fn verify(&self, prompt: &str, response: &str) -> Verdict {
        let response = response.trim();
        let (outcome, reward) = match self.solve(prompt) {
            None => (Outcome::UnknownPrompt, 0.0),
            Some(_) if response.is_empty() => (Outcome::Empty, 0.0),
            Some(answer) if answer == response => (Outcome::Correct, 1.0),
            Some(_) if !self.is_answer(response) => (Outcome::Malformed, 0.0),
            Some(answer) => (Outcome::Wrong, self.config.partial_credit * self.share_in_place(&answer, response)),
        };
        Verdict { outcome, reward }
    }

    fn numbers(&self, rng: &mut ChaCha8Rng) -> Vec<u64> {
        match self.config.kind {
            PuzzleKind::Add { digits } => (0..2).map(|_| rng.random_range(0..10u64.pow(digits))).collect(),
            PuzzleKind::Sort { len, below } => loop {
                let numbers: Vec<u64> = (0..len).map(|_| rng.random_range(0..u64::from(below))).collect();
                // A list of equal numbers has no wrong order.
                if numbers.iter().any(|number| *number != numbers[0]) {
                    return numbers;
                }
            },
        }
    }

    /// On which side the prompt of these numbers is, in any order of them.
    fn side(&self, numbers: &[u64]) -> Side {
        let mut sorted = numbers.to_vec();
        sorted.sort_unstable();
        // Different numbers may share a key; they are then on the same side, which no split minds.
        let key =
            sorted.iter().fold(0u64, |key, number| key.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(number + 1));
        let held_out = stream(self.config.seed ^ key, Purpose::Split, 1).random_bool(self.config.held_out_share);
        if held_out { Side::HeldOut } else { Side::Train }
    }

    fn draw(&self, side: Side, rng: &mut ChaCha8Rng) -> Vec<u64> {
        loop {
            let numbers = self.numbers(rng);
            if self.side(&numbers) == side {
                return numbers;
            }
        }
    }

    fn puzzle(&self, numbers: &[u64]) -> Puzzle {
        let prompt = match self.config.kind {
            PuzzleKind::Add { .. } => format!("{}=", joined(numbers, "+")),
            PuzzleKind::Sort { .. } => format!("sort {}:", joined(numbers, " ")),
        };
        Puzzle { prompt, answer: self.answer(numbers) }
    }

    fn parse(&self, prompt: &str) -> Option<Vec<u64>> {
        let number = |text: &str| {
            let digits = (1..=18).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse().ok()).flatten()
        };
        match self.config.kind {
            PuzzleKind::Add { .. } => {
                let (first, second) = prompt.strip_suffix('=')?.split_once('+')?;
                Some(vec![number(first)?, number(second)?])
            }
            PuzzleKind::Sort { .. } => {
                prompt.strip_prefix("sort ")?.strip_suffix(':')?.split(' ').map(number).collect()
            }
        }
    }

    fn answer(&self, numbers: &[u64]) -> String {
        match self.config.kind {
            PuzzleKind::Add { .. } => numbers.iter().sum::<u64>().to_string(),
            PuzzleKind::Sort { .. } => {
                let mut sorted = numbers.to_vec();
                sorted.sort_unstable();
                joined(&sorted, " ")
            }
        }
    }

    /// Whether a text has the form of an answer.
    fn is_answer(&self, text: &str) -> bool {
        let is_number = |text: &str| {
            text == "0" || (!text.starts_with('0') && !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()))
        };
        match self.config.kind {
            PuzzleKind::Add { .. } => is_number(text),
            PuzzleKind::Sort { .. } => text.split(' ').all(is_number),
        }
    }

    /// Digits of a sum counted from the last, or numbers of a list from the first, that agree: their share of the longer
    /// of the two, below 1 unless both are equal.
    fn share_in_place(&self, answer: &str, response: &str) -> f64 {
        fn share<T: PartialEq>(a: impl ExactSizeIterator<Item = T>, b: impl ExactSizeIterator<Item = T>) -> f64 {
            let longer = a.len().max(b.len());
            a.zip(b).filter(|(a, b)| a == b).count() as f64 / longer as f64
        }
        match self.config.kind {
            PuzzleKind::Add { .. } => share(answer.bytes().rev(), response.bytes().rev()),
            PuzzleKind::Sort { .. } => {
                let words = |text: &'_ str| text.split(' ').map(str::to_owned).collect::<Vec<_>>().into_iter();
                share(words(answer), words(response))
            }
        }
    }

    /// A slip: one place of a sum off by one, or two neighbors of a list swapped.
    fn wrong_answer(&self, right: &str, rng: &mut ChaCha8Rng) -> String {
        let parsed = |text: &str| text.parse::<u64>().expect("answers are made of numbers");
        match self.config.kind {
            PuzzleKind::Add { .. } => {
                let unit = 10u64.pow(rng.random_range(0..right.len() as u32));
                let (sum, up) = (parsed(right), rng.random::<bool>());
                if up || sum < unit { sum + unit } else { sum - unit }.to_string()
            }
            PuzzleKind::Sort { .. } => {
                let mut numbers: Vec<u64> = right.split(' ').map(parsed).collect();
                let uneven: Vec<usize> = (1..numbers.len()).filter(|&n| numbers[n - 1] != numbers[n]).collect();
                let at = *uneven.choose(rng).expect("a list has two different numbers");
                numbers.swap(at - 1, at);
                joined(&numbers, " ")
            }
        }
    }
}

fn joined(numbers: &[u64], separator: &str) -> String {
    numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(separator)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn puzzles(kind: PuzzleKind) -> Puzzles {
        Puzzles::new(PuzzleConfig { kind, partial_credit: 0.5, ..PuzzleConfig::default() }).unwrap()
    }

    fn add() -> Puzzles {
        puzzles(PuzzleKind::Add { digits: 2 })
    }

    fn sort() -> Puzzles {
        puzzles(PuzzleKind::Sort { len: 3, below: 10 })
    }

    #[test]
    fn verdicts_of_sums_by_hand() {
        let verdict = |prompt, response| {
            let Verdict { outcome, reward } = add().verify(prompt, response);
            (outcome, reward)
        };
        assert_eq!(verdict("27+58=", "85"), (Outcome::Correct, 1.0));
        assert_eq!(verdict(" 27+58=", "\t85 \n"), (Outcome::Correct, 1.0));
        assert_eq!(verdict("99+1=", "10"), (Outcome::Wrong, 0.5 / 3.0)); // the last digit only
        assert_eq!(verdict("27+58=", "58"), (Outcome::Wrong, 0.0));
        assert_eq!(verdict("0+0=", "0"), (Outcome::Correct, 1.0));
        for malformed in ["085", "8 5", "+85", "85.", "8\u{FFFD}5", "８５", "85=", "-85"] {
            assert_eq!(verdict("27+58=", malformed), (Outcome::Malformed, 0.0), "{malformed}");
        }
        assert_eq!(verdict("27+58=", " \n"), (Outcome::Empty, 0.0));
        for unknown in ["", "27+58", "27=", "+58=", "2 7+58=", "1+2+3=", "sort 2 1:", "1+9999999999999999999="] {
            assert_eq!(verdict(unknown, "85"), (Outcome::UnknownPrompt, 0.0), "{unknown}");
        }
    }

    #[test]
    fn verdicts_of_lists_by_hand() {
        let verdict = |prompt, response| {
            let Verdict { outcome, reward } = sort().verify(prompt, response);
            (outcome, reward)
        };
        assert_eq!(verdict("sort 3 1 2:", "1 2 3"), (Outcome::Correct, 1.0));
        assert_eq!(verdict("sort 10 9:", "9 10"), (Outcome::Correct, 1.0)); // as numbers, not as text
        assert_eq!(verdict("sort 3 1 2:", "1 3 2"), (Outcome::Wrong, 0.5 / 3.0));
        assert_eq!(verdict("sort 3 1 2:", "1 2"), (Outcome::Wrong, 1.0 / 3.0));
        assert_eq!(verdict("sort 3 1 2:", "1 2 3 3"), (Outcome::Wrong, 0.375));
        for malformed in ["1  2 3", "1,2,3", "1 02 3", "1 2 3:"] {
            assert_eq!(verdict("sort 3 1 2:", malformed), (Outcome::Malformed, 0.0), "{malformed}");
        }
        for unknown in ["sort :", "sort 1  2:", "sort 1 2", "1 2:", "1+2="] {
            assert_eq!(verdict(unknown, "1 2"), (Outcome::UnknownPrompt, 0.0), "{unknown}");
        }
    }

    proptest! {
        #[test]
        fn any_text_has_a_verdict(prompt in ".*", response in ".*", digits in "[0-9]{1,30}") {
            for puzzles in [add(), sort()] {
                prop_assert_eq!(puzzles.verify(&prompt, &response).outcome == Outcome::Correct, false);
                let verdict = puzzles.verify(&puzzles.train(1)[0].prompt, &digits);
                prop_assert!((0.0..=1.0).contains(&verdict.reward));
                prop_assert_eq!(verdict.reward == 1.0, verdict.outcome == Outcome::Correct);
            }
        }

        #[test]
        fn any_configuration_makes_puzzles_that_it_verifies(
            seed in any::<u64>(), digits in 1..=9u32, len in 2..=32usize, below in 2..=1000u32, share in 0.2..0.8f64,
        ) {
            for kind in [PuzzleKind::Add { digits }, PuzzleKind::Sort { len, below }] {
                let config = PuzzleConfig { seed, kind, held_out_share: share, error_rate: 0.5, partial_credit: 0.9 };
                // Two numbers below 2 have a single list.
                let Ok(puzzles) = Puzzles::new(config) else {
                    prop_assert!(matches!(kind, PuzzleKind::Sort { below: ..4, len: ..4 }), "{:?}", kind);
                    continue;
                };
                let tokenizer = puzzles.tokenizer();
                for Puzzle { prompt, answer } in puzzles.train(20) {
                    prop_assert!(answer.len() <= puzzles.longest_answer());
                    prop_assert_eq!(puzzles.verify(&prompt, &answer).outcome, Outcome::Correct);
                    prop_assert_eq!(tokenizer.decode(&tokenizer.encode(&prompt)), prompt);
                }
                for Demonstration { prompt, answer, other, correct } in puzzles.demonstrations(20) {
                    let verdicts = [&answer, &other].map(|text| puzzles.verify(&prompt, text));
                    let (right, wrong) = if correct { (verdicts[0], verdicts[1]) } else { (verdicts[1], verdicts[0]) };
                    prop_assert_eq!((right.outcome, wrong.outcome), (Outcome::Correct, Outcome::Wrong));
                    prop_assert!(wrong.reward < 0.9);
                }
            }
        }
    }

    #[test]
    fn held_out_prompts_are_never_trained_on() {
        for puzzles in [add(), sort()] {
            let canonical = |prompt: &str| {
                let mut numbers = puzzles.parse(prompt).unwrap();
                numbers.sort_unstable();
                numbers
            };
            let held_out = puzzles.held_out(50).unwrap();
            let held_out: BTreeSet<_> = held_out.iter().map(|puzzle| canonical(&puzzle.prompt)).collect();
            // As many draws as there are prompts several times over, so that a leak would show.
            let train: BTreeSet<_> = puzzles.train(50_000).iter().map(|puzzle| canonical(&puzzle.prompt)).collect();
            let shown = puzzles.demonstrations(50_000);
            let shown: BTreeSet<_> = shown.iter().map(|shown| canonical(&shown.prompt)).collect();
            assert!(held_out.is_disjoint(&train) && held_out.is_disjoint(&shown));
            // There are 210 lists, 189 of them to train on, with a standard deviation of 4; and more sums.
            assert!(train.len() > 170, "{}", train.len());
        }
    }

    #[test]
    fn splits_have_their_share_and_depend_on_the_seed() {
        let held_out = |seed| {
            let kind = PuzzleKind::Add { digits: 2 };
            let puzzles = Puzzles::new(PuzzleConfig { seed, kind, ..PuzzleConfig::default() }).unwrap();
            let pairs = (0..100).flat_map(|a| (a..100).map(move |b| [a, b]));
            pairs.map(|pair| puzzles.side(&pair) == Side::HeldOut).collect::<Vec<_>>()
        };
        let (first, second) = (held_out(0), held_out(1));
        // 5050 sums, each held out with probability 0.1: four standard errors are 85; 6e-5, and the seeds are fixed.
        for split in [&first, &second] {
            assert!((split.iter().filter(|held_out| **held_out).count() as i64 - 505).abs() < 85);
        }
        // Held out by both: 50.5, four standard errors 28.
        let both = first.iter().zip(&second).filter(|(a, b)| **a && **b).count() as i64;
        assert!((both - 50).abs() < 28, "{both}");
    }

    #[test]
    fn demonstrations_are_wrong_at_the_rate() {
        let shown = |error_rate| {
            Puzzles::new(PuzzleConfig { error_rate, ..PuzzleConfig::default() }).unwrap().demonstrations(2000)
        };
        // Four standard errors of 0.3 at 2000 are 0.041.
        let wrong = shown(0.3).iter().filter(|shown| !shown.correct).count() as f64 / 2000.0;
        assert!((wrong - 0.3).abs() < 0.041, "{wrong}");
        assert!(shown(0.0).iter().all(|shown| shown.correct) && shown(1.0).iter().all(|shown| !shown.correct));
        assert!(shown(0.0).iter().zip(shown(1.0)).all(|(a, b)| a.prompt == b.prompt));
    }

    #[test]
    fn held_out_puzzles_are_different_and_run_out() {
        let puzzles =
            Puzzles::new(PuzzleConfig { kind: PuzzleKind::Add { digits: 1 }, ..PuzzleConfig::default() }).unwrap();
        let all = (0..10u64).flat_map(|a| (0..10).map(move |b| [a, b]));
        let count = all.filter(|pair| puzzles.side(pair) == Side::HeldOut).count();
        let held_out: BTreeSet<_> = puzzles.held_out(count).unwrap().into_iter().collect();
        assert_eq!(held_out.len(), count);
        let error = puzzles.held_out(count + 1).unwrap_err().to_string();
        assert!(error.starts_with("`count`: expected at most the number of held-out prompts"), "{error}");
    }

    #[test]
    fn senseless_configurations_are_refused_by_field() {
        let refuse = |change: fn(&mut PuzzleConfig)| {
            let mut config = PuzzleConfig::default();
            change(&mut config);
            Puzzles::new(config).unwrap_err().to_string()
        };
        assert_eq!(refuse(|c| c.kind = PuzzleKind::Add { digits: 0 }), "`digits`: expected from 1 to 9, got 0");
        assert!(refuse(|c| c.kind = PuzzleKind::Sort { len: 1, below: 5 }).starts_with("`len`"));
        assert!(refuse(|c| c.kind = PuzzleKind::Sort { len: 3, below: 1 }).starts_with("`below`"));
        assert!(
            refuse(|c| c.kind = PuzzleKind::Sort { len: 2, below: 2 })
                .starts_with("`held_out_share`: expected prompts")
        );
        assert!(refuse(|c| c.held_out_share = f64::NAN).starts_with("`held_out_share`"));
        assert!(refuse(|c| c.error_rate = 1.5).starts_with("`error_rate`"));
        assert!(refuse(|c| c.partial_credit = 1.0).starts_with("`partial_credit`"));
    }
}
