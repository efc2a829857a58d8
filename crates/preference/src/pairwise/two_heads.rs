//! Two heads for quality and length (ODIN): what correlates with length goes to a head of its own, and is left out.
//!
//! **Paper:** ODIN: Disentangled Reward Mitigates Hacking in RLHF (2024), 2402.07319.
//! **Use when:** a policy games a reward model by length: train both heads, score with quality alone.
//! **Checked by:** correlations by hand, finite differences, heads without weights, batches without variation.
//! **Deviations:** none; where lengths or rewards do not vary the correlation is 0, without gradient, and counted.

use accordant_ops::{check_domain, check_dtype, check_shape};
use burn::{
    config::Config,
    tensor::{DType, Tensor},
};

use super::{
    PairScores, PairwiseLoss,
    bradley_terry::{BradleyTerry, BradleyTerryConfig},
};
use crate::{ItemReduction, Nll, Result};

/// Pearson's correlation, and 1 where it has none: fewer than two values, or a side with a standard deviation below 1e-8;
/// it is 0 there, without gradient.
#[derive(Debug, Clone)]
pub struct Correlation {
    /// The correlation, `[1]`.
    pub value: Tensor<1>,
    /// 1 where it was not defined, else 0, `[1]`.
    pub undefined: Tensor<1>,
}

/// Pearson's correlation of two columns.
///
/// # Shapes
/// `first` and `second`: `[n]`, to `[1]`.
///
/// # Errors
/// A shape or dtype error naming `second`; a domain error naming `first` without a value.
///
/// # Example
/// ```
/// use accordant_preference::pairwise::two_heads::correlation;
/// use burn::tensor::{Device, Tensor};
/// let tensor = |values: [f32; 3]| Tensor::from_floats(values, &Device::flex());
/// let found = correlation(tensor([1.0, 2.0, 3.0]), tensor([10.0, 30.0, 20.0]))?;
/// assert!((found.value.into_scalar::<f32>() - 0.5).abs() < 1e-6);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn correlation(first: Tensor<1>, second: Tensor<1>) -> Result<Correlation> {
    check_shape("second", &first.dims(), &second.dims())?;
    check_dtype("second", first.dtype(), second.dtype())?;
    check_domain(first.dims()[0] > 0, "first", "at least one value", 0.0)?;
    let dtype = first.dtype();
    // Squares of lengths overflow in half precision. Twice, since the mean of equal values is not exactly they.
    let centered = |x: Tensor<1>| {
        let x = if matches!(dtype, DType::F16 | DType::BF16) { x.cast(DType::F32) } else { x };
        let x = x.clone() - x.mean();
        x.clone() - x.mean()
    };
    let (a, b) = (centered(first), centered(second));
    let (a_spread, b_spread) = (a.clone().square().mean(), b.clone().square().mean());
    // Of the variances: 1e-8 squared.
    let flat = a_spread.clone().lower_equal_scalar(1e-16).bool_or(b_spread.clone().lower_equal_scalar(1e-16));
    // Filled before the root, whose slope at 0 is infinite.
    let scale = (a_spread.mask_fill(flat.clone(), 1.0) * b_spread.mask_fill(flat.clone(), 1.0)).sqrt();
    let value = ((a * b).mean() / scale).mask_fill(flat.clone(), 0.0);
    let undefined = value.zeros_like().detach().mask_fill(flat, 1.0);
    Ok(Correlation { value: value.cast(dtype), undefined: undefined.cast(dtype) })
}

/// How alike two heads are, `|w · v| / (‖w‖ ‖v‖ + 1e-6)`: 0 of orthogonal ones, and of one without weights.
///
/// # Shapes
/// `first` and `second`: `[hidden]`, to `[1]`.
///
/// # Errors
/// A shape or dtype error naming `second`.
///
/// # Example
/// ```
/// use accordant_preference::pairwise::two_heads::alignment;
/// use burn::tensor::{Device, Tensor};
/// let tensor = |values: [f32; 2]| Tensor::from_floats(values, &Device::flex());
/// let alike = alignment(tensor([3.0, 4.0]), tensor([-5.0, 0.0]))?.into_scalar::<f32>();
/// assert!((alike - 0.6).abs() < 1e-6);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn alignment(first: Tensor<1>, second: Tensor<1>) -> Result<Tensor<1>> {
    check_shape("second", &first.dims(), &second.dims())?;
    check_dtype("second", first.dtype(), second.dtype())?;
    let norm = |x: &Tensor<1>| {
        let square = x.clone().square().sum();
        let none = square.clone().equal_scalar(0.0);
        square.mask_fill(none.clone(), 1.0).sqrt().mask_fill(none, 0.0)
    };
    let scale = norm(&first) * norm(&second) + 1e-6;
    Ok((first * second).sum().abs() / scale)
}

