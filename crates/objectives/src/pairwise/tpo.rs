//! Triple Preference Optimization (TPO and TPO-L).
//!
//! **Paper:** Triple Preference Optimization: Achieving Better Alignment with Less Data in a Single Step Optimization
//! (2024), 2405.16681.
//! **Use when:** there is a gold answer beside each pair and no reference policy: one step of training instead of two.
//! **Checked by:** the laws, golden numbers (TRL), the specification's value, CPO's form with the chosen response as
//! gold.
//! **Deviations:** a label smoothing or a margin where the variant has none is an error; TRL ignores it.

use accordant_ops::check_domain;
use burn::{config::Config, tensor::Tensor};

use super::{
    Extra, MarginLoss, Method, PairBatch, PairOutput, PairwiseObjective, check_beta, check_smoothing,
    dpo::LogisticLoss, hinge::HingeLoss, ipo::ipo_loss, logistic_loss, sft::with_extra_nll, simpo::simpo_loss,
};
use crate::Result;

/// The gold answer.
pub const GOLD: Extra =
    Extra { name: "gold", meaning: "a response better than both, which is imitated", needs_reference: false };

/// The preference term of TPO. `L` is a summed log-probability, `L̄` one per token.
#[derive(Config, Debug, Copy, PartialEq)]
pub enum TpoVariant {
    /// `−log σ(β (L_w − L_l))`: the paper's TPO.
    Sigmoid,
    /// `max(0, 1 − β (L_w − L_l))`.
    Hinge,
    /// `(L̄_w − L̄_l − 1/(2β))²`.
    Ipo,
    /// `−log σ(β (L̄_w − L̄_l) − γ)`: TPO-L, which controls the length; SimPO's loss.
    TpoL,
}

impl TpoVariant {
    fn per_token(self) -> bool {
        matches!(self, Self::Ipo | Self::TpoL)
    }

    fn is_logistic(self) -> bool {
        matches!(self, Self::Sigmoid | Self::TpoL)
    }
}

/// The preference term of TPO, one per pair; see [`TpoVariant`]. The gold answer's likelihood,
/// [`nll_losses`](super::sft::nll_losses) of [`GOLD`], is added to it.
///
/// # Shapes
/// The result: `[n]`. `beta` > 0; `gamma` ≥ 0 is read by TPO-L alone, `label_smoothing` by the two logistic variants.
/// Equal log-probabilities give ln 2, 1, `1/(4β²)` and `softplus(γ)`. Finite for every finite input.
///
/// # Errors
/// None: every batch has what it reads.
///
/// # Example
/// ```
/// use accordant_objectives::SequenceLogps;
/// use accordant_objectives::pairwise::{PairBatch, PairLogps, tpo::{TpoVariant, tpo_loss}};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let one = |x: f32| Tensor::<1>::from_floats([x], &device);
/// let logps = |sum, count| SequenceLogps::new(one(sum), one(count));
/// let batch = PairBatch::new(PairLogps::new(logps(-2.0, 2.0)?, logps(-3.0, 3.0)?)?);
/// // 1 − 0.5 (−2 + 3)
/// assert_eq!(tpo_loss(&batch, TpoVariant::Hinge, 0.5, 0.0, 0.0)?.into_scalar::<f32>(), 0.5);
/// // (−1 + 1 − 1/(2 · 0.5))²
/// assert_eq!(tpo_loss(&batch, TpoVariant::Ipo, 0.5, 0.0, 0.0)?.into_scalar::<f32>(), 1.0);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2405.16681")]
#[doc(
    alias = "Triple Preference Optimization: Achieving Better Alignment with Less Data in a Single Step Optimization"
)]
#[doc(alias = "TPO-L")]
pub fn tpo_loss(
    batch: &PairBatch,
    variant: TpoVariant,
    beta: f64,
    gamma: f64,
    label_smoothing: f64,
) -> Result<Tensor<1>> {
    let h = || batch.times_beta(batch.policy().sums().difference(), beta);
    Ok(match variant {
        TpoVariant::Sigmoid => logistic_loss(batch, h(), label_smoothing),
        TpoVariant::Hinge => HingeLoss.losses(batch, h()),
        TpoVariant::Ipo => ipo_loss(batch, batch.policy().means(), beta)?,
        TpoVariant::TpoL => simpo_loss(batch, batch.policy().means(), beta, gamma, &LogisticLoss { label_smoothing })?,
    })
}

