//! Ordinal probabilistic reward model (OPRM) with region flooding.
//!
//! **Paper:** Learning Ordinal Probabilistic Reward from Preferences (2026), 2602.12660.
//! **Status:** which cells region flooding leaves open is this library's definition, [`Region`]; the rest is the paper's.
//! **Use when:** a language model says how good a response is in one digit, and pairs, some of them with the quality of either
//! side, are there to learn from.
//! **Checked by:** published figures, the derivative by each grade's probability, laws (antisymmetry, point masses,
//! stochastic dominance), the limit to Bradley-Terry, enumerated cells.
//! **Deviations:** in log space nothing is clamped: a badly ranked pair keeps its gradient where a clamp at 1e-12 takes it, and
//! is counted as `floored_fraction`.

use std::ops::Range;

use accordant_ops::{check_domain, distribution::categorical::log_probs, stable::log_add_exp};
use burn::{
    config::Config,
    tensor::{Bool, Tensor, TensorData},
};

use super::{CategoricalPairs, PairDistributionModel};
use crate::{Nll, Result, error::check_length, pairwise::Outcomes};

/// How good a response was said to be: a third of the grades.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum Region {
    /// The lowest third.
    Bad,
    /// The middle.
    Normal,
    /// The highest third.
    Good,
}

impl Region {
    /// Its grades, counted from 0, of `num_grades`, a multiple of 3.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::distributional::oprm::Region;
    /// assert_eq!(Region::Good.grades(9), 6..9);
    /// ```
    pub fn grades(self, num_grades: usize) -> Range<usize> {
        let third = num_grades / 3;
        let start = third * self as usize;
        start..start + third
    }

    /// Whether a preferred response of this region may have grade `i` while the other, of region `other`, has `j`.
    ///
    /// ```text
    /// i > j,   i ≥ min R,   j ≤ max R',   both from min(R ∪ R') to max(R ∪ R')
    /// ```
    ///
    /// Within one region, all cells in the right order; between regions in the right order, all cells; in the wrong order,
    /// which labels may have, whatever lies between and is in the right order.
    pub fn admits(self, i: usize, other: Self, j: usize, num_grades: usize) -> bool {
        let (own, others) = (self.grades(num_grades), other.grades(num_grades));
        let hull = own.start.min(others.start)..own.end.max(others.end);
        i > j && i >= own.start && j < others.end && hull.contains(&i) && hull.contains(&j)
    }
}

/// What two equal grades are.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum EqualGrades {
    /// A tie, which is no win: the chances of both wins and of a tie add up to 1.
    Tie,
    /// Half a win each way.
    Half,
}

/// Judged pairs of predicted grades, with the regions of both sides where those are known.
#[derive(Debug, Clone)]
pub struct GradedPairs {
    pairs: CategoricalPairs,
    regions: Option<Vec<Option<(Region, Region)>>>,
}

impl GradedPairs {
    /// Pairs without any region.
    pub fn new(pairs: CategoricalPairs) -> Self {
        Self { pairs, regions: None }
    }

    /// The regions of the first and of the second side of each pair, none where they are not known.
    ///
    /// # Errors
    /// [`crate::Error::Length`] naming `regions`; a domain error naming `num_grades` unless it is a multiple of 3.
    pub fn with_regions(mut self, regions: Vec<Option<(Region, Region)>>) -> Result<Self> {
        check_length("regions", self.pairs.len(), regions.len())?;
        let num_grades = self.pairs.num_grades();
        check_domain(num_grades.is_multiple_of(3), "num_grades", "a multiple of 3 for regions", num_grades as f64)?;
        self.regions = Some(regions);
        Ok(self)
    }

    /// Grades, targets, weights.
    pub fn pairs(&self) -> &CategoricalPairs {
        &self.pairs
    }

    /// The pairs with their sides exchanged.
    pub fn swapped(&self) -> Self {
        let regions = self.regions.as_ref();
        let swap = |pair: &Option<(Region, Region)>| pair.map(|(first, second)| (second, first));
        Self { pairs: self.pairs.swapped(), regions: regions.map(|regions| regions.iter().map(swap).collect()) }
    }

