//! How likely each label is right, by expectation maximization (LCPO).
//!
//! **Paper:** Latent Collective Preference Optimization: A General Framework for Robust LLM Alignment (2025), 2509.24159.
//! **Status:** the steps are the paper's; starting reliability and rate are ours.
//! **Use when:** an unknown share of the labels is wrong. It finds the true share as far as the model is calibrated: one that
//! is surer than it should be takes all labels for right.
//! **Checked by:** reference figures (posteriors, the fixed point, a calibrated model), monotonicity, gradients, the forward
//! correction whose gradient it has.
//! **Deviations:** none. For one reliability per annotator see Crowd-BT.

use accordant_ops::{check_domain, host::logistic, stable::log_sigmoid};
use burn::{config::Config, tensor::Tensor};
use serde::{Deserialize, Serialize};

use crate::{
    Comparisons, Error, Nll, Outcome, Report, Result,
    error::{check_length, check_record, check_weight},
    link::{Link, Logit},
    pairwise::{PairScores, PairwiseLoss},
    ranking::{NewtonConfig, Ranking},
};

/// How far the reliability stays from a coin's and from certainty.
const LEAST: f64 = 0.501;
const MOST: f64 = 0.9999;

fn check_reliability(reliability: f64) -> Result<()> {
    let holds = (LEAST..=MOST).contains(&reliability);
    Ok(check_domain(holds, "reliability", "in [0.501, 0.9999]", reliability)?)
}

/// The chances that labels are right, given the losses of the pairs as labeled and the other way round: the E-step.
///
/// ```text
/// c = σ(log η/(1 − η) + ℓ(wrong) − ℓ(right))
/// ```
///
/// Of Bradley-Terry's losses, `ℓ(−d) − ℓ(d) = d`: `c = σ(logit η + d)`.
///
/// # Shapes
/// `right`, `wrong` and the result: `[n]`; detached. `reliability`: η, the share of right labels, in (0, 1).
///
/// # Errors
/// A shape error naming `wrong`.
///
/// # Example
/// ```
/// use accordant_preference::robust::label_correctness::correctness;
/// use burn::tensor::{Device, Tensor};
/// let one = |x: f32| Tensor::<1>::from_floats([x], &Device::flex());
/// // Odds of 3 : 1 before, and twice as likely as the opposite by its loss: 6 : 1.
/// let chance = correctness(one(1.0), one(1.0 + 2f32.ln()), 0.75)?;
/// assert!((chance.into_scalar::<f32>() - 6.0 / 7.0).abs() < 1e-6);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "2509.24159")]
#[doc(alias = "LCPO")]
pub fn correctness(right: Tensor<1>, wrong: Tensor<1>, reliability: f64) -> Result<Tensor<1>> {
    accordant_ops::check_shape("wrong", &right.dims(), &wrong.dims())?;
    Ok(log_sigmoid((wrong - right).detach() + logit(reliability)).exp())
}

fn logit(chance: f64) -> f64 {
    chance.ln() - (-chance).ln_1p()
}

/// Configuration of [`LabelCorrectness`].
#[derive(Config, Debug, PartialEq)]
pub struct LabelCorrectnessConfig {
    /// The share η of right labels at the start, in [0.501, 0.9999]. 0.9: ours.
    #[config(default = 0.9)]
    pub reliability: f64,
    /// How far η moves towards each batch's mean, ρ, in [0, 1]; 0 keeps it. 0.1: ours.
    #[config(default = 0.1)]
    pub rate: f64,
}

impl LabelCorrectnessConfig {
    /// Checks the fields and wraps a loss.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self, base: Box<dyn PairwiseLoss>) -> Result<LabelCorrectness> {
        check_reliability(self.reliability)?;
        check_domain((0.0..=1.0).contains(&self.rate), "rate", "in [0, 1]", self.rate)?;
        Ok(LabelCorrectness { base, reliability: self.reliability, rate: self.rate })
    }
}

