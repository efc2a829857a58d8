//! From pairs of texts to pairs of token ids.
//!
//! A conversation is laid out turn by turn, each turn one special id for its role, its text, and `<|end|>`; the prompt
//! ends with the assistant's role id and the completion with `<|end|>`. A plain prompt is its text alone. Prompt and
//! completion are tokenized apart, so the boundary between them is exact, and text that spells a special token stays
//! text: nobody can end a turn by writing `<|end|>`.

use std::path::Path;

use tokenizers::{
    AddedToken, Tokenizer as HfTokenizer,
    decoders::byte_level::ByteLevel as ByteLevelDecoder,
    models::{
        TrainerWrapper,
        bpe::{BPE, BpeTrainerBuilder},
    },
    pre_tokenizers::byte_level::ByteLevel,
};

use crate::{
    Code, Error, Message, Pair, Result, Role, Text,
    tokens::{TokenPair, TokenReport, Truncation},
};

/// The special tokens, in the order of their ids from 0.
const SPECIALS: [&str; 6] = ["<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>", "<|tool|>"];

/// Ends every turn, and with it a completion.
pub const END_ID: u32 = 1;

const fn role_id(role: Role) -> u32 {
    match role {
        Role::System | Role::Developer => 2,
        Role::User => 3,
        Role::Assistant => 4,
        Role::Tool => 5,
    }
}

/// A byte-level BPE tokenizer with the special tokens of this module's layout.
///
/// # Example
/// ```
/// use accordant_data::tokenize::Tokenizer;
/// let tokenizer = Tokenizer::train(["hello hello world"], 300)?;
/// let ids = tokenizer.encode("hello, wörld")?;
/// assert_eq!(tokenizer.decode(&ids)?, "hello, wörld"); // bytes, so any text comes back
/// assert!(tokenizer.encode("<|end|>")?.iter().all(|id| *id >= 6)); // text, not the special id
/// # Ok::<(), accordant_data::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Tokenizer {
    inner: HfTokenizer,
}

impl Tokenizer {
    /// The smallest vocabulary: the special tokens and the 256 bytes.
    pub const MIN_VOCAB: usize = SPECIALS.len() + 256;

    /// Learns merges from `texts` until there are `vocab_size` tokens or no pair of tokens occurs twice. The same texts
    /// give the same tokenizer.
    ///
    /// # Errors
    /// A domain error when `vocab_size` is below [`Tokenizer::MIN_VOCAB`].
    pub fn train<I>(texts: I, vocab_size: usize) -> Result<Self>
    where
        I: IntoIterator<Item: AsRef<str> + Send, IntoIter: Send>,
    {
        if vocab_size < Self::MIN_VOCAB {
            let expected = "at least 262, the special tokens and one token for each byte";
            return Err(Error::Domain { name: "vocab_size", expected, got: vocab_size as f64 });
        }
        let mut inner = HfTokenizer::new(BPE::default());
        inner.with_pre_tokenizer(Some(ByteLevel::new(false, true, true)));
        inner.with_decoder(Some(ByteLevelDecoder::default()));
        let trainer = BpeTrainerBuilder::new()
            .vocab_size(vocab_size)
            .min_frequency(2)
            .show_progress(false)
            .special_tokens(SPECIALS.map(|token| AddedToken::from(token, true)).to_vec())
            .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
            .build();
        inner.train(&mut TrainerWrapper::BpeTrainer(trainer), texts.into_iter()).map_err(Error::Tokenizer)?;
        Ok(Self::literal(inner))
    }

