//! Does every method on rollouts reach the optimum that it claims?
//!
//! A table of logits is trained on sampled responses by every preset of `rollout::methods()`, at its defaults or as
//! [`CLAIMS`] says, in worlds whose optima are known exactly. Expect all of them to end where they claim to, to within the
//! tolerance beside each: without a divergence at the best responses; with one in the reward at
//! `π* ∝ ref exp(r/β)`; with one in the loss of GRPO elsewhere, at the stationary policies of
//! `accordant::data::solvable::stationary`. The run fails if one does not. Takes about a minute on two cores.
//!
//! **Tolerances.** For the best responses a regret of 0.01: it would be five times as much, and more, if one of the three
//! prompts ended at its second-best response. For the others 0.01 nats of KL to the claimed policy, a mean over prompts;
//! from where the run begins, and from the optimum that a wrong reading of the method would reach, it is ten times as much
//! and more (columns `at first` and `optimum`). What is left is noise of the sampled responses, about (free parameters)/(2
//! effective samples): with 16 responses a prompt over the last 100 steps 14/3200, and less with 512.
//!
//! `cargo run --release --example bandit_policies`, or `-- --only grpo,ppo` for some.

mod world;

use std::path::PathBuf;

use accordant::{
    data::solvable::{
        Bandit, Mdp, Policy,
        stationary::{AdvantageScale, KlLoss, Update},
    },
    objectives::{
        Options,
        advantage::group_normalized::GroupNormalizedConfig,
        rollout::{self, KlPlacement, PolicyGradientConfig, RatioLevel, RolloutObjective, surrogate::clip::ClipConfig},
    },
    ops::{
        kl::{KlEstimator, KlOptions},
        reduce::Aggregation,
    },
    train::{
        files::writable_folder,
        plot::{Panel, Series, write_figure},
    },
};
use anyhow::{Context, Result, bail, ensure};
use burn::{
    module::{Module, Param},
    optim::{AdamConfig, GradientsParams},
    tensor::{Device, Tensor},
};
use clap::Parser;
use world::{Step, World, table};

/// Every method on rollouts in worlds whose optima are known.
#[derive(Parser)]
struct Args {
    /// Methods by name, separated by commas; all without it
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    only: Vec<String>,
    /// Steps of each run: responses are sampled once in each and learned from twice
    #[arg(long, value_name = "N", default_value_t = 300)]
    steps: usize,
    /// Learning rate of Adam at first; it falls to 0
    #[arg(long, value_name = "RATE", default_value_t = 0.1)]
    learning_rate: f64,
    /// Decides worlds and samples
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Where bandit_policies.svg goes
    #[arg(long, value_name = "DIR", default_value = "target/plots")]
    out: PathBuf,
    /// A few steps of each method, to see that everything runs; claims nothing
    #[arg(long)]
    short: bool,
}

/// Where a method says that it ends.
#[derive(Clone, Copy, Debug)]
enum Claim {
    /// At the best responses.
    Best,
    /// At `π* ∝ ref exp(r/β)`: the divergence is in the reward.
    Optimum(f64),
    /// Where its expected update is zero, on a bandit.
    Stationary(Update),
}

const BETA: f64 = 0.25;

/// What methods claim that read a reference, and with which options. A method that reads none claims the best responses.
const CLAIMS: &[(&str, &[(&str, f64)], Claim)] = &[
    ("a2po", &[("beta", BETA)], Claim::Optimum(BETA)),
    ("dr_grpo", &[("kl_coef", 0.3), ("max_len", 1.0)], Claim::Stationary(update(false, KlLoss::K3, 0.3))),
    ("grpo", &[("kl_coef", 1.0)], Claim::Stationary(update(true, KlLoss::K3, 1.0))),
    ("ppo", &[("kl_coef", BETA)], Claim::Optimum(BETA)),
    // Its reference is no anchor: it only says how likely a response was.
    ("trpa", &[("top_reward", 0.9)], Claim::Best),
];

const fn update(scaled: bool, kl: KlLoss, beta: f64) -> Update {
    let scale = if scaled { AdvantageScale::Std { epsilon: 1e-6 } } else { AdvantageScale::One };
    Update { scale, kl, beta }
}

struct Run {
    label: String,
    objective: Box<dyn RolloutObjective>,
    claim: Claim,
}

