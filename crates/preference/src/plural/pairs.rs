//! Judged pairs by user, and what a score reads of an item.

use accordant_ops::check_domain;
use serde::{Deserialize, Serialize};

use crate::{
    Comparison, Comparisons, Error, Outcome, Result,
    error::{check_index, check_length, check_record},
};

/// The judged pairs of each user, over the items of one table. Ties count as half a win each way.
///
/// # Example
/// ```
/// use accordant_preference::{Comparisons, Outcome, plural::UserPairs};
/// let mut judged = Comparisons::new(2);
/// judged.push(0, 1, Outcome::First)?;
/// judged.push(0, 1, Outcome::Second)?;
/// judged.push(1, 0, Outcome::First)?;
/// let pairs = UserPairs::from_judges(&judged.with_judges(vec![0, 1, 1])?, 3)?;
/// assert_eq!(pairs.users().iter().map(Comparisons::len).collect::<Vec<_>>(), [1, 2, 0]);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UserPairs {
    num_items: usize,
    users: Vec<Comparisons>,
}

impl UserPairs {
    /// No user yet, and `num_items` items.
    pub fn new(num_items: usize) -> Self {
        Self { num_items, users: Vec::new() }
    }

    /// Adds a user with all that they judged, perhaps nothing; users are numbered in this order.
    ///
    /// # Errors
    /// [`Error::Length`] naming `items` for a table of another size.
    pub fn push(&mut self, judged: Comparisons) -> Result<()> {
        check_length("items", self.num_items, judged.num_items())?;
        self.users.push(judged);
        Ok(())
    }

    /// Comparisons by whoever judged them: `num_users` users, of whom some may have judged nothing.
    ///
    /// # Errors
    /// [`Error::Combination`] when it is not known who judged; [`Error::Index`] naming `judge` for one beyond.
    pub fn from_judges(judged: &Comparisons, num_users: usize) -> Result<Self> {
        let Some(judges) = judged.judges() else {
            return Err(Error::Combination { what: "judges", reason: "nobody said who judged these comparisons" });
        };
        let mut users = vec![Comparisons::new(judged.num_items()); num_users];
        for (row, (record, &judge)) in judged.records().iter().zip(judges).enumerate() {
            check_index(row, "judge", judge, num_users)?;
            let Comparison { first, second, outcome, weight } = *record;
            users[judge].push_weighted(first, second, outcome, weight)?;
        }
        Ok(Self { num_items: judged.num_items(), users })
    }

    /// How many items the table has.
    pub fn num_items(&self) -> usize {
        self.num_items
    }

    /// What each user judged.
    pub fn users(&self) -> &[Comparisons] {
        &self.users
    }

    /// How many users there are.
    pub fn num_users(&self) -> usize {
        self.users.len()
    }

    /// How many pairs there are, all users together.
    pub fn num_pairs(&self) -> usize {
        self.users.iter().map(Comparisons::len).sum()
    }

    /// These users, in this order; a fold's or a bootstrap's.
    ///
    /// # Errors
    /// [`Error::Index`] naming `user`.
    pub fn select(&self, users: impl IntoIterator<Item = usize>) -> Result<Self> {
        let mut part = Self::new(self.num_items);
        for (at, user) in users.into_iter().enumerate() {
            check_index(at, "user", user, self.users.len())?;
            part.users.push(self.users[user].clone());
        }
        Ok(part)
    }

    /// All pairs as if one user had judged them.
    pub fn pooled(&self) -> Comparisons {
        let mut all = Comparisons::new(self.num_items);
        for Comparison { first, second, outcome, weight } in self.users.iter().flat_map(Comparisons::records) {
            all.push_weighted(*first, *second, *outcome, *weight).expect("they were checked when they came");
        }
        all
    }

    /// The pairs of weight > 0, one after the other; users without any say nothing.
    pub(crate) fn terms(&self) -> Vec<Term> {
        self.users.iter().enumerate().flat_map(|(user, judged)| terms(judged, user)).collect()
    }

