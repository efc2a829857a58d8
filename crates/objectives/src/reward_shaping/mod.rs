//! Rewards on their way from a verifier, a judge or a reward model to a policy gradient.
//!
//! Rewards come to the host one number for each response, so everything here is plain `f64`: slices in, a [`Vec`] of
//! the same length out, no tensors. Start with [`par`] for the scores of a reward model and with [`rubric`] for those
//! of a judge.
//!
//! | module | what it makes of rewards |
//! |---|---|
//! | [`par`] | the probability of beating reference responses |
//! | [`centered`] | differences from reference responses, plain or bounded by tanh or arctan |
//! | [`lsc`] | log-sigmoids about a high reference |
//! | [`sigmoid`] | sigmoids, about 0 |
//! | [`mean_std`], [`min_max`] | rewards in units of what was seen so far |
//! | [`clip`], [`ceiling`] | bounded rewards |
//! | [`length_penalty`], [`overlong`] | less for long responses |
//! | [`rlev`], [`otc`] | correctness, scaled by a question's value or by the tools that were called |
//! | [`rubric`], [`hard_gate`], [`pairwise_rubric`] | verdicts on a list of criteria as one reward |
//! | [`listener`], [`urpo`] | rewards by another copy of the model, or by itself |
//! | [`rapo`], [`gcpo`] | rewards of predicted scores and of a scorer's samples |
//! | [`spo`] | win rates among the samples of one policy |
//! | [`srpo`], [`advantage_preference`] | partial credit, and bonuses on advantages |
//! | [`log_tamed`] | rewards that would drown others they are summed with |
//! | [`constrained`], [`lagrangian`] | several advantages mixed by Lagrange multipliers |
//! | [`dynamic_sampling`] | which groups of rewards tell anything apart |
//!
//! # Missing rewards
//! NaN among rewards means *missing*: the verifier timed out, the judge's answer could not be read. In every function
//! here a missing reward stays NaN and enters no statistic, neither of its group nor a running one; advantage
//! estimators give such a row 0. Infinite rewards are errors. Arguments other than rewards (lengths, weights, targets)
//! must be numbers unless they say otherwise.
//!
//! # State
//! What a shaper has seen so far is a value of the caller's, given as `&mut` to the functions called `running_*` and
//! saved with the model. Beside each of them there is one that only reads it, for evaluation.
//!
//! # Before estimating advantages
//! Dividing by a group's standard deviation (GRPO) undoes whatever scales all rewards of a prompt alike
//! ([`rlev`]). Take an estimator without it where such a scale is meant.

mod values;

pub mod advantage_preference;
pub mod ceiling;
pub mod centered;
pub mod clip;
pub mod constrained;
pub mod dynamic_sampling;
pub mod gcpo;
pub mod hard_gate;
pub mod lagrangian;
pub mod length_penalty;
pub mod listener;
pub mod log_tamed;
pub mod lsc;
pub mod mean_std;
pub mod min_max;
pub mod otc;
pub mod overlong;
pub mod pairwise_rubric;
pub mod par;
pub mod rapo;
pub mod rlev;
pub mod rubric;
pub mod sigmoid;
pub mod spo;
pub mod srpo;
pub mod urpo;
