//! Generalized knowledge distillation (GKD): a student learns a teacher's next-token distributions.
//!
//! **Paper:** On-Policy Distillation of Language Models: Learning from Self-Generated Mistakes (2023), 2306.13649.
//! **Use when:** a larger model can score every token that the student writes or reads.
//! **Checked by:** golden numbers (TRL 1.16), values by hand, finite differences; KL at both ends.
//! **Deviations:** none. No factor `temperature²`, as in TRL.

use accordant_ops::{
    Aggregation, EmptyRows, Reduced, check_domain, check_dtype, check_shape,
    kl::kl_full,
    reduce::reduce_tokens,
    selected::{KlDirection, kl_logits},
    stable::{log_add_exp, log_sum_exp},
};
use burn::{
    config::Config,
    tensor::{Bool, DType, FloatDType, Tensor},
};

use crate::Result;

/// Generalized Jensen-Shannon divergences between student and teacher, one per row, in nats.
///
/// ```text
/// β KL(T ‖ M) + (1 − β) KL(S ‖ M),   M = β T + (1 − β) S
/// β = 0: KL(T ‖ S),   β = 1: KL(S ‖ T)
/// ```
///
/// `S` and `T` are softmaxes of the logits over `temperature`; the teacher is a constant. The ends are definitions: there
/// the formula itself is 0, and over `β (1 − β)` it has these limits.
///
/// 0 where both agree, at most ln 2 for `0 < β < 1`, symmetric at 1/2, blind to a constant added to a row of logits. Tokens
/// of logit −∞ have probability 0 and add nothing; a row of −∞ throughout gives NaN for `0 < β < 1`. Can be negative by
/// rounding, to about 1e-7 in f32.
///
/// # Shapes
/// `student` and `teacher`: `[n, v]`, of one dtype; the result: `[n]`, in f32 (f64 for f64). For `0 < β < 1` it takes a few
/// buffers of the size of the logits; at the ends none but their gradient.
///
/// # Errors
/// A shape or dtype error naming `teacher`; a domain error unless `beta` lies in `[0, 1]` and `temperature` is finite and
/// > 0 (at the ends of `beta`, between 1e-37 and 1e37).
///
/// # Example
/// ```
/// use accordant_objectives::supervised::gkd::generalized_jsd;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let student = Tensor::from_floats([[0.0, f32::NEG_INFINITY]], &device);
/// let teacher = Tensor::from_floats([[f32::NEG_INFINITY, 0.0]], &device);
/// // Each is certain of what the other excludes: M is 1/2 for both tokens.
/// let jsd = generalized_jsd(student, teacher, 0.5, 1.0)?.into_scalar::<f32>();
/// assert!((jsd - 2f32.ln()).abs() < 1e-6);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2306.13649")]
#[doc(alias = "On-Policy Distillation of Language Models: Learning from Self-Generated Mistakes")]
#[doc(alias = "generalized_jsd_loss")]
pub fn generalized_jsd(student: Tensor<2>, teacher: Tensor<2>, beta: f64, temperature: f64) -> Result<Tensor<1>> {
    check_shape("teacher", &student.dims(), &teacher.dims())?;
    check_dtype("teacher", student.dtype(), teacher.dtype())?;
    check_settings(beta, temperature)?;
    // burn has no maximum of nothing; the divergence of nothing is 0 at every `beta`.
    if beta == 0.0 || beta == 1.0 || student.shape().num_elements() == 0 {
        let direction = if beta == 1.0 { KlDirection::Reverse } else { KlDirection::Forward };
        return Ok(kl_logits(student, teacher, temperature, direction)?);
    }
    let student = log_probs(student, temperature);
    let teacher = log_probs(teacher.detach(), temperature);
    // A constant: M minimizes this sum, so that what reaches the student by way of it cancels.
    let mixture = log_add_exp(teacher.clone() + beta.ln(), student.clone().detach() + (-beta).ln_1p())?;
    let from_teacher: Tensor<1> = kl_full(teacher, mixture.clone())?;
    let from_student: Tensor<1> = kl_full(student, mixture)?;
    Ok(from_teacher * beta + from_student * (1.0 - beta))
}

/// In f32, or f64 for f64.
fn log_probs(logits: Tensor<2>, temperature: f64) -> Tensor<2> {
    let dtype = if logits.dtype() == DType::F64 { FloatDType::F64 } else { FloatDType::F32 };
    let logits = logits.cast(dtype) * temperature.recip();
    logits.clone() - log_sum_exp(logits, 1)
}

