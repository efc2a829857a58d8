//! Which tokens of a conversation are whose.

use std::ops::Range;

use super::{Encoder, Extras, TrainTurns, boundary::Tokens, boundary::boundary};
use crate::{Message, Result, Role, code::Code, report::Reason};

/// Which turns of a conversation of `messages` are learned; the completion begins with message `first`.
pub(super) fn learned(messages: &[Message], first: usize, turns: TrainTurns) -> Vec<bool> {
    let last = messages.iter().rposition(|message| message.role == Role::Assistant);
    let is = |(index, message): (usize, &Message)| {
        let assistant = message.role == Role::Assistant;
        match turns {
            TrainTurns::Completion => assistant && index >= first,
            TrainTurns::Last => Some(index) == last,
            TrainTurns::All => assistant,
            TrainTurns::Flags => message.is_trained(),
            TrainTurns::Everything => index >= first,
        }
    };
    messages.iter().enumerate().map(is).collect()
}

/// The tokens of each turn, found by rendering the conversation up to it and up to its end. `None` for turns that are
/// not asked for.
pub(super) fn by_rendering(
    encoder: &Encoder<'_>,
    messages: &[Message],
    wanted: &[bool],
    full: &Tokens,
    extras: &Extras,
) -> Result<Vec<Option<Range<usize>>>> {
    let tokenizer = encoder.tokenizer;
    let shift = encoder.options.max_boundary_shift;
    let mut ranges = Vec::with_capacity(messages.len());
    for (index, (message, wanted)) in messages.iter().zip(wanted).enumerate() {
        if !wanted {
            ranges.push(None);
            continue;
        }
        // An answer begins where a prompt for it would end; another turn where the one before it ended.
        let before = match messages.get(..index).unwrap_or_default() {
            [] => Tokens::default(),
            before => encoder.render(before, extras, message.role == Role::Assistant, false)?.0,
        };
        let start = boundary(full, &before, |id| tokenizer.is_special(id), shift)?.tokens;
        let end = if index + 1 == messages.len() {
            full.encoded.ids.len()
        } else {
            let through = encoder.render(messages.get(..=index).unwrap_or_default(), extras, false, false)?.0;
            boundary(full, &through, |id| tokenizer.is_special(id), shift)?.tokens
        };
        if start >= end {
            let message = format!("message {index} has no token of its own in the whole text");
            return Err(Reason::new(Code::NoAssistantMask, message).into());
        }
        ranges.push(Some(start..end));
    }
    Ok(ranges)
}

/// The tokens of each assistant turn, from the generation blocks of the template; `None` unless there is exactly one for
/// each.
pub(super) fn by_spans(
    messages: &[Message],
    full: &Tokens,
    spans: &[Range<usize>],
) -> Option<Vec<Option<Range<usize>>>> {
    let assistants = messages.iter().filter(|message| message.role == Role::Assistant).count();
    if spans.len() != assistants {
        return None;
    }
    let mut spans = spans.iter();
    let tokens = |span: &Range<usize>| {
        let offsets = &full.encoded.offsets;
        let inside = |at: &Range<usize>| at.start < span.end && at.end > span.start;
        let start = offsets.iter().position(inside)?;
        Some(start..offsets.iter().rposition(inside)? + 1)
    };
    let range = |message: &Message| match message.role {
        Role::Assistant => spans.next().and_then(tokens),
        _ => None,
    };
    Some(messages.iter().map(range).collect())
}

/// True at the tokens of generation blocks.
pub(super) fn mask_of_spans(full: &Tokens, spans: &[Range<usize>]) -> Vec<bool> {
    let inside = |at: &Range<usize>| spans.iter().any(|span| at.start < span.end && at.end > span.start);
    full.encoded.offsets.iter().map(inside).collect()
}

/// True at the tokens of the turns that are learned.
pub(super) fn mask(len: usize, ranges: &[Option<Range<usize>>], learned: &[bool]) -> Vec<bool> {
    let mut mask = vec![false; len];
    for range in ranges.iter().zip(learned).filter(|(_, learned)| **learned).filter_map(|(range, _)| range.clone()) {
        mask.iter_mut().take(range.end).skip(range.start).for_each(|scored| *scored = true);
    }
    mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d23_which_turns_are_learned_is_one_option() {
        let say = |role| Message::new(role, "x");
        let mut messages: Vec<_> =
            [Role::User, Role::Assistant, Role::User, Role::Assistant, Role::User, Role::Assistant].map(say).into();
        let turns = |messages: &[Message], turns| -> String {
            learned(messages, 3, turns).into_iter().map(|is| if is { '1' } else { '0' }).collect()
        };
        assert_eq!(turns(&messages, TrainTurns::Completion), "000101");
        assert_eq!(turns(&messages, TrainTurns::Last), "000001");
        assert_eq!(turns(&messages, TrainTurns::All), "010101");
        assert_eq!(turns(&messages, TrainTurns::Flags), "010101");
        assert_eq!(turns(&messages, TrainTurns::Everything), "000111");
        messages[1].train = Some(false);
        messages[2].train = Some(true);
        assert_eq!(turns(&messages, TrainTurns::Flags), "001101");
        assert_eq!(TrainTurns::default(), TrainTurns::Completion);
    }

    #[test]
    fn a_mask_is_the_tokens_of_the_learned_turns() {
        let ranges = [Some(0..1), None, Some(2..4)];
        assert_eq!(mask(5, &ranges, &[true, true, true]), [true, false, true, true, false]);
        assert_eq!(mask(5, &ranges, &[false, true, true]), [false, false, true, true, false]);
    }
}
