//! Which of a user's pairs are held out.
//!
//! **Status:** library definition.
//! **Use when:** you evaluate a model of many users. Pairs that were cut from one rating vector or one ranking answer each
//! other by transitivity: split those [`by_item`], or the test asks for what the training said.
//! **Checked by:** no item of a user on both sides, sizes, seeds.
//! **Deviations:** none.

use accordant_ops::check_domain;
use rand::{Rng, seq::SliceRandom};
use serde::{Deserialize, Serialize};

use super::pairs::UserPairs;
use crate::{
    Comparisons, Error, Result,
    error::check_length,
    random::{Purpose, stream},
};

/// Each user's pairs to train on and to test on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Split {
    /// To train on.
    pub train: UserPairs,
    /// To test on, of the same users.
    pub test: UserPairs,
}

impl Split {
    /// Two parts that some other rule made.
    ///
    /// # Errors
    /// [`Error::Length`] naming `users` or `items` unless both are of the same users and items.
    pub fn new(train: UserPairs, test: UserPairs) -> Result<Self> {
        check_length("users", train.num_users(), test.num_users())?;
        check_length("items", train.num_items(), test.num_items())?;
        Ok(Self { train, test })
    }
}

/// Splits by item: a share of the items that a user's pairs name are for testing; test pairs have both items among them,
/// training pairs neither, and the rest is dropped. The default for pairs of one rating vector or ranking.
///
/// `share` of the items, rounded down but at least 2, are for testing, and at most `num_test` and `num_train` pairs are kept
/// of each user, drawn at random.
///
/// # Errors
/// A domain error naming `share` unless it is in (0, 1).
///
/// # Example
/// ```
/// use accordant_preference::plural::{UserPairs, pairs_of_ratings, split::by_item};
/// let mut pairs = UserPairs::new(5);
/// pairs.push(pairs_of_ratings(&[Some(1.0), Some(2.0), Some(3.0), Some(4.0), Some(5.0)])?)?;
/// let split = by_item(&pairs, 0.4, 20, 40, 0)?;
/// assert_eq!(split.test.num_pairs(), 1); // of two items
/// assert_eq!(split.train.num_pairs(), 3); // of the other three
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn by_item(pairs: &UserPairs, share: f64, num_test: usize, num_train: usize, seed: u64) -> Result<Split> {
    check_domain(share > 0.0 && share < 1.0, "share", "in (0, 1)", share)?;
    split(pairs, seed, |judged, rng| {
        let records = judged.records();
        let mut items: Vec<usize> = records.iter().flat_map(|pair| [pair.first, pair.second]).collect();
        items.sort_unstable();
        items.dedup();
        items.shuffle(rng);
        let held = &items[..((share * items.len() as f64) as usize).max(2).min(items.len())];
        let mut rows: Vec<usize> = (0..records.len()).collect();
        rows.shuffle(rng);
        let inside = |row: &usize| [records[*row].first, records[*row].second].map(|item| held.contains(&item));
        let take = |both: bool, most: usize| {
            rows.iter().copied().filter(|row| inside(row) == [both; 2]).take(most).collect::<Vec<usize>>()
        };
        (take(false, num_train), take(true, num_test))
    })
}

/// Splits pairs at random: the first `num_test` for testing, the next `num_train` for training.
///
/// Right for pairs that were judged one by one; of pairs from one rating vector it measures transitivity.
///
/// # Errors
/// None that a caller could cause.
pub fn by_pair(pairs: &UserPairs, num_test: usize, num_train: usize, seed: u64) -> Result<Split> {
    split(pairs, seed, |judged, rng| {
        let mut rows: Vec<usize> = (0..judged.len()).collect();
        rows.shuffle(rng);
        let test = rows.len().min(num_test);
        let train = rows[test..].iter().copied().take(num_train).collect();
        rows.truncate(test);
        (train, rows)
    })
}

fn split<R>(pairs: &UserPairs, seed: u64, mut rule: R) -> Result<Split>
where
    R: FnMut(&Comparisons, &mut rand_chacha::ChaCha8Rng) -> (Vec<usize>, Vec<usize>),
{
    let (mut train, mut test) = (UserPairs::new(pairs.num_items()), UserPairs::new(pairs.num_items()));
    for (user, judged) in pairs.users().iter().enumerate() {
        // A stream for each user: leaving one out changes nothing for the others.
        let mut rng = stream(seed, Purpose::Split, user as u32);
        let (train_rows, test_rows) = rule(judged, &mut rng);
        train.push(judged.select(train_rows)?)?;
        test.push(judged.select(test_rows)?)?;
    }
    Ok(Split { train, test })
}

