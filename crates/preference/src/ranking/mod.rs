//! Scores of the items of a table, from who beat whom.
//!
//! Everything runs on the host in `f64`. Scores are log-strengths in nats with sum 0 unless a [`Gauge`] says otherwise.
//!
//! | module | what it does |
//! |---|---|
//! | [`newton`](mod@newton) | maximum likelihood or posterior by Newton's method, for any [`Link`](crate::link::Link): **start here** |
//! | [`newman`](mod@newman) | maximum likelihood by Newman's iterations, with ties or without: for large tables and many refits |
//! | [`mm`](mod@mm) | maximum likelihood by minorization-maximization |
//! | [`lsr`](mod@lsr) | Luce spectral ranking of pairs and of rankings, once or iterated to maximum likelihood |
//! | [`rank_centrality`](mod@rank_centrality) | scores from one Markov chain |
//! | [`plackett_luce`](mod@plackett_luce) | scores from ranked lists: full, partial, the best few, with tied places |
//! | [`elo`](mod@elo) | ratings that follow the games one by one |
//! | [`centrality`](mod@centrality) | PageRank and the eigenvector of the graph of wins |
//! | [`annotators`](mod@annotators) | scores with effects of judges and prompts, and ties |
//! | [`contextual`](mod@contextual) | scores beside effects of style, length or any covariate |
//! | [`crowd_bt`](mod@crowd_bt) | scores with reliabilities of judges |
//! | [`dawid_skene`](mod@dawid_skene) | true answers and confusions of judges |
//! | [`glicko`](mod@glicko) | ratings with their uncertainty, period by period |
//! | [`weng_lin`](mod@weng_lin) | Bayesian ratings of matches of two or more, and who should meet next |
//! | [`connectivity`](mod@connectivity) | what to do when comparisons do not connect all items |
//! | [`reweight`](mod@reweight) | pairs that count alike, several sources together |
//! | [`covariance`](mod@covariance) | standard errors: Fisher's, sandwich, by judge |
//! | [`bootstrap`](mod@bootstrap) | intervals of scores, differences and ranks by refits |
//! | [`counting`](mod@counting) | sums of wins, average win rates, Borda's and Copeland's scores |
//! | [`world`](mod@world) | a seeded crowd of judges, with the chances that they judge by |
//!
//! A [`Ranking`] says what came out: scores, and how the fit ended.

pub mod annotators;
pub mod bootstrap;
pub mod centrality;
pub mod connectivity;
pub mod contextual;
pub mod counting;
pub mod covariance;
pub mod crowd_bt;
pub mod dawid_skene;
pub mod elo;
pub mod glicko;
pub mod lsr;
pub mod mm;
pub mod newman;
pub mod newton;
pub mod plackett_luce;
pub mod rank_centrality;
pub mod reweight;
pub mod weng_lin;
pub mod world;

mod chain;
pub(crate) mod choices;
#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
pub(crate) mod laws;
mod strengths;
mod table;

pub use annotators::{AnnotatorConfig, AnnotatorFit, TieModel};
pub use bootstrap::{Bootstrap, BootstrapConfig, Unit};
pub use centrality::PageRankConfig;
pub use contextual::{ContextualConfig, ContextualFit};
pub use covariance::{Covariance, CovarianceConfig, Spread};
pub use crowd_bt::{CrowdBt, CrowdBtConfig};
pub use elo::{EloConfig, Ratings};
pub use lsr::LsrConfig;
pub use mm::MmConfig;
pub use newman::NewmanConfig;
pub use newton::NewtonConfig;
pub use plackett_luce::PlackettLuceConfig;
pub use rank_centrality::RankCentralityConfig;
pub use table::{Gauge, Ranking, Scale};
