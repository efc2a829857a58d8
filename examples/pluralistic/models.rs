//! The models of the table, with the penalties that the protocol fixes: `½ λ Σ(·)²` each.

use accordant::preference::{
    Result,
    optimize::Solver,
    plural::{
        Items, LoreConfig, MixtureConfig, PalConfig, Plural, RandomEffectsConfig, RewardFeaturesConfig, UserPairs,
        em::EmConfig, ideal_point::IdealPointConfig, pal::PalForm, private::PrivateTablesConfig,
    },
};

/// What a model is for the claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One score for everybody: what all others are compared to.
    OneTaste,
    /// Users of whom none tells anything about another.
    Private,
    Mixture,
    Lore,
    Pal,
    /// Other models in which users share something.
    Shared,
}

impl Kind {
    /// Whether users tell something about each other.
    pub fn is_plural(self) -> bool {
        !matches!(self, Self::OneTaste | Self::Private)
    }
}

type Fit = Box<dyn Fn(&UserPairs) -> Result<Box<dyn Plural>> + Sync>;

/// A row of the table.
pub struct Model {
    pub name: &'static str,
    pub kind: Kind,
    pub fit: Fit,
}

/// As the protocol says: Adam on all pairs, 400 steps, 0.05 falling to 0 along a cosine.
const JOINT: Solver = Solver::Adam { learning_rate: 0.05, steps: 400 };

/// Where users' pairs are split by item; the short run leaves some models out.
pub fn by_item(short: bool) -> Vec<Model> {
    let mut models = vec![
        one_taste(),
        private("private table (1)", 1.0),
        mixture("mixture, K=2 (15)", 2),
        lore("LoRe, B=2 (5, 2)", 2, 5.0, 2.0),
        features("common + features, d=1 (10, 10)", 1, [10.0, 10.0], None),
    ];
    if !short {
        models.push(model("ideal point + popularity, d=1 (10, 10)", Kind::Shared, |items, train| {
            let config = IdealPointConfig::new(1).with_items_prior(10.0).with_points_prior(10.0);
            config.with_solver(JOINT).fit(items, train)
        }));
        models.push(pal("PAL-A, d=2, K=3 (30, 3)", 2, 3, 30.0, 3.0));
        models.push(random_effects());
    }
    models
}

/// Where they are split at random.
pub fn at_random(short: bool) -> Vec<Model> {
    let mut models = vec![one_taste(), private("private table (0.3)", 0.3)];
    if !short {
        models.extend([
            private("private table (0.1)", 0.1),
            private("private table (1)", 1.0),
            mixture("mixture, K=8 (15)", 8),
            lore("LoRe, B=8 (0.3, 1)", 8, 0.3, 1.0),
            pal("PAL-A, d=8, K=8 (3, 0.3)", 8, 8, 3.0, 0.3),
            features("common + features, d=12 (10, 1)", 12, [10.0, 1.0], None),
            features("features, d=4, + private table (10, 1, 0.3)", 4, [10.0, 1.0], Some(0.3)),
            random_effects(),
        ]);
    }
    models
}

fn model<P: Plural + 'static>(
    name: &'static str,
    kind: Kind,
    fit: impl Fn(&Items, &UserPairs) -> Result<P> + Sync + 'static,
) -> Model {
    let fit = move |train: &UserPairs| -> Result<Box<dyn Plural>> {
        Ok(Box::new(fit(&Items::table(train.num_items()), train)?))
    };
    Model { name, kind, fit: Box::new(fit) }
}

fn one_taste() -> Model {
    // One component of a mixture is Bradley-Terry.
    model("one taste: Bradley-Terry (1)", Kind::OneTaste, |items, train| {
        MixtureConfig::new(EmConfig::new(1)).fit(items, train)
    })
}

fn private(name: &'static str, prior: f64) -> Model {
    model(name, Kind::Private, move |_, train| PrivateTablesConfig::new().with_prior(prior).fit(train))
}

fn mixture(name: &'static str, k: usize) -> Model {
    model(name, Kind::Mixture, move |items, train| {
        // Laplace's prior of the weights: of eight components some run empty without one. Choices do not change below a
        // hundredth of a nat per round, which the tolerance is here.
        let em = EmConfig::new(k).with_restarts(3).with_dirichlet(2.0).with_tolerance(1e-6);
        MixtureConfig::new(em).with_prior(15.0).fit(items, train)
    })
}

fn lore(name: &'static str, bases: usize, basis: f64, logits: f64) -> Model {
    model(name, Kind::Lore, move |items, train| {
        let config = LoreConfig::new(bases).with_basis_prior(basis).with_logits_prior(logits);
        config.with_solver(JOINT).fit(items, train)
    })
}

fn features(name: &'static str, dim: usize, [features, weights]: [f64; 2], private: Option<f64>) -> Model {
    model(name, Kind::Shared, move |items, train| {
        let config = RewardFeaturesConfig::new(dim).with_features_prior(features).with_weights_prior(weights);
        config.with_private_prior(private).with_solver(JOINT).fit(items, train)
    })
}

fn pal(name: &'static str, dim: usize, k: usize, points: f64, logits: f64) -> Model {
    model(name, Kind::Pal, move |items, train| {
        let config = PalConfig::new(k).with_form(PalForm::SquaredDistance { dim }).with_common_prior(Some(1.0));
        let config = config.with_items_prior(points).with_prototypes_prior(points).with_logits_prior(logits);
        config.with_restarts(1).with_solver(JOINT).fit(items, train)
    })
}

fn random_effects() -> Model {
    // Nothing to set: how users differ is estimated, too.
    model("random effects, any covariance", Kind::Shared, |items, train| RandomEffectsConfig::new().fit(items, train))
}
