//! Exploratory Preference Optimization (XPO).
//!
//! **Paper:** Exploratory Preference Optimization: Harnessing Implicit Q*-Approximation for Sample-Efficient RLHF (2024),
//! 2405.21046.
//! **Use when:** training online with a judge, and the policy should look beyond what the reference would write.
//! **Checked by:** the laws, golden numbers (TRL), hand-worked values and gradients, the limit `alpha = 0`.
//! **Deviations:** none.

use accordant_ops::check_domain;
use burn::{config::Config, tensor::Tensor};

use super::{
    Method, PairBatch, PairOutput, PairwiseObjective, Regularizer, check_beta,
    online_dpo::{OnlineLoss, RankedRows},
};
use crate::{
    Result,
    side::{Column, Domain},
};

/// Which member of a pair the reference wrote.
pub const REFERENCE_WON: Column = Column {
    name: "reference_won",
    domain: Domain::Binary,
    meaning: "1 where the chosen response is the reference's sample and the rejected one the policy's, else 0",
};

/// [`REFERENCE_WON`] of a ranking whose first responses are the policy's samples and whose second ones the reference's;
/// `prompts` is the number of both, before failed judgments were dropped.
///
/// # Example
/// ```
/// use accordant_objectives::pairwise::{online_dpo::rank_by_judgment, xpo::reference_won};
/// let ranked = rank_by_judgment(&[0, 1, -1])?;
/// assert_eq!(reference_won(&ranked, 3), [0.0, 1.0]);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
pub fn reference_won(ranked: &[RankedRows], prompts: usize) -> Vec<f64> {
    ranked.iter().map(|pair| f64::from(u8::from(pair.chosen >= prompts))).collect()
}

/// The policy's log-probability of the response that the reference wrote, summed over its tokens, `[n]`: the exploration
/// term, which lowers it.
///
/// # Errors
/// A shape error naming `reference_won`.
///
/// # Example
/// ```
/// use accordant_objectives::{SequenceLogps, pairwise::{PairLogps, xpo::explored_logps}};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let two = |values: [f32; 2]| Tensor::<1>::from_floats(values, &device);
/// let logps = |values| SequenceLogps::new(two(values), two([1.0, 1.0]));
/// let pairs = PairLogps::new(logps([-1.0, -2.0])?, logps([-3.0, -4.0])?)?;
/// let explored = explored_logps(&pairs, two([1.0, 0.0]))?;
/// assert_eq!(explored.try_to_vec_as::<f32>().unwrap(), [-1.0, -4.0]);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
pub fn explored_logps(policy: &super::PairLogps, reference_won: Tensor<1>) -> Result<Tensor<1>> {
    accordant_ops::check_shape("reference_won", &[policy.len()], &reference_won.dims())?;
    Ok(policy.rejected.sum.clone().mask_where(reference_won.greater_scalar(0.5), policy.chosen.sum.clone()))
}

/// [`explored_logps`], to be added to any method.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exploration;

impl Regularizer for Exploration {
    fn penalties(&self, batch: &PairBatch) -> Result<Tensor<1>> {
        explored_logps(batch.policy(), batch.column(REFERENCE_WON, "xpo")?)
    }

    fn columns(&self) -> Vec<Column> {
        vec![REFERENCE_WON]
    }
}

/// Configuration of [`Xpo`].
#[derive(Config, Debug, PartialEq)]
pub struct XpoConfig {
    /// Strength of the KL pull, finite and > 0. 0.1: TRL's.
    #[config(default = 0.1)]
    pub beta: f64,
    /// Weight α of the exploration term, finite and ≥ 0; with 0 it is online DPO and [`REFERENCE_WON`] is not read. 1e-5:
    /// TRL's. A schedule is a new objective for each step.
    #[config(default = 1e-5)]
    pub alpha: f64,
    /// The loss on the pair. `Sigmoid`: the paper's.
    #[config(default = "OnlineLoss::Sigmoid")]
    pub loss: OnlineLoss,
}

