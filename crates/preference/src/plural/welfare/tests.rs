use accordant_laws::gradient::check_gradient;

use super::*;
use crate::distributional::testing::{gradient, host, near, starts, vector};

const ALL: [Welfare; 10] = [
    Welfare::Utilitarian,
    Welfare::Egalitarian,
    Welfare::Nash,
    Welfare::PowerMean(0.5),
    Welfare::PowerMean(0.0),
    Welfare::PowerMean(-2.0),
    Welfare::Cvar(0.45),
    Welfare::Cvar(1.0),
    Welfare::SoftMin(0.7),
    Welfare::SoftMin(20.0),
];

const VALUES: [f64; 4] = [2.0, 0.5, 3.0, 1.0];
const SHARES: [f64; 4] = [0.1, 0.2, 0.3, 0.4];

#[test]
fn four_groups_by_hand() {
    let of = |welfare: Welfare| welfare.of(&VALUES, &SHARES).unwrap();
    let expected = [
        (Welfare::Utilitarian, 1.6),
        (Welfare::Egalitarian, 0.5),
        (Welfare::Nash, 0.1 * 2f64.ln() - 0.2 * 2f64.ln() + 0.3 * 3f64.ln()),
        (Welfare::PowerMean(2.0), (0.4 + 0.05 + 2.7 + 0.4f64).sqrt()),
        (Welfare::PowerMean(-1.0), 1.0 / (0.05 + 0.4 + 0.1 + 0.4)),
        // The worst 0.45: all of 0.5 and a quarter of the population at 1.
        (Welfare::Cvar(0.45), (0.2 * 0.5 + 0.25) / 0.45),
        (Welfare::SoftMin(1.0), {
            let [a, b, c, d] = VALUES.map(|v| (-v).exp());
            -(0.1 * a + 0.2 * b + 0.3 * c + 0.4 * d).ln()
        }),
    ];
    for (welfare, expected) in expected {
        assert!((of(welfare) - expected).abs() < 1e-12, "{welfare:?}: {} is not {expected}", of(welfare));
    }
    assert!((of(Welfare::PowerMean(0.0)) - of(Welfare::Nash).exp()).abs() < 1e-12);
}

#[test]
fn limits_into_each_other() {
    let of = |welfare: Welfare| welfare.of(&VALUES, &SHARES).unwrap();
    let pairs = [
        (Welfare::PowerMean(1.0), Welfare::Utilitarian, 1e-12),
        (Welfare::PowerMean(1e-7), Welfare::PowerMean(0.0), 1e-6),
        (Welfare::PowerMean(-800.0), Welfare::Egalitarian, 2e-3),
        (Welfare::Cvar(1.0), Welfare::Utilitarian, 1e-12),
        (Welfare::Cvar(0.2), Welfare::Egalitarian, 1e-12),
        (Welfare::SoftMin(1e-3), Welfare::Egalitarian, 2e-3),
        (Welfare::SoftMin(1e5), Welfare::Utilitarian, 1e-5),
    ];
    for (welfare, limit, tolerance) in pairs {
        assert!((of(welfare) - of(limit)).abs() <= tolerance, "{welfare:?}: {} and {}", of(welfare), of(limit));
    }
    // MaxMin-RLHF's smooth minimum, which counts groups instead of averaging them.
    let even = Welfare::SoftMin(0.7).of(&VALUES, &[0.25; 4]).unwrap();
    let counted = -0.7 * log_sum_exp(&VALUES.map(|v| -v / 0.7));
    assert!((even - counted - 0.7 * 4f64.ln()).abs() < 1e-12);
    // At 0: the product is nothing, a mean of powers above 0 is something.
    let zero = |power| Welfare::PowerMean(power).of(&[0.0, 4.0], &[0.5, 0.5]).unwrap();
    near(&[zero(-1.0), zero(0.0), zero(0.5)], &[0.0, 0.0, 1.0], 1e-12);
    assert_eq!(Welfare::PowerMean(-1.0).of(&[0.0, 4.0], &[0.0, 1.0]).unwrap(), 4.0, "nobody has nothing");
}

