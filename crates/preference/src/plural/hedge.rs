//! Weights of heads that stay as they are, from a few judged pairs (Hedge, hypothesis reweighting).
//!
//! **Papers:** A Decision-Theoretic Generalization of On-Line Learning and an Application to Boosting (Y. Freund and
//! R. E. Schapire, 1997); Test-Time Alignment via Hypothesis Reweighting (2024), 2412.08812; the second stage of MiCRo:
//! Mixture Modeling and Context-aware Routing for Personalized Preference Learning (2025), 2505.24846.
//! **Use when:** several scorers are there and a new user, task or context judged a handful of pairs: nothing is trained.
//! **Checked by:** hand-worked odds, one pair at a time against all at once, the exact posterior, both faces tied.
//! **Deviations:** none.

use accordant_ops::{check_domain, check_dtype, check_shape, distribution::categorical::log_probs, host};
use burn::tensor::Tensor;

use super::{logistic::cross_entropy, pairs::terms};
use crate::{
    Comparisons, Error, Result,
    error::{check_length, check_record},
};

/// Weights after losses: the heads that lost least gain most.
///
/// ```text
/// w_k ∝ π_k exp(−η ℓ_k)
/// ```
///
/// `prior` (π) holds a weight ≥ 0 for each head with sum 1 within 1e-6, `losses` (ℓ) each head's sum, finite, in nats, and
/// `rate` (η) is finite and ≥ 0. Losses that are negative log-likelihoods and a rate of 1 give the posterior of the heads;
/// a rate of 0 gives the prior. Going on from the result gives what all losses together give.
///
/// # Errors
/// [`Error::Empty`] without a head, [`Error::Length`] naming `losses`, [`Error::Record`] naming `prior` or `losses`; a domain
/// error naming `prior` or `rate`.
///
/// # Example
/// ```
/// use accordant_preference::plural::hedge::reweighted;
/// // The first head found what was said thrice as likely as the second did.
/// let weights = reweighted(&[0.5, 0.5], &[0.0, 3f64.ln()], 1.0)?;
/// assert!((weights[0] - 0.75).abs() < 1e-12);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "2412.08812")]
#[doc(alias = "HyRe")]
#[doc(alias = "multiplicative weights")]
pub fn reweighted(prior: &[f64], losses: &[f64], rate: f64) -> Result<Vec<f64>> {
    check_simplex("prior", prior)?;
    check_length("losses", prior.len(), losses.len())?;
    for (row, &loss) in losses.iter().enumerate() {
        check_record(loss.is_finite(), row, "losses", "a finite number", loss)?;
    }
    check_domain(rate.is_finite() && rate >= 0.0, "rate", "finite and >= 0", rate)?;
    // By the least loss that counts, for the rate not to overflow all of them.
    let counts = |(prior, loss): (&f64, &f64)| if *prior > 0.0 { *loss } else { f64::INFINITY };
    let least = prior.iter().zip(losses).map(counts).fold(f64::INFINITY, f64::min);
    let logit =
        |(prior, loss): (&f64, &f64)| if *prior > 0.0 { prior.ln() - rate * (loss - least) } else { f64::NEG_INFINITY };
    let logits: Vec<f64> = prior.iter().zip(losses).map(logit).collect();
    Ok(host::softmax(&logits))
}

/// Checks weights that are to be ≥ 0 with sum 1.
pub(crate) fn check_simplex(name: &'static str, weights: &[f64]) -> Result<()> {
    if weights.is_empty() {
        return Err(Error::Empty { name, reason: "no weight" });
    }
    for (row, &weight) in weights.iter().enumerate() {
        check_record(weight >= 0.0, row, name, ">= 0", weight)?;
    }
    let total: f64 = weights.iter().sum();
    Ok(check_domain((total - 1.0).abs() <= 1e-6, name, "a sum of 1", total)?)
}

