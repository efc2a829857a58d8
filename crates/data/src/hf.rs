//! Tokenizers as Hugging Face stores them: a folder with `tokenizer.json` and what belongs to it.
//!
//! | file | what is read |
//! |---|---|
//! | `tokenizer.json` | the vocabulary and how text is split |
//! | `tokenizer_config.json` | special tokens, `add_bos_token`, `add_eos_token`, `model_max_length`, `chat_template` |
//! | `special_tokens_map.json` | special tokens that the configuration does not name |
//! | `chat_template.jinja` | the chat template; counts before the configuration's |
//! | `generation_config.json` | further tokens that end a generation |
//!
//! All but the first may be absent. What is absent stays so: no token stands in for another, except that rows are
//! padded with the end of text where a tokenizer has no padding, which harms nobody because padding is told by its place.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fs,
    ops::Range,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use tokenizers::{PostProcessorWrapper, Tokenizer, pre_tokenizers::PreTokenizerWrapper};

use crate::{
    Error, Result,
    record::describe,
    report::Reason,
    template::{Builtin, ChatTemplate, Conversation, Rendered, TemplateSource, hex, marks::SpecialText},
};

/// The names of the special tokens that templates know.
const SPECIAL_NAMES: [&str; 4] = ["bos_token", "eos_token", "pad_token", "unk_token"];
/// Above this `model_max_length` means that there is no limit; `transformers` writes 10^30.
const NO_LIMIT: f64 = 1e9;

/// A token with a meaning of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecialToken {
    /// Its text, such as `</s>`.
    pub text: String,
    /// Its id.
    pub id: u32,
}

/// A text as token ids, and where each token stands in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Encoded {
    /// The ids.
    pub ids: Vec<u32>,
    /// The bytes of the text that each token covers; an empty range for a token that was added to the text.
    pub offsets: Vec<Range<usize>>,
}

/// A tokenizer with its special tokens and chat templates.
///
/// # Example
/// ```no_run
/// use accordant_data::hf::HfTokenizer;
/// let tokenizer = HfTokenizer::load("models/my-model")?;
/// let ids = tokenizer.encode("Hello", true)?;
/// println!("{ids:?}, ends with {}", tokenizer.eos()?.text);
/// println!("{}", tokenizer.template()?.origin());
/// # Ok::<(), accordant_data::Error>(())
/// ```
#[derive(Debug)]
pub struct HfTokenizer {
    /// Parses special tokens; without the step that adds some.
    parsing: Tokenizer,
    /// Takes special tokens for text, at the beginning of a text and elsewhere. Made when first needed.
    literal: [OnceLock<Tokenizer>; 2],
    added: (Vec<u32>, Vec<u32>),
    add_bos: bool,
    special: BTreeMap<&'static str, SpecialToken>,
    special_ids: BTreeSet<u32>,
    special_text: SpecialText,
    stop_ids: Vec<u32>,
    max_length: Option<usize>,
    templates: BTreeMap<String, ChatTemplate>,
    path: PathBuf,
    digest: [u8; 32],
}

/// What a folder holds, read but not yet understood.
#[derive(Debug, Clone, Default)]
pub struct TokenizerFiles {
    /// The folder, for messages.
    pub folder: PathBuf,
    /// `tokenizer.json`.
    pub tokenizer: Vec<u8>,
    /// `tokenizer_config.json`, an object; empty where it is absent.
    pub config: Map<String, Value>,
    /// `special_tokens_map.json`, likewise.
    pub special_tokens: Map<String, Value>,
    /// `generation_config.json`, likewise.
    pub generation: Map<String, Value>,
    /// `chat_template.jinja`.
    pub template: Option<String>,
}

