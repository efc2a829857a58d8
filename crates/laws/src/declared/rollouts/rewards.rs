//! What advantages make of rewards.

use super::{advantages, each, eighths, plain, rewarded, scored};
use crate::{
    compare::{ROUNDING, close, same, same_advantages},
    report::Disagreement,
    runner::{Law, Need, Verdict},
    strategy::Inputs,
};

/// What was done to the rewards, in front of what is expected.
fn note(found: Disagreement, what: &str) -> Disagreement {
    Disagreement { expected: format!("{} ({what})", found.expected), ..found }
}

pub(super) fn shift_invariant<'a>(by_prompt: bool) -> Law<'a> {
    let name = if by_prompt { "reward shift" } else { "reward shift of all prompts" };
    plain(name, move |subject, case| {
        let mut random = case.random();
        let one = eighths(&mut random);
        let shifts: Vec<f64> =
            case.batch.items.iter().map(|_| if by_prompt { eighths(&mut random) } else { one }).collect();
        let before = advantages(subject, &case.batch)?;
        let after = advantages(subject, &rewarded(&case.batch, |index, reward| reward + shifts[index]))?;
        same_advantages(&before, &after).map_err(|found| note(found, &format!("{shifts:?} added to rewards")))?;
        Ok(Verdict::Holds)
    })
}

pub(super) fn shift_sensitive<'a>() -> Law<'a> {
    let law = plain("reward shift sensitivity", |subject, case| {
        let mut random = case.random();
        let shifts: Vec<f64> = case.batch.items.iter().map(|_| eighths(&mut random)).collect();
        let before = advantages(subject, &case.batch)?.concat().concat();
        let shifted = rewarded(&case.batch, |index, reward| reward + shifts[index]);
        let after = advantages(subject, &shifted)?.concat().concat();
        let changed = before.iter().zip(&after).any(|(before, after)| !close(*before, *after, 1e3 * ROUNDING));
        Ok(if changed { Verdict::Holds } else { Verdict::PutAside })
    });
    law.needs(Need::One, "a batch whose advantages change with the rewards of a prompt")
}

/// Powers of two: nothing is rounded.
const SCALES: [f64; 3] = [0.25, 2.0, 8.0];

pub(super) fn scale_invariant<'a>(tolerance: f64) -> Law<'a> {
    plain("reward scale", move |subject, case| {
        let scale = SCALES[case.random().below(3)];
        let before = advantages(subject, &case.batch)?.concat().concat();
        let after = advantages(subject, &rewarded(&case.batch, |_, reward| scale * reward))?.concat().concat();
        let tolerance = tolerance.max(ROUNDING);
        if before.iter().zip(&after).all(|(before, after)| close(*before, *after, tolerance)) {
            return Ok(Verdict::Holds);
        }
        let expected = format!("advantages {before:?} to {tolerance:e}, with rewards times {scale}");
        Err(Disagreement::new(expected, format!("{after:?}")))
    })
}

pub(super) fn scale_equivariant<'a>() -> Law<'a> {
    plain("reward scale", |subject, case| {
        let scale = SCALES[case.random().below(3)];
        let mut before = advantages(subject, &case.batch)?;
        before.iter_mut().flatten().flatten().for_each(|advantage| *advantage *= scale);
        let after = advantages(subject, &rewarded(&case.batch, |_, reward| scale * reward))?;
        same_advantages(&before, &after).map_err(|found| note(found, &format!("rewards times {scale}")))?;
        Ok(Verdict::Holds)
    })
}

pub(super) fn zero_sum_groups<'a>() -> Law<'a> {
    Law::new("zero sum of a group", scored(), |subject, case| {
        for (index, item) in advantages(subject, &case.batch)?.iter().enumerate() {
            let rows: Vec<f64> = item.iter().map(|tokens| tokens[0]).collect();
            let uneven =
                item.iter().find(|tokens| tokens.iter().any(|advantage| !close(*advantage, tokens[0], ROUNDING)));
            if let Some(tokens) = uneven {
                return Err(Disagreement::new("one advantage for each response", format!("{tokens:?}")));
            }
            let what = format!("advantages {rows:?} of item {index}, whose sum is");
            same(&what, 0.0, rows.iter().sum(), ROUNDING)?;
        }
        Ok(Verdict::Holds)
    })
}