/// Configuration of [`Odin`].
#[derive(Config, Debug, PartialEq)]
pub struct OdinConfig {
    /// Weight of the length loss, finite and ≥ 0. 1: the paper.
    #[config(default = 1.0)]
    pub length_coef: f64,
    /// Weight of the heads' alignment, finite and ≥ 0. 1: the paper.
    #[config(default = 1.0)]
    pub orthogonality_coef: f64,
}

impl OdinConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<Odin> {
        let Self { length_coef, orthogonality_coef } = *self;
        for (name, value) in [("length_coef", length_coef), ("orthogonality_coef", orthogonality_coef)] {
            check_domain(value.is_finite() && value >= 0.0, name, "finite and >= 0", value)?;
        }
        Ok(Odin { config: self.clone(), ranking: BradleyTerryConfig::new().init()? })
    }
}

/// What the two heads said of the two sides of each pair.
#[derive(Debug, Clone)]
pub struct TwoHeads {
    /// Scores of the quality head, with what was said about the pairs. At inference these alone are used.
    pub quality: PairScores,
    /// Scores of the length head: of the first sides and of the second, `[n]` each.
    pub length: [Tensor<1>; 2],
    /// How long the sides are, in tokens: constants, `[n]` each.
    pub tokens: [Tensor<1>; 2],
    /// The weights of the quality and of the length head, `[hidden]` each.
    pub heads: [Tensor<1>; 2],
}

/// The parts of the loss.
#[derive(Debug, Clone)]
pub struct OdinOutput {
    /// Bradley-Terry losses of the sum of both heads.
    pub ranking: Nll,
    /// `|ρ(quality, tokens)| − ρ(length, tokens)` over all responses of the batch, `[1]`.
    pub length_loss: Tensor<1>,
    /// How alike the heads are, `[1]`.
    pub alignment: Tensor<1>,
    /// How many of the two correlations were not defined, `[1]`.
    pub undefined: Tensor<1>,
    /// The weighted sum, to be minimized, `[1]`.
    pub loss: Tensor<1>,
}

/// The loss of two heads.
///
/// ```text
/// mean −log σ( (r_Q + r_L)_w − (r_Q + r_L)_l )  +  λ_L (|ρ(r_Q, len)| − ρ(r_L, len))  +  λ_O |w_Q · w_L| / (‖w_Q‖ ‖w_L‖)
/// ```
///
/// Correlations are of the batch as a whole: a batch in parts is another loss.
#[derive(Debug, Clone, PartialEq)]
pub struct Odin {
    config: OdinConfig,
    ranking: BradleyTerry,
}

impl Odin {
    /// All parts, and their sum.
    ///
    /// # Errors
    /// A shape or dtype error naming a field of [`TwoHeads`] or one of its sides; a domain error for an empty batch.
    pub fn forward(&self, batch: &TwoHeads) -> Result<OdinOutput> {
        let TwoHeads { quality, length, tokens, heads } = batch;
        let [first, second] = length.clone();
        for (name, column) in [("length", &first), ("length", &second), ("tokens", &tokens[0]), ("tokens", &tokens[1])]
        {
            check_shape(name, &quality.first().dims(), &column.dims())?;
            check_dtype(name, quality.first().dtype(), column.dtype())?;
        }
        let sums = quality.rescored(quality.first() + first.clone(), quality.second() + second.clone())?;
        let ranking = self.ranking.forward(&sums)?;
        let both = |first: Tensor<1>, second: Tensor<1>| Tensor::cat(vec![first, second], 0);
        let tokens = both(tokens[0].clone(), tokens[1].clone()).detach();
        let of_quality = correlation(both(quality.first(), quality.second()), tokens.clone())?;
        let of_length = correlation(both(first, second), tokens)?;
        let length_loss = of_quality.value.abs() - of_length.value;
        let alignment = alignment(heads[0].clone(), heads[1].clone())?;
        let loss = ranking.reduce(ItemReduction::Mean)?.loss
            + length_loss.clone() * self.config.length_coef
            + alignment.clone() * self.config.orthogonality_coef;
        Ok(OdinOutput { ranking, length_loss, alignment, undefined: of_quality.undefined + of_length.undefined, loss })
    }
}

