//! Last-layer Laplace: a normal posterior of a linear reward's coefficients.
//!
//! **Paper:** Laplace Redux -- Effortless Bayesian Deep Learning (2021), 2106.14806; the moderated chance is D. J. C. MacKay's
//! (1992).
//! **Use when:** features are fixed, and it is to be known where their linear reward is only guessed.
//! **Checked by:** the curvature by finite differences, a reference figure, closed forms of one feature, limits, separable
//! data.
//! **Deviations:** none.

use accordant_ops::{check_domain, host::logistic};
use nalgebra::{Cholesky, DVector, Dyn};

use crate::{
    Comparisons, Error, Result,
    error::check_length,
    plural::{Items, LogisticConfig, logistic::Linear},
};

/// A linear reward, and how sure its coefficients are: a normal distribution about the maximum of the posterior, with the
/// inverse of the curvature there as its covariance.
///
/// ```text
/// H = Σ_n w_n p_n (1 − p_n) x_n x_nᵀ + prior I,   x = φ_first − φ_second
/// ```
///
/// A prior makes every variance finite. Without one the fit refuses pairs that leave a direction open.
///
/// # Example
/// ```
/// use accordant_preference::{Comparisons, plural::{Items, LogisticConfig}, uncertainty::laplace::Laplace};
/// // Three wins and a loss, where the only features differ by 1.
/// let mut judged = Comparisons::new(2);
/// judged.push_win(0, 1, 3.0)?;
/// judged.push_win(1, 0, 1.0)?;
/// let items = Items::features(&[vec![3.0], vec![2.0]])?;
/// let model = Laplace::fit(&LogisticConfig::new().with_prior(0.0), &items, &judged)?;
/// assert!((model.score(&[1.0])? - 3f64.ln()).abs() < 1e-9);
/// assert!((model.variance(&[1.0])? - 4.0 / 3.0).abs() < 1e-9); // 1/(4 · ¾ · ¼)
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[derive(Debug, Clone)]
#[doc(alias = "2106.14806")]
pub struct Laplace {
    /// The coefficients at the maximum, and how the fit ended.
    pub linear: Linear,
    factor: Cholesky<f64, Dyn>,
}

/// The chance that the first side of a pair is preferred when its lead is known up to a variance ≥ 0:
/// `σ(lead/√(1 + π variance/8))`, nearer to ½ the less is known.
///
/// # Example
/// ```
/// use accordant_preference::uncertainty::laplace::moderated_chance;
/// assert!((moderated_chance(1.0, 2.0) - 0.67882947).abs() < 1e-8);
/// assert_eq!(moderated_chance(3f64.ln(), 0.0), 0.75);
/// ```
pub fn moderated_chance(lead: f64, variance: f64) -> f64 {
    logistic(lead / (1.0 + std::f64::consts::PI * variance / 8.0).sqrt())
}

impl Laplace {
    /// Fits coefficients and their covariance.
    ///
    /// # Errors
    /// As [`LogisticConfig::fit`]; a domain error naming `items` when the curvature overflows, [`Error::Separable`] when it
    /// vanishes.
    pub fn fit(config: &LogisticConfig, items: &Items, judged: &Comparisons) -> Result<Self> {
        let linear = config.fit(items, judged)?;
        let hessian = config.hessian(items, judged, &linear.coefficients);
        let largest = hessian.amax();
        check_domain(largest.is_finite(), "items", "features whose squares do not overflow", largest)?;
        let factor = hessian.cholesky().ok_or(Error::Separable { name: "coefficients" })?;
        Ok(Self { linear, factor })
    }

    /// The score of features, or the lead of a difference of two responses' features.
    ///
    /// # Errors
    /// [`Error::Length`] naming `features`.
    pub fn score(&self, features: &[f64]) -> Result<f64> {
        let coefficients = &self.linear.coefficients;
        check_length("features", coefficients.len(), features.len())?;
        Ok(features.iter().zip(coefficients).map(|(x, c)| x * c).sum())
    }

    /// The variance of that score, `xᵀ H⁻¹ x`: the widest bounds are where it is largest, which makes it a score for
    /// [`select`](super::acquisition::select), too.
    ///
    /// # Errors
    /// [`Error::Length`] naming `features`.
    pub fn variance(&self, features: &[f64]) -> Result<f64> {
        check_length("features", self.linear.coefficients.len(), features.len())?;
        let x = DVector::from_column_slice(features);
        Ok(x.dot(&self.factor.solve(&x)))
    }

