use burn::tensor::{Bool, DType, Int, TensorData};
use rand::{
    Rng,
    seq::{IndexedRandom, SliceRandom},
};
use rand_distr::{Distribution, StandardNormal};

use super::*;
use crate::{
    distributional::testing::{check_gradients, host, matrix, near, starts, vector},
    plural::testing::{check_network, parameters, trained, with_parameters},
    random::{Purpose, stream},
};

fn gaussian(mean: &[f64], log_var: &[f64], dim: usize) -> LatentGaussian {
    LatentGaussian::new(matrix(mean, dim), matrix(log_var, dim)).unwrap()
}

fn standard(users: usize, dim: usize) -> LatentGaussian {
    gaussian(&vec![0.0; users * dim], &vec![0.0; users * dim], dim)
}

#[test]
fn the_divergence_by_hand_and_by_quadrature() {
    let (q, p) = (gaussian(&[0.5, -1.0], &[0.3, -2.0], 2), gaussian(&[-0.2, 1.0], &[-0.5, 1.0], 2));
    let closed = |m: f64, v: f64, n: f64, w: f64| 0.5 * (w - v + (v.exp() + (m - n) * (m - n)) / w.exp() - 1.0);
    let expected = [closed(0.5, 0.3, -0.2, -0.5), closed(-1.0, -2.0, 1.0, 1.0)];
    near(&host(&q.kl_by_dimension(&p).unwrap()), &expected, 1e-12);
    near(&host(&q.kl(&p).unwrap()), &[expected[0] + expected[1]], 1e-12);
    // The mean of log q − log p under q.
    let log_density =
        |z: f64, m: f64, v: f64| -0.5 * (v + (z - m) * (z - m) / v.exp() + (2.0 * std::f64::consts::PI).ln());
    let step = 1e-3;
    let integral: f64 = (-12_000..12_000)
        .map(|i| {
            let z = f64::from(i) * step;
            let log = log_density(z, 0.5, 0.3);
            log.exp() * (log - log_density(z, -0.2, -0.5)) * step
        })
        .sum();
    assert!((integral - expected[0]).abs() < 1e-8);
    near(&host(&q.kl(&q).unwrap()), &[0.0], 0.0);
    // To the standard normal: the form of the paper.
    let paper = -0.5 * ((1.0 + 0.3 - 0.25 - 0.3f64.exp()) + (1.0 - 2.0 - 1.0 - (-2f64).exp()));
    near(&host(&q.kl(&standard(1, 2)).unwrap()), &[paper], 1e-12);
    check_gradients(&[0.5, -1.0, 0.3, -2.0, -0.2, 1.0, -0.5, 1.0], |x| {
        let [m, v, n, w] = [0, 2, 4, 6].map(|from| x.clone().narrow(0, from, 2).reshape([1, 2]));
        LatentGaussian::new(m, v).unwrap().kl(&LatentGaussian::new(n, w).unwrap()).unwrap()
    });
}

#[test]
fn samples_have_the_means_and_deviations() {
    let q = gaussian(&[0.5, -1.0], &[4f64.ln(), 0.0], 2);
    near(&host(&q.sample(matrix(&[3.0, -0.5], 2)).unwrap()), &[6.5, -1.5], 1e-12);
    near(&host(&q.sample(matrix(&[0.0, 0.0], 2)).unwrap()), &[0.5, -1.0], 0.0);
    near(
        &host(&normalized(matrix(&[3.0, -4.0, 0.0, 0.0], 2))),
        &[0.6 * 2f64.sqrt(), -0.8 * 2f64.sqrt(), 0.0, 0.0],
        1e-12,
    );
    check_gradients(&[0.3, -0.7, 0.4, 1.1], |x| {
        let [mean, log_var] = [0, 2].map(|from| x.clone().narrow(0, from, 2).reshape([1, 2]));
        let noise = mean.zeros_like().detach() + 0.8;
        normalized(LatentGaussian::new(mean, log_var).unwrap().sample(noise).unwrap()).powi_scalar(3)
    });
    let by_dimension = matrix(&[0.02, 0.0, 0.03, 0.0, 0.02, 0.0], 3);
    assert_eq!(host(&active_dimensions(by_dimension.clone(), 0.005)), [3.0]);
    assert_eq!(host(&active_dimensions(by_dimension.clone(), 0.01)), [1.0]);
    assert_eq!(host(&active_dimensions(by_dimension, 0.02)), [0.0]);
}

