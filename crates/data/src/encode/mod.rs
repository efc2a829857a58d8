//! From records to token ids with Hugging Face's tokenizers: boundaries, special tokens, masks, limits, and a report.
//!
//! One text is rendered and tokenized once. Where its prompt ends, and which of it is learned, is told in its tokens:
//!
//! | step | rule |
//! |---|---|
//! | text | a conversation through the template; plain texts one after the other |
//! | tokens | special tokens parsed, none added; a plain text begins with the token for it where the tokenizer adds one |
//! | end | a plain completion ends with the end of text, added unless it is there; a conversation as its template has it |
//! | boundary | `boundary`: from the tokens, else from their places; for all sides before any is cut |
//! | mask | [`TrainTurns`]: of several turns only the assistant's |
//! | limits | [`crate::tokens::Truncation`], before padding |
//!
//! Start with [`Encoder::pairs`]. [`explain`] shows what came out.

mod boundary;
pub mod explain;
mod options;
mod turns;

use std::{collections::BTreeMap, ops::Range};

use rayon::prelude::*;
use serde::Serialize;
use serde_json::{Map, Value};

use self::boundary::{Boundary, Tokens, boundary};
pub use options::{EncodeOptions, TrainTurns};

use crate::{
    Error, Message, Pair, Result, Role, Text,
    code::{Code, Warning},
    hf::HfTokenizer,
    record::fold_system_into_user,
    report::Reason,
    rows::{StepRow, TokenRow},
    template::{ChatTemplate, Conversation, Rendered, hex, template_view},
    tokens::{Cut, TokenList, TokenPair, TokenReport, TokenSingle},
};

/// How many records are decoded again to see that their tokens say what their text says.
const CHECKED_RECORDS: usize = 100;
/// How many records are encoded before they are counted: their texts are in memory until then.
const AT_ONCE: usize = 1024;
/// How many records a report shows.
const SHOWN_RECORDS: usize = 3;

/// What a record gives a template beside its messages.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Extras {
    /// The tools that may be called.
    pub tools: Option<Value>,
    /// Documents to answer from.
    pub documents: Option<Value>,
    /// Variables for the template; they count before those of the options.
    pub kwargs: Map<String, Value>,
}

/// A completion as token ids.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Completion {
    /// The ids.
    pub ids: Vec<u32>,
    /// Which of them are scored.
    pub mask: Vec<bool>,
}

/// A prompt and its completions as token ids.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sides {
    /// The prompt that all completions share.
    pub prompt: Vec<u32>,
    /// The completions.
    pub completions: Vec<Completion>,
    /// What is odd about them.
    pub warnings: Vec<Warning>,
    /// Turns that were dropped from the prompt.
    pub dropped_turns: usize,
    /// Whether the prompt was cut.
    pub prompt_cut: bool,
    /// Which completions were cut.
    pub completions_cut: Vec<bool>,
    /// The text of each side, before it was cut.
    pub texts: Vec<String>,
}

impl Sides {
    /// A row for each completion.
    pub fn rows(&self) -> Vec<TokenRow> {
        let row = |completion: &Completion| TokenRow {
            ids: [&self.prompt[..], &completion.ids].concat(),
            mask: [vec![false; self.prompt.len()], completion.mask.clone()].concat(),
        };
        self.completions.iter().map(row).collect()
    }

    /// The first completion as a response with its label.
    ///
    /// # Errors
    /// [`Code::DivergentTurns`] where some tokens must not be scored, and [`Code::EmptyList`] without a completion.
    pub fn into_single(self, id: impl Into<String>, desirable: bool) -> Result<TokenSingle, Reason> {
        check_whole(self.completions.iter().map(|completion| &completion.mask[..]))?;
        let no_completion = || Reason::field(Code::EmptyList, "completion", "expected one, found none");
        let completion = self.completions.into_iter().next().ok_or_else(no_completion)?.ids;
        let (prompt, columns) = (self.prompt, BTreeMap::new());
        Ok(TokenSingle { id: id.into(), prompt, completion, desirable, weight: 1.0, label_prob: None, columns })
    }