/// The methods called `only`, or all, each with its claims.
fn runs(only: &[String]) -> Result<Vec<Run>> {
    let mut runs = Vec::new();
    for name in only {
        rollout::build(name, &Options::new())?;
    }
    let named = |name: &str| only.is_empty() || only.iter().any(|only| only == name);
    for method in rollout::methods().iter().filter(|method| named(method.name)) {
        let objective = rollout::build(method.name, &Options::new())?;
        let claims: Vec<_> = CLAIMS.iter().filter(|(name, ..)| *name == method.name).collect();
        if !objective.needs_reference() {
            runs.push(Run { label: method.name.to_owned(), objective, claim: Claim::Best });
        } else if claims.is_empty() {
            bail!("`{}` reads a reference: `CLAIMS` is to say what it does with it", method.name);
        }
        for (name, settings, claim) in claims {
            let add = |options: Options, (field, value): &(&str, f64)| options.with(*field, value);
            let objective = rollout::build(name, &settings.iter().fold(Options::new(), add))?;
            let settings: Vec<_> = settings.iter().map(|(field, value)| format!("{field}={value}")).collect();
            runs.push(Run { label: format!("{name} {}", settings.join(" ")), objective, claim: *claim });
        }
    }
    if named("grpo") {
        // No preset, but a point of the grid: the divergence by K2.
        let options = KlOptions::new(KlEstimator::K2);
        let objective = PolicyGradientConfig::new(RatioLevel::Token, Aggregation::SequenceMean)
            .with_kl(KlPlacement::Loss { kl_coef: 3.0, options, corrected: false })
            .init("grpo", GroupNormalizedConfig::new().init()?, ClipConfig::new().init()?)?;
        let claim = Claim::Stationary(update(true, KlLoss::K2, 3.0));
        runs.push(Run { label: "grpo kl_coef=3 by K2".to_owned(), objective: Box::new(objective), claim });
    }
    Ok(runs)
}

/// A policy and a critic, a number for each action and state.
#[derive(Module, Debug)]
struct Tables {
    logits: Param<Tensor<2>>,
    values: Param<Tensor<2>>,
}

/// The distance to what was claimed, by update.
struct Outcome {
    curve: Vec<(f64, f64)>,
    /// KL to the optimum with the divergence in the reward, where that is not the claim.
    to_optimum: Option<f64>,
}

impl Outcome {
    fn last(&self) -> f64 {
        self.curve.last().map_or(f64::NAN, |(_, distance)| *distance)
    }
}

const TOLERANCE: f64 = 0.01;
const GROUP: usize = 64;

/// How much more the best response to a prompt is worth than the next.
const LEAD: f64 = 0.15;

fn main() -> Result<()> {
    let args = Args::parse();
    ensure!(args.steps > 0 && args.learning_rate > 0.0, "`--steps` and `--learning-rate` are positive");
    writable_folder(&args.out)?;
    let tokens = World { prompts: prompts(args.seed)? };
    let bandit = Bandit::seeded(args.seed, 3, 4)?;
    let arms = World::of_bandit(&bandit)?;
    println!(
        "\n{:<32} {:<28} {:>9} {:>9} {:>9} {:>9}",
        "method", "claims", "at first", "at last", "at most", "optimum"
    );
    let (mut figure, mut missed) = (Vec::new(), Vec::new());
    for run in runs(&args.only)? {
        let (world, group_size, claimed) = match run.claim {
            Claim::Best => (&tokens, GROUP, None),
            Claim::Optimum(beta) => (&tokens, GROUP, Some(tokens.optimum(beta)?)),
            Claim::Stationary(update) => {
                let rest = bandit.stationary(&update)?;
                ensure!(rest.converged, "{update:?} has no stationary policy");
                (&arms, 512, Some(arms.policies(&World::table(&[rest.policy]))?))
            }
        };
        let outcome = train(&args, &run, world, group_size, claimed.as_deref()).with_context(|| run.label.clone())?;
        let claim = match run.claim {
            Claim::Best => "best responses".to_owned(),
            Claim::Optimum(beta) => format!("ref exp(r/{beta})"),
            Claim::Stationary(Update { kl: KlLoss::K2, .. }) => "stationary, reverse KL".to_owned(),
            Claim::Stationary(_) => "stationary, forward KL".to_owned(),
        };
        let optimum = outcome.to_optimum.map_or(String::new(), |kl| format!("{kl:.4}"));
        let (first, last) = (outcome.curve[0].1, outcome.last());
        println!("{:<32} {claim:<28} {first:>9.4} {last:>9.5} {TOLERANCE:>9.4} {optimum:>9}", run.label);
        // Written so that NaN is missed, too.
        let reached = last <= TOLERANCE;
        if !reached {
            missed.push(run.label.clone());
        }
        figure.push((run.claim, run.label, outcome));
    }
    plot(&args, figure)?;
    if args.short {
        println!("short run: the claims are not checked");
    } else if missed.is_empty() {
        println!("the claim holds: every method reached what it claims");
    } else {
        bail!("the claim does not hold for {}", missed.join(", "));
    }
    Ok(())
}

