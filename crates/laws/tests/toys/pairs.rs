//! Pair losses of the DPO family, right and wrong.

use accordant_laws::{Evaluated, Loss, Tensors};
use burn::tensor::{DType, Tensor, activation::sigmoid};

use super::{check_shapes, reduce, softplus, sums};

/// What one gets wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mistake {
    None,
    SignFlipped,
    ReferenceNotDetached,
    WeightsNotDetached,
    MarginsNotDetached,
    MeanForSum,
    PaddingCounted,
    PaddingInLength,
    WeightIgnored,
    WeightNotInDenominator,
    WeightPlusEpsilon,
    MarginOutsideBeta,
    MarginAdded,
    MarginIgnored,
    MeanForNumerator,
    NaiveLogSigmoid,
    NaiveSoftplus,
    MaskByMultiplication,
    OffByOne,
    LabelsIgnored,
    LabelsReversed,
    NoShapeCheck,
    EmptyPairsCounted,
    MetricsNotDetached,
    ChosenDetached,
    ScalarDivision,
    Centered,
    RejectedOfTheNextItem,
    ReferenceIgnored,
    SinglePrecisionInside,
    ZeroByZero,
    LengthByPosition,
    RegularizerPerMicroBatch,
    RegularizerOfSilentItems,
    NoiseFromBatchSize,
    Clipped,
    Panics,
    AllDetached,
    WeightSquared,
    NumeratorDetached,
    GradientOfTheSum,
    SmoothingDropped,
}

/// `β (d_w − d_l) − margin` in a logistic loss, or its kin.
#[derive(Debug, Clone, Copy)]
pub struct Pairs {
    pub form: Form,
    pub beta: f64,
    pub mistake: Mistake,
}

/// Which loss.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Form {
    Dpo,
    /// Squared distance to a target.
    Ipo,
    Hinge,
    /// Without a reference, from means over tokens.
    SimPo,
    /// DPO in which every label is wrong with probability 0.1.
    Smoothed,
    /// DPO plus the mean negative log-probability of all chosen tokens of the batch.
    Regularized,
}

impl Pairs {
    pub fn new(form: Form, mistake: Mistake) -> Self {
        Self { form, beta: 0.5, mistake }
    }

    fn is(&self, mistake: Mistake) -> bool {
        self.mistake == mistake
    }

    /// One number a row: the summed, or mean, log-ratio.
    fn scores(&self, t: &Tensors) -> Result<(Tensor<1>, Tensor<1>), String> {
        let (mut policy, mut reference, mut mask) = (t.policy.clone(), t.reference.clone(), t.mask.clone());
        if self.is(Mistake::OffByOne) {
            let [rows, seq] = policy.dims();
            let shift = |x: Tensor<2>| x.slice([0..rows, 1.min(seq - 1)..seq]);
            (policy, reference, mask) = (shift(policy), shift(reference), mask.slice([0..rows, 1.min(seq - 1)..seq]));
        }
        if self.is(Mistake::SinglePrecisionInside) {
            (policy, reference) = (policy.cast(DType::F32), reference.cast(DType::F32));
        }
        if !self.is(Mistake::ReferenceNotDetached) {
            reference = reference.detach();
        }
        let (mut sum, mut count) = sums(&policy, &mask);
        let mut reference = match self.form == Form::SimPo || self.is(Mistake::ReferenceIgnored) {
            true => sum.zeros_like(),
            false => sums(&reference, &mask).0,
        };
        match self.mistake {
            Mistake::PaddingCounted => {
                sum = policy.sum_dim(1).squeeze_dim(1);
            }
            Mistake::PaddingInLength => count = count.zeros_like() + t.policy.dims()[1] as f64,
            Mistake::LengthByPosition => {
                // The last scored column plus one: right for left-aligned rows without gaps.
                let [rows, seq] = t.policy.dims();
                let columns = Tensor::<1, burn::tensor::Int>::arange(1..seq as i64 + 1, &t.policy.device()).float();
                let columns = columns.cast(policy.dtype()).unsqueeze::<2>().expand([rows, seq]);
                count = columns.mask_fill(mask.bool_not(), 0.0).max_dim(1).squeeze_dim(1);
            }
            Mistake::MaskByMultiplication => {
                let keep = mask.float().cast(policy.dtype());
                sum = (policy * keep).sum_dim(1).squeeze_dim(1);
            }
            _ => {}
        }
        let mean = self.form == Form::SimPo || self.is(Mistake::MeanForSum);
        if mean {
            let by = count.clone().clamp_min(1.0);
            (sum, reference) = (sum / by.clone(), reference / by);
        }
        Ok(((sum - reference).cast(t.policy.dtype()), count.cast(t.policy.dtype())))
    }

    fn losses(&self, h: Tensor<1>) -> Tensor<1> {
        let h = if self.is(Mistake::SignFlipped) { h.neg() } else { h };
        match self.form {
            Form::Ipo => (h - 1.0).square(),
            Form::Smoothed if !self.is(Mistake::SmoothingDropped) => {
                softplus(h.clone().neg()) * 0.9 + softplus(h) * 0.1
            }
            Form::Hinge => burn::tensor::activation::relu(h.neg() + 1.0),
            _ if self.is(Mistake::NaiveLogSigmoid) => sigmoid(h).log().neg(),
            _ if self.is(Mistake::NaiveSoftplus) => (h.neg().clamp_max(600.0).exp() + 1.0).log(),
            _ if self.is(Mistake::Clipped) => softplus(h.clamp(-2.0, 2.0).neg()),
            _ => softplus(h.neg()),
        }
    }
}