    /// The chance that the first side of a pair is preferred, by the difference of its features: [`moderated_chance`] of its
    /// score and variance.
    ///
    /// # Errors
    /// [`Error::Length`] naming `features`.
    pub fn chance(&self, difference: &[f64]) -> Result<f64> {
        Ok(moderated_chance(self.score(difference)?, self.variance(difference)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Outcome,
        distributional::testing::{near, starts},
    };

    /// Differences of features and shares of the first side, each judged `times`.
    fn data(differences: &[[f64; 2]], shares: &[f64], times: f64) -> (Items, Comparisons) {
        let mut rows = vec![vec![0.5, -0.5]];
        let mut judged = Comparisons::new(differences.len() + 1);
        for (at, (x, &share)) in differences.iter().zip(shares).enumerate() {
            rows.push(vec![x[0] + 0.5, x[1] - 0.5]);
            judged.push_weighted(at + 1, 0, Outcome::Share(share), times).unwrap();
        }
        (Items::features(&rows).unwrap(), judged)
    }

    const DIFFERENCES: [[f64; 2]; 6] = [[1.0, 0.5], [-0.5, 1.0], [0.25, -2.0], [1.5, 0.25], [-1.0, -1.0], [0.75, 1.0]];
    const SHARES: [f64; 6] = [1.0, 0.0, 1.0, 0.7, 0.0, 0.3];

    #[test]
    fn the_posterior_is_the_curvature_at_its_maximum() {
        let (items, judged) = data(&DIFFERENCES, &SHARES, 2.0);
        let model = Laplace::fit(&LogisticConfig::new().with_prior(0.5), &items, &judged).unwrap();
        assert!(model.linear.report.converged && model.linear.report.gradient_norm < 1e-9);
        let loss = |w: [f64; 2]| {
            let fits = DIFFERENCES.iter().zip(SHARES).map(|(x, t)| {
                let d = x[0] * w[0] + x[1] * w[1];
                d.exp().ln_1p() - t * d
            });
            2.0 * fits.sum::<f64>() + 0.25 * (w[0] * w[0] + w[1] * w[1])
        };
        // H by second differences, and H⁻¹ of two dimensions by hand.
        let best = [model.linear.coefficients[0], model.linear.coefficients[1]];
        let at = |a: f64, b: f64| loss([best[0] + a, best[1] + b]);
        let h = 1e-4;
        let (aa, bb) = (at(h, 0.0) + at(-h, 0.0) - 2.0 * at(0.0, 0.0), at(0.0, h) + at(0.0, -h) - 2.0 * at(0.0, 0.0));
        let ab = (at(h, h) + at(-h, -h) - at(h, -h) - at(-h, h)) / 4.0;
        let [aa, bb, ab] = [aa, bb, ab].map(|d| d / (h * h));
        let determinant = aa * bb - ab * ab;
        near(&[model.variance(&[1.0, 0.0]).unwrap()], &[bb / determinant], 1e-5);
        near(&[model.variance(&[1.0, 2.0]).unwrap()], &[(bb - 4.0 * ab + 4.0 * aa) / determinant], 1e-5);
        near(&[model.score(&[2.0, -1.0]).unwrap()], &[2.0 * best[0] - best[1]], 1e-15);
    }

    #[test]
    fn the_reference_figure_of_a_lead_of_one_and_a_variance_of_two() {
        near(&[moderated_chance(1.0, 2.0), moderated_chance(-1.0, 2.0)], &[0.67882947, 1.0 - 0.67882947], 1e-8);
    }

    #[test]
    fn chances_move_towards_one_half_with_the_variance() {
        let fit = |times| {
            let (items, judged) = data(&DIFFERENCES, &SHARES, times);
            Laplace::fit(&LogisticConfig::new(), &items, &judged).unwrap()
        };
        let (few, many) = (fit(1.0), fit(1e6));
        let at = [2.0, 1.0];
        let plain = |model: &Laplace| logistic(model.score(&at).unwrap());
        // v → 0 gives σ(d).
        assert!((many.chance(&at).unwrap() - plain(&many)).abs() < 1e-5);
        let (moderated, unit) = (few.chance(&at).unwrap(), few.score(&at).unwrap());
        let by_hand = logistic(unit * (1.0 + std::f64::consts::FRAC_PI_8 * few.variance(&at).unwrap()).powf(-0.5));
        assert!((moderated - by_hand).abs() < 1e-14);
        assert!((moderated - 0.5).abs() < (plain(&few) - 0.5).abs() - 0.01);
        assert!((few.chance(&[-2.0, -1.0]).unwrap() + moderated - 1.0).abs() < 1e-15, "antisymmetric");
    }

    #[test]
    fn separable_data_and_open_directions_are_errors_without_a_prior() {
        let cases: [(&[[f64; 2]], &[f64]); 3] = [
            (&[[1.0, 0.5], [-2.0, 1.0]], &[1.0, 0.0]),                 // separable
            (&[[1.0, 1.0], [1.0, 1.0]], &[1.0, 0.0]),                  // nothing of the difference
            (&[[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], &[1.0, 0.0, 1.0]), // separable by the second alone
        ];
        for (differences, shares) in cases {
            let (items, judged) = data(differences, shares, 1.0);
            let bare = Laplace::fit(&LogisticConfig::new().with_prior(0.0), &items, &judged);
            starts(bare, "`coefficients`: the data are separable");
            let kept = Laplace::fit(&LogisticConfig::new().with_prior(0.5), &items, &judged).unwrap();
            assert!(kept.linear.report.converged && kept.variance(&[1.0, -1.0]).unwrap() <= 4.0 + 1e-9);
        }
        // Nothing was said about the difference of the two features: the prior's variance of it, 2 / 0.5.
        let (items, judged) = data(cases[1].0, cases[1].1, 1.0);
        let open = Laplace::fit(&LogisticConfig::new().with_prior(0.5), &items, &judged).unwrap();
        near(&[open.variance(&[1.0, -1.0]).unwrap()], &[4.0], 1e-9);
    }

    #[test]
    fn senseless_input_is_refused_by_name() {
        let (items, judged) = data(&DIFFERENCES, &SHARES, 1.0);
        starts(Laplace::fit(&LogisticConfig::new().with_prior(-1.0), &items, &judged), "`prior`");
        let model = Laplace::fit(&LogisticConfig::new(), &items, &judged).unwrap();
        starts(model.score(&[1.0]), "`features`: expected 2 entries");
        starts(model.variance(&[]), "`features`: expected 2 entries");
        starts(model.chance(&[1.0, 2.0, 3.0]), "`features`: expected 2 entries");
        let (far, judged_far) = data(&[[1e200, 0.5]], &[0.5], 1.0);
        starts(Laplace::fit(&LogisticConfig::new(), &far, &judged_far), "`items`: expected features whose squares");
        let hasty = Laplace::fit(&LogisticConfig::new().with_max_iterations(1), &items, &judged).unwrap();
        assert!(!hasty.linear.report.converged);
    }
}
