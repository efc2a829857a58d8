//! Drift diffusion (DDM): who is chosen, and how quickly.
//!
//! **Paper:** A General Framework for Estimating Preferences Using Response Time Data (2025), 2507.20403; first-passage
//! densities as in Fast and accurate calculations for first-passage times in Wiener diffusion models (D. J. Navarro and
//! I. G. Fuss, 2009).
//! **Use when:** response times were recorded: a quick choice tells of a strong preference, where choices alone all agree
//! and tell no more.
//! **Checked by:** reference figures, both series against each other and against integrals, gradients, sampling.
//! **Deviations:** of each series a fixed number of terms is taken, exact to rounding; Navarro and Fuss count them for a given
//! error.

use std::f64::consts::PI;

use accordant_ops::{
    check_domain, check_shape,
    host::{log_sigmoid, logistic},
};
use burn::{config::Config, tensor::Tensor};
use rand::Rng;
use rand_distr::{Distribution, Exp1};

use crate::{Nll, Result, pairwise::PairScores};

/// A symmetric diffusion: evidence with unit noise drifts by the difference of two utilities and starts halfway between
/// two barriers.
///
/// ```text
/// P(first) = σ(2 B v)     E[T] = (B / v) tanh(B v),  B² at v = 0     E[C] = tanh(B v),  C = ±1     E[C] / E[T] = v / B
/// ```
///
/// # Example
/// ```
/// use accordant_preference::trajectory::drift_diffusion::DriftDiffusion;
/// let model = DriftDiffusion::new(1.0)?;
/// assert!((model.expected_choice(0.5) / model.expected_time(0.5) - 0.5).abs() < 1e-15);
/// assert_eq!(model.expected_time(0.0), 1.0);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "2507.20403")]
#[doc(alias = "response time")]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DriftDiffusion {
    barrier: f64,
}

impl DriftDiffusion {
    /// Barriers at ±B, `barrier` finite and > 0.
    ///
    /// # Errors
    /// A domain error naming `barrier`.
    pub fn new(barrier: f64) -> Result<Self> {
        check_domain(barrier.is_finite() && barrier > 0.0, "barrier", "finite and > 0", barrier)?;
        Ok(Self { barrier })
    }

    /// B.
    pub fn barrier(&self) -> f64 {
        self.barrier
    }

    /// The chance that the first is chosen: Bradley-Terry's with β = 2 B.
    pub fn chance(&self, drift: f64) -> f64 {
        logistic(2.0 * self.barrier * drift)
    }

    /// The mean of the choice, 1 for the first and −1 for the second.
    pub fn expected_choice(&self, drift: f64) -> f64 {
        (self.barrier * drift).tanh()
    }

    /// The mean of the time that the decision takes.
    pub fn expected_time(&self, drift: f64) -> f64 {
        let x = self.barrier * drift;
        let square = self.barrier * self.barrier;
        // tanh(x) / x; the next term of its series is below rounding.
        if x.abs() < 1e-4 { square * (1.0 - x * x / 3.0) } else { square * x.tanh() / x }
    }

    /// The log-density of a choice at a time > 0, in nats; −∞ at other times.
    ///
    /// ```text
    /// log f(t, ±) = ±v B − v² t / 2 + log f₀(t / 4B²) − log 4B²
    /// ```
    pub fn log_density(&self, drift: f64, first: bool, time: f64) -> f64 {
        let width = 4.0 * self.barrier * self.barrier;
        let choice = if first { 1.0 } else { -1.0 };
        match time > 0.0 {
            true => {
                choice * drift * self.barrier - 0.5 * drift * drift * time + log_first_passage(time / width)[0]
                    - width.ln()
            }
            false => f64::NEG_INFINITY,
        }
    }

    /// A choice (whether it is the first) and its time.
    ///
    /// The time is a sum of exponential ones with rates `v²/2 + π²(2k − 1)²/8B²`, of which the first 200 are drawn and the
    /// rest has its mean: its standard deviation is below 1e-4 B².
    pub fn sample(&self, drift: f64, rng: &mut impl Rng) -> (bool, f64) {
        const TERMS: u32 = 200;
        let first = rng.random::<f64>() < self.chance(drift);
        let (mut time, mut rest) = (0.0, self.expected_time(drift));
        for k in 1..=TERMS {
            let odd = f64::from(2 * k - 1) * PI / self.barrier;
            let mean = 1.0 / (0.5 * drift * drift + odd * odd / 8.0);
            let draw: f64 = Exp1.sample(rng);
            time += mean * draw;
            rest -= mean;
        }
        (first, time + rest.max(0.0))
    }
}

