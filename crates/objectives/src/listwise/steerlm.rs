//! SteerLM 2.0: matching the distribution of responses that have given attributes.
//!
//! **Paper:** HelpSteer2: Open-source dataset for training top-performing reward models (2024), 2406.08673, section 4.
//! **Use when:** a model of attributes (helpfulness, verbosity, ...) scores samples of a policy that is steered by them.
//! **Checked by:** hand-worked values and gradients, gradient 0 where the distributions match.
//! **Deviations:** `P(y|x)` is the batch's reference. The loss is the cross-entropy whose gradient the paper trains with,
//! so that its value means something.

use burn::{config::Config, tensor::Tensor};

use super::{
    ListBatch, ListOutput, ListwiseObjective, Method,
    infonca::{divergences, infonca_loss, softmax_targets},
};
use crate::{Domain, Error, Result, side::Column};

/// What the candidates were sampled from.
pub const PROPOSAL_LOGPS: Column = Column {
    name: "proposal_logps",
    domain: Domain::Real,
    meaning: "the log-probability of each candidate under the model that sampled it, summed over its tokens",
};

/// SteerLM 2.0 losses, one per list.
///
/// ```text
/// loss = −Σ_i w_i ln b_i,   with the gradient −Σ_i (w_i − b_i) ∇ ln Q(y_i|a, x)
/// w = softmax_i( ln P(a|x, y_i) + ln P(y_i|x) − ln Q'(y_i|a, x) )
/// b = softmax_i( ln Q(y_i|a, x) − ln Q'(y_i|a, x) )
/// ```
///
/// `Q` is the policy, `Q'` what the candidates were sampled from, and `P(a|x, y)` the batch's scores, as log-probabilities
/// of the wanted attributes.
///
/// # Shapes
/// `targets` (w, see [`steerlm_targets`]) and `proposal` (`ln Q'`, summed): `[n, k]`, detached; the result is `[n]`.
///
/// This is `KL(w ‖ b)` and the entropy of `w`, which is a constant: equal distributions have gradient 0. The weights of a
/// list's gradients add up to 0. Finite for every finite input.
///
/// # Errors
/// A shape or dtype error naming `targets` or `proposal`.
///
/// # Example
/// ```
/// use accordant_objectives::listwise::{ListBatch, ListLogps, steerlm::steerlm_loss};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let row = |values: [f32; 2]| Tensor::<2>::from_floats([values], &device);
/// let same = || row([-2.0, -2.0]);
/// let batch = ListBatch::new(ListLogps { sum: same(), count: row([1.0; 2]) })?;
/// // ln Q − ln Q' = (ln 3, 0), so b = (3/4, 1/4).
/// let loss = steerlm_loss(&batch, row([1.0, 0.0]), row([-2.0 - 3f32.ln(), -2.0]))?.into_scalar::<f32>();
/// assert!((loss - (4f32 / 3.0).ln()).abs() < 1e-6);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2406.08673")]
#[doc(alias = "HelpSteer2: Open-source dataset for training top-performing reward models")]
#[doc(alias = "SteerLM 2.0")]
pub fn steerlm_loss(batch: &ListBatch, targets: Tensor<2>, proposal: Tensor<2>) -> Result<Tensor<1>> {
    batch.check_values("proposal", &proposal)?;
    infonca_loss(batch, batch.policy().sum - batch.select(proposal).detach(), targets)
}

/// `w` of [`steerlm_loss`], `[n, k]`; detached.
///
/// # Shapes
/// `prior` (`ln P(y|x)`) and `proposal` (`ln Q'`): `[n, k]`, summed.
///
/// # Errors
/// A shape or dtype error naming `prior` or `proposal`; [`crate::Error::MissingColumn`] when the batch has no scores.
pub fn steerlm_targets(batch: &ListBatch, prior: Tensor<2>, proposal: Tensor<2>) -> Result<Tensor<2>> {
    batch.check_values("prior", &prior)?;
    batch.check_values("proposal", &proposal)?;
    softmax_targets(batch, batch.scores("steerlm")? + batch.select(prior) - batch.select(proposal), 1.0)
}

