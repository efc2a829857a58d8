//! The laws for rollouts are themselves tested: each mistake is caught by the law that is about it.

use accordant_laws::{
    Batch, Divergence, Mean, Property, Range, Ratio, Subject, check_all, reduces_to, reduces_to_after,
};
use burn::tensor::Device;
use toys::{
    Wrong, expect_findings,
    rollouts::{
        BOUNDS, DR_GRPO, FAR, GAE, GRPO, GSPO, LEAVE_ONE_OUT, LOW_ENTROPY, Mistake, PAST_THE_END, PPO, RLOO, Rollouts,
        VALUE_DIFFERENCE, WHITENED, Weigh,
    },
};

mod toys;

type Row = (&'static str, Mistake, &'static str, &'static [&'static str]);

const VALUES: Range = Range::Tokens(-1.0, 1.0);

fn clips(ratio: Ratio) -> Property {
    Property::Clips { low: 0.2, high: 0.2, ratio }
}

fn grpo(loss: &Rollouts) -> Subject<'_> {
    Subject::rollouts("toy grpo", loss)
        .on(Device::flex())
        .declare(Property::Averages(Mean::Responses))
        .declare(Property::OnPolicy { factor: 1.0, value: true })
        .declare(clips(Ratio::Token))
        .declare(Property::KlInLoss { kl_coef: 0.25, estimator: Divergence::K3 })
        .declare(Property::ZeroSumGroups)
        .declare(Property::GroupsApart)
        .declare(Property::RewardShiftInvariant)
        .declare(Property::RewardScaleInvariant(1e-4))
        .declare(Property::IncreasingInReward)
}

fn gspo(loss: &Rollouts) -> Subject<'_> {
    Subject::rollouts("toy gspo", loss)
        .on(Device::flex())
        .declare(Property::Averages(Mean::Responses))
        .declare(Property::OnPolicy { factor: 1.0, value: true })
        .declare(clips(Ratio::Mean))
        .declare(Property::ReferenceFree)
}

fn rloo(loss: &Rollouts) -> Subject<'_> {
    Subject::rollouts("toy rloo", loss)
        .on(Device::flex())
        .declare(Property::Averages(Mean::ResponseSums))
        .declare(clips(Ratio::Sum))
        .declare(Property::KlInReward { kl_coef: 0.25 })
        .declare(Property::RewardShiftInvariant)
        .declare(Property::GroupsApart)
}

fn dr_grpo(loss: &Rollouts) -> Subject<'_> {
    Subject::rollouts("toy dr grpo", loss)
        .on(Device::flex())
        .declare(Property::Averages(Mean::Length(6)))
        .declare(Property::IndependentOfOtherLengths)
        .declare(Property::ReferenceFree)
}

fn ppo(loss: &Rollouts) -> Subject<'_> {
    Subject::rollouts("toy ppo", loss)
        .on(Device::flex())
        .response_column("values", VALUES)
        .response_column("entropies", Range::Tokens(0.0, 2.0))
        .declare(Property::EntropyBonus(0.125))
        .declare(Property::Learns("entropies"))
        .declare(Property::OnPolicy { factor: 1.0, value: true })
        .declare(clips(Ratio::Token))
        .declare(Property::TemporalDifferences { discount: 0.9, gae_lambda: 0.5 })
        .declare(Property::RewardShiftSensitive)
        .declare(Property::IncreasingInReward)
        .declare(Property::ReferenceFree)
}

fn gae(loss: &Rollouts) -> Subject<'_> {
    Subject::advantages("toy gae", loss)
        .on(Device::flex())
        .response_column("values", VALUES)
        .declare(Property::TemporalDifferences { discount: 0.9, gae_lambda: 0.5 })
        .declare(Property::GroupsApart)
}

fn value_difference(loss: &Rollouts) -> Subject<'_> {
    Subject::advantages("toy dvpo", loss)
        .on(Device::flex())
        .response_column("values", VALUES)
        .declare(Property::TemporalDifferences { discount: 1.0, gae_lambda: 0.0 })
        .declare(Property::Telescopes)
        .declare(Property::RewardShiftSensitive)
}

const SLOT: &str = "the position behind the last token is read where there is one";

fn past_the_end(loss: &Rollouts) -> Subject<'_> {
    Subject::advantages("toy gae with a score past the end", loss)
        .on(Device::flex())
        .response_column("values", VALUES)
        .declare(Property::ScoresPastTheEnd { discount: 0.9, gae_lambda: 0.5 })
        .except("padding", SLOT)
        .except("masked columns", SLOT)
        .except("behind the mask", SLOT)
        .except("missing rewards", SLOT)
}

fn two_rewards(loss: &Rollouts) -> Subject<'_> {
    Subject::advantages("toy leave one out of two rewards", loss)
        .on(Device::flex())
        .response_column("more_rewards", Range::Coarse(-1.0, 1.0))
        .declare(Property::SumsRewards)
}

