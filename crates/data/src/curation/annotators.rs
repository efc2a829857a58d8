//! Statistics of annotators and items, and aggregation of votes by majority.
//!
//! **Use when:** several annotators judged the same items.
//! **Deviations:** annotators modeled as noisy channels (Dawid and Skene) are in
//! `accordant_preference::ranking::dawid_skene`; the coefficients of agreement of a data set are metrics.

use std::collections::BTreeMap;

use serde::Serialize;

use super::numbers::quantile;

/// What an annotator said about an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// The response shown first is better.
    First,
    /// The other is.
    Second,
    /// Neither is.
    Tie,
}

/// One judgment.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Judgment<'a> {
    /// The item that was judged. All its judgments speak of the same two responses in the same order.
    pub item: &'a str,
    /// Who judged.
    pub annotator: &'a str,
    /// What was said.
    pub choice: Choice,
    /// Whether the response of `First` stood in the first position on the screen; none where it is not known.
    pub first_on_screen: Option<bool>,
    /// Whether the response of `First` is the longer one; none where that is not known or lengths are equal.
    pub first_longer: Option<bool>,
    /// How long it took, in milliseconds.
    pub response_time_ms: Option<f64>,
}

impl<'a> Judgment<'a> {
    /// A judgment with nothing but what was said.
    pub fn new(item: &'a str, annotator: &'a str, choice: Choice) -> Self {
        Self { item, annotator, choice, first_on_screen: None, first_longer: None, response_time_ms: None }
    }
}

/// The votes on an item.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct ItemStatistics {
    /// Votes for the first response, the second one, and ties.
    pub votes: [usize; 3],
    /// The entropy of their shares, in nats.
    pub entropy: f64,
    /// The share of votes that the most frequent answer has.
    pub majority_share: f64,
}

impl ItemStatistics {
    fn of(votes: [usize; 3]) -> Self {
        let total: usize = votes.iter().sum();
        let shares = votes.map(|count| count as f64 / total.max(1) as f64);
        let entropy = shares.iter().filter(|share| **share > 0.0).map(|share| -share * share.ln()).sum();
        Self { votes, entropy, majority_share: shares.into_iter().fold(0.0, f64::max) }
    }
}

/// The habits of an annotator. Shares are none where they are over nothing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AnnotatorStatistics {
    /// Judgments.
    pub judgments: usize,
    /// Of the votes that were no tie, on items where the others have a majority for one response: the share that
    /// agrees.
    pub agreement: Option<f64>,
    /// How many votes that is of.
    pub agreement_of: usize,
    /// The share of ties.
    pub tie_rate: f64,
    /// Of the votes that were no tie and whose positions are known: the share for the first position.
    pub first_position_rate: Option<f64>,
    /// Of the votes that were no tie and whose lengths are known: the share for the longer response.
    pub longer_rate: Option<f64>,
    /// The median time, in milliseconds.
    pub median_response_time_ms: Option<f64>,
    /// The longest run of one answer, in the order of the judgments: long runs are a sign of straight-lining.
    pub longest_run: usize,
}

/// The statistics of each item.
pub fn item_statistics<'a>(judgments: &[Judgment<'a>]) -> BTreeMap<&'a str, ItemStatistics> {
    votes(judgments).into_iter().map(|(item, votes)| (item, ItemStatistics::of(votes))).collect()
}

fn votes<'a>(judgments: &[Judgment<'a>]) -> BTreeMap<&'a str, [usize; 3]> {
    let mut votes: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    for judgment in judgments {
        votes.entry(judgment.item).or_default()[judgment.choice as usize] += 1;
    }
    votes
}

/// What the votes say without this one: whether the first response has more votes; none in a tie or without a vote.
fn leave_one_out(mut votes: [usize; 3], own: Choice) -> Option<Choice> {
    votes[own as usize] = votes[own as usize].saturating_sub(1);
    match votes[0].cmp(&votes[1]) {
        std::cmp::Ordering::Greater => Some(Choice::First),
        std::cmp::Ordering::Less => Some(Choice::Second),
        std::cmp::Ordering::Equal => None,
    }
}

