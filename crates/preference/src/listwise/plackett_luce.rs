//! Plackett-Luce (PL), ListMLE and position-aware ListMLE: an order as choices of the best of what is left.
//!
//! **Paper:** Listwise Approach to Learning to Rank: Theory and Algorithm (F. Xia et al., 2008); the model is R. D. Luce's
//! (1959) and R. L. Plackett's (1975); weights by position: Position-Aware ListMLE (Y. Lan et al., 2014); ties as in survival
//! analysis (N. Breslow, 1974; B. Efron, 1977).
//! **Use when:** whole orders are known, or their first places; the listwise method to try first.
//! **Checked by:** published figures, all orders adding up to 1, Bradley-Terry at two candidates, hand-worked ties, laws.
//! **Deviations:** none.

use accordant_ops::{
    check_domain,
    lists::{Comparisons, choice_losses, columns, ones, rows},
    stable::{expm1, log_sum_exp},
};
use burn::{
    config::Config,
    tensor::{Bool, Tensor, TensorData},
};
use rand::{Rng, seq::SliceRandom};

use super::{ListScores, ListwiseLoss};
use crate::{
    Nll, Result,
    random::{Purpose, stream},
};

/// What is made of candidates that are tied.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum TiedGroups {
    /// Each is chosen from all of its group and of what is worse.
    Breslow,
    /// The l-th of g is chosen from what is worse and (g − l + 1)/g of its group.
    Efron,
    /// The mean over all orders of the group: exact up to six candidates, over 64 orders by chance beyond. Two tied
    /// candidates are half a win each way. Reads the labels from the device.
    Split {
        /// Decides the orders.
        seed: u64,
    },
    /// One order by chance, as ListMLE does it. Reads the labels from the device.
    Random {
        /// Decides the order; give each step its own.
        seed: u64,
    },
}

/// How the choices of a list become one loss.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum Stages {
    /// Their sum: the likelihood.
    Sum,
    /// Their mean, so that long lists weigh no more than short ones.
    Mean,
    /// Weighted by `2^{K−i} − 1` for the i-th place of K, weights that add up to 1: first places count most.
    Positional,
}

/// Candidates of a group up to which all orders are averaged.
const EXACT: usize = 6;

/// Orders by chance beyond.
const ORDERS: usize = 64;

