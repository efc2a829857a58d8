//! Nash-MD: a policy gradient towards the policy that no other is preferred to.
//!
//! **Paper:** Nash Learning from Human Feedback (2023), 2312.00886.
//! **Use when:** preferences are not transitive, so that no reward explains them, and a judge can compare two responses
//! during training.
//! **Checked by:** golden numbers (TRL), hand-worked values and gradients, the gradient of REINFORCE with K2 in the loss,
//! the stationary policy against a fixed opponent, laws of methods.
//! **Deviations:** none of TRL's, whose divergence weighs each token by its own log-ratio alone; see [`Credit`].

use accordant_ops::{
    EmptyRows, check_domain,
    masked::masked_sum,
    reduce::{Aggregation, reduce_tokens},
    stable::log_sum_exp,
};
use burn::{config::Config, tensor::Tensor};
use serde::{Deserialize, Serialize};

use super::{Method, RolloutBatch, RolloutObjective, RolloutOutput, surrogate::reinforce::reinforce_losses};
use crate::{
    Error, Result,
    advantage::{Advantages, RewardBatch},
};

/// The distribution that opponents are sampled from, token by token: a geometric mixture of policy and reference.
///
/// ```text
/// log q = (1 − c) log π + c log π_ref − log Σ_v π^(1−c) π_ref^c
/// ```
///
/// # Shapes
/// `policy` and `reference`: logits (or log-probabilities) `[n, vocab]`; the result, log-probabilities, is the same, in
/// nats. `mixture_coef` (c) lies in `[0, 1]`: 0 is the policy, 1 the reference; TRL's default is 0.5. A token of logit −∞
/// in either has −∞, unless the other one counts alone.
///
/// # Errors
/// A shape or dtype error naming `reference`; a domain error naming `mixture_coef`.
///
/// # Example
/// ```
/// use accordant_objectives::rollout::nash_md::mixture_logps;
/// use burn::tensor::{Device, Tensor};
/// let row = |values: [f32; 2]| Tensor::<2>::from_floats([values], &Device::flex());
/// // Logits (1, 0) and (0, 1) are in balance.
/// let logps = mixture_logps(row([1.0, 0.0]), row([0.0, 1.0]), 0.5)?;
/// let logps = logps.try_to_vec_as::<f32>().unwrap();
/// assert!(logps.iter().all(|logp| (logp + 2f32.ln()).abs() < 1e-6));
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
pub fn mixture_logps(policy: Tensor<2>, reference: Tensor<2>, mixture_coef: f64) -> Result<Tensor<2>> {
    accordant_ops::check_shape("reference", &policy.dims(), &reference.dims())?;
    accordant_ops::check_dtype("reference", policy.dtype(), reference.dtype())?;
    check_domain((0.0..=1.0).contains(&mixture_coef), "mixture_coef", "in [0, 1]", mixture_coef)?;
    let mixed = match mixture_coef {
        // 0 times −∞ is NaN.
        0.0 => policy,
        1.0 => reference,
        coef => policy * (1.0 - coef) + reference * coef,
    };
    if mixed.shape().num_elements() == 0 {
        return Ok(mixed); // not every backend has a maximum of nothing
    }
    Ok(mixed.clone() - log_sum_exp(mixed, 1))
}

/// Which log-ratio to the reference weighs the gradient of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Credit {
    /// Its own: of little variance, but blind to what the token does to the divergence of those after it.
    Token,
    /// That of its response: the gradient of `KL(π ‖ π_ref)` of whole responses, with more variance.
    Sequence,
}

