//! Ties and annotators of real judgements (LLMFAO): held-out log-likelihood against its bars. The example `rank_models` runs
//! every model on every split.
//!
//! The data are in `$ACCORDANT_SHARED/data`, by default `../shared/data` beside the workspace; without them nothing is
//! tested, aloud.

#[path = "../../../examples/rank_models/protocol.rs"]
#[allow(dead_code)] // The example calls the rest.
mod protocol;

use std::{io::Write, path::PathBuf};

use protocol::{Judgements, Model, Split};

/// Past the test harness, which would swallow it.
fn say(line: &str) {
    writeln!(std::io::stderr(), "{line}").expect("standard error is open");
}

fn llmfao() -> Option<Judgements> {
    let given = std::env::var_os("ACCORDANT_SHARED").map(PathBuf::from);
    let shared = given.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"));
    let path = shared.join("data/llmfao/llmfao.csv");
    if !path.is_file() {
        say(&format!("SKIPPED: {} is not there", path.display()));
        return None;
    }
    Some(Judgements::read(&path).expect("judgements"))
}

/// The bars on seen annotators.
#[test]
fn annotators_effects_foretell_judgements_of_the_same_annotators() {
    let Some(data) = llmfao() else { return };
    let parts = Split::Judgements.parts(&data, 10).unwrap();
    let models = Model::of_ties();
    let of = |name: &str| {
        let (_, model) = models.iter().find(|(found, _)| *found == name).expect("a model");
        model.held_out(&data, &parts, || {}).unwrap()
    };
    let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
    let (davidson, rao_kupper) = (of("Davidson"), of("Rao-Kupper"));
    assert!(mean(&davidson) >= -1.016, "{}", mean(&davidson));
    assert!(mean(&rao_kupper) >= -1.014, "{}", mean(&rao_kupper));
    let gain = data.difference(&of(Judgements::EFFECTS), &davidson).unwrap();
    assert!(gain.mean >= 0.085 && gain.interval.low > 0.0, "{gain:?}");
    let decided = data.decided().unwrap();
    assert_eq!(decided.all.len(), 5460);
    let parts = Split::Judgements.parts(&decided, 10).unwrap();
    let of = |model: Model| model.held_out(&decided, &parts, || {}).unwrap();
    let gain = decided.difference(&of(Model::CrowdBt), &of(Model::BradleyTerry)).unwrap();
    assert!(gain.mean >= 0.04 && gain.interval.low > 0.0, "{gain:?}");
}
