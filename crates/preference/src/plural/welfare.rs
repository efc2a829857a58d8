//! Welfare of a population of groups: one number from what each group has of it.
//!
//! **Papers:** MaxMin-RLHF: Towards Equitable Alignment of Large Language Models with Diverse Human Preferences (2024),
//! 2402.08925, for the worst-off group; The Bargaining Problem (J. F. Nash, 1950); On the Measurement of Inequality
//! (A. B. Atkinson, 1970), for means of powers.
//! **Use when:** a policy, a best-of-N or a report serves groups that want different things, and it has to be said how their
//! scores are traded off.
//! **Checked by:** hand-worked values, monotony, transfers from the better off to the worse off (Pigou and Dalton), limits
//! into each other, finite differences.
//! **Deviations:** the smooth minimum is a mean over groups: MaxMin-RLHF's `−τ log Σ e^{−v/τ}` is `τ log G` less of G equal
//! groups.

use accordant_ops::{
    check_domain, check_shape,
    distribution::risk::tail_shares,
    host::{self, log_sum_exp},
};
use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::hedge::check_simplex;
use crate::{
    Result,
    distributional::risk::Atoms,
    error::{check_length, check_record},
};

/// A measure of welfare and its parameter.
///
/// All but [`Welfare::Nash`] are in units of the values, and equal values are worth what each is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Welfare {
    /// `Σ ρ v`: a unit is worth the same to everybody.
    Utilitarian,
    /// The least value of a group that has a share: the worst-off group decides, however small. Of accuracies of groups, the
    /// minority accuracy.
    Egalitarian,
    /// `Σ ρ log v` of values > 0: a percent is worth the same to everybody. No unit; [`Welfare::PowerMean`] of 0 is its
    /// exponential.
    Nash,
    /// `(Σ ρ v^p)^{1/p}` of values ≥ 0, `p` finite: the mean at 1, the geometric mean at 0, the minimum as p → −∞. Averse
    /// to inequality below 1.
    PowerMean(f64),
    /// The mean of the worst-off share α in (0, 1] of the population: everybody's mean at 1, the worst-off group as α → 0.
    Cvar(f64),
    /// `−τ log Σ ρ e^{−v/τ}`, τ finite and > 0 in units of the values: the minimum as τ → 0, the mean as τ → ∞.
    SoftMin(f64),
}

impl Welfare {
    /// Checks the parameter.
    ///
    /// # Errors
    /// A domain error naming it: `power`, `alpha` or `temperature`.
    pub fn check(&self) -> Result<()> {
        match *self {
            Self::Utilitarian | Self::Egalitarian | Self::Nash => {}
            Self::PowerMean(power) => check_domain(power.is_finite(), "power", "finite", power)?,
            Self::Cvar(alpha) => check_domain(alpha > 0.0 && alpha <= 1.0, "alpha", "in (0, 1]", alpha)?,
            Self::SoftMin(temperature) => {
                let holds = temperature.is_finite() && temperature > 0.0;
                check_domain(holds, "temperature", "finite and > 0", temperature)?;
            }
        }
        Ok(())
    }

    fn check_groups(&self, values: &[f64], shares: &[f64]) -> Result<()> {
        self.check()?;
        check_simplex("shares", shares)?;
        check_length("values", shares.len(), values.len())?;
        for (row, &value) in values.iter().enumerate() {
            let (holds, expected) = match self {
                Self::Nash => (value > 0.0, "finite and > 0"),
                Self::PowerMean(_) => (value >= 0.0, "finite and >= 0"),
                _ => (true, "finite"),
            };
            check_record(holds && value.is_finite(), row, "values", expected, value)?;
        }
        Ok(())
    }