#[test]
fn losses_of_two_users_by_hand() {
    let ln3 = 3f64.ln();
    let pairs = PairScores::new(vector(&[ln3, 0.0, 2.0, f64::NAN]), vector(&[0.0, ln3, 2.0, 0.0])).unwrap();
    let pairs = pairs.with_weights(vector(&[1.0, 3.0, 2.0, 0.0])).unwrap();
    let users = Groups::new(&["b", "b", "a", "a"]);
    let kl = || vector(&[0.5, 2.0]);
    // User b loses ln 4/3 once and ln 4 thrice, user a ln 2 twice.
    let (b, a) = ((4.0f64 / 3.0).ln() + 3.0 * 4f64.ln(), 2.0 * 2f64.ln());
    let sum = vpl_losses(&pairs, &users, kl(), 1.0, 0.1, UserPairSum::Sum).unwrap();
    near(&host(&sum), &[b + 0.05, a + 0.2], 1e-12);
    let mean = vpl_losses(&pairs, &users, kl(), 1.0, 0.1, UserPairSum::Mean).unwrap();
    near(&host(&mean), &[b / 4.0 + 0.05, a / 2.0 + 0.2], 1e-12);
    // Half the scale, twice the log-odds: 9 : 1.
    let half = vpl_losses(&pairs, &users, kl(), 0.5, 0.0, UserPairSum::Sum).unwrap();
    near(&host(&half), &[(10.0f64 / 9.0).ln() + 3.0 * 10f64.ln(), a], 1e-12);
    let nll = VplConfig::new().with_beta(0.1).with_sum(UserPairSum::Sum).init().unwrap();
    let nll = nll.forward(&pairs, &users, kl()).unwrap();
    near(&host(&nll.losses), &host(&sum), 0.0);
    near(&host(nll.metric("reconstruction").unwrap().0), &[b, a], 1e-12);
    near(&host(nll.metric("kl").unwrap().0), &[0.5, 2.0], 0.0);
    near(&host(&nll.weights), &[1.0, 1.0], 0.0);
    // A user whose pairs have no weight loses nothing but the divergence.
    let nothing = PairScores::from_differences(vector(&[1.0])).with_weights(vector(&[0.0])).unwrap();
    let one = Groups::new(&[7]);
    let losses = vpl_losses(&nothing, &one, vector(&[2.0]), 1.0, 0.5, UserPairSum::Mean).unwrap();
    near(&host(&losses), &[1.0], 0.0);
    for sum in [UserPairSum::Sum, UserPairSum::Mean] {
        check_gradients(&[0.4, -1.0, 0.3, 0.9, 0.7], |x| {
            let pairs = PairScores::from_differences(x.clone().narrow(0, 0, 3));
            let kl = x.narrow(0, 3, 2).square();
            vpl_losses(&pairs, &Groups::new(&[1, 2, 1]), kl, 0.7, 0.3, sum).unwrap()
        });
    }
}

#[test]
fn the_weight_of_the_divergence_climbs_and_starts_again() {
    let at = |step| annealed(1.0, step, 1000).unwrap();
    assert!((at(0) - 0.1).abs() < 1e-15 && (at(500) - 0.55).abs() < 1e-12 && (at(1500) - 0.55).abs() < 1e-12);
    assert!((at(250) - (0.1 + 0.45 * (1.0 - 0.5f64.sqrt()))).abs() < 1e-12);
    assert!((1..1000).all(|step| at(step) > at(step - 1)) && at(999) > 0.999 && at(1000) == at(0));
    starts(annealed(-1.0, 0, 1), "`beta`: expected finite and >= 0");
    starts(annealed(f64::NAN, 0, 1), "`beta`");
    starts(annealed(1.0, 0, 0), "`period`: expected >= 1");
}

