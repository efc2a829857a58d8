//! Rewards of tokens: the response's score, less a divergence from the reference.
//!
//! **Papers:** Fine-Tuning Language Models from Human Preferences (2019), 1909.08593; Training language models to follow
//! instructions with human feedback (2022), 2203.02155.
//! **Use when:** the method needs a reward for each token ([`gae`](mod@super::gae), rewards to go) and the pull to the
//! reference is to be part of it. A KL in the loss is another algorithm, and adding both is rarely meant; see
//! [`accordant_ops::kl`].
//! **Checked by:** golden numbers (TRL 1.9), values by hand.
//! **Deviations:** the score goes to the last scored token, as in OpenRLHF and verl; TRL puts it one past
//! ([`ScoreAt::OnePast`]). The penalty for a missing end comes after the clip, which would hide it otherwise.

use accordant_ops::{
    check_domain,
    kl::{KlEstimator, KlOptions, kl_per_token},
    masked::masked_whiten,
};
use burn::{
    config::Config,
    tensor::{Bool, DType, FloatDType, Tensor},
};

use super::scan::{Reader, Rows};
use crate::{
    Error, Result,
    side::{Column, Domain},
};

/// Which responses ended by themselves, with a token that ends them, and were not cut off.
pub const ENDED: Column = Column {
    name: "ended",
    domain: Domain::Binary,
    meaning: "whether the response ended by itself and was not cut off",
};

/// Which position of a row gets its score.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum ScoreAt {
    /// The last scored token: the end-of-sequence token, or where the response was cut.
    LastScored,
    /// The position after it, if the row has one, and the last scored token otherwise; TRL's. The reward of that slot is
    /// the score alone, and the critic is asked for its value too: use the mask of the [`TokenRewards`] for rewards,
    /// values and returns, and the one that came in for the policy.
    OnePast,
}

/// Scored rollouts: the score of each response, and what its divergence is computed from.
#[derive(Debug, Clone)]
pub struct TokenRewardInput {
    scores: Tensor<1>,
    mask: Tensor<2, Bool>,
    logps: Option<(Tensor<2>, Tensor<2>)>,
    ended: Option<Tensor<1, Bool>>,
}

impl TokenRewardInput {
    /// The scores of responses, and which of their tokens are scored: the policy's own, its end-of-sequence token
    /// included.
    ///
    /// # Shapes
    /// `scores`: `[batch]`; `mask`: `[batch, seq]`.
    ///
    /// # Errors
    /// A shape error naming `scores`.
    pub fn new(scores: Tensor<1>, mask: Tensor<2, Bool>) -> Result<Self> {
        Rows::new(&mask, &scores).check_rows("scores", scores.dims())?;
        Ok(Self { scores, mask, logps: None, ended: None })
    }

    /// Log-probabilities of the tokens under the policy that wrote them and under the reference; constants. Unscored
    /// positions may hold anything.
    ///
    /// # Shapes
    /// `[batch, seq]` each.
    ///
    /// # Errors
    /// A shape error naming `old_logps` or `reference_logps`.
    pub fn with_logps(self, old_logps: Tensor<2>, reference_logps: Tensor<2>) -> Result<Self> {
        let rows = Rows::new(&self.mask, &self.scores);
        rows.check_tokens("old_logps", old_logps.dims())?;
        rows.check_tokens("reference_logps", reference_logps.dims())?;
        Ok(Self { logps: Some((old_logps, reference_logps)), ..self })
    }

    /// Tells which responses ended by themselves: with a token that ends them, and were not cut off.
    ///
    /// # Shapes
    /// `[batch]`.
    ///
    /// # Errors
    /// A shape error naming `ended`.
    pub fn with_ended(self, ended: Tensor<1, Bool>) -> Result<Self> {
        Rows::new(&self.mask, &self.scores).check_rows("ended", ended.dims())?;
        Ok(Self { ended: Some(ended), ..self })
    }
}

/// Rewards of tokens. Constants, `[batch, seq]`.
#[derive(Debug, Clone)]
pub struct TokenRewards {
    /// 0 where `mask` is false.
    pub rewards: Tensor<2>,
    /// Where rewards and values are: the mask that came in, with [`ScoreAt::OnePast`] the slots of scores besides.
    pub mask: Tensor<2, Bool>,
    /// The estimated divergence of each token, unscaled, in nats; 0 where it was not asked for. For
    /// [`kl_means`](accordant_ops::kl::kl_means), with the mask that came in.
    pub kl: Tensor<2>,
}

