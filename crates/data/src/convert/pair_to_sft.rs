//! Pairs to completions to learn: what was chosen.

use super::{ConversionReport, each};
use crate::record::{Pair, Sft};

/// Keeps the prompt and what was chosen. A pair without a prompt is dropped under `E_EMPTY`.
///
/// # Example
/// ```
/// use accordant_data::{Pair, convert::pair_to_sft};
/// let (made, report) = pair_to_sft([Pair::new("Q", " x", " y")?]);
/// assert_eq!((made[0].completion.as_plain(), report.lossless), (Some(" x"), false));
/// # Ok::<(), accordant_data::report::Reason>(())
/// ```
pub fn pair_to_sft(pairs: impl IntoIterator<Item = Pair>) -> (Vec<Sft>, ConversionReport) {
    each(ConversionReport::new("pair_to_sft", false), pairs, |pair, _| {
        let (completion_source, envelope) = (pair.chosen_source, pair.envelope);
        Ok(vec![Sft { completion_source, envelope, ..Sft::unchecked(pair.prompt, pair.chosen) }])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_chosen_is_learned_after_its_prompt() {
        let pair = Pair { chosen_source: Some("m".into()), ..Pair::new("q", " x", " y").unwrap() };
        let (made, report) = pair_to_sft([pair, Pair::without_prompt("x", "y").unwrap()]);
        assert_eq!(made, [Sft { completion_source: Some("m".into()), ..Sft::new("q", " x").unwrap() }]);
        assert_eq!((report.inputs, report.converted, report.dropped["E_EMPTY"]), (2, 1, 1));
    }
}
