//! Every method on rollouts under the laws: rewards, advantages and loss together; then what any of them may add.

use accordant_laws::{
    Batch, Divergence, Mean, Ratio, Subject, advantage_laws, check_all, reduces_to, reduces_to_after, rollout_laws,
    rollout_loss,
};
use accordant_ops::reduce::Aggregation;
use burn::tensor::Device;

use super::{
    Correction, EntropyConfig, KlPlacement, MismatchLevel, OutOfBounds, PolicyGradient, PolicyGradientConfig,
    RatioLevel, RolloutBatch, RolloutObjective, RolloutOutput,
    a2po::A2poConfig,
    bnpo::BnpoConfig,
    canon::CanonConfig,
    cispo::CispoConfig,
    dapo::DapoConfig,
    dr_grpo::DrGrpoConfig,
    gmpo::GmpoConfig,
    gpg::GpgConfig,
    grpo::GrpoConfig,
    gspo::GspoConfig,
    gspo_token::GspoTokenConfig,
    lite_ppo::LitePpoConfig,
    luspo::LuspoConfig,
    methods,
    opo::OpoConfig,
    p3o::{P3oClip, P3oConfig},
    pairwise_rl::PairwiseRlConfig,
    ppo::PpoConfig,
    pvpo::PvpoConfig,
    reinforce::ReinforceConfig,
    reinforce_pp::ReinforcePpConfig,
    remax::ReMaxConfig,
    rloo::RlooConfig,
    sapo::SapoConfig,
    surrogate::clip::ClipConfig,
    tree_opo::TreeOpoConfig,
    trpa::TrpaConfig,
    trust_region::TrustRegionConfig,
    vapo::VapoConfig,
    vespo::VespoConfig,
};
use crate::{
    Column, Result,
    advantage::{
        Advantages, RewardBatch,
        gae::{Lambda, Whiten},
        gae_estimator::{GaeEstimator, GaeEstimatorConfig},
        group_normalized::GroupNormalizedConfig,
        token_rewards::ScoreAt,
        tree_opo::{PREFIX, PREFIX_PARENT},
    },
    value::clipped_value::ClippedValueConfig,
};

fn valid(method: Result<PolicyGradient>) -> PolicyGradient {
    method.expect("valid in these tests")
}

rollout_laws!(
    a2po_obeys_the_laws,
    "a2po",
    A2poConfig::new().with_beta(0.5).init().unwrap(),
    ["optimal_value" => Real(-1.0, 1.0)],
    [Ignores("old"), Averages(Mean::Responses), RewardShiftSensitive, IncreasingInReward, GroupsApart],
    except "missing rewards" because "NaN tells a missing reward from one that is expected"
);

rollout_laws!(
    bnpo_obeys_the_laws,
    "bnpo",
    valid(BnpoConfig::new().with_kl_coef(0.25).init()),
    [],
    [
        Averages(Mean::Tokens),
        OnPolicy { factor: 1.0, value: true },
        Clips { low: 0.2, high: 0.2, ratio: Ratio::Token },
        KlInLoss { kl_coef: 0.25, estimator: Divergence::K3 },
        ZeroSumGroups,
        GroupsApart,
        RewardShiftInvariant,
    ],
);

rollout_laws!(
    cispo_obeys_the_laws,
    "cispo",
    valid(CispoConfig::new().init()),
    [],
    [ReferenceFree, Averages(Mean::Tokens), OnPolicy { factor: 1.0, value: false }, ZeroSumGroups, GroupsApart],
    except "finite differences" because "weights are constants",
    except "finite differences, token by token" because "weights are constants"
);

rollout_laws!(
    dapo_obeys_the_laws,
    "dapo",
    valid(DapoConfig::new().init()),
    [],
    [
        ReferenceFree,
        Averages(Mean::Tokens),
        OnPolicy { factor: 1.0, value: true },
        Clips { low: 0.2, high: 0.28, ratio: Ratio::Token },
        ZeroSumGroups,
        GroupsApart,
        RewardShiftInvariant,
    ],
);

