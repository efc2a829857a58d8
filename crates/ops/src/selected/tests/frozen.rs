//! What is frozen costs no gradient, and changes no other.

use super::*;

#[test]
fn any_of_the_inputs_can_be_frozen() {
    let case = Case::new(5, 3, 7);
    for memory in [Memory::Auto, Memory::Tiles { rows: 2, columns: 3 }] {
        let all = case.clone().with_memory(memory).streamed();
        for which in 1..7 {
            let trained = [0, 1, 2].map(|i| which >> i & 1 == 1);
            let frozen = Case { trained, ..case.clone().with_memory(memory) }.streamed();
            for name in OUTPUTS {
                assert_eq!(frozen.get(name), all.get(name), "{trained:?} {name}");
            }
            for (name, trained) in GRADS.into_iter().zip(trained) {
                assert_eq!(frozen.has(name), trained, "{name}");
                if trained {
                    assert_eq!(frozen.get(name), all.get(name), "{name}");
                }
            }
        }
    }
}

#[test]
fn nothing_is_tracked_where_nothing_is_trained() {
    let (hidden, weight, bias) = Case { trained: [false; 3], ..Case::new(2, 3, 4) }.inputs();
    let selected = selected_logps(hidden, weight, bias, &token_ids(&[1, 2]), &SelectedOptions::new()).unwrap();
    // A leaf beside it is the only thing that has a gradient.
    let leaf = tensor(&[1.0, 2.0], [2], DType::F64).require_grad();
    let grads = (selected.logps.clone() * leaf.clone()).sum().backward();
    assert_eq!(host(&leaf.grad(&grads).unwrap()), host(&selected.logps));
    assert!(selected.logps.grad(&grads).is_none());
}

#[test]
fn a_plain_device_gives_the_same_values() {
    let case = Case::new(4, 3, 7);
    let (hidden, weight, bias) = case.inputs();
    let plain = Device::flex();
    for memory in [Memory::Auto, Memory::Tiles { rows: 2, columns: 3 }] {
        let options = SelectedOptions::new().with_memory(memory);
        let expected = case.clone().with_memory(memory).streamed();
        // Ids may have been made for either device.
        for ids in [token_ids(&case.ids), TokenIds::new(&case.ids, None, &plain)] {
            let hidden = Tensor::from_data(hidden.to_data(), (&plain, DType::F64));
            let weight = Tensor::from_data(weight.to_data(), (&plain, DType::F64));
            let bias = bias.as_ref().map(|bias| Tensor::from_data(bias.to_data(), (&plain, DType::F64)));
            let selected = outputs(&selected_logps(hidden, weight, bias, &ids, &options).unwrap());
            assert_eq!(selected.0, expected.0[..OUTPUTS.len()]);
        }
    }
}

#[test]
fn ids_of_a_plain_device_serve_tracked_logits() {
    let logits = tensor(&noise(41, 12), [3, 4], DType::F64).require_grad();
    for ids in [[0, 1, 3], [2, ids::IGNORE_ID, 1]] {
        let plain = TokenIds::new(&ids, Some(ids::IGNORE_ID), &Device::flex());
        let run = |ids: &TokenIds| {
            let selected = selected_log_softmax(logits.clone(), ids, 1.0).unwrap();
            host(&logits.grad(&selected.logps.sum().backward()).unwrap())
        };
        assert_eq!(run(&plain), run(&token_ids(&ids)));
    }
}

#[test]
fn the_backward_pass_leaves_logits_alone_that_are_used_elsewhere() {
    // The gradient is written in the place of the logits where nobody else holds them.
    let leaf = tensor(&noise(42, 12), [3, 4], DType::F64).require_grad();
    let reference = tensor(&noise(43, 12), [3, 4], DType::F64);
    let grad = |form: &dyn Fn(Tensor<2>) -> Tensor<1>, beside: bool| {
        let logits = leaf.clone() * 2.0;
        let loss = form(logits.clone()).sum();
        let loss = if beside { loss + (logits.clone() * logits.clone() * logits.clone()).sum() } else { loss };
        let before = host(&logits);
        let grads = loss.backward();
        assert_eq!(host(&logits), before);
        host(&leaf.grad(&grads).unwrap())
    };
    let forms: [&dyn Fn(Tensor<2>) -> Tensor<1>; 2] =
        [&|logits| selected_log_softmax(logits, &token_ids(&[0, 1, 3]), 1.0).unwrap().logps, &|logits| {
            kl_logits(logits, reference.clone(), 1.0, KlDirection::Reverse).unwrap()
        }];
    for form in forms {
        // d (2x)³/dx = 24 x².
        let expected: Vec<f64> = grad(form, false).iter().zip(host(&leaf)).map(|(g, x)| g + 24.0 * x * x).collect();
        assert_near(&grad(form, true), &expected, 1e-14, "beside a cube");
    }
}

#[test]
fn ids_serve_whatever_the_gradient_checkpointing_and_inputs_must_agree_on_it() {
    let plain = Device::flex().autodiff();
    let other = Device::flex().autodiff().gradient_checkpointing();
    let logits = |device: &Device| Tensor::<2>::zeros([2, 3], device).require_grad();
    let ids = TokenIds::new(&[0, -100], Some(-100), &plain);
    let selected = selected_log_softmax(logits(&other), &ids, 1.0).unwrap();
    assert!((host(&selected.logps)[0] + 3f64.ln()).abs() < 1e-6);
    assert!(selected_logps(logits(&other), logits(&other), None, &ids, &SelectedOptions::new()).is_ok());
    let error = kl_logits(logits(&plain), logits(&other), 1.0, KlDirection::Reverse).unwrap_err();
    assert!(matches!(error, crate::Error::Device { name: "reference", .. }), "{error}");
    let error = selected_logps(logits(&plain), logits(&other), None, &ids, &SelectedOptions::new()).unwrap_err();
    assert!(matches!(error, crate::Error::Device { name: "weight", .. }), "{error}");
}
