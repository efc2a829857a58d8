//! Objectives on rollouts, right and wrong. Advantages are made on the host, where every step can be read.

use accordant_laws::{Evaluated, Loss, Mean, Ratio, Tensors};
use burn::tensor::{Bool, Tensor, TensorData};

use super::check_shapes;

/// What one gets wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mistake {
    None,
    KlSignFlipped,
    K1InTheLoss,
    ReferenceFirst,
    DenominatorOfThePart,
    StdOfTheBatch,
    StdWithoutCentering,
    Uncentered,
    LeaveOneOutWithItself,
    RewardOnThePadSlot,
    AdvantagesNotDetached,
    AdvantagesFromThePolicy,
    OldNotDetached,
    MaskIgnoredInWhitening,
    DecayThroughObservations,
    TerminalBootstrapped,
    ValueAfterTheToken,
    ClippedOnTheWrongSide,
    MinForMax,
    RatioInverted,
    RatioSummed,
    LongestRowForLength,
    PaddedLength,
    KlTwice,
    KlOfTheReference,
    EntropySign,
    EntropyDetached,
    NeighborsAreAGroup,
    IdsAreNumbers,
    MissingIsZero,
    NoClamp,
    LowRewardsPreferred,
    EmptyRowsCounted,
    MaskedByMultiplication,
    WeightsInverted,
    DivergenceWeighed,
    GainsLeftOut,
    UncountedTokens,
    FirstRewardOrNone,
    PaidAtTheLastToken,
    FreshNotDetached,
}

/// What a token counts besides its share in the mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Weigh {
    /// 1.
    Nothing,
    /// `old` over `behavior`, by the mean of the row, between bounds.
    Sampler,
    /// 0 in rows that have moved away from `behavior` and shall move further.
    FarRows,
    /// 0 where `entropies` are low.
    LowEntropies,
}

/// Between which weights of the sampler lie.
pub const BOUNDS: [f64; 2] = [0.8, 1.2];
/// How far a row may move.
pub const FAR: f64 = 0.1;
/// From which entropy on a token counts.
pub const LOW_ENTROPY: f64 = 0.9;

/// How advantages are made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Advantage {
    /// Less the group's mean, over its deviation.
    GroupStd,
    /// Less the mean of the others in the group.
    LeaveOneOut,
    /// Less the mean over the batch's tokens, over their deviation.
    Whitened,
    /// Sums of temporal differences, discounted by 0.9, with λ = 0.5.
    Gae,
    /// The value after each token less that before it.
    ValueDifference,
}

/// Where the divergence from the reference goes, times 1/4.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kl {
    Nowhere,
    Loss,
    Reward,
}

/// A clipped policy gradient, or `−A log π` without a ratio.
#[derive(Debug, Clone, Copy)]
pub struct Rollouts {
    pub advantage: Advantage,
    pub ratio: Option<Ratio>,
    pub kl: Kl,
    pub mean: Mean,
    pub entropy: f64,
    pub weigh: Weigh,
    /// Whether the position behind the last token has the reward.
    pub past_the_end: bool,
    pub mistake: Mistake,
}

const ALONE: Rollouts = Rollouts {
    advantage: Advantage::LeaveOneOut,
    ratio: None,
    kl: Kl::Nowhere,
    mean: Mean::Sum,
    entropy: 0.0,
    weigh: Weigh::Nothing,
    past_the_end: false,
    mistake: Mistake::None,
};

