//! Joint preference optimization (DOVE, JPO): pairs of prompts with their responses.
//!
//! **Paper:** Comparing Bad Apples to Good Oranges: Aligning Large Language Models via Joint Preference Optimization
//! (2024), 2404.00530.
//! **Use when:** people compared responses to **different** prompts: the better of two whole conversations is known.
//! **Checked by:** the laws, hand-worked values and gradients, equality with DPO for one prompt.
//! **Deviations:** none. The prompt's part of the log-ratio is handed over on its own, so that a batch which scores
//! responses only is an error and not DPO in disguise.

use accordant_ops::check_shape;
use burn::{
    config::Config,
    tensor::{Bool, Tensor},
};

use super::{Extra, Method, PairBatch, PairOutput, PairValues, PairwiseObjective, check_beta, dpo::dpo_loss};
use crate::Result;

/// The prompt of the chosen response, scored like one.
pub const CHOSEN_PROMPT: Extra = Extra {
    name: "chosen_prompt",
    meaning: "the prompt of the chosen response, its tokens scored but for the first",
    needs_reference: true,
};

/// The prompt of the rejected response, scored like one.
pub const REJECTED_PROMPT: Extra = Extra {
    name: "rejected_prompt",
    meaning: "the prompt of the rejected response, its tokens scored but for the first",
    needs_reference: true,
};

/// The positions of a joint log-probability: prompt and response, without the first token, which nothing predicts.
///
/// With it, one pass scores both together: `dpo` on log-probabilities under this mask is the method too.
///
/// # Shapes
/// Both masks and the result: `[n, seq]`, aligned with the **tokens** (before the first column is dropped), padding
/// false on either side. A row's first token is its first true position in either mask; without a prompt it is the
/// response's.
///
/// # Errors
/// A shape error naming `response_mask`.
///
/// # Example
/// ```
/// use accordant_objectives::pairwise::dove::joint_mask;
/// use burn::tensor::{Device, Tensor, TensorData};
/// let device = Device::flex();
/// let mask = |row: [bool; 5]| Tensor::from_bool(TensorData::from([row]), &device);
/// let prompt = mask([false, true, true, false, false]);
/// let joint = joint_mask(prompt, mask([false, false, false, true, true]))?;
/// assert_eq!(joint.try_to_vec_as::<bool>().unwrap(), [false, false, true, true, true]);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
pub fn joint_mask(prompt_mask: Tensor<2, Bool>, response_mask: Tensor<2, Bool>) -> Result<Tensor<2, Bool>> {
    check_shape("response_mask", &prompt_mask.dims(), &response_mask.dims())?;
    let tokens = prompt_mask.bool_or(response_mask);
    if tokens.dims().contains(&0) {
        return Ok(tokens);
    }
    let predicted = tokens.clone().int().cumsum(1).greater_scalar(1);
    Ok(tokens.bool_and(predicted))
}

/// Configuration of [`Dove`].
#[derive(Config, Debug, PartialEq)]
pub struct DoveConfig {
    /// Strength of the KL pull, finite and > 0. 0.1: the authors'.
    #[config(default = 0.1)]
    pub beta: f64,
}

impl DoveConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<Dove> {
        check_beta(self.beta)?;
        Ok(Dove { config: self.clone() })
    }
}

/// The joint objective: DPO's loss of the log-ratios of prompts with their responses.
///
/// ```text
/// loss = −log σ(β (J_w − J_l)),   J = log π(x, y)/π_ref(x, y) = log-ratio of the prompt + of the response
/// ```
///
/// Where both responses answer one prompt, its parts cancel: DPO. An empty prompt adds nothing. Rewards are `β J`.
#[doc(alias = "2404.00530")]
#[doc(alias = "Comparing Bad Apples to Good Oranges: Aligning Large Language Models via Joint Preference Optimization")]
#[doc(alias = "JPO")]
#[derive(Debug, Clone, PartialEq)]
pub struct Dove {
    config: DoveConfig,
}

/// `dove` by name.
pub const METHOD: Method = Method {
    name: "dove",
    title: "Joint preference optimization (DOVE)",
    build: |options| Ok(Box::new(options.apply("dove", DoveConfig::new())?.init()?)),
};

impl PairwiseObjective for Dove {
    fn extras(&self) -> Vec<Extra> {
        vec![CHOSEN_PROMPT, REJECTED_PROMPT]
    }

    fn forward(&self, batch: &PairBatch) -> Result<PairOutput> {
        let beta = self.config.beta;
        let responses = batch.log_ratios("dove")?;
        let joint = PairValues {
            chosen: responses.chosen + batch.extra_log_ratios(CHOSEN_PROMPT, "dove")?,
            rejected: responses.rejected + batch.extra_log_ratios(REJECTED_PROMPT, "dove")?,
        };
        let losses = dpo_loss(batch, joint.clone(), beta, 0.0)?;
        Ok(PairOutput::with_rewards(losses, batch, joint.map(|ratio| batch.times_beta(ratio, beta))))
    }
}

#[cfg(test)]
mod tests {
    use accordant_laws::{Property, Subject, Tensors, laws};
    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::{
        SequenceLogps,
        pairwise::tests::{column, evaluated, grad_of_policy, logps, spec_batch, tensor},
    };

    fn dove() -> Dove {
        DoveConfig::new().init().unwrap()
    }

