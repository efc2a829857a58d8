//! The divergence from the reference, by enumeration of a vocabulary.

use super::plain;
use crate::{
    batch::{Batch, Item, Response},
    compare::{ROUNDING, close, same, same_column, same_gradient},
    loss::Target,
    property::Divergence,
    report::Disagreement,
    runner::{Law, Need, Random, Verdict},
    tensors::Layout,
};

/// Probabilities of four tokens under the policy and the reference.
struct Vocabulary {
    policy: Vec<f64>,
    reference: Vec<f64>,
}

impl Vocabulary {
    fn new(random: &mut Random) -> Self {
        let mut distribution = || {
            let weights: Vec<f64> = (0..4).map(|_| random.uniform(-1.5, 1.5).exp()).collect();
            let total: f64 = weights.iter().sum();
            weights.into_iter().map(|weight| weight / total).collect()
        };
        Self { policy: distribution(), reference: distribution() }
    }

    /// Every token as a response to the same prompt, sampled by the policy as it is, with reward 0.
    fn batch(&self, like: &Response) -> Batch {
        let tokens = self.policy.iter().zip(&self.reference);
        let responses = tokens.map(|(policy, reference)| {
            let mut columns = like.columns.clone();
            columns.insert("rewards", 0.0);
            let tokens = like.tokens.keys().map(|name| (*name, vec![0.0])).collect();
            Response { policy: vec![policy.ln()], reference: vec![reference.ln()], tokens, columns }
        });
        let item = Item { responses: responses.collect(), ..Item::default() };
        // The policy that sampled is this one; the reference is another.
        let batch = Batch { items: vec![item] };
        let fresh = batch.on_policy();
        batch.map(|index, item| {
            for (response, fresh) in item.responses.iter_mut().zip(&fresh.items[index].responses) {
                response.tokens.clone_from(&fresh.tokens);
            }
        })
    }

    /// The mean over the policy's tokens.
    fn mean(&self, values: impl Iterator<Item = f64>) -> f64 {
        self.policy.iter().zip(values).map(|(probability, value)| probability * value).sum()
    }

    /// `log policy − log reference` of each token.
    fn log_ratios(&self) -> Vec<f64> {
        self.policy.iter().zip(&self.reference).map(|(policy, reference)| (policy / reference).ln()).collect()
    }

    /// The gradient in the policy's logits of a mean of losses, from each loss's gradient in its token's log-probability.
    fn in_logits(&self, gradients: &[f64]) -> Vec<f64> {
        let total = self.mean(gradients.iter().copied());
        self.policy.iter().zip(gradients).map(|(probability, gradient)| probability * (gradient - total)).collect()
    }

    /// The gradient in the policy's logits of KL(policy ‖ reference), by its formula.
    fn reverse(&self) -> Vec<f64> {
        let ratios = self.log_ratios();
        let kl = self.mean(ratios.iter().copied());
        self.policy.iter().zip(ratios).map(|(probability, ratio)| probability * (ratio - kl)).collect()
    }

    /// The gradient in the policy's logits of KL(reference ‖ policy), by its formula.
    fn forward(&self) -> Vec<f64> {
        self.policy.iter().zip(&self.reference).map(|(policy, reference)| policy - reference).collect()
    }
}

/// With rewards that say nothing, the loss is the divergence alone.
pub(super) fn in_loss<'a>(kl_coef: f64, estimator: Divergence) -> Law<'a> {
    plain("divergence in the loss", move |subject, case| {
        let vocabulary = Vocabulary::new(&mut case.random());
        let batch = vocabulary.batch(&case.batch.items[0].responses[0]);
        let found = subject.gradient(&batch, &Layout::default(), Target::Items(&[1.0; 4]))?;
        let ratios = vocabulary.log_ratios();
        let (value, gradient) = match estimator {
            Divergence::K2 => (vocabulary.mean(ratios.iter().map(|u| u * u / 2.0)), vocabulary.reverse()),
            Divergence::K3 => (vocabulary.mean(ratios.iter().copied()), vocabulary.forward()),
            Divergence::K3Corrected => (vocabulary.mean(ratios.iter().copied()), vocabulary.reverse()),
        };
        let what = |name: &str| format!("from {:?} to {:?} the mean {name}", vocabulary.policy, vocabulary.reference);
        let losses = vocabulary.mean(found.values.losses.iter().copied());
        same(&what("loss"), kl_coef * value, losses, ROUNDING)?;
        let expected: Vec<f64> = gradient.iter().map(|gradient| kl_coef * gradient).collect();
        same_column(&what("gradient in the logits"), &expected, &vocabulary.in_logits(&found.flat()), ROUNDING)?;
        Ok(Verdict::Holds)
    })
}

