//! The few formulas that also run on the host, in `f64`: one row at a time for sampling, one number for rewards.

/// `log softmax(logits / temperature)` of one row, in nats; none when it has no probabilities: a NaN or +∞ among the
/// logits, nothing but −∞, or no logit at all.
///
/// `temperature` is finite and > 0; the caller has checked it.
///
/// # Example
/// ```
/// use accordant_ops::host::log_softmax;
/// let logps = log_softmax(&[2.0, 0.0], 2.0).unwrap(); // logits 1 and 0
/// assert!((logps[0].exp() - 1.0 / (1.0 + (-1f64).exp())).abs() < 1e-15);
/// assert_eq!(log_softmax(&[0.0, f32::NAN], 1.0), None);
/// ```
pub fn log_softmax(logits: &[f32], temperature: f64) -> Option<Vec<f64>> {
    let scaled: Vec<f64> = logits.iter().map(|logit| f64::from(*logit) / temperature).collect();
    let max = scaled.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let total: f64 = scaled.iter().map(|logit| (logit - max).exp()).sum();
    // The total of a row of −∞ is NaN, and so is that of a row with a NaN or +∞; that of no logit is 0.
    (total.is_finite() && total > 0.0).then(|| scaled.into_iter().map(|logit| logit - max - total.ln()).collect())
}

/// `1 / (1 + exp(-x))`; 0 and 1 far out, NaN of NaN.
///
/// # Example
/// ```
/// use accordant_ops::host::logistic;
/// assert_eq!((logistic(0.0), logistic(-1e4)), (0.5, 0.0));
/// ```
pub fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// `log(1 / (1 + exp(-x)))`, accurate in both tails; never the logarithm of a sigmoid. NaN of NaN.
///
/// # Example
/// ```
/// use accordant_ops::host::log_sigmoid;
/// assert_eq!((log_sigmoid(0.0), log_sigmoid(-1e4)), (-(2f64.ln()), -1e4));
/// ```
pub fn log_sigmoid(x: f64) -> f64 {
    x.min(0.0) - (-x.abs()).exp().ln_1p()
}

/// `log Σ exp(x)` of a row; −∞ of an empty one and of nothing but −∞, NaN where there is one.
///
/// # Example
/// ```
/// use accordant_ops::host::log_sum_exp;
/// assert_eq!(log_sum_exp(&[1e4, 1e4]), 1e4 + 2f64.ln());
/// assert_eq!(log_sum_exp(&[]), f64::NEG_INFINITY);
/// ```
pub fn log_sum_exp(row: &[f64]) -> f64 {
    let max = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if max.is_infinite() && !row.iter().any(|x| x.is_nan()) {
        return max;
    }
    max + row.iter().map(|x| (x - max).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logistic_function_and_its_logarithm_are_finite_and_keep_nan() {
        assert_eq!([-1e4, 0.0, 1e4].map(logistic), [0.0, 0.5, 1.0]);
        assert_eq!([-1e4, 0.0, 1e4].map(log_sigmoid), [-1e4, -(2f64.ln()), 0.0]);
        // odds of 3 to 1
        let x = 3f64.ln();
        assert!((logistic(x) - 0.75).abs() < 1e-15 && (logistic(-x) - 0.25).abs() < 1e-15);
        assert!((log_sigmoid(x) - 0.75f64.ln()).abs() < 1e-15 && (log_sigmoid(-x) - 0.25f64.ln()).abs() < 1e-15);
        assert!((log_sigmoid(40.0) / -(-40f64).exp() - 1.0).abs() < 1e-12, "not 0");
        assert!(logistic(f64::NAN).is_nan() && log_sigmoid(f64::NAN).is_nan());
    }

    #[test]
    fn the_logarithm_of_a_sum_of_exponentials_survives_infinities_and_keeps_nan() {
        let (inf, nan) = (f64::INFINITY, f64::NAN);
        assert!((log_sum_exp(&[2f64.ln(), 3f64.ln(), -inf]) - 5f64.ln()).abs() < 1e-15);
        assert_eq!([log_sum_exp(&[-inf, -inf]), log_sum_exp(&[inf, 0.0]), log_sum_exp(&[-1e4])], [-inf, inf, -1e4]);
        for row in [&[nan][..], &[nan, inf], &[-inf, nan], &[0.0, nan]] {
            assert!(log_sum_exp(row).is_nan(), "{row:?}");
        }
    }

    #[test]
    fn a_row_without_probabilities_is_none() {
        for row in [&[][..], &[f32::NEG_INFINITY; 3], &[0.0, f32::INFINITY], &[f32::NAN, 1.0]] {
            assert_eq!(log_softmax(row, 1.0), None, "{row:?}");
        }
        assert_eq!(log_softmax(&[f32::NEG_INFINITY, 1e4], 1.0).unwrap(), [f64::NEG_INFINITY, 0.0]);
    }
}