/// Losses whose gradient is that of the probability to win, less the divergence; one for each token.
///
/// ```text
/// f = −(P(y ≻ y') − ½ − β sg(u)) log π
/// ```
///
/// # Shapes
/// `logps`, `log_ratios` (`u`, constants, of the token or of its response: [`Credit`]), `advantages` (`P − ½`, constants)
/// and the result: `[rows, seq]`. `beta`: in wins per nat. Quadratic in log-probabilities: a log-ratio of 1e4 is
/// harmless.
///
/// # Errors
/// A shape or dtype error naming the argument.
///
/// # Example
/// ```
/// use accordant_objectives::rollout::nash_md::nash_md_losses;
/// use burn::tensor::{Device, Tensor};
/// let row = |values: [f32; 2]| Tensor::<2>::from_floats([values], &Device::flex());
/// // A sure win: ½, of which the first token's log-ratio takes a quarter.
/// let losses = nash_md_losses(row([-2.0, -2.0]), row([1.0, 0.0]), row([0.5, 0.5]), 0.25)?;
/// assert_eq!(losses.try_to_vec_as::<f32>().unwrap(), [0.5, 1.0]);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2312.00886")]
#[doc(alias = "Nash Learning from Human Feedback")]
#[doc(alias = "Nash-MD-PG")]
pub fn nash_md_losses(logps: Tensor<2>, log_ratios: Tensor<2>, advantages: Tensor<2>, beta: f64) -> Result<Tensor<2>> {
    for (name, tensor) in [("log_ratios", &log_ratios), ("advantages", &advantages)] {
        accordant_ops::check_shape(name, &logps.dims(), &tensor.dims())?;
        accordant_ops::check_dtype(name, logps.dtype(), tensor.dtype())?;
    }
    reinforce_losses(logps, advantages - log_ratios * beta, None)
}

/// Configuration of [`NashMd`].
#[derive(Config, Debug, PartialEq)]
pub struct NashMdConfig {
    /// Strength of the KL pull, in wins per nat, finite and ≥ 0; 0 needs no reference. 0.1: TRL's.
    #[config(default = 0.1)]
    pub beta: f64,
    /// Which log-ratio weighs the gradient of a token. Token: TRL's.
    #[config(default = "Credit::Token")]
    pub credit: Credit,
}

impl NashMdConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<NashMd> {
        check_domain(self.beta.is_finite() && self.beta >= 0.0, "beta", "finite and >= 0", self.beta)?;
        Ok(NashMd { config: self.clone() })
    }
}

/// Nash-MD by policy gradient; see [`nash_md_losses`]. The loss is a mean over responses of sums over tokens.
///
/// The reward of a response is the probability `P` that it wins against an opponent's response to the same prompt,
/// sampled from [`mixture_logps`] of the current policy; the mean over several opponents has less variance. The ½ is a
/// control variate: any constant has the same gradient on average. A response whose judgment failed (NaN) has advantage 0.
/// There is no ratio to an old policy: learn from each response once.
///
/// # Example
/// ```
/// use accordant_objectives::{TokenLogps, rollout::{RolloutBatch, RolloutObjective, nash_md::NashMdConfig}};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let row = |values: [f32; 2]| Tensor::<2>::from_floats([values], &device);
/// let logps = TokenLogps::new(row([-2.0, -2.0]), Tensor::full([1, 2], true, &device))?;
/// let batch = RolloutBatch::new(logps, row([0.5, 0.5]))?.with_reference(row([-3.0, -2.0]))?;
/// let loss = NashMdConfig::new().with_beta(0.25).init()?.forward(&batch)?.reduced.loss;
/// assert_eq!(loss.into_scalar::<f32>(), 1.5); // (½ − ¼) 2 + ½ · 2
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2312.00886")]
#[doc(alias = "Nash Learning from Human Feedback")]
#[doc(alias = "NLHF")]
#[derive(Debug, Clone, PartialEq)]
pub struct NashMd {
    config: NashMdConfig,
}

/// `nash_md` by name.
pub const METHOD: Method = Method {
    name: "nash_md",
    title: "Nash-MD",
    build: |options| Ok(Box::new(options.apply("nash_md", NashMdConfig::new())?.init()?)),
};

impl RolloutObjective for NashMd {
    fn name(&self) -> &'static str {
        "nash_md"
    }

    fn needs_reference(&self) -> bool {
        self.config.beta > 0.0
    }

    /// # Errors
    /// [`Error::NotTaken`] for a divergence in the reward.
    fn advantages(&self, batch: &RewardBatch) -> Result<Advantages> {
        if batch.is_penalized() {
            let reason = "the divergence is in the loss; set `beta`";
            return Err(Error::NotTaken { method: self.name(), name: "kl_coef", reason });
        }
        Advantages::of_rows(batch, batch.raw_rewards() - 0.5)
    }

    fn forward(&self, batch: &RolloutBatch) -> Result<RolloutOutput> {
        let NashMdConfig { beta, credit } = self.config;
        let policy = batch.policy();
        let log_ratios = if self.needs_reference() {
            (policy.clone() - batch.reference(self.name())?).detach()
        } else {
            policy.zeros_like()
        };
        let log_ratios = match credit {
            Credit::Token => log_ratios,
            Credit::Sequence => RolloutBatch::per_token(masked_sum(log_ratios, batch.mask())?, batch.mask())?,
        };
        let losses = nash_md_losses(policy, log_ratios, batch.advantages(), beta)?;
        let reduced = reduce_tokens(losses.clone(), batch.mask(), Aggregation::SequenceSum, EmptyRows::Skip)?;
        RolloutOutput::new(batch, losses, vec![("policy", 1.0, reduced)])
    }
}

