//! A language model as judge: chances from the logits of its verdict, in both orders of presentation.
//!
//! **Paper:** Beyond Scalar Reward Model: Learning Generative Judge from Preference Data (2024), 2410.03742 (Con-J); the
//! average of both orders as in Large Language Models are not Fair Evaluators (2023), 2305.17926.
//! **Use when:** a judge says "A" or "B"; its place bias is averaged away.
//! **Checked by:** hand-worked values, invariance under swaps, gradients, both faces.
//! **Deviations:** none.

use accordant_ops::{
    check_domain, check_shape,
    stable::{log_add_exp, log_odds, log_sigmoid, log_sum_exp},
};
use burn::{config::Config, tensor::Tensor};

use crate::{Result, pairwise::Outcomes};

/// The logit of a verdict from those of the tokens that may spell it ("A", " A", ...): `log Σ exp`.
///
/// # Shapes
/// `variants`: `[n, variants]`, to `[n]`.
///
/// # Errors
/// A shape error naming `variants` when there is none.
pub fn verdict_logits(variants: Tensor<2>) -> Result<Tensor<1>> {
    let [n, spellings] = variants.dims();
    check_shape("variants", &[n, spellings.max(1)], &[n, spellings])?;
    Ok(log_sum_exp(variants, 1).squeeze_dim(1))
}

/// Logits of the verdicts on a pair, as the judge saw it in both orders; `[n]` each.
#[derive(Debug, Clone)]
pub struct BothOrders {
    /// Of "the one shown first", with the first response shown first.
    pub forward_first: Tensor<1>,
    /// Of "the one shown second", in that order.
    pub forward_second: Tensor<1>,
    /// Of "the one shown first", with the first response shown second.
    pub backward_first: Tensor<1>,
    /// Of "the one shown second", in that order: it speaks for the first response.
    pub backward_second: Tensor<1>,
}

/// Configuration of a judge.
#[derive(Config, Debug, PartialEq)]
pub struct JudgeConfig {
    /// What logits are divided by, τ, finite and > 0. 1: the judge's own.
    #[config(default = 1.0)]
    pub temperature: f64,
}

impl JudgeConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming `temperature`.
    pub fn init(&self) -> Result<Judge> {
        let temperature = self.temperature;
        check_domain(temperature.is_finite() && temperature > 0.0, "temperature", "finite and > 0", temperature)?;
        Ok(Judge { temperature })
    }
}

/// Chances that the first of two responses is judged better.
///
/// ```text
/// P(A) = σ((l_A − l_B) / τ)     p̄ = ½ [P(A | a, b) + P(B | b, a)]
/// ```
///
/// # Example
/// ```
/// use accordant_preference::implicit::judge::{BothOrders, JudgeConfig};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let logit = |odds: f32| Tensor::<1>::from_floats([odds.ln()], &device);
/// // 9 : 1 for the first where it is shown first, 2 : 3 against it where it is shown second.
/// let orders = BothOrders {
///     forward_first: logit(9.0), forward_second: logit(1.0), backward_first: logit(2.0), backward_second: logit(3.0),
/// };
/// let first = JudgeConfig::new().init()?.outcomes(&orders)?.first.exp();
/// assert!((first.into_scalar::<f32>() - 0.75).abs() < 1e-6); // ½ (0.9 + 0.6)
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "2410.03742")]
#[doc(alias = "Con-J")]
#[doc(alias = "LLM-as-a-judge")]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judge {
    temperature: f64,
}

impl Judge {
    /// The log-odds of the verdict in one order, `(l_A − l_B) / τ`, `[n]`: a lead for any loss.
    ///
    /// # Errors
    /// A shape error naming `second`.
    pub fn log_odds(&self, first: Tensor<1>, second: Tensor<1>) -> Result<Tensor<1>> {
        check_shape("second", &first.dims(), &second.dims())?;
        Ok((first - second) * self.temperature.recip())
    }

