//! How people rank the six Star Wars films (a survey by FiveThirtyEight, CC BY 4.0), or a seeded survey in its place.

use std::path::Path;

use accordant_preference::{Error, Rankings, Result, plural::world::rankers, rankings::Unlisted};

pub const FILMS: [&str; 6] = ["I", "II", "III", "IV", "V", "VI"];

/// Respondents who ranked all films, and what is known of them.
pub struct Survey {
    /// The ranking of each, best first.
    pub rankings: Vec<Rankings>,
    /// Questions with the answer of each; nobody's answer is empty, too.
    pub groups: Vec<(&'static str, Vec<String>)>,
}

/// Questions by their columns.
const QUESTIONS: [(&str, usize); 3] = [("gender", 33), ("age", 34), ("fan", 2)];

impl Survey {
    /// Rows after two lines of headers, with the ranks of the films in columns 9 to 14; bytes of an old Macintosh.
    pub fn read(path: &Path) -> std::result::Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_path(path)?;
        let mut survey = Self::empty();
        for row in reader.byte_records().skip(2) {
            let row = row?;
            let field = |at: usize| String::from_utf8_lossy(row.get(at).unwrap_or_default()).trim().to_owned();
            let ranks: Option<Vec<usize>> = (9..15).map(|at| field(at).parse().ok()).collect();
            let Some(ranks) = ranks else { continue };
            let mut order: Vec<usize> = (0..6).collect();
            order.sort_by_key(|&film| ranks[film]);
            let mut lists = Rankings::new(6);
            lists.push(&order, Unlisted::Absent)?;
            survey.rankings.push(lists);
            for ((_, answers), (_, column)) in survey.groups.iter_mut().zip(QUESTIONS) {
                answers.push(field(column));
            }
        }
        Ok(survey)
    }

    /// 600 respondents of two kinds: one puts the films of the first trilogy far above the others, one hardly cares.
    /// Fans are mostly of the first kind; gender and age say nothing.
    pub fn seeded() -> Result<Self> {
        let kinds = [vec![-1.8, -1.9, -2.2, 2.2, 2.2, 1.5], vec![0.3, 0.2, -0.1, -0.6, 0.3, -0.1]];
        let (of, rankings) = rankers(&kinds, 600, 0)?;
        let mut survey = Self { rankings, ..Self::empty() };
        for (at, kind) in of.into_iter().enumerate() {
            let answers = [
                ["Female", "Male"][at % 2],
                ["18-29", "30-44", "45-60", "> 60"][at / 2 % 4],
                if (at % 4 == 0) == (kind == 0) { "No" } else { "Yes" },
            ];
            survey.groups.iter_mut().zip(answers).for_each(|((_, all), answer)| all.push(answer.to_owned()));
        }
        Ok(survey)
    }

    fn empty() -> Self {
        Self { rankings: Vec::new(), groups: QUESTIONS.iter().map(|(name, _)| (*name, Vec::new())).collect() }
    }

    /// The answers to a question.
    pub fn answers(&self, question: &str) -> Result<&[String]> {
        let found = self.groups.iter().find(|(name, _)| *name == question);
        found
            .map(|(_, answers)| answers.as_slice())
            .ok_or(Error::Empty { name: "question", reason: "nobody was asked" })
    }

    /// The rankings of some, as one list of lists.
    pub fn together(&self, rows: impl IntoIterator<Item = usize>) -> Result<Rankings> {
        let mut all = Rankings::new(FILMS.len());
        for list in rows.into_iter().flat_map(|row| self.rankings[row].lists()) {
            all.push_groups(list.groups(), Unlisted::Absent, list.weight())?;
        }
        Ok(all)
    }
}
