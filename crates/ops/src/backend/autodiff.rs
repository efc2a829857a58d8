//! The backward steps.

use burn::backend::{
    Autodiff,
    autodiff::{
        checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
        grads::Gradients,
        ops::{Backward, Ops, OpsKind},
    },
    tensor::{FloatTensor, IntTensor},
};

use super::streamed::{self, Linear, Spec};
use super::{LogSoftmaxOps, Products, RowKernels};

#[derive(Debug)]
struct LinearLogps;

/// Inputs, plan, kept logits and output.
type LinearState<B> = (Linear<B>, Spec, Option<FloatTensor<B>>, FloatTensor<B>);

impl<B: RowKernels + Products> Backward<B, 3> for LinearLogps {
    type State = LinearState<B>;

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let (linear, spec, kept, output) = ops.state;
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let found = streamed::backward(&linear, &spec, kept, output, grad, wanted);
        for (parent, grad) in ops.parents.into_iter().zip(found) {
            if let (Some(parent), Some(grad)) = (parent, grad) {
                grads.register::<B>(parent.id, grad);
            }
        }
    }
}

#[derive(Debug)]
struct LogitsLogps;

impl<B: RowKernels> Backward<B, 1> for LogitsLogps {
    type State = (FloatTensor<B>, IntTensor<B>, f64, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let (logits, ids, scale, output) = ops.state;
        if let [Some(parent)] = ops.parents {
            grads.register::<B>(parent.id, streamed::logits_backward::<B>(logits, ids, scale, output, grad));
        }
    }
}

#[derive(Debug)]
struct LogitsKl;

impl<B: RowKernels> Backward<B, 1> for LogitsKl {
    type State = (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>, f64, bool);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let (policy, reference, output, scale, forward) = ops.state;
        if let [Some(parent)] = ops.parents {
            let grad = streamed::kl_backward::<B>(policy, reference, output, grad, scale, forward);
            grads.register::<B>(parent.id, grad);
        }
    }
}

impl<B: RowKernels + Products, C: CheckpointStrategy> LogSoftmaxOps for Autodiff<B, C> {
    fn linear_logps(
        hidden: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        ids: IntTensor<Self>,
        spec: Spec,
    ) -> FloatTensor<Self> {
        let nodes = [hidden.node(), weight.node(), bias.node()];
        let [hidden, weight, bias] = [hidden, weight, bias].map(|tensor| tensor.into_primitive());
        let linear = Linear::<B>::new(hidden, weight, bias, ids, &spec);
        match LinearLogps.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let (output, kept) = streamed::forward(&linear, &spec, true);
                prep.finish((linear, spec, kept, output.clone()), output)
            }
            OpsKind::UnTracked(prep) => prep.finish(streamed::forward(&linear, &spec, false).0),
        }
    }

    fn logits_logps(logits: FloatTensor<Self>, ids: IntTensor<Self>, scale: f64) -> FloatTensor<Self> {
        let nodes = [logits.node()];
        let logits = logits.into_primitive();
        match LogitsLogps.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let output = streamed::logits_forward::<B>(logits.clone(), ids.clone(), scale);
                prep.finish((logits, ids, scale, output.clone()), output)
            }
            OpsKind::UnTracked(prep) => prep.finish(streamed::logits_forward::<B>(logits, ids, scale)),
        }
    }

    fn logits_kl(
        policy: FloatTensor<Self>,
        reference: FloatTensor<Self>,
        scale: f64,
        forward: bool,
    ) -> FloatTensor<Self> {
        let nodes = [policy.node()];
        let (policy, reference) = (policy.into_primitive(), reference.into_primitive());
        match LogitsKl.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let output = B::kl_rows(policy.clone(), reference.clone(), scale, forward);
                prep.finish((policy, reference, output.clone(), scale, forward), output)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::kl_rows(policy, reference, scale, forward)),
        }
    }
}
