//! Laws of fits: what comes of judged pairs, of ranked lists and of the pairs of several users, whatever the method.
//!
//! A subject is a closure from plain records to plain numbers. Tables are drawn from a fixed seed, connected, with ties,
//! votes, weights and records that weigh nothing; the first one that breaks a law is reported with what was expected and
//! what came. Names carry no meaning and sides neither: these laws hold for every fit. The others are claimed.
//!
//! | function | what it tests |
//! |---|---|
//! | [`pair_fit`] | scores from judged pairs |
//! | [`list_fit`] | scores from ranked lists |
//! | [`same_fits`] | that several methods give the same scores |
//! | [`pairs_as_lists`] | that lists of two are judged pairs |
//! | [`best_fit`] | that scores maximize what they are said to maximize |
//! | [`user_fit`] | what is said of each of several users |
//! | [`one_kind`] | that a mixture of one kind sees all users as one |
//! | [`rising`] | that expectation-maximization never goes down |

use std::fmt;

use crate::{compare::same_column, models::Broken, report::Disagreement, runner::Random};

/// Tables for each law.
const CASES: u64 = 6;

/// One judged pair.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judged {
    /// The first item.
    pub first: usize,
    /// The second item.
    pub second: usize,
    /// The share of the first: 1 where it won, 0 where it lost; one half where they tied.
    pub share: f64,
    /// Whether that was called a tie.
    pub tied: bool,
    /// How much it counts.
    pub weight: f64,
}

impl Judged {
    fn swapped(self) -> Self {
        Self { first: self.second, second: self.first, share: 1.0 - self.share, ..self }
    }
}

/// Judged pairs of items `0..num_items`, or ranked lists of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Table<R> {
    /// How many items there are.
    pub num_items: usize,
    /// The records, in order.
    pub records: Vec<R>,
}

/// One ranked list: items, best first, and how much it counts. Items that are not listed were not there.
pub type Ranked = (Vec<usize>, f64);

/// What is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcomes {
    /// Wins alone.
    Wins,
    /// Wins and shares of votes.
    Votes,
    /// Wins, shares of votes and ties.
    All,
}

/// What is claimed of a fit beyond the laws that hold for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// The order of the records does not matter.
    Unordered,
    /// A record of twice the weight is two records, and one of weight 0 is none.
    Weighted,
    /// All weights times the same change nothing: there is no prior.
    Scaled,
    /// Who lost has won: all scores change their signs.
    Reversed,
    /// Scores have sum 0.
    Centered,
}

use Claim::{Centered, Reversed, Scaled, Unordered, Weighted};

fn at(law: &'static str, input: &impl fmt::Debug, result: Result<(), Disagreement>) -> Result<(), Broken> {
    result.map_err(|disagreement| Broken { law, input: format!("{input:?}"), disagreement })
}

/// What a record is made of, for the laws of tables.
trait Record: Clone + fmt::Debug {
    fn renamed(&self, names: &[usize]) -> Self;
    fn times(&self, factor: f64) -> Self;
    /// Who lost has won.
    fn reversed(&self) -> Self;
    fn named(&self, name: usize) -> bool;
}

impl Record for Judged {
    fn renamed(&self, names: &[usize]) -> Self {
        Self { first: names[self.first], second: names[self.second], ..*self }
    }

    fn times(&self, factor: f64) -> Self {
        Self { weight: factor * self.weight, ..*self }
    }

    fn reversed(&self) -> Self {
        Self { share: 1.0 - self.share, ..*self }
    }

    fn named(&self, name: usize) -> bool {
        self.first == name || self.second == name
    }
}

impl Record for Ranked {
    fn renamed(&self, names: &[usize]) -> Self {
        (self.0.iter().map(|item| names[*item]).collect(), self.1)
    }

    fn times(&self, factor: f64) -> Self {
        (self.0.clone(), factor * self.1)
    }

    fn reversed(&self) -> Self {
        (self.0.iter().rev().copied().collect(), self.1)
    }

    fn named(&self, name: usize) -> bool {
        self.0.contains(&name)
    }
}

