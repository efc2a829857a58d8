//! Functions of single numbers in one pass, with the derivative that the backward pass will ask for.
//!
//! Burn records each operation of a formula for the backward pass, and on the CPU each goes over memory once in either
//! direction: a softplus that is accurate in both tails is a dozen of them. Here it is one. GPU runtimes keep burn's
//! operations: those fuse into one kernel as they are, together with their neighbors, and a kernel of ours would break
//! that chain.

use burn::backend::{
    Autodiff, Backend,
    autodiff::{
        checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
        grads::Gradients,
        ops::{Backward, Ops, OpsKind},
    },
    backend_extension,
    tensor::FloatTensor,
};

/// What is computed; [`crate::stable`] says how each behaves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Function {
    /// `log(1 + exp(x))`
    Softplus,
    /// `-log(1 + exp(-x))`
    LogSigmoid,
    /// `1 / (1 + exp(-x))`
    Logistic,
    /// `log(1 + x)`
    Log1p,
    /// `exp(x)`
    Exp,
    /// `exp(x) - 1`
    Expm1,
    /// `exp(x) - 1 - x`
    Expm1MinusX,
    /// `log(1 - exp(a))` of `a` clamped to at most `max`
    Log1mExp { max: f64 },
    /// `a - log(1 - exp(a))`, the latter `a` clamped to at most `max`
    LogOdds { max: f64 },
    /// The logarithm of the standard normal distribution function.
    LogNormalCdf,
}

/// The loops, for tensors of f32 and f64.
pub trait Pointwise: Backend {
    /// The function of each number.
    fn values(x: FloatTensor<Self>, function: Function) -> FloatTensor<Self>;

    /// The same, and its derivative at each number.
    fn values_and_slopes(x: FloatTensor<Self>, function: Function) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// Each number, within ±`bound`.
    fn clamped(x: FloatTensor<Self>, bound: f64) -> FloatTensor<Self>;

    /// The gradient where `x` lies within ±`bound` or is NaN, and 0 elsewhere, even of an infinite gradient.
    fn clamped_grad(x: FloatTensor<Self>, grad: FloatTensor<Self>, bound: f64) -> FloatTensor<Self>;
}

/// The differentiable operations.
#[backend_extension(Flex: cfg(feature = "flex"), Autodiff)]
pub trait PointwiseOps: Backend {
    /// The function of each number.
    fn pointwise(x: FloatTensor<Self>, function: Function) -> FloatTensor<Self>;

    /// Each number, within ±`bound`.
    fn clamp_exponent(x: FloatTensor<Self>, bound: f64) -> FloatTensor<Self>;
}

#[cfg(feature = "flex")]
impl PointwiseOps for burn::backend::Flex {
    fn pointwise(x: FloatTensor<Self>, function: Function) -> FloatTensor<Self> {
        Self::values(x, function)
    }

    fn clamp_exponent(x: FloatTensor<Self>, bound: f64) -> FloatTensor<Self> {
        Self::clamped(x, bound)
    }
}

#[derive(Debug)]
struct Slopes;

impl<B: Backend> Backward<B, 1> for Slopes {
    type State = FloatTensor<B>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        if let [Some(parent)] = ops.parents {
            grads.register::<B>(parent.id, B::float_mul(grad, ops.state));
        }
    }
}

#[derive(Debug)]
struct Clamp;

impl<B: Pointwise> Backward<B, 1> for Clamp {
    type State = (FloatTensor<B>, f64);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let (x, bound) = ops.state;
        if let [Some(parent)] = ops.parents {
            grads.register::<B>(parent.id, B::clamped_grad(x, grad, bound));
        }
    }
}

impl<B: Pointwise, C: CheckpointStrategy> PointwiseOps for Autodiff<B, C> {
    fn pointwise(x: FloatTensor<Self>, function: Function) -> FloatTensor<Self> {
        let nodes = [x.node()];
        let x = x.into_primitive();
        match Slopes.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let (values, slopes) = B::values_and_slopes(x, function);
                prep.finish(slopes, values)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::values(x, function)),
        }
    }

    fn clamp_exponent(x: FloatTensor<Self>, bound: f64) -> FloatTensor<Self> {
        let nodes = [x.node()];
        let x = x.into_primitive();
        match Clamp.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((x.clone(), bound), B::clamped(x, bound)),
            OpsKind::UnTracked(prep) => prep.finish(B::clamped(x, bound)),
        }
    }
}