/// One law for what is read, one for where it leads.
pub(super) fn in_reward<'a>(kl_coef: f64) -> [Law<'a>; 2] {
    let read = plain("divergence in the reward", move |subject, case| {
        let one_token = case.batch.map(|_, item| item.responses.iter_mut().for_each(|response| response.keep(1)));
        let penalty = |response: &Response| match (response.tokens["old"].first(), response.reference.first()) {
            (Some(old), Some(reference)) => kl_coef * (old - reference),
            _ => 0.0,
        };
        let by_hand = one_token.map(|_, item| {
            for response in &mut item.responses {
                let penalty = penalty(response);
                response.columns.entry("rewards").and_modify(|reward| *reward -= penalty);
                response.reference.clone_from(&response.tokens["old"]);
            }
        });
        let found = subject.gradient(&one_token, &Layout::default(), Target::Loss)?;
        let expected = subject.gradient(&by_hand, &Layout::default(), Target::Loss)?;
        let note = |found: Disagreement| Disagreement {
            expected: format!("with rewards lowered by hand, {}", found.expected),
            ..found
        };
        same_gradient(&expected, &found).map_err(note)?;
        Ok(Verdict::Holds)
    });
    let unbiased = plain("divergence in the reward, by enumeration", move |subject, case| {
        let vocabulary = Vocabulary::new(&mut case.random());
        let batch = vocabulary.batch(&case.batch.items[0].responses[0]);
        let found = subject.gradient(&batch, &Layout::default(), Target::Items(&[1.0; 4]))?;
        // An advantage may be divided by a deviation: the direction counts.
        let (got, expected) = (vocabulary.in_logits(&found.flat()), vocabulary.reverse());
        let norm = |vector: &[f64]| vector.iter().map(|value| value * value).sum::<f64>().sqrt();
        if norm(&expected) < 1e-3 {
            return Ok(Verdict::PutAside);
        }
        let cosine = got.iter().zip(&expected).map(|(got, expected)| got * expected).sum::<f64>()
            / (norm(&got) * norm(&expected));
        match close(1.0, cosine, ROUNDING) {
            true => Ok(Verdict::Holds),
            false => {
                let expected = format!("a gradient along that of KL(policy ‖ reference), {expected:?}");
                Err(Disagreement::new(expected, format!("{got:?}, whose cosine with it is {cosine}")))
            }
        }
    });
    [read, unbiased.needs(Need::Half, "policies away from the reference")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_of_gradients_are_derivatives_of_divergences() {
        let vocabulary = Vocabulary::new(&mut Random::new(5));
        let logits: Vec<f64> = vocabulary.policy.iter().map(|probability| probability.ln()).collect();
        let at = |logits: &[f64]| {
            let total: f64 = logits.iter().map(|logit| logit.exp()).sum();
            let policy = logits.iter().map(|logit| logit.exp() / total).collect();
            Vocabulary { policy, reference: vocabulary.reference.clone() }
        };
        let reverse = |logits: &[f64]| {
            let moved = at(logits);
            moved.mean(moved.log_ratios().into_iter())
        };
        let forward = |logits: &[f64]| {
            let moved = at(logits);
            let terms = moved.reference.iter().zip(moved.log_ratios());
            terms.map(|(reference, ratio)| -reference * ratio).sum::<f64>()
        };
        crate::gradient::check_gradient(reverse, &logits, &vocabulary.reverse()).unwrap();
        crate::gradient::check_gradient(forward, &logits, &vocabulary.forward()).unwrap();
    }

    #[test]
    fn a_vocabulary_is_a_group_with_nothing_to_learn_but_the_divergence() {
        let vocabulary = Vocabulary::new(&mut Random::new(6));
        let like =
            Response { tokens: [("old", vec![])].into(), columns: [("rewards", 3.0)].into(), ..Response::default() };
        let batch = vocabulary.batch(&like);
        let responses = &batch.items[0].responses;
        assert_eq!(responses.len(), 4);
        assert!(responses.iter().all(|r| r.columns["rewards"] == 0.0 && r.tokens["old"] == r.policy));
        assert!(responses.iter().all(|r| r.reference != r.policy));
    }
}
