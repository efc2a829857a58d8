//! Log-probabilities and divergences from logits.

use accordant_ops::selected::{KlDirection, TokenIds, ids::IGNORE_ID, kl_logits, naive, selected_log_softmax};
use burn::tensor::{Device, Tensor};

use super::{
    Numbers, noise,
    selected::{add_constants, differentiable},
};

const INF: f32 = f32::INFINITY;
const REVERSE: KlDirection = KlDirection::Reverse;
const FORWARD: KlDirection = KlDirection::Forward;

/// Logits `[rows, vocab]` out of a vector.
#[derive(Clone)]
struct Case {
    name: &'static str,
    shape: [usize; 2],
    /// Two sets, the second for the reference of a divergence.
    values: [Vec<f32>; 2],
    view: fn(Tensor<1>, [usize; 2]) -> Tensor<2>,
    temperature: f64,
    ignored: bool,
}

impl Case {
    fn new(name: &'static str, shape: [usize; 2], len: usize) -> Self {
        let values = [61, 62].map(|seed| noise(seed, len, -3.0, 5.0));
        Self { name, shape, values, view: |x, shape| x.reshape(shape), temperature: 1.0, ignored: false }
    }

    /// Changes every number, given the number of its set and its index.
    fn with(mut self, change: impl Fn(usize, usize, f32) -> f32) -> Self {
        for (set, values) in self.values.iter_mut().enumerate() {
            values.iter_mut().enumerate().for_each(|(i, x)| *x = change(set, i, *x));
        }
        self
    }
}

fn cases() -> Vec<Case> {
    let (n, v) = (48, 101);
    let case = |name| Case::new(name, [n, v], n * v);
    vec![
        case("plain"),
        Case { temperature: 0.7, ignored: true, ..case("temperature, ignored rows") },
        Case { view: |x, [n, v]| x.reshape([v, n]).transpose(), ..case("transposed") },
        Case { view: |x, [n, v]| x.reshape([n, v + 9]).narrow(1, 4, v), ..Case::new("narrowed", [n, v], n * (v + 9)) },
        Case { view: |x, [n, v]| x.reshape([n + 5, v]).narrow(0, 3, n), ..Case::new("rows", [n, v], (n + 5) * v) },
        Case { view: |x, [n, v]| x.reshape([1, v]).expand([n, v]), ..Case::new("expanded", [n, v], v) },
        // Every fourth token is excluded, some of them selected.
        case("−∞").with(|_, i, x| if (i % v).is_multiple_of(4) { -INF } else { x }),
        case("huge").with(|_, i, x| [-1e4, 0.0, 1e4][i % 3] + x),
        case("certain").with(|set, i, _| if i % v == i / v + set { 1e4 } else { -1e4 }),
        Case::new("vocabulary of 1", [n, 1], n),
        Case::new("vocabulary of 2", [n, 2], n * 2),
        Case::new("vocabulary of 1000", [n, 1000], n * 1000),
        Case::new("one row", [1, v], v),
    ]
}

/// More than the 65535 rounds after which Mesa's driver ends a loop, and more rows than one launch takes.
fn large() -> [Case; 2] {
    [Case::new("vocabulary of 70001", [3, 70_001], 3 * 70_001), Case::new("70001 rows", [70_001, 3], 70_001 * 3)]
}

pub fn add(numbers: &mut Numbers, device: &Device) {
    let is_narrow = numbers.storage.0.is_some();
    for case in cases().into_iter().chain(large().into_iter().filter(|_| !is_narrow)) {
        add_selected(numbers, device, &case, "selected_log_softmax");
        // To bf16 the huge ones are all alike, and the gradient nothing but rounding.
        if !(is_narrow && case.name == "huge") {
            add_divergence(numbers, device, &case, "kl_logits");
        }
    }
    // A row without any probability, between others.
    let dead = cases().swap_remove(0).with(|_, i, x| if (101 * 7..101 * 8).contains(&i) { -INF } else { x });
    add_selected(numbers, device, &Case { name: "a row of −∞", ..dead }, "selected_log_softmax");
    // No probability where the other one has some.
    let [p, q] = cases().swap_remove(0).values;
    let hole: Vec<f32> = q.iter().enumerate().map(|(i, x)| if i.is_multiple_of(150) { -INF } else { *x }).collect();
    for (name, policy, reference, to) in [("reverse", &p, &hole, REVERSE), ("forward", &hole, &p, FORWARD)] {
        let [policy, reference] = [policy, reference].map(|x| numbers.storage.vector(x, device).reshape([48, 101]));
        numbers.add(format!("kl_logits, infinite, {name}"), &kl_logits(policy, reference, 1.0, to).unwrap());
    }
    let was = std::mem::replace(&mut numbers.naive, true);
    for case in [1, 6, 7].map(|i| cases().swap_remove(i)) {
        add_selected(numbers, device, &case, "naive::selected_log_softmax");
        if !(is_narrow && case.name == "huge") {
            add_divergence(numbers, device, &case, "naive::kl_logits");
        }
    }
    numbers.naive = was;
}

fn add_selected(numbers: &mut Numbers, device: &Device, case: &Case, function: &str) {
    let [rows, vocab] = case.shape;
    let id = |i: usize| if case.ignored && i % 5 == 2 { IGNORE_ID } else { (i * 17 % vocab) as i64 };
    let ids = TokenIds::new(&(0..rows).map(id).collect::<Vec<_>>(), Some(IGNORE_ID), device);
    let f = if numbers.naive { naive::selected_log_softmax } else { selected_log_softmax };
    let selected =
        |leaves: &[Tensor<1>]| f((case.view)(leaves[0].clone(), case.shape), &ids, case.temperature).unwrap();
    let (name, inputs) = (format!("{function}, {}", case.name), &case.values[..1]);
    numbers.add_outputs(&name, device, inputs, |leaves| differentiable(selected(leaves)));
    if case.name == "plain" || case.name == "−∞" {
        numbers.add_gradients_apart(&name, device, inputs, |leaves| differentiable(selected(leaves)));
    }
    add_constants(numbers, &name, &selected(&numbers.leaves(inputs, device)));
}

fn add_divergence(numbers: &mut Numbers, device: &Device, case: &Case, function: &str) {
    let [policy, reference] = &case.values;
    let (f, storage) = (if numbers.naive { naive::kl_logits } else { kl_logits }, numbers.storage);
    for (direction, to) in [("reverse", REVERSE), ("forward", FORWARD)] {
        let name = format!("{function}, {}, {direction}", case.name);
        numbers.add_with_gradients(&name, device, std::slice::from_ref(policy), |leaves| {
            let [p, q] = [leaves[0].clone(), storage.vector(reference, device)].map(|x| (case.view)(x, case.shape));
            f(p, q, case.temperature, to).unwrap()
        });
    }
}
