//! What every rule for a matrix of preferences must do, on the matrix of a table of judged pairs: one row for each.
//!
//! Losses of this family have their rows in [`crate::pairwise`].

use accordant_laws::fits::{
    self,
    Claim::{self, Centered, Reversed, Scaled, Unordered, Weighted},
    Judged, Outcomes, Table,
};

use super::{
    PreferenceMatrix,
    embedding::{embed_from_matrix, skew_score},
    hodge::hodge,
    kemeny::kemeny,
    kl_nash::KlNashConfig,
    lottery::maximal_lottery,
    majority_sets::{tiers, uncovered_set},
    most_even_lottery::most_even_lottery,
    ranked_pairs::ranked_pairs,
    schulze::{path_strengths, schulze},
    self_play::SelfPlayConfig,
    transitivity::{bradley_terry_gap, consistence, num_cyclic_triples, stochastic_transitivity},
    winners::{borda_scores, condorcet_winner, copeland_scores, minimax_scores},
};
use crate::{
    WinMatrix,
    ranking::{NewtonConfig, laws::judged},
};

fn wins(table: &Table<Judged>) -> WinMatrix {
    judged(table.num_items, &table.records).wins()
}

fn of(table: &Table<Judged>) -> PreferenceMatrix {
    PreferenceMatrix::from_wins(&wins(table)).unwrap()
}

fn margins(matrix: &PreferenceMatrix) -> Vec<Vec<f64>> {
    (0..matrix.num_items()).map(|i| matrix.row(i).to_vec()).collect()
}

/// How far above the middle the items of an order are.
fn places(order: &[usize]) -> Vec<f64> {
    let mut places = vec![0.0; order.len()];
    order.iter().enumerate().for_each(|(at, item)| places[*item] = 0.5 * (order.len() - 1) as f64 - at as f64);
    places
}

/// 1 for the members of a set.
fn members(num_items: usize, set: &[usize]) -> Vec<f64> {
    (0..num_items).map(|item| f64::from(set.contains(&item))).collect()
}

/// A number that is nobody's.
fn of_all(num_items: usize, number: f64) -> Vec<f64> {
    vec![number; num_items]
}

const ALL: &[Claim] = &[Unordered, Weighted, Scaled, Reversed, Centered];
/// The best of who lost is not the worst of who won.
const FROM_THE_TOP: &[Claim] = &[Unordered, Weighted, Scaled];
/// Less ½, or of both ends alike.
const SYMMETRIC: &[Claim] = &[Unordered, Weighted, Scaled, Reversed];

type Fit<'a> = (&'a str, &'a [Claim], &'a dyn Fn(&Table<Judged>) -> Vec<f64>);

