//! Supervised and distillation losses: demonstrations to imitate, or a teacher's distributions to match.
//!
//! | module | reads | reduced by |
//! |---|---|---|
//! | [`nll`] | log-probabilities of a demonstration's tokens | an [`Aggregation`] |
//! | [`dft`] | the same | an [`Aggregation`] |
//! | [`gkd`] | logits of a student and a teacher at the same positions | a [`GkdReduction`](gkd::GkdReduction) |
//!
//! Losses are per token, without a reference and without labels, so there is no registry of names here; a loop picks one.
//! The likelihood of chosen responses, a term of preference losses, is [`pairwise::sft`](crate::pairwise::sft).

pub mod dft;
pub mod gkd;
pub mod nll;

pub use accordant_ops::Aggregation;
