//! Slates: clicks on lists that are shown, with a distribution over what items are like to explore by.
//!
//! **Paper:** Dynamic Slate Recommendation with Gated Recurrent Units and Thompson Sampling (2021), 2104.15046.
//! **Use when:** lists are shown again and again, at most one item of each is clicked, and new items are to get a chance.
//! **Checked by:** hand-worked divergences and utilities, the bound on the evidence, items of a seeded world recovered.
//! **Deviations:** what a user is like at the time comes from the caller's encoder, recurrent or not.

use accordant_ops::{check_domain, check_dtype, check_shape};
use burn::tensor::{Int, Tensor, TensorData};

use crate::{
    Error, Result,
    error::{check_index, check_length, check_record},
    plural::vpl::LatentGaussian,
};

/// Utilities of the items on each slate for whoever saw it, `⟨z, v_i⟩`: what
/// [`Choices`](super::outside_option::Choices) takes, with `⟨z, v_none⟩` for the utility of no click.
///
/// # Shapes
/// `states` (z): `[n, d]`; `items` (v): `[items, d]`, drawn from their posterior; `slates`: the items shown to each, in
/// place, all of one length k ≥ 1. The result: `[n, k]`.
///
/// # Errors
/// A shape or dtype error naming `items`; [`Error::Length`] naming `slates`, [`Error::Empty`] for slates without an item,
/// [`Error::Index`] naming `slates` for an item that does not exist, [`Error::Repeated`] for one that is shown twice.
///
/// # Example
/// ```
/// use accordant_preference::listwise::slate::slate_utilities;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let items = Tensor::<2>::from_floats([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], &device);
/// let utilities = slate_utilities(Tensor::from_floats([[2.0, 5.0]], &device), items, &[vec![2, 0]])?;
/// assert_eq!(utilities.try_to_vec_as::<f32>().unwrap(), [7.0, 2.0]);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "2104.15046")]
pub fn slate_utilities(states: Tensor<2>, items: Tensor<2>, slates: &[Vec<usize>]) -> Result<Tensor<2>> {
    let ([n, d], [num_items, _]) = (states.dims(), items.dims());
    check_shape("items", &[num_items, d], &items.dims())?;
    check_dtype("items", states.dtype(), items.dtype())?;
    check_length("slates", n, slates.len())?;
    let k = slates.first().map_or(0, Vec::len);
    if k == 0 {
        return Err(Error::Empty { name: "slates", reason: "no slate, or no item on it" });
    }
    for (row, slate) in slates.iter().enumerate() {
        check_length("slates", k, slate.len())?;
        slate.iter().try_for_each(|&item| check_index(row, "slates", item, num_items))?;
        let mut sorted = slate.clone();
        sorted.sort_unstable();
        if let Some(twice) = sorted.windows(2).find(|two| two[0] == two[1]) {
            return Err(Error::Repeated { row, item: twice[0] });
        }
    }
    let shown = rows_of(&items, slates.iter().flatten()).reshape([n, k, d]);
    Ok((shown * states.unsqueeze_dim::<3>(1)).sum_dim(2).squeeze_dim::<2>(2))
}

fn rows_of<'a>(table: &Tensor<2>, numbers: impl Iterator<Item = &'a usize>) -> Tensor<2> {
    let numbers: Vec<i64> = numbers.map(|&number| number as i64).collect();
    let len = numbers.len();
    table.clone().select(0, Tensor::<1, Int>::from_data(TensorData::new(numbers, [len]), &table.device()))
}

