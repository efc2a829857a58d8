//! Implicit Reward Pairwise Difference based Empirical Preference Optimization (iREPO).
//!
//! **Paper:** iREPO: implicit Reward Pairwise Difference based Empirical Preference Optimization (2024), 2405.15230.
//! **Use when:** several annotators, or a judge's probabilities, label pairs of the policy's own responses; the reference
//! is the previous iterate. With rewards in place of probabilities take [`super::rebel`].
//! **Checked by:** hand-worked values and gradients, the minimum of soft-label DPO ([`super::osp`]).
//! **Deviations:** none.

use accordant_ops::check_domain;
use burn::{config::Config, tensor::Tensor};

use super::{
    Method, PairBatch, PairOutput, PairValues, PairwiseObjective, check_beta, columns::LABEL_PROBS, rebel::rebel_loss,
};
use crate::{Result, side::Column};

/// iREPO losses, one per pair, of the batch's label probabilities `p`.
///
/// ```text
/// loss = (β (d_w − d_l) − margin − log(p/(1 − p)))²,   p in [c, 1 − c]
/// ```
///
/// Swapping a pair and its probability changes nothing: which response is called chosen does not matter.
///
/// # Shapes
/// `ratios`: two `[n]` of summed log-ratios in nats; the result is `[n]`.
///
/// `beta` > 0, `label_prob_min` (c) in `(0, 0.5)`. Zero just where the implied probability `σ(h)` is `p`. Quadratic:
/// log-ratios of ±1e4 stay finite in f32.
///
/// # Errors
/// [`crate::Error::MissingColumn`] naming `label_probs`; a shape error when there is not one log-ratio for each response
/// of `batch`.
///
/// # Example
/// ```
/// use accordant_objectives::pairwise::{PairBatch, PairLogps, PairValues, irepo::irepo_loss};
/// use accordant_ops::SequenceLogps;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let one = |x: f32| Tensor::<1>::from_floats([x], &device);
/// let logps = |x| SequenceLogps::new(one(x), one(1.0));
/// let batch = PairBatch::new(PairLogps::new(logps(-1.0)?, logps(-2.0)?)?).with_label_probs(one(0.75))?;
/// // log 0.75/0.25 = ln 3, two above h.
/// let ratios = PairValues { chosen: one(3f32.ln() - 2.0), rejected: one(0.0) };
/// let loss = irepo_loss(&batch, ratios, 1.0, 0.001)?.into_scalar::<f32>();
/// assert!((loss - 4.0).abs() < 1e-5);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2405.15230")]
#[doc(alias = "iREPO: implicit Reward Pairwise Difference based Empirical Preference Optimization")]
pub fn irepo_loss(batch: &PairBatch, ratios: PairValues, beta: f64, label_prob_min: f64) -> Result<Tensor<1>> {
    let p = batch.label_probs("irepo")?.clamp(label_prob_min, 1.0 - label_prob_min);
    // 1 − p is exact from 1/2 on; by way of log p, a logarithm's last digit near 1 would count 1/(1 − p) times.
    let logit = p.clone().log() - (-p + 1.0).log();
    rebel_loss(batch, ratios, logit, beta)
}

/// Configuration of [`IRepo`].
#[derive(Config, Debug, PartialEq)]
pub struct IRepoConfig {
    /// Scale of the implicit reward, finite and > 0. 0.1 is ours, kept equal to DPO's.
    #[config(default = 0.1)]
    pub beta: f64,
    /// Probabilities are kept this far from 0 and 1, in `(0, 0.5)`: unanimous annotators have infinite log-odds. 0.001 is
    /// ours; see [`IRepoConfig::for_annotators`].
    #[config(default = 0.001)]
    pub label_prob_min: f64,
}

impl IRepoConfig {
    /// For probabilities that are shares of `annotators` votes: `1/(2N + 2)`, half a vote in one more.
    ///
    /// # Example
    /// ```
    /// use accordant_objectives::pairwise::irepo::IRepoConfig;
    /// assert_eq!(IRepoConfig::for_annotators(4).label_prob_min, 0.1);
    /// ```
    pub fn for_annotators(annotators: usize) -> Self {
        Self::new().with_label_prob_min(1.0 / (2.0 * annotators as f64 + 2.0))
    }

    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<IRepo> {
        check_beta(self.beta)?;
        let min = self.label_prob_min;
        check_domain(min > 0.0 && min < 0.5, "label_prob_min", "in (0, 0.5)", min)?;
        Ok(IRepo { config: self.clone() })
    }
}

/// The iREPO objective; see [`irepo_loss`].
#[derive(Debug, Clone, PartialEq)]
pub struct IRepo {
    config: IRepoConfig,
}

/// `irepo` by name.
pub const METHOD: Method = Method {
    name: "irepo",
    title: "Implicit Reward Pairwise Difference based Empirical Preference Optimization",
    build: |options| Ok(Box::new(options.apply("irepo", IRepoConfig::new())?.init()?)),
};

