//! Tokens whose probability and advantage go together: what Clip-Cov and KL-Cov hold back.
//!
//! The covariance of a token is `(A − mean A)(log π − mean log π)`, with means over the scored tokens **of the batch that
//! is seen**, and so is the share of tokens that is held back. A step cut into micro-batches therefore holds back other
//! tokens than the whole step would, at least one in each, in verl as here; the papers' shares are so small that
//! micro-batches should have thousands of tokens.
//!
//! Choosing reads the device once per call: who is chosen is decided on the host, in f64, by a total order.

use accordant_ops::item_metrics::numbers;
use burn::tensor::{Bool, Tensor, TensorData, Transaction};

use super::Tokens;

/// The scored tokens of a batch, by their place in `[rows, seq]`, with their covariances.
pub(super) struct Covariances {
    shape: [usize; 2],
    places: Vec<usize>,
    values: Vec<f64>,
}

impl Covariances {
    /// Of the scored tokens.
    pub(super) fn new(tokens: &Tokens) -> Self {
        let [logps, advantages] = [&tokens.logps, &tokens.advantages].map(|tensor| tensor.clone().detach().inner());
        let read = Transaction::default().register(logps).register(advantages).register(tokens.mask.clone().inner());
        let mut read = read.execute().into_iter();
        let mut next = || read.next().expect("three were registered");
        let (logps, advantages) = (numbers(next()), numbers(next()));
        let mask: Vec<bool> = next().convert::<bool>().try_into_vec().expect("converted to bool");
        let places: Vec<usize> = (0..mask.len()).filter(|at| mask[*at]).collect();
        let mean = |values: &[f64]| places.iter().map(|at| values[*at]).sum::<f64>() / places.len() as f64;
        let (logp, advantage) = (mean(&logps), mean(&advantages));
        let values = places.iter().map(|at| (advantages[*at] - advantage) * (logps[*at] - logp)).collect();
        Self { shape: tokens.mask.dims(), places, values }
    }

    /// How many tokens a share of them is: at least one, where there is any.
    pub(super) fn num_of(&self, share: f64) -> usize {
        ((self.places.len() as f64 * share) as usize).max(1).min(self.places.len())
    }

    /// The places of the tokens with the `num` largest covariances, the earlier one of equal ones.
    pub(super) fn largest(&self, num: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.places.len()).collect();
        order.sort_by(|a, b| self.values[*b].total_cmp(&self.values[*a]));
        order[..num].iter().map(|at| self.places[*at]).collect()
    }

    /// `num` places of tokens with a covariance within `bounds`, drawn at random among those that `may` be drawn.
    ///
    /// A token's lot is a hash of the seed, of its number among the scored tokens and of its covariance: the same batch
    /// always draws the same tokens, however it is padded, and batches of the same size do not.
    pub(super) fn draw(&self, num: usize, bounds: [f64; 2], seed: u64, may: impl Fn(usize) -> bool) -> Vec<usize> {
        let within = |value: f64| (bounds[0]..=bounds[1]).contains(&value);
        let mut lots: Vec<(u64, usize)> = (self.places.iter().zip(&self.values).enumerate())
            .filter(|(_, (place, value))| within(**value) && may(**place))
            .map(|(number, (place, value))| (mix(mix(mix(seed) ^ number as u64) ^ value.to_bits()), *place))
            .collect();
        lots.sort_unstable();
        lots.into_iter().take(num).map(|(_, place)| place).collect()
    }

    /// True at `places`, `[rows, seq]`.
    pub(super) fn at(&self, places: &[usize], like: &Tensor<2, Bool>) -> Tensor<2, Bool> {
        let mut flags = vec![false; self.shape[0] * self.shape[1]];
        places.iter().for_each(|place| flags[*place] = true);
        Tensor::from_bool(TensorData::new(flags, self.shape), &like.device())
    }
}

/// SplitMix64: a bijection that scatters its input.
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covariances(values: &[f64]) -> Covariances {
        // Every second token is scored.
        let places = (0..values.len()).map(|at| 2 * at).collect();
        Covariances { shape: [1, 2 * values.len()], places, values: values.to_vec() }
    }

    #[test]
    fn mixing_is_that_of_the_published_generator() {
        // The first two outputs of SplitMix64 with seed 0: its state advances by the constant that is added.
        assert_eq!(mix(0), 0xe220_a839_7b1d_cdaf);
        assert_eq!(mix(0x9e37_79b9_7f4a_7c15), 0x6e78_9e6a_a1b9_65f4);
    }

    #[test]
    fn a_share_is_at_least_one_token_and_no_more_than_there_are() {
        let four = covariances(&[0.0; 4]);
        assert_eq!([0.1, 0.49, 0.5, 0.76, 1.0].map(|share| four.num_of(share)), [1, 1, 2, 3, 4]);
        assert_eq!(covariances(&[]).num_of(0.5), 0);
    }

    #[test]
    fn the_largest_come_first_and_of_equal_ones_the_earlier() {
        let some = covariances(&[1.0, 3.0, -9.0, 3.0]);
        assert_eq!(some.largest(1), [2]);
        assert_eq!(some.largest(2), [2, 6]);
        assert_eq!(some.largest(3), [2, 6, 0]);
        assert!(some.largest(0).is_empty());
    }

    #[test]
    fn padding_does_not_change_who_is_drawn() {
        let near = covariances(&[2.0, 3.0, 4.0, 5.0]);
        let far = Covariances { shape: [1, 40], places: vec![1, 11, 20, 39], ..covariances(&[2.0, 3.0, 4.0, 5.0]) };
        for seed in 0..20 {
            let number = |some: &Covariances| {
                let drawn = some.draw(1, [1.0, 5.0], seed, |_| true)[0];
                some.places.iter().position(|place| *place == drawn)
            };
            assert_eq!(number(&near), number(&far), "seed {seed}");
        }
    }

    #[test]
    fn draws_are_within_bounds_and_uniform() {
        let some = covariances(&[0.9, 1.0, 3.0, 5.0, 5.1, 2.0]);
        let mut all = some.draw(9, [1.0, 5.0], 0, |place| place != 4);
        all.sort_unstable();
        assert_eq!(all, [2, 6, 10]);
        // One of four equal tokens with 4000 seeds: 1000 ± 4.4 · 27.4 each, a false alarm in less than 1 of 20000 runs.
        let four = covariances(&[2.0; 4]);
        let mut counts = [0; 4];
        for seed in 0..4000 {
            counts[four.draw(1, [1.0, 5.0], seed, |_| true)[0] / 2] += 1;
        }
        assert!(counts.iter().all(|count| (880..=1120).contains(count)), "{counts:?}");
        // And with one seed over 4000 batches.
        let mut counts = [0; 4];
        for at in 0..4000 {
            let batch = covariances(&[2.0, 2.25, 2.5, 2.75].map(|value| value + f64::from(at) * 1e-6));
            counts[batch.draw(1, [1.0, 5.0], 0, |_| true)[0] / 2] += 1;
        }
        assert!(counts.iter().all(|count| (880..=1120).contains(count)), "{counts:?}");
    }
}
