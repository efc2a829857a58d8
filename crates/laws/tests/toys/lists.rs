//! Losses on lists, right and wrong.

use accordant_laws::{Evaluated, Loss, Tensors};
use burn::tensor::{Bool, Tensor};

use super::{check_shapes, reduce, softplus, sums};

/// What one gets wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mistake {
    None,
    AbsentCandidatesCounted,
    AbsentScoresRead,
    TiesCompared,
    OrderOfCandidates,
    OnlyNeighbors,
    PairsOfTheBatch,
    ScoresNotDetached,
    LowScoresPreferred,
    WeightOfPairs,
    CandidatesPerList,
}

/// The mean over all pairs of candidates with different scores of a logistic loss with β = 1/2.
#[derive(Debug, Clone, Copy)]
pub struct Lists {
    pub mistake: Mistake,
}

impl Lists {
    fn is(&self, mistake: Mistake) -> bool {
        self.mistake == mistake
    }

    /// Whether the first of two candidates is preferred, by item.
    fn preferred(&self, first: &Tensor<1>, second: &Tensor<1>, places: (usize, usize)) -> Tensor<1, Bool> {
        match self.mistake {
            Mistake::TiesCompared if places.0 < places.1 => first.clone().greater_equal(second.clone()),
            Mistake::LowScoresPreferred => first.clone().lower(second.clone()),
            Mistake::OrderOfCandidates if places.0 < places.1 => first.clone().equal(first.clone()),
            Mistake::OrderOfCandidates => first.clone().not_equal(first.clone()),
            _ => first.clone().greater(second.clone()),
        }
    }
}

impl Loss for Lists {
    fn evaluate(&self, t: &Tensors) -> Result<Evaluated, String> {
        check_shapes(t, &["weights"])?;
        let (n, candidates) = (t.num_items, t.num_responses);
        if n == 0 {
            return Err("a batch without items".to_owned());
        }
        let scores = t.response_columns.get("scores").ok_or("no `scores`")?.clone();
        let scores = if self.is(Mistake::ScoresNotDetached) { scores } else { scores.detach() };
        let absent = t.valid.clone().bool_not();
        let ratios = sums(&t.policy, &t.mask).0 - sums(&t.reference.clone().detach(), &t.mask).0;
        let ratios = match self.is(Mistake::AbsentCandidatesCounted) {
            true => ratios,
            false => ratios.mask_fill(absent.clone(), 0.0),
        };
        let of = |column: &Tensor<1>, k: usize| column.clone().narrow(0, k * n, n);
        let present = |k: usize| match self.mistake {
            Mistake::AbsentCandidatesCounted | Mistake::AbsentScoresRead => t.valid.clone().narrow(0, 0, n),
            _ => t.valid.clone().narrow(0, k * n, n),
        };
        let zeros = || of(&ratios, 0).zeros_like().detach();
        let (mut total, mut pairs) = (zeros(), zeros());
        for i in 0..candidates {
            for j in 0..candidates {
                if i == j || self.is(Mistake::OnlyNeighbors) && i.abs_diff(j) != 1 {
                    continue;
                }
                let (first, second) = (of(&scores, i), of(&scores, j));
                let compared = self.preferred(&first, &second, (i, j));
                let compared = compared.bool_and(present(i)).bool_and(present(j));
                let mut term = softplus((of(&ratios, i) - of(&ratios, j)).neg() * 0.5);
                if self.is(Mistake::ScoresNotDetached) {
                    term = term * (1.0 + first - second);
                }
                total = total + term.mask_fill(compared.clone().bool_not(), 0.0);
                pairs = pairs + compared.float().cast(ratios.dtype());
            }
        }
        let pairs = match self.mistake {
            Mistake::PairsOfTheBatch => pairs.clone().mean().expand([n]),
            Mistake::CandidatesPerList => pairs.zeros_like() + candidates as f64,
            _ => pairs,
        };
        let losses = total / pairs.clone().clamp_min(1.0);
        let weights = t.columns.get("weights").cloned().unwrap_or_else(|| losses.ones_like().detach()).detach();
        let weights = if self.is(Mistake::WeightOfPairs) { weights * pairs } else { weights };
        Ok(reduce(losses, weights))
    }
}
