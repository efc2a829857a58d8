//! Itakura-Saito loss: a critic for exponential utility, averse to risk or fond of it.
//!
//! **Paper:** Risk-Averse Reinforcement Learning with Itakura-Saito Loss (2025), 2505.16925.
//! **Use when:** a critic is to predict not the mean return but what a sure return would have to be to be as good.
//! **Checked by:** values by hand, the minimizer `−ln E[e^{−aT}]/a`, half the squared error as a → 0, finite differences.
//! **Deviations:** linear beyond `z` = 20, where the paper's loss overflows; the loss is divided by a² unless told not to,
//! so that its size hardly depends on `a`.

use accordant_ops::{check_domain, distribution::risk::itakura_saito};
use burn::{config::Config, tensor::Tensor};

use super::{ValueBatch, ValueObjective, ValueOutput, wide};
use crate::Result;

/// Losses of predictions `V` against targets `T`, the batch's returns.
///
/// ```text
/// (e^z − z − 1)/c,   z = −a γ^t (T − V)
/// ```
///
/// With `a` > 0 overestimates cost exponentially much and the minimizer is the entropic risk measure
/// `V* = −(1/a) ln E[e^{−aT}]`, at most `E[T]`: the mean as `a` → 0, the worst case as `a` → ∞. `a` < 0 seeks risk. `T + k`
/// gives `V* + k`: the loss depends on `T − V` alone. It is 0 where both agree and positive elsewhere; the gradient with
/// respect to `V` is `a γ^t (e^z − 1)/c`. For z > 20 the exponential goes on as its tangent.
///
/// Targets of one step are `r + V(s')`, undiscounted, with 0 for the value after the end. With a discount, the recursion
/// needs `a γ^t` at depth `t`: `risk_decay` is that `γ`, and `t` counts the kept tokens of the row from 0.
///
/// # Shapes
/// `[batch, seq]`; `risk_coef` (a) in units of 1/return, `risk_decay` (γ) per token.
///
/// # Errors
/// A domain error naming the field of `config`.
///
/// # Example
/// ```
/// use accordant_objectives::value::{ValueBatch, itakura_saito::{ItakuraSaitoConfig, itakura_saito_losses}};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let (values, returns) = (Tensor::from_floats([[0.0]], &device), Tensor::from_floats([[0.5]], &device));
/// let batch = ValueBatch::new(values, returns, Tensor::from_bool([[true]], &device))?;
/// let loss = itakura_saito_losses(&batch, &ItakuraSaitoConfig::new(1.0))?.losses.into_scalar::<f32>();
/// assert!((loss - 0.106_530_66).abs() < 1e-7); // z = −½: e^{−½} − ½
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2505.16925")]
#[doc(alias = "Risk-Averse Reinforcement Learning with Itakura-Saito Loss")]
#[doc(alias = "entropic risk measure")]
#[doc(alias = "exponential utility")]
pub fn itakura_saito_losses(batch: &ValueBatch, config: &ItakuraSaitoConfig) -> Result<ValueOutput> {
    config.check()?;
    let errors = batch.values() - batch.returns();
    let z = if config.risk_decay == 1.0 {
        errors * config.risk_coef
    } else {
        let powers = (depths(batch) * config.risk_decay.ln()).exp();
        errors * powers * config.risk_coef
    };
    let scale = match config.scale {
        RiskScale::PerSquare => config.risk_coef.powi(2).recip(),
        RiskScale::One => 1.0,
    };
    ValueOutput::unclipped(itakura_saito(z) * scale, batch)
}

/// How many kept tokens of its row come before each kept token.
fn depths(batch: &ValueBatch) -> Tensor<2> {
    let kept = batch.mask.clone().cast(wide(batch.values.dtype()));
    if kept.shape().num_elements() == 0 { kept } else { kept.clone().cumsum(1) - kept }
}

/// What the Itakura-Saito loss is divided by.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum RiskScale {
    /// `a²`: small risk coefficients give half the squared error.
    PerSquare,
    /// 1, the paper's loss as it is.
    One,
}

