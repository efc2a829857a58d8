//! Binary Classifier Optimization on pairs (BCO).
//!
//! **Paper:** Binary Classifier Optimization for Large Language Model Alignment (2024), 2404.04656.
//! **Use when:** the likelihood of both responses shall move, each to its side of a threshold.
//! **Checked by:** values and gradients by hand, golden numbers (TRL 1.16, and 0.24 for the running mean), the laws of
//! the family.
//! **Deviations:** the threshold is 0 unless the running mean is asked for, as in TRL 1.16; 0.24 always subtracted the
//! mean. Our mean starts empty and runs in f64.

use accordant_ops::{item_metrics::counted, stable::softplus};
use burn::{config::Config, tensor::Tensor};

use super::{Method, PairBatch, PairOutput, PairValues, PairwiseObjective, check_beta};
use crate::{Moments, Result, State};

/// BCO's losses of pairs: the binary cross-entropy of a classifier with the logit `reward − δ`.
///
/// ```text
/// loss = −log σ(a − δ) − log σ(−(b − δ)),   a = β d_w, b = β d_l
/// ```
///
/// Half the pair's margin is taken from `a` and half is given to `b`. With a probability `q` that the label is wrong, the
/// loss is `(1−q)` times this plus `q` times the same with `a` and `b` exchanged.
///
/// # Shapes
/// `rewards`: two `[n]`, `beta` times the summed log-ratios; the result is `[n]`.
///
/// `delta` finite. Rewards of δ give `2 ln 2`. Falls with `a` and rises with `b`. Finite for every finite input.
///
/// # Errors
/// A shape error when there is not one reward for each response of `batch`.
///
/// # Example
/// ```
/// use accordant_objectives::pairwise::{PairBatch, PairLogps, PairValues, bco_pair::bco_pair_loss};
/// use accordant_objectives::SequenceLogps;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let one = |x: f32| Tensor::<1>::from_floats([x], &device);
/// let logps = |x| SequenceLogps::new(one(x), one(1.0));
/// let batch = PairBatch::new(PairLogps::new(logps(-1.0)?, logps(-2.0)?)?);
/// // σ(ln 3) = 3/4: −ln 3/4 − ln 1/2.
/// let rewards = PairValues { chosen: one(3f32.ln() + 0.5), rejected: one(0.5) };
/// let loss = bco_pair_loss(&batch, rewards, 0.5)?.into_scalar::<f32>();
/// assert!((loss - (8f32 / 3.0).ln()).abs() < 1e-6);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2404.04656")]
#[doc(alias = "Binary Classifier Optimization for Large Language Model Alignment")]
pub fn bco_pair_loss(batch: &PairBatch, rewards: PairValues, delta: f64) -> Result<Tensor<1>> {
    batch.check_values(&rewards)?;
    Ok(batch.reward_losses(rewards, |PairValues { chosen, rejected }| {
        softplus(-chosen + delta) + softplus(rejected - delta)
    }))
}

/// The threshold of [`BcoPair`]'s classifier.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum BcoDelta {
    /// 0.
    Zero,
    /// The mean of all rewards of both sides that have been trained on, those of the batch included.
    RunningMean,
}

/// Configuration of [`BcoPair`].
#[derive(Config, Debug, PartialEq)]
pub struct BcoPairConfig {
    /// Strength of the KL pull, finite and > 0. 0.1: TRL's default, equal to DPO's.
    #[config(default = 0.1)]
    pub beta: f64,
    /// The classifier's threshold δ. `Zero`: TRL's after 0.24; pairs have as many good responses as bad ones.
    #[config(default = "BcoDelta::Zero")]
    pub delta: BcoDelta,
}

impl BcoPairConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<BcoPair> {
        check_beta(self.beta)?;
        Ok(BcoPair { config: self.clone() })
    }
}

/// The BCO objective on pairs; see [`bco_pair_loss`].
///
/// With [`BcoDelta::RunningMean`] its state holds the [`Moments`] of all rewards that it has observed, of pairs of
/// weight > 0; their mean is δ, logged as `delta`. A batch without a state has δ = 0. Observing reads the device.
#[derive(Debug, Clone, PartialEq)]
pub struct BcoPair {
    config: BcoPairConfig,
}

/// `bco_pair` by name.
pub const METHOD: Method = Method {
    name: "bco_pair",
    title: "Binary Classifier Optimization on pairs",
    build: |options| Ok(Box::new(options.apply("bco_pair", BcoPairConfig::new())?.init()?)),
};

impl BcoPair {
    fn rewards(&self, batch: &PairBatch) -> Result<PairValues> {
        Ok(batch.log_ratios("bco_pair")?.map(|ratio| batch.times_beta(ratio, self.config.beta)))
    }
}

