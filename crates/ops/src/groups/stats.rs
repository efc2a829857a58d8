//! What is known of each group.

use burn::tensor::{Bool, DType, Tensor};
use serde::{Deserialize, Serialize};

use super::Layout;
use crate::stable::wide;
use crate::{Result, check_shape};

/// Values this close together, relative to their mean, are equal: the rounding of f64 rewards that were summed in
/// another order.
pub const CONSTANT_SPREAD: f64 = 1e-8;

/// The same for f32 values, four units in the last place. With [`CONSTANT_SPREAD`], three rewards in tenths that sum to
/// 2.3 in two ways, 2.4e-7 apart, would become ±0.1 in a group of two, and ±0.7 without an eps.
const CONSTANT_SPREAD_F32: f64 = 4.0 * f32::EPSILON as f64;

/// What the sum of squared deviations is divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Ddof {
    /// `N - 1`, the unbiased variance: TRL, verl and OpenRLHF.
    #[default]
    One,
    /// `N`, the biased one: HALOs.
    Zero,
}

/// Statistics of values by group, made by [`Groups::stats`](super::Groups::stats).
///
/// The [module](super) says what all of them have in common.
#[derive(Debug, Clone)]
pub struct GroupStats {
    pub(super) layout: Layout,
    /// 0 where dropped, like `shifted`; `[groups, largest]`.
    pub(super) values: Tensor<2>,
    pub(super) dropped: Tensor<2, Bool>,
    /// `[groups, 1]`
    pub(super) count: Tensor<2>,
    /// The largest kept value, a constant; `[groups, 1]`.
    pub(super) pivot: Tensor<2>,
    /// Values less the pivot, `[groups, largest]`.
    pub(super) shifted: Tensor<2>,
}

impl GroupStats {
    /// The number of kept members, `[n]`.
    pub fn count(&self) -> Tensor<1> {
        self.layout.per_item(self.count.clone())
    }

    /// The mean over the kept members, `[n]`. Equal values have exactly themselves as their mean.
    #[doc(alias = "group_mean")]
    pub fn mean(&self) -> Tensor<1> {
        self.layout.per_item(self.mean_rows())
    }

    /// The mean over the kept members, each as often as `weights` says, `[n]`; a group without weight has 0.
    ///
    /// ```text
    /// Σ_j w_j x_j / Σ_j w_j
    /// ```
    ///
    /// # Shapes
    /// `weights`: `[n]`, finite and ≥ 0; constants. A member of weight 0 is left out altogether, NaN included.
    ///
    /// # Errors
    /// [`crate::Error::ShapeMismatch`] naming `weights`.
    ///
    /// # Example
    /// ```
    /// use accordant_ops::groups::Groups;
    /// use burn::tensor::{Device, Tensor};
    /// let device = Device::flex();
    /// let stats = Groups::new(&[1, 1]).stats(Tensor::from_floats([0.0, 4.0], &device))?;
    /// let mean = stats.weighted_mean(Tensor::from_floats([3.0, 1.0], &device))?;
    /// assert_eq!(mean.into_data().try_to_vec::<f32>().unwrap(), [1.0, 1.0]); // (3·0 + 1·4) / 4
    /// # Ok::<(), accordant_ops::Error>(())
    /// ```
    pub fn weighted_mean(&self, weights: Tensor<1>) -> Result<Tensor<1>> {
        check_shape("weights", &self.layout.cells.dims(), &weights.dims())?;
        let weights = self.layout.rows(weights.detach().cast(self.values.dtype()));
        let weights = weights.mask_fill(self.dropped.clone(), 0.0);
        let none = weights.clone().equal_scalar(0.0);
        let total = weights.clone().sum_dim(1);
        let empty = total.clone().equal_scalar(0.0);
        // A member of weight 0 may be the pivot, and NaN.
        let kept = self.values.clone().mask_fill(none.clone(), 0.0);
        let pivot = kept.clone().detach().mask_fill(none.clone(), f32::NEG_INFINITY).max_dim(1);
        let pivot = pivot.clone().mask_fill(pivot.is_inf(), 0.0);
        let shifted = (kept - pivot.clone()).mask_fill(none, 0.0);
        let mean = (shifted * weights).sum_dim(1) / total.mask_fill(empty, 1.0) + pivot;
        Ok(self.layout.per_item(mean))
    }

    /// The standard deviation over the kept members, `[n]`; exactly 0, with gradient 0, for equal ones.
    ///
    /// ```text
    /// sqrt(Σ_j (x_j - mean)² / (N - ddof))
    /// ```
    ///
    /// A group that keeps one member or none has 1, so that dividing by it changes nothing.
    #[doc(alias = "group_std")]
    pub fn std(&self, ddof: Ddof) -> Tensor<1> {
        let divisor = match ddof {
            Ddof::One => self.count.clone() - 1.0,
            Ddof::Zero => self.count.clone(),
        };
        let var = self.centered_rows().square().sum_dim(1) / divisor.clamp_min(1.0);
        // The root's slope at 0 is infinite.
        let none = var.clone().equal_scalar(0.0);
        let std = var.mask_fill(none.clone(), 1.0).sqrt().mask_fill(none, 0.0);
        self.layout.per_item(std.mask_fill(self.count.clone().lower_scalar(1.5), 1.0))
    }

