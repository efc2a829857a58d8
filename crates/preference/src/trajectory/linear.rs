//! Linear rewards of trajectories with confidence sets, and which pair to ask about next.
//!
//! **Paper:** Dueling RL: Reinforcement Learning with Trajectory Preferences (2021), 2111.04850; Provable Reward-Agnostic
//! Preference-Based Reinforcement Learning (2023), 2305.18505; Provable Offline Preference-Based Reinforcement Learning
//! (2023), 2305.14816.
//! **Use when:** rewards are linear in known features and it matters how sure one is: pessimism on logged data, optimism
//! and choice of pairs while asking.
//! **Checked by:** closed forms, derivatives, Sherman-Morrison against a Cholesky factorization, brute force of the choice.
//! **Deviations:** the radius of the confidence set is the caller's: theory's constants are far too wide to be of use.

use accordant_ops::check_domain;
use burn::config::Config;
use nalgebra::{DMatrix, DVector};
use serde::{Deserialize, Serialize};

use crate::{
    Error, Outcome, Report, Result,
    error::{check_length, check_record},
    plural::{
        Items,
        logistic::{Linear, Logistic, LogisticConfig},
        pairs::Term,
    },
};

/// Judged differences of features, `x = φ(σ¹) − φ(σ²)`.
#[derive(Debug, Clone, PartialEq)]
pub struct FeaturePairs {
    dim: usize,
    /// An item without anything, and one for each difference, which leads it by its score.
    items: Items,
    terms: Vec<Term>,
}

impl FeaturePairs {
    /// No pair yet; features have `dim` numbers.
    pub fn new(dim: usize) -> Self {
        let mut items = Items::no_features(dim);
        items.push(vec![0.0; dim]);
        Self { dim, items, terms: Vec::new() }
    }

    /// Adds a pair by the features of its sides. A tie is half a win each way.
    ///
    /// # Errors
    /// [`Error::Length`] naming `first` or `second`, [`Error::Record`] for a feature that is not finite, a share outside of
    /// [0, 1] or a weight that is not finite and ≥ 0.
    pub fn push(&mut self, first: &[f64], second: &[f64], outcome: Outcome, weight: f64) -> Result<()> {
        let row = self.terms.len();
        for (name, side) in [("first", first), ("second", second)] {
            check_length(name, self.dim, side.len())?;
            for &x in side {
                check_record(x.is_finite(), row, name, "finite features", x)?;
            }
        }
        let share = outcome.share();
        check_record((0.0..=1.0).contains(&share), row, "share", "a share in [0, 1]", share)?;
        check_record(weight.is_finite() && weight >= 0.0, row, "weight", "finite and >= 0", weight)?;
        self.items.push(first.iter().zip(second).map(|(a, b)| a - b));
        self.terms.push(Term { user: 0, first: row + 1, second: 0, share, weight });
        Ok(())
    }

    /// How many pairs there are.
    pub fn len(&self) -> usize {
        self.terms.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// `½ prior ‖θ‖² − Σ w log σ(±⟨θ, x⟩)`; `zeros` has `dim` of them.
    fn problem<'a>(&'a self, prior: f64, zeros: &'a [f64]) -> Logistic<'a> {
        Logistic { items: &self.items, terms: &self.terms, mean: zeros, base: &[], prior }
    }
}

/// Pairs have no users here.
fn alike(_user: usize) -> f64 {
    1.0
}

/// Which matrix tells how sure a direction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Design {
    /// `prior I + Σ w x xᵀ`: the theory's.
    Gram,
    /// `prior I + Σ w p (1 − p) x xᵀ`: the information at the estimate, so that widths are in standard errors.
    #[default]
    Fisher,
}

/// Configuration of a fit.
#[derive(Config, Debug, PartialEq)]
pub struct LinearPreferencesConfig {
    /// The precision of a normal prior on each coefficient, finite and > 0, which also keeps separable data finite. 1: the
    /// theory's usual regularization.
    #[config(default = 1.0)]
    pub prior: f64,
    /// Which matrix widths are measured in.
    #[config(default = "Design::Fisher")]
    pub design: Design,
    /// Converged when no derivative of the objective exceeds this much for each pair (of weight 1), finite and > 0. 1e-10:
    /// ours, close to rounding.
    #[config(default = 1e-10)]
    pub tolerance: f64,
    /// Steps at most. 100: ours; fewer than 15 are usual.
    #[config(default = 100)]
    pub max_iterations: usize,
}

