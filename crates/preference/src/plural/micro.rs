//! Mixture modeling and context-aware routing (MiCRo): heads for kinds of preferences, weighed by the context.
//!
//! **Paper:** MiCRo: Mixture Modeling and Context-aware Routing for Personalized Preference Learning (2025), 2505.24846.
//! **Use when:** what is preferred depends on a context that a prompt shows, nobody labeled which kind each pair is of, and a
//! user or a task can give a few pairs later.
//! **Checked by:** a seeded world of two opposite contexts, one head being Bradley-Terry, derivatives, both faces tied.
//! **Deviations:** heads score by `Σ_k w_k r_k`; the released evaluation is [`released_scores`]. On the host heads and router
//! are fitted to the optimum, with normal priors in place of early stopping.

use accordant_ops::{
    check_domain, check_dtype, check_shape,
    host::{self, log_sigmoid, log_sum_exp, logistic},
    stable,
};
use burn::{config::Config, tensor::Tensor};
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use super::{
    hedge::{check_simplex, head_losses, reweighted},
    pairs::{Chooser, Items, Term, terms},
    routed::RoutedHeads,
};
use crate::{
    Comparisons, Error, Nll, Report, Result,
    error::{check_finite, check_length, check_record},
    optimize::Solver,
    pairwise::PairScores,
    random::{Purpose, stream},
};

/// Losses of routed heads, one per pair.
///
/// ```text
/// ℓ = −log Σ_k w_k σ(d_k) + λ_b Σ_k w_k log w_k
/// ```
///
/// # Shapes
/// As [`RoutedHeads`]; the result: `[n]`, in nats. `pairs` is [`RoutedHeads::scores`] with what was said of them; `balance`
/// (λ_b) is finite and ≥ 0. The second term is each prompt's own: it does not balance how often heads are used
/// ([`usage_penalty`] does).
///
/// # Errors
/// As [`RoutedHeads::outcomes`].
///
/// # Example
/// ```
/// use accordant_preference::plural::{micro::micro_losses, routed::RoutedHeads};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let first = Tensor::from_floats([[3f32.ln(), 0.0]], &device);
/// let heads = RoutedHeads::new(first.clone(), first.zeros_like(), first.zeros_like())?;
/// // Chances ¾ and ½ with even weights, whose entropy is ln 2.
/// let loss = micro_losses(&heads, &heads.scores()?, 0.5)?.into_scalar::<f32>();
/// assert!((loss + 0.625f32.ln() + 0.5 * 2f32.ln()).abs() < 1e-6);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "2505.24846")]
#[doc(alias = "MiCRo")]
pub fn micro_losses(heads: &RoutedHeads, pairs: &PairScores, balance: f64) -> Result<Tensor<1>> {
    Ok(heads.outcomes(pairs)?.losses(pairs) - heads.entropies() * balance)
}

/// Configuration of [`MicroLoss`].
#[derive(Config, Debug, PartialEq)]
pub struct MicroLossConfig {
    /// The weight of the routers' negative entropy, λ_b, finite and ≥ 0. 0.5: the released code's.
    #[config(default = 0.5)]
    pub balance: f64,
}

impl MicroLossConfig {
    /// Checks the field.
    ///
    /// # Errors
    /// A domain error naming it.
    pub fn init(&self) -> Result<MicroLoss> {
        let balance = self.balance;
        check_domain(balance.is_finite() && balance >= 0.0, "balance", "finite and >= 0", balance)?;
        Ok(MicroLoss { balance })
    }
}

/// The loss of the first stage; see [`micro_losses`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MicroLoss {
    balance: f64,
}

impl MicroLoss {
    /// Losses with what every loss of pairs logs, by the mixed scores, and `router_entropy`.
    ///
    /// # Errors
    /// As [`micro_losses`].
    pub fn forward(&self, heads: &RoutedHeads, pairs: &PairScores) -> Result<Nll> {
        pairs.nll(micro_losses(heads, pairs, self.balance)?)?.with_metric("router_entropy", heads.entropies())
    }
}