/// The divergence of what is believed of items and of their groups from a hierarchical prior, in nats, `[1]`.
///
/// ```text
/// v_i ~ N(g_group(i), κ² I),  g ~ N(0, I):
/// Σ_g KL(q(g) ‖ N(0, I)) + Σ_i E_{q(g)} KL(q(v_i) ‖ N(g, κ² I))
/// ```
///
/// Added to the summed loss of all clicks under items drawn from `items` it is a bound on the evidence; in a step on a part
/// of the clicks, to the mean loss divided by their number. `groups_of` holds the group of each item; `spread` (κ) is finite
/// and > 0, in units of the item vectors.
///
/// # Errors
/// A domain error naming `spread`; [`Error::Length`] naming `groups_of`, [`Error::Index`] naming it for a group that does not
/// exist; a shape or dtype error naming `groups`.
///
/// # Example
/// ```
/// use accordant_preference::{listwise::slate::hierarchical_kl, plural::vpl::LatentGaussian};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let item = LatentGaussian::new(Tensor::from_floats([[3.0]], &device), Tensor::zeros([1, 1], &device))?;
/// let group = LatentGaussian::standard(1, 1, &device);
/// // Nothing for the group; ½ · 3² for the item and ½ for what is not known of its group.
/// assert_eq!(hierarchical_kl(&item, &group, &[0], 1.0)?.into_scalar::<f32>(), 5.0);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn hierarchical_kl(
    items: &LatentGaussian,
    groups: &LatentGaussian,
    groups_of: &[usize],
    spread: f64,
) -> Result<Tensor<1>> {
    check_domain(spread.is_finite() && spread > 0.0, "spread", "finite and > 0", spread)?;
    let ([num_items, d], [num_groups, _]) = (items.mean.dims(), groups.mean.dims());
    check_shape("groups", &[num_groups, d], &groups.mean.dims())?;
    check_dtype("groups", items.mean.dtype(), groups.mean.dtype())?;
    check_length("groups_of", num_items, groups_of.len())?;
    for (row, &group) in groups_of.iter().enumerate() {
        check_index(row, "groups_of", group, num_groups)?;
    }
    let zeros = groups.mean.zeros_like().detach();
    let standard = LatentGaussian::new(zeros.clone(), zeros)?;
    let mean = rows_of(&groups.mean, groups_of.iter());
    let log_var = mean.zeros_like().detach() + 2.0 * spread.ln();
    let of_items = items.kl(&LatentGaussian::new(mean, log_var)?)?.sum();
    let variances = rows_of(&groups.log_var, groups_of.iter()).exp();
    let unknown = variances.sum() * (0.5 / (spread * spread));
    Ok(groups.kl(&standard)?.sum() + of_items + unknown)
}

/// The slate for a user by Thompson sampling: the `len` items with the largest utility under one draw of all items, best
/// first; of equal ones the first.
///
/// `state`: `[d]`; `items`: `[items, d]`, one draw from their posterior ([`LatentGaussian::sample`]), made anew for each slate.
///
/// # Errors
/// A domain error naming `len`, in 1..=items; [`Error::Length`] naming `items`, [`Error::Record`] for a utility that is NaN.
///
/// # Example
/// ```
/// use accordant_preference::listwise::slate::thompson_slate;
/// let items = [vec![1.0, 0.0], vec![0.0, 1.0], vec![1.0, 1.0]];
/// assert_eq!(thompson_slate(&[2.0, 5.0], &items, 2)?, [2, 1]);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "Thompson sampling")]
pub fn thompson_slate(state: &[f64], items: &[Vec<f64>], len: usize) -> Result<Vec<usize>> {
    check_domain(len >= 1 && len <= items.len(), "len", "in 1..=items", len as f64)?;
    let mut utilities = Vec::with_capacity(items.len());
    for (row, item) in items.iter().enumerate() {
        check_length("items", state.len(), item.len())?;
        let utility: f64 = state.iter().zip(item).map(|(z, v)| z * v).sum();
        check_record(!utility.is_nan(), row, "items", "a utility that is a number", utility)?;
        // -0 is 0.
        utilities.push(utility + 0.0);
    }
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by(|&a, &b| utilities[b].total_cmp(&utilities[a]));
    order.truncate(len);
    Ok(order)
}

#[cfg(test)]
mod tests {
    use rand::Rng;
    use rand_distr::{Distribution, StandardNormal};

    use super::*;
    use crate::{
        ItemReduction,
        distributional::testing::{check_gradients, host, leaf, like, matrix, near, starts},
        listwise::outside_option::{Choices, OutsideOptionConfig},
        optimize::{Stop, adam},
        random::{Purpose, stream},
    };

    fn gaussian(mean: &[f64], log_var: &[f64], dim: usize) -> LatentGaussian {
        LatentGaussian::new(matrix(mean, dim), matrix(log_var, dim)).unwrap()
    }

    #[test]
    fn utilities_of_two_slates_by_hand() {
        let items = matrix(&[1.0, 0.0, 0.0, 1.0, 1.0, -1.0], 2);
        let states = matrix(&[2.0, 3.0, -1.0, 0.5], 2);
        let got = slate_utilities(states, items, &[vec![0, 2, 1], vec![2, 1, 0]]).unwrap();
        near(&host(&got), &[2.0, -1.0, 3.0, -1.5, 0.5, -1.0], 1e-15);
        check_gradients(&[0.3, -0.2, 1.0, 0.4, 0.7, -0.6, 0.1, 0.9], |x| {
            let (states, items) = (x.clone().narrow(0, 0, 2).reshape([1, 2]), x.narrow(0, 2, 6).reshape([3, 2]));
            slate_utilities(states, items, &[vec![2, 0, 1]]).unwrap().powi_scalar(3)
        });
    }

