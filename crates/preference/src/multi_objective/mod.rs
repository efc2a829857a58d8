//! Rewards of several attributes or features: heads and gates, weights that say why, hierarchies of criteria, constraints.
//!
//! | module | what it models |
//! |---|---|
//! | [`linear_reward`] | a reward linear in features, of any number of them: **start here** |
//! | [`domains`] | the same with a part for each domain, or group of people, on top of a shared one |
//! | [`compositional`] | a few scores of each response, weighed by pairs; rubrics |
//! | [`attribute_regression`] | rated attributes: masked squared errors, exact ridge heads, weighted sums |
//! | [`attribute_ranges`] | how far the ratings of each reach, and values on one scale |
//! | [`verbosity`] | attributes less what they share with verbosity |
//! | [`gating`] | attributes weighed by what the prompt asks for |
//! | [`hierarchy`] | labels by the most important factor that differs |
//! | [`constraints`] | rewards held within limits, and policies that reach given values |
//! | [`relevance`] | relevance without a reward for length and repetition |
//! | [`routing`] | which pairs people should label |
//!
//! and what they share:
//!
//! | module | what is there |
//! |---|---|
//! | [`bag_of_words`] | which words a text has, as features |
//! | [`differences`] | judged pairs as sparse differences of features |
//! | [`proximal`] | a minimizer of sums with absolute values |
//! | [`text_world`] | seeded texts that are judged by groups who disagree |

pub mod attribute_ranges;
pub mod attribute_regression;
pub mod bag_of_words;
pub mod compositional;
pub mod constraints;
pub mod differences;
pub mod domains;
pub mod gating;
pub mod hierarchy;
pub mod linear_reward;
pub mod proximal;
pub mod relevance;
pub mod routing;
pub mod text_world;
pub mod verbosity;

pub use bag_of_words::BagOfWordsConfig;
pub use differences::Differences;
pub use domains::DomainRewardConfig;
pub use linear_reward::{LinearReward, LinearRewardConfig, Penalty};