impl TokenizerFiles {
    /// Reads a folder.
    ///
    /// # Errors
    /// [`Error::Open`] for a file that is there but cannot be read, or a `tokenizer.json` that is not there;
    /// [`Error::TokenizerFile`] for a configuration that is no JSON object.
    pub fn read(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        let read = |name: &str| {
            let path = folder.join(name);
            match fs::read(&path) {
                Ok(bytes) => Ok(Some(bytes)),
                Err(source) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
                Err(source) => Err(Error::Open { path, source }),
            }
        };
        let object = |name: &str| match read(name)? {
            None => Ok(Map::new()),
            Some(bytes) => serde_json::from_slice::<Map<String, Value>>(&bytes)
                .map_err(|error| Error::TokenizerFile { path: folder.join(name), source: error.into() }),
        };
        let path = folder.join("tokenizer.json");
        let tokenizer = fs::read(&path).map_err(|source| Error::Open { path, source })?;
        let template = read("chat_template.jinja")?.map(|bytes| {
            let path = folder.join("chat_template.jinja");
            String::from_utf8(bytes).map_err(|error| Error::TokenizerFile { path, source: error.into() })
        });
        Ok(Self {
            folder: folder.to_owned(),
            tokenizer,
            config: object("tokenizer_config.json")?,
            special_tokens: object("special_tokens_map.json")?,
            generation: object("generation_config.json")?,
            template: template.transpose()?,
        })
    }
}

impl HfTokenizer {
    /// Reads a folder.
    ///
    /// # Errors
    /// Those of [`TokenizerFiles::read`] and [`HfTokenizer::new`].
    pub fn load(folder: impl AsRef<Path>) -> Result<Self> {
        Self::new(TokenizerFiles::read(folder)?)
    }

    /// A tokenizer of files.
    ///
    /// # Errors
    /// [`Error::TokenizerFile`] for a `tokenizer.json` that is none; [`Error::TokenizerConfig`] naming the file and field
    /// for a value of another type, or a special token that the vocabulary lacks; [`Error::Template`] for a template that
    /// is no Jinja2.
    pub fn new(files: TokenizerFiles) -> Result<Self> {
        let path = files.folder.join("tokenizer.json");
        let mut parsing = Tokenizer::from_bytes(&files.tokenizer)
            .map_err(|source| Error::TokenizerFile { path: path.clone(), source })?;
        // What a file says of padding and truncation is for other callers; here both are steps of their own.
        parsing.with_padding(None);
        parsing.with_truncation(None).map_err(Error::Tokenizer)?;
        parsing.set_encode_special_tokens(false);
        let special = special_tokens(&files, &parsing)?;
        let added = added_around(&parsing)?;
        parsing.with_post_processor(None::<PostProcessorWrapper>);
        let bos = special.get("bos_token").map(|token| token.id);
        let adds_bos = bos.is_some() && added.0.first().copied() == bos;
        let add_bos = flag(&files, "add_bos_token")?.map_or(adds_bos, |add| add && bos.is_some());
        let tokens = parsing.get_added_tokens_decoder();
        let special_ids: BTreeSet<u32> = tokens.iter().filter(|(_, token)| token.special).map(|(id, _)| *id).collect();
        let special_text =
            SpecialText::new(tokens.values().filter(|token| token.special).map(|token| &token.content[..]));
        let mut stop_ids = generation_eos(&files)?;
        stop_ids.extend(special.get("eos_token").map(|token| token.id));
        stop_ids.sort_unstable();
        stop_ids.dedup();
        Ok(Self {
            literal: Default::default(),
            added,
            add_bos,
            special_ids,
            special_text,
            stop_ids,
            max_length: max_length(&files)?,
            templates: templates(&files)?,
            digest: Sha256::digest(&files.tokenizer).into(),
            parsing,
            special,
            path,
        })
    }

    /// The same tokenizer with this chat template instead of its own.
    #[must_use]
    pub fn with_template(mut self, template: ChatTemplate) -> Self {
        self.templates = [("default".to_owned(), template)].into();
        self
    }

    /// The same tokenizer with a template of this crate.
    ///
    /// # Errors
    /// None for the templates that are here.
    pub fn with_builtin(self, builtin: Builtin) -> Result<Self> {
        Ok(self.with_template(ChatTemplate::new(builtin.source(), builtin)?))
    }

