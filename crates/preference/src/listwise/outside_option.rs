//! Outside option: a choice among several, or none of them.
//!
//! **Paper:** A Contextual Quality Reward Model for Reliable and Efficient Best-of-N Sampling (2025), 2510.04087.
//! **Status:** the choice model is the paper's; the nested form and the learned outside utility are ours.
//! **Use when:** annotators may say that nothing is acceptable: then a score above 0 means "acceptable".
//! **Checked by:** a published figure, hand-worked values, softmax without the option, logistic regression with one
//! candidate, finite differences.
//! **Deviations:** the status says it.

use accordant_ops::{
    check_domain, check_dtype, check_shape,
    lists::choice_logps,
    stable::{log_sigmoid, log_sum_exp},
};
use burn::{
    config::Config,
    tensor::{Bool, Int, Tensor, TensorData},
};

use crate::{Nll, Result, error::check_length, error::check_record};

/// Utilities of the candidates of each choice, `[n, k]`, and what was chosen.
#[derive(Debug, Clone)]
pub struct Choices {
    utilities: Tensor<2>,
    present: Tensor<2, Bool>,
    chosen: Vec<Option<usize>>,
    offered: Vec<bool>,
    outside: Tensor<1>,
    weights: Tensor<1>,
}

impl Choices {
    /// What was chosen of candidates that are all there; none of them was an option everywhere.
    ///
    /// # Errors
    /// [`crate::Error::Length`] naming `chosen`; [`crate::Error::Index`] for a candidate that is not there;
    /// [`crate::Error::Empty`] for choices without a candidate.
    pub fn new(utilities: Tensor<2>, chosen: &[Option<usize>]) -> Result<Self> {
        let [n, k] = utilities.dims();
        check_length("chosen", n, chosen.len())?;
        if k == 0 {
            return Err(crate::Error::Empty { name: "utilities", reason: "there is no candidate to choose" });
        }
        for (row, choice) in chosen.iter().enumerate().filter_map(|(row, choice)| choice.map(|choice| (row, choice))) {
            crate::error::check_index(row, "chosen", choice, k)?;
        }
        let present = Tensor::<2, Bool>::full([n, k], true, &utilities.device());
        let zeros = utilities.clone().detach().narrow(1, 0, 1).reshape([n]).zeros_like();
        let weights = zeros.ones_like();
        Ok(Self { utilities, present, chosen: chosen.to_vec(), offered: vec![true; n], outside: zeros, weights })
    }

    /// Which candidates are there; what was chosen is among them.
    ///
    /// # Errors
    /// A shape error naming `present`; [`crate::Error::Record`] for a choice of what is not there, and for an empty choice
    /// set.
    pub fn with_present(mut self, present: &[Vec<bool>]) -> Result<Self> {
        let [n, k] = self.utilities.dims();
        check_length("present", n, present.len())?;
        for (row, there) in present.iter().enumerate() {
            check_length("present", k, there.len())?;
            check_record(there.contains(&true), row, "present", "at least one candidate", 0.0)?;
            if let Some(choice) = self.chosen[row] {
                check_record(there[choice], row, "chosen", "a candidate that is there", choice as f64)?;
            }
        }
        self.present =
            Tensor::<2, Bool>::from_data(TensorData::new(present.concat(), [n, k]), &self.utilities.device());
        Ok(self)
    }

    /// Where "none" was an option; elsewhere the likelihood is that of a choice among the candidates alone.
    ///
    /// # Errors
    /// [`crate::Error::Length`] naming `offered`; [`crate::Error::Record`] where none was chosen and it was no option.
    pub fn with_offered(mut self, offered: &[bool]) -> Result<Self> {
        check_length("offered", self.chosen.len(), offered.len())?;
        for (row, (choice, offered)) in self.chosen.iter().zip(offered).enumerate() {
            check_record(*offered || choice.is_some(), row, "offered", "true where none was chosen", 0.0)?;
        }
        self.offered = offered.to_vec();
        Ok(self)
    }

    /// The utility of choosing none, `[n]`: 0 by default, or what a head says of the prompt. It carries a gradient; add
    /// [`level_penalty`] to its loss, or acceptability has no level.
    ///
    /// # Errors
    /// A shape or dtype error naming `outside`.
    pub fn with_outside(mut self, outside: Tensor<1>) -> Result<Self> {
        check_shape("outside", &self.weights.dims(), &outside.dims())?;
        check_dtype("outside", self.utilities.dtype(), outside.dtype())?;
        self.outside = outside;
        Ok(self)
    }

