//! Where a prompt ends in the tokens of the whole text.
//!
//! The tokens of a prompt are mostly, but not always, the first tokens of prompt and completion together: a merge may
//! reach across, and a template may render a prompt otherwise once it is answered. The boundary is found from the tokens
//! where that works, else from the places of the tokens in the text.

use crate::{code::Code, hf::Encoded, report::Reason};

/// A text and its tokens.
#[derive(Debug, Clone, Default)]
pub(super) struct Tokens {
    pub(super) text: String,
    pub(super) encoded: Encoded,
}

/// Where the completion begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Boundary {
    /// The number of tokens before it.
    pub(super) tokens: usize,
    /// Whether its first token begins in the prompt.
    pub(super) merged: bool,
}

/// The boundary of `prompt` in `full`.
pub(super) fn boundary(
    full: &Tokens,
    prompt: &Tokens,
    is_special: impl Fn(u32) -> bool,
    max_shift: usize,
) -> Result<Boundary, Reason> {
    let (ids, prompt_ids) = (&full.encoded.ids, &prompt.encoded.ids);
    let shared = ids.iter().zip(prompt_ids).take_while(|(a, b)| a == b).count();
    let found = if shared == prompt_ids.len() {
        Boundary { tokens: shared, merged: false }
    } else {
        let place = common_prefix(&full.text, &prompt.text);
        let cuts = |(id, at): (&u32, &std::ops::Range<usize>)| {
            (is_special(*id) && at.start < place && place < at.end).then_some(at.start)
        };
        let place = ids.iter().zip(&full.encoded.offsets).find_map(cuts).unwrap_or(place);
        let reaches = |at: &std::ops::Range<usize>| at.start >= place || at.end > place;
        let tokens = full.encoded.offsets.iter().position(reaches).unwrap_or(ids.len());
        let merged = full.encoded.offsets.get(tokens).is_some_and(|at| at.start < place);
        Boundary { tokens, merged }
    };
    let changed = prompt_ids.len() - shared;
    let problem = if found.tokens >= ids.len() {
        "no token is left for the completion".to_owned()
    } else if changed > max_shift {
        format!("{changed} tokens of the prompt are others in the whole text, expected at most {max_shift}")
    } else {
        return Ok(found);
    };
    let from = shared.saturating_sub(2);
    let tail = |ids: &[u32]| format!("{:?}", ids.iter().skip(from).take(24).collect::<Vec<_>>());
    let excerpt = format!("from token {from}: prompt {}, whole {}", tail(prompt_ids), tail(ids));
    Err(Reason::new(Code::Boundary, problem).with_excerpt(&excerpt))
}

/// The length in bytes of what two texts begin with.
pub(super) fn common_prefix(a: &str, b: &str) -> usize {
    a.chars().zip(b.chars()).take_while(|(a, b)| a == b).map(|(c, _)| c.len_utf8()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tokens of these texts; the ids are those of a small vocabulary of the tests.
    fn tokens(parts: &[&str]) -> Tokens {
        let mut tokens = Tokens::default();
        for part in parts {
            let start = tokens.text.len();
            tokens.text.push_str(part);
            tokens.encoded.offsets.push(start..tokens.text.len());
            tokens
                .encoded
                .ids
                .push(part.bytes().fold(7, |id: u32, byte| id.wrapping_mul(31).wrapping_add(byte.into())));
        }
        tokens
    }

    fn find(full: &[&str], prompt: &[&str]) -> Result<(usize, bool), Reason> {
        let full = tokens(full);
        let special = tokens(&["<s>"]).encoded.ids;
        boundary(&full, &tokens(prompt), |id| special.contains(&id), 4).map(|found| (found.tokens, found.merged))
    }

    #[test]
    fn d01_a_prompt_whose_tokens_change_still_ends_somewhere() {
        assert_eq!(find(&["a", " b", " c"], &["a", " b"]).unwrap(), (2, false));
        // "a " and "b" merge to "a", " b": the token " b" begins in the prompt and belongs to the completion.
        assert_eq!(find(&["a", " b"], &["a", " "]).unwrap(), (1, true));
        // The prompt's last token is split in two in the whole text: no token reaches across.
        assert_eq!(find(&["a", "b", "c", "d"], &["a", "bc"]).unwrap(), (3, false));
        // "<s>" is never cut: the texts part inside it.
        assert_eq!(find(&["a", "<s>", "b"], &["a", "<", "t"]).unwrap(), (1, false));
    }

    #[test]
    fn boundaries_that_cannot_be_told_are_refused_with_both_lists() {
        let reason = find(&["a", "b"], &["a", "b"]).unwrap_err();
        assert_eq!(reason.to_string(), "E_BOUNDARY: no token is left for the completion");
        let five = find(&["abcdef", "g"], &["a", "b", "c", "d", "e"]).unwrap_err();
        assert_eq!(five.message, "5 tokens of the prompt are others in the whole text, expected at most 4");
        assert!(five.excerpt.unwrap().starts_with("from token 0: prompt ["));
        assert_eq!(find(&["abcde", "g"], &["a", "b", "c", "d"]).unwrap(), (0, true));
    }

    #[test]
    fn texts_part_between_characters() {
        assert_eq!(common_prefix("aéb", "aéc"), 3);
        assert_eq!(common_prefix("é", "è"), 0);
        assert_eq!(common_prefix("ab", "a"), 1);
    }
}