#[cfg(test)]
mod tests {
    use accordant_laws::{Mean, rollout_laws};
    use accordant_ops::{
        TokenLogps,
        groups::Groups,
        kl::{KlEstimator, KlOptions},
    };
    use burn::tensor::{DType, activation::log_softmax};

    use super::*;
    use crate::{
        advantage::reward_to_go::RewardToGoConfig,
        rollout::{
            KlPlacement, PolicyGradientConfig, RatioLevel,
            surrogate::reinforce::ReinforceConfig,
            tests::{close, device, host, loss_and_grad, mask, matrix},
        },
    };

    const NONE: f64 = f64::NAN;

    fn nash_md(beta: f64, credit: Credit) -> NashMd {
        NashMdConfig::new().with_beta(beta).with_credit(credit).init().unwrap()
    }

    /// Rows of two, one and two tokens and one without; P is 0.9, 0.25, missing and 1.
    fn batch(policy: Tensor<2>) -> RolloutBatch {
        let kept = mask([[true, true], [true, false], [true, true], [false, false]]);
        let advantages = matrix([[0.4, 0.4], [-0.25, NONE], [0.0, 0.0], [NONE, NONE]]);
        let reference = matrix([[-2.0, -2.5], [-1.0, NONE], [-1.5, -0.5], [NONE, NONE]]);
        let batch = RolloutBatch::new(TokenLogps::new(policy, kept).unwrap(), advantages).unwrap();
        batch.with_reference(reference).unwrap()
    }

    fn policy() -> Tensor<2> {
        matrix([[-1.0, -2.0], [-3.0, NONE], [-1.5, -1.5], [NONE, NONE]])
    }

    #[test]
    fn each_token_answers_for_its_own_log_ratio() {
        // Log-ratios (1, 0.5), −2, (0, −1); the weights of log π are 0.2 u − A.
        let (loss, grad) = loss_and_grad(&nash_md(0.2, Credit::Token), batch, policy());
        let weights = [0.2 - 0.4, 0.1 - 0.4, -0.4 + 0.25, 0.0, 0.0, -0.2];
        let rows = [-weights[0] - 2.0 * weights[1], -3.0 * weights[2], -1.5 * weights[5]];
        close(&[loss], &[rows.iter().sum::<f64>() / 3.0], 1e-15);
        let expected: Vec<f64> = weights.into_iter().chain([0.0, 0.0]).map(|weight| weight / 3.0).collect();
        close(&grad, &expected, 1e-15);
        let objective = nash_md(0.2, Credit::Token);
        assert_eq!(objective.totals(&batch(policy())).unwrap().get("policy"), Some(3.0), "rows that have a token");
    }

    #[test]
    fn or_for_that_of_its_response() {
        let (loss, grad) = loss_and_grad(&nash_md(0.2, Credit::Sequence), batch, policy());
        // Log-ratios 1.5, −2 and −1 of whole responses.
        let weights = [0.3 - 0.4, 0.3 - 0.4, -0.4 + 0.25, 0.0, -0.2, -0.2];
        close(&[loss], &[(0.1 * 3.0 + 0.15 * 3.0 + 0.2 * 3.0) / 3.0], 1e-15);
        let expected: Vec<f64> = weights.into_iter().chain([0.0, 0.0]).map(|weight| weight / 3.0).collect();
        close(&grad, &expected, 1e-15);
    }