impl LinearPreferencesConfig {
    /// The estimate θ̂ and its design matrix.
    ///
    /// # Errors
    /// A domain error naming a field; [`Error::Empty`] for features without a number.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::{Outcome, trajectory::linear::{FeaturePairs, LinearPreferencesConfig}};
    /// let mut pairs = FeaturePairs::new(1);
    /// pairs.push(&[2.0], &[1.0], Outcome::First, 3.0)?;
    /// pairs.push(&[2.0], &[1.0], Outcome::Second, 1.0)?;
    /// let fitted = LinearPreferencesConfig::new().with_prior(1e-12).fit(&pairs)?;
    /// assert!((fitted.coefficients()[0] - 3f64.ln()).abs() < 1e-9); // odds of 3 : 1
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    #[doc(alias = "2111.04850")]
    #[doc(alias = "2305.18505")]
    #[doc(alias = "2305.14816")]
    pub fn fit(&self, pairs: &FeaturePairs) -> Result<LinearPreferences> {
        let Self { prior, tolerance, max_iterations, .. } = *self;
        check_domain(prior.is_finite() && prior > 0.0, "prior", "finite and > 0", prior)?;
        check_domain(tolerance.is_finite() && tolerance > 0.0, "tolerance", "finite and > 0", tolerance)?;
        if pairs.dim == 0 {
            return Err(Error::Empty { name: "features", reason: "there is none" });
        }
        let zeros = vec![0.0; pairs.dim];
        let problem = pairs.problem(prior, &zeros);
        let config = LogisticConfig { prior, tolerance, max_iterations };
        let Linear { coefficients, report } = config.fit_problem(&problem, alike, zeros.clone())?;
        let matrix = match self.design {
            Design::Fisher => problem.evaluate(&coefficients, &alike).hessian,
            // The information of even chances is a quarter of it.
            Design::Gram => problem.spread(&alike) * 4.0 + DMatrix::from_diagonal_element(pairs.dim, pairs.dim, prior),
        };
        let design = DesignMatrix::new(matrix)?;
        Ok(LinearPreferences { theta: DVector::from_vec(coefficients), design, report, prior })
    }
}

/// A fitted linear reward and how sure each direction of it is.
#[derive(Debug, Clone)]
pub struct LinearPreferences {
    theta: DVector<f64>,
    design: DesignMatrix,
    /// How the fit ended.
    pub report: Report,
    prior: f64,
}

impl LinearPreferences {
    /// θ̂.
    pub fn coefficients(&self) -> &[f64] {
        self.theta.as_slice()
    }

    /// The design matrix, for updates while asking.
    pub fn design(&self) -> &DesignMatrix {
        &self.design
    }

    /// `⟨θ̂, φ⟩`.
    ///
    /// # Errors
    /// [`Error::Length`] naming `features`.
    pub fn score(&self, features: &[f64]) -> Result<f64> {
        check_length("features", self.theta.len(), features.len())?;
        Ok(self.theta.iter().zip(features).map(|(t, x)| t * x).sum())
    }

    /// `⟨θ̂, φ − φ_ref⟩ − radius ‖φ − φ_ref‖_{V⁻¹}`: the least lead over the reference in the confidence set; optimism with
    /// a negative radius. Only differences are known, so that a reference is needed.
    ///
    /// # Errors
    /// [`Error::Length`] naming `features` or `reference`.
    pub fn pessimistic_lead(&self, features: &[f64], reference: &[f64], radius: f64) -> Result<f64> {
        check_length("features", self.theta.len(), features.len())?;
        check_length("reference", self.theta.len(), reference.len())?;
        let lead: Vec<f64> = features.iter().zip(reference).map(|(a, b)| a - b).collect();
        Ok(self.score(&lead)? - radius * self.design.width(&lead)?)
    }

    /// Whether θ lies in the likelihood's confidence set, `{θ : L(θ) ≤ L(θ̂) + slack}`, L the penalized negative
    /// log-likelihood of the pairs that were fitted.
    ///
    /// # Errors
    /// [`Error::Length`] naming `theta` or `pairs` (features of another length).
    pub fn contains(&self, theta: &[f64], pairs: &FeaturePairs, slack: f64) -> Result<bool> {
        check_length("theta", self.theta.len(), theta.len())?;
        check_length("pairs", self.theta.len(), pairs.dim)?;
        let zeros = vec![0.0; pairs.dim];
        let problem = pairs.problem(self.prior, &zeros);
        let loss = |theta: &[f64]| problem.evaluate(theta, &alike).value;
        Ok(loss(theta) <= loss(self.theta.as_slice()) + slack)
    }
}

