//! Generalized Advantage Estimation (GAE), with fixed or length-adaptive λ, and rewards to go.
//!
//! **Papers:** High-Dimensional Continuous Control Using Generalized Advantage Estimation (2015), 1506.02438; VAPO:
//! Efficient and Reliable Reinforcement Learning for Advanced Reasoning Tasks (2025), 2504.05118 ([`GaeConfig::vapo`]).
//! **Use when:** there is a critic: PPO and its kin.
//! **Checked by:** golden numbers (TRL 1.9), values by hand, the limits λ = 0 and λ = 1.
//! **Deviations:** steps run from one scored token to the next: TRL and OpenRLHF decay over a tool's output. Whitening
//! takes the unbiased variance, as TRL and verl do.

use accordant_ops::{
    check_domain,
    masked::{masked_whiten, masked_whiten_by},
};
use burn::{
    config::Config,
    tensor::{Bool, Tensor},
};

use super::scan::{Reader, Rows};
use crate::Result;

/// How far GAE looks ahead: 0 trusts the critic after one step, 1 uses the rewards alone.
#[derive(Config, Debug, Copy, PartialEq)]
pub enum Lambda {
    /// The same for every row, in `[0, 1]`.
    Constant(f64),
    /// VAPO's, from the number of actions `n` of the row: `max(1 − 1/(alpha n), 0)`, with `alpha` finite and > 0. What
    /// is left of a reward after `n` tokens then hardly depends on `n`.
    LengthAdaptive {
        /// α in the paper, which takes 0.05: rows of up to 20 tokens get 0.
        alpha: f64,
    },
}

impl Lambda {
    /// λ of a row with `num_actions` scored tokens. None counts as one, whose λ nobody reads.
    pub fn of_row(self, num_actions: usize) -> f64 {
        match self {
            Self::Constant(lambda) => lambda,
            Self::LengthAdaptive { alpha } => (1.0 - (alpha * num_actions.max(1) as f64).recip()).max(0.0),
        }
    }

    fn check(self, name: &'static str) -> Result<()> {
        let (holds, expected, got) = match self {
            Self::Constant(lambda) => ((0.0..=1.0).contains(&lambda), "in [0, 1]", lambda),
            Self::LengthAdaptive { alpha } => {
                (alpha.is_finite() && alpha > 0.0, "an alpha that is finite and > 0", alpha)
            }
        };
        Ok(check_domain(holds, name, expected, got)?)
    }
}

/// Whether advantages are scaled to mean 0 and variance 1.
#[derive(Config, Debug, Copy, PartialEq)]
pub enum Whiten {
    /// By mean and unbiased variance of this batch's actions; see [`masked_whiten`]. A single action gets 0.
    Batch,
    /// Not at all.
    None,
    /// By statistics of more than this batch, gathered from all devices; see [`masked_whiten_by`].
    GlobalStats {
        /// Their mean, finite.
        mean: f64,
        /// Their standard deviation, finite and ≥ 0.
        std: f64,
    },
}

impl Whiten {
    pub(crate) fn check(self) -> Result<()> {
        if let Self::GlobalStats { mean, std } = self {
            check_domain(mean.is_finite(), "whiten.mean", "finite", mean)?;
            check_domain(std.is_finite() && std >= 0.0, "whiten.std", "finite and >= 0", std)?;
        }
        Ok(())
    }

    /// `advantages` are 0 where `mask` is false, and stay so.
    pub(crate) fn apply(self, advantages: Tensor<2>, mask: Tensor<2, Bool>) -> Result<Tensor<2>> {
        Ok(match self {
            Self::Batch => masked_whiten(advantages, mask, true)?,
            Self::None => advantages,
            Self::GlobalStats { mean, std } => masked_whiten_by(advantages, mask, mean, std)?,
        })
    }
}

/// Rollouts as GAE reads them: rewards and values of each token, and which tokens are scored.
#[derive(Debug, Clone)]
pub struct GaeInput {
    rewards: Tensor<2>,
    values: Tensor<2>,
    mask: Tensor<2, Bool>,
    actions: Option<Tensor<2, Bool>>,
    truncated: Option<(Tensor<1, Bool>, Tensor<1>)>,
}

