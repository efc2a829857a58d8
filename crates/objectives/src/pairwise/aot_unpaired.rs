//! Alignment via Optimal Transport (AOT) of unpaired data.
//!
//! **Paper:** Distributional Preference Alignment of LLMs via Optimal Transport (2024), 2406.05882.
//! **Use when:** chosen and rejected responses do not answer the same prompts, but there are as many of each.
//! **Checked by:** values and gradients by hand, the limit to DPO, golden numbers (TRL), the laws of the family.
//! **Deviations:** as [`super::aot`]. Unequal numbers of responses are no batch of pairs; none are interpolated.

use burn::tensor::Tensor;

use super::{
    Method, PairBatch, PairOutput, PairwiseObjective,
    aot::{AotConfig, of_equal_rank, refuse_hooks},
    logistic_loss,
};
use crate::Result;

/// AOT losses of unpaired data, one per chosen response.
///
/// ```text
/// h_i = β (d_w,i − d_l,(r)),   r the rank of d_w,i among all d_w,   d_l,(r) the value of that rank among all d_l
/// loss = softplus(−h) + ε h
/// ```
///
/// Ranks are constants, the values carry gradients. Pairs of weight 0 are ranked after all others.
///
/// # Shapes
/// `n` chosen and `n` rejected responses in `batch`; the result is `[n]`, in the order of the chosen ones.
///
/// `beta` > 0 and `label_smoothing` in `[0, 0.5)`. One pair gives DPO's loss; policy = reference gives ln 2. The order of
/// the rejected responses says nothing. Finite for every finite input.
///
/// # Errors
/// [`crate::Error::MissingReference`]; [`crate::Error::NotTaken`] for weights, scales, label probabilities, margins and
/// betas, which belong to pairs and not to quantiles.
///
/// # Example
/// ```
/// use accordant_objectives::pairwise::{PairBatch, PairLogps, aot_unpaired::aot_unpaired_loss};
/// use accordant_objectives::SequenceLogps;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let logps = |sums: [f32; 2]| SequenceLogps::new(Tensor::from_floats(sums, &device), Tensor::ones([2], &device));
/// let policy = PairLogps::new(logps([-1.0, -2.0])?, logps([-5.0, -4.0])?)?;
/// let reference = PairLogps::new(logps([-3.0, -3.0])?, logps([-4.0, -6.0])?)?;
/// // Log-ratios (2, 1) and (−1, 2): against each other 2 − 2 and 1 + 1, from the top down.
/// let losses = aot_unpaired_loss(&PairBatch::new(policy).with_reference(reference)?, 1.0, 0.0)?;
/// let losses = losses.try_to_vec_as::<f64>().unwrap();
/// assert!((losses[0] - 2f64.ln()).abs() < 1e-7 && (losses[1] - (-2f64).exp().ln_1p()).abs() < 1e-7);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2406.05882")]
pub fn aot_unpaired_loss(batch: &PairBatch, beta: f64, label_smoothing: f64) -> Result<Tensor<1>> {
    refuse_hooks(batch, "aot_unpaired")?;
    let ratios = batch.log_ratios("aot_unpaired")?;
    let matched = of_equal_rank(batch, &ratios.chosen, ratios.rejected);
    Ok(logistic_loss(batch, (ratios.chosen - matched) * beta, label_smoothing))
}

/// The AOT objective on unpaired data; see [`aot_unpaired_loss`].
#[derive(Debug, Clone, PartialEq)]
pub struct AotUnpaired {
    config: AotConfig,
}

impl AotUnpaired {
    /// Checks the configuration.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn new(config: AotConfig) -> Result<Self> {
        config.check()?;
        Ok(Self { config })
    }
}

/// `aot_unpaired` by name.
pub const METHOD: Method = Method {
    name: "aot_unpaired",
    title: "Alignment via Optimal Transport, unpaired",
    build: |options| Ok(Box::new(AotUnpaired::new(options.apply("aot_unpaired", AotConfig::new())?)?)),
};

impl PairwiseObjective for AotUnpaired {
    fn uses_batch_statistics(&self) -> bool {
        true
    }

    fn forward(&self, batch: &PairBatch) -> Result<PairOutput> {
        let AotConfig { beta, label_smoothing } = self.config;
        Ok(PairOutput::new(aot_unpaired_loss(batch, beta, label_smoothing)?, batch, beta))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        SequenceLogps,
        pairwise::{
            PairLogps,
            dpo::DpoConfig,
            tests::{column, grad_of_policy, spec_batch, tensor},
        },
    };

