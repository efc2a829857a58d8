//! What makes a list of messages a conversation.

use super::{Message, Reading, Role, Text};
use crate::report::{Code, Reason, Warning};

/// Checks each completion as what goes on with the conversation that the prompt begins, and without a completion the
/// prompt itself. Strings are no conversations.
///
/// # Errors
/// Those of [`check_conversation`], and [`Code::PromptEndsAssistant`] where the rules forbid that.
pub(crate) fn check_turns<'a>(
    prompt: &Text,
    completions: impl IntoIterator<Item = (&'a str, &'a Text)>,
    reading: &mut Reading,
) -> Result<(), Reason> {
    let turns = prompt.as_messages().unwrap_or_default();
    let mut completions = completions.into_iter().peekable();
    if completions.peek().is_none() && prompt.as_messages().is_some() {
        check_conversation(turns, "prompt", reading)?;
    }
    for (name, completion) in completions {
        if let Some(completion) = completion.as_messages() {
            check_conversation(turns.iter().chain(completion), name, reading)?;
        }
    }
    check_prompt_end(turns, reading)
}

/// Checks that a prompt does not end with the assistant, where the rules forbid that.
///
/// # Errors
/// [`Code::PromptEndsAssistant`].
fn check_prompt_end(prompt: &[Message], reading: &Reading) -> Result<(), Reason> {
    match prompt.split_last() {
        Some((last, before)) if last.role == Role::Assistant && !reading.rules.allow_prefill => {
            let message = "the prompt ends with an assistant message";
            Err(Reason::field(Code::PromptEndsAssistant, format!("prompt[{}]", before.len()), message))
        }
        _ => Ok(()),
    }
}

/// Checks the order of speakers, and notes what is odd about messages.
///
/// There is at least one message; a system message comes first or not at all; the user and the assistant take turns,
/// and a tool answers a call of the assistant or follows another tool.
///
/// # Errors
/// [`Code::EmptyList`]; [`Code::TwoSystem`]; [`Code::Alternation`] where the rules require it, else
/// [`Warning::Alternation`] is noted. The field is `name` with the number of the message, such as `chosen[2]`.
pub(crate) fn check_conversation<'a>(
    messages: impl IntoIterator<Item = &'a Message>,
    name: &str,
    reading: &mut Reading,
) -> Result<(), Reason> {
    let mut before: Option<&Message> = None;
    for (i, message) in messages.into_iter().enumerate() {
        message.warnings().into_iter().for_each(|warning| reading.warn(warning));
        if message.role == Role::System && i > 0 {
            let reason = "a system message that opens no conversation";
            return Err(Reason::field(Code::TwoSystem, format!("{name}[{i}]"), reason));
        }
        if !may_follow(before, message) {
            if reading.rules.require_alternation {
                let found = format!("the {} speaks out of turn", message.role.as_str());
                return Err(Reason::field(Code::Alternation, format!("{name}[{i}]"), found));
            }
            reading.warn(Warning::Alternation);
        }
        before = Some(message);
    }
    match before {
        Some(_) => Ok(()),
        None => Err(Reason::field(Code::EmptyList, name, "expected at least one message, found none")),
    }
}

fn may_follow(before: Option<&Message>, message: &Message) -> bool {
    let called = |before: &Message| before.role == Role::Tool || !before.tool_calls.is_empty();
    match message.role {
        Role::System | Role::Developer => true,
        Role::Tool => before.is_some_and(called),
        speaker => before.is_none_or(|before| before.role != speaker),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::rules::Rules;

    fn check(messages: serde_json::Value, require_alternation: bool) -> (Result<(), Code>, usize) {
        let messages: Vec<Message> = serde_json::from_value(messages).unwrap();
        let mut reading = Reading::new(Rules { require_alternation, ..Rules::default() });
        let checked = check_conversation(&messages, "x", &mut reading);
        (checked.map_err(|reason| reason.code), reading.warnings().len())
    }

    #[test]
    fn speakers_take_turns_and_tools_are_called() {
        let call = json!({"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": {}}}]});
        let say = |role: &str| json!({"role": role, "content": "x"});
        let [system, user, assistant, tool] = ["system", "user", "assistant", "tool"].map(say);
        let good = [
            json!([user]),
            json!([system, user, assistant, user]),
            json!([user, call, tool, tool, assistant]),
            json!([assistant, user]),
            json!([user, assistant, say("developer"), user]),
        ];
        for messages in good {
            assert_eq!(check(messages.clone(), true), (Ok(()), 0), "{messages}");
        }
        for messages in [json!([user, user]), json!([user, tool]), json!([tool]), json!([assistant, tool])] {
            assert_eq!(check(messages.clone(), true).0, Err(Code::Alternation), "{messages}");
            assert_eq!(check(messages, false), (Ok(()), 1));
        }
        assert_eq!(check(json!([user, system]), false).0, Err(Code::TwoSystem));
        assert_eq!(check(json!([]), false).0, Err(Code::EmptyList));
    }

    #[test]
    fn what_is_odd_about_a_message_is_noted() {
        let image = json!([{"role": "user", "content": [{"type": "image", "url": "u"}]}]);
        assert_eq!(check(image, true), (Ok(()), 1));
    }
}
