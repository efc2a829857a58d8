//! Noise Contrastive Alignment (NCA): absolute likelihoods, with targets from explicit rewards.
//!
//! **Paper:** Noise Contrastive Alignment of Language Models with Explicit Rewards (2024), 2402.05369.
//! **Use when:** as [`super::infonca`], and the likelihood of good candidates must not fall.
//! **Checked by:** a golden number, hand-worked values and gradients, the pairwise form at two candidates and a sharp
//! target, its optimum.
//! **Deviations:** those of [`super::infonca`].

use accordant_ops::stable::softplus;
use burn::{config::Config, tensor::Tensor};

use super::{
    ListBatch, ListOutput, ListwiseObjective, Method, check_positive, infonca::softmax_targets, over_candidates,
};
use crate::Result;

/// NCA losses, one per list.
///
/// ```text
/// loss = −Σ_k [ q_k log σ(a_k) + 1/K log σ(−a_k) ],   a = β d        (eq. 11)
/// ```
///
/// # Shapes
/// `rewards` (a) and `targets` (q): `[n, k]`; the targets of a list add up to 1 and are detached. The result is `[n]`.
///
/// K is the number of candidates that are there. Rewards of 0 give 2 ln 2; the optimum is at `a_k = ln(K q_k)`. A shift of
/// all rewards changes the loss, unlike InfoNCA's. Finite for every finite input.
///
/// # Errors
/// A shape or dtype error naming `rewards` or `targets`.
///
/// # Example
/// ```
/// use accordant_objectives::listwise::{ListBatch, ListLogps, nca::nca_loss};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let row = |values: [f32; 2]| Tensor::<2>::from_floats([values], &device);
/// let batch = ListBatch::new(ListLogps { sum: row([-1.0; 2]), count: row([1.0; 2]) })?;
/// // −log σ(ln 3) = ln 4/3, and half of −log σ(−ln 3) − log σ(0) = ln 4 + ln 2.
/// let loss = nca_loss(&batch, row([3f32.ln(), 0.0]), row([1.0, 0.0]))?.into_scalar::<f32>();
/// assert!((loss - ((4f32 / 3.0).ln() + 8f32.ln() / 2.0)).abs() < 1e-6);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2402.05369")]
#[doc(alias = "Noise Contrastive Alignment of Language Models with Explicit Rewards")]
pub fn nca_loss(batch: &ListBatch, rewards: Tensor<2>, targets: Tensor<2>) -> Result<Tensor<1>> {
    batch.check_values("rewards", &rewards)?;
    batch.check_values("targets", &targets)?;
    let (rewards, targets) = (batch.select(rewards), batch.select(targets).detach());
    let candidates = batch.num_present().squeeze_dim::<1>(1).clamp_min(1.0);
    let noise = over_candidates(batch.select(softplus(rewards.clone()))) * candidates.recip();
    Ok(over_candidates(softplus(-rewards) * targets) + noise)
}

/// Configuration of [`Nca`].
#[derive(Config, Debug, PartialEq)]
pub struct NcaConfig {
    /// Strength of the KL pull, finite and > 0. 0.01: the authors' training recipes.
    #[config(default = 0.01)]
    pub beta: f64,
    /// What scores are divided by before their softmax, finite and > 0; α in the paper. 1: ours.
    #[config(default = 1.0)]
    pub reward_temperature: f64,
}

impl NcaConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<Nca> {
        check_positive("beta", self.beta)?;
        check_positive("reward_temperature", self.reward_temperature)?;
        Ok(Nca { config: self.clone() })
    }
}

/// The NCA objective; see [`nca_loss`] and [`softmax_targets`]. Rewards are `beta` times the log-ratio.
#[derive(Debug, Clone, PartialEq)]
pub struct Nca {
    config: NcaConfig,
}

/// `nca` by name.
pub const METHOD: Method = Method {
    name: "nca",
    title: "Noise Contrastive Alignment with explicit rewards",
    build: |options| Ok(Box::new(options.apply("nca", NcaConfig::new())?.init()?)),
};

