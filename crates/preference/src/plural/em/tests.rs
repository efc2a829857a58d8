use super::*;

/// Each user tosses a coin of one of a few kinds: heads and tosses.
struct Coins(Vec<(f64, f64)>);

impl Components for Coins {
    type Component = f64;

    fn num_users(&self) -> usize {
        self.0.len()
    }

    fn is_known(&self, user: usize) -> bool {
        self.0[user].1 > 0.0
    }

    fn embedding(&self, user: usize) -> Vec<f64> {
        vec![self.0[user].0 / self.0[user].1.max(1.0)]
    }

    fn fit(&self, weights: &[f64], _: Option<&f64>) -> Result<f64> {
        let sum = |part: fn(&(f64, f64)) -> f64| -> f64 { self.0.iter().zip(weights).map(|(u, w)| w * part(u)).sum() };
        // One head and one tail beforehand: a Beta(2, 2) prior.
        Ok((sum(|user| user.0) + 1.0) / (sum(|user| user.1) + 2.0))
    }

    fn log_likelihoods(&self, p: &f64) -> Vec<f64> {
        self.0.iter().map(|(heads, tosses)| heads * p.ln() + (tosses - heads) * (1.0 - p).ln()).collect()
    }

    fn log_prior(&self, p: &f64) -> f64 {
        p.ln() + (1.0 - p).ln()
    }

    fn order(&self, p: &f64) -> f64 {
        *p
    }
}

fn coins() -> Coins {
    Coins(vec![(9.0, 10.0), (8.0, 10.0), (9.0, 10.0), (1.0, 10.0), (0.0, 0.0), (2.0, 10.0)])
}

