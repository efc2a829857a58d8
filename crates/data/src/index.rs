//! Where each row of a file of lines starts, so that any row can be read without those in front of it.
//!
//! An index takes 16 bytes a row, in memory and on the disk. It belongs to one state of one file: one that was written
//! to since is refused. Packed files, arrays and tables have none: their bytes cannot be found without what comes before.

use std::{
    collections::VecDeque,
    fs::{self, File},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use encoding_rs::UTF_8;
use sha2::{Digest, Sha256};

use crate::{
    container::bytes::Bytes,
    error::{Error, Result},
    lines::Lines,
    read::{Given, LoadOptions, OnReject, Tally, digest},
    record::Reading,
    report::Reason,
    row::{Place, Row},
    write::write_file,
};

const MAGIC: &[u8; 8] = b"ACCIDX01";
/// Bytes at either end of a file that its fingerprint looks at, beside its length and the time of its last change.
const ENDS_LEN: u64 = 64 * 1024;

/// The places of the rows of one file of JSON Lines.
///
/// # Example
/// ```
/// use accordant_data::{LoadOptions, Pair, RecordType, index::LineIndex};
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("a.jsonl");
/// let row = |chosen: &str| format!("{{\"prompt\": \"q\", \"chosen\": \"{chosen}\", \"rejected\": \"no\"}}\n");
/// std::fs::write(&path, [row("yes"), "\n".into(), row("sure")].concat())?;
/// let options = LoadOptions::default();
/// let index = LineIndex::build(&path, &options)?;
/// let pair = index.read(1, &options, |row| Pair::from_fields(row.fields))?;
/// assert_eq!((index.len(), pair.chosen.as_plain()), (2, Some("sure")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineIndex {
    path: PathBuf,
    fingerprint: [u8; 32],
    /// Line, from 1, and first byte of each row that is not blank.
    rows: Vec<(u64, u64)>,
}

