//! Rao-Kupper: Bradley-Terry with ties, by a threshold.
//!
//! **Paper:** Ties in Paired-Comparison Experiments: A Generalization of the Bradley-Terry Model (P. V. Rao and
//! L. L. Kupper, 1967); with a fixed κ in Improving Video Generation with Human Feedback (2025), 2501.13918.
//! **Use when:** judges call ties because they see no difference that is large enough.
//! **Checked by:** hand-worked values, the closed form of two items, laws, [`crate::link::RaoKupper`].
//! **Deviations:** none.

use accordant_ops::{
    check_domain, check_shape,
    stable::{log_sigmoid, softplus},
};
use burn::{
    config::Config,
    module::{Module, Param},
    tensor::{Device, Tensor},
};

use super::{Outcomes, PairScores, PairwiseLoss, PairwiseModel};
use crate::{Error, Nll, Result};

/// Log-probabilities of the outcomes under Rao and Kupper's model.
///
/// ```text
/// P(first) = σ(d − ln κ),   P(second) = σ(−d − ln κ),   P(tie) = (κ² − 1) P(first) P(second),   κ = 1 + e^ρ
/// ```
///
/// # Shapes
/// `leads` (d): `[n]`; `rho` (ρ): `[1]`, or `[n]` with one for each pair (its annotator's, say); the results are `[n]`.
///
/// At ρ = −∞ (κ = 1) this is Bradley-Terry, and a tie has probability 0. At d = 0 the chances are 1/(1 + κ), and
/// (κ − 1)/(κ + 1) of a tie, where that is largest.
///
/// # Errors
/// A shape error naming `rho`.
///
/// # Example
/// ```
/// use accordant_preference::pairwise::rao_kupper::rao_kupper_outcomes;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let outcomes = rao_kupper_outcomes(Tensor::zeros([1], &device), Tensor::from_floats([4f32.ln()], &device))?; // κ = 5
/// assert!((outcomes.first.exp().into_scalar::<f32>() - 1.0 / 6.0).abs() < 1e-6);
/// assert!((outcomes.tie.unwrap().exp().into_scalar::<f32>() - 2.0 / 3.0).abs() < 1e-6);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "BTT")]
#[doc(alias = "2501.13918")]
pub fn rao_kupper_outcomes(leads: Tensor<1>, rho: Tensor<1>) -> Result<Outcomes> {
    let rho = of_each("rho", rho, &leads)?;
    let threshold = softplus(rho.clone());
    let (first, second) = (log_sigmoid(leads.clone() - threshold.clone()), log_sigmoid(-leads - threshold));
    // log(κ² − 1) = ρ + log(2 + e^ρ)
    let more = softplus(rho.clone() - std::f64::consts::LN_2) + std::f64::consts::LN_2;
    let tie = rho + more + first.clone() + second.clone();
    Ok(Outcomes { first, tie: Some(tie), second })
}

/// A parameter of `[1]` or `[n]` for each of `n` pairs, in their dtype.
pub(super) fn of_each(name: &'static str, parameter: Tensor<1>, leads: &Tensor<1>) -> Result<Tensor<1>> {
    let [n] = leads.dims();
    let parameter = parameter.cast(leads.dtype());
    if parameter.dims() == [1] {
        return Ok(parameter.repeat_dim(0, n));
    }
    check_shape(name, &[n], &parameter.dims())?;
    Ok(parameter)
}

/// Refuses ties when `chance` says that the model gives them none; only then is the device read.
pub(super) fn refuse_ties(pairs: &PairScores, impossible: bool, model: &'static str) -> Result<()> {
    let Some(ties) = pairs.ties().filter(|_| impossible) else { return Ok(()) };
    let ties = ties.try_to_vec_as::<bool>().expect("the device returns what it was given");
    let count = ties.into_iter().filter(|tie| *tie).count();
    if count > 0 { Err(Error::Ties { model, count }) } else { Ok(()) }
}

/// Configuration of [`RaoKupper`].
#[derive(Config, Debug, PartialEq)]
pub struct RaoKupperConfig {
    /// The ratio of strengths below which a tie is likelier than a win by much, finite and ≥ 1; κ. 5: VideoReward's.
    #[config(default = 5.0)]
    pub kappa: f64,
    /// Whether κ is learned, from that start on (which is then > 1). Off: VideoReward's.
    #[config(default = false)]
    pub learned: bool,
}

