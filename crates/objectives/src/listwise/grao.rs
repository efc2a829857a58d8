//! Group Relative Alignment Optimization (GRAO): rollouts and a reference answer, weighed against each other.
//!
//! **Paper:** Learning to Align, Aligning to Learn: A Unified Approach for Self-Optimized Alignment (2025), 2508.07750.
//! **Status:** our reading of the abstract; the form of the three terms and their weights are ours.
//! **Use when:** each prompt has rollouts of the policy, a reference answer, and rewards for all of them.
//! **Checked by:** hand-worked values and gradients, REINFORCE with a group baseline where only it is left.
//! **Deviations:** the status says it.

use accordant_ops::groups::{Ddof, Groups};
use burn::{config::Config, tensor::Tensor};

use super::{ListBatch, ListOutput, ListwiseObjective, Method, check_coefficient, over_candidates};
use crate::Result;

/// Added to a group's deviation before it divides; the house's for group advantages.
const EPS: f64 = 1e-6;

/// Advantages of the candidates, `[n, k]`, and of the answers, `[n, 1]`; detached.
///
/// ```text
/// A = (r − mean) / (std + 1e-6)
/// ```
///
/// Mean and unbiased deviation are over the candidates that are there **and** the answer. Equal rewards have advantages of
/// exactly 0.
///
/// # Errors
/// [`crate::Error::MissingColumn`] naming `method` and the scores or the answer.
pub fn group_advantages(batch: &ListBatch, method: &'static str) -> Result<(Tensor<2>, Tensor<2>)> {
    let scores = batch.scores(method)?;
    let [lists, k] = scores.dims();
    if lists == 0 {
        return Ok((scores.clone(), scores.narrow(1, 0, 1)));
    }
    let answer = batch.answer(method)?;
    let all = Tensor::cat(vec![scores, answer.scores.clone().unsqueeze_dim(1)], 1);
    let answered = answer.logps.count.clone().greater_scalar(0.0).unsqueeze_dim(1);
    let kept = Tensor::cat(vec![batch.present(), answered], 1);
    // Row by row: the members of a list are adjacent.
    let ids: Vec<usize> = (0..lists * (k + 1)).map(|place| place / (k + 1)).collect();
    let stats = Groups::new(&ids).masked_stats(all.flatten::<1>(0, 1), kept.flatten::<1>(0, 1))?;
    let advantages = (stats.centered() / (stats.std(Ddof::One) + EPS)).reshape([lists, k + 1]).detach();
    let candidates = batch.select(advantages.clone().narrow(1, 0, k));
    Ok((candidates, advantages.narrow(1, k, 1)))
}

/// GRAO losses, one per list.
///
/// ```text
/// loss = −1/G Σ_i [ A_i L̄(o_i) + β A_y L̄(y) + λ (A_i − A_y) (L̄(o_i) − L̄(y)) ]
/// ```
///
/// `o_i` are the `G` candidates that are there, `y` the answer, `L̄` log-probabilities per token and `A` group advantages
/// ([`group_advantages`]): the candidates learn from each other, from the answer as far as it is good, and from how
/// they differ from it.
///
/// # Shapes
/// The result is `[n]`.
///
/// `imitation` (β) and `alignment` (λ) are finite and ≥ 0. Without both this is REINFORCE with a group baseline. Equal
/// rewards give 0. Linear in the log-probabilities: the value says nothing, the gradient does.
///
/// # Errors
/// [`crate::Error::MissingColumn`] naming the scores or the answer.
///
/// # Example
/// ```
/// use accordant_objectives::{SequenceLogps, listwise::{Answer, ListBatch, ListLogps, grao::grao_loss}};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let row = |value: f32| Tensor::<2>::from_floats([[value]], &device);
/// let one = |value: f32| Tensor::<1>::from_floats([value], &device);
/// let batch = ListBatch::new(ListLogps { sum: row(-3.0), count: row(1.0) })?.with_scores(row(0.0))?;
/// let batch = batch.with_answer(Answer { logps: SequenceLogps::new(one(-1.0), one(1.0))?, scores: one(1.0) })?;
/// // One rollout worse than the answer: A = −1/√2 and 1/√2, and only A_i L̄(o_i) is left.
/// let loss = grao_loss(&batch, 0.0, 0.0)?.into_scalar::<f32>();
/// assert!((loss + 3.0 / 2f32.sqrt()).abs() < 1e-4);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2508.07750")]
#[doc(alias = "Learning to Align, Aligning to Learn: A Unified Approach for Self-Optimized Alignment")]
pub fn grao_loss(batch: &ListBatch, imitation: f64, alignment: f64) -> Result<Tensor<1>> {
    let k = batch.num_candidates();
    let (own, answer) = group_advantages(batch, "grao")?;
    let means = batch.policy().mean();
    let answer_means = batch.answer("grao")?.logps.mean.clone().unsqueeze_dim::<2>(1);
    let imitated = (answer.clone() * answer_means.clone() * imitation).repeat_dim(1, k);
    let gap = means.clone() - answer_means.repeat_dim(1, k);
    let aligned = (own.clone() - answer.repeat_dim(1, k)) * gap * alignment;
    let total = over_candidates(batch.select(own * means + imitated + aligned));
    Ok(-total / batch.num_present().squeeze_dim::<1>(1).clamp_min(1.0))
}

