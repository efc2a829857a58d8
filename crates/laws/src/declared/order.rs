//! Lists: the order of candidates, and equal scores.

use super::{plain, same_losses};
use crate::{
    compare::{ROUNDING, same, same_column},
    loss::Target,
    runner::{Law, Verdict},
    tensors::Layout,
};

/// An item's candidates in another order have the same loss, and the same gradients in that order.
pub(super) fn permutation_of_candidates<'a>() -> Law<'a> {
    plain("permutation of candidates", |subject, case| {
        let mut random = case.random();
        let orders: Vec<Vec<usize>> =
            case.batch.items.iter().map(|item| random.permutation(item.responses.len())).collect();
        let permuted = case.batch.map(|index, item| {
            item.responses = orders[index].iter().map(|&from| item.responses[from].clone()).collect();
        });
        let before = subject.gradient(&case.batch, &Layout::default(), Target::Loss)?;
        let after = subject.gradient(&permuted, &Layout::default(), Target::Loss)?;
        same_losses("the candidates changed places", &before.values, &after.values)?;
        let pick = |(index, order): (usize, &Vec<usize>)| {
            order.iter().flat_map(|&from| before.scored[index][from].clone()).collect::<Vec<_>>()
        };
        let expected: Vec<f64> = orders.iter().enumerate().flat_map(pick).collect();
        same_column("gradient in the candidates' new places", &expected, &after.flat(), ROUNDING)?;
        Ok(Verdict::Holds)
    })
}

/// Candidates of equal score are not compared: a list of nothing else has loss 0 and gradient 0.
pub(super) fn ties_say_nothing<'a>() -> Law<'a> {
    plain("ties say nothing", |subject, case| {
        let index = case.random().below(case.batch.items.len());
        let tied = case.batch.map(|at, item| {
            if at == index {
                let score = item.responses[0].columns["scores"];
                for response in &mut item.responses {
                    response.columns.insert("scores", score);
                }
            }
        });
        let found = subject.gradient(&tied, &Layout::default(), Target::Loss)?;
        same(
            &format!("with equal scores for all candidates of item {index}, loss"),
            0.0,
            found.values.losses[index],
            0.0,
        )?;
        let gradient = found.scored[index].concat();
        same_column("and gradient", &vec![0.0; gradient.len()], &gradient, 0.0)?;
        Ok(Verdict::Holds)
    })
}
