//! What the records of a file have in common.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
};

use accordant::data::{
    Kind, Record, Text,
    curation::access::plain_text,
    record::{Envelope, comparison::Outcome},
};

/// Counts of a file's records.
pub struct Summary {
    kinds: BTreeMap<Kind, usize>,
    /// Labels by what they say.
    labels: BTreeMap<&'static str, usize>,
    /// Pairs whose chosen side is longer, twice, so that equal lengths count half.
    longer_chosen: usize,
    pairs: usize,
    /// Characters of each prompt.
    pub prompt_lengths: Vec<usize>,
    /// Characters of each response.
    pub response_lengths: Vec<usize>,
    duplicates: usize,
    /// Different prompts.
    pub prompts: HashSet<String>,
    with_prompt: usize,
}

impl Summary {
    /// Looks at every record once.
    pub fn of(records: &[Record]) -> Self {
        let mut summary = Self {
            kinds: BTreeMap::new(),
            labels: BTreeMap::new(),
            longer_chosen: 0,
            pairs: 0,
            prompt_lengths: Vec::new(),
            response_lengths: Vec::new(),
            duplicates: 0,
            prompts: HashSet::new(),
            with_prompt: 0,
        };
        let mut seen: HashMap<String, usize> = HashMap::new();
        for record in records {
            *summary.kinds.entry(record.kind()).or_default() += 1;
            label(record, &mut summary.labels);
            let (prompt, responses) = parts(record);
            let prompt = prompt.map(plain_text);
            let responses: Vec<String> = responses.into_iter().map(plain_text).collect();
            let lengths: Vec<usize> = responses.iter().map(|text| text.chars().count()).collect();
            if let (Record::Pair(_), [chosen, rejected]) = (record, &lengths[..]) {
                summary.pairs += 1;
                summary.longer_chosen += usize::from(chosen > rejected) + usize::from(chosen >= rejected);
            }
            summary.response_lengths.extend(lengths);
            if let Some(said) = said(record) {
                let times = seen.entry(said).or_default();
                summary.duplicates += usize::from(*times > 0);
                *times += 1;
            }
            if let Some(prompt) = prompt {
                summary.with_prompt += 1;
                summary.prompt_lengths.push(prompt.chars().count());
                summary.prompts.insert(prompt);
            }
        }
        summary
    }
}

/// A record's prompt and its responses, the better one of a pair first.
pub fn parts(record: &Record) -> (Option<&Text>, Vec<&Text>) {
    match record {
        Record::Pair(pair) => (Some(&pair.prompt), vec![&pair.chosen, &pair.rejected]),
        Record::Comparison(comparison) => (Some(&comparison.prompt), vec![&comparison.a, &comparison.b]),
        Record::Unpaired(single) => (Some(&single.prompt), vec![&single.completion]),
        Record::Ranked(ranked) => (Some(&ranked.prompt), ranked.completions.iter().collect()),
        Record::Rated(rated) => (Some(&rated.prompt), rated.completions.iter().collect()),
        Record::Edit(edit) => (Some(&edit.prompt), vec![&edit.edited, &edit.original]),
        Record::Sft(sft) => (Some(&sft.prompt), vec![&sft.completion]),
        Record::PromptOnly(prompt) => (Some(&prompt.prompt), Vec::new()),
        Record::Stepwise(steps) => (Some(&steps.prompt), Vec::new()),
        Record::StepPair(steps) => (Some(&steps.prompt), Vec::new()),
        _ => (None, Vec::new()),
    }
}

/// The record without its envelope: texts and label.
fn said(record: &Record) -> Option<String> {
    let mut bare = record.clone();
    *bare.envelope_mut() = Envelope::default();
    serde_json::to_string(&bare).ok()
}

fn label(record: &Record, labels: &mut BTreeMap<&'static str, usize>) {
    let mut count = |label| *labels.entry(label).or_default() += 1;
    match record {
        Record::Unpaired(single) => count(if single.label { "good" } else { "bad" }),
        Record::Comparison(comparison) => match (comparison.outcome, comparison.p_a()) {
            (Some(Outcome::BothBad), _) => count("both bad"),
            (Some(Outcome::Skip), _) => count("skipped"),
            (_, Ok(Some(p))) if p > 0.5 => count("a"),
            (_, Ok(Some(p))) if p < 0.5 => count("b"),
            (_, Ok(Some(_))) => count("tie"),
            _ => count("none"),
        },
        _ => {}
    }
}

/// The share of lengths, in percent, at each power of two.
pub fn shares(lengths: &[usize]) -> Vec<(f64, f64)> {
    let bin = |length: usize| usize::BITS - length.leading_zeros();
    let most = lengths.iter().map(|&length| bin(length)).max().unwrap_or_default();
    let share = |at: u32| {
        let count = lengths.iter().filter(|&&length| bin(length) == at).count();
        (f64::from(at), 100.0 * count as f64 / lengths.len() as f64)
    };
    (0..=most).map(share).collect()
}

fn histogram(f: &mut fmt::Formatter<'_>, name: &str, lengths: &[usize]) -> fmt::Result {
    let mut sorted = lengths.to_vec();
    sorted.sort_unstable();
    let (Some(least), Some(most)) = (sorted.first(), sorted.last()) else { return Ok(()) };
    writeln!(f, "  {name}: {least} to {most} characters, median {}", sorted[sorted.len() / 2])?;
    for (at, share) in shares(lengths).into_iter().filter(|bin| bin.1 > 0.0) {
        let up_to = 2f64.powf(at) - 1.0;
        writeln!(f, "    up to {up_to:>9}  {share:>5.1}%  {}", "#".repeat((share / 2.0).round() as usize))?;
    }
    Ok(())
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |counts: Vec<String>| counts.join(", ");
        writeln!(f, "  kinds: {}", list(self.kinds.iter().map(|(kind, n)| format!("{kind} {n}")).collect()))?;
        if !self.labels.is_empty() {
            writeln!(f, "  labels: {}", list(self.labels.iter().map(|(label, n)| format!("{label} {n}")).collect()))?;
        }
        if self.pairs > 0 {
            let share = 50.0 * self.longer_chosen as f64 / self.pairs as f64;
            writeln!(f, "  the longer side is chosen: {share:.1}%")?;
        }
        writeln!(f, "  records that say the same as one before: {}", self.duplicates)?;
        writeln!(f, "  prompts: {}, of which {} differ", self.with_prompt, self.prompts.len())?;
        histogram(f, "prompts", &self.prompt_lengths)?;
        histogram(f, "responses", &self.response_lengths)
    }
}
