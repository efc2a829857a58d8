//! Which way a loss goes when one response becomes more likely, and how it bends.

use std::ops::Range;

use super::{ROUNDING, plain, shifts::lower};
use crate::{
    batch::Item,
    property::Property,
    report::Disagreement,
    runner::{Case, Law, Need, Random, Verdict},
    subject::{Family, Subject},
    tensors::Layout,
};

/// The response that wins an item: the first of a pair, the only one of best score of a list.
fn winner(family: Family, item: &Item) -> Option<usize> {
    match family {
        Family::Pairs | Family::Singles => Some(0),
        Family::Lists => extreme(item, |a, b| a > b),
        Family::Rollouts => None,
    }
}

fn loser(family: Family, item: &Item) -> Option<usize> {
    match family {
        Family::Pairs | Family::Singles => Some(1),
        Family::Lists => extreme(item, |a, b| a < b),
        Family::Rollouts => None,
    }
}

/// The only response whose score beats all others.
fn extreme(item: &Item, beats: impl Fn(f64, f64) -> bool) -> Option<usize> {
    let scores: Vec<f64> = item.responses.iter().map(|response| response.columns["scores"]).collect();
    let best = |index: &usize| {
        scores.iter().enumerate().all(|(other, score)| other == *index || beats(scores[*index], *score))
    };
    (0..scores.len()).find(best)
}

pub(super) fn decreasing_in_chosen<'a>() -> Law<'a> {
    monotone("decreasing in chosen", -1.0, winner)
}

pub(super) fn increasing_in_rejected<'a>() -> Law<'a> {
    monotone("increasing in rejected", 1.0, loser)
}

pub(super) fn decreasing_in_desirable<'a>() -> Law<'a> {
    monotone("decreasing in desirable", -1.0, |_, item| (item.columns["desirable"] == 1.0).then_some(0))
}

pub(super) fn increasing_in_undesirable<'a>() -> Law<'a> {
    monotone("increasing in undesirable", 1.0, |_, item| (item.columns["desirable"] == 0.0).then_some(0))
}

/// The items that a case is about: all at once, or one where items depend on each other.
fn some_items(subject: &Subject, case: &Case, random: &mut Random) -> Range<usize> {
    let len = case.batch.items.len();
    let one = random.below(len);
    if subject.declares(Property::BatchStatistics) { one..one + 1 } else { 0..len }
}

/// The loss of an item never goes against `sign` when the picked response becomes more likely, and sometimes with it.
fn monotone<'a>(name: &'static str, sign: f64, pick: impl Fn(Family, &Item) -> Option<usize> + 'a) -> Law<'a> {
    let law = plain(name, move |subject, case| {
        let mut random = case.random();
        let picked = |item: &Item| pick(subject.family, item).filter(|_| !item.has_empty_response());
        let items = some_items(subject, case, &mut random);
        let amount = random.uniform(0.1, 4.0);
        let less_likely = case.batch.map(|index, item| {
            if let Some(number) = picked(item).filter(|_| items.contains(&index)) {
                lower(&mut item.responses[number], true, amount, true);
            }
        });
        let high = subject.values(&case.batch, &Layout::default())?.losses;
        let low = subject.values(&less_likely, &Layout::default())?.losses;
        let mut verdict = Verdict::PutAside;
        for index in items {
            let Some(number) = picked(&case.batch.items[index]) else { continue };
            let (high, low) = (high[index], low[index]);
            let rise = sign * (high - low);
            let slack = ROUNDING * high.abs().max(1.0);
            if rise < -slack {
                let way = if sign < 0.0 { "at least" } else { "at most" };
                let expected =
                    format!("once response {number} lost {amount} nats, a loss of item {index} of {way} {high}");
                return Err(Disagreement::new(expected, format!("{low}")));
            }
            if rise > slack {
                verdict = Verdict::Holds;
            }
        }
        Ok(verdict)
    });
    law.needs(Need::One, "a batch in which the loss changes with the response's log-probability")
}

/// On a line of log-probabilities of one response the loss lies below its chords.
pub(super) fn convex<'a>() -> Law<'a> {
    plain("convex", |subject: &Subject, case| {
        let mut random = case.random();
        let items = some_items(subject, case, &mut random);
        let numbers: Vec<usize> = case.batch.items.iter().map(|item| random.below(item.responses.len())).collect();
        let step = random.uniform(0.1, 8.0);
        let at = |steps: f64| {
            let batch = case.batch.map(|index, item| {
                if items.contains(&index) {
                    lower(&mut item.responses[numbers[index]], true, steps * step, true);
                }
            });
            Ok::<_, Disagreement>(subject.values(&batch, &Layout::default())?.losses)
        };
        let (first, middle, last) = (at(0.0)?, at(1.0)?, at(2.0)?);
        for index in items.clone() {
            let (first, middle, last, number) = (first[index], middle[index], last[index], numbers[index]);
            let chord = (first + last) / 2.0;
            if middle > chord + ROUNDING * chord.abs().max(1.0) {
                let place = format!("for item {index} with response {number} {step} nats lower");
                let expected = format!("at most {chord} {place}: between {first} and {last}");
                return Err(Disagreement::new(expected, format!("{middle}")));
            }
        }
        Ok(Verdict::Holds)
    })
}