    /// The chat template.
    ///
    /// # Errors
    /// [`Error::NoTemplate`] where there is none: a template is never guessed.
    pub fn template(&self) -> Result<&ChatTemplate> {
        self.templates.get("default").ok_or_else(|| Error::NoTemplate { path: self.path.clone() })
    }

    /// The chat template for a conversation: `tool_use` where there are tools and a template of this name.
    ///
    /// # Errors
    /// As [`HfTokenizer::template`].
    pub fn template_for(&self, conversation: &Conversation) -> Result<&ChatTemplate> {
        match self.templates.get("tool_use") {
            Some(template) if conversation.tools.is_some() => Ok(template),
            _ => self.template(),
        }
    }

    /// The chat template of a name, where the tokenizer has several.
    pub fn named_template(&self, name: &str) -> Option<&ChatTemplate> {
        self.templates.get(name)
    }

    /// Renders a conversation with the tokenizer's special tokens. Texts of special tokens in its messages are found,
    /// unless `trusted`.
    ///
    /// # Errors
    /// As [`ChatTemplate::render_with`].
    pub fn render(
        &self,
        template: &ChatTemplate,
        conversation: &Conversation,
        trusted: bool,
    ) -> Result<Rendered, Reason> {
        let tokens = self.template_tokens();
        let conversation = Conversation { tokens, ..conversation.clone() };
        if trusted { template.render(&conversation) } else { template.render_with(&conversation, &self.special_text) }
    }

    /// The texts of the special tokens as templates know them.
    pub fn template_tokens(&self) -> Map<String, Value> {
        self.special.iter().map(|(name, token)| ((*name).to_owned(), token.text.clone().into())).collect()
    }

    /// The ids of a text, special tokens in it parsed; with `add_special` what the tokenizer adds around it by default.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] as the library reports it.
    pub fn encode(&self, text: &str, add_special: bool) -> Result<Vec<u32>> {
        let ids = self.parsing.encode_fast(text, false).map_err(Error::Tokenizer)?.get_ids().to_vec();
        Ok(if add_special { [&self.added.0[..], &ids, &self.added.1].concat() } else { ids })
    }

    /// The ids of a text and where they stand, nothing added. Where a special token's text begins at one of `literals`
    /// it is text.
    ///
    /// # Errors
    /// As [`HfTokenizer::encode`].
    pub fn encode_with_offsets(&self, text: &str, literals: &[usize]) -> Result<Encoded> {
        let all = encode(&self.parsing, text, 0)?;
        if literals.is_empty() {
            return Ok(all);
        }
        let mut out = Encoded::default();
        // Regions between the template's own special tokens: those with such a text are encoded anew, as text.
        let (mut start, mut first) = (0, 0);
        for index in 0..=all.ids.len() {
            let end = match (all.ids.get(index), all.offsets.get(index)) {
                (Some(id), Some(place)) => {
                    let spelled = literals.iter().any(|literal| place.contains(literal));
                    if spelled || !self.special_ids.contains(id) {
                        continue;
                    }
                    place.start
                }
                _ => text.len(),
            };
            if literals.iter().any(|literal| (start..end).contains(literal)) {
                let region = text.get(start..end).unwrap_or_default();
                out.append(encode(self.literal(start == 0)?, region, start)?);
            } else {
                out.append(all.part(first..index));
            }
            out.append(all.part(index..index + 1));
            start = all.offsets.get(index).map_or(text.len(), |place| place.end);
            first = index + 1;
        }
        Ok(out)
    }

    /// The text of some ids; bytes that are no UTF-8 become replacement characters.
    ///
    /// # Errors
    /// As [`HfTokenizer::encode`].
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String> {
        self.parsing.decode(ids, skip_special).map_err(Error::Tokenizer)
    }

    /// The number of token ids, those that were added included.
    pub fn vocab_size(&self) -> usize {
        self.parsing.get_vocab_size(true)
    }

    /// The token that begins a text; none is made up.
    pub fn bos(&self) -> Option<&SpecialToken> {
        self.special.get("bos_token")
    }

