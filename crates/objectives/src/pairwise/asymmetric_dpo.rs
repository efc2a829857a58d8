//! DPO with a `beta` for each side (Flex-DPO).
//!
//! **Paper:** 3D-Properties: Identifying Challenges in DPO and Charting a Path Forward (2024), 2406.07327.
//! **Use when:** DPO drives the likelihood of rejected responses down too fast.
//! **Checked by:** the laws, the specification's value, hand-worked gradients, equality with DPO for equal betas.
//! **Deviations:** none.

use accordant_ops::{check_domain, stable::softplus};
use burn::{config::Config, tensor::Tensor};

use super::{
    Method, PairBatch, PairOutput, PairValues, PairwiseObjective,
    sft::{NllScope, NllTerm},
};
use crate::Result;

/// DPO losses with one `beta` for the chosen and another for the rejected response, one per pair.
///
/// ```text
/// loss = −log σ(β_w d_w − β_l d_l − margin)
/// ```
///
/// `β_l < β_w` slows the fall of the rejected response: the gradients of both sides are as `β_w` to `β_l`. With a
/// probability `q` that the label is wrong, the loss is `(1−q)` times this plus `q` times that of the swapped pair, in
/// which the two betas have changed places too.
///
/// # Shapes
/// `ratios`: two `[n]` of summed log-ratios in nats; the result is `[n]`. Both betas > 0. Policy = reference gives ln 2.
/// Finite for every finite input.
///
/// # Errors
/// A shape error when there is not one log-ratio for each response of `batch`.
///
/// # Example
/// ```
/// use accordant_objectives::SequenceLogps;
/// use accordant_objectives::pairwise::{PairBatch, PairLogps, PairValues, asymmetric_dpo::asymmetric_dpo_loss};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let one = |x: f32| Tensor::<1>::from_floats([x], &device);
/// let logps = |x| SequenceLogps::new(one(x), one(1.0));
/// let batch = PairBatch::new(PairLogps::new(logps(-1.0)?, logps(-2.0)?)?);
/// // 1 · 1 − 0.5 · 2 = 0
/// let loss = asymmetric_dpo_loss(&batch, PairValues { chosen: one(1.0), rejected: one(2.0) }, 1.0, 0.5)?;
/// assert!((loss.into_scalar::<f32>() - 2f32.ln()).abs() < 1e-6);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2406.07327")]
#[doc(alias = "3D-Properties: Identifying Challenges in DPO and Charting a Path Forward")]
#[doc(alias = "Flex-DPO")]
pub fn asymmetric_dpo_loss(
    batch: &PairBatch,
    ratios: PairValues,
    beta_chosen: f64,
    beta_rejected: f64,
) -> Result<Tensor<1>> {
    batch.check_values(&ratios)?;
    // Rewards at the mean of both betas, of which a margin takes half from each side: what both sides lose adds up to it.
    let mean = 0.5 * (beta_chosen + beta_rejected);
    let rewards = ratios.map(|ratio| ratio * mean);
    Ok(batch.reward_losses(rewards, |rewards| {
        softplus(rewards.rejected * (beta_rejected / mean) - rewards.chosen * (beta_chosen / mean))
    }))
}

/// Configuration of [`AsymmetricDpo`].
#[derive(Config, Debug, PartialEq)]
pub struct AsymmetricDpoConfig {
    /// Strength of the pull on chosen responses, finite and > 0. 0.1: DPO's.
    #[config(default = 0.1)]
    pub beta_chosen: f64,
    /// Strength of the push on rejected responses, finite and > 0. 0.05: ours, half of the other.
    #[config(default = 0.05)]
    pub beta_rejected: f64,
    /// Weight of the chosen response's negative log-likelihood, a mean over tokens, finite and ≥ 0. 0: without it.
    #[config(default = 0.0)]
    pub sft_weight: f64,
}

impl AsymmetricDpoConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<AsymmetricDpo> {
        let positive = |beta: f64| beta.is_finite() && beta > 0.0;
        check_domain(positive(self.beta_chosen), "beta_chosen", "finite and > 0", self.beta_chosen)?;
        check_domain(positive(self.beta_rejected), "beta_rejected", "finite and > 0", self.beta_rejected)?;
        self.nll().check()?;
        Ok(AsymmetricDpo { config: self.clone() })
    }

    fn nll(&self) -> NllTerm {
        NllTerm { weight: self.sft_weight, scope: NllScope::ChosenCompletion }
    }
}

