//! Step preferences to pairs: the steps so far become part of the prompt.

use super::{ConversionReport, completion_like, each, keep};
use crate::record::{Message, Pair, Role, StepPair, Text};

/// Turns step preferences into pairs. Prompt, steps so far and next step are joined by the separator, the last of which
/// ends the prompt; after messages the steps so far are an assistant message that the completion goes on with.
///
/// # Example
/// ```
/// use accordant_data::{convert::step_pair_to_pair, record::StepPair};
/// let (pairs, _) = step_pair_to_pair([StepPair::new("Q", vec!["s1".into()], "s2", "t2")?]);
/// assert_eq!((pairs[0].prompt.as_plain(), pairs[0].chosen.as_plain()), (Some("Q\ns1\n"), Some("s2")));
/// # Ok::<(), accordant_data::report::Reason>(())
/// ```
pub fn step_pair_to_pair(pairs: impl IntoIterator<Item = StepPair>) -> (Vec<Pair>, ConversionReport) {
    each(ConversionReport::new("step_pair_to_pair", true), pairs, |steps, _| {
        let [chosen, rejected] =
            [steps.chosen_step, steps.rejected_step].map(|step| completion_like(&steps.prompt, step));
        let mut envelope = steps.envelope;
        keep(&mut envelope.meta, "prefix", &steps.prefix);
        keep(&mut envelope.meta, "depth", steps.depth);
        keep(&mut envelope.meta, "step_separator", &steps.step_separator);
        let prompt = with_steps(steps.prompt, &steps.prefix, &steps.step_separator);
        let (score_chosen, score_rejected) = (steps.q_chosen, steps.q_rejected);
        Ok(vec![Pair { score_chosen, score_rejected, envelope, ..Pair::unchecked(prompt, chosen, rejected) }])
    })
}

/// A prompt with steps behind it, after each of which stands the separator.
fn with_steps(prompt: Text, steps: &[String], separator: &str) -> Text {
    let so_far: String = steps.iter().flat_map(|step| [step.as_str(), separator]).collect();
    match prompt {
        Text::Plain(prompt) => format!("{prompt}{separator}{so_far}").into(),
        Text::Messages(messages) if steps.is_empty() => messages.into(),
        Text::Messages(mut messages) => {
            messages.push(Message::new(Role::Assistant, so_far));
            messages.into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_so_far_belong_to_the_prompt_in_both_forms() {
        let ask = || Text::from(vec![Message::new(Role::User, "q")]);
        let pair = |prompt: Text, steps: &[&str]| {
            let steps = steps.iter().map(|&step| step.into()).collect();
            let pair =
                StepPair { q_chosen: Some(0.8), depth: Some(2), ..StepPair::new(prompt, steps, "a", "b").unwrap() };
            step_pair_to_pair([StepPair { step_separator: "|".into(), ..pair }]).0.remove(0)
        };
        let plain = pair("q".into(), &["s", "t"]);
        assert_eq!((plain.prompt.as_plain(), plain.score_chosen), (Some("q|s|t|"), Some(0.8)));
        assert_eq!((&plain.envelope.meta["depth"], &plain.envelope.meta["prefix"][1]), (&2.into(), &"t".into()));
        assert_eq!(pair("q".into(), &[]).prompt.as_plain(), Some("q|"));
        let talk = pair(ask(), &["s"]);
        assert_eq!(talk.prompt, vec![Message::new(Role::User, "q"), Message::new(Role::Assistant, "s|")].into());
        assert_eq!(talk.rejected, vec![Message::new(Role::Assistant, "b")].into());
        assert_eq!(pair(ask(), &[]).prompt, ask());
    }
}
