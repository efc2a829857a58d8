//! Anchored Direct Preference Optimization (ADPO).
//!
//! **Paper:** ADPO: Anchored Direct Preference Optimization (2025), 2510.18913.
//! **Use when:** preferences over the candidates are soft (rewards, a teacher, noisy ranks) and updates should stay near
//! an anchor.
//! **Checked by:** hand-worked values and gradients, DPO and its soft-label form at two candidates, InfoNCA, the entropy
//! of the target as the minimum.
//! **Deviations:** none. The Plackett-Luce marginal of utilities `r/β_r` is [`Target::Softmax`]; the kernel density of
//! [`Target::Kde`] is Gaussian with a bandwidth to choose.

use accordant_ops::lists::{columns, ones, rows};
use burn::{config::Config, tensor::Tensor};

use super::{
    ListBatch, ListOutput, ListwiseObjective, Method, check_positive,
    infonca::{divergences, infonca_loss, softmax_targets},
};
use crate::{Domain, Result, side::Column};

/// What the teacher says, for [`Target::Teacher`] and [`Anchor::Teacher`].
pub const TEACHER_LOGPS: Column = Column {
    name: "teacher_logps",
    domain: Domain::Real,
    meaning: "the log-probability of each candidate under a teacher, summed over its tokens",
};

/// How probable each candidate should be.
#[derive(Config, Debug, Copy, PartialEq)]
pub enum Target {
    /// All mass on the best; those that share the best score share it.
    Best,
    /// `softmax(r / β_r)`: the probability, under Plackett and Luce, of being the first choice.
    Softmax,
    /// `softmax(logit F(r))`, with `F` the distribution function of a Gaussian kernel density of the list's scores:
    /// ranks, smoothed, for scores with outliers.
    Kde {
        /// Standard deviation of the kernel, in units of the score, finite and > 0.
        bandwidth: f64,
    },
    /// `softmax(L_teacher / β_r)`; reads [`TEACHER_LOGPS`].
    Teacher,
}

/// What log-probabilities are measured from.
#[derive(Config, Debug, Copy, PartialEq)]
pub enum Anchor {
    /// The batch's reference: a frozen model, or, for a dynamic anchor, the policy of the last round or a moving average.
    Reference,
    /// The teacher; reads [`TEACHER_LOGPS`].
    Teacher,
    /// Nothing: a uniform anchor.
    Uniform,
}

/// Target distributions over the candidates of each list, `[n, k]`; detached.
///
/// `temperature` is `β_r`.
///
/// # Errors
/// [`crate::Error::MissingColumn`] naming the scores or the teacher's log-probabilities.
pub fn targets(batch: &ListBatch, target: Target, temperature: f64) -> Result<Tensor<2>> {
    let scores = || batch.scores("adpo");
    match target {
        Target::Best => {
            let scores = scores()?;
            Ok(batch.comparisons("adpo")?.best(scores.dtype()))
        }
        Target::Softmax => softmax_targets(batch, scores()?, temperature),
        Target::Kde { bandwidth } => {
            let scores = scores()?;
            let present = columns(ones(batch.present(), scores.dtype()));
            // The normal distribution function of r_i − r_j, averaged over the candidates j.
            let steps = (rows(scores.clone()) - columns(scores)) * (std::f64::consts::FRAC_1_SQRT_2 / bandwidth);
            let below = ((steps.erf() + 1.0) * 0.5 * present).sum_dim(2).squeeze_dim::<2>(2);
            let above = -below.clone() + batch.num_present().repeat_dim(1, batch.num_candidates());
            // logit F = ln(below / above); both hold the candidate's own half.
            let logit = batch.select(below.clamp_min(0.5).log() - above.clamp_min(0.5).log());
            softmax_targets(batch, logit, 1.0)
        }
        Target::Teacher => softmax_targets(batch, batch.candidate_column(TEACHER_LOGPS, "adpo")?, temperature),
    }
}

/// Configuration of [`Adpo`].
#[derive(Config, Debug, PartialEq)]
pub struct AdpoConfig {
    /// What anchored log-probabilities are divided by, finite and > 0; τ in the paper, `1/β` of DPO. 1: the paper's.
    #[config(default = 1.0)]
    pub temperature: f64,
    /// What scores, or the teacher's log-probabilities, are divided by for the target, finite and > 0; β_r. 1: ours.
    #[config(default = 1.0)]
    pub reward_temperature: f64,
    /// How probable each candidate should be. `Softmax`: the paper's listwise form.
    #[config(default = "Target::Softmax")]
    pub target: Target,
    /// What log-probabilities are measured from. `Reference`: the paper's fixed anchor.
    #[config(default = "Anchor::Reference")]
    pub anchor: Anchor,
}

