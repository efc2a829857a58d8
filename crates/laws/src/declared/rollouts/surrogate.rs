//! What a loss makes of ratios and advantages, and how tokens become one number.

use super::{each, plain, scored};
use crate::{
    batch::Response,
    compare::{ROUNDING, close, same, same_column, same_gradient},
    gradient::{Agreement, STEP, extrapolate, wrong},
    loss::Target,
    property::{Mean, Ratio},
    report::Disagreement,
    runner::{Law, Need, Verdict},
    strategy::{Hooks, Inputs},
    tensors::Layout,
};

/// A column of responses or tokens that is not read.
pub(super) fn ignores<'a>(name: &'static str) -> Law<'a> {
    plain(&format!("ignores `{name}`"), move |subject, case| {
        let other = [-1e4, -1.0, 0.0, 3.0][case.random().below(4)];
        let changed = each(&case.batch, |_, response| {
            response.columns.entry(name).and_modify(|value| *value = other);
            response.tokens.entry(name).and_modify(|values| values.fill(other));
        });
        let before = subject.gradient(&case.batch, &Layout::default(), Target::Loss)?;
        let after = subject.gradient(&changed, &Layout::default(), Target::Loss)?;
        let note = |found: Disagreement| Disagreement {
            expected: format!("{}, whatever `{name}` holds", found.expected),
            got: format!("{} with {other} everywhere", found.got),
        };
        same_gradient(&before, &after).map_err(note)?;
        Ok(Verdict::Holds)
    })
}

/// What each row's loss, the sum over its tokens, counts in a mean.
fn shares(mean: Mean, lengths: &[usize]) -> Vec<f64> {
    let rows = lengths.iter().filter(|len| **len > 0).count() as f64;
    let tokens: usize = lengths.iter().sum();
    let share = |len: usize| match mean {
        _ if len == 0 => 0.0,
        Mean::Tokens => 1.0 / tokens as f64,
        Mean::Responses => 1.0 / (rows * len as f64),
        Mean::ResponseSums => 1.0 / rows,
        Mean::Length(length) => 1.0 / (lengths.len() * length) as f64,
        Mean::Sum => 1.0,
    };
    lengths.iter().map(|len| share(*len)).collect()
}

/// The loss is the mean that it is said to be, and so is its gradient.
pub(super) fn averages<'a>(mean: Mean) -> Law<'a> {
    plain("average", move |subject, case| {
        let responses = case.batch.items.iter().flat_map(|item| &item.responses);
        let lengths: Vec<usize> = responses.map(Response::len).collect();
        let shares = shares(mean, &lengths);
        let of_loss = subject.gradient(&case.batch, &Layout::default(), Target::Loss)?;
        let of_losses = subject.gradient(&case.batch, &Layout::default(), Target::Items(&shares))?;
        let loss = of_loss.values.losses.iter().zip(&shares).map(|(loss, share)| loss * share).sum();
        let what = format!("of the rows' sums {:?} with {lengths:?} tokens", of_loss.values.losses);
        same(&format!("{what} the loss"), loss, of_loss.values.loss, ROUNDING)?;
        same_column(&format!("{what} the gradient"), &of_losses.flat(), &of_loss.flat(), ROUNDING)?;
        Ok(Verdict::Holds)
    })
}

pub(super) fn on_policy<'a>(factor: f64, value: bool) -> Law<'a> {
    plain("on-policy", move |subject, case| {
        let fresh = case.batch.on_policy();
        let ones = vec![1.0; fresh.items.iter().map(|item| item.responses.len()).sum()];
        let found = subject.gradient(&fresh, &Layout::default(), Target::Items(&ones))?;
        let advantages = &found.values.advantages;
        let expected: Vec<f64> = advantages.iter().flatten().flatten().map(|advantage| -factor * advantage).collect();
        same_column("on-policy, of the losses' sum the gradient", &expected, &found.flat(), ROUNDING)?;
        if value {
            let sums: Vec<f64> = advantages.iter().flatten().map(|row| -row.iter().sum::<f64>()).collect();
            same_column("on-policy, losses", &sums, &found.values.losses, ROUNDING)?;
        }
        Ok(Verdict::Holds)
    })
}

/// The log-ratio of each token, as it is exponentiated.
fn log_ratios(response: &Response, ratio: Ratio) -> Vec<f64> {
    let old = &response.tokens["old"];
    let tokens: Vec<f64> = response.policy.iter().zip(old).map(|(policy, old)| policy - old).collect();
    let sum: f64 = tokens.iter().sum();
    match ratio {
        Ratio::Token => tokens,
        Ratio::Mean => vec![sum / tokens.len() as f64; tokens.len()],
        Ratio::Sum => vec![sum; tokens.len()],
    }
}

/// No nearer to a bound, nor to 0, can a token say on which side it is.
const NEAR: f64 = 1e-9;

/// Whether the gradient of a token is taken away: none where that cannot be told.
fn clipped(log_ratio: f64, advantage: f64, above: bool, bound: f64) -> Option<bool> {
    let past = if above { log_ratio.exp() - bound } else { bound - log_ratio.exp() };
    let towards = if above { advantage } else { -advantage };
    (past.abs() > NEAR && towards > NEAR).then_some(past > 0.0)
}