/// Configuration of [`Grao`].
#[derive(Config, Debug, PartialEq)]
pub struct GraoConfig {
    /// Weight of imitating the answer, finite and ≥ 0; β. 0.5: ours.
    #[config(default = 0.5)]
    pub imitation: f64,
    /// Weight of aligning the rollouts with the answer, finite and ≥ 0; λ. 0.5: ours.
    #[config(default = 0.5)]
    pub alignment: f64,
}

impl GraoConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<Grao> {
        check_coefficient("imitation", self.imitation)?;
        check_coefficient("alignment", self.alignment)?;
        Ok(Grao { config: self.clone() })
    }
}

/// The GRAO objective; see [`grao_loss`]. Rewards are log-probabilities per token. A list counts when it has a candidate
/// and an answer. Logs the answers' advantages as `advantages/answer`.
#[derive(Debug, Clone, PartialEq)]
pub struct Grao {
    config: GraoConfig,
}

/// `grao` by name.
pub const METHOD: Method = Method {
    name: "grao",
    title: "Group Relative Alignment Optimization (our reading of the abstract)",
    build: |options| Ok(Box::new(options.apply("grao", GraoConfig::new())?.init()?)),
};

impl ListwiseObjective for Grao {
    fn needs_reference(&self) -> bool {
        false
    }

    fn needs_answer(&self) -> bool {
        true
    }