    /// Checks that there is something to learn from.
    pub(crate) fn check_not_empty(&self) -> Result<()> {
        match self.users.iter().flat_map(Comparisons::records).any(|record| record.weight > 0.0) {
            true => Ok(()),
            false => Err(Error::Empty { name: "pairs", reason: "no pair of weight > 0" }),
        }
    }
}

/// One pair as a fit reads it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Term {
    pub user: usize,
    pub first: usize,
    pub second: usize,
    pub share: f64,
    pub weight: f64,
}

/// One user's pairs of weight > 0.
pub(crate) fn terms(judged: &Comparisons, user: usize) -> impl Iterator<Item = Term> {
    judged.records().iter().filter(|record| record.weight > 0.0).map(move |record| {
        let Comparison { first, second, outcome, weight } = *record;
        Term { user, first, second, share: outcome.share(), weight }
    })
}

/// What scores read of an item.
///
/// A score is linear in it: `θ · e_i`, which of a table is the item's own coefficient.
///
/// # Example
/// ```
/// use accordant_preference::plural::Items;
/// assert_eq!(Items::table(2).scores(&[0.5, 1.0])?, [0.5, 1.0]);
/// let features = Items::features(&[vec![1.0, 2.0], vec![0.0, 1.0], vec![3.0, 0.0]])?;
/// assert_eq!(features.scores(&[10.0, 1.0])?, [12.0, 1.0, 30.0]);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Items(Kind);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Kind {
    /// Nothing but which it is.
    Table(usize),
    /// `[len, dim]` by rows.
    Features { len: usize, dim: usize, values: Vec<f64> },
}

impl Items {
    /// Items of which nothing is known but which they are: each has coefficients of its own.
    pub fn table(len: usize) -> Self {
        Self(Kind::Table(len))
    }

    /// Items known by features, such as their embeddings: one row for each, all of one length.
    ///
    /// # Errors
    /// [`Error::Empty`] without a row or a column, [`Error::Length`] for a row of another length, [`Error::Record`] for a
    /// feature that is not finite.
    pub fn features(rows: &[Vec<f64>]) -> Result<Self> {
        let dim = rows.first().map_or(0, Vec::len);
        if dim == 0 {
            return Err(Error::Empty { name: "features", reason: "no row, or no column" });
        }
        for (row, features) in rows.iter().enumerate() {
            check_length("features", dim, features.len())?;
            for &value in features {
                check_record(value.is_finite(), row, "features", "a finite number", value)?;
            }
        }
        Ok(Self(Kind::Features { len: rows.len(), dim, values: rows.concat() }))
    }

    /// No item yet, each to be known by `dim` features.
    pub(crate) fn no_features(dim: usize) -> Self {
        Self(Kind::Features { len: 0, dim, values: Vec::new() })
    }

    /// Adds an item; its features are checked, and as many as others have.
    pub(crate) fn push(&mut self, features: impl IntoIterator<Item = f64>) {
        match &mut self.0 {
            Kind::Table(len) => *len += 1,
            Kind::Features { len, values, .. } => {
                values.extend(features);
                *len += 1;
            }
        }
    }