    /// The completions as a list with their scores.
    ///
    /// # Errors
    /// As [`Sides::into_single`], and [`Code::LenMismatch`] where there is not a score for each.
    pub fn into_list(self, id: impl Into<String>, scores: Vec<f64>) -> Result<TokenList, Reason> {
        check_whole(self.completions.iter().map(|completion| &completion.mask[..]))?;
        if scores.len() != self.completions.len() {
            let message =
                format!("expected one for each of {} completions, found {}", self.completions.len(), scores.len());
            return Err(Reason::field(Code::LenMismatch, "scores", message));
        }
        let candidates = self.completions.into_iter().map(|completion| completion.ids).collect();
        Ok(TokenList::new(id, self.prompt, candidates, scores))
    }
}

fn check_whole<'a>(masks: impl IntoIterator<Item = &'a [bool]>) -> Result<(), Reason> {
    if masks.into_iter().flatten().all(|scored| *scored) {
        return Ok(());
    }
    let message = "some tokens of the completions must not be scored: use the rows, which carry their masks";
    Err(Reason::new(Code::DivergentTurns, message))
}

/// A pair as token ids, with what of its completions is scored.
#[derive(Debug, Clone, PartialEq, Serialize, serde::Deserialize)]
pub struct EncodedPair {
    /// The pair.
    pub pair: TokenPair,
    /// Which tokens of the chosen completion are scored.
    pub chosen_mask: Vec<bool>,
    /// Which tokens of the rejected completion are scored.
    pub rejected_mask: Vec<bool>,
}

impl EncodedPair {
    /// The chosen row and the rejected one.
    pub fn rows(&self) -> [TokenRow; 2] {
        let row = |completion: &[u32], mask: &[bool]| TokenRow {
            ids: [&self.pair.prompt[..], completion].concat(),
            mask: [vec![false; self.pair.prompt.len()], mask.to_vec()].concat(),
        };
        [row(&self.pair.chosen, &self.chosen_mask), row(&self.pair.rejected, &self.rejected_mask)]
    }

    /// The pair alone, for what scores every token of a completion.
    ///
    /// # Errors
    /// [`Code::DivergentTurns`] where some tokens must not be scored: they are not the assistant's.
    pub fn into_pair(self) -> Result<TokenPair, Reason> {
        check_whole([&self.chosen_mask[..], &self.rejected_mask])?;
        Ok(self.pair)
    }
}

/// One side before it is known what it shares with the others.
#[derive(Debug, Clone, Default)]
struct Side {
    tokens: Tokens,
    start: usize,
    mask: Vec<bool>,
}

/// Makes token ids of records.
///
/// # Example
/// ```no_run
/// use accordant_data::{Pair, encode::{EncodeOptions, Encoder}, hf::HfTokenizer};
/// let tokenizer = HfTokenizer::load("models/my-model")?;
/// let encoder = Encoder::new(&tokenizer, EncodeOptions::default())?;
/// let pairs = [Pair::new("The sky is", " blue.", " green.").unwrap()];
/// let (encoded, report) = encoder.pairs(&pairs)?;
/// println!("{report}\n{} tokens", encoded[0].pair.chosen.len());
/// # Ok::<(), accordant_data::Error>(())
/// ```
#[derive(Debug)]
pub struct Encoder<'a> {
    tokenizer: &'a HfTokenizer,
    options: EncodeOptions,
    eos: u32,
}

impl<'a> Encoder<'a> {
    /// An encoder.
    ///
    /// # Errors
    /// Those of [`EncodeOptions::validate`], and [`Error::TokenizerConfig`] for a tokenizer without an end of text.
    pub fn new(tokenizer: &'a HfTokenizer, mut options: EncodeOptions) -> Result<Self> {
        options.validate()?;
        let eos = tokenizer.eos()?.id;
        options.truncation.bos = options.truncation.bos.or_else(|| tokenizer.bos().map(|token| token.id));
        Ok(Self { tokenizer, options, eos })
    }

    /// The options, with the token that begins texts filled in.
    pub fn options(&self) -> &EncodeOptions {
        &self.options
    }

    /// SHA-256 over the tokenizer, its template and every option: what a cache of token ids depends on beside the records.
    pub fn fingerprint(&self) -> String {
        use sha2::{Digest, Sha256};
        let options = serde_json::to_string(&self.options).unwrap_or_default();
        let mut hasher = Sha256::new();
        hasher.update(self.tokenizer.fingerprint());
        hasher.update(options);
        hex(&hasher.finalize())
    }