impl PairwiseObjective for BcoPair {
    /// By way of the running mean.
    fn uses_batch_statistics(&self) -> bool {
        self.config.delta == BcoDelta::RunningMean
    }

    fn observe(&self, state: &mut State, batch: &PairBatch) -> Result<()> {
        if self.config.delta == BcoDelta::Zero || batch.is_empty() {
            return Ok(());
        }
        let PairValues { chosen, rejected } = self.rewards(batch)?;
        let columns = vec![chosen.detach(), rejected.detach(), counted(&batch.weights())];
        let rows = Tensor::stack::<2>(columns, 1).into_data().convert::<f64>();
        let rows = rows.as_slice::<f64>().expect("converted to f64").chunks_exact(3);
        let rewards: Vec<f64> = rows.filter(|row| row[2] > 0.0).flat_map(|row| [row[0], row[1]]).collect();
        let mut moments = Moments::of(state);
        moments.add(&rewards);
        moments.store(state);
        Ok(())
    }

    fn forward(&self, batch: &PairBatch) -> Result<PairOutput> {
        let rewards = self.rewards(batch)?;
        let delta = match self.config.delta {
            BcoDelta::Zero => 0.0,
            BcoDelta::RunningMean => Moments::of(batch.state()).mean,
        };
        let losses = bco_pair_loss(batch, rewards.clone(), delta)?;
        let deltas = losses.zeros_like() + delta;
        let output = PairOutput::with_rewards(losses, batch, rewards);
        match self.config.delta {
            BcoDelta::Zero => Ok(output),
            BcoDelta::RunningMean => output.with_metric("delta", deltas),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        SequenceLogps,
        pairwise::{
            PairLogps,
            tests::{column, grad_of_policy, spec_batch, tensor},
        },
    };

    fn bco(delta: BcoDelta) -> BcoPair {
        BcoPairConfig::new().with_delta(delta).init().expect("valid in this test")
    }

    fn softplus(x: f64) -> f64 {
        (1.0 + x.exp()).ln()
    }

    #[test]
    fn value_and_gradient_by_hand() {
        let output = bco(BcoDelta::Zero).forward(&spec_batch()).unwrap();
        assert!((column(&output.losses)[0] - 1.312856308).abs() < 1e-9);
        assert_eq!((column(&output.chosen_rewards), column(&output.rejected_rewards)), (vec![0.1], vec![-0.05]));
        assert_eq!(output.means().mean("delta"), None);
        let (chosen, rejected) = grad_of_policy(&spec_batch(), &bco(BcoDelta::Zero));
        assert!((chosen[0] + 0.1 / (1.0 + 0.1f64.exp())).abs() < 1e-15);
        assert!((rejected[0] - 0.1 / (1.0 + 0.05f64.exp())).abs() < 1e-15);
    }

    #[test]
    fn the_running_mean_of_all_rewards_is_the_threshold() {
        let objective = bco(BcoDelta::RunningMean);
        assert!(objective.uses_batch_statistics() && !bco(BcoDelta::Zero).uses_batch_statistics());
        let mut state = State::default();
        objective.observe(&mut state, &spec_batch()).unwrap();
        // Rewards 0.1 and −0.05.
        let moments = Moments::of(&state);
        assert_eq!(moments.count, 2.0);
        assert!((moments.mean - 0.025).abs() < 1e-15 && (moments.variance - 0.075f64.powi(2)).abs() < 1e-15);
        let output = objective.forward(&spec_batch().with_state(state.clone())).unwrap();
        assert!((column(&output.losses)[0] - softplus(-0.075) - softplus(-0.075)).abs() < 1e-12);
        assert!((output.means().mean("delta").unwrap() - 0.025).abs() < 1e-15);
        // Another batch goes on from there: (0.1 − 0.05 + 1 − 0.5)/4.
        objective.observe(&mut state, &spec_batch().with_betas(tensor(&[1.0])).unwrap()).unwrap();
        assert!((Moments::of(&state).mean - 0.1375).abs() < 1e-15);
        // Without a state the threshold is 0, and a threshold of 0 has no state.
        assert!((column(&objective.forward(&spec_batch()).unwrap().losses)[0] - 1.312856308).abs() < 1e-9);
        let mut none = State::default();
        bco(BcoDelta::Zero).observe(&mut none, &spec_batch()).unwrap();
        assert_eq!(none, State::default());
    }

    #[test]
    fn skipped_pairs_and_empty_batches_are_not_observed() {
        let side = |sums: &[f64], counts: &[f64]| SequenceLogps::new(tensor(sums), tensor(counts)).unwrap();
        let pairs = |w: &[f64], l: &[f64], counts: &[f64]| PairLogps::new(side(w, counts), side(l, counts)).unwrap();
        let policy = pairs(&[-1.0, 0.0], &[-3.0, 0.0], &[2.0, 0.0]);
        let reference = pairs(&[-2.0, 50.0], &[-2.0, 70.0], &[2.0, 0.0]);
        let batch = PairBatch::new(policy).with_reference(reference).unwrap();
        let (objective, mut state) = (bco(BcoDelta::RunningMean), State::default());
        objective.observe(&mut state, &batch).unwrap();
        assert_eq!((Moments::of(&state).count, Moments::of(&state).mean), (2.0, 0.0));
        let none = pairs(&[], &[], &[]);
        let before = state.clone();
        objective.observe(&mut state, &PairBatch::new(none.clone()).with_reference(none).unwrap()).unwrap();
        assert_eq!(state, before);
    }

    #[test]
    fn no_gradient_reaches_the_threshold() {
        let objective = bco(BcoDelta::RunningMean);
        let mut state = State::default();
        Moments { count: 2.0, mean: 0.025, variance: 0.0 }.store(&mut state);
        let (chosen, _) = grad_of_policy(&spec_batch().with_state(state), &objective);
        assert!((chosen[0] + 0.1 / (1.0 + 0.075f64.exp())).abs() < 1e-15);
    }

    #[test]
    fn hooks_reach_the_loss() {
        let loss = |batch: PairBatch| column(&bco(BcoDelta::Zero).forward(&batch).unwrap().losses)[0];
        let margin = spec_batch().with_margins(tensor(&[0.4])).unwrap();
        assert!((loss(margin) - softplus(0.1) - softplus(0.15)).abs() < 1e-12);
        let own = spec_batch().with_betas(tensor(&[1.0])).unwrap();
        assert!((loss(own) - softplus(-1.0) - softplus(-0.5)).abs() < 1e-12);
        let doubtful = spec_batch().with_label_probs(tensor(&[0.75])).unwrap();
        let mixed = 0.75 * (softplus(-0.1) + softplus(-0.05)) + 0.25 * (softplus(0.05) + softplus(0.1));
        assert!((loss(doubtful) - mixed).abs() < 1e-12);
    }

    #[test]
    fn senseless_input_is_refused_by_name() {
        assert_eq!(BcoPairConfig::new(), BcoPairConfig { beta: 0.1, delta: BcoDelta::Zero });
        for beta in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(BcoPairConfig::new().with_beta(beta).init().unwrap_err().to_string().starts_with("`beta`"));
        }
        let free = PairBatch::new(spec_batch().policy().clone());
        let error = bco(BcoDelta::Zero).forward(&free).unwrap_err().to_string();
        assert!(error.starts_with("`bco_pair` needs the reference"), "{error}");
        assert!(bco(BcoDelta::RunningMean).observe(&mut State::default(), &free).is_err());
        let rewards = PairValues { chosen: tensor(&[1.0]), rejected: tensor(&[0.0, 1.0]) };
        assert!(bco_pair_loss(&spec_batch(), rewards, 0.0).unwrap_err().to_string().starts_with("`values.rejected`"));
    }

