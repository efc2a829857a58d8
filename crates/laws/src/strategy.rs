//! Strategies: batches as a loss meets them, and as it should survive them.

use std::ops::RangeInclusive;

use proptest::{collection::vec, prelude::*, sample::select};

use crate::{
    batch::{Batch, Columns, Item, Response, TokenColumns},
    subject::{Column, Family, Range, Subject},
    tensors::{Align, Layout},
};

/// Which hooks a batch may have.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Hooks {
    /// Each that the subject honors, in every other batch.
    Any,
    /// None.
    None,
    /// These, in every batch, where the subject honors them.
    Only(&'static [&'static str]),
}

/// What batches are made.
#[derive(Debug, Clone, PartialEq)]
pub struct Inputs {
    /// How many items.
    pub items: RangeInclusive<usize>,
    /// How many tokens a response has at most.
    pub tokens: usize,
    /// Whether a response may have no token.
    pub empty_responses: bool,
    /// Whether some tokens have log-probability 0, or almost, or down to -1e4, so that log-ratios reach ±1e4.
    pub extreme: bool,
    /// The hooks.
    pub hooks: Hooks,
}

impl Default for Inputs {
    fn default() -> Self {
        Self { items: 1..=4, tokens: 4, empty_responses: true, extreme: false, hooks: Hooks::Any }
    }
}

/// A token's log-probability below 0: mostly down to −4 nats, now and then down to −20 or nearly 0. Multiples of 1/64,
/// so that shrunk batches are readable.
pub fn realistic_logp() -> impl Strategy<Value = f64> {
    prop_oneof![
        // From −1 down to −4, then up from 0: shrinking ends at −1.
        10 => (0..256i32).prop_map(|k| -f64::from((63 + k) % 256 + 1) / 64.0),
        2 => (8..=40i32).prop_map(|k| -f64::from(k) / 2.0),
        1 => Just(-1.0 / 1048576.0),
    ]
}

/// A token's log-probability from 0 (certain) down to −1e4.
pub fn extreme_logp() -> impl Strategy<Value = f64> {
    select(vec![-1.0, 0.0, -1e-6, -30.0, -100.0, -1e3, -1e4])
}

/// A number in a range; the bounds come up.
pub fn number(range: Range) -> BoxedStrategy<f64> {
    let (low, high) = range.ends();
    match range {
        Range::Real(..) | Range::Unit | Range::NonNegative(_) => {
            (0..=16i32).prop_map(move |k| low + (high - low) * f64::from(k) / 16.0).boxed()
        }
        Range::Binary | Range::Id(_) => (0..=high as u32).prop_map(f64::from).boxed(),
        Range::Coarse(..) => (0..=4i32).prop_map(move |k| low + (high - low) * f64::from(k) / 4.0).boxed(),
        Range::Tokens(..) => (0..=64i32).prop_map(move |k| low + (high - low) * f64::from(k) / 64.0).boxed(),
        Range::Logps => realistic_logp().boxed(),
    }
}

fn columns(columns: &[Column]) -> BoxedStrategy<Columns> {
    let names: Vec<_> = columns.iter().map(|(name, _)| *name).collect();
    let numbers: Vec<_> = columns.iter().map(|(_, range)| number(*range)).collect();
    numbers.prop_map(move |numbers| names.iter().copied().zip(numbers).collect()).boxed()
}

fn response(inputs: &Inputs, side: &[Column]) -> BoxedStrategy<Response> {
    let some = vec((realistic_logp(), realistic_logp()), 1..=inputs.tokens);
    let tokens = match inputs.empty_responses {
        true => prop_oneof![8 => some, 1 => Just(Vec::new())].boxed(),
        false => some.boxed(),
    };
    // One extreme token, so that log-ratios stay within ±1e4 and a few nats.
    let first = match inputs.extreme {
        true => prop_oneof![1 => Just(None), 3 => (extreme_logp(), extreme_logp()).prop_map(Some)].boxed(),
        false => Just(None).boxed(),
    };
    (tokens, first, columns(side))
        .prop_map(|(mut tokens, first, columns)| {
            if let (Some(first), Some(token)) = (first, tokens.first_mut()) {
                *token = first;
            }
            let (policy, reference) = tokens.into_iter().unzip();
            Response { policy, reference, columns, ..Default::default() }
        })
        .boxed()
}