    /// The welfare of groups with these `values` (v) and `shares` (ρ) of the population, ≥ 0 with sum 1 within 1e-6. A group
    /// without a share does not count.
    ///
    /// # Errors
    /// As [`Welfare::check`]; [`crate::Error::Empty`] without a group, [`crate::Error::Length`] naming `values`,
    /// [`crate::Error::Record`] for a value outside its domain or a share below 0; a domain error naming `shares`.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::plural::welfare::Welfare;
    /// let (values, shares) = ([1.0, 4.0], [0.5, 0.5]);
    /// assert_eq!(Welfare::Utilitarian.of(&values, &shares)?, 2.5);
    /// assert_eq!(Welfare::Egalitarian.of(&values, &shares)?, 1.0);
    /// assert!((Welfare::PowerMean(0.0).of(&values, &shares)? - 2.0).abs() < 1e-12);
    /// assert!((Welfare::PowerMean(-1.0).of(&values, &shares)? - 1.6).abs() < 1e-12);
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    #[doc(alias = "minority accuracy")]
    #[doc(alias = "maxmin")]
    #[doc(alias = "social welfare function")]
    pub fn of(&self, values: &[f64], shares: &[f64]) -> Result<f64> {
        self.check_groups(values, shares)?;
        let atoms = Atoms::new(values, shares)?;
        match *self {
            Self::Utilitarian => Ok(atoms.mean()),
            Self::Egalitarian => Ok(atoms.worst_case()),
            Self::Nash => Ok(atoms.expected(f64::ln)),
            Self::PowerMean(power) => Ok(power_mean(&atoms, power)),
            Self::Cvar(alpha) => atoms.cvar(alpha),
            Self::SoftMin(temperature) => atoms.entropic(-temperature.recip()),
        }
    }

    /// The derivatives of the welfare by the values: how much a unit for each group is worth. What weighs the groups' losses
    /// or rewards in a step of training.
    ///
    /// Where there is none (the minimum or the tail of equal values), equal groups share it: by their shares in the tail,
    /// evenly in the minimum. A mean of powers below 1 has an infinite one at 0; it is refused.
    ///
    /// # Errors
    /// As [`Welfare::of`]; a domain error naming `values` for derivatives that are not finite.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::plural::welfare::Welfare;
    /// let values = [3.0, 1.0, 1.0];
    /// assert_eq!(Welfare::Egalitarian.slopes(&values, &[0.2, 0.4, 0.4])?, [0.0, 0.5, 0.5]);
    /// assert_eq!(Welfare::Nash.slopes(&values, &[0.6, 0.2, 0.2])?, [0.6 / 3.0, 0.2, 0.2]);
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn slopes(&self, values: &[f64], shares: &[f64]) -> Result<Vec<f64>> {
        self.check_groups(values, shares)?;
        let total: f64 = shares.iter().sum();
        let groups = || values.iter().zip(shares.iter().map(|share| share / total));
        let slopes: Vec<f64> = match *self {
            Self::Utilitarian => groups().map(|(_, share)| share).collect(),
            Self::Egalitarian => {
                let least = self.of(values, shares)?;
                let is_worst = |(value, share): (&f64, f64)| share > 0.0 && *value == least;
                let count = groups().filter(|&group| is_worst(group)).count() as f64;
                groups().map(|group| f64::from(u8::from(is_worst(group))) / count).collect()
            }
            Self::Nash => groups().map(|(value, share)| share / value).collect(),
            Self::PowerMean(power) => {
                let mean = self.of(values, shares)?;
                // (v/M)^{p−1}, whatever the powers themselves overflow to.
                let slope = |value: f64| match power == 1.0 {
                    true => 1.0,
                    false => ((power - 1.0) * (value.ln() - mean.ln())).exp(),
                };
                let slope = |(value, share): (&f64, f64)| if share > 0.0 { share * slope(*value) } else { 0.0 };
                groups().map(slope).collect()
            }
            Self::Cvar(alpha) => {
                let mut order: Vec<usize> = (0..values.len()).collect();
                order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
                // Equal values are one mass, shared by their shares.
                let tied = |a: &usize, b: &usize| values[*a] == values[*b];
                let ties: Vec<&[usize]> = order.chunk_by(tied).collect();
                let mass = |tie: &&[usize]| tie.iter().map(|&group| shares[group]).sum::<f64>();
                let masses: Vec<f64> = ties.iter().map(mass).collect();
                let mut slopes = vec![0.0; values.len()];
                for ((tie, mass), tail) in ties.iter().zip(&masses).zip(tail_shares(&masses, alpha)?) {
                    tie.iter().filter(|_| *mass > 0.0).for_each(|&group| slopes[group] = tail * shares[group] / mass);
                }
                slopes
            }
            Self::SoftMin(temperature) => {
                host::softmax(&groups().map(|(value, share)| share.ln() - value / temperature).collect::<Vec<_>>())
            }
        };
        let bad = slopes.iter().copied().find(|slope| !slope.is_finite());
        check_domain(bad.is_none(), "values", "finite derivatives", bad.unwrap_or_default())?;
        Ok(slopes)
    }

