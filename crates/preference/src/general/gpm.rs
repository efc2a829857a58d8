//! General preference model (GPM).
//!
//! **Paper:** Beyond Bradley-Terry Models: A General Preference Model for Language Model Alignment (2024), 2410.02197; its
//! first version was called General Preference Modeling with Preference Representations for Aligning Language Models.
//! **Use when:** preferences go in circles, so that no score per item explains them, and a network per pair costs too much:
//! every item is embedded once.
//! **Checked by:** the published cycle of three, Bradley-Terry as a limit, hand-worked gradients, finite differences, the
//! exact embeddings of [`super::embedding`], a small network trained on a cycle.
//! **Deviations:** none; unit length is on by default, as in the paper's inference, and is a switch in training.

use accordant_ops::{
    check_domain, check_dtype, check_shape,
    stable::{log_sum_exp, softplus},
};
use burn::{
    config::Config,
    tensor::{Int, Tensor},
};

use crate::{
    Nll, Result,
    pairwise::{
        Outcomes, PairScores, PairwiseLoss, PairwiseModel,
        bradley_terry::{BradleyTerry, BradleyTerryConfig},
    },
};

/// Leads of the first sides over the second, by blocks of two coordinates:
///
/// ```text
/// s(a ≻ b) = ⟨R D v_a, v_b⟩ = Σ_l λ_l (v_a[2l] v_b[2l+1] − v_a[2l+1] v_b[2l])
/// ```
///
/// The signed areas between the embeddings: exactly `−s(b ≻ a)`, exactly 0 of an embedding with itself, and the same after
/// a rotation within a block. Embeddings `(r, 1)` give `r_a − r_b`: Bradley-Terry.
///
/// # Shapes
/// `first` and `second`: `[n, 2k]`; `eigenvalues`, the λ: `[n, k]`, or `[1, k]` for all pairs alike; ones by default. The
/// result: `[n]`.
///
/// # Errors
/// A shape or dtype error naming `second` or `eigenvalues`; a domain error for embeddings of an odd width or of none.
///
/// # Example
/// ```
/// use accordant_preference::general::gpm::skew_scores;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let (a, b) = (Tensor::from_floats([[3.0, 1.0]], &device), Tensor::from_floats([[2.0, 5.0]], &device));
/// assert_eq!(skew_scores(a, b, None)?.into_scalar::<f32>(), 13.0); // 3·5 − 1·2
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "2410.02197")]
#[doc(alias = "skew-symmetric preference operator")]
pub fn skew_scores(first: Tensor<2>, second: Tensor<2>, eigenvalues: Option<Tensor<2>>) -> Result<Tensor<1>> {
    let [n, width] = first.dims();
    check_shape("second", &[n, width], &second.dims())?;
    check_dtype("second", first.dtype(), second.dtype())?;
    blocks_of(width)?;
    weigh(areas(first, second), eigenvalues)
}

/// How many blocks an embedding of this width has.
fn blocks_of(width: usize) -> Result<usize> {
    check_domain(width > 0 && width.is_multiple_of(2), "embeddings", "an even width > 0", width as f64)?;
    Ok(width / 2)
}

/// Signed areas, `[n, k]`, of embeddings `[n, 2k]` with others, `[n, 2k]` or `[1, 2k]`. Each is a difference of two
/// products, so that the exchanged pair has exactly the opposite.
fn areas(first: Tensor<2>, second: Tensor<2>) -> Tensor<2> {
    let (device, width) = (first.device(), first.dims()[1] as i64);
    let every_other = |from: i64| Tensor::<1, Int>::arange_step(from..width, 2, &device);
    let (even, odd) = (every_other(0), every_other(1));
    first.clone().select(1, even.clone()) * second.clone().select(1, odd.clone())
        - first.select(1, odd) * second.select(1, even)
}