    /// Whether a plain text is begun with [`HfTokenizer::bos`]: as `add_bos_token` says, or else as `tokenizer.json`
    /// does.
    pub fn adds_bos(&self) -> bool {
        self.add_bos
    }

    /// The token that ends a text.
    ///
    /// # Errors
    /// [`Error::TokenizerConfig`] where there is none: without it no model learns to stop.
    pub fn eos(&self) -> Result<&SpecialToken> {
        self.special.get("eos_token").ok_or_else(|| Error::TokenizerConfig {
            path: self.path.with_file_name("tokenizer_config.json"),
            field: "eos_token".into(),
            expected: "the token that ends a text",
            got: "nothing".into(),
        })
    }

    /// The id that rows are padded with: the padding token's, or else that of the end of text.
    ///
    /// # Errors
    /// As [`HfTokenizer::eos`], where there is neither.
    pub fn pad_id(&self) -> Result<u32> {
        match self.special.get("pad_token") {
            Some(token) => Ok(token.id),
            None => self.eos().map(|token| token.id),
        }
    }

    /// All ids that end a generation, in order: `eos_token_id` of `generation_config.json` and the end of text.
    pub fn stop_ids(&self) -> &[u32] {
        &self.stop_ids
    }

    /// The longest text, in tokens, if the tokenizer has a limit.
    pub fn max_length(&self) -> Option<usize> {
        self.max_length
    }

    /// The id of a token's text.
    pub fn token_to_id(&self, token: &str) -> Option<u32> {
        self.parsing.token_to_id(token)
    }

    /// Whether an id is that of a special token.
    pub fn is_special(&self, id: u32) -> bool {
        self.special_ids.contains(&id)
    }

    /// SHA-256 of `tokenizer.json` and of what else changes ids: special tokens, `add_bos_token`, the templates.
    pub fn fingerprint(&self) -> String {
        let mut hasher = Sha256::new();
        hasher.update(self.digest);
        hasher.update([u8::from(self.add_bos)]);
        let special = self.special.iter().map(|(name, token)| (*name, &token.text[..], token.id.to_string()));
        let templates = self.templates.iter().map(|(name, template)| (&name[..], template.source(), String::new()));
        for (name, text, id) in special.chain(templates) {
            for part in [name, text, &id] {
                // Lengths keep ("ab", "c") and ("a", "bc") apart.
                hasher.update((part.len() as u64).to_le_bytes());
                hasher.update(part);
            }
        }
        hex(&hasher.finalize())
    }

    fn literal(&self, at_start: bool) -> Result<&Tokenizer> {
        let [first, later] = &self.literal;
        let cell = if at_start { first } else { later };
        if let Some(tokenizer) = cell.get() {
            return Ok(tokenizer);
        }
        let mut tokenizer = self.parsing.clone();
        tokenizer.set_encode_special_tokens(true);
        if !at_start {
            // A text's first word may begin with a space of its own; a part from its midst must not.
            if let Some(pre_tokenizer) = tokenizer.get_pre_tokenizer().and_then(without_first_space) {
                tokenizer.with_pre_tokenizer(Some(pre_tokenizer));
            }
        }
        Ok(cell.get_or_init(|| tokenizer))
    }
}

impl Encoded {
    fn append(&mut self, other: Self) {
        self.ids.extend(other.ids);
        self.offsets.extend(other.offsets);
    }

    fn part(&self, range: Range<usize>) -> Self {
        let range = range.start.min(self.ids.len())..range.end.min(self.ids.len());
        Self {
            ids: self.ids.get(range.clone()).unwrap_or_default().to_vec(),
            offsets: self.offsets.get(range).unwrap_or_default().to_vec(),
        }
    }
}

fn encode(tokenizer: &Tokenizer, text: &str, start: usize) -> Result<Encoded> {
    let encoding = tokenizer.encode(Cow::Borrowed(text), false).map_err(Error::Tokenizer)?;
    let offsets = encoding.get_offsets().iter().map(|(from, to)| start + from..start + to).collect();
    Ok(Encoded { ids: encoding.get_ids().to_vec(), offsets })
}

