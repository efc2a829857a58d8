//! Soft-preference cross-entropy (OSP), also known as soft-label DPO, and its reward-aware forms.
//!
//! **Paper:** Online Self-Preferring Language Models (2024), 2405.14103. Reward-aware: Reward-aware Preference
//! Optimization: A Unified Mathematical Framework for Model Alignment (2025), 2502.00203.
//! **Use when:** labels are probabilities: a judge's, annotators', the policy's own; or a reward model's margins.
//! **Checked by:** hand-worked values and gradients, DPO and cDPO, the minimum at the label's log-odds.
//! **Deviations:** none.

use accordant_ops::{check_domain, check_dtype, check_shape};
use burn::{config::Config, tensor::Tensor};

use super::{
    Method, PairBatch, PairOutput, PairValues, PairwiseObjective, check_beta,
    columns::{LABEL_PROBS, REWARD_GAPS},
    dpo::dpo_loss,
    rebel::rebel_loss,
    sigmoid,
};
use crate::{Result, side::Column};

/// Soft-preference losses, one per pair, of label probabilities `p`.
///
/// ```text
/// loss = −p log σ(h) − (1−p) log σ(−h) = softplus(−h) + (1−p) h,   h = β (d_w − d_l) − margin
/// ```
///
/// # Shapes
/// `ratios`: two `[n]` of summed log-ratios in nats; `label_probs` (p): `[n]`, detached; the result is `[n]`.
///
/// `beta` > 0. Least at `h = log(p/(1−p))`, where it is the binary entropy of `p`; `p` = 1 is DPO, `p = 1−ε` cDPO, and
/// `p` = 1/2 pulls `h` to 0.
///
/// # Errors
/// A shape error naming the argument.
///
/// # Example
/// ```
/// use accordant_objectives::pairwise::{PairBatch, PairLogps, PairValues, osp::osp_loss};
/// use accordant_ops::SequenceLogps;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let one = |x: f32| Tensor::<1>::from_floats([x], &device);
/// let logps = |x| SequenceLogps::new(one(x), one(1.0));
/// let batch = PairBatch::new(PairLogps::new(logps(-1.0)?, logps(-2.0)?)?);
/// // σ(h) = 3/4 and p = 1/2: half of ln 4/3 and half of ln 4.
/// let ratios = PairValues { chosen: one(3f32.ln()), rejected: one(0.0) };
/// let loss = osp_loss(&batch, ratios, one(0.5), 1.0)?.into_scalar::<f32>();
/// assert!((loss - (16f32 / 3.0).ln() / 2.0).abs() < 1e-6);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2405.14103")]
#[doc(alias = "Online Self-Preferring Language Models")]
#[doc(alias = "soft-label DPO")]
#[doc(alias = "2502.00203")]
pub fn osp_loss(batch: &PairBatch, ratios: PairValues, label_probs: Tensor<1>, beta: f64) -> Result<Tensor<1>> {
    dpo_loss(&batch.clone().with_label_probs(label_probs)?, ratios, beta, 0.0)
}

/// What the margin is fitted to.
#[derive(Config, Debug, Copy, PartialEq)]
pub enum OspTarget {
    /// Cross-entropy with the batch's label probabilities: OSP.
    LabelProbs,
    /// Cross-entropy with `p = σ(η (r_w − r_l))` of [`REWARD_GAPS`]: reward-aware preference optimization, a Kullback-Leibler
    /// divergence up to a constant.
    RewardGaps {
        /// η, finite and > 0, one over the reward's unit.
        eta: f64,
    },
    /// `(h − η (r_w − r_l))²`: the squared form of the same, which is [REBEL](super::rebel)'s.
    SquaredRewardGaps {
        /// η, finite and > 0, one over the reward's unit.
        eta: f64,
    },
}

/// Configuration of [`Osp`].
#[derive(Config, Debug, PartialEq)]
pub struct OspConfig {
    /// Strength of the KL pull, finite and > 0. 0.1: DPO's.
    #[config(default = 0.1)]
    pub beta: f64,
    /// What the margin is fitted to. `LabelProbs`: OSP's.
    #[config(default = "OspTarget::LabelProbs")]
    pub target: OspTarget,
}