impl Table<Judged> {
    fn draw(random: &mut Random, outcomes: Outcomes) -> Self {
        let num_items = 2 + random.below(4);
        let mut records = Vec::new();
        for first in 0..num_items {
            // A cycle connects everything.
            let second = (first + 1) % num_items;
            records.push(Judged { first, second, share: 1.0, tied: false, weight: 1.0 });
            for second in (0..num_items).filter(|second| *second != first) {
                let kinds = match outcomes {
                    Outcomes::Wins => 2,
                    Outcomes::Votes => 3,
                    Outcomes::All => 4,
                };
                let (share, tied) = match random.below(kinds) {
                    0 => (1.0, false),
                    1 => (0.0, false),
                    2 => (random.uniform(0.0, 1.0), false),
                    _ => (0.5, true),
                };
                let weight = random.uniform(-0.5, 3.0).max(0.0);
                records.push(Judged { first, second, share, tied, weight });
            }
        }
        Self { num_items, records }
    }
}

impl Table<Ranked> {
    fn draw_lists(random: &mut Random) -> Self {
        let num_items = 3 + random.below(3);
        // A list and its reverse connect everything.
        let all: Vec<usize> = (0..num_items).collect();
        let mut records = vec![(all.clone(), 1.0), (all.into_iter().rev().collect(), 0.5)];
        for _ in 0..6 {
            let mut order = random.permutation(num_items);
            order.truncate(2 + random.below(num_items - 1));
            records.push((order, random.uniform(-0.5, 2.0).max(0.0)));
        }
        Self { num_items, records }
    }
}

impl<R> Table<R> {
    fn of(&self, records: Vec<R>) -> Self {
        Self { num_items: self.num_items, records }
    }

    fn map(&self, change: impl Fn(&R) -> R) -> Self {
        self.of(self.records.iter().map(change).collect())
    }
}

/// Checks scores of the items of a table of judged pairs: other names, other scores' names; which side is called the first
/// does not matter; and what is claimed. `tolerance`: how near the fit comes to what it is after.
///
/// # Errors
/// The first law that does not hold.
///
/// # Example
/// ```
/// use accordant_laws::fits::{Claim, Judged, Outcomes, Table, pair_fit};
/// let net_wins = |table: &Table<Judged>| {
///     let mut scores = vec![0.0; table.num_items];
///     for Judged { first, second, share, weight, .. } in &table.records {
///         scores[*first] += weight * (share - 0.5);
///         scores[*second] -= weight * (share - 0.5);
///     }
///     scores
/// };
/// let claims = [Claim::Unordered, Claim::Weighted, Claim::Reversed, Claim::Centered];
/// pair_fit(Outcomes::All, &claims, 1e-12, net_wins)?;
/// let scaled = pair_fit(Outcomes::All, &[Claim::Scaled], 1e-12, net_wins);
/// assert_eq!(scaled.unwrap_err().law, "only shares of weights count");
/// # Ok::<(), accordant_laws::models::Broken>(())
/// ```
pub fn pair_fit(
    outcomes: Outcomes,
    claims: &[Claim],
    tolerance: f64,
    fit: impl Fn(&Table<Judged>) -> Vec<f64>,
) -> Result<(), Broken> {
    for seed in 0..CASES {
        let mut random = Random::new(seed);
        let table = Table::<Judged>::draw(&mut random, outcomes);
        let scores = fit(&table);
        let swapped = table.map(|record| record.swapped());
        at("sides do not matter", &table, same_column("scores", &scores, &fit(&swapped), tolerance))?;
        // Some of them: a pair and the same pair exchanged are one.
        let some = |record: &Judged| if random.below(2) == 0 { record.swapped() } else { *record };
        let swapped = table.of(table.records.iter().map(some).collect());
        at("no side matters", &table, same_column("scores", &scores, &fit(&swapped), tolerance))?;
        table_laws(claims, &table, &scores, tolerance, &fit, &mut random)?;
    }
    Ok(())
}

/// Checks scores of the items of ranked lists: as [`pair_fit`].
///
/// # Errors
/// The first law that does not hold.
pub fn list_fit(claims: &[Claim], tolerance: f64, fit: impl Fn(&Table<Ranked>) -> Vec<f64>) -> Result<(), Broken> {
    for seed in 0..CASES {
        let mut random = Random::new(seed);
        let table = Table::draw_lists(&mut random);
        let scores = fit(&table);
        table_laws(claims, &table, &scores, tolerance, &fit, &mut random)?;
    }
    Ok(())
}

