//! Regression to Relative Rewards (REBEL).
//!
//! **Paper:** REBEL: Reinforcement Learning via Regressing Relative Rewards (2024), 2404.16767.
//! **Use when:** a reward model scores pairs of the policy's own responses; the reference is the policy that wrote them.
//! With probabilities in place of rewards take [`super::irepo`].
//! **Checked by:** hand-worked values and gradients.
//! **Deviations:** none; `beta` is `1/η` of the paper.

use burn::{config::Config, tensor::Tensor};

use super::{Method, PairBatch, PairOutput, PairValues, PairwiseObjective, check_beta, columns::REWARD_GAPS};
use crate::{Result, side::Column};

/// REBEL losses, one per pair.
///
/// ```text
/// loss = (β (d_w − d_l) − margin − (r_w − r_l))²,   β = 1/η        (eq. 1)
/// ```
///
/// Swapping a pair and the sign of its gap changes nothing: which response is called chosen does not matter.
///
/// # Shapes
/// `ratios`: two `[n]` of summed log-ratios in nats; `reward_gaps` (`r_w − r_l`): `[n]`, detached; the result is `[n]`.
///
/// `beta` > 0, in the reward's unit over nats. Quadratic: log-ratios of ±1e4 stay finite in f32.
///
/// # Errors
/// A shape or dtype error naming the argument.
///
/// # Example
/// ```
/// use accordant_objectives::pairwise::{PairBatch, PairLogps, PairValues, rebel::rebel_loss};
/// use accordant_ops::SequenceLogps;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let one = |x: f32| Tensor::<1>::from_floats([x], &device);
/// let logps = |x| SequenceLogps::new(one(x), one(1.0));
/// let batch = PairBatch::new(PairLogps::new(logps(-1.0)?, logps(-2.0)?)?);
/// let loss = rebel_loss(&batch, PairValues { chosen: one(2.0), rejected: one(-2.0) }, one(5.0), 0.5)?;
/// assert_eq!(loss.into_scalar::<f32>(), 9.0); // (0.5 · 4 − 5)²
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2404.16767")]
#[doc(alias = "REBEL: Reinforcement Learning via Regressing Relative Rewards")]
pub fn rebel_loss(batch: &PairBatch, ratios: PairValues, reward_gaps: Tensor<1>, beta: f64) -> Result<Tensor<1>> {
    batch.check_values(&ratios)?;
    batch.check_numbers("reward_gaps", &reward_gaps)?;
    let h = batch.less_margin(batch.times_beta(ratios.difference(), beta));
    Ok((h - reward_gaps.detach()).square())
}

/// Configuration of [`Rebel`].
#[derive(Config, Debug, PartialEq)]
pub struct RebelConfig {
    /// Scale of the implicit reward, `1/η`, finite and > 0. 0.1 is ours, kept equal to DPO's.
    #[config(default = 0.1)]
    pub beta: f64,
}

impl RebelConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<Rebel> {
        check_beta(self.beta)?;
        Ok(Rebel { config: self.clone() })
    }
}

/// The REBEL objective; see [`rebel_loss`]. Label probabilities are refused: the rewards say which response is better.
#[derive(Debug, Clone, PartialEq)]
pub struct Rebel {
    config: RebelConfig,
}

/// `rebel` by name.
pub const METHOD: Method = Method {
    name: "rebel",
    title: "Regression to Relative Rewards",
    build: |options| Ok(Box::new(options.apply("rebel", RebelConfig::new())?.init()?)),
};

impl PairwiseObjective for Rebel {
    fn columns(&self) -> Vec<Column> {
        vec![REWARD_GAPS]
    }

    fn forward(&self, batch: &PairBatch) -> Result<PairOutput> {
        batch.refuse("rebel", &["label_probs"], "the rewards say which response is better")?;
        let gaps = batch.column(REWARD_GAPS, "rebel")?;
        let losses = rebel_loss(batch, batch.log_ratios("rebel")?, gaps, self.config.beta)?;
        Ok(PairOutput::new(losses, batch, self.config.beta))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pairwise::tests::{column, grad_of_policy, spec_batch, tensor};

    fn gap(gap: f64) -> PairBatch {
        spec_batch().with_column(REWARD_GAPS, tensor(&[gap])).unwrap()
    }

    fn rebel() -> Rebel {
        RebelConfig::new().init().unwrap()
    }

    fn loss(batch: &PairBatch) -> f64 {
        column(&rebel().forward(batch).unwrap().losses)[0]
    }

    #[test]
    fn value_and_gradient_by_hand() {
        // (0.15 − 2)²
        assert!((loss(&gap(2.0)) - 3.4225).abs() < 1e-12);
        assert!(loss(&gap(0.15)) < 1e-24, "a regression that is met");
        let (chosen, rejected) = grad_of_policy(&gap(2.0), &rebel());
        assert!((chosen[0] + 0.1 * 2.0 * 1.85).abs() < 1e-12 && (rejected[0] - 0.37).abs() < 1e-12);
        let output = rebel().forward(&gap(2.0)).unwrap();
        assert!((column(&output.chosen_rewards)[0] - 0.1).abs() < 1e-15);
    }

    #[test]
    fn the_hooks_reach_the_loss_or_are_refused() {
        let batch = gap(2.0).with_margins(tensor(&[0.05])).unwrap();
        assert!((loss(&batch) - 1.9f64.powi(2)).abs() < 1e-12);
        let batch = gap(2.0).with_betas(tensor(&[1.0])).unwrap();
        assert!((loss(&batch) - 0.25).abs() < 1e-12);
        let error = rebel().forward(&gap(2.0).with_label_probs(tensor(&[1.0])).unwrap()).unwrap_err().to_string();
        assert!(error.starts_with("`rebel` cannot take `label_probs`"), "{error}");
    }

    #[test]
    fn senseless_settings_and_inputs_are_refused_by_name() {
        assert_eq!(RebelConfig::new().beta, 0.1);
        for beta in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(RebelConfig::new().with_beta(beta).init().unwrap_err().to_string().starts_with("`beta`"));
        }
        assert_eq!(rebel().columns(), [REWARD_GAPS]);
        let error = rebel().forward(&spec_batch()).unwrap_err().to_string();
        assert!(error.starts_with("`rebel` needs `reward_gaps`"), "{error}");
        let one = || PairValues { chosen: tensor(&[1.0]), rejected: tensor(&[0.0]) };
        let error = rebel_loss(&spec_batch(), one(), tensor(&[1.0, 2.0]), 1.0).unwrap_err().to_string();
        assert_eq!(error, "`reward_gaps`: expected shape [1], got [2]");
        let two = PairValues { chosen: tensor(&[1.0, 2.0]), rejected: tensor(&[0.0]) };
        assert!(rebel_loss(&spec_batch(), two, tensor(&[1.0]), 1.0).is_err());
    }

    accordant_laws::pairwise_laws!(
        rebel_obeys_the_laws,
        "rebel",
        rebel(),
        ["reward_gaps" => Real(-2.0, 2.0)],
        [ShiftInvariant, LowerBound(0.0), ConvexInMargin, MarginShifts { beta: 0.1 }, NoHook("label_probs")]
    );
}
