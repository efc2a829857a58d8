//! Preference Ranking Optimization (PRO).
//!
//! **Paper:** Preference Ranking Optimization for Human Alignment (2023), 2306.17492.
//! **Use when:** candidates have reward scores and there is no reference model.
//! **Checked by:** a golden number, hand-worked values, the logistic loss at two candidates.
//! **Deviations:** a log-sum-exp in place of the authors' `log(… + 1e-10)`. Tied candidates do not contrast with each
//! other (in the authors' code they do, with temperature 0, in the order of the input). The number of candidates is each
//! list's own.

use accordant_ops::lists::{choice_losses, columns, rows};
use burn::{config::Config, tensor::Tensor};

use super::{ListBatch, ListOutput, ListwiseObjective, Method, check_coefficient, over_candidates};
use crate::Result;

/// PRO's ranking losses, one per list.
///
/// ```text
/// loss = −Σ_k log( exp(T_kk p_k) / (exp(T_kk p_k) + Σ_{r_j < r_k} exp(T_kj p_j)) )        (eq. 7)
/// T_kj = r_k − r_j,   T_kk = max_j T_kj
/// ```
///
/// `p` is the log-probability per token and `r` the score: differences of scores are the temperatures. A candidate that
/// is better than no other adds 0.
///
/// # Shapes
/// `means` (p): `[n, k]` in nats per token; the result is `[n]`.
///
/// Never negative. Two candidates give `softplus(−(r_1 − r_2)(p_1 − p_2))`. A list without a comparison gives 0. Finite
/// for every finite input.
///
/// # Errors
/// A shape or dtype error naming `means`; [`crate::Error::MissingColumn`] when the batch has no scores.
///
/// # Example
/// ```
/// use accordant_objectives::listwise::{ListBatch, ListLogps, pro::pro_loss};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let row = |values: [f32; 2]| Tensor::<2>::from_floats([values], &device);
/// let means = row([-1.0, -1.0 - 3f32.ln() / 2.0]);
/// let logps = ListLogps { sum: means.clone(), count: row([1.0; 2]) };
/// let batch = ListBatch::new(logps)?.with_scores(row([5.0, 3.0]))?;
/// // A gap of 2 makes ln 3 of the difference ln 3 / 2.
/// let loss = pro_loss(&batch, means)?.into_scalar::<f32>();
/// assert!((loss - (4f32 / 3.0).ln()).abs() < 1e-6);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2306.17492")]
#[doc(alias = "Preference Ranking Optimization for Human Alignment")]
pub fn pro_loss(batch: &ListBatch, means: Tensor<2>) -> Result<Tensor<1>> {
    batch.check_values("means", &means)?;
    let comparisons = batch.comparisons("pro")?;
    let (means, scores) = (batch.select(means), batch.scores("pro")?);
    let uncompared = comparisons.better().bool_not();
    let gaps = (rows(scores.clone()) - columns(scores)).mask_fill(uncompared, 0.0);
    let largest = gaps.clone().max_dim(2).squeeze_dim::<2>(2);
    let choices = choice_losses(means.clone() * largest, columns(means) * gaps, comparisons.better())?;
    Ok(over_candidates(choices))
}

/// Negative log-likelihoods of the best candidates, one per list; the mean over those that share the best score.
///
/// # Shapes
/// `logps`: `[n, k]`, summed or per token as the caller wants it; the result is `[n]`.
///
/// # Errors
/// A shape or dtype error naming `logps`; [`crate::Error::MissingColumn`] naming `method` when the batch has no scores.
pub fn best_nll(batch: &ListBatch, logps: Tensor<2>, method: &'static str) -> Result<Tensor<1>> {
    batch.check_values("logps", &logps)?;
    let best = batch.comparisons(method)?.best(logps.dtype());
    Ok(-over_candidates(batch.select(logps) * best))
}

/// Configuration of [`Pro`].
#[derive(Config, Debug, PartialEq)]
pub struct ProConfig {
    /// Weight of the likelihood of the best candidate, finite and ≥ 0; it is multiplied by `(K − 1)²` for `K` candidates.
    /// 0.05: the authors' code.
    #[config(default = 0.05)]
    pub sft_weight: f64,
}

impl ProConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<Pro> {
        check_coefficient("sft_weight", self.sft_weight)?;
        Ok(Pro { config: self.clone() })
    }
}

/// The PRO objective: [`pro_loss`], and `sft_weight · (K − 1)²` times the summed negative log-likelihood of the best
/// candidate. Rewards are log-probabilities per token. Logs the likelihood term as `nll`.
#[derive(Debug, Clone, PartialEq)]
pub struct Pro {
    config: ProConfig,
}

/// `pro` by name.
pub const METHOD: Method = Method {
    name: "pro",
    title: "Preference Ranking Optimization",
    build: |options| Ok(Box::new(options.apply("pro", ProConfig::new())?.init()?)),
};

impl ListwiseObjective for Pro {
    fn needs_reference(&self) -> bool {
        false
    }