impl ListwiseObjective for Nca {
    fn forward(&self, batch: &ListBatch) -> Result<ListOutput> {
        let targets = softmax_targets(batch, batch.scores("nca")?, self.config.reward_temperature)?;
        let rewards = batch.log_ratios("nca")? * self.config.beta;
        ListOutput::new(nca_loss(batch, rewards.clone(), targets)?, batch, rewards, batch.plural())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listwise::tests::{close, grad_of_losses, list, losses, matrix};

    fn method(beta: f64, reward_temperature: f64) -> Nca {
        NcaConfig::new().with_beta(beta).with_reward_temperature(reward_temperature).init().unwrap()
    }

    fn sigmoid(x: f64) -> f64 {
        1.0 / (1.0 + (-x).exp())
    }

    #[test]
    fn the_golden_value() {
        let scores = [1.0, 0.5, 0.0];
        close(losses(&method(1.0, 1.0), &list(&[0.3, 0.1, -0.2], &scores))[0], 1.359735194, 1e-9);
        close(losses(&method(0.1, 2.0), &list(&[3.0, 1.0, -2.0], &[2.0, 1.0, 0.0]))[0], 1.359735194, 1e-9);
        close(losses(&NcaConfig::new().init().unwrap(), &list(&[30.0, 10.0, -20.0], &scores))[0], 1.359735194, 1e-9);
    }

    #[test]
    fn two_candidates_and_a_sharp_target_are_the_pairwise_form() {
        // The specification's pair with β = 0.1: −log σ(0.1) − ½ log σ(−0.1) − ½ log σ(0.05).
        let loss = losses(&method(0.1, 1e-4), &list(&[-0.5, 1.0], &[0.0, 1.0]));
        close(loss[0], 1.350824814, 1e-9);
    }

    #[test]
    fn the_gradient_by_hand() {
        // dL/da_k = −q_k σ(−a_k) + σ(a_k)/K, with K = 2 and q = σ(±1).
        let a = [0.3, -0.2];
        let grad = grad_of_losses(&method(0.5, 1.0), &list(&[0.6, -0.4], &[1.0, 0.0]));
        for (k, q) in [sigmoid(1.0), sigmoid(-1.0)].into_iter().enumerate() {
            close(grad[k], 0.5 * (-q * sigmoid(-a[k]) + 0.5 * sigmoid(a[k])), 1e-14);
        }
    }

    #[test]
    fn the_optimum_gives_each_candidate_its_share() {
        let r: [f64; 3] = [1.0, 0.5, 0.0];
        let total: f64 = r.iter().map(|r| r.exp()).sum();
        let best = r.map(|r| (3.0 * r.exp() / total).ln());
        for grad in grad_of_losses(&method(1.0, 1.0), &list(&best, &r)) {
            close(grad, 0.0, 1e-14);
        }
        // And a shift from it costs something.
        let loss = |a: &[f64]| losses(&method(1.0, 1.0), &list(a, &r))[0];
        assert!(loss(&best.map(|a| a + 0.1)) > loss(&best) + 1e-4);
        close(loss(&[0.0; 3]), 2.0 * std::f64::consts::LN_2, 1e-14);
    }

    #[test]
    fn settings_and_shapes_are_checked() {
        let config = NcaConfig::new();
        assert_eq!((config.beta, config.reward_temperature), (0.01, 1.0));
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(config.clone().with_beta(bad).init().unwrap_err().to_string().starts_with("`beta`"));
            let error = config.clone().with_reward_temperature(bad).init().unwrap_err().to_string();
            assert_eq!(error, format!("`reward_temperature`: expected finite and > 0, got {bad}"));
        }
        let (batch, one, two) = (list(&[0.0, 0.0], &[1.0, 0.0]), matrix(&[&[1.0]]), matrix(&[&[0.5, 0.5]]));
        let error = nca_loss(&batch, one.clone(), two.clone()).unwrap_err().to_string();
        assert_eq!(error, "`rewards`: expected shape [1, 2], got [1, 1]");
        let error = nca_loss(&batch, two, one).unwrap_err().to_string();
        assert_eq!(error, "`targets`: expected shape [1, 2], got [1, 1]");
    }

    // 2 ln 2 at the reference is not declared: it is not the loss of a list that an empty candidate leaves too short.
    accordant_laws::listwise_laws!(
        nca_obeys_the_laws,
        "nca",
        method(0.5, 1.0),
        [],
        [ShiftSensitive, PermutationOfCandidates, ConvexInMargin, LowerBound(0.0),]
    );
}
