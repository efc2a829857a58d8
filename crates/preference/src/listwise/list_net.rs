//! ListNet: the distribution over the first place.
//!
//! **Paper:** Learning to Rank: From Pairwise Approach to Listwise Approach (Z. Cao et al., 2007).
//! **Use when:** candidates have relevances or rewards whose differences mean something.
//! **Checked by:** a published figure, hand-worked values, the minimum at the labels, laws.
//! **Deviations:** none; this is the top-one form.

use accordant_ops::{
    check_domain,
    lists::{choice_cross_entropy, choice_logps},
};
use burn::{config::Config, tensor::Tensor};

use super::{ListScores, ListwiseLoss};
use crate::{Nll, Result};

/// ListNet losses, one per list.
///
/// ```text
/// loss = −Σ_i softmax(y / τ)_i log softmax(s)_i
/// ```
///
/// # Shapes
/// The result is `[n]`. `temperature` (τ) > 0, in units of the labels. Least, and the entropy of the target, where
/// `s = y/τ + c`. Equal scores of K candidates lose ln K.
///
/// # Errors
/// [`crate::Error::Empty`] when the lists are not ranked.
///
/// # Example
/// ```
/// use accordant_preference::listwise::{ListScores, list_net::list_net_losses};
/// use burn::tensor::{Device, Tensor};
/// let row = |values: [f32; 2]| Tensor::<2>::from_floats([values], &Device::flex());
/// // A target of (3/4, 1/4), scored equal.
/// let lists = ListScores::new(row([0.0, 0.0])).with_labels(row([3f32.ln(), 0.0]))?;
/// assert!((list_net_losses(&lists, 1.0)?.into_scalar::<f32>() - 2f32.ln()).abs() < 1e-6);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn list_net_losses(lists: &ListScores, temperature: f64) -> Result<Tensor<1>> {
    let labels = lists.labels()? * temperature.recip();
    let targets = choice_logps(labels, lists.present())?.exp();
    Ok(choice_cross_entropy(lists.scores(), targets, lists.present())?)
}

/// Configuration of [`ListNet`].
#[derive(Config, Debug, PartialEq)]
pub struct ListNetConfig {
    /// What labels are divided by, finite and > 0; τ. 1: the paper's.
    #[config(default = 1.0)]
    pub temperature: f64,
}

impl ListNetConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<ListNet> {
        let temperature = self.temperature;
        check_domain(temperature.is_finite() && temperature > 0.0, "temperature", "finite and > 0", temperature)?;
        Ok(ListNet { config: self.clone() })
    }
}

/// The ListNet loss; see [`list_net_losses`]. A list of one candidate does not count.
#[derive(Debug, Clone, PartialEq)]
pub struct ListNet {
    config: ListNetConfig,
}

impl ListwiseLoss for ListNet {
    fn forward(&self, lists: &ListScores) -> Result<Nll> {
        lists.nll(list_net_losses(lists, self.config.temperature)?, plural(lists))
    }
}

/// Lists of at least two candidates.
pub(super) fn plural(lists: &ListScores) -> Tensor<1, burn::tensor::Bool> {
    let scores = lists.scores().detach();
    let present = accordant_ops::lists::ones(lists.present(), scores.dtype());
    present.sum_dim(1).squeeze_dim::<1>(1).greater_scalar(1.5)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        listwise::testing::{list, loss},
        pairwise::testing::{close, values},
    };

    fn method(temperature: f64) -> ListNet {
        ListNetConfig::new().with_temperature(temperature).init().unwrap()
    }

    #[test]
    fn a_published_figure() {
        close(&[loss(&method(1.0), &[0.3, -0.2, 1.0, 0.1], &[2.0, 1.0, 0.0, 0.0])], &[1.56139265], 1e-8);
    }

    #[test]
    fn it_is_least_at_the_labels() {
        let labels = [2.0, -1.0, 0.5];
        let at = |s: &[f64]| loss(&method(2.0), s, &labels);
        let minimum = at(&labels.map(|y| y / 2.0 + 9.0));
        let q: Vec<f64> =
            labels.iter().map(|y| 1.0 / labels.iter().map(|z| ((z - y) / 2.0).exp()).sum::<f64>()).collect();
        close(&[minimum], &[-q.iter().map(|q| q * q.ln()).sum::<f64>()], 1e-14);
        for moved in [[1.1, -0.5, 0.25], [1.0, -0.4, 0.25], [1.0, -0.5, 0.15]] {
            assert!(at(&moved) > minimum + 1e-4);
        }
        close(&[at(&[0.0; 3])], &[3f64.ln()], 1e-14);
    }

    #[test]
    fn a_label_of_minus_infinity_has_no_mass() {
        let none = f64::NEG_INFINITY;
        close(
            &[loss(&method(1.0), &[0.5, 0.0, 0.2], &[1.0, none, none])],
            &[(1.0 + (-0.5f64).exp() + (-0.3f64).exp()).ln()],
            1e-14,
        );
    }

    #[test]
    fn a_list_of_one_does_not_count() {
        assert_eq!(values(method(1.0).forward(&list(&[1.0], &[0.0])).unwrap().weights), [0.0]);
        assert_eq!(values(method(1.0).forward(&list(&[1.0, 0.0], &[0.0, 0.0])).unwrap().weights), [1.0]);
    }

    #[test]
    fn every_field_has_a_domain_and_a_default() {
        assert_eq!(ListNetConfig::new().temperature, 1.0);
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let error = ListNetConfig::new().with_temperature(bad).init().unwrap_err().to_string();
            assert_eq!(error, format!("`temperature`: expected finite and > 0, got {bad}"));
        }
    }
}
