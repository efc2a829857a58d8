//! The scores of judged pairs, what was said about them, and what a likelihood makes of both.

use accordant_ops::{check_dtype, check_shape};
use burn::tensor::{Bool, Tensor};

use crate::{Nll, Result};

/// Scores of the two sides of each pair, `[n]`, and what was said about the pair.
///
/// Whatever is not said has its default: the first side won, every pair weighs 1, no margin, no offset. Everything but the
/// scores is a constant: it is detached.
///
/// # Example
/// ```
/// use accordant_preference::pairwise::PairScores;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let pairs = PairScores::new(Tensor::from_floats([1.0, 0.0], &device), Tensor::from_floats([0.0, 2.0], &device))?
///     .with_targets(Tensor::from_floats([1.0, 0.25], &device))?; // one vote in four for the first
/// assert_eq!(pairs.differences().into_data().to_vec::<f32>().unwrap(), [1.0, -2.0]);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct PairScores {
    first: Tensor<1>,
    second: Tensor<1>,
    targets: Option<Tensor<1>>,
    ties: Option<Tensor<1, Bool>>,
    weights: Option<Tensor<1>>,
    margins: Option<Tensor<1>>,
    offsets: Option<Tensor<1>>,
}

impl PairScores {
    /// Scores of the first and of the second sides, of which the first won.
    ///
    /// # Errors
    /// A shape or dtype error naming `second`.
    pub fn new(first: Tensor<1>, second: Tensor<1>) -> Result<Self> {
        check_shape("second", &first.dims(), &second.dims())?;
        check_dtype("second", first.dtype(), second.dtype())?;
        Ok(Self { first, second, targets: None, ties: None, weights: None, margins: None, offsets: None })
    }

    /// Pairs of which a model sees only by how much the first side leads, as models of whole pairs do
    /// ([`crate::general`]): the second scores are 0, and `mean_score` is half the lead.
    pub fn from_differences(differences: Tensor<1>) -> Self {
        let second = differences.zeros_like().detach();
        Self { first: differences, second, targets: None, ties: None, weights: None, margins: None, offsets: None }
    }

    fn check(&self, name: &'static str, values: &Tensor<1>) -> Result<()> {
        check_shape(name, &self.first.dims(), &values.dims())?;
        Ok(check_dtype(name, self.first.dtype(), values.dtype())?)
    }

    /// The chance, or the share of votes, in [0, 1] that the first side is better.
    ///
    /// # Errors
    /// A shape or dtype error naming `targets`.
    pub fn with_targets(mut self, targets: Tensor<1>) -> Result<Self> {
        self.check("targets", &targets)?;
        self.targets = Some(targets.detach());
        Ok(self)
    }

    /// Which pairs were called a tie. Models with a chance of ties read it; for all others these pairs have target ½.
    ///
    /// # Errors
    /// A shape error naming `ties`.
    pub fn with_ties(mut self, ties: Tensor<1, Bool>) -> Result<Self> {
        check_shape("ties", &self.first.dims(), &ties.dims())?;
        self.ties = Some(ties);
        Ok(self)
    }

    /// How much each pair counts in a mean, ≥ 0.
    ///
    /// # Errors
    /// A shape or dtype error naming `weights`.
    pub fn with_weights(mut self, weights: Tensor<1>) -> Result<Self> {
        self.check("weights", &weights)?;
        self.weights = Some(weights.detach());
        Ok(self)
    }

    /// By how much the better side is to lead, in units of the scores; it is taken off the winner's lead.
    ///
    /// # Errors
    /// A shape or dtype error naming `margins`.
    pub fn with_margins(mut self, margins: Tensor<1>) -> Result<Self> {
        self.check("margins", &margins)?;
        self.margins = Some(margins.detach());
        Ok(self)
    }

    /// What else speaks for the first side, in units of the scores: its length, its place, its style.
    ///
    /// # Errors
    /// A shape or dtype error naming `offsets`.
    pub fn with_offsets(mut self, offsets: Tensor<1>) -> Result<Self> {
        self.check("offsets", &offsets)?;
        self.offsets = Some(offsets.detach());
        Ok(self)
    }

    /// Scores of the first sides.
    pub fn first(&self) -> Tensor<1> {
        self.first.clone()
    }

    /// Scores of the second sides.
    pub fn second(&self) -> Tensor<1> {
        self.second.clone()
    }

    /// `first − second`, without margins and offsets.
    pub fn differences(&self) -> Tensor<1> {
        self.first.clone() - self.second.clone()
    }

    /// The share of the first side; ½ of a tie.
    pub fn targets(&self) -> Tensor<1> {
        let targets = self.targets.clone().unwrap_or_else(|| self.first.ones_like().detach());
        match &self.ties {
            Some(ties) => targets.mask_fill(ties.clone(), 0.5),
            None => targets,
        }
    }

    /// Which pairs were called a tie, if that was said.
    pub fn ties(&self) -> Option<Tensor<1, Bool>> {
        self.ties.clone()
    }

