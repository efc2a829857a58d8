//! The task: puzzles whose answers a program checks.

use std::fmt;

use accordant::{
    data::{
        chars::{CharTokenizer, EOS_ID},
        puzzle::{Outcome, Puzzle, PuzzleConfig, Puzzles},
        tokens::TokenPair,
    },
    lm::{
        decoder::Decoder,
        generate::{Completion, SampleConfig, greedy, sample},
    },
    train::{Rollout, Scored},
};
use anyhow::Result;
use burn::tensor::Device;

/// Puzzles, and what of them is shown, practiced and examined.
pub struct Task {
    puzzles: Puzzles,
    tokenizer: CharTokenizer,
    pub demonstrations: Vec<TokenPair>,
    practice: Vec<Puzzle>,
    exam: Vec<Puzzle>,
}

/// Keeps the samples of the exam apart from those of practice.
const EXAM: u64 = 1 << 32;

/// Share of puzzles with a right answer.
#[derive(Clone, Copy)]
pub struct Accuracy {
    /// By one answer to each, sampled from the model as it is.
    pub sampled: f64,
    /// By its likeliest tokens.
    pub likeliest: f64,
}

impl fmt::Display for Accuracy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>18.1} % {:>8.1} %", 100.0 * self.sampled, 100.0 * self.likeliest)
    }
}

/// How many puzzles there are of each use.
#[derive(Clone, Copy)]
pub struct Size {
    pub demonstrations: usize,
    pub practice: usize,
    pub exam: usize,
}

impl Task {
    pub fn new(config: PuzzleConfig, size: Size) -> Result<Self> {
        let puzzles = Puzzles::new(config)?;
        Ok(Self {
            tokenizer: puzzles.tokenizer(),
            demonstrations: puzzles.token_pairs(size.demonstrations),
            practice: puzzles.train(size.practice),
            exam: puzzles.held_out(size.exam)?,
            puzzles,
        })
    }

    pub fn describe(&self) -> String {
        let Puzzle { prompt, answer } = &self.exam[0];
        format!(
            "puzzles such as `{prompt}` (`{answer}`): {} demonstrations, {} to practice, {} held out",
            self.demonstrations.len(),
            self.practice.len(),
            self.exam.len()
        )
    }

    pub fn vocab_size(&self) -> usize {
        self.tokenizer.vocab_size()
    }

    pub fn max_new_tokens(&self) -> usize {
        self.puzzles.longest_answer() + 1
    }

    /// Prompts to practice on.
    pub fn prompts(&self) -> Vec<Vec<u32>> {
        self.practice.iter().map(|puzzle| self.tokenizer.prompt(&puzzle.prompt)).collect()
    }

    /// What a response is worth: nothing unless it ends by itself.
    pub fn judge(&self, rollout: &Rollout<'_>) -> Scored {
        Scored::correct(self.is_solved(&self.practice[rollout.prompt], rollout.completion))
    }

    /// Share of held-out puzzles that the model solves.
    pub fn accuracy(&self, model: &Decoder, seed: u64, device: &Device) -> Result<Accuracy> {
        let prompts: Vec<Vec<u32>> = self.exam.iter().map(|puzzle| self.tokenizer.prompt(&puzzle.prompt)).collect();
        let most = self.max_new_tokens();
        let config = SampleConfig::new(most).with_seed(seed ^ EXAM);
        let share = |answers: Vec<Completion>| {
            let solved = self.exam.iter().zip(&answers).filter(|(puzzle, answer)| self.is_solved(puzzle, answer));
            solved.count() as f64 / self.exam.len() as f64
        };
        Ok(Accuracy {
            sampled: share(sample(model, &prompts, &[EOS_ID], &config, 0, device)?),
            likeliest: share(greedy(model, &prompts, &[EOS_ID], most, device)?),
        })
    }

    fn is_solved(&self, puzzle: &Puzzle, answer: &Completion) -> bool {
        let verdict = self.puzzles.verify(&puzzle.prompt, &self.tokenizer.decode(&answer.ids));
        verdict.outcome == Outcome::Correct && answer.stopped
    }
}
