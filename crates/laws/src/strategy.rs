//! Strategies: batches as a loss meets them, and as it should survive them.

use std::ops::RangeInclusive;

use proptest::{collection::vec, prelude::*, sample::select};

use crate::{
    batch::{Batch, Columns, Item, Response},
    subject::{Column, Family, Range, Subject},
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
            Response { policy, reference, columns }
        })
        .boxed()
}

fn item(subject: &Subject, inputs: &Inputs) -> BoxedStrategy<Item> {
    let count = match subject.family {
        Family::Pairs => 2..=2,
        Family::Singles => 1..=1,
        Family::Lists => 2..=4,
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
