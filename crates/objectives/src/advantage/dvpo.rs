//! Advantages of Decoupled Value Policy Optimization (DVPO): differences of a frozen value model.
//!
//! **Paper:** Lean and Mean: Decoupled Value Policy Optimization with Global Value Guidance (2025), 2502.16944.
//! **Use when:** a value model was fitted to offline feedback, and the policy is to be trained without a reward model and
//! without updating a critic.
//! **Checked by:** values by hand, the telescoping sum, [`gae`](mod@super::gae) with λ = 0.
//! **Deviations:** this is the form for a value model alone; with a model of actions the advantage is `Q(s_t, a_t) − V(s_t)`,
//! which needs no scan. A divergence in the reward is subtracted at its token.

use burn::{
    config::Config,
    tensor::{Bool, Tensor},
};

use super::{
    Advantages, Estimator, Method, RewardBatch,
    gae::Whiten,
    scan::{Reader, Rows},
};
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

/// Configuration of [`Dvpo`].
#[derive(Config, Debug, PartialEq)]
pub struct DvpoConfig {
    /// Whether advantages are whitened over the scored tokens. None: ours, so that their sum is what it is.
    #[config(default = "Whiten::None")]
    pub whiten: Whiten,
}

impl DvpoConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<Dvpo> {
        self.whiten.check()?;
        Ok(Dvpo { whiten: self.whiten })
    }
}

/// Differences of a frozen value model; see [`dvpo_advantages`]. The batch's values are that model's, its rewards the
/// feedback. Unlike with [`gae`](mod@super::gae), nothing is made for a critic to learn from.
#[derive(Debug, Clone, PartialEq)]
pub struct Dvpo {
    whiten: Whiten,
}

/// `dvpo` by name.
pub const METHOD: Method = Method {
    name: "dvpo",
    title: "Decoupled Value Policy Optimization",
    build: |options| Ok(Box::new(options.apply("dvpo", DvpoConfig::new())?.init()?)),
};

impl Estimator for Dvpo {
    fn name(&self) -> &'static str {
        "dvpo"
    }

    fn needs_values(&self) -> bool {
        true
    }

    fn estimate(&self, batch: &RewardBatch) -> Result<Advantages> {
        let mask = batch.scored_mask()?;
        let advantages = dvpo_advantages(batch.values(self.name())?, batch.raw_rewards(), mask.clone())?;
        let advantages = match batch.penalties()? {
            Some(penalties) => (advantages - penalties).mask_fill(mask.clone().bool_not(), 0.0),
            None => advantages,
        };
        Advantages::of_tokens(batch, self.whiten.apply(advantages, mask)?)
    }
}

#[cfg(test)]
mod tests {
    use accordant_ops::kl::{KlEstimator, KlOptions};

    use super::*;
    use crate::{
        advantage::{
            gae::{GaeConfig, GaeInput, Lambda, gae},
            scan::tests::{grid, keep, near},
            tests::{advantages, batch},
        },
        pairwise::tests::{column, tensor},
        unpaired::tests::labels,
    };

    const JUNK: f64 = f64::NAN;

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

    #[test]
    fn the_estimator_subtracts_a_divergence_and_whitens_as_asked() {
        let rows = batch(&[2.0, f64::NAN], &[1, 1], &[[1, 1, 0], [1, 1, 1]]).with_values(grid(&[[0.5, 1.0, JUNK]; 2]));
        let plain = DvpoConfig::new().init().unwrap();
        assert_eq!(DvpoConfig::new(), DvpoConfig { whiten: Whiten::None });
        let rows = rows.unwrap();
        assert_eq!(advantages(&plain, &rows), [0.5, 1.0, 0.0, 0.0, 0.0, 0.0]);
        let rows = rows.with_logps(grid(&[[-1.0; 3]; 2]), grid(&[[-3.0, -1.0, JUNK], [-2.0; 3]])).unwrap();
        let rows = rows.penalized("test", 0.25, &KlOptions::new(KlEstimator::K1)).unwrap();
        assert_eq!(advantages(&plain, &rows), [0.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
        // Two numbers: ±1/2 of deviation √½.
        let whitened = advantages(&DvpoConfig::new().with_whiten(Whiten::Batch).init().unwrap(), &rows);
        let unit = 0.5 / (0.5f64 + 1e-8).sqrt();
        near(&whitened, &[-unit, unit, 0.0, 0.0, 0.0, 0.0], 1e-14);
        let refused = DvpoConfig::new().with_whiten(Whiten::GlobalStats { mean: 0.0, std: -1.0 }).init();
        assert!(refused.unwrap_err().to_string().starts_with("`whiten.std`"));
        let error = plain.estimate(&batch(&[1.0], &[1], &[[1]])).unwrap_err().to_string();
        assert!(error.starts_with("`dvpo` needs `values`"), "{error}");
    }
}