    /// The weights; ones by default.
    pub fn weights(&self) -> Tensor<1> {
        self.weights.clone().unwrap_or_else(|| self.first.ones_like().detach())
    }

    /// The margins, if there are any.
    pub fn margins(&self) -> Option<Tensor<1>> {
        self.margins.clone()
    }

    /// The lead that a likelihood sees: `first − second + offset − margin`, the margin off the side with the larger share,
    /// so `sign(2 target − 1)` times it; no margin at target ½.
    pub fn leads(&self) -> Tensor<1> {
        let mut leads = self.differences();
        if let Some(offsets) = &self.offsets {
            leads = leads + offsets.clone();
        }
        if let Some(margins) = &self.margins {
            leads = leads - margins.clone() * (self.targets() - 0.5).sign();
        }
        leads
    }

    /// What was said about these pairs, of other scores of theirs.
    ///
    /// # Errors
    /// A shape or dtype error naming `first` or `second`.
    pub fn rescored(&self, first: Tensor<1>, second: Tensor<1>) -> Result<Self> {
        self.check("first", &first)?;
        self.check("second", &second)?;
        Ok(Self { first, second, ..self.clone() })
    }

    /// The pairs without their margins, for losses that use these otherwise.
    pub fn without_margins(&self) -> Self {
        Self { margins: None, ..self.clone() }
    }

    /// The pairs with their sides exchanged: scores, targets and offsets.
    pub fn swapped(&self) -> Self {
        Self {
            first: self.second.clone(),
            second: self.first.clone(),
            targets: Some(self.targets().neg() + 1.0),
            offsets: self.offsets.clone().map(Tensor::neg),
            ..self.clone()
        }
    }

    /// Losses with what every loss of pairs logs, by the differences of the scores: `accuracy` (a difference or a target
    /// in the middle counts one half), `mean_margin`, `mean_abs_margin` and `mean_score`; of what was said, `mean_target`
    /// (near 1 or 0 the same side nearly always wins, and a model that is not antisymmetric learns the side) and, where ties
    /// are told apart, their share `ties`.
    ///
    /// # Errors
    /// A shape error naming `losses`.
    pub fn nll(&self, losses: Tensor<1>) -> Result<Nll> {
        check_shape("losses", &self.first.dims(), &losses.dims())?;
        let differences = self.differences().detach();
        let agreement = differences.clone().sign() * (self.targets() - 0.5).sign();
        let mean = (self.first.clone() + self.second.clone()).detach() * 0.5;
        let nll = Nll::new(losses, self.weights())?
            .with_metric("accuracy", agreement * 0.5 + 0.5)?
            .with_metric("mean_margin", differences.clone())?
            .with_metric("mean_abs_margin", differences.clone().abs())?
            .with_metric("mean_score", mean)?
            .with_metric("mean_target", self.targets())?;
        match &self.ties {
            Some(ties) => nll.with_metric("ties", differences.zeros_like().mask_fill(ties.clone(), 1.0)),
            None => Ok(nll),
        }
    }
}

/// Log-probabilities of the outcomes of each pair, `[n]` each, in nats.
#[derive(Debug, Clone)]
pub struct Outcomes {
    /// That the first side is called better.
    pub first: Tensor<1>,
    /// That the two are called equal, in models with ties.
    pub tie: Option<Tensor<1>>,
    /// That the second side is called better.
    pub second: Tensor<1>,
}

impl Outcomes {
    /// The negative log-probability of what was said: the cross-entropy with the targets, and where a tie was called, minus
    /// the log-probability of a tie. Without a chance of ties a tie counts as half a win each way.
    pub fn losses(&self, pairs: &PairScores) -> Tensor<1> {
        let targets = pairs.targets();
        // A share of 0 is left out: the logarithm that it multiplies may be −∞.
        let side =
            |logs: &Tensor<1>, share: Tensor<1>| logs.clone().mask_fill(share.clone().equal_scalar(0.0), 0.0) * share;
        let judged = -(side(&self.first, targets.clone()) + side(&self.second, targets.neg() + 1.0));
        match (&self.tie, pairs.ties()) {
            (Some(tie), Some(ties)) => judged.mask_where(ties, -tie.clone()),
            _ => judged,
        }
    }
}

/// A loss of scores that were judged in pairs.
pub trait PairwiseLoss {
    /// One loss per pair.
    ///
    /// # Errors
    /// What the method needs and the pairs do not have.
    fn forward(&self, pairs: &PairScores) -> Result<Nll>;
}

/// A loss that is a likelihood.
pub trait PairwiseModel: PairwiseLoss {
    /// Log-probabilities of the outcomes.
    ///
    /// # Errors
    /// As the loss's.
    fn outcomes(&self, pairs: &PairScores) -> Result<Outcomes>;
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn tensor<const N: usize>(values: [f32; N]) -> Tensor<1> {
        Tensor::from_floats(values, &Device::flex())
    }

    fn values(tensor: Tensor<1>) -> Vec<f64> {
        tensor.try_to_vec_as::<f64>().unwrap()
    }

