//! Maximum a Posteriori Preference Optimization (MaPPO), DPO with prior knowledge of the reward gap.
//!
//! **Paper:** MaPPO: Maximum a Posteriori Preference Optimization with Prior Knowledge (2025), 2507.21183.
//! **Use when:** a reward model or judge says by how much the chosen response is better: of two good responses the
//! rejected one then is hardly pushed down.
//! **Checked by:** hand-worked values and gradients, the plain methods at a prior gap of 1.
//! **Deviations:** none.

use accordant_ops::{check_domain, check_dtype, check_shape};
use burn::{config::Config, tensor::Tensor};

use super::{
    Length, Method, PairBatch, PairOutput, PairValues, PairwiseObjective, check_beta,
    dpo::dpo_loss,
    ipo::ipo_loss,
    logistic_loss,
    sft::{NllScope, NllTerm},
};
use crate::{Domain, Result, side::Column};

/// The prior reward gap `Δ_r = r(y_w) − r(y_l)` of rewards in `[0, 1]`: a judge's scores, or the sigmoid of a reward
/// model's.
pub const PRIOR_GAPS: Column = Column {
    name: "prior_gaps",
    domain: Domain::Unit,
    meaning: "the chosen response's prior reward less the rejected one's, both in [0, 1]",
};

/// The method that the prior is put into.
#[derive(Config, Debug, Copy, PartialEq)]
pub enum Plugin {
    /// MaPPO itself: `h = β d_w − Δ_r β d_l`.
    Dpo,
    /// SimPO+: `h = β L_w/n_w − Δ_r β L_l/n_l − γ`. No reference.
    SimPo {
        /// Target margin γ as a share of `beta`, finite and ≥ 0.
        gamma_beta_ratio: f64,
    },
    /// IPO+: `(d_w/n_w − Δ_r d_l/n_l − 1/(2β))²`, or the same of sums.
    Ipo {
        /// Per token or per sequence.
        length: Length,
    },
    /// CPO+: `h = β L_w − Δ_r β L_l`, and a likelihood term over the tokens of the chosen responses. No reference.
    Cpo {
        /// Weight of the likelihood term, finite and ≥ 0.
        sft_weight: f64,
    },
}

/// Values whose rejected side is multiplied by the prior gap: what every plug-in compares.
///
/// ```text
/// s_w,   clamp(Δ_r, 0, 1) · s_l
/// ```
///
/// A gap of 1 changes nothing; a gap of 0, or below, leaves the rejected response alone, so that nothing pushes it down.
///
/// # Shapes
/// `values`, `prior_gaps` and the result: `[n]`. The gaps are detached.
///
/// # Errors
/// A shape or dtype error naming the argument.
pub fn discounted(values: PairValues, prior_gaps: Tensor<1>) -> Result<PairValues> {
    check_shape("prior_gaps", &values.rejected.dims(), &prior_gaps.dims())?;
    check_dtype("prior_gaps", values.rejected.dtype(), prior_gaps.dtype())?;
    let PairValues { chosen, rejected } = values;
    Ok(PairValues { chosen, rejected: rejected * prior_gaps.detach().clamp(0.0, 1.0) })
}

/// MaPPO losses, one per pair.
///
/// ```text
/// loss = softplus(−h),   h = β (d_w − Δ_r d_l) − margin
/// ```
///
/// # Shapes
/// `ratios`: two `[n]` of summed log-ratios in nats; `prior_gaps`: `[n]`, clamped to `[0, 1]`, detached; the result is
/// `[n]`.
///
/// `beta` > 0. Policy = reference gives ln 2. Not invariant to a common shift of both log-ratios unless `Δ_r` = 1, which is
/// DPO. The batch's label probabilities mix in the loss at `−h`; the objective refuses them.
///
/// # Errors
/// A shape or dtype error naming the argument.
///
/// # Example
/// ```
/// use accordant_objectives::pairwise::{PairBatch, PairLogps, PairValues, mappo::mappo_loss};
/// use accordant_ops::SequenceLogps;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let one = |x: f32| Tensor::<1>::from_floats([x], &device);
/// let logps = |x| SequenceLogps::new(one(x), one(1.0));
/// let batch = PairBatch::new(PairLogps::new(logps(-1.0)?, logps(-2.0)?)?);
/// // h = 1 − 0.5 · 2 = 0
/// let loss = mappo_loss(&batch, PairValues { chosen: one(1.0), rejected: one(2.0) }, one(0.5), 1.0)?;
/// assert_eq!(loss.into_scalar::<f32>(), 2f32.ln());
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2507.21183")]
#[doc(alias = "MaPPO: Maximum a Posteriori Preference Optimization with Prior Knowledge")]
pub fn mappo_loss(batch: &PairBatch, ratios: PairValues, prior_gaps: Tensor<1>, beta: f64) -> Result<Tensor<1>> {
    batch.check_values(&ratios)?;
    dpo_loss(batch, discounted(ratios, prior_gaps)?, beta, 0.0)
}

