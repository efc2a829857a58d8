//! Decontamination: records that repeat a test prompt.
//!
//! **Paper:** Language Models are Few-Shot Learners (2020), 2005.14165, appendix C: overlaps of 13 words.
//! **Use when:** a model is to be evaluated on a public benchmark.
//! **Deviations:** a test prompt shorter than an n-gram has none; it is found where a record's whole prompt is the
//! same.

use std::collections::HashSet;

use serde::Serialize;
use serde_json::Value;

use super::{
    access::{HasPrompt, HasTexts, plain_text},
    keys::{Key, hash_words, plain_words, shingles},
    numbers::check_domain,
    operator::{Curated, Operator, OperatorReport, RecordOperator, Verdict, apply_each},
};
use crate::Result;

/// The n-grams of test prompts. Words are in lower case and without punctuation.
#[derive(Debug, Clone)]
pub struct Benchmark {
    ngram_len: usize,
    ngrams: HashSet<u64>,
    short_prompts: HashSet<u64>,
    prompts: usize,
}

impl Benchmark {
    /// The n-grams of `ngram_len` words, at least 1. Thirteen is usual.
    ///
    /// # Errors
    /// [`crate::Error::Domain`] naming `ngram_len`.
    pub fn new<S: AsRef<str>>(prompts: impl IntoIterator<Item = S>, ngram_len: usize) -> Result<Self> {
        check_domain(ngram_len > 0, "ngram_len", "at least 1", ngram_len as f64)?;
        let mut set = Self { ngram_len, ngrams: HashSet::new(), short_prompts: HashSet::new(), prompts: 0 };
        for prompt in prompts {
            let words = plain_words(prompt.as_ref());
            set.prompts += 1;
            match words.len() {
                0 => {}
                len if len < ngram_len => drop(set.short_prompts.insert(hash_words(&words))),
                _ => set.ngrams.extend(shingles(&words, ngram_len)),
            }
        }
        Ok(set)
    }

    /// Whether a text repeats some of a test prompt, or is one.
    pub fn overlaps(&self, text: &str) -> bool {
        let words = plain_words(text);
        let run = |run: &[String]| self.ngrams.contains(&hash_words(run));
        words.windows(self.ngram_len).any(run) || self.is_short_prompt(&words)
    }

    fn is_short_prompt(&self, words: &[String]) -> bool {
        !words.is_empty() && self.short_prompts.contains(&hash_words(words))
    }
}

/// Drops records that share a run of words with a test prompt, under `contaminated`.
///
/// Looks at the prompt and, unless `key` is [`Key::Prompt`], at each response.
///
/// # Example
/// ```
/// use accordant_data::{Pair, curation::{Operator, decontaminate::{Benchmark, Decontaminate}}};
/// let tests = Benchmark::new(["What is the capital of France?"], 4)?;
/// let records = vec![Pair::new("Say, what is the capital?", "Of where?", "Paris")?, Pair::new("Hi", "Hello", "Hey")?];
/// let curated = Decontaminate::new(tests).apply(records, 0)?;
/// assert_eq!(curated.report.dropped["contaminated"], 1); // "what is the capital"
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Decontaminate {
    /// The test prompts.
    pub benchmark: Benchmark,
    /// What is looked at. Default: prompt and responses.
    pub key: Key,
}

impl Decontaminate {
    /// Looks at prompts and responses.
    pub fn new(benchmark: Benchmark) -> Self {
        Self { benchmark, key: Key::Record }
    }
}

#[derive(Serialize)]
struct Options {
    ngram_len: usize,
    test_prompts: usize,
    key: Key,
}

impl<T: HasPrompt + HasTexts> Operator<T> for Decontaminate {
    type Out = T;

    fn name(&self) -> &'static str {
        "decontaminate"
    }

    fn options(&self) -> Value {
        let (ngram_len, test_prompts) = (self.benchmark.ngram_len, self.benchmark.prompts);
        super::operator::options_of(&Options { ngram_len, test_prompts, key: self.key })
    }

    fn apply(&self, records: Vec<T>, seed: u64) -> Result<Curated<T>> {
        apply_each(self, records, seed)
    }
}

impl<T: HasPrompt + HasTexts> RecordOperator<T> for Decontaminate {
    fn judge(&self, record: T, _seed: u64, _report: &mut OperatorReport) -> Verdict<T> {
        let in_responses = || record.responses().into_iter().any(|text| self.benchmark.overlaps(&plain_text(text)));
        let found =
            self.benchmark.overlaps(&plain_text(record.prompt())) || (self.key != Key::Prompt && in_responses());
        if found { Verdict::Drop(record, "contaminated") } else { Verdict::Keep(record) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Pair, curation::testing::pair};

    const TEST: &str = "One two three four five six seven eight nine ten eleven twelve thirteen fourteen";

    #[test]
    fn thirteen_words_in_a_row_are_too_many_and_twelve_are_not() {
        let tests = Benchmark::new([TEST], 13).unwrap();
        assert!(tests.overlaps("two, three four FIVE six: seven eight nine ten eleven twelve (thirteen) fourteen!"));
        assert!(!tests.overlaps("three four five six seven eight nine ten eleven twelve thirteen fourteen"));
        assert!(tests.overlaps(&format!("and {TEST} or")));
        assert!(!tests.overlaps(""));
    }

    #[test]
    fn a_short_test_prompt_is_found_where_it_is_the_whole_text() {
        let tests = Benchmark::new(["Who are you?", "..."], 13).unwrap();
        assert!(tests.overlaps("who ARE you") && !tests.overlaps("Who are you today") && !tests.overlaps("!"));
        assert_eq!(Benchmark::new([""], 0).unwrap_err().to_string(), "`ngram_len`: expected at least 1, got 0");
    }

    #[test]
    fn responses_count_unless_only_prompts_are_looked_at() {
        let tests = Benchmark::new([TEST], 13).unwrap();
        let records =
            vec![pair("clean"), pair(TEST), Pair::new("q", TEST, "b").unwrap(), Pair::new("q", "b", TEST).unwrap()];
        let all = Decontaminate::new(tests);
        let curated = all.apply(records.clone(), 0).unwrap();
        assert_eq!((curated.records.len(), curated.report.dropped["contaminated"]), (1, 3));
        assert_eq!(curated.report.options["ngram_len"], 13);
        assert_eq!(
            (&curated.report.options["test_prompts"], &curated.report.options["key"]),
            (&1.into(), &"record".into())
        );
        let prompts = Decontaminate { key: Key::Prompt, ..all };
        assert_eq!(prompts.apply(records, 0).unwrap().records.len(), 3);
    }
}
