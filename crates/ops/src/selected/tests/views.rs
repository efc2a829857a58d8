//! Inputs that do not lie in memory in their order.

use super::*;

/// Views `[n, m]` of leaves of other shapes.
type View = fn(Tensor<2>) -> Tensor<2>;

/// The shape of the leaf for a view `[n, m]`, and the view.
fn views([n, m]: [usize; 2]) -> Vec<(&'static str, [usize; 2], View)> {
    vec![
        ("as it is", [n, m], |x| x),
        ("transposed", [m, n], |x| x.transpose()),
        ("columns of a wider one", [n, m + 2], |x| {
            let m = x.dims()[1] - 2;
            x.narrow(1, 1, m)
        }),
        ("rows of a longer one", [n + 3, m], |x| {
            let n = x.dims()[0] - 3;
            x.narrow(0, 2, n)
        }),
        ("flipped rows", [n, m], |x| x.flip([0])),
        ("flipped columns", [n, m], |x| x.flip([1])),
        ("flipped, transposed", [m, n], |x| x.flip([0, 1]).transpose()),
        ("every other row", [2 * n, m], |x| {
            let n = x.dims()[0] / 2;
            x.reshape([n as i32, 2, -1]).narrow(1, 1, 1).squeeze_dim::<2>(1)
        }),
    ]
}

/// One row or one column for all.
fn expanded([n, m]: [usize; 2]) -> Vec<(&'static str, [usize; 2], [usize; 2])> {
    vec![("one row", [1, m], [n, m]), ("one column", [n, 1], [n, m])]
}

/// Calls `check` with a name, a leaf and the view `[n, m]` of it, of every kind.
fn of_every_kind(
    seed: u64,
    shape: [usize; 2],
    mut check: impl FnMut(&str, Tensor<2>, &dyn Fn(Tensor<2>) -> Tensor<2>),
) {
    let leaf =
        |[rows, columns]: [usize; 2]| tensor(&noise(seed, rows * columns), [rows, columns], DType::F64).require_grad();
    for (name, of, view) in views(shape) {
        check(name, leaf(of), &view);
    }
    for (name, of, shape) in expanded(shape) {
        check(name, leaf(of), &|x: Tensor<2>| x.expand(shape));
    }
}

/// Values, and the gradient of the leaf, of the function of a view and of the same numbers in their order.
#[track_caller]
fn check(
    name: &str,
    leaf: Tensor<2>,
    view: &dyn Fn(Tensor<2>) -> Tensor<2>,
    f: &dyn Fn(Tensor<2>) -> (Run, Tensor<1>),
) {
    let viewed = view(leaf.clone());
    let (run, loss) = f(viewed.clone());
    let grad = leaf.grad(&loss.backward()).unwrap();
    let ordered = Tensor::from_data(viewed.to_data(), (&leaf.device(), leaf.dtype())).require_grad();
    let (expected, loss) = f(ordered.clone());
    run.assert_near(&expected, 1e-13, name);
    // The view's own backward pass, on the gradient of the numbers in their order.
    let upstream = ordered.grad(&loss.backward()).unwrap();
    let upstream = Tensor::from_data(upstream.to_data(), (&leaf.device(), leaf.dtype()));
    let expected = leaf.grad(&(view(leaf.clone()) * upstream).sum().backward()).unwrap();
    assert_near(&host(&grad), &host(&expected), 1e-12, name);
}

fn upstream(n: usize) -> [Option<Vec<f64>>; 4] {
    [4, 5, 6, 8].map(|seed| Some(noise(seed, n)))
}

#[test]
fn hidden_states_and_heads_may_be_views() {
    let [n, h, v] = [5, 4, 7];
    for memory in [Memory::Auto, Memory::Tiles { rows: 2, columns: 3 }] {
        let options = SelectedOptions::new().with_memory(memory);
        let ids = token_ids(&some_ids(n, v));
        let run = |hidden: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>| {
            let selected = selected_logps(hidden, weight, Some(bias), &ids, &options).unwrap();
            (outputs(&selected), loss(&selected, &upstream(n)))
        };
        let (hidden, weight) =
            (tensor(&noise(1, n * h), [n, h], DType::F64), tensor(&noise(2, v * h), [v, h], DType::F64));
        let bias = tensor(&noise(3, v), [v], DType::F64);
        of_every_kind(81, [n, h], |name, leaf, view| {
            check(&format!("hidden: {name}"), leaf, view, &|hidden| run(hidden, weight.clone(), bias.clone()));
        });
        of_every_kind(82, [v, h], |name, leaf, view| {
            check(&format!("weight: {name}"), leaf, view, &|weight| run(hidden.clone(), weight, bias.clone()));
        });
        of_every_kind(83, [1, v], |name, leaf, view| {
            check(&format!("bias: {name}"), leaf, view, &|bias| {
                run(hidden.clone(), weight.clone(), bias.squeeze_dim(0))
            });
        });
    }
}

#[test]
fn logits_may_be_views() {
    let [n, v] = [5, 7];
    for ids in [some_ids(n, v), vec![3, -100, 0, -100, 6]] {
        let ids = token_ids(&ids);
        of_every_kind(84, [n, v], |name, leaf, view| {
            check(name, leaf, view, &|logits| {
                let selected = selected_log_softmax(logits, &ids, 0.8).unwrap();
                (outputs(&selected), loss(&selected, &upstream(n)))
            });
        });
    }
}

#[test]
fn both_sides_of_a_divergence_may_be_views() {
    let [n, v] = [5, 7];
    for direction in [KlDirection::Reverse, KlDirection::Forward] {
        let other = || tensor(&noise(85, n * v), [n, v], DType::F64);
        let run = |policy: Tensor<2>, reference: Tensor<2>| {
            let kl = kl_logits(policy, reference, 0.8, direction).unwrap();
            let weights = tensor(&noise(86, n), [n], DType::F64);
            (Run(vec![("kl", host(&kl))]), (kl * weights).sum())
        };
        of_every_kind(87, [n, v], |name, leaf, view| {
            check(name, leaf.clone(), view, &|policy| run(policy, other()));
            let reference = view(leaf);
            let ordered = Tensor::from_data(reference.to_data(), (&reference.device(), DType::F64));
            run(other(), reference).0.assert_near(&run(other(), ordered).0, 1e-13, name);
        });
    }
}
