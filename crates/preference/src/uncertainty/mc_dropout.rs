//! Monte Carlo dropout: passes of one model with units left out, as members of an ensemble.
//!
//! **Papers:** Dropout as a Bayesian Approximation: Representing Model Uncertainty in Deep Learning (2015), 1506.02142;
//! Self-Evolutionary Large Language Models through Uncertainty-Enhanced Preference Optimization (2024), 2409.11212, for
//! sampling by reliability.
//! **Status:** how reliability becomes a chance of being kept is this library's reading.
//! **Use when:** there is one trained model with dropout, and labels of unknown quality.
//! **Checked by:** hand-worked masks and reliabilities, frequencies.
//! **Deviations:** none.

use accordant_ops::{check_domain, check_shape, host::logistic};
use burn::{
    config::Config,
    tensor::{Device, Tensor, TensorData},
};
use rand::Rng;

use super::ensemble::Decomposition;
use crate::{
    Error, Result,
    error::check_record,
    random::{Purpose, stream},
};

/// Configuration of passes.
#[derive(Config, Debug, PartialEq)]
pub struct McDropoutConfig {
    /// The share of units that are left out, in [0, 1).
    pub rate: f64,
    /// How many passes, ≥ 1. 10: ours.
    #[config(default = 10)]
    pub num_passes: u32,
    /// Whether both sides of a pair are judged with the same units. True: ours; otherwise the noise of one score comes in
    /// twice, and a response does not tie with itself.
    #[config(default = true)]
    pub shared_mask: bool,
}

impl McDropoutConfig {
    /// The chances `[passes][n]` that the first sides are preferred, for [`decompose`](super::ensemble::decompose): `score`
    /// sees the features, or a network's hidden states, with units left out, and gives one score for each row.
    ///
    /// # Shapes
    /// `first`, `second`: `[n, width]`; what `score` gives: `[n]`.
    ///
    /// # Errors
    /// A domain error naming a field; a shape error naming `second` or `scores`; the errors of `score`.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::uncertainty::mc_dropout::McDropoutConfig;
    /// use burn::tensor::{Device, Tensor};
    /// let device = Device::flex();
    /// let (first, second) = (Tensor::from_floats([[1.0, 2.0]], &device), Tensor::from_floats([[1.0, 2.0]], &device));
    /// let chances = McDropoutConfig::new(0.5).with_num_passes(2).chances(&first, &second, 0, |x| {
    ///     Ok(x.sum_dim(1).squeeze_dim(1))
    /// })?;
    /// assert_eq!(chances, [[0.5], [0.5]]); // a tie in every pass
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn chances(
        &self,
        first: &Tensor<2>,
        second: &Tensor<2>,
        seed: u64,
        mut score: impl FnMut(Tensor<2>) -> Result<Tensor<1>>,
    ) -> Result<Vec<Vec<f64>>> {
        check_domain(self.num_passes > 0, "num_passes", ">= 1", f64::from(self.num_passes))?;
        let [n, width] = first.dims();
        check_shape("second", &[n, width], &second.dims())?;
        let mut scores = |features: &Tensor<2>, index: u32| -> Result<Vec<f64>> {
            let units = mask(width, self.rate, seed, index, &features.device())?.cast(features.dtype());
            let scores = score(features.clone() * units.unsqueeze_dim::<2>(0))?;
            check_shape("scores", &[n], &scores.dims())?;
            Ok(scores.detach().try_to_vec_as::<f64>().expect("a tensor of numbers"))
        };
        let pass = |pass| {
            let first = scores(first, pass)?;
            let second = scores(second, if self.shared_mask { pass } else { self.num_passes + pass })?;
            Ok(first.iter().zip(&second).map(|(a, b)| logistic(a - b)).collect())
        };
        (0..self.num_passes).map(pass).collect()
    }
}