/// What the tokenizer adds before and after a text.
fn added_around(tokenizer: &Tokenizer) -> Result<(Vec<u32>, Vec<u32>)> {
    // Two texts of one token each would do; a letter has at least one, and what is added does not depend on it.
    let bare = tokenizer.encode("a", false).map_err(Error::Tokenizer)?.get_ids().to_vec();
    let whole = tokenizer.encode("a", true).map_err(Error::Tokenizer)?.get_ids().to_vec();
    let extra = whole.len().saturating_sub(bare.len());
    let before = (0..=extra).find(|at| whole.get(*at..at + bare.len()) == Some(&bare[..])).unwrap_or(0);
    let after = whole.get(before + bare.len()..).unwrap_or_default().to_vec();
    Ok((whole.get(..before).unwrap_or_default().to_vec(), after))
}

fn without_first_space(pre_tokenizer: &PreTokenizerWrapper) -> Option<PreTokenizerWrapper> {
    fn change(value: &mut Value) {
        match value {
            Value::Object(keys) => {
                if keys.get("prepend_scheme").and_then(Value::as_str) == Some("first") {
                    keys.insert("prepend_scheme".into(), "never".into());
                }
                keys.values_mut().for_each(change);
            }
            Value::Array(values) => values.iter_mut().for_each(change),
            _ => {}
        }
    }
    let mut value = serde_json::to_value(pre_tokenizer).ok()?;
    change(&mut value);
    serde_json::from_value(value).ok()
}

fn config_error(files: &TokenizerFiles, file: &str, field: &str, expected: &'static str, got: &Value) -> Error {
    Error::TokenizerConfig { path: files.folder.join(file), field: field.into(), expected, got: describe(got) }
}

fn flag(files: &TokenizerFiles, field: &str) -> Result<Option<bool>> {
    match files.config.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(other) => Err(config_error(files, "tokenizer_config.json", field, "a boolean", other)),
    }
}

fn special_tokens(files: &TokenizerFiles, tokenizer: &Tokenizer) -> Result<BTreeMap<&'static str, SpecialToken>> {
    let mut special = BTreeMap::new();
    for name in SPECIAL_NAMES {
        let places = [("tokenizer_config.json", &files.config), ("special_tokens_map.json", &files.special_tokens)];
        let found = places.into_iter().find_map(|(file, keys)| Some((file, keys.get(name).filter(|v| !v.is_null())?)));
        let Some((file, value)) = found else { continue };
        let text = match value {
            Value::Object(keys) => keys.get("content").and_then(Value::as_str),
            value => value.as_str(),
        };
        let Some(text) = text else {
            return Err(config_error(files, file, name, "a string or an object with `content`", value));
        };
        let Some(id) = tokenizer.token_to_id(text) else {
            return Err(config_error(files, file, name, "a token of the vocabulary", &text.into()));
        };
        special.insert(name, SpecialToken { text: text.to_owned(), id });
    }
    Ok(special)
}

fn generation_eos(files: &TokenizerFiles) -> Result<Vec<u32>> {
    let Some(value) = files.generation.get("eos_token_id").filter(|value| !value.is_null()) else {
        return Ok(Vec::new());
    };
    let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
    let ids = match value {
        Value::Array(ids) => ids.iter().map(id).collect(),
        value => id(value).map(|id| vec![id]),
    };
    let wrong = || config_error(files, "generation_config.json", "eos_token_id", "a token id or a list of them", value);
    ids.ok_or_else(wrong)
}

fn max_length(files: &TokenizerFiles) -> Result<Option<usize>> {
    match files.config.get("model_max_length") {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_f64() {
            Some(length) if length > NO_LIMIT => Ok(None),
            Some(length) if length >= 1.0 => Ok(Some(length as usize)),
            _ => Err(config_error(files, "tokenizer_config.json", "model_max_length", "a number of tokens", value)),
        },
    }
}