    /// Pairs, in order, and what became of each record. A record that cannot be used is counted and left out.
    ///
    /// # Errors
    /// [`Error::NoTemplate`] for conversations without a template; [`Error::Tokenizer`] as the library reports it.
    pub fn pairs(&self, pairs: &[Pair]) -> Result<(Vec<EncodedPair>, EncodeReport)> {
        let mut report = EncodeReport::new(self);
        let mut encoded = Vec::with_capacity(pairs.len());
        for some in pairs.chunks(AT_ONCE) {
            let results: Vec<_> = some.par_iter().map(|pair| self.pair(pair, &Extras::default())).collect();
            for (record, result) in some.iter().zip(results) {
                match result {
                    Ok((pair, sides)) => {
                        report.add(self, &pair, &sides)?;
                        encoded.push(pair);
                    }
                    Err(Error::Unusable(reason)) => report.reject(&record.envelope.id, *reason),
                    Err(other) => return Err(other),
                }
            }
        }
        Ok((encoded, report))
    }

    /// One pair.
    ///
    /// # Errors
    /// [`Error::Unusable`] for a record that cannot be used, and as [`Encoder::pairs`].
    pub fn pair(&self, pair: &Pair, extras: &Extras) -> Result<(EncodedPair, Sides)> {
        let sides = self.sides(&pair.prompt, &[&pair.chosen, &pair.rejected], extras)?;
        let [chosen, rejected] = &sides.completions[..] else {
            unreachable!("there are as many completions as were given");
        };
        let tokens = TokenPair::of_record(pair, sides.prompt.clone(), chosen.ids.clone(), rejected.ids.clone());
        let (chosen_mask, rejected_mask) = (chosen.mask.clone(), rejected.mask.clone());
        Ok((EncodedPair { pair: tokens, chosen_mask, rejected_mask }, sides))
    }

    /// A prompt with any number of completions, which keep one prompt.
    ///
    /// # Errors
    /// As [`Encoder::pair`].
    pub fn sides(&self, prompt: &Text, completions: &[&Text], extras: &Extras) -> Result<Sides> {
        let mut prompt = std::borrow::Cow::Borrowed(prompt);
        let mut dropped = 0;
        loop {
            let mut warnings = Vec::new();
            let asked = self.asked(&prompt, extras)?;
            let side = |completion: &&Text| self.side(&prompt, &asked, completion, extras, &mut warnings);
            let sides = completions.iter().map(side);
            let sides = share(sides.collect::<Result<Vec<_>>>()?, warnings);
            let longest = sides.completions.iter().map(|completion| completion.ids.len()).max().unwrap_or(0);
            let too_long = sides.prompt.len().saturating_add(longest) > self.options.truncation.max_length;
            if self.options.drop_turns
                && too_long
                && let Some(shorter) = without_oldest_turn(&prompt)
            {
                dropped += shorter.1;
                prompt = std::borrow::Cow::Owned(shorter.0);
                continue;
            }
            return self.limit(Sides { dropped_turns: dropped, ..sides });
        }
    }

    /// A conversation without a prompt, or a text, as one row.
    ///
    /// # Errors
    /// As [`Encoder::pair`]; [`Code::NoAssistantMask`] where no token is learned.
    pub fn text(&self, text: &Text, extras: &Extras) -> Result<TokenRow> {
        let mut row = match text {
            Text::Plain(text) => {
                let mut warnings = Vec::new();
                let ids = self.plain(text, &mut warnings)?.encoded.ids;
                let mut row = TokenRow { mask: vec![true; ids.len()], ids };
                self.end(&mut row.ids, &mut row.mask);
                row
            }
            Text::Messages(messages) => {
                check_modality(messages, "messages")?;
                let messages = self.fold(messages);
                let (full, rendered) = self.render(&messages, extras, false, false)?;
                let learned = turns::learned(&messages, 0, self.options.train_turns);
                let mask = self.conversation_mask(&messages, &learned, &full, &rendered.generation, extras, true)?;
                TokenRow { ids: full.encoded.ids, mask }
            }
        };
        if !row.mask.iter().any(|scored| *scored) {
            return Err(Reason::new(Code::NoAssistantMask, "no token of the conversation is learned").into());
        }
        self.options.truncation.apply_row(&mut row)?;
        Ok(row)
    }

    /// A prompt for sampling, which ends where the answer begins.
    ///
    /// # Errors
    /// As [`Encoder::pair`].
    pub fn prompt(&self, prompt: &Text, extras: &Extras) -> Result<Vec<u32>> {
        Ok(self.asked(prompt, extras)?.encoded.ids)
    }

