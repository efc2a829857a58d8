//! Policy discriminators (POLAR): a response is good if it could be the reference's own.
//!
//! **Paper:** Pre-Trained Policy Discriminators are General Reward Models (2025), 2507.05197.
//! **Use when:** a reference response is at hand for every prompt, in training and later.
//! **Checked by:** hand-worked values, gradients, truncation.
//! **Deviations:** none.

use burn::tensor::Tensor;

use crate::{Result, pairwise::PairScores};

/// Scores of likeness `r(x, reference, candidate)` as pairs: the candidate that ought to be more like the reference first.
///
/// In pre-training one of the reference's own policy against one of another; in fine-tuning, of a ranking y¹ ≻ y² ≻ y³, y¹ as
/// the reference and y² against y³. Bradley-Terry's loss is the paper's, `−log σ(r_same − r_other)`. The score is no
/// symmetric function of reference and candidate, and means nothing without a reference.
///
/// # Shapes
/// `[n]` each.
///
/// # Errors
/// A shape error naming `second`.
///
/// # Example
/// ```
/// use accordant_preference::implicit::discriminator::discriminator_pairs;
/// use accordant_preference::pairwise::{PairwiseLoss, bradley_terry::BradleyTerryConfig};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let pairs = discriminator_pairs(Tensor::from_floats([3f32.ln()], &device), Tensor::from_floats([0.0], &device))?;
/// let loss = BradleyTerryConfig::new().init()?.forward(&pairs)?.losses.into_scalar::<f32>();
/// assert!((loss + 0.75f32.ln()).abs() < 1e-6);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "2507.05197")]
#[doc(alias = "POLAR")]
#[doc(alias = "Pre-Trained Policy Discriminators are General Reward Models")]
pub fn discriminator_pairs(same: Tensor<1>, other: Tensor<1>) -> Result<PairScores> {
    PairScores::new(same, other)
}

/// The triples of a ranking, best first: its best as the reference, and every pair of the rest, better first, as
/// `[reference, better, worse]`. None of fewer than three.
///
/// # Example
/// ```
/// use accordant_preference::implicit::discriminator::ranked_triples;
/// assert_eq!(ranked_triples(&['b', 'c', 'a', 'd']), [['b', 'c', 'a'], ['b', 'c', 'd'], ['b', 'a', 'd']]);
/// ```
pub fn ranked_triples<T: Copy>(ranking: &[T]) -> Vec<[T; 3]> {
    let Some((&reference, rest)) = ranking.split_first() else { return Vec::new() };
    let pairs =
        rest.iter().enumerate().flat_map(|(at, &better)| rest[at + 1..].iter().map(move |&worse| (better, worse)));
    pairs.map(|(better, worse)| [reference, better, worse]).collect()
}

/// Cuts a prompt and a response to what fits: the response keeps its first `max_response` tokens (4096 in the paper), the
/// prompt its last that fit into `max_len` together with the response.
///
/// # Example
/// ```
/// use accordant_preference::implicit::discriminator::truncate;
/// assert_eq!(truncate(&[1, 2, 3], &[4, 5, 6], 2, 4), (&[2, 3][..], &[4, 5][..]));
/// ```
pub fn truncate<'a, T>(prompt: &'a [T], response: &'a [T], max_response: usize, max_len: usize) -> (&'a [T], &'a [T]) {
    let response = &response[..response.len().min(max_response).min(max_len)];
    let room = max_len - response.len();
    (&prompt[prompt.len().saturating_sub(room)..], response)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        pairwise::{PairwiseLoss, bradley_terry::BradleyTerryConfig},
        trajectory::testing::{check, close, tensor},
    };

    #[test]
    fn the_own_policys_candidate_is_first() {
        let gradient = check(&[0.0, 3f64.ln()], |x| {
            let pairs = discriminator_pairs(x.clone().narrow(0, 0, 1), x.narrow(0, 1, 1)).unwrap();
            BradleyTerryConfig::new().init().unwrap().forward(&pairs).unwrap().losses
        });
        close(&gradient, &[-0.75, 0.75], 1e-12);
        let error = discriminator_pairs(tensor(&[1.0]), tensor(&[1.0, 2.0])).unwrap_err();
        assert!(error.to_string().starts_with("`second`"));
    }

    #[test]
    fn three_make_one_triple_and_fewer_none() {
        assert_eq!(ranked_triples(&[7, 5, 6]), [[7, 5, 6]]);
        assert!(ranked_triples(&[7, 5]).is_empty() && ranked_triples::<u8>(&[]).is_empty());
    }

    #[test]
    fn responses_keep_their_heads_and_prompts_their_tails() {
        let (prompt, response) = ([1, 2, 3], [4, 5, 6, 7]);
        assert_eq!(truncate(&prompt, &response, 9, 9), (&prompt[..], &response[..]));
        assert_eq!(truncate(&prompt, &response, 9, 5), (&prompt[2..], &response[..]));
        assert_eq!(truncate(&prompt, &response, 1, 3), (&prompt[1..], &response[..1]));
        assert_eq!(truncate(&prompt, &response, 9, 2), (&[][..], &response[..2]));
    }
}