/// A loss whose labels are right with an estimated chance.
///
/// ```text
/// E:  c = correctness, a constant     M:  loss = c ℓ(right) + (1 − c) ℓ(wrong)
/// η ← (1 − ρ) η + ρ mean(c)
/// ```
///
/// The gradient is that of `−log[η e^{−ℓ(right)} + (1 − η) e^{−ℓ(wrong)}]`: of Bradley-Terry's losses, the forward
/// correction's with rate `1 − η` ([`super::forward`]).
pub struct LabelCorrectness {
    base: Box<dyn PairwiseLoss>,
    reliability: f64,
    rate: f64,
}

impl std::fmt::Debug for LabelCorrectness {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let mut fields = f.debug_struct("LabelCorrectness");
        fields.field("reliability", &self.reliability).field("rate", &self.rate).finish_non_exhaustive()
    }
}

/// The metric that holds the chances.
const METRIC: &str = "label_correctness";

impl LabelCorrectness {
    /// η, the share of right labels as far as known.
    pub fn reliability(&self) -> f64 {
        self.reliability
    }

    /// Moves η towards the mean chance of a batch: call it once for each, with what [`PairwiseLoss::forward`] returned. A
    /// batch without a weight, or whose losses are no numbers, does not move it. η stays in [0.501, 0.9999].
    pub fn observe(&mut self, nll: &Nll) {
        if let Some(mean) = nll.means().mean(METRIC).filter(|mean| mean.is_finite()) {
            self.reliability = ((1.0 - self.rate) * self.reliability + self.rate * mean).clamp(LEAST, MOST);
        }
    }
}

impl PairwiseLoss for LabelCorrectness {
    /// What the base logs of the labels as they are, and `label_correctness`, the chances.
    fn forward(&self, pairs: &PairScores) -> Result<Nll> {
        let flipped = pairs.clone().with_targets(pairs.targets().neg() + 1.0)?;
        let (right, wrong) = (self.base.forward(pairs)?.losses, self.base.forward(&flipped)?.losses);
        let chances = correctness(right.clone(), wrong.clone(), self.reliability)?;
        // Selected where a chance is 0 or 1: a loss may be infinite there.
        let part = |chance: Tensor<1>, loss: Tensor<1>| {
            let none = chance.clone().equal_scalar(0.0);
            chance * loss.mask_fill(none, 0.0)
        };
        let losses = part(chances.clone(), right) + part(chances.clone().neg() + 1.0, wrong);
        pairs.nll(losses)?.with_metric(METRIC, chances)
    }
}

/// Configuration of fits on the host.
#[derive(Config, Debug, PartialEq)]
pub struct ReliabilityFitConfig {
    /// The share of right labels at the start, in [0.501, 0.9999]. 0.9: ours.
    #[config(default = 0.9)]
    pub reliability: f64,
    /// Converged when a step moves the share by no more than this, > 0. 1e-12: ours, close to rounding.
    #[config(default = 1e-12)]
    pub tolerance: f64,
    /// Steps at most. 10 000: ours; expectation maximization is slow where scores say little about labels.
    #[config(default = 10_000)]
    pub max_iterations: usize,
}

/// The share of right labels and how likely each is one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reliability {
    /// η.
    pub reliability: f64,
    /// `c_n`, at this η.
    pub chances: Vec<f64>,
    /// How the fit ended; `objective` is minus the log-likelihood of the labels, `gradient_norm` the last step's length.
    pub report: Report,
}

impl ReliabilityFitConfig {
    fn check(&self) -> Result<()> {
        check_reliability(self.reliability)?;
        Ok(check_domain(self.tolerance > 0.0, "tolerance", "> 0", self.tolerance)?)
    }

