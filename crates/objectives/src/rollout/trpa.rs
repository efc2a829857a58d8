//! Trust Region Preference Approximation (TRPA).
//!
//! **Paper:** Trust Region Preference Approximation: A simple and stable reinforcement learning algorithm for LLM reasoning
//! (2025), 2504.04524.
//! **Use when:** rules say which response is better and no number says by how much.
//! **Checked by:** hand-worked values and gradients, DPO of two responses, finite differences.
//! **Deviations:** preference levels are rewards, higher ones better, where the paper counts from 1, the best; level 1 is a
//! reward of at least `top_reward`. The authors' code has an option to add a root of the divergence, which is not here: a
//! root of a mean is no sum over micro-batches.

use accordant_ops::{
    EmptyRows, TokenLogps, check_domain,
    groups::Groups,
    kl::{KlEstimator, KlOptions, kl_per_token},
    reduce::{Aggregation, reduce_tokens},
    stable::softplus,
};
use burn::{
    config::Config,
    tensor::{Bool, Tensor, TensorData},
};
use serde::{Deserialize, Serialize};

use super::{Method, RolloutBatch, RolloutObjective, RolloutOutput};
use crate::{
    Result,
    advantage::{Advantages, RewardBatch},
};

/// What is learned from where no response of the step is better than another one to its prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fallback {
    /// Nothing but the divergence.
    None,
    /// Each response on its own: `softplus(−u)` for those of the best level and `softplus(u)` for the others, as the
    /// authors' code has it.
    Pointwise,
}

/// Configuration of [`Trpa`].
#[derive(Config, Debug, PartialEq)]
pub struct TrpaConfig {
    /// Strength of the KL pull on the mean log-ratio, finite and > 0. 0.1: the authors'.
    #[config(default = 0.1)]
    pub beta: f64,
    /// What β is multiplied by where the better one is of the best level, finite and > 0. 2.5: the authors'.
    #[config(default = 2.5)]
    pub anisotropy: f64,
    /// The smallest reward of the best level, not NaN. 1: that of a correct response.
    #[config(default = 1.0)]
    pub top_reward: f64,
    /// Weight of the divergence from the old policy, by K3, finite and ≥ 0. 1e-3: the authors'.
    #[config(default = 1e-3)]
    pub kl_coef: f64,
    /// What is learned from where there is no pair. None: ours.
    #[config(default = "Fallback::None")]
    pub fallback: Fallback,
}

impl TrpaConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<Trpa> {
        for (name, value) in [("beta", self.beta), ("anisotropy", self.anisotropy)] {
            check_domain(value.is_finite() && value > 0.0, name, "finite and > 0", value)?;
        }
        check_domain(!self.top_reward.is_nan(), "top_reward", "a number", self.top_reward)?;
        check_domain(self.kl_coef.is_finite() && self.kl_coef >= 0.0, "kl_coef", "finite and >= 0", self.kl_coef)?;
        Ok(Trpa { config: self.clone() })
    }
}

/// Pairs of responses to the same prompt, with a trust region.
///
/// ```text
/// loss = mean over pairs, i better than j, of softplus(−β_i (u_i − u_j))  +  kl_coef · mean over tokens of k3(π, π_old)
/// u    = mean over tokens of log(π/π_ref)
/// β_i  = anisotropy · β for responses of the best level, β for others
/// ```
///
/// The pairs are those of all groups together. What the batch calls advantages are the rewards: a pair is two responses of
/// which one has the higher reward, whatever it is; a row whose reward is missing (NaN), as one without a token, is in no
/// pair. With [`super::Totals`], whether there is a pair to fall back from is decided for the step as a whole.
///
/// # Example
/// ```
/// use accordant_objectives::{TokenLogps, rollout::{RolloutBatch, RolloutObjective, trpa::TrpaConfig}};
/// use accordant_ops::groups::Groups;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let column = |values: [f32; 3]| Tensor::<2>::from_floats(values.map(|value| [value]), &device);
/// let logps = TokenLogps::new(column([-1.0, -1.0, -1.0]), Tensor::full([3, 1], true, &device))?;
/// let batch = RolloutBatch::new(logps, column([1.0, 0.0, 0.0]))?;
/// let batch = batch.with_reference(column([-1.0, -1.0, -1.0]))?.with_groups(Groups::new(&[1, 1, 1]))?;
/// // Two pairs, and the policy is still the reference.
/// let loss = TrpaConfig::new().init()?.forward(&batch)?.reduced.loss;
/// assert_eq!(loss.into_scalar::<f32>(), 2f32.ln());
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2504.04524")]
#[doc(alias = "Trust Region Preference Approximation")]
#[derive(Debug, Clone, PartialEq)]
pub struct Trpa {
    config: TrpaConfig,
}

