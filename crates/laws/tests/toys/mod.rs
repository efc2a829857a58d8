//! What the toy losses share: shapes checked, masks applied by selection, the weighted mean.
#![allow(dead_code, reason = "each test uses the toys of its family")]

pub mod lists;
pub mod pairs;
pub mod rollouts;
pub mod singles;

use accordant_laws::{Evaluated, Subject, Tensors, check, check_all, law_names};
use burn::tensor::{Bool, Tensor, activation::relu};

/// `ln(1 + e^x)`, finite for every finite `x`.
pub fn softplus(x: Tensor<1>) -> Tensor<1> {
    relu(x.clone()) + x.abs().neg().exp().log1p()
}

/// Sums over the scored positions, and how many there are, `[rows]` each.
pub fn sums(values: &Tensor<2>, mask: &Tensor<2, Bool>) -> (Tensor<1>, Tensor<1>) {
    let counts = mask.clone().float().cast(values.dtype()).sum_dim(1).squeeze_dim(1);
    (values.clone().mask_fill(mask.clone().bool_not(), 0.0).sum_dim(1).squeeze_dim(1), counts)
}

/// Refuses everything that is not of the shape that the policy says.
pub fn check_shapes(tensors: &Tensors, known: &[&str]) -> Result<(), String> {
    let [rows, seq] = tensors.policy.dims();
    let expect = |name: &str, expected: &[usize], got: &[usize]| match expected == got {
        true => Ok(()),
        false => Err(format!("`{name}`: expected shape {expected:?}, got {got:?}")),
    };
    expect("reference", &[rows, seq], &tensors.reference.dims())?;
    expect("mask", &[rows, seq], &tensors.mask.dims())?;
    for (name, column) in &tensors.tokens {
        expect(name, &[rows, seq], &column.dims())?;
    }
    for (name, column) in &tensors.columns {
        if !known.contains(name) {
            return Err(format!("`{name}` is no column of this loss"));
        }
        expect(name, &[tensors.num_items], &column.dims())?;
    }
    for (name, column) in &tensors.response_columns {
        expect(name, &[rows], &column.dims())?;
    }
    Ok(())
}

/// The weighted mean; an item without weight is left out by selection.
pub fn reduce(losses: Tensor<1>, weights: Tensor<1>) -> Evaluated {
    let weights = weights.detach();
    let numerator = (losses.clone().mask_fill(weights.clone().equal_scalar(0.0), 0.0) * weights.clone()).sum();
    let denominator = weights.clone().sum();
    let divisor = denominator.clone().mask_fill(denominator.clone().equal_scalar(0.0), 1.0);
    let loss = numerator.clone() / divisor;
    Evaluated { loss, losses, weights, numerator, denominator, logged: Vec::new(), advantages: None }
}

/// A wrong loss, the law that is about its mistake, and those that see the consequences on some batch.
pub struct Wrong<'a> {
    pub mistake: &'a str,
    pub subject: Subject<'a>,
    pub law: &'a str,
    pub others: &'a [&'a str],
}

/// Tests that a correct loss obeys every law, and that each mistake is reported by the law that is about it and by no
/// other than those that see its consequences.
pub fn expect_findings(correct: &Subject, mistakes: &[Wrong]) {
    let report = check(correct).unwrap_or_else(|violation| panic!("{violation}"));
    println!("{report}\n{:<40} {:<36} others that object", "mistake", "law");
    let mut failures = Vec::new();
    for Wrong { mistake, subject, law, others } in mistakes {
        let known = law_names(subject);
        let unknown = others.iter().chain([law]).find(|law| known.iter().all(|known| known != *law));
        assert_eq!(unknown, None, "{mistake}: a law of another name is meant");
        let found = check_all(subject);
        let names: Vec<&str> =
            found.iter().map(|violation| violation.law.as_str()).filter(|name| name != law).collect();
        let caught = names.len() < found.len();
        println!("{mistake:<40} {:<36} {}", if caught { law } else { "MISSED" }, names.join(", "));
        let unexpected = names.iter().any(|name| !others.contains(name));
        if !caught || unexpected {
            let texts: Vec<_> = found.iter().map(|violation| violation.to_string()).collect();
            failures.push(format!("{mistake}: {law:?} and of {others:?}, not {names:?}\n{}", texts.join("\n")));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
