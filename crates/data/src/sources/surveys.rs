//! Surveys of FiveThirtyEight: films ranked, and cuisines rated, by people of several groups.
//!
//! **Origin:** `fivethirtyeight/data`, `star-wars-survey/StarWars.csv` and
//! `food-world-cup/food-world-cup-data.csv`, CC BY 4.0.
//! **Format:** CSV in the encoding Mac Roman. The films' file has two lines of headers, of which the first is empty above
//! most columns.
//! **Records:** ranked films, rank 1 the favorite; rated cuisines, 5 the best. The items are plain texts, and the
//! annotator's groups are gender, age, income, education and region; who does not say is
//! [`crate::record::UNDISCLOSED`].
//! **Quirks:** who ranked no film (`no_ranking`) or not all (`partial_ranking`) is left out, and so is who rated no
//! cuisine (`no_rating`). A cuisine is not rated in two ways: `N/A`, the person does not know it, which
//! `meta.unknown` lists, and an empty cell.

use std::path::Path;

use encoding_rs::MACINTOSH;
use serde_json::{Map, Value, json};

use super::{
    Reader, Source,
    draft::{Draft, Drafts, Rows},
    numbered::Numbered,
};
use crate::{
    error::Result,
    read::{JsonLines, LoadOptions, read_rows},
    record::{Fields, Kind, Record, UNDISCLOSED},
    report::{LoadReport, Reason},
};

/// The films, in the order of the columns.
pub const FILMS: [&str; 6] = [
    "Star Wars: Episode I  The Phantom Menace",
    "Star Wars: Episode II  Attack of the Clones",
    "Star Wars: Episode III  Revenge of the Sith",
    "Star Wars: Episode IV  A New Hope",
    "Star Wars: Episode V The Empire Strikes Back",
    "Star Wars: Episode VI Return of the Jedi",
];

/// The column, from 1, of the first film's rank.
const FIRST_RANK: usize = 10;

/// What precedes the name of a cuisine in the header.
const CUISINE: &str = "Please rate how much you like the traditional cuisine of ";

/// The films of Star Wars, ranked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StarWars;

/// Cuisines of the countries of a world cup, rated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FoodWorldCup;

/// The annotator of a row, by the columns of five groups.
fn annotated(draft: Draft, row: &mut Fields<'_>, id: &str, groups: [(&str, String); 5]) -> Result<Draft, Reason> {
    let id = row.need_string(id)?;
    let mut draft = draft.with("annotator.id", id);
    for (group, column) in groups {
        let said = row.string(&column)?.unwrap_or_else(|| UNDISCLOSED.to_owned());
        draft.set(&format!("annotator.groups.{group}"), said);
    }
    Ok(draft)
}

fn films(row: &mut Fields<'_>) -> Result<Drafts, Reason> {
    let mut ranks = Vec::new();
    for i in 0..FILMS.len() {
        ranks.extend(row.i64(&(FIRST_RANK + i).to_string())?);
    }
    match ranks.len() {
        0 => return Ok(Drafts::Filtered("no_ranking")),
        len if len < FILMS.len() => return Ok(Drafts::Filtered("partial_ranking")),
        _ => {}
    }
    let draft = Draft::new(Kind::Ranked)
        .with("prompt", "Please rank the Star Wars films in order of preference.")
        .with("completions", FILMS.to_vec())
        .with("ranks", ranks)
        .with("sources", ["I", "II", "III", "IV", "V", "VI"].to_vec());
    let groups = [("gender", 34), ("age", 35), ("income", 36), ("education", 37), ("region", 38)];
    let draft = annotated(draft, row, "1", groups.map(|(group, column)| (group, column.to_string())))?;
    // The other answers, by their columns.
    let names: Vec<_> = row.names().map(str::to_owned).collect();
    let answers = names.into_iter().filter_map(|name| row.take(&name).map(|value| (name, value)));
    let answers: Map<_, _> = answers.collect();
    Ok(draft.with("meta.answers", answers).into())
}