    /// How much each choice counts in a mean, ≥ 0.
    ///
    /// # Errors
    /// A shape error naming `weights`.
    pub fn with_weights(mut self, weights: Tensor<1>) -> Result<Self> {
        check_shape("weights", &self.weights.dims(), &weights.dims())?;
        self.weights = weights.detach();
        Ok(self)
    }
}

/// Log-probabilities of choosing each candidate and, last, none of them, `[n, k + 1]`.
///
/// ```text
/// nesting 1:  P(j) = e^{u_j} / (e^{u_0} + Σ e^u),   P(none) = e^{u_0} / (e^{u_0} + Σ e^u)
/// else:       P(in) = σ(I − u_0),   I = λ log Σ e^{u/λ},   P(j) = P(in) softmax(u/λ)_j
/// ```
///
/// # Shapes
/// `nesting` (λ) in (0, 1]: how alike the candidates are next to choosing none. What was not offered has log-probability 0
/// and means nothing.
///
/// # Errors
/// None that the constructors have not seen.
///
/// # Example
/// ```
/// use accordant_preference::listwise::outside_option::{Choices, choice_outcomes};
/// use burn::tensor::{Device, Tensor};
/// let utilities = Tensor::<2>::from_floats([[2f32.ln(), 0.0]], &Device::flex());
/// let chances = choice_outcomes(&Choices::new(utilities, &[None])?, 1.0)?.exp().try_to_vec_as::<f32>().unwrap();
/// for (got, expected) in chances.iter().zip([0.5, 0.25, 0.25]) {
///     assert!((got - expected).abs() < 1e-6); // 2 : 1 : 1
/// }
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "2510.04087")]
#[doc(alias = "multinomial logit")]
pub fn choice_outcomes(choices: &Choices, nesting: f64) -> Result<Tensor<2>> {
    let utilities = choices.utilities.clone().mask_fill(choices.present.clone().bool_not(), 0.0);
    let [n, _] = utilities.dims();
    let outside = choices.outside.clone().reshape([n, 1]);
    let device = utilities.device();
    let offered = Tensor::<2, Bool>::from_data(TensorData::new(choices.offered.clone(), [n, 1]), &device);
    if nesting == 1.0 {
        let all = Tensor::cat(vec![choices.present.clone(), offered], 1);
        return Ok(choice_logps(Tensor::cat(vec![utilities, outside], 1), all)?);
    }
    let sharp = utilities * nesting.recip();
    let absent = choices.present.clone().bool_not();
    let inclusive = log_sum_exp(sharp.clone().mask_fill(absent.clone(), f32::NEG_INFINITY), 1) * nesting - outside;
    let not_offered = offered.bool_not();
    let within = log_sigmoid(inclusive.clone()).mask_fill(not_offered.clone(), 0.0);
    let none = log_sigmoid(-inclusive).mask_fill(not_offered, 0.0);
    let [_, k] = sharp.dims();
    let each = (choice_logps(sharp, choices.present.clone())? + within.repeat_dim(1, k)).mask_fill(absent, 0.0);
    Ok(Tensor::cat(vec![each, none], 1))
}

/// `(mean u_0)²`, `[1]`: keeps the level of a learned outside utility.
pub fn level_penalty(outside: Tensor<1>) -> Tensor<1> {
    outside.mean().square()
}

/// Configuration of [`OutsideOption`].
#[derive(Config, Debug, PartialEq)]
pub struct OutsideOptionConfig {
    /// How alike the candidates are next to choosing none, in (0, 1]; λ. 1: no nest, the paper's.
    #[config(default = 1.0)]
    pub nesting: f64,
}

impl OutsideOptionConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<OutsideOption> {
        let nesting = self.nesting;
        check_domain(nesting > 0.0 && nesting <= 1.0, "nesting", "in (0, 1]", nesting)?;
        Ok(OutsideOption { nesting })
    }
}

/// The choice model with an outside option; see [`choice_outcomes`].
#[derive(Debug, Clone, PartialEq)]
pub struct OutsideOption {
    nesting: f64,
}

