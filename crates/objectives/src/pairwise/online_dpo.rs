//! Online DPO: pairs that the current policy wrote and a judge or a reward model ranked.
//!
//! **Paper:** Direct Language Model Alignment from Online AI Feedback (2024), 2402.04792.
//! **Use when:** a judge can be asked during training: on-policy pairs keep their meaning as the policy moves.
//! **Checked by:** the laws, golden numbers (TRL), hand-worked rankings, equality with DPO and IPO.
//! **Deviations:** a score that is NaN is a failed judgment. The loss with a square is on sums, as in TRL.

use accordant_ops::{SequenceLogps, check_domain, check_shape};
use burn::{
    config::Config,
    tensor::{Int, Tensor, TensorData},
};

use super::{
    Method, PairBatch, PairLogps, PairOutput, PairValues, PairwiseObjective, check_beta, dpo::dpo_loss, ipo::ipo_loss,
};
use crate::Result;

/// Two rows of a batch of responses, ranked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RankedRows {
    /// The row of the better response.
    pub chosen: usize,
    /// The row of the other.
    pub rejected: usize,
}

/// Ranks two responses to each of `n` prompts by score. Prompt `i` has the rows `i` and `i + n`.
///
/// The first wins a tie. `missing_eos_penalty`, if any, is subtracted from the score of a response that did not end by
/// itself (`ended` is false) before ranking. A prompt with a NaN among its scores is left out: its judgment failed.
///
/// # Errors
/// A shape error for an odd number of `scores`, or another number of `ended`; a domain error unless the penalty is
/// finite and ≥ 0.
///
/// # Example
/// ```
/// use accordant_objectives::pairwise::online_dpo::{RankedRows, rank_by_score};
/// // Two prompts; the second one's better response was cut off.
/// let ranked = rank_by_score(&[1.0, 5.0, 1.0, 4.5], &[true, false, true, true], Some(1.0))?;
/// assert_eq!(ranked, [RankedRows { chosen: 0, rejected: 2 }, RankedRows { chosen: 3, rejected: 1 }]);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
pub fn rank_by_score(scores: &[f64], ended: &[bool], missing_eos_penalty: Option<f64>) -> Result<Vec<RankedRows>> {
    let prompts = scores.len() / 2;
    check_shape("scores", &[2 * prompts], &[scores.len()])?;
    check_shape("ended", &[scores.len()], &[ended.len()])?;
    let penalty = missing_eos_penalty.unwrap_or(0.0);
    check_domain(penalty.is_finite() && penalty >= 0.0, "missing_eos_penalty", "finite and >= 0", penalty)?;
    let score = |row: usize| if ended[row] { scores[row] } else { scores[row] - penalty };
    let judgments = (0..prompts).map(|prompt| match score(prompt).partial_cmp(&score(prompt + prompts)) {
        None => -1,
        Some(std::cmp::Ordering::Less) => 1,
        Some(_) => 0,
    });
    rank_by_judgment(&judgments.collect::<Vec<_>>())
}

/// Ranks two responses to each of `n` prompts by a judge's verdict: 0 when the first is better, 1 when the second is, −1
/// when the judgment failed, which leaves the prompt out. Prompt `i` has the rows `i` and `i + n`.
///
/// # Errors
/// A domain error naming `judgments` for any other number.
///
/// # Example
/// ```
/// use accordant_objectives::pairwise::online_dpo::{RankedRows, rank_by_judgment};
/// assert_eq!(rank_by_judgment(&[-1, 1])?, [RankedRows { chosen: 3, rejected: 1 }]);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
pub fn rank_by_judgment(judgments: &[i64]) -> Result<Vec<RankedRows>> {
    let prompts = judgments.len();
    let mut ranked = Vec::with_capacity(prompts);
    for (prompt, &judgment) in judgments.iter().enumerate() {
        match judgment {
            0 => ranked.push(RankedRows { chosen: prompt, rejected: prompt + prompts }),
            1 => ranked.push(RankedRows { chosen: prompt + prompts, rejected: prompt }),
            _ => check_domain(judgment == -1, "judgments", "0, 1 or -1", judgment as f64)?,
        }
    }
    Ok(ranked)
}