/// How unevenly the heads are used over all prompts: `KL(mean_x w(x) ‖ uniform)` in nats, 0 when each is used as much as
/// every other. `[1]`.
///
/// # Errors
/// A domain error naming `log_weights` `[n, K]` when there is no prompt or no head.
///
/// # Example
/// ```
/// use accordant_preference::plural::micro::usage_penalty;
/// use burn::tensor::{Device, Tensor};
/// let weights = Tensor::<2>::from_floats([[1.0, 0.0], [0.0, 1.0]], &Device::flex()); // uneven each, even together
/// assert!(usage_penalty(weights.log())?.into_scalar::<f32>().abs() < 1e-6);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn usage_penalty(log_weights: Tensor<2>) -> Result<Tensor<1>> {
    let [n, k] = log_weights.dims();
    check_domain(n * k > 0, "log_weights", "a prompt and a head", (n * k) as f64)?;
    let mean = log_weights.exp().mean_dim(0).squeeze_dim::<1>(0);
    Ok(stable::x_log_x(mean).sum() + (k as f64).ln())
}

/// What keeps heads apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum HeadPenalty {
    /// `Σ_{j<k} |⟨v_j, v_k⟩|`: right angles.
    Orthogonality,
    /// `mean_k |‖v_k‖ − 1|`: unit lengths.
    Length,
    /// `Σ_{j<k} |corr(v_j, v_k)|` over coordinates; heads that are constant have none.
    Correlation,
}

impl HeadPenalty {
    /// The penalty of heads `[K, h]`; `[1]`. The released code offers all three with weight 0.
    ///
    /// # Errors
    /// A domain error naming `heads` when there is no number in them.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::plural::micro::HeadPenalty;
    /// use burn::tensor::{Device, Tensor};
    /// let heads = Tensor::<2>::from_floats([[3.0, 4.0], [-1.0, 0.0]], &Device::flex());
    /// assert_eq!(HeadPenalty::Orthogonality.of(heads.clone())?.into_scalar::<f32>(), 3.0);
    /// assert_eq!(HeadPenalty::Length.of(heads)?.into_scalar::<f32>(), 2.0); // (4 + 0)/2
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn of(self, heads: Tensor<2>) -> Result<Tensor<1>> {
        let [k, h] = heads.dims();
        check_domain(k * h > 0, "heads", "a number", (k * h) as f64)?;
        let diagonal = Tensor::<2>::eye(k, &heads.device()).equal_scalar(1.0);
        // Each pair is there twice, once in either order.
        let off_diagonal = |products: Tensor<2>| products.abs().mask_fill(diagonal, 0.0).sum() * 0.5;
        Ok(match self {
            Self::Orthogonality => off_diagonal(heads.clone().matmul(heads.transpose())),
            Self::Length => {
                let squares = heads.square().sum_dim(1);
                let none = squares.clone().equal_scalar(0.0);
                // No root of 0, whose derivative is infinite.
                let lengths = squares.mask_fill(none.clone(), 1.0).sqrt().mask_fill(none, 0.0);
                (lengths - 1.0).abs().mean()
            }
            Self::Correlation => {
                let centered = heads.clone() - heads.mean_dim(1);
                let squares = centered.clone().square().sum_dim(1);
                let flat = squares.clone().equal_scalar(0.0);
                let units = centered / squares.mask_fill(flat, 1.0).sqrt();
                off_diagonal(units.clone().matmul(units.transpose()))
            }
        })
    }
}

/// The scores of the released evaluation, `Σ_k w_k log σ(r_k)`: monotone in each head, but not the same after a shift of
/// its scores.
///
/// # Shapes
/// `scores` and `log_weights`: `[n, K]`; the result: `[n]`.
///
/// # Errors
/// A shape or dtype error naming `log_weights`.
pub fn released_scores(scores: Tensor<2>, log_weights: Tensor<2>) -> Result<Tensor<1>> {
    check_shape("log_weights", &scores.dims(), &log_weights.dims())?;
    check_dtype("log_weights", scores.dtype(), log_weights.dtype())?;
    Ok((log_weights.exp() * stable::log_sigmoid(scores)).sum_dim(1).squeeze_dim(1))
}

