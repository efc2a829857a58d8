//! Splits into train, validation and test, by group.
//!
//! **Use when:** always before training; by prompt, user or tree, since records of one group on both sides are a leak.
//! **Deviations:** none. A group's side is drawn from its key and the seed alone, so that more data moves nobody.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::{
    access::{HasPrompt, HasSplit, HasTexts, joined, record_key, text_parts},
    column::Column,
    keys::normalized,
    numbers::{check_domain, keyed_uniform},
    operator::{Curated, Operator, Verdict, options_of},
};
use crate::{Error, Result, record::RecordType};

/// What keeps together.
pub type GroupKey<T> = Column<T, String>;

impl<T: HasPrompt + HasTexts> Column<T, String> {
    /// Records of the same texts keep together.
    pub fn by_record() -> Self {
        Self::new("record", |record: &T| Some(record_key(record)))
    }

    /// Records of one prompt keep together; white space makes no difference.
    pub fn by_prompt() -> Self {
        Self::new("prompt", |record: &T| {
            let parts = text_parts(record.prompt());
            Some(joined(&parts.iter().map(|part| normalized(part)).collect::<Vec<_>>()))
        })
    }
}

impl<T: RecordType> Column<T, String> {
    /// Records of one user keep together: of whom the preference is, or else who judged.
    pub fn by_user() -> Self {
        Self::new("user", |record: &T| {
            let envelope = record.envelope();
            envelope.user_id.clone().or_else(|| envelope.annotator.as_ref().map(|annotator| annotator.id.clone()))
        })
    }

    /// Records of one annotator keep together.
    pub fn by_annotator() -> Self {
        Self::new("annotator", |record: &T| record.envelope().annotator.as_ref().map(|annotator| annotator.id.clone()))
    }

    /// Records of one source keep together.
    pub fn by_source() -> Self {
        Self::new("source", |record: &T| record.envelope().provenance.as_ref().map(|from| from.source.clone()))
    }

    /// Records of one tree keep together: those that name the same tree under `meta.tree_id`.
    pub fn by_tree() -> Self {
        let tree = |record: &T| record.envelope().meta.get("tree_id").and_then(Value::as_str).map(str::to_owned);
        Self::new("tree", tree)
    }
}

/// Writes `split` into each record. Nothing is dropped but records without a key, under `no_group`.
///
/// Without `stratify` each group draws a number in `[0, 1)` from its key and the seed, and falls into the share of the
/// fractions where it lies: fractions are met on average, and adding data moves no group. With `stratify` the groups of
/// each stratum are put in the order of their draws and cut at the fractions: fractions are met within each stratum up
/// to one group, and adding data moves few groups. A group's stratum is that of its first record. Counts: records per
/// split.
#[derive(Debug, Clone, Serialize)]
#[serde(bound = "")]
pub struct Split<T> {
    /// Names and shares, each in `[0, 1]`, together 1.
    pub fractions: Vec<(String, f64)>,
    /// What keeps together.
    pub by: GroupKey<T>,
    /// What is to be distributed evenly. Default: none.
    pub stratify: Option<GroupKey<T>>,
}

impl<T> Split<T> {
    /// `train` and `test`, this share of groups being `test`.
    pub fn test(share: f64, by: GroupKey<T>) -> Self {
        Self { fractions: vec![("train".to_owned(), 1.0 - share), ("test".to_owned(), share)], by, stratify: None }
    }

    /// Where in the fractions a number in `[0, 1)` lies.
    fn side(&self, at: f64) -> usize {
        let mut end = 0.0;
        let ends = self.fractions.iter().map(|(_, share)| {
            end += share;
            end
        });
        let last = self.fractions.iter().rposition(|(_, share)| *share > 0.0).unwrap_or(0);
        ends.take_while(|end| *end <= at).count().min(last)
    }
}

impl<T: HasSplit> Operator<T> for Split<T> {
    type Out = T;

