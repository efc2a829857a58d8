//! Distributional preference reward model (DPRM): the distribution of a crowd's votes.
//!
//! **Paper:** Aligning Crowd Feedback via Distributional Preference Reward Modeling (2024), 2402.09764.
//! **Status:** the update of votes ([`posterior`]) and the regularized transport are this library's definitions; the paper
//! describes both in words.
//! **Use when:** a response has votes of many people on an ordered scale, and how they spread is to be learned, not only
//! their mean.
//! **Checked by:** published figures, hand-worked updates, laws (transport is a metric), tensors against the host's closed
//! form, finite differences, regularized against exact transport.
//! **Deviations:** none.

use accordant_ops::{
    check_domain, check_shape,
    distribution::categorical::{Support, cross_entropies, log_probs},
    stable::log_sum_exp,
};
use burn::{
    config::Config,
    tensor::{Tensor, TensorData},
};
use serde::{Deserialize, Serialize};
use statrs::function::beta::beta_reg;

use super::{RatingModel, Ratings};
use crate::{
    Error, Nll, Result,
    error::{check_index, check_length, check_record, check_weight},
};

/// One vote for a grade.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Vote {
    /// The grade, counted from 0.
    pub grade: usize,
    /// How much it counts, finite and ≥ 0.
    pub weight: f64,
}

/// The distribution of grades after votes: the mean of a Dirichlet posterior.
///
/// ```text
/// q = (α₀ π₀ + Σ_v w_v vote_v)/(α₀ + Σ_v w_v)
/// ```
///
/// A vote puts 1 − ε on its grade and ε on the neighboring grade that the prior thinks more likely (the lower one when both
/// are as likely).
///
/// `prior` (π₀): probabilities of at least two grades, with sum 1 within 1e-6. `strength` (α₀): how many votes it is worth,
/// finite and ≥ 0. `smoothing` (ε) lies in [0, 1); the paper's is 0.1.
///
/// # Errors
/// [`Error::Record`] for a probability or a weight outside of its domain, [`Error::Index`] for an unknown grade, a domain
/// error naming `prior`, `strength` or `smoothing`, [`Error::Empty`] when neither prior nor votes weigh anything.
///
/// # Example
/// ```
/// use accordant_preference::distributional::dprm::{Vote, posterior};
/// let vote = Vote { grade: 2, weight: 1.0 };
/// let grades = posterior(&[0.2, 0.5, 0.3], 3.0, &[vote], 0.1)?;
/// // (0.6, 1.5 + 0.1, 0.9 + 0.9) over 4
/// assert!(grades.iter().zip([0.15, 0.4, 0.45]).all(|(got, expected)| (got - expected).abs() < 1e-12));
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "2402.09764")]
#[doc(alias = "Dirichlet")]
pub fn posterior(prior: &[f64], strength: f64, votes: &[Vote], smoothing: f64) -> Result<Vec<f64>> {
    let num_grades = prior.len();
    check_domain(num_grades >= 2, "prior", "at least 2 grades", num_grades as f64)?;
    check_distribution("prior", prior)?;
    check_domain(strength.is_finite() && strength >= 0.0, "strength", "finite and >= 0", strength)?;
    check_domain((0.0..1.0).contains(&smoothing), "smoothing", "in [0, 1)", smoothing)?;
    let mut counts: Vec<f64> = prior.iter().map(|p| strength * p).collect();
    for (row, &Vote { grade, weight }) in votes.iter().enumerate() {
        check_index(row, "grade", grade, num_grades)?;
        check_weight(row, "weight", weight)?;
        let neighbor = match grade {
            0 => 1,
            last if last == num_grades - 1 => last - 1,
            middle if prior[middle + 1] > prior[middle - 1] => middle + 1,
            middle => middle - 1,
        };
        counts[grade] += weight * (1.0 - smoothing);
        counts[neighbor] += weight * smoothing;
    }
    let total: f64 = counts.iter().sum();
    if total <= 0.0 {
        return Err(Error::Empty { name: "votes", reason: "neither they nor the prior weigh anything" });
    }
    Ok(counts.into_iter().map(|count| count / total).collect())
}