impl XpoConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<Xpo> {
        check_beta(self.beta)?;
        check_domain(self.alpha.is_finite() && self.alpha >= 0.0, "alpha", "finite and >= 0", self.alpha)?;
        Ok(Xpo { config: self.clone() })
    }
}

/// The XPO objective, on pairs of a sample of the policy and one of the reference:
///
/// ```text
/// loss = −log σ(h) + α log π(y_ref|x),   h = β (d_w − d_l) − margin        (algorithm 1)
/// ```
///
/// Rewards are `beta` times the log-ratio; `loss/preference` and `logps/explored`, the mean of
/// `log π(y_ref|x)`, are logged. Label probabilities, margins and betas concern the pair; what the reference wrote is no
/// label, and stays what it is.
#[doc(alias = "2405.21046")]
#[doc(alias = "Exploratory Preference Optimization")]
#[derive(Debug, Clone, PartialEq)]
pub struct Xpo {
    config: XpoConfig,
}

/// `xpo` by name.
pub const METHOD: Method = Method {
    name: "xpo",
    title: "Exploratory Preference Optimization",
    build: |options| Ok(Box::new(options.apply("xpo", XpoConfig::new())?.init()?)),
};

impl PairwiseObjective for Xpo {
    fn columns(&self) -> Vec<Column> {
        if self.config.alpha > 0.0 { Exploration.columns() } else { Vec::new() }
    }

    fn forward(&self, batch: &PairBatch) -> Result<PairOutput> {
        let XpoConfig { beta, alpha, loss } = self.config;
        let output = PairOutput::new(loss.losses(batch, batch.log_ratios("xpo")?, beta)?, batch, beta);
        if alpha == 0.0 {
            return Ok(output);
        }
        let explored = Exploration.penalties(batch)?;
        let preference = output.losses.clone();
        output
            .with_added(batch, explored.clone() * alpha)?
            .with_metric("loss/preference", preference)?
            .with_metric("logps/explored", explored)
    }
}

#[cfg(test)]
mod tests {
    use accordant_laws::{Property, Range, Subject, Tensors, laws};
    use burn::tensor::Device;

    use super::*;
    use crate::pairwise::{
        Composed, Length, Score,
        hinge::HingeLoss,
        tests::{column, evaluated, grad_of_policy, spec_batch, tensor},
    };

    fn xpo(alpha: f64) -> Xpo {
        XpoConfig::new().with_alpha(alpha).init().unwrap()
    }

    fn batch(reference_won: f64) -> PairBatch {
        spec_batch().with_column(REFERENCE_WON, tensor(&[reference_won])).unwrap()
    }

    #[test]
    fn beside_another_loss_it_still_says_what_it_reads() {
        let hinge = Composed::new(Score::LogRatio(Length::Sum), 0.1, HingeLoss).unwrap();
        let explored = hinge.with_regularizer(0.1, Exploration).unwrap();
        assert_eq!(explored.columns(), [REFERENCE_WON]);
        // The hinge at h = 0.15, and a tenth of −15.
        assert!((column(&explored.forward(&batch(0.0)).unwrap().losses)[0] - (0.85 - 1.5)).abs() < 1e-14);
    }

    #[test]
    fn values_by_hand() {
        // DPO's 0.6209570478; L_w = −12 and L_l = −15.
        for (won, explored) in [(1.0, -12.0), (0.0, -15.0)] {
            let output = xpo(0.01).forward(&batch(won)).unwrap();
            assert!((column(&output.losses)[0] - (0.6209570478 + 0.01 * explored)).abs() < 1e-10);
            let means = output.means();
            assert_eq!(means.mean("logps/explored"), Some(explored));
            assert!((means.mean("loss/preference").unwrap() - 0.6209570478).abs() < 1e-10);
            assert!((column(&output.chosen_rewards)[0] - 0.1).abs() < 1e-15);
        }
        let ipo = XpoConfig::new().with_alpha(1.0).with_loss(OnlineLoss::Ipo).init().unwrap();
        assert!((column(&ipo.forward(&batch(0.0)).unwrap().losses)[0] - (12.25 - 15.0)).abs() < 1e-12);
    }

