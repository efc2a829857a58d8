//! Small tokenizers for tests.

use serde_json::{Value, json};
use tokenizers::{
    AddedToken, Tokenizer,
    decoders::byte_level::ByteLevel as ByteLevelDecoder,
    models::{
        TrainerWrapper,
        bpe::{BPE, BpeTrainerBuilder},
    },
    pre_tokenizers::byte_level::ByteLevel,
};

use super::{HfTokenizer, TokenizerFiles};

/// The special tokens of [`files`], in the order of their ids from 0.
pub const SPECIALS: [&str; 4] = ["<s>", "</s>", "<|im_start|>", "<|im_end|>"];

/// A byte-level tokenizer that knows the words of one sentence.
pub fn files(config: Value) -> TokenizerFiles {
    let mut inner = Tokenizer::new(BPE::default());
    inner.with_pre_tokenizer(Some(ByteLevel::new(false, true, true)));
    inner.with_decoder(Some(ByteLevelDecoder::default()));
    let trainer = BpeTrainerBuilder::new()
        .vocab_size(400)
        .min_frequency(2)
        .show_progress(false)
        .special_tokens(SPECIALS.map(|token| AddedToken::from(token, true)).to_vec())
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .build();
    let text = "the cat sat on the mat and the cat ate user assistant system ";
    inner.train(&mut TrainerWrapper::BpeTrainer(trainer), [text.repeat(3)].into_iter()).unwrap();
    let config = config.as_object().cloned().unwrap_or_default();
    TokenizerFiles { tokenizer: inner.to_string(false).unwrap().into_bytes(), config, ..TokenizerFiles::default() }
}

/// The same with `<s>` before every text.
pub fn add_bos(files: &mut TokenizerFiles) {
    let mut tokenizer: Value = serde_json::from_slice(&files.tokenizer).unwrap();
    let (bos, text) =
        (json!({"SpecialToken": {"id": "<s>", "type_id": 0}}), json!({"Sequence": {"id": "A", "type_id": 0}}));
    tokenizer["post_processor"] = json!({
        "type": "TemplateProcessing",
        "single": [bos, text],
        "pair": [bos, text, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]}}
    });
    files.tokenizer = serde_json::to_vec(&tokenizer).unwrap();
}

/// A tokenizer of characters whose first word, and only it, begins with a space.
pub fn metaspace_files() -> TokenizerFiles {
    let vocab = json!({"<s>": 0, "▁": 1, "a": 2, "b": 3, "<": 4, "s": 5, ">": 6, "▁a": 7, "▁b": 8, "▁<": 9});
    let tokenizer = json!({
        "version": "1.0",
        "added_tokens": [{"id": 0, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true}],
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": false},
        "model": {"type": "BPE", "vocab": vocab, "merges": [["▁", "a"], ["▁", "b"], ["▁", "<"]]}
    });
    TokenizerFiles { tokenizer: serde_json::to_vec(&tokenizer).unwrap(), ..TokenizerFiles::default() }
}

/// [`files`] with beginning, end and a ChatML template without generation blocks.
pub fn chat(change: impl FnOnce(&mut TokenizerFiles)) -> HfTokenizer {
    let mut files = files(json!({"bos_token": "<s>", "eos_token": "<|im_end|>"}));
    files.template = Some(CHATML.into());
    change(&mut files);
    HfTokenizer::new(files).unwrap()
}

/// ChatML without generation blocks.
pub const CHATML: &str = "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";
