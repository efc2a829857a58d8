//! Token ids of single characters, for tasks over a small alphabet.
//!
//! | id | what it is |
//! |---|---|
//! | 0 | padding, [`PAD_ID`] |
//! | 1 | start of a prompt, [`BOS_ID`] |
//! | 2 | end of a completion, [`EOS_ID`] |
//! | 3 | a character outside of the alphabet, [`UNKNOWN_ID`] |
//! | 4 and above | the alphabet, in its order |

use crate::{Error, Result, tokens::TokenPair};

/// Padding.
pub const PAD_ID: u32 = 0;

/// Starts every prompt, so that an empty one has a token to predict from.
pub const BOS_ID: u32 = 1;

/// Ends every completion: the stop id of a sampler.
pub const EOS_ID: u32 = 2;

/// Any character outside of the alphabet.
pub const UNKNOWN_ID: u32 = 3;

const FIRST_CHAR: u32 = 4;

/// One id for each character of an alphabet.
///
/// # Example
/// ```
/// use accordant_data::chars::CharTokenizer;
/// let tokenizer = CharTokenizer::new("01+=")?;
/// assert_eq!(tokenizer.prompt("1+0="), [1, 5, 6, 4, 7]);
/// assert_eq!(tokenizer.completion("1"), [5, 2]);
/// assert_eq!(tokenizer.decode(&[5, 4, 2, 5, 0]), "10"); // up to the end
/// assert_eq!(tokenizer.decode(&[5, 0, 99]), "1\u{FFFD}\u{FFFD}"); // nothing is dropped in silence
/// # Ok::<(), accordant_data::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CharTokenizer {
    alphabet: Vec<char>,
}

impl CharTokenizer {
    /// A tokenizer of these characters.
    ///
    /// # Errors
    /// A domain error naming `alphabet`, with the position of a character that occurs before or is U+FFFD, which stands for
    /// what is not in the alphabet.
    pub fn new(alphabet: &str) -> Result<Self> {
        let alphabet: Vec<char> = alphabet.chars().collect();
        for (position, c) in alphabet.iter().enumerate() {
            if alphabet[..position].contains(c) || *c == char::REPLACEMENT_CHARACTER {
                let expected = "each character once and no U+FFFD";
                return Err(Error::Domain { name: "alphabet", expected, got: position as f64 });
            }
        }
        Ok(Self { alphabet })
    }

    /// The number of token ids.
    pub fn vocab_size(&self) -> usize {
        FIRST_CHAR as usize + self.alphabet.len()
    }

    /// The id of each character.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let id = |c| match self.alphabet.iter().position(|other| *other == c) {
            Some(index) => FIRST_CHAR + index as u32,
            None => UNKNOWN_ID,
        };
        text.chars().map(id).collect()
    }

    /// The text up to the first [`EOS_ID`]. An id that is no character becomes U+FFFD, padding and [`BOS_ID`] included: a
    /// response with a special token in its midst must not pass for one without.
    pub fn decode(&self, ids: &[u32]) -> String {
        let character = |id: &u32| {
            let index = id.checked_sub(FIRST_CHAR).map(|index| index as usize);
            index.and_then(|index| self.alphabet.get(index)).copied().unwrap_or(char::REPLACEMENT_CHARACTER)
        };
        ids.iter().take_while(|id| **id != EOS_ID).map(character).collect()
    }

    /// [`BOS_ID`] and the text.
    pub fn prompt(&self, text: &str) -> Vec<u32> {
        [vec![BOS_ID], self.encode(text)].concat()
    }

    /// The text and [`EOS_ID`].
    pub fn completion(&self, text: &str) -> Vec<u32> {
        [self.encode(text), vec![EOS_ID]].concat()
    }

    /// A pair of weight 1 from texts.
    pub fn pair(&self, id: impl Into<String>, prompt: &str, chosen: &str, rejected: &str) -> TokenPair {
        TokenPair::new(id, self.prompt(prompt), self.completion(chosen), self.completion(rejected))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn texts_of_the_alphabet_come_back(text in "[ab é🦀]{0,20}") {
            let tokenizer = CharTokenizer::new("ab é🦀").unwrap();
            prop_assert_eq!(tokenizer.decode(&tokenizer.encode(&text)), &text[..]);
            prop_assert_eq!(tokenizer.decode(&tokenizer.completion(&text)), &text[..]);
            prop_assert!(tokenizer.prompt(&text).iter().all(|id| (*id as usize) < tokenizer.vocab_size()));
        }

        #[test]
        fn any_text_and_any_ids_do(text in ".*", ids in prop::collection::vec(any::<u32>(), 0..9)) {
            let tokenizer = CharTokenizer::new("xyz").unwrap();
            prop_assert_eq!(tokenizer.encode(&text).len(), text.chars().count());
            prop_assert!(tokenizer.decode(&ids).chars().count() <= ids.len());
        }
    }

    #[test]
    fn what_is_not_in_the_alphabet_is_unknown() {
        let tokenizer = CharTokenizer::new("ab").unwrap();
        assert_eq!(tokenizer.encode("aXb"), [4, UNKNOWN_ID, 5]);
        assert_eq!(tokenizer.decode(&[BOS_ID, 4, PAD_ID, UNKNOWN_ID, 5]), "\u{FFFD}a\u{FFFD}\u{FFFD}b");
    }

    #[test]
    fn characters_that_repeat_are_errors() {
        let error = CharTokenizer::new("aba").unwrap_err().to_string();
        assert_eq!(error, "`alphabet`: expected each character once and no U+FFFD, got 2");
        assert!(CharTokenizer::new("a\u{FFFD}").is_err());
        assert_eq!(CharTokenizer::new("").unwrap().vocab_size(), 4);
    }
}