#[cfg(test)]
mod tests {
    use accordant_laws::gradient::check_gradient;
    use burn::tensor::Device;

    use super::*;
    use crate::pairwise::testing::{close, tensor, values};

    fn batch(x: &[f64], device: &Device) -> (TwoHeads, Vec<Tensor<1>>) {
        let leaf = |at: usize| {
            let column = tensor(&x[2 * at..2 * at + 2], device);
            if device.is_autodiff() { column.require_grad() } else { column }
        };
        let leaves: Vec<Tensor<1>> = (0..6).map(leaf).collect();
        let [a, b, c, d, e, f] = [0, 1, 2, 3, 4, 5].map(|at: usize| leaves[at].clone());
        let batch = TwoHeads {
            quality: PairScores::new(a, b).unwrap(),
            length: [c, d],
            tokens: [tensor(&[10.0, 30.0], device), tensor(&[20.0, 5.0], device)],
            heads: [e, f],
        };
        (batch, leaves)
    }

    const AT: [f64; 12] = [0.4, -1.0, 0.1, 0.3, 0.2, 0.7, 0.5, -0.2, 3.0, 4.0, -5.0, 1.0];

    #[test]
    fn the_parts_by_hand() {
        let device = Device::flex();
        let (batch, _) = batch(&AT, &device);
        let odin = OdinConfig::new().with_length_coef(2.0).with_orthogonality_coef(0.5).init().unwrap();
        let output = odin.forward(&batch).unwrap();
        // Leads of the sums: 0.6 − 0.6 and −0.3 − 0.1.
        close(&values(output.ranking.losses.clone()), &[2f64.ln(), (0.4f64).exp().ln_1p()], 1e-12);
        let rho = |x: [f64; 4]| {
            let len = [10.0, 30.0, 20.0, 5.0];
            let (mx, ml) = (x.iter().sum::<f64>() / 4.0, 16.25);
            let product: f64 = x.iter().zip(len).map(|(x, l)| (x - mx) * (l - ml)).sum();
            let square = |v: [f64; 4], m: f64| v.iter().map(|v| (v - m).powi(2)).sum::<f64>();
            product / (square(x, mx) * square(len, ml)).sqrt()
        };
        let (quality, length) = (rho([0.4, -1.0, 0.1, 0.3]), rho([0.2, 0.7, 0.5, -0.2]));
        assert!(quality < 0.0 && length > 0.0);
        close(&values(output.length_loss.clone()), &[-quality - length], 1e-12);
        // |−15 + 4| / (5 √26 + 1e-6)
        let alike = 11.0 / (5.0 * 26f64.sqrt() + 1e-6);
        close(&values(output.alignment.clone()), &[alike], 1e-12);
        let mean = (2f64.ln() + 0.4f64.exp().ln_1p()) / 2.0;
        close(&values(output.loss), &[mean + 2.0 * (-quality - length) + 0.5 * alike], 1e-12);
        close(&values(output.undefined), &[0.0], 0.0);
    }

    #[test]
    fn gradients_are_derivatives() {
        let device = Device::flex().autodiff();
        let odin = OdinConfig::new().with_length_coef(1.3).with_orthogonality_coef(0.7).init().unwrap();
        let (inputs, leaves) = batch(&AT, &device);
        let grads = odin.forward(&inputs).unwrap().loss.backward();
        let gradient: Vec<f64> = leaves.iter().flat_map(|leaf| values(leaf.grad(&grads).unwrap())).collect();
        let value = |x: &[f64]| values(odin.forward(&batch(x, &device).0).unwrap().loss)[0];
        check_gradient(value, &AT, &gradient).unwrap();
    }