    #[test]
    fn the_likelihood_of_the_references_sample_falls() {
        let pull = 0.0462570155;
        let (chosen, rejected) = grad_of_policy(&batch(1.0), &xpo(0.01));
        assert!((chosen[0] + pull - 0.01).abs() < 1e-10 && (rejected[0] - pull).abs() < 1e-10);
        let (chosen, rejected) = grad_of_policy(&batch(0.0), &xpo(0.01));
        assert!((chosen[0] + pull).abs() < 1e-10 && (rejected[0] - pull - 0.01).abs() < 1e-10);
    }

    #[test]
    fn alpha_0_is_online_dpo_and_reads_no_column() {
        assert!((column(&xpo(0.0).forward(&spec_batch()).unwrap().losses)[0] - 0.6209570478).abs() < 1e-10);
        assert_eq!((xpo(0.0).columns(), xpo(1e-9).columns()), (vec![], vec![REFERENCE_WON]));
        let error = xpo(0.1).forward(&spec_batch()).unwrap_err().to_string();
        assert!(error.starts_with("`xpo` needs `reference_won` (1 where"), "{error}");
        let free = PairBatch::new(spec_batch().policy().clone());
        let error = xpo(0.1).forward(&free).unwrap_err().to_string();
        assert_eq!(error, "`xpo` needs the reference's log-probabilities, and the batch has none");
    }

    #[test]
    fn a_doubtful_label_mixes_the_preference_alone() {
        let soft = batch(1.0).with_label_probs(tensor(&[0.75])).unwrap();
        // sp(−0.15) + 0.25 · 0.15.
        let expected = 0.6209570478 + 0.25 * 0.15 - 0.12;
        assert!((column(&xpo(0.01).forward(&soft).unwrap().losses)[0] - expected).abs() < 1e-10);
        let scaled = batch(1.0).with_scales(tensor(&[0.5])).unwrap();
        assert!((column(&xpo(0.01).forward(&scaled).unwrap().losses)[0] - 0.5 * 0.5009570478).abs() < 1e-10);
    }

    #[test]
    fn who_wrote_what_follows_from_the_ranking() {
        let ranked = [RankedRows { chosen: 2, rejected: 0 }, RankedRows { chosen: 1, rejected: 3 }];
        assert_eq!(reference_won(&ranked, 2), [1.0, 0.0]);
    }

    #[test]
    fn defaults_and_what_does_not_fit() {
        let XpoConfig { beta, alpha, loss } = XpoConfig::new();
        assert_eq!((beta, alpha, loss), (0.1, 1e-5, OnlineLoss::Sigmoid));
        let error = explored_logps(spec_batch().policy(), tensor(&[1.0, 0.0])).unwrap_err().to_string();
        assert_eq!(error, "`reference_won`: expected shape [1], got [2]");
        assert!(XpoConfig::new().with_beta(0.0).init().unwrap_err().to_string().starts_with("`beta`"));
        for alpha in [-0.1, f64::NAN, f64::INFINITY] {
            let error = XpoConfig::new().with_alpha(alpha).init().unwrap_err().to_string();
            assert_eq!(error, format!("`alpha`: expected finite and >= 0, got {alpha}"));
        }
    }

    laws!(
        laws_hold,
        Subject::pairwise("xpo", &|t: &Tensors| evaluated(&xpo(0.1), t, &[]))
            .on(Device::flex())
            .column("reference_won", Range::Binary)
            .declare(Property::ShiftSensitive)
            .declare(Property::ConvexInMargin)
    );

    laws!(
        laws_hold_without_exploration,
        Subject::pairwise("xpo without exploration", &|t: &Tensors| evaluated(&xpo(0.0), t, &[]))
            .on(Device::flex())
            .declare(Property::LabelProbMixes)
            .declare(Property::MarginShifts { beta: 0.1 })
            .declare(Property::ShiftInvariant)
            .declare(Property::SwapDifference(0.1))
            .declare(Property::AtReference(std::f64::consts::LN_2))
            .declare(Property::LowerBound(0.0))
    );
}