fn check_distribution(name: &'static str, probs: &[f64]) -> Result<()> {
    for (row, &prob) in probs.iter().enumerate() {
        check_record((0.0..=1.0).contains(&prob), row, name, "in [0, 1]", prob)?;
    }
    let total: f64 = probs.iter().sum();
    Ok(check_domain((total - 1.0).abs() <= 1e-6, name, "probabilities with sum 1", total)?)
}

/// A Beta distribution of how good a response is, between 0 and 1: the earlier version's prior.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BetaVotes {
    /// What speaks for the response, finite and > 0.
    pub up: f64,
    /// What speaks against it, finite and > 0.
    pub down: f64,
}

impl BetaVotes {
    /// After `ups` votes for and `downs` against it, each worth `scale`, all finite and ≥ 0.
    ///
    /// # Errors
    /// A domain error naming the argument.
    pub fn voted(self, ups: f64, downs: f64, scale: f64) -> Result<Self> {
        for (name, value) in [("ups", ups), ("downs", downs), ("scale", scale)] {
            check_domain(value.is_finite() && value >= 0.0, name, "finite and >= 0", value)?;
        }
        Ok(Self { up: self.up + scale * ups, down: self.down + scale * downs })
    }

    /// Probabilities of equal bins of [0, 1], worst first: `q_j = I_{j/Q}(a, b) − I_{(j−1)/Q}(a, b)`.
    ///
    /// # Errors
    /// A domain error naming `up`, `down` or `num_grades` (≥ 2).
    ///
    /// # Example
    /// ```
    /// use accordant_preference::distributional::dprm::BetaVotes;
    /// let grades = BetaVotes { up: 1.0, down: 1.0 }.grades(4)?; // uniform
    /// assert!(grades.iter().all(|grade| (grade - 0.25).abs() < 1e-12));
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn grades(&self, num_grades: usize) -> Result<Vec<f64>> {
        for (name, value) in [("up", self.up), ("down", self.down)] {
            check_domain(value.is_finite() && value > 0.0, name, "finite and > 0", value)?;
        }
        check_domain(num_grades >= 2, "num_grades", ">= 2", num_grades as f64)?;
        let below = |j: usize| match j {
            0 => 0.0,
            j if j == num_grades => 1.0,
            j => beta_reg(self.up, self.down, j as f64 / num_grades as f64),
        };
        Ok((1..=num_grades).map(|j| below(j) - below(j - 1)).collect())
    }
}

/// The earth mover's distance between two distributions over ascending atoms, and its gradient by the first: the host's
/// face.
///
/// ```text
/// W₁ = Σ_j |F_p(j) − F_q(j)| (z_{j+1} − z_j)
/// ```
///
/// The gradient is that within the distributions: its mean is 0. Where both distribution functions agree it takes 0.
///
/// # Errors
/// [`Error::Length`] naming `q` or `atoms`; [`Error::Record`] for a probability outside of [0, 1] or an atom that is not above
/// the one before; a domain error naming the one whose sum is not 1 within 1e-6.
///
/// # Example
/// ```
/// use accordant_preference::distributional::dprm::wasserstein;
/// let (distance, _) = wasserstein(&[0.9, 0.1, 0.0], &[0.9, 0.0, 0.1], &[0.0, 1.0, 2.0])?;
/// assert!((distance - 0.1).abs() < 1e-12); // a tenth moves by one
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "earth mover")]
#[doc(alias = "optimal transport")]
pub fn wasserstein(p: &[f64], q: &[f64], atoms: &[f64]) -> Result<(f64, Vec<f64>)> {
    check_length("q", p.len(), q.len())?;
    check_length("atoms", p.len(), atoms.len())?;
    check_distribution("p", p)?;
    check_distribution("q", q)?;
    let mut last = f64::NEG_INFINITY;
    for (row, &atom) in atoms.iter().enumerate() {
        check_record(atom.is_finite() && atom > last, row, "atoms", "finite and above the one before", atom)?;
        last = atom;
    }
    let (mut distance, mut ahead) = (0.0, 0.0);
    let mut slopes = Vec::with_capacity(p.len());
    for j in 0..p.len() {
        ahead += p[j] - q[j];
        let width = atoms.get(j + 1).map_or(0.0, |next| next - atoms[j]);
        distance += ahead.abs() * width;
        slopes.push(if ahead == 0.0 { 0.0 } else { ahead.signum() * width });
    }
    // p_i moves the distribution function from i on.
    let mut sum = 0.0;
    let mut gradient: Vec<f64> = slopes
        .iter()
        .rev()
        .map(|slope| {
            sum += slope;
            sum
        })
        .collect();
    gradient.reverse();
    let mean = gradient.iter().sum::<f64>() / gradient.len() as f64;
    gradient.iter_mut().for_each(|slope| *slope -= mean);
    Ok((distance, gradient))
}