fn table_laws<R: Record>(
    claims: &[Claim],
    table: &Table<R>,
    scores: &[f64],
    tolerance: f64,
    fit: &impl Fn(&Table<R>) -> Vec<f64>,
    random: &mut Random,
) -> Result<(), Broken> {
    let same = |law, expected: &[f64], got: &[f64]| at(law, table, same_column("scores", expected, got, tolerance));
    let names = random.permutation(table.num_items);
    let renamed = fit(&table.map(|record| record.renamed(&names)));
    let back: Vec<f64> = names.iter().map(|name| renamed[*name]).collect();
    same("names carry no meaning", scores, &back)?;
    for claim in claims {
        match claim {
            Unordered => {
                let order = random.permutation(table.records.len());
                let records = order.into_iter().map(|row| table.records[row].clone()).collect();
                same("the order of the records does not matter", scores, &fit(&table.of(records)))?;
            }
            Weighted => {
                let mut split = table.clone();
                for (record, part) in split.records.iter_mut().step_by(2).zip(table.records.iter().step_by(2)) {
                    *record = part.times(0.25);
                }
                split.records.extend(table.records.iter().step_by(2).map(|record| record.times(0.75)));
                same("weights are counts", scores, &fit(&split))?;
                let silent = table.records.iter().map(|record| record.reversed().times(0.0));
                let padded = table.of(table.records.iter().cloned().chain(silent).collect());
                same("what weighs nothing says nothing", scores, &fit(&padded))?;
            }
            Scaled => same("only shares of weights count", scores, &fit(&table.map(|record| record.times(3.5))))?,
            Reversed => {
                let negated: Vec<f64> = fit(&table.map(R::reversed)).iter().map(|score| -score).collect();
                same("who lost has won", scores, &negated)?;
            }
            Centered => same("scores have sum 0", &[0.0], &[scores.iter().sum()])?,
        }
    }
    // Every item is there, or renaming would be no test.
    assert!((0..table.num_items).all(|item| table.records.iter().any(|record| record.named(item))));
    Ok(())
}

/// A fit by its name.
pub type Named<'a, R> = (&'a str, &'a dyn Fn(&Table<R>) -> Vec<f64>);

/// Checks that all fits of judged pairs give the scores of the first: maximum likelihood by several methods, say.
///
/// # Errors
/// The first fit that does not.
pub fn same_fits(outcomes: Outcomes, tolerance: f64, fits: &[Named<Judged>]) -> Result<(), Broken> {
    for seed in 0..CASES {
        let table = Table::<Judged>::draw(&mut Random::new(seed), outcomes);
        let Some((_, first)) = fits.first() else { return Ok(()) };
        let expected = first(&table);
        for (name, fit) in &fits[1..] {
            at("methods agree", &(name, &table), same_column("scores", &expected, &fit(&table), tolerance))?;
        }
    }
    Ok(())
}

/// Checks that a fit of lists of two items each is a fit of judged pairs.
///
/// # Errors
/// The first table on which they differ.
pub fn pairs_as_lists(
    tolerance: f64,
    pairs: impl Fn(&Table<Judged>) -> Vec<f64>,
    lists: impl Fn(&Table<Ranked>) -> Vec<f64>,
) -> Result<(), Broken> {
    for seed in 0..CASES {
        let table = Table::<Judged>::draw(&mut Random::new(seed), Outcomes::Wins);
        let list = |record: &Judged| {
            let Judged { first, second, share, weight, .. } = *record;
            (if share == 1.0 { vec![first, second] } else { vec![second, first] }, weight)
        };
        let ranked = Table { num_items: table.num_items, records: table.records.iter().map(list).collect() };
        let (expected, got) = (pairs(&table), lists(&ranked));
        at("lists of two are judged pairs", &table, same_column("scores", &expected, &got, tolerance))?;
    }
    Ok(())
}