/// The reward of each scored token.
///
/// ```text
/// R_t = −kl_coef · k_t + [t is the score's position] · (clip(score) − missing_eos_penalty · [not ended])
/// ```
///
/// `k_t` is a constant, estimated from `old_logps` and `reference_logps`. A row without a scored token has no place for
/// its score, which is dropped. A score or a scored log-probability of NaN makes its reward NaN, and with
/// `whiten_rewards` all others. Equal log-probabilities of −∞ give NaN.
///
/// # Shapes
/// `[batch, seq]`, in f64 for f64 scores and f32 otherwise. Scores have the unit of their reward model, `kl_coef` is that
/// unit per nat.
///
/// # Errors
/// [`Error::MissingReference`] when `kl_coef` is not 0 and the input has no log-probabilities, [`Error::MissingColumn`]
/// when `missing_eos_penalty` is given and the input does not say which responses ended; a domain error naming the field
/// of `config`.
///
/// # Example
/// ```
/// use accordant_objectives::advantage::token_rewards::{TokenRewardConfig, TokenRewardInput, token_rewards};
/// use burn::tensor::{Device, Tensor, TensorData};
/// let device = Device::flex();
/// let mask = Tensor::from_bool(TensorData::from([[true, true, false]]), &device);
/// let old = Tensor::from_floats([[-1.0, -2.0, f32::NAN]], &device);
/// let reference = Tensor::from_floats([[-3.0, -1.0, 0.0]], &device);
/// let input = TokenRewardInput::new(Tensor::from_floats([0.75], &device), mask)?.with_logps(old, reference)?;
/// let rewards = token_rewards(&input, &TokenRewardConfig::new().with_kl_coef(0.5))?.rewards;
/// // −0.5 · (−1 + 3), and 0.75 − 0.5 · (−2 + 1) at the last scored token.
/// assert_eq!(rewards.try_to_vec_as::<f32>().unwrap(), [-1.0, 1.25, 0.0]);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "1909.08593")]
#[doc(alias = "Fine-Tuning Language Models from Human Preferences")]
#[doc(alias = "KL in the reward")]
pub fn token_rewards(input: &TokenRewardInput, config: &TokenRewardConfig) -> Result<TokenRewards> {
    config.validate()?;
    let rows = Rows::new(&input.mask, &input.scores);
    let kl = match &input.logps {
        Some((old, reference)) => Some(masked_kl(old, reference, &input.mask, &config.kl)?),
        None if config.kl_coef == 0.0 => None,
        None => return Err(Error::MissingReference { method: "token_rewards" }),
    };
    let mut reader = Reader::default().floats(&input.scores).bools(&input.mask);
    if let Some(kl) = &kl {
        reader = reader.floats(kl);
    }
    let penalty = match (config.missing_eos_penalty, &input.ended) {
        (None, _) => 0.0,
        (Some(penalty), Some(ended)) => {
            reader = reader.bools(ended);
            penalty
        }
        (Some(_), None) => {
            let Column { name, meaning, .. } = ENDED;
            return Err(Error::MissingColumn { method: "token_rewards", name, meaning });
        }
    };

    let mut columns = reader.read();
    let (scores, mut mask) = (columns.floats(), columns.bools());
    let kl = if kl.is_some() { columns.floats() } else { vec![0.0; mask.len()] };
    let ended = if config.missing_eos_penalty.is_some() { columns.bools() } else { vec![true; rows.batch] };
    // Not `−kl_coef · kl` where the coefficient is 0: an infinite divergence is not to make NaN then.
    let pull = |kl: &f64| if config.kl_coef == 0.0 { 0.0 } else { -config.kl_coef * kl };
    let mut rewards: Vec<f64> = kl.iter().map(pull).collect();
    for (row, kept) in rows.kept(&mask).into_iter().enumerate() {
        let Some(&last) = kept.last() else { continue };
        let has_room = last + 1 < (row + 1) * rows.seq;
        let at = if config.score_at == ScoreAt::OnePast && has_room { last + 1 } else { last };
        mask[at] = true;
        let clipped = config.reward_clip.map_or(scores[row], |(low, high)| scores[row].clamp(low, high));
        rewards[at] += if ended[row] { clipped } else { clipped - penalty };
    }
    let (mut rewards, mask) = (rows.write(rewards), rows.write_mask(mask));
    if config.whiten_rewards {
        rewards = masked_whiten(rewards, mask.clone(), false)?;
    }
    Ok(TokenRewards { rewards, mask, kl: rows.write(kl) })
}

