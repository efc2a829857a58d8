//! Advantages of Decoupled Value Policy Optimization (DVPO): differences of a frozen value model.
//!
//! **Paper:** Lean and Mean: Decoupled Value Policy Optimization with Global Value Guidance (2025), 2502.16944.
//! **Use when:** a value model was fitted to offline feedback, and the policy is to be trained without a reward model and
//! without updating a critic.
//! **Checked by:** values by hand, the telescoping sum, [`gae`](mod@super::gae) with λ = 0.
//! **Deviations:** this is the form for a value model alone; with a model of actions the advantage is `Q(s_t, a_t) − V(s_t)`,
//! which needs no scan. Not whitened: see [`masked_whiten`](accordant_ops::masked::masked_whiten).

use burn::tensor::{Bool, Tensor};

use super::scan::{Reader, Rows};
use crate::Result;

/// Advantages `A_t = V(s_{t+}) − V(s_t)`, where `t+` is the row's next scored token and the value after the last one is the
/// row's feedback.
///
/// Their sum over a row is the feedback less the first value, whatever stands between; a constant added to the values
/// cancels if it is added to the feedback too.
///
/// # Shapes
/// `values` and `mask`: `[batch, seq]`, values of the state before each token; `feedback`: `[batch]`, the final reward in
/// the unit of the values. The result is `[batch, seq]`, a constant, in f64 for f64 values and f32 otherwise; 0 where the
/// mask is false.
///
/// # Errors
/// A shape error naming `values` or `feedback`, which have to match `mask`.
///
/// # Example
/// ```
/// use accordant_objectives::advantage::dvpo::dvpo_advantages;
/// use burn::tensor::{Device, Tensor, TensorData};
/// let device = Device::flex();
/// let values = Tensor::from_floats([[0.25, 0.75, f32::NAN]], &device);
/// let mask = Tensor::from_bool(TensorData::from([[true, true, false]]), &device);
/// let advantages = dvpo_advantages(values, Tensor::from_floats([1.0], &device), mask)?;
/// assert_eq!(advantages.try_to_vec_as::<f32>().unwrap(), [0.5, 0.25, 0.0]);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2502.16944")]
#[doc(alias = "Lean and Mean: Decoupled Value Policy Optimization with Global Value Guidance")]
pub fn dvpo_advantages(values: Tensor<2>, feedback: Tensor<1>, mask: Tensor<2, Bool>) -> Result<Tensor<2>> {
    let rows = Rows::new(&mask, &values);
    rows.check_tokens("values", values.dims())?;
    rows.check_rows("feedback", feedback.dims())?;
    let mut columns = Reader::default().floats(&values).floats(&feedback).bools(&mask).read();
    let (values, feedback, mask) = (columns.floats(), columns.floats(), columns.bools());
    let advantages = rows.backward(
        &mask,
        |row| feedback[row],
        |next, at| {
            let advantage = *next - values[at];
            *next = values[at];
            advantage
        },
    );
    Ok(rows.write(advantages))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        advantage::{
            gae::{GaeConfig, GaeInput, Lambda, Whiten, gae},
            scan::tests::{grid, keep, near},
        },
        pairwise::tests::{column, tensor},
        unpaired::tests::labels,
    };

    fn values(shift: f64) -> Tensor<2> {
        grid(&[[0.25, f64::NAN, 1.0, -0.5], [f64::NAN, 0.75, 0.0, f64::NAN], [f64::NAN; 4]]) + shift
    }

    fn mask() -> Tensor<2, Bool> {
        keep(&[[1, 0, 1, 1], [0, 1, 1, 0], [0; 4]])
    }

    #[test]
    fn values_by_hand_telescope_and_a_shift_cancels() {
        let by = |shift| {
            column(&dvpo_advantages(values(shift), tensor(&[2.0, -1.0, 5.0]) + shift, mask()).unwrap().flatten(0, 1))
        };
        let expected = [0.75, 0.0, -1.5, 2.5, 0.0, -0.75, -1.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        assert_eq!(by(0.0), expected);
        assert_eq!(by(0.0)[..4].iter().sum::<f64>(), 2.0 - 0.25);
        near(&by(3.0), &expected, 1e-15);
    }

    #[test]
    fn it_is_one_step_of_gae_that_ends_at_the_feedback() {
        let feedback = tensor(&[2.0, -1.0, 5.0]);
        let input = GaeInput::new(values(0.0).zeros_like(), values(0.0), mask()).unwrap();
        let input = input.with_truncated(labels(&[true; 3]), feedback.clone()).unwrap();
        let config = GaeConfig::new().with_gae_lambda(Lambda::Constant(0.0)).with_whiten(Whiten::None);
        let gae = gae(&input, &config).unwrap().advantages;
        let dvpo = dvpo_advantages(values(0.0), feedback, mask()).unwrap();
        assert_eq!(column(&dvpo.flatten(0, 1)), column(&gae.flatten(0, 1)));
    }

    #[test]
    fn wrong_shapes_are_errors() {
        let error = dvpo_advantages(grid(&[[0.0; 4]]), tensor(&[0.0; 3]), mask()).unwrap_err().to_string();
        assert_eq!(error, "`values`: expected shape [3, 4], got [1, 4]");
        let error = dvpo_advantages(values(0.0), tensor(&[0.0]), mask()).unwrap_err().to_string();
        assert_eq!(error, "`feedback`: expected shape [3], got [1]");
    }
}
