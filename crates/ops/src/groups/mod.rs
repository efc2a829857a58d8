//! Statistics of groups: the rollouts of one prompt, whichever rows of the batch they are.
//!
//! | of [`GroupStats`] | what each item gets |
//! |---|---|
//! | [`count`](GroupStats::count) | kept members of its group |
//! | [`mean`](GroupStats::mean), [`weighted_mean`](GroupStats::weighted_mean) | its group's mean |
//! | [`std`](GroupStats::std) | its group's standard deviation |
//! | [`min`](GroupStats::min), [`max`](GroupStats::max) | the smallest and the largest member |
//! | [`centered`](GroupStats::centered) | its own value less its group's mean |
//! | [`mean_of_others`](GroupStats::mean_of_others) | its group's mean without itself |
//! | [`max_of_others`](GroupStats::max_of_others) | its group's largest member without itself |
//! | [`centered_on_others`](GroupStats::centered_on_others) | its own value less the mean of the others |
//! | [`is_constant`](GroupStats::is_constant) | whether its group has nothing to tell apart |
//!
//! Groups are named by explicit ids: members need not be adjacent, groups may differ in size, and ids mean nothing but
//! "the same" and "another". Whole groups are needed: gather the rewards of a global batch before grouping them.
//!
//! Each statistic is one entry per item, `[n]`, also for an item that is not kept itself (a truncated rollout): it
//! gets what its group's kept members say. A group that keeps none has count, mean, minimum and maximum 0. What is not
//! kept is selected away first and reaches neither a value nor a gradient; a kept NaN makes NaN of its own group
//! alone. Gradients flow through every statistic but `count` and `max_of_others`; advantages are to be detached by
//! whoever makes them.
//!
//! **Dtype:** f64 for f64 values, f32 for everything else, in sums and in results (bf16 cannot count beyond 256).
//! **Memory:** a few times `num_groups × the largest group`.

use std::collections::HashMap;
use std::hash::Hash;

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

mod stats;
#[cfg(test)]
mod tests;

pub use stats::{CONSTANT_SPREAD, Ddof, GroupStats};

use crate::stable::wide;
use crate::{Result, check_shape};

/// Which items belong together. Plain numbers on the host: it serves tensors on any device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Groups {
    /// The number of each item's group, in the order in which groups appear.
    numbers: Vec<usize>,
    /// The place of each item among the members of its group.
    places: Vec<usize>,
    sizes: Vec<usize>,
}

impl Groups {
    /// Items with equal ids form a group. Ids may be numbers, names, or pairs like (tree, depth).
    ///
    /// # Example
    /// ```
    /// use accordant_ops::groups::Groups;
    /// let groups = Groups::new(&[7_u64, 3, 7, 7]);
    /// assert_eq!(groups.sizes(), [3, 1]);
    /// assert_eq!(groups.numbers(), [0, 1, 0, 0]);
    /// ```
    pub fn new<I: Eq + Hash>(ids: &[I]) -> Self {
        let mut number_of = HashMap::new();
        let mut groups = Self { numbers: Vec::new(), places: Vec::new(), sizes: Vec::new() };
        for id in ids {
            let next = number_of.len();
            let number = *number_of.entry(id).or_insert(next);
            if number == next {
                groups.sizes.push(0);
            }
            groups.numbers.push(number);
            groups.places.push(groups.sizes[number]);
            groups.sizes[number] += 1;
        }
        groups
    }

    /// The number of items.
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Whether there is no item.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// The number of each item's group, from 0 in the order of first appearance.
    pub fn numbers(&self) -> &[usize] {
        &self.numbers
    }

    /// The number of items in each group, by its number.
    pub fn sizes(&self) -> &[usize] {
        &self.sizes
    }