/// The divergence of each kept token, 0 elsewhere, without a gradient.
fn masked_kl(old: &Tensor<2>, reference: &Tensor<2>, mask: &Tensor<2, Bool>, options: &KlOptions) -> Result<Tensor<2>> {
    let dropped = mask.clone().inner().bool_not();
    // In f64, if either is: the other loses nothing.
    let wide = [old.dtype(), reference.dtype()].contains(&DType::F64);
    let dtype = if wide { FloatDType::F64 } else { FloatDType::F32 };
    let [old, reference] =
        [old, reference].map(|logps| logps.clone().inner().cast(dtype).mask_fill(dropped.clone(), 0.0));
    Ok(kl_per_token(old, reference, options)?)
}

pub(super) fn check_reward_clip(clip: Option<(f64, f64)>) -> Result<()> {
    let Some((low, high)) = clip else { return Ok(()) };
    check_domain(!low.is_nan(), "reward_clip.0", "a number", low)?;
    Ok(check_domain(low <= high, "reward_clip.1", "a number >= reward_clip.0", high)?)
}

/// `rewards` within the bounds; NaN stays NaN.
pub(super) fn clipped(rewards: Tensor<1>, clip: Option<(f64, f64)>) -> Tensor<1> {
    let Some((low, high)) = clip else { return rewards };
    let missing = rewards.clone().is_nan();
    rewards.clamp(low, high).mask_fill(missing, f32::NAN)
}

/// Configuration of [`token_rewards`].
#[derive(Config, Debug, PartialEq)]
pub struct TokenRewardConfig {
    /// Strength of the pull to the reference, in units of the score per nat, finite and ≥ 0. 0.05: TRL's; verl takes
    /// 0.001. With 0 no reference is needed.
    #[config(default = 0.05)]
    pub kl_coef: f64,
    /// How the divergence is estimated. K1, unclamped: TRL's and verl's; as a reward, its expected gradient is that of the
    /// KL.
    #[config(default = "KlOptions::new(KlEstimator::K1)")]
    pub kl: KlOptions,
    /// Which position gets the score. `LastScored`: OpenRLHF's and verl's.
    #[config(default = "ScoreAt::LastScored")]
    pub score_at: ScoreAt,
    /// Bounds of the score, low ≤ high. None: TRL's.
    pub reward_clip: Option<(f64, f64)>,
    /// Subtracted from the score of a response that did not end, finite and ≥ 0. None: TRL's.
    pub missing_eos_penalty: Option<f64>,
    /// Whether rewards are scaled to variance 1 over the batch, their mean kept. False: TRL's.
    #[config(default = false)]
    pub whiten_rewards: bool,
}

impl TokenRewardConfig {
    /// Checks the domains of the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn validate(&self) -> Result<()> {
        let holds = |value: f64| value.is_finite() && value >= 0.0;
        check_domain(holds(self.kl_coef), "kl_coef", "finite and >= 0", self.kl_coef)?;
        if let Some(penalty) = self.missing_eos_penalty {
            check_domain(holds(penalty), "missing_eos_penalty", "finite and >= 0", penalty)?;
        }
        check_reward_clip(self.reward_clip)?;
        Ok(self.kl.validate()?)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::{
        advantage::scan::tests::{grid, keep, near},
        pairwise::tests::{column, tensor},
        unpaired::tests::labels,
    };

    const JUNK: f64 = f64::NAN;

    /// A padded row, one with a tool's output between its tokens and no room behind them, one without a scored token.
    fn input() -> TokenRewardInput {
        let old = grid(&[[-1.0, -2.0, JUNK, JUNK], [JUNK, -0.5, JUNK, -1.0], [JUNK; 4]]);
        let reference = grid(&[[-3.0, -1.5, 0.0, JUNK], [-1.0, -0.5, JUNK, -3.0], [JUNK; 4]]);
        let mask = keep(&[[1, 1, 0, 0], [0, 1, 0, 1], [0; 4]]);
        TokenRewardInput::new(tensor(&[4.0, -8.0, JUNK]), mask).unwrap().with_logps(old, reference).unwrap()
    }

    fn free() -> TokenRewardConfig {
        TokenRewardConfig::new().with_kl_coef(0.0)
    }

    fn rewards(input: &TokenRewardInput, config: &TokenRewardConfig) -> Vec<f64> {
        column(&token_rewards(input, config).unwrap().rewards.flatten(0, 1))
    }

    fn marks(output: &TokenRewards) -> Vec<bool> {
        output.mask.to_data().iter::<bool>().collect()
    }