    /// A mask of cells, `[n, k, k]`: those of `ordinary` where no region is known.
    fn cells(
        &self,
        ordinary: fn(usize, usize) -> bool,
        flooded: impl Fn((Region, Region), usize, usize, usize) -> bool,
    ) -> Tensor<3, Bool> {
        let k = self.pairs.num_grades();
        let Some(regions) = self.regions.as_ref().filter(|regions| !regions.is_empty()) else {
            return self.pairs.cells(&ordinary);
        };
        let cells = regions.iter().flat_map(|pair| (0..k * k).map(move |cell| (pair, cell / k, cell % k)));
        let allowed: Vec<bool> = cells
            .map(|(pair, i, j)| match pair {
                Some(regions) => flooded(*regions, i, j, k),
                None => ordinary(i, j),
            })
            .collect();
        let data = TensorData::new(allowed, [regions.len(), k, k]);
        Tensor::from_bool(data, &self.pairs.first_log_probs().device())
    }
}

/// Log-probabilities, `[n]` each, that the first grade is above, equal to and below the second.
///
/// ```text
/// P(c ≻ r) = Σ_{i>j} p_c(i) p_r(j)
/// ```
///
/// Where regions are known, only the cells that these admit count, so that mass outside of them is lost and the three do
/// not add up to 1; equal grades count where both regions have them.
///
/// # Example
/// ```
/// use accordant_preference::distributional::{CategoricalPairs, oprm::{EqualGrades, GradedPairs, ordinal_outcomes}};
/// use burn::tensor::{Device, Tensor};
/// let logits = |p: [f32; 3]| Tensor::<2>::from_floats([p.map(f32::ln)], &Device::flex());
/// let pairs = CategoricalPairs::new(logits([0.1, 0.2, 0.7]), logits([0.5, 0.3, 0.2]))?;
/// let outcomes = ordinal_outcomes(&GradedPairs::new(pairs), EqualGrades::Tie)?;
/// assert!((outcomes.first.exp().into_scalar::<f32>() - 0.66).abs() < 1e-6);
/// assert!((outcomes.tie.unwrap().exp().into_scalar::<f32>() - 0.25).abs() < 1e-6);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "2602.12660")]
#[doc(alias = "Learning Ordinal Probabilistic Reward from Preferences")]
#[doc(alias = "Region Flooding Tuning")]
pub fn ordinal_outcomes(graded: &GradedPairs, equal: EqualGrades) -> Result<Outcomes> {
    let mass = |cells| graded.pairs.log_mass(cells);
    let first = mass(graded.cells(|i, j| i > j, |(a, b), i, j, k| a.admits(i, b, j, k)));
    let second = mass(graded.cells(|i, j| i < j, |(a, b), i, j, k| b.admits(j, a, i, k)));
    let tie = mass(
        graded.cells(|i, j| i == j, |(a, b), i, j, k| i == j && a.grades(k).contains(&i) && b.grades(k).contains(&i)),
    );
    Ok(match equal {
        EqualGrades::Tie => Outcomes { first, tie: Some(tie), second },
        EqualGrades::Half => {
            let half = tie - std::f64::consts::LN_2;
            Outcomes { first: log_add_exp(first, half.clone())?, tie: None, second: log_add_exp(second, half)? }
        }
    })
}

