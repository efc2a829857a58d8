//! KL divergence optimization (KLDO): alignment as divergence estimation.
//!
//! **Paper:** LLM Safety Alignment is Divergence Estimation in Disguise (2025).
//! **Use when:** desirable and undesirable responses are to be separated and only the differences of their rewards are to
//! matter; batches must hold many of each.
//! **Checked by:** values and gradients by hand, finite differences, the laws, invariance to shifts, convexity.
//! **Deviations:** none; the option `ema` is that of MINE (Mutual Information Neural Estimation, 2018, 1801.04062).
//!
//! Its siblings estimate other f-divergences by `− mean₊ T + mean₋ f*(T)`: with `f*(t) = e^(t−1)` the KL divergence again
//! (NWJ), and with the logistic loss the Jensen-Shannon divergence, which is [`bco`](super::bco) at δ = 0.

use accordant_ops::{
    check_domain, check_dtype, check_shape,
    stable::{cap_exponent, exponent_max, log_sum_exp},
};
use burn::{config::Config, tensor::Tensor};

use super::{Method, SingleBatch, SingleOutput, UnpairedObjective};
use crate::{Result, State, pairwise::check_beta};

/// KLDO losses, one per response, whose weighted mean is the negative Donsker-Varadhan bound of the divergence between
/// desirable and undesirable responses.
///
/// ```text
/// L = −mean₊ a + log mean₋ exp(a),   a = β d
/// ```
///
/// A desirable response has its part of the first term, an undesirable one of the second; both means are weighted. With a
/// probability `p` that its label is right, a response counts `p` in the mean of its kind and `1 − p` in the other. A kind
/// that the batch does not have adds 0.
///
/// # Shapes
/// `rewards`: `[n]`; `log_mean`, if any, a constant `[1]`; the result: `[n]`.
///
/// Gradients sum to 0: −1/n₊ on desirable responses, softmax weights on the others. With `log_mean`, a running
/// `log mean₋ exp(a)`, the second term keeps its value and its gradient becomes `mean₋(exp(a) ∇a) / exp(log_mean)`, which
/// is less biased in small batches. Convex in `a`, 0 when all are equal, and blind to a shift of all. Finite for every
/// finite input.
///
/// # Errors
/// A shape or dtype error naming `rewards` or `log_mean`.
///
/// # Example
/// ```
/// use accordant_objectives::SequenceLogps;
/// use accordant_objectives::unpaired::{SingleBatch, kldo::kldo_loss};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let three = |values: [f32; 3]| Tensor::<1>::from_floats(values, &device);
/// let policy = SequenceLogps::new(three([-1.0; 3]), three([1.0; 3]))?;
/// let batch = SingleBatch::new(policy, Tensor::from_bool([true, false, false], &device))?;
/// // −2 + log((1 + 3)/2)
/// let loss = kldo_loss(&batch, three([2.0, 0.0, 3f32.ln()]), None)?.mean().into_scalar::<f32>();
/// assert!((loss - (2f32.ln() - 2.0)).abs() < 1e-6);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "LLM Safety Alignment is Divergence Estimation in Disguise")]
#[doc(alias = "FDO")]
pub fn kldo_loss(batch: &SingleBatch, rewards: Tensor<1>, log_mean: Option<Tensor<1>>) -> Result<Tensor<1>> {
    let mut bound = log_mean_exp(batch, rewards.clone())?;
    if let Some(log_mean) = log_mean {
        check_shape("log_mean", &[1], &log_mean.dims())?;
        check_dtype("log_mean", bound.dtype(), log_mean.dtype())?;
        let now = bound.clone().detach();
        let max = exponent_max(now.dtype());
        let factor = cap_exponent(now.clone() - log_mean.detach(), Some(max))?.exp();
        bound = (bound - now.clone()) * factor + now;
    }
    let shares = batch.class_shares();
    Ok(shares.undesirable * bound - shares.desirable * rewards)
}