    #[test]
    fn even_odds_at_the_reference_teach_nothing() {
        let even = |policy: Tensor<2>| {
            let reference = policy.clone().detach();
            let batch = RolloutBatch::new(TokenLogps::new(policy, mask([[true; 2]])).unwrap(), matrix([[0.0; 2]]));
            batch.unwrap().with_reference(reference).unwrap()
        };
        for credit in [Credit::Token, Credit::Sequence] {
            let (_, grad) = loss_and_grad(&nash_md(0.7, credit), even, matrix([[-1.0, -0.25]]));
            assert_eq!(grad, [0.0, 0.0]);
        }
    }

    #[test]
    fn its_gradient_is_that_of_reinforce_with_k2_in_the_loss() {
        let kl = KlPlacement::Loss { kl_coef: 0.3, options: KlOptions::new(KlEstimator::K2), corrected: false };
        let grid = PolicyGradientConfig::new(RatioLevel::Token, Aggregation::SequenceSum)
            .with_kl(kl)
            .init("test", RewardToGoConfig::new().init().unwrap(), ReinforceConfig::new().init())
            .unwrap();
        let (_, expected) = loss_and_grad(&grid, batch, policy());
        close(&loss_and_grad(&nash_md(0.3, Credit::Token), batch, policy()).1, &expected, 1e-15);
    }

    /// The expected gradient with respect to the logits of three responses, each of one token.
    fn expected(beta: f64, probs: [f64; 3], reference: [f64; 3], logits: [f64; 3]) -> Vec<f64> {
        let logits = Tensor::<1>::from_data(logits, (&device(), DType::F64)).require_grad();
        let logps = log_softmax(logits.clone(), 0);
        let rewards = Tensor::<1>::from_data(probs, (&device(), DType::F64));
        let kept = || mask([[true]; 3]);
        let rewards = RewardBatch::new(rewards, Groups::new(&[0; 3]), kept()).unwrap();
        let objective = nash_md(beta, Credit::Token);
        let advantages = objective.advantages(&rewards).unwrap().advantages;
        let policy = TokenLogps::new(logps.clone().unsqueeze_dim(1), kept()).unwrap();
        let batch = RolloutBatch::new(policy, advantages).unwrap();
        let batch = batch.with_reference(matrix(reference.map(|prob| [prob.ln()]))).unwrap();
        let losses = objective.forward(&batch).unwrap().row_losses();
        host(logits.grad(&(logps.detach().exp() * losses).sum().backward()).unwrap())
    }

    #[test]
    fn the_half_is_a_control_variate() {
        let (reference, logits) = ([0.2, 0.5, 0.3], [0.3, -1.0, 0.9]);
        let one = expected(0.1, [0.1, 0.5, 0.7], reference, logits);
        close(&expected(0.1, [0.4, 0.8, 1.0], reference, logits), &one, 1e-15);
        assert!(one.iter().all(|grad| grad.abs() > 1e-3), "{one:?}");
    }

    #[test]
    fn against_a_fixed_opponent_it_ends_at_the_tilted_reference() {
        let (probs, reference, beta) = ([0.1, 0.5, 0.7], [0.2f64, 0.5, 0.3], 0.25);
        let tilted = [0, 1, 2].map(|at| reference[at].ln() + probs[at] / beta);
        close(&expected(beta, probs, reference, tilted), &[0.0; 3], 1e-15);
    }

    #[test]
    fn advantages_are_odds_beyond_even_and_a_failed_judgment_has_none() {
        let probs = Tensor::<1>::from_data([0.75, NONE, 0.0], (&device(), DType::F64));
        let kept = mask([[true, false], [true, true], [true, true]]);
        let rewards = RewardBatch::new(probs, Groups::new(&[1, 2, 3]), kept).unwrap();
        let objective = NashMdConfig::new().init().unwrap();
        let advantages = host(objective.advantages(&rewards).unwrap().advantages);
        assert_eq!(advantages, [0.25, 0.0, 0.0, 0.0, -0.5, -0.5]);
        let logps = || matrix([[-1.0, -1.0], [-1.0, -1.0], [-1.0, -1.0]]);
        let rewards = rewards.with_logps(logps(), logps()).unwrap();
        let twice = rewards.penalized("test", 0.1, &KlOptions::new(KlEstimator::K1)).unwrap();
        let error = objective.advantages(&twice).unwrap_err().to_string();
        assert_eq!(error, "`nash_md` cannot take `kl_coef`: the divergence is in the loss; set `beta`");
    }

