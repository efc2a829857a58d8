//! Graded preferences: a cumulative link over how much better one side is.
//!
//! **Paper:** none is followed closely; cumulative links are Regression Models for Ordinal Data (P. McCullagh, 1980).
//! **Status:** library definition, with thresholds symmetric in the two sides.
//! **Use when:** judges say how much better a side is: "slightly", "clearly", "far", and perhaps "equal".
//! **Checked by:** hand-worked values, chances that add up to 1, Bradley-Terry and Rao-Kupper as special cases, finite
//! differences.
//! **Deviations:** the status says it.

use accordant_ops::{
    check_domain, check_dtype, check_shape,
    stable::{log_sigmoid, log1mexp, softplus},
};
use burn::{
    config::Config,
    module::{Module, Param},
    tensor::{Device, Int, Tensor},
};

use crate::{Nll, Result, error::check_length, error::check_record};

/// Scores of the two sides of each pair, `[n]`, and by how many grades the first was called better.
#[derive(Debug, Clone)]
pub struct GradedPairs {
    differences: Tensor<1>,
    grades: Vec<i64>,
    weights: Tensor<1>,
}

impl GradedPairs {
    /// Pairs and their grades in −G..=G: positive where the first is better, 0 where they are equal.
    ///
    /// # Errors
    /// A shape or dtype error naming `second`; [`crate::Error::Length`] naming `grades`.
    pub fn new(first: Tensor<1>, second: Tensor<1>, grades: &[i64]) -> Result<Self> {
        check_shape("second", &first.dims(), &second.dims())?;
        check_dtype("second", first.dtype(), second.dtype())?;
        check_length("grades", first.dims()[0], grades.len())?;
        let weights = first.ones_like().detach();
        Ok(Self { differences: first - second, grades: grades.to_vec(), weights })
    }

    /// How much each pair counts in a mean, ≥ 0.
    ///
    /// # Errors
    /// A shape error naming `weights`.
    pub fn with_weights(mut self, weights: Tensor<1>) -> Result<Self> {
        check_shape("weights", &self.differences.dims(), &weights.dims())?;
        self.weights = weights.detach();
        Ok(self)
    }
}

/// `log(σ(u) − σ(v))` for u > v, by `u + log(1 − e^{v−u}) − softplus(u) − softplus(v)`; no equals are subtracted.
fn log_difference(u: Tensor<1>, v: Tensor<1>) -> Tensor<1> {
    u.clone() + log1mexp(v.clone() - u.clone()) - softplus(u) - softplus(v)
}

/// Log-probabilities of all grades, `[n, 2G + 1]`, from −G to G.
///
/// ```text
/// P(grade ≥ j) = σ(d − c_j),   P(grade ≤ −j) = σ(−d − c_j),   P(0) = σ(c_1 − d) − σ(−c_1 − d)
/// ```
///
/// # Shapes
/// `differences` (d): `[n]`; `thresholds` (c): `[G]`, increasing, the first ≥ 0. Where the first is exactly 0 there is no
/// equal grade, `has_equal` is false and its log-probability −∞.
///
/// # Errors
/// A dtype error naming `thresholds`.
///
/// # Example
/// ```
/// use accordant_preference::pairwise::graded::grade_logps;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// // Thresholds ln 2 and ln 5 at d = 0: 1/6, 1/3 − 1/6, 1 − 2/3, ...
/// let thresholds = Tensor::from_floats([2f32.ln(), 5f32.ln()], &device);
/// let chances = grade_logps(Tensor::zeros([1], &device), thresholds, true)?.exp();
/// let chances = chances.try_to_vec_as::<f64>().unwrap();
/// for (got, expected) in chances.iter().zip([1.0 / 6.0, 1.0 / 6.0, 1.0 / 3.0, 1.0 / 6.0, 1.0 / 6.0]) {
///     assert!((got - expected).abs() < 1e-6);
/// }
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "ordered logit")]
#[doc(alias = "proportional odds")]
pub fn grade_logps(differences: Tensor<1>, thresholds: Tensor<1>, has_equal: bool) -> Result<Tensor<2>> {
    check_dtype("thresholds", differences.dtype(), thresholds.dtype())?;
    let ([n], [num_grades]) = (differences.dims(), thresholds.dims());
    let threshold = |place: usize| thresholds.clone().narrow(0, place, 1).repeat_dim(0, n);
    // Grades 1..=G for the side that leads by d.
    let better = |d: Tensor<1>| {
        (0..num_grades).map(move |place| {
            let reached = d.clone() - threshold(place);
            match place + 1 == num_grades {
                true => log_sigmoid(reached),
                false => log_difference(reached, d.clone() - threshold(place + 1)),
            }
        })
    };
    let equal = match has_equal {
        true => log_difference(threshold(0) - differences.clone(), -threshold(0) - differences.clone()),
        false => differences.zeros_like() + f32::NEG_INFINITY,
    };
    let mut columns: Vec<_> = better(-differences.clone()).collect();
    columns.reverse();
    columns.push(equal);
    columns.extend(better(differences));
    Ok(Tensor::stack(columns, 1))
}