/// Where the series below take turns: before it five terms of the one are exact to rounding, after it three of the other.
const TURN: f64 = 0.35;

/// The log of the density of the time at which a driftless diffusion between 0 and 1 that starts at ½ leaves at 1, and its
/// derivative by that time `u` > 0.
///
/// Two series are the same function; each is taken where it needs few terms:
///
/// ```text
/// f₀(u) = (2πu³)^{−1/2} Σ_k (½ + 2k) e^{−(½ + 2k)²/2u} = π Σ_{k≥1} k e^{−k²π²u/2} sin(kπ/2)
/// ```
///
/// # Example
/// ```
/// use accordant_preference::trajectory::drift_diffusion::log_first_passage;
/// use std::f64::consts::PI;
/// // Late on, one term is left.
/// assert!((log_first_passage(3.0)[0] - (PI.ln() - 1.5 * PI * PI)).abs() < 1e-12);
/// ```
pub fn log_first_passage(u: f64) -> [f64; 2] {
    if u < TURN { small_times(u, 2) } else { large_times(u, 3) }
}

/// The series that needs few terms for small `u`, from k = −`terms` to `terms`.
fn small_times(u: f64, terms: i32) -> [f64; 2] {
    // Relative to the first term, e^{−1/8u} / 2, which underflows by itself.
    let (mut sum, mut slope) = (0.0, 0.0);
    for k in -terms..=terms {
        let c = 0.5 + 2.0 * f64::from(k);
        let term = c * ((0.25 - c * c) / (2.0 * u)).exp();
        sum += term;
        slope += term * c * c / (2.0 * u * u);
    }
    let log = sum.ln() - 1.0 / (8.0 * u) - 0.5 * (2.0 * PI * u * u * u).ln();
    [log, slope / sum - 1.5 / u]
}

/// The series that needs few terms for large `u`, `terms` of which are not 0.
fn large_times(u: f64, terms: u32) -> [f64; 2] {
    // Relative to the first term; even ones are 0.
    let (mut sum, mut slope) = (0.0, 0.0);
    for at in 0..terms {
        let k = f64::from(2 * at + 1);
        let rate = k * k * PI * PI / 2.0;
        let term = ((PI * PI / 2.0 - rate) * u).exp() * if at % 2 == 0 { k } else { -k };
        sum += term;
        slope -= term * rate;
    }
    [PI.ln() + sum.ln() - PI * PI * u / 2.0, slope / sum]
}

/// Negative log-densities of choices and their times, one per pair, up to a term of the times alone.
///
/// ```text
/// v = r_first − r_second     loss = ½ v² T − (2t − 1) B v
/// ```
///
/// The gradient by the first score is `v T − (2t − 1) B`: 0 where the drift is the barrier by the time.
///
/// # Shapes
/// `[n]` throughout. `times` are those of decisions, > 0: take what is not decision off first. Targets t are 1 and 0; one
/// between is a mixture of both choices at that time.
///
/// # Errors
/// A shape error naming `times`.
#[doc(alias = "2507.20403")]
pub fn drift_diffusion_losses(pairs: &PairScores, times: Tensor<1>, barrier: f64) -> Result<Tensor<1>> {
    let drifts = pairs.leads();
    check_shape("times", &drifts.dims(), &times.dims())?;
    let choices = pairs.targets() * 2.0 - 1.0;
    Ok(drifts.clone().square() * times.detach() * 0.5 - drifts * choices * barrier)
}

/// Configuration of [`DriftDiffusionLoss`].
#[derive(Config, Debug, PartialEq)]
pub struct DriftDiffusionLossConfig {
    /// Where the barriers are, B, finite and > 0. 1: the unit of utilities.
    #[config(default = 1.0)]
    pub barrier: f64,
    /// What of each time is no decision (reading, moving), finite and ≥ 0; taken off. 0: it was.
    #[config(default = 0.0)]
    pub non_decision_time: f64,
}

impl DriftDiffusionLossConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<DriftDiffusionLoss> {
        let model = DriftDiffusion::new(self.barrier)?;
        let rest = self.non_decision_time;
        check_domain(rest.is_finite() && rest >= 0.0, "non_decision_time", "finite and >= 0", rest)?;
        Ok(DriftDiffusionLoss { model, non_decision_time: rest })
    }
}

/// The likelihood of timed choices, for networks; see [`drift_diffusion_losses`]. Tables of features have closed forms:
/// [`super::response_times`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DriftDiffusionLoss {
    model: DriftDiffusion,
    non_decision_time: f64,
}

