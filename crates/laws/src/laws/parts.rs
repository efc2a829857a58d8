//! A batch in another order, in parts, and reduced to one number.

use burn::tensor::DType;

use crate::{
    batch::{Batch, Item, Response},
    compare::{ROUNDING, same, same_column, same_reduced},
    loss::{Gradient, Target},
    property::Property,
    report::Disagreement,
    runner::{Law, Need, Verdict},
    strategy::{Hooks, Inputs},
    subject::{Family, Subject},
    tensors::Layout,
};

/// The weights are the given ones, 0 for an item with an empty response; the loss is the mean that they make, and so is
/// its gradient.
pub(super) fn reduction<'a>() -> Law<'a> {
    Law::new("reduction", Inputs::default(), |subject, case| {
        let values = subject.values(&case.batch, &Layout::default())?;
        let weight = |item: &Item| if item.has_empty_response() { 0.0 } else { item.weight() };
        let weights: Vec<f64> = case.batch.items.iter().map(weight).collect();
        let counted = |(index, item): (usize, &Item)| {
            // Whether a list with an empty candidate counts is a matter of the method, and so is one of ties where they
            // say nothing.
            let own = subject.family == Family::Lists && (item.has_empty_response() || silent_ties(subject, item));
            if own { values.weights[index] } else { weights[index] }
        };
        let weights: Vec<f64> = case.batch.items.iter().enumerate().map(counted).collect();
        same_column("weights", &weights, &values.weights, ROUNDING)?;
        let terms = values.losses.iter().zip(&weights).filter(|(_, weight)| **weight != 0.0);
        let numerator: f64 = terms.map(|(loss, weight)| loss * weight).sum();
        let denominator: f64 = weights.iter().sum();
        same("denominator, the sum of the weights,", denominator, values.denominator, ROUNDING)?;
        same("numerator, the weighted sum of the losses,", numerator, values.numerator, ROUNDING)?;
        let loss = if denominator > 0.0 { numerator / denominator } else { 0.0 };
        same("loss, the weighted mean of the losses,", loss, values.loss, ROUNDING)?;
        let gradient =
            |target| Ok::<_, Disagreement>(subject.gradient(&case.batch, &Layout::default(), target)?.flat());
        let (of_losses, of_numerator) = (gradient(Target::Items(&weights))?, gradient(Target::Numerator)?);
        same_column("gradient of the numerator, that of the losses,", &of_losses, &of_numerator, ROUNDING)?;
        let of_loss: Vec<f64> = gradient(Target::Loss)?.iter().map(|gradient| gradient * denominator).collect();
        same_column("gradient of the loss times the denominator", &of_numerator, &of_loss, ROUNDING)?;
        Ok(Verdict::Holds)
    })
}

/// Whether an item's responses all have the same score, to a method to which that says nothing.
fn silent_ties(subject: &Subject, item: &Item) -> bool {
    let same_score = |pair: &[Response]| pair[0].columns["scores"] == pair[1].columns["scores"];
    subject.declares(Property::TiesSayNothing) && item.responses.windows(2).all(same_score)
}

/// Where no item counts, because all responses are empty or all weights 0, the loss is 0.
pub(super) fn nothing_counts<'a>() -> Law<'a> {
    Law::new("nothing counts", Inputs { hooks: Hooks::None, ..Inputs::default() }, |subject, case| {
        let emptied = case.batch.map(|_, item| {
            item.responses.iter_mut().for_each(Response::clear);
        });
        let silent = subject.honors("weights").then(|| (case.batch.with_column("weights", 0.0), "all weights are 0"));
        // Whether a list of empty candidates counts is a matter of the method.
        let emptied = (subject.family != Family::Lists).then_some((emptied, "all responses are empty"));
        for (batch, why) in silent.into_iter().chain(emptied) {
            for dtype in [DType::F64, DType::F32] {
                let layout = Layout { dtype, ..Layout::default() };
                let found = subject.gradient(&batch, &layout, Target::Loss)?;
                let what = |name: &str| format!("where {why}, in {dtype:?}, {name}");
                same(&what("loss"), 0.0, found.values.loss, 0.0)?;
                same(&what("numerator"), 0.0, found.values.numerator, 0.0)?;
                let gradient = found.flat();
                same_column(&what("gradient"), &vec![0.0; gradient.len()], &gradient, 0.0)?;
            }
        }
        Ok(Verdict::Holds)
    })
    .at_most(4)
}