pub(super) fn whitened<'a>() -> Law<'a> {
    let law = Law::new("whitened", scored(), |subject, case| {
        let tokens = advantages(subject, &case.batch)?.concat().concat();
        let count = tokens.len() as f64;
        let mean = tokens.iter().sum::<f64>() / count;
        same(&format!("of the advantages {tokens:?} the mean"), 0.0, mean, 1e-6)?;
        if tokens.iter().all(|advantage| *advantage == 0.0) {
            return Ok(Verdict::PutAside);
        }
        let squares: f64 = tokens.iter().map(|advantage| (advantage - mean) * (advantage - mean)).sum();
        // What is added to a deviation against division by 0 costs this much.
        same(&format!("of the advantages {tokens:?} the variance"), 1.0, squares / (count - 1.0), 1e-4)?;
        Ok(Verdict::Holds)
    });
    law.needs(Need::Half, "batches with different rewards")
}

pub(super) fn groups_apart<'a>() -> Law<'a> {
    Law::new("groups apart", Inputs { items: 2..=4, ..scored() }, |subject, case| {
        let whole = advantages(subject, &case.batch)?;
        for (index, expected) in whole.iter().enumerate() {
            let alone = advantages(subject, &case.batch.select(&[index]))?;
            let found = same_advantages(std::slice::from_ref(expected), &alone);
            found.map_err(|found| note(found, &format!("item {index} alone")))?;
        }
        Ok(Verdict::Holds)
    })
}

pub(super) fn increasing<'a>() -> Law<'a> {
    let law = Law::new("increasing in reward", scored(), |subject, case| {
        let mut random = case.random();
        let index = random.below(case.batch.items.len());
        let number = random.below(case.batch.items[index].responses.len());
        let raised = case.batch.map(|at, item| {
            if at == index {
                item.responses[number].columns.entry("rewards").and_modify(|reward| *reward += 0.5);
            }
        });
        let before = advantages(subject, &case.batch)?[index][number].clone();
        let after = advantages(subject, &raised)?[index][number].clone();
        let slack = |value: f64| ROUNDING * value.abs().max(1.0);
        if before.iter().zip(&after).any(|(before, after)| *after < before - slack(*before)) {
            let what = format!("with a reward higher by 1/2 for response {number} of item {index}");
            return Err(Disagreement::new(format!("advantages of at least {before:?} {what}"), format!("{after:?}")));
        }
        let rises = before.iter().zip(&after).any(|(before, after)| *after > before + slack(*before));
        Ok(if rises { Verdict::Holds } else { Verdict::PutAside })
    });
    law.needs(Need::One, "a batch in which an advantage rises with its reward")
}

/// Two rewards are as good as their sum, and one that is missing is not there.
pub(super) fn sums<'a>() -> Law<'a> {
    plain("sum of rewards", |subject, case| {
        let mut random = case.random();
        let two = each(&case.batch, |_, response| {
            // Both, the first one missing, or the second.
            let missing = [None, None, Some("rewards"), Some("more_rewards")][random.below(4)];
            if let Some(name) = missing {
                response.columns.insert(name, f64::NAN);
            }
        });
        let one = each(&two, |_, response| {
            let present = ["rewards", "more_rewards"].map(|name| response.columns[name]);
            let sum = present.iter().filter(|reward| !reward.is_nan()).sum();
            response.columns.insert("rewards", sum);
            response.columns.insert("more_rewards", f64::NAN);
        });
        let (expected, found) = (advantages(subject, &one)?, advantages(subject, &two)?);
        same_advantages(&expected, &found).map_err(|found| note(found, "as of one reward, the sum"))?;
        Ok(Verdict::Holds)
    })
}