/// A positive definite matrix V of what was asked, with its inverse kept up to date.
///
/// Its inverse is updated by Sherman and Morrison's formula and computed anew every 100 updates.
///
/// # Example
/// ```
/// use accordant_preference::trajectory::linear::DesignMatrix;
/// use nalgebra::DMatrix;
/// let mut design = DesignMatrix::new(DMatrix::identity(2, 2))?;
/// design.update(&[0.0, 2.0], 2.0)?; // 1 + 2·2² = 9 in the second direction
/// assert!((design.width(&[0.0, 1.0])? - 1.0 / 3.0).abs() < 1e-15);
/// assert_eq!(design.most_informative(&[vec![0.0, 2.0], vec![1.0, 0.0]])?, Some(1));
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct DesignMatrix {
    matrix: DMatrix<f64>,
    inverse: DMatrix<f64>,
    updates: usize,
}

/// How many updates of the inverse may pile up rounding errors.
const REFRESH: usize = 100;

impl DesignMatrix {
    /// From a symmetric, positive definite matrix.
    ///
    /// # Errors
    /// [`Error::Combination`] for a matrix that is not positive definite.
    pub fn new(matrix: DMatrix<f64>) -> Result<Self> {
        let inverse = invert(&matrix)?;
        Ok(Self { matrix, inverse, updates: 0 })
    }

    /// `‖x‖_{V⁻¹}`, how little is known about a direction.
    ///
    /// # Errors
    /// [`Error::Length`] naming `x`.
    pub fn width(&self, x: &[f64]) -> Result<f64> {
        check_length("x", self.matrix.nrows(), x.len())?;
        let x = DVector::from_column_slice(x);
        Ok((&self.inverse * &x).dot(&x).max(0.0).sqrt())
    }

    /// Adds `weight x xᵀ`: a pair was asked.
    ///
    /// # Errors
    /// [`Error::Length`] naming `x`, [`Error::Record`] for numbers that are not finite or a negative weight.
    pub fn update(&mut self, x: &[f64], weight: f64) -> Result<()> {
        check_length("x", self.matrix.nrows(), x.len())?;
        check_record(weight.is_finite() && weight >= 0.0, self.updates, "weight", "finite and >= 0", weight)?;
        if let Some(&bad) = x.iter().find(|x| !x.is_finite()) {
            return Err(Error::Record { row: self.updates, name: "x", expected: "finite numbers", got: bad });
        }
        let x = DVector::from_column_slice(x);
        self.matrix.ger(weight, &x, &x, 1.0);
        self.updates += 1;
        if self.updates.is_multiple_of(REFRESH) {
            self.inverse = invert(&self.matrix)?;
        } else {
            let direction = &self.inverse * &x;
            let scale = -weight / (1.0 + weight * direction.dot(&x));
            self.inverse.ger(scale, &direction, &direction, 1.0);
        }
        Ok(())
    }

    /// The place of the widest of these differences, the pair to ask about; the first of equals, none of none.
    ///
    /// # Errors
    /// As [`DesignMatrix::width`].
    pub fn most_informative(&self, differences: &[Vec<f64>]) -> Result<Option<usize>> {
        let mut most = None;
        for (at, x) in differences.iter().enumerate() {
            let width = self.width(x)?;
            if most.is_none_or(|(_, known)| width > known) {
                most = Some((at, width));
            }
        }
        Ok(most.map(|(at, _)| at))
    }
}

fn invert(matrix: &DMatrix<f64>) -> Result<DMatrix<f64>> {
    let bad = Error::Combination { what: "the design matrix", reason: "it is not positive definite" };
    // nalgebra's factorization only looks at the lower triangle, and panics unless it is square.
    let factor = if matrix.is_square() { matrix.clone().cholesky() } else { None };
    factor.map(|factor| factor.inverse()).ok_or(bad)
}

#[cfg(test)]
mod tests {
    use accordant_laws::gradient::check_gradient;
    use accordant_ops::host::log_sigmoid;
    use rand_distr::{Distribution, StandardNormal};

    use super::*;
    use crate::{
        random::{Purpose, stream},
        trajectory::testing::close,
    };