/// Configuration of [`Tpo`].
#[derive(Config, Debug, PartialEq)]
pub struct TpoConfig {
    /// Scale of the reward, finite and > 0. 0.01: TRL's; the authors' repository uses 0.1 to 0.2.
    #[config(default = 0.01)]
    pub beta: f64,
    /// Weight α of the gold answer's negative log-likelihood, finite and ≥ 0; with 0 no gold answer is read. 1.0: TRL's;
    /// the authors' repository uses 0.5 to 0.9.
    #[config(default = 1.0)]
    pub alpha: f64,
    /// The preference term. `Sigmoid`: the paper's.
    #[config(default = "TpoVariant::Sigmoid")]
    pub variant: TpoVariant,
    /// Target margin γ of TPO-L, finite and ≥ 0; to be left alone for the other variants. 0.5: TRL's.
    #[config(default = 0.5)]
    pub gamma: f64,
    /// Probability ε that a label is wrong, in `[0, 0.5)`; 0 for the variants without a logistic loss. 0: the paper's.
    #[config(default = 0.0)]
    pub label_smoothing: f64,
}

impl TpoConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field, also for a `gamma` or a `label_smoothing` that the variant does not have.
    pub fn init(&self) -> Result<Tpo> {
        let Self { beta, alpha, variant, gamma, label_smoothing } = *self;
        check_beta(beta)?;
        check_domain(alpha.is_finite() && alpha >= 0.0, "alpha", "finite and >= 0", alpha)?;
        check_domain(gamma.is_finite() && gamma >= 0.0, "gamma", "finite and >= 0", gamma)?;
        let holds = variant == TpoVariant::TpoL || gamma == Self::new().gamma;
        check_domain(holds, "gamma", "its default unless `variant` is `TpoL`, which alone has a margin", gamma)?;
        check_smoothing(label_smoothing)?;
        let holds = variant.is_logistic() || label_smoothing == 0.0;
        check_domain(holds, "label_smoothing", "0 for a `variant` without a logistic loss", label_smoothing)?;
        Ok(Tpo { config: self.clone() })
    }
}

/// The TPO objective: [`tpo_loss`] and `alpha` times the gold answer's negative log-likelihood, a mean over tokens.
///
/// Rewards are `beta` times the log-probability that the variant uses; `nll/gold` is logged. A pair without a gold
/// answer adds nothing to the likelihood. Label probabilities, margins and betas concern the pair alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Tpo {
    config: TpoConfig,
}

/// `tpo` by name.
pub const METHOD: Method = Method {
    name: "tpo",
    title: "Triple Preference Optimization",
    build: |options| Ok(Box::new(options.apply("tpo", TpoConfig::new())?.init()?)),
};

impl PairwiseObjective for Tpo {
    fn needs_reference(&self) -> bool {
        false
    }

    fn extras(&self) -> Vec<Extra> {
        (self.config.alpha > 0.0).then_some(GOLD).into_iter().collect()
    }

    fn forward(&self, batch: &PairBatch) -> Result<PairOutput> {
        let TpoConfig { beta, alpha, variant, gamma, label_smoothing } = self.config;
        let losses = tpo_loss(batch, variant, beta, gamma, label_smoothing)?;
        let used = if variant.per_token() { batch.policy().means() } else { batch.policy().sums() };
        let output = PairOutput::with_rewards(losses, batch, used.map(|logp| batch.times_beta(logp, beta)));
        if alpha == 0.0 {
            return Ok(output);
        }
        with_extra_nll(output, batch, GOLD, alpha, "tpo", "nll/gold")
    }
}

#[cfg(test)]
mod tests {
    use accordant_laws::{Property, Subject, Tensors, laws};
    use burn::tensor::Device;

    use super::*;
    use crate::{
        SequenceLogps,
        pairwise::{
            Length, PairLogps,
            dpo::DpoConfig,
            tests::{column, evaluated, grad_of_policy, logps, spec_batch, tensor},
        },
    };

    const VARIANTS: [TpoVariant; 4] = [TpoVariant::Sigmoid, TpoVariant::Hinge, TpoVariant::Ipo, TpoVariant::TpoL];

    fn tpo(config: TpoConfig) -> Tpo {
        config.init().unwrap()
    }

    fn alone(variant: TpoVariant) -> TpoConfig {
        TpoConfig::new().with_variant(variant).with_alpha(0.0)
    }

    /// 13 nats over ten tokens.
    fn batch() -> PairBatch {
        spec_batch().with_extra(GOLD, logps(&[-13.0], &[10.0]), None).unwrap()
    }

    fn loss(config: TpoConfig) -> f64 {
        column(&tpo(config).forward(&batch()).unwrap().losses)[0]
    }

