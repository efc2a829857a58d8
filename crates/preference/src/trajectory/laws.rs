//! What every fit, score and loss of segments must do: one row for each.

use accordant_laws::{
    fits::{
        self,
        Claim::{self as FitClaim, Centered, Reversed, Scaled, Unordered, Weighted},
        Judged, Outcomes, Table,
    },
    models::{
        self,
        Claim::{
            self, Antisymmetric, FiniteAtExtremes, LinearInTargets, NotNegative, PermutationInvariant, ShiftInvariant,
        },
        ListLosses, Lists,
    },
};
use burn::tensor::{Bool, DType, Device, Tensor, TensorData};

use super::{
    Steps,
    contrastive::segment_advantages,
    drift_diffusion::{DriftDiffusionLoss, DriftDiffusionLossConfig},
    hindsight::HindsightConfig,
    inverse::{distance_scores, implied_rewards, reward_penalty},
    linear::{Design, FeaturePairs, LinearPreferencesConfig},
    mdp::Mdp,
    partial_return::partial_returns,
    regret::{Regret, advantage_scores},
    response_times::{Estimator, ResponseTimesConfig, TimedChoices},
    reward_fit::{JudgedBy, RewardFitConfig, Segment, SegmentPair},
};
use crate::{
    Nll, Result,
    listwise::testing::list_losses,
    pairwise::{
        PairScores, PairwiseLoss,
        testing::{evaluate, tensor},
    },
    ranking::{NewtonConfig, laws::judged},
};

const ALL: &[FitClaim] = &[Unordered, Weighted, Scaled, Reversed, Centered];
const WITH_PRIOR: &[FitClaim] = &[Unordered, Weighted, Reversed, Centered];
/// Records have no weights.
const UNWEIGHTED: &[FitClaim] = &[Unordered, Scaled, Reversed, Centered];

fn one_of(len: usize, at: usize) -> Vec<f64> {
    (0..len).map(|i| f64::from(i == at)).collect()
}

/// Each item has a feature of its own.
fn linear(config: LinearPreferencesConfig) -> impl Fn(&Table<Judged>) -> Vec<f64> {
    move |table| {
        let mut pairs = FeaturePairs::new(table.num_items);
        for record in judged(table.num_items, &table.records).records() {
            let [first, second] = [record.first, record.second].map(|item| one_of(table.num_items, item));
            pairs.push(&first, &second, record.outcome, record.weight).unwrap();
        }
        let fitted = config.fit(&pairs).unwrap();
        assert!(fitted.report.converged);
        fitted.coefficients().to_vec()
    }
}

/// A world in which any action can be done anywhere and leads to its own state: segments of one step are items.
fn rewards(judged_by: JudgedBy) -> impl Fn(&Table<Judged>) -> Vec<f64> {
    move |table| {
        let n = table.num_items;
        let anywhere: Vec<_> = (0..n * n).map(|row| vec![(row % n, 1.0)]).collect();
        let world = Mdp::new(n, n, anywhere, 0.9).unwrap();
        let segment = |item: usize| Segment { states: vec![0, item], actions: vec![item] };
        let pair = |record: &crate::Comparison| SegmentPair {
            first: segment(record.first),
            second: segment(record.second),
            outcome: record.outcome,
        };
        let pairs: Vec<SegmentPair> = judged(n, &table.records).records().iter().map(pair).collect();
        let config = RewardFitConfig::new().with_judged_by(judged_by).with_prior(0.7).with_restarts(1);
        let features = world.next_state_features(&[]).unwrap();
        let fitted = config.with_tolerance(1e-9).fit(&world, &features, &pairs).unwrap();
        assert!(fitted.report.converged, "{:?}", fitted.report);
        fitted.weights
    }
}

/// Every pair was judged in as long as its weight says; each item but the last has a feature of its own.
fn timed(config: ResponseTimesConfig) -> impl Fn(&Table<Judged>) -> Vec<f64> {
    move |table| {
        let n = table.num_items;
        let mut choices = TimedChoices::new(n - 1);
        for Judged { first, second, share, weight, .. } in &table.records {
            let lead: Vec<f64> = one_of(n, *first).iter().zip(one_of(n, *second)).map(|(a, b)| a - b).collect();
            choices.push(&lead[..n - 1], *share == 1.0, 0.3 + weight).unwrap();
        }
        let mut scores = config.fit(&choices).unwrap().coefficients;
        scores.push(0.0);
        let mean = scores.iter().sum::<f64>() / n as f64;
        scores.iter().map(|score| score - mean).collect()
    }
}