impl OspConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<Osp> {
        check_beta(self.beta)?;
        if let OspTarget::RewardGaps { eta } | OspTarget::SquaredRewardGaps { eta } = self.target {
            check_domain(eta.is_finite() && eta > 0.0, "eta", "finite and > 0", eta)?;
        }
        Ok(Osp { config: self.clone() })
    }
}

/// The soft-preference objective; see [`osp_loss`]. It needs label probabilities, or reward gaps and then refuses label
/// probabilities.
#[derive(Debug, Clone, PartialEq)]
pub struct Osp {
    config: OspConfig,
}

/// `osp` by name.
pub const METHOD: Method = Method {
    name: "osp",
    title: "Soft-preference cross-entropy",
    build: |options| Ok(Box::new(options.apply("osp", OspConfig::new())?.init()?)),
};

impl PairwiseObjective for Osp {
    fn columns(&self) -> Vec<Column> {
        match self.config.target {
            OspTarget::LabelProbs => vec![LABEL_PROBS],
            OspTarget::RewardGaps { .. } | OspTarget::SquaredRewardGaps { .. } => vec![REWARD_GAPS],
        }
    }

    fn forward(&self, batch: &PairBatch) -> Result<PairOutput> {
        let OspConfig { beta, target } = self.config;
        let ratios = batch.log_ratios("osp")?;
        let gaps = || {
            batch.refuse("osp", &["label_probs"], "the reward gaps say how sure the label is")?;
            batch.column(REWARD_GAPS, "osp")
        };
        let losses = match target {
            OspTarget::LabelProbs => osp_loss(batch, ratios, batch.label_probs("osp")?, beta)?,
            OspTarget::RewardGaps { eta } => osp_loss(batch, ratios, sigmoid(gaps()? * eta), beta)?,
            OspTarget::SquaredRewardGaps { eta } => rebel_loss(batch, ratios, gaps()? * eta, beta)?,
        };
        Ok(PairOutput::new(losses, batch, beta))
    }
}

/// Which responses to one prompt become pairs, once they are ranked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pairing {
    /// Each with the next, and the best with the worst.
    AdjacentAndExtremes,
    /// Each with every lower one.
    All,
}

/// Two responses to one prompt, by their numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RankedPair {
    /// The one of the higher rank.
    pub chosen: usize,
    /// The other.
    pub rejected: usize,
    /// The judged probability that `chosen` is the better one: the pair's label probability.
    pub label_prob: f64,
}

/// Pairs of `G` responses to one prompt, ranked by their mean strength against all others; equal ones keep their order.
///
/// `strengths[i][j]` is the judged probability in `[0, 1]` that response `i` is better than `j`, `[G, G]`; the diagonal is
/// not read. Fewer than two responses make no pair.
///
/// # Errors
/// A shape error naming `strengths` unless they are square; a domain error for one outside `[0, 1]`.
///
/// # Example
/// ```
/// use accordant_objectives::pairwise::osp::{Pairing, RankedPair, ranked_pairs};
/// let strengths = [vec![0.0, 0.25], vec![0.75, 0.0]];
/// let pairs = ranked_pairs(&strengths, Pairing::All)?;
/// assert_eq!(pairs, [RankedPair { chosen: 1, rejected: 0, label_prob: 0.75 }]);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
pub fn ranked_pairs(strengths: &[Vec<f64>], pairing: Pairing) -> Result<Vec<RankedPair>> {
    let size = strengths.len();
    let mut means = Vec::new();
    for (row, of_row) in strengths.iter().enumerate() {
        check_shape("strengths", &[size, size], &[size, of_row.len()])?;
        let others = of_row.iter().enumerate().filter(|(other, _)| *other != row).map(|(_, strength)| *strength);
        for strength in others.clone() {
            check_domain((0.0..=1.0).contains(&strength), "strengths", "in [0, 1]", strength)?;
        }
        // All are means over as many.
        means.push(others.sum::<f64>());
    }
    let mut ranks: Vec<usize> = (0..size).collect();
    ranks.sort_by(|a, b| means[*b].total_cmp(&means[*a]));
    let mut pairs = Vec::new();
    for high in 0..size {
        for low in high + 1..size {
            let extremes = high == 0 && low + 1 == size;
            if pairing == Pairing::All || low == high + 1 || extremes {
                let (chosen, rejected) = (ranks[high], ranks[low]);
                pairs.push(RankedPair { chosen, rejected, label_prob: strengths[chosen][rejected] });
            }
        }
    }
    Ok(pairs)
}

