//! Preference optimization as probabilistic inference (PMPO).
//!
//! **Paper:** Preference Optimization as Probabilistic Inference (2024), 2410.04166.
//! **Use when:** there is feedback of one kind only, or much more of one than of the other.
//! **Checked by:** values and gradients by hand, finite differences, the laws, supervised fine-tuning at
//! `alpha = 1, beta = 0`.
//! **Deviations:** `min_logp`, off by default, is ours: likelihoods of undesirable tokens stop falling there. Where no
//! exact divergence is given, it is estimated on the responses ([`PmpoKl::Estimated`]).

use accordant_ops::{
    TokenLogps, check_domain, check_shape,
    stable::{LOG_RATIO_CLAMP, cap_exponent, expm1_minus_x},
};
use burn::{
    config::Config,
    tensor::{Bool, DType, FloatDType, Tensor},
};

use super::{Method, SingleBatch, SingleOutput, UnpairedObjective};
use crate::Result;

/// Where the divergence KL(reference ‖ policy) comes from.
#[derive(Config, Debug, Copy, PartialEq)]
pub enum PmpoKl {
    /// Given by the batch, exact over the vocabulary: [`SingleBatch::with_reference_kl`].
    Exact,
    /// Estimated from the log-probabilities of the responses' tokens: [`reference_kl_estimates`].
    Estimated,
}

/// An estimate of each response's divergence KL(reference ‖ policy), summed over its scored tokens.
///
/// ```text
/// Σ_t (e^{d_t} − 1 − d_t),   d_t = log π(y_t) − log π_ref(y_t)
/// ```
///
/// Unbiased, value and gradient, for responses sampled from the reference; never negative, 0 where both agree. From
/// `d_t = 20` on it is constant and without gradient, where f32 would soon overflow.
///
/// # Shapes
/// Both `[n, seq]`, to `[n]`; the reference is a constant, and `policy.mask` says which tokens count.
///
/// # Errors
/// A shape error naming `reference`.
///
/// # Example
/// ```
/// use accordant_objectives::TokenLogps;
/// use accordant_objectives::unpaired::pmpo::reference_kl_estimates;
/// use burn::tensor::{Device, Tensor, TensorData};
/// let device = Device::flex();
/// let mask = || Tensor::from_bool(TensorData::from([[true, true]]), &device);
/// let policy = TokenLogps::new(Tensor::from_floats([[0.0, -1.0]], &device), mask())?;
/// let reference = TokenLogps::new(Tensor::from_floats([[-(2f32.ln()), -1.0]], &device), mask())?;
/// // 2 − 1 − ln 2 for the first token, 0 for the second.
/// let kl = reference_kl_estimates(&policy, &reference)?.into_scalar::<f32>();
/// assert!((kl - (1.0 - 2f32.ln())).abs() < 1e-6);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
pub fn reference_kl_estimates(policy: &TokenLogps, reference: &TokenLogps) -> Result<Tensor<1>> {
    check_shape("reference", &policy.logps.dims(), &reference.logps.dims())?;
    let dropped = policy.mask.clone().bool_not();
    let dtype = if policy.logps.dtype() == DType::F64 { FloatDType::F64 } else { FloatDType::F32 };
    // Before the exponent: what stands behind the mask may be anything.
    let kept = |logps: &Tensor<2>| logps.clone().cast(dtype).mask_fill(dropped.clone(), 0.0);
    let log_ratios = kept(&policy.logps) - kept(&reference.logps).detach();
    let terms = expm1_minus_x(cap_exponent(log_ratios, Some(LOG_RATIO_CLAMP))?);
    Ok(TokenLogps::new(terms, policy.mask.clone())?.sequence().sum)
}