/// Configuration of [`ItakuraSaito`].
#[derive(Config, Debug, PartialEq)]
pub struct ItakuraSaitoConfig {
    /// Aversion to risk in units of 1/return, of size 1e-6 to 1e6; negative to seek it. No default: it means nothing
    /// without the unit of the returns. For none at all there is the squared error.
    pub risk_coef: f64,
    /// Factor of the risk coefficient from one token to the next, in `(0, 1]`: the discount of the targets. 1: no
    /// discount.
    #[config(default = 1.0)]
    pub risk_decay: f64,
    /// What the loss is divided by. `PerSquare`: ours, so that a learning rate serves all coefficients.
    #[config(default = "RiskScale::PerSquare")]
    pub scale: RiskScale,
}

impl ItakuraSaitoConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<ItakuraSaito> {
        self.check()?;
        Ok(ItakuraSaito { config: self.clone() })
    }

    fn check(&self) -> Result<()> {
        let holds = (1e-6..=1e6).contains(&self.risk_coef.abs());
        check_domain(holds, "risk_coef", "of size 1e-6 to 1e6", self.risk_coef)?;
        let holds = self.risk_decay > 0.0 && self.risk_decay <= 1.0;
        Ok(check_domain(holds, "risk_decay", "in (0, 1]", self.risk_decay)?)
    }
}

/// The Itakura-Saito loss; see [`itakura_saito_losses`].
#[derive(Debug, Clone, PartialEq)]
pub struct ItakuraSaito {
    config: ItakuraSaitoConfig,
}