/// The fold of each of `len` users: `0..folds`, in random order, sizes differing by one at most.
///
/// # Errors
/// A domain error naming `folds` unless it is at least 2; [`Error::Empty`] for fewer users than folds.
pub fn folds(len: usize, folds: usize, seed: u64) -> Result<Vec<usize>> {
    check_domain(folds >= 2, "folds", ">= 2", folds as f64)?;
    if len < folds {
        return Err(Error::Empty { name: "users", reason: "fewer users than folds" });
    }
    let mut of: Vec<usize> = (0..len).map(|user| user % folds).collect();
    let mut rng = stream(seed, Purpose::Split, u32::MAX);
    // Not `shuffle` of slices of the streams above: this one is its own.
    for at in (1..len).rev() {
        of.swap(at, rng.random_range(0..=at));
    }
    Ok(of)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plural::pairs_of_ratings;

    fn pairs() -> UserPairs {
        let mut pairs = UserPairs::new(12);
        for user in 0..6 {
            let ratings: Vec<Option<f64>> =
                (0..12).map(|item| (item % 6 != user).then(|| f64::from((item * 7 + user) % 5))).collect();
            pairs.push(pairs_of_ratings(&ratings).unwrap()).unwrap();
        }
        pairs.push(Comparisons::new(12)).unwrap();
        pairs
    }

    #[test]
    fn pairs_of_one_rating_vector_share_no_item_between_training_and_test() {
        let split = by_item(&pairs(), 0.4, 5, 12, 3).unwrap();
        for (train, test) in split.train.users().iter().zip(split.test.users()) {
            let items = |judged: &Comparisons| -> Vec<usize> {
                judged.records().iter().flat_map(|pair| [pair.first, pair.second]).collect()
            };
            assert!(items(test).iter().all(|item| !items(train).contains(item)));
            assert!(train.len() <= 12 && test.len() <= 5);
            // 4 of 10 items: at most 6 pairs of 4 items, 15 of 6.
            assert!(items(test).len() <= 10);
        }
        assert!(split.train.num_pairs() > 60 && split.test.num_pairs() > 20);
        assert!(split.train.users()[6].is_empty() && split.test.users()[6].is_empty());
        let all = by_item(&pairs(), 0.4, 100, 100, 3).unwrap();
        let mut items: Vec<usize> =
            all.test.users()[0].records().iter().flat_map(|pair| [pair.first, pair.second]).collect();
        items.sort_unstable();
        items.dedup();
        assert_eq!(items.len(), 4, "the share, rounded down");
        let two = by_item(&pairs(), 0.01, 100, 100, 3).unwrap();
        assert!(two.test.users().iter().all(|judged| judged.len() <= 1), "at least two items, and no more");
        assert_eq!(by_item(&pairs(), 0.4, 5, 12, 3).unwrap(), split);
        assert_ne!(by_item(&pairs(), 0.4, 5, 12, 4).unwrap(), split);
    }

    #[test]
    fn a_random_split_of_pairs_shares_none() {
        let split = by_pair(&pairs(), 10, 15, 1).unwrap();
        for (user, (train, test)) in split.train.users().iter().zip(split.test.users()).enumerate().take(6) {
            assert_eq!((train.len(), test.len()), (15, 10), "user {user}");
            assert!(test.records().iter().all(|pair| !train.records().contains(pair)));
        }
        let few = by_pair(&pairs(), 1000, 15, 1).unwrap();
        assert_eq!((few.train.num_pairs(), few.test.num_pairs()), (0, pairs().num_pairs()));
        // Users do not depend on each other.
        let part = by_pair(&pairs().select(0..3).unwrap(), 10, 15, 1).unwrap();
        assert_eq!(part.train.users(), &split.train.users()[..3]);
    }

    #[test]
    fn folds_are_even_and_random() {
        let of = folds(103, 5, 0).unwrap();
        for fold in 0..5 {
            let size = of.iter().filter(|other| **other == fold).count();
            assert!(size == 20 || size == 21);
        }
        assert_ne!(of, (0..103).map(|user| user % 5).collect::<Vec<_>>());
        assert_eq!(folds(103, 5, 0).unwrap(), of);
        assert_ne!(folds(103, 5, 1).unwrap(), of);
        assert!(folds(10, 1, 0).unwrap_err().to_string().starts_with("`folds`: expected >= 2"));
        let mut each = folds(4, 4, 0).unwrap();
        each.sort_unstable();
        assert_eq!(each, [0, 1, 2, 3]);
        assert!(matches!(folds(3, 4, 0), Err(Error::Empty { name: "users", .. })));
    }

    #[test]
    fn parts_of_other_users_or_shares_out_of_range_are_errors() {
        for share in [0.0, 1.0, f64::NAN] {
            assert!(by_item(&pairs(), share, 1, 1, 0).unwrap_err().to_string().starts_with("`share`"));
        }
        assert!(matches!(Split::new(pairs(), UserPairs::new(12)), Err(Error::Length { name: "users", .. })));
        assert!(matches!(Split::new(UserPairs::new(2), UserPairs::new(3)), Err(Error::Length { name: "items", .. })));
        assert_eq!(Split::new(pairs(), pairs()).unwrap().test, pairs());
    }
}
