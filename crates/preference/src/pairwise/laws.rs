//! What every loss of pairs must do, whichever module it is from: one row for each.

use accordant_laws::models::{
    self,
    Claim::{self, Antisymmetric, FiniteAtExtremes, LinearInTargets, NotNegative, ShiftInvariant},
};
use burn::tensor::Device;

use super::{
    PairwiseLoss, PairwiseModel,
    bradley_terry::BradleyTerryConfig,
    davidson::DavidsonConfig,
    generalized_linear::{GeneralizedLinear, GeneralizedLinearConfig, LinkFunction},
    rao_kupper::RaoKupperConfig,
    surrogate::{Surrogate, SurrogateConfig, SurrogateLoss},
    testing::{evaluate, outcomes},
};
use crate::{
    general::{
        gpm::GpmConfig,
        gpm_regression::GpmRegressionConfig,
        pair_model::{PairModelConfig, Symmetrization},
    },
    plural::pal::{PalLossConfig, PalLossKind},
    robust::{FlipRates, backward::BackwardConfig, conservative::ConservativeConfig, forward::ForwardConfig},
    trajectory::contrastive::ContrastiveConfig,
};

const ALL: &[Claim] = &[ShiftInvariant, Antisymmetric, LinearInTargets, NotNegative, FiniteAtExtremes];
/// Of both sides, but not only of their difference.
const LEVEL: &[Claim] = &[Antisymmetric, LinearInTargets, NotNegative, FiniteAtExtremes];
/// Rates of flips that differ tell the sides apart.
const SIDED: &[Claim] = &[ShiftInvariant, LinearInTargets, NotNegative, FiniteAtExtremes];
const UNBOUNDED: &[Claim] = &[ShiftInvariant, Antisymmetric, LinearInTargets, FiniteAtExtremes];

const EVEN: FlipRates = FlipRates { first: 0.2, second: 0.2 };
const UNEVEN: FlipRates = FlipRates { first: 0.1, second: 0.3 };

fn linear(link: LinkFunction, temperature: f64) -> GeneralizedLinear {
    GeneralizedLinearConfig::new(link).with_temperature(temperature).init().unwrap()
}

fn surrogate(surrogate: Surrogate) -> SurrogateLoss {
    SurrogateConfig::new(surrogate).with_temperature(1.3).init().unwrap()
}

#[test]
fn every_loss_of_pairs_obeys_the_laws() {
    let device = Device::flex();
    let bradley_terry = BradleyTerryConfig::new().with_temperature(0.7).with_label_smoothing(0.1);
    let losses: &[(&str, &[Claim], &dyn PairwiseLoss)] = &[
        ("bradley_terry", ALL, &bradley_terry.clone().init().unwrap()),
        ("bradley_terry, centered", LEVEL, &bradley_terry.clone().with_centering(0.02).init().unwrap()),
        ("bradley_terry, small scores", LEVEL, &bradley_terry.with_score_l2(0.03).init().unwrap()),
        ("logit", ALL, &linear(LinkFunction::Logit, 1.0)),
        ("probit", ALL, &linear(LinkFunction::Probit, 1.0)),
        ("cauchit", ALL, &linear(LinkFunction::Cauchit, 1.0)),
        // Impossible at extremes.
        ("uniform", &ALL[..4], &linear(LinkFunction::Uniform, 7.0)),
        ("exponential", ALL, &surrogate(Surrogate::Exponential)),
        ("hinge", ALL, &surrogate(Surrogate::Hinge { margin: 0.7 })),
        ("smoothed hinge", ALL, &surrogate(Surrogate::SmoothedHinge { margin: 1.0, width: 5.0 })),
        ("squared", ALL, &surrogate(Surrogate::Squared { target: 0.5 })),
        ("log cosh", ALL, &surrogate(Surrogate::LogCosh { target: 0.3 })),
        ("huber", ALL, &surrogate(Surrogate::Huber { target: 0.3, width: 1.1 })),
        ("forward", ALL, &ForwardConfig::new(EVEN).with_temperature(0.8).init().unwrap()),
        ("forward, uneven", SIDED, &ForwardConfig::new(UNEVEN).init().unwrap()),
        ("conservative", ALL, &ConservativeConfig::new(EVEN).with_temperature(0.8).init().unwrap()),
        ("conservative, uneven", SIDED, &ConservativeConfig::new(UNEVEN).init().unwrap()),
        ("backward", UNBOUNDED, &BackwardConfig::new(EVEN).with_temperature(0.8).init().unwrap()),
        ("contrastive", LEVEL, &ContrastiveConfig::new().with_bias(0.5).init().unwrap()),
        ("contrastive without bias", ALL, &ContrastiveConfig::new().with_bias(1.0).init().unwrap()),
        ("gpm", ALL, &GpmConfig::new().with_temperature(0.6).init().unwrap()),
        ("gpm_regression", ALL, &GpmRegressionConfig::new().with_temperature(0.9).with_target(1.0).init().unwrap()),
        ("pair_model", LEVEL, &PairModelConfig::new().init().unwrap()),
        (
            "pair_model by logits",
            ALL,
            &PairModelConfig::new().with_symmetrization(Symmetrization::Logit).init().unwrap(),
        ),
        ("pal", ALL, &PalLossConfig::new().with_scale(1.5).init().unwrap()),
        ("pal by hinge", ALL, &PalLossConfig::new().with_kind(PalLossKind::Hinge).init().unwrap()),
    ];
    for (name, claims, loss) in losses {
        if let Err(broken) = models::pair_loss(claims, evaluate(*loss, false)) {
            panic!("{name} {broken}");
        }
    }
    // Those that tell ties apart.
    let losses: &[(&str, &dyn PairwiseLoss)] = &[
        ("davidson", &DavidsonConfig::new().with_nu(1.5).init(&device).unwrap()),
        ("rao_kupper", &RaoKupperConfig::new().with_kappa(3.0).init(&device).unwrap()),
    ];
    for (name, loss) in losses {
        if let Err(broken) = models::pair_loss(ALL, evaluate(*loss, true)) {
            panic!("{name} {broken}");
        }
    }
}

#[test]
fn the_chances_of_every_model_of_pairs_obey_the_laws() {
    let device = Device::flex();
    let models: &[(&str, &dyn PairwiseModel)] = &[
        ("bradley_terry", &BradleyTerryConfig::new().with_temperature(0.7).init().unwrap()),
        ("logit", &linear(LinkFunction::Logit, 1.0)),
        ("probit", &linear(LinkFunction::Probit, 1.0)),
        ("cauchit", &linear(LinkFunction::Cauchit, 1.0)),
        ("uniform", &linear(LinkFunction::Uniform, 7.0)),
        ("davidson", &DavidsonConfig::new().with_nu(1.5).init(&device).unwrap()),
        ("rao_kupper", &RaoKupperConfig::new().with_kappa(3.0).init(&device).unwrap()),
        ("forward", &ForwardConfig::new(UNEVEN).init().unwrap()),
        ("contrastive", &ContrastiveConfig::new().init().unwrap()),
        ("gpm", &GpmConfig::new().init().unwrap()),
        ("pair_model by logits", &PairModelConfig::new().with_symmetrization(Symmetrization::Logit).init().unwrap()),
    ];
    for (name, model) in models {
        if let Err(broken) = accordant_laws::models::outcomes(outcomes(*model)) {
            panic!("{name} {broken}");
        }
    }
}