    fn name(&self) -> &'static str {
        "split"
    }

    fn options(&self) -> Value {
        options_of(self)
    }

    fn check(&self) -> Result<()> {
        if self.fractions.is_empty() {
            return Err(Error::NoEntry { name: "fractions" });
        }
        for (_, share) in &self.fractions {
            check_domain((0.0..=1.0).contains(share), "fractions", "numbers in [0, 1]", *share)?;
        }
        let total: f64 = self.fractions.iter().map(|(_, share)| share).sum();
        check_domain((total - 1.0).abs() < 1e-9, "fractions", "numbers that add up to 1", total)
    }

    fn apply(&self, records: Vec<T>, seed: u64) -> Result<Curated<T>> {
        self.check()?;
        let keys: Vec<Option<String>> = records.iter().map(|record| self.by.of(record)).collect();
        let mut draws: BTreeMap<&str, (Option<String>, f64)> = BTreeMap::new();
        for (record, key) in records.iter().zip(&keys) {
            if let Some(key) = key {
                let stratum = || self.stratify.as_ref().and_then(|stratify| stratify.of(record));
                draws.entry(key).or_insert_with(|| (stratum(), keyed_uniform(seed, "split", key)));
            }
        }
        let mut sides: BTreeMap<&str, usize> = BTreeMap::new();
        if self.stratify.is_some() {
            let mut strata: BTreeMap<&Option<String>, Vec<(f64, &str)>> = BTreeMap::new();
            draws.iter().for_each(|(key, (stratum, draw))| strata.entry(stratum).or_default().push((*draw, key)));
            for mut groups in strata.into_values() {
                groups.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(b.1)));
                let count = groups.len() as f64;
                let middle = |place: usize| (place as f64 + 0.5) / count;
                sides.extend(groups.iter().enumerate().map(|(place, (_, key))| (*key, self.side(middle(place)))));
            }
        } else {
            sides.extend(draws.iter().map(|(key, (_, draw))| (*key, self.side(*draw))));
        }
        let mut curated = Curated::new(self, seed);
        for (mut record, key) in records.into_iter().zip(&keys) {
            let side = key.as_ref().and_then(|key| sides.get(key.as_str()));
            let verdict = match side {
                None => Verdict::Drop(record, "no_group"),
                Some(&side) => {
                    let name = &self.fractions[side].0;
                    curated.report.add(name);
                    record.set_split(name.clone());
                    Verdict::Keep(record)
                }
            };
            curated.push(verdict);
        }
        Ok(curated)
    }
}

/// The part that a record has in the protocol for unseen users.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UserPart {
    /// Of a user for training.
    Train,
    /// Of a test user, given to the model so that it gets to know the user.
    Support,
    /// Of a test user, to be predicted.
    Query,
}

impl UserPart {
    /// The name of its split: `train`, `support` or `query`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Support => "support",
            Self::Query => "query",
        }
    }
}

/// Splits users, and the comparisons of each test user into a support set and the queries.
///
/// Whether a user is for test is drawn from the user's key and the seed. Of a test user `support` records, those of the
/// smallest draws, are support; a user with no more than `support` records has no query and goes under `few_records`.
/// Records without a user go under `no_user`. Writes `split`; counts: records per part, and `test_users`.
#[derive(Debug, Clone, Serialize)]
#[serde(bound = "")]
pub struct UnseenUsers<T> {
    /// Whose record it is.
    pub user: GroupKey<T>,
    /// Share of users for test, in `[0, 1]`.
    pub test_share: f64,
    /// Records of a support set.
    pub support: usize,
}

impl<T: HasSplit + HasPrompt + HasTexts> Operator<T> for UnseenUsers<T> {
    type Out = T;