    fn random(n: usize, dim: usize, seed: u64) -> FeaturePairs {
        let mut rng = stream(seed, Purpose::World, 0);
        let mut pairs = FeaturePairs::new(dim);
        for i in 0..n {
            let mut draw = || StandardNormal.sample_iter(&mut rng).take(dim).collect::<Vec<f64>>();
            let (first, second) = (draw(), draw());
            let outcome = [Outcome::First, Outcome::Second, Outcome::Tie, Outcome::Share(0.3)][i % 4];
            pairs.push(&first, &second, outcome, 1.0 + (i % 3) as f64).unwrap();
        }
        pairs
    }

    #[test]
    fn the_objective_is_the_loss_of_differences_and_the_prior() {
        let mut pairs = FeaturePairs::new(2);
        pairs.push(&[1.0, 0.5], &[0.0, 1.5], Outcome::First, 2.0).unwrap(); // x = (1, −1), z = 3
        pairs.push(&[0.0, 0.0], &[2.0, 0.0], Outcome::Share(0.3), 1.0).unwrap(); // x = (−2, 0), z = −2
        let theta = [1.0, -2.0];
        let expected = 0.5 * 0.7 * 5.0 - 2.0 * log_sigmoid(3.0) - 0.3 * log_sigmoid(-2.0) - 0.7 * log_sigmoid(2.0);
        let here = pairs.problem(0.7, &[0.0; 2]).evaluate(&theta, &alike);
        close(&[here.value], &[expected], 1e-14);
        let pairs = random(12, 2, 1);
        let evaluate = |x: &[f64]| pairs.problem(0.7, &[0.0; 2]).evaluate(x, &alike);
        check_gradient(|x| evaluate(x).value, &theta, evaluate(&theta).gradient.as_slice()).unwrap();
        let known = |theta: &[f64]| -> f64 {
            let fitted = LinearPreferencesConfig::new().with_prior(0.7).fit(&pairs).unwrap();
            evaluate(theta).value - evaluate(fitted.coefficients()).value
        };
        assert!(known(&theta) > 0.0, "nothing is below the minimum");
    }

    #[test]
    fn separable_data_are_finite_with_the_prior() {
        let mut pairs = FeaturePairs::new(1);
        (0..100).for_each(|_| pairs.push(&[1.0], &[0.0], Outcome::First, 1.0).unwrap());
        let fitted = LinearPreferencesConfig::new().fit(&pairs).unwrap();
        let theta = fitted.coefficients()[0];
        // 100 σ(−θ) = θ
        assert!(fitted.report.converged && (100.0 / (1.0 + theta.exp()) - theta).abs() < 1e-6, "{theta}");
        assert_eq!((pairs.len(), pairs.is_empty(), FeaturePairs::new(1).is_empty()), (100, false, true));
    }

    #[test]
    fn widths_by_hand_for_both_designs() {
        let mut pairs = FeaturePairs::new(2);
        // Even chances in the first direction: information ¼ · 4 · 3² = 9; Gram 4 · 9 = 36.
        pairs.push(&[3.0, 0.0], &[0.0, 0.0], Outcome::Tie, 4.0).unwrap();
        let fit = |design| LinearPreferencesConfig::new().with_design(design).fit(&pairs).unwrap();
        let widths = |fitted: &LinearPreferences| [[1.0, 0.0], [0.0, 1.0]].map(|x| fitted.design().width(&x).unwrap());
        close(&widths(&fit(Design::Fisher)), &[(1f64 / 10.0).sqrt(), 1.0], 1e-12);
        close(&widths(&fit(Design::Gram)), &[(1f64 / 37.0).sqrt(), 1.0], 1e-12);
    }

    #[test]
    fn pessimism_takes_the_width_off_the_lead() {
        let mut pairs = FeaturePairs::new(2);
        pairs.push(&[1.0, 0.0], &[0.0, 0.0], Outcome::First, 1.0).unwrap();
        let fitted = LinearPreferencesConfig::new().fit(&pairs).unwrap();
        let theta = fitted.coefficients()[0];
        let lead = |radius| fitted.pessimistic_lead(&[2.0, 3.0], &[2.0, 1.0], radius).unwrap();
        close(&[lead(0.5), lead(-0.5), lead(0.0)], &[-1.0, 1.0, 0.0], 1e-12);
        close(&[fitted.score(&[2.0, 3.0]).unwrap()], &[2.0 * theta], 1e-12);
        assert!(fitted.contains(fitted.coefficients(), &pairs, 0.0).unwrap());
        // At (θ, 1) only the prior's ½ is more.
        assert!(fitted.contains(&[theta, 1.0], &pairs, 0.500001).unwrap());
        assert!(!fitted.contains(&[theta, 1.0], &pairs, 0.499999).unwrap());
    }

