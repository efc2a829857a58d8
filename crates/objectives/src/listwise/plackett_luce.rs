//! Plackett-Luce DPO: the likelihood of a whole ranking.
//!
//! **Paper:** Direct Preference Optimization: Your Language Model is Secretly a Reward Model (2023), 2305.18290,
//! appendix A.3.
//! **Use when:** candidates are fully ranked and the order is all that is known; the listwise method to try first.
//! **Checked by:** a golden number, hand-worked values and gradients, DPO at two candidates, ln K! at equal rewards.
//! **Deviations:** ties, which the paper does not have: a candidate is chosen from itself and the strictly worse ones.

use accordant_ops::{
    check_domain,
    lists::{choice_losses, columns, ones},
};
use burn::{config::Config, tensor::Tensor};

use super::{ListBatch, ListOutput, ListwiseObjective, Method, check_positive, over_candidates};
use crate::Result;

/// Plackett-Luce losses, one per list.
///
/// ```text
/// loss = −Σ_{k=1}^{K−1} [ s_(k) − log Σ_{j ≥ k} exp s_(j) ],   s = β d,   best first        (eq. 20)
/// ```
///
/// As there is nothing left to choose from, the last candidate adds 0. With ties, `j` runs over the candidate itself and
/// those strictly worse: tied candidates are not compared with each other, each of them with all that are worse. With
/// `top_n`, only candidates with fewer than `top_n` better ones are chosen (all of a tie at the border or none). With
/// `normalize_by_positions` the sum is divided by the number of choices made.
///
/// # Shapes
/// `ratios`: `[n, k]` of summed log-ratios in nats; the result is `[n]`.
///
/// `beta` > 0 and `top_n` ≥ 1 are checked by [`PlackettLuceConfig::init`]. Equal log-ratios of K untied candidates give
/// ln K!. Never negative; the same constant on all log-ratios of a list changes nothing. A list without a comparison
/// gives 0. Finite for every finite input.
///
/// # Errors
/// A shape or dtype error naming `ratios`; [`crate::Error::MissingColumn`] when the batch has no scores.
///
/// # Example
/// ```
/// use accordant_objectives::listwise::{ListBatch, ListLogps, plackett_luce::plackett_luce_loss};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let row = |values: [f32; 3]| Tensor::<2>::from_floats([values], &device);
/// let logps = ListLogps { sum: row([-1.0; 3]), count: row([1.0; 3]) };
/// let batch = ListBatch::new(logps)?.with_scores(row([0.2, 0.9, 0.5]))?;
/// // e^s = 1, 4, 3 for the third, the first and the second place: 4/8 · 3/4.
/// let loss = plackett_luce_loss(&batch, row([0.0, 4f32.ln(), 3f32.ln()]), 1.0, None, false)?;
/// assert!((loss.into_scalar::<f32>() - (8f32 / 3.0).ln()).abs() < 1e-6);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2305.18290")]
#[doc(alias = "Plackett-Luce DPO")]
#[doc(alias = "ListMLE")]
pub fn plackett_luce_loss(
    batch: &ListBatch,
    ratios: Tensor<2>,
    beta: f64,
    top_n: Option<usize>,
    normalize_by_positions: bool,
) -> Result<Tensor<1>> {
    batch.check_values("ratios", &ratios)?;
    let comparisons = batch.comparisons("plackett_luce")?;
    let rewards = batch.select(ratios) * beta;
    let mut losses = choice_losses(rewards.clone(), columns(rewards), comparisons.better())?;
    let dtype = losses.dtype();
    let mut positions = comparisons.num_worse(dtype).greater_scalar(0.5);
    if let Some(top_n) = top_n {
        let top = comparisons.num_better(dtype).lower_scalar(top_n as f64 - 0.5);
        positions = positions.bool_and(top);
        losses = losses.mask_fill(positions.clone().bool_not(), 0.0);
    }
    let total = over_candidates(losses);
    Ok(match normalize_by_positions {
        true => total / over_candidates(ones(positions, dtype)).clamp_min(1.0),
        false => total,
    })
}