impl AdpoConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<Adpo> {
        check_positive("temperature", self.temperature)?;
        check_positive("reward_temperature", self.reward_temperature)?;
        if let Target::Kde { bandwidth } = self.target {
            check_positive("bandwidth", bandwidth)?;
        }
        Ok(Adpo { config: self.clone() })
    }
}

/// The ADPO objective: [`infonca_loss`] of anchored log-probabilities and any of [`targets`].
///
/// ```text
/// loss = −Σ_k q_k log softmax(u)_k,   u_k = (L_k − L_anchor,k) / τ
/// ```
///
/// This is `KL(q ‖ softmax u)` and the entropy of `q`; the first is logged as `kl`. Rewards are `u`. Without scores
/// (a teacher needs none) what compares rewards with scores is not logged.
///
/// # Example
/// ```
/// use accordant_objectives::listwise::{ListBatch, ListLogps, ListwiseObjective, adpo::{AdpoConfig, Anchor, Target}};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let row = |values: [f32; 2]| Tensor::<2>::from_floats([values], &device);
/// let sum = row([3f32.ln() - 2.0, -2.0]);
/// let batch = ListBatch::new(ListLogps { sum, count: row([1.0; 2]) })?;
/// let adpo = AdpoConfig::new().with_target(Target::Best).with_anchor(Anchor::Uniform).init()?;
/// // softmax(u) = (3/4, 1/4), all the mass on the first.
/// let loss = adpo.forward(&batch.with_scores(row([1.0, 0.0]))?)?.losses.into_scalar::<f32>();
/// assert!((loss - (4f32 / 3.0).ln()).abs() < 1e-6);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2510.18913")]
#[doc(alias = "ADPO: Anchored Direct Preference Optimization")]
#[derive(Debug, Clone, PartialEq)]
pub struct Adpo {
    config: AdpoConfig,
}

/// `adpo` by name.
pub const METHOD: Method = Method {
    name: "adpo",
    title: "Anchored Direct Preference Optimization",
    build: |options| Ok(Box::new(options.apply("adpo", AdpoConfig::new())?.init()?)),
};

impl ListwiseObjective for Adpo {
    fn needs_reference(&self) -> bool {
        self.config.anchor == Anchor::Reference
    }

    fn candidate_columns(&self) -> Vec<Column> {
        let teacher = self.config.anchor == Anchor::Teacher || self.config.target == Target::Teacher;
        if teacher { vec![TEACHER_LOGPS] } else { Vec::new() }
    }

