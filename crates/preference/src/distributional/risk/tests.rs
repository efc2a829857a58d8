use super::{gaussian::normal_density, *};
use crate::distributional::testing::{check_gradients, gradient, host, matrix, near, starts};

const ALL: [Risk; 18] = [
    Risk::Mean,
    Risk::MeanStd(0.7),
    Risk::ValueAtRisk(0.3),
    Risk::ValueAtRisk(1.0),
    Risk::Cvar(0.3),
    Risk::Cvar(1.0),
    Risk::Entropic(-0.8),
    Risk::Entropic(0.0),
    Risk::Entropic(1e-7),
    Risk::SoftMin(0.8),
    Risk::Wang(0.6),
    Risk::Wang(-0.4),
    Risk::ProportionalHazard(2.0),
    Risk::ProportionalHazard(0.5),
    Risk::Prospect(0.61),
    Risk::Expectile(0.2),
    Risk::Expectile(0.5),
    Risk::WorstCase,
];

fn five() -> Atoms {
    Atoms::equal(&[-2.0, 0.0, 1.0, 3.0, 8.0]).unwrap()
}

fn of(atoms: &Atoms, risk: Risk) -> f64 {
    atoms.risk(&risk).unwrap()
}

#[test]
fn the_reference_figures_of_five_values() {
    let atoms = five();
    assert!((atoms.mean() - 2.0).abs() < 1e-12 && (atoms.variance() - 11.6).abs() < 1e-12);
    for (risk, expected) in [
        (Risk::Cvar(0.2), -2.0),
        (Risk::Cvar(0.3), -4.0 / 3.0),
        (Risk::Entropic(-1.0), -0.56611554),
        (Risk::Entropic(0.5), 5.03850149),
        (Risk::SoftMin(1.0), -0.56611554),
    ] {
        assert!((of(&atoms, risk) - expected).abs() < 5e-9, "{risk:?}: {}", of(&atoms, risk));
    }
}

#[test]
fn measures_by_hand() {
    let atoms = Atoms::new(&[4.0, 0.0, 2.0, 9.0], &[1.0, 2.0, 1.0, 0.0]).unwrap();
    assert_eq!((atoms.values(), atoms.probs()), (&[0.0, 2.0, 4.0][..], &[0.5, 0.25, 0.25][..]));
    near(&[atoms.mean(), atoms.variance()], &[1.5, 2.75], 1e-15);
    for (risk, expected) in [
        (Risk::Mean, 1.5),
        (Risk::MeanStd(2.0), 1.5 - 2.0 * 2.75f64.sqrt()),
        (Risk::ValueAtRisk(0.5), 0.0),
        (Risk::ValueAtRisk(0.51), 2.0),
        (Risk::ValueAtRisk(1.0), 4.0),
        (Risk::Cvar(0.75), (0.25 * 2.0) / 0.75),
        (Risk::Cvar(1.0), 1.5),
        (Risk::Cvar(1e-9), 0.0),
        (Risk::WorstCase, 0.0),
        // The least of two draws: 1 − ½², ¼(2 · ¼ + ¼), 1/16.
        (Risk::ProportionalHazard(2.0), 2.0 * 3.0 / 16.0 + 4.0 / 16.0),
        // ¼ (4 − e) + ... : τ (1.5·½ ...): 0.8·½ e = 0.2 (¼ (2 − e) + ¼ (4 − e)) at e = 0.6.
        (Risk::Expectile(0.2), 0.6),
        (Risk::Expectile(0.5), 1.5),
        // e^{X ln 2} is 1, 4, 16.
        (Risk::Entropic(std::f64::consts::LN_2), 5.5f64.log2()),
        (Risk::SoftMin(std::f64::consts::LN_2), -(0.5f64 + 0.0625 + 0.015625).log2()),
        (Risk::Prospect(1.0), 1.5),
        (Risk::Wang(0.0), 1.5),
    ] {
        assert!((of(&atoms, risk) - expected).abs() < 1e-12, "{risk:?}: {}", of(&atoms, risk));
    }
    // Φ(Φ⁻¹(½) + 1) of a coin.
    let coin = Atoms::equal(&[0.0, 1.0]).unwrap();
    assert!((of(&coin, Risk::Wang(1.0)) - 0.15865525393145707).abs() < 1e-12);
    // ½^γ/(2 · ½^γ)^{1/γ} at γ = ½ is ½^½/4^{...}: 0.70710678/2 = 0.35355339 for the lower.
    assert!((of(&coin, Risk::Prospect(0.5)) - (1.0 - 0.5f64.sqrt() / 2.0)).abs() < 1e-12);
    near(&[atoms.expected(|v| v * v)], &[5.0], 1e-15);
    near(&[atoms.exponential_utility(0.5).unwrap()], &[-(0.5 + 0.25 * (-1f64).exp() + 0.25 * (-2f64).exp())], 1e-15);
}