rollout_laws!(
    dr_grpo_obeys_the_laws,
    "dr_grpo",
    valid(DrGrpoConfig::new(8).init()),
    [],
    [
        ReferenceFree,
        Averages(Mean::Length(8)),
        IndependentOfOtherLengths,
        OnPolicy { factor: 1.0, value: true },
        Clips { low: 0.2, high: 0.2, ratio: Ratio::Token },
        ZeroSumGroups,
        GroupsApart,
        RewardShiftInvariant,
        RewardScaleEquivariant,
    ],
);

rollout_laws!(
    gmpo_obeys_the_laws,
    "gmpo",
    valid(GmpoConfig::new().with_kl_coef(0.25).init()),
    [],
    [
        Averages(Mean::Responses),
        OnPolicy { factor: 1.0, value: true },
        KlInLoss { kl_coef: 0.25, estimator: Divergence::K3 },
    ],
);

rollout_laws!(
    gspo_obeys_the_laws,
    "gspo",
    valid(GspoConfig::new().with_clip_low(0.1).with_clip_high(0.2).init()),
    [],
    [
        ReferenceFree,
        Averages(Mean::Responses),
        OnPolicy { factor: 1.0, value: true },
        Clips { low: 0.1, high: 0.2, ratio: Ratio::Mean },
    ],
);

rollout_laws!(
    gspo_token_obeys_the_laws,
    "gspo_token",
    valid(GspoTokenConfig::new().with_clip_low(0.1).with_clip_high(0.2).init()),
    [],
    [
        ReferenceFree,
        Averages(Mean::Responses),
        OnPolicy { factor: 1.0, value: true },
        Clips { low: 0.1, high: 0.2, ratio: Ratio::Mean },
    ],
    except "finite differences" because "the value is the response's, the gradient the token's",
    except "finite differences, token by token" because "the value is the response's, the gradient the token's"
);

rollout_laws!(
    lite_ppo_obeys_the_laws,
    "lite_ppo",
    valid(LitePpoConfig::new().init()),
    [],
    [
        ReferenceFree,
        Averages(Mean::Tokens),
        OnPolicy { factor: 1.0, value: true },
        Clips { low: 0.2, high: 0.2, ratio: Ratio::Token },
        ZeroSumGroups,
        RewardShiftInvariantGlobally,
        RewardShiftSensitive,
    ],
);

rollout_laws!(
    luspo_obeys_the_laws,
    "luspo",
    valid(LuspoConfig::new().with_clip_low(0.1).with_clip_high(0.2).init()),
    [],
    [
        ReferenceFree,
        Averages(Mean::ResponseSums),
        OnPolicy { factor: 1.0, value: true },
        Clips { low: 0.1, high: 0.2, ratio: Ratio::Mean },
    ],
);

rollout_laws!(
    sapo_obeys_the_laws,
    "sapo",
    valid(SapoConfig::new().with_kl_coef(0.25).init()),
    [],
    [
        Averages(Mean::Responses),
        OnPolicy { factor: 1.0, value: false },
        KlInLoss { kl_coef: 0.25, estimator: Divergence::K3 },
    ],
);

rollout_laws!(
    trpa_obeys_the_laws,
    "trpa",
    TrpaConfig::new().with_kl_coef(0.25).init().unwrap(),
    [],
    [WholeGroups],
    except "missing rewards" because "NaN tells a missing reward from one of 0"
);

rollout_laws!(
    trust_region_obeys_the_laws,
    "trust_region",
    valid(TrustRegionConfig::new().init()),
    [],
    [ReferenceFree, Averages(Mean::Tokens), OnPolicy { factor: 1.0, value: true }, ZeroSumGroups, GroupsApart],
);

rollout_laws!(
    vespo_obeys_the_laws,
    "vespo",
    valid(VespoConfig::new().init()),
    [],
    [ReferenceFree, Averages(Mean::Tokens), OnPolicy { factor: 1.0, value: false }],
    except "finite differences" because "weights are constants",
    except "finite differences, token by token" because "weights are constants"
);