    fn name(&self) -> &'static str {
        "unseen_users"
    }

    fn options(&self) -> Value {
        options_of(self)
    }

    fn check(&self) -> Result<()> {
        super::numbers::check_share("test_share", self.test_share)
    }

    fn apply(&self, records: Vec<T>, seed: u64) -> Result<Curated<T>> {
        self.check()?;
        let mut users: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (place, record) in records.iter().enumerate() {
            if let Some(user) = self.user.of(record) {
                users.entry(user).or_default().push(place);
            }
        }
        let mut parts: Vec<Result<UserPart, &'static str>> = vec![Err("no_user"); records.len()];
        let mut test_users = 0;
        for (user, mut places) in users {
            if keyed_uniform(seed, "unseen_users", &user) >= self.test_share {
                places.into_iter().for_each(|place| parts[place] = Ok(UserPart::Train));
            } else if places.len() <= self.support {
                places.into_iter().for_each(|place| parts[place] = Err("few_records"));
            } else {
                test_users += 1;
                let draw = |place: &usize| keyed_uniform(seed, &user, &record_key(&records[*place]));
                places.sort_by(|a, b| draw(a).total_cmp(&draw(b)).then(a.cmp(b)));
                for (rank, place) in places.into_iter().enumerate() {
                    parts[place] = Ok(if rank < self.support { UserPart::Support } else { UserPart::Query });
                }
            }
        }
        let mut curated = Curated::new(self, seed);
        curated.report.add_many("test_users", test_users);
        for (mut record, part) in records.into_iter().zip(parts) {
            let verdict = match part {
                Err(reason) => Verdict::Drop(record, reason),
                Ok(part) => {
                    curated.report.add(part.as_str());
                    record.set_split(part.as_str().to_owned());
                    Verdict::Keep(record)
                }
            };
            curated.push(verdict);
        }
        Ok(curated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Pair, curation::testing::pair, record::Annotator};

    fn records(count: usize) -> Vec<Pair> {
        (0..count).map(|i| pair(&format!("prompt {i}"))).collect()
    }

    fn sides(pairs: &[Pair]) -> Vec<&str> {
        pairs.iter().map(|pair| pair.split().unwrap()).collect()
    }

    #[test]
    fn d33_adding_data_moves_no_prompt_and_no_prompt_is_on_two_sides() {
        let split = Split::test(0.3, Column::by_prompt());
        let all = split.apply(records(400), 7).unwrap();
        let few = split.apply(records(100), 7).unwrap();
        assert_eq!(all.records[..100], few.records[..]);
        let mut shuffled = records(400);
        shuffled.reverse();
        let mut again = split.apply(shuffled, 7).unwrap().records;
        again.reverse();
        assert_eq!(again, all.records);
        // 120 ± 9.2: 46 are 5 standard deviations.
        let test = all.report.count("test");
        assert!(test.abs_diff(120) <= 46, "{test}");
        assert_eq!(test + all.report.count("train"), 400);
        assert_ne!(sides(&split.apply(records(100), 8).unwrap().records), sides(&few.records));
        let twins = vec![pair("q"), pair("q "), Pair::new("q", "other", "bad").unwrap()];
        let twins = split.apply(twins, 1).unwrap().records;
        assert!(twins.iter().all(|twin| twin.split() == twins[0].split()));
    }

    #[test]
    fn draws_fall_into_the_fractions_in_their_order() {
        let fractions = [("a", 0.5), ("b", 0.25), ("c", 0.25), ("none", 0.0)];
        let fractions = fractions.map(|(name, share)| (name.to_owned(), share)).to_vec();
        let split = Split { fractions, by: Column::<Pair, String>::by_record(), stratify: None };
        assert_eq!([0.0, 0.49, 0.5, 0.74, 0.75, 0.999, 1.0].map(|at| split.side(at)), [0, 0, 1, 1, 2, 2, 2]);
    }

    #[test]
    fn strata_are_cut_at_the_fractions() {
        let topic = Column::new("topic", |pair: &Pair| pair.prompt.as_plain().map(|text| text[..1].to_owned()));
        let split = Split { stratify: Some(topic), ..Split::test(0.25, Column::by_prompt()) };
        let records: Vec<_> =
            (0..8).map(|i| pair(&format!("a{i}"))).chain((0..4).map(|i| pair(&format!("b{i}")))).collect();
        let curated = split.apply(records, 3).unwrap();
        let test: Vec<_> = curated.records.iter().filter(|pair| pair.split() == Some("test")).collect();
        let of = |topic| test.iter().filter(|pair| pair.prompt.as_plain().unwrap().starts_with(topic)).count();
        assert_eq!((of("a"), of("b")), (2, 1));
        assert_eq!(curated.report.options["stratify"], "topic");
    }

    #[test]
    fn users_annotators_sources_and_trees_keep_together() {
        let mut record = pair("q");
        assert_eq!(Column::by_user().of(&record), None);
        record.envelope.annotator = Some(Annotator::new("who"));
        assert_eq!(
            (Column::by_user().of(&record), Column::by_annotator().of(&record)),
            (Some("who".into()), Some("who".into()))
        );
        record.envelope.user_id = Some("whose".into());
        assert_eq!(Column::by_user().of(&record), Some("whose".into()));
        assert_eq!((Column::by_source().of(&record), Column::by_tree().of(&record)), (None, None));
        record.envelope.provenance = Some(crate::Provenance { source: "set".into(), ..Default::default() });
        record.envelope.meta.insert("tree_id".into(), "t1".into());
        assert_eq!(
            (Column::by_source().of(&record), Column::by_tree().of(&record)),
            (Some("set".into()), Some("t1".into()))
        );
        let report = Split::test(0.5, Column::by_annotator()).apply(vec![record, pair("q")], 0).unwrap().report;
        assert_eq!((report.dropped["no_group"], report.outputs), (1, 1));
    }

    #[test]
    fn unseen_users_have_support_and_queries() {
        let of = |user: usize, i: usize| {
            let mut record = pair(&format!("prompt {i} of {user}"));
            record.envelope.user_id = Some(format!("u{user}"));
            record
        };
        let mut records: Vec<_> =
            (0..50).flat_map(|user| (0..4).map(move |i| (user, i))).map(|(u, i)| of(u, i)).collect();
        records.extend([pair("nobody")]);
        let protocol = UnseenUsers { user: Column::by_user(), test_share: 0.4, support: 3 };
        let curated = protocol.apply(records.clone(), 5).unwrap();
        let report = &curated.report;
        let test = report.count("test_users");
        // 20 ± 3.5: 17 are 5 standard deviations.
        assert!(test.abs_diff(20) <= 17, "{test}");
        assert_eq!(
            (report.count("support"), report.count("query"), report.count("train")),
            (3 * test, test, 200 - 4 * test)
        );
        assert_eq!(report.dropped["no_user"], 1);
        for four in curated.records.chunks(4) {
            let train = sides(four).iter().filter(|side| **side == "train").count();
            assert!(train == 0 || train == 4, "a user is on one side");
        }
        let many = UnseenUsers { support: 4, ..protocol.clone() };
        assert_eq!(many.apply(records.clone(), 5).unwrap().report.dropped["few_records"], 4 * test);
        let mut reversed = records;
        reversed.reverse();
        let mut again = protocol.apply(reversed, 5).unwrap().records;
        again.reverse();
        assert_eq!(again, curated.records);
        assert!(UnseenUsers { test_share: 2.0, ..protocol }.apply(vec![], 0).is_err());
    }

    #[test]
    fn fractions_that_are_no_shares_are_errors() {
        let message = |fractions: &[f64]| {
            let fractions = fractions.iter().map(|share| ("x".to_owned(), *share)).collect();
            let split = Split { fractions, by: Column::<Pair, String>::by_record(), stratify: None };
            split.check().unwrap_err().to_string()
        };
        assert_eq!(message(&[]), "`fractions`: expected at least one entry, got none");
        assert_eq!(message(&[0.5, 0.4]), "`fractions`: expected numbers that add up to 1, got 0.9");
        assert_eq!(message(&[1.5, -0.5]), "`fractions`: expected numbers in [0, 1], got 1.5");
    }
}
