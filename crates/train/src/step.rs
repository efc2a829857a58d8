//! One optimizer step from any number of micro-batches.
//!
//! Gradients of numerators are added up and divided once by the sum of the denominators, then clipped by their global
//! norm. How a batch is split into micro-batches therefore changes nothing but rounding.

use std::time::Instant;

use accordant_data::order::epoch_order;
use accordant_ops::{Means, Reduced, check_domain};
use burn::{
    config::Config,
    module::{Module, ModuleVisitor, Param},
    optim::{AdamWConfig, GradientsAccumulator, GradientsParams, ModuleOptimizer},
    tensor::{Device, Gradients, Tensor},
};

use crate::{Error, Observer, Result, StepReport, schedule::warmup_cosine};

/// How to train, whatever the loss.
#[derive(Config, Debug, PartialEq)]
pub struct TrainConfig {
    /// Number of optimizer steps, at least 1.
    pub steps: usize,
    /// Peak learning rate, finite and > 0.
    pub learning_rate: f64,
    /// Records in a step. 32: ours; small enough for a CPU.
    #[config(default = 32)]
    pub batch_size: usize,
    /// Records in a forward pass; any value gives the same update, unless the objective uses statistics of the batch.
    /// 8: ours.
    #[config(default = 8)]
    pub micro_batch_size: usize,
    /// Steps of linear warm-up. 0: none.
    #[config(default = 0)]
    pub warmup_steps: usize,
    /// The learning rate of the last step, as a share of the peak. 0.1: Chinchilla's and Llama's schedule.
    #[config(default = 0.1)]
    pub final_rate: f64,
    /// Decoupled weight decay of all parameters, finite and >= 0. 0: TRL's default.
    #[config(default = 0.0)]
    pub weight_decay: f64,
    /// Gradients are scaled down to this global norm, > 0 (infinite: never). 1: TRL's default.
    #[config(default = 1.0)]
    pub max_grad_norm: f64,
    /// Decides the order of the records. 0: arbitrary.
    #[config(default = 0)]
    pub seed: u64,
}

impl TrainConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn validate(&self) -> Result<()> {
        let positive = |name, value: f64| check_domain(value.is_finite() && value > 0.0, name, "finite and > 0", value);
        check_domain(self.steps > 0, "steps", "at least 1", self.steps as f64)?;
        positive("learning_rate", self.learning_rate)?;
        check_domain(self.batch_size > 0, "batch_size", "at least 1", self.batch_size as f64)?;
        check_domain(self.micro_batch_size > 0, "micro_batch_size", "at least 1", self.micro_batch_size as f64)?;
        check_domain((0.0..=1.0).contains(&self.final_rate), "final_rate", "in [0, 1]", self.final_rate)?;
        let decay = self.weight_decay;
        check_domain(decay.is_finite() && decay >= 0.0, "weight_decay", "finite and >= 0", decay)?;
        check_domain(self.max_grad_norm > 0.0, "max_grad_norm", "> 0", self.max_grad_norm)?;
        Ok(())
    }

    /// The learning rate at a step, from 0.
    pub fn rate(&self, step: usize) -> f64 {
        self.learning_rate * warmup_cosine(step, self.steps, self.warmup_steps, self.final_rate)
    }
}

/// Sums of gradients, numerators and denominators over the micro-batches of a step.
pub struct Accumulation<M> {
    gradients: GradientsAccumulator<M>,
    numerator: f64,
    denominator: f64,
}

/// The gradient of a mean over all micro-batches of a step.
pub struct MeanGradient {
    /// By parameter.
    pub gradients: GradientsParams,
    /// The mean loss.
    pub loss: f64,
    /// Global norm, before any clipping.
    pub norm: f64,
}

impl<M: Module> Default for Accumulation<M> {
    fn default() -> Self {
        Self { gradients: GradientsAccumulator::new(), numerator: 0.0, denominator: 0.0 }
    }
}

