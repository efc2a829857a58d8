//! What every loss of lists must do, whichever module it is from: one row for each.

use accordant_laws::models::{
    self,
    Claim::{self, Antisymmetric, FiniteAtExtremes, NotNegative, PermutationInvariant, ShiftInvariant},
    ListLosses, Lists,
};
use accordant_ops::host::logistic;
use burn::tensor::Device;

use super::{
    ListwiseLoss,
    best_choice::BestChoice,
    list_net::ListNetConfig,
    outside_option::{Choices, OutsideOptionConfig},
    plackett_luce::{PlackettLuce, PlackettLuceConfig, Stages, TiedGroups},
    rank_list::{RankList, RankListConfig, Reach},
    rank_net::{PairWeights, RankNet, RankNetConfig},
    testing::{evaluate, list_losses, matrix},
};
use crate::pairwise::{
    bradley_terry::BradleyTerryConfig,
    testing::{evaluate as evaluate_pairs, tensor},
};

const EVERY: &[Claim] = &[ShiftInvariant, PermutationInvariant, NotNegative, FiniteAtExtremes, Antisymmetric];
/// The best of a list counts for more than the worst.
const FROM_THE_TOP: &[Claim] = &[ShiftInvariant, PermutationInvariant, NotNegative, FiniteAtExtremes];
/// Utilities have a level: that of none of them.
const LEVEL: &[Claim] = &[PermutationInvariant, NotNegative, FiniteAtExtremes];

/// So many labels that no two are equal.
const UNTIED: usize = 1_000_000;

fn plackett_luce(ties: TiedGroups, stages: Stages) -> PlackettLuce {
    PlackettLuceConfig::new().with_ties(ties).with_stages(stages).init().unwrap()
}

fn rank_net(temperature: f64, weights: PairWeights) -> RankNet {
    RankNetConfig::new().with_temperature(temperature).with_weights(weights).init().unwrap()
}

fn rank_list(reach: Reach) -> RankList {
    RankListConfig::new().with_temperature(1.3).with_reach(reach).init().unwrap()
}

/// The candidate with the largest label is chosen; none is where that label is small, if that is an option.
fn outside_option(nesting: f64, offered: bool) -> impl Fn(&Lists) -> ListLosses {
    move |lists| {
        let device = Device::flex().autodiff();
        let rows: Vec<&[f64]> = lists.scores.iter().map(Vec::as_slice).collect();
        let scores = matrix(&rows, &device).require_grad();
        let choice = |(labels, present): (&Vec<f64>, &Vec<bool>)| {
            let there = (0..labels.len()).filter(|at| present[*at]);
            let best = there.max_by(|a, b| labels[*a].total_cmp(&labels[*b]));
            best.filter(|at| !offered || labels[*at] >= 0.5 * UNTIED as f64)
        };
        let chosen: Vec<Option<usize>> = lists.labels.iter().zip(&lists.present).map(choice).collect();
        let choices = Choices::new(scores.clone(), &chosen).unwrap().with_present(&lists.present).unwrap();
        let choices = choices.with_offered(&vec![offered; chosen.len()]).unwrap();
        let choices = choices.with_weights(tensor(&lists.weights, &device)).unwrap();
        let nll = OutsideOptionConfig::new().with_nesting(nesting).init().unwrap().forward(&choices).unwrap();
        list_losses(nll, &scores)
    }
}