impl ValueObjective for ItakuraSaito {
    fn forward(&self, batch: &ValueBatch) -> Result<ValueOutput> {
        itakura_saito_losses(batch, &self.config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        advantage::scan::tests::{grid, keep, near},
        value::{
            clipped_value::clipped_value_losses,
            tests::{batch, check_objective, flat, values_and_gradients},
        },
    };

    fn config(risk_coef: f64) -> ItakuraSaitoConfig {
        ItakuraSaitoConfig::new(risk_coef)
    }

    fn one(config: &ItakuraSaitoConfig, value: f64, target: f64) -> (f64, f64) {
        let (losses, grads) = values_and_gradients(batch(&[value], &[target]), &config.init().unwrap());
        (losses[0], grads[0])
    }

    #[test]
    fn values_and_gradients_by_hand() {
        let (loss, grad) = one(&config(1.0), 0.0, 0.5);
        assert!((loss - 0.1065306597).abs() < 1e-10);
        assert!((grad - ((-0.5f64).exp() - 1.0)).abs() < 1e-15);
        // a = 2, T − V = −1.5: z = 3; over 4, or as it is.
        let (loss, grad) = one(&config(2.0), 1.0, -0.5);
        assert!((loss - (3f64.exp() - 4.0) / 4.0).abs() < 1e-14 && (grad - (3f64.exp() - 1.0) / 2.0).abs() < 1e-14);
        let (loss, grad) = one(&config(2.0).with_scale(RiskScale::One), 1.0, -0.5);
        assert!((loss - 3f64.exp() + 4.0).abs() < 1e-14 && (grad - 2.0 * (3f64.exp() - 1.0)).abs() < 1e-13);
        // Seeking risk mirrors it.
        let (mirrored, _) = one(&config(-2.0), 0.5, 2.0);
        assert!((mirrored - (3f64.exp() - 4.0) / 4.0).abs() < 1e-14);
        assert_eq!(one(&config(3.0), 0.7, 0.7), (0.0, 0.0));
        assert_eq!(one(&config(3.0), 0.75, 0.5), one(&config(3.0), 8.75, 8.5), "it reads the difference alone");
    }

    #[test]
    fn the_minimizer_is_the_entropic_risk_measure() {
        let targets = [0.0, 1.0, 3.0];
        let mut last = targets.iter().sum::<f64>() / 3.0;
        for risk in [1e-3, 0.5, 1.0, 4.0, 50.0] {
            let best = -(targets.iter().map(|target| (-risk * target).exp()).sum::<f64>() / 3.0).ln() / risk;
            let objective = config(risk).init().unwrap();
            let slope =
                |value: f64| values_and_gradients(batch(&[value; 3], &targets), &objective).1.iter().sum::<f64>();
            assert!(slope(best).abs() < 1e-10, "{risk}: {}", slope(best));
            assert!(slope(best - 0.01) < 0.0 && slope(best + 0.01) > 0.0);
            assert!(best < last && best > 0.0, "more aversion, less value");
            last = best;
        }
    }

    #[test]
    fn a_small_coefficient_is_half_the_squared_error() {
        let batch = batch(&[1.0, -2.0], &[2.0, 0.5]);
        let squares = flat(&clipped_value_losses(&batch, None).unwrap().losses);
        for risk in [1e-6, -1e-6] {
            near(&flat(&itakura_saito_losses(&batch, &config(risk)).unwrap().losses), &squares, 1e-5);
        }
    }

    #[test]
    fn beyond_20_it_is_linear() {
        let slope = 20f64.exp_m1();
        for (z, expected) in
            [(20.0, slope - 20.0), (25.0, slope - 20.0 + 5.0 * slope), (1e4, slope - 20.0 + 9980.0 * slope)]
        {
            let (loss, grad) = one(&config(1.0), z, 0.0);
            assert!((loss / expected - 1.0).abs() < 1e-14 && (grad / slope - 1.0).abs() < 1e-14, "{z}: {loss} {grad}");
        }
        let (loss, grad) = one(&config(1.0), -1e4, 0.0);
        assert_eq!((loss, grad), (9999.0, -1.0));
    }

    #[test]
    fn the_coefficient_decays_from_one_kept_token_to_the_next() {
        let masked = |mask: &[[u8; 4]], values: &[[f64; 4]]| {
            let batch = ValueBatch::new(grid(values), grid(&vec![[0.0; 4]; mask.len()]), keep(mask)).unwrap();
            flat(&itakura_saito_losses(&batch, &config(2.0).with_risk_decay(0.5)).unwrap().losses)
        };
        let nan = f64::NAN;
        let got = masked(&[[0, 1, 0, 1], [1, 1, 1, 0]], &[[nan, 1.0, nan, 1.0], [1.0, 1.0, 1.0, nan]]);
        // z = 2, 1, 0.5, over a² = 4.
        let [first, second, third] = [2.0f64, 1.0, 0.5].map(|z| (z.exp() - z - 1.0) / 4.0);
        near(&got, &[0.0, first, 0.0, second, first, second, third, 0.0], 1e-15);
    }

    #[test]
    fn it_keeps_the_contract_of_value_objectives() {
        check_objective(&config(0.7).init().unwrap());
        check_objective(&config(-0.3).with_risk_decay(0.9).with_scale(RiskScale::One).init().unwrap());
    }

    #[test]
    fn senseless_settings_are_refused_by_name() {
        let expected = ItakuraSaitoConfig { risk_coef: 2.0, risk_decay: 1.0, scale: RiskScale::PerSquare };
        assert_eq!(config(2.0), expected);
        for (config, name) in [
            (config(0.0), "`risk_coef`"),
            (config(-9e-7), "`risk_coef`"),
            (config(1.1e6), "`risk_coef`"),
            (config(f64::NAN), "`risk_coef`"),
            (config(1.0).with_risk_decay(0.0), "`risk_decay`"),
            (config(1.0).with_risk_decay(1.1), "`risk_decay`"),
            (config(1.0).with_risk_decay(f64::NAN), "`risk_decay`"),
        ] {
            assert!(config.init().unwrap_err().to_string().starts_with(name));
            let error = itakura_saito_losses(&batch(&[1.0], &[1.0]), &config).unwrap_err().to_string();
            assert!(error.starts_with(name), "{error}");
        }
    }
}