    /// How many items there are.
    pub fn len(&self) -> usize {
        match self.0 {
            Kind::Table(len) | Kind::Features { len, .. } => len,
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many coefficients a score has.
    pub fn dim(&self) -> usize {
        match self.0 {
            Kind::Table(len) => len,
            Kind::Features { dim, .. } => dim,
        }
    }

    /// Whether each item has coefficients of its own.
    pub fn is_table(&self) -> bool {
        matches!(self.0, Kind::Table(_))
    }

    /// The features of an item; none of a table's.
    pub(crate) fn row(&self, item: usize) -> Option<&[f64]> {
        match &self.0 {
            Kind::Table(_) => None,
            Kind::Features { dim, values, .. } => Some(&values[item * dim..][..*dim]),
        }
    }

    /// The scores of all items under coefficients `[dim]`.
    ///
    /// # Errors
    /// [`Error::Length`] naming `coefficients`.
    pub fn scores(&self, coefficients: &[f64]) -> Result<Vec<f64>> {
        check_length("coefficients", self.dim(), coefficients.len())?;
        Ok(self.scores_of(coefficients))
    }

    /// [`Items::scores`] of coefficients whose length is right.
    pub(crate) fn scores_of(&self, coefficients: &[f64]) -> Vec<f64> {
        match &self.0 {
            Kind::Table(_) => coefficients.to_vec(),
            Kind::Features { dim, values, .. } => {
                values.chunks_exact(*dim).map(|row| row.iter().zip(coefficients).map(|(x, c)| x * c).sum()).collect()
            }
        }
    }

    /// Adds to a gradient by coefficients what a gradient by scores says.
    pub(crate) fn pull_back(&self, by_score: &[f64], gradient: &mut [f64]) {
        match &self.0 {
            Kind::Table(_) => gradient.iter_mut().zip(by_score).for_each(|(g, s)| *g += s),
            Kind::Features { dim, values, .. } => {
                for (row, slope) in values.chunks_exact(*dim).zip(by_score).filter(|(_, slope)| **slope != 0.0) {
                    gradient.iter_mut().zip(row).for_each(|(g, x)| *g += slope * x);
                }
            }
        }
    }

    /// Checks that pairs are of these items.
    pub(crate) fn check(&self, num_items: usize) -> Result<()> {
        check_length("items", self.len(), num_items)
    }
}

/// How one chooser, or a population, sees the items: by one score for each, or by several scores with a chance for each.
///
/// The two ways to make one number of several are not the same, and both have a name: [`Chooser::first_wins`] averages
/// chances (what a random member of the population chooses), [`Chooser::mean_scores`] averages scores (what a mean member
/// would).
///
/// # Example
/// ```
/// use accordant_preference::plural::Chooser;
/// // Four fifths of a population prefer the first with odds of 9 : 1, one fifth with 1 : 9.
/// let ln9 = 9f64.ln();
/// let population = Chooser::new(vec![0.8, 0.2], vec![vec![ln9, 0.0], vec![0.0, ln9]])?;
/// assert!((population.first_wins(0, 1)? - 0.74).abs() < 1e-12); // 0.8 · 0.9 + 0.2 · 0.1
/// let scores = population.mean_scores();
/// assert!((scores[0] - scores[1] - 0.6 * ln9).abs() < 1e-12);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Chooser {
    weights: Vec<f64>,
    scores: Vec<Vec<f64>>,
}

impl Chooser {
    /// Scores `[K, items]` with the chance of each row.
    ///
    /// # Errors
    /// [`Error::Empty`] without a row, [`Error::Length`] naming `scores`, [`Error::Record`] for a chance below 0 or a score
    /// that is not finite; a domain error naming `weights` unless they add up to 1 within 1e-6.
    pub fn new(weights: Vec<f64>, scores: Vec<Vec<f64>>) -> Result<Self> {
        if weights.is_empty() {
            return Err(Error::Empty { name: "weights", reason: "no component" });
        }
        check_length("scores", weights.len(), scores.len())?;
        for (row, (&weight, values)) in weights.iter().zip(&scores).enumerate() {
            check_record(weight >= 0.0, row, "weights", ">= 0", weight)?;
            check_length("scores", scores[0].len(), values.len())?;
            for &score in values {
                check_record(score.is_finite(), row, "scores", "a finite number", score)?;
            }
        }
        let total: f64 = weights.iter().sum();
        check_domain((total - 1.0).abs() <= 1e-6, "weights", "a sum of 1", total)?;
        Ok(Self { weights, scores })
    }

    /// One score for each item.
    pub(crate) fn one(scores: Vec<f64>) -> Self {
        Self { weights: vec![1.0], scores: vec![scores] }
    }