    #[test]
    fn the_score_and_the_pull_by_hand() {
        // Log-ratios 2, −0.5; 0, 2.
        let output = token_rewards(&input(), &TokenRewardConfig::new()).unwrap();
        let expected = [-0.1, 4.025, 0.0, 0.0, 0.0, 0.0, 0.0, -8.1, 0.0, 0.0, 0.0, 0.0];
        near(&column(&output.rewards.clone().flatten(0, 1)), &expected, 1e-14);
        assert_eq!(marks(&output), input().mask.to_data().iter::<bool>().collect::<Vec<_>>());
        let kl = column(&output.kl.flatten(0, 1));
        assert_eq!(kl, [2.0, -0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0]);
        // K2: 2, 0.125; 0, 2.
        let squares = TokenRewardConfig::new().with_kl(KlOptions::new(KlEstimator::K2)).with_kl_coef(0.5);
        near(&rewards(&input(), &squares)[..4], &[-1.0, 3.9375, 0.0, 0.0], 1e-15);
    }

    #[test]
    fn one_past_adds_a_slot_where_there_is_room() {
        let output = token_rewards(&input(), &TokenRewardConfig::new().with_score_at(ScoreAt::OnePast)).unwrap();
        let expected = [-0.1, 0.025, 4.0, 0.0, 0.0, 0.0, 0.0, -8.1, 0.0, 0.0, 0.0, 0.0];
        near(&column(&output.rewards.clone().flatten(0, 1)), &expected, 1e-14);
        let (t, f) = (true, false);
        assert_eq!(marks(&output), [t, t, t, f, f, t, f, t, f, f, f, f]);
        let kl = column(&output.kl.flatten(0, 1));
        assert_eq!(kl[..4], [2.0, -0.5, 0.0, 0.0], "the slot has no divergence");
    }

