//! Seeded random streams, one for each purpose.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// What a random stream is used for: one seed gives independent streams for each purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Where a fit starts.
    Start,
    /// Which records a bootstrap draws.
    Bootstrap,
    /// The order in which an online method sees its records.
    Order,
    /// What a model's own distribution gives.
    Sample,
    /// A synthetic world.
    World,
    /// Which records are held out.
    Split,
}

/// The random stream of a seed for a purpose; `index` tells streams of one purpose apart.
///
/// # Example
/// ```
/// use accordant_preference::random::{Purpose, stream};
/// use rand::RngCore;
/// let draw = |purpose, index| stream(7, purpose, index).next_u64();
/// assert_eq!(draw(Purpose::Start, 0), draw(Purpose::Start, 0));
/// assert_ne!(draw(Purpose::Start, 0), draw(Purpose::Start, 1));
/// assert_ne!(draw(Purpose::Start, 0), draw(Purpose::Order, 0));
/// ```
pub fn stream(seed: u64, purpose: Purpose, index: u32) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(((purpose as u64 + 1) << 32) | u64::from(index));
    rng
}
