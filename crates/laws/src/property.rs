//! What may be claimed of a loss beyond what holds for its whole family.

/// What an importance ratio is taken of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ratio {
    /// Each token.
    Token,
    /// The response, by the mean of its tokens' log-ratios.
    Mean,
    /// The response, by their sum.
    Sum,
}

/// How the losses of tokens become one number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mean {
    /// Every token counts the same.
    Tokens,
    /// Every response with a token counts the same, and so does every token in it.
    Responses,
    /// Every response with a token counts the same, by the sum over its tokens.
    ResponseSums,
    /// The sum over all tokens, divided by this length for every response.
    Length(usize),
    /// The sum over all tokens.
    Sum,
}

/// How a divergence from the reference is estimated in a loss: what it and its gradient are on average. With `u` the
/// log-ratio of a token that the policy has sampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Divergence {
    /// `u² / 2`; the gradient is that of KL(policy ‖ reference).
    K2,
    /// `exp(−u) − 1 + u`, KL(policy ‖ reference) on average; the gradient is that of KL(reference ‖ policy).
    K3,
    /// The value of K3 with the gradient of KL(policy ‖ reference).
    K3Corrected,
}

/// A claim about a loss; each becomes a law of that name. Unless it says otherwise, it is tested without hooks. A claim
/// about data of another family, or about a hook that the loss does not have, is a violation by itself.
///
/// `d` is a response's summed log-ratio to the reference (for a [`Property::ReferenceFree`] loss its summed
/// log-probability), `D` the difference between the chosen one's and the rejected one's.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Property {
    /// All log-ratios of an item plus a constant leave its loss as it is. With [`Property::BatchStatistics`], one
    /// constant for all items.
    ShiftInvariant,
    /// The log-ratio of every token of an item plus a constant leaves its loss as it is.
    ShiftInvariantPerToken,
    /// All log-ratios of an item plus a constant change its loss.
    ShiftSensitive,
    /// The loss never rises with the log-probability of the chosen response; of a list, of the one with the highest
    /// score.
    DecreasingInChosen,
    /// The loss never falls with the log-probability of the rejected response; of a list, of the one with the lowest
    /// score.
    IncreasingInRejected,
    /// The loss of a desirable response never rises with its log-probability.
    DecreasingInDesirable,
    /// The loss of an undesirable response never falls with its log-probability.
    IncreasingInUndesirable,
    /// The loss is convex in the log-ratio of each response, hence in `D`.
    ConvexInMargin,
    /// With both responses exchanged: loss(w, l) − loss(l, w) = −slope · `D`.
    SwapDifference(f64),
    /// The same, with log-ratios divided by the number of tokens.
    SwapDifferencePerToken(f64),
    /// Every item has this loss where the policy equals the reference, to 1e-12.
    AtReference(f64),
    /// The reference changes nothing, whatever it holds.
    ReferenceFree,
    /// No item's loss is below this.
    LowerBound(f64),
    /// No item's loss is above this.
    UpperBound(f64),
    /// The loss of an item depends on the others: nothing is claimed of a batch in parts, or of single items under a
    /// permutation.
    BatchStatistics,
    /// Statistics of the batch are constants: the loss of an item has gradient 0 in all other items.
    OwnGradient,
    /// The hook `label_probs` mixes: at probability p the loss is p · loss(w, l) + (1−p) · loss(l, w).
    LabelProbMixes,
    /// The hook `margins`: a margin m is as good as `D` less m / beta.
    MarginShifts {
        /// The factor between `D` and the reward.
        beta: f64,
    },
    /// The same where the reward is `beta` times the mean log-ratio of the tokens.
    MarginShiftsPerToken {
        /// The factor between the difference of mean log-ratios and the reward.
        beta: f64,
    },
    /// A batch that has this column is refused, not read without it.
    NoHook(&'static str),
    /// The order of an item's candidates changes nothing.
    PermutationOfCandidates,
    /// An item whose candidates all have the same score has loss 0 and gradient 0.
    TiesSayNothing,
    /// Of rollouts, as all that follow: what this column of responses or of tokens holds changes nothing.
    Ignores(&'static str),
    /// The objective compares the rows of a group, which are not parted into micro-batches.
    WholeGroups,
    /// The loss is this mean of the losses of tokens.
    Averages(Mean),
    /// With the policy where it was when the rollouts were sampled, and where the reference is, the losses of tokens have
    /// gradient `−factor · A` in their own log-probabilities, and the value `−A` if so said.
    OnPolicy {
        /// The factor of the gradient.
        factor: f64,
        /// Whether the sum of a row's losses is `−Σ A`.
        value: bool,
    },
    /// Where the policy is at the reference, there is no gradient for `A > 0` with a ratio above `1 + high` nor for
    /// `A < 0` with one below `1 − low`, and there is one everywhere else.
    Clips {
        /// The range below 1.
        low: f64,
        /// The range above 1.
        high: f64,
        /// What the ratio is taken of.
        ratio: Ratio,
    },
    /// The loss of a token contains `kl_coef` times a divergence from the reference: its mean over a vocabulary and that of
    /// its gradient are what they should be.
    KlInLoss {
        /// The factor.
        kl_coef: f64,
        /// How it is estimated.
        estimator: Divergence,
    },
    /// Rewards are lowered by `kl_coef · (old − reference)`, and the reference is read for nothing else. Followed, that
    /// reduces KL(policy ‖ reference).
    KlInReward {
        /// The factor.
        kl_coef: f64,
    },
    /// The loss contains minus this times the mean of the column `entropies` over all scored tokens, with its gradient.
    EntropyBonus(f64),
    /// This column of tokens is no constant: the loss has a gradient in it, which is its derivative.
    Learns(&'static str),
    /// The responses to a prompt have advantages of sum 0. Of those that have a reward and a token.
    ZeroSumGroups,
    /// The advantages of all tokens have mean 0 and an unbiased variance of 1, unless they are all 0.
    Whitened,
    /// The advantages of the responses to a prompt depend on no other prompt.
    GroupsApart,
    /// A constant for each prompt added to its rewards leaves advantages as they are.
    RewardShiftInvariant,
    /// One constant added to all rewards leaves advantages as they are.
    RewardShiftInvariantGlobally,
    /// A constant for each prompt added to its rewards changes advantages.
    RewardShiftSensitive,
    /// Rewards times a positive number leave advantages as they are, to this relative to 1: what is added to a deviation
    /// costs that much.
    RewardScaleInvariant(f64),
    /// Rewards times a positive number multiply advantages by it.
    RewardScaleEquivariant,
    /// The advantage of a response never falls with its own reward.
    IncreasingInReward,
    /// The gradient of a response does not depend on the lengths of the others.
    IndependentOfOtherLengths,
    /// Advantages are sums of temporal differences, `Σ_k (discount · gae_lambda)^k δ`, with
    /// `δ = R + discount · V(next) − V`, the response's reward at its last token, and values from the column `values`.
    TemporalDifferences {
        /// The factor for each token.
        discount: f64,
        /// 0: the next value alone; 1: the rewards to go less the value.
        gae_lambda: f64,
    },
    /// The advantages of a response sum up to its reward less its first value, from the column `values`.
    Telescopes,
    /// As [`Property::TemporalDifferences`], where the reward belongs to the position behind the last token, which has a
    /// value of its own: where the row has such a position, and the last token's where it has none.
    ScoresPastTheEnd {
        /// The factor for each token.
        discount: f64,
        /// 0: the next value alone; 1: the rewards to go less the value.
        gae_lambda: f64,
    },
    /// The column `more_rewards` holds another reward of each response: rewards are summed, one that is missing is left
    /// out of the sum, and a response without either has none.
    SumsRewards,
    /// Without a divergence, the gradient of a token is what it is for `behavior` = `old`, times `exp(old − behavior)`, with
    /// the log-ratio taken as said. The weight is a constant; out of bounds it is the nearer one, or 0 where it drops. A
    /// divergence from the reference in the loss has no weight, and no mean counts less.
    Corrects {
        /// What the weight is taken of.
        ratio: Ratio,
        /// The smallest weight.
        min: f64,
        /// The largest weight.
        max: f64,
        /// Whether weights out of bounds become 0.
        drops: bool,
    },
    /// No gradient but that of a divergence in the loss for tokens with `A < 0` in rows whose mean of
    /// `behavior − policy` is above this, and all others as if `behavior` were the policy. They count in means.
    DropsRows {
        /// The bound, ≥ 0.
        threshold: f64,
    },
    /// No gradient but that of a divergence in the loss for tokens whose column `entropies` is below this, and all others
    /// as if none were. They count in means. Of losses of tokens.
    DropsTokens {
        /// The bound.
        min_entropy: f64,
    },
}
