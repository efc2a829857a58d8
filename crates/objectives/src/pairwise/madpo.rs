//! Margin-Adaptive Direct Preference Optimization (MADPO), a weighting by a reward model's margin.
//!
//! **Paper:** Margin Adaptive DPO: Leveraging Reward Model for Granular Control in Preference Optimization (2025),
//! 2510.05342.
//! **Status:** the outer form, a detached weight of a fixed reward model's margin times DPO's loss, is the paper's; the
//! weight **function** below is our reconstruction of "amplified for hard pairs and dampened for easy pairs".
//! **Use when:** a reward model is at hand and easy pairs drown hard ones. See [`super::dynamic_beta`] for the opposite
//! emphasis.
//! **Checked by:** hand-worked values and gradients, DPO at `kappa` 0.
//! **Deviations:** unknown, see the status.

use accordant_ops::check_domain;
use burn::{config::Config, tensor::Tensor};

use super::{
    Method, PairBatch, PairOutput, PairwiseObjective, Weighting, check_beta, check_smoothing, columns::REWARD_GAPS,
    dpo::dpo_loss,
};
use crate::{Result, State, side::Column};

/// The margin of a pair that is neither hard nor easy.
#[derive(Config, Debug, Copy, PartialEq)]
pub enum Center {
    /// A number, finite.
    Fixed(f64),
    /// The weighted mean of all margins observed so far; 0 before the first.
    RunningMean,
}

/// MADPO's weights by our reconstruction, one per pair.
///
/// ```text
/// w = clamp(e^{−κ (m − m₀)}, w_min, w_max),   m = r(y_w) − r(y_l)
/// ```
///
/// # Shapes
/// `reward_gaps` (m) and the result: `[n]`; detached.
///
/// `kappa` ≥ 0, `center` (m₀) finite, `0 < weight_min ≤ weight_max`. Finite for every finite margin.
///
/// # Example
/// ```
/// use accordant_objectives::pairwise::madpo::madpo_weights;
/// use burn::tensor::{Device, Tensor};
/// let gaps = Tensor::<1>::from_floats([2f32.ln(), -10.0, 10.0], &Device::flex());
/// let weights = madpo_weights(gaps, 1.0, 0.0, 0.25, 2.0).into_data().try_to_vec::<f32>().unwrap();
/// assert!((weights[0] - 0.5).abs() < 1e-6); // e^{−ln 2}
/// assert_eq!(weights[1..], [2.0, 0.25]); // a hard pair and an easy one
/// ```
#[doc(alias = "2510.05342")]
#[doc(alias = "Margin Adaptive DPO: Leveraging Reward Model for Granular Control in Preference Optimization")]
pub fn madpo_weights(reward_gaps: Tensor<1>, kappa: f64, center: f64, weight_min: f64, weight_max: f64) -> Tensor<1> {
    // An exponential that overflows is clamped like every other.
    ((reward_gaps.detach() - center) * -kappa).exp().clamp(weight_min, weight_max)
}

/// MADPO's weighting, for any loss of a margin: see [`madpo_weights`].
#[derive(Debug, Clone, PartialEq)]
pub struct MadpoWeighting {
    config: MadpoConfig,
}

/// `values` times the pairs' weights; what a pair of weight 0 has may be anything.
fn weighted(values: Tensor<1>, weights: &Tensor<1>) -> Tensor<1> {
    values.mask_fill(weights.clone().equal_scalar(0.0), 0.0) * weights.clone()
}

impl Weighting for MadpoWeighting {
    fn factors(&self, batch: &PairBatch) -> Result<Tensor<1>> {
        let MadpoConfig { kappa, center, weight_min, weight_max, normalize, .. } = self.config;
        let center = match center {
            Center::Fixed(center) => center,
            Center::RunningMean => batch.state().get(MEAN).unwrap_or(0.0),
        };
        let factors = madpo_weights(batch.column(REWARD_GAPS, "madpo")?, kappa, center, weight_min, weight_max);
        if !normalize {
            return Ok(factors);
        }
        let weights = batch.weights();
        let total = weighted(factors.clone(), &weights).sum();
        let nothing = total.clone().equal_scalar(0.0);
        Ok(factors * (weights.sum() / total.mask_fill(nothing, 1.0)))
    }