    /// The share of right labels where the leads of the labeled winners are known, `d_n`, in log-odds.
    ///
    /// The fixed point of `η = Σ w σ(logit η + d) / Σ w`: the true share when the leads are calibrated. The likelihood
    /// never falls on the way.
    ///
    /// # Errors
    /// A domain error naming a field; [`Error::Length`] naming `weights`, [`Error::Record`] for a lead that is not finite
    /// or a weight outside of [0, 1e100], [`Error::Empty`] without any weight.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::robust::label_correctness::ReliabilityFitConfig;
    /// // Two labels that are sure to be right and one that is sure to be wrong.
    /// let fitted = ReliabilityFitConfig::new().fit(&[40.0, 40.0, -40.0], &[1.0; 3])?;
    /// assert!((fitted.reliability - 2.0 / 3.0).abs() < 1e-12);
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn fit(&self, leads: &[f64], weights: &[f64]) -> Result<Reliability> {
        self.check()?;
        check_length("weights", leads.len(), weights.len())?;
        for (row, (&lead, &weight)) in leads.iter().zip(weights).enumerate() {
            check_record(lead.is_finite(), row, "lead", "a finite number", lead)?;
            check_weight(row, "weight", weight)?;
        }
        let total: f64 = weights.iter().sum();
        if total == 0.0 {
            return Err(Error::Empty { name: "leads", reason: "none has a weight" });
        }
        let mut reliability = self.reliability;
        let mut iterations = 0;
        loop {
            let chances = chances(leads, reliability);
            let mean = chances.iter().zip(weights).map(|(chance, weight)| chance * weight).sum::<f64>() / total;
            let next = mean.clamp(LEAST, MOST);
            let step = (next - reliability).abs();
            let converged = step <= self.tolerance;
            if converged || iterations == self.max_iterations {
                let objective = -log_likelihood(leads, weights, reliability);
                let report = Report { converged, iterations, objective, gradient_norm: step };
                return Ok(Reliability { reliability, chances, report });
            }
            reliability = next;
            iterations += 1;
        }
    }

    /// Scores of the items of a table and the share of right labels together: each step fits the scores to the labels
    /// weighted by how likely they are right ([`NewtonConfig`], which also says what becomes of ties), then the share.
    ///
    /// The likelihood is the forward correction's with a free rate, and never falls. It has more than one maximum; a
    /// reliability near 1 at the start finds the one near Bradley-Terry's.
    ///
    /// # Errors
    /// A domain error naming a field; as [`NewtonConfig::fit`].
    pub fn fit_table(&self, judged: &Comparisons, scores: &NewtonConfig) -> Result<(Ranking, Reliability)> {
        self.check()?;
        let mut ranking = scores.fit(judged)?;
        let mut reliability = self.reliability;
        let mut iterations = 0;
        // A tie or a share is so many labels each way, each of which may be wrong.
        let labels: Vec<(usize, usize, f64)> = judged
            .records()
            .iter()
            .flat_map(|r| {
                let share = r.outcome.share();
                [(r.first, r.second, r.weight * share), (r.second, r.first, r.weight * (1.0 - share))]
            })
            .filter(|(_, _, weight)| *weight > 0.0)
            .collect();
        let weights: Vec<f64> = labels.iter().map(|(_, _, weight)| *weight).collect();
        let total: f64 = weights.iter().sum();
        loop {
            let leads: Vec<f64> = labels.iter().map(|&(a, b, _)| ranking.scores[a] - ranking.scores[b]).collect();
            let chances = chances(&leads, reliability);
            let mean = chances.iter().zip(&weights).map(|(chance, weight)| chance * weight).sum::<f64>() / total;
            let next = mean.clamp(LEAST, MOST);
            let mut soft = Comparisons::new(judged.num_items());
            for (&(winner, loser, weight), chance) in labels.iter().zip(&chances) {
                soft.push_weighted(winner, loser, Outcome::Share(*chance), weight)?;
            }
            let refitted = scores.fit(&soft)?;
            let moves = refitted.scores.iter().zip(&ranking.scores).map(|(new, old)| (new - old).abs());
            let step = moves.fold((next - reliability).abs(), f64::max);
            let converged = step <= self.tolerance;
            if converged || iterations == self.max_iterations {
                let objective = -log_likelihood(&leads, &weights, reliability);
                let report = Report { converged, iterations, objective, gradient_norm: step };
                return Ok((ranking, Reliability { reliability, chances, report }));
            }
            (ranking, reliability) = (refitted, next);
            iterations += 1;
        }
    }
}

fn chances(leads: &[f64], reliability: f64) -> Vec<f64> {
    leads.iter().map(|lead| logistic(logit(reliability) + lead)).collect()
}

