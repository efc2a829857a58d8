//! Token ids that have been looked at.

use burn::tensor::{Bool, DType, Device, IndexingUpdateOp, Int, Tensor, TensorData};

use crate::{Error, Result, check_shape};

/// The id that Python's trainers give to positions that do not count.
pub const IGNORE_ID: i64 = -100;

/// Ids on a device, whose extremes the host knows: GPU kernels do not check ids, and reading them back for a check at
/// every use would stall the device.
#[derive(Debug, Clone)]
pub struct TokenIds {
    /// Those that are not ignored.
    ids: Tensor<1, Int>,
    /// Where they stand, if some are ignored.
    kept: Option<Tensor<1, Int>>,
    /// An id for every row, 0 where it is ignored, and the rows that are, if there are any.
    every: Option<(Tensor<1, Int>, Tensor<1, Bool>)>,
    len: usize,
    /// The row and the value of the smallest and the largest id.
    extremes: Option<[(usize, i64); 2]>,
}

impl TokenIds {
    /// Takes ids from the host; those equal to `ignore` do not count, whatever else is said of their row.
    ///
    /// # Example
    /// ```
    /// use accordant_ops::selected::{IGNORE_ID, TokenIds};
    /// let ids = TokenIds::new(&[3, IGNORE_ID, 0], Some(IGNORE_ID), &burn::tensor::Device::flex());
    /// assert_eq!(ids.len(), 3);
    /// assert!(ids.check(4).is_ok());
    /// assert_eq!(ids.check(3).unwrap_err().to_string(), "row 0: token id 3 is not in 0..3");
    /// ```
    pub fn new(ids: &[i64], ignore: Option<i64>, device: &Device) -> Self {
        // Ids are constants: on autodiff, their checkpointing would have to be that of whatever they meet.
        let device = &device.clone().without_autodiff();
        let counted = ids.iter().copied().enumerate().filter(|(_, id)| Some(*id) != ignore);
        let (rows, kept): (Vec<usize>, Vec<i64>) = counted.unzip();
        let by_id = |i: &usize| kept[*i];
        let (low, high) = ((0..kept.len()).min_by_key(by_id), (0..kept.len()).max_by_key(by_id));
        let extremes = low.zip(high).map(|(low, high)| [low, high].map(|i| (rows[i], kept[i])));
        let clamped = kept.iter().map(|id| i32::try_from(*id).unwrap_or(i32::MAX)).collect();
        let positions = rows.iter().map(|row| i32::try_from(*row).unwrap_or(i32::MAX)).collect();
        let on_device = |ids: Vec<i32>| {
            let len = ids.len();
            Tensor::from_data(TensorData::new(ids, [len]), (device, DType::I32))
        };
        let some_ignored = kept.len() < ids.len();
        let every = || {
            let ignored: Vec<bool> = ids.iter().map(|id| Some(*id) == ignore).collect();
            let ids = ids.iter().map(|id| if Some(*id) == ignore { 0 } else { i32::try_from(*id).unwrap_or(i32::MAX) });
            let ignored = TensorData::new(ignored, [ids.len()]);
            (on_device(ids.collect()), Tensor::from_data(ignored, device))
        };
        Self {
            every: some_ignored.then(every),
            kept: some_ignored.then(|| on_device(positions)),
            len: ids.len(),
            extremes,
            ids: on_device(clamped),
        }
    }

    /// Reads ids back from their device, which waits for it; whoever made them on the host calls [`Self::new`].
    pub fn read(ids: &Tensor<1, Int>, ignore: Option<i64>) -> Self {
        let host = ids.try_to_vec_as::<i64>().expect("an integer tensor converts to i64");
        Self::new(&host, ignore, &ids.device())
    }

    /// Rows, ignored ones included.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no row at all.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Checks that every id that counts is below `vocab_size`, by the smallest and the largest.
    ///
    /// # Errors
    /// [`Error::TokenId`] naming the row and its id.
    pub fn check(&self, vocab_size: usize) -> Result<()> {
        for (row, id) in self.extremes.into_iter().flatten() {
            if usize::try_from(id).is_ok_and(|id| id < vocab_size) {
                continue;
            }
            return Err(Error::TokenId { row, id, vocab_size });
        }
        Ok(())
    }

    /// Checks the number of rows and the ids.
    pub(crate) fn fit(&self, rows: usize, vocab_size: usize) -> Result<()> {
        check_shape("ids", &[rows], &[self.len])?;
        self.check(vocab_size)
    }

    /// The ids that count, in their order.
    pub fn counted(&self) -> Tensor<1, Int> {
        self.ids.clone()
    }

    /// The ids that count, on `device`.
    pub(crate) fn counted_on(&self, device: &Device) -> Tensor<1, Int> {
        if &self.ids.device() == device {
            self.ids.clone()
        } else {
            self.ids.clone().to_device(&device.clone().without_autodiff())
        }
    }

    /// An id for every row, 0 where it is ignored.
    pub(crate) fn every_on(&self, device: &Device) -> Tensor<1, Int> {
        match &self.every {
            Some((ids, _)) => ids.clone().to_device(&device.clone().without_autodiff()),
            None => self.counted_on(device),
        }
    }

    /// Zeros in the columns of `[k, len]` that are ignored.
    pub(crate) fn without_ignored(&self, values: Tensor<2>) -> Tensor<2> {
        match &self.every {
            Some((_, ignored)) => {
                let ignored = ignored.clone().to_device(&values.device().without_autodiff()).unsqueeze_dim::<2>(0);
                let ignored = ignored.expand(values.dims());
                values.mask_fill(ignored, 0.0)
            }
            None => values,
        }
    }

    /// The rows of `values` that count.
    pub(crate) fn pick(&self, values: Tensor<2>) -> Tensor<2> {
        match &self.kept {
            Some(kept) => {
                let kept = kept.clone().to_device(&values.device().without_autodiff());
                values.select(0, kept)
            }
            None => values,
        }
    }

    /// Columns of `[k, counted]` to where they stand in `[k, len]`, zeros elsewhere.
    pub(crate) fn spread(&self, values: Tensor<2>) -> Tensor<2> {
        match &self.kept {
            Some(kept) => {
                let (device, dtype) = (values.device(), values.dtype());
                let zeros = Tensor::<2>::zeros([values.dims()[0], self.len], (&device, dtype));
                let kept = kept.clone().to_device(&device.clone().without_autodiff());
                zeros.select_assign(1, kept, values, IndexingUpdateOp::Add)
            }
            None => values,
        }
    }

    /// How many rows count.
    pub(crate) fn num_counted(&self) -> usize {
        self.ids.dims()[0]
    }
}
