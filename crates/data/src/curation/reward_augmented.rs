//! Reward-augmented relabeling: each pair once for the goal of its better response and once for that of its worse one.
//!
//! **Paper:** Reward-Augmented Data Enhances Direct Preference Alignment of LLMs (2024), 2410.08067.
//! **Use when:** responses carry quality scores: a rejected response that is good is then not unlearned, and at
//! inference the highest score is asked for.
//! **Deviations:** the sentence that states the goal is ours and can be replaced.

use serde::Serialize;
use serde_json::Value;

use super::{
    access::{Preference, flip},
    numbers::check_domain,
    operator::{Curated, Operator, Verdict, options_of},
};
use crate::{
    Message, Result,
    text::{Role, Text},
};

/// Where the goal stands in a template.
const PLACE: &str = "{score}";

/// Makes two pairs of each: for the goal `r_w` the pair as it is, for the goal `r_l` the pair turned around.
///
/// The implied reward of a response of score `r` under a goal `g` is `−(r − g)²`. The goal is written into the prompt
/// with one decimal, as a system message where the prompt is a conversation (at the end of the one that is there),
/// before the text where it is a string; and into `meta.goal`. Pairs of equal scores, whose two goals would contradict
/// each other, give the first record only and are counted under `equal_scores`; pairs without scores go under
/// `unscored`. Ids get `#chosen` and `#rejected`, for the response whose score is the goal. Figure: `max_score`, the
/// goal for inference.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[doc(alias = "2410.08067")]
pub struct RewardAugmented {
    /// The sentence that states the goal, with `{score}` where it stands.
    pub template: String,
}

impl Default for RewardAugmented {
    fn default() -> Self {
        Self { template: format!("Give a response whose quality score is {PLACE}.") }
    }
}

impl RewardAugmented {
    fn condition<T: Preference>(&self, record: &mut T, goal: f64, side: &str) {
        let sentence = self.template.replace(PLACE, &format!("{goal:.1}"));
        match record.prompt_mut() {
            Text::Plain(text) => *text = format!("{sentence}\n\n{text}"),
            Text::Messages(messages) => match messages.first_mut().filter(|first| first.role == Role::System) {
                Some(system) => *system = Message::new(Role::System, format!("{}\n\n{sentence}", system.content)),
                None => messages.insert(0, Message::new(Role::System, sentence)),
            },
        }
        record.meta_mut().insert("goal".to_owned(), goal.into());
        if !record.id().is_empty() {
            let id = format!("{}#{side}", record.id());
            record.set_id(id);
        }
    }
}

impl<T: Preference + Clone> Operator<T> for RewardAugmented {
    type Out = T;

    fn name(&self) -> &'static str {
        "reward_augmented"
    }

    fn options(&self) -> Value {
        options_of(self)
    }

    fn check(&self) -> Result<()> {
        let places = self.template.matches(PLACE).count();
        check_domain(places == 1, "template", "one `{score}`", places as f64)
    }

    fn apply(&self, records: Vec<T>, seed: u64) -> Result<Curated<T>> {
        Operator::<T>::check(self)?;
        let mut curated = Curated::new(self, seed);
        let mut max_score: Option<f64> = None;
        for record in records {
            let scores = record.scores().filter(|(a, b)| a.is_finite() && b.is_finite());
            let Some((chosen, rejected)) = scores else {
                curated.push(Verdict::Drop(record, "unscored"));
                continue;
            };
            max_score = Some(max_score.unwrap_or(chosen).max(chosen).max(rejected));
            let (mut high, mut low) = (record.clone(), record);
            self.condition(&mut high, chosen, "chosen");
            if chosen == rejected {
                curated.report.add("equal_scores");
                curated.push(Verdict::Keep(high));
                continue;
            }
            self.condition(&mut low, rejected, "rejected");
            flip(&mut low, "reward_augmented");
            curated.push(Verdict::Many(vec![high, low]));
        }
        curated.report.set_figure("max_score", max_score);
        Ok(curated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Pair,
        curation::testing::{pair, scored},
    };

    #[test]
    fn each_pair_becomes_one_for_each_of_its_scores() {
        let mut record = scored("q", 8.3, 6.0);
        record.envelope.id = "a".into();
        let curated = RewardAugmented::default().apply(vec![record, pair("none"), scored("p", 9.0, 2.0)], 0).unwrap();
        let [high, low, ..] = &curated.records[..] else { panic!("four records") };
        assert_eq!(high.prompt.as_plain(), Some("Give a response whose quality score is 8.3.\n\nq"));
        assert_eq!(low.prompt.as_plain(), Some("Give a response whose quality score is 6.0.\n\nq"));
        assert_eq!((high.chosen.as_plain(), low.chosen.as_plain()), (Some("good"), Some("bad")));
        assert_eq!((&high.envelope.id[..], &low.envelope.id[..]), ("a#chosen", "a#rejected"));
        assert_eq!((&high.envelope.meta["goal"], &low.envelope.meta["goal"]), (&8.3.into(), &6.0.into()));
        assert_eq!(low.scores(), Some((6.0, 8.3)));
        assert!(!high.envelope.meta.contains_key("relabelled"));
        assert_eq!(low.envelope.meta["relabelled"]["operator"], "reward_augmented");
        let report = &curated.report;
        assert_eq!((report.inputs, report.converted, report.outputs, report.dropped["unscored"]), (3, 2, 4, 1));
        assert_eq!(report.figure("max_score"), Some(9.0));
        assert_eq!(curated.records[2].envelope.id, "");
    }

    #[test]
    fn equal_scores_give_one_record() {
        let curated = RewardAugmented::default().apply(vec![scored("q", 3.0, 3.0)], 0).unwrap();
        assert_eq!((curated.records.len(), curated.report.count("equal_scores")), (1, 1));
        assert_eq!(curated.records[0].chosen.as_plain(), Some("good"));
    }

    #[test]
    fn conversations_have_one_system_message() {
        let user = Message::new(Role::User, "q");
        let answer = |text: &str| vec![Message::new(Role::Assistant, text)];
        let make = |prompt: Vec<Message>| {
            let mut pair = Pair::new(prompt, answer("good"), answer("bad")).unwrap();
            (pair.score_chosen, pair.score_rejected) = (Some(2.0), Some(1.0));
            let made = RewardAugmented { template: "Goal {score}".into() }.apply(vec![pair], 0).unwrap().records;
            let messages = made[1].prompt.as_messages().unwrap();
            (messages.len(), messages[0].role, messages[0].content.clone())
        };
        assert_eq!(make(vec![user.clone()]), (2, Role::System, "Goal 1.0".into()));
        assert_eq!(
            make(vec![Message::new(Role::System, "Be kind."), user]),
            (2, Role::System, "Be kind.\n\nGoal 1.0".into())
        );
    }

    #[test]
    fn a_template_has_one_place_for_the_score() {
        for template in ["none", "{score} {score}"] {
            let error = RewardAugmented { template: template.into() }.apply(Vec::<Pair>::new(), 0).unwrap_err();
            assert!(error.to_string().starts_with("`template`: expected one `{score}`"), "{error}");
        }
    }
}