/// Plackett-Luce losses, one per list, and which lists say anything.
///
/// ```text
/// loss = −Σ_i [ s_(i) − log Σ_{j ≥ i} exp s_(j) ],   best first
/// ```
///
/// `j` runs over all candidates that are there and not yet placed, whether they are ranked or not; a candidate that is not
/// ranked (label −∞) is never chosen. `ties` says what becomes of equal labels, `stages` how choices are added.
///
/// # Shapes
/// The results are `[n]`. Equal scores of K untied candidates give ln K!. Never negative. A
/// list without a choice among at least two gives 0. Finite for every finite input.
///
/// # Errors
/// [`crate::Error::Empty`] when the lists are not ranked.
///
/// # Example
/// ```
/// use accordant_preference::listwise::{ListScores, plackett_luce::{Stages, TiedGroups, plackett_luce_losses}};
/// use burn::tensor::{Device, Tensor};
/// let row = |values: [f32; 3]| Tensor::<2>::from_floats([values], &Device::flex());
/// // e^s = 1, 4, 3 for the third, the first and the second place: 4/8 · 3/4.
/// let lists = ListScores::new(row([0.0, 4f32.ln(), 3f32.ln()])).with_labels(row([0.2, 0.9, 0.5]))?;
/// let (losses, _) = plackett_luce_losses(&lists, TiedGroups::Breslow, Stages::Sum)?;
/// assert!((losses.into_scalar::<f32>() - (8f32 / 3.0).ln()).abs() < 1e-6);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "ListMLE")]
#[doc(alias = "p-ListMLE")]
#[doc(alias = "K-wise maximum likelihood")]
pub fn plackett_luce_losses(
    lists: &ListScores,
    ties: TiedGroups,
    stages: Stages,
) -> Result<(Tensor<1>, Tensor<1, Bool>)> {
    let lists = match ties {
        TiedGroups::Random { seed } => &untied(lists, seed)?,
        _ => lists,
    };
    let scores = lists.scores();
    let dtype = scores.dtype();
    let labels = lists.labels()?;
    let ranked = labels.clone().greater_scalar(f32::NEG_INFINITY).bool_and(lists.present());
    let comparisons = lists.comparisons()?;
    let tied = tied(&labels, &comparisons).bool_and(rows_of(ranked.clone()));
    let among = comparisons.better().bool_or(tied.clone());
    let counted = ones(among.clone(), dtype).sum_dim(2).squeeze_dim::<2>(2).greater_scalar(0.5).bool_and(ranked);
    let weights = match stages {
        Stages::Sum => ones(counted.clone(), dtype),
        Stages::Mean => shares(ones(counted.clone(), dtype)),
        Stages::Positional => {
            let below = -comparisons.ranks(dtype)
                + ones(comparisons.present(), dtype).sum_dim(1).repeat_dim(1, scores.dims()[1]);
            let gains = expm1(below * std::f64::consts::LN_2);
            shares(gains.mask_fill(counted.clone().bool_not(), 0.0))
        }
    };
    let losses = match ties {
        TiedGroups::Split { seed } => return Ok((split(lists, weights, seed)?, any(counted))),
        TiedGroups::Breslow | TiedGroups::Random { .. } => choice_losses(scores.clone(), columns(scores), among)?,
        TiedGroups::Efron => {
            // The l-th of a group by its place in the list, from 0; any order gives the same sum.
            let size = ones(tied.clone(), dtype).sum_dim(2).squeeze_dim::<2>(2) + 1.0;
            let places = scores.ones_like().detach().cumsum(1);
            let before = tied.clone().bool_and(columns(places.clone()).lower(rows(places)));
            let ahead = ones(before, dtype).sum_dim(2).squeeze_dim::<2>(2);
            let left = ((size.clone() - ahead) / size).log();
            let others = columns(scores.clone()) + rows(left.clone()).mask_fill(tied.bool_not(), 0.0);
            choice_losses(scores + left.clone(), others, among)? + left
        }
    };
    let total = (losses.mask_fill(counted.clone().bool_not(), 0.0) * weights).sum_dim(1).squeeze_dim(1);
    Ok((total, any(counted)))
}

/// True at `[n, i, j]` where the two are there, differ, and have the same label.
fn tied(labels: &Tensor<2>, comparisons: &Comparisons) -> Tensor<3, Bool> {
    let equal = rows(labels.clone()).equal(columns(labels.clone()));
    equal.bool_and(accordant_ops::lists::others(comparisons.present()))
}

/// `x[n, i]` at `[n, i, j]`.
fn rows_of(x: Tensor<2, Bool>) -> Tensor<3, Bool> {
    let [_, k] = x.dims();
    x.unsqueeze_dim::<3>(2).repeat_dim(2, k)
}

/// Rows that add up to 1, or are 0.
fn shares(weights: Tensor<2>) -> Tensor<2> {
    let [_, k] = weights.dims();
    let total = weights.clone().sum_dim(1);
    let total = total.clone().mask_fill(total.equal_scalar(0.0), 1.0);
    weights / total.repeat_dim(1, k)
}

/// Lists in which something is true.
fn any(counted: Tensor<2, Bool>) -> Tensor<1, Bool> {
    counted.any_dim(1).squeeze_dim(1)
}

/// The lists with equal labels told apart by chance.
fn untied(lists: &ListScores, seed: u64) -> Result<ListScores> {
    let labels = lists.labels()?;
    let [n, k] = labels.dims();
    let mut rng = stream(seed, Purpose::Order, 0);
    let mut new = vec![f64::NEG_INFINITY; n * k];
    for (row, groups) in groups(lists)?.into_iter().enumerate() {
        let mut label = 0.0;
        for mut group in groups {
            group.shuffle(&mut rng);
            for item in group {
                new[row * k + item] = label;
                label -= 1.0;
            }
        }
    }
    let new = Tensor::<2>::from_data(TensorData::new(new, [n, k]), (&labels.device(), labels.dtype()));
    lists.clone().with_labels(new)
}

