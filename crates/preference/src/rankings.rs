//! Ranked lists of the items of a table: full, partial, of some of the items only, with tied places.

use serde::{Deserialize, Serialize};

use crate::{
    Comparisons, Error, Outcome, Result,
    error::{check_index, check_length, check_record, check_weight},
    ranking::choices::{Choices, Totals},
};

/// What a list says of the items that it does not name. There is no default: the two differ in every number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unlisted {
    /// They were there and come after all that are listed, in no order: the best few of all.
    Below,
    /// They were not there: a ranking of some of the items.
    Absent,
}

/// What items at the same place mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum TiedPlaces {
    /// Each is chosen from the same items, all of its place among them (Breslow).
    #[default]
    Breslow,
    /// As Breslow's, with those of the place left in by shares as they are chosen (Efron).
    Efron,
    /// The mean of the log-probability over all orders of the place, which has at most [`MOST_TIED`] items.
    Split,
}

/// How many items may share a place under [`TiedPlaces::Split`].
pub const MOST_TIED: usize = 12;

/// A ranked list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RankedList {
    groups: Vec<Vec<usize>>,
    below: Vec<usize>,
    weight: f64,
}

/// A choice among items, with the logarithm of the total of their strengths.
///
/// The log-probability of a list is the sum over its stages of `Σ score of winners − times · ln Σ coefficient · exp(score)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// Who was chosen; a stage of [`TiedPlaces::Efron`] or [`TiedPlaces::Split`] may name nobody, when another one of
    /// the same place does.
    pub winners: Vec<usize>,
    /// Among whom, ascending, each with the coefficient of its strength, 1 but for [`TiedPlaces::Efron`].
    pub risk: Vec<(usize, f64)>,
    /// How often.
    pub times: f64,
}

impl RankedList {
    /// The places, best first, each with its items.
    pub fn groups(&self) -> &[Vec<usize>] {
        &self.groups
    }

    /// Items below all places, in no order.
    pub fn below(&self) -> &[usize] {
        &self.below
    }

    /// How often it was given, or how much it counts.
    pub fn weight(&self) -> f64 {
        self.weight
    }

    /// The choices that the list is made of; choices among one item are left out, as they are certain.
    ///
    /// # Errors
    /// [`Error::Combination`] for a place of more than [`MOST_TIED`] items to be split.
    pub fn stages(&self, ties: TiedPlaces) -> Result<Vec<Stage>> {
        let mut left: Vec<usize> = self.groups.iter().flatten().chain(&self.below).copied().collect();
        left.sort_unstable();
        let mut stages = Vec::new();
        for group in &self.groups {
            if left.len() > 1 {
                tied_stages(group, &left, ties, &mut stages)?;
            }
            left.retain(|item| !group.contains(item));
        }
        Ok(stages)
    }
}

/// The stages of one place.
fn tied_stages(group: &[usize], left: &[usize], ties: TiedPlaces, stages: &mut Vec<Stage>) -> Result<()> {
    let size = group.len();
    let plain = || left.iter().map(|&item| (item, 1.0)).collect();
    match ties {
        _ if size == 1 => stages.push(Stage { winners: group.to_vec(), risk: plain(), times: 1.0 }),
        TiedPlaces::Breslow => stages.push(Stage { winners: group.to_vec(), risk: plain(), times: size as f64 }),
        TiedPlaces::Efron => {
            for chosen in 0..size {
                let share = 1.0 - chosen as f64 / size as f64;
                let coefficient = |item: &usize| if group.contains(item) { share } else { 1.0 };
                let risk = left.iter().map(|item| (*item, coefficient(item))).collect();
                let winners = if chosen == 0 { group.to_vec() } else { Vec::new() };
                stages.push(Stage { winners, risk, times: 1.0 });
            }
        }
        TiedPlaces::Split if size > MOST_TIED => {
            return Err(Error::Combination { what: "tied places", reason: "too many items to split a place" });
        }
        TiedPlaces::Split => {
            // A set of `k` of the place's items has been chosen first in k! (size - k)! of the size! orders.
            let factorial = |n: usize| (1..=n).map(|i| i as f64).product::<f64>();
            for chosen in 0..(1usize << size) - 1 {
                let k = chosen.count_ones() as usize;
                let gone = |item: &usize| (0..size).any(|at| chosen >> at & 1 == 1 && group[at] == *item);
                let risk: Vec<_> = left.iter().filter(|item| !gone(item)).map(|&item| (item, 1.0)).collect();
                let times = factorial(k) * factorial(size - k) / factorial(size);
                let winners = if chosen == 0 { group.to_vec() } else { Vec::new() };
                stages.push(Stage { winners, risk, times });
            }
        }
    }
    Ok(())
}