/// Checks that a fit maximizes an objective: no move of one score, or of all in a random direction, gains more than
/// `tolerance`.
///
/// # Errors
/// The first move that does.
///
/// # Example
/// ```
/// use accordant_laws::fits::{Judged, Outcomes, Table, best_fit};
/// // The mean share of everything, and the sum of squares that it minimizes.
/// let shares = |table: &Table<Judged>| table.records.iter().map(|record| record.share).collect::<Vec<_>>();
/// let mean = |table: &Table<Judged>| {
///     let all = shares(table);
///     vec![all.iter().sum::<f64>() / all.len() as f64]
/// };
/// let value = |table: &Table<Judged>, at: &[f64]| -shares(table).iter().map(|x| (x - at[0]).powi(2)).sum::<f64>();
/// best_fit(Outcomes::All, 1e-12, mean, value)?;
/// let error = best_fit(Outcomes::All, 1e-12, |table| vec![mean(table)[0] + 1e-3], value).unwrap_err();
/// assert_eq!(error.law, "no move gains");
/// # Ok::<(), accordant_laws::models::Broken>(())
/// ```
pub fn best_fit(
    outcomes: Outcomes,
    tolerance: f64,
    fit: impl Fn(&Table<Judged>) -> Vec<f64>,
    objective: impl Fn(&Table<Judged>, &[f64]) -> f64,
) -> Result<(), Broken> {
    for seed in 0..CASES {
        let mut random = Random::new(seed);
        let table = Table::<Judged>::draw(&mut random, outcomes);
        let scores = fit(&table);
        let best = objective(&table, &scores);
        let n = scores.len();
        let alone = |item: usize, by: f64| (0..n).map(|at| if at == item { by } else { 0.0 }).collect::<Vec<_>>();
        let mut moves: Vec<Vec<f64>> = Vec::new();
        for step in [1e-4, 1e-2, 0.5] {
            (0..n).for_each(|item| moves.extend([alone(item, step), alone(item, -step)]));
            moves.push((0..n).map(|_| random.uniform(-step, step)).collect());
        }
        for by in moves {
            let moved: Vec<f64> = scores.iter().zip(&by).map(|(score, by)| score + by).collect();
            let value = objective(&table, &moved);
            let worse = || Disagreement::new(format!("at most {best}"), format!("{value}, moved by {by:?}"));
            at("no move gains", &table, (value <= best + tolerance).then_some(()).ok_or_else(worse))?;
        }
    }
    Ok(())
}

/// The judged pairs of several users.
#[derive(Debug, Clone, PartialEq)]
pub struct Users {
    /// How many items there are.
    pub num_items: usize,
    /// The pairs of each user.
    pub users: Vec<Vec<Judged>>,
}

impl Users {
    /// Users of two kinds who order the items the opposite ways, and judge each pair a few times, now and then wrongly.
    fn draw(random: &mut Random) -> Self {
        let (num_items, num_users) = (3 + random.below(2), 5 + random.below(4));
        let place = random.permutation(num_items);
        let user = |user: usize, random: &mut Random| {
            let mut records = Vec::new();
            for first in 0..num_items {
                for second in (0..num_items).filter(|second| *second != first) {
                    let wins = (place[first] < place[second]) != user.is_multiple_of(3);
                    let share = if wins { random.uniform(0.8, 1.0) } else { random.uniform(0.0, 0.2) };
                    records.push(Judged { first, second, share, tied: false, weight: random.uniform(1.0, 3.0) });
                }
            }
            records
        };
        Self { num_items, users: (0..num_users).map(|at| user(at, random)).collect() }
    }

    /// All pairs as one table.
    fn pooled(&self) -> Table<Judged> {
        Table { num_items: self.num_items, records: self.users.concat() }
    }

    fn map(&self, change: impl Fn(&Judged) -> Judged) -> Self {
        let users = self.users.iter().map(|user| user.iter().map(&change).collect()).collect();
        Self { num_items: self.num_items, users }
    }
}

/// What is claimed of a fit to several users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserClaim {
    /// Users in another order: what is said of them is in that order.
    UsersPermuted,
    /// Items with other names: their scores have these names.
    ItemsRenamed,
}

