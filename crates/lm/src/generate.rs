//! Batched sampling with a KV cache.
//!
//! Each row draws from its own random stream, so what a prompt is continued with depends on the seed and its number and
//! not on the batch it sits in (up to the rounding of the logits). Sampling runs on the host in f64.

use std::collections::BTreeSet;

use accordant_ops::{check_domain, host};
use burn::{
    config::Config,
    tensor::{Bool, Device, Int, Tensor, TensorData},
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{CachedLm, Error, Result, SAMPLE_STREAM};

/// How to sample.
#[derive(Config, Debug, PartialEq)]
pub struct SampleConfig {
    /// Most tokens that a completion may have, at least 1.
    pub max_new_tokens: usize,
    /// Divides the logits, finite and > 0; 1: the model's own distribution.
    #[config(default = 1.0)]
    pub temperature: f64,
    /// Chooses the random streams. 0: arbitrary.
    #[config(default = 0)]
    pub seed: u64,
}

/// One sampled completion.
#[derive(Debug, Clone, PartialEq)]
pub struct Completion {
    /// The sampled ids, the stop id included when there is one.
    pub ids: Vec<u32>,
    /// Log-probability of each id under the distribution that it was drawn from, in nats.
    pub logps: Vec<f64>,
    /// Whether it ended with a stop id, not at `max_new_tokens`.
    pub stopped: bool,
}

/// Samples one completion of each prompt, up to a stop id or `max_new_tokens`.
///
/// The model runs without gradients where it was made without them; pass `model.valid()` of a model in training.
/// `first_row` is the number of the first prompt's random stream: a caller who samples in batches passes how many
/// prompts came before.
///
/// # Errors
/// [`Error::EmptyPrompt`] or [`Error::TokenId`] naming the row, domain errors of the configuration, and
/// [`Error::NotFinite`] when the model's logits are.
///
/// # Example
/// ```
/// use accordant_lm::{decoder::DecoderConfig, generate::{SampleConfig, sample}};
/// use burn::tensor::Device;
/// let device = Device::flex();
/// let model = DecoderConfig::new(10).init(7, &device)?;
/// let completions = sample(&model, &[vec![1, 2], vec![3]], &[], &SampleConfig::new(4), 0, &device)?;
/// assert_eq!(completions[1].ids.len(), 4); // no stop id, so it runs to the end
/// assert!(completions[1].logps.iter().all(|logp| *logp < 0.0));
/// # Ok::<(), accordant_lm::Error>(())
/// ```
pub fn sample<M: CachedLm>(
    model: &M,
    prompts: &[Vec<u32>],
    stop_ids: &[u32],
    config: &SampleConfig,
    first_row: u64,
    device: &Device,
) -> Result<Vec<Completion>> {
    let SampleConfig { max_new_tokens, temperature, seed } = *config;
    check_domain(temperature.is_finite() && temperature > 0.0, "temperature", "finite and > 0", temperature)?;
    let stream = |row| Chooser::drawing(seed, first_row + row, temperature);
    let rows = (0..prompts.len() as u64).map(stream).collect();
    generate(model, prompts, stop_ids, max_new_tokens, rows, device)
}

/// The likeliest token at each step, up to a stop id or `max_new_tokens`; the first of them at a tie. The
/// log-probabilities are the model's own, those at temperature 1.
///
/// # Errors
/// As [`sample`].
///
/// # Example
/// ```
/// use accordant_lm::{decoder::DecoderConfig, generate::greedy};
/// use burn::tensor::Device;
/// let device = Device::flex();
/// let model = DecoderConfig::new(10).init(7, &device)?;
/// let completions = greedy(&model, &[vec![1, 2]], &[], 4, &device)?;
/// assert_eq!(completions, greedy(&model, &[vec![1, 2]], &[], 4, &device)?);
/// assert!(completions[0].logps.iter().all(|logp| *logp >= -10f64.ln())); // no less likely than chance
/// # Ok::<(), accordant_lm::Error>(())
/// ```
pub fn greedy<M: CachedLm>(
    model: &M,
    prompts: &[Vec<u32>],
    stop_ids: &[u32],
    max_new_tokens: usize,
    device: &Device,
) -> Result<Vec<Completion>> {
    let rows = prompts.iter().map(|_| Chooser::Likeliest).collect();
    generate(model, prompts, stop_ids, max_new_tokens, rows, device)
}

/// Rows leave the batch once this share of it has ended: a copy of the cache, about as large as the one that each step
/// makes anyway, then pays for itself within a few steps.
const ENDED_SHARE: f64 = 0.25;

fn generate<M: CachedLm>(
    model: &M,
    prompts: &[Vec<u32>],
    stop_ids: &[u32],
    max_new_tokens: usize,
    choosers: Vec<Chooser>,
    device: &Device,
) -> Result<Vec<Completion>> {
    check_domain(max_new_tokens > 0, "max_new_tokens", "at least 1", max_new_tokens as f64)?;
    let head = model.head();
    let vocab = head.dims()[0];
    check_prompts(prompts, vocab)?;
    if prompts.is_empty() {
        return Ok(Vec::new());
    }
    let stop_ids: BTreeSet<u32> = stop_ids.iter().copied().collect();
    let mut rows: Vec<Row> = choosers.into_iter().map(Row::new).collect();
    // The rows in the batch, in its order; all that have not ended are among them.
    let mut batch: Vec<usize> = (0..rows.len()).collect();
    let (mut ids, mut mask) = left_padded(prompts, device);
    let mut cache = model.empty_cache();
    let weight = head.transpose();
    for step in 0..max_new_tokens {
        let hidden = model.hidden_cached(ids, mask.clone(), &mut cache)?;
        let [count, seq, width] = hidden.dims();
        let last = hidden.narrow(1, seq - 1, 1).reshape([count, width]);
        let logits =
            last.matmul(weight.clone()).try_into_vec_as::<f32>().expect("the device returns what it has computed");
        let mut next = Vec::with_capacity(count);
        for (&row, logits) in batch.iter().zip(logits.chunks_exact(vocab)) {
            next.push(i64::from(rows[row].step(logits, &stop_ids).ok_or(Error::NotFinite { row, step })?));
        }
        let going: Vec<usize> = (0..count).filter(|place| !rows[batch[*place]].completion.stopped).collect();
        if going.is_empty() {
            break;
        }
        if ((count - going.len()) as f64) >= ENDED_SHARE * count as f64 {
            let places: Vec<i64> = going.iter().map(|place| *place as i64).collect();
            let places = Tensor::<1, Int>::from_data(TensorData::new(places, [going.len()]), device);
            model.keep_rows(&mut cache, &places);
            // Through integers: flex selects rows of a Bool tensor into another representation, which `cat` refuses.
            mask = mask.int().select(0, places).equal_scalar(1);
            next = going.iter().map(|place| next[*place]).collect();
            batch = going.iter().map(|place| batch[*place]).collect();
        }
        let count = batch.len();
        ids = Tensor::from_data(TensorData::new(next, [count, 1]), device);
        let more = Tensor::<2, Bool>::from_data(TensorData::new(vec![true; count], [count, 1]), device);
        mask = Tensor::cat(vec![mask, more], 1);
    }
    Ok(rows.into_iter().map(|row| row.completion).collect())
}

fn check_prompts(prompts: &[Vec<u32>], vocab: usize) -> Result<()> {
    for (row, prompt) in prompts.iter().enumerate() {
        if prompt.is_empty() {
            return Err(Error::EmptyPrompt { row });
        }
        if let Some(&id) = prompt.iter().find(|id| **id as usize >= vocab) {
            return Err(Error::TokenId { row, id, vocab });
        }
    }
    Ok(())
}

/// Prompts side by side, ending in the same column.
fn left_padded(prompts: &[Vec<u32>], device: &Device) -> (Tensor<2, Int>, Tensor<2, Bool>) {
    let width = prompts.iter().map(Vec::len).max().unwrap_or(0);
    let (mut ids, mut mask) = (Vec::new(), Vec::new());
    for prompt in prompts {
        let padding = width - prompt.len();
        ids.extend(std::iter::repeat_n(0, padding).chain(prompt.iter().map(|id| i64::from(*id))));
        mask.extend((0..width).map(|column| column >= padding));
    }
    let shape = [prompts.len(), width];
    (Tensor::from_data(TensorData::new(ids, shape), device), Tensor::from_data(TensorData::new(mask, shape), device))
}

/// How a row chooses its next id.
enum Chooser {
    Drawn { rng: Box<ChaCha8Rng>, temperature: f64 },
    Likeliest,
}

impl Chooser {
    fn drawing(seed: u64, number: u64, temperature: f64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(SAMPLE_STREAM | number);
        Self::Drawn { rng: Box::new(rng), temperature }
    }

    /// The place of an id and its log-probability; none when the logits are not finite.
    fn choose(&mut self, logits: &[f32]) -> Option<(usize, f64)> {
        // Backwards, since the last of equals would win.
        let likeliest = |logps: &[f64]| (0..logps.len()).rev().max_by(|a, b| logps[*a].total_cmp(&logps[*b]));
        let (index, logps) = match self {
            Self::Likeliest => {
                let logps = host::log_softmax(logits, 1.0)?;
                (likeliest(&logps)?, logps)
            }
            Self::Drawn { rng, temperature } => {
                let logps = host::log_softmax(logits, *temperature)?;
                let mut left = rng.random::<f64>();
                let drawn = logps.iter().position(|logp| {
                    left -= logp.exp();
                    left < 0.0
                });
                // Rounding can leave a crumb after the last id: take the likeliest instead of an id of probability 0.
                (drawn.or_else(|| likeliest(&logps))?, logps)
            }
        };
        Some((index, logps[index]))
    }
}

struct Row {
    chooser: Chooser,
    completion: Completion,
}

impl Row {
    fn new(chooser: Chooser) -> Self {
        Self { chooser, completion: Completion { ids: Vec::new(), logps: Vec::new(), stopped: false } }
    }

    /// Chooses the next id; none when the logits are not finite. A row that has stopped repeats its last id, unrecorded.
    fn step(&mut self, logits: &[f32], stop_ids: &BTreeSet<u32>) -> Option<u32> {
        if self.completion.stopped {
            return self.completion.ids.last().copied();
        }
        let (index, logp) = self.chooser.choose(logits)?;
        let id = u32::try_from(index).expect("a vocabulary fits in u32");
        self.completion.ids.push(id);
        self.completion.logps.push(logp);
        self.completion.stopped = stop_ids.contains(&id);
        Some(id)
    }
}

#[cfg(test)]
mod tests {
    use accordant_ops::selected::{SelectedOptions, TokenIds, selected_logps};

    use super::*;
    use crate::{CausalLm, decoder::DecoderConfig};

    fn model(device: &Device) -> crate::decoder::Decoder {
        DecoderConfig::new(10).with_init_std(0.5).init(7, device).unwrap()
    }

    #[test]
    fn a_row_does_not_depend_on_its_batch() {
        let device = Device::flex();
        let prompts = vec![vec![1, 2, 3, 4], vec![5], vec![6, 7]];
        let config = SampleConfig::new(12).with_seed(5);
        let together = sample(&model(&device), &prompts, &[0], &config, 0, &device).unwrap();
        for (row, prompt) in prompts.iter().enumerate() {
            let alone =
                sample(&model(&device), std::slice::from_ref(prompt), &[0], &config, row as u64, &device).unwrap();
            assert_eq!(alone[0].ids, together[row].ids);
        }
    }

    #[test]
    fn logps_are_those_of_scoring_the_completion() {
        let device = Device::flex();
        let model = model(&device);
        let config = SampleConfig::new(8).with_temperature(0.7);
        let completion = &sample(&model, &[vec![1, 2, 3]], &[], &config, 0, &device).unwrap()[0];
        let all: Vec<i64> = [1, 2, 3].into_iter().chain(completion.ids.iter().map(|id| i64::from(*id))).collect();
        let len = all.len();
        let ids = Tensor::<2, Int>::from_data(TensorData::new(all, [1, len]), &device);
        let mask = Tensor::from_data(TensorData::new(vec![true; len], [1, len]), &device);
        let hidden = model.hidden(ids.clone(), mask).unwrap().narrow(1, 2, 8).reshape([8, 64]);
        let targets = ids.narrow(1, 3, 8).reshape([8]);
        let scored = selected_logps(
            hidden,
            model.head(),
            None,
            &TokenIds::read(&targets, None),
            &SelectedOptions::new().with_temperature(0.7),
        )
        .unwrap()
        .logps;
        for (a, b) in scored.try_to_vec_as::<f32>().unwrap().iter().zip(&completion.logps) {
            assert!((f64::from(*a) - b).abs() < 1e-5, "{a} vs {b}");
        }
    }

    #[test]
    fn sampled_frequencies_follow_the_probabilities() {
        // One token from each of 4000 streams. Chi-squared with 9 degrees of freedom: 33.7 is its 1e-4 quantile, and the
        // seed is fixed.
        let device = Device::flex();
        let model = model(&device);
        let prompts = vec![vec![1]; 4000];
        let sampled = sample(&model, &prompts, &[], &SampleConfig::new(1), 0, &device).unwrap();
        let mut counts = [0.0f64; 10];
        for completion in &sampled {
            counts[completion.ids[0] as usize] += 1.0;
        }
        let hidden = model
            .hidden(Tensor::from_ints([[1]], &device), Tensor::from_data(TensorData::new(vec![true], [1, 1]), &device));
        let hidden = hidden.unwrap().reshape([1, 64]).repeat_dim(0, 10);
        let every_id = TokenIds::new(&(0..10).collect::<Vec<_>>(), None, &device);
        let logps = selected_logps(hidden, model.head(), None, &every_id, &SelectedOptions::new()).unwrap().logps;
        let chi_squared: f64 = logps
            .try_to_vec_as::<f32>()
            .unwrap()
            .iter()
            .zip(counts)
            .map(|(logp, count)| {
                let expected = 4000.0 * f64::from(*logp).exp();
                (count - expected).powi(2) / expected
            })
            .sum();
        assert!(chi_squared < 33.7, "{chi_squared}");
    }

    #[test]
    fn rows_that_leave_the_batch_change_none_that_stay() {
        // With stop ids, rows end at different times and the batch shrinks; without, all run to the end. What a row wrote
        // before its first stop id is the same.
        let device = Device::flex();
        let prompts: Vec<Vec<u32>> = (0..16).map(|row| vec![1 + row % 9; 1 + row as usize % 5]).collect();
        let config = SampleConfig::new(20).with_seed(3);
        let run = |stop_ids: &[u32]| sample(&model(&device), &prompts, stop_ids, &config, 0, &device).unwrap();
        let (ending, endless) = (run(&[0, 1]), run(&[]));
        for (ending, endless) in ending.iter().zip(&endless) {
            assert_eq!(ending.ids, endless.ids[..ending.ids.len()]);
            for (a, b) in ending.logps.iter().zip(&endless.logps) {
                assert!((a - b).abs() < 1e-5, "{a} vs {b}");
            }
        }
        let stopped = ending.iter().filter(|completion| completion.stopped).count();
        assert!(stopped > 8, "{stopped} rows have left");
    }

    #[test]
    fn greedy_takes_the_likeliest_and_says_how_likely() {
        let device = Device::flex();
        let model = model(&device);
        let completion = &greedy(&model, &[vec![1, 2, 3]], &[], 5, &device).unwrap()[0];
        let mut read = vec![1i64, 2, 3];
        for (id, logp) in completion.ids.iter().zip(&completion.logps) {
            let len = read.len();
            let ids = Tensor::<2, Int>::from_data(TensorData::new(read.clone(), [1, len]), &device);
            let mask = Tensor::from_data(TensorData::new(vec![true; len], [1, len]), &device);
            let last = model.hidden(ids, mask).unwrap().narrow(1, len - 1, 1).reshape([1, 64]);
            let logits = last.matmul(model.head().transpose()).try_to_vec_as::<f32>().unwrap();
            let best = (0..10).max_by(|a, b| logits[*a].total_cmp(&logits[*b])).unwrap();
            assert_eq!(*id as usize, best);
            assert!((host::log_softmax(&logits, 1.0).unwrap()[best] - logp).abs() < 1e-5);
            read.push(i64::from(*id));
        }
        assert_eq!(Chooser::Likeliest.choose(&[1.0, 2.0, 2.0]).unwrap().0, 1, "the first at a tie");
    }

    #[test]
    fn a_stop_id_ends_its_row_only() {
        let device = Device::flex();
        let config = SampleConfig::new(30).with_seed(1);
        let completions = sample(&model(&device), &vec![vec![1]; 8], &[0, 1, 2], &config, 0, &device).unwrap();
        for completion in &completions {
            let stops = completion.ids.iter().filter(|id| **id < 3).count();
            assert_eq!(stops, usize::from(completion.stopped));
            assert_eq!(completion.stopped, completion.ids.len() < 30 || completion.ids[29] < 3);
            assert_eq!(completion.ids.len(), completion.logps.len());
        }
        let lengths: BTreeSet<usize> = completions.iter().map(|completion| completion.ids.len()).collect();
        assert!(lengths.len() > 1, "rows end at their own time");
    }

    #[test]
    fn bad_prompts_name_their_row() {
        let device = Device::flex();
        let run = |prompts: &[Vec<u32>], config| {
            sample(&model(&device), prompts, &[], &config, 0, &device).unwrap_err().to_string()
        };
        let config = SampleConfig::new(1);
        assert_eq!(run(&[vec![1], vec![]], config.clone()), "row 1: expected a prompt of at least one token, got none");
        assert_eq!(run(&[vec![10]], config.clone()), "row 0: token id 10 is not below the vocabulary size 10");
        assert!(run(&[vec![1]], config.clone().with_temperature(0.0)).starts_with("`temperature`"));
        assert!(run(&[vec![1]], SampleConfig::new(0)).starts_with("`max_new_tokens`"));
        assert!(sample(&model(&device), &[], &[], &config, 0, &device).unwrap().is_empty());
    }

    #[test]
    fn weights_that_are_nan_are_an_error() {
        use burn::module::{Module, ModuleMapper, Param};
        struct Spoil;
        impl ModuleMapper for Spoil {
            fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
                param.map(|tensor| tensor * f32::NAN)
            }
        }
        let device = Device::flex();
        let spoiled = model(&device).map(&mut Spoil);
        let error = sample(&spoiled, &[vec![1]], &[], &SampleConfig::new(2), 0, &device).unwrap_err();
        assert!(matches!(error, Error::NotFinite { row: 0, step: 0 }));
    }
}
