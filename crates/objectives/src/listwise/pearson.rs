//! Likelihood-quality calibration by Pearson correlation.
//!
//! **Paper:** Calibrating Translation Decoding with Quality Estimation on LLMs (2025), 2504.19044.
//! **Use when:** likelihoods should say how good a candidate is, as in translation: for decoding and for reranking.
//! **Checked by:** a golden number, hand-worked values, bounds, invariance to scale and shift.
//! **Deviations:** where log-probabilities or scores are all equal there is no correlation: loss and gradient are 0 (the
//! authors' code divides by 1e-6 there, which makes a gradient of that size).

use burn::{config::Config, tensor::Tensor};

use super::{ListBatch, ListOutput, ListwiseObjective, Method, check_coefficient, over_candidates, pro::best_nll};
use crate::{Result, pairwise::Length};

/// Added to a standard deviation before it divides, as in the authors' code.
const EPS: f64 = 1e-6;

/// Deviations from the mean over the standard deviation (unbiased), `[n, k]`; 0 in a list of equal values, and for what
/// is not there. Gradients flow through mean and deviation.
fn standardized(batch: &ListBatch, values: Tensor<2>) -> Tensor<2> {
    let [_, k] = values.dims();
    let num_present = batch.num_present();
    let count = num_present.clone().clamp_min(1.0);
    let mean = |values: Tensor<2>| (values.sum_dim(1) / count.clone()).repeat_dim(1, k);
    let centered = |values: Tensor<2>| batch.select(values.clone() - mean(values));
    // From a member first: the deviations of equal values are exactly 0 then.
    let absent = batch.present().bool_not();
    let member = values.clone().detach().mask_fill(absent, f32::NEG_INFINITY).max_dim(1);
    let member = member.clone().mask_fill(member.is_inf(), 0.0).repeat_dim(1, k);
    let deviations = centered(batch.select(values - member));
    let variance = deviations.clone().square().sum_dim(1) / (num_present - 1.0).clamp_min(1.0);
    // The root's slope at 0 is infinite.
    let none = variance.clone().equal_scalar(0.0);
    let deviation = variance.mask_fill(none.clone(), 1.0).sqrt() + EPS;
    (deviations / deviation.repeat_dim(1, k)).mask_fill(none.repeat_dim(1, k), 0.0)
}

/// Negative correlations of log-probabilities and scores, one per list.
///
/// ```text
/// loss = −1/K Σ_k z(L)_k z(r)_k,   z(x) = (x − mean x) / (std x + 1e-6)
/// ```
///
/// # Shapes
/// `logps` (L): `[n, k]`; the result is `[n]`.
///
/// With the unbiased deviation this is `−(K−1)/K` times Pearson's correlation: in `[−1, 1]`, and up to the 1e-6 the same
/// for any scale (> 0) and shift of either argument. One candidate, equal log-probabilities or equal scores give 0.
/// Finite for every finite input; the gradient grows as the log-probabilities of a list get closer.
///
/// # Errors
/// A shape or dtype error naming `logps`; [`crate::Error::MissingColumn`] when the batch has no scores.
///
/// # Example
/// ```
/// use accordant_objectives::listwise::{ListBatch, ListLogps, pearson::pearson_loss};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let row = |values: [f32; 3]| Tensor::<2>::from_floats([values], &device);
/// let sum = row([-3.0, -1.0, -2.0]);
/// let batch = ListBatch::new(ListLogps { sum: sum.clone(), count: row([1.0; 3]) })?;
/// // A perfect line: −(3 − 1)/3.
/// let loss = pearson_loss(&batch.with_scores(row([10.0, 30.0, 20.0]))?, sum)?.into_scalar::<f32>();
/// assert!((loss + 2.0 / 3.0).abs() < 1e-5);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2504.19044")]
#[doc(alias = "Calibrating Translation Decoding with Quality Estimation on LLMs")]
pub fn pearson_loss(batch: &ListBatch, logps: Tensor<2>) -> Result<Tensor<1>> {
    batch.check_values("logps", &logps)?;
    let (own, quality) = (standardized(batch, logps), standardized(batch, batch.scores("pearson")?));
    let count = batch.num_present().squeeze_dim::<1>(1).clamp_min(1.0);
    Ok(-over_candidates(own * quality) / count)
}

/// Configuration of [`Pearson`].
#[derive(Config, Debug, PartialEq)]
pub struct PearsonConfig {
    /// Log-probabilities per sequence or per token are correlated with the scores. `Sum`: the authors' code.
    #[config(default = "Length::Sum")]
    pub length: Length,
    /// Weight of the negative log-likelihood of the best candidate, finite and ≥ 0. 0: the term is optional.
    #[config(default = 0.0)]
    pub sft_weight: f64,
    /// Whether that likelihood is per sequence or per token. `TokenMean`: so that the weight does not depend on length.
    #[config(default = "Length::TokenMean")]
    pub sft_length: Length,
}

impl PearsonConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<Pearson> {
        check_coefficient("sft_weight", self.sft_weight)?;
        Ok(Pearson { config: self.clone() })
    }
}

/// The calibration objective: [`pearson_loss`] and `sft_weight` times [`best_nll`]. Rewards are the log-probabilities that
/// are correlated.
#[derive(Debug, Clone, PartialEq)]
pub struct Pearson {
    config: PearsonConfig,
}

/// `pearson` by name.
pub const METHOD: Method = Method {
    name: "pearson",
    title: "Likelihood-quality calibration by Pearson correlation",
    build: |options| Ok(Box::new(options.apply("pearson", PearsonConfig::new())?.init()?)),
};

impl ListwiseObjective for Pearson {
    fn needs_reference(&self) -> bool {
        false
    }