/// A margin of the policy itself, extrapolated away from that of an earlier iterate, detached: what is noise in both
/// cancels. Its [`self_label_probs`] are labels.
///
/// ```text
/// (1 + k) h_θ − k h_prev
/// ```
///
/// # Shapes
/// `margins`, `previous` and the result: `[n]`. `k` = 0 is the policy's own margin.
///
/// # Errors
/// A shape or dtype error naming `previous`; a domain error unless `k` is finite and ≥ 0.
#[doc(alias = "Spread Preference Annotation: Direct Preference Judgment for Efficient LLM Alignment")]
pub fn denoised_margins(margins: Tensor<1>, previous: Tensor<1>, k: f64) -> Result<Tensor<1>> {
    check_domain(k.is_finite() && k >= 0.0, "k", "finite and >= 0", k)?;
    check_shape("previous", &margins.dims(), &previous.dims())?;
    check_dtype("previous", margins.dtype(), previous.dtype())?;
    Ok(margins.detach() * (1.0 + k) - previous.detach() * k)
}

/// Label probabilities `σ(h)` that margins imply, `[n]`, detached: the policy as its own judge.
///
/// # Example
/// ```
/// use accordant_objectives::pairwise::osp::{denoised_margins, self_label_probs};
/// use burn::tensor::{Device, Tensor};
/// let one = |x: f32| Tensor::<1>::from_floats([x], &Device::flex());
/// // 1.5 · 2 − 0.5 · 6 = 0
/// let margins = denoised_margins(one(2.0), one(6.0), 0.5)?;
/// assert_eq!(self_label_probs(margins).into_scalar::<f32>(), 0.5);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
pub fn self_label_probs(margins: Tensor<1>) -> Tensor<1> {
    sigmoid(margins.detach())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pairwise::tests::{column, grad_of_policy, spec_batch, tensor};

    fn with(target: OspTarget) -> Osp {
        OspConfig::new().with_target(target).init().unwrap()
    }

    fn loss(target: OspTarget, batch: &PairBatch) -> f64 {
        column(&with(target).forward(batch).unwrap().losses)[0]
    }

    fn labeled(p: f64) -> PairBatch {
        spec_batch().with_label_probs(tensor(&[p])).unwrap()
    }

    fn gap(gap: f64) -> PairBatch {
        spec_batch().with_column(REWARD_GAPS, tensor(&[gap])).unwrap()
    }

    fn s(x: f64) -> f64 {
        1.0 / (1.0 + (-x).exp())
    }

    fn plain(h: f64) -> f64 {
        (-h).exp().ln_1p()
    }

    #[test]
    fn value_and_gradient_by_hand() {
        // softplus(−0.15) + 0.2 · 0.15
        assert!((loss(OspTarget::LabelProbs, &labeled(0.8)) - 0.6509570478).abs() < 1e-10);
        // dL/dh = σ(h) − p
        let (chosen, rejected) = grad_of_policy(&labeled(0.8), &with(OspTarget::LabelProbs));
        assert!((chosen[0] - 0.1 * (s(0.15) - 0.8)).abs() < 1e-12 && (chosen[0] + rejected[0]).abs() < 1e-15);
        let output = with(OspTarget::LabelProbs).forward(&labeled(0.8)).unwrap();
        assert!((column(&output.chosen_rewards)[0] - 0.1).abs() < 1e-15);
    }

    #[test]
    fn a_certain_label_is_dpo_and_the_minimum_is_at_the_log_odds() {
        assert!((loss(OspTarget::LabelProbs, &labeled(1.0)) - plain(0.15)).abs() < 1e-12);
        assert!((loss(OspTarget::LabelProbs, &labeled(0.9)) - 0.6359570478).abs() < 1e-10, "cDPO");
        let p = 0.8f64;
        let at = |h: f64| {
            let ratios = PairValues { chosen: tensor(&[h]), rejected: tensor(&[0.0]) };
            column(&osp_loss(&spec_batch(), ratios, tensor(&[p]), 1.0).unwrap())[0]
        };
        let best = (p / (1.0 - p)).ln();
        let entropy = -p * p.ln() - (1.0 - p) * (1.0 - p).ln();
        assert!((at(best) - entropy).abs() < 1e-12 && at(best - 0.01) > at(best) && at(best + 0.01) > at(best));
    }

    #[test]
    fn the_reward_aware_forms_by_hand() {
        // p = σ(0.5 · 2)
        let loss_of = loss(OspTarget::RewardGaps { eta: 0.5 }, &gap(2.0));
        assert!((loss_of - (plain(0.15) + (1.0 - s(1.0)) * 0.15)).abs() < 1e-12);
        // (0.15 − 0.5 · 2)²
        assert!((loss(OspTarget::SquaredRewardGaps { eta: 0.5 }, &gap(2.0)) - 0.7225).abs() < 1e-12);
        // Both have no slope where η gap = h.
        for target in [OspTarget::RewardGaps { eta: 0.5 }, OspTarget::SquaredRewardGaps { eta: 0.5 }] {
            let (chosen, _) = grad_of_policy(&gap(0.3), &with(target));
            assert!(chosen[0].abs() < 1e-15, "{target:?}");
            let error = with(target).forward(&gap(2.0).with_label_probs(tensor(&[1.0])).unwrap()).unwrap_err();
            assert!(error.to_string().starts_with("`osp` cannot take `label_probs`"), "{error}");
        }
    }

    #[test]
    fn the_hooks_reach_the_loss() {
        let batch = labeled(0.8).with_margins(tensor(&[0.05])).unwrap();
        assert!((loss(OspTarget::LabelProbs, &batch) - (plain(0.1) + 0.02)).abs() < 1e-12);
        let batch = labeled(0.8).with_betas(tensor(&[1.0])).unwrap();
        assert!((loss(OspTarget::LabelProbs, &batch) - (plain(1.5) + 0.3)).abs() < 1e-12);
    }

    #[test]
    fn senseless_settings_and_inputs_are_refused_by_name() {
        assert_eq!((OspConfig::new().beta, OspConfig::new().target), (0.1, OspTarget::LabelProbs));
        assert!(OspConfig::new().with_beta(0.0).init().unwrap_err().to_string().starts_with("`beta`"));
        for eta in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            for target in [OspTarget::RewardGaps { eta }, OspTarget::SquaredRewardGaps { eta }] {
                let error = OspConfig::new().with_target(target).init().unwrap_err().to_string();
                assert_eq!(error, format!("`eta`: expected finite and > 0, got {eta}"));
            }
        }
        for (target, needs) in [(OspTarget::LabelProbs, LABEL_PROBS), (OspTarget::RewardGaps { eta: 1.0 }, REWARD_GAPS)]
        {
            assert_eq!(with(target).columns(), [needs]);
            let error = with(target).forward(&spec_batch()).unwrap_err().to_string();
            assert!(error.starts_with(&format!("`osp` needs `{}`", needs.name)), "{error}");
        }
        assert_eq!(with(OspTarget::SquaredRewardGaps { eta: 1.0 }).columns(), [REWARD_GAPS]);
        let ratios = PairValues { chosen: tensor(&[1.0]), rejected: tensor(&[0.0]) };
        let error = osp_loss(&spec_batch(), ratios, tensor(&[1.0, 0.5]), 1.0).unwrap_err().to_string();
        assert_eq!(error, "`label_probs`: expected shape [1], got [2]");
    }

    /// Mean strengths 0.3, 0.9, 0.5, 0.3: the order is 1, 2, 0, 3.
    const STRENGTHS: [[f64; 4]; 4] =
        [[9.0, 0.1, 0.4, 0.4], [0.9, 9.0, 0.8, 1.0], [0.6, 0.2, 9.0, 0.7], [0.6, 0.0, 0.3, 9.0]];

    fn ranked(pairing: Pairing) -> Vec<(usize, usize, f64)> {
        let strengths = STRENGTHS.map(Vec::from);
        let pairs = ranked_pairs(&strengths, pairing).unwrap();
        pairs.into_iter().map(|pair| (pair.chosen, pair.rejected, pair.label_prob)).collect()
    }

    #[test]
    fn ranked_pairs_by_hand() {
        assert_eq!(ranked(Pairing::AdjacentAndExtremes), [(1, 2, 0.8), (1, 3, 1.0), (2, 0, 0.6), (0, 3, 0.4)]);
        let all = ranked(Pairing::All);
        assert_eq!(all.len(), 6);
        assert_eq!(all[..3], [(1, 2, 0.8), (1, 0, 0.9), (1, 3, 1.0)]);
    }

    #[test]
    fn few_responses_make_few_pairs_and_bad_strengths_are_refused() {
        for pairing in [Pairing::AdjacentAndExtremes, Pairing::All] {
            assert_eq!(ranked_pairs(&[], pairing).unwrap(), []);
            assert_eq!(ranked_pairs(&[vec![0.5]], pairing).unwrap(), []);
            assert_eq!(ranked_pairs(&[vec![0.5, 0.6], vec![0.4, 0.5]], pairing).unwrap().len(), 1, "once");
        }
        let error = ranked_pairs(&[vec![0.5, 0.6], vec![0.4]], Pairing::All).unwrap_err().to_string();
        assert_eq!(error, "`strengths`: expected shape [2, 2], got [2, 1]");
        for bad in [-0.1, 1.1, f64::NAN] {
            let error = ranked_pairs(&[vec![0.5, bad], vec![0.4, 0.5]], Pairing::All).unwrap_err().to_string();
            assert_eq!(error, format!("`strengths`: expected in [0, 1], got {bad}"));
        }
    }

    #[test]
    fn denoised_margins_by_hand() {
        let margins = |k| denoised_margins(tensor(&[2.0, -1.0]), tensor(&[1.0, 3.0]), k);
        assert_eq!(column(&margins(0.5).unwrap()), [2.5, -3.0]);
        assert_eq!(column(&margins(0.0).unwrap()), [2.0, -1.0]);
        for k in [-0.1, f64::NAN, f64::INFINITY] {
            assert!(margins(k).unwrap_err().to_string().starts_with("`k`"));
        }
        let error = denoised_margins(tensor(&[2.0, 1.0]), tensor(&[1.0]), 0.5).unwrap_err().to_string();
        assert_eq!(error, "`previous`: expected shape [2], got [1]");
        let probs = column(&self_label_probs(tensor(&[0.0, 3f64.ln()])));
        assert!((probs[0] - 0.5).abs() < 1e-12 && (probs[1] - 0.75).abs() < 1e-12);
    }

    accordant_laws::pairwise_laws!(
        osp_obeys_the_laws,
        "osp",
        with(OspTarget::LabelProbs),
        ["label_probs" => Unit],
        [ShiftInvariant, AtReference(2f64.ln()), LowerBound(0.0), ConvexInMargin, MarginShifts { beta: 0.1 }]
    );

    accordant_laws::pairwise_laws!(
        osp_of_rewards_obeys_the_laws,
        "osp of rewards",
        with(OspTarget::RewardGaps { eta: 1.0 }),
        ["reward_gaps" => Real(-2.0, 2.0)],
        [ShiftInvariant, AtReference(2f64.ln()), LowerBound(0.0), ConvexInMargin, MarginShifts { beta: 0.1 },
         NoHook("label_probs")]
    );
}