    #[test]
    fn without_a_pull_no_reference_is_needed_and_a_far_one_is_finite() {
        let free = nash_md(0.0, Credit::Sequence);
        assert!(!free.needs_reference() && NashMdConfig::new().init().unwrap().needs_reference());
        let plain = |policy| {
            RolloutBatch::new(TokenLogps::new(policy, mask([[true; 2]])).unwrap(), matrix([[0.5; 2]])).unwrap()
        };
        assert_eq!(loss_and_grad(&free, plain, matrix([[-1.0, -3.0]])), (2.0, vec![-0.5, -0.5]));
        let error = nash_md(0.1, Credit::Token).forward(&plain(matrix([[-1.0, -3.0]]))).unwrap_err();
        assert!(matches!(error, Error::MissingReference { method: "nash_md" }));
        let far = |policy| plain(policy).with_reference(matrix([[-1e4, -1.0]])).unwrap();
        for credit in [Credit::Token, Credit::Sequence] {
            let (loss, grad) = loss_and_grad(&nash_md(0.1, credit), far, matrix([[-1.0, -1e4]]));
            assert!(loss.is_finite() && grad.iter().all(|grad| grad.is_finite()), "{loss} {grad:?}");
        }
    }

    #[test]
    fn opponents_are_between_policy_and_reference() {
        let (policy, reference) = (|| matrix([[2.0, 0.0, -1.0]]), || matrix([[0.0, 1.0, f64::NEG_INFINITY]]));
        let mixed = |coef| host(mixture_logps(policy(), reference(), coef).unwrap());
        let normalized = |logits: [f64; 3]| {
            let total = logits.map(f64::exp).iter().sum::<f64>().ln();
            logits.map(|logit| logit - total)
        };
        close(&mixed(0.0), &normalized([2.0, 0.0, -1.0]), 1e-15);
        let [first, second, last] = mixed(1.0).try_into().unwrap();
        close(&[first, second], &normalized([0.0, 1.0, f64::NEG_INFINITY])[..2], 1e-15);
        assert_eq!(last, f64::NEG_INFINITY);
        // ¾ · 2 and ¼ · 1.
        close(&mixed(0.25)[..2], &normalized([1.5, 0.25, f64::NEG_INFINITY])[..2], 1e-15);
        assert_eq!(mixed(0.25)[2], f64::NEG_INFINITY);
        for bad in [-0.1, 1.1, NONE] {
            let error = mixture_logps(policy(), reference(), bad).unwrap_err().to_string();
            assert_eq!(error, format!("`mixture_coef`: expected in [0, 1], got {bad}"));
        }
        let error = mixture_logps(policy(), matrix([[0.0]]), 0.5).unwrap_err().to_string();
        assert_eq!(error, "`reference`: expected shape [1, 3], got [1, 1]");
        let empty = Tensor::<2>::zeros([0, 3], (&device(), DType::F64));
        assert_eq!(mixture_logps(empty.clone(), empty, 0.5).unwrap().dims(), [0, 3]);
    }

    #[test]
    fn defaults_and_refused_values() {
        assert_eq!(NashMdConfig::new(), NashMdConfig { beta: 0.1, credit: Credit::Token });
        for bad in [-1.0, NONE, f64::INFINITY] {
            let error = NashMdConfig::new().with_beta(bad).init().unwrap_err().to_string();
            assert_eq!(error, format!("`beta`: expected finite and >= 0, got {bad}"));
        }
        let row = || matrix([[-1.0, -2.0]]);
        let error = nash_md_losses(row(), matrix([[0.0]]), row(), 0.1).unwrap_err().to_string();
        assert_eq!(error, "`log_ratios`: expected shape [1, 2], got [1, 1]");
        let error = nash_md_losses(row(), row(), matrix([[0.0]]), 0.1).unwrap_err().to_string();
        assert_eq!(error, "`advantages`: expected shape [1, 2], got [1, 1]");
    }

    rollout_laws!(
        nash_md_obeys_the_laws,
        "nash_md",
        NashMdConfig::new().with_beta(0.25).init().unwrap(),
        [],
        [Ignores("old"), Averages(Mean::ResponseSums), RewardShiftSensitive, IncreasingInReward, GroupsApart],
        except "finite differences" because "the divergence weighs log-probabilities as a constant",
        except "finite differences, token by token" because "the divergence weighs log-probabilities as a constant"
    );
}
