//! Rankings of films by people of several kinds (Star Wars): held-out log-likelihood against its bars.
//!
//! The data are in `$ACCORDANT_SHARED/data`, by default `../shared/data` beside the workspace; without them only the seeded
//! survey is tested, aloud.

#[path = "../../../examples/rankings/models.rs"]
#[allow(dead_code)] // The example calls the rest.
mod models;
#[path = "../../../examples/rankings/survey.rs"]
#[allow(dead_code)] // The example calls the rest.
mod survey;

use std::{io::Write, path::PathBuf};

use models::{Model, gain, mean, parts};
use survey::Survey;

#[test]
fn two_kinds_foretell_rankings_and_gender_hardly_does() {
    let given = std::env::var_os("ACCORDANT_SHARED").map(PathBuf::from);
    let shared = given.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"));
    let path = shared.join("data/star_wars_survey/StarWars.csv");
    if !path.exists() {
        // Past the test harness, which would swallow it.
        writeln!(std::io::stderr(), "SKIPPED: {} is not there", path.display()).expect("standard error is open");
        return;
    }
    let survey = Survey::read(&path).unwrap();
    let parts = parts(&survey).unwrap();
    let of = |model: Model| model.held_out(&survey, &parts, || ()).unwrap();
    let one = of(Model::One);
    // -6.266, up to the draw of the folds.
    assert!((mean(&one).unwrap().mean + 6.266).abs() < 0.01, "{:?}", mean(&one));
    let over = |model: Model| gain(&of(model), &one).unwrap();
    let (two, gender) = (over(Model::Mixture(2)), over(Model::By("gender")));
    assert!(two.mean >= 0.36 && two.interval.low > 0.28, "{two:?}");
    assert!(gender.mean.abs() < 0.06 && gender.interval.low < 0.02, "{gender:?}");
    assert!(over(Model::Mixture(3)).mean >= 0.80);
}

#[test]
fn a_seeded_survey_has_two_kinds_that_were_not_asked_for() {
    let survey = Survey::seeded().unwrap();
    let parts = parts(&survey).unwrap();
    let of = |model: Model| model.held_out(&survey, &parts, || ()).unwrap();
    let one = of(Model::One);
    let (two, gender) = (gain(&of(Model::Mixture(2)), &one).unwrap(), gain(&of(Model::By("gender")), &one).unwrap());
    assert!(two.interval.low > 0.28 && gender.interval.low < 0.0, "{two:?} {gender:?}");
}
