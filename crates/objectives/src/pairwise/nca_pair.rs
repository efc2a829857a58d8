//! Noise Contrastive Alignment on pairs (NCA).
//!
//! **Paper:** Noise Contrastive Alignment of Language Models with Explicit Rewards (2024), 2402.05369.
//! **Use when:** DPO lets the likelihood of chosen responses fall: here it has a target of its own.
//! **Checked by:** values and gradients by hand, the finite target, golden numbers (TRL), the laws of the family.
//! **Deviations:** none.

use accordant_ops::stable::softplus;
use burn::{config::Config, tensor::Tensor};

use super::{Method, PairBatch, PairOutput, PairValues, PairwiseObjective, check_beta};
use crate::Result;

/// NCA's losses of pairs.
///
/// ```text
/// loss = −log σ(a) − ½ log σ(−a) − ½ log σ(−b),   a = β d_w, b = β d_l
/// ```
///
/// Half the pair's margin is taken from `a` and half is given to `b`. With a probability `q` that the label is wrong, the
/// loss is `(1−q)` times this plus `q` times the same with `a` and `b` exchanged.
///
/// # Shapes
/// `rewards`: two `[n]`, `beta` times the summed log-ratios; the result is `[n]`.
///
/// Policy = reference gives `2 ln 2`. Both likelihoods count, not their ratio alone: the chosen reward has the finite
/// target ln 2, the rejected one falls. Finite for every finite input.
///
/// # Errors
/// A shape error when there is not one reward for each response of `batch`.
///
/// # Example
/// ```
/// use accordant_objectives::pairwise::{PairBatch, PairLogps, PairValues, nca_pair::nca_pair_loss};
/// use accordant_objectives::SequenceLogps;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let one = |x: f32| Tensor::<1>::from_floats([x], &device);
/// let logps = |x| SequenceLogps::new(one(x), one(1.0));
/// let batch = PairBatch::new(PairLogps::new(logps(-1.0)?, logps(-2.0)?)?);
/// // σ(ln 3) = 3/4: −ln 3/4 − ½ ln 1/4 − ½ ln 1/2.
/// let loss = nca_pair_loss(&batch, PairValues { chosen: one(3f32.ln()), rejected: one(0.0) })?.into_scalar::<f32>();
/// assert!((loss - (4f32 / 3.0).ln() - 1.5 * 2f32.ln()).abs() < 1e-6);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2402.05369")]
#[doc(alias = "Noise Contrastive Alignment of Language Models with Explicit Rewards")]
pub fn nca_pair_loss(batch: &PairBatch, rewards: PairValues) -> Result<Tensor<1>> {
    batch.check_values(&rewards)?;
    Ok(batch.reward_losses(rewards, |PairValues { chosen, rejected }| {
        softplus(-chosen.clone()) + (softplus(chosen) + softplus(rejected)) * 0.5
    }))
}

/// Configuration of [`NcaPair`].
#[derive(Config, Debug, PartialEq)]
pub struct NcaPairConfig {
    /// Strength of the KL pull, finite and > 0. 0.1: TRL's default, equal to DPO's; the authors train with 0.01.
    #[config(default = 0.1)]
    pub beta: f64,
}

impl NcaPairConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<NcaPair> {
        check_beta(self.beta)?;
        Ok(NcaPair { config: self.clone() })
    }
}

/// The NCA objective on pairs; see [`nca_pair_loss`].
#[derive(Debug, Clone, PartialEq)]
pub struct NcaPair {
    config: NcaPairConfig,
}

/// `nca_pair` by name.
pub const METHOD: Method = Method {
    name: "nca_pair",
    title: "Noise Contrastive Alignment on pairs",
    build: |options| Ok(Box::new(options.apply("nca_pair", NcaPairConfig::new())?.init()?)),
};

