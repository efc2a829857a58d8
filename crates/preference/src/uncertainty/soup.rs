//! Weight averaging (WARM, model soups): one model from several that were fine-tuned from the same weights.
//!
//! **Papers:** WARM: On the Benefits of Weight Averaged Reward Models (2024), 2401.12187; SALSA: Soup-based Alignment Learning
//! for Stronger Adaptation in RLHF (2024), 2411.01798, for references of policies.
//! **Use when:** an ensemble would help and only one model can be run.
//! **Checked by:** a linear model's soup is the mean of scores; other weights and starts are refused.
//! **Deviations:** none.

use accordant_ops::{check_domain, check_dtype, check_shape};
use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId},
    tensor::Tensor,
};

use crate::{Error, Result, error::check_length};

/// The mean of the members' parameters, by `weights` ≥ 0 in proportion: `θ̄ = Σ ω_e θ_e / Σ ω_e`.
///
/// Members must have started from the same weights, since only then a path between them leads through good models: clones
/// of one model, or loads of one record, that were trained apart. They know each other by the ids of their parameters.
/// Averages parameters of floating point; those of integers, and whatever is no parameter, are the first member's.
///
/// # Errors
/// [`Error::Empty`] naming `members` without one; [`Error::Length`] or a domain error naming `weights`, whose sum is
/// positive; [`Error::Combination`] for members that did not start together; a shape or dtype error naming `members`.
///
/// # Example
/// ```
/// use accordant_preference::distributional::quantile_head::QuantileHeadConfig;
/// use accordant_preference::uncertainty::soup::averaged;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let start = QuantileHeadConfig::new(2, 3).init(0, &device)?;
/// let soup = averaged(&[start.clone(), start.clone()], &[0.5, 0.5])?;
/// let at = Tensor::ones([1, 2], &device);
/// let same = (soup.forward(at.clone())? - start.forward(at)?).abs().max().into_scalar::<f32>();
/// assert!(same < 1e-6);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "2401.12187")]
#[doc(alias = "2411.01798")]
#[doc(alias = "WARM")]
#[doc(alias = "model soup")]
pub fn averaged<M: Module>(members: &[M], weights: &[f64]) -> Result<M> {
    let Some(first) = members.first() else {
        return Err(Error::Empty { name: "members", reason: "there is none" });
    };
    check_length("weights", members.len(), weights.len())?;
    for &weight in weights {
        check_domain(weight.is_finite() && weight >= 0.0, "weights", "finite and >= 0", weight)?;
    }
    let total: f64 = weights.iter().sum();
    check_domain(total.is_finite() && total > 0.0, "weights", "a positive sum", total)?;
    let mut sums: Vec<Parameter> = Vec::new();
    for (member, weight) in members.iter().zip(weights) {
        let mut collected = Collect(Vec::new());
        member.visit(&mut collected);
        let scaled = collected.0.into_iter().map(|p| Parameter { values: p.values * (weight / total), ..p }).collect();
        sums = if sums.is_empty() { scaled } else { added(sums, scaled)? };
    }
    // From the last on, for `pop`.
    sums.reverse();
    Ok(first.clone().map(&mut Replace(sums)))
}

/// A parameter, flattened.
struct Parameter {
    id: ParamId,
    shape: Vec<usize>,
    values: Tensor<1>,
}

fn added(sums: Vec<Parameter>, more: Vec<Parameter>) -> Result<Vec<Parameter>> {
    if sums.len() != more.len() || sums.iter().zip(&more).any(|(a, b)| a.id != b.id) {
        return Err(Error::Combination { what: "members", reason: "they did not start from the same weights" });
    }
    let apart = |(a, b): (&Parameter, &Parameter)| a.values.device() != b.values.device();
    if sums.iter().zip(&more).any(apart) {
        return Err(Error::Combination { what: "members", reason: "they live on different devices" });
    }
    let sum = |(a, b): (Parameter, Parameter)| {
        check_shape("members", &a.shape, &b.shape)?;
        check_dtype("members", a.values.dtype(), b.values.dtype())?;
        Ok(Parameter { values: a.values + b.values, ..a })
    };
    sums.into_iter().zip(more).map(sum).collect()
}