    fn forward(&self, batch: &ListBatch) -> Result<ListOutput> {
        let PearsonConfig { length, sft_weight, sft_length } = self.config;
        let rewards = batch.logps(length);
        let mut losses = pearson_loss(batch, rewards.clone())?;
        if sft_weight > 0.0 {
            losses = losses + best_nll(batch, batch.logps(sft_length), "pearson")? * sft_weight;
        }
        ListOutput::new(losses, batch, rewards, batch.comparisons("pearson")?.exist())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listwise::tests::{close, grad_of_losses, list_of_tokens, losses, matrix, values};

    const SUMS: [f64; 3] = [-10.0, -12.0, -11.0];
    const QUALITY: [f64; 3] = [0.9, 0.5, 0.8];

    fn method(config: PearsonConfig) -> Pearson {
        config.init().expect("valid in this test")
    }

    fn loss(sums: &[f64], scores: &[f64]) -> f64 {
        losses(&method(PearsonConfig::new()), &list_of_tokens(sums, &vec![2.0; sums.len()], scores))[0]
    }

    #[test]
    fn the_golden_value() {
        close(loss(&SUMS, &QUALITY), -0.6405088978, 1e-9);
        close(loss(&[-11.0, -10.0, -12.0], &[0.8, 0.9, 0.5]), -0.6405088978, 1e-9);
    }

    #[test]
    fn a_line_gives_the_bounds() {
        close(loss(&[-1.0, -2.0, -3.0, -4.0], &[4.0, 3.0, 2.0, 1.0]), -0.75, 1e-5);
        close(loss(&[-1.0, -2.0, -3.0, -4.0], &[1.0, 2.0, 3.0, 4.0]), 0.75, 1e-5);
        close(loss(&[-1.0, -5.0], &[0.3, 0.1]), -0.5, 1e-5);
    }

    #[test]
    fn scale_and_shift_of_either_argument_change_nothing() {
        let moved = SUMS.map(|sum| 7.0 * sum - 100.0);
        close(loss(&moved, &QUALITY), loss(&SUMS, &QUALITY), 1e-5);
        close(loss(&SUMS, &QUALITY.map(|score| 50.0 * score + 3.0)), loss(&SUMS, &QUALITY), 1e-5);
    }

    #[test]
    fn the_gradient_flows_through_mean_and_deviation() {
        let grad = grad_of_losses(&method(PearsonConfig::new()), &list_of_tokens(&SUMS, &[2.0; 3], &QUALITY));
        for (k, grad) in grad.iter().enumerate() {
            let at = |step: f64| {
                let mut sums = SUMS;
                sums[k] += step;
                loss(&sums, &QUALITY)
            };
            close(*grad, (at(1e-5) - at(-1e-5)) / 2e-5, 1e-9);
        }
        close(grad.iter().sum(), 0.0, 1e-14);
    }

    #[test]
    fn constant_lists_have_no_correlation() {
        // Only what the data say decides on the weight.
        for (sums, scores, weight) in [([-2.0, -2.0, -2.0], QUALITY, 1.0), (SUMS, [0.7; 3], 0.0)] {
            let batch = list_of_tokens(&sums, &[2.0; 3], &scores);
            let output = method(PearsonConfig::new().with_sft_weight(1.0)).forward(&batch).unwrap();
            // The likelihood of the best, one nat per token, is all that is left.
            assert_eq!((values(&output.losses), values(&output.weights)), (vec![weight], vec![weight]));
            assert_eq!(grad_of_losses(&method(PearsonConfig::new()), &batch), [0.0; 3]);
            assert_eq!(values(&pearson_loss(&batch, matrix(&[&sums])).unwrap()), [0.0]);
        }
    }

    #[test]
    fn lengths_and_the_likelihood_term() {
        // Means −5, −4, −11 against the same scores.
        let batch = list_of_tokens(&SUMS, &[2.0, 3.0, 1.0], &QUALITY);
        let mean = losses(&method(PearsonConfig::new().with_length(Length::TokenMean)), &batch)[0];
        close(mean, loss(&[-5.0, -4.0, -11.0], &QUALITY), 1e-14);
        assert!((mean - loss(&SUMS, &QUALITY)).abs() > 0.1);
        let with_sft = |length| {
            let config = PearsonConfig::new().with_sft_weight(0.5).with_sft_length(length);
            losses(&method(config), &batch)[0] - loss(&SUMS, &QUALITY)
        };
        close(with_sft(Length::TokenMean), 0.5 * 5.0, 1e-14);
        close(with_sft(Length::Sum), 0.5 * 10.0, 1e-14);
    }

    #[test]
    fn settings_and_shapes_are_checked() {
        let config = PearsonConfig::new();
        assert_eq!((config.length, config.sft_weight, config.sft_length), (Length::Sum, 0.0, Length::TokenMean));
        for weight in [-0.1, f64::NAN, f64::INFINITY] {
            let error = config.clone().with_sft_weight(weight).init().unwrap_err().to_string();
            assert_eq!(error, format!("`sft_weight`: expected finite and >= 0, got {weight}"));
        }
        let batch = list_of_tokens(&SUMS, &[2.0; 3], &QUALITY);
        let error = pearson_loss(&batch, matrix(&[&[1.0]])).unwrap_err().to_string();
        assert_eq!(error, "`logps`: expected shape [1, 3], got [1, 1]");
        assert!(!method(config).needs_reference());
    }

    accordant_laws::listwise_laws!(
        pearson_obeys_the_laws,
        "pearson",
        method(PearsonConfig::new()),
        [],
        [ReferenceFree, PermutationOfCandidates, TiesSayNothing, LowerBound(-1.0), UpperBound(1.0)]
    );
}