/// PMPO losses without their divergence, one per response.
///
/// ```text
/// −α mean_accepted log π(y|x) + (1 − α) mean_rejected log π(y|x)
/// ```
///
/// Each response has its part of the mean of its kind; means are weighted. With a probability `p` that its label is right,
/// a response counts `p` in the mean of its kind and `1 − p` in the other. A kind that the batch does not have adds 0, and
/// the other keeps its factor.
///
/// # Shapes
/// `logps`: summed log-probabilities as desirable responses, `floored` as undesirable ones (the same, or
/// [`floored_logps`]); all `[n]`.
///
/// `alpha` in `[0, 1]`. Linear, so not bounded below for `alpha < 1`: it takes a divergence or a floor.
///
/// # Errors
/// A shape or dtype error naming the argument.
#[doc(alias = "2410.04166")]
#[doc(alias = "Preference Optimization as Probabilistic Inference")]
pub fn pmpo_loss(batch: &SingleBatch, logps: Tensor<1>, floored: Tensor<1>, alpha: f64) -> Result<Tensor<1>> {
    batch.check_values("logps", &logps)?;
    batch.check_values("floored", &floored)?;
    let shares = batch.class_shares();
    Ok(shares.undesirable * floored * (1.0 - alpha) - shares.desirable * logps * alpha)
}

/// Summed log-probabilities in which a token's is at least `min_logp`, and without gradient where it would be less; `[n]`.
pub fn floored_logps(policy: &TokenLogps, min_logp: f64) -> Tensor<1> {
    let logps = policy.logps.clone().mask_fill(below(policy, min_logp), min_logp);
    TokenLogps { logps, mask: policy.mask.clone() }.sequence().sum
}

/// The scored tokens that a floor holds up.
fn below(policy: &TokenLogps, min_logp: f64) -> Tensor<2, Bool> {
    policy.logps.clone().lower_scalar(min_logp).bool_and(policy.mask.clone())
}

/// Configuration of [`Pmpo`].
#[derive(Config, Debug, PartialEq)]
pub struct PmpoConfig {
    /// Weight of desirable responses, in `[0, 1]`; undesirable ones have `1 − alpha`. 0.5: both count the same.
    #[config(default = 0.5)]
    pub alpha: f64,
    /// Weight of the divergence from the reference, a mean over tokens, finite and ≥ 0; > 0 where `alpha` is 0, since
    /// nothing else holds the policy then. 0.5: ours. Too small a weight lets the likelihood of undesirable
    /// responses fall without end.
    #[config(default = 0.5)]
    pub beta: f64,
    /// Where the divergence comes from. `Estimated`: it takes nothing but the responses.
    #[config(default = "PmpoKl::Estimated")]
    pub kl: PmpoKl,
    /// Undesirable tokens less likely than this, in nats, finite and < 0, are not pushed further down. None: the paper's;
    /// −20 is a cautious floor.
    pub min_logp: Option<f64>,
}

impl PmpoConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<Pmpo> {
        check_domain((0.0..=1.0).contains(&self.alpha), "alpha", "in [0, 1]", self.alpha)?;
        check_domain(self.beta.is_finite() && self.beta >= 0.0, "beta", "finite and >= 0", self.beta)?;
        let held = self.alpha > 0.0 || self.beta > 0.0;
        check_domain(held, "beta", "> 0 where `alpha` is 0", self.beta)?;
        if let Some(min_logp) = self.min_logp {
            check_domain(min_logp.is_finite() && min_logp < 0.0, "min_logp", "finite and < 0", min_logp)?;
        }
        Ok(Pmpo { config: self.clone() })
    }
}

/// The PMPO objective: [`pmpo_loss`] plus `beta` times the mean divergence of all scored tokens, of which each response
/// has its part.
///
/// Rewards are `beta` times the log-ratio, or times the log-probability where there is no reference. Logs `kl` per token
/// and, with a floor, `frac_floored`, the share of undesirable tokens that it holds up.
#[derive(Debug, Clone, PartialEq)]
pub struct Pmpo {
    config: PmpoConfig,
}

/// `pmpo` by name.
pub const METHOD: Method = Method {
    name: "pmpo",
    title: "Preference optimization as probabilistic inference",
    build: |options| Ok(Box::new(options.apply("pmpo", PmpoConfig::new())?.init()?)),
};

impl Pmpo {
    fn estimates(&self) -> bool {
        self.config.beta > 0.0 && self.config.kl == PmpoKl::Estimated
    }
}

impl UnpairedObjective for Pmpo {
    fn needs_reference(&self) -> bool {
        self.estimates()
    }

    fn needs_tokens(&self) -> bool {
        self.estimates() || self.config.min_logp.is_some()
    }

    fn needs_reference_kl(&self) -> bool {
        self.config.beta > 0.0 && self.config.kl == PmpoKl::Exact
    }

