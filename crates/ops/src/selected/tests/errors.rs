//! Arguments that do not fit.

use super::linear::check_vocabulary;
use super::*;
use crate::Error;

fn zeros<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    tensor(&vec![0.0; shape.iter().product()], shape, DType::F32)
}

/// What both forms of [`selected_logps`] say.
fn both(hidden: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>, ids: &[i64]) -> Error {
    let errors = [selected_logps as Linear, naive::selected_logps].map(|form| {
        let result = form(hidden.clone(), weight.clone(), bias.clone(), &token_ids(ids), &SelectedOptions::new());
        result.unwrap_err()
    });
    assert_eq!(errors[0], errors[1]);
    errors[0].clone()
}

#[test]
fn an_argument_of_another_shape_is_an_error_that_names_it() {
    let shape = |name, expected: &[usize], got: &[usize]| Error::ShapeMismatch {
        name,
        expected: expected.to_vec(),
        got: got.to_vec(),
    };
    assert_eq!(both(zeros([2, 3]), zeros([5, 4]), None, &[0, 0]), shape("weight", &[5, 3], &[5, 4]));
    let bias = Some(zeros([1]));
    assert_eq!(both(zeros([2, 3]), zeros([5, 3]), bias, &[0, 0]), shape("bias", &[5], &[1]));
    assert_eq!(both(zeros([2, 3]), zeros([5, 3]), None, &[0]), shape("ids", &[2], &[1]));
    for form in [selected_log_softmax, naive::selected_log_softmax] {
        let error = form(zeros([2, 5]), &token_ids(&[0, 1, 2]), 1.0).unwrap_err();
        assert_eq!(error, shape("ids", &[2], &[3]));
    }
    for form in [kl_logits, naive::kl_logits] {
        let error = form(zeros([2, 5]), zeros([1, 5]), 1.0, KlDirection::Reverse).unwrap_err();
        assert_eq!(error, shape("reference", &[2, 5], &[1, 5]));
    }
}

#[test]
fn an_argument_of_another_dtype_is_an_error_that_names_it() {
    let wide = |shape: [usize; 2]| tensor(&vec![0.0; shape[0] * shape[1]], shape, DType::F64);
    let dtype = |name, expected, got| Error::DType { name, expected, got };
    assert_eq!(both(zeros([2, 3]), wide([5, 3]), None, &[0, 0]), dtype("weight", DType::F32, DType::F64));
    let bias = Some(zeros([5]));
    assert_eq!(both(wide([2, 3]), wide([5, 3]), bias, &[0, 0]), dtype("bias", DType::F64, DType::F32));
    for form in [kl_logits, naive::kl_logits] {
        let error = form(zeros([2, 5]), wide([2, 5]), 1.0, KlDirection::Forward).unwrap_err();
        assert_eq!(error, dtype("reference", DType::F32, DType::F64));
    }
}

#[test]
fn a_temperature_or_cap_that_f32_cannot_divide_by_is_an_error() {
    for bad in [0.0, -0.0, -1.0, 1e-39, 1e39, 1e300, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let is_named = |error: Error, expected: &str| match error {
            Error::Domain { name, got, .. } => name == expected && got.to_bits() == bad.to_bits(),
            _ => false,
        };
        let options = SelectedOptions::new();
        for (name, options) in
            [("temperature", options.with_temperature(bad)), ("softcap", options.with_softcap(Some(bad)))]
        {
            assert!(is_named(options.validate().unwrap_err(), name));
            for form in [selected_logps as Linear, naive::selected_logps] {
                let result = form(zeros([1, 3]), zeros([5, 3]), None, &token_ids(&[0]), &options);
                assert!(is_named(result.unwrap_err(), name));
            }
        }
        for form in [selected_log_softmax, naive::selected_log_softmax] {
            assert!(is_named(form(zeros([1, 5]), &token_ids(&[0]), bad).unwrap_err(), "temperature"));
        }
        for form in [kl_logits, naive::kl_logits] {
            let result = form(zeros([1, 5]), zeros([1, 5]), bad, KlDirection::Reverse);
            assert!(is_named(result.unwrap_err(), "temperature"));
        }
    }
}

#[test]
fn a_cap_whose_ratio_to_the_temperature_f32_cannot_hold_is_an_error() {
    let options = SelectedOptions::new().with_softcap(Some(30.0)).with_temperature(1e-37);
    assert!(matches!(options.validate(), Err(Error::Domain { name: "softcap", .. })));
}

#[test]
fn a_vocabulary_that_f32_cannot_count_is_an_error() {
    assert_eq!(check_vocabulary("weight", 1 << 24), Ok(()));
    let error = check_vocabulary("weight", (1 << 24) + 1).unwrap_err();
    assert_eq!(error.to_string(), "`weight`: expected a vocabulary of at most 2^24 tokens, got 16777217");
}