    /// Reads a `tokenizer.json` with the content of [`Tokenizer::to_json`].
    ///
    /// # Errors
    /// [`Error::TokenizerFile`] when the file cannot be read, is no tokenizer, or lacks this layout's special tokens.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let fail = |source| Error::TokenizerFile { path: path.to_owned(), source };
        let inner = HfTokenizer::from_file(path).map_err(fail)?;
        for (id, token) in (0..).zip(SPECIALS) {
            if inner.token_to_id(token) != Some(id) {
                return Err(fail(format!("expected the special token `{token}` to have id {id}").into()));
            }
        }
        Ok(Self::literal(inner))
    }

    /// The content of a `tokenizer.json`, for [`Tokenizer::load`].
    ///
    /// # Errors
    /// [`Error::Tokenizer`] as the library reports it.
    pub fn to_json(&self) -> Result<String> {
        self.inner.to_string(false).map_err(Error::Tokenizer)
    }

    fn literal(mut inner: HfTokenizer) -> Self {
        inner.set_encode_special_tokens(true);
        Self { inner }
    }

    /// The number of token ids.
    pub fn vocab_size(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    /// The ids of a text; special tokens in it are text.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] from a loaded tokenizer whose model cannot encode every byte.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        Ok(self.inner.encode_fast(text, false).map_err(Error::Tokenizer)?.get_ids().to_vec())
    }

    /// The text of some ids, special tokens left out; bytes that are no UTF-8 become replacement characters.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] as the library reports it.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        self.inner.decode(ids, true).map_err(Error::Tokenizer)
    }

    fn turn(&self, message: &Message) -> Result<Vec<u32>> {
        let mut ids = vec![role_id(message.role)];
        ids.extend(self.encode(&message.content)?);
        ids.push(END_ID);
        Ok(ids)
    }

    /// The ids of a prompt, up to where the completion begins.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    ///
    /// # Example
    /// ```
    /// use accordant_data::{Message, Role, Text, tokenize::{END_ID, Tokenizer}};
    /// let tokenizer = Tokenizer::train(["hi hi hi"], 300)?;
    /// let prompt = tokenizer.prompt(&Text::Messages(vec![Message::new(Role::User, "hi")]))?;
    /// assert_eq!((prompt[0], prompt[2], prompt[3]), (3, END_ID, 4)); // <|user|>hi<|end|><|assistant|>
    /// # Ok::<(), accordant_data::Error>(())
    /// ```
    pub fn prompt(&self, prompt: &Text) -> Result<Vec<u32>> {
        match prompt {
            Text::Plain(text) => self.encode(text),
            Text::Messages(messages) => {
                let mut ids = Vec::new();
                for message in messages {
                    ids.extend(self.turn(message)?);
                }
                ids.push(role_id(Role::Assistant));
                Ok(ids)
            }
        }
    }

    /// The ids of a completion, closed by [`END_ID`].
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn completion(&self, completion: &Text) -> Result<Vec<u32>> {
        match completion {
            Text::Plain(text) => {
                let mut ids = self.encode(text)?;
                ids.push(END_ID);
                Ok(ids)
            }
            Text::Messages(messages) => {
                let mut ids = Vec::new();
                for message in messages {
                    ids.extend(self.turn(message)?);
                }
                // The first role id already ends the prompt.
                ids.drain(..ids.len().min(1));
                Ok(ids)
            }
        }
    }

    /// Tokenizes and truncates pairs; those that cannot be used are left out and counted, also those whose completion is
    /// of several turns ([`Code::DivergentTurns`]).
    /// Numbers in `meta` become the pair's columns.
    ///
    /// # Errors
    /// Domain errors of `truncation`, and as [`Tokenizer::encode`].
    pub fn pairs(&self, pairs: &[Pair], truncation: &Truncation) -> Result<(Vec<TokenPair>, TokenReport)> {
        truncation.validate()?;
        let mut report = TokenReport::default();
        let mut out = Vec::with_capacity(pairs.len());
        for pair in pairs {
            let one_turn = |text: &Text| text.as_messages().is_none_or(|messages| messages.len() == 1);
            if !one_turn(&pair.chosen) || !one_turn(&pair.rejected) {
                // Every token of a completion is scored, and a user's words must not be.
                report.reject(Code::DivergentTurns);
                continue;
            }
            let mut prompt = self.prompt(&pair.prompt)?;
            let (mut chosen, mut rejected) = (self.completion(&pair.chosen)?, self.completion(&pair.rejected)?);
            match truncation.apply(&mut prompt, &mut chosen, &mut rejected) {
                Err(reason) => report.reject(reason.code),
                Ok(cut) => {
                    let pair = TokenPair::of_record(pair, prompt, chosen, rejected);
                    report.add(&pair, cut);
                    out.push(pair);
                }
            }
        }
        Ok((out, report))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokenizer() -> Tokenizer {
        Tokenizer::train(["the cat sat on the mat", "the cat ate the rat"], 290).unwrap()
    }

    #[test]
    fn the_same_texts_give_the_same_ids() {
        let encode = || tokenizer().encode("the cat sat on the rat").unwrap();
        let first = encode();
        assert!((0..5).all(|_| encode() == first));
        assert!(first.len() < 22, "merges were learned: {first:?}");
    }

    #[test]
    fn decoding_a_prompt_and_its_completion_gives_their_text() {
        let tokenizer = tokenizer();
        let text = "naïve <|end|> \u{2028} 🦀\0 text";
        let ids = [tokenizer.prompt(&text.into()).unwrap(), tokenizer.completion(&text.into()).unwrap()].concat();
        assert_eq!(tokenizer.decode(&ids).unwrap(), format!("{text}{text}"));
        assert_eq!(ids.iter().filter(|id| **id == END_ID).count(), 1, "the text's own <|end|> ends nothing");
        assert_eq!(ids.last(), Some(&END_ID));
    }

    #[test]
    fn a_conversation_is_laid_out_by_turns() {
        let tokenizer = tokenizer();
        let say = |role, text: &str| Message::new(role, text);
        let prompt = Text::Messages(vec![say(Role::System, "the"), say(Role::User, "cat")]);
        let reply = Text::Messages(vec![say(Role::Assistant, "sat")]);
        let (the, cat, sat) =
            (tokenizer.encode("the").unwrap(), tokenizer.encode("cat").unwrap(), tokenizer.encode("sat").unwrap());
        let expected = [vec![2], the, vec![END_ID, 3], cat, vec![END_ID, 4], sat, vec![END_ID]].concat();
        assert_eq!([tokenizer.prompt(&prompt).unwrap(), tokenizer.completion(&reply).unwrap()].concat(), expected);
    }

    #[test]
    fn a_saved_tokenizer_comes_back_and_another_file_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokenizer.json");
        std::fs::write(&path, tokenizer().to_json().unwrap()).unwrap();
        let back = Tokenizer::load(&path).unwrap();
        let text = "the mat <|user|>";
        assert_eq!(back.encode(text).unwrap(), tokenizer().encode(text).unwrap());
        std::fs::write(&path, "{}").unwrap();
        let error = Tokenizer::load(&path).unwrap_err().to_string();
        assert!(error.contains("tokenizer.json"), "{error}");
    }

    #[test]
    fn records_that_cannot_be_used_are_counted() {
        let pairs = [Pair::new("the cat", " sat", " ate the rat").unwrap(), Pair::new("the", " cat", " mat").unwrap()];
        let limits = Truncation { overflow: crate::tokens::Overflow::Drop, ..Truncation::keep_end(5) };
        let (kept, report) = tokenizer().pairs(&pairs, &limits).unwrap();
        assert_eq!((kept.len(), report.records, report.rejected.get(&Code::TooLong)), (1, 2, Some(&1)));
    }

    #[test]
    fn a_completion_of_several_turns_is_counted_not_scored() {
        let say = |role, text: &str| Message::new(role, text);
        let reply = |text: &str| Text::Messages(vec![say(Role::Assistant, text)]);
        let long = vec![say(Role::Assistant, "sat"), say(Role::User, "mat?"), say(Role::Assistant, "mat")];
        let prompt = Text::Messages(vec![say(Role::User, "cat")]);
        let pairs = [
            Pair::new(prompt.clone(), long, reply("ate")).unwrap(),
            Pair::new(prompt, reply("a"), reply("b")).unwrap(),
        ];
        let (kept, report) = tokenizer().pairs(&pairs, &Truncation::keep_end(99)).unwrap();
        assert_eq!((kept.len(), report.rejected.get(&Code::DivergentTurns)), (1, Some(&1)));
    }

    #[test]
    fn a_vocabulary_too_small_for_bytes_is_an_error() {
        let error = Tokenizer::train(["a"], 100).unwrap_err().to_string();
        assert!(error.starts_with("`vocab_size`: expected at least 262"), "{error}");
    }

    #[test]
    fn numbers_of_the_record_become_columns() {
        let mut pair = Pair::new("the cat", " sat", " ate").unwrap();
        pair.envelope.meta.insert("reward_gaps".into(), 0.5.into());
        pair.envelope.meta.insert("source".into(), "here".into());
        let (tokens, _) = tokenizer().pairs(&[pair], &Truncation::keep_end(64)).unwrap();
        assert_eq!(tokens[0].columns, [("reward_gaps".to_owned(), 0.5)].into());
    }
}