type Fit<'a> = (&'a str, &'a [FitClaim], &'a dyn Fn(&Table<Judged>) -> Vec<f64>);

#[track_caller]
fn obey(outcomes: Outcomes, fits: &[Fit]) {
    for (name, claims, fit) in fits {
        if let Err(broken) = fits::pair_fit(outcomes, claims, 1e-6, fit) {
            panic!("{name} {broken}");
        }
        // Where a claim is not made it does not hold.
        for claim in ALL.iter().filter(|claim| !claims.contains(claim)) {
            fits::pair_fit(outcomes, &[*claim], 1e-6, fit).expect_err(&format!("{name} {claim:?}"));
        }
    }
}

#[test]
fn every_fit_of_segments_obeys_the_laws() {
    let config = LinearPreferencesConfig::new().with_prior(0.7);
    let widths = |design: Design| {
        let config = config.clone().with_design(design);
        move |table: &Table<Judged>| {
            let n = table.num_items;
            let mut pairs = FeaturePairs::new(n);
            for record in judged(n, &table.records).records() {
                pairs.push(&one_of(n, record.first), &one_of(n, record.second), record.outcome, record.weight).unwrap();
            }
            let fitted = config.fit(&pairs).unwrap();
            (0..n).map(|item| fitted.design().width(&one_of(n, item)).unwrap()).collect::<Vec<_>>()
        }
    };
    let (linear, fisher, gram) = (linear(config.clone()), widths(Design::Fisher), widths(Design::Gram));
    let (returns, regret, advantages) =
        (rewards(JudgedBy::PartialReturn), rewards(JudgedBy::Regret), rewards(JudgedBy::Advantages));
    obey(
        Outcomes::All,
        &[
            ("linear", WITH_PRIOR, &linear),
            ("widths", &[Unordered, Weighted], &fisher),
            ("widths by what was asked", &[Unordered, Weighted], &gram),
            ("partial return", UNWEIGHTED, &returns),
            ("regret", UNWEIGHTED, &regret),
            ("advantages", UNWEIGHTED, &advantages),
        ],
    );
    // A time is no weight.
    let by_time: &[FitClaim] = &[Unordered, Reversed, Centered];
    let estimator = |estimator| timed(ResponseTimesConfig::new().with_estimator(estimator).with_non_decision_time(0.1));
    let (moments, ratios, likelihood) =
        (estimator(Estimator::Moments), estimator(Estimator::Ratios), estimator(Estimator::Likelihood));
    let winsorized = timed(ResponseTimesConfig::new().with_winsorize((0.1, 0.9)));
    obey(
        Outcomes::Wins,
        &[
            ("moments", by_time, &moments),
            ("ratios", by_time, &ratios),
            ("likelihood", by_time, &likelihood),
            ("moments, winsorized", by_time, &winsorized),
        ],
    );
}

#[test]
fn rewards_of_states_are_bradley_terry_by_any_model_where_any_state_can_be_reached_from_anywhere() {
    // One comparison each.
    let alike = |table: &Table<Judged>| Table {
        num_items: table.num_items,
        records: table.records.iter().map(|record| Judged { weight: 1.0, ..*record }).collect(),
    };
    let linear = linear(LinearPreferencesConfig::new().with_prior(0.7));
    let linear = |table: &Table<Judged>| linear(&alike(table));
    let newton = |table: &Table<Judged>| {
        let judged = judged(table.num_items, &alike(table).records);
        NewtonConfig::new().with_prior(0.7).fit(&judged).unwrap().scores
    };
    let (returns, regret, advantages) =
        (rewards(JudgedBy::PartialReturn), rewards(JudgedBy::Regret), rewards(JudgedBy::Advantages));
    let methods: &[fits::Named<Judged>] = &[
        ("newton", &newton),
        ("linear", &linear),
        ("partial return", &returns),
        ("regret", &regret),
        ("advantages", &advantages),
    ];
    fits::same_fits(Outcomes::All, 1e-7, methods).unwrap();
}

/// A loss of timed choices, each of them made in one more than its weight.
struct Timed(DriftDiffusionLoss);

impl PairwiseLoss for Timed {
    fn forward(&self, pairs: &PairScores) -> Result<Nll> {
        self.0.forward(pairs, pairs.weights() + 1.0)
    }
}

#[test]
fn the_loss_of_timed_choices_obeys_the_laws() {
    let config = DriftDiffusionLossConfig::new().with_barrier(1.7).with_non_decision_time(0.25);
    let loss = Timed(config.init().unwrap());
    let claims = [ShiftInvariant, Antisymmetric, LinearInTargets, FiniteAtExtremes];
    if let Err(broken) = models::pair_loss(&claims, evaluate(&loss, false)) {
        panic!("{broken}");
    }
    // A density may be above 1.
    models::pair_loss(&[NotNegative], evaluate(&loss, false)).expect_err("negative losses");
}

