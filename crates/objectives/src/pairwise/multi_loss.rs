//! Weighted sum of pairwise objectives on one batch (MultiLoss).
//!
//! **Paper:** Enhancing the Reasoning Ability of Multimodal Large Language Models via Mixed Preference Optimization
//! (2024), 2411.10442: `dpo:0.8,bco_pair:0.2,sft:1` is its MPO.
//! **Use when:** one loss alone neglects something that another cares for.
//! **Checked by:** golden numbers (TRL's lists of losses), sums of the members' own values and gradients, RPO.
//! **Deviations:** none. Each member has its own settings, where TRL shares one `beta`.

use std::collections::BTreeMap;

use accordant_ops::check_domain;
use burn::config::Config;

use super::{Extra, Method, PairBatch, PairOutput, PairwiseObjective, Term, build, wrapped::merged};
use crate::{Error, Options, Result, State, side::Column};

/// `Σ weight · loss` over objectives that read one batch: a forward pass of the policy serves them all.
///
/// ```text
/// loss = Σ_k w_k loss_k
/// ```
///
/// Weights and scales of the batch apply to every member. Label probabilities, margins and `betas` go to the members that
/// have a use for them; one that no member takes is an error. The rewards are the first member's. Each member's loss is
/// logged as `loss/label`; what else it logs keeps its name, or stands behind the label (`label/name`) where two members
/// log under one name. Numbers that members carry from batch to batch are kept apart by label.
///
/// # Example
/// ```
/// use accordant_objectives::pairwise::{PairBatch, PairLogps, PairwiseObjective};
/// use accordant_objectives::pairwise::{dpo::DpoConfig, multi_loss::MultiLoss, sft::SftConfig};
/// use accordant_objectives::SequenceLogps;
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let one = |x: f32| Tensor::<1>::from_floats([x], &device);
/// let logps = |x| SequenceLogps::new(one(x), one(2.0));
/// let pairs = PairLogps::new(logps(-6.0)?, logps(-8.0)?)?;
/// let batch = PairBatch::new(pairs.clone()).with_reference(pairs)?;
/// let dpo = MultiLoss::new("dpo", 2.0, Box::new(DpoConfig::new().init()?))?;
/// let objective = dpo.with("sft", 0.5, Box::new(SftConfig::new().init()?))?;
/// // 2 · ln 2, and half of three nats a token.
/// let loss = objective.forward(&batch)?.losses.into_scalar::<f32>();
/// assert!((loss - (2.0 * 2f32.ln() + 1.5)).abs() < 1e-6);
/// # Ok::<(), accordant_objectives::Error>(())
/// ```
#[doc(alias = "2411.10442")]
#[doc(alias = "MPO")]
#[doc(alias = "Mixed Preference Optimization")]
#[derive(Debug)]
pub struct MultiLoss {
    members: Vec<Member>,
}

#[derive(Debug)]
struct Member {
    label: String,
    weight: f64,
    objective: Box<dyn PairwiseObjective>,
}

impl MultiLoss {
    /// A sum of one.
    ///
    /// # Errors
    /// A domain error naming `weight` unless it is finite and ≥ 0.
    pub fn new(label: &str, weight: f64, objective: Box<dyn PairwiseObjective>) -> Result<Self> {
        Self { members: Vec::new() }.with(label, weight, objective)
    }

    /// Adds a member. The second one of a label is called `label-2`, and so on.
    ///
    /// # Errors
    /// As [`MultiLoss::new`].
    pub fn with(mut self, label: &str, weight: f64, objective: Box<dyn PairwiseObjective>) -> Result<Self> {
        check_domain(weight.is_finite() && weight >= 0.0, "weight", "finite and >= 0", weight)?;
        self.members.push(Member { label: self.unused(label), weight, objective });
        Ok(self)
    }

    /// `label`, numbered if a member has it.
    fn unused(&self, label: &str) -> String {
        let mut names = std::iter::once(label.to_owned()).chain((2..).map(|number| format!("{label}-{number}")));
        let free = names.find(|name| self.members.iter().all(|member| member.label != *name));
        free.expect("there is always another number")
    }

    /// What `f` makes of each member and the batch as that member takes it.
    fn each<T>(&self, batch: &PairBatch, mut f: impl FnMut(&Member, &PairBatch) -> Result<T>) -> Result<Vec<T>> {
        let mut refusals = BTreeMap::<_, Vec<Error>>::new();
        let mut all = Vec::new();
        for member in &self.members {
            let mut taken = batch.clone().with_state(batch.state().scoped(&member.label));
            all.push(loop {
                match f(member, &taken) {
                    Err(error @ Error::NotTaken { name, .. }) if remove(&mut taken, name) => {
                        refusals.entry(name).or_default().push(error);
                    }
                    result => break result?,
                }
            });
        }
        let nobodys = refusals.into_values().find(|errors| errors.len() == self.members.len());
        match nobodys.and_then(|errors| errors.into_iter().next()) {
            Some(error) => Err(error),
            None => Ok(all),
        }
    }
}