/// The pairs that a ranking makes of the log-probabilities of a batch of responses.
///
/// # Shapes
/// `logps`: one entry for each row that `ranked` speaks of; the result has one pair for each entry of `ranked`.
///
/// # Errors
/// A domain error naming `ranked` for a row that does not exist.
///
/// # Example
/// ```
/// use accordant_objectives::SequenceLogps;
/// use accordant_objectives::pairwise::online_dpo::{rank_by_score, ranked_pairs};
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let rows = |values: [f32; 2]| Tensor::<1>::from_floats(values, &device);
/// let logps = SequenceLogps::new(rows([-3.0, -8.0]), rows([2.0, 4.0]))?;
/// let pairs = ranked_pairs(&logps, &rank_by_score(&[0.0, 1.0], &[true; 2], None)?)?;
/// assert_eq!(pairs.chosen.sum.into_scalar::<f32>(), -8.0);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
pub fn ranked_pairs(logps: &SequenceLogps, ranked: &[RankedRows]) -> Result<PairLogps> {
    let rows = logps.len();
    for row in ranked.iter().flat_map(|pair| [pair.chosen, pair.rejected]) {
        check_domain(row < rows, "ranked", "rows of `logps`", row as f64)?;
    }
    if ranked.is_empty() {
        let none = logps.narrow(0, 0)?;
        return PairLogps::new(none.clone(), none);
    }
    let side = |row: fn(&RankedRows) -> usize| {
        let rows: Vec<i64> = ranked.iter().map(|pair| row(pair) as i64).collect();
        let rows = Tensor::<1, Int>::from_data(TensorData::from(rows.as_slice()), &logps.sum.device());
        let pick = |values: &Tensor<1>| values.clone().select(0, rows.clone());
        SequenceLogps { sum: pick(&logps.sum), mean: pick(&logps.mean), count: pick(&logps.count) }
    };
    PairLogps::new(side(|pair| pair.chosen), side(|pair| pair.rejected))
}

/// The loss on ranked pairs of an online method.
#[derive(Config, Debug, Copy, PartialEq)]
pub enum OnlineLoss {
    /// `−log σ(h)`: DPO's.
    Sigmoid,
    /// `(D − 1/(2β))²` of the difference `D` of **summed** log-ratios: IPO's on sums.
    Ipo,
}

impl OnlineLoss {
    /// The loss of each pair, `[n]`, from summed log-ratios; see [`dpo_loss`] and [`ipo_loss`].
    ///
    /// # Errors
    /// A shape error when there is not one log-ratio for each response of `batch`.
    pub fn losses(self, batch: &PairBatch, ratios: PairValues, beta: f64) -> Result<Tensor<1>> {
        match self {
            Self::Sigmoid => dpo_loss(batch, ratios, beta, 0.0),
            Self::Ipo => ipo_loss(batch, ratios, beta),
        }
    }
}

/// Configuration of [`OnlineDpo`].
#[derive(Config, Debug, PartialEq)]
pub struct OnlineDpoConfig {
    /// Strength of the KL pull, finite and > 0. 0.1: TRL's.
    #[config(default = 0.1)]
    pub beta: f64,
    /// The loss. `Sigmoid`: the paper's main experiments and TRL.
    #[config(default = "OnlineLoss::Sigmoid")]
    pub loss: OnlineLoss,
}

impl OnlineDpoConfig {
    /// Checks the fields.
    ///
    /// # Errors
    /// A domain error naming the field.
    pub fn init(&self) -> Result<OnlineDpo> {
        check_beta(self.beta)?;
        Ok(OnlineDpo { config: self.clone() })
    }
}