    fn uses_batch_statistics(&self) -> bool {
        true
    }

    fn forward(&self, batch: &SingleBatch) -> Result<SingleOutput> {
        let PmpoConfig { alpha, beta, kl, min_logp } = self.config;
        let logps = batch.policy().sum.clone();
        let floored = match min_logp {
            Some(min_logp) => floored_logps(batch.tokens("pmpo")?, min_logp),
            None => logps.clone(),
        };
        let mut losses = pmpo_loss(batch, logps, floored, alpha)?;
        let counts = batch.policy().count.clone().detach();
        let mut divergence = None;
        if beta > 0.0 {
            let kl = match kl {
                PmpoKl::Exact => batch.reference_kl("pmpo")?,
                PmpoKl::Estimated => reference_kl_estimates(batch.tokens("pmpo")?, &batch.reference_tokens("pmpo")?)?,
            };
            losses = losses + kl.clone() * batch.per_mean_token() * beta;
            divergence = Some(kl / counts.clone().clamp_min(1.0));
        }
        let mut output = SingleOutput::new(losses, batch, beta);
        if let Some(kl) = divergence {
            output = output.with_weighted_metric("kl", kl, counts.clone())?;
        }
        if let Some(min_logp) = min_logp {
            let tokens = batch.tokens("pmpo")?;
            let low = TokenLogps { logps: tokens.logps.clone(), mask: below(tokens, min_logp) }.sequence().count;
            let undesirable = counts.clone().mask_fill(batch.desirable().clone(), 0.0);
            output = output.with_weighted_metric("frac_floored", low / counts.clamp_min(1.0), undesirable)?;
        }
        Ok(output)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device, TensorData};

    use super::*;
    use crate::unpaired::tests::{column, grad_of_mean, labels, spec_batch, tensor, token_batch, tokens};

    accordant_laws::unpaired_laws!(
        pmpo_obeys_the_laws,
        "pmpo",
        PmpoConfig::new().init().unwrap(),
        [],
        [BatchStatistics],
    );
    accordant_laws::unpaired_laws!(
        pmpo_without_a_divergence_obeys_the_laws,
        "pmpo without a divergence",
        PmpoConfig::new().with_beta(0.0).init().unwrap(),
        ["label_probs" => Unit],
        [BatchStatistics, ReferenceFree],
    );

    fn pmpo(config: PmpoConfig) -> Pmpo {
        config.init().expect("valid in this test")
    }

    /// Two desirable responses of L = −3 and −1, an undesirable one of L = −26, of 2, 1 and 2 tokens.
    fn three() -> SingleBatch {
        let policy = tokens(&[[-1.0, -2.0], [-1.0, f64::NAN], [-1.0, -25.0]], &[2, 1, 2]);
        let reference = tokens(&[[-1.0, -2.0], [-1.5, f64::NAN], [-1.0, -24.0]], &[2, 1, 2]);
        let batch = SingleBatch::from_tokens(policy, labels(&[true, true, false])).unwrap();
        batch.with_reference_tokens(reference).unwrap()
    }

    fn loss(config: PmpoConfig, batch: &SingleBatch) -> f64 {
        column(&pmpo(config).forward(batch).unwrap().reduce().unwrap().loss)[0]
    }

    #[test]
    fn values_by_hand() {
        // −0.75 · mean(−3, −1) + 0.25 · (−26)
        let linear = 1.5 - 6.5;
        let config = || PmpoConfig::new().with_alpha(0.75);
        assert!((loss(config().with_beta(0.0), &three()) - linear).abs() < 1e-14);
        // d = 0, 0; 0.5; 0, −1 over five tokens.
        let kl = [0.0, 0.5f64.exp() - 1.5, (-1f64).exp()];
        let expected = linear + 0.4 * kl.iter().sum::<f64>() / 5.0;
        let output = pmpo(config().with_beta(0.4)).forward(&three()).unwrap();
        assert!((column(&output.reduce().unwrap().loss)[0] - expected).abs() < 1e-14);
        assert!((output.means().mean("kl").unwrap() - kl.iter().sum::<f64>() / 5.0).abs() < 1e-15);
        assert_eq!(column(&output.rewards), [0.0, 0.2, -0.4]);
        let exact = three().with_reference_kl(tensor(&[1.0, 2.0, 4.5])).unwrap();
        let found = loss(config().with_kl(PmpoKl::Exact), &exact);
        assert!((found - (linear + 0.5 * 7.5 / 5.0)).abs() < 1e-14, "{found}");
    }