    /// The chance of each row of scores.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// The rows of scores, `[K, items]`.
    pub fn scores(&self) -> &[Vec<f64>] {
        &self.scores
    }

    /// The mean score of each item: the score marginal.
    pub fn mean_scores(&self) -> Vec<f64> {
        let mut mean = vec![0.0; self.scores[0].len()];
        for (weight, scores) in self.weights.iter().zip(&self.scores) {
            mean.iter_mut().zip(scores).for_each(|(m, s)| *m += weight * s);
        }
        mean
    }

    /// The chance that the first item is preferred: the mean of the chances, the probability marginal.
    ///
    /// # Errors
    /// [`Error::Index`] naming `first` or `second`.
    pub fn first_wins(&self, first: usize, second: usize) -> Result<f64> {
        check_index(0, "first", first, self.scores[0].len())?;
        check_index(0, "second", second, self.scores[0].len())?;
        Ok(self.chance(first, second))
    }

    fn chance(&self, first: usize, second: usize) -> f64 {
        let chance = |scores: &Vec<f64>| accordant_ops::host::logistic(scores[first] - scores[second]);
        self.weights.iter().zip(&self.scores).map(|(weight, scores)| weight * chance(scores)).sum()
    }

    /// How well it foretells judged pairs.
    ///
    /// # Errors
    /// [`Error::Length`] naming `items` for pairs of another table.
    pub fn foretell(&self, judged: &Comparisons) -> Result<Hits> {
        check_length("items", self.scores[0].len(), judged.num_items())?;
        let mut hits = Hits::default();
        for term in terms(judged, 0) {
            let chance = self.chance(term.first, term.second);
            // A chance of one half within rounding, or an even vote, counts as half right.
            let agreement = side(chance) * side(term.share);
            hits.right += term.weight * 0.5 * (1.0 + agreement);
            hits.pairs += term.weight;
            hits.log_likelihood += term.weight * self.log_likelihood(&term);
        }
        Ok(hits)
    }

    fn log_likelihood(&self, term: &Term) -> f64 {
        let log_chance = |first: usize, second: usize| {
            let of = |(weight, scores): (&f64, &Vec<f64>)| {
                weight.ln() + accordant_ops::host::log_sigmoid(scores[first] - scores[second])
            };
            accordant_ops::host::log_sum_exp(&self.weights.iter().zip(&self.scores).map(of).collect::<Vec<_>>())
        };
        // A side without a share may be impossible.
        let part = |share: f64, first, second| if share > 0.0 { share * log_chance(first, second) } else { 0.0 };
        part(term.share, term.first, term.second) + part(1.0 - term.share, term.second, term.first)
    }
}

/// On which side of one half: 1, −1, or 0 within rounding of it.
fn side(chance: f64) -> f64 {
    let lead = chance - 0.5;
    if lead.abs() <= 1e-12 { 0.0 } else { lead.signum() }
}

/// Weighted counts of pairs that were foretold.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Hits {
    /// Pairs whose likelier side was preferred; an even chance or vote counts one half.
    pub right: f64,
    /// All pairs.
    pub pairs: f64,
    /// The log-likelihood of all pairs, in nats.
    pub log_likelihood: f64,
}

impl Hits {
    /// The share that was right; none of no pairs.
    pub fn accuracy(&self) -> Option<f64> {
        (self.pairs > 0.0).then(|| self.right / self.pairs)
    }

    /// Both together.
    pub fn plus(self, other: Self) -> Self {
        Self {
            right: self.right + other.right,
            pairs: self.pairs + other.pairs,
            log_likelihood: self.log_likelihood + other.log_likelihood,
        }
    }
}

/// A fitted model of many choosers.
pub trait Plural: Sync {
    /// How many users it was fitted to.
    fn num_users(&self) -> usize;

    /// How one of these users sees the items.
    ///
    /// # Errors
    /// [`Error::Unknown`] naming `user` for one who was not there: ask for [`Plural::population`], or [`Plural::adapt`].
    fn user(&self, user: usize) -> Result<Chooser>;