    #[test]
    fn the_divergence_is_the_mean_over_draws_of_the_groups() {
        let (items, groups) =
            (gaussian(&[0.5, -1.0, 2.0], &[-0.3, 0.4, -1.0], 1), gaussian(&[0.2, 1.5], &[-0.7, 0.3], 1));
        let spread = 0.6;
        let got = host(&hierarchical_kl(&items, &groups, &[0, 1, 1], spread).unwrap())[0];
        // Each item's divergence is quadratic in its group, so that its mean over two points one deviation away is exact.
        let closed = |m: f64, v: f64, n: f64, w: f64| 0.5 * (w - v + (v.exp() + (m - n) * (m - n)) / w.exp() - 1.0);
        let mut expected = closed(0.2, -0.7, 0.0, 0.0) + closed(1.5, 0.3, 0.0, 0.0);
        for (m, v, g, s) in [(0.5, -0.3, 0.2, -0.7f64), (-1.0, 0.4, 1.5, 0.3), (2.0, -1.0, 1.5, 0.3)] {
            let deviation = (0.5 * s).exp();
            let at = |g: f64| closed(m, v, g, 2.0 * spread.ln());
            expected += 0.5 * (at(g + deviation) + at(g - deviation));
        }
        assert!((got - expected).abs() < 1e-12, "{got} is not {expected}");
        check_gradients(&[0.5, -1.0, -0.3, 0.4, 0.2, -0.7], |x| {
            let part = |from, rows| x.clone().narrow(0, from, rows).reshape([rows, 1]);
            let items = LatentGaussian::new(part(0, 2), part(2, 2)).unwrap();
            hierarchical_kl(&items, &LatentGaussian::new(part(4, 1), part(5, 1)).unwrap(), &[0, 0], 0.8).unwrap()
        });
    }

    #[test]
    fn clicks_teach_what_items_are_like_and_a_lack_of_them_leaves_the_group() {
        const ITEMS: usize = 6;
        const D: usize = 2;
        // Two groups of three items near (1, 0) and (0, 1); the last item of each is never shown. No click is worth 0.
        let groups_of = [0, 0, 0, 1, 1, 1];
        let truth = |item: usize| if groups_of[item] == 0 { [2.0, 0.0] } else { [0.0, 2.0] };
        let mut rng = stream(2, Purpose::World, 0);
        let (mut states, mut slates, mut clicks) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..300 {
            let state: [f64; D] = std::array::from_fn(|_| StandardNormal.sample(&mut rng));
            let slate = if rng.random::<bool>() { vec![0, 3, 4] } else { vec![4, 1, 0] };
            let odds: Vec<f64> =
                slate.iter().map(|&item| (state[0] * truth(item)[0] + state[1] * truth(item)[1]).exp()).collect();
            let mut left = rng.random::<f64>() * (1.0 + odds.iter().sum::<f64>());
            let click = odds.iter().position(|odds| {
                left -= odds;
                left < 0.0
            });
            states.extend(state);
            slates.push(slate);
            clicks.push(click);
        }
        let choice = OutsideOptionConfig::new().init().unwrap();
        let mut noises = stream(2, Purpose::Sample, 0);
        let evaluate = |at: &[f64], gradient: &mut [f64]| {
            let x = leaf(at);
            let part = |from: usize, rows: usize| x.clone().narrow(0, from, rows * D).reshape([rows, D]);
            let items = LatentGaussian::new(part(0, ITEMS), part(12, ITEMS)).unwrap();
            let groups = LatentGaussian::new(part(24, 2), part(28, 2)).unwrap();
            let noise: Vec<f64> = (0..ITEMS * D).map(|_| StandardNormal.sample(&mut noises)).collect();
            let drawn = items.sample(like(&x, &noise).reshape([ITEMS, D])).unwrap();
            let utilities = slate_utilities(like(&x, &states).reshape([300, D]), drawn, &slates).unwrap();
            let nll = choice.forward(&Choices::new(utilities, &clicks).unwrap()).unwrap();
            let loss = nll.reduce(ItemReduction::Sum).unwrap().loss
                + hierarchical_kl(&items, &groups, &groups_of, 0.5).unwrap();
            let value = host(&loss.clone().detach())[0];
            gradient.copy_from_slice(&host(&x.grad(&loss.backward()).unwrap()));
            value
        };
        let (at, _) = adam(evaluate, vec![0.0; 32], 0.05, Stop { gradient: 0.0, max_iterations: 300 });
        let mean = |item: usize| &at[2 * item..][..2];
        for item in [0, 1, 3, 4] {
            let off = mean(item).iter().zip(truth(item)).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
            assert!(off < 0.7, "item {item}: {:?}", mean(item));
        }
        // Nobody saw items 2 and 5: they are where their groups are, and less certain than the others.
        for (item, group) in [(2, 24), (5, 26)] {
            near(mean(item), &at[group..group + 2], 0.1);
            assert!(at[12 + 2 * item] > at[12] + 0.5, "{:?}", &at[12..24]);
        }
        // So an item that nobody has seen is tried now and then, next to one that is as good.
        let (mut tried, mut draws) = (0, stream(3, Purpose::Sample, 0));
        for _ in 0..200 {
            let mut draw = |place: usize| -> f64 {
                let noise: f64 = StandardNormal.sample(&mut draws);
                at[place] + (0.5 * at[12 + place]).exp() * noise
            };
            let items: Vec<Vec<f64>> = (0..ITEMS).map(|item| (0..D).map(|i| draw(2 * item + i)).collect()).collect();
            tried += usize::from(thompson_slate(&[1.0, 0.0], &items, 1).unwrap() == [2]);
        }
        println!("tried {tried}, {at:?}");
        assert!((20..150).contains(&tried), "{tried} of 200");
    }