    fn forward(&self, batch: &ListBatch) -> Result<ListOutput> {
        let means = batch.policy().mean();
        let nll = best_nll(batch, batch.policy().sum, "pro")?;
        let contrasts = batch.num_present().squeeze_dim::<1>(1) - 1.0;
        let losses = pro_loss(batch, means.clone())?;
        let losses = losses + nll.clone() * contrasts.square() * self.config.sft_weight;
        let counts = batch.comparisons("pro")?.exist();
        ListOutput::new(losses, batch, means, counts)?.with_metric("nll", nll)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listwise::tests::{close, grad_of_losses, list_of_tokens, losses, matrix, values};

    fn pro(sft_weight: f64) -> Pro {
        ProConfig::new().with_sft_weight(sft_weight).init().expect("valid in this test")
    }

    fn pair(h: f64) -> f64 {
        (1.0 + (-h).exp()).ln()
    }

    #[test]
    fn the_golden_value_and_the_likelihood_term() {
        // Means −1, −1.2, −1.5 as sums over 10, 5 and 2 tokens.
        let batch = list_of_tokens(&[-10.0, -6.0, -3.0], &[10.0, 5.0, 2.0], &[2.0, 1.0, 0.5]);
        close(losses(&pro(0.0), &batch)[0], 1.658482756, 1e-9);
        // (3 − 1)² · 10 nats of the best.
        close(losses(&pro(0.05), &batch)[0], 1.658482756 + 0.05 * 4.0 * 10.0, 1e-9);
        let output = ProConfig::new().init().unwrap().forward(&batch).unwrap();
        close(values(&output.losses)[0], 1.658482756 + 2.0, 1e-9);
        assert_eq!(values(output.metric("nll").unwrap().0), [10.0]);
        assert_eq!(values(&output.rewards), [-1.0, -1.2, -1.5]);
        let shuffled = list_of_tokens(&[-3.0, -10.0, -6.0], &[2.0, 10.0, 5.0], &[0.5, 2.0, 1.0]);
        close(losses(&pro(0.05), &shuffled)[0], 3.658482756, 1e-9);
    }

    #[test]
    fn two_candidates_are_logistic_in_the_scaled_difference() {
        for gap in [0.5, 1.0, 3.0] {
            let batch = list_of_tokens(&[-10.0, -6.0], &[10.0, 5.0], &[gap, 0.0]);
            close(losses(&pro(0.0), &batch)[0], pair(gap * 0.2), 1e-14);
            // dL/dL_1 = −t σ(−t Δ) / n_1
            let grad = grad_of_losses(&pro(0.0), &batch);
            close(grad[0], -gap / (1.0 + (gap * 0.2).exp()) / 10.0, 1e-14);
        }
    }

    #[test]
    fn only_differences_of_scores_matter_and_larger_ones_matter_more() {
        let loss =
            |scores: &[f64]| losses(&pro(0.0), &list_of_tokens(&[-10.0, -6.0, -3.0], &[10.0, 5.0, 2.0], scores))[0];
        close(loss(&[12.0, 11.0, 10.5]), loss(&[2.0, 1.0, 0.5]), 1e-12);
        let grad =
            |gap: f64| grad_of_losses(&pro(0.0), &list_of_tokens(&[-1.0, -1.0], &[1.0, 1.0], &[gap, 0.0]))[0].abs();
        assert!(grad(2.0) > grad(1.0) && grad(1.0) > grad(0.5));
    }

    #[test]
    fn tied_candidates_do_not_contrast() {
        // Two tied above one: a pair of each with the third, and the likelihood of both in equal parts.
        let batch = list_of_tokens(&[-1.0, -2.0, -3.0], &[1.0; 3], &[1.0, 1.0, 0.0]);
        let expected = pair(2.0) + pair(1.0);
        close(losses(&pro(0.0), &batch)[0], expected, 1e-14);
        close(losses(&pro(1.0), &batch)[0], expected + 4.0 * 1.5, 1e-14);
        let tied = list_of_tokens(&[-1.0, -2.0], &[1.0; 2], &[1.0, 1.0]);
        let output = pro(1.0).forward(&tied).unwrap();
        assert_eq!((values(&output.losses), values(&output.weights)), (vec![0.0], vec![0.0]));
    }

    #[test]
    fn settings_and_shapes_are_checked() {
        assert_eq!(ProConfig::new().sft_weight, 0.05);
        for weight in [-0.1, f64::NAN, f64::INFINITY] {
            let error = ProConfig::new().with_sft_weight(weight).init().unwrap_err().to_string();
            assert_eq!(error, format!("`sft_weight`: expected finite and >= 0, got {weight}"));
        }
        let batch = list_of_tokens(&[-1.0, -2.0], &[1.0; 2], &[1.0, 0.0]);
        let error = pro_loss(&batch, matrix(&[&[1.0]])).unwrap_err().to_string();
        assert_eq!(error, "`means`: expected shape [1, 2], got [1, 1]");
        let error = best_nll(&batch, matrix(&[&[1.0]]), "pro").unwrap_err().to_string();
        assert_eq!(error, "`logps`: expected shape [1, 2], got [1, 1]");
        assert!(!pro(1.0).needs_reference());
    }

    accordant_laws::listwise_laws!(
        pro_obeys_the_laws,
        "pro",
        pro(0.05),
        [],
        [
            ReferenceFree,
            PermutationOfCandidates,
            TiesSayNothing,
            DecreasingInChosen,
            IncreasingInRejected,
            LowerBound(0.0),
        ]
    );
}