/// What it costs to turn the predicted distribution of grades into that of the votes.
#[derive(Config, Debug, Copy, PartialEq)]
pub enum Transport {
    /// `Σ_j |F_p(j) − F_q(j)|`: as many grades as each vote has to move, in the mean.
    Wasserstein,
    /// `Σ_j (F_p(j) − F_q(j))²`, smooth.
    Cramer,
    /// Entropic transport for a ground cost `|i − j|^power`, by Sinkhorn's iterations in log space.
    Sinkhorn {
        /// The exponent of the cost, finite and > 0.
        power: f64,
        /// The weight ε of the divergence from independence, finite and > 0; 0.05 is the usual one. The cost of equal
        /// distributions is not 0 but of this order.
        epsilon: f64,
        /// How many rounds, ≥ 1; 100 are usual.
        iterations: usize,
    },
}

impl Transport {
    /// Checks the parameters.
    ///
    /// # Errors
    /// A domain error naming one.
    pub fn check(&self) -> Result<()> {
        if let Self::Sinkhorn { power, epsilon, iterations } = *self {
            check_domain(power.is_finite() && power > 0.0, "power", "finite and > 0", power)?;
            check_domain(epsilon.is_finite() && epsilon > 0.0, "epsilon", "finite and > 0", epsilon)?;
            check_domain(iterations > 0, "iterations", ">= 1", iterations as f64)?;
        }
        Ok(())
    }
}

/// Costs of transport between predicted distributions and those of the votes, one per response.
///
/// Cross-entropy does not tell a vote that is one grade off from one that is five off; transport does.
///
/// # Shapes
/// `probs` and `targets`: `[n, k]`, rows with sum 1; the result: `[n]`. Targets are constants. The gradient of entropic
/// transport is the dual potential, centered.
///
/// # Errors
/// A shape error naming `targets`, as [`Transport::check`].
///
/// # Example
/// ```
/// use accordant_preference::distributional::dprm::{Transport, transport_losses};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let probs = Tensor::from_floats([[0.75, 0.25, 0.0], [0.75, 0.25, 0.0]], &device);
/// let targets = Tensor::from_floats([[0.75, 0.0, 0.25], [0.0, 0.25, 0.75]], &device);
/// let losses = transport_losses(probs, targets, &Transport::Wasserstein)?;
/// assert_eq!(losses.try_to_vec_as::<f32>().unwrap(), [0.25, 1.5]);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn transport_losses(probs: Tensor<2>, targets: Tensor<2>, transport: &Transport) -> Result<Tensor<1>> {
    check_shape("targets", &probs.dims(), &targets.dims())?;
    transport.check()?;
    let [n, k] = probs.dims();
    if n == 0 || k == 0 {
        return Ok(probs.sum_dim(1).squeeze_dim(1));
    }
    let targets = targets.detach().cast(probs.dtype());
    let ahead = || (probs.clone() - targets.clone()).cumsum(1).narrow(1, 0, k - 1);
    Ok(match *transport {
        _ if k == 1 => probs.sum_dim(1).squeeze_dim::<1>(1) * 0.0,
        Transport::Wasserstein => ahead().abs().sum_dim(1).squeeze_dim(1),
        Transport::Cramer => ahead().square().sum_dim(1).squeeze_dim(1),
        Transport::Sinkhorn { power, epsilon, iterations } => sinkhorn(probs, targets, power, epsilon, iterations),
    })
}

