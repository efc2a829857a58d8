//! Tables that several tests fit.

use crate::{Comparisons, Outcome};

/// Four items, published: wins of A, B, C, D over each other, one record a win.
pub(crate) fn four() -> Comparisons {
    let mut judged = Comparisons::new(4);
    let wins = [(0, 1, 2), (1, 0, 3), (0, 3, 1), (3, 0, 4), (1, 2, 5), (2, 1, 3), (2, 3, 1), (3, 2, 3)];
    for (a, b, times) in wins {
        (0..times).for_each(|_| judged.push(a, b, Outcome::First).unwrap());
    }
    judged
}

/// Their Bradley-Terry scores, published.
pub(crate) const FOUR_SCORES: [f64; 4] = [-0.44654524, 0.04240257, -0.41580307, 0.81994573];

/// Five items with ties, published.
pub(crate) fn five() -> Comparisons {
    let mut judged = Comparisons::new(5);
    let (x, y, d) = (Outcome::First, Outcome::Second, Outcome::Tie);
    #[rustfmt::skip]
    let matches = [
        (0, 1, d),
        (0, 2, y),
        (0, 2, d),
        (0, 4, d),
        (1, 0, x),
        (1, 2, d),
        (1, 2, d),
        (1, 3, d),
        (2, 4, d),
        (3, 0, x),
        (3, 1, x),
        (3, 2, x),
        (3, 4, d),
        (3, 4, d),
        (4, 0, x),
        (4, 3, x),
    ];
    matches.iter().for_each(|&(a, b, outcome)| judged.push(a, b, outcome).unwrap());
    judged
}

/// Three items, of which the last met nobody.
pub(crate) fn unconnected() -> Comparisons {
    let mut judged = Comparisons::new(3);
    judged.push_win(0, 1, 1.0).unwrap();
    judged.push_win(1, 0, 2.0).unwrap();
    judged
}

/// A connected table of random counts, a few of them ties.
pub(crate) fn random(num_items: usize, seed: u64) -> Comparisons {
    use crate::random::{Purpose, stream};
    use rand::Rng;
    let mut rng = stream(seed, Purpose::World, 0);
    let mut judged = Comparisons::new(num_items);
    for i in 0..num_items {
        // A cycle connects everything.
        judged.push(i, (i + 1) % num_items, Outcome::First).unwrap();
        for j in 0..num_items {
            if i != j {
                let outcome = [Outcome::First, Outcome::Second, Outcome::Tie][rng.random_range(0..3)];
                judged.push_weighted(i, j, outcome, rng.random_range(0.0..3.0)).unwrap();
            }
        }
    }
    judged
}

#[track_caller]
pub(crate) fn close(got: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(got.len(), expected.len());
    for (got, expected) in got.iter().zip(expected) {
        assert!((got - expected).abs() < tolerance, "{got} is not {expected}");
    }
}
