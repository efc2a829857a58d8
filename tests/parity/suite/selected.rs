//! Log-probabilities from hidden states and an output head.

use accordant_ops::selected::{
    Memory, SelectedLogps, SelectedOptions, TokenIds, ids::IGNORE_ID, naive, selected_logps,
};
use burn::tensor::{Device, Tensor};

use super::{Numbers, Outputs, noise};

/// `[rows, width]` hidden states and a head of `vocab` rows.
#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    rows: usize,
    width: usize,
    vocab: usize,
    bias: Option<Bias>,
    ignored: bool,
    options: fn() -> SelectedOptions,
}

#[derive(Clone, Copy, PartialEq)]
enum Bias {
    Small,
    /// As small, but −∞ in the first 40 columns, which fill a tile, and in one more.
    Excluding,
}

const PLAIN: Case = Case {
    name: "selected_logps",
    rows: 48,
    width: 32,
    vocab: 101,
    bias: None,
    ignored: false,
    options: SelectedOptions::new,
};

/// No multiple of anything.
fn tiles() -> SelectedOptions {
    SelectedOptions::new().with_memory(Memory::Tiles { rows: 7, columns: 37 })
}

/// Temperature, cap, bias and ignored rows, in tiles, in tiles by a budget, and with the logits kept.
fn rich() -> [Case; 3] {
    fn options(memory: Memory) -> SelectedOptions {
        SelectedOptions::new().with_temperature(0.7).with_softcap(Some(3.0)).with_memory(memory)
    }
    let case = Case { bias: Some(Bias::Small), ignored: true, ..PLAIN };
    [
        Case {
            name: "selected_logps with everything in tiles",
            options: || options(Memory::Tiles { rows: 7, columns: 37 }),
            ..case
        },
        Case {
            name: "selected_logps with everything in a budget",
            options: || options(Memory::Budget(4 * 1500)),
            ..case
        },
        Case { name: "selected_logps with everything kept", options: || options(Memory::Budget(4 * 48 * 101)), ..case },
    ]
}

/// Vocabularies of 1, 2, more than a GPU has threads for a row, and more than the 65535 rounds after which Mesa's
/// driver ends a loop. One row.
const SIZES: [Case; 6] = [
    Case { name: "selected_logps, vocabulary of 1", vocab: 1, ..PLAIN },
    Case { name: "selected_logps, vocabulary of 2", vocab: 2, options: tiles, ..PLAIN },
    Case { name: "selected_logps, vocabulary of 1000", vocab: 1000, bias: Some(Bias::Small), ..PLAIN },
    Case { name: "selected_logps, vocabulary of 70001", rows: 3, width: 8, vocab: 70_001, ..PLAIN },
    Case { name: "selected_logps, one row", rows: 1, options: tiles, ..PLAIN },
    Case { name: "selected_logps, a bias of −∞", bias: Some(Bias::Excluding), options: tiles, ..PLAIN },
];

pub fn add(numbers: &mut Numbers, device: &Device) {
    add_case(numbers, device, &Case { name: "selected_logps in tiles", options: tiles, ..PLAIN }, true);
    add_case(numbers, device, &PLAIN, false);
    for (i, case) in rich().iter().enumerate() {
        add_case(numbers, device, case, i == 0);
    }
    let is_narrow = numbers.storage.0.is_some();
    for case in SIZES.iter().filter(|case| case.vocab < 1 << 16 || !is_narrow) {
        add_case(numbers, device, case, false);
    }
    let naive = std::mem::replace(&mut numbers.naive, true);
    add_case(numbers, device, &Case { name: "naive::selected_logps", ..rich()[0] }, false);
    numbers.naive = naive;
}

fn add_case(numbers: &mut Numbers, device: &Device, case: &Case, apart: bool) {
    let Case { name, rows, width, vocab, bias, ignored, options } = *case;
    let mut inputs = vec![noise(11, rows * width, -0.4, 0.8), noise(12, vocab * width, -0.8, 1.2)];
    if let Some(bias) = bias {
        let mut values = noise(13, vocab, -1.0, 1.0);
        if bias == Bias::Excluding {
            values[..40].fill(f32::NEG_INFINITY);
            values[77] = f32::NEG_INFINITY;
        }
        inputs.push(values);
    }
    let id = |i: usize| if ignored && i % 5 == 2 { IGNORE_ID } else { (i * 17 % vocab) as i64 };
    let ids = TokenIds::new(&(0..rows).map(id).collect::<Vec<_>>(), Some(IGNORE_ID), device);
    let f = if numbers.naive { naive::selected_logps } else { selected_logps };
    let selected = |leaves: &[Tensor<1>]| {
        let (hidden, weight) = (leaves[0].clone().reshape([rows, width]), leaves[1].clone().reshape([vocab, width]));
        f(hidden, weight, leaves.get(2).cloned(), &ids, &options()).unwrap()
    };
    let outputs = |leaves: &[Tensor<1>]| differentiable(selected(leaves));
    numbers.add_outputs(name, device, &inputs, outputs);
    if apart {
        numbers.add_gradients_apart(name, device, &inputs, outputs);
    }
    add_constants(numbers, name, &selected(&numbers.leaves(&inputs, device)));
}

/// What carries a gradient.
pub fn differentiable(selected: SelectedLogps) -> Outputs {
    vec![
        ("logps", selected.logps),
        ("lse", selected.lse),
        ("entropy", selected.entropy),
        ("log Σ p²", selected.log_sum_sq_probs),
    ]
}

pub fn add_constants(numbers: &mut Numbers, name: &str, selected: &SelectedLogps) {
    numbers.add_bools(format!("{name}, is_top1"), &selected.is_top1);
    numbers.add(format!("{name}, mean logits"), &selected.mean_logits);
}
