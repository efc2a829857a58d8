//! Rollouts: the order of their rows, the names of their groups, the parts of a step, and what is missing.

use super::masking::same_in;
use crate::{
    batch::{Batch, Response},
    compare::{ROUNDING, same, same_advantages, same_column, same_gradient},
    loss::Target,
    property::Property,
    report::Disagreement,
    runner::{Law, Need, Random, Verdict},
    strategy::Inputs,
    subject::Subject,
    tensors::Layout,
};

/// What holds for every loss on rollouts.
pub(super) fn laws<'a>(subject: &Subject) -> Vec<Law<'a>> {
    let mut laws = vec![reduction(), row_permutation(), group_ids(), micro_batches(subject), missing_rewards()];
    if subject.token_columns.iter().any(|(name, _)| *name == "old") {
        laws.push(no_old_policy());
    }
    laws
}

/// Rollouts of which nobody says how likely they were are fresh: as with the policy's own log-probabilities, as constants.
fn no_old_policy<'a>() -> Law<'a> {
    Law::new("no old policy", Inputs::default(), |subject, case| {
        let change = |change: fn(&mut Response)| case.batch.map(|_, item| item.responses.iter_mut().for_each(change));
        let fresh = change(|response| {
            let policy = response.policy.clone();
            response.tokens.insert("old", policy);
        });
        let without = change(|response| {
            response.tokens.remove("old");
        });
        let expected = subject.gradient(&fresh, &Layout::default(), Target::Loss)?;
        let found = subject.gradient(&without, &Layout::default(), Target::Loss)?;
        let note = |found: Disagreement| Disagreement {
            expected: format!("without `old`, as where it is the policy, {}", found.expected),
            ..found
        };
        same_gradient(&expected, &found).map_err(note)?;
        Ok(Verdict::Holds)
    })
}

/// The weights say which rows have a token; the loss is its numerator over its denominator, 0 over 0 being 0, and so is its
/// gradient.
fn reduction<'a>() -> Law<'a> {
    Law::new("reduction", Inputs::default(), |subject, case| {
        let of_loss = subject.gradient(&case.batch, &Layout::default(), Target::Loss)?;
        let values = &of_loss.values;
        let responses = case.batch.items.iter().flat_map(|item| &item.responses);
        let weights: Vec<f64> = responses.map(|response| f64::from(u8::from(!response.is_empty()))).collect();
        same_column("weights", &weights, &values.weights, 0.0)?;
        let denominator = values.denominator;
        let loss = if denominator == 0.0 { 0.0 } else { values.numerator / denominator };
        same("loss, the numerator over the denominator,", loss, values.loss, ROUNDING)?;
        let of_numerator = subject.gradient(&case.batch, &Layout::default(), Target::Numerator)?;
        let scaled: Vec<f64> = of_loss.flat().iter().map(|gradient| gradient * denominator).collect();
        same_column("gradient of the loss times the denominator", &of_numerator.flat(), &scaled, ROUNDING)?;
        Ok(Verdict::Holds)
    })
}

/// Rows in any order, members of a group apart from each other, give the same.
fn row_permutation<'a>() -> Law<'a> {
    Law::new("row permutation", Inputs::default(), |subject, case| {
        same_in(subject, case, &Layout { shuffle: Some(case.random().next()), ..Layout::default() })?;
        Ok(Verdict::Holds)
    })
}

/// The ids of groups mean nothing but "the same" and "another".
fn group_ids<'a>() -> Law<'a> {
    Law::new("group ids", Inputs::default(), |subject, case| {
        same_in(subject, case, &Layout { relabel: Some(case.random().next()), ..Layout::default() })?;
        Ok(Verdict::Holds)
    })
}

/// A step in parts, on one device after another or on several, is the step: the parts' losses, each over what the whole step
/// has, add up, and so do their gradients. One part is no exception.
fn micro_batches<'a>(subject: &Subject) -> Law<'a> {
    let whole_groups = subject.declares(Property::WholeGroups);
    Law::new("micro-batches", Inputs { items: 2..=4, ..Inputs::default() }, move |subject, case| {
        let mut random = case.random();
        let whole = subject.gradient(&case.batch, &Layout::default(), Target::Loss)?;
        for count in 1..=3 {
            let parts = parts(&case.batch, count, whole_groups, &mut random);
            let what = format!("with the rows in the parts {parts:?}, ");
            let split = subject.gradient(&case.batch, &Layout { parts, ..Layout::default() }, Target::Loss)?;
            same(&format!("{what}loss"), whole.values.loss, split.values.loss, ROUNDING)?;
            same_column(&format!("{what}losses"), &whole.values.losses, &split.values.losses, ROUNDING)?;
            same_column(&format!("{what}gradient"), &whole.flat(), &split.flat(), ROUNDING)?;
        }
        Ok(Verdict::Holds)
    })
}

/// At most `count` parts by chance, none of them empty.
fn parts(batch: &Batch, count: usize, whole_groups: bool, random: &mut Random) -> Vec<Vec<usize>> {
    let mut parts = vec![Vec::new(); count];
    let mut row = 0;
    for item in &batch.items {
        let of_group = random.below(count);
        for _ in &item.responses {
            let part = if whole_groups { of_group } else { random.below(count) };
            parts[part].push(row);
            row += 1;
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// A response without a reward has advantage 0, and the others have those that they have without it.
fn missing_rewards<'a>() -> Law<'a> {
    let law = Law::new("missing rewards", Inputs { items: 2..=4, ..Inputs::default() }, |subject, case| {
        let mut random = case.random();
        let index = random.below(case.batch.items.len());
        let number = random.below(case.batch.items[index].responses.len());
        let mut missing = case.batch.clone();
        for name in ["rewards", "more_rewards"] {
            missing.items[index].responses[number].columns.entry(name).and_modify(|reward| *reward = f64::NAN);
        }
        let mut without = case.batch.clone();
        without.items[index].responses.remove(number);
        without.items.retain(|item| !item.responses.is_empty());
        if without.items.is_empty() {
            return Ok(Verdict::PutAside);
        }
        let found = subject.gradient(&missing, &Layout::default(), Target::Loss)?;
        let what = format!("without a reward for response {number} of item {index}");
        if found.flat().iter().any(|gradient| !gradient.is_finite()) {
            return Err(Disagreement::new(format!("finite gradients {what}"), format!("{:?}", found.flat())));
        }
        let mut advantages = found.values.advantages;
        let own = advantages[index].remove(number);
        same_column(&format!("{what}, its advantages"), &vec![0.0; own.len()], &own, 0.0)?;
        advantages.retain(|item| !item.is_empty());
        let expected = subject.values(&without, &Layout::default())?.advantages;
        let note = |found: Disagreement| Disagreement {
            expected: format!("{what}, as if it were not there, {}", found.expected),
            ..found
        };
        same_advantages(&expected, &advantages).map_err(note)?;
        Ok(Verdict::Holds)
    });
    law.needs(Need::Half, "batches with another response")
}