    /// A prompt and the steps of a solution, each followed by the separator. Prompt, steps and separator are tokenized
    /// apart, so that each step ends with the same tokens.
    ///
    /// # Errors
    /// As [`Encoder::pair`], and those of [`StepRow::new`].
    pub fn steps(
        &self,
        prompt: &str,
        steps: &[String],
        labels: &[Option<f64>],
        separator: &str,
        last_only: bool,
    ) -> Result<StepRow> {
        let prompt = self.plain(prompt, &mut Vec::new())?.encoded.ids;
        let steps = steps.iter().map(|step| self.tokenizer.encode(step, false)).collect::<Result<Vec<_>>>()?;
        let separator = self.tokenizer.encode(separator, false)?;
        let mut row = StepRow::new(&prompt, &steps, labels, &separator, last_only)?;
        row.truncate(self.options.truncation.max_length);
        Ok(row)
    }

    /// A prompt alone, up to where the answer begins; an answer that it begins goes on.
    fn asked(&self, prompt: &Text, extras: &Extras) -> Result<Tokens> {
        match prompt {
            Text::Plain(text) => self.plain(text, &mut Vec::new()),
            Text::Messages(messages) => {
                check_modality(messages, "prompt")?;
                let prefill = messages.last().is_some_and(|last| last.role == Role::Assistant);
                let mut tokens = self.render(&self.fold(messages), extras, !prefill, prefill)?.0;
                self.drop_second_bos(&mut tokens);
                Ok(tokens)
            }
        }
    }

    fn side(
        &self,
        prompt: &Text,
        asked: &Tokens,
        completion: &Text,
        extras: &Extras,
        warnings: &mut Vec<Warning>,
    ) -> Result<Side> {
        let mut side = match (prompt, completion) {
            (Text::Plain(prompt), Text::Plain(completion)) => self.plain_side(prompt, asked, completion, warnings)?,
            (Text::Messages(prompt), Text::Messages(completion)) => {
                self.conversation_side(prompt, asked, completion, extras, warnings)?
            }
            (prompt, completion) => {
                let message = format!("expected {} as in `prompt`, found {}", prompt.form(), completion.form());
                return Err(Reason::field(Code::Type, "completion", message).into());
            }
        };
        if self.options.trim_after_eos {
            let ids = &side.tokens.encoded.ids;
            let last = ids.iter().rposition(|id| self.tokenizer.stop_ids().contains(id));
            if let Some(len) = last.map(|last| last + 1).filter(|len| *len > side.start) {
                side.tokens.encoded.ids.truncate(len);
                side.tokens.encoded.offsets.truncate(len);
                side.mask.truncate(len);
            }
        }
        Ok(side)
    }

    fn plain_side(&self, prompt: &str, asked: &Tokens, completion: &str, warnings: &mut Vec<Warning>) -> Result<Side> {
        let mut full = self.plain(&format!("{prompt}{completion}"), warnings)?;
        let found = self.boundary(&full, asked, warnings)?;
        let mut mask = vec![false; found.tokens];
        mask.resize(full.encoded.ids.len(), true);
        self.end(&mut full.encoded.ids, &mut mask);
        full.encoded.offsets.resize(full.encoded.ids.len(), full.text.len()..full.text.len());
        Ok(Side { tokens: full, start: found.tokens, mask })
    }

    fn conversation_side(
        &self,
        prompt: &[Message],
        asked: &Tokens,
        completion: &[Message],
        extras: &Extras,
        warnings: &mut Vec<Warning>,
    ) -> Result<Side> {
        check_modality(completion, "completion")?;
        let (messages, prefill) = join(prompt, completion);
        let messages = self.fold(&messages);
        let (mut full, rendered) = self.render(&messages, extras, false, false)?;
        if self.drop_second_bos(&mut full) {
            warnings.push(Warning::DoubleBos);
        }
        let found = self.boundary(&full, asked, warnings)?;
        let first = self.fold(prompt).len() - usize::from(prefill);
        let learned = turns::learned(&messages, first, self.options.train_turns);
        let mut mask = vec![false; found.tokens];
        let one_turn =
            messages.len() == first + 1 && learned.get(..first).is_some_and(|before| !before.contains(&true));
        if self.options.train_turns == TrainTurns::Everything || one_turn {
            mask.resize(full.encoded.ids.len(), learned.last().copied().unwrap_or(true));
        } else {
            let spans = &rendered.generation;
            mask = self.conversation_mask(&messages, &learned, &full, spans, extras, false)?;
            if self.options.train_turns == TrainTurns::Completion {
                // What of an answer the prompt begins is not the completion's.
                mask.iter_mut().take(found.tokens).for_each(|scored| *scored = false);
            }
        }
        let answer = full.encoded.ids.get(found.tokens..).unwrap_or_default();
        if !answer.iter().any(|id| self.tokenizer.stop_ids().contains(id)) {
            warnings.push(Warning::NoEos);
        }
        // What the prompt's turns teach stands before the completion's first token.
        let start = mask.iter().position(|scored| *scored).map_or(found.tokens, |first| first.min(found.tokens));
        Ok(Side { tokens: full, start, mask })
    }

