//! What an objective on rollouts returns.

use std::sync::Arc;

use accordant_ops::{Means, Reduced, check_shape, item_metrics::numbers, masked::masked_sum};
use burn::tensor::{Bool, DType, Element, Tensor, TensorData, Transaction};

use super::{
    RatioLevel, RolloutBatch, Totals,
    surrogate::{Clipped, Surrogate},
};
use crate::{Error, Result};

/// What an objective on rollouts returns; everything but `losses` and `reduced` is detached.
#[derive(Debug, Clone)]
pub struct RolloutOutput {
    /// The loss of each token, `[rows, seq]`, 0 behind the mask; carries the gradient.
    pub losses: Tensor<2>,
    /// The loss, all terms together.
    pub reduced: Reduced,
    terms: Vec<Term>,
    mask: Tensor<2, Bool>,
    advantages: Tensor<2>,
    /// `log π − log π_old` of the tokens.
    drift: Tensor<2>,
    /// `log π − log π_ref` of the tokens.
    from_reference: Option<Tensor<2>>,
    entropies: Option<Tensor<2>>,
    ratios: Option<Ratios>,
}

/// The log-ratios that were exponentiated, and what is done to them.
#[derive(Debug, Clone)]
struct Ratios {
    log_ratios: Tensor<2>,
    level: RatioLevel,
    /// Between which they are.
    bounds: [f64; 2],
    surrogate: Arc<dyn Surrogate>,
}

impl Ratios {
    /// How many tokens have a log-ratio that is at a bound, `[1]`.
    fn num_clamped(&self, mask: Tensor<2, Bool>) -> Tensor<1> {
        let [low, high] = self.bounds;
        let log_ratios = self.log_ratios.clone().inner();
        let clamped = log_ratios.clone().lower_equal_scalar(low).bool_or(log_ratios.greater_equal_scalar(high));
        clamped.bool_and(mask).float().sum()
    }
}

/// A part of the loss with a mean of its own.
#[derive(Debug, Clone)]
struct Term {
    name: &'static str,
    numerator: Tensor<1>,
    denominator: Tensor<1>,
    /// Whether the denominator is that of the whole step already.
    is_global: bool,
}

impl RolloutOutput {
    /// Token losses, and the terms of the loss by name, with the factor of each; the first is what the token losses were
    /// reduced to. Where the batch has [`Totals`], terms are divided by those, unless their denominator is global already.
    ///
    /// # Errors
    /// A shape error naming `losses`; [`crate::Error::MissingTotal`] for a term that the totals lack.
    pub fn new(batch: &RolloutBatch, losses: Tensor<2>, terms: Vec<(&'static str, f64, Reduced)>) -> Result<Self> {
        check_shape("losses", &batch.mask().dims(), &losses.dims())?;
        let mut all = Vec::with_capacity(terms.len());
        let mut sum: Option<Reduced> = None;
        for (name, factor, reduced) in terms {
            all.push(Term {
                name,
                numerator: reduced.numerator.clone().detach(),
                denominator: reduced.denominator.clone(),
                is_global: reduced.is_global,
            });
            let reduced = match batch.totals() {
                Some(totals) if !reduced.is_global => {
                    reduced.over(totals.get(name).ok_or(Error::MissingTotal { name })?)?
                }
                _ => reduced,
            };
            let reduced = if factor == 1.0 { reduced } else { reduced.scaled(factor) };
            sum = Some(match sum {
                Some(sum) => sum.plus(reduced),
                None => reduced,
            });
        }
        let reduced = sum.expect("an objective has at least one term");
        Ok(Self {
            losses,
            reduced,
            terms: all,
            mask: batch.mask(),
            advantages: batch.advantages(),
            drift: (batch.policy() - batch.old()).detach(),
            from_reference: batch.known_reference().map(|reference| (batch.policy() - reference).detach()),
            entropies: batch.known_entropies().map(Tensor::detach),
            ratios: None,
        })
    }

    /// The log-ratios that were exponentiated, `[rows, seq]`, what they are taken of, the bound of their exponent, and the
    /// surrogate that clips them.
    ///
    /// # Errors
    /// A shape error naming `log_ratios`.
    pub fn with_ratios(
        mut self,
        log_ratios: Tensor<2>,
        level: RatioLevel,
        log_ratio_clamp: Option<f64>,
        surrogate: Arc<dyn Surrogate>,
    ) -> Result<Self> {
        check_shape("log_ratios", &self.losses.dims(), &log_ratios.dims())?;
        let bounds = level.bounds(log_ratio_clamp);
        self.ratios = Some(Ratios { log_ratios: log_ratios.detach(), level, bounds, surrogate });
        Ok(self)
    }

    /// The log-ratios that were exponentiated, `[rows, seq]`, where the objective has some.
    pub fn log_ratios(&self) -> Option<Tensor<2>> {
        self.ratios.as_ref().map(|ratios| ratios.log_ratios.clone())
    }

    /// What the means of this batch are divided by; nothing for a denominator that all parts have in common.
    pub(super) fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        let terms = || self.terms.iter().filter(|term| !term.is_global);
        let read = terms().fold(Transaction::default(), |read, term| read.register(term.denominator.clone().inner()));
        for (term, data) in terms().zip(read.execute()) {
            totals.add(term.name, numbers(data)[0]);
        }
        totals
    }