#[test]
fn more_for_anybody_is_never_worse_and_equal_values_are_worth_themselves() {
    for welfare in ALL {
        let before = welfare.of(&VALUES, &SHARES).unwrap();
        for group in 0..4 {
            let mut more = VALUES;
            more[group] += 0.3;
            let after = welfare.of(&more, &SHARES).unwrap();
            assert!(after >= before - 1e-15, "{welfare:?}");
            // Strictly where the worst off or everybody counts.
            let counts = !matches!(welfare, Welfare::Egalitarian | Welfare::Cvar(0.45)) || group == 1;
            assert!(!counts || after > before, "{welfare:?}, group {group}");
        }
        let equal = welfare.of(&[1.7; 4], &SHARES).unwrap();
        let expected = if welfare == Welfare::Nash { 1.7f64.ln() } else { 1.7 };
        assert!((equal - expected).abs() < 1e-12, "{welfare:?}");
    }
}

#[test]
fn a_transfer_to_the_worse_off_is_never_worse() {
    // Of equal groups: from the best off to another that stays worse off (Pigou and Dalton).
    for welfare in ALL.into_iter().chain([Welfare::PowerMean(0.9)]) {
        let before = welfare.of(&VALUES, &[0.25; 4]).unwrap();
        for poor in [0, 1, 3] {
            let mut after = VALUES;
            after[poor] += 0.4;
            after[2] -= 0.4;
            let change = welfare.of(&after, &[0.25; 4]).unwrap() - before;
            assert!(change >= -1e-12, "{welfare:?}: {change}");
            let strict = matches!(welfare, Welfare::Nash | Welfare::PowerMean(_) | Welfare::SoftMin(_)) || poor == 1;
            assert!(!strict || change > 1e-9 || welfare == Welfare::Utilitarian || welfare == Welfare::Cvar(1.0));
        }
    }
    // A convex mean of powers likes inequality.
    let square = |values: &[f64]| Welfare::PowerMean(2.0).of(values, &[0.5, 0.5]).unwrap();
    assert!(square(&[2.0, 2.0]) < square(&[1.0, 3.0]));
}

#[test]
fn slopes_are_derivatives_and_the_tensor_face_has_both() {
    for welfare in ALL {
        let slopes = welfare.slopes(&VALUES, &SHARES).unwrap();
        check_gradient(|values| welfare.of(values, &SHARES).unwrap(), &VALUES, &slopes).unwrap();
        let objective = |x| welfare.objective(x, &SHARES).unwrap();
        near(&host(&objective(vector(&VALUES))), &[welfare.of(&VALUES, &SHARES).unwrap()], 1e-15);
        near(&gradient(&VALUES, objective), &slopes, 1e-15);
    }
}

#[test]
fn ties_share_the_slope() {
    let (values, shares) = ([1.0, 1.0, 3.0, 0.0], [0.1, 0.3, 0.6, 0.0]);
    near(&Welfare::Egalitarian.slopes(&values, &shares).unwrap(), &[0.5, 0.5, 0.0, 0.0], 0.0);
    near(&Welfare::Cvar(0.2).slopes(&values, &shares).unwrap(), &[0.25, 0.75, 0.0, 0.0], 1e-15);
    near(&Welfare::Cvar(0.5).slopes(&values, &shares).unwrap(), &[0.2, 0.6, 0.2, 0.0], 1e-15);
    near(&Welfare::PowerMean(-1.0).slopes(&[2.0, 2.0, 0.0], &[0.5, 0.5, 0.0]).unwrap(), &[0.5, 0.5, 0.0], 1e-15);
    near(&Welfare::Egalitarian.slopes(&[0.0, 1.0, 0.0], &[0.4, 0.6, 0.0]).unwrap(), &[1.0, 0.0, 0.0], 0.0);
    // Shares that add up to 1 but for rounding count by their share of that.
    let slopes = Welfare::Utilitarian.slopes(&[1.0, 1.0], &[0.25 * (1.0 - 8e-7), 0.75 * (1.0 - 8e-7)]).unwrap();
    near(&slopes, &[0.25, 0.75], 1e-12);
    starts(Welfare::PowerMean(0.5).slopes(&[0.0, 1.0], &[0.5, 0.5]), "`values`: expected finite derivatives");
}

