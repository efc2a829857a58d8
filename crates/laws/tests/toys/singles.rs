//! Losses on single responses, right and wrong.

use accordant_laws::{Evaluated, Loss, Tensors};
use burn::tensor::{Tensor, activation::sigmoid};

use super::{check_shapes, reduce, sums};

/// What one gets wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mistake {
    None,
    ClassesSwapped,
    ClassIgnored,
    MeanOfClassMeans,
    EmptyClass,
    BaselineNotDetached,
    BaselineFromThePolicy,
    BaselineCountsSilentItems,
    Exponential,
    PaddingCounted,
    EmptyResponsesCounted,
}

/// Which loss.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Form {
    /// σ(−βd) or σ(βd).
    Zero,
    /// The same around a baseline: the mean over the batch of a column `kl`, at least 0.
    Baseline,
    /// −mean₊ a + log mean₋ exp a; 0 for a class without items.
    Divergence,
}

/// A loss on single responses with β = 1/2.
#[derive(Debug, Clone, Copy)]
pub struct Singles {
    pub form: Form,
    pub mistake: Mistake,
}

const BETA: f64 = 0.5;

impl Singles {
    fn is(&self, mistake: Mistake) -> bool {
        self.mistake == mistake
    }

    /// The mean of the column `kl` over items of positive weight, at least 0, `[1]`.
    fn baseline(&self, t: &Tensors, rewards: &Tensor<1>, weights: &Tensor<1>) -> Result<Tensor<1>, String> {
        if self.form != Form::Baseline {
            return Ok(rewards.clone().detach().sum() * 0.0);
        }
        let kl = t.columns.get("kl").ok_or("no `kl`")?.clone();
        let kl = match self.mistake {
            Mistake::BaselineNotDetached => kl,
            Mistake::BaselineFromThePolicy => kl.detach() + rewards.clone(),
            _ => kl.detach(),
        };
        let counted = match self.is(Mistake::BaselineCountsSilentItems) {
            true => weights.ones_like(),
            false => weights.clone().mask_fill(weights.clone().not_equal_elem(0.0), 1.0),
        };
        Ok(((kl * counted.clone()).sum() / counted.sum().clamp_min(1.0)).clamp_min(0.0))
    }

    /// The bound of a divergence, the same for every item.
    fn divergence(&self, a: &Tensor<1>, good: &Tensor<1>, weights: &Tensor<1>) -> Tensor<1> {
        let least = if self.is(Mistake::EmptyClass) { 0.0 } else { 1e-30 };
        let (plus, minus) = (weights.clone() * good.clone(), weights.clone() * (good.clone().neg() + 1.0));
        let a = a.clone().mask_fill(weights.clone().equal_elem(0.0), 0.0);
        let first = (a.clone() * plus.clone()).sum() / plus.sum().clamp_min(least);
        let none = minus.clone().equal_elem(0.0);
        let top = match self.is(Mistake::Exponential) {
            true => a.clone().detach().sum() * 0.0,
            false => a.clone().detach().mask_fill(none.clone(), -1e30).max(),
        };
        let share = minus.clone() / minus.clone().sum().clamp_min(least);
        let terms = (a.clone() - top.clone()).mask_fill(none.clone(), -1e30).exp() * share;
        let total = terms.sum();
        let empty = minus.sum().equal_elem(0.0);
        let second = match self.is(Mistake::EmptyClass) {
            true => total.log() + top,
            false => (total.mask_fill(empty.clone(), 1.0).log() + top).mask_fill(empty, 0.0),
        };
        (second - first).expand([a.dims()[0]])
    }
}

impl Loss for Singles {
    fn evaluate(&self, t: &Tensors) -> Result<Evaluated, String> {
        let known: &[&str] = if self.form == Form::Baseline { &["kl"] } else { &[] };
        check_shapes(t, &[&["weights", "desirable"], known].concat())?;
        if t.num_items == 0 {
            return Err("a batch without items".to_owned());
        }
        let (policy, count) = sums(&t.policy, &t.mask);
        let policy = match self.is(Mistake::PaddingCounted) {
            true => t.policy.clone().sum_dim(1).squeeze_dim(1),
            false => policy,
        };
        let a = (policy - sums(&t.reference.clone().detach(), &t.mask).0) * BETA;
        let good = t.columns.get("desirable").ok_or("no `desirable`")?.clone().detach();
        let good = match self.mistake {
            Mistake::ClassesSwapped => good.neg() + 1.0,
            Mistake::ClassIgnored => good.ones_like(),
            _ => good,
        };
        let weights = t.columns.get("weights").cloned().unwrap_or_else(|| a.ones_like().detach()).detach();
        let weights = match self.is(Mistake::EmptyResponsesCounted) {
            true => weights,
            false => weights.mask_fill(count.equal_elem(0.0), 0.0),
        };
        if self.form == Form::Divergence {
            return Ok(reduce(self.divergence(&a, &good, &weights), weights));
        }
        let sign = good.clone() * 2.0 - 1.0;
        let losses = sigmoid((a.clone() - self.baseline(t, &a, &weights)?).neg() * sign);
        let mut evaluated = reduce(losses.clone(), weights.clone());
        if self.is(Mistake::MeanOfClassMeans) {
            let plus = reduce(losses.clone(), weights.clone() * good.clone()).loss;
            let minus = reduce(losses, weights * (good.neg() + 1.0)).loss;
            evaluated.loss = (plus + minus) * 0.5;
        }
        Ok(evaluated)
    }
}
