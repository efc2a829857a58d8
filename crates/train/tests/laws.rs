//! What must hold of a loop whatever the objective: splits, padding, order and batch size change nothing but rounding,
//! and what is wrong is said before a step spoils the parameters.

use accordant_data::{
    collate::{PadSide, Padding},
    tokens::{TokenList, TokenPair, TokenSingle},
};
use accordant_lm::decoder::{Decoder, DecoderConfig};
use accordant_objectives::{
    Column, Domain, Options, State, listwise,
    pairwise::{self, Extra, PairBatch, PairOutput, PairwiseObjective, dpo::DpoConfig},
    unpaired::{self, UnpairedObjective},
};
use accordant_train::{
    Error, ListTask, Observer, PairLogpsCache, PairTask, Recorder, Result, SingleContext, SingleTask, StepContext,
    TrainConfig, list_logps, pair_logps, single_logps,
    step::{Accumulation, MeanGradient},
    train_lists, train_pairs, train_sft, train_singles,
};
use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    optim::GradientsParams,
    tensor::{Device, Tensor},
};

const VOCAB: usize = 23;

/// All pairs: the step that every split is a split of.
const ALL: [usize; 8] = [0, 1, 2, 3, 4, 5, 6, 7];

/// Eight pairs of unequal lengths and weights, with all that any method reads; the texts follow a fixed rule, so nothing
/// here is random.
fn pairs() -> Vec<TokenPair> {
    let ids = |start: u32, len: u32| (0..len).map(|i| (start * 7 + i * i + 3 * i) % 22 + 1).collect::<Vec<u32>>();
    let methods: Vec<_> = pairwise::methods().iter().map(|m| (m.build)(&Options::new()).unwrap()).collect();
    let columns: Vec<_> = methods.iter().flat_map(|method| method.columns()).collect();
    let extras: Vec<_> = methods.iter().flat_map(|method| method.extras()).collect();
    let value = |domain, n: u32| match domain {
        Domain::Real => f64::from(n) * 0.3 - 1.0,
        Domain::Unit => f64::from(n % 5) / 4.0,
        Domain::Binary | Domain::Id => f64::from(n % 2),
    };
    (0..8)
        .map(|n| TokenPair {
            columns: columns.iter().map(|column| (column.name.to_owned(), value(column.domain, n))).collect(),
            extras: extras.iter().zip(80..).map(|(extra, at)| (extra.name.to_owned(), ids(n + at, n % 4))).collect(),
            weight: 1.0 + f64::from(n % 3),
            ..TokenPair::new(
                format!("pair {n}"),
                ids(n, 3 + n % 4),
                ids(n + 30, 2 + (5 * n) % 7),
                ids(n + 60, 1 + (3 * n) % 8),
            )
        })
        .collect()
}

fn device() -> Device {
    Device::flex().autodiff()
}

/// A model that is not its own reference: weights large enough that pairs differ.
fn model(seed: u64) -> Decoder {
    DecoderConfig::new(VOCAB).with_hidden_size(32).with_mlp_size(48).with_init_std(0.15).init(seed, &device()).unwrap()
}

fn reference(pairs: &[TokenPair]) -> PairLogpsCache {
    pair_logps(&model(1).valid(), pairs, 3, &Device::flex()).unwrap()
}

fn dpo() -> Box<dyn PairwiseObjective> {
    pairwise::build("dpo", &Options::new().with("beta", 0.5)).unwrap()
}

fn train(
    start: Decoder,
    reference: Option<&PairLogpsCache>,
    pairs: &[TokenPair],
    objective: &dyn PairwiseObjective,
    config: &TrainConfig,
    observer: &mut dyn Observer,
) -> Result<Decoder> {
    let task = PairTask { pairs, reference, objective, phase: "dpo", device: &device() };
    train_pairs(start, &task, config, observer)
}

