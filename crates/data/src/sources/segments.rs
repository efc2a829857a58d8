//! Segments of trajectories with people's preferences, in NumPy archives.
//!
//! **Paper:** Preference Transformer (2023), 2303.00957; the archives of Inverse Preference Learning (2023), 2305.15363,
//! `jhejna/inverse-preference-learning`.
//! **Format:** `.npz` with `obs_1`, `obs_2` of shape `[pairs, steps, state]`, `action_1`, `action_2` of shape
//! `[pairs, steps, action]` and `label` of shape `[pairs]`, in `f64` or `f32` and C order.
//! **Records:** segment pairs with `segment_a` = the **first**: label 0 is `a`, 1 is `b`, 0.5 a tie. They are made one by
//! one, but the archive is read as a whole.

use std::{fs::File, io::Read, path::Path};

use npyz::{NpyFile, Order};
use serde_json::{Map, Value, json};

use super::{
    Reader, Source,
    draft::{Draft, Drafts, Rows},
    has_all,
};
use crate::{
    container::RowSource,
    error::{Error, Result},
    lines::{Line, LineEnd},
    read::{JsonLines, LoadOptions},
    record::{Fields, Kind, Record},
    report::{Code, LoadReport, Reason},
};

/// Segments of trajectories with people's preferences.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Segments;

/// One array: its shape, and its numbers in C order.
#[derive(Debug)]
struct Array {
    shape: Vec<usize>,
    numbers: Vec<f64>,
}

impl Array {
    /// One of the first axis, as JSON.
    fn row(&self, i: usize) -> Value {
        let len: usize = self.shape.iter().skip(1).product();
        let row = self.numbers.get(i * len..(i + 1) * len).unwrap_or_default();
        match self.shape.get(2) {
            Some(&width) => row.chunks(width.max(1)).map(|step| json!(step)).collect(),
            None => json!(row.first()),
        }
    }
}

/// The arrays of an archive, of which each pair becomes a row.
#[derive(Debug)]
struct Archive {
    arrays: Vec<(&'static str, Array)>,
    pairs: usize,
    next: usize,
    json: Vec<u8>,
}

const NAMES: [(&str, usize); 5] = [("obs_1", 3), ("action_1", 3), ("obs_2", 3), ("action_2", 3), ("label", 1)];

impl Archive {
    fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|source| Error::Open { path: path.to_path_buf(), source })?;
        let broken =
            |name: &str, message: String| Error::Archive { path: path.to_path_buf(), name: name.to_owned(), message };
        let mut zip = zip::ZipArchive::new(file).map_err(|error| broken("", error.to_string()))?;
        let mut arrays = Vec::new();
        for (name, axes) in NAMES {
            let mut entry = zip.by_name(&format!("{name}.npy")).map_err(|error| broken(name, error.to_string()))?;
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).map_err(|error| broken(name, error.to_string()))?;
            arrays.push((name, array(&bytes, axes).map_err(|message| broken(name, message))?));
        }
        let first = |array: &Array| array.shape.first().copied().unwrap_or(0);
        let pairs = arrays.first().map_or(0, |(_, array)| first(array));
        for (name, array) in &arrays {
            if first(array) != pairs {
                return Err(broken(name, format!("expected {pairs} pairs as in `obs_1`, found {}", first(array))));
            }
        }
        for (of_state, of_action) in [(0, 1), (2, 3)] {
            let steps = |i: usize| arrays[i].1.shape[1];
            if steps(of_state) != steps(of_action) {
                let message = format!(
                    "expected {} steps as in `{}`, found {}",
                    steps(of_state),
                    NAMES[of_state].0,
                    steps(of_action)
                );
                return Err(broken(NAMES[of_action].0, message));
            }
        }
        Ok(Self { arrays, pairs, next: 0, json: Vec::new() })
    }
}

/// The product of the lengths in the header's shape: none if it is too large to count, or if there is no such header.
fn header_len(bytes: &[u8]) -> Option<Option<u64>> {
    // Magic and version take 8 bytes; then comes the header's length in two bytes or, from version 2, in four.
    let header = bytes.get(..bytes.len().min(8 + 4 + (1 << 16)))?.get(10..)?;
    let text = String::from_utf8_lossy(header);
    let (_, rest) = text.split_once("shape")?;
    let (axes, _) = rest.split_once('(')?.1.split_once(')')?;
    let lengths = axes.split(',').map(|axis| axis.trim().trim_end_matches('L')).filter(|axis| !axis.is_empty());
    Some(lengths.map(|axis| axis.parse::<u64>().ok()).try_fold(1, |len: u64, axis| len.checked_mul(axis?)))
}

