//! Recommendation from implicit feedback: what users took up against what they did not (BPR, CML).
//!
//! **Papers:** BPR: Bayesian Personalized Ranking from Implicit Feedback (2009), 1205.2618; Collaborative Metric Learning
//! (C.-K. Hsieh and others, 2017), with the sampled rank of WSABIE: Scaling Up To Large Vocabulary Image Annotation (J. Weston
//! and others, 2011); clicks that may be wrong as in Sampler Design for Implicit Feedback Data by Noisy-label Robust Learning
//! (2020).
//! **Use when:** nobody compared anything: it is only known what each user clicked on, and the rest is unknown.
//! **Checked by:** hand-worked scores and losses, Bradley-Terry, enumerated flips, finite differences, factors of a seeded
//! world recovered.
//! **Deviations:** the rank is approximated by how many draws it took to find a violation, as in WSABIE.

use accordant_ops::{check_domain, check_dtype, check_shape};
use burn::tensor::{Tensor, activation::relu};
use rand::Rng;

use crate::{
    Error, Result,
    error::check_index,
    pairwise::PairScores,
    robust::{FlipRates, forward::forward_losses},
};

/// Scores of items for users, `⟨p_u, q_i⟩ + b_i`: for Bayesian personalized ranking any likelihood of pairs
/// ([`crate::pairwise`]) takes those of an observed item and of a drawn one ([`draw_unobserved`]).
///
/// # Shapes
/// `users` (p) and `items` (q): `[n, d]`, rows for the same observations; `biases` (b) and the result: `[n]`.
///
/// # Errors
/// A shape or dtype error naming `items` or `biases`.
///
/// # Example
/// ```
/// use accordant_preference::plural::recommendation::factor_scores;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let (users, items) = (Tensor::from_floats([[1.0, 2.0]], &device), Tensor::from_floats([[3.0, 4.0]], &device));
/// let scores = factor_scores(users, items, Tensor::from_floats([0.5], &device))?;
/// assert_eq!(scores.into_scalar::<f32>(), 11.5);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "BPR")]
#[doc(alias = "1205.2618")]
#[doc(alias = "matrix factorization")]
pub fn factor_scores(users: Tensor<2>, items: Tensor<2>, biases: Tensor<1>) -> Result<Tensor<1>> {
    let [n, _] = users.dims();
    check_shape("items", &users.dims(), &items.dims())?;
    check_dtype("items", users.dtype(), items.dtype())?;
    check_shape("biases", &[n], &biases.dims())?;
    check_dtype("biases", users.dtype(), biases.dtype())?;
    Ok((users * items).sum_dim(1).squeeze_dim::<1>(1) + biases)
}

/// An item that a user has not taken up, drawn uniformly from `0..num_items`; `observed` is in ascending order.
///
/// # Errors
/// [`Error::Index`] naming `observed` for an item beyond, [`Error::Combination`] when it is not in ascending order without
/// repeats, [`Error::Empty`] when there is no other item.
///
/// # Example
/// ```
/// use accordant_preference::{plural::recommendation::draw_unobserved, random::{Purpose, stream}};
/// let mut rng = stream(0, Purpose::Sample, 0);
/// assert_eq!(draw_unobserved(&[0, 2, 3], 4, &mut rng)?, 1);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn draw_unobserved(observed: &[usize], num_items: usize, rng: &mut impl Rng) -> Result<usize> {
    for (row, &item) in observed.iter().enumerate() {
        check_index(row, "observed", item, num_items)?;
    }
    if observed.windows(2).any(|pair| pair[0] >= pair[1]) {
        return Err(Error::Combination { what: "observed", reason: "the items are not in ascending order" });
    }
    if observed.len() == num_items {
        return Err(Error::Empty { name: "observed", reason: "every item was observed" });
    }
    // The number among those that are left, moved past what was observed.
    let drawn = rng.random_range(0..num_items - observed.len());
    Ok(observed.iter().fold(drawn, |item, &seen| if seen <= item { item + 1 } else { item }))
}