    /// The sum of each row's token losses, `[rows]`.
    pub fn row_losses(&self) -> Tensor<1> {
        masked_sum(self.losses.clone(), self.mask.clone()).expect("the losses have the mask's shape")
    }

    /// Reads what is logged from the device, at once.
    pub fn diagnostics(&self) -> Diagnostics {
        let known = |tensor: &Option<Tensor<2>>| tensor.clone().map(Tensor::inner);
        let floats: Vec<(What, Tensor<2>)> = [
            (What::Drift, Some(self.drift.clone().inner())),
            (What::Advantages, Some(self.advantages.clone().inner())),
            // A token's own ratio is its drift, to which no bound of the exponent matters that any clip could see.
            (
                What::LogRatios,
                self.ratios
                    .as_ref()
                    .filter(|ratios| ratios.level.is_shared())
                    .map(|ratios| ratios.log_ratios.clone().inner()),
            ),
            (What::FromReference, known(&self.from_reference)),
            (What::Entropies, known(&self.entropies)),
        ]
        .into_iter()
        .filter_map(|(what, tensor)| Some((what, tensor?)))
        .collect();
        let mut read = Transaction::default().register(self.mask.clone().inner());
        for (_, tensor) in &floats {
            read = read.register(tensor.clone());
        }
        for term in &self.terms {
            read = read.register(term.numerator.clone().inner()).register(term.denominator.clone().inner());
        }
        if let Some(ratios) = &self.ratios {
            let mask = self.mask.clone().inner();
            read = read.register(ratios.num_clamped(mask.clone())).register(mask.float().sum());
        }
        let mut data = read.execute().into_iter();
        let mut next = || data.next().expect("as many are taken as were registered");
        let mask = next().convert::<bool>();
        let floats: Vec<(What, TensorData)> = floats.into_iter().map(|(what, _)| (what, next())).collect();
        let mask = mask.as_slice().expect("converted to bool");
        let [_, seq] = self.mask.dims();
        let mut diagnostics = match self.drift.dtype() {
            DType::F64 => TokenNumbers::<f64>::new(mask, seq, &floats).diagnostics(self.ratios.as_ref(), f64::exp),
            // More digits of a ratio would say nothing.
            _ => TokenNumbers::<f32>::new(mask, seq, &floats).diagnostics(self.ratios.as_ref(), f32::exp),
        };
        for term in &self.terms {
            diagnostics.means.add(&format!("loss/{}", term.name), numbers(next())[0], numbers(next())[0]);
        }
        if self.ratios.is_some() {
            diagnostics.means.add("policy/clamped", numbers(next())[0], numbers(next())[0]);
        }
        diagnostics
    }
}

