//! Near duplicates: texts that share most of their shingles.
//!
//! **Paper:** On the Resemblance and Containment of Documents (A. Z. Broder, 1997), MinHash; with bands of signatures
//! as in Mining of Massive Datasets (Leskovec, Rajaraman, Ullman), chapter 3.
//! **Use when:** a set was scraped or generated from templates.
//! **Deviations:** texts that agree in some band are compared exactly, so that no estimate drops a record.

use std::collections::HashMap;

use rand::Rng;
use serde::Serialize;
use serde_json::Value;

use super::{
    access::{HasPrompt, HasTexts},
    column::Column,
    dedup::first_by_priority,
    keys::{Key, mix, normalized, shingles},
    numbers::check_domain,
    operator::{Curated, Operator, options_of, sift},
};
use crate::{
    Result,
    order::{Purpose, stream},
};

/// The share of shingles that two texts have in common, `|A ∩ B| / |A ∪ B|`, of ascending lists without repeats; 0
/// where one has none.
///
/// # Example
/// ```
/// use accordant_data::curation::near_duplicates::jaccard;
/// assert_eq!(jaccard(&[1, 2, 3], &[2, 3, 4]), 0.5);
/// ```
pub fn jaccard(a: &[u64], b: &[u64]) -> f64 {
    let (mut i, mut j, mut shared) = (0, 0, 0usize);
    while let (Some(x), Some(y)) = (a.get(i), b.get(j)) {
        shared += usize::from(x == y);
        i += usize::from(x <= y);
        j += usize::from(y <= x);
    }
    let all = a.len() + b.len() - shared;
    if all == 0 { 0.0 } else { shared as f64 / all as f64 }
}

/// MinHash signatures: the share of places in which two signatures agree estimates [`jaccard`].
#[derive(Debug, Clone)]
pub struct MinHash {
    keys: Vec<u64>,
}

impl MinHash {
    /// So many hash functions of this seed.
    pub fn new(permutations: usize, seed: u64) -> Self {
        let mut rng = stream(seed, Purpose::Curation, 1);
        Self { keys: (0..permutations).map(|_| rng.random()).collect() }
    }

    /// The signature of a set of hashes: for each hash function the least value, `u64::MAX` of nothing.
    pub fn signature(&self, hashes: &[u64]) -> Vec<u64> {
        let least = |key: &u64| hashes.iter().map(|hash| mix(hash ^ key)).min().unwrap_or(u64::MAX);
        self.keys.iter().map(least).collect()
    }
}

/// Keeps one record of each cluster of near duplicates; the others go under `near_duplicate`.
///
/// Two records are near duplicates if their signatures agree in some band and they share at least `threshold` of their
/// shingles; clusters are what near duplicates connect. Which record stays: that of the largest priority, of equal ones
/// the first. Texts shorter than a shingle are one shingle. Figures: `clusters` of two and more, `largest_cluster`,
/// `compared` and `lsh_threshold`, the similarity `(1/b)^(1/r)` near which pairs begin to be found.
#[derive(Debug, Clone, Serialize)]
#[serde(bound = "")]
#[doc(alias = "MinHash LSH")]
pub struct NearDuplicates<T> {
    /// What is compared. Default: prompt and responses.
    pub key: Key,
    /// Words of a shingle, at least 1. Default: 5.
    pub shingle_len: usize,
    /// Bands, at least 1. Default: 16.
    pub bands: usize,
    /// Hash functions of a band, at least 1. Default: 8, for 128 in all.
    pub rows: usize,
    /// Least similarity of near duplicates, in (0, 1]. Default: 0.8.
    pub threshold: f64,
    /// Records of larger numbers stay; a record without one comes last. Default: none, the first stays.
    pub priority: Option<Column<T>>,
}

impl<T> Default for NearDuplicates<T> {
    fn default() -> Self {
        Self { key: Key::Record, shingle_len: 5, bands: 16, rows: 8, threshold: 0.8, priority: None }
    }
}

impl<T: HasPrompt + HasTexts> Operator<T> for NearDuplicates<T> {
    type Out = T;

