//! Thurstone: normal impressions of each item, with deviations of their own.
//!
//! **Paper:** A law of comparative judgment (L. L. Thurstone, 1927); standardized as in Utility Engineering: Analyzing and
//! Controlling Emergent Value Systems in AIs (2025), 2502.08640.
//! **Use when:** some items are judged less consistently than others. Case V, with equal deviations, is
//! [`LinkFunction::Probit`](super::generalized_linear::LinkFunction::Probit), and for tables [`crate::link::Probit`].
//! **Checked by:** hand-worked values, case V, invariance to scale and level, finite differences through the
//! standardization.
//! **Deviations:** none.

use accordant_ops::{check_domain, check_dtype, check_shape, masked::masked_var_all, stable::log_normal_cdf};
use burn::{
    config::Config,
    module::{Module, Param},
    tensor::{Bool, Device, Int, Tensor},
};
use rand_distr::{Distribution, Normal};

use super::Outcomes;
use crate::{
    Comparisons, Result,
    random::{Purpose, stream},
};

/// Normal impressions of the two sides of each pair: their means and variances, `[n]` each.
#[derive(Debug, Clone)]
pub struct Impressions {
    /// Means of the first sides.
    pub first: Tensor<1>,
    /// Means of the second sides.
    pub second: Tensor<1>,
    /// Variances of the first sides, ≥ 0.
    pub first_variance: Tensor<1>,
    /// Variances of the second sides, ≥ 0.
    pub second_variance: Tensor<1>,
}

/// Log-probabilities of the outcomes when the larger of two normal impressions wins.
///
/// ```text
/// P(first) = Φ( (μ_first − μ_second) / √(ς²_first + ς²_second + ε) )
/// ```
///
/// # Shapes
/// `[n]` throughout. `epsilon` (ε) ≥ 0 keeps the root away from 0. Case V in its usual unit has all variances ½; with
/// variances 1 the means of a fit are √2 times as large.
///
/// # Errors
/// A shape or dtype error naming the column.
///
/// # Example
/// ```
/// use accordant_preference::pairwise::thurstone::{Impressions, thurstone_outcomes};
/// use burn::tensor::{Device, Tensor};
/// let one = |x: f32| Tensor::<1>::from_floats([x], &Device::flex());
/// let impressions =
///     Impressions { first: one(5.0), second: one(0.0), first_variance: one(9.0), second_variance: one(16.0) };
/// let outcomes = thurstone_outcomes(&impressions, 0.0)?; // Φ(5 / 5)
/// assert!((outcomes.first.exp().into_scalar::<f32>() - 0.841_344_7).abs() < 1e-6);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "2502.08640")]
#[doc(alias = "Thurstone-Mosteller")]
pub fn thurstone_outcomes(impressions: &Impressions, epsilon: f64) -> Result<Outcomes> {
    let Impressions { first, second, first_variance, second_variance } = impressions;
    for (name, column) in [("second", second), ("first_variance", first_variance), ("second_variance", second_variance)]
    {
        check_shape(name, &first.dims(), &column.dims())?;
        check_dtype(name, first.dtype(), column.dtype())?;
    }
    let spread = (first_variance.clone() + second_variance.clone() + epsilon).sqrt();
    let z = (first.clone() - second.clone()) / spread;
    Ok(Outcomes { first: log_normal_cdf(z.clone()), tie: None, second: log_normal_cdf(-z) })
}

/// Configuration of [`Thurstonian`].
#[derive(Config, Debug, PartialEq)]
pub struct ThurstonianConfig {
    /// How many items there are, at least 2.
    pub num_items: usize,
    /// Standard deviation of the initial parameters, finite and > 0. 0.01: the authors' code.
    #[config(default = 0.01)]
    pub init_std: f64,
    /// Added to the variance of a difference, finite and > 0. 1e-5: the authors' code.
    #[config(default = 1e-5)]
    pub epsilon: f64,
}

impl ThurstonianConfig {
    /// A table on `device`; the same seed gives the same parameters on every device.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self, seed: u64, device: &Device) -> Result<Thurstonian> {
        let Self { num_items, init_std, epsilon } = *self;
        check_domain(num_items >= 2, "num_items", "at least 2", num_items as f64)?;
        check_domain(init_std.is_finite() && init_std > 0.0, "init_std", "finite and > 0", init_std)?;
        check_domain(epsilon.is_finite() && epsilon > 0.0, "epsilon", "finite and > 0", epsilon)?;
        let normal = Normal::new(0.0, init_std).expect("a standard deviation");
        let draw = |index| {
            let mut rng = stream(seed, Purpose::Start, index);
            let numbers: Vec<f32> = (0..num_items).map(|_| normal.sample(&mut rng) as f32).collect();
            Param::from_tensor(Tensor::from_floats(numbers.as_slice(), device))
        };
        Ok(Thurstonian { means: draw(0), log_variances: draw(1), epsilon })
    }
}