/// Checks the scores of the items, one row for each user: which side is called the first does not matter, and what is
/// claimed. The users are of two kinds that are easy to tell apart.
///
/// # Errors
/// The first law that does not hold.
pub fn user_fit(claims: &[UserClaim], tolerance: f64, fit: impl Fn(&Users) -> Vec<Vec<f64>>) -> Result<(), Broken> {
    for seed in 0..CASES {
        let mut random = Random::new(seed);
        let users = Users::draw(&mut random);
        let rows = fit(&users);
        let same = |law, expected: &[Vec<f64>], got: &[Vec<f64>]| {
            at(law, &users, same_column("scores", &expected.concat(), &got.concat(), tolerance))
        };
        same("sides do not matter", &rows, &fit(&users.map(|record| record.swapped())))?;
        for claim in claims {
            match claim {
                UserClaim::UsersPermuted => {
                    let order = random.permutation(users.users.len());
                    let select = |rows: &[Vec<f64>]| order.iter().map(|at| rows[*at].clone()).collect::<Vec<_>>();
                    let permuted = order.iter().map(|at| users.users[*at].clone()).collect();
                    let got = fit(&Users { num_items: users.num_items, users: permuted });
                    same("users in another order", &select(&rows), &got)?;
                }
                UserClaim::ItemsRenamed => {
                    let names = random.permutation(users.num_items);
                    let renamed = fit(&users.map(|record| record.renamed(&names)));
                    let back: Vec<Vec<f64>> =
                        renamed.iter().map(|row| names.iter().map(|name| row[*name]).collect()).collect();
                    same("names carry no meaning", &rows, &back)?;
                }
            }
        }
    }
    Ok(())
}

/// Checks that a mixture of one kind gives every user the scores that a fit to all pairs as one table gives.
///
/// # Errors
/// The first users for whom it does not.
pub fn one_kind(
    tolerance: f64,
    mixture: impl Fn(&Users) -> Vec<Vec<f64>>,
    single: impl Fn(&Table<Judged>) -> Vec<f64>,
) -> Result<(), Broken> {
    for seed in 0..CASES {
        let users = Users::draw(&mut Random::new(seed));
        let expected = single(&users.pooled());
        for row in mixture(&users) {
            at("one kind is one table", &users, same_column("scores", &expected, &row, tolerance))?;
        }
    }
    Ok(())
}