fn sinkhorn(probs: Tensor<2>, targets: Tensor<2>, power: f64, epsilon: f64, iterations: usize) -> Tensor<1> {
    let [n, k] = probs.dims();
    let cost = (0..k * k).map(|cell| (cell / k).abs_diff(cell % k) as f64).map(|gap| gap.powf(power) / epsilon);
    let cost = TensorData::new(cost.collect::<Vec<_>>(), [1, k, k]);
    let cost = Tensor::<3>::from_data(cost, (&targets.device(), targets.dtype()));
    let p = probs.clone().detach();
    // log 0 = −∞: a cell that has no mass and binds nothing.
    let (log_p, log_q) = (p.clone().log().unsqueeze_dim::<3>(2), targets.clone().log().unsqueeze_dim::<3>(1));
    // Both potentials in units of ε: f along rows, g along columns.
    let mut f = Tensor::<3>::zeros([n, k, 1], (&p.device(), p.dtype()));
    let mut g = f.clone().reshape([n, 1, k]);
    for _ in 0..iterations {
        g = -log_sum_exp(f.clone() + log_p.clone() - cost.clone(), 1);
        f = -log_sum_exp(g.clone() + log_q.clone() - cost.clone(), 2);
    }
    let (f, g) = (f.squeeze_dim::<2>(2) * epsilon, g.squeeze_dim::<2>(1) * epsilon);
    let value = (p.clone() * f.clone()).sum_dim(1) + (targets * g).sum_dim(1);
    let centered = f.clone() - f.mean_dim(1);
    (value + ((probs - p) * centered).sum_dim(1)).squeeze_dim(1)
}

/// Configuration of [`Dprm`].
#[derive(Config, Debug, PartialEq)]
pub struct DprmConfig {
    /// The number of grades, ≥ 2. 6: the paper's.
    #[config(default = 6)]
    pub num_grades: usize,
    /// The cost of transport. `Wasserstein`: the paper's idea in its closed form.
    #[config(default = "Transport::Wasserstein")]
    pub transport: Transport,
    /// Weight of the cross-entropy beside it, finite and ≥ 0. 0: none.
    #[config(default = 0.0)]
    pub cross_entropy_coef: f64,
}

impl DprmConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<Dprm> {
        check_domain(self.num_grades >= 2, "num_grades", ">= 2", self.num_grades as f64)?;
        self.transport.check()?;
        let coef = self.cross_entropy_coef;
        check_domain(coef.is_finite() && coef >= 0.0, "cross_entropy_coef", "finite and >= 0", coef)?;
        Ok(Dprm { config: self.clone() })
    }
}

/// The distributional preference reward model; see [`transport_losses`].
#[derive(Debug, Clone, PartialEq)]
pub struct Dprm {
    config: DprmConfig,
}