/// The objective; see [`asymmetric_dpo_loss`]. Rewards are each side's `beta` times its log-ratio; `nll` is logged where it
/// has a weight. A `beta` for each pair is refused: there are two.
#[derive(Debug, Clone, PartialEq)]
pub struct AsymmetricDpo {
    config: AsymmetricDpoConfig,
}

/// `asymmetric_dpo` by name.
pub const METHOD: Method = Method {
    name: "asymmetric_dpo",
    title: "DPO with a beta for each side",
    build: |options| Ok(Box::new(options.apply("asymmetric_dpo", AsymmetricDpoConfig::new())?.init()?)),
};

impl PairwiseObjective for AsymmetricDpo {
    fn forward(&self, batch: &PairBatch) -> Result<PairOutput> {
        batch.refuse("asymmetric_dpo", &["betas"], "it has one for the chosen and one for the rejected side")?;
        let AsymmetricDpoConfig { beta_chosen, beta_rejected, .. } = self.config;
        let ratios = batch.log_ratios("asymmetric_dpo")?;
        let losses = asymmetric_dpo_loss(batch, ratios.clone(), beta_chosen, beta_rejected)?;
        let rewards = PairValues { chosen: ratios.chosen * beta_chosen, rejected: ratios.rejected * beta_rejected };
        let nll = self.config.nll();
        let output = PairOutput::with_rewards(nll.add(losses, batch, "asymmetric_dpo")?, batch, rewards);
        nll.log(output, batch, "asymmetric_dpo")
    }
}

#[cfg(test)]
mod tests {
    use accordant_laws::{Property, Subject, Tensors, laws};
    use burn::tensor::Device;

    use super::*;
    use crate::pairwise::{
        dpo::DpoConfig,
        tests::{column, evaluated, grad_of_policy, spec_batch, tensor},
    };

    fn asymmetric(config: AsymmetricDpoConfig) -> AsymmetricDpo {
        config.init().unwrap()
    }

    fn loss(config: AsymmetricDpoConfig, batch: &PairBatch) -> f64 {
        column(&asymmetric(config).forward(batch).unwrap().losses)[0]
    }

    fn softplus_of(x: f64) -> f64 {
        (1.0 + x.exp()).ln()
    }

    #[test]
    fn value_and_gradients_by_hand() {
        // h = 0.1 · 1 + 0.05 · 0.5 = 0.125; the specification's value.
        assert!((loss(AsymmetricDpoConfig::new(), &spec_batch()) - 0.6325990353).abs() < 1e-10);
        let pull = 1.0 / (1.0 + 0.125f64.exp());
        let (chosen, rejected) = grad_of_policy(&spec_batch(), &asymmetric(AsymmetricDpoConfig::new()));
        assert!((chosen[0] + 0.1 * pull).abs() < 1e-15 && (rejected[0] - 0.05 * pull).abs() < 1e-15);
    }

    #[test]
    fn the_likelihood_term_is_a_mean_over_tokens() {
        let config = AsymmetricDpoConfig::new().with_sft_weight(0.5);
        // 12 nats over ten tokens.
        assert!((loss(config.clone(), &spec_batch()) - (0.6325990353 + 0.6)).abs() < 1e-10);
        let nll = |config| asymmetric(config).forward(&spec_batch()).unwrap().means().mean("nll");
        assert_eq!((nll(config.clone()), nll(AsymmetricDpoConfig::new())), (Some(1.2), None));
        let scaled = spec_batch().with_scales(tensor(&[0.5])).unwrap();
        assert!((loss(config, &scaled) - 0.5 * 1.2325990353).abs() < 1e-10);
    }

    #[test]
    fn equal_betas_are_dpo_with_every_hook() {
        let batch = spec_batch().with_margins(tensor(&[0.3])).unwrap().with_label_probs(tensor(&[0.7])).unwrap();
        let config = AsymmetricDpoConfig::new().with_beta_rejected(0.1);
        let dpo = DpoConfig::new().init().unwrap().forward(&batch).unwrap();
        assert!((loss(config, &batch) - column(&dpo.losses)[0]).abs() < 1e-15);
    }