fn check_settings(beta: f64, temperature: f64) -> Result<()> {
    check_domain((0.0..=1.0).contains(&beta), "beta", "in [0, 1]", beta)?;
    let holds = temperature.is_finite() && temperature > 0.0;
    Ok(check_domain(holds, "temperature", "finite and > 0", temperature)?)
}

/// How the divergences of scored rows become one number.
#[derive(Config, Debug, Copy, PartialEq)]
pub enum GkdReduction {
    /// Over the number of scored rows (TRL's `batchmean` with labels).
    TokenMean,
    /// Over the number of scored rows of the whole optimizer step, accumulated or distributed.
    GlobalTokens(f64),
    /// Over the number of scored rows times the size of the vocabulary (TRL's `mean`).
    TokenAndVocabularyMean,
    /// Their sum.
    Sum,
}

/// Configuration of [`Gkd`].
#[derive(Config, Debug, PartialEq)]
pub struct GkdConfig {
    /// From KL(teacher ‖ student) at 0 to KL(student ‖ teacher) at 1, in `[0, 1]`. 0.5: TRL's, the Jensen-Shannon
    /// divergence.
    #[config(default = 0.5)]
    pub beta: f64,
    /// Divides both models' logits, finite and > 0. 1: both models themselves.
    #[config(default = 1.0)]
    pub temperature: f64,
    /// How tokens are reduced. `TokenMean`: TRL's default.
    #[config(default = "GkdReduction::TokenMean")]
    pub reduction: GkdReduction,
}

impl GkdConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<Gkd> {
        check_settings(self.beta, self.temperature)?;
        if let GkdReduction::GlobalTokens(tokens) = self.reduction {
            let holds = tokens.is_finite() && tokens > 0.0;
            check_domain(holds, "reduction.GlobalTokens", "finite and > 0", tokens)?;
        }
        Ok(Gkd { config: self.clone() })
    }
}

/// The distillation objective; see [`generalized_jsd`].
#[derive(Debug, Clone, PartialEq)]
pub struct Gkd {
    config: GkdConfig,
}