    fn columns(&self) -> Vec<Column> {
        vec![REWARD_GAPS]
    }

    fn uses_batch_statistics(&self) -> bool {
        self.config.normalize || self.config.center == Center::RunningMean
    }

    fn observe(&self, state: &mut State, batch: &PairBatch) -> Result<()> {
        if self.config.center != Center::RunningMean {
            return Ok(());
        }
        let weights = batch.weights();
        let gaps = batch.column(REWARD_GAPS, "madpo")?;
        let number = |tensor: Tensor<1>| tensor.sum().into_scalar::<f64>();
        let (sum, added) = (number(weighted(gaps, &weights)), number(weights));
        let (mean, count) = (state.get(MEAN).unwrap_or(0.0), state.get(COUNT).unwrap_or(0.0) + added);
        if added > 0.0 {
            state.set(MEAN, mean + (sum - mean * added) / count);
            state.set(COUNT, count);
        }
        Ok(())
    }
}

const MEAN: &str = "madpo/reward_gap_mean";
const COUNT: &str = "madpo/reward_gap_count";

/// Configuration of [`Madpo`] and of [`MadpoWeighting`].
#[derive(Config, Debug, PartialEq)]
pub struct MadpoConfig {
    /// Strength of the KL pull, finite and > 0. 0.1: DPO's.
    #[config(default = 0.1)]
    pub beta: f64,
    /// How fast the weight falls with the margin, κ, finite and ≥ 0, one over the reward's unit. 1 is ours.
    #[config(default = 1.0)]
    pub kappa: f64,
    /// The margin m₀ of weight 1. Ours: the mean of all margins seen, so that the weights balance.
    #[config(default = "Center::RunningMean")]
    pub center: Center,
    /// Smallest weight, finite and > 0. 0.5 is ours.
    #[config(default = 0.5)]
    pub weight_min: f64,
    /// Largest weight, finite and not below the smallest. 2 is ours.
    #[config(default = 2.0)]
    pub weight_max: f64,
    /// Divide the weights by their mean over the batch. Off is ours: a batch then is no unit of the method.
    #[config(default = false)]
    pub normalize: bool,
    /// Probability ε that a label is wrong, in `[0, 0.5)`. 0: DPO's.
    #[config(default = 0.0)]
    pub label_smoothing: f64,
}

impl MadpoConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<Madpo> {
        check_beta(self.beta)?;
        check_smoothing(self.label_smoothing)?;
        Ok(Madpo { config: self.clone(), weighting: self.weighting()? })
    }

    /// The weighting alone, for another loss.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn weighting(&self) -> Result<MadpoWeighting> {
        let Self { kappa, weight_min: min, weight_max: max, .. } = *self;
        check_domain(kappa.is_finite() && kappa >= 0.0, "kappa", "finite and >= 0", kappa)?;
        check_domain(min.is_finite() && min > 0.0, "weight_min", "finite and > 0", min)?;
        check_domain(max.is_finite() && max >= min, "weight_max", "finite and >= weight_min", max)?;
        if let Center::Fixed(center) = self.center {
            check_domain(center.is_finite(), "center.Fixed", "finite", center)?;
        }
        Ok(MadpoWeighting { config: self.clone() })
    }
}

/// DPO under MADPO's weights; see [`madpo_weights`]. Logs `madpo/weight`, a pair's factor.
#[derive(Debug, Clone, PartialEq)]
pub struct Madpo {
    config: MadpoConfig,
    weighting: MadpoWeighting,
}