/// The online DPO objective: [`OnlineLoss`] on pairs that [`rank_by_score`] or [`rank_by_judgment`] made. Rewards are
/// `beta` times the log-ratio.
#[doc(alias = "2402.04792")]
#[doc(alias = "Direct Language Model Alignment from Online AI Feedback")]
#[doc(alias = "OAIF")]
#[derive(Debug, Clone, PartialEq)]
pub struct OnlineDpo {
    config: OnlineDpoConfig,
}

/// `online_dpo` by name.
pub const METHOD: Method = Method {
    name: "online_dpo",
    title: "Online DPO",
    build: |options| Ok(Box::new(options.apply("online_dpo", OnlineDpoConfig::new())?.init()?)),
};

impl PairwiseObjective for OnlineDpo {
    fn forward(&self, batch: &PairBatch) -> Result<PairOutput> {
        let OnlineDpoConfig { beta, loss } = self.config;
        Ok(PairOutput::new(loss.losses(batch, batch.log_ratios("online_dpo")?, beta)?, batch, beta))
    }
}

#[cfg(test)]
mod tests {
    use accordant_laws::{Property, Subject, Tensors, laws};
    use burn::tensor::Device;

    use super::*;
    use crate::pairwise::tests::{column, evaluated, grad_of_policy, logps, spec_batch};

    fn online(loss: OnlineLoss) -> OnlineDpo {
        OnlineDpoConfig::new().with_loss(loss).init().unwrap()
    }

    fn rows(chosen: usize, rejected: usize) -> RankedRows {
        RankedRows { chosen, rejected }
    }

    #[test]
    fn the_higher_score_wins_and_the_first_wins_a_tie() {
        let ranked = rank_by_score(&[1.0, 2.0, 3.0, 2.0, 2.0, 1.0], &[true; 6], None).unwrap();
        assert_eq!(ranked, [rows(3, 0), rows(1, 4), rows(2, 5)]);
        assert_eq!(rank_by_score(&[], &[], None).unwrap(), []);
    }

    #[test]
    fn a_response_that_did_not_end_is_punished_before_ranking() {
        let rank = |ended: [bool; 2], penalty| rank_by_score(&[2.0, 1.5], &ended, penalty).unwrap();
        assert_eq!(rank([false, true], Some(1.0)), [rows(1, 0)]);
        assert_eq!(rank([false, true], Some(0.5)), [rows(0, 1)], "a tie after the penalty");
        assert_eq!(rank([false, false], Some(1.0)), [rows(0, 1)]);
        assert_eq!(rank([true, false], Some(1.0)), [rows(0, 1)]);
        assert_eq!(rank([false, true], None), [rows(0, 1)]);
    }

    #[test]
    fn failed_judgments_are_dropped() {
        assert_eq!(rank_by_judgment(&[0, -1, 1]).unwrap(), [rows(0, 3), rows(5, 2)]);
        let scores = [f64::NAN, 1.0, 0.0, 1.0, f64::NAN, f64::INFINITY];
        assert_eq!(rank_by_score(&scores, &[true; 6], None).unwrap(), [rows(5, 2)]);
    }

    #[test]
    fn what_is_no_ranking_is_an_error_that_names_it() {
        let fail =
            |scores: &[f64], ended: &[bool], penalty| rank_by_score(scores, ended, penalty).unwrap_err().to_string();
        assert_eq!(fail(&[1.0; 3], &[true; 3], None), "`scores`: expected shape [2], got [3]");
        assert_eq!(fail(&[1.0; 2], &[true; 3], None), "`ended`: expected shape [2], got [3]");
        for bad in [-1.0, f64::NAN, f64::INFINITY] {
            let expected = format!("`missing_eos_penalty`: expected finite and >= 0, got {bad}");
            assert_eq!(fail(&[1.0; 2], &[true; 2], Some(bad)), expected);
        }
        for bad in [2, -2] {
            let error = rank_by_judgment(&[bad]).unwrap_err().to_string();
            assert_eq!(error, format!("`judgments`: expected 0, 1 or -1, got {bad}"));
        }
    }