/// A table of items with normal impressions: a mean and a variance for each.
///
/// Scale and level of the means are free, so that what [`Thurstonian::standardized`] returns is fixed instead: mean 0 and
/// deviation 1. The authors train with Adam (learning rate 0.01, 1000 steps on all comparisons).
#[derive(Module, Debug)]
pub struct Thurstonian {
    means: Param<Tensor<1>>,
    log_variances: Param<Tensor<1>>,
    #[module(skip)]
    epsilon: f64,
}

/// Added to the deviation that divides: the authors' code.
const STD_EPSILON: f64 = 1e-5;

/// Means of mean 0 and (unbiased) deviation 1, and the variances on that scale.
///
/// ```text
/// μ̂ = (μ − mean μ) / (std μ + 1e-5),   ς̂² = ς² / (std μ + 1e-5)²
/// ```
///
/// # Shapes
/// `[items]` throughout, of at least 2 items. The gradient flows through mean and deviation; a deviation of 0 has none.
///
/// # Errors
/// A shape error naming `variances`.
pub fn standardize(means: Tensor<1>, variances: Tensor<1>) -> Result<(Tensor<1>, Tensor<1>)> {
    check_shape("variances", &means.dims(), &variances.dims())?;
    let [items] = means.dims();
    let all = Tensor::<1, Bool>::full([items], true, &means.device());
    let variance = masked_var_all(means.clone(), all)?.cast(means.dtype());
    // The square root has no slope at 0.
    let none = variance.clone().equal_scalar(0.0);
    let deviation = variance.mask_fill(none.clone(), 1.0).sqrt().mask_fill(none, 0.0) + STD_EPSILON;
    let deviation = deviation.repeat_dim(0, items);
    let centered = means.clone() - means.mean().repeat_dim(0, items);
    Ok((centered / deviation.clone(), variances / deviation.square()))
}

impl Thurstonian {
    /// Means and variances of the items, `[items]` each, standardized.
    pub fn standardized(&self) -> (Tensor<1>, Tensor<1>) {
        standardize(self.means.val(), self.log_variances.val().exp()).expect("one of each for every item")
    }

    /// Log-probabilities of the outcomes of comparisons, in their order.
    ///
    /// # Errors
    /// [`crate::Error::Length`] when the comparisons are of another number of items.
    pub fn outcomes(&self, judged: &Comparisons) -> Result<Outcomes> {
        let (means, variances) = self.standardized();
        crate::error::check_length("comparisons", means.dims()[0], judged.num_items())?;
        let device = means.device();
        let places = |side: fn(&crate::Comparison) -> usize| {
            let places: Vec<i64> = judged.records().iter().map(|record| side(record) as i64).collect();
            Tensor::<1, Int>::from_ints(places.as_slice(), &device)
        };
        let (first, second) = (places(|record| record.first), places(|record| record.second));
        let impressions = Impressions {
            first: means.clone().select(0, first.clone()),
            second: means.select(0, second.clone()),
            first_variance: variances.clone().select(0, first),
            second_variance: variances.select(0, second),
        };
        thurstone_outcomes(&impressions, self.epsilon)
    }
}

#[cfg(test)]
mod tests {
    use accordant_laws::{gradient::check_gradient, models};

    use super::*;
    use crate::{
        Outcome,
        link::{Link, Probit},
        pairwise::testing::{close, tensor, values},
    };

    fn first(means: [f64; 2], variances: [f64; 2], epsilon: f64) -> [f64; 3] {
        let one = |x: f64| tensor(&[x], &Device::flex());
        let [first_variance, second_variance] = variances.map(one);
        let impressions = Impressions { first: one(means[0]), second: one(means[1]), first_variance, second_variance };
        let out = thurstone_outcomes(&impressions, epsilon).unwrap();
        [values(out.first)[0], f64::NEG_INFINITY, values(out.second)[0]]
    }

    #[test]
    fn chances_by_hand_and_case_v() {
        // 3-4-5: one standard deviation.
        close(&[first([7.0, 2.0], [9.0, 16.0], 0.0)[0].exp()], &[0.8413447460685429], 1e-14);
        close(&[first([7.0, 2.0], [8.0, 16.0], 1.0)[0].exp()], &[0.8413447460685429], 1e-14);
        for d in [-9.0, -1.2, 0.0, 3.0] {
            // Case V: all variances ½; with 1, scores are √2 times as large.
            close(&first([d, 0.0], [0.5, 0.5], 0.0)[..1], &[Probit.first(d, 0.0).value], 1e-12);
            close(&first([d * 2f64.sqrt(), 0.0], [1.0, 1.0], 0.0)[..1], &[Probit.first(d, 0.0).value], 1e-12);
        }
        models::outcomes(|a, b| first([a, b], [0.4, 0.4], 1e-5)).unwrap();
    }

    #[test]
    fn an_item_judged_less_consistently_moves_all_its_chances_towards_one_half() {
        for d in [-2.0, -0.1, 0.5] {
            let chance = |variance: f64| (first([d, 0.0], [variance, 0.3], 1e-5)[0].exp() - 0.5).abs();
            assert!(chance(2.0) < chance(1.0) && chance(1.0) < chance(0.1), "{d}");
        }
    }