impl RaoKupperConfig {
    /// Checks the fields; the parameter lives on `device`.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self, device: &Device) -> Result<RaoKupper> {
        let Self { kappa, learned } = *self;
        check_domain(kappa.is_finite() && kappa >= 1.0, "kappa", "finite and >= 1", kappa)?;
        check_domain(!learned || kappa > 1.0, "kappa", "> 1 where it is learned", kappa)?;
        let rho = Tensor::from_floats([(kappa - 1.0).ln() as f32], device);
        Ok(RaoKupper { rho: Param::from_tensor(rho), learned, has_ties: kappa > 1.0 })
    }
}

/// The Rao-Kupper model; see [`rao_kupper_outcomes`].
#[derive(Module, Debug)]
pub struct RaoKupper {
    rho: Param<Tensor<1>>,
    #[module(skip)]
    learned: bool,
    #[module(skip)]
    has_ties: bool,
}

impl RaoKupper {
    /// κ as it is now.
    pub fn kappa(&self) -> f64 {
        1.0 + self.rho.val().into_scalar::<f64>().exp()
    }
}

impl PairwiseLoss for RaoKupper {
    /// # Errors
    /// [`Error::Ties`] when κ is fixed to 1 and there are ties.
    fn forward(&self, pairs: &PairScores) -> Result<Nll> {
        refuse_ties(pairs, !self.has_ties, "rao_kupper")?;
        let outcomes = self.outcomes(pairs)?;
        tie_metrics(pairs.nll(outcomes.losses(pairs))?, &outcomes)
    }
}

impl PairwiseModel for RaoKupper {
    fn outcomes(&self, pairs: &PairScores) -> Result<Outcomes> {
        let rho = self.rho.val();
        rao_kupper_outcomes(pairs.leads(), if self.learned { rho } else { rho.detach() })
    }
}

/// Adds the predicted share of ties, beside the observed one that all losses log.
pub(super) fn tie_metrics(nll: Nll, outcomes: &Outcomes) -> Result<Nll> {
    match &outcomes.tie {
        Some(tie) => nll.with_metric("predicted_ties", tie.clone().detach().exp()),
        None => Ok(nll),
    }
}

#[cfg(test)]
mod tests {
    use accordant_laws::gradient::{central, check_gradient};

    use super::*;
    use crate::{
        link::{self, Link},
        pairwise::{
            bradley_terry::BradleyTerryConfig,
            testing::{bools, close, leads, losses, tensor, values},
        },
    };

    fn model(kappa: f64) -> RaoKupper {
        RaoKupperConfig::new().with_kappa(kappa).init(&Device::flex()).unwrap()
    }

    /// Log-probabilities in f64: `[first, tie, second]`.
    fn logs(d: f64, rho: f64) -> [f64; 3] {
        let device = Device::flex();
        let out = rao_kupper_outcomes(tensor(&[d], &device), tensor(&[rho], &device)).unwrap();
        [out.first, out.tie.unwrap(), out.second].map(|log| values(log)[0])
    }

    #[test]
    fn kappa_five_by_hand() {
        // Scores ln 2 apart: 2/(2 + 5), 1/(10 + 1), and 24 of their product.
        let [first, tie, second] = logs(2f64.ln(), 4f64.ln()).map(f64::exp);
        close(&[first, tie, second], &[2.0 / 7.0, 24.0 * 2.0 / 77.0, 1.0 / 11.0], 1e-14);
        close(&logs(0.0, 4f64.ln()).map(f64::exp), &[1.0 / 6.0, 2.0 / 3.0, 1.0 / 6.0], 1e-15);
        assert!(logs(0.1, 1.0)[1] < logs(0.0, 1.0)[1] && logs(-0.1, 1.0)[1] < logs(0.0, 1.0)[1], "most ties at 0");
        let device = Device::flex().autodiff();
        assert!((RaoKupperConfig::new().init(&device).unwrap().kappa() - 5.0).abs() < 1e-6);
    }

    #[test]
    fn two_items_have_a_closed_form() {
        // 6 wins, 2 losses and 4 ties: κ = √5, d = 0.80471896; there the gradient of the whole likelihood is 0.
        let (n, won, lost) = (12.0, 6.0, 2.0);
        let kappa = ((n / won - 1.0) * (n / lost - 1.0f64)).sqrt();
        let d = 0.5 * ((n / lost - 1.0f64) / (n / won - 1.0)).ln();
        close(&[kappa, d], &[2.23606798, 0.80471896], 1e-8);
        let total = |d: f64, rho: f64| {
            let [first, tie, second] = logs(d, rho);
            won * first + 4.0 * tie + lost * second
        };
        let rho = (kappa - 1.0).ln();
        let slopes = [central(|d| total(d, rho), d, 1e-4), central(|rho| total(d, rho), rho, 1e-4)];
        close(&slopes, &[0.0, 0.0], 1e-7);
    }