    #[test]
    fn a_margin_is_subtracted_and_a_doubtful_label_swaps_the_betas_too() {
        let batch = spec_batch().with_margins(tensor(&[0.3])).unwrap();
        assert!((loss(AsymmetricDpoConfig::new(), &batch) - softplus_of(0.3 - 0.125)).abs() < 1e-14);
        // The swapped pair: h = 0.1 · (−0.5) − 0.05 · 1 = −0.1, and the margin is against it.
        let wrong = batch.with_label_probs(tensor(&[0.0])).unwrap();
        assert!((loss(AsymmetricDpoConfig::new(), &wrong) - softplus_of(0.1 - 0.3)).abs() < 1e-14);
    }

    #[test]
    fn rewards_have_the_beta_of_their_side_and_betas_are_refused() {
        let output = asymmetric(AsymmetricDpoConfig::new()).forward(&spec_batch()).unwrap();
        assert!((column(&output.chosen_rewards)[0] - 0.1).abs() < 1e-15);
        assert!((column(&output.rejected_rewards)[0] + 0.025).abs() < 1e-15);
        let batch = spec_batch().with_betas(tensor(&[0.2])).unwrap();
        let error = asymmetric(AsymmetricDpoConfig::new()).forward(&batch).unwrap_err().to_string();
        let expected = "`asymmetric_dpo` cannot take `betas`: it has one for the chosen and one for the rejected side";
        assert_eq!(error, expected);
        let free = PairBatch::new(spec_batch().policy().clone());
        let error = asymmetric(AsymmetricDpoConfig::new()).forward(&free).unwrap_err().to_string();
        assert!(error.starts_with("`asymmetric_dpo` needs the reference"), "{error}");
    }

    #[test]
    fn senseless_settings_are_refused_by_name() {
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let error = AsymmetricDpoConfig::new().with_beta_chosen(bad).init().unwrap_err().to_string();
            assert_eq!(error, format!("`beta_chosen`: expected finite and > 0, got {bad}"));
            let error = AsymmetricDpoConfig::new().with_beta_rejected(bad).init().unwrap_err().to_string();
            assert_eq!(error, format!("`beta_rejected`: expected finite and > 0, got {bad}"));
        }
        for bad in [-1.0, f64::NAN, f64::INFINITY] {
            let error = AsymmetricDpoConfig::new().with_sft_weight(bad).init().unwrap_err().to_string();
            assert_eq!(error, format!("`sft_weight`: expected finite and >= 0, got {bad}"));
        }
        let ratios = PairValues { chosen: tensor(&[1.0, 2.0]), rejected: tensor(&[0.0]) };
        let error = asymmetric_dpo_loss(&spec_batch(), ratios, 0.1, 0.05).unwrap_err().to_string();
        assert_eq!(error, "`values.chosen`: expected shape [1], got [2]");
    }

    laws!(
        laws_hold,
        Subject::pairwise("asymmetric_dpo", &|t: &Tensors| evaluated(&asymmetric(AsymmetricDpoConfig::new()), t, &[]))
            .on(Device::flex())
            .declare(Property::NoHook("betas"))
            .declare(Property::LabelProbMixes)
            .declare(Property::ShiftSensitive)
            .declare(Property::DecreasingInChosen)
            .declare(Property::IncreasingInRejected)
            .declare(Property::ConvexInMargin)
            .declare(Property::AtReference(std::f64::consts::LN_2))
            .declare(Property::LowerBound(0.0))
    );

    laws!(
        laws_hold_with_a_likelihood_term,
        Subject::pairwise("asymmetric_dpo", &|t: &Tensors| evaluated(
            &asymmetric(AsymmetricDpoConfig::new().with_sft_weight(0.5)),
            t,
            &[]
        ))
        .on(Device::flex())
        .declare(Property::NoHook("betas"))
        .declare(Property::ShiftSensitive)
        .declare(Property::DecreasingInChosen)
        .declare(Property::IncreasingInRejected)
        .declare(Property::ConvexInMargin)
    );
}