#[test]
fn two_peaks_are_bimodal_and_a_sure_value_is_not_asked() {
    assert!((Atoms::equal(&[-1.0, 1.0]).unwrap().bimodality().unwrap() - 1.0).abs() < 1e-15);
    let uniform: Vec<f64> = (0..2000).map(f64::from).collect();
    assert!((Atoms::equal(&uniform).unwrap().bimodality().unwrap() - 5.0 / 9.0).abs() < 1e-5);
    // Skewed: 3/4 at 0 and 1/4 at 1, skewness 2/√3, kurtosis 7/3.
    let skewed = Atoms::new(&[0.0, 1.0], &[3.0, 1.0]).unwrap().bimodality().unwrap();
    assert!((skewed - (4.0 / 3.0 + 1.0) / (7.0 / 3.0)).abs() < 1e-12);
    assert_eq!(Atoms::equal(&[2.0]).unwrap().bimodality(), None);
}

#[test]
fn gaussians_are_their_own_fine_atoms() {
    let gaussian = Gaussian { mean: 1.5, spread: 2.0 };
    let levels = accordant_ops::distribution::quantile::midpoints(200_000);
    let values: Vec<f64> = levels.iter().map(|p| 1.5 + 2.0 * normal_quantile(*p)).collect();
    let atoms = Atoms::equal(&values).unwrap();
    for risk in ALL {
        let exact = gaussian.risk(&risk).unwrap();
        if matches!(risk, Risk::WorstCase | Risk::ValueAtRisk(1.0)) {
            assert!(exact.is_infinite());
            continue;
        }
        assert!((exact - of(&atoms, risk)).abs() < 2e-3, "{risk:?}: {exact} {}", of(&atoms, risk));
        assert_eq!(Gaussian { mean: 0.7, spread: 0.0 }.risk(&risk).unwrap(), 0.7, "{risk:?}");
    }
}

#[test]
fn closed_forms_of_the_standard_normal_distribution() {
    let standard = Gaussian { mean: 0.0, spread: 1.0 };
    for (risk, expected) in [
        (Risk::ValueAtRisk(0.05), -1.6448536269514722),
        (Risk::Cvar(0.05), -2.0627128075074257),
        (Risk::Cvar(1.0), 0.0),
        (Risk::Wang(0.3), -0.3),
        (Risk::MeanStd(0.3), -0.3),
        (Risk::Entropic(-0.6), -0.3),
        (Risk::SoftMin(0.6), -0.3),
        // The mean of the least of two and of three draws.
        (Risk::ProportionalHazard(2.0), -1.0 / std::f64::consts::PI.sqrt()),
        (Risk::ProportionalHazard(3.0), -1.5 / std::f64::consts::PI.sqrt()),
        (Risk::ProportionalHazard(1.0), 0.0),
        (Risk::Prospect(1.0), 0.0),
        (Risk::Expectile(0.5), 0.0),
    ] {
        let got = standard.risk(&risk).unwrap();
        assert!((got - expected).abs() < 1e-9, "{risk:?}: {got}");
    }
    let low = standard.risk(&Risk::Expectile(0.1)).unwrap();
    let (below, above) = (normal_density(low) + low * normal_cdf(low), normal_density(low) - low * normal_cdf(-low));
    assert!((0.9 * below - 0.1 * above).abs() < 1e-12 && low < -0.5);
    starts(Gaussian { mean: f64::NAN, spread: 1.0 }.risk(&Risk::Mean), "`mean`");
    for spread in [-1.0, f64::NAN, f64::INFINITY] {
        starts(Gaussian { mean: 0.0, spread }.risk(&Risk::Mean), "`spread`");
    }
}

