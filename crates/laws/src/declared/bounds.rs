//! Values that a loss must take, must not pass, and what it must not depend on.

use super::{ROUNDING, plain};
use crate::{
    compare::{close, same_gradient},
    loss::Target,
    report::Disagreement,
    runner::{Law, Verdict},
    strategy::Inputs,
    tensors::Layout,
};

/// Where the policy equals the reference every item has this loss.
pub(super) fn at_reference<'a>(value: f64) -> Law<'a> {
    plain("at the reference", move |subject, case| {
        let losses = subject.values(&case.batch.at_reference(), &Layout::default())?.losses;
        match losses.iter().position(|loss| !close(value, *loss, 1e-12)) {
            None => Ok(Verdict::Holds),
            Some(index) => {
                let expected = format!("with the reference equal to the policy, loss {value} of item {index}");
                Err(Disagreement::new(expected, format!("{}", losses[index])))
            }
        }
    })
}

/// Another reference, a NaN included, changes nothing.
pub(super) fn reference_free<'a>() -> Law<'a> {
    Law::new("reference-free", Inputs::default(), |subject, case| {
        let mut random = case.random();
        let other = [f64::NAN, -1.0, -1e4][random.below(3)];
        let changed = case.batch.map(|_, item| {
            item.responses.iter_mut().for_each(|response| response.reference.fill(other));
        });
        let before = subject.gradient(&case.batch, &Layout::default(), Target::Loss)?;
        let after = subject.gradient(&changed, &Layout::default(), Target::Loss)?;
        let note = |found: Disagreement| Disagreement {
            expected: format!("{}, whatever the reference is", found.expected),
            got: format!("{} with {other} for every token", found.got),
        };
        same_gradient(&before, &after).map_err(note)?;
        Ok(Verdict::Holds)
    })
}

/// The loss of an item has gradient 0 in all other items.
pub(super) fn own_gradient<'a>() -> Law<'a> {
    let inputs = Inputs { items: 2..=4, ..Inputs::default() };
    Law::new("own gradient", inputs, |subject, case| {
        let len = case.batch.items.len();
        let own = case.random().below(len);
        let only: Vec<f64> = (0..len).map(|index| f64::from(u8::from(index == own))).collect();
        let found = subject.gradient(&case.batch, &Layout::default(), Target::Items(&only))?;
        let touched =
            found.scored.iter().enumerate().find(|(index, item)| *index != own && item.concat() != zeros(item));
        match touched {
            None => Ok(Verdict::Holds),
            Some((index, item)) => {
                let expected = format!("gradient 0 of the loss of item {own} in item {index}");
                Err(Disagreement::new(expected, format!("{:?}", item.concat())))
            }
        }
    })
}

fn zeros(item: &[Vec<f64>]) -> Vec<f64> {
    vec![0.0; item.iter().map(Vec::len).sum()]
}

pub(super) fn lower_bound<'a>(bound: f64) -> Law<'a> {
    bounded("lower bound", format!("at least {bound}"), move |loss| loss >= bound - slack(bound))
}

pub(super) fn upper_bound<'a>(bound: f64) -> Law<'a> {
    bounded("upper bound", format!("at most {bound}"), move |loss| loss <= bound + slack(bound))
}

fn slack(bound: f64) -> f64 {
    ROUNDING * bound.abs().max(1.0)
}

/// On realistic batches, and with one token of each response at −1e4 under the policy or the reference.
fn bounded<'a>(name: &str, what: String, inside: impl Fn(f64) -> bool + 'a) -> Law<'a> {
    plain(name, move |subject, case| {
        let mut random = case.random();
        let extreme = case.batch.map(|_, item| {
            for response in &mut item.responses {
                let side = if random.below(2) == 0 { &mut response.policy } else { &mut response.reference };
                side.iter_mut().take(1).for_each(|token| *token = -1e4);
            }
        });
        for (batch, how) in [(&case.batch, ""), (&extreme, ", with log-ratios of ±1e4")] {
            let losses = subject.values(batch, &Layout::default())?.losses;
            if let Some(index) = losses.iter().position(|loss| !inside(*loss)) {
                let expected = format!("a loss of item {index} of {what}{how}");
                return Err(Disagreement::new(expected, format!("{}", losses[index])));
            }
        }
        Ok(Verdict::Holds)
    })
}