rollout_laws!(
    vespo_with_a_sampler_obeys_the_laws,
    "vespo with a sampler",
    valid(VespoConfig::new().init()),
    ["behavior" => Logps],
    [ReferenceFree, Averages(Mean::Tokens), OnPolicy { factor: 1.0, value: false }],
    except "`old` is read" because "the weight is the policy's ratio to the sampler, whatever lay between",
    except "finite differences" because "weights are constants",
    except "finite differences, token by token" because "weights are constants"
);

rollout_laws!(
    ppo_obeys_the_laws,
    "ppo",
    valid(PpoConfig::new().with_entropy_coef(0.125).init()),
    ["values" => Tokens(-1.0, 1.0), "critic" => Tokens(-1.0, 1.0), "entropies" => Tokens(0.0, 2.0)],
    [
        Learns("critic"),
        EntropyBonus(0.125),
        OnPolicy { factor: 1.0, value: true },
        Clips { low: 0.2, high: 0.2, ratio: Ratio::Token },
        KlInReward { kl_coef: 0.05 },
        Whitened,
        RewardShiftSensitive,
    ],
);

rollout_laws!(
    vapo_obeys_the_laws,
    "vapo",
    valid(VapoConfig::new().init()),
    ["values" => Tokens(-1.0, 1.0), "critic" => Tokens(-1.0, 1.0), "success" => Binary],
    [
        ReferenceFree,
        Learns("critic"),
        OnPolicy { factor: 1.0, value: true },
        Clips { low: 0.2, high: 0.28, ratio: Ratio::Token },
        Whitened,
    ],
);

rollout_laws!(
    canon_obeys_the_laws,
    "canon",
    valid(CanonConfig::new(64).init()),
    ["metric" => Real(-2.0, 2.0)],
    [
        ReferenceFree,
        Averages(Mean::Length(64)), OnPolicy { factor: 1.0, value: true },
        Clips { low: 0.2, high: 0.2, ratio: Ratio::Token },
        GroupsApart,
        RewardShiftInvariant,
    ],
    except "row permutation" because "of equal metrics the earlier row is the lower one"
);

rollout_laws!(
    gpg_obeys_the_laws,
    "gpg",
    valid(GpgConfig::new().init()),
    [],
    [ReferenceFree, Ignores("old"), Averages(Mean::Tokens), OnPolicy { factor: 1.0, value: false }, ZeroSumGroups],
);

rollout_laws!(
    opo_obeys_the_laws,
    "opo",
    valid(OpoConfig::new().init()),
    [],
    [
        ReferenceFree,
        Ignores("old"),
        Averages(Mean::ResponseSums),
        OnPolicy { factor: 1.0, value: false },
        GroupsApart,
        RewardShiftInvariant
    ],
);

rollout_laws!(
    p3o_obeys_the_laws,
    "p3o",
    valid(P3oConfig::new().init()),
    [],
    [Averages(Mean::Responses), KlInReward { kl_coef: 0.1 }, GroupsApart, RewardShiftInvariant],
);

rollout_laws!(
    p3o_by_tokens_obeys_the_laws,
    "p3o by tokens",
    valid(P3oConfig::new().with_clip(P3oClip::SeparateTokens).init()),
    [],
    [
        Averages(Mean::ResponseSums),
        OnPolicy { factor: 1.0, value: true },
        Clips { low: 0.2, high: 0.2, ratio: Ratio::Token },
        KlInReward { kl_coef: 0.1 },
        GroupsApart,
    ],
);

rollout_laws!(
    p3o_jointly_obeys_the_laws,
    "p3o jointly",
    valid(P3oConfig::new().with_clip(P3oClip::Joint).init()),
    [],
    [WholeGroups, OnPolicy { factor: 1.0, value: false }],
    except "finite differences" because "the value is 0",
    except "finite differences, token by token" because "the value is 0"
);

rollout_laws!(
    pairwise_rl_obeys_the_laws,
    "pairwise_rl",
    valid(PairwiseRlConfig::new().init()),
    [],
    [
        Averages(Mean::Tokens),
        OnPolicy { factor: 1.0, value: true },
        Clips { low: 0.2, high: 0.2, ratio: Ratio::Token },
        KlInReward { kl_coef: 0.05 },
        GroupsApart,
        RewardShiftInvariant,
    ],
);