    /// Log-chances over both orders, `log p̄` and `log (1 − p̄)`: exchanging the responses exchanges them.
    ///
    /// # Errors
    /// A shape error naming `second` or `backward`.
    pub fn outcomes(&self, orders: &BothOrders) -> Result<Outcomes> {
        let forward = self.log_odds(orders.forward_first.clone(), orders.forward_second.clone())?;
        let backward = self.log_odds(orders.backward_second.clone(), orders.backward_first.clone())?;
        check_shape("backward", &forward.dims(), &backward.dims())?;
        let half = 0.5f64.ln();
        let mean =
            |a: Tensor<1>, b: Tensor<1>| Ok::<_, crate::Error>(log_add_exp(log_sigmoid(a), log_sigmoid(b))? + half);
        let first = mean(forward.clone(), backward.clone())?;
        Ok(Outcomes { first, tie: None, second: mean(-forward, -backward)? })
    }

    /// The reward of a response by its chances against an anchor: their log-odds, `logit p̄`, `[n]`.
    ///
    /// # Errors
    /// As [`Judge::outcomes`].
    #[doc(alias = "A Unified Pairwise Framework for RLHF: Bridging Generative Reward Modeling and Policy Optimization")]
    pub fn anchor_rewards(&self, orders: &BothOrders) -> Result<Tensor<1>> {
        let Outcomes { first, second, .. } = self.outcomes(orders)?;
        Ok(first - second)
    }
}

/// `½ [P(A | a, b) + P(B | b, a)]` of one pair on the host: the chances that the response shown first is preferred, in
/// either order.
///
/// # Errors
/// A domain error naming `forward` or `backward`, in [0, 1].
///
/// # Example
/// ```
/// use accordant_preference::implicit::judge::debiased;
/// // 0.9 where it is shown first; where it is shown second the other is preferred with 0.4.
/// assert_eq!(debiased(0.9, 0.4)?, 0.75);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn debiased(forward: f64, backward: f64) -> Result<f64> {
    check_domain((0.0..=1.0).contains(&forward), "forward", "a chance in [0, 1]", forward)?;
    check_domain((0.0..=1.0).contains(&backward), "backward", "a chance in [0, 1]", backward)?;
    Ok(0.5 * (forward + (1.0 - backward)))
}

/// The expected grade of a point-wise judge, `Σ_s s p(s)`, from the logits of its grades.
///
/// # Shapes
/// `logits`: `[n, grades]`, `grades`: `[grades]`, constants; to `[n]`.
///
/// # Errors
/// A shape error naming `grades`, or `logits` when there is no grade.
///
/// # Example
/// ```
/// use accordant_preference::implicit::judge::expected_grades;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let logits = Tensor::from_floats([[0.0, 3f32.ln()]], &device);
/// let grade = expected_grades(logits, Tensor::from_floats([1.0, 5.0], &device))?;
/// assert!((grade.into_scalar::<f32>() - 4.0).abs() < 1e-6); // ¼ · 1 + ¾ · 5
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn expected_grades(logits: Tensor<2>, grades: Tensor<1>) -> Result<Tensor<1>> {
    let [n, count] = logits.dims();
    check_shape("grades", &[count], &grades.dims())?;
    check_shape("logits", &[n, count.max(1)], &[n, count])?;
    let chances = (logits.clone() - log_sum_exp(logits, 1)).exp();
    Ok((chances * grades.detach().reshape([1, count])).sum_dim(1).squeeze_dim(1))
}

/// The chance of each response's "yes" as a score: log-odds of the log-chance of "yes" among all tokens, `[n]`.
///
/// # Errors
/// None; a log-chance ≥ 0 gives +∞.
#[doc(alias = "PaCo")]
pub fn yes_log_odds(log_chances: Tensor<1>) -> Tensor<1> {
    log_odds(log_chances)
}

#[cfg(test)]
mod tests {
    use accordant_ops::host::logistic;

    use super::*;
    use crate::trajectory::testing::{check, close, rows, tensor, values};

    fn orders(logits: [[f64; 3]; 4]) -> BothOrders {
        let [a, b, c, d] = logits.map(|column| tensor(&column));
        BothOrders { forward_first: a, forward_second: b, backward_first: c, backward_second: d }
    }

    const LOGITS: [[f64; 3]; 4] = [[2.0, -1.0, 900.0], [0.5, 0.0, -900.0], [1.0, 3.0, -800.0], [0.0, 2.5, 800.0]];

