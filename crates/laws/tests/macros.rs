//! The macros, with a stand-in for the crate that they name: a loss on sums and on nothing else.

// `::accordant_objectives` is this file.
extern crate self as accordant_objectives;

use std::collections::BTreeMap;

use accordant_laws::{laws, listwise_laws, pairwise_laws, unpaired_laws};
use burn::tensor::{Bool, Device, Tensor};
use toys::{
    lists::{Lists, Mistake as ListMistake},
    pairs::{Form, Mistake, Pairs},
    singles::{Form as SingleForm, Mistake as SingleMistake, Singles},
};

mod toys;

type Columns = BTreeMap<&'static str, Tensor<1>>;

/// Stands in for `accordant_objectives::pairwise`.
pub mod pairwise {
    use super::*;

    /// As the real function: an objective, and what it reads.
    pub fn evaluate_tokens(
        objective: &dyn accordant_laws::Loss,
        policy: Tensor<2>,
        reference: Tensor<2>,
        mask: Tensor<2, Bool>,
        columns: &Columns,
        mean_tokens: Option<&[f64]>,
    ) -> Result<accordant_laws::Evaluated, String> {
        let valid = Tensor::from_bool(vec![true; policy.dims()[0]].as_slice(), &policy.device());
        let num_items = policy.dims()[0] / 2;
        let (columns, response_columns) = (columns.clone(), Columns::new());
        let num_responses = 2;
        objective.evaluate(&accordant_laws::Tensors {
            policy,
            reference,
            mask,
            columns,
            response_columns,
            valid,
            num_items,
            num_responses,
            tokens_per_item: mean_tokens.and_then(|means| means.first().copied()),
        })
    }
}

/// Stands in for `accordant_objectives::unpaired`.
pub mod unpaired {
    use super::*;

    /// As the real function: an objective, and what it reads.
    pub fn evaluate_tokens(
        objective: &dyn accordant_laws::Loss,
        policy: Tensor<2>,
        reference: Tensor<2>,
        mask: Tensor<2, Bool>,
        desirable: Tensor<1, Bool>,
        columns: &Columns,
        tokens_per_item: Option<f64>,
    ) -> Result<accordant_laws::Evaluated, String> {
        let valid = Tensor::from_bool(vec![true; policy.dims()[0]].as_slice(), &policy.device());
        let mut columns = columns.clone();
        columns.insert("desirable", desirable.float().cast(policy.dtype()));
        objective.evaluate(&accordant_laws::Tensors {
            num_items: policy.dims()[0],
            num_responses: 1,
            policy,
            reference,
            mask,
            columns,
            response_columns: Columns::new(),
            valid,
            tokens_per_item,
        })
    }
}

/// Stands in for `accordant_objectives::listwise`.
pub mod listwise {
    use super::*;

    #[expect(clippy::too_many_arguments, reason = "as many as the real function has")]
    /// As the real function: an objective, and what it reads.
    pub fn evaluate_tokens(
        objective: &dyn accordant_laws::Loss,
        policy: Tensor<2>,
        reference: Tensor<2>,
        mask: Tensor<2, Bool>,
        valid: Tensor<1, Bool>,
        num_candidates: usize,
        columns: &Columns,
        response_columns: &Columns,
    ) -> Result<accordant_laws::Evaluated, String> {
        objective.evaluate(&accordant_laws::Tensors {
            num_items: policy.dims()[0] / num_candidates,
            num_responses: num_candidates,
            policy,
            reference,
            mask,
            columns: columns.clone(),
            response_columns: response_columns.clone(),
            valid,
            tokens_per_item: None,
        })
    }
}

const DPO: Pairs = Pairs { form: Form::Dpo, beta: 0.5, mistake: Mistake::None };

laws!(any_loss_has_laws, accordant_laws::Subject::pairwise("dpo", &DPO).on(Device::flex()));

pairwise_laws!(pairs_have_laws, "dpo", DPO, [], [ShiftInvariant, MarginShifts { beta: 0.5 }, AtReference(2f64.ln())]);

pairwise_laws!(
    a_law_can_be_left_out,
    "dpo in f32",
    Pairs::new(Form::Dpo, Mistake::NaiveSoftplus),
    [],
    [DecreasingInChosen],
    except "f32" because "written for f64",
    except "finite" because "written for small margins",
    except "finite differences" because "and once more"
);

unpaired_laws!(
    singles_have_laws,
    "kto",
    Singles { form: SingleForm::Baseline, mistake: SingleMistake::None },
    ["kl" => Real(-2.0, 2.0)],
    [BatchStatistics, DecreasingInDesirable],
);

listwise_laws!(lists_have_laws, "list", Lists { mistake: ListMistake::None }, [], [TiesSayNothing]);