impl PairwiseObjective for IRepo {
    fn columns(&self) -> Vec<Column> {
        vec![LABEL_PROBS]
    }

    fn forward(&self, batch: &PairBatch) -> Result<PairOutput> {
        let IRepoConfig { beta, label_prob_min } = self.config;
        let losses = irepo_loss(batch, batch.log_ratios("irepo")?, beta, label_prob_min)?;
        Ok(PairOutput::new(losses, batch, beta))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pairwise::tests::{column, grad_of_policy, spec_batch, tensor};

    fn labeled(p: f64) -> PairBatch {
        spec_batch().with_label_probs(tensor(&[p])).unwrap()
    }

    fn irepo() -> IRepo {
        IRepoConfig::new().init().unwrap()
    }

    fn loss(batch: &PairBatch) -> f64 {
        column(&irepo().forward(batch).unwrap().losses)[0]
    }

    #[test]
    fn value_and_gradient_by_hand() {
        // h = 0.15, ln 4 = 1.386294
        assert!((loss(&labeled(0.8)) - 1.528423747).abs() < 1e-9);
        let (chosen, rejected) = grad_of_policy(&labeled(0.8), &irepo());
        let expected = 0.1 * 2.0 * (0.15 - 4f64.ln());
        assert!((chosen[0] - expected).abs() < 1e-12 && (rejected[0] + expected).abs() < 1e-12);
        let output = irepo().forward(&labeled(0.8)).unwrap();
        assert!((column(&output.chosen_rewards)[0] - 0.1).abs() < 1e-15);
    }

    #[test]
    fn it_vanishes_where_the_implied_probability_is_the_label() {
        assert!(loss(&labeled(1.0 / (1.0 + (-0.15f64).exp()))) < 1e-24);
    }

    #[test]
    fn which_response_is_called_chosen_does_not_matter() {
        let swap = |pairs: &crate::pairwise::PairLogps| {
            crate::pairwise::PairLogps::new(pairs.rejected.clone(), pairs.chosen.clone()).unwrap()
        };
        let swapped =
            PairBatch::new(swap(spec_batch().policy())).with_reference(swap(spec_batch().reference().unwrap()));
        let swapped = swapped.unwrap().with_label_probs(tensor(&[0.2])).unwrap();
        assert!((loss(&swapped) - loss(&labeled(0.8))).abs() < 1e-12);
    }

    #[test]
    fn unanimous_labels_are_kept_from_certainty() {
        for (given, counted) in [(1.0, 0.999), (0.0, 0.001)] {
            assert!((loss(&labeled(given)) - loss(&labeled(counted))).abs() < 1e-12);
        }
        let four = IRepoConfig::for_annotators(4).init().unwrap();
        let sure = column(&four.forward(&labeled(1.0)).unwrap().losses)[0];
        assert!((sure - (0.15 - 9f64.ln()).powi(2)).abs() < 1e-12);
    }

    #[test]
    fn the_hooks_reach_the_loss() {
        let target = 4f64.ln();
        let batch = labeled(0.8).with_margins(tensor(&[0.05])).unwrap();
        assert!((loss(&batch) - (0.1 - target).powi(2)).abs() < 1e-12);
        let batch = labeled(0.8).with_betas(tensor(&[1.0])).unwrap();
        assert!((loss(&batch) - (1.5 - target).powi(2)).abs() < 1e-12);
    }

    #[test]
    fn senseless_settings_and_inputs_are_refused_by_name() {
        assert_eq!((IRepoConfig::new().beta, IRepoConfig::new().label_prob_min), (0.1, 0.001));
        assert!(IRepoConfig::new().with_beta(0.0).init().unwrap_err().to_string().starts_with("`beta`"));
        for bad in [0.0, -0.1, 0.5, f64::NAN, f64::INFINITY] {
            let error = IRepoConfig::new().with_label_prob_min(bad).init().unwrap_err().to_string();
            assert_eq!(error, format!("`label_prob_min`: expected in (0, 0.5), got {bad}"));
        }
        let error = irepo().forward(&spec_batch()).unwrap_err().to_string();
        assert!(error.starts_with("`irepo` needs `label_probs`"), "{error}");
        assert_eq!(irepo().columns(), [LABEL_PROBS]);
        let ratios = PairValues { chosen: tensor(&[1.0, 2.0]), rejected: tensor(&[0.0]) };
        assert!(irepo_loss(&labeled(0.8), ratios, 1.0, 0.1).is_err());
    }

    accordant_laws::pairwise_laws!(
        irepo_obeys_the_laws,
        "irepo",
        irepo(),
        ["label_probs" => Unit],
        [ShiftInvariant, LowerBound(0.0), ConvexInMargin, MarginShifts { beta: 0.1 }]
    );
}
