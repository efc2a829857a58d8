//! Models of who beats whom, from the features of strategies or from a table.

use accordant::{
    data::order::epoch_order,
    preference::{
        Comparisons, ItemReduction,
        general::{gpm::GpmConfig, pair_model::PairModelConfig, pair_model::Symmetrization},
        pairwise::{PairScores, PairwiseLoss},
        ranking::NewtonConfig,
    },
    train::schedule::warmup_cosine,
};
use anyhow::{Result, ensure};
use burn::{
    module::Module,
    nn::{Linear, LinearConfig},
    optim::{AdamWConfig, GradientsParams},
    tensor::{Device, Int, Tensor, TensorData, activation::silu},
};

/// What is trained.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// A score per strategy, without features.
    Table,
    /// A score that is linear in the features.
    Linear,
    /// A score by the network.
    Network,
    /// Embeddings of this many dimensions by the network, as they are (τ = 1) or of length 1 (τ = 0.1).
    Gpm { width: usize, unit: bool },
    /// A network that reads both strategies.
    Pair,
}

impl Kind {
    pub fn name(self) -> String {
        match self {
            Self::Table => "BT table".into(),
            Self::Linear => "BT linear".into(),
            Self::Network => "BT network".into(),
            Self::Gpm { width, unit: false } => format!("GPM {width}"),
            Self::Gpm { width, unit: true } => format!("GPM {width}, unit length"),
            Self::Pair => "pair network".into(),
        }
    }

    /// Whether each strategy has one number, whatever it plays against.
    pub fn is_scalar(self) -> bool {
        matches!(self, Self::Table | Self::Linear | Self::Network)
    }
}

/// Linear layers with SiLU between them.
#[derive(Module, Debug)]
struct Mlp {
    layers: Vec<Linear>,
}

impl Mlp {
    fn new(sizes: &[usize], device: &Device) -> Self {
        Self { layers: sizes.windows(2).map(|size| LinearConfig::new(size[0], size[1]).init(device)).collect() }
    }

    fn forward(&self, features: Tensor<2>) -> Tensor<2> {
        let (last, hidden) = self.layers.split_last().expect("a network has a layer");
        let hidden = hidden.iter().fold(features, |x, layer| silu(layer.forward(x)));
        last.forward(hidden)
    }
}

/// How networks are trained.
pub struct Training {
    pub steps: usize,
    pub batch: usize,
    pub learning_rate: f64,
    pub weight_decay: f32,
    pub seed: u64,
}

/// A trained network; all know the same features.
struct Network {
    kind: Kind,
    mlp: Mlp,
}

impl Network {
    /// The pairs' scores, for the loss.
    fn pairs(&self, features: &Tensor<2>, pairs: &[[usize; 2]]) -> Result<PairScores> {
        let side = |at: usize| {
            let items: Vec<i64> = pairs.iter().map(|pair| pair[at] as i64).collect();
            Tensor::<1, Int>::from_data(TensorData::from(items.as_slice()), &features.device())
        };
        let (first, second) = (side(0), side(1));
        // Two outputs and their difference: kernels dislike a single one.
        let logit =
            |two: Tensor<2>| -> Tensor<1> { (two.clone().narrow(1, 0, 1) - two.narrow(1, 1, 1)).squeeze_dim(1) };
        if self.kind == Kind::Pair {
            let (a, b) = (features.clone().select(0, first), features.clone().select(0, second));
            let both = |a: &Tensor<2>, b: &Tensor<2>| Tensor::cat(vec![a.clone(), b.clone()], 1);
            let logits = logit(self.mlp.forward(Tensor::cat(vec![both(&a, &b), both(&b, &a)], 0)));
            let n = pairs.len();
            return Ok(PairScores::new(logits.clone().narrow(0, 0, n), logits.narrow(0, n, n))?);
        }
        // Every strategy once, not once for each of its pairs.
        let all = self.mlp.forward(features.clone());
        Ok(match self.kind {
            Kind::Gpm { unit, .. } => GpmConfig::new().with_normalize(unit).init()?.pairs(
                all.clone().select(0, first),
                all.select(0, second),
                None,
            )?,
            _ => {
                let scores = logit(all);
                PairScores::new(scores.clone().select(0, first), scores.select(0, second))?
            }
        })
    }