#[test]
fn quantiles_on_tensors_have_the_measures_of_atoms() {
    let rows = [[8.0, -2.0, 1.0, 0.0, 3.0], [0.5, 0.5, 0.5, 0.5, 0.5], [-1e3, 4.0, 2.0, 1e3, 2.0]];
    for risk in ALL {
        let got = host(&risk.of_quantiles(matrix(rows.as_flattened(), 5)).unwrap());
        let expected: Vec<f64> = rows.iter().map(|row| of(&Atoms::equal(row).unwrap(), risk)).collect();
        near(&got, &expected, 1e-9);
        check_gradients(&rows[0], |x| risk.of_quantiles(x.unsqueeze_dim::<2>(0)).unwrap());
        let flat = gradient(&rows[1], |x| risk.of_quantiles(x.unsqueeze_dim::<2>(0)).unwrap());
        assert!(flat.iter().all(|g| g.is_finite()), "{risk:?}: {flat:?}");
        assert_eq!(risk.of_quantiles(Tensor::zeros([0, 3], &burn::tensor::Device::flex())).unwrap().dims(), [0]);
    }
    starts(Risk::Mean.of_quantiles(Tensor::zeros([2, 0], &burn::tensor::Device::flex())), "`quantiles`");
    starts(Risk::Cvar(0.0).of_quantiles(matrix(&[1.0], 1)), "`alpha`");
}

#[test]
fn levels_invert_distortions_and_average_to_the_measure() {
    for risk in [
        Risk::Mean,
        Risk::Cvar(0.3),
        Risk::Wang(0.6),
        Risk::ProportionalHazard(2.5),
        Risk::Prospect(0.61),
        Risk::Prospect(0.3),
    ] {
        let mut last = -1.0;
        for u in [0.0, 1e-6, 0.2, 0.5, 0.9, 1.0] {
            let level = risk.level(u).unwrap();
            let back = risk.distortion(level).unwrap();
            assert!((back - u).abs() < 1e-9, "{risk:?} at {u}: {back}");
            assert!(back >= last);
            last = back;
        }
        // Distorted levels of the uniform distribution on [0, 1], whose quantiles are the levels.
        let levels = accordant_ops::distribution::quantile::midpoints(4000);
        let mean = levels.iter().map(|u| risk.level(*u).unwrap()).sum::<f64>() / 4000.0;
        assert!((mean - of(&Atoms::equal(&levels).unwrap(), risk)).abs() < 1e-3, "{risk:?}");
    }
    for risk in [Risk::MeanStd(1.0), Risk::ValueAtRisk(0.5), Risk::Entropic(1.0), Risk::WorstCase] {
        assert_eq!((risk.distortion(0.5), risk.level(0.5)), (None, None));
    }
}

#[test]
fn entropic_risk_neither_overflows_nor_cancels() {
    let atoms = Atoms::equal(&[0.0, 1e4]).unwrap();
    near(
        &[of(&atoms, Risk::Entropic(1e3)), of(&atoms, Risk::Entropic(-1e3))],
        &[1e4 - 2f64.ln() / 1e3, 2f64.ln() / 1e3],
        1e-9,
    );
    // On both sides of the series' edge.
    let five = five();
    for beta in [9.9e-6, 1.01e-5, -9.9e-6, -1.01e-5] {
        assert!((of(&five, Risk::Entropic(beta)) - 2.0 - beta * 5.8).abs() < 1e-8, "{beta}");
    }
    assert_eq!(of(&five, Risk::Entropic(0.0)), five.mean());
    starts(Atoms::equal(&[0.0, 1e300]).unwrap().entropic(1e300), "`beta`: expected small enough");
    starts(atoms.exponential_utility(-1.0), "`lambda`");
    starts(Atoms::equal(&[-1e300]).unwrap().exponential_utility(1e300), "`lambda`: expected small enough");
}

