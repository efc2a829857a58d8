//! The macros, with a stand-in for the crate that they name: a loss on sums and on nothing else.

// `::accordant_objectives` is this file.
extern crate self as accordant_objectives;

use std::collections::BTreeMap;

use accordant_laws::{advantage_laws, laws, listwise_laws, pairwise_laws, rollout_laws, unpaired_laws};
use burn::tensor::{Bool, Device, Tensor};
use toys::{
    lists::{Lists, Mistake as ListMistake},
    pairs::{Form, Mistake, Pairs},
    rollouts::{self as toy, GRPO, LEAVE_ONE_OUT},
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
            tokens: BTreeMap::new(),
            groups: Vec::new(),
            parts: Vec::new(),
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
            tokens: BTreeMap::new(),
            groups: Vec::new(),
            parts: Vec::new(),
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
            tokens: BTreeMap::new(),
            groups: Vec::new(),
            parts: Vec::new(),
            columns: columns.clone(),
            response_columns: response_columns.clone(),
            valid,
            tokens_per_item: None,
        })
    }
}

/// Stands in for `accordant_objectives::rollout`.
pub mod rollout {
    use super::*;

    /// What the real functions return.
    pub struct Output {
        /// As there.
        pub losses: Tensor<1>,
        /// As there.
        pub weights: Tensor<1>,
        /// As there.
        pub loss: Tensor<1>,
        /// As there.
        pub numerator: Tensor<1>,
        /// As there.
        pub denominator: Tensor<1>,
        /// As there.
        pub advantages: Tensor<2>,
    }

    #[expect(clippy::too_many_arguments, reason = "as many as the real function has")]
    /// As the real function: an objective, and what it reads.
    pub fn evaluate_tokens(
        objective: &dyn accordant_laws::Loss,
        policy: Tensor<2>,
        reference: Tensor<2>,
        mask: Tensor<2, Bool>,
        groups: &[u64],
        tokens: &BTreeMap<&'static str, Tensor<2>>,
        columns: &Columns,
        parts: &[Vec<usize>],
    ) -> Result<Output, String> {
        let rows = policy.dims()[0];
        let output = objective.evaluate(&accordant_laws::Tensors {
            valid: Tensor::from_bool(vec![true; rows].as_slice(), &policy.device()),
            num_items: groups.len(),
            num_responses: 1,
            policy,
            reference,
            mask,
            tokens: tokens.clone(),
            groups: groups.to_vec(),
            parts: parts.to_vec(),
            columns: Columns::new(),
            response_columns: columns.clone(),
            tokens_per_item: None,
        })?;
        Ok(Output {
            losses: output.losses,
            weights: output.weights,
            loss: output.loss,
            numerator: output.numerator,
            denominator: output.denominator,
            advantages: output.advantages.expect("toys have advantages"),
        })
    }

    pub use evaluate_tokens as evaluate_estimator;
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

rollout_laws!(
    rollouts_have_laws,
    "grpo",
    GRPO,
    [],
    [Averages(accordant_laws::Mean::Responses), GroupsApart, OnPolicy { factor: 1.0, value: true }],
);

advantage_laws!(advantages_have_laws, "leave one out", LEAVE_ONE_OUT, [], [RewardShiftInvariant, ReferenceFree]);

#[test]
fn a_method_and_its_estimator_are_told_apart() {
    let (method, estimator) = (accordant_laws::rollout_loss!(GRPO), accordant_laws::advantage_loss!(toy::WHITENED));
    let names = |subject| accordant_laws::law_names(&subject);
    let method = names(accordant_laws::Subject::rollouts("grpo", &method));
    let estimator = names(accordant_laws::Subject::advantages("whitened", &estimator));
    let old = |names: &[String]| names.iter().any(|name| name == "`old` is read");
    assert!(old(&method) && !old(&estimator));
}