/// The ranked candidates of each list in groups of equal labels, best first.
fn groups(lists: &ListScores) -> Result<Vec<Vec<Vec<usize>>>> {
    let labels = lists.labels()?;
    let [_, k] = labels.dims();
    let host = |tensor: Tensor<2>| tensor.try_to_vec_as::<f64>().expect("the device returns what it was given");
    let present = lists.present().try_to_vec_as::<bool>().expect("the device returns what it was given");
    let group = |(labels, present): (&[f64], &[bool])| {
        let mut order: Vec<usize> = (0..k).filter(|i| present[*i] && labels[*i] > f64::NEG_INFINITY).collect();
        order.sort_by(|a, b| labels[*b].total_cmp(&labels[*a]));
        order.chunk_by(|a, b| labels[*a] == labels[*b]).map(<[usize]>::to_vec).collect()
    };
    Ok(host(labels).chunks(k).zip(present.chunks(k)).map(group).collect())
}

/// One choice: a list, who is there to be chosen from, and how much the logarithm of their sum counts.
struct Stage {
    list: usize,
    among: Vec<bool>,
    share: f64,
}

/// The mean over orders of each group: over an order by chance, who is left at the m-th choice is any subset of that size,
/// all equally likely. Candidates of a group have the same weight.
fn split(lists: &ListScores, weights: Tensor<2>, seed: u64) -> Result<Tensor<1>> {
    let scores = lists.scores();
    let [n, k] = scores.dims();
    let host_weights = weights.try_to_vec_as::<f64>().expect("the device returns what it has computed");
    let present = lists.present().try_to_vec_as::<bool>().expect("the device returns what it was given");
    let mut rng = stream(seed, Purpose::Order, 1);
    let mut all = Vec::new();
    for (list, groups) in groups(lists)?.into_iter().enumerate() {
        // Whoever is not placed yet, ranked or not.
        let mut left = present[list * k..][..k].to_vec();
        for group in groups {
            group.iter().for_each(|i| left[*i] = false);
            let weight = host_weights[list * k + group[0]];
            if weight > 0.0 {
                all.extend(stages(list, &group, &left, weight, &mut rng));
            }
        }
    }
    let chosen = (scores.clone() * weights).sum_dim(1).squeeze_dim::<1>(1);
    if all.is_empty() {
        return Ok(chosen * 0.0);
    }
    let (count, device) = (all.len(), scores.device());
    let rows: Vec<i64> = all.iter().map(|stage| stage.list as i64).collect();
    let among = all.iter().flat_map(|stage| stage.among.iter().copied()).collect::<Vec<_>>();
    let mut sums = vec![0.0; n * count];
    for (place, stage) in all.iter().enumerate() {
        sums[stage.list * count + place] = stage.share;
    }
    let among = Tensor::<2, Bool>::from_data(TensorData::new(among, [count, k]), &device);
    let offered = scores.clone().select(0, Tensor::from_ints(rows.as_slice(), &device));
    let logs = log_sum_exp(offered.mask_fill(among.bool_not(), f32::NEG_INFINITY), 1).reshape([1, count]);
    let sums = Tensor::<2>::from_data(TensorData::new(sums, [n, count]), (&device, scores.dtype()));
    Ok((logs.repeat_dim(0, n) * sums).sum_dim(1).squeeze_dim::<1>(1) - chosen)
}

fn stages(list: usize, group: &[usize], left: &[bool], weight: f64, rng: &mut impl Rng) -> Vec<Stage> {
    let size = group.len();
    let with = |members: &[usize], share: f64| {
        let mut among = left.to_vec();
        members.iter().for_each(|i| among[*i] = true);
        Stage { list, among, share }
    };
    if size <= EXACT {
        let binomial = |m: u32| (1..=m).fold(1.0, |all, i| all * f64::from(size as u32 + 1 - i) / f64::from(i));
        let subset = |set: u32| {
            let members: Vec<usize> = (0..size).filter(|i| set >> i & 1 == 1).map(|i| group[i]).collect();
            with(&members, weight / binomial(set.count_ones()))
        };
        return (1..1u32 << size).map(subset).collect();
    }
    let mut order = group.to_vec();
    let mut all = Vec::new();
    for _ in 0..ORDERS {
        order.shuffle(rng);
        all.extend((0..size).map(|first| with(&order[first..], weight / ORDERS as f64)));
    }
    all
}