fn losses(policy: &Decoder, rows: &[usize], padding: Padding, objective: &dyn PairwiseObjective) -> Vec<f64> {
    let pairs = pairs();
    let (reference, device) = (reference(&pairs), device());
    let task = PairTask { pairs: &pairs, reference: Some(&reference), objective, phase: "dpo", device: &device };
    let mut context = task.context(&ALL, State::default()).unwrap();
    let (output, _) = task.forward(policy, rows, padding, &mut context).unwrap();
    output.losses.try_to_vec_as::<f64>().unwrap()
}

struct Flatten<'a>(&'a GradientsParams, Vec<f32>);

impl ModuleVisitor for Flatten<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let gradient = self.0.get::<D>(param.id).expect("every parameter learns");
        self.1.extend(gradient.try_to_vec_as::<f32>().unwrap());
    }
}

/// Sums over micro-batches of `size`: the mean's gradient, flattened.
fn accumulate(policy: &Decoder, size: usize, objective: &dyn PairwiseObjective) -> (MeanGradient, Vec<f32>) {
    let pairs = pairs();
    let (reference, device) = (reference(&pairs), device());
    let task = PairTask { pairs: &pairs, reference: Some(&reference), objective, phase: "dpo", device: &device };
    let mut sum = Accumulation::default();
    for rows in (0..8).collect::<Vec<usize>>().chunks(size) {
        let mut context = task.context(&ALL, State::default()).unwrap();
        let (output, _) = task.forward(policy, rows, Padding::default(), &mut context).unwrap();
        sum.add(policy, &output.reduce().unwrap());
    }
    let mean = sum.finish(policy, f64::INFINITY);
    let mut flat = Flatten(&mean.gradients, Vec::new());
    policy.visit(&mut flat);
    let flat = flat.1;
    (mean, flat)
}

#[test]
fn any_split_into_micro_batches_gives_the_same_gradient() {
    let policy = model(2);
    for method in pairwise::methods() {
        let objective = (method.build)(&Options::new()).unwrap();
        // A batch is more than its parts, or needs a loss from a head that no model here has.
        if objective.uses_batch_statistics() || !objective.terms().is_empty() {
            continue;
        }
        let (whole, gradient) = accumulate(&policy, 8, &*objective);
        let norm = gradient.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
        assert!(norm > 1e-4, "{}: there is something to learn", method.name);
        for size in [4, 2, 1, 3] {
            let (split, other) = accumulate(&policy, size, &*objective);
            let distance = gradient.iter().zip(&other).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt();
            // A ratio e^d makes a relative error of the rounding of d, which no other default has in its gradient.
            let bound = if method.name == "chi_po" { 5e-6 } else { 1e-6 };
            assert!(distance <= bound * norm, "{}, micro-batches of {size}: {} relative", method.name, distance / norm);
            assert!((split.loss - whole.loss).abs() <= 1e-6 * whole.loss.abs(), "{}", method.name);
            assert!((split.norm - whole.norm).abs() <= bound * whole.norm, "{}", method.name);
        }
    }
}

#[test]
fn padding_order_and_batch_size_change_no_pair() {
    let policy = model(2);
    let every: Vec<usize> = (0..8).collect();
    let plain = losses(&policy, &every, Padding::default(), &*dpo());
    for side in [PadSide::Left, PadSide::Right] {
        for extra in [0, 3, 17] {
            let padded = losses(&policy, &every, Padding { side, extra }, &*dpo());
            for (pair, (a, b)) in plain.iter().zip(&padded).enumerate() {
                assert!((a - b).abs() < 1e-6, "pair {pair}, {extra} columns on the {side:?}: {a} vs {b}");
            }
        }
    }
    let order = [5, 2, 7, 0, 1, 6, 4, 3];
    let permuted = losses(&policy, &order, Padding::default(), &*dpo());
    for (place, row) in order.iter().enumerate() {
        let alone = losses(&policy, &[*row], Padding::default(), &*dpo())[0];
        assert!((plain[*row] - permuted[place]).abs() < 1e-6 && (plain[*row] - alone).abs() < 1e-6, "pair {row}");
    }
}

#[test]
fn a_policy_equal_to_its_reference_starts_at_ln_2() {
    let loss = losses(&model(1), &[0, 1, 2, 3, 4, 5, 6, 7], Padding::default(), &*dpo());
    assert!(loss.iter().all(|loss| (loss - std::f64::consts::LN_2).abs() < 1e-6), "{loss:?}");
}