/// The sum of the areas, each times its eigenvalue.
fn weigh(areas: Tensor<2>, eigenvalues: Option<Tensor<2>>) -> Result<Tensor<1>> {
    let [n, blocks] = areas.dims();
    let weighed = match eigenvalues {
        None => areas,
        Some(eigenvalues) => {
            // One row for all pairs is meant to be broadcast, and nothing else is.
            let rows = if eigenvalues.dims()[0] == 1 { 1 } else { n };
            check_shape("eigenvalues", &[rows, blocks], &eigenvalues.dims())?;
            check_dtype("eigenvalues", areas.dtype(), eigenvalues.dtype())?;
            areas * eigenvalues
        }
    };
    Ok(weighed.sum_dim(1).squeeze_dim(1))
}

/// Mean leads of candidates over opponents: the rewards of general preference optimization (GPO).
///
/// ```text
/// s(y ≻ μ) = mean over y' of s(y ≻ y') = ⟨R D v_y, v̄⟩,   v̄ the mean embedding of the opponents
/// ```
///
/// As many operations as there are embeddings, not pairs.
///
/// # Shapes
/// `candidates`: `[n, 2k]`; `opponents`: `[m, 2k]`, m > 0; `eigenvalues` as in [`skew_scores`]. The result: `[n]`.
///
/// # Errors
/// As [`skew_scores`], and a domain error without an opponent.
///
/// # Example
/// ```
/// use accordant_preference::general::gpm::mean_skew_scores;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let candidate = Tensor::from_floats([[1.0, 0.0]], &device);
/// let opponents = Tensor::from_floats([[0.0, 1.0], [5.0, 2.0]], &device);
/// assert_eq!(mean_skew_scores(candidate, opponents, None)?.into_scalar::<f32>(), 1.5); // of leads 1 and 2
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "GPO")]
#[doc(alias = "general preference optimization")]
pub fn mean_skew_scores(
    candidates: Tensor<2>,
    opponents: Tensor<2>,
    eigenvalues: Option<Tensor<2>>,
) -> Result<Tensor<1>> {
    let (width, num_opponents) = (candidates.dims()[1], opponents.dims()[0]);
    check_shape("opponents", &[num_opponents, width], &opponents.dims())?;
    check_dtype("opponents", candidates.dtype(), opponents.dtype())?;
    check_domain(num_opponents > 0, "opponents", "at least one", num_opponents as f64)?;
    blocks_of(width)?;
    weigh(areas(candidates, opponents.mean_dim(0)), eigenvalues)
}

/// Embeddings of length 1, `[n, d]`; a row of zeros stays as it is and has a finite gradient.
///
/// # Example
/// ```
/// use accordant_preference::general::gpm::unit_length;
/// use burn::tensor::{Device, Tensor};
/// let unit = unit_length(Tensor::from_floats([[3e30, 4e30], [0.0, 0.0]], &Device::flex()));
/// let values = unit.into_data().to_vec::<f32>().unwrap();
/// assert!((values[0] - 0.6).abs() < 1e-6 && (values[1] - 0.8).abs() < 1e-6 && values[2..] == [0.0, 0.0]);
/// ```
pub fn unit_length(embeddings: Tensor<2>) -> Tensor<2> {
    let [n, width] = embeddings.dims();
    if n * width == 0 {
        return embeddings;
    }
    // Divided by the largest entry, a constant that the result does not depend on: squares of entries from 1e20 on
    // overflow, those below 1e-20 vanish.
    let largest = embeddings.clone().abs().max_dim(1).detach();
    let largest = largest.clone().mask_fill(largest.equal_scalar(0.0), 1.0);
    let scaled = embeddings / largest;
    let squares = scaled.clone().square().sum_dim(1);
    let squares = squares.clone().mask_fill(squares.equal_scalar(0.0), 1.0);
    scaled / squares.sqrt()
}