/// Losses of collaborative metric learning: observed items are to be nearer than others by a margin.
///
/// ```text
/// w max(0, m + ‖p_u − q_i‖² − ‖p_u − q_j‖²)
/// ```
///
/// A hinge on an ideal point of each user's own.
///
/// # Shapes
/// `users` (p), `observed` (q_i) and `others` (q_j): `[n, d]`; `weights` (w), a constant, and the result: `[n]`; see
/// [`rank_weight`]. `margin` (m) is finite and ≥ 0; 0.5 by the specification, in units of squared lengths of at most 1
/// ([`in_unit_ball`]).
///
/// # Errors
/// A shape error naming `observed`, `others` or `weights`, a domain error naming `margin`.
///
/// # Example
/// ```
/// use accordant_preference::plural::recommendation::metric_losses;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let at = |x: f32| Tensor::<2>::from_floats([[x, 0.0]], &device);
/// let losses = metric_losses(at(0.0), at(0.5), at(-0.7), Tensor::from_floats([2.0], &device), 0.5)?;
/// assert!((losses.into_scalar::<f32>() - 0.52).abs() < 1e-6); // 2 (0.5 + 0.25 − 0.49)
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "CML")]
#[doc(alias = "Collaborative Metric Learning")]
pub fn metric_losses(
    users: Tensor<2>,
    observed: Tensor<2>,
    others: Tensor<2>,
    weights: Tensor<1>,
    margin: f64,
) -> Result<Tensor<1>> {
    let [n, _] = users.dims();
    for (name, points) in [("observed", &observed), ("others", &others)] {
        check_shape(name, &users.dims(), &points.dims())?;
        check_dtype(name, users.dtype(), points.dtype())?;
    }
    check_shape("weights", &[n], &weights.dims())?;
    check_domain(margin.is_finite() && margin >= 0.0, "margin", "finite and >= 0", margin)?;
    let distances = |points: Tensor<2>| (users.clone() - points).square().sum_dim(1).squeeze_dim::<1>(1);
    Ok(relu(distances(observed) - distances(others) + margin) * weights.detach())
}

/// Points moved into the unit ball: those beyond it to its surface. Applied after each step of training.
///
/// # Example
/// ```
/// use accordant_preference::plural::recommendation::in_unit_ball;
/// use burn::tensor::{Device, Tensor};
/// let points = Tensor::<2>::from_floats([[3.0, 4.0], [0.3, 0.4]], &Device::flex());
/// let points = in_unit_ball(points).try_to_vec_as::<f32>().unwrap();
/// assert!((points[0] - 0.6).abs() < 1e-6 && points[2] == 0.3);
/// ```
pub fn in_unit_ball(points: Tensor<2>) -> Tensor<2> {
    // Clamped before the root, whose derivative at 0 is infinite.
    let squares = points.clone().square().sum_dim(1).clamp_min(1.0);
    points * squares.sqrt().recip()
}

/// The weight of an observed item whose place is estimated by sampling: `log(rank + 1)` with
/// `rank = ⌊(num_items − 1)/draws⌋`, when it took `draws` ≥ 1 others to find one that is nearer than the margin allows.
///
/// # Errors
/// A domain error naming `draws`.
///
/// # Example
/// ```
/// use accordant_preference::plural::recommendation::rank_weight;
/// assert!((rank_weight(101, 1)? - 101f64.ln()).abs() < 1e-12); // the first one did: likely near the end
/// assert!((rank_weight(101, 40)? - 3f64.ln()).abs() < 1e-12);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "WARP")]
pub fn rank_weight(num_items: usize, draws: usize) -> Result<f64> {
    check_domain(draws >= 1, "draws", ">= 1", draws as f64)?;
    Ok(((num_items.saturating_sub(1) / draws) as f64).ln_1p())
}

