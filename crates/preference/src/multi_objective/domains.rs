//! Hierarchical regression over domains: a shared reward, and what each domain adds to it.
//!
//! **Paper:** Multi-Domain Explainability of Preferences (2025), 2505.20088.
//! **Status:** library definition; the paper's hierarchy without its other effects.
//! **Use when:** pairs come from several domains, or groups of people, whose preferences agree in part. Where they contradict
//! each other, one reward is near even odds, and this is not.
//! **Checked by:** its limits (one reward, one for each domain), the same fit on repeated features, `examples/reward_model`.
//! **Deviations:** both parts have the same kind of penalty.

use accordant_ops::check_domain;
use burn::config::Config;
use serde::{Deserialize, Serialize};

use super::{
    differences::Differences,
    linear_reward::{Penalty, Problem},
};
use crate::{
    Error, Report, Result,
    error::{check_index, check_length},
};

/// Configuration of a fit.
///
/// ```text
/// minimize  Σ_n w_n [ softplus(z_n) − t_n z_n ] + shared · penalty(β) + domain · Σ_d penalty(δ_d)
/// z_n = (β + δ_d(n)) · (features of the first − of the second)
/// ```
///
/// With squares this is the same as a regression on every feature once for all domains and once for each: strengths `2λ` and
/// `2λ` are a ridge λ on these features times √½.
#[derive(Config, Debug, PartialEq)]
pub struct DomainRewardConfig {
    /// How coefficients are kept small. By squares: ours, the usual one.
    #[config(default = "Penalty::L2")]
    pub penalty: Penalty,
    /// λ₀ of what is shared, finite and > 0. 1: ours.
    #[config(default = 1.0)]
    pub shared: f64,
    /// λ₁ of what a domain adds, finite and > 0: the larger, the more alike are domains. 1: ours.
    #[config(default = 1.0)]
    pub domain: f64,
    /// Converged when no derivative of the objective exceeds this much for each pair (of weight 1), > 0. 1e-9: ours.
    #[config(default = 1e-9)]
    pub tolerance: f64,
    /// Steps at most. 2000: ours; some tens are usual with squares, some hundreds with absolute values.
    #[config(default = 2000)]
    pub max_iterations: usize,
}

impl DomainRewardConfig {
    /// Fits both parts; `domains` says of each pair which of `num_domains` it comes from.
    ///
    /// # Errors
    /// A domain error naming a field; [`Error::Length`] naming `domains`, [`Error::Index`] naming `domain`;
    /// [`Error::Empty`] naming `pairs` when there is none of weight > 0.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::multi_objective::{Differences, DomainRewardConfig};
    /// let mut pairs = Differences::new(1);
    /// pairs.push(&[(0, 1.0)], 1.0, 1.0)?; // more is better here,
    /// pairs.push(&[(0, 1.0)], 0.0, 1.0)?; // and worse there
    /// let reward = DomainRewardConfig::new().fit(&pairs, &[0, 1], 2)?;
    /// assert!(reward.shared[0].abs() < 1e-9);
    /// assert!(reward.coefficients(0)?[0] > 0.3 && reward.coefficients(1)?[0] < -0.3);
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn fit(&self, pairs: &Differences, domains: &[usize], num_domains: usize) -> Result<DomainReward> {
        for (name, value) in [("shared", self.shared), ("domain", self.domain)] {
            check_domain(value.is_finite() && value > 0.0, name, "finite and > 0", value)?;
        }
        check_length("domains", pairs.len(), domains.len())?;
        for (row, &domain) in domains.iter().enumerate() {
            check_index(row, "domain", domain, num_domains)?;
        }
        let dim = pairs.dim();
        let mut strengths = vec![self.shared; dim];
        strengths.resize((1 + num_domains) * dim, self.domain);
        let problem = Problem { pairs, domains: Some(domains) };
        let (mut shared, report) = problem.minimize(self.penalty, strengths, self.tolerance, self.max_iterations)?;
        let rest = shared.split_off(dim);
        let deviations = (0..num_domains).map(|domain| rest[domain * dim..(domain + 1) * dim].to_vec()).collect();
        Ok(DomainReward { shared, deviations, report })
    }
}