    /// The smallest kept member, `[n]`; the gradient goes to one of those.
    pub fn min(&self) -> Tensor<1> {
        self.layout.per_item(self.min_rows())
    }

    /// The largest kept member, `[n]`; the gradient goes to one of those.
    pub fn max(&self) -> Tensor<1> {
        self.layout.per_item(self.max_rows())
    }

    /// Each value less its group's mean, `[n]`; exactly 0 for equal values, and for what is not kept.
    pub fn centered(&self) -> Tensor<1> {
        self.layout.per_item(self.centered_rows())
    }

    /// The mean over the other kept members, `[n]`; 0 where there is none.
    #[doc(alias = "leave-one-out mean")]
    pub fn mean_of_others(&self) -> Tensor<1> {
        let others = self.others();
        let alone = others.clone().equal_scalar(0.0);
        let sum = self.shifted.clone().sum_dim(1) - self.shifted.clone();
        let mean = sum / others.clamp_min(1.0) + self.pivot.clone();
        self.layout.per_item(mean.mask_fill(alone, 0.0))
    }

    /// The largest of the other kept members, `[n]`, a constant; 0 where there is none.
    pub fn max_of_others(&self) -> Tensor<1> {
        let alone = self.others().equal_scalar(0.0);
        let values = self.values.clone().detach().mask_fill(self.dropped.clone(), f32::NEG_INFINITY);
        let max = values.clone().max_dim(1);
        let top = values.clone().equal(max.clone().expand(values.dims()));
        let second = values.clone().mask_fill(top.clone(), f32::NEG_INFINITY).max_dim(1);
        let unique = top.clone().cast(wide(values.dtype())).sum_dim(1).equal_scalar(1.0).expand(values.dims());
        let max = max.expand(values.dims()).mask_where(top.bool_and(unique), second.expand(values.dims()));
        self.layout.per_item(max.mask_fill(alone, 0.0))
    }

    /// Each value less the mean of the others, `N/(N-1)` times [`GroupStats::centered`], `[n]`: 0 for a lone member,
    /// for equal values and for what is not kept.
    #[doc(alias = "leave-one-out")]
    pub fn centered_on_others(&self) -> Tensor<1> {
        let scale = self.count.clone() / (self.count.clone() - 1.0).clamp_min(1.0);
        self.layout.per_item(self.centered_rows() * scale)
    }

    /// Whether the kept members of an item's group are all equal, `[n]`: the largest is less than
    /// `1e-8 · max(1, abs(mean))` above the smallest, `5e-7` in place of `1e-8` for f32 values. A group that keeps one
    /// member or none is constant.
    #[doc(alias = "zero variance")]
    pub fn is_constant(&self) -> Tensor<1, Bool> {
        let constant = self.constant_rows().cast(wide(self.values.dtype()));
        self.layout.per_item(constant).greater_scalar(0.5)
    }

    /// How many groups keep a member, `[1]`.
    pub fn num_groups(&self) -> Tensor<1> {
        self.count.clone().clamp_max(1.0).sum()
    }

    /// How many groups that keep a member are [constant](GroupStats::is_constant), groups of one among them, `[1]`:
    /// over [`GroupStats::num_groups`], the share of prompts that teach nothing.
    #[doc(alias = "frac_zero_std_groups")]
    pub fn num_constant_groups(&self) -> Tensor<1> {
        let constant = self.constant_rows().cast(wide(self.values.dtype()));
        (constant * self.count.clone().clamp_max(1.0)).sum()
    }

    /// Kept members besides the one in the cell, `[groups, largest]`.
    fn others(&self) -> Tensor<2> {
        self.count.clone() - self.dropped.clone().bool_not().cast(wide(self.values.dtype()))
    }

    fn mean_rows(&self) -> Tensor<2> {
        self.shifted_mean_rows() + self.pivot.clone()
    }

    fn shifted_mean_rows(&self) -> Tensor<2> {
        self.shifted.clone().sum_dim(1) / self.count.clone().clamp_min(1.0)
    }

    fn centered_rows(&self) -> Tensor<2> {
        (self.shifted.clone() - self.shifted_mean_rows()).mask_fill(self.dropped.clone(), 0.0)
    }

    fn min_rows(&self) -> Tensor<2> {
        let none = self.count.clone().equal_scalar(0.0);
        self.values.clone().mask_fill(self.dropped.clone(), f32::INFINITY).min_dim(1).mask_fill(none, 0.0)
    }

    fn max_rows(&self) -> Tensor<2> {
        let none = self.count.clone().equal_scalar(0.0);
        self.values.clone().mask_fill(self.dropped.clone(), f32::NEG_INFINITY).max_dim(1).mask_fill(none, 0.0)
    }

    /// `[groups, 1]`
    fn constant_rows(&self) -> Tensor<2, Bool> {
        let spread = (self.max_rows() - self.min_rows()).detach();
        let rounding = if self.values.dtype() == DType::F64 { CONSTANT_SPREAD } else { CONSTANT_SPREAD_F32 };
        spread.lower(self.mean_rows().detach().abs().clamp_min(1.0) * rounding)
    }
}