/// Ranked lists of items `0..num_items`.
///
/// # Example
/// ```
/// use accordant_preference::{Rankings, rankings::Unlisted};
/// let mut lists = Rankings::new(4);
/// lists.push(&[2, 0], Unlisted::Absent)?; // 2 before 0; 1 and 3 were not there
/// lists.push(&[1, 3], Unlisted::Below)?; // 1, then 3, then 0 and 2
/// let wins = lists.pairs()?.wins();
/// assert_eq!((wins.wins(2, 0), wins.wins(1, 0), wins.wins(0, 2)), (1.0, 1.0, 0.0));
/// let error = lists.push(&[1, 1], Unlisted::Absent).unwrap_err();
/// assert_eq!(error.to_string(), "record 2: item 1 twice");
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Rankings {
    num_items: usize,
    lists: Vec<RankedList>,
}

impl Rankings {
    /// No list of `num_items` items yet.
    pub fn new(num_items: usize) -> Self {
        Self { num_items, lists: Vec::new() }
    }

    /// Adds a list without tied places, best first, of weight 1.
    ///
    /// # Errors
    /// As [`Rankings::push_groups`].
    pub fn push(&mut self, order: &[usize], unlisted: Unlisted) -> Result<()> {
        let groups: Vec<Vec<usize>> = order.iter().map(|&item| vec![item]).collect();
        self.push_groups(&groups, unlisted, 1.0)
    }

    /// Adds a list of places, best first.
    ///
    /// # Errors
    /// [`Error::Empty`] for a list without a place or a place without an item, [`Error::Index`] for an item outside of
    /// the table, [`Error::Repeated`] for an item that occurs twice, [`Error::Record`] for a weight outside of
    /// [0, 1e100].
    pub fn push_groups(&mut self, groups: &[Vec<usize>], unlisted: Unlisted, weight: f64) -> Result<()> {
        self.check_groups(groups)?;
        let listed: Vec<usize> = groups.iter().flatten().copied().collect();
        let below = match unlisted {
            Unlisted::Below => (0..self.num_items).filter(|item| !listed.contains(item)).collect(),
            Unlisted::Absent => Vec::new(),
        };
        self.add(groups.to_vec(), below, weight)
    }

    /// Adds the choice of one item over others.
    ///
    /// # Errors
    /// As [`Rankings::push_groups`]; no others are an error, too.
    pub fn push_choice(&mut self, chosen: usize, others: &[usize], weight: f64) -> Result<()> {
        self.check_groups(&[vec![chosen], others.to_vec()])?;
        self.add(vec![vec![chosen]], others.to_vec(), weight)
    }

    fn check_groups(&self, groups: &[Vec<usize>]) -> Result<()> {
        let row = self.lists.len();
        if groups.is_empty() || groups.iter().any(Vec::is_empty) {
            return Err(Error::Empty { name: "ranked list", reason: "a list, or a place of it, has no item" });
        }
        let mut seen = vec![false; self.num_items];
        for &item in groups.iter().flatten() {
            check_index(row, "item", item, self.num_items)?;
            if std::mem::replace(&mut seen[item], true) {
                return Err(Error::Repeated { row, item });
            }
        }
        Ok(())
    }