/// What a log-probability differs by from the policy's: a little, now and then not at all or a lot.
fn drift() -> impl Strategy<Value = f64> {
    prop_oneof![
        10 => (-32..=32i32).prop_map(|k| f64::from(k) / 64.0),
        2 => Just(0.0),
        1 => select(vec![-3.0, 3.0]),
    ]
}

/// One token: the policy, the reference, and a number for each column.
type Token = (f64, f64, Vec<f64>);

fn token(columns: &[Column], extreme: bool) -> BoxedStrategy<Token> {
    let numbers: Vec<_> = columns
        .iter()
        .map(|(_, range)| match range {
            Range::Logps if extreme => extreme_logp().boxed(),
            Range::Logps => drift().boxed(),
            range => number(*range),
        })
        .collect();
    let logp = || if extreme { extreme_logp().boxed() } else { realistic_logp().boxed() };
    let drifts: Vec<bool> = columns.iter().map(|(_, range)| *range == Range::Logps && !extreme).collect();
    (logp(), logp(), numbers)
        .prop_map(move |(policy, reference, mut numbers)| {
            for (number, _) in numbers.iter_mut().zip(&drifts).filter(|(_, drifts)| **drifts) {
                *number = (policy + *number).min(0.0);
            }
            (policy, reference, numbers)
        })
        .boxed()
}

/// A sampled response: one in ten has not been learned from yet.
fn rollout(subject: &Subject, inputs: &Inputs) -> BoxedStrategy<Response> {
    let tokens = vec(token(&subject.token_columns, false), 1..=inputs.tokens);
    let tokens = match inputs.empty_responses {
        true => prop_oneof![8 => tokens, 1 => Just(Vec::new())].boxed(),
        false => tokens.boxed(),
    };
    let first = match inputs.extreme {
        true => prop_oneof![1 => Just(None), 3 => token(&subject.token_columns, true).prop_map(Some)].boxed(),
        false => Just(None).boxed(),
    };
    let names: Vec<_> = subject.token_columns.iter().map(|(name, _)| *name).collect();
    (tokens, first, columns(&subject.response_columns), 0..10u8)
        .prop_map(move |(mut tokens, first, columns, kind)| {
            if let (Some(first), Some(token)) = (first, tokens.first_mut()) {
                *token = first;
            }
            let policy: Vec<f64> = tokens.iter().map(|(policy, ..)| *policy).collect();
            let reference = tokens.iter().map(|(_, reference, _)| *reference).collect();
            let column = |at: usize| tokens.iter().map(|(.., numbers)| numbers[at]).collect();
            let mut others: TokenColumns = names.iter().enumerate().map(|(at, name)| (*name, column(at))).collect();
            if kind == 9 {
                others.entry("old").and_modify(|old| old.clone_from(&policy));
            }
            Response { policy, reference, tokens: others, columns }
        })
        .boxed()
}

fn item(subject: &Subject, inputs: &Inputs) -> BoxedStrategy<Item> {
    if subject.family == Family::Rollouts {
        return vec(rollout(subject, inputs), 1..=4)
            .prop_map(|responses| Item { responses, columns: Columns::new() })
            .boxed();
    }
    let count = match subject.family {
        Family::Pairs => 2..=2,
        Family::Singles => 1..=1,
        Family::Lists | Family::Rollouts => 2..=4,
    };
    let sides: Vec<_> = subject.columns.iter().chain(&subject.hooks).copied().collect();
    let responses = vec(response(inputs, &subject.response_columns), count);
    // One item in ten has equal responses, one in ten is where the reference is.
    (responses, columns(&sides), 0..10u8)
        .prop_map(|(mut responses, columns, kind)| {
            if kind == 8 {
                let first = responses[0].clone();
                for response in &mut responses[1..] {
                    (response.policy, response.reference) = (first.policy.clone(), first.reference.clone());
                }
            }
            if kind == 9 {
                responses.iter_mut().for_each(|response| response.reference.clone_from(&response.policy));
            }
            Item { responses, columns }
        })
        .boxed()
}