impl Dprm {
    /// Expected rewards: `Σ_j u_j p_j`, with utilities from 0 for the worst grade to 1 for the best unless others are given.
    ///
    /// # Shapes
    /// `logits`: `[n, k]`; `utilities`: `k`, finite; the result: `[n]`, with a gradient.
    ///
    /// # Errors
    /// A shape error naming `logits`; [`Error::Length`] or [`Error::Record`] naming `utilities`.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::distributional::dprm::DprmConfig;
    /// use burn::tensor::{Device, Tensor};
    /// let model = DprmConfig::new().with_num_grades(3).init()?;
    /// let logits = Tensor::from_floats([[0.0, 0.0, 2f32.ln()]], &Device::flex()); // ¼, ¼, ½
    /// assert!((model.rewards(logits.clone(), None)?.into_scalar::<f32>() - 0.625).abs() < 1e-6);
    /// let bold = model.rewards(logits, Some(&[0.0, 0.0, 1.0]))?.into_scalar::<f32>();
    /// assert!((bold - 0.5).abs() < 1e-6);
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn rewards(&self, logits: Tensor<2>, utilities: Option<&[f64]>) -> Result<Tensor<1>> {
        let k = self.config.num_grades;
        let Some(utilities) = utilities else {
            return Ok(Support::new(0.0, 1.0, k)?.mean(logits)?.squeeze_dim(1));
        };
        let [n, _] = logits.dims();
        check_shape("logits", &[n, k], &logits.dims())?;
        check_length("utilities", k, utilities.len())?;
        for (row, &utility) in utilities.iter().enumerate() {
            check_record(utility.is_finite(), row, "utilities", "finite", utility)?;
        }
        let probs = log_probs(logits).exp();
        let like = (&probs.device(), probs.dtype());
        let utilities = Tensor::<2>::from_data(TensorData::new(utilities.to_vec(), [1, k]), like);
        Ok((probs * utilities).sum_dim(1).squeeze_dim(1))
    }
}