    #[test]
    fn values_by_hand() {
        // The specification's: h = 0.01 · 3, and 1.3 nats a token.
        assert!((loss(TpoConfig::new()) - 1.978259676).abs() < 1e-9);
        assert!((loss(TpoConfig::new().with_alpha(0.5)) - (0.678259676 + 0.65)).abs() < 1e-9);
        assert!((loss(alone(TpoVariant::Hinge)) - 0.97).abs() < 1e-14);
        // Means −1.2 and −1.25: (0.05 − 50)², and β · 0.05 − γ.
        assert!((loss(alone(TpoVariant::Ipo)) - 49.95f64.powi(2)).abs() < 1e-10);
        let h: f64 = 0.01 * 0.05 - 0.5;
        assert!((loss(alone(TpoVariant::TpoL)) - (1.0 + (-h).exp()).ln()).abs() < 1e-14);
        let h: f64 = 0.01 * 0.05 - 1.5;
        assert!((loss(alone(TpoVariant::TpoL).with_gamma(1.5)) - (1.0 + (-h).exp()).ln()).abs() < 1e-14);
    }

    #[test]
    fn smoothing_acts_on_both_logistic_variants() {
        for (variant, h) in [(TpoVariant::Sigmoid, 0.03), (TpoVariant::TpoL, 0.01 * 0.05 - 0.5)] {
            let difference = loss(alone(variant).with_label_smoothing(0.1)) - loss(alone(variant));
            assert!((difference - 0.1 * h).abs() < 1e-14, "{variant:?}");
        }
    }

    #[test]
    fn gradients_by_hand() {
        let (chosen, rejected) = grad_of_policy(&batch(), &tpo(TpoConfig::new()));
        let pull = 0.01 / (1.0 + 0.03f64.exp());
        assert!((chosen[0] + pull).abs() < 1e-15 && (rejected[0] - pull).abs() < 1e-15);
        let leaf = tensor(&[-13.0]).autodiff().require_grad();
        let gold = SequenceLogps::new(leaf.clone(), tensor(&[10.0]).autodiff()).unwrap();
        let batch = spec_batch().lifted().with_extra(GOLD, gold, None).unwrap();
        let config = TpoConfig::new().with_alpha(0.5);
        let grads = tpo(config).forward(&batch).unwrap().losses.sum().backward();
        assert!((column(&leaf.grad(&grads).unwrap())[0] + 0.05).abs() < 1e-15, "-α/n");
    }

    #[test]
    fn with_the_chosen_response_as_gold_it_is_cpo() {
        // The specification's value of CPO: beta 0.1, alpha 1, token mean.
        let batch = spec_batch().with_extra(GOLD, spec_batch().policy().chosen.clone(), None).unwrap();
        let loss = column(&tpo(TpoConfig::new().with_beta(0.1)).forward(&batch).unwrap().losses)[0];
        assert!((loss - 1.754355244).abs() < 1e-9, "{loss}");
    }

    #[test]
    fn without_gold_it_is_dpo_without_a_reference() {
        let config = alone(TpoVariant::Sigmoid).with_beta(0.1);
        let free = DpoConfig::new().with_reference_free(true).init().unwrap();
        let batch = PairBatch::new(spec_batch().policy().clone());
        let [tpo, dpo] = [&tpo(config) as &dyn PairwiseObjective, &free].map(|o| o.forward(&batch).unwrap());
        assert_eq!(column(&tpo.losses), column(&dpo.losses));
        assert_eq!(column(&tpo.chosen_rewards), column(&dpo.chosen_rewards));
    }

    #[test]
    fn alpha_0_reads_no_gold_and_no_variant_reads_the_reference() {
        assert_eq!((tpo(alone(TpoVariant::Ipo)).extras(), tpo(TpoConfig::new()).extras()), (vec![], vec![GOLD]));
        let batch = PairBatch::new(spec_batch().policy().clone());
        for variant in VARIANTS {
            assert!(!tpo(alone(variant)).needs_reference());
            let (free, with) = (tpo(alone(variant)).forward(&batch), tpo(alone(variant)).forward(&spec_batch()));
            assert_eq!(column(&free.unwrap().losses), column(&with.unwrap().losses));
        }
        let error = tpo(TpoConfig::new()).forward(&batch).unwrap_err().to_string();
        assert_eq!(
            error,
            "`tpo` needs `gold` (a response better than both, which is imitated), and the batch has none"
        );
    }

    #[test]
    fn rewards_are_beta_times_what_the_variant_uses() {
        for variant in VARIANTS {
            let output = tpo(alone(variant)).forward(&spec_batch()).unwrap();
            let (w, l) = if variant.per_token() { (-1.2, -1.25) } else { (-12.0, -15.0) };
            assert!((column(&output.chosen_rewards)[0] - 0.01 * w).abs() < 1e-15, "{variant:?}");
            assert!((column(&output.rejected_rewards)[0] - 0.01 * l).abs() < 1e-15, "{variant:?}");
        }
    }