/// A linear router: logits of the heads' weights from the context.
///
/// ```text
/// w(x) = softmax(G x + b)
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Router {
    /// G, `[K, context]`.
    pub coefficients: Vec<Vec<f64>>,
    /// b, `[K]`.
    pub biases: Vec<f64>,
}

impl Router {
    /// From `K` rows of coefficients with the bias at the end of each.
    fn from_rows(rows: &[f64], width: usize) -> Self {
        let rows = rows.chunks_exact(width + 1);
        Self {
            coefficients: rows.clone().map(|row| row[..width].to_vec()).collect(),
            biases: rows.map(|row| row[width]).collect(),
        }
    }

    /// The weights of the heads in a context.
    ///
    /// # Errors
    /// [`Error::Length`] naming `context`, or `biases` or `coefficients` of a router that was put together by hand;
    /// [`Error::Empty`] for one without a head.
    pub fn weights(&self, context: &[f64]) -> Result<Vec<f64>> {
        let Some(first) = self.coefficients.first() else {
            return Err(Error::Empty { name: "coefficients", reason: "no head" });
        };
        check_length("context", first.len(), context.len())?;
        check_length("biases", self.coefficients.len(), self.biases.len())?;
        self.coefficients.iter().try_for_each(|row| check_length("coefficients", first.len(), row.len()))?;
        let logit = |(row, bias): (&Vec<f64>, &f64)| bias + row.iter().zip(context).map(|(g, x)| g * x).sum::<f64>();
        Ok(host::softmax(&self.coefficients.iter().zip(&self.biases).map(logit).collect::<Vec<_>>()))
    }
}

fn check_contexts(contexts: &[Vec<f64>], expected: usize) -> Result<usize> {
    check_length("contexts", expected, contexts.len())?;
    let width = contexts.first().map_or(0, Vec::len);
    for (row, context) in contexts.iter().enumerate() {
        check_length("contexts", width, context.len())?;
        context.iter().try_for_each(|&x| check_record(x.is_finite(), row, "contexts", "a finite number", x))?;
    }
    Ok(width)
}

/// `G x + b`, with the bias at the end of each row.
fn logits(rows: &[f64], context: &[f64]) -> Vec<f64> {
    let logit = |row: &[f64]| row[context.len()] + row.iter().zip(context).map(|(g, x)| g * x).sum::<f64>();
    rows.chunks_exact(context.len() + 1).map(logit).collect()
}

/// Adds what slopes by the logits are by the router's rows.
fn pull_back(slopes: &[f64], context: &[f64], gradient: &mut [f64]) {
    for (row, slope) in gradient.chunks_exact_mut(context.len() + 1).zip(slopes) {
        row.iter_mut().zip(context.iter().chain([&1.0])).for_each(|(g, x)| *g += slope * x);
    }
}

/// Configuration of MiCRo on the host.
///
/// ```text
/// minimize  Σ_n w_n [ −log Σ_k w_k(x_n) σ(d_nk) + balance Σ_k w_k log w_k ] + ½ head_prior ‖V‖² + ½ router_prior ‖(G, b)‖²
/// ```
#[derive(Config, Debug, PartialEq)]
pub struct MicroConfig {
    /// How many heads, K ≥ 1; the paper's experiments take 10.
    pub num_heads: usize,
    /// The weight of the router's negative entropy, λ_b, finite and ≥ 0. 0.5: the released code's.
    #[config(default = 0.5)]
    pub balance: f64,
    /// The precision of a normal prior on each coefficient of each head, finite and ≥ 0. 1: ours.
    #[config(default = 1.0)]
    pub head_prior: f64,
    /// The precision of a normal prior on each coefficient and bias of the router, finite and ≥ 0. 1: ours.
    #[config(default = 1.0)]
    pub router_prior: f64,
    /// How the fit runs. L-BFGS: ours.
    #[config(default = "Solver::Lbfgs { gradient: 1e-5, max_iterations: 1000 }")]
    pub solver: Solver,
    /// From how many starts, ≥ 1; the best is kept. 5: ours, as of mixtures by EM.
    #[config(default = 5)]
    pub restarts: usize,
    /// The seed of the starts.
    #[config(default = 0)]
    pub seed: u64,
}

