//! Can a model outgrow its teachers by practicing against a checker?
//!
//! Trains a small decoder from scratch on demonstrations of which six in ten are wrong (SFT), so that it answers fewer
//! than half of the held-out puzzles. Then online: it samples a group of answers to each prompt, a program checks them,
//! and any method on rollouts learns from that; no answer is shown. Expect GRPO to lift the share of right answers to
//! held-out puzzles from below 50 % to at least 85 %; the run fails if it does not. Takes about two minutes on two cores.
//! `--compare` gives several methods the same budget.
//!
//! `cargo run --release --example grpo -- --help` explains every flag.

mod figure;
mod task;

use std::{path::PathBuf, process::ExitCode, time::Instant};

use accordant::{
    data::{chars::EOS_ID, puzzle::PuzzleConfig},
    lm::{
        decoder::{Decoder, DecoderConfig},
        value_head::{Critic, ValueHeadConfig},
    },
    objectives::{
        Options,
        rollout::{self, RolloutObjective},
    },
    train::{
        Recorder, RolloutConfig, RolloutTask, TrainConfig, files::writable_folder, train_actor_critic, train_rollouts,
        train_sft,
    },
};
use anyhow::{Context, Result, bail};
use burn::{module::Module, tensor::Device};
use clap::Parser;

use task::{Accuracy, Size, Task};

/// SFT on a few demonstrations, then reinforcement learning from checked answers.
#[derive(Parser, Debug)]
#[command(version)]
struct Args {
    #[arg(long, value_name = "NAME", default_value = "grpo", help = presets())]
    preset: String,
    /// Any field of the preset's configuration, such as clip_high=0.28
    #[arg(long, value_name = "FIELD=VALUE", value_parser = field_and_value)]
    set: Vec<(String, String)>,
    /// Give each preset the same budget and print a table: these, separated by commas, or all there are
    #[arg(long, value_name = "NAMES", num_args = 0..=1, default_missing_value = "", conflicts_with_all = ["preset", "set"])]
    compare: Option<String>,
    /// Iterations of sampling and learning
    #[arg(long, value_name = "N")]
    iterations: Option<usize>,
    /// Prompts of an iteration
    #[arg(long, value_name = "N", default_value_t = 32)]
    prompts: usize,
    /// Answers to each prompt
    #[arg(long, value_name = "N", default_value_t = 8)]
    group_size: usize,
    /// Divides the logits when answers are sampled
    #[arg(long, value_name = "T", default_value_t = 1.0)]
    temperature: f64,
    /// Peak learning rate of practice
    #[arg(long, value_name = "RATE", default_value_t = 1e-3)]
    learning_rate: f64,
    /// Passes over the answers of an iteration
    #[arg(long, value_name = "N", default_value_t = 1)]
    epochs: usize,
    /// Optimizer steps of a pass
    #[arg(long, value_name = "N", default_value_t = 1)]
    minibatches: usize,
    /// Replace prompts whose answers are all worth the same, in at most so many rounds of sampling
    #[arg(long, value_name = "ROUNDS")]
    dynamic_sampling: Option<usize>,
    /// Steps of supervised fine-tuning before
    #[arg(long, value_name = "N")]
    sft_steps: Option<usize>,
    /// Decides puzzles, initial weights, order and samples: the same seed prints the same numbers
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Where the program runs: flex, or another backend that was compiled in
    #[arg(long, value_name = "DEVICE", default_value = "flex", value_parser = accordant::device::open)]
    device: Device,
    /// Where grpo.svg and grpo.metrics.jsonl go
    #[arg(long, value_name = "DIR", default_value = "target/plots")]
    out: PathBuf,
    /// A few small steps, to see that everything runs; claims nothing
    #[arg(long)]
    short: bool,
}

/// The width of the hidden states.
const HIDDEN: usize = 64;

/// Answers in a forward pass.
const MICRO_BATCH: usize = 256;

/// What the claim says of the accuracy before and after.
const CLAIM: [f64; 2] = [0.5, 0.85];

fn presets() -> String {
    format!("The method, by its name: {}", names().join(", "))
}

fn names() -> Vec<&'static str> {
    rollout::methods().iter().map(|method| method.name).collect()
}

fn field_and_value(text: &str) -> Result<(String, String), String> {
    let (field, value) = text.split_once('=').ok_or("expected FIELD=VALUE")?;
    Ok((field.to_owned(), value.to_owned()))
}

/// Everything that is decided before anything runs.
struct Plan {
    objectives: Vec<Box<dyn RolloutObjective>>,
    sft: TrainConfig,
    practice: TrainConfig,
}

impl Args {
    fn plan(&self) -> Result<Plan> {
        let options = self.set.iter().fold(Options::new(), |options, (field, value)| options.with(field, value));
        let names: Vec<&str> = match self.compare.as_deref() {
            None => vec![self.preset.as_str()],
            Some("") => names(),
            Some(names) => names.split(',').collect(),
        };
        let train = |steps, rate, batch_size| {
            let config = TrainConfig::new(steps, rate)
                .with_batch_size(batch_size)
                .with_micro_batch_size(MICRO_BATCH)
                .with_seed(self.seed);
            config.validate().map(|()| config)
        };
        let sft_steps = self.sft_steps.unwrap_or(if self.short { 4 } else { 600 });
        let iterations = self.iterations.unwrap_or(if self.short { 2 } else { 300 });
        Ok(Plan {
            objectives: names.iter().map(|name| rollout::build(name, &options)).collect::<Result<_, _>>()?,
            sft: train(sft_steps, 3e-3, 64)?.with_warmup_steps(sft_steps / 10),
            practice: train(iterations, self.learning_rate, self.prompts)?.with_warmup_steps(iterations / 20),
        })
    }
}

