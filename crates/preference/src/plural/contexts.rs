//! Context-aware preferences: first in which context a pair is judged, then who is better in it.
//!
//! **Paper:** Improving Context-Aware Preference Modeling for Language Models (2024), 2407.14916.
//! **Use when:** the same two responses are judged differently for different reasons, and a scorer that reads the reason is to
//! heed it. The chance of a pair whose context is uncertain is that of [`RoutedHeads`](super::routed::RoutedHeads), with one
//! head per context and beliefs about the context for weights.
//! **Checked by:** hand-worked values, Bradley-Terry on both contexts, the bound on random chances.
//! **Deviations:** a lead of 0 counts as half right in each context.

use accordant_ops::{check_dtype, check_shape, stable::softplus};
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::hedge::check_simplex;
use crate::{
    Result,
    error::{check_length, check_record},
};

/// Losses of pairs that two contexts reverse: the first side is better in one, the second in the other.
///
/// ```text
/// softplus(−d(z⁺)) + softplus(d(z⁻)),   d(z) = r(first, z) − r(second, z)
/// ```
///
/// # Shapes
/// `agreeing` (d(z⁺)), `opposing` (d(z⁻)) and the result: `[n]`, in nats. A scorer that ignores contexts has both leads
/// equal and loses at least 2 ln 2.
///
/// # Errors
/// A shape or dtype error naming `opposing`.
///
/// # Example
/// ```
/// use accordant_preference::plural::contexts::reversal_losses;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let lead = Tensor::from_floats([3f32.ln()], &device);
/// // Odds of 3 : 1 for what is right in both.
/// let loss = reversal_losses(lead.clone(), -lead)?.into_scalar::<f32>();
/// assert!((loss + 2.0 * 0.75f32.ln()).abs() < 1e-6);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "2407.14916")]
#[doc(alias = "reasonable preference reversal")]
pub fn reversal_losses(agreeing: Tensor<1>, opposing: Tensor<1>) -> Result<Tensor<1>> {
    check_shape("opposing", &agreeing.dims(), &opposing.dims())?;
    check_dtype("opposing", agreeing.dtype(), opposing.dtype())?;
    Ok(softplus(-agreeing) + softplus(opposing))
}

/// The share of reversed pairs that are right in both contexts; a scorer that ignores contexts has 0, or ¼ of pairs that it
/// cannot tell apart.
///
/// # Errors
/// [`crate::Error::Empty`] without a pair, [`crate::Error::Length`] naming `opposing`, [`crate::Error::Record`] for a lead
/// that is NaN.
///
/// # Example
/// ```
/// use accordant_preference::plural::contexts::reversal_accuracy;
/// // Both right; the second context ignored; one right and one even.
/// assert_eq!(reversal_accuracy(&[2.0, 1.0, 1.0], &[-1.0, 1.0, 0.0])?, 0.5);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn reversal_accuracy(agreeing: &[f64], opposing: &[f64]) -> Result<f64> {
    if agreeing.is_empty() {
        return Err(crate::Error::Empty { name: "agreeing", reason: "no pair" });
    }
    check_length("opposing", agreeing.len(), opposing.len())?;
    let mut total = 0.0;
    for (row, (&agreeing, &opposing)) in agreeing.iter().zip(opposing).enumerate() {
        check_record(!agreeing.is_nan(), row, "agreeing", "a number", agreeing)?;
        check_record(!opposing.is_nan(), row, "opposing", "a number", opposing)?;
        // The sign of 0.0 is 1 in Rust.
        let right = |lead: f64| if lead == 0.0 { 0.5 } else { f64::midpoint(1.0, lead.signum()) };
        total += right(agreeing) * right(-opposing);
    }
    Ok(total / agreeing.len() as f64)
}

/// Where the error of a predicted chance comes from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ContextError {
    /// How far the chance is off, at most `inference + conditioned`.
    pub total: f64,
    /// How far the belief about the context is off: the total variation distance.
    pub inference: f64,
    /// How far the chances given the context are off, in the mean over true contexts.
    pub conditioned: f64,
}

