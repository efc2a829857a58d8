//! InfoNCA: contrast of all candidates, with targets from explicit rewards.
//!
//! **Paper:** Noise Contrastive Alignment of Language Models with Explicit Rewards (2024), 2402.05369.
//! **Use when:** candidates have reward scores whose differences mean something.
//! **Checked by:** a golden number, hand-worked values and gradients, DPO at two candidates and a sharp target.
//! **Deviations:** the temperature of the rewards is explicit (the authors' code divides by 1e-4, nearly one-hot), and
//! equal rewards get equal mass (their code adds 0.01 to the first candidate).

use accordant_ops::{lists::choice_cross_entropy, stable::x_log_x};
use burn::{config::Config, tensor::Tensor};

use super::{ListBatch, ListOutput, ListwiseObjective, Method, check_positive, choice_logps, over_candidates};
use crate::Result;

/// Cross-entropies of a target distribution and the softmax of the candidates' rewards, one per list.
///
/// ```text
/// loss = −Σ_k q_k log softmax(a)_k,   a = β d        (eq. 8)
/// ```
///
/// # Shapes
/// `rewards` (a) and `targets` (q): `[n, k]`; the targets of a list add up to 1 and are detached. The result is `[n]`.
///
/// Equal rewards of K candidates give ln K. The same constant on all rewards of a list changes nothing; it is least,
/// and the entropy of `q`, where `softmax(a) = q`. Finite for every finite input.
///
/// # Errors
/// A shape or dtype error naming `rewards` or `targets`.
///
/// # Example
/// ```
/// use accordant_objectives::listwise::{ListBatch, ListLogps, infonca::infonca_loss};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let row = |values: [f32; 2]| Tensor::<2>::from_floats([values], &device);
/// let batch = ListBatch::new(ListLogps { sum: row([-1.0; 2]), count: row([1.0; 2]) })?;
/// // softmax(a) = (3/4, 1/4), all the mass on the first.
/// let loss = infonca_loss(&batch, row([3f32.ln(), 0.0]), row([1.0, 0.0]))?.into_scalar::<f32>();
/// assert!((loss - (4f32 / 3.0).ln()).abs() < 1e-6);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2402.05369")]
#[doc(alias = "Noise Contrastive Alignment of Language Models with Explicit Rewards")]
pub fn infonca_loss(batch: &ListBatch, rewards: Tensor<2>, targets: Tensor<2>) -> Result<Tensor<1>> {
    batch.check_values("rewards", &rewards)?;
    batch.check_values("targets", &targets)?;
    let targets = batch.select(targets);
    Ok(choice_cross_entropy(batch.select(rewards), targets, batch.present())?)
}

/// The probabilities that scores give the candidates, `softmax(r / α)`, `[n, k]`; detached.
///
/// # Errors
/// A shape or dtype error naming `scores`.
pub fn softmax_targets(batch: &ListBatch, scores: Tensor<2>, temperature: f64) -> Result<Tensor<2>> {
    batch.check_values("scores", &scores)?;
    Ok(batch.select(choice_logps(batch, batch.select(scores).detach() * temperature.recip()).exp()))
}

/// What [`infonca_loss`] is above its minimum, the entropy of the targets: `KL(q ‖ softmax(a))`, `[n]`. To be logged.
pub(super) fn divergences(losses: &Tensor<1>, targets: Tensor<2>) -> Tensor<1> {
    losses.clone().detach() + over_candidates(x_log_x(targets))
}

/// Configuration of [`InfoNca`].
#[derive(Config, Debug, PartialEq)]
pub struct InfoNcaConfig {
    /// Strength of the KL pull, finite and > 0. 0.01: the authors' training recipes.
    #[config(default = 0.01)]
    pub beta: f64,
    /// What scores are divided by before their softmax, finite and > 0; α in the paper. 1: ours.
    #[config(default = 1.0)]
    pub reward_temperature: f64,
}

impl InfoNcaConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<InfoNca> {
        check_positive("beta", self.beta)?;
        check_positive("reward_temperature", self.reward_temperature)?;
        Ok(InfoNca { config: self.clone() })
    }
}

/// The InfoNCA objective; see [`infonca_loss`] and [`softmax_targets`]. Rewards are `beta` times the log-ratio.
#[derive(Debug, Clone, PartialEq)]
pub struct InfoNca {
    config: InfoNcaConfig,
}

/// `infonca` by name.
pub const METHOD: Method = Method {
    name: "infonca",
    title: "InfoNCA with explicit rewards",
    build: |options| Ok(Box::new(options.apply("infonca", InfoNcaConfig::new())?.init()?)),
};

