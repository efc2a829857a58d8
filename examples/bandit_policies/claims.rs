//! What the methods on rollouts claim.

use std::fmt;

use accordant::{
    data::solvable::stationary::{AdvantageScale, KlLoss, Update},
    objectives::{
        Options,
        advantage::group_normalized::GroupNormalizedConfig,
        rollout::{
            self, KlPlacement, PolicyGradientConfig, RatioLevel, RolloutObjective,
            nash_md::{Credit, NashMdConfig},
            surrogate::clip::ClipConfig,
        },
    },
    ops::{
        kl::{KlEstimator, KlOptions},
        reduce::Aggregation,
    },
};
use anyhow::{Result, bail};

/// Where a method says that it ends.
#[derive(Clone, Copy, Debug)]
pub enum Claim {
    /// At the best responses.
    Best,
    /// At the best reward above the reference's mean, for each token.
    BestPerToken,
    /// At `π* ∝ ref exp(r/β)`: the divergence is in the reward.
    Optimum(f64),
    /// Where its expected update is zero, on a bandit.
    Stationary(Update),
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&match self {
            Self::Best => "the best responses".to_owned(),
            Self::BestPerToken => "the best per token".to_owned(),
            Self::Optimum(beta) => format!("ref exp(r/{beta})"),
            Self::Stationary(update) => format!("stationary with {:?}", update.kl),
        })
    }
}

/// What a method claims, and how it is asked to.
struct Claimed {
    name: &'static str,
    settings: &'static [(&'static str, f64)],
    claim: Claim,
    tolerance: f64,
    /// Responses that are compared with each other, of those to a prompt.
    group_size: usize,
}

const fn claimed(
    name: &'static str,
    settings: &'static [(&'static str, f64)],
    claim: Claim,
    tolerance: f64,
    group_size: usize,
) -> Claimed {
    Claimed { name, settings, claim, tolerance, group_size }
}

/// The methods that read a reference, and other claims of those that do without. A method that reads none claims the best
/// responses, unless it is here without settings.
#[rustfmt::skip]
const CLAIMS: &[Claimed] = &[
    claimed("a2po", &[("beta", BETA)], Claim::Optimum(BETA), EXACT, GROUP),
    claimed("dr_grpo", &[("kl_coef", 0.3), ("max_len", 1.0)], Claim::Stationary(update(false, KlLoss::K3, 0.3)), EXACT, LARGE),
    claimed("grpo", &[("kl_coef", 1.0)], Claim::Stationary(update(true, KlLoss::K3, 1.0)), EXACT, LARGE),
    claimed("p3o", &[("kl_coef", BETA)], Claim::Optimum(BETA), EXACT, 2),
    claimed("pairwise_rl", &[("kl_coef", BETA)], Claim::Optimum(BETA), EXACT, 2),
    claimed("ppo", &[("kl_coef", BETA)], Claim::Optimum(BETA), EXACT, GROUP),
    // Its baseline stays what the reference is worth, and a mean over each response's tokens divides what is above it.
    claimed("pvpo", &[], Claim::BestPerToken, CERTAIN, GROUP),
    claimed("reinforce", &[("kl_coef", BETA)], Claim::Optimum(BETA), NOISY, LARGE),
    claimed("reinforce_pp", &[("kl_coef", BETA)], Claim::Optimum(BETA), NOISY, LARGE),
    claimed("remax", &[("kl_coef", BETA)], Claim::Optimum(BETA), NOISY, LARGE),
    claimed("rloo", &[("kl_coef", BETA)], Claim::Optimum(BETA), EXACT, GROUP),
    // Its reference is no anchor: it only says how likely a response was.
    claimed("trpa", &[("top_reward", 0.9)], Claim::Best, CERTAIN, GROUP),
];

/// Strength of the divergence in the reward, for rewards of `[0, 1)`.
const BETA: f64 = 0.25;

