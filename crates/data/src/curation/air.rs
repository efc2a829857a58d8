//! The AIR recipe: which instructions are worth preferences, and from which policies their responses come.
//!
//! **Paper:** AIR: A Systematic Analysis of Annotations, Instructions, and Response Pairs in Preference Dataset (2025),
//! 2504.03612.
//! **Use when:** a preference set is made from scratch.
//! **Deviations:** thresholds are ours. Of its four parts two are elsewhere: annotation by one score instead of a mean
//! over aspects is the choice of [`rated_pairs`](super::rated_pairs), and moderate margins of good responses are
//! [`MarginFilter::air`](super::margin_filter::MarginFilter::air).

use serde::Serialize;
use serde_json::Value;

use super::{
    access::{Candidates, HasPrompt, HasTexts, record_key},
    column::Column,
    numbers::{check_domain, check_share, keyed_uniform, quantile, sample_deviation},
    operator::{Curated, Operator, options_of, sift},
};
use crate::Result;

/// Up to which variance an instruction stays.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub enum VarianceLimit {
    /// This share of the instructions, those with the lowest variances, in `[0, 1]`.
    Quantile(f64),
    /// This variance, at least 0.
    Value(f64),
}

/// Keeps instructions on which the scores of several models' responses vary little.
///
/// The variance is the sample variance; the limit is included. Reasons: `high_variance`, and `unscored` for fewer than
/// two finite scores. Figure: `max_score_variance`, the limit.
#[derive(Debug, Clone, Serialize)]
#[doc(alias = "2504.03612")]
pub struct InstructionFilter {
    /// The limit. Default: the lower half.
    pub limit: VarianceLimit,
}

impl Default for InstructionFilter {
    fn default() -> Self {
        Self { limit: VarianceLimit::Quantile(0.5) }
    }
}

impl<T: Candidates> Operator<T> for InstructionFilter {
    type Out = T;

    fn name(&self) -> &'static str {
        "instruction_filter"
    }

    fn options(&self) -> Value {
        options_of(self)
    }

    fn check(&self) -> Result<()> {
        match self.limit {
            VarianceLimit::Quantile(share) => check_share("limit", share),
            VarianceLimit::Value(value) => check_domain(value >= 0.0, "limit", "at least 0", value),
        }
    }

    fn apply(&self, records: Vec<T>, seed: u64) -> Result<Curated<T>> {
        Operator::<T>::check(self)?;
        let variance = |record: &T| {
            let scores = record.scores().filter(|scores| scores.iter().all(|score| score.is_finite()))?;
            sample_deviation(&scores).map(|deviation| deviation * deviation)
        };
        let variances: Vec<Option<f64>> = records.iter().map(variance).collect();
        let known: Vec<f64> = variances.iter().flatten().copied().collect();
        let limit = match self.limit {
            VarianceLimit::Quantile(share) => quantile(&known, share),
            VarianceLimit::Value(value) => Some(value),
        };
        let reason = |variance: Option<f64>| match variance {
            None => Some("unscored"),
            Some(variance) => limit.filter(|limit| variance > *limit).map(|_| "high_variance"),
        };
        let mut curated = sift(self, records, seed, variances.into_iter().map(reason).collect());
        curated.report.set_figure("max_score_variance", limit);
        Ok(curated)
    }
}

/// Subsamples until responses of the trained policy have a stated share, keeping as many records as that allows.
///
/// Which records go is drawn from the seed and the record's texts. Reasons: `policy_mix`, and `no_policy` for a record
/// of which it is not known. A side that is missing altogether leaves nothing, unless its share is 0.
#[derive(Debug, Clone, Serialize)]
#[serde(bound = "")]
pub struct PolicyMix<T> {
    /// Whether the record's responses come from the trained policy.
    pub on_policy: Column<T, bool>,
    /// Share of records that are on policy, in `[0, 1]`.
    pub share: f64,
}

impl<T: HasPrompt + HasTexts> Operator<T> for PolicyMix<T> {
    type Out = T;