/// The mask of one pass: 1/(1 − rate) for units that stay, 0 for those left out.
///
/// Both sides of a pair, and all pairs of a pass, share it: they are judged by one member. Another pass has another mask.
///
/// # Shapes
/// `[width]`, to be multiplied with features `[n, width]`. `rate` lies in [0, 1).
///
/// # Errors
/// A domain error naming `rate`.
///
/// # Example
/// ```
/// use accordant_preference::uncertainty::mc_dropout::mask;
/// use burn::tensor::Device;
/// let units = mask(1000, 0.25, 7, 0, &Device::flex())?.try_to_vec_as::<f32>().unwrap();
/// assert!(units.iter().all(|unit| *unit == 0.0 || (unit - 4.0 / 3.0).abs() < 1e-6));
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn mask(width: usize, rate: f64, seed: u64, pass: u32, device: &Device) -> Result<Tensor<1>> {
    check_domain((0.0..1.0).contains(&rate), "rate", "in [0, 1)", rate)?;
    let mut rng = stream(seed, Purpose::Sample, pass);
    let units: Vec<f64> =
        (0..width).map(|_| if rng.random_range(0.0..1.0) < rate { 0.0 } else { (1.0 - rate).recip() }).collect();
    Ok(Tensor::from_data(TensorData::from(units.as_slice()), device))
}

/// How far passes agree about a pair: `1 − epistemic/ln 2`, 1 where they all do.
///
/// # Example
/// ```
/// use accordant_preference::uncertainty::{ensemble::decompose, mc_dropout::reliability};
/// let pair = decompose(&[vec![1.0], vec![0.0]])?[0];
/// assert_eq!(reliability(&pair), 0.0);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn reliability(pair: &Decomposition) -> f64 {
    (1.0 - pair.epistemic / std::f64::consts::LN_2).clamp(0.0, 1.0)
}

/// The pairs whose reliability is at least `threshold`, in order.
///
/// # Errors
/// A domain error naming `threshold`, in [0, 1].
pub fn reliable(pairs: &[Decomposition], threshold: f64) -> Result<Vec<usize>> {
    check_domain((0.0..=1.0).contains(&threshold), "threshold", "in [0, 1]", threshold)?;
    Ok((0..pairs.len()).filter(|&at| reliability(&pairs[at]) >= threshold).collect())
}