/// Scores of segments as the laws of lists see them: the steps of each are its candidates. `f` gets the steps and a second
/// column for each.
fn segments(f: impl Fn(Steps, Tensor<2>) -> Result<Tensor<1>>) -> impl Fn(&Lists) -> ListLosses {
    move |lists| {
        let device = Device::flex().autodiff();
        let shape = [lists.scores.len(), lists.scores[0].len()];
        let of =
            |rows: &[Vec<f64>]| Tensor::<2>::from_data(TensorData::new(rows.concat(), shape), (&device, DType::F64));
        let values = of(&lists.scores).require_grad();
        let mask = Tensor::<2, Bool>::from_data(TensorData::new(lists.present.concat(), shape), &device);
        let scores = f(Steps::new(values.clone(), mask).unwrap(), of(&lists.labels)).unwrap();
        list_losses(Nll::new(scores, tensor(&lists.weights, &device)).unwrap(), &values)
    }
}

#[test]
fn every_score_of_a_segment_obeys_the_laws() {
    const SUM: &[Claim] = &[PermutationInvariant, FiniteAtExtremes];
    const IN_ORDER: &[Claim] = &[FiniteAtExtremes];
    const PENALTY: &[Claim] = &[PermutationInvariant, FiniteAtExtremes, NotNegative];
    const EVEN: &[Claim] = &[PermutationInvariant, FiniteAtExtremes, NotNegative, Antisymmetric];
    type Score<'a> = (&'a str, &'a [Claim], &'a dyn Fn(Steps, Tensor<2>) -> Result<Tensor<1>>);
    let column = |steps: &Steps, value: f64| {
        let [n, _] = steps.mask().dims();
        tensor(&vec![value; n], &steps.mask().device())
    };
    let ends = |steps: Steps, discount: f64| {
        let (start, end) = (column(&steps, 0.3), column(&steps, -0.7));
        Ok(Regret::new(&steps, start, end, discount)?.scores())
    };
    let distances = |steps: Steps, taken: Tensor<2>| {
        distance_scores(steps.values().unsqueeze_dim(2), taken.unsqueeze_dim(2), steps.mask())
    };
    let hindsight = |grad_through_return: bool| {
        let config = HindsightConfig::new(0.8).with_grad_through_return(grad_through_return);
        move |steps: Steps, importance: Tensor<2>| config.init()?.forward(&steps, importance)
    };
    let through = hindsight(true);
    let scores: &[Score] = &[
        ("partial_returns", SUM, &|steps, _| partial_returns(&steps, 1.0)),
        ("partial_returns, discounted", IN_ORDER, &|steps, _| partial_returns(&steps, 0.8)),
        ("advantage_scores", SUM, &|steps, _| advantage_scores(&steps)),
        ("segment_advantages", SUM, &|steps, _| segment_advantages(&steps, 0.4, 1.0)),
        ("segment_advantages, discounted", IN_ORDER, &|steps, _| segment_advantages(&steps, 0.4, 0.7)),
        ("regret", SUM, &|steps, _| ends(steps, 1.0)),
        ("regret, discounted", IN_ORDER, &|steps, _| ends(steps, 0.8)),
        ("implied_rewards", SUM, &|steps, next| {
            let terminal = next.clone().equal_scalar(1.0);
            partial_returns(&implied_rewards(&steps, next, terminal, 0.9)?, 1.0)
        }),
        ("reward_penalty", EVEN, &|steps, _| reward_penalty(&steps, 0.5)),
        ("distance_scores", &[PermutationInvariant, FiniteAtExtremes, Antisymmetric], &distances),
        ("hindsight", PENALTY, &through),
    ];
    for (name, claims, score) in scores {
        let loss = segments(score);
        if let Err(broken) = models::list_loss(4, claims, &loss) {
            panic!("{name} {broken}");
        }
        for claim in [ShiftInvariant, PermutationInvariant, NotNegative, FiniteAtExtremes, Antisymmetric] {
            if !claims.contains(&claim) {
                models::list_loss(4, &[claim], &loss).expect_err(&format!("{name} {claim:?}"));
            }
        }
    }
    // Without the slope through the return the gradient is none of the loss.
    let error = models::list_loss(4, PENALTY, segments(hindsight(false))).unwrap_err();
    assert_eq!(error.law, "gradients are derivatives");
}