/// One law for each bound.
pub(super) fn clips<'a>(low: f64, high: f64, ratio: Ratio) -> [Law<'a>; 2] {
    [("clipped above", true, 1.0 + high), ("clipped below", false, 1.0 - low)].map(|(name, above, bound)| {
        let inputs = Inputs { items: 3..=4, ..scored() };
        let law = Law::new(name, inputs, move |subject, case| {
            let batch = case.batch.at_reference();
            let ones = vec![1.0; batch.items.iter().map(|item| item.responses.len()).sum()];
            let found = subject.gradient(&batch, &Layout::default(), Target::Items(&ones))?;
            let (mut inside, mut outside) = (false, false);
            for (index, item) in batch.items.iter().enumerate() {
                for (number, response) in item.responses.iter().enumerate() {
                    for (token, log_ratio) in log_ratios(response, ratio).into_iter().enumerate() {
                        let advantage = found.values.advantages[index][number][token];
                        let gradient = found.scored[index][number][token];
                        let Some(clipped) = clipped(log_ratio, advantage, above, bound) else { continue };
                        if clipped != (gradient == 0.0) {
                            let what = format!(
                                "gradient {} 0 of token {token} of response {number} of item {index}, with advantage \
                                 {advantage} and ratio {}",
                                if clipped { "of" } else { "other than" },
                                log_ratio.exp()
                            );
                            return Err(Disagreement::new(what, format!("{gradient}")));
                        }
                        inside |= !clipped;
                        outside |= clipped;
                    }
                }
            }
            Ok(if inside && outside { Verdict::Holds } else { Verdict::PutAside })
        });
        law.needs(Need::One, "a batch with tokens on both sides of the bound")
    })
}

/// The same response among longer ones has the same gradient.
pub(super) fn other_lengths<'a>() -> Law<'a> {
    Law::new("other lengths", scored(), |subject, case| {
        let mut random = case.random();
        let index = random.below(case.batch.items.len());
        let number = random.below(case.batch.items[index].responses.len());
        let longer = case.batch.map(|at, item| {
            if at == index {
                for row in item.responses[number].rows() {
                    let last = row.last().copied();
                    row.extend(std::iter::repeat_n(last, 5).flatten());
                }
            }
        });
        let mut before = subject.gradient(&case.batch, &Layout::default(), Target::Loss)?;
        let mut after = subject.gradient(&longer, &Layout::default(), Target::Loss)?;
        let [before, after] = [&mut before, &mut after].map(|found| {
            found.scored[index].remove(number);
            found.flat()
        });
        let what = format!("with 5 tokens more in response {number} of item {index}, the others' gradient");
        same_column(&what, &before, &after, ROUNDING)?;
        Ok(Verdict::Holds)
    })
}

/// The gradient in a column of tokens is the loss's derivative, along a direction by chance.
pub(super) fn learns<'a>(name: &'static str) -> Law<'a> {
    let law = plain(&format!("`{name}` learns"), move |subject, case| {
        let mut random = case.random();
        let point = each(&case.batch, |_, response| {
            let column = response.tokens.entry(name);
            // Off the grid, on which kinks like to sit.
            column.and_modify(|values| values.iter_mut().for_each(|value| *value += random.uniform(0.001, 0.01)));
        });
        let gradient = subject.gradient_into(name, &point)?.concat().concat();
        let direction: Vec<f64> = gradient.iter().map(|_| random.uniform(-1.0, 1.0)).collect();
        let at = |step: f64| {
            let mut along = direction.iter();
            let moved = each(&point, |_, response| {
                let column = response.tokens.entry(name);
                let along = along.by_ref();
                column.and_modify(|values| {
                    values.iter_mut().zip(along).for_each(|(value, along)| *value += step * along)
                });
            });
            Ok::<_, Disagreement>(subject.values(&moved, &Layout::default())?.loss)
        };
        let coarse = (at(STEP)? - at(-STEP)?) / (2.0 * STEP);
        let fine = (at(STEP / 2.0)? - at(-STEP / 2.0)?) / STEP;
        let estimate = extrapolate(coarse, fine);
        let terms = || gradient.iter().zip(&direction).map(|(gradient, along)| gradient * along);
        let (claimed, scale) = (terms().sum::<f64>(), terms().map(f64::abs).sum());
        match estimate.judge(claimed, scale, at(0.0)?.abs()) {
            Agreement::Differs => Err(wrong(&format!("of the loss along a direction of `{name}`"), estimate, claimed)),
            Agreement::Agrees if scale > 0.0 => Ok(Verdict::Holds),
            _ => Ok(Verdict::PutAside),
        }
    });
    law.needs(Need::Half, "batches in which the column has a gradient, far enough from any kink")
}

/// Minus a multiple of the mean entropy.
pub(super) fn entropy_bonus<'a>(coef: f64) -> Law<'a> {
    let inputs = Inputs { hooks: Hooks::None, ..Inputs::default() };
    let law = Law::new("entropy bonus", inputs, move |subject, case| {
        let gradient = subject.gradient_into("entropies", &case.batch)?.concat().concat();
        let expected = vec![-coef / gradient.len() as f64; gradient.len()];
        same_column("gradient of the loss in the entropies", &expected, &gradient, ROUNDING)?;
        let before = subject.values(&case.batch, &Layout::default())?.loss;
        let raised = each(&case.batch, |_, response| {
            let entropies = response.tokens.entry("entropies");
            entropies.and_modify(|entropies| entropies.iter_mut().for_each(|entropy| *entropy += 0.5));
        });
        let after = subject.values(&raised, &Layout::default())?.loss;
        if gradient.is_empty() {
            return Ok(Verdict::PutAside);
        }
        match close(before - 0.5 * coef, after, ROUNDING) {
            true => Ok(Verdict::Holds),
            false => {
                let expected = format!("with entropies higher by 1/2 the loss {}", before - 0.5 * coef);
                Err(Disagreement::new(expected, format!("{after}")))
            }
        }
    });
    law.needs(Need::Half, "batches with a token")
}