#[test]
fn training_on_pairs_ranks_them_and_leaves_the_reference_alone() {
    let pairs = pairs();
    let start = model(1);
    let before = pair_logps(&start.valid(), &pairs, 8, &Device::flex()).unwrap();
    let config = TrainConfig::new(40, 3e-3).with_batch_size(8).with_micro_batch_size(3);
    let mut recorder = Recorder::new(None).unwrap();
    let trained = train(start.clone(), Some(&before), &pairs, &*dpo(), &config, &mut recorder).unwrap();
    // At the start the pairs are ties up to rounding, so the accuracy there says nothing.
    assert!((recorder.curve("dpo/loss")[0].1 - std::f64::consts::LN_2).abs() < 1e-6);
    assert_eq!(recorder.curve("dpo/rewards/accuracies")[39].1, 1.0, "all pairs ranked at the end");
    assert_eq!(pair_logps(&start.valid(), &pairs, 8, &Device::flex()).unwrap(), before);
    assert_ne!(pair_logps(&trained.valid(), &pairs, 8, &Device::flex()).unwrap(), before);
}

#[test]
fn the_same_seed_gives_the_same_run_bit_for_bit() {
    let run = |seed| {
        let pairs = pairs();
        let config = TrainConfig::new(6, 3e-3).with_batch_size(4).with_micro_batch_size(2).with_seed(seed);
        let sft = train_sft(model(1), &pairs, &config, &device(), &mut ()).unwrap();
        let reference = pair_logps(&sft.valid(), &pairs, 4, &Device::flex()).unwrap();
        let trained = train(sft, Some(&reference), &pairs, &*dpo(), &config, &mut ()).unwrap();
        pair_logps(&trained.valid(), &pairs, 4, &Device::flex()).unwrap()
    };
    assert_eq!(run(3), run(3));
    assert_ne!(run(3), run(4));
}

#[test]
fn supervised_training_raises_the_likelihood_of_the_chosen() {
    let pairs = pairs();
    let config = TrainConfig::new(30, 3e-3).with_batch_size(8);
    let mut recorder = Recorder::new(None).unwrap();
    train_sft(model(1), &pairs, &config, &device(), &mut recorder).unwrap();
    let loss = recorder.curve("sft/loss");
    assert!(loss[29].1 < 0.5 * loss[0].1, "{} to {}", loss[0].1, loss[29].1);
}

fn refused(reference: Option<&PairLogpsCache>, pairs: &[TokenPair], start: Decoder) -> Error {
    let config = TrainConfig::new(2, 1e-3);
    train(start, reference, pairs, &*dpo(), &config, &mut ()).unwrap_err()
}

#[test]
fn what_is_wrong_with_a_run_is_said_before_it_starts() {
    let pairs = pairs();
    let cache = reference(&pairs);
    assert!(matches!(refused(None, &pairs, model(1)), Error::NoReference));
    assert!(matches!(refused(Some(&cache), &pairs[..7], model(1)), Error::Stale { name: "reference", .. }));
    assert!(matches!(refused(Some(&cache), &[], model(1)), Error::NoRecords { name: "pairs" }));

    let mut mixed = pairs.clone();
    mixed[0].margin = Some(1.0);
    let error = refused(Some(&reference(&mixed)), &mixed, model(1)).to_string();
    assert_eq!(error, "record `pair 1` has no margin, unlike the first record");

    let mut heavy = pairs.clone();
    heavy[2].weight = -1.0;
    let error = refused(Some(&reference(&heavy)), &heavy, model(1)).to_string();
    assert_eq!(error, "`weight`: expected finite and >= 0, got -1");
    assert!(matches!(refused(Some(&cache), &pairs, model(1).valid()), Error::NotAutodiff));

    let mut foreign = pairs;
    foreign[3].chosen[1] = VOCAB as u32;
    let error = pair_logps(&model(1).valid(), &foreign, 8, &Device::flex()).unwrap_err().to_string();
    assert!(error.contains("token id 23 is not below the vocabulary size 23"), "{error}");
}