/// The statistics of each annotator.
///
/// # Example
/// ```
/// use accordant_data::curation::annotators::{Choice, Judgment, annotator_statistics};
/// let say = |annotator, choice| Judgment::new("item", annotator, choice);
/// let all = [say("ann", Choice::First), say("bob", Choice::First), say("eve", Choice::Second)];
/// let statistics = annotator_statistics(&all);
/// assert_eq!(statistics["eve"].agreement, Some(0.0)); // ann and bob agree
/// assert_eq!(statistics["ann"].agreement, None); // bob and eve do not
/// ```
pub fn annotator_statistics<'a>(judgments: &[Judgment<'a>]) -> BTreeMap<&'a str, AnnotatorStatistics> {
    let votes = votes(judgments);
    let mut annotators: BTreeMap<&str, Vec<&Judgment<'a>>> = BTreeMap::new();
    judgments.iter().for_each(|judgment| annotators.entry(judgment.annotator).or_default().push(judgment));
    let statistics = |own: Vec<&Judgment<'a>>| {
        let share = |hits: Vec<bool>| {
            let count = hits.len();
            (count > 0).then(|| hits.into_iter().filter(|hit| *hit).count() as f64 / count as f64)
        };
        let decided: Vec<_> = own.iter().filter(|judgment| judgment.choice != Choice::Tie).collect();
        let agrees = |judgment: &&&Judgment<'a>| {
            let others = leave_one_out(votes[judgment.item], judgment.choice)?;
            Some(others == judgment.choice)
        };
        let agreement: Vec<bool> = decided.iter().filter_map(agrees).collect();
        let for_first = |flag: fn(&Judgment<'a>) -> Option<bool>| {
            let hit = |judgment: &&&Judgment<'a>| Some(flag(judgment)? == (judgment.choice == Choice::First));
            share(decided.iter().filter_map(hit).collect())
        };
        let times: Vec<f64> = own.iter().filter_map(|judgment| judgment.response_time_ms).collect();
        let choices: Vec<Choice> = own.iter().map(|judgment| judgment.choice).collect();
        AnnotatorStatistics {
            judgments: own.len(),
            agreement_of: agreement.len(),
            agreement: share(agreement),
            tie_rate: (own.len() - decided.len()) as f64 / own.len() as f64,
            first_position_rate: for_first(|judgment| judgment.first_on_screen),
            longer_rate: for_first(|judgment| judgment.first_longer),
            median_response_time_ms: quantile(&times, 0.5),
            longest_run: choices.chunk_by(|a, b| a == b).map(<[_]>::len).max().unwrap_or(0),
        }
    };
    annotators.into_iter().map(|(annotator, own)| (annotator, statistics(own))).collect()
}

/// How votes become one label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregation {
    /// One vote each.
    #[default]
    Majority,
    /// Weighted by the log-odds of each annotator's agreement with the others, clipped to `[0.55, 0.99]`; annotators of
    /// whom that is not known weigh least.
    WeightedMajority,
}

/// The least and the largest accuracy that a weight is made of.
const ACCURACY: (f64, f64) = (0.55, 0.99);

/// The label of each item: the response with more weight; a tie if both have the same. Votes for a tie count for
/// neither.
///
/// # Example
/// ```
/// use accordant_data::curation::annotators::{Aggregation, Choice, Judgment, aggregate};
/// let say = |annotator, choice| Judgment::new("item", annotator, choice);
/// let all = [say("ann", Choice::First), say("bob", Choice::First), say("eve", Choice::Second)];
/// assert_eq!(aggregate(&all, Aggregation::Majority)["item"], Choice::First);
/// assert_eq!(aggregate(&all[1..], Aggregation::Majority)["item"], Choice::Tie);
/// ```
pub fn aggregate<'a>(judgments: &[Judgment<'a>], aggregation: Aggregation) -> BTreeMap<&'a str, Choice> {
    let statistics = annotator_statistics(judgments);
    let weight = |annotator: &str| match aggregation {
        Aggregation::Majority => 1.0,
        Aggregation::WeightedMajority => {
            let known = statistics.get(annotator).and_then(|statistics| statistics.agreement);
            let accuracy = known.unwrap_or(ACCURACY.0).clamp(ACCURACY.0, ACCURACY.1);
            (accuracy / (1.0 - accuracy)).ln()
        }
    };
    let mut balance: BTreeMap<&str, f64> = BTreeMap::new();
    for judgment in judgments {
        let sign = match judgment.choice {
            Choice::First => 1.0,
            Choice::Second => -1.0,
            Choice::Tie => 0.0,
        };
        *balance.entry(judgment.item).or_default() += sign * weight(judgment.annotator);
    }
    let label = |balance: f64| match balance {
        // Weights that cancel do so up to rounding.
        balance if balance.abs() < 1e-9 => Choice::Tie,
        balance if balance > 0.0 => Choice::First,
        _ => Choice::Second,
    };
    balance.into_iter().map(|(item, balance)| (item, label(balance))).collect()
}

/// Two models in the order of the alphabet, and the score of the first.
type OrientedVote<'a> = ((&'a str, &'a str), f64);