impl<M: Module> Accumulation<M> {
    /// Adds a micro-batch: runs its backward pass.
    pub fn add(&mut self, model: &M, reduced: &Reduced) {
        if let Some(mut gradients) = self.backward(reduced) {
            self.accumulate(model, &mut gradients);
        }
    }

    /// [`Accumulation::add`] of a loss of two models, `model` and `critic`, in one backward pass.
    pub fn add_both<C: Module>(&mut self, model: &M, of_critic: &mut Accumulation<C>, critic: &C, reduced: &Reduced) {
        let gradients = self.backward(reduced);
        (of_critic.numerator, of_critic.denominator) = (self.numerator, self.denominator);
        if let Some(mut gradients) = gradients {
            self.accumulate(model, &mut gradients);
            of_critic.accumulate(critic, &mut gradients);
        }
    }

    fn backward(&mut self, reduced: &Reduced) -> Option<Gradients> {
        // With no weight at all the numerator may not depend on the model, and there is nothing to learn from.
        let denominator = scalar(&reduced.denominator);
        self.denominator = if reduced.is_global { denominator } else { self.denominator + denominator };
        if denominator == 0.0 {
            return None;
        }
        self.numerator += scalar(&reduced.numerator);
        // Records without a scored token may count and have nothing to learn from.
        reduced.numerator.is_tracked().then(|| reduced.numerator.backward())
    }

    fn accumulate(&mut self, model: &M, gradients: &mut Gradients) {
        self.gradients.accumulate(model, GradientsParams::from_module(gradients, model));
    }

    /// The gradient of `Σ numerators / Σ denominators`, scaled down to a global norm of at most `max_norm`; all zero
    /// denominators give loss 0 and no gradient.
    pub fn finish(mut self, model: &M, max_norm: f64) -> MeanGradient {
        let mut gradients = self.gradients.grads();
        if self.denominator == 0.0 {
            return MeanGradient { gradients, loss: 0.0, norm: 0.0 };
        }
        let norm = global_norm(model, &gradients) / self.denominator;
        let clip = if norm > max_norm { max_norm / norm } else { 1.0 };
        model.visit(&mut Scale { gradients: &mut gradients, factor: clip / self.denominator });
        MeanGradient { gradients, loss: self.numerator / self.denominator, norm }
    }
}

/// What a forward pass over some records gives a step.
pub struct Micro {
    /// The loss; its numerator carries the gradient.
    pub reduced: Reduced,
    /// What is logged, `loss` among it.
    pub means: Means,
    /// Real tokens that were read.
    pub tokens: usize,
}

/// The records of a run, as far as the loop needs to know them.
pub(crate) struct Records<'a> {
    /// The number of tokens of each.
    pub lens: Vec<usize>,
    /// The name of each, for messages.
    pub id: &'a dyn Fn(usize) -> String,
}

/// What a loop does with the records of a step.
pub(crate) trait Loop<M> {
    /// Called with all of a step's records before any of its micro-batches.
    fn begin(&mut self, _model: &M, _rows: &[usize]) -> Result<()> {
        Ok(())
    }

    /// The forward pass over a micro-batch.
    fn forward(&mut self, model: &M, rows: &[usize]) -> Result<Micro>;
}

/// `config.steps` optimizer steps over records in a seeded order.
pub(crate) fn run_steps<M: Module>(
    mut model: M,
    records: &Records<'_>,
    config: &TrainConfig,
    phase: &str,
    observer: &mut dyn Observer,
    mut work: impl Loop<M>,
) -> Result<M> {
    config.validate()?;
    if !model.devices().iter().all(Device::is_autodiff) {
        return Err(Error::NotAutodiff);
    }
    let len = records.lens.len();
    let mut optimizer = adamw(config);
    let mut visits = Visits::new(len, config.seed);
    for step in 0..config.steps {
        let since = Instant::now();
        let mut batch = visits.next(config.batch_size);
        // Rows of like length waste little padding, and the order within a step does not matter.
        batch.sort_by_key(|index| records.lens[*index]);
        let (mut accumulation, mut means, mut tokens) = (Accumulation::default(), Means::default(), 0);
        work.begin(&model, &batch)?;
        for rows in batch.chunks(config.micro_batch_size) {
            let micro = work.forward(&model, rows)?;
            accumulation.add(&model, &micro.reduced);
            means.merge(&micro.means);
            tokens += micro.tokens;
        }
        let gradient = accumulation.finish(&model, config.max_grad_norm);
        check_finite(step, &gradient, || batch.iter().map(|index| (records.id)(*index)).collect())?;
        let learning_rate = config.rate(step);
        model = optimizer.step(learning_rate, model, gradient.gradients);
        observer.step(&StepReport {
            phase,
            step,
            steps: config.steps,
            epoch: ((step + 1) * config.batch_size) as f64 / len as f64,
            learning_rate,
            grad_norm: gradient.norm,
            tokens,
            seconds: since.elapsed().as_secs_f64(),
            means: &means,
        })?;
    }
    Ok(model)
}

