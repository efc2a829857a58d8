//! Scaled Bradley-Terry: the loss of each pair times how much better its winner is.
//!
//! **Paper:** HelpSteer2-Preference: Complementing Ratings with Preferences (2024), 2410.01257.
//! **Use when:** people said by how much (HelpSteer2's −3 … 3, see [`strength::graded`](super::strength::graded)), and clear
//! pairs are to count more. With margins inside the sigmoid instead, [`super::bradley_terry`] is margin Bradley-Terry.
//! **Checked by:** hand-worked values, Bradley-Terry at strengths of 1, laws.
//! **Deviations:** the released expression multiplies the strengths by the mean loss, which is right for batches of one pair
//! alone. Ours is the product for each pair.

use super::{
    PairScores, PairwiseLoss,
    bradley_terry::{BradleyTerryConfig, bradley_terry_losses},
};
use crate::{Error, Nll, Result};

/// `m_n · softplus(−d_n)`, one per pair, with the pairs' margins as `m`; a share `t` mixes the two outcomes.
///
/// The mean is over all pairs, those of strength 0 too.
///
/// # Errors
/// [`Error::Combination`] without margins.
///
/// # Example
/// ```
/// use accordant_preference::pairwise::{PairScores, scaled::scaled_losses};
/// use burn::tensor::{Device, Tensor};
/// let tensor = |values: [f32; 2]| Tensor::from_floats(values, &Device::flex());
/// let pairs = PairScores::new(tensor([0.0, 3f32.ln()]), tensor([0.0, 0.0]))?.with_margins(tensor([1.0, 3.0]))?;
/// let losses = scaled_losses(&pairs)?.try_to_vec_as::<f32>().unwrap();
/// assert!((losses[0] - 2f32.ln()).abs() < 1e-6 && (losses[1] + 3.0 * 0.75f32.ln()).abs() < 1e-6);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "2410.01257")]
pub fn scaled_losses(pairs: &PairScores) -> Result<burn::tensor::Tensor<1>> {
    let Some(strengths) = pairs.margins() else {
        return Err(Error::Combination { what: "margins", reason: "scaled Bradley-Terry weighs pairs by them" });
    };
    Ok(bradley_terry_losses(&pairs.without_margins(), &BradleyTerryConfig::new())? * strengths)
}

/// Scaled Bradley-Terry; see [`scaled_losses`].
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ScaledBradleyTerry;

impl PairwiseLoss for ScaledBradleyTerry {
    fn forward(&self, pairs: &PairScores) -> Result<Nll> {
        pairs.nll(scaled_losses(pairs)?)
    }
}

#[cfg(test)]
mod tests {
    use accordant_laws::models;
    use burn::tensor::Device;
    use models::Claim::{Antisymmetric, FiniteAtExtremes, LinearInTargets, NotNegative, ShiftInvariant};

    use super::*;
    use crate::pairwise::testing::{close, evaluate, leads, losses, tensor, values};

    fn scaled(differences: &[f64], targets: &[f64], strengths: &[f64]) -> PairScores {
        leads(differences, targets).with_margins(tensor(strengths, &Device::flex())).unwrap()
    }

    #[test]
    fn each_pair_is_scaled_by_its_own_strength_and_not_by_the_mean() {
        let d = 3f64.ln();
        let pairs = scaled(&[d, d, d, d], &[1.0, 0.0, 1.0, 0.5], &[2.0, 3.0, 0.0, 1.0]);
        let (win, loss) = (-(0.75f64.ln()), -(0.25f64.ln()));
        close(&losses(&ScaledBradleyTerry, &pairs), &[2.0 * win, 3.0 * loss, 0.0, (win + loss) / 2.0], 1e-12);
        let nll = ScaledBradleyTerry.forward(&pairs).unwrap();
        let mean = values(nll.reduce(crate::ItemReduction::Mean).unwrap().loss)[0];
        close(&[mean], &[(2.0 * win + 3.0 * loss + (win + loss) / 2.0) / 4.0], 1e-12);
    }

    #[test]
    fn strengths_of_1_are_bradley_terry_and_none_is_an_error() {
        let (d, targets) = ([-30.0, -1.2, 0.7, 25.0], [1.0, 0.3, 0.0, 0.5]);
        let plain = BradleyTerryConfig::new().init().unwrap();
        close(
            &losses(&ScaledBradleyTerry, &scaled(&d, &targets, &[1.0; 4])),
            &losses(&plain, &leads(&d, &targets)),
            1e-15,
        );
        let error = ScaledBradleyTerry.forward(&leads(&d, &targets)).unwrap_err();
        assert!(matches!(error, Error::Combination { what: "margins", .. }));
    }

    #[test]
    fn it_obeys_the_laws() {
        struct Halves;
        impl PairwiseLoss for Halves {
            fn forward(&self, pairs: &PairScores) -> Result<Nll> {
                ScaledBradleyTerry.forward(&pairs.clone().with_margins(pairs.first().ones_like().detach() * 0.5)?)
            }
        }
        let claims = [ShiftInvariant, Antisymmetric, LinearInTargets, NotNegative, FiniteAtExtremes];
        models::pair_loss(&claims, evaluate(&Halves, false)).unwrap();
    }
}