/// Eigenvalues that depend on the prompt: `λ = k softmax(logits)`, positive and 1 in the mean.
///
/// The paper's logits are `W e / √H`, a linear map of the prompt's embedding over the root of that embedding's width. Both
/// sides of a pair answer that prompt ([`crate::contexts::check_same_prompts`]).
///
/// # Shapes
/// `[n, k]` to `[n, k]`.
///
/// # Example
/// ```
/// use accordant_preference::general::gpm::eigenvalue_gate;
/// use burn::tensor::{Device, Tensor};
/// let gate = eigenvalue_gate(Tensor::from_floats([[3f32.ln(), 0.0]], &Device::flex()));
/// let gate = gate.into_data().to_vec::<f32>().unwrap();
/// assert!((gate[0] - 1.5).abs() < 1e-6 && (gate[1] - 0.5).abs() < 1e-6); // 2 times 3/4 and 1/4
/// ```
pub fn eigenvalue_gate(logits: Tensor<2>) -> Tensor<2> {
    let blocks = logits.dims()[1] as f64;
    (logits.clone() - log_sum_exp(logits, 1)).exp() * blocks
}

/// Eigenvalues that are learned and the same for all prompts: `λ = 1 / max(softplus(ρ), 0.01)`, in (0, 100].
///
/// # Shapes
/// `[k]` to `[1, k]`, as [`skew_scores`] takes them.
///
/// # Example
/// ```
/// use accordant_preference::general::gpm::learned_eigenvalues;
/// use burn::tensor::{Device, Tensor};
/// // softplus(ln(e − 1)) = 1, softplus(−20) is below 0.01
/// let rho = Tensor::from_floats([1f32.exp_m1().ln(), -20.0], &Device::flex());
/// let values = learned_eigenvalues(rho).into_data().to_vec::<f32>().unwrap();
/// assert!((values[0] - 1.0).abs() < 1e-6 && (values[1] - 100.0).abs() < 1e-4);
/// ```
pub fn learned_eigenvalues(rho: Tensor<1>) -> Tensor<2> {
    softplus(rho).clamp_min(0.01).recip().unsqueeze_dim(0)
}

/// Configuration of [`Gpm`].
#[derive(Config, Debug, PartialEq)]
pub struct GpmConfig {
    /// What one unit of log-odds is in units of the leads, finite and > 0. 0.1: the paper's, for embeddings of length 1.
    #[config(default = 0.1)]
    pub temperature: f64,
    /// Whether embeddings are brought to length 1 first. On: the paper's; without it the temperature is best 1.
    #[config(default = true)]
    pub normalize: bool,
}

impl GpmConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<Gpm> {
        let likelihood = BradleyTerryConfig::new().with_temperature(self.temperature).init()?;
        Ok(Gpm { normalize: self.normalize, likelihood })
    }
}

/// The general preference model: [`skew_scores`] of embeddings under the logistic link.
///
/// # Example
/// ```
/// use accordant_preference::{ItemReduction, general::gpm::GpmConfig, pairwise::PairwiseLoss};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let gpm = GpmConfig::new().with_temperature(1.0).init()?;
/// // Embeddings at a right angle: the lead is 1, and the loss of the winner log(1 + 1/e).
/// let (first, second) = (Tensor::from_floats([[2.0, 0.0]], &device), Tensor::from_floats([[0.0, 7.0]], &device));
/// let nll = gpm.forward(&gpm.pairs(first, second, None)?)?;
/// let loss = nll.reduce(ItemReduction::Mean)?.loss.into_scalar::<f32>();
/// assert!((loss - (-1f32).exp().ln_1p()).abs() < 1e-6);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Gpm {
    normalize: bool,
    likelihood: BradleyTerry,
}

impl Gpm {
    fn embed(&self, embeddings: Tensor<2>) -> Tensor<2> {
        if self.normalize { unit_length(embeddings) } else { embeddings }
    }

    /// The pairs of these embeddings; targets, weights and margins (in units of the leads) are added to them.
    ///
    /// # Errors
    /// As [`skew_scores`].
    pub fn pairs(&self, first: Tensor<2>, second: Tensor<2>, eigenvalues: Option<Tensor<2>>) -> Result<PairScores> {
        let leads = skew_scores(self.embed(first), self.embed(second), eigenvalues)?;
        Ok(PairScores::from_differences(leads))
    }

    /// Mean leads of candidates over opponents.
    ///
    /// # Errors
    /// As [`mean_skew_scores`].
    pub fn mean_scores(
        &self,
        candidates: Tensor<2>,
        opponents: Tensor<2>,
        eigenvalues: Option<Tensor<2>>,
    ) -> Result<Tensor<1>> {
        mean_skew_scores(self.embed(candidates), self.embed(opponents), eigenvalues)
    }
}

