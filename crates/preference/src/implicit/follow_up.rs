//! Follow-up likelihood (FLR): a response is good if a pleased reply to it is likelier than a displeased one.
//!
//! **Paper:** Aligning Language Models Using Follow-up Likelihood as Reward Signal (2024), 2409.13948.
//! **Use when:** dialogues are to be scored without any judgment, by a language model as it is.
//! **Checked by:** hand-worked values, antisymmetry, gradients.
//! **Deviations:** log-probabilities, as in the paper; its code averages raw logits, which [`FollowUp`] takes as well, since it
//! averages whatever numbers the tokens have.

use accordant_ops::{TokenLogps, check_shape};
use burn::tensor::Tensor;

use super::policy_reward::Length;
use crate::{Error, Result};

/// Replies of one kind, pleased and displeased: log-probabilities of their tokens `[n, seq]` behind each of `n` responses.
#[derive(Debug, Clone)]
pub struct FollowUp {
    /// Replies that speak for a response ("That was helpful, thanks").
    pub positive: Vec<TokenLogps>,
    /// Replies that speak against it.
    pub negative: Vec<TokenLogps>,
}

/// Rewards of responses, `[n]`.
///
/// ```text
/// r = mean over dimensions of [mean_{f ∈ F⁺} s(f) − mean_{f ∈ F⁻} s(f)],   s(f) = mean_t log p(f_t | dialogue, response, f_<t)
/// ```
///
/// One `FollowUp` for each dimension: understanding, relevance, correctness, ... in the paper. In nats per token.
///
/// # Errors
/// [`Error::Empty`] without a dimension or a reply on one side of it, a shape error naming `follow_up` for another number
/// of responses.
///
/// # Example
/// ```
/// use accordant_ops::TokenLogps;
/// use accordant_preference::implicit::follow_up::{FollowUp, follow_up_rewards};
/// use burn::tensor::{Device, Tensor, TensorData};
/// let device = Device::flex();
/// let mask = Tensor::from_bool(TensorData::from([[true, true]]), &device);
/// let tokens = |logps: [f32; 2]| TokenLogps::new(Tensor::from_floats([logps], &device), mask.clone());
/// let (pleased, displeased) = (vec![tokens([-1.0, -2.0])?], vec![tokens([-4.0, -3.0])?]);
/// let reward = follow_up_rewards(&[FollowUp { positive: pleased, negative: displeased }])?;
/// assert_eq!(reward.into_scalar::<f32>(), 2.0);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "2409.13948")]
#[doc(alias = "FLR")]
pub fn follow_up_rewards(dimensions: &[FollowUp]) -> Result<Tensor<1>> {
    let mut sum: Option<Tensor<1>> = None;
    for dimension in dimensions {
        for (replies, sign) in [(&dimension.positive, 1.0), (&dimension.negative, -1.0)] {
            if replies.is_empty() {
                return Err(Error::Empty { name: "follow_up", reason: "a dimension has replies on one side only" });
            }
            let weight = sign / (replies.len() * dimensions.len()) as f64;
            for reply in replies {
                let part = Length::PerToken.of(reply) * weight;
                sum = Some(match sum {
                    Some(sum) => {
                        check_shape("follow_up", &sum.dims(), &part.dims())?;
                        sum + part
                    }
                    None => part,
                });
            }
        }
    }
    sum.ok_or(Error::Empty { name: "follow_up", reason: "there is no dimension" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trajectory::testing::{check, close, mask, rows, values};

    fn reply(first: [f64; 2], second: [f64; 2]) -> TokenLogps {
        TokenLogps::new(rows([first, second]), mask([[1, 1], [1, 0]])).unwrap()
    }

    fn dimensions() -> Vec<FollowUp> {
        let nan = f64::NAN;
        vec![
            FollowUp {
                positive: vec![reply([-1.0, -3.0], [-1.0, nan]), reply([-4.0, -4.0], [-2.0, nan])],
                negative: vec![reply([-5.0, -7.0], [-0.5, nan])],
            },
            FollowUp { positive: vec![reply([-1.0; 2], [-1.0; 2])], negative: vec![reply([-2.0; 2], [-3.0; 2])] },
        ]
    }

    #[test]
    fn replies_sides_and_dimensions_are_averaged() {
        // ((−2 − 4)/2 + 6 + 1) / 2 and ((−1 − 2)/2 + 0.5 + 2) / 2.
        close(&values(follow_up_rewards(&dimensions()).unwrap()), &[2.0, 0.5], 1e-12);
        let swap = |d: FollowUp| FollowUp { positive: d.negative, negative: d.positive };
        let swapped: Vec<_> = dimensions().into_iter().map(swap).collect();
        close(&values(follow_up_rewards(&swapped).unwrap()), &[-2.0, -0.5], 1e-12);
    }

    #[test]
    fn gradients_are_derivatives() {
        let gradient = check(&[-1.0, -2.0, -3.0, -4.0], |x| {
            let tokens = |at| {
                let logps = x.clone().narrow(0, at, 2).reshape([1, 2]);
                TokenLogps::new(logps, mask([[1, 1]])).unwrap()
            };
            follow_up_rewards(&[FollowUp { positive: vec![tokens(0)], negative: vec![tokens(2)] }]).unwrap()
        });
        close(&gradient, &[0.5, 0.5, -0.5, -0.5], 1e-12);
    }

    #[test]
    fn nothing_to_compare_is_an_error() {
        assert!(follow_up_rewards(&[]).unwrap_err().to_string().contains("there is no dimension"));
        let [mut one, mut other] = <[FollowUp; 2]>::try_from(dimensions()).unwrap();
        one.negative.clear();
        assert!(follow_up_rewards(&[one]).unwrap_err().to_string().contains("on one side only"));
        other.negative[0] = TokenLogps::new(rows([[-1.0]]), mask([[1]])).unwrap();
        assert!(follow_up_rewards(&[other]).unwrap_err().to_string().starts_with("`follow_up`: expected shape [2]"));
    }
}