rollout_laws!(
    pvpo_obeys_the_laws,
    "pvpo",
    valid(PvpoConfig::new().init()),
    ["reference_value" => Real(-2.0, 2.0)],
    [
        ReferenceFree,
        Averages(Mean::Responses),
        OnPolicy { factor: 1.0, value: true },
        Clips { low: 0.2, high: 0.2, ratio: Ratio::Token },
        GroupsApart,
        RewardShiftSensitive,
        IncreasingInReward,
    ],
);

rollout_laws!(
    reinforce_obeys_the_laws,
    "reinforce",
    valid(ReinforceConfig::new().init()),
    [],
    [
        ReferenceFree,
        Ignores("old"),
        Averages(Mean::ResponseSums),
        OnPolicy { factor: 1.0, value: false },
        GroupsApart,
        RewardShiftSensitive,
        IncreasingInReward,
    ],
);

rollout_laws!(
    reinforce_pp_obeys_the_laws,
    "reinforce_pp",
    valid(ReinforcePpConfig::new().init()),
    [],
    [
        Averages(Mean::Tokens),
        OnPolicy { factor: 1.0, value: true },
        Clips { low: 0.2, high: 0.2, ratio: Ratio::Token },
        Whitened,
    ],
);

rollout_laws!(
    remax_obeys_the_laws,
    "remax",
    valid(ReMaxConfig::new().init()),
    ["greedy_reward" => Real(-2.0, 2.0)],
    [KlInReward { kl_coef: 0.05 }, Averages(Mean::ResponseSums), OnPolicy { factor: 1.0, value: false }, GroupsApart, RewardShiftSensitive],
);

rollout_laws!(
    rloo_obeys_the_laws,
    "rloo",
    valid(RlooConfig::new().init()),
    [],
    [
        Averages(Mean::ResponseSums),
        OnPolicy { factor: 1.0, value: true },
        Clips { low: 0.2, high: 0.2, ratio: Ratio::Token },
        KlInReward { kl_coef: 0.05 },
        GroupsApart,
        RewardShiftInvariant,
    ],
);

/// Columns by chance are no tree of prefixes; here the prefix above number `n` is `n / 2`.
#[derive(Debug)]
struct Rooted(PolicyGradient);

impl RolloutObjective for Rooted {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn reward_columns(&self) -> Vec<Column> {
        assert_eq!(self.0.reward_columns(), [PREFIX, PREFIX_PARENT]);
        vec![PREFIX]
    }

    fn advantages(&self, batch: &RewardBatch) -> Result<Advantages> {
        let parents = (batch.column(PREFIX, self.name())? * 0.5).floor();
        self.0.advantages(&batch.clone().with_column(PREFIX_PARENT, parents)?)
    }

    fn forward(&self, batch: &RolloutBatch) -> Result<RolloutOutput> {
        self.0.forward(batch)
    }
}

rollout_laws!(
    tree_opo_obeys_the_laws,
    "tree_opo",
    Rooted(valid(TreeOpoConfig::new().init())),
    ["prefix" => Id(5)],
    [
        ReferenceFree,
        Averages(Mean::Responses),
        OnPolicy { factor: 1.0, value: true },
        Clips { low: 0.2, high: 0.2, ratio: Ratio::Token },
        ZeroSumGroups,
        GroupsApart,
        RewardShiftInvariant,
        // What `eps` costs the smallest deviation there is.
        RewardScaleInvariant(1e-4),
    ],
    except "missing rewards" because "without the only response of a prefix, those below it have another parent"
);

#[test]
fn every_method_is_under_the_laws() {
    let here = [include_str!("laws.rs"), include_str!("grpo.rs"), include_str!("nash_md.rs")].concat();
    for method in methods() {
        assert!(here.contains(&format!("    \"{}\",\n", method.name)), "{} is under no laws", method.name);
    }
}

