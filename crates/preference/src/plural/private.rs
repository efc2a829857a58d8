//! A table of one's own for each user, shrunk to what all users say together: the baseline that shares nothing else.
//!
//! **Status:** library definition; a normal prior around the pooled Bradley-Terry scores.
//! **Use when:** you evaluate a plural model. Pairs cut from one user's ratings answer each other by transitivity: where a
//! random split is foretold better by this baseline than by the model, the split says nothing about what users share.
//! **Checked by:** [`LogisticConfig`] user by user, limits of the prior.
//! **Deviations:** none.

use accordant_ops::check_domain;
use burn::config::Config;
use serde::{Deserialize, Serialize};

use super::{
    logistic::{Linear, LogisticConfig},
    pairs::{Chooser, Items, Plural, UserPairs, check_user},
};
use crate::{Comparisons, Report, Result};

/// Configuration of tables of one's own.
///
/// ```text
/// s_u = argmin  Σ_{n ∈ u} bce(s_u) + ½ prior ‖s_u − s‖²,   s = argmin  Σ_n bce(s) + ½ common_prior ‖s‖²
/// ```
#[derive(Config, Debug, PartialEq)]
pub struct PrivateTablesConfig {
    /// The precision with which each user's scores are pulled to the common ones, finite and > 0. 1: ours.
    #[config(default = 1.0)]
    pub prior: f64,
    /// The precision of a normal prior on the common scores, finite and > 0. 1: ours.
    #[config(default = 1.0)]
    pub common_prior: f64,
}

impl PrivateTablesConfig {
    /// Fits the common scores, and each user's from there.
    ///
    /// # Errors
    /// A domain error naming a field, [`crate::Error::Empty`] without a pair.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::{Comparisons, Outcome};
    /// use accordant_preference::plural::{Plural, UserPairs, private::PrivateTablesConfig};
    /// let mut pairs = UserPairs::new(2);
    /// for outcome in [Outcome::First, Outcome::Second] {
    ///     let mut judged = Comparisons::new(2);
    ///     judged.push(0, 1, outcome)?;
    ///     pairs.push(judged)?;
    /// }
    /// let tables = PrivateTablesConfig::new().fit(&pairs)?;
    /// assert_eq!(tables.population().first_wins(0, 1)?, 0.5); // they cancel
    /// assert!(tables.user(0)?.first_wins(0, 1)? > 0.6);
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn fit(&self, pairs: &UserPairs) -> Result<PrivateTables> {
        for (name, value) in [("prior", self.prior), ("common_prior", self.common_prior)] {
            check_domain(value.is_finite() && value > 0.0, name, "finite and > 0", value)?;
        }
        pairs.check_not_empty()?;
        let items = Items::table(pairs.num_items());
        let common = LogisticConfig::new().with_prior(self.common_prior).fit(&items, &pairs.pooled())?;
        let own = LogisticConfig::new().with_prior(self.prior);
        let base = vec![0.0; items.len()];
        let users: Result<Vec<Linear>> =
            pairs.users().iter().map(|judged| own.fit_around(&items, judged, &common.coefficients, &base)).collect();
        let users = users?;
        let converged = common.report.converged && users.iter().all(|user| user.report.converged);
        Ok(PrivateTables {
            common: common.coefficients,
            users: users.into_iter().map(|user| user.coefficients).collect(),
            report: Report { converged, ..common.report },
            prior: self.prior,
        })
    }
}

/// Fitted tables.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PrivateTables {
    /// The scores that all users are shrunk to.
    pub common: Vec<f64>,
    /// The scores of each user, `[users, items]`.
    pub users: Vec<Vec<f64>>,
    /// How the common fit ended; converged only if every user's has.
    pub report: Report,
    prior: f64,
}

impl Plural for PrivateTables {
    fn num_users(&self) -> usize {
        self.users.len()
    }

    fn user(&self, user: usize) -> Result<Chooser> {
        check_user(user, self.users.len())?;
        Ok(Chooser::one(self.users[user].clone()))
    }

    fn population(&self) -> Chooser {
        Chooser::one(self.common.clone())
    }

    fn adapt(&self, judged: &Comparisons) -> Result<Chooser> {
        let items = Items::table(self.common.len());
        let own = LogisticConfig::new().with_prior(self.prior);
        let fitted = own.fit_around(&items, judged, &self.common, &vec![0.0; items.len()])?;
        Ok(Chooser::one(fitted.coefficients))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Error, Outcome, ranking::NewtonConfig};

    fn pairs() -> UserPairs {
        let mut pairs = UserPairs::new(3);
        for judged in [&[(0, 1), (0, 2)][..], &[(1, 0), (2, 0), (2, 1)], &[(0, 1)], &[]] {
            let mut user = Comparisons::new(3);
            judged.iter().for_each(|&(a, b)| user.push(a, b, Outcome::First).unwrap());
            pairs.push(user).unwrap();
        }
        pairs
    }

    #[test]
    fn nobody_shares_anything_but_the_common_scores() {
        let tables = PrivateTablesConfig::new().with_prior(0.3).fit(&pairs()).unwrap();
        assert!(tables.report.converged);
        let common = NewtonConfig::new().with_prior(1.0).fit(&pairs().pooled()).unwrap();
        assert!(tables.common.iter().zip(&common.scores).all(|(a, b)| (a - b).abs() < 1e-9));
        assert_eq!(tables.user(3).unwrap(), tables.population(), "nothing is known of user 3");
        for (user, judged) in pairs().users().iter().enumerate() {
            assert_eq!(tables.user(user).unwrap(), tables.adapt(judged).unwrap());
        }
        assert!(tables.users[0][0] > tables.common[0] && tables.users[1][0] < tables.common[0]);
        let stiff = PrivateTablesConfig::new().with_prior(1e9).fit(&pairs()).unwrap();
        assert!(stiff.users[0].iter().zip(&stiff.common).all(|(a, b)| (a - b).abs() < 1e-7));
        assert_eq!(tables.num_users(), 4);
        assert!(matches!(tables.user(4), Err(Error::Unknown { name: "user", index: 4 })));
        assert!(tables.adapt(&Comparisons::new(2)).is_err());
    }

    #[test]
    fn one_user_whose_fit_did_not_converge_is_reported() {
        // So stiff a prior that no step changes the scores, whose slopes remain.
        let stiff = PrivateTablesConfig::new().with_prior(1e300).fit(&pairs()).unwrap();
        assert!(!stiff.report.converged && stiff.users[0] == stiff.common);
        let common = LogisticConfig::new().fit(&Items::table(3), &pairs().pooled()).unwrap().report;
        assert!(common.converged);
        assert_eq!(Report { converged: true, ..stiff.report }, common, "how the common fit ended");
    }

    #[test]
    fn settings_are_checked() {
        let config = PrivateTablesConfig::new();
        assert_eq!((config.prior, config.common_prior), (1.0, 1.0));
        for bad in [0.0, f64::NAN, f64::INFINITY] {
            let text = |config: PrivateTablesConfig| config.fit(&pairs()).unwrap_err().to_string();
            assert!(text(config.clone().with_prior(bad)).starts_with("`prior`: expected finite and > 0"));
            assert!(text(config.clone().with_common_prior(bad)).starts_with("`common_prior`: expected finite and > 0"));
        }
        assert!(matches!(config.fit(&UserPairs::new(2)), Err(Error::Empty { .. })));
    }
}
