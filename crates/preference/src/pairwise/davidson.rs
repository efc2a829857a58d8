//! Davidson: Bradley-Terry with ties, as a third choice.
//!
//! **Paper:** On Extending the Bradley-Terry Model to Accommodate Ties in Paired Comparison Experiments (R. R. Davidson,
//! 1970).
//! **Use when:** ties are called as an outcome of their own; it can rank items differently from
//! [`rao_kupper`](super::rao_kupper) on the same data.
//! **Checked by:** hand-worked values, the closed form of two items, laws, [`crate::link::Davidson`].
//! **Deviations:** none.

use accordant_ops::{check_domain, lists::choice_logps};
use burn::{
    config::Config,
    module::{Module, Param},
    tensor::{Bool, Device, Tensor},
};

use super::{
    Outcomes, PairScores, PairwiseLoss, PairwiseModel,
    rao_kupper::{of_each, refuse_ties, tie_metrics},
};
use crate::{Nll, Result};

/// Log-probabilities of the outcomes under Davidson's model.
///
/// ```text
/// P(first) : P(tie) : P(second) = e^{d/2} : ν : e^{−d/2},   ν = e^ρ
/// ```
///
/// # Shapes
/// `leads` (d): `[n]`; `rho` (ρ): `[1]`, or `[n]` with one for each pair; the results are `[n]`.
///
/// For every d, `P(tie)² / (P(first) P(second)) = ν²`; at d = 0 the chance of a tie is ν/(2 + ν). At ρ = −∞ (ν = 0) this is
/// Bradley-Terry, and a tie has probability 0.
///
/// # Errors
/// A shape error naming `rho`.
///
/// # Example
/// ```
/// use accordant_preference::pairwise::davidson::davidson_outcomes;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// // e^{d/2} = 2 and ν = 3/2: the weights are 2, 3/2 and 1/2.
/// let leads = Tensor::from_floats([2.0 * 2f32.ln()], &device);
/// let outcomes = davidson_outcomes(leads, Tensor::from_floats([1.5f32.ln()], &device))?;
/// assert!((outcomes.first.exp().into_scalar::<f32>() - 0.5).abs() < 1e-6);
/// assert!((outcomes.tie.unwrap().exp().into_scalar::<f32>() - 0.375).abs() < 1e-6);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn davidson_outcomes(leads: Tensor<1>, rho: Tensor<1>) -> Result<Outcomes> {
    let rho = of_each("rho", rho, &leads)?;
    let half = leads * 0.5;
    let logits = Tensor::stack::<2>(vec![half.clone(), rho, -half], 1);
    let all = Tensor::<2, Bool>::full(logits.dims(), true, &logits.device());
    let logs = choice_logps(logits, all)?;
    let column = |place| logs.clone().narrow(1, place, 1).squeeze_dim::<1>(1);
    Ok(Outcomes { first: column(0), tie: Some(column(1)), second: column(2) })
}

/// Configuration of [`Davidson`].
#[derive(Config, Debug, PartialEq)]
pub struct DavidsonConfig {
    /// How likely ties are, finite and ≥ 0; ν. 1: ours, a tie between equals is as likely as a win of either.
    #[config(default = 1.0)]
    pub nu: f64,
    /// Whether ν is learned, from that start on (which is then > 0). On: the paper's.
    #[config(default = true)]
    pub learned: bool,
}

impl DavidsonConfig {
    /// Checks the fields; the parameter lives on `device`.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self, device: &Device) -> Result<Davidson> {
        let Self { nu, learned } = *self;
        check_domain(nu.is_finite() && nu >= 0.0, "nu", "finite and >= 0", nu)?;
        check_domain(!learned || nu > 0.0, "nu", "> 0 where it is learned", nu)?;
        let rho = Tensor::from_floats([nu.ln() as f32], device);
        Ok(Davidson { rho: Param::from_tensor(rho), learned, has_ties: nu > 0.0 })
    }
}

/// The Davidson model; see [`davidson_outcomes`].
#[derive(Module, Debug)]
pub struct Davidson {
    rho: Param<Tensor<1>>,
    #[module(skip)]
    learned: bool,
    #[module(skip)]
    has_ties: bool,
}

impl Davidson {
    /// ν as it is now.
    pub fn nu(&self) -> f64 {
        self.rho.val().into_scalar::<f64>().exp()
    }
}

impl PairwiseLoss for Davidson {
    /// # Errors
    /// [`crate::Error::Ties`] when ν is fixed to 0 and there are ties.
    fn forward(&self, pairs: &PairScores) -> Result<Nll> {
        refuse_ties(pairs, !self.has_ties, "davidson")?;
        let outcomes = self.outcomes(pairs)?;
        tie_metrics(pairs.nll(outcomes.losses(pairs))?, &outcomes)
    }
}

impl PairwiseModel for Davidson {
    fn outcomes(&self, pairs: &PairScores) -> Result<Outcomes> {
        let rho = self.rho.val();
        davidson_outcomes(pairs.leads(), if self.learned { rho } else { rho.detach() })
    }
}

#[cfg(test)]
mod tests {
    use accordant_laws::gradient::{central, check_gradient};

    use super::*;
    use crate::{
        Error,
        link::{self, Link},
        pairwise::{
            bradley_terry::BradleyTerryConfig,
            testing::{bools, close, leads, losses, tensor, values},
        },
    };

    fn model(nu: f64) -> Davidson {
        DavidsonConfig::new().with_nu(nu).with_learned(false).init(&Device::flex()).unwrap()
    }