/// The sum of what each head loses on judged pairs, `Σ_n w_n bce(s_k,first − s_k,second)`, in nats.
///
/// # Errors
/// [`Error::Length`] naming `items` for scores `[K, items]` of another table.
///
/// # Example
/// ```
/// use accordant_preference::{Comparisons, Outcome, plural::hedge::head_losses};
/// let mut judged = Comparisons::new(2);
/// judged.push_weighted(0, 1, Outcome::First, 2.0)?;
/// let losses = head_losses(&[vec![3f64.ln(), 0.0], vec![0.0, 0.0]], &judged)?;
/// assert!((losses[0] + 2.0 * 0.75f64.ln()).abs() < 1e-12 && (losses[1] - 2.0 * 2f64.ln()).abs() < 1e-12);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn head_losses(scores: &[Vec<f64>], judged: &Comparisons) -> Result<Vec<f64>> {
    let loss = |scores: &Vec<f64>| {
        check_length("items", judged.num_items(), scores.len())?;
        let term = terms(judged, 0)
            .map(|term| term.weight * cross_entropy(scores[term.first] - scores[term.second], term.share)[0]);
        Ok(term.sum())
    };
    scores.iter().map(loss).collect()
}

/// [`reweighted`] on tensors, as logarithms: what a router is regressed to, or what trains through the heads.
///
/// # Shapes
/// `log_prior`: `[K]`, logarithms of weights, or any logits of them; `losses`: `[n, K]`, what each head loses on each pair
/// (times the pair's weight); the result: `[K]`, whose exponentials have sum 1. No pair gives the prior.
///
/// # Errors
/// A shape or dtype error naming `losses`; a domain error naming `rate`, finite and ≥ 0.
///
/// # Example
/// ```
/// use accordant_preference::plural::hedge::log_reweighted;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let losses = Tensor::from_floats([[0.0, 3f32.ln()], [0.5, 0.5]], &device);
/// let weights = log_reweighted(Tensor::zeros([2], &device), losses, 1.0)?.exp().try_to_vec_as::<f32>().unwrap();
/// assert!((weights[0] - 0.75).abs() < 1e-6);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn log_reweighted(log_prior: Tensor<1>, losses: Tensor<2>, rate: f64) -> Result<Tensor<1>> {
    let ([k], [n, _]) = (log_prior.dims(), losses.dims());
    check_shape("losses", &[n, k], &losses.dims())?;
    check_dtype("losses", log_prior.dtype(), losses.dtype())?;
    check_domain(rate.is_finite() && rate >= 0.0, "rate", "finite and >= 0", rate)?;
    let logits = match n {
        0 => log_prior,
        _ => log_prior - losses.sum_dim(0).squeeze_dim(0) * rate,
    };
    Ok(log_probs(logits))
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device};

    use super::*;
    use crate::{
        Outcome,
        distributional::testing::{check_gradients, host as values, like, matrix, near, starts, vector},
    };

    fn judged() -> Comparisons {
        let mut judged = Comparisons::new(3);
        judged.push(0, 1, Outcome::First).unwrap();
        judged.push_weighted(1, 2, Outcome::Share(0.25), 2.0).unwrap();
        judged.push_weighted(0, 2, Outcome::First, 0.0).unwrap();
        judged
    }

    const SCORES: [[f64; 3]; 3] = [[1.0, 0.0, -2.0], [-0.5, 0.5, 3.0], [0.0, 0.0, 0.0]];

    fn rows() -> Vec<Vec<f64>> {
        SCORES.iter().map(|row| row.to_vec()).collect()
    }

    #[test]
    fn one_pair_at_a_time_gives_what_all_together_give_at_every_rate() {
        let prior = [0.5, 0.2, 0.3];
        let (first, second) = ([0.3, 1.2, 0.7], [2.0, 0.1, 0.7]);
        for rate in [0.0, 0.4, 1.0, 3.0] {
            let online = reweighted(&reweighted(&prior, &first, rate).unwrap(), &second, rate).unwrap();
            let both: Vec<f64> = first.iter().zip(second).map(|(a, b)| a + b).collect();
            near(&online, &reweighted(&prior, &both, rate).unwrap(), 1e-14);
        }
        near(&reweighted(&prior, &first, 0.0).unwrap(), &prior, 1e-15);
        // Losses beyond what an exponential holds, and a head that the prior rules out.
        assert_eq!(reweighted(&[0.5, 0.5], &[1e5, 1e5 + 2000.0], 1.0).unwrap(), [1.0, 0.0]);
        assert_eq!(reweighted(&[1.0, 0.0], &[5.0, 0.0], 1.0).unwrap(), [1.0, 0.0]);
    }

    #[test]
    fn a_rate_of_one_is_the_posterior_by_bayes_rule() {
        let prior = [0.5, 0.2, 0.3];
        let losses = head_losses(&rows(), &judged()).unwrap();
        let likelihood = |scores: &[f64; 3]| {
            let chance = |a: usize, b: usize| host::logistic(scores[a] - scores[b]);
            // Two pairs of which half a vote was for the first and one and a half against it.
            chance(0, 1) * chance(1, 2).powf(0.5) * chance(2, 1).powf(1.5)
        };
        let joint: Vec<f64> = SCORES.iter().zip(prior).map(|(scores, prior)| prior * likelihood(scores)).collect();
        let total: f64 = joint.iter().sum();
        let expected: Vec<f64> = joint.iter().map(|joint| joint / total).collect();
        near(&reweighted(&prior, &losses, 1.0).unwrap(), &expected, 1e-14);
    }

    #[test]
    fn the_tensor_face_has_the_weights_of_the_host_and_their_derivatives() {
        let (prior, losses) = ([0.5, 0.2, 0.3], [0.3, 1.2, 0.7, 2.0, 0.1, 0.4]);
        let log_prior = vector(&prior.map(f64::ln));
        for rate in [0.0, 0.7, 1.0] {
            let got = log_reweighted(log_prior.clone(), matrix(&losses, 3), rate).unwrap();
            let sums: Vec<f64> = (0..3).map(|k| losses[k] + losses[3 + k]).collect();
            near(&values(&got.exp()), &reweighted(&prior, &sums, rate).unwrap(), 1e-14);
        }
        let none = Tensor::zeros([0, 3], (&Device::flex(), DType::F64));
        near(&values(&log_reweighted(log_prior, none, 1.0).unwrap().exp()), &prior, 1e-15);
        check_gradients(&losses, |x| {
            let weights = like(&x, &[1.0, -2.0, 0.5]);
            log_reweighted(like(&x, &[0.1, -0.3, 0.2]), x.reshape([2, 3]), 0.7).unwrap() * weights
        });
    }

    #[test]
    fn senseless_weights_losses_and_rates_are_refused_by_name() {
        starts(reweighted(&[], &[], 1.0), "`prior`");
        starts(reweighted(&[0.5, 0.4], &[0.0, 0.0], 1.0), "`prior`: expected a sum of 1");
        starts(reweighted(&[1.5, -0.5], &[0.0, 0.0], 1.0), "record 1: `prior`: expected >= 0");
        starts(reweighted(&[f64::NAN, 1.0], &[0.0, 0.0], 1.0), "record 0: `prior`");
        starts(reweighted(&[1.0], &[0.0, 0.0], 1.0), "`losses`");
        starts(reweighted(&[0.5, 0.5], &[0.0, f64::INFINITY], 1.0), "record 1: `losses`");
        let tensor = |rate| log_reweighted(vector(&[0.0, 0.0]), matrix(&[0.0; 4], 2), rate);
        for rate in [-0.1, f64::NAN, f64::INFINITY] {
            starts(reweighted(&[1.0], &[0.0], rate), "`rate`: expected finite and >= 0");
            starts(tensor(rate), "`rate`: expected finite and >= 0");
        }
        starts(log_reweighted(vector(&[0.0; 3]), matrix(&[0.0; 4], 2), 1.0), "`losses`");
        starts(head_losses(&[vec![0.0; 2]], &judged()), "`items`");
    }

    #[test]
    fn a_rate_that_overflows_leaves_the_best_head() {
        assert_eq!(reweighted(&[0.5, 0.5], &[3.0, 2.0], 1e308).unwrap(), [0.0, 1.0]);
        // The best of those that count.
        assert_eq!(reweighted(&[0.0, 0.5, 0.5], &[-9.0, 3.0, 2.0], 1e308).unwrap(), [0.0, 0.0, 1.0]);
    }
}