#[derive(Clone, Copy, PartialEq)]
enum What {
    Drift,
    Advantages,
    LogRatios,
    FromReference,
    Entropies,
}

/// What is logged of a batch of rollouts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Diagnostics {
    /// Means that merge over micro-batches and devices.
    ///
    /// Over tokens: `policy/ratio`, `policy/advantage`, `policy/advantage_square`, `policy/approx_kl` (of
    /// `log π_old − log π`), `policy/approx_kl_k3` (of `ρ − 1 − log ρ`), `policy/entropy` where entropies are known, and with
    /// a reference `kl/token` (of `log π − log π_ref`). Over rows with a token: `kl/sequence` (its sum), `tokens`. Over all
    /// rows: `frac_empty_rows`. `policy/clip_low`, `policy/clip_high` and `policy/clip_dual` are shares of tokens, or of rows
    /// where the ratio is one of rows; `policy/clamped` is the share of tokens whose log-ratio is at the bound of its
    /// exponent, where a ratio has no gradient. Terms of the loss, before their weights: `loss/policy`, `loss/entropy`, …
    pub means: Means,
    /// The largest ratio of a token to the old policy, 0 without a token.
    pub ratio_max: f64,
    /// The smallest, 0 without a token.
    pub ratio_min: f64,
}

impl Diagnostics {
    /// Adds those of another micro-batch or device.
    pub fn merge(&mut self, other: &Self) {
        let known = |diagnostics: &Self| diagnostics.ratio_max > 0.0;
        if known(other) {
            self.ratio_min = if known(self) { self.ratio_min.min(other.ratio_min) } else { other.ratio_min };
            self.ratio_max = self.ratio_max.max(other.ratio_max);
        }
        self.means.merge(&other.means);
    }

    /// Checks that every token's ratio is 1, as it is before the first update with fresh rollouts.
    ///
    /// # Errors
    /// [`crate::Error::OffPolicy`] naming the likely causes when one differs from 1 by more than `tolerance`.
    pub fn check_on_policy(&self, tolerance: f64) -> Result<()> {
        let tokens = self.ratio_max > 0.0;
        let off = (self.ratio_max - 1.0).abs().max((self.ratio_min - 1.0).abs());
        // Written so that NaN is off, too.
        let is_within = off <= tolerance;
        if tokens && !is_within {
            return Err(Error::OffPolicy { min: self.ratio_min, max: self.ratio_max, tolerance });
        }
        Ok(())
    }
}

/// Numbers of tokens on the host, row by row, in the dtype they came in.
struct TokenNumbers<'a, T> {
    mask: &'a [bool],
    seq: usize,
    drift: &'a [T],
    advantages: &'a [T],
    /// Those of the tokens themselves are their drift.
    log_ratios: Option<&'a [T]>,
    from_reference: Option<&'a [T]>,
    entropies: Option<&'a [T]>,
}

impl<'a, T: Element + Into<f64>> TokenNumbers<'a, T> {
    fn new(mask: &'a [bool], seq: usize, floats: &'a [(What, TensorData)]) -> Self {
        let column = |what| {
            let (_, data) = floats.iter().find(|(known, _)| *known == what)?;
            Some(data.as_slice().expect("a batch has one dtype"))
        };
        Self {
            mask,
            seq,
            drift: column(What::Drift).expect("always read"),
            advantages: column(What::Advantages).expect("always read"),
            log_ratios: column(What::LogRatios),
            from_reference: column(What::FromReference),
            entropies: column(What::Entropies),
        }
    }