impl GaeInput {
    /// Rewards of the tokens ([`super::token_rewards`](mod@super::token_rewards)), the critic's values of the states before
    /// them, and the mask of scored tokens. Unscored positions may hold anything.
    ///
    /// # Shapes
    /// `[batch, seq]` each.
    ///
    /// # Errors
    /// A shape error naming `rewards` or `values`, which have to match `mask`.
    pub fn new(rewards: Tensor<2>, values: Tensor<2>, mask: Tensor<2, Bool>) -> Result<Self> {
        let rows = Rows::new(&mask, &rewards);
        rows.check_tokens("rewards", rewards.dims())?;
        rows.check_tokens("values", values.dims())?;
        Ok(Self { rewards, values, mask, actions: None, truncated: None })
    }

    /// Tells the policy's own tokens from the slots that only carry a reward and a value
    /// ([`ScoreAt::OnePast`](super::token_rewards::ScoreAt)). Advantages are whitened over the former and 0 elsewhere, and
    /// the former alone count as the length of a row; returns have both.
    ///
    /// # Shapes
    /// `[batch, seq]`; what the other mask does not keep is no action.
    ///
    /// # Errors
    /// A shape error naming `actions`.
    pub fn with_actions(self, actions: Tensor<2, Bool>) -> Result<Self> {
        Rows::new(&self.mask, &self.rewards).check_tokens("actions", actions.dims())?;
        Ok(Self { actions: Some(actions), ..self })
    }

    /// Tells which rows were cut off before they ended: their last token is followed by the state of value
    /// `next_values`. Without this, every row is taken to have ended, and nothing follows.
    ///
    /// # Shapes
    /// `[batch]` each; `next_values` of rows that are not truncated may hold anything.
    ///
    /// # Errors
    /// A shape error naming `truncated` or `next_values`.
    pub fn with_truncated(self, truncated: Tensor<1, Bool>, next_values: Tensor<1>) -> Result<Self> {
        let rows = Rows::new(&self.mask, &self.rewards);
        rows.check_rows("truncated", truncated.dims())?;
        rows.check_rows("next_values", next_values.dims())?;
        Ok(Self { truncated: Some((truncated, next_values)), ..self })
    }
}

/// What GAE makes of rollouts. Constants, `[batch, seq]`, 0 at positions that are not scored.
#[derive(Debug, Clone)]
pub struct GaeOutput {
    /// How much better each action was than expected, whitened if asked for.
    pub advantages: Tensor<2>,
    /// What the critic is to predict: advantages, unwhitened, plus values.
    pub returns: Tensor<2>,
}

