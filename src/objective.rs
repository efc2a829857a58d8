//! Any objective by its name, trained on pairs.
//!
//! The families consume different data; pairs can be read as each of them: as pairs, as single responses of which the
//! chosen one is desirable, or as lists of two. So one command line can offer every method.

use crate::{
    data::tokens::{TokenList, TokenPair, TokenSingle},
    lm::CausalLm,
    objectives::{
        Error, Options,
        listwise::{self, ListwiseObjective},
        pairwise::{self, Extra, PairwiseObjective, Term},
        unpaired::{self, UnpairedObjective},
    },
    train::{
        self, ListTask, Observer, PairTask, SingleTask, TrainConfig, list_logps, pair_logps, single_logps, train_lists,
        train_pairs, train_singles,
    },
};
use burn::{module::Module, tensor::Device};

/// An objective of any family.
#[derive(Debug)]
pub enum Objective {
    /// On pairs.
    Pairs(Box<dyn PairwiseObjective>),
    /// On single responses.
    Singles(Box<dyn UnpairedObjective>),
    /// On lists.
    Lists(Box<dyn ListwiseObjective>),
}

impl Objective {
    /// The names of all methods, family by family.
    pub fn names() -> Vec<&'static str> {
        let pairs = pairwise::methods().iter().map(|method| method.name);
        let singles = unpaired::methods().iter().map(|method| method.name);
        pairs.chain(singles).chain(listwise::methods().iter().map(|method| method.name)).collect()
    }

    /// The method called `name`, with `options` in place of its defaults.
    ///
    /// # Errors
    /// [`Error::UnknownMethod`] lists the methods there are; errors of the options and of the method's configuration.
    ///
    /// # Example
    /// ```
    /// use accordant::{objective::Objective, objectives::Options};
    /// assert!(matches!(Objective::build("kto", &Options::new())?, Objective::Singles(_)));
    /// assert!(Objective::names().contains(&"plackett_luce"));
    /// # Ok::<(), accordant::objectives::Error>(())
    /// ```
    pub fn build(name: &str, options: &Options) -> Result<Self, Error> {
        if pairwise::methods().iter().any(|method| method.name == name) {
            return Ok(Self::Pairs(pairwise::build(name, options)?));
        }
        if unpaired::methods().iter().any(|method| method.name == name) {
            return Ok(Self::Singles(unpaired::build(name, options)?));
        }
        if listwise::methods().iter().any(|method| method.name == name) {
            return Ok(Self::Lists(listwise::build(name, options)?));
        }
        Err(Error::UnknownMethod { got: name.to_owned(), known: Self::names() })
    }

    /// Whether it compares with a reference policy.
    pub fn needs_reference(&self) -> bool {
        match self {
            Self::Pairs(objective) => objective.needs_reference(),
            Self::Singles(objective) => objective.needs_reference(),
            Self::Lists(objective) => objective.needs_reference(),
        }
    }

    /// The third responses to each prompt that it reads.
    pub fn extras(&self) -> Vec<Extra> {
        match self {
            Self::Pairs(objective) => objective.extras(),
            _ => Vec::new(),
        }
    }

    /// The losses computed elsewhere that it adds; with one it cannot be trained by [`Objective::train`].
    pub fn terms(&self) -> Vec<Term> {
        match self {
            Self::Pairs(objective) => objective.terms(),
            _ => Vec::new(),
        }
    }

    /// Trains `model` on pairs, read as the family's data. `reference` is the frozen model that is compared with, on a
    /// plain device: `model.valid()` of the model that training starts from.
    ///
    /// A list has the chosen response with score 1 and the rejected one with score 0; its reference answer is the pair's
    /// third response `gold`, or else the chosen one, with score 1. Columns of candidates are log-probabilities under
    /// another policy in every method there is; the reference stands for it. Single responses and lists have no margin,
    /// and lists no label probability: those of the pairs are left out.
    ///
    /// # Errors
    /// As the loops: [`train_pairs`], [`train_singles`], [`train_lists`].
    #[expect(clippy::too_many_arguments, reason = "what a run is made of")]
    pub fn train<M: Module + CausalLm>(
        &self,
        model: M,
        reference: &M,
        pairs: &[TokenPair],
        config: &TrainConfig,
        phase: &str,
        observer: &mut dyn Observer,
        device: &Device,
    ) -> train::Result<M> {
        config.validate()?;
        let (rows, plain) = (config.micro_batch_size, device.clone().without_autodiff());
        match self {
            Self::Pairs(objective) => {
                let cache = pair_logps(reference, pairs, rows, &plain)?;
                let task = PairTask { pairs, reference: Some(&cache), objective: &**objective, phase, device };
                train_pairs(model, &task, config, observer)
            }
            Self::Singles(objective) => {
                let singles = TokenSingle::of_pairs(pairs);
                let cache = single_logps(reference, &singles, rows, &plain)?;
                let task =
                    SingleTask { singles: &singles, reference: Some(&cache), objective: &**objective, phase, device };
                train_singles(model, &task, config, observer)
            }
            Self::Lists(objective) => {
                let mut lists: Vec<_> = pairs.iter().map(list_of_pair).collect();
                let cache = list_logps(reference, &lists, rows, &plain)?;
                for column in objective.candidate_columns() {
                    for (list, logps) in lists.iter_mut().zip(&cache.lists) {
                        list.candidate_columns.insert(column.name.to_owned(), logps.sums.clone());
                    }
                }
                let task = ListTask { lists: &lists, reference: Some(&cache), objective: &**objective, phase, device };
                train_lists(model, &task, config, observer)
            }
        }
    }
}

fn list_of_pair(pair: &TokenPair) -> TokenList {
    let answer = pair.extras.get("gold").unwrap_or(&pair.chosen).clone();
    let candidates = vec![pair.chosen.clone(), pair.rejected.clone()];
    TokenList {
        weight: pair.weight,
        columns: pair.columns.clone(),
        answer: Some((answer, 1.0)),
        ..TokenList::new(pair.id.clone(), pair.prompt.clone(), candidates, vec![1.0, 0.0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_methods_have_one_name_and_each_is_found() {
        let mut names = Objective::names();
        for name in &names {
            Objective::build(name, &Options::new()).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count, "{names:?}");
        let error = Objective::build("nonesuch", &Options::new()).unwrap_err().to_string();
        assert!(error.starts_with("no method is called `nonesuch`; there are: ") && error.contains("kto"), "{error}");
    }
}
