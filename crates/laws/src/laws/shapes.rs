//! A tensor of another shape is an error, not a broadcast.

use burn::tensor::{Tensor, TensorData};

use crate::{
    loss::guarded,
    property::Property,
    report::Disagreement,
    runner::{Law, Verdict},
    strategy::{Hooks, Inputs},
    subject::{Family, Subject},
    tensors::{Layout, Tensors},
};

/// One law for each tensor that a subject reads: with another shape, that of a single item in particular, it is
/// refused.
pub(super) fn shapes<'a>(subject: &Subject) -> Vec<Law<'a>> {
    let mut laws = vec![law("shape of `mask`", Hooks::None, |tensors| {
        let [rows, seq] = tensors.mask.dims();
        let data = |rows: usize, seq: usize| TensorData::new(vec![true; rows * seq], [rows, seq]);
        let device = tensors.mask.device();
        let shapes = [(1, seq), (rows, seq + 1), (rows, 1), (rows + 1, seq)];
        let shapes = shapes.into_iter().filter(|shape| *shape != (rows, seq));
        shapes.map(|(r, s)| Tensors { mask: Tensor::from_bool(data(r, s), &device), ..tensors.clone() }).collect()
    })];
    if !subject.declares(Property::ReferenceFree) {
        laws.push(law("shape of `reference`", Hooks::None, |tensors| {
            let [rows, seq] = tensors.reference.dims();
            let shapes = [(1, seq), (rows, seq + 1), (rows, 1), (rows + 1, seq)];
            let like = |r, s| Tensor::full([r, s], -1.0, (&tensors.reference.device(), tensors.reference.dtype()));
            let shapes = shapes.into_iter().filter(|shape| *shape != (rows, seq));
            shapes.map(|(r, s)| Tensors { reference: like(r, s), ..tensors.clone() }).collect()
        }));
    }
    for (name, _) in subject.columns.iter().chain(&subject.hooks).copied() {
        laws.push(law(&format!("shape of `{name}`"), Hooks::Any, move |tensors| {
            let other = |len: usize| {
                let mut tensors = tensors.clone();
                tensors.columns.insert(name, vector(len, &tensors));
                tensors
            };
            [1, tensors.num_items + 1].map(other).into()
        }));
    }
    for (name, _) in subject.response_columns.iter().copied() {
        laws.push(law(&format!("shape of `{name}`"), Hooks::Any, move |tensors| {
            let other = |len: usize| {
                let mut tensors = tensors.clone();
                tensors.response_columns.insert(name, vector(len, &tensors));
                tensors
            };
            let rows = tensors.policy.dims()[0];
            let lengths = [1, tensors.num_items, tensors.num_items * tensors.num_responses + 1];
            lengths.into_iter().filter(|len| *len != rows).map(other).collect()
        }));
    }
    for (name, _) in subject.token_columns.iter().copied() {
        laws.push(law(&format!("shape of `{name}`"), Hooks::Any, move |tensors| {
            let [rows, seq] = tensors.policy.dims();
            let other = |(rows, seq): (usize, usize)| {
                let mut tensors = tensors.clone();
                let column = Tensor::full([rows, seq], -1.0, (&tensors.policy.device(), tensors.policy.dtype()));
                tensors.tokens.insert(name, column);
                tensors
            };
            let shapes = [(1, seq), (rows, seq + 1), (rows, 1), (rows + 1, seq)];
            shapes.into_iter().filter(|shape| *shape != (rows, seq)).map(other).collect()
        }));
    }
    if subject.family == Family::Rollouts {
        laws.push(law("length of `groups`", Hooks::None, |tensors| {
            let mut longer = tensors.groups.clone();
            longer.push(0);
            let shorter = tensors.groups[1..].to_vec();
            [longer, shorter].map(|groups| Tensors { groups, ..tensors.clone() }).into()
        }));
    }
    laws
}

/// Halves: a number that every range of weights, probabilities and margins has.
fn vector(len: usize, tensors: &Tensors) -> Tensor<1> {
    Tensor::full([len], 0.5, (&tensors.policy.device(), tensors.policy.dtype()))
}

fn law<'a>(name: &str, hooks: Hooks, wrong: impl Fn(&Tensors) -> Vec<Tensors> + 'a) -> Law<'a> {
    let inputs = Inputs { items: 2..=3, tokens: 3, empty_responses: false, hooks, ..Inputs::default() };
    let law = Law::new(name, inputs, move |subject, case| {
        let layout = Layout { after: 1, ..Layout::default() };
        let (tensors, _) = subject.tensors(&case.batch, &layout, &subject.device());
        for wrong in wrong(&tensors) {
            let got = match guarded(subject.loss, &wrong) {
                Ok(evaluated) => format!("losses of shape {:?}", evaluated.losses.dims()),
                Err(error) if error.starts_with("a panic") => error,
                Err(_) => continue,
            };
            let expected = format!("an error, given {} in a batch of {} items", shapes_of(&wrong), wrong.num_items);
            return Err(Disagreement::new(expected, got));
        }
        Ok(Verdict::Holds)
    });
    law.at_most(2)
}

fn shapes_of(tensors: &Tensors) -> String {
    let columns = tensors.columns.iter().chain(&tensors.response_columns);
    let columns: String = columns.map(|(name, column)| format!(", `{name}` {:?}", column.dims())).collect();
    let (policy, reference, mask) = (tensors.policy.dims(), tensors.reference.dims(), tensors.mask.dims());
    let tokens: String =
        tensors.tokens.iter().map(|(name, column)| format!(", `{name}` {:?}", column.dims())).collect();
    let groups = match tensors.groups.len() {
        0 => String::new(),
        len => format!(", {len} ids of groups"),
    };
    format!("`policy` {policy:?}, `reference` {reference:?}, `mask` {mask:?}{tokens}{columns}{groups}")
}