/// Configuration of [`Graded`].
#[derive(Config, Debug, PartialEq)]
pub struct GradedConfig {
    /// How many grades of "better" there are, at least 1; G. 3 in HelpSteer2.
    pub num_grades: usize,
    /// Whether 0, "equal", is a grade. On: judges may say so.
    #[config(default = true)]
    pub has_equal: bool,
    /// The distance of neighboring thresholds at the start, finite and > 0. 1: ours, one unit of log-odds.
    #[config(default = 1.0)]
    pub spacing: f64,
}

impl GradedConfig {
    /// Checks the fields; the thresholds live on `device`.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self, device: &Device) -> Result<Graded> {
        let Self { num_grades, has_equal, spacing } = *self;
        check_domain(num_grades >= 1, "num_grades", "at least 1", num_grades as f64)?;
        check_domain(spacing.is_finite() && spacing > 0.0, "spacing", "finite and > 0", spacing)?;
        // softplus⁻¹
        let step = spacing + (-(-spacing).exp_m1()).ln();
        let steps = vec![step as f32; num_grades];
        Ok(Graded { steps: Param::from_tensor(Tensor::from_floats(steps.as_slice(), device)), has_equal })
    }
}

/// A cumulative-link model of graded pairs; see [`grade_logps`]. Thresholds are learned: sums of softplus of what is free.
///
/// With one grade and no "equal" this is Bradley-Terry, with "equal" it is Rao-Kupper of `ln κ = c_1`.
#[derive(Module, Debug)]
pub struct Graded {
    steps: Param<Tensor<1>>,
    #[module(skip)]
    has_equal: bool,
}

impl Graded {
    /// The thresholds, `[G]`, increasing; the first is 0 without an "equal" grade.
    pub fn thresholds(&self) -> Tensor<1> {
        let steps = softplus(self.steps.val());
        match self.has_equal {
            true => steps.cumsum(0),
            false => steps.clone().cumsum(0) - steps.clone().narrow(0, 0, 1).repeat_dim(0, steps.dims()[0]),
        }
    }

    /// The negative log-likelihood of the grades.
    ///
    /// # Errors
    /// [`crate::Error::Record`] naming a grade that the model does not have.
    pub fn forward(&self, pairs: &GradedPairs) -> Result<Nll> {
        let num_grades = self.steps.val().dims()[0] as i64;
        for (row, grade) in pairs.grades.iter().enumerate() {
            let known = grade.abs() <= num_grades && (self.has_equal || *grade != 0);
            let expected = if self.has_equal { "a grade in -G..=G" } else { "a grade in -G..=G but 0" };
            check_record(known, row, "grades", expected, *grade as f64)?;
        }
        let differences = pairs.differences.clone();
        let logps = grade_logps(differences.clone(), self.thresholds().cast(differences.dtype()), self.has_equal)?;
        let places: Vec<i64> = pairs.grades.iter().map(|grade| grade + num_grades).collect();
        let places = Tensor::<1, Int>::from_ints(places.as_slice(), &differences.device()).unsqueeze_dim::<2>(1);
        let signs: Vec<f32> = pairs.grades.iter().map(|grade| grade.signum() as f32).collect();
        let signs = Tensor::<1>::from_floats(signs.as_slice(), &differences.device()).cast(differences.dtype());
        let agreement = differences.detach().sign() * signs;
        Nll::new(-logps.gather(1, places).squeeze_dim::<1>(1), pairs.weights.clone())?
            .with_metric("accuracy", agreement * 0.5 + 0.5)
    }
}

#[cfg(test)]
mod tests {
    use accordant_laws::gradient::check_gradient;

    use super::*;
    use crate::{
        link::{Link, RaoKupper},
        pairwise::testing::{close, tensor, values},
    };

    fn logps(d: f64, thresholds: &[f64], has_equal: bool) -> Vec<f64> {
        let device = Device::flex();
        values(grade_logps(tensor(&[d], &device), tensor(thresholds, &device), has_equal).unwrap())
    }

    fn sigma(x: f64) -> f64 {
        1.0 / (1.0 + (-x).exp())
    }

    #[test]
    fn chances_by_hand() {
        let d = 0.3;
        let expected = [
            sigma(-d - 2.0),
            sigma(-d - 0.5) - sigma(-d - 2.0),
            1.0 - sigma(d - 0.5) - sigma(-d - 0.5),
            sigma(d - 0.5) - sigma(d - 2.0),
            sigma(d - 2.0),
        ];
        let chances: Vec<f64> = logps(d, &[0.5, 2.0], true).iter().map(|log| log.exp()).collect();
        close(&chances, &expected, 1e-15);
    }

    #[test]
    fn chances_of_all_grades_add_up_to_1_and_swap_with_the_sides() {
        for (thresholds, has_equal) in [(vec![0.1, 0.7, 3.0], true), (vec![0.0, 0.4], false), (vec![2.0], true)] {
            for d in [-9.0, -0.4, 0.0, 2.0] {
                let there = logps(d, &thresholds, has_equal);
                let mut back = logps(-d, &thresholds, has_equal);
                back.reverse();
                close(&[there.iter().map(|log| log.exp()).sum()], &[1.0], 1e-14);
                close(&there, &back, 1e-12);
            }
        }
    }