impl OutsideOption {
    /// The negative log-likelihood of what was chosen; logs the predicted and the observed share of choosing any where none
    /// was an option, `predicted_acceptance` and `acceptance`.
    ///
    /// # Errors
    /// None that the constructors have not seen.
    pub fn forward(&self, choices: &Choices) -> Result<Nll> {
        let logps = choice_outcomes(choices, self.nesting)?;
        let [n, options] = logps.dims();
        let device = logps.device();
        let places: Vec<i64> = choices.chosen.iter().map(|choice| choice.unwrap_or(options - 1) as i64).collect();
        let places = Tensor::<1, Int>::from_ints(places.as_slice(), &device).reshape([n, 1]);
        let rejected = logps.clone().narrow(1, options - 1, 1).reshape([n]).detach().exp();
        let column = |number: &dyn Fn(usize) -> f64| {
            let numbers: Vec<f64> = (0..n).map(number).collect();
            Tensor::<1>::from_data(TensorData::new(numbers, [n]), (&device, logps.dtype()))
        };
        let offered = column(&|row| f64::from(u8::from(choices.offered[row])));
        let accepted = column(&|row| f64::from(u8::from(choices.chosen[row].is_some())));
        let losses = -logps.gather(1, places).reshape([n]);
        Nll::new(losses, choices.weights.clone())?
            .with_weighted_metric("predicted_acceptance", -rejected + 1.0, offered.clone())?
            .with_weighted_metric("acceptance", accepted, offered)
    }
}

#[cfg(test)]
mod tests {
    use accordant_laws::gradient::check_gradient;
    use burn::tensor::Device;

    use super::*;
    use crate::{
        listwise::testing::matrix,
        pairwise::testing::{close, tensor, values},
    };

    fn choices(utilities: &[&[f64]], chosen: &[Option<usize>]) -> Choices {
        Choices::new(matrix(utilities, &Device::flex()), chosen).unwrap()
    }

    fn chances(choices: &Choices, nesting: f64) -> Vec<f64> {
        values(choice_outcomes(choices, nesting).unwrap().exp())
    }

    #[test]
    fn a_published_figure() {
        close(&chances(&choices(&[&[0.5, -1.0]], &[None]), 1.0), &[0.546549, 0.121952, 0.331499], 1e-6);
    }

    #[test]
    fn losses_pick_what_was_chosen_and_none_is_a_choice() {
        let all = choices(&[&[2f64.ln(), 0.0][..]; 3], &[Some(0), Some(1), None]);
        let nll = OutsideOptionConfig::new().init().unwrap().forward(&all).unwrap();
        close(&values(nll.losses.clone()), &[2f64.ln(), 4f64.ln(), 4f64.ln()], 1e-14);
        let means = nll.means();
        close(
            &[means.mean("predicted_acceptance").unwrap(), means.mean("acceptance").unwrap()],
            &[0.75, 2.0 / 3.0],
            1e-14,
        );
    }

    #[test]
    fn where_none_was_no_option_it_is_a_softmax_in_the_same_batch() {
        let mixed = choices(&[&[2f64.ln(), 0.0][..]; 2], &[Some(0), Some(0)]).with_offered(&[true, false]).unwrap();
        for nesting in [1.0, 0.5] {
            let nll = OutsideOptionConfig::new().with_nesting(nesting).init().unwrap().forward(&mixed).unwrap();
            let losses = values(nll.losses.clone());
            // 2/(2 + 1), or sharpened to 4/(4 + 1).
            close(&losses[1..], &[-(if nesting == 1.0 { 2.0 / 3.0 } else { 0.8f64 }).ln()], 1e-14);
            assert_eq!(nll.means().mean("acceptance"), Some(1.0), "of one");
        }
        close(&values(OutsideOption { nesting: 1.0 }.forward(&mixed).unwrap().losses)[..1], &[2f64.ln()], 1e-14);
    }

    #[test]
    fn one_candidate_is_a_logistic_regression_on_acceptability() {
        for nesting in [1.0, 0.3] {
            let got = chances(&choices(&[&[3f64.ln()]], &[None]), nesting);
            close(&got, &[0.75, 0.25], 1e-14);
        }
        // An outside utility moves the level.
        let moved = choices(&[&[3f64.ln() + 2.0]], &[None]).with_outside(tensor(&[2.0], &Device::flex())).unwrap();
        close(&chances(&moved, 1.0), &[0.75, 0.25], 1e-14);
        close(&chances(&moved, 0.3), &[0.75, 0.25], 1e-14);
    }

    #[test]
    fn a_nest_by_hand_and_all_chances_add_up_to_1() {
        // λ = ½, u = (ln 2, 0): I = ½ ln(4 + 1), P(in) = √5/(1 + √5), within 4 : 1.
        let inside = 5f64.sqrt() / (1.0 + 5f64.sqrt());
        let got = chances(&choices(&[&[2f64.ln(), 0.0]], &[None]), 0.5);
        close(&got, &[0.8 * inside, 0.2 * inside, 1.0 - inside], 1e-14);
        // As λ → 1 it is the plain choice.
        let own = choices(&[&[0.5, -1.0]], &[None]);
        close(&chances(&own, 1.0 - 1e-9), &chances(&own, 1.0), 1e-8);
    }

