//! The ratings: of the food survey, or of a seeded world that resembles it.

use std::path::Path;

use accordant::preference::plural::{UserPairs, pairs_of_ratings, world::survey as survey_world};
use anyhow::{Context, Result};

/// The columns of the 40 cuisines.
const CUISINES: std::ops::Range<usize> = 3..43;

/// Users with fewer pairs are left out.
const LEAST_PAIRS: usize = 40;

/// Pairs of every two cuisines that a user rated differently, of users with enough of them.
pub fn survey(path: &Path) -> Result<UserPairs> {
    // Mac Roman in the header: bytes, not text.
    let mut reader = csv::ReaderBuilder::new().from_path(path).with_context(|| path.display().to_string())?;
    let mut ratings = Vec::new();
    for row in reader.byte_records() {
        let row = row?;
        // "N/A" and nothing are both missing.
        let rating = |column: usize| std::str::from_utf8(row.get(column)?).ok()?.trim().parse::<f64>().ok();
        ratings.push(CUISINES.map(rating).collect::<Vec<Option<f64>>>());
    }
    pairs(&ratings)
}

/// Ratings that resemble them.
pub fn world(seed: u64) -> Result<UserPairs> {
    pairs(&survey_world(700, CUISINES.len(), seed))
}

fn pairs(ratings: &[Vec<Option<f64>>]) -> Result<UserPairs> {
    let mut pairs = UserPairs::new(CUISINES.len());
    for ratings in ratings {
        let judged = pairs_of_ratings(ratings)?;
        if judged.len() >= LEAST_PAIRS {
            pairs.push(judged)?;
        }
    }
    Ok(pairs)
}