    #[test]
    fn a_ranking_picks_its_rows() {
        let responses = logps(&[-1.0, -2.0, -3.0, -4.0], &[1.0, 2.0, 3.0, 8.0]);
        let pairs = ranked_pairs(&responses, &[rows(3, 1), rows(0, 2)]).unwrap();
        assert_eq!((column(&pairs.chosen.sum), column(&pairs.rejected.sum)), (vec![-4.0, -1.0], vec![-2.0, -3.0]));
        assert_eq!((column(&pairs.chosen.mean), column(&pairs.chosen.count)), (vec![-0.5, -1.0], vec![8.0, 1.0]));
        assert!(ranked_pairs(&responses, &[]).unwrap().is_empty());
        for bad in [rows(4, 0), rows(0, 4)] {
            let error = ranked_pairs(&responses, &[bad]).unwrap_err().to_string();
            assert_eq!(error, "`ranked`: expected rows of `logps`, got 4");
        }
    }

    #[test]
    fn losses_are_those_of_dpo_and_of_ipo_on_sums() {
        let loss = |kind| column(&online(kind).forward(&spec_batch()).unwrap().losses)[0];
        assert!((loss(OnlineLoss::Sigmoid) - 0.6209570478).abs() < 1e-10);
        assert!((loss(OnlineLoss::Ipo) - 12.25).abs() < 1e-12);
        let (chosen, rejected) = grad_of_policy(&spec_batch(), &online(OnlineLoss::Sigmoid));
        assert!((chosen[0] + 0.0462570155).abs() < 1e-10 && (rejected[0] - 0.0462570155).abs() < 1e-10);
        let (chosen, rejected) = grad_of_policy(&spec_batch(), &online(OnlineLoss::Ipo));
        assert!((chosen[0] + 7.0).abs() < 1e-12 && (rejected[0] - 7.0).abs() < 1e-12);
    }

    #[test]
    fn defaults_and_rewards() {
        assert_eq!(OnlineDpoConfig::new().loss, OnlineLoss::Sigmoid);
        let output = OnlineDpoConfig::new().init().unwrap().forward(&spec_batch()).unwrap();
        assert!((column(&output.chosen_rewards)[0] - 0.1).abs() < 1e-15);
        let free = PairBatch::new(spec_batch().policy().clone());
        let error = online(OnlineLoss::Ipo).forward(&free).unwrap_err().to_string();
        assert_eq!(error, "`online_dpo` needs the reference's log-probabilities, and the batch has none");
        assert!(OnlineDpoConfig::new().with_beta(f64::NAN).init().unwrap_err().to_string().starts_with("`beta`"));
    }

    laws!(
        laws_hold,
        Subject::pairwise("online_dpo", &|t: &Tensors| evaluated(&online(OnlineLoss::Sigmoid), t, &[]))
            .on(Device::flex())
            .declare(Property::LabelProbMixes)
            .declare(Property::MarginShifts { beta: 0.1 })
            .declare(Property::ShiftInvariant)
            .declare(Property::DecreasingInChosen)
            .declare(Property::IncreasingInRejected)
            .declare(Property::ConvexInMargin)
            .declare(Property::SwapDifference(0.1))
            .declare(Property::AtReference(std::f64::consts::LN_2))
            .declare(Property::LowerBound(0.0))
    );

    laws!(
        laws_hold_for_ipo,
        Subject::pairwise("online_dpo ipo", &|t: &Tensors| evaluated(&online(OnlineLoss::Ipo), t, &[]))
            .on(Device::flex())
            .declare(Property::LabelProbMixes)
            .declare(Property::MarginShifts { beta: 0.1 })
            .declare(Property::ShiftInvariant)
            .declare(Property::ConvexInMargin)
            .declare(Property::SwapDifference(20.0))
            .declare(Property::AtReference(25.0))
            .declare(Property::LowerBound(0.0))
    );
}