/// `log mean₋ exp(a)` over undesirable responses, weighted, `[1]`; 0 when there is none.
///
/// # Errors
/// A shape or dtype error naming `rewards`.
pub fn log_mean_exp(batch: &SingleBatch, rewards: Tensor<1>) -> Result<Tensor<1>> {
    batch.check_values("rewards", &rewards)?;
    let weights = batch.class_weights().undesirable;
    let absent = weights.clone().equal_scalar(0.0);
    let log_weights = weights.clone().mask_fill(absent.clone(), 1.0).log();
    let total = weights.sum();
    let none = total.clone().equal_scalar(0.0);
    let log_total = total.mask_fill(none.clone(), 1.0).log();
    let terms = (rewards + log_weights).mask_fill(absent, f32::NEG_INFINITY);
    Ok((log_sum_exp(terms, 0) - log_total).mask_fill(none, 0.0))
}

/// Configuration of [`Kldo`].
#[derive(Config, Debug, PartialEq)]
pub struct KldoConfig {
    /// What a log-ratio is multiplied by, finite and > 0. 0.1: ours, kept equal to DPO's.
    #[config(default = 0.1)]
    pub beta: f64,
    /// How much of the running `mean₋ exp(a)` a batch keeps, in `[0, 1)`, for the gradient of small batches; 0.99 is
    /// usual. None: the batch's own mean, the paper's.
    pub ema: Option<f64>,
}

impl KldoConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<Kldo> {
        check_beta(self.beta)?;
        if let Some(ema) = self.ema {
            check_domain((0.0..1.0).contains(&ema), "ema", "in [0, 1)", ema)?;
        }
        Ok(Kldo { config: self.clone() })
    }
}

/// The KLDO objective; see [`kldo_loss`]. Rewards are `beta` times the log-ratio.
///
/// With [`KldoConfig::ema`] its state holds `log_mean_exp`, the logarithm of the running mean, which includes the batch to
/// be trained on; observing then reads the device. A batch without a state has its own mean.
#[derive(Debug, Clone, PartialEq)]
pub struct Kldo {
    config: KldoConfig,
}

/// `kldo` by name.
pub const METHOD: Method = Method {
    name: "kldo",
    title: "KL divergence optimization",
    build: |options| Ok(Box::new(options.apply("kldo", KldoConfig::new())?.init()?)),
};

/// The state's number.
const LOG_MEAN_EXP: &str = "log_mean_exp";

impl UnpairedObjective for Kldo {
    fn uses_batch_statistics(&self) -> bool {
        true
    }

    fn observe(&self, state: &mut State, batch: &SingleBatch) -> Result<()> {
        let Some(ema) = self.config.ema else { return Ok(()) };
        let rewards = batch.log_ratios("kldo")?.detach() * self.config.beta;
        let now = log_mean_exp(batch, rewards)?;
        let undesirable = batch.class_weights().undesirable.sum();
        let read = Tensor::cat(vec![now, undesirable], 0).into_data().convert::<f64>();
        let &[now, undesirable] = read.as_slice::<f64>().expect("converted to f64") else { return Ok(()) };
        if undesirable > 0.0 {
            let mean = match state.get(LOG_MEAN_EXP) {
                // log(ema e^old + (1 − ema) e^now), the larger one taken out: with its weight, which may be 0.
                Some(old) => {
                    let (old, now) = (old + ema.ln(), now + (-ema).ln_1p());
                    let top = old.max(now);
                    top + ((old - top).exp() + (now - top).exp()).ln()
                }
                None => now,
            };
            state.set(LOG_MEAN_EXP, mean);
        }
        Ok(())
    }