impl Loss for Pairs {
    fn evaluate(&self, t: &Tensors) -> Result<Evaluated, String> {
        if !self.is(Mistake::NoShapeCheck) {
            check_shapes(t, &["weights", "label_probs", "margins"])?;
        }
        if t.num_items == 0 {
            assert!(!self.is(Mistake::Panics), "a batch without items");
            return Err("a batch without items".to_owned());
        }
        let n = t.num_items;
        let (scores, count) = self.scores(t)?;
        let mut chosen = scores.clone().narrow(0, 0, n);
        let mut rejected = scores.narrow(0, n, n);
        if self.is(Mistake::ChosenDetached) {
            chosen = chosen.detach();
        }
        if self.is(Mistake::RejectedOfTheNextItem) {
            rejected = rejected.roll_dim(1, 0);
        }
        let mut h = chosen.clone() - rejected.clone();
        if self.is(Mistake::Centered) {
            h = h.clone() - h.mean().detach();
        }
        let margins = t.columns.get("margins").filter(|_| !self.is(Mistake::MarginIgnored)).cloned();
        let margins = margins.map(|m| if self.is(Mistake::MarginsNotDetached) { m } else { m.detach() });
        if let Some(margins) = margins.clone().filter(|_| self.is(Mistake::MarginOutsideBeta)) {
            h = h - margins;
        }
        // 0.3496... is a wrong beta, too; what matters is that its gradient is rounded to f32.
        h = if self.is(Mistake::ScalarDivision) { h / 2.86 } else { h * self.beta };
        match margins {
            Some(margins) if self.is(Mistake::MarginAdded) => h = h + margins,
            Some(margins) if !self.is(Mistake::MarginOutsideBeta) => h = h - margins,
            _ => {}
        }
        let mut losses = self.losses(h.clone());
        if let Some(p) = t.columns.get("label_probs").filter(|_| !self.is(Mistake::LabelsIgnored)) {
            let p = p.clone().detach();
            let p = if self.is(Mistake::LabelsReversed) { 1.0 - p } else { p };
            losses = losses * p.clone() + self.losses(h.neg()) * (1.0 - p);
        }
        if let Some(weights) = t.columns.get("weights").filter(|_| self.is(Mistake::WeightSquared)) {
            losses = losses * weights.clone().detach();
        }
        if self.is(Mistake::AllDetached) {
            losses = losses.detach();
        }
        if self.is(Mistake::NoiseFromBatchSize) {
            losses = losses * (1.0 + 0.1 / n as f64);
        }
        let mut weights = match t.columns.get("weights").filter(|_| !self.is(Mistake::WeightIgnored)) {
            Some(weights) => weights.clone(),
            None => losses.ones_like().detach(),
        };
        if !self.is(Mistake::WeightsNotDetached) {
            weights = weights.detach();
        }
        if self.is(Mistake::WeightPlusEpsilon) {
            weights = weights + 1e-4;
        }
        let counts = count.clone().narrow(0, 0, n).min_pair(count.clone().narrow(0, n, n));
        if !self.is(Mistake::EmptyPairsCounted) {
            weights = weights.mask_fill(counts.equal_scalar(0.0), 0.0);
        }
        if self.form == Form::Regularized {
            losses = losses + self.token_mean(t, &weights, n);
        }
        let mut evaluated = reduce(losses.clone(), weights.clone());
        match self.mistake {
            Mistake::WeightNotInDenominator => {
                evaluated.denominator = evaluated.denominator.ones_like() * n as f64;
                evaluated.loss = evaluated.numerator.clone() / n as f64;
            }
            Mistake::MeanForNumerator => {
                evaluated.numerator = evaluated.loss.clone();
                evaluated.denominator = evaluated.denominator.ones_like();
            }
            Mistake::NumeratorDetached => evaluated.numerator = evaluated.numerator.detach(),
            Mistake::GradientOfTheSum => {
                let sum = losses.sum();
                evaluated.loss = evaluated.loss.detach() + sum.clone() - sum.detach();
            }
            Mistake::ZeroByZero => {
                evaluated.loss = evaluated.numerator.clone() / evaluated.denominator.clone();
            }
            Mistake::WeightsNotDetached => {
                evaluated.loss = (losses * weights.clone()).sum() / weights.sum().clamp_min(1e-9);
            }
            _ => {}
        }
        let rewards = chosen * self.beta;
        evaluated.logged = vec![(
            "rewards/chosen".into(),
            if self.is(Mistake::MetricsNotDetached) { rewards } else { rewards.detach() },
        )];
        Ok(evaluated)
    }
}

impl Pairs {
    /// Each item's share of the mean over all chosen tokens of counted items.
    fn token_mean(&self, t: &Tensors, weights: &Tensor<1>, n: usize) -> Tensor<1> {
        let (sum, count) = sums(&t.policy, &t.mask);
        let (sum, count) = (sum.narrow(0, 0, n), count.narrow(0, 0, n));
        let weights = match self.is(Mistake::RegularizerOfSilentItems) {
            true => weights.ones_like(),
            false => weights.clone(),
        };
        let own = (count * weights.clone()).sum() / weights.sum().clamp_min(1e-30);
        let mean = match t.tokens_per_item.filter(|_| !self.is(Mistake::RegularizerPerMicroBatch)) {
            Some(mean) => own.zeros_like() + mean,
            None => own,
        };
        sum.neg() / mean.clamp_min(1e-3)
    }
}