/// Reads one array.
fn array(bytes: &[u8], axes: usize) -> std::result::Result<Array, String> {
    // npyz multiplies the lengths of the axes without a check.
    if header_len(bytes) == Some(None) {
        return Err("the shape is larger than its data".into());
    }
    let npy = NpyFile::new(bytes).map_err(|error| error.to_string())?;
    let shape: Option<Vec<usize>> = npy.shape().iter().map(|&len| usize::try_from(len).ok()).collect();
    let shape = shape.filter(|shape| shape.len() == axes);
    let Some(shape) = shape else { return Err(format!("expected {axes} axes, found the shape {:?}", npy.shape())) };
    // Checked before anything of that length is made: the header may say what the bytes do not hold.
    let len = shape.iter().try_fold(1_usize, |len, &axis| len.checked_mul(axis));
    if len.and_then(|len| len.checked_mul(4)).is_none_or(|least| least > bytes.len()) {
        return Err(format!("the shape {shape:?} is larger than its data"));
    }
    if npy.order() != Order::C {
        return Err("expected C order".into());
    }
    let numbers = match npy.try_data::<f64>() {
        Ok(data) => data.collect::<std::io::Result<Vec<f64>>>(),
        Err(npy) => match npy.try_data::<f32>() {
            Ok(data) => data.map(|number| number.map(f64::from)).collect(),
            Err(npy) => return Err(format!("expected f64 or f32, found {}", npy.dtype().descr())),
        },
    };
    Ok(Array { shape, numbers: numbers.map_err(|error| error.to_string())? })
}

impl RowSource for Archive {
    fn next_line(&mut self) -> Result<Option<Line<'_>>> {
        let i = self.next;
        if i >= self.pairs {
            return Ok(None);
        }
        self.next += 1;
        let row: Map<_, _> = self.arrays.iter().map(|(name, array)| ((*name).to_owned(), array.row(i))).collect();
        self.json = Value::Object(row).to_string().into_bytes();
        Ok(Some(Line { number: i + 1, offset: 0, bytes: &self.json, end: LineEnd::Newline }))
    }
}

fn draft(row: &mut Fields<'_>) -> std::result::Result<Drafts, Reason> {
    let outcome = match row.need_f64("label")? {
        0.0 => "a",
        1.0 => "b",
        0.5 => "tie",
        other => return Err(Reason::field(Code::LabelValue, "label", format!("expected 0, 0.5 or 1, found {other}"))),
    };
    let mut segment = |states: &str, actions: &str| {
        let states = row.need_list_of(states, |state, _, _| Ok(state))?;
        let actions = row.need_list_of(actions, |action, _, _| Ok(action))?;
        let steps = states.into_iter().zip(actions).map(|(state, action)| json!({"state": state, "action": action}));
        Ok::<_, Reason>(steps.collect::<Vec<_>>())
    };
    let draft = Draft::new(Kind::SegmentPair).with("segment_a", segment("obs_1", "action_1")?);
    let draft = draft.with("segment_b", segment("obs_2", "action_2")?).with("outcome", outcome);
    Ok(draft.named("segment_a", "obs_1").named("segment_b", "obs_2").into())
}

impl Source for Segments {
    fn name(&self) -> &str {
        "segments"
    }

    fn about(&self) -> &str {
        "Segments of trajectories with people's preferences, in NumPy archives"
    }

    fn sniff(&self, row: &Map<String, Value>) -> bool {
        has_all(row, &["obs_1", "obs_2", "action_1", "action_2", "label"])
    }

