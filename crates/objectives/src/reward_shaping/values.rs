//! What functions of rewards have in common.

use accordant_ops::{check_domain, check_shape, groups::Groups};

use crate::Result;

/// Refuses infinite rewards; NaN is a missing one.
pub(super) fn check_rewards(name: &'static str, rewards: &[f64]) -> Result<()> {
    check_each(name, "finite, or NaN where missing", rewards, |reward| !reward.is_infinite())
}

/// Refuses all but 0, 1 and NaN, a verdict that is missing.
pub(super) fn check_verdicts(name: &'static str, verdicts: &[f64]) -> Result<()> {
    check_each(name, "0, 1, or NaN where missing", verdicts, |verdict| verdict.is_nan() || is_binary(verdict))
}

/// Refuses numbers outside `[0, 1]`; NaN is a missing one.
pub(super) fn check_units(name: &'static str, values: &[f64]) -> Result<()> {
    check_each(name, "in [0, 1], or NaN where missing", values, |value| value.is_nan() || is_unit(value))
}

pub(super) fn check_each(
    name: &'static str,
    expected: &'static str,
    values: &[f64],
    holds: impl Fn(f64) -> bool,
) -> Result<()> {
    Ok(values.iter().try_for_each(|&value| check_domain(holds(value), name, expected, value))?)
}

fn is_binary(value: f64) -> bool {
    value == 0.0 || value == 1.0
}

fn is_unit(value: f64) -> bool {
    (0.0..=1.0).contains(&value)
}

/// Refuses a list that does not have one entry for each of `expected` items.
pub(super) fn check_len(name: &'static str, expected: usize, got: usize) -> Result<()> {
    Ok(check_shape(name, &[expected], &[got])?)
}

/// A scalar that is finite and > 0.
pub(super) fn check_positive(name: &'static str, value: f64) -> Result<()> {
    Ok(check_domain(value.is_finite() && value > 0.0, name, "finite and > 0", value)?)
}

/// A scalar that is finite and ≥ 0.
pub(super) fn check_non_negative(name: &'static str, value: f64) -> Result<()> {
    Ok(check_domain(value.is_finite() && value >= 0.0, name, "finite and >= 0", value)?)
}

/// Those that are not missing, in their order.
pub(super) fn present(values: &[f64]) -> Vec<f64> {
    values.iter().copied().filter(|value| !value.is_nan()).collect()
}

/// The mean; NaN of nothing. Equal values have exactly themselves as their mean.
pub(super) fn mean(values: &[f64]) -> f64 {
    let Some(&first) = values.first() else { return f64::NAN };
    first + values.iter().map(|value| value - first).sum::<f64>() / values.len() as f64
}

/// The items of each group, by its number.
pub(super) fn members(groups: &Groups) -> Vec<Vec<usize>> {
    let mut members = vec![Vec::new(); groups.sizes().len()];
    for (item, &number) in groups.numbers().iter().enumerate() {
        members[number].push(item);
    }
    members
}

/// The present values of some items.
pub(super) fn present_of(values: &[f64], items: &[usize]) -> Vec<f64> {
    present(&items.iter().map(|&item| values[item]).collect::<Vec<_>>())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Equal to within `tolerance`; NaN where NaN is expected.
    pub(in crate::reward_shaping) fn assert_close(got: &[f64], expected: &[f64], tolerance: f64) {
        assert_eq!(got.len(), expected.len(), "{got:?} {expected:?}");
        for (a, b) in got.iter().zip(expected) {
            assert!((a - b).abs() <= tolerance || (a.is_nan() && b.is_nan()), "{got:?}, expected {expected:?}");
        }
    }

    /// The message of an error that must come.
    pub(in crate::reward_shaping) fn message<T: std::fmt::Debug>(result: Result<T>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn what_is_refused_is_named_with_its_domain() {
        assert!(check_rewards("r", &[0.0, f64::NAN, -1e300]).is_ok());
        for bad in [f64::INFINITY, f64::NEG_INFINITY] {
            let expected = format!("`r`: expected finite, or NaN where missing, got {bad}");
            assert_eq!(message(check_rewards("r", &[0.0, bad])), expected);
        }
        assert!(check_verdicts("v", &[0.0, 1.0, f64::NAN]).is_ok());
        assert_eq!(message(check_verdicts("v", &[0.5])), "`v`: expected 0, 1, or NaN where missing, got 0.5");
        assert!(check_units("u", &[0.0, 1.0, 0.5, f64::NAN]).is_ok());
        assert_eq!(message(check_units("u", &[1.5])), "`u`: expected in [0, 1], or NaN where missing, got 1.5");
        assert!(check_units("u", &[-0.5]).is_err());
        assert!(check_len("l", 2, 2).is_ok());
        assert_eq!(message(check_len("l", 2, 3)), "`l`: expected shape [2], got [3]");
        assert!(check_positive("p", 1e-300).is_ok() && check_non_negative("n", 0.0).is_ok());
        assert_eq!(message(check_positive("p", 0.0)), "`p`: expected finite and > 0, got 0");
        assert_eq!(message(check_non_negative("n", -1.0)), "`n`: expected finite and >= 0, got -1");
        for bad in [f64::NAN, f64::INFINITY, -1.0] {
            assert!(check_positive("p", bad).is_err() && check_non_negative("n", bad).is_err());
        }
    }

    #[test]
    fn means_leave_missing_values_out_and_are_exact_for_equal_ones() {
        assert_eq!(mean(&present(&[1.0, f64::NAN, 4.0, 4.0])), 3.0);
        assert_eq!(mean(&[0.1; 49]), 0.1);
        assert!(mean(&[]).is_nan());
    }

    #[test]
    fn members_are_listed_by_group() {
        let groups = Groups::new(&['b', 'a', 'b', 'b']);
        assert_eq!(members(&groups), [vec![0, 2, 3], vec![1]]);
        assert_eq!(present_of(&[5.0, 6.0, f64::NAN, 8.0], &[0, 2, 3]), [5.0, 8.0]);
        assert_eq!(members(&Groups::new::<u8>(&[])), Vec::<Vec<usize>>::new());
    }
}
