//! Self-Play Preference Optimization (SPPO), as a loss of pairs.
//!
//! **Paper:** Self-Play Preference Optimization for Language Model Alignment (2024), 2405.00675.
//! **Use when:** responses are sampled from the policy round by round and a preference model says how often each wins;
//! the reference is the policy of the round before.
//! **Checked by:** values and gradients by hand, golden numbers (TRL, hard targets), the laws of the family.
//! **Deviations:** by default both squares are halved, as in the authors' code; TRL adds them whole
//! ([`SppoScale::One`]) and knows hard targets alone.

use burn::{config::Config, tensor::Tensor};

use super::{Method, PairBatch, PairOutput, PairValues, PairwiseObjective, check_beta};
use crate::{
    Result,
    side::{Column, Domain},
};

/// How often the chosen response wins against the policy.
pub const CHOSEN_WIN_PROB: Column = Column {
    name: "chosen_win_prob",
    domain: Domain::Unit,
    meaning: "the probability that the chosen response wins against the policy's samples",
};

/// How often the rejected response wins against the policy.
pub const REJECTED_WIN_PROB: Column = Column {
    name: "rejected_win_prob",
    domain: Domain::Unit,
    meaning: "the probability that the rejected response wins against the policy's samples",
};

/// Where SPPO's win rates come from.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum SppoTargets {
    /// An estimate for each response: [`CHOSEN_WIN_PROB`] and [`REJECTED_WIN_PROB`].
    WinProbs,
    /// One estimate for each pair, [`CHOSEN_WIN_PROB`]; the rejected response has the complement.
    ChosenWinProb,
    /// 1 and 0.
    Hard,
}

/// The factor of SPPO's two squares.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum SppoScale {
    /// Their mean.
    Half,
    /// Their sum.
    One,
}

impl SppoScale {
    fn factor(self) -> f64 {
        match self {
            Self::Half => 0.5,
            Self::One => 1.0,
        }
    }
}

/// SPPO losses, one per pair.
///
/// ```text
/// loss = c [(d_w − (P_w − ½)/β)² + (d_l − (P_l − ½)/β)²],   c = ½ or 1        (1/β is η in the paper)
///      = c [(a − (P_w − ½))² + (b − (P_l − ½))²] / β²,   a = β d_w, b = β d_l
/// ```
///
/// Half the pair's margin is taken from `a` and half is given to `b`. With a probability `q` that the label is wrong, the
/// loss is `(1−q)` times this plus `q` times the same with `a` and `b` exchanged, the targets staying in place.
///
/// # Shapes
/// `ratios`: two `[n]` of summed log-ratios in nats; `win_probs`: two `[n]` in `[0, 1]`; the result is `[n]`.
///
/// `beta` > 0. The loss is 0 where both targets are met, and each log-ratio counts, not their difference alone. Policy =
/// reference with hard targets gives `c/(2β²)`. Quadratic: a log-ratio of ±1e4 gives about 1e8, finite in f32.
///
/// # Errors
/// A shape error when there is not one log-ratio and one win rate for each response of `batch`.
///
/// # Example
/// ```
/// use accordant_objectives::pairwise::{PairBatch, PairLogps, PairValues, sppo::{SppoScale, sppo_loss}};
/// use accordant_objectives::SequenceLogps;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let one = |x: f32| Tensor::<1>::from_floats([x], &device);
/// let logps = |x| SequenceLogps::new(one(x), one(1.0));
/// let batch = PairBatch::new(PairLogps::new(logps(-1.0)?, logps(-2.0)?)?);
/// let ratios = PairValues { chosen: one(1.0), rejected: one(0.0) };
/// let win_probs = PairValues { chosen: one(1.0), rejected: one(0.0) };
/// // Targets ½/0.25 = 2 and −2.
/// let loss = sppo_loss(&batch, ratios, win_probs, 0.25, SppoScale::One)?;
/// assert_eq!(loss.into_scalar::<f32>(), 5.0); // (1 − 2)² + (0 + 2)²
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2405.00675")]
#[doc(alias = "Self-Play Preference Optimization for Language Model Alignment")]
pub fn sppo_loss(
    batch: &PairBatch,
    ratios: PairValues,
    win_probs: PairValues,
    beta: f64,
    scale: SppoScale,
) -> Result<Tensor<1>> {
    batch.check_values(&ratios)?;
    batch.check_numbers("win_probs.chosen", &win_probs.chosen)?;
    batch.check_numbers("win_probs.rejected", &win_probs.rejected)?;
    let targets = win_probs.map(|prob| prob.detach() - 0.5);
    let rewards = ratios.map(|ratio| batch.times_beta(ratio, beta));
    let squares = batch.reward_losses(rewards, |PairValues { chosen, rejected }| {
        (chosen - targets.chosen.clone()).square() + (rejected - targets.rejected.clone()).square()
    });
    Ok(squares * batch.betas(beta).recip().square() * scale.factor())
}

