//! Bag of words: which words a text has, and how many, as features of a linear reward.
//!
//! **Paper:** Feature Hashing for Large Scale Multitask Learning (2009), 0902.2206, for the buckets; words themselves are
//! folklore.
//! **Use when:** a baseline is wanted that any reward model of text has to beat: it knows no order, no prompt and no grammar.
//! **Checked by:** texts by hand, published values of the hash, `examples/reward_model`.
//! **Deviations:** buckets are not signed: with more buckets than words hardly any two meet.

use std::collections::{BTreeMap, BTreeSet};

use accordant_ops::check_domain;
use burn::config::Config;

use crate::Result;

/// The words of a text: runs of letters, digits and underscores, in lower case.
///
/// # Example
/// ```
/// use accordant_preference::multi_objective::bag_of_words::words;
/// assert_eq!(words("Don't STOP, please.").collect::<Vec<_>>(), ["don", "t", "stop", "please"]);
/// ```
pub fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty()).map(str::to_lowercase)
}

/// CRC-32 (IEEE 802.3, reflected), as zlib's: the same on every machine and in every version, unlike the standard library's
/// hash.
fn hash(word: &str) -> u32 {
    let bit = |crc: u32, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
    !word.bytes().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(byte), bit))
}

/// Configuration of [`BagOfWords`].
#[derive(Config, Debug, PartialEq)]
pub struct BagOfWordsConfig {
    /// How many buckets words are hashed to by their CRC-32, at least 1. 32768: the protocol of `examples/reward_model`.
    #[config(default = 32768)]
    pub buckets: usize,
    /// Whether the logarithm of one more than the number of words is a feature, too. True: the same protocol.
    #[config(default = true)]
    pub length: bool,
}

impl BagOfWordsConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming `buckets`.
    pub fn init(&self) -> Result<BagOfWords> {
        check_domain(self.buckets > 0, "buckets", "at least 1", self.buckets as f64)?;
        Ok(BagOfWords { config: self.clone() })
    }
}

/// Texts as sparse features: in each bucket, how many different words of the text fall into it; mostly one at most.
#[derive(Debug, Clone, PartialEq)]
pub struct BagOfWords {
    config: BagOfWordsConfig,
}

impl BagOfWords {
    /// How many features there are: the buckets, and the length where it is one, the last.
    pub fn dim(&self) -> usize {
        self.config.buckets + usize::from(self.config.length)
    }

    /// The bucket of a word in lower case.
    pub fn bucket(&self, word: &str) -> usize {
        hash(word) as usize % self.config.buckets
    }

    /// The features of a text that are not 0, in ascending order.
    pub fn features(&self, text: &str) -> Vec<(usize, f64)> {
        let (mut distinct, mut count) = (BTreeSet::new(), 0.0f64);
        for word in words(text) {
            distinct.insert(word);
            count += 1.0;
        }
        let mut features = BTreeMap::<usize, f64>::new();
        for word in &distinct {
            *features.entry(self.bucket(word)).or_default() += 1.0;
        }
        let length = (self.config.length && count > 0.0).then(|| (self.config.buckets, count.ln_1p()));
        features.into_iter().chain(length).collect()
    }

    /// The features in which two texts differ, those of `first` minus those of `second`: a row of
    /// [`Differences`](super::Differences).
    ///
    /// # Example
    /// ```
    /// use accordant_preference::multi_objective::BagOfWordsConfig;
    /// let bag = BagOfWordsConfig::new().init()?;
    /// let rows = bag.difference("yes and yes", "no and no");
    /// let mut expected = [(bag.bucket("yes"), 1.0), (bag.bucket("no"), -1.0)]; // and three words each
    /// expected.sort_by_key(|entry| entry.0);
    /// assert_eq!(rows, expected);
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn difference(&self, first: &str, second: &str) -> Vec<(usize, f64)> {
        let mut all: BTreeMap<usize, f64> = self.features(first).into_iter().collect();
        for (feature, value) in self.features(second) {
            *all.entry(feature).or_default() -= value;
        }
        all.into_iter().filter(|(_, value)| *value != 0.0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_runs_of_letters_digits_and_underscores_in_lower_case() {
        let of = |text| words(text).collect::<Vec<_>>();
        assert_eq!(of("  snake_case, 2x ÄRGER—ok?! "), ["snake_case", "2x", "ärger", "ok"]);
        assert!(of(" .,!? ").is_empty() && of("").is_empty());
    }

    #[test]
    fn the_hash_has_its_published_values() {
        assert_eq!(["", "a", "123456789"].map(hash), [0, 0xe8b7_be43, 0xcbf4_3926]);
    }

    #[test]
    fn a_text_has_its_buckets_once_and_its_length() {
        let bag = BagOfWordsConfig::new().with_buckets(1000).init().unwrap();
        assert_eq!(bag.dim(), 1001);
        let [a, b] = ["a", "b"].map(|word| bag.bucket(word));
        assert_eq!(a, 907); // of 3904355907
        let mut expected = vec![(a, 1.0), (b, 1.0)];
        expected.sort_by_key(|entry| entry.0);
        expected.push((1000, 4f64.ln())); // three words
        assert_eq!(bag.features("A b, a!"), expected);
        assert!(bag.features("...").is_empty());
        let plain = BagOfWordsConfig::new().with_buckets(1000).with_length(false).init().unwrap();
        assert_eq!(plain.dim(), 1000);
        assert_eq!(plain.features("A b, a!"), expected[..2]);
    }

    #[test]
    fn words_of_one_bucket_add_up_and_a_word_that_comes_twice_does_not() {
        let bag = BagOfWordsConfig::new().with_buckets(1).init().unwrap();
        assert_eq!(bag.features("one two two three"), [(0, 3.0), (1, 5f64.ln())]);
        assert_eq!(bag.difference("one two", "two two"), [(0, 1.0)]);
    }

    #[test]
    fn what_two_texts_share_is_no_difference_and_exchanging_them_turns_the_signs() {
        let bag = BagOfWordsConfig::new().init().unwrap();
        assert!(bag.difference("one two", "Two, ONE").is_empty());
        let (there, back) = (bag.difference("one two three", "two"), bag.difference("two", "one two three"));
        assert_eq!(there.len(), 3);
        assert_eq!(there[2], (32768, 4f64.ln() - 2f64.ln()));
        assert!(there.iter().zip(&back).all(|(a, b)| a.0 == b.0 && a.1 == -b.1));
    }

    #[test]
    fn there_is_a_bucket() {
        let error = BagOfWordsConfig::new().with_buckets(0).init().unwrap_err().to_string();
        assert_eq!(error, "`buckets`: expected at least 1, got 0");
        let defaults = BagOfWordsConfig::new();
        assert_eq!((defaults.buckets, defaults.length), (32768, true));
        assert_eq!(BagOfWordsConfig::new().with_buckets(1).init().unwrap().bucket("anything"), 0);
    }
}
