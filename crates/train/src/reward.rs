//! Reward models: any loss of judged pairs.

use accordant_data::{
    collate::{Padding, Sequence, TokenBatch},
    tokens::TokenPair,
};
use accordant_lm::reward_head::RewardModel;
use accordant_ops::check_domain;
use accordant_preference::{
    ItemReduction, Nll,
    pairwise::{PairScores, PairwiseLoss},
};
use burn::{module::Module, tensor::Device};

use crate::{
    Error, Observer, Result, TrainConfig,
    columns::{check_weight, pick, vector},
    pairwise::{check_margins, row_len},
    step::{Loop, Micro, Records, run_steps},
};

/// Pairs to train a reward model on, and the loss.
#[derive(Clone, Copy)]
pub struct RewardTask<'a> {
    /// The pairs; both responses follow the same prompt. Their weights, margins and label probabilities are read.
    pub pairs: &'a [TokenPair],
    /// The loss of the scores. Parameters of its own (how likely ties are, say) stay as they are.
    pub loss: &'a dyn PairwiseLoss,
    /// What the reports call this run.
    pub phase: &'a str,
    /// An autodiff device, where the model lives.
    pub device: &'a Device,
}

impl RewardTask<'_> {
    /// The loss of the pairs numbered `rows`, and the number of real tokens read.
    ///
    /// # Errors
    /// Token ids outside the vocabulary; a domain error when a pair does not exist; what the loss refuses.
    pub fn forward<M: RewardModel>(&self, model: &M, rows: &[usize]) -> Result<(Nll, usize)> {
        let picked = pick(self.pairs, rows)?;
        let side = |response: fn(&TokenPair) -> &[u32]| {
            picked.iter().map(move |pair| Sequence { prompt: &pair.prompt, completion: response(pair) })
        };
        let sequences: Vec<_> = side(|pair| &pair.chosen).chain(side(|pair| &pair.rejected)).collect();
        let tokens = TokenBatch::new(&sequences, model.vocab_size(), Padding::default(), self.device)?;
        let rewards = model.rewards(tokens.ids.clone(), tokens.attention_mask.clone())?;
        let n = rows.len();
        let mut scores = PairScores::new(rewards.clone().narrow(0, 0, n), rewards.clone().narrow(0, n, n))?;
        let column = |value: &dyn Fn(&TokenPair) -> f64| {
            vector(picked.iter().map(|pair| value(pair)), self.device).cast(rewards.dtype())
        };
        scores = scores.with_weights(column(&|pair| pair.weight))?;
        if picked.iter().any(|pair| pair.label_prob.is_some()) {
            scores = scores.with_targets(column(&|pair| pair.label_prob.unwrap_or(1.0)))?;
        }
        if picked.iter().any(|pair| pair.margin.is_some()) {
            check_margins(picked.iter().copied())?;
            scores = scores.with_margins(column(&|pair| pair.margin.unwrap_or_default()))?;
        }
        let mut nll = self.loss.forward(&scores)?;
        // By the names that the loops of policies use, too.
        for (name, of_loss) in [("rewards/accuracies", "accuracy"), ("rewards/margins", "mean_margin")] {
            if let Some(values) = nll.metric(of_loss).map(|(values, _)| values.clone()) {
                nll = nll.with_metric(name, values)?;
            }
        }
        nll = nll.with_metric("rewards/chosen", scores.first())?.with_metric("rewards/rejected", scores.second())?;
        Ok((nll, tokens.num_tokens))
    }

    fn check(&self) -> Result<()> {
        if self.pairs.is_empty() {
            return Err(Error::NoRecords { name: "pairs" });
        }
        check_margins(self.pairs.iter())?;
        for pair in self.pairs {
            check_weight(pair.weight, pair.label_prob)?;
            let margin = pair.margin.unwrap_or(0.0);
            check_domain(margin.is_finite(), "margin", "finite", margin)?;
        }
        Ok(())
    }
}

