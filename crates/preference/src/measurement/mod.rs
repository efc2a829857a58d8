//! What preferences and fitted utilities say about whoever has them.
//!
//! | module | what it measures |
//! |---|---|
//! | [`coherence`] | whether preferences behave as those of a utility: decided, transitive, expected utility, acted upon |
//! | [`exchange`] | how much of one good is worth as much as one unit of another |
//! | [`discounting`] | how value falls with delay |

pub mod coherence;
pub mod discounting;
pub mod exchange;
