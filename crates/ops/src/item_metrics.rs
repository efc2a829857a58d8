//! Numbers per item that are logged beside a loss.

use std::borrow::Cow;

use burn::tensor::{DType, Tensor, TensorData, Transaction};

use crate::{Means, Result, check_shape};

/// A value and a weight for each item.
#[derive(Debug, Clone)]
struct Metric {
    name: Cow<'static, str>,
    values: Tensor<1>,
    weights: Tensor<1>,
}

/// The metrics of an output: named columns of values and weights, detached, `[n]` each.
#[derive(Debug, Clone, Default)]
pub struct ItemMetrics(Vec<Metric>);

impl ItemMetrics {
    /// Adds `values`, to be averaged as `Σ weights · values / Σ weights`. `like`: the losses, whose shape they have.
    ///
    /// # Errors
    /// [`crate::Error::ShapeMismatch`] naming the metric.
    pub fn add(&mut self, name: &'static str, values: Tensor<1>, weights: Tensor<1>, like: &Tensor<1>) -> Result<()> {
        check_shape(name, &like.dims(), &values.dims())?;
        check_shape(name, &like.dims(), &weights.dims())?;
        self.push(name, values, weights);
        Ok(())
    }

    /// [`ItemMetrics::add`] of numbers that are known to have that shape.
    pub fn push(&mut self, name: impl Into<Cow<'static, str>>, values: Tensor<1>, weights: Tensor<1>) {
        self.0.push(Metric { name: name.into(), values: values.detach(), weights: weights.detach() });
    }

    /// Those of the parts of a whole, by label: what is said about each as it is, what each has logged behind the label
    /// (`label/name`) where another part has logged under the same name.
    pub fn joined(parts: Vec<(String, Self, Self)>) -> Self {
        let names: Vec<_> = parts.iter().flat_map(|(_, _, own)| &own.0).map(|metric| metric.name.clone()).collect();
        let mut all = Vec::new();
        for (label, about, own) in parts {
            all.extend(about.0);
            all.extend(own.0.into_iter().map(|metric| {
                let alone = names.iter().filter(|name| **name == metric.name).count() == 1;
                let name = if alone { metric.name } else { format!("{label}/{}", metric.name).into() };
                Metric { name, ..metric }
            }));
        }
        Self(all)
    }

    /// Values and weights of the metric called `name`.
    pub fn get(&self, name: &str) -> Option<(&Tensor<1>, &Tensor<1>)> {
        let found = self.0.iter().find(|metric| metric.name == name)?;
        Some((&found.values, &found.weights))
    }

    /// The values, by name.
    pub fn named(&self) -> impl Iterator<Item = (Cow<'static, str>, &Tensor<1>)> {
        self.0.iter().map(|metric| (metric.name.clone(), &metric.values))
    }

    /// Reads the family's columns and these metrics from the device at once, in f64. `item` gets the family's numbers of
    /// each item and says whether the item counts; the means of the metrics over those that do are added to `means`.
    pub fn read<const N: usize>(
        &self,
        family: [&Tensor<1>; N],
        means: &mut Means,
        mut item: impl FnMut(&[f64; N]) -> bool,
    ) {
        let own = self.0.iter().flat_map(|metric| [&metric.values, &metric.weights]);
        let columns = columns(family.into_iter().chain(own));
        let (family, own) = columns.split_at(N);
        // Summed here and named once: names cost more than numbers.
        let counts: Vec<bool> =
            (0..family.first().map_or(0, Vec::len)).map(|row| item(&std::array::from_fn(|i| family[i][row]))).collect();
        for (metric, own) in self.0.iter().zip(own.chunks_exact(2)) {
            // What has no weight is left out, not multiplied: it may be NaN.
            let counted = |((_, weight), counts): &((&f64, &f64), &bool)| **counts && **weight != 0.0;
            let rows = own[0].iter().zip(&own[1]).zip(&counts).filter(counted);
            let sum = |(sum, count), ((value, weight), _): ((&f64, &f64), _)| (sum + value * weight, count + weight);
            let (sum, count) = rows.fold((0.0, 0.0), sum);
            means.add(&metric.name, sum, count);
        }
    }
}

/// The numbers of every column in f64, with one read of the device.
fn columns<'a>(columns: impl Iterator<Item = &'a Tensor<1>>) -> Vec<Vec<f64>> {
    let read = columns.fold(Transaction::default(), |read, column| read.register(column.clone().inner()));
    read.execute().into_iter().map(numbers).collect()
}

/// What was read of a float tensor, in f64.
pub fn numbers(data: TensorData) -> Vec<f64> {
    match data.dtype() {
        // The usual one, without a detour over single elements.
        DType::F32 => data.as_slice::<f32>().expect("of this dtype").iter().copied().map(f64::from).collect(),
        _ => data.convert::<f64>().try_into_vec::<f64>().expect("converted to f64"),
    }
}

/// 1 for each item of weight > 0, 0 for the others.
pub fn counted(weights: &Tensor<1>) -> Tensor<1> {
    weights.ones_like().mask_fill(weights.clone().lower_equal_scalar(0.0), 0.0)
}
