//! Only the policy learns.

use burn::tensor::Tensor;

use crate::{
    loss::Target,
    report::Disagreement,
    runner::{Law, Need, Verdict},
    strategy::Inputs,
    tensors::Layout,
};

/// Some token of some batch has a gradient.
pub(super) fn policy_learns<'a>() -> Law<'a> {
    let law = Law::new("policy learns", Inputs::default(), |subject, case| {
        let found = subject.gradient(&case.batch, &Layout::default(), Target::Loss)?;
        let learns = found.flat().iter().any(|gradient| *gradient != 0.0);
        Ok(if learns { Verdict::Holds } else { Verdict::PutAside })
    });
    law.needs(Need::One, "a batch on which the policy gets a gradient").at_most(8)
}

/// Neither the reference nor a column gets a gradient.
pub(super) fn constants<'a>() -> Law<'a> {
    Law::new("constants", Inputs::default(), |subject, case| {
        let device = subject.device().autodiff();
        let (mut tensors, places) = subject.tensors(&case.batch, &Layout::default(), &device);
        tensors.policy = tensors.policy.require_grad();
        tensors.reference = tensors.reference.require_grad();
        let leaf = |tensor: &mut Tensor<1>| *tensor = tensor.clone().require_grad();
        tensors.columns.values_mut().chain(tensors.response_columns.values_mut()).for_each(leaf);
        let constant = |name: &str| !subject.learns(name);
        for (_, tensor) in tensors.tokens.iter_mut().filter(|(name, _)| constant(name)) {
            *tensor = tensor.clone().require_grad();
        }
        let (evaluated, _) = subject.evaluate(&tensors, &places)?;
        let total = evaluated.loss + evaluated.losses.sum() + evaluated.numerator;
        let grads = (total + tensors.policy.sum().mul_scalar(0.0)).backward();
        let touched = |grad: Option<Vec<f64>>| grad.filter(|grad| grad.iter().any(|value| *value != 0.0));
        let host = |tensor: &Tensor<1>| tensor.grad(&grads).and_then(|grad| grad.try_to_vec_as::<f64>().ok());
        let tokens = |tensor: &Tensor<2>| tensor.grad(&grads).and_then(|grad| grad.try_to_vec_as::<f64>().ok());
        if let Some(grad) = touched(tokens(&tensors.reference)) {
            return Err(Disagreement::new("no gradient into the reference", format!("{grad:?}")));
        }
        for (name, tensor) in tensors.tokens.iter().filter(|(name, _)| constant(name)) {
            if let Some(grad) = touched(tokens(tensor)) {
                return Err(Disagreement::new(format!("no gradient into `{name}`"), format!("{grad:?}")));
            }
        }
        for (name, column) in tensors.columns.iter().chain(&tensors.response_columns) {
            if let Some(grad) = touched(host(column)) {
                return Err(Disagreement::new(format!("no gradient into `{name}`"), format!("{grad:?}")));
            }
        }
        Ok(Verdict::Holds)
    })
}

/// What is reported, and what the loss is divided by, is detached from the policy.
pub(super) fn detached_outputs<'a>() -> Law<'a> {
    Law::new("detached outputs", Inputs::default(), |subject, case| {
        let device = subject.device().autodiff();
        let (mut tensors, places) = subject.tensors(&case.batch, &Layout::default(), &device);
        tensors.policy = tensors.policy.require_grad();
        let (evaluated, _) = subject.evaluate(&tensors, &places)?;
        if evaluated.advantages.is_some_and(|advantages| advantages.is_tracked()) {
            return Err(Disagreement::new("`advantages` detached", "a tensor with a gradient"));
        }
        let outputs = [("weights".into(), evaluated.weights), ("denominator".into(), evaluated.denominator)];
        let tracked = outputs.into_iter().chain(evaluated.logged).find(|(_, tensor)| tensor.is_tracked());
        match tracked {
            None => Ok(Verdict::Holds),
            Some((name, _)) => Err(Disagreement::new(format!("`{name}` detached"), "a tensor with a gradient")),
        }
    })
    .at_most(2)
}
