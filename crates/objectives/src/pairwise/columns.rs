//! Side information that more than one method reads, declared once so that data is made for all of them alike.

use crate::{Domain, side::Column};

/// How much better a fixed reward model finds the chosen response, `r(y_w) − r(y_l)`, in the units of that model.
pub const REWARD_GAPS: Column = Column {
    name: "reward_gaps",
    domain: Domain::Real,
    meaning: "the chosen response's reward less the rejected one's, under a fixed reward model",
};

/// The probability that `chosen` is the better response. It is the hook of this name
/// ([`PairBatch::with_label_probs`](super::PairBatch::with_label_probs)), declared by methods that cannot do without it.
pub const LABEL_PROBS: Column = Column {
    name: "label_probs",
    domain: Domain::Unit,
    meaning: "the probability that `chosen` is the better response",
};