#[test]
fn the_marginal_averages_chances_and_win_rates_are_on_one_scale_for_all_latents() {
    let log = |chances: &[f64], columns| matrix(&chances.iter().map(|p| p.ln()).collect::<Vec<_>>(), columns);
    let got = marginal_log_chances(log(&[0.9, 0.2, 0.3, 0.4, 0.6, 0.0], 2)).unwrap().exp();
    near(&host(&got), &[0.6, 0.2], 1e-12);
    starts(marginal_log_chances(matrix(&[], 1)), "`log_chances`");
    let chance = accordant_ops::host::logistic;
    let got = win_rates(vector(&[1.0, 50.0]), matrix(&[0.0, 3.0, -20.0, 900.0], 2)).unwrap();
    near(&host(&got), &[0.5 * (chance(1.0) + chance(-2.0)), 0.5], 1e-12);
    // Scores of another user on a hundred times the scale: pitfall of mixing them as they are.
    let scores = [0.1, -0.2, 0.05];
    let rates = |scale: f64| {
        let scaled = scores.map(|score| scale * score);
        host(&win_rates(vector(&scaled), matrix(&scaled.repeat(3), 3)).unwrap())
    };
    assert!(rates(100.0).iter().chain(&rates(1.0)).all(|rate| (0.0..=1.0).contains(rate)));
    assert!(rates(100.0)[0] > 0.8 && rates(1.0)[0] > 0.5);
    check_gradients(&[0.3, 0.8, -0.5], |x| {
        win_rates(x.clone().narrow(0, 0, 1), x.narrow(0, 1, 2).reshape([1, 2])).unwrap()
    });
    starts(win_rates(vector(&[0.0]), matrix(&[0.0, 0.0], 1)), "`comparison`");
    let none = Tensor::zeros([1, 0], (&Device::flex(), DType::F64));
    starts(win_rates(vector(&[0.0]), none), "`comparison`: expected at least one response");
}

fn cube(values: &[f64], shape: [usize; 3], device: &Device) -> Tensor<3> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), (device, DType::F64))
}

fn draws(len: usize, seed: u64) -> Vec<f64> {
    let mut rng = stream(seed, Purpose::World, 0);
    (0..len).map(|_| rng.random_range(-1.0..1.0)).collect()
}

fn encoder() -> VplEncoder {
    let encoder = VplEncoderConfig::new(2).with_latent_dim(3).with_hidden(4).init(1, &Device::flex()).unwrap();
    let values = parameters(&encoder);
    with_parameters(encoder, &values, &Device::flex())
}

#[test]
fn the_order_of_pairs_and_what_the_mask_hides_have_no_influence() {
    let (encoder, device) = (encoder(), Device::flex());
    let (chosen, rejected) = (draws(8, 1), draws(8, 2));
    let run = |chosen: &[f64], rejected: &[f64], mask: [bool; 4]| {
        let mask = Tensor::<2, Bool>::from_bool([mask], &device);
        let posterior = encoder
            .forward(cube(chosen, [1, 4, 2], &device), cube(rejected, [1, 4, 2], &device), mask, &standard(1, 3))
            .unwrap();
        [host(&posterior.mean), host(&posterior.log_var)].concat()
    };
    let moved = |values: &[f64]| [&values[4..6], &values[0..2], &values[6..8], &values[2..4]].concat();
    let all = run(&chosen, &rejected, [true; 4]);
    near(&run(&moved(&chosen), &moved(&rejected), [true; 4]), &all, 1e-12);
    assert_ne!(run(&rejected, &chosen, [true; 4]), all, "who was chosen matters");
    // Three pairs, and whatever in the place of the fourth.
    let three = run(&chosen, &rejected, [true, true, true, false]);
    let with = |values: &[f64], x: f64| [&values[..6], &[x, x]].concat();
    near(&run(&with(&chosen, f64::NAN), &with(&rejected, 1e30), [true, true, true, false]), &three, 0.0);
    assert_ne!(three, all);
    // The same three by themselves.
    let mask = Tensor::<2, Bool>::from_bool([[true; 3]], &device);
    let [chosen, rejected] = [&chosen, &rejected].map(|values| cube(&values[..6], [1, 3, 2], &device));
    let alone = encoder.forward(chosen, rejected, mask, &standard(1, 3)).unwrap();
    near(&[host(&alone.mean), host(&alone.log_var)].concat(), &three, 1e-12);
}