    fn name(&self) -> &'static str {
        "near_duplicates"
    }

    fn options(&self) -> Value {
        options_of(self)
    }

    fn check(&self) -> Result<()> {
        for (name, count) in [("shingle_len", self.shingle_len), ("bands", self.bands), ("rows", self.rows)] {
            check_domain(count > 0, name, "at least 1", count as f64)?;
        }
        let few = self.bands.checked_mul(self.rows).is_some_and(|all| all <= MAX_PERMUTATIONS);
        check_domain(few, "bands", "at most 65536 hash functions in all", self.bands as f64)?;
        check_domain(self.threshold > 0.0 && self.threshold <= 1.0, "threshold", "in (0, 1]", self.threshold)
    }

    fn apply(&self, records: Vec<T>, seed: u64) -> Result<Curated<T>> {
        self.check()?;
        let sets: Vec<Vec<u64>> = records.iter().map(|record| self.shingles(record)).collect();
        let (mut clusters, compared) = self.connect(&sets, seed);
        let mut groups: HashMap<usize, Vec<usize>> = HashMap::new();
        for place in 0..sets.len() {
            groups.entry(clusters.root(place)).or_default().push(place);
        }
        let mut reasons = vec![Some("near_duplicate"); records.len()];
        for group in groups.values() {
            for kept in first_by_priority(group, &records, self.priority.as_ref()).into_iter().take(1) {
                reasons[kept] = None;
            }
        }
        let mut curated = sift(self, records, seed, reasons);
        let several = groups.values().filter(|group| group.len() > 1);
        curated.report.set_figure("clusters", Some(several.count() as f64));
        curated.report.set_figure("largest_cluster", groups.values().map(Vec::len).max().map(|len| len as f64));
        curated.report.set_figure("compared", Some(compared as f64));
        let lsh_threshold = (1.0 / self.bands as f64).powf(1.0 / self.rows as f64);
        curated.report.set_figure("lsh_threshold", Some(lsh_threshold));
        Ok(curated)
    }
}

/// Hash functions that signatures may have.
const MAX_PERMUTATIONS: usize = 65_536;

impl<T: HasPrompt + HasTexts> NearDuplicates<T> {
    fn shingles(&self, record: &T) -> Vec<u64> {
        let text = normalized(&self.key.text(record));
        shingles(&text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>(), self.shingle_len)
    }

    /// Connects near duplicates; and how many pairs were compared.
    fn connect(&self, sets: &[Vec<u64>], seed: u64) -> (Clusters, usize) {
        let mut clusters = Clusters::new(sets.len());
        // Equal sets are one from the beginning, so that a template with a million copies is no million squared.
        let mut first: HashMap<&[u64], usize> = HashMap::new();
        for (place, set) in sets.iter().enumerate().filter(|(_, set)| !set.is_empty()) {
            match first.entry(set) {
                std::collections::hash_map::Entry::Occupied(seen) => clusters.join(*seen.get(), place),
                std::collections::hash_map::Entry::Vacant(entry) => drop(entry.insert(place)),
            }
        }
        let mut distinct: Vec<usize> = first.into_values().collect();
        distinct.sort_unstable();
        let hashes = MinHash::new(self.bands * self.rows, seed);
        let signatures: Vec<Vec<u64>> = distinct.iter().map(|&place| hashes.signature(&sets[place])).collect();
        let mut compared = 0;
        for band in 0..self.bands {
            let mut buckets: HashMap<&[u64], Vec<usize>> = HashMap::new();
            for (&place, signature) in distinct.iter().zip(&signatures) {
                let bucket = buckets.entry(&signature[band * self.rows..(band + 1) * self.rows]).or_default();
                for &other in bucket.iter() {
                    if clusters.root(other) != clusters.root(place) {
                        compared += 1;
                        if jaccard(&sets[other], &sets[place]) >= self.threshold {
                            clusters.join(other, place);
                        }
                    }
                }
                bucket.push(place);
            }
        }
        (clusters, compared)
    }
}

/// Union-find: which places are connected.
struct Clusters {
    parents: Vec<usize>,
}

impl Clusters {
    fn new(len: usize) -> Self {
        Self { parents: (0..len).collect() }
    }

    fn root(&mut self, mut place: usize) -> usize {
        while self.parents[place] != place {
            self.parents[place] = self.parents[self.parents[place]];
            place = self.parents[place];
        }
        place
    }

    /// The smaller root becomes that of both.
    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.parents[a.max(b)] = a.min(b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Pair,
        curation::testing::{pair, scored},
    };

    fn words(from: usize, to: usize) -> String {
        (from..to).map(|i| format!("w{i}")).collect::<Vec<_>>().join(" ")
    }

    fn by_prompt() -> NearDuplicates<Pair> {
        NearDuplicates { key: Key::Prompt, ..NearDuplicates::default() }
    }

    #[test]
    fn similarity_is_the_share_of_common_shingles() {
        assert_eq!(jaccard(&[1, 5, 9], &[1, 5, 9]), 1.0);
        assert_eq!(jaccard(&[1, 2, 3, 4], &[0, 4]), 0.2);
        assert_eq!((jaccard(&[], &[1]), jaccard(&[], &[])), (0.0, 0.0));
    }