/// Advantages and returns of rollouts.
///
/// ```text
/// δ_t = R_t + γ V_{t+} − V_t
/// A_t = δ_t + γ λ A_{t+},      returns_t = A_t + V_t       (eq. 16)
/// ```
///
/// `t+` is the next scored token of the row; after the last one `A` is 0, and so is `V` unless the row is truncated
/// ([`GaeInput::with_truncated`]). With a critic's λ of its own (decoupled GAE), returns are `A + V` of a second scan.
/// Returns come from advantages before they are whitened. λ = 0 gives `δ`, λ = 1 the discounted reward to go less `V`.
///
/// # Shapes
/// `[batch, seq]`, in f64 for f64 rewards and f32 otherwise; the scan itself runs in f64. `discount` (γ) and λ are per
/// token. These are statistics of the batch if whitened: hand over the whole of it.
///
/// # Errors
/// A domain error naming the field of `config`.
///
/// # Example
/// ```
/// use accordant_objectives::advantage::gae::{GaeConfig, GaeInput, Whiten, gae};
/// use burn::tensor::{Device, Tensor, TensorData};
/// let device = Device::flex();
/// let rewards = Tensor::from_floats([[0.0, 1.0]], &device);
/// let values = Tensor::from_floats([[0.25, 0.5]], &device);
/// let mask = Tensor::from_bool(TensorData::from([[true, true]]), &device);
/// let config = GaeConfig::new().with_whiten(Whiten::None);
/// let output = gae(&GaeInput::new(rewards, values, mask)?, &config)?;
/// // δ = (0.5 − 0.25, 1 − 0.5); A_0 = 0.25 + 0.95 · 0.5
/// assert_eq!(output.advantages.try_to_vec_as::<f32>().unwrap(), [0.725, 0.5]);
/// assert_eq!(output.returns.try_to_vec_as::<f32>().unwrap(), [0.975, 1.0]);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "1506.02438")]
#[doc(alias = "High-Dimensional Continuous Control Using Generalized Advantage Estimation")]
#[doc(alias = "2504.05118")]
#[doc(alias = "VAPO: Efficient and Reliable Reinforcement Learning for Advanced Reasoning Tasks")]
#[doc(alias = "TD(lambda)")]
pub fn gae(input: &GaeInput, config: &GaeConfig) -> Result<GaeOutput> {
    config.validate()?;
    let rows = Rows::new(&input.mask, &input.rewards);
    let (mut reader, actions) = (Reader::default(), input.actions.as_ref());
    reader = reader.floats(&input.rewards).floats(&input.values).bools(&input.mask);
    reader = reader.bools(actions.unwrap_or(&input.mask));
    if let Some((truncated, next_values)) = &input.truncated {
        reader = reader.bools(truncated).floats(next_values);
    }
    let mut columns = reader.read();
    let (rewards, values) = (columns.floats(), columns.floats());
    let (mask, mut actions) = (columns.bools(), columns.bools());
    for (action, scored) in actions.iter_mut().zip(&mask) {
        *action &= scored;
    }
    let last_values: Vec<f64> = match input.truncated {
        None => vec![0.0; rows.batch],
        Some(_) => {
            let (truncated, next) = (columns.bools(), columns.floats());
            truncated.into_iter().zip(next).map(|(truncated, next)| if truncated { next } else { 0.0 }).collect()
        }
    };

    let lengths: Vec<usize> = rows.kept(&actions).iter().map(Vec::len).collect();
    let scan = |lambda: Lambda| {
        rows.backward(
            &mask,
            |row| (last_values[row], 0.0, config.discount * lambda.of_row(lengths[row])),
            |(next_value, next_advantage, decay), at| {
                let delta = rewards[at] + config.discount * *next_value - values[at];
                *next_value = values[at];
                *next_advantage = delta + *decay * *next_advantage;
                *next_advantage
            },
        )
    };
    let mut advantages = scan(config.gae_lambda);
    let mut returns = config.critic_lambda.map_or_else(|| advantages.clone(), scan);
    for at in 0..mask.len() {
        if mask[at] {
            returns[at] += values[at];
        }
        if !actions[at] {
            advantages[at] = 0.0;
        }
    }
    let advantages = config.whiten.apply(rows.write(advantages), rows.write_mask(actions))?;
    Ok(GaeOutput { advantages, returns: rows.write(returns) })
}

/// Discounted sums of the rewards from each scored token on, `G_t = R_t + γ G_{t+}`: the returns without a critic.
///
/// # Shapes
/// `rewards` and `mask`: `[batch, seq]`, to the same; f64 for f64 and f32 otherwise. `discount` is per scored token.
///
/// # Errors
/// A shape error naming `rewards`; a domain error unless `discount` lies in `[0, 1]`.
///
/// # Example
/// ```
/// use accordant_objectives::advantage::gae::reward_to_go;
/// use burn::tensor::{Device, Tensor, TensorData};
/// let device = Device::flex();
/// let rewards = Tensor::from_floats([[1.0, f32::NAN, 4.0]], &device);
/// let mask = Tensor::from_bool(TensorData::from([[true, false, true]]), &device);
/// let returns = reward_to_go(rewards, mask, 0.5)?;
/// assert_eq!(returns.try_to_vec_as::<f32>().unwrap(), [3.0, 0.0, 4.0]);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "discounted returns")]
pub fn reward_to_go(rewards: Tensor<2>, mask: Tensor<2, Bool>, discount: f64) -> Result<Tensor<2>> {
    let rows = Rows::new(&mask, &rewards);
    rows.check_tokens("rewards", rewards.dims())?;
    check_discount(discount)?;
    let mut columns = Reader::default().floats(&rewards).bools(&mask).read();
    let (rewards, mask) = (columns.floats(), columns.bools());
    let returns = rows.backward(
        &mask,
        |_| 0.0,
        |next: &mut f64, at| {
            *next = rewards[at] + discount * *next;
            *next
        },
    );
    Ok(rows.write(returns))
}

pub(super) fn check_discount(discount: f64) -> Result<()> {
    Ok(check_domain((0.0..=1.0).contains(&discount), "discount", "in [0, 1]", discount)?)
}