#[test]
fn no_pair_is_the_prior() {
    let (encoder, device) = (encoder(), Device::flex());
    let prior = gaussian(&[0.1, 0.2, 0.3, 0.4, 0.5, 0.6], &[-0.1, 0.0, 0.1, -0.3, 0.3, 2.0], 3);
    let mask = Tensor::<2, Bool>::from_bool([[false, false], [true, false]], &device);
    let pairs = |seed| cube(&draws(8, seed), [2, 2, 2], &device);
    let posterior = encoder.forward(pairs(1), pairs(2), mask, &prior).unwrap();
    near(&host(&posterior.mean)[..3], &[0.1, 0.2, 0.3], 0.0);
    near(&host(&posterior.log_var)[..3], &[-0.1, 0.0, 0.1], 0.0);
    assert!(host(&posterior.mean)[3] != 0.4 && host(&posterior.kl(&prior).unwrap())[1] > 0.0);
    let empty = |users, pairs| Tensor::<3>::zeros([users, pairs, 2], (&device, DType::F64));
    let none = Tensor::<2, Bool>::from_data(TensorData::new(Vec::<bool>::new(), [2, 0]), &device);
    let same = encoder.forward(empty(2, 0), empty(2, 0), none, &prior).unwrap();
    near(&host(&same.mean), &host(&prior.mean), 0.0);
}

#[test]
fn the_encoder_by_hand() {
    // One user with two pairs; every layer on the host.
    let (encoder, device) = (encoder(), Device::flex());
    let (chosen, rejected) = (draws(4, 5), draws(4, 6));
    let apply = |layer: &burn::nn::Linear, x: &[f64]| -> Vec<f64> {
        let (weight, bias) = (host(&layer.weight.val()), host(&layer.bias.as_ref().unwrap().val()));
        let outputs = bias.len();
        (0..outputs)
            .map(|j| bias[j] + x.iter().enumerate().map(|(i, x)| x * weight[i * outputs + j]).sum::<f64>())
            .collect()
    };
    let positive = |x: Vec<f64>| x.into_iter().map(|x| x.max(0.0)).collect::<Vec<_>>();
    let layers = encoder.layers();
    let encoded: Vec<Vec<f64>> = (0..2)
        .map(|pair| {
            let input = [&chosen[2 * pair..][..2], &rejected[2 * pair..][..2]].concat();
            positive(apply(layers[1], &positive(apply(layers[0], &input))))
        })
        .collect();
    let of = |layer: usize| encoded.iter().map(|x| apply(layers[layer], x)).collect::<Vec<_>>();
    let (queries, keys, values) = (of(2), of(3), of(4));
    let mut pooled = [0.0; 4];
    for query in &queries {
        let logits: Vec<f64> =
            keys.iter().map(|key| query.iter().zip(key).map(|(q, k)| q * k).sum::<f64>() / 2.0).collect();
        for (weight, value) in accordant_ops::host::softmax(&logits).iter().zip(&values) {
            pooled.iter_mut().zip(value).for_each(|(pooled, value)| *pooled += 0.5 * weight * value);
        }
    }
    let mask = Tensor::<2, Bool>::from_bool([[true; 2]], &device);
    let pairs = |values: &[f64]| cube(values, [1, 2, 2], &device);
    let got = encoder.forward(pairs(&chosen), pairs(&rejected), mask, &standard(1, 3)).unwrap();
    near(&host(&got.mean), &apply(layers[5], &pooled), 1e-12);
    near(&host(&got.log_var), &apply(layers[6], &pooled), 1e-12);
    assert!(host(&got.mean).iter().all(|x| x.abs() < 1.0), "nothing was clamped");
}

