//! Pairs to comparisons: the answer hidden again.

use rand::Rng;

use super::{ConversionReport, Drop, each, keep};
use crate::{
    order::{Purpose, stream},
    record::{Comparison, Pair, comparison::Outcome},
};

/// Which side of a comparison the chosen completion becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SideRule {
    /// Either, drawn with this seed.
    Random(u64),
    /// `a`.
    ChosenFirst,
}

/// Turns pairs into comparisons. Joint pairs, whose completions answer different prompts, are dropped as `joint`.
///
/// # Example
/// ```
/// use accordant_data::{Pair, convert::{SideRule, pair_to_comparison}, record::comparison::Outcome};
/// let (made, _) = pair_to_comparison([Pair::new("Q", " x", " y")?], SideRule::ChosenFirst);
/// assert_eq!((made[0].a.as_plain(), made[0].outcome), (Some(" x"), Some(Outcome::A)));
/// # Ok::<(), accordant_data::report::Reason>(())
/// ```
pub fn pair_to_comparison(
    pairs: impl IntoIterator<Item = Pair>,
    side: SideRule,
) -> (Vec<Comparison>, ConversionReport) {
    let mut random = match side {
        SideRule::Random(seed) => Some(stream(seed, Purpose::Sides, 0)),
        SideRule::ChosenFirst => None,
    };
    each(ConversionReport::new("pair_to_comparison", true), pairs, |pair, _| {
        if pair.prompt_rejected.is_some() {
            return Err(Drop("joint"));
        }
        let swap = random.as_mut().is_some_and(|random| random.random::<bool>());
        let comparison = chosen_first(pair);
        Ok(vec![if swap { comparison.swapped() } else { comparison }])
    })
}

fn chosen_first(pair: Pair) -> Comparison {
    let mut envelope = pair.envelope;
    let meta = &mut envelope.meta;
    keep(meta, "margin", pair.margin);
    keep(meta, "score_chosen", pair.score_chosen);
    keep(meta, "score_rejected", pair.score_rejected);
    keep(meta, "ref_id", pair.ref_id);
    keep(meta, "ref_chosen_logps", pair.ref_chosen_logps);
    keep(meta, "ref_rejected_logps", pair.ref_rejected_logps);
    keep(meta, "chosen_factual", pair.chosen_factual);
    keep(meta, "rejected_factual", pair.rejected_factual);
    keep(meta, "chosen_claims", pair.chosen_claims);
    keep(meta, "rejected_claims", pair.rejected_claims);
    Comparison {
        outcome: Some(Outcome::A),
        p_a: pair.p_chosen,
        strength: pair.strength,
        a_source: pair.chosen_source,
        b_source: pair.rejected_source,
        criteria: pair.criteria,
        envelope,
        ..Comparison::unchecked(pair.prompt, pair.chosen, pair.rejected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        convert::{OrientOptions, orient},
        record::comparison::Strength,
    };

    fn pairs() -> Vec<Pair> {
        let strength = Some(Strength { value: 2, levels: 3 });
        let pair = |i: i32| Pair {
            p_chosen: Some(0.75),
            strength,
            chosen_source: Some("m".into()),
            score_chosen: Some(4.0),
            ..Pair::new(format!("q{i}"), " x", " y").unwrap()
        };
        (0..64).map(pair).collect()
    }

    #[test]
    fn sides_are_drawn_with_the_seed_and_who_won_stays_the_same() {
        let (made, report) = pair_to_comparison(pairs(), SideRule::Random(7));
        assert!(report.is_conserved() && report.lossless);
        let first = |made: &[Comparison]| made.iter().filter(|one| one.outcome == Some(Outcome::A)).count();
        // 64 fair coins: fewer than 16 or more than 48 heads come once in 60000 seeds.
        assert!((16..=48).contains(&first(&made)), "{}", first(&made));
        assert_eq!(made, pair_to_comparison(pairs(), SideRule::Random(7)).0);
        assert_ne!(made, pair_to_comparison(pairs(), SideRule::Random(8)).0);
        assert_eq!(first(&pair_to_comparison(pairs(), SideRule::ChosenFirst).0), 64);
        let (back, _) = orient(made, &OrientOptions::default());
        for (pair, back) in pairs().into_iter().zip(back) {
            assert_eq!((&pair.prompt, &pair.chosen, &pair.rejected), (&back.prompt, &back.chosen, &back.rejected));
            assert_eq!(
                (pair.p_chosen, pair.strength, &pair.chosen_source),
                (back.p_chosen, back.strength, &back.chosen_source)
            );
            assert_eq!(back.envelope.meta["score_chosen"], 4.0);
        }
    }

    #[test]
    fn joint_pairs_are_dropped() {
        let joint = Pair { prompt_rejected: Some("p".into()), ..Pair::new("q", " x", " y").unwrap() };
        assert_eq!(pair_to_comparison([joint], SideRule::ChosenFirst).1.dropped["joint"], 1);
    }
}