    fn loss(&self) -> Result<Box<dyn PairwiseLoss>> {
        Ok(match self.kind {
            Kind::Gpm { unit, .. } => Box::new(GpmConfig::new().with_temperature(if unit { 0.1 } else { 1.0 }).init()?),
            Kind::Pair => Box::new(PairModelConfig::new().with_symmetrization(Symmetrization::Logit).init()?),
            _ => Box::new(accordant::preference::pairwise::bradley_terry::BradleyTerryConfig::new().init()?),
        })
    }
}

/// Leads of the first of each pair over the second, by whom a model was trained on.
pub struct Leads {
    network: Option<(Network, Tensor<2>)>,
    scores: Vec<f64>,
}

impl Leads {
    pub fn of(&self, pairs: &[[usize; 2]]) -> Result<Vec<f64>> {
        let Some((network, features)) = &self.network else {
            return Ok(pairs.iter().map(|&[a, b]| self.scores[a] - self.scores[b]).collect());
        };
        let mut leads = Vec::with_capacity(pairs.len());
        for chunk in pairs.chunks(8192) {
            leads.extend(network.pairs(features, chunk)?.differences().try_to_vec_as::<f64>()?);
        }
        Ok(leads)
    }
}

/// Trains a model on pairs `[winner, loser]` of strategies; `progress` is called after every step.
pub fn train(
    kind: Kind,
    features: &[Vec<f64>],
    pairs: &[[usize; 2]],
    training: &Training,
    mut progress: impl FnMut(),
) -> Result<Leads> {
    if kind == Kind::Table {
        let mut judged = Comparisons::new(features.len());
        pairs.iter().try_for_each(|&[winner, loser]| judged.push_win(winner, loser, 1.0))?;
        let ranking = NewtonConfig::new().with_prior(1.0).fit(&judged)?;
        ensure!(ranking.report.converged, "the table has not converged: {:?}", ranking.report);
        return Ok(Leads { network: None, scores: ranking.scores });
    }
    let device = Device::flex().autodiff();
    device.seed(training.seed);
    let width = features[0].len();
    let sizes = match kind {
        Kind::Linear => vec![width, 2],
        Kind::Gpm { width: out, .. } => vec![width, 128, 128, out],
        Kind::Pair => vec![2 * width, 128, 128, 2],
        _ => vec![width, 128, 128, 2],
    };
    let mut network = Network { kind, mlp: Mlp::new(&sizes, &device) };
    let table = |device: &Device| {
        let values: Vec<f32> = features.iter().flatten().map(|x| *x as f32).collect();
        Tensor::<2>::from_data(TensorData::new(values, [features.len(), width]), device)
    };
    let (known, loss) = (table(&device), network.loss()?);
    let mut optimizer = AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(training.weight_decay).init();
    let (mut order, mut epoch) = (Vec::new(), 0);
    for step in 0..training.steps {
        while order.len() < training.batch {
            order.extend(epoch_order(pairs.len(), training.seed, epoch));
            epoch += 1;
        }
        let batch: Vec<[usize; 2]> = order.drain(..training.batch).map(|at| pairs[at]).collect();
        let nll = loss.forward(&network.pairs(&known, &batch)?)?.reduce(ItemReduction::Mean)?;
        let gradients = GradientsParams::from_grads(nll.loss.backward(), &network.mlp);
        let rate = training.learning_rate * warmup_cosine(step, training.steps, 0, 0.0);
        network.mlp = optimizer.step(rate, network.mlp, gradients);
        progress();
    }
    let plain = Device::flex();
    network.mlp = network.mlp.valid();
    Ok(Leads { network: Some((network, table(&plain))), scores: Vec::new() })
}
