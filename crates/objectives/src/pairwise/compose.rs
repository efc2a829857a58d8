//! Objectives put together: a score, a loss of its margin, a weighting and a regularizer.
//!
//! Most pairwise methods are points on this grid; each named method still has a file that reads like its paper, and
//! gives its factor of the grid to the others. "SimPO with a hinge, weighted by WPO" is a value, not a new file.

use burn::tensor::Tensor;

use super::{
    PairBatch, PairOutput, PairValues, PairwiseObjective, Score, batch::Extra, check_beta, f_dpo::exponent_max,
    wrapped::merged,
};
use crate::{Result, State, side::Column};
use accordant_ops::check_domain;

/// A loss of the margin `h` between two scores, elementwise.
pub trait MarginLoss: std::fmt::Debug + Send + Sync {
    /// `f(h)`, `[n]` to `[n]`.
    fn loss(&self, h: Tensor<1>) -> Tensor<1>;

    /// `k` where the loss grows like `|h|ᵏ`. The exponents of a score are capped at the `k`-th part of what the dtype can
    /// take, so that the loss of the largest score is still a number.
    fn degree(&self) -> f64 {
        1.0
    }

    /// The loss of `h` under the batch's margins and label probabilities; see [`PairBatch::margin_losses`]. To be
    /// replaced where a form with one evaluation is exact.
    fn losses(&self, batch: &PairBatch, h: Tensor<1>) -> Tensor<1> {
        batch.margin_losses(h, |h| self.loss(h))
    }
}

/// A factor for each pair's loss.
pub trait Weighting: std::fmt::Debug + Send + Sync {
    /// The factors, `[n]`; they are detached.
    ///
    /// # Errors
    /// Side information that is missing, named.
    fn factors(&self, batch: &PairBatch) -> Result<Tensor<1>>;

    /// The side information that it reads.
    fn columns(&self) -> Vec<Column> {
        Vec::new()
    }

    /// As [`PairwiseObjective::uses_batch_statistics`].
    fn uses_batch_statistics(&self) -> bool {
        false
    }

    /// As [`PairwiseObjective::observe`].
    ///
    /// # Errors
    /// As [`Weighting::factors`].
    fn observe(&self, _state: &mut State, _batch: &PairBatch) -> Result<()> {
        Ok(())
    }
}

/// A term that is added to each pair's loss.
pub trait Regularizer: std::fmt::Debug + Send + Sync {
    /// The term, `[n]`, before its coefficient.
    ///
    /// # Errors
    /// Side information that is missing, named.
    fn penalties(&self, batch: &PairBatch) -> Result<Tensor<1>>;

    /// The side information that it reads.
    fn columns(&self) -> Vec<Column> {
        Vec::new()
    }

    /// The third responses that it reads.
    fn extras(&self) -> Vec<Extra> {
        Vec::new()
    }
}

/// `weight · f(β (s_w − s_l) − γ) + λ · penalty`, for any score `s` and loss `f`. A score with exponents logs
/// `n_score_clamped`: how many of a pair's two were clamped, on average.
///
/// # Example
/// SimPO's score with a hinge:
/// ```
/// use accordant_objectives::pairwise::{Composed, Length, PairBatch, PairLogps, PairwiseObjective, Score, hinge::HingeLoss};
/// use accordant_objectives::SequenceLogps;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let one = |x: f32| Tensor::<1>::from_floats([x], &device);
/// let logps = |sum, count| SequenceLogps::new(one(sum), one(count));
/// let batch = PairBatch::new(PairLogps::new(logps(-2.0, 2.0)?, logps(-6.0, 4.0)?)?);
/// let objective = Composed::new(Score::LogProb(Length::TokenMean), 1.0, HingeLoss)?.with_margin(0.25)?;
/// // 1 − (−1 + 1.5 − 0.25)
/// assert_eq!(objective.forward(&batch)?.losses.into_scalar::<f32>(), 0.75);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[derive(Debug)]
pub struct Composed {
    score: Score,
    beta: f64,
    margin: f64,
    exponent_max: Option<f64>,
    loss: Box<dyn MarginLoss>,
    weighting: Option<Box<dyn Weighting>>,
    regularizer: Option<(f64, Box<dyn Regularizer>)>,
}

impl Composed {
    /// `f(β (s_w − s_l))`.
    ///
    /// # Errors
    /// A domain error unless `beta` is finite and > 0, and of the score's divergence.
    pub fn new(score: Score, beta: f64, loss: impl MarginLoss + 'static) -> Result<Self> {
        check_beta(beta)?;
        score.check()?;
        Ok(Self {
            score,
            beta,
            margin: 0.0,
            exponent_max: None,
            loss: Box::new(loss),
            weighting: None,
            regularizer: None,
        })
    }

    /// Subtracts a margin `γ` from every `h`, in units of the reward.
    ///
    /// # Errors
    /// A domain error unless it is finite.
    pub fn with_margin(mut self, margin: f64) -> Result<Self> {
        check_domain(margin.is_finite(), "margin", "finite", margin)?;
        self.margin = margin;
        Ok(self)
    }

    /// Caps the exponents of a divergence; see [`super::f_dpo::Divergence::score`]. Without it, at
    /// [`exponent_max`](accordant_ops::stable::exponent_max) of the dtype over [`MarginLoss::degree`].
    ///
    /// # Errors
    /// A domain error unless it is finite and > 0.
    pub fn with_exponent_max(mut self, exponent_max: f64) -> Result<Self> {
        let holds = exponent_max.is_finite() && exponent_max > 0.0;
        check_domain(holds, "exponent_max", "finite and > 0", exponent_max)?;
        self.exponent_max = Some(exponent_max);
        Ok(self)
    }