    #[test]
    fn one_grade_is_bradley_terry_and_with_equals_rao_kupper() {
        for d in [-3.0, 0.0, 1.2] {
            let plain = logps(d, &[0.0], false);
            close(&[plain[0].exp(), plain[1], plain[2].exp()], &[sigma(-d), f64::NEG_INFINITY, sigma(d)], 1e-15);
            let kappa = 3.0f64;
            let link = [RaoKupper.second(d, 2f64.ln()), RaoKupper.tie(d, 2f64.ln()), RaoKupper.first(d, 2f64.ln())];
            close(&logps(d, &[kappa.ln()], true), &link.map(|log| log.value), 1e-13);
        }
    }

    #[test]
    fn far_out_it_stays_finite() {
        for d in [-1e4, 1e4] {
            assert!(logps(d, &[0.5, 2.0], true).iter().all(|log| log.is_finite()));
        }
    }

    fn model(device: &Device) -> Graded {
        GradedConfig::new(3).with_spacing(0.7).init(device).unwrap()
    }

    #[test]
    fn thresholds_start_evenly_spaced() {
        let device = Device::flex();
        close(&values(model(&device).thresholds()), &[0.7, 1.4, 2.1], 1e-6);
        let without = GradedConfig::new(3).with_has_equal(false).init(&device).unwrap();
        close(&values(without.thresholds()), &[0.0, 1.0, 2.0], 1e-6);
    }

    #[test]
    fn losses_pick_the_grade_that_was_given() {
        let device = Device::flex();
        let d = [0.3, -1.0, 0.3, 2.0];
        let grades = [0, -3, 2, -1];
        let pairs = GradedPairs::new(tensor(&d, &device), tensor(&[0.0; 4], &device), &grades).unwrap();
        let nll = model(&device).forward(&pairs.with_weights(tensor(&[1.0, 1.0, 2.0, 0.0], &device)).unwrap()).unwrap();
        let thresholds = values(model(&device).thresholds());
        let expected: Vec<f64> =
            d.iter().zip(grades).map(|(d, grade)| -logps(*d, &thresholds, true)[(grade + 3) as usize]).collect();
        close(&values(nll.losses.clone()), &expected, 1e-6);
        assert_eq!(values(nll.metric("accuracy").unwrap().0.clone()), [0.5, 1.0, 1.0, 0.0]);
        assert_eq!(nll.means().mean("accuracy"), Some((0.5 + 1.0 + 2.0) / 4.0));
    }

    #[test]
    fn gradients_are_derivatives() {
        let device = Device::flex().autodiff();
        let run = |x: &[f64]| {
            let (d, steps) = (tensor(&x[..3], &device).require_grad(), tensor(&x[3..], &device).require_grad());
            let thresholds = softplus(steps.clone()).cumsum(0);
            let logps = grade_logps(d.clone(), thresholds, true).unwrap();
            let weights = tensor(&[0.3, 1.0, -0.5, 2.0, 0.1], &device).unsqueeze_dim::<2>(0).repeat_dim(0, 3);
            ((logps * weights).sum(), d, steps)
        };
        let at = [0.4, -1.0, 3.0, -0.2, 0.5];
        let (sum, d, steps) = run(&at);
        let grads = sum.backward();
        let gradient = [d, steps].map(|x| values(x.grad(&grads).unwrap())).concat();
        check_gradient(|x| values(run(x).0)[0], &at, &gradient).unwrap();
    }

    #[test]
    fn grades_and_settings_are_checked() {
        let device = Device::flex();
        let pairs = |grades: &[i64]| {
            let zeros = || tensor(&vec![0.0; grades.len()], &device);
            GradedPairs::new(zeros(), zeros(), grades).unwrap()
        };
        let error = model(&device).forward(&pairs(&[1, 4])).unwrap_err().to_string();
        assert_eq!(error, "record 1: `grades`: expected a grade in -G..=G, got 4");
        let without = GradedConfig::new(2).with_has_equal(false).init(&device).unwrap();
        let error = without.forward(&pairs(&[0])).unwrap_err().to_string();
        assert_eq!(error, "record 0: `grades`: expected a grade in -G..=G but 0, got 0");
        let short = GradedPairs::new(tensor(&[0.0], &device), tensor(&[0.0], &device), &[]).unwrap_err().to_string();
        assert_eq!(short, "`grades`: expected 1 entries, got 0");
        assert!(pairs(&[1]).with_weights(tensor(&[], &device)).is_err());
        let config = GradedConfig::new(2);
        assert_eq!((config.has_equal, config.spacing), (true, 1.0));
        let text = |config: GradedConfig| config.init(&device).unwrap_err().to_string();
        assert!(text(GradedConfig::new(0)).starts_with("`num_grades`: expected at least 1"));
        for bad in [0.0, f64::NAN, f64::INFINITY] {
            assert!(text(config.clone().with_spacing(bad)).starts_with("`spacing`"));
        }
    }
}