#[test]
fn disagreement_by_hand() {
    // Entropies: of (½, ½) ln 2, of (1, 0) 0, of their mixture 3 : 1 (⅝, ⅜).
    let mixed = -(0.625 * 0.625f64.ln() + 0.375 * 0.375f64.ln());
    let got = disagreement(&[vec![0.5, 0.5], vec![1.0, 0.0]], &[0.75, 0.25]).unwrap();
    assert!((got - (mixed - 0.75 * 2f64.ln())).abs() < 1e-15);
    let apart = disagreement(&[vec![1.0, 0.0], vec![0.0, 1.0]], &[0.75, 0.25]).unwrap();
    assert!((apart + 0.75 * 0.75f64.ln() + 0.25 * 0.25f64.ln()).abs() < 1e-15);
    starts(disagreement(&[], &[]), "`shares`");
    starts(disagreement(&[vec![1.0]], &[0.5, 0.5]), "`distributions`: expected 2 entries");
    starts(disagreement(&[vec![1.0], vec![0.5, 0.5]], &[0.5, 0.5]), "`distributions`: expected 1 entries");
    starts(disagreement(&[vec![0.5]], &[1.0]), "`distributions`: expected a sum of 1");
    starts(disagreement(&[vec![]], &[1.0]), "`distributions`: nothing");
}

#[test]
fn senseless_input_is_refused_by_name() {
    let of = |welfare: Welfare, values: &[f64]| welfare.of(values, &[0.5, 0.5]);
    for bad in [f64::NAN, f64::INFINITY] {
        starts(of(Welfare::PowerMean(bad), &[1.0; 2]), "`power`: expected finite");
        starts(of(Welfare::Utilitarian, &[1.0, bad]), "record 1: `values`: expected finite");
    }
    for bad in [0.0, -0.5, 1.1, f64::NAN] {
        starts(of(Welfare::Cvar(bad), &[1.0; 2]), "`alpha`: expected in (0, 1]");
        starts(Welfare::Cvar(bad).check(), "`alpha`: expected in (0, 1]");
    }
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        starts(of(Welfare::SoftMin(bad), &[1.0; 2]), "`temperature`: expected finite and > 0");
    }
    starts(of(Welfare::Nash, &[1.0, 0.0]), "record 1: `values`: expected finite and > 0");
    starts(of(Welfare::PowerMean(1.0), &[-0.1, 0.0]), "record 0: `values`: expected finite and >= 0");
    of(Welfare::Cvar(0.3), &[-1.0, 2.0]).unwrap();
    starts(of(Welfare::Nash, &[1.0]), "`values`");
    starts(Welfare::Nash.of(&[], &[]), "`shares`");
    starts(Welfare::Nash.slopes(&[1.0, 1.0], &[0.5, 0.4]), "`shares`: expected a sum of 1");
    starts(Welfare::Nash.objective(vector(&[1.0]), &[0.5, 0.5]), "`values`");
}

#[test]
fn the_mean_has_slopes_at_zero_and_small_powers_keep_their_digits() {
    assert_eq!(Welfare::PowerMean(1.0).slopes(&[0.0, 1.0], &[0.25, 0.75]).unwrap(), [0.25, 0.75]);
    // M_p = G exp(p Var(log v)/2 + …)
    let (a, b) = (2f64.ln(), 3f64.ln());
    for power in [1e-4, 1e-9, 1e-12, -1e-12, 1e-17] {
        let got = Welfare::PowerMean(power).of(&[2.0, 3.0], &[0.5, 0.5]).unwrap();
        let expected = (0.5 * (a + b) + power * (a - b).powi(2) / 8.0).exp();
        assert!((got / expected - 1.0).abs() < 1e-13, "{power}: {got} is not {expected}");
    }
    // The two forms meet.
    let at = |power: f64| Welfare::PowerMean(power).of(&VALUES, &SHARES).unwrap();
    assert!((at(1e-3) / at(1e-3 - 1e-12) - 1.0).abs() < 1e-11);
}