/// Draws `count` pairs with replacement, each in proportion to its reliability.
///
/// # Errors
/// [`Error::Empty`] when no pair is reliable at all; [`Error::Record`] naming `pairs` for one that is NaN.
pub fn resample(pairs: &[Decomposition], count: usize, seed: u64) -> Result<Vec<usize>> {
    let mut sums = Vec::with_capacity(pairs.len());
    let mut total = 0.0;
    for (row, pair) in pairs.iter().enumerate() {
        check_record(!pair.epistemic.is_nan(), row, "pairs", "a number", pair.epistemic)?;
        total += reliability(pair);
        sums.push(total);
    }
    if total <= 0.0 {
        return Err(Error::Empty { name: "pairs", reason: "none is reliable at all" });
    }
    let mut rng = stream(seed, Purpose::Sample, 0);
    Ok((0..count)
        .map(|_| {
            let drawn = rng.random_range(0.0..total);
            sums.partition_point(|sum| *sum <= drawn)
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        distributional::testing::{host, near, starts},
        uncertainty::ensemble::decompose,
    };

    #[test]
    fn masks_keep_the_mean_and_differ_between_passes_alone() {
        let device = Device::flex();
        let units = host(&mask(20_000, 0.3, 5, 2, &device).unwrap());
        assert!(units.iter().all(|unit| *unit == 0.0 || (unit - 1.0 / 0.7).abs() < 1e-6));
        // Four standard errors: 4 √(0.3/0.7/20000).
        assert!((units.iter().sum::<f64>() / 20_000.0 - 1.0).abs() < 0.0186);
        let of = |seed, pass| host(&mask(50, 0.5, seed, pass, &device).unwrap());
        assert_eq!(of(1, 0), of(1, 0));
        assert!(of(1, 0) != of(1, 1) && of(1, 0) != of(2, 0));
        assert_eq!(host(&mask(3, 0.0, 1, 0, &device).unwrap()), [1.0; 3]);
        for rate in [-0.1, 1.0, f64::NAN] {
            starts(mask(1, rate, 0, 0, &device), "`rate`");
        }
    }

    #[test]
    fn both_sides_of_a_pair_are_judged_by_one_member() {
        let device = Device::flex();
        let first = Tensor::<2>::from_floats([[1.0, 2.0, -1.0], [0.5, 0.5, 3.0]], &device);
        let second = Tensor::<2>::from_floats([[1.0, -1.0, 0.0], [0.5, 0.5, 3.0]], &device);
        let sum = |x: Tensor<2>| Ok(x.sum_dim(1).squeeze_dim::<1>(1));
        let config = McDropoutConfig::new(0.5).with_num_passes(40);
        let chances = config.chances(&first, &second, 7, sum).unwrap();
        assert_eq!(chances.len(), 40);
        for (pass, row) in chances.iter().enumerate() {
            let units = host(&mask(3, 0.5, 7, pass as u32, &device).unwrap());
            // 3 of the second unit and −1 of the third.
            near(row, &[logistic(3.0 * units[1] - units[2]), 0.5], 1e-6);
        }
        let apart = config.clone().with_shared_mask(false).chances(&first, &second, 7, sum).unwrap();
        assert!(apart.iter().any(|row| row[1] != 0.5));
        let other = host(&mask(3, 0.5, 7, 40, &device).unwrap());
        let one = host(&mask(3, 0.5, 7, 0, &device).unwrap());
        let lead: f64 = [0.5, 0.5, 3.0].iter().zip(one.iter().zip(&other)).map(|(x, (a, b))| x * (a - b)).sum();
        near(&apart[0][1..], &[logistic(lead)], 1e-6);
        // Each pass has two masks, no two of them the same.
        for (pass, row) in apart.iter().enumerate() {
            let [one, other] = [pass, 40 + pass].map(|index| host(&mask(3, 0.5, 7, index as u32, &device).unwrap()));
            let lead: f64 = [0.5, 0.5, 3.0].iter().zip(one.iter().zip(&other)).map(|(x, (a, b))| x * (a - b)).sum();
            near(&row[1..], &[logistic(lead)], 1e-6);
        }
        assert!(decompose(&apart).unwrap()[1].epistemic > decompose(&chances).unwrap()[1].epistemic);
        // Nothing is left out: the model itself, in every pass.
        let plain = McDropoutConfig::new(0.0).with_num_passes(1).chances(&first, &second, 7, sum).unwrap();
        near(&plain[0], &[logistic(2.0), 0.5], 1e-6);
        assert_eq!((config.rate, McDropoutConfig::new(0.1).num_passes, config.shared_mask), (0.5, 10, true));
        starts(config.chances(&first, &second.clone().narrow(0, 0, 1), 7, sum), "`second`");
        starts(config.chances(&first, &second, 7, |x| sum(x.narrow(0, 0, 1))), "`scores`");
        starts(config.clone().with_num_passes(0).chances(&first, &second, 7, sum), "`num_passes`");
        starts(McDropoutConfig::new(1.0).chances(&first, &second, 7, sum), "`rate`");
    }

    #[test]
    fn pairs_that_passes_agree_on_are_kept_and_drawn_more_often() {
        // Agreed, split, and in between.
        let pairs = decompose(&[vec![0.9, 1.0, 0.9], vec![0.9, 0.0, 0.5]]).unwrap();
        let between = reliability(&pairs[2]);
        near(&[reliability(&pairs[0]), reliability(&pairs[1])], &[1.0, 0.0], 1e-12);
        assert!(between > 0.5 && between < 1.0);
        assert_eq!(reliable(&pairs, 1.0 - 1e-9).unwrap(), [0]);
        assert_eq!(reliable(&pairs, between).unwrap(), [0, 2]);
        assert_eq!(reliable(&pairs, 0.0).unwrap(), [0, 1, 2]);
        let drawn = resample(&pairs, 20_000, 3).unwrap();
        let share = |at| drawn.iter().filter(|drawn| **drawn == at).count() as f64 / 20_000.0;
        assert!((share(0) - 1.0 / (1.0 + between)).abs() < 0.015 && share(1) == 0.0);
        assert_eq!(drawn, resample(&pairs, 20_000, 3).unwrap());
        for threshold in [-0.1, 1.1, f64::NAN] {
            starts(reliable(&pairs, threshold), "`threshold`");
        }
        starts(resample(&pairs[1..2], 1, 0), "`pairs`: nothing");
        let broken = Decomposition { epistemic: f64::NAN, ..pairs[0] };
        starts(resample(&[broken], 1, 0), "record 0: `pairs`");
    }
}