/// Expected grades less `aversion` standard deviations: scores for a best-of-N.
///
/// # Shapes
/// `logits`: `[n, k]`; the result: `[n]`, with a gradient. Grades are 1, 2, ..., `k`; `aversion` is finite.
///
/// # Errors
/// A domain error naming `aversion`, or `first` when there are fewer than two grades.
///
/// # Example
/// ```
/// use accordant_preference::distributional::oprm::risk_adjusted;
/// use burn::tensor::{Device, Tensor};
/// let scores = risk_adjusted(Tensor::from_floats([[0.0, f32::NEG_INFINITY, 0.0]], &Device::flex()), 0.5)?;
/// assert_eq!(scores.into_scalar::<f32>(), 1.5); // 2 − ½ · 1
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn risk_adjusted(logits: Tensor<2>, aversion: f64) -> Result<Tensor<1>> {
    check_domain(aversion.is_finite(), "aversion", "finite", aversion)?;
    let log_probs = log_probs(logits);
    let grades = CategoricalPairs::new(log_probs.clone(), log_probs)?;
    let (variances, _) = grades.variances();
    // The square root has no slope at 0.
    let none = variances.clone().lower_equal_scalar(0.0);
    let spreads = variances.mask_fill(none.clone(), 1.0).sqrt().mask_fill(none, 0.0);
    Ok(grades.scores().first() - spreads * aversion)
}

/// Configuration of [`Oprm`].
#[derive(Config, Debug, PartialEq)]
pub struct OprmConfig {
    /// What two equal grades are. A tie: the paper's.
    #[config(default = "EqualGrades::Tie")]
    pub equal_grades: EqualGrades,
}

impl OprmConfig {
    /// The model. There is nothing to check.
    ///
    /// # Errors
    /// None.
    pub fn init(&self) -> Result<Oprm> {
        Ok(Oprm { config: self.clone() })
    }
}

/// The ordinal probabilistic reward model; see [`ordinal_outcomes`].
#[derive(Debug, Clone, PartialEq)]
pub struct Oprm {
    config: OprmConfig,
}

impl PairDistributionModel for Oprm {
    type Pairs = GradedPairs;

    /// Logs `floored_fraction` and `mean_variance` (of grades, over both sides) beside what every loss of pairs does.
    fn forward(&self, graded: &GradedPairs) -> Result<Nll> {
        let nll = graded.pairs.nll(self.outcomes(graded)?)?;
        let (first, second) = graded.pairs.variances();
        nll.with_metric("mean_variance", (first + second).detach() * 0.5)
    }