    #[test]
    fn the_tensor_face_is_the_link_of_the_tables() {
        for d in [-12.0, -0.4, 0.0, 1.7, 30.0] {
            for rho in [-20.0, -1.0, 0.0, 2.0, 40.0] {
                let link = link::RaoKupper;
                let host = [link.first(d, rho), link.tie(d, rho), link.second(d, rho)].map(|log| log.value);
                close(&logs(d, rho), &host, 1e-12);
            }
        }
    }

    #[test]
    fn without_ties_it_is_bradley_terry_and_ties_are_refused() {
        let pairs = leads(&[1.3, -0.2], &[1.0, 0.3]);
        let plain = losses(&BradleyTerryConfig::new().init().unwrap(), &pairs);
        close(&losses(&model(1.0), &pairs), &plain, 1e-14);
        let tied = pairs.clone().with_ties(bools(&[false, true])).unwrap();
        let error = model(1.0).forward(&tied).unwrap_err();
        assert!(matches!(error, Error::Ties { model: "rao_kupper", count: 1 }), "{error}");
        model(1.0).forward(&pairs.with_ties(bools(&[false, false])).unwrap()).unwrap();
        model(1.1).forward(&tied).unwrap();
    }

    #[test]
    fn a_tie_loses_its_log_probability_and_both_shares_are_logged() {
        let pairs = leads(&[0.0, 0.0], &[1.0, 1.0]).with_ties(bools(&[true, false])).unwrap();
        let nll = model(5.0).forward(&pairs).unwrap();
        close(&values(nll.losses.clone()), &[1.5f64.ln(), 6f64.ln()], 1e-7);
        let means = nll.means();
        assert!((means.mean("predicted_ties").unwrap() - 2.0 / 3.0).abs() < 1e-7);
        assert_eq!(means.mean("ties"), Some(0.5));
    }

    #[test]
    fn gradients_by_the_tie_parameter_are_derivatives() {
        let device = Device::flex().autodiff();
        let run = |x: &[f64]| {
            let rho = tensor(x, &device).require_grad();
            let out = rao_kupper_outcomes(tensor(&[0.3, -2.0], &device), rho.clone()).unwrap();
            ((out.first + out.tie.unwrap() * 2.0 - out.second * 0.5).sum(), rho)
        };
        for at in [vec![0.4], vec![-1.0, 1.3]] {
            let (sum, rho) = run(&at);
            let gradient = values(rho.grad(&sum.backward()).unwrap());
            check_gradient(|x| values(run(x).0)[0], &at, &gradient).unwrap();
        }
    }

    #[test]
    fn kappa_moves_only_where_it_is_learned() {
        let device = Device::flex().autodiff();
        for learned in [true, false] {
            let model = RaoKupperConfig::new().with_learned(learned).init(&device).unwrap();
            let score = tensor(&[0.2], &device).require_grad();
            let pairs = PairScores::new(score.clone(), tensor(&[0.0], &device)).unwrap();
            let grads = model.forward(&pairs).unwrap().losses.sum().backward();
            assert_eq!(model.rho.val().grad(&grads).is_some(), learned);
            assert!(score.grad(&grads).is_some());
        }
    }

    #[test]
    fn every_field_has_a_domain_and_a_default() {
        assert_eq!(RaoKupperConfig::new(), RaoKupperConfig { kappa: 5.0, learned: false });
        let text = |config: RaoKupperConfig| config.init(&Device::flex()).unwrap_err().to_string();
        for kappa in [0.9, f64::NAN, f64::INFINITY] {
            assert!(text(RaoKupperConfig::new().with_kappa(kappa)).starts_with("`kappa`: expected finite and >= 1"));
        }
        assert!(text(RaoKupperConfig::new().with_kappa(1.0).with_learned(true)).starts_with("`kappa`: expected > 1"));
        let device = Device::flex();
        let error = rao_kupper_outcomes(tensor(&[0.0; 3], &device), tensor(&[0.0; 2], &device)).unwrap_err();
        assert_eq!(error.to_string(), "`rho`: expected shape [3], got [2]");
    }
}