#[test]
fn means_and_log_variances_are_clamped() {
    let pairs = |device: &Device| Tensor::<3>::ones([1, 1, 2], device) * 1e4;
    let device = Device::flex();
    let run = |config: VplEncoderConfig| {
        let mask = Tensor::<2, Bool>::from_bool([[true]], &device);
        let prior = LatentGaussian::standard(1, 3, &device);
        let posterior =
            config.init(1, &device).unwrap().forward(pairs(&device), -pairs(&device), mask, &prior).unwrap();
        [host(&posterior.mean), host(&posterior.log_var)].concat()
    };
    let config = VplEncoderConfig::new(2).with_latent_dim(3).with_hidden(16);
    let free = run(config.clone().with_clamp(None));
    let expected = |bound: f64| free.iter().map(|x| x.clamp(-bound, bound)).collect::<Vec<_>>();
    assert!(free.iter().any(|x| x.abs() > 10.0), "{free:?}");
    near(&run(config.clone()), &expected(1.0), 0.0);
    near(&run(config.with_clamp(Some(0.5))), &expected(0.5), 0.0);
}

#[test]
fn the_decoder_by_hand_and_a_latent_of_no_influence_is_bradley_terry() {
    let decoder = VplDecoderConfig::new(2).with_latent_dim(1).with_hidden(vec![3]).init(2, &Device::flex()).unwrap();
    let values = parameters(&decoder);
    let decoder = with_parameters(decoder, &values, &Device::flex());
    let (weight, bias, head) = (&values[..9], &values[9..12], &values[12..]);
    let input = [0.5, -1.0, 2.0];
    let hidden = |j: usize| {
        let sum = bias[j] + (0..3).map(|i| input[i] * weight[3 * i + j]).sum::<f64>();
        if sum > 0.0 { sum } else { 0.2 * sum }
    };
    let expected: f64 = (0..3).map(|j| head[j] * hidden(j)).sum();
    near(&host(&decoder.forward(matrix(&input[..2], 2), matrix(&input[2..], 1)).unwrap()), &[expected], 1e-12);
    // Without weights of the latent, everybody has the same scores.
    let blind: Vec<f64> = (0..15).map(|at| if (6..9).contains(&at) { 0.0 } else { values[at] }).collect();
    let blind = with_parameters(decoder, &blind, &Device::flex());
    let score = |z: f64| host(&blind.forward(matrix(&input[..2], 2), matrix(&[z], 1)).unwrap());
    assert_eq!(score(-3.0), score(5.0));
}

#[test]
fn a_learned_prior_starts_standard_and_is_the_same_for_all() {
    let prior = LearnedPrior::new(3, &Device::flex()).unwrap();
    let rows = prior.forward(2);
    assert_eq!((host(&rows.mean), host(&rows.log_var)), (vec![0.0; 6], vec![0.0; 6]));
    let moved = with_parameters(prior, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &Device::flex()).forward(2);
    assert_eq!(host(&moved.mean), [1.0, 2.0, 3.0, 1.0, 2.0, 3.0]);
    assert_eq!(host(&moved.log_var), [4.0, 5.0, 6.0, 4.0, 5.0, 6.0]);
    starts(LearnedPrior::new(0, &Device::flex()), "`dim`: expected >= 1");
    let standard = LatentGaussian::standard(2, 3, &Device::flex());
    assert_eq!((host(&standard.mean), host(&standard.log_var)), (vec![0.0; 6], vec![0.0; 6]));
}

/// All that is trained.
#[derive(Module, Debug)]
struct Networks {
    encoder: VplEncoder,
    decoder: VplDecoder,
    prior: LearnedPrior,
}