/// Responses to each prompt in a step.
pub const GROUP: usize = 64;

/// The same where the deviation of a group is to be that of the policy, or noise does not fade by itself.
pub const LARGE: usize = 512;

/// The largest regret with which a policy is at the best responses.
pub const CERTAIN: f64 = 1e-2;

/// The largest KL in nats to what is claimed, where advantages are 0 in the end or responses are many.
pub const EXACT: f64 = 1e-3;

/// The same where advantages stay: there is no baseline, or another one than the value of the state.
pub const NOISY: f64 = 5e-3;

const fn update(scaled: bool, kl: KlLoss, beta: f64) -> Update {
    let scale = if scaled { AdvantageScale::Std { epsilon: 1e-6 } } else { AdvantageScale::One };
    Update { scale, kl, beta }
}

/// One method with one claim.
pub struct Run {
    pub label: String,
    pub objective: Box<dyn RolloutObjective>,
    pub claim: Claim,
    pub tolerance: f64,
    pub group_size: usize,
}

/// The methods called `only`, or all, each with its claims.
pub fn runs(only: &[String]) -> Result<Vec<Run>> {
    let mut runs = Vec::new();
    for name in only.iter().map(String::as_str).chain(CLAIMS.iter().map(|claimed| claimed.name)) {
        rollout::build(name, &Options::new())?;
    }
    let named = |name: &str| only.is_empty() || only.iter().any(|only| only == name);
    // What Nash-MD claims has a setting that is no number.
    for method in rollout::methods().iter().filter(|method| named(method.name) && method.name != "nash_md") {
        let objective = rollout::build(method.name, &Options::new())?;
        let claims: Vec<_> = CLAIMS.iter().filter(|claimed| claimed.name == method.name).collect();
        if !objective.needs_reference() && claims.iter().all(|claimed| !claimed.settings.is_empty()) {
            runs.push(Run {
                label: method.name.to_owned(),
                objective,
                claim: Claim::Best,
                tolerance: CERTAIN,
                group_size: GROUP,
            });
        } else if claims.is_empty() {
            bail!("`{}` reads a reference: `CLAIMS` is to say what it does with it", method.name);
        }
        for Claimed { name, settings, claim, tolerance, group_size } in claims {
            let add = |options: Options, (field, value): &(&str, f64)| options.with(*field, value);
            let objective = rollout::build(name, &settings.iter().fold(Options::new(), add))?;
            let settings: Vec<_> = settings.iter().map(|(field, value)| format!("{field}={value}")).collect();
            let label = [vec![(*name).to_owned()], settings].concat().join(" ");
            runs.push(Run { label, objective, claim: *claim, tolerance: *tolerance, group_size: *group_size });
        }
    }
    if named("nash_md") {
        // Its advantages are rewards less ½ and stay; by its own default, a token answers for its own divergence alone.
        runs.push(Run {
            label: format!("nash_md beta={BETA} by response"),
            objective: Box::new(NashMdConfig::new().with_beta(BETA).with_credit(Credit::Sequence).init()?),
            claim: Claim::Optimum(BETA),
            tolerance: NOISY,
            group_size: LARGE,
        });
    }
    if named("grpo") {
        // No preset, but a point of the grid: the divergence by K2.
        let options = KlOptions::new(KlEstimator::K2);
        let objective = PolicyGradientConfig::new(RatioLevel::Token, Aggregation::SequenceMean)
            .with_kl(KlPlacement::Loss { kl_coef: 3.0, options, corrected: false })
            .init("grpo", GroupNormalizedConfig::new().init()?, ClipConfig::new().init()?)?;
        let claim = Claim::Stationary(update(true, KlLoss::K2, 3.0));
        runs.push(Run {
            label: "grpo kl_coef=3 by K2".to_owned(),
            objective: Box::new(objective),
            claim,
            tolerance: EXACT,
            group_size: LARGE,
        });
    }
    Ok(runs)
}
