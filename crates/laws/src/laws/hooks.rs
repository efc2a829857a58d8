//! Hooks and columns: neutral values change nothing, others something.

use crate::{
    batch::Batch,
    compare::{ROUNDING, close, same_column, same_values},
    loss::Target,
    property::Property,
    report::Disagreement,
    runner::{Case, Law, Need, Outcome, Verdict},
    strategy::{Hooks, Inputs},
    subject::{Column, Range, Subject},
    tensors::Layout,
};

/// For each hook whose neutral value is known, and for everything that a subject reads.
pub(super) fn hooks<'a>(subject: &Subject) -> Vec<Law<'a>> {
    let mut laws = Vec::new();
    for (name, neutral) in [("weights", 1.0), ("label_probs", 1.0), ("margins", 0.0)] {
        if subject.honors(name) {
            laws.push(Law::new(format!("`{name}` {neutral}"), Inputs::default(), move |subject, case| {
                let without = subject.values(&case.batch.without_column(name), &Layout::default())?;
                let with = subject.values(&case.batch.with_column(name, neutral), &Layout::default())?;
                same_values(&without, &with)?;
                Ok(Verdict::Holds)
            }));
        }
    }
    if subject.honors("weights") && subject.has_independent_items() {
        laws.push(outside_the_losses());
    }
    laws.extend(subject.hooks.iter().chain(&subject.columns).map(|(name, range)| is_read(name, *range)));
    let read = |(name, _): &&Column| !subject.declares(Property::Ignores(name));
    let of_responses = subject.response_columns.iter().filter(read);
    laws.extend(of_responses.map(|(name, range)| response_column_is_read(name, *range)));
    laws.extend(subject.token_columns.iter().filter(read).map(|(name, _)| token_column_is_read(name)));
    laws
}

/// A weight belongs to the mean: the losses themselves are the same without weights.
fn outside_the_losses<'a>() -> Law<'a> {
    let inputs = Inputs { hooks: Hooks::Only(&["weights"]), ..Inputs::default() };
    Law::new("`weights` outside the losses", inputs, |subject, case| {
        // A mean over all tokens is weighted; it is the same for both here.
        let layout = Layout { tokens_per_item: case.batch.tokens_per_item(), ..Layout::default() };
        let without = subject.values(&case.batch.without_column("weights"), &layout)?;
        let with = subject.values(&case.batch, &layout)?;
        // Without an item that counts there is no such mean, and no loss that matters.
        if layout.tokens_per_item.is_none() {
            return Ok(Verdict::PutAside);
        }
        same_column("losses", &without.losses, &with.losses, ROUNDING)?;
        Ok(Verdict::Holds)
    })
    .needs(Need::Half, "batches in which an item counts")
}

/// Another number in a range.
fn other(range: Range, value: f64) -> f64 {
    let (low, high) = range.ends();
    if value - low < high - value { high } else { low }
}

fn inputs() -> Inputs {
    Inputs { items: 2..=4, empty_responses: false, hooks: Hooks::None, ..Inputs::default() }
}

/// Another number in a column changes the losses, or their mean, or its gradient, of some batch.
fn is_read<'a>(name: &'static str, range: Range) -> Law<'a> {
    let law = Law::new(format!("`{name}` is read"), inputs(), move |subject: &Subject, case: &Case| {
        let batch = match case.batch.items[0].columns.contains_key(name) {
            true => case.batch.clone(),
            false => case.batch.with_column(name, range.ends().1),
        };
        let changed = batch.map(|index, item| {
            if index == 0 {
                item.columns.entry(name).and_modify(|value| *value = other(range, *value));
            }
        });
        differs(subject, &batch, &changed)
    });
    law.needs(Need::One, "a batch in which another number in the column changes the loss")
}

/// The same for a number of a response.
fn response_column_is_read<'a>(name: &'static str, range: Range) -> Law<'a> {
    let law = Law::new(format!("`{name}` is read"), inputs(), move |subject: &Subject, case: &Case| {
        let changed = case.batch.map(|_, item| {
            let column = item.responses[0].columns.entry(name);
            column.and_modify(|value| *value = other(range, *value));
        });
        differs(subject, &case.batch, &changed)
    });
    law.needs(Need::One, "a batch in which another number in the column changes the loss")
}

/// The same for the numbers of a response's tokens.
fn token_column_is_read<'a>(name: &'static str) -> Law<'a> {
    let law = Law::new(format!("`{name}` is read"), inputs(), move |subject: &Subject, case: &Case| {
        let changed = case.batch.map(|_, item| {
            let column = item.responses[0].tokens.entry(name);
            column.and_modify(|values| values.iter_mut().for_each(|value| *value -= 0.375));
        });
        differs(subject, &case.batch, &changed)
    });
    law.needs(Need::One, "a batch in which another number in the column changes the loss")
}

fn differs(subject: &Subject, batch: &Batch, changed: &Batch) -> Outcome {
    let before = subject.values(batch, &Layout::default())?;
    let after = subject.values(changed, &Layout::default())?;
    let same = |(a, b): (&f64, &f64)| close(*a, *b, ROUNDING);
    let mut pairs = before.losses.iter().chain([&before.loss]).zip(after.losses.iter().chain([&after.loss]));
    if !pairs.all(same) {
        return Ok(Verdict::Holds);
    }
    // There are losses of value 0 whose gradient alone is meant.
    let before = subject.gradient(batch, &Layout::default(), Target::Loss)?.flat();
    let after = subject.gradient(changed, &Layout::default(), Target::Loss)?.flat();
    Ok(if before.iter().zip(&after).all(same) { Verdict::PutAside } else { Verdict::Holds })
}

/// A hook that the loss does not have is refused.
pub(crate) fn refused<'a>(name: &'static str) -> Law<'a> {
    let range = if name == "margins" { Range::Real(-1.0, 1.0) } else { Range::Unit };
    Law::new(format!("no `{name}`"), Inputs::default(), move |subject, case| {
        let value = case.random().uniform(range.ends().0, range.ends().1);
        match subject.values(&case.batch.with_column(name, value), &Layout::default()) {
            Ok(values) => {
                let got = format!("losses {:?}", values.losses);
                Err(Disagreement::new(format!("an error that refuses the column `{name}`"), got))
            }
            Err(found) if found.got.starts_with("a panic") => Err(found),
            Err(_) => Ok(Verdict::Holds),
        }
    })
}