pub const LEAVE_ONE_OUT: Rollouts = ALONE;
pub const WHITENED: Rollouts = Rollouts { advantage: Advantage::Whitened, ..ALONE };
pub const VALUE_DIFFERENCE: Rollouts = Rollouts { advantage: Advantage::ValueDifference, ..ALONE };
pub const GAE: Rollouts = Rollouts { advantage: Advantage::Gae, ..ALONE };
pub const PAST_THE_END: Rollouts = Rollouts { past_the_end: true, ..GAE };
pub const GRPO: Rollouts = Rollouts {
    advantage: Advantage::GroupStd,
    ratio: Some(Ratio::Token),
    kl: Kl::Loss,
    mean: Mean::Responses,
    ..ALONE
};
pub const GSPO: Rollouts = Rollouts { ratio: Some(Ratio::Mean), kl: Kl::Nowhere, ..GRPO };
pub const RLOO: Rollouts =
    Rollouts { ratio: Some(Ratio::Sum), kl: Kl::Reward, mean: Mean::ResponseSums, ..LEAVE_ONE_OUT };
pub const DR_GRPO: Rollouts = Rollouts { mean: Mean::Length(6), kl: Kl::Nowhere, ..GRPO };
pub const PPO: Rollouts =
    Rollouts { advantage: Advantage::Gae, kl: Kl::Nowhere, mean: Mean::Tokens, entropy: 0.125, ..GRPO };

const KL_COEF: f64 = 0.25;
const CLIP: f64 = 0.2;
const DISCOUNT: f64 = 0.9;
const LAMBDA: f64 = 0.5;
const CLAMP: f64 = 20.0;

/// What advantages are made of, on the host. Rows are kept positions with what stands there.
struct Host {
    mask: Vec<Vec<bool>>,
    groups: Vec<u64>,
    rewards: Vec<f64>,
    values: Option<Vec<Vec<f64>>>,
}

fn numbers<const D: usize>(tensor: &Tensor<D>) -> Vec<f64> {
    tensor.clone().detach().try_to_vec_as::<f64>().expect("a float")
}