/// Configuration of [`Sppo`].
#[derive(Config, Debug, PartialEq)]
pub struct SppoConfig {
    /// Strength of the KL pull, finite and > 0; 1/η in the paper. 1e-3: the paper's experiments, with log-ratio targets of
    /// several hundred; TRL's default is 0.1.
    #[config(default = 1e-3)]
    pub beta: f64,
    /// Where win rates come from. `WinProbs`: the authors' code.
    #[config(default = "SppoTargets::WinProbs")]
    pub targets: SppoTargets,
    /// The factor of the two squares. `Half`: the authors' code; TRL's is `One`.
    #[config(default = "SppoScale::Half")]
    pub scale: SppoScale,
}

impl SppoConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<Sppo> {
        check_beta(self.beta)?;
        Ok(Sppo { config: self.clone() })
    }
}

/// The SPPO objective; see [`sppo_loss`]. Estimated win rates are its labels, so that it takes label probabilities with
/// hard targets alone; there, they give the gradient of [`SppoTargets::ChosenWinProb`].
#[derive(Debug, Clone, PartialEq)]
pub struct Sppo {
    config: SppoConfig,
}

/// `sppo` by name.
pub const METHOD: Method = Method {
    name: "sppo",
    title: "Self-Play Preference Optimization",
    build: |options| Ok(Box::new(options.apply("sppo", SppoConfig::new())?.init()?)),
};

impl Sppo {
    fn win_probs(&self, batch: &PairBatch) -> Result<PairValues> {
        if self.config.targets == SppoTargets::Hard {
            let wins = batch.policy().chosen.sum.ones_like().detach();
            return Ok(PairValues { rejected: wins.zeros_like(), chosen: wins });
        }
        batch.refuse("sppo", &["label_probs"], "win rates are its labels")?;
        let chosen = batch.column(CHOSEN_WIN_PROB, "sppo")?;
        let rejected = match self.config.targets {
            SppoTargets::WinProbs => batch.column(REJECTED_WIN_PROB, "sppo")?,
            _ => -chosen.clone() + 1.0,
        };
        Ok(PairValues { chosen, rejected })
    }
}

impl PairwiseObjective for Sppo {
    fn columns(&self) -> Vec<Column> {
        match self.config.targets {
            SppoTargets::WinProbs => vec![CHOSEN_WIN_PROB, REJECTED_WIN_PROB],
            SppoTargets::ChosenWinProb => vec![CHOSEN_WIN_PROB],
            SppoTargets::Hard => Vec::new(),
        }
    }