    #[test]
    fn scores_are_clipped_before_the_penalty_for_a_missing_end() {
        let clipped = free().with_reward_clip(Some((-3.0, 1.0)));
        assert_eq!(rewards(&input(), &clipped), [0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, -3.0, 0.0, 0.0, 0.0, 0.0]);
        let input = input().with_ended(labels(&[true, false, false])).unwrap();
        let penalized = clipped.with_missing_eos_penalty(Some(0.5));
        assert_eq!(rewards(&input, &penalized), [0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, -3.5, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(rewards(&input, &free())[7], -8.0, "no penalty unless it is asked for");
        let one_sided = free().with_reward_clip(Some((f64::NEG_INFINITY, 0.0)));
        assert_eq!((rewards(&input, &one_sided)[1], rewards(&input, &one_sided)[7]), (0.0, -8.0));
    }

    #[test]
    fn whitened_rewards_keep_their_mean() {
        // 0, 4; 0, −8: mean −1, deviations 1, 5, 1, −7, variance 76/3.
        let scale = (76.0 / 3.0 + 1e-8f64).sqrt().recip();
        let [zero, high, low] = [1.0, 5.0, -7.0].map(|deviation| deviation * scale - 1.0);
        let whitened = rewards(&input(), &free().with_whiten_rewards(true));
        near(&whitened, &[zero, high, 0.0, 0.0, 0.0, zero, 0.0, low, 0.0, 0.0, 0.0, 0.0], 1e-14);
        // With the slot of the first row: 0, 0, 4; 0, −8; mean −0.8, Σ deviations² = 3 · 0.64 + 23.04 + 51.84.
        let config = free().with_whiten_rewards(true).with_score_at(ScoreAt::OnePast);
        let scale = (76.8 / 4.0 + 1e-8f64).sqrt().recip();
        near(&rewards(&input(), &config)[..4], &[0.8 * scale - 0.8, 0.8 * scale - 0.8, 4.8 * scale - 0.8, 0.0], 1e-14);
    }

    #[test]
    fn without_a_pull_no_reference_is_needed_and_an_infinite_one_is_harmless() {
        let bare = TokenRewardInput::new(tensor(&[4.0, -8.0, 1.0]), input().mask).unwrap();
        let expected = [0.0, 4.0, 0.0, 0.0, 0.0, 0.0, 0.0, -8.0, 0.0, 0.0, 0.0, 0.0];
        let output = token_rewards(&bare, &free()).unwrap();
        assert_eq!(column(&output.rewards.flatten(0, 1)), expected);
        assert_eq!(column(&output.kl.flatten(0, 1)), [0.0; 12]);
        let old = grid(&[[-1.0; 4]; 3]);
        let impossible = bare.clone().with_logps(old, grid(&[[f64::NEG_INFINITY; 4]; 3])).unwrap();
        assert_eq!(rewards(&impossible, &free()), expected);
        let error = token_rewards(&bare, &TokenRewardConfig::new()).unwrap_err();
        assert!(matches!(error, Error::MissingReference { method: "token_rewards" }));
        let error = token_rewards(&bare, &free().with_missing_eos_penalty(Some(1.0))).unwrap_err();
        assert!(matches!(error, Error::MissingColumn { name: "ended", .. }));
    }

    #[test]
    fn results_are_constants_of_the_scores_dtype_on_their_device() {
        let device = Device::flex().autodiff();
        let narrow = |dtype| Tensor::<1>::from_data([2.0], (&device, dtype)).require_grad();
        let logps = |dtype| Tensor::<2>::from_data([[-0.1, -0.2]], (&device, dtype)).require_grad();
        let mask = Tensor::from_bool([[true, true]], &device);
        for (dtype, expected) in [(DType::BF16, DType::F32), (DType::F32, DType::F32), (DType::F64, DType::F64)] {
            let input = TokenRewardInput::new(narrow(dtype), mask.clone()).unwrap();
            let input = input.with_logps(logps(DType::F64), logps(DType::F32)).unwrap();
            for whiten in [false, true] {
                let output = token_rewards(&input, &TokenRewardConfig::new().with_whiten_rewards(whiten)).unwrap();
                for tensor in [&output.rewards, &output.kl] {
                    assert_eq!((tensor.dtype(), tensor.device() == device), (expected, true));
                    assert!(!tensor.is_require_grad());
                }
            }
            // −0.1 in f64 less −0.1 in f32: what f32 alone would lose.
            let kl = column(&token_rewards(&input, &TokenRewardConfig::new()).unwrap().kl.flatten(0, 1))[0];
            assert!((kl - (f64::from(0.1f32) - 0.1)).abs() < 1e-15, "{kl}");
        }
        for shape in [[0, 2], [1, 0]] {
            let none = Tensor::<2>::zeros(shape, &Device::flex());
            let scores = Tensor::zeros([shape[0]], &Device::flex());
            let input = TokenRewardInput::new(scores, none.clone().equal_scalar(1.0)).unwrap();
            let input = input.with_logps(none.clone(), none).unwrap();
            let config = TokenRewardConfig::new().with_whiten_rewards(true).with_score_at(ScoreAt::OnePast);
            assert_eq!(token_rewards(&input, &config).unwrap().rewards.dims(), shape);
        }
    }

    #[test]
    fn senseless_input_is_refused_by_name() {
        let expected = TokenRewardConfig {
            kl_coef: 0.05,
            kl: KlOptions::new(KlEstimator::K1),
            score_at: ScoreAt::LastScored,
            reward_clip: None,
            missing_eos_penalty: None,
            whiten_rewards: false,
        };
        assert_eq!(TokenRewardConfig::new(), expected);
        for (config, name) in [
            (free().with_kl_coef(-0.1), "`kl_coef`"),
            (free().with_kl_coef(f64::INFINITY), "`kl_coef`"),
            (free().with_missing_eos_penalty(Some(-1.0)), "`missing_eos_penalty`"),
            (free().with_missing_eos_penalty(Some(JUNK)), "`missing_eos_penalty`"),
            (free().with_reward_clip(Some((JUNK, 1.0))), "`reward_clip.0`"),
            (free().with_reward_clip(Some((0.0, JUNK))), "`reward_clip.1`"),
            (free().with_reward_clip(Some((1.0, 0.5))), "`reward_clip.1`"),
            (free().with_kl(KlOptions::new(KlEstimator::K1).with_value_clamp(Some(0.0))), "`value_clamp`"),
        ] {
            for error in [config.validate().unwrap_err(), token_rewards(&input(), &config).unwrap_err()] {
                assert!(error.to_string().starts_with(name), "{error}");
            }
        }
        for config in [free().with_missing_eos_penalty(Some(0.0)), free().with_reward_clip(Some((1.0, 1.0)))] {
            config.validate().unwrap();
        }
        let error = TokenRewardInput::new(tensor(&[1.0]), input().mask).unwrap_err().to_string();
        assert_eq!(error, "`scores`: expected shape [3], got [1]");
        let (one, three) = (|| grid(&[[0.0; 4]]), || grid(&[[0.0; 4]; 3]));
        let error = input().with_logps(one(), three()).unwrap_err().to_string();
        assert_eq!(error, "`old_logps`: expected shape [3, 4], got [1, 4]");
        let error = input().with_logps(three(), one()).unwrap_err().to_string();
        assert_eq!(error, "`reference_logps`: expected shape [3, 4], got [1, 4]");
        let error = input().with_ended(labels(&[true])).unwrap_err().to_string();
        assert_eq!(error, "`ended`: expected shape [3], got [1]");
    }
}