    fn outcomes(&self, graded: &GradedPairs) -> Result<Outcomes> {
        ordinal_outcomes(graded, self.config.equal_grades)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distributional::testing::{check_gradients, gradient, host, like, matrix, near, starts, vector};

    const P: [f64; 3] = [0.1, 0.2, 0.7];
    const Q: [f64; 3] = [0.5, 0.3, 0.2];

    fn pairs(first: &[f64], second: &[f64], grades: usize) -> GradedPairs {
        let logs = |p: &[f64]| matrix(&p.iter().map(|p| p.ln()).collect::<Vec<_>>(), grades);
        GradedPairs::new(CategoricalPairs::new(logs(first), logs(second)).unwrap())
    }

    fn strict() -> Oprm {
        OprmConfig::new().init().unwrap()
    }

    #[test]
    fn the_reference_figures() {
        let graded = pairs(&P, &Q, 3);
        let outcomes = strict().outcomes(&graded).unwrap();
        near(&host(&outcomes.first.exp()), &[0.66], 1e-14);
        near(&host(&outcomes.tie.unwrap().exp()), &[0.25], 1e-14);
        near(&host(&outcomes.second.exp()), &[0.09], 1e-14);
        let half = OprmConfig::new().with_equal_grades(EqualGrades::Half).init().unwrap().outcomes(&graded).unwrap();
        near(&host(&half.first.exp()), &[0.785], 1e-14);
        near(&host(&half.second.exp()), &[0.215], 1e-14);
        assert!(half.tie.is_none());
        near(&host(&graded.pairs().scores().first()), &[2.6], 1e-14);
        near(&host(&graded.pairs().scores().second()), &[1.7], 1e-14);
        let nll = strict().forward(&graded).unwrap();
        near(&host(&nll.losses), &[-(0.66f64.ln())], 1e-14);
        assert!((nll.means().mean("mean_variance").unwrap() - 0.525).abs() < 1e-12);
        // Two grades: p(2) q(1).
        near(&host(&strict().outcomes(&pairs(&[0.4, 0.6], &[0.3, 0.7], 2)).unwrap().first.exp()), &[0.18], 1e-14);
    }

    #[test]
    fn the_derivative_by_a_grade_is_the_chance_that_the_other_is_below() {
        // By its logit: p_k (P(S_r < k) − P).
        let chance = |x: Tensor<1>| {
            let other = like(&x, &Q.map(f64::ln)).unsqueeze_dim::<2>(0);
            let pairs = CategoricalPairs::new(x.unsqueeze_dim::<2>(0), other).unwrap();
            ordinal_outcomes(&GradedPairs::new(pairs), EqualGrades::Tie).unwrap().first.exp()
        };
        let below = [0.0, 0.5, 0.8];
        let expected: Vec<f64> = (0..3).map(|k| P[k] * (below[k] - 0.66)).collect();
        near(&gradient(&P.map(f64::ln), chance), &expected, 1e-14);
    }

    #[test]
    fn like_shaped_noise_around_a_location_is_bradley_terry() {
        // Standard Gumbel noise on a fine grid of grades.
        let grid = 600;
        let density = |location: f64| -> Vec<f64> {
            (0..grid).map(|i| (i as f64 - 150.0) * 0.05 - location).map(|z| (-z - (-z).exp()).exp()).collect()
        };
        for d in [-1.0, 0.0, 0.5, 2.0] {
            let graded = pairs(&density(d), &density(0.0), grid);
            let got = host(&ordinal_outcomes(&graded, EqualGrades::Half).unwrap().first)[0];
            assert!((got - accordant_ops::host::log_sigmoid(d)).abs() < 1e-3, "{d}: {got}");
        }
    }

    #[test]
    fn flooded_cells_by_enumeration() {
        use Region::{Bad, Good, Normal};
        let count = |a: Region, b: Region| {
            let cells = (0..81).filter(|cell| a.admits(cell / 9, b, cell % 9, 9));
            cells.collect::<Vec<_>>()
        };
        // Within a region the three cells in order; between regions all nine.
        assert_eq!(count(Normal, Normal), [4 * 9 + 3, 5 * 9 + 3, 5 * 9 + 4]);
        assert_eq!(count(Good, Good), [7 * 9 + 6, 8 * 9 + 6, 8 * 9 + 7]);
        assert_eq!(count(Normal, Bad), [27, 28, 29, 36, 37, 38, 45, 46, 47]);
        assert_eq!(count(Good, Bad).len(), 9);
        assert_eq!(count(Good, Normal).len(), 9);
        // Labels against the preference leave what is between: all pairs in order of 6, 6 and 9 grades.
        assert_eq!(count(Bad, Normal).len(), 15);
        assert_eq!(count(Normal, Good).len(), 15);
        assert_eq!(count(Bad, Good).len(), 36);
        assert!(!Bad.admits(8, Normal, 0, 9), "outside of the hull");
        assert_eq!([Bad.grades(9), Normal.grades(9), Good.grades(9)], [0..3, 3..6, 6..9]);
    }

    #[test]
    fn regions_concentrate_mass_and_leave_other_pairs_alone() {
        use Region::{Bad, Good};
        let (p, q): (Vec<f64>, Vec<f64>) = ([0.1, 0.2, 0.7].repeat(2), [0.5, 0.3, 0.2].repeat(2));
        let graded = pairs(&p, &q, 3).with_regions(vec![Some((Good, Bad)), None]).unwrap();
        let outcomes = strict().outcomes(&graded).unwrap();
        near(&host(&outcomes.first.clone().exp()), &[0.35, 0.66], 1e-14); // 0.7 · 0.5
        near(&host(&outcomes.tie.clone().unwrap().exp()), &[0.0, 0.25], 1e-14);
        // The other way round, any order within the hull: 0.1 · 0.3 + 0.1 · 0.2 + 0.2 · 0.2.
        near(&host(&outcomes.second.clone().exp()), &[0.09, 0.09], 1e-14);
        let back = strict().outcomes(&graded.swapped()).unwrap();
        assert_eq!(host(&back.first), host(&outcomes.second));
        assert_eq!(host(&back.second), host(&outcomes.first));
        // Equal grades within a region are ties.
        let same = pairs(&P, &Q, 3).with_regions(vec![Some((Good, Good))]).unwrap();
        near(&host(&strict().outcomes(&same).unwrap().tie.unwrap().exp()), &[0.14], 1e-14);
        // The gradient pushes mass into the regions: good grades of the first rise, the rest falls.
        let push = gradient(&P.map(f64::ln), |x| {
            let other = like(&x, &Q.map(f64::ln)).unsqueeze_dim::<2>(0);
            let pairs = CategoricalPairs::new(x.unsqueeze_dim::<2>(0), other).unwrap();
            let graded = GradedPairs::new(pairs).with_regions(vec![Some((Good, Bad))]).unwrap();
            strict().forward(&graded).unwrap().losses
        });
        near(&push, &[0.1, 0.2, -0.3], 1e-14);
    }

    #[test]
    fn gradients_are_derivatives_with_votes_and_regions() {
        let at = [0.3, -1.0, 0.8, 0.1, 2.0, -0.4, 1.0, 0.0, 0.5, -0.2, 0.6, 0.9];
        for equal in [EqualGrades::Tie, EqualGrades::Half] {
            check_gradients(&at, |x| {
                let part = |i: usize| x.clone().narrow(0, 6 * i, 6).reshape([2, 3]);
                let pairs = CategoricalPairs::new(part(0), part(1)).unwrap();
                let pairs = pairs.with_targets(like(&x, &[0.9, 0.3])).unwrap();
                let graded = GradedPairs::new(pairs);
                let graded = graded.with_regions(vec![None, Some((Region::Bad, Region::Good))]).unwrap();
                OprmConfig::new().with_equal_grades(equal).init().unwrap().forward(&graded).unwrap().losses
            });
        }
        check_gradients(&at[..6], |x| risk_adjusted(x.reshape([2, 3]), 0.7).unwrap());
    }

    #[test]
    fn risk_adjusted_scores_by_hand_and_without_any_spread() {
        let logits = matrix(&[0.1, 0.2, 0.7].map(f64::ln), 3);
        near(&host(&risk_adjusted(logits, 2.0).unwrap()), &[2.6 - 2.0 * 0.44f64.sqrt()], 1e-13);
        let sure = gradient(&[900.0, 0.0], |x| risk_adjusted(x.unsqueeze_dim::<2>(0), 1.0).unwrap());
        assert!(sure.iter().all(|g| g.is_finite()), "{sure:?}");
        for aversion in [f64::NAN, f64::INFINITY] {
            starts(risk_adjusted(matrix(&[0.0; 3], 3), aversion), "`aversion`");
        }
        starts(risk_adjusted(matrix(&[0.0], 1), 1.0), "`first`");
    }

    #[test]
    fn regions_are_checked_and_nothing_gives_nothing() {
        assert_eq!(OprmConfig::new().equal_grades, EqualGrades::Tie);
        starts(pairs(&P, &Q, 3).with_regions(vec![]), "`regions`: expected 1 entries, got 0");
        starts(pairs(&[0.5, 0.5], &[0.5, 0.5], 2).with_regions(vec![None]), "`num_grades`");
        let none = Tensor::<2>::zeros([0, 3], (&burn::tensor::Device::flex(), burn::tensor::DType::F64));
        let empty = GradedPairs::new(CategoricalPairs::new(none.clone(), none).unwrap()).with_regions(vec![]).unwrap();
        assert_eq!(strict().forward(&empty).unwrap().losses.dims(), [0]);
        let weighed = pairs(&P, &Q, 3);
        let weighed = GradedPairs::new(weighed.pairs().clone().with_weights(vector(&[2.0])).unwrap());
        assert_eq!(host(&strict().forward(&weighed).unwrap().weights), [2.0]);
    }
}
