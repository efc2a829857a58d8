//! Leakage: what splits share that they should not.
//!
//! **Use when:** after every split, and before believing any number of a test set.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::Serialize;

use super::{
    access::{HasPrompt, HasSplit, HasTexts, joined, text_parts},
    keys::normalized,
    split::GroupKey,
};

/// What two splits share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Leak {
    /// One split.
    pub first: String,
    /// The other, later in the alphabet.
    pub second: String,
    /// Prompts in both.
    pub prompts: usize,
    /// Users in both.
    pub users: usize,
    /// Responses in both, word by word.
    pub responses: usize,
    /// Records of the first split whose prompt is in the second, and the other way round.
    pub records: (usize, usize),
}

impl Leak {
    /// Whether nothing is shared.
    pub fn is_clean(&self) -> bool {
        self.prompts + self.users + self.responses == 0
    }
}

/// What splits share. Displays as a table of the splits that share anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeakageReport {
    /// Records by split; those without one are under the empty name, and compared with no other.
    pub records: BTreeMap<String, usize>,
    /// One entry for every two splits.
    pub leaks: Vec<Leak>,
}

impl LeakageReport {
    /// Whether no two splits share anything.
    pub fn is_clean(&self) -> bool {
        self.leaks.iter().all(Leak::is_clean)
    }
}

/// What each two splits share: prompts and responses in NFC with white space collapsed, and users.
///
/// # Example
/// ```
/// use accordant_data::{Pair, curation::{Column, leakage::leakage_report}};
/// let record = |prompt: &str, chosen: &str, split: &str| {
///     let mut pair = Pair::new(prompt, chosen, "bad").unwrap();
///     pair.envelope.split = Some(split.to_owned());
///     pair
/// };
/// let records = [record("p", "x", "train"), record("p ", "y", "test"), record("q", "z", "test")];
/// let report = leakage_report(&records, &Column::by_user());
/// assert_eq!((report.leaks[0].prompts, report.leaks[0].records), (1, (1, 1)));
/// assert_eq!(report.leaks[0].responses, 1); // "bad"
/// # Ok::<(), accordant_data::Error>(())
/// ```
pub fn leakage_report<T: HasPrompt + HasTexts + HasSplit>(records: &[T], user: &GroupKey<T>) -> LeakageReport {
    #[derive(Default)]
    struct Seen {
        prompts: BTreeMap<String, usize>,
        users: BTreeSet<String>,
        responses: BTreeSet<String>,
        records: usize,
    }
    let key = |text| joined(&text_parts(text).iter().map(|part| normalized(part)).collect::<Vec<_>>());
    let mut splits: BTreeMap<String, Seen> = BTreeMap::new();
    for record in records {
        let seen = splits.entry(record.split().unwrap_or_default().to_owned()).or_default();
        seen.records += 1;
        *seen.prompts.entry(key(record.prompt())).or_default() += 1;
        seen.users.extend(user.of(record));
        seen.responses.extend(record.responses().into_iter().map(key));
    }
    let named: Vec<(&String, &Seen)> = splits.iter().filter(|(name, _)| !name.is_empty()).collect();
    let mut leaks = Vec::new();
    for (place, (first, one)) in named.iter().enumerate() {
        for (second, other) in &named[place + 1..] {
            let shared: Vec<(usize, usize)> =
                one.prompts.iter().filter_map(|(prompt, count)| Some((*count, *other.prompts.get(prompt)?))).collect();
            leaks.push(Leak {
                first: (*first).clone(),
                second: (*second).clone(),
                prompts: shared.len(),
                users: one.users.intersection(&other.users).count(),
                responses: one.responses.intersection(&other.responses).count(),
                records: (shared.iter().map(|counts| counts.0).sum(), shared.iter().map(|counts| counts.1).sum()),
            });
        }
    }
    LeakageReport { records: splits.into_iter().map(|(name, seen)| (name, seen.records)).collect(), leaks }
}

impl fmt::Display for LeakageReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found: Vec<_> = self.leaks.iter().filter(|leak| !leak.is_clean()).collect();
        if found.is_empty() {
            return f.write_str("no two splits share a prompt, a user or a response");
        }
        let names = |leak: &Leak| format!("{} / {}", leak.first, leak.second);
        let width = found.iter().map(|leak| names(leak).chars().count()).max().unwrap_or(0).max("splits".len());
        write!(f, "{:width$}  {:>8}  {:>8}  {:>9}", "splits", "prompts", "users", "responses")?;
        found.iter().try_for_each(|leak| {
            write!(f, "\n{:width$}  {:>8}  {:>8}  {:>9}", names(leak), leak.prompts, leak.users, leak.responses)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Pair, curation::Column};

    fn record(prompt: &str, chosen: &str, user: &str, split: &str) -> Pair {
        let mut pair = Pair::new(prompt, chosen, format!("not {chosen}")).unwrap();
        pair.envelope.user_id = Some(user.to_owned());
        pair.envelope.split = Some(split.to_owned()).filter(|split| !split.is_empty());
        pair
    }

    #[test]
    fn d33_prompts_users_and_texts_on_both_sides_are_counted() {
        let records = [
            record("p", "x", "ann", "train"),
            record("p", "y", "bob", "train"),
            record("q", "z", "ann", "train"),
            record(" p", "x", "eve", "test"),
            record("r", "w", "bob", "test"),
            record("s", "v", "bob", "validation"),
            record("p", "u", "ann", ""),
        ];
        let report = leakage_report(&records, &Column::by_user());
        assert_eq!(report.records[""], 1);
        assert_eq!((report.records["train"], report.records["test"]), (3, 2));
        let [first, second, third] = &report.leaks[..] else { panic!("three pairs of splits") };
        assert_eq!((&first.first[..], &first.second[..]), ("test", "train"));
        assert_eq!((first.prompts, first.users, first.responses, first.records), (1, 1, 2, (1, 2)));
        assert_eq!((&second.second[..], second.prompts, second.users, second.responses), ("validation", 0, 1, 0));
        assert_eq!((&third.first[..], third.users, third.is_clean()), ("train", 1, false));
        assert!(!report.is_clean());
        let table = "\
splits               prompts     users  responses
test / train               1         1          2
test / validation          0         1          0
train / validation         0         1          0";
        assert_eq!(report.to_string(), table);
    }

    #[test]
    fn clean_splits_are_said_to_be_clean() {
        let records = [record("p", "x", "ann", "train"), record("q", "y", "bob", "test")];
        let report = leakage_report(&records, &Column::by_user());
        assert!(report.is_clean() && report.leaks.len() == 1);
        assert_eq!(report.to_string(), "no two splits share a prompt, a user or a response");
        assert!(leakage_report::<Pair>(&[], &Column::by_user()).is_clean());
    }
}
