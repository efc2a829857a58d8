<<<<<<< HEAD
//! Generative pairwise judges.
//!
//! **Paper:** SCOPE: Selective Conformal Optimized Pairwise LLM Judging (2026), 2602.13110, for both orders and their entropy; a
//! reward against an anchor as in A Unified Pairwise Framework for RLHF: Bridging Generative Reward Modeling and Policy
//! Optimization (2025), 2504.04950.
//! **Use when:** a language model is asked which of two responses is better, and a number is wanted instead of a word.
//! **Checked by:** published figures, hand-worked logits, swaps, the pair model on tensors.
//! **Deviations:** none.

use accordant_ops::{
    check_domain,
    host::{log_sum_exp, logistic},
};

use crate::{Error, Result, error::check_record};

/// The chance of verdict A against B, from the logits of all spellings of both.
///
/// ```text
/// P(A) = σ((log Σ exp l_A − log Σ exp l_B) / τ)
/// ```
///
/// # Errors
/// [`Error::Empty`] for a verdict without a spelling, [`Error::Record`] for a logit that is NaN or +∞, a domain error for a
/// temperature that is not finite and > 0 and when no spelling of either is possible.
///
/// # Example
/// ```
/// use accordant_preference::implicit::judge::verdict_chance;
/// // "A" and " A" with one logit each, "B" with the double weight of one: even.
/// let chance = verdict_chance(&[1.0, 1.0], &[1.0 + 2f64.ln()], 1.0)?;
/// assert!((chance - 0.5).abs() < 1e-15);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn verdict_chance(a: &[f64], b: &[f64], temperature: f64) -> Result<f64> {
    check_domain(temperature.is_finite() && temperature > 0.0, "temperature", "finite and > 0", temperature)?;
    for (name, logits) in [("a", a), ("b", b)] {
        if logits.is_empty() {
            return Err(Error::Empty { name, reason: "a verdict needs a spelling" });
        }
        for (row, &logit) in logits.iter().enumerate() {
            check_record(logit < f64::INFINITY, row, name, "a logit below infinity", logit)?;
        }
    }
    let difference = log_sum_exp(a) - log_sum_exp(b);
    check_domain(!difference.is_nan(), "logits", "a verdict that is possible", difference)?;
    Ok(logistic(difference / temperature))
}

/// The chance that the first response is better, whatever the order in which a judge reads them.
///
/// ```text
/// p̄ = ½ [P(first wins | first is read first) + 1 − P(second wins | second is read first)]
/// ```
///
/// On tensors this is [`PairModel`](crate::general::pair_model::PairModel).
///
/// # Errors
/// A domain error naming the chance that is none.
///
/// # Example
/// ```
/// use accordant_preference::implicit::judge::both_orders;
/// assert_eq!(both_orders(0.875, 0.5)?, 0.6875);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "position bias")]
#[doc(alias = "2602.13110")]
pub fn both_orders(first_read_first: f64, second_read_first: f64) -> Result<f64> {
    check_chance("first_read_first", first_read_first)?;
    check_chance("second_read_first", second_read_first)?;
    Ok(f64::midpoint(first_read_first, 1.0 - second_read_first))
}

/// How much the order moves the judge: `|P(first) + P(second) − 1|`, each asked when it is read first.
///
/// # Errors
/// As [`both_orders`].
pub fn position_bias(first_read_first: f64, second_read_first: f64) -> Result<f64> {
    check_chance("first_read_first", first_read_first)?;
    check_chance("second_read_first", second_read_first)?;
    Ok((first_read_first + second_read_first - 1.0).abs())
}

/// How undecided a verdict is: the entropy of its chances, in nats; ln 2 at most.
///
/// # Errors
/// A domain error naming `chance`.
///
/// # Example
/// ```
/// use accordant_preference::implicit::judge::preference_entropy;
/// assert_eq!((preference_entropy(0.5)?, preference_entropy(1.0)?), (2f64.ln(), 0.0));
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "bidirectional preference entropy")]
#[doc(alias = "BPE")]
pub fn preference_entropy(chance: f64) -> Result<f64> {
    check_chance("chance", chance)?;
    // 0 ln 0 is 0.
    let term = |p: f64| if p > 0.0 { -p * p.ln() } else { 0.0 };
    Ok(term(chance) + term(1.0 - chance))
}

/// A reward from verdicts against an anchor answer: their log-odds. ±∞ of a certain verdict.
///
/// # Errors
/// A domain error naming `chance`.
///
/// # Example
/// ```
/// use accordant_preference::implicit::judge::anchor_reward;
/// assert_eq!(anchor_reward(0.75)?, 3f64.ln());
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "2504.04950")]
pub fn anchor_reward(chance: f64) -> Result<f64> {
    check_chance("chance", chance)?;
    Ok((chance / (1.0 - chance)).ln())
}

/// The mean of scores that a judge could give, by their chances; the chances add up to 1.
///
/// # Errors
/// [`Error::Length`] naming `chances`, [`Error::Record`] for a score that is not finite or a chance that is none, a domain
/// error unless the chances add up to 1 within 1e-6.
///
/// # Example
/// ```
/// use accordant_preference::implicit::judge::expected_score;
/// assert_eq!(expected_score(&[1.0, 2.0, 5.0], &[0.5, 0.25, 0.25])?, 2.25);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn expected_score(scores: &[f64], chances: &[f64]) -> Result<f64> {
    crate::error::check_length("chances", scores.len(), chances.len())?;
    for (row, (score, chance)) in scores.iter().zip(chances).enumerate() {
        check_record(score.is_finite(), row, "scores", "a finite number", *score)?;
        check_record((0.0..=1.0).contains(chance), row, "chances", "a chance in [0, 1]", *chance)?;
    }
    let total: f64 = chances.iter().sum();
    check_domain((total - 1.0).abs() <= 1e-6, "chances", "chances that add up to 1", total)?;
    Ok(scores.iter().zip(chances).map(|(score, chance)| score * chance).sum())
}