impl MicroConfig {
    /// Fits heads and router to pairs with a context each, `[pairs, context]`: the first stage.
    ///
    /// # Errors
    /// A domain error naming a field; [`Error::Length`] naming `items` or `contexts`; [`Error::Record`] for a number in a
    /// context that is not finite; [`Error::Empty`] without a pair of weight > 0.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::{Comparisons, Outcome, plural::{Items, micro::MicroConfig}};
    /// let (mut judged, mut contexts) = (Comparisons::new(2), Vec::new());
    /// for (context, outcome) in [(1.0, Outcome::First), (-1.0, Outcome::Second)] {
    ///     judged.push_weighted(0, 1, outcome, 30.0)?;
    ///     contexts.push(vec![context]);
    /// }
    /// let micro = MicroConfig::new(2).with_balance(0.0).with_head_prior(0.1).with_router_prior(0.1)
    ///     .fit(&Items::table(2), &judged, &contexts)?;
    /// assert!(micro.chooser(&[1.0])?.first_wins(0, 1)? > 0.8 && micro.chooser(&[-1.0])?.first_wins(0, 1)? < 0.2);
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn fit(&self, items: &Items, judged: &Comparisons, contexts: &[Vec<f64>]) -> Result<Micro> {
        let Self { num_heads, balance, head_prior, router_prior, solver, restarts, seed } = *self;
        check_domain(num_heads >= 1, "num_heads", ">= 1", num_heads as f64)?;
        for (name, value) in [("balance", balance), ("head_prior", head_prior), ("router_prior", router_prior)] {
            check_domain(value.is_finite() && value >= 0.0, name, "finite and >= 0", value)?;
        }
        check_domain(restarts >= 1, "restarts", ">= 1", restarts as f64)?;
        solver.check()?;
        items.check(judged.num_items())?;
        let width = check_contexts(contexts, judged.len())?;
        let problem = Problem {
            items,
            // The records' own numbers, since those without weight are left out.
            rows: judged
                .records()
                .iter()
                .enumerate()
                .filter(|(_, record)| record.weight > 0.0)
                .map(|(row, _)| row)
                .collect(),
            terms: terms(judged, 0).collect(),
            contexts,
            num_heads,
            config: self,
        };
        if problem.terms.is_empty() {
            return Err(Error::Empty { name: "judged", reason: "no pair of weight > 0" });
        }
        let mut best: Option<(Vec<f64>, Report)> = None;
        for start in 0..restarts as u32 {
            let mut rng = stream(seed, Purpose::Start, start);
            let mut normal = |scale: f64| -> f64 {
                scale * <StandardNormal as Distribution<f64>>::sample(&StandardNormal, &mut rng)
            };
            let heads: Vec<f64> =
                (0..num_heads * items.dim()).map(|_| normal((items.dim() as f64).sqrt().recip())).collect();
            let router = (0..num_heads * (width + 1)).map(|_| normal(0.1));
            let found = solver
                .minimize(|at, gradient| problem.evaluate(at, gradient), heads.into_iter().chain(router).collect());
            // The first of the best, and any number rather than none.
            if best.as_ref().is_none_or(|best| best.1.objective.is_nan() || found.1.objective < best.1.objective) {
                best = Some(found);
            }
        }
        let (at, report) = best.expect("there is a start");
        check_finite("heads", &at)?;
        let (heads, router) = at.split_at(num_heads * items.dim());
        let heads: Vec<Vec<f64>> = heads.chunks_exact(items.dim()).map(<[f64]>::to_vec).collect();
        let scores = heads.iter().map(|head| items.scores_of(head)).collect();
        Ok(Micro { heads, router: Router::from_rows(router, width), report, scores })
    }
}