#[test]
fn a_record_without_what_the_objective_reads_is_named() {
    let column = Column { name: "depth", domain: Domain::Unit, meaning: "how deep" };
    let extra = Extra { name: "ideal", meaning: "the best answer", needs_reference: false };
    #[derive(Debug)]
    struct Reads(Column, Extra);
    impl PairwiseObjective for Reads {
        fn columns(&self) -> Vec<Column> {
            vec![self.0]
        }
        fn extras(&self) -> Vec<Extra> {
            vec![self.1]
        }
        fn forward(&self, batch: &PairBatch) -> accordant_objectives::Result<PairOutput> {
            let depth = batch.column(self.0, "reads")?;
            Ok(PairOutput::new(depth - batch.extra(self.1, "reads")?.sum.clone(), batch, 1.0))
        }
    }
    let objective = Reads(column, extra);
    let run = |pairs: &[TokenPair]| {
        let reference = reference(pairs);
        train(model(1), Some(&reference), pairs, &objective, &TrainConfig::new(1, 1e-3), &mut ())
    };
    let mut pairs = pairs();
    for (n, pair) in pairs.iter_mut().enumerate() {
        pair.columns.insert("depth".into(), 0.5);
        if n != 3 {
            pair.extras.insert("ideal".into(), vec![1, 2]);
        }
    }
    let error = run(&pairs).unwrap_err().to_string();
    assert_eq!(error, "record `pair 3` has no `ideal` (the best answer), which the objective needs");
    pairs[3].extras.insert("ideal".into(), vec![]);
    run(&pairs).unwrap();
    pairs[5].columns.insert("depth".into(), 1.5);
    assert_eq!(run(&pairs).unwrap_err().to_string(), "`depth`: expected in [0, 1], got 1.5");
    pairs[5].columns.remove("depth");
    let error = run(&pairs).unwrap_err().to_string();
    assert_eq!(error, "record `pair 5` has no `depth` (how deep), which the objective needs");
}

#[test]
fn a_loss_that_is_nan_stops_the_run_and_names_its_records() {
    struct Spoil;
    impl ModuleMapper for Spoil {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|tensor| (tensor * f32::NAN).detach().require_grad())
        }
    }
    let pairs = pairs();
    let error = refused(Some(&reference(&pairs)), &pairs, model(1).map(&mut Spoil)).to_string();
    assert!(error.starts_with("step 0: the loss is NaN (records pair "), "{error}");
}

#[test]
fn a_method_without_a_reference_needs_none() {
    let simpo = pairwise::build("simpo", &Options::new()).unwrap();
    let config = TrainConfig::new(2, 1e-3);
    train(model(1), None, &pairs(), &*simpo, &config, &mut ()).unwrap();
    assert!(DpoConfig::new().init().unwrap().needs_reference());
}

fn singles() -> Vec<TokenSingle> {
    TokenSingle::of_pairs(&pairs())
}

/// The gradient of a step over all single responses, flattened, in micro-batches of `size`.
fn accumulate_singles(policy: &Decoder, size: usize, objective: &dyn UnpairedObjective) -> Vec<f32> {
    let (singles, device) = (singles(), device());
    let reference = single_logps(&model(1).valid(), &singles, 5, &Device::flex()).unwrap();
    let task =
        SingleTask { singles: &singles, reference: Some(&reference), objective, phase: "unpaired", device: &device };
    let all: Vec<usize> = (0..singles.len()).collect();
    let mut context = task.context(policy, &all, State::default()).unwrap();
    let mut sum = Accumulation::default();
    for rows in all.chunks(size) {
        let (output, _) = task.forward(policy, rows, Padding::default(), &mut context).unwrap();
        sum.add(policy, &output.reduce().unwrap());
    }
    let mean = sum.finish(policy, f64::INFINITY);
    let mut flat = Flatten(&mean.gradients, Vec::new());
    policy.visit(&mut flat);
    flat.1
}