struct Collect(Vec<Parameter>);

impl ModuleVisitor for Collect {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let values = param.val().detach();
        let shape = values.dims().to_vec();
        self.0.push(Parameter { id: param.id, values: values.reshape([shape.iter().product::<usize>()]), shape });
    }
}

struct Replace(Vec<Parameter>);

impl ModuleMapper for Replace {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let new = self.0.pop().expect("as many parameters as were visited").values;
        param.map(|old| {
            let new = new.reshape(old.dims());
            if old.is_require_grad() { new.detach().require_grad() } else { new }
        })
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::distributional::{
        quantile_head::{QuantileHead, QuantileHeadConfig},
        testing::{host, near, starts},
    };

    /// As a model trained on: every parameter moved by so much.
    fn moved(model: &QuantileHead, by: f64) -> QuantileHead {
        struct Move(f64);
        impl ModuleMapper for Move {
            fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
                let by = self.0;
                param.map(|values| (values * (1.0 + by) + by).detach().require_grad())
            }
        }
        model.clone().map(&mut Move(by))
    }

    #[test]
    fn the_soup_of_linear_models_scores_the_mean_of_their_scores() {
        let device = Device::flex().autodiff();
        let start = QuantileHeadConfig::new(2, 3).init(1, &device).unwrap();
        let members = [moved(&start, 0.5), moved(&start, -1.0), moved(&start, 2.0)];
        let features = Tensor::<2>::from_floats([[0.5, -1.0], [2.0, 0.25]], &device);
        let scores = |model: &QuantileHead| host(&model.forward(features.clone()).unwrap());
        let soup = averaged(&members, &[1.0, 2.0, 1.0]).unwrap();
        let mean: Vec<f64> = (0..6)
            .map(|at| 0.25 * scores(&members[0])[at] + 0.5 * scores(&members[1])[at] + 0.25 * scores(&members[2])[at])
            .collect();
        near(&scores(&soup), &mean, 1e-5);
        near(&scores(&averaged(&members, &[0.0, 0.0, 7.0]).unwrap()), &scores(&members[2]), 1e-6);
        // It can be trained on.
        let gradients = soup.forward(features.clone()).unwrap().sum().backward();
        assert!(soup.parameters_have_gradients(&gradients));
    }

    impl QuantileHead {
        fn parameters_have_gradients(&self, gradients: &burn::tensor::Gradients) -> bool {
            struct Count<'a>(&'a burn::tensor::Gradients, usize);
            impl ModuleVisitor for Count<'_> {
                fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                    self.1 += usize::from(param.val().grad(self.0).is_some());
                }
            }
            let mut count = Count(gradients, 0);
            self.visit(&mut count);
            count.1 == 2
        }
    }

    #[test]
    fn models_of_another_start_or_shape_are_not_mixed() {
        let device = Device::flex();
        let start = |width| QuantileHeadConfig::new(2, width).init(1, &device).unwrap();
        let one = start(3);
        starts(averaged(&[one.clone(), start(3)], &[1.0, 1.0]), "members: they did not start from the same weights");
        starts(averaged::<QuantileHead>(&[], &[]), "`members`: nothing");
        starts(averaged(std::slice::from_ref(&one), &[]), "`weights`: expected 1 entries");
        // Though the sum is positive.
        starts(averaged(&[one.clone(), one.clone()], &[2.0, -1.0]), "`weights`: expected finite and >= 0");
        for weight in [-1.0, f64::NAN, f64::INFINITY, 0.0] {
            starts(averaged(std::slice::from_ref(&one), &[weight]), "`weights`");
        }
        // The same ids with another shape, and without a bias.
        struct Wider;
        impl ModuleMapper for Wider {
            fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
                param.map(|values| Tensor::cat(vec![values.clone(), values], 0))
            }
        }
        starts(averaged(&[one.clone(), one.clone().map(&mut Wider)], &[1.0, 1.0]), "`members`: expected shape");
        let bare = QuantileHeadConfig::new(2, 3).with_bias(false).init(1, &device).unwrap();
        starts(averaged(&[one, bare], &[1.0, 1.0]), "members: they did not start");
    }
}
