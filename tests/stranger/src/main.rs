//! A policy that equals its reference loses ln 2.
use accordant_objectives::pairwise::{PairBatch, PairLogps, PairwiseObjective, dpo::DpoConfig};
use accordant_objectives::{Error, SequenceLogps};
use burn::tensor::{Device, Tensor};

fn main() -> Result<(), Error> {
    let device = Device::flex();
    let logps = |x: f32| SequenceLogps::new(Tensor::from_floats([x], &device), Tensor::ones([1], &device));
    let policy = PairLogps::new(logps(-3.0)?, logps(-5.0)?)?;
    let batch = PairBatch::new(policy.clone()).with_reference(policy)?;
    let loss = DpoConfig::new().init()?.forward(&batch)?.reduce()?.loss;
    println!("{}", loss.into_scalar::<f32>());
    Ok(())
}
