//! The row kernels written for `flex` against those in a backend's own operations.

use super::*;

const DTYPES: [DType; 4] = [DType::F64, DType::F32, DType::BF16, DType::F16];

/// Lanes, blocks, and one more or less of each.
const WIDTHS: [usize; 9] = [1, 2, 15, 16, 17, 1023, 1024, 1025, 2100];

/// Rows of every kind: plain, equal throughout, with columns of −∞, of −∞ throughout, with NaN, with +∞, huge.
const ROWS: usize = 7;

fn every_kind_of_row(columns: usize) -> Vec<f64> {
    let mut x: Vec<f64> = noise(1, ROWS * columns).into_iter().map(|x| 4.0 * x).collect();
    let at = |row: usize, column: usize| row * columns + column % columns;
    x[columns..2 * columns].fill(0.5);
    for column in (1..columns).step_by(3) {
        x[at(2, column)] = f64::NEG_INFINITY;
    }
    x[3 * columns..4 * columns].fill(f64::NEG_INFINITY);
    x[at(4, columns / 2)] = f64::NAN;
    x[at(5, columns / 2)] = f64::INFINITY;
    x[at(6, columns - 1)] = 3e4;
    x
}

/// The rows that hold neither NaN nor +∞.
fn is_plain(row: usize) -> bool {
    row != 4 && row != 5
}

/// Rows of `[k, ROWS]` that are numbers.
fn plain(tensor: &FloatTensor<Flex>) -> Vec<f64> {
    host(tensor).into_iter().enumerate().filter(|(i, _)| is_plain(i % ROWS)).map(|(_, x)| x).collect()
}

fn start(dtype: DType) -> FloatTensor<Flex> {
    let state: Vec<f64> = (0..STATE * ROWS).map(|i| if i < ROWS { lowest(dtype) } else { 0.0 }).collect();
    floats(&state, [STATE, ROWS], dtype)
}

#[test]
fn the_state_of_rows_is_that_of_the_generic_kernel() {
    for dtype in DTYPES {
        for columns in WIDTHS {
            let x = floats(&every_kind_of_row(columns), [ROWS, columns], dtype);
            // Two tiles of one vocabulary; some ids lie in either, some in none of them.
            let last = columns as i32;
            let ids = [0, last - 1, last, 2 * last - 1, 2 * last, 1, last + 1];
            let (mut direct, mut generic) = (start(wide(dtype)), start(wide(dtype)));
            for (offset, scale) in [(0, 0.7), (columns, 1.1)] {
                direct = Flex::row_stats(x.clone(), ints(&ids), direct, offset, scale);
                generic = reference::row_stats::<Flex>(x.clone(), ints(&ids), generic, offset, scale);
                let context = format!("{dtype:?} {columns} {offset}");
                let [a, b] = [&direct, &generic].map(|state| floats(&plain(state), [STATE, ROWS - 2], wide(dtype)));
                assert_near(&a, &b, &context);
                // NaN, in the sum that every output is made of.
                for state in [&direct, &generic] {
                    let sums = &host(state)[ROWS..2 * ROWS];
                    assert!(sums[4].is_nan() && sums[5].is_nan(), "{context}: {sums:?}");
                }
            }
        }
    }
}

#[test]
fn the_gradient_of_rows_is_that_of_the_generic_kernel() {
    for dtype in DTYPES {
        for columns in WIDTHS {
            let x = floats(&every_kind_of_row(columns), [ROWS, columns], dtype);
            let last = columns as i32;
            let ids = [0, last - 1, last, 2 * last - 1, 2 * last, 1, last + 1];
            let state = reference::row_stats::<Flex>(x.clone(), ints(&ids), start(wide(dtype)), 0, 0.7);
            let state = host(&state);
            let mut coefs = noise(2, COEFS * ROWS);
            for row in 0..ROWS {
                // As `streamed` does: a row without probability has no coefficients.
                let dead = state[ROWS + row] == 0.0;
                (coefs[row], coefs[ROWS + row]) = if dead { (0.0, 0.0) } else { (state[row], state[ROWS + row].ln()) };
            }
            let coefs = floats(&coefs, [COEFS, ROWS], wide(dtype));
            for offset in [0, columns] {
                let direct = Flex::row_grads(x.clone(), ints(&ids), coefs.clone(), offset, 0.7, 0.0);
                let generic = reference::row_grads::<Flex>(x.clone(), ints(&ids), coefs.clone(), offset, 0.7, 0.0);
                assert_near(&direct, &generic, &format!("{dtype:?} {columns} {offset}"));
                // A tensor that nobody else holds is written in its place.
                let own = floats(&every_kind_of_row(columns), [ROWS, columns], dtype);
                let in_place = Flex::row_grads(own, ints(&ids), coefs.clone(), offset, 0.7, 0.0);
                let bits = |x: &FloatTensor<Flex>| host(x).into_iter().map(f64::to_bits).collect::<Vec<_>>();
                assert_eq!(bits(&in_place), bits(&direct));
            }
            // Whoever else holds it sees nothing of it.
            let bits = |x: Vec<f64>| x.into_iter().map(f64::to_bits).collect::<Vec<_>>();
            assert_eq!(bits(host(&x)), bits(host(&floats(&every_kind_of_row(columns), [ROWS, columns], dtype))));
        }
    }
}

