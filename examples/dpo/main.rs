//! Does a policy trained by DPO write better responses than the supervised model that it started from?
//!
//! Trains a small decoder from scratch on the chosen responses (SFT), then on the pairs with any objective there is,
//! and compares the two. By default on a synthetic world whose gold reward is known: expect DPO to win about seven in
//! ten comparisons; the run fails if the lower end of the win rate's 95 % interval is below 0.6. Takes about a minute on
//! two cores. With `--data` and `--eval`, on HH-RLHF files.
//!
//! `cargo run --release --example dpo -- --help` explains every flag.

mod evaluate;
mod figure;
mod files;
mod responses;
mod source;

use std::{path::PathBuf, process::ExitCode};

use accordant::{
    data::{
        OnReject,
        tokenize::Tokenizer,
        tokens::{TokenPair, Truncation},
        world::WorldConfig,
    },
    lm::decoder::{Decoder, DecoderConfig},
    objective::Objective,
    objectives::Options,
    train::{
        Recorder, TrainConfig,
        files::{writable_folder, write_whole},
        pair_logps, train_sft,
    },
};
use anyhow::{Context, Result, bail};
use burn::{module::Module, tensor::Device};
use clap::Parser;

/// SFT, then preference optimization, then evaluation, in one command.
#[derive(Parser, Debug)]
#[command(version)]
struct Args {
    /// HH-RLHF files to train on, plain or .gz; without them the synthetic world is used
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "eval")]
    data: Vec<PathBuf>,
    /// HH-RLHF files to evaluate on
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "data")]
    eval: Vec<PathBuf>,
    /// Leave out malformed rows and count them, instead of stopping at the first
    #[arg(long)]
    skip_malformed: bool,
    #[arg(long, value_name = "NAME", default_value = "dpo", help = objectives())]
    objective: String,
    /// Strength of the KL pull; the objective's own default if absent
    #[arg(long, value_name = "BETA", allow_negative_numbers = true)]
    beta: Option<f64>,
    /// Any other field of the objective's configuration, such as label_smoothing=0.1
    #[arg(long, value_name = "FIELD=VALUE", value_parser = field_and_value)]
    set: Vec<(String, String)>,
    /// Steps of preference optimization [default: 200, or 80 with --data]
    #[arg(long, value_name = "N")]
    steps: Option<usize>,
    /// Steps of supervised fine-tuning before it [default: 400, or 240 with --data]
    #[arg(long, value_name = "N")]
    sft_steps: Option<usize>,
    /// Pairs in a step
    #[arg(long, value_name = "N", default_value_t = 32)]
    batch_size: usize,
    /// Pairs in a forward pass; changes memory and speed, not the result
    #[arg(long, value_name = "N", default_value_t = 8)]
    micro_batch_size: usize,
    /// Peak learning rate of preference optimization
    #[arg(long, value_name = "RATE", default_value_t = 1e-4)]
    learning_rate: f64,
    /// Peak learning rate of supervised fine-tuning
    #[arg(long, value_name = "RATE", default_value_t = 3e-3)]
    sft_learning_rate: f64,
    /// Most tokens of prompt and completion together; completions get at most half
    #[arg(long, value_name = "N", default_value_t = 192, value_parser = clap::value_parser!(u64).range(16..=65536))]
    max_length: u64,
    /// Size of the tokenizer's vocabulary
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u64).range(262..=1_000_000))]
    vocab_size: u64,
    /// Width of the model's hidden states, a multiple of 8
    #[arg(long, value_name = "N", default_value_t = 96, value_parser = clap::value_parser!(u64).range(8..=16_384))]
    hidden_size: u64,
    /// Number of the model's blocks
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=256))]
    layers: u64,
    /// Decides data, initial weights, order and samples: the same seed prints the same numbers
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Where the program runs: flex, or another backend that was compiled in
    #[arg(long, value_name = "DEVICE", default_value = "flex", value_parser = accordant::device::open)]
    device: Device,
    /// Where dpo.svg, dpo.metrics.jsonl and dpo.tokenizer.json go
    #[arg(long, value_name = "DIR", default_value = "target/plots")]
    out: PathBuf,
    /// A few small steps, to see that everything runs; claims nothing
    #[arg(long)]
    short: bool,
}

fn objectives() -> String {
    format!("The objective, by its name (docs/methods.md lists them): {}", Objective::names().join(", "))
}

fn field_and_value(text: &str) -> Result<(String, String), String> {
    let (field, value) = text.split_once('=').ok_or("expected FIELD=VALUE")?;
    Ok((field.to_owned(), value.to_owned()))
}

/// Everything that is decided before any file is read.
struct Plan {
    objective: Objective,
    truncation: Truncation,
    model: DecoderConfig,
    sft: TrainConfig,
    preference: TrainConfig,
}