    fn diagnostics(&self, ratios: Option<&Ratios>, exp: fn(T) -> T) -> Diagnostics {
        let (mut ratio, mut k3, mut drift, mut advantage, mut square) = (0.0, 0.0, 0.0, 0.0, 0.0);
        let (mut ratio_min, mut ratio_max) = (f64::INFINITY, 0.0f64);
        let (mut entropy, mut kl) = (0.0, 0.0);
        let (mut tokens, mut rows) = (0.0, 0.0);
        let mut clips = [0; 3];
        let mut clip_count = 0;
        let num_rows = self.mask.len() / self.seq.max(1);
        let [mut drifts, mut owns, mut advantages, mut shared]: [Vec<f64>; 4] = Default::default();
        for row in 0..num_rows {
            let mut at = row * self.seq;
            [&mut drifts, &mut owns, &mut advantages, &mut shared].into_iter().for_each(Vec::clear);
            // Run by run: whole slices are faster than single tokens, and most rows have one.
            for run in self.mask[at..at + self.seq].chunk_by(|left, right| left == right) {
                let range = at..at + run.len();
                at = range.end;
                if !run[0] {
                    continue;
                }
                let numbers = |column: &'a [T]| column[range.clone()].iter().copied();
                let sum = |column: Option<&'a [T]>| -> f64 {
                    column.map_or(0.0, |column| numbers(column).map(Into::into).sum())
                };
                drifts.extend(numbers(self.drift).map(Into::into));
                owns.extend(numbers(self.drift).map(|drift| exp(drift).into()));
                advantages.extend(numbers(self.advantages).map(Into::into));
                // One is enough: the row has it in common.
                shared.extend(self.log_ratios.and_then(|column| numbers(column).next()).map(Into::into));
                entropy += sum(self.entropies);
                kl += sum(self.from_reference);
            }
            tokens += drifts.len() as f64;
            rows += f64::from(u8::from(!drifts.is_empty()));
            for ((own, token_drift), token_advantage) in owns.iter().zip(&drifts).zip(&advantages) {
                ratio += own;
                // Not `min` and `max`, whose care for NaN takes half of the time here: no comparison with it holds.
                ratio_min = if *own < ratio_min { *own } else { ratio_min };
                ratio_max = if *own > ratio_max { *own } else { ratio_max };
                // Good to the rounding of a ratio, which is enough for a number that is looked at.
                k3 += own - 1.0 - token_drift;
                drift -= token_drift;
                advantage += token_advantage;
                square += token_advantage * token_advantage;
            }
            let Some(Ratios { surrogate, .. }) = ratios else { continue };
            // A ratio that the row has in common counts once.
            let log_ratios = if self.log_ratios.is_some() { &shared[..shared.len().min(1)] } else { &drifts };
            clip_count += log_ratios.len();
            let clipped = surrogate.count_clipped(log_ratios, &advantages);
            clips.iter_mut().zip(clipped).for_each(|(clips, clipped)| *clips += clipped);
        }
        let mut means = Means::default();
        means.add("policy/ratio", ratio, tokens);
        means.add("policy/approx_kl", drift, tokens);
        means.add("policy/approx_kl_k3", k3, tokens);
        means.add("policy/advantage", advantage, tokens);
        means.add("policy/advantage_square", square, tokens);
        means.add("tokens", tokens, rows);
        means.add("frac_empty_rows", num_rows as f64 - rows, num_rows as f64);
        if self.entropies.is_some() {
            means.add("policy/entropy", entropy, tokens);
        }
        if self.from_reference.is_some() {
            means.add("kl/token", kl, tokens);
            means.add("kl/sequence", kl, rows);
        }
        if ratios.is_some() {
            for clip in [Clipped::Low, Clipped::High, Clipped::Dual] {
                means.add(clip.name(), clips[clip as usize] as f64, clip_count as f64);
            }
        }
        Diagnostics { means, ratio_max, ratio_min: if tokens > 0.0 { ratio_min } else { 0.0 } }
    }
}
