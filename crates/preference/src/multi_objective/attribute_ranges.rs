//! Ranges of attributes: how far the ratings of each reach, and values of all on one scale.
//!
//! A weight of an attribute, be it of a sum or of a gate, counts units of that attribute. Helpfulness out of 5 beside
//! safety out of 100 is not judged evenly by even weights: safety decides alone. Heads are fitted on any scale, since each
//! attribute has its own; [`AttributeRanges::unevenness`] says whether their values may be put together as they are.

use serde::{Deserialize, Serialize};

use crate::{
    Error, Result,
    error::{check_length, check_record},
};

/// The least and the greatest value of each attribute: of ratings that are there, or of the scale that raters were given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AttributeRanges {
    least: Vec<f64>,
    greatest: Vec<f64>,
}

impl AttributeRanges {
    /// Of scales `(least, greatest)` as the raters were given them, one for each attribute.
    ///
    /// # Errors
    /// [`Error::Empty`] naming `ranges` when there is none; [`Error::Record`] naming `least` or `greatest` for one that is
    /// not finite, or for a greatest value below the least.
    pub fn new(ranges: &[(f64, f64)]) -> Result<Self> {
        if ranges.is_empty() {
            return Err(Error::Empty { name: "ranges", reason: "there is no attribute" });
        }
        for (row, &(least, greatest)) in ranges.iter().enumerate() {
            check_record(least.is_finite(), row, "least", "finite", least)?;
            let above = greatest.is_finite() && greatest >= least;
            check_record(above, row, "greatest", "finite and no less than `least`", greatest)?;
        }
        let (least, greatest) = ranges.iter().copied().unzip();
        Ok(Self { least, greatest })
    }

    /// Of ratings, a row for each response, with what was not rated left out.
    ///
    /// # Errors
    /// [`Error::Empty`] naming `ratings` without a row, without an attribute or with one that nobody rated;
    /// [`Error::Length`] naming `attributes` for rows of other lengths; [`Error::Record`] naming `rating` for one that is
    /// not finite.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::multi_objective::attribute_ranges::AttributeRanges;
    /// let ratings = [vec![Some(1.0), Some(90.0)], vec![None, Some(40.0)], vec![Some(5.0), Some(60.0)]];
    /// let ranges = AttributeRanges::of(&ratings)?;
    /// assert_eq!(ranges.unevenness(), 12.5); // 50 against 4
    /// assert_eq!(ranges.to_unit(&[4.0, 50.0])?, [0.75, 0.2]);
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn of(ratings: &[Vec<Option<f64>>]) -> Result<Self> {
        let Some(first) = ratings.first() else {
            return Err(Error::Empty { name: "ratings", reason: "there is no row" });
        };
        let mut ranges = vec![(f64::INFINITY, f64::NEG_INFINITY); first.len()];
        for (row, rated) in ratings.iter().enumerate() {
            check_length("attributes", ranges.len(), rated.len())?;
            for (range, rating) in ranges.iter_mut().zip(rated) {
                let Some(rating) = *rating else { continue };
                check_record(rating.is_finite(), row, "rating", "finite", rating)?;
                *range = (range.0.min(rating), range.1.max(rating));
            }
        }
        if ranges.iter().any(|(least, greatest)| least > greatest) {
            return Err(Error::Empty { name: "ratings", reason: "an attribute has none" });
        }
        Self::new(&ranges)
    }

    /// The least value of each attribute.
    pub fn least(&self) -> &[f64] {
        &self.least
    }

    /// The greatest value of each attribute.
    pub fn greatest(&self) -> &[f64] {
        &self.greatest
    }

    /// Half of what the values of an attribute reach over: the whole may overflow.
    fn half_width(&self, attribute: usize) -> f64 {
        0.5 * self.greatest[attribute] - 0.5 * self.least[attribute]
    }

    /// How many times as far the widest attribute reaches as the narrowest, ≥ 1: 1 where all reach equally far. One whose
    /// values do not differ says nothing here. Well above 1 is a warning: bring the values [to one scale](Self::to_unit)
    /// before they are weighed.
    pub fn unevenness(&self) -> f64 {
        let widths = (0..self.least.len()).map(|attribute| self.half_width(attribute)).filter(|width| *width > 0.0);
        let (least, greatest) = widths.fold((f64::INFINITY, 0f64), |(a, b), width| (a.min(width), b.max(width)));
        (greatest / least).max(1.0)
    }

    /// Values `[attributes]` on one scale: 0 at the least of each attribute, 1 at the greatest, beyond for those that are;
    /// 0 for an attribute whose values do not differ.
    ///
    /// # Errors
    /// [`Error::Length`] naming `values`.
    pub fn to_unit(&self, values: &[f64]) -> Result<Vec<f64>> {
        check_length("values", self.least.len(), values.len())?;
        let unit = |(attribute, value): (usize, &f64)| match self.half_width(attribute) {
            width if width > 0.0 => (0.5 * value - 0.5 * self.least[attribute]) / width,
            _ => 0.0,
        };
        Ok(values.iter().enumerate().map(unit).collect())
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tensor};

