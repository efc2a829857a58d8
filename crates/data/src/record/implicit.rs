//! The prompt of two sides that both carry it: what they share at the beginning.
//!
//! **Source:** the format that TRL calls an implicit prompt. TRL's own extraction cuts words, loses the first character
//! of sides that share none, and repeats the last of equal sides; here these are rejects, and a word stays whole.

use super::{Message, Role, Text};
use crate::{
    record::Reading,
    report::{Code, Reason},
    rules::{Divergence, PromptEnd},
};

type Parts = (Text, Text, Text);

/// Splits two sides into the prompt that they share, and the rest of each.
///
/// Messages are compared whole; strings as the rule [`PromptEnd`] says.
///
/// # Errors
/// [`Code::Type`] for a string beside messages; [`Code::Empty`] for an empty side; [`Code::Identical`] and
/// [`Code::Prefix`] if one side is all of the other's beginning; [`Code::PromptMismatch`] if they share nothing;
/// [`Code::DivergeAtUser`] if a rest does not begin with the assistant; [`Code::DivergentTurns`] if it goes on after
/// the answer and the rules forbid that.
///
/// # Example
/// ```
/// use accordant_data::record::{Reading, implicit::split_prompt};
/// let (prompt, chosen, rejected) = split_prompt("It is blue".into(), "It is black".into(), &mut Reading::default())?;
/// assert_eq!(prompt.as_plain(), Some("It is"));
/// assert_eq!((chosen.as_plain(), rejected.as_plain()), (Some(" blue"), Some(" black")));
/// # Ok::<(), accordant_data::report::Reason>(())
/// ```
pub fn split_prompt(chosen: Text, rejected: Text, reading: &mut Reading) -> Result<Parts, Reason> {
    match (chosen, rejected) {
        (Text::Plain(chosen), Text::Plain(rejected)) => split_strings(&chosen, &rejected, reading),
        (Text::Messages(chosen), Text::Messages(rejected)) => split_messages(chosen, rejected, reading),
        (chosen, rejected) => {
            let message = format!("expected {} as in `chosen`, found {}", chosen.form(), rejected.form());
            Err(Reason::field(Code::Type, "rejected", message))
        }
    }
}

fn split_messages(
    mut chosen: Vec<Message>,
    mut rejected: Vec<Message>,
    reading: &mut Reading,
) -> Result<Parts, Reason> {
    let shared = chosen.iter().zip(&rejected).take_while(|(a, b)| a == b).count();
    if chosen.is_empty() || rejected.is_empty() {
        let field = if chosen.is_empty() { "chosen" } else { "rejected" };
        return Err(Reason::field(Code::EmptyList, field, "expected at least one message, found none"));
    }
    check_rests(shared == chosen.len(), shared == rejected.len())?;
    if shared == 0 && !reading.rules.allow_empty_prompt {
        return Err(Reason::new(Code::PromptMismatch, "`chosen` and `rejected` share no message"));
    }
    let (mut a, mut b) = (chosen.split_off(shared), rejected.split_off(shared));
    for (field, rest) in [("chosen", &a), ("rejected", &b)] {
        if let Some(first) = rest.first().filter(|first| first.role != Role::Assistant) {
            let message = format!(
                "expected the assistant's message where the two sides part, found the {}'s",
                first.role.as_str()
            );
            return Err(Reason::field(Code::DivergeAtUser, format!("{field}[{shared}]"), message));
        }
    }
    if a.len() > 1 || b.len() > 1 {
        match reading.rules.divergence {
            Divergence::KeepTail => {}
            Divergence::FirstReply => {
                a.truncate(1);
                b.truncate(1);
                reading.repair(Code::DivergentTurns);
            }
            Divergence::Reject => {
                let message = format!("the sides part at message {shared}, before the last answer");
                return Err(Reason::new(Code::DivergentTurns, message));
            }
        }
    }
    let prompt = if chosen.is_empty() { Text::Plain(String::new()) } else { Text::Messages(chosen) };
    Ok((prompt, a.into(), b.into()))
}