/// Configuration of [`SteerLm`].
#[derive(Config, Debug, PartialEq)]
pub struct SteerLmConfig {}

impl SteerLmConfig {
    /// There is nothing to set.
    ///
    /// # Errors
    /// None.
    pub fn init(&self) -> Result<SteerLm> {
        Ok(SteerLm)
    }
}

/// The SteerLM 2.0 objective; see [`steerlm_loss`]. Reads [`PROPOSAL_LOGPS`]. Rewards are log-ratios to the reference.
/// Logs `KL(w ‖ b)` as `kl`.
#[derive(Debug, Clone, PartialEq)]
pub struct SteerLm;

/// `steerlm` by name.
pub const METHOD: Method = Method {
    name: "steerlm",
    title: "SteerLM 2.0",
    build: |options| Ok(Box::new(options.apply("steerlm", SteerLmConfig::new())?.init()?)),
};

impl ListwiseObjective for SteerLm {
    fn candidate_columns(&self) -> Vec<Column> {
        vec![PROPOSAL_LOGPS]
    }

    fn forward(&self, batch: &ListBatch) -> Result<ListOutput> {
        let rewards = batch.log_ratios("steerlm")?;
        let prior = batch.reference().ok_or(Error::MissingReference { method: "steerlm" })?.sum;
        let proposal = batch.candidate_column(PROPOSAL_LOGPS, "steerlm")?;
        let targets = steerlm_targets(batch, prior, proposal.clone())?;
        let losses = steerlm_loss(batch, targets.clone(), proposal)?;
        let kl = divergences(&losses, targets);
        ListOutput::new(losses, batch, rewards, batch.plural())?.with_metric("kl", kl)
    }
}

#[cfg(test)]
mod tests {
    use accordant_laws::{Evaluated, Property, Range, Subject, Tensors};

    use super::*;
    use crate::TokensOutput;
    use crate::listwise::evaluate_tokens;
    use crate::listwise::tests::{close, grad_of_losses, list, losses, matrix, values};

    /// Log-probabilities under the policy, of attributes, and under the proposal; the reference of `list` is 0.
    fn batch(policy: &[f64], attributes: &[f64], proposal: &[f64]) -> ListBatch {
        list(policy, attributes).with_candidate_column(PROPOSAL_LOGPS, matrix(&[proposal])).unwrap()
    }

    fn softmax(x: [f64; 3]) -> [f64; 3] {
        x.map(|value| value.exp() / x.iter().map(|value| value.exp()).sum::<f64>())
    }

    const POLICY: [f64; 3] = [-2.0, -3.0, -2.5];
    const ATTRIBUTES: [f64; 3] = [-0.1, -1.0, -2.0];
    const PROPOSAL: [f64; 3] = [-2.5, -2.0, -1.5];

    #[test]
    fn value_and_gradient_by_hand() {
        // The prior is 0, so w = softmax(2.4, 1.0, −0.5) and b = softmax(0.5, −1.0, −1.0).
        let (w, b) = (softmax([2.4, 1.0, -0.5]), softmax([0.5, -1.0, -1.0]));
        let batch = batch(&POLICY, &ATTRIBUTES, &PROPOSAL);
        let cross: f64 = w.iter().zip(b).map(|(w, b)| -w * b.ln()).sum();
        close(losses(&SteerLm, &batch)[0], cross, 1e-14);
        let kl: f64 = w.iter().zip(b).map(|(w, b)| w * (w / b).ln()).sum();
        close(values(SteerLm.forward(&batch).unwrap().metric("kl").unwrap().0)[0], kl, 1e-14);
        let grad = grad_of_losses(&SteerLm, &batch);
        for (grad, (b, w)) in grad.iter().zip(b.into_iter().zip(w)) {
            close(*grad, b - w, 1e-14);
        }
        close(grad.iter().sum(), 0.0, 1e-14);
    }

    #[test]
    fn the_prior_is_the_reference() {
        let plain = batch(&POLICY, &ATTRIBUTES, &PROPOSAL);
        let prior = matrix(&[&[-1.0, -2.0, -0.5]]);
        let reference = crate::listwise::ListLogps { sum: prior.clone(), count: prior.ones_like() };
        let with_prior = losses(&SteerLm, &plain.clone().with_reference(reference).unwrap());
        let as_attributes = batch(&POLICY, &[-1.1, -3.0, -2.5], &PROPOSAL);
        close(with_prior[0], losses(&SteerLm, &as_attributes)[0], 1e-14);
        assert!(with_prior != losses(&SteerLm, &plain));
    }