fn networks(features: usize, latent: usize, hidden: usize) -> Networks {
    let device = Device::flex();
    Networks {
        encoder: VplEncoderConfig::new(features)
            .with_latent_dim(latent)
            .with_hidden(hidden)
            .with_clamp(None)
            .init(0, &device)
            .unwrap(),
        decoder: VplDecoderConfig::new(features)
            .with_latent_dim(latent)
            .with_hidden(vec![hidden])
            .init(0, &device)
            .unwrap(),
        prior: LearnedPrior::new(latent, &device).unwrap(),
    }
}

#[test]
fn gradients_of_all_networks_are_derivatives() {
    let device = Device::flex().autodiff();
    check_network(&networks(2, 2, 3), |networks| {
        let mask = Tensor::<2, Bool>::from_bool([[true, true], [true, false], [false, false]], &device);
        let pairs = |seed| cube(&draws(12, seed), [3, 2, 2], &device);
        let prior = networks.prior.forward(3);
        let posterior = networks.encoder.forward(pairs(1), pairs(2), mask, &prior).unwrap();
        let latents = posterior.sample(cube(&draws(6, 3), [1, 3, 2], &device).squeeze_dim(0)).unwrap();
        let features = |seed| cube(&draws(6, seed), [1, 3, 2], &device).squeeze_dim::<2>(0);
        let score = |seed| networks.decoder.forward(features(seed), latents.clone()).unwrap();
        let scores = PairScores::new(score(4), score(5)).unwrap();
        let users = Groups::new(&[0, 1, 2]);
        vpl_losses(&scores, &users, posterior.kl(&prior).unwrap(), 1.0, 0.3, UserPairSum::Mean).unwrap().sum()
    });
}

/// Pairs of one user: chosen and rejected features.
type Pairs = Vec<[[f64; 4]; 2]>;

fn lead(kind: usize, pair: &[[f64; 4]; 2]) -> f64 {
    let sign = if kind == 0 { 1.0 } else { -1.0 };
    sign * (pair[0][0] - pair[1][0]) + pair[0][1] - pair[1][1]
}

/// Users of two types with opposite weights of the first feature.
fn types(users: usize, pairs: usize, scale: f64, seed: u64, index: u32) -> Vec<Pairs> {
    let mut rng = stream(seed, Purpose::World, index);
    let mut own = |kind: usize| {
        let mut pair = || {
            let mut features = || std::array::from_fn(|_| StandardNormal.sample(&mut rng));
            let pair = [features(), features()];
            let wins = rng.random::<f64>() < accordant_ops::host::logistic(scale * lead(kind, &pair));
            if wins { pair } else { [pair[1], pair[0]] }
        };
        (0..pairs).map(|_| pair()).collect()
    };
    (0..users).map(|user| user % 2).map(&mut own).collect()
}

const CONTEXT: usize = 8;

/// Scores of each user's target pairs after their first pairs as a context, the divergences, and whose the pairs are.
fn run(
    networks: &Networks,
    pairs: &[Pairs],
    noise: Option<&[f64]>,
    device: &Device,
) -> (PairScores, Groups, Tensor<1>) {
    let (users, targets) = (pairs.len(), pairs[0].len() - CONTEXT);
    let side = |side: usize, range: std::ops::Range<usize>| -> Vec<f64> {
        pairs.iter().flat_map(|own| own[range.clone()].iter().flat_map(move |pair| pair[side])).collect()
    };
    let context = |at| cube(&side(at, 0..CONTEXT), [users, CONTEXT, 4], device);
    let mask = Tensor::<2, Bool>::full([users, CONTEXT], true, device);
    let zeros = Tensor::<2>::zeros([users, 4], (device, DType::F64));
    let prior = LatentGaussian::new(zeros.clone(), zeros).unwrap();
    let posterior = networks.encoder.forward(context(0), context(1), mask, &prior).unwrap();
    let latents = match noise {
        Some(noise) => posterior.sample(cube(noise, [1, users, 4], device).squeeze_dim(0)).unwrap(),
        None => posterior.mean.clone(),
    };
    let ids: Vec<i64> = (0..users * targets).map(|at| (at / targets) as i64).collect();
    let rows = Tensor::<1, Int>::from_data(TensorData::new(ids.clone(), [users * targets]), device);
    let latents = latents.select(0, rows);
    let score = |at| {
        let features = cube(&side(at, CONTEXT..CONTEXT + targets), [1, users * targets, 4], device).squeeze_dim(0);
        networks.decoder.forward(features, latents.clone()).unwrap()
    };
    (PairScores::new(score(0), score(1)).unwrap(), Groups::new(&ids), posterior.kl(&prior).unwrap())
}

