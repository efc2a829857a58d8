//! What tests of networks share: their parameters as one vector in f64.

use accordant_laws::gradient::check_gradient;
use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    tensor::{DType, Device, Gradients, Tensor, TensorData},
};

use crate::optimize::{Stop, adam};

struct Read(Vec<f64>);

impl ModuleVisitor for Read {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.extend(param.val().try_to_vec_as::<f64>().unwrap());
    }
}

/// The parameters of a network, in a fixed order.
pub(crate) fn parameters<M: Module>(module: &M) -> Vec<f64> {
    let mut read = Read(Vec::new());
    module.visit(&mut read);
    read.0
}

struct Write<'a>(&'a [f64], Device);

impl ModuleMapper for Write<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let dims = param.val().dims();
        let (values, rest) = self.0.split_at(dims.iter().product());
        self.0 = rest;
        let tensor = Tensor::from_data(TensorData::new(values.to_vec(), dims), (&self.1, DType::F64));
        Param::initialized(param.id, if self.1.is_autodiff() { tensor.require_grad() } else { tensor })
    }
}

/// The same network with other parameters, in f64; with gradients on a device that records them.
pub(crate) fn with_parameters<M: Module>(module: M, values: &[f64], device: &Device) -> M {
    let mut write = Write(values, device.clone());
    let module = module.map(&mut write);
    assert!(write.0.is_empty(), "as many numbers as parameters");
    module
}

struct Slopes<'a>(&'a Gradients, Vec<f64>);

impl ModuleVisitor for Slopes<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val();
        match value.grad(self.0) {
            Some(slope) => self.1.extend(slope.try_to_vec_as::<f64>().unwrap()),
            None => self.1.extend(vec![0.0; value.shape().num_elements()]),
        }
    }
}

/// A loss of a network's parameters, and its derivatives.
pub(crate) fn value_and_slopes<M: Module>(module: &M, loss: Tensor<1>) -> (f64, Vec<f64>) {
    let value = loss.clone().detach().try_to_vec_as::<f64>().unwrap()[0];
    let gradients = loss.backward();
    let mut slopes = Slopes(&gradients, Vec::new());
    module.visit(&mut slopes);
    (value, slopes.1)
}

/// The derivatives of a loss by a network's parameters are those of finite differences.
#[track_caller]
pub(crate) fn check_network<M: Module + Clone>(module: &M, loss: impl Fn(&M) -> Tensor<1>) {
    let at = parameters(module);
    let of = |values: &[f64]| with_parameters(module.clone(), values, &Device::flex().autodiff());
    let here = of(&at);
    let (_, slopes) = value_and_slopes(&here, loss(&here));
    check_gradient(|values| value_and_slopes(&here, loss(&of(values))).0, &at, &slopes).unwrap();
}

/// A network after steps of Adam; `loss` is told the number of the step.
pub(crate) fn trained<M: Module + Clone>(
    module: M,
    learning_rate: f64,
    steps: usize,
    loss: impl Fn(&M, usize) -> Tensor<1>,
) -> M {
    let mut step = 0;
    let evaluate = |values: &[f64], gradient: &mut [f64]| {
        let here = with_parameters(module.clone(), values, &Device::flex().autodiff());
        let (value, slopes) = value_and_slopes(&here, loss(&here, step));
        step += 1;
        gradient.copy_from_slice(&slopes);
        value
    };
    let start = parameters(&module);
    let (values, _) = adam(evaluate, start, learning_rate, Stop { gradient: 0.0, max_iterations: steps });
    with_parameters(module, &values, &Device::flex().autodiff())
}
