//! AlphaPO: [`simpo`](super::simpo) with a reward of another shape.
//!
//! **Paper:** AlphaPO: Reward Shape Matters for LLM Alignment (2025), 2501.03884.
//! **Use when:** SimPO lets the likelihood of chosen responses fall (α > 0 pulls unlikely responses harder).
//! **Checked by:** a value by hand, the limit α → 0 to SimPO; golden numbers (TRL) through [`super::simpo`], the laws
//! of the family.
//! **Deviations:** the transform takes the exponential of a capped exponent, so that every finite input has a finite
//! loss; the metric `n_score_clamped` counts what was capped. TRL's `alpha` works on probabilities and overflows.

use super::{Method, simpo::SimPoConfig};

/// [`SimPoConfig`] with `alpha` 0.25, `beta` 2.5 and `gamma_beta_ratio` 0.1.
///
/// ```text
/// r(y) = β (1 − e^{−αa})/α,   a = log π(y|x)/|y|;   loss = softplus(γ − (r(y_w) − r(y_l)))
/// ```
///
/// `alpha` and `beta` are the paper's for Mistral-Instruct (table 3, as quoted by TRL's documentation);
/// `gamma_beta_ratio` is what SimPO's authors use for that model. The option `alpha` of [`super::cpo`] applies the transform
/// to CPO's losses.
///
/// # Example
/// ```
/// use accordant_objectives::pairwise::alphapo::config;
/// assert_eq!(config().alpha, Some(0.25));
/// ```
#[doc(alias = "2501.03884")]
#[doc(alias = "AlphaPO: Reward Shape Matters for LLM Alignment")]
pub fn config() -> SimPoConfig {
    SimPoConfig::new().with_alpha(Some(0.25)).with_beta(2.5).with_gamma_beta_ratio(0.1)
}

/// `alphapo` by name.
pub const METHOD: Method = Method {
    name: "alphapo",
    title: "AlphaPO: SimPO with a reward of another shape",
    build: |options| Ok(Box::new(options.apply("alphapo", config())?.init()?)),
};

#[cfg(test)]
mod tests {
    use crate::{
        Options,
        pairwise::{
            build,
            tests::{column, spec_batch},
        },
    };

    #[test]
    fn values_by_hand() {
        let output = |options| build("alphapo", &options).unwrap().forward(&spec_batch()).unwrap();
        // a_w = −1.2, a_l = −1.25: (1 − e^0.3)/0.25 = −1.399435, (1 − e^0.3125)/0.25 = −1.467370;
        // h = 2.5 · 0.067935 − 0.25.
        let (w, l) = ((1.0 - 0.3f64.exp()) / 0.25, (1.0 - 0.3125f64.exp()) / 0.25);
        let h = 2.5 * (w - l) - 0.25;
        let plain = output(Options::new());
        assert!((column(&plain.losses)[0] - (1.0 + (-h).exp()).ln()).abs() < 1e-12);
        assert!((column(&plain.chosen_rewards)[0] - 2.5 * w).abs() < 1e-12, "rewards are transformed");
        assert!((column(&plain.rejected_rewards)[0] - 2.5 * l).abs() < 1e-12);
        assert_eq!(column(&plain.chosen_logps), [-12.0], "log-probabilities are not");
        assert_eq!(plain.means().mean("n_score_clamped"), Some(0.0));
        // Exponents 0.3 and 0.3125 against a cap of 0.31: one is clamped.
        let capped = output(Options::new().with("exponent_max", 0.31));
        assert_eq!(capped.means().mean("n_score_clamped"), Some(1.0));
    }

    #[test]
    fn a_small_alpha_is_simpo() {
        let loss = |name, options: Options| {
            let options = options.with("beta", 2.5).with("gamma_beta_ratio", 0.1);
            column(&build(name, &options).unwrap().forward(&spec_batch()).unwrap().losses)[0]
        };
        let (tiny, simpo) = (loss("alphapo", Options::new().with("alpha", 1e-7)), loss("simpo", Options::new()));
        assert!((tiny - simpo).abs() < 1e-6 && tiny != simpo);
    }

    accordant_laws::pairwise_laws!(
        obeys_the_laws,
        "alphapo",
        super::config().init().unwrap(),
        [],
        [ReferenceFree, DecreasingInChosen, IncreasingInRejected, LowerBound(0.0)],
    );
}
