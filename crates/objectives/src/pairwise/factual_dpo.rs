//! Factuality-aware Direct Preference Optimization (F-DPO; [`super::f_dpo`] is the one with divergences).
//!
//! **Paper:** Reducing Hallucinations in LLMs via Factuality-Aware Preference Learning (2026), 2601.03027.
//! **Use when:** labels say which responses hallucinate, and fluency has won over facts in some of the pairs.
//! **Checked by:** hand-worked values and gradients, DPO at equal labels and at margin 0.
//! **Deviations:** none.

use accordant_ops::{SequenceLogps, check_domain};
use burn::{
    config::Config,
    tensor::{Bool, Tensor},
};

use super::{
    Method, PairBatch, PairLogps, PairOutput, PairValues, PairwiseObjective, check_beta, check_smoothing, dpo::dpo_loss,
};
use crate::{Domain, Result, side::Column};

/// Whether the chosen response hallucinates.
pub const HALLUCINATED_CHOSEN: Column = Column {
    name: "hallucinated_chosen",
    domain: Domain::Binary,
    meaning: "1 where the chosen response hallucinates, 0 where it is factual",
};

/// Whether the rejected response hallucinates.
pub const HALLUCINATED_REJECTED: Column = Column {
    name: "hallucinated_rejected",
    domain: Domain::Binary,
    meaning: "1 where the rejected response hallucinates, 0 where it is factual",
};

/// The labels of both members of each pair, `[n]` each.
fn labels(batch: &PairBatch) -> Result<PairValues> {
    let label = |column| batch.column(column, "factual_dpo");
    Ok(PairValues { chosen: label(HALLUCINATED_CHOSEN)?, rejected: label(HALLUCINATED_REJECTED)? })
}

/// The batch in which no response that hallucinates is preferred to a factual one: such pairs are swapped, with their
/// log-probabilities under policy and reference and their labels. Applied again, it changes nothing.
///
/// Other side information that depends on the order of a pair, and a mean number of chosen tokens, are to be given after
/// it.
///
/// # Errors
/// [`crate::Error::MissingColumn`] naming the labels; [`crate::Error::NotTaken`] for label probabilities or margins,
/// which would be of the other order.
#[doc(alias = "label flipping")]
pub fn flip_labels(batch: &PairBatch) -> Result<PairBatch> {
    batch.refuse("factual_dpo", &["label_probs", "margins"], "a flipped pair has another order")?;
    let PairValues { chosen, rejected } = labels(batch)?;
    let flip = chosen.clone().greater_elem(0.5).bool_and(rejected.clone().lower_elem(0.5));
    let mut flipped = batch.clone();
    flipped.policy = swapped(batch.policy(), &flip);
    flipped.reference = batch.reference().map(|reference| swapped(reference, &flip));
    let labels = |own: &Tensor<1>, other: &Tensor<1>| own.clone().mask_where(flip.clone(), other.clone());
    let (new_chosen, new_rejected) = (labels(&chosen, &rejected), labels(&rejected, &chosen));
    flipped.with_column(HALLUCINATED_CHOSEN, new_chosen)?.with_column(HALLUCINATED_REJECTED, new_rejected)
}

/// Pairs whose members change places where `flip` says so.
fn swapped(pairs: &PairLogps, flip: &Tensor<1, Bool>) -> PairLogps {
    let pick = |own: &Tensor<1>, other: &Tensor<1>| own.clone().mask_where(flip.clone(), other.clone());
    let side = |own: &SequenceLogps, other: &SequenceLogps| SequenceLogps {
        sum: pick(&own.sum, &other.sum),
        mean: pick(&own.mean, &other.mean),
        count: pick(&own.count, &other.count),
    };
    PairLogps { chosen: side(&pairs.chosen, &pairs.rejected), rejected: side(&pairs.rejected, &pairs.chosen) }
}