fn weighed(loss: &Rollouts) -> Subject<'_> {
    Subject::rollouts("toy grpo with weights", loss)
        .on(Device::flex())
        .response_column("behavior", Range::Logps)
        .declare(Property::Corrects { ratio: Ratio::Mean, min: BOUNDS[0], max: BOUNDS[1], drops: false })
        .declare(Property::Averages(Mean::Responses))
}

fn near_rows(loss: &Rollouts) -> Subject<'_> {
    Subject::rollouts("toy grpo of near rows", loss)
        .on(Device::flex())
        .response_column("behavior", Range::Logps)
        .declare(Property::DropsRows { threshold: FAR })
}

fn uncertain_tokens(loss: &Rollouts) -> Subject<'_> {
    Subject::rollouts("toy grpo of uncertain tokens", loss)
        .on(Device::flex())
        .response_column("entropies", Range::Tokens(0.0, 2.0))
        .declare(Property::DropsTokens { min_entropy: LOW_ENTROPY })
}

fn leave_one_out(loss: &Rollouts) -> Subject<'_> {
    Subject::advantages("toy leave one out", loss)
        .on(Device::flex())
        .declare(Property::ZeroSumGroups)
        .declare(Property::GroupsApart)
        .declare(Property::RewardShiftInvariant)
        .declare(Property::RewardScaleEquivariant)
        .declare(Property::IncreasingInReward)
        .declare(Property::ReferenceFree)
}

fn whitened(loss: &Rollouts) -> Subject<'_> {
    Subject::advantages("toy whitened", loss)
        .on(Device::flex())
        .declare(Property::Whitened)
        .declare(Property::RewardShiftInvariantGlobally)
        .declare(Property::RewardShiftSensitive)
        .declare(Property::RewardScaleInvariant(0.0))
        .declare(Property::ReferenceFree)
}

fn expect(right: Rollouts, subject: for<'a> fn(&'a Rollouts) -> Subject<'a>, rows: &[Row]) {
    let toys: Vec<Rollouts> = rows.iter().map(|(_, mistake, ..)| right.with(*mistake)).collect();
    let wrong = toys.iter().zip(rows).map(|(toy, &(mistake, _, law, others))| Wrong {
        mistake,
        subject: subject(toy),
        law,
        others,
    });
    let wrong: Vec<_> = wrong.collect();
    expect_findings(&subject(&right), &wrong);
}

#[test]
fn mistakes_in_grpo() {
    expect(
        GRPO,
        grpo,
        &[
            ("sign of the divergence", Mistake::KlSignFlipped, "divergence in the loss", &[]),
            (
                "K1 in the loss",
                Mistake::K1InTheLoss,
                "divergence in the loss",
                &["on-policy", "clipped above", "clipped below"],
            ),
            ("log-ratio of the reference", Mistake::ReferenceFirst, "divergence in the loss", &[]),
            ("denominator of the part", Mistake::DenominatorOfThePart, "micro-batches", &[]),
            ("deviation of the batch", Mistake::StdOfTheBatch, "groups apart", &["reward shift"]),
            (
                "deviation without a mean",
                Mistake::StdWithoutCentering,
                "reward shift",
                &["zero sum of a group", "increasing in reward"],
            ),
            ("old policy not detached", Mistake::OldNotDetached, "constants", &[]),
            ("advantages not detached", Mistake::AdvantagesNotDetached, "constants", &["missing rewards"]),
            (
                "advantages from the policy",
                Mistake::AdvantagesFromThePolicy,
                "detached outputs",
                &[
                    "finite differences",
                    "finite differences, token by token",
                    "on-policy",
                    "clipped above",
                    "clipped below",
                ],
            ),
            ("clipped on the wrong side", Mistake::ClippedOnTheWrongSide, "clipped below", &[]),
            ("the smaller loss", Mistake::MinForMax, "clipped above", &["clipped below"]),
            ("ratio inverted", Mistake::RatioInverted, "on-policy", &["clipped above", "clipped below"]),
            (
                "padding in the length",
                Mistake::PaddedLength,
                "padding",
                &["masked columns", "behind the mask", "average"],
            ),
            ("empty rows counted", Mistake::EmptyRowsCounted, "average", &[]),
            ("groups of neighbors", Mistake::NeighborsAreAGroup, "row permutation", &[]),
            ("ids as numbers", Mistake::IdsAreNumbers, "group ids", &["batch permutation"]),
            ("a missing reward is 0", Mistake::MissingIsZero, "missing rewards", &[]),
            ("no clamp", Mistake::NoClamp, "finite", &[]),
            ("low rewards preferred", Mistake::LowRewardsPreferred, "increasing in reward", &[]),
            ("masked by multiplication", Mistake::MaskedByMultiplication, "behind the mask", &[]),
            ("a fresh policy not detached", Mistake::FreshNotDetached, "no old policy", &[]),
        ],
    );
}

#[test]
fn mistakes_in_ratios_of_responses() {
    expect(GSPO, gspo, &[("ratio summed", Mistake::RatioSummed, "on-policy", &["clipped above", "clipped below"])]);
}