impl DriftDiffusionLoss {
    /// One loss per pair; logs the error of the expected times, `mean_time_error` (T less its mean given the drift).
    ///
    /// Times that are not longer than the non-decision time are not looked for on the device; check them once with
    /// [`super::response_times::check_times`].
    ///
    /// # Errors
    /// A shape error naming `times`.
    pub fn forward(&self, pairs: &PairScores, times: Tensor<1>) -> Result<Nll> {
        let times = times - self.non_decision_time;
        let losses = drift_diffusion_losses(pairs, times.clone(), self.model.barrier)?;
        let x = pairs.leads().detach() * self.model.barrier;
        let near = x.clone().abs().lower_elem(1e-4);
        let ratio = x.clone().tanh() / x.clone().mask_fill(near.clone(), 1.0);
        let ratio = ratio.mask_where(near, x.square() * (-1.0f64 / 3.0) + 1.0);
        let error = times - ratio * (self.model.barrier * self.model.barrier);
        pairs.nll(losses)?.with_metric("mean_time_error", error)
    }
}

/// The log-chance of the choice alone.
pub(crate) fn log_chance(barrier: f64, drift: f64, first: bool) -> f64 {
    log_sigmoid(if first { 2.0 } else { -2.0 } * barrier * drift)
}

#[cfg(test)]
mod tests {
    use accordant_laws::gradient::{central, check_gradient};

    use super::*;
    use crate::{
        link::{Link, Logit},
        random::{Purpose, stream},
        trajectory::testing::{check, close, pairs, tensor, values},
    };

    #[test]
    fn a_small_drift_takes_nearly_as_long_as_none() {
        let model = DriftDiffusion::new(2.0).unwrap();
        assert_eq!(model.barrier(), 2.0);
        // tanh(x) / x = 1 − x²/3, at x = 9e-5.
        let missing = 1.0 - model.expected_time(4.5e-5) / 4.0;
        assert!((missing / (9e-5 * 9e-5) - 1.0 / 3.0).abs() < 1e-6, "{missing}");
    }

    #[test]
    fn the_error_of_the_times_is_in_units_of_time() {
        let model = DriftDiffusionLossConfig::new().with_barrier(2.0).init().unwrap();
        let nll = model.forward(&pairs(&[0.5, 0.0, 4e-5], &[0.0; 3]), tensor(&[3.0, 5.0, 4.0])).unwrap();
        let (errors, _) = nll.metric("mean_time_error").unwrap();
        // Expected: B² tanh(x) / x with x = B v: 1, 0 and 8e-5, where it is 4 (1 − x²/3).
        close(&values(errors.clone()), &[3.0 - 4.0 * 1f64.tanh(), 1.0, 4.0 * 64e-10 / 3.0], 1e-12);
    }

    #[test]
    fn closed_forms_as_in_the_reference_figures() {
        let model = DriftDiffusion::new(1.0).unwrap();
        let got = [model.chance(0.5), model.expected_time(0.5), model.expected_choice(0.5)];
        close(&got, &[0.73105858, 0.92423431, 0.46211716], 1e-8);
        for (barrier, drift) in [(0.7, 1.3), (2.0, -0.4), (1.0, 1e-5), (1.0, -2e-4), (3.0, 0.0), (1.0, 30.0)] {
            let model = DriftDiffusion::new(barrier).unwrap();
            let (choice, time) = (model.expected_choice(drift), model.expected_time(drift));
            close(&[choice / time], &[drift / barrier], 1e-12 * (1.0 + drift.abs()));
            close(&[2.0 * model.chance(drift) - 1.0], &[choice], 1e-14);
            close(&[model.chance(drift)], &[Logit.first(2.0 * barrier * drift, 0.0).value.exp()], 1e-15);
        }
        assert_eq!(DriftDiffusion::new(3.0).unwrap().expected_time(0.0), 9.0);
        assert_eq!(model.barrier(), 1.0);
    }

    #[test]
    fn the_terms_that_are_taken_are_enough() {
        for at in 0..64 {
            let u = 0.01 * 1.13f64.powi(at);
            let exact = if u < 0.6 { small_times(u, 20) } else { large_times(u, 20) };
            close(&log_first_passage(u), &exact, 1e-13 * (1.0 + exact[0].abs() + exact[1].abs()));
        }
        // On both sides of the turn, where both need all of theirs.
        for u in [TURN - 1e-9, TURN + 1e-9] {
            close(&log_first_passage(u), &small_times(u, 20), 1e-13);
        }
        close(&[TURN], &[0.35], 0.0);
    }