/// F-DPO losses, one per pair.
///
/// ```text
/// h = β (d_w − d_l − λ (f_l − f_w)) − margin
/// loss = softplus(−h) + ε h
/// ```
///
/// # Shapes
/// `ratios`: two `[n]` of summed log-ratios in nats; `hallucinated` (f): two `[n]` of 0 and 1, detached; the result is
/// `[n]`.
///
/// `beta` > 0; `factuality_margin` (λ) ≥ 0 is in nats of the **log-ratio**, inside `beta`: 10 at `beta` 0.1 is a reward of
/// 1. Equal labels are exactly DPO.
///
/// # Errors
/// A shape or dtype error naming the argument.
///
/// # Example
/// ```
/// use accordant_objectives::pairwise::{PairBatch, PairLogps, PairValues, factual_dpo::factual_dpo_loss};
/// use accordant_ops::SequenceLogps;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let one = |x: f32| Tensor::<1>::from_floats([x], &device);
/// let logps = |x| SequenceLogps::new(one(x), one(1.0));
/// let batch = PairBatch::new(PairLogps::new(logps(-1.0)?, logps(-2.0)?)?);
/// let ratios = PairValues { chosen: one(4.0), rejected: one(-6.0) };
/// let labels = PairValues { chosen: one(0.0), rejected: one(1.0) };
/// // The log-ratios differ by just the margin.
/// let loss = factual_dpo_loss(&batch, ratios, labels, 0.5, 10.0, 0.0)?.into_scalar::<f32>();
/// assert_eq!(loss, 2f32.ln());
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2601.03027")]
#[doc(alias = "Reducing Hallucinations in LLMs via Factuality-Aware Preference Learning")]
#[doc(alias = "F-DPO")]
pub fn factual_dpo_loss(
    batch: &PairBatch,
    ratios: PairValues,
    hallucinated: PairValues,
    beta: f64,
    factuality_margin: f64,
    label_smoothing: f64,
) -> Result<Tensor<1>> {
    batch.check_values(&ratios)?;
    batch.check_numbers("hallucinated.chosen", &hallucinated.chosen)?;
    batch.check_numbers("hallucinated.rejected", &hallucinated.rejected)?;
    let chosen = ratios.chosen + hallucinated.difference().detach() * factuality_margin;
    dpo_loss(batch, PairValues { chosen, ..ratios }, beta, label_smoothing)
}

/// Configuration of [`FactualDpo`].
#[derive(Config, Debug, PartialEq)]
pub struct FactualDpoConfig {
    /// Strength of the KL pull, finite and > 0. 0.1: DPO's.
    #[config(default = 0.1)]
    pub beta: f64,
    /// Margin λ of a factual response over one that hallucinates, finite and ≥ 0, in nats of the log-ratio. 10: the
    /// authors' example.
    #[config(default = 10.0)]
    pub factuality_margin: f64,
    /// Flip pairs whose chosen response alone hallucinates, as [`flip_labels`] does. On: the paper's.
    #[config(default = true)]
    pub flip: bool,
    /// Probability ε that a label is wrong, in `[0, 0.5)`. 0: the paper's loss.
    #[config(default = 0.0)]
    pub label_smoothing: f64,
}

impl FactualDpoConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<FactualDpo> {
        check_beta(self.beta)?;
        let margin = self.factuality_margin;
        check_domain(margin.is_finite() && margin >= 0.0, "factuality_margin", "finite and >= 0", margin)?;
        check_smoothing(self.label_smoothing)?;
        Ok(FactualDpo { config: self.clone() })
    }
}

/// The F-DPO objective; see [`factual_dpo_loss`]. What is logged as chosen is so after the flip; `frac_flipped` is the
/// share of pairs that were flipped.
#[derive(Debug, Clone, PartialEq)]
pub struct FactualDpo {
    config: FactualDpoConfig,
}

/// `factual_dpo` by name.
pub const METHOD: Method = Method {
    name: "factual_dpo",
    title: "Factuality-aware Direct Preference Optimization",
    build: |options| Ok(Box::new(options.apply("factual_dpo", FactualDpoConfig::new())?.init()?)),
};

impl PairwiseObjective for FactualDpo {
    fn columns(&self) -> Vec<Column> {
        vec![HALLUCINATED_CHOSEN, HALLUCINATED_REJECTED]
    }

