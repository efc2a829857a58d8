//! Every surrogate under the laws for rollouts, as GRPO has it: with advantages of groups and means of responses.

use accordant_laws::{Mean, Ratio, rollout_laws};
use accordant_ops::reduce::Aggregation;

use super::{build, methods};
use crate::{
    Options,
    advantage::group_normalized::GroupNormalizedConfig,
    rollout::{
        PolicyGradient, PolicyGradientConfig,
        RatioLevel::{self, Group, Sequence, SequenceSum, SequenceToken, Token},
    },
};

/// GRPO with another surrogate, and with ratios of this level.
fn with(name: &'static str, ratio: RatioLevel, options: Options) -> PolicyGradient {
    let estimator = Box::new(GroupNormalizedConfig::new().init().unwrap());
    let surrogate = build(name, &options).unwrap();
    PolicyGradientConfig::new(ratio, Aggregation::SequenceMean).init_boxed(name, estimator, surrogate).unwrap()
}

fn default(name: &'static str, ratio: RatioLevel) -> PolicyGradient {
    with(name, ratio, Options::new())
}

rollout_laws!(
    clip_of_responses_obeys_the_laws,
    "clip, responses",
    default("clip", Sequence),
    [],
    [
        ReferenceFree,
        Averages(Mean::Responses),
        OnPolicy { factor: 1.0, value: true },
        Clips { low: 0.2, high: 0.2, ratio: Ratio::Mean },
    ],
);

rollout_laws!(
    clip_of_sums_obeys_the_laws,
    "clip, sums",
    default("clip", SequenceSum),
    [],
    [ReferenceFree, Averages(Mean::Responses), Clips { low: 0.2, high: 0.2, ratio: Ratio::Sum }],
);

rollout_laws!(
    clip_of_tokens_in_responses_obeys_the_laws,
    "clip, responses with the gradient of tokens",
    default("clip", SequenceToken),
    [],
    [
        ReferenceFree,
        Averages(Mean::Responses),
        OnPolicy { factor: 1.0, value: true },
        Clips { low: 0.2, high: 0.2, ratio: Ratio::Mean },
    ],
    except "finite differences" because "the value is the response's, the gradient the token's",
    except "finite differences, token by token" because "the value is the response's, the gradient the token's"
);

rollout_laws!(
    dual_clip_obeys_the_laws,
    "clip, dual",
    with("clip", Token, Options::new().with("dual_clip", 3.0).with("ratio_max", 4.0)),
    [],
    [ReferenceFree, Averages(Mean::Responses), OnPolicy { factor: 1.0, value: true }],
);

rollout_laws!(
    gmpo_obeys_the_laws,
    "gmpo",
    default("gmpo", Token),
    [],
    [ReferenceFree, Averages(Mean::Responses), OnPolicy { factor: 1.0, value: true }],
);

rollout_laws!(
    sapo_obeys_the_laws,
    "sapo",
    default("sapo", Token),
    [],
    [ReferenceFree, Averages(Mean::Responses), OnPolicy { factor: 1.0, value: false }],
);

rollout_laws!(
    importance_obeys_the_laws,
    "importance",
    with("importance", Token, Options::new().with("kl_coef", 0.5)),
    [],
    [ReferenceFree, Averages(Mean::Responses), OnPolicy { factor: 1.0, value: true }],
);

rollout_laws!(
    reinforce_obeys_the_laws,
    "reinforce",
    default("reinforce", Token),
    [],
    [ReferenceFree, Ignores("old"), Averages(Mean::Responses), OnPolicy { factor: 1.0, value: false }],
);

rollout_laws!(
    cispo_obeys_the_laws,
    "cispo",
    default("cispo", Token),
    [],
    [ReferenceFree, Averages(Mean::Responses), OnPolicy { factor: 1.0, value: false }],
    except "finite differences" because "weights are constants",
    except "finite differences, token by token" because "weights are constants"
);

rollout_laws!(
    vespo_obeys_the_laws,
    "vespo",
    default("vespo", Token),
    [],
    [ReferenceFree, Averages(Mean::Responses), OnPolicy { factor: 1.0, value: false }],
    except "finite differences" because "weights are constants",
    except "finite differences, token by token" because "weights are constants"
);

rollout_laws!(
    joint_obeys_the_laws,
    "joint",
    default("joint", Group),
    [],
    [ReferenceFree, WholeGroups, Averages(Mean::Responses), OnPolicy { factor: 1.0, value: false }],
    except "finite differences" because "the value is 0 everywhere",
    except "finite differences, token by token" because "the value is 0 everywhere"
);

// With all candidates left out nothing is drawn.
rollout_laws!(
    clip_cov_of_all_obeys_the_laws,
    "clip_cov, all",
    with("clip_cov", Token, Options::new().with("share", 1).with("low", 0.25).with("high", 10)),
    [],
    [ReferenceFree],
    except "micro-batches" because "tokens are left out of those that are seen"
);

rollout_laws!(
    clip_cov_obeys_the_laws,
    "clip_cov",
    with("clip_cov", Token, Options::new().with("share", 0.25).with("low", 0.25).with("high", 10)),
    [],
    [ReferenceFree],
    except "micro-batches" because "tokens are left out of those that are seen",
    except "batch permutation" because "which tokens are drawn depends on their order",
    except "row permutation" because "which tokens are drawn depends on their order",
    except "finite differences" because "which tokens are drawn depends on every digit",
    except "finite differences, token by token" because "which tokens are drawn depends on every digit",
    except "f32" because "which tokens are drawn depends on every digit"
);

rollout_laws!(
    kl_cov_obeys_the_laws,
    "kl_cov",
    with("kl_cov", Token, Options::new().with("share", 0.25)),
    [],
    [ReferenceFree, OnPolicy { factor: 1.0, value: true }],
    except "micro-batches" because "tokens are held back of those that are seen"
);

#[test]
fn every_surrogate_is_under_the_laws() {
    let here = include_str!("laws.rs");
    for method in methods() {
        assert!(here.contains(&format!("(\"{}\", ", method.name)), "{} is under no laws", method.name);
    }
}