impl ListwiseObjective for InfoNca {
    fn forward(&self, batch: &ListBatch) -> Result<ListOutput> {
        let targets = softmax_targets(batch, batch.scores("infonca")?, self.config.reward_temperature)?;
        let rewards = batch.log_ratios("infonca")? * self.config.beta;
        ListOutput::new(infonca_loss(batch, rewards.clone(), targets)?, batch, rewards, batch.plural())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listwise::tests::{close, dpo_loss, grad_of_losses, list, losses, matrix, values};

    fn method(beta: f64, reward_temperature: f64) -> InfoNca {
        InfoNcaConfig::new().with_beta(beta).with_reward_temperature(reward_temperature).init().unwrap()
    }

    #[test]
    fn the_golden_value() {
        let scores = [1.0, 0.5, 0.0];
        close(losses(&method(1.0, 1.0), &list(&[0.3, 0.1, -0.2], &scores))[0], 1.040540356, 1e-9);
        // β scales log-ratios, α scores.
        close(losses(&method(0.1, 2.0), &list(&[3.0, 1.0, -2.0], &[2.0, 1.0, 0.0]))[0], 1.040540356, 1e-9);
        close(losses(&method(0.01, 1.0), &list(&[30.0, 10.0, -20.0], &scores))[0], 1.040540356, 1e-9);
    }

    #[test]
    fn the_gradient_is_the_softmax_less_the_target() {
        let (a, r) = ([0.3, 0.1, -0.2], [1.0, 0.5, 0.0]);
        let softmax = |x: [f64; 3]| x.map(|value| value.exp() / x.iter().map(|value| value.exp()).sum::<f64>());
        let grad = grad_of_losses(&method(0.5, 1.0), &list(&a.map(|a| 2.0 * a), &r));
        for (grad, (b, q)) in grad.iter().zip(softmax(a).into_iter().zip(softmax(r))) {
            close(*grad, 0.5 * (b - q), 1e-14);
        }
    }

    #[test]
    fn two_candidates_and_a_sharp_target_are_dpo() {
        let loss = losses(&method(0.1, 1e-4), &list(&[-0.5, 1.0], &[0.0, 1.0]));
        close(loss[0], dpo_loss(1.0, -0.5, 0.1), 1e-14);
    }

    #[test]
    fn a_shift_changes_nothing_and_the_optimum_is_the_entropy() {
        let r = [1.0, 0.5, 0.0];
        let loss = |a: [f64; 3]| losses(&method(1.0, 1.0), &list(&a, &r))[0];
        close(loss([0.3, 0.1, -0.2]), loss([7.3, 7.1, 6.8]), 1e-12);
        let q = r.map(|r: f64| r.exp() / r_total(&[1.0, 0.5, 0.0]));
        close(loss(r), -q.iter().map(|q| q * q.ln()).sum::<f64>(), 1e-14);
        close(loss([0.4; 3]), 3f64.ln(), 1e-14);
    }

    fn r_total(r: &[f64]) -> f64 {
        r.iter().map(|r| r.exp()).sum()
    }

    #[test]
    fn a_candidate_that_is_nearly_certain_keeps_its_digits_in_f32() {
        let narrow = |x: Tensor<2>| x.cast(burn::tensor::FloatDType::F32);
        let logps =
            crate::listwise::ListLogps { sum: narrow(matrix(&[&[0.0, -8.5]])), count: narrow(matrix(&[&[1.0, 1.0]])) };
        let batch = ListBatch::new(logps.clone()).unwrap();
        let loss = values(&infonca_loss(&batch, logps.sum, narrow(matrix(&[&[1.0, 0.0]]))).unwrap())[0];
        let exact = (-8.5f64).exp().ln_1p();
        assert!((loss / exact - 1.0).abs() < 1e-6, "{loss} for {exact}");
    }

    #[test]
    fn equal_scores_want_equal_rewards_and_count() {
        let output = method(1.0, 1.0).forward(&list(&[1.0, -1.0], &[0.5, 0.5])).unwrap();
        assert_eq!(values(&output.weights), [1.0]);
        let pair = |h: f64| (1.0 + (-h).exp()).ln();
        close(values(&output.losses)[0], 0.5 * (pair(2.0) + pair(-2.0)), 1e-14);
    }

    #[test]
    fn settings_and_shapes_are_checked() {
        let config = InfoNcaConfig::new();
        assert_eq!((config.beta, config.reward_temperature), (0.01, 1.0));
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(config.clone().with_beta(bad).init().unwrap_err().to_string().starts_with("`beta`"));
            let error = config.clone().with_reward_temperature(bad).init().unwrap_err().to_string();
            assert_eq!(error, format!("`reward_temperature`: expected finite and > 0, got {bad}"));
        }
        let (batch, one, two) = (list(&[0.0, 0.0], &[1.0, 0.0]), matrix(&[&[1.0]]), matrix(&[&[0.5, 0.5]]));
        let error = infonca_loss(&batch, one.clone(), two.clone()).unwrap_err().to_string();
        assert_eq!(error, "`rewards`: expected shape [1, 2], got [1, 1]");
        let error = infonca_loss(&batch, two, one.clone()).unwrap_err().to_string();
        assert_eq!(error, "`targets`: expected shape [1, 2], got [1, 1]");
        let error = softmax_targets(&batch, one, 1.0).unwrap_err().to_string();
        assert_eq!(error, "`scores`: expected shape [1, 2], got [1, 1]");
    }

    accordant_laws::listwise_laws!(
        infonca_obeys_the_laws,
        "infonca",
        method(0.5, 1.0),
        [],
        [ShiftInvariant, PermutationOfCandidates, ConvexInMargin, LowerBound(0.0)]
    );
}