/// An order by chance: the one with the chances of Plackett and Luce, best first.
///
/// Each score gets an independent Gumbel variable, and sorting is all that is left. `temperature`, finite and > 0, is in
/// units of the scores. The first place is a draw from the softmax, and any pair is in the order of Bradley and Terry.
///
/// # Errors
/// A domain error naming `temperature` or `scores`, which are finite.
///
/// # Example
/// ```
/// use accordant_preference::{listwise::plackett_luce::sample_ranking, random::{Purpose, stream}};
/// let mut rng = stream(1, Purpose::Sample, 0);
/// assert_eq!(sample_ranking(&[0.0, 800.0, -800.0], 1.0, &mut rng)?, [1, 0, 2]);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn sample_ranking(scores: &[f64], temperature: f64, rng: &mut impl Rng) -> Result<Vec<usize>> {
    check_domain(temperature.is_finite() && temperature > 0.0, "temperature", "finite and > 0", temperature)?;
    let bad = scores.iter().copied().find(|score| !score.is_finite());
    check_domain(bad.is_none(), "scores", "finite", bad.unwrap_or(0.0))?;
    let mut gumbel = |score: &f64| {
        // In (0, 1): 0 has no logarithm.
        let uniform = 1.0 - rng.random::<f64>();
        score / temperature - (-uniform.ln()).max(f64::MIN_POSITIVE).ln()
    };
    let keys: Vec<f64> = scores.iter().map(&mut gumbel).collect();
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| keys[*b].total_cmp(&keys[*a]));
    Ok(order)
}

/// Configuration of [`PlackettLuce`].
#[derive(Config, Debug, PartialEq)]
pub struct PlackettLuceConfig {
    /// What becomes of tied candidates. Breslow: the cheapest, exact without ties.
    #[config(default = "TiedGroups::Breslow")]
    pub ties: TiedGroups,
    /// How choices are added. Sum: the likelihood.
    #[config(default = "Stages::Sum")]
    pub stages: Stages,
}

impl PlackettLuceConfig {
    /// The loss; every setting is valid.
    ///
    /// # Errors
    /// None so far.
    pub fn init(&self) -> Result<PlackettLuce> {
        Ok(PlackettLuce { config: self.clone() })
    }
}

/// The Plackett-Luce model; see [`plackett_luce_losses`].
#[derive(Debug, Clone, PartialEq)]
pub struct PlackettLuce {
    config: PlackettLuceConfig,
}

impl ListwiseLoss for PlackettLuce {
    fn forward(&self, lists: &ListScores) -> Result<Nll> {
        let (losses, counts) = plackett_luce_losses(lists, self.config.ties, self.config.stages)?;
        lists.nll(losses, counts)
    }
}

#[cfg(test)]
mod tests {
    use accordant_laws::models::{self, orders};
    use burn::tensor::Device;

    use super::*;
    use crate::{
        link::{Link, Logit},
        listwise::{
            Unlisted,
            testing::{list, loss, matrix},
        },
        pairwise::testing::{close, tensor, values},
    };

    const SCORES: [f64; 4] = [0.3, -0.2, 1.0, 0.1];

    fn method(ties: TiedGroups, stages: Stages) -> PlackettLuce {
        PlackettLuceConfig::new().with_ties(ties).with_stages(stages).init().unwrap()
    }

    fn plain() -> PlackettLuce {
        PlackettLuceConfig::new().init().unwrap()
    }

