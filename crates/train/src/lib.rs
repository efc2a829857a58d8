//! Training loops by data flow.
//!
//! | module | what it holds |
//! |---|---|
//! | [`sft`] | supervised fine-tuning on the chosen responses |
//! | [`pairwise`] | any objective on pairs, with the reference's log-probabilities computed once |
//! | [`unpaired`] | any objective on single responses |
//! | [`listwise`] | any objective on lists |
//! | [`reward`] | reward models: any loss of judged pairs |
//! | [`rollout`] | any objective on responses that the policy samples itself, with or without a critic |
//! | [`score`] | log-probabilities of token batches under a model |
//! | [`step`] | one optimizer step from any number of micro-batches |
//! | [`schedule`] | learning rates: warm-up and cosine |
//! | [`record`] | progress bar, metrics log, curves |
//! | [`files`] | files that are there whole or not at all |
//! | [`plot`] | SVG figures (feature `plot`) |
//!
//! A loop takes any model that implements [`accordant_lm::CausalLm`] and knows no method: objectives come from
//! `accordant-objectives`, batches from `accordant-data`. Start with [`pairwise::train_pairs`].
//!
//! | feature | what it adds | default |
//! |---|---|---|
//! | `plot` | [`plot`], with plotters | no |

pub mod columns;
pub mod error;
pub mod files;
pub mod listwise;
pub mod pairwise;
#[cfg(feature = "plot")]
pub mod plot;
pub mod record;
pub mod reward;
pub mod rollout;
pub mod schedule;
pub mod score;
pub mod sft;
pub mod step;
pub mod unpaired;

pub use columns::LogpsColumn;
pub use error::{Error, Result};
pub use listwise::{ListLogpsCache, ListTask, list_logps, train_lists};
pub use pairwise::{PairLogpsCache, PairTask, StepContext, pair_logps, train_pairs};
pub use record::{Observer, Recorder, StepReport};
pub use reward::{RewardTask, train_rewards};
pub use rollout::{Rollout, RolloutConfig, RolloutTask, Scored, train_actor_critic, train_rollouts};
pub use sft::train_sft;
pub use step::TrainConfig;
pub use unpaired::{SingleContext, SingleLogpsCache, SingleTask, single_logps, train_singles};