    #[test]
    fn standardized_means_have_mean_0_and_deviation_1() {
        // Mean 2, deviation 2 (unbiased).
        let device = Device::flex();
        let (means, variances) =
            standardize(tensor(&[0.0, 2.0, 4.0], &device), tensor(&[4.0, 1.0, 0.0], &device)).unwrap();
        let unit = 2.0 / (2.0 + STD_EPSILON);
        close(&values(means), &[-unit, 0.0, unit], 1e-15);
        close(&values(variances), &[unit * unit, unit * unit / 4.0, 0.0], 1e-15);
        let error = standardize(tensor(&[0.0, 1.0], &device), tensor(&[1.0], &device)).unwrap_err().to_string();
        assert_eq!(error, "`variances`: expected shape [2], got [1]");
    }

    #[test]
    fn equal_means_have_no_deviation_and_a_gradient_that_is_a_number() {
        let device = Device::flex().autodiff();
        for means in [vec![2.0; 3], vec![0.0; 3]] {
            let means = tensor(&means, &device).require_grad();
            let (standard, variances) = standardize(means.clone(), tensor(&[1.0; 3], &device)).unwrap();
            close(&values(standard.clone()), &[0.0; 3], 0.0);
            close(&values(variances), &[STD_EPSILON.powi(-2); 3], 1.0);
            let first = standard.narrow(0, 0, 1).sum();
            let gradient = values(means.grad(&first.backward()).unwrap());
            // (1 − 1/3, −1/3, −1/3) / 1e-5
            close(&gradient, &[2e5 / 3.0, -1e5 / 3.0, -1e5 / 3.0], 1e-6);
        }
    }

    fn judged() -> Comparisons {
        let mut judged = Comparisons::new(3);
        judged.push(0, 1, Outcome::First).unwrap();
        judged.push(2, 1, Outcome::Second).unwrap();
        judged
    }

    fn table(means: &[f64], log_variances: &[f64], device: &Device) -> Thurstonian {
        let param = |x: &[f64]| Param::from_tensor(tensor(x, device));
        Thurstonian { means: param(means), log_variances: param(log_variances), epsilon: 1e-5 }
    }

    #[test]
    fn scale_and_level_of_the_means_are_free() {
        let (means, logs) = ([0.3, -1.0, 0.9], [0.2, -0.5, 0.1]);
        let at = |scale: f64, level: f64| {
            let table = table(&means.map(|x| scale * x + level), &logs.map(|x| x + 2.0 * scale.ln()), &Device::flex());
            values(table.outcomes(&judged()).unwrap().first)
        };
        close(&at(1.0, 0.0), &at(1.0, 7.0), 1e-12);
        close(&at(1.0, 0.0), &at(30.0, 0.0), 1e-3); // the added constants are relative to the scale
    }

    #[test]
    fn gradients_flow_through_the_standardization() {
        let device = Device::flex().autodiff();
        let run = |x: &[f64]| {
            let table = table(&x[..3], &x[3..], &device);
            let out = table.outcomes(&judged()).unwrap();
            ((out.first.clone() + out.second * 0.5).sum(), table)
        };
        let at = [0.3, -1.0, 0.9, 0.2, -0.5, 0.1];
        let (sum, table) = run(&at);
        let grads = sum.backward();
        let gradient = [&table.means, &table.log_variances].map(|x| values(x.val().grad(&grads).unwrap())).concat();
        check_gradient(|x| values(run(x).0)[0], &at, &gradient).unwrap();
        let by_means: f64 = gradient[..3].iter().sum();
        assert!(by_means.abs() < 1e-12, "a shift changes nothing: {by_means}");
    }

    #[test]
    fn the_seed_decides_the_start_and_settings_are_checked() {
        let device = Device::flex();
        let start = |seed| values(ThurstonianConfig::new(4).init(seed, &device).unwrap().means.val());
        assert_eq!(start(3), start(3));
        assert_ne!(start(3), start(4));
        assert!(start(3).iter().all(|x| x.abs() < 0.06));
        let table = ThurstonianConfig::new(4).init(3, &device).unwrap();
        assert_ne!(values(table.means.val()), values(table.log_variances.val()));
        let config = ThurstonianConfig::new(2);
        assert_eq!((config.init_std, config.epsilon), (0.01, 1e-5));
        let text = |config: ThurstonianConfig| config.init(0, &device).unwrap_err().to_string();
        assert!(text(ThurstonianConfig::new(1)).starts_with("`num_items`: expected at least 2"));
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(text(config.clone().with_init_std(bad)).starts_with("`init_std`"));
            assert!(text(config.clone().with_epsilon(bad)).starts_with("`epsilon`"));
        }
        let error = config.init(0, &device).unwrap().outcomes(&judged()).unwrap_err().to_string();
        assert_eq!(error, "`comparisons`: expected 2 entries, got 3");
        let one = |n: usize| tensor(&vec![1.0; n], &device);
        let odd = Impressions { first: one(1), second: one(1), first_variance: one(2), second_variance: one(1) };
        assert!(thurstone_outcomes(&odd, 0.0).unwrap_err().to_string().starts_with("`first_variance`"));
    }
}