#[test]
fn any_split_of_single_responses_gives_the_same_gradient() {
    let policy = model(2);
    for method in unpaired::methods() {
        let objective = (method.build)(&Options::new()).unwrap();
        if objective.uses_batch_statistics() {
            continue;
        }
        let whole = accumulate_singles(&policy, 16, &*objective);
        let norm = whole.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
        assert!(norm > 1e-4, "{}: there is something to learn", method.name);
        for size in [1, 3, 8] {
            let other = accumulate_singles(&policy, size, &*objective);
            let distance = whole.iter().zip(&other).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt();
            assert!(distance <= 2e-6 * norm, "{}, micro-batches of {size}: {} relative", method.name, distance / norm);
        }
    }
}

#[test]
fn kto_learns_from_single_responses_and_refuses_a_stale_reference() {
    let (singles, start, device) = (singles(), model(1), device());
    let reference = single_logps(&start.valid(), &singles, 4, &Device::flex()).unwrap();
    let kto = unpaired::build("kto", &Options::new().with("beta", 0.5)).unwrap();
    let task =
        SingleTask { singles: &singles, reference: Some(&reference), objective: &*kto, phase: "kto", device: &device };
    let config = TrainConfig::new(30, 3e-3).with_batch_size(16).with_micro_batch_size(6);
    let mut recorder = Recorder::new(None).unwrap();
    train_singles(start.clone(), &task, &config, &mut recorder).unwrap();
    let loss = recorder.curve("kto/loss");
    // Policy = reference: every response loses half of its weight of 1.
    assert!((loss[0].1 - 0.5).abs() < 1e-6 && loss[29].1 < 0.3, "{loss:?}");
    let short = SingleTask { singles: &singles[..6], ..task };
    let error = train_singles(start.clone(), &short, &config, &mut ()).unwrap_err();
    assert!(matches!(error, Error::Stale { name: "reference", .. }));
    let none = SingleTask { reference: None, ..task };
    assert!(matches!(train_singles(start, &none, &config, &mut ()).unwrap_err(), Error::NoReference));
}

/// Six lists of two to four candidates with scores, ties and an answer.
fn lists() -> Vec<TokenList> {
    let ids = |start: u32, len: u32| (0..len).map(|i| (start * 5 + i * i + i) % 22 + 1).collect::<Vec<u32>>();
    (0..6)
        .map(|n| {
            let candidates: Vec<_> = (0..2 + n % 3).map(|k| ids(10 * n + k, 1 + (n + 2 * k) % 5)).collect();
            let scores = (0..candidates.len()).map(|k| ((k * 2 + n as usize) % 3) as f64).collect();
            TokenList {
                weight: 1.0 + f64::from(n % 2),
                answer: Some((ids(n + 90, 3), 1.5)),
                ..with_columns(TokenList::new(format!("list {n}"), ids(n, 3), candidates, scores))
            }
        })
        .collect()
}

/// A list with all the columns that any method reads.
fn with_columns(mut list: TokenList) -> TokenList {
    for method in listwise::methods() {
        let objective = (method.build)(&Options::new()).unwrap();
        for column in objective.columns() {
            list.columns.insert(column.name.to_owned(), 1.0);
        }
        for column in objective.candidate_columns() {
            let values = (0..list.candidates.len()).map(|k| 1.0 / (k + 1) as f64).collect();
            list.candidate_columns.insert(column.name.to_owned(), values);
        }
    }
    list
}

#[test]
fn any_split_of_lists_gives_the_same_gradient() {
    let (policy, lists, device) = (model(2), lists(), device());
    let reference = list_logps(&model(1).valid(), &lists, 5, &Device::flex()).unwrap();
    for method in listwise::methods() {
        let objective = (method.build)(&Options::new()).unwrap();
        let task = ListTask {
            lists: &lists,
            reference: Some(&reference),
            objective: &*objective,
            phase: "lists",
            device: &device,
        };
        let gradient = |size: usize| {
            let mut sum = Accumulation::default();
            for rows in (0..6).collect::<Vec<usize>>().chunks(size) {
                sum.add(&policy, &task.forward(&policy, rows, Padding::default()).unwrap().0.reduce().unwrap());
            }
            let mean = sum.finish(&policy, f64::INFINITY);
            let mut flat = Flatten(&mean.gradients, Vec::new());
            policy.visit(&mut flat);
            flat.1
        };
        let whole = gradient(6);
        let norm = whole.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
        assert!(norm > 1e-4, "{}: there is something to learn", method.name);
        if objective.uses_batch_statistics() {
            continue;
        }
        for size in [1, 4] {
            let other = gradient(size);
            let distance = whole.iter().zip(&other).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt();
            assert!(distance <= 2e-6 * norm, "{}, micro-batches of {size}: {} relative", method.name, distance / norm);
        }
    }
}

