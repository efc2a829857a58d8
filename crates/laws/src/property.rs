//! What may be claimed of a loss beyond what holds for its whole family.

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
}