fn split_strings(chosen: &str, rejected: &str, reading: &Reading) -> Result<Parts, Reason> {
    for (field, text) in [("chosen", chosen), ("rejected", rejected)] {
        if text.trim().is_empty() {
            return Err(Reason::field(Code::Empty, field, "empty after trimming"));
        }
    }
    let shared: usize =
        chosen.chars().zip(rejected.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum();
    check_rests(shared == chosen.len(), shared == rejected.len())?;
    let prompt = &chosen[..shared];
    let end = match &reading.rules.prompt_end {
        PromptEnd::Word => before_space(prompt, whole_words(prompt, chosen, rejected)),
        PromptEnd::Char => before_space(prompt, shared),
        PromptEnd::Marker(markers) => {
            let ends = markers.iter().filter(|marker| !marker.is_empty());
            let last = ends.filter_map(|marker| prompt.rfind(marker.as_str()).map(|at| at + marker.len())).max();
            last.ok_or_else(|| {
                let message = format!("no marker of {markers:?} in what `chosen` and `rejected` share");
                Reason::new(Code::PromptMismatch, message).with_excerpt(prompt)
            })?
        }
    };
    if end == 0 && !reading.rules.allow_empty_prompt {
        return Err(Reason::new(Code::PromptMismatch, "`chosen` and `rejected` share no prompt"));
    }
    Ok((chosen[..end].into(), chosen[end..].into(), rejected[end..].into()))
}

/// What is wrong with two sides of which one has nothing after what they share.
fn check_rests(chosen_ends: bool, rejected_ends: bool) -> Result<(), Reason> {
    match (chosen_ends, rejected_ends) {
        (true, true) => Err(Reason::new(Code::Identical, "`chosen` and `rejected` are the same")),
        (true, false) => {
            Err(Reason::field(Code::Prefix, "chosen", "all of it begins `rejected`: no completion is left"))
        }
        (false, true) => {
            Err(Reason::field(Code::Prefix, "rejected", "all of it begins `chosen`: no completion is left"))
        }
        (false, false) => Ok(()),
    }
}

/// The end of the shared text, moved back until it cuts no word of either side.
fn whole_words(shared: &str, chosen: &str, rejected: &str) -> usize {
    let mut end = shared.len();
    let alphanumeric = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    while let Some(last) = shared[..end].chars().next_back().filter(|c| c.is_alphanumeric()) {
        let [a, b] = [chosen, rejected].map(|text| alphanumeric(text[end..].chars().next()));
        if !a && !b {
            break;
        }
        end -= last.len_utf8();
    }
    end
}

/// One space before the completion belongs to the completion.
fn before_space(shared: &str, end: usize) -> usize {
    end - usize::from(shared[..end].ends_with(' '))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Rules;

    fn split(chosen: &str, rejected: &str, rules: Rules) -> Result<[String; 3], Code> {
        let parts = split_prompt(chosen.into(), rejected.into(), &mut Reading::new(rules));
        let text = |text: Text| text.as_plain().unwrap().to_owned();
        parts.map(|(a, b, c)| [a, b, c].map(text)).map_err(|reason| reason.code)
    }

    fn of(prompt_end: PromptEnd) -> Rules {
        Rules { prompt_end, ..Rules::default() }
    }

    #[test]
    fn d13_an_implicit_prompt_ends_between_words_and_leaves_a_completion() {
        let word = |chosen, rejected| split(chosen, rejected, Rules::default());
        let parts = |parts: [&str; 3]| Ok(parts.map(str::to_owned));
        assert_eq!(word("The sky is blue.", "The sky is green."), parts(["The sky is", " blue.", " green."]));
        assert_eq!(word("It is blue", "It is black"), parts(["It is", " blue", " black"]));
        assert_eq!(word("The sky is", "The sky is blue."), Err(Code::Prefix));
        assert_eq!(word("The sky is blue.", "The sky is"), Err(Code::Prefix));
        assert_eq!(word("Paris ", "London"), Err(Code::PromptMismatch));
        assert_eq!(word("same", "same"), Err(Code::Identical));
        assert_eq!(word("", "London"), Err(Code::Empty));
        // One side may end its word where the other goes on.
        assert_eq!(word("a go.", "a gone"), parts(["a", " go.", " gone"]));
        // Only one space moves over, and letters beyond ASCII are letters.
        assert_eq!(word("x  è", "x  é"), parts(["x ", " è", " é"]));
        assert_eq!(word("q: être", "q: êtes"), parts(["q:", " être", " êtes"]));
    }

    #[test]
    fn d13_as_trl_cuts_it() {
        let char = |chosen, rejected| split(chosen, rejected, of(PromptEnd::Char));
        let parts = |parts: [&str; 3]| Ok(parts.map(str::to_owned));
        assert_eq!(char("It is blue", "It is black"), parts(["It is bl", "ue", "ack"]));
        assert_eq!(char("The sky is blue.", "The sky is green."), parts(["The sky is", " blue.", " green."]));
    }

    #[test]
    fn a_marker_ends_the_prompt_where_it_stands_last() {
        let marker = |text: &str| of(PromptEnd::Marker(vec!["A:".into(), text.into()]));
        let (chosen, rejected) = ("Q: a A: b Q: c A: dx", "Q: a A: b Q: c A: dy");
        let parts = split(chosen, rejected, marker("none")).unwrap();
        assert_eq!(parts, ["Q: a A: b Q: c A:", " dx", " dy"]);
        assert_eq!(split(chosen, rejected, marker("A: d")).unwrap()[1], "x");
        assert_eq!(split("Q x", "Q y", marker("B:")), Err(Code::PromptMismatch));
        assert_eq!(split("Q x", "Q y", of(PromptEnd::Marker(vec![String::new()]))), Err(Code::PromptMismatch));
    }

    #[test]
    fn sides_that_share_nothing_may_have_an_empty_prompt() {
        let rules = Rules { allow_empty_prompt: true, ..Rules::default() };
        assert_eq!(split("Paris ", "London", rules.clone()).unwrap(), ["", "Paris ", "London"]);
        let say = |text: &str| Text::Messages(vec![Message::new(Role::Assistant, text)]);
        let (prompt, chosen, _) = split_prompt(say("a"), say("b"), &mut Reading::new(rules)).unwrap();
        assert_eq!((prompt, chosen), ("".into(), say("a")));
        assert_eq!(split_prompt(say("a"), say("b"), &mut Reading::default()).unwrap_err().code, Code::PromptMismatch);
    }

    fn talk(turns: &[(Role, &str)]) -> Text {
        Text::Messages(turns.iter().map(|&(role, text)| Message::new(role, text)).collect())
    }

    fn code(chosen: &[(Role, &str)], rejected: &[(Role, &str)]) -> Code {
        split_prompt(talk(chosen), talk(rejected), &mut Reading::default()).unwrap_err().code
    }

    #[test]
    fn conversations_part_at_an_answer() {
        use Role::{Assistant, User};
        let q = (User, "q");
        assert_eq!(code(&[q, (Assistant, "a")], &[q, (Assistant, "a")]), Code::Identical);
        assert_eq!(code(&[q], &[q, (Assistant, "a")]), Code::Prefix);
        assert_eq!(code(&[q, (User, "r")], &[q, (Assistant, "a")]), Code::DivergeAtUser);
        assert_eq!(code(&[q, (Assistant, "a")], &[q, (User, "r")]), Code::DivergeAtUser);
        assert_eq!(code(&[], &[q]), Code::EmptyList);
        let reason = split_prompt(talk(&[q]), "q".into(), &mut Reading::default()).unwrap_err();
        assert_eq!(
            reason.to_string(),
            "E_TYPE: field `rejected`: expected a list of messages as in `chosen`, found a string"
        );
    }

    #[test]
    fn what_follows_the_answer_is_kept_cut_or_refused() {
        use Role::{Assistant, User};
        let q = (User, "q");
        let long = talk(&[q, (Assistant, "a"), (User, "r"), (Assistant, "s")]);
        let short = talk(&[q, (Assistant, "b")]);
        let split = |divergence, chosen: &Text, rejected: &Text| {
            let mut reading = Reading::new(Rules { divergence, ..Rules::default() });
            let parts = split_prompt(chosen.clone(), rejected.clone(), &mut reading);
            let lengths = |(a, b, c): Parts| [a, b, c].map(|text| text.as_messages().unwrap().len());
            (parts.map(lengths).map_err(|reason| reason.code), reading.repaired().len())
        };
        assert_eq!(split(Divergence::KeepTail, &long, &short), (Ok([1, 3, 1]), 0));
        assert_eq!(split(Divergence::FirstReply, &long, &short), (Ok([1, 1, 1]), 1));
        assert_eq!(split(Divergence::Reject, &long, &short).0, Err(Code::DivergentTurns));
        assert_eq!(split(Divergence::Reject, &short, &long).0, Err(Code::DivergentTurns));
        let other = talk(&[q, (Assistant, "c")]);
        assert_eq!(split(Divergence::Reject, &short, &other), (Ok([1, 1, 1]), 0));
    }
}
