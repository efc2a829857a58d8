//! Alignment via Optimal Transport (AOT) of paired data.
//!
//! **Paper:** Distributional Preference Alignment of LLMs via Optimal Transport (2024), 2406.05882.
//! **Use when:** the policy's margins shall dominate the reference's as a distribution, not pair by pair; with large
//! batches.
//! **Checked by:** values and gradients by hand, the limit to DPO, golden numbers (TRL), the laws of the family.
//! **Deviations:** a pair with an empty side is left out of the sorting. Losses come in the order of the pairs, TRL's in
//! the order of their margins.

use burn::{config::Config, tensor::Tensor};

use super::{Method, PairBatch, PairOutput, PairwiseObjective, check_beta, check_smoothing, logistic_loss};
use crate::Result;

/// AOT losses, one per pair: DPO's losses of each quantile.
///
/// ```text
/// u_i = log π(y_w|x) − log π(y_l|x),   v_i the same under π_ref
/// h_i = β (u_i − v_(r)),   r the rank of u_i among all u,   v_(r) the value of that rank among all v
/// loss = softplus(−h) + ε h
/// ```
///
/// Ranks are constants, the values carry gradients. Pairs of weight 0 are ranked after all others.
///
/// # Shapes
/// `n` pairs of log-probabilities in `batch`; the result is `[n]`, in the order of the pairs.
///
/// `beta` > 0 and `label_smoothing` in `[0, 0.5)`. One pair gives DPO's loss; policy = reference gives ln 2. The loss of a
/// pair depends on the whole batch. Finite for every finite input.
///
/// # Errors
/// [`crate::Error::MissingReference`]; [`crate::Error::NotTaken`] for weights, scales, label probabilities, margins and
/// betas, which belong to pairs and not to quantiles.
///
/// # Example
/// ```
/// use accordant_objectives::pairwise::{PairBatch, PairLogps, aot::aot_loss};
/// use accordant_objectives::SequenceLogps;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let logps = |sums: [f32; 2]| SequenceLogps::new(Tensor::from_floats(sums, &device), Tensor::ones([2], &device));
/// let policy = PairLogps::new(logps([-1.0, -2.0])?, logps([-4.0, -4.0])?)?;
/// let reference = PairLogps::new(logps([-1.0, -1.0])?, logps([-3.0, -4.0])?)?;
/// // u = (3, 2) and v = (2, 3): the same distribution, in another order.
/// let losses = aot_loss(&PairBatch::new(policy).with_reference(reference)?, 1.0, 0.0)?;
/// assert_eq!(losses.try_to_vec_as::<f32>().unwrap(), [2f32.ln(); 2]);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2406.05882")]
#[doc(alias = "Distributional Preference Alignment of LLMs via Optimal Transport")]
pub fn aot_loss(batch: &PairBatch, beta: f64, label_smoothing: f64) -> Result<Tensor<1>> {
    refuse_hooks(batch, "aot")?;
    let reference = batch.reference().ok_or(crate::Error::MissingReference { method: "aot" })?;
    let (policy, reference) = (batch.policy().sums().difference(), reference.sums().difference());
    let matched = of_equal_rank(batch, &policy, reference);
    Ok(logistic_loss(batch, (policy - matched) * beta, label_smoothing))
}

/// What belongs to a pair has no place where values of different pairs are compared.
pub(super) fn refuse_hooks(batch: &PairBatch, method: &'static str) -> Result<()> {
    let hooks = ["weights", "scales", "label_probs", "margins", "betas"];
    batch.refuse(method, &hooks, "it compares quantiles of the batch, not the members of a pair")
}

/// For each of `x`, the one of `y` that has its rank. Pairs of weight 0 come after all others.
pub(super) fn of_equal_rank(batch: &PairBatch, x: &Tensor<1>, y: Tensor<1>) -> Tensor<1> {
    let left_out = batch.weights().equal_scalar(0.0);
    let order = |values: Tensor<1>| values.detach().mask_fill(left_out.clone(), f64::INFINITY).argsort(0);
    let ranks = order(x.clone()).argsort(0);
    let order_of_y = order(y.clone());
    y.select(0, order_of_y.select(0, ranks))
}

/// Configuration of [`Aot`] and of [`AotUnpaired`](super::aot_unpaired::AotUnpaired).
#[derive(Config, Debug, PartialEq)]
pub struct AotConfig {
    /// Strength of the KL pull, finite and > 0. 0.1: TRL's default, equal to DPO's.
    #[config(default = 0.1)]
    pub beta: f64,
    /// Probability ε that a quantile's label is wrong, in `[0, 0.5)`. 0: the paper's loss.
    #[config(default = 0.0)]
    pub label_smoothing: f64,
}

impl AotConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<Aot> {
        self.check()?;
        Ok(Aot { config: self.clone() })
    }

    pub(super) fn check(&self) -> Result<()> {
        check_beta(self.beta)?;
        check_smoothing(self.label_smoothing)
    }
}

/// The AOT objective on paired data; see [`aot_loss`].
#[derive(Debug, Clone, PartialEq)]
pub struct Aot {
    config: AotConfig,
}

