//! Reading rollouts from the device, scanning them backward in time, and writing the result.

use accordant_ops::{check_shape, item_metrics::numbers};
use burn::tensor::{Bool, DType, Device, Tensor, TensorData, Transaction};

use crate::Result;

/// Tensors that are read from the device at once.
#[derive(Default)]
pub(crate) struct Reader(Transaction);

impl Reader {
    /// Adds a tensor, to be taken by [`Columns::floats`].
    pub(crate) fn floats<const D: usize>(self, tensor: &Tensor<D>) -> Self {
        Self(self.0.register(tensor.clone().inner()))
    }

    /// Adds a tensor, to be taken by [`Columns::bools`].
    pub(crate) fn bools<const D: usize>(self, tensor: &Tensor<D, Bool>) -> Self {
        Self(self.0.register(tensor.clone().inner()))
    }

    /// Reads them all.
    pub(crate) fn read(self) -> Columns {
        Columns(self.0.execute().into_iter())
    }
}

/// What was read, to be taken in the order in which it was added.
pub(crate) struct Columns(std::vec::IntoIter<TensorData>);

impl Columns {
    pub(crate) fn floats(&mut self) -> Vec<f64> {
        numbers(self.next())
    }

    pub(crate) fn bools(&mut self) -> Vec<bool> {
        self.next().convert::<bool>().try_into_vec().expect("converted to bool")
    }

    fn next(&mut self) -> TensorData {
        self.0.next().expect("as many are taken as were added")
    }
}

/// The shape of rollouts, `[batch, seq]`, and where results belong.
#[derive(Debug, Clone)]
pub(crate) struct Rows {
    pub(crate) batch: usize,
    pub(crate) seq: usize,
    dtype: DType,
    device: Device,
}

impl Rows {
    /// Rows like those of `mask`, with the device of `like` and its dtype: f64 for f64, f32 for everything else.
    pub(crate) fn new<const D: usize>(mask: &Tensor<2, Bool>, like: &Tensor<D>) -> Self {
        let [batch, seq] = mask.dims();
        let dtype = if like.dtype() == DType::F64 { DType::F64 } else { DType::F32 };
        Self { batch, seq, dtype, device: like.device() }
    }

    /// Checks that there is one entry for each token.
    pub(crate) fn check_tokens(&self, name: &'static str, got: [usize; 2]) -> Result<()> {
        Ok(check_shape(name, &[self.batch, self.seq], &got)?)
    }

    /// Checks that there is one entry for each row.
    pub(crate) fn check_rows(&self, name: &'static str, got: [usize; 1]) -> Result<()> {
        Ok(check_shape(name, &[self.batch], &got)?)
    }

    /// The kept positions of each row, in order, as indices into the flat tensor.
    pub(crate) fn kept(&self, mask: &[bool]) -> Vec<Vec<usize>> {
        let row = |row: usize| (row * self.seq..(row + 1) * self.seq).filter(|at| mask[*at]).collect();
        (0..self.batch).map(row).collect()
    }

    /// 0 where `mask` is false; at the kept positions of each row, from the last to the first, what `step` makes of the
    /// position and of what it carries. `start`: what it carries into a row's last kept position.
    pub(crate) fn backward<C>(
        &self,
        mask: &[bool],
        start: impl Fn(usize) -> C,
        step: impl Fn(&mut C, usize) -> f64,
    ) -> Vec<f64> {
        let mut out = vec![0.0; mask.len()];
        for (row, kept) in self.kept(mask).into_iter().enumerate() {
            let mut carry = start(row);
            for at in kept.into_iter().rev() {
                out[at] = step(&mut carry, at);
            }
        }
        out
    }

    /// One number for each token as a constant on the device.
    pub(crate) fn write(&self, values: Vec<f64>) -> Tensor<2> {
        Tensor::from_data(TensorData::new(values, [self.batch, self.seq]), (&self.device, self.dtype))
    }

    /// One mark for each token.
    pub(crate) fn write_mask(&self, mask: Vec<bool>) -> Tensor<2, Bool> {
        Tensor::from_bool(TensorData::new(mask, [self.batch, self.seq]), &self.device)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Rows of numbers, f64.
    pub(crate) fn grid<const N: usize>(rows: &[[f64; N]]) -> Tensor<2> {
        let data = TensorData::new(rows.as_flattened().to_vec(), [rows.len(), N]);
        Tensor::from_data(data, (&Device::flex(), DType::F64))
    }

    /// A mask from zeros and ones.
    pub(crate) fn keep<const N: usize>(rows: &[[u8; N]]) -> Tensor<2, Bool> {
        let marks: Vec<bool> = rows.as_flattened().iter().map(|mark| *mark == 1).collect();
        Tensor::from_bool(TensorData::new(marks, [rows.len(), N]), &Device::flex())
    }

    #[track_caller]
    pub(crate) fn near(got: &[f64], expected: &[f64], tolerance: f64) {
        assert_eq!(got.len(), expected.len());
        let near = |(g, e): (&f64, &f64)| (g - e).abs() <= tolerance;
        assert!(got.iter().zip(expected).all(near), "got {got:?}, expected {expected:?}");
    }

    fn mask(rows: [[bool; 3]; 2]) -> Tensor<2, Bool> {
        Tensor::from_bool(rows, &Device::flex())
    }

    #[test]
    fn what_is_read_comes_in_the_order_of_its_registration() {
        let device = Device::flex();
        let one = Tensor::<1>::from_data([0.1, -2.5], (&device, DType::F64));
        let half = Tensor::<1>::from_data([0.5], (&device, DType::BF16));
        let tracked = Tensor::<2>::from_data([[3.0]], (&device.clone().autodiff(), DType::F32)).require_grad();
        let marks = mask([[true, false, true], [false; 3]]);
        let read = Reader::default().floats(&one).bools(&marks).floats(&half).floats(&tracked);
        let mut columns = read.read();
        assert_eq!(columns.floats(), [0.1, -2.5], "f64 keeps its digits");
        assert_eq!(columns.bools(), [true, false, true, false, false, false]);
        assert_eq!((columns.floats(), columns.floats()), (vec![0.5], vec![3.0]));
    }

    #[test]
    fn a_scan_carries_past_what_is_not_kept_and_starts_anew_in_every_row() {
        let marks = [true, false, true, false, true, true];
        let rows = Rows::new(&mask([[true; 3]; 2]), &Tensor::<1>::zeros([1], &Device::flex()));
        assert_eq!(rows.kept(&marks), [vec![0, 2], vec![4, 5]]);
        let numbered = rows.backward(
            &marks,
            |row| 10.0 * row as f64,
            |carry, at| {
                *carry += 1.0;
                *carry + 0.01 * at as f64
            },
        );
        assert_eq!(numbered, [2.0, 0.0, 1.02, 0.0, 12.04, 11.05]);
    }

    #[test]
    fn results_are_wide_and_lie_where_their_input_does() {
        let marks = mask([[true, false, true], [false; 3]]);
        for (dtype, expected) in [(DType::F64, DType::F64), (DType::F32, DType::F32), (DType::F16, DType::F32)] {
            for device in [Device::flex(), Device::flex().autodiff()] {
                let rows = Rows::new(&marks, &Tensor::<1>::zeros([1], (&device, dtype)));
                let written = rows.write(vec![0.1; 6]);
                assert_eq!((written.dtype(), written.device() == device), (expected, true));
                assert_eq!(written.dims(), [2, 3]);
                assert_eq!(rows.write_mask(vec![true; 6]).device(), device);
            }
        }
    }
}
