//! `RewardTrainer`.

use accordant_preference::{
    ItemReduction,
    pairwise::{PairScores, PairwiseLoss, bradley_terry::BradleyTerryConfig},
};

use crate::golden::{Case, Numbers, column};

pub fn bradley_terry(case: &Case) -> Numbers {
    case.knows_only(&["center_rewards_coefficient"]);
    let leaves = ["rewards_chosen", "rewards_rejected"].map(|name| case.leaf(name));
    let [(_, chosen), (_, rejected)] = &leaves;
    let mut pairs = PairScores::new(chosen.clone(), rejected.clone()).expect("columns of one length");
    if let Some(margins) = case.input("margin") {
        pairs = pairs.with_margins(margins).expect("a margin for each pair");
    }
    let centering = case.number("center_rewards_coefficient").unwrap_or(0.0);
    let loss = BradleyTerryConfig::new().with_centering(centering).init().expect("a centering");
    let nll = loss.forward(&pairs).expect("a loss for each pair");
    let reduced = nll.reduce(ItemReduction::Mean).expect("shapes that fit");
    let mut numbers = Numbers::new(&reduced.loss, &leaves);
    numbers.insert("per_example", &nll.losses);
    let means = nll.means();
    let mean = |name: &str| means.mean(name).expect("every pair weighs something");
    let rewards = [column(chosen), column(rejected)].concat();
    // TRL counts a tie as wrong, we count it as half right.
    let ties = column(chosen).iter().zip(column(rejected)).filter(|(a, b)| *a == b).count() as f64;
    numbers.metrics.extend([
        ("min_reward", rewards.iter().copied().fold(f64::INFINITY, f64::min)),
        ("mean_reward", mean("mean_score")),
        ("max_reward", rewards.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
        ("accuracy", mean("accuracy") - 0.5 * ties / column(chosen).len() as f64),
        ("margin", mean("mean_margin")),
    ]);
    numbers
}