    #[test]
    fn better_candidates_are_accepted_more_often() {
        let accepted = |up: f64| 1.0 - chances(&choices(&[&[0.5 + up, -1.0 + up]], &[None]), 1.0)[2];
        assert!(accepted(0.1) > accepted(0.0) && accepted(0.0) > accepted(-0.1));
    }

    #[test]
    fn an_absent_candidate_says_nothing() {
        let there = [vec![true, false, true]];
        for nesting in [1.0, 0.5] {
            let at = |hidden: f64| {
                let all = choices(&[&[0.3, hidden, -0.2]], &[Some(2)]).with_present(&there).unwrap();
                values(OutsideOption { nesting }.forward(&all).unwrap().losses)[0]
            };
            let pair = OutsideOption { nesting }.forward(&choices(&[&[0.3, -0.2]], &[Some(1)])).unwrap();
            close(&[at(9.0), at(f64::NAN)], &[values(pair.losses)[0]; 2], 1e-14);
        }
    }

    #[test]
    fn gradients_are_derivatives() {
        let device = Device::flex().autodiff();
        for nesting in [1.0, 0.4] {
            let run = |x: &[f64]| {
                let (u, outside) = (tensor(&x[..4], &device).require_grad(), tensor(&x[4..], &device).require_grad());
                let all = Choices::new(u.clone().reshape([2, 2]), &[Some(1), None]).unwrap();
                let all = all.with_outside(outside.clone()).unwrap();
                let loss = OutsideOption { nesting }.forward(&all).unwrap().losses.sum();
                (loss + level_penalty(outside.clone()), u, outside)
            };
            let at = [0.3, -1.0, 0.2, 0.7, 0.1, -0.4];
            let (loss, u, outside) = run(&at);
            let grads = loss.backward();
            let gradient = [u, outside].map(|x| values(x.grad(&grads).unwrap())).concat();
            check_gradient(|x| values(run(x).0)[0], &at, &gradient).unwrap();
        }
        close(&values(level_penalty(tensor(&[1.0, 3.0], &device))), &[4.0], 1e-15);
    }

    #[test]
    fn far_out_it_stays_finite() {
        for nesting in [1.0, 0.4] {
            for u in [[1e4, -1e4], [-1e4, -1e4], [1e4, 1e4]] {
                assert!(
                    values(choice_outcomes(&choices(&[&u], &[None]), nesting).unwrap()).iter().all(|x| x.is_finite())
                );
            }
        }
    }

    #[test]
    fn an_empty_choice_set_and_impossible_choices_are_errors() {
        let one = || matrix(&[&[0.0, 1.0]], &Device::flex());
        let text = |result: Result<Choices>| result.unwrap_err().to_string();
        assert_eq!(text(Choices::new(one(), &[])), "`chosen`: expected 1 entries, got 0");
        assert_eq!(text(Choices::new(one(), &[Some(2)])), "record 0: `chosen` 2 is not in 0..2");
        let empty = Tensor::<2>::from_data(TensorData::new(Vec::<f32>::new(), [2, 0]), &Device::flex());
        assert!(text(Choices::new(empty, &[None, None])).starts_with("`utilities`: nothing to learn from"));
        let all = || Choices::new(one(), &[Some(0)]).unwrap();
        assert_eq!(
            text(all().with_present(&[vec![false, false]])),
            "record 0: `present`: expected at least one candidate, got 0"
        );
        let error = text(all().with_present(&[vec![false, true]]));
        assert_eq!(error, "record 0: `chosen`: expected a candidate that is there, got 0");
        assert!(text(all().with_present(&[vec![true]])).starts_with("`present`: expected 2 entries"));
        assert!(text(all().with_present(&[])).starts_with("`present`: expected 1 entries"));
        let error = text(Choices::new(one(), &[None]).unwrap().with_offered(&[false]));
        assert_eq!(error, "record 0: `offered`: expected true where none was chosen, got 0");
        assert!(text(all().with_offered(&[])).starts_with("`offered`"));
        let device = Device::flex();
        assert!(text(all().with_outside(tensor(&[], &device))).starts_with("`outside`"));
        assert!(text(all().with_outside(Tensor::zeros([1], &device))).starts_with("`outside`: expected dtype"));
        assert!(text(all().with_weights(tensor(&[], &device))).starts_with("`weights`"));
        assert_eq!(OutsideOptionConfig::new().nesting, 1.0);
        for bad in [0.0, -1.0, 1.1, f64::NAN] {
            let error = OutsideOptionConfig::new().with_nesting(bad).init().unwrap_err().to_string();
            assert_eq!(error, format!("`nesting`: expected in (0, 1], got {bad}"));
        }
    }
}