impl Args {
    fn plan(&self) -> Result<Plan> {
        let mut options = Options::new();
        if let Some(beta) = self.beta {
            options = options.with("beta", beta);
        }
        for (field, value) in &self.set {
            options = options.with(field, value);
        }
        let real = !self.data.is_empty();
        let max_length = self.max_length as usize;
        let truncation = Truncation { max_completion_length: Some(max_length / 2), ..Truncation::keep_end(max_length) };
        truncation.validate()?;
        let steps = |given: Option<usize>, long, short| given.unwrap_or(if self.short { short } else { long });
        let train = |steps, rate| {
            let config = TrainConfig::new(steps, rate)
                .with_batch_size(self.batch_size)
                .with_micro_batch_size(self.micro_batch_size)
                .with_warmup_steps(steps / 10)
                .with_seed(self.seed);
            config.validate().map(|()| config)
        };
        let hidden_size = self.hidden_size as usize;
        let model = DecoderConfig::new(self.vocab_size as usize)
            .with_hidden_size(hidden_size)
            .with_num_layers(self.layers as usize)
            .with_mlp_size((hidden_size * 8 / 3).next_multiple_of(16));
        model.validate()?;
        Ok(Plan {
            objective: Objective::build(&self.objective, &options)?,
            truncation,
            model,
            sft: train(steps(self.sft_steps, if real { 240 } else { 400 }, 8), self.sft_learning_rate)?,
            preference: train(steps(self.steps, if real { 80 } else { 200 }, 8), self.learning_rate)?,
        })
    }
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
    let on_reject = if args.skip_malformed { OnReject::Skip } else { OnReject::StopIfMalformed };
    let source = if args.data.is_empty() {
        let size = match args.short {
            true => source::Size { train: 64, test: 32, prompts: 8 },
            false => source::Size { train: 4000, test: 600, prompts: 400 },
        };
        source::world(WorldConfig { seed: args.seed, ..WorldConfig::default() }, size)?
    } else {
        files::hh_rlhf(&args.data, &args.eval, on_reject)?
    };
    let tokenizer = Tokenizer::train(source.texts(), plan.model.vocab_size)?;
    let (mut train, test) = tokenize(&tokenizer, &source, &plan.truncation)?;

    let device = args.device.clone().autodiff();
    let plain = args.device.clone();
    let mut recorder = Recorder::new(Some(&args.out.join("dpo.metrics.jsonl")))?;
    let model_config = DecoderConfig { vocab_size: tokenizer.vocab_size(), ..plan.model.clone() };
    let model = model_config.init(args.seed, &device)?;
    println!("\nmodel: {} parameters, vocabulary {}", model.num_params(), tokenizer.vocab_size());
    let sft = train_sft(model, &train, &plan.sft, &device, &mut recorder)?;

    let frozen = sft.valid();
    if source.world.is_some() && !plan.objective.extras().is_empty() {
        responses::add(&mut train, &plan.objective.extras(), &frozen, &tokenizer, args.seed, &plain)?;
    }
    let reference = pair_logps(&frozen, &train, args.micro_batch_size, &plain)?;
    let (phase, config) = (args.objective.as_str(), &plan.preference);
    let policy = plan.objective.train(sft.clone(), &frozen, &train, config, phase, &mut recorder, &device)?;
    let first = recorder.curve(&format!("{}/loss", args.objective)).first().context("the first step was recorded")?.1;
    print!("\n{} loss at step 0: {first:.7}", args.objective);
    if STARTS_AT_LN_2.contains(&args.objective.as_str()) && plan.objective.needs_reference() {
        let error = (first - std::f64::consts::LN_2).abs();
        print!(", ln 2 within {error:.0e}");
        if error > 1e-6 {
            bail!("{} of a policy that equals its reference is {first}, not ln 2", args.objective);
        }
    }
    println!();

    let prompts = source.prompts(&tokenizer, &test)?;
    let run = evaluate::Run {
        sft: &sft.valid(),
        policy: &policy.valid(),
        tokenizer: &tokenizer,
        source: &source,
        prompts: &prompts,
        device: &plain,
        batch_size: args.micro_batch_size,
        seed: args.seed,
        objective: &args.objective,
    };
    let outcome = evaluate::compare(&run, &train, &reference, &test)?;
    println!("\n{outcome}");
    recorder.point("held-out accuracy", plan.preference.steps, outcome.held_out_accuracy())?;
    write_whole(&args.out.join("dpo.tokenizer.json"), tokenizer.to_json()?.as_bytes())?;
    figure::write(&args.out.join("dpo.svg"), &args.objective, &recorder, &outcome)?;
    recorder.finish()?;
    println!("\nwrote {}", args.out.join("dpo.svg").display());

    match outcome.win_rate() {
        Some(_) if args.short => println!("short run: the claim is not checked"),
        Some(_) if args.objective != "dpo" => println!("the claim is DPO's and not checked for {}", args.objective),
        Some(rate) if rate.low < 0.6 => bail!("the claim does not hold: win rate {rate}, its lower end is below 0.6"),
        Some(rate) => println!("the claim holds: win rate {rate}, its lower end is at least 0.6"),
        None => {}
    }
    Ok(())
}

fn tokenize(
    tokenizer: &Tokenizer,
    source: &source::Source,
    truncation: &Truncation,
) -> Result<(Vec<TokenPair>, Vec<TokenPair>)> {
    let split = |name: &str, pairs| -> Result<Vec<TokenPair>> {
        let (tokens, report) = tokenizer.pairs(pairs, truncation)?;
        println!("\n{name} tokens, at most {} of them:\n{report}", truncation.max_length);
        if tokens.is_empty() {
            bail!("no {name} pair is left after truncation to {} tokens", truncation.max_length);
        }
        Ok(tokens)
    };
    Ok((split("training", &source.train)?, split("held-out", &source.test)?))
}

/// Objectives whose loss is ln 2 where policy and reference agree.
const STARTS_AT_LN_2: [&str; 2] = ["dpo", "f_dpo"];

/// The model that this example trains.
type Model = Decoder;