    fn reader(&self) -> Reader {
        Reader::new(Rows::new(self.name(), |row: &mut Fields<'_>, _: &Path| draft(row)))
    }

    fn load(&self, path: &Path, options: &LoadOptions) -> Result<(Vec<Record>, LoadReport)> {
        let mut rows = JsonLines::over(Box::new(Archive::open(path)?), path, options, self.reader())?;
        let records = rows.by_ref().collect::<Result<Vec<_>>>()?;
        Ok((records, rows.into_report()))
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write, path::PathBuf};

    use super::*;
    use crate::{record::comparison::Outcome, sources::load_source};

    /// The bytes of an array in NumPy's format 1.0.
    fn npy(kind: &str, shape: &str, numbers: &[f64]) -> Vec<u8> {
        let mut header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}");
        while (10 + header.len() + 1) % 64 != 0 {
            header.push(' ');
        }
        header.push('\n');
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend(u16::try_from(header.len()).unwrap().to_le_bytes());
        bytes.extend(header.bytes());
        match kind {
            "<f4" => numbers.iter().for_each(|&number| bytes.extend((number as f32).to_le_bytes())),
            _ => numbers.iter().for_each(|number| bytes.extend(number.to_le_bytes())),
        }
        bytes
    }

    fn archive(arrays: &[(&str, Vec<u8>)]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("human.npz");
        let mut zip = zip::ZipWriter::new(File::create(&path).unwrap());
        for (name, bytes) in arrays {
            zip.start_file(format!("{name}.npy"), zip::write::SimpleFileOptions::default()).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap();
        (folder, path)
    }

    /// Four pairs of segments of two steps with one state and one action each.
    fn arrays() -> Vec<(&'static str, Vec<u8>)> {
        let numbers: Vec<f64> = (0..8).map(f64::from).collect();
        let of = |kind| npy(kind, "(4, 2, 1)", &numbers);
        let label = npy("<f8", "(4,)", &[0.0, 1.0, 0.5, 0.25]);
        vec![
            ("obs_1", of("<f8")),
            ("action_1", of("<f4")),
            ("obs_2", of("<f8")),
            ("action_2", of("<f8")),
            ("label", label),
        ]
    }

    #[test]
    fn label_0_is_the_first_segment_1_the_second_and_a_half_a_tie() {
        let (_folder, path) = archive(&arrays());
        let (records, report) = load_source(&path, None, &LoadOptions::default()).unwrap();
        let pairs: Vec<_> = records
            .iter()
            .filter_map(|record| if let Record::SegmentPair(pair) = record { Some(pair) } else { None })
            .collect();
        let outcomes: Vec<_> = pairs.iter().map(|pair| pair.outcome).collect();
        assert_eq!(outcomes, [Some(Outcome::A), Some(Outcome::B), Some(Outcome::Tie)]);
        assert_eq!((report.lines, report.count(Code::LabelValue)), (4, 1));
        let json = serde_json::to_value(pairs[1]).unwrap();
        assert_eq!(json["segment_a"], json!([{"state": [2.0], "action": [2.0]}, {"state": [3.0], "action": [3.0]}]));
    }

    #[test]
    fn an_archive_that_lacks_or_lies_is_named() {
        let told = |change: &dyn Fn(&mut Vec<(&'static str, Vec<u8>)>)| {
            let mut all = arrays();
            change(&mut all);
            let (folder, path) = archive(&all);
            let error = Segments.load(&path, &LoadOptions::default()).unwrap_err().to_string();
            error.replace(&folder.path().display().to_string(), "")
        };
        assert!(told(&|all| drop(all.pop())).starts_with("`/human.npz`: `label`: "));
        let short = npy("<f8", "(3, 2, 1)", &[0.0; 6]);
        assert_eq!(
            told(&|all| all[2].1 = short.clone()),
            "`/human.npz`: `obs_2`: expected 4 pairs as in `obs_1`, found 3"
        );
        let steps = npy("<f8", "(4, 1, 2)", &[0.0; 8]);
        assert_eq!(
            told(&|all| all[1].1 = steps.clone()),
            "`/human.npz`: `action_1`: expected 2 steps as in `obs_1`, found 1"
        );
        let huge = npy("<f8", "(4, 9000000000, 9000000000)", &[0.0; 8]);
        assert!(told(&|all| all[0].1 = huge.clone()).ends_with("is larger than its data"));
        let flat = npy("<f8", "(8,)", &[0.0; 8]);
        assert_eq!(told(&|all| all[0].1 = flat.clone()), "`/human.npz`: `obs_1`: expected 3 axes, found the shape [8]");
        let whole = npy("<i8", "(4, 2, 1)", &[0.0; 8]);
        assert!(told(&|all| all[0].1 = whole.clone()).contains("expected f64 or f32, found"));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("no.npz");
        std::fs::write(&path, "PK").unwrap();
        assert!(matches!(Segments.load(&path, &LoadOptions::default()), Err(Error::Archive { .. })));
    }
}