    #[test]
    fn both_series_are_one_function_with_its_derivative() {
        for u in [0.05, 0.1, 0.2, 0.4, 0.8, 1.5] {
            let (small, large) = (small_times(u, 15), large_times(u, 21));
            close(&[small[0]], &[large[0]], 1e-12);
            close(&[small[1]], &[large[1]], 1e-9);
        }
        for u in [0.004, 0.03, 0.1, 0.3, 1.0, 8.0] {
            // By ln u: the step is absolute.
            let slope = log_first_passage(u)[1];
            check_gradient(|x| log_first_passage(x[0].exp())[0], &[u.ln()], &[u * slope]).unwrap();
        }
    }

    #[test]
    fn the_series_are_short_and_finite_far_out() {
        // 1/8u = 125 000 nats: the density itself is 0 in f64.
        let [log, slope] = log_first_passage(1e-6);
        close(&[log], &[0.5f64.ln() - 125_000.0 - 0.5 * (2.0 * PI * 1e-18).ln()], 1e-6);
        assert!((slope / 1.25e11 - 1.0).abs() < 1e-4);
        close(&log_first_passage(1e4), &[PI.ln() - PI * PI * 5e3, -PI * PI / 2.0], 1e-6);
    }

    /// Integrates by the midpoint rule.
    fn integral(f: impl Fn(f64) -> f64) -> f64 {
        let step = 1e-3;
        (0..40_000).map(|i| step * f((f64::from(i) + 0.5) * step)).sum()
    }

    #[test]
    fn densities_integrate_to_chances_and_to_mean_times() {
        for (barrier, drift) in [(1.0, 0.5), (0.8, -1.2), (1.3, 0.0)] {
            let model = DriftDiffusion::new(barrier).unwrap();
            let density = |first, t: f64| model.log_density(drift, first, t).exp();
            close(&[integral(|t| density(true, t))], &[model.chance(drift)], 1e-6);
            close(&[integral(|t| density(false, t))], &[1.0 - model.chance(drift)], 1e-6);
            let mean = integral(|t| t * (density(true, t) + density(false, t)));
            close(&[mean], &[model.expected_time(drift)], 1e-6);
        }
        let model = DriftDiffusion::new(1.0).unwrap();
        assert_eq!([0.0, -1.0].map(|t| model.log_density(0.5, true, t)), [f64::NEG_INFINITY; 2]);
    }

    #[test]
    fn samples_have_the_chances_means_and_variances_of_the_model() {
        const N: usize = 20_000;
        for (at, (barrier, drift)) in [(1.0, 0.5), (1.5, -0.8), (0.7, 0.0)].into_iter().enumerate() {
            let model = DriftDiffusion::new(barrier).unwrap();
            let mut rng = stream(11, Purpose::Sample, at as u32);
            let draws: Vec<_> = (0..N).map(|_| model.sample(drift, &mut rng)).collect();
            let share = draws.iter().filter(|(first, _)| *first).count() as f64 / N as f64;
            let p = model.chance(drift);
            // Five standard errors: a false alarm in a million.
            assert!((share - p).abs() < 5.0 * (p * (1.0 - p) / N as f64).sqrt(), "{share} for {p}");
            let second =
                integral(|t| t * t * [true, false].map(|c| model.log_density(drift, c, t).exp()).iter().sum::<f64>());
            let mean = model.expected_time(drift);
            let deviation = (second - mean * mean).sqrt();
            let got = draws.iter().map(|(_, t)| t).sum::<f64>() / N as f64;
            assert!((got - mean).abs() < 5.0 * deviation / (N as f64).sqrt(), "{got} for {mean}");
            let spread = draws.iter().map(|(_, t)| (t - mean).powi(2)).sum::<f64>() / N as f64;
            assert!((spread / (deviation * deviation) - 1.0).abs() < 0.1, "{spread} for {}", deviation * deviation);
            assert!(draws.iter().all(|(_, t)| *t > 0.0));
        }
    }