fn cuisines(row: &mut Fields<'_>) -> Result<Drafts, Reason> {
    let columns: Vec<_> = row.names().filter(|name| name.starts_with(CUISINE)).map(str::to_owned).collect();
    let (mut countries, mut ratings, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
    let mut draft = Draft::new(Kind::Rated).with("prompt", "Please rate how much you like the traditional cuisine of:");
    for (i, column) in columns.iter().enumerate() {
        let country = column[CUISINE.len()..].trim_end_matches(['.', ':', ' ']).to_owned();
        if row.get(column) == Some(&json!("N/A")) {
            row.take(column);
            unknown.push(country.clone());
        }
        draft = draft.named(&format!("ratings[{i}].rating"), column);
        let rating = row.f64(column)?;
        ratings.push(rating);
        countries.push(country);
    }
    if ratings.iter().all(Option::is_none) {
        return Ok(Drafts::Filtered("no_rating"));
    }
    let ratings: Vec<_> = ratings.into_iter().map(|rating| json!({"rating": rating})).collect();
    let draft = draft.with("completions", countries).with("ratings", ratings).with("overall", "rating");
    let draft = draft.with("scale.rating", json!({"min": 1, "max": 5, "direction": "higher"}));
    let column = |name: &str| row.names().find(|column| column.starts_with(name)).unwrap_or(name).to_owned();
    let groups = ["Gender", "Age", "Household Income", "Education", "Location"].map(column);
    let [gender, age, income, education, region] = groups;
    let groups = [("gender", gender), ("age", age), ("income", income), ("education", education), ("region", region)];
    let draft = annotated(draft, row, "RespondentID", groups)?;
    Ok(if unknown.is_empty() { draft } else { draft.with("meta.unknown", unknown) }.into())
}

impl Source for StarWars {
    fn name(&self) -> &str {
        "star_wars_survey"
    }

    fn about(&self) -> &str {
        "FiveThirtyEight's survey of the Star Wars films: six films ranked"
    }

    fn sniff(&self, row: &Map<String, Value>) -> bool {
        row.contains_key("RespondentID")
            && row.keys().any(|name| name.starts_with("Which of the following Star Wars films"))
    }

    fn reader(&self) -> Reader {
        Reader::new(Rows::new(self.name(), |row: &mut Fields<'_>, _: &Path| films(row)))
    }

    fn load(&self, path: &Path, options: &LoadOptions) -> Result<(Vec<Record>, LoadReport)> {
        let source = Box::new(Numbered::open(path, MACINTOSH, 2)?);
        let mut rows = JsonLines::over(source, path, options, self.reader())?;
        let records = rows.by_ref().collect::<Result<Vec<_>>>()?;
        Ok((records, rows.into_report()))
    }
}

impl Source for FoodWorldCup {
    fn name(&self) -> &str {
        "food_world_cup"
    }

    fn about(&self) -> &str {
        "FiveThirtyEight's survey of cuisines: those of 40 countries rated from 1 to 5"
    }

    fn sniff(&self, row: &Map<String, Value>) -> bool {
        row.contains_key("RespondentID") && row.keys().any(|name| name.starts_with(CUISINE))
    }

    fn reader(&self) -> Reader {
        Reader::new(Rows::new(self.name(), |row: &mut Fields<'_>, _: &Path| cuisines(row)))
    }

    fn load(&self, path: &Path, options: &LoadOptions) -> Result<(Vec<Record>, LoadReport)> {
        read_rows(path, &LoadOptions { encoding: MACINTOSH, ..options.clone() }, self.reader())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::load_source;

    fn write(name: &str, lines: &[Vec<u8>]) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, lines.join(&b'\n')).unwrap();
        (folder, path)
    }

    fn person(ranks: &str, gender: &str) -> Vec<u8> {
        format!("7,Yes,No,,,,,,,{ranks}{}{gender},18-29,\"$0 - $24,999\",,South Atlantic", ",".repeat(19)).into_bytes()
    }

    #[test]
    fn rank_1_is_the_favorite_and_who_ranks_no_or_some_films_is_left_out() {
        let mut header = b"RespondentID,,,Which of the following Star Wars films have you seen?".to_vec();
        // 0xCA is a no-break space in Mac Roman, and no UTF-8.
        header.extend([0xCA]);
        header.extend(",".repeat(34).bytes());
        let second = ",".repeat(37).into_bytes();
        let rows = [
            person("3,2,1,4,5,6", "Male"),
            person(",,,,,", "Female"),
            person("1,2,,,,", ""),
            person("1,2,3,4,5,6", ""),
        ];
        let lines = [&[header, second][..], &rows].concat();
        let (_folder, path) = write("StarWars.csv", &lines);
        let (records, report) = load_source(&path, None, &LoadOptions::default()).unwrap();
        assert_eq!((records.len(), report.lines), (2, 4));
        assert_eq!((report.filtered["no_ranking"], report.filtered["partial_ranking"]), (1, 1));
        let Record::Ranked(ranked) = &records[0] else { panic!("ranked") };
        assert_eq!((&ranked.ranks[..], ranked.order()), (&[3, 2, 1, 4, 5, 6][..], vec![2, 1, 0, 3, 4, 5]));
        assert_eq!(ranked.completions[2].as_plain(), Some(FILMS[2]));
        let annotator = ranked.envelope.annotator.as_ref().unwrap();
        assert_eq!((&annotator.id[..], &annotator.groups["income"][..]), ("7", "$0 - $24,999"));
        assert_eq!((&annotator.groups["gender"][..], &annotator.groups["education"][..]), ("Male", UNDISCLOSED));
        assert_eq!(ranked.envelope.meta["answers"]["2"], "Yes");
        assert_eq!(ranked.envelope.provenance.as_ref().unwrap().line, 3);
        assert!(matches!(
            StarWars.load(Path::new("nowhere.csv"), &LoadOptions::default()),
            Err(crate::Error::Open { .. })
        ));
    }

    #[test]
    fn a_cuisine_is_unrated_in_two_ways_and_5_is_best() {
        let country = |name: &str| format!("{CUISINE}{name}");
        let header = format!(
            "RespondentID,{}:,{}.,{}.,Gender,Age,Household Income,Education,Location (Census Region)",
            country("Algeria"),
            country("the Netherlands"),
            country("Peru")
        );
        let mut header = header.into_bytes();
        header.extend([0xCA]);
        let rows =
            ["7,5,N/A,,Male,18-29,,,West", "8,,N/A,,Female,,,,", "9,1,2,6,Male,,,,"].map(|row| row.as_bytes().to_vec());
        let (_folder, path) = write("food.csv", &[&[header][..], &rows].concat());
        let (records, report) = load_source(&path, None, &LoadOptions::default()).unwrap();
        assert_eq!((records.len(), report.filtered["no_rating"], report.total_rejected()), (1, 1, 1));
        let expected = format!("field `{CUISINE}Peru.`: expected a number in [1, 5], found 6");
        assert_eq!(report.samples[0].message, expected);
        let Record::Rated(rated) = &records[0] else { panic!("rated") };
        let countries: Vec<_> = rated.completions.iter().filter_map(|text| text.as_plain()).collect();
        assert_eq!(countries, ["Algeria", "the Netherlands", "Peru"]);
        assert_eq!(
            [rated.rating(0, "rating"), rated.rating(1, "rating"), rated.rating(2, "rating")],
            [Some(5.0), None, None]
        );
        assert_eq!(rated.envelope.meta["unknown"], json!(["the Netherlands"]));
        assert_eq!(rated.envelope.annotator.as_ref().unwrap().groups["region"], "West");
    }
}