    /// Statistics of `values`, all of them kept.
    ///
    /// # Shapes
    /// `values`: `[n]`, one for each id.
    ///
    /// # Errors
    /// [`crate::Error::ShapeMismatch`] naming `values` when there is not one for each id.
    ///
    /// # Example
    /// ```
    /// use accordant_ops::groups::{Ddof, Groups};
    /// use burn::tensor::{Device, Tensor};
    /// let rewards = Tensor::<1>::from_floats([1.0, 10.0, 3.0, 10.0], &Device::flex());
    /// let stats = Groups::new(&["a", "b", "a", "b"]).stats(rewards)?;
    /// let host = |x: Tensor<1>| x.into_data().try_to_vec::<f32>().unwrap();
    /// assert_eq!(host(stats.mean()), [2.0, 10.0, 2.0, 10.0]);
    /// assert_eq!(host(stats.std(Ddof::Zero)), [1.0, 0.0, 1.0, 0.0]); // √((1² + 1²) / 2)
    /// assert_eq!(host(stats.mean_of_others()), [3.0, 10.0, 1.0, 10.0]);
    /// assert_eq!(host(stats.num_constant_groups()), [1.0]);
    /// # Ok::<(), accordant_ops::Error>(())
    /// ```
    pub fn stats(&self, values: Tensor<1>) -> Result<GroupStats> {
        check_shape("values", &[self.len()], &values.dims())?;
        let mask = Tensor::full(values.dims(), true, &values.device());
        self.masked_stats(values, mask)
    }

    /// Statistics of the `values` that `mask` keeps: without truncated rollouts, or without missing rewards
    /// (`values.is_nan().bool_not()`).
    ///
    /// # Shapes
    /// `values` and `mask`: `[n]`, one for each id.
    ///
    /// # Errors
    /// [`crate::Error::ShapeMismatch`] naming `values` or `mask` when there is not one for each id.
    pub fn masked_stats(&self, values: Tensor<1>, mask: Tensor<1, Bool>) -> Result<GroupStats> {
        check_shape("values", &[self.len()], &values.dims())?;
        check_shape("mask", &[self.len()], &mask.dims())?;
        let layout = Layout::new(self, &values.device());
        let dtype = wide(values.dtype());
        let dropped = layout.rows(mask.clone().cast(dtype)).equal_scalar(0.0);
        let values = layout.rows(values.cast(dtype).mask_fill(mask.bool_not(), 0.0));
        let count = dropped.clone().bool_not().cast(dtype).sum_dim(1);
        // Deviations from a member are exactly 0 in a group of equal values, and so is all that is made of them. From
        // a rounded mean they are not: 49 f32 rewards of 1234.567 would whiten to 0.96.
        let pivot = values.clone().detach().mask_fill(dropped.clone(), f32::NEG_INFINITY).max_dim(1);
        let pivot = pivot.clone().mask_fill(pivot.is_inf(), 0.0);
        let shifted = (values.clone() - pivot.clone()).mask_fill(dropped.clone(), 0.0);
        Ok(GroupStats { layout, values, dropped, count, pivot, shifted })
    }
}

/// Where items sit in a padded matrix with one row for each group, `[groups, largest]`, at least `[1, 1]`.
#[derive(Debug, Clone)]
struct Layout {
    shape: [usize; 2],
    /// The item in each cell, or `n` in an empty one; `[groups · largest]`.
    items: Tensor<1, Int>,
    /// The cell of each item, `[n]`.
    cells: Tensor<1, Int>,
}

impl Layout {
    fn new(groups: &Groups, device: &Device) -> Self {
        let (n, width) = (groups.len(), groups.sizes.iter().copied().max().unwrap_or(1));
        let shape = [groups.sizes.len().max(1), width];
        let cells: Vec<i64> = groups.numbers.iter().zip(&groups.places).map(|(g, p)| (g * width + p) as i64).collect();
        let mut items = vec![n as i64; shape[0] * width];
        for (item, &cell) in cells.iter().enumerate() {
            items[cell as usize] = item as i64;
        }
        let tensor = |values: Vec<i64>| Tensor::from_data(TensorData::new(values.clone(), [values.len()]), device);
        Self { shape, items: tensor(items), cells: tensor(cells) }
    }

    /// `[n]` to `[groups, largest]`, 0 in the empty cells.
    fn rows(&self, values: Tensor<1>) -> Tensor<2> {
        let empty = Tensor::zeros([1], (&values.device(), values.dtype()));
        Tensor::cat(vec![values, empty], 0).select(0, self.items.clone()).reshape(self.shape)
    }

    /// `[groups, largest]` or `[groups, 1]` to `[n]`.
    fn per_item(&self, rows: Tensor<2>) -> Tensor<1> {
        if self.cells.dims()[0] == 0 {
            // Not every backend launches a selection of nothing.
            return Tensor::zeros([0], (&rows.device(), rows.dtype()));
        }
        rows.expand(self.shape).reshape([self.shape[0] * self.shape[1]]).select(0, self.cells.clone())
    }
}
