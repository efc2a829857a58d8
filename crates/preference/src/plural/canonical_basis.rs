//! A canonical basis of preferences: the few categories that explain most of how users differ.
//!
//! **Paper:** Learning a Canonical Basis of Human Preferences from Binary Ratings (2025), 2503.24150.
//! **Status:** library definition: the paper clusters reasons with a language model; ours selects columns of a table of
//! signed rates.
//! **Use when:** comparisons carry the categories that explain them, thousands of names for a few dozen ideas, and users are
//! to be described by a handful that a person can read.
//! **Checked by:** hand-worked tables, the bound by the singular values, exact recovery of a table of low rank.
//! **Deviations:** as the status says. Of categories that explain as much, the first is taken.

use accordant_ops::check_domain;
use burn::config::Config;
use nalgebra::{DMatrix, DVector};
use serde::{Deserialize, Serialize};

use crate::{
    Error, Result,
    error::{check_finite, check_index, check_length, check_record},
};

/// Counts of how often each user's choices agreed with each category.
///
/// # Example
/// ```
/// use accordant_preference::plural::canonical_basis::Agreements;
/// let mut agreements = Agreements::new(1, 2);
/// for agrees in [true, true, true, false] {
///     agreements.push(0, 1, agrees)?;
/// }
/// assert_eq!(agreements.rates(), [[0.0, 0.5]]); // 3 for and 1 against; nothing known of the first category
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Agreements {
    num_categories: usize,
    /// For and against, `[users][categories]`.
    counts: Vec<Vec<[f64; 2]>>,
}

impl Agreements {
    /// Nothing known yet.
    pub fn new(num_users: usize, num_categories: usize) -> Self {
        Self { num_categories, counts: vec![vec![[0.0; 2]; num_categories]; num_users] }
    }

    /// Counts one choice of a user that a category explains: whether they chose what it speaks for.
    ///
    /// # Errors
    /// [`Error::Index`] naming `user` or `category`.
    pub fn push(&mut self, user: usize, category: usize, agrees: bool) -> Result<()> {
        check_index(0, "user", user, self.counts.len())?;
        check_index(0, "category", category, self.num_categories)?;
        self.counts[user][category][usize::from(!agrees)] += 1.0;
        Ok(())
    }

    /// `(for − against)/(for + against)` in [−1, 1], `[users, categories]`; 0 where nothing is known.
    pub fn rates(&self) -> Vec<Vec<f64>> {
        let rate = |[with, against]: &[f64; 2]| (with - against) / (with + against).max(1.0);
        self.counts.iter().map(|user| user.iter().map(rate).collect()).collect()
    }
}

/// Configuration of the selection.
///
/// ```text
/// X = rates − column means;   add the category that maximizes ‖proj_S X‖²/‖X‖² until that reaches the target
/// ```
#[derive(Config, Debug, PartialEq)]
pub struct CanonicalBasisConfig {
    /// The share of the variation that is to be explained, in (0, 1]. 0.89: the paper's.
    #[config(default = 0.89)]
    pub target: f64,
    /// Categories at most, ≥ 1. Any number by default; the paper ends with 21.
    #[config(default = "None")]
    pub max_categories: Option<usize>,
}

/// Selected categories.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CanonicalBasis {
    /// The categories in the order in which they were selected.
    pub categories: Vec<usize>,
    /// The share of the variation that the first 1, 2, ... of them explain.
    pub explained: Vec<f64>,
    /// The share that the best 1, 2, ... directions of any kind explain: an upper bound of `explained`, as long as the table
    /// has directions.
    pub bound: Vec<f64>,
    /// The mean rate of each category.
    pub means: Vec<f64>,
    /// Least-squares coefficients, `[selected, categories]`: a user's centered rates of all categories from theirs of the
    /// selected ones.
    pub coefficients: Vec<Vec<f64>>,
    /// Whether the target was reached.
    pub reached: bool,
}