    #[test]
    fn a_time_is_a_sum_of_exponential_ones_and_the_mean_of_the_rest() {
        for (barrier, drift) in [(1.0, 0.0), (2.0, 1.0)] {
            let model = DriftDiffusion::new(barrier).unwrap();
            let (first, time) = model.sample(drift, &mut stream(7, Purpose::Sample, 0));
            let mut rng = stream(7, Purpose::Sample, 0);
            assert_eq!(first, rng.random::<f64>() < model.chance(drift));
            // Rates v²/2 + π² k² / 8B² for k = 1, 3, …, 399: at B = 1 and v = 0, means 8/π², 8/9π², …
            let means =
                (0..200).map(|at| 1.0 / (drift * drift / 2.0 + (PI * f64::from(2 * at + 1) / barrier).powi(2) / 8.0));
            let (drawn, mean) = means.fold((0.0, 0.0), |(drawn, sum), mean| {
                let draw: f64 = Exp1.sample(&mut rng);
                (drawn + mean * draw, sum + mean)
            });
            // 1 − 8/π² (1 + 1/9 + …) = 0.001 of B².
            let rest = model.expected_time(drift) - mean;
            assert!(rest > 0.0009 * barrier * barrier && rest < 0.0012 * barrier * barrier, "{rest}");
            close(&[time], &[drawn + rest], 1e-12);
        }
    }

    #[test]
    fn a_target_between_is_a_mixture_of_both_choices() {
        let scored = pairs(&[0.5], &[0.0]).with_targets(tensor(&[0.75])).unwrap();
        // ½ · ¼ · 0.8 − (2 · ¾ − 1) · 1.2 · ½
        close(&values(drift_diffusion_losses(&scored, tensor(&[0.8]), 1.2).unwrap()), &[0.1 - 0.3], 1e-15);
    }

    #[test]
    fn the_loss_on_tensors_is_the_density_up_to_a_term_of_the_times() {
        let (drifts, times, firsts) = ([0.5, -1.0, 2.0], [0.7, 1.4, 0.3], [1.0, 0.0, 0.0]);
        let scored = pairs(&drifts, &[0.0; 3]).with_targets(tensor(&firsts)).unwrap();
        let losses = values(drift_diffusion_losses(&scored, tensor(&times), 1.2).unwrap());
        let model = DriftDiffusion::new(1.2).unwrap();
        for i in 0..3 {
            let first = firsts[i] == 1.0;
            let density = |drift| model.log_density(drift, first, times[i]);
            close(&[losses[i]], &[density(0.0) - density(drifts[i])], 1e-12);
        }
        // ½ · ¼ · 0.7 − 1.2 · ½
        close(&losses[..1], &[-0.5125], 1e-12);
    }

    #[test]
    fn the_loss_is_least_where_the_drift_is_the_barrier_by_the_time() {
        let gradient = check(&[0.5, 0.3, -1.0], |x| {
            let scored = PairScores::new(x.clone(), x.zeros_like()).unwrap();
            let scored = scored.with_targets(tensor(&[1.0, 1.0, 0.0])).unwrap();
            let config = DriftDiffusionLossConfig::new().with_barrier(2.0).with_non_decision_time(0.25);
            config.init().unwrap().forward(&scored, tensor(&[4.25, 4.25, 2.25])).unwrap().losses
        });
        close(&gradient, &[0.0, -0.8, 0.0], 1e-12);
    }

    #[test]
    fn the_error_of_the_times_is_logged() {
        let model = DriftDiffusionLossConfig::new().with_non_decision_time(0.1).init().unwrap();
        let nll = model.forward(&pairs(&[0.5, 0.0, 2e-5], &[0.0; 3]), tensor(&[1.1, 1.1, 1.1])).unwrap();
        close(&values(nll.metric("mean_time_error").unwrap().0.clone()), &[1.0 - 0.92423431, 0.0, 0.0], 1e-8);
    }

    #[test]
    fn a_choice_alone_is_bradley_and_terrys() {
        close(
            &[log_chance(1.0, 0.5, true), log_chance(1.0, 0.5, false)],
            &[0.73105858f64.ln(), 0.26894142f64.ln()],
            1e-7,
        );
        assert!((central(|v| log_chance(2.0, v, true), 0.0, 1e-3) - 2.0).abs() < 1e-6);
    }

    #[test]
    fn fields_and_shapes_are_checked() {
        let text = |config: DriftDiffusionLossConfig| config.init().unwrap_err().to_string();
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(text(DriftDiffusionLossConfig::new().with_barrier(bad)).starts_with("`barrier`"));
        }
        for bad in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(
                text(DriftDiffusionLossConfig::new().with_non_decision_time(bad)).starts_with("`non_decision_time`")
            );
        }
        let error = drift_diffusion_losses(&pairs(&[1.0, 2.0], &[0.0; 2]), tensor(&[1.0]), 1.0).unwrap_err();
        assert!(error.to_string().starts_with("`times`"));
        let defaults = DriftDiffusionLossConfig::new();
        assert_eq!((defaults.barrier, defaults.non_decision_time), (1.0, 0.0));
    }
}