    fn name(&self) -> &'static str {
        "policy_mix"
    }

    fn options(&self) -> Value {
        options_of(self)
    }

    fn check(&self) -> Result<()> {
        check_share("share", self.share)
    }

    fn apply(&self, records: Vec<T>, seed: u64) -> Result<Curated<T>> {
        self.check()?;
        let mut reasons = vec![Some("no_policy"); records.len()];
        let (mut on, mut off) = (Vec::new(), Vec::new());
        for (place, record) in records.iter().enumerate() {
            match self.on_policy.of(record) {
                Some(true) => on.push(place),
                Some(false) => off.push(place),
                None => {}
            }
        }
        // The largest total of which neither side is asked for more than there is.
        let total = |side: &[usize], share: f64| if share > 0.0 { side.len() as f64 / share } else { f64::INFINITY };
        let total = total(&on, self.share).min(total(&off, 1.0 - self.share));
        for (mut side, share) in [(on, self.share), (off, 1.0 - self.share)] {
            let kept = (total * share + 1e-9) as usize;
            let draw = |place: &usize| keyed_uniform(seed, "policy_mix", &record_key(&records[*place]));
            side.sort_by(|a, b| draw(a).total_cmp(&draw(b)).then(a.cmp(b)));
            for (rank, place) in side.into_iter().enumerate() {
                reasons[place] = (rank >= kept).then_some("policy_mix");
            }
        }
        Ok(sift(self, records, seed, reasons))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Pair,
        curation::testing::{List, pair},
    };

    #[test]
    fn instructions_on_which_models_differ_most_go() {
        // variances ½, 2, 8, 18: their median is 5
        let lists: Vec<_> = [1.0, 2.0, 4.0, 6.0].map(|d| List::scored("q", &[5.0, 5.0 + d])).to_vec();
        let curated = InstructionFilter::default().apply(lists.clone(), 0).unwrap();
        assert_eq!(curated.dropped.iter().map(|dropped| dropped.index).collect::<Vec<_>>(), [2, 3]);
        assert!((curated.report.figure("max_score_variance").unwrap() - 5.0).abs() < 1e-12);
        let few = vec![List::scored("q", &[1.0]), List::scored("q", &[1.0, f64::NAN]), List::scored("q", &[1.0, 3.0])];
        let value = InstructionFilter { limit: VarianceLimit::Value(2.0 + 1e-9) };
        let report = value.apply(few, 0).unwrap().report;
        assert_eq!((report.dropped["unscored"], report.outputs), (2, 1));
        let value = InstructionFilter { limit: VarianceLimit::Value(1.9) };
        assert_eq!(value.apply(lists, 0).unwrap().report.dropped["high_variance"], 3);
    }

    #[test]
    fn limits_out_of_their_domain_are_errors() {
        for limit in [VarianceLimit::Quantile(1.5), VarianceLimit::Value(-1.0), VarianceLimit::Value(f64::NAN)] {
            let error = InstructionFilter { limit }.apply(Vec::<List>::new(), 0).unwrap_err().to_string();
            assert!(error.starts_with("`limit`"), "{error}");
        }
    }

    #[test]
    fn the_mix_has_the_stated_share_and_is_as_large_as_it_can_be() {
        let on_policy = |record: &Pair| match record.prompt.as_plain()?.chars().next()? {
            'n' => Some(true),
            'f' => Some(false),
            _ => None,
        };
        let mix = |share| PolicyMix { on_policy: Column::new("on_policy", on_policy), share };
        let mut records: Vec<_> = (0..6).map(|i| pair(&format!("n{i}"))).collect();
        records.extend((0..10).map(|i| pair(&format!("f{i}"))));
        records.push(pair("unknown"));
        let count = |share| {
            let curated = mix(share).apply(records.clone(), 1).unwrap();
            assert_eq!(curated.report.dropped["no_policy"], 1);
            let on = curated.records.iter().filter(|record| on_policy(record) == Some(true)).count();
            (on, curated.records.len() - on)
        };
        assert_eq!(
            [count(0.5), count(0.75), count(0.2), count(0.0), count(1.0)],
            [(6, 6), (6, 2), (2, 10), (0, 10), (6, 0)]
        );
        assert!(mix(1.1).apply(vec![], 0).is_err());
    }
}