impl PairwiseLoss for Gpm {
    fn forward(&self, pairs: &PairScores) -> Result<Nll> {
        self.likelihood.forward(pairs)
    }
}

impl PairwiseModel for Gpm {
    fn outcomes(&self, pairs: &PairScores) -> Result<Outcomes> {
        self.likelihood.outcomes(pairs)
    }
}

#[cfg(test)]
mod tests {
    use accordant_laws::gradient::check_gradient;
    use burn::tensor::{DType, Device, TensorData};

    use super::*;
    use crate::{
        ItemReduction,
        optimize::{Stop, lbfgs},
    };

    fn tensor<const D: usize>(values: &[f64], shape: [usize; D], device: &Device) -> Tensor<D> {
        Tensor::from_data(TensorData::new(values.to_vec(), shape), (device, DType::F64))
    }

    fn rows(values: &[f64], width: usize) -> Tensor<2> {
        tensor(values, [values.len() / width, width], &Device::flex())
    }

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
        tensor.try_to_vec_as::<f64>().unwrap()
    }

    #[track_caller]
    fn close(got: &[f64], expected: &[f64], tolerance: f64) {
        let same = got.len() == expected.len() && got.iter().zip(expected).all(|(a, b)| (a - b).abs() < tolerance);
        assert!(same, "{got:?} is not {expected:?}");
    }

    const A: [f64; 8] = [0.3, -1.2, 0.7, 2.0, -0.1, 0.4, 1.5, -0.6];
    const B: [f64; 8] = [1.1, 0.2, -0.5, 0.9, 2.2, -1.3, 0.8, 0.1];

    #[test]
    fn no_embeddings_have_unit_length_already() {
        for shape in [[0, 4], [3, 0]] {
            assert_eq!(unit_length(Tensor::<2>::zeros(shape, &Device::flex())).dims(), shape);
        }
    }

    #[test]
    fn blocks_are_signed_areas_times_eigenvalues() {
        let lambda = rows(&[2.0, 0.5], 2);
        // Row 1: 0.3·0.2 + 1.2·1.1 = 1.38 and 0.7·0.9 + 2·0.5 = 1.63.
        // Row 2: 0.1·1.3 − 0.4·2.2 = −0.75 and 1.5·0.1 + 0.6·0.8 = 0.63.
        close(&values(skew_scores(rows(&A, 4), rows(&B, 4), None).unwrap()), &[3.01, -0.12], 1e-12);
        close(&values(skew_scores(rows(&A, 4), rows(&B, 4), Some(lambda)).unwrap()), &[3.575, -1.185], 1e-12);
        let each = rows(&[2.0, 0.5, 1.0, 0.0], 2);
        close(&values(skew_scores(rows(&A, 4), rows(&B, 4), Some(each)).unwrap()), &[3.575, -0.75], 1e-12);
    }

    #[test]
    fn the_exchanged_pair_has_exactly_the_opposite_lead_and_a_pair_of_one_none() {
        let lambda = || Some(rows(&[0.3, 1.7], 2));
        let forward = values(skew_scores(rows(&A, 4), rows(&B, 4), lambda()).unwrap());
        let backward = values(skew_scores(rows(&B, 4), rows(&A, 4), lambda()).unwrap());
        assert!(forward.iter().zip(&backward).all(|(a, b)| *a == -b), "{forward:?} {backward:?}");
        assert_eq!(values(skew_scores(rows(&A, 4), rows(&A, 4), lambda()).unwrap()), [0.0, 0.0]);
    }

    #[test]
    fn a_rotation_within_a_block_changes_nothing() {
        let (cos, sin) = (0.8, 0.6);
        let turned = |v: &[f64; 8]| {
            let mut turned = *v;
            for row in [0, 4] {
                turned[row] = cos * v[row] - sin * v[row + 1];
                turned[row + 1] = sin * v[row] + cos * v[row + 1];
            }
            turned
        };
        let before = values(skew_scores(rows(&A, 4), rows(&B, 4), None).unwrap());
        close(&values(skew_scores(rows(&turned(&A), 4), rows(&turned(&B), 4), None).unwrap()), &before, 1e-12);
    }

    #[test]
    fn a_constant_second_coordinate_is_bradley_terry() {
        let (a, b) = ([1.5, -0.2, 0.0], [0.5, 0.4, 3.0]);
        let embed = |scores: [f64; 3]| rows(&scores.map(|r| [r, 1.0]).concat(), 2);
        let gpm = GpmConfig::new().with_temperature(0.7).with_normalize(false).init().unwrap();
        let pairs = gpm.pairs(embed(a), embed(b), None).unwrap();
        let scores = PairScores::new(tensor(&a, [3], &Device::flex()), tensor(&b, [3], &Device::flex())).unwrap();
        let bradley_terry = BradleyTerryConfig::new().with_temperature(0.7).init().unwrap();
        let losses = |model: &dyn PairwiseLoss, pairs: &PairScores| values(model.forward(pairs).unwrap().losses);
        close(&losses(&gpm, &pairs), &losses(&bradley_terry, &scores), 1e-12);
        let first = values(gpm.outcomes(&pairs).unwrap().first);
        close(&first, &values(bradley_terry.outcomes(&scores).unwrap().first), 1e-12);
    }

    /// Embeddings at 0°, 120° and 240°, of any length, and those that each of them beats.
    fn cycle() -> (Tensor<2>, Tensor<2>) {
        let at = |thirds: usize| {
            let angle = std::f64::consts::TAU * thirds as f64 / 3.0;
            [2.0 * angle.cos(), 2.0 * angle.sin()]
        };
        (rows(&[at(0), at(1), at(2)].concat(), 2), rows(&[at(1), at(2), at(0)].concat(), 2))
    }

    #[test]
    fn a_cycle_of_three_as_published() {
        let chances = |config: GpmConfig| {
            let gpm = config.init().unwrap();
            let (first, second) = cycle();
            let pairs = gpm.pairs(first, second, None).unwrap();
            let leads = values(pairs.leads());
            (leads, values(gpm.outcomes(&pairs).unwrap().first.exp()))
        };
        let (leads, sharp) = chances(GpmConfig::new());
        close(&leads, &[0.86602540; 3], 1e-8);
        close(&sharp, &[0.99982669; 3], 1e-8);
        close(&chances(GpmConfig::new().with_temperature(1.0)).1, &[0.70391799; 3], 1e-8);
        close(&chances(GpmConfig::new().with_normalize(false)).0, &[4.0 * 0.86602540; 3], 1e-7);
    }

    #[test]
    fn the_mean_over_opponents_is_the_score_of_their_mean() {
        let lambda = || Some(rows(&[0.5, 2.0], 2));
        let mean = values(mean_skew_scores(rows(&A, 4), rows(&B, 4), lambda()).unwrap());
        let against = |row: usize| {
            let opponent = [&B[4 * row..4 * row + 4]; 2].concat();
            values(skew_scores(rows(&A, 4), rows(&opponent, 4), lambda()).unwrap())
        };
        let expected: Vec<f64> = against(0).iter().zip(against(1)).map(|(a, b)| (a + b) / 2.0).collect();
        close(&mean, &expected, 1e-12);
        // Of the normalized embeddings: the mean is taken after that.
        let gpm = GpmConfig::new().init().unwrap();
        let unit = mean_skew_scores(unit_length(rows(&A, 4)), unit_length(rows(&B, 4)), None).unwrap();
        close(&values(gpm.mean_scores(rows(&A, 4), rows(&B, 4), None).unwrap()), &values(unit), 1e-12);
    }

    #[test]
    fn the_gate_is_positive_with_mean_one_and_survives_large_logits() {
        let gate = values(eigenvalue_gate(rows(&[800.0, -800.0, 0.0, 0.1, 0.2, 0.3], 3)));
        close(&gate[..3], &[3.0, 0.0, 0.0], 1e-12);
        assert!((gate[3..].iter().sum::<f64>() - 3.0).abs() < 1e-12 && gate[3] < gate[4] && gate[4] < gate[5]);
        let learned = learned_eigenvalues(tensor(&[0.0, 900.0], [2], &Device::flex()));
        assert_eq!(learned.dims(), [1, 2]);
        close(&values(learned), &[1.0 / 2f64.ln(), 1.0 / 900.0], 1e-12);
    }

    #[test]
    fn embeddings_of_any_magnitude_get_length_one() {
        let tiny: Vec<f64> = A.iter().map(|x| x * 1e-200).collect();
        close(&values(unit_length(rows(&tiny, 4))), &values(unit_length(rows(&A, 4))), 1e-12);
        let lengths = values(unit_length(rows(&A, 4)).square().sum_dim(1));
        close(&lengths, &[1.0, 1.0], 1e-12);
        assert_eq!(unit_length(Tensor::<2>::zeros([0, 4], &Device::flex())).dims(), [0, 4]);
    }

    #[test]
    fn a_row_of_zeros_has_a_finite_gradient() {
        let device = Device::flex().autodiff();
        let zeros = tensor(&[0.0; 2], [1, 2], &device).require_grad();
        let gradients = unit_length(zeros.clone()).sum().backward();
        assert_eq!(values(zeros.grad(&gradients).unwrap()), [1.0, 1.0]);
    }

    #[test]
    fn gradients_are_derivatives() {
        let device = Device::flex().autodiff();
        for normalize in [false, true] {
            let gpm = GpmConfig::new().with_temperature(0.8).with_normalize(normalize).init().unwrap();
            let run = |x: &[f64]| {
                let first = tensor(&x[..8], [2, 4], &device).require_grad();
                let second = tensor(&x[8..16], [2, 4], &device).require_grad();
                let logits = tensor(&x[16..], [1, 2], &device).require_grad();
                let pairs = gpm.pairs(first.clone(), second.clone(), Some(eigenvalue_gate(logits.clone()))).unwrap();
                let pairs = pairs.with_targets(tensor(&[1.0, 0.3], [2], &device)).unwrap();
                (gpm.forward(&pairs).unwrap().losses.sum(), [first, second, logits])
            };
            let at = [&A[..], &B[..], &[0.4, -0.3]].concat();
            let (loss, leaves) = run(&at);
            let gradients = loss.backward();
            let gradient = leaves.map(|leaf| values(leaf.grad(&gradients).unwrap())).concat();
            check_gradient(|x| values(run(x).0)[0], &at, &gradient).unwrap();
        }
    }

    #[test]
    fn the_gradient_of_a_lead_by_hand() {
        // ds/dv_a = λ (v_b[1], −v_b[0]), ds/dv_b = λ (−v_a[1], v_a[0])
        let device = Device::flex().autodiff();
        let first = tensor(&[3.0, 1.0], [1, 2], &device).require_grad();
        let second = tensor(&[2.0, 5.0], [1, 2], &device).require_grad();
        let lambda = tensor(&[2.0], [1, 1], &device);
        let gradients = skew_scores(first.clone(), second.clone(), Some(lambda)).unwrap().backward();
        assert_eq!(values(first.grad(&gradients).unwrap()), [10.0, -4.0]);
        assert_eq!(values(second.grad(&gradients).unwrap()), [-2.0, 6.0]);
    }

    /// Any network that gives embeddings trains: here one of a hidden layer, on features of three items that beat each other
    /// in a circle.
    #[test]
    fn a_network_learns_a_cycle_where_a_score_learns_nothing() {
        let device = Device::flex().autodiff();
        let items = || tensor(&[1.0, 0.2, -0.5, 1.1, 0.4, -0.9], [3, 2], &device);
        // Two inputs, four hidden units, two outputs.
        let start: Vec<f64> = (0..20).map(|i| f64::sin(1.0 + 2.3 * f64::from(i))).collect();
        let train = |score_only: bool| {
            let gpm = GpmConfig::new().with_temperature(1.0).with_normalize(false).init().unwrap();
            let f = |x: &[f64], gradient: &mut [f64]| {
                let first = tensor(&x[..8], [2, 4], &device).require_grad();
                let bias = tensor(&x[8..12], [1, 4], &device).require_grad();
                let last = tensor(&x[12..], [4, 2], &device).require_grad();
                let mut embeddings = (items().matmul(first.clone()) + bias.clone()).tanh().matmul(last.clone());
                if score_only {
                    let ones = tensor(&[1.0; 3], [3, 1], &device);
                    embeddings = Tensor::cat(vec![embeddings.narrow(1, 0, 1), ones], 1);
                }
                let next = Tensor::<1, Int>::from_ints([1, 2, 0], &device);
                let pairs = gpm.pairs(embeddings.clone(), embeddings.select(0, next), None).unwrap();
                let loss = gpm.forward(&pairs).unwrap().reduce(ItemReduction::Mean).unwrap().loss;
                let gradients = loss.backward();
                let found = [&first, &bias, &last].map(|leaf| values(leaf.grad(&gradients).unwrap()));
                gradient.copy_from_slice(&found.concat());
                values(loss)[0]
            };
            lbfgs(f, start.clone(), Stop { gradient: 1e-7, max_iterations: 60 }).1.objective
        };
        let (cyclic, scored) = (train(false), train(true));
        assert!(cyclic < 0.01, "{cyclic}");
        // ln 2 is the best that any score can do: the three leads add up to 0, and the loss is convex.
        assert!((scored - 2f64.ln()).abs() < 1e-6, "{scored}");
    }

    #[test]
    fn no_pairs_have_no_losses() {
        let empty = || Tensor::<2>::zeros([0, 4], &Device::flex());
        for config in [GpmConfig::new(), GpmConfig::new().with_normalize(false)] {
            let gpm = config.init().unwrap();
            let pairs = gpm.pairs(empty(), empty(), None).unwrap();
            assert_eq!(gpm.forward(&pairs).unwrap().losses.dims(), [0]);
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error_that_names_it() {
        let zeros = |n: usize, width: usize| Tensor::<2>::zeros([n, width], &Device::flex());
        let text = |result: Result<Tensor<1>>| result.unwrap_err().to_string();
        assert!(text(skew_scores(zeros(2, 4), zeros(1, 4), None)).starts_with("`second`"));
        assert!(text(skew_scores(zeros(2, 4), zeros(2, 2), None)).starts_with("`second`"));
        assert!(text(skew_scores(zeros(2, 3), zeros(2, 3), None)).starts_with("`embeddings`: expected an even width"));
        assert!(text(skew_scores(zeros(2, 0), zeros(2, 0), None)).starts_with("`embeddings`"));
        assert!(text(skew_scores(zeros(2, 4), rows(&A, 4), None)).starts_with("`second`: expected dtype"));
        for wrong in [zeros(3, 2), zeros(2, 1), zeros(1, 4)] {
            assert!(text(skew_scores(zeros(2, 4), zeros(2, 4), Some(wrong))).starts_with("`eigenvalues`"));
        }
        assert!(
            text(skew_scores(rows(&A, 4), rows(&B, 4), Some(zeros(1, 2)))).starts_with("`eigenvalues`: expected d")
        );
        assert!(
            text(mean_skew_scores(zeros(2, 4), zeros(0, 4), None)).starts_with("`opponents`: expected at least one")
        );
        assert!(text(mean_skew_scores(zeros(2, 4), zeros(3, 2), None)).starts_with("`opponents`"));
        assert!(text(mean_skew_scores(zeros(2, 4), rows(&A, 4), None)).starts_with("`opponents`: expected dtype"));
        assert!(text(mean_skew_scores(zeros(2, 3), zeros(2, 3), None)).starts_with("`embeddings`"));
        for temperature in [0.0, -1.0, f64::NAN] {
            let error = GpmConfig::new().with_temperature(temperature).init().unwrap_err();
            assert!(error.to_string().starts_with("`temperature`"));
        }
        let defaults = GpmConfig::new();
        assert_eq!((defaults.temperature, defaults.normalize), (0.1, true));
    }
}