/// Configuration of [`PlackettLuce`].
#[derive(Config, Debug, PartialEq)]
pub struct PlackettLuceConfig {
    /// Strength of the KL pull, finite and > 0. 0.1: DPO's.
    #[config(default = 0.1)]
    pub beta: f64,
    /// How many places are chosen, at least 1; all of them without it. None: the paper's likelihood.
    #[config(default = "None")]
    pub top_n: Option<usize>,
    /// Divide by the number of choices, so that long lists weigh no more than short ones. Off: the paper's likelihood.
    #[config(default = false)]
    pub normalize_by_positions: bool,
}

impl PlackettLuceConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<PlackettLuce> {
        check_positive("beta", self.beta)?;
        check_domain(self.top_n != Some(0), "top_n", "at least 1", 0.0)?;
        Ok(PlackettLuce { config: self.clone() })
    }
}

/// The Plackett-Luce objective; see [`plackett_luce_loss`]. Rewards are `beta` times the log-ratio.
#[derive(Debug, Clone, PartialEq)]
pub struct PlackettLuce {
    config: PlackettLuceConfig,
}

/// `plackett_luce` by name.
pub const METHOD: Method = Method {
    name: "plackett_luce",
    title: "Plackett-Luce Direct Preference Optimization",
    build: |options| Ok(Box::new(options.apply("plackett_luce", PlackettLuceConfig::new())?.init()?)),
};