/// GRPO with a divergence in the loss, and with `options` of the grid.
fn grpo_with(options: impl Fn(PolicyGradientConfig) -> PolicyGradientConfig) -> PolicyGradient {
    let config = PolicyGradientConfig::new(RatioLevel::Token, Aggregation::SequenceMean);
    let (estimator, surrogate) = (GroupNormalizedConfig::new().init().unwrap(), ClipConfig::new().init().unwrap());
    valid(options(config.with_kl(KlPlacement::in_loss(0.25))).init("grpo", estimator, surrogate))
}

fn corrected(level: MismatchLevel, out_of_bounds: OutOfBounds, min: f64) -> PolicyGradient {
    let correction = Correction::new(level, out_of_bounds).with_min(min).with_max(1.2);
    grpo_with(|config| config.with_correction(Some(correction)))
}

rollout_laws!(
    truncated_weights_of_tokens_obey_the_laws,
    "grpo, truncated weights of tokens",
    corrected(MismatchLevel::Token, OutOfBounds::Truncate, 0.0),
    ["behavior" => Logps],
    [
        Corrects { ratio: Ratio::Token, min: 0.0, max: 1.2, drops: false },
        Averages(Mean::Responses),
        OnPolicy { factor: 1.0, value: true },
        KlInLoss { kl_coef: 0.25, estimator: Divergence::K3 },
    ],
);

rollout_laws!(
    dropped_tokens_obey_the_laws,
    "grpo, tokens of small or large weights dropped",
    corrected(MismatchLevel::Token, OutOfBounds::Drop, 0.8),
    ["behavior" => Logps],
    [Corrects { ratio: Ratio::Token, min: 0.8, max: 1.2, drops: true }, Averages(Mean::Responses)],
);

rollout_laws!(
    truncated_weights_of_responses_obey_the_laws,
    "grpo, truncated weights of responses",
    corrected(MismatchLevel::Sequence, OutOfBounds::Truncate, 0.8),
    ["behavior" => Logps],
    [Corrects { ratio: Ratio::Sum, min: 0.8, max: 1.2, drops: false }],
);

rollout_laws!(
    dropped_responses_obey_the_laws,
    "grpo, responses of small or large mean weights dropped",
    corrected(MismatchLevel::Geometric, OutOfBounds::Drop, 0.8),
    ["behavior" => Logps],
    [Corrects { ratio: Ratio::Mean, min: 0.8, max: 1.2, drops: true }],
);

rollout_laws!(
    responses_far_from_their_sampler_obey_the_laws,
    "grpo, responses far from their sampler left out",
    grpo_with(|config| config.with_off_policy_threshold(Some(0.1))),
    ["behavior" => Logps],
    [
        DropsRows { threshold: 0.1 },
        Averages(Mean::Responses),
        OnPolicy { factor: 1.0, value: true },
        KlInLoss { kl_coef: 0.25, estimator: Divergence::K3 },
    ],
);

rollout_laws!(
    uncertain_tokens_obey_the_laws,
    "grpo, uncertain tokens alone",
    grpo_with(|config| config.with_entropy(EntropyConfig::new().with_min_entropy(Some(0.9)))),
    ["entropies" => Tokens(0.0, 2.0)],
    [DropsTokens { min_entropy: 0.9 }, Averages(Mean::Responses)],
);

rollout_laws!(
    two_rewards_obey_the_laws,
    "grpo, two rewards",
    grpo_with(|config| config),
    ["more_rewards" => Coarse(-1.0, 1.0)],
    [SumsRewards, ZeroSumGroups, GroupsApart, RewardShiftInvariant, IncreasingInReward],
);

fn past_the_end() -> GaeEstimator {
    GaeEstimatorConfig::new()
        .with_score_at(ScoreAt::OnePast)
        .with_discount(0.9)
        .with_gae_lambda(Lambda::Constant(0.5))
        .with_whiten(Whiten::None)
        .init()
        .unwrap()
}

advantage_laws!(
    a_score_past_the_end_obeys_the_laws,
    "gae, score past the end",
    past_the_end(),
    ["values" => Tokens(-1.0, 1.0)],
    [ReferenceFree, ScoresPastTheEnd { discount: 0.9, gae_lambda: 0.5 }],
    except "padding" because "the position behind the last token is read where there is one",
    except "masked columns" because "the position behind the last token is read where there is one",
    except "behind the mask" because "the position behind the last token is read where there is one",
    except "missing rewards" because "without the longest response, others may lose that position"
);

