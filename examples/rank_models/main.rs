//! Which of 59 language models does a crowd prefer, how sure is that, and is it worth knowing who judged?
//!
//! Real judgements (LLMFAO: 8931 by 124 annotators, 39 % of them ties), or a seeded crowd where they are absent. Expect
//! intervals of neighbors to overlap nearly everywhere; Davidson's and Rao and Kupper's models of ties to be even;
//! effects of annotators to raise the held-out log-likelihood by about 0.09 nats a judgement where the annotator has
//! been seen, and not to help with new ones; reliabilities of annotators (Crowd-BT) to gain about 0.05 on decided
//! judgements. Penalties are fixed beforehand. The run fails below the bars. Takes some fifteen seconds of one core,
//! `--short` five.
//!
//! `cargo run --release --example rank_models`

mod protocol;
mod report;
mod world;

use std::path::PathBuf;

use accordant::{
    preference::ranking::{BootstrapConfig, CrowdBtConfig, NewmanConfig, NewtonConfig, TieModel, Unit, world::Crowd},
    train::files::writable_folder,
};
use anyhow::Result;
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};

use protocol::{DRAWS, Judgements, Model, SEED, Split};
use report::{Compared, Table};

const FOLDS: usize = 10;

/// A ranking of language models by a crowd.
#[derive(Parser)]
struct Args {
    /// Where rank_models.svg goes
    #[arg(long, value_name = "DIR", default_value = "target/plots")]
    out: PathBuf,
    /// Only judgements are held out, and there are fewer draws
    #[arg(long)]
    short: bool,
}

fn main() -> Result<()> {
    let args = Args::parse();
    writable_folder(&args.out)?;
    let (data, crowd) = load()?;
    let table = ranked(&data, if args.short { 200 } else { 1000 })?;
    table.print(&data);
    for model in [TieModel::Davidson, TieModel::RaoKupper] {
        let fit = NewtonConfig::new().with_prior(0.1).fit_link(&data.all.wins(), model.link())?;
        let tie = fit.chances(model.link(), 0, 0)?[1];
        println!("{model:?}: equal models tie in {:.1} % of all judgements", 100.0 * tie);
    }

    println!(
        "\nprotocol: {FOLDS} folds, seed {SEED}, 95 % intervals over annotators ({DRAWS} draws)\nridges: scores 0.1, \
         annotators 1, prompt x model 5, prompt ties 1; Crowd-BT Beta(8, 2)"
    );
    let splits = if args.short { &Split::ALL[..1] } else { &Split::ALL[..] };
    let mut compared = Vec::new();
    for &split in splits {
        compared.push(compare(&data, split, &Model::of_ties(), "Davidson", crowd.as_ref())?);
        compared.push(compare(&data.decided()?, split, &Model::of_decided(), "Bradley-Terry", None)?);
    }
    let reliable = CrowdBtConfig::new().fit(&data.decided()?.all)?;
    let [doubtful, contrary] = [0.6, 0.5].map(|level| reliable.below(level));
    println!("\nCrowd-BT: {doubtful} annotators have a reliability below 0.6, {contrary} of them below 0.5");
    report::plot(&table, &compared, &args.out.join("rank_models.svg"))?;
    report::check(&compared, crowd.is_none())
}

/// The judgements; and the crowd, if it is a seeded one.
fn load() -> Result<(Judgements, Option<Crowd>)> {
    let shared = std::env::var_os("ACCORDANT_SHARED").map_or_else(|| PathBuf::from("../shared"), PathBuf::from);
    let path = shared.join("data/llmfao/llmfao.csv");
    if path.exists() {
        return Ok((Judgements::read(&path).map_err(anyhow::Error::from_boxed)?, None));
    }
    println!("SKIPPED: {} is not there; a seeded crowd instead", path.display());
    let (data, crowd) = world::crowd()?;
    Ok((data, Some(crowd)))
}

fn progress(steps: usize, message: &str) -> Result<ProgressBar> {
    let style = ProgressStyle::with_template("{msg:<28} {bar:30} {pos}/{len}, {eta} left")?;
    Ok(ProgressBar::new(steps as u64).with_style(style).with_message(message.to_owned()))
}

/// Ratings, with intervals by refits of drawn annotators: judgements of one annotator go together.
fn ranked(data: &Judgements, draws: u32) -> Result<Table> {
    let ranking = NewmanConfig::new().fit(&data.all)?;
    let bar = progress(draws as usize, "bootstrap")?;
    let config = BootstrapConfig::new().with_replicates(draws).with_unit(Unit::Judges).with_seed(SEED);
    let refits = config.run(&data.all, |table| NewmanConfig::new().fit_matrix(table), |_| bar.inc(1))?;
    bar.finish_and_clear();
    println!(
        "protocol: {} judgements of {} models by {} annotators, ties count half; 95 % intervals: {draws} draws of \
         annotators, seed {SEED}",
        data.all.len(),
        data.items.len(),
        data.num_annotators(),
    );
    Table::new(data, &ranking, &refits)
}

/// How well models foretell what was held out; the truth, where it is known, is one of them.
fn compare(
    data: &Judgements,
    split: Split,
    models: &[(&'static str, Model)],
    baseline: &str,
    truth: Option<&Crowd>,
) -> Result<Compared> {
    let parts = split.parts(data, FOLDS)?;
    let bar = progress(models.len() * FOLDS, split.name())?;
    let mut scores = Vec::new();
    for (name, model) in models {
        scores.push((*name, model.held_out(data, &parts, || bar.inc(1))?));
    }
    bar.finish_and_clear();
    if let Some(crowd) = truth {
        let records = data.all.records().iter().zip(data.annotators());
        let of = records.map(|(record, &judge)| crowd.log_prob(record.first, record.second, record.outcome, judge));
        scores.push(("the truth", of.collect::<Result<_, _>>()?));
    }
    let compared = Compared::new(data, split, scores, baseline)?;
    compared.print();
    Ok(compared)
}