impl CanonicalBasisConfig {
    /// Selects categories from rates `[users, categories]` ([`Agreements::rates`], or ratings of one's own).
    ///
    /// # Errors
    /// A domain error naming a field; [`Error::Empty`] without a user or a category, or when all users are alike;
    /// [`Error::Length`] for a row of another length, [`Error::Record`] for a rate that is not finite;
    /// [`Error::NotFinite`] when differences of rates overflow, or the selected columns are one another's up to rounding.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::plural::canonical_basis::CanonicalBasisConfig;
    /// // The second category says the same as the first does, twice as loud, and the third hardly anything.
    /// let rates = [vec![0.2, 0.4, 0.0], vec![-0.2, -0.4, 0.0], vec![0.1, 0.2, 0.1], vec![-0.1, -0.2, -0.1]];
    /// let basis = CanonicalBasisConfig::new().fit(&rates)?;
    /// assert_eq!((basis.categories, basis.reached), (vec![0], true));
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    #[doc(alias = "2503.24150")]
    #[doc(alias = "column subset selection")]
    pub fn fit(&self, rates: &[Vec<f64>]) -> Result<CanonicalBasis> {
        let Self { target, max_categories } = *self;
        check_domain(target > 0.0 && target <= 1.0, "target", "in (0, 1]", target)?;
        let most = max_categories.unwrap_or(usize::MAX);
        check_domain(most >= 1, "max_categories", ">= 1", most as f64)?;
        let count = rates.first().map_or(0, Vec::len);
        if count == 0 {
            return Err(Error::Empty { name: "rates", reason: "no user, or no category" });
        }
        for (row, user) in rates.iter().enumerate() {
            check_length("rates", count, user.len())?;
            user.iter().try_for_each(|&rate| check_record(rate.is_finite(), row, "rates", "a finite number", rate))?;
        }
        let mut table = DMatrix::from_fn(rates.len(), count, |user, category| rates[user][category]);
        let means: Vec<f64> = table.column_iter().map(|column| column.mean()).collect();
        for (mut column, mean) in table.column_iter_mut().zip(&means) {
            column.add_scalar_mut(-mean);
        }
        let (largest, size) = (table.amax(), rates.iter().flatten().fold(0.0, |size: f64, rate| size.max(rate.abs())));
        check_finite("rates", &[largest])?;
        if largest <= 1e-12 * size {
            return Err(Error::Empty { name: "rates", reason: "all users are alike" });
        }
        // In units in which squares neither vanish nor overflow; coefficients have none.
        table.apply(|rate| *rate /= largest);
        let total = table.norm_squared();
        let mut values: Vec<f64> = table.clone().singular_values().iter().map(|value| value * value).collect();
        values.sort_by(|a, b| b.total_cmp(a));
        let bound = shares(values.iter().copied(), total);
        let (categories, gains) = select(&table, target * total, most);
        let explained = shares(gains.into_iter(), total);
        let reached = explained.last().is_some_and(|&share| share >= target - 1e-12);
        let selected = DMatrix::from_columns(&categories.iter().map(|&at| table.column(at)).collect::<Vec<_>>());
        // Columns that add nothing are never selected, so that the product has an inverse, up to rounding.
        let normal = (selected.transpose() * &selected).cholesky().ok_or(Error::NotFinite { name: "coefficients" })?;
        let coefficients = normal.solve(&(selected.transpose() * &table));
        let coefficients = coefficients.row_iter().map(|row| row.iter().copied().collect()).collect();
        Ok(CanonicalBasis { categories, explained, bound, means, coefficients, reached })
    }
}

/// Running sums over a total, 1 at most.
fn shares(parts: impl Iterator<Item = f64>, total: f64) -> Vec<f64> {
    let sums = parts.scan(0.0, |sum, part| {
        *sum += part;
        Some(*sum)
    });
    sums.map(|sum| (sum / total).min(1.0)).collect()
}