/// The share of right answers on pairs where the types disagree, after training with this weight of the divergence.
fn conflicts(scale: f64, beta: f64, steps: usize, seed: u64) -> f64 {
    let (train, test) = (types(200, 24, scale, seed, 0), types(200, CONTEXT + 40, scale, seed, 1));
    let device = Device::flex().autodiff();
    let vpl = VplConfig::new().with_beta(beta).init().unwrap();
    let loss = |networks: &Networks, step: usize| {
        let mut rng = stream(seed, Purpose::Sample, step as u32);
        // Which users are in a step, and which of their pairs are the context, changes from step to step.
        let mut pairs: Vec<Pairs> = train.choose_multiple(&mut rng, 25).cloned().collect();
        pairs.iter_mut().for_each(|own| own.shuffle(&mut rng));
        let noise: Vec<f64> = (0..25 * 4).map(|_| StandardNormal.sample(&mut rng)).collect();
        let (scores, users, kl) = run(networks, &pairs, Some(&noise), &device);
        vpl.forward(&scores, &users, kl).unwrap().losses.mean()
    };
    let networks = trained(networks(4, 4, 16), 0.03, steps, loss);
    let (scores, _, _) = run(&networks, &test, None, &device);
    let leads = host(&scores.differences().detach());
    let apart =
        test.iter().flat_map(|own| &own[CONTEXT..]).zip(&leads).filter(|(pair, _)| lead(0, pair) * lead(1, pair) < 0.0);
    let right: Vec<bool> = apart.map(|(_, lead)| *lead > 0.0).collect();
    right.iter().filter(|right| **right).count() as f64 / right.len() as f64
}

#[test]
fn two_conflicting_types_are_told_apart_and_a_huge_weight_of_the_divergence_is_bradley_terry() {
    for (scale, bar) in [(1e6, 0.97), (3.0, 0.87)] {
        for seed in 0..3 {
            let own = conflicts(scale, 3e-3, 250, seed);
            println!("scale {scale}, seed {seed}: {own}");
            assert!(own >= bar, "scale {scale}, seed {seed}: {own}");
        }
    }
    let blind = conflicts(3.0, 1e4, 100, 0);
    println!("no latent: {blind}");
    assert!(blind <= 0.6, "{blind}");
}