    #[test]
    fn weights_count_in_the_means_of_each_kind_and_of_the_tokens() {
        let batch = three().with_weights(tensor(&[3.0, 1.0, 2.0])).unwrap();
        let linear = 0.5 * (3.0 * 3.0 + 1.0) / 4.0 - 0.5 * 26.0;
        let kl = (0.5f64.exp() - 1.5 + 2.0 * (-1f64).exp()) / (3.0 * 2.0 + 1.0 + 2.0 * 2.0);
        assert!((loss(PmpoConfig::new(), &batch) - (linear + 0.5 * kl)).abs() < 1e-14);
    }

    #[test]
    fn at_alpha_one_and_beta_zero_it_is_supervised_fine_tuning() {
        let objective = pmpo(PmpoConfig::new().with_alpha(1.0).with_beta(0.0));
        assert!(!objective.needs_reference() && !objective.needs_tokens() && !objective.needs_reference_kl());
        assert_eq!(grad_of_mean(&spec_batch(), &objective), [-1.0, 0.0]);
        let output = objective.forward(&spec_batch()).unwrap();
        assert_eq!(column(&output.reduce().unwrap().loss), [12.0]);
        assert!(output.metric("kl").is_none());
    }

    #[test]
    fn one_kind_alone_keeps_its_weight() {
        let all = |kind: bool| SingleBatch::new(spec_batch().policy().clone(), labels(&[kind; 2])).unwrap();
        let config = || PmpoConfig::new().with_alpha(0.75).with_beta(0.0);
        assert!((loss(config(), &all(true)) - 0.75 * 13.5).abs() < 1e-14);
        assert!((loss(config(), &all(false)) + 0.25 * 13.5).abs() < 1e-14);
    }

    #[test]
    fn doubtful_labels_count_in_both_means() {
        let batch = spec_batch().with_label_probs(tensor(&[0.75, 1.0])).unwrap();
        let expected = 0.5 * 12.0 - 0.5 * (0.25 * 12.0 + 15.0) / 1.25;
        assert!((loss(PmpoConfig::new().with_beta(0.0), &batch) - expected).abs() < 1e-14);
    }

    #[test]
    fn a_floor_holds_undesirable_tokens_up_and_no_others() {
        let config = || PmpoConfig::new().with_beta(0.0).with_min_logp(Some(-20.0));
        // −0.5 · mean(−3, −1) + 0.5 · (−1 − 20)
        let output = pmpo(config()).forward(&three()).unwrap();
        assert!((column(&output.reduce().unwrap().loss)[0] - (1.0 - 10.5)).abs() < 1e-14);
        assert_eq!(output.means().mean("frac_floored"), Some(0.5));
        // As desirable responses they are not held up.
        let desirable = SingleBatch { desirable: labels(&[true; 3]), ..three() };
        let output = pmpo(config()).forward(&desirable).unwrap();
        assert!((column(&output.reduce().unwrap().loss)[0] - 5.0).abs() < 1e-14);
        assert_eq!(output.means().mean("frac_floored"), None);
        let device = Device::flex().autodiff();
        let leaf = Tensor::<2>::from_data([[-1.0, -25.0], [-20.0, f64::NAN]], (&device, DType::F64)).require_grad();
        let mask = Tensor::from_bool(TensorData::from([[true, true], [true, false]]), &device);
        let floored = floored_logps(&TokenLogps::new(leaf.clone(), mask).unwrap(), -20.0);
        assert_eq!(column(&floored), [-21.0, -20.0]);
        let grad = leaf.grad(&floored.sum().backward()).unwrap().try_to_vec_as::<f64>().unwrap();
        assert_eq!(grad, [1.0, 0.0, 1.0, 0.0]);
    }