fn rows(tensor: &Tensor<2>) -> Vec<Vec<f64>> {
    numbers(tensor).chunks(tensor.dims()[1]).map(<[f64]>::to_vec).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// The unbiased deviation; 1 of a single number.
fn std(values: &[f64]) -> f64 {
    let center = mean(values);
    let squares: f64 = values.iter().map(|value| (value - center) * (value - center)).sum();
    if values.len() < 2 { 1.0 } else { (squares / (values.len() - 1) as f64).sqrt() }
}

impl Host {
    /// The rewards of a row's group, without those that are missing, and with its own left out if so asked.
    fn group(&self, row: usize, mistake: Mistake, own: bool) -> Vec<f64> {
        let same = |other: usize| match mistake {
            Mistake::NeighborsAreAGroup => {
                let (first, last) = (row.min(other), row.max(other));
                self.groups[first..=last].iter().all(|id| *id == self.groups[row])
            }
            Mistake::IdsAreNumbers => self.groups[other] % 4 == self.groups[row] % 4,
            _ => self.groups[other] == self.groups[row],
        };
        let others = (0..self.rewards.len()).filter(|&other| same(other) && (own || other != row));
        others.map(|other| self.rewards[other]).filter(|reward| !reward.is_nan()).collect()
    }

    fn kept(&self, row: usize) -> Vec<usize> {
        (0..self.mask[row].len()).filter(|at| self.mask[row][*at]).collect()
    }
}

impl Rollouts {
    pub fn with(self, mistake: Mistake) -> Self {
        Self { mistake, ..self }
    }

    fn is(&self, mistake: Mistake) -> bool {
        self.mistake == mistake
    }

    /// One advantage for each row.
    fn of_row(&self, host: &Host, row: usize) -> f64 {
        let reward = host.rewards[row];
        if reward.is_nan() {
            return 0.0;
        }
        match self.advantage {
            Advantage::GroupStd => {
                let all: Vec<f64> = host.rewards.iter().copied().filter(|reward| !reward.is_nan()).collect();
                let group = host.group(row, self.mistake, true);
                let spread = group.iter().any(|other| *other != group[0]);
                let center = if self.is(Mistake::StdWithoutCentering) { 0.0 } else { mean(&group) };
                let scale = if self.is(Mistake::StdOfTheBatch) { std(&all) } else { std(&group) };
                if spread { (reward - center) / (scale + 1e-6) } else { 0.0 }
            }
            Advantage::LeaveOneOut if self.is(Mistake::LeaveOneOutWithItself) => {
                let group = host.group(row, self.mistake, true);
                if group.len() < 2 { 0.0 } else { reward - group.iter().sum::<f64>() / (group.len() - 1) as f64 }
            }
            Advantage::LeaveOneOut if self.is(Mistake::Uncentered) => reward,
            Advantage::LeaveOneOut => {
                let others = host.group(row, self.mistake, false);
                if others.is_empty() { 0.0 } else { reward - mean(&others) }
            }
            _ => reward,
        }
    }

    /// Advantages of the tokens of a row, from its rewards and values.
    fn over_time(&self, host: &Host, row: usize) -> Vec<f64> {
        let mut advantages = vec![0.0; host.mask[row].len()];
        let kept = host.kept(row);
        let (Some(&last), false) = (kept.last(), host.rewards[row].is_nan()) else { return advantages };
        let values = &host.values.as_ref().expect("checked")[row];
        let (discount, lambda) = match self.advantage {
            Advantage::ValueDifference => (1.0, 0.0),
            _ => (DISCOUNT, LAMBDA),
        };
        let paid = if self.is(Mistake::RewardOnThePadSlot) { advantages.len() - 1 } else { last };
        let mut next = if self.is(Mistake::TerminalBootstrapped) { values[last] } else { 0.0 };
        let mut carry = 0.0;
        let mut owed = host.rewards[row];
        if self.past_the_end && last + 1 < advantages.len() {
            next = values[last + 1];
            if !self.is(Mistake::PaidAtTheLastToken) {
                carry = owed - next;
                owed = 0.0;
            }
        }
        for at in (0..advantages.len()).rev() {
            if !host.mask[row][at] {
                if self.is(Mistake::DecayThroughObservations) {
                    carry *= discount * lambda;
                }
                continue;
            }
            let reward = if at == paid { owed } else { 0.0 };
            let value = if self.is(Mistake::ValueAfterTheToken) { next } else { values[at] };
            carry = reward + discount * next - value + discount * lambda * carry;
            next = values[at];
            advantages[at] = carry;
        }
        advantages
    }

    fn advantages(&self, host: &Host) -> Vec<Vec<f64>> {
        let rows = 0..host.mask.len();
        let spread = |row: usize| {
            let advantage = self.of_row(host, row);
            host.mask[row].iter().map(|kept| if *kept { advantage } else { 0.0 }).collect()
        };
        match self.advantage {
            Advantage::GroupStd | Advantage::LeaveOneOut => rows.map(spread).collect(),
            Advantage::Gae | Advantage::ValueDifference => rows.map(|row| self.over_time(host, row)).collect(),
            Advantage::Whitened => {
                let mut advantages: Vec<Vec<f64>> = rows.clone().map(spread).collect();
                let counts = |row: usize, at: usize| {
                    self.is(Mistake::MaskIgnoredInWhitening) || host.mask[row][at] && !host.rewards[row].is_nan()
                };
                let tokens = |row: usize| (0..host.mask[row].len()).map(move |at| (row, at));
                let counted: Vec<f64> = rows
                    .flat_map(tokens)
                    .filter(|(row, at)| counts(*row, *at))
                    .map(|(row, at)| advantages[row][at])
                    .collect();
                let (center, scale) = (mean(&counted), std(&counted));
                for (row, tokens) in advantages.iter_mut().enumerate() {
                    for (at, advantage) in tokens.iter_mut().enumerate() {
                        let learned = host.mask[row][at] && !host.rewards[row].is_nan() && scale > 1e-9;
                        *advantage = if learned { (*advantage - center) / scale } else { 0.0 };
                    }
                }
                advantages
            }
        }
    }

    /// What each token counts in the mean over the step.
    fn shares(&self, t: &Tensors, mask: &[Vec<bool>]) -> Vec<Vec<f64>> {
        let all = vec![(0..mask.len()).collect::<Vec<usize>>()];
        let by_part = self.is(Mistake::DenominatorOfThePart) && !t.parts.is_empty();
        let parts = if by_part { &t.parts } else { &all };
        let len = |row: usize| mask[row].iter().filter(|kept| **kept).count();
        let mut shares = vec![Vec::new(); mask.len()];
        for part in parts {
            let counted = |row: &&usize| self.is(Mistake::EmptyRowsCounted) || len(**row) > 0;
            let rows = part.iter().filter(counted).count() as f64;
            let tokens = part.iter().map(|&row| len(row)).sum::<usize>() as f64;
            let longest = part.iter().map(|&row| len(row)).max().unwrap_or(0);
            for &row in part {
                let own = if self.is(Mistake::PaddedLength) { mask[row].len() } else { len(row) };
                let share = match self.mean {
                    Mean::Tokens => 1.0 / tokens,
                    Mean::Responses => 1.0 / (rows * own as f64),
                    Mean::ResponseSums => 1.0 / rows,
                    Mean::Length(_) if self.is(Mistake::LongestRowForLength) => 1.0 / (part.len() * longest) as f64,
                    Mean::Length(length) => 1.0 / (part.len() * length) as f64,
                    Mean::Sum => 1.0,
                };
                shares[row] = mask[row].iter().map(|kept| if *kept { share } else { 0.0 }).collect();
            }
        }
        shares
    }

    fn surrogate(&self, policy: &Tensor<2>, old: Tensor<2>, a: &Tensor<2>, mask: &Tensor<2, Bool>) -> Tensor<2> {
        let Some(ratio) = self.ratio else { return a.clone().neg() * policy.clone() };
        let off = mask.clone().bool_not();
        let mut logs = policy.clone() - old;
        if self.is(Mistake::RatioInverted) {
            logs = logs.neg();
        }
        let dims = logs.dims();
        let sum = logs.clone().mask_fill(off, 0.0).sum_dim(1);
        let count = mask.clone().float().cast(logs.dtype()).sum_dim(1).clamp_min(1.0);
        logs = match ratio {
            Ratio::Token => logs,
            Ratio::Mean if !self.is(Mistake::RatioSummed) => (sum / count).expand(dims),
            Ratio::Mean | Ratio::Sum => sum.expand(dims),
        };
        let logs = if self.is(Mistake::NoClamp) { logs } else { logs.clamp(-CLAMP, CLAMP) };
        let ratios = logs.exp();
        let free = ratios.clone() * a.clone().neg();
        let clipped = ratios.clone().clamp(1.0 - CLIP, 1.0 + CLIP) * a.clone().neg();
        match self.mistake {
            Mistake::MinForMax => free.min_pair(clipped),
            Mistake::ClippedOnTheWrongSide => {
                let wrong = ratios.clamp_max(1.0 + CLIP) * a.clone().neg();
                free.max_pair(clipped).mask_where(a.clone().lower_elem(0.0), wrong)
            }
            _ => free.max_pair(clipped),
        }
    }

    fn divergence(&self, policy: &Tensor<2>, reference: &Tensor<2>) -> Tensor<2> {
        let (first, second) = match self.mistake {
            Mistake::ReferenceFirst => (reference, policy),
            _ => (policy, reference),
        };
        let u = first.clone() - second.clone();
        if self.is(Mistake::K1InTheLoss) {
            return u;
        }
        let w = u.clone().neg().clamp(-CLAMP, CLAMP);
        // Away from 0 alone is this form exact enough; the laws' tokens differ by 1/64 or by nothing.
        w.clone().exp() - 1.0 - w
    }

    /// What each token counts besides its share in the mean.
    fn weights(
        &self,
        t: &Tensors,
        old: &Tensor<2>,
        host: &Host,
        advantages: &[Vec<f64>],
    ) -> Result<Vec<Vec<f64>>, String> {
        let column = |name: &str| t.tokens.get(name).map(rows).ok_or(format!("no `{name}`"));
        let all = || host.mask.iter().map(|mask| vec![1.0; mask.len()]).collect();
        let drift = |from: &[Vec<f64>], to: &[Vec<f64>], row: usize| {
            let tokens: Vec<f64> = host.kept(row).iter().map(|at| from[row][*at] - to[row][*at]).collect();
            mean(&tokens)
        };
        let mut weights: Vec<Vec<f64>> = all();
        match self.weigh {
            Weigh::Nothing => {}
            Weigh::Sampler => {
                let (old, behavior) = (rows(old), column("behavior")?);
                let sign = if self.is(Mistake::WeightsInverted) { -1.0 } else { 1.0 };
                for (row, weights) in weights.iter_mut().enumerate() {
                    weights.fill((sign * drift(&old, &behavior, row)).exp().clamp(BOUNDS[0], BOUNDS[1]));
                }
            }
            Weigh::FarRows => {
                let (behavior, policy) = (column("behavior")?, rows(&t.policy));
                for (row, weights) in
                    weights.iter_mut().enumerate().filter(|(row, _)| drift(&behavior, &policy, *row) > FAR)
                {
                    for (weight, advantage) in weights.iter_mut().zip(&advantages[row]) {
                        let out = if self.is(Mistake::GainsLeftOut) { *advantage > 0.0 } else { *advantage < 0.0 };
                        *weight = if out { 0.0 } else { 1.0 };
                    }
                }
            }
            Weigh::LowEntropies => {
                let entropies = column("entropies")?;
                for (row, weights) in weights.iter_mut().enumerate() {
                    for at in host.kept(row).into_iter().filter(|at| entropies[row][*at] < LOW_ENTROPY) {
                        weights[at] = 0.0;
                    }
                }
            }
        }
        Ok(weights)
    }

    fn host(&self, t: &Tensors, old: &Tensor<2>, reference: &Tensor<2>) -> Result<Host, String> {
        let marks: Vec<bool> = t.mask.try_to_vec_as::<bool>().expect("a mask");
        let mask: Vec<Vec<bool>> = marks.chunks(t.mask.dims()[1]).map(<[bool]>::to_vec).collect();
        let mut rewards = numbers(t.response_columns.get("rewards").ok_or("no `rewards`")?);
        if let Some(more) = t.response_columns.get("more_rewards") {
            for (reward, more) in rewards.iter_mut().zip(numbers(more)) {
                let none = reward.is_nan() && (more.is_nan() || self.is(Mistake::FirstRewardOrNone));
                let present = |reward: f64| if reward.is_nan() { 0.0 } else { reward };
                *reward = if none { f64::NAN } else { present(*reward) + present(more) };
            }
        }
        if self.is(Mistake::MissingIsZero) {
            rewards.iter_mut().filter(|reward| reward.is_nan()).for_each(|reward| *reward = 0.0);
        }
        if self.is(Mistake::LowRewardsPreferred) {
            rewards.iter_mut().for_each(|reward| *reward = -*reward);
        }
        if self.kl == Kl::Reward {
            let (old, reference) = (rows(old), rows(reference));
            let sign = if self.is(Mistake::KlOfTheReference) { -1.0 } else { 1.0 };
            for (row, reward) in rewards.iter_mut().enumerate() {
                let terms =
                    (0..mask[row].len()).filter(|at| mask[row][*at]).map(|at| old[row][at] - reference[row][at]);
                *reward -= sign * KL_COEF * terms.sum::<f64>();
            }
        }
        let over_time = matches!(self.advantage, Advantage::Gae | Advantage::ValueDifference);
        let values = match t.tokens.get("values") {
            Some(values) => Some(rows(values)),
            None if over_time => return Err("no `values`".to_owned()),
            None => None,
        };
        Ok(Host { mask, groups: t.groups.clone(), rewards, values })
    }
}

impl Loss for Rollouts {
    fn evaluate(&self, t: &Tensors) -> Result<Evaluated, String> {
        check_shapes(t, &[])?;
        let [len, seq] = t.policy.dims();
        if t.groups.len() != len || len == 0 {
            return Err(format!("{} ids for {len} rows", t.groups.len()));
        }
        let off = t.mask.clone().bool_not();
        let select = |tensor: Tensor<2>| match self.is(Mistake::MaskedByMultiplication) {
            true => tensor * t.mask.clone().float().cast(t.policy.dtype()),
            false => tensor.mask_fill(off.clone(), 0.0),
        };
        let policy = select(t.policy.clone());
        let reference = select(t.reference.clone().detach());
        let fresh = !t.tokens.contains_key("old");
        let old = t.tokens.get("old").unwrap_or(&t.policy).clone();
        let tracked = if fresh { Mistake::FreshNotDetached } else { Mistake::OldNotDetached };
        let old = select(if self.is(tracked) { old } else { old.detach() });
        let host = self.host(t, &old, &reference)?;
        let options = (&t.policy.device(), t.policy.dtype());
        let matrix = |rows: Vec<Vec<f64>>| Tensor::<2>::from_data(TensorData::new(rows.concat(), [len, seq]), options);
        let on_host = self.advantages(&host);
        let weights = self.weights(t, &old, &host, &on_host)?;
        let mut advantages = matrix(on_host);
        if self.is(Mistake::AdvantagesNotDetached) {
            let rewards = t.response_columns["rewards"].clone();
            let tracked = (rewards.clone() - rewards.detach()).unsqueeze_dim::<2>(1).expand([len, seq]);
            advantages = (advantages + tracked).mask_fill(off.clone(), 0.0);
        }
        if self.is(Mistake::AdvantagesFromThePolicy) {
            advantages = advantages + policy.clone() - policy.clone().detach();
        }
        let mut tokens = self.surrogate(&policy, old, &advantages, &t.mask);
        if !self.is(Mistake::DivergenceWeighed) {
            tokens = tokens * matrix(weights.clone());
        }
        if self.kl == Kl::Loss || self.is(Mistake::KlTwice) {
            let sign = if self.is(Mistake::KlSignFlipped) { -1.0 } else { 1.0 };
            tokens = tokens + self.divergence(&policy, &reference) * (sign * KL_COEF);
        }
        if self.is(Mistake::DivergenceWeighed) {
            tokens = tokens * matrix(weights.clone());
        }
        let tokens = tokens.mask_fill(off.clone(), 0.0);
        let counted = |(weights, mask): (&Vec<f64>, &Vec<bool>)| {
            weights.iter().zip(mask).map(|(weight, kept)| *kept && *weight > 0.0).collect()
        };
        let shares = match self.is(Mistake::UncountedTokens) {
            true => self.shares(t, &weights.iter().zip(&host.mask).map(counted).collect::<Vec<Vec<bool>>>()),
            false => self.shares(t, &host.mask),
        };
        let shares = matrix(shares);
        let mut loss = (tokens.clone() * shares).mask_fill(off.clone(), 0.0).sum();
        let counts = t.mask.clone().float().cast(t.policy.dtype()).sum_dim(1).squeeze_dim::<1>(1);
        if self.entropy != 0.0 {
            let entropies = t.tokens.get("entropies").ok_or("no `entropies`")?.clone().mask_fill(off, 0.0);
            let entropies = if self.is(Mistake::EntropyDetached) { entropies.detach() } else { entropies };
            let sign = if self.is(Mistake::EntropySign) { -1.0 } else { 1.0 };
            let mean = entropies.sum() / counts.clone().sum().clamp_min(1.0);
            loss = loss - mean * (sign * self.entropy);
        }
        Ok(Evaluated {
            losses: tokens.sum_dim(1).squeeze_dim(1),
            weights: counts.clamp_max(1.0),
            numerator: loss.clone(),
            denominator: loss.ones_like().detach(),
            loss,
            logged: Vec::new(),
            advantages: Some(advantages),
        })
    }
}