impl LineIndex {
    /// Reads a file once and notes where its rows start. Nothing is parsed.
    ///
    /// # Errors
    /// [`Error::Open`] and [`Error::Read`] from the system; [`Error::Index`] for a packed file.
    pub fn build(path: impl AsRef<Path>, options: &LoadOptions) -> Result<Self> {
        options.validate()?;
        let path = path.as_ref().to_path_buf();
        let fingerprint = fingerprint(&path)?;
        let mut lines = Lines::open(&path, options.max_line_bytes)?;
        if lines.is_packed() {
            return Err(Error::Index { path, expected: "a file that is not packed" });
        }
        let mut rows = Vec::new();
        while let Some(line) = lines.next_line()? {
            if !line.is_blank() {
                rows.push((line.number as u64, line.offset));
            }
        }
        Ok(Self { path, fingerprint, rows })
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Reads one row through `parse`. Rows are numbered from 0, as `record_index` is.
    ///
    /// # Errors
    /// [`Error::Index`] if there is no such row; [`Error::Rejected`] if the row cannot be used, whatever the options say
    /// about rejects; [`Error::Open`] and [`Error::Read`] from the system.
    pub fn read<T>(
        &self,
        record_index: usize,
        options: &LoadOptions,
        parse: impl FnOnce(Row<'_>) -> std::result::Result<T, Reason>,
    ) -> Result<T> {
        options.validate()?;
        let none = || Error::Index { path: self.path.clone(), expected: "the number of one of its rows" };
        let &(line, offset) = self.rows.get(record_index).ok_or_else(none)?;
        let (line_number, path) = (line as usize, &self.path);
        let mut file = File::open(path).map_err(|source| Error::Open { path: path.clone(), source })?;
        let at = file.seek(SeekFrom::Start(offset));
        at.map_err(|source| Error::Read { path: path.clone(), line: line_number, source })?;
        let mut lines = Lines::over(path, Bytes::over(file, UTF_8), options.max_line_bytes);
        let line = lines.next_line()?.ok_or_else(none)?;
        let place = Place { line: line_number, byte_offset: offset, record_index };
        let options = LoadOptions { on_reject: OnReject::Stop, ..options.clone() };
        let mut notes = Reading::new(options.rules.clone());
        let parse = |row: Row<'_>| parse(row).map(Given::Record);
        let made = digest((line.bytes, &line.end), path, place, false, &options, &mut notes, parse);
        let (mut tally, mut ready) = (Tally::new(path, &options), VecDeque::new());
        tally.count(place, line.bytes, made, &mut ready)?;
        ready.pop_front().ok_or_else(none)
    }

    /// Writes the index, all or nothing.
    ///
    /// # Errors
    /// [`Error::Write`] from the system.
    pub fn save(&self, index: impl AsRef<Path>) -> Result<()> {
        write_file(index, |file| {
            let numbers = self.rows.iter().flat_map(|&(line, offset)| [line.to_le_bytes(), offset.to_le_bytes()]);
            let bytes: Vec<u8> = MAGIC.iter().chain(&self.fingerprint).copied().chain(numbers.flatten()).collect();
            Ok(file.write_all(&bytes)?)
        })
    }

    /// Reads the index of a file.
    ///
    /// # Errors
    /// [`Error::Open`] from the system; [`Error::Index`] if it is no index, or that of another file or another state of
    /// this one.
    pub fn open(index: impl AsRef<Path>, path: impl AsRef<Path>) -> Result<Self> {
        let (index, path) = (index.as_ref(), path.as_ref().to_path_buf());
        let bytes = fs::read(index).map_err(|source| Error::Open { path: index.to_path_buf(), source })?;
        let wrong = |expected| Error::Index { path: index.to_path_buf(), expected };
        let rest = bytes.strip_prefix(MAGIC).ok_or_else(|| wrong("an index"))?;
        let (&said, numbers) = rest.split_first_chunk::<32>().ok_or_else(|| wrong("a whole index"))?;
        let (pairs, []) = numbers.as_chunks::<16>() else { return Err(wrong("a whole index")) };
        if said != fingerprint(&path)? {
            return Err(wrong("an index of the file as it is now"));
        }
        let halves = |pair: &[u8; 16]| {
            let number = u128::from_le_bytes(*pair);
            (number as u64, (number >> 64) as u64)
        };
        Ok(Self { path, fingerprint: said, rows: pairs.iter().map(halves).collect() })
    }
}

/// What tells one state of a file from another: length, time of the last change, and the bytes at both ends.
fn fingerprint(path: &Path) -> Result<[u8; 32]> {
    let read = || -> std::io::Result<[u8; 32]> {
        let mut file = File::open(path)?;
        let data = file.metadata()?;
        let changed = data.modified()?.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let mut hash = Sha256::new();
        hash.update(data.len().to_le_bytes());
        hash.update(changed.as_nanos().to_le_bytes());
        let mut end = Vec::new();
        (&mut file).take(ENDS_LEN).read_to_end(&mut end)?;
        file.seek(SeekFrom::Start(data.len().saturating_sub(ENDS_LEN)))?;
        file.take(ENDS_LEN).read_to_end(&mut end)?;
        hash.update(end);
        Ok(hash.finalize().into())
    };
    read().map_err(|source| Error::Open { path: path.to_path_buf(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Code, read::read_jsonl};

    const TEXT: &str = "\u{feff}{\"i\": 0}\n\n{\"i\": 1}\r\n  \n{\"i\": x}\n{\"i\": 3}";

    fn number(mut row: Row<'_>) -> std::result::Result<(usize, usize, Option<i64>), Reason> {
        Ok((row.line, row.record_index, row.fields.i64("i")?))
    }

    #[test]
    fn d43_any_row_is_read_as_if_all_were_and_none_in_front_of_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let (path, saved) = (folder.path().join("a.jsonl"), folder.path().join("a.idx"));
        fs::write(&path, TEXT).unwrap();
        let options = LoadOptions::default();
        let index = LineIndex::build(&path, &options).unwrap();
        assert_eq!(index.rows, [(1, 3), (3, 13), (5, 26), (6, 35)]);
        index.save(&saved).unwrap();
        assert_eq!(LineIndex::open(&saved, &path).unwrap(), index);
        let (all, report) = read_jsonl(&path, &options, number).unwrap();
        let read = |i: usize| index.read(i, &options, number);
        assert_eq!([read(3).unwrap(), read(0).unwrap(), read(1).unwrap()], [all[2], all[0], all[1]]);
        // A row that cannot be used says of itself what the load says.
        let Err(Error::Rejected(reject)) = read(2) else { panic!("not rejected") };
        assert_eq!((&*reject, reject.code), (&report.samples[0], Code::Json));
        let message = read(4).unwrap_err().to_string();
        assert!(message.ends_with("a.jsonl`: expected the number of one of its rows"), "{message}");
        assert_eq!((index.len(), index.is_empty()), (4, false));
    }

    #[test]
    fn an_index_of_another_state_or_that_is_none_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (path, saved) = (folder.path().join("a.jsonl"), folder.path().join("a.idx"));
        fs::write(&path, TEXT).unwrap();
        LineIndex::build(&path, &LoadOptions::default()).unwrap().save(&saved).unwrap();
        let bytes = fs::read(&saved).unwrap();
        assert_eq!(bytes.len(), 8 + 32 + 4 * 16);
        let message = || LineIndex::open(&saved, &path).unwrap_err().to_string();
        for (len, what) in [(0, "an index"), (39, "a whole index"), (41, "a whole index")] {
            fs::write(&saved, &bytes[..len]).unwrap();
            assert!(message().ends_with(&format!("a.idx`: expected {what}")), "{}", message());
        }
        fs::write(&saved, bytes).unwrap();
        fs::write(&path, TEXT.replace('3', "4")).unwrap();
        assert!(message().ends_with("expected an index of the file as it is now"), "{}", message());
        let packed = folder.path().join("b.jsonl");
        let frame = ruzstd::encoding::compress_to_vec(TEXT.as_bytes(), ruzstd::encoding::CompressionLevel::Fastest);
        fs::write(&packed, frame).unwrap();
        let error = LineIndex::build(&packed, &LoadOptions::default()).unwrap_err().to_string();
        assert!(error.ends_with("expected a file that is not packed"), "{error}");
    }
}