/// Losses of single observations that may be wrong: clicks by accident, and interest that no click shows.
///
/// ```text
/// P(click) = (1 − γ₁) σ(s) + γ₀ (1 − σ(s))
/// ```
///
/// # Shapes
/// `scores` (s), `clicks` (1 for one, 0 for none; constants) and the result: `[n]`, in nats. `missed` (γ₁) and `accidental`
/// (γ₀) are chances in [0, 1) with a sum below 1.
///
/// # Errors
/// A shape or dtype error naming `clicks`, a domain error naming `missed` or `accidental`.
///
/// # Example
/// ```
/// use accordant_preference::plural::recommendation::noisy_click_losses;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// // A chance of ¾ of interest, of which 0.8 show: 0.6, and of the rest 0.1: 0.625.
/// let (score, click) = (Tensor::from_floats([3f32.ln()], &device), Tensor::from_floats([1.0], &device));
/// let loss = noisy_click_losses(score, click, 0.2, 0.1)?.into_scalar::<f32>();
/// assert!((loss + 0.625f32.ln()).abs() < 1e-6);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn noisy_click_losses(scores: Tensor<1>, clicks: Tensor<1>, missed: f64, accidental: f64) -> Result<Tensor<1>> {
    check_shape("clicks", &scores.dims(), &clicks.dims())?;
    check_dtype("clicks", scores.dtype(), clicks.dtype())?;
    check_domain((0.0..1.0).contains(&missed), "missed", "in [0, 1)", missed)?;
    check_domain((0.0..1.0 - missed).contains(&accidental), "accidental", "in [0, 1 - missed)", accidental)?;
    // A click is a judgement whose label may be wrong.
    let pairs = PairScores::from_differences(scores).with_targets(clicks)?;
    forward_losses(&pairs, FlipRates { first: missed, second: accidental }, 1.0)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Int, TensorData};
    use rand_distr::{Distribution, StandardNormal};

    use super::*;
    use crate::{
        distributional::testing::{check_gradients, gradient, host, leaf, like, matrix, near, starts, vector},
        optimize::{Stop, adam},
        pairwise::{PairScores, PairwiseLoss, bradley_terry::BradleyTerryConfig},
        random::{Purpose, stream},
    };

    #[test]
    fn scores_and_metric_losses_by_hand() {
        let scores =
            factor_scores(matrix(&[1.0, 2.0, 0.0, -1.0], 2), matrix(&[3.0, 0.5, 7.0, 2.0], 2), vector(&[0.5, 1.0]));
        near(&host(&scores.unwrap()), &[4.5, -1.0], 1e-15);
        let losses = |weights: &[f64], margin| {
            let (users, near, far) = ([0.0, 0.0, 1.0, 0.0], [0.3, 0.4, 1.0, 0.5], [1.0, 1.0, 0.9, 0.0]);
            host(&metric_losses(matrix(&users, 2), matrix(&near, 2), matrix(&far, 2), vector(weights), margin).unwrap())
        };
        // Squared distances ¼ and 2, and ¼ and 0.01.
        near(&losses(&[1.0, 3.0], 0.5), &[0.0, 3.0 * 0.74], 1e-12);
        near(&losses(&[1.0, 1.0], 0.0), &[0.0, 0.24], 1e-12);
        near(&losses(&[2.0, 0.0], 2.0), &[0.5, 0.0], 1e-12);
        check_gradients(&[0.1, -0.2, 0.5, 0.3, -0.4, 0.6], |x| {
            let [users, observed, others] = [0, 2, 4].map(|from| x.clone().narrow(0, from, 2).reshape([1, 2]));
            metric_losses(users, observed, others, like(&x, &[1.5]), 0.9).unwrap()
        });
        check_gradients(&[0.1, -0.2, 0.5, 0.3, -0.4], |x| {
            let [users, items] = [0, 2].map(|from| x.clone().narrow(0, from, 2).reshape([1, 2]));
            factor_scores(users, items, x.narrow(0, 4, 1)).unwrap()
        });
        near(
            &host(&in_unit_ball(matrix(&[0.0, 0.0, 0.6, 0.8, -6.0, 8.0], 2))),
            &[0.0, 0.0, 0.6, 0.8, -0.6, 0.8],
            1e-15,
        );
    }

    #[test]
    fn points_at_the_center_have_a_gradient() {
        assert_eq!(gradient(&[0.0, 0.0], |x| in_unit_ball(x.reshape([1, 2]))), [1.0, 1.0]);
    }

    #[test]
    fn ranks_are_estimated_by_how_long_the_search_took() {
        near(&[rank_weight(10, 1).unwrap(), rank_weight(10, 4).unwrap()], &[10f64.ln(), 3f64.ln()], 1e-15);
        assert_eq!((rank_weight(10, 10).unwrap(), rank_weight(0, 1).unwrap()), (0.0, 0.0));
        starts(rank_weight(10, 0), "`draws`: expected >= 1");
    }

    #[test]
    fn every_unobserved_item_is_drawn_as_often() {
        let mut rng = stream(1, Purpose::Sample, 0);
        let mut counts = [0; 7];
        for _ in 0..4000 {
            counts[draw_unobserved(&[0, 3, 4], 7, &mut rng).unwrap()] += 1;
        }
        assert_eq!([counts[0], counts[3], counts[4]], [0; 3]);
        // 1000 each with a standard deviation of 27; 5 of them.
        assert!([1, 2, 5, 6].iter().all(|&item| (counts[item] - 1000i32).abs() < 137), "{counts:?}");
        starts(draw_unobserved(&[0, 1], 2, &mut rng), "`observed`: nothing");
        starts(draw_unobserved(&[2], 2, &mut rng), "record 0: `observed`");
        starts(draw_unobserved(&[1, 1], 3, &mut rng), "observed: the items are not in ascending order");
        starts(draw_unobserved(&[1, 0], 3, &mut rng), "observed: the items are not in ascending order");
        assert!(draw_unobserved(&[], 1, &mut rng).unwrap() == 0);
    }

    #[test]
    fn clicks_that_may_be_wrong_by_hand() {
        let losses = |missed, accidental| {
            let (scores, clicks) = (vector(&[3f64.ln(), 3f64.ln(), -900.0, 900.0]), vector(&[1.0, 0.0, 0.0, 1.0]));
            host(&noisy_click_losses(scores, clicks, missed, accidental).unwrap())
        };
        let log = |chances: [f64; 4]| chances.map(|p: f64| -p.ln());
        near(&losses(0.2, 0.1), &log([0.625, 0.375, 0.9, 0.8]), 1e-12);
        near(&losses(0.0, 0.0), &log([0.75, 0.25, 1.0, 1.0]), 1e-12);
        near(&losses(0.0, 0.1), &log([0.775, 0.225, 0.9, 1.0]), 1e-12);
        near(&losses(0.2, 0.0), &log([0.6, 0.4, 1.0, 0.8]), 1e-12);
        for (missed, accidental) in [(0.2, 0.1), (0.0, 0.1), (0.2, 0.0), (0.0, 0.0)] {
            check_gradients(&[0.7, -1.2], |x| {
                let clicks = like(&x, &[1.0, 0.0]);
                noisy_click_losses(x, clicks, missed, accidental).unwrap()
            });
            let far = gradient(&[-900.0, 900.0, 900.0], |x| {
                let clicks = like(&x, &[1.0, 0.0, 1.0]);
                noisy_click_losses(x, clicks, missed, accidental).unwrap()
            });
            assert!(far.iter().all(|slope| slope.is_finite()), "{far:?}");
        }
        // Without flips, Bradley-Terry against a score of 0.
        let scores = [0.3, -2.0];
        let pairs = PairScores::from_differences(vector(&scores)).with_targets(vector(&[1.0, 0.0])).unwrap();
        let expected = BradleyTerryConfig::new().init().unwrap().forward(&pairs).unwrap().losses;
        let got = noisy_click_losses(vector(&scores), vector(&[1.0, 0.0]), 0.0, 0.0).unwrap();
        near(&host(&got), &host(&expected), 1e-12);
    }

    #[test]
    fn factors_learned_from_clicks_rank_what_a_user_would_take_up() {
        const USERS: usize = 40;
        const ITEMS: usize = 30;
        let mut rng = stream(4, Purpose::World, 0);
        let mut points = |len: usize| -> Vec<[f64; 2]> {
            (0..len).map(|_| std::array::from_fn(|_| StandardNormal.sample(&mut rng))).collect()
        };
        let (users, items) = (points(USERS), points(ITEMS));
        let score = |user: usize, item: usize| users[user][0] * items[item][0] + users[user][1] * items[item][1];
        // Every user takes up their ten favorites, of which every other one is seen.
        let favorites: Vec<Vec<usize>> = (0..USERS)
            .map(|user| {
                let mut order: Vec<usize> = (0..ITEMS).collect();
                order.sort_by(|&a, &b| score(user, b).total_cmp(&score(user, a)));
                order[..10].to_vec()
            })
            .collect();
        let mut pairs = Vec::new();
        let mut draws = stream(4, Purpose::Sample, 0);
        for (user, own) in favorites.iter().enumerate() {
            let mut seen: Vec<usize> = own.iter().copied().step_by(2).collect();
            seen.sort_unstable();
            for _ in 0..8 {
                pairs.extend(seen.iter().map(|&item| (user, item, draw_unobserved(&seen, ITEMS, &mut draws).unwrap())));
            }
        }
        let start: Vec<f64> = (0..(USERS + ITEMS) * 2).map(|_| draws.random_range(-0.5..0.5)).collect();
        let rows = |x: &Tensor<1>, number: &dyn Fn(&(usize, usize, usize)) -> usize| {
            let numbers: Vec<i64> = pairs.iter().map(|pair| number(pair) as i64).collect();
            let numbers = Tensor::<1, Int>::from_data(TensorData::new(numbers, [pairs.len()]), &x.device());
            x.clone().reshape([USERS + ITEMS, 2]).select(0, numbers)
        };
        let bradley_terry = BradleyTerryConfig::new().init().unwrap();
        let evaluate = |at: &[f64], gradient: &mut [f64]| {
            let x = leaf(at);
            let own = rows(&x, &|pair| pair.0);
            let none = like(&x, &vec![0.0; pairs.len()]);
            let of = |items| factor_scores(own.clone(), items, none.clone()).unwrap();
            let scores = PairScores::new(of(rows(&x, &|pair| USERS + pair.1)), of(rows(&x, &|pair| USERS + pair.2)));
            let loss = bradley_terry.forward(&scores.unwrap()).unwrap().losses.mean() + x.clone().square().sum() * 1e-3;
            let value = host(&loss.clone().detach())[0];
            gradient.copy_from_slice(&host(&x.grad(&loss.backward()).unwrap()));
            value
        };
        let (fitted, _) = adam(evaluate, start, 0.1, Stop { gradient: 0.0, max_iterations: 80 });
        let row = |at: usize| &fitted[2 * at..][..2];
        // Favorites that were not seen, against everything that is none.
        let (mut right, mut all) = (0.0, 0.0);
        for (user, own) in favorites.iter().enumerate() {
            let learned = |item: usize| row(user).iter().zip(row(USERS + item)).map(|(p, q)| p * q).sum::<f64>();
            for &hidden in own.iter().skip(1).step_by(2) {
                for other in (0..ITEMS).filter(|item| !own.contains(item)) {
                    right += f64::from(u8::from(learned(hidden) > learned(other)));
                    all += 1.0;
                }
            }
        }
        println!("ranked right: {}", right / all);
        assert!(right / all > 0.85, "{}", right / all);
    }

    #[test]
    fn shapes_and_chances_are_checked() {
        let two = || matrix(&[0.0; 4], 2);
        starts(factor_scores(two(), matrix(&[0.0; 2], 2), vector(&[0.0; 2])), "`items`");
        starts(factor_scores(two(), two(), vector(&[0.0])), "`biases`");
        starts(metric_losses(two(), matrix(&[0.0; 2], 2), two(), vector(&[1.0; 2]), 0.5), "`observed`");
        starts(metric_losses(two(), two(), matrix(&[0.0; 2], 2), vector(&[1.0; 2]), 0.5), "`others`");
        starts(metric_losses(two(), two(), two(), vector(&[1.0]), 0.5), "`weights`");
        for bad in [-0.1, f64::NAN, f64::INFINITY] {
            starts(metric_losses(two(), two(), two(), vector(&[1.0; 2]), bad), "`margin`: expected finite and >= 0");
        }
        let clicks = |missed, accidental| noisy_click_losses(vector(&[0.0]), vector(&[1.0]), missed, accidental);
        for bad in [-0.1, 1.0, f64::NAN] {
            starts(clicks(bad, 0.0), "`missed`: expected in [0, 1)");
            starts(clicks(0.0, bad), "`accidental`");
        }
        starts(clicks(0.4, 0.6), "`accidental`: expected in [0, 1 - missed)");
        clicks(0.4, 0.59).unwrap();
        starts(noisy_click_losses(vector(&[0.0]), vector(&[1.0, 0.0]), 0.1, 0.1), "`clicks`");
    }
}