fn templates(files: &TokenizerFiles) -> Result<BTreeMap<String, ChatTemplate>> {
    let config = files.folder.join("tokenizer_config.json");
    let mut templates = BTreeMap::new();
    let wrong = |value| {
        let expected = "a template, or a list of objects with `name` and `template`";
        config_error(files, "tokenizer_config.json", "chat_template", expected, value)
    };
    match files.config.get("chat_template") {
        None | Some(Value::Null) => {}
        Some(Value::String(_)) if files.template.is_some() => {}
        Some(Value::String(source)) => {
            let origin = TemplateSource::Config { path: config, name: None };
            templates.insert("default".to_owned(), ChatTemplate::new(source.clone(), origin)?);
        }
        Some(Value::Array(list)) => {
            for entry in list {
                let text = |key: &str| entry.get(key).and_then(Value::as_str).map(str::to_owned);
                let (Some(name), Some(source)) = (text("name"), text("template")) else { return Err(wrong(entry)) };
                let origin = TemplateSource::Config { path: config.clone(), name: Some(name.clone()) };
                templates.insert(name, ChatTemplate::new(source, origin)?);
            }
        }
        Some(other) => return Err(wrong(other)),
    }
    if let Some(source) = &files.template {
        let origin = TemplateSource::File(files.folder.join("chat_template.jinja"));
        templates.insert("default".to_owned(), ChatTemplate::new(source.clone(), origin)?);
    }
    Ok(templates)
}