    /// Which tokens the learned turns have. With `spans_first` generation blocks count before rendering turn by turn.
    fn conversation_mask(
        &self,
        messages: &[Message],
        learned: &[bool],
        full: &Tokens,
        spans: &[Range<usize>],
        extras: &Extras,
        spans_first: bool,
    ) -> Result<Vec<bool>> {
        let len = full.encoded.ids.len();
        if self.options.train_turns == TrainTurns::Everything && learned.iter().all(|learned| *learned) {
            return Ok(vec![true; len]);
        }
        if spans_first
            && !spans.is_empty()
            && messages.iter().zip(learned).all(|(m, learned)| *learned == (m.role == Role::Assistant))
        {
            return Ok(turns::mask_of_spans(full, spans));
        }
        // Blocks say what the assistant's turns are; a flag may ask for another's.
        let assistants = messages.iter().zip(learned).all(|(m, learned)| !learned || m.role == Role::Assistant);
        let by_spans = || turns::by_spans(messages, full, spans).filter(|_| assistants && !spans.is_empty());
        let ranges = match by_spans().filter(|_| spans_first) {
            Some(ranges) => ranges,
            None => match turns::by_rendering(self, messages, learned, full, extras) {
                Ok(ranges) => ranges,
                Err(Error::Unusable(reason)) => by_spans().ok_or_else(|| {
                    let message = format!("the turns cannot be told apart: {}", reason.message);
                    Reason { excerpt: reason.excerpt.clone(), ..Reason::new(Code::NoAssistantMask, message) }
                })?,
                Err(other) => return Err(other),
            },
        };
        Ok(turns::mask(len, &ranges, learned))
    }

    /// Renders and tokenizes a conversation.
    fn render(&self, messages: &[Message], extras: &Extras, ask: bool, go_on: bool) -> Result<(Tokens, Rendered)> {
        let mut kwargs = self.options.chat_template_kwargs.clone();
        kwargs.extend(extras.kwargs.clone());
        let conversation = Conversation {
            messages: messages.iter().map(template_view).collect(),
            tools: extras.tools.clone(),
            documents: extras.documents.clone(),
            kwargs,
            add_generation_prompt: ask,
            continue_final_message: go_on,
            tokens: Map::new(),
        };
        let template = self.tokenizer.template_for(&conversation)?;
        let rendered = self.tokenizer.render(template, &conversation, self.options.allow_special_in_user_text)?;
        let encoded = self.tokenizer.encode_with_offsets(&rendered.text, &rendered.literals)?;
        Ok((Tokens { text: rendered.text.clone(), encoded }, rendered))
    }

    /// Tokenizes a plain text, begun as the tokenizer begins texts.
    fn plain(&self, text: &str, warnings: &mut Vec<Warning>) -> Result<Tokens> {
        let encoded = self.tokenizer.encode_with_offsets(text, &[])?;
        let mut tokens = Tokens { text: text.to_owned(), encoded };
        if let Some(bos) = self.tokenizer.bos().filter(|_| self.tokenizer.adds_bos()) {
            tokens.encoded.ids.insert(0, bos.id);
            tokens.encoded.offsets.insert(0, 0..0);
            if self.drop_second_bos(&mut tokens) {
                warnings.push(Warning::DoubleBos);
            }
        }
        Ok(tokens)
    }

    fn drop_second_bos(&self, tokens: &mut Tokens) -> bool {
        let Some(bos) = self.tokenizer.bos() else { return false };
        let twice = tokens.encoded.ids.starts_with(&[bos.id, bos.id]);
        if twice {
            tokens.encoded.ids.remove(0);
            tokens.encoded.offsets.remove(0);
        }
        twice
    }

