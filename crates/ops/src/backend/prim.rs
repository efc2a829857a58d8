//! Arithmetic on a backend's primitives, so that formulas inside an operation read like formulas.

use std::ops::{Add, Mul, Range, Sub};

use burn::backend::{
    Backend, TensorMetadata, get_or_init_device_settings,
    tensor::{BoolTensor, FloatTensor, IntTensor},
};
use burn::tensor::{DType, FloatDType, Shape, Slice};

/// The precision in which sums over logits of this dtype run.
pub(crate) fn wide(dtype: DType) -> DType {
    crate::stable::wide(dtype).into()
}

/// A matrix of floats.
#[derive(Debug)]
pub(crate) struct Matrix<B: Backend>(pub FloatTensor<B>);

impl<B: Backend> Clone for Matrix<B> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<B: Backend> Add for Matrix<B> {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(B::float_add(self.0, other.0))
    }
}

impl<B: Backend> Sub for Matrix<B> {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(B::float_sub(self.0, other.0))
    }
}

impl<B: Backend> Mul for Matrix<B> {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        Self(B::float_mul(self.0, other.0))
    }
}

impl<B: Backend> Matrix<B> {
    pub fn dims(&self) -> [usize; 2] {
        let shape = self.0.shape();
        [shape[0], shape[1]]
    }

    pub fn dtype(&self) -> DType {
        self.0.dtype()
    }

    pub fn cast(self, dtype: DType) -> Self {
        if self.dtype() == dtype { self } else { Self(B::float_cast(self.0, FloatDType::from(dtype))) }
    }

    pub fn full(shape: [usize; 2], value: f64, dtype: DType, device: &B::Device) -> Self {
        Self(B::float_full(shape.into(), value.into(), device, FloatDType::from(dtype)))
    }

    pub fn scale(self, factor: f64) -> Self {
        if factor == 1.0 { self } else { Self(B::float_mul_scalar(self.0, factor.into())) }
    }

    pub fn plus(self, value: f64) -> Self {
        Self(B::float_add_scalar(self.0, value.into()))
    }

    pub fn over(self, divisor: Self) -> Self {
        Self(B::float_div(self.0, divisor.0))
    }

    pub fn abs(self) -> Self {
        Self(B::float_abs(self.0))
    }

    pub fn exp(self) -> Self {
        Self(B::float_exp(self.0))
    }

    pub fn log(self) -> Self {
        Self(B::float_log(self.0))
    }

    pub fn tanh(self) -> Self {
        Self(B::float_tanh(self.0))
    }

    pub fn at_least(self, value: f64) -> Self {
        Self(B::float_clamp_min(self.0, value.into()))
    }

    pub fn t(self) -> Self {
        Self(B::float_swap_dims(self.0, 0, 1))
    }

    /// `[rows, columns]` to `[rows, 1]` (`dim` 1) or `[1, columns]` (`dim` 0).
    pub fn sum(self, dim: usize) -> Self {
        Self(B::float_sum_dim(self.0, dim))
    }

    pub fn reshape(self, shape: [usize; 2]) -> Self {
        Self(B::float_reshape(self.0, Shape::new(shape)))
    }

    pub fn rows(&self, range: Range<usize>) -> Self {
        let [rows, columns] = self.dims();
        self.block(range, 0..columns, rows, columns)
    }

    pub fn columns(&self, range: Range<usize>) -> Self {
        let [rows, columns] = self.dims();
        self.block(0..rows, range, rows, columns)
    }

    fn block(&self, rows: Range<usize>, columns: Range<usize>, all_rows: usize, all_columns: usize) -> Self {
        if rows == (0..all_rows) && columns == (0..all_columns) {
            return self.clone();
        }
        Self(B::float_slice(self.0.clone(), &[slice(rows), slice(columns)]))
    }

    /// Row `index` alone, `[1, columns]`.
    pub fn row(&self, index: usize) -> Self {
        self.rows(index..index + 1)
    }

    /// Puts `value` in the place of some rows.
    pub fn with_rows(self, range: Range<usize>, value: Self) -> Self {
        let columns = self.dims()[1];
        Self(B::float_slice_assign(self.0, &[slice(range), slice(0..columns)], value.0))
    }

    pub fn stack(rows: impl IntoIterator<Item = Self>, dim: usize) -> Self {
        let mut parts: Vec<_> = rows.into_iter().map(|part| part.0).collect();
        if parts.len() == 1 { Self(parts.remove(0)) } else { Self(B::float_cat(parts, dim)) }
    }

    pub fn equals(&self, value: f64) -> BoolTensor<B> {
        B::float_equal_elem(self.0.clone(), value.into(), self.settings().bool_dtype)
    }

    pub fn is(&self, other: &Self) -> BoolTensor<B> {
        B::float_equal(self.0.clone(), other.0.clone(), self.settings().bool_dtype)
    }

    pub fn above(&self, other: &Self) -> BoolTensor<B> {
        B::float_greater(self.0.clone(), other.0.clone(), self.settings().bool_dtype)
    }

    /// `value` where `mask`.
    pub fn fill(self, mask: BoolTensor<B>, value: f64) -> Self {
        Self(B::float_mask_fill(self.0, mask, value.into()))
    }

    /// `other` where `mask`.
    pub fn or(self, mask: BoolTensor<B>, other: Self) -> Self {
        Self(B::float_mask_where(self.0, mask, other.0))
    }

    /// The element of each row at `columns`, `[rows, 1]` each.
    pub fn gather(self, columns: IntTensor<B>) -> Self {
        Self(B::float_gather(1, self.0, columns))
    }

    pub fn argmax(&self) -> IntTensor<B> {
        B::float_argmax(self.0.clone(), 1, self.settings().int_dtype)
    }

    fn settings(&self) -> burn::tensor::DeviceSettings {
        get_or_init_device_settings::<B>(&self.0.device())
    }
}

pub(crate) fn slice(range: Range<usize>) -> Slice {
    Slice::from(range)
}

/// Integers as floats.
pub(crate) fn floats<B: Backend>(ints: IntTensor<B>, dtype: DType) -> Matrix<B> {
    Matrix(B::int_into_float(ints, FloatDType::from(dtype)))
}
