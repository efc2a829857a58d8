//! The chances that EM starts from.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp1};

use super::{Components, first_largest};

/// Uniform on the simplex, for each user.
pub(super) fn dirichlet(num_users: usize, k: usize, rng: &mut ChaCha8Rng) -> Vec<Vec<f64>> {
    let mut row = || {
        let draws: Vec<f64> = (0..k).map(|_| Exp1.sample(rng)).collect();
        let total: f64 = draws.iter().sum();
        draws.into_iter().map(|draw: f64| draw / total).collect()
    };
    (0..num_users).map(|_| row()).collect()
}

/// Chance 0.9 for the own cluster of k-means++ with ten rounds of Lloyd's; users of whom nothing is known have no say in
/// where the clusters are.
pub(super) fn clusters<M: Components>(model: &M, known: &[usize], k: usize, rng: &mut ChaCha8Rng) -> Vec<Vec<f64>> {
    let points: Vec<Vec<f64>> = (0..model.num_users()).map(|user| model.embedding(user)).collect();
    let known: Vec<&[f64]> = known.iter().map(|&user| &points[user][..]).collect();
    let mut centers = spread(&known, k, rng);
    (0..10).for_each(|_| improve(&mut centers, &known));
    points.iter().map(|point| chances(nearest(&centers, point), k)).collect()
}

/// Chance 0.9 for one of `k`, and the same for all others.
fn chances(own: usize, k: usize) -> Vec<f64> {
    if k == 1 {
        return vec![1.0];
    }
    (0..k).map(|index| if index == own { 0.9 } else { 0.1 / (k - 1) as f64 }).collect()
}

/// The first centers of k-means++: the next one is drawn in proportion to the squared distance from those there are.
fn spread(points: &[&[f64]], k: usize, rng: &mut ChaCha8Rng) -> Vec<Vec<f64>> {
    let mut centers = vec![points[rng.random_range(0..points.len())].to_vec()];
    while centers.len() < k {
        let squares: Vec<f64> =
            points.iter().map(|point| squared_distance(&centers[nearest(&centers, point)], point)).collect();
        // Fewer different users than components: any will do, the fits tell them apart.
        let drawn = drawn(&squares, rng.random()).unwrap_or_else(|| rng.random_range(0..points.len()));
        centers.push(points[drawn].to_vec());
    }
    centers
}

/// The index that holds the share `at` in [0, 1) of all weight; none of no weight.
fn drawn(weights: &[f64], at: f64) -> Option<usize> {
    let mut left = at * weights.iter().sum::<f64>();
    weights.iter().position(|weight| {
        left -= weight;
        left < 0.0
    })
}

/// One round of Lloyd's: each center moves to the mean of the points that are nearest to it; one without points stays.
fn improve(centers: &mut [Vec<f64>], points: &[&[f64]]) {
    let own: Vec<usize> = points.iter().map(|point| nearest(centers, point)).collect();
    for (index, center) in centers.iter_mut().enumerate() {
        let members = || points.iter().zip(&own).filter(|(_, own)| **own == index).map(|(point, _)| point);
        let count = members().count();
        if count > 0 {
            for (axis, value) in center.iter_mut().enumerate() {
                *value = members().map(|point| point[axis]).sum::<f64>() / count as f64;
            }
        }
    }
}

/// The center nearest to a point, of equally near ones the first.
fn nearest(centers: &[Vec<f64>], point: &[f64]) -> usize {
    let nearness: Vec<f64> = centers.iter().map(|center| -squared_distance(center, point)).collect();
    first_largest(&nearness)
}

fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Result,
        distributional::testing::near,
        random::{Purpose, stream},
    };

    fn points(rows: &[[f64; 2]]) -> Vec<Vec<f64>> {
        rows.iter().map(|row| row.to_vec()).collect()
    }

    #[test]
    fn a_draw_is_in_proportion_to_the_weights() {
        // Of the weights 0, 1 and 9 the shares [0, 0.1) and [0.1, 1).
        let weights = [0.0, 1.0, 9.0];
        assert_eq!([0.0, 0.05, 0.0999].map(|at| drawn(&weights, at)), [Some(1); 3]);
        assert_eq!([0.1, 0.5, 0.9999].map(|at| drawn(&weights, at)), [Some(2); 3]);
        assert_eq!(drawn(&[0.0, 0.0], 0.5), None);
    }

    #[test]
    fn the_nearest_center_by_hand() {
        let centers = points(&[[0.0, 0.0], [3.0, 4.0], [-3.0, 4.0]]);
        assert_eq!(squared_distance(&centers[0], &centers[1]), 25.0);
        assert_eq!(squared_distance(&centers[1], &centers[2]), 36.0);
        assert_eq!(nearest(&centers, &[1.0, 1.0]), 0);
        assert_eq!(nearest(&centers, &[-2.0, 3.0]), 2);
        assert_eq!(nearest(&centers, &[0.0, 4.0]), 1, "as near to the third, and the first of them is taken");
    }

    #[test]
    fn centers_move_to_the_mean_of_their_points_and_lonely_ones_stay() {
        let there = points(&[[0.0, 1.0], [2.0, 5.0], [10.0, 0.0]]);
        let there: Vec<&[f64]> = there.iter().map(|point| &point[..]).collect();
        let mut centers = points(&[[0.0, 0.0], [9.0, 0.0], [-50.0, 7.0]]);
        improve(&mut centers, &there);
        assert_eq!(centers, points(&[[1.0, 3.0], [10.0, 0.0], [-50.0, 7.0]]));
    }

    #[test]
    fn first_centers_lie_where_there_is_none_yet() {
        // Six users at three points: a point that has a center is never drawn again.
        let there = points(&[[1.0, 2.0], [1.0, 2.0], [4.0, 2.0], [4.0, 2.0], [1.0, -5.0], [1.0, -5.0]]);
        let there: Vec<&[f64]> = there.iter().map(|point| &point[..]).collect();
        for seed in 0..50 {
            let mut rng = stream(seed, Purpose::Start, 0);
            let mut centers = spread(&there, 3, &mut rng);
            centers.sort_by(|a, b| a.partial_cmp(b).unwrap());
            assert_eq!(centers, points(&[[1.0, -5.0], [1.0, 2.0], [4.0, 2.0]]));
            // Where users are alike, there are as many centers all the same.
            assert_eq!(spread(&there[..2], 3, &mut rng), points(&[[1.0, 2.0]; 3]));
            assert_eq!(spread(&there, 1, &mut rng).len(), 1);
        }
        // From a center at the first of 0, 1 and 3, the last is drawn in 9 of 10 cases. Of 1000 starts a third is there, and
        // 300 ± 9.5 have the last: three and a half standard deviations.
        let line = [vec![0.0], vec![1.0], vec![3.0]];
        let line: Vec<&[f64]> = line.iter().map(|point| &point[..]).collect();
        let starts = (0..1000).map(|seed| spread(&line, 2, &mut stream(seed, Purpose::Start, 1)));
        let from_first: Vec<Vec<Vec<f64>>> = starts.filter(|centers| centers[0] == [0.0]).collect();
        let share = from_first.iter().filter(|centers| centers[1] == [3.0]).count() as f64 / from_first.len() as f64;
        assert!((share - 0.9).abs() < 0.06, "{share}");
    }

    #[test]
    fn chances_of_ones_own_cluster_by_hand() {
        near(&chances(0, 1), &[1.0], 0.0);
        near(&chances(1, 2), &[0.1, 0.9], 1e-15);
        near(&chances(0, 5), &[0.9, 0.025, 0.025, 0.025, 0.025], 1e-15);
    }

    /// Users who are points, and nothing else.
    struct Points(Vec<Vec<f64>>);

    impl Components for Points {
        type Component = ();

        fn num_users(&self) -> usize {
            self.0.len()
        }

        fn is_known(&self, _: usize) -> bool {
            true
        }

        fn embedding(&self, user: usize) -> Vec<f64> {
            self.0[user].clone()
        }

        fn fit(&self, _: &[f64], _: Option<&()>) -> Result<()> {
            Ok(())
        }

        fn log_likelihoods(&self, _: &()) -> Vec<f64> {
            vec![0.0; self.0.len()]
        }

        fn log_prior(&self, _: &()) -> f64 {
            0.0
        }

        fn order(&self, _: &()) -> f64 {
            0.0
        }
    }

    #[test]
    fn clusters_are_found_by_those_of_whom_something_is_known() {
        // Two clusters of three and two; the third user, of whom nothing is known, would be a cluster of their own, and is
        // nearer to the second.
        let points = [[0.0, 0.0], [1.0, 0.0], [100.0, 0.0], [0.0, 1.0], [10.0, 0.0], [11.0, 0.0]];
        let model = Points(points.iter().map(|point| point.to_vec()).collect());
        for seed in 0..20 {
            let first = clusters(&model, &[0, 1, 3, 4, 5], 2, &mut stream(seed, Purpose::Start, 0));
            let own: Vec<usize> = first.iter().map(|chances| first_largest(chances)).collect();
            let (left, right) = (own[0], own[4]);
            assert_eq!(own, [left, left, right, left, right, right], "seed {seed}");
            assert_ne!(left, right);
            assert!(first.iter().flatten().all(|chance| [0.1, 0.9].contains(chance)));
        }
    }

    #[test]
    fn chances_at_random_are_uniform_on_the_simplex() {
        let rows = dirichlet(2000, 3, &mut stream(1, Purpose::Start, 0));
        assert!(rows.iter().all(|row| (row.iter().sum::<f64>() - 1.0).abs() < 1e-12));
        // A chance has the mean ⅓ and the variance 1/18, so that four standard deviations of the mean are 0.021.
        let mean = |of: fn(f64) -> f64| rows.iter().map(|row| of(row[0])).sum::<f64>() / 2000.0;
        assert!((mean(|chance| chance) - 1.0 / 3.0).abs() < 0.021);
        // And the mean square 1/6, give or take 4 · √(1/15 − 1/36)/√2000 = 0.018.
        assert!((mean(|chance| chance * chance) - 1.0 / 6.0).abs() < 0.018);
    }
}