#[test]
fn a_ranking_is_learned_and_what_is_wrong_with_lists_is_named() {
    let (lists, start, device) = (lists(), model(1), device());
    let reference = list_logps(&start.valid(), &lists, 4, &Device::flex()).unwrap();
    let objective = listwise::build("plackett_luce", &Options::new().with("beta", 0.5)).unwrap();
    let task =
        ListTask { lists: &lists, reference: Some(&reference), objective: &*objective, phase: "pl", device: &device };
    let config = TrainConfig::new(30, 3e-3).with_batch_size(6).with_micro_batch_size(4);
    let mut recorder = Recorder::new(None).unwrap();
    train_lists(start.clone(), &task, &config, &mut recorder).unwrap();
    let loss = recorder.curve("pl/loss");
    assert!(loss[29].1 < 0.5 * loss[0].1, "{} to {}", loss[0].1, loss[29].1);
    let refused = |lists: &[TokenList]| {
        train_lists(start.clone(), &ListTask { lists, ..task }, &config, &mut ()).unwrap_err().to_string()
    };
    assert!(refused(&lists[..5]).starts_with("`reference`: log-probabilities of other records"));
    assert_eq!(refused(&[]), "`lists`: expected at least one record, got none");
    let mut short = lists.clone();
    short[2].scores.pop();
    assert_eq!(refused(&short), "record `list 2` has no `scores` (one for each candidate), which the objective needs");
    let mut infinite = lists.clone();
    infinite[1].scores[0] = f64::INFINITY;
    assert_eq!(refused(&infinite), "`scores`: expected finite, got inf");
}

#[test]
fn a_label_probability_serves_the_methods_that_declare_the_column() {
    let mut pairs: Vec<_> = pairs().into_iter().map(|pair| TokenPair { label_prob: Some(0.75), ..pair }).collect();
    for pair in &mut pairs {
        pair.columns.remove("label_probs");
    }
    let cache = reference(&pairs);
    for name in ["osp", "irepo"] {
        let objective = pairwise::build(name, &Options::new()).unwrap();
        let run = |pairs: &[TokenPair]| {
            let config = TrainConfig::new(1, 1e-3).with_batch_size(8);
            let mut recorder = Recorder::new(None).unwrap();
            train(model(2), Some(&cache), pairs, &*objective, &config, &mut recorder)?;
            Ok::<_, Error>(recorder.curve("dpo/loss")[0].1)
        };
        let mut column = pairs.clone();
        for pair in &mut column {
            pair.label_prob = None;
            pair.columns.insert("label_probs".into(), 0.75);
        }
        assert_eq!(run(&pairs).unwrap(), run(&column).unwrap(), "{name}");
        let mut none = pairs.clone();
        none[3].label_prob = None;
        let error = run(&none).unwrap_err().to_string();
        assert!(error.starts_with("record `pair 3` has no `label_probs`"), "{name}: {error}");
    }
}

#[test]
fn a_response_without_tokens_counts_in_no_mean_length() {
    let mut singles = singles();
    singles[4].completion.clear();
    let (policy, device, start) = (model(2), device(), model(1).valid());
    let reference = single_logps(&start, &singles, 5, &Device::flex()).unwrap();
    let pmpo = unpaired::build("pmpo", &Options::new()).unwrap();
    let task = SingleTask {
        singles: &singles,
        reference: Some(&reference),
        objective: &*pmpo,
        phase: "pmpo",
        device: &device,
    };
    let rows: Vec<usize> = (0..singles.len()).collect();
    let losses = |context: &mut SingleContext| {
        task.forward(&policy, &rows, Padding::default(), context).unwrap().0.losses.try_to_vec_as::<f64>().unwrap()
    };
    // Without a context the batch itself is the whole step.
    let whole = losses(&mut SingleContext::default());
    let given = losses(&mut task.context(&policy, &rows, State::default()).unwrap());
    assert!(whole.iter().zip(&given).all(|(a, b)| (a - b).abs() < 1e-6), "{whole:?} {given:?}");
}

