//! Numbers that one method logs beside its family's.

use std::borrow::Cow;

use accordant_ops::{Means, check_shape};
use burn::tensor::{Tensor, TensorData};

use crate::Result;

/// A value and a weight for each item.
#[derive(Debug, Clone)]
struct Metric {
    name: Cow<'static, str>,
    values: Tensor<1>,
    weights: Tensor<1>,
}

/// The metrics of an output, detached, `[n]` each.
#[derive(Debug, Clone, Default)]
pub(crate) struct Metrics(Vec<Metric>);

impl Metrics {
    /// Adds `values`, to be averaged as `Σ weights · values / Σ weights`. `like`: the losses, whose shape they have.
    pub(crate) fn add(
        &mut self,
        name: &'static str,
        values: Tensor<1>,
        weights: Tensor<1>,
        like: &Tensor<1>,
    ) -> Result<()> {
        check_shape(name, &like.dims(), &values.dims())?;
        check_shape(name, &like.dims(), &weights.dims())?;
        self.push(name, values, weights);
        Ok(())
    }

    /// [`Metrics::add`] of numbers that are known to have that shape.
    pub(crate) fn push(&mut self, name: impl Into<Cow<'static, str>>, values: Tensor<1>, weights: Tensor<1>) {
        self.0.push(Metric { name: name.into(), values: values.detach(), weights: weights.detach() });
    }

    /// Those of the parts of a whole, by label: what is said about each as it is, what each has logged behind the label
    /// (`label/name`) where another part has logged under the same name.
    pub(crate) fn joined(parts: Vec<(String, Self, Self)>) -> Self {
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
    pub(crate) fn get(&self, name: &str) -> Option<(&Tensor<1>, &Tensor<1>)> {
        let found = self.0.iter().find(|metric| metric.name == name)?;
        Some((&found.values, &found.weights))
    }

    /// The values, by name.
    pub(crate) fn named(&self) -> impl Iterator<Item = (Cow<'static, str>, &Tensor<1>)> {
        self.0.iter().map(|metric| (metric.name.clone(), &metric.values))
    }

    /// Reads the family's columns and these metrics from the device at once, in f64. `item` gets the family's numbers of
    /// each item and says whether the item counts; the means of the metrics over those that do are added to `means`.
    pub(crate) fn read<const N: usize>(
        &self,
        family: [&Tensor<1>; N],
        means: &mut Means,
        mut item: impl FnMut(&[f64; N]) -> bool,
    ) {
        let own = self.0.iter().flat_map(|metric| [&metric.values, &metric.weights]);
        // burn panics at two dtypes in one stack.
        let dtype = family[0].dtype();
        let columns: Vec<_> = family.into_iter().chain(own).map(|column| column.clone().detach().cast(dtype)).collect();
        let width = columns.len();
        let rows: TensorData = Tensor::stack::<2>(columns, 1).into_data().convert::<f64>();
        // Summed here and named once: names cost more than numbers.
        let mut sums = vec![(0.0, 0.0); self.0.len()];
        for row in rows.as_slice::<f64>().expect("converted to f64").chunks_exact(width) {
            let Some((family, own)) = row.split_first_chunk::<N>() else { continue };
            if !item(family) {
                continue;
            }
            for ((sum, count), metric) in sums.iter_mut().zip(own.chunks_exact(2)) {
                *sum += metric[0] * metric[1];
                *count += metric[1];
            }
        }
        for (metric, (sum, count)) in self.0.iter().zip(sums) {
            means.add(&metric.name, sum, count);
        }
    }
}

/// 1 for each item of weight > 0, 0 for the others.
pub(crate) fn counted(weights: &Tensor<1>) -> Tensor<1> {
    weights.ones_like().mask_fill(weights.clone().lower_equal_scalar(0.0), 0.0)
}