    /// The log-probability of an order, which may stop early.
    fn log_prob(scores: &[f64], order: &[usize], unlisted: Unlisted) -> f64 {
        let order: Vec<Vec<usize>> = order.iter().map(|i| vec![*i]).collect();
        let lists = ListScores::new(matrix(&[scores], &Device::flex())).with_orders(&[order], unlisted).unwrap();
        -values(plain().forward(&lists).unwrap().losses)[0]
    }

    #[test]
    fn published_figures_of_four_items() {
        close(&[log_prob(&SCORES, &[2, 0, 3, 1], Unlisted::Below)], &[-2.23072687], 1e-8);
        close(&[log_prob(&SCORES, &[2, 0, 3, 1], Unlisted::Below).exp()], &[0.10745030], 1e-8);
        close(&[log_prob(&SCORES, &[2, 0], Unlisted::Below)], &[-1.67637162], 1e-8);
        // Not offered: the two alone.
        close(&[log_prob(&SCORES, &[2, 0], Unlisted::Absent)], &[Logit.first(0.7, 0.0).value], 1e-15);
    }

    #[test]
    fn a_published_fit_of_rankings_is_where_the_gradient_is_0() {
        // Six rankings of some of four items.
        let rankings: [&[usize]; 6] = [&[0, 1, 2, 3], &[1, 0, 3, 2], &[0, 2, 1], &[3, 0], &[2, 3, 1, 0], &[1, 2]];
        let device = Device::flex().autodiff();
        let fit = tensor(&[0.1417887, 0.2696498, -0.2708318, -0.1406067], &device).require_grad();
        let scores = fit.clone().reshape([1, 4]).repeat_dim(0, 6);
        let orders: Vec<Vec<Vec<usize>>> =
            rankings.iter().map(|order| order.iter().map(|i| vec![*i]).collect()).collect();
        let lists = ListScores::new(scores).with_orders(&orders, Unlisted::Absent).unwrap();
        let total = plain().forward(&lists).unwrap().losses.sum();
        // The figure is printed as 12.47604476; an independent fit in another language agrees with this one to 1e-12.
        close(&values(total.clone()), &[12.476044612764], 1e-10);
        close(&values(fit.grad(&total.backward()).unwrap()), &[0.0; 4], 1e-6);
    }

    #[test]
    fn chances_of_all_orders_add_up_to_1() {
        models::rankings(|scores, order| log_prob(scores, order, Unlisted::Below)).unwrap();
        // The first two places: all pairs of them, too.
        let tops: f64 = (0..4)
            .flat_map(|a| (0..4).filter(move |b| *b != a).map(move |b| [a, b]))
            .map(|top| log_prob(&SCORES, &top, Unlisted::Below).exp())
            .sum();
        close(&[tops], &[1.0], 1e-14);
    }

    #[test]
    fn two_candidates_are_bradley_terry_and_the_first_place_is_a_softmax() {
        for d in [-3.0, 0.0, 1.7] {
            close(&[loss(&plain(), &[d, 0.0], &[1.0, 0.0])], &[-Logit.first(d, 0.0).value], 1e-15);
        }
        let total: f64 = SCORES.iter().map(|s| s.exp()).sum();
        close(&[log_prob(&SCORES, &[1], Unlisted::Below)], &[-0.2 - total.ln()], 1e-14);
    }

    #[test]
    fn tied_groups_by_hand() {
        // b and c tie between a and d; strengths 2, 3, 4, 1.
        let scores = [2f64, 3.0, 4.0, 1.0].map(f64::ln);
        let labels = [3.0, 2.0, 2.0, 1.0];
        let first = (10f64 / 2.0).ln();
        let breslow = first + (8f64 / 3.0).ln() + (8f64 / 4.0).ln();
        close(&[loss(&plain(), &scores, &labels)], &[breslow], 1e-14);
        // Efron: of the second only half the group is left, 1 + 7/2.
        let efron = first + (8f64 / 3.0).ln() + (4.5f64 / 4.0).ln();
        close(&[loss(&method(TiedGroups::Efron, Stages::Sum), &scores, &labels)], &[efron], 1e-14);
        // Both orders, one half each: the second choice is among c and d, or b and d.
        let split = first + (8f64 / 3.0).ln() + (8f64 / 4.0).ln() / 1.0 - (8f64).ln() + (5f64.ln() + 4f64.ln()) / 2.0;
        close(&[loss(&method(TiedGroups::Split { seed: 0 }, Stages::Sum), &scores, &labels)], &[split], 1e-14);
    }

