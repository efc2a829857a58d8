//! Categorical distributional preference learning (DPL): a distribution over ordered atoms per response.
//!
//! **Paper:** Distributional Preference Learning: Understanding and Accounting for Hidden Context in RLHF (2023), 2312.08358.
//! **Use when:** people who judge differ in what is not in the data, and no shape of their disagreement is known.
//! **Checked by:** hand-worked values and gradients, laws (antisymmetry, point masses, stochastic dominance), a
//! hidden-context world whose variance jumps.
//! **Deviations:** in log space nothing is clamped: a badly ranked pair keeps its gradient where the clamp of the released
//! code takes it, and is counted as `floored_fraction`.

use accordant_ops::{
    check_domain,
    stable::{log_add_exp, x_log_x},
};
use burn::{config::Config, tensor::Tensor};

use super::{CategoricalPairs, PairDistributionModel};
use crate::{Nll, Result, pairwise::Outcomes};

/// Log-probabilities that each side is preferred, `[n]`: a draw of its grade is above the other's, or equal and a coin falls.
///
/// ```text
/// P(a ≻ b) = Σ_{i>j} p_i q_j + ½ Σ_i p_i q_i
/// ```
///
/// Only the order of the atoms matters, not how far they are apart.
///
/// # Example
/// ```
/// use accordant_preference::distributional::{CategoricalPairs, categorical_dpl::categorical_outcomes};
/// use burn::tensor::{Device, Tensor};
/// let logits = |p: [f32; 3]| Tensor::<2>::from_floats([p.map(f32::ln)], &Device::flex());
/// let pairs = CategoricalPairs::new(logits([0.1, 0.2, 0.7]), logits([0.5, 0.3, 0.2]))?;
/// let first = categorical_outcomes(&pairs)?.first.exp().into_scalar::<f32>();
/// assert!((first - 0.785).abs() < 1e-6); // 0.66 + ½ · 0.25
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "2312.08358")]
pub fn categorical_outcomes(pairs: &CategoricalPairs) -> Result<Outcomes> {
    let Outcomes { first, tie, second } = pairs.orderings();
    let half = tie.expect("grades can be equal") - std::f64::consts::LN_2;
    Ok(Outcomes { first: log_add_exp(first, half.clone())?, tie: None, second: log_add_exp(second, half)? })
}

/// Configuration of [`CategoricalDpl`].
#[derive(Config, Debug, PartialEq)]
pub struct CategoricalDplConfig {
    /// Weight of `Σ p̄ log p̄`, finite and ≥ 0, where `p̄` is the weighted mean of all distributions in the batch: it keeps
    /// the atoms in use. In training only, and a statistic of the batch. 0: the class's default; the script has 0.1.
    #[config(default = 0.0)]
    pub entropy_coef: f64,
}

impl CategoricalDplConfig {
    /// Checks the field.
    ///
    /// # Errors
    /// A domain error naming it.
    pub fn init(&self) -> Result<CategoricalDpl> {
        let coef = self.entropy_coef;
        check_domain(coef.is_finite() && coef >= 0.0, "entropy_coef", "finite and >= 0", coef)?;
        Ok(CategoricalDpl { config: self.clone() })
    }
}

/// Categorical distributional preference learning; see [`categorical_outcomes`].
#[derive(Debug, Clone, PartialEq)]
pub struct CategoricalDpl {
    config: CategoricalDplConfig,
}

impl PairDistributionModel for CategoricalDpl {
    type Pairs = CategoricalPairs;

    /// Each pair's loss carries the batch's entropy term. Logs `floored_fraction` and `mean_variance` (of grades, over both
    /// sides) beside what every loss of pairs does.
    fn forward(&self, pairs: &CategoricalPairs) -> Result<Nll> {
        let mut nll = pairs.nll(categorical_outcomes(pairs)?)?;
        if self.config.entropy_coef > 0.0 && !pairs.is_empty() {
            nll.losses = nll.losses + marginal_negentropy(pairs) * self.config.entropy_coef;
        }
        let (first, second) = pairs.variances();
        nll.with_metric("mean_variance", (first + second).detach() * 0.5)
    }