/// Configuration of [`MaPpo`].
#[derive(Config, Debug, PartialEq)]
pub struct MaPpoConfig {
    /// `beta` of the method that the prior is put into, finite and > 0. 0.1: DPO's; SimPO+ wants 2 or more.
    #[config(default = 0.1)]
    pub beta: f64,
    /// That method. `Dpo`: MaPPO itself.
    #[config(default = "Plugin::Dpo")]
    pub plugin: Plugin,
}

impl MaPpoConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<MaPpo> {
        check_beta(self.beta)?;
        match self.plugin {
            Plugin::SimPo { gamma_beta_ratio: ratio } => {
                check_domain(ratio.is_finite() && ratio >= 0.0, "gamma_beta_ratio", "finite and >= 0", ratio)?;
            }
            Plugin::Cpo { sft_weight } => likelihood(sft_weight).check()?,
            Plugin::Dpo | Plugin::Ipo { .. } => {}
        }
        Ok(MaPpo { config: self.clone() })
    }
}

/// CPO's likelihood term.
fn likelihood(weight: f64) -> NllTerm {
    NllTerm { weight, scope: NllScope::ChosenCompletion }
}

/// The MaPPO objective; see [`mappo_loss`] and [`Plugin`]. Rewards are those of the method that the prior is put into; CPO+
/// logs `nll`. Label probabilities are refused: the prior gap says already how sure a label is.
#[derive(Debug, Clone, PartialEq)]
pub struct MaPpo {
    config: MaPpoConfig,
}

/// `mappo` by name.
pub const METHOD: Method = Method {
    name: "mappo",
    title: "Maximum a Posteriori Preference Optimization",
    build: |options| Ok(Box::new(options.apply("mappo", MaPpoConfig::new())?.init()?)),
};

impl PairwiseObjective for MaPpo {
    fn needs_reference(&self) -> bool {
        matches!(self.config.plugin, Plugin::Dpo | Plugin::Ipo { .. })
    }

    fn columns(&self) -> Vec<Column> {
        vec![PRIOR_GAPS]
    }