/// Checks that no round of expectation-maximization lowers its value by more than `tolerance`, relative to the value, and
/// that there was more than one. `trace` gets users and a seed, and gives the value after each round.
///
/// # Errors
/// The first trace that goes down.
///
/// # Example
/// ```
/// use accordant_laws::fits::rising;
/// rising(1e-12, |_, _| vec![-3.0, -2.0, -2.0])?;
/// assert_eq!(rising(1e-12, |_, _| vec![-3.0, -2.0, -2.1]).unwrap_err().law, "the value never goes down");
/// # Ok::<(), accordant_laws::models::Broken>(())
/// ```
pub fn rising(tolerance: f64, trace: impl Fn(&Users, u64) -> Vec<f64>) -> Result<(), Broken> {
    for seed in 0..CASES {
        let users = Users::draw(&mut Random::new(seed));
        let values = trace(&users, seed);
        let up = |pair: &[f64]| pair[1] >= pair[0] - tolerance * pair[0].abs();
        let fallen = || Disagreement::new("two rounds or more, none of them down", format!("{values:?}"));
        let rises = values.len() > 1 && values.windows(2).all(up);
        at("the value never goes down", &users, rises.then_some(()).ok_or_else(fallen))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A mistake that a law must report.
    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Mistake {
        None,
        /// The first side has an advantage.
        Side,
        /// The first item has one.
        Name,
        /// The last record counts more.
        Order,
        /// Weights are not read.
        Unweighted,
        /// Records are counted that weigh nothing.
        Silent,
        /// A prior that knows no shares of weights.
        Prior,
        /// Who is first of a list counts, and who is last does not.
        FirstOnly,
        /// The level is off.
        Level,
    }

    /// Net wins, divided by all weight: an honest fit of one line.
    fn net(mistake: Mistake) -> impl Fn(&Table<Judged>) -> Vec<f64> {
        move |table| {
            let mut scores = vec![0.0; table.num_items];
            let mut total = 0.0;
            for (row, record) in table.records.iter().enumerate() {
                let mut weight = if mistake == Mistake::Unweighted { 1.0 } else { record.weight };
                weight += if mistake == Mistake::Silent && record.weight == 0.0 { 0.1 } else { 0.0 };
                weight *= if mistake == Mistake::Order && row + 1 == table.records.len() { 2.0 } else { 1.0 };
                let lead = record.share - 0.5 + if mistake == Mistake::Side { 1e-6 } else { 0.0 };
                scores[record.first] += weight * lead;
                scores[record.second] -= weight * lead;
                total += weight;
            }
            total += if mistake == Mistake::Prior { 1.0 } else { 0.0 };
            scores.iter_mut().for_each(|score| *score /= total);
            scores[0] += if mistake == Mistake::Name { 1e-6 } else { 0.0 };
            scores.iter_mut().for_each(|score| *score += if mistake == Mistake::Level { 1e-6 } else { 0.0 });
            scores
        }
    }

    const ALL: [Claim; 5] = [Unordered, Weighted, Scaled, Reversed, Centered];

    #[test]
    fn planted_mistakes_in_a_fit_of_pairs_are_reported() {
        for outcomes in [Outcomes::Wins, Outcomes::Votes, Outcomes::All] {
            pair_fit(outcomes, &ALL, 1e-12, net(Mistake::None)).unwrap();
        }
        for (mistake, law) in [
            (Mistake::Side, "sides do not matter"),
            (Mistake::Name, "names carry no meaning"),
            (Mistake::Order, "the order of the records does not matter"),
            (Mistake::Unweighted, "weights are counts"),
            // Its halves weigh nothing, too, and are counted twice.
            (Mistake::Silent, "weights are counts"),
            (Mistake::Prior, "only shares of weights count"),
            (Mistake::Level, "who lost has won"),
        ] {
            let error = pair_fit(Outcomes::All, &ALL, 1e-12, net(mistake)).unwrap_err();
            assert_eq!(error.law, law, "{mistake:?}");
        }
        let level = pair_fit(Outcomes::Wins, &[Centered], 1e-12, net(Mistake::Level)).unwrap_err();
        assert_eq!(level.law, "scores have sum 0");
    }

    #[test]
    fn pairs_that_are_kept_apart_by_their_first_side_are_reported() {
        // The mean of the means of what was said in either order.
        let by_order = |table: &Table<Judged>| {
            let mut scores = vec![0.0; table.num_items];
            for (first, second) in (0..table.num_items).flat_map(|i| (0..table.num_items).map(move |j| (i, j))) {
                let own = table.records.iter().filter(|record| (record.first, record.second) == (first, second));
                let (total, sum) = own.fold((0.0, 0.0), |(total, sum), record| {
                    (total + record.weight, sum + record.weight * (record.share - 0.5))
                });
                let mean = if total > 0.0 { sum / total } else { 0.0 };
                scores[first] += mean;
                scores[second] -= mean;
            }
            scores
        };
        assert_eq!(pair_fit(Outcomes::All, &ALL, 1e-12, by_order).unwrap_err().law, "no side matters");
    }

    #[test]
    fn what_weighs_nothing_is_added_to_what_does() {
        // Only added records are told apart: none of the table itself weighs nothing.
        let fit = |table: &Table<Judged>| {
            let silent = table.records.iter().filter(|record| record.weight == 0.0).count();
            let own = 2 * silent >= table.records.len();
            vec![if own { 1.0 } else { 0.0 }; table.num_items]
        };
        assert_eq!(
            pair_fit(Outcomes::All, &[Weighted], 1e-12, fit).unwrap_err().law,
            "what weighs nothing says nothing"
        );
    }

    /// Net wins of all pairs that the lists order.
    fn net_lists(mistake: Mistake) -> impl Fn(&Table<Ranked>) -> Vec<f64> {
        move |table| {
            let mut records = Vec::new();
            for (order, weight) in &table.records {
                let places = if mistake == Mistake::FirstOnly { 1 } else { order.len() };
                for (place, &first) in order.iter().enumerate().take(places) {
                    let of = |&second| Judged { first, second, share: 1.0, tied: false, weight: *weight };
                    records.extend(order[place + 1..].iter().map(of));
                }
            }
            net(mistake)(&Table { num_items: table.num_items, records })
        }
    }

    #[test]
    fn planted_mistakes_in_a_fit_of_lists_are_reported() {
        list_fit(&ALL, 1e-12, net_lists(Mistake::None)).unwrap();
        for (mistake, law) in [
            (Mistake::Name, "names carry no meaning"),
            (Mistake::Unweighted, "weights are counts"),
            (Mistake::Prior, "only shares of weights count"),
            (Mistake::FirstOnly, "who lost has won"),
        ] {
            assert_eq!(list_fit(&ALL, 1e-12, net_lists(mistake)).unwrap_err().law, law, "{mistake:?}");
        }
        pairs_as_lists(1e-12, net(Mistake::None), net_lists(Mistake::None)).unwrap();
        let error = pairs_as_lists(1e-12, net(Mistake::None), net_lists(Mistake::Prior)).unwrap_err();
        assert_eq!(error.law, "lists of two are judged pairs");
    }

    #[test]
    fn methods_that_differ_and_fits_that_are_not_best_are_reported() {
        let (right, wrong) = (net(Mistake::None), net(Mistake::Name));
        same_fits(Outcomes::All, 1e-12, &[("right", &right), ("again", &right)]).unwrap();
        let error = same_fits(Outcomes::All, 1e-12, &[("right", &right), ("wrong", &wrong)]).unwrap_err();
        assert_eq!(error.law, "methods agree");
        assert!(error.input.starts_with("(\"wrong\""), "{}", error.input);
        // Net shares are the minimum of a square around them.
        let value = |table: &Table<Judged>, at: &[f64]| {
            -net(Mistake::None)(table).iter().zip(at).map(|(a, b)| (a - b).powi(2)).sum::<f64>()
        };
        best_fit(Outcomes::Votes, 0.0, &right, value).unwrap();
        let worse = best_fit(Outcomes::Votes, 0.0, |table| right(table).iter().map(|x| x + 0.2).collect(), value);
        assert_eq!(worse.unwrap_err().law, "no move gains");
    }

    /// The net wins of each user, beside those of all.
    fn of_users(mistake: Mistake) -> impl Fn(&Users) -> Vec<Vec<f64>> {
        move |users| {
            let row = |(at, user): (usize, &Vec<Judged>)| {
                let own = Table { num_items: users.num_items, records: user.clone() };
                let mut row = net(mistake)(&own);
                row.iter_mut().for_each(|x| *x += if mistake == Mistake::Order { 1e-6 * at as f64 } else { 0.0 });
                row
            };
            users.users.iter().enumerate().map(row).collect()
        }
    }

    #[test]
    fn planted_mistakes_in_a_fit_of_users_are_reported() {
        let claims = [UserClaim::UsersPermuted, UserClaim::ItemsRenamed];
        user_fit(&claims, 1e-12, of_users(Mistake::None)).unwrap();
        for (mistake, law) in [
            (Mistake::Side, "sides do not matter"),
            (Mistake::Order, "users in another order"),
            (Mistake::Name, "names carry no meaning"),
        ] {
            assert_eq!(user_fit(&claims, 1e-12, of_users(mistake)).unwrap_err().law, law, "{mistake:?}");
        }
        let everybody = |users: &Users| vec![net(Mistake::None)(&users.pooled()); users.users.len()];
        one_kind(1e-12, everybody, net(Mistake::None)).unwrap();
        let apart = one_kind(1e-12, of_users(Mistake::None), net(Mistake::None)).unwrap_err();
        assert_eq!(apart.law, "one kind is one table");
    }

    #[test]
    fn a_trace_of_one_round_shows_nothing_and_rounding_is_forgiven() {
        assert_eq!(rising(1e-12, |_, _| vec![-1.0]).unwrap_err().law, "the value never goes down");
        rising(1e-12, |_, _| vec![-100.0, -100.0 - 5e-11]).unwrap();
        rising(1e-12, |_, _| vec![-100.0, -100.0 - 5e-10]).unwrap_err();
    }

    #[test]
    fn tables_are_connected_and_have_all_that_is_asked_for() {
        let all: Vec<Judged> =
            (0..CASES).flat_map(|seed| Table::<Judged>::draw(&mut Random::new(seed), Outcomes::All).records).collect();
        assert!(all.iter().any(|r| r.tied) && all.iter().any(|r| r.weight == 0.0));
        assert!(all.iter().any(|r| !r.tied && r.share > 0.0 && r.share < 1.0));
        let wins = Table::<Judged>::draw(&mut Random::new(3), Outcomes::Wins);
        assert!(wins.records.iter().all(|r| r.share == 0.0 || r.share == 1.0));
        let lists = Table::draw_lists(&mut Random::new(1));
        assert!(lists.records.iter().all(|(order, _)| (2..=lists.num_items).contains(&order.len())));
    }
}
