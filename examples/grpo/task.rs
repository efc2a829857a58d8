//! The task: puzzles whose answers a program checks.

use accordant::{
    data::{
        chars::{CharTokenizer, EOS_ID},
        puzzle::{Outcome, Puzzle, PuzzleConfig, Puzzles},
        tokens::TokenPair,
    },
    lm::{
        decoder::Decoder,
        generate::{Completion, greedy},
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

    /// Share of held-out puzzles that the model solves with its likeliest answer.
    pub fn accuracy(&self, model: &Decoder, device: &Device) -> Result<f64> {
        let prompts: Vec<Vec<u32>> = self.exam.iter().map(|puzzle| self.tokenizer.prompt(&puzzle.prompt)).collect();
        let mut solved = 0;
        for (puzzles, prompts) in self.exam.chunks(256).zip(prompts.chunks(256)) {
            let answers = greedy(model, prompts, &[EOS_ID], self.max_new_tokens(), device)?;
            solved += puzzles.iter().zip(&answers).filter(|(puzzle, answer)| self.is_solved(puzzle, answer)).count();
        }
        Ok(solved as f64 / self.exam.len() as f64)
    }

    fn is_solved(&self, puzzle: &Puzzle, answer: &Completion) -> bool {
        let verdict = self.puzzles.verify(&puzzle.prompt, &self.tokenizer.decode(&answer.ids));
        verdict.outcome == Outcome::Correct && answer.stopped
    }
}
