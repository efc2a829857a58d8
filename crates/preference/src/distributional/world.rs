//! A seeded world whose noise depends on what is seen: is a model right about how sure it can be?
//!
//! **Status:** library definition.
//! **Use when:** predicted quantiles are to be held against exact ones.
//! **Checked by:** moments, exact quantiles that are calibrated, a constant spread that is not.

use rand::Rng;
use rand_distr::StandardNormal;

use super::risk::normal_quantile;
use crate::random::{Purpose, stream};

/// One rating of one response.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rated {
    /// What is seen of it, uniform on [−1, 1]².
    pub x: [f64; 2],
    /// Its rating.
    pub rating: f64,
}

/// Ratings with mean `1.5 x₁ + sin 3x₂` and standard deviation `0.3 + 0.35 (x₁ + 1)`, normally distributed.
///
/// # Example
/// ```
/// use accordant_preference::distributional::world::NoisyWorld;
/// let world = NoisyWorld;
/// assert_eq!(world.quantile([0.0, 0.0], 0.5), 0.0);
/// assert_eq!((world.spread([-1.0, 0.3]), world.spread([1.0, 0.3])), (0.3, 1.0));
/// assert_eq!(world.sample(3, 7, 0), world.sample(3, 7, 0));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NoisyWorld;

impl NoisyWorld {
    /// The mean rating.
    pub fn mean(&self, x: [f64; 2]) -> f64 {
        1.5 * x[0] + (3.0 * x[1]).sin()
    }

    /// The standard deviation of the ratings.
    pub fn spread(&self, x: [f64; 2]) -> f64 {
        0.3 + 0.35 * (x[0] + 1.0)
    }

    /// The quantile of the ratings.
    pub fn quantile(&self, x: [f64; 2], level: f64) -> f64 {
        self.mean(x) + self.spread(x) * normal_quantile(level)
    }

    /// Ratings of `n` responses; `index` tells samples of one seed apart.
    pub fn sample(&self, n: usize, seed: u64, index: u32) -> Vec<Rated> {
        let mut rng = stream(seed, Purpose::World, index);
        let mut one = || {
            let x = [rng.random_range(-1.0..1.0), rng.random_range(-1.0..1.0)];
            let noise: f64 = rng.sample(StandardNormal);
            Rated { x, rating: self.mean(x) + self.spread(x) * noise }
        };
        (0..n).map(|_| one()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distributional::{
        calibration::{Calibration, LIMIT_OF_19},
        quantile_reward::Levels,
    };

    #[test]
    fn exact_quantiles_are_calibrated_everywhere_and_a_constant_spread_is_not() {
        let (world, levels) = (NoisyWorld, Levels::Interior(19).probs().unwrap());
        let test = world.sample(5000, 3, 0);
        let ratings: Vec<f64> = test.iter().map(|rated| rated.rating).collect();
        let noise: Vec<f64> = test.iter().map(|rated| world.spread(rated.x)).collect();
        let rows = |quantile: &dyn Fn([f64; 2], f64) -> f64| -> Vec<Vec<f64>> {
            test.iter().map(|rated| levels.iter().map(|level| quantile(rated.x, *level)).collect()).collect()
        };
        let exact = rows(&|x, level| world.quantile(x, level));
        // One test of 20 misses the limit; this seed's does not. Each quarter has a limit of 4 standard errors.
        assert!(Calibration::of(&exact, &ratings, &levels, None).unwrap().largest_z() <= LIMIT_OF_19);
        let quarters = Calibration::by_group(&exact, &ratings, &levels, None, &noise, 4).unwrap();
        assert!(quarters.iter().all(|quarter| quarter.largest_z() <= 4.0));
        // The root mean square of the spread: ∫ (0.3 + 0.35 u)² / 2 over u in [0, 2].
        let constant = ((1.0f64 - 0.027) / (0.35 * 3.0 * 2.0)).sqrt();
        let wrong = rows(&|x, level| world.mean(x) + constant * normal_quantile(level));
        let quarters = Calibration::by_group(&wrong, &ratings, &levels, None, &noise, 4).unwrap();
        let worst = quarters.iter().map(Calibration::largest_deviation).fold(0.0, f64::max);
        assert!(worst > 0.1, "{worst}");
        assert!(Calibration::of(&wrong, &ratings, &levels, None).unwrap().largest_deviation() < worst / 2.0);
    }

    #[test]
    fn samples_have_the_moments_of_the_world_and_streams_of_their_own() {
        let world = NoisyWorld;
        let sample = world.sample(40_000, 5, 1);
        let z: Vec<f64> = sample.iter().map(|r| (r.rating - world.mean(r.x)) / world.spread(r.x)).collect();
        let mean = z.iter().sum::<f64>() / 40_000.0;
        let variance = z.iter().map(|z| z * z).sum::<f64>() / 40_000.0;
        // 4 standard errors: 1/200 and √2/200.
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.029, "{mean} {variance}");
        assert!(sample.iter().all(|r| r.x.iter().all(|x| (-1.0..1.0).contains(x))));
        for axis in 0..2 {
            let mean = sample.iter().map(|r| r.x[axis]).sum::<f64>() / 40_000.0;
            assert!(mean.abs() < 0.012, "{mean}");
        }
        assert_ne!(world.sample(2, 5, 0), world.sample(2, 5, 1));
        assert_ne!(world.sample(2, 5, 0), world.sample(2, 6, 0));
        assert!((world.mean([0.5, 0.5]) - 0.75 - 1.5f64.sin()).abs() < 1e-15);
        assert!((world.quantile([0.5, 0.5], 0.975) - world.mean([0.5, 0.5]) - 0.825 * 1.959963984540054).abs() < 1e-12);
    }
}