/// Configuration of [`gae`].
#[derive(Config, Debug, PartialEq)]
pub struct GaeConfig {
    /// What a reward is worth one token earlier, in `[0, 1]`; γ in the paper. 1: TRL's and verl's.
    #[config(default = 1.0)]
    pub discount: f64,
    /// λ of the advantages. 0.95: TRL's; verl takes 1.
    #[config(default = "Lambda::Constant(0.95)")]
    pub gae_lambda: Lambda,
    /// λ of the returns. None: that of the advantages, as in TRL and verl.
    pub critic_lambda: Option<Lambda>,
    /// Whether advantages are whitened. `Batch`: TRL's and verl's.
    #[config(default = "Whiten::Batch")]
    pub whiten: Whiten,
}

impl GaeConfig {
    /// VAPO's: λ of the advantages adapts to the length with α = 0.05, returns are rewards to go (λ = 1). Both are the
    /// paper's.
    pub fn vapo() -> Self {
        Self::new()
            .with_gae_lambda(Lambda::LengthAdaptive { alpha: 0.05 })
            .with_critic_lambda(Some(Lambda::Constant(1.0)))
    }

    /// Checks the domains of the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn validate(&self) -> Result<()> {
        check_discount(self.discount)?;
        self.gae_lambda.check("gae_lambda")?;
        if let Some(lambda) = self.critic_lambda {
            lambda.check("critic_lambda")?;
        }
        self.whiten.check()
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device};

    use super::*;
    use crate::{
        advantage::scan::tests::{grid, keep, near},
        pairwise::tests::{column, tensor},
        unpaired::tests::labels,
    };

    const JUNK: f64 = f64::NAN;

    fn plain() -> GaeConfig {
        GaeConfig::new().with_whiten(Whiten::None)
    }

    fn input<const N: usize>(rewards: &[[f64; N]], values: &[[f64; N]], mask: &[[u8; N]]) -> GaeInput {
        GaeInput::new(grid(rewards), grid(values), keep(mask)).unwrap()
    }

    /// The specification's row, and the same behind padding and around a tool's output.
    fn rows() -> GaeInput {
        input(
            &[[0.0, 0.0, 1.0, JUNK, JUNK, JUNK], [JUNK, 0.0, JUNK, 0.0, 7.0, 1.0]],
            &[[0.2, 0.4, 0.5, JUNK, 9.0, JUNK], [JUNK, 0.2, 3.0, 0.4, JUNK, 0.5]],
            &[[1, 1, 1, 0, 0, 0], [0, 1, 0, 1, 0, 1]],
        )
    }

    fn numbers(output: &GaeOutput) -> (Vec<f64>, Vec<f64>) {
        (column(&output.advantages.clone().flatten(0, 1)), column(&output.returns.clone().flatten(0, 1)))
    }

    /// The two rows of [`rows`] hold `expected` at their scored tokens and exactly 0 elsewhere.
    #[track_caller]
    fn assert_rows(got: &[f64], expected: [f64; 3]) {
        let [a, b, c] = expected;
        near(got, &[a, b, c, 0.0, 0.0, 0.0, 0.0, a, 0.0, b, 0.0, c], 1e-15);
    }

    #[test]
    fn values_by_hand_wherever_the_scored_tokens_stand() {
        // δ = (0.2, 0.1, 0.5); A_1 = 0.1 + 0.95 · 0.5, A_0 = 0.2 + 0.95 · 0.575.
        let (advantages, returns) = numbers(&gae(&rows(), &plain()).unwrap());
        assert_rows(&advantages, [0.74625, 0.575, 0.5]);
        assert_rows(&returns, [0.94625, 0.975, 1.0]);
        // γ = 1/2, λ = 1/4: δ = (0, −0.15, 0.5), and 1/8 of the next.
        let config = plain().with_discount(0.5).with_gae_lambda(Lambda::Constant(0.25));
        let (advantages, returns) = numbers(&gae(&rows(), &config).unwrap());
        assert_rows(&advantages, [-0.0875 / 8.0, -0.0875, 0.5]);
        assert_rows(&returns, [0.2 - 0.0875 / 8.0, 0.3125, 1.0]);
    }

    #[test]
    fn lambda_0_is_one_step_and_lambda_1_the_reward_to_go_less_the_value() {
        let with = |lambda| plain().with_discount(0.5).with_gae_lambda(Lambda::Constant(lambda));
        assert_rows(&numbers(&gae(&rows(), &with(0.0)).unwrap()).0, [0.0, -0.15, 0.5]);
        let (advantages, returns) = numbers(&gae(&rows(), &with(1.0)).unwrap());
        assert_rows(&advantages, [0.25 - 0.2, 0.5 - 0.4, 0.5]);
        assert_rows(&returns, [0.25, 0.5, 1.0]);
        let to_go = reward_to_go(rows().rewards, rows().mask, 0.5).unwrap();
        near(&column(&to_go.flatten(0, 1)), &returns, 1e-15);
        // γ = λ = 1 without a critic: the sum of what is still to come.
        let free = input(&[[1.0, JUNK, -3.0, 5.0]], &[[0.0; 4]], &[[1, 0, 1, 1]]);
        let (advantages, _) = numbers(&gae(&free, &plain().with_gae_lambda(Lambda::Constant(1.0))).unwrap());
        assert_eq!(advantages, [3.0, 0.0, 2.0, 5.0]);
    }

    #[test]
    fn a_truncated_row_goes_on_with_the_value_of_its_last_state() {
        let next = tensor(&[0.8, JUNK]);
        let input = rows().with_truncated(labels(&[true, false]), next).unwrap();
        let config = plain().with_discount(0.5).with_gae_lambda(Lambda::Constant(0.25));
        let (advantages, returns) = numbers(&gae(&input, &config).unwrap());
        // The last δ of the first row is 0.5 + 0.5 · 0.8.
        let one = -0.15 + 0.9 / 8.0;
        near(&advantages[..3], &[one / 8.0, one, 0.9], 1e-15);
        near(&returns[..3], &[0.2 + one / 8.0, 0.4 + one, 1.4], 1e-15);
        near(&advantages[7..], &[-0.0875 / 8.0, 0.0, -0.0875, 0.0, 0.5], 1e-15);
    }

    #[test]
    fn whitening_gives_actions_mean_0_and_variance_1_and_leaves_returns() {
        let plain = numbers(&gae(&rows(), &plain()).unwrap());
        let (whitened, returns) = numbers(&gae(&rows(), &GaeConfig::new()).unwrap());
        assert_eq!(returns, plain.1);
        // Six numbers: 0.74625, 0.575 and 0.5, twice each.
        let mean = (0.74625 + 0.575 + 0.5) / 3.0;
        let variance = [0.74625, 0.575, 0.5].iter().map(|a: &f64| 2.0 * (a - mean).powi(2)).sum::<f64>() / 5.0;
        assert_rows(&whitened, [0.74625, 0.575, 0.5].map(|a| (a - mean) / (variance + 1e-8).sqrt()));
        let stats = Whiten::GlobalStats { mean: 0.5, std: 2.0 };
        let (by, returns) = numbers(&gae(&rows(), &GaeConfig::new().with_whiten(stats)).unwrap());
        assert_rows(&by, [0.24625, 0.075, 0.0].map(|a| a / (4.0 + 1e-8f64).sqrt()));
        assert_eq!(returns, plain.1);
    }

    #[test]
    fn a_constant_in_the_score_shifts_advantages_and_whitening_takes_it_out() {
        let shifted = |whiten, by: f64| {
            let input = input(&[[0.1, 0.3 + by, JUNK], [0.0, -0.5, 2.0 + by]], &[[0.0; 3]; 2], &[[1, 1, 0], [1, 1, 1]]);
            let config = GaeConfig::new().with_gae_lambda(Lambda::Constant(1.0)).with_whiten(whiten);
            numbers(&gae(&input, &config).unwrap()).0
        };
        let (plain, moved) = (shifted(Whiten::None, 0.0), shifted(Whiten::None, 7.0));
        near(&moved, &[plain[0] + 7.0, plain[1] + 7.0, 0.0, plain[3] + 7.0, plain[4] + 7.0, plain[5] + 7.0], 1e-14);
        near(&shifted(Whiten::Batch, 7.0), &shifted(Whiten::Batch, 0.0), 1e-13);
    }

    #[test]
    fn lambda_adapts_to_the_number_of_actions() {
        let adaptive = Lambda::LengthAdaptive { alpha: 0.05 };
        assert!((adaptive.of_row(100) - 0.8).abs() < 1e-15, "1 − 1/5");
        assert_eq!((adaptive.of_row(20), adaptive.of_row(3), adaptive.of_row(0)), (0.0, 0.0, 0.0));
        assert!((0.999..1.0).contains(&adaptive.of_row(1_000_000)));
        assert_eq!(Lambda::Constant(0.3).of_row(100), 0.3);
        // α = 1: λ = 2/3 in the row of three tokens, 1/2 in that of two, 0 in that of one.
        let input = input(
            &[[0.0, 0.0, 1.0], [JUNK, 0.0, 1.0], [1.0, 2.0, JUNK]],
            &[[0.0; 3]; 3],
            &[[1, 1, 1], [0, 1, 1], [0, 1, 0]],
        );
        let config = plain().with_gae_lambda(Lambda::LengthAdaptive { alpha: 1.0 });
        let (advantages, returns) = numbers(&gae(&input, &config).unwrap());
        near(&advantages, &[4.0 / 9.0, 2.0 / 3.0, 1.0, 0.0, 0.5, 1.0, 0.0, 2.0, 0.0], 1e-15);
        assert_eq!(returns, advantages, "there is one λ");
    }

    #[test]
    fn a_critic_of_lambda_1_learns_rewards_to_go_whatever_it_says() {
        let config = GaeConfig::vapo().with_whiten(Whiten::None);
        assert_eq!(config.gae_lambda, Lambda::LengthAdaptive { alpha: 0.05 });
        assert_eq!(config.critic_lambda, Some(Lambda::Constant(1.0)));
        let (advantages, returns) = numbers(&gae(&rows(), &config).unwrap());
        assert_rows(&advantages, [0.2, 0.1, 0.5]); // three tokens: λ = 0
        assert_rows(&returns, [1.0; 3]);
        let (advantages, returns) =
            numbers(&gae(&rows(), &plain().with_critic_lambda(Some(Lambda::Constant(0.0)))).unwrap());
        assert_rows(&advantages, [0.74625, 0.575, 0.5]);
        assert_rows(&returns, [0.4, 0.5, 1.0]);
    }

    #[test]
    fn slots_without_an_action_carry_but_have_no_advantage() {
        // The second position is a slot; the third mark is no scored token, and so no action.
        let input = input(&[[0.0, 1.0, JUNK]], &[[0.25, 0.5, JUNK]], &[[1, 1, 0]]);
        let input = input.with_actions(keep(&[[1, 0, 1]])).unwrap();
        let (advantages, returns) = numbers(&gae(&input, &plain()).unwrap());
        near(&advantages, &[0.725, 0.0, 0.0], 1e-15);
        near(&returns, &[0.975, 1.0, 0.0], 1e-15);
        let (whitened, _) = numbers(&gae(&input, &GaeConfig::new()).unwrap());
        assert_eq!(whitened, [0.0; 3], "one action has no spread");
        // One action, not two: λ = max(1 − 1/0.75, 0) = 0, and not 1 − 1/1.5.
        let adaptive = plain().with_gae_lambda(Lambda::LengthAdaptive { alpha: 0.75 });
        near(&numbers(&gae(&input, &adaptive).unwrap()).0, &[0.25, 0.0, 0.0], 1e-15);
    }

    #[test]
    fn results_are_constants_of_a_wide_dtype_on_the_input_s_device() {
        for (dtype, expected) in [(DType::F16, DType::F32), (DType::F32, DType::F32), (DType::F64, DType::F64)] {
            let device = Device::flex().autodiff();
            let one = || Tensor::<2>::from_data([[0.5, 0.25]], (&device, dtype)).require_grad();
            let mask = Tensor::from_bool([[true, true]], &device);
            let input = GaeInput::new(one(), one(), mask.clone()).unwrap();
            for whiten in [Whiten::Batch, Whiten::None, Whiten::GlobalStats { mean: 0.0, std: 1.0 }] {
                let output = gae(&input, &GaeConfig::new().with_whiten(whiten)).unwrap();
                for tensor in [output.advantages, output.returns, reward_to_go(one(), mask.clone(), 1.0).unwrap()] {
                    assert_eq!((tensor.dtype(), tensor.device() == device), (expected, true));
                    assert!(!tensor.is_require_grad());
                }
            }
        }
    }

    #[test]
    fn nothing_comes_of_nothing() {
        for shape in [[0, 3], [2, 0], [0, 0]] {
            let none = || Tensor::<2>::zeros(shape, (&Device::flex(), DType::F64));
            let mask = none().equal_scalar(1.0);
            let input = GaeInput::new(none(), none(), mask.clone()).unwrap();
            let output = gae(&input, &GaeConfig::new()).unwrap();
            assert_eq!((output.advantages.dims(), output.returns.dims()), (shape, shape));
            assert_eq!(reward_to_go(none(), mask, 1.0).unwrap().dims(), shape);
        }
        let empty = input(&[[JUNK, JUNK], [1.0, 0.0]], &[[JUNK, JUNK], [0.0; 2]], &[[0, 0], [1, 0]]);
        assert_eq!(numbers(&gae(&empty, &plain()).unwrap()), (vec![0.0, 0.0, 1.0, 0.0], vec![0.0, 0.0, 1.0, 0.0]));
    }

    #[test]
    fn senseless_input_is_refused_by_name() {
        let expected =
            GaeConfig { discount: 1.0, gae_lambda: Lambda::Constant(0.95), critic_lambda: None, whiten: Whiten::Batch };
        assert_eq!(GaeConfig::new(), expected);
        for (config, name) in [
            (plain().with_discount(-0.1), "`discount`"),
            (plain().with_discount(1.1), "`discount`"),
            (plain().with_discount(JUNK), "`discount`"),
            (plain().with_gae_lambda(Lambda::Constant(-0.1)), "`gae_lambda`"),
            (plain().with_gae_lambda(Lambda::Constant(JUNK)), "`gae_lambda`"),
            (plain().with_gae_lambda(Lambda::LengthAdaptive { alpha: 0.0 }), "`gae_lambda`"),
            (plain().with_gae_lambda(Lambda::LengthAdaptive { alpha: f64::INFINITY }), "`gae_lambda`"),
            (plain().with_critic_lambda(Some(Lambda::Constant(1.5))), "`critic_lambda`"),
            (plain().with_whiten(Whiten::GlobalStats { mean: JUNK, std: 1.0 }), "`whiten.mean`"),
            (plain().with_whiten(Whiten::GlobalStats { mean: 0.0, std: -1.0 }), "`whiten.std`"),
            (plain().with_whiten(Whiten::GlobalStats { mean: 0.0, std: f64::INFINITY }), "`whiten.std`"),
        ] {
            for error in [config.validate().unwrap_err(), gae(&rows(), &config).unwrap_err()] {
                assert!(error.to_string().starts_with(name), "{error}");
            }
        }
        for config in [plain().with_discount(0.0), plain().with_whiten(Whiten::GlobalStats { mean: 0.0, std: 0.0 })] {
            config.validate().unwrap();
        }
        let two = || grid(&[[0.0; 2]; 3]);
        let mask = || keep(&[[1; 2]; 3]);
        let error = GaeInput::new(grid(&[[0.0; 2]]), two(), mask()).unwrap_err().to_string();
        assert_eq!(error, "`rewards`: expected shape [3, 2], got [1, 2]");
        let error = GaeInput::new(two(), grid(&[[0.0; 1]; 3]), mask()).unwrap_err().to_string();
        assert_eq!(error, "`values`: expected shape [3, 2], got [3, 1]");
        let input = || GaeInput::new(two(), two(), mask()).unwrap();
        assert!(input().with_actions(keep(&[[1; 2]])).unwrap_err().to_string().starts_with("`actions`"));
        let error = input().with_truncated(labels(&[true]), tensor(&[0.0; 3])).unwrap_err().to_string();
        assert_eq!(error, "`truncated`: expected shape [3], got [1]");
        let error = input().with_truncated(labels(&[true; 3]), tensor(&[0.0])).unwrap_err().to_string();
        assert_eq!(error, "`next_values`: expected shape [3], got [1]");
        assert!(reward_to_go(grid(&[[0.0; 2]]), mask(), 1.0).unwrap_err().to_string().starts_with("`rewards`"));
        assert!(reward_to_go(two(), mask(), 1.5).unwrap_err().to_string().starts_with("`discount`"));
    }
}