/// Trains a reward model on pairs by any loss of their scores.
///
/// Reports the means of [`Nll::means`] (`accuracy`, `mean_margin`, `mean_score` and what the loss adds), the mean rewards
/// `rewards/chosen` and `rewards/rejected`, the first two as `rewards/accuracies` and `rewards/margins`, too, and the weighted
/// mean `loss`, under the task's phase, each step's before its update. Preferences leave the level of rewards open; the
/// loss's `centering`, where it has one, keeps it near 0.
///
/// # Errors
/// [`Error::NoRecords`], [`Error::MarginMixed`], [`Error::NotAutodiff`], domain errors of `config` and of the pairs' weights,
/// margins and label probabilities, token ids outside the vocabulary, what the loss refuses, and [`Error::NotFinite`] before
/// a step that would spoil the parameters.
pub fn train_rewards<M: Module + RewardModel>(
    model: M,
    task: &RewardTask<'_>,
    config: &TrainConfig,
    observer: &mut dyn Observer,
) -> Result<M> {
    task.check()?;
    let lens = task.pairs.iter().map(row_len).collect();
    let records = Records { lens, id: &|index| task.pairs[index].id.clone() };
    run_steps(model, &records, config, task.phase, observer, RewardLoop { task })
}

struct RewardLoop<'a> {
    task: &'a RewardTask<'a>,
}

impl<M: RewardModel> Loop<M> for RewardLoop<'_> {
    fn forward(&mut self, model: &M, rows: &[usize]) -> Result<Micro> {
        let (nll, tokens) = self.task.forward(model, rows)?;
        let reduced = nll.reduce(ItemReduction::Mean)?;
        let mut means = nll.means();
        let sum = |tensor: &burn::tensor::Tensor<1>| tensor.clone().into_scalar::<f64>();
        means.add("loss", sum(&reduced.numerator), sum(&reduced.denominator));
        Ok(Micro { reduced, means, tokens })
    }
}

