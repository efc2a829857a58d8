//! Mean and variance of a stream of numbers.

use serde::{Deserialize, Serialize};

use crate::State;

/// How many numbers a stream has had, their mean and their variance.
///
/// # Example
/// ```
/// use accordant_objectives::Moments;
/// let mut moments = Moments::default();
/// moments.add(&[1.0, 3.0]);
/// moments.add(&[8.0]);
/// assert_eq!((moments.count, moments.mean), (3.0, 4.0));
/// assert_eq!(moments.std(), 13f64.sqrt()); // (9 + 1 + 16) / 2
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Moments {
    /// How many numbers there were.
    pub count: f64,
    /// Their mean; 0 before the first.
    pub mean: f64,
    /// Their biased variance, divided by `count`; 0 before the second.
    pub variance: f64,
}

impl Moments {
    /// What a method carries from batch to batch: `count`, `mean` and `variance` of its state, 0 where there is none.
    pub fn of(state: &State) -> Self {
        let get = |name| state.get(name).unwrap_or(0.0);
        Self { count: get("count"), mean: get("mean"), variance: get("variance") }
    }

    /// Writes what [`Moments::of`] reads.
    pub fn store(&self, state: &mut State) {
        state.set("count", self.count);
        state.set("mean", self.mean);
        state.set("variance", self.variance);
    }

    /// Takes in `k` numbers of mean `m` and biased variance `v`; with `D = m − mean` and `c` numbers before,
    ///
    /// ```text
    /// mean ← mean + D k/(c+k)
    /// variance ← (c variance + k v + D² c k/(c+k)) / (c+k)
    /// ```
    ///
    /// No number leaves everything as it is.
    pub fn add(&mut self, values: &[f64]) {
        if values.is_empty() {
            return;
        }
        let k = values.len() as f64;
        let mean = values.iter().sum::<f64>() / k;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / k;
        let (gap, total) = (mean - self.mean, self.count + k);
        self.variance = (self.count * self.variance + k * variance + gap * gap * self.count * k / total) / total;
        self.mean += gap * k / total;
        self.count = total;
    }

    /// The unbiased standard deviation, `√(variance · count/(count − 1))`; 0 for fewer than two numbers.
    pub fn std(&self) -> f64 {
        if self.count < 2.0 { 0.0 } else { (self.variance * self.count / (self.count - 1.0)).sqrt() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_split_of_a_stream_has_the_moments_of_the_whole() {
        let values = [0.5, -1.25, 3.0, 0.0, 7.5, -2.0];
        let mut whole = Moments::default();
        whole.add(&values);
        // Mean 7.75/6; Σ (x − mean)² = 71.0625 − 7.75²/6.
        assert!((whole.mean - 7.75 / 6.0).abs() < 1e-15);
        assert!((whole.variance - (71.0625 - 7.75 * 7.75 / 6.0) / 6.0).abs() < 1e-14);
        for cut in 0..=values.len() {
            let mut parts = Moments::default();
            parts.add(&values[..cut]);
            parts.add(&values[cut..]);
            assert_eq!(parts.count, 6.0);
            assert!((parts.mean - whole.mean).abs() < 1e-14 && (parts.variance - whole.variance).abs() < 1e-13);
        }
    }

    #[test]
    fn fewer_than_two_numbers_do_not_spread() {
        let mut moments = Moments::default();
        moments.add(&[]);
        assert_eq!((moments, moments.std()), (Moments::default(), 0.0));
        moments.add(&[5.0]);
        assert_eq!((moments.mean, moments.std()), (5.0, 0.0));
        moments.add(&[7.0]);
        assert_eq!((moments.mean, moments.std()), (6.0, 2f64.sqrt()));
    }

    #[test]
    fn a_state_gives_back_what_was_stored() {
        let mut state = State::default();
        assert_eq!(Moments::of(&state), Moments::default());
        let moments = Moments { count: 3.0, mean: -1.5, variance: 0.25 };
        moments.store(&mut state);
        assert_eq!(Moments::of(&state), moments);
    }
}