/// Three prompts with 15 responses of up to three tokens. The best leads, and is likely enough to be seen at all: a group
/// that holds none of it favors the second-best, whatever the method.
fn prompts(seed: u64) -> Result<Vec<Mdp>> {
    let mut prompts = Vec::new();
    for seed in (1000 * seed..).take(1000) {
        let mdp = Mdp::seeded(seed, 3, 3, Some(2))?;
        let mut responses: Vec<_> = mdp.returns().into_iter().zip(mdp.sequence_logps(mdp.reference())?).collect();
        responses.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        let (best, logp) = responses[0];
        if best - responses[1].0 >= LEAD && logp.exp() >= 4.0 / GROUP as f64 {
            prompts.push(mdp);
        }
        if prompts.len() == 3 {
            return Ok(prompts);
        }
    }
    bail!("no three of a thousand prompts have a best response that leads by {LEAD}")
}

/// Trains from the reference.
fn train(args: &Args, run: &Run, world: &World, group_size: usize, claimed: Option<&[Policy]>) -> Result<Outcome> {
    let device = Device::flex().autodiff();
    let beta = if let Claim::Optimum(beta) = run.claim { beta } else { 0.0 };
    let mut tables = Tables {
        logits: Param::from_tensor(table(&World::table(&world.references()), world.actions(), &device)),
        values: Param::from_tensor(table(&vec![0.0; world.states()], 1, &device)),
    };
    let mut optimizer = AdamConfig::new().with_epsilon(1e-8).init();
    let steps = if args.short { 3 } else { args.steps };
    let distance = |policies: &[Policy]| match claimed {
        Some(claimed) => world.divergence(policies, claimed),
        None => world.regret(policies),
    };
    let mut policies = world.references();
    let mut curve = vec![(0.0, distance(&policies)?)];
    for step in 0..steps {
        let rows = world.sample(&policies, group_size, args.seed, step)?;
        let values = host(&tables.values);
        let step_of = Step::new(run.objective.as_ref(), world, &rows, &policies, &values, beta, &Device::flex())?;
        for _ in 0..2 {
            let loss = step_of.output(tables.logits.val(), tables.values.val())?.reduced.loss;
            let gradients = GradientsParams::from_grads(loss.backward(), &tables);
            let rate = args.learning_rate * (1.0 - step as f64 / steps as f64);
            tables = optimizer.step(rate, tables, gradients);
        }
        policies = world.policies(&host(&tables.logits))?;
        curve.push(((step + 1) as f64, distance(&policies)?));
    }
    let to_optimum = match run.claim {
        Claim::Stationary(update) => Some(world.divergence(&policies, &world.optimum(update.beta)?)?),
        _ => None,
    };
    Ok(Outcome { curve, to_optimum })
}

fn host(table: &Param<Tensor<2>>) -> Vec<f64> {
    table.val().detach().try_to_vec_as::<f64>().expect("a table of f64")
}

fn plot(args: &Args, runs: Vec<(Claim, String, Outcome)>) -> Result<()> {
    let (best, others): (Vec<_>, Vec<_>) = runs.into_iter().partition(|(claim, ..)| matches!(claim, Claim::Best));
    let panels = |runs: &[(Claim, String, Outcome)], title: &str, y_label: &str| -> Vec<Panel> {
        // As many curves as there are colors.
        let panel = |runs: &[(Claim, String, Outcome)]| Panel {
            title: title.into(),
            x_label: "steps".into(),
            y_label: format!("log10 of {y_label}"),
            series: runs.iter().map(|(_, label, outcome)| series(label, outcome)).collect(),
            level: Some(("tolerance".into(), TOLERANCE.log10())),
        };
        runs.chunks(4).map(panel).collect()
    };
    let mut all = panels(&best, "claim: the best responses", "the regret");
    all.extend(panels(&others, "claim: a policy near the reference", "the KL to it, nats"));
    let path = args.out.join("bandit_policies.svg");
    write_figure(&path, "every method on rollouts, where the optimum is known", &all)?;
    println!("\nwrote {}", path.display());
    Ok(())
}

fn series(label: &str, outcome: &Outcome) -> Series {
    let points = outcome.curve.iter().map(|(step, distance)| (*step, distance.max(1e-7).log10())).collect();
    Series { name: label.to_owned(), points, joined: true }
}