/// `madpo` by name.
pub const METHOD: Method = Method {
    name: "madpo",
    title: "Margin-Adaptive Direct Preference Optimization (our weight function)",
    build: |options| Ok(Box::new(options.apply("madpo", MadpoConfig::new())?.init()?)),
};

impl PairwiseObjective for Madpo {
    fn columns(&self) -> Vec<Column> {
        self.weighting.columns()
    }

    fn uses_batch_statistics(&self) -> bool {
        self.weighting.uses_batch_statistics()
    }

    fn observe(&self, state: &mut State, batch: &PairBatch) -> Result<()> {
        self.weighting.observe(state, batch)
    }

    fn forward(&self, batch: &PairBatch) -> Result<PairOutput> {
        let MadpoConfig { beta, label_smoothing, .. } = self.config;
        let factors = self.weighting.factors(batch)?;
        let losses = dpo_loss(batch, batch.log_ratios("madpo")?, beta, label_smoothing)? * factors.clone();
        PairOutput::new(losses, batch, beta).with_metric("madpo/weight", factors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pairwise::{
        Composed, Length, PairLogps, Score,
        dpo::{DpoConfig, LogisticLoss},
        tests::{column, grad_of_policy, spec_batch, tensor},
    };

    const DPO: f64 = 0.6209570478;

    fn fixed(center: f64) -> MadpoConfig {
        MadpoConfig::new().with_center(Center::Fixed(center))
    }

    fn gap(gap: f64) -> PairBatch {
        spec_batch().with_column(REWARD_GAPS, tensor(&[gap])).unwrap()
    }

    fn loss(config: MadpoConfig, batch: &PairBatch) -> f64 {
        column(&config.init().unwrap().forward(batch).unwrap().losses)[0]
    }

    /// Three pairs, the second without a rejected token.
    fn three(gaps: [f64; 3], weights: [f64; 3]) -> PairBatch {
        let side = |counts: &[f64]| accordant_ops::SequenceLogps::new(tensor(&[-1.0; 3]), tensor(counts)).unwrap();
        let pairs = PairLogps::new(side(&[1.0; 3]), side(&[1.0, 0.0, 1.0])).unwrap();
        let batch = PairBatch::new(pairs.clone()).with_reference(pairs).unwrap();
        batch.with_weights(tensor(&weights)).unwrap().with_column(REWARD_GAPS, tensor(&gaps)).unwrap()
    }

    #[test]
    fn values_and_gradient_by_hand() {
        // e^{−1 (0.8 − 0.5)} = e^{−0.3} of DPO's loss.
        assert!((loss(fixed(0.5), &gap(0.8)) - (-0.3f64).exp() * DPO).abs() < 1e-10);
        assert!((loss(fixed(0.5).with_kappa(2.0), &gap(0.8)) - (-0.6f64).exp() * DPO).abs() < 1e-10);
        let dpo = grad_of_policy(&spec_batch(), &DpoConfig::new().init().unwrap());
        let own = grad_of_policy(&gap(0.8), &fixed(0.5).init().unwrap());
        assert!((own.0[0] - (-0.3f64).exp() * dpo.0[0]).abs() < 1e-14, "{own:?}");
        let output = fixed(0.5).init().unwrap().forward(&gap(0.8)).unwrap();
        assert!((output.means().mean("madpo/weight").unwrap() - (-0.3f64).exp()).abs() < 1e-12);
        assert!((column(&output.chosen_rewards)[0] - 0.1).abs() < 1e-15);
    }

    #[test]
    fn hard_pairs_count_more_within_the_bounds() {
        assert!(loss(fixed(0.0), &gap(-0.1)) > DPO && loss(fixed(0.0), &gap(0.1)) < DPO);
        for (gap_, weight) in [(-1e4, 2.0), (-0.7, 2.0), (0.7, 0.5), (1e4, 0.5)] {
            assert!((loss(fixed(0.0), &gap(gap_)) - weight * DPO).abs() < 1e-9, "{gap_}");
        }
        let bounds = fixed(0.0).with_weight_min(0.1).with_weight_max(3.0);
        assert!((loss(bounds.clone(), &gap(1e4)) - 0.1 * DPO).abs() < 1e-10);
        assert!((loss(bounds, &gap(-1e4)) - 3.0 * DPO).abs() < 1e-9);
    }

    #[test]
    fn kappa_zero_is_dpo() {
        assert!((loss(MadpoConfig::new().with_kappa(0.0), &gap(3.0)) - DPO).abs() < 1e-10);
        let smoothed = MadpoConfig::new().with_kappa(0.0).with_label_smoothing(0.1);
        assert!((loss(smoothed, &gap(3.0)) - 0.6359570478).abs() < 1e-10);
        let soft = gap(3.0).with_label_probs(tensor(&[0.9])).unwrap().with_margins(tensor(&[0.0])).unwrap();
        assert!((loss(MadpoConfig::new().with_kappa(0.0), &soft) - 0.6359570478).abs() < 1e-10);
    }

    #[test]
    fn the_center_is_the_weighted_mean_of_all_that_was_observed() {
        let madpo = MadpoConfig::new().init().unwrap();
        // Nothing observed: 0.
        assert!((loss(MadpoConfig::new(), &gap(0.3)) - (-0.3f64).exp() * DPO).abs() < 1e-10);
        let mut state = State::default();
        // (1·1 + 3·0.2)/4 = 0.4; the pair without tokens says nothing.
        madpo.observe(&mut state, &three([1.0, 50.0, 0.2], [1.0, 1.0, 3.0])).unwrap();
        assert!((state.get(MEAN).unwrap() - 0.4).abs() < 1e-12 && state.get(COUNT) == Some(4.0));
        // (4·0.4 + 2·1.3)/6 = 0.7
        madpo.observe(&mut state, &three([1.3, 0.0, 9.0], [2.0, 0.0, 0.0])).unwrap();
        assert!((state.get(MEAN).unwrap() - 0.7).abs() < 1e-12 && state.get(COUNT) == Some(6.0));
        let before = state.clone();
        madpo.observe(&mut state, &three([5.0; 3], [0.0; 3])).unwrap();
        assert_eq!(state, before, "no pair, no change");
        let batch = gap(0.9).with_state(state);
        assert!((loss(MadpoConfig::new(), &batch) - (-0.2f64).exp() * DPO).abs() < 1e-10);
        // A fixed center observes nothing, and needs nothing for it.
        let mut untouched = State::default();
        fixed(0.0).init().unwrap().observe(&mut untouched, &spec_batch()).unwrap();
        assert_eq!(untouched, State::default());
    }

    #[test]
    fn normalized_weights_have_mean_one_over_the_pairs_that_count() {
        let madpo = fixed(0.0).with_normalize(true).init().unwrap();
        let gaps = [0.0, 9.0, 2f64.ln()];
        // 1 and 1/2 with weights 1 and 3: mean 2.5/4 = 0.625.
        let factors = column(&madpo.weighting.factors(&three(gaps, [1.0, 1.0, 3.0])).unwrap());
        assert!((factors[0] - 1.6).abs() < 1e-12 && (factors[2] - 0.8).abs() < 1e-12, "{factors:?}");
        let none = column(&madpo.weighting.factors(&three(gaps, [0.0; 3])).unwrap());
        assert!(none.iter().all(|factor| factor.is_finite()), "{none:?}");
    }

    #[test]
    fn only_what_reads_the_batch_says_so() {
        let uses = |config: MadpoConfig| config.init().unwrap().uses_batch_statistics();
        assert!(uses(MadpoConfig::new()) && uses(fixed(0.0).with_normalize(true)) && !uses(fixed(0.0)));
    }

    #[test]
    fn the_weighting_serves_any_loss_of_a_margin() {
        let weighting = MadpoConfig::new().weighting().unwrap();
        let score = Score::LogRatio(Length::Sum);
        let composed = Composed::new(score, 0.1, LogisticLoss { label_smoothing: 0.0 }).unwrap();
        let composed = composed.with_weighting(weighting);
        assert!(composed.uses_batch_statistics());
        assert_eq!(composed.columns(), [REWARD_GAPS]);
        let mut state = State::default();
        composed.observe(&mut state, &gap(0.5)).unwrap();
        let losses = composed.forward(&gap(0.8).with_state(state)).unwrap().losses;
        assert!((column(&losses)[0] - (-0.3f64).exp() * DPO).abs() < 1e-10);
        let plain = Composed::new(score, 0.1, LogisticLoss { label_smoothing: 0.0 }).unwrap();
        assert!(!plain.uses_batch_statistics());
        plain.observe(&mut State::default(), &spec_batch()).unwrap();
    }

    #[test]
    fn senseless_settings_and_inputs_are_refused_by_name() {
        let config = MadpoConfig::new();
        assert_eq!((config.beta, config.kappa, config.label_smoothing), (0.1, 1.0, 0.0));
        assert_eq!((config.weight_min, config.weight_max, config.normalize), (0.5, 2.0, false));
        assert_eq!(config.center, Center::RunningMean);
        let refused = |config: MadpoConfig, field: &str| {
            let error = config.init().unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{field}`")), "{error}");
        };
        refused(MadpoConfig::new().with_beta(0.0), "beta");
        refused(MadpoConfig::new().with_label_smoothing(0.5), "label_smoothing");
        for bad in [-0.1, f64::NAN, f64::INFINITY] {
            refused(MadpoConfig::new().with_kappa(bad), "kappa");
            refused(MadpoConfig::new().with_weight_min(bad), "weight_min");
            refused(MadpoConfig::new().with_weight_max(bad), "weight_max");
        }
        refused(MadpoConfig::new().with_weight_min(0.0), "weight_min");
        refused(MadpoConfig::new().with_weight_max(0.4), "weight_max");
        MadpoConfig::new().with_weight_max(0.5).init().expect("one weight for all");
        for bad in [f64::NAN, f64::INFINITY] {
            refused(fixed(bad), "center.Fixed");
        }
        let error = config.init().unwrap().forward(&spec_batch()).unwrap_err().to_string();
        assert!(error.starts_with("`madpo` needs `reward_gaps`"), "{error}");
        assert_eq!(config.init().unwrap().columns(), [REWARD_GAPS]);
    }

    #[test]
    fn the_gap_of_a_pair_without_weight_is_not_read() {
        let batch = three([1.0, f64::NAN, 3.0], [1.0; 3]);
        let objective = MadpoConfig::new().with_normalize(true).init().unwrap();
        let mut state = State::default();
        objective.observe(&mut state, &batch).unwrap();
        assert_eq!((state.get(MEAN), state.get(COUNT)), (Some(2.0), Some(2.0)));
        let losses = column(&objective.forward(&batch.with_state(state)).unwrap().losses);
        assert!(losses[0].is_finite() && losses[2].is_finite(), "{losses:?}");
    }

    accordant_laws::pairwise_laws!(
        madpo_obeys_the_laws,
        "madpo",
        fixed(0.5).init().unwrap(),
        ["reward_gaps" => Real(-2.0, 2.0)],
        [ShiftInvariant, LowerBound(0.0), DecreasingInChosen, IncreasingInRejected, ConvexInMargin,
         MarginShifts { beta: 0.1 }]
    );

    accordant_laws::pairwise_laws!(
        madpo_with_a_running_mean_obeys_the_laws,
        "madpo with a running mean",
        MadpoConfig::new().init().unwrap(),
        ["reward_gaps" => Real(-2.0, 2.0)],
        [BatchStatistics, LowerBound(0.0)]
    );
}
