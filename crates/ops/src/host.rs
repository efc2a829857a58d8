//! The few formulas that also run on the host, one row at a time, in `f64`: for sampling.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_without_probabilities_is_none() {
        for row in [&[][..], &[f32::NEG_INFINITY; 3], &[0.0, f32::INFINITY], &[f32::NAN, 1.0]] {
            assert_eq!(log_softmax(row, 1.0), None, "{row:?}");
        }
        assert_eq!(log_softmax(&[f32::NEG_INFINITY, 1e4], 1.0).unwrap(), [f64::NEG_INFINITY, 0.0]);
    }
}