    fn forward(&self, batch: &ListBatch) -> Result<ListOutput> {
        let AdpoConfig { temperature, reward_temperature, target, anchor } = self.config;
        let anchored = match anchor {
            Anchor::Reference => batch.log_ratios("adpo")?,
            Anchor::Teacher => batch.policy().sum - batch.candidate_column(TEACHER_LOGPS, "adpo")?,
            Anchor::Uniform => batch.policy().sum,
        };
        let rewards = anchored * temperature.recip();
        let targets = targets(batch, target, reward_temperature)?;
        let losses = infonca_loss(batch, rewards.clone(), targets.clone())?;
        let kl = divergences(&losses, targets);
        let counts = match target {
            // Without a better candidate there is no best one.
            Target::Best => batch.comparisons("adpo")?.exist(),
            _ => batch.plural(),
        };
        ListOutput::new(losses, batch, rewards, counts)?.with_metric("kl", kl)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listwise::{
        infonca::InfoNcaConfig,
        tests::{close, dpo_loss, grad_of_losses, list, losses, matrix, values},
    };

    fn adpo(config: AdpoConfig) -> Adpo {
        config.init().expect("valid in this test")
    }

    fn target(target: Target, temperature: f64, scores: &[f64]) -> Vec<f64> {
        values(&targets(&list(&vec![0.0; scores.len()], scores), target, temperature).unwrap())
    }

    #[test]
    fn two_candidates_are_dpo_with_hard_or_soft_labels() {
        let batch = list(&[-0.5, 1.0], &[0.0, 1.0]);
        let hard = AdpoConfig::new().with_temperature(10.0).with_target(Target::Best);
        close(losses(&adpo(hard), &batch)[0], dpo_loss(1.0, -0.5, 0.1), 1e-14);
        // σ((1 − 0)/2) for the better one: p loss(h) + (1 − p) loss(−h).
        let soft = AdpoConfig::new().with_reward_temperature(2.0);
        let p = 1.0 / (1.0 + (-0.5f64).exp());
        close(
            losses(&adpo(soft), &batch)[0],
            p * dpo_loss(1.0, -0.5, 1.0) + (1.0 - p) * dpo_loss(-0.5, 1.0, 1.0),
            1e-14,
        );
    }

    #[test]
    fn a_softmax_target_is_infonca() {
        let batch = list(&[0.3, 0.1, -0.2], &[1.0, 0.5, 0.0]);
        let infonca = InfoNcaConfig::new().with_beta(0.25).with_reward_temperature(3.0).init().unwrap();
        let adpo = adpo(AdpoConfig::new().with_temperature(4.0).with_reward_temperature(3.0));
        assert_eq!(losses(&adpo, &batch), losses(&infonca, &batch));
    }

    #[test]
    fn the_kl_is_logged_and_is_0_at_the_target() {
        let scores = [1.0, 0.5, 0.0];
        let at = adpo(AdpoConfig::new()).forward(&list(&scores, &scores)).unwrap();
        close(values(at.metric("kl").unwrap().0)[0], 0.0, 1e-14);
        let off = adpo(AdpoConfig::new()).forward(&list(&[0.0; 3], &scores)).unwrap();
        let q = target(Target::Softmax, 1.0, &scores);
        let entropy: f64 = -q.iter().map(|q| q * q.ln()).sum::<f64>();
        close(values(off.metric("kl").unwrap().0)[0], 3f64.ln() - entropy, 1e-14);
        close(values(&off.losses)[0], 3f64.ln(), 1e-14);
    }

    #[test]
    fn targets_by_hand() {
        assert_eq!(target(Target::Best, 1.0, &[0.5, 2.0, 2.0]), [0.0, 0.5, 0.5]);
        let soft = target(Target::Softmax, 0.5, &[0.0, 2f64.ln() / 2.0]);
        close(soft[1], 2.0 / 3.0, 1e-14);
        // Two scores 1 apart and a bandwidth of 1: F = (½ + Φ(∓1))/2, with Φ(1) = 0.841344746.
        let low: f64 = (0.5 + 1.0 - 0.841344746) / 2.0;
        let odds = (1.0 - low) / low;
        let kde = target(Target::Kde { bandwidth: 1.0 }, 1.0, &[0.0, 1.0]);
        close(kde[1], odds * odds / (1.0 + odds * odds), 1e-8);
        // Only distances in bandwidths matter, and an outlier is one rank away.
        let wide = target(Target::Kde { bandwidth: 3.0 }, 1.0, &[0.0, 3.0]);
        close(wide[1], kde[1], 1e-12);
        let outlier = |r: f64| target(Target::Kde { bandwidth: 0.1 }, 1.0, &[0.0, 1.0, r]);
        close(outlier(1e6)[2], outlier(5.0)[2], 1e-12);
        // F = 1/6, 3/6, 5/6: odds 1/5, 1, 5.
        close(outlier(5.0)[2], 5.0 / 6.2, 1e-8);
    }

    #[test]
    fn anchors_and_the_teacher() {
        let batch = list(&[0.3, -0.2], &[1.0, 0.0]);
        let teacher = matrix(&[&[-2.0, -2.5]]);
        let with_teacher = batch.clone().with_candidate_column(TEACHER_LOGPS, teacher).unwrap();
        // The reference of `list` is 0.
        let uniform = adpo(AdpoConfig::new().with_anchor(Anchor::Uniform));
        assert_eq!(losses(&uniform, &batch), losses(&adpo(AdpoConfig::new()), &batch));
        assert!(!uniform.needs_reference() && uniform.candidate_columns().is_empty());
        assert!(adpo(AdpoConfig::new()).needs_reference());
        let anchored = adpo(AdpoConfig::new().with_anchor(Anchor::Teacher).with_target(Target::Best));
        // u = 2.3 and 2.3.
        close(losses(&anchored, &with_teacher)[0], std::f64::consts::LN_2, 1e-14);
        assert!(!anchored.needs_reference());
        assert_eq!(anchored.candidate_columns(), [TEACHER_LOGPS]);
        let taught = adpo(AdpoConfig::new().with_target(Target::Teacher).with_reward_temperature(0.5));
        assert_eq!(taught.candidate_columns(), [TEACHER_LOGPS]);
        let p = 1.0 / (1.0 + (-1.0f64).exp());
        let expected = p * dpo_loss(0.3, -0.2, 1.0) + (1.0 - p) * dpo_loss(-0.2, 0.3, 1.0);
        close(losses(&taught, &with_teacher)[0], expected, 1e-14);
        let error = taught.forward(&batch).unwrap_err().to_string();
        assert!(error.starts_with("`adpo` needs `teacher_logps`"), "{error}");
    }

    #[test]
    fn the_gradient_is_the_softmax_less_the_target_over_the_temperature() {
        let grad = grad_of_losses(
            &adpo(AdpoConfig::new().with_temperature(4.0).with_target(Target::Best)),
            &list(&[4.0 * 3f64.ln(), 0.0], &[1.0, 0.0]),
        );
        close(grad[0], (0.75 - 1.0) / 4.0, 1e-14);
        close(grad[1], 0.25 / 4.0, 1e-14);
    }

    #[test]
    fn the_curvature_is_that_of_the_softmax_over_the_squared_temperature() {
        // H = (diag p − p pᵀ)/τ², by differences of gradients, whatever the target.
        let (ratios, tau, step) = ([0.4, -0.2, 0.9], 2.0, 1e-4);
        let p: [f64; 3] =
            ratios.map(|own: f64| 1.0 / ratios.map(|other: f64| ((other - own) / tau).exp()).iter().sum::<f64>());
        for target in [Target::Best, Target::Softmax] {
            let method = adpo(AdpoConfig::new().with_temperature(tau).with_target(target));
            for i in 0..3 {
                let grads = [step, -step].map(|step| {
                    let mut ratios = ratios;
                    ratios[i] += step;
                    grad_of_losses(&method, &list(&ratios, &[1.0, 0.5, 0.0]))
                });
                for j in 0..3 {
                    let expected = (f64::from(u8::from(i == j)) * p[i] - p[i] * p[j]) / (tau * tau);
                    close((grads[0][j] - grads[1][j]) / (2.0 * step), expected, 1e-8);
                }
            }
        }
    }

    #[test]
    fn equal_scores_have_no_best_but_a_distribution() {
        let tied = list(&[0.3, -0.2], &[1.0, 1.0]);
        for (target, weight) in [(Target::Best, 0.0), (Target::Softmax, 1.0), (Target::Kde { bandwidth: 1.0 }, 1.0)] {
            let output = adpo(AdpoConfig::new().with_target(target)).forward(&tied).unwrap();
            assert_eq!(values(&output.weights), [weight], "{target:?}");
        }
    }

    #[test]
    fn settings_are_checked() {
        let config = AdpoConfig::new();
        assert_eq!((config.temperature, config.reward_temperature), (1.0, 1.0));
        assert_eq!((config.target, config.anchor), (Target::Softmax, Anchor::Reference));
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let message = |config: AdpoConfig| config.init().unwrap_err().to_string();
            let of = |name| format!("`{name}`: expected finite and > 0, got {bad}");
            assert_eq!(message(config.clone().with_temperature(bad)), of("temperature"));
            assert_eq!(message(config.clone().with_reward_temperature(bad)), of("reward_temperature"));
            assert_eq!(message(config.clone().with_target(Target::Kde { bandwidth: bad })), of("bandwidth"));
        }
    }

    accordant_laws::listwise_laws!(
        adpo_obeys_the_laws,
        "adpo",
        adpo(AdpoConfig::new()),
        [],
        [ShiftInvariant, PermutationOfCandidates, ConvexInMargin, LowerBound(0.0)]
    );

    accordant_laws::listwise_laws!(
        a_best_target_obeys_the_laws,
        "adpo with all mass on the best",
        adpo(AdpoConfig::new().with_target(Target::Best).with_anchor(Anchor::Uniform)),
        [],
        [
            ReferenceFree,
            ShiftInvariant,
            PermutationOfCandidates,
            TiesSayNothing,
            DecreasingInChosen,
            IncreasingInRejected,
            LowerBound(0.0),
        ]
    );

    accordant_laws::listwise_laws!(
        a_kernel_target_obeys_the_laws,
        "adpo with smoothed ranks",
        adpo(AdpoConfig::new().with_target(Target::Kde { bandwidth: 0.3 })),
        [],
        [ShiftInvariant, PermutationOfCandidates, LowerBound(0.0)]
    );
}