    /// Ends a text with the end of text, unless it ends with it.
    fn end(&self, ids: &mut Vec<u32>, mask: &mut Vec<bool>) {
        if ids.last() != Some(&self.eos) {
            ids.push(self.eos);
            mask.push(true);
        }
    }

    fn boundary(&self, full: &Tokens, prompt: &Tokens, warnings: &mut Vec<Warning>) -> Result<Boundary> {
        let is_special = |id| self.tokenizer.is_special(id);
        let found = boundary(full, prompt, is_special, self.options.max_boundary_shift)?;
        if found.merged {
            warnings.push(Warning::BoundaryMerge);
        }
        Ok(found)
    }

    fn fold(&self, messages: &[Message]) -> Vec<Message> {
        let mut messages = messages.to_vec();
        if self.options.fold_system_into_user {
            fold_system_into_user(&mut messages);
        }
        messages
    }

    /// Cuts to the limits.
    fn limit(&self, mut sides: Sides) -> Result<Sides> {
        let prompt_len = sides.prompt.len();
        let lengths: Vec<_> = sides.completions.iter().map(|completion| completion.ids.len()).collect();
        let mut ids: Vec<_> = sides.completions.iter_mut().map(|completion| &mut completion.ids).collect();
        self.options.truncation.apply_to(&mut sides.prompt, &mut ids)?;
        for (number, completion) in sides.completions.iter_mut().enumerate() {
            completion.mask.truncate(completion.ids.len());
            if !completion.mask.contains(&true) {
                let message = format!("completion {number} has no token left that is scored");
                return Err(Reason::new(Code::EmptyAfterTruncation, message).into());
            }
        }
        sides.prompt_cut = sides.prompt.len() < prompt_len;
        sides.completions_cut = sides.completions.iter().zip(lengths).map(|(now, then)| now.ids.len() < then).collect();
        Ok(sides)
    }
}

/// The prompt that all sides share: as long as the shortest, and equal in all.
fn share(sides: Vec<Side>, mut warnings: Vec<Warning>) -> Sides {
    let first = sides.first().map(|side| &side.tokens.encoded.ids[..]).unwrap_or_default();
    let equal = |side: &Side| first.iter().zip(&side.tokens.encoded.ids).take_while(|(a, b)| a == b).count();
    let len = sides.iter().map(|side| side.start.min(equal(side))).min().unwrap_or(0);
    let prompt = first.get(..len).unwrap_or_default().to_vec();
    let completion = |side: &Side| Completion {
        ids: side.tokens.encoded.ids.get(len..).unwrap_or_default().to_vec(),
        mask: side.mask.get(len..).unwrap_or_default().to_vec(),
    };
    let completions = sides.iter().map(completion).collect();
    let texts = sides.into_iter().map(|side| side.tokens.text).collect();
    warnings.sort_unstable();
    warnings.dedup();
    Sides { prompt, completions, warnings, texts, ..Sides::default() }
}

/// Prompt and completion as one conversation. An answer that the prompt begins and the completion goes on with is one
/// message.
fn join(prompt: &[Message], completion: &[Message]) -> (Vec<Message>, bool) {
    let mut messages = prompt.to_vec();
    let prefill = messages.last().is_some_and(|last| last.role == Role::Assistant);
    match (prefill, messages.last_mut(), completion) {
        (true, Some(last), [first, rest @ ..]) if first.role == Role::Assistant => {
            let content = format!("{}{}", last.content, first.content);
            let thinking = last.thinking.take().or_else(|| first.thinking.clone());
            *last = Message { content, thinking, ..first.clone() };
            messages.extend_from_slice(rest);
        }
        _ => messages.extend_from_slice(completion),
    }
    (messages, prefill)
}

/// The prompt without its oldest turn that is not the system's, up to the next message of the user, and how many messages
/// that took; none where no message of the user would be left.
fn without_oldest_turn(prompt: &Text) -> Option<(Text, usize)> {
    let messages = prompt.as_messages()?;
    let start = messages.iter().position(|message| !matches!(message.role, Role::System | Role::Developer))?;
    let is_user = |message: &Message| message.role == Role::User;
    let next = messages.iter().skip(start + 1).position(is_user)? + start + 1;
    let kept = [messages.get(..start)?, messages.get(next..)?].concat();
    Some((Text::Messages(kept), next - start))
}

