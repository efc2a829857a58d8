use burn::tensor::{Device, Int, Tensor, TensorData};

use super::*;

fn device() -> Device {
    Device::flex()
}

fn model() -> Decoder {
    DecoderConfig::new(11).init(3, &device()).unwrap()
}

/// One row of ids with `left` and `right` columns of padding, which holds an arbitrary id.
fn padded(ids: &[i64], left: usize, right: usize) -> (Tensor<2, Int>, Tensor<2, Bool>) {
    let row: Vec<i64> = [vec![9; left], ids.to_vec(), vec![9; right]].concat();
    let mask: Vec<bool> = (0..row.len()).map(|i| i >= left && i < left + ids.len()).collect();
    let shape = [1, row.len()];
    (
        Tensor::from_data(TensorData::new(row, shape), &device()),
        Tensor::from_data(TensorData::new(mask, shape), &device()),
    )
}

fn hidden(ids: &[i64], left: usize, right: usize) -> Vec<f32> {
    let (row, mask) = padded(ids, left, right);
    let all = model().hidden(row, mask).unwrap();
    assert!(all.clone().try_to_vec_as::<f32>().unwrap().iter().all(|x| x.is_finite()), "padding stays finite");
    all.narrow(1, left, ids.len()).try_to_vec_as::<f32>().unwrap()
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn padding_on_either_side_changes_nothing() {
    let ids = [1, 5, 2, 7, 7, 3];
    let plain = hidden(&ids, 0, 0);
    for (left, right) in [(3, 0), (17, 0), (0, 3), (0, 17), (5, 4)] {
        let difference = largest_difference(&plain, &hidden(&ids, left, right));
        assert!(difference < 2e-6, "{left} left, {right} right: {difference}");
    }
}

#[test]
fn a_later_token_changes_no_earlier_state() {
    let (a, b) = (hidden(&[1, 5, 2, 7], 0, 0), hidden(&[1, 5, 2, 8], 0, 0));
    assert_eq!(a[..3 * 64], b[..3 * 64]);
    assert!(largest_difference(&a[3 * 64..], &b[3 * 64..]) > 1e-3);
}

#[test]
fn reading_in_pieces_with_a_cache_equals_reading_at_once() {
    let model = model();
    let (ids, mask) = padded(&[1, 5, 2, 7, 7, 3], 2, 0);
    let whole: Vec<f32> = model.hidden(ids.clone(), mask.clone()).unwrap().try_to_vec_as::<f32>().unwrap();
    let mut cache = model.empty_cache();
    let mut pieces = Vec::new();
    for (start, len) in [(0, 5), (5, 1), (6, 2)] {
        let piece =
            model.hidden_cached(ids.clone().narrow(1, start, len), mask.clone().narrow(1, 0, start + len), &mut cache);
        pieces.extend(piece.unwrap().try_to_vec_as::<f32>().unwrap());
    }
    let real = 2 * 64..;
    assert!(largest_difference(&whole[real.clone()], &pieces[real]) < 2e-6);
}

#[test]
fn rotation_by_hand() {
    // Head of width 2 at position 1: a turn by one radian.
    let rotation = Rotation::new(Tensor::from_ints([[1]], &device()), 2, 10000.0);
    let turned: Vec<f32> =
        rotation.apply(Tensor::from_floats([[[[1.0, 0.0]]]], &device())).try_to_vec_as::<f32>().unwrap();
    assert!((turned[0] - 1f32.cos()).abs() < 1e-6 && (turned[1] - 1f32.sin()).abs() < 1e-6);
}

#[test]
fn the_seed_decides_the_weights() {
    let weights = |seed| -> Vec<f32> {
        DecoderConfig::new(11).init(seed, &device()).unwrap().head().try_to_vec_as::<f32>().unwrap()
    };
    assert_eq!(weights(3), weights(3));
    assert_ne!(weights(3), weights(4));
}

#[test]
fn a_configuration_that_does_not_fit_names_its_field() {
    for (config, message) in [
        (DecoderConfig::new(0), "`vocab_size` = 0: expected at least 1"),
        (DecoderConfig::new(5).with_hidden_size(60), "`hidden_size` = 60: expected a multiple of 2 · `num_heads` = 8"),
        (DecoderConfig::new(5).with_num_kv_heads(3), "`num_heads` = 4: expected a multiple of `num_kv_heads` = 3"),
        (DecoderConfig::new(5).with_rope_theta(f64::NAN), "`rope_theta`: expected finite and > 0, got NaN"),
    ] {
        assert_eq!(config.init(0, &device()).unwrap_err().to_string(), message);
    }
}

#[test]
fn a_mask_of_another_shape_is_an_error() {
    let (ids, _) = padded(&[1, 2, 3], 0, 0);
    let (_, mask) = padded(&[1, 2], 0, 0);
    let error = model().hidden(ids, mask).unwrap_err().to_string();
    assert_eq!(error, "`attention_mask`: expected shape [1, 3], got [1, 2]");
    let (ids, mask) = padded(&[1, 2, 3], 0, 0);
    let error = model().hidden_cached(ids, mask, &mut Vec::new()).unwrap_err().to_string();
    assert_eq!(error, "`cache` = 0: expected one entry for each of 2 layers");
}
