//! A loss as the laws see it: tensors in, numbers and gradients out.

use std::borrow::Cow;

use std::{
    cell::Cell,
    panic::{self, AssertUnwindSafe, catch_unwind},
    sync::Once,
};

use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use crate::{
    batch::Batch,
    report::Disagreement,
    subject::{Family, Subject},
    tensors::{Layout, Places, Tensors},
};

/// What a loss returns. `losses` carries the gradient, and `numerator` and `loss` made of it; all else is detached.
#[derive(Debug, Clone)]
pub struct Evaluated {
    /// The loss of each item, `[items]`; of rollouts the sum of each row's tokens, `[rows]`.
    pub losses: Tensor<1>,
    /// The weight of each item in the mean, 0 for one with an empty response, `[items]`; of rollouts whether a row has a
    /// scored token, `[rows]`.
    pub weights: Tensor<1>,
    /// The weighted mean of the losses, `[1]`; 0 when no item counts.
    pub loss: Tensor<1>,
    /// What is added up over micro-batches, `[1]`.
    pub numerator: Tensor<1>,
    /// What the sum of all numerators is divided by, itself added up, `[1]`.
    pub denominator: Tensor<1>,
    /// What is reported besides, by name; detached.
    pub logged: Vec<(Cow<'static, str>, Tensor<1>)>,
    /// Of rollouts, the advantage of each token, `[rows, seq]`, 0 behind the mask; detached.
    pub advantages: Option<Tensor<2>>,
}

/// A loss under test; any `Fn(&Tensors) -> Result<Evaluated, String>` is one.
pub trait Loss {
    /// The loss of a batch, or why it cannot be computed.
    ///
    /// # Errors
    /// Whatever is wrong with the batch, in words.
    fn evaluate(&self, tensors: &Tensors) -> Result<Evaluated, String>;
}

impl<F: Fn(&Tensors) -> Result<Evaluated, String>> Loss for F {
    fn evaluate(&self, tensors: &Tensors) -> Result<Evaluated, String> {
        self(tensors)
    }
}

/// The values of [`Evaluated`] on the host.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Values {
    pub losses: Vec<f64>,
    pub weights: Vec<f64>,
    pub loss: f64,
    pub numerator: f64,
    pub denominator: f64,
    /// By item, response and token.
    pub advantages: Vec<Vec<Vec<f64>>>,
}

/// Values and the gradient with respect to the policy's log-probabilities.
#[derive(Debug, Clone)]
pub(crate) struct Gradient {
    pub values: Values,
    /// By item, response and token.
    pub scored: Vec<Vec<Vec<f64>>>,
    /// At positions that are not scored.
    pub behind_the_mask: Vec<f64>,
}

impl Gradient {
    /// The gradient at all scored tokens, in the order of [`tokens`].
    pub fn flat(&self) -> Vec<f64> {
        self.scored.iter().flatten().flatten().copied().collect()
    }
}

/// Log-probabilities of all scored tokens under the policy, by item, response and token.
pub(crate) fn tokens(batch: &Batch) -> impl Iterator<Item = f64> {
    batch.items.iter().flat_map(|item| &item.responses).flat_map(|response| response.policy.clone())
}

/// What is differentiated.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target<'a> {
    Loss,
    Numerator,
    /// The losses of the items, each times a coefficient.
    Items(&'a [f64]),
}

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// A panic is a finding like any other: it is not printed, as a law may meet it hundreds of times while it shrinks.
pub(crate) fn guarded(loss: &dyn Loss, tensors: &Tensors) -> Result<Evaluated, String> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let loud = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !GUARDED.get() {
                loud(info);
            }
        }));
    });
    GUARDED.set(true);
    let result = catch_unwind(AssertUnwindSafe(|| loss.evaluate(tensors)));
    GUARDED.set(false);
    result.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        Err(format!("a panic: {}", text.unwrap_or("without a text")))
    })
}

fn host<const D: usize>(tensor: &Tensor<D>) -> Vec<f64> {
    tensor.clone().detach().try_to_vec_as::<f64>().expect("every float converts to f64")
}

fn vector(name: &str, tensor: &Tensor<1>, len: usize) -> Result<Vec<f64>, Disagreement> {
    let [got] = tensor.dims();
    if got != len {
        return Err(Disagreement::new(format!("`{name}` of shape [{len}]"), format!("shape [{got}]")));
    }
    Ok(host(tensor))
}

fn scalar(name: &str, tensor: &Tensor<1>) -> Result<f64, Disagreement> {
    vector(name, tensor, 1).map(|values| values[0])
}