    #[test]
    fn both_faces_average_the_orders() {
        let judge = JudgeConfig::new().with_temperature(0.5).init().unwrap();
        let outcomes = judge.outcomes(&orders(LOGITS)).unwrap();
        let expected: Vec<f64> = (0..3)
            .map(|i| {
                let forward = logistic(2.0 * (LOGITS[0][i] - LOGITS[1][i]));
                debiased(forward, logistic(2.0 * (LOGITS[2][i] - LOGITS[3][i]))).unwrap()
            })
            .collect();
        close(&values(outcomes.first.clone().exp()), &expected, 1e-12);
        close(&values(outcomes.second.clone().exp())[..2], &[1.0 - expected[0], 1.0 - expected[1]], 1e-12);
        let rewards = values(judge.anchor_rewards(&orders(LOGITS)).unwrap());
        close(
            &rewards[..2],
            &[(expected[0] / (1.0 - expected[0])).ln(), (expected[1] / (1.0 - expected[1])).ln()],
            1e-9,
        );
        assert!(rewards[2].is_finite() && rewards[2] > 3000.0, "{rewards:?}");
    }

    #[test]
    fn exchanging_the_responses_exchanges_the_chances() {
        let judge = JudgeConfig::new().init().unwrap();
        let there = judge.outcomes(&orders(LOGITS)).unwrap();
        // The second response is now the first: what was backward is forward.
        let [a, b, c, d] = LOGITS;
        let back = judge.outcomes(&orders([c, d, a, b])).unwrap();
        close(&values(there.first.clone()), &values(back.second), 1e-12);
        close(&values(there.second), &values(back.first), 1e-12);
        let biased = judge.outcomes(&orders([[5.0; 3], [0.0; 3], [5.0; 3], [0.0; 3]])).unwrap();
        close(&values(biased.first), &[0.5f64.ln(); 3], 1e-12);
    }

    #[test]
    fn spellings_add_up_and_grades_are_averaged() {
        let logits = verdict_logits(rows([[2f64.ln(), 3f64.ln()], [900.0, 0.0]])).unwrap();
        close(&values(logits), &[5f64.ln(), 900.0], 1e-12);
        let grades = expected_grades(rows([[0.0, 3f64.ln()], [-900.0, 900.0]]), tensor(&[1.0, 5.0])).unwrap();
        close(&values(grades), &[4.0, 5.0], 1e-12);
        close(&values(yes_log_odds(tensor(&[0.75f64.ln()]))), &[3f64.ln()], 1e-12);
    }

    #[test]
    fn gradients_are_derivatives() {
        let judge = JudgeConfig::new().with_temperature(0.7).init().unwrap();
        check(&[2.0, 0.5, 1.0, 0.2], |x| {
            let at = |i| x.clone().narrow(0, i, 1);
            let orders = BothOrders {
                forward_first: at(0),
                forward_second: at(1),
                backward_first: at(2),
                backward_second: at(3),
            };
            judge.outcomes(&orders).unwrap().first
        });
        check(&[0.3, -1.0, 0.7, 0.1], |x| expected_grades(x.reshape([2, 2]), tensor(&[1.0, 3.0])).unwrap());
    }

    #[test]
    fn shapes_and_domains_are_errors_by_name() {
        for bad in [0.0, f64::NAN, f64::INFINITY] {
            assert!(
                JudgeConfig::new().with_temperature(bad).init().unwrap_err().to_string().starts_with("`temperature`")
            );
        }
        assert_eq!(JudgeConfig::new().temperature, 1.0);
        for bad in [-0.1, 1.1, f64::NAN] {
            assert!(debiased(bad, 0.5).unwrap_err().to_string().starts_with("`forward`"));
            assert!(debiased(0.5, bad).unwrap_err().to_string().starts_with("`backward`"));
        }
        let judge = JudgeConfig::new().init().unwrap();
        let error = |orders: BothOrders| judge.outcomes(&orders).unwrap_err().to_string();
        let good = orders(LOGITS);
        assert!(error(BothOrders { forward_second: tensor(&[1.0]), ..good.clone() }).starts_with("`second`"));
        let short = BothOrders { backward_first: tensor(&[1.0]), backward_second: tensor(&[1.0]), ..good };
        assert!(error(short).starts_with("`backward`"));
        let device = burn::tensor::Device::flex();
        let none = || Tensor::<2>::zeros([1, 0], &device);
        assert!(verdict_logits(none()).unwrap_err().to_string().starts_with("`variants`"));
        assert!(expected_grades(none(), tensor(&[1.0])).unwrap_err().to_string().starts_with("`grades`"));
        assert!(expected_grades(none(), tensor(&[])).unwrap_err().to_string().starts_with("`logits`"));
    }
}
