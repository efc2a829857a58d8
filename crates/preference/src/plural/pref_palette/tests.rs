use burn::tensor::DType;
use rand::Rng;

use super::*;
use crate::{
    distributional::testing::{check_gradients, host, like, matrix, near, starts, vector},
    pairwise::{PairScores, PairwiseLoss, bradley_terry::BradleyTerryConfig},
    plural::testing::{check_network, parameters, trained, with_parameters},
};

fn cube(values: &[f64], shape: [usize; 3]) -> Tensor<3> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), (&Device::flex(), DType::F64))
}

fn tracked(values: &[f64], shape: [usize; 3]) -> Tensor<3> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), (&Device::flex().autodiff(), DType::F64))
}

fn draws(len: usize, seed: u64) -> Vec<f64> {
    let mut rng = stream(seed, Purpose::World, 0);
    (0..len).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// A head in f64, with the parameters that its seed gives.
fn head(config: &PrefPaletteConfig) -> PrefPalette {
    let head = config.init(3, &Device::flex()).unwrap();
    let values = parameters(&head);
    with_parameters(head, &values, &Device::flex())
}

#[test]
fn attention_by_hand() {
    let (keys, query, u) = ([0.3, -0.2, 1.0, 0.5, 0.0, -2.0], [0.4, -1.0], [1.5, -0.7]);
    for queries in [None, Some(query)] {
        let q = queries.unwrap_or_default();
        let scores: Vec<f64> =
            keys.chunks(2).map(|key| (0..2).map(|i| u[i] * f64::tanh(q[i] + key[i])).sum::<f64>()).collect();
        let queries = queries.map(|query| matrix(&query, 2));
        let got = attention(cube(&keys, [1, 3, 2]), queries, vector(&u)).unwrap();
        near(&host(&got), &accordant_ops::host::softmax(&scores), 1e-12);
    }
    check_gradients(&draws(14, 1), |x| {
        let keys = x.clone().narrow(0, 0, 8).reshape([2, 2, 2]);
        let queries = x.clone().narrow(0, 8, 4).reshape([2, 2]);
        let weights = attention(keys, Some(queries), x.clone().narrow(0, 12, 2)).unwrap();
        weights * like(&x, &[1.0, 0.0, -2.0, 0.5]).reshape([2, 2])
    });
}

#[test]
fn uniform_attention_is_the_mean_of_the_attributes() {
    let (features, attributes) = (draws(6, 2), draws(24, 3));
    let uniform = attention(cube(&draws(8, 4), [2, 4, 1]), None, vector(&[0.0])).unwrap();
    near(&host(&uniform), &[0.25; 8], 1e-15);
    let got = fused(matrix(&features, 3), cube(&attributes, [2, 4, 3]), uniform, vector(&[0.5])).unwrap();
    let expected: Vec<f64> = (0..6)
        .map(|at| {
            let (row, feature) = (at / 3, at % 3);
            let mean = (0..4).map(|k| attributes[12 * row + 3 * k + feature]).sum::<f64>() / 4.0;
            features[at] + 0.5 * mean
        })
        .collect();
    near(&host(&got), &expected, 1e-12);
}

#[test]
fn scalar_attributes_shift_every_feature_alike() {
    let weights = matrix(&[0.25, 0.75], 2);
    let got = fused(matrix(&[1.0, 2.0, 3.0], 3), cube(&[4.0, 8.0], [1, 2, 1]), weights, vector(&[2.0])).unwrap();
    near(&host(&got), &[15.0, 16.0, 17.0], 1e-12);
    let scalar = head(&PrefPaletteConfig::new(3).with_attributes(Attributes::Scalar));
    starts(scalar.forward(matrix(&[0.0; 3], 3), Some(cube(&[0.0; 6], [1, 2, 3]))), "`attributes`");
    scalar.forward(matrix(&[0.0; 3], 3), Some(cube(&[0.0; 2], [1, 2, 1]))).unwrap();
}

#[test]
fn no_weight_of_the_attributes_or_none_of_them_is_the_linear_score() {
    let (features, attributes) = (matrix(&draws(12, 5), 4), cube(&draws(24, 6), [3, 2, 4]));
    let none = head(&PrefPaletteConfig::new(4).with_gamma(0.0));
    let alone = none.forward(features.clone(), None).unwrap();
    let with = none.forward(features.clone(), Some(attributes.clone())).unwrap();
    near(&host(&with.scores), &host(&alone.scores), 1e-15);
    assert!(alone.attention.is_none());
    let v = host(&none.head.val());
    let expected: Vec<f64> = draws(12, 5).chunks(4).map(|row| row.iter().zip(&v).map(|(x, v)| x * v).sum()).collect();
    near(&host(&alone.scores), &expected, 1e-12);
    // γ adds as much of the attended attributes' own score.
    let half = head(&PrefPaletteConfig::new(4));
    assert_eq!(host(&half.gamma()), [0.5]);
    let output = half.forward(features.clone(), Some(attributes.clone())).unwrap();
    let weights = host(&output.attention.unwrap());
    for (row, score) in host(&output.scores).iter().enumerate() {
        let own = |k: usize| (0..4).map(|i| v[i] * draws(24, 6)[8 * row + 4 * k + i]).sum::<f64>();
        let added = 0.5 * (weights[2 * row] * own(0) + weights[2 * row + 1] * own(1));
        assert!((score - expected[row] - added).abs() < 1e-12);
    }
}

#[test]
fn permuted_attributes_permute_the_attention_and_leave_scores_alone() {
    for mode in [Attention::Contextual, Attention::ContextFree] {
        let head = head(&PrefPaletteConfig::new(4).with_attention(mode));
        let values = draws(12, 7);
        let permuted: Vec<f64> = [8..12, 0..4, 4..8].into_iter().flat_map(|range| values[range].to_vec()).collect();
        let run = |values: &[f64]| {
            let output = head.forward(matrix(&draws(4, 8), 4), Some(cube(values, [1, 3, 4]))).unwrap();
            (host(&output.scores), host(&output.attention.unwrap()))
        };
        let ((scores, weights), (same, moved)) = (run(&values), run(&permuted));
        near(&scores, &same, 1e-12);
        near(&[weights[2], weights[0], weights[1]], &moved, 1e-12);
        assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12 && weights[0] != weights[1]);
    }
}