/// Batches for a subject.
pub fn batches(subject: &Subject, inputs: &Inputs) -> BoxedStrategy<Batch> {
    let hooks: Vec<_> = subject.hooks.iter().map(|(name, _)| *name).collect();
    let present = match inputs.hooks {
        Hooks::Any => vec(any::<bool>(), hooks.len()).boxed(),
        Hooks::None => Just(vec![false; hooks.len()]).boxed(),
        Hooks::Only(names) => Just(hooks.iter().map(|hook| names.contains(hook)).collect()).boxed(),
    };
    (vec(item(subject, inputs), inputs.items.clone()), present)
        .prop_map(move |(items, present): (_, Vec<bool>)| {
            let absent = hooks.iter().zip(present).filter(|(_, present)| !present);
            absent.fold(Batch { items }, |batch, (hook, _)| batch.without_column(hook))
        })
        .boxed()
}

/// Layouts with padding of any amount on either side, gaps between tokens, and NaN behind the mask now and then.
pub fn layouts() -> impl Strategy<Value = Layout> {
    let filler = || select(vec![0.0, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY]);
    (0..3usize, 0..3usize, 0..2usize, any::<bool>(), filler(), filler()).prop_map(
        |(before, after, gap, right, policy_filler, reference_filler)| {
            let align = if right { Align::Right } else { Align::Left };
            Layout { before, after, gap, align, policy_filler, reference_filler, ..Layout::default() }
        },
    )
}

/// Masks of `rows` rows, of which one in four is empty and the others are ragged with gaps.
pub fn masks(rows: usize, seq: usize) -> impl Strategy<Value = Vec<Vec<bool>>> {
    let row = (vec(any::<bool>(), seq), 0..4u8).prop_map(|(row, kind)| match kind {
        3 => vec![false; row.len()],
        _ => row,
    });
    vec(row, rows)
}

/// Rewards of groups of unequal size, from one member up, on a grid so coarse that ties are common.
pub fn groups(groups: RangeInclusive<usize>, members: usize) -> impl Strategy<Value = Vec<Vec<f64>>> {
    vec(vec((-4..=4i32).prop_map(|reward| f64::from(reward) / 2.0), 1..=members.max(1)), groups)
}