/// Columns that explain most of the table one after the other, until they explain `target`, and how much each adds.
fn select(table: &DMatrix<f64>, target: f64, most: usize) -> (Vec<usize>, Vec<f64>) {
    let mut left = table.clone();
    let (mut categories, mut gains) = (Vec::new(), Vec::<f64>::new());
    let floor = 1e-12 * table.norm_squared();
    while categories.len() < most && gains.iter().sum::<f64>() < target * (1.0 - 1e-12) {
        // What is explained by the part of a column that the selected ones leave.
        let gain = |column: usize| {
            let squares = left.column(column).norm_squared();
            if squares <= floor { 0.0 } else { left.tr_mul(&left.column(column)).norm_squared() / squares }
        };
        let (mut best, mut most_gained) = (0, 0.0);
        for column in 0..left.ncols() {
            let gained = gain(column);
            if gained > most_gained * (1.0 + 1e-12) {
                (best, most_gained) = (column, gained);
            }
        }
        if most_gained == 0.0 {
            break;
        }
        let direction: DVector<f64> = left.column(best).normalize();
        let along = left.tr_mul(&direction);
        left -= direction * along.transpose();
        categories.push(best);
        gains.push(most_gained);
    }
    (categories, gains)
}

impl CanonicalBasis {
    /// All rates of a user from those of the selected categories, `[selected]` in their order.
    ///
    /// # Errors
    /// [`Error::Length`] naming `rates`.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::plural::canonical_basis::CanonicalBasisConfig;
    /// let rates = [vec![0.2, 0.4], vec![-0.2, -0.4]];
    /// let basis = CanonicalBasisConfig::new().fit(&rates)?;
    /// let all = basis.rates(&[0.3])?; // of the first; the second is twice as much
    /// assert!((all[0] - 0.3).abs() < 1e-12 && (all[1] - 0.6).abs() < 1e-12);
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn rates(&self, rates: &[f64]) -> Result<Vec<f64>> {
        check_length("rates", self.categories.len(), rates.len())?;
        let mut all = self.means.clone();
        for ((&category, rate), row) in self.categories.iter().zip(rates).zip(&self.coefficients) {
            let centered = rate - self.means[category];
            all.iter_mut().zip(row).for_each(|(all, coefficient)| *all += centered * coefficient);
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use rand::Rng;
    use rand_distr::{Distribution, StandardNormal};

    use super::*;
    use crate::{
        distributional::testing::{near, starts},
        random::{Purpose, stream},
    };

    fn random(users: usize, categories: usize, rank: usize, noise: f64, seed: u64) -> Vec<Vec<f64>> {
        let mut rng = stream(seed, Purpose::World, 0);
        let mut normal = |rows: usize, columns: usize| {
            DMatrix::<f64>::from_fn(rows, columns, |_, _| StandardNormal.sample(&mut rng))
        };
        let table = normal(users, rank) * normal(rank, categories) + normal(users, categories) * noise;
        table.row_iter().map(|row| row.iter().copied().collect()).collect()
    }

    #[test]
    fn three_columns_by_hand() {
        // Centered columns of squares 2, 2 and 8; the first is half the third, and the second across both.
        let rates = [vec![2.0, 1.0, 2.0], vec![0.0, 1.0, -2.0], vec![1.0, 2.0, 0.0], vec![1.0, 0.0, 0.0]];
        let basis = CanonicalBasisConfig::new().with_target(1.0).fit(&rates).unwrap();
        assert_eq!((&basis.categories[..], basis.reached), (&[0, 1][..], true));
        near(&basis.explained, &[10.0 / 12.0, 1.0], 1e-12);
        near(&basis.bound, &[10.0 / 12.0, 1.0, 1.0], 1e-12);
        near(&basis.means, &[1.0, 1.0, 0.0], 1e-15);
        near(&basis.coefficients.concat(), &[1.0, 0.0, 2.0, 0.0, 1.0, 0.0], 1e-12);
        for user in &rates {
            near(&basis.rates(&[user[0], user[1]]).unwrap(), user, 1e-12);
        }
        let first = CanonicalBasisConfig::new().with_target(1.0).with_max_categories(Some(1)).fit(&rates).unwrap();
        assert_eq!((first.categories, first.reached), (vec![0], false));
        let enough = CanonicalBasisConfig::new().with_target(10.0 / 12.0).fit(&rates).unwrap();
        assert_eq!((enough.categories.len(), enough.reached), (1, true));
    }

    #[test]
    fn the_curve_ascends_below_that_of_the_singular_values() {
        for seed in 0..4 {
            let rates = random(30, 12, 12, 0.0, seed);
            let basis = CanonicalBasisConfig::new().with_target(1.0).fit(&rates).unwrap();
            assert_eq!((basis.categories.len(), basis.reached), (12, true));
            assert!(basis.explained.windows(2).all(|pair| pair[0] < pair[1]));
            assert!(basis.explained.iter().zip(&basis.bound).all(|(got, bound)| *got <= bound + 1e-12));
            assert!((basis.explained[11] - 1.0).abs() < 1e-9 && basis.explained[0] < basis.bound[0] - 1e-3);
            // What is explained is what least squares leave nothing of.
            for count in [1, 5] {
                let config = CanonicalBasisConfig::new().with_target(1.0).with_max_categories(Some(count));
                let part = config.fit(&rates).unwrap();
                let (mut left, mut all) = (0.0, 0.0);
                for user in &rates {
                    let selected: Vec<f64> = part.categories.iter().map(|&at| user[at]).collect();
                    for ((got, rate), mean) in part.rates(&selected).unwrap().iter().zip(user).zip(&part.means) {
                        left += (got - rate).powi(2);
                        all += (rate - mean).powi(2);
                    }
                }
                assert!((1.0 - left / all - basis.explained[count - 1]).abs() < 1e-9);
                assert_eq!(part.categories[..], basis.categories[..count]);
            }
        }
    }

    #[test]
    fn the_first_of_equal_columns_is_taken_and_one_that_is_enough_is_all() {
        // Two columns of the same size at right angles.
        let rates = [vec![1.0, 1.0], vec![-1.0, 1.0], vec![1.0, -1.0], vec![-1.0, -1.0]];
        let one = CanonicalBasisConfig::new().with_target(0.5).fit(&rates).unwrap();
        assert_eq!((&one.categories[..], &one.explained[..], one.reached), (&[0][..], &[0.5][..], true));
        let both = CanonicalBasisConfig::new().with_target(0.51).fit(&rates).unwrap();
        assert_eq!((&both.categories[..], &both.explained[..]), (&[0, 1][..], &[0.5, 1.0][..]));
        // A difference that is far from rounding, next to rates that are far from 0.
        let far = CanonicalBasisConfig::new().fit(&[vec![1000.0], vec![1000.001]]).unwrap();
        assert_eq!(far.categories, [0]);
        let rounding = CanonicalBasisConfig::new().fit(&[vec![1000.0], vec![1000.0 + 5e-13]]);
        starts(rounding, "`rates`: nothing");
    }

    #[test]
    fn a_table_of_three_ideas_needs_three_categories() {
        let basis = CanonicalBasisConfig::new().with_target(0.999).fit(&random(60, 40, 3, 0.0, 1)).unwrap();
        assert!(basis.categories.len() <= 3, "{:?}", basis.explained);
        assert_eq!(basis.bound.len(), 40);
        let noisy = CanonicalBasisConfig::new().fit(&random(200, 40, 3, 0.1, 1)).unwrap();
        assert!(noisy.categories.len() <= 4 && noisy.reached, "{:?}", noisy.explained);
        // Nothing is left to select once the rank is reached.
        let all = CanonicalBasisConfig::new().with_target(1.0).fit(&random(60, 40, 3, 0.0, 1)).unwrap();
        assert_eq!(all.categories.len(), 3, "{:?}", all.explained);
    }

    #[test]
    fn agreements_are_counted_with_their_sign() {
        let mut rng = stream(3, Purpose::World, 0);
        let mut agreements = Agreements::new(2, 3);
        let mut sums = [[0.0; 3]; 2];
        let mut counts = [[0.0; 3]; 2];
        for _ in 0..50 {
            let (user, category, agrees) = (rng.random_range(0..2), rng.random_range(0..2), rng.random::<bool>());
            agreements.push(user, category, agrees).unwrap();
            sums[user][category] += if agrees { 1.0 } else { -1.0 };
            counts[user][category] += 1.0;
        }
        assert_eq!(agreements.rates().len(), 2);
        for (user, rates) in agreements.rates().iter().enumerate() {
            near(rates, &[sums[user][0] / counts[user][0], sums[user][1] / counts[user][1], 0.0], 1e-15);
        }
        starts(agreements.push(2, 0, true), "record 0: `user`");
        starts(agreements.push(0, 3, true), "record 0: `category`");
    }

    #[test]
    fn settings_and_tables_are_checked() {
        let fit = |config: CanonicalBasisConfig, rates: &[Vec<f64>]| config.fit(rates);
        let rates = [vec![0.0, 1.0], vec![1.0, 0.5]];
        for bad in [0.0, 1.1, f64::NAN] {
            starts(fit(CanonicalBasisConfig::new().with_target(bad), &rates), "`target`: expected in (0, 1]");
        }
        starts(
            fit(CanonicalBasisConfig::new().with_max_categories(Some(0)), &rates),
            "`max_categories`: expected >= 1",
        );
        starts(fit(CanonicalBasisConfig::new(), &[]), "`rates`: nothing");
        starts(fit(CanonicalBasisConfig::new(), &[vec![]]), "`rates`: nothing");
        starts(fit(CanonicalBasisConfig::new(), &[vec![0.1, 0.7], vec![0.1, 0.7]]), "`rates`: nothing");
        starts(fit(CanonicalBasisConfig::new(), &[vec![0.0], vec![0.0]]), "`rates`: nothing");
        starts(fit(CanonicalBasisConfig::new(), &[vec![0.0], vec![0.0, 1.0]]), "`rates`: expected 1 entries");
        starts(fit(CanonicalBasisConfig::new(), &[vec![0.0], vec![f64::NAN]]), "record 1: `rates`");
        starts(fit(CanonicalBasisConfig::new(), &rates).unwrap().rates(&[]), "`rates`");
        let CanonicalBasisConfig { target, max_categories } = CanonicalBasisConfig::new();
        assert_eq!((target, max_categories), (0.89, None));
    }

    #[test]
    fn units_of_rates_change_nothing_but_the_means() {
        let rates = random(12, 4, 2, 0.1, 5);
        let fit = |unit: f64| {
            let rates: Vec<Vec<f64>> = rates.iter().map(|user| user.iter().map(|rate| rate * unit).collect()).collect();
            CanonicalBasisConfig::new().fit(&rates).unwrap()
        };
        let one = fit(1.0);
        for unit in [1e-200, 1e-82, 1e78, 1e200] {
            let other = fit(unit);
            assert_eq!(other.categories, one.categories, "{unit}");
            near(&other.explained, &one.explained, 1e-12);
            near(&other.coefficients.concat(), &one.coefficients.concat(), 1e-9);
        }
        starts(CanonicalBasisConfig::new().fit(&[vec![1.7e308], vec![1.7e308], vec![-1.7e308]]), "`rates`");
    }

    #[test]
    fn what_is_left_of_a_column_counts_beyond_rounding_of_the_table() {
        // The second column is the first and a little; squares of 200 in all, a floor of 2e-10.
        let selected = |little: f64| select(&DMatrix::from_row_slice(2, 2, &[10.0, 10.0, 0.0, little]), 1e3, 5).0;
        assert_eq!(selected(1e-5), [0], "1e-10 is rounding");
        assert_eq!(selected(1e-4).len(), 2, "and 1e-8 is not");
    }
}