    fn forward(&self, batch: &PairBatch) -> Result<PairOutput> {
        let FactualDpoConfig { beta, factuality_margin, flip, label_smoothing } = self.config;
        let before = labels(batch)?.chosen;
        let flipped = if flip { Some(flip_labels(batch)?) } else { None };
        let batch = flipped.as_ref().unwrap_or(batch);
        let labels = labels(batch)?;
        let changed = (before - labels.chosen.clone()).abs();
        let ratios = batch.log_ratios("factual_dpo")?;
        let losses = factual_dpo_loss(batch, ratios, labels, beta, factuality_margin, label_smoothing)?;
        PairOutput::new(losses, batch, beta).with_metric("frac_flipped", changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pairwise::tests::{column, grad_of_policy, spec_batch, tensor};

    fn labeled(chosen: f64, rejected: f64) -> PairBatch {
        let batch = spec_batch().with_column(HALLUCINATED_CHOSEN, tensor(&[chosen])).unwrap();
        batch.with_column(HALLUCINATED_REJECTED, tensor(&[rejected])).unwrap()
    }

    fn loss(config: FactualDpoConfig, batch: &PairBatch) -> f64 {
        column(&config.init().unwrap().forward(batch).unwrap().losses)[0]
    }

    fn plain(h: f64) -> f64 {
        (-h).exp().ln_1p()
    }

    #[test]
    fn value_and_gradient_by_hand() {
        // h = 0.1 (1.5 − 10) = −0.85
        let batch = labeled(0.0, 1.0);
        assert!((loss(FactualDpoConfig::new(), &batch) - 1.205865068).abs() < 1e-9);
        let (chosen, rejected) = grad_of_policy(&batch, &FactualDpoConfig::new().init().unwrap());
        let pull = 0.1 / (1.0 + (-0.85f64).exp());
        assert!((chosen[0] + pull).abs() < 1e-12 && (rejected[0] - pull).abs() < 1e-12);
        let output = FactualDpoConfig::new().init().unwrap().forward(&batch).unwrap();
        assert!((column(&output.chosen_rewards)[0] - 0.1).abs() < 1e-15, "without the margin");
        assert_eq!(output.means().mean("frac_flipped"), Some(0.0));
    }

    #[test]
    fn equal_labels_and_margin_zero_are_dpo() {
        for labels in [(0.0, 0.0), (1.0, 1.0)] {
            assert!((loss(FactualDpoConfig::new(), &labeled(labels.0, labels.1)) - plain(0.15)).abs() < 1e-12);
        }
        let none = FactualDpoConfig::new().with_factuality_margin(0.0);
        assert!((loss(none, &labeled(0.0, 1.0)) - plain(0.15)).abs() < 1e-12);
    }

    #[test]
    fn a_chosen_response_that_alone_hallucinates_is_flipped() {
        // Flipped, h = 0.1 (−1.5 − 10); as it is, 0.1 (1.5 + 10).
        let batch = labeled(1.0, 0.0);
        assert!((loss(FactualDpoConfig::new(), &batch) - plain(-1.15)).abs() < 1e-12);
        assert!((loss(FactualDpoConfig::new().with_flip(false), &batch) - plain(1.15)).abs() < 1e-12);
        let output = FactualDpoConfig::new().init().unwrap().forward(&batch).unwrap();
        assert_eq!(output.means().mean("frac_flipped"), Some(1.0));
        assert!((column(&output.chosen_rewards)[0] + 0.05).abs() < 1e-15, "the factual one's");
        // The gradient follows the responses.
        let (chosen, rejected) = grad_of_policy(&batch, &FactualDpoConfig::new().init().unwrap());
        assert!(chosen[0] > 0.0 && rejected[0] < 0.0);
        let output = FactualDpoConfig::new().with_flip(false).init().unwrap().forward(&batch).unwrap();
        assert_eq!(output.means().mean("frac_flipped"), Some(0.0));
    }

    #[test]
    fn flipping_moves_everything_and_only_once() {
        let flipped = flip_labels(&labeled(1.0, 0.0)).unwrap();
        let sides = |batch: &PairBatch| {
            let (policy, reference) = (batch.policy().clone(), batch.reference().unwrap().clone());
            [policy.chosen, policy.rejected, reference.chosen, reference.rejected]
                .map(|side| [&side.sum, &side.mean, &side.count].map(|values| column(values)[0]))
        };
        let [pw, pl, rw, rl] = sides(&spec_batch());
        assert_eq!(sides(&flipped), [pl, pw, rl, rw]);
        let of = |column_, batch: &PairBatch| column(&batch.column(column_, "test").unwrap());
        assert_eq!((of(HALLUCINATED_CHOSEN, &flipped), of(HALLUCINATED_REJECTED, &flipped)), (vec![0.0], vec![1.0]));
        assert_eq!(sides(&flip_labels(&flipped).unwrap()), sides(&flipped));
        for labels in [(0.0, 0.0), (0.0, 1.0), (1.0, 1.0)] {
            let batch = labeled(labels.0, labels.1);
            assert_eq!(sides(&flip_labels(&batch).unwrap()), sides(&batch), "{labels:?}");
        }
    }

    #[test]
    fn the_hooks_reach_the_loss_unless_pairs_are_flipped() {
        let plainly = || FactualDpoConfig::new().with_flip(false);
        let margins = labeled(0.0, 1.0).with_margins(tensor(&[0.05])).unwrap();
        assert!((loss(plainly(), &margins) - plain(-0.9)).abs() < 1e-12);
        let probs = labeled(0.0, 1.0).with_label_probs(tensor(&[0.9])).unwrap();
        assert!((loss(plainly(), &probs) - (plain(-0.85) - 0.085)).abs() < 1e-12);
        let smoothed = plainly().with_label_smoothing(0.1);
        assert!((loss(smoothed, &labeled(0.0, 1.0)) - (plain(-0.85) - 0.085)).abs() < 1e-12);
        let betas = labeled(0.0, 1.0).with_betas(tensor(&[1.0])).unwrap();
        assert!((loss(FactualDpoConfig::new(), &betas) - plain(-8.5)).abs() < 1e-12);
        for (batch, hook) in [(margins, "margins"), (probs, "label_probs")] {
            let error = FactualDpoConfig::new().init().unwrap().forward(&batch).unwrap_err().to_string();
            assert_eq!(error, format!("`factual_dpo` cannot take `{hook}`: a flipped pair has another order"));
        }
    }

    #[test]
    fn senseless_settings_and_inputs_are_refused_by_name() {
        let config = FactualDpoConfig::new();
        assert_eq!((config.beta, config.factuality_margin, config.flip), (0.1, 10.0, true));
        assert_eq!(config.label_smoothing, 0.0);
        let refused = |config: FactualDpoConfig, field: &str| {
            let error = config.init().unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{field}`")), "{error}");
        };
        refused(FactualDpoConfig::new().with_beta(0.0), "beta");
        refused(FactualDpoConfig::new().with_label_smoothing(0.5), "label_smoothing");
        for bad in [-0.1, f64::NAN, f64::INFINITY] {
            refused(FactualDpoConfig::new().with_factuality_margin(bad), "factuality_margin");
        }
        let factual = config.init().unwrap();
        assert_eq!(factual.columns(), [HALLUCINATED_CHOSEN, HALLUCINATED_REJECTED]);
        let error = factual.forward(&spec_batch()).unwrap_err().to_string();
        assert!(error.starts_with("`factual_dpo` needs `hallucinated_chosen`"), "{error}");
        let one = || PairValues { chosen: tensor(&[1.0]), rejected: tensor(&[0.0]) };
        let two = || PairValues { chosen: tensor(&[1.0, 2.0]), rejected: tensor(&[0.0]) };
        assert!(factual_dpo_loss(&spec_batch(), two(), one(), 1.0, 1.0, 0.0).is_err());
        assert!(factual_dpo_loss(&spec_batch(), one(), two(), 1.0, 1.0, 0.0).is_err());
    }

    accordant_laws::pairwise_laws!(
        factual_dpo_obeys_the_laws,
        "factual_dpo",
        FactualDpoConfig::new().init().unwrap(),
        ["hallucinated_chosen" => Binary, "hallucinated_rejected" => Binary],
        [ShiftInvariant, LowerBound(0.0), ConvexInMargin, NoHook("label_probs"), NoHook("margins")]
    );

    accordant_laws::pairwise_laws!(
        factual_dpo_without_flips_obeys_the_laws,
        "factual_dpo without flips",
        FactualDpoConfig::new().with_flip(false).init().unwrap(),
        ["hallucinated_chosen" => Binary, "hallucinated_rejected" => Binary],
        [ShiftInvariant, LowerBound(0.0), DecreasingInChosen, IncreasingInRejected, ConvexInMargin,
         MarginShifts { beta: 0.1 }]
    );
}
