//! Good and bad completions of one prompt to pairs.

use std::collections::{BTreeSet, HashMap};

use rand::Rng;

use super::ConversionReport;
use crate::{
    order::{Purpose, stream},
    record::{Pair, RecordType, Text, Unpaired},
};

/// Pairs each good completion of a prompt with each bad one.
///
/// Of a prompt with more than `max_pairs_per_prompt` pairs that many are drawn with the seed; they come in the order of
/// the good ones, then of the bad ones, prompts in the order of their first record. Completions of a prompt that has only
/// good ones are dropped as `no_bad`, those of one that has only bad ones as `no_good`, those that no drawn pair holds as
/// `capped`. Two completions that are equal make no pair: that is counted as left out under `identical`, and under
/// `identical` are dropped the records that are in no other pair.
///
/// # Example
/// ```
/// use accordant_data::{convert::unpaired_to_pairs, record::Unpaired};
/// let rows = [(" x", true), (" y", false), (" z", false)];
/// let rows = rows.map(|(completion, label)| Unpaired::new("Q", completion, label).unwrap());
/// let (pairs, report) = unpaired_to_pairs(rows, None, 7);
/// let sides: Vec<_> = pairs.iter().map(|pair| (pair.chosen.as_plain().unwrap(), pair.rejected.as_plain().unwrap())).collect();
/// assert_eq!(sides, [(" x", " y"), (" x", " z")]);
/// assert_eq!((report.inputs, report.converted, report.outputs), (3, 3, 2));
/// ```
pub fn unpaired_to_pairs(
    records: impl IntoIterator<Item = Unpaired>,
    max_pairs_per_prompt: Option<usize>,
    seed: u64,
) -> (Vec<Pair>, ConversionReport) {
    let mut report = ConversionReport::new("unpaired_to_pairs", max_pairs_per_prompt.is_none());
    let mut places: HashMap<Text, usize> = HashMap::new();
    let mut prompts: Vec<Prompt> = Vec::new();
    for record in records {
        report.inputs += 1;
        let place = *places.entry(record.prompt.clone()).or_insert_with(|| {
            prompts.push(Prompt::default());
            prompts.len() - 1
        });
        let prompt = &mut prompts[place];
        if record.label { &mut prompt.good } else { &mut prompt.bad }.push(record);
    }
    let mut pairs = Vec::new();
    for (i, prompt) in prompts.iter().enumerate() {
        pairs.extend(prompt.pairs(max_pairs_per_prompt, seed, i, &mut report));
    }
    report.outputs = pairs.len();
    (pairs, report)
}

#[derive(Default)]
struct Prompt {
    good: Vec<Unpaired>,
    bad: Vec<Unpaired>,
}

impl Prompt {
    fn pairs(&self, cap: Option<usize>, seed: u64, number: usize, report: &mut ConversionReport) -> Vec<Pair> {
        let all = self.good.len().saturating_mul(self.bad.len());
        if all == 0 {
            let reason = if self.bad.is_empty() { "no_bad" } else { "no_good" };
            *report.dropped.entry(reason).or_default() += self.good.len() + self.bad.len();
            return Vec::new();
        }
        let drawn = match cap.filter(|&cap| cap < all) {
            None => (0..all).collect(),
            Some(cap) => {
                let mut random = stream(seed, Purpose::PairCap, (number & u32::MAX as usize) as u32);
                draw(&mut random, all, cap).into_iter().collect::<Vec<_>>()
            }
        };
        let (mut good, mut bad) = (vec![Fate::Capped; self.good.len()], vec![Fate::Capped; self.bad.len()]);
        let mut pairs = Vec::with_capacity(drawn.len());
        for place in drawn {
            let (g, b) = (place / self.bad.len(), place % self.bad.len());
            let pair = pair(&self.good[g], &self.bad[b]);
            let fate = if pair.check().is_ok() { Fate::Used } else { Fate::Identical };
            good[g] = good[g].max(fate);
            bad[b] = bad[b].max(fate);
            match fate {
                Fate::Used => pairs.push(pair),
                _ => report.leave_out("identical"),
            }
        }
        for fate in good.into_iter().chain(bad) {
            match fate {
                Fate::Used => report.converted += 1,
                Fate::Identical => report.drop_one("identical"),
                Fate::Capped => report.drop_one("capped"),
            }
        }
        pairs
    }
}