#[test]
fn the_gradient_under_a_cap_is_that_of_the_generic_kernel() {
    for dtype in DTYPES {
        // Hyperbolic tangents, which a scale of 21 makes logits of.
        let x = floats(&noise(5, ROWS * 70), [ROWS, 70], dtype);
        let state = reference::row_stats::<Flex>(x.clone(), ints(&[3; ROWS]), start(wide(dtype)), 0, 21.0);
        let (state, mut coefs) = (host(&state), noise(2, COEFS * ROWS));
        for row in 0..ROWS {
            (coefs[row], coefs[ROWS + row]) = (state[row], state[ROWS + row].ln());
        }
        let coefs = floats(&coefs, [COEFS, ROWS], wide(dtype));
        let direct = Flex::row_grads(x.clone(), ints(&[3; ROWS]), coefs.clone(), 0, 21.0, 1.0 / 30.0);
        let generic = reference::row_grads::<Flex>(x, ints(&[3; ROWS]), coefs, 0, 21.0, 1.0 / 30.0);
        assert_near(&direct, &generic, &format!("{dtype:?}"));
    }
}

#[test]
fn a_row_that_nobody_asks_for_has_no_gradient_whatever_it_holds() {
    for dtype in DTYPES {
        let x = floats(&every_kind_of_row(70), [ROWS, 70], dtype);
        let coefs =
            || floats(&[0.5, 1.0, 0.0, 0.0, 0.0, 0.0].map(|coef| [coef; ROWS]).concat(), [COEFS, ROWS], wide(dtype));
        for grads in [
            Flex::row_grads(x.clone(), ints(&[0; ROWS]), coefs(), 0, 0.7, 0.0),
            reference::row_grads::<Flex>(x.clone(), ints(&[0; ROWS]), coefs(), 0, 0.7, 0.0),
        ] {
            assert!(host(&grads).iter().all(|grad| *grad == 0.0), "{dtype:?}: {:?}", host(&grads));
        }
    }
}

#[test]
fn divergences_are_those_of_the_generic_kernel() {
    for dtype in DTYPES {
        for columns in WIDTHS {
            let kinds = floats(&every_kind_of_row(columns), [ROWS, columns], dtype);
            let other = floats(&noise(3, ROWS * columns), [ROWS, columns], dtype);
            for (policy, reference) in [(&kinds, &other), (&other, &kinds), (&kinds, &kinds)] {
                for forward in [false, true] {
                    let context = format!("{dtype:?} {columns} {forward}");
                    let direct = Flex::kl_rows(policy.clone(), reference.clone(), 0.7, forward);
                    let generic = reference::kl_rows::<Flex>(policy.clone(), reference.clone(), 0.7, forward);
                    let [a, b] = [&direct, &generic].map(|x| floats(&plain(x), [DIVERGENCE, ROWS - 2], wide(dtype)));
                    assert_near(&a, &b, &context);
                    assert!([&direct, &generic].iter().all(|kl| host(kl)[4].is_nan() && host(kl)[5].is_nan()));
                    let mut rows = host(&generic);
                    let factors = noise(4, ROWS);
                    for row in 0..ROWS {
                        rows[(DIVERGENCE - 1) * ROWS + row] *= factors[row];
                    }
                    let rows = floats(&rows, [DIVERGENCE, ROWS], wide(dtype));
                    let arguments = || (policy.clone(), reference.clone(), rows.clone());
                    let (p, q, at) = arguments();
                    let direct = Flex::kl_row_grads(p, q, at, 0.7, forward);
                    let (p, q, at) = arguments();
                    assert_near(&direct, &reference::kl_row_grads::<Flex>(p, q, at, 0.7, forward), &context);
                }
            }
        }
    }
}