    fn outcomes(&self, pairs: &CategoricalPairs) -> Result<Outcomes> {
        categorical_outcomes(pairs)
    }
}

/// `Σ p̄ log p̄` of the weighted mean of the distributions, `[1]`; 0 without any weight.
fn marginal_negentropy(pairs: &CategoricalPairs) -> Tensor<1> {
    let weights = pairs.scores().weights();
    let total = weights.clone().sum();
    let none = total.clone().equal_scalar(0.0);
    let shares = (weights / total.mask_fill(none, 1.0)).unsqueeze_dim::<2>(1) * 0.5;
    let probs = pairs.first_log_probs().exp() + pairs.second_log_probs().exp();
    let used = shares.clone().equal_scalar(0.0).expand(probs.dims());
    let marginal = (probs.mask_fill(used, 0.0) * shares).sum_dim(0);
    x_log_x(marginal).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        distributional::testing::{check_gradients, host, leaf, like, matrix, near, starts, vector},
        optimize::{Stop, lbfgs},
    };

    fn pairs(first: &[f64], second: &[f64], grades: usize) -> CategoricalPairs {
        let logs = |p: &[f64]| matrix(&p.iter().map(|p| p.ln()).collect::<Vec<_>>(), grades);
        CategoricalPairs::new(logs(first), logs(second)).unwrap()
    }

    #[test]
    fn chances_by_hand() {
        let pairs = pairs(&[0.1, 0.2, 0.7, 0.0, 1.0, 0.0], &[0.5, 0.3, 0.2, 0.0, 0.0, 1.0], 3);
        let outcomes = categorical_outcomes(&pairs).unwrap();
        near(&host(&outcomes.first.clone().exp()), &[0.785, 0.0], 1e-14);
        near(&host(&outcomes.second.clone().exp()), &[0.215, 1.0], 1e-14);
        assert!(outcomes.tie.is_none());
        let nll = CategoricalDplConfig::new().init().unwrap().forward(&pairs).unwrap();
        near(&host(&nll.losses), &[-(0.785f64.ln()), -(1e-12f64.ln())], 1e-9);
        assert_eq!(nll.means().mean("floored_fraction"), Some(0.5));
        // Variances 0.44 and 0.61, and none.
        assert!((nll.means().mean("mean_variance").unwrap() - (0.44 + 0.61) / 4.0).abs() < 1e-12);
    }

    #[test]
    fn atoms_are_interchangeable_with_their_order_alone() {
        // A common permutation that is not monotone changes the chance.
        let chance = |p: &[f64], q: &[f64]| host(&categorical_outcomes(&pairs(p, q, 3)).unwrap().first.exp())[0];
        let straight = chance(&[0.1, 0.2, 0.7], &[0.5, 0.3, 0.2]);
        assert!((straight - chance(&[0.2, 0.1, 0.7], &[0.3, 0.5, 0.2])).abs() > 1e-3);
        // An atom that nobody uses in between does not.
        let wide = pairs(&[0.1, 0.2, 0.0, 0.7], &[0.5, 0.3, 0.0, 0.2], 4);
        near(&host(&categorical_outcomes(&wide).unwrap().first.exp()), &[straight], 1e-14);
    }

    #[test]
    fn the_entropy_term_is_that_of_the_weighted_mean_distribution() {
        let pairs = pairs(&[0.5, 0.5, 0.9, 0.1], &[0.1, 0.9, 0.3, 0.7], 2).with_weights(vector(&[3.0, 1.0])).unwrap();
        let plain = CategoricalDplConfig::new().init().unwrap().forward(&pairs).unwrap();
        let model = CategoricalDplConfig::new().with_entropy_coef(0.1).init().unwrap();
        let with = model.forward(&pairs).unwrap();
        // ¾ of (0.5 + 0.1)/2 and ¼ of (0.9 + 0.3)/2.
        let p: f64 = 0.75 * 0.3 + 0.25 * 0.6;
        let term = 0.1 * (p * p.ln() + (1.0 - p) * (1.0 - p).ln());
        let expected: Vec<f64> = host(&plain.losses).iter().map(|loss| loss + term).collect();
        near(&host(&with.losses), &expected, 1e-14);
        let none = pairs.with_weights(vector(&[0.0, 0.0])).unwrap();
        assert!(host(&model.forward(&none).unwrap().losses).iter().all(|loss| loss.is_finite()));
    }

    #[test]
    fn gradients_are_derivatives() {
        let model = CategoricalDplConfig::new().with_entropy_coef(0.2).init().unwrap();
        let at = [0.3, -1.0, 0.8, 0.1, 2.0, -0.4, 1.0, 0.0, 0.5, -0.2, 0.6, 0.9];
        check_gradients(&at, |x| {
            let part = |i: usize| x.clone().narrow(0, 6 * i, 6).reshape([2, 3]);
            let pairs = CategoricalPairs::new(part(0), part(1)).unwrap();
            let pairs = pairs.with_targets(like(&x, &[1.0, 0.3])).unwrap();
            model.forward(&pairs.with_weights(like(&x, &[1.0, 2.0])).unwrap()).unwrap().losses
        });
    }

    #[test]
    fn hidden_context_shows_as_a_jump_of_the_variance() {
        // As in the mean-variance model's test: worth `s` below 0.8, and 2s or 0 above.
        let utilities = |i: usize| match (i as f64 + 0.5) / 10.0 {
            s if s < 0.8 => [s, s],
            s => [2.0 * s, 0.0],
        };
        let (bins, atoms) = (10, 20);
        let indices: Vec<(usize, usize)> = (0..bins).flat_map(|i| (0..i).map(move |j| (i, j))).collect();
        let rate = |&(i, j): &(usize, usize)| {
            let wins = utilities(i).into_iter().flat_map(|a| {
                utilities(j).into_iter().map(move |b| if a > b { 0.25 } else { f64::from(a == b) / 8.0 })
            });
            wins.sum::<f64>()
        };
        let targets: Vec<f64> = indices.iter().map(rate).collect();
        let model = CategoricalDplConfig::new().init().unwrap();
        let f = |x: &[f64], gradient: &mut [f64]| {
            let x = leaf(x);
            let logits = x.clone().reshape([bins, atoms]);
            let pick = |side: fn(&(usize, usize)) -> usize| {
                let at: Vec<i64> = indices.iter().map(|pair| side(pair) as i64).collect();
                let at = Tensor::<1, burn::tensor::Int>::from_ints(at.as_slice(), &x.device());
                logits.clone().select(0, at)
            };
            let pairs = CategoricalPairs::new(pick(|p| p.0), pick(|p| p.1)).unwrap();
            let pairs = pairs.with_targets(like(&x, &targets)).unwrap();
            let loss = model.forward(&pairs).unwrap().losses.mean();
            gradient.copy_from_slice(&host(&x.grad(&loss.backward()).unwrap()));
            host(&loss)[0]
        };
        // Slightly broken symmetry: a state starts a little above those below it.
        let start: Vec<f64> = (0..bins * atoms)
            .map(|at| 0.05 * ((at / atoms) as f64 - 4.5) * ((at % atoms) as f64 - 9.5) / 9.5)
            .collect();
        let (fitted, _) = lbfgs(f, start, Stop { gradient: 1e-5, max_iterations: 150 });
        let logits = || matrix(&fitted, atoms);
        let (variances, _) = CategoricalPairs::new(logits(), logits()).unwrap().variances();
        let variances = host(&variances);
        let largest = variances[..8].iter().copied().fold(0.0, f64::max);
        assert!(variances[8..].iter().all(|v| *v > 3.0 * largest), "{variances:?}");
    }

    #[test]
    fn settings_are_checked() {
        assert_eq!(CategoricalDplConfig::new().entropy_coef, 0.0);
        for coef in [-0.1, f64::NAN, f64::INFINITY] {
            starts(CategoricalDplConfig::new().with_entropy_coef(coef).init(), "`entropy_coef`");
        }
        let none = Tensor::<2>::zeros([0, 3], (&burn::tensor::Device::flex(), burn::tensor::DType::F64));
        let empty = CategoricalPairs::new(none.clone(), none).unwrap();
        let model = CategoricalDplConfig::new().with_entropy_coef(0.1).init().unwrap();
        assert_eq!(model.forward(&empty).unwrap().losses.dims(), [0]);
    }
}