#[test]
fn a_context_changes_contextual_attention_only() {
    for (mode, changes) in [(Attention::Contextual, true), (Attention::ContextFree, false)] {
        let head = head(&PrefPaletteConfig::new(4).with_attention(mode).with_hidden(Some(3)));
        let weights = |seed| {
            let output = head.forward(matrix(&draws(4, seed), 4), Some(cube(&draws(8, 1), [1, 2, 4]))).unwrap();
            host(&output.attention.unwrap())
        };
        assert_eq!(weights(10) != weights(11), changes);
        // Only without a context there is a bias.
        assert_eq!((head.query.is_some(), head.key.bias.is_some()), (changes, !changes));
        assert_eq!(head.direction.dims(), [3]);
    }
}

#[test]
fn gradients_of_all_parameters_are_derivatives() {
    for (mode, kind, width) in
        [(Attention::Contextual, Attributes::Hidden, 4), (Attention::ContextFree, Attributes::Scalar, 1)]
    {
        let config = PrefPaletteConfig::new(4).with_attention(mode).with_attributes(kind).with_hidden(Some(2));
        check_network(&config.init(1, &Device::flex()).unwrap(), |head| {
            let features = tracked(&draws(8, 2), [1, 2, 4]).squeeze_dim::<2>(0);
            let output = head.forward(features, Some(tracked(&draws(6 * width, 3), [2, 3, width]))).unwrap();
            output.scores.square().sum()
        });
    }
}

#[test]
fn communities_that_weigh_attributes_differently_are_told_apart() {
    // Two communities, shown by the first two features; one goes by the first attribute's score, the other by the
    // second's. Attributes are hidden states whose third and fourth numbers tell which they are, and whose last is the
    // score.
    let n = 400;
    let mut rng = stream(1, Purpose::World, 0);
    let (mut features, mut attributes, mut wins, mut communities) =
        ([vec![], vec![]], [vec![], vec![]], vec![], vec![]);
    for _ in 0..n {
        let community = rng.random_range(0..2);
        communities.push(community);
        let mut scores = [[0.0; 2]; 2];
        for side in 0..2 {
            features[side].extend([[1.0, 0.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0, 0.0]][community]);
            scores[side] = [rng.random_range(-1.0..1.0), rng.random_range(-1.0..1.0)];
            attributes[side].extend([0.0, 0.0, 1.0, 0.0, scores[side][0], 0.0, 0.0, 0.0, 1.0, scores[side][1]]);
        }
        wins.push(f64::from(u8::from(scores[0][community] > scores[1][community])));
    }
    let run = |head: &PrefPalette, side: usize| {
        let rows = tracked(&features[side], [1, n, 5]).squeeze_dim::<2>(0);
        head.forward(rows, Some(tracked(&attributes[side], [n, 2, 5]))).unwrap()
    };
    let pairs = |head: &PrefPalette| {
        let pairs = PairScores::new(run(head, 0).scores, run(head, 1).scores).unwrap();
        let targets = like(&pairs.first(), &wins);
        BradleyTerryConfig::new().init().unwrap().forward(&pairs.with_targets(targets).unwrap()).unwrap()
    };
    let config = PrefPaletteConfig::new(5).with_hidden(Some(16));
    let start = config.init(0, &Device::flex()).unwrap();
    let head = trained(start, 0.1, 300, |head, _| pairs(head).losses.mean());
    let accuracy = pairs(&head).means().mean("accuracy").unwrap();
    let weights = run(&head, 0).attention.unwrap().detach();
    let by = host(&attention_by_community(weights, &Groups::new(&communities)).unwrap());
    // In the order in which communities appear.
    let own = |row: usize, community: usize| by[2 * row + community];
    println!("accuracy {accuracy}, attention {by:?}");
    // Half the attention each would be right in three quarters of the pairs.
    let found = own(0, communities[0]) > 0.7 && own(1, 1 - communities[0]) > 0.7;
    assert!(accuracy > 0.95 && found, "{accuracy}, {by:?}");
}

