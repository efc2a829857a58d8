//! The castle strategies: what is published with them, and their maximal lottery.

#[path = "../../../examples/cyclic/castles.rs"]
mod castles;

use std::{io::Write, path::PathBuf};

use accordant_preference::general::{
    blotto::preferences,
    embedding::embed_from_matrix,
    lottery::maximal_lottery,
    majority_sets::{smith_set, uncovered_set},
    transitivity::num_cyclic_triples,
    winners::{condorcet_winner, copeland_scores},
};

/// All strategies, or none where the data are absent.
fn strategies() -> Option<Vec<Vec<f64>>> {
    let shared = std::env::var_os("ACCORDANT_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let path = shared.join("data/riddler_castles/castle-solutions.csv");
    if !path.exists() {
        // Past the test harness, which would swallow it.
        writeln!(std::io::stderr(), "SKIPPED: {} is not there", path.display()).expect("standard error is open");
        return None;
    }
    Some(castles::read(&path).unwrap())
}

#[test]
fn counts_and_winners_are_the_published_ones() {
    let Some(all) = strategies() else { return };
    assert_eq!((all.len(), castles::distinct(&all).len()), (1349, 1164));
    let matrix = preferences(&all).unwrap();
    let pairs = (0..1349).flat_map(|i| (i + 1..1349).map(move |j| (i, j)));
    assert_eq!(pairs.filter(|&(i, j)| matrix.margin(i, j) == 0.0).count(), 15_892);
    assert_eq!(num_cyclic_triples(&matrix), 64_494_951);
    let scores = copeland_scores(&matrix);
    let mut order: Vec<usize> = (0..1349).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    // Wins and losses of the best five.
    let published = [(285, 1132, 207), (278, 1123, 201), (164, 1125, 204), (1131, 1119, 208), (594, 1115, 218)];
    for (&item, (expected, wins, losses)) in order.iter().zip(published) {
        let won = (0..1349).filter(|&other| matrix.beats(item, other)).count();
        let lost = (0..1349).filter(|&other| matrix.beats(other, item)).count();
        assert_eq!((item, won, lost), (expected, wins, losses));
    }
    assert_eq!(condorcet_winner(&matrix), None);
}

#[test]
fn the_matrix_has_more_than_one_block() {
    let Some(all) = strategies() else { return };
    let matrix = preferences(&all[..300]).unwrap();
    let signs: Vec<Vec<f64>> = (0..300).map(|i| matrix.row(i).iter().map(|margin| 2.0 * margin).collect()).collect();
    let found = embed_from_matrix(&signs, Some(4)).unwrap();
    let published = [131.5960784242551, 84.10226835025323, 71.50560223539016, 50.175301730234125];
    for (value, expected) in found.eigenvalues.iter().zip(published) {
        assert!((value - expected).abs() < 1e-8, "{value} {expected}");
    }
}

#[test]
fn the_maximal_lottery_of_all_strategies() {
    let Some(all) = strategies() else { return };
    let matrix = preferences(&castles::distinct(&all)).unwrap();
    let lottery = maximal_lottery(&matrix).unwrap();
    assert!(lottery.exploitability < 1e-9, "{}", lottery.exploitability);
    let (top, uncovered, played) = (smith_set(&matrix), uncovered_set(&matrix), lottery.played());
    println!(
        "{} played, {} uncovered, {} in the top cycle, unique: {}",
        played.len(),
        uncovered.len(),
        top.len(),
        lottery.unique
    );
    assert!(played.iter().all(|item| top.contains(item)));
}