fn ppo_past_the_end() -> PolicyGradient {
    let config = PolicyGradientConfig::new(RatioLevel::Token, Aggregation::TokenMean);
    let value = ClippedValueConfig::new().init().unwrap();
    valid(
        config
            .init("ppo", past_the_end(), ClipConfig::new().init().unwrap())
            .and_then(|ppo| ppo.with_critic(0.5, value)),
    )
}

rollout_laws!(
    ppo_with_a_score_past_the_end_obeys_the_laws,
    "ppo, score past the end",
    ppo_past_the_end(),
    ["values" => Tokens(-1.0, 1.0), "critic" => Tokens(-1.0, 1.0)],
    [
        ReferenceFree,
        Learns("critic"),
        OnPolicy { factor: 1.0, value: true },
        ScoresPastTheEnd { discount: 0.9, gae_lambda: 0.5 },
    ],
    except "padding" because "the position behind the last token is read where there is one",
    except "masked columns" because "the position behind the last token is read where there is one",
    except "behind the mask" because "the position behind the last token is read where there is one",
    except "missing rewards" because "without the longest response, others may lose that position"
);

/// Every response as long as the others.
fn of_one_length(batch: &Batch) -> Batch {
    batch.map(|_, item| {
        for response in &mut item.responses {
            let rows = [&mut response.policy, &mut response.reference].into_iter();
            rows.chain(response.tokens.values_mut()).for_each(|row| row.resize(3, -1.0));
        }
    })
}

#[test]
fn methods_that_differ_in_their_mean_are_the_same_for_responses_of_one_length() {
    let (grpo, bnpo) = (rollout_loss!(valid(GrpoConfig::new().init())), rollout_loss!(valid(BnpoConfig::new().init())));
    let grpo = Subject::rollouts("grpo", &grpo).on(Device::flex());
    let bnpo = Subject::rollouts("bnpo", &bnpo).on(Device::flex());
    reduces_to_after(&grpo, of_one_length, &bnpo, of_one_length, 1e-12)
        .unwrap_or_else(|violation| panic!("{violation}"));
    reduces_to(&grpo, &bnpo, 1e-12).unwrap_err();
}

#[test]
fn limits_of_methods_are_methods() {
    let equal = |one: PolicyGradient, other: PolicyGradient| {
        let (one, other) = (rollout_loss!(one), rollout_loss!(other));
        let one = Subject::rollouts("one", &one).on(Device::flex());
        reduces_to(&one, &Subject::rollouts("other", &other).on(Device::flex()), 1e-12)
    };
    let (bnpo, dapo) = (BnpoConfig::new().with_clip_high(0.28), DapoConfig::new());
    equal(valid(dapo.init()), valid(bnpo.init())).unwrap_or_else(|violation| panic!("{violation}"));
    // The same gradient, each token's own or through the response.
    let (response, token) = (GspoConfig::new().with_clip_low(0.1), GspoTokenConfig::new().with_clip_low(0.1));
    equal(valid(response.init()), valid(token.init())).unwrap_or_else(|violation| panic!("{violation}"));
    equal(valid(dapo.init()), valid(BnpoConfig::new().init())).unwrap_err();
}

#[test]
fn values_are_no_baseline_of_a_prompt() {
    let ppo = rollout_loss!(valid(PpoConfig::new().init()));
    let tokens = accordant_laws::Range::Tokens(-1.0, 1.0);
    let subject = Subject::rollouts("ppo", &ppo).on(Device::flex());
    let subject = subject.response_column("values", tokens).response_column("critic", tokens);
    let subject = subject.declare(accordant_laws::Property::Learns("critic"));
    let found = check_all(&subject.declare(accordant_laws::Property::RewardShiftInvariant));
    let names: Vec<&str> = found.iter().map(|violation| violation.law.as_str()).collect();
    assert_eq!(names, ["reward shift"]);
}
