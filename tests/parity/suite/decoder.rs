//! A whole model.

use accordant_lm::{
    CausalLm,
    decoder::{Decoder, DecoderConfig},
};
use accordant_objectives::pairwise::{PairBatch, PairLogps, PairwiseObjective, dpo::DpoConfig};
use accordant_ops::{
    TokenLogps,
    selected::{SelectedOptions, TokenIds, selected_logps},
};
use burn::{
    module::{Module, ModuleVisitor, Param},
    tensor::{Device, Gradients, Int, Tensor, TensorData},
};

use super::{Numbers, mask};

/// Hidden states of a decoder, and the gradient of DPO by each of its weights.
pub fn add(numbers: &mut Numbers, device: &Device) {
    let (rows, seq, vocab) = (8, 12, 50);
    let ids: Vec<i64> = (0..rows * seq).map(|i| (i * i * 31 % vocab) as i64).collect();
    let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, [rows, seq]), device);
    // Row r has r % 4 columns of padding, on the left in every second row; the last five real tokens are scored.
    let real = |i: usize| {
        let (row, column) = (i / seq, i % seq);
        if row.is_multiple_of(2) { column >= row % 4 } else { column < seq - row % 4 }
    };
    let scored = |i: usize| real(i) && (0..5).any(|ahead| i % seq + ahead + 1 == seq || !real(i + ahead + 1));
    let scored = mask(device, [rows, seq], scored).narrow(1, 1, seq - 1);
    let init = |seed| DecoderConfig::new(vocab).with_init_std(0.2).init(seed, device).unwrap();
    let logps = |model: &Decoder| {
        let hidden = model.hidden(ids.clone(), mask(device, [rows, seq], real)).unwrap();
        let hidden = hidden.narrow(1, 0, seq - 1).reshape([rows * (seq - 1), 64]);
        let next = ids.clone().narrow(1, 1, seq - 1).reshape([rows * (seq - 1)]);
        let logps = selected_logps(hidden, model.head(), None, &TokenIds::read(&next, None), &SelectedOptions::new());
        let logps = logps.unwrap().logps;
        let tokens = TokenLogps::new(logps.reshape([rows, seq - 1]), scored.clone()).unwrap();
        PairLogps::from_stacked_tokens(&tokens).unwrap()
    };
    let model = init(7);
    let padding = mask(device, [rows, seq], |i| !real(i)).unsqueeze_dim::<3>(2).expand([rows, seq, 64]);
    let hidden = model.hidden(ids.clone(), mask(device, [rows, seq], real)).unwrap();
    numbers.add("decoder, hidden states", &hidden.mask_fill(padding, 0.0));
    let batch = PairBatch::new(logps(&model)).with_reference(logps(&init(8))).unwrap();
    let output = DpoConfig::new().init().unwrap().forward(&batch).unwrap();
    numbers.add("decoder, DPO losses", &output.losses);
    let grads = output.reduce().unwrap().loss.backward();
    model.visit(&mut Weights { numbers, grads, seen: 0 });
}

struct Weights<'a> {
    numbers: &'a mut Numbers,
    grads: Gradients,
    seen: usize,
}

impl ModuleVisitor for Weights<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let name = format!("decoder, gradient of weight {}", self.seen);
        self.seen += 1;
        self.numbers.add(name, &param.val().grad(&self.grads).expect("every weight is used"));
    }
}
