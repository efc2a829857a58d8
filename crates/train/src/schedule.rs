//! Learning rates.

/// The share of the peak learning rate at `step` of `steps`: a linear warm-up, then half a cosine down to `floor`.
///
/// Step `warmup - 1` is the first at the peak and the last step the only one at `floor`; a run without warm-up starts at
/// the peak. `step` counts from 0.
///
/// # Example
/// ```
/// use accordant_train::schedule::warmup_cosine;
/// let rate = |step| warmup_cosine(step, 11, 2, 0.0);
/// assert_eq!((rate(0), rate(1)), (0.5, 1.0));
/// assert!((rate(6) - 0.5).abs() < 0.1 && rate(10).abs() < 1e-15);
/// ```
pub fn warmup_cosine(step: usize, steps: usize, warmup: usize, floor: f64) -> f64 {
    if step < warmup {
        return (step + 1) as f64 / warmup as f64;
    }
    let peak = warmup.max(1) - 1;
    let progress = (step - peak) as f64 / steps.saturating_sub(1 + peak).max(1) as f64;
    floor + (1.0 - floor) * 0.5 * (1.0 + (std::f64::consts::PI * progress.min(1.0)).cos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rises_to_one_and_falls_to_the_floor() {
        let rates: Vec<f64> = (0..100).map(|step| warmup_cosine(step, 100, 10, 0.1)).collect();
        assert!(rates[..10].windows(2).all(|pair| pair[0] < pair[1]));
        assert!(rates[9..].windows(2).all(|pair| pair[0] > pair[1]));
        assert_eq!(rates[9], 1.0);
        assert!((rates[99] - 0.1).abs() < 1e-12);
    }

    #[test]
    fn odd_lengths_stay_in_range() {
        for (steps, warmup) in [(0, 0), (1, 0), (1, 5), (2, 2), (3, 1)] {
            for step in 0..steps.max(1) {
                let rate = warmup_cosine(step, steps, warmup, 0.0);
                assert!((0.0..=1.0).contains(&rate), "{step} of {steps} after {warmup}: {rate}");
            }
        }
    }
}