/// Takes a hook out of the batch, if it is there and is one that a member may do without.
fn remove(batch: &mut PairBatch, hook: &str) -> bool {
    let values = match hook {
        "label_probs" => batch.label_probs.take(),
        "margins" => batch.margins.take(),
        "betas" => batch.betas.take(),
        _ => None,
    };
    values.is_some()
}

/// Configuration of [`MultiLoss`] by name.
#[derive(Config, Debug, PartialEq)]
pub struct MultiLossConfig {
    /// The members, separated by commas, each a method's name and after a colon its weight, finite and ≥ 0; 1 without.
    /// DPO and the likelihood of the chosen response: Llama 3's recipe, with its weight.
    #[config(default = "String::from(\"dpo:1,sft:0.2\")")]
    pub members: String,
}

impl MultiLossConfig {
    /// Builds the members, each from its defaults.
    ///
    /// # Errors
    /// As [`MultiLossConfig::init_with`].
    pub fn init(&self) -> Result<MultiLoss> {
        self.init_with(&Options::new())
    }

    /// Builds the members; `options` are their settings, `dpo.beta` the `beta` of `dpo`, `dpo-2.beta` that of the second.
    ///
    /// # Errors
    /// [`Error::OptionValue`] naming `members` for a text of another form, [`Error::UnknownMethod`] for an unknown
    /// method, [`Error::UnknownOption`] for a setting of none of them; a domain error naming `weight`; errors of the
    /// members' configurations.
    pub fn init_with(&self, options: &Options) -> Result<MultiLoss> {
        let mut sum = MultiLoss { members: Vec::new() };
        let mut rest = options.clone();
        for member in self.members.split(',') {
            let (name, weight) = member.split_once(':').unwrap_or((member, "1"));
            let (name, Ok(weight)) = (name.trim(), weight.trim().parse::<f64>()) else {
                let expected = "methods and weights like `dpo:0.8,sft:1`".to_owned();
                return Err(Error::OptionValue { name: "members".into(), expected, got: self.members.clone() });
            };
            let (own, others) = rest.nested(&sum.unused(name));
            sum = sum.with(name, weight, build(name, &own)?)?;
            rest = others;
        }
        // Nothing is left but the setting of this configuration itself.
        rest.apply("multi_loss", self.clone())?;
        Ok(sum)
    }
}

/// `multi_loss` by name.
pub const METHOD: Method = Method {
    name: "multi_loss",
    title: "Weighted sum of objectives",
    build: |options| {
        let (own, others) = options.split(|name| name == "members");
        Ok(Box::new(own.apply("multi_loss", MultiLossConfig::new())?.init_with(&others)?))
    },
};

impl PairwiseObjective for MultiLoss {
    fn needs_reference(&self) -> bool {
        self.members.iter().any(|member| member.objective.needs_reference())
    }

    fn columns(&self) -> Vec<Column> {
        self.members.iter().fold(Vec::new(), |columns, member| merged(columns, member.objective.columns()))
    }

    fn terms(&self) -> Vec<Term> {
        self.members.iter().fold(Vec::new(), |terms, member| merged(terms, member.objective.terms()))
    }

    fn extras(&self) -> Vec<Extra> {
        let mut extras: Vec<Extra> = Vec::new();
        for extra in self.members.iter().flat_map(|member| member.objective.extras()) {
            match extras.iter_mut().find(|known| known.name == extra.name) {
                Some(known) => known.needs_reference |= extra.needs_reference,
                None => extras.push(extra),
            }
        }
        extras
    }

    fn uses_batch_statistics(&self) -> bool {
        self.members.iter().any(|member| member.objective.uses_batch_statistics())
    }

    fn observe(&self, state: &mut State, batch: &PairBatch) -> Result<()> {
        self.each(batch, |member, batch| {
            let mut part = state.scoped(&member.label);
            member.objective.observe(&mut part, batch)?;
            state.set_scoped(&member.label, part);
            Ok(())
        })?;
        Ok(())
    }