/// Fitted rewards.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DomainReward {
    /// β: what all domains share, `[dim]`. It is the answer for a domain that was not there.
    pub shared: Vec<f64>,
    /// δ: what each domain adds, `[domains, dim]`; zeros for one without a pair.
    pub deviations: Vec<Vec<f64>>,
    /// How the fit ended.
    pub report: Report,
}

impl DomainReward {
    /// β + δ of a domain.
    ///
    /// # Errors
    /// [`Error::Unknown`] naming `domain`.
    pub fn coefficients(&self, domain: usize) -> Result<Vec<f64>> {
        let own = self.deviations.get(domain).ok_or(Error::Unknown { name: "domain", index: domain })?;
        Ok(self.shared.iter().zip(own).map(|(shared, own)| shared + own).collect())
    }

    /// By how much each pair's domain puts its first side ahead.
    ///
    /// # Errors
    /// [`Error::Length`] naming `domains` or `coefficients`; [`Error::Unknown`] naming `domain`.
    pub fn leads(&self, pairs: &Differences, domains: &[usize]) -> Result<Vec<f64>> {
        check_length("domains", pairs.len(), domains.len())?;
        let mut leads = pairs.leads(&self.shared)?;
        for (row, &domain) in domains.iter().enumerate() {
            let own = self.deviations.get(domain).ok_or(Error::Unknown { name: "domain", index: domain })?;
            leads[row] += pairs.row(row).iter().map(|&(feature, x)| x * own[feature]).sum::<f64>();
        }
        Ok(leads)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::multi_objective::{LinearRewardConfig, linear_reward::tests::pairs};

    const DOMAINS: [usize; 5] = [0, 1, 1, 0, 1];

    #[track_caller]
    fn close(got: &[f64], expected: &[f64], tolerance: f64) {
        let near = got.iter().zip(expected).all(|(a, b)| (a - b).abs() < tolerance);
        assert!(got.len() == expected.len() && near, "{got:?} is not {expected:?}");
    }

    fn config(penalty: Penalty, shared: f64, domain: f64) -> DomainRewardConfig {
        DomainRewardConfig::new().with_penalty(penalty).with_shared(shared).with_domain(domain)
    }

    #[test]
    fn stiff_deviations_are_one_reward_and_a_stiff_shared_part_is_one_for_each_domain() {
        let pairs = pairs();
        for penalty in [Penalty::L1, Penalty::L2] {
            let linear = LinearRewardConfig::new().with_penalty(penalty).with_strength(0.4);
            let one = linear.fit(&pairs).unwrap().coefficients;
            let reward = config(penalty, 0.4, 1e7).fit(&pairs, &DOMAINS, 2).unwrap();
            assert!(reward.report.converged);
            close(&reward.shared, &one, 1e-5);
            close(&reward.coefficients(1).unwrap(), &one, 1e-5);
            let each = config(penalty, 1e7, 0.4).fit(&pairs, &DOMAINS, 2).unwrap();
            close(&each.shared, &[0.0; 2], 1e-5);
            for domain in 0..2 {
                let rows: Vec<usize> = (0..5).filter(|&row| DOMAINS[row] == domain).collect();
                let alone = linear.fit(&pairs.select(&rows).unwrap()).unwrap().coefficients;
                close(&each.deviations[domain], &alone, 1e-5);
            }
        }
    }

    #[test]
    fn equal_strengths_are_a_ridge_on_features_that_are_there_once_more_for_each_domain() {
        let pairs = pairs();
        let reward = config(Penalty::L2, 1.4, 1.4).fit(&pairs, &DOMAINS, 2).unwrap();
        let mut stacked = Differences::new(6);
        let half = 0.5f64.sqrt();
        for (row, domain) in DOMAINS.into_iter().enumerate() {
            let shared = pairs.row(row).iter().map(|&(feature, x)| (feature, half * x));
            let own = pairs.row(row).iter().map(|&(feature, x)| (2 + 2 * domain + feature, half * x));
            stacked.push(&shared.chain(own).collect::<Vec<_>>(), pairs.shares()[row], pairs.weights()[row]).unwrap();
        }
        let ridge = LinearRewardConfig::new().with_strength(0.7).fit(&stacked).unwrap();
        let expected = stacked.leads(&ridge.coefficients).unwrap();
        close(&reward.leads(&pairs, &DOMAINS).unwrap(), &expected, 1e-7);
        let by_domain: Vec<f64> = (0..5)
            .map(|row| {
                let coefficients = reward.coefficients(DOMAINS[row]).unwrap();
                pairs.select(&[row]).unwrap().leads(&coefficients).unwrap()[0]
            })
            .collect();
        close(&by_domain, &expected, 1e-7);
    }

    #[test]
    fn squares_share_what_domains_have_in_common_by_their_strengths() {
        // Where the derivatives are 0, λ₀ β = λ₁ Σ δ.
        let reward = config(Penalty::L2, 0.5, 2.0).fit(&pairs(), &DOMAINS, 2).unwrap();
        let sum: Vec<f64> = (0..2).map(|x| 4.0 * (reward.deviations[0][x] + reward.deviations[1][x])).collect();
        close(&reward.shared, &sum, 1e-7);
        // Exchanged domains exchange their parts; one without a pair adds nothing.
        let swapped = config(Penalty::L2, 0.5, 2.0).fit(&pairs(), &DOMAINS.map(|d| 2 * (1 - d)), 3).unwrap();
        close(&swapped.deviations[0], &reward.deviations[1], 1e-8);
        close(&swapped.deviations[2], &reward.deviations[0], 1e-8);
        assert_eq!(swapped.deviations[1], [0.0; 2]);
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let pairs = pairs();
        let text = |config: DomainRewardConfig| config.fit(&pairs, &DOMAINS, 2).unwrap_err().to_string();
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(text(config(Penalty::L2, bad, 1.0)).starts_with("`shared`: expected finite and > 0"));
            assert!(text(config(Penalty::L2, 1.0, bad)).starts_with("`domain`: expected finite and > 0"));
        }
        assert!(text(DomainRewardConfig::new().with_tolerance(0.0)).starts_with("`tolerance`"));
        let config = DomainRewardConfig::new();
        let text = |error: Error| error.to_string();
        assert_eq!(text(config.fit(&pairs, &[0], 2).unwrap_err()), "`domains`: expected 5 entries, got 1");
        assert_eq!(text(config.fit(&pairs, &DOMAINS, 1).unwrap_err()), "record 1: `domain` 1 is not in 0..1");
        let reward = config.fit(&pairs, &DOMAINS, 2).unwrap();
        assert!(matches!(reward.coefficients(2), Err(Error::Unknown { name: "domain", index: 2 })));
        assert!(matches!(reward.leads(&pairs, &[2; 5]), Err(Error::Unknown { name: "domain", index: 2 })));
        assert!(matches!(reward.leads(&pairs, &[0]), Err(Error::Length { name: "domains", .. })));
        assert!(matches!(config.fit(&Differences::new(2), &[], 2), Err(Error::Empty { name: "pairs", .. })));
        assert_eq!((config.penalty, config.shared, config.domain), (Penalty::L2, 1.0, 1.0));
        assert_eq!((config.tolerance, config.max_iterations), (1e-9, 2000));
        let stopped = config.with_max_iterations(1).fit(&pairs, &DOMAINS, 2).unwrap();
        assert_eq!((stopped.report.converged, stopped.report.iterations), (false, 1));
    }
}