struct Problem<'a> {
    items: &'a Items,
    rows: Vec<usize>,
    terms: Vec<Term>,
    contexts: &'a [Vec<f64>],
    num_heads: usize,
    config: &'a MicroConfig,
}

impl Problem<'_> {
    fn evaluate(&self, at: &[f64], gradient: &mut [f64]) -> f64 {
        let (dim, k) = (self.items.dim(), self.num_heads);
        let (heads, router) = at.split_at(k * dim);
        let (by_head, by_router) = gradient.split_at_mut(k * dim);
        let mut value = 0.0;
        for (part, slopes, prior) in
            [(heads, &mut *by_head, self.config.head_prior), (router, &mut *by_router, self.config.router_prior)]
        {
            value += 0.5 * prior * part.iter().map(|x| x * x).sum::<f64>();
            slopes.iter_mut().zip(part).for_each(|(g, x)| *g = prior * x);
        }
        let scores: Vec<Vec<f64>> = heads.chunks_exact(dim).map(|head| self.items.scores_of(head)).collect();
        let mut by_score = vec![vec![0.0; self.items.len()]; k];
        for (term, &row) in self.terms.iter().zip(&self.rows) {
            let context = &self.contexts[row];
            let logits = logits(router, context);
            let total = log_sum_exp(&logits);
            let log_weights: Vec<f64> = logits.iter().map(|logit| logit - total).collect();
            let leads: Vec<f64> = scores.iter().map(|scores| scores[term.first] - scores[term.second]).collect();
            // What each side would say of the heads, and its log-chance.
            let side = |sign: f64| {
                let joint: Vec<f64> = log_weights.iter().zip(&leads).map(|(w, d)| w + log_sigmoid(sign * d)).collect();
                (host::softmax(&joint), log_sum_exp(&joint))
            };
            let ((first, log_first), (second, log_second)) = (side(1.0), side(-1.0));
            let (t, weight, balance) = (term.share, term.weight, self.config.balance);
            let negentropy: f64 = log_weights.iter().map(|log| log.exp() * log).sum();
            value += weight * (balance * negentropy - t * log_first - (1.0 - t) * log_second);
            let by_logit: Vec<f64> = (0..k)
                .map(|head| {
                    let own = log_weights[head].exp();
                    let routed = own - t * first[head] - (1.0 - t) * second[head];
                    weight * (routed + balance * own * (log_weights[head] - negentropy))
                })
                .collect();
            pull_back(&by_logit, context, by_router);
            for head in 0..k {
                let slope = (1.0 - t) * second[head] * logistic(leads[head]) - t * first[head] * logistic(-leads[head]);
                by_score[head][term.first] += weight * slope;
                by_score[head][term.second] -= weight * slope;
            }
        }
        for (by_score, by_head) in by_score.iter().zip(by_head.chunks_exact_mut(dim)) {
            self.items.pull_back(by_score, by_head);
        }
        value
    }
}

/// Fitted heads and router.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Micro {
    /// The coefficients of each head, `[K, dim]`.
    pub heads: Vec<Vec<f64>>,
    /// What weighs them.
    pub router: Router,
    /// How the fit of the start that was kept ended.
    pub report: Report,
    scores: Vec<Vec<f64>>,
}

impl Micro {
    /// How the items are seen in a context: by each head with the router's weights. [`Chooser::mean_scores`] is the score
    /// of the specification, `Σ_k w_k r_k`.
    ///
    /// # Errors
    /// [`Error::Length`] naming `context`.
    pub fn chooser(&self, context: &[f64]) -> Result<Chooser> {
        Chooser::new(self.router.weights(context)?, self.scores.clone())
    }