    fn forward(&self, batch: &PairBatch) -> Result<PairOutput> {
        let outputs = self.each(batch, |member, batch| member.objective.forward(batch))?;
        let parts = self.members.iter().zip(outputs).map(|(member, output)| (&*member.label, member.weight, output));
        Ok(PairOutput::sum(parts.collect()).expect("there is a member by construction"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Domain,
        pairwise::{
            columns::REWARD_GAPS,
            madpo::MadpoConfig,
            rpo::RpoConfig,
            sft::{NllScope, PROMPT_AND_CHOSEN, SftConfig},
            tests::{column, grad_of_policy, spec_batch, tensor},
        },
    };

    fn by_name(members: &str) -> Box<dyn PairwiseObjective> {
        build("multi_loss", &Options::new().with("members", members)).unwrap()
    }

    fn loss(objective: &dyn PairwiseObjective, batch: &PairBatch) -> f64 {
        column(&objective.forward(batch).unwrap().losses)[0]
    }

    const DPO: f64 = 0.6209570478;

    #[test]
    fn the_sum_by_hand() {
        // 1.2 nats a token.
        let objective = by_name("dpo:0.8, sft:2");
        assert!((loss(&*objective, &spec_batch()) - (0.8 * DPO + 2.4)).abs() < 1e-10);
        let output = objective.forward(&spec_batch()).unwrap();
        let means = output.means();
        assert!((means.mean("loss/dpo").unwrap() - DPO).abs() < 1e-10, "without its weight");
        assert!((means.mean("loss/sft").unwrap() - 1.2).abs() < 1e-12);
        assert!((column(&output.chosen_rewards)[0] - 0.1).abs() < 1e-15, "the first member's");
        let swapped = by_name("sft:2,dpo").forward(&spec_batch()).unwrap();
        assert_eq!(column(&swapped.chosen_rewards), [-12.0]);
        assert!((column(&swapped.losses)[0] - (DPO + 2.4)).abs() < 1e-10, "a weight of 1 goes without saying");
    }

    #[test]
    fn the_default_is_rpo() {
        let rpo = RpoConfig::new().init().unwrap();
        let multi = MultiLossConfig::new().init().unwrap();
        assert!((loss(&multi, &spec_batch()) - loss(&rpo, &spec_batch())).abs() < 1e-14);
        let (own, other) = (grad_of_policy(&spec_batch(), &multi), grad_of_policy(&spec_batch(), &rpo));
        assert!((own.0[0] - other.0[0]).abs() < 1e-14 && (own.1[0] - other.1[0]).abs() < 1e-14);
    }

    #[test]
    fn members_have_their_own_settings() {
        let options =
            Options::new().with("members", "dpo,dpo:2").with("dpo.beta", 1).with("dpo-2.label_smoothing", 0.1);
        let objective = build("multi_loss", &options).unwrap();
        let expected = (-1.5f64).exp().ln_1p() + 2.0 * (DPO + 0.015);
        assert!((loss(&*objective, &spec_batch()) - expected).abs() < 1e-9);
        let means = objective.forward(&spec_batch()).unwrap().means();
        assert!((means.mean("loss/dpo-2").unwrap() - (DPO + 0.015)).abs() < 1e-9);
    }

    #[test]
    fn hooks_go_to_the_members_that_take_them() {
        let objective = by_name("sft,dpo");
        let batch = spec_batch().with_label_probs(tensor(&[0.9])).unwrap().with_margins(tensor(&[0.15])).unwrap();
        assert!((loss(&*objective, &batch) - (1.2 + 2f64.ln())).abs() < 1e-12);
        let batch = spec_batch().with_betas(tensor(&[1.0])).unwrap();
        assert!((loss(&*objective, &batch) - (1.2 + (-1.5f64).exp().ln_1p())).abs() < 1e-12);
        for batch in [
            spec_batch().with_label_probs(tensor(&[0.9])),
            spec_batch().with_margins(tensor(&[0.9])),
            spec_batch().with_betas(tensor(&[0.9])),
        ] {
            let error = by_name("sft,sft").forward(&batch.unwrap()).unwrap_err().to_string();
            assert!(error.starts_with("`sft` cannot take `"), "{error}");
        }
    }

    #[test]
    fn weights_and_scales_are_every_members() {
        let batch = spec_batch().with_weights(tensor(&[3.0])).unwrap().with_scales(tensor(&[0.5])).unwrap();
        let output = by_name("dpo:0.8,sft:2").forward(&batch).unwrap();
        assert!((column(&output.losses)[0] - 0.5 * (0.8 * DPO + 2.4)).abs() < 1e-10);
        assert_eq!(column(&output.weights), [3.0]);
    }

    /// A member that refuses weights, reads a third response under the reference, and logs two numbers.
    #[derive(Debug)]
    struct Odd;

    impl PairwiseObjective for Odd {
        fn needs_reference(&self) -> bool {
            false
        }

        fn columns(&self) -> Vec<Column> {
            vec![REWARD_GAPS, Column { name: "other", domain: Domain::Real, meaning: "something" }]
        }

        fn extras(&self) -> Vec<Extra> {
            vec![Extra { needs_reference: true, ..PROMPT_AND_CHOSEN }]
        }

        fn observe(&self, state: &mut State, batch: &PairBatch) -> Result<()> {
            batch.refuse("odd", &["margins"], "odd")?;
            state.set("seen", state.get("seen").unwrap_or(0.0) + 1.0);
            Ok(())
        }

        fn forward(&self, batch: &PairBatch) -> Result<PairOutput> {
            batch.refuse("odd", &["weights"], "odd")?;
            let seen = batch.policy().sums().chosen * 0.0 + batch.state().get("seen").unwrap_or(0.0);
            let output = PairOutput::new(seen.clone(), batch, 1.0);
            output.with_metric("madpo/weight", seen.clone() + 7.0)?.with_metric("seen", seen)
        }
    }

    fn odd() -> MultiLoss {
        let madpo = MadpoConfig::new().init().unwrap();
        MultiLoss::new("madpo", 1.0, Box::new(madpo)).unwrap().with("odd", 1.0, Box::new(Odd)).unwrap()
    }

    #[test]
    fn what_members_need_is_needed_once() {
        let names: Vec<_> = odd().columns().iter().map(|column| column.name).collect();
        assert_eq!(names, ["reward_gaps", "other"]);
        assert!(odd().needs_reference() && odd().uses_batch_statistics());
        assert!(!by_name("sft").needs_reference() && !by_name("sft").uses_batch_statistics());
        let sft = SftConfig::new().with_scope(NllScope::PromptAndCompletion).init().unwrap();
        let both = MultiLoss::new("sft", 1.0, Box::new(sft)).unwrap().with("odd", 1.0, Box::new(Odd)).unwrap();
        assert_eq!(both.extras(), [Extra { needs_reference: true, ..PROMPT_AND_CHOSEN }]);
        assert_eq!(by_name("sft").extras(), []);
        let twice = by_name("spo_degree,sft,spo_degree").terms();
        assert_eq!(twice, build("spo_degree", &Options::new()).unwrap().terms());
    }

    #[test]
    fn metrics_of_one_name_are_kept_apart_and_so_is_what_members_carry() {
        let batch = spec_batch().with_column(REWARD_GAPS, tensor(&[0.5])).unwrap();
        let mut state = State::default();
        for _ in 0..2 {
            odd().observe(&mut state, &batch.clone().with_margins(tensor(&[0.0])).unwrap()).unwrap();
        }
        assert_eq!(state.get("odd/seen"), Some(2.0));
        assert_eq!(state.get("madpo/madpo/reward_gap_mean"), Some(0.5));
        let output = odd().forward(&batch.clone().with_state(state)).unwrap();
        let means = output.means();
        assert_eq!(means.mean("madpo/madpo/weight"), Some(1.0), "the margin is the mean");
        assert_eq!((means.mean("odd/madpo/weight"), means.mean("seen")), (Some(9.0), Some(2.0)));
        assert_eq!(means.mean("madpo/weight"), None);
        // Weights are no hook that a member may do without.
        let error = odd().forward(&batch.with_weights(tensor(&[1.0])).unwrap()).unwrap_err().to_string();
        assert_eq!(error, "`odd` cannot take `weights`: odd");
    }

    #[test]
    fn a_member_that_lacks_something_says_so() {
        let error = odd().forward(&spec_batch()).unwrap_err().to_string();
        assert!(error.starts_with("`madpo` needs `reward_gaps`"), "{error}");
    }

    #[test]
    fn senseless_lists_are_refused_by_name() {
        let error = |options: Options| build("multi_loss", &options).unwrap_err().to_string();
        let members = |members: &str| Options::new().with("members", members);
        for text in ["dpo:much", "dpo:", "dpo:1:2"] {
            let expected = format!("`members`: expected methods and weights like `dpo:0.8,sft:1`, got {text}");
            assert_eq!(error(members(text)), expected);
        }
        for text in ["dpo:-1", "dpo:NaN", "dpo:inf"] {
            assert!(error(members(text)).starts_with("`weight`: expected finite and >= 0"), "{text}");
        }
        for text in ["", "dpo,", "nonesuch:1"] {
            assert!(error(members(text)).starts_with("no method is called `"), "{text}");
        }
        let unknown = error(members("dpo").with("ipo.beta", 1));
        assert_eq!(unknown, "`multi_loss` has no option `ipo.beta`; it has: members");
        assert!(error(members("dpo").with("dpo.betta", 1)).starts_with("`dpo` has no option `betta`"));
        assert!(error(members("dpo").with("dpo.beta", -1)).starts_with("`beta`"));
        by_name("dpo:0,sft");
        assert_eq!(MultiLossConfig::new().members, "dpo:1,sft:0.2");
    }

    accordant_laws::pairwise_laws!(
        multi_loss_obeys_the_laws,
        "multi_loss",
        MultiLossConfig { members: "dpo:0.8,bco_pair:0.2,sft:1".into() }.init().unwrap(),
        [],
        [LowerBound(0.0), DecreasingInChosen, IncreasingInRejected, ConvexInMargin]
    );
}