/// `aot` by name.
pub const METHOD: Method = Method {
    name: "aot",
    title: "Alignment via Optimal Transport, paired",
    build: |options| Ok(Box::new(options.apply("aot", AotConfig::new())?.init()?)),
};

impl PairwiseObjective for Aot {
    fn uses_batch_statistics(&self) -> bool {
        true
    }

    fn forward(&self, batch: &PairBatch) -> Result<PairOutput> {
        let AotConfig { beta, label_smoothing } = self.config;
        Ok(PairOutput::new(aot_loss(batch, beta, label_smoothing)?, batch, beta))
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

    fn aot() -> Aot {
        AotConfig::new().with_beta(0.5).init().expect("valid in this test")
    }

    fn softplus(x: f64) -> f64 {
        (1.0 + x.exp()).ln()
    }

    /// Three pairs with u = (3, −1, 1) and v = (0, 2, −2), and a pair with an empty side.
    fn batch() -> PairBatch {
        let side = |sums: [f64; 4], counts: [f64; 4]| SequenceLogps::new(tensor(&sums), tensor(&counts)).unwrap();
        let (all, some) = ([2.0; 4], [2.0, 2.0, 2.0, 0.0]);
        let policy = PairLogps::new(side([-1.0, -5.0, -2.0, -7.0], all), side([-4.0, -4.0, -3.0, 0.0], some));
        let reference = PairLogps::new(side([-4.0, -3.0, -6.0, -9.0], all), side([-4.0, -5.0, -4.0, 0.0], some));
        PairBatch::new(policy.unwrap()).with_reference(reference.unwrap()).unwrap()
    }

    #[test]
    fn values_and_gradients_by_hand() {
        // Sorted u: −1, 1, 3; sorted v: −2, 0, 2: every margin is 0.5 · 1. The empty pair would break all of them.
        let output = aot().forward(&batch()).unwrap();
        for loss in &column(&output.losses)[..3] {
            assert!((loss - softplus(-0.5)).abs() < 1e-12);
        }
        assert_eq!(column(&output.weights), [1.0, 1.0, 1.0, 0.0]);
        assert!((column(&output.reduce().unwrap().loss)[0] - softplus(-0.5)).abs() < 1e-12);
        assert_eq!(column(&output.chosen_rewards)[..3], [1.5, -1.0, 2.0], "of the pair itself");
        let (chosen, rejected) = grad_of_policy(&batch(), &aot());
        let pull = 0.5 / (1.0 + 0.5f64.exp());
        for row in 0..3 {
            assert!((chosen[row] + pull).abs() < 1e-12 && (rejected[row] - pull).abs() < 1e-12);
        }
    }

    #[test]
    fn each_pair_meets_the_reference_of_its_rank() {
        let values =
            column(&of_equal_rank(&batch(), &tensor(&[3.0, -1.0, 1.0, -9.0]), tensor(&[0.0, 7.0, -2.0, -9.0])));
        assert_eq!(values, [7.0, -2.0, 0.0, -9.0], "what is left out meets what is left out");
    }

    #[test]
    fn one_pair_is_dpo() {
        for eps in [0.0, 0.1] {
            let dpo = DpoConfig::new().with_label_smoothing(eps).init().unwrap().forward(&spec_batch()).unwrap();
            let aot = AotConfig::new().with_label_smoothing(eps).init().unwrap().forward(&spec_batch()).unwrap();
            assert!((column(&aot.losses)[0] - column(&dpo.losses)[0]).abs() < 1e-15);
            assert_eq!(column(&aot.chosen_rewards), column(&dpo.chosen_rewards));
        }
    }

    #[test]
    fn what_belongs_to_pairs_is_refused() {
        let one = || tensor(&[1.0]);
        for (name, batch) in [
            ("weights", spec_batch().with_weights(one())),
            ("scales", spec_batch().with_scales(one())),
            ("label_probs", spec_batch().with_label_probs(one())),
            ("margins", spec_batch().with_margins(one())),
            ("betas", spec_batch().with_betas(one())),
        ] {
            let error = aot().forward(&batch.unwrap()).unwrap_err().to_string();
            assert!(error.starts_with(&format!("`aot` cannot take `{name}`")), "{error}");
        }
        assert!(aot().uses_batch_statistics());
        let error = aot().forward(&PairBatch::new(spec_batch().policy().clone())).unwrap_err().to_string();
        assert!(error.starts_with("`aot` needs the reference"), "{error}");
    }

    #[test]
    fn senseless_settings_are_refused_by_name() {
        assert_eq!(AotConfig::new(), AotConfig { beta: 0.1, label_smoothing: 0.0 });
        assert!(AotConfig::new().with_beta(0.0).init().unwrap_err().to_string().starts_with("`beta`"));
        for eps in [-0.1, 0.5, f64::NAN] {
            let error = AotConfig::new().with_label_smoothing(eps).init().unwrap_err().to_string();
            assert!(error.starts_with("`label_smoothing`"), "{error}");
        }
    }

    accordant_laws::pairwise_laws!(
        obeys_the_laws,
        "aot",
        AotConfig::new().init().unwrap(),
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
