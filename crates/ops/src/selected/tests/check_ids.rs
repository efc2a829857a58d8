//! Token ids that a vocabulary does not have, and ids that occur more than once.

use burn::tensor::Int;

use super::*;
use crate::Error;

#[test]
fn an_id_outside_of_the_vocabulary_is_an_error_that_names_it() {
    let cases = [
        (vec![5, 0, 1], 0, 5),
        (vec![0, 1, 5], 2, 5),
        (vec![0, -1, 1], 1, -1),
        (vec![0, -100, 1], 1, -100),
        (vec![0, i64::MAX, 1], 1, i64::MAX),
        (vec![0, 1, i64::MIN], 2, i64::MIN),
        (vec![0, 1 << 31, 1], 1, 1 << 31),
        (vec![0, (1 << 32) + 1, 1], 1, (1 << 32) + 1),
    ];
    let device = Device::flex();
    for (values, row, id) in cases {
        let expected = Error::TokenId { row, id, vocab_size: 5 };
        let of_i64 = Tensor::<1, Int>::from_data(TensorData::new(values.clone(), [3]), (&device, DType::I64));
        for ids in [TokenIds::new(&values, None, &device), TokenIds::read(&of_i64, None)] {
            assert_eq!(ids.check(5), Err(expected.clone()));
            let from_logits = selected_log_softmax(Tensor::zeros([3, 5], &device), &ids, 1.0);
            assert_eq!(from_logits.unwrap_err(), expected);
            let (hidden, weight) = (Tensor::zeros([3, 2], &device), Tensor::zeros([5, 2], &device));
            for form in [selected_logps as Linear, naive::selected_logps] {
                let result = form(hidden.clone(), weight.clone(), None, &ids, &SelectedOptions::new());
                assert_eq!(result.unwrap_err(), expected);
            }
        }
    }
}

#[test]
fn a_row_is_counted_with_the_ignored_ones() {
    let ids = TokenIds::new(&[-100, 2, -100, 9], Some(-100), &Device::flex());
    assert_eq!(ids.check(9), Err(Error::TokenId { row: 3, id: 9, vocab_size: 9 }));
    assert_eq!(ids.check(10), Ok(()));
    assert_eq!((ids.len(), ids.is_empty(), ids.num_counted()), (4, false, 2));
    // Any id can be the one that does not count, one of the vocabulary too.
    let ids = TokenIds::new(&[0, 2, 0, 1], Some(0), &Device::flex());
    assert_eq!(ids.counted().try_to_vec_as::<i64>().unwrap(), [2, 1]);
}

#[test]
fn ignored_ids_are_ignored_in_an_empty_vocabulary_too() {
    for ids in [&[][..], &[-100, -100]] {
        let ids = TokenIds::new(ids, Some(-100), &Device::flex());
        assert_eq!(ids.check(0), Ok(()));
        assert_eq!(ids.num_counted(), 0);
    }
    let ids = TokenIds::new(&[0], None, &Device::flex());
    assert_eq!(ids.check(0), Err(Error::TokenId { row: 0, id: 0, vocab_size: 0 }));
}

#[test]
fn ids_read_from_a_device_are_those_of_the_host() {
    for dtype in [DType::I64, DType::I32, DType::I16] {
        let values = TensorData::new(vec![3i64, -100, 0], [3]);
        let ids = TokenIds::read(&Tensor::from_data(values, (&Device::flex(), dtype)), Some(-100));
        assert_eq!(ids.counted().try_to_vec_as::<i64>().unwrap(), [3, 0]);
        assert_eq!(ids.len(), 3);
    }
}

#[test]
fn equal_ids_do_not_share_a_gradient() {
    // Three rows select token 2; each has its own [j = 2] - p_j.
    let logits = tensor(&noise(51, 12), [3, 4], DType::F64).require_grad();
    let selected = selected_log_softmax(logits.clone(), &token_ids(&[2, 2, 2]), 1.0).unwrap();
    let weights = [1.0, -0.5, 3.0];
    let loss = (selected.logps * tensor(&weights, [3], DType::F64)).sum();
    let grads = host(&logits.grad(&loss.backward()).unwrap());
    for (row, (logits, grads)) in host(&logits).chunks(4).zip(grads.chunks(4)).enumerate() {
        let total: f64 = logits.iter().map(|x| x.exp()).sum();
        let expected: Vec<f64> = (0..4).map(|j| weights[row] * (f64::from(j == 2) - logits[j].exp() / total)).collect();
        assert_near(grads, &expected, 1e-14, "gradient");
    }
    let case = Case { ids: vec![3; 5], ..Case::new(5, 2, 4) };
    let got = case.clone().with_memory(Memory::Tiles { rows: 2, columns: 3 }).streamed();
    got.assert_near(&case.naive(), 1e-13, "one id");
}