#[test]
fn every_rule_for_a_matrix_obeys_the_laws() {
    let half = |scores: Vec<f64>| scores.into_iter().map(|score| score - 0.5).collect();
    let even = |n: usize| vec![1.0 / n as f64; n];
    let rules: &[Fit] = &[
        ("borda_scores", ALL, &|t| half(borda_scores(&of(t)))),
        ("copeland_scores", ALL, &|t| half(copeland_scores(&of(t)))),
        ("minimax_scores", FROM_THE_TOP, &|t| minimax_scores(&of(t))),
        ("condorcet_winner", FROM_THE_TOP, &|t| {
            members(t.num_items, &condorcet_winner(&of(t)).into_iter().collect::<Vec<_>>())
        }),
        ("uncovered_set", FROM_THE_TOP, &|t| members(t.num_items, &uncovered_set(&of(t)))),
        ("tiers", SYMMETRIC, &|t| {
            let tiers = tiers(&of(t));
            let mut scores = vec![0.0; t.num_items];
            for (at, tier) in tiers.iter().enumerate() {
                tier.iter().for_each(|item| scores[*item] = 0.5 * (tiers.len() - 1) as f64 - at as f64);
            }
            scores
        }),
        ("maximal_lottery", FROM_THE_TOP, &|t| maximal_lottery(&of(t)).unwrap().chances),
        ("most_even_lottery", FROM_THE_TOP, &|t| most_even_lottery(&of(t)).unwrap().chances),
        ("self_play", FROM_THE_TOP, &|t| SelfPlayConfig::new(0.1).fit(&of(t)).unwrap().chances),
        ("kl_nash", FROM_THE_TOP, &|t| {
            let found = KlNashConfig::new(0.3).fit(&of(t), &even(t.num_items)).unwrap();
            assert!(found.converged);
            found.chances
        }),
        ("kemeny", ALL, &|t| places(&kemeny(&of(t)).unwrap())),
        ("ranked_pairs", ALL, &|t| places(&ranked_pairs(&of(t)))),
        ("schulze", ALL, &|t| places(&schulze(&of(t)))),
        ("path_strengths", FROM_THE_TOP, &|t| path_strengths(&of(t)).iter().map(|row| row.iter().sum()).collect()),
        ("hodge", ALL, &|t| hodge(&margins(&of(t)), None).unwrap().scores),
        ("hodge, by how often they met", ALL, &|t| {
            let wins = wins(t);
            let met = |i: usize, j: usize| wins.wins(i, j) + wins.wins(j, i) + wins.ties(i, j);
            // The same number both ways, whatever the order of the sum.
            let met = |i: usize, j: usize| met(i.min(j), i.max(j));
            let met: Vec<Vec<f64>> = (0..t.num_items).map(|i| (0..t.num_items).map(|j| met(i, j)).collect()).collect();
            hodge(&margins(&of(t)), Some(&met)).unwrap().scores
        }),
        ("embed_from_matrix", ALL, &|t| {
            let found = embed_from_matrix(&margins(&of(t)), None).unwrap().embeddings;
            let lead = |item: &Vec<f64>| found.iter().map(|other| skew_score(item, other).unwrap()).sum();
            found.iter().map(lead).collect()
        }),
        ("num_cyclic_triples", FROM_THE_TOP, &|t| of_all(t.num_items, num_cyclic_triples(&of(t)) as f64)),
        ("consistence", FROM_THE_TOP, &|t| of_all(t.num_items, consistence(&of(t)).unwrap_or(2.0))),
        ("stochastic_transitivity", FROM_THE_TOP, &|t| {
            let found = stochastic_transitivity(&of(t));
            let all = [found.triples, found.weak_violations, found.moderate_violations, found.strong_violations];
            of_all(t.num_items, all.iter().fold(0.0, |code, count| 1e3 * code + *count as f64))
        }),
        ("bradley_terry_gap", FROM_THE_TOP, &|t| {
            of_all(t.num_items, bradley_terry_gap(&wins(t), &NewtonConfig::new()).unwrap())
        }),
    ];
    for (name, claims, fit) in rules {
        if let Err(broken) = fits::pair_fit(Outcomes::All, claims, 1e-6, fit) {
            panic!("{name} {broken}");
        }
        // Where a claim is not made it does not hold.
        for claim in ALL.iter().filter(|claim| !claims.contains(claim)) {
            fits::pair_fit(Outcomes::All, &[*claim], 1e-6, fit).expect_err(&format!("{name} {claim:?}"));
        }
    }
}

#[test]
fn of_pairs_that_are_all_compared_both_lotteries_are_the_same_and_even_scores_are_means_of_rows() {
    let maximal = |t: &Table<Judged>| maximal_lottery(&of(t)).unwrap().chances;
    let even = |t: &Table<Judged>| most_even_lottery(&of(t)).unwrap().chances;
    fits::same_fits(Outcomes::All, 1e-9, &[("maximal", &maximal), ("most even", &even)]).unwrap();
    let scores = |t: &Table<Judged>| hodge(&margins(&of(t)), None).unwrap().scores;
    // A row of n has n − 1 others in it.
    let means = |t: &Table<Judged>| {
        let n = t.num_items as f64;
        borda_scores(&of(t)).iter().map(|score| (score - 0.5) * (n - 1.0) / n).collect::<Vec<_>>()
    };
    fits::same_fits(Outcomes::All, 1e-12, &[("hodge", &scores), ("borda", &means)]).unwrap();
}

#[test]
fn no_order_disagrees_less_than_kemenys_and_no_lottery_gains_against_a_maximal_one() {
    // Every exchange of two items, as a move of the objective: what the majorities lose.
    let agreement = |t: &Table<Judged>, at: &[f64]| {
        let matrix = of(t);
        let pairs = (0..t.num_items).flat_map(|i| (0..t.num_items).map(move |j| (i, j)));
        pairs.filter(|&(i, j)| at[i] > at[j]).map(|(i, j)| matrix.margin(i, j)).sum::<f64>()
    };
    // Places are a whole number apart: moves of 1.5 exchange neighbors, and smaller ones nobody.
    let stretched = |t: &Table<Judged>| places(&kemeny(&of(t)).unwrap()).iter().map(|x| 0.4 * x).collect::<Vec<_>>();
    fits::best_fit(Outcomes::All, 1e-12, stretched, agreement).unwrap();
    // The worst opponent of a lottery, of chances that are brought back to a sum of 1.
    let worst = |t: &Table<Judged>, at: &[f64]| {
        let matrix = of(t);
        let total: f64 = at.iter().map(|x| x.max(0.0)).sum();
        let chances: Vec<f64> = at.iter().map(|x| x.max(0.0) / total).collect();
        -matrix.gains(&chances).unwrap().into_iter().fold(f64::NEG_INFINITY, f64::max)
    };
    fits::best_fit(Outcomes::All, 1e-9, |t| maximal_lottery(&of(t)).unwrap().chances, worst).unwrap();
}