/// `trpa` by name.
pub const METHOD: Method = Method {
    name: "trpa",
    title: "Trust Region Preference Approximation",
    build: |options| Ok(Box::new(options.apply("trpa", TrpaConfig::new())?.init()?)),
};

/// `[n]` along the rows, or along the columns, of `[n, n]`.
fn across(values: Tensor<1>, dim: usize) -> Tensor<2> {
    let [n] = values.dims();
    values.unsqueeze_dim::<2>(dim).expand([n, n])
}

/// True where row and column are of the same group, `[n, n]`.
fn same_group(groups: &Groups, like: &Tensor<2>) -> Tensor<2, Bool> {
    let numbers = groups.numbers();
    let flags = numbers.iter().flat_map(|row| numbers.iter().map(move |column| row == column)).collect();
    Tensor::from_bool(TensorData::new::<bool, _>(flags, [numbers.len(), numbers.len()]), &like.device())
}

impl Trpa {
    /// Losses of pairs `[n, n]`, the better one first, and where there is one.
    fn pairs(&self, batch: &RolloutBatch, ratios: Tensor<1>) -> Result<(Tensor<2>, Tensor<2, Bool>)> {
        let rewards = batch.row_advantages();
        let counts = TokenLogps::new(batch.policy(), batch.mask())?.sequence().count;
        let has_tokens = |dim| across(counts.clone(), dim).greater_scalar(0.0);
        let better = across(rewards.clone(), 1).greater(across(rewards.clone(), 0));
        let exist = better
            .bool_and(same_group(batch.groups("trpa")?, &batch.policy()))
            .bool_and(has_tokens(1))
            .bool_and(has_tokens(0));
        let betas = ratios.zeros_like().detach().add_scalar(self.config.beta);
        let best = rewards.greater_equal_scalar(self.config.top_reward);
        let betas = betas.mask_fill(best, self.config.beta * self.config.anisotropy);
        let gaps = (across(ratios.clone(), 0) - across(ratios, 1)) * across(betas, 1);
        let none = exist.clone().bool_not();
        Ok((softplus(gaps.mask_fill(none.clone(), 0.0)).mask_fill(none, 0.0), exist))
    }

    /// `softplus(∓u)`, `[rows, seq]`, where there is no pair in the step, and 0 where there is one.
    fn pointwise(&self, batch: &RolloutBatch, ratios: Tensor<1>, pairs: &Tensor<1>) -> Result<Tensor<2>> {
        let best = batch.row_advantages().greater_equal_scalar(self.config.top_reward);
        let losses = softplus(ratios.clone().mask_where(best, -ratios));
        let losses = RolloutBatch::per_token(losses, batch.mask())?;
        let num_pairs = match batch.totals().and_then(|totals| totals.get("policy")) {
            Some(total) => pairs.zeros_like() + total,
            None => pairs.clone(),
        };
        let has_pairs = num_pairs.unsqueeze_dim::<2>(1).expand(losses.dims()).greater_scalar(0.0);
        Ok(losses.mask_fill(has_pairs, 0.0))
    }
}

impl RolloutObjective for Trpa {
    fn name(&self) -> &'static str {
        "trpa"
    }

    fn needs_reference(&self) -> bool {
        true
    }

    fn needs_groups(&self) -> bool {
        true
    }

    fn advantages(&self, batch: &RewardBatch) -> Result<Advantages> {
        Advantages::or_nan(batch, batch.rewards()?)
    }

    fn forward(&self, batch: &RolloutBatch) -> Result<RolloutOutput> {
        let batch = batch.with_known_advantages()?;
        let sequence = TokenLogps::new(batch.policy() - batch.reference("trpa")?, batch.mask())?.sequence();
        let (losses, exist) = self.pairs(&batch, sequence.mean.clone())?;
        let mean = |losses, mask, aggregation| reduce_tokens(losses, mask, aggregation, EmptyRows::Skip);
        let policy = mean(losses.clone(), exist, Aggregation::TokenMean)?;
        // A pair's loss is the better one's, in equal parts its tokens'.
        let of_rows = losses.sum_dim(1).squeeze_dim::<1>(1) / sequence.count.clamp_min(1.0);
        let of_tokens = RolloutBatch::per_token(of_rows, batch.mask())?;
        let mut terms = vec![("policy", 1.0, policy.clone())];
        if self.config.fallback == Fallback::Pointwise {
            let losses = self.pointwise(&batch, sequence.mean, &policy.denominator)?;
            terms.push(("pointwise", 1.0, mean(losses, batch.mask(), Aggregation::SequenceMean)?));
        }
        if self.config.kl_coef > 0.0 {
            let kl = kl_per_token(batch.policy(), batch.old(), &KlOptions::new(KlEstimator::K3))?;
            terms.push(("trust_region", self.config.kl_coef, mean(kl, batch.mask(), Aggregation::TokenMean)?));
        }
        RolloutOutput::new(&batch, of_tokens, terms)
    }
}