fn check_chance(name: &'static str, chance: f64) -> Result<()> {
    Ok(check_domain((0.0..=1.0).contains(&chance), name, "a chance in [0, 1]", chance)?)
=======
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
>>>>>>> pf
}

#[cfg(test)]
mod tests {
<<<<<<< HEAD
    use burn::tensor::{DType, Device, Tensor, TensorData};

    use super::*;
    use crate::{
        general::pair_model::PairModelConfig,
        pairwise::{PairScores, PairwiseModel},
    };

    #[test]
    fn both_orders_as_published() {
        // 0.9 for the first when it is read first, 0.4 for the second when that is.
        let chance = both_orders(0.9, 0.4).unwrap();
        assert!((chance - 0.75).abs() < 1e-15);
        assert!((preference_entropy(chance).unwrap() - 0.56233514).abs() < 1e-8);
        assert!((position_bias(0.9, 0.4).unwrap() - 0.3).abs() < 1e-15);
    }

    #[test]
    fn exchanging_the_responses_exchanges_the_chance_and_keeps_the_entropy() {
        for (first, second) in [(0.9, 0.4), (0.0, 1.0), (0.3, 0.3)] {
            let (chance, swapped) = (both_orders(first, second).unwrap(), both_orders(second, first).unwrap());
            assert!((chance + swapped - 1.0).abs() < 1e-15);
            let entropies = [chance, swapped].map(|chance| preference_entropy(chance).unwrap());
            assert!((entropies[0] - entropies[1]).abs() < 1e-15);
            assert_eq!(position_bias(first, second).unwrap(), position_bias(second, first).unwrap());
        }
    }

    #[test]
    fn the_pair_model_on_tensors_says_the_same() {
        let tensor = |x: f64| Tensor::<1>::from_data(TensorData::from([x]), (&Device::flex(), DType::F64));
        let logits = (0.8, -1.7);
        let pairs = PairScores::new(tensor(logits.0), tensor(logits.1)).unwrap();
        let outcomes = PairModelConfig::new().init().unwrap().outcomes(&pairs).unwrap();
        let expected = both_orders(logistic(logits.0), logistic(logits.1)).unwrap();
        assert!((outcomes.first.exp().into_scalar::<f64>() - expected).abs() < 1e-12);
    }

    #[test]
    fn verdicts_by_hand() {
        let odds = |a: &[f64], b: &[f64], temperature| verdict_chance(a, b, temperature).unwrap();
        assert!((odds(&[3f64.ln()], &[0.0], 1.0) - 0.75).abs() < 1e-15);
        assert!((odds(&[3f64.ln()], &[0.0], 0.5) - 0.9).abs() < 1e-15);
        assert!((odds(&[1f64.ln(), 2f64.ln()], &[0.0, f64::NEG_INFINITY], 1.0) - 0.75).abs() < 1e-15);
        assert_eq!(odds(&[f64::NEG_INFINITY], &[0.0], 1.0), 0.0);
        assert_eq!(odds(&[5000.0], &[0.0], 1.0), 1.0);
        assert_eq!((anchor_reward(0.5).unwrap(), anchor_reward(1.0).unwrap()), (0.0, f64::INFINITY));
        assert_eq!(preference_entropy(0.0).unwrap(), 0.0);
    }

    #[test]
    fn what_is_no_verdict_is_an_error() {
        let text = |result: Result<f64>| result.unwrap_err().to_string();
        assert!(text(verdict_chance(&[], &[0.0], 1.0)).starts_with("`a`"));
        assert!(text(verdict_chance(&[0.0], &[], 1.0)).starts_with("`b`"));
        assert!(text(verdict_chance(&[0.0, f64::NAN], &[0.0], 1.0)).starts_with("record 1: `a`"));
        assert!(text(verdict_chance(&[0.0], &[f64::INFINITY], 1.0)).starts_with("record 0: `b`"));
        assert!(text(verdict_chance(&[f64::NEG_INFINITY], &[f64::NEG_INFINITY], 1.0)).starts_with("`logits`"));
        for temperature in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(text(verdict_chance(&[0.0], &[0.0], temperature)).starts_with("`temperature`"));
        }
        for chance in [-0.1, 1.1, f64::NAN] {
            assert!(text(both_orders(chance, 0.5)).starts_with("`first_read_first`"));
            assert!(text(both_orders(0.5, chance)).starts_with("`second_read_first`"));
            assert!(text(position_bias(chance, 0.5)).starts_with("`first_read_first`"));
            assert!(text(position_bias(0.5, chance)).starts_with("`second_read_first`"));
            assert!(text(preference_entropy(chance)).starts_with("`chance`"));
            assert!(text(anchor_reward(chance)).starts_with("`chance`"));
            assert!(text(expected_score(&[1.0], &[chance])).starts_with("record 0: `chances`"));
        }
        assert!(text(expected_score(&[1.0], &[])).starts_with("`chances`: expected 1"));
        assert!(text(expected_score(&[f64::NAN], &[1.0])).starts_with("record 0: `scores`"));
        assert!(text(expected_score(&[1.0, 2.0], &[0.5, 0.4])).contains("add up to 1, got 0.9"));
=======
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
>>>>>>> pf
    }
}