/// PyTorch's constants: betas 0.9 and 0.999, epsilon 1e-8.
pub(crate) fn adamw(config: &TrainConfig) -> ModuleOptimizer {
    AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(config.weight_decay as f32).init()
}

/// Refuses a step that would spoil the parameters.
pub(crate) fn check_finite(step: usize, gradient: &MeanGradient, records: impl Fn() -> Vec<String>) -> Result<()> {
    for (what, got) in [("loss", gradient.loss), ("gradient norm", gradient.norm)] {
        if !got.is_finite() {
            return Err(Error::NotFinite { step, what, got, records: records() });
        }
    }
    Ok(())
}

/// Which records a step visits.
pub(crate) struct Visits {
    len: usize,
    seed: u64,
    order: Vec<usize>,
    epoch: u32,
}

impl Visits {
    pub(crate) fn new(len: usize, seed: u64) -> Self {
        Self { len, seed, order: Vec::new(), epoch: 0 }
    }

    /// The next `count` of at least one record; a new epoch begins wherever one ends.
    pub(crate) fn next(&mut self, count: usize) -> Vec<usize> {
        let mut taken = Vec::with_capacity(count);
        while taken.len() < count {
            if self.order.is_empty() {
                self.order = epoch_order(self.len, self.seed, self.epoch);
                self.order.reverse();
                self.epoch += 1;
            }
            let wanted = count - taken.len();
            taken.extend((0..wanted).map_while(|_| self.order.pop()));
        }
        taken
    }
}

fn scalar(tensor: &Tensor<1>) -> f64 {
    tensor.clone().into_scalar::<f64>()
}

/// Euclidean norm of all gradients together. Each tensor's sum of squares runs in its dtype, the total in f64.
pub fn global_norm<M: Module>(model: &M, gradients: &GradientsParams) -> f64 {
    let mut squares = Squares { gradients, sums: Vec::new() };
    model.visit(&mut squares);
    if squares.sums.is_empty() {
        return 0.0;
    }
    let sums = Tensor::cat(squares.sums, 0).try_into_vec_as::<f64>().expect("the device returns what it has computed");
    sums.iter().sum::<f64>().sqrt()
}

struct Squares<'a> {
    gradients: &'a GradientsParams,
    sums: Vec<Tensor<1>>,
}

impl ModuleVisitor for Squares<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            self.sums.push(gradient.square().sum());
        }
    }
}

struct Scale<'a> {
    gradients: &'a mut GradientsParams,
    factor: f64,
}

impl ModuleVisitor for Scale<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.remove::<D>(param.id) {
            self.gradients.register(param.id, gradient * self.factor);
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::{
        nn::{Linear, LinearConfig},
        tensor::Device,
    };

    use super::*;

    fn linear() -> Linear {
        LinearConfig::new(2, 1).with_bias(true).init(&Device::flex().autodiff())
    }

    fn reduced(model: &Linear, x: [f32; 2], weight: f32) -> Reduced {
        let device = Device::flex().autodiff();
        let out = model.forward(Tensor::<2>::from_floats([x], &device)).reshape([1]);
        let numerator = out * weight;
        let denominator = Tensor::from_floats([weight], &device);
        Reduced { loss: numerator.clone() / denominator.clone(), numerator, denominator, is_global: false }
    }