    fn forward(&self, batch: &ListBatch) -> Result<ListOutput> {
        let losses = grao_loss(batch, self.config.imitation, self.config.alignment)?;
        let (_, advantages) = group_advantages(batch, "grao")?;
        let answered = batch.answer("grao")?.logps.count.clone().greater_scalar(0.0);
        let counts = batch.num_present().squeeze_dim::<1>(1).greater_scalar(0.5).bool_and(answered);
        ListOutput::new(losses, batch, batch.policy().mean(), counts)?
            .with_metric("advantages/answer", advantages.squeeze_dim(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listwise::{
        Answer,
        tests::{close, grad_of_losses, list_of_tokens, losses, values, vector},
    };
    use accordant_ops::SequenceLogps;

    fn grao(imitation: f64, alignment: f64) -> Grao {
        GraoConfig::new().with_imitation(imitation).with_alignment(alignment).init().unwrap()
    }

    /// Means −1 and −2 with rewards 1 and 0; an answer of mean −3 and this reward.
    fn batch(answer_reward: f64) -> ListBatch {
        let logps = SequenceLogps::new(vector(&[-6.0]), vector(&[2.0])).unwrap();
        let answer = Answer { logps, scores: vector(&[answer_reward]) };
        list_of_tokens(&[-2.0, -8.0], &[2.0, 4.0], &[1.0, 0.0]).with_answer(answer).unwrap()
    }

    #[test]
    fn terms_by_hand() {
        // Rewards 1, 0 and 2: mean 1, deviation 1: A = 0, −1 and 1 (but for 1e-6); −(0 · −1 + −1 · −2)/2.
        let unit = 1.0 / (1.0 + EPS);
        let reinforce = -(unit * 2.0) / 2.0;
        close(losses(&grao(0.0, 0.0), &batch(2.0))[0], reinforce, 1e-12);
        let imitation = -(unit * -3.0);
        close(losses(&grao(0.3, 0.0), &batch(2.0))[0], reinforce + 0.3 * imitation, 1e-12);
        // (0 − 1)(−1 + 3) and (−1 − 1)(−2 + 3).
        let alignment = -unit * (-2.0 - 2.0) / 2.0;
        close(losses(&grao(0.0, 0.7), &batch(2.0))[0], reinforce + 0.7 * alignment, 1e-12);
        let both = losses(&GraoConfig::new().init().unwrap(), &batch(2.0))[0];
        close(both, reinforce + 0.5 * imitation + 0.5 * alignment, 1e-12);
        let output = grao(0.0, 0.0).forward(&batch(2.0)).unwrap();
        close(values(output.metric("advantages/answer").unwrap().0)[0], unit, 1e-12);
        assert_eq!(values(&output.rewards), [-1.0, -2.0]);
    }

    #[test]
    fn the_gradient_weighs_log_probabilities_by_advantages() {
        // dL/dL_i = −(A_i + λ (A_i − A_y)) / (G n_i) with A = 0, −1, 1.
        let grad = grad_of_losses(&grao(0.5, 0.5), &batch(2.0));
        close(grad[0], 0.5 / 2.0 / 2.0, 1e-6);
        close(grad[1], (1.0 + 1.0) / 2.0 / 4.0, 1e-6);
    }

    #[test]
    fn an_answer_better_than_the_rollouts_is_imitated() {
        // dL/dL_y = −(β A_y − λ mean_i (A_i − A_y)) / n_y with A = 0, −1, 1: −(0.5 + 0.25 · 1.5)/2. A worse one,
        // of reward −1, has A = 1, 0, −1, and the signs turn.
        for (reward, expected) in [(2.0, -0.4375), (-1.0, 0.4375)] {
            let (own, reward) = (batch(reward), vector(&[reward]).autodiff());
            let sum = vector(&[-6.0]).autodiff().require_grad();
            let logps = SequenceLogps::new(sum.clone(), vector(&[2.0]).autodiff()).unwrap();
            let own = own.with_policy_sums(own.policy().sum.autodiff());
            let own = own.with_answer(Answer { logps, scores: reward }).unwrap();
            let grads = grao(0.5, 0.25).forward(&own).unwrap().losses.backward();
            close(values(&sum.grad(&grads).unwrap())[0], expected, 1e-5);
        }
    }

    #[test]
    fn equal_rewards_say_nothing_and_a_list_needs_its_answer() {
        let tied = list_of_tokens(&[-2.0, -8.0], &[2.0, 4.0], &[1.0, 1.0]);
        let answer = |count: f64| {
            let logps = SequenceLogps::new(vector(&[-6.0]), vector(&[count])).unwrap();
            Answer { logps, scores: vector(&[1.0]) }
        };
        assert_eq!(losses(&grao(0.5, 0.5), &tied.clone().with_answer(answer(2.0)).unwrap()), [0.0]);
        let counted = grao(0.5, 0.5).forward(&tied.clone().with_answer(answer(2.0)).unwrap()).unwrap();
        assert_eq!(values(&counted.weights), [1.0]);
        let output = grao(0.5, 0.5).forward(&tied.clone().with_answer(answer(0.0)).unwrap()).unwrap();
        assert_eq!(values(&output.weights), [0.0]);
        let error = grao(0.5, 0.5).forward(&tied).unwrap_err().to_string();
        assert_eq!(error, "`grao` needs `answer` (a reference answer to each prompt), and the batch has none");
        assert!(grao(0.5, 0.5).needs_answer() && !grao(0.5, 0.5).needs_reference());
    }

    #[test]
    fn settings_are_checked() {
        let config = GraoConfig::new();
        assert_eq!((config.imitation, config.alignment), (0.5, 0.5));
        for bad in [-0.1, f64::NAN, f64::INFINITY] {
            let error = config.clone().with_imitation(bad).init().unwrap_err().to_string();
            assert_eq!(error, format!("`imitation`: expected finite and >= 0, got {bad}"));
            let error = config.clone().with_alignment(bad).init().unwrap_err().to_string();
            assert_eq!(error, format!("`alignment`: expected finite and >= 0, got {bad}"));
        }
    }

    accordant_laws::listwise_laws!(grao_obeys_the_laws, "grao", grao(0.5, 0.5), [], [ReferenceFree]);
}