    fn add(&mut self, groups: Vec<Vec<usize>>, below: Vec<usize>, weight: f64) -> Result<()> {
        let row = self.lists.len();
        check_weight(row, "weight", weight)?;
        self.lists.push(RankedList { groups, below, weight });
        Ok(())
    }

    /// How many items the table has.
    pub fn num_items(&self) -> usize {
        self.num_items
    }

    /// The lists, in order.
    pub fn lists(&self) -> &[RankedList] {
        &self.lists
    }

    /// How many lists there are.
    pub fn len(&self) -> usize {
        self.lists.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }

    /// Items that no list of a weight compares with another.
    pub fn unobserved(&self) -> Vec<usize> {
        let mut seen = vec![false; self.num_items];
        for list in self.lists.iter().filter(|list| list.weight > 0.0) {
            let items: Vec<_> = list.groups.iter().flatten().chain(&list.below).collect();
            if items.len() > 1 {
                items.into_iter().for_each(|&item| seen[item] = true);
            }
        }
        (0..self.num_items).filter(|&item| !seen[item]).collect()
    }

    /// The lists at these places; a fold's.
    ///
    /// # Errors
    /// [`Error::Index`] for a place that is not there.
    pub fn select(&self, rows: impl IntoIterator<Item = usize>) -> Result<Self> {
        let mut part = Self::new(self.num_items);
        for (at, row) in rows.into_iter().enumerate() {
            check_index(at, "row", row, self.lists.len())?;
            part.lists.push(self.lists[row].clone());
        }
        Ok(part)
    }

    /// The same lists with their weights multiplied by `factors`: a component's, or a bootstrap's.
    ///
    /// # Errors
    /// [`Error::Length`] naming `factors`, [`Error::Record`] for one that is not finite and ≥ 0, or a
    /// product beyond 1e100.
    pub fn reweighted(&self, factors: &[f64]) -> Result<Self> {
        check_length("factors", self.lists.len(), factors.len())?;
        let mut lists = self.lists.clone();
        for (row, (list, &factor)) in lists.iter_mut().zip(factors).enumerate() {
            check_record(factor.is_finite() && factor >= 0.0, row, "factors", "finite and >= 0", factor)?;
            list.weight *= factor;
            check_weight(row, "weight", list.weight)?;
        }
        Ok(Self { num_items: self.num_items, lists })
    }

    /// Every pair that the lists order, tied pairs as ties. To fit these is consistent, and less efficient than to fit the
    /// lists.
    ///
    /// # Errors
    /// None: the lists have been checked.
    pub fn pairs(&self) -> Result<Comparisons> {
        let mut pairs = Comparisons::new(self.num_items);
        for list in &self.lists {
            for (at, group) in list.groups.iter().enumerate() {
                for (within, &item) in group.iter().enumerate() {
                    for &other in &group[within + 1..] {
                        pairs.push_weighted(item, other, Outcome::Tie, list.weight)?;
                    }
                    for &other in list.groups[at + 1..].iter().flatten().chain(&list.below) {
                        pairs.push_weighted(item, other, Outcome::First, list.weight)?;
                    }
                }
            }
        }
        Ok(pairs)
    }