    #[test]
    fn a_far_policy_leaves_the_targets_alone_in_f32() {
        // b is (1, e^-1e6), so the loss is 1e6 · w_2, and w = softmax(−0.3, −0.7) is the prior's alone.
        let narrow = |row: &[f64]| matrix(&[row]).cast(burn::tensor::FloatDType::F32);
        let logps = |row: &[f64]| crate::listwise::ListLogps { sum: narrow(row), count: narrow(&[1.0, 1.0]) };
        let batch = ListBatch::new(logps(&[0.0, -1e6]))
            .and_then(|batch| batch.with_reference(logps(&[-0.3, -0.7])))
            .and_then(|batch| batch.with_scores(narrow(&[0.0, 0.0])))
            .and_then(|batch| batch.with_candidate_column(PROPOSAL_LOGPS, narrow(&[0.0, 0.0])))
            .unwrap();
        let share = 1.0 / (1.0 + 0.4f64.exp());
        close(losses(&SteerLm, &batch)[0], 1e6 * share, 1e-6);
    }

    #[test]
    fn a_policy_that_matches_has_no_gradient() {
        // ln Q = ln P(a|x, y) + ln P(y|x) and a constant.
        let batch = batch(&ATTRIBUTES.map(|a| a - 4.0), &ATTRIBUTES, &PROPOSAL);
        close(values(SteerLm.forward(&batch).unwrap().metric("kl").unwrap().0)[0], 0.0, 1e-14);
        grad_of_losses(&SteerLm, &batch).into_iter().for_each(|grad| close(grad, 0.0, 1e-14));
    }

    #[test]
    fn inputs_are_checked() {
        SteerLmConfig::new().init().unwrap();
        assert_eq!(SteerLm.candidate_columns(), [PROPOSAL_LOGPS]);
        let error = SteerLm.forward(&list(&POLICY, &ATTRIBUTES)).unwrap_err().to_string();
        assert!(error.starts_with("`steerlm` needs `proposal_logps`"), "{error}");
        let (batch, one, three) = (list(&POLICY, &ATTRIBUTES), matrix(&[&[1.0]]), matrix(&[&PROPOSAL]));
        let error = steerlm_targets(&batch, one.clone(), three.clone()).unwrap_err().to_string();
        assert_eq!(error, "`prior`: expected shape [1, 3], got [1, 1]");
        let error = steerlm_targets(&batch, three.clone(), one.clone()).unwrap_err().to_string();
        assert_eq!(error, "`proposal`: expected shape [1, 3], got [1, 1]");
        let error = steerlm_loss(&batch, three.clone(), one.clone()).unwrap_err().to_string();
        assert_eq!(error, "`proposal`: expected shape [1, 3], got [1, 1]");
        let error = steerlm_loss(&batch, one, three).unwrap_err().to_string();
        assert_eq!(error, "`targets`: expected shape [1, 3], got [1, 1]");
    }

    accordant_laws::laws!(
        steerlm_obeys_the_laws,
        Subject::listwise("steerlm", &|t: &Tensors| {
            let (columns, responses) = (&t.columns, &t.response_columns);
            let (policy, reference, mask) = (t.policy.clone(), t.reference.clone(), t.mask.clone());
            let valid = t.valid.clone();
            let output = evaluate_tokens(&SteerLm, policy, reference, mask, valid, t.num_responses, columns, responses);
            let TokensOutput { losses, weights, loss, numerator, denominator, logged } =
                output.map_err(|error| error.to_string())?;
            Ok(Evaluated { losses, weights, loss, numerator, denominator, logged, advantages: None })
        })
        .on(burn::tensor::Device::flex())
        .response_column("proposal_logps", Range::Real(-8.0, -1.0))
        .declare(Property::PermutationOfCandidates)
        .declare(Property::LowerBound(0.0))
    );
}