/// A name, how many labels are drawn, what is claimed, and of what.
type Row = (String, usize, &'static [Claim], Box<dyn ListwiseLoss>);

#[test]
fn every_loss_of_lists_obeys_the_laws() {
    let split = TiedGroups::Split { seed: 0 };
    let mut rows: Vec<Row> = Vec::new();
    for stages in [Stages::Sum, Stages::Mean, Stages::Positional] {
        rows.push((
            format!("plackett_luce {stages:?}"),
            3,
            FROM_THE_TOP,
            Box::new(plackett_luce(TiedGroups::Breslow, stages)),
        ));
        rows.push((
            format!("plackett_luce, split {stages:?}"),
            2,
            FROM_THE_TOP,
            Box::new(plackett_luce(split, stages)),
        ));
        // A single choice may be more than certain; those of a whole group are not, since no product of g numbers is larger
        // than the g-th power of their mean.
        let efron = plackett_luce(TiedGroups::Efron, stages);
        rows.push((format!("plackett_luce, efron {stages:?}"), 3, FROM_THE_TOP, Box::new(efron)));
    }
    // An order by chance depends on the batch; without ties it does not.
    let random = plackett_luce(TiedGroups::Random { seed: 0 }, Stages::Sum);
    rows.push(("plackett_luce, by chance".into(), UNTIED, FROM_THE_TOP, Box::new(random)));
    rows.push(("rank_net".into(), 3, EVERY, Box::new(rank_net(1.3, PairWeights::Equal))));
    rows.push(("rank_net, lambda".into(), 3, FROM_THE_TOP, Box::new(rank_net(1.3, PairWeights::Lambda))));
    let list_net = ListNetConfig::new().with_temperature(1.3).init().unwrap();
    rows.push(("list_net".into(), 4, FROM_THE_TOP, Box::new(list_net)));
    rows.push(("rank_list".into(), 4, EVERY, Box::new(rank_list(Reach::Skips(vec![1.0])))));
    rows.push(("rank_list, two skips".into(), 4, EVERY, Box::new(rank_list(Reach::Skips(vec![1.0, 0.5])))));
    for distance in [1, 2] {
        let name = format!("rank_list, beyond {distance}");
        rows.push((name, 4, FROM_THE_TOP, Box::new(rank_list(Reach::Beyond(distance)))));
    }
    rows.push(("best_choice".into(), 3, FROM_THE_TOP, Box::new(BestChoice)));
    for (name, num_labels, claims, loss) in &rows {
        obeys(name, *num_labels, claims, evaluate(&**loss));
    }
    for nesting in [1.0, 0.4] {
        obeys(&format!("outside_option {nesting}"), UNTIED, LEVEL, outside_option(nesting, true));
        obeys(&format!("outside_option, not offered {nesting}"), UNTIED, FROM_THE_TOP, outside_option(nesting, false));
    }
}

/// That the claims hold, and that those which are not made do not.
#[track_caller]
fn obeys(name: &str, num_labels: usize, claims: &[Claim], loss: impl Fn(&Lists) -> ListLosses) {
    if let Err(broken) = models::list_loss(num_labels, claims, &loss) {
        panic!("{name} {broken}");
    }
    for claim in EVERY.iter().filter(|claim| !claims.contains(claim)) {
        models::list_loss(num_labels, &[*claim], &loss).expect_err(&format!("{name} {claim:?}"));
    }
}

#[test]
fn lists_of_two_candidates_are_bradley_terry() {
    let won = |lead: f64| if lead > 0.0 { 1.0 } else { 0.0 };
    let same = |name: &str, temperature: f64, target: &dyn Fn(f64) -> f64, lists: &dyn Fn(&Lists) -> ListLosses| {
        let pairs = BradleyTerryConfig::new().with_temperature(temperature).init().unwrap();
        if let Err(broken) = models::lists_of_two(target, lists, evaluate_pairs(&pairs, false)) {
            panic!("{name} {broken}");
        }
    };
    for ties in [TiedGroups::Breslow, TiedGroups::Efron, TiedGroups::Split { seed: 0 }, TiedGroups::Random { seed: 0 }]
    {
        for stages in [Stages::Sum, Stages::Mean, Stages::Positional] {
            same("plackett_luce", 1.0, &won, &evaluate(&plackett_luce(ties, stages)));
        }
    }
    same("rank_net", 1.7, &won, &evaluate(&rank_net(1.7, PairWeights::Equal)));
    same("rank_list", 1.3, &won, &evaluate(&rank_list(Reach::Skips(vec![2.0]))));
    same("rank_list, beyond", 1.3, &won, &evaluate(&rank_list(Reach::Beyond(1))));
    same("best_choice", 1.0, &won, &evaluate(&BestChoice));
    // A difference of labels is a chance.
    let list_net = ListNetConfig::new().with_temperature(0.6).init().unwrap();
    same("list_net", 1.0, &|lead| logistic(lead * 0.6f64.recip()), &evaluate(&list_net));
    same("outside_option, not offered", 1.0, &won, &outside_option(1.0, false));
    same("outside_option, nested and not offered", 0.4, &won, &outside_option(0.4, false));
}