    fn aot() -> AotUnpaired {
        AotUnpaired::new(AotConfig::new().with_beta(0.5)).expect("valid in this test")
    }

    fn softplus(x: f64) -> f64 {
        (1.0 + x.exp()).ln()
    }

    /// Log-ratios `w` and `l` over a reference of 0; a pair whose count is 0 has an empty rejected side.
    fn batch(w: &[f64], l: &[f64], counts: &[f64]) -> PairBatch {
        let side = |sums: &[f64], counts: &[f64]| SequenceLogps::new(tensor(sums), tensor(counts)).unwrap();
        let (zeros, ones) = (vec![0.0; w.len()], vec![1.0; w.len()]);
        let policy = PairLogps::new(side(w, &ones), side(l, counts)).unwrap();
        let reference = PairLogps::new(side(&zeros, &ones), side(&zeros, counts)).unwrap();
        PairBatch::new(policy).with_reference(reference).unwrap()
    }

    #[test]
    fn values_and_gradients_by_hand() {
        // Sorted: −1, 1, 3 against −4, 0, 2. The last pair, with an empty side, is left out.
        let batch = batch(&[3.0, -1.0, 1.0, -8.0], &[0.0, 2.0, -4.0, 9.0], &[1.0, 1.0, 1.0, 0.0]);
        let output = aot().forward(&batch).unwrap();
        let losses = column(&output.losses);
        for (loss, h) in losses.iter().zip([0.5, 1.5, 0.5]) {
            assert!((loss - softplus(-h)).abs() < 1e-12, "{losses:?}");
        }
        assert_eq!(column(&output.weights), [1.0, 1.0, 1.0, 0.0]);
        let (chosen, rejected) = grad_of_policy(&batch, &aot());
        let pull = |h: f64| 0.5 / (1.0 + h.exp());
        for (row, (w, l)) in [(0.5, 0.5), (1.5, 0.5), (0.5, 1.5)].into_iter().enumerate() {
            assert!((chosen[row] + pull(w)).abs() < 1e-12, "{chosen:?}");
            assert!((rejected[row] - pull(l)).abs() < 1e-12, "{rejected:?}");
        }
    }

    #[test]
    fn the_order_of_the_rejected_says_nothing_and_one_pair_is_dpo() {
        let losses = |l: &[f64]| column(&aot().forward(&batch(&[3.0, -1.0, 1.0], l, &[1.0; 3])).unwrap().losses);
        assert_eq!(losses(&[0.0, 2.0, -4.0]), losses(&[-4.0, 0.0, 2.0]));
        for eps in [0.0, 0.1] {
            let dpo = DpoConfig::new().with_label_smoothing(eps).init().unwrap().forward(&spec_batch()).unwrap();
            let aot = AotUnpaired::new(AotConfig::new().with_label_smoothing(eps)).unwrap();
            let aot = aot.forward(&spec_batch()).unwrap();
            assert!((column(&aot.losses)[0] - column(&dpo.losses)[0]).abs() < 1e-15);
            assert_eq!(column(&aot.chosen_rewards), column(&dpo.chosen_rewards));
        }
    }

    #[test]
    fn senseless_input_is_refused_by_name() {
        assert!(aot().uses_batch_statistics());
        let weighted = spec_batch().with_weights(tensor(&[1.0])).unwrap();
        let error = aot().forward(&weighted).unwrap_err().to_string();
        assert!(error.starts_with("`aot_unpaired` cannot take `weights`"), "{error}");
        let error = aot().forward(&PairBatch::new(spec_batch().policy().clone())).unwrap_err().to_string();
        assert!(error.starts_with("`aot_unpaired` needs the reference"), "{error}");
        assert!(AotUnpaired::new(AotConfig::new().with_beta(0.0)).is_err());
        assert!(AotUnpaired::new(AotConfig::new().with_label_smoothing(0.5)).is_err());
    }

    accordant_laws::pairwise_laws!(
        obeys_the_laws,
        "aot_unpaired",
        AotUnpaired::new(AotConfig::new()).unwrap(),
        [],
        [
            BatchStatistics,
            ShiftInvariant,
            AtReference(2f64.ln()),
            LowerBound(0.0),
            NoHook("weights"),
            NoHook("label_probs"),
            NoHook("margins"),
            NoHook("betas"),
        ],
    );
}
