//! k-means clusters, seeded by k-means++.
//!
//! **Paper:** k-means++: The Advantages of Careful Seeding (D. Arthur, S. Vassilvitskii, 2007).

use rand::Rng;
use serde::Serialize;

use super::{
    linear::squared_distance,
    numbers::{check_all_finite, check_domain, check_length},
};
use crate::{
    Result,
    order::{Purpose, stream},
};

/// Rounds of Lloyd's algorithm at most.
const MAX_ROUNDS: usize = 100;

/// Clusters of points.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Clusters {
    /// The cluster of each point.
    pub clusters: Vec<usize>,
    /// The means of the clusters.
    pub centers: Vec<Vec<f64>>,
    /// The sum of squared distances to the centers.
    pub inertia: f64,
    /// Rounds that moved a point.
    pub rounds: usize,
    /// Whether no point moved in the end, before 100 rounds were over.
    pub converged: bool,
}

/// `⌈√(n / 2)⌉`, the usual number of clusters of `n` points.
pub fn usual_clusters(points: usize) -> usize {
    (points as f64 / 2.0).sqrt().ceil() as usize
}

/// Clusters points. There are at most `k` clusters: points of fewer places than `k` make one cluster each place. A
/// point between two centers goes to the first. A cluster that loses its points keeps its center.
///
/// # Errors
/// [`crate::Error::Domain`] for `k` of 0; [`crate::Error::Length`] and [`crate::Error::Item`] naming `points`.
///
/// # Example
/// ```
/// use accordant_data::curation::k_means::k_means;
/// let found = k_means(&[vec![0.0], vec![1.0], vec![10.0], vec![11.0]], 2, 7)?;
/// assert!(found.clusters[0] == found.clusters[1] && found.clusters[2] == found.clusters[3]);
/// assert_eq!(found.inertia, 1.0); // four times ½²
/// # Ok::<(), accordant_data::Error>(())
/// ```
pub fn k_means(points: &[Vec<f64>], k: usize, seed: u64) -> Result<Clusters> {
    check_domain(k > 0, "k", "at least 1", k as f64)?;
    let width = points.first().map_or(0, Vec::len);
    for point in points {
        check_length("points", width, point.len())?;
        check_all_finite("points", point)?;
    }
    let mut centers = seeds(points, k, seed);
    let mut clusters = vec![usize::MAX; points.len()];
    let (mut rounds, mut converged) = (0, points.is_empty());
    while !converged && rounds < MAX_ROUNDS {
        let nearest: Vec<usize> = points.iter().map(|point| nearest(point, &centers).0).collect();
        converged = nearest == clusters;
        if converged {
            break;
        }
        rounds += 1;
        clusters = nearest;
        for (cluster, center) in centers.iter_mut().enumerate() {
            let members: Vec<&Vec<f64>> =
                points.iter().zip(&clusters).filter(|(_, own)| **own == cluster).map(|(point, _)| point).collect();
            if !members.is_empty() {
                let sum = |axis: usize| members.iter().map(|point| point[axis]).sum::<f64>();
                *center = (0..width).map(|axis| sum(axis) / members.len() as f64).collect();
            }
        }
    }
    let inertia = points.iter().zip(&clusters).map(|(point, &own)| squared_distance(point, &centers[own])).sum();
    Ok(Clusters { clusters, centers, inertia, rounds, converged })
}

/// The nearest center and the squared distance to it.
fn nearest(point: &[f64], centers: &[Vec<f64>]) -> (usize, f64) {
    let distances = centers.iter().map(|center| squared_distance(point, center)).enumerate();
    distances.fold((0, f64::INFINITY), |best, found| if found.1 < best.1 { found } else { best })
}

/// The first center is drawn evenly, each other one in proportion to the squared distance from the nearest center so
/// far.
fn seeds(points: &[Vec<f64>], k: usize, seed: u64) -> Vec<Vec<f64>> {
    let mut rng = stream(seed, Purpose::Curation, 3);
    if points.is_empty() {
        return Vec::new();
    }
    let mut centers = vec![points[rng.random_range(0..points.len())].clone()];
    let mut distances: Vec<f64> = points.iter().map(|point| squared_distance(point, &centers[0])).collect();
    while centers.len() < k {
        let total: f64 = distances.iter().sum();
        if !(total > 0.0 && total.is_finite()) {
            break;
        }
        let mut at = rng.random::<f64>() * total;
        let hit = distances.iter().position(|distance| {
            at -= distance;
            at < 0.0
        });
        // Rounding may leave a rest after the last point.
        let last = distances.iter().rposition(|distance| *distance > 0.0).unwrap_or(0);
        let center = points[hit.unwrap_or(last)].clone();
        for (distance, point) in distances.iter_mut().zip(points) {
            *distance = distance.min(squared_distance(point, &center));
        }
        centers.push(center);
    }
    centers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn far_groups_are_found_whatever_the_seed() {
        let points: Vec<Vec<f64>> =
            [[0.0, 0.0], [0.0, 2.0], [100.0, 0.0], [100.0, 2.0], [0.0, 100.0]].map(|point| point.to_vec()).to_vec();
        for seed in 0..20 {
            let found = k_means(&points, 3, seed).unwrap();
            let c = &found.clusters;
            assert!(c[0] == c[1] && c[2] == c[3] && c[0] != c[2] && c[4] != c[0] && c[4] != c[2]);
            assert_eq!(found.centers[c[2]], [100.0, 1.0]);
            assert_eq!((found.inertia, found.converged), (4.0, true));
        }
        assert_eq!(k_means(&points, 2, 5).unwrap(), k_means(&points, 2, 5).unwrap());
    }

    #[test]
    fn equal_points_make_one_cluster_and_none_make_none() {
        let found = k_means(&vec![vec![1.0]; 5], 3, 0).unwrap();
        assert_eq!((found.centers.len(), found.clusters, found.inertia), (1, vec![0; 5], 0.0));
        let found = k_means(&[], 3, 0).unwrap();
        assert!(found.clusters.is_empty() && found.converged);
        assert_eq!([0, 1, 2, 8, 9, 200].map(usual_clusters), [0, 1, 1, 2, 3, 10]);
    }

    #[test]
    fn odd_input_is_named() {
        assert!(k_means(&[vec![1.0]], 0, 0).unwrap_err().to_string().starts_with("`k`"));
        assert!(k_means(&[vec![1.0], vec![]], 1, 0).is_err() && k_means(&[vec![f64::NAN]], 1, 0).is_err());
    }

    #[test]
    fn the_second_seed_is_drawn_in_proportion_to_squared_distances() {
        // From the center 0 the points 1 and 3 have the odds 1 : 9; each of the three is first in a third of the cases.
        let points = [vec![0.0], vec![1.0], vec![3.0]];
        let pairs: Vec<Vec<Vec<f64>>> =
            (0..3000).map(|seed| seeds(&points, 2, seed)).filter(|two| two[0] == [0.0]).collect();
        let share = pairs.iter().filter(|two| two[1] == [3.0]).count() as f64 / pairs.len() as f64;
        // The deviation is 0.0095 at 1000 pairs; 0.05 is more than 5 of them.
        assert!(pairs.len() > 800 && (share - 0.9).abs() < 0.05, "{share}");
    }
}