/// Rewards of responses to their prompts, `batch_size` at a time, in their order.
///
/// Pass `model.valid()` of a model in training and a plain device, so that no graph is kept.
///
/// # Errors
/// Token ids outside the vocabulary; a domain error when `batch_size` is 0.
pub fn rewards<M: RewardModel>(
    model: &M,
    responses: &[Sequence<'_>],
    batch_size: usize,
    device: &Device,
) -> Result<Vec<f64>> {
    check_domain(batch_size > 0, "batch_size", "at least 1", 0.0)?;
    let mut all = vec![0.0; responses.len()];
    // Rows of like length waste little padding.
    let mut order: Vec<usize> = (0..responses.len()).collect();
    order.sort_by_key(|row| responses[*row].prompt.len() + responses[*row].completion.len());
    for rows in order.chunks(batch_size) {
        let picked: Vec<_> = rows.iter().map(|row| responses[*row]).collect();
        let tokens = TokenBatch::new(&picked, model.vocab_size(), Padding::default(), device)?;
        let rewards = model.rewards(tokens.ids, tokens.attention_mask)?;
        let rewards = rewards.try_into_vec_as::<f64>().expect("the device returns what it has computed");
        rows.iter().zip(rewards).for_each(|(&row, reward)| all[row] = reward);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use accordant_lm::{
        decoder::{Decoder, DecoderConfig},
        reward_head::{RewardHeadConfig, RewardNet},
    };
    use accordant_preference::pairwise::{
        bradley_terry::BradleyTerryConfig,
        surrogate::{Surrogate, SurrogateConfig},
    };

    use super::*;
    use crate::StepReport;

    /// Responses that end with 1 are preferred to those that end with 2.
    fn pairs() -> Vec<TokenPair> {
        let pair = |i: u32| TokenPair::new(format!("p{i}"), vec![3, 3 + i % 3], vec![4, 1], vec![5 + i % 2, 4, 2]);
        (0..8).map(pair).collect()
    }

    fn model(device: &Device) -> RewardNet<Decoder> {
        let trunk = DecoderConfig::new(7).with_hidden_size(16).with_num_heads(2).with_mlp_size(32).with_num_layers(1);
        let head = RewardHeadConfig::new(16).with_init_std(0.1).init(2, device).unwrap();
        RewardNet::new(trunk.init(1, device).unwrap(), head)
    }

    fn task<'a>(pairs: &'a [TokenPair], loss: &'a dyn PairwiseLoss, device: &'a Device) -> RewardTask<'a> {
        RewardTask { pairs, loss, phase: "reward", device }
    }

    struct Curve(Vec<f64>);

    impl Observer for Curve {
        fn step(&mut self, report: &StepReport<'_>) -> Result<()> {
            self.0.push(report.means.mean("loss").unwrap());
            Ok(())
        }
    }

    #[test]
    fn a_reward_model_learns_what_is_preferred_by_any_loss() {
        let device = Device::flex().autodiff();
        let pairs = pairs();
        let losses: [&dyn PairwiseLoss; 2] = [
            &BradleyTerryConfig::new().init().unwrap(),
            &SurrogateConfig::new(Surrogate::Hinge { margin: 1.0 }).init().unwrap(),
        ];
        for loss in losses {
            let mut curve = Curve(Vec::new());
            let config = TrainConfig::new(40, 1e-2).with_batch_size(8);
            let trained = train_rewards(model(&device), &task(&pairs, loss, &device), &config, &mut curve).unwrap();
            assert_eq!(curve.0.len(), 40);
            assert!(curve.0[39] < 0.3 * curve.0[0], "{:?}", curve.0);
            let plain = Device::flex();
            let side = |response: fn(&TokenPair) -> &[u32]| -> Vec<f64> {
                let all: Vec<_> =
                    pairs.iter().map(|pair| Sequence { prompt: &pair.prompt, completion: response(pair) }).collect();
                rewards(&trained.valid(), &all, 3, &plain).unwrap()
            };
            let (chosen, rejected) = (side(|pair| &pair.chosen), side(|pair| &pair.rejected));
            assert!(chosen.iter().zip(&rejected).all(|(chosen, rejected)| chosen > rejected));
        }
    }

    #[test]
    fn any_split_into_micro_batches_gives_the_same_update() {
        let device = Device::flex().autodiff();
        let mut pairs = pairs();
        for (i, pair) in pairs.iter_mut().enumerate() {
            pair.weight = i as f64;
        }
        let loss = BradleyTerryConfig::new().init().unwrap();
        let run = |micro: usize| {
            let config = TrainConfig::new(3, 1e-2).with_batch_size(8).with_micro_batch_size(micro);
            let mut curve = Curve(Vec::new());
            train_rewards(model(&device), &task(&pairs, &loss, &device), &config, &mut curve).unwrap();
            curve.0
        };
        for (one, all) in run(1).iter().zip(run(8)) {
            assert!((one - all).abs() < 1e-5, "{one} {all}");
        }
    }

    #[test]
    fn label_probabilities_weights_and_margins_reach_the_loss() {
        let device = Device::flex().autodiff();
        let loss = BradleyTerryConfig::new().init().unwrap();
        let model = model(&device);
        let mean = |change: &dyn Fn(&mut TokenPair)| {
            let mut pairs = pairs();
            pairs.iter_mut().for_each(change);
            let (nll, tokens) = task(&pairs, &loss, &device).forward(&model, &[0, 1, 2]).unwrap();
            assert_eq!(tokens, 3 * 4 + 3 * 5);
            nll.means()
        };
        let plain = mean(&|_| {}).mean("nll").unwrap();
        assert_eq!(mean(&|pair| pair.label_prob = Some(0.25)).mean("mean_target"), Some(0.25));
        assert!(mean(&|pair| pair.margin = Some(2.0)).mean("nll").unwrap() > plain);
        assert_eq!(
            mean(&|pair| pair.weight = f64::from(u8::from(pair.id == "p1"))).mean("effective_weight"),
            Some(1.0)
        );
    }

    #[test]
    fn a_step_reports_the_rewards_and_the_loss_that_they_make() {
        let device = Device::flex().autodiff();
        let (pairs, model) = (pairs(), model(&device));
        let centered = BradleyTerryConfig::new().with_centering(0.01).init().unwrap();
        struct First(Vec<f64>);
        impl Observer for First {
            fn step(&mut self, report: &StepReport<'_>) -> Result<()> {
                let names = [
                    "loss",
                    "rewards/chosen",
                    "rewards/rejected",
                    "mean_margin",
                    "rewards/margins",
                    "accuracy",
                    "rewards/accuracies",
                    "mean_score",
                ];
                self.0 = names.map(|name| report.means.mean(name).unwrap()).to_vec();
                assert_eq!((report.phase, report.tokens), ("reward", 8 * 4 + 8 * 5));
                Ok(())
            }
        }
        let mut first = First(Vec::new());
        let config = TrainConfig::new(1, 1e-2).with_batch_size(8).with_micro_batch_size(3);
        train_rewards(model.clone(), &task(&pairs, &centered, &device), &config, &mut first).unwrap();
        let side = |response: fn(&TokenPair) -> &[u32]| -> Vec<f64> {
            let all: Vec<_> =
                pairs.iter().map(|pair| Sequence { prompt: &pair.prompt, completion: response(pair) }).collect();
            rewards(&model, &all, 5, &device).unwrap()
        };
        let (chosen, rejected) = (side(|pair| &pair.chosen), side(|pair| &pair.rejected));
        let mean =
            |of: &dyn Fn(f64, f64) -> f64| chosen.iter().zip(&rejected).map(|(a, b)| of(*a, *b)).sum::<f64>() / 8.0;
        let expected = [
            mean(&|a, b| (b - a).exp().ln_1p() + 0.01 * (a + b).powi(2)),
            mean(&|a, _| a),
            mean(&|_, b| b),
            mean(&|a, b| a - b),
            mean(&|a, b| a - b),
            mean(&|a, b| f64::from(u8::from(a > b))),
            mean(&|a, b| f64::from(u8::from(a > b))),
            mean(&|a, b| f64::midpoint(a, b)),
        ];
        for (got, expected) in first.0.iter().zip(expected) {
            assert!((got - expected).abs() < 1e-5, "{got} is not {expected}");
        }
    }

    #[test]
    fn centering_keeps_the_level_of_rewards_near_0() {
        let device = Device::flex().autodiff();
        let pairs = pairs();
        let level = |centering: f64| {
            let loss = BradleyTerryConfig::new().with_centering(centering).init().unwrap();
            let config = TrainConfig::new(30, 1e-2).with_batch_size(8);
            struct Last(f64);
            impl Observer for Last {
                fn step(&mut self, report: &StepReport<'_>) -> Result<()> {
                    self.0 = report.means.mean("mean_score").unwrap();
                    Ok(())
                }
            }
            let mut last = Last(f64::NAN);
            train_rewards(model(&device), &task(&pairs, &loss, &device), &config, &mut last).unwrap();
            last.0.abs()
        };
        let (free, held) = (level(0.0), level(1.0));
        assert!(held < 0.05 && free > 2.0 * held, "{free} {held}");
    }

    #[test]
    fn what_cannot_be_trained_on_is_an_error() {
        let device = Device::flex().autodiff();
        let loss = BradleyTerryConfig::new().init().unwrap();
        let config = TrainConfig::new(1, 1e-2);
        let text = |pairs: &[TokenPair], device: &Device| {
            train_rewards(model(device), &task(pairs, &loss, device), &config, &mut ()).unwrap_err().to_string()
        };
        assert_eq!(text(&[], &device), "`pairs`: expected at least one record, got none");
        let with = |change: &dyn Fn(&mut TokenPair)| {
            let mut pairs = pairs();
            change(&mut pairs[1]);
            pairs
        };
        assert!(text(&with(&|pair| pair.weight = -1.0), &device).starts_with("`weight`"));
        assert!(text(&with(&|pair| pair.label_prob = Some(2.0)), &device).starts_with("`label_prob`"));
        assert!(text(&with(&|pair| pair.margin = Some(1.0)), &device).contains("record `p1` has a margin"));
        let mut all = pairs();
        all.iter_mut().for_each(|pair| pair.margin = Some(f64::NAN));
        assert!(text(&all, &device).starts_with("`margin`"));
        assert!(text(&with(&|pair| pair.chosen = vec![7]), &device).contains('7'));
        assert!(matches!(
            train_rewards(model(&Device::flex()), &task(&pairs(), &loss, &Device::flex()), &config, &mut ()),
            Err(Error::NotAutodiff)
        ));
        assert!(rewards(&model(&device), &[], 0, &device).unwrap_err().to_string().starts_with("`batch_size`"));
    }
}