    #[test]
    fn what_does_not_vary_has_no_correlation_and_no_gradient_that_is_not_a_number() {
        let device = Device::flex().autodiff();
        // Equal rewards, and heads without weights, as they start.
        let (inputs, leaves) = batch(&[0.0; 12], &device);
        let output = OdinConfig::new().init().unwrap().forward(&inputs).unwrap();
        close(&values(output.undefined.clone()), &[2.0], 0.0);
        close(&values(output.loss.clone()), &[2f64.ln()], 1e-12);
        let grads = output.loss.backward();
        for (at, leaf) in leaves.iter().enumerate() {
            let gradient = values(leaf.grad(&grads).unwrap());
            let expected = [-0.25, 0.25, -0.25, 0.25, 0.0, 0.0][at];
            close(&gradient, &[expected; 2], 1e-12);
        }
        let alone = correlation(tensor(&[3.0], &device), tensor(&[4.0], &device)).unwrap();
        close(&[values(alone.value)[0], values(alone.undefined)[0]], &[0.0, 1.0], 0.0);
        let small = |scale: f64| {
            let found = correlation(tensor(&[scale, -scale], &device), tensor(&[1.0, -1.0], &device)).unwrap();
            (values(found.value)[0], values(found.undefined)[0])
        };
        assert_eq!(small(9e-9), (0.0, 1.0));
        assert!((small(1.1e-8).0 - 1.0).abs() < 1e-9 && small(1.1e-8).1 == 0.0);
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for bad in [-1.0, f64::NAN, f64::INFINITY] {
            let error = OdinConfig::new().with_length_coef(bad).init().unwrap_err().to_string();
            assert!(error.starts_with("`length_coef`: expected finite and >= 0"));
            let error = OdinConfig::new().with_orthogonality_coef(bad).init().unwrap_err().to_string();
            assert!(error.starts_with("`orthogonality_coef`: expected finite and >= 0"));
        }
        let defaults = OdinConfig::new();
        assert_eq!((defaults.length_coef, defaults.orthogonality_coef), (1.0, 1.0));
        let device = Device::flex();
        let odin = defaults.init().unwrap();
        let short = || tensor(&[1.0], &device);
        let text = |change: &dyn Fn(&mut TwoHeads)| {
            let (mut inputs, _) = batch(&AT, &device);
            change(&mut inputs);
            odin.forward(&inputs).unwrap_err().to_string()
        };
        for side in 0..2 {
            assert!(text(&|b| b.length[side] = short()).starts_with("`length`: expected shape [2]"));
            assert!(text(&|b| b.tokens[side] = short()).starts_with("`tokens`: expected shape [2]"));
        }
        assert!(text(&|b| b.heads[1] = short()).starts_with("`second`"));
        let none = || Tensor::<1>::zeros([0], &device);
        assert!(
            correlation(none(), none()).unwrap_err().to_string().starts_with("`first`: expected at least one value")
        );
        assert!(correlation(short(), none()).unwrap_err().to_string().starts_with("`second`"));
    }

    #[test]
    fn equal_rewards_have_no_correlation_in_any_precision() {
        let device = Device::flex().autodiff();
        let lens = Tensor::<1>::from_floats([3.0, 300.0, 41.0, 7.0, 120.0, 88.0], &device);
        for dtype in [burn::tensor::DType::F32, burn::tensor::DType::F16] {
            let equal = Tensor::<1>::from_floats([5.3; 6], &device).cast(dtype).require_grad();
            let found = correlation(equal.clone(), lens.clone().cast(dtype)).unwrap();
            assert_eq!((values(found.value.clone())[0], values(found.undefined)[0]), (0.0, 1.0), "{dtype:?}");
            let gradient = equal.grad(&found.value.backward()).unwrap();
            assert_eq!(values(gradient), [0.0; 6], "{dtype:?}");
        }
        // Squares of lengths beyond half precision.
        let rewards = Tensor::<1>::from_floats([1.0, 2.0, 3.0], &device).cast(burn::tensor::DType::F16);
        let lens = Tensor::<1>::from_floats([100.0, 1100.0, 2100.0], &device).cast(burn::tensor::DType::F16);
        assert!((values(correlation(rewards, lens).unwrap().value)[0] - 1.0).abs() < 1e-3);
    }
}
