//! What every predicted distribution, distance between two and measure of risk must do.

use accordant_laws::distributions::{
    RiskClaims, check_discrepancy, check_metric, check_orderings, check_quantiles_never_cross, check_risk,
    check_risk_grows,
};
use burn::tensor::{DType, Device, Tensor, TensorData};

use super::{
    CategoricalPairs, GaussianPairs, PairDistributionModel,
    categorical_dpl::CategoricalDplConfig,
    dprm::{Transport, transport_losses, wasserstein},
    mean_variance::{MeanVarianceConfig, SpreadLink},
    mmd::{Bandwidths, NegativeGradient, mmd_losses},
    oprm::{EqualGrades, GradedPairs, OprmConfig},
    quantile_reward::{monotone, rearranged},
    risk::{Atoms, Gaussian, Risk},
    testing::{host, matrix, vector},
};
use crate::pairwise::{Outcomes, PairScores};

/// Chances of a model of grades, from probabilities.
fn chances(p: &[f64], q: &[f64], outcomes: impl Fn(CategoricalPairs) -> Outcomes) -> [f64; 3] {
    let logits = |p: &[f64]| matrix(&p.iter().map(|p| p.ln()).collect::<Vec<_>>(), p.len());
    let Outcomes { first, tie, second } = outcomes(CategoricalPairs::new(logits(p), logits(q)).unwrap());
    let chance = |log: Option<Tensor<1>>| log.map_or(0.0, |log| host(&log.exp())[0]);
    [chance(Some(first)), chance(tie), chance(Some(second))]
}

#[test]
fn grades_are_ordered_as_draws_are() {
    let dpl = CategoricalDplConfig::new().init().unwrap();
    check_orderings(|p, q| chances(p, q, |pairs| dpl.outcomes(&pairs).unwrap()), true).unwrap();
    for (equal, half) in [(EqualGrades::Tie, false), (EqualGrades::Half, true)] {
        let oprm = OprmConfig::new().with_equal_grades(equal).init().unwrap();
        let outcomes = |pairs| oprm.outcomes(&GradedPairs::new(pairs)).unwrap();
        check_orderings(|p, q| chances(p, q, outcomes), half).unwrap();
    }
}

#[test]
fn exchanging_the_sides_exchanges_the_chances_of_normal_distributions() {
    for link in [SpreadLink::Probit, SpreadLink::ReleasedLogistic, SpreadLink::Logistic1702] {
        let model = MeanVarianceConfig::new().with_link(link).init().unwrap();
        let means = PairScores::new(vector(&[0.3, -2.0, 40.0]), vector(&[1.0, -2.0, -40.0])).unwrap();
        let pairs = GaussianPairs::new(means, vector(&[0.5, 2.0, 0.1]), vector(&[1.5, 0.3, 0.0])).unwrap();
        let (there, back) = (model.outcomes(&pairs).unwrap(), model.outcomes(&pairs.swapped()).unwrap());
        assert_eq!(host(&there.first), host(&back.second));
        assert_eq!(host(&there.second), host(&back.first));
        let total = host(&(there.first.exp() + there.second.exp()));
        assert!(total.iter().all(|total| (total - 1.0).abs() < 1e-12), "{total:?}");
    }
}

#[test]
fn transport_is_a_metric() {
    let atoms = |k: usize| (0..k).map(|i| i as f64).collect::<Vec<_>>();
    check_metric(|p, q| wasserstein(p, q, &atoms(p.len())).unwrap().0).unwrap();
    let tensors = |p: &[f64], q: &[f64], transport| {
        host(&transport_losses(matrix(p, p.len()), matrix(q, q.len()), &transport).unwrap())[0]
    };
    check_metric(|p, q| tensors(p, q, Transport::Wasserstein)).unwrap();
    // Cramér's is the square of one.
    check_metric(|p, q| tensors(p, q, Transport::Cramer).sqrt()).unwrap();
    let squared = check_metric(|p, q| tensors(p, q, Transport::Cramer)).unwrap_err();
    assert_eq!(squared.expected, "no detour is shorter");
}

#[test]
fn discrepancies_of_samples_are_not_negative_and_vanish_on_equal_ones() {
    let cube = |points: &[Vec<f64>]| {
        let data = TensorData::new(points.concat(), [1, points.len(), points[0].len()]);
        Tensor::<3>::from_data(data, (&Device::flex(), DType::F64))
    };
    for bandwidths in [Bandwidths::Linear, Bandwidths::Powers] {
        for negative in [NegativeGradient::Zero, NegativeGradient::Kept] {
            let mmd =
                |x: &[Vec<f64>], y: &[Vec<f64>]| host(&mmd_losses(cube(x), cube(y), &bandwidths, negative).unwrap())[0];
            check_discrepancy(mmd).unwrap();
        }
    }
}

