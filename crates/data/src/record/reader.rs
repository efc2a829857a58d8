//! Rows of canonical records or of TRL's layouts, each of the kind that it names or shows.

use super::{Kind, Record};
use crate::{
    code::Code,
    read::{Given, RowReader},
    report::Reason,
    row::Row,
};

/// Reads records of any kind. The kind is told row by row; unless the rules say `mixed`, rows of another kind than the
/// first that was read are rejected under [`Code::KindMixed`].
///
/// A record without an id gets `<source>:<record index>`, and each one its provenance.
///
/// # Example
/// ```
/// use accordant_data::{Code, LoadOptions, read::read_rows, record::reader::Records};
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("rows.jsonl");
/// let rows = r#"{"prompt": "q", "chosen": " x", "rejected": " y"}
/// {"prompt": "q", "completion": " x", "label": true}
/// {"prompt": "r", "chosen": " x", "rejected": " y"}"#;
/// std::fs::write(&path, rows)?;
/// let (records, report) = read_rows(&path, &LoadOptions::default(), Records::new("mine"))?;
/// assert_eq!(records[1].envelope().id, "mine:2");
/// assert_eq!((report.used, report.count(Code::KindMixed)), (2, 1));
/// let mut options = LoadOptions::default();
/// options.rules.mixed = true;
/// assert_eq!(read_rows(&path, &options, Records::new("mine"))?.0.len(), 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Records {
    source: String,
    first: Option<Kind>,
}

impl Records {
    /// A reader of records from a source, such as the name of the data set.
    pub fn new(source: impl Into<String>) -> Self {
        Self { source: source.into(), first: None }
    }
}

impl RowReader for Records {
    type Record = Record;

    fn row(&mut self, row: Row<'_>) -> Result<Given<Record>, Reason> {
        let provenance = row.provenance(&self.source);
        let mixed = row.fields.rules().mixed;
        let mut record = Record::from_fields(row.fields)?;
        let first = *self.first.get_or_insert(record.kind());
        if !mixed && first != record.kind() {
            let message = format!("expected `{first}`, as the rows before, found `{}`", record.kind());
            return Err(Reason::new(Code::KindMixed, message));
        }
        let envelope = record.envelope_mut();
        if envelope.id.is_empty() {
            envelope.id = format!("{}:{}", self.source, provenance.record_index);
        }
        envelope.provenance.get_or_insert(provenance);
        Ok(Given::Record(record))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        read::{LoadOptions, read_rows},
        rules::Rules,
    };

    #[test]
    fn d15_the_kind_is_told_row_by_row_and_another_one_is_rejected_unless_mixed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.jsonl");
        let rows = [
            r#"{"prompt": "q", "completion": " x", "label": "maybe"}"#,
            r#"{"prompt": "q", "chosen": " x", "rejected": " y", "id": "given"}"#,
            r#"{"prompt": "q", "completion": " x"}"#,
            r#"{"kind": "pair", "prompt": "r", "chosen": " x", "rejected": " y"}"#,
        ];
        std::fs::write(&path, rows.join("\n")).unwrap();
        let read = |mixed| {
            let options = LoadOptions { rules: Rules { mixed, ..Rules::default() }, ..LoadOptions::default() };
            read_rows(&path, &options, Records::new("s")).unwrap()
        };
        let (records, report) = read(false);
        let ids: Vec<_> = records.iter().map(|record| &record.envelope().id[..]).collect();
        assert_eq!(ids, ["given", "s:3"]);
        assert_eq!((report.count(Code::KindMixed), report.count(Code::LabelType)), (1, 1));
        let sample = report.samples.iter().find(|sample| sample.code == Code::KindMixed).unwrap();
        assert_eq!(sample.message, "expected `pair`, as the rows before, found `sft`");
        assert_eq!(records[0].envelope().provenance.as_ref().unwrap().line, 2);
        let kinds: Vec<_> = read(true).0.iter().map(Record::kind).collect();
        assert_eq!(kinds, [Kind::Pair, Kind::Sft, Kind::Pair]);
    }
}