    fn forward(&self, batch: &PairBatch) -> Result<PairOutput> {
        let SppoConfig { beta, scale, .. } = self.config;
        let losses = sppo_loss(batch, batch.log_ratios("sppo")?, self.win_probs(batch)?, beta, scale)?;
        Ok(PairOutput::new(losses, batch, beta))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pairwise::tests::{column, grad_of_policy, spec_batch, tensor};

    fn sppo(targets: SppoTargets, scale: SppoScale) -> Sppo {
        SppoConfig::new().with_beta(0.1).with_targets(targets).with_scale(scale).init().expect("valid in this test")
    }

    fn with_probs(chosen: f64, rejected: f64) -> PairBatch {
        let batch = spec_batch().with_column(CHOSEN_WIN_PROB, tensor(&[chosen])).unwrap();
        batch.with_column(REJECTED_WIN_PROB, tensor(&[rejected])).unwrap()
    }

    fn loss(sppo: &Sppo, batch: &PairBatch) -> f64 {
        column(&sppo.forward(batch).unwrap().losses)[0]
    }

    #[test]
    fn values_and_gradients_by_hand() {
        // d = (1, −0.5), targets ±5: 16 + 20.25.
        let hard = sppo(SppoTargets::Hard, SppoScale::One);
        assert!((loss(&hard, &spec_batch()) - 36.25).abs() < 1e-12);
        assert!((loss(&sppo(SppoTargets::Hard, SppoScale::Half), &spec_batch()) - 18.125).abs() < 1e-12);
        let (chosen, rejected) = grad_of_policy(&spec_batch(), &hard);
        assert!((chosen[0] + 8.0).abs() < 1e-12 && (rejected[0] - 9.0).abs() < 1e-12, "{chosen:?} {rejected:?}");
        // Targets 2 and −1: ½ (1 + 0.25).
        let soft = sppo(SppoTargets::WinProbs, SppoScale::Half);
        assert!((loss(&soft, &with_probs(0.7, 0.4)) - 0.625).abs() < 1e-12);
        let output = soft.forward(&with_probs(0.7, 0.4)).unwrap();
        assert_eq!((column(&output.chosen_rewards), column(&output.rejected_rewards)), (vec![0.1], vec![-0.05]));
        // Targets 2 and −2: ½ (1 + 2.25); the other column is not read.
        let single = sppo(SppoTargets::ChosenWinProb, SppoScale::Half);
        assert!((loss(&single, &with_probs(0.7, 0.4)) - 1.625).abs() < 1e-12);
    }

    #[test]
    fn met_targets_lose_nothing_and_even_odds_pull_to_the_reference() {
        let soft = sppo(SppoTargets::WinProbs, SppoScale::Half);
        assert!(loss(&soft, &with_probs(0.6, 0.45)).abs() < 1e-25);
        assert!((loss(&soft, &with_probs(0.5, 0.5)) - 0.625).abs() < 1e-12, "½ (d_w² + d_l²)");
    }

    #[test]
    fn label_probabilities_of_hard_targets_are_one_win_rate() {
        let batch = with_probs(0.7, 0.4);
        let doubtful = spec_batch().with_label_probs(tensor(&[0.7])).unwrap();
        let hard = grad_of_policy(&doubtful, &sppo(SppoTargets::Hard, SppoScale::Half));
        let single = grad_of_policy(&batch, &sppo(SppoTargets::ChosenWinProb, SppoScale::Half));
        assert!((hard.0[0] - single.0[0]).abs() < 1e-12 && (hard.1[0] - single.1[0]).abs() < 1e-12);
        // d = (1, −0.5) and (−0.5, 1) against ±5, halved: 18.125 and ½ (30.25 + 36).
        let mixed = 0.7 * 18.125 + 0.3 * 33.125;
        assert!((loss(&sppo(SppoTargets::Hard, SppoScale::Half), &doubtful) - mixed).abs() < 1e-12);
        for targets in [SppoTargets::WinProbs, SppoTargets::ChosenWinProb] {
            let batch = batch.clone().with_label_probs(tensor(&[0.7])).unwrap();
            let error = sppo(targets, SppoScale::Half).forward(&batch).unwrap_err().to_string();
            assert_eq!(error, "`sppo` cannot take `label_probs`: win rates are its labels");
        }
    }

    #[test]
    fn margins_and_betas_reach_the_loss() {
        let hard = sppo(SppoTargets::Hard, SppoScale::One);
        // Half of 0.2 is 1 in log-ratios: d = (0, 0.5).
        let margin = spec_batch().with_margins(tensor(&[0.2])).unwrap();
        assert!((loss(&hard, &margin) - 25.0 - 30.25).abs() < 1e-12);
        // Targets ±1.
        let own = spec_batch().with_betas(tensor(&[0.5])).unwrap();
        assert!((loss(&hard, &own) - 0.25).abs() < 1e-12);
    }

    #[test]
    fn what_it_reads_it_declares() {
        let columns = |targets| sppo(targets, SppoScale::Half).columns();
        assert_eq!(columns(SppoTargets::WinProbs), [CHOSEN_WIN_PROB, REJECTED_WIN_PROB]);
        assert_eq!(columns(SppoTargets::ChosenWinProb), [CHOSEN_WIN_PROB]);
        assert_eq!(columns(SppoTargets::Hard), []);
        let soft = sppo(SppoTargets::WinProbs, SppoScale::Half);
        let error = soft.forward(&spec_batch()).unwrap_err().to_string();
        assert!(error.starts_with("`sppo` needs `chosen_win_prob`"), "{error}");
        let half = spec_batch().with_column(CHOSEN_WIN_PROB, tensor(&[0.5])).unwrap();
        assert!(soft.forward(&half).unwrap_err().to_string().starts_with("`sppo` needs `rejected_win_prob`"));
        let free = PairBatch::new(spec_batch().policy().clone());
        assert!(soft.forward(&free).unwrap_err().to_string().starts_with("`sppo` needs the reference"));
    }

    #[test]
    fn senseless_input_is_refused_by_name() {
        let expected = SppoConfig { beta: 1e-3, targets: SppoTargets::WinProbs, scale: SppoScale::Half };
        assert_eq!(SppoConfig::new(), expected);
        for beta in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(SppoConfig::new().with_beta(beta).init().unwrap_err().to_string().starts_with("`beta`"));
        }
        let (one, two) = (tensor(&[1.0]), tensor(&[0.0, 1.0]));
        let good = PairValues { chosen: one.clone(), rejected: one.clone() };
        let bad = PairValues { chosen: one, rejected: two };
        for (name, ratios, probs) in [("values", bad.clone(), good.clone()), ("win_probs", good, bad)] {
            let error = sppo_loss(&spec_batch(), ratios, probs, 1.0, SppoScale::One).unwrap_err().to_string();
            assert_eq!(error, format!("`{name}.rejected`: expected shape [1], got [2]"));
        }
    }

    accordant_laws::pairwise_laws!(
        obeys_the_laws,
        "sppo",
        SppoConfig::new().init().unwrap(),
        ["chosen_win_prob" => Unit, "rejected_win_prob" => Unit],
        [ShiftSensitive, ConvexInMargin, LowerBound(0.0), NoHook("label_probs")],
    );

    accordant_laws::pairwise_laws!(
        hard_targets_obey_the_laws,
        "sppo",
        SppoConfig::new().with_beta(0.1).with_targets(SppoTargets::Hard).init().unwrap(),
        [],
        [ShiftSensitive, ConvexInMargin, AtReference(25.0), LowerBound(0.0), LabelProbMixes],
    );
}
