//! What makes two records the same: keys of normalized texts, words, shingles and n-grams.

use serde::Serialize;
use sha2::{Digest, Sha256};
use unicode_normalization::UnicodeNormalization;

use super::access::{HasPrompt, HasTexts, joined, plain_text, text_parts};
use crate::Text;

/// What is compared of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Key {
    /// Prompt and responses in their order.
    #[default]
    Record,
    /// The prompt only.
    Prompt,
    /// Prompt and responses in any order: a pair and its contradiction are the same.
    Unordered,
}

impl Key {
    /// SHA-256 of what is compared, in NFC and with each run of white space as one space.
    pub fn hash<T: HasPrompt + HasTexts>(self, record: &T) -> [u8; 32] {
        let key = |text: &Text| joined(&text_parts(text).iter().map(|part| normalized(part)).collect::<Vec<_>>());
        let mut texts = vec![key(record.prompt())];
        if self != Self::Prompt {
            texts.extend(record.responses().into_iter().map(key));
        }
        if self == Self::Unordered {
            texts[1..].sort_unstable();
        }
        Sha256::digest(joined(&texts)).into()
    }

    /// What is compared, as text to be read.
    pub(super) fn text<T: HasPrompt + HasTexts>(self, record: &T) -> String {
        let mut parts = vec![plain_text(record.prompt())];
        if self != Self::Prompt {
            parts.extend(record.responses().into_iter().map(plain_text));
        }
        if self == Self::Unordered {
            parts[1..].sort_unstable();
        }
        parts.join("\n")
    }
}

/// A text in NFC with each run of white space as one space, and none at the ends.
///
/// # Example
/// ```
/// use accordant_data::curation::keys::normalized;
/// assert_eq!(normalized(" e\u{301}t\u{e9} \n in  Paris "), "\u{e9}t\u{e9} in Paris");
/// ```
pub fn normalized(text: &str) -> String {
    let composed: String = text.nfc().collect();
    composed.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The words of a text in lower case without punctuation: what is left of each word are its letters and digits.
///
/// # Example
/// ```
/// use accordant_data::curation::keys::plain_words;
/// assert_eq!(plain_words("Don't -- PANIC, 42!"), ["dont", "panic", "42"]);
/// ```
pub fn plain_words(text: &str) -> Vec<String> {
    let lower: String = text.nfc().flat_map(char::to_lowercase).collect();
    let bare = |word: &str| word.chars().filter(|c| c.is_alphanumeric()).collect::<String>();
    lower.split_whitespace().map(bare).filter(|word| !word.is_empty()).collect()
}

/// A 64-bit hash of a list of words (FNV-1a with a final mixing), the same on every machine.
pub(super) fn hash_words<S: AsRef<str>>(words: &[S]) -> u64 {
    let mut hash: u64 = 0xCBF2_9CE4_8422_2325;
    let mut add = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
    for word in words {
        word.as_ref().bytes().for_each(&mut add);
        add(0xFF); // no byte of UTF-8
    }
    mix(hash)
}

/// The finalizer of SplitMix64: every bit of the input moves half of the bits.
pub(super) fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// The hashes of all runs of `size` words, ascending and each once; of fewer words, one of all; of none, none.
pub(super) fn shingles<S: AsRef<str>>(words: &[S], size: usize) -> Vec<u64> {
    let mut hashes: Vec<u64> = match words.len() {
        0 => Vec::new(),
        len if len < size => vec![hash_words(words)],
        _ => words.windows(size.max(1)).map(hash_words).collect(),
    };
    hashes.sort_unstable();
    hashes.dedup();
    hashes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Pair;

    #[test]
    fn white_space_and_unicode_spelling_make_no_difference_and_all_else_does() {
        let pair = |prompt: &str, chosen: &str, rejected: &str| Pair::new(prompt, chosen, rejected).unwrap();
        let (one, same) = (pair("e\u{301} a", "b", "c"), pair("\u{e9}\n a", "b ", "c"));
        let (other, turned) = (pair("\u{e9} A", "b", "c"), pair("\u{e9} a", "c", "b"));
        for key in [Key::Record, Key::Prompt, Key::Unordered] {
            assert_eq!(key.hash(&one), key.hash(&same));
            assert_ne!(key.hash(&one), key.hash(&other));
        }
        assert_ne!(Key::Record.hash(&one), Key::Record.hash(&turned));
        assert_eq!(Key::Unordered.hash(&one), Key::Unordered.hash(&turned));
        assert_eq!(Key::Prompt.hash(&one), Key::Prompt.hash(&pair("\u{e9} a", "x", "y")));
        assert_ne!(Key::Record.hash(&pair("a", "b c", "d")), Key::Record.hash(&pair("a", "b", "c d")));
        assert_eq!((Key::Record.text(&turned), Key::Prompt.text(&one)), ("\u{e9} a\nc\nb".into(), "e\u{301} a".into()));
        assert_eq!(Key::Unordered.text(&turned), "\u{e9} a\nb\nc");
    }

    #[test]
    fn shingles_are_runs_of_words_each_once() {
        let words = ["a", "b", "a", "b", "a"];
        // ab, ba, ab, ba
        let mut pairs = vec![hash_words(&["a", "b"]), hash_words(&["b", "a"])];
        pairs.sort_unstable();
        assert_eq!(shingles(&words, 2), pairs);
        assert_eq!(shingles(&words[..2], 5), [hash_words(&["a", "b"])]);
        assert_eq!(shingles(&words, 5), [hash_words(&words)]);
        assert!(shingles::<&str>(&[], 5).is_empty());
        assert_ne!(hash_words(&["ab", "c"]), hash_words(&["a", "bc"]));
    }
}