    fn forward(&self, batch: &PairBatch) -> Result<PairOutput> {
        batch.refuse("mappo", &["label_probs"], "the prior gap says already how sure the label is")?;
        let MaPpoConfig { beta, plugin } = self.config;
        let gaps = batch.column(PRIOR_GAPS, "mappo")?;
        let policy = batch.policy();
        let margins = |values: PairValues| Ok(batch.times_beta(discounted(values, gaps.clone())?.difference(), beta));
        let rewards = |values: PairValues| values.map(|value| batch.times_beta(value, beta));
        let (losses, rewards) = match plugin {
            Plugin::Dpo => {
                let ratios = batch.log_ratios("mappo")?;
                (mappo_loss(batch, ratios.clone(), gaps, beta)?, rewards(ratios))
            }
            Plugin::Ipo { length } => {
                let ratios = batch.log_ratios("mappo")?;
                let scores = match length {
                    Length::Sum => ratios.clone(),
                    Length::TokenMean => ratios.clone().per_token(policy),
                };
                (ipo_loss(batch, discounted(scores, gaps)?, beta)?, rewards(ratios))
            }
            Plugin::SimPo { gamma_beta_ratio } => {
                let h: Result<Tensor<1>> = margins(policy.means());
                (logistic_loss(batch, h? - gamma_beta_ratio * beta, 0.0), rewards(policy.means()))
            }
            Plugin::Cpo { sft_weight } => {
                let h: Result<Tensor<1>> = margins(policy.sums());
                let losses = logistic_loss(batch, h?, 0.0);
                (likelihood(sft_weight).add(losses, batch, "mappo")?, rewards(policy.sums()))
            }
        };
        let output = PairOutput::with_rewards(losses, batch, rewards);
        match plugin {
            Plugin::Cpo { sft_weight } => likelihood(sft_weight).log(output, batch, "mappo"),
            _ => Ok(output),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pairwise::{
        dpo::DpoConfig,
        ipo::IpoConfig,
        simpo::SimPoConfig,
        tests::{column, grad_of_policy, spec_batch, tensor},
    };

    fn gap(gap: f64) -> PairBatch {
        spec_batch().with_column(PRIOR_GAPS, tensor(&[gap])).unwrap()
    }

    fn with(plugin: Plugin) -> MaPpo {
        MaPpoConfig::new().with_plugin(plugin).init().unwrap()
    }

    fn loss(objective: &dyn PairwiseObjective, batch: &PairBatch) -> f64 {
        column(&objective.forward(batch).unwrap().losses)[0]
    }

    fn plain(h: f64) -> f64 {
        (-h).exp().ln_1p()
    }

    #[test]
    fn value_and_gradient_by_hand() {
        // h = 0.1 (1 + 0.4 · 0.5) = 0.12
        assert!((loss(&with(Plugin::Dpo), &gap(0.4)) - 0.6349461016).abs() < 1e-10);
        let (chosen, rejected) = grad_of_policy(&gap(0.4), &with(Plugin::Dpo));
        let pull = 0.1 / (1.0 + 0.12f64.exp());
        assert!((chosen[0] + pull).abs() < 1e-12 && (rejected[0] - 0.4 * pull).abs() < 1e-12);
        let output = with(Plugin::Dpo).forward(&gap(0.4)).unwrap();
        assert!((column(&output.chosen_rewards)[0] - 0.1).abs() < 1e-15);
        assert!((column(&output.rejected_rewards)[0] + 0.05).abs() < 1e-15, "of the plain log-ratio");
    }

    #[test]
    fn the_plug_ins_by_hand() {
        // SimPO+: 0.1 (−1.2 + 0.4 · 1.25) − 0.05.
        let simpo = with(Plugin::SimPo { gamma_beta_ratio: 0.5 });
        assert!((loss(&simpo, &gap(0.4)) - plain(-0.07 - 0.05)).abs() < 1e-12);
        // IPO+: (0.1 + 0.4 · 0.5/12 − 5)², and of sums (1 + 0.2 − 5)².
        let ipo = |length| with(Plugin::Ipo { length });
        let expected = (0.1 + 0.2 / 12.0 - 5.0f64).powi(2);
        assert!((loss(&ipo(Length::TokenMean), &gap(0.4)) - expected).abs() < 1e-11);
        assert!((loss(&ipo(Length::Sum), &gap(0.4)) - 3.8f64.powi(2)).abs() < 1e-11);
        // CPO+: 0.1 (−12 + 0.4 · 15) = −0.6, and twice 1.2 nats a token.
        let cpo = with(Plugin::Cpo { sft_weight: 2.0 });
        assert!((loss(&cpo, &gap(0.4)) - (plain(-0.6) + 2.4)).abs() < 1e-12);
        assert!((cpo.forward(&gap(0.4)).unwrap().means().mean("nll").unwrap() - 1.2).abs() < 1e-12);
        let rewards = |objective: &MaPpo| {
            let output = objective.forward(&gap(0.4)).unwrap();
            [column(&output.chosen_rewards)[0], column(&output.rejected_rewards)[0]]
        };
        let close = |a: [f64; 2], b: [f64; 2]| (a[0] - b[0]).abs() < 1e-12 && (a[1] - b[1]).abs() < 1e-12;
        assert!(close(rewards(&simpo), [-0.12, -0.125]) && close(rewards(&cpo), [-1.2, -1.5]));
        assert!(close(rewards(&ipo(Length::TokenMean)), [0.1, -0.05]));
        assert!(!simpo.needs_reference() && !cpo.needs_reference());
        assert!(with(Plugin::Dpo).needs_reference() && ipo(Length::Sum).needs_reference());
    }

    #[test]
    fn a_gap_of_one_is_the_plain_method() {
        let same = |own: MaPpo, other: &dyn PairwiseObjective| {
            assert!((loss(&own, &gap(1.0)) - loss(other, &spec_batch())).abs() < 1e-12, "{own:?}");
        };
        same(with(Plugin::Dpo), &DpoConfig::new().init().unwrap());
        same(with(Plugin::Ipo { length: Length::TokenMean }), &IpoConfig::new().init().unwrap());
        let simpo = MaPpoConfig::new().with_beta(2.0).with_plugin(Plugin::SimPo { gamma_beta_ratio: 0.5 });
        same(simpo.init().unwrap(), &SimPoConfig::new().init().unwrap());
    }

    #[test]
    fn a_common_shift_shows_unless_the_gap_is_one() {
        let at = |gap: f64, shift: f64| {
            let ratios = PairValues { chosen: tensor(&[1.0 + shift]), rejected: tensor(&[-0.5 + shift]) };
            column(&mappo_loss(&spec_batch(), ratios, tensor(&[gap]), 0.1).unwrap())[0]
        };
        assert!((at(1.0, 3.0) - at(1.0, 0.0)).abs() < 1e-15);
        assert!(at(0.4, 3.0) < at(0.4, 0.0) - 0.05);
    }

    #[test]
    fn gaps_are_clamped_and_a_gap_of_zero_pushes_nothing_down() {
        for (given, counted) in [(-3.0, 0.0), (7.0, 1.0)] {
            assert_eq!(loss(&with(Plugin::Dpo), &gap(given)), loss(&with(Plugin::Dpo), &gap(counted)));
        }
        let (chosen, rejected) = grad_of_policy(&gap(0.0), &with(Plugin::Dpo));
        assert!(chosen[0] < 0.0 && rejected[0] == 0.0);
    }

    #[test]
    fn the_hooks_reach_the_loss_or_are_refused() {
        let batch = gap(0.4).with_margins(tensor(&[0.02])).unwrap();
        assert!((loss(&with(Plugin::Dpo), &batch) - plain(0.1)).abs() < 1e-12);
        let batch = gap(0.4).with_betas(tensor(&[1.0])).unwrap();
        assert!((loss(&with(Plugin::Dpo), &batch) - plain(1.2)).abs() < 1e-12);
        let batch = gap(0.4).with_label_probs(tensor(&[1.0])).unwrap();
        let error = with(Plugin::Dpo).forward(&batch).unwrap_err().to_string();
        assert!(error.starts_with("`mappo` cannot take `label_probs`"), "{error}");
    }

    #[test]
    fn a_plug_in_is_chosen_by_name() {
        let options = crate::Options::new().with("plugin", r#"{"SimPo":{"gamma_beta_ratio":0.5}}"#);
        assert!(!crate::pairwise::build("mappo", &options).unwrap().needs_reference());
    }

    #[test]
    fn senseless_settings_and_inputs_are_refused_by_name() {
        assert_eq!((MaPpoConfig::new().beta, MaPpoConfig::new().plugin), (0.1, Plugin::Dpo));
        let refused = |config: MaPpoConfig, field: &str| {
            let error = config.init().unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{field}`")), "{error}");
        };
        refused(MaPpoConfig::new().with_beta(0.0), "beta");
        for bad in [-0.1, f64::NAN, f64::INFINITY] {
            refused(MaPpoConfig::new().with_plugin(Plugin::SimPo { gamma_beta_ratio: bad }), "gamma_beta_ratio");
            refused(MaPpoConfig::new().with_plugin(Plugin::Cpo { sft_weight: bad }), "sft_weight");
        }
        with(Plugin::SimPo { gamma_beta_ratio: 0.0 });
        with(Plugin::Cpo { sft_weight: 0.0 });
        assert_eq!(with(Plugin::Dpo).columns(), [PRIOR_GAPS]);
        let error = with(Plugin::Dpo).forward(&spec_batch()).unwrap_err().to_string();
        assert!(error.starts_with("`mappo` needs `prior_gaps`"), "{error}");
        let values = |chosen: &[f64]| PairValues { chosen: tensor(chosen), rejected: tensor(&[0.0]) };
        let error = discounted(values(&[1.0]), tensor(&[1.0, 2.0])).unwrap_err().to_string();
        assert_eq!(error, "`prior_gaps`: expected shape [1], got [2]");
        assert!(mappo_loss(&spec_batch(), values(&[1.0, 2.0]), tensor(&[1.0]), 1.0).is_err());
    }

    accordant_laws::pairwise_laws!(
        mappo_obeys_the_laws,
        "mappo",
        with(Plugin::Dpo),
        ["prior_gaps" => Unit],
        [AtReference(2f64.ln()), LowerBound(0.0), DecreasingInChosen, IncreasingInRejected, ConvexInMargin, NoHook("label_probs")]
    );

    accordant_laws::pairwise_laws!(
        simpo_plus_obeys_the_laws,
        "mappo in simpo",
        with(Plugin::SimPo { gamma_beta_ratio: 0.5 }),
        ["prior_gaps" => Unit],
        [ReferenceFree, LowerBound(0.0), DecreasingInChosen, IncreasingInRejected, ConvexInMargin,
         NoHook("label_probs")]
    );

    accordant_laws::pairwise_laws!(
        ipo_plus_obeys_the_laws,
        "mappo in ipo",
        with(Plugin::Ipo { length: Length::TokenMean }),
        ["prior_gaps" => Unit],
        [AtReference(25.0), LowerBound(0.0), ConvexInMargin, NoHook("label_probs")]
    );

    accordant_laws::pairwise_laws!(
        cpo_plus_obeys_the_laws,
        "mappo in cpo",
        with(Plugin::Cpo { sft_weight: 1.0 }),
        ["prior_gaps" => Unit],
        [ReferenceFree, LowerBound(0.0), DecreasingInChosen, IncreasingInRejected, ConvexInMargin,
         NoHook("label_probs")]
    );
}