#[cfg(test)]
mod tests {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};

    use super::*;

    fn samples<T: std::fmt::Debug>(strategy: impl Strategy<Value = T>) -> Vec<T> {
        let mut runner = TestRunner::deterministic();
        (0..200).map(|_| strategy.new_tree(&mut runner).expect("no filter rejects").current()).collect()
    }

    fn no_loss(_: &crate::Tensors) -> Result<crate::Evaluated, String> {
        Err("for its batches only".to_owned())
    }

    #[test]
    fn batches_have_what_losses_stumble_over() {
        let subject = Subject::pairwise("none", &no_loss);
        let batches = samples(batches(&subject, &Inputs { extreme: true, ..Inputs::default() }));
        let items: Vec<&Item> = batches.iter().flat_map(|batch| &batch.items).collect();
        let some = |what: &dyn Fn(&Item) -> bool| items.iter().filter(|item| what(item)).count();
        assert!(some(&|item| item.has_empty_response()) > 20);
        assert!(some(&|item| item.responses[0] == item.responses[1]) > 20, "ties");
        assert!(some(&|item| item.responses.iter().all(|r| r.log_ratio() == 0.0)) > 20, "policy = reference");
        assert!(some(&|item| item.responses[0].len() != item.responses[1].len()) > 100, "ragged");
        assert!(some(&|item| item.responses[0].log_ratio() > 9e3) > 5);
        assert!(some(&|item| item.responses[0].log_ratio() < -9e3) > 5);
        assert!(some(&|item| item.columns.get("weights") == Some(&0.0)) > 5);
        for hook in ["weights", "label_probs", "margins"] {
            let with = some(&|item| item.columns.contains_key(hook));
            assert!(with > items.len() / 4 && with < items.len() * 3 / 4, "{hook}");
        }
        let same_columns =
            |batch: &Batch| batch.items.iter().all(|item| item.columns.keys().eq(batch.items[0].columns.keys()));
        assert!(batches.iter().all(same_columns), "a hook is there for all items or for none");
    }

    #[test]
    fn lists_are_of_unequal_size_with_ties() {
        let subject = Subject::listwise("none", &no_loss);
        let batches = samples(batches(&subject, &Inputs::default()));
        let ragged =
            |batch: &&Batch| batch.items.iter().any(|item| item.responses.len() != batch.items[0].responses.len());
        assert!(batches.iter().filter(ragged).count() > 50);
        let tied = |item: &&Item| item.responses[0].columns == item.responses[1].columns;
        assert!(batches.iter().flat_map(|batch| &batch.items).filter(tied).count() > 10);
    }

    #[test]
    fn rollouts_are_groups_of_unequal_size_with_ties_near_the_old_policy() {
        let subject = Subject::rollouts("none", &no_loss).response_column("values", Range::Tokens(-1.0, 1.0));
        let batches = samples(batches(&subject, &Inputs { extreme: true, ..Inputs::default() }));
        let items: Vec<&Item> = batches.iter().flat_map(|batch| &batch.items).collect();
        let some = |what: &dyn Fn(&Item) -> bool| items.iter().filter(|item| what(item)).count();
        assert!(some(&|item| item.responses.len() == 1) > 50 && some(&|item| item.responses.len() == 4) > 50);
        let reward = |item: &Item, at: usize| item.responses[at].columns["rewards"];
        assert!(some(&|item| item.responses.len() > 1 && reward(item, 0) == reward(item, 1)) > 20, "ties");
        let ratio = |response: &Response, at: usize| response.policy[at] - response.tokens["old"][at];
        let tokens: Vec<f64> = items
            .iter()
            .flat_map(|item| &item.responses)
            .flat_map(|response| (0..response.len()).map(|at| ratio(response, at)))
            .collect();
        let share = |what: &dyn Fn(f64) -> bool| {
            tokens.iter().filter(|ratio| what(**ratio)).count() as f64 / tokens.len() as f64
        };
        assert!(share(&|ratio| ratio == 0.0) > 0.1, "on-policy");
        assert!(
            share(&|ratio| ratio.abs() < 0.2) > 0.25 && share(&|ratio| ratio.abs() > 0.2) > 0.25,
            "around the clip"
        );
        assert!(share(&|ratio| ratio > 9e3) > 0.001 && share(&|ratio| ratio < -9e3) > 0.001, "extreme");
        let as_many = |response: &Response| response.tokens.values().all(|tokens| tokens.len() == response.len());
        assert!(items.iter().flat_map(|item| &item.responses).all(as_many));
    }

    #[test]
    fn both_classes_and_one_class_come_up() {
        let subject = Subject::unpaired("none", &no_loss);
        let batches = samples(batches(&subject, &Inputs { items: 2..=4, ..Inputs::default() }));
        let good = |batch: &Batch| batch.items.iter().filter(|item| item.columns["desirable"] == 1.0).count();
        let one = batches.iter().filter(|batch| [0, batch.items.len()].contains(&good(batch))).count();
        assert!(one > 20 && one < 150, "{one} of 200 batches have one class");
    }

    #[test]
    fn layouts_masks_and_groups_vary() {
        let layouts = samples(layouts());
        assert!(layouts.iter().any(|layout| layout.align == Align::Right && layout.before > 0));
        assert!(layouts.iter().any(|layout| layout.policy_filler.is_nan() && layout.gap > 0));
        let masks = samples(masks(3, 4));
        assert!(masks.iter().any(|mask| mask.iter().any(|row| row.iter().all(|kept| !kept))));
        assert!(masks.iter().all(|mask| mask.len() == 3 && mask.iter().all(|row| row.len() == 4)));
        let groups = samples(groups(1..=4, 5));
        assert!(groups.iter().any(|groups| groups.iter().any(|group| group.len() != groups[0].len())));
        assert!(groups.iter().flatten().any(|group| group.len() > 1 && group.iter().all(|reward| *reward == group[0])));
    }
}