/// A vote of an arena: two models, and 1 for the first of them, ½ for a tie, 0 for the second.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ArenaVote<'a> {
    /// Who voted.
    pub user: &'a str,
    /// One model.
    pub model_a: &'a str,
    /// The other.
    pub model_b: &'a str,
    /// 1, ½ or 0.
    pub score_a: f64,
}

impl<'a> ArenaVote<'a> {
    /// The models in the order of the alphabet, and the score of the first of these.
    fn oriented(&self) -> OrientedVote<'a> {
        match self.model_a <= self.model_b {
            true => ((self.model_a, self.model_b), self.score_a),
            false => ((self.model_b, self.model_a), 1.0 - self.score_a),
        }
    }
}

/// Votes of a user that are looked at, at least and at most.
const OUTLIER_VOTES: (usize, usize) = (5, 100);

/// Users whose votes are unlikely to come from the crowd, as the arena's test has it.
///
/// For each vote `x` of a user with 5 votes and more, in order and up to 100: `p_up` is the share of all wins and
/// losses on these two models that are ≤ x, `p_lo` the share that are ≥ x. The products of `1 / (2 p_up)` and `1 / (2
/// p_lo)` are each a bet against the user; one above `1 / alpha` flags, and so does a share of 0 (a vote nobody else
/// shares has its own in it). Votes on models without a win or a loss say nothing. By Ville's inequality, an honest
/// user is flagged with a probability of `2 alpha` at most.
///
/// # Errors
/// [`crate::Error::Domain`] unless `alpha` is in `(0, 1)`.
#[doc(alias = "Chatbot Arena")]
pub fn outlier_users<'a>(votes: &[ArenaVote<'a>], alpha: f64) -> crate::Result<Vec<&'a str>> {
    super::numbers::check_domain(alpha > 0.0 && alpha < 1.0, "alpha", "in (0, 1)", alpha)?;
    let mut pairs: BTreeMap<(&str, &str), (f64, f64)> = BTreeMap::new();
    let mut users: BTreeMap<&str, Vec<OrientedVote>> = BTreeMap::new();
    for vote in votes {
        let (pair, score) = vote.oriented();
        let (wins, losses) = pairs.entry(pair).or_default();
        *wins += f64::from(u8::from(score == 1.0));
        *losses += f64::from(u8::from(score == 0.0));
        users.entry(vote.user).or_default().push((pair, score));
    }
    let flagged = |votes: &[OrientedVote]| {
        let (mut up, mut low) = (1.0, 1.0);
        votes.iter().take(OUTLIER_VOTES.1).any(|(pair, score)| {
            let (wins, losses) = pairs[pair];
            let total = wins + losses;
            if total == 0.0 {
                return false;
            }
            let p_up = (losses + if *score >= 1.0 { wins } else { 0.0 }) / total;
            let p_low = (wins + if *score <= 0.0 { losses } else { 0.0 }) / total;
            up /= 2.0 * p_up;
            low /= 2.0 * p_low;
            up > 1.0 / alpha || low > 1.0 / alpha
        })
    };
    let long = users.into_iter().filter(|(_, votes)| votes.len() >= OUTLIER_VOTES.0);
    Ok(long.filter(|(_, votes)| flagged(votes)).map(|(user, _)| user).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use Choice::{First, Second, Tie};

    fn say<'a>(item: &'a str, annotator: &'a str, choice: Choice) -> Judgment<'a> {
        Judgment::new(item, annotator, choice)
    }

    #[test]
    fn items_have_votes_entropies_and_majorities() {
        let judgments =
            [say("a", "x", First), say("a", "y", First), say("a", "z", Tie), say("a", "w", Second), say("b", "x", Tie)];
        let statistics = item_statistics(&judgments);
        let item = statistics["a"];
        assert_eq!((item.votes, item.majority_share), ([2, 1, 1], 0.5));
        // −½ ln ½ − 2 · ¼ ln ¼ = 1½ ln 2
        assert!((item.entropy - 1.5 * 2f64.ln()).abs() < 1e-15);
        assert_eq!((statistics["b"].entropy, statistics["b"].majority_share), (0.0, 1.0));
    }

    #[test]
    fn habits_of_an_annotator() {
        let mut judgments = vec![
            say("1", "x", First),
            say("2", "x", First),
            say("3", "x", Tie),
            say("4", "x", Second),
            say("5", "x", Second),
            say("1", "y", First),
            say("1", "z", First),
            say("2", "y", Second),
            say("3", "y", First),
            say("4", "y", First),
            say("4", "z", Second),
        ];
        judgments[0] = Judgment {
            first_on_screen: Some(true),
            first_longer: Some(true),
            response_time_ms: Some(10.0),
            ..judgments[0]
        };
        judgments[1] = Judgment { first_on_screen: Some(false), response_time_ms: Some(40.0), ..judgments[1] };
        judgments[2] = Judgment {
            first_on_screen: Some(true),
            first_longer: Some(true),
            response_time_ms: Some(20.0),
            ..judgments[2]
        };
        judgments[3] = Judgment { first_longer: Some(false), ..judgments[3] };
        judgments[4] = Judgment { first_on_screen: Some(true), first_longer: Some(true), ..judgments[4] };
        let x = &annotator_statistics(&judgments)["x"];
        // Item 1 agrees, 2 does not, 3 is a tie, the others of 4 are divided, 5 has no others.
        assert_eq!((x.judgments, x.agreement, x.agreement_of, x.tie_rate), (5, Some(0.5), 2, 0.2));
        assert_eq!(x.first_position_rate, Some(1.0 / 3.0), "first, second, second of three known");
        assert_eq!(x.longer_rate, Some(2.0 / 3.0), "yes, yes, no");
        assert_eq!((x.median_response_time_ms, x.longest_run), (Some(20.0), 2));
        let z = &annotator_statistics(&judgments)["z"];
        assert_eq!((z.first_position_rate, z.median_response_time_ms), (None, None));
    }

    #[test]
    fn who_agrees_with_the_others_weighs_more() {
        // Ann and bob agree on nine items and cid contradicts them; on the tenth ann stands against cid and dan.
        let items: Vec<String> = (0..9).map(|i| format!("i{i}")).collect();
        let mut judgments = Vec::new();
        for item in &items {
            judgments.extend([say(item, "ann", First), say(item, "bob", First), say(item, "cid", Second)]);
        }
        judgments.extend([say("last", "ann", First), say("last", "cid", Second), say("last", "dan", Second)]);
        assert_eq!(aggregate(&judgments, Aggregation::Majority)["last"], Second);
        // With eve, who agrees with ann and bob, ann has 9 of 10 and cid none.
        for item in &items {
            judgments.push(say(item, "eve", First));
        }
        let weights = annotator_statistics(&judgments);
        assert_eq!((weights["ann"].agreement, weights["cid"].agreement), (Some(0.9), Some(0.0)));
        // ln 9 = 2.197 against 2 ln(0.55 / 0.45) = 0.401
        assert_eq!(aggregate(&judgments, Aggregation::WeightedMajority)["last"], First);
        assert_eq!(aggregate(&[say("a", "x", Tie)], Aggregation::Majority)["a"], Tie);
    }

    fn crowd<'a>() -> Vec<ArenaVote<'a>> {
        let vote = |user, score_a| ArenaVote { user, model_a: "m", model_b: "n", score_a };
        let mut votes = vec![vote("crowd", 1.0); 94];
        // One honest user among them, and one who says the opposite six times, once with the models turned around.
        votes.extend([vote("odd", 0.0); 5]);
        votes.push(ArenaVote { user: "odd", model_a: "n", model_b: "m", score_a: 1.0 });
        votes
    }

    #[test]
    fn who_votes_against_the_crowd_is_flagged() {
        // p_up of a loss is 6/100: 1/(0.12) = 8.33, twice 69.4 > 20; a crowd vote has p_up 1, p_lo 94/100: (1/1.88)^n.
        assert_eq!(outlier_users(&crowd(), 0.05).unwrap(), ["odd"]);
        assert_eq!(outlier_users(&crowd()[..98], 0.05).unwrap(), [""; 0], "four votes are too few");
        // 8.33 > 1/0.5 by the first vote, and (25/3)^6 = 334898 < 1/2e-6.
        assert_eq!(outlier_users(&crowd(), 0.5).unwrap(), ["odd"]);
        assert_eq!(outlier_users(&crowd(), 2e-6).unwrap(), [""; 0]);
        let ties = vec![ArenaVote { user: "u", model_a: "m", model_b: "n", score_a: 0.5 }; 9];
        assert_eq!(outlier_users(&ties, 0.05).unwrap(), [""; 0], "no win or loss to compare with");
        for alpha in [0.0, 1.0, f64::NAN] {
            assert!(outlier_users(&ties, alpha).is_err());
        }
    }

    #[test]
    fn a_tie_where_all_others_win_flags_at_once() {
        // The shares ≤ ½ of wins only are 0: infinitely unlikely.
        let mut votes = crowd()[..90].to_vec();
        votes.extend(vec![ArenaVote { user: "tied", model_a: "m", model_b: "n", score_a: 0.5 }; 5]);
        assert_eq!(outlier_users(&votes, 1e-9).unwrap(), ["tied"]);
    }
}