    /// Multiplies each pair's loss, without its regularizer, by a detached factor.
    pub fn with_weighting(mut self, weighting: impl Weighting + 'static) -> Self {
        self.weighting = Some(Box::new(weighting));
        self
    }

    /// Adds `coefficient` times a term.
    ///
    /// # Errors
    /// A domain error unless the coefficient is finite and ≥ 0.
    pub fn with_regularizer(mut self, coefficient: f64, regularizer: impl Regularizer + 'static) -> Result<Self> {
        let holds = coefficient.is_finite() && coefficient >= 0.0;
        check_domain(holds, "coefficient", "finite and >= 0", coefficient)?;
        self.regularizer = Some((coefficient, Box::new(regularizer)));
        Ok(self)
    }

    /// The margins `h = β (s_w − s_l) − γ` before the batch's hooks, and the rewards to report.
    ///
    /// # Errors
    /// [`crate::Error::MissingReference`] naming `method`.
    pub fn margins(&self, batch: &PairBatch, method: &'static str) -> Result<(Tensor<1>, PairValues)> {
        let scores = self.score.of(batch, self.exponent_max(batch), method)?;
        let rewards = self.score.reported(batch, &scores).map(|score| batch.times_beta(score, self.beta));
        let h = batch.times_beta(scores.difference(), self.beta);
        let h = if self.margin == 0.0 { h } else { h - self.margin };
        Ok((h, rewards))
    }

    fn exponent_max(&self, batch: &PairBatch) -> Option<f64> {
        Some(exponent_max(batch, self.exponent_max, self.loss.degree()))
    }

    /// The loss of its margin.
    pub fn margin_loss(&self) -> &dyn MarginLoss {
        &*self.loss
    }

    /// [`PairwiseObjective::forward`] of the method `method`, which errors name.
    ///
    /// # Errors
    /// As there.
    pub fn forward_as(&self, batch: &PairBatch, method: &'static str) -> Result<PairOutput> {
        let (h, rewards) = self.margins(batch, method)?;
        let mut losses = self.loss.losses(batch, h);
        if let Some(weighting) = &self.weighting {
            losses = losses * weighting.factors(batch)?.detach();
        }
        if let Some((coefficient, regularizer)) = &self.regularizer {
            losses = losses + regularizer.penalties(batch)? * *coefficient;
        }
        let output = PairOutput::with_rewards(losses, batch, rewards);
        self.score.log_clamped(output, batch, self.exponent_max(batch), method)
    }
}

impl PairwiseObjective for Composed {
    fn needs_reference(&self) -> bool {
        self.score.needs_reference()
    }

    fn columns(&self) -> Vec<Column> {
        let weightings = self.weighting.as_ref().map(|weighting| weighting.columns()).unwrap_or_default();
        let regularizers = self.regularizer.as_ref().map(|(_, regularizer)| regularizer.columns());
        merged(weightings, regularizers.unwrap_or_default())
    }

    fn extras(&self) -> Vec<Extra> {
        self.regularizer.as_ref().map(|(_, regularizer)| regularizer.extras()).unwrap_or_default()
    }

    fn uses_batch_statistics(&self) -> bool {
        self.weighting.as_ref().is_some_and(|weighting| weighting.uses_batch_statistics())
    }

    fn observe(&self, state: &mut State, batch: &PairBatch) -> Result<()> {
        self.weighting.as_ref().map_or(Ok(()), |weighting| weighting.observe(state, batch))
    }

    fn forward(&self, batch: &PairBatch) -> Result<PairOutput> {
        self.forward_as(batch, "composed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pairwise::{
        Length,
        hinge::HingeLoss,
        tests::{column, spec_batch},
    };

    #[test]
    fn margin_coefficient_and_third_responses_of_a_composition() {
        use crate::pairwise::sft::{NllScope, PROMPT_AND_CHOSEN, SftConfig};
        let base = || Composed::new(Score::LogRatio(Length::Sum), 0.1, HingeLoss).unwrap();
        let loss = |objective: &Composed| column(&objective.forward(&spec_batch()).unwrap().losses)[0];
        // 1 − (0.1 · 1.5 − 0.25)
        assert!((loss(&base().with_margin(0.25).unwrap()) - 1.1).abs() < 1e-14);
        // 0.85 + 0.5 · 1.2, the negative log-likelihood of a token
        let sft = SftConfig::new().init().unwrap();
        assert!((loss(&base().with_regularizer(0.5, sft).unwrap()) - 1.45).abs() < 1e-14);
        assert!(base().extras().is_empty());
        let whole = SftConfig::new().with_scope(NllScope::PromptAndCompletion).init().unwrap();
        assert_eq!(base().with_regularizer(0.5, whole).unwrap().extras(), [PROMPT_AND_CHOSEN]);
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let error = base().with_exponent_max(bad).unwrap_err().to_string();
            assert_eq!(error, format!("`exponent_max`: expected finite and > 0, got {bad}"));
        }
    }

    #[test]
    fn a_weighting_without_columns_of_its_own_asks_for_none() {
        #[derive(Debug)]
        struct Half;
        impl Weighting for Half {
            fn factors(&self, batch: &PairBatch) -> Result<Tensor<1>> {
                Ok(batch.weights() * 0.5)
            }
        }
        let weighted = Composed::new(Score::LogRatio(Length::Sum), 0.1, HingeLoss).unwrap().with_weighting(Half);
        assert!(PairwiseObjective::columns(&weighted).is_empty());
        // Half of 1 − 0.1 · 1.5.
        assert!((column(&weighted.forward(&spec_batch()).unwrap().losses)[0] - 0.425).abs() < 1e-14);
    }
}