    accordant_laws::pairwise_laws!(
        obeys_the_laws,
        "bco_pair",
        BcoPairConfig::new().init().unwrap(),
        [],
        [
            ShiftSensitive,
            DecreasingInChosen,
            IncreasingInRejected,
            ConvexInMargin,
            AtReference(2.0 * 2f64.ln()),
            LowerBound(0.0),
            LabelProbMixes,
        ],
    );

    accordant_laws::pairwise_laws!(
        with_a_running_mean_it_obeys_the_laws,
        "bco_pair",
        BcoPairConfig::new().with_delta(BcoDelta::RunningMean).init().unwrap(),
        [],
        [BatchStatistics, ShiftInvariant, AtReference(2.0 * 2f64.ln()), LowerBound(0.0)],
        except "finite differences" because "the running mean is a constant of the gradient",
        except "finite differences, token by token" because "the same",
    );

    #[test]
    fn a_margin_is_taken_half_from_one_reward_and_half_given_to_the_other() {
        let batch = spec_batch().with_margins(tensor(&[0.2])).unwrap();
        let loss = column(&BcoPairConfig::new().init().unwrap().forward(&batch).unwrap().losses)[0];
        // a = 0.1 − 0.1 and b = −0.05 + 0.1
        assert!((loss - (2f64.ln() + 0.05f64.exp().ln_1p())).abs() < 1e-14, "{loss}");
    }
}
