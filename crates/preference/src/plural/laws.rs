//! What every fit to several users must do: one row for each.

use accordant_laws::fits::{
    self,
    Claim::{Centered, Reversed, Unordered, Weighted},
    Judged, Outcomes, Table,
    UserClaim::{self, ItemsRenamed, UsersPermuted},
    Users,
};

use super::{
    Items, LogisticConfig, LoreConfig, MixtureConfig, PalConfig, Plural, RewardFeaturesConfig, UserPairs,
    em::{Assignment, EmConfig, Start},
    ideal_point::IdealPointConfig,
    pal::PalForm,
    private::PrivateTablesConfig,
    ranking_mixture::RankingMixtureConfig,
};
use crate::{
    Rankings,
    optimize::Solver,
    ranking::{NewtonConfig, laws::judged},
    rankings::Unlisted,
};

fn pairs(users: &Users) -> UserPairs {
    let mut all = UserPairs::new(users.num_items);
    users.users.iter().for_each(|records| all.push(judged(users.num_items, records)).unwrap());
    all
}

fn table(users: &Users) -> Items {
    Items::table(users.num_items)
}

/// How each user sees the items in the mean.
fn views(model: &dyn Plural) -> Vec<Vec<f64>> {
    (0..model.num_users()).map(|user| centered(model.user(user).unwrap().mean_scores())).collect()
}

/// The level of a user's scores says nothing.
fn centered(mut scores: Vec<f64>) -> Vec<f64> {
    let mean = scores.iter().sum::<f64>() / scores.len() as f64;
    scores.iter_mut().for_each(|score| *score -= mean);
    scores
}

fn mixture(k: usize, assignment: Assignment, start: Start) -> MixtureConfig {
    let em = EmConfig::new(k).with_assignment(assignment).with_start(start);
    MixtureConfig::new(em.with_tolerance(1e-13).with_max_iterations(2000)).with_prior(0.3)
}

const TIGHT: Solver = Solver::Lbfgs { gradient: 1e-9, max_iterations: 5000 };

type Fit<'a> = (&'a str, &'a [UserClaim], &'a dyn Fn(&Users) -> Vec<Vec<f64>>);

#[test]
fn every_fit_to_users_obeys_the_laws() {
    let both: &[UserClaim] = &[UsersPermuted, ItemsRenamed];
    // Where a fit starts from chance, other names of the items are another start.
    let users: &[UserClaim] = &[UsersPermuted];
    let (soft, hard) = (Assignment::Soft, Assignment::Hard);
    let fits: &[Fit] = &[
        ("mixture", both, &|u| views(&mixture(2, soft, Start::Dirichlet).fit(&table(u), &pairs(u)).unwrap())),
        ("mixture by k-means", both, &|u| views(&mixture(2, soft, Start::KMeans).fit(&table(u), &pairs(u)).unwrap())),
        ("hard mixture", both, &|u| views(&mixture(2, hard, Start::KMeans).fit(&table(u), &pairs(u)).unwrap())),
        ("private", both, &|u| views(&PrivateTablesConfig::new().fit(&pairs(u)).unwrap())),
        ("lore", users, &|u| views(&LoreConfig::new(2).with_solver(TIGHT).fit(&table(u), &pairs(u)).unwrap())),
        ("pal", users, &|u| {
            let pal = PalConfig::new(2).with_form(PalForm::Linear).with_restarts(1).with_solver(TIGHT);
            views(&pal.fit(&table(u), &pairs(u)).unwrap())
        }),
        ("reward_features", users, &|u| {
            views(&RewardFeaturesConfig::new(1).with_solver(TIGHT).fit(&table(u), &pairs(u)).unwrap())
        }),
        ("ideal_point", users, &|u| {
            views(&IdealPointConfig::new(1).with_solver(TIGHT).fit(&table(u), &pairs(u)).unwrap())
        }),
    ];
    for (name, claims, fit) in fits {
        if let Err(broken) = fits::user_fit(claims, 1e-5, fit) {
            panic!("{name} {broken}");
        }
    }
}

#[test]
fn a_mixture_of_one_kind_is_bradley_terry() {
    let one = |u: &Users| views(&mixture(1, Assignment::Soft, Start::Dirichlet).fit(&table(u), &pairs(u)).unwrap());
    let newton =
        |t: &Table<Judged>| NewtonConfig::new().with_prior(0.3).fit(&judged(t.num_items, &t.records)).unwrap().scores;
    fits::one_kind(1e-8, one, newton).unwrap();
    let logistic = |t: &Table<Judged>| {
        let fit =
            LogisticConfig::new().with_prior(0.3).fit(&Items::table(t.num_items), &judged(t.num_items, &t.records));
        fit.unwrap().coefficients
    };
    fits::same_fits(Outcomes::All, 1e-8, &[("newton", &newton), ("logistic", &logistic)]).unwrap();
    fits::pair_fit(Outcomes::All, &[Unordered, Weighted, Reversed, Centered], 1e-8, logistic).unwrap();
}

#[test]
fn expectation_maximization_never_goes_down() {
    for (assignment, start) in
        [(Assignment::Soft, Start::Dirichlet), (Assignment::Soft, Start::KMeans), (Assignment::Hard, Start::Dirichlet)]
    {
        for (k, dirichlet) in [(2, 1.0), (2, 1.5), (3, 2.0)] {
            let trace = |users: &Users, seed: u64| {
                let em = EmConfig::new(k).with_assignment(assignment).with_start(start).with_dirichlet(dirichlet);
                let config = MixtureConfig::new(em.with_restarts(1).with_seed(seed)).with_prior(0.3);
                let report = config.fit(&table(users), &pairs(users)).unwrap().report;
                assert_eq!(report.reseeds, 0, "a component that starts again may lose");
                report.trace
            };
            // Hard assignments maximize a value that the components' weights have no part in.
            if assignment == Assignment::Soft || dirichlet == 1.0 {
                fits::rising(1e-9, trace).unwrap();
            }
        }
    }
    let rankings = |users: &Users, seed: u64| {
        let num_items = 1 + users.users.iter().flatten().map(|record| record.first.max(record.second)).max().unwrap();
        let lists = |all: &Vec<Judged>| {
            let mut lists = Rankings::new(num_items);
            for record in all {
                let order = match record.share > 0.5 {
                    true => [record.first, record.second],
                    false => [record.second, record.first],
                };
                lists.push(&order, Unlisted::Absent).unwrap();
            }
            lists
        };
        let users: Vec<Rankings> = users.users.iter().map(lists).collect();
        let em = EmConfig::new(2).with_restarts(1).with_seed(seed);
        RankingMixtureConfig::new(em).fit(&users).unwrap().report.trace
    };
    fits::rising(1e-9, rankings).unwrap();
}