impl RatingModel for Dprm {
    /// Predictions are logits `[n, k]`, targets distributions `[n, k]`. Logs `transport` and `cross_entropy`.
    fn forward(&self, ratings: &Ratings) -> Result<Nll> {
        let (logits, targets) = (ratings.predictions(), ratings.targets());
        let shape = [ratings.len(), self.config.num_grades];
        check_shape("predictions", &shape, &logits.dims())?;
        check_shape("targets", &shape, &targets.dims())?;
        let transport = transport_losses(log_probs(logits.clone()).exp(), targets.clone(), &self.config.transport)?;
        let entropy = cross_entropies(logits, targets)?.squeeze_dim::<1>(1);
        let losses = match self.config.cross_entropy_coef {
            0.0 => transport.clone(),
            coef => transport.clone() + entropy.clone() * coef,
        };
        ratings.nll(losses)?.with_metric("transport", transport)?.with_metric("cross_entropy", entropy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distributional::testing::{check_gradients, gradient, host, like, matrix, near, starts};

    const NEAR: [[f64; 6]; 2] = [[0.9, 0.1, 0.0, 0.0, 0.0, 0.0], [0.9, 0.0, 0.1, 0.0, 0.0, 0.0]];
    const FAR: [f64; 6] = [0.9, 0.0, 0.0, 0.0, 0.0, 0.1];

    fn losses(p: &[f64], q: &[f64], transport: Transport) -> Vec<f64> {
        host(&transport_losses(matrix(p, 6), matrix(q, 6), &transport).unwrap())
    }

    fn grades() -> Vec<f64> {
        (0..6).map(f64::from).collect()
    }

    #[test]
    fn transport_tells_near_from_far_where_cross_entropy_does_not() {
        let (p, near_target) = (NEAR[0], NEAR[1]);
        near(&losses(&p, &near_target, Transport::Wasserstein), &[0.1], 1e-15);
        near(&losses(&p, &FAR, Transport::Wasserstein), &[0.4], 1e-15);
        near(&losses(&p, &FAR, Transport::Cramer), &[0.04], 1e-15);
        let clipped = |q: &[f64; 6]| -> f64 { q.iter().zip(p).map(|(q, p): (_, f64)| -q * p.max(1e-6).ln()).sum() };
        near(&[clipped(&near_target), clipped(&FAR)], &[1.47637552; 2], 1e-8);
        let logits = matrix(&p.map(|p: f64| p.max(1e-6).ln()), 6);
        let entropies = |q: &[f64; 6]| host(&cross_entropies(logits.clone(), matrix(q, 6)).unwrap())[0];
        assert_eq!(entropies(&near_target), entropies(&FAR));
    }

    #[test]
    fn both_faces_agree() {
        let (p, q) = ([0.1, 0.25, 0.05, 0.3, 0.1, 0.2], [0.3, 0.05, 0.15, 0.1, 0.25, 0.15]);
        let (distance, slopes) = wasserstein(&p, &q, &grades()).unwrap();
        near(&losses(&p, &q, Transport::Wasserstein), &[distance], 1e-14);
        let moved = gradient(&p, |x| {
            let target = like(&x, &q).unsqueeze_dim::<2>(0);
            transport_losses(x.unsqueeze_dim(0), target, &Transport::Wasserstein).unwrap()
        });
        let mean = moved.iter().sum::<f64>() / 6.0;
        near(&slopes, &moved.iter().map(|slope| slope - mean).collect::<Vec<_>>(), 1e-14);
        assert!(slopes.iter().sum::<f64>().abs() < 1e-14);
        // Uneven atoms: a tenth over a gap of 2.5, and half a tenth over 1.
        let (distance, slopes) = wasserstein(&[0.6, 0.3, 0.1], &[0.5, 0.45, 0.05], &[0.0, 2.5, 3.5]).unwrap();
        near(&[distance], &[0.25 + 0.05], 1e-14);
        // Slopes 2.5 − 1, −1, 0 less their mean.
        near(&slopes, &[1.5 - 1.0 / 6.0, -1.0 - 1.0 / 6.0, -1.0 / 6.0], 1e-14);
        let (distance, slopes) = wasserstein(&p, &p, &grades()).unwrap();
        assert_eq!((distance, slopes), (0.0, vec![0.0; 6]));
    }

    #[test]
    fn entropic_transport_tends_to_the_exact_one_and_its_gradient_is_its_potential() {
        let (p, q) = ([0.1, 0.25, 0.05, 0.3, 0.1, 0.2], [0.3, 0.05, 0.15, 0.1, 0.25, 0.15]);
        let sinkhorn = |power, epsilon, iterations| Transport::Sinkhorn { power, epsilon, iterations };
        let (exact, _) = wasserstein(&p, &q, &grades()).unwrap();
        let fine = losses(&p, &q, sinkhorn(1.0, 0.01, 4000))[0];
        assert!((fine - exact).abs() < 0.02, "{fine} {exact}");
        let usual = losses(&p, &q, sinkhorn(1.0, 0.05, 100))[0];
        assert!((usual - exact).abs() < 0.1, "{usual} {exact}");
        // Logits keep the rows on the simplex; zero targets bind nothing.
        for power in [1.0, 2.0] {
            check_gradients(&[0.3, -1.0, 0.8, 0.1, 2.0, -0.4], |x| {
                let probs = log_probs(x.unsqueeze_dim::<2>(0)).exp();
                let target = like(&probs.clone().squeeze_dim(0), &[0.4, 0.0, 0.2, 0.1, 0.0, 0.3]).unsqueeze_dim::<2>(0);
                transport_losses(probs, target, &sinkhorn(power, 0.8, 300)).unwrap()
            });
        }
        let centered = gradient(&p, |x| {
            let target = like(&x, &q).unsqueeze_dim::<2>(0);
            transport_losses(x.unsqueeze_dim(0), target, &sinkhorn(1.0, 0.5, 100)).unwrap()
        });
        assert!(centered.iter().sum::<f64>().abs() < 1e-12);
        let sure = losses(&[1.0, 0.0, 0.0, 0.0, 0.0, 0.0], &[0.0, 0.0, 0.0, 1.0, 0.0, 0.0], sinkhorn(1.0, 0.05, 100));
        near(&sure, &[3.0], 1e-9);
    }

    #[test]
    fn gradients_are_derivatives() {
        for transport in [Transport::Wasserstein, Transport::Cramer] {
            let model = DprmConfig::new().with_num_grades(3).with_transport(transport).with_cross_entropy_coef(0.3);
            let model = model.init().unwrap();
            check_gradients(&[0.3, -1.0, 0.8, 0.1, 2.0, -0.4], |x| {
                let targets = like(&x, &[0.4, 0.0, 0.6, 0.1, 0.7, 0.2]).reshape([2, 3]);
                model.forward(&Ratings::new(x.reshape([2, 3]), targets).unwrap()).unwrap().losses
            });
        }
    }

    #[test]
    fn the_loss_is_transport_and_a_share_of_cross_entropy() {
        let model = DprmConfig::new().with_num_grades(2).with_cross_entropy_coef(0.5).init().unwrap();
        let ratings = Ratings::new(matrix(&[0.0, 3f64.ln()], 2), matrix(&[0.5, 0.5], 2)).unwrap();
        let nll = model.forward(&ratings).unwrap();
        let entropy = -0.5 * (0.25f64.ln() + 0.75f64.ln());
        near(&host(&nll.losses), &[0.25 + 0.5 * entropy], 1e-14);
        near(
            &[nll.means().mean("transport").unwrap(), nll.means().mean("cross_entropy").unwrap()],
            &[0.25, entropy],
            1e-12,
        );
        let plain = DprmConfig::new().with_num_grades(2).init().unwrap().forward(&ratings).unwrap();
        near(&host(&plain.losses), &[0.25], 1e-14);
        near(&host(&model.rewards(ratings.predictions(), None).unwrap()), &[0.75], 1e-14);
        near(&host(&model.rewards(ratings.predictions(), Some(&[4.0, -4.0])).unwrap()), &[-2.0], 1e-14);
    }

    #[test]
    fn votes_update_a_prior_by_hand() {
        let prior = [0.1, 0.4, 0.2, 0.3];
        let vote = |grade, weight| Vote { grade, weight };
        // Neighbors: 1 of 0; 0 or 2 of 1, the more likely 2; 1 or 3 of 2, the more likely 1; 2 of 3.
        let votes = [vote(0, 1.0), vote(1, 2.0), vote(2, 1.0), vote(3, 4.0)];
        let expected = [1.0 + 0.9, 4.0 + 0.1 + 1.8 + 0.1, 2.0 + 0.2 + 0.9 + 0.4, 3.0 + 3.6].map(|count| count / 18.0);
        near(&posterior(&prior, 10.0, &votes, 0.1).unwrap(), &expected, 1e-14);
        near(&posterior(&prior, 10.0, &[], 0.1).unwrap(), &prior, 1e-14);
        near(&posterior(&prior, 0.0, &[vote(2, 3.0)], 0.0).unwrap(), &[0.0, 0.0, 1.0, 0.0], 1e-14);
        // As likely on both sides: the lower one.
        near(&posterior(&[0.25; 4], 0.0, &[vote(2, 1.0)], 0.2).unwrap(), &[0.0, 0.2, 0.8, 0.0], 1e-14);
        starts(posterior(&[1.0], 1.0, &[], 0.1), "`prior`: expected at least 2 grades");
        starts(posterior(&[0.5, 0.6], 1.0, &[], 0.1), "`prior`: expected probabilities with sum 1");
        starts(posterior(&[1.5, -0.5], 1.0, &[], 0.1), "record 0: `prior`");
        for bad in [-1.0, f64::NAN, f64::INFINITY] {
            starts(posterior(&prior, bad, &[], 0.1), "`strength`");
            starts(posterior(&prior, 1.0, &[vote(0, bad)], 0.1), "record 0: `weight`");
        }
        for smoothing in [-0.1, 1.0, f64::NAN] {
            starts(posterior(&prior, 1.0, &[], smoothing), "`smoothing`");
        }
        starts(posterior(&prior, 1.0, &[vote(4, 1.0)], 0.1), "record 0: `grade` 4 is not in 0..4");
        starts(posterior(&prior, 0.0, &[], 0.1), "`votes`");
    }

    #[test]
    fn beta_votes_reproduce_the_reference_figures() {
        let beta = BetaVotes { up: 4.0, down: 2.0 };
        let expected = [0.003344, 0.041924, 0.142233, 0.273405, 0.342850, 0.196245];
        near(&beta.grades(6).unwrap(), &expected, 5e-7);
        assert!((beta.grades(6).unwrap().iter().sum::<f64>() - 1.0).abs() < 1e-14);
        let voted = BetaVotes { up: 1.0, down: 1.5 }.voted(6.0, 1.0, 0.5).unwrap();
        assert_eq!(voted, BetaVotes { up: 4.0, down: 2.0 });
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            starts(BetaVotes { up: bad, down: 1.0 }.grades(6), "`up`");
            starts(BetaVotes { up: 1.0, down: bad }.grades(6), "`down`");
        }
        starts(beta.grades(1), "`num_grades`");
        for bad in [-1.0, f64::NAN, f64::INFINITY] {
            starts(beta.voted(bad, 0.0, 1.0), "`ups`");
            starts(beta.voted(0.0, bad, 1.0), "`downs`");
            starts(beta.voted(0.0, 0.0, bad), "`scale`");
        }
    }

    #[test]
    fn settings_and_shapes_are_checked() {
        let config = DprmConfig::new();
        assert_eq!((config.num_grades, config.transport, config.cross_entropy_coef), (6, Transport::Wasserstein, 0.0));
        starts(DprmConfig::new().with_num_grades(1).init(), "`num_grades`");
        for coef in [-0.1, f64::NAN, f64::INFINITY] {
            starts(DprmConfig::new().with_cross_entropy_coef(coef).init(), "`cross_entropy_coef`");
        }
        let sinkhorn = |power, epsilon, iterations| Transport::Sinkhorn { power, epsilon, iterations };
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            starts(DprmConfig::new().with_transport(sinkhorn(bad, 0.1, 1)).init(), "`power`");
            starts(DprmConfig::new().with_transport(sinkhorn(1.0, bad, 1)).init(), "`epsilon`");
        }
        starts(transport_losses(matrix(&[1.0], 1), matrix(&[1.0], 1), &sinkhorn(1.0, 1.0, 0)), "`iterations`");
        starts(transport_losses(matrix(&[1.0], 1), matrix(&[1.0, 0.0], 2), &Transport::Cramer), "`targets`");
        let model = DprmConfig::new().with_num_grades(2).init().unwrap();
        let run =
            |p: &[f64], k, q: &[f64], m| model.forward(&Ratings::new(matrix(p, k), matrix(q, m)).unwrap()).map(|_| ());
        starts(run(&[0.0; 3], 3, &[1.0, 0.0], 2), "`predictions`");
        starts(run(&[0.0; 2], 2, &[1.0], 1), "`targets`");
        starts(model.rewards(matrix(&[0.0; 3], 3), None), "`logits`");
        starts(model.rewards(matrix(&[0.0; 3], 3), Some(&[0.0; 2])), "`logits`");
        starts(model.rewards(matrix(&[0.0; 2], 2), Some(&[0.0; 3])), "`utilities`");
        starts(model.rewards(matrix(&[0.0; 2], 2), Some(&[0.0, f64::NAN])), "record 1: `utilities`");
        starts(wasserstein(&[1.0], &[0.5, 0.5], &[0.0]), "`q`");
        starts(wasserstein(&[1.0], &[1.0], &[]), "`atoms`");
        starts(wasserstein(&[0.5], &[1.0], &[0.0]), "`p`");
        starts(wasserstein(&[1.0], &[f64::NAN], &[0.0]), "record 0: `q`");
        starts(wasserstein(&[0.5, 0.5], &[0.5, 0.5], &[0.0, 0.0]), "record 1: `atoms`");
        for k in [0, 1] {
            let none = || Tensor::<2>::zeros([2 - k, 1], (&burn::tensor::Device::flex(), burn::tensor::DType::F64));
            let got = transport_losses(none(), none(), &Transport::Wasserstein).unwrap();
            assert_eq!(got.dims(), [2 - k]);
        }
    }
}