#[test]
fn settings_shapes_and_schedules_are_checked() {
    let init = |config: PrefPaletteConfig| config.init(0, &Device::flex());
    starts(init(PrefPaletteConfig::new(1)), "`num_features`: expected >= 2");
    starts(init(PrefPaletteConfig::new(4).with_hidden(Some(0))), "`hidden`: expected >= 1");
    for bad in [f64::NAN, f64::INFINITY] {
        starts(init(PrefPaletteConfig::new(4).with_gamma(bad)), "`gamma`: expected finite");
    }
    let PrefPaletteConfig { attributes, attention: mode, hidden, gamma, .. } = PrefPaletteConfig::new(16);
    assert_eq!((attributes, mode, hidden, gamma), (Attributes::Hidden, Attention::Contextual, None, 0.5));
    let head = init(PrefPaletteConfig::new(16)).unwrap();
    assert_eq!(head.direction.dims(), [4], "a quarter of the features");
    assert_eq!(init(PrefPaletteConfig::new(3)).unwrap().direction.dims(), [1]);
    let weights = |seed| parameters(&PrefPaletteConfig::new(4).init(seed, &Device::flex()).unwrap());
    assert_eq!(weights(1), weights(1));
    assert_ne!(weights(1), weights(2));
    let zeros = |n: usize, k: usize, h: usize| Tensor::<3>::zeros([n, k, h], &Device::flex());
    let rows = |n: usize, h: usize| Tensor::<2>::zeros([n, h], &Device::flex());
    starts(head.forward(rows(2, 15), None), "`features`");
    starts(head.forward(rows(2, 16), Some(zeros(1, 3, 16))), "`attributes`");
    starts(head.forward(rows(2, 16), Some(zeros(2, 0, 16))), "`keys`");
    let keys = || cube(&[0.0; 4], [1, 2, 2]);
    starts(attention(keys(), None, vector(&[0.0])), "`direction`");
    starts(attention(keys(), Some(matrix(&[0.0], 1)), vector(&[0.0; 2])), "`queries`");
    let fuse = |weights, gamma| fused(matrix(&[0.0; 2], 2), keys(), weights, gamma);
    starts(fuse(matrix(&[0.0], 1), vector(&[0.0])), "`weights`");
    starts(fuse(matrix(&[0.0; 2], 2), vector(&[0.0; 2])), "`gamma`");
    starts(fused(matrix(&[0.0; 3], 3), keys(), matrix(&[0.0; 2], 2), vector(&[0.0])), "`attributes`");
    for bad in [-0.1, 1.1, f64::NAN] {
        starts(dropout_chance(0, 1, bad), "`p_max`: expected in [0, 1]");
    }
    starts(dropout_chance(0, 0, 0.5), "`total`: expected >= 1");
    assert_eq!([dropout_chance(200, 100, 1.0), dropout_chance(3, 8, 0.8)].map(Result::unwrap), [1.0, 0.5]);
    assert_eq!(dropout_chance(60, 64, 0.7).unwrap(), 0.7);
    // Three responses of one community, one of another.
    let means = attention_by_community(matrix(&[0.9, 0.3, 0.6, 0.6], 1), &Groups::new(&["a", "b", "a", "a"])).unwrap();
    near(&host(&means), &[0.7, 0.3], 1e-15);
    starts(attention_by_community(matrix(&[0.0; 2], 2), &Groups::new(&[1, 2])), "`communities`");
}

#[test]
fn attributes_are_constants_and_other_dtypes_are_refused() {
    let config = PrefPaletteConfig::new(2);
    let head = config.init(3, &Device::flex().autodiff()).unwrap();
    let device = Device::flex().autodiff();
    let features = Tensor::<2>::from_floats([[0.5, -1.0]], &device);
    let attributes = Tensor::<3>::from_floats([[[1.0, 2.0], [0.3, -0.4]]], &device).require_grad();
    let scores = head.forward(features.clone(), Some(attributes.clone())).unwrap().scores;
    assert!(attributes.grad(&scores.sum().backward()).is_none());
    let wide = |shape: [usize; 3]| cube(&vec![1.0; shape.iter().product()], shape);
    starts(head.forward(features.clone(), Some(wide([1, 2, 2]))), "`attributes`");
    starts(head.forward(matrix(&[1.0, 1.0], 2), None), "`features`");
    let one = Tensor::<1>::from_floats([1.0], &Device::flex());
    starts(fused(matrix(&[1.0, 1.0], 2), wide([1, 1, 2]), matrix(&[1.0], 1), one), "`gamma`");
}