#[test]
fn a_third_response_called_chosen_is_not_the_chosen_one() {
    let mut pairs = pairs();
    let device = device();
    let objective = dpo();
    let context = |pairs: &[TokenPair]| {
        let task = PairTask { pairs, reference: None, objective: &*objective, phase: "dpo", device: &device };
        task.context(&ALL, State::default()).unwrap()
    };
    let before = context(&pairs);
    for pair in &mut pairs {
        pair.extras.insert("chosen".into(), vec![1; 20]);
    }
    assert_eq!(context(&pairs), before);
}

#[test]
fn no_baseline_reads_a_completion_of_its_own_prompt() {
    let (policy, singles) = (model(1).valid(), singles());
    let cache = single_logps(&policy, &singles, 4, &Device::flex()).unwrap();
    for (row, len) in cache.mismatched.counts.iter().enumerate() {
        // Both members of a pair get the rejected response of the pair before.
        let other = (row / 2 * 2 + singles.len() - 1) % singles.len();
        assert_ne!(singles[row].prompt, singles[other].prompt);
        assert_eq!(*len, singles[other].completion.len() as f64, "response {row}");
    }
    // One prompt only: there is no other, and a completion of another record has to do.
    let same: Vec<_> = singles.iter().cloned().map(|single| TokenSingle { prompt: vec![1], ..single }).collect();
    let cache = single_logps(&policy, &same, 4, &Device::flex()).unwrap();
    for row in 0..same.len() {
        let other = (row + same.len() - 1) % same.len();
        assert_eq!(cache.mismatched.counts[row], same[other].completion.len() as f64);
    }
}

#[test]
fn a_forward_pass_with_a_stale_reference_is_an_error() {
    let (policy, device, start) = (model(2), device(), model(1).valid());
    let is_stale = |error: Error| assert!(matches!(error, Error::Stale { name: "reference", .. }), "{error}");
    let singles = singles();
    let other = [&singles[1..3], &singles[..1]].concat();
    let kto = unpaired::build("kto", &Options::new()).unwrap();
    for records in [&singles[..2], &other] {
        let reference = single_logps(&start, records, 4, &Device::flex()).unwrap();
        let singles = &singles[..3];
        let task = SingleTask { singles, reference: Some(&reference), objective: &*kto, phase: "", device: &device };
        is_stale(task.context(&policy, &[2], State::default()).unwrap_err());
        is_stale(task.forward(&policy, &[2], Padding::default(), &mut SingleContext::default()).unwrap_err());
    }
    let lists = lists();
    let ranking = listwise::build("plackett_luce", &Options::new()).unwrap();
    for records in [&lists[..2], &lists[1..4]] {
        let reference = list_logps(&start, records, 4, &Device::flex()).unwrap();
        let lists = &lists[..3];
        let task = ListTask { lists, reference: Some(&reference), objective: &*ranking, phase: "", device: &device };
        is_stale(task.forward(&policy, &[2], Padding::default()).unwrap_err());
    }
    let pairs = pairs();
    for records in [&pairs[..2], &pairs[1..4]] {
        let stale = reference(records);
        let (pairs, objective) = (&pairs[..3], dpo());
        let task = PairTask { pairs, reference: Some(&stale), objective: &*objective, phase: "", device: &device };
        is_stale(task.forward(&policy, &[2], Padding::default(), &mut StepContext::default()).unwrap_err());
        // SimPO reads none.
        let objective = pairwise::build("simpo", &Options::new()).unwrap();
        let task = PairTask { objective: &*objective, ..task };
        task.forward(&policy, &[2], Padding::default(), &mut StepContext::default()).unwrap();
    }
}