#[test]
fn mistakes_with_the_divergence_in_the_reward() {
    expect(
        RLOO,
        rloo,
        &[
            (
                "divergence in reward and loss",
                Mistake::KlTwice,
                "divergence in the reward",
                &["divergence in the reward, by enumeration"],
            ),
            (
                "sign of the divergence",
                Mistake::KlOfTheReference,
                "divergence in the reward, by enumeration",
                &["divergence in the reward"],
            ),
        ],
    );
}

#[test]
fn mistakes_with_a_constant_length() {
    expect(
        DR_GRPO,
        dr_grpo,
        &[("the longest row for the length", Mistake::LongestRowForLength, "other lengths", &["average"])],
    );
}

#[test]
fn mistakes_with_values() {
    expect(
        PPO,
        ppo,
        &[
            ("sign of the entropy", Mistake::EntropySign, "entropy bonus", &[]),
            ("entropy detached", Mistake::EntropyDetached, "`entropies` learns", &["entropy bonus"]),
            (
                "reward on the pad slot",
                Mistake::RewardOnThePadSlot,
                "padding",
                &["masked columns", "behind the mask", "temporal differences"],
            ),
        ],
    );
    expect(
        GAE,
        gae,
        &[
            ("decay through observations", Mistake::DecayThroughObservations, "masked columns", &["behind the mask"]),
            ("terminal value bootstrapped", Mistake::TerminalBootstrapped, "temporal differences", &[]),
        ],
    );
    expect(
        PAST_THE_END,
        past_the_end,
        &[("paid at the last token", Mistake::PaidAtTheLastToken, "score past the end", &[])],
    );
    expect(
        VALUE_DIFFERENCE,
        value_difference,
        &[(
            "the value after the token",
            Mistake::ValueAfterTheToken,
            "telescoping",
            &["`values` is read", "temporal differences"],
        )],
    );
}

#[test]
fn mistakes_in_what_is_learned_less_from() {
    let with = |weigh| Rollouts { weigh, ..GRPO };
    expect(
        with(Weigh::Sampler),
        weighed,
        &[
            ("weights inverted", Mistake::WeightsInverted, "weights for the sampler", &[]),
            ("weights of the divergence", Mistake::DivergenceWeighed, "weights for the sampler", &[]),
        ],
    );
    expect(
        with(Weigh::FarRows),
        near_rows,
        &[
            ("gains left out", Mistake::GainsLeftOut, "rows far from the sampler", &[]),
            ("no divergence where rows are left out", Mistake::DivergenceWeighed, "rows far from the sampler", &[]),
        ],
    );
    expect(
        with(Weigh::LowEntropies),
        uncertain_tokens,
        &[
            ("tokens left out of the mean", Mistake::UncountedTokens, "tokens of little entropy", &[]),
            ("no divergence where tokens are left out", Mistake::DivergenceWeighed, "tokens of little entropy", &[]),
        ],
    );
}

#[test]
fn mistakes_with_several_rewards() {
    let mistake = ("the first reward or none", Mistake::FirstRewardOrNone, "sum of rewards", &[] as &[&str]);
    expect(LEAVE_ONE_OUT, two_rewards, &[mistake]);
}

#[test]
fn mistakes_in_baselines() {
    expect(
        LEAVE_ONE_OUT,
        leave_one_out,
        &[
            ("leave one out with itself", Mistake::LeaveOneOutWithItself, "reward shift", &["zero sum of a group"]),
            ("no baseline", Mistake::Uncentered, "zero sum of a group", &["reward shift"]),
        ],
    );
    expect(
        WHITENED,
        whitened,
        &[(
            "padding in the statistics",
            Mistake::MaskIgnoredInWhitening,
            "padding",
            &["masked columns", "behind the mask", "missing rewards", "whitened", "reward shift of all prompts"],
        )],
    );
}

#[test]
fn means_over_tokens_and_over_responses_are_the_same_for_responses_of_one_length() {
    let (responses, tokens) = (GRPO, Rollouts { mean: Mean::Tokens, ..GRPO });
    let one_length = |batch: &Batch| {
        batch.map(|_, item| {
            for response in &mut item.responses {
                let tokens = [&mut response.policy, &mut response.reference];
                tokens.into_iter().chain(response.tokens.values_mut()).for_each(|row| row.resize(3, -1.0));
            }
        })
    };
    let (one, other) = (grpo(&responses), Subject::rollouts("toy bnpo", &tokens).on(Device::flex()));
    reduces_to_after(&one, one_length, &other, one_length, 1e-12).unwrap_or_else(|violation| panic!("{violation}"));
    reduces_to(&one, &other, 1e-12).unwrap_err();
}

#[test]
fn a_shift_of_a_prompt_s_rewards_is_nothing_to_a_baseline_of_the_prompt_and_something_to_values() {
    let found = check_all(&ppo(&PPO).declare(Property::RewardShiftInvariant));
    let names: Vec<&str> = found.iter().map(|violation| violation.law.as_str()).collect();
    assert_eq!(names, ["reward shift"]);
    let found = check_all(&rloo(&RLOO).declare(Property::RewardShiftSensitive));
    let names: Vec<&str> = found.iter().map(|violation| violation.law.as_str()).collect();
    assert_eq!(names, ["reward shift sensitivity"]);
}