#[cfg(test)]
mod tests {
    use accordant_laws::gradient::check_gradient;
    use burn::tensor::DType;

    use super::*;
    use crate::rollout::tests::{close, device, host, loss_and_grad, mask, matrix};

    fn trpa(config: TrpaConfig) -> Trpa {
        config.init().expect("valid in this test")
    }

    fn sp(x: f64) -> f64 {
        x.exp().ln_1p()
    }

    /// Rows of one prompt with rewards 1, 0, 0.5 and of another one with 0 and without one; the last is empty.
    /// The reference says −2 everywhere; u is then log π + 2, a mean over two tokens in the first row.
    fn batch(policy: Tensor<2>) -> RolloutBatch {
        let none = f64::NAN;
        let one = [true, false];
        let kept = mask([[true, true], one, one, one, one, [false, false]]);
        let rewards = matrix([[1.0; 2], [0.0; 2], [0.5; 2], [0.0; 2], [none; 2], [1.0; 2]]);
        RolloutBatch::new(TokenLogps::new(policy, kept).unwrap(), rewards)
            .unwrap()
            .with_reference(matrix([[-2.0; 2]; 6]))
            .unwrap()
            .with_old(matrix([[-1.9; 2]; 6]))
            .unwrap()
            .with_groups(Groups::new(&[7, 7, 7, 8, 8, 8]))
            .unwrap()
    }

    fn policy() -> Tensor<2> {
        let none = f64::NAN;
        matrix([[-1.0, -2.0], [-1.75, none], [-2.5, none], [-1.0, none], [-1.0, none], [none, none]])
    }

    #[test]
    fn pairs_are_those_of_different_rewards_in_a_group() {
        // u = 0.5, 0.25, −0.5: the first beats the two others at 2.5 β, the third the second at β.
        let config = TrpaConfig::new().with_beta(0.4).with_kl_coef(0.0);
        let (loss, grad) = loss_and_grad(&trpa(config.clone()), batch, policy());
        close(&[loss], &[(sp(-0.25) + sp(-1.0) + sp(0.3)) / 3.0], 1e-15);
        let slope = |beta: f64, gap: f64| beta / (1.0 + (beta * gap).exp()) / 3.0;
        let (a, b, c) = (slope(1.0, 0.25), slope(1.0, 1.0), slope(0.4, -0.75));
        let mut expected = [0.0; 12];
        (expected[0], expected[1], expected[2], expected[4]) = (-(a + b) / 2.0, -(a + b) / 2.0, a + c, b - c);
        close(&grad, &expected, 1e-15);
        let output = trpa(config.clone()).forward(&batch(policy())).unwrap();
        close(&host(output.row_losses()), &[sp(-0.25) + sp(-1.0), 0.0, sp(0.3), 0.0, 0.0, 0.0], 1e-15);
        assert_eq!(trpa(config.clone()).totals(&batch(policy())).unwrap().get("policy"), Some(3.0));
        // The best level begins where it is said to.
        let (loss, _) = loss_and_grad(&trpa(config.with_top_reward(0.5)), batch, policy());
        close(&[loss], &[(sp(-0.25) + sp(-1.0) + sp(0.75)) / 3.0], 1e-15);
    }

    #[test]
    fn the_trust_region_is_one_around_the_old_policy() {
        let config = TrpaConfig::new().with_kl_coef(0.5);
        let (with, _) = loss_and_grad(&trpa(config.clone()), batch, policy());
        let (without, _) = loss_and_grad(&trpa(config.with_kl_coef(0.0)), batch, policy());
        // log π − log π_old of the five tokens that count.
        let k3 = |u: f64| (-u).exp() - 1.0 + u;
        let kl = (2.0 * k3(0.9) + k3(-0.1) + k3(0.15) + k3(-0.6)) / 5.0;
        close(&[with - without], &[0.5 * kl], 1e-14);
    }

    #[test]
    fn two_responses_of_one_token_are_a_pair_of_dpo() {
        for (chosen, rejected) in [(0.7, -0.4), (-3.0, 2.0)] {
            let pair = |policy: Tensor<2>| {
                let logps = TokenLogps::new(policy, mask([[true], [true]])).unwrap();
                let batch = RolloutBatch::new(logps, matrix([[-0.25], [-3.0]])).unwrap();
                batch.with_reference(matrix([[-1.0], [-2.0]])).unwrap().with_groups(Groups::new(&[0, 0])).unwrap()
            };
            let config = TrpaConfig::new().with_beta(0.3);
            let (loss, _) = loss_and_grad(&trpa(config), pair, matrix([[-1.0 + chosen], [-2.0 + rejected]]));
            close(&[loss], &[sp(-0.3 * (chosen - rejected))], 1e-15);
        }
    }