#[test]
fn steps_without_a_scored_token_are_taken_or_refused_but_do_not_panic() {
    let (start, device) = (model(1), device());
    let config = TrainConfig::new(1, 1e-3);
    for prompt in [vec![1, 2], vec![]] {
        let empty = [TokenPair::new("a", prompt.clone(), vec![], vec![]), TokenPair::new("b", prompt, vec![], vec![])];
        let _ = train_sft(start.clone(), &empty, &config, &device, &mut ());
        for method in pairwise::methods() {
            let objective = (method.build)(&Options::new()).unwrap();
            let full = pairs().remove(0);
            let pairs = empty.clone().map(|pair| {
                let (columns, mut extras) = (full.columns.clone(), full.extras.clone());
                extras.values_mut().for_each(Vec::clear);
                TokenPair { columns, extras, ..pair }
            });
            let reference = reference(&pairs);
            let _ = train(start.clone(), Some(&reference), &pairs, &*objective, &config, &mut ());
        }
        let singles = TokenSingle::of_pairs(&empty);
        let reference = single_logps(&start.valid(), &singles, 2, &Device::flex()).unwrap();
        for method in unpaired::methods() {
            let objective = (method.build)(&Options::new()).unwrap();
            let (singles, reference) = (&singles[..], Some(&reference));
            let task = SingleTask { singles, reference, objective: &*objective, phase: "", device: &device };
            let _ = train_singles(start.clone(), &task, &config, &mut ());
        }
        for candidates in [0, 1, 3] {
            let scores = (0..candidates).map(|score| score as f64).collect();
            let list = TokenList::new("a", empty[0].prompt.clone(), vec![vec![]; candidates], scores);
            let lists = [with_columns(TokenList { answer: Some((vec![], 1.0)), ..list })];
            let reference = list_logps(&start.valid(), &lists, 2, &Device::flex()).unwrap();
            for method in listwise::methods() {
                let objective = (method.build)(&Options::new()).unwrap();
                let (lists, reference) = (&lists[..], Some(&reference));
                let task = ListTask { lists, reference, objective: &*objective, phase: "", device: &device };
                let _ = train_lists(start.clone(), &task, &config, &mut ());
            }
        }
    }
}

#[test]
fn no_rows_a_plain_device_and_huge_batches_do_not_panic() {
    let (policy, device, pairs) = (model(2), device(), pairs());
    let (reference, objective) = (reference(&pairs), dpo());
    let task =
        PairTask { pairs: &pairs, reference: Some(&reference), objective: &*objective, phase: "", device: &device };
    let error = task.forward(&policy, &[], Padding::default(), &mut StepContext::default()).unwrap_err();
    assert_eq!(error.to_string(), "`rows`: expected at least one, got 0");
    assert!(pair_logps(&policy.valid(), &[], 4, &Device::flex()).is_ok());
    assert!(pair_logps(&policy.valid(), &pairs, usize::MAX, &Device::flex()).is_ok());
    let plain = Device::flex();
    let config = TrainConfig::new(1, 1e-3);
    train_sft(policy.clone(), &pairs, &config, &plain, &mut ()).unwrap();
    train_pairs(policy, &PairTask { device: &plain, ..task }, &config, &mut ()).unwrap();
}

#[test]
fn an_answer_needs_a_finite_score() {
    let objective = listwise::methods()
        .iter()
        .map(|method| (method.build)(&Options::new()).unwrap())
        .find(|objective| objective.needs_answer());
    let (objective, device, mut lists) = (objective.expect("a method with answers"), device(), lists());
    lists[2].answer = Some((vec![1], f64::NAN));
    let reference = list_logps(&model(1).valid(), &lists, 4, &Device::flex()).unwrap();
    let (lists, reference) = (&lists[..], Some(&reference));
    let task = ListTask { lists, reference, objective: &*objective, phase: "", device: &device };
    let error = train_lists(model(1), &task, &TrainConfig::new(1, 1e-3), &mut ()).unwrap_err();
    assert_eq!(error.to_string(), "`answer`: expected finite, got NaN");
}