/// What became of one method.
struct Outcome {
    accuracy: Accuracy,
    /// From the supervised model, in nats a response, at the end.
    kl: f64,
    seconds: f64,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let plan = match args.plan() {
        Ok(plan) => plan,
        Err(error) => {
            eprintln!("error: {error:#}");
            return ExitCode::from(2);
        }
    };
    match run(&args, &plan) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args, plan: &Plan) -> Result<()> {
    writable_folder(&args.out)?;
    let size = match args.short {
        true => Size { demonstrations: 64, practice: 64, exam: 32 },
        false => Size { demonstrations: 2000, practice: 4000, exam: 500 },
    };
    let task = Task::new(PuzzleConfig { seed: args.seed, ..PuzzleConfig::default() }, size)?;
    let (device, plain) = (args.device.clone().autodiff(), args.device.clone());
    let mut recorder = Recorder::new(Some(&args.out.join("grpo.metrics.jsonl")))?;
    let model = DecoderConfig::new(task.vocab_size()).with_hidden_size(HIDDEN).init(args.seed, &device)?;
    println!("{}\nmodel: {} parameters", task.describe(), model.num_params());
    let since = Instant::now();
    let sft = train_sft(model, &task.demonstrations, &plan.sft, &device, &mut recorder)?;
    let before = task.accuracy(&sft.valid(), args.seed, &plain)?;
    println!(
        "\n{:<16} {:>20} {:>10} {:>10} {:>8}",
        "held-out puzzles", "right when sampled", "likeliest", "KL, nats", "seconds"
    );
    println!("{:<16} {before} {:>10.2} {:>8.0}", "SFT", 0.0, since.elapsed().as_secs_f64());
    let mut outcomes = Vec::new();
    for objective in &plan.objectives {
        match practice(args, plan, objective.as_ref(), &task, sft.clone(), &mut recorder) {
            Ok(Outcome { accuracy, kl, seconds }) => {
                println!("{:<16} {accuracy} {kl:>10.2} {seconds:>8.0}", objective.name());
                outcomes.push((objective.name(), accuracy));
            }
            // One method that needs more than this loop has must not end the comparison of the others.
            Err(error) if args.compare.is_some() => println!("{:<16} {error:#}", objective.name()),
            Err(error) => return Err(error.context(objective.name())),
        }
    }
    let path = args.out.join("grpo.svg");
    let names: Vec<&str> = outcomes.iter().map(|(name, _)| *name).collect();
    figure::write(&path, "puzzles with a checker", &names, &recorder, before.sampled)?;
    recorder.finish()?;
    println!("\nwrote {}", path.display());
    let claimed = outcomes.iter().find(|(name, _)| *name == "grpo");
    match claimed.filter(|_| args.set.is_empty()) {
        _ if args.short => println!("short run: the claim is not checked"),
        None => println!("the claim is that of GRPO as it is, and not checked"),
        Some((_, after)) => {
            let (before, after) = (before.sampled, after.sampled);
            let claim = format!("right answers from {:.1} % to {:.1} %", 100.0 * before, 100.0 * after);
            if before >= CLAIM[0] || after < CLAIM[1] {
                bail!("the claim does not hold: {claim}, not from below 50 % to at least 85 %");
            }
            println!("the claim holds: {claim}");
        }
    }
    Ok(())
}

fn practice(
    args: &Args,
    plan: &Plan,
    objective: &dyn RolloutObjective,
    task: &Task,
    sft: Decoder,
    recorder: &mut Recorder,
) -> Result<Outcome> {
    let since = Instant::now();
    let (device, frozen, prompts) = (args.device.clone().autodiff(), sft.valid(), task.prompts());
    let config = RolloutConfig::new(plan.practice.clone(), task.max_new_tokens())
        .with_group_size(args.group_size)
        .with_temperature(args.temperature)
        .with_epochs(args.epochs)
        .with_minibatches(args.minibatches)
        .with_dynamic_sampling(args.dynamic_sampling);
    let rollouts = RolloutTask {
        prompts: &prompts,
        stop_ids: &[EOS_ID],
        judge: &|rollout| task.judge(rollout),
        objective,
        reference: Some(&frozen),
        phase: objective.name(),
        device: &device,
    };
    let policy = if objective.needs_values() {
        let critic = Critic::new(sft.clone(), ValueHeadConfig::new(HIDDEN).init(args.seed, &device)?);
        train_actor_critic(sft, critic, &rollouts, &config, recorder)?.0
    } else {
        train_rollouts(sft, &rollouts, &config, recorder)?
    };
    let accuracy = task.accuracy(&policy.valid(), args.seed, &args.device)?;
    let kl =
        recorder.curve(&format!("{}/kl/sequence", objective.name())).last().context("an iteration was recorded")?.1;
    recorder.point(&format!("{}/held-out", objective.name()), plan.practice.steps, accuracy.sampled)?;
    Ok(Outcome { accuracy, kl, seconds: since.elapsed().as_secs_f64() })
}