    #[test]
    fn two_tied_candidates_split_are_half_a_win_each_way() {
        let split = method(TiedGroups::Split { seed: 0 }, Stages::Sum);
        for d in [-2.0, 0.4] {
            let half = -(Logit.first(d, 0.0).value + Logit.second(d, 0.0).value) / 2.0;
            close(&[loss(&split, &[d, 0.0], &[1.0, 1.0])], &[half], 1e-14);
        }
    }

    #[test]
    fn a_split_group_is_the_mean_over_its_orders() {
        for size in [3, 4] {
            let scores = [0.3, -1.0, 0.8, 0.1, 0.5];
            let labels: Vec<f64> = (0..5).map(|i| if i < size { 1.0 } else { -(i as f64) }).collect();
            let all = orders(size);
            let mean: f64 = all
                .iter()
                .map(|order| log_prob(&scores, &[order, &(size..5).collect::<Vec<_>>()[..]].concat(), Unlisted::Below))
                .sum::<f64>()
                / all.len() as f64;
            close(&[-loss(&method(TiedGroups::Split { seed: 0 }, Stages::Sum), &scores, &labels)], &[mean], 1e-13);
        }
        // Seven equal scores: every order has probability 1/7!, by chance or not.
        let seven = loss(&method(TiedGroups::Split { seed: 1 }, Stages::Sum), &[0.4; 7], &[1.0; 7]);
        close(&[seven], &[5040f64.ln()], 1e-12);
        let other: Vec<f64> = (0..7).map(|i| f64::from(i) * 0.3).collect();
        let by = |seed| loss(&method(TiedGroups::Split { seed }, Stages::Sum), &other, &[1.0; 7]);
        assert_eq!(by(3), by(3));
        assert_ne!(by(3), by(4));
        // 64 orders by chance: within five standard errors of the mean over all.
        let strengths: Vec<f64> = other.iter().map(|s| s.exp()).collect();
        let of = |order: &Vec<usize>| {
            let choice =
                |at: usize| (order[at..].iter().map(|i| strengths[*i]).sum::<f64>() / strengths[order[at]]).ln();
            (0..7).map(choice).sum::<f64>()
        };
        let all: Vec<f64> = orders(7).iter().map(of).collect();
        let mean = all.iter().sum::<f64>() / 5040.0;
        let deviation = (all.iter().map(|loss| (loss - mean).powi(2)).sum::<f64>() / 5040.0).sqrt();
        assert!((by(3) - mean).abs() < 5.0 * deviation / 8.0, "{} {mean}", by(3));
    }

    #[test]
    fn ties_broken_by_chance_are_one_of_the_orders() {
        let scores = [0.3, -1.0, 0.8];
        let possible: Vec<f64> = orders(3).iter().map(|order| -log_prob(&scores, order, Unlisted::Below)).collect();
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..40 {
            let got = loss(&method(TiedGroups::Random { seed }, Stages::Sum), &scores, &[1.0; 3]);
            seen.insert(possible.iter().position(|loss| (loss - got).abs() < 1e-12).expect("one of the orders"));
        }
        assert_eq!(seen.len(), 6);
        let untied = loss(&method(TiedGroups::Random { seed: 7 }, Stages::Sum), &SCORES, &[3.0, 1.0, 4.0, 2.0]);
        close(&[untied], &[2.23072687], 1e-8);
    }

    #[test]
    fn without_ties_all_ways_agree() {
        for ties in [TiedGroups::Efron, TiedGroups::Split { seed: 0 }, TiedGroups::Random { seed: 0 }] {
            for stages in [Stages::Sum, Stages::Mean, Stages::Positional] {
                let labels = [3.0, 1.0, 4.0, 2.0];
                let expected = loss(&method(TiedGroups::Breslow, stages), &SCORES, &labels);
                close(&[loss(&method(ties, stages), &SCORES, &labels)], &[expected], 1e-14);
            }
        }
    }