#[test]
fn settings_and_shapes_are_checked() {
    let device = Device::flex();
    for bad in [-0.1, f64::NAN, f64::INFINITY] {
        starts(VplConfig::new().with_beta(bad).init(), "`beta`: expected finite and >= 0");
    }
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        starts(VplConfig::new().with_scale(bad).init(), "`scale`: expected finite and > 0");
        starts(VplEncoderConfig::new(2).with_clamp(Some(bad)).init(0, &device), "`clamp`: expected finite and > 0");
    }
    let VplConfig { beta, scale, sum } = VplConfig::new();
    assert_eq!((beta, scale, sum), (3e-6, 1.0, UserPairSum::Mean));
    starts(VplEncoderConfig::new(0).init(0, &device), "`num_features`: expected >= 1");
    starts(VplEncoderConfig::new(2).with_latent_dim(1).init(0, &device), "`latent_dim`: expected >= 2");
    starts(VplEncoderConfig::new(2).with_hidden(1).init(0, &device), "`hidden`: expected >= 2");
    let VplEncoderConfig { latent_dim, hidden, clamp, .. } = VplEncoderConfig::new(2);
    assert_eq!((latent_dim, hidden, clamp), (512, 512, Some(1.0)));
    starts(VplDecoderConfig::new(0).init(0, &device), "`num_features`: expected >= 1");
    starts(VplDecoderConfig::new(1).with_latent_dim(0).init(0, &device), "`latent_dim`: expected >= 1");
    starts(VplDecoderConfig::new(1).with_hidden(vec![]).init(0, &device), "`hidden`: expected at least one layer");
    starts(VplDecoderConfig::new(1).with_hidden(vec![2, 0]).init(0, &device), "`hidden`: expected >= 1");
    let config = VplDecoderConfig::new(1);
    assert_eq!((config.latent_dim, &config.hidden[..]), (512, &[512, 512][..]));
    let small =
        |seed| parameters(&config.clone().with_latent_dim(2).with_hidden(vec![3, 2]).init(seed, &device).unwrap());
    assert_eq!((small(1), small(1).len()), (small(1), 12 + 8 + 2));
    assert_ne!(small(1), small(2));
    let decoder = VplDecoderConfig::new(2).with_latent_dim(1).with_hidden(vec![2]).init(0, &device).unwrap();
    let rows = |n, width| Tensor::<2>::zeros([n, width], &device);
    starts(decoder.forward(rows(2, 1), rows(2, 1)), "`features`");
    starts(decoder.forward(rows(2, 2), rows(1, 1)), "`latents`");
    let encoder = VplEncoderConfig::new(2).with_latent_dim(3).with_hidden(4).init(0, &device).unwrap();
    let cube = |n, pairs, width| Tensor::<3>::zeros([n, pairs, width], &device);
    let mask = |n, pairs| Tensor::<2, Bool>::full([n, pairs], true, &device);
    let prior = |n, dim| LatentGaussian::standard(n, dim, &device);
    starts(encoder.forward(cube(2, 3, 1), cube(2, 3, 1), mask(2, 3), &prior(2, 3)), "`chosen`");
    starts(encoder.forward(cube(2, 3, 2), cube(2, 2, 2), mask(2, 3), &prior(2, 3)), "`rejected`");
    starts(encoder.forward(cube(2, 3, 2), cube(2, 3, 2), mask(2, 2), &prior(2, 3)), "`mask`");
    starts(encoder.forward(cube(2, 3, 2), cube(2, 3, 2), mask(2, 3), &prior(1, 3)), "`prior`");
    let pairs = || PairScores::from_differences(vector(&[0.0, 1.0]));
    let losses = |users: &Groups, kl| vpl_losses(&pairs(), users, kl, 1.0, 1.0, UserPairSum::Mean);
    starts(losses(&Groups::new(&[1]), vector(&[0.0])), "`users`");
    starts(losses(&Groups::new(&[1, 1]), vector(&[0.0, 0.0])), "`kl`");
    starts(LatentGaussian::new(matrix(&[0.0], 1), matrix(&[0.0, 0.0], 1)), "`log_var`");
    starts(standard(1, 2).sample(matrix(&[0.0], 1)), "`noise`");
    starts(standard(1, 2).kl(&standard(2, 2)), "`prior`");
}

#[test]
fn the_encoder_refuses_what_has_another_dtype() {
    let encoder = VplEncoderConfig::new(2).with_latent_dim(2).with_hidden(3).init(0, &Device::flex()).unwrap();
    let wide = |value: f64| Tensor::<3>::full([1, 1, 2], value, (&Device::flex(), DType::F64));
    let narrow = |value: f64| Tensor::<3>::full([1, 1, 2], value, &Device::flex());
    let mask = Tensor::<2, Bool>::from_bool(TensorData::from([[true]]), &Device::flex());
    let prior = LatentGaussian::standard(1, 2, &Device::flex());
    starts(encoder.forward(wide(1.0), wide(0.0), mask.clone(), &prior), "`chosen`");
    starts(encoder.forward(narrow(1.0), narrow(0.0), mask, &standard(1, 2)), "`prior`");
}