    use super::*;
    use crate::multi_objective::attribute_regression::{RidgeHeadConfig, weighted_reward};

    #[test]
    fn an_attribute_rated_out_of_a_hundred_decides_alone_beside_one_out_of_five_and_the_fit_says_so() {
        // Two features, each rated without noise: helpfulness from 1 to 5, safety from 0 to 100.
        let features: Vec<Vec<f64>> =
            (0..45).map(|i| [f64::from(i % 5) / 4.0, f64::from(i % 9) / 8.0]).map(|[a, b]| vec![a, b, 1.0]).collect();
        let rate = |row: &Vec<f64>| vec![Some(1.0 + 4.0 * row[0]), Some(100.0 * row[1])];
        let ratings: Vec<_> = features.iter().map(rate).collect();
        let head = RidgeHeadConfig::new().fit(&features, &ratings).unwrap();
        // Uneven, and fitted all the same.
        assert_eq!((head.ranges.least(), head.ranges.greatest()), (&[1.0, 0.0][..], &[5.0, 100.0][..]));
        assert_eq!(head.ranges.unevenness(), 25.0);
        // A is much more helpful and a little less safe than B.
        let (a, b) = ([1.0, 0.5, 1.0], [0.0, 0.625, 1.0]);
        let lead = |values: &dyn Fn(&[f64]) -> Vec<f64>| {
            let reward = |features: &[f64]| {
                let values: Vec<f32> = values(features).iter().map(|value| *value as f32).collect();
                let values = Tensor::<1>::from_floats(values.as_slice(), &Device::flex()).reshape([1, 2]);
                weighted_reward(values, &[0.5; 2]).unwrap().into_scalar::<f32>()
            };
            reward(&a) - reward(&b)
        };
        // As rated: (5 + 50) / 2 against (1 + 62.5) / 2. On one scale: (1 + 0.5) / 2 against (0 + 0.625) / 2.
        let as_rated = lead(&|features| head.predict(features).unwrap());
        let on_one_scale = lead(&|features| head.ranges.to_unit(&head.predict(features).unwrap()).unwrap());
        assert!((as_rated + 4.25).abs() < 1e-2, "{as_rated}");
        assert!((on_one_scale - 0.4375).abs() < 1e-3, "{on_one_scale}");
    }

    #[test]
    fn missing_ratings_do_not_count_and_one_value_is_no_scale() {
        let ratings = [vec![Some(-2.0), None, Some(3.0)], vec![None, Some(7.0), Some(3.0)], vec![Some(2.0); 3]];
        let ranges = AttributeRanges::of(&ratings).unwrap();
        assert_eq!(ranges, AttributeRanges::new(&[(-2.0, 2.0), (2.0, 7.0), (2.0, 3.0)]).unwrap());
        assert_eq!(ranges.unevenness(), 5.0);
        assert_eq!(ranges.to_unit(&[-4.0, 4.5, 4.0]).unwrap(), [-0.5, 0.5, 2.0]);
        let one = AttributeRanges::new(&[(3.0, 3.0), (0.0, 2.0)]).unwrap();
        assert_eq!((one.unevenness(), one.to_unit(&[5.0, 1.0]).unwrap()), (1.0, vec![0.0, 0.5]));
        assert_eq!(AttributeRanges::new(&[(3.0, 3.0)]).unwrap().unevenness(), 1.0);
        // 2e308 is not a number, 1e308 is.
        let wide = AttributeRanges::new(&[(-1e308, 1e308)]).unwrap();
        assert_eq!(wide.to_unit(&[0.0]).unwrap(), [0.5]);
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let text = |ratings: &[Vec<Option<f64>>]| AttributeRanges::of(ratings).unwrap_err().to_string();
        assert_eq!(text(&[]), "`ratings`: nothing to learn from: there is no row");
        assert_eq!(text(&[vec![]]), "`ranges`: nothing to learn from: there is no attribute");
        assert_eq!(text(&[vec![Some(1.0), None]]), "`ratings`: nothing to learn from: an attribute has none");
        assert_eq!(text(&[vec![Some(1.0)], vec![]]), "`attributes`: expected 1 entries, got 0");
        assert!(text(&[vec![Some(1.0)], vec![Some(f64::NAN)]]).starts_with("record 1: `rating`: expected finite"));
        let text = |ranges: &[(f64, f64)]| AttributeRanges::new(ranges).unwrap_err().to_string();
        assert!(text(&[(0.0, 1.0), (f64::NAN, 1.0)]).starts_with("record 1: `least`: expected finite"));
        for bad in [0.5, f64::NAN, f64::INFINITY] {
            assert!(text(&[(1.0, bad)]).starts_with("record 0: `greatest`: expected finite and no less than `least`"));
        }
        let ranges = AttributeRanges::new(&[(0.0, 1.0)]).unwrap();
        assert!(matches!(ranges.to_unit(&[]), Err(Error::Length { name: "values", expected: 1, got: 0 })));
    }
}