/// Items in another order have the same losses and gradients in that order, and the same mean.
pub(super) fn permutation<'a>() -> Law<'a> {
    let inputs = Inputs { items: 2..=5, ..Inputs::default() };
    Law::new("batch permutation", inputs, |subject, case| {
        let order = case.random().permutation(case.batch.items.len());
        let whole = subject.gradient(&case.batch, &Layout::default(), Target::Loss)?;
        let permuted = subject.gradient(&case.batch.select(&order), &Layout::default(), Target::Loss)?;
        if subject.has_independent_items() {
            let pick = |column: &[f64]| order.iter().map(|&index| column[index]).collect::<Vec<_>>();
            let (expected, got) = (&whole.values, &permuted.values);
            same_column("permuted losses", &pick(&expected.losses), &got.losses, ROUNDING)?;
            same_column("permuted weights", &pick(&expected.weights), &got.weights, ROUNDING)?;
        }
        same_reduced(&whole.values, &permuted.values)?;
        let scored = order.iter().map(|&index| whole.scored[index].clone()).collect();
        let expected = Gradient { scored, ..whole };
        same_column("permuted gradient", &expected.flat(), &permuted.flat(), ROUNDING)?;
        Ok(Verdict::Holds)
    })
}

/// A batch without items has loss 0 or is refused.
pub(super) fn no_items<'a>() -> Law<'a> {
    Law::new("no items", Inputs { items: 0..=0, ..Inputs::default() }, |subject, _| {
        let (tensors, places) = subject.tensors(&Batch::default(), &Layout::default(), &subject.device());
        match crate::loss::guarded(subject.loss, &tensors) {
            Err(error) if error.starts_with("a panic") => Err(Disagreement::new("loss 0 or an error", error)),
            Err(_) => Ok(Verdict::Holds),
            Ok(_) => {
                let (_, values) = subject.evaluate(&tensors, &places)?;
                same("loss", 0.0, values.loss, 0.0)?;
                Ok(Verdict::Holds)
            }
        }
    })
    .at_most(1)
}

/// What holds where no item's loss depends on another item.
pub(super) fn independent_items<'a>(subject: &Subject) -> Vec<Law<'a>> {
    match subject.has_independent_items() {
        true => vec![batch_size(), micro_batches()],
        false => Vec::new(),
    }
}

/// A part of a batch as tensors, which knows the mean length of the whole.
fn part_of(whole: &Batch) -> Layout {
    Layout { tokens_per_item: whole.tokens_per_item(), ..Layout::default() }
}

/// An item alone has the loss that it has among others.
fn batch_size<'a>() -> Law<'a> {
    let inputs = Inputs { items: 2..=4, ..Inputs::default() };
    Law::new("batch size", inputs, |subject, case| {
        let whole = subject.values(&case.batch, &Layout::default())?;
        for index in 0..case.batch.items.len() {
            let alone = subject.values(&case.batch.select(&[index]), &part_of(&case.batch))?;
            same(&format!("loss of item {index} alone"), whole.losses[index], alone.losses[0], ROUNDING)?;
            same(&format!("weight of item {index} alone"), whole.weights[index], alone.weights[0], ROUNDING)?;
        }
        Ok(Verdict::Holds)
    })
}

/// Gradients of the parts' numerators, added up and divided by the sum of their denominators, are the gradient of the
/// whole batch's loss.
fn micro_batches<'a>() -> Law<'a> {
    let inputs = Inputs { items: 2..=5, ..Inputs::default() };
    let law = Law::new("micro-batches", inputs, |subject, case| {
        let whole = subject.gradient(&case.batch, &Layout::default(), Target::Loss)?;
        let len = case.batch.items.len();
        if len < 2 {
            return Ok(Verdict::PutAside);
        }
        let cut = 1 + case.random().below(len - 1);
        let (mut numerator, mut denominator, mut gradient) = (0.0, 0.0, Vec::new());
        for range in [0..cut, cut..len] {
            let part = case.batch.select(&range.collect::<Vec<_>>());
            let part = subject.gradient(&part, &part_of(&case.batch), Target::Numerator)?;
            numerator += part.values.numerator;
            denominator += part.values.denominator;
            gradient.extend(part.flat());
        }
        if denominator == 0.0 {
            return Ok(Verdict::PutAside);
        }
        same("loss of the parts together", whole.values.loss, numerator / denominator, ROUNDING)?;
        gradient.iter_mut().for_each(|gradient| *gradient /= denominator);
        same_column("gradient of the parts together", &whole.flat(), &gradient, ROUNDING)?;
        Ok(Verdict::Holds)
    });
    law.needs(Need::Half, "batches in which an item counts")
}