impl Gkd {
    /// The reduced divergence over the rows that `mask` keeps. What stands in the others, NaN included, reaches neither
    /// value nor gradient; no row kept gives 0.
    ///
    /// # Shapes
    /// `student` and `teacher`: `[n, v]`, logits at the same positions; `mask`: `[n]`.
    ///
    /// # Errors
    /// As [`generalized_jsd`]; a shape error naming `mask`.
    pub fn forward(&self, student: Tensor<2>, teacher: Tensor<2>, mask: Tensor<1, Bool>) -> Result<Reduced> {
        let [n, vocab_size] = student.dims();
        check_shape("mask", &[n], &mask.dims())?;
        check_shape("teacher", &[n, vocab_size], &teacher.dims())?;
        let GkdConfig { beta, temperature, reduction } = self.config;
        let kept = |logits: Tensor<2>| match n * vocab_size {
            0 => logits, // burn expands nothing to a length of 0
            _ => {
                let dropped = mask.clone().bool_not().unsqueeze_dim::<2>(1).expand([n, vocab_size]);
                logits.mask_fill(dropped, 0.0)
            }
        };
        let losses = generalized_jsd(kept(student), kept(teacher), beta, temperature)?;
        let (losses, aggregation) = match reduction {
            GkdReduction::TokenMean => (losses, Aggregation::TokenMean),
            GkdReduction::GlobalTokens(tokens) => (losses, Aggregation::GlobalTokens(tokens)),
            GkdReduction::TokenAndVocabularyMean => {
                (losses * (vocab_size.max(1) as f64).recip(), Aggregation::TokenMean)
            }
            GkdReduction::Sum => (losses, Aggregation::Sum),
        };
        let (losses, mask) = (losses.unsqueeze_dim(1), mask.unsqueeze_dim(1));
        Ok(reduce_tokens(losses, mask, aggregation, EmptyRows::Skip)?)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::unpaired::tests::{column, labels};

    fn logits<const N: usize, const V: usize>(rows: [[f64; V]; N]) -> Tensor<2> {
        Tensor::from_data(rows, (&Device::flex(), DType::F64))
    }

    /// Student (3/4, 1/4), teacher (1/2, 1/2); then the same, with constants added.
    fn pair() -> (Tensor<2>, Tensor<2>) {
        (logits([[3f64.ln(), 0.0], [7.0, 7.0]]), logits([[2.0, 2.0], [-1.0, -1.0]]))
    }

    fn jsd(beta: f64) -> Vec<f64> {
        column(&generalized_jsd(pair().0, pair().1, beta, 1.0).unwrap())
    }

    fn kl(p: [f64; 2], q: [f64; 2]) -> f64 {
        p.iter().zip(q).map(|(p, q)| p * (p / q).ln()).sum()
    }

    const S: [f64; 2] = [0.75, 0.25];
    const T: [f64; 2] = [0.5, 0.5];

    #[test]
    fn values_by_hand() {
        assert!((jsd(0.0)[0] - kl(T, S)).abs() < 1e-15 && (jsd(1.0)[0] - kl(S, T)).abs() < 1e-15);
        for beta in [0.1, 0.5, 0.9] {
            let m = [beta * T[0] + (1.0 - beta) * S[0], beta * T[1] + (1.0 - beta) * S[1]];
            let expected = beta * kl(T, m) + (1.0 - beta) * kl(S, m);
            assert!((jsd(beta)[0] - expected).abs() < 1e-15, "{beta}");
            assert!(jsd(beta)[1].abs() < 1e-15, "equal distributions");
        }
        let swapped = column(&generalized_jsd(pair().1, pair().0, 0.5, 1.0).unwrap());
        assert!((swapped[0] - jsd(0.5)[0]).abs() < 1e-15, "symmetric at one half");
        // Temperature 2: student (√3, 1) normalized.
        let (root, tau) = (3f64.sqrt(), generalized_jsd(pair().0, pair().1, 1.0, 2.0).unwrap());
        assert!((column(&tau)[0] - kl([root / (root + 1.0), 1.0 / (root + 1.0)], T)).abs() < 1e-15);
        let tau = column(&generalized_jsd(pair().0 * 2.0, pair().1 * 2.0, 0.3, 2.0).unwrap());
        assert!((tau[0] - jsd(0.3)[0]).abs() < 1e-15);
    }

    #[test]
    fn over_its_weights_it_goes_to_the_kl_at_both_ends() {
        for (beta, end) in [(1e-6, 0.0), (1.0 - 1e-6, 1.0)] {
            let scaled = jsd(beta)[0] / (beta * (1.0 - beta));
            assert!((scaled - jsd(end)[0]).abs() < 1e-5, "{beta}: {scaled}");
        }
    }

    #[test]
    fn gradients_equal_finite_differences_and_the_teacher_has_none() {
        let device = Device::flex().autodiff();
        let (student, teacher) = ([[0.3, -1.2, 0.8]], [[-0.5, 0.9, 0.1]]);
        for beta in [0.0, 0.2, 0.5, 0.9, 1.0] {
            let leaf = |rows: [[f64; 3]; 1]| Tensor::<2>::from_data(rows, (&device, DType::F64)).require_grad();
            let (s, t) = (leaf(student), leaf(teacher));
            let grads = generalized_jsd(s.clone(), t.clone(), beta, 1.5).unwrap().backward();
            assert!(t.grad(&grads).is_none(), "{beta}");
            let grad = s.grad(&grads).unwrap().try_to_vec_as::<f64>().unwrap();
            for (at, grad) in grad.iter().enumerate() {
                let value = |step: f64| {
                    let mut moved = student;
                    moved[0][at] += step;
                    column(&generalized_jsd(logits(moved), logits(teacher), beta, 1.5).unwrap())[0]
                };
                let numeric = (value(1e-5) - value(-1e-5)) / 2e-5;
                assert!((grad - numeric).abs() < 1e-9, "{beta}, logit {at}: {grad} {numeric}");
            }
        }
    }

    #[test]
    fn excluded_tokens_and_far_logits_are_finite_and_bounded() {
        let device = Device::flex().autodiff();
        let none = f64::NEG_INFINITY;
        let rows = [[0.0, none, none], [1e4, -1e4, 0.0], [0.0, none, 1.0]];
        let leaf = Tensor::<2>::from_data(rows, (&device, DType::F64)).require_grad();
        let teacher =
            Tensor::<2>::from_data([[none, 0.0, none], [-1e4, 1e4, 0.0], [0.0, none, 2.0]], (&device, DType::F64));
        let losses = generalized_jsd(leaf.clone(), teacher, 0.5, 1.0).unwrap();
        let values = column(&losses);
        assert!((values[0] - 2f64.ln()).abs() < 1e-15 && (values[1] - 2f64.ln()).abs() < 1e-15, "{values:?}");
        assert!(values[2] > 0.0 && values[2] < 2f64.ln());
        let grad = leaf.grad(&losses.sum().backward()).unwrap().try_to_vec_as::<f64>().unwrap();
        assert!(grad.iter().all(|grad| grad.is_finite()), "{grad:?}");
    }

    #[test]
    fn reductions_of_kept_rows_by_hand() {
        let student = logits([[3f64.ln(), 0.0], [f64::NAN, 1.0], [0.0, 3f64.ln()]]);
        let teacher = logits([[0.0, 0.0], [0.0, f64::NAN], [1.0, 1.0]]);
        let mask = || labels(&[true, false, true]);
        let one = kl(S, T);
        for (reduction, expected) in [
            (GkdReduction::TokenMean, one),
            (GkdReduction::GlobalTokens(8.0), one / 4.0),
            (GkdReduction::TokenAndVocabularyMean, one / 2.0),
            (GkdReduction::Sum, 2.0 * one),
        ] {
            let gkd = GkdConfig::new().with_beta(1.0).with_reduction(reduction).init().unwrap();
            let reduced = gkd.forward(student.clone(), teacher.clone(), mask()).unwrap();
            assert!((column(&reduced.loss)[0] - expected).abs() < 1e-15, "{reduction:?}");
        }
        let gkd = GkdConfig::new().init().unwrap();
        let none = gkd.forward(student.clone(), teacher.clone(), labels(&[false; 3])).unwrap();
        assert_eq!(column(&none.loss), [0.0]);
        let error = gkd.forward(student.clone(), teacher.clone(), labels(&[true])).unwrap_err().to_string();
        assert_eq!(error, "`mask`: expected shape [3], got [1]");
        let error = gkd.forward(student, teacher.narrow(0, 0, 1), mask()).unwrap_err().to_string();
        assert_eq!(error, "`teacher`: expected shape [3, 2], got [1, 2]");
    }

    #[test]
    fn half_precision_is_computed_in_f32() {
        for beta in [0.0, 0.5, 1.0] {
            let narrow = |rows: Tensor<2>| rows.cast(FloatDType::BF16);
            let (student, teacher) = (logits([[1.0, 0.0]]), logits([[0.0, 0.5]]));
            let jsd = generalized_jsd(narrow(student.clone()), narrow(teacher.clone()), beta, 1.0).unwrap();
            assert_eq!(jsd.dtype(), DType::F32);
            let exact = column(&generalized_jsd(student, teacher, beta, 1.0).unwrap())[0];
            assert!((column(&jsd)[0] - exact).abs() < 1e-6);
        }
    }

    #[test]
    fn senseless_arguments_are_refused_by_name() {
        let GkdConfig { beta, temperature, reduction } = GkdConfig::new();
        assert_eq!((beta, temperature, reduction), (0.5, 1.0, GkdReduction::TokenMean));
        for (config, name) in [
            (GkdConfig::new().with_beta(-0.1), "`beta`"),
            (GkdConfig::new().with_beta(1.1), "`beta`"),
            (GkdConfig::new().with_beta(f64::NAN), "`beta`"),
            (GkdConfig::new().with_temperature(0.0), "`temperature`"),
            (GkdConfig::new().with_temperature(f64::INFINITY), "`temperature`"),
            (GkdConfig::new().with_reduction(GkdReduction::GlobalTokens(0.0)), "`reduction.GlobalTokens`"),
            (GkdConfig::new().with_reduction(GkdReduction::GlobalTokens(f64::NAN)), "`reduction.GlobalTokens`"),
        ] {
            assert!(config.init().unwrap_err().to_string().starts_with(name));
        }
        let (student, teacher) = pair();
        let error = generalized_jsd(student.clone(), teacher.clone().cast(FloatDType::F32), 0.5, 1.0).unwrap_err();
        assert_eq!(error.to_string(), "`teacher`: expected dtype F64, got F32");
        assert!(generalized_jsd(student.clone(), teacher.clone().narrow(0, 0, 1), 0.5, 1.0).is_err());
        assert!(generalized_jsd(student.clone(), teacher.clone(), 2.0, 1.0).is_err());
        assert!(generalized_jsd(student, teacher, 0.5, f64::NAN).is_err());
        let empty =
            || Tensor::<2>::from_data(TensorData::new(Vec::<f64>::new(), [0, 4]), (&Device::flex(), DType::F64));
        for beta in [0.0, 0.5, 1.0] {
            assert_eq!(generalized_jsd(empty(), empty(), beta, 1.0).unwrap().dims(), [0]);
        }
        let gkd = GkdConfig::new().init().unwrap();
        assert_eq!(column(&gkd.forward(empty(), empty(), labels(&[])).unwrap().loss), [0.0]);
    }
}