    /// How somebody of whom nothing is known sees the items.
    fn population(&self) -> Chooser;

    /// How a new user sees the items, who judged these pairs; what users share stays as it is. No pair gives the
    /// population's view.
    ///
    /// # Errors
    /// [`Error::Length`] naming `items` for pairs of another table.
    fn adapt(&self, judged: &Comparisons) -> Result<Chooser>;
}

/// Checks a user against those of the training.
pub(crate) fn check_user(user: usize, num_users: usize) -> Result<()> {
    if user < num_users { Ok(()) } else { Err(Error::Unknown { name: "user", index: user }) }
}

/// Pairs from one user's ratings: every two items with different ratings, the better one first.
///
/// Pairs of one rating vector are strongly dependent: split them by item ([`super::split::by_item`]).
///
/// # Errors
/// [`Error::Record`] for a rating that is not finite.
///
/// # Example
/// ```
/// use accordant_preference::plural::pairs_of_ratings;
/// let pairs = pairs_of_ratings(&[Some(3.0), None, Some(5.0), Some(3.0)])?;
/// let sides: Vec<_> = pairs.records().iter().map(|pair| (pair.first, pair.second)).collect();
/// assert_eq!(sides, [(2, 0), (2, 3)]);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn pairs_of_ratings(ratings: &[Option<f64>]) -> Result<Comparisons> {
    let mut judged = Comparisons::new(ratings.len());
    for (a, rating) in ratings.iter().enumerate() {
        let Some(rating) = *rating else { continue };
        check_record(rating.is_finite(), a, "rating", "a finite number", rating)?;
        for (b, other) in ratings.iter().enumerate().skip(a + 1) {
            match other {
                Some(other) if rating > *other => judged.push(a, b, Outcome::First)?,
                Some(other) if rating < *other => judged.push(b, a, Outcome::First)?,
                _ => {}
            }
        }
    }
    Ok(judged)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(pairs: &[(usize, usize)]) -> Comparisons {
        let mut judged = Comparisons::new(3);
        pairs.iter().for_each(|&(a, b)| judged.push(a, b, Outcome::First).unwrap());
        judged
    }

    #[test]
    fn pairs_are_kept_by_user_and_pool_in_order() {
        let mut pairs = UserPairs::new(3);
        pairs.push(judged(&[(0, 1), (1, 2)])).unwrap();
        pairs.push(judged(&[])).unwrap();
        pairs.push(judged(&[(2, 0)])).unwrap();
        assert_eq!((pairs.num_users(), pairs.num_pairs(), pairs.num_items()), (3, 3, 3));
        assert_eq!(pairs.pooled(), judged(&[(0, 1), (1, 2), (2, 0)]));
        assert_eq!(pairs.select([2, 2]).unwrap().pooled(), judged(&[(2, 0), (2, 0)]));
        assert!(matches!(pairs.select([3]), Err(Error::Index { name: "user", index: 3, len: 3, .. })));
        assert!(matches!(pairs.push(Comparisons::new(2)), Err(Error::Length { name: "items", expected: 3, got: 2 })));
        let users: Vec<_> = pairs.terms().iter().map(|term| (term.user, term.first)).collect();
        assert_eq!(users, [(0, 0), (0, 1), (2, 2)]);
    }

    #[test]
    fn judges_beyond_the_users_and_unknown_judges_are_errors() {
        let all = judged(&[(0, 1), (1, 2)]);
        assert!(matches!(UserPairs::from_judges(&all, 2), Err(Error::Combination { what: "judges", .. })));
        let all = all.with_judges(vec![1, 2]).unwrap();
        assert!(matches!(UserPairs::from_judges(&all, 2), Err(Error::Index { row: 1, name: "judge", .. })));
        assert_eq!(UserPairs::from_judges(&all, 3).unwrap().users()[2], judged(&[(1, 2)]));
    }

    #[test]
    fn pairs_without_weight_say_nothing() {
        let mut none = Comparisons::new(2);
        none.push_win(0, 1, 0.0).unwrap();
        let mut pairs = UserPairs::new(2);
        pairs.push(none).unwrap();
        assert!(pairs.terms().is_empty());
        assert!(matches!(pairs.check_not_empty(), Err(Error::Empty { name: "pairs", .. })));
    }

    #[test]
    fn features_are_checked_and_gradients_go_back_the_way_scores_came() {
        assert!(matches!(Items::features(&[]), Err(Error::Empty { .. })));
        assert!(matches!(Items::features(&[vec![]]), Err(Error::Empty { .. })));
        let uneven = Items::features(&[vec![1.0], vec![1.0, 2.0]]);
        assert!(matches!(uneven, Err(Error::Length { name: "features", expected: 1, got: 2 })));
        assert!(matches!(Items::features(&[vec![1.0], vec![f64::NAN]]), Err(Error::Record { row: 1, .. })));
        let items = Items::features(&[vec![1.0, 2.0], vec![-1.0, 0.5]]).unwrap();
        assert_eq!((items.len(), items.dim(), items.is_table(), items.is_empty()), (2, 2, false, false));
        assert!(matches!(items.scores(&[1.0]), Err(Error::Length { name: "coefficients", .. })));
        let mut gradient = vec![100.0, 0.0];
        items.pull_back(&[3.0, 10.0], &mut gradient);
        assert_eq!(gradient, [100.0 + 3.0 - 10.0, 6.0 + 5.0]);
        let table = Items::table(2);
        assert_eq!((table.len(), table.dim(), table.is_table()), (2, 2, true));
        table.pull_back(&[1.0, 2.0], &mut gradient);
        assert_eq!(gradient, [94.0, 13.0]);
        assert_eq!((items.row(1), table.row(1)), (Some(&[-1.0, 0.5][..]), None));
        assert_eq!(items.scores(&[10.0, 1.0]).unwrap(), [12.0, -9.5]);
        assert_eq!(table.scores(&[10.0, 1.0]).unwrap(), [10.0, 1.0]);
        assert!(table.check(3).is_err() && Items::table(0).is_empty());
        // Items that are added one by one.
        let (mut table, mut features) = (table, Items::no_features(2));
        table.push([]);
        assert_eq!((table.len(), table.dim()), (3, 3));
        assert!(features.is_empty());
        for row in [[1.0, 2.0], [3.0, 4.0]] {
            features.push(row);
        }
        assert_eq!(features, Items::features(&[vec![1.0, 2.0], vec![3.0, 4.0]]).unwrap());
    }

    #[test]
    fn hits_count_even_chances_and_votes_as_half() {
        let chooser = Chooser::one(vec![1.0, 0.0, 0.0]);
        let mut pairs = Comparisons::new(3);
        pairs.push(0, 1, Outcome::First).unwrap();
        pairs.push(0, 2, Outcome::Second).unwrap();
        pairs.push(1, 2, Outcome::First).unwrap();
        pairs.push_weighted(0, 1, Outcome::Tie, 2.0).unwrap();
        let hits = chooser.foretell(&pairs).unwrap();
        assert_eq!((hits.right, hits.pairs, hits.accuracy()), (2.5, 5.0, Some(0.5)));
        let log = |d: f64| accordant_ops::host::log_sigmoid(d);
        let expected = log(1.0) + log(-1.0) + log(0.0) + log(1.0) + log(-1.0);
        assert!((hits.log_likelihood - expected).abs() < 1e-12);
        let both = hits.plus(Hits { right: 1.0, pairs: 2.0, log_likelihood: -1.0 });
        assert_eq!((both.right, both.pairs, both.log_likelihood), (3.5, 7.0, hits.log_likelihood - 1.0));
        assert_eq!(Hits::default().accuracy(), None);
        assert!(chooser.foretell(&Comparisons::new(2)).is_err());
        // What nobody chose may be impossible for all that it matters: a lead of 1e308 twice.
        let certain = Chooser::one(vec![f64::MAX, -f64::MAX]);
        let mut pair = Comparisons::new(2);
        pair.push(0, 1, Outcome::First).unwrap();
        assert_eq!(certain.foretell(&pair).unwrap().log_likelihood, 0.0);
    }

    #[test]
    fn averaging_scores_and_averaging_chances_differ() {
        let ln9 = 9f64.ln();
        let population = Chooser::new(vec![0.8, 0.2], vec![vec![ln9, 0.0], vec![0.0, ln9]]).unwrap();
        assert!((population.first_wins(0, 1).unwrap() - 0.74).abs() < 1e-14);
        assert!((population.first_wins(1, 0).unwrap() - 0.26).abs() < 1e-14);
        assert_eq!(
            (population.weights(), population.scores()),
            (&[0.8, 0.2][..], &[vec![ln9, 0.0], vec![0.0, ln9]][..])
        );
        let mean = Chooser::one(population.mean_scores());
        assert!((mean.first_wins(0, 1).unwrap() - 0.78890452).abs() < 1e-8);
        let mut pair = Comparisons::new(2);
        pair.push(0, 1, Outcome::Share(0.25)).unwrap();
        let hits = population.foretell(&pair).unwrap();
        assert!((hits.log_likelihood - 0.25 * 0.74f64.ln() - 0.75 * 0.26f64.ln()).abs() < 1e-14);
        assert_eq!(hits.right, 0.0);
    }

    #[test]
    fn a_choosers_weights_and_scores_are_checked() {
        let scores = || vec![vec![0.0, 1.0], vec![1.0, 0.0]];
        let error = |weights: &[f64], scores| Chooser::new(weights.to_vec(), scores).unwrap_err().to_string();
        assert!(error(&[], vec![]).starts_with("`weights`: nothing to learn from"));
        assert!(error(&[0.5, 0.4], scores()).starts_with("`weights`: expected a sum of 1, got 0.9"));
        assert!(error(&[1.5, -0.5], scores()).starts_with("record 1: `weights`: expected >= 0"));
        assert!(error(&[1.0], scores()).starts_with("`scores`: expected 1 entries, got 2"));
        assert!(error(&[0.5, 0.5], vec![vec![0.0], vec![0.0, 1.0]]).starts_with("`scores`: expected 1"));
        assert!(error(&[1.0], vec![vec![f64::NAN]]).starts_with("record 0: `scores`"));
        let chooser = Chooser::new(vec![0.5, 0.5], scores()).unwrap();
        assert!(matches!(chooser.first_wins(2, 0), Err(Error::Index { name: "first", index: 2, len: 2, .. })));
        assert!(matches!(chooser.first_wins(0, 3), Err(Error::Index { name: "second", .. })));
    }

    #[test]
    fn users_are_those_below_their_number() {
        assert!(check_user(0, 2).is_ok() && check_user(1, 2).is_ok());
        assert!(matches!(check_user(2, 2), Err(Error::Unknown { name: "user", index: 2 })));
        assert!(check_user(0, 0).is_err());
    }

    #[test]
    fn equal_and_missing_ratings_make_no_pair() {
        let pairs = pairs_of_ratings(&[Some(1.0), Some(1.0), None, Some(0.0)]).unwrap();
        let sides: Vec<_> = pairs.records().iter().map(|pair| (pair.first, pair.second)).collect();
        assert_eq!(sides, [(0, 3), (1, 3)]);
        let pairs = pairs_of_ratings(&[Some(1.0), Some(2.0), Some(0.0)]).unwrap();
        let sides: Vec<_> = pairs.records().iter().map(|pair| (pair.first, pair.second)).collect();
        assert_eq!(sides, [(1, 0), (0, 2), (1, 2)]);
        assert!(pairs_of_ratings(&[Some(f64::NAN), Some(1.0)]).is_err());
        assert!(pairs_of_ratings(&[Some(1.0), Some(f64::NAN)]).is_err());
    }
}