    /// The same for somebody who judged these pairs in this context: the second stage, by Hedge from the router's weights on.
    /// No pair gives [`Micro::chooser`]. A `rate` of 1 (the default of the specification) gives the posterior of the heads.
    ///
    /// # Errors
    /// [`Error::Length`] naming `context` or `items`; a domain error naming `rate`, finite and ≥ 0.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::{Comparisons, Outcome, plural::{Items, micro::MicroConfig}};
    /// let (mut judged, mut contexts) = (Comparisons::new(2), Vec::new());
    /// for (context, outcome) in [(1.0, Outcome::First), (-1.0, Outcome::Second)] {
    ///     judged.push_weighted(0, 1, outcome, 30.0)?;
    ///     contexts.push(vec![context]);
    /// }
    /// let micro = MicroConfig::new(2).with_balance(0.0).with_head_prior(0.1).with_router_prior(0.1)
    ///     .fit(&Items::table(2), &judged, &contexts)?;
    /// // A context that says nothing, and a user who chooses the second item thrice.
    /// let mut own = Comparisons::new(2);
    /// own.push_win(1, 0, 3.0)?;
    /// assert!(micro.adapt(&[0.0], &own, 1.0)?.first_wins(0, 1)? < 0.2);
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    #[doc(alias = "Hedge")]
    pub fn adapt(&self, context: &[f64], judged: &Comparisons, rate: f64) -> Result<Chooser> {
        let prior = self.router.weights(context)?;
        let weights = reweighted(&prior, &head_losses(&self.scores, judged)?, rate)?;
        Chooser::new(weights, self.scores.clone())
    }
}

/// Configuration of a router that is fitted to weights: the end of the second stage.
///
/// ```text
/// minimize  Σ_n CE(target_n, softmax(G x_n + b)) + ½ prior ‖(G, b)‖²
/// ```
///
/// On tensors that is [`cross_entropies`](accordant_ops::distribution::categorical::cross_entropies).
#[derive(Config, Debug, PartialEq)]
pub struct RouterConfig {
    /// The precision of a normal prior on each coefficient and bias, finite and > 0: where contexts tell the targets apart,
    /// nothing else bounds them. 1: ours.
    #[config(default = 1.0)]
    pub prior: f64,
    /// How the fit runs. L-BFGS: ours.
    #[config(default = "Solver::Lbfgs { gradient: 1e-8, max_iterations: 1000 }")]
    pub solver: Solver,
}

impl RouterConfig {
    /// Fits a router to contexts `[n, context]` and the heads' weights there, `[n, K]`.
    ///
    /// # Errors
    /// A domain error naming a field or `targets` for a sum that is not 1; [`Error::Empty`] without a context,
    /// [`Error::Length`] and [`Error::Record`] naming `contexts` or `targets`.
    pub fn fit(&self, contexts: &[Vec<f64>], targets: &[Vec<f64>]) -> Result<(Router, Report)> {
        check_domain(self.prior.is_finite() && self.prior > 0.0, "prior", "finite and > 0", self.prior)?;
        self.solver.check()?;
        if contexts.is_empty() {
            return Err(Error::Empty { name: "contexts", reason: "no context" });
        }
        let width = check_contexts(contexts, contexts.len())?;
        check_length("targets", contexts.len(), targets.len())?;
        let k = targets[0].len();
        for target in targets {
            check_length("targets", k, target.len())?;
            check_simplex("targets", target)?;
        }
        let evaluate = |at: &[f64], gradient: &mut [f64]| {
            gradient.iter_mut().zip(at).for_each(|(g, x)| *g = self.prior * x);
            let mut value = 0.5 * self.prior * at.iter().map(|x| x * x).sum::<f64>();
            for (context, target) in contexts.iter().zip(targets) {
                let logits = logits(at, context);
                let total = log_sum_exp(&logits);
                value -= target.iter().zip(&logits).map(|(target, logit)| target * (logit - total)).sum::<f64>();
                let slopes: Vec<f64> =
                    logits.iter().zip(target).map(|(logit, target)| (logit - total).exp() - target).collect();
                pull_back(&slopes, context, gradient);
            }
            value
        };
        let (at, report) = self.solver.minimize(evaluate, vec![0.0; k * (width + 1)]);
        Ok((Router::from_rows(&at, width), report))
    }
}

#[cfg(test)]
mod tests;