    fn logs(d: f64, rho: f64) -> [f64; 3] {
        let device = Device::flex();
        let out = davidson_outcomes(tensor(&[d], &device), tensor(&[rho], &device)).unwrap();
        [out.first, out.tie.unwrap(), out.second].map(|log| values(log)[0])
    }

    #[test]
    fn weights_by_hand() {
        // Weights 2, 3/2 and 1/2 of 4.
        close(&logs(2.0 * 2f64.ln(), 1.5f64.ln()).map(f64::exp), &[0.5, 0.375, 0.125], 1e-15);
        // At d = 0: ν / (2 + ν).
        close(&logs(0.0, 3f64.ln())[1..2], &[0.6f64.ln()], 1e-15);
        for d in [-3.0, 0.0, 1.7] {
            let [first, tie, second] = logs(d, 0.7);
            close(&[2.0 * tie - first - second], &[1.4], 1e-14);
        }
        assert!((DavidsonConfig::new().with_nu(2.5).init(&Device::flex()).unwrap().nu() - 2.5).abs() < 1e-6);
    }

    #[test]
    fn two_items_have_a_closed_form() {
        // 6 wins, 2 losses and 4 ties: d = ln 3, ν = 4/√12; there the gradient of the whole likelihood is 0.
        let (d, nu) = (3f64.ln(), 4.0 / 12f64.sqrt());
        close(&[d, nu], &[1.09861229, 1.15470054], 1e-8);
        let total = |d: f64, rho: f64| {
            let [first, tie, second] = logs(d, rho);
            6.0 * first + 4.0 * tie + 2.0 * second
        };
        let rho = nu.ln();
        let slopes = [central(|d| total(d, rho), d, 1e-4), central(|rho| total(d, rho), rho, 1e-4)];
        close(&slopes, &[0.0, 0.0], 1e-7);
    }

    #[test]
    fn the_tensor_face_is_the_link_of_the_tables() {
        for d in [-12.0, -0.4, 0.0, 1.7, 30.0] {
            for rho in [-20.0, -1.0, 0.0, 2.0, 40.0] {
                let link = link::Davidson;
                let host = [link.first(d, rho), link.tie(d, rho), link.second(d, rho)].map(|log| log.value);
                close(&logs(d, rho), &host, 1e-12);
            }
        }
    }

    #[test]
    fn without_ties_it_is_bradley_terry_and_ties_are_refused() {
        let pairs = leads(&[1.3, -0.2], &[1.0, 0.3]);
        let plain = losses(&BradleyTerryConfig::new().init().unwrap(), &pairs);
        close(&losses(&model(0.0), &pairs), &plain, 1e-14);
        let tied = pairs.clone().with_ties(bools(&[true, true])).unwrap();
        let error = model(0.0).forward(&tied).unwrap_err();
        assert!(matches!(error, Error::Ties { model: "davidson", count: 2 }), "{error}");
        model(0.1).forward(&tied).unwrap();
    }

    #[test]
    fn gradients_by_the_tie_parameter_are_derivatives() {
        let device = Device::flex().autodiff();
        let run = |x: &[f64]| {
            let rho = tensor(x, &device).require_grad();
            let out = davidson_outcomes(tensor(&[0.3, -2.0], &device), rho.clone()).unwrap();
            ((out.first + out.tie.unwrap() * 2.0 - out.second * 0.5).sum(), rho)
        };
        for at in [vec![0.4], vec![-1.0, 1.3]] {
            let (sum, rho) = run(&at);
            let gradient = values(rho.grad(&sum.backward()).unwrap());
            check_gradient(|x| values(run(x).0)[0], &at, &gradient).unwrap();
        }
    }

    #[test]
    fn nu_moves_only_where_it_is_learned() {
        let device = Device::flex().autodiff();
        for learned in [true, false] {
            let model = DavidsonConfig::new().with_learned(learned).init(&device).unwrap();
            let score = tensor(&[0.2], &device).require_grad();
            let pairs = PairScores::new(score.clone(), tensor(&[0.0], &device)).unwrap();
            let grads = model.forward(&pairs).unwrap().losses.sum().backward();
            assert_eq!(model.rho.val().grad(&grads).is_some(), learned);
            assert!(score.grad(&grads).is_some());
        }
    }

    #[test]
    fn the_predicted_share_of_ties_is_logged() {
        let model = model(1.5);
        let means = model.forward(&leads(&[0.0], &[1.0])).unwrap().means();
        assert!((means.mean("predicted_ties").unwrap() - 1.5 / 3.5).abs() < 1e-7);
    }

    #[test]
    fn every_field_has_a_domain_and_a_default() {
        assert_eq!(DavidsonConfig::new(), DavidsonConfig { nu: 1.0, learned: true });
        let text = |config: DavidsonConfig| config.init(&Device::flex()).unwrap_err().to_string();
        for nu in [-0.1, f64::NAN, f64::INFINITY] {
            assert!(text(DavidsonConfig::new().with_nu(nu)).starts_with("`nu`: expected finite and >= 0"));
        }
        assert!(text(DavidsonConfig::new().with_nu(0.0)).starts_with("`nu`: expected > 0"));
        let device = Device::flex();
        let error = davidson_outcomes(tensor(&[0.0; 3], &device), tensor(&[0.0; 2], &device)).unwrap_err();
        assert_eq!(error.to_string(), "`rho`: expected shape [3], got [2]");
    }
}