#[test]
fn parameters_have_domains() {
    let nan = f64::NAN;
    for (risks, name) in [
        (vec![Risk::MeanStd(nan), Risk::MeanStd(f64::INFINITY)], "`aversion`"),
        (vec![Risk::ValueAtRisk(0.0), Risk::ValueAtRisk(1.1), Risk::Cvar(-0.1), Risk::Cvar(nan)], "`alpha`"),
        (vec![Risk::Entropic(nan), Risk::Entropic(f64::INFINITY)], "`beta`"),
        (vec![Risk::SoftMin(nan), Risk::Wang(f64::INFINITY)], "`lambda`"),
        (vec![Risk::ProportionalHazard(0.0), Risk::ProportionalHazard(nan)], "`power`"),
        (vec![Risk::Prospect(0.29), Risk::Prospect(1.01), Risk::Prospect(nan)], "`gamma`"),
        (vec![Risk::Expectile(0.0), Risk::Expectile(1.0), Risk::Expectile(nan)], "`level`"),
    ] {
        for risk in risks {
            starts(risk.check(), name);
            starts(five().risk(&risk), name);
        }
    }
    ALL.iter().for_each(|risk| risk.check().unwrap());
    starts(five().value_at_risk(0.0), "`alpha`");
    starts(five().cvar(1.5), "`alpha`");
    starts(five().expectile(1.0), "`level`");
}

#[test]
fn atoms_are_checked() {
    starts(Atoms::new(&[1.0], &[]), "`weights`: expected 1 entries, got 0");
    starts(Atoms::new(&[1.0, f64::NAN], &[1.0, 1.0]), "record 1: `values`");
    starts(Atoms::new(&[1.0, 2.0], &[1.0, -1.0]), "record 1: `weights`");
    starts(Atoms::equal(&[]), "`values`: nothing to learn from");
    starts(Atoms::new(&[1.0], &[0.0]), "`values`: nothing to learn from");
}

#[test]
fn worst_tails_of_sums_are_no_worse_than_the_sums_of_worst_tails() {
    // Coherence on a joint sample; comonotone samples add up exactly.
    let (x, y) = ([3.0, -1.0, 4.0, 1.0, -5.0, 9.0], [2.0, 6.0, -5.0, 3.0, 5.0, -8.0]);
    let sum: Vec<f64> = x.iter().zip(&y).map(|(x, y)| x + y).collect();
    let cvar = |v: &[f64], alpha| Atoms::equal(v).unwrap().cvar(alpha).unwrap();
    for alpha in [0.1, 0.4, 0.77, 1.0] {
        assert!(cvar(&sum, alpha) >= cvar(&x, alpha) + cvar(&y, alpha) - 1e-12);
        let cubes: Vec<f64> = x.iter().map(|x: &f64| x.powi(3)).collect();
        let both: Vec<f64> = x.iter().zip(&cubes).map(|(x, y)| x + y).collect();
        assert!((cvar(&both, alpha) - cvar(&x, alpha) - cvar(&cubes, alpha)).abs() < 1e-9);
    }
    // Entropic risk adds over independent sums.
    let all: Vec<f64> = x.iter().flat_map(|x| y.iter().map(move |y| x + y)).collect();
    let entropic = |v: &[f64]| Atoms::equal(v).unwrap().entropic(-0.3).unwrap();
    assert!((entropic(&all) - entropic(&x) - entropic(&y)).abs() < 1e-12);
}