    /// Prompts with log-ratios `w` and `l`.
    fn with_prompts(w: f64, l: f64) -> PairBatch {
        let prompt = |x: f64| logps(&[x - 5.0], &[4.0]);
        let batch = spec_batch().with_extra(CHOSEN_PROMPT, prompt(w), Some(prompt(0.0))).unwrap();
        batch.with_extra(REJECTED_PROMPT, prompt(l), Some(prompt(0.0))).unwrap()
    }

    #[test]
    fn value_and_gradients_by_hand() {
        // J_w = 1 + 2 and J_l = −0.5 − 1.5: h = 0.5.
        let output = dove().forward(&with_prompts(2.0, -1.5)).unwrap();
        assert!((column(&output.losses)[0] - (1.0 + (-0.5f64).exp()).ln()).abs() < 1e-14);
        assert!((column(&output.chosen_rewards)[0] - 0.3).abs() < 1e-15);
        assert!((column(&output.rejected_rewards)[0] + 0.2).abs() < 1e-15);
        let pull = 0.1 / (1.0 + 0.5f64.exp());
        let (chosen, rejected) = grad_of_policy(&with_prompts(2.0, -1.5), &dove());
        assert!((chosen[0] + pull).abs() < 1e-15 && (rejected[0] - pull).abs() < 1e-15);

        let leaf = |x: f64| tensor(&[x]).autodiff().require_grad();
        let (w, l) = (leaf(2.0), leaf(-1.5));
        let prompt = |x: &Tensor<1>| SequenceLogps::new(x.clone(), tensor(&[4.0]).autodiff()).unwrap();
        let reference = || Some(logps(&[0.0], &[4.0]));
        let batch = spec_batch().lifted().with_extra(CHOSEN_PROMPT, prompt(&w), reference()).unwrap();
        let batch = batch.with_extra(REJECTED_PROMPT, prompt(&l), reference()).unwrap();
        let grads = dove().forward(&batch).unwrap().losses.sum().backward();
        let grad = |leaf: &Tensor<1>| column(&leaf.grad(&grads).unwrap())[0];
        assert!((grad(&w) + pull).abs() < 1e-15 && (grad(&l) - pull).abs() < 1e-15, "prompts are learned too");
    }

    #[test]
    fn one_prompt_is_dpo_and_so_is_none() {
        let loss = |batch: &PairBatch| column(&dove().forward(batch).unwrap().losses)[0];
        assert!((loss(&with_prompts(3.0, 3.0)) - 0.6209570478).abs() < 1e-10);
        let empty = || logps(&[0.0], &[0.0]);
        let batch = spec_batch().with_extra(CHOSEN_PROMPT, empty(), Some(empty())).unwrap();
        let batch = batch.with_extra(REJECTED_PROMPT, empty(), Some(empty())).unwrap();
        assert!((loss(&batch) - 0.6209570478).abs() < 1e-10);
    }

    #[test]
    fn a_batch_without_prompts_is_an_error() {
        assert_eq!(dove().extras(), [CHOSEN_PROMPT, REJECTED_PROMPT]);
        let error = dove().forward(&spec_batch()).unwrap_err().to_string();
        assert!(error.starts_with("`dove` needs `chosen_prompt` (the prompt"), "{error}");
        let prompt = logps(&[-5.0], &[4.0]);
        let half = spec_batch().with_extra(CHOSEN_PROMPT, prompt.clone(), Some(prompt)).unwrap();
        let error = dove().forward(&half).unwrap_err().to_string();
        assert!(error.starts_with("`dove` needs `rejected_prompt` (the prompt"), "{error}");
    }

    #[test]
    fn the_joint_mask_drops_the_first_token_of_each_row() {
        let device = Device::flex();
        let mask = |rows: [[bool; 4]; 4]| Tensor::<2, Bool>::from_bool(TensorData::from(rows), &device);
        let (t, f) = (true, false);
        // Right padded, left padded, without a prompt, empty.
        let prompt = mask([[t, t, f, f], [f, f, t, f], [f, f, f, f], [f, f, f, f]]);
        let response = mask([[f, f, t, f], [f, f, f, t], [t, t, f, f], [f, f, f, f]]);
        let joint = joint_mask(prompt, response).unwrap().try_to_vec_as::<bool>().unwrap();
        assert_eq!(joint, [[f, t, t, f], [f, f, f, t], [f, t, f, f], [f, f, f, f]].concat());
        for dims in [[0, 3], [2, 0]] {
            let none = Tensor::<2, Bool>::empty(dims, &device);
            assert_eq!(joint_mask(none.clone(), none).unwrap().dims(), dims);
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error_that_names_it() {
        let mask = |seq| Tensor::<2, Bool>::full([1, seq], true, &Device::flex());
        let error = joint_mask(mask(3), mask(2)).unwrap_err().to_string();
        assert_eq!(error, "`response_mask`: expected shape [1, 3], got [1, 2]");
        assert_eq!(DoveConfig::new().beta, 0.1);
        assert!(DoveConfig::new().with_beta(0.0).init().unwrap_err().to_string().starts_with("`beta`"));
    }

    laws!(
        laws_hold,
        Subject::pairwise("dove", &|t: &Tensors| evaluated(&dove(), t, &[0, 1]))
            .on(Device::flex())
            .declare(Property::LabelProbMixes)
            .declare(Property::ShiftInvariant)
            .declare(Property::DecreasingInChosen)
            .declare(Property::IncreasingInRejected)
            .declare(Property::ConvexInMargin)
            .declare(Property::SwapDifference(0.2))
            .declare(Property::MarginShifts { beta: 0.2 })
            .declare(Property::AtReference(std::f64::consts::LN_2))
            .declare(Property::LowerBound(0.0))
    );
}