impl ListwiseObjective for PlackettLuce {
    fn forward(&self, batch: &ListBatch) -> Result<ListOutput> {
        let PlackettLuceConfig { beta, top_n, normalize_by_positions } = self.config;
        let ratios = batch.log_ratios("plackett_luce")?;
        let losses = plackett_luce_loss(batch, ratios.clone(), beta, top_n, normalize_by_positions)?;
        ListOutput::new(losses, batch, ratios * beta, batch.comparisons("plackett_luce")?.exist())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listwise::tests::{close, dpo_loss, grad_of_losses, list, losses, matrix, values};

    fn method(config: PlackettLuceConfig) -> PlackettLuce {
        config.init().expect("valid in this test")
    }

    /// One list with these summed log-ratios and scores, at β = 1.
    fn loss(ratios: &[f64], scores: &[f64], top_n: Option<usize>, normalize: bool) -> f64 {
        let config = PlackettLuceConfig::new().with_beta(1.0).with_top_n(top_n).with_normalize_by_positions(normalize);
        losses(&method(config), &list(ratios, scores))[0]
    }

    #[test]
    fn the_golden_value() {
        close(loss(&[0.3, 0.1, -0.2], &[3.0, 2.0, 1.0], None, false), 1.440294562, 1e-9);
        // The same list in another order, and with β = 0.1.
        close(loss(&[-0.2, 0.3, 0.1], &[1.0, 3.0, 2.0], None, false), 1.440294562, 1e-9);
        let scaled = losses(&method(PlackettLuceConfig::new()), &list(&[3.0, 1.0, -2.0], &[3.0, 2.0, 1.0]));
        close(scaled[0], 1.440294562, 1e-9);
    }

    #[test]
    fn two_candidates_are_dpo() {
        for (chosen, rejected) in [(1.0, -0.5), (-4.0, 9.0), (0.0, 0.0)] {
            close(loss(&[chosen, rejected], &[1.0, 0.0], None, false), dpo_loss(chosen, rejected, 1.0), 1e-15);
            close(loss(&[rejected, chosen], &[0.0, 1.0], None, false), dpo_loss(chosen, rejected, 1.0), 1e-15);
        }
    }

    #[test]
    fn equal_rewards_lose_the_log_of_the_number_of_orders() {
        close(loss(&[0.7; 4], &[4.0, 1.0, 2.0, 3.0], None, false), 24f64.ln(), 1e-14);
    }

    #[test]
    fn the_gradient_is_the_softmax_less_the_choice() {
        // Choices from {a, b, c} and {b, c}, e^s = 1, 2, 3: d/da = 1/6 − 1, d/db = 2/6 + 2/5 − 1, d/dc = 3/6 + 3/5.
        let config = PlackettLuceConfig::new().with_beta(1.0);
        let batch = list(&[0.0, 2f64.ln(), 3f64.ln()], &[3.0, 2.0, 1.0]);
        let grad = grad_of_losses(&method(config), &batch);
        for (got, expected) in grad.iter().zip([1.0 / 6.0 - 1.0, 2.0 / 6.0 + 0.4 - 1.0, 0.5 + 0.6]) {
            close(*got, expected, 1e-14);
        }
    }

    #[test]
    fn tied_candidates_are_each_chosen_from_what_is_worse() {
        // Two tied above one: two choices of a pair each.
        let pair = |a: f64, b: f64| (1.0 + (b - a).exp()).ln();
        close(loss(&[0.5, 2.0, -1.0], &[1.0, 1.0, 0.0], None, false), pair(0.5, -1.0) + pair(2.0, -1.0), 1e-14);
        // One above two tied: one choice of three, none between the two.
        let three = (1.0 + (0.5f64 - 2.0).exp() + (-1.0f64 - 2.0).exp()).ln();
        close(loss(&[0.5, 2.0, -1.0], &[0.0, 1.0, 0.0], None, false), three, 1e-14);
        assert_eq!(loss(&[0.5, 2.0, -1.0], &[1.0; 3], None, false), 0.0);
    }

    #[test]
    fn top_n_chooses_only_the_first_places() {
        let (ratios, scores) = ([0.3, 0.1, -0.2], [3.0, 2.0, 1.0]);
        let first = (1.0 + (0.1f64 - 0.3).exp() + (-0.2f64 - 0.3).exp()).ln();
        close(loss(&ratios, &scores, Some(1), false), first, 1e-14);
        close(loss(&ratios, &scores, Some(2), false), 1.440294562, 1e-9);
        close(loss(&ratios, &scores, Some(9), false), 1.440294562, 1e-9);
        // A tie for the first place is chosen as a whole: both have no better candidate.
        let both = loss(&ratios, &[1.0, 1.0, 0.0], None, false);
        assert_eq!(loss(&ratios, &[1.0, 1.0, 0.0], Some(1), false), both);
    }

    #[test]
    fn normalized_losses_are_means_over_choices() {
        let (ratios, scores) = ([0.3, 0.1, -0.2], [3.0, 2.0, 1.0]);
        close(loss(&ratios, &scores, None, true), 1.440294562 / 2.0, 1e-9);
        assert_eq!(loss(&ratios, &scores, Some(1), true), loss(&ratios, &scores, Some(1), false));
        assert_eq!(loss(&ratios, &[1.0; 3], None, true), 0.0);
    }

    #[test]
    fn settings_and_shapes_are_checked() {
        let config = PlackettLuceConfig::new();
        assert_eq!((config.beta, config.top_n, config.normalize_by_positions), (0.1, None, false));
        for beta in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let error = config.clone().with_beta(beta).init().unwrap_err().to_string();
            assert_eq!(error, format!("`beta`: expected finite and > 0, got {beta}"));
        }
        let error = config.with_top_n(Some(0)).init().unwrap_err().to_string();
        assert_eq!(error, "`top_n`: expected at least 1, got 0");
        let batch = list(&[0.0, 0.0], &[1.0, 0.0]);
        let error = plackett_luce_loss(&batch, matrix(&[&[1.0]]), 1.0, None, false).unwrap_err().to_string();
        assert_eq!(error, "`ratios`: expected shape [1, 2], got [1, 1]");
        let rewards = method(PlackettLuceConfig::new()).forward(&list(&[3.0, -1.0], &[1.0, 0.0])).unwrap().rewards;
        let rewards = values(&over_candidates(rewards));
        close(rewards[0], 0.2, 1e-15);
    }

    accordant_laws::listwise_laws!(
        plackett_luce_obeys_the_laws,
        "plackett_luce",
        method(PlackettLuceConfig::new()),
        [],
        [
            ShiftInvariant,
            PermutationOfCandidates,
            TiesSayNothing,
            DecreasingInChosen,
            IncreasingInRejected,
            ConvexInMargin,
            LowerBound(0.0),
        ]
    );
}