    #[test]
    fn the_estimate_pulls_back_from_below_and_lets_go_far_above() {
        let device = Device::flex().autodiff();
        let at = |d: f64| {
            let leaf = Tensor::<2>::from_data([[d, f64::NAN]], (&device, DType::F64)).require_grad();
            let mask = || Tensor::from_bool(TensorData::from([[true, false]]), &device);
            let reference = Tensor::<2>::from_data([[0.0, f64::NAN]], (&device, DType::F64)).require_grad();
            let (policy, constant) =
                (TokenLogps::new(leaf.clone(), mask()), TokenLogps::new(reference.clone(), mask()));
            let kl = reference_kl_estimates(&policy.unwrap(), &constant.unwrap()).unwrap();
            let grads = kl.backward();
            assert!(reference.grad(&grads).is_none(), "the reference is a constant");
            (column(&kl)[0], leaf.grad(&grads).unwrap().try_to_vec_as::<f64>().unwrap())
        };
        assert_eq!(at(0.0), (0.0, vec![0.0, 0.0]));
        let (value, grad) = at(1.5);
        assert!((value - (1.5f64.exp() - 2.5)).abs() < 1e-14 && (grad[0] - 1.5f64.exp_m1()).abs() < 1e-14);
        assert_eq!(at(-1e4), (9999.0, vec![-1.0, 0.0]));
        let (value, grad) = at(1e4);
        assert!((value - (20f64.exp() - 21.0)).abs() < 1e-6 && grad == [0.0, 0.0]);
    }

    #[test]
    fn what_is_missing_is_named() {
        for (config, batch, name) in [
            (PmpoConfig::new(), spec_batch(), "`tokens`"),
            (PmpoConfig::new(), SingleBatch { reference_tokens: None, ..token_batch() }, "`reference_tokens`"),
            (PmpoConfig::new().with_kl(PmpoKl::Exact), token_batch(), "`reference_kl`"),
            (PmpoConfig::new().with_beta(0.0).with_min_logp(Some(-20.0)), spec_batch(), "`tokens`"),
        ] {
            let error = pmpo(config).forward(&batch).unwrap_err().to_string();
            assert!(error.starts_with(&format!("`pmpo` needs {name}")), "{error}");
        }
        let needs = |config: PmpoConfig| {
            let objective = pmpo(config);
            (objective.needs_reference(), objective.needs_tokens(), objective.needs_reference_kl())
        };
        assert_eq!(needs(PmpoConfig::new()), (true, true, false));
        assert_eq!(needs(PmpoConfig::new().with_kl(PmpoKl::Exact)), (false, false, true));
        assert_eq!(needs(PmpoConfig::new().with_kl(PmpoKl::Exact).with_beta(0.0)), (false, false, false));
        assert_eq!(needs(PmpoConfig::new().with_beta(0.0).with_min_logp(Some(-1.0))), (false, true, false));
        assert!(pmpo(PmpoConfig::new()).uses_batch_statistics());
    }

    #[test]
    fn defaults_and_senseless_settings() {
        let PmpoConfig { alpha, beta, kl, min_logp } = PmpoConfig::new();
        assert_eq!((alpha, beta, kl, min_logp), (0.5, 0.5, PmpoKl::Estimated, None));
        for (config, message) in [
            (PmpoConfig::new().with_alpha(-0.1), "`alpha`: expected in [0, 1]"),
            (PmpoConfig::new().with_alpha(1.1), "`alpha`"),
            (PmpoConfig::new().with_alpha(f64::NAN), "`alpha`"),
            (PmpoConfig::new().with_beta(-0.1), "`beta`: expected finite and >= 0"),
            (PmpoConfig::new().with_beta(f64::INFINITY), "`beta`"),
            (PmpoConfig::new().with_alpha(0.0).with_beta(0.0), "`beta`: expected > 0 where `alpha` is 0"),
            (PmpoConfig::new().with_min_logp(Some(0.0)), "`min_logp`"),
            (PmpoConfig::new().with_min_logp(Some(f64::NEG_INFINITY)), "`min_logp`"),
        ] {
            let error = config.init().unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}");
        }
        pmpo(PmpoConfig::new().with_alpha(0.0));
        let two = tensor(&[1.0, 2.0]);
        let error = pmpo_loss(&spec_batch(), tensor(&[1.0]), two.clone(), 0.5).unwrap_err().to_string();
        assert_eq!(error, "`logps`: expected shape [2], got [1]");
        assert!(pmpo_loss(&spec_batch(), two, tensor(&[1.0]), 0.5).unwrap_err().to_string().starts_with("`floored`"));
    }
}