/// `Σ w log[η σ(d) + (1 − η) σ(−d)]`.
fn log_likelihood(leads: &[f64], weights: &[f64], reliability: f64) -> f64 {
    let one = |(lead, weight): (&f64, &f64)| {
        let [right, wrong] = [lead, &-lead].map(|d| Logit.first(*d, 0.0).value.exp());
        weight * (reliability * right + (1.0 - reliability) * wrong).ln()
    };
    leads.iter().zip(weights).map(one).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        pairwise::bradley_terry::BradleyTerryConfig,
        robust::{FlipRates, forward::forward_losses},
        trajectory::testing::{check, close, pairs, tensor, values},
    };

    const LEADS: [f64; 6] = [2.0, 1.0, -0.5, 3.0, -2.0, 0.3];

    fn model(reliability: f64, rate: f64) -> LabelCorrectness {
        let base = Box::new(BradleyTerryConfig::new().init().unwrap());
        LabelCorrectnessConfig::new().with_reliability(reliability).with_rate(rate).init(base).unwrap()
    }

    fn fit(reliability: f64) -> Reliability {
        ReliabilityFitConfig::new().with_reliability(reliability).fit(&LEADS, &[1.0; 6]).unwrap()
    }

    #[test]
    fn posteriors_and_the_fixed_point_are_the_reference_figures() {
        let first = ReliabilityFitConfig::new().with_reliability(0.8).with_max_iterations(0);
        let first = first.fit(&LEADS, &[1.0; 6]).unwrap();
        close(&first.chances, &[0.967273, 0.915776, 0.708125, 0.987706, 0.351214, 0.843736], 1e-6);
        assert!(!first.report.converged);
        let one = ReliabilityFitConfig::new().with_reliability(0.8).with_max_iterations(1);
        let one = one.fit(&LEADS, &[1.0; 6]).unwrap();
        close(&[1.0 - one.reliability], &[0.20436145], 1e-8);
        let fixed = fit(0.8);
        assert!(fixed.report.converged);
        close(&[1.0 - fixed.reliability], &[0.21487578], 1e-8);
        close(&fixed.chances, &[0.964284, 0.908527, 0.689071, 0.986557, 0.330878, 0.831428], 1e-6);
        close(&[fit(0.55).reliability], &[fixed.reliability], 1e-9);
    }

    #[test]
    fn both_faces_have_the_same_posteriors() {
        let nll = model(0.8, 0.1).forward(&pairs(&LEADS, &[0.0; 6])).unwrap();
        let chances = values(nll.metric(METRIC).unwrap().0.clone());
        close(
            &chances,
            &ReliabilityFitConfig::new()
                .with_reliability(0.8)
                .with_max_iterations(0)
                .fit(&LEADS, &[1.0; 6])
                .unwrap()
                .chances,
            1e-12,
        );
    }

    #[test]
    fn calibrated_leads_give_back_the_rate_of_flips() {
        // Leads on a grid over [−4, 4]; of the pairs with lead d a share p is won by the first, 15 % of them flipped.
        let (mut leads, mut weights) = (Vec::new(), Vec::new());
        for at in 0..=400 {
            let d = f64::from(at) * 0.02 - 4.0;
            let won = Logit.first(d, 0.0).value.exp();
            let recorded = 0.85 * won + 0.15 * (1.0 - won);
            leads.extend([d, -d]);
            weights.extend([recorded, 1.0 - recorded]);
        }
        let fitted =
            ReliabilityFitConfig::new().with_reliability(0.6).with_tolerance(1e-15).fit(&leads, &weights).unwrap();
        close(&[fitted.reliability], &[0.85], 1e-12);
    }

    #[test]
    fn the_likelihood_never_falls() {
        let mut last = f64::INFINITY;
        for steps in 0..60 {
            let fitted = ReliabilityFitConfig::new().with_reliability(0.99).with_max_iterations(steps);
            let objective = fitted.fit(&LEADS, &[1.0, 2.0, 0.5, 1.0, 3.0, 1.0]).unwrap().report.objective;
            assert!(objective <= last + 1e-12, "{objective} after {last}");
            last = objective;
        }
    }

    #[test]
    fn the_gradient_is_the_forward_corrections() {
        let at = [2.0, -1.0, 0.3];
        let targets = tensor(&[1.0, 1.0, 0.0]);
        let model = model(0.8, 0.1);
        let forward = check(&at, |x| {
            let pairs = PairScores::new(x.clone(), x.zeros_like()).unwrap().with_targets(targets.clone()).unwrap();
            forward_losses(&pairs, FlipRates::symmetric(0.2), 1.0).unwrap()
        });
        let device = burn::tensor::Device::flex().autodiff();
        let x = Tensor::<1>::from_data(burn::tensor::TensorData::from(at), (&device, burn::tensor::DType::F64));
        let x = x.require_grad();
        let pairs = PairScores::new(x.clone(), x.zeros_like()).unwrap().with_targets(targets).unwrap();
        let gradients = model.forward(&pairs).unwrap().losses.sum().backward();
        close(&values(x.grad(&gradients).unwrap()), &forward, 1e-12);
    }

    #[test]
    fn weighted_losses_by_hand() {
        // At lead 0 both labels lose ln 2; at ln 3, with η = ¾: c = 9/10.
        let nll = model(0.75, 0.1).forward(&pairs(&[0.0, 3f64.ln()], &[0.0; 2])).unwrap();
        let expected = [2f64.ln(), -0.9 * 0.75f64.ln() - 0.1 * 0.25f64.ln()];
        close(&values(nll.losses.clone()), &expected, 1e-12);
        close(&values(nll.metric(METRIC).unwrap().0.clone()), &[0.75, 0.9], 1e-12);
        assert!(nll.metric("accuracy").is_some());
    }

    #[test]
    fn the_share_follows_the_batches_and_stays_in_its_bounds() {
        let step = |reliability, rate, leads: &[f64], weights: &[f64]| {
            let mut model = model(reliability, rate);
            let pairs = pairs(leads, &vec![0.0; leads.len()]).with_weights(tensor(weights)).unwrap();
            let nll = model.forward(&pairs).unwrap();
            model.observe(&nll);
            model.reliability()
        };
        // Chances ¾ and 9/10, weighted 1 : 2.
        close(&[step(0.75, 0.1, &[0.0, 3f64.ln()], &[1.0, 2.0])], &[0.9 * 0.75 + 0.1 * 0.85], 1e-12);
        close(&[step(0.75, 1.0, &[0.0, 3f64.ln()], &[1.0, 2.0])], &[0.85], 1e-12);
        assert_eq!(step(0.9, 1.0, &[50.0], &[1.0]), MOST);
        assert_eq!(step(0.6, 1.0, &[-50.0], &[1.0]), LEAST);
        assert_eq!(step(0.6, 1.0, &[-50.0], &[0.0]), 0.6, "nothing to learn from");
        assert_eq!(step(0.6, 1.0, &[f64::NAN], &[1.0]), 0.6, "no number");
        assert_eq!(format!("{:?}", model(0.6, 0.2)), "LabelCorrectness { reliability: 0.6, rate: 0.2, .. }");
    }

    #[test]
    fn a_table_and_its_reliability_are_a_fixed_point_that_flat_labels_do_not_reach() {
        // Three items by strength, each pair 20 times with the better one winning 17, 19 and 17.
        let mut judged = Comparisons::new(3);
        for (a, b, wins) in [(0, 1, 17.0), (0, 2, 19.0), (1, 2, 17.0)] {
            judged.push_win(a, b, wins).unwrap();
            judged.push_win(b, a, 20.0 - wins).unwrap();
        }
        let newton = NewtonConfig::new().with_prior(0.1);
        let mut last = f64::INFINITY;
        let penalized = |steps| {
            let config = ReliabilityFitConfig::new().with_max_iterations(steps).with_tolerance(1e-9);
            let (ranking, fitted) = config.fit_table(&judged, &newton).unwrap();
            let penalty = 0.05 * ranking.scores.iter().map(|s| s * s).sum::<f64>();
            (fitted.report.objective + penalty, ranking, fitted)
        };
        // The first step starts from the scores at another penalty weight: monotone from the first full step on.
        for steps in 1..40 {
            let (objective, _, _) = penalized(steps);
            assert!(objective <= last + 1e-9, "{objective} after {last}");
            last = objective;
        }
        let (_, ranking, fitted) = penalized(10_000);
        assert!(fitted.report.converged, "{:?}", fitted.report);
        // Labels are doubted, so that scores lie further apart than Bradley and Terry's.
        let plain = newton.fit(&judged).unwrap();
        assert!(fitted.reliability < 0.99 && ranking.scores[0] > plain.scores[0] + 0.01, "{fitted:?}");
        // A fixed point: the derivatives of the forward likelihood by score and by share are 0.
        let mut derivative = -0.1 * ranking.scores[0];
        for (a, b, wins) in [(0, 1, 17.0), (0, 2, 19.0)] {
            let d = ranking.scores[a] - ranking.scores[b];
            let p = Logit.first(d, 0.0).value.exp();
            let recorded = fitted.reliability * p + (1.0 - fitted.reliability) * (1.0 - p);
            let slope = (2.0 * fitted.reliability - 1.0) * p * (1.0 - p);
            derivative += slope * (wins / recorded - (20.0 - wins) / (1.0 - recorded));
        }
        assert!(derivative.abs() < 1e-4, "{derivative}");
    }

    #[test]
    fn a_tie_is_half_a_label_each_way() {
        let mut ties = Comparisons::new(2);
        ties.push_weighted(0, 1, Outcome::Tie, 2.0).unwrap();
        ties.push_win(0, 1, 3.0).unwrap();
        let mut halves = Comparisons::new(2);
        halves.push_win(0, 1, 4.0).unwrap();
        halves.push_win(1, 0, 1.0).unwrap();
        let newton = NewtonConfig::new().with_prior(0.5);
        let fit = |judged: &Comparisons| {
            ReliabilityFitConfig::new().with_tolerance(1e-10).fit_table(judged, &newton).unwrap()
        };
        let (a, b) = (fit(&ties), fit(&halves));
        close(&a.0.scores, &b.0.scores, 1e-9);
        close(&[a.1.reliability], &[b.1.reliability], 1e-9);
    }

    #[test]
    fn fields_and_records_are_checked() {
        let base = || Box::new(BradleyTerryConfig::new().init().unwrap());
        for bad in [0.5, 1.0, f64::NAN] {
            let error = LabelCorrectnessConfig::new().with_reliability(bad).init(base()).unwrap_err();
            assert!(error.to_string().starts_with("`reliability`"));
            let error = ReliabilityFitConfig::new().with_reliability(bad).fit(&LEADS, &[1.0; 6]).unwrap_err();
            assert!(error.to_string().starts_with("`reliability`"));
        }
        for bad in [-0.1, 1.1, f64::NAN] {
            let error = LabelCorrectnessConfig::new().with_rate(bad).init(base()).unwrap_err();
            assert!(error.to_string().starts_with("`rate`"));
        }
        for bad in [0.0, f64::NAN] {
            let error = ReliabilityFitConfig::new().with_tolerance(bad).fit(&LEADS, &[1.0; 6]).unwrap_err();
            assert!(error.to_string().starts_with("`tolerance`"));
        }
        let text =
            |leads: &[f64], weights: &[f64]| ReliabilityFitConfig::new().fit(leads, weights).unwrap_err().to_string();
        assert!(text(&[1.0], &[]).starts_with("`weights`"));
        assert!(text(&[f64::NAN], &[1.0]).starts_with("record 0: `lead`"));
        assert!(text(&[1.0], &[-1.0]).starts_with("record 0: `weight`"));
        assert!(text(&[1.0], &[0.0]).starts_with("`leads`: nothing to learn from"));
        assert!(correctness(tensor(&[1.0]), tensor(&[1.0, 2.0]), 0.8).unwrap_err().to_string().starts_with("`wrong`"));
        let (a, b) = (LabelCorrectnessConfig::new(), ReliabilityFitConfig::new());
        assert_eq!((a.reliability, a.rate), (0.9, 0.1));
        assert_eq!((b.reliability, b.tolerance, b.max_iterations), (0.9, 1e-12, 10_000));
    }
}