    fn pairs() -> PairScores {
        PairScores::new(tensor([3.0, 1.0, 2.0]), tensor([1.0, 2.0, 2.0])).unwrap()
    }

    #[test]
    fn margins_are_taken_off_the_lead_of_the_side_with_more_votes() {
        let pairs = pairs().with_targets(tensor([1.0, 0.25, 0.5])).unwrap().with_margins(tensor([0.5; 3])).unwrap();
        assert_eq!(values(pairs.leads()), [1.5, -0.5, 0.0]);
        assert_eq!(values(pairs.margins().unwrap()), [0.5; 3]);
        let offset = pairs.with_offsets(tensor([0.0, 4.0, -1.0])).unwrap();
        assert_eq!(values(offset.leads()), [1.5, 3.5, -1.0]);
        assert_eq!(values(offset.without_margins().leads()), [2.0, 3.0, -1.0]);
        let rescored = offset.rescored(tensor([1.0; 3]), tensor([0.0, 2.0, 0.0])).unwrap();
        assert_eq!(values(rescored.leads()), [0.5, 3.5, 0.0]);
        assert!(offset.rescored(tensor([1.0; 2]), tensor([0.0; 3])).is_err());
        assert!(offset.rescored(tensor([1.0; 3]), tensor([0.0; 2])).is_err());
        assert_eq!(values(offset.swapped().leads()), [-1.5, -3.5, 1.0]);
    }

    #[test]
    fn pairs_of_which_only_the_lead_is_known() {
        let pairs = PairScores::from_differences(tensor([2.0, -1.0]));
        assert_eq!(values(pairs.leads()), [2.0, -1.0]);
        assert_eq!(values(pairs.second()), [0.0, 0.0]);
        assert_eq!(values(pairs.swapped().leads()), [-2.0, 1.0]);
    }

    #[test]
    fn ties_are_half_a_win_each_way_where_a_model_has_none() {
        let device = Device::flex();
        let ties = Tensor::from_bool([true, false, false], &device);
        let pairs = pairs().with_ties(ties).unwrap();
        assert_eq!(values(pairs.targets()), [0.5, 1.0, 1.0]);
        let log = |p: [f32; 3]| tensor(p.map(f32::ln));
        let mut outcomes = Outcomes { first: log([0.5, 0.25, 0.5]), tie: None, second: log([0.125, 0.5, 0.25]) };
        let expected = [-(0.5f64.ln() + 0.125f64.ln()) / 2.0, -(0.25f64.ln()), -(0.5f64.ln())];
        let close = |got: Vec<f64>, expected: [f64; 3]| got.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(close(values(outcomes.losses(&pairs)), expected));
        outcomes.tie = Some(log([0.375, 0.25, 0.25]));
        assert!(close(values(outcomes.losses(&pairs)), [-(0.375f64.ln()), expected[1], expected[2]]));
    }

    #[test]
    fn every_loss_logs_how_well_scores_agree_with_targets() {
        let pairs = pairs().with_targets(tensor([0.0, 0.0, 1.0])).unwrap();
        let nll = pairs.nll(tensor([1.0; 3])).unwrap();
        let metric = |name| values(nll.metric(name).unwrap().0.clone());
        assert_eq!(metric("accuracy"), [0.0, 1.0, 0.5]);
        assert_eq!(metric("mean_margin"), [2.0, -1.0, 0.0]);
        assert_eq!(metric("mean_abs_margin"), [2.0, 1.0, 0.0]);
        assert_eq!(metric("mean_score"), [2.0, 1.5, 2.0]);
        assert_eq!(metric("mean_target"), [0.0, 0.0, 1.0]);
        assert!(nll.metric("ties").is_none());
    }

    #[test]
    fn ties_that_a_model_takes_for_halves_are_counted() {
        let pairs = pairs().with_ties(Tensor::from_bool([true, false, true], &Device::flex())).unwrap();
        let nll = pairs.nll(tensor([1.0; 3])).unwrap();
        assert_eq!(values(nll.metric("ties").unwrap().0.clone()), [1.0, 0.0, 1.0]);
        assert_eq!(values(nll.metric("mean_target").unwrap().0.clone()), [0.5, 1.0, 0.5]);
    }

    #[test]
    fn other_shapes_and_dtypes_are_errors_that_name_the_column() {
        let text = |result: Result<PairScores>| result.unwrap_err().to_string();
        assert!(text(PairScores::new(tensor([1.0]), tensor([1.0, 2.0]))).starts_with("`second`"));
        assert!(text(pairs().with_targets(tensor([1.0]))).starts_with("`targets`"));
        assert!(text(pairs().with_weights(tensor([1.0]))).starts_with("`weights`"));
        assert!(text(pairs().with_margins(tensor([1.0]))).starts_with("`margins`"));
        assert!(text(pairs().with_offsets(tensor([1.0]).cast(burn::tensor::FloatDType::F64))).starts_with("`offsets`"));
        assert!(text(pairs().with_ties(Tensor::from_bool([true], &Device::flex()))).starts_with("`ties`"));
        assert!(pairs().nll(tensor([1.0])).is_err());
    }
}