    #[test]
    fn unranked_candidates_are_offered_and_never_chosen() {
        for ties in
            [TiedGroups::Breslow, TiedGroups::Efron, TiedGroups::Split { seed: 0 }, TiedGroups::Random { seed: 0 }]
        {
            let none = f64::NEG_INFINITY;
            let got = loss(&method(ties, Stages::Sum), &SCORES, &[1.0, none, 2.0, none]);
            close(&[got], &[1.67637162], 1e-8);
        }
    }

    #[test]
    fn stages_are_added_averaged_or_weighted_by_place() {
        let labels = [3.0, 1.0, 4.0, 2.0];
        let choice = |own: f64, left: &[f64]| left.iter().map(|s| s.exp()).sum::<f64>().ln() - own;
        let losses = [choice(1.0, &SCORES), choice(0.3, &[0.3, -0.2, 0.1]), choice(0.1, &[-0.2, 0.1])];
        let total: f64 = losses.iter().sum();
        close(&[loss(&plain(), &SCORES, &labels)], &[total], 1e-14);
        close(&[loss(&method(TiedGroups::Breslow, Stages::Mean), &SCORES, &labels)], &[total / 3.0], 1e-14);
        // 2³ − 1, 2² − 1, 2¹ − 1 of 11.
        let weighted = (7.0 * losses[0] + 3.0 * losses[1] + losses[2]) / 11.0;
        close(&[loss(&method(TiedGroups::Breslow, Stages::Positional), &SCORES, &labels)], &[weighted], 1e-14);
    }

    #[test]
    fn a_list_of_one_candidate_loses_nothing_and_does_not_count() {
        for ties in
            [TiedGroups::Breslow, TiedGroups::Efron, TiedGroups::Split { seed: 0 }, TiedGroups::Random { seed: 0 }]
        {
            let nll = method(ties, Stages::Mean).forward(&list(&[3.0], &[1.0])).unwrap();
            assert_eq!((values(nll.losses.clone()), values(nll.weights.clone())), (vec![0.0], vec![0.0]));
            let below = list(&[3.0, 1.0], &[f64::NEG_INFINITY; 2]);
            assert_eq!(values(method(ties, Stages::Sum).forward(&below).unwrap().weights), [0.0], "nobody is ranked");
        }
    }

    #[test]
    fn sampled_orders_have_the_chances_of_the_model() {
        let scores = [0.7, -0.3, 0.2];
        let mut rng = stream(11, Purpose::Sample, 0);
        let draws = 20_000;
        let mut counts = std::collections::BTreeMap::new();
        for _ in 0..draws {
            *counts.entry(sample_ranking(&scores.map(|s| 2.0 * s), 2.0, &mut rng).unwrap()).or_insert(0.0) += 1.0;
        }
        // Six orders, 5σ each: one false alarm in 300 000.
        for order in orders(3) {
            let p = log_prob(&scores, &order, Unlisted::Below).exp();
            let sd = (p * (1.0 - p) * f64::from(draws)).sqrt();
            assert!((counts[&order] - p * f64::from(draws)).abs() < 5.0 * sd, "{order:?}");
        }
        let text = |scores: &[f64], temperature| {
            sample_ranking(scores, temperature, &mut stream(0, Purpose::Sample, 0)).unwrap_err().to_string()
        };
        assert_eq!(text(&[0.0], 0.0), "`temperature`: expected finite and > 0, got 0");
        assert_eq!(text(&[0.0, f64::NAN], 1.0), "`scores`: expected finite, got NaN");
    }

    #[test]
    fn defaults_are_those_of_the_docs_and_labels_are_needed() {
        let config = PlackettLuceConfig::new();
        assert_eq!((config.ties, config.stages), (TiedGroups::Breslow, Stages::Sum));
        let unranked = ListScores::new(matrix(&[&[0.0, 1.0]], &Device::flex()));
        assert!(plain().forward(&unranked).unwrap_err().to_string().starts_with("`labels`"));
    }
}
