//! Can I write a loss of my own this afternoon, and know that it is right?
//!
//! A squared hinge in some thirty lines, with the laws of its family, a check of its gradient and a training run on the
//! synthetic world for free. Then the same loss with a planted mistake, and what the laws say about it. The run fails if
//! the right loss breaks a law, if the wrong one breaks none, or if training does not rank the pairs. Takes some seconds;
//! docs/new-loss.md walks through it.
//!
//! `cargo run --release --example new_loss`

use accordant::{
    data::{
        tokenize::Tokenizer,
        tokens::Truncation,
        world::{World, WorldConfig},
    },
    lm::decoder::DecoderConfig,
    objective::Objective,
    objectives::{
        Result,
        pairwise::{PairBatch, PairOutput, PairwiseObjective},
    },
    train::{Recorder, TrainConfig, train_sft},
};
use accordant_laws::{Property, Subject, check, pairwise_loss};
use anyhow::{Context, bail, ensure};
use burn::{module::Module, tensor::Device};

/// `max(0, 1 − h)²` of DPO's margin `h = β (d_w − d_l)`.
#[derive(Debug, Clone, Copy)]
struct SquaredHinge {
    beta: f64,
    /// The planted mistake: the weight of a pair belongs to the mean, and here it is in the loss, too.
    weighs_twice: bool,
}

impl PairwiseObjective for SquaredHinge {
    fn forward(&self, batch: &PairBatch) -> Result<PairOutput> {
        let h = batch.times_beta(batch.log_ratios("squared_hinge")?.difference(), self.beta);
        // Margins and doubtful labels of the batch come with it.
        let mut losses = batch.margin_losses(h, |h| (-h + 1.0).clamp_min(0.0).square());
        if self.weighs_twice {
            losses = losses * batch.weights();
        }
        Ok(PairOutput::new(losses, batch, self.beta))
    }
}

fn main() -> anyhow::Result<()> {
    let right = SquaredHinge { beta: 0.1, weighs_twice: false };
    let report =
        check(&subject("squared hinge", &pairwise_loss!(right))).map_err(|broken| anyhow::anyhow!("{broken}"))?;
    println!("{report}\n");

    let wrong = SquaredHinge { weighs_twice: true, ..right };
    match check(&subject("squared hinge, weighed twice", &pairwise_loss!(wrong))) {
        Ok(_) => bail!("the laws let a planted mistake pass"),
        Err(broken) => println!("{broken}\n"),
    }
    train(right)
}

/// What is claimed of the loss, beside what every loss on pairs must do.
fn subject<'a>(name: &str, loss: &'a dyn accordant_laws::Loss) -> Subject<'a> {
    Subject::pairwise(name, loss)
        .on(Device::flex())
        .declare(Property::ShiftInvariant)
        .declare(Property::DecreasingInChosen)
        .declare(Property::IncreasingInRejected)
        .declare(Property::ConvexInMargin)
        .declare(Property::AtReference(1.0))
        .declare(Property::LowerBound(0.0))
        .declare(Property::LabelProbMixes)
        .declare(Property::MarginShifts { beta: 0.1 })
}

/// The training loop, the logs and the data take any objective.
fn train(loss: SquaredHinge) -> anyhow::Result<()> {
    let world = World::new(WorldConfig::default())?;
    let pairs = world.train_pairs(400);
    let texts = pairs.iter().flat_map(|pair| [&pair.prompt, &pair.chosen, &pair.rejected]);
    let texts: Vec<String> =
        texts.flat_map(|text| text.as_messages().unwrap_or_default()).map(|message| message.content.clone()).collect();
    let tokenizer = Tokenizer::train(&texts, 512)?;
    let (pairs, _) = tokenizer.pairs(&pairs, &Truncation::keep_end(128))?;
    let device = Device::flex().autodiff();
    let model = DecoderConfig::new(tokenizer.vocab_size()).with_hidden_size(32).with_mlp_size(64).init(0, &device)?;
    let sft = train_sft(model, &pairs, &TrainConfig::new(100, 5e-3), &device, &mut ())?;
    let mut recorder = Recorder::new(None)?;
    let config = TrainConfig::new(60, 1e-3);
    let objective = Objective::Pairs(Box::new(loss));
    objective.train(sft.clone(), &sft.valid(), &pairs, &config, "squared_hinge", &mut recorder, &device)?;
    let last = |curve: &str| -> anyhow::Result<f64> {
        let points = recorder.curve(&format!("squared_hinge/{curve}"));
        let tail = &points[points.len() - 10..];
        Ok(tail.iter().map(|point| point.1).sum::<f64>() / tail.len() as f64)
    };
    let first = recorder.curve("squared_hinge/loss").first().context("a first step")?.1;
    println!("\n{:<28} {:>8} {:>14}", "training", "step 0", "last 10 steps");
    println!("{:<28} {:>8.3} {:>14.3}", "loss", first, last("loss")?);
    println!("{:<28} {:>8} {:>14.3}", "reward accuracy", "-", last("rewards/accuracies")?);
    ensure!((first - 1.0).abs() < 1e-5, "a policy that equals its reference loses 1, not {first}");
    ensure!(last("rewards/accuracies")? > 0.6, "training does not rank the pairs");
    println!("the claim holds: the right loss obeys, the wrong one is caught, and training ranks the pairs");
    Ok(())
}