    /// All choices among the same items together.
    pub(crate) fn totals(&self, ties: TiedPlaces) -> Result<Totals> {
        let weights: Vec<f64> = self.lists.iter().map(RankedList::weight).collect();
        Ok(Choices::of(self.num_items, &self.lists, ties)?.totals(&weights))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(stage: &Stage) -> Vec<usize> {
        stage.risk.iter().map(|(item, _)| *item).collect()
    }

    #[test]
    fn a_list_is_a_sequence_of_choices() {
        let mut lists = Rankings::new(4);
        lists.push(&[2, 0], Unlisted::Absent).unwrap();
        lists.push(&[2, 0], Unlisted::Below).unwrap();
        lists.push_choice(3, &[1, 0], 2.0).unwrap();
        lists.push(&[1], Unlisted::Absent).unwrap();
        let stages = |at: usize| -> Vec<_> {
            let stages = lists.lists()[at].stages(TiedPlaces::Breslow).unwrap();
            stages.iter().map(|stage| (stage.winners.clone(), items(stage), stage.times)).collect()
        };
        assert_eq!(stages(0), [(vec![2], vec![0, 2], 1.0)], "the last one is certain");
        assert_eq!(stages(1), [(vec![2], vec![0, 1, 2, 3], 1.0), (vec![0], vec![0, 1, 3], 1.0)]);
        assert_eq!(stages(2), [(vec![3], vec![0, 1, 3], 1.0)]);
        assert!(stages(3).is_empty(), "a list of one item says nothing");
        let totals = lists.totals(TiedPlaces::Breslow).unwrap();
        assert_eq!(totals.chosen, [1.0, 0.0, 2.0, 2.0]);
        assert_eq!(totals.sets.len(), 3);
        assert!(totals.sets.contains(&(vec![(0, 1.0), (1, 1.0), (3, 1.0)], 3.0)), "two lists share a set");
    }

    #[test]
    fn tied_places_are_chosen_from_the_same_items_or_one_after_the_other() {
        let mut lists = Rankings::new(4);
        lists.push_groups(&[vec![3], vec![0, 2]], Unlisted::Below, 1.0).unwrap();
        let list = &lists.lists()[0];
        let breslow = list.stages(TiedPlaces::Breslow).unwrap();
        assert_eq!((breslow.len(), breslow[1].times), (2, 2.0));
        assert_eq!(breslow[1].winners, [0, 2]);
        let efron = list.stages(TiedPlaces::Efron).unwrap();
        assert_eq!(efron[1].risk, [(0, 1.0), (1, 1.0), (2, 1.0)]);
        assert_eq!(efron[2].risk, [(0, 0.5), (1, 1.0), (2, 0.5)]);
        assert!(efron[2].winners.is_empty() && efron[1].winners == [0, 2] && efron[2].times == 1.0);
        let split = list.stages(TiedPlaces::Split).unwrap();
        let sets: Vec<_> = split[1..].iter().map(|stage| (items(stage), stage.times)).collect();
        assert_eq!(sets, [(vec![0, 1, 2], 1.0), (vec![1, 2], 0.5), (vec![0, 1], 0.5)]);
        assert_eq!((&split[1].winners[..], &split[2].winners[..]), (&[0, 2][..], &[][..]));
        let mut many = Rankings::new(14);
        many.push_groups(&[(0..13).collect()], Unlisted::Below, 1.0).unwrap();
        assert!(matches!(many.lists()[0].stages(TiedPlaces::Split), Err(Error::Combination { .. })));
        let mut most = Rankings::new(13);
        most.push_groups(&[(0..12).collect()], Unlisted::Below, 1.0).unwrap();
        let stages = most.lists()[0].stages(TiedPlaces::Split).unwrap();
        assert!((stages.iter().map(|stage| stage.times).sum::<f64>() - 12.0).abs() < 1e-9, "12 choices");
    }

    #[test]
    fn pairs_keep_order_ties_and_weights() {
        let mut lists = Rankings::new(5);
        lists.push_groups(&[vec![3], vec![0, 2]], Unlisted::Below, 0.5).unwrap();
        let wins = lists.pairs().unwrap().wins();
        assert_eq!((wins.wins(3, 0), wins.wins(3, 1), wins.wins(0, 4), wins.ties(0, 2)), (0.5, 0.5, 0.5, 0.5));
        assert_eq!((wins.wins(0, 2), wins.wins(1, 4) + wins.wins(4, 1) + wins.ties(1, 4)), (0.0, 0.0));
    }

    #[test]
    fn a_list_says_who_is_where() {
        let mut lists = Rankings::new(4);
        lists.push_groups(&[vec![3], vec![0, 2]], Unlisted::Below, 0.5).unwrap();
        let list = &lists.lists()[0];
        assert_eq!((list.groups(), list.below(), list.weight()), (&[vec![3], vec![0, 2]][..], &[1][..], 0.5));
        assert_eq!((lists.num_items(), lists.unobserved()), (4, vec![]));
        // Two choices at once, each half as often.
        let totals = lists.totals(TiedPlaces::Breslow).unwrap();
        assert!(totals.sets.contains(&(vec![(0, 1.0), (1, 1.0), (2, 1.0)], 1.0)), "{:?}", totals.sets);
    }

    #[test]
    fn lists_of_one_item_or_without_a_weight_compare_nobody() {
        let mut lists = Rankings::new(3);
        lists.push(&[1], Unlisted::Absent).unwrap();
        lists.push_groups(&[vec![0], vec![2]], Unlisted::Absent, 0.0).unwrap();
        assert_eq!(lists.unobserved(), [0, 1, 2]);
        assert_eq!(lists.totals(TiedPlaces::Breslow).unwrap(), Totals { chosen: vec![0.0; 3], sets: vec![] });
    }

    #[test]
    fn selections_and_weights() {
        let mut lists = Rankings::new(3);
        lists.push(&[0, 1], Unlisted::Absent).unwrap();
        lists.push(&[2, 1], Unlisted::Absent).unwrap();
        assert_eq!((lists.len(), lists.is_empty(), Rankings::new(2).is_empty()), (2, false, true));
        let part = lists.select([1, 1]).unwrap();
        assert_eq!((part.len(), part.unobserved()), (2, vec![0]));
        assert!(matches!(lists.select([2]), Err(Error::Index { name: "row", .. })));
        let heavy = lists.reweighted(&[0.0, 3.0]).unwrap();
        assert_eq!((heavy.lists()[1].weight(), heavy.unobserved()), (3.0, vec![0]));
        assert_eq!(heavy.totals(TiedPlaces::Breslow).unwrap().chosen, [0.0, 0.0, 3.0]);
        assert!(matches!(lists.reweighted(&[1.0]), Err(Error::Length { name: "factors", .. })));
        assert!(matches!(lists.reweighted(&[1.0, -1.0]), Err(Error::Record { row: 1, name: "factors", .. })));
        assert!(matches!(lists.reweighted(&[1.0, f64::INFINITY]), Err(Error::Record { .. })));
    }

    #[test]
    fn what_makes_no_sense_is_an_error_that_names_the_record() {
        let mut lists = Rankings::new(3);
        lists.push(&[0, 1], Unlisted::Absent).unwrap();
        assert!(matches!(lists.push(&[], Unlisted::Below), Err(Error::Empty { name: "ranked list", .. })));
        let nobody = lists.push_groups(&[vec![0], vec![]], Unlisted::Below, 1.0);
        assert!(matches!(nobody, Err(Error::Empty { .. })));
        assert!(matches!(lists.push_choice(0, &[], 1.0), Err(Error::Empty { .. })));
        assert!(matches!(lists.push(&[0, 3], Unlisted::Below), Err(Error::Index { row: 1, index: 3, len: 3, .. })));
        assert!(matches!(lists.push(&[0, 2, 0], Unlisted::Absent), Err(Error::Repeated { row: 1, item: 0 })));
        assert!(matches!(lists.push_choice(0, &[1, 0], 1.0), Err(Error::Repeated { row: 1, item: 0 })));
        for weight in [-1.0, f64::NAN, f64::INFINITY] {
            let error = lists.push_groups(&[vec![0], vec![1]], Unlisted::Absent, weight).unwrap_err();
            assert!(matches!(error, Error::Record { row: 1, name: "weight", .. }));
        }
        assert_eq!(lists.len(), 1, "nothing was added");
    }
}