impl PairwiseObjective for NcaPair {
    fn forward(&self, batch: &PairBatch) -> Result<PairOutput> {
        let rewards = batch.log_ratios("nca_pair")?.map(|ratio| batch.times_beta(ratio, self.config.beta));
        Ok(PairOutput::with_rewards(nca_pair_loss(batch, rewards.clone())?, batch, rewards))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pairwise::tests::{column, grad_of_policy, spec_batch, tensor};

    fn nca() -> NcaPair {
        NcaPairConfig::new().init().expect("the defaults are valid")
    }

    fn sigma(x: f64) -> f64 {
        1.0 / (1.0 + (-x).exp())
    }

    fn by_hand(a: f64, b: f64) -> f64 {
        -sigma(a).ln() - 0.5 * sigma(-a).ln() - 0.5 * sigma(-b).ln()
    }

    #[test]
    fn value_and_gradient_by_hand() {
        let output = nca().forward(&spec_batch()).unwrap();
        assert!((column(&output.losses)[0] - 1.350824814).abs() < 1e-9);
        assert_eq!((column(&output.chosen_rewards), column(&output.rejected_rewards)), (vec![0.1], vec![-0.05]));
        let (chosen, rejected) = grad_of_policy(&spec_batch(), &nca());
        assert!((chosen[0] - 0.1 * (0.5 * sigma(0.1) - sigma(-0.1))).abs() < 1e-15);
        assert!((rejected[0] - 0.05 * sigma(-0.05)).abs() < 1e-15);
    }

    #[test]
    fn the_chosen_reward_has_a_finite_target() {
        let loss = |a: f64| {
            let rewards = PairValues { chosen: tensor(&[a]), rejected: tensor(&[0.0]) };
            column(&nca_pair_loss(&spec_batch(), rewards).unwrap())[0]
        };
        let best = 2f64.ln();
        assert!(loss(best - 0.01) > loss(best) && loss(best + 0.01) > loss(best));
        assert!((loss(0.0) - 2.0 * 2f64.ln()).abs() < 1e-15);
    }

    #[test]
    fn hooks_reach_the_loss() {
        let loss = |batch: PairBatch| column(&nca().forward(&batch).unwrap().losses)[0];
        let margin = spec_batch().with_margins(tensor(&[0.4])).unwrap();
        assert!((loss(margin) - by_hand(-0.1, 0.15)).abs() < 1e-12);
        assert!((loss(spec_batch().with_betas(tensor(&[1.0])).unwrap()) - by_hand(1.0, -0.5)).abs() < 1e-12);
        let doubtful = spec_batch().with_label_probs(tensor(&[0.75])).unwrap();
        assert!((loss(doubtful) - 0.75 * by_hand(0.1, -0.05) - 0.25 * by_hand(-0.05, 0.1)).abs() < 1e-12);
    }

    #[test]
    fn senseless_input_is_refused_by_name() {
        assert_eq!(NcaPairConfig::new(), NcaPairConfig { beta: 0.1 });
        for beta in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(NcaPairConfig::new().with_beta(beta).init().unwrap_err().to_string().starts_with("`beta`"));
        }
        let error = nca().forward(&PairBatch::new(spec_batch().policy().clone())).unwrap_err().to_string();
        assert!(error.starts_with("`nca_pair` needs the reference"), "{error}");
        let rewards = PairValues { chosen: tensor(&[1.0, 2.0]), rejected: tensor(&[0.0]) };
        assert!(nca_pair_loss(&spec_batch(), rewards).unwrap_err().to_string().starts_with("`values.chosen`"));
    }

    accordant_laws::pairwise_laws!(
        obeys_the_laws,
        "nca_pair",
        NcaPairConfig::new().init().unwrap(),
        [],
        [
            ShiftSensitive,
            IncreasingInRejected,
            ConvexInMargin,
            AtReference(2.0 * 2f64.ln()),
            LowerBound(0.0),
            LabelProbMixes,
        ],
    );
}