    fn forward(&self, batch: &SingleBatch) -> Result<SingleOutput> {
        let KldoConfig { beta, ema } = self.config;
        let rewards = batch.log_ratios("kldo")? * beta;
        let running = ema.and_then(|_| batch.state().get(LOG_MEAN_EXP));
        let log_mean = running.map(|mean| Tensor::full([1], mean, (&rewards.device(), rewards.dtype())));
        Ok(SingleOutput::new(kldo_loss(batch, rewards, log_mean)?, batch, beta))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unpaired::tests::{column, grad_of_mean, labels, logps, tensor};

    accordant_laws::unpaired_laws!(
        kldo_obeys_the_laws,
        "kldo",
        KldoConfig::new().init().unwrap(),
        [],
        [BatchStatistics, DecreasingInDesirable, IncreasingInUndesirable],
    );
    accordant_laws::unpaired_laws!(
        kldo_with_doubtful_labels_obeys_the_laws,
        "kldo with doubtful labels",
        KldoConfig::new().with_beta(0.5).init().unwrap(),
        ["label_probs" => Unit],
        [BatchStatistics],
        except "f32" because "a loss near 0 is a difference of numbers that are not",
    );

    /// d = 1 and 2 desirable, −0.5 and 0.5 undesirable.
    fn four() -> SingleBatch {
        let batch = SingleBatch::new(logps(&[1.0, 2.0, -0.5, 0.5], &[1.0; 4]), labels(&[true, true, false, false]));
        batch.unwrap().with_reference(logps(&[0.0; 4], &[1.0; 4])).unwrap()
    }

    fn kldo(config: KldoConfig) -> Kldo {
        config.init().expect("valid in this test")
    }

    fn loss(config: KldoConfig, batch: &SingleBatch) -> f64 {
        column(&kldo(config).forward(batch).unwrap().reduce().unwrap().loss)[0]
    }

    #[test]
    fn values_and_gradients_by_hand() {
        // −0.15 + log cosh 0.05
        assert!((loss(KldoConfig::new(), &four()) + 0.1487505205).abs() < 1e-10);
        let grad = grad_of_mean(&four(), &kldo(KldoConfig::new()));
        let softmax = 1.0 / (1.0 + 0.1f64.exp());
        for (found, expected) in grad.iter().zip([-0.05, -0.05, 0.1 * softmax, 0.1 * (1.0 - softmax)]) {
            assert!((found - expected).abs() < 1e-15, "{grad:?}");
        }
        assert!(grad.iter().sum::<f64>().abs() < 1e-16);
    }

    #[test]
    fn a_shift_of_all_rewards_changes_nothing_and_equal_ones_lose_nothing() {
        let shifted = four().with_reference(logps(&[-300.0; 4], &[1.0; 4])).unwrap();
        assert!((loss(KldoConfig::new(), &shifted) - loss(KldoConfig::new(), &four())).abs() < 1e-13);
        let equal = four().with_reference(four().policy().clone()).unwrap();
        assert!(loss(KldoConfig::new(), &equal).abs() < 1e-15);
    }

    #[test]
    fn it_is_convex_in_the_rewards() {
        let value = |rewards: [f64; 4]| column(&kldo_loss(&four(), tensor(&rewards), None).unwrap().mean())[0];
        let (a, b) = ([0.3, -1.0, 2.0, 0.5], [-0.7, 0.4, -1.5, 1.5]);
        let middle = value([-0.2, -0.3, 0.25, 1.0]);
        assert!(middle < (value(a) + value(b)) / 2.0 - 0.1, "{middle}");
    }

    #[test]
    fn weights_and_doubtful_labels_share_the_means() {
        let batch = four().with_weights(tensor(&[3.0, 1.0, 1.0, 2.0])).unwrap();
        let found = loss(KldoConfig::new().with_beta(1.0), &batch);
        let expected = -(3.0 * 1.0 + 2.0) / 4.0 + (((-0.5f64).exp() + 2.0 * 0.5f64.exp()) / 3.0).ln();
        assert!((found - expected).abs() < 1e-14, "{found} {expected}");
        let batch = four().with_label_probs(tensor(&[0.75, 1.0, 0.5, 1.0])).unwrap();
        let found = loss(KldoConfig::new().with_beta(1.0), &batch);
        let desirable = (0.75 * 1.0 + 1.0 * 2.0 + 0.5 * -0.5) / 2.25;
        let undesirable = (0.25 * 1f64.exp() + 0.5 * (-0.5f64).exp() + 0.5f64.exp()) / 1.75;
        assert!((found - (undesirable.ln() - desirable)).abs() < 1e-14, "{found}");
    }

    #[test]
    fn a_kind_that_is_not_there_adds_nothing() {
        let all = |kind: bool| {
            let batch = SingleBatch::new(four().policy().clone(), labels(&[kind; 4])).unwrap();
            batch.with_reference(logps(&[0.0; 4], &[1.0; 4])).unwrap()
        };
        assert!((loss(KldoConfig::new().with_beta(1.0), &all(true)) + 0.75).abs() < 1e-15);
        let terms = [1.0f64, 2.0, -0.5, 0.5].map(f64::exp).iter().sum::<f64>();
        assert!((loss(KldoConfig::new().with_beta(1.0), &all(false)) - (terms / 4.0).ln()).abs() < 1e-15);
        let config = KldoConfig::new().with_ema(Some(0.5));
        let mut state = State::default();
        kldo(config).observe(&mut state, &all(true)).unwrap();
        assert_eq!(state, State::default(), "no undesirable response, nothing observed");
    }

    #[test]
    fn a_running_mean_scales_the_gradient_of_the_second_term_and_no_value() {
        let objective = kldo(KldoConfig::new().with_beta(1.0).with_ema(Some(0.75)));
        let mut state = State::default();
        state.set(LOG_MEAN_EXP, 3f64.ln());
        objective.observe(&mut state, &four()).unwrap();
        // mean₋ e^a = cosh 0.5
        let (now, mean) = (0.5f64.cosh(), 0.75 * 3.0 + 0.25 * 0.5f64.cosh());
        assert!((state.get(LOG_MEAN_EXP).unwrap() - mean.ln()).abs() < 1e-15);
        let batch = four().with_state(state);
        assert_eq!(
            loss(KldoConfig::new().with_beta(1.0).with_ema(Some(0.75)), &batch),
            loss(KldoConfig::new().with_beta(1.0), &four())
        );
        let (plain, scaled) =
            (grad_of_mean(&four(), &kldo(KldoConfig::new().with_beta(1.0))), grad_of_mean(&batch, &objective));
        assert_eq!(plain[..2], scaled[..2]);
        for (plain, scaled) in plain[2..].iter().zip(&scaled[2..]) {
            assert!((scaled - plain * now / mean).abs() < 1e-15, "{scaled} {plain}");
        }
        // Without the option, a state is not read; the first batch is its own mean.
        assert_eq!(plain, grad_of_mean(&batch, &kldo(KldoConfig::new().with_beta(1.0))));
        let mut first = State::default();
        objective.observe(&mut first, &four()).unwrap();
        assert!((first.get(LOG_MEAN_EXP).unwrap() - now.ln()).abs() < 1e-15);
        let mut off = State::default();
        kldo(KldoConfig::new()).observe(&mut off, &four()).unwrap();
        assert_eq!(off, State::default());
    }

    #[test]
    fn the_running_mean_survives_rewards_beyond_every_exponent() {
        let far = four().with_reference(logps(&[1e5; 4], &[1.0; 4])).unwrap();
        let objective = kldo(KldoConfig::new().with_beta(1.0).with_ema(Some(0.99)));
        let mut state = State::default();
        for batch in [&four(), &far, &four()] {
            objective.observe(&mut state, batch).unwrap();
            let grad = grad_of_mean(&batch.clone().with_state(state.clone()), &objective);
            assert!(state.get(LOG_MEAN_EXP).unwrap().is_finite() && grad.iter().all(|grad| grad.is_finite()));
        }
    }

    #[test]
    fn a_running_mean_that_keeps_nothing_is_the_mean_of_the_batch() {
        // The rewards before were 1e4 larger: what is kept of them has weight 0, and e^-10000 is 0.
        let objective = kldo(KldoConfig::new().with_beta(1.0).with_ema(Some(0.0)));
        let mut state = State::default();
        state.set(LOG_MEAN_EXP, 1e4);
        objective.observe(&mut state, &four()).unwrap();
        assert!((state.get(LOG_MEAN_EXP).unwrap() - 0.5f64.cosh().ln()).abs() < 1e-15, "{state:?}");
    }

    #[test]
    fn defaults_and_senseless_settings() {
        assert_eq!(KldoConfig::new(), KldoConfig { beta: 0.1, ema: None });
        for ema in [-0.1, 1.0, f64::NAN] {
            assert!(KldoConfig::new().with_ema(Some(ema)).init().unwrap_err().to_string().starts_with("`ema`"));
        }
        kldo(KldoConfig::new().with_ema(Some(0.0)));
        assert!(KldoConfig::new().with_beta(0.0).init().is_err());
        let error = kldo_loss(&four(), tensor(&[1.0]), None).unwrap_err().to_string();
        assert_eq!(error, "`rewards`: expected shape [4], got [1]");
        let error = kldo_loss(&four(), tensor(&[1.0; 4]), Some(tensor(&[1.0; 4]))).unwrap_err().to_string();
        assert_eq!(error, "`log_mean`: expected shape [1], got [4]");
    }
}