/// `amount` of `0..all`, each set as likely as any other (Floyd's algorithm); `amount` is at most `all`.
fn draw(random: &mut impl Rng, all: usize, amount: usize) -> BTreeSet<usize> {
    let mut drawn = BTreeSet::new();
    for last in all - amount..all {
        let place = random.random_range(0..=last);
        if !drawn.insert(place) {
            drawn.insert(last);
        }
    }
    drawn
}

/// What became of a record, the better the later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    /// In no pair that was drawn.
    Capped,
    /// Only in pairs of equal completions.
    Identical,
    /// In a pair.
    Used,
}

fn pair(good: &Unpaired, bad: &Unpaired) -> Pair {
    let mut envelope = good.envelope.clone();
    if !envelope.id.is_empty() && !bad.envelope.id.is_empty() {
        envelope.id = format!("{}+{}", envelope.id, bad.envelope.id);
    }
    Pair {
        score_chosen: good.score,
        score_rejected: bad.score,
        chosen_factual: good.factual,
        rejected_factual: bad.factual,
        chosen_claims: good.claims.clone(),
        rejected_claims: bad.claims.clone(),
        chosen_source: good.completion_source.clone(),
        rejected_source: bad.completion_source.clone(),
        criteria: good.criteria.clone(),
        envelope,
        ..Pair::unchecked(good.prompt.clone(), good.completion.clone(), bad.completion.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(rows: &[(&str, &str, bool)]) -> Vec<Unpaired> {
        rows.iter().map(|&(prompt, completion, label)| Unpaired::new(prompt, completion, label).unwrap()).collect()
    }

    fn sides(pairs: &[Pair]) -> Vec<String> {
        let text = |text: &Text| text.as_plain().unwrap().to_owned();
        pairs.iter().map(|pair| text(&pair.prompt) + &text(&pair.chosen) + &text(&pair.rejected)).collect()
    }

    #[test]
    fn every_good_one_meets_every_bad_one_of_its_prompt() {
        let rows = [
            ("p", "a", true),
            ("q", "x", false),
            ("p", "b", false),
            ("q", "y", true),
            ("p", "c", true),
            ("p", "d", false),
            ("r", "g", true),
            ("s", "h", false),
            ("s", "i", false),
        ];
        let (pairs, report) = unpaired_to_pairs(records(&rows), None, 0);
        assert_eq!(sides(&pairs), ["pab", "pad", "pcb", "pcd", "qyx"]);
        assert_eq!(report.dropped, [("no_bad", 1), ("no_good", 2)].into());
        assert_eq!((report.inputs, report.converted, report.outputs), (9, 6, 5));
        assert!(report.is_conserved() && report.lossless);
    }

    #[test]
    fn a_cap_draws_pairs_with_the_seed() {
        let names: Vec<_> = (0..6).map(|i| format!("c{i}")).collect();
        let rows: Vec<_> = names.iter().enumerate().map(|(i, name)| ("p", &name[..], i < 3)).collect();
        let draw = |cap, seed| unpaired_to_pairs(records(&rows), Some(cap), seed);
        let (pairs, report) = draw(2, 7);
        assert_eq!((pairs.len(), report.outputs, report.lossless), (2, 2, false));
        assert!(report.is_conserved() && report.dropped["capped"] >= 2);
        assert_eq!(pairs, draw(2, 7).0);
        assert!((8..20).any(|seed| draw(2, seed).0 != pairs));
        assert_eq!(draw(9, 7).0.len(), 9);
        assert_eq!((draw(0, 7).0.len(), draw(0, 7).1.dropped["capped"]), (0, 6));
    }

    #[test]
    fn equal_completions_make_no_pair() {
        let (pairs, report) =
            unpaired_to_pairs(records(&[("p", "a", true), ("p", "a", false), ("p", "b", false)]), None, 0);
        assert_eq!(sides(&pairs), ["pab"]);
        assert_eq!((report.left_out["identical"], report.dropped["identical"], report.converted), (1, 1, 2));
        assert!(report.is_conserved());
    }
}