    #[test]
    fn slates_and_groups_are_checked() {
        let (states, items) = (|| matrix(&[0.0; 4], 2), || matrix(&[0.0; 6], 2));
        let utilities = |slates: &[Vec<usize>]| slate_utilities(states(), items(), slates);
        starts(slate_utilities(states(), matrix(&[0.0; 6], 3), &[]), "`items`");
        starts(utilities(&[vec![0]]), "`slates`: expected 2 entries");
        starts(utilities(&[vec![], vec![]]), "`slates`: nothing");
        starts(utilities(&[vec![0], vec![0, 1]]), "`slates`: expected 1 entries");
        starts(utilities(&[vec![0], vec![3]]), "record 1: `slates` 3");
        let of = |groups_of: &[usize], spread| {
            hierarchical_kl(&gaussian(&[0.0; 2], &[0.0; 2], 1), &gaussian(&[0.0], &[0.0], 1), groups_of, spread)
        };
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            starts(of(&[0, 0], bad), "`spread`: expected finite and > 0");
        }
        starts(of(&[0], 1.0), "`groups_of`");
        starts(of(&[0, 1], 1.0), "record 1: `groups_of` 1");
        let wide = gaussian(&[0.0; 2], &[0.0; 2], 2);
        starts(hierarchical_kl(&gaussian(&[0.0], &[0.0], 1), &wide, &[0], 1.0), "`groups`");
        starts(thompson_slate(&[1.0], &[vec![1.0]], 0), "`len`: expected in 1..=items");
        starts(thompson_slate(&[1.0], &[vec![1.0]], 2), "`len`: expected in 1..=items");
        starts(thompson_slate(&[1.0], &[vec![1.0, 2.0]], 1), "`items`");
        starts(thompson_slate(&[1.0], &[vec![1.0], vec![f64::NAN]], 1), "record 1: `items`");
        assert_eq!(thompson_slate(&[1.0], &[vec![1.0], vec![2.0], vec![1.0]], 3).unwrap(), [1, 0, 2]);
    }

    #[test]
    fn an_item_shown_twice_is_an_error_and_minus_zero_is_zero() {
        let (states, items) = (matrix(&[1.0, 1.0], 1), matrix(&[1.0, 2.0, 3.0], 1));
        let error = slate_utilities(states, items, &[vec![0, 1], vec![2, 2]]).unwrap_err();
        assert!(matches!(error, Error::Repeated { row: 1, item: 2 }), "{error}");
        assert_eq!(thompson_slate(&[1.0], &[vec![-0.0], vec![0.0]], 1).unwrap(), [0]);
    }
}