    #[test]
    fn gradients_are_those_of_finite_differences() {
        let objective = trpa(TrpaConfig::new().with_kl_coef(0.3).with_beta(0.7));
        let at = [-1.0, -2.0, -1.75, -2.5, -1.0];
        let place = |x: &[f64]| matrix([[x[0], x[1]], [x[2], 0.0], [x[3], 0.0], [x[4], 0.0], [-1.0, 0.0], [0.0, 0.0]]);
        let (_, grad) = loss_and_grad(&objective, batch, place(&at));
        let slopes = [grad[0], grad[1], grad[2], grad[4], grad[6]];
        check_gradient(|x| loss_and_grad(&objective, batch, place(x)).0, &at, &slopes).unwrap();
    }

    #[test]
    fn without_a_pair_each_response_may_stand_on_its_own() {
        let alone = |rewards: [f64; 2]| {
            move |policy: Tensor<2>| {
                let logps = TokenLogps::new(policy, mask([[true], [true]])).unwrap();
                let batch = RolloutBatch::new(logps, matrix(rewards.map(|reward| [reward]))).unwrap();
                batch.with_reference(matrix([[-1.0], [-1.0]])).unwrap().with_groups(Groups::new(&[0, 1])).unwrap()
            }
        };
        let config = TrpaConfig::new().with_kl_coef(0.0);
        let at = || matrix([[-0.5], [-1.7]]);
        assert_eq!(loss_and_grad(&trpa(config.clone()), alone([1.0, 0.0]), at()), (0.0, vec![0.0; 2]));
        let pointwise = trpa(config.with_fallback(Fallback::Pointwise));
        let (loss, grad) = loss_and_grad(&pointwise, alone([1.0, 0.0]), at());
        close(&[loss], &[(sp(-0.5) + sp(-0.7)) / 2.0], 1e-15);
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        close(&grad, &[-sigmoid(-0.5) / 2.0, sigmoid(-0.7) / 2.0], 1e-15);
        // A pair anywhere in the step, and there is no falling back; none, and there is.
        let mut totals = pointwise.totals(&alone([1.0, 0.0])(at())).unwrap();
        assert_eq!((totals.get("policy"), totals.get("pointwise")), (Some(0.0), Some(2.0)));
        let part = |totals: crate::rollout::Totals| {
            move |policy: Tensor<2>| alone([1.0, 0.0])(policy).with_totals(totals.clone()).unwrap()
        };
        assert_eq!(loss_and_grad(&pointwise, part(totals.clone()), at()).0, loss);
        totals.add("policy", 1.0);
        assert_eq!(loss_and_grad(&pointwise, part(totals), at()), (0.0, vec![0.0; 2]));
        let (with_pairs, _) = loss_and_grad(&pointwise, batch, policy());
        let (pairs, _) = loss_and_grad(&trpa(TrpaConfig::new().with_kl_coef(0.0)), batch, policy());
        assert_eq!(with_pairs, pairs);
    }

    #[test]
    fn levels_are_the_rewards_as_they_came() {
        let rewards = Tensor::<1>::from_data([2.0f64, f64::NAN], (&device(), DType::F64));
        let kept = mask([[true, false], [true, true]]);
        let batch = RewardBatch::new(rewards, Groups::new(&[1, 1]), kept).unwrap();
        let levels = host(trpa(TrpaConfig::new()).advantages(&batch).unwrap().advantages);
        assert_eq!(levels[..2], [2.0, 0.0]);
        assert!(levels[2].is_nan() && levels[3].is_nan());
        assert!(trpa(TrpaConfig::new()).needs_reference() && trpa(TrpaConfig::new()).needs_groups());
    }

    #[test]
    fn defaults_and_refused_values() {
        let config = TrpaConfig::new();
        assert_eq!((config.beta, config.anisotropy, config.top_reward), (0.1, 2.5, 1.0));
        assert_eq!((config.kl_coef, config.fallback), (1e-3, Fallback::None));
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let error = config.clone().with_beta(bad).init().unwrap_err().to_string();
            assert_eq!(error, format!("`beta`: expected finite and > 0, got {bad}"));
            assert!(config.clone().with_anisotropy(bad).init().unwrap_err().to_string().starts_with("`anisotropy`"));
        }
        for bad in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(config.clone().with_kl_coef(bad).init().unwrap_err().to_string().starts_with("`kl_coef`"));
        }
        assert!(config.with_top_reward(f64::NAN).init().unwrap_err().to_string().starts_with("`top_reward`"));
    }
}