    #[test]
    fn the_likelihood_is_a_mean_over_all_gold_tokens() {
        let pair = |x: f64| logps(&[x, x], &[1.0, 1.0]);
        let batch = PairBatch::new(PairLogps::new(pair(-1.0), pair(-1.0)).unwrap());
        let batch = batch.with_extra(GOLD, logps(&[-6.0, 0.0], &[4.0, 0.0]), None).unwrap();
        let output = tpo(TpoConfig::new()).forward(&batch).unwrap();
        let loss = column(&output.reduce().unwrap().loss)[0];
        assert!((loss - std::f64::consts::LN_2 - 1.5).abs() < 1e-14, "{loss}");
        assert_eq!(output.means().mean("nll/gold"), Some(1.5));
        assert!((column(&output.losses)[1] - std::f64::consts::LN_2).abs() < 1e-15, "no gold, nothing added");
        let known = batch.with_mean_tokens("gold", 8.0).unwrap();
        let loss = column(&tpo(TpoConfig::new()).forward(&known).unwrap().losses)[0];
        assert!((loss - std::f64::consts::LN_2 - 0.75).abs() < 1e-14, "{loss}");
        assert_eq!(Length::TokenMean, crate::pairwise::sft::SftConfig::new().reduction, "as for chosen responses");
    }

    #[test]
    fn senseless_settings_are_refused_by_name() {
        let fail = |config: TpoConfig| config.init().unwrap_err().to_string();
        assert!(fail(TpoConfig::new().with_beta(0.0)).starts_with("`beta`"));
        for bad in [-0.1, f64::NAN, f64::INFINITY] {
            assert_eq!(fail(TpoConfig::new().with_alpha(bad)), format!("`alpha`: expected finite and >= 0, got {bad}"));
            let expected = format!("`gamma`: expected finite and >= 0, got {bad}");
            assert_eq!(fail(alone(TpoVariant::TpoL).with_gamma(bad)), expected);
        }
        for variant in [TpoVariant::Sigmoid, TpoVariant::Hinge, TpoVariant::Ipo] {
            assert!(fail(alone(variant).with_gamma(1.0)).starts_with("`gamma`: expected its default unless"));
        }
        for variant in [TpoVariant::Hinge, TpoVariant::Ipo] {
            let error = fail(alone(variant).with_label_smoothing(0.1));
            assert_eq!(error, "`label_smoothing`: expected 0 for a `variant` without a logistic loss, got 0.1");
        }
        assert!(
            fail(TpoConfig::new().with_label_smoothing(0.5)).starts_with("`label_smoothing`: expected in [0, 0.5)")
        );
    }

    laws!(
        laws_hold,
        Subject::pairwise("tpo", &|t: &Tensors| evaluated(&tpo(TpoConfig::new()), t, &[0]))
            .on(Device::flex())
            .declare(Property::ReferenceFree)
            .declare(Property::DecreasingInChosen)
            .declare(Property::IncreasingInRejected)
            .declare(Property::ConvexInMargin)
            .declare(Property::LowerBound(0.0))
    );

    laws!(
        laws_hold_for_the_hinge,
        Subject::pairwise("tpo hinge", &|t: &Tensors| evaluated(
            &tpo(alone(TpoVariant::Hinge).with_alpha(1.0)),
            t,
            &[0]
        ))
        .on(Device::flex())
        .declare(Property::ReferenceFree)
        .declare(Property::DecreasingInChosen)
        .declare(Property::IncreasingInRejected)
        .declare(Property::ConvexInMargin)
        .declare(Property::LowerBound(0.0))
    );

    laws!(
        laws_hold_for_ipo,
        Subject::pairwise("tpo ipo", &|t: &Tensors| evaluated(&tpo(alone(TpoVariant::Ipo).with_alpha(1.0)), t, &[0]))
            .on(Device::flex())
            .declare(Property::ReferenceFree)
            .declare(Property::ConvexInMargin)
            .declare(Property::LowerBound(0.0))
    );

    laws!(
        laws_hold_for_tpo_l,
        Subject::pairwise("tpo tpo-l", &|t: &Tensors| evaluated(
            &tpo(alone(TpoVariant::TpoL).with_alpha(1.0)),
            t,
            &[0]
        ))
        .on(Device::flex())
        .declare(Property::ReferenceFree)
        .declare(Property::DecreasingInChosen)
        .declare(Property::IncreasingInRejected)
        .declare(Property::ConvexInMargin)
        .declare(Property::LowerBound(0.0))
    );

    laws!(
        laws_hold_without_gold,
        Subject::pairwise("tpo without gold", &|t: &Tensors| evaluated(&tpo(TpoConfig::new().with_alpha(0.0)), t, &[]))
            .on(Device::flex())
            .declare(Property::ReferenceFree)
            .declare(Property::LabelProbMixes)
            .declare(Property::MarginShifts { beta: 0.01 })
            .declare(Property::ShiftInvariant)
            .declare(Property::SwapDifference(0.01))
    );
}