#[test]
fn risk_measures_keep_what_they_claim() {
    let all = RiskClaims { shifts: true, scales: true, is_monotone: true, is_averse: true };
    let seeking = RiskClaims { is_averse: false, ..all };
    let unscaled = RiskClaims { scales: false, ..all };
    for (risk, claims) in [
        (Risk::Mean, all),
        (Risk::MeanStd(0.7), RiskClaims { is_monotone: false, ..all }),
        (Risk::ValueAtRisk(0.37), seeking),
        (Risk::Cvar(0.37), all),
        (Risk::Cvar(1.0), all),
        (Risk::Entropic(-0.8), unscaled),
        (Risk::SoftMin(1.3), unscaled),
        (Risk::Entropic(0.8), RiskClaims { is_averse: false, ..unscaled }),
        (Risk::Wang(0.6), all),
        (Risk::Wang(-0.6), seeking),
        (Risk::ProportionalHazard(2.5), all),
        (Risk::ProportionalHazard(0.4), seeking),
        (Risk::Prospect(0.61), seeking),
        (Risk::Expectile(0.2), all),
        (Risk::Expectile(0.9), seeking),
        (Risk::WorstCase, all),
    ] {
        let measure = |values: &[f64], weights: &[f64]| Atoms::new(values, weights).unwrap().risk(&risk).unwrap();
        if let Err(found) = check_risk(measure, claims) {
            panic!("{risk:?}: {found:?}");
        }
        // Where a claim is not made it does not hold.
        if claims != all && !matches!(risk, Risk::ValueAtRisk(_)) {
            check_risk(measure, all).expect_err(&format!("{risk:?}"));
        }
    }
}

#[test]
fn risk_measures_grow_with_their_parameter_between_their_limits() {
    let family = |risk: fn(f64) -> Risk| {
        move |parameter: f64, values: &[f64], weights: &[f64]| {
            Atoms::new(values, weights).unwrap().risk(&risk(parameter)).unwrap()
        }
    };
    let levels = [1e-6, 0.1, 0.3, 0.5, 0.8, 1.0];
    check_risk_grows(family(Risk::Cvar), &levels).unwrap();
    check_risk_grows(family(Risk::ValueAtRisk), &levels).unwrap();
    check_risk_grows(family(Risk::Expectile), &levels[..5]).unwrap();
    check_risk_grows(family(Risk::Entropic), &[-1e4, -3.0, -0.1, -1e-9, 0.0, 1e-9, 0.1, 3.0, 1e4]).unwrap();
    check_risk_grows(family(|lambda| Risk::Wang(-lambda)), &[-9.0, -1.0, 0.0, 0.5]).unwrap();
    check_risk_grows(family(|k| Risk::ProportionalHazard(1.0 / k)), &[0.01, 0.5, 1.0, 3.0]).unwrap();
    // CVaR: the mean at level 1 and the worst case towards 0; entropic: the worst case, the mean and the best case.
    let (values, weights) = ([3.0, -1.5, 0.4, 2.0], [0.2, 0.3, 0.1, 0.4]);
    let atoms = Atoms::new(&values, &weights).unwrap();
    let of = |risk: Risk| atoms.risk(&risk).unwrap();
    for (limit, expected) in [
        (of(Risk::Cvar(1.0)), atoms.mean()),
        (of(Risk::Cvar(1e-9)), -1.5),
        (of(Risk::Entropic(-1e6)), -1.5),
        (of(Risk::Entropic(1e6)), 3.0),
        (of(Risk::Entropic(-1e-9)), atoms.mean()),
        (of(Risk::Wang(40.0)), -1.5),
        (of(Risk::ProportionalHazard(1e6)), -1.5),
        (of(Risk::Expectile(1e-9)), -1.5),
    ] {
        assert!((limit - expected).abs() < 1e-5, "{limit} {expected}");
    }
    // The same of a normal distribution.
    let gaussian = |risk: Risk| Gaussian { mean: 0.5, spread: 2.0 }.risk(&risk).unwrap();
    assert!((gaussian(Risk::Cvar(1.0)) - 0.5).abs() < 1e-12 && gaussian(Risk::Cvar(1e-9)) < -10.0);
    assert!(levels.windows(2).all(|pair| gaussian(Risk::Cvar(pair[0])) < gaussian(Risk::Cvar(pair[1]))));
}

#[test]
fn quantiles_never_cross_with_the_monotone_head_or_sorted() {
    for dtype in [DType::F64, DType::F32] {
        let row = |raw: &[f64]| matrix(raw, raw.len()).cast(dtype);
        check_quantiles_never_cross(|raw| host(&monotone(row(raw)))).unwrap();
        check_quantiles_never_cross(|raw| host(&rearranged(row(raw)))).unwrap();
        check_quantiles_never_cross(|raw| host(&row(raw))).unwrap_err();
    }
}