#[cfg(test)]
pub(crate) mod testing;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{testing::files, *};

    fn tokenizer(config: Value) -> HfTokenizer {
        HfTokenizer::new(files(config)).unwrap()
    }

    fn error(change: impl FnOnce(&mut TokenizerFiles)) -> String {
        let mut files = files(json!({"eos_token": "</s>"}));
        change(&mut files);
        HfTokenizer::new(files).unwrap_err().to_string()
    }

    #[test]
    fn special_tokens_are_strings_or_objects_and_the_map_fills_gaps() {
        let mut files = files(json!({"bos_token": {"content": "<s>", "lstrip": false}, "eos_token": "</s>"}));
        files.special_tokens = json!({"eos_token": "<s>", "pad_token": "<|im_end|>"}).as_object().unwrap().clone();
        let tokenizer = HfTokenizer::new(files).unwrap();
        assert_eq!(tokenizer.bos(), Some(&SpecialToken { text: "<s>".into(), id: 0 }));
        assert_eq!((tokenizer.eos().unwrap().id, tokenizer.pad_id().unwrap()), (1, 3));
        let shown = json!({"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<|im_end|>"});
        assert_eq!(Value::Object(tokenizer.template_tokens()), shown);
    }

    #[test]
    fn d05_what_a_tokenizer_lacks_is_not_made_up() {
        let tokenizer = tokenizer(json!({"eos_token": "</s>", "bos_token": null}));
        assert_eq!((tokenizer.bos(), tokenizer.adds_bos()), (None, false));
        assert_eq!(tokenizer.pad_id().unwrap(), 1, "the end of text, masked by place");
        let without = super::tests::tokenizer(json!({"bos_token": "<s>"}));
        let error = without.eos().unwrap_err().to_string();
        assert!(error.contains("tokenizer_config.json`: field `eos_token`: expected the token that ends"), "{error}");
        assert!(without.pad_id().is_err());
    }

    #[test]
    fn fields_that_cannot_be_used_are_named_with_their_file() {
        let set = |key: &'static str, value: Value| {
            move |files: &mut TokenizerFiles| drop(files.config.insert(key.into(), value))
        };
        let cases = [
            (
                error(set("pad_token", json!(7))),
                "field `pad_token`: expected a string or an object with `content`, found number 7",
            ),
            (
                error(set("pad_token", json!("<x>"))),
                "field `pad_token`: expected a token of the vocabulary, found string \"<x>\"",
            ),
            (error(set("add_bos_token", json!(1))), "field `add_bos_token`: expected a boolean, found number 1"),
            (
                error(set("model_max_length", json!("9"))),
                "field `model_max_length`: expected a number of tokens, found string \"9\"",
            ),
            (error(set("chat_template", json!(1))), "found number 1"),
            (error(set("chat_template", json!([{"name": "a"}]))), "found an object"),
            (
                error(set("chat_template", json!("{% if %}"))),
                "`chat_template` of `tokenizer_config.json` is no chat template: line 1",
            ),
            (
                error(|files| drop(files.generation.insert("eos_token_id".into(), json!("a")))),
                "`generation_config.json`: field `eos_token_id`: expected a token id or a list of them, found string \"a\"",
            ),
            (error(|files| files.tokenizer = b"{}".to_vec()), "`tokenizer.json`: expected a tokenizer"),
        ];
        for (error, expected) in cases {
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn every_id_that_ends_a_generation_is_known() {
        let stop = |ids: Value| {
            let mut files = files(json!({"eos_token": "</s>"}));
            files.generation.insert("eos_token_id".into(), ids);
            HfTokenizer::new(files).unwrap().stop_ids().to_vec()
        };
        assert_eq!(stop(json!([3, 1])), [1, 3]);
        assert_eq!(stop(json!(3)), [1, 3]);
        assert_eq!(stop(Value::Null), [1]);
    }

    #[test]
    fn limits_that_are_no_limits_are_none() {
        assert_eq!(tokenizer(json!({"model_max_length": 512})).max_length(), Some(512));
        assert_eq!(tokenizer(json!({"model_max_length": 1e30})).max_length(), None);
        assert_eq!(tokenizer(json!({"model_max_length": 1e9})).max_length(), Some(1_000_000_000));
        assert_eq!(tokenizer(json!({})).max_length(), None);
    }

    #[test]
    fn a_text_begins_with_bos_where_the_file_or_the_configuration_says_so() {
        let adding = |config: Value| {
            let mut files = files(config);
            testing::add_bos(&mut files);
            HfTokenizer::new(files).unwrap()
        };
        let file = adding(json!({"bos_token": "<s>"}));
        assert!(file.adds_bos());
        assert_eq!(file.encode("a", true).unwrap().first(), Some(&0));
        assert_eq!(file.encode("a", false).unwrap().len(), 1);
        assert!(!adding(json!({"bos_token": "<s>", "add_bos_token": false})).adds_bos());
        assert!(tokenizer(json!({"bos_token": "<s>", "add_bos_token": true})).adds_bos());
        assert!(!tokenizer(json!({"bos_token": "<s>"})).adds_bos());
        assert!(!tokenizer(json!({"add_bos_token": true})).adds_bos());
    }

    #[test]
    fn d47_a_conversation_without_a_template_is_an_error_and_templates_have_an_order() {
        let error = tokenizer(json!({})).template().unwrap_err().to_string();
        assert!(error.starts_with("E_NO_TEMPLATE: no chat template beside `tokenizer.json`"), "{error}");
        let named = json!([{"name": "default", "template": "d"}, {"name": "tool_use", "template": "t"}]);
        let several = tokenizer(json!({"chat_template": named}));
        let conversation = |tools| Conversation { tools, ..Conversation::default() };
        assert_eq!(several.template_for(&conversation(None)).unwrap().source(), "d");
        assert_eq!(several.template_for(&conversation(Some(json!([])))).unwrap().source(), "t");
        assert_eq!(several.named_template("tool_use").unwrap().source(), "t");
        let mut both = files(json!({"chat_template": "config"}));
        both.template = Some("file".into());
        let both = HfTokenizer::new(both).unwrap();
        assert_eq!(
            (both.template().unwrap().source(), both.template().unwrap().origin().to_string()),
            ("file", "`chat_template.jinja`".into())
        );
        let chosen = both.with_builtin(Builtin::ChatMl).unwrap();
        assert_eq!(chosen.template().unwrap().origin().to_string(), "the built-in template `chatml`");
        assert_eq!(tokenizer(json!({"chat_template": "c"})).template().unwrap().source(), "c");
    }

    #[test]
    fn folders_are_read_and_what_is_missing_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let error = HfTokenizer::load(folder.path()).unwrap_err().to_string();
        assert!(error.starts_with("cannot open") && error.contains("tokenizer.json"), "{error}");
        std::fs::write(folder.path().join("tokenizer.json"), files(json!({})).tokenizer).unwrap();
        std::fs::write(folder.path().join("chat_template.jinja"), "{{ bos_token }}").unwrap();
        assert_eq!(HfTokenizer::load(folder.path()).unwrap().template().unwrap().source(), "{{ bos_token }}");
        std::fs::write(folder.path().join("tokenizer_config.json"), "[").unwrap();
        let error = HfTokenizer::load(folder.path()).unwrap_err().to_string();
        assert!(error.contains("tokenizer_config.json"), "{error}");
    }

    #[test]
    fn written_special_tokens_are_text_and_the_templates_are_not() {
        let tokenizer = tokenizer(json!({"eos_token": "</s>"}));
        let text = "<s>é</s> </s><s>";
        let all = tokenizer.encode_with_offsets(text, &[]).unwrap();
        assert_eq!(all.ids, tokenizer.encode(text, false).unwrap());
        assert_eq!(all.ids.iter().filter(|id| **id < 4).count(), 4);
        // The `</s>` after é was written by somebody: of the four special tokens three remain.
        let place = text.find("</s>").unwrap();
        let mixed = tokenizer.encode_with_offsets(text, &[place]).unwrap();
        let special: Vec<_> = mixed.ids.iter().filter(|id| **id < 4).collect();
        assert_eq!(special, [&0, &1, &0]);
        assert_eq!(tokenizer.decode(&mixed.ids, false).unwrap(), text);
        assert_eq!(tokenizer.decode(&mixed.ids, true).unwrap(), "é</s> ");
        let covered: Vec<_> = mixed.offsets.iter().skip(1).map(|at| &text[at.clone()]).collect();
        assert_eq!(covered[2..6], ["<", "/", "s", ">"]);
        assert_eq!(mixed.offsets.last(), Some(&(text.len() - 3..text.len())));
        // Ends in a written one: nothing is lost.
        let last = tokenizer.encode_with_offsets(text, &[text.len() - 3]).unwrap();
        assert_eq!(
            (last.ids.iter().filter(|id| **id < 4).count(), tokenizer.decode(&last.ids, false).unwrap()),
            (3, text.into())
        );
    }

    #[test]
    fn a_part_of_a_text_gets_no_space_of_its_own() {
        let tokenizer = HfTokenizer::new(testing::metaspace_files()).unwrap();
        let text = "a<s>b<s>";
        let ids = |literals: &[usize]| tokenizer.encode_with_offsets(text, literals).unwrap().ids;
        let tokens =
            |ids: Vec<u32>| ids.iter().map(|id| tokenizer.parsing.id_to_token(*id).unwrap()).collect::<Vec<_>>();
        assert_eq!(tokens(ids(&[])), ["▁a", "<s>", "b", "<s>"]);
        assert_eq!(tokens(ids(&[5])), ["▁a", "<s>", "b", "<", "s", ">"]);
        assert_eq!(tokens(ids(&[1])), ["▁a", "<", "s", ">", "b", "<s>"]);
    }

    #[test]
    fn the_fingerprint_changes_with_what_changes_ids() {
        let one = tokenizer(json!({"eos_token": "</s>", "bos_token": "<s>"})).fingerprint();
        assert_eq!(one, tokenizer(json!({"eos_token": "</s>", "bos_token": "<s>"})).fingerprint());
        for other in [
            json!({"eos_token": "<|im_end|>", "bos_token": "<s>"}),
            json!({"eos_token": "</s>", "bos_token": "<s>", "add_bos_token": true}),
            json!({"eos_token": "</s>", "bos_token": "<s>", "chat_template": "x"}),
        ] {
            assert_ne!(one, tokenizer(other).fingerprint());
        }
        let mut files = files(json!({"eos_token": "</s>", "bos_token": "<s>"}));
        files.tokenizer.push(b' ');
        assert_ne!(one, HfTokenizer::new(files).unwrap().fingerprint());
    }
}
