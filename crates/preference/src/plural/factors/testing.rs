//! A design and pairs that tests share.

use rand::Rng;

use super::{Design, Form, Users};
use crate::{
    Comparisons, Outcome,
    plural::UserPairs,
    random::{Purpose, stream},
};

/// One of each.
pub(super) const FORMS: [Form; 4] =
    [Form::Dot { scale: 0.7 }, Form::Distance, Form::SquaredDistance, Form::Angle { kappa: 3.0 }];

/// Four users with 0, 3, 6 and 9 pairs.
pub(super) fn pairs(num_items: usize) -> UserPairs {
    let mut rng = stream(5, Purpose::World, 0);
    let mut pairs = UserPairs::new(num_items);
    for user in 0..4 {
        let mut judged = Comparisons::new(num_items);
        for _ in 0..3 * user {
            let first = rng.random_range(0..num_items);
            let second = (first + rng.random_range(1..num_items)) % num_items;
            judged.push_weighted(first, second, Outcome::Share(rng.random()), rng.random_range(0.5..2.0)).unwrap();
        }
        pairs.push(judged).unwrap();
    }
    pairs
}

/// Every prior has a number of its own.
pub(super) fn design(form: Form, users: Users) -> Design {
    Design {
        form,
        users,
        dim: 2,
        common: Some(0.3),
        items: 0.2,
        prototypes: 0.4,
        own: 0.5,
        private: Some(0.6),
        per_user: false,
    }
}