    #[test]
    fn updates_are_those_of_the_matrix_and_survive_the_refresh() {
        let mut design = DesignMatrix::new(DMatrix::from_diagonal_element(3, 3, 0.5)).unwrap();
        let mut rng = stream(5, Purpose::World, 0);
        let mut matrix = DMatrix::from_diagonal_element(3, 3, 0.5);
        for at in 1..=205 {
            let x: Vec<f64> = StandardNormal.sample_iter(&mut rng).take(3).collect();
            let v = DVector::from_column_slice(&x);
            matrix.ger(0.25, &v, &v, 1.0);
            design.update(&x, 0.25).unwrap();
            if [1, 2, 99, 100, 101, 205].contains(&at) {
                let expected = (matrix.clone().cholesky().unwrap().inverse() * &v).dot(&v).sqrt();
                close(&[design.width(&x).unwrap()], &[expected], 1e-12);
            }
        }
    }

    #[test]
    fn the_widest_pair_is_asked_and_the_first_of_equals() {
        let design = DesignMatrix::new(DMatrix::from_diagonal(&DVector::from_column_slice(&[1.0, 4.0]))).unwrap();
        // Widths 1, 1.5, 1.5, 1.
        let pairs = [vec![1.0, 0.0], vec![0.0, 3.0], vec![1.5, 0.0], vec![0.0, 2.0]];
        assert_eq!(design.most_informative(&pairs).unwrap(), Some(1));
        assert_eq!(design.most_informative(&[]).unwrap(), None);
    }

    #[test]
    fn fields_and_records_are_checked() {
        let mut pairs = FeaturePairs::new(1);
        let text = |result: Result<()>| result.unwrap_err().to_string();
        assert!(text(pairs.push(&[1.0, 2.0], &[1.0], Outcome::First, 1.0)).starts_with("`first`"));
        assert!(text(pairs.push(&[1.0], &[], Outcome::First, 1.0)).starts_with("`second`"));
        assert!(text(pairs.push(&[f64::NAN], &[1.0], Outcome::First, 1.0)).starts_with("record 0: `first`"));
        assert!(text(pairs.push(&[1.0], &[1.0], Outcome::Share(2.0), 1.0)).contains("`share`"));
        for weight in [-1.0, f64::NAN] {
            assert!(text(pairs.push(&[1.0], &[1.0], Outcome::First, weight)).contains("`weight`"));
        }
        let new = LinearPreferencesConfig::new;
        for bad in [0.0, f64::NAN, f64::INFINITY] {
            assert!(new().with_prior(bad).fit(&pairs).unwrap_err().to_string().starts_with("`prior`"));
            assert!(new().with_tolerance(bad).fit(&pairs).unwrap_err().to_string().starts_with("`tolerance`"));
        }
        assert!(matches!(new().fit(&FeaturePairs::new(0)), Err(Error::Empty { name: "features", .. })));
        let fitted = new().fit(&pairs).unwrap();
        assert_eq!(fitted.coefficients(), [0.0], "no pair: the prior's mean");
        assert!(fitted.score(&[]).is_err() && fitted.pessimistic_lead(&[1.0], &[], 1.0).is_err());
        assert!(fitted.contains(&[], &pairs, 0.0).is_err());
        assert!(fitted.contains(&[0.0], &FeaturePairs::new(2), 0.0).is_err());
        assert!(DesignMatrix::new(DMatrix::from_diagonal_element(2, 2, -1.0)).is_err());
        assert!(DesignMatrix::new(DMatrix::zeros(1, 2)).is_err());
        let mut design = fitted.design().clone();
        assert!(design.width(&[]).is_err() && design.update(&[], 1.0).is_err());
        assert!(design.update(&[f64::NAN], 1.0).is_err() && design.update(&[1.0], -1.0).is_err());
        close(&[design.width(&[1.0]).unwrap()], &[1.0], 0.0);
        let defaults = new();
        assert_eq!((defaults.prior, defaults.design), (1.0, Design::Fisher));
        assert_eq!((defaults.tolerance, defaults.max_iterations), (1e-10, 100));
    }
}