#[test]
fn two_kinds_of_coins_are_found_from_every_start() {
    for start in [Start::Dirichlet, Start::KMeans] {
        for assignment in [Assignment::Soft, Assignment::Hard] {
            let em = EmConfig::new(2).with_start(start).with_assignment(assignment).fit(&coins()).unwrap();
            assert!(em.report.converged && em.report.largest_decrease < 1e-12, "{:?}", em.report);
            assert!((em.components[0] - 27.0 / 32.0).abs() < 2e-3, "{:?}", em.components);
            assert!((em.components[1] - 4.0 / 22.0).abs() < 2e-3);
            assert!((em.weights[0] - 0.6).abs() < 1e-3 && (em.weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            assert!([0, 1, 2].iter().all(|&user| em.responsibilities[user][0] > 0.99));
            assert!([3, 5].iter().all(|&user| em.responsibilities[user][1] > 0.99));
            // Nothing is known of user 4.
            assert_eq!(em.responsibilities[4], em.weights);
            assert_eq!(em.report.unknown_users, [4]);
            assert_eq!(em.report.starts.len(), 5);
            let best = em.report.starts.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            assert_eq!(best, em.report.objective());
        }
    }
}

#[test]
fn the_value_is_the_penalized_likelihood_of_soft_and_the_assigned_one_of_hard_components() {
    let coins = coins();
    let config = EmConfig::new(2).with_dirichlet(2.0);
    let em = config.fit(&coins).unwrap();
    let logs: Vec<Vec<f64>> = em.components.iter().map(|p| coins.log_likelihoods(p)).collect();
    let prior: f64 = em.components.iter().map(|p| coins.log_prior(p)).sum();
    let user = |user: usize| (em.weights[0] * logs[0][user].exp() + em.weights[1] * logs[1][user].exp()).ln();
    let expected = [0, 1, 2, 3, 5].map(user).iter().sum::<f64>() + prior + em.weights[0].ln() + em.weights[1].ln();
    assert!((em.report.objective() - expected).abs() < 1e-9, "{} is not {expected}", em.report.objective());
    // (3 + 1) / (5 + 2) of the users, nearly.
    assert!((em.weights[0] - 4.0 / 7.0).abs() < 1e-3);
    let hard = EmConfig::new(2).with_assignment(Assignment::Hard).fit(&coins).unwrap();
    let logs: Vec<Vec<f64>> = hard.components.iter().map(|p| coins.log_likelihoods(p)).collect();
    let prior: f64 = hard.components.iter().map(|p| coins.log_prior(p)).sum();
    let expected = prior + logs[0][0] + logs[0][1] + logs[0][2] + logs[1][3] + logs[1][5];
    assert!((hard.report.objective() - expected).abs() < 1e-12);
    assert_eq!(hard.responsibilities[3], [0.0, 1.0]);
}

#[test]
fn one_component_is_a_fit_to_everybody() {
    let em = EmConfig::new(1).fit(&coins()).unwrap();
    assert_eq!(em.components, [30.0 / 52.0]);
    assert_eq!((em.weights[0], em.report.converged, em.report.trace.len()), (1.0, true, 2));
}

#[test]
fn equal_responsibilities_never_split_and_are_refused() {
    for row in [vec![0.5, 0.5], vec![0.3, 0.7]] {
        let error = EmConfig::new(2).fit_from(&coins(), vec![row; 6]).unwrap_err();
        assert!(error.to_string().contains("all components would stay alike"), "{error}");
    }
    EmConfig::new(1).fit_from(&coins(), vec![vec![1.0]; 6]).unwrap();
    let mut one = vec![vec![0.5, 0.5]; 6];
    one[0] = vec![0.6, 0.4];
    EmConfig::new(2).fit_from(&coins(), one.clone()).unwrap();
    // A difference in a user of whom nothing is known is none.
    one.swap(0, 4);
    assert!(EmConfig::new(2).fit_from(&coins(), one).is_err());
}

#[test]
fn responsibilities_are_checked() {
    let text = |first: Vec<Vec<f64>>| EmConfig::new(2).fit_from(&coins(), first).unwrap_err().to_string();
    let rows = |row: Vec<f64>| [vec![vec![0.6, 0.4]; 5], vec![row]].concat();
    assert!(text(vec![vec![0.6, 0.4]; 5]).starts_with("`responsibilities`: expected 6 entries"));
    assert!(text(rows(vec![1.0])).starts_with("`responsibilities`: expected 2 entries, got 1"));
    assert!(text(rows(vec![1.5, -0.5])).starts_with("record 5: `responsibilities`: expected >= 0, got -0.5"));
    assert!(text(rows(vec![0.5, 0.4])).starts_with("record 5: `responsibilities`: expected a sum of 1, got 0.9"));
}

#[test]
fn an_empty_component_starts_again_from_the_worst_explained_user() {
    // The third component starts in the middle, where nobody is; user 2 is the one whom the others explain worst.
    let coins = Coins(vec![(10.0, 10.0), (10.0, 10.0), (8.0, 10.0), (1.0, 10.0), (1.0, 10.0)]);
    let first = [vec![vec![0.8, 0.1, 0.1]; 3], vec![vec![0.1, 0.8, 0.1]; 2]].concat();
    let em = EmConfig::new(3).with_assignment(Assignment::Hard).fit_from(&coins, first).unwrap();
    assert_eq!((em.report.reseeds, em.report.converged), (1, true));
    assert!((em.components[2] - 9.0 / 12.0).abs() < 1e-12, "user 2 by themselves: {:?}", em.components);
    assert_eq!(em.responsibilities[2], [0.0, 0.0, 1.0]);
    assert!((em.components[0] - 21.0 / 22.0).abs() < 1e-12 && (em.components[1] - 3.0 / 22.0).abs() < 1e-12);
    // Users who are all alike leave a second component nothing, and a prior on the weights lets it be.
    let alike = Coins(vec![(5.0, 10.0); 4]);
    let config = EmConfig::new(2).with_assignment(Assignment::Hard);
    let first = vec![vec![0.5, 0.5], vec![0.5 + 1e-9, 0.5 - 1e-9], vec![0.5, 0.5], vec![0.5, 0.5]];
    let error = config.fit_from(&alike, first.clone()).unwrap_err();
    assert!(matches!(error, Error::Combination { what: "num_components", .. }), "{error}");
    let em = config.with_dirichlet(1.5).fit_from(&alike, first).unwrap();
    assert_eq!(em.report.reseeds, 0);
    assert!((em.weights[1] - 0.5 / 5.0).abs() < 1e-12);
}

#[test]
fn components_are_sorted_by_weight_and_then_by_their_first_number() {
    let coins = Coins(vec![(9.0, 10.0), (1.0, 10.0)]);
    for (own, other) in [(0.9, 0.1), (0.1, 0.9)] {
        let first = vec![vec![own, other], vec![other, own]];
        let em = EmConfig::new(2).with_assignment(Assignment::Hard).fit_from(&coins, first).unwrap();
        assert!((em.components[0] - 10.0 / 12.0).abs() < 1e-12, "{:?}", em.components);
        assert_eq!(em.responsibilities, [[1.0, 0.0], [0.0, 1.0]]);
    }
}

#[test]
fn settings_out_of_their_domains_are_refused_by_name() {
    let text = |config: EmConfig| config.fit(&coins()).unwrap_err().to_string();
    assert!(text(EmConfig::new(0)).starts_with("`num_components`: expected >= 1"));
    assert!(text(EmConfig::new(2).with_restarts(0)).starts_with("`restarts`: expected >= 1"));
    for bad in [0.9, f64::NAN, f64::INFINITY] {
        assert!(text(EmConfig::new(2).with_dirichlet(bad)).starts_with("`dirichlet`: expected finite and >= 1"));
    }
    for bad in [0.0, f64::NAN] {
        assert!(text(EmConfig::new(2).with_tolerance(bad)).starts_with("`tolerance`: expected > 0"));
    }
    assert!(text(EmConfig::new(6)).contains("fewer users with data than components"));
    let config = EmConfig::new(3);
    assert_eq!((config.assignment, config.start), (Assignment::Soft, Start::Dirichlet));
    assert_eq!((config.restarts, config.dirichlet, config.tolerance), (5, 1.0, 1e-8));
    assert_eq!((config.max_iterations, config.seed), (200, 0));
    let short = EmConfig::new(2).with_max_iterations(1).fit(&coins()).unwrap();
    assert!(!short.report.converged && short.report.trace.len() == 1);
}

#[test]
fn a_seed_gives_the_same_mixture_whatever_runs_beside_it() {
    let fit = |seed| EmConfig::new(2).with_seed(seed).fit(&coins()).unwrap();
    assert_eq!(fit(3), fit(3));
    assert_ne!(fit(3).report.starts, fit(4).report.starts);
}

/// One user whose log-likelihood after each fit is written down: fits that are not exact.
struct Written(Vec<f64>);

impl Components for Written {
    type Component = usize;

    fn num_users(&self) -> usize {
        1
    }

    fn is_known(&self, _: usize) -> bool {
        true
    }

    fn embedding(&self, _: usize) -> Vec<f64> {
        vec![]
    }

    fn fit(&self, _: &[f64], from: Option<&usize>) -> Result<usize> {
        Ok(from.map_or(0, |from| from + 1))
    }

    fn log_likelihoods(&self, round: &usize) -> Vec<f64> {
        vec![self.0[*round]]
    }

    fn log_prior(&self, _: &usize) -> f64 {
        0.0
    }

    fn order(&self, _: &usize) -> f64 {
        0.0
    }
}

#[test]
fn changes_are_relative_and_the_largest_decrease_is_reported() {
    // Relative to themselves, −½, +⅓, −⅕ and none.
    let written = Written(vec![-2.0, -4.0, -3.0, -3.75, -3.75]);
    let fit = |tolerance: f64| {
        let report = EmConfig::new(1).with_tolerance(tolerance).fit(&written).unwrap().report;
        (report.trace.len(), report.largest_decrease, report.converged)
    };
    assert_eq!(fit(1e-8), (5, 0.5, true));
    assert_eq!(fit(0.2), (5, 0.5, true), "a change of just the tolerance is one");
    assert_eq!(fit(0.201), (4, 0.5, true));
    assert_eq!(fit(0.5), (3, 0.5, true));
    assert_eq!(fit(0.501), (2, 0.5, true));
    // Nothing but gains is a decrease of 0.
    let up = EmConfig::new(1).fit(&Written(vec![-2.0, -1.0, -1.0])).unwrap().report;
    assert_eq!((up.largest_decrease, up.trace.len(), up.objective()), (0.0, 3, -1.0));
}

#[test]
fn the_best_start_is_kept_and_of_equal_ones_the_first() {
    // After one round, starts are as good as chance has it.
    let short = |seed| EmConfig::new(2).with_max_iterations(1).with_seed(seed).fit(&coins()).unwrap();
    let mut kept = [0; 5];
    for seed in 0..40 {
        let em = short(seed);
        let best = first_largest(&em.report.starts);
        assert_eq!(em.report.objective(), em.report.starts[best]);
        kept[best] += 1;
    }
    assert!(kept.iter().all(|&count| count > 0), "{kept:?}");
    // Hard assignments end alike, by other ways.
    let hard = EmConfig::new(2).with_assignment(Assignment::Hard);
    let mut ways = 0;
    for seed in 0..10 {
        let em = hard.clone().with_seed(seed).fit(&coins()).unwrap();
        let first = hard.clone().with_seed(seed).with_restarts(1).fit(&coins()).unwrap();
        if em.report.starts.iter().all(|&value| value == first.report.objective()) {
            assert_eq!(em.report.trace, first.report.trace, "the first");
            ways += 1;
        }
    }
    assert!(ways > 0);
}

#[test]
fn users_whom_nobody_explains_go_to_empty_components_until_that_is_in_vain() {
    let config = EmConfig::new(3);
    // Users 0, 1, 3 and 4 are known; the second component holds nobody, and the third a millionth of one.
    let (known, evidence) = ([0, 1, 3, 4], [-1.0, -7.0, f64::INFINITY, -9.0, -2.0]);
    let first = || {
        let mut chances = vec![vec![1.0, 0.0, 0.0]; 5];
        chances[0] = vec![1.0 - 3e-6, 0.0, 3e-6];
        (chances, vec![Some("a"), Some("b"), Some("c")])
    };
    let (mut chances, mut components) = first();
    let mut reseeds = MAX_RESEEDS - 2;
    assert!(config.reseed(&known, &evidence, &mut chances, &mut components, &mut reseeds).unwrap());
    assert_eq!((reseeds, components), (MAX_RESEEDS, vec![Some("a"), None, None]));
    assert_eq!((&chances[3], &chances[1]), (&vec![0.0, 1.0, 0.0], &vec![0.0, 0.0, 1.0]), "the worst two, in order");
    assert_eq!((&chances[2], &chances[4]), (&vec![1.0, 0.0, 0.0], &vec![1.0, 0.0, 0.0]));
    // Each component has somebody now.
    let mut components = vec![Some("a"); 3];
    assert!(!config.reseed(&known, &evidence, &mut chances, &mut components, &mut reseeds).unwrap());
    let (mut chances, mut components) = first();
    let error = config.reseed(&known, &evidence, &mut chances, &mut components, &mut reseeds).unwrap_err();
    assert!(matches!(error, Error::Combination { what: "num_components", .. }));
    // Just the share of users at which a component is none, 4e-6 of four.
    chances[0] = vec![1.0 - 4e-6, 0.0, 4e-6];
    let two = EmConfig::new(2);
    let mut chances: Vec<Vec<f64>> = chances.iter().map(|row| vec![row[0], row[2]]).collect();
    let mut components = vec![Some("a"); 2];
    assert!(!two.reseed(&known, &evidence, &mut chances, &mut components, &mut 0).unwrap());
    let prior = config.with_dirichlet(1.1);
    assert!(!prior.reseed(&known, &evidence, &mut first().0, &mut first().1, &mut 0).unwrap());
}

#[test]
fn a_component_that_nobody_starts_with_leaves_the_value_finite() {
    let rows = |own: [f64; 3], users: usize| vec![own.to_vec(); users];
    let first = [rows([0.9, 0.1, 0.0], 3), rows([0.1, 0.9, 0.0], 3)].concat();
    let em = EmConfig::new(3).with_max_iterations(2).fit_from(&coins(), first).unwrap();
    assert_eq!((em.report.reseeds, em.report.trace.len()), (1, 2));
    assert!(em.report.trace.iter().all(|value| value.is_finite()), "{:?}", em.report);
}
