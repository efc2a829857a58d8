//! Conservative DPO (cDPO): [`dpo`](super::dpo) with a label smoothing.
//!
//! **Paper:** A note on DPO with noisy preferences and relationship to IPO (Mitchell, 2023), the author's web page.
//! **Use when:** some labels are wrong and about how many is known; margins then stop at `ln((1−ε)/ε)`.
//! **Checked by:** a value by hand; [`super::dpo`] has the rest, golden numbers (TRL 0.24) with it, the laws of the
//! family.
//! **Deviations:** none. TRL 1.16 ignores the label smoothing of its sigmoid loss; 0.24 and OpenRLHF apply it.

use super::{Method, dpo::DpoConfig};

/// [`DpoConfig`] with a label smoothing of 0.1, the author's example.
///
/// ```text
/// loss = −(1−ε) log σ(h) − ε log σ(−h)
/// ```
///
/// # Example
/// ```
/// use accordant_objectives::pairwise::c_dpo::config;
/// assert_eq!(config().label_smoothing, 0.1);
/// ```
#[doc(alias = "A note on DPO with noisy preferences and relationship to IPO")]
pub fn config() -> DpoConfig {
    DpoConfig::new().with_label_smoothing(0.1)
}

/// `c_dpo` by name.
pub const METHOD: Method = Method {
    name: "c_dpo",
    title: "Conservative Direct Preference Optimization (label smoothing)",
    build: |options| Ok(Box::new(options.apply("c_dpo", config())?.init()?)),
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
    fn it_is_dpo_with_another_default() {
        let loss = |options| column(&build("c_dpo", &options).unwrap().forward(&spec_batch()).unwrap().losses)[0];
        // ln(1 + e^-0.15) + 0.1 · 0.15
        assert!((loss(Options::new()) - 0.6359570478).abs() < 1e-10);
        assert!((loss(Options::new().with("label_smoothing", 0)) - 0.6209570478).abs() < 1e-10);
        assert!(build("c_dpo", &Options::new().with("label_smoothing", 0.5)).is_err());
    }

    accordant_laws::pairwise_laws!(
        obeys_the_laws,
        "c_dpo",
        super::config().init().unwrap(),
        [],
        [
            ShiftInvariant,
            ConvexInMargin,
            // (1 − 2ε) β
            SwapDifference(0.08),
            AtReference(2f64.ln()),
            LowerBound(0.0),
            LabelProbMixes,
            MarginShifts { beta: 0.1 },
        ],
    );
}