    fn gradient(model: &Linear, mean: &MeanGradient) -> Vec<f32> {
        mean.gradients.get::<2>(model.weight.id).unwrap().try_to_vec_as::<f32>().unwrap()
    }

    #[test]
    fn gradients_of_micro_batches_are_divided_once() {
        let model = linear();
        let mut sum = Accumulation::default();
        sum.add(&model, &reduced(&model, [1.0, 0.0], 1.0));
        sum.add(&model, &reduced(&model, [0.0, 2.0], 3.0));
        let mean = sum.finish(&model, f64::INFINITY);
        // d/dw of (1·w·x₁ + 3·w·x₂) / 4 is (1/4, 6/4), and of the bias 1.
        assert_eq!(gradient(&model, &mean), [0.25, 1.5]);
        assert!((mean.norm - (0.0625f64 + 2.25 + 1.0).sqrt()).abs() < 1e-6, "{}", mean.norm);
    }

    #[test]
    fn a_global_denominator_is_not_added_up() {
        let model = linear();
        let mut sum = Accumulation::default();
        for x in [[1.0, 0.0], [0.0, 2.0]] {
            sum.add(&model, &Reduced { is_global: true, ..reduced(&model, x, 4.0) });
        }
        // (4·w·x₁ + 4·w·x₂) / 4, not / 8.
        assert_eq!(gradient(&model, &sum.finish(&model, f64::INFINITY)), [1.0, 2.0]);
    }

    #[test]
    fn clipping_is_by_the_norm_of_all_parameters_together() {
        let model = linear();
        let mut sum = Accumulation::default();
        sum.add(&model, &reduced(&model, [3.0, 4.0], 1.0));
        let mean = sum.finish(&model, 1.0);
        // (3, 4) and 1 for the bias: norm √26, reported before clipping.
        assert!((mean.norm - 26f64.sqrt()).abs() < 1e-6);
        assert!((global_norm(&model, &mean.gradients) - 1.0).abs() < 1e-6);
        assert!((gradient(&model, &mean)[0] - 3.0 / 26f32.sqrt()).abs() < 1e-6);
    }

    #[test]
    fn a_step_without_weight_has_no_gradient() {
        let model = linear();
        let mut sum = Accumulation::default();
        sum.add(&model, &reduced(&model, [1.0, 1.0], 0.0));
        let mean = sum.finish(&model, 1.0);
        assert_eq!((mean.loss, mean.norm, mean.gradients.len()), (0.0, 0.0, 0));
    }

    #[test]
    fn every_epoch_visits_every_record_once() {
        let mut visits = Visits::new(5, 3);
        let mut seen: Vec<usize> = (0..5).flat_map(|_| visits.next(3)).collect();
        assert_eq!(seen.len(), 15);
        for epoch in seen.chunks_mut(5) {
            epoch.sort_unstable();
            assert_eq!(epoch, [0, 1, 2, 3, 4]);
        }
        assert_eq!(Visits::new(2, 0).next(5).len(), 5, "a batch larger than the data goes round");
    }

    #[test]
    fn senseless_settings_are_refused_by_name() {
        let good = TrainConfig::new(10, 1e-3);
        good.validate().unwrap();
        for (config, name) in [
            (good.clone().with_batch_size(0), "`batch_size`"),
            (good.clone().with_micro_batch_size(0), "`micro_batch_size`"),
            (good.clone().with_max_grad_norm(f64::NAN), "`max_grad_norm`"),
            (good.clone().with_weight_decay(-1.0), "`weight_decay`"),
            (good.clone().with_final_rate(2.0), "`final_rate`"),
            (TrainConfig::new(0, 1e-3), "`steps`"),
            (TrainConfig::new(10, f64::NAN), "`learning_rate`"),
        ] {
            assert!(config.validate().unwrap_err().to_string().starts_with(name), "{name}");
        }
    }
}