    /// The welfare of groups' values on a tensor, with [`Welfare::slopes`] as its gradient: an objective, to be maximized.
    /// Reads the values of the groups from the device.
    ///
    /// # Shapes
    /// `values`: `[groups]`; the result: `[1]`.
    ///
    /// # Errors
    /// As [`Welfare::slopes`]; a shape error naming `values`.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::plural::welfare::Welfare;
    /// use burn::tensor::{Device, Tensor};
    /// let values = Tensor::from_floats([2.0, 4.0], &Device::flex());
    /// assert_eq!(Welfare::Egalitarian.objective(values, &[0.5, 0.5])?.into_scalar::<f32>(), 2.0);
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn objective(&self, values: Tensor<1>, shares: &[f64]) -> Result<Tensor<1>> {
        check_shape("values", &[shares.len()], &values.dims())?;
        let host = values.clone().detach().try_to_vec_as::<f64>().expect("the device returns what it was given");
        let (welfare, slopes) = (self.of(&host, shares)?, self.slopes(&host, shares)?);
        let slopes = Tensor::from_data(TensorData::from(slopes.as_slice()), (&values.device(), values.dtype()));
        // No value of its own, and the slopes for its gradient.
        Ok(((values.clone() - values.detach()) * slopes).sum() + welfare)
    }
}

fn power_mean(atoms: &Atoms, power: f64) -> f64 {
    if power == 0.0 {
        return atoms.expected(f64::ln).exp();
    }
    let center = atoms.expected(f64::ln);
    if power.abs() < 1e-3 && center.is_finite() {
        // Around the geometric mean, so that rounding is not divided by a small power.
        let grows = atoms.expected(|value| (power * (value.ln() - center)).exp_m1());
        return (center + grows.ln_1p() / power).exp();
    }
    let terms: Vec<f64> = atoms.values().iter().zip(atoms.probs()).map(|(v, p)| p.ln() + power * v.ln()).collect();
    (log_sum_exp(&terms) / power).exp()
}

/// How far groups disagree: the Jensen-Shannon divergence of their distributions over the same answers, in nats, from 0 (all
/// alike) to the entropy of the shares (no answer in common).
///
/// ```text
/// H(Σ_g ρ_g p_g) − Σ_g ρ_g H(p_g)
/// ```
///
/// # Errors
/// [`crate::Error::Empty`] without a group or an answer, [`crate::Error::Length`] naming `distributions`,
/// [`crate::Error::Record`] for a chance below 0; a domain error naming `shares` or `distributions` for a sum that is not 1.
///
/// # Example
/// ```
/// use accordant_preference::plural::welfare::disagreement;
/// let apart = disagreement(&[vec![1.0, 0.0], vec![0.0, 1.0]], &[0.5, 0.5])?;
/// assert!((apart - 2f64.ln()).abs() < 1e-15);
/// assert_eq!(disagreement(&[vec![0.3, 0.7], vec![0.3, 0.7]], &[0.5, 0.5])?, 0.0);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "Jensen-Shannon")]
#[doc(alias = "Negotiative Alignment")]
pub fn disagreement(distributions: &[Vec<f64>], shares: &[f64]) -> Result<f64> {
    check_simplex("shares", shares)?;
    check_length("distributions", shares.len(), distributions.len())?;
    let mut mean = vec![0.0; distributions[0].len()];
    let mut within = 0.0;
    for (distribution, share) in distributions.iter().zip(shares) {
        check_simplex("distributions", distribution)?;
        check_length("distributions", mean.len(), distribution.len())?;
        mean.iter_mut().zip(distribution).for_each(|(m, p)| *m += share * p);
        within += share * entropy(distribution);
    }
    Ok((entropy(&mean) - within).max(0.0))
}

fn entropy(distribution: &[f64]) -> f64 {
    super::effective_number(distribution).ln()
}

#[cfg(test)]
mod tests;