impl Subject<'_> {
    pub(crate) fn tensors(&self, batch: &Batch, layout: &Layout, device: &Device) -> (Tensors, Places) {
        match self.family {
            Family::Rollouts => batch.rollouts(layout, device),
            _ => batch.tensors(self.family.num_responses(), layout, device),
        }
    }

    /// What the loss makes of `tensors`; of rollouts in the order of the batch, whatever that of the rows is.
    pub(crate) fn evaluate(&self, tensors: &Tensors, places: &Places) -> Result<(Evaluated, Values), Disagreement> {
        let mut evaluated = guarded(self.loss, tensors).map_err(|error| Disagreement::new("a loss", error))?;
        let rows = tensors.policy.dims()[0];
        let count = if self.family == Family::Rollouts { rows } else { tensors.num_items };
        if self.family == Family::Rollouts && rows > 0 {
            // Wrong shapes are reported below.
            let order =
                Tensor::<1, Int>::from_data(TensorData::from(places.by_item().as_slice()), &tensors.policy.device());
            for column in [&mut evaluated.losses, &mut evaluated.weights] {
                if column.dims() == [rows] {
                    *column = column.clone().select(0, order.clone());
                }
            }
        }
        let advantages = match &evaluated.advantages {
            None => Vec::new(),
            Some(advantages) if advantages.dims() == tensors.policy.dims() => {
                let rows = host(advantages);
                if let Some(value) = places.behind_the_mask(&rows).into_iter().find(|value| *value != 0.0) {
                    return Err(Disagreement::new("advantages of 0 behind the mask", value.to_string()));
                }
                places.scored(&rows)
            }
            Some(advantages) => {
                let expected = format!("`advantages` of shape {:?}", tensors.policy.dims());
                return Err(Disagreement::new(expected, format!("shape {:?}", advantages.dims())));
            }
        };
        let values = Values {
            advantages,
            losses: vector("losses", &evaluated.losses, count)?,
            weights: vector("weights", &evaluated.weights, count)?,
            loss: scalar("loss", &evaluated.loss)?,
            numerator: scalar("numerator", &evaluated.numerator)?,
            denominator: scalar("denominator", &evaluated.denominator)?,
        };
        Ok((evaluated, values))
    }

    pub(crate) fn values(&self, batch: &Batch, layout: &Layout) -> Result<Values, Disagreement> {
        let (tensors, places) = self.tensors(batch, layout, &self.device());
        Ok(self.evaluate(&tensors, &places)?.1)
    }

    pub(crate) fn gradient(&self, batch: &Batch, layout: &Layout, target: Target) -> Result<Gradient, Disagreement> {
        self.gradient_on(batch, layout, target, &self.device())
    }

    pub(crate) fn gradient_on(
        &self,
        batch: &Batch,
        layout: &Layout,
        target: Target,
        device: &Device,
    ) -> Result<Gradient, Disagreement> {
        let device = device.clone().autodiff();
        let (mut tensors, places) = self.tensors(batch, layout, &device);
        tensors.policy = tensors.policy.require_grad();
        let (evaluated, values) = self.evaluate(&tensors, &places)?;
        let target = match target {
            Target::Loss => evaluated.loss,
            Target::Numerator => evaluated.numerator,
            Target::Items(coefficients) => {
                let dtype: DType = evaluated.losses.dtype();
                let coefficients = Tensor::<1>::from_data(TensorData::from(coefficients), (&device, dtype));
                (evaluated.losses * coefficients).sum()
            }
        };
        // burn panics where nothing is tracked; a loss without a gradient is for the laws to judge.
        let anchor = tensors.policy.clone().sum().mul_scalar(0.0).cast(target.dtype());
        let grads = (target + anchor).backward();
        let grad = host(&tensors.policy.grad(&grads).expect("the policy is tracked"));
        Ok(Gradient { values, scored: places.scored(&grad), behind_the_mask: places.behind_the_mask(&grad) })
    }

    /// The gradient of the loss with respect to a column of tokens, by item, response and token.
    pub(crate) fn gradient_into(&self, name: &str, batch: &Batch) -> Result<Vec<Vec<Vec<f64>>>, Disagreement> {
        let (mut tensors, places) = self.tensors(batch, &Layout::default(), &self.device().autodiff());
        let leaf = tensors.policy.zeros_like().require_grad();
        if let Some(column) = tensors.tokens.get_mut(name) {
            *column = column.clone() + leaf.clone();
        }
        let (evaluated, _) = self.evaluate(&tensors, &places)?;
        let grads = (evaluated.loss + leaf.clone().sum() * 0.0).backward();
        Ok(places.scored(&host(&leaf.grad(&grads).expect("a leaf is tracked"))))
    }
}