/// Splits the error of `P̂(a ≻ b) = Σ_z p̂(z) P̂(a ≻ b | z)` into that of the contexts and that of the chances in them.
///
/// ```text
/// |Σ p̂ P̂ − Σ p P| ≤ ½ Σ_z |p̂(z) − p(z)| + Σ_z p(z) |P̂(z) − P(z)|
/// ```
///
/// `belief` (p̂) and `truth` (p) are distributions over contexts; `predicted` (P̂) and `chances` (P) hold the chance in each, in
/// [0, 1].
///
/// # Errors
/// [`crate::Error::Empty`] without a context, [`crate::Error::Length`] and [`crate::Error::Record`] naming the argument; a
/// domain error naming `belief` or `truth` for a sum that is not 1.
///
/// # Example
/// ```
/// use accordant_preference::plural::contexts::context_error;
/// let error = context_error(&[0.5, 0.5], &[1.0, 0.0], &[0.75, 0.25], &[0.5, 0.5])?;
/// // Chances of ½ and ¾; half of the belief is elsewhere; the chances are off by ¼.
/// assert_eq!((error.total, error.inference, error.conditioned), (0.0, 0.5, 0.25));
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn context_error(belief: &[f64], truth: &[f64], predicted: &[f64], chances: &[f64]) -> Result<ContextError> {
    check_simplex("belief", belief)?;
    check_length("truth", belief.len(), truth.len())?;
    check_simplex("truth", truth)?;
    for (name, values) in [("predicted", predicted), ("chances", chances)] {
        check_length(name, belief.len(), values.len())?;
        for (row, &value) in values.iter().enumerate() {
            check_record((0.0..=1.0).contains(&value), row, name, "in [0, 1]", value)?;
        }
    }
    let mean = |weights: &[f64], values: &[f64]| weights.iter().zip(values).map(|(w, v)| w * v).sum::<f64>();
    let off: Vec<f64> = predicted.iter().zip(chances).map(|(a, b)| (a - b).abs()).collect();
    Ok(ContextError {
        total: (mean(belief, predicted) - mean(truth, chances)).abs(),
        inference: 0.5 * belief.iter().zip(truth).map(|(a, b)| (a - b).abs()).sum::<f64>(),
        conditioned: mean(truth, &off),
    })
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;
    use crate::{
        distributional::testing::{check_gradients, host, near, starts, vector},
        pairwise::{PairScores, PairwiseLoss, bradley_terry::BradleyTerryConfig},
        random::{Purpose, stream},
    };

    #[test]
    fn both_contexts_are_bradley_terry_of_their_own() {
        let (agreeing, opposing) = ([0.7, -2.0, 0.0, 900.0], [-0.3, 1.0, 0.0, 900.0]);
        let bradley_terry = |leads: &[f64], target: f64| {
            let pairs = PairScores::from_differences(vector(leads)).with_targets(vector(&[target; 4])).unwrap();
            host(&BradleyTerryConfig::new().init().unwrap().forward(&pairs).unwrap().losses)
        };
        let expected: Vec<f64> =
            bradley_terry(&agreeing, 1.0).iter().zip(bradley_terry(&opposing, 0.0)).map(|(a, b)| a + b).collect();
        near(&host(&reversal_losses(vector(&agreeing), vector(&opposing)).unwrap()), &expected, 1e-12);
        check_gradients(&[0.7, -2.0, 0.3, 1.4], |x| {
            reversal_losses(x.clone().narrow(0, 0, 2), x.narrow(0, 2, 2)).unwrap()
        });
        // Whoever ignores contexts loses 2 ln 2 at best.
        let leads: Vec<f64> = (-20..=20).map(|i| f64::from(i) / 5.0).collect();
        let losses = host(&reversal_losses(vector(&leads), vector(&leads)).unwrap());
        assert!(losses.iter().all(|loss| *loss >= 2.0 * 2f64.ln() - 1e-12));
        assert!((losses[20] - 2.0 * 2f64.ln()).abs() < 1e-12);
        starts(reversal_losses(vector(&[0.0]), vector(&[0.0, 0.0])), "`opposing`");
    }

    #[test]
    fn only_both_right_is_right() {
        let accuracy = |agreeing: f64, opposing: f64| reversal_accuracy(&[agreeing], &[opposing]).unwrap();
        assert_eq!(
            [accuracy(1.0, -1.0), accuracy(1.0, 1.0), accuracy(-1.0, -1.0), accuracy(-1.0, 1.0)],
            [1.0, 0.0, 0.0, 0.0]
        );
        assert_eq!([accuracy(0.0, 0.0), accuracy(-0.0, -1.0), accuracy(2.0, -0.0)], [0.25, 0.5, 0.5]);
        assert_eq!(reversal_accuracy(&[1.0, 1.0, 2.0, 1.0], &[-1.0, 1.0, 1.0, 1.0]).unwrap(), 0.25);
        starts(reversal_accuracy(&[], &[]), "`agreeing`");
        starts(reversal_accuracy(&[1.0], &[]), "`opposing`");
        starts(reversal_accuracy(&[1.0, f64::NAN], &[0.0, 0.0]), "record 1: `agreeing`");
        starts(reversal_accuracy(&[1.0], &[f64::NAN]), "record 0: `opposing`");
    }

    #[test]
    fn the_error_is_bounded_by_its_parts() {
        let mut rng = stream(1, Purpose::World, 0);
        let mut tight = f64::INFINITY;
        for _ in 0..500 {
            let mut simplex = || {
                let draws: [f64; 3] = std::array::from_fn(|_| rng.random::<f64>() + 1e-3);
                draws.map(|draw| draw / draws.iter().sum::<f64>())
            };
            let (belief, truth) = (simplex(), simplex());
            let [predicted, chances]: [[f64; 3]; 2] = std::array::from_fn(|_| std::array::from_fn(|_| rng.random()));
            let error = context_error(&belief, &truth, &predicted, &chances).unwrap();
            assert!(error.total <= error.inference + error.conditioned + 1e-12, "{error:?}");
            tight = tight.min(error.inference + error.conditioned - error.total);
        }
        assert!(tight < 0.05, "a bound far from what it bounds: {tight}");
        // Only the contexts, and only the chances, are off.
        let contexts = context_error(&[0.0, 1.0], &[1.0, 0.0], &[1.0, 0.0], &[1.0, 0.0]).unwrap();
        assert_eq!((contexts.total, contexts.inference, contexts.conditioned), (1.0, 1.0, 0.0));
        let chances = context_error(&[0.25, 0.75], &[0.25, 0.75], &[0.5, 0.5], &[0.0, 1.0]).unwrap();
        assert_eq!((chances.total, chances.inference, chances.conditioned), (0.25, 0.0, 0.5));
    }

    #[test]
    fn senseless_chances_are_refused_by_name() {
        let even = [0.5, 0.5];
        let error = |belief: &[f64], truth: &[f64], predicted: &[f64], chances: &[f64]| {
            context_error(belief, truth, predicted, chances)
        };
        starts(error(&[], &[], &[], &[]), "`belief`");
        starts(error(&[0.5, 0.6], &even, &even, &even), "`belief`: expected a sum of 1");
        starts(error(&even, &[1.0], &even, &even), "`truth`");
        starts(error(&even, &[0.5, 0.4], &even, &even), "`truth`: expected a sum of 1");
        starts(error(&even, &even, &[0.5], &even), "`predicted`");
        starts(error(&even, &even, &[0.5, 1.1], &even), "record 1: `predicted`");
        starts(error(&even, &even, &even, &[f64::NAN, 0.0]), "record 0: `chances`");
        starts(error(&even, &even, &even, &[-0.1, 0.0]), "record 0: `chances`");
    }

    #[test]
    fn leads_of_two_dtypes_are_refused() {
        let half = Tensor::from_floats([1.0], &burn::tensor::Device::flex());
        starts(reversal_losses(vector(&[1.0]), half), "`opposing`");
    }
}