fn check_modality(messages: &[Message], field: &str) -> Result<()> {
    for (index, message) in messages.iter().enumerate() {
        if let Some((part, kind)) = message.non_text_part() {
            let place = format!("{field}[{index}].content[{part}]");
            let message = format!("expected a part of type `text`, found one of type `{kind}`");
            return Err(Reason::field(Code::Modality, place, message).into());
        }
    }
    Ok(())
}

/// What became of records. Displays as a table and some records as text, with what is learned of them marked.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct EncodeReport {
    /// Counts and lengths.
    pub tokens: TokenReport,
    /// The template that counts, and the beginning of its hash.
    pub template: Option<(String, String)>,
    /// Whether the template keeps the text that a conversation had; none without a template, or where it cannot be told.
    pub prefix_preserving: Option<bool>,
    /// Turns dropped from prompts that were too long.
    pub dropped_turns: usize,
    /// Of the first 100 records those whose tokens do not say what the text says.
    pub changed_texts: usize,
    /// The first reason of each code, and the record's id.
    pub reasons: BTreeMap<Code, (String, String)>,
    /// The first records that came out.
    pub samples: Vec<String>,
}

impl EncodeReport {
    fn new(encoder: &Encoder<'_>) -> Self {
        let template: Option<&ChatTemplate> = encoder.tokenizer.template().ok();
        let tokens = encoder.tokenizer.template_tokens();
        let mut report = Self {
            template: template
                .map(|template| (template.origin().to_string(), template.hash().chars().take(12).collect())),
            prefix_preserving: template.and_then(|template| template.prefix_preserving(&tokens).ok()),
            ..Self::default()
        };
        if template.is_some_and(ChatTemplate::is_clock_dependent) {
            report.tokens.warn(&[Warning::TemplateClock]);
        }
        report
    }

    fn add(&mut self, encoder: &Encoder<'_>, pair: &EncodedPair, sides: &Sides) -> Result<()> {
        let cut = |side: usize| sides.completions_cut.get(side).copied().unwrap_or(false);
        self.tokens.add(&pair.pair, Cut { prompt: sides.prompt_cut, chosen: cut(0), rejected: cut(1) });
        self.tokens.warn(&sides.warnings);
        self.dropped_turns += sides.dropped_turns;
        let whole = !sides.prompt_cut && !cut(0) && !cut(1) && !encoder.options.trim_after_eos;
        if whole && self.tokens.pairs <= CHECKED_RECORDS {
            for (row, text) in pair.rows().iter().zip(&sides.texts) {
                let same = encoder.tokenizer.decode(&row.ids, false)?.contains(&text[..]);
                self.changed_texts += usize::from(!same);
            }
        }
        if self.tokens.pairs <= SHOWN_RECORDS {
            for (name, row) in ["chosen", "rejected"].into_iter().zip(pair.rows()) {
                let shown = explain::explain(encoder.tokenizer, &row, explain::Style::Plain)?;
                self.samples.push(format!("{} {name}: {shown}", pair.pair.id));
            }
        }
        Ok(())
    }

    fn reject(&mut self, id: &str, reason: Reason) {
        self.tokens.reject(reason.code);
        self.reasons.entry(reason.code).or_insert_with(|| (id.to_owned(), reason.to_string()));
    }
}

impl std::fmt::Display for EncodeReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}", self.tokens)?;
        match &self.template {
            Some((origin, hash)) => writeln!(f, "  template               {origin}, sha256 {hash}")?,
            None => writeln!(f, "  template               none")?,
        }
        if self.prefix_preserving == Some(false) {
            let advice = "use one that keeps it, or a variable such as `enable_thinking = false`";
            writeln!(f, "  the template rewrites what a conversation had: {advice}")?;
        }
        if self.dropped_turns > 0 {
            writeln!(f, "  turns dropped         {:>6}", self.dropped_turns)?;
        }
        if self.changed_texts > 0 {
            let all = 2 * self.tokens.pairs.min(CHECKED_RECORDS);
            writeln!(f, "  texts changed         {:>6} of the first {all}", self.changed_texts)?;
        }
        for (id, reason) in self.reasons.values() {
            writeln!(f, "  first: `{id}`: {reason}")?;
        }
        self.samples.iter().try_for_each(|sample| writeln!(f, "  {sample}"))
    }
}

#[cfg(test)]
mod tests;