    #[test]
    fn signatures_agree_as_often_as_sets_overlap() {
        let hashes = MinHash::new(4096, 7);
        let (a, b): (Vec<u64>, Vec<u64>) = ((0..90).map(mix).collect(), (30..120).map(mix).collect());
        let (left, right) = (hashes.signature(&a), hashes.signature(&b));
        let agree = left.iter().zip(&right).filter(|(x, y)| x == y).count() as f64 / 4096.0;
        // 60 of 120 are shared; the deviation of the estimate is 0.0078, so that 0.04 is passed by one seed in 3
        // million.
        assert!((agree - 0.5).abs() < 0.04, "{agree}");
        assert_eq!(MinHash::new(2, 0).signature(&[]), [u64::MAX; 2]);
        assert_ne!(MinHash::new(2, 0).signature(&a), MinHash::new(2, 1).signature(&a));
    }

    #[test]
    fn texts_that_differ_in_a_few_words_are_one_and_the_first_stays() {
        // 100 words have 96 shingles; the last word differs: 95 of 97 shared. Half of the words: 46 of 146.
        let near = words(0, 99) + " other";
        let records = vec![pair(&words(0, 100)), pair(&words(50, 150)), pair(&near), pair(&words(0, 100))];
        let curated = by_prompt().apply(records, 3).unwrap();
        let dropped: Vec<_> = curated.dropped.iter().map(|dropped| (dropped.index, dropped.reason)).collect();
        assert_eq!(dropped, [(2, "near_duplicate"), (3, "near_duplicate")]);
        let report = &curated.report;
        assert_eq!((report.figure("clusters"), report.figure("largest_cluster")), (Some(1.0), Some(3.0)));
        assert!((report.figure("lsh_threshold").unwrap() - 0.5_f64.sqrt()).abs() < 1e-12, "(1/16)^(1/8)");
        assert_eq!(report.figure("compared"), Some(1.0));
    }

    #[test]
    fn the_threshold_is_exact_and_neighbors_of_neighbors_are_one_cluster() {
        // 24 words have 20 shingles; one word at the end changes one: 19 of 21 shared = 0.9048.
        let texts = [words(0, 24), words(1, 25), words(2, 26)];
        let records = || texts.iter().map(|text| pair(text)).collect::<Vec<_>>();
        let sets: Vec<_> = records().iter().map(|record| by_prompt().shingles(record)).collect();
        assert_eq!((jaccard(&sets[0], &sets[1]), jaccard(&sets[0], &sets[2])), (19.0 / 21.0, 18.0 / 22.0));
        // One row a band: pairs of this likeness meet in some band but for one seed in 10^100.
        let strict = |threshold| NearDuplicates { bands: 128, rows: 1, threshold, ..by_prompt() };
        assert_eq!(strict(19.0 / 21.0).apply(records(), 0).unwrap().records.len(), 1, "0 to 1 to 2");
        assert_eq!(strict(0.905).apply(records(), 0).unwrap().records.len(), 3);
    }

    #[test]
    fn short_and_empty_texts_are_compared_as_a_whole() {
        let records = vec![pair("a b"), pair("a  b"), pair("a c"), Pair::new("a b", "better", "bad").unwrap()];
        let curated = by_prompt().apply(records.clone(), 0).unwrap();
        assert_eq!(curated.dropped.iter().map(|dropped| dropped.index).collect::<Vec<_>>(), [1, 3]);
        let whole = NearDuplicates { shingle_len: 50, ..NearDuplicates::default() };
        assert_eq!(whole.apply(records, 0).unwrap().dropped.len(), 1);
    }

    #[test]
    fn the_largest_priority_stays() {
        let records = vec![scored("a", 1.0, 0.0), scored("a", 2.0, 0.0)];
        let best = NearDuplicates { priority: Some(Column::score_chosen()), ..by_prompt() };
        assert_eq!(best.apply(records, 0).unwrap().dropped[0].index, 0);
    }

    #[test]
    fn options_out_of_their_domain_are_errors() {
        let message = |options: NearDuplicates<Pair>| options.apply(vec![], 0).unwrap_err().to_string();
        assert_eq!(message(NearDuplicates { bands: 0, ..by_prompt() }), "`bands`: expected at least 1, got 0");
        assert!(message(NearDuplicates { rows: 0, ..by_prompt() }).starts_with("`rows`"));
        assert!(message(NearDuplicates { shingle_len: 0, ..by_prompt() }).starts_with("`shingle_len`"));
        assert!(message(NearDuplicates { threshold: 0.0, ..by_prompt() }).starts_with("`threshold`"));
        assert!(message(NearDuplicates { threshold: 1.1, ..by_prompt() }).starts_with("`threshold`"));
        assert!(message(NearDuplicates { bands: usize::MAX, ..by_prompt() }).contains("65536"));
        assert!(NearDuplicates { bands: 8192, threshold: 1.0, ..by_prompt() }.check().is_ok());
    }
}
